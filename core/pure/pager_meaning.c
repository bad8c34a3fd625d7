/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's changes of meaning: what the bytes of a page are worth from now on.
 *
 *	DISCARD		not needed any more: the page reads as zero
 *	MARK_BACKED	the remote memory has its contents, written by someone else
 *	REFRESH		it has changed there, by somebody else: what is here is dropped
 *	FORGET		the page number is for other memory from now on: entry all zero
 *	LOST		the remote memory is gone for good
 *	REFUSED		the mapper could not install it
 *
 * DISCARD, REFRESH and FORGET wait for a fetch in flight, and FORGET for a store in flight:
 * bytes that arrive late must not meet the new meaning. LOST waits for nothing. Pages
 * that are present stay readable after it; an absent one is poisoned when it is
 * touched, a present one when its frame is needed.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

#include <string.h>

bool xm_pager_fresh(const struct xm_pager *p, uint64_t page)
{
	const struct xm_page *entry = &p->pages[page];

	return idle(entry) && !flagged(entry, FLAG_WRITTEN) &&
	       !flagged(entry, FLAG_LOST);
}

uint64_t xm_pager_alike(const struct xm_pager *p, uint64_t page, uint64_t limit,
			bool *ret_fresh)
{
	bool fresh = page < limit && xm_pager_fresh(p, page);

	while (page < limit && xm_pager_fresh(p, page) == fresh)
		page++;
	*ret_fresh = fresh;
	return page;
}

void xm_pager_poison(struct xm_pager *p, uint64_t page,
		     struct xm_pager_effects *fx)
{
	p->pages[page].state = XM_PAGE_POISONED;
	p->counters.pages_lost++;
	trace(p, XM_TRACE_PAGER_POISON, page, 0, 0);
	xm_pager_emit(fx, XM_POISON, page, 1, 0, false);
}

/* Drops the page, and what was fetched of it. Returns false while a fetch is in
 * flight, or explicit I/O has locked the page: the caller waits. */
static bool make_absent(struct xm_pager *p, uint64_t page,
			struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[page];

	/* Pinned pages are dropped too: discarding memory that a system call uses
	 * is a mistake of the program's, and the call returns EFAULT. */
	if (present(entry))
		xm_pager_drop_run(p, page, 1, fx);
	if (entry->state == XM_PAGE_FETCHING &&
	    !XM_PLANTED(discard_races_fetch)) {
		if (p->fetch_buffers[entry->buffer].state == FETCH_IN_FLIGHT) {
			trace_wait(p, XM_TRACE_PAGER_AFTER_FETCH, page);
			return false;
		}
		xm_pager_buffer_clear(p, entry->buffer, true);
	}
	if (xm_pager_torn(entry))
		xm_pager_untear(p, page);
	return entry->state != XM_PAGE_IO_LOCKED;
}

/* The following return false when a completion must be waited for. */
static bool discard_page(struct xm_pager *p, uint64_t page,
			 struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[page];

	if (entry->state == XM_PAGE_POISONED)
		return true;
	if (flagged(entry, FLAG_FROZEN) ||
	    (entry->state == XM_PAGE_IO_LOCKED && entry->buffer == LOCK_CLONE)) {
		xm_pager_wants(p, page);
		return false;
	}
	if (entry->state == XM_PAGE_CLEAN && XM_PLANTED(discard_keeps_clean))
		return true;
	if (!make_absent(p, page, fx))
		return false;
	if (flagged(entry, FLAG_WRITTEN))
		flag_set(entry, FLAG_UNDURABLE);
	flag_clear(entry, FLAG_WRITTEN | FLAG_STALE);
	entry->frame = 0; /* when it was evicted tells nothing about new contents */
	return true;
}

/* Its rights stay, and what is known of its contents there. What this client has stored to it
 * itself is newer than what another can have. */
static bool refresh_page(struct xm_pager *p, uint64_t page,
			 struct xm_pager_effects *fx)
{
	const struct xm_page *entry = &p->pages[page];

	return entry->state == XM_PAGE_POISONED || entry->state == XM_PAGE_DIRTY ||
	       flagged(entry, FLAG_STORING) || make_absent(p, page, fx);
}

static bool forget_page(struct xm_pager *p, uint64_t page,
			struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[page];

	/* This is asked before the page is dropped: if it has to wait it must keep its
	 * bytes, which may be newer than those of the store in flight. */
	if (flagged(entry, FLAG_STORING) && !XM_PLANTED(forget_flying) &&
	    p->writeback_buffers[entry->buffer].state == WRITEBACK_IN_FLIGHT) {
		trace_wait(p, XM_TRACE_PAGER_AFTER_STORE, page);
		return false;
	}
	if (!make_absent(p, page, fx))
		return false;
	if (flagged(entry, FLAG_STORING))
		xm_pager_writeback_free(p, entry->buffer);
	memset(entry, 0, sizeof(*entry));
	return true;
}

static void lose_page(struct xm_pager *p, uint64_t page)
{
	struct xm_page *entry = &p->pages[page];

	if (xm_pager_torn(entry))
		xm_pager_untear(p, page);
	flag_set(entry, FLAG_LOST);
	p->losses++;
	if (!flagged(entry, FLAG_STORING))
		return;
	trace(p, XM_TRACE_PAGER_LOSE_STORE, page, 0, 0);
	/* A failed store is given up; one in flight ends without its page. */
	if (p->writeback_buffers[entry->buffer].state == WRITEBACK_FAILED)
		xm_pager_writeback_free(p, entry->buffer);
	else
		p->writeback_buffers[entry->buffer].page = NOBODY;
	flag_clear(entry, FLAG_STORING);
	/* A clean page equalled bytes that are gone: it is the last copy of them. */
	if (entry->state == XM_PAGE_CLEAN)
		flag_set(entry, FLAG_RECENT);
}

static bool change_page(struct xm_pager *p, uint64_t page,
			enum xm_pager_event_kind kind,
			struct xm_pager_effects *fx)
{
	switch (kind) {
	case XM_PAGER_DISCARD:
		return discard_page(p, page, fx);
	case XM_PAGER_REFRESH:
		return refresh_page(p, page, fx);
	case XM_PAGER_MARK_BACKED:
		flag_set(&p->pages[page], FLAG_WRITTEN | FLAG_UNDURABLE);
		return true;
	case XM_PAGER_FORGET:
		return forget_page(p, page, fx);
	default:
		XM_ASSERT(kind == XM_PAGER_LOST);
		lose_page(p, page);
		return true;
	}
}

/* Of a page whose entry is all zero nothing is known, and nothing but what backs it, or takes
 * it away for good, says anything new. Most pages of a slab that is freed are such: programs
 * touch less than they allocate. Returns the first page that is none, or `end`. */
static uint64_t pass_untouched(const struct xm_pager *p, uint64_t page, uint64_t end,
			       enum xm_pager_event_kind kind)
{
	static const struct xm_page untouched;

	if (kind == XM_PAGER_MARK_BACKED || kind == XM_PAGER_LOST)
		return page;
	while (page < end && memcmp(&p->pages[page], &untouched,
				    sizeof(untouched)) == 0)
		page++;
	return page;
}

void xm_pager_on_change(struct xm_pager *p, const struct xm_pager_event *ev,
			struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);

	fx->verdict = XM_VERDICT_DONE;
	for (;;) {
		page = pass_untouched(p, page, end, ev->kind);
		if (page == end || !change_page(p, page, ev->kind, fx))
			break;
		page++;
	}
	if (page > ev->page)
		trace(p, ev->kind == XM_PAGER_DISCARD ? XM_TRACE_PAGER_DISCARD
			 : ev->kind == XM_PAGER_MARK_BACKED
				 ? XM_TRACE_PAGER_MARK_BACKED
			 : ev->kind == XM_PAGER_REFRESH ? XM_TRACE_PAGER_REFRESH
			 : ev->kind == XM_PAGER_FORGET ? XM_TRACE_PAGER_FORGET
						       : XM_TRACE_PAGER_LOSE,
		      ev->page, page - ev->page, 0);
	if (page < end)
		fx->verdict = XM_VERDICT_WAIT;
	else if (page < ev->limit)
		fx->verdict = XM_VERDICT_MORE;
	fx->next = page;
}

/* The mapper refused to install the pages, since the address range is not what it was.
 * No thread may wait for them for ever, so they are poisoned. */
void xm_pager_on_refused(struct xm_pager *p, const struct xm_pager_event *ev,
			 struct xm_pager_effects *fx)
{
	trace(p, XM_TRACE_PAGER_REFUSED, ev->page, ev->limit - ev->page, 0);
	for (uint64_t page = ev->page; page < ev->limit; page++) {
		if (!present(&p->pages[page]))
			continue;
		xm_pager_frame_free(p, page);
		xm_pager_poison(p, page, fx);
	}
	fx->verdict = XM_VERDICT_LOST;
}
