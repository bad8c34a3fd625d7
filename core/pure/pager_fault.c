/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's answer to a fault, by the state of the page. See pager.h.
 *
 *	CLEAN, and a store: unprotect			fault_protected()
 *	in an arrived fetch buffer: install the window	fault_from_fetch()
 *	in a write-back buffer: install it from there	fault_from_writeback()
 *	fresh: install zeros				fault_fresh()
 *	in the remote memory alone: post a fetch, WAIT	fault_absent()
 *
 * What is installed or unprotected beside the page that was touched has all rights, or
 * is installed protected if it may be loaded from.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* A store to a page that is present and protected. If a stream of stores goes through
 * a window, the rest of the window is unprotected with it. */
static void fault_protected(struct xm_pager *p, uint64_t page,
			    const struct xm_pager_event *ev,
			    struct xm_pager_effects *fx)
{
	uint32_t run = 1;

	p->counters.faults_write++;
	for (unsigned i = 0; i < XM_PAGER_STREAMS; i++) {
		struct xm_stream *s = &p->streams[i];

		if (s->used == 0 || s->window < 4 || s->step != 1 ||
		    page <= s->first || page >= s->next ||
		    p->pages[page - 1].state != XM_PAGE_DIRTY)
			continue;
		while (run < XM_PAGER_WINDOW_MAX && page + run < s->next &&
		       page + run < ev->limit &&
		       p->pages[page + run].state == XM_PAGE_CLEAN &&
		       (!flagged(&p->pages[page + run], FLAG_CLOSED) ||
			XM_PLANTED(rights_neighbour)))
			run++;
		break;
	}
	for (uint32_t i = 0; i < run; i++) {
		p->pages[page + i].state = XM_PAGE_DIRTY;
		xm_pager_learn_write(p, page + i, true);
	}
	flag_set(&p->pages[page], FLAG_RECENT);
	trace(p, XM_TRACE_PAGER_OPEN, page, run, 0);
	xm_pager_emit(fx, XM_UNPROTECT, page, run, 0, false);
	fx->list[fx->count - 1].print = xm_pager_prints_wanted(p, page, run);
	fx->verdict = XM_VERDICT_DONE;
}

static bool fresh_with_all_rights(const struct xm_pager *p, uint64_t page)
{
	return xm_pager_fresh(p, page) &&
	       (!flagged(&p->pages[page], FLAG_RIGHTS | FLAG_FROZEN) ||
		XM_PLANTED(rights_fresh));
}

/* A page that reads as zero: no transfer. A stream of stores gets its whole window at
 * once, writable. */
static void fault_fresh(struct xm_pager *p, uint64_t page,
			const struct xm_pager_event *ev,
			struct xm_pager_effects *fx)
{
	uint64_t first = page;
	uint32_t run = 1;

	if (!flagged(&p->pages[page], FLAG_RANDOM)) {
		struct xm_stream *s = xm_pager_stream_at(p, page, 1, page);

		run = xm_pager_stream_run(p, s, page, ev, fresh_with_all_rights,
					  0, &first);
		xm_pager_make_room(p, run, fx);
		if (frames_unused(p) < run) {
			first = page;
			run = 1;
		}
		xm_pager_stream_moved(p, s, first, run, 0, ev);
	} else {
		xm_pager_make_room(p, 1, fx);
	}
	if (frames_unused(p) < run) {
		trace(p, XM_TRACE_PAGER_NO_FRAME, page, 0, 0);
		return;
	}
	p->counters.zero_fills += run;
	xm_pager_become_present(p, first, run, XM_STAGING_ZERO, ev->write, fx);
	fx->verdict = XM_VERDICT_DONE;
}

/* The page was evicted, but its bytes are still in a write-back buffer. */
static void fault_from_writeback(struct xm_pager *p, uint64_t page,
				 const struct xm_pager_event *ev,
				 struct xm_pager_effects *fx)
{
	xm_pager_make_room(p, 1, fx);
	if (frames_unused(p) < 1) {
		trace(p, XM_TRACE_PAGER_NO_FRAME, page, 0, 0);
		return;
	}
	p->counters.rescued++;
	xm_pager_become_present(p, page, 1,
				writeback_base(p) + p->pages[page].buffer,
				ev->write ||
					(!flagged(&p->pages[page], FLAG_CLOSED) &&
					 xm_pager_write_predicted(p, page)),
				fx);
	flag_set(&p->pages[page], FLAG_RECENT);
	fx->verdict = XM_VERDICT_DONE;
}

/* --- a window that has arrived ------------------------------------------------------ */

/* Pages of the window that the stream has skipped: they lie before the first page
 * touched, which is `page`, and would have been touched before it. */
static uint32_t skipped(const struct xm_pager *p,
			const struct xm_fetch_buffer *window, uint64_t page)
{
	uint32_t index = p->pages[page].buffer, count;

	if (window->backward)
		count = xm_pager_buffer_own(
			p, index, page + 1,
			(uint32_t)(window->page + window->count - 1 - page));
	else
		count = xm_pager_buffer_own(p, index, window->page,
					    (uint32_t)(page - window->page));
	return (uint32_t)xm_min(count, window->own - 1U);
}

/* The program has come into a window that was read ahead: its stream goes on. Returns
 * the stream, or NULL if the window was fetched for a waiting thread. */
static struct xm_stream *stream_enters(struct xm_pager *p,
				       const struct xm_fetch_buffer *window,
				       const struct xm_pager_event *ev,
				       struct xm_pager_effects *fx)
{
	bool asked_for = window->stream == XM_PAGER_STREAMS; /* WILLNEED */
	struct xm_stream *s;
	uint32_t passed = 0;

	/* A demanded window was recorded in the ledger when it was posted. */
	if (window->demand > 0)
		return NULL;
	xm_pager_ledger_earn(p, 1);
	/* It was read before the program gave the advice RANDOM. */
	if (flagged(&p->pages[ev->page], FLAG_RANDOM))
		return NULL;
	s = xm_pager_stream_at(p, window->page, window->count, ev->page);
	/* The stream that it was read for is forgotten, and a new one begins. */
	if (s->window == 1 ||
	    (window->count > 1 && s->step != 1 && s->step != -1)) {
		s->step = window->backward ? -1 : 1;
		s->window = 1;
	}
	/* The ledger does not count what the program asked for. */
	if (!asked_for)
		passed = skipped(p, window, ev->page);
	xm_pager_ledger_waste(p, s->next, passed);
	xm_pager_stream_moved(p, s, window->page, window->count,
			      asked_for ? 0 : window->own - 1U - passed, ev);
	xm_pager_stream_ahead(p, s, ev, fx);
	return s;
}

/* Installs as much of the window as frames can be had for; where the advice is RANDOM,
 * the touched page alone. */
static void fault_from_fetch(struct xm_pager *p, uint64_t page,
			     const struct xm_pager_event *ev,
			     struct xm_pager_effects *fx)
{
	uint32_t index = p->pages[page].buffer;
	struct xm_fetch_buffer window = p->fetch_buffers[index];
	uint64_t first = window.page;
	uint32_t count = window.count, own = window.own;
	bool alone = flagged(&p->pages[page], FLAG_RANDOM);
	const struct xm_stream *s;
	bool dirty;

	if (alone) {
		first = page;
		count = own = 1;
	}
	xm_pager_make_room(p, own, fx);
	if (frames_unused(p) == 0) {
		trace(p, XM_TRACE_PAGER_NO_FRAME, page, 0, 0);
		return;
	}
	if (frames_unused(p) < own && !XM_PLANTED(budget_exceeded)) {
		count = frames_unused(p);
		trace(p, XM_TRACE_PAGER_PART, page, count, window.count);
		first = page + count <= window.page + window.count
				? page : window.page + window.count - count;
		own = xm_pager_buffer_own(p, index, first, count);
		if (window.demand == 0)
			xm_pager_ledger_waste_buffer(p, &window,
						     window.own - own);
		window.own = (uint16_t)own;
	}
	/* What is read ahead is posted before this window is installed. It must not
	 * overwrite the window: IN_FLIGHT keeps the buffer and its pages. */
	p->fetch_buffers[index].state = FETCH_IN_FLIGHT;
	s = stream_enters(p, &window, ev, fx);
	/* A stream of stores gets its whole window at once, writable. */
	dirty = (ev->write && s != NULL && s->window >= 4) ||
		xm_pager_write_predicted(p, page);
	xm_pager_buffer_install(p, index, first, count,
				ev->write ? page : NOBODY, dirty, fx);
	if (alone && p->fetch_buffers[index].own > 0)
		p->fetch_buffers[index].state = FETCH_ARRIVED;
	else
		xm_pager_buffer_clear(p, index, false);
	fx->verdict = XM_VERDICT_DONE;
}

/* --- a page that is away ------------------------------------------------------------- */

/* Posts the read first, and makes room while it is in flight. */
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
		s = xm_pager_stream_at(p, page, 1, page);
		if (flagged(&p->pages[page], FLAG_SEQUENTIAL))
			s->window = p->options.window_max;
		run = xm_pager_stream_run(p, s, page, ev, xm_pager_fetchable,
					  GAP_MAX, &first);
	}
	if (!xm_pager_fetch_run(p, first, run, 1, s, fx)) {
		if (s != NULL)
			s->next = page; /* the fault comes again, and continues it */
		return;
	}
	xm_pager_ledger_earn(p, 1);
	if (s != NULL) {
		uint32_t own = p->fetch_buffers[p->pages[page].buffer].own;

		xm_pager_stream_moved(p, s, first, run, own - 1, ev);
		xm_pager_stream_ahead(p, s, ev, fx);
	}
	xm_pager_make_room(p, run, fx);
}

/* Nothing of the page is present, and no fetch of it is under way. */
static void fault_not_here(struct xm_pager *p, uint64_t page,
			   const struct xm_pager_event *ev,
			   struct xm_pager_effects *fx)
{
	const struct xm_page *entry = &p->pages[page];

	if (flagged(entry, FLAG_LOST)) {
		xm_pager_poison(p, page, fx);
		fx->verdict = XM_VERDICT_LOST;
	} else if (!flagged(entry, FLAG_WRITTEN)) {
		/* It was discarded while a store was in flight, and a later store
		 * must not overtake this one: wait for its end. */
		if (!flagged(entry, FLAG_STORING))
			fault_fresh(p, page, ev, fx);
		else
			trace_wait(p, XM_TRACE_PAGER_AFTER_STORE, page);
	} else if (flagged(entry, FLAG_STORING) && XM_PLANTED(fault_lost)) {
		fx->verdict = XM_VERDICT_DONE;
	} else if (flagged(entry, FLAG_STORING) && ev->write &&
		   XM_PLANTED(unprotect_leaving)) {
		fault_protected(p, page, ev, fx);
	} else if (flagged(entry, FLAG_STORING)) {
		fault_from_writeback(p, page, ev, fx);
	} else {
		fault_absent(p, page, ev, fx);
	}
}

/* The page is being cloned, or is a clone whose bytes are not here yet. */
static void fault_frozen(struct xm_pager *p, const struct xm_pager_event *ev,
		       struct xm_pager_effects *fx)
{
	xm_pager_wants(p, ev->page);
	if (ev->reach == XM_REACH_LOST)
		fx->verdict = XM_VERDICT_LOST;
}

void xm_pager_on_fault(struct xm_pager *p, const struct xm_pager_event *ev,
		       struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	const struct xm_page *entry = &p->pages[page];

	if (!ev->again) {
		p->counters.faults++;
		trace(p, XM_TRACE_PAGER_FAULT, page, ev->write, entry->state);
	}
	if (flagged(entry, FLAG_RIGHTS) &&
	    xm_pager_denies(p, page, ev->write)) {
		fx->verdict = XM_VERDICT_DENIED;
		return;
	}
	fx->verdict = XM_VERDICT_WAIT;
	if (ev->write && flagged(entry, FLAG_FROZEN)) {
		fault_frozen(p, ev, fx);
		return;
	}
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
	case XM_PAGE_IO_LOCKED:
		trace_wait(p, XM_TRACE_PAGER_HELD, page);
		if (entry->buffer == LOCK_CLONE)
			fault_frozen(p, ev, fx);
		if (ev->reach == XM_REACH_LOST && xm_pager_torn(entry))
			fx->verdict = XM_VERDICT_LOST;
		return;
	case XM_PAGE_FETCHING:
		if (p->fetch_buffers[entry->buffer].state == FETCH_ARRIVED)
			fault_from_fetch(p, page, ev, fx);
		else
			p->counters.misses += !ev->again;
		/* In flight, or arrived while no frame can be had. */
		if (fx->verdict == XM_VERDICT_WAIT &&
		    ev->reach == XM_REACH_LOST)
			fx->verdict = XM_VERDICT_LOST;
		return;
	case XM_PAGE_ABSENT:
		break;
	}
	fault_not_here(p, page, ev, fx);
	if (fx->verdict == XM_VERDICT_WAIT && ev->reach == XM_REACH_LOST)
		fx->verdict = XM_VERDICT_LOST;
	/* A miss is a fault that has to wait, counted when it is first sent. */
	if (fx->verdict == XM_VERDICT_WAIT)
		p->counters.misses += !ev->again;
}
