/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's write-back buffers: the bytes of a dirty page between the moment at
 * which its frame may be reused and the acknowledgement of its store. pager.h says
 * how bytes are kept safe.
 *
 * A buffer is one page of the staging area. FREE -> IN_FLIGHT -> FREE when the
 * store is acknowledged, or -> FAILED when it is not; XM_PAGER_TICK posts failed
 * stores again, without a limit. A buffer whose page was lost or forgotten while
 * the store was in flight has no page (NOBODY) and is freed when the store ends.
 *
 * Buffers are allocated next-fit, so that a run of dirty pages gets adjacent
 * buffers, which one write can send.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* --- buffers ---------------------------------------------------------------------- */

/* Allocates a run of 1 to `want` free buffers. Returns its length, or 0 when no
 * buffer is free. */
static uint32_t writeback_alloc(struct xm_pager *p, uint32_t want,
				uint32_t *ret_first)
{
	uint32_t i = p->writeback_cursor;

	if (p->writeback_used == p->options.writeback_buffers)
		return 0;
	for (uint32_t seen = 0; seen <= p->options.writeback_buffers; seen++, i++) {
		uint32_t run = 0;

		if (i >= p->options.writeback_buffers)
			i = 0;
		while (run < want && i + run < p->options.writeback_buffers &&
		       p->writeback_buffers[i + run].state == WRITEBACK_FREE)
			run++;
		if (run > 0) {
			*ret_first = i;
			p->writeback_cursor = i + run;
			p->writeback_used += run;
			return run;
		}
	}
	return 0;
}

void xm_pager_writeback_free(struct xm_pager *p, uint32_t index)
{
	struct xm_writeback_buffer *buffer = &p->writeback_buffers[index];

	XM_ASSERT(buffer->state != WRITEBACK_FREE);
	if (buffer->state == WRITEBACK_FAILED)
		p->writeback_failed--;
	buffer->state = WRITEBACK_FREE;
	buffer->page = NOBODY;
	p->writeback_used--;
}

/* From now on the buffer holds the bytes of the page. Returns whether they are to be compared
 * with its fingerprint. */
static bool writeback_fill(struct xm_pager *p, uint32_t index, uint64_t page,
			   enum store_purpose purpose)
{
	struct xm_page *entry = &p->pages[page];
	struct xm_writeback_buffer *buffer = &p->writeback_buffers[index];

	XM_ASSERT(entry->state == XM_PAGE_DIRTY);
	XM_ASSERT(!flagged(entry, FLAG_STORING));
	buffer->page = page;
	buffer->seq = p->seq;
	buffer->state = WRITEBACK_IN_FLIGHT;
	entry->buffer = (uint16_t)index;
	xm_pager_print_leaves(p, page, buffer, purpose);
	flag_set(entry, FLAG_STORING | FLAG_WRITTEN | FLAG_UNDURABLE);
	if (purpose != STORE_PINNED)
		entry->state = XM_PAGE_CLEAN;
	if (purpose == STORE_EVICT && XM_PLANTED(writeback_forgotten)) {
		flag_clear(entry, FLAG_STORING);
		buffer->page = NOBODY;
		buffer->printed = false;
	}
	return buffer->printed;
}

uint64_t xm_pager_staged_page(const struct xm_pager *p, uint32_t staging_index)
{
	return p->writeback_buffers[staging_index - writeback_base(p)].page;
}

/* --- stores --------------------------------------------------------------------- */

/* Emits PROTECT and COPY for a run of pages, in this order: a copy taken before
 * the protection could miss a store. Planted bugs of the order are all here. */
static void emit_copy(struct xm_pager *p, uint64_t page, uint32_t count,
		      uint32_t index, enum store_purpose purpose, bool compare,
		      struct xm_pager_effects *fx)
{
	uint32_t staging_index = writeback_base(p) + index;
	bool protect = purpose != STORE_PINNED;
	bool late = protect && XM_PLANTED(protect_after_copy);
	bool never = purpose == STORE_EVICT && XM_PLANTED(evict_unprotected);

	if (purpose == STORE_EVICT && XM_PLANTED(drop_before_copy))
		xm_pager_emit(fx, XM_DROP, page, count, 0, false);
	if (!protect) {
		trace(p, XM_TRACE_PAGER_STORE_OPEN, page, 0, 0);
	} else if (!late && !never) {
		trace(p, XM_TRACE_PAGER_PROTECT, page, count, 0);
		xm_pager_emit(fx, XM_PROTECT, page, count, 0, false);
	}
	trace(p, XM_TRACE_PAGER_STORE, page, index, count);
	xm_pager_emit(fx, XM_COPY, page, count, staging_index, false);
	fx->list[fx->count - 1].compare = compare;
	if (late)
		xm_pager_emit(fx, XM_PROTECT, page, count, 0, false);
}

uint32_t xm_pager_store_run(struct xm_pager *p, uint64_t page, uint32_t count,
			    enum store_purpose purpose,
			    struct xm_pager_effects *fx)
{
	uint32_t first, taken = writeback_alloc(p, count, &first);
	bool compare = false;

	if (taken == 0) {
		trace(p, XM_TRACE_PAGER_WRITEBACK_FULL, page, 0, 0);
		return 0;
	}
	p->seq++;
	for (uint32_t i = 0; i < taken; i++)
		compare |= writeback_fill(p, first + i, page + i, purpose);
	emit_copy(p, page, taken, first, purpose, compare, fx);
	xm_pager_emit(fx, XM_STORE, page, taken, writeback_base(p) + first,
		      false);
	fx->list[fx->count - 1].compare = compare;
	return taken;
}

uint32_t xm_pager_store_scattered(struct xm_pager *p, const uint64_t *pages,
				  uint32_t count, struct xm_pager_effects *fx)
{
	uint32_t first, taken = writeback_alloc(p, count, &first);
	bool compare = false;

	if (taken == 0) {
		trace(p, XM_TRACE_PAGER_WRITEBACK_FULL, pages[0], 0, 0);
		return 0;
	}
	p->seq++;
	for (uint32_t i = 0; i < taken; i++) {
		bool printed = writeback_fill(p, first + i, pages[i],
					      STORE_EVICT);

		emit_copy(p, pages[i], 1, first + i, STORE_EVICT, printed, fx);
		compare |= printed;
	}
	xm_pager_emit(fx, XM_STORE, pages[0], taken, writeback_base(p) + first,
		      false);
	fx->list[fx->count - 1].scattered = taken > 1;
	fx->list[fx->count - 1].compare = compare;
	return taken;
}

/* --- events --------------------------------------------------------------------- */

static void store_ended(struct xm_pager *p, uint32_t index, int status,
			bool stale)
{
	struct xm_writeback_buffer *buffer = &p->writeback_buffers[index];

	if (buffer->page == NOBODY) {
		trace(p, XM_TRACE_PAGER_STORED_LOST, (uint64_t)(int64_t)status, 0,
		      0);
		xm_pager_writeback_free(p, index);
		return;
	}
	XM_ASSERT(buffer->state == WRITEBACK_IN_FLIGHT);
	trace(p, XM_TRACE_PAGER_STORED, buffer->page, (uint64_t)(int64_t)status, 0);
	if (status != 0 && !XM_PLANTED(failed_store_forgotten)) {
		buffer->state = WRITEBACK_FAILED;
		p->writeback_failed++;
		return;
	}
	flag_clear(&p->pages[buffer->page], FLAG_STORING | FLAG_STALE);
	if (stale)
		flag_set(&p->pages[buffer->page], FLAG_STALE);
	p->counters.pages_written++;
	xm_pager_writeback_free(p, index);
}

void xm_pager_on_stored(struct xm_pager *p, const struct xm_pager_event *ev)
{
	uint32_t first = ev->staging_index - writeback_base(p);

	XM_ASSERT(ev->staging_index >= writeback_base(p));
	XM_ASSERT(first + ev->count <= p->options.writeback_buffers);
	for (uint32_t i = 0; i < ev->count; i++)
		store_ended(p, first + i, ev->status, ev->stale);
}

/* Posts failed stores again, neighbours by one write where they still are. */
void xm_pager_on_tick(struct xm_pager *p, struct xm_pager_effects *fx)
{
	for (uint32_t i = 0; i < p->options.writeback_buffers &&
			     p->writeback_failed > 0 &&
			     fx->count < XM_PAGER_EFFECTS / 2;) {
		struct xm_writeback_buffer *buffers = &p->writeback_buffers[i];
		uint64_t page = buffers->page;
		uint32_t run = 0;

		while (run < XM_PAGER_BATCH &&
		       i + run < p->options.writeback_buffers &&
		       buffers[run].state == WRITEBACK_FAILED &&
		       buffers[run].page == page + run) {
			buffers[run].state = WRITEBACK_IN_FLIGHT;
			p->writeback_failed--;
			run++;
		}
		if (run > 0) {
			trace(p, XM_TRACE_PAGER_RETRY, page, i, run);
			xm_pager_emit(fx, XM_STORE, page, run,
				      writeback_base(p) + i, false);
		}
		i += run > 0 ? run : 1;
	}
}
