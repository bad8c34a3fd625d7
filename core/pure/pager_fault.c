/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's answer to a fault, by what the page is. See pager.h.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* --- write prediction ------------------------------------------------------------------ */

/* A block is 256 pages; blocks share counters by their number. A counter goes
 * from 0 to 15, and from 8 on says "written". */
#define PREDICTION_SHIFT 8
#define PREDICTION_TOP 15
#define PREDICTION_STEP 2
/* One in so many is installed for reading all the same, to see. */
#define PREDICTION_PROBE 8

void xm_pager_learn_write(struct xm_pager *p, uint64_t page, bool written)
{
	uint8_t *f = &p->write_predictions[(page >> PREDICTION_SHIFT) %
				   XM_PAGER_PREDICTIONS];

	if (written)
		*f = (uint8_t)xm_min(*f + PREDICTION_STEP, PREDICTION_TOP);
	else
		*f -= (uint8_t)xm_min(*f, PREDICTION_STEP);
}

static bool write_predicted(struct xm_pager *p, uint64_t page)
{
	return p->write_predictions[(page >> PREDICTION_SHIFT) % XM_PAGER_PREDICTIONS] >
		       PREDICTION_TOP / 2 &&
	       ++p->predictions % PREDICTION_PROBE != 0;
}

/* --- faults ------------------------------------------------------------------------------ */

static void become_present(struct xm_pager *p, uint64_t page, uint32_t count,
			   uint32_t staging_index, bool dirty,
			   struct xm_pager_effects *fx)
{
	if (count == 0)
		return;
	for (uint32_t i = 0; i < count; i++) {
		xm_pager_frame_take(p, page + i);
		p->pages[page + i].state = dirty ? XM_PAGE_DIRTY
						 : XM_PAGE_CLEAN;
	}
	if (staging_index == XM_STAGING_ZERO)
		note(p, XM_TRACE_PAGER_ZERO, page, count, dirty);
	else if (staging_index < writeback_base(p))
		note(p, XM_TRACE_PAGER_INSTALL, page, count, dirty);
	else
		note(p, XM_TRACE_PAGER_RESCUE, page, staging_index - writeback_base(p),
		     dirty);
	xm_pager_emit(fx, XM_INSTALL, page, count, staging_index, !dirty);
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

		if (s->used == 0 || s->window < 4 || s->step != 1 ||
		    page <= s->first || page >= s->next ||
		    p->pages[page - 1].state != XM_PAGE_DIRTY)
			continue;
		while (run < XM_PAGER_WINDOW_MAX && page + run < s->next &&
		       page + run < ev->limit &&
		       p->pages[page + run].state == XM_PAGE_CLEAN)
			run++;
		break;
	}
	for (uint32_t i = 0; i < run; i++) {
		p->pages[page + i].state = XM_PAGE_DIRTY;
		xm_pager_learn_write(p, page + i, true);
	}
	flag_set(&p->pages[page], FLAG_RECENT);
	note(p, XM_TRACE_PAGER_OPEN, page, run, 0);
	xm_pager_emit(fx, XM_UNPROTECT, page, run, 0, false);
	fx->verdict = XM_VERDICT_DONE;
}

bool xm_pager_fresh(const struct xm_pager *p, uint64_t page)
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
		struct xm_stream *s = xm_pager_stream_at(p, page, 1, page);

		run = xm_pager_stream_run(p, s, page, ev, xm_pager_fresh, 0,
					  &first);
		xm_pager_make_room(p, run, fx);
		if (frames_free(p) < run) {
			first = page;
			run = 1;
		}
		xm_pager_stream_moved(p, s, first, run, 0, ev);
	} else {
		xm_pager_make_room(p, 1, fx);
	}
	if (frames_free(p) < run) {
		note(p, XM_TRACE_PAGER_NO_FRAME, page, 0, 0);
		return;
	}
	p->counters.zero_fills += run;
	become_present(p, first, run, XM_STAGING_ZERO, ev->write, fx);
	fx->verdict = XM_VERDICT_DONE;
}

/* The page left, but its bytes are still in a write-back buffer. */
static void fault_from_writeback(struct xm_pager *p, uint64_t page,
			    const struct xm_pager_event *ev,
			    struct xm_pager_effects *fx)
{
	xm_pager_make_room(p, 1, fx);
	if (frames_free(p) < 1) {
		note(p, XM_TRACE_PAGER_NO_FRAME, page, 0, 0);
		return;
	}
	p->counters.rescued++;
	become_present(p, page, 1, writeback_base(p) + p->pages[page].buffer,
		       ev->write || write_predicted(p, page), fx);
	flag_set(&p->pages[page], FLAG_RECENT);
	fx->verdict = XM_VERDICT_DONE;
}

/* Pages of this window, touched now for the first time, that lie before the
 * page touched: they would have been asked for. */
static uint32_t passed_by(const struct xm_pager *p, const struct xm_fetch_buffer *buffer,
			  uint64_t page)
{
	uint32_t index = p->pages[page].buffer, passed;

	passed = buffer->backward
			 ? xm_pager_buffer_own(p, index, page + 1,
					     (uint32_t)(buffer->page +
							buffer->count - 1 - page))
			 : xm_pager_buffer_own(p, index, buffer->page,
					     (uint32_t)(page - buffer->page));
	return (uint32_t)xm_min(passed, buffer->own - 1U);
}

/* Who reads ahead goes on, once what was read is used. NULL: nobody did. */
static struct xm_stream *stream_goes_on(struct xm_pager *p,
					const struct xm_fetch_buffer *buffer,
					const struct xm_pager_event *ev,
					struct xm_pager_effects *fx)
{
	struct xm_stream *s;
	uint32_t passed = 0;

	/* A demanded window was accounted for when it was posted. */
	if (buffer->demand > 0)
		return NULL;
	xm_pager_credit(p, 1);
	/* Read before the program said that it would not be of use. */
	if (flagged(&p->pages[ev->page], FLAG_RANDOM))
		return NULL;
	s = xm_pager_stream_at(p, buffer->page, buffer->count, ev->page);
	/* Its own has been forgotten, and this one begins. */
	if (s->window == 1 || (buffer->count > 1 && s->step != 1 && s->step != -1)) {
		s->step = buffer->backward ? -1 : 1;
		s->window = 1;
	}
	/* What the program asked for is no part of the account. */
	if (buffer->stream < XM_PAGER_STREAMS)
		passed = passed_by(p, buffer, ev->page);
	xm_pager_stream_passed(p, s, passed);
	xm_pager_stream_moved(p, s, buffer->page, buffer->count,
			      buffer->stream < XM_PAGER_STREAMS
				      ? buffer->own - 1U - passed : 0, ev);
	xm_pager_stream_ahead(p, s, ev, fx);
	return s;
}

/* Does the fetch buffer bring this page? What was here when it was posted, and has left
 * since, is not its to bring: what came is older. */
static bool brings(const struct xm_pager *p, uint32_t index, uint64_t page)
{
	return in_buffer(&p->pages[page], index) ||
	       (XM_PLANTED(window_whole) && idle(&p->pages[page]));
}

/* What the fetch buffer brings of [first, +count); all of it ready to be written, or at
 * most the page that is known to be. */
static void install(struct xm_pager *p, uint32_t index, uint64_t first,
		    uint32_t count, const struct xm_pager_event *ev, bool dirty,
		    struct xm_pager_effects *fx)
{
	uint32_t staging_index = buffer_staging(p, index) +
			(uint32_t)(first - p->fetch_buffers[index].page);

	for (uint32_t i = 0; i < count;) {
		bool written = dirty || (ev->write && first + i == ev->page);
		uint32_t run = 0;

		while (i + run < count &&
		       brings(p, index, first + i + run) &&
		       written == (dirty || (ev->write &&
					     first + i + run == ev->page)))
			run++;
		become_present(p, first + i, run, staging_index + i, written, fx);
		i += run > 0 ? run : 1;
	}
}

void xm_pager_buffer_install(struct xm_pager *p, uint32_t index,
			   struct xm_pager_effects *fx)
{
	static const struct xm_pager_event nobodys;
	const struct xm_fetch_buffer *buffer = &p->fetch_buffers[index];

	XM_ASSERT(buffer->state == FETCH_ARRIVED && buffer->own <= frames_free(p));
	install(p, index, buffer->page, buffer->count, &nobodys,
		write_predicted(p, buffer->page), fx);
	xm_pager_buffer_clear(p, index, false);
}

/* Installs the part of an arrived window that frames can be had for; where
 * touches are said to be random, the page alone. */
static void fault_from_fetch(struct xm_pager *p, uint64_t page,
			    const struct xm_pager_event *ev,
			    struct xm_pager_effects *fx)
{
	uint32_t index = p->pages[page].buffer;
	struct xm_fetch_buffer buffer = p->fetch_buffers[index];
	uint64_t first = buffer.page;
	uint32_t count = buffer.count, own = buffer.own;
	bool alone = flagged(&p->pages[page], FLAG_RANDOM);
	const struct xm_stream *s;
	bool rest;

	if (alone) {
		first = page;
		count = own = 1;
	}
	xm_pager_make_room(p, own, fx);
	if (frames_free(p) == 0) {
		note(p, XM_TRACE_PAGER_NO_FRAME, page, 0, 0);
		return;
	}
	if (frames_free(p) < own && !XM_PLANTED(budget_exceeded)) {
		count = frames_free(p);
		note(p, XM_TRACE_PAGER_PART, page, count, buffer.count);
		first = page + count <= buffer.page + buffer.count
				? page : buffer.page + buffer.count - count;
		own = xm_pager_buffer_own(p, index, first, count);
		if (buffer.demand == 0)
			xm_pager_wasted(p, &buffer, buffer.own - own);
		buffer.own = (uint16_t)own;
	}
	/* The read ahead is posted before this window is installed, and must
	 * not be posted over it: neither these pages nor this fetch buffer. */
	p->fetch_buffers[index].state = FETCH_IN_FLIGHT;
	s = stream_goes_on(p, &buffer, ev, fx);
	/* A stream of stores has its window at once, ready to be written. */
	rest = (ev->write && s != NULL && s->window >= 4) ||
	       write_predicted(p, page);
	install(p, index, first, count, ev, rest, fx);
	if (alone && buffer.own > 1) {
		p->fetch_buffers[index].own--;
		p->fetch_buffers[index].state = FETCH_ARRIVED;
	} else {
		xm_pager_buffer_clear(p, index, false);
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
		s = xm_pager_stream_at(p, page, 1, page);
		if (flagged(&p->pages[page], FLAG_SEQUENTIAL))
			s->window = p->options.window_max;
		run = xm_pager_stream_run(p, s, page, ev, xm_pager_fetchable,
					  GAP_MAX, &first);
	}
	if (!xm_pager_fetch_run(p, first, run, 1, s, fx)) {
		if (s != NULL)
			s->next = page; /* it was not served: ask again */
		return;
	}
	xm_pager_credit(p, 1);
	if (s != NULL) {
		xm_pager_stream_moved(p, s, first, run,
				      xm_pager_buffer_own(p, p->pages[page].buffer,
							first, run) - 1, ev);
		xm_pager_stream_ahead(p, s, ev, fx);
	}
	xm_pager_make_room(p, run, fx);
}

void xm_pager_on_fault(struct xm_pager *p, const struct xm_pager_event *ev,
		     struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	struct xm_page *entry = &p->pages[page];
	struct xm_fetch_buffer *buffer;

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
	case XM_PAGE_IO_LOCKED:
		note_wait(p, XM_TRACE_PAGER_HELD, page);
		return;
	case XM_PAGE_FETCHING:
		buffer = &p->fetch_buffers[entry->buffer];
		if (buffer->state == FETCH_ARRIVED) {
			fault_from_fetch(p, page, ev, fx);
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
		xm_pager_poison(p, page, fx);
		fx->verdict = XM_VERDICT_LOST;
	} else if (!flagged(entry, FLAG_WRITTEN)) {
		/* Discarded while a store flew: that one must land first. */
		if (!flagged(entry, FLAG_STORING))
			fault_fresh(p, page, ev, fx);
		else
			note_wait(p, XM_TRACE_PAGER_AFTER_STORE, page);
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
	if (fx->verdict == XM_VERDICT_WAIT && ev->reach == XM_REACH_LOST)
		fx->verdict = XM_VERDICT_LOST;
	/* A miss is a fault that had to wait, however often it is sent. */
	if (fx->verdict == XM_VERDICT_WAIT)
		p->counters.misses += !ev->again;
}
