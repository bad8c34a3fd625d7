/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager machine; see pager.h for what it promises.
 *
 * Order of the file: effects, frames, cells (write-back), slots (fetching),
 * streams (prefetch), faults, ranges, explicit I/O, step, check.
 */
#include "pager.h"

#include <string.h>

#include "plant.h"

enum {
	FLAG_WRITTEN = 1,   /* the far memory holds the contents */
	FLAG_STORING = 2,   /* a cell holds bytes not yet acknowledged */
	FLAG_RECENT = 4,    /* second chance */
	FLAG_RANDOM = 8,    /* advice: no reading ahead */
	FLAG_SEQUENTIAL = 16,
	FLAG_LOST = 32,	    /* no far memory behind it any more */
};

enum { SLOT_FREE, SLOT_FLYING, SLOT_ARRIVED };
enum { CELL_FREE, CELL_FLYING, CELL_FAILED };

#define NOBODY UINT64_MAX /* a frame or cell of no page */
#define NO_FRAME UINT32_MAX

/* Frames looked at in one search for a victim: bounds a step. */
#define SWEEP_MAX 1024
/* Table entries looked at by one range step. */
#define RANGE_MAX 512
/* Runs one range step may store: bounds its effects. */
#define RANGE_RUNS 64

/* --- effects ---------------------------------------------------------------- */

static void effect(struct xm_pager_effects *fx, enum xm_pager_effect_kind kind,
		   uint64_t page, uint32_t count, uint32_t cell, bool protect)
{
	struct xm_pager_effect *e;

	XM_ASSERT(fx->count < XM_PAGER_EFFECTS);
	XM_ASSERT(count >= 1 && count <= XM_PAGER_WINDOW_MAX);
	e = &fx->list[fx->count++];
	e->kind = (uint8_t)kind;
	e->protect = protect;
	e->count = (uint16_t)count;
	e->cell = cell;
	e->page = page;
}

static void note(const struct xm_pager *p, enum xm_trace_id id, uint64_t a,
		 uint64_t b, uint64_t c)
{
	xm_trace_put(p->trace, p->now_ns, id, a, b, c, 0);
}

/* Of those who wait once, however often they ask. */
static void note_wait(const struct xm_pager *p, enum xm_trace_id id,
		      uint64_t page)
{
	if (!p->again)
		note(p, id, page, 0, 0);
}

static bool flagged(const struct xm_page *page, unsigned flag)
{
	return (page->flags & flag) != 0;
}

static bool present(const struct xm_page *page)
{
	return page->state == XM_PAGE_CLEAN || page->state == XM_PAGE_DIRTY;
}

/* Absent, and nothing of it under way. */
static bool idle(const struct xm_page *page)
{
	return page->state == XM_PAGE_ABSENT && !flagged(page, FLAG_STORING);
}

/* --- frames ------------------------------------------------------------------- */

static uint32_t frames_free(const struct xm_pager *p)
{
	return p->options.frames_max - p->frames_used;
}

static void frame_take(struct xm_pager *p, uint64_t page)
{
	uint32_t index = p->frame_free;
	struct xm_frame *frame;

	if (index != NO_FRAME) {
		p->frame_free = p->frames[index].free_next;
	} else {
		XM_ASSERT(p->frames_fresh < p->options.frames_max);
		index = p->frames_fresh++;
	}
	frame = &p->frames[index];
	frame->page = page;
	frame->pins = 0;
	frame->pins_write = 0;
	p->pages[page].frame = index;
	p->frames_used++;
	p->counters.frames_peak = xm_max(p->counters.frames_peak,
					 p->frames_used);
}

static void frame_give(struct xm_pager *p, uint64_t page)
{
	uint32_t index = p->pages[page].frame;
	struct xm_frame *frame = &p->frames[index];

	XM_ASSERT(frame->page == page);
	if (frame->pins > 0)
		p->pinned--;
	frame->page = NOBODY;
	frame->free_next = p->frame_free;
	p->frame_free = index;
	p->frames_used--;
}

static bool pinned(const struct xm_pager *p, uint64_t page)
{
	return p->frames[p->pages[page].frame].pins > 0;
}

/* Pages that leave without a store: they equal the far memory, a cell, or
 * nothing anybody wants. */
static void drop_run(struct xm_pager *p, uint64_t page, uint32_t count,
		     struct xm_pager_effects *fx)
{
	for (uint32_t i = 0; i < count; i++) {
		frame_give(p, page + i);
		p->pages[page + i].state = XM_PAGE_ABSENT;
		p->pages[page + i].flags &= (uint8_t)~FLAG_RECENT;
	}
	note(p, XM_TRACE_PAGER_DROP, page, count, 0);
	effect(fx, XM_DROP, page, count, 0, false);
}

/* --- cells: write-back ---------------------------------------------------------- */

static uint32_t cells_base(const struct xm_pager *p)
{
	return p->options.slots * p->options.window_max;
}

/* A run of up to `want` free cells, next-fit; 0 when there is none. */
static uint32_t cells_take(struct xm_pager *p, uint32_t want,
			   uint32_t *ret_first)
{
	uint32_t i = p->cell_cursor;

	if (p->cells_used == p->options.cells)
		return 0;
	for (uint32_t seen = 0; seen <= p->options.cells; seen++, i++) {
		uint32_t run = 0;

		if (i >= p->options.cells)
			i = 0;
		while (run < want && i + run < p->options.cells &&
		       p->cells[i + run].state == CELL_FREE)
			run++;
		if (run > 0) {
			*ret_first = i;
			p->cell_cursor = i + run;
			p->cells_used += run;
			return run;
		}
	}
	return 0;
}

static void cell_free(struct xm_pager *p, uint32_t index)
{
	struct xm_cell *cell = &p->cells[index];

	XM_ASSERT(cell->state != CELL_FREE);
	if (cell->state == CELL_FAILED)
		p->cells_failed--;
	cell->state = CELL_FREE;
	cell->page = NOBODY;
	p->cells_used--;
}

/* Begins to store up to `count` dirty neighbours; returns how many, 0 when no
 * cell is free. Pages pinned for writing are stored as they are and stay
 * dirty; others become clean, or go if `drop`. */
static uint32_t store_run(struct xm_pager *p, uint64_t page, uint32_t count,
			  bool drop, bool writable,
			  struct xm_pager_effects *fx)
{
	uint32_t first, taken = cells_take(p, count, &first);

	if (taken == 0) {
		note(p, XM_TRACE_PAGER_NO_CELL, page, 0, 0);
		return 0;
	}
	if (drop && XM_PLANTED(drop_before_copy))
		effect(fx, XM_DROP, page, taken, 0, false);
	if (!writable && ((drop && XM_PLANTED(evict_unprotected)) ||
			  XM_PLANTED(protect_after_copy))) {
		; /* not yet, or never */
	} else if (!writable) {
		note(p, XM_TRACE_PAGER_PROTECT, page, taken, 0);
		effect(fx, XM_PROTECT, page, taken, 0, false);
	} else {
		note(p, XM_TRACE_PAGER_STORE_OPEN, page, 0, 0);
	}
	note(p, XM_TRACE_PAGER_STORE, page, first, taken);
	effect(fx, XM_COPY, page, taken, cells_base(p) + first, false);
	if (!writable && XM_PLANTED(protect_after_copy))
		effect(fx, XM_PROTECT, page, taken, 0, false);
	effect(fx, XM_STORE, page, taken, cells_base(p) + first, false);
	p->seq++;
	for (uint32_t i = 0; i < taken; i++) {
		struct xm_page *entry = &p->pages[page + i];
		struct xm_cell *cell = &p->cells[first + i];

		XM_ASSERT(entry->state == XM_PAGE_DIRTY);
		XM_ASSERT(!flagged(entry, FLAG_STORING));
		cell->page = page + i;
		cell->seq = p->seq;
		cell->state = CELL_FLYING;
		entry->slot = (uint16_t)(first + i);
		entry->flags |= FLAG_STORING | FLAG_WRITTEN;
		if (!writable)
			entry->state = XM_PAGE_CLEAN;
		if (drop && XM_PLANTED(cell_forgotten)) {
			entry->flags &= (uint8_t)~FLAG_STORING;
			cell->page = NOBODY;
		}
	}
	if (drop)
		drop_run(p, page, taken, fx);
	return taken;
}

static void on_stored(struct xm_pager *p, const struct xm_pager_event *ev)
{
	uint32_t first = ev->cell - cells_base(p);

	XM_ASSERT(ev->cell >= cells_base(p));
	XM_ASSERT(first + ev->count <= p->options.cells);
	for (uint32_t i = first; i < first + ev->count; i++) {
		struct xm_cell *cell = &p->cells[i];

		/* The region was lost or forgotten while this store flew. */
		if (cell->page == NOBODY) {
			note(p, XM_TRACE_PAGER_STORED_LOST,
			     (uint64_t)(int64_t)ev->status, 0, 0);
			cell_free(p, i);
			continue;
		}
		XM_ASSERT(cell->state == CELL_FLYING);
		note(p, XM_TRACE_PAGER_STORED, cell->page,
		     (uint64_t)(int64_t)ev->status, 0);
		if (ev->status != 0 && !XM_PLANTED(failed_store_forgotten)) {
			cell->state = CELL_FAILED;
			p->cells_failed++;
			continue;
		}
		p->pages[cell->page].flags &= (uint8_t)~FLAG_STORING;
		p->counters.pages_written++;
		cell_free(p, i);
	}
}

/* Posts failed stores again, neighbours together where they still are. */
static void on_tick(struct xm_pager *p, struct xm_pager_effects *fx)
{
	for (uint32_t i = 0; i < p->options.cells && p->cells_failed > 0 &&
			     fx->count < XM_PAGER_EFFECTS / 2;) {
		uint64_t page = p->cells[i].page;
		uint32_t run = 0;

		while (run < XM_PAGER_BATCH && i + run < p->options.cells &&
		       p->cells[i + run].state == CELL_FAILED &&
		       p->cells[i + run].page == page + run) {
			p->cells[i + run].state = CELL_FLYING;
			p->cells_failed--;
			run++;
		}
		if (run > 0) {
			note(p, XM_TRACE_PAGER_RETRY, page, i, run);
			effect(fx, XM_STORE, page, run, cells_base(p) + i,
			       false);
		}
		i += run > 0 ? run : 1;
	}
}

/* --- reclaim ---------------------------------------------------------------------- */

static bool evictable(const struct xm_pager *p, uint64_t page,
		      enum xm_page_state state)
{
	const struct xm_page *entry;

	if (page >= p->options.pages_max)
		return false;
	entry = &p->pages[page];
	return entry->state == state && !flagged(entry, FLAG_RECENT) &&
	       !flagged(entry, FLAG_LOST) &&
	       (!pinned(p, page) || XM_PLANTED(pinned_evicted)) &&
	       (state == XM_PAGE_CLEAN || !flagged(entry, FLAG_STORING));
}

/* A page whose far memory is gone can not come back: who touches it next must
 * hear so. */
static void poison_page(struct xm_pager *p, uint64_t page,
			struct xm_pager_effects *fx)
{
	p->pages[page].state = XM_PAGE_POISONED;
	p->counters.pages_lost++;
	note(p, XM_TRACE_PAGER_POISON, page, 0, 0);
	effect(fx, XM_POISON, page, 1, 0, false);
}

/* The page under the hand goes, and its neighbours with it if they can: one
 * ioctl, one write, one madvise for all of them. */
static uint32_t evict_at(struct xm_pager *p, uint64_t page, uint32_t want,
			 struct xm_pager_effects *fx)
{
	enum xm_page_state state = (enum xm_page_state)p->pages[page].state;
	uint32_t most = state == XM_PAGE_DIRTY ? XM_PAGER_BATCH
					       : XM_PAGER_WINDOW_MAX;
	uint32_t run = 1;

	if (flagged(&p->pages[page], FLAG_LOST)) {
		drop_run(p, page, 1, fx);
		poison_page(p, page, fx);
		return 1;
	}
	if (!evictable(p, page, state))
		return 0;
	while (run < xm_min(most, want) && evictable(p, page + run, state))
		run++;
	if (state == XM_PAGE_CLEAN) {
		drop_run(p, page, run, fx);
	} else {
		run = store_run(p, page, run, true, false, fx);
	}
	p->counters.evictions += run;
	return run;
}

/* Frees up to `want` frames; stops short when all that is left is pinned, or
 * dirty with no cell free. */
static void make_room(struct xm_pager *p, uint32_t want,
		      struct xm_pager_effects *fx)
{
	bool full = false; /* no cell for one is no cell for any */

	for (uint32_t seen = 0; seen < SWEEP_MAX && frames_free(p) < want;
	     seen++) {
		struct xm_frame *frame;
		struct xm_page *entry;

		if (fx->count > XM_PAGER_EFFECTS / 2)
			return;
		if (p->hand >= p->frames_fresh)
			p->hand = 0;
		if (p->frames_fresh == 0)
			return;
		frame = &p->frames[p->hand++];
		if (frame->page == NOBODY || frame->pins > 0)
			continue;
		entry = &p->pages[frame->page];
		if (flagged(entry, FLAG_RECENT)) {
			entry->flags &= (uint8_t)~FLAG_RECENT;
			continue;
		}
		if (full && entry->state == XM_PAGE_DIRTY &&
		    !flagged(entry, FLAG_LOST))
			continue;
		if (evict_at(p, frame->page, want - frames_free(p), fx) == 0)
			full = p->cells_used == p->options.cells;
	}
}

/* --- slots: fetching ---------------------------------------------------------------- */

static uint32_t slot_cell(const struct xm_pager *p, uint32_t slot)
{
	return slot * p->options.window_max;
}

static void slot_clear(struct xm_pager *p, uint32_t index, bool wasted)
{
	struct xm_slot *slot = &p->slots[index];

	for (uint32_t i = 0; i < slot->count; i++) {
		struct xm_page *entry = &p->pages[slot->page + i];

		if (entry->state == XM_PAGE_FETCHING && entry->slot == index)
			entry->state = XM_PAGE_ABSENT;
	}
	if (wasted) {
		p->counters.prefetched_wasted += slot->count - slot->demand;
		note(p, XM_TRACE_PAGER_WASTE, slot->page, slot->count, 0);
	}
	slot->state = SLOT_FREE;
	slot->count = 0;
}

/* A slot for a fetch: a free one, else the oldest that arrived and was not
 * asked for; for a demand, even one that was (its thread may be gone). */
static int slot_take(struct xm_pager *p, bool demand)
{
	int best = -1;
	uint64_t best_rank = UINT64_MAX;

	for (uint32_t i = 0; i < p->options.slots; i++) {
		const struct xm_slot *slot = &p->slots[i];
		uint64_t rank;

		if (slot->state == SLOT_FLYING)
			continue;
		if (slot->state == SLOT_FREE)
			return (int)i;
		if (slot->demand > 0 && !demand)
			continue;
		rank = slot->used + (slot->demand > 0 ? UINT64_MAX / 2 : 0);
		if (rank < best_rank) {
			best_rank = rank;
			best = (int)i;
		}
	}
	if (best >= 0)
		slot_clear(p, (uint32_t)best, true);
	return best;
}

static bool fetchable(const struct xm_pager *p, uint64_t page)
{
	const struct xm_page *entry = &p->pages[page];

	if (XM_PLANTED(prefetch_races_store) &&
	    entry->state == XM_PAGE_ABSENT && flagged(entry, FLAG_STORING))
		return !flagged(entry, FLAG_LOST);
	return idle(entry) && flagged(entry, FLAG_WRITTEN) &&
	       !flagged(entry, FLAG_LOST);
}

static bool fetch_run(struct xm_pager *p, uint64_t page, uint32_t count,
		      uint16_t demand, bool backward,
		      struct xm_pager_effects *fx)
{
	int index = slot_take(p, demand > 0);
	struct xm_slot *slot;

	if (index < 0) {
		if (demand > 0)
			note(p, XM_TRACE_PAGER_NO_SLOT, page, 0, 0);
		return false;
	}
	note(p, demand > 0 ? XM_TRACE_PAGER_FETCH : XM_TRACE_PAGER_PREFETCH,
	     page, (uint64_t)index, count);
	slot = &p->slots[index];
	slot->page = page;
	slot->count = count;
	slot->state = SLOT_FLYING;
	slot->demand = demand;
	slot->backward = backward;
	slot->used = ++p->order;
	for (uint32_t i = 0; i < count; i++) {
		p->pages[page + i].state = XM_PAGE_FETCHING;
		p->pages[page + i].slot = (uint16_t)index;
	}
	effect(fx, XM_FETCH, page, count, slot_cell(p, (uint32_t)index),
	       false);
	return true;
}

/* Was its far memory lost while the read flew? Then what came may be anything:
 * zeros, or another client's. */
static bool any_lost(const struct xm_pager *p, const struct xm_slot *slot)
{
	for (uint32_t i = 0; i < slot->count; i++) {
		if (flagged(&p->pages[slot->page + i], FLAG_LOST))
			return true;
	}
	return false;
}

static void on_fetched(struct xm_pager *p, const struct xm_pager_event *ev)
{
	uint32_t index = ev->cell / p->options.window_max;
	struct xm_slot *slot;

	XM_ASSERT(index < p->options.slots);
	slot = &p->slots[index];
	XM_ASSERT(slot->state == SLOT_FLYING);
	note(p, ev->status == 0 && any_lost(p, slot)
			? XM_TRACE_PAGER_FETCHED_LOST
			: XM_TRACE_PAGER_FETCHED,
	     slot->page, slot->count, (uint64_t)(int64_t)ev->status);
	if (ev->status != 0 || any_lost(p, slot)) {
		slot_clear(p, index, false);
		return;
	}
	slot->state = SLOT_ARRIVED;
	p->counters.pages_read += slot->count;
	p->counters.prefetched += slot->count - slot->demand;
}

/* --- streams: reading ahead ------------------------------------------------------------ */

/* The stream that a miss of [page, page + count) continues, advanced; or the
 * oldest one, begun anew at `page`. */
static struct xm_stream *stream_at(struct xm_pager *p, uint64_t page,
				   uint32_t count)
{
	struct xm_stream *oldest = &p->streams[0];

	for (unsigned i = 0; i < XM_PAGER_STREAMS; i++) {
		struct xm_stream *s = &p->streams[i];

		if (s->used < oldest->used)
			oldest = s;
		if (s->used == 0)
			continue;
		/* One page down from where a stream began: it goes down. */
		if (s->window == 1 && page + count == s->first) {
			s->step = -1;
			s->next = page + count - 1;
		}
		if (s->next < page || s->next >= page + count)
			continue;
		s->window = (uint32_t)xm_min(2 * s->window,
					     p->options.window_max);
		s->used = ++p->order;
		return s;
	}
	*oldest = (struct xm_stream){
		.first = page, .next = page + 1, .window = 1, .step = 1,
		.used = ++p->order,
	};
	return oldest;
}

static void stream_moved(struct xm_stream *s, uint64_t page, uint32_t count)
{
	s->first = page;
	s->next = s->step > 0 ? page + count : page - 1;
}

/* Neighbours of `page`, itself included, in the stream's direction, for which
 * `want` holds; *ret_page is the lowest. */
static uint32_t stream_run(const struct xm_pager *p,
			   const struct xm_stream *s, uint64_t page,
			   const struct xm_pager_event *ev,
			   bool (*want)(const struct xm_pager *, uint64_t),
			   uint64_t *ret_page)
{
	uint32_t run = 1;

	if (s->step > 0) {
		while (run < s->window &&
		       page + run < ev->limit + XM_PLANTED(last_page_ahead) &&
		       want(p, page + run))
			run++;
		*ret_page = page;
	} else {
		while (run < s->window && page >= ev->floor + run &&
		       want(p, page - run))
			run++;
		*ret_page = page - (run - 1);
	}
	return run;
}

/* Fetches the window behind the current one, if the stream has proven itself. */
static void stream_ahead(struct xm_pager *p, const struct xm_stream *s,
			 const struct xm_pager_event *ev,
			 struct xm_pager_effects *fx)
{
	uint64_t page;
	uint32_t run;

	if (s->window < 4 || ev->reach != XM_REACH_UP)
		return;
	if (s->next < ev->floor || s->next >= ev->limit ||
	    !fetchable(p, s->next))
		return;
	run = stream_run(p, s, s->next, ev, fetchable, &page);
	fetch_run(p, page, run, 0, s->step < 0, fx);
}

/* --- faults ------------------------------------------------------------------------------ */

static void become_present(struct xm_pager *p, uint64_t page, uint32_t count,
			   uint32_t cell, bool dirty,
			   struct xm_pager_effects *fx)
{
	if (count == 0)
		return;
	for (uint32_t i = 0; i < count; i++) {
		frame_take(p, page + i);
		p->pages[page + i].state = dirty ? XM_PAGE_DIRTY
						 : XM_PAGE_CLEAN;
	}
	if (cell == XM_CELL_ZERO)
		note(p, XM_TRACE_PAGER_ZERO, page, count, dirty);
	else if (cell < cells_base(p))
		note(p, XM_TRACE_PAGER_INSTALL, page, count, dirty);
	else
		note(p, XM_TRACE_PAGER_RESCUE, page, cell - cells_base(p),
		     dirty);
	effect(fx, XM_INSTALL, page, count, cell, !dirty);
}

/* A store to a page that is here and protected. Where a stream of stores goes
 * through a window, the rest of the window is opened with it. */
static void fault_protected(struct xm_pager *p, uint64_t page,
			    const struct xm_pager_event *ev,
			    struct xm_pager_effects *fx)
{
	uint32_t run = 1;

	p->counters.faults_write++;
	for (unsigned i = 0; i < XM_PAGER_STREAMS; i++) {
		struct xm_stream *s = &p->streams[i];

		if (s->used == 0 || s->window < 4 || s->step < 0 ||
		    page <= s->first || page >= s->next ||
		    p->pages[page - 1].state != XM_PAGE_DIRTY)
			continue;
		s->writes = 8;
		while (run < XM_PAGER_WINDOW_MAX && page + run < s->next &&
		       page + run < ev->limit &&
		       (p->pages[page + run].state == XM_PAGE_CLEAN ||
			(XM_PLANTED(unprotect_leaving) &&
			 flagged(&p->pages[page + run], FLAG_STORING))))
			run++;
		break;
	}
	for (uint32_t i = 0; i < run; i++)
		p->pages[page + i].state = XM_PAGE_DIRTY;
	p->pages[page].flags |= FLAG_RECENT;
	note(p, XM_TRACE_PAGER_OPEN, page, run, 0);
	effect(fx, XM_UNPROTECT, page, run, 0, false);
	fx->verdict = XM_VERDICT_DONE;
}

static bool fresh(const struct xm_pager *p, uint64_t page)
{
	const struct xm_page *entry = &p->pages[page];

	return idle(entry) && !flagged(entry, FLAG_WRITTEN) &&
	       !flagged(entry, FLAG_LOST);
}

/* A page that reads as zero: no transfer. A stream of stores gets its window
 * at once, ready to be written. */
static void fault_fresh(struct xm_pager *p, uint64_t page,
			const struct xm_pager_event *ev,
			struct xm_pager_effects *fx)
{
	uint64_t first = page;
	uint32_t run = 1;

	if (!flagged(&p->pages[page], FLAG_RANDOM)) {
		struct xm_stream *s = stream_at(p, page, 1);

		run = stream_run(p, s, page, ev, fresh, &first);
		make_room(p, run, fx);
		if (frames_free(p) < run) {
			first = page;
			run = 1;
		}
		stream_moved(s, first, run);
	} else {
		make_room(p, 1, fx);
	}
	if (frames_free(p) < run) {
		note(p, XM_TRACE_PAGER_NO_FRAME, page, 0, 0);
		return;
	}
	p->counters.zero_fills += run;
	become_present(p, first, run, XM_CELL_ZERO, ev->write, fx);
	fx->verdict = XM_VERDICT_DONE;
}

/* The page left, but its bytes are still in a store cell. */
static void fault_from_cell(struct xm_pager *p, uint64_t page,
			    const struct xm_pager_event *ev,
			    struct xm_pager_effects *fx)
{
	make_room(p, 1, fx);
	if (frames_free(p) < 1) {
		note(p, XM_TRACE_PAGER_NO_FRAME, page, 0, 0);
		return;
	}
	p->counters.rescued++;
	become_present(p, page, 1, cells_base(p) + p->pages[page].slot,
		       ev->write, fx);
	p->pages[page].flags |= FLAG_RECENT;
	fx->verdict = XM_VERDICT_DONE;
}

/* Installs the part of an arrived window that frames can be had for. */
static void fault_from_slot(struct xm_pager *p, uint64_t page,
			    const struct xm_pager_event *ev,
			    struct xm_pager_effects *fx)
{
	uint32_t index = p->pages[page].slot;
	struct xm_slot slot = p->slots[index];
	uint64_t first = slot.page;
	uint32_t count = slot.count, cell = slot_cell(p, index), before;
	struct xm_stream *s = NULL;
	bool dirty = ev->write;

	make_room(p, count, fx);
	if (frames_free(p) == 0) {
		note(p, XM_TRACE_PAGER_NO_FRAME, page, 0, 0);
		return;
	}
	if (frames_free(p) < count && !XM_PLANTED(budget_exceeded)) {
		count = frames_free(p);
		note(p, XM_TRACE_PAGER_PART, page, count, slot.count);
		first = page + count <= slot.page + slot.count
				? page : slot.page + slot.count - count;
	}
	cell += (uint32_t)(first - slot.page);
	slot_clear(p, index, false);
	/* The read ahead is posted before this window is installed, and must
	 * not be posted over it. */
	p->slots[index].state = SLOT_FLYING;
	if (slot.count - count > 0 && slot.demand < slot.count)
		p->counters.prefetched_wasted += slot.count - count;

	/* A window that was read ahead: its stream goes on from its end. A
	 * demanded one was accounted for when it was posted. */
	if (slot.demand == 0) {
		s = stream_at(p, slot.page, slot.count);
		s->step = slot.backward ? -1 : 1;
		stream_moved(s, slot.page, slot.count);
		stream_ahead(p, s, ev, fx);
		if (!dirty && s->writes > 0) {
			s->writes--;
			dirty = true;
		} else if (dirty && s->window < 4) {
			s = NULL;
		}
	}
	p->slots[index].state = SLOT_FREE;
	if (dirty && s == NULL && count > 1) {
		/* One page is known to be written to; the others are not. */
		before = (uint32_t)(page - first);
		become_present(p, first, before, cell, false, fx);
		become_present(p, page, 1, cell + before, true, fx);
		become_present(p, page + 1, count - before - 1,
			       cell + before + 1, false, fx);
	} else {
		become_present(p, first, count, cell, dirty, fx);
	}
	fx->verdict = XM_VERDICT_DONE;
}

/* Nothing of the page is here: post the read first, then make room while it
 * flies. */
static void fault_absent(struct xm_pager *p, uint64_t page,
			 const struct xm_pager_event *ev,
			 struct xm_pager_effects *fx)
{
	uint64_t first = page;
	uint32_t run = 1;
	struct xm_stream *s = NULL;

	if (ev->reach == XM_REACH_LOST) {
		fx->verdict = XM_VERDICT_LOST;
		return;
	}
	if (ev->reach == XM_REACH_DOWN)
		return;
	if (!flagged(&p->pages[page], FLAG_RANDOM)) {
		s = stream_at(p, page, 1);
		if (flagged(&p->pages[page], FLAG_SEQUENTIAL))
			s->window = p->options.window_max;
		run = stream_run(p, s, page, ev, fetchable, &first);
	}
	if (!fetch_run(p, first, run, 1, s != NULL && s->step < 0, fx)) {
		if (s != NULL)
			s->next = page; /* it was not served: ask again */
		return;
	}
	if (s != NULL) {
		stream_moved(s, first, run);
		stream_ahead(p, s, ev, fx);
	}
	make_room(p, run, fx);
}

static void on_fault(struct xm_pager *p, const struct xm_pager_event *ev,
		     struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	struct xm_page *entry = &p->pages[page];
	struct xm_slot *slot;

	if (!ev->again) {
		p->counters.faults++;
		note(p, XM_TRACE_PAGER_FAULT, page, ev->write, entry->state);
	}
	fx->verdict = XM_VERDICT_WAIT;
	switch ((enum xm_page_state)entry->state) {
	case XM_PAGE_POISONED:
		fx->verdict = XM_VERDICT_LOST;
		return;
	case XM_PAGE_DIRTY:
		fx->verdict = XM_VERDICT_DONE;
		return;
	case XM_PAGE_CLEAN:
		if (ev->write)
			fault_protected(p, page, ev, fx);
		else
			fx->verdict = XM_VERDICT_DONE;
		return;
	case XM_PAGE_GUARDED:
		note_wait(p, XM_TRACE_PAGER_HELD, page);
		return;
	case XM_PAGE_FETCHING:
		slot = &p->slots[entry->slot];
		if (slot->state == SLOT_ARRIVED) {
			fault_from_slot(p, page, ev, fx);
		} else {
			p->counters.misses += !ev->again;
		}
		/* Flying, or arrived and no frame to be had. */
		if (fx->verdict == XM_VERDICT_WAIT &&
		    ev->reach == XM_REACH_LOST)
			fx->verdict = XM_VERDICT_LOST;
		return;
	case XM_PAGE_ABSENT:
		break;
	}
	if (flagged(entry, FLAG_LOST)) {
		poison_page(p, page, fx);
		fx->verdict = XM_VERDICT_LOST;
	} else if (!flagged(entry, FLAG_WRITTEN)) {
		/* Discarded while a store flew: that one must land first. */
		if (!flagged(entry, FLAG_STORING))
			fault_fresh(p, page, ev, fx);
		else
			note_wait(p, XM_TRACE_PAGER_AFTER_STORE, page);
	} else if (flagged(entry, FLAG_STORING) && XM_PLANTED(fault_lost)) {
		fx->verdict = XM_VERDICT_DONE;
	} else if (flagged(entry, FLAG_STORING)) {
		fault_from_cell(p, page, ev, fx);
	} else {
		fault_absent(p, page, ev, fx);
	}
	if (fx->verdict == XM_VERDICT_WAIT && ev->reach == XM_REACH_LOST)
		fx->verdict = XM_VERDICT_LOST;
	/* A miss is a fault that had to wait, however often it is sent. */
	if (fx->verdict == XM_VERDICT_WAIT)
		p->counters.misses += !ev->again;
}

/* --- ranges ---------------------------------------------------------------------------------- */

/* Neighbours from `page` on that can be stored by one write. */
static uint32_t dirty_run(const struct xm_pager *p, uint64_t page,
			  uint64_t limit, bool *ret_writable)
{
	uint32_t run = 0;
	bool writable = p->frames[p->pages[page].frame].pins_write > 0;

	while (run < XM_PAGER_BATCH && page + run < limit) {
		const struct xm_page *entry = &p->pages[page + run];

		if (entry->state != XM_PAGE_DIRTY ||
		    (flagged(entry, FLAG_STORING) &&
		     !XM_PLANTED(two_stores)) ||
		    (p->frames[entry->frame].pins_write > 0) != writable)
			break;
		run++;
	}
	*ret_writable = writable;
	return run;
}

/* FLUSH and EVICT: one page's turn. Returns how many pages are dealt with, 0
 * when a completion must be waited for. */
static uint32_t flush_page(struct xm_pager *p, uint64_t page, uint64_t limit,
			   bool evict, struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[page];
	bool writable;
	uint32_t run;

	if (flagged(entry, FLAG_LOST)) {
		fx->verdict = XM_VERDICT_LOST;
		return 0;
	}
	if (entry->state == XM_PAGE_CLEAN && evict && !pinned(p, page)) {
		drop_run(p, page, 1, fx);
		p->counters.evictions++;
		return 1;
	}
	if (entry->state != XM_PAGE_DIRTY)
		return 1;
	if (flagged(entry, FLAG_STORING) && !XM_PLANTED(two_stores)) {
		note_wait(p, XM_TRACE_PAGER_AFTER_STORE, page);
		return 0; /* stores made since must follow that one */
	}
	run = dirty_run(p, page, limit, &writable);
	if (evict && pinned(p, page)) {
		evict = false;
		run = 1; /* its neighbours may go */
	}
	if (evict) {
		run = 1;
		while (run < XM_PAGER_BATCH && page + run < limit &&
		       evictable(p, page + run, XM_PAGE_DIRTY))
			run++;
	}
	run = store_run(p, page, run, evict, writable, fx);
	if (evict)
		p->counters.evictions += run;
	return run;
}

static void on_flush(struct xm_pager *p, const struct xm_pager_event *ev,
		     struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);
	unsigned runs = 0;

	fx->verdict = XM_VERDICT_DONE;
	while (page < end && runs < RANGE_RUNS) {
		uint32_t did = flush_page(p, page, end,
					  ev->kind == XM_PAGER_EVICT, fx);

		if (did == 0) {
			if (fx->verdict != XM_VERDICT_LOST)
				fx->verdict = XM_VERDICT_WAIT;
			break;
		}
		runs += fx->count > 0;
		page += did;
	}
	if (fx->verdict == XM_VERDICT_DONE && page < ev->limit)
		fx->verdict = XM_VERDICT_MORE;
	fx->next = page;
	fx->seq = p->seq;
	if (fx->count > 0)
		note(p, XM_TRACE_PAGER_FLUSH, ev->page, ev->limit, page);
}

static void on_flushed(const struct xm_pager *p,
		       const struct xm_pager_event *ev,
		       struct xm_pager_effects *fx)
{
	fx->verdict = XM_VERDICT_DONE;
	if (p->cells_used == 0)
		return;
	for (uint32_t i = 0; i < p->options.cells; i++) {
		const struct xm_cell *cell = &p->cells[i];

		if (cell->state != CELL_FREE && cell->page != NOBODY &&
		    cell->seq <= ev->seq && cell->page >= ev->page &&
		    cell->page < ev->limit) {
			fx->verdict = XM_VERDICT_WAIT;
			fx->next = cell->page;
		}
	}
}

/* Makes a page absent with nothing under way; false: wait for that. Its
 * contents go with it. */
static bool let_go(struct xm_pager *p, uint64_t page,
		   struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[page];

	/* Pinned or not: who pinned it lent it to somebody who now gets what
	 * he deserves, an error of the kernel's, and nobody waits for him. */
	if (present(entry))
		drop_run(p, page, 1, fx);
	if (entry->state == XM_PAGE_FETCHING &&
	    !XM_PLANTED(discard_races_fetch)) {
		if (p->slots[entry->slot].state == SLOT_FLYING) {
			note_wait(p, XM_TRACE_PAGER_AFTER_FETCH, page);
			return false;
		}
		slot_clear(p, entry->slot, true);
	}
	return entry->state != XM_PAGE_GUARDED;
}

/* DISCARD, ADOPT, FORGET, LOST: each page of the range changes meaning. */
static bool change_page(struct xm_pager *p, uint64_t page,
			const struct xm_pager_event *ev,
			struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[page];

	switch (ev->kind) {
	case XM_PAGER_DISCARD:
		if (entry->state == XM_PAGE_POISONED)
			return true;
		if (entry->state == XM_PAGE_CLEAN &&
		    XM_PLANTED(discard_keeps_clean))
			return true;
		if (!let_go(p, page, fx))
			return false;
		entry->flags &= (uint8_t)~FLAG_WRITTEN;
		return true;
	case XM_PAGER_ADOPT:
		entry->flags |= FLAG_WRITTEN;
		return true;
	case XM_PAGER_FORGET:
		/* First, so that a page that has to wait is not forgotten half:
		 * an older store than what is here may be the one that flies. */
		if (flagged(entry, FLAG_STORING) &&
		    !XM_PLANTED(forget_flying) &&
		    p->cells[entry->slot].state == CELL_FLYING) {
			note_wait(p, XM_TRACE_PAGER_AFTER_STORE, page);
			return false;
		}
		if (!let_go(p, page, fx))
			return false;
		if (flagged(entry, FLAG_STORING))
			cell_free(p, entry->slot);
		memset(entry, 0, sizeof(*entry));
		return true;
	default:
		XM_ASSERT(ev->kind == XM_PAGER_LOST);
		entry->flags |= FLAG_LOST;
		if (!flagged(entry, FLAG_STORING))
			return true;
		note(p, XM_TRACE_PAGER_LOSE_STORE, page, 0, 0);
		/* The store ends, if it flies, without its page. */
		if (p->cells[entry->slot].state == CELL_FAILED)
			cell_free(p, entry->slot);
		else
			p->cells[entry->slot].page = NOBODY;
		entry->flags &= (uint8_t)~FLAG_STORING;
		/* What was here and equal to the lost bytes is now all there
		 * is of them. */
		if (entry->state == XM_PAGE_CLEAN)
			entry->flags |= FLAG_RECENT;
		return true;
	}
}

static void on_change(struct xm_pager *p, const struct xm_pager_event *ev,
		      struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);

	fx->verdict = XM_VERDICT_DONE;
	while (page < end && change_page(p, page, ev, fx))
		page++;
	if (page > ev->page)
		note(p, ev->kind == XM_PAGER_DISCARD ? XM_TRACE_PAGER_DISCARD
			: ev->kind == XM_PAGER_ADOPT ? XM_TRACE_PAGER_ADOPT
			: ev->kind == XM_PAGER_FORGET ? XM_TRACE_PAGER_FORGET
						      : XM_TRACE_PAGER_LOSE,
		     ev->page, page - ev->page, 0);
	if (page < end)
		fx->verdict = XM_VERDICT_WAIT;
	else if (page < ev->limit)
		fx->verdict = XM_VERDICT_MORE;
	fx->next = page;
}

static void on_advise(struct xm_pager *p, const struct xm_pager_event *ev,
		      struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);
	uint8_t set = ev->advice == XM_ADVICE_RANDOM ? FLAG_RANDOM
		      : ev->advice == XM_ADVICE_SEQUENTIAL ? FLAG_SEQUENTIAL
							   : 0;

	for (; page < end; page++) {
		p->pages[page].flags &=
			(uint8_t) ~(FLAG_RANDOM | FLAG_SEQUENTIAL);
		p->pages[page].flags |= set;
	}
	fx->verdict = page < ev->limit ? XM_VERDICT_MORE : XM_VERDICT_DONE;
	fx->next = page;
}

/* Fills free slots with windows of the range; what does not fit is left to
 * its faults. */
static void on_willneed(struct xm_pager *p, const struct xm_pager_event *ev,
			struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);
	uint32_t open = 0;

	fx->verdict = XM_VERDICT_DONE;
	fx->next = ev->limit;
	for (uint32_t i = 0; i < p->options.slots; i++)
		open += p->slots[i].state == SLOT_FREE;
	while (page < end && open > 1 && ev->reach == XM_REACH_UP) {
		uint32_t run = 0;

		while (run < p->options.window_max && page + run < end &&
		       fetchable(p, page + run))
			run++;
		if (run > 0 && fetch_run(p, page, run, 0, false, fx))
			open--;
		page += run > 0 ? run : 1;
	}
}

/* --- explicit I/O and pins -------------------------------------------------------------------- */

static void on_guard(struct xm_pager *p, const struct xm_pager_event *ev,
		     struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);
	struct xm_page *entry = &p->pages[page];

	fx->verdict = XM_VERDICT_WAIT;
	fx->next = page;
	if (flagged(entry, FLAG_LOST) || entry->state == XM_PAGE_POISONED) {
		fx->verdict = XM_VERDICT_LOST;
		return;
	}
	if (present(entry)) {
		fx->verdict = XM_VERDICT_HERE;
		return;
	}
	if (!flagged(entry, FLAG_WRITTEN) && idle(entry) && !ev->whole) {
		while (page < end && fresh(p, page))
			page++;
		fx->verdict = XM_VERDICT_FRESH;
		fx->next = page;
		return;
	}
	if (entry->state == XM_PAGE_FETCHING &&
	    p->slots[entry->slot].state == SLOT_ARRIVED)
		slot_clear(p, entry->slot, true);
	while (page < end && idle(&p->pages[page]) &&
	       !flagged(&p->pages[page], FLAG_LOST) &&
	       (ev->whole || flagged(&p->pages[page], FLAG_WRITTEN)))
		p->pages[page++].state = ev->whole && XM_PLANTED(unguarded)
						 ? XM_PAGE_ABSENT
						 : XM_PAGE_GUARDED;
	if (page > ev->page) {
		note(p, XM_TRACE_PAGER_GUARD, ev->page, page - ev->page, 0);
		fx->verdict = XM_VERDICT_DONE;
	}
	fx->next = page;
}

static void on_unguard(struct xm_pager *p, const struct xm_pager_event *ev,
		       struct xm_pager_effects *fx)
{
	for (uint64_t page = ev->page; page < ev->limit; page++) {
		struct xm_page *entry = &p->pages[page];

		XM_ASSERT(entry->state == XM_PAGE_GUARDED ||
			  XM_PLANTED(unguarded));
		if (!XM_PLANTED(unguarded) || entry->state == XM_PAGE_GUARDED)
			entry->state = XM_PAGE_ABSENT;
		if (ev->write)
			entry->flags |= FLAG_WRITTEN;
	}
	note(p, XM_TRACE_PAGER_UNGUARD, ev->page, ev->limit - ev->page,
	     ev->write);
	fx->verdict = XM_VERDICT_DONE;
	fx->next = ev->limit;
}

static void on_pin(struct xm_pager *p, const struct xm_pager_event *ev,
		   struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[ev->page];
	struct xm_frame *frame;

	fx->verdict = XM_VERDICT_WAIT;
	if (!present(entry) || (ev->write && entry->state != XM_PAGE_DIRTY))
		return;
	frame = &p->frames[entry->frame];
	if (frame->pins == UINT16_MAX ||
	    (frame->pins == 0 && p->pinned >= p->options.pins_max)) {
		note(p, XM_TRACE_PAGER_PIN_FULL, ev->page, p->pinned, 0);
		fx->verdict = XM_VERDICT_FULL;
		return;
	}
	if (frame->pins++ == 0)
		p->pinned++;
	/* Sticky until the last unpin: who pinned for what is not kept. */
	if (ev->write)
		frame->pins_write = 1;
	fx->verdict = XM_VERDICT_DONE;
}

static void on_unpin(struct xm_pager *p, const struct xm_pager_event *ev,
		     struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[ev->page];
	struct xm_frame *frame;

	fx->verdict = XM_VERDICT_DONE;
	if (!present(entry))
		return;
	frame = &p->frames[entry->frame];
	if (frame->pins == 0)
		return;
	if (--frame->pins == 0) {
		frame->pins_write = 0;
		p->pinned--;
	}
}

/* The mapper would not take the pages: the address range is not what it was.
 * Nobody may be left looking at nothing. */
static void on_refused(struct xm_pager *p, const struct xm_pager_event *ev,
		       struct xm_pager_effects *fx)
{
	note(p, XM_TRACE_PAGER_REFUSED, ev->page, ev->limit - ev->page, 0);
	for (uint64_t page = ev->page; page < ev->limit; page++) {
		if (!present(&p->pages[page]))
			continue;
		frame_give(p, page);
		poison_page(p, page, fx);
	}
	fx->verdict = XM_VERDICT_LOST;
}

/* --- step ----------------------------------------------------------------------------------------- */

void xm_pager_step(struct xm_pager *p, const struct xm_pager_event *ev,
		   struct xm_pager_effects *fx)
{
	fx->verdict = XM_VERDICT_DONE;
	fx->next = 0;
	fx->seq = 0;
	fx->count = 0;
	p->now_ns = ev->now_ns;
	p->again = ev->again;
	XM_ASSERT(ev->page < p->options.pages_max);
	XM_ASSERT(ev->limit <= p->options.pages_max);
	switch (ev->kind) {
	case XM_PAGER_FAULT: on_fault(p, ev, fx); break;
	case XM_PAGER_FETCHED: on_fetched(p, ev); break;
	case XM_PAGER_STORED: on_stored(p, ev); break;
	case XM_PAGER_FLUSH:
	case XM_PAGER_EVICT: on_flush(p, ev, fx); break;
	case XM_PAGER_FLUSHED: on_flushed(p, ev, fx); break;
	case XM_PAGER_DISCARD:
	case XM_PAGER_ADOPT:
	case XM_PAGER_FORGET:
	case XM_PAGER_LOST: on_change(p, ev, fx); break;
	case XM_PAGER_ADVISE: on_advise(p, ev, fx); break;
	case XM_PAGER_WILLNEED: on_willneed(p, ev, fx); break;
	case XM_PAGER_GUARD: on_guard(p, ev, fx); break;
	case XM_PAGER_UNGUARD: on_unguard(p, ev, fx); break;
	case XM_PAGER_PIN: on_pin(p, ev, fx); break;
	case XM_PAGER_UNPIN: on_unpin(p, ev, fx); break;
	case XM_PAGER_REFUSED: on_refused(p, ev, fx); break;
	case XM_PAGER_TICK: on_tick(p, fx); break;
	}
}

uint32_t xm_pager_stage_pages(const struct xm_pager_options *o)
{
	return o->slots * o->window_max + o->cells;
}

static size_t table_size(const struct xm_pager_options *o)
{
	return xm_align_up(o->pages_max * sizeof(struct xm_page), 64);
}

static size_t frames_size(const struct xm_pager_options *o)
{
	return xm_align_up(o->frames_max * sizeof(struct xm_frame), 64);
}

size_t xm_pager_memory_size(const struct xm_pager_options *o)
{
	return table_size(o) + frames_size(o) +
	       o->cells * sizeof(struct xm_cell);
}

void xm_pager_init(struct xm_pager *p, const struct xm_pager_options *o,
		   void *memory)
{
	char *bytes = memory;

	XM_ASSERT(o->pages_max > 0 && o->pages_max < UINT64_C(1) << 40);
	XM_ASSERT(xm_is_power_of_two(o->window_max));
	XM_ASSERT(o->window_max <= XM_PAGER_WINDOW_MAX);
	XM_ASSERT(o->slots >= 2 && o->slots <= XM_PAGER_SLOTS_MAX);
	XM_ASSERT(o->cells >= 2 && o->cells <= XM_PAGER_CELLS_MAX);
	XM_ASSERT(o->frames_max >= 2 && o->frames_max < NO_FRAME);
	XM_ASSERT(o->pins_max < o->frames_max);
	memset(p, 0, sizeof(*p));
	p->options = *o;
	p->pages = (struct xm_page *)bytes;
	p->frames = (struct xm_frame *)(bytes + table_size(o));
	p->cells = (struct xm_cell *)(bytes + table_size(o) + frames_size(o));
	for (uint32_t i = 0; i < o->cells; i++)
		p->cells[i].page = NOBODY;
	p->frame_free = NO_FRAME;
}

/* --- check -------------------------------------------------------------------------------------------- */

static const char *check_frames(const struct xm_pager *p)
{
	uint32_t used = 0, pins = 0;

	for (uint32_t i = 0; i < p->frames_fresh; i++) {
		const struct xm_frame *frame = &p->frames[i];

		if (frame->page == NOBODY)
			continue;
		used++;
		pins += frame->pins > 0;
		if (!present(&p->pages[frame->page]))
			return "a frame belongs to a page that is not here";
		if (p->pages[frame->page].frame != i)
			return "a page and its frame disagree";
	}
	if (used != p->frames_used)
		return "frames in use are miscounted";
	if (used > p->options.frames_max)
		return "more frames in use than the budget";
	if (pins != p->pinned)
		return "pinned frames are miscounted";
	return NULL;
}

static const char *check_cells(const struct xm_pager *p)
{
	uint32_t used = 0, failed = 0;

	for (uint32_t i = 0; i < p->options.cells; i++) {
		const struct xm_cell *cell = &p->cells[i];

		used += cell->state != CELL_FREE;
		failed += cell->state == CELL_FAILED;
		if (cell->state == CELL_FREE || cell->page == NOBODY)
			continue;
		if (!flagged(&p->pages[cell->page], FLAG_STORING) ||
		    p->pages[cell->page].slot != i)
			return "a store cell and its page disagree";
	}
	if (used != p->cells_used || failed != p->cells_failed)
		return "store cells are miscounted";
	return NULL;
}

static const char *check_slots(const struct xm_pager *p)
{
	for (uint32_t i = 0; i < p->options.slots; i++) {
		const struct xm_slot *slot = &p->slots[i];

		for (uint32_t k = 0; k < slot->count; k++) {
			const struct xm_page *e = &p->pages[slot->page + k];

			if (e->state != XM_PAGE_FETCHING || e->slot != i)
				return "a fetch slot and its page disagree";
		}
	}
	return NULL;
}

const char *xm_pager_check(const struct xm_pager *p)
{
	const char *broken = check_frames(p);

	if (broken == NULL)
		broken = check_cells(p);
	if (broken == NULL)
		broken = check_slots(p);
	return broken;
}
