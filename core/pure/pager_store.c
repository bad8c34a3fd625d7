/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's store cells: write-back. See pager.h for how bytes are kept safe.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* --- cells: write-back ---------------------------------------------------------- */

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

void xm_pager_cell_free(struct xm_pager *p, uint32_t index)
{
	struct xm_cell *cell = &p->cells[index];

	XM_ASSERT(cell->state != CELL_FREE);
	if (cell->state == CELL_FAILED)
		p->cells_failed--;
	cell->state = CELL_FREE;
	cell->page = NOBODY;
	p->cells_used--;
}

/* The page's bytes are in this cell from now on. */
static void cell_fill(struct xm_pager *p, uint32_t index, uint64_t page,
		      bool writable, bool leave)
{
	struct xm_page *entry = &p->pages[page];
	struct xm_cell *cell = &p->cells[index];

	XM_ASSERT(entry->state == XM_PAGE_DIRTY);
	XM_ASSERT(!flagged(entry, FLAG_STORING));
	cell->page = page;
	cell->seq = p->seq;
	cell->state = CELL_FLYING;
	entry->slot = (uint16_t)index;
	entry->flags |= FLAG_STORING | FLAG_WRITTEN;
	if (!writable)
		entry->state = XM_PAGE_CLEAN;
	if (leave && XM_PLANTED(cell_forgotten)) {
		entry->flags &= (uint8_t)~FLAG_STORING;
		cell->page = NOBODY;
	}
}

uint32_t xm_pager_store_run(struct xm_pager *p, uint64_t page, uint32_t count,
			  bool leave, bool writable,
			  struct xm_pager_effects *fx)
{
	uint32_t first, taken = cells_take(p, count, &first);

	if (taken == 0) {
		note(p, XM_TRACE_PAGER_NO_CELL, page, 0, 0);
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
	xm_pager_emit(fx, XM_COPY, page, taken, cells_base(p) + first, false);
	if (!writable && XM_PLANTED(protect_after_copy))
		xm_pager_emit(fx, XM_PROTECT, page, taken, 0, false);
	xm_pager_emit(fx, XM_STORE, page, taken, cells_base(p) + first, false);
	p->seq++;
	for (uint32_t i = 0; i < taken; i++)
		cell_fill(p, first + i, page + i, writable, leave);
	return taken;
}

uint32_t xm_pager_store_scattered(struct xm_pager *p, const uint64_t *pages,
				  uint32_t count, struct xm_pager_effects *fx)
{
	uint32_t first, taken = cells_take(p, count, &first);

	if (taken == 0) {
		note(p, XM_TRACE_PAGER_NO_CELL, pages[0], 0, 0);
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
			      cells_base(p) + first + i, false);
		if (XM_PLANTED(protect_after_copy))
			xm_pager_emit(fx, XM_PROTECT, pages[i], 1, 0, false);
		cell_fill(p, first + i, pages[i], false, true);
	}
	xm_pager_emit(fx, XM_STORE, pages[0], taken, cells_base(p) + first,
		      false);
	fx->list[fx->count - 1].scattered = taken > 1;
	return taken;
}

uint64_t xm_pager_cell_page(const struct xm_pager *p, uint32_t cell)
{
	return p->cells[cell - cells_base(p)].page;
}

void xm_pager_on_stored(struct xm_pager *p, const struct xm_pager_event *ev)
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
			xm_pager_cell_free(p, i);
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
		xm_pager_cell_free(p, i);
	}
}

/* Posts failed stores again, neighbours together where they still are. */
void xm_pager_on_tick(struct xm_pager *p, struct xm_pager_effects *fx)
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
			xm_pager_emit(fx, XM_STORE, page, run, cells_base(p) + i,
			       false);
		}
		i += run > 0 ? run : 1;
	}
}
