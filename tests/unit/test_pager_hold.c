/* SPDX-License-Identifier: BSD-3-Clause */
/* The pager's hold: what it waits for, and what waits for it. */
#include "tests/unit/pager_rig.h"

static enum xm_verdict hold(uint64_t page, uint64_t limit)
{
	return range(XM_PAGER_HOLD, page, limit);
}

static enum xm_verdict write_lock(uint64_t page)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_IO_LOCK, .page = page, .limit = page + 1,
		.write = true, .whole = true });
}

static enum xm_verdict deny(uint64_t page)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_RIGHTS, .page = page, .limit = page + 1,
		.rights = XM_PAGE_RIGHTS_NONE });
}

static void a_hold_waits_for_what_is_under_way(void)
{
	struct xm_pager_effect e;

	open_pager(usual);
	fault(5, true);
	range(XM_PAGER_FLUSH, 5, 6);
	e = *effect(XM_STORE, 0);
	CU_ASSERT_EQUAL(hold(4, 7), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.next, 5);
	stored(&e, -107);
	CU_ASSERT_EQUAL(hold(5, 7), XM_VERDICT_WAIT);
	range(XM_PAGER_TICK, 0, 0);
	stored(&e, 0);
	CU_ASSERT_EQUAL(write_lock(6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(hold(5, 7), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.next, 6);
	io_unlock(6, 7, true);
	CU_ASSERT_EQUAL(hold(6, 7), XM_VERDICT_DONE);
	/* An earlier connection may still have something in it. */
	CU_ASSERT_EQUAL(send_event((struct xm_pager_event){
				.kind = XM_PAGER_HOLD, .page = 9, .limit = 10,
				.reach = XM_REACH_DOWN }), XM_VERDICT_WAIT);
}

static void what_is_held_is_written_and_not_stored(void)
{
	open_pager(usual);
	fault(5, true);
	CU_ASSERT_EQUAL(hold(5, 7), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(range(XM_PAGER_FLUSH, 0, 8), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.next, 5);
	CU_ASSERT_EQUAL(range(XM_PAGER_EVICT, 5, 6), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(deny(5), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(write_lock(6), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(range(XM_PAGER_RELEASE, 5, 7), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(write_lock(6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(range(XM_PAGER_FLUSH, 0, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effects(XM_STORE), 1);
}

static void a_neighbour_is_stored_without_what_is_held(void)
{
	open_pager(usual);
	fault(5, true);
	fault(6, true);
	CU_ASSERT_EQUAL(hold(6, 7), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(range(XM_PAGER_FLUSH, 5, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL_FATAL(effects(XM_STORE), 1);
	CU_ASSERT_EQUAL(effect(XM_STORE, 0)->count, 1);
}

static void a_fault_finds_other_victims_or_waits(void)
{
	open_pager(usual);
	for (uint64_t page = 0; page < 2 * usual.frames_max; page += 2)
		fault(page, true);
	CU_ASSERT_EQUAL(hold(0, 2 * usual.frames_max), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(101, true), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_STORE), 0);
	CU_ASSERT_EQUAL(range(XM_PAGER_RELEASE, 0, 2), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(101, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effects(XM_STORE), 1);
	CU_ASSERT_EQUAL(effect(XM_STORE, 0)->page, 0);
}

static void a_long_hold_goes_on_from_where_it_was(void)
{
	struct xm_pager_options options = usual;

	options.pages_max = 2048;
	open_pager(options);
	CU_ASSERT_EQUAL(hold(0, 1024), XM_VERDICT_MORE);
	CU_ASSERT_EQUAL(hold(fx.next, 1024), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(range(XM_PAGER_RELEASE, 0, 1024), XM_VERDICT_MORE);
	CU_ASSERT_EQUAL(range(XM_PAGER_RELEASE, fx.next, 1024), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(hold(1023, 1025), XM_VERDICT_DONE);
}

static void what_is_lost_is_not_held(void)
{
	open_pager(usual);
	range(XM_PAGER_LOST, 6, 7);
	CU_ASSERT_EQUAL(hold(5, 8), XM_VERDICT_LOST);
	/* So a run to be held ends in front of it, and goes on behind. */
	range(XM_PAGER_UNDURABLE, 5, 6);
	range(XM_PAGER_UNDURABLE, 7, 8);
	CU_ASSERT_EQUAL(xm_pager_undurable_until(&pager, 5, PAGES), 6);
	CU_ASSERT_EQUAL(xm_pager_undurable_from(&pager, 6, PAGES), 7);
	/* Unless what is lost had changed: that is to be told. */
	range(XM_PAGER_UNDURABLE, 6, 7);
	CU_ASSERT_EQUAL(xm_pager_undurable_until(&pager, 5, PAGES), 8);
	CU_ASSERT_EQUAL(xm_pager_undurable_until(&pager, 6, PAGES), 8);
}

static bool is_undurable(uint64_t page)
{
	return xm_pager_undurable_from(&pager, page, page + 1) == page;
}

static void what_changes_is_undurable_until_it_is_held(void)
{
	open_pager(usual);
	CU_ASSERT_EQUAL(xm_pager_undurable_from(&pager, 0, PAGES), PAGES);
	fault(5, true);
	CU_ASSERT_FALSE(is_undurable(5));
	range(XM_PAGER_FLUSH, 5, 6);
	CU_ASSERT_TRUE(is_undurable(5));
	stored(effect(XM_STORE, 0), 0);
	CU_ASSERT_EQUAL(hold(0, 8), XM_VERDICT_DONE);
	CU_ASSERT_FALSE(is_undurable(5));
	range(XM_PAGER_DISCARD, 5, 6);
	CU_ASSERT_TRUE(is_undurable(5));
	range(XM_PAGER_RELEASE, 0, 8);
	/* Whether an explicit write has come is not known when it fails. */
	CU_ASSERT_EQUAL(write_lock(7), XM_VERDICT_DONE);
	io_unlock(7, 8, false);
	CU_ASSERT_TRUE(is_undurable(7));
	CU_ASSERT_EQUAL(xm_pager_undurable_until(&pager, 5, PAGES), 8);
	CU_ASSERT_EQUAL(hold(5, 8), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(xm_pager_undurable_from(&pager, 0, PAGES), PAGES);
	CU_ASSERT_EQUAL(range(XM_PAGER_UNDURABLE, 5, 6), XM_VERDICT_DONE);
	CU_ASSERT_TRUE(is_undurable(5));
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_hold_waits_for_what_is_under_way),
		XM_TEST(what_is_held_is_written_and_not_stored),
		XM_TEST(a_neighbour_is_stored_without_what_is_held),
		XM_TEST(a_fault_finds_other_victims_or_waits),
		XM_TEST(a_long_hold_goes_on_from_where_it_was),
		XM_TEST(what_is_lost_is_not_held),
		XM_TEST(what_changes_is_undurable_until_it_is_held),
		CU_TEST_INFO_NULL,
	};
	return rig_run("pager_hold", tests);
}
