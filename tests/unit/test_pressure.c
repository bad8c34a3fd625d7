/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the machine that says when an appliance gives memory back to its host. */
#include "appliance/pressure.h"
#include "tests/support/cunit.h"

#define POOL (32 * XM_GIB)
#define LINE (2 * XM_GIB)

static struct xm_pressure p;
static struct xm_pressure_event now;
static uint64_t goal;

static void begin(void)
{
	xm_pressure_init(&p, LINE, POOL);
	now = (struct xm_pressure_event){ .now_ns = 100 * XM_SECOND,
					  .available = 5 * XM_GIB,
					  .goal = POOL };
	goal = POOL;
}

/* A look a second, for so long; how often the goal has changed. The host has what the pool
 * gives, and less what it takes. */
static unsigned pass(unsigned seconds)
{
	unsigned changes = 0;

	for (unsigned i = 0; i < seconds; i++) {
		now.now_ns += XM_SECOND;
		if (!xm_pressure_step(&p, &now, &goal))
			continue;
		now.available += now.goal - goal;
		now.goal = goal;
		changes++;
	}
	return changes;
}

static void nothing_changes_between_the_lines(void)
{
	begin();
	CU_ASSERT_EQUAL(pass(3600), 0);
	now.available = LINE;
	CU_ASSERT_EQUAL(pass(3600), 0);
}

static void it_gives_what_brings_twice_the_line_and_rests(void)
{
	begin();
	now.available = XM_GIB;
	CU_ASSERT_EQUAL(pass(2), 0); /* it must last */
	CU_ASSERT_EQUAL(pass(1), 1);
	CU_ASSERT_EQUAL(goal, POOL - 3 * XM_GIB);
	CU_ASSERT_EQUAL(pass(600), 0);
	/* And no more at once, if that is not seen: a step each 5 s. */
	begin();
	now.available = LINE - 1;
	for (unsigned i = 0; i < 13; i++) {
		(void)pass(1);
		now.available = LINE - 1;
	}
	CU_ASSERT_EQUAL(goal, POOL - 3 * (LINE + 1));
}

static void a_moment_is_no_pressure(void)
{
	begin();
	for (unsigned i = 0; i < 100; i++) {
		now.available = i % 2 == 0 ? 0 : LINE;
		CU_ASSERT_EQUAL(pass(1), 0);
	}
}

static void programs_that_wait_are_pressure_too(void)
{
	begin();
	now.stalled_permille = XM_PRESSURE_STALLED;
	CU_ASSERT_EQUAL(pass(3), 1);
	CU_ASSERT_EQUAL(goal, POOL - POOL / 16);
}

static void it_takes_back_in_steps_and_comes_to_rest(void)
{
	begin();
	now.available = XM_GIB;
	CU_ASSERT_EQUAL(pass(3), 1);
	now.available = 9 * XM_GIB;
	CU_ASSERT_EQUAL(pass(60), 0);
	CU_ASSERT_EQUAL(pass(1), 1);
	CU_ASSERT_EQUAL(goal, POOL - XM_GIB);
	/* 7 GiB are available: a step more would leave less than 6. */
	CU_ASSERT_EQUAL(pass(3600), 0);
	now.available = 12 * XM_GIB;
	CU_ASSERT_EQUAL(pass(3600), 1);
	CU_ASSERT_EQUAL(goal, POOL);
}

static void it_ends_with_nothing(void)
{
	begin();
	for (unsigned i = 0; i < 600; i++) {
		now.available = 0;
		(void)pass(1);
	}
	CU_ASSERT_EQUAL(goal, 0);
}

static void what_others_say_is_the_most(void)
{
	begin();
	now.goal = POOL / 2; /* an operator's */
	now.available = 100 * XM_GIB;
	CU_ASSERT_EQUAL(pass(3600), 0);
	now.goal = POOL;
	now.available = XM_GIB;
	CU_ASSERT_EQUAL(pass(3), 1);
	now.available = 100 * XM_GIB;
	CU_ASSERT_EQUAL(pass(3600), 2);
	CU_ASSERT_EQUAL(goal, POOL);
	/* The host had less than it seemed: that is not the most for ever. */
	now.available = XM_GIB;
	(void)pass(3);
	now.available = 100 * XM_GIB;
	CU_ASSERT_EQUAL(pass(61), 1);
	now.goal = goal - XM_GIB;
	CU_ASSERT(pass(3600) > 0);
	CU_ASSERT_EQUAL(goal, POOL);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(nothing_changes_between_the_lines),
		XM_TEST(it_gives_what_brings_twice_the_line_and_rests),
		XM_TEST(a_moment_is_no_pressure),
		XM_TEST(programs_that_wait_are_pressure_too),
		XM_TEST(it_takes_back_in_steps_and_comes_to_rest),
		XM_TEST(it_ends_with_nothing),
		XM_TEST(what_others_say_is_the_most),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("pressure", tests);
}
