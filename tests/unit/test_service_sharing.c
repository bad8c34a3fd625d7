/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the service machine: extents that others may read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "tests/unit/service_rig.h"

#define A 0
#define B 1
#define C 2
#define SHARE_MS 2000

static const struct xm_message *say_grant(struct rig *r, uint32_t peer,
					  uint64_t extent, uint8_t token, uint32_t ms)
{
	struct xm_message m = { .kind = XM_GRANT };

	m.u.offer.extent = extent;
	m.u.offer.ms = ms;
	m.u.offer.token[3] = token;
	m.u.offer.label.size = 2;
	m.u.offer.label.bytes[1] = token;
	return rig_say(r, peer, m);
}

static const struct xm_message *say_open(struct rig *r, uint32_t peer,
					 uint8_t token, uint64_t after)
{
	struct xm_message m = { .kind = XM_OPEN };

	m.u.claim.token[3] = token;
	m.u.claim.after = after;
	return rig_say(r, peer, m);
}

static struct xm_claimed open_extent(struct rig *r, uint32_t peer, uint8_t token,
				     uint64_t after)
{
	say_open(r, peer, token, after);
	rig_settle(r);
	CU_ASSERT_EQUAL_FATAL(r->sent[peer].kind, XM_CLAIMED);
	return r->sent[peer].u.claimed;
}

/* A has an extent of one granule, which it shares. */
static struct rig *three(struct xm_allocated *ret)
{
	struct rig *r = rig_new();

	for (uint32_t i = A; i <= C; i++)
		rig_join(r, i);
	*ret = rig_alloc(r, A, GRANULE);
	CU_ASSERT_EQUAL(say_grant(r, A, ret->extent, 1, SHARE_MS)->kind, XM_OFFERED);
	return r;
}

static bool opens(const struct rig *r, const struct xm_remote_mr *remote)
{
	return r->keys[remote->key].alive;
}

static uint32_t rights_of(const struct rig *r)
{
	return r->commands[r->commands_count - 1].rights;
}

static void any_number_may_read_by_one_token(void)
{
	struct xm_allocated t, u;
	struct rig *r = three(&t);
	struct xm_claimed b, c;

	u = rig_alloc(r, A, 2 * GRANULE);
	say_grant(r, A, u.extent, 1, SHARE_MS);
	say_open(r, B, 1, 0);
	CU_ASSERT_EQUAL(rights_of(r), XM_RIGHT_READ);
	b = open_extent(r, B, 1, 0);
	CU_ASSERT_EQUAL(b.extent, XM_READING | t.extent);
	CU_ASSERT_EQUAL(b.size, GRANULE);
	CU_ASSERT_EQUAL(b.label.bytes[1], 1);
	CU_ASSERT_STRING_EQUAL(b.region, "r");
	CU_ASSERT_EQUAL(open_extent(r, B, 1, b.extent).extent,
			XM_READING | u.extent);
	CU_ASSERT(rig_refused(say_open(r, B, 1, XM_READING | u.extent), ENOENT, ""));
	c = open_extent(r, C, 1, 0);
	CU_ASSERT_NOT_EQUAL(c.remote.key, b.remote.key);
	CU_ASSERT(opens(r, &t.remote) && opens(r, &b.remote) && opens(r, &c.remote));
	/* Asked again it is the same one. */
	CU_ASSERT_EQUAL(say_open(r, C, 1, 0)->kind, XM_CLAIMED);
	CU_ASSERT_EQUAL(r->sent[C].u.claimed.remote.key, c.remote.key);
	/* One gives it back, and the other reads on. */
	rig_ask_free(r, C, c.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[C].kind, XM_FREED);
	CU_ASSERT(!opens(r, &c.remote) && opens(r, &b.remote));
	CU_ASSERT(rig_refused(rig_ask_free(r, C, c.extent), ESTALE, "you read no"));
	CU_ASSERT_EQUAL(r->service->readings, 2);
	rig_free(r);
}

static void a_reader_is_no_owner(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t);
	struct xm_claimed b = open_extent(r, B, 1, 0);
	struct xm_message offer = { .kind = XM_OFFER };

	CU_ASSERT(rig_refused(rig_ask_free(r, B, t.extent), ESTALE, ""));
	CU_ASSERT(rig_refused(say_grant(r, B, t.extent, 2, SHARE_MS), ESTALE, ""));
	CU_ASSERT(rig_refused(say_grant(r, B, b.extent, 2, SHARE_MS), ESTALE, ""));
	offer.u.offer.extent = b.extent;
	offer.u.offer.ms = SHARE_MS;
	CU_ASSERT(rig_refused(rig_say(r, B, offer), ESTALE, ""));
	CU_ASSERT(rig_refused(rig_ask_trim(r, A, t.extent, GRANULE), EBUSY, "shared"));
	rig_free(r);
}

static void a_wrong_token_and_a_late_one_open_nothing(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t);
	struct xm_claimed b = open_extent(r, B, 1, 0);

	CU_ASSERT(rig_refused(say_open(r, C, 2, 0), ENOENT, "no memory is shared"));
	for (int i = 0; i < 2 * SHARE_MS / LEASE_MS + 1; i++) {
		rig_pass(r, LEASE_MS / 2);
		for (uint32_t peer = A; peer <= C; peer++)
			rig_say_kind(r, peer, XM_PING);
	}
	CU_ASSERT(rig_refused(say_open(r, C, 1, 0), ENOENT, "no memory is shared"));
	/* Who has come in time reads on, and a token may get more time. */
	CU_ASSERT(opens(r, &b.remote));
	say_grant(r, A, t.extent, 1, SHARE_MS);
	open_extent(r, C, 1, 0);
	/* Nobody else ties a token that is A's. */
	t = rig_alloc(r, B, GRANULE);
	CU_ASSERT(rig_refused(say_grant(r, B, t.extent, 1, SHARE_MS), EEXIST, ""));
	rig_free(r);
}

static void a_share_for_one_identity_is_that_ones(void)
{
	struct rig *r = rig_new();
	struct xm_message m = { .kind = XM_GRANT };
	struct xm_allocated t;

	rig_join(r, A);
	for (uint32_t i = B; i <= C; i++) {
		rig_up_as(r, i, i == B ? "bob" : "eve");
		CU_ASSERT_EQUAL(rig_say(r, i, rig_hello())->kind, XM_WELCOME);
	}
	t = rig_alloc(r, A, GRANULE);
	m.u.offer.extent = t.extent;
	m.u.offer.ms = SHARE_MS;
	m.u.offer.token[3] = 1;
	strcpy(m.u.offer.identity, "bob");
	CU_ASSERT_EQUAL(rig_say(r, A, m)->kind, XM_OFFERED);
	CU_ASSERT(rig_refused(say_open(r, C, 1, 0), EACCES, "another name"));
	open_extent(r, B, 1, 0);
	rig_free(r);
}

/* B is told, and told again until it says that it knows. */
static void is_told(struct rig *r, struct xm_claimed b)
{
	CU_ASSERT_EQUAL(r->sent[B].kind, XM_REVOKED);
	CU_ASSERT_EQUAL(r->sent[B].u.parted.extent, b.extent);
	CU_ASSERT(!opens(r, &b.remote));
	rig_say_kind(r, B, XM_PING);
	CU_ASSERT_EQUAL(r->sent[B].kind, XM_REVOKED);
	CU_ASSERT_EQUAL(rig_ask_free(r, B, b.extent)->kind, XM_FREED);
	rig_say_kind(r, B, XM_PING);
	CU_ASSERT_EQUAL(r->sent[B].kind, XM_PONG);
	CU_ASSERT_EQUAL(r->service->readings, 0);
}

static void an_owner_ends_it_and_is_told_when_it_has_ended(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t);
	struct xm_claimed b = open_extent(r, B, 1, 0);

	CU_ASSERT(rig_refused(say_grant(r, A, t.extent, 1, 0), EAGAIN, "not dead"));
	CU_ASSERT(rig_refused(say_open(r, C, 1, 0), ENOENT, ""));
	rig_settle(r);
	CU_ASSERT_EQUAL(say_grant(r, A, t.extent, 1, 0)->kind, XM_OFFERED);
	is_told(r, b);
	CU_ASSERT(opens(r, &t.remote));
	rig_free(r);
}

static void it_ends_with_its_owner(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t);
	struct xm_claimed b = open_extent(r, B, 1, 0);

	rig_say_kind(r, A, XM_BYE);
	rig_settle(r);
	is_told(r, b);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

static void it_ends_when_its_extent_is_freed(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t);
	struct xm_claimed b = open_extent(r, B, 1, 0);

	rig_ask_free(r, A, t.extent);
	rig_settle(r);
	is_told(r, b);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

static void it_ends_when_its_extent_changes_hands(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t);
	struct xm_claimed b = open_extent(r, B, 1, 0);
	struct xm_message m = { .kind = XM_OFFER };

	m.u.offer.extent = t.extent;
	m.u.offer.ms = SHARE_MS;
	m.u.offer.token[3] = 9;
	rig_say(r, A, m);
	rig_settle(r);
	is_told(r, b);
	m = (struct xm_message){ .kind = XM_CLAIM };
	m.u.claim.token[3] = 9;
	rig_say(r, C, m);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[C].kind, XM_CLAIMED);
	rig_free(r);
}

static void it_ends_with_its_reader(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t);
	struct xm_claimed b = open_extent(r, B, 1, 0);

	rig_say_kind(r, B, XM_BYE);
	rig_settle(r);
	CU_ASSERT(!opens(r, &b.remote) && opens(r, &t.remote));
	CU_ASSERT_EQUAL(r->service->readings, 0);
	CU_ASSERT_EQUAL(say_grant(r, A, t.extent, 1, 0)->kind, XM_OFFERED);
	/* And what a reader was never told of is not kept for it. */
	say_grant(r, A, t.extent, 1, SHARE_MS);
	say_open(r, C, 1, 0);
	rig_down(r, C);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->readings, 0);
	rig_free(r);
}

static void what_was_opened_can_be_returned(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t);
	struct xm_message m = { .kind = XM_OFFER };
	struct xm_claimed b = open_extent(r, B, 1, 0);

	m.u.offer.flags = XM_OFFER_RETURN;
	m.u.offer.token[3] = 1;
	CU_ASSERT_EQUAL(rig_say(r, B, m)->kind, XM_OFFERED);
	CU_ASSERT(rig_refused(rig_say(r, B, m), ENOENT, "claimed nothing"));
	rig_settle(r);
	CU_ASSERT(!opens(r, &b.remote));
	say_open(r, B, 1, 0); /* whose answer B does not wait for */
	CU_ASSERT_EQUAL(rig_say(r, B, m)->kind, XM_OFFERED);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->readings, 0);
	/* Returned and opened again before its key was there, it is B's like any other. */
	say_open(r, B, 1, 0);
	CU_ASSERT_EQUAL(rig_say(r, B, m)->kind, XM_OFFERED);
	b = open_extent(r, B, 1, 0);
	say_grant(r, A, t.extent, 1, 0);
	rig_settle(r);
	is_told(r, b);
	rig_free(r);
}

static void a_transport_that_cannot_refuse_a_write_shares_nothing(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t);

	r->expose_status = -EOPNOTSUPP;
	say_open(r, B, 1, 0);
	rig_settle(r);
	CU_ASSERT(rig_refused(&r->sent[B], EOPNOTSUPP, "transport"));
	CU_ASSERT_EQUAL(r->service->readings, 0);
	r->expose_status = 0;
	open_extent(r, B, 1, 0);
	rig_free(r);
}

static void no_more_than_a_client_may_have(void)
{
	struct xm_allocated t;
	struct rig *r = three(&t);
	uint64_t after = 0;

	for (unsigned i = 1; i < PER_CLIENT; i++) {
		t = rig_alloc(r, A, GRANULE);
		say_grant(r, A, t.extent, 1, SHARE_MS);
	}
	for (unsigned i = 0; i < PER_CLIENT; i++)
		after = open_extent(r, B, 1, after).extent;
	t = rig_alloc(r, C, GRANULE);
	say_grant(r, C, t.extent, 2, SHARE_MS);
	CU_ASSERT(rig_refused(say_open(r, B, 2, 0), ENOSPC, "as many extents"));
	rig_free(r);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(any_number_may_read_by_one_token),
		XM_TEST(a_reader_is_no_owner),
		XM_TEST(a_wrong_token_and_a_late_one_open_nothing),
		XM_TEST(a_share_for_one_identity_is_that_ones),
		XM_TEST(an_owner_ends_it_and_is_told_when_it_has_ended),
		XM_TEST(it_ends_with_its_owner),
		XM_TEST(it_ends_when_its_extent_is_freed),
		XM_TEST(it_ends_when_its_extent_changes_hands),
		XM_TEST(it_ends_with_its_reader),
		XM_TEST(what_was_opened_can_be_returned),
		XM_TEST(a_transport_that_cannot_refuse_a_write_shares_nothing),
		XM_TEST(no_more_than_a_client_may_have),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("service_sharing", tests);
}
