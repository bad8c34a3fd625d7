/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane's mending: bytes are copied to members that lack them.
 *
 * A sweep goes once through the lane's pages of all segments that have a member which
 * is FILLING. Whatever is stored from its beginning on reaches that member, so after
 * it the member has everything. Up to SLOTS runs of pages are under way: each is
 * locked by the pager, read from a member that is IN, written to those that are
 * FILLING, and unlocked; or, where the page is present, it is stored once more.
 *
 * Torn pages (pager_mend.c) are mended whenever there are some: read from one member,
 * written to all.
 *
 * Mending takes what faults leave over: one run at a time while pages are missed.
 *
 * Floor: first.
 */
#include "core/engine/engine_parts.h"

#include <errno.h>
#include <stdatomic.h>

#include "core/pure/plant.h"

#define QUIET XM_MS	/* without a miss: all slots may be used */
#define REST (5 * XM_MS) /* after a failure */

static uint8_t *slot_bytes(const struct xm_engine *e, uint32_t index)
{
	return e->options.aside +
	       (uint64_t)(XM_ENGINE_LEDGER_PAGES + index * XM_MEND_PAGES) *
		       e->options.page_size;
}

/* --- the end of a run --------------------------------------------------------- */

static void slot_end(struct xm_engine *e, struct xm_mend_slot *slot)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_MENDED, .page = slot->page,
		.limit = slot->page + slot->count, .status = slot->status,
	};

	/* Another member may be filled since it was written. */
	if (slot->changes != atomic_load(&e->options.volume->changes))
		slot->status = ev.status = -ECANCELED;
	if (slot->status == 0) {
		ev.stale = xm_volume_lacks(&e->io, slot->page) &&
			   !XM_PLANTED(stale_cleared_early);
		e->mend.bytes += slot->count * e->options.page_size;
	}
	/* Who has read it may have the bytes that were not right. */
	if (slot->torn && e->marks != NULL && !XM_PLANTED(mend_unmarked))
		xm_mark(e->marks, slot->page, slot->count);
	if (slot->status == 0 && slot->former)
		xm_seals_restore(&e->seals, slot->page);
	xm_engine_event(e, &ev);
	if (e->sealing)
		xm_engine_unlocked(e, ev.page, ev.limit);
	/* The sweep comes back to what has failed, and to torn pages too: until they are
	 * mended, members that are being filled lack them. */
	if (slot->status != 0) {
		e->mend.rest_ns = e->clock_ns + REST;
		e->mend.again = xm_min(e->mend.again, slot->page);
		e->mend.again_limit = xm_max(e->mend.again_limit,
					     slot->page + slot->count);
	}
	slot->state = XM_MEND_FREE;
}

/* The bytes of [page, +count) to each member that is FILLING, or, if the pages are torn,
 * to all. */
static void slot_write(struct xm_engine *e, struct xm_mend_slot *slot)
{
	uint32_t index = (uint32_t)(slot - e->mend.slots);
	struct xm_move r = {
		.kind = XM_OPERATION_MEND, .write = true,
		.local = slot_bytes(e, index), .token = index,
		.count = slot->count,
	};
	struct xm_volume_posts posts, one;
	int rc;

	slot->state = XM_MEND_WRITES;
	slot->left = 1; /* until all are posted */
	slot->changes = atomic_load(&e->options.volume->changes);
	rc = slot->torn ? xm_volume_write(&e->io, slot->page, 0,
					  slot->count * e->options.page_size,
					  &posts)
			: xm_volume_mend(&e->io, slot->page, slot->count,
					 &posts);
	if (rc == 0 && posts.size != slot->count * e->options.page_size)
		rc = -EAGAIN;
	/* Nobody is being filled any more. */
	if (rc == -ENOENT)
		rc = -ECANCELED;
	if (rc == 0)
		posts.sealed = false;
	if (rc == 0 && slot->torn) {
		slot->left++;
		rc = xm_engine_issue(e, &r, &posts);
		slot->left -= rc != 0;
	} else if (rc == 0) {
		/* Each of its own: what members that are IN have is not asked. */
		for (uint32_t i = 0; rc == 0 && i < posts.count; i++) {
			one = posts;
			one.several = false;
			one.count = 1;
			one.list[0] = posts.list[i];
			slot->left++;
			rc = xm_engine_issue(e, &r, &one);
			slot->left -= rc != 0;
		}
	}
	if (rc != 0)
		slot->status = rc;
	if (--slot->left == 0)
		slot_end(e, slot);
}

void xm_engine_mend_ended(struct xm_engine *e, uint32_t index, int status)
{
	struct xm_mend_slot *slot = &e->mend.slots[index];

	if (status != 0)
		slot->status = status;
	if (slot->state == XM_MEND_READS) {
		/* Posting from within a completion is the next step's. */
		slot->state = XM_MEND_READ;
		return;
	}
	XM_ASSERT(slot->state == XM_MEND_WRITES && slot->left > 0);
	if (--slot->left == 0)
		slot->state = XM_MEND_WRITTEN;
}

/* --- the beginning of a run ---------------------------------------------------- */

/* From a member that has not been found to have it wrong. */
static void slot_read(struct xm_engine *e, struct xm_mend_slot *slot)
{
	uint32_t index = (uint32_t)(slot - e->mend.slots);
	struct xm_move r = { .kind = XM_OPERATION_MEND,
			     .local = slot_bytes(e, index), .token = index };
	struct xm_volume_posts posts;
	uint64_t size = slot->count * e->options.page_size;
	int rc = slot->wrong != 0
			 ? xm_volume_read_other(&e->io, slot->page, size,
						slot->wrong, &posts)
			 : xm_volume_read(&e->io, slot->page, 0, size, &posts);

	slot->state = XM_MEND_READS;
	if (rc == 0 && posts.size != size)
		rc = -EAGAIN;
	if (rc == 0) {
		posts.sealed = false; /* members are to be equal, not read */
		slot->member = posts.list[0].member;
		r.count = slot->count;
		rc = xm_engine_issue(e, &r, &posts);
	}
	if (rc == 0)
		return;
	/* Each member has been asked. */
	if (rc == -ENODATA && slot->changes ==
				      atomic_load(&e->options.volume->changes)) {
		xm_engine_tampered(e, slot->page);
		rc = -EBADMSG;
	}
	slot->status = rc;
	slot_end(e, slot);
}

/* What was read goes to the members that lack it, if it is right. */
static void slot_was_read(struct xm_engine *e, struct xm_mend_slot *slot)
{
	uint32_t index = (uint32_t)(slot - e->mend.slots);
	uint64_t page = slot->page, limit = page + slot->count;
	const uint8_t *bytes = slot_bytes(e, index);

	while (e->sealing && page < limit &&
	       xm_engine_is_right(e, page, bytes, &slot->former)) {
		bytes += e->options.page_size;
		page++;
	}
	if (!e->sealing || page == limit) {
		if (XM_PLANTED(seal_settled_early) && slot->former)
			xm_seals_restore(&e->seals, slot->page);
		else if (XM_PLANTED(seal_settled_early) && slot->torn && e->sealing)
			xm_seals_settle(&e->seals, slot->page);
		slot_write(e, slot);
	} else if (slot->torn) {
		slot->wrong |= (uint8_t)(1u << slot->member);
		if (XM_PLANTED(seal_first_decides))
			slot->wrong = UINT8_MAX;
		slot_read(e, slot);
	} else {
		slot->status = -EBADMSG;
		slot_end(e, slot);
		xm_engine_doubt(e, page);
	}
}

/* Where the page's block ends, if it is the lane's; else 0. */
static uint64_t own_end(const struct xm_engine *e, uint64_t page)
{
	uint64_t block = e->options.block_pages;

	if ((page / block) % xm_max(e->options.lanes, 1) != e->options.lane)
		return 0;
	return (page | (block - 1)) + 1;
}

/* Begins the next run from *page on. False: for now no more can be done. */
static bool begin(struct xm_engine *e, struct xm_mend_slot *slot,
		  uint64_t *page, uint64_t limit)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_MEND, .page = *page };
	uint64_t stop = own_end(e, *page);
	enum xm_verdict verdict;

	if (stop == 0) {
		*page = xm_min(limit, (*page | (e->options.block_pages - 1)) + 1);
		return true;
	}
	/* It is being divided or handed over: by then it is another's to mend. */
	if (xm_volume_is_held(&e->io, *page) && !XM_PLANTED(mends_held))
		return false;
	ev.limit = xm_min(stop, limit);
	ev.count = (uint32_t)xm_min(
		XM_MEND_PAGES,
		xm_volume_most(&e->io, *page * e->options.page_size) /
			e->options.page_size);
	/* Transports move at least a page at once. */
	ev.count = (uint32_t)xm_max(ev.count, 1);
	verdict = xm_engine_event(e, &ev);
	*page = e->effects.next;
	if (verdict == XM_VERDICT_MEND || verdict == XM_VERDICT_STORED) {
		slot->page = e->effects.seq;
		slot->count = (uint32_t)(e->effects.next - e->effects.seq);
		slot->status = 0;
		slot->torn = xm_pager_mends_torn(&e->pager, slot->page);
		slot->wrong = 0;
		slot->former = false;
		slot->changes = atomic_load(&e->options.volume->changes);
		slot->state = XM_MEND_STORES;
	}
	if (verdict == XM_VERDICT_MEND)
		slot_read(e, slot);
	return verdict != XM_VERDICT_WAIT;
}

static struct xm_mend_slot *slot_free(struct xm_engine *e, uint32_t *ret_used)
{
	struct xm_mend_slot *free = NULL;

	*ret_used = 0;
	for (uint32_t i = 0; i < XM_MEND_SLOTS; i++) {
		if (e->mend.slots[i].state == XM_MEND_FREE)
			free = &e->mend.slots[i];
		else
			(*ret_used)++;
	}
	return free;
}

/* --- steps --------------------------------------------------------------------- */

static void slots_go_on(struct xm_engine *e)
{
	for (uint32_t i = 0; i < XM_MEND_SLOTS; i++) {
		struct xm_mend_slot *slot = &e->mend.slots[i];

		switch (slot->state) {
		case XM_MEND_READ:
			if (slot->status == 0)
				slot_was_read(e, slot);
			else
				slot_end(e, slot);
			break;
		case XM_MEND_WRITTEN:
			slot_end(e, slot);
			break;
		case XM_MEND_STORES:
			/* Of one page. It succeeds if all members have it. */
			if (!xm_pager_is_storing(&e->pager, slot->page))
				slot->state = XM_MEND_FREE;
			break;
		case XM_MEND_FREE:
		case XM_MEND_READS:
		case XM_MEND_WRITES:
			break;
		}
	}
}

static bool may_begin(struct xm_engine *e, uint32_t used)
{
	if (e->pager.counters.misses != e->mend.misses) {
		e->mend.misses = e->pager.counters.misses;
		e->mend.missed_ns = e->clock_ns;
	}
	return used == 0 || e->clock_ns - e->mend.missed_ns >= QUIET;
}

static void sweep(struct xm_engine *e)
{
	uint64_t page, limit;
	uint32_t used;

	for (unsigned n = 0; n < 4 * XM_MEND_SLOTS; n++) {
		struct xm_mend_slot *slot = slot_free(e, &used);

		if (slot == NULL || !may_begin(e, used))
			return;
		if (!xm_volume_filling(e->options.volume, e->mend.cursor, &page,
				       &limit)) {
			if (used > 0)
				return;
			e->mend.sweeps = e->mend.again != XM_NEVER;
			e->mend.cursor = e->mend.again;
			e->mend.again = XM_NEVER;
			e->mend.again_limit = 0;
			return;
		}
		e->mend.cursor = page;
		if (!begin(e, slot, &e->mend.cursor, limit))
			return;
	}
}

static void mend_torn(struct xm_engine *e)
{
	uint64_t page = e->pager.torn_first;

	while (page < e->pager.torn_limit) {
		uint32_t used;
		struct xm_mend_slot *slot = slot_free(e, &used);

		if (slot == NULL)
			return;
		if (xm_pager_is_torn(&e->pager, page)) {
			if (!begin(e, slot, &page, page + 1))
				return;
		} else {
			page++;
		}
	}
}

void xm_engine_mend(struct xm_engine *e)
{
	slots_go_on(e);
	if (e->clock_ns < e->mend.rest_ns)
		return;
	if (e->pager.torn > 0)
		mend_torn(e);
	if (e->mend.sweeps)
		sweep(e);
}

bool xm_engine_flies_since(const struct xm_engine *e, uint32_t appliance,
			   uint64_t posted_ns)
{
	const struct xm_operation *op;

	for (uint32_t i = 0; i < e->held.count; i++) {
		if (e->held.posts.list[i].appliance == appliance &&
		    e->held.begun_ns <= posted_ns)
			return true;
	}
	for (uint32_t i = e->peers[appliance].oldest; i != XM_NO_OPERATION;
	     i = op->next) {
		op = &e->operations[i];
		if (op->begun_ns <= posted_ns)
			return true;
	}
	return false;
}

bool xm_engine_filled(const struct xm_engine *e, uint32_t sweep, uint64_t page,
		      uint64_t limit)
{
	if (e->mend.number - sweep > UINT32_MAX / 2)
		return false; /* it has not begun */
	for (uint32_t i = 0; i < XM_MEND_SLOTS; i++) {
		const struct xm_mend_slot *slot = &e->mend.slots[i];

		if (slot->state != XM_MEND_FREE && slot->page < limit &&
		    page < slot->page + slot->count &&
		    !XM_PLANTED(fills_under_way))
			return false;
	}
	/* Either it is over, or it is behind these pages, and will come back to others. */
	return !e->mend.sweeps ||
	       (e->mend.cursor >= limit &&
		(e->mend.again >= limit || e->mend.again_limit <= page));
}

uint64_t xm_engine_unswept(const struct xm_engine *e)
{
	uint64_t from = xm_min(e->mend.cursor, e->mend.again);

	if (!e->mend.sweeps || from == XM_NEVER)
		return 0;
	return xm_volume_filling_pages(e->options.volume, from) *
	       e->options.page_size / xm_max(e->options.lanes, 1);
}

bool xm_engine_mends(const struct xm_engine *e)
{
	if (e->mend.sweeps || e->pager.torn > 0)
		return true;
	for (uint32_t i = 0; i < XM_MEND_SLOTS; i++) {
		if (e->mend.slots[i].state != XM_MEND_FREE)
			return true;
	}
	return false;
}

void xm_engine_stale(struct xm_engine *e, uint64_t page, uint64_t limit)
{
	while (page < limit) {
		uint64_t stop = own_end(e, page);
		struct xm_pager_event ev = { .kind = XM_PAGER_STALE };

		if (stop == 0) {
			page = (page | (e->options.block_pages - 1)) + 1;
			continue;
		}
		ev.page = page;
		ev.limit = xm_min(limit, stop);
		xm_engine_event(e, &ev);
		page = e->effects.next;
	}
}

void xm_engine_sweep(struct xm_engine *e, uint32_t number)
{
	e->mend.sweeps = true;
	e->mend.number = number;
	e->mend.cursor = 0;
	e->mend.again = XM_NEVER;
	e->mend.again_limit = 0;
	e->turns++;
}
