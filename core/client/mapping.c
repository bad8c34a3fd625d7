/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mapping regions into the arena, and what the program says about mapped pages
 * (sync, advice). A region has one registration with the mapper,
 * which serves all of its mappings; the first one begins it, and the last one to
 * go ends it.
 */
#include "core/client/mapping.h"

#include <errno.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/range.h"
#include "core/client/sharing.h"
#include "core/pure/plant.h"

int xm_pages_of(const extmem_region *region, const char *call,
		uint64_t offset, uint64_t *size, bool aligned,
		uint64_t *ret_first, uint64_t *ret_limit)
{
	uint64_t end = region->size; /* it may be resized meanwhile */

	if (*size == 0 && offset <= end)
		*size = end - offset;
	if (!xm_span_fits(offset, *size, end))
		return xm_fail(-ERANGE, "%s: [%llu, +%llu) is outside the "
			       "region of %llu bytes", call,
			       (unsigned long long)offset,
			       (unsigned long long)*size,
			       (unsigned long long)end);
	if (aligned && (!xm_is_aligned(offset, XM_PAGE) ||
			!xm_is_aligned(*size, XM_PAGE)))
		return xm_fail(-EINVAL, "%s: offset %llu and size %llu must be "
			       "multiples of %llu", call,
			       (unsigned long long)offset,
			       (unsigned long long)*size,
			       (unsigned long long)XM_PAGE);
	*ret_first = (region->address + offset) / XM_PAGE;
	*ret_limit = (region->address + offset + *size + XM_PAGE - 1) /
		     XM_PAGE;
	return 0;
}

/* --- map and unmap ---------------------------------------------------------- */

void xm_set_attached(extmem_region *region, uint64_t offset, uint64_t size,
		     bool attached)
{
	extmem *x = region->client;
	uint64_t page = (region->address + offset) / XM_PAGE;
	uint64_t limit = page + size / XM_PAGE;
	struct os_signals old;

	xm_lanes_lock(&x->lanes, &old);
	for (uint32_t i = 0; i < x->lanes.count; i++)
		atomic_store(&x->lanes.lane[i].mapped, true);
	xm_volume_set_attached(&x->volume, page, limit, attached);
	xm_lanes_unlock(&x->lanes, &old);
}

int xm_attach(extmem_region *region, uint64_t offset, uint64_t size)
{
	extmem *x = region->client;
	int rc = x->arena.ops->attach(x->arena.mapper,
				      (region->address + offset) / XM_PAGE,
				      size / XM_PAGE);

	if (rc == 0)
		xm_set_attached(region, offset, size, true);
	return rc;
}

void xm_detach(extmem_region *region, uint64_t offset, uint64_t size)
{
	extmem *x = region->client;

	xm_set_attached(region, offset, size, false);
	x->arena.ops->detach(x->arena.mapper,
			     (region->address + offset) / XM_PAGE,
			     size / XM_PAGE);
}

/* Size 0 is to the region's end, wherever resize() has moved that. */
static struct xm_mapping *mapping_find(extmem_region *region, uint64_t offset,
				    uint64_t size)
{
	for (size_t i = 0; i < region->mappings_count; i++) {
		struct xm_mapping *m = &region->mappings[i];
		uint64_t own = m->size == 0 ? region->size - m->offset
					    : m->size;

		if (m->offset == offset &&
		    (m->size == size ||
		     own == (size == 0 ? region->size - offset : size)))
			return m;
	}
	return NULL;
}

static int mapping_add(extmem_region *region, uint64_t offset, uint64_t size)
{
	struct xm_mapping *m = mapping_find(region, offset, size);

	if (m != NULL) {
		m->count++;
		return 0;
	}
	if (region->mappings_count == region->mappings_max) {
		size_t max = region->mappings_max * 2 + 8;

		m = os_alloc(max * sizeof(*m));
		if (m == NULL)
			return -ENOMEM;
		if (region->mappings_count > 0)
			memcpy(m, region->mappings,
			       region->mappings_count * sizeof(*m));
		os_free(region->mappings);
		region->mappings = m;
		region->mappings_max = max;
	}
	region->mappings[region->mappings_count++] = (struct xm_mapping){
		.offset = offset, .size = size, .count = 1,
	};
	return 0;
}

int extmem_map(extmem_region *region, uint64_t offset, uint64_t size,
	       void **ret)
{
	extmem *x = region->client;
	uint64_t first, limit, asked = size;
	int rc = xm_region_usable(region, "extmem_map");

	if (rc == 0)
		rc = xm_pages_of(region, "extmem_map", offset, &size, true,
			      &first, &limit);
	if (rc != 0)
		return rc;
	if (region->reads && !x->arena.limits.denies)
		return xm_fail(-ENOTSUP, "extmem_map: with paging=thread no store "
			       "can be denied, and region %s is another client's: use "
			       "paging=inline, or extmem_read()", region->name);
	if (size == 0)
		return xm_fail(-ERANGE, "extmem_map: nothing of the region "
			       "lies behind its end, %llu",
			       (unsigned long long)offset);
	os_mutex_take(&region->lock);
	rc = xm_region_track(region);
	/* One registration serves every mapping of the region. */
	if (rc == 0 && !region->attached) {
		rc = xm_attach(region, 0, region->size);
		region->attached = rc == 0;
	}
	if (rc == 0)
		rc = mapping_add(region, offset, asked);
	os_mutex_give(&region->lock);
	if (rc == -ETIMEDOUT)
		return xm_fail(rc, "extmem_map: explicit calls under way in "
			       "region %s did not end within the timeout",
			       region->name);
	if (rc != 0)
		return xm_fail(rc, "extmem_map: %s", strerror(-rc));
	*ret = x->arena.base + region->address + offset;
	return 0;
}

static int unmap_last(extmem_region *region)
{
	extmem *x = region->client;
	uint64_t first = region->address / XM_PAGE;
	uint64_t limit = first + region->size / XM_PAGE;
	int rc = atomic_load(&region->parted)
			 ? 0
			 : xm_flush(x, first, limit, true,
				    os_now_ns() + x->settings.timeout_ns);

	if (rc != 0)
		return rc;
	xm_detach(region, 0, region->size);
	region->attached = false;
	if (!region->reads)
		xm_rights_return(region, 0, region->size);
	return 0;
}

int extmem_unmap(extmem_region *region, uint64_t offset, uint64_t size)
{
	struct xm_mapping *m;
	int rc = xm_region_exists(region, "extmem_unmap");

	if (rc != 0)
		return rc;
	os_mutex_take(&region->lock);
	m = mapping_find(region, offset, size);
	if (m == NULL)
		rc = xm_fail(-EINVAL, "extmem_unmap: no mapping of "
			     "[%llu, +%llu) was made",
			     (unsigned long long)offset,
			     (unsigned long long)size);
	else if (m->count == 1 && region->mappings_count == 1 &&
		 (rc = unmap_last(region)) != 0)
		xm_fail(rc, "extmem_unmap: it stays mapped, its dirty pages "
			"could not be written back: %s", xm_why(rc));
	else if (--m->count == 0)
		*m = region->mappings[--region->mappings_count];
	os_mutex_give(&region->lock);
	return rc;
}

void *extmem_region_address(const extmem_region *region)
{
	return region->client->arena.base + region->address;
}

int extmem_contains(const extmem *cx, const void *address)
{
	extmem *x = (extmem *)(uintptr_t)cx; /* its lock is taken */
	uint64_t offset = (uint64_t)((const uint8_t *)address - x->arena.base);
	struct xm_lane *lane;
	struct os_signals old;
	bool mapped;

	if ((const uint8_t *)address < x->arena.base || offset >= x->arena.size)
		return 0;
	lane = xm_lane_at(&x->lanes, offset / XM_PAGE);
	xm_lane_lock(lane, &old);
	mapped = xm_engine_attached(&lane->engine, offset / XM_PAGE);
	xm_lane_unlock(lane, &old);
	return mapped;
}

/* --- sync and advice -------------------------------------------------------- */

int extmem_sync(extmem_region *region, uint64_t offset, uint64_t size)
{
	extmem *x = region->client;
	uint64_t first, limit;
	int rc = xm_region_usable(region, "extmem_sync");

	if (rc == 0)
		rc = xm_pages_of(region, "extmem_sync", offset, &size, false,
			      &first, &limit);
	if (rc != 0 || !atomic_load(&region->tracked) ||
	    XM_PLANTED(sync_nothing))
		return rc;
	rc = xm_flush(x, first, limit, false,
		      os_now_ns() + x->settings.timeout_ns);
	if (rc != 0)
		return xm_fail(rc, "extmem_sync: not all is in the remote "
			       "memory: %s", xm_why(rc));
	return 0;
}

/* The end of the run from `page` on of which all pages are fresh, or none. */
static uint64_t alike(extmem *x, uint64_t page, uint64_t limit, bool *ret_fresh)
{
	bool fresh = false, here = false;

	for (uint64_t first = page; page < limit;) {
		struct xm_lane *lane = xm_lane_at(&x->lanes, page);
		struct os_signals old;
		uint64_t stop;

		xm_lane_lock(lane, &old);
		stop = xm_engine_alike(&lane->engine, page,
				       xm_min(limit, xm_block_end(&x->lanes, page)),
				       &here);
		xm_lane_unlock(lane, &old);
		if (page == first)
			fresh = here;
		if (here != fresh)
			break;
		page = stop;
	}
	*ret_fresh = fresh;
	return page;
}

int64_t extmem_region_fresh(extmem_region *region, uint64_t offset, uint64_t size,
			    int *ret)
{
	uint64_t page, limit, end;
	bool fresh = false;
	int rc = xm_region_usable(region, "extmem_region_fresh");

	if (rc == 0)
		rc = xm_pages_of(region, "extmem_region_fresh", offset, &size,
				 false, &page, &limit);
	if (rc != 0)
		return rc;
	end = offset + size;
	if (atomic_load(&region->tracked)) {
		page = alike(region->client, page, limit, &fresh);
		end = xm_min(end, page * XM_PAGE - region->address);
	}
	*ret = fresh;
	return (int64_t)(end - offset);
}

/* Reads as zero from now on. A region that was never mapped or tracked does so
 * already where nothing was written to it; else the pager has to know. */
static int discard(extmem_region *region, const struct xm_pager_event *ev,
		   uint64_t first, uint64_t limit, uint64_t deadline_ns)
{
	int rc = 0;

	if (!atomic_load(&region->tracked)) {
		os_mutex_take(&region->lock);
		if (atomic_load(&region->written))
			rc = xm_region_track(region);
		os_mutex_give(&region->lock);
		if (rc != 0 || !atomic_load(&region->tracked))
			return rc;
	}
	atomic_store(&region->fouled, true);
	return xm_range(region->client, ev, first, limit, deadline_ns);
}

int extmem_advise(extmem_region *region, uint64_t offset, uint64_t size,
		  enum extmem_advice advice)
{
	extmem *x = region->client;
	struct xm_pager_event ev = { .kind = XM_PAGER_ADVISE };
	uint64_t first, limit, deadline_ns;
	int rc = xm_region_usable(region, "extmem_advise");

	if (rc == 0 && advice == EXTMEM_DONTNEED)
		rc = xm_region_writable(region, "extmem_advise");
	if (rc == 0)
		rc = xm_pages_of(region, "extmem_advise", offset, &size, true,
			      &first, &limit);
	if (rc != 0)
		return rc;
	switch (advice) {
	case EXTMEM_NORMAL: ev.advice = XM_ADVICE_NORMAL; break;
	case EXTMEM_SEQUENTIAL: ev.advice = XM_ADVICE_SEQUENTIAL; break;
	case EXTMEM_RANDOM: ev.advice = XM_ADVICE_RANDOM; break;
	case EXTMEM_WILLNEED: ev.kind = XM_PAGER_WILLNEED; break;
	case EXTMEM_DONTNEED: ev.kind = XM_PAGER_DISCARD; break;
	case EXTMEM_COLD: ev.kind = XM_PAGER_EVICT; break;
	default:
		return xm_fail(-EINVAL, "extmem_advise: no advice has the "
			       "number %d", (int)advice);
	}
	deadline_ns = os_now_ns() + x->settings.timeout_ns;
	if (ev.kind == XM_PAGER_DISCARD)
		rc = discard(region, &ev, first, limit, deadline_ns);
	else if (!atomic_load(&region->tracked))
		return xm_fail(-EINVAL, "extmem_advise: the region is neither "
			       "mapped nor tracked");
	else if (ev.kind == XM_PAGER_EVICT)
		rc = xm_flush(x, first, limit, true, deadline_ns);
	else
		rc = xm_range(x, &ev, first, limit, deadline_ns);
	/* As far as it could in that time. */
	if (rc == -ETIMEDOUT && ev.kind == XM_PAGER_WILLNEED)
		rc = 0;
	if (rc != 0)
		return xm_fail(rc, "extmem_advise: %s", xm_why(rc));
	return 0;
}
