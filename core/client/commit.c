/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sparse regions: their addresses are reserved at once, their memory comes and goes by
 * ranges, for programs that reserve first.
 *
 * Memory belongs to addresses: a range that is committed gets extents of its own, which
 * are segments like any other. So all that is known of segments (mirrors, loss, leases)
 * is true of these, and what has no segment has no memory. A program that commits small
 * pieces commits ahead of them: it knows what will be next to what. What was
 * decommitted and does not reach the end of its extent stays, empty, for the next
 * commit there.
 *
 * To the mapper the whole span is attached: one registration, and one mapping of the
 * kernel's, whatever has memory.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/mapping.h"
#include "core/client/range.h"
#include "core/client/segments.h"
#include "core/client/strategies.h"

static int check(extmem_region *region, const char *call, uint64_t offset,
		 uint64_t size)
{
	int rc = xm_region_usable(region, call);

	if (rc != 0)
		return rc;
	if (!region->sparse)
		return xm_fail(-EINVAL, "%s: the region is not sparse: it has "
			       "its memory already", call);
	if (!xm_span_fits(offset, size, region->size))
		return xm_fail(-ERANGE, "%s: [%llu, +%llu) is outside the "
			       "region of %llu bytes", call,
			       (unsigned long long)offset,
			       (unsigned long long)size,
			       (unsigned long long)region->size);
	if (!xm_is_aligned(offset, XM_PAGE) || !xm_is_aligned(size, XM_PAGE))
		return xm_fail(-EINVAL, "%s: offset %llu and size %llu must be "
			       "multiples of %llu", call,
			       (unsigned long long)offset,
			       (unsigned long long)size,
			       (unsigned long long)XM_PAGE);
	return 0;
}

/* What is given and taken is a multiple of this: rows of stripes, or granules. */
static uint64_t unit_of(const extmem_region *region)
{
	uint64_t granule = region->client->ask.granule;

	return region->strategy == NULL
		       ? granule
		       : xm_strategy_row(region->strategy, granule);
}

/* The next run of addresses from *address on that has memory, or has none, in bytes of the
 * arena; false: there is none. */
static bool next_run(extmem *x, bool backed, uint64_t *address, uint64_t end,
		     uint64_t *ret_size)
{
	uint64_t (*first)(const struct xm_volume *, uint64_t, uint64_t) =
		backed ? xm_volume_backed_from : xm_volume_hole_from;
	uint64_t (*behind)(const struct xm_volume *, uint64_t, uint64_t) =
		backed ? xm_volume_hole_from : xm_volume_backed_from;
	struct xm_lane *lane = &x->lanes.lane[0];
	uint64_t limit = end / XM_PAGE, page, next;
	struct os_signals old;

	xm_lane_lock(lane, &old);
	page = first(&x->volume, *address / XM_PAGE, limit);
	next = behind(&x->volume, page, limit);
	xm_lane_unlock(lane, &old);
	*address = page * XM_PAGE;
	*ret_size = (next - page) * XM_PAGE;
	return page < limit;
}

/* Before the pages can be touched. */
static int prepare(extmem_region *region, uint64_t address, uint64_t size,
		   enum extmem_rights rights)
{
	extmem *x = region->client;
	const struct xm_page_range range = { address / XM_PAGE, size / XM_PAGE };

	/* A thread that reads faults has poisoned what was touched too early. */
	if (region->attached && !x->arena.limits.denies)
		x->arena.ops->drop(x->arena.mapper, &range, 1);
	return xm_rights_take(region, address - region->address, size, rights,
			      os_now_ns() + x->settings.timeout_ns);
}

static int back(extmem_region *region, uint64_t address, uint64_t size,
		enum extmem_rights rights)
{
	extmem *x = region->client;
	char words[512] = "out of memory";
	int rc = xm_segments_alloc(x, region, address, size, words,
				   sizeof(words));

	if (rc == 0) {
		rc = xm_segments_wait(x, address, size, words, sizeof(words));
		if (rc == 0)
			rc = prepare(region, address, size, rights);
		if (rc != 0)
			xm_segments_free(x, address, address + size);
	}
	if (rc != 0)
		return xm_fail(rc, "extmem_region_commit: %s", words);
	atomic_fetch_add(&region->backed, size);
	if (region->attached)
		xm_set_attached(region, address - region->address, size, true);
	return 0;
}

int extmem_region_commit(extmem_region *region, uint64_t offset, uint64_t size,
			 enum extmem_rights rights)
{
	extmem *x;
	uint64_t at, end, gap, unit;
	int rc = check(region, "extmem_region_commit", offset, size);

	if (rc != 0 || size == 0)
		return rc;
	x = region->client;
	if (rights != EXTMEM_READ_WRITE && !x->arena.limits.denies)
		return xm_fail(-ENOTSUP, "extmem_region_commit: with "
			       "paging=thread no touch can be denied: use "
			       "paging=inline");
	xm_regions_lock(x);
	os_mutex_take(&region->lock);
	unit = unit_of(region);
	at = region->address + offset / unit * unit;
	end = region->address +
	      xm_min(region->size / unit, (offset + size + unit - 1) / unit) * unit;
	while (rc == 0 && next_run(x, false, &at, end, &gap)) {
		rc = back(region, at, gap, rights);
		at += gap;
	}
	os_mutex_give(&region->lock);
	xm_regions_unlock(x);
	return rc;
}

/* Segments as a whole, or the end of one, which an appliance can take back. (Were the
 * middle of an extent given back, the key of what lies behind would still reach it.) */
static int unback(extmem_region *region, uint64_t address, uint64_t size)
{
	extmem *x = region->client;
	uint64_t offset = address - region->address;
	int rc = xm_segments_split(x, address);

	if (rc != 0) {
		xm_discard(region, offset, size);
		return rc == -EBUSY || rc == -ENOSPC ? 0 : rc; /* it stays */
	}
	if (region->attached)
		xm_set_attached(region, offset, size, false);
	xm_region_forget(region, offset, size);
	xm_segments_quiesce(x);
	atomic_fetch_sub(&region->backed, size);
	return xm_segments_free(x, address, address + size);
}

int extmem_region_decommit(extmem_region *region, uint64_t offset, uint64_t size)
{
	extmem *x;
	uint64_t first, limit, end, piece, unit;
	bool whole;
	int rc = check(region, "extmem_region_decommit", offset, size);

	if (rc != 0 || size == 0)
		return rc;
	x = region->client;
	xm_regions_lock(x);
	os_mutex_take(&region->lock);
	unit = unit_of(region);
	first = xm_min((offset + unit - 1) / unit * unit, offset + size);
	limit = xm_max((offset + size) / unit * unit, first);
	xm_discard(region, offset, first - offset);
	xm_discard(region, limit, offset + size - limit);
	end = region->address + limit;
	while (xm_segments_last(x, region->address + first, &end, &piece, &whole)) {
		int last = 0;

		if (whole)
			last = unback(region, end, piece);
		else
			xm_discard(region, end - region->address, piece);
		if (rc == 0)
			rc = last;
	}
	os_mutex_give(&region->lock);
	xm_regions_unlock(x);
	return rc == 0 ? 0
		       : xm_fail(rc, "extmem_region_decommit: %s", xm_why(rc));
}

/* The pager may still take pages for present that went with the program's mapping. */
static void discard_backed(extmem_region *region, uint64_t offset, uint64_t size)
{
	uint64_t at = region->address + offset, end = at + size, run;

	for (; next_run(region->client, true, &at, end, &run); at += run)
		xm_discard(region, at - region->address, run);
}

/* The mapper may have nothing there: neither a page, which would be of the program's own
 * mapping, nor a registration. */
int extmem_region_restore(extmem_region *region, uint64_t offset, uint64_t size)
{
	extmem *x;
	uint64_t page;
	int rc = check(region, "extmem_region_restore", offset, size);

	if (rc != 0 || size == 0)
		return rc;
	x = region->client;
	page = (region->address + offset) / XM_PAGE;
	os_mutex_take(&region->lock);
	if (region->attached) {
		x->arena.ops->detach(x->arena.mapper, page, size / XM_PAGE);
		rc = x->arena.ops->attach(x->arena.mapper, page, size / XM_PAGE);
		if (rc == 0)
			discard_backed(region, offset, size);
	}
	os_mutex_give(&region->lock);
	return rc == 0 ? 0
		       : xm_fail(rc, "extmem_region_restore: %s", strerror(-rc));
}
