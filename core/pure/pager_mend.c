/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager and mending: pages whose bytes are not the same at all members of their
 * segment (volume.h), and how each comes to be.
 *
 *	STALE		a member that is OUT lacks the bytes that the others have.
 *			Set and cleared by each store (STORED says which).
 *	"torn"		An explicit write has ended, and it is not known at which
 *			members. The page stays IO_LOCKED, since two readings of it
 *			might differ, until it was read from one member and written to
 *			all, or an explicit write overwrites all of it. Or: a sealed page
 *			(seals.h) was read, and what came was not its bytes (TEAR), or an
 *			explicit write of it has ended so, in a segment of one member too.
 *
 * MEND finds the next page that has to be mended, and begins:
 *
 *	absent, torn	it is locked, for a caller that moves its bytes and says MENDED
 *	present		it is stored again, like a dirty page
 *
 * All copies go by the page's own lane, under its I/O lock or as its only store under
 * way, so none can pass a newer store.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"


/* Page table entries that one step looks at, at most. */
#define LOOK_MAX 4096

/* --- torn pages ------------------------------------------------------------- */

/* Is it locked by the mender, or waits for it? */
static bool is_menders(const struct xm_page *entry)
{
	return entry->state == XM_PAGE_IO_LOCKED &&
	       (entry->buffer == LOCK_TORN_WAITS || entry->buffer == LOCK_TORN ||
		entry->buffer == LOCK_STALE);
}

bool xm_pager_torn(const struct xm_page *entry)
{
	return entry->state == XM_PAGE_IO_LOCKED &&
	       entry->buffer == LOCK_TORN_WAITS;
}

bool xm_pager_is_torn(const struct xm_pager *p, uint64_t page)
{
	return xm_pager_torn(&p->pages[page]);
}

bool xm_pager_is_storing(const struct xm_pager *p, uint64_t page)
{
	return flagged(&p->pages[page], FLAG_STORING);
}

bool xm_pager_is_written(const struct xm_pager *p, uint64_t page)
{
	return flagged(&p->pages[page], FLAG_WRITTEN);
}

bool xm_pager_is_kept(const struct xm_pager *p, uint64_t page)
{
	return !flagged(&p->pages[page], FLAG_LOST) &&
	       (xm_pager_is_written(p, page) || xm_pager_is_locked(p, page));
}

bool xm_pager_is_locked(const struct xm_pager *p, uint64_t page)
{
	return p->pages[page].state == XM_PAGE_IO_LOCKED;
}

bool xm_pager_mends_torn(const struct xm_pager *p, uint64_t page)
{
	return xm_pager_is_locked(p, page) && p->pages[page].buffer == LOCK_TORN;
}

void xm_pager_tear(struct xm_pager *p, uint64_t page)
{
	struct xm_page *entry = &p->pages[page];

	entry->state = XM_PAGE_IO_LOCKED;
	entry->buffer = LOCK_TORN_WAITS;
	flag_set(entry, FLAG_STALE);
	if (p->torn++ == 0) {
		p->torn_first = page;
		p->torn_limit = page + 1;
	}
	p->torn_first = xm_min(p->torn_first, page);
	p->torn_limit = xm_max(p->torn_limit, page + 1);
	trace(p, XM_TRACE_PAGER_TORN, page, 0, 0);
}

void xm_pager_untear(struct xm_pager *p, uint64_t page)
{
	struct xm_page *entry = &p->pages[page];

	XM_ASSERT(xm_pager_torn(entry));
	entry->state = XM_PAGE_ABSENT;
	flag_clear(entry, FLAG_STALE);
	p->torn--;
}

/* --- finding ---------------------------------------------------------------- */

/* Has it bytes that a member lacks? */
static bool mendable(const struct xm_page *entry)
{
	return flagged(entry, FLAG_STALE) && flagged(entry, FLAG_WRITTEN) &&
	       !flagged(entry, FLAG_LOST) && entry->state != XM_PAGE_POISONED;
}

/* Absent with nothing under way, or torn. */
static bool movable(const struct xm_page *entry)
{
	return mendable(entry) && !flagged(entry, FLAG_HELD) &&
	       (idle(entry) || xm_pager_torn(entry));
}

/* A torn page is a run of its own: it is mended in another way. */
static uint64_t lock_run(struct xm_pager *p, uint64_t page, uint64_t limit)
{
	uint64_t first = page;

	while (page < limit && movable(&p->pages[page])) {
		struct xm_page *entry = &p->pages[page];
		bool was_torn = xm_pager_torn(entry);

		if (was_torn && page > first)
			break;
		if (was_torn)
			limit = page + 1;
		page++;
		p->torn -= was_torn;
		if (!XM_PLANTED(mend_unguarded) || was_torn)
			entry->state = XM_PAGE_IO_LOCKED;
		entry->buffer = was_torn ? LOCK_TORN : LOCK_STALE;
	}
	return page;
}

/* A present page is stored as if it were dirty; so all members get it. */
static bool store_again(struct xm_pager *p, uint64_t page,
			struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[page];
	bool writable = p->frames[entry->frame].pins_write > 0;

	if (p->writeback_used == p->options.writeback_buffers)
		return false;
	entry->state = XM_PAGE_DIRTY;
	return xm_pager_store_run(p, page, 1,
				  writable ? STORE_PINNED : STORE_FLUSH,
				  fx) > 0;
}

/* The page at which the look has stopped. */
static void begin(struct xm_pager *p, uint64_t page, uint64_t limit,
		  struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[page];

	fx->verdict = XM_VERDICT_WAIT;
	fx->next = page;
	if (entry->state == XM_PAGE_FETCHING &&
	    p->fetch_buffers[entry->buffer].state == FETCH_ARRIVED)
		xm_pager_buffer_clear(p, entry->buffer, true);
	if (movable(entry)) {
		fx->verdict = XM_VERDICT_MEND;
		fx->seq = page;
		fx->next = lock_run(p, page, limit);
		trace(p, XM_TRACE_PAGER_MEND, page, fx->next - page, 0);
	} else if (present(entry) && !flagged(entry, FLAG_STORING | FLAG_HELD) &&
		   store_again(p, page, fx)) {
		fx->verdict = XM_VERDICT_STORED;
		fx->seq = page;
		fx->next = page + 1;
	}
}

void xm_pager_on_mend(struct xm_pager *p, const struct xm_pager_event *ev,
		      struct xm_pager_effects *fx)
{
	uint64_t end = xm_min(ev->limit, ev->page + LOOK_MAX);

	fx->verdict = XM_VERDICT_DONE;
	for (uint64_t page = ev->page; page < end; page++) {
		struct xm_page *entry = &p->pages[page];

		/* An explicit write that began before the member was written to may end
		 * without it, and marks the page. */
		if (entry->state == XM_PAGE_IO_LOCKED && !is_menders(entry)) {
			fx->verdict = XM_VERDICT_WAIT;
			fx->next = page;
			return;
		}
		/* A store ends when all have it that are to have it then (all_have() in
		 * volume_io.c). So one under way is waited for only where a member lacks
		 * what was stored before. */
		if (mendable(entry) &&
		    !(XM_PLANTED(mend_skips_here) && present(entry))) {
			begin(p, page, xm_min(ev->limit, page + ev->count), fx);
			return;
		}
	}
	fx->next = end;
}

/* --- the end ---------------------------------------------------------------- */

void xm_pager_on_mended(struct xm_pager *p, const struct xm_pager_event *ev,
			struct xm_pager_effects *fx)
{
	for (uint64_t page = ev->page; page < ev->limit; page++) {
		struct xm_page *entry = &p->pages[page];

		if (XM_PLANTED(mend_unguarded) && !is_menders(entry))
			continue;
		XM_ASSERT(is_menders(entry) && !xm_pager_torn(entry));
		if (ev->status != 0 && entry->buffer == LOCK_TORN &&
		    !flagged(entry, FLAG_LOST)) {
			xm_pager_tear(p, page);
			continue;
		}
		entry->state = XM_PAGE_ABSENT;
		if (ev->status == 0 && !ev->stale)
			flag_clear(entry, FLAG_STALE);
	}
	trace(p, XM_TRACE_PAGER_MENDED, ev->page, ev->limit - ev->page,
	      (uint64_t)(int64_t)ev->status);
	fx->verdict = XM_VERDICT_DONE;
	fx->next = ev->limit;
}

void xm_pager_on_stale(struct xm_pager *p, const struct xm_pager_event *ev,
		       struct xm_pager_effects *fx)
{
	uint64_t end = xm_min(ev->limit, ev->page + LOOK_MAX);

	for (uint64_t page = ev->page; page < end; page++) {
		if (flagged(&p->pages[page], FLAG_WRITTEN))
			flag_set(&p->pages[page], FLAG_STALE);
	}
	fx->verdict = end < ev->limit ? XM_VERDICT_MORE : XM_VERDICT_DONE;
	fx->next = end;
}

void xm_pager_on_tear(struct xm_pager *p, const struct xm_pager_event *ev,
		      struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[ev->page];

	fx->verdict = XM_VERDICT_DONE;
	fx->next = ev->page + 1;
	if (!flagged(entry, FLAG_WRITTEN) || flagged(entry, FLAG_LOST))
		return;
	/* Who has locked it has the bytes in hand, and unlocks it soon. */
	if (entry->state == XM_PAGE_IO_LOCKED &&
	    (entry->buffer == LOCK_CALLER || entry->buffer == LOCK_READER))
		entry->buffer = LOCK_CALLER_TORN;
	else if (idle(entry))
		xm_pager_tear(p, ev->page);
}
