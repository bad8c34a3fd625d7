/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's rights: whether a thread may store to a page, or touch it at all.
 *
 *	ALL	what every page has at first
 *	LOAD	a store is denied. A dirty page is protected and stays dirty; a clean one
 *		is protected anyway, and what is installed from now on will be.
 *	NONE	every touch is denied. What is present leaves, a dirty page by a store as
 *		if it were evicted; nothing is installed from now on.
 *
 * A right is a fact of the page, as is its advice: it is kept while the page is evicted,
 * fetched, discarded or lost, and ends with FORGET. So a touch is denied wherever the page
 * is, without waiting for it.
 *
 * Example, a dirty page 7:
 *
 *	RIGHTS 7, LOAD		-> PROTECT 7
 *	FAULT 7, write		-> DENIED
 *	RIGHTS 7, ALL		-> UNPROTECT 7
 *	RIGHTS 7, NONE		-> PROTECT 7, COPY 7, STORE 7, DROP 7
 *	FAULT 7			-> DENIED
 *
 * That a page without rights is never present costs a transfer where a program takes the
 * rights from pages that it uses, and gives them back. To keep such a page would take a
 * mapping of the kernel's for each run of them, and those are limited.
 *
 * Bounds of one step: RANGE_MAX pages looked at, half of XM_PAGER_EFFECTS effects and
 * those of one run more.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

bool xm_pager_denies(const struct xm_pager *p, uint64_t page, bool write)
{
	bool denies = write || flagged(&p->pages[page], FLAG_NO_ACCESS) ||
		      XM_PLANTED(rights_load_denied);

	if (denies)
		trace(p, XM_TRACE_PAGER_DENIED, page, write, 0);
	return denies;
}

uint64_t xm_pager_permitted(const struct xm_pager *p, uint64_t page,
			    uint64_t limit, bool write)
{
	unsigned without = write ? FLAG_RIGHTS : FLAG_NO_ACCESS;

	while (page < limit && !flagged(&p->pages[page], without))
		page++;
	return page;
}

/* How many pages from this one on, at most `most`, have its state and these of its
 * flags. */
static uint32_t alike(const struct xm_pager *p, uint64_t page, uint64_t limit,
		      uint32_t most, unsigned flags)
{
	const struct xm_page *first = &p->pages[page];
	uint32_t run = 1;

	while (run < most && page + run < limit &&
	       p->pages[page + run].state == first->state &&
	       ((p->pages[page + run].flags ^ first->flags) & flags) == 0)
		run++;
	return run;
}

/* The following let the first pages of [page, limit) have a right. They return how many;
 * 0: a completion must be waited for. */

static uint32_t deny_stores(struct xm_pager *p, uint64_t page, uint64_t limit,
			    struct xm_pager_effects *fx)
{
	uint32_t run;

	if (p->pages[page].state != XM_PAGE_DIRTY ||
	    flagged(&p->pages[page], FLAG_READ_ONLY) || XM_PLANTED(rights_open))
		return 1;
	run = alike(p, page, limit, XM_PAGER_WINDOW_MAX, FLAG_RIGHTS);
	xm_pager_emit(fx, XM_PROTECT, page, run, 0, false);
	return run;
}

static uint32_t allow_stores(struct xm_pager *p, uint64_t page, uint64_t limit,
			     struct xm_pager_effects *fx)
{
	uint32_t run;

	if (p->pages[page].state != XM_PAGE_DIRTY ||
	    !flagged(&p->pages[page], FLAG_READ_ONLY) ||
	    flagged(&p->pages[page], FLAG_FROZEN) || /* THAW does it */
	    XM_PLANTED(rights_closed))
		return 1;
	run = alike(p, page, limit, XM_PAGER_WINDOW_MAX,
		    FLAG_RIGHTS | FLAG_FROZEN);
	xm_pager_emit(fx, XM_UNPROTECT, page, run, 0, false);
	return run;
}

/* Pinned pages leave too: to take the rights from memory that a system call uses is a
 * mistake of the program's, and the call returns EFAULT. */
static uint32_t deny_all(struct xm_pager *p, uint64_t page, uint64_t limit,
			 struct xm_pager_effects *fx)
{
	const struct xm_page *entry = &p->pages[page];
	uint32_t run;

	if (!present(entry) ||
	    (entry->state == XM_PAGE_CLEAN && XM_PLANTED(rights_clean_stays)))
		return 1;
	if (flagged(entry, FLAG_LOST)) {
		/* There is nowhere to keep its bytes. */
		xm_pager_drop_run(p, page, 1, fx);
		xm_pager_poison(p, page, fx);
		return 1;
	}
	if (entry->state == XM_PAGE_CLEAN || XM_PLANTED(rights_unsaved)) {
		run = alike(p, page, limit, XM_PAGER_WINDOW_MAX, FLAG_LOST);
	} else if (flagged(entry, FLAG_STORING | FLAG_HELD)) {
		trace_wait(p, flagged(entry, FLAG_HELD) ? XM_TRACE_PAGER_AFTER_HOLD
							: XM_TRACE_PAGER_AFTER_STORE,
			   page);
		return 0;
	} else {
		run = alike(p, page, limit, XM_PAGER_BATCH,
			    FLAG_LOST | FLAG_STORING | FLAG_HELD);
		run = xm_pager_store_run(p, page, run, STORE_EVICT, fx);
	}
	if (run > 0) {
		xm_pager_drop_run(p, page, run, fx);
		p->counters.evictions += run;
	}
	return run;
}

/* Entries that need no change are not written to: the table is backed lazily. */
static void set_flags(struct xm_pager *p, uint64_t page, uint32_t count,
		      unsigned flags)
{
	for (uint32_t i = 0; i < count; i++) {
		struct xm_page *entry = &p->pages[page + i];

		if ((entry->flags & FLAG_RIGHTS) == flags)
			continue;
		flag_clear(entry, FLAG_RIGHTS);
		flag_set(entry, flags);
	}
}

void xm_pager_on_rights(struct xm_pager *p, const struct xm_pager_event *ev,
			struct xm_pager_effects *fx)
{
	static const struct {
		unsigned flags;
		uint32_t (*take)(struct xm_pager *, uint64_t page, uint64_t limit,
				 struct xm_pager_effects *);
	} rights[] = {
		[XM_PAGE_RIGHTS_ALL] = { 0, allow_stores },
		[XM_PAGE_RIGHTS_LOAD] = { FLAG_READ_ONLY, deny_stores },
		[XM_PAGE_RIGHTS_NONE] = { FLAG_NO_ACCESS, deny_all },
	};
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);
	uint32_t did = 1;

	XM_ASSERT(ev->rights < XM_COUNT(rights));
	while (page < end && fx->count < XM_PAGER_EFFECTS / 2) {
		did = rights[ev->rights].take(p, page, end, fx);
		if (did == 0)
			break;
		set_flags(p, page, did, rights[ev->rights].flags);
		page += did;
	}
	if (page > ev->page)
		xm_trace_put(p->trace, p->now_ns, XM_TRACE_PAGER_RIGHTS, ev->page,
			     page - ev->page, ev->rights != XM_PAGE_RIGHTS_NONE,
			     ev->rights == XM_PAGE_RIGHTS_ALL);
	if (did == 0)
		fx->verdict = XM_VERDICT_WAIT;
	else if (page < ev->limit)
		fx->verdict = XM_VERDICT_MORE;
	fx->next = page;
}

bool xm_pager_make_way(struct xm_pager *p, uint64_t page,
		       struct xm_pager_effects *fx)
{
	/* Lost pages have been answered. A pinned page is in use: it stays until it is
	 * not. */
	if (pinned(p, page))
		return false;
	if (deny_all(p, page, page + 1, fx) > 0)
		trace(p, XM_TRACE_PAGER_MAKE_WAY, page, 0, 0);
	return idle(&p->pages[page]);
}
