/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's range events (flush, discard, advice), explicit I/O and pins. See
 * pager.h.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

#include <string.h>

/* Runs one range step may store: bounds its effects. */
#define RANGE_RUNS 64

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
		xm_pager_drop_run(p, page, 1, fx);
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
		       xm_pager_evictable(p, page + run, XM_PAGE_DIRTY))
			run++;
	}
	run = xm_pager_store_run(p, page, run, evict, writable, fx);
	if (evict && run > 0) {
		xm_pager_drop_run(p, page, run, fx);
		p->counters.evictions += run;
	}
	return run;
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
		note(p, XM_TRACE_PAGER_FLUSH, ev->page, ev->limit, page);
}

void xm_pager_on_flushed(const struct xm_pager *p,
		       const struct xm_pager_event *ev,
		       struct xm_pager_effects *fx)
{
	fx->verdict = XM_VERDICT_DONE;
	if (p->writeback_used == 0)
		return;
	for (uint32_t i = 0; i < p->options.writeback_buffers; i++) {
		const struct xm_writeback_buffer *buffer = &p->writeback_buffers[i];

		if (buffer->state != WRITEBACK_FREE && buffer->page != NOBODY &&
		    buffer->seq <= ev->seq && buffer->page >= ev->page &&
		    buffer->page < ev->limit &&
		    !(XM_PLANTED(newest_store_ignored) &&
		      buffer->seq == ev->seq)) {
			fx->verdict = XM_VERDICT_WAIT;
			fx->next = buffer->page;
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
		xm_pager_drop_run(p, page, 1, fx);
	if (entry->state == XM_PAGE_FETCHING &&
	    !XM_PLANTED(discard_races_fetch)) {
		if (p->fetch_buffers[entry->buffer].state == FETCH_IN_FLIGHT) {
			note_wait(p, XM_TRACE_PAGER_AFTER_FETCH, page);
			return false;
		}
		xm_pager_buffer_clear(p, entry->buffer, true);
	}
	return entry->state != XM_PAGE_IO_LOCKED;
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
		flag_clear(entry, FLAG_WRITTEN);
		entry->frame = 0; /* what it was is forgotten, and when it left */
		return true;
	case XM_PAGER_MARK_BACKED:
		flag_set(entry, FLAG_WRITTEN);
		return true;
	case XM_PAGER_FORGET:
		/* First, so that a page that has to wait is not forgotten half:
		 * an older store than what is here may be the one that flies. */
		if (flagged(entry, FLAG_STORING) &&
		    !XM_PLANTED(forget_flying) &&
		    p->writeback_buffers[entry->buffer].state == WRITEBACK_IN_FLIGHT) {
			note_wait(p, XM_TRACE_PAGER_AFTER_STORE, page);
			return false;
		}
		if (!let_go(p, page, fx))
			return false;
		if (flagged(entry, FLAG_STORING))
			xm_pager_writeback_free(p, entry->buffer);
		memset(entry, 0, sizeof(*entry));
		return true;
	default:
		XM_ASSERT(ev->kind == XM_PAGER_LOST);
		flag_set(entry, FLAG_LOST);
		if (!flagged(entry, FLAG_STORING))
			return true;
		note(p, XM_TRACE_PAGER_LOSE_STORE, page, 0, 0);
		/* The store ends, if it flies, without its page. */
		if (p->writeback_buffers[entry->buffer].state == WRITEBACK_FAILED)
			xm_pager_writeback_free(p, entry->buffer);
		else
			p->writeback_buffers[entry->buffer].page = NOBODY;
		flag_clear(entry, FLAG_STORING);
		/* What was here and equal to the lost bytes is now all there
		 * is of them. */
		if (entry->state == XM_PAGE_CLEAN)
			flag_set(entry, FLAG_RECENT);
		return true;
	}
}

void xm_pager_on_change(struct xm_pager *p, const struct xm_pager_event *ev,
		      struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);

	fx->verdict = XM_VERDICT_DONE;
	while (page < end && change_page(p, page, ev, fx))
		page++;
	if (page > ev->page)
		note(p, ev->kind == XM_PAGER_DISCARD ? XM_TRACE_PAGER_DISCARD
			: ev->kind == XM_PAGER_MARK_BACKED ? XM_TRACE_PAGER_MARK_BACKED
			: ev->kind == XM_PAGER_FORGET ? XM_TRACE_PAGER_FORGET
						      : XM_TRACE_PAGER_LOSE,
		     ev->page, page - ev->page, 0);
	if (page < end)
		fx->verdict = XM_VERDICT_WAIT;
	else if (page < ev->limit)
		fx->verdict = XM_VERDICT_MORE;
	fx->next = page;
}

void xm_pager_on_advise(struct xm_pager *p, const struct xm_pager_event *ev,
		      struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);
	unsigned set = ev->advice == XM_ADVICE_RANDOM ? FLAG_RANDOM
		      : ev->advice == XM_ADVICE_SEQUENTIAL ? FLAG_SEQUENTIAL
							   : 0;

	for (; page < end; page++) {
		flag_clear(&p->pages[page], FLAG_RANDOM | FLAG_SEQUENTIAL);
		flag_set(&p->pages[page], set);
	}
	fx->verdict = page < ev->limit ? XM_VERDICT_MORE : XM_VERDICT_DONE;
	fx->next = page;
}

/* Brought by an earlier step of this range, or coming. */
static bool is_willed(const struct xm_fetch_buffer *buffer,
		      const struct xm_pager_event *ev)
{
	return buffer->count > 0 && buffer->stream == XM_PAGER_STREAMS &&
	       buffer->demand == 0 && buffer->page >= ev->floor &&
	       buffer->page < ev->limit;
}

/* What has arrived goes where frames are free, so that its fetch buffers can bring
 * more. Returns how many fetch buffers are free then. */
static uint32_t willed_install(struct xm_pager *p,
			       const struct xm_pager_event *ev,
			       struct xm_pager_effects *fx)
{
	uint32_t open = 0;

	for (uint32_t i = 0; i < p->options.fetch_buffers; i++) {
		const struct xm_fetch_buffer *buffer = &p->fetch_buffers[i];

		if (buffer->state == FETCH_ARRIVED && is_willed(buffer, ev) &&
		    buffer->own <= frames_free(p) &&
		    fx->count < XM_PAGER_EFFECTS / 2)
			xm_pager_buffer_install(p, i, fx);
		open += buffer->state == FETCH_FREE;
	}
	return open;
}

/* Fetches the range by windows, into the frames that are free and then into
 * the fetch buffers that are; for one fetch buffer of these demands need not ask. What does not
 * fit is left to its faults: nothing leaves for it. */
void xm_pager_on_willneed(struct xm_pager *p, const struct xm_pager_event *ev,
			struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);
	uint32_t open;

	fx->verdict = XM_VERDICT_DONE;
	fx->next = ev->limit;
	if (ev->reach != XM_REACH_UP)
		return;
	open = willed_install(p, ev, fx);
	while (page < end) {
		uint32_t run = 0, most;

		most = (uint32_t)xm_min(p->options.window_max,
					fetch_limit(ev, page, true));
		while (run < most && page + run < end &&
		       xm_pager_fetchable(p, page + run))
			run++;
		if (run > 0 && (open <= 1 || !xm_pager_fetch_run(p, page, run, 0,
								 NULL, fx)))
			break;
		open -= run > 0;
		page += run > 0 ? run : 1;
	}
	if (page == end) {
		fx->next = end;
		if (end < ev->limit)
			fx->verdict = XM_VERDICT_MORE;
		return;
	}
	for (uint32_t i = 0; i < p->options.fetch_buffers; i++) {
		const struct xm_fetch_buffer *buffer = &p->fetch_buffers[i];

		if (buffer->state != FETCH_IN_FLIGHT || !is_willed(buffer, ev) ||
		    buffer->own > frames_free(p))
			continue;
		fx->verdict = XM_VERDICT_WAIT;
		fx->next = page;
	}
}

/* --- explicit I/O and pins -------------------------------------------------------------------- */

void xm_pager_on_io_lock(struct xm_pager *p, const struct xm_pager_event *ev,
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
		fx->verdict = XM_VERDICT_PRESENT;
		return;
	}
	if (!flagged(entry, FLAG_WRITTEN) && idle(entry) && !ev->whole) {
		while (page < end && xm_pager_fresh(p, page))
			page++;
		fx->verdict = XM_VERDICT_FRESH;
		fx->next = page;
		return;
	}
	if (entry->state == XM_PAGE_FETCHING &&
	    p->fetch_buffers[entry->buffer].state == FETCH_ARRIVED)
		xm_pager_buffer_clear(p, entry->buffer, true);
	while (page < end && idle(&p->pages[page]) &&
	       !flagged(&p->pages[page], FLAG_LOST) &&
	       (ev->whole || flagged(&p->pages[page], FLAG_WRITTEN)))
		p->pages[page++].state = ev->whole && XM_PLANTED(io_unlocked)
						 ? XM_PAGE_ABSENT
						 : XM_PAGE_IO_LOCKED;
	if (page > ev->page) {
		note(p, XM_TRACE_PAGER_IO_LOCK, ev->page, page - ev->page, 0);
		fx->verdict = XM_VERDICT_DONE;
	}
	fx->next = page;
}

void xm_pager_on_io_unlock(struct xm_pager *p, const struct xm_pager_event *ev,
		       struct xm_pager_effects *fx)
{
	for (uint64_t page = ev->page; page < ev->limit; page++) {
		struct xm_page *entry = &p->pages[page];

		XM_ASSERT(entry->state == XM_PAGE_IO_LOCKED ||
			  XM_PLANTED(io_unlocked));
		if (!XM_PLANTED(io_unlocked) || entry->state == XM_PAGE_IO_LOCKED)
			entry->state = XM_PAGE_ABSENT;
		if (ev->write)
			flag_set(entry, FLAG_WRITTEN);
	}
	note(p, XM_TRACE_PAGER_IO_UNLOCK, ev->page, ev->limit - ev->page,
	     ev->write);
	fx->verdict = XM_VERDICT_DONE;
	fx->next = ev->limit;
}

void xm_pager_on_pin(struct xm_pager *p, const struct xm_pager_event *ev,
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
	if (frame->pins == 0)
		xm_pager_frame_pin(p, entry->frame);
	else
		frame->pins++;
	/* Sticky until the last unpin: who pinned for what is not kept. */
	if (ev->write)
		frame->pins_write = 1;
	fx->verdict = XM_VERDICT_DONE;
}

void xm_pager_on_unpin(struct xm_pager *p, const struct xm_pager_event *ev,
		     struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[ev->page];
	struct xm_frame *frame;

	fx->verdict = XM_VERDICT_DONE;
	if (!present(entry))
		return;
	frame = &p->frames[entry->frame];
	if (frame->pins == 1)
		xm_pager_frame_unpin(p, entry->frame);
	else if (frame->pins > 1)
		frame->pins--;
}

/* The mapper would not take the pages: the address range is not what it was.
 * Nobody may be left looking at nothing. */
void xm_pager_on_refused(struct xm_pager *p, const struct xm_pager_event *ev,
		       struct xm_pager_effects *fx)
{
	note(p, XM_TRACE_PAGER_REFUSED, ev->page, ev->limit - ev->page, 0);
	for (uint64_t page = ev->page; page < ev->limit; page++) {
		if (!present(&p->pages[page]))
			continue;
		xm_pager_frame_give(p, page);
		xm_pager_poison(p, page, fx);
	}
	fx->verdict = XM_VERDICT_LOST;
}
