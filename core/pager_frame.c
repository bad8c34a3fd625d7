/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's frames, and reclaim: who leaves when room is needed. See pager.h.
 *
 * Floor: ground.
 */
#include "pager_parts.h"

/* Frames looked at in one search for a victim: bounds a step. */
#define SWEEP_MAX 1024

/* --- frames ------------------------------------------------------------------- */

void xm_pager_frame_take(struct xm_pager *p, uint64_t page)
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

void xm_pager_frame_give(struct xm_pager *p, uint64_t page)
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

/* Pages that leave without a store: they equal the far memory, a cell, or
 * nothing anybody wants. */
void xm_pager_drop_run(struct xm_pager *p, uint64_t page, uint32_t count,
		     struct xm_pager_effects *fx)
{
	for (uint32_t i = 0; i < count; i++) {
		xm_pager_frame_give(p, page + i);
		p->pages[page + i].state = XM_PAGE_ABSENT;
		p->pages[page + i].flags &= (uint8_t)~FLAG_RECENT;
	}
	note(p, XM_TRACE_PAGER_DROP, page, count, 0);
	xm_pager_emit(fx, XM_DROP, page, count, 0, false);
}

/* --- reclaim ---------------------------------------------------------------------- */

bool xm_pager_evictable(const struct xm_pager *p, uint64_t page,
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
void xm_pager_poison(struct xm_pager *p, uint64_t page,
			struct xm_pager_effects *fx)
{
	p->pages[page].state = XM_PAGE_POISONED;
	p->counters.pages_lost++;
	note(p, XM_TRACE_PAGER_POISON, page, 0, 0);
	xm_pager_emit(fx, XM_POISON, page, 1, 0, false);
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
		xm_pager_drop_run(p, page, 1, fx);
		xm_pager_poison(p, page, fx);
		return 1;
	}
	if (!xm_pager_evictable(p, page, state))
		return 0;
	while (run < xm_min(most, want) && xm_pager_evictable(p, page + run, state))
		run++;
	if (state == XM_PAGE_CLEAN) {
		xm_pager_drop_run(p, page, run, fx);
	} else {
		run = xm_pager_store_run(p, page, run, true, false, fx);
	}
	p->counters.evictions += run;
	return run;
}

/* Frees up to `want` frames; stops short when all that is left is pinned, or
 * dirty with no cell free. */
void xm_pager_make_room(struct xm_pager *p, uint32_t want,
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
