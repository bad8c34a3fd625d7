/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of core/spin.h. */
#include "spin.h"
#include "tests/cunit.h"

static void learn(struct xm_spin *s, uint64_t ns, int times)
{
	for (int i = 0; i < times; i++)
		xm_spin_learn(s, ns);
}

static void at_first_it_looks_as_long_as_it_ever_does(void)
{
	struct xm_spin s;

	xm_spin_init(&s, XM_POLLING_ADAPTIVE);
	CU_ASSERT_TRUE(xm_spin_ns(&s) <= XM_SPIN_MAX_NS);
	CU_ASSERT_TRUE(xm_spin_ns(&s) > XM_SPIN_MAX_NS - XM_US);
}

static void it_looks_for_three_times_what_is_usual(void)
{
	struct xm_spin s;

	xm_spin_init(&s, XM_POLLING_ADAPTIVE);
	learn(&s, 40 * XM_US, 100);
	CU_ASSERT_TRUE(xm_spin_ns(&s) > 100 * XM_US);
	CU_ASSERT_TRUE(xm_spin_ns(&s) < 140 * XM_US);
	learn(&s, 10 * XM_US, 100);
	CU_ASSERT_TRUE(xm_spin_ns(&s) > 25 * XM_US);
	CU_ASSERT_TRUE(xm_spin_ns(&s) < 35 * XM_US);
}

static void it_stays_within_its_bounds(void)
{
	struct xm_spin s;

	xm_spin_init(&s, XM_POLLING_ADAPTIVE);
	learn(&s, 0, 1000);
	CU_ASSERT_EQUAL(xm_spin_ns(&s), XM_SPIN_MIN_NS);
	learn(&s, XM_SPIN_MAX_NS - 1, 1000);
	CU_ASSERT_EQUAL(xm_spin_ns(&s), XM_SPIN_MAX_NS);
	learn(&s, XM_NEVER, 1000);
	CU_ASSERT_EQUAL(xm_spin_ns(&s), XM_SPIN_MIN_NS);
}

static void one_wait_of_a_second_changes_next_to_nothing(void)
{
	struct xm_spin s;
	uint64_t before;

	xm_spin_init(&s, XM_POLLING_ADAPTIVE);
	learn(&s, 20 * XM_US, 100);
	before = xm_spin_ns(&s);
	xm_spin_learn(&s, XM_SECOND);
	CU_ASSERT_TRUE(xm_spin_ns(&s) <= before + before / 8);
}

static void what_is_slow_for_long_is_not_looked_for_and_may_become_fast(void)
{
	struct xm_spin s;

	xm_spin_init(&s, XM_POLLING_ADAPTIVE);
	learn(&s, XM_MS, 1000);
	CU_ASSERT_EQUAL(xm_spin_ns(&s), XM_SPIN_MIN_NS);
	/* A short look sees it, or a sleep that was shorter than looking. */
	learn(&s, 60 * XM_US, 40);
	CU_ASSERT_TRUE(xm_spin_ns(&s) > 150 * XM_US);
}

static void forced_it_never_sleeps_or_always_does(void)
{
	struct xm_spin s;

	xm_spin_init(&s, XM_POLLING_BUSY);
	learn(&s, XM_SECOND, 100);
	CU_ASSERT_EQUAL(xm_spin_ns(&s), XM_NEVER);
	xm_spin_init(&s, XM_POLLING_BLOCK);
	learn(&s, XM_US, 100);
	CU_ASSERT_EQUAL(xm_spin_ns(&s), 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(at_first_it_looks_as_long_as_it_ever_does),
		XM_TEST(it_looks_for_three_times_what_is_usual),
		XM_TEST(it_stays_within_its_bounds),
		XM_TEST(one_wait_of_a_second_changes_next_to_nothing),
		XM_TEST(what_is_slow_for_long_is_not_looked_for_and_may_become_fast),
		XM_TEST(forced_it_never_sleeps_or_always_does),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("spin", tests);
}
