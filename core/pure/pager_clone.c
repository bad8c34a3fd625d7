/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager while a region is cloned (cloning.h): the bytes of its pages stay what they are
 * until they have been copied, and nobody sees the clone's pages before.
 *
 * FREEZE is the moment that the clone is of. A page that is present stays, protected; a
 * dirty one stays dirty, and what is dirty then is written back before it is copied. A
 * store waits, and so does an explicit write; what had begun before is part of the moment.
 * FROZEN tells when the remote memory has all of it. THAW lets the stores go on.
 *
 * Example, a dirty page 7, whose clone is page 107:
 *
 *	FREEZE 7			-> PROTECT 7
 *	FAULT 7, write		-> WAIT, and `wanted` is 7
 *	FLUSH 7			-> PROTECT 7, COPY 7, STORE 7
 *	FROZEN 7			-> WAIT until STORED, then DONE: the owner has it copied
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

/* Dirty pages from this one on that are alike, but for the flag; they may be stored to. */
static uint32_t open_run(const struct xm_pager *p, uint64_t page, uint64_t limit,
			 bool frozen)
{
	uint32_t run = 0;

	while (run < XM_PAGER_WINDOW_MAX && page + run < limit &&
	       p->pages[page + run].state == XM_PAGE_DIRTY &&
	       !flagged(&p->pages[page + run], FLAG_READ_ONLY) &&
	       flagged(&p->pages[page + run], FLAG_FROZEN) == frozen &&
	       (frozen || p->frames[p->pages[page + run].frame].pins_write == 0))
		run++;
	return run;
}

static void freeze_run(struct xm_pager *p, uint64_t page, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		flag_set(&p->pages[page + i], FLAG_FROZEN);
}

void xm_pager_on_freeze(struct xm_pager *p, const struct xm_pager_event *ev,
		      struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);

	while (page < end && fx->count < XM_PAGER_EFFECTS / 2) {
		const struct xm_page *entry = &p->pages[page];
		uint32_t run = 1;

		if (entry->state == XM_PAGE_DIRTY &&
		    !flagged(entry, FLAG_READ_ONLY | FLAG_FROZEN)) {
			run = open_run(p, page, end, false);
			if (run == 0) {
				fx->verdict = XM_VERDICT_FULL;
				fx->next = page;
				return;
			}
			if (!XM_PLANTED(snapshot_later_write))
				xm_pager_emit(fx, XM_PROTECT, page, run, 0,
					      false);
		}
		freeze_run(p, page, run);
		page += run;
	}
	trace(p, XM_TRACE_PAGER_FREEZE, ev->page, page - ev->page, 0);
	if (page < ev->limit)
		fx->verdict = XM_VERDICT_MORE;
	fx->next = page;
}

void xm_pager_on_frozen(const struct xm_pager *p, const struct xm_pager_event *ev,
		      struct xm_pager_effects *fx)
{
	for (uint64_t page = ev->page; page < ev->limit; page++) {
		const struct xm_page *entry = &p->pages[page];

		if ((entry->state != XM_PAGE_DIRTY ||
		     flagged(entry, FLAG_LOST) ||
		     XM_PLANTED(copy_dirty_left)) &&
		    !flagged(entry, FLAG_STORING) &&
		    entry->state != XM_PAGE_IO_LOCKED)
			continue;
		fx->verdict = XM_VERDICT_WAIT;
		fx->next = page;
		return;
	}
}

void xm_pager_on_thaw(struct xm_pager *p, const struct xm_pager_event *ev,
			 struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);

	while (page < end && fx->count < XM_PAGER_EFFECTS / 2) {
		uint32_t run = open_run(p, page, end, true);

		if (run > 0)
			xm_pager_emit(fx, XM_UNPROTECT, page, run, 0, false);
		run = xm_max(run, 1);
		for (uint32_t i = 0; i < run; i++)
			flag_clear(&p->pages[page + i], FLAG_FROZEN);
		page += run;
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
