/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager while a region is cloned: stores to what is frozen wait, its bytes come to the
 * remote memory as they were, and a clone's pages wait for theirs.
 */
#include "tests/unit/pager_rig.h"

static void a_store_waits_and_a_load_does_not(void)
{
	open_written(usual);
	bring(3);
	touch(7, true);
	CU_ASSERT_EQUAL(range(XM_PAGER_FREEZE, 0, 16), XM_VERDICT_DONE);
	/* The dirty one is protected, and stays dirty. */
	CU_ASSERT_EQUAL(fx.count, 1);
	CU_ASSERT_EQUAL(effect(XM_PROTECT, 0)->page, 0);
	CU_ASSERT_EQUAL(effect(XM_PROTECT, 0)->count, 16);
	CU_ASSERT_EQUAL(pager.pages[7].state, XM_PAGE_DIRTY);
	for (uint64_t page = 1; page < 16; page += 2) {
		CU_ASSERT_EQUAL(fault(page, true), XM_VERDICT_WAIT);
		CU_ASSERT_EQUAL(fx.count, 0);
		CU_ASSERT_EQUAL(pager.wanted, page);
	}
	CU_ASSERT_EQUAL(fault(3, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(7, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(20, true), XM_VERDICT_WAIT);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_FETCH, 0));
}

static void what_is_dirty_is_stored_before_it_counts_as_frozen(void)
{
	struct xm_pager_effect e;

	open_written(usual);
	touch(7, true);
	range(XM_PAGER_FREEZE, 0, 16);
	CU_ASSERT_EQUAL(range(XM_PAGER_FROZEN, 0, 16), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.next, 7);
	range(XM_PAGER_FLUSH, 0, 16);
	e = *effect(XM_STORE, 0);
	CU_ASSERT_EQUAL(range(XM_PAGER_FROZEN, 0, 16), XM_VERDICT_WAIT);
	stored(&e, -1); /* and again */
	CU_ASSERT_EQUAL(range(XM_PAGER_FROZEN, 0, 16), XM_VERDICT_WAIT);
	send_event((struct xm_pager_event){ .kind = XM_PAGER_TICK });
	e = *effect(XM_STORE, 0);
	stored(&e, 0);
	CU_ASSERT_EQUAL(range(XM_PAGER_FROZEN, 0, 16), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(7, true), XM_VERDICT_WAIT);
	range(XM_PAGER_THAW, 0, 16);
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_EQUAL(fault(7, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effect(XM_UNPROTECT, 0)->page, 7);
}

/* A freeze that is taken back, as when the region cannot be cloned. */
static void a_dirty_page_that_is_released_may_be_stored_to(void)
{
	open_written(usual);
	touch(7, true);
	range(XM_PAGER_FREEZE, 0, 16);
	range(XM_PAGER_THAW, 0, 16);
	CU_ASSERT_EQUAL(fx.count, 1);
	CU_ASSERT_EQUAL(effect(XM_UNPROTECT, 0)->page, 7);
	CU_ASSERT_EQUAL(fault(7, true), XM_VERDICT_DONE);
}

static void rights_do_not_open_what_is_frozen(void)
{
	open_written(usual);
	touch(7, true);
	send_event((struct xm_pager_event){
		.kind = XM_PAGER_RIGHTS, .page = 7, .limit = 8,
		.rights = XM_PAGE_RIGHTS_LOAD });
	range(XM_PAGER_FREEZE, 7, 8);
	send_event((struct xm_pager_event){
		.kind = XM_PAGER_RIGHTS, .page = 7, .limit = 8,
		.rights = XM_PAGE_RIGHTS_ALL });
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_EQUAL(fault(7, true), XM_VERDICT_WAIT);
	range(XM_PAGER_THAW, 7, 8);
	CU_ASSERT_EQUAL(effect(XM_UNPROTECT, 0)->page, 7);
}

static void a_page_that_is_pinned_for_writing_cannot_be_frozen(void)
{
	open_written(usual);
	touch(7, true);
	send_event((struct xm_pager_event){
		.kind = XM_PAGER_PIN, .page = 7, .limit = 8, .write = true });
	CU_ASSERT_EQUAL(range(XM_PAGER_FREEZE, 0, 16), XM_VERDICT_FULL);
	CU_ASSERT_EQUAL(fx.next, 7);
	range(XM_PAGER_THAW, 0, 7);
	CU_ASSERT_EQUAL(fault(3, true), XM_VERDICT_WAIT);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_FETCH, 0));
	/* And what is frozen cannot be pinned for it. */
	open_written(usual);
	touch(9, true);
	range(XM_PAGER_FREEZE, 9, 10);
	CU_ASSERT_EQUAL(send_event((struct xm_pager_event){
				.kind = XM_PAGER_PIN, .page = 9, .limit = 10,
				.write = true }),
			XM_VERDICT_WAIT);
}

static void explicit_writes_and_discards_wait(void)
{
	struct xm_pager_event lock = { .kind = XM_PAGER_IO_LOCK, .page = 5,
				       .limit = 8, .write = true, .whole = true };

	open_written(usual);
	range(XM_PAGER_FREEZE, 0, 7);
	CU_ASSERT_EQUAL(send_event(lock), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(pager.wanted, 5);
	CU_ASSERT_EQUAL(range(XM_PAGER_DISCARD, 5, 8), XM_VERDICT_WAIT);
	lock.write = false;
	/* There may always be a read, and it changes nothing. */
	CU_ASSERT_EQUAL(send_event(lock), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(range(XM_PAGER_FROZEN, 0, 7), XM_VERDICT_DONE);
	lock.kind = XM_PAGER_IO_UNLOCK;
	send_event(lock);
	CU_ASSERT_EQUAL(range(XM_PAGER_FROZEN, 0, 7), XM_VERDICT_DONE);
	/* A write ends where the frozen pages begin. */
	lock = (struct xm_pager_event){ .kind = XM_PAGER_IO_LOCK, .page = 20,
					.limit = 24, .write = true, .whole = true };
	range(XM_PAGER_FREEZE, 22, 23);
	CU_ASSERT_EQUAL(send_event(lock), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.next, 22);
}

static void a_write_that_began_before_is_part_of_the_moment(void)
{
	struct xm_pager_event lock = { .kind = XM_PAGER_IO_LOCK, .page = 5,
				       .limit = 8, .write = true, .whole = true };

	open_written(usual);
	CU_ASSERT_EQUAL(send_event(lock), XM_VERDICT_DONE);
	range(XM_PAGER_FREEZE, 0, 16);
	CU_ASSERT_EQUAL(range(XM_PAGER_FROZEN, 0, 16), XM_VERDICT_WAIT);
	lock.kind = XM_PAGER_IO_UNLOCK;
	send_event(lock);
	CU_ASSERT_EQUAL(range(XM_PAGER_FROZEN, 0, 16), XM_VERDICT_DONE);
}

/* Of a page whose write was cut off a clone gets no half. */
static void a_write_that_is_cut_off_is_lost_to_the_clone(void)
{
	struct xm_pager_event lock = { .kind = XM_PAGER_IO_LOCK, .page = 5,
				       .limit = 6, .write = true, .whole = true };
	struct xm_pager_event unlock = { .kind = XM_PAGER_IO_UNLOCK, .page = 5,
					 .limit = 6, .cut = true };

	open_written(usual);
	send_event(lock);
	range(XM_PAGER_FREEZE, 0, 16);
	send_event(unlock);
	CU_ASSERT_EQUAL(range(XM_PAGER_FROZEN, 0, 16), XM_VERDICT_LOST);
	CU_ASSERT_EQUAL(range(XM_PAGER_FROZEN, 6, 16), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(send_event(lock), XM_VERDICT_WAIT);
	/* Who has not been cloned writes it again. */
	range(XM_PAGER_THAW, 0, 16);
	CU_ASSERT_EQUAL(send_event(lock), XM_VERDICT_DONE);
	unlock.cut = false;
	unlock.write = true;
	send_event(unlock);
	/* What was fresh is fresh, whatever came of the write. */
	open_pager(usual);
	send_event(lock);
	range(XM_PAGER_FREEZE, 0, 16);
	unlock.cut = true;
	unlock.write = false;
	send_event(unlock);
	CU_ASSERT_EQUAL(range(XM_PAGER_FROZEN, 0, 16), XM_VERDICT_DONE);
}

static void a_clone_waits_for_its_bytes_and_keeps_what_is_fresh(void)
{
	open_pager(usual);
	CU_ASSERT_EQUAL(range(XM_PAGER_CLONE_LOCK, 40, 48), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(41, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(pager.wanted, 41);
	CU_ASSERT_EQUAL(fault(42, true), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(range(XM_PAGER_DISCARD, 42, 43), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(range(XM_PAGER_FLUSH, 40, 48), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(range(XM_PAGER_EVICT, 40, 48), XM_VERDICT_DONE);
	send_event((struct xm_pager_event){ .kind = XM_PAGER_CLONE_UNLOCK,
					    .page = 40, .limit = 44, .write = true });
	send_event((struct xm_pager_event){ .kind = XM_PAGER_CLONE_UNLOCK,
					    .page = 44, .limit = 48 });
	CU_ASSERT_EQUAL(fault(41, false), XM_VERDICT_WAIT);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_FETCH, 0));
	CU_ASSERT_EQUAL(fault(45, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effect(XM_INSTALL, 0)->staging_index, XM_STAGING_ZERO);
}

static void a_wait_ends_when_the_appliance_is_lost(void)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_FAULT, .page = 5, .write = true,
				     .limit = PAGES, .reach = XM_REACH_LOST };

	open_written(usual);
	range(XM_PAGER_FREEZE, 5, 6);
	CU_ASSERT_EQUAL(send_event(ev), XM_VERDICT_LOST);
	open_pager(usual);
	range(XM_PAGER_CLONE_LOCK, 5, 6);
	CU_ASSERT_EQUAL(send_event(ev), XM_VERDICT_LOST);
}

int main(void)
{
	CU_TestInfo tests[] = {
		XM_TEST(a_store_waits_and_a_load_does_not),
		XM_TEST(what_is_dirty_is_stored_before_it_counts_as_frozen),
		XM_TEST(a_dirty_page_that_is_released_may_be_stored_to),
		XM_TEST(rights_do_not_open_what_is_frozen),
		XM_TEST(a_page_that_is_pinned_for_writing_cannot_be_frozen),
		XM_TEST(explicit_writes_and_discards_wait),
		XM_TEST(a_write_that_began_before_is_part_of_the_moment),
		XM_TEST(a_write_that_is_cut_off_is_lost_to_the_clone),
		XM_TEST(a_clone_waits_for_its_bytes_and_keeps_what_is_fresh),
		XM_TEST(a_wait_ends_when_the_appliance_is_lost),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("pager_clone", tests);
}
