/* SPDX-License-Identifier: BSD-3-Clause */
/* Slabs: parts of a region, selected by this client alone, with no message. A
 * table in local memory (common/extent.h) says which parts are free. */
#include <errno.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/mapping.h"
#include "core/client/range.h"
#include "core/client/region.h"
#include "core/client/sharing.h"

void xm_discard(extmem_region *region, uint64_t offset, uint64_t size)
{
	extmem *x = region->client;
	struct xm_pager_event ev = { .kind = XM_PAGER_DISCARD };
	uint64_t first = (region->address + offset) / XM_PAGE;

	if (size == 0 || !atomic_load(&region->tracked))
		return;
	atomic_store(&region->fouled, true);
	xm_range(x, &ev, first, first + (size + XM_PAGE - 1) / XM_PAGE,
		 XM_NEVER);
}

int extmem_slab_alloc(extmem_region *region, uint64_t size,
		      uint64_t *ret_offset)
{
	int rc = xm_region_usable(region, "extmem_slab_alloc");

	if (rc == 0)
		rc = xm_region_writable(region, "extmem_slab_alloc");
	if (rc != 0)
		return rc;
	os_mutex_take(&region->lock);
	rc = xm_extent_take(&region->slabs, size, 0, ret_offset);
	if (rc == 0) {
		region->slabs_count++;
		/* Written before the first mapping, and freed: nobody has
		 * discarded that. */
		if (atomic_load(&region->written))
			xm_discard(region, *ret_offset, size);
	}
	os_mutex_give(&region->lock);
	if (rc == -ENOSPC)
		return xm_fail(rc, "extmem_slab_alloc: region %s has no run of "
			       "%llu bytes free", region->name,
			       (unsigned long long)size);
	if (rc != 0)
		return xm_fail(rc, "extmem_slab_alloc: a slab of %llu bytes",
			       (unsigned long long)size);
	return 0;
}

int extmem_slab_free(extmem_region *region, uint64_t offset)
{
	struct xm_extent_range range;
	uint64_t start, size;
	int rc = xm_region_usable(region, "extmem_slab_free");

	if (rc == 0)
		rc = xm_region_writable(region, "extmem_slab_free");
	if (rc != 0)
		return rc;
	os_mutex_take(&region->lock);
	/* A slab of the heap's is not the caller's to free. */
	rc = xm_extent_find(&region->slabs, offset, &range);
	if (rc != 0 || range.offset != offset ||
	    xm_heap_find(&region->heap, offset, &start, &size) == 0)
		rc = -EINVAL;
	if (rc == 0) {
		/* While it is still nobody else's. */
		xm_rights_return(region, offset, range.size);
		xm_discard(region, offset, range.size);
		rc = xm_extent_give(&region->slabs, offset, &size);
		region->slabs_count--;
	}
	os_mutex_give(&region->lock);
	if (rc != 0)
		return xm_fail(-EINVAL, "extmem_slab_free: no slab begins at "
			       "%llu", (unsigned long long)offset);
	return 0;
}
