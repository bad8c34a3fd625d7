/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reserve in a child of fork(): there the kernel's mappings say what the program may
 * do, since its pages are local or fetched once from the parent, and no pager stands
 * between. What the program asks for goes to the kernel; the table follows, because a
 * child of the child is made from it.
 */
#include "preload/area_parts.h"

#include <sys/mman.h>
#include <sys/syscall.h>

static void became(void *address, size_t size, enum xm_area_kind kind)
{
	uint64_t page = area_page(address), limit = page + size / SHIM_PAGE;

	if (!area_holds(address, size) || size == 0)
		return;
	area_lock();
	if (!xm_areas_full(&area_table))
		xm_areas_set(&area_table, page, limit,
			     (struct xm_area_state){ .kind = (uint8_t)kind });
	area_unlock();
}

void area_child_planted(void *address, size_t size)
{
	became(address, size, XM_AREA_LOCAL);
	reserve_planted(area_page(address),
			area_page(address) + size / SHIM_PAGE);
}

void area_child_unmapped(void *address, size_t size)
{
	became(address, size, XM_AREA_FREE);
}

static int protection_of(enum xm_area_rights rights)
{
	return rights == XM_AREA_READ_WRITE ? PROT_READ | PROT_WRITE
	       : rights == XM_AREA_READ	    ? PROT_READ
					    : PROT_NONE;
}

static void unmap(uint64_t page, uint64_t limit)
{
	if (page < limit)
		shim_raw(SYS_munmap, (long)reserve_at(page),
			 (long)((limit - page) * SHIM_PAGE), 0, 0, 0, 0);
}

static bool begin_area(const struct xm_area *a, bool again,
		       bool (*watch)(void *address, size_t size))
{
	void *at = reserve_at(a->page);
	size_t size = a->count * SHIM_PAGE;
	enum xm_area_rights rights = (enum xm_area_rights)a->is.rights;

	if (!watch(at, size))
		return false;
	if (a->is.fork == XM_AREA_WIPED)
		child_empty(at, size);
	return again || rights == XM_AREA_READ_WRITE ||
	       shim_raw(SYS_mprotect, (long)at, (long)size,
			protection_of(rights), 0, 0, 0) >= 0;
}

bool area_child_begin(bool again, bool (*watch)(void *address, size_t size))
{
	uint64_t page = 0;
	bool well = true;

	if (reserve_base == 0)
		return true;
	for (uint32_t i = 0; i < area_table.count && well; i++) {
		const struct xm_area *a = &area_table.list[i];
		uint64_t limit = a->page + a->count;

		/* What nobody asked for is not mapped; as it is by us in the parent. */
		if (!again)
			unmap(page, a->page);
		page = limit;
		if (a->is.kind != XM_AREA_EXTERNAL)
			continue;
		if (a->is.fork == XM_AREA_ABSENT)
			unmap(a->page, limit);
		else
			well = begin_area(a, again, watch);
	}
	if (!again)
		unmap(page, reserve_pages);
	return well;
}
