/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pins: pages that stay in local memory, so that the kernel can read or write
 * them in a system call. Pages of [address, + size) that no region has mapped are
 * passed over, whole gaps at a time.
 */
#include <errno.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/range.h"

/* The first page from this one on that is mapped, or `limit`. */
static uint64_t mapped_from(extmem *x, uint64_t page, uint64_t limit)
{
	struct xm_lane *lane = &x->lanes.lane[0];
	struct os_signals old;
	uint64_t next;

	xm_lane_lock(lane, &old);
	next = xm_volume_attached_from(&x->volume, page, limit);
	xm_lane_unlock(lane, &old);
	return next;
}

/* 0: pinned; 1: no more can be; 2: not mapped; or an error; -EFAULT: it has not that
 * right. */
static int pin_page(extmem *x, uint64_t page, bool write, uint64_t deadline_ns)
{
	struct xm_lane *lane = xm_lane_at(&x->lanes, page);
	struct xm_pager_event pin = {
		.kind = XM_PAGER_PIN, .page = page, .limit = page + 1,
		.write = write,
	};
	struct os_signals old;
	struct xm_wait wait = { .deadline_ns = deadline_ns, .signals = &old };
	uint64_t since_ns = 0;

	for (unsigned turn = 0;; turn++) {
		enum xm_verdict verdict;

		xm_lane_lock(lane, &old);
		if (!xm_engine_attached(&lane->engine, page)) {
			xm_lane_unlock(lane, &old);
			return 2;
		}
		if (turn == 0)
			since_ns = xm_engine_clock(&lane->engine);
		verdict = xm_engine_event(&lane->engine, &pin);
		if (verdict == XM_VERDICT_WAIT) {
			verdict = xm_engine_fault(&lane->engine, page, write,
						  turn > 0, since_ns);
			if (verdict == XM_VERDICT_DONE)
				verdict = xm_engine_event(&lane->engine, &pin);
			if (verdict == XM_VERDICT_WAIT)
				xm_lane_wait(lane, &wait);
		}
		if (verdict == XM_VERDICT_LOST)
			xm_lost_note(x, page);
		xm_lane_unlock(lane, &old);
		switch (verdict) {
		case XM_VERDICT_DONE: return 0;
		case XM_VERDICT_FULL: return 1;
		case XM_VERDICT_LOST: return -ENOTCONN;
		case XM_VERDICT_DENIED: return -EFAULT;
		default: break; /* it has waited */
		}
		if (os_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
}

/* The part of [address, + size) that is in the arena. */
static bool arena_part(const extmem *x, const void *address, size_t size,
		       uint64_t *ret_begin, uint64_t *ret_end)
{
	uintptr_t base = (uintptr_t)x->arena.base, end = base + x->arena.size;
	uintptr_t from = (uintptr_t)address, to = from + size;

	if (size == 0 || to <= base || from >= end)
		return false;
	*ret_begin = (from > base ? from : base) - base;
	*ret_end = (to < end ? to : end) - base;
	return true;
}

static void unpin_pages(extmem *x, uint64_t page, uint64_t limit)
{
	while (page < limit) {
		struct xm_lane *lane = xm_lane_at(&x->lanes, page);
		struct xm_pager_event ev = {
			.kind = XM_PAGER_UNPIN, .page = page,
			.limit = page + 1,
		};
		struct os_signals old;
		bool mapped;

		xm_lane_lock(lane, &old);
		mapped = xm_engine_attached(&lane->engine, page);
		xm_engine_event(&lane->engine, &ev);
		xm_lane_unlock(lane, &old);
		page++;
		if (!mapped)
			page = mapped_from(x, page, limit);
	}
}

int64_t extmem_pin(extmem *x, const void *address, size_t size, int write)
{
	uint64_t begin, end, page;
	uint64_t deadline_ns = os_now_ns() + x->settings.timeout_ns;
	int rc = xm_usable("extmem_pin");

	if (rc != 0)
		return rc;
	if (!arena_part(x, address, size, &begin, &end))
		return (int64_t)size;
	for (page = begin / XM_PAGE; page * XM_PAGE < end; page++) {
		rc = pin_page(x, page, write != 0, deadline_ns);
		if (rc == 0)
			continue;
		if (rc == 2) {
			/* The loop steps on from the page before. */
			page = mapped_from(x, page + 1,
					   (end + XM_PAGE - 1) / XM_PAGE) - 1;
			continue;
		}
		if ((rc > 0 || rc == -EFAULT) && page * XM_PAGE > begin)
			/* Up to the end of the last page that is pinned. */
			return (int64_t)(x->arena.base + page * XM_PAGE -
					 (const uint8_t *)address);
		unpin_pages(x, begin / XM_PAGE, page);
		if (rc > 0)
			return xm_fail(-ENOMEM, "extmem_pin: half of the local "
				       "memory is pinned already");
		return xm_fail(rc, "extmem_pin: %s",
			       rc == -EFAULT ? "the first page has not the right "
					       "(extmem_protect())"
					     : xm_why(rc));
	}
	return (int64_t)size;
}

void extmem_unpin(extmem *x, const void *address, size_t size)
{
	uint64_t begin, end;

	if (xm_usable("extmem_unpin") == 0 &&
	    arena_part(x, address, size, &begin, &end))
		unpin_pages(x, begin / XM_PAGE,
			    (end + XM_PAGE - 1) / XM_PAGE);
}
