/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults, event by event: fresh pages, misses, and the prediction of writes.
 * How events of all kinds mix is asked by test_pager_model.c.
 */
#include "tests/unit/pager_rig.h"

/* --- fresh pages and misses -------------------------------------------------- */

static void a_fresh_page_reads_as_zero_without_a_transfer(void)
{
	open_pager(usual);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.count, 1);
	CU_ASSERT_EQUAL(fx.list[0].kind, XM_INSTALL);
	CU_ASSERT_EQUAL(fx.list[0].staging_index, XM_STAGING_ZERO);
	CU_ASSERT_TRUE(fx.list[0].protect);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_CLEAN);
}

static void a_fresh_page_is_had_even_while_the_remote_side_is_down(void)
{
	open_pager(usual);
	CU_ASSERT_EQUAL(fault_out_of_reach(5, XM_REACH_DOWN),
			XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault_out_of_reach(9, XM_REACH_LOST),
			XM_VERDICT_DONE);
}

static void a_store_to_a_clean_page_unprotects_it(void)
{
	open_pager(usual);
	fault(5, false);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.count, 1);
	CU_ASSERT_EQUAL(fx.list[0].kind, XM_UNPROTECT);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_DIRTY);
}

static void a_miss_fetches_and_waits_and_is_installed_when_asked_again(void)
{
	struct xm_pager_effect e;

	open_written(usual);
	CU_ASSERT_EQUAL(fault(7, false), XM_VERDICT_WAIT);
	e = *effect(XM_FETCH, 0);
	CU_ASSERT_EQUAL(e.page, 7);
	CU_ASSERT_EQUAL(e.count, 1);
	/* Asking again posts nothing. */
	CU_ASSERT_EQUAL(send_event((struct xm_pager_event){
				.kind = XM_PAGER_FAULT, .page = 7,
				.limit = PAGES, .again = true }),
			XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.count, 0);
	fetched(&e, 0);
	CU_ASSERT_EQUAL(fault(7, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effect(XM_INSTALL, 0)->staging_index, e.staging_index);
	CU_ASSERT_EQUAL(pager.counters.misses, 1);
}

static void a_fetch_that_fails_is_posted_again(void)
{
	struct xm_pager_effect e;

	open_written(usual);
	fault(7, false);
	e = *effect(XM_FETCH, 0);
	fetched(&e, -5);
	CU_ASSERT_EQUAL(state(7), XM_PAGE_ABSENT);
	CU_ASSERT_EQUAL(fault(7, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_FETCH), 1);
}

static void a_miss_waits_while_the_remote_side_is_down_and_ends_when_it_is_lost(void)
{
	open_written(usual);
	CU_ASSERT_EQUAL(fault_out_of_reach(7, XM_REACH_DOWN),
			XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_EQUAL(fault_out_of_reach(7, XM_REACH_LOST),
			XM_VERDICT_LOST);
	CU_ASSERT_EQUAL(fx.count, 0);
	/* Out of reach is not gone: the page can still be had later. */
	CU_ASSERT_EQUAL(fault(7, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_FETCH), 1);
	CU_ASSERT_EQUAL(fault_out_of_reach(7, XM_REACH_LOST),
			XM_VERDICT_LOST);
}

static void an_arrived_page_without_a_frame_is_not_waited_for_out_of_reach(void)
{
	struct xm_pager_options options = usual;
	struct xm_pager_effect e;

	options.frames_max = 2;
	options.pins_max = 1;
	options.writeback_buffers = 2;
	open_written(options);
	range(XM_PAGER_DISCARD, 0, 4);
	/* Both frames are dirty, both write-back buffers failed. */
	for (uint64_t page = 0; page < 4; page += 2) {
		struct xm_pager_effect s;

		fault(page, true);
		range(XM_PAGER_EVICT, page, page + 1);
		s = *effect(XM_STORE, 0);
		stored(&s, -5);
	}
	fault(1, true);
	fault(3, true);
	CU_ASSERT_EQUAL(fault(7, false), XM_VERDICT_WAIT);
	e = *effect(XM_FETCH, 0);
	fetched(&e, 0);
	CU_ASSERT_EQUAL(fault(7, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fault_out_of_reach(7, XM_REACH_LOST),
			XM_VERDICT_LOST);
}

/* --- write prediction -------------------------------------------------------- */

/* A page is read in, and written to or not; then all leave. */
static unsigned upgrades(unsigned rounds, bool write)
{
	unsigned faults = 0;

	for (unsigned i = 0; i < rounds; i++) {
		uint64_t page = 2 * (i % 100);

		touch(page, false);
		if (write && state(page) == XM_PAGE_CLEAN) {
			fault(page, true);
			faults++;
		}
		range(XM_PAGER_EVICT, page, page + 1);
		settle();
	}
	return faults;
}

static void what_is_written_after_reading_is_soon_installed_writable(void)
{
	open_written(usual);
	CU_ASSERT_TRUE(upgrades(20, true) < 10);
	/* One in eight is still asked. */
	CU_ASSERT_TRUE(upgrades(80, true) >= 80 / 8);
	CU_ASSERT_TRUE(upgrades(80, true) <= 80 / 8 + 1);
}

/* Eviction by need tells what was not written to. */
static void a_prediction_is_unlearnt_from_pages_that_leave_unwritten(void)
{
	struct xm_pager_options options = usual;
	unsigned stores = 0;

	options.writeback_buffers = 16;
	open_written(options);
	upgrades(40, true);
	for (unsigned i = 0; i < 600; i++) {
		unsigned n = touch(i * 97 % 251, false);

		stores += i >= 500 ? n : 0;
	}
	CU_ASSERT_EQUAL(stores, 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_fresh_page_reads_as_zero_without_a_transfer),
		XM_TEST(a_fresh_page_is_had_even_while_the_remote_side_is_down),
		XM_TEST(a_store_to_a_clean_page_unprotects_it),
		XM_TEST(a_miss_fetches_and_waits_and_is_installed_when_asked_again),
		XM_TEST(a_fetch_that_fails_is_posted_again),
		XM_TEST(a_miss_waits_while_the_remote_side_is_down_and_ends_when_it_is_lost),
		XM_TEST(an_arrived_page_without_a_frame_is_not_waited_for_out_of_reach),
		XM_TEST(what_is_written_after_reading_is_soon_installed_writable),
		XM_TEST(a_prediction_is_unlearnt_from_pages_that_leave_unwritten),
		CU_TEST_INFO_NULL,
	};

	return rig_run("pager", tests);
}
