/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stories of the pager, event by event: what each may return, and its limits
 * at the limit and one past. How the events mix is asked by
 * test_pager_model.c.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "core/pure/pager.h"
#include "common/rand.h"

#define PAGES 256

static struct xm_pager pager;
static struct xm_pager_effects fx;
static void *memory;

static const struct xm_pager_options usual = {
	.pages_max = PAGES, .frames_max = 16, .window_max = 8, .fetch_buffers = 3,
	.writeback_buffers = 4, .pins_max = 4, .scatter = 1,
};

static void open_pager(struct xm_pager_options options)
{
	free(memory);
	memory = calloc(1, xm_pager_memory_size(&options));
	xm_pager_init(&pager, &options, memory);
}

static enum xm_verdict send_event(struct xm_pager_event ev)
{
	xm_pager_step(&pager, &ev, &fx);
	CU_ASSERT_PTR_NULL(xm_pager_check(&pager));
	return fx.verdict;
}

static enum xm_verdict fault(uint64_t page, bool write)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_FAULT, .page = page, .write = write,
		.floor = 0, .limit = PAGES });
}

static enum xm_verdict fault_out_of_reach(uint64_t page, enum xm_reach reach)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_FAULT, .page = page, .limit = PAGES,
		.reach = reach });
}

static enum xm_verdict range(enum xm_pager_event_kind kind, uint64_t page,
			     uint64_t limit)
{
	return send_event((struct xm_pager_event){
		.kind = kind, .page = page, .limit = limit });
}

static enum xm_verdict flushed(uint64_t page, uint64_t limit, uint64_t seq)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_FLUSHED, .page = page, .limit = limit,
		.seq = seq });
}

static enum xm_verdict pin(uint64_t page, bool write)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_PIN, .page = page, .write = write });
}

static enum xm_verdict io_lock(uint64_t page, uint64_t limit, bool whole)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_IO_LOCK, .page = page, .limit = limit,
		.whole = whole });
}

static void io_unlock(uint64_t page, uint64_t limit, bool write)
{
	send_event((struct xm_pager_event){
		.kind = XM_PAGER_IO_UNLOCK, .page = page, .limit = limit,
		.write = write });
}

/* The n-th effect of a kind, or NULL. */
static const struct xm_pager_effect *effect(enum xm_pager_effect_kind kind,
					    unsigned n)
{
	for (uint32_t i = 0; i < fx.count; i++) {
		if (fx.list[i].kind == kind && n-- == 0)
			return &fx.list[i];
	}
	return NULL;
}

static unsigned effects(enum xm_pager_effect_kind kind)
{
	unsigned n = 0;

	while (effect(kind, n) != NULL)
		n++;
	return n;
}

static void fetched(const struct xm_pager_effect *e, int status)
{
	send_event((struct xm_pager_event){ .kind = XM_PAGER_FETCHED,
					    .staging_index = e->staging_index,
					    .status = status });
}

static void stored(const struct xm_pager_effect *e, int status)
{
	send_event((struct xm_pager_event){ .kind = XM_PAGER_STORED,
					    .staging_index = e->staging_index,
					    .count = e->count,
					    .status = status });
}

static enum xm_page_state state(uint64_t page)
{
	return (enum xm_page_state)pager.pages[page].state;
}

/* The remote memory holds these pages. */
static void open_written(struct xm_pager_options options)
{
	open_pager(options);
	CU_ASSERT_EQUAL(range(XM_PAGER_MARK_BACKED, 0, options.pages_max),
			XM_VERDICT_DONE);
}

/* Reads a page in by one fetch of its own. */
static void bring(uint64_t page)
{
	struct xm_pager_effect e;

	CU_ASSERT_EQUAL_FATAL(fault(page, false), XM_VERDICT_WAIT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(effect(XM_FETCH, 0));
	e = *effect(XM_FETCH, 0);
	fetched(&e, 0);
	CU_ASSERT_EQUAL(fault(page, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(state(page), XM_PAGE_CLEAN);
}

/* --- fresh pages and misses --------------------------------------------------- */

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

static void a_fresh_page_is_had_even_while_the_far_side_is_down(void)
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

static void a_miss_waits_while_the_far_side_is_down_and_ends_when_it_is_lost(void)
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

/* --- write-back -------------------------------------------------------------------- */

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

static void a_store_that_fails_keeps_its_cell(void)
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

static void a_fault_on_a_leaving_page_is_served_from_its_cell(void)
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

static void a_flush_without_a_free_cell_waits_and_goes_on(void)
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

/* --- reclaim and its limits ------------------------------------------------------------ */

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

static void a_page_whose_eviction_finds_no_cell_stays(void)
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

/* All that the last step has posted ends well; returns how many pages were
 * stored. */
static unsigned settle(void)
{
	static struct xm_pager_effects posted;
	unsigned stores = 0;

	posted = fx;
	for (uint32_t i = 0; i < posted.count; i++) {
		const struct xm_pager_effect *e = &posted.list[i];

		if (e->kind == XM_FETCH)
			fetched(e, 0);
		if (e->kind == XM_STORE) {
			stored(e, 0);
			stores += e->count;
		}
	}
	return stores;
}

/* Touches a page until it is there; returns how many pages were stored. */
static unsigned touch(uint64_t page, bool write)
{
	unsigned stores = 0;

	for (unsigned turn = 0;; turn++) {
		enum xm_verdict verdict = send_event((struct xm_pager_event){
			.kind = XM_PAGER_FAULT, .page = page, .write = write,
			.limit = pager.options.pages_max });

		CU_ASSERT_TRUE_FATAL(turn < 8);
		stores += settle();
		if (verdict == XM_VERDICT_DONE)
			return stores;
	}
}

/* --- foresight and reclaim --------------------------------------------------------------- */

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
static void foresight_is_unlearnt_from_pages_that_leave_unwritten(void)
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

/* --- reading ahead ----------------------------------------------------------------------- */

/* Reads pages in order until the stream runs ahead. */
static void begin_stream(void)
{
	for (uint64_t page = 0; page < 8; page++) {
		for (unsigned turn = 0; fault(page, false) != XM_VERDICT_DONE;
		     turn++) {
			struct xm_pager_effect e[3];
			unsigned count = effects(XM_FETCH);

			CU_ASSERT_FATAL(turn < 8 && count <= 3);
			for (unsigned i = 0; i < count; i++)
				e[i] = *effect(XM_FETCH, i);
			for (unsigned i = 0; i < count; i++)
				fetched(&e[i], 0);
		}
	}
}

/* Touches pages in this order and says how many had to be waited for. */
static uint64_t misses_of(uint64_t first, int64_t step, unsigned count)
{
	uint64_t before = pager.counters.misses, page = first;

	for (unsigned i = 0; i < count; i++, page += (uint64_t)step)
		touch(page, false);
	return pager.counters.misses - before;
}

static void a_stride_is_read_ahead_once_most_misses_have_kept_it(void)
{
	struct xm_pager_options options = usual;

	options.fetch_buffers = 8;
	open_written(options);
	CU_ASSERT_TRUE(misses_of(0, 7, 12) >= 9);
	CU_ASSERT_TRUE(misses_of(84, 7, 20) <= 2);
	open_written(options);
	misses_of(255, -5, 12);
	CU_ASSERT_TRUE(misses_of(195, -5, 20) <= 2);
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

/* As 2Q leaves it, which keeps a part of what is scanned again and again. */
static void a_stream_goes_on_behind_pages_that_are_here(void)
{
	struct xm_pager_options options = usual;

	options.frames_max = 64;
	options.fetch_buffers = 8;
	for (int backward = 0; backward < 2; backward++) {
		int64_t step = backward ? -1 : 1;

		open_written(options);
		send_event((struct xm_pager_event){
			.kind = XM_PAGER_ADVISE, .page = 120, .limit = 140,
			.advice = XM_ADVICE_RANDOM });
		misses_of(120, 1, 20);
		CU_ASSERT_TRUE(misses_of(backward ? 159 : 100, step, 20) >= 3);
		/* Touches of what is here are not heard of. */
		CU_ASSERT_TRUE(misses_of(backward ? 119 : 140, step, 40) <= 1);
	}
}

/* Page 20 is here, and written to; a stream comes to it. */
static void a_window_goes_over_a_page_that_is_here_and_leaves_it(void)
{
	struct xm_pager_options options = usual;
	struct xm_pager_effect window = { 0 };

	options.frames_max = 64;
	options.fetch_buffers = 8;
	open_written(options);
	send_event((struct xm_pager_event){
		.kind = XM_PAGER_ADVISE, .page = 20, .limit = 21,
		.advice = XM_ADVICE_RANDOM });
	touch(20, true);
	for (uint64_t page = 0; page < 19 && window.kind == 0;) {
		bool done = fault(page, false) == XM_VERDICT_DONE;

		for (unsigned i = 0; i < effects(XM_FETCH); i++) {
			const struct xm_pager_effect *e = effect(XM_FETCH, i);

			if (e->page < 20 && e->page + e->count > 20)
				window = *e;
		}
		settle();
		page += done;
	}
	CU_ASSERT_TRUE_FATAL(window.count > 2);
	CU_ASSERT_EQUAL(state(20), XM_PAGE_DIRTY);
	/* It leaves while the window waits: what came with that is older. */
	send_event((struct xm_pager_event){ .kind = XM_PAGER_EVICT, .page = 20,
					    .limit = 21 });
	settle();
	CU_ASSERT_EQUAL(state(20), XM_PAGE_ABSENT);
	CU_ASSERT_EQUAL(fault(19, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effects(XM_INSTALL), 2);
	CU_ASSERT_EQUAL(effect(XM_INSTALL, 0)->page +
				effect(XM_INSTALL, 0)->count, 20);
	CU_ASSERT_EQUAL(effect(XM_INSTALL, 1)->page, 21);
	CU_ASSERT_EQUAL(effect(XM_INSTALL, 1)->staging_index,
			window.staging_index + 21 - (uint32_t)window.page);
	CU_ASSERT_EQUAL(state(20), XM_PAGE_ABSENT);
}

/* --- what is read ahead and wasted ---------------------------------------------------------- */

#define FAR_PAGES (1 << 16)

/* What the pager can not know: which of the pages read were touched. */
static struct {
	uint64_t touches, read, used;
	uint64_t unit; /* of each fault; no fetch may cross a multiple of it */
	bool unseen[FAR_PAGES];
} truth;

static void open_far(void)
{
	struct xm_pager_options options = usual;

	options.pages_max = FAR_PAGES;
	options.frames_max = 1024;
	options.window_max = 64;
	options.fetch_buffers = 16;
	options.writeback_buffers = 16;
	open_pager(options);
	for (uint64_t page = 0; page < options.pages_max; page += 512)
		range(XM_PAGER_MARK_BACKED, page, page + 512);
	memset(&truth, 0, sizeof(truth));
}

static void visit(uint64_t page)
{
	struct xm_pager_effects posted;

	truth.touches++;
	while (state(page) != XM_PAGE_CLEAN) {
		send_event((struct xm_pager_event){
			.kind = XM_PAGER_FAULT, .page = page,
			.limit = FAR_PAGES, .unit = truth.unit });
		posted = fx;
		for (uint32_t i = 0; i < posted.count; i++) {
			const struct xm_pager_effect *e = &posted.list[i];

			if (e->kind != XM_FETCH)
				continue;
			if (truth.unit > 0)
				CU_ASSERT_EQUAL(e->page / truth.unit,
						(e->page + e->count - 1) /
							truth.unit);
			for (uint64_t at = e->page; at < e->page + e->count; at++) {
				if (state(at) == XM_PAGE_FETCHING) {
					truth.read++;
					truth.unseen[at] = true;
				}
			}
			fetched(e, 0);
		}
	}
	truth.used += truth.unseen[page];
	truth.unseen[page] = false;
}

/* In vain is no more than what was used; what is counted is nearly that. Both
 * but for what is under way, or was, before it was known better. */
static void account(void)
{
	uint64_t slack = XM_PAGER_CREDIT + XM_PAGER_WINDOW_MAX *
			 (XM_PAGER_WINDOWS + pager.options.fetch_buffers);
	uint64_t vain = truth.read - truth.used,
		 counted = pager.counters.prefetched_wasted;

	CU_ASSERT_TRUE(vain <= truth.used + slack);
	CU_ASSERT_TRUE(counted <= truth.used + slack);
	CU_ASSERT_TRUE(counted <= vain + truth.used / 8 + slack);
	CU_ASSERT_TRUE(vain <= counted + truth.used / 8 + slack);
}

static const unsigned steps[] = {
	1, 2, 3, 4, 5, 8, 16, 31, 32, 48, 60, 63, 64, 65, 100,
};

static void a_stride_behind_a_sequence_is_not_held_to_be_one(void)
{
	for (unsigned i = 0; i < XM_COUNT(steps); i++) {
		open_far();
		for (uint64_t page = 0; page < 2048; page++)
			visit(page);
		for (uint64_t page = 2048; page < FAR_PAGES; page += steps[i])
			visit(page);
		account();
		/* What it is instead, is found out. */
		CU_ASSERT_TRUE(pager.counters.misses < 50);
	}
}

static void runs_that_end_are_read_ahead_of_no_more_than_they_are_long(void)
{
	struct xm_rand r;

	xm_rand_seed(&r, 1);
	for (unsigned i = 0; i < XM_COUNT(steps); i++) {
		open_far();
		for (unsigned run = 0; run < 1000; run++) {
			uint64_t page = xm_rand_below(&r, FAR_PAGES - 100);

			for (unsigned k = 0; k < steps[i]; k++)
				visit(page + k);
		}
		account();
		/* But they are read ahead of. */
		CU_ASSERT_TRUE(pager.counters.misses < 4000);
	}
}

static void pages_left_out_of_a_sequence_are_counted(void)
{
	struct xm_rand r;

	xm_rand_seed(&r, 1);
	for (unsigned i = 0; i < XM_COUNT(steps); i++) {
		open_far();
		for (uint64_t page = 0; page < FAR_PAGES; page++) {
			if (xm_rand_below(&r, steps[i]) == 0)
				visit(page);
		}
		account();
	}
}

static void sequential_advice_that_is_not_true_is_soon_not_believed(void)
{
	struct xm_rand r;

	xm_rand_seed(&r, 1);
	open_far();
	for (uint64_t page = 0; page < FAR_PAGES; page += 512)
		send_event((struct xm_pager_event){
			.kind = XM_PAGER_ADVISE, .page = page,
			.limit = page + 512, .advice = XM_ADVICE_SEQUENTIAL });
	for (unsigned i = 0; i < 5000; i++)
		visit(xm_rand_below(&r, FAR_PAGES));
	account();
	/* It is again when it is true, however much was wasted. */
	for (uint64_t page = 0; page < 20000; page++)
		visit(page);
	pager.counters.misses = 0;
	for (uint64_t page = 20000; page < 40000; page++)
		visit(page);
	CU_ASSERT_TRUE(pager.counters.misses < 10);
}

/* Every window is for nothing: the stream jumps as soon as it is believed. */
static void reading_ahead_in_vain_is_bounded(void)
{
	open_far();
	for (uint64_t i = 0; i < 6000; i++)
		visit((i / 3 * 31 % 8000) * 8 + i % 3);
	CU_ASSERT_TRUE(pager.counters.prefetched > 0);
	account();
}

static void what_is_used_is_not_counted_and_costs_next_to_nothing(void)
{
	const struct xm_pager_counters *c = &pager.counters;
	uint64_t windows = 40000 / XM_PAGER_WINDOW_MAX;

	for (unsigned backward = 0; backward < 2; backward++) {
		open_far();
		for (uint64_t i = 0; i < 40000; i++)
			visit(backward ? FAR_PAGES - 1 - i : i);
		CU_ASSERT_EQUAL(c->prefetched_wasted, 0);
		CU_ASSERT_TRUE(c->misses < 10);
		/* Some windows end early. */
		CU_ASSERT_TRUE(c->faults <= windows + windows / 25 + 10);
	}
	/* More streams than are kept, and pages at random between. */
	open_far();
	for (uint64_t i = 0; i < 5000; i++) {
		for (uint64_t k = 0; k < XM_PAGER_STREAMS + 2; k++)
			visit(k * 5000 + i);
		visit(60000 + i % 2 * 2500 + i / 2);
	}
	CU_ASSERT_TRUE(c->prefetched_wasted < 500);
}

/* Reads 20,000 pages in order, up or down, by units of this size. */
static void read_by_units(uint64_t unit, bool backward)
{
	open_far();
	truth.unit = unit;
	for (uint64_t i = 0; i < 20000; i++)
		visit(backward ? FAR_PAGES - 1 - i : i);
}

static void no_fetch_crosses_a_unit_and_every_stream_does(void)
{
	static const uint64_t units[] = { 64, 16, 1 };

	for (unsigned i = 0; i < 2 * XM_COUNT(units); i++) {
		read_by_units(units[i / 2], i % 2 == 1);
		CU_ASSERT_EQUAL(pager.counters.prefetched_wasted, 0);
		CU_ASSERT_TRUE(pager.counters.misses < 10);
	}
}

static void a_fetch_stops_at_a_unit_and_the_next_one_begins_there(void)
{
	bool one_begins_there = false;

	open_far();
	truth.unit = 64;
	for (uint64_t page = 20; page < 63; page++)
		visit(page);
	/* The stream has come to the last page of a unit, and is ahead of it. */
	visit(63);
	one_begins_there = state(64) == XM_PAGE_FETCHING;
	CU_ASSERT_TRUE(one_begins_there);
	/* The event that has no unit is bounded by its limit alone. */
	open_far();
	for (uint64_t page = 20; page < 400; page++)
		visit(page);
	one_begins_there = false;
	for (uint32_t i = 0; i < pager.options.fetch_buffers; i++) {
		const struct xm_fetch_buffer *b = &pager.fetch_buffers[i];

		one_begins_there |= b->count > 0 &&
				    b->page / 64 != (b->page + b->count - 1) / 64;
	}
	CU_ASSERT_TRUE(one_begins_there);
}

static void what_will_be_needed_is_fetched_by_units(void)
{
	open_far();
	send_event((struct xm_pager_event){ .kind = XM_PAGER_WILLNEED, .page = 50,
					    .floor = 50, .limit = 150, .unit = 64 });
	CU_ASSERT_EQUAL(effects(XM_FETCH), 3);
	CU_ASSERT_EQUAL(effect(XM_FETCH, 0)->page, 50);
	CU_ASSERT_EQUAL(effect(XM_FETCH, 0)->count, 14);
	CU_ASSERT_EQUAL(effect(XM_FETCH, 1)->page, 64);
	CU_ASSERT_EQUAL(effect(XM_FETCH, 1)->count, 64);
	CU_ASSERT_EQUAL(effect(XM_FETCH, 2)->page, 128);
	CU_ASSERT_EQUAL(effect(XM_FETCH, 2)->count, 22);
}

/* Says that [page, limit) will be needed until that is dealt with; returns how
 * many pages were asked for. */
static unsigned will_need(uint64_t page, uint64_t limit)
{
	unsigned asked = 0;

	for (;;) {
		enum xm_verdict verdict = range(XM_PAGER_WILLNEED, page, limit);

		page = fx.next;
		for (unsigned i = 0; i < effects(XM_FETCH); i++)
			asked += effect(XM_FETCH, i)->count;
		CU_ASSERT_EQUAL(effects(XM_DROP), 0);
		CU_ASSERT_EQUAL(effects(XM_STORE), 0);
		/* There is something to wait for. */
		CU_ASSERT_TRUE_FATAL(verdict != XM_VERDICT_WAIT ||
				     effects(XM_FETCH) > 0);
		settle();
		if (verdict == XM_VERDICT_DONE)
			return asked;
	}
}

static void what_will_be_needed_comes_as_far_as_there_is_room(void)
{
	struct xm_pager_options options = usual;
	uint64_t page;

	options.pages_max = 4096;
	options.frames_max = 2000;
	open_pager(options);
	for (page = 0; page < 4096; page += 512)
		range(XM_PAGER_MARK_BACKED, page, page + 512);
	/* More than one step looks at, less than there are frames. */
	CU_ASSERT_EQUAL(will_need(0, 1800), 1800);
	CU_ASSERT_TRUE(pager.frames_used >= 1800 - 2 * options.window_max);
	for (page = 0; page < 1800; page++) {
		CU_ASSERT_EQUAL(fault(page, false), XM_VERDICT_DONE);
	}
	CU_ASSERT_EQUAL(pager.counters.misses, 0);
	/* The rest of the frames, and all fetch buffers but one. */
	CU_ASSERT_EQUAL(will_need(1800, 4096), 200 + 2 * options.window_max);
	CU_ASSERT_EQUAL(pager.frames_used, 2000);
	CU_ASSERT_EQUAL(pager.counters.evictions, 0);
	CU_ASSERT_EQUAL(will_need(3000, 4096), 0);
}

static void what_will_be_needed_is_left_where_it_cannot_be_had(void)
{
	open_written(usual);
	CU_ASSERT_EQUAL(send_event((struct xm_pager_event){
				.kind = XM_PAGER_WILLNEED, .limit = PAGES,
				.reach = XM_REACH_DOWN }),
			XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.count, 0);
	/* It flies, and is installed when all that is before is dealt with. */
	CU_ASSERT_EQUAL(range(XM_PAGER_WILLNEED, 0, PAGES), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fx.next, 2 * usual.window_max);
	CU_ASSERT_EQUAL(effects(XM_FETCH), usual.fetch_buffers - 1);
	settle();
	/* Not by who speaks of another range. */
	CU_ASSERT_EQUAL(send_event((struct xm_pager_event){
				.kind = XM_PAGER_WILLNEED, .floor = 100,
				.page = 100, .limit = PAGES }),
			XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(pager.frames_used, 0);
	CU_ASSERT_EQUAL(fault(0, false), XM_VERDICT_DONE);
}

static void prefetch_never_takes_a_frame(void)
{
	uint32_t before;

	open_pager(usual);
	for (uint64_t page = 0; page < 32; page += 2)
		fault(page, true);
	range(XM_PAGER_MARK_BACKED, 100, PAGES);
	before = pager.frames_used;
	CU_ASSERT_EQUAL(before, usual.frames_max);
	CU_ASSERT_EQUAL(send_event((struct xm_pager_event){
				.kind = XM_PAGER_WILLNEED, .page = 100,
				.limit = PAGES }),
			XM_VERDICT_DONE);
	/* One fetch buffer stays for those who wait. */
	CU_ASSERT_EQUAL(effects(XM_FETCH), usual.fetch_buffers - 1);
	CU_ASSERT_EQUAL(effects(XM_DROP), 0);
	CU_ASSERT_EQUAL(pager.frames_used, before);
}

static void a_stream_is_read_ahead_by_windows(void)
{
	open_written(usual);
	begin_stream();
	CU_ASSERT_TRUE(pager.counters.prefetched > 0);
	CU_ASSERT_TRUE(pager.counters.misses < 8);
}

static void the_read_ahead_is_not_posted_over_the_window_that_is_installed(void)
{
	struct xm_pager_options options = usual;
	struct xm_pager_effect ahead = { 0 };

	options.frames_max = 64;
	open_written(options);
	for (uint64_t page = 0; page < 100; page++) {
		for (unsigned turn = 0; fault(page, false) != XM_VERDICT_DONE;
		     turn++) {
			struct xm_pager_effect e[3];
			unsigned count = effects(XM_FETCH);

			CU_ASSERT_FATAL(turn < 8 && count <= 3);
			for (unsigned i = 0; i < count; i++)
				e[i] = *effect(XM_FETCH, i);
			for (unsigned i = 0; i < count; i++)
				fetched(&e[i], 0);
		}
		if (effect(XM_FETCH, 0) == NULL)
			continue;
		ahead = *effect(XM_FETCH, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(effect(XM_INSTALL, 0));
		CU_ASSERT_NOT_EQUAL(ahead.staging_index / options.window_max,
				    effect(XM_INSTALL, 0)->staging_index /
					    options.window_max);
		fetched(&ahead, 0);
	}
	CU_ASSERT_TRUE(ahead.count > 0);
}

static void runs_end_where_the_fault_says(void)
{
	open_written(usual);
	for (uint64_t page = 0; page < 12; page++) {
		for (unsigned turn = 0; turn < 8; turn++) {
			struct xm_pager_effect e[3];
			enum xm_verdict verdict;
			unsigned count;

			verdict = send_event((struct xm_pager_event){
				.kind = XM_PAGER_FAULT, .page = page,
				.limit = 12 });
			count = effects(XM_FETCH);
			for (unsigned i = 0; i < count; i++) {
				e[i] = *effect(XM_FETCH, i);
				CU_ASSERT_TRUE(e[i].page + e[i].count <= 12);
			}
			for (unsigned i = 0; i < count; i++)
				fetched(&e[i], 0);
			if (verdict == XM_VERDICT_DONE)
				break;
		}
	}
	CU_ASSERT_EQUAL(state(12), XM_PAGE_ABSENT);
}

static void random_advice_fetches_single_pages(void)
{
	open_written(usual);
	send_event((struct xm_pager_event){ .kind = XM_PAGER_ADVISE,
					    .limit = PAGES,
					    .advice = XM_ADVICE_RANDOM });
	for (uint64_t page = 0; page < 16; page++)
		bring(page);
	CU_ASSERT_EQUAL(pager.counters.prefetched, 0);
	CU_ASSERT_EQUAL(pager.counters.misses, 16);
}

static void advise(uint64_t page, uint64_t limit, enum xm_advice advice)
{
	send_event((struct xm_pager_event){ .kind = XM_PAGER_ADVISE,
					    .page = page, .limit = limit,
					    .advice = advice });
}

static void random_advice_ends_a_stream_that_runs_ahead(void)
{
	struct xm_pager_options options = usual;
	uint64_t before;

	options.fetch_buffers = 8;
	open_written(options);
	misses_of(0, 1, 40);
	before = pager.counters.prefetched;
	CU_ASSERT_TRUE_FATAL(before > 20);
	advise(0, PAGES, XM_ADVICE_RANDOM);
	/* But for what was on its way, each page is one of its own. */
	misses_of(40, 1, 100);
	CU_ASSERT_EQUAL(pager.counters.prefetched, before);
	CU_ASSERT_TRUE(pager.counters.pages_read <= before + 140);
	/* And what is advised otherwise is read ahead of again. */
	advise(0, PAGES, XM_ADVICE_NORMAL);
	misses_of(140, 1, 40);
	CU_ASSERT_TRUE(pager.counters.prefetched > before);
}

static void no_window_reaches_into_what_is_touched_at_random(void)
{
	struct xm_pager_options options = usual;

	options.fetch_buffers = 8;
	for (int backward = 0; backward < 2; backward++) {
		open_written(options);
		advise(100, 120, XM_ADVICE_RANDOM);
		misses_of(backward ? 180 : 40, backward ? -1 : 1, 60);
		for (uint64_t page = 100; page < 120; page++)
			CU_ASSERT_EQUAL(state(page), XM_PAGE_ABSENT);
	}
	/* Nor one that begins beyond it. */
	advise(220, PAGES, XM_ADVICE_RANDOM);
	misses_of(150, 1, 70);
	misses_of(220, 1, 10);
	CU_ASSERT_EQUAL(state(230), XM_PAGE_ABSENT);
	/* Fresh pages cost no read, but frames. */
	open_pager(options);
	advise(20, PAGES, XM_ADVICE_RANDOM);
	misses_of(0, 1, 20);
	CU_ASSERT_EQUAL(state(20), XM_PAGE_ABSENT);
}

static void sequential_advice_fetches_a_whole_window_at_once(void)
{
	open_written(usual);
	send_event((struct xm_pager_event){ .kind = XM_PAGER_ADVISE,
					    .limit = PAGES,
					    .advice = XM_ADVICE_SEQUENTIAL });
	fault(0, false);
	CU_ASSERT_EQUAL(effect(XM_FETCH, 0)->count, usual.window_max);
}

static void a_demand_takes_an_unused_window_back_and_counts_it_wasted(void)
{
	struct xm_pager_options options = usual;
	struct xm_pager_effect e;

	options.fetch_buffers = 2;
	open_written(options);
	send_event((struct xm_pager_event){ .kind = XM_PAGER_WILLNEED,
					    .page = 100, .limit = 108 });
	e = *effect(XM_FETCH, 0);
	fetched(&e, 0);
	CU_ASSERT_EQUAL(fault(7, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fault(50, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_FETCH), 1);
	CU_ASSERT_EQUAL(state(100), XM_PAGE_ABSENT);
	CU_ASSERT_EQUAL(pager.counters.prefetched_wasted, 8);
	/* Both fetch buffers fly now: one past the limit waits. */
	CU_ASSERT_EQUAL(fault(90, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_FETCH), 0);
}

/* --- other meanings ------------------------------------------------------------------------- */

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

/* --- loss -------------------------------------------------------------------------------------- */

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

/* --- explicit I/O --------------------------------------------------------------------------------- */

static void a_guard_takes_a_run_and_faults_wait_until_it_is_given_back(void)
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

static void a_guard_says_which_pages_are_fresh(void)
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

static void a_guard_waits_for_a_store_and_throws_a_prefetched_window_away(void)
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

static void a_guard_stops_where_memory_is_lost(void)
{
	open_written(usual);
	range(XM_PAGER_LOST, 8, 10);
	CU_ASSERT_EQUAL(io_lock(5, 12, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fx.next, 8);
	io_unlock(5, 8, false);
	CU_ASSERT_EQUAL(io_lock(8, 12, false), XM_VERDICT_LOST);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_fresh_page_reads_as_zero_without_a_transfer),
		XM_TEST(a_fresh_page_is_had_even_while_the_far_side_is_down),
		XM_TEST(a_store_to_a_clean_page_unprotects_it),
		XM_TEST(a_miss_fetches_and_waits_and_is_installed_when_asked_again),
		XM_TEST(a_fetch_that_fails_is_posted_again),
		XM_TEST(a_miss_waits_while_the_far_side_is_down_and_ends_when_it_is_lost),
		XM_TEST(an_arrived_page_without_a_frame_is_not_waited_for_out_of_reach),
		XM_TEST(a_dirty_page_leaves_protected_then_copied_then_stored_then_dropped),
		XM_TEST(a_store_that_fails_keeps_its_cell),
		XM_TEST(a_fault_on_a_leaving_page_is_served_from_its_cell),
		XM_TEST(stores_of_one_page_follow_each_other),
		XM_TEST(neighbours_are_stored_by_one_write_up_to_a_batch),
		XM_TEST(a_flush_without_a_free_cell_waits_and_goes_on),
		XM_TEST(a_store_may_end_in_pieces),
		XM_TEST(a_flush_counts_only_the_stores_of_its_range_and_time),
		XM_TEST(evict_lets_go_of_all_that_is_not_pinned),
		XM_TEST(frames_are_never_more_than_the_budget),
		XM_TEST(the_budget_can_be_raised_up_to_the_room_there_is),
		XM_TEST(a_page_whose_eviction_finds_no_cell_stays),
		XM_TEST(a_page_that_was_faulted_on_while_here_gets_a_second_chance),
		XM_TEST(a_pinned_page_stays),
		XM_TEST(pinned_newcomers_do_not_shield_who_came_back),
		XM_TEST(a_pinned_page_is_discarded_all_the_same),
		XM_TEST(a_page_pinned_for_writing_is_stored_and_stays_writable),
		XM_TEST(a_pin_waits_for_its_page_to_be_as_asked),
		XM_TEST(pins_end_at_their_limit),
		XM_TEST(what_is_written_after_reading_is_soon_installed_writable),
		XM_TEST(foresight_is_unlearnt_from_pages_that_leave_unwritten),
		XM_TEST(under_2q_a_scan_leaves_what_is_read_again_alone),
		XM_TEST(under_2q_what_comes_back_to_a_queue_gives_it_room),
		XM_TEST(dirty_pages_that_lie_apart_leave_by_one_write),
		XM_TEST(a_stride_is_read_ahead_once_most_misses_have_kept_it),
		XM_TEST(a_stride_behind_a_sequence_is_not_held_to_be_one),
		XM_TEST(runs_that_end_are_read_ahead_of_no_more_than_they_are_long),
		XM_TEST(pages_left_out_of_a_sequence_are_counted),
		XM_TEST(sequential_advice_that_is_not_true_is_soon_not_believed),
		XM_TEST(reading_ahead_in_vain_is_bounded),
		XM_TEST(what_is_used_is_not_counted_and_costs_next_to_nothing),
		XM_TEST(no_fetch_crosses_a_unit_and_every_stream_does),
		XM_TEST(a_fetch_stops_at_a_unit_and_the_next_one_begins_there),
		XM_TEST(what_will_be_needed_is_fetched_by_units),
		XM_TEST(what_will_be_needed_comes_as_far_as_there_is_room),
		XM_TEST(what_will_be_needed_is_left_where_it_cannot_be_had),
		XM_TEST(prefetch_never_takes_a_frame),
		XM_TEST(a_stream_is_read_ahead_by_windows),
		XM_TEST(a_stream_goes_on_behind_pages_that_are_here),
		XM_TEST(a_window_goes_over_a_page_that_is_here_and_leaves_it),
		XM_TEST(the_read_ahead_is_not_posted_over_the_window_that_is_installed),
		XM_TEST(runs_end_where_the_fault_says),
		XM_TEST(random_advice_fetches_single_pages),
		XM_TEST(random_advice_ends_a_stream_that_runs_ahead),
		XM_TEST(no_window_reaches_into_what_is_touched_at_random),
		XM_TEST(sequential_advice_fetches_a_whole_window_at_once),
		XM_TEST(a_demand_takes_an_unused_window_back_and_counts_it_wasted),
		XM_TEST(a_discarded_page_reads_as_zero_once_its_store_has_landed),
		XM_TEST(a_discard_waits_for_a_fetch_that_flies),
		XM_TEST(a_page_is_forgotten_whole_or_not_yet),
		XM_TEST(long_ranges_are_done_in_bounded_steps),
		XM_TEST(a_step_with_everything_to_do_keeps_to_its_effects),
		XM_TEST(an_absent_page_of_lost_memory_is_poisoned_when_touched),
		XM_TEST(what_is_here_of_lost_memory_stays_readable),
		XM_TEST(lost_memory_is_poisoned_when_its_frame_is_needed),
		XM_TEST(what_arrives_after_the_loss_is_not_believed),
		XM_TEST(a_store_that_flies_over_the_loss_ends_without_its_page),
		XM_TEST(a_page_the_mapper_refused_is_poisoned),
		XM_TEST(a_guard_takes_a_run_and_faults_wait_until_it_is_given_back),
		XM_TEST(a_guard_says_which_pages_are_fresh),
		XM_TEST(a_guard_waits_for_a_store_and_throws_a_prefetched_window_away),
		XM_TEST(a_guard_stops_where_memory_is_lost),
		CU_TEST_INFO_NULL,
	};
	int rc = xm_tests_run("pager", tests);

	free(memory);
	return rc;
}
