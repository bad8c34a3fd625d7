/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager while a region is cloned (cloning.h): the bytes of its pages stay what they are
 * until they have been copied, and nobody sees the clone's pages before.
 *
 * FREEZE is the moment that the clone is of. A page that is present stays, protected; a
 * dirty one stays dirty, and what is dirty then is written back before it is copied. A
 * store waits, and so does an explicit write; what had begun before is part of the moment.
 * FROZEN tells when the remote memory has all of it; explicit reads change nothing there, and
 * do not count, as there may always be one. THAW lets the stores go on.
 *
 * Example, a dirty page 7, whose clone is page 107:
 *
 *	FREEZE [0, 64)		-> PROTECT [0, 64)
 *	FAULT 7, write		-> WAIT, and `wanted` is 7
 *	FLUSH 7			-> PROTECT 7, COPY 7, STORE 7
 *	FROZEN 7		-> WAIT until STORED, then DONE: the owner has it copied
 *	CLONE_UNLOCK 107, write	page 107 can be fetched
 *	THAW 7
 *	FAULT 7, write		-> UNPROTECT 7
 *
 * Bounds of one step: RANGE_MAX pages looked at, half of XM_PAGER_EFFECTS effects.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

void xm_pager_wants(struct xm_pager *p, uint64_t page)
{
	p->wanted = page;
}

/* May the page be stored to without a fault? */
static bool is_open(const struct xm_page *entry)
{
	return entry->state == XM_PAGE_DIRTY &&
	       !flagged(entry, FLAG_READ_ONLY | FLAG_FROZEN);
}

/* Freezes pages from this one on, as far as one effect goes, and returns how many. 0: the
 * page is pinned for writing. What may not be stored to is protected with the others: to
 * leave it out would take an effect for each run of dirty pages, and those can be short. */
static uint32_t freeze_run(struct xm_pager *p, uint64_t page, uint64_t limit,
			   struct xm_pager_effects *fx)
{
	uint32_t run = 0;
	bool open = false;

	for (; run < XM_PAGER_WINDOW_MAX && page + run < limit; run++) {
		struct xm_page *entry = &p->pages[page + run];

		if (entry->state == XM_PAGE_DIRTY &&
		    p->frames[entry->frame].pins_write > 0)
			break;
		open |= is_open(entry);
		flag_set(entry, FLAG_FROZEN);
	}
	if (open && !XM_PLANTED(snapshot_later_write))
		xm_pager_emit(fx, XM_PROTECT, page, run, 0, true);
	return run;
}

void xm_pager_on_freeze(struct xm_pager *p, const struct xm_pager_event *ev,
			struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);

	while (page < end) {
		uint32_t run = freeze_run(p, page, end, fx);

		if (run == 0) {
			fx->verdict = XM_VERDICT_FULL;
			break;
		}
		page += run;
	}
	if (page > ev->page)
		trace(p, XM_TRACE_PAGER_FREEZE, ev->page, page - ev->page, 0);
	if (page == end && page < ev->limit)
		fx->verdict = XM_VERDICT_MORE;
	fx->next = page;
}

static bool is_cut(const struct xm_page *entry)
{
	return entry->state == XM_PAGE_IO_LOCKED && entry->buffer == LOCK_CUT;
}

/* Is an explicit write of it under way? */
static bool is_moving(const struct xm_page *entry)
{
	return entry->state == XM_PAGE_IO_LOCKED && entry->buffer != LOCK_READER;
}

void xm_pager_on_frozen(const struct xm_pager *p, const struct xm_pager_event *ev,
		      struct xm_pager_effects *fx)
{
	for (uint64_t page = ev->page; page < ev->limit; page++) {
		const struct xm_page *entry = &p->pages[page];

		if ((entry->state != XM_PAGE_DIRTY ||
		     flagged(entry, FLAG_LOST) ||
		     XM_PLANTED(copy_dirty_left)) &&
		    !flagged(entry, FLAG_STORING) && !is_moving(entry))
			continue;
		fx->verdict = is_cut(entry) ? XM_VERDICT_LOST : XM_VERDICT_WAIT;
		fx->next = page;
		return;
	}
}

/* True: it may be stored to, and is protected still. */
static bool thaw_page(struct xm_page *entry)
{
	bool frozen = flagged(entry, FLAG_FROZEN);

	flag_clear(entry, FLAG_FROZEN);
	if (is_cut(entry))
		entry->state = XM_PAGE_ABSENT;
	return frozen && is_open(entry);
}

void xm_pager_on_thaw(struct xm_pager *p, const struct xm_pager_event *ev,
			 struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);

	while (page < end && fx->count < XM_PAGER_EFFECTS / 2) {
		uint32_t run = 0;

		while (run < XM_PAGER_WINDOW_MAX && page + run < end &&
		       thaw_page(&p->pages[page + run]))
			run++;
		if (run > 0)
			xm_pager_emit(fx, XM_UNPROTECT, page, run, 0, false);
		page += xm_max(run, 1);
	}
	trace(p, XM_TRACE_PAGER_THAW, ev->page, page - ev->page, 0);
	if (page < ev->limit)
		fx->verdict = XM_VERDICT_MORE;
	fx->next = page;
}

void xm_pager_on_clone_lock(struct xm_pager *p, const struct xm_pager_event *ev,
			    struct xm_pager_effects *fx)
{
	uint64_t end = xm_min(ev->limit, ev->page + RANGE_MAX);

	for (uint64_t page = ev->page; page < end; page++) {
		XM_ASSERT(xm_pager_fresh(p, page) ||
			  flagged(&p->pages[page], FLAG_LOST));
		if (XM_PLANTED(copy_unheld)) {
			flag_set(&p->pages[page], FLAG_WRITTEN);
			continue;
		}
		p->pages[page].state = XM_PAGE_IO_LOCKED;
		p->pages[page].buffer = LOCK_CLONE;
	}
	if (end < ev->limit)
		fx->verdict = XM_VERDICT_MORE;
	fx->next = end;
}

void xm_pager_on_clone_unlock(struct xm_pager *p, const struct xm_pager_event *ev,
			      struct xm_pager_effects *fx)
{
	uint64_t end = xm_min(ev->limit, ev->page + RANGE_MAX);

	for (uint64_t page = ev->page; page < end; page++) {
		struct xm_page *entry = &p->pages[page];

		if (entry->state != XM_PAGE_IO_LOCKED ||
		    entry->buffer != LOCK_CLONE)
			continue;
		entry->state = XM_PAGE_ABSENT;
		entry->buffer = 0;
		if (ev->write)
			flag_set(entry, FLAG_WRITTEN | FLAG_UNDURABLE);
	}
	trace(p, XM_TRACE_PAGER_CLONED, ev->page, end - ev->page, ev->write);
	if (end < ev->limit)
		fx->verdict = XM_VERDICT_MORE;
	fx->next = end;
}
