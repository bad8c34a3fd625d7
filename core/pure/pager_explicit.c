/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager and explicit access: I/O locks, and pins.
 *
 * An I/O lock keeps faults away from absent pages while extmem_read() or
 * extmem_write() moves their bytes to or from the remote memory directly. A fault on
 * a locked page waits. IO_LOCK takes a run from `page` on, as long as one verdict
 * holds for all of it:
 *
 *	DONE	 [page, next) is locked
 *	PRESENT	 the page is present: use the mapping
 *	FRESH	 [page, next) reads as zero; nothing is locked, nothing need be read
 *	WAIT	 a store or fetch of the page is under way, or a lock is held
 *	LOST	 the page's remote memory is gone
 *
 * No right binds it: a write to a present page that may not be stored to makes the page
 * leave, and goes to the remote memory.
 *
 * A write passes `whole` if it overwrites whole pages; only then are fresh pages
 * locked, since after a partial write the rest would be undefined.
 *
 * A write that was cut off may have reached a part of a page. It is repeated; but what is
 * being cloned waits for no repetition, and a clone must not get half of a page. So the page
 * stays locked (LOCK_CUT) until it is thawed, and its clone is lost.
 *
 * A pin keeps a page present, so that a kernel or a device may touch it. Pins are
 * counted (at most 65,535 a page) and at most pins_max frames are pinned. A pin for
 * writing keeps the page writable: a flush stores it as it is, without protecting it,
 * and it stays dirty.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* --- I/O locks ----------------------------------------------------------------------- */

static bool lockable(const struct xm_pager *p, uint64_t page,
		     const struct xm_pager_event *ev)
{
	const struct xm_page *entry = &p->pages[page];

	if (ev->write && flagged(entry, FLAG_HELD)) {
		trace_wait(p, XM_TRACE_PAGER_AFTER_HOLD, page);
		return false;
	}
	if (p->torn > 0 && xm_pager_torn(entry))
		return ev->whole && !ev->settle;
	return idle(entry) && !flagged(entry, FLAG_LOST) &&
	       !(ev->write && flagged(entry, FLAG_FROZEN)) &&
	       (ev->whole || flagged(entry, FLAG_WRITTEN));
}

void xm_pager_on_io_lock(struct xm_pager *p, const struct xm_pager_event *ev,
			 struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);
	struct xm_page *entry = &p->pages[page];

	fx->verdict = XM_VERDICT_WAIT;
	fx->next = page;
	if (flagged(entry, FLAG_LOST) || entry->state == XM_PAGE_POISONED) {
		fx->verdict = XM_VERDICT_LOST;
		return;
	}
	if (ev->write && flagged(entry, FLAG_FROZEN)) {
		xm_pager_wants(p, page);
		return;
	}
	if (present(entry) && ev->write && flagged(entry, FLAG_READ_ONLY) &&
	    !XM_PLANTED(rights_bind_explicit)) {
		if (!xm_pager_make_way(p, page, fx))
			return;
	} else if (present(entry)) {
		fx->verdict = XM_VERDICT_PRESENT;
		return;
	}
	if (xm_pager_fresh(p, page) && !ev->whole) {
		while (page < end && xm_pager_fresh(p, page))
			page++;
		fx->verdict = XM_VERDICT_FRESH;
		fx->next = page;
		return;
	}
	if (entry->state == XM_PAGE_IO_LOCKED && entry->buffer == LOCK_CLONE)
		xm_pager_wants(p, page);
	if (entry->state == XM_PAGE_FETCHING &&
	    p->fetch_buffers[entry->buffer].state == FETCH_ARRIVED)
		xm_pager_buffer_clear(p, entry->buffer, true);
	for (; page < end && lockable(p, page, ev); page++) {
		bool torn = p->torn > 0 && xm_pager_torn(&p->pages[page]);

		p->torn -= torn;
		p->pages[page].buffer = torn	   ? LOCK_CALLER_TORN
					: ev->write ? LOCK_CALLER : LOCK_READER;
		if (ev->write) /* whether it succeeds or not */
			flag_set(&p->pages[page], FLAG_UNDURABLE);
		p->pages[page].state = ev->whole && XM_PLANTED(io_unlocked)
						 ? XM_PAGE_ABSENT
						 : XM_PAGE_IO_LOCKED;
	}
	if (page > ev->page) {
		trace(p, XM_TRACE_PAGER_IO_LOCK, ev->page, page - ev->page, 0);
		fx->verdict = XM_VERDICT_DONE;
	}
	fx->next = page;
}

void xm_pager_on_io_unlock(struct xm_pager *p, const struct xm_pager_event *ev,
			   struct xm_pager_effects *fx)
{
	for (uint64_t page = ev->page; page < ev->limit; page++) {
		struct xm_page *entry = &p->pages[page];
		/* A write that was not even posted leaves the page as it was. */
		bool was_torn = entry->buffer == LOCK_CALLER_TORN;

		XM_ASSERT(entry->state == XM_PAGE_IO_LOCKED ||
			  XM_PLANTED(io_unlocked));
		if (!XM_PLANTED(io_unlocked) || entry->state == XM_PAGE_IO_LOCKED)
			entry->state = XM_PAGE_ABSENT;
		if (ev->write) {
			flag_set(entry, FLAG_WRITTEN);
			flag_clear(entry, FLAG_STALE);
			if (ev->stale)
				flag_set(entry, FLAG_STALE);
		} else if ((was_torn || (ev->torn && !XM_PLANTED(torn_unlocked))) &&
			   flagged(entry, FLAG_WRITTEN) &&
			   !flagged(entry, FLAG_LOST)) {
			xm_pager_tear(p, page);
		} else if (ev->cut && flagged(entry, FLAG_FROZEN) &&
			   flagged(entry, FLAG_WRITTEN) &&
			   !flagged(entry, FLAG_LOST)) {
			entry->state = XM_PAGE_IO_LOCKED;
			entry->buffer = LOCK_CUT;
		}
	}
	trace(p, XM_TRACE_PAGER_IO_UNLOCK, ev->page, ev->limit - ev->page,
	      ev->write);
	fx->verdict = XM_VERDICT_DONE;
	fx->next = ev->limit;
}

/* --- pins ---------------------------------------------------------------------------- */

void xm_pager_on_pin(struct xm_pager *p, const struct xm_pager_event *ev,
		     struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[ev->page];
	struct xm_frame *frame;

	fx->verdict = XM_VERDICT_WAIT;
	if (!present(entry) ||
	    (ev->write && (entry->state != XM_PAGE_DIRTY ||
			   flagged(entry, FLAG_CLOSED))))
		return;
	frame = &p->frames[entry->frame];
	if (frame->pins == UINT16_MAX ||
	    (frame->pins == 0 && p->pinned >= p->options.pins_max)) {
		trace(p, XM_TRACE_PAGER_PIN_FULL, ev->page, p->pinned, 0);
		fx->verdict = XM_VERDICT_FULL;
		return;
	}
	if (frame->pins == 0)
		xm_pager_frame_pin(p, entry->frame);
	else
		frame->pins++;
	/* It stays set until the last unpin: which pin was for writing is not kept. */
	if (ev->write)
		frame->pins_write = 1;
	fx->verdict = XM_VERDICT_DONE;
}

void xm_pager_on_unpin(struct xm_pager *p, const struct xm_pager_event *ev,
		       struct xm_pager_effects *fx)
{
	struct xm_page *entry = &p->pages[ev->page];
	struct xm_frame *frame;

	fx->verdict = XM_VERDICT_DONE;
	if (!present(entry))
		return;
	frame = &p->frames[entry->frame];
	if (frame->pins == 1)
		xm_pager_frame_unpin(p, entry->frame);
	else if (frame->pins > 1)
		frame->pins--;
}
