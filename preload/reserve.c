/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reserve is one sparse region: three quarters of the client's arena, or less if that
 * cannot be had. A bitmap says which granules have memory. What a request needs is committed
 * together with what will be asked for next: up to the end of 2 MiB, or, behind what has
 * memory already, as much as a quarter of all. So a heap that grows by 64 KiB asks an
 * appliance a few dozen times in all, and one that is used here and there has 2 MiB at
 * each place. What has no rights until the program asks for it has no rights although
 * there is memory.
 *
 * Memory goes back when more than a quarter of it, and more than 32 MiB, is not used: a
 * heap that shrinks and grows again is not to ask each time.
 */
#include "preload/reserve.h"

#include <sys/mman.h>

#include "preload/growth.h"
#include "preload/record.h"

#define GRANULE (UINT64_C(64) << 10) /* as appliances have it */
#define GRANULE_PAGES (GRANULE / SHIM_PAGE)
#define WINDOW (UINT64_C(2) << 20)
#define WINDOW_MAX (UINT64_C(256) << 20)
#define SLACK (UINT64_C(32) << 20)
#define SIZE_MIN (UINT64_C(16) << 20)

uintptr_t reserve_base;
uint64_t reserve_pages;
bool reserve_denies;

static extmem_region *region;
static uint64_t *backed;	 /* a bit for each granule */
static _Atomic uint64_t *planted; /* a bit for each page */
static _Atomic uint64_t backed_bytes;
static _Atomic bool any_planted;

/* --- opening ---------------------------------------------------------------------------- */

static bool request(uint64_t size)
{
	struct extmem_request r = { .size = sizeof(r), .reserve = size };
	char name[64];

	snprintf(name, sizeof(name), "run.%d.mmap", (int)getpid());
	r.name = name;
	return extmem_region_request(shim_client, &r, &region) >= 0;
}

static bool map(void **ret)
{
	if (extmem_map(region, 0, 0, ret) < 0)
		return false;
	reserve_denies = extmem_protect(region, 0, SHIM_PAGE,
					EXTMEM_NO_ACCESS) >= 0;
	return true;
}

bool reserve_open(void)
{
	static bool tried;
	uint64_t size = map_arena_size / 4 * 3, pages;
	void *base;

	if (tried || size == 0 || !shim_client)
		return reserve_base != 0;
	tried = true;
	while (size >= SIZE_MIN && !request(size))
		size /= 2;
	if (size < SIZE_MIN)
		return false;
	pages = extmem_region_size(region) / SHIM_PAGE;
	backed = block_reserve(pages / GRANULE_PAGES / 8 + 8);
	planted = block_reserve(pages / 8 + 8);
	if (!backed || !planted || !map(&base) ||
	    !growth_add_reserve((uintptr_t)base, pages * SHIM_PAGE)) {
		extmem_region_free(region);
		return false;
	}
	reserve_pages = pages;
	reserve_base = (uintptr_t)base;
	return true;
}

/* --- memory ----------------------------------------------------------------------------- */

static bool has_memory(uint64_t granule)
{
	return (backed[granule / 64] >> granule % 64 & 1) != 0;
}

static void set_memory(uint64_t granule, bool has)
{
	if (has_memory(granule) == has)
		return;
	backed[granule / 64] ^= UINT64_C(1) << granule % 64;
	if (has)
		atomic_fetch_add(&backed_bytes, GRANULE);
	else
		atomic_fetch_sub(&backed_bytes, GRANULE);
}

uint64_t reserve_bytes(void)
{
	return atomic_load(&backed_bytes);
}

static int commit(uint64_t first, uint64_t limit)
{
	int r = extmem_region_commit(region, first * GRANULE,
				     (limit - first) * GRANULE,
				     reserve_denies ? EXTMEM_NO_ACCESS
						    : EXTMEM_READ_WRITE);

	for (uint64_t g = first; r >= 0 && g < limit; g++)
		set_memory(g, true);
	return r;
}

/* [*first, *limit) has no memory; makes it the window around it that is taken. */
static void widen(uint64_t *first, uint64_t *limit)
{
	const uint64_t all = reserve_pages / GRANULE_PAGES;
	const uint64_t window = WINDOW / GRANULE;
	uint64_t low = *first & ~(window - 1), end;

	if (*first > 0 && has_memory(*first - 1)) {
		uint64_t more = reserve_bytes() / 4 & ~(WINDOW - 1);

		more = more > WINDOW_MAX ? WINDOW_MAX : more;
		end = *limit + more / GRANULE;
	} else {
		while (*first > low && !has_memory(*first - 1))
			--*first;
		end = *limit;
	}
	end = (end + window - 1) & ~(window - 1);
	while (*limit < end && *limit < all && !has_memory(*limit))
		++*limit;
}

static int back_gap(uint64_t first, uint64_t limit)
{
	uint64_t low = first, high = limit, need = (limit - first) * GRANULE;
	uint64_t may;
	int r = -ENOSPC;

	widen(&low, &high);
	growth_lock();
	may = growth_allowance(need, (high - low) * GRANULE);
	if (may >= (high - low) * GRANULE)
		r = commit(low, high);
	else if (may >= need)
		high = limit;
	if (r == -ENOSPC && may >= need)
		r = commit(first, limit);
	if (r >= 0)
		growth_note(need);
	growth_unlock();
	return r;
}

int reserve_back(uint64_t page, uint64_t limit)
{
	uint64_t g = page / GRANULE_PAGES;
	uint64_t end = (limit + GRANULE_PAGES - 1) / GRANULE_PAGES;
	int r = 0;

	while (r >= 0 && g < end) {
		uint64_t first = g;

		while (g < end && !has_memory(g))
			g++;
		if (g > first)
			r = back_gap(first, g);
		while (g < end && has_memory(g))
			g++;
	}
	return r;
}

/* The neighbourhood of what a request gave up, as far as nothing of it is used. */
void reserve_return(const struct xm_areas *areas, uint64_t page, uint64_t limit)
{
	uint64_t has = reserve_bytes(), idle = has - areas->used * SHIM_PAGE;
	uint64_t first, last, span = WINDOW_MAX / SHIM_PAGE;

	if (has < areas->used * SHIM_PAGE || idle < SLACK || idle < has / 4 ||
	    block_keeps_contents())
		return;
	xm_areas_unused(areas, page, limit, page > span ? page - span : 0,
			limit + span < reserve_pages ? limit + span : reserve_pages,
			&first, &last);
	first = (first + GRANULE_PAGES - 1) / GRANULE_PAGES;
	last /= GRANULE_PAGES;
	if (first >= last)
		return;
	record_fresh((uintptr_t)reserve_at(first * GRANULE_PAGES),
		     (last - first) * GRANULE);
	extmem_region_decommit(region, first * GRANULE, (last - first) * GRANULE);
	for (uint64_t g = first; g < last; g++)
		set_memory(g, extmem_contains(shim_client,
					      reserve_at(g * GRANULE_PAGES)));
}

/* --- contents and rights ------------------------------------------------------------------- */

static enum extmem_rights rights_of(enum xm_area_rights rights)
{
	return rights == XM_AREA_READ_WRITE ? EXTMEM_READ_WRITE
	       : rights == XM_AREA_READ	    ? EXTMEM_READ_ONLY
					    : EXTMEM_NO_ACCESS;
}

int reserve_protect(uint64_t page, uint64_t limit, enum xm_area_rights rights)
{
	if (!reserve_denies)
		return 0;
	return extmem_protect(region, page * SHIM_PAGE, (limit - page) * SHIM_PAGE,
			      rights_of(rights));
}

/* While a child lives that may ask for the contents, they are overwritten: then they are
 * kept for it. */
int reserve_discard(uint64_t page, uint64_t limit, enum xm_area_rights rights)
{
	uint64_t size = (limit - page) * SHIM_PAGE;
	int r = 0;

	if (!block_keeps_contents()) {
		record_fresh((uintptr_t)reserve_at(page), size);
		return extmem_advise(region, page * SHIM_PAGE, size,
				     EXTMEM_DONTNEED);
	}
	if (rights != XM_AREA_READ_WRITE)
		r = reserve_protect(page, limit, XM_AREA_READ_WRITE);
	if (r >= 0)
		memset(reserve_at(page), 0, size);
	if (r >= 0 && rights != XM_AREA_READ_WRITE)
		r = reserve_protect(page, limit, rights);
	return r;
}

int reserve_advise(uint64_t page, uint64_t limit, enum extmem_advice advice)
{
	return extmem_advise(region, page * SHIM_PAGE, (limit - page) * SHIM_PAGE,
			     advice);
}

bool reserve_read(uint64_t page, void *ret)
{
	int r = extmem_read(region, page * SHIM_PAGE, ret, SHIM_PAGE);

	if (r == -ERANGE)
		memset(ret, 0, SHIM_PAGE);
	return r >= 0 || r == -ERANGE;
}

/* --- the program's mappings ------------------------------------------------------------------ */

static void set_planted(uint64_t page, uint64_t limit, bool is)
{
	for (; page < limit; page++) {
		uint64_t bit = UINT64_C(1) << page % 64;

		if (is)
			atomic_fetch_or(&planted[page / 64], bit);
		else
			atomic_fetch_and(&planted[page / 64], ~bit);
	}
}

void reserve_planted(uint64_t page, uint64_t limit)
{
	set_planted(page, limit, true);
	atomic_store(&any_planted, true);
}

int reserve_restore(uint64_t page, uint64_t limit)
{
	int r = extmem_region_restore(region, page * SHIM_PAGE,
				      (limit - page) * SHIM_PAGE);

	set_planted(page, limit, false);
	return r;
}

bool reserve_local_at(uint64_t page)
{
	return atomic_load_explicit(&any_planted, memory_order_relaxed) &&
	       (atomic_load(&planted[page / 64]) >> page % 64 & 1) != 0;
}

size_t reserve_alike(const void *address, size_t size, bool *ret_local)
{
	uintptr_t at = (uintptr_t)address - reserve_base, end = at + size;
	uint64_t page = at / SHIM_PAGE;

	*ret_local = false;
	if (!atomic_load_explicit(&any_planted, memory_order_relaxed) ||
	    page >= reserve_pages)
		return size;
	if (end > reserve_pages * SHIM_PAGE)
		end = reserve_pages * SHIM_PAGE;
	*ret_local = reserve_local_at(page);
	while (++page * SHIM_PAGE < end && reserve_local_at(page) == *ret_local)
		;
	return page * SHIM_PAGE < at + size ? page * SHIM_PAGE - at : size;
}
