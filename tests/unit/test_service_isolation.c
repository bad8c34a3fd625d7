/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the service machine: no client reaches what is another's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/rand.h"
#include "tests/support/cunit.h"
#include "tests/unit/service_rig.h"

static struct xm_rand random_numbers;

static uint64_t draw(uint64_t below)
{
	return xm_rand_below(&random_numbers, below);
}

/* --- isolation ------------------------------------------------------------ */

static void a_late_write_cannot_reach_the_next_owner(void)
{
	struct rig *r = rig_new();
	struct xm_allocated old, new;

	rig_join(r, 0);
	rig_join(r, 1);
	old = rig_alloc(r, 0, POOL);
	rig_write(r, &old.remote, 1);
	rig_ask_free(r, 0, old.extent);
	/* It was given, and the key still works: nobody else gets it. */
	CU_ASSERT_TRUE(rig_write(r, &old.remote, 2));
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 1, 1), ENOSPC, ""));
	rig_acknowledge(r);
	CU_ASSERT_FALSE(rig_write(r, &old.remote, 3));
	/* Halfway through the zeroing, not yet either. */
	rig_zero(r);
	rig_zero(r);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 1, 1), ENOSPC, ""));
	rig_settle(r);
	new = rig_alloc(r, 1, POOL);
	CU_ASSERT_TRUE(rig_is_zero(r, &new));
	CU_ASSERT_FALSE(rig_write(r, &old.remote, 4));
	CU_ASSERT_TRUE(rig_is_zero(r, &new));
	CU_ASSERT_TRUE(new.epoch > old.epoch);
	CU_ASSERT_NOT_EQUAL(new.extent, old.extent);
	rig_free(r);
}

static void without_revocation_the_owner_must_be_disconnected_first(void)
{
	struct rig *r = malloc(sizeof(*r));
	struct xm_welcome w;
	struct xm_allocated t;

	rig_open(r);
	r->options.revokes = false;
	rig_start(r);
	w = rig_join(r, 0);
	t = rig_alloc(r, 0, GRANULE);
	rig_say_kind(r, 0, XM_TICKET);
	rig_settle(r);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_CONNECTIONS,
					   .client = w.client,
					   .connections = 1 });
	rig_ask_free(r, 0, t.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_FREED);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - GRANULE);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_CONNECTIONS,
					   .client = w.client,
					   .connections = 0 });
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

static void without_connections_quarantine_lasts_a_lease(void)
{
	struct rig *r = malloc(sizeof(*r));
	struct xm_allocated t, head;
	int i;

	rig_open(r);
	r->options.revokes = r->options.admits = false;
	rig_start(r);
	rig_join(r, 0);
	t = rig_alloc(r, 0, 4 * GRANULE);
	rig_ask_trim(r, 0, t.extent, GRANULE);
	rig_settle(r);
	head = r->sent[0].u.allocated;
	rig_ask_free(r, 0, head.extent);
	rig_settle(r);
	/* The head's own quarantine is long over, but the tail's key opened
	 * it until now, and that one's begins here. */
	for (i = 0; i < 4; i++) {
		rig_pass(r, LEASE_MS / 2);
		rig_say_kind(r, 0, XM_PING);
	}
	rig_ask_free(r, 0, t.extent);
	rig_settle(r);
	rig_pass(r, LEASE_MS / 2);
	rig_say_kind(r, 0, XM_PING);
	rig_pass(r, LEASE_MS / 2 - 100);
	CU_ASSERT_FALSE(r->zero_wanted);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - 4 * GRANULE);
	rig_pass(r, 150);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

static void zeroing_goes_in_pieces(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t;
	int pieces = 0;

	rig_join(r, 0);
	t = rig_alloc(r, 0, 9 * GRANULE);
	rig_ask_free(r, 0, t.extent);
	rig_acknowledge(r);
	while (r->zero_wanted) {
		CU_ASSERT(r->zero.size <= 2 * GRANULE);
		/* The answers of others go on in between. */
		CU_ASSERT_EQUAL(rig_say_kind(r, 0, XM_PING)->kind, XM_PONG);
		rig_zero(r);
		pieces++;
	}
	CU_ASSERT_EQUAL(pieces, 5);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

/* Memory that comes and goes elsewhere does not keep an extent from being
 * zeroed. */
static void every_freed_extent_gets_its_turn(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t[3];
	uint64_t waits;

	rig_join(r, 0);
	for (uint32_t i = 0; i < 3; i++)
		t[i] = rig_alloc(r, 0, 8 * GRANULE);
	waits = rig_offset(r, &t[2]);
	rig_write(r, &t[2].remote, 7);
	rig_ask_free(r, 0, t[0].extent);
	rig_ask_free(r, 0, t[2].extent);
	while (r->commands_count > 0)
		rig_acknowledge(r);
	/* Whenever one is zeroed, another one in a lower slot waits. */
	for (uint32_t i = 0; i < 4; i++) {
		uint64_t extent = r->zero.extent;

		rig_ask_free(r, 0, t[(i + 1) % 2].extent);
		while (r->commands_count > 0)
			rig_acknowledge(r);
		while (r->zero_wanted && r->zero.extent == extent)
			rig_zero(r);
		rig_ask_alloc(r, 0, 8 * GRANULE);
		while (r->commands_count > 0)
			rig_acknowledge(r);
		t[i % 2] = r->sent[0].u.allocated;
	}
	CU_ASSERT_EQUAL(r->bytes[waits], 0);
	rig_free(r);
}

/* --- all of it, at random -------------------------------------------------- */

/* No key that works opens a byte that another client holds. */
static void check_isolation(struct rig *r)
{
	uint32_t i, j;

	for (i = 0; i < EXTENTS; i++) {
		const struct xm_service_extent *e = &r->service->extents[i];
		uint64_t owner;

		if (e->state != XM_EXTENT_OWNED)
			continue;
		owner = r->service->clients[e->owner].number;
		for (j = 0; j < r->keys_count; j++) {
			const struct key *key = &r->keys[j];

			if (key->alive && key->client != owner &&
			    key->offset < e->offset + e->size &&
			    e->offset < key->offset + key->size)
				CU_FAIL_FATAL("a former owner's key works");
		}
	}
}

/* Mostly an extent of this peer's; now and then any number. */
static uint64_t random_extent(const struct rig *r, uint32_t peer)
{
	const struct xm_service *s = r->service;
	uint32_t i, at = (uint32_t)draw(EXTENTS);

	if (draw(10) == 0)
		return draw(UINT64_C(1) << 24);
	for (i = 0; i < EXTENTS; i++, at = (at + 1) % EXTENTS)
		if (s->extents[at].state == XM_EXTENT_OWNED &&
		    s->extents[at].owner == s->peers[peer].client)
			break;
	return s->extents[at].number;
}

static void random_message(struct rig *r, uint32_t peer)
{
	uint64_t extent = random_extent(r, peer);
	struct xm_message m;

	bool known = r->service->peers[peer].state == XM_PEER_CLIENT;

	/* Mostly sense, so that the story gets somewhere. */
	switch (known ? draw(200) == 0 ? 13 : draw(12) : 12 + draw(20) / 19) {
	case 0: case 1: case 2: case 3:
		rig_ask_alloc(r, peer, draw(12 * GRANULE));
		break;
	case 4: case 5: case 6:
		rig_ask_free(r, peer, extent);
		break;
	case 7: case 8:
		rig_ask_trim(r, peer, extent, draw(5) * GRANULE);
		break;
	case 9:
		rig_say_kind(r, peer, XM_TICKET);
		break;
	case 10:
		rig_say_kind(r, peer, draw(12) == 0 ? XM_BYE : XM_PING);
		break;
	case 11:
		rig_say_kind(r, peer, XM_LIST);
		break;
	case 12:
		m = rig_hello();
		if (draw(4) == 0)
			m.u.hello.client = draw(UINT64_C(1) << 23);
		rig_say(r, peer, m);
		break;
	default:
		rig_say_kind(r, peer, (enum xm_message_kind)
				  (1 + draw(XM_MESSAGE_KINDS - 1)));
	}
}

/* Commands are carried out now and then, in order. Returns how many extents were exposed. */
static uint32_t some_commands(struct rig *r)
{
	uint32_t taken = 0;

	while (r->commands_count > 0 && draw(3) != 0) {
		struct xm_service_effect c = r->commands[0];

		/* Fresh memory is zero, before any key. */
		for (uint64_t k = 0; c.kind == XM_SERVICE_EXPOSE && k < c.size; k += 64)
			if (r->bytes[c.offset + k] != 0 &&
			    !r->service->grants[c.grant & 0xfffff].head)
				CU_FAIL_FATAL("not zero");
		taken += c.kind == XM_SERVICE_EXPOSE;
		r->expose_status = draw(20) == 0 ? -ENOSPC : 0;
		rig_acknowledge(r);
		check_isolation(r);
	}
	return taken;
}

/* All leave, and all comes back. */
static void all_leave(struct rig *r)
{
	uint32_t i;

	rig_settle(r);
	for (i = 0; i < PEERS; i++)
		if (r->service->peers[i].state != XM_PEER_FREE)
			rig_down(r, i);
	rig_pass(r, 2 * LEASE_MS);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	CU_ASSERT_EQUAL(r->service->clients_count, 0);
	CU_ASSERT_EQUAL(r->service->extents_count, 0);
	for (i = 0; i < POOL; i++)
		if (r->bytes[i] != 0)
			break;
	CU_ASSERT_EQUAL(i, POOL);
}

static void no_story_breaks_isolation(void)
{
	struct rig *r = malloc(sizeof(*r));
	uint32_t seed, i, j, taken;

	for (seed = 1; seed <= 40; seed++) {
		xm_rand_seed(&random_numbers, seed);
		rig_open(r);
		rig_start(r);
		for (i = 0, taken = 0; i < 4000 && r->keys_count < KEYS; i++) {
			uint32_t peer = (uint32_t)draw(PEERS);

			for (j = 0; j < r->keys_count; j++)
				if (r->keys[j].alive && draw(4) == 0)
					memset(r->bytes + r->keys[j].offset,
					       (int)r->keys[j].client | 1,
					       r->keys[j].size);
			if (r->service->peers[peer].state == XM_PEER_FREE)
				rig_up(r, peer);
			else if (draw(40) == 0)
				rig_down(r, peer);
			else
				random_message(r, peer);
			check_isolation(r);
			taken += some_commands(r);
			if (r->zero_wanted && draw(2) == 0)
				rig_zero(r);
			r->now_ns += draw(draw(10) == 0 ? 90 : 9) * XM_MS;
			rig_tick(r);
		}
		all_leave(r);
		CU_ASSERT(taken > 100);
		free(r->service);
	}
	free(r);
}

/* --- identity --------------------------------------------------------------- */

/* A stream of this identity, with the number and the secret of `w`. */
static const struct xm_message *come_back(struct rig *r, const char *identity,
					  const struct xm_welcome *w)
{
	struct xm_message m = rig_hello();

	rig_up_as(r, 1, identity);
	m.u.hello.client = w->client;
	memcpy(m.u.hello.secret, w->secret, sizeof(w->secret));
	return rig_say(r, 1, m);
}

static struct xm_welcome join_as(struct rig *r, const char *identity)
{
	rig_up_as(r, 0, identity);
	CU_ASSERT_EQUAL_FATAL(rig_say(r, 0, rig_hello())->kind, XM_WELCOME);
	return r->sent[0].u.welcome;
}

static void a_secret_is_of_no_use_under_another_certificate(void)
{
	static const char *const others[] = { "bob", "", "alic", "alice2",
					      "uid:0" };
	struct rig *r = rig_new();
	struct xm_welcome w;

	/* The place of an earlier stream with a longer name. */
	rig_up_as(r, 1, "a-name-that-is-longer");
	rig_down(r, 1);
	w = join_as(r, "alice");
	for (unsigned i = 0; i < XM_COUNT(others); i++) {
		CU_ASSERT(rig_refused(come_back(r, others[i], &w), ESTALE,
				      "does not know you"));
		CU_ASSERT_FALSE(r->dropped[0]);
		rig_down(r, 1);
	}
	rig_down(r, 0);
	CU_ASSERT_EQUAL(come_back(r, "alice", &w)->kind, XM_WELCOME);
	rig_free(r);
}

static void whose_certificate_is_revoked_has_no_memory_from_then_on(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = join_as(r, "alice");

	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_PEER_DOWN,
					       .status = -EKEYREVOKED });
	CU_ASSERT_EQUAL(r->service->expired, 1);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->clients[0].state, XM_CLIENT_FREE);
	CU_ASSERT(rig_refused(come_back(r, "alice", &w), ESTALE,
			      "does not know you"));
	rig_free(r);
}

static void who_had_no_certificate_does_not_get_one_later(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = join_as(r, "");

	rig_down(r, 0);
	CU_ASSERT(rig_refused(come_back(r, "alice", &w), ESTALE, ""));
	rig_down(r, 1);
	CU_ASSERT_EQUAL(come_back(r, "", &w)->kind, XM_WELCOME);
	rig_free(r);
}

static void a_process_may_change_its_user_and_come_back(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = join_as(r, "uid:0");

	rig_down(r, 0);
	CU_ASSERT_EQUAL(come_back(r, "uid:1000", &w)->kind, XM_WELCOME);
	rig_free(r);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_late_write_cannot_reach_the_next_owner),
		XM_TEST(without_revocation_the_owner_must_be_disconnected_first),
		XM_TEST(without_connections_quarantine_lasts_a_lease),
		XM_TEST(zeroing_goes_in_pieces),
		XM_TEST(every_freed_extent_gets_its_turn),
		XM_TEST(no_story_breaks_isolation),
		XM_TEST(a_secret_is_of_no_use_under_another_certificate),
		XM_TEST(whose_certificate_is_revoked_has_no_memory_from_then_on),
		XM_TEST(who_had_no_certificate_does_not_get_one_later),
		XM_TEST(a_process_may_change_its_user_and_come_back),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("service_isolation", tests);
}
