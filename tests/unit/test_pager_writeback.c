/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Write-back, event by event: how a dirty page leaves, and what a flush waits for.
 * How events of all kinds mix is asked by test_pager_model.c.
 */
#include "tests/unit/pager_rig.h"

/* --- write-back -------------------------------------------------------------- */

static void a_dirty_page_leaves_protected_then_copied_then_stored_then_dropped(void)
{
	static const uint8_t order[] = { XM_PROTECT, XM_COPY, XM_STORE,
					 XM_DROP };

	open_pager(usual);
	fault(5, true);
	CU_ASSERT_EQUAL(range(XM_PAGER_EVICT, 5, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL_FATAL(fx.count, 4);
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(fx.list[i].kind, order[i]);
	CU_ASSERT_EQUAL(fx.list[1].staging_index, fx.list[2].staging_index);
}

static void a_store_that_fails_keeps_its_buffer(void)
{
	struct xm_pager_effect e;

	open_pager(usual);
	fault(5, true);
	range(XM_PAGER_EVICT, 5, 6);
	e = *effect(XM_STORE, 0);
	stored(&e, -107);
	CU_ASSERT_EQUAL(pager.writeback_used, 1);
	CU_ASSERT_EQUAL(pager.writeback_failed, 1);
	CU_ASSERT_EQUAL(flushed(0, PAGES, pager.seq), XM_VERDICT_WAIT);
	range(XM_PAGER_TICK, 0, 0);
	CU_ASSERT_EQUAL_FATAL(effects(XM_STORE), 1);
	CU_ASSERT_EQUAL(effect(XM_STORE, 0)->staging_index, e.staging_index);
	CU_ASSERT_EQUAL(effect(XM_STORE, 0)->page, 5);
	stored(&e, 0);
	CU_ASSERT_EQUAL(pager.writeback_used, 0);
	CU_ASSERT_EQUAL(flushed(0, PAGES, pager.seq), XM_VERDICT_DONE);
}

static void a_fault_on_a_leaving_page_is_served_from_its_buffer(void)
{
	struct xm_pager_effect e;

	open_pager(usual);
	fault(5, true);
	range(XM_PAGER_EVICT, 5, 6);
	e = *effect(XM_STORE, 0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL_FATAL(effects(XM_INSTALL), 1);
	CU_ASSERT_EQUAL(effects(XM_FETCH), 0);
	CU_ASSERT_EQUAL(effect(XM_INSTALL, 0)->staging_index, e.staging_index);
	CU_ASSERT_TRUE(effect(XM_INSTALL, 0)->protect);
	CU_ASSERT_EQUAL(pager.counters.rescued, 1);
}

static void stores_of_one_page_follow_each_other(void)
{
	struct xm_pager_effect e;

	open_pager(usual);
	fault(5, true);
	CU_ASSERT_EQUAL(range(XM_PAGER_FLUSH, 5, 6), XM_VERDICT_DONE);
	e = *effect(XM_STORE, 0);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_CLEAN);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(range(XM_PAGER_FLUSH, 5, 6), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_STORE), 0);
	stored(&e, 0);
	CU_ASSERT_EQUAL(range(XM_PAGER_FLUSH, 5, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effects(XM_STORE), 1);
}

static void neighbours_are_stored_by_one_write_up_to_a_batch(void)
{
	struct xm_pager_options options = usual;

	options.frames_max = 40;
	options.writeback_buffers = 64;
	open_pager(options);
	for (uint64_t page = 0; page <= XM_PAGER_BATCH; page++)
		fault(page, true);
	range(XM_PAGER_FLUSH, 0, XM_PAGER_BATCH + 1);
	CU_ASSERT_EQUAL_FATAL(effects(XM_STORE), 2);
	CU_ASSERT_EQUAL(effect(XM_STORE, 0)->count, XM_PAGER_BATCH);
	CU_ASSERT_EQUAL(effect(XM_STORE, 1)->count, 1);
}

static void a_flush_without_a_free_buffer_waits_and_goes_on(void)
{
	struct xm_pager_effect e;

	open_pager(usual);
	for (uint64_t page = 0; page < 10; page += 2)
		fault(page, true); /* five, and four write-back buffers */
	CU_ASSERT_EQUAL(range(XM_PAGER_FLUSH, 0, 10), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_STORE), 4);
	CU_ASSERT_EQUAL(fx.next, 8);
	e = *effect(XM_STORE, 0);
	stored(&e, 0);
	CU_ASSERT_EQUAL(range(XM_PAGER_FLUSH, 8, 10), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effects(XM_STORE), 1);
}

static void a_store_may_end_in_pieces(void)
{
	struct xm_pager_effect e, piece;

	open_pager(usual);
	for (uint64_t page = 0; page < 4; page++)
		fault(page, true);
	range(XM_PAGER_FLUSH, 0, 4);
	e = *effect(XM_STORE, 0);
	CU_ASSERT_EQUAL_FATAL(e.count, 4);
	piece = e;
	piece.count = 1;
	piece.staging_index += 3;
	stored(&piece, 0);
	CU_ASSERT_EQUAL(flushed(3, 4, pager.seq), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(flushed(0, 4, pager.seq), XM_VERDICT_WAIT);
	piece = e;
	piece.count = 3;
	stored(&piece, -5);
	CU_ASSERT_EQUAL(pager.writeback_failed, 3);
}

static void a_flush_counts_only_the_stores_of_its_range_and_time(void)
{
	uint64_t seq;

	open_pager(usual);
	fault(5, true);
	range(XM_PAGER_FLUSH, 5, 6);
	seq = fx.seq;
	fault(9, true);
	range(XM_PAGER_FLUSH, 9, 10);
	CU_ASSERT_EQUAL(flushed(9, 10, seq), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(flushed(5, 6, seq), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(flushed(10, 20, pager.seq), XM_VERDICT_DONE);
}

static void evict_lets_go_of_all_that_is_not_pinned(void)
{
	open_pager(usual);
	for (uint64_t page = 0; page < 4; page++)
		fault(page, true);
	CU_ASSERT_EQUAL(pin(1, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(range(XM_PAGER_EVICT, 0, 4), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(state(0), XM_PAGE_ABSENT);
	CU_ASSERT_EQUAL(state(1), XM_PAGE_CLEAN);
	CU_ASSERT_EQUAL(state(2), XM_PAGE_ABSENT);
	CU_ASSERT_EQUAL(state(3), XM_PAGE_ABSENT);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_dirty_page_leaves_protected_then_copied_then_stored_then_dropped),
		XM_TEST(a_store_that_fails_keeps_its_buffer),
		XM_TEST(a_fault_on_a_leaving_page_is_served_from_its_buffer),
		XM_TEST(stores_of_one_page_follow_each_other),
		XM_TEST(neighbours_are_stored_by_one_write_up_to_a_batch),
		XM_TEST(a_flush_without_a_free_buffer_waits_and_goes_on),
		XM_TEST(a_store_may_end_in_pieces),
		XM_TEST(a_flush_counts_only_the_stores_of_its_range_and_time),
		XM_TEST(evict_lets_go_of_all_that_is_not_pinned),
		CU_TEST_INFO_NULL,
	};

	return rig_run("pager_writeback", tests);
}
