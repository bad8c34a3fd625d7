/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's hold: the remote memory of a range stands still for a while, so that its
 * appliance can copy it. Nobody there sees a one-sided write come in: a page that is written
 * meanwhile would be copied half old and half new, and its checksum would be right.
 *
 * HOLD waits until no store, read or write of a page is under way, and its appliance can be
 * reached: then an earlier connection, with what it may still have had in it, has ended. From
 * then on, until RELEASE:
 *
 *	a dirty page is not flushed, evicted, or taken all rights from: who wants that waits
 *	an explicit write of an absent page waits
 *	the mender leaves it alone
 *
 * Loads and stores of what is present go on, and so do reads and fetches. (As "stable pages"
 * in Linux, whose bytes stand still while a device reads them, but those in the mapping may
 * change here, as they are others.)
 *
 * A hold outlives what may happen to the page meanwhile; FORGET ends it.
 *
 * What has to become durable is known here, too: a page is UNDURABLE from the moment at which
 * its remote memory changes, or it is discarded, until it is held. If it does not become
 * durable then, the owner says so.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

static bool is_still(const struct xm_page *entry)
{
	return (!flagged(entry, FLAG_STORING) || XM_PLANTED(hold_unwaited)) &&
	       !flagged(entry, FLAG_HELD) && entry->state != XM_PAGE_IO_LOCKED;
}

void xm_pager_on_hold(struct xm_pager *p, const struct xm_pager_event *ev,
		      struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);

	fx->verdict = XM_VERDICT_WAIT;
	for (; page < end && ev->reach == XM_REACH_UP &&
	       is_still(&p->pages[page]); page++) {
		if (flagged(&p->pages[page], FLAG_LOST)) {
			fx->verdict = XM_VERDICT_LOST;
			break;
		}
		if (!XM_PLANTED(persist_unheld))
			flag_set(&p->pages[page], FLAG_HELD);
		flag_clear(&p->pages[page], FLAG_UNDURABLE);
	}
	if (page == end)
		fx->verdict = page < ev->limit ? XM_VERDICT_MORE
					       : XM_VERDICT_DONE;
	fx->next = page;
	if (page > ev->page)
		trace(p, XM_TRACE_PAGER_HOLD, ev->page, page - ev->page, 0);
}

void xm_pager_on_release(struct xm_pager *p, const struct xm_pager_event *ev,
			 struct xm_pager_effects *fx)
{
	uint64_t end = xm_min(ev->limit, ev->page + RANGE_MAX);

	for (uint64_t page = ev->page; page < end; page++)
		flag_clear(&p->pages[page], FLAG_HELD);
	trace(p, XM_TRACE_PAGER_RELEASE, ev->page, end - ev->page, 0);
	fx->verdict = end < ev->limit ? XM_VERDICT_MORE : XM_VERDICT_DONE;
	fx->next = end;
}

void xm_pager_on_undurable(struct xm_pager *p, const struct xm_pager_event *ev,
			   struct xm_pager_effects *fx)
{
	uint64_t end = xm_min(ev->limit, ev->page + RANGE_MAX);

	for (uint64_t page = ev->page; page < end; page++)
		flag_set(&p->pages[page], FLAG_UNDURABLE);
	fx->verdict = end < ev->limit ? XM_VERDICT_MORE : XM_VERDICT_DONE;
	fx->next = end;
}

uint64_t xm_pager_undurable_from(const struct xm_pager *p, uint64_t page,
				 uint64_t limit)
{
	while (page < limit && !flagged(&p->pages[page], FLAG_UNDURABLE))
		page++;
	return page;
}

/* To compare a page for nothing costs less than to ask for another piece. */
#define DURABLE_GAP_MAX 8

/* It cannot be held, and need not be: had it changed, its owner would have to hear that. */
static bool is_left_out(const struct xm_page *entry)
{
	return flagged(entry, FLAG_LOST) && !flagged(entry, FLAG_UNDURABLE);
}

uint64_t xm_pager_undurable_until(const struct xm_pager *p, uint64_t page,
				  uint64_t limit)
{
	uint64_t end = page;

	for (; page < limit && page - end <= DURABLE_GAP_MAX &&
	       !is_left_out(&p->pages[page]); page++) {
		if (flagged(&p->pages[page], FLAG_UNDURABLE))
			end = page + 1;
	}
	return end;
}
