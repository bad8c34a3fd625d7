/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of common/spin.h. */
#include "common/spin.h"
#include "tests/support/cunit.h"

static void saw(struct xm_spin *s, uint64_t ns, int times)
{
	for (int i = 0; i < times; i++)
		xm_spin_learn(s, ns, false);
}

static void slept(struct xm_spin *s, int times)
{
	for (int i = 0; i < times; i++)
		xm_spin_learn(s, XM_MS, true);
}

/* Waits of so long each, as a thread does them: it looks, then sleeps; a sleep
 * costs 50 us more. Returns how many ended in a sleep. */
static int wait_each(struct xm_spin *s, uint64_t ns, int times)
{
	int sleeps = 0;

	for (int i = 0; i < times; i++) {
		bool sleeping = ns > xm_spin_ns(s);

		sleeps += sleeping;
		xm_spin_learn(s, sleeping ? ns + 50 * XM_US : ns, sleeping);
	}
	return sleeps;
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
	saw(&s, 40 * XM_US, 100);
	CU_ASSERT_TRUE(xm_spin_ns(&s) > 100 * XM_US);
	CU_ASSERT_TRUE(xm_spin_ns(&s) < 140 * XM_US);
	saw(&s, 20 * XM_US, 100);
	CU_ASSERT_TRUE(xm_spin_ns(&s) > 50 * XM_US);
	CU_ASSERT_TRUE(xm_spin_ns(&s) < 70 * XM_US);
}

static void it_stays_within_its_bounds(void)
{
	struct xm_spin s;

	xm_spin_init(&s, XM_POLLING_ADAPTIVE);
	saw(&s, 0, 1000);
	CU_ASSERT_EQUAL(xm_spin_ns(&s), XM_SPIN_MIN_NS);
	saw(&s, XM_SPIN_MAX_NS, 1000);
	CU_ASSERT_EQUAL(xm_spin_ns(&s), XM_SPIN_MAX_NS);
	CU_ASSERT_TRUE(s.median_ns < 2 * XM_SPIN_MAX_NS);
}

static void one_sleep_among_many_looks_changes_nothing(void)
{
	struct xm_spin s;
	uint64_t before;

	xm_spin_init(&s, XM_POLLING_ADAPTIVE);
	saw(&s, 20 * XM_US, 100);
	before = xm_spin_ns(&s);
	slept(&s, 1);
	CU_ASSERT_EQUAL(xm_spin_ns(&s), before);
	/* One in four may fail. */
	for (int i = 0; i < 100; i++) {
		saw(&s, 20 * XM_US, 3);
		slept(&s, 1);
		CU_ASSERT_TRUE(xm_spin_ns(&s) > XM_SPIN_MIN_NS);
	}
}

static void where_looking_fails_it_stops_but_for_a_probe_now_and_then(void)
{
	struct xm_spin s;
	int looks = 0;

	xm_spin_init(&s, XM_POLLING_ADAPTIVE);
	saw(&s, 10 * XM_US, 100);
	slept(&s, XM_SPIN_CREDIT_MAX / XM_SPIN_FAILURE);
	CU_ASSERT_EQUAL(xm_spin_ns(&s), 0);
	for (int i = 0; i < 100000; i++) {
		looks += xm_spin_ns(&s) > 0;
		slept(&s, 1);
	}
	CU_ASSERT_TRUE(looks >= 100000 / XM_SPIN_PROBE_MAX - 1);
	CU_ASSERT_TRUE(looks <= 100000 / XM_SPIN_PROBE_MAX + 5);
}

/* Both on one processor: the answer comes only once the asker sleeps. */
static void where_it_keeps_the_other_from_answering_it_stops_and_stays_so(void)
{
	struct xm_spin s;
	uint64_t looked = 0;

	xm_spin_init(&s, XM_POLLING_ADAPTIVE);
	for (int i = 0; i < 10000; i++) {
		looked += xm_spin_ns(&s);
		xm_spin_learn(&s, xm_spin_ns(&s) + 15 * XM_US, true);
	}
	CU_ASSERT_TRUE(looked / 10000 < 2 * XM_US);
}

static void what_has_become_fast_is_noticed(void)
{
	static const uint64_t fast[] = { 8 * XM_US, 60 * XM_US, 150 * XM_US };

	for (unsigned i = 0; i < XM_COUNT(fast); i++) {
		struct xm_spin s;

		xm_spin_init(&s, XM_POLLING_ADAPTIVE);
		CU_ASSERT_TRUE(wait_each(&s, XM_MS, 10000) >= 10000 - 30);
		wait_each(&s, fast[i], 600);
		CU_ASSERT_EQUAL(wait_each(&s, fast[i], 1000), 0);
	}
}

static void what_has_become_slower_is_still_looked_for(void)
{
	struct xm_spin s;

	xm_spin_init(&s, XM_POLLING_ADAPTIVE);
	CU_ASSERT_TRUE(wait_each(&s, 10 * XM_US, 1000) <= 1);
	wait_each(&s, 100 * XM_US, 100);
	CU_ASSERT_EQUAL(wait_each(&s, 100 * XM_US, 1000), 0);
}

static void forced_it_never_sleeps_or_always_does(void)
{
	struct xm_spin s;

	xm_spin_init(&s, XM_POLLING_BUSY);
	slept(&s, 100);
	CU_ASSERT_EQUAL(xm_spin_ns(&s), XM_NEVER);
	xm_spin_init(&s, XM_POLLING_BLOCK);
	saw(&s, XM_US, 100);
	CU_ASSERT_EQUAL(xm_spin_ns(&s), 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(at_first_it_looks_as_long_as_it_ever_does),
		XM_TEST(it_looks_for_three_times_what_is_usual),
		XM_TEST(it_stays_within_its_bounds),
		XM_TEST(one_sleep_among_many_looks_changes_nothing),
		XM_TEST(where_looking_fails_it_stops_but_for_a_probe_now_and_then),
		XM_TEST(where_it_keeps_the_other_from_answering_it_stops_and_stays_so),
		XM_TEST(what_has_become_fast_is_noticed),
		XM_TEST(what_has_become_slower_is_still_looked_for),
		XM_TEST(forced_it_never_sleeps_or_always_does),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("spin", tests);
}
