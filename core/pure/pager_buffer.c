/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's fetch buffers: reads of remote pages, from the FETCH effect to the
 * installation of what has arrived.
 *
 * A buffer is window_max pages of the staging area and holds one run of pages.
 * FREE -> IN_FLIGHT -> ARRIVED -> FREE. A buffer that has arrived keeps its pages until
 * one of them is touched, or until another fetch needs the buffer. So reading ahead
 * takes no frame from pages that are in use.
 *
 * A run may lie over pages that are present (GAP_MAX). These stay as they are; the
 * buffer `owns` only pages that were absent when it was posted, and installs only
 * those, since what it holds of the others may be older.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* --- buffers ---------------------------------------------------------------------- */

uint32_t xm_pager_buffer_own(const struct xm_pager *p, uint32_t index,
			     uint64_t page, uint32_t count)
{
	uint32_t own = 0;

	for (uint32_t i = 0; i < count; i++)
		own += in_buffer(&p->pages[page + i], index);
	return own;
}

void xm_pager_buffer_clear(struct xm_pager *p, uint32_t index, bool wasted)
{
	struct xm_fetch_buffer *buffer = &p->fetch_buffers[index];

	for (uint32_t i = 0; i < buffer->count && buffer->own > 0; i++) {
		struct xm_page *entry = &p->pages[buffer->page + i];

		if (in_buffer(entry, index))
			entry->state = XM_PAGE_ABSENT;
	}
	/* A window that a thread waited for is in the ledger already: it was recorded
	 * when it was posted (xm_pager_stream_moved). */
	if (wasted && buffer->demand == 0)
		xm_pager_ledger_waste_buffer(p, buffer, buffer->own);
	buffer->state = FETCH_FREE;
	buffer->count = buffer->own = 0;
}

/* Chooses a buffer for a fetch and clears it; -1 when there is none. Takes a free one,
 * else the one that arrived first and that no thread waited for. A demand may take
 * even one that a thread waited for, since this thread may have ended. A stream that
 * reads ahead does not overwrite what was read ahead for itself. */
static int choose_buffer(struct xm_pager *p, bool demand, uint8_t stream)
{
	int best = -1;
	uint64_t best_rank = UINT64_MAX;

	for (uint32_t i = 0; i < p->options.fetch_buffers; i++) {
		const struct xm_fetch_buffer *buffer = &p->fetch_buffers[i];
		uint64_t rank;

		if (buffer->state == FETCH_IN_FLIGHT)
			continue;
		if (buffer->state == FETCH_FREE)
			return (int)i;
		if (!demand && (buffer->demand > 0 || buffer->stream == stream))
			continue;
		rank = buffer->used + (buffer->demand > 0 ? UINT64_MAX / 2 : 0);
		if (rank < best_rank) {
			best_rank = rank;
			best = (int)i;
		}
	}
	if (best >= 0)
		xm_pager_buffer_clear(p, (uint32_t)best, true);
	return best;
}

/* --- fetching ---------------------------------------------------------------------- */

bool xm_pager_fetchable(const struct xm_pager *p, uint64_t page)
{
	const struct xm_page *entry = &p->pages[page];

	if (XM_PLANTED(prefetch_races_store) &&
	    entry->state == XM_PAGE_ABSENT && flagged(entry, FLAG_STORING))
		return !flagged(entry, FLAG_LOST);
	return idle(entry) && flagged(entry, FLAG_WRITTEN) &&
	       !flagged(entry, FLAG_LOST | FLAG_NO_ACCESS);
}

bool xm_pager_fetch_run(struct xm_pager *p, uint64_t page, uint32_t count,
			uint16_t demand, const struct xm_stream *s,
			struct xm_pager_effects *fx)
{
	uint8_t stream = s != NULL ? (uint8_t)(s - p->streams)
				   : XM_PAGER_STREAMS;
	int index = choose_buffer(p, demand > 0, stream);
	struct xm_fetch_buffer *buffer;

	if (index < 0) {
		if (demand > 0)
			trace(p, XM_TRACE_PAGER_FETCH_FULL, page, 0, 0);
		return false;
	}
	trace(p, demand > 0 ? XM_TRACE_PAGER_FETCH : XM_TRACE_PAGER_PREFETCH,
	      page, (uint64_t)index, count);
	buffer = &p->fetch_buffers[index];
	buffer->page = page;
	buffer->count = (uint16_t)count;
	buffer->own = 0;
	buffer->state = FETCH_IN_FLIGHT;
	buffer->demand = demand;
	buffer->backward = s != NULL && s->step < 0;
	buffer->stream = stream;
	buffer->used = ++p->order;
	buffer->losses = p->losses;
	for (uint32_t i = 0; i < count; i++) {
		if (present(&p->pages[page + i]))
			continue;
		p->pages[page + i].state = XM_PAGE_FETCHING;
		p->pages[page + i].buffer = (uint16_t)index;
		buffer->own++;
	}
	xm_pager_emit(fx, XM_FETCH, page, count,
		      buffer_staging(p, (uint32_t)index), false);
	return true;
}

/* Was remote memory of its pages lost while the read was in flight? Then the bytes may
 * be anything, even zeros or another client's. */
static bool read_over_loss(const struct xm_pager *p, uint32_t index)
{
	const struct xm_fetch_buffer *buffer = &p->fetch_buffers[index];

	if (buffer->losses == p->losses)
		return false;
	for (uint32_t i = 0; i < buffer->count; i++) {
		const struct xm_page *entry = &p->pages[buffer->page + i];

		if (in_buffer(entry, index) && flagged(entry, FLAG_LOST))
			return true;
	}
	return false;
}

bool xm_pager_fetches(const struct xm_pager *p, uint32_t staging_index,
		      uint64_t page)
{
	return in_buffer(&p->pages[page],
			 staging_index / p->options.window_max);
}

void xm_pager_on_fetched(struct xm_pager *p, const struct xm_pager_event *ev)
{
	uint32_t index = ev->staging_index / p->options.window_max;
	struct xm_fetch_buffer *buffer;

	XM_ASSERT(index < p->options.fetch_buffers);
	buffer = &p->fetch_buffers[index];
	XM_ASSERT(buffer->state == FETCH_IN_FLIGHT);
	trace(p, ev->status == 0 && read_over_loss(p, index)
			 ? XM_TRACE_PAGER_FETCHED_LOST
			 : XM_TRACE_PAGER_FETCHED,
	      buffer->page, buffer->count, (uint64_t)(int64_t)ev->status);
	if (ev->status != 0 || read_over_loss(p, index)) {
		/* Nothing came: its pages are neither used nor wasted. */
		if (buffer->demand > 0)
			xm_pager_ledger_forget(p, buffer->page);
		xm_pager_buffer_clear(p, index, false);
		return;
	}
	buffer->state = FETCH_ARRIVED;
	p->counters.pages_read += buffer->count;
	p->counters.prefetched += buffer->own - buffer->demand;
}

/* --- installing -------------------------------------------------------------------- */

void xm_pager_become_present(struct xm_pager *p, uint64_t page, uint32_t count,
			     uint32_t staging_index, bool dirty,
			     struct xm_pager_effects *fx)
{
	if (count == 0)
		return;
	xm_pager_frames_alloc(p, page, count, dirty);
	if (staging_index == XM_STAGING_ZERO)
		trace(p, XM_TRACE_PAGER_ZERO, page, count, dirty);
	else if (staging_index < writeback_base(p))
		trace(p, XM_TRACE_PAGER_INSTALL, page, count, dirty);
	else
		trace(p, XM_TRACE_PAGER_RESCUE, page,
		      staging_index - writeback_base(p), dirty);
	xm_pager_emit(fx, XM_INSTALL, page, count, staging_index, !dirty);
	if (dirty && staging_index != XM_STAGING_ZERO)
		fx->list[fx->count - 1].print = xm_pager_prints_wanted(p, page, count);
}

/* A page that was deprived of its rights since stays in the remote memory. */
static bool installs(const struct xm_pager *p, uint32_t index, uint64_t page)
{
	return (in_buffer(&p->pages[page], index) &&
		!flagged(&p->pages[page], FLAG_NO_ACCESS)) ||
	       (XM_PLANTED(window_whole) && idle(&p->pages[page]));
}

/* `dirty`, but for pages that may not be stored to. */
static bool writable(const struct xm_pager *p, uint64_t page, uint64_t written,
		     bool dirty)
{
	return (dirty || page == written) &&
	       (!flagged(&p->pages[page], FLAG_CLOSED) ||
		XM_PLANTED(rights_window));
}

void xm_pager_buffer_install(struct xm_pager *p, uint32_t index, uint64_t first,
			     uint32_t count, uint64_t written, bool dirty,
			     struct xm_pager_effects *fx)
{
	struct xm_fetch_buffer *buffer = &p->fetch_buffers[index];
	uint64_t page = first, end = first + count;

	while (page < end) {
		/* What is installed by one effect is all writable, or all not. */
		bool open = writable(p, page, written, dirty);
		uint32_t run = 0;

		while (page + run < end && installs(p, index, page + run) &&
		       open == writable(p, page + run, written, dirty))
			run++;
		xm_pager_become_present(p, page, run,
					buffer_staging(p, index) +
						(uint32_t)(page - buffer->page),
					open, fx);
		buffer->own -= (uint16_t)xm_min(run, buffer->own);
		page += run > 0 ? run : 1;
	}
}

void xm_pager_buffer_install_all(struct xm_pager *p, uint32_t index,
				 struct xm_pager_effects *fx)
{
	const struct xm_fetch_buffer *buffer = &p->fetch_buffers[index];

	XM_ASSERT(buffer->state == FETCH_ARRIVED &&
		  buffer->own <= frames_unused(p));
	xm_pager_buffer_install(p, index, buffer->page, buffer->count, NOBODY,
				xm_pager_write_predicted(p, buffer->page), fx);
	xm_pager_buffer_clear(p, index, false);
}
