/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's write-back buffers: write-back. See pager.h for how bytes are kept safe.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* --- write-back buffers: write-back ---------------------------------------------------------- */

/* A run of up to `want` free write-back buffers, next-fit; 0 when there is none. */
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

/* The page's bytes are in this write-back buffer from now on. */
static void writeback_fill(struct xm_pager *p, uint32_t index, uint64_t page,
		      bool writable, bool leave)
{
	struct xm_page *entry = &p->pages[page];
	struct xm_writeback_buffer *buffer = &p->writeback_buffers[index];

	XM_ASSERT(entry->state == XM_PAGE_DIRTY);
	XM_ASSERT(!flagged(entry, FLAG_STORING));
	buffer->page = page;
	buffer->seq = p->seq;
	buffer->state = WRITEBACK_IN_FLIGHT;
	entry->buffer = (uint16_t)index;
	flag_set(entry, FLAG_STORING | FLAG_WRITTEN);
	if (!writable)
		entry->state = XM_PAGE_CLEAN;
	if (leave && XM_PLANTED(writeback_forgotten)) {
		flag_clear(entry, FLAG_STORING);
		buffer->page = NOBODY;
	}
}

uint32_t xm_pager_store_run(struct xm_pager *p, uint64_t page, uint32_t count,
			  bool leave, bool writable,
			  struct xm_pager_effects *fx)
{
	uint32_t first, taken = writeback_alloc(p, count, &first);

	if (taken == 0) {
		note(p, XM_TRACE_PAGER_WRITEBACK_FULL, page, 0, 0);
		return 0;
	}
	if (leave && XM_PLANTED(drop_before_copy))
		xm_pager_emit(fx, XM_DROP, page, taken, 0, false);
	if (!writable && ((leave && XM_PLANTED(evict_unprotected)) ||
			  XM_PLANTED(protect_after_copy))) {
		; /* not yet, or never */
	} else if (!writable) {
		note(p, XM_TRACE_PAGER_PROTECT, page, taken, 0);
		xm_pager_emit(fx, XM_PROTECT, page, taken, 0, false);
	} else {
		note(p, XM_TRACE_PAGER_STORE_OPEN, page, 0, 0);
	}
	note(p, XM_TRACE_PAGER_STORE, page, first, taken);
	xm_pager_emit(fx, XM_COPY, page, taken, writeback_base(p) + first, false);
	if (!writable && XM_PLANTED(protect_after_copy))
		xm_pager_emit(fx, XM_PROTECT, page, taken, 0, false);
	xm_pager_emit(fx, XM_STORE, page, taken, writeback_base(p) + first, false);
	p->seq++;
	for (uint32_t i = 0; i < taken; i++)
		writeback_fill(p, first + i, page + i, writable, leave);
	return taken;
}

uint32_t xm_pager_store_scattered(struct xm_pager *p, const uint64_t *pages,
				  uint32_t count, struct xm_pager_effects *fx)
{
	uint32_t first, taken = writeback_alloc(p, count, &first);

	if (taken == 0) {
		note(p, XM_TRACE_PAGER_WRITEBACK_FULL, pages[0], 0, 0);
		return 0;
	}
	p->seq++;
	for (uint32_t i = 0; i < taken; i++) {
		if (XM_PLANTED(drop_before_copy))
			xm_pager_emit(fx, XM_DROP, pages[i], 1, 0, false);
		if (!XM_PLANTED(evict_unprotected) &&
		    !XM_PLANTED(protect_after_copy)) {
			note(p, XM_TRACE_PAGER_PROTECT, pages[i], 1, 0);
			xm_pager_emit(fx, XM_PROTECT, pages[i], 1, 0, false);
		}
		note(p, XM_TRACE_PAGER_STORE, pages[i], first + i, 1);
		xm_pager_emit(fx, XM_COPY, pages[i], 1,
			      writeback_base(p) + first + i, false);
		if (XM_PLANTED(protect_after_copy))
			xm_pager_emit(fx, XM_PROTECT, pages[i], 1, 0, false);
		writeback_fill(p, first + i, pages[i], false, true);
	}
	xm_pager_emit(fx, XM_STORE, pages[0], taken, writeback_base(p) + first,
		      false);
	fx->list[fx->count - 1].scattered = taken > 1;
	return taken;
}

uint64_t xm_pager_staged_page(const struct xm_pager *p, uint32_t staging_index)
{
	return p->writeback_buffers[staging_index - writeback_base(p)].page;
}

void xm_pager_on_stored(struct xm_pager *p, const struct xm_pager_event *ev)
{
	uint32_t first = ev->staging_index - writeback_base(p);

	XM_ASSERT(ev->staging_index >= writeback_base(p));
	XM_ASSERT(first + ev->count <= p->options.writeback_buffers);
	for (uint32_t i = first; i < first + ev->count; i++) {
		struct xm_writeback_buffer *buffer = &p->writeback_buffers[i];

		/* The region was lost or forgotten while this store flew. */
		if (buffer->page == NOBODY) {
			note(p, XM_TRACE_PAGER_STORED_LOST,
			     (uint64_t)(int64_t)ev->status, 0, 0);
			xm_pager_writeback_free(p, i);
			continue;
		}
		XM_ASSERT(buffer->state == WRITEBACK_IN_FLIGHT);
		note(p, XM_TRACE_PAGER_STORED, buffer->page,
		     (uint64_t)(int64_t)ev->status, 0);
		if (ev->status != 0 && !XM_PLANTED(failed_store_forgotten)) {
			buffer->state = WRITEBACK_FAILED;
			p->writeback_failed++;
			continue;
		}
		flag_clear(&p->pages[buffer->page], FLAG_STORING);
		p->counters.pages_written++;
		xm_pager_writeback_free(p, i);
	}
}

/* Posts failed stores again, neighbours together where they still are. */
void xm_pager_on_tick(struct xm_pager *p, struct xm_pager_effects *fx)
{
	for (uint32_t i = 0; i < p->options.writeback_buffers && p->writeback_failed > 0 &&
			     fx->count < XM_PAGER_EFFECTS / 2;) {
		uint64_t page = p->writeback_buffers[i].page;
		uint32_t run = 0;

		while (run < XM_PAGER_BATCH && i + run < p->options.writeback_buffers &&
		       p->writeback_buffers[i + run].state == WRITEBACK_FAILED &&
		       p->writeback_buffers[i + run].page == page + run) {
			p->writeback_buffers[i + run].state = WRITEBACK_IN_FLIGHT;
			p->writeback_failed--;
			run++;
		}
		if (run > 0) {
			note(p, XM_TRACE_PAGER_RETRY, page, i, run);
			xm_pager_emit(fx, XM_STORE, page, run, writeback_base(p) + i,
			       false);
		}
		i += run > 0 ? run : 1;
	}
}
