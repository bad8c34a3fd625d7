/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of common/rand.h. */
#include <string.h>

#include "common/rand.h"
#include "tests/support/cunit.h"

/* Worked out by hand from the recurrence: the state {1, 2, 3, 4} gives
 * rotl(2 * 5, 7) * 9 = 11520, then rotl(0, 7) * 9 = 0, then 1509978240. */
static void the_first_numbers_are_those_of_the_recurrence(void)
{
	struct xm_rand r = { { 1, 2, 3, 4 } };

	CU_ASSERT_EQUAL(xm_rand_next(&r), 11520);
	CU_ASSERT_EQUAL(xm_rand_next(&r), 0);
	CU_ASSERT_EQUAL(xm_rand_next(&r), 1509978240);
}

static void splitmix_gives_its_published_numbers(void)
{
	uint64_t state = 1234567;

	CU_ASSERT_EQUAL(xm_rand_mix(&state), UINT64_C(6457827717110365317));
	CU_ASSERT_EQUAL(xm_rand_mix(&state), UINT64_C(3203168211198807973));
	CU_ASSERT_EQUAL(xm_rand_mix(&state), UINT64_C(9817491932198370423));
}

static void one_seed_gives_one_stream_and_another_another(void)
{
	struct xm_rand a, b, c;
	int same = 0;

	xm_rand_seed(&a, 0);
	xm_rand_seed(&b, 0);
	xm_rand_seed(&c, 1);
	for (int i = 0; i < 1000; i++) {
		uint64_t n = xm_rand_next(&a);

		CU_ASSERT_EQUAL(n, xm_rand_next(&b));
		same += n == xm_rand_next(&c);
	}
	CU_ASSERT_EQUAL(same, 0);
}

static void below_stays_below_and_reaches_every_number(void)
{
	struct xm_rand r;
	unsigned seen[7] = { 0 };

	xm_rand_seed(&r, 3);
	for (int i = 0; i < 7000; i++) {
		uint64_t n = xm_rand_below(&r, 7);

		CU_ASSERT_FATAL(n < 7);
		seen[n]++;
	}
	for (int i = 0; i < 7; i++)
		CU_ASSERT_TRUE(seen[i] > 800 && seen[i] < 1200);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(xm_rand_below(&r, 1), 0);
	/* A bound at which half of all draws would be biased. */
	for (int i = 0; i < 1000; i++)
		CU_ASSERT_TRUE(xm_rand_below(&r, UINT64_C(3) << 62) <
			       UINT64_C(3) << 62);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_TRUE(xm_rand_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void between_includes_both_ends(void)
{
	struct xm_rand r;
	bool low = false, high = false;

	xm_rand_seed(&r, 4);
	for (int i = 0; i < 200; i++) {
		uint64_t n = xm_rand_between(&r, 10, 12);

		CU_ASSERT_TRUE(n >= 10 && n <= 12);
		low |= n == 10;
		high |= n == 12;
	}
	CU_ASSERT_TRUE(low && high);
	CU_ASSERT_EQUAL(xm_rand_between(&r, 5, 5), 5);
	CU_ASSERT_EQUAL(xm_rand_between(&r, UINT64_MAX, UINT64_MAX),
			UINT64_MAX);
	xm_rand_between(&r, 0, UINT64_MAX);
}

static void chance_is_never_at_0_and_always_at_1000(void)
{
	struct xm_rand r;
	int hits = 0;

	xm_rand_seed(&r, 5);
	for (int i = 0; i < 10000; i++) {
		CU_ASSERT_FALSE(xm_rand_chance(&r, 0));
		CU_ASSERT_TRUE(xm_rand_chance(&r, 1000));
		hits += xm_rand_chance(&r, 100);
	}
	CU_ASSERT_TRUE(hits > 850 && hits < 1150);
}

static void a_split_leaves_the_parent_and_the_other_purposes_alone(void)
{
	struct xm_rand parent, before, weather, again, workload, second;

	xm_rand_seed(&parent, 42);
	before = parent;
	xm_rand_split(&parent, "weather", 0, &weather);
	CU_ASSERT_EQUAL(memcmp(&parent, &before, sizeof(parent)), 0);
	for (int i = 0; i < 10; i++)
		xm_rand_next(&weather);
	xm_rand_split(&parent, "weather", 0, &again);
	xm_rand_split(&parent, "workload", 0, &workload);
	xm_rand_split(&parent, "weather", 1, &second);
	xm_rand_split(&parent, "weather", 0, &weather);
	for (int i = 0; i < 100; i++) {
		uint64_t n = xm_rand_next(&weather);

		CU_ASSERT_EQUAL(n, xm_rand_next(&again));
		CU_ASSERT_NOT_EQUAL(n, xm_rand_next(&workload));
		CU_ASSERT_NOT_EQUAL(n, xm_rand_next(&second));
	}
}

static void a_child_may_take_its_parents_place(void)
{
	struct xm_rand parent, child, in_place;

	xm_rand_seed(&parent, 1);
	xm_rand_split(&parent, "x", 0, &child);
	in_place = parent;
	xm_rand_split(&in_place, "x", 0, &in_place);
	CU_ASSERT_EQUAL(memcmp(&child, &in_place, sizeof(child)), 0);
}

static void fill_writes_all_that_was_asked_and_nothing_more(void)
{
	struct xm_rand r;
	uint8_t bytes[64];

	for (size_t size = 0; size <= 33; size++) {
		uint8_t touched[64] = { 0 };

		xm_rand_seed(&r, size);
		for (int round = 0; round < 16; round++) {
			memset(bytes, 0, sizeof(bytes));
			xm_rand_fill(&r, bytes + 8, size);
			for (size_t i = 0; i < sizeof(bytes); i++)
				touched[i] |= bytes[i];
		}
		for (size_t i = 0; i < sizeof(bytes); i++)
			CU_ASSERT_EQUAL(touched[i] != 0,
					i >= 8 && i < 8 + size);
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(the_first_numbers_are_those_of_the_recurrence),
		XM_TEST(splitmix_gives_its_published_numbers),
		XM_TEST(one_seed_gives_one_stream_and_another_another),
		XM_TEST(below_stays_below_and_reaches_every_number),
		XM_TEST(between_includes_both_ends),
		XM_TEST(chance_is_never_at_0_and_always_at_1000),
		XM_TEST(a_split_leaves_the_parent_and_the_other_purposes_alone),
		XM_TEST(a_child_may_take_its_parents_place),
		XM_TEST(fill_writes_all_that_was_asked_and_nothing_more),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("rand", tests);
}
