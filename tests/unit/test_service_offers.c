/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the service machine: extents that change hands with their bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/rand.h"
#include "tests/support/cunit.h"
#include "tests/unit/service_rig.h"

#define A 0
#define B 1
#define C 2
#define OFFER_MS 2000

static const struct xm_message *say_offer(struct rig *r, uint32_t peer,
					  uint64_t extent, uint8_t token,
					  uint32_t flags, uint32_t ms)
{
	struct xm_message m = { .kind = XM_OFFER };

	m.u.offer.extent = extent;
	m.u.offer.flags = flags;
	m.u.offer.ms = ms;
	m.u.offer.token[3] = token;
	m.u.offer.label.size = 2;
	m.u.offer.label.bytes[1] = token;
	return rig_say(r, peer, m);
}

static const struct xm_message *say_claim(struct rig *r, uint32_t peer,
					  uint8_t token, uint64_t after)
{
	struct xm_message m = { .kind = XM_CLAIM };

	m.u.claim.token[3] = token;
	m.u.claim.after = after;
	return rig_say(r, peer, m);
}

static void part_with(struct rig *r, uint32_t peer, uint64_t extent,
		      uint8_t token)
{
	say_offer(r, peer, extent, token, 0, OFFER_MS);
	rig_settle(r);
	CU_ASSERT_EQUAL_FATAL(r->sent[peer].kind, XM_OFFERED);
}

static struct xm_claimed claim(struct rig *r, uint32_t peer, uint8_t token,
			       uint64_t after)
{
	say_claim(r, peer, token, after);
	rig_settle(r);
	CU_ASSERT_EQUAL_FATAL(r->sent[peer].kind, XM_CLAIMED);
	return r->sent[peer].u.claimed;
}

/* A has an extent of one granule with this value in it. */
static struct rig *three(struct xm_allocated *ret, uint8_t value)
{
	struct rig *r = rig_new();

	for (uint32_t i = A; i <= C; i++)
		rig_join(r, i);
	*ret = rig_alloc(r, A, GRANULE);
	CU_ASSERT_TRUE(rig_write(r, &ret->remote, value));
	return r;
}

static bool has(const struct rig *r, const struct xm_remote_mr *remote,
		uint8_t value)
{
	return r->bytes[r->keys[remote->key].offset] == value;
}

static void bytes_go_to_whoever_has_the_token(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t, 7);
	struct xm_claimed c;

	part_with(r, A, t.extent, 1);
	CU_ASSERT_FALSE(rig_write(r, &t.remote, 8));
	CU_ASSERT(rig_refused(say_claim(r, B, 2, 0), ENOENT, "no memory waits"));
	c = claim(r, B, 1, 0);
	CU_ASSERT_EQUAL(c.extent, t.extent);
	CU_ASSERT_EQUAL(c.size, GRANULE);
	CU_ASSERT_TRUE(c.epoch > t.epoch);
	CU_ASSERT_EQUAL(c.label.size, 2);
	CU_ASSERT_EQUAL(c.label.bytes[1], 1);
	CU_ASSERT_STRING_EQUAL(c.region, "r");
	CU_ASSERT_TRUE(has(r, &c.remote, 7));
	CU_ASSERT_EQUAL(r->sent[A].kind, XM_PARTED);
	CU_ASSERT_EQUAL(r->sent[A].u.parted.extent, t.extent);
	CU_ASSERT_FALSE(rig_write(r, &t.remote, 8));
	CU_ASSERT_TRUE(rig_write(r, &c.remote, 9));
	/* It is not A's any more, in any sense. */
	CU_ASSERT(rig_refused(rig_ask_free(r, A, t.extent), ESTALE, ""));
	rig_ask_free(r, B, t.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

static void a_claim_waits_until_the_former_key_is_dead(void)
{
	struct rig *r = malloc(sizeof(*r));
	struct xm_welcome w;
	struct xm_allocated t;

	rig_open(r);
	r->options.revokes = false;
	rig_start(r);
	w = rig_join(r, A);
	rig_join(r, B);
	t = rig_alloc(r, A, GRANULE);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_CONNECTIONS,
					   .client = w.client,
					   .connections = 1 });
	part_with(r, A, t.extent, 1);
	CU_ASSERT(rig_refused(say_claim(r, B, 1, 0), EAGAIN, "not dead"));
	CU_ASSERT_EQUAL(say_offer(r, A, t.extent, 1, 0, OFFER_MS)->kind,
			XM_OFFERED);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_CONNECTIONS,
					   .client = w.client,
					   .connections = 0 });
	claim(r, B, 1, 0);
	rig_free(r);
}

static void a_token_is_used_once(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t, 7);
	struct xm_claimed c;

	part_with(r, A, t.extent, 1);
	c = claim(r, B, 1, 0);
	CU_ASSERT(rig_refused(say_claim(r, C, 1, 0), EBUSY, "has an owner"));
	CU_ASSERT(rig_refused(say_claim(r, A, 1, 0), EBUSY, "has an owner"));
	/* The claimer, who has not heard it, is told again. */
	CU_ASSERT_EQUAL(say_claim(r, B, 1, 0)->kind, XM_CLAIMED);
	CU_ASSERT_EQUAL(r->sent[B].u.claimed.remote.key, c.remote.key);
	CU_ASSERT(rig_refused(say_claim(r, B, 1, c.extent), ENOENT, ""));
	/* And then it is B's alone. */
	CU_ASSERT_EQUAL(say_offer(r, B, c.extent, 0, XM_OFFER_KEEP, 0)->kind,
			XM_OFFERED);
	CU_ASSERT(rig_refused(say_claim(r, C, 1, 0), ENOENT, ""));
	rig_say_kind(r, B, XM_BYE);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

static void a_claimer_that_ends_half_way_leaves_a_way_back(void)
{
	struct xm_allocated t, u;
	struct rig *r = three(&t, 7);
	struct xm_claimed c;

	u = rig_alloc(r, A, 2 * GRANULE);
	rig_write(r, &u.remote, 5);
	part_with(r, A, t.extent, 1);
	part_with(r, A, u.extent, 1);
	c = claim(r, B, 1, 0);
	rig_write(r, &c.remote, 8);
	rig_say_kind(r, B, XM_BYE);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->bytes_orphaned, 3 * GRANULE);
	c = claim(r, A, 1, 0);
	CU_ASSERT_TRUE(has(r, &c.remote, 8));
	c = claim(r, A, 1, c.extent);
	CU_ASSERT_EQUAL(c.extent, u.extent);
	CU_ASSERT_TRUE(has(r, &c.remote, 5));
	CU_ASSERT_EQUAL(r->service->bytes_orphaned, 0);
	rig_free(r);
}

static void a_claim_that_nobody_hears_of_is_undone(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t, 7);
	struct xm_claimed c;

	part_with(r, A, t.extent, 1);
	say_claim(r, B, 1, 0);
	rig_down(r, B);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->bytes_orphaned, GRANULE);
	r->expose_status = -ENOMEM;
	say_claim(r, C, 1, 0);
	rig_settle(r);
	CU_ASSERT(rig_refused(&r->sent[C], ENOMEM, "could not expose"));
	r->expose_status = 0;
	c = claim(r, C, 1, 0);
	CU_ASSERT_TRUE(has(r, &c.remote, 7));
	rig_free(r);
}

static void an_offer_may_be_said_again(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t, 7);

	part_with(r, A, t.extent, 1);
	CU_ASSERT_EQUAL(say_offer(r, A, t.extent, 1, 0, OFFER_MS)->kind,
			XM_OFFERED);
	/* But by A alone, under that token alone. */
	CU_ASSERT(rig_refused(say_offer(r, B, t.extent, 1, 0, OFFER_MS), ESTALE,
			      ""));
	CU_ASSERT(rig_refused(say_offer(r, A, t.extent, 2, 0, OFFER_MS), ESTALE,
			      ""));
	rig_free(r);
}

static void what_was_claimed_can_be_returned(void)
{
	struct xm_allocated t, u;
	struct rig *r = three(&t, 7);
	struct xm_claimed c;

	u = rig_alloc(r, A, 2 * GRANULE);
	part_with(r, A, t.extent, 1);
	part_with(r, A, u.extent, 1);
	c = claim(r, B, 1, 0);
	say_claim(r, B, 1, c.extent); /* whose answer B does not wait for */
	say_offer(r, B, 0, 1, XM_OFFER_RETURN, 0);
	CU_ASSERT_EQUAL(r->sent[B].kind, XM_OFFERED);
	say_offer(r, B, 0, 1, XM_OFFER_RETURN, 0);
	CU_ASSERT_EQUAL(r->sent[B].kind, XM_OFFERED);
	CU_ASSERT(rig_refused(say_offer(r, B, 0, 1, XM_OFFER_RETURN, 0), ENOENT,
			      "claimed nothing"));
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->bytes_orphaned, 3 * GRANULE);
	CU_ASSERT_FALSE(rig_write(r, &c.remote, 9));
	/* A has parted with it, and may say so again. */
	CU_ASSERT_EQUAL(say_offer(r, A, t.extent, 1, 0, OFFER_MS)->kind,
			XM_OFFERED);
	c = claim(r, C, 1, 0);
	CU_ASSERT_TRUE(has(r, &c.remote, 7));
	/* What is kept, and was not claimed, is not returned by its owner. */
	u = rig_alloc(r, B, GRANULE);
	say_offer(r, B, u.extent, 3, XM_OFFER_KEEP, OFFER_MS);
	CU_ASSERT(rig_refused(say_offer(r, B, 0, 3, XM_OFFER_RETURN, 0), ENOENT,
			      ""));
	CU_ASSERT(rig_refused(say_claim(r, B, 3, 0), EBUSY, "has an owner"));
	rig_free(r);
}

static void an_offer_ends_with_its_time(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t, 7);

	part_with(r, A, t.extent, 1);
	for (int i = 0; i < 2 * OFFER_MS / LEASE_MS - 1; i++) {
		rig_pass(r, LEASE_MS / 2);
		rig_say_kind(r, B, XM_PING);
	}
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - GRANULE);
	rig_pass(r, LEASE_MS);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	CU_ASSERT_EQUAL(r->service->bytes_orphaned, 0);
	rig_free(r);
}

static void what_is_kept_outlives_its_owner(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t, 7);
	struct xm_claimed c;

	CU_ASSERT_EQUAL(say_offer(r, A, t.extent, 4, XM_OFFER_KEEP,
				  XM_OFFER_FOR_EVER)->kind, XM_OFFERED);
	CU_ASSERT_TRUE(rig_write(r, &t.remote, 8));
	CU_ASSERT(rig_refused(say_claim(r, B, 4, 0), EBUSY, "has an owner"));
	rig_pass(r, 2 * LEASE_MS); /* silence ends them all */
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->bytes_orphaned, GRANULE);
	CU_ASSERT_FALSE(rig_write(r, &t.remote, 9));
	rig_pass(r, 100 * LEASE_MS);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - GRANULE);
	rig_join(r, 5);
	c = claim(r, 5, 4, 0);
	CU_ASSERT_TRUE(has(r, &c.remote, 8));
	/* It is kept for the next one, too. */
	rig_say_kind(r, 5, XM_BYE);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->bytes_orphaned, GRANULE);
	rig_free(r);
}

static void an_orphan_is_listed_without_an_owner(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t, 7);
	const struct xm_list_entry *e;

	part_with(r, A, t.extent, 1);
	CU_ASSERT_EQUAL(rig_say_kind(r, B, XM_LIST)->kind, XM_LISTED);
	CU_ASSERT_EQUAL(r->sent[B].u.listed.count, 1);
	e = &r->sent[B].u.listed.entries[0];
	CU_ASSERT_EQUAL(e->extent, t.extent);
	CU_ASSERT_EQUAL(e->client, 0);
	CU_ASSERT_STRING_EQUAL(e->owner, "");
	CU_ASSERT_EQUAL(rig_say_kind(r, B, XM_STATUS)->kind, XM_STATE);
	CU_ASSERT_EQUAL(xm_figures_get(&r->sent[B].u.state.figures,
				       XM_FIGURE_ORPHANED), GRANULE);
	rig_free(r);
}

static void an_offer_may_name_who_claims_it(void)
{
	struct rig *r = rig_new();
	struct xm_message m = { .kind = XM_OFFER };

	rig_up_as(r, A, "alice");
	rig_say(r, A, rig_hello());
	rig_up_as(r, B, "bob");
	rig_say(r, B, rig_hello());
	rig_up_as(r, C, "carol");
	rig_say(r, C, rig_hello());
	m.u.offer.extent = rig_alloc(r, A, GRANULE).extent;
	m.u.offer.ms = OFFER_MS;
	memcpy(m.u.offer.identity, "bob", 3);
	rig_say(r, A, m);
	rig_settle(r);
	CU_ASSERT(rig_refused(say_claim(r, C, 0, 0), EACCES, "another name"));
	claim(r, B, 0, 0);
	rig_free(r);
}

static void who_has_parted_with_it_takes_it_back(void)
{
	struct rig *r = rig_new();
	struct xm_message m = { .kind = XM_OFFER };
	struct xm_allocated t;

	rig_up_as(r, A, "alice");
	rig_say(r, A, rig_hello());
	t = rig_alloc(r, A, GRANULE);
	CU_ASSERT_TRUE(rig_write(r, &t.remote, 7));
	m.u.offer.extent = t.extent;
	m.u.offer.ms = OFFER_MS;
	m.u.offer.token[3] = 1;
	memcpy(m.u.offer.identity, "bob", 3);
	rig_say(r, A, m);
	rig_settle(r);
	t.remote = claim(r, A, 1, 0).remote;
	CU_ASSERT_TRUE(has(r, &t.remote, 7));
	rig_free(r);
}

static void an_offer_for_no_time_is_refused(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t, 7);

	CU_ASSERT(rig_refused(say_offer(r, A, t.extent, 1, 0, 0), EINVAL, "0 ms"));
	CU_ASSERT_TRUE(rig_write(r, &t.remote, 8));
	rig_free(r);
}

/* Its time runs from its first owner's end, however many end after that. */
static void the_time_of_what_is_kept_is_not_prolonged(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t, 7);

	say_offer(r, A, t.extent, 4, XM_OFFER_KEEP, OFFER_MS);
	rig_say_kind(r, A, XM_BYE);
	rig_settle(r);
	for (int i = 0; i < OFFER_MS / LEASE_MS + 1; i++) {
		if (rig_free_bytes(r) == POOL)
			break;
		claim(r, B, 4, 0);
		rig_say_kind(r, B, XM_BYE);
		rig_settle(r);
		rig_down(r, B);
		rig_pass(r, LEASE_MS);
		rig_settle(r);
		rig_join(r, B);
	}
	rig_pass(r, LEASE_MS);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

/* Its claimer's OFFER was lost, and it lives: the token must not lead to its bytes. */
static void what_was_claimed_long_ago_is_untied(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t, 7);
	struct xm_claimed c;

	say_offer(r, A, t.extent, 1, 0, 1u << 30);
	rig_settle(r);
	c = claim(r, B, 1, 0);
	for (uint64_t ns = 0; ns < XM_SERVICE_CLAIM_TERM + LEASE_MS * XM_MS;
	     ns += LEASE_MS / 2 * XM_MS) {
		rig_pass(r, LEASE_MS / 2);
		rig_say_kind(r, B, XM_PING);
		rig_say_kind(r, C, XM_PING);
	}
	rig_settle(r);
	CU_ASSERT_TRUE(rig_write(r, &c.remote, 9));
	CU_ASSERT(rig_refused(say_claim(r, C, 1, 0), ENOENT, ""));
	rig_say_kind(r, B, XM_BYE);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

/* Or B would lay its bytes where A's are looked for. */
static void a_token_is_of_one_client(void)
{
	struct xm_allocated t, u;
	struct rig *r = three(&t, 7);

	say_offer(r, A, t.extent, 1, XM_OFFER_KEEP, OFFER_MS);
	u = rig_alloc(r, B, GRANULE);
	CU_ASSERT(rig_refused(say_offer(r, B, u.extent, 1, XM_OFFER_KEEP, OFFER_MS),
			      EEXIST, "another client's"));
	CU_ASSERT(rig_refused(say_offer(r, B, u.extent, 1, 0, OFFER_MS), EEXIST,
			      ""));
	part_with(r, A, t.extent, 1);
	CU_ASSERT(rig_refused(say_offer(r, B, u.extent, 1, 0, OFFER_MS), EEXIST,
			      ""));
	CU_ASSERT_TRUE(rig_write(r, &u.remote, 8));
	u = rig_alloc(r, A, GRANULE);
	part_with(r, A, u.extent, 1);
	CU_ASSERT_EQUAL(claim(r, B, 1, t.extent).extent, u.extent);
	rig_free(r);
}

static void not_everything_is_kept_for_long(void)
{
	struct rig *r = malloc(sizeof(*r));
	struct xm_allocated t, u;

	rig_open(r);
	r->options.kept_percent = 50;
	rig_start(r);
	rig_join(r, A);
	t = rig_alloc(r, A, POOL / 2 - GRANULE);
	u = rig_alloc(r, A, 2 * GRANULE);
	say_offer(r, A, t.extent, 1, XM_OFFER_KEEP, XM_OFFER_FOR_EVER);
	CU_ASSERT_EQUAL(r->sent[A].kind, XM_OFFERED);
	CU_ASSERT(rig_refused(say_offer(r, A, u.extent, 2, 0, XM_SERVICE_KEPT_MS + 1),
			      ENOSPC, "kept-percent"));
	CU_ASSERT_TRUE(rig_write(r, &u.remote, 8));
	part_with(r, A, u.extent, 2); /* for a short time */
	/* Again, for as long: that is no more than before. */
	CU_ASSERT_EQUAL(say_offer(r, A, t.extent, 1, XM_OFFER_KEEP,
				  XM_OFFER_FOR_EVER)->kind, XM_OFFERED);
	say_offer(r, A, t.extent, 1, XM_OFFER_KEEP, 0);
	CU_ASSERT_EQUAL(r->service->bytes_kept, 0);
	rig_free(r);
}

static void the_admin_frees_an_orphan(void)
{
	struct xm_allocated t, u;
	struct rig *r = three(&t, 7);

	u = rig_alloc(r, A, GRANULE);
	part_with(r, A, t.extent, 1);
	rig_ask_free(r, B, t.extent); /* without tenants all may */
	CU_ASSERT_EQUAL(r->sent[B].kind, XM_FREED);
	rig_settle(r);
	CU_ASSERT(rig_refused(say_claim(r, C, 1, 0), ENOENT, ""));
	CU_ASSERT(rig_refused(rig_ask_free(r, B, u.extent), ESTALE, ""));
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - GRANULE);
	rig_free(r);
}

/* However many others wait. */
static void a_claim_looks_at_its_token(void)
{
	struct rig *r = rig_new();
	uint64_t looks;

	rig_join(r, A);
	rig_join(r, B);
	for (uint8_t k = 1; k <= PER_CLIENT; k++)
		say_offer(r, A, rig_alloc(r, A, GRANULE).extent, k,
			  XM_OFFER_KEEP, OFFER_MS);
	looks = r->service->looks;
	say_claim(r, B, 3, 0);
	CU_ASSERT(r->service->looks - looks <= 1 + PER_CLIENT / 2);
	rig_free(r);
}

static void what_is_cut_off_is_kept_too(void)
{
	struct xm_allocated t;
	struct rig *r = rig_new();
	uint64_t extent;

	rig_join(r, A);
	t = rig_alloc(r, A, 2 * GRANULE);
	say_offer(r, A, t.extent, 4, XM_OFFER_KEEP, XM_OFFER_FOR_EVER);
	rig_ask_trim(r, A, t.extent, GRANULE);
	rig_settle(r);
	CU_ASSERT_EQUAL_FATAL(r->sent[A].kind, XM_ALLOCATED);
	extent = r->sent[A].u.allocated.extent;
	rig_ask_free(r, A, t.extent);
	rig_settle(r);
	rig_say_kind(r, A, XM_BYE);
	rig_settle(r);
	rig_join(r, B);
	CU_ASSERT_EQUAL(claim(r, B, 4, 0).extent, extent);
	rig_free(r);
}

static void an_offer_is_answered_as_such_after_its_time(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t, 7);

	say_offer(r, A, t.extent, 1, 0, 1);
	rig_pass(r, LEASE_MS / 2);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[A].kind, XM_OFFERED);
	rig_free(r);
}

static void an_offer_that_was_claimed_is_answered_again(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t, 7);
	struct xm_claimed c;

	say_offer(r, A, t.extent, 1, 0, OFFER_MS);
	CU_ASSERT_EQUAL(say_offer(r, A, t.extent, 1, 0, OFFER_MS)->kind, 0);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[A].kind, XM_OFFERED);
	c = claim(r, B, 1, 0);
	CU_ASSERT_EQUAL(say_offer(r, A, t.extent, 1, 0, OFFER_MS)->kind,
			XM_OFFERED);
	CU_ASSERT_TRUE(rig_write(r, &c.remote, 9));
	rig_free(r);
}

/* --- any order of it all ----------------------------------------------------- */

#define TOKENS 3

/* What has been written last to the extent of each token, and who owns it. */
struct moved {
	struct xm_remote_mr remote;
	uint64_t extent;
	uint32_t owner; /* a peer; PEERS: nobody */
	uint8_t value;
};

static struct xm_rand random_numbers;
static struct xm_welcome who[3];

/* The stream broke, and the client comes back. */
static void comes_back(struct rig *r, uint32_t peer)
{
	struct xm_message m = rig_hello();

	m.u.hello.client = who[peer].client;
	memcpy(m.u.hello.secret, who[peer].secret, XM_SECRET_SIZE);
	rig_up(r, peer);
	CU_ASSERT_EQUAL_FATAL(rig_say(r, peer, m)->kind, XM_WELCOME);
}

static void peer_ends(struct rig *r, uint32_t peer, struct moved *all)
{
	rig_say_kind(r, peer, XM_BYE);
	rig_settle(r);
	rig_down(r, peer);
	for (uint8_t k = 0; k < TOKENS; k++) {
		if (all[k].owner == peer)
			all[k].owner = PEERS;
	}
	who[peer] = rig_join(r, peer);
}

static void owner_does(struct rig *r, struct moved *m, uint8_t token)
{
	uint8_t value = (uint8_t)(1 + xm_rand_below(&random_numbers, 250));

	CU_ASSERT_TRUE_FATAL(rig_write(r, &m->remote, value));
	m->value = value;
	if (xm_rand_chance(&random_numbers, 300)) {
		say_offer(r, m->owner, m->extent, token, 0, 1u << 30);
		if (xm_rand_chance(&random_numbers, 300))
			rig_down(r, m->owner);
		rig_settle(r);
		CU_ASSERT_FALSE(rig_write(r, &m->remote, 255));
		if (r->service->peers[m->owner].state == XM_PEER_FREE)
			comes_back(r, m->owner);
		m->owner = PEERS;
	}
}

static void anybody_claims(struct rig *r, struct moved *m, uint8_t token)
{
	uint32_t peer = (uint32_t)xm_rand_below(&random_numbers, 3);
	bool cut = xm_rand_chance(&random_numbers, 200);

	say_claim(r, peer, token, 0);
	if (cut)
		rig_down(r, peer);
	rig_settle(r);
	if (cut) {
		comes_back(r, peer);
		return;
	}
	if (m->owner != PEERS) {
		CU_ASSERT(rig_refused(&r->sent[peer], EBUSY, "") ||
			  peer == m->owner);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(r->sent[peer].kind, XM_CLAIMED);
	CU_ASSERT_EQUAL(r->sent[peer].u.claimed.extent, m->extent);
	m->owner = peer;
	m->remote = r->sent[peer].u.claimed.remote;
	CU_ASSERT_TRUE(has(r, &m->remote, m->value));
}

static void never_two_owners_and_never_none(void)
{
	struct rig *r = malloc(sizeof(*r));
	struct moved all[TOKENS] = { 0 };

	rig_open(r);
	rig_start(r);
	xm_rand_seed(&random_numbers, 15);
	for (uint32_t i = 0; i < 3; i++)
		who[i] = rig_join(r, i);
	for (uint8_t k = 0; k < TOKENS; k++) {
		struct xm_allocated t = rig_alloc(r, k, GRANULE * (1 + k));

		all[k] = (struct moved){ t.remote, t.extent, k, 0 };
		say_offer(r, k, t.extent, k, XM_OFFER_KEEP, XM_OFFER_FOR_EVER);
	}
	for (int i = 0; i < 3000 && r->keys_count < KEYS - 8; i++) {
		uint8_t k = (uint8_t)xm_rand_below(&random_numbers, TOKENS);

		if (xm_rand_chance(&random_numbers, 50))
			peer_ends(r, (uint32_t)xm_rand_below(&random_numbers, 3),
				  all);
		else if (all[k].owner == PEERS ||
			 xm_rand_chance(&random_numbers, 300))
			anybody_claims(r, &all[k], k);
		else
			owner_does(r, &all[k], k);
	}
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - 6 * GRANULE);
	rig_free(r);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(bytes_go_to_whoever_has_the_token),
		XM_TEST(a_claim_waits_until_the_former_key_is_dead),
		XM_TEST(a_token_is_used_once),
		XM_TEST(a_claimer_that_ends_half_way_leaves_a_way_back),
		XM_TEST(a_claim_that_nobody_hears_of_is_undone),
		XM_TEST(an_offer_may_be_said_again),
		XM_TEST(what_was_claimed_can_be_returned),
		XM_TEST(an_offer_ends_with_its_time),
		XM_TEST(what_is_kept_outlives_its_owner),
		XM_TEST(an_orphan_is_listed_without_an_owner),
		XM_TEST(an_offer_may_name_who_claims_it),
		XM_TEST(who_has_parted_with_it_takes_it_back),
		XM_TEST(an_offer_for_no_time_is_refused),
		XM_TEST(the_time_of_what_is_kept_is_not_prolonged),
		XM_TEST(what_was_claimed_long_ago_is_untied),
		XM_TEST(a_token_is_of_one_client),
		XM_TEST(not_everything_is_kept_for_long),
		XM_TEST(the_admin_frees_an_orphan),
		XM_TEST(a_claim_looks_at_its_token),
		XM_TEST(what_is_cut_off_is_kept_too),
		XM_TEST(an_offer_is_answered_as_such_after_its_time),
		XM_TEST(an_offer_that_was_claimed_is_answered_again),
		XM_TEST(never_two_owners_and_never_none),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("service_offers", tests);
}
