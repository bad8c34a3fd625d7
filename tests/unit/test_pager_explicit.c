/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Explicit access: I/O locks and pins.
 * How events of all kinds mix is asked by test_pager_model.c.
 */
#include "tests/unit/pager_rig.h"

/* --- explicit I/O ------------------------------------------------------------ */

static void an_io_lock_takes_a_run_and_faults_wait_until_it_is_given_back(void)
{
	open_written(usual);
	bring(8);
	CU_ASSERT_EQUAL(io_lock(5, 12, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.next, 8);
	CU_ASSERT_EQUAL(fault(6, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fault_out_of_reach(6, XM_REACH_LOST),
			XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(io_lock(6, 7, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(range(XM_PAGER_DISCARD, 5, 8), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(io_lock(8, 12, false), XM_VERDICT_PRESENT);
	io_unlock(5, 8, false);
	CU_ASSERT_EQUAL(fault(6, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_FETCH), 1);
}

static void an_io_lock_says_which_pages_are_fresh(void)
{
	open_pager(usual);
	range(XM_PAGER_MARK_BACKED, 9, 12);
	CU_ASSERT_EQUAL(io_lock(5, 12, false), XM_VERDICT_FRESH);
	CU_ASSERT_EQUAL(fx.next, 9);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_ABSENT);
	CU_ASSERT_EQUAL(io_lock(5, 12, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.next, 12);
	io_unlock(5, 12, true);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_FETCH), 1);
}

static void an_io_lock_waits_for_a_store_and_throws_a_prefetched_window_away(void)
{
	struct xm_pager_effect e;

	open_pager(usual);
	fault(5, true);
	range(XM_PAGER_EVICT, 5, 6);
	e = *effect(XM_STORE, 0);
	CU_ASSERT_EQUAL(io_lock(5, 6, true), XM_VERDICT_WAIT);
	stored(&e, 0);
	CU_ASSERT_EQUAL(io_lock(5, 6, true), XM_VERDICT_DONE);
	io_unlock(5, 6, true);
	send_event((struct xm_pager_event){ .kind = XM_PAGER_WILLNEED,
					    .page = 5, .limit = 6 });
	e = *effect(XM_FETCH, 0);
	CU_ASSERT_EQUAL(io_lock(5, 6, true), XM_VERDICT_WAIT);
	fetched(&e, 0);
	CU_ASSERT_EQUAL(io_lock(5, 6, true), XM_VERDICT_DONE);
	io_unlock(5, 6, true);
}

static void an_io_lock_stops_where_memory_is_lost(void)
{
	open_written(usual);
	range(XM_PAGER_LOST, 8, 10);
	CU_ASSERT_EQUAL(io_lock(5, 12, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.next, 8);
	io_unlock(5, 8, false);
	CU_ASSERT_EQUAL(io_lock(8, 12, false), XM_VERDICT_LOST);
}

static void a_torn_page_stays_torn_until_it_was_overwritten(void)
{
	open_written(usual);
	CU_ASSERT_EQUAL(io_lock(5, 6, true), XM_VERDICT_DONE);
	send_event((struct xm_pager_event){ .kind = XM_PAGER_IO_UNLOCK,
					    .page = 5, .limit = 6, .torn = true });
	CU_ASSERT_TRUE(xm_pager_is_torn(&pager, 5));
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(io_lock(5, 6, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(io_lock(5, 6, true), XM_VERDICT_DONE);
	io_unlock(5, 6, false);
	CU_ASSERT_TRUE(xm_pager_is_torn(&pager, 5));
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_FETCH), 0);
	CU_ASSERT_EQUAL(io_lock(5, 6, true), XM_VERDICT_DONE);
	io_unlock(5, 6, true);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_FETCH), 1);
}

/* --- pins -------------------------------------------------------------------- */

static void a_pinned_page_is_discarded_all_the_same(void)
{
	open_pager(usual);
	fault(0, true);
	CU_ASSERT_EQUAL(pin(0, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(range(XM_PAGER_DISCARD, 0, 1), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(state(0), XM_PAGE_ABSENT);
	CU_ASSERT_EQUAL(pager.pinned, 0);
	/* Who pinned it may say so late. */
	range(XM_PAGER_UNPIN, 0, 0);
	CU_ASSERT_EQUAL(pager.pinned, 0);
}

static void a_page_pinned_for_writing_is_stored_and_stays_writable(void)
{
	open_pager(usual);
	fault(5, true);
	CU_ASSERT_EQUAL(pin(5, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(range(XM_PAGER_FLUSH, 5, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effects(XM_PROTECT), 0);
	CU_ASSERT_EQUAL(effects(XM_STORE), 1);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_DIRTY);
}

static void a_pin_waits_for_its_page_to_be_as_asked(void)
{
	open_pager(usual);
	CU_ASSERT_EQUAL(pin(5, false), XM_VERDICT_WAIT);
	fault(5, false);
	CU_ASSERT_EQUAL(pin(5, true), XM_VERDICT_WAIT);
	fault(5, true);
	CU_ASSERT_EQUAL(pin(5, true), XM_VERDICT_DONE);
}

static void pins_end_at_their_limit(void)
{
	open_pager(usual);
	for (uint64_t page = 0; page < 4; page++) {
		fault(10 * page, false);
		CU_ASSERT_EQUAL(pin(10 * page, false), XM_VERDICT_DONE);
	}
	fault(100, false);
	CU_ASSERT_EQUAL(pin(100, false), XM_VERDICT_FULL);
	/* A pinned one can be pinned again: it takes no more frames. */
	CU_ASSERT_EQUAL(pin(0, false), XM_VERDICT_DONE);
	range(XM_PAGER_UNPIN, 0, 0);
	CU_ASSERT_EQUAL(pin(100, false), XM_VERDICT_FULL);
	range(XM_PAGER_UNPIN, 0, 0);
	CU_ASSERT_EQUAL(pin(100, false), XM_VERDICT_DONE);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_pinned_page_is_discarded_all_the_same),
		XM_TEST(a_page_pinned_for_writing_is_stored_and_stays_writable),
		XM_TEST(a_pin_waits_for_its_page_to_be_as_asked),
		XM_TEST(pins_end_at_their_limit),
		XM_TEST(an_io_lock_takes_a_run_and_faults_wait_until_it_is_given_back),
		XM_TEST(an_io_lock_says_which_pages_are_fresh),
		XM_TEST(an_io_lock_waits_for_a_store_and_throws_a_prefetched_window_away),
		XM_TEST(an_io_lock_stops_where_memory_is_lost),
		XM_TEST(a_torn_page_stays_torn_until_it_was_overwritten),
		CU_TEST_INFO_NULL,
	};

	return rig_run("pager_explicit", tests);
}
