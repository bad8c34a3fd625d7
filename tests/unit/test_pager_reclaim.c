/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reclaim: the budget of frames, who leaves first, 2Q.
 * How events of all kinds mix is asked by test_pager_model.c.
 */
#include "tests/unit/pager_rig.h"

/* --- the budget -------------------------------------------------------------- */

static void frames_are_never_more_than_the_budget(void)
{
	open_pager(usual);
	for (uint64_t page = 0; page < 32; page += 2)
		CU_ASSERT_EQUAL(fault(page, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(pager.frames_used, 16);
	CU_ASSERT_EQUAL(pager.counters.evictions, 0);
	CU_ASSERT_EQUAL(fault(100, false), XM_VERDICT_DONE);
	CU_ASSERT_TRUE(effects(XM_DROP) >= 1);
	CU_ASSERT_TRUE(fx.list[0].kind == XM_DROP);
	CU_ASSERT_TRUE(pager.frames_used <= 16);
	CU_ASSERT_EQUAL(pager.counters.frames_peak, 16);
}

static void the_budget_can_be_raised_up_to_the_room_there_is(void)
{
	struct xm_pager_options options = usual;

	options.frames_room = 24;
	open_pager(options);
	for (uint64_t page = 0; page < 64; page += 2)
		CU_ASSERT_EQUAL(fault(page, false), XM_VERDICT_DONE);
	CU_ASSERT_TRUE(pager.frames_used <= 16);
	xm_pager_raise(&pager, 24);
	CU_ASSERT_EQUAL(pager.options.pins_max, 8);
	for (uint64_t page = 100; page < 200; page += 2)
		CU_ASSERT_EQUAL(fault(page, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(pager.counters.frames_peak, 24);
	CU_ASSERT_PTR_NULL(xm_pager_check(&pager));
}

static void a_page_whose_eviction_finds_no_buffer_stays(void)
{
	struct xm_pager_options options = usual;

	options.frames_max = 4;
	options.pins_max = 1;
	options.writeback_buffers = 2;
	open_pager(options);
	for (uint64_t page = 0; page < 8; page += 2)
		fault(page, true);
	/* Two leave for the two write-back buffers, the other two have to stay. */
	CU_ASSERT_EQUAL(fault(100, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(120, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(pager.writeback_used, 2);
	CU_ASSERT_EQUAL(fault(140, true), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_EQUAL(pager.frames_used, 4);
}

static void a_page_that_was_faulted_on_while_here_gets_a_second_chance(void)
{
	struct xm_pager_options options = usual;

	options.frames_max = 2;
	options.pins_max = 1;
	open_pager(options);
	fault(0, false);
	fault(10, false);
	fault(0, true); /* page 0 is used again */
	fault(20, false);
	CU_ASSERT_EQUAL(state(0), XM_PAGE_DIRTY);
	CU_ASSERT_EQUAL(state(10), XM_PAGE_ABSENT);
}

static void a_pinned_page_stays(void)
{
	struct xm_pager_options options = usual;

	options.frames_max = 2;
	options.pins_max = 1;
	open_pager(options);
	fault(0, false);
	CU_ASSERT_EQUAL(pin(0, false), XM_VERDICT_DONE);
	for (uint64_t page = 10; page < 60; page += 7)
		CU_ASSERT_EQUAL(fault(page, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(state(0), XM_PAGE_CLEAN);
	range(XM_PAGER_UNPIN, 0, 0);
	CU_ASSERT_EQUAL(pager.pinned, 0);
}

static void pinned_newcomers_do_not_shield_who_came_back(void)
{
	struct xm_pager_options options = usual;

	options.frames_max = 8;
	options.pins_max = 4;
	options.reclaim = XM_RECLAIM_2Q;
	open_pager(options);
	/* Half of the frames are pinned, the others of pages that came back or
	 * not. */
	for (uint64_t round = 0; round < 3; round++) {
		for (uint64_t page = 0; page < 80; page += 20)
			fault(page, false);
		for (uint64_t page = 10; page < 80; page += 20)
			fault(page + 80 * round, false);
	}
	for (uint32_t i = 0; i < options.frames_max; i++) {
		uint64_t page = pager.frames[i].page;

		if (page < PAGES && page % 20 == 10 && pager.pinned < 4)
			CU_ASSERT_EQUAL(pin(page, false), XM_VERDICT_DONE);
	}
	CU_ASSERT_EQUAL(pager.pinned, 4);
	CU_ASSERT_EQUAL(fault(255, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(251, false), XM_VERDICT_DONE);
}

/* Pages read once, one after the other, and between them a few that are read
 * again and again, but leave and come back at first. */
static uint64_t misses_of_a_hot_set(enum xm_reclaim reclaim)
{
	struct xm_pager_options options = usual;
	uint64_t misses = 0, cold = 16;

	options.frames_max = 32;
	options.fetch_buffers = 8;
	options.reclaim = reclaim;
	open_written(options);
	send_event((struct xm_pager_event){
		.kind = XM_PAGER_ADVISE, .page = 0, .limit = PAGES,
		.advice = XM_ADVICE_RANDOM });
	for (unsigned round = 0; round < 200; round++) {
		for (uint64_t page = 0; page < 12; page++) {
			if (state(page) == XM_PAGE_ABSENT) {
				misses += round >= 20;
				bring(page);
			}
		}
		for (unsigned i = 0; i < 24; i++) {
			if (state(cold) == XM_PAGE_ABSENT)
				bring(cold);
			cold = cold + 1 < PAGES ? cold + 1 : 16;
		}
	}
	return misses;
}

static void under_2q_a_scan_leaves_what_is_read_again_alone(void)
{
	uint64_t clock = misses_of_a_hot_set(XM_RECLAIM_CLOCK),
		 two = misses_of_a_hot_set(XM_RECLAIM_2Q);

	CU_ASSERT_TRUE(clock > 1000);
	CU_ASSERT_TRUE(two < clock / 4);
}

static void under_2q_what_comes_back_to_a_queue_gives_it_room(void)
{
	struct xm_pager_options options = usual;
	int32_t before;

	options.frames_max = 64;
	options.reclaim = XM_RECLAIM_2Q;
	open_pager(options);
	for (uint64_t i = 0; i < 251; i++)
		fault(i * 97 % 251, false);
	before = pager.cold_more;
	/* Newcomers that come back soon after they left. */
	for (uint64_t i = 251 - 120; i < 251 - 70; i++)
		fault(i * 97 % 251, false);
	CU_ASSERT(pager.cold_more > before);
	/* Never beyond what the others keep. */
	for (uint64_t round = 0; round < 40; round++) {
		for (uint64_t page = 0; page < 100; page++)
			fault(page + 100 * (round % 2), false);
	}
	CU_ASSERT(pager.cold_more <= 64 - 64 / 8 - 64 / 4);
	CU_ASSERT(pager.cold_more >= 64 / 8 - 64 / 4);
}

static void dirty_pages_that_lie_apart_leave_by_one_write(void)
{
	struct xm_pager_options options = usual;

	options.scatter = 4;
	options.frames_max = 64;
	options.writeback_buffers = 8;
	open_pager(options);
	for (uint64_t i = 0; i < 64; i++)
		fault(3 * i, true);
	fault(200, true);
	CU_ASSERT_EQUAL_FATAL(effects(XM_STORE), 1);
	CU_ASSERT_TRUE(effect(XM_STORE, 0)->scattered);
	CU_ASSERT_EQUAL(effect(XM_STORE, 0)->count, 3);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(xm_pager_staged_page(
			&pager, effect(XM_STORE, 0)->staging_index + i), 3 * i);
	CU_ASSERT_EQUAL(effects(XM_PROTECT), 3);
	CU_ASSERT_EQUAL(effects(XM_DROP), 3);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(frames_are_never_more_than_the_budget),
		XM_TEST(the_budget_can_be_raised_up_to_the_room_there_is),
		XM_TEST(a_page_whose_eviction_finds_no_buffer_stays),
		XM_TEST(a_page_that_was_faulted_on_while_here_gets_a_second_chance),
		XM_TEST(a_pinned_page_stays),
		XM_TEST(pinned_newcomers_do_not_shield_who_came_back),
		XM_TEST(under_2q_a_scan_leaves_what_is_read_again_alone),
		XM_TEST(under_2q_what_comes_back_to_a_queue_gives_it_room),
		XM_TEST(dirty_pages_that_lie_apart_leave_by_one_write),
		CU_TEST_INFO_NULL,
	};

	return rig_run("pager_reclaim", tests);
}
