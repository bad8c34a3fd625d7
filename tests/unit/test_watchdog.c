/* SPDX-License-Identifier: BSD-3-Clause */
/* When the service manager is told that all is well: appliance/watchdog.h. */
#include "appliance/watchdog.h"
#include "tests/support/cunit.h"

#define HALF 100
#define ONE 1

static const bool there[2] = { true, true };

static void nobody_is_told_without_a_manager(void)
{
	struct xm_watchdog w;

	xm_watchdog_init(&w, 0, false);
	CU_ASSERT_FALSE(xm_watchdog_tick(&w, 5, there, 2));
	CU_ASSERT_EQUAL(w.parts[0].state, XM_WATCHDOG_FRESH);
	CU_ASSERT_FALSE(xm_watchdog_hangs(&w, 0, XM_NEVER - 1));
	CU_ASSERT_EQUAL(xm_watchdog_next(&w, 5), XM_NEVER);
}

static void ask_all(struct xm_watchdog *w)
{
	for (uint32_t i = 0; i < 2; i++)
		if (w->parts[i].state == XM_WATCHDOG_OWED)
			xm_watchdog_asked(w, i);
}

static void it_is_told_at_half_the_time_while_all_answer(void)
{
	struct xm_watchdog w;

	xm_watchdog_init(&w, 2 * HALF, false);
	for (uint64_t now = 1000; now < 2000; now += HALF) {
		CU_ASSERT(xm_watchdog_tick(&w, now, there, 2));
		CU_ASSERT_FALSE(xm_watchdog_tick(&w, now + HALF - 1, there, 2));
		CU_ASSERT_EQUAL(xm_watchdog_next(&w, now), now + HALF);
		ask_all(&w);
		xm_watchdog_answered(&w, 0);
		xm_watchdog_answered(&w, 1);
	}
}

static void one_that_is_silent_stops_it_until_it_answers(void)
{
	struct xm_watchdog w;
	uint64_t now;

	xm_watchdog_init(&w, 2 * HALF, false);
	CU_ASSERT(xm_watchdog_tick(&w, 1000, there, 2));
	xm_watchdog_asked(&w, 0);
	xm_watchdog_answered(&w, 0);
	xm_watchdog_answered(&w, ONE); /* nobody has asked it: its socket is full */
	for (now = 1000; now < 1000 + 2 * HALF; now += 10) {
		CU_ASSERT_FALSE(xm_watchdog_tick(&w, now, there, 2));
		CU_ASSERT_FALSE(xm_watchdog_hangs(&w, ONE, now));
		CU_ASSERT(xm_watchdog_next(&w, now) > now);
	}
	xm_watchdog_asked(&w, ONE);
	CU_ASSERT(xm_watchdog_hangs(&w, ONE, now));
	CU_ASSERT_FALSE(xm_watchdog_hangs(&w, 0, now));
	CU_ASSERT(xm_watchdog_next(&w, now) > now && xm_watchdog_next(&w, now) < now + HALF);
	xm_watchdog_answered(&w, ONE);
	CU_ASSERT_FALSE(xm_watchdog_hangs(&w, ONE, now));
	CU_ASSERT(xm_watchdog_tick(&w, now, there, 2));
}

static void one_that_is_not_there_counts_no_more(void)
{
	static const bool first[2] = { true, false };
	struct xm_watchdog w;

	xm_watchdog_init(&w, 2 * HALF, false);
	CU_ASSERT(xm_watchdog_tick(&w, 1000, there, 2));
	ask_all(&w);
	xm_watchdog_answered(&w, 0);
	CU_ASSERT(xm_watchdog_tick(&w, 1000 + HALF, first, 2));
	CU_ASSERT_EQUAL(w.parts[ONE].state, XM_WATCHDOG_FRESH);
	/* its answer comes late, and there is another one in its place */
	ask_all(&w);
	xm_watchdog_answered(&w, ONE);
	CU_ASSERT_FALSE(xm_watchdog_tick(&w, 1000 + 2 * HALF, there, 2));
}

static void of_processes_for_each_tenant_the_silent_one_alone_hangs(void)
{
	struct xm_watchdog w;
	uint64_t now;

	xm_watchdog_init(&w, 2 * HALF, true);
	for (now = 1000; now <= 1000 + 2 * HALF; now += HALF) {
		CU_ASSERT(xm_watchdog_tick(&w, now, there, 2));
		ask_all(&w);
		xm_watchdog_answered(&w, 0);
	}
	CU_ASSERT(xm_watchdog_hangs(&w, ONE, now - HALF));
	CU_ASSERT_FALSE(xm_watchdog_hangs(&w, 0, now - HALF));
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(nobody_is_told_without_a_manager),
		XM_TEST(it_is_told_at_half_the_time_while_all_answer),
		XM_TEST(one_that_is_silent_stops_it_until_it_answers),
		XM_TEST(one_that_is_not_there_counts_no_more),
		XM_TEST(of_processes_for_each_tenant_the_silent_one_alone_hangs),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("watchdog", tests);
}
