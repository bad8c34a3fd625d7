/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's flush: FLUSH stores what is dirty in a range, EVICT also lets the pages
 * go, FLUSHED asks whether the stores have ended.
 *
 * Every store has a sequence number. FLUSH returns the number of the last store posted
 * so far; the range is flushed once no store of it up to this number is under way.
 * Example: FLUSH of [0, 100) returns seq 41. Page 3 is written to again and evicted,
 * which is store 42: FLUSHED {[0, 100), seq 41} does not wait for it.
 *
 * Bounds of one step: RANGE_MAX pages looked at, RANGE_RUNS runs stored. A longer
 * range is answered MORE, to be sent again from `next`.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* Runs that one step stores, at most. */
#define RANGE_RUNS 64

/* The run of dirty pages from `page` on that one write can store: all pinned for
 * writing (*ret_writable), or none. */
static uint32_t dirty_run(const struct xm_pager *p, uint64_t page,
			  uint64_t limit, bool *ret_writable)
{
	uint32_t run = 0;
	bool writable = p->frames[p->pages[page].frame].pins_write > 0;

	while (run < XM_PAGER_BATCH && page + run < limit) {
		const struct xm_page *entry = &p->pages[page + run];

		if (entry->state != XM_PAGE_DIRTY ||
		    (flagged(entry, FLAG_STORING) &&
		     !XM_PLANTED(two_stores)) || flagged(entry, FLAG_HELD) ||
		    (p->frames[entry->frame].pins_write > 0) != writable)
			break;
		run++;
	}
	*ret_writable = writable;
	return run;
}

/* Stores the dirty page, and neighbours with it. Returns how many pages were stored,
 * or 0 when no write-back buffer is free. */
static uint32_t flush_dirty(struct xm_pager *p, uint64_t page, uint64_t limit,
			    bool evict, struct xm_pager_effects *fx)
{
	bool writable;
	uint32_t run = dirty_run(p, page, limit, &writable);

	if (evict && pinned(p, page)) {
		evict = false;
		run = 1; /* its neighbours may be evicted */
	}
	if (!evict)
		return xm_pager_store_run(p, page, run,
					  writable ? STORE_PINNED : STORE_FLUSH,
					  fx);
	run = 1;
	while (run < XM_PAGER_BATCH && page + run < limit &&
	       xm_pager_evictable(p, page + run, XM_PAGE_DIRTY))
		run++;
	run = xm_pager_store_run(p, page, run, STORE_EVICT, fx);
	if (run > 0) {
		xm_pager_drop_run(p, page, run, fx);
		p->counters.evictions += run;
	}
	return run;
}

/* Returns for how many pages, from `page` on, all is done; 0 when a completion must
 * be waited for, or the page is lost (verdict LOST). */
static uint32_t flush_page(struct xm_pager *p, uint64_t page, uint64_t limit,
			   bool evict, struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[page];

	if (flagged(entry, FLAG_LOST)) {
		fx->verdict = XM_VERDICT_LOST;
		return 0;
	}
	if (entry->state == XM_PAGE_CLEAN && evict && !pinned(p, page)) {
		xm_pager_drop_run(p, page, 1, fx);
		p->counters.evictions++;
		return 1;
	}
	if (entry->state == XM_PAGE_IO_LOCKED && entry->buffer == LOCK_CLONE &&
	    !evict) {
		/* The remote memory has not its bytes yet. */
		xm_pager_wants(p, page);
		return 0;
	}
	if (entry->state != XM_PAGE_DIRTY)
		return 1;
	if (flagged(entry, FLAG_STORING) && !XM_PLANTED(two_stores)) {
		/* Bytes written since the store in flight must follow it. */
		trace_wait(p, XM_TRACE_PAGER_AFTER_STORE, page);
		return 0;
	}
	if (flagged(entry, FLAG_HELD)) {
		trace_wait(p, XM_TRACE_PAGER_AFTER_HOLD, page);
		return 0;
	}
	return flush_dirty(p, page, limit, evict, fx);
}

void xm_pager_on_flush(struct xm_pager *p, const struct xm_pager_event *ev,
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
		trace(p, XM_TRACE_PAGER_FLUSH, ev->page, ev->limit, page);
}

void xm_pager_on_flushed(const struct xm_pager *p,
			 const struct xm_pager_event *ev,
			 struct xm_pager_effects *fx)
{
	fx->verdict = XM_VERDICT_DONE;
	if (p->writeback_used == 0)
		return;
	for (uint32_t i = 0; i < p->options.writeback_buffers; i++) {
		const struct xm_writeback_buffer *b = &p->writeback_buffers[i];

		if (b->state != WRITEBACK_FREE && b->page != NOBODY &&
		    b->seq <= ev->seq && b->page >= ev->page &&
		    b->page < ev->limit &&
		    !(XM_PLANTED(newest_store_ignored) && b->seq == ev->seq)) {
			fx->verdict = XM_VERDICT_WAIT;
			fx->next = b->page;
		}
	}
}
