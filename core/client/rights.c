/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem_protect(): what the program may do with mapped pages. The pager decides about
 * each touch (core/pure/pager_rights.c); the mapper hands the program a SIGSEGV.
 *
 * No lock but the lanes' is taken, so that a handler of that signal may call it.
 */
#include <errno.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/mapping.h"
#include "core/client/range.h"
#include "core/client/region.h"
#include "core/client/sharing.h"

static int set_rights(extmem_region *region, uint64_t first, uint64_t limit,
		      enum xm_page_rights rights, uint64_t deadline_ns)
{
	extmem *x = region->client;
	struct xm_pager_event ev = { .kind = XM_PAGER_RIGHTS, .rights = rights };

	return xm_range(x, &ev, first, limit, deadline_ns);
}

void xm_rights_return(extmem_region *region, uint64_t offset, uint64_t size)
{
	uint64_t first = (region->address + offset) / XM_PAGE;

	/* To give rights never waits, so it cannot fail. */
	if (atomic_load(&region->deprived))
		set_rights(region, first, first + (size + XM_PAGE - 1) / XM_PAGE,
			   XM_PAGE_RIGHTS_ALL, XM_NEVER);
}

static const enum xm_page_rights known[] = {
	[EXTMEM_READ_WRITE] = XM_PAGE_RIGHTS_ALL,
	[EXTMEM_READ_ONLY] = XM_PAGE_RIGHTS_LOAD,
	[EXTMEM_NO_ACCESS] = XM_PAGE_RIGHTS_NONE,
};

int xm_rights_take(extmem_region *region, uint64_t offset, uint64_t size,
		   enum extmem_rights rights, uint64_t deadline_ns)
{
	uint64_t first = (region->address + offset) / XM_PAGE;

	if (rights == EXTMEM_READ_WRITE)
		return 0; /* every page has all at first */
	atomic_store(&region->deprived, true);
	return set_rights(region, first, first + size / XM_PAGE, known[rights],
			  deadline_ns);
}

int extmem_protect(extmem_region *region, uint64_t offset, uint64_t size,
		   enum extmem_rights rights)
{
	uint64_t first, limit;
	int rc = xm_region_usable(region, "extmem_protect");

	if (rc == 0)
		rc = xm_pages_of(region, "extmem_protect", offset, &size, true,
				 &first, &limit);
	if (rc != 0)
		return rc;
	if (region->reads && rights == EXTMEM_READ_WRITE)
		return xm_region_writable(region, "extmem_protect");
	if ((unsigned)rights >= XM_COUNT(known))
		return xm_fail(-EINVAL, "extmem_protect: no rights have the "
			       "number %d", (int)rights);
	if (!atomic_load(&region->attached))
		return xm_fail(-EINVAL, "extmem_protect: the region is not "
			       "mapped");
	if (rights == EXTMEM_READ_WRITE && !atomic_load(&region->deprived))
		return 0;
	if (!region->client->arena.limits.denies)
		return xm_fail(-ENOTSUP, "extmem_protect: with paging=thread no "
			       "touch can be denied: use paging=inline");
	atomic_store(&region->deprived, true);
	rc = set_rights(region, first, limit, known[rights],
			os_now_ns() + region->client->settings.timeout_ns);
	if (rc != 0)
		return xm_fail(rc, "extmem_protect: what is dirty could not "
			       "leave local memory: %s", xm_why(rc));
	return 0;
}

int64_t extmem_permits(extmem *x, const void *address, size_t size, int write)
{
	uintptr_t base = (uintptr_t)x->arena.base, end = base + x->arena.size;
	uintptr_t from = (uintptr_t)address, to = from + size;
	uint64_t page, limit;
	int rc = xm_usable("extmem_permits");

	if (rc != 0)
		return rc;
	if (!xm_arena_overlaps(&x->arena, address, size))
		return (int64_t)size;
	page = ((from > base ? from : base) - base) / XM_PAGE;
	limit = ((to < end ? to : end) - base + XM_PAGE - 1) / XM_PAGE;
	while (page < limit) {
		struct xm_lane *lane = xm_lane_at(&x->lanes, page);
		uint64_t stop = xm_min(limit, xm_block_end(&x->lanes, page));
		struct os_signals old;

		xm_lane_lock(lane, &old);
		page = xm_engine_permitted(&lane->engine, page, stop, write != 0);
		xm_lane_unlock(lane, &old);
		if (page < stop)
			return base + page * XM_PAGE <= from
				       ? 0
				       : (int64_t)(base + page * XM_PAGE - from);
	}
	return (int64_t)size;
}
