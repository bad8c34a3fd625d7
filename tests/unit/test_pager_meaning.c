/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of meaning: discard, forget, loss; and the bounds of range events.
 * How events of all kinds mix is asked by test_pager_model.c.
 */
#include "tests/unit/pager_rig.h"

/* --- other contents ---------------------------------------------------------- */

static void a_discarded_page_reads_as_zero_once_its_store_has_landed(void)
{
	struct xm_pager_effect e;

	open_pager(usual);
	fault(5, true);
	range(XM_PAGER_FLUSH, 5, 6);
	e = *effect(XM_STORE, 0);
	CU_ASSERT_EQUAL(range(XM_PAGER_DISCARD, 5, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	stored(&e, 0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effect(XM_INSTALL, 0)->staging_index, XM_STAGING_ZERO);
}

static void a_discard_waits_for_a_fetch_that_flies(void)
{
	struct xm_pager_effect e;

	open_written(usual);
	fault(5, false);
	e = *effect(XM_FETCH, 0);
	CU_ASSERT_EQUAL(range(XM_PAGER_DISCARD, 4, 7), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.next, 5);
	fetched(&e, 0);
	CU_ASSERT_EQUAL(range(XM_PAGER_DISCARD, 5, 7), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effect(XM_INSTALL, 0)->staging_index, XM_STAGING_ZERO);
}

/* What is here goes, and what flies is waited for; the next touch fetches it, and what is
 * known of the page stays. */
static void a_refreshed_page_is_fetched_anew(void)
{
	struct xm_pager_effect e;

	open_written(usual);
	fault(5, false);
	e = *effect(XM_FETCH, 0);
	CU_ASSERT_EQUAL(range(XM_PAGER_REFRESH, 4, 7), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.next, 5);
	fetched(&e, 0);
	CU_ASSERT_EQUAL(range(XM_PAGER_REFRESH, 5, 7), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_ABSENT);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	e = *effect(XM_FETCH, 0);
	fetched(&e, 0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(range(XM_PAGER_REFRESH, 5, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effects(XM_DROP), 1);
	CU_ASSERT_EQUAL(pager.frames_used, 0);
	/* What this client has stored to itself stays. */
	fault(9, true);
	if (effects(XM_FETCH) > 0) {
		e = *effect(XM_FETCH, 0);
		fetched(&e, 0);
		fault(9, true);
	}
	CU_ASSERT_EQUAL(state(9), XM_PAGE_DIRTY);
	CU_ASSERT_EQUAL(range(XM_PAGER_REFRESH, 9, 10), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(state(9), XM_PAGE_DIRTY);
}

static void a_page_is_forgotten_whole_or_not_yet(void)
{
	struct xm_pager_effect e;

	open_pager(usual);
	fault(5, true);
	range(XM_PAGER_FLUSH, 5, 6);
	e = *effect(XM_STORE, 0);
	fault(5, true);
	/* An older version flies: what is here is not dropped before. */
	CU_ASSERT_EQUAL(range(XM_PAGER_FORGET, 5, 6), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_DIRTY);
	stored(&e, -5);
	CU_ASSERT_EQUAL(range(XM_PAGER_FORGET, 5, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_ABSENT);
	CU_ASSERT_EQUAL(pager.writeback_used, 0);
}

static void long_ranges_are_done_in_bounded_steps(void)
{
	struct xm_pager_options options = usual;
	uint64_t page = 0;
	unsigned steps = 0;

	options.pages_max = 2000;
	open_pager(options);
	while (range(XM_PAGER_FORGET, page, 2000) == XM_VERDICT_MORE) {
		CU_ASSERT_TRUE(fx.next > page);
		page = fx.next;
		steps++;
	}
	CU_ASSERT_EQUAL(fx.verdict, XM_VERDICT_DONE);
	CU_ASSERT_TRUE(steps >= 3);
}

static void a_step_with_everything_to_do_keeps_to_its_effects(void)
{
	struct xm_pager_options options = usual;
	uint64_t page = 0;

	options.pages_max = 1200;
	options.frames_max = 1200;
	options.writeback_buffers = 1200;
	open_pager(options);
	for (page = 0; page < 1200; page++)
		send_event((struct xm_pager_event){
			.kind = XM_PAGER_FAULT, .page = page, .write = true,
			.limit = 1200 });
	/* Every second page stays: 600 runs of one. */
	for (page = 0; page < 1200; page += 2)
		range(XM_PAGER_DISCARD, page, page + 1);
	page = 0;
	while (range(XM_PAGER_EVICT, page, 1200) == XM_VERDICT_MORE) {
		CU_ASSERT_TRUE(fx.count <= XM_PAGER_EFFECTS);
		page = fx.next;
	}
	CU_ASSERT_EQUAL(fx.verdict, XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(pager.frames_used, 0);
}

/* --- loss -------------------------------------------------------------------- */

static void an_absent_page_of_lost_memory_is_poisoned_when_touched(void)
{
	open_written(usual);
	CU_ASSERT_EQUAL(range(XM_PAGER_LOST, 0, 10), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_LOST);
	CU_ASSERT_EQUAL(fx.list[0].kind, XM_POISON);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_LOST);
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_EQUAL(fault(10, false), XM_VERDICT_WAIT);
}

static void what_is_here_of_lost_memory_stays_readable(void)
{
	open_written(usual);
	bring(5);
	range(XM_PAGER_LOST, 0, 10);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(range(XM_PAGER_FLUSH, 5, 6), XM_VERDICT_LOST);
}

static void lost_memory_is_poisoned_when_its_frame_is_needed(void)
{
	struct xm_pager_options options = usual;

	options.frames_max = 2;
	options.pins_max = 1;
	open_written(options);
	bring(5);
	range(XM_PAGER_LOST, 0, 10);
	range(XM_PAGER_DISCARD, 20, PAGES);
	fault(30, false);
	fault(50, false);
	fault(70, false);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_POISONED);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_LOST);
}

static void what_arrives_after_the_loss_is_not_believed(void)
{
	struct xm_pager_effect e;

	open_written(usual);
	fault(5, false);
	e = *effect(XM_FETCH, 0);
	range(XM_PAGER_LOST, 0, 10);
	fetched(&e, 0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_LOST);
	CU_ASSERT_EQUAL(effects(XM_INSTALL), 0);
}

static void a_store_that_flies_over_the_loss_ends_without_its_page(void)
{
	struct xm_pager_effect e;

	open_pager(usual);
	fault(5, true);
	range(XM_PAGER_EVICT, 5, 6);
	e = *effect(XM_STORE, 0);
	range(XM_PAGER_LOST, 5, 6);
	CU_ASSERT_EQUAL(pager.writeback_used, 1);
	/* The address gets another meaning before it ends. */
	CU_ASSERT_EQUAL(range(XM_PAGER_FORGET, 5, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(5, true), XM_VERDICT_DONE);
	stored(&e, -125);
	CU_ASSERT_EQUAL(pager.writeback_used, 0);
	CU_ASSERT_EQUAL(pager.writeback_failed, 0);
	CU_ASSERT_EQUAL(state(5), XM_PAGE_DIRTY);
}

static void a_page_the_mapper_refused_is_poisoned(void)
{
	open_pager(usual);
	fault(5, false);
	CU_ASSERT_EQUAL(range(XM_PAGER_REFUSED, 5, 6), XM_VERDICT_LOST);
	CU_ASSERT_EQUAL(effects(XM_POISON), 1);
	CU_ASSERT_EQUAL(pager.frames_used, 0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_LOST);
	/* A new meaning of the address mends it. */
	CU_ASSERT_EQUAL(range(XM_PAGER_FORGET, 5, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_discarded_page_reads_as_zero_once_its_store_has_landed),
		XM_TEST(a_discard_waits_for_a_fetch_that_flies),
		XM_TEST(a_refreshed_page_is_fetched_anew),
		XM_TEST(a_page_is_forgotten_whole_or_not_yet),
		XM_TEST(long_ranges_are_done_in_bounded_steps),
		XM_TEST(a_step_with_everything_to_do_keeps_to_its_effects),
		XM_TEST(an_absent_page_of_lost_memory_is_poisoned_when_touched),
		XM_TEST(what_is_here_of_lost_memory_stays_readable),
		XM_TEST(lost_memory_is_poisoned_when_its_frame_is_needed),
		XM_TEST(what_arrives_after_the_loss_is_not_believed),
		XM_TEST(a_store_that_flies_over_the_loss_ends_without_its_page),
		XM_TEST(a_page_the_mapper_refused_is_poisoned),
		CU_TEST_INFO_NULL,
	};

	return rig_run("pager_meaning", tests);
}
