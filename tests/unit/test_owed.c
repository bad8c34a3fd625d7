/* SPDX-License-Identifier: BSD-3-Clause */
/* What a session owes its appliance, alone: owed.h. What the session does with it is in
 * test_session.c. */
#include <string.h>

#include "tests/support/cunit.h"
#include "core/pure/owed.h"

static struct xm_owed owed;
static uint64_t extent;

/* The message under way is answered by one of this kind. */
static bool answered(enum xm_message_kind kind, uint64_t names)
{
	struct xm_message m = { .kind = kind };

	if (kind == XM_ALLOCATED)
		m.u.allocated.extent = names;
	return xm_owed_settled(&owed, &m, &extent);
}

static void frees(uint64_t wanted)
{
	const struct xm_message *m = xm_owed_next(&owed);

	CU_ASSERT_FATAL(m != NULL);
	CU_ASSERT_EQUAL(m->kind, XM_FREE);
	CU_ASSERT_EQUAL(m->u.free.extent, wanted);
	CU_ASSERT_FALSE(answered(XM_FREED, 0));
}

static void a_lost_alloc_is_asked_about_under_its_number(void)
{
	struct xm_message alloc = { .kind = XM_ALLOC };
	const struct xm_message *m;

	xm_owed_init(&owed);
	xm_owed_outcome(&owed, &alloc, 7);
	m = xm_owed_next(&owed);
	CU_ASSERT_FATAL(m != NULL);
	CU_ASSERT_EQUAL(m->kind, XM_ALLOC);
	CU_ASSERT_EQUAL(m->u.alloc.size, 0);
	CU_ASSERT_TRUE(xm_owed_asks(&owed, 7));
	CU_ASSERT_FALSE(xm_owed_asks(&owed, 8));
	CU_ASSERT_PTR_NULL(xm_owed_next(&owed)); /* one at a time */
	CU_ASSERT_TRUE(answered(XM_ALLOCATED, 5));
	CU_ASSERT_EQUAL(extent, 5);
	CU_ASSERT_TRUE(xm_owed_is_empty(&owed)); /* its caller owes it */
}

static void what_was_under_way_is_asked_again(void)
{
	xm_owed_init(&owed);
	xm_owed_extent(&owed, 3);
	CU_ASSERT_PTR_NOT_NULL(xm_owed_next(&owed));
	xm_owed_again(&owed);
	frees(3);
	CU_ASSERT_TRUE(xm_owed_is_empty(&owed));
}

static void a_token_gets_back_all_that_was_claimed_by_it(void)
{
	uint8_t token[XM_TOKEN_SIZE] = { 9 };
	const struct xm_message *m;

	xm_owed_init(&owed);
	xm_owed_return(&owed, token);
	for (int i = 0; i < 2; i++) {
		m = xm_owed_next(&owed);
		CU_ASSERT_FATAL(m != NULL);
		CU_ASSERT_EQUAL(m->kind, XM_OFFER);
		CU_ASSERT_EQUAL(m->u.offer.flags, XM_OFFER_RETURN);
		CU_ASSERT_EQUAL(memcmp(m->u.offer.token, token, XM_TOKEN_SIZE), 0);
		CU_ASSERT_EQUAL(owed.returns, 1);
		CU_ASSERT_FALSE(answered(i == 0 ? XM_OFFERED : XM_REFUSED, 0));
	}
	CU_ASSERT_EQUAL(owed.returns, 0);
	CU_ASSERT_TRUE(xm_owed_is_empty(&owed));
}

static void heads_are_owed_when_their_extent_is_freed(void)
{
	struct xm_message trim = { .kind = XM_TRIM };

	xm_owed_init(&owed);
	for (uint32_t i = 1; i <= 3; i++) {
		trim.u.trim.extent = i % 2;
		xm_owed_outcome(&owed, &trim, i);
	}
	CU_ASSERT_EQUAL(xm_owed_trim(&owed, 1), 3);
	xm_owed_trim_known(&owed, 3);
	CU_ASSERT_EQUAL(xm_owed_trim(&owed, 1), 1);
	CU_ASSERT_EQUAL(owed.count, 0);
	xm_owed_heads(&owed, 1);
	CU_ASSERT_EQUAL(owed.count, 1);
	CU_ASSERT_EQUAL(owed.unsure_count, 1);
	CU_ASSERT_EQUAL(xm_owed_trim(&owed, 1), 0);
}

static void it_is_bounded(void)
{
	struct xm_message trim = { .kind = XM_TRIM };

	xm_owed_init(&owed);
	for (uint64_t i = 0; i <= XM_OWED_MAX; i++)
		xm_owed_extent(&owed, i + 1);
	for (uint64_t i = 0; i < XM_OWED_MAX; i++)
		frees(i + 1);
	CU_ASSERT_TRUE(xm_owed_is_empty(&owed));
	trim.u.trim.extent = 5;
	for (uint32_t i = 0; i <= XM_UNSURE_MAX; i++)
		xm_owed_outcome(&owed, &trim, i + 1);
	CU_ASSERT_EQUAL(owed.unsure_count, XM_UNSURE_MAX);
	xm_owed_heads(&owed, 5);
	CU_ASSERT_EQUAL(owed.count, XM_UNSURE_MAX);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_lost_alloc_is_asked_about_under_its_number),
		XM_TEST(what_was_under_way_is_asked_again),
		XM_TEST(a_token_gets_back_all_that_was_claimed_by_it),
		XM_TEST(heads_are_owed_when_their_extent_is_freed),
		XM_TEST(it_is_bounded),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("owed", tests);
}
