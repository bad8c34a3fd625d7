/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's fetch slots and streams: reads, and reading ahead. See pager.h.
 *
 * Floor: ground.
 */
#include "pager_parts.h"

/* --- slots: fetching ---------------------------------------------------------------- */

void xm_pager_slot_clear(struct xm_pager *p, uint32_t index, bool wasted)
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
		xm_pager_slot_clear(p, (uint32_t)best, true);
	return best;
}

bool xm_pager_fetchable(const struct xm_pager *p, uint64_t page)
{
	const struct xm_page *entry = &p->pages[page];

	if (XM_PLANTED(prefetch_races_store) &&
	    entry->state == XM_PAGE_ABSENT && flagged(entry, FLAG_STORING))
		return !flagged(entry, FLAG_LOST);
	return idle(entry) && flagged(entry, FLAG_WRITTEN) &&
	       !flagged(entry, FLAG_LOST);
}

bool xm_pager_fetch_run(struct xm_pager *p, uint64_t page, uint32_t count,
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
	xm_pager_emit(fx, XM_FETCH, page, count, slot_cell(p, (uint32_t)index),
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

void xm_pager_on_fetched(struct xm_pager *p, const struct xm_pager_event *ev)
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
		xm_pager_slot_clear(p, index, false);
		return;
	}
	slot->state = SLOT_ARRIVED;
	p->counters.pages_read += slot->count;
	p->counters.prefetched += slot->count - slot->demand;
}

/* --- streams: reading ahead ------------------------------------------------------------ */

/* The stream that a miss of [page, page + count) continues, advanced; or the
 * oldest one, begun anew at `page`. */
struct xm_stream *xm_pager_stream_at(struct xm_pager *p, uint64_t page,
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

void xm_pager_stream_moved(struct xm_stream *s, uint64_t page, uint32_t count)
{
	s->first = page;
	s->next = s->step > 0 ? page + count : page - 1;
}

/* Neighbours of `page`, itself included, in the stream's direction, for which
 * `want` holds; *ret_page is the lowest. */
uint32_t xm_pager_stream_run(const struct xm_pager *p,
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
void xm_pager_stream_ahead(struct xm_pager *p, const struct xm_stream *s,
			 const struct xm_pager_event *ev,
			 struct xm_pager_effects *fx)
{
	uint64_t page;
	uint32_t run;

	if (s->window < 4 || ev->reach != XM_REACH_UP)
		return;
	if (s->next < ev->floor || s->next >= ev->limit ||
	    !xm_pager_fetchable(p, s->next))
		return;
	run = xm_pager_stream_run(p, s, s->next, ev, xm_pager_fetchable, &page);
	xm_pager_fetch_run(p, page, run, 0, s->step < 0, fx);
}
