/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's rights: which touches are denied, and what becomes of pages when their
 * rights change. How that mixes with events of all kinds is asked by test_pager_model.c.
 */
#include "tests/unit/pager_rig.h"

static enum xm_verdict rights(uint64_t page, uint64_t limit,
			      enum xm_page_rights which)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_RIGHTS, .page = page, .limit = limit,
		.rights = which });
}

static enum xm_verdict io_lock_to_write(uint64_t page, bool whole)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_IO_LOCK, .page = page, .limit = page + 1,
		.write = true, .whole = whole });
}

/* --- what is denied ---------------------------- */

static void a_page_is_denied_by_its_rights_wherever_it_is(void)
{
	struct xm_pager_effect e;

	/* Fresh, away, here and clean, here and dirty, on its way. */
	open_written(usual);
	range(XM_PAGER_DISCARD, 0, 1);
	bring(40);
	touch(60, true);
	CU_ASSERT_EQUAL(fault(80, false), XM_VERDICT_WAIT);
	e = *effect(XM_FETCH, 0);
	rights(0, 100, XM_PAGE_RIGHTS_LOAD);
	for (uint64_t page = 0; page < 100; page += 20) {
		CU_ASSERT_EQUAL(fault(page, true), XM_VERDICT_DENIED);
		CU_ASSERT_EQUAL(fx.count, 0);
	}
	CU_ASSERT_EQUAL(fault(0, false), XM_VERDICT_DONE);
	CU_ASSERT_TRUE(effect(XM_INSTALL, 0)->protect);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(60, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(80, false), XM_VERDICT_WAIT);
	fetched(&e, 0);
	rights(0, 100, XM_PAGE_RIGHTS_NONE);
	settle();
	for (uint64_t page = 0; page < 100; page += 20) {
		CU_ASSERT_EQUAL(fault(page, false), XM_VERDICT_DENIED);
		CU_ASSERT_EQUAL(fault(page, true), XM_VERDICT_DENIED);
	}
	CU_ASSERT_EQUAL(pager.frames_used, 0);
	CU_ASSERT_EQUAL(fault(120, false), XM_VERDICT_WAIT);
}

static void a_denied_touch_does_not_wait_for_an_appliance(void)
{
	open_written(usual);
	rights(5, 6, XM_PAGE_RIGHTS_NONE);
	CU_ASSERT_EQUAL(fault_out_of_reach(5, XM_REACH_DOWN), XM_VERDICT_DENIED);
	CU_ASSERT_EQUAL(fault_out_of_reach(5, XM_REACH_LOST), XM_VERDICT_DENIED);
	range(XM_PAGER_LOST, 5, 6);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DENIED);
	rights(5, 6, XM_PAGE_RIGHTS_ALL);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_LOST);
}

static void rights_stay_until_the_page_is_forgotten(void)
{
	open_pager(usual);
	touch(5, true);
	rights(5, 6, XM_PAGE_RIGHTS_LOAD);
	range(XM_PAGER_EVICT, 5, 6);
	CU_ASSERT_EQUAL(settle(), 1);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DENIED);
	advise(5, 6, XM_ADVICE_RANDOM);
	range(XM_PAGER_DISCARD, 5, 6);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DENIED);
	range(XM_PAGER_FORGET, 5, 6);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DONE);
}

/* --- what becomes of pages ---------------------------- */

static void a_dirty_page_is_protected_and_stays_dirty(void)
{
	open_pager(usual);
	touch(5, true);
	touch(6, true);
	CU_ASSERT_EQUAL(rights(5, 7, XM_PAGE_RIGHTS_LOAD), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.count, 1);
	CU_ASSERT_EQUAL(effect(XM_PROTECT, 0)->count, 2);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_DIRTY);
	rights(5, 7, XM_PAGE_RIGHTS_LOAD);
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_EQUAL(rights(5, 7, XM_PAGE_RIGHTS_ALL), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.count, 1);
	CU_ASSERT_EQUAL(effect(XM_UNPROTECT, 0)->count, 2);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.count, 0);
}

static void a_clean_page_needs_nothing_to_lose_its_right_to_be_stored_to(void)
{
	open_written(usual);
	bring(5);
	rights(5, 6, XM_PAGE_RIGHTS_LOAD);
	CU_ASSERT_EQUAL(fx.count, 0);
	rights(5, 6, XM_PAGE_RIGHTS_ALL);
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effects(XM_UNPROTECT), 1);
}

static void a_page_without_rights_leaves_and_comes_back_as_it_was(void)
{
	struct xm_pager_effect e;

	open_pager(usual);
	touch(5, true);
	CU_ASSERT_EQUAL(rights(5, 6, XM_PAGE_RIGHTS_NONE), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.count, 4);
	CU_ASSERT_EQUAL(fx.list[0].kind, XM_PROTECT);
	CU_ASSERT_EQUAL(fx.list[1].kind, XM_COPY);
	CU_ASSERT_EQUAL(fx.list[2].kind, XM_STORE);
	CU_ASSERT_EQUAL(fx.list[3].kind, XM_DROP);
	e = fx.list[2];
	rights(5, 6, XM_PAGE_RIGHTS_ALL);
	/* Its bytes are still here, in the write-back buffer. */
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effect(XM_INSTALL, 0)->staging_index, e.staging_index);
	stored(&e, 0);
	/* Now they are in the remote memory too, and the page just goes. */
	CU_ASSERT_EQUAL(state(5), XM_PAGE_CLEAN);
	CU_ASSERT_EQUAL(rights(5, 6, XM_PAGE_RIGHTS_NONE), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.count, 1);
	CU_ASSERT_EQUAL(fx.list[0].kind, XM_DROP);
}

static void a_dirty_page_waits_for_its_earlier_store_before_it_leaves(void)
{
	struct xm_pager_effect e;

	open_pager(usual);
	touch(4, false);
	fault(5, true);
	range(XM_PAGER_FLUSH, 5, 6);
	e = *effect(XM_STORE, 0);
	fault(5, true);
	CU_ASSERT_EQUAL(rights(4, 7, XM_PAGE_RIGHTS_NONE), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.next, 5);
	CU_ASSERT_EQUAL(fault(4, false), XM_VERDICT_DENIED);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DONE);
	stored(&e, 0);
	CU_ASSERT_EQUAL(rights(5, 7, XM_PAGE_RIGHTS_NONE), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effects(XM_STORE), 1);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DENIED);
}

static void a_pinned_page_loses_its_pins_with_all_rights(void)
{
	open_pager(usual);
	touch(5, true);
	CU_ASSERT_EQUAL(pin(5, true), XM_VERDICT_DONE);
	rights(5, 6, XM_PAGE_RIGHTS_LOAD);
	CU_ASSERT_EQUAL(pin(5, true), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(pin(5, false), XM_VERDICT_DONE);
	rights(5, 6, XM_PAGE_RIGHTS_NONE);
	CU_ASSERT_EQUAL(pager.pinned, 0);
	CU_ASSERT_EQUAL(pin(5, false), XM_VERDICT_WAIT);
}

static void what_is_here_of_lost_memory_goes_with_all_rights(void)
{
	open_written(usual);
	bring(5);
	range(XM_PAGER_LOST, 5, 6);
	rights(5, 6, XM_PAGE_RIGHTS_LOAD);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
	rights(5, 6, XM_PAGE_RIGHTS_NONE);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_POISONED);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DENIED);
}

/* --- neighbours ---------------------------- */

static void nothing_is_installed_for_who_has_no_right(void)
{
	struct xm_pager_effect e;

	open_written(usual);
	advise(8, 16, XM_ADVICE_SEQUENTIAL);
	CU_ASSERT_EQUAL(fault(8, true), XM_VERDICT_WAIT);
	e = *effect(XM_FETCH, 0);
	CU_ASSERT_EQUAL_FATAL(e.page, 8);
	CU_ASSERT_EQUAL_FATAL(e.count, 8);
	rights(9, 10, XM_PAGE_RIGHTS_NONE);
	rights(10, 11, XM_PAGE_RIGHTS_LOAD);
	fetched(&e, 0);
	CU_ASSERT_EQUAL(fault(8, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(state(8), XM_PAGE_DIRTY);
	CU_ASSERT_EQUAL(state(9), XM_PAGE_ABSENT);
	CU_ASSERT_EQUAL(state(10), XM_PAGE_CLEAN);
	CU_ASSERT_EQUAL(fault(10, true), XM_VERDICT_DENIED);
}

static void nothing_is_fetched_ahead_that_may_not_be_touched(void)
{
	open_written(usual);
	rights(5, PAGES, XM_PAGE_RIGHTS_NONE);
	for (uint64_t page = 0; page < 5; page++)
		touch(page, false);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_ABSENT);
	send_event((struct xm_pager_event){ .kind = XM_PAGER_WILLNEED,
					    .page = 5, .limit = PAGES });
	CU_ASSERT_EQUAL(effects(XM_FETCH), 0);
}

static void a_stream_of_stores_takes_no_fresh_page_without_the_right(void)
{
	open_pager(usual);
	rights(5, 7, XM_PAGE_RIGHTS_LOAD);
	for (uint64_t page = 0; page < 5; page++)
		touch(page, true);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_ABSENT);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DENIED);
}

static void a_store_opens_no_neighbour_without_the_right(void)
{
	open_pager(usual);
	for (uint64_t page = 0; page < 12; page++)
		touch(page, true);
	range(XM_PAGER_FLUSH, 0, 12);
	while (settle() > 0)
		range(XM_PAGER_FLUSH, 0, 12);
	rights(9, 10, XM_PAGE_RIGHTS_LOAD);
	for (uint64_t page = 0; page < 9; page++)
		fault(page, true);
	CU_ASSERT_EQUAL(state(8), XM_PAGE_DIRTY);
	CU_ASSERT_EQUAL(state(9), XM_PAGE_CLEAN);
}

/* --- explicit I/O ---------------------------- */

static void an_explicit_write_makes_a_page_leave_that_may_not_be_stored_to(void)
{
	struct xm_pager_effect e;

	open_pager(usual);
	touch(5, true);
	rights(5, 6, XM_PAGE_RIGHTS_LOAD);
	CU_ASSERT_EQUAL(io_lock(5, 6, false), XM_VERDICT_PRESENT);
	CU_ASSERT_EQUAL(io_lock_to_write(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_DROP), 1);
	e = *effect(XM_STORE, 0);
	CU_ASSERT_EQUAL(io_lock_to_write(5, false), XM_VERDICT_WAIT);
	stored(&e, 0);
	CU_ASSERT_EQUAL(io_lock_to_write(5, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DENIED);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	io_unlock(5, 6, true);
	bring(5);
	/* A clean one just goes. */
	CU_ASSERT_EQUAL(io_lock_to_write(5, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effects(XM_DROP), 1);
	io_unlock(5, 6, true);
	bring(5);
	CU_ASSERT_EQUAL(pin(5, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(io_lock_to_write(5, true), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.count, 0);
}

/* --- bounds ---------------------------- */

static void a_long_range_of_runs_keeps_to_its_effects(void)
{
	struct xm_pager_options options = usual;
	uint64_t page = 0;
	unsigned steps = 0;

	options.pages_max = 1200;
	options.frames_max = 1200;
	options.writeback_buffers = 1200;
	open_pager(options);
	/* Every second page is dirty: 600 runs of one. */
	for (page = 0; page < 1200; page++)
		send_event((struct xm_pager_event){
			.kind = XM_PAGER_FAULT, .page = page, .limit = 1200,
			.write = page % 2 == 0 });
	for (int which = XM_PAGE_RIGHTS_NONE; which >= 0; which--) {
		page = 0;
		while (rights(page, 1200, (enum xm_page_rights)which) == XM_VERDICT_MORE) {
			CU_ASSERT_TRUE(fx.next > page);
			page = fx.next;
			steps++;
		}
		CU_ASSERT_EQUAL(fx.verdict, XM_VERDICT_DONE);
		CU_ASSERT_EQUAL(fx.next, 1200);
	}
	CU_ASSERT_TRUE(steps >= 3 * 2);
	CU_ASSERT_EQUAL(pager.frames_used, 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_page_is_denied_by_its_rights_wherever_it_is),
		XM_TEST(a_denied_touch_does_not_wait_for_an_appliance),
		XM_TEST(rights_stay_until_the_page_is_forgotten),
		XM_TEST(a_dirty_page_is_protected_and_stays_dirty),
		XM_TEST(a_clean_page_needs_nothing_to_lose_its_right_to_be_stored_to),
		XM_TEST(a_page_without_rights_leaves_and_comes_back_as_it_was),
		XM_TEST(a_dirty_page_waits_for_its_earlier_store_before_it_leaves),
		XM_TEST(a_pinned_page_loses_its_pins_with_all_rights),
		XM_TEST(what_is_here_of_lost_memory_goes_with_all_rights),
		XM_TEST(nothing_is_installed_for_who_has_no_right),
		XM_TEST(nothing_is_fetched_ahead_that_may_not_be_touched),
		XM_TEST(a_stream_of_stores_takes_no_fresh_page_without_the_right),
		XM_TEST(a_store_opens_no_neighbour_without_the_right),
		XM_TEST(an_explicit_write_makes_a_page_leave_that_may_not_be_stored_to),
		XM_TEST(a_long_range_of_runs_keeps_to_its_effects),
		CU_TEST_INFO_NULL,
	};

	return rig_run("pager_rights", tests);
}
