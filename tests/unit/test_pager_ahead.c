/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading ahead: streams, the bound on what is wasted, units, advice and WILLNEED.
 * How events of all kinds mix is asked by test_pager_model.c.
 */
#include <string.h>

#include "common/rand.h"
#include "tests/unit/pager_rig.h"

/* --- reading ahead ----------------------------------------------------------- */

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

/* --- what is read ahead and wasted ------------------------------------------- */

#define LARGE_PAGES (1 << 16)

/* What the pager can not know: which of the pages read were touched. */
static struct {
	uint64_t touches, read, used;
	uint64_t unit; /* of each fault; no fetch may cross a multiple of it */
	bool unseen[LARGE_PAGES];
} truth;

static void open_large(void)
{
	struct xm_pager_options options = usual;

	options.pages_max = LARGE_PAGES;
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
			.limit = LARGE_PAGES, .unit = truth.unit });
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

/* In wasted is no more than what was used; what is counted is nearly that. Both
 * but for what is under way, or was, before it was known better. */
static void account(void)
{
	uint64_t slack = XM_PAGER_CREDIT + XM_PAGER_WINDOW_MAX *
			 (XM_PAGER_WINDOWS + pager.options.fetch_buffers);
	uint64_t wasted = truth.read - truth.used,
		 counted = pager.counters.prefetched_wasted;

	CU_ASSERT_TRUE(wasted <= truth.used + slack);
	CU_ASSERT_TRUE(counted <= truth.used + slack);
	CU_ASSERT_TRUE(counted <= wasted + truth.used / 8 + slack);
	CU_ASSERT_TRUE(wasted <= counted + truth.used / 8 + slack);
}

static const unsigned steps[] = {
	1, 2, 3, 4, 5, 8, 16, 31, 32, 48, 60, 63, 64, 65, 100,
};

static void a_stride_behind_a_sequence_is_not_held_to_be_one(void)
{
	for (unsigned i = 0; i < XM_COUNT(steps); i++) {
		open_large();
		for (uint64_t page = 0; page < 2048; page++)
			visit(page);
		for (uint64_t page = 2048; page < LARGE_PAGES; page += steps[i])
			visit(page);
		account();
		/* What it is instead, is found out. */
		CU_ASSERT_TRUE(pager.counters.misses < 50);
	}
}

static unsigned streams_by(int64_t step)
{
	unsigned count = 0;

	for (unsigned i = 0; i < XM_PAGER_STREAMS; i++)
		count += pager.streams[i].used > 0 &&
			 pager.streams[i].step == step;
	return count;
}

/* Of up to four sequences, since the steps are votes on the distance to the miss one, two,
 * three and four before. */
static void the_stride_of_sequences_that_take_turns_is_found(void)
{
	static const uint64_t firsts[] = { 1000, 30000, 9000, 50000 };

	for (unsigned count = 1; count <= XM_COUNT(firsts); count++) {
		open_large();
		for (unsigned round = 0; round < 12; round++) {
			for (unsigned i = 0; i < count; i++)
				visit(firsts[i] + round * 7);
		}
		CU_ASSERT_EQUAL(streams_by(7), count);
	}
}

/* Five of eight steps are as long; at least two of these are neighbours. */
static void a_bare_majority_of_steps_is_a_stride(void)
{
	static const uint64_t pages[] = { 1000, 1007, 1014, 4000, 4007, 4014,
					  9000, 9007, 12000 };
	static const uint64_t fewer[] = { 1000, 1007, 4000, 4007, 9000, 9007,
					  12000, 12007, 15000 };

	open_large();
	for (unsigned i = 0; i < XM_COUNT(pages); i++)
		visit(pages[i]);
	CU_ASSERT_EQUAL(streams_by(7), 1);
	open_large();
	for (unsigned i = 0; i < XM_COUNT(fewer); i++)
		visit(fewer[i]);
	CU_ASSERT_EQUAL(streams_by(7), 0);
}

static void runs_that_end_are_read_ahead_of_no_more_than_they_are_long(void)
{
	struct xm_rand r;

	xm_rand_seed(&r, 1);
	for (unsigned i = 0; i < XM_COUNT(steps); i++) {
		open_large();
		for (unsigned run = 0; run < 1000; run++) {
			uint64_t page = xm_rand_below(&r, LARGE_PAGES - 100);

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
		open_large();
		for (uint64_t page = 0; page < LARGE_PAGES; page++) {
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
	open_large();
	for (uint64_t page = 0; page < LARGE_PAGES; page += 512)
		send_event((struct xm_pager_event){
			.kind = XM_PAGER_ADVISE, .page = page,
			.limit = page + 512, .advice = XM_ADVICE_SEQUENTIAL });
	for (unsigned i = 0; i < 5000; i++)
		visit(xm_rand_below(&r, LARGE_PAGES));
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
static void wasted_reading_ahead_is_bounded(void)
{
	open_large();
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
		open_large();
		for (uint64_t i = 0; i < 40000; i++)
			visit(backward ? LARGE_PAGES - 1 - i : i);
		CU_ASSERT_EQUAL(c->prefetched_wasted, 0);
		CU_ASSERT_TRUE(c->misses < 10);
		/* Some windows end early. */
		CU_ASSERT_TRUE(c->faults <= windows + windows / 25 + 10);
	}
	/* More streams than are kept, and pages at random between. */
	open_large();
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
	open_large();
	truth.unit = unit;
	for (uint64_t i = 0; i < 20000; i++)
		visit(backward ? LARGE_PAGES - 1 - i : i);
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

	open_large();
	truth.unit = 64;
	for (uint64_t page = 20; page < 63; page++)
		visit(page);
	/* The stream has come to the last page of a unit, and is ahead of it. */
	visit(63);
	one_begins_there = state(64) == XM_PAGE_FETCHING;
	CU_ASSERT_TRUE(one_begins_there);
	/* The event that has no unit is bounded by its limit alone. */
	open_large();
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
	open_large();
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

/* The example at the head of pager_stream.c, and the one of pager_ledger.c. */
static void four_pages_in_order_fetch_two_windows_ahead(void)
{
	open_large();
	visit(10);
	CU_ASSERT_EQUAL(fault(11, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_FETCH), 1);
	CU_ASSERT_EQUAL(effect(XM_FETCH, 0)->page, 11);
	CU_ASSERT_EQUAL(effect(XM_FETCH, 0)->count, 2);
	settle();
	CU_ASSERT_EQUAL(fault(11, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(state(12), XM_PAGE_CLEAN);
	CU_ASSERT_EQUAL(fault(13, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_FETCH), 3);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(effect(XM_FETCH, i)->page, 13 + 4 * i);
		CU_ASSERT_EQUAL(effect(XM_FETCH, i)->count, 4);
	}
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

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_stride_is_read_ahead_once_most_misses_have_kept_it),
		XM_TEST(a_stride_behind_a_sequence_is_not_held_to_be_one),
		XM_TEST(the_stride_of_sequences_that_take_turns_is_found),
		XM_TEST(a_bare_majority_of_steps_is_a_stride),
		XM_TEST(runs_that_end_are_read_ahead_of_no_more_than_they_are_long),
		XM_TEST(pages_left_out_of_a_sequence_are_counted),
		XM_TEST(sequential_advice_that_is_not_true_is_soon_not_believed),
		XM_TEST(wasted_reading_ahead_is_bounded),
		XM_TEST(what_is_used_is_not_counted_and_costs_next_to_nothing),
		XM_TEST(no_fetch_crosses_a_unit_and_every_stream_does),
		XM_TEST(a_fetch_stops_at_a_unit_and_the_next_one_begins_there),
		XM_TEST(what_will_be_needed_is_fetched_by_units),
		XM_TEST(what_will_be_needed_comes_as_far_as_there_is_room),
		XM_TEST(what_will_be_needed_is_left_where_it_cannot_be_had),
		XM_TEST(prefetch_never_takes_a_frame),
		XM_TEST(four_pages_in_order_fetch_two_windows_ahead),
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
		CU_TEST_INFO_NULL,
	};

	return rig_run("pager_ahead", tests);
}
