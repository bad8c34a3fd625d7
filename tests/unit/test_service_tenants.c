/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tenants: who is which, what each may have, and what each is shown; the rule over
 * quota, told by hand and by chance.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/rand.h"
#include "tests/support/cunit.h"
#include "tests/unit/service_rig.h"

static uint32_t add(struct xm_tenants *t, const char *name, const char *pattern)
{
	int tenant = xm_tenants_add(t, name);
	uint32_t other;

	CU_ASSERT_FATAL(tenant >= 0);
	CU_ASSERT_EQUAL(xm_tenants_match(t, (uint32_t)tenant, pattern, &other), 0);
	return (uint32_t)tenant;
}

static void set(struct rig *r, const struct xm_tenants *t)
{
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_TENANTS,
					       .tenants = t });
}

static void join_as(struct rig *r, uint32_t peer, const char *identity)
{
	rig_up_as(r, peer, identity);
	CU_ASSERT_EQUAL_FATAL(rig_say(r, peer, rig_hello())->kind, XM_WELCOME);
}

static const struct xm_message *observe_as(struct rig *r, uint32_t peer,
					   const char *identity)
{
	struct xm_message m = rig_hello();

	rig_up_as(r, peer, identity);
	m.u.hello.flags = XM_HELLO_OBSERVER;
	return rig_say(r, peer, m);
}

/* --- who is which ------------------------------------------------------------- */

static void the_longest_beginning_decides_and_the_whole_name_before(void)
{
	static struct xm_tenants t;
	uint32_t all, lab, alice, other;

	xm_tenants_begin(&t);
	lab = add(&t, "lab", "lab-*");
	alice = add(&t, "alice", "lab-alice");
	CU_ASSERT_EQUAL(xm_tenants_of(&t, "bob"), XM_TENANT_NONE);
	CU_ASSERT_EQUAL(xm_tenants_of(&t, ""), XM_TENANT_NONE);
	all = add(&t, "all", "*");
	CU_ASSERT_EQUAL(xm_tenants_of(&t, "bob"), all);
	CU_ASSERT_EQUAL(xm_tenants_of(&t, ""), all);
	CU_ASSERT_EQUAL(xm_tenants_of(&t, "lab-"), lab);
	CU_ASSERT_EQUAL(xm_tenants_of(&t, "lab-alice"), alice);
	CU_ASSERT_EQUAL(xm_tenants_of(&t, "lab-alice2"), lab);
	CU_ASSERT_EQUAL(xm_tenants_of(&t, "lab"), all);
	CU_ASSERT_EQUAL(xm_tenants_match(&t, all, "lab-*", &other), -EEXIST);
	CU_ASSERT_EQUAL(other, lab);
	CU_ASSERT_EQUAL(xm_tenants_match(&t, all, "", &other), -EINVAL);
	CU_ASSERT_EQUAL(xm_tenants_match(&t, all, "a*b", &other), -EINVAL);
	CU_ASSERT_EQUAL(xm_tenants_match(&t, all, "a b", &other), -EINVAL);
	CU_ASSERT_EQUAL(xm_tenants_add(&t, "lab"), -EEXIST);
	CU_ASSERT_EQUAL(xm_tenants_add(&t, ""), -EINVAL);
	CU_ASSERT_EQUAL(xm_tenants_add(&t, "two words"), -EINVAL);
	CU_ASSERT_EQUAL(xm_tenants_add(&t, "0123456789012345678901234567890x"),
			-EINVAL);
}

static void tenants_and_patterns_have_a_limit(void)
{
	static struct xm_tenants t;
	char name[16];
	uint32_t other;

	xm_tenants_begin(&t);
	for (uint32_t i = 0; i < XM_TENANTS_MAX; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		CU_ASSERT_EQUAL(xm_tenants_add(&t, name), (int)i);
	}
	CU_ASSERT_EQUAL(xm_tenants_add(&t, "more"), -ENOSPC);
	for (uint32_t i = 0; i < XM_TENANT_PATTERNS_MAX; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		CU_ASSERT_EQUAL(xm_tenants_match(&t, 0, name, &other), 0);
	}
	CU_ASSERT_EQUAL(xm_tenants_match(&t, 0, "more", &other), -ENOSPC);
}

static void who_is_no_tenants_is_told_so(void)
{
	static struct xm_tenants t;
	struct rig *r = rig_new();

	xm_tenants_begin(&t);
	add(&t, "lab", "alice");
	set(r, &t);
	rig_up_as(r, 0, "mallory");
	CU_ASSERT(rig_refused(rig_say(r, 0, rig_hello()), EACCES, "no tenant"));
	CU_ASSERT(rig_refused(observe_as(r, 1, ""), EACCES, "no tenant"));
	join_as(r, 2, "alice");
	/* Nor are there more than so many of them at once. */
	for (uint32_t i = 0; i < 6; i++)
		rig_up_as(r, 3 + i, "mallory");
	CU_ASSERT_FALSE(r->dropped[8]);
	rig_up_as(r, 9, "mallory");
	CU_ASSERT(r->dropped[9]);
	rig_free(r);
}

/* --- what a tenant may have ----------------------------------------------------- */

static void a_tenant_has_one_quota_for_all_its_clients(void)
{
	static struct xm_tenants t;
	struct rig *r = rig_new();
	struct xm_allocated mine;

	xm_tenants_begin(&t);
	t.list[add(&t, "lab", "lab-*")].bytes = 10 * GRANULE;
	add(&t, "all", "*");
	set(r, &t);
	join_as(r, 0, "lab-a");
	join_as(r, 1, "lab-b");
	join_as(r, 2, "carol");
	mine = rig_alloc(r, 0, 6 * GRANULE);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 1, 5 * GRANULE), ENOSPC,
			      "tenant lab has 24.0 KiB, may have 40.0 KiB, and "
			      "asked 20.0 KiB more"));
	CU_ASSERT_EQUAL(r->sent[1].u.refused.free, 4 * GRANULE);
	rig_alloc(r, 1, 4 * GRANULE);
	rig_alloc(r, 2, 20 * GRANULE); /* the others do not feel it */
	/* What was given back counts until it is zeroed. */
	rig_ask_free(r, 0, mine.extent);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, GRANULE), ENOSPC,
			      "on its way back 24.0 KiB"));
	CU_ASSERT_EQUAL(r->sent[0].u.refused.soon, 6 * GRANULE);
	rig_settle(r);
	rig_alloc(r, 0, 6 * GRANULE);
	rig_free(r);
}

static void what_a_client_had_counts_after_its_end(void)
{
	static struct xm_tenants t;
	struct rig *r = rig_new();

	xm_tenants_begin(&t);
	t.list[add(&t, "lab", "*")].bytes = 4 * GRANULE;
	set(r, &t);
	join_as(r, 0, "alice");
	rig_alloc(r, 0, 4 * GRANULE);
	rig_say_kind(r, 0, XM_BYE);
	while (r->commands_count > 0)
		rig_acknowledge(r);
	join_as(r, 1, "alice");
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 1, GRANULE), ENOSPC, "may have"));
	rig_settle(r);
	rig_alloc(r, 1, 4 * GRANULE);
	rig_free(r);
}

/* A claim that comes to nothing leaves the extent to who offered it, in every way. */
static void what_was_claimed_in_vain_is_counted_as_before(void)
{
	static struct xm_tenants t;
	struct rig *r = rig_new();
	struct xm_message m = { .kind = XM_OFFER };
	uint32_t lab, all;

	xm_tenants_begin(&t);
	lab = add(&t, "lab", "lab-*");
	all = add(&t, "all", "*");
	set(r, &t);
	join_as(r, 0, "lab-a");
	m.u.offer.extent = rig_alloc(r, 0, 6 * GRANULE).extent;
	m.u.offer.ms = 1u << 30;
	rig_say(r, 0, m);
	rig_settle(r);
	join_as(r, 1, "bob");
	r->expose_status = -ENOMEM;
	rig_say_kind(r, 1, XM_CLAIM);
	rig_settle(r);
	CU_ASSERT(rig_refused(&r->sent[1], ENOMEM, ""));
	CU_ASSERT_EQUAL(r->service->uses[lab].bytes, 6 * GRANULE);
	r->expose_status = 0;
	rig_say_kind(r, 1, XM_CLAIM);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[1].kind, XM_CLAIMED);
	CU_ASSERT_EQUAL(r->service->uses[all].bytes, 6 * GRANULE);
	rig_say_kind(r, 1, XM_BYE);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->uses[lab].bytes, 6 * GRANULE);
	CU_ASSERT_EQUAL(r->service->uses[all].bytes, 0);
	rig_free(r);
}

static void clients_extents_and_streams_are_counted(void)
{
	static struct xm_tenants t;
	struct rig *r = rig_new();
	struct xm_allocated e;
	uint32_t lab;

	xm_tenants_begin(&t);
	lab = add(&t, "lab", "*");
	t.list[lab].clients = 1;
	t.list[lab].extents = 2;
	set(r, &t);
	join_as(r, 0, "alice");
	rig_up_as(r, 1, "alice");
	CU_ASSERT(rig_refused(rig_say(r, 1, rig_hello()), EUSERS,
			      "tenant lab has 1, and may have 1 clients"));
	rig_down(r, 1);
	e = rig_alloc(r, 0, 2 * GRANULE);
	rig_alloc(r, 0, GRANULE);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, GRANULE), ENOSPC,
			      "has 2, and may have 2 extents"));
	CU_ASSERT(rig_refused(rig_ask_trim(r, 0, e.extent, GRANULE), ENOSPC,
			      "may have 2 extents"));
	for (uint32_t i = 1; i < XM_TENANT_STREAMS_EACH + XM_TENANT_STREAMS_SPARE;
	     i++)
		CU_ASSERT_EQUAL(observe_as(r, i, "alice")->kind, XM_WELCOME);
	rig_up_as(r, 10, "alice");
	CU_ASSERT(r->dropped[10]);
	rig_free(r);
}

static const struct xm_message *say_token(struct rig *r, uint32_t peer,
					  enum xm_message_kind kind, uint64_t extent)
{
	struct xm_message m = { .kind = kind };

	if (kind == XM_GRANT) {
		m.u.offer.extent = extent;
		m.u.offer.ms = 60000;
		m.u.offer.token[0] = 1;
	} else {
		m.u.claim.after = extent;
		m.u.claim.token[0] = 1;
	}
	rig_say(r, peer, m);
	rig_settle(r);
	return &r->sent[peer];
}

/* Its clients together read no more than it may have of extents. */
static void what_is_read_counts_as_an_extent(void)
{
	static struct xm_tenants t;
	struct rig *r = rig_new();
	uint64_t extents[3];
	uint32_t lab;

	xm_tenants_begin(&t);
	add(&t, "all", "*");
	lab = add(&t, "lab", "lab-*");
	t.list[lab].extents = 2;
	set(r, &t);
	join_as(r, 0, "alice");
	join_as(r, 1, "lab-a");
	join_as(r, 2, "lab-b");
	for (int i = 0; i < 3; i++) {
		extents[i] = rig_alloc(r, 0, GRANULE).extent;
		CU_ASSERT_EQUAL(say_token(r, 0, XM_GRANT, extents[i])->kind,
				XM_OFFERED);
	}
	CU_ASSERT_EQUAL(say_token(r, 1, XM_OPEN, 0)->kind, XM_CLAIMED);
	CU_ASSERT_EQUAL(say_token(r, 1, XM_OPEN, extents[0])->kind, XM_CLAIMED);
	CU_ASSERT_EQUAL(say_token(r, 1, XM_OPEN, 0)->kind, XM_CLAIMED); /* again */
	CU_ASSERT(rig_refused(say_token(r, 1, XM_OPEN, extents[1]), ENOSPC,
			      "tenant lab has 2, and may have 2 extents"));
	CU_ASSERT(rig_refused(say_token(r, 2, XM_OPEN, 0), ENOSPC, "read count, too"));
	/* Another policy counts them anew. */
	t.list[lab].extents = 3;
	set(r, &t);
	CU_ASSERT_EQUAL(say_token(r, 2, XM_OPEN, 0)->kind, XM_CLAIMED);
	CU_ASSERT(rig_refused(say_token(r, 2, XM_OPEN, extents[0]), ENOSPC, ""));
	rig_say_kind(r, 1, XM_BYE);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->uses[lab].readings, 1);
	CU_ASSERT_EQUAL(say_token(r, 2, XM_OPEN, extents[0])->kind, XM_CLAIMED);
	rig_free(r);
}

static void requests_beyond_the_quota_wait_a_while(void)
{
	static struct xm_tenants t;
	struct rig *r = rig_new();
	struct xm_allocated e;
	uint32_t lab;

	xm_tenants_begin(&t);
	lab = add(&t, "lab", "lab-*");
	t.list[lab].requests = 5;
	add(&t, "all", "*");
	set(r, &t);
	join_as(r, 0, "lab-a");
	join_as(r, 1, "bob");
	e = rig_alloc(r, 0, GRANULE);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(rig_say_kind(r, 0, XM_STATUS)->kind, XM_STATE);
	CU_ASSERT(rig_refused(rig_say_kind(r, 0, XM_STATUS), EDQUOT,
			      "5 requests a second"));
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, GRANULE), EDQUOT, "lab"));
	/* Who may never ask is not told to wait. */
	t.list[lab].requests = 0;
	set(r, &t);
	CU_ASSERT(rig_refused(rig_say_kind(r, 0, XM_STATUS), EPERM, "no requests"));
	t.list[lab].requests = 5;
	set(r, &t);
	/* What keeps a client alive, and what gives back, is served. */
	CU_ASSERT_EQUAL(rig_say_kind(r, 0, XM_PING)->kind, XM_PONG);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, 0), EINVAL, "0 bytes"));
	rig_ask_free(r, 0, e.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_FREED);
	/* Others are. */
	for (int i = 0; i < 50; i++)
		CU_ASSERT_EQUAL(rig_say_kind(r, 1, XM_STATUS)->kind, XM_STATE);
	r->now_ns += 200 * XM_MS;
	CU_ASSERT_EQUAL(rig_say_kind(r, 0, XM_STATUS)->kind, XM_STATE);
	CU_ASSERT_EQUAL(rig_say_kind(r, 0, XM_STATUS)->kind, XM_REFUSED);
	/* Another policy is no new purse. */
	set(r, &t);
	CU_ASSERT_EQUAL(rig_say_kind(r, 0, XM_STATUS)->kind, XM_REFUSED);
	rig_free(r);
}

static void a_lower_quota_evicts_nobody_and_refuses_more(void)
{
	static struct xm_tenants t;
	struct rig *r = rig_new();
	struct xm_allocated e, f;

	xm_tenants_begin(&t);
	add(&t, "lab", "lab-*");
	set(r, &t);
	join_as(r, 0, "lab-a");
	e = rig_alloc(r, 0, 8 * GRANULE);
	f = rig_alloc(r, 0, 2 * GRANULE);
	t.list[0].bytes = 4 * GRANULE;
	t.list[0].clients = t.list[0].extents = 0;
	set(r, &t);
	CU_ASSERT(rig_write(r, &e.remote, 7));
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, GRANULE), ENOSPC, "may have 0"));
	t.list[0].extents = 100;
	set(r, &t);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, GRANULE), ENOSPC,
			      "has 40.0 KiB, may have 16.0 KiB"));
	rig_ask_free(r, 0, e.extent);
	rig_settle(r);
	rig_alloc(r, 0, 2 * GRANULE);
	/* No tenant any more: it keeps what it has. */
	xm_tenants_begin(&t);
	add(&t, "others", "bob");
	set(r, &t);
	CU_ASSERT(rig_write(r, &f.remote, 7));
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, GRANULE), EACCES, "no tenant"));
	rig_ask_free(r, 0, f.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_FREED);
	rig_free(r);
}

/* --- what a tenant is shown ------------------------------------------------------- */

static uint64_t figure(struct rig *r, uint32_t peer, enum xm_figure tag)
{
	const struct xm_message *m = rig_say_kind(r, peer, XM_STATUS);

	CU_ASSERT_EQUAL_FATAL(m->kind, XM_STATE);
	return xm_figures_get(&m->u.state.figures, tag);
}

static void lists_and_status_show_a_tenant_its_own(void)
{
	static struct xm_tenants t;
	struct rig *r = rig_new();
	struct xm_allocated e;

	xm_tenants_begin(&t);
	t.list[add(&t, "lab", "lab-*")].bytes = 32 * GRANULE;
	add(&t, "bob", "bob");
	t.list[add(&t, "ops", "root")].admin = true;
	set(r, &t);
	join_as(r, 0, "lab-a");
	join_as(r, 1, "bob");
	rig_alloc(r, 0, 3 * GRANULE);
	e = rig_alloc(r, 1, 5 * GRANULE);
	CU_ASSERT_EQUAL(observe_as(r, 2, "lab-b")->kind, XM_WELCOME);
	CU_ASSERT_EQUAL(observe_as(r, 3, "root")->kind, XM_WELCOME);
	CU_ASSERT_EQUAL_FATAL(rig_say_kind(r, 2, XM_LIST)->kind, XM_LISTED);
	CU_ASSERT_EQUAL(r->sent[2].u.listed.count, 1);
	CU_ASSERT_EQUAL(r->sent[2].u.listed.entries[0].size, 3 * GRANULE);
	CU_ASSERT_EQUAL_FATAL(rig_say_kind(r, 3, XM_LIST)->kind, XM_LISTED);
	CU_ASSERT_EQUAL(r->sent[3].u.listed.count, 2);
	CU_ASSERT_EQUAL(figure(r, 2, XM_FIGURE_LEASED), 3 * GRANULE);
	CU_ASSERT_EQUAL(figure(r, 2, XM_FIGURE_POOL), 32 * GRANULE);
	CU_ASSERT_EQUAL(figure(r, 2, XM_FIGURE_FREE), 29 * GRANULE);
	CU_ASSERT_EQUAL(figure(r, 2, XM_FIGURE_CLIENTS), 1);
	CU_ASSERT_EQUAL(figure(r, 3, XM_FIGURE_LEASED), 8 * GRANULE);
	CU_ASSERT_EQUAL(figure(r, 3, XM_FIGURE_CLIENTS), 2);
	/* And nobody gives back what is another's. */
	CU_ASSERT(rig_refused(rig_ask_free(r, 0, e.extent), ESTALE, "no such"));
	rig_free(r);
}

static void a_long_list_of_others_is_passed_over_in_steps(void)
{
	static struct xm_tenants t;
	static struct rig r;
	struct xm_message m = { .kind = XM_LIST };
	uint32_t seen = 0, asked = 0;

	rig_open(&r);
	r.options.extents_max = r.options.extents_per_client_max = 700;
	r.options.pool_size = 700 * 64;
	r.options.granule = 64;
	rig_start(&r);
	xm_tenants_begin(&t);
	add(&t, "bob", "bob");
	add(&t, "lab", "lab-*");
	set(&r, &t);
	join_as(&r, 0, "bob");
	join_as(&r, 1, "lab-a");
	for (int i = 0; i < 600; i++)
		rig_alloc(&r, 0, 64);
	rig_alloc(&r, 1, 64);
	do {
		CU_ASSERT_EQUAL_FATAL(rig_say(&r, 1, m)->kind, XM_LISTED);
		seen += r.sent[1].u.listed.count;
		m.u.list.cursor = r.sent[1].u.listed.cursor;
	} while (++asked < 10 && m.u.list.cursor != 0);
	CU_ASSERT_EQUAL(seen, 1);
	CU_ASSERT_EQUAL(asked, 3);
	free(r.service);
}

static void only_an_admin_may_have_it_drain(void)
{
	static struct xm_tenants t;
	struct rig *r = rig_new();
	struct xm_message m = { .kind = XM_DRAIN };

	xm_tenants_begin(&t);
	add(&t, "lab", "*");
	t.list[add(&t, "ops", "root")].admin = true;
	set(r, &t);
	observe_as(r, 0, "alice");
	observe_as(r, 1, "root");
	m.u.drain.incarnation = r->options.incarnation;
	m.u.drain.on = 1;
	CU_ASSERT(rig_refused(rig_say(r, 0, m), EPERM, "admin = yes"));
	CU_ASSERT_FALSE(r->service->leaving);
	CU_ASSERT_EQUAL(rig_say(r, 1, m)->kind, XM_STATE);
	CU_ASSERT(r->service->leaving);
	rig_free(r);
}

/* --- coming back -------------------------------------------------------------------- */

static const struct xm_message *come_back(struct rig *r, uint32_t peer,
					  const char *identity,
					  const struct xm_welcome *w)
{
	struct xm_message m = rig_hello();

	rig_up_as(r, peer, identity);
	m.u.hello.client = w->client;
	memcpy(m.u.hello.secret, w->secret, sizeof(w->secret));
	return rig_say(r, peer, m);
}

static void a_process_that_changes_its_user_stays_in_its_tenant(void)
{
	static struct xm_tenants t;
	struct rig *r = rig_new();
	struct xm_welcome w;
	uint32_t other;

	xm_tenants_begin(&t);
	add(&t, "lab", "uid:0");
	CU_ASSERT_EQUAL(xm_tenants_match(&t, 0, "uid:1000", &other), 0);
	add(&t, "others", "uid:*");
	set(r, &t);
	join_as(r, 0, "uid:0");
	w = r->sent[0].u.welcome;
	rig_down(r, 0);
	CU_ASSERT(rig_refused(come_back(r, 1, "uid:7", &w), ESTALE, "not know"));
	CU_ASSERT_EQUAL(come_back(r, 2, "uid:1000", &w)->kind, XM_WELCOME);
	rig_free(r);
}

/* --- by chance ----------------------------------------------------------------------- */

static struct xm_rand rand_state;

static uint64_t draw(uint64_t below)
{
	return xm_rand_below(&rand_state, below);
}

#define NAMES 4
static const char *const names[NAMES] = { "a-1", "a-2", "b-1", "" };

static void draw_policy(struct xm_tenants *t)
{
	xm_tenants_begin(t);
	add(t, "a", "a-*");
	if (draw(3) != 0)
		add(t, "b", "b-1");
	if (draw(3) != 0)
		add(t, "rest", "*");
	for (uint32_t i = 0; i < t->count; i++) {
		t->list[i].bytes = draw(3) == 0 ? XM_TENANT_ALL
						: draw(24) * GRANULE;
		t->list[i].extents = draw(3) == 0 ? XM_TENANT_ALL : draw(8);
		t->list[i].clients = draw(3) == 0 ? XM_TENANT_ALL : draw(4);
	}
}

struct had {
	uint64_t bytes, extents, clients;
};

/* Counted by identities, which the machine does not do. An extent without an owner is
 * left out; the machine's own count has it. */
static void count(const struct rig *r, const struct xm_tenants *t, struct had *ret)
{
	const struct xm_service *s = r->service;

	memset(ret, 0, (XM_TENANTS_MAX + 1) * sizeof(*ret));
	for (uint32_t i = 0; i < CLIENTS; i++)
		if (s->clients[i].state != XM_CLIENT_FREE)
			ret[xm_tenants_of(t, s->clients[i].identity)].clients++;
	for (uint32_t i = 0; i < EXTENTS; i++) {
		const struct xm_service_extent *e = &s->extents[i];
		struct had *had;

		if (e->state == XM_EXTENT_FREE || e->owner == XM_SERVICE_NONE)
			continue;
		had = &ret[xm_tenants_of(t, s->clients[e->owner].identity)];
		had->bytes += e->size;
		had->extents++;
	}
}

/* Nothing may grow beyond its quota; what is beyond it already may stay. */
static void check_growth(const struct xm_tenants *t, const struct had *before,
			 const struct had *after)
{
	for (uint32_t i = 0; i < t->count; i++) {
		const struct xm_tenant *q = &t->list[i];

		CU_ASSERT_FATAL(after[i].bytes <= xm_max(q->bytes, before[i].bytes));
		CU_ASSERT_FATAL(after[i].extents <=
				xm_max(q->extents, before[i].extents));
		CU_ASSERT_FATAL(after[i].clients <=
				xm_max(q->clients, before[i].clients));
	}
	CU_ASSERT_FATAL(after[XM_TENANT_NONE].bytes <=
			before[XM_TENANT_NONE].bytes);
	CU_ASSERT_FATAL(after[XM_TENANT_NONE].clients <=
			before[XM_TENANT_NONE].clients);
}

static void act(struct rig *r)
{
	uint32_t peer = (uint32_t)draw(PEERS);
	uint64_t extent = 0;

	if (r->service->peers[peer].state == XM_PEER_FREE) {
		rig_up_as(r, peer, names[draw(NAMES)]);
		if (r->dropped[peer])
			return;
		rig_say(r, peer, rig_hello());
		if (r->sent[peer].kind == XM_REFUSED)
			rig_down(r, peer);
		return;
	}
	for (uint32_t i = 0; i < EXTENTS; i++)
		if (r->service->extents[i].state == XM_EXTENT_OWNED && draw(3) == 0)
			extent = r->service->extents[i].number;
	switch (draw(12)) {
	case 0: rig_down(r, peer); break;
	case 1: rig_say_kind(r, peer, XM_BYE); break;
	case 2:
	case 3: rig_ask_free(r, peer, extent); break;
	case 4: rig_ask_trim(r, peer, extent, GRANULE); break;
	case 5: rig_say_kind(r, peer, XM_LIST); break;
	default: rig_ask_alloc(r, peer, (1 + draw(6)) * GRANULE);
	}
}

static void no_story_goes_beyond_a_quota(void)
{
	static struct had before[XM_TENANTS_MAX + 1], after[XM_TENANTS_MAX + 1];
	static struct xm_tenants t;
	uint32_t refused = 0, taken = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct rig *r = rig_new();

		xm_rand_seed(&rand_state, seed);
		draw_policy(&t);
		set(r, &t);
		for (int i = 0; i < 1500 && r->keys_count < KEYS - 1; i++) {
			if (draw(60) == 0) {
				draw_policy(&t);
				set(r, &t);
			}
			count(r, &t, before);
			act(r);
			count(r, &t, after);
			check_growth(&t, before, after);
			while (r->commands_count > 0 && draw(3) != 0)
				rig_acknowledge(r);
			if (r->zero_wanted && draw(2) == 0)
				rig_zero(r);
			r->now_ns += draw(20) * XM_MS;
			rig_tick(r);
		}
		refused += (uint32_t)r->service->refused;
		taken += r->keys_count;
		rig_free(r);
	}
	CU_ASSERT(refused > 1000);
	CU_ASSERT(taken > 1000);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(the_longest_beginning_decides_and_the_whole_name_before),
		XM_TEST(tenants_and_patterns_have_a_limit),
		XM_TEST(who_is_no_tenants_is_told_so),
		XM_TEST(a_tenant_has_one_quota_for_all_its_clients),
		XM_TEST(what_a_client_had_counts_after_its_end),
		XM_TEST(what_was_claimed_in_vain_is_counted_as_before),
		XM_TEST(clients_extents_and_streams_are_counted),
		XM_TEST(what_is_read_counts_as_an_extent),
		XM_TEST(requests_beyond_the_quota_wait_a_while),
		XM_TEST(a_lower_quota_evicts_nobody_and_refuses_more),
		XM_TEST(lists_and_status_show_a_tenant_its_own),
		XM_TEST(a_long_list_of_others_is_passed_over_in_steps),
		XM_TEST(only_an_admin_may_have_it_drain),
		XM_TEST(a_process_that_changes_its_user_stays_in_its_tenant),
		XM_TEST(no_story_goes_beyond_a_quota),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("service_tenants", tests);
}
