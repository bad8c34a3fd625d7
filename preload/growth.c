/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The regions, and by how much they grow.
 *
 * The first region has 4 MiB, or as much as the first allocation needs. When
 * there is no room, as much again is taken as there is already, but at most half
 * of what the appliances have left, unless one allocation needs more. The last
 * region grows where it is, up to 16 times its first size; then another one is
 * begun. So a program holds at most twice what it needed, a small program holds
 * little, and there are few regions. Example: 4 MiB, 8, 16, 32, 64 in the first
 * region; then a second one of 64 MiB, which may grow to 1 GiB. Each is mapped
 * whole.
 *
 * What the appliances have left is asked by the thread of figures.c after each
 * growth, and not here: nobody who calls malloc() waits for an appliance that
 * does not answer. Until the first answer a region grows by its first size, or
 * by what is needed.
 *
 * One of the regions is the reserve (reserve.c), which has no blocks and takes memory
 * by itself, under the same limits.
 *
 * One lock, held while a region is taken or grows. Bounds: 64 regions.
 */
#include "preload/growth.h"
#include "preload/reserve.h"

#include <sys/mman.h>

#define REGIONS_MAX 64
#define REGION_SIZE_FIRST (UINT64_C(4) << 20)
#define REGION_GROWTH 16 /* times its first size, as the library has it */
#define GRANULE (UINT64_C(2) << 20)
#define UNKNOWN UINT64_MAX

static struct region regions[REGIONS_MAX];
static _Atomic unsigned region_count;
_Atomic uintptr_t block_low = UINTPTR_MAX, block_high;

static pthread_mutex_t grow_lock = PTHREAD_MUTEX_INITIALIZER;

struct region *growth_region(unsigned index)
{
	return &regions[index];
}

struct region *growth_region_of(uintptr_t address)
{
	unsigned n = atomic_load_explicit(&region_count, memory_order_acquire);

	for (unsigned i = 0; i < n; i++)
		if (address - regions[i].base <
		    atomic_load_explicit(&regions[i].reach,
					 memory_order_relaxed))
			return &regions[i];
	return NULL;
}

bool block_contains_slow(uintptr_t address)
{
	return growth_region_of(address) != NULL;
}

bool block_is_reserve(unsigned index)
{
	return !regions[index].handle;
}

bool block_region_at(unsigned index, uintptr_t *ret_base, uint64_t *ret_size)
{
	if (index >= atomic_load(&region_count))
		return false;
	*ret_base = regions[index].base;
	*ret_size = atomic_load(&regions[index].size);
	return true;
}

uint64_t block_region_pages_max(unsigned index)
{
	return regions[index].size_max / SHIM_PAGE;
}

void *block_reserve(size_t size)
{
	void *p = shim_real()->mmap(NULL, size, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				    -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	shim_real()->madvise(p, size, MADV_DONTDUMP); /* a core would be as large */
	return p;
}

/* --- regions ---------------------------------------------------------------- */

static void note_bounds(const struct region *r, uint64_t size)
{
	if (r->base < atomic_load(&block_low))
		atomic_store(&block_low, r->base);
	if (r->base + size > atomic_load(&block_high))
		atomic_store(&block_high, r->base + size);
}

/* As --advise has it. */
static void advise_all(extmem_region *handle, uint64_t size)
{
	if (shim_options.advise == ADVISE_SEQUENTIAL)
		extmem_advise(handle, 0, size, EXTMEM_SEQUENTIAL);
	else if (shim_options.advise == ADVISE_RANDOM)
		extmem_advise(handle, 0, size, EXTMEM_RANDOM);
}

#define ROW_MAX (UINT64_C(64) << 20)

int growth_alloc(const char *name, uint64_t size, extmem_region **ret)
{
	int error = extmem_region_alloc(shim_client, name, size, ret);

	while (error == -EINVAL && size < ROW_MAX) {
		size *= 2;
		error = extmem_region_alloc(shim_client, name, size, ret);
	}
	return error;
}

bool growth_add_reserve(uintptr_t base, uint64_t size)
{
	unsigned n = atomic_load(&region_count);
	struct region *r = &regions[n];
	void *owner = block_reserve(size / SHIM_PAGE * sizeof(uint32_t));

	if (n == REGIONS_MAX || !owner)
		return false;
	*r = (struct region){ .index = n, .base = base, .size = size,
			      .reach = size, .size_max = size, .owner = owner };
	note_bounds(r, size);
	atomic_store_explicit(&region_count, n + 1, memory_order_release);
	return true;
}

static int region_take(uint64_t size)
{
	unsigned n = atomic_load(&region_count);
	struct region *r = &regions[n];
	extmem_region *handle;
	void *base, *owner;
	uint64_t most;
	char name[64];
	int error;

	snprintf(name, sizeof(name), "run.%d.%u", (int)getpid(), n);
	error = growth_alloc(name, size, &handle);
	if (error < 0)
		return error;
	size = extmem_region_size(handle);
	most = REGION_GROWTH * size;
	error = extmem_map(handle, 0, 0, &base);
	owner = error < 0 ? NULL
			  : block_reserve(most / SHIM_PAGE * sizeof(uint32_t));
	if (error >= 0 && !owner) { /* ulimit -v: no growth, then */
		most = size;
		owner = block_reserve(most / SHIM_PAGE * sizeof(uint32_t));
	}
	if (!owner) {
		extmem_region_free(handle);
		return error < 0 ? error : -ENOMEM;
	}
	advise_all(handle, size);
	r->index = n;
	r->base = (uintptr_t)base;
	r->size_max = most;
	r->handle = handle;
	r->owner = owner;
	atomic_store(&r->size, size);
	atomic_store(&r->reach, size);
	note_bounds(r, size);
	atomic_store_explicit(&region_count, n + 1, memory_order_release);
	return 0;
}

/* Where it is: what is there keeps its addresses. */
static int region_grow(struct region *r, uint64_t more)
{
	uint64_t size = atomic_load(&r->size) + more;
	int error;

	if (size > r->size_max)
		return -ENOMEM;
	/* As soon as the library has what is new another thread may be lent some
	 * of it, and asks whose it is. */
	note_bounds(r, r->size_max);
	atomic_store(&r->reach, r->size_max);
	error = extmem_region_resize(r->handle, size);
	if (error < 0) {
		atomic_store(&r->reach, atomic_load(&r->size));
		return error;
	}
	size = extmem_region_size(r->handle);
	if (size > r->size_max)
		size = r->size_max;
	advise_all(r->handle, size);
	atomic_store(&r->size, size);
	atomic_store(&r->reach, size);
	return 0;
}

uint64_t growth_total(void)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < atomic_load(&region_count); i++)
		total += regions[i].handle ? atomic_load(&regions[i].size)
					   : reserve_bytes();
	return total;
}

/* --- what the appliances have left ------------------------------------------- */

/* As they said when they were last asked, less what was taken since then. It
 * promises nothing: others take memory, too. */
static _Atomic uint64_t remote_free = UNKNOWN;
static _Atomic bool remote_asks = true;

bool growth_take_question(void)
{
	return atomic_exchange(&remote_asks, false);
}

void growth_set_remote_free(uint64_t bytes)
{
	atomic_store(&remote_free, bytes);
}

void growth_note(uint64_t bytes)
{
	uint64_t was = atomic_load(&remote_free);

	while (was != UNKNOWN &&
	       !atomic_compare_exchange_weak(&remote_free, &was,
					     was > bytes ? was - bytes : 0))
		;
	atomic_store(&remote_asks, true);
}

/* --- growth ------------------------------------------------------------------ */

/* The last region that has blocks; NULL: none has. */
static struct region *region_last(void)
{
	unsigned n = atomic_load(&region_count);

	while (n > 0 && !regions[n - 1].handle)
		n--;
	return n > 0 ? &regions[n - 1] : NULL;
}

/* Takes `want` more, or `need` if that is all there is. */
static int take_more(uint64_t want, uint64_t need)
{
	struct region *last = region_last();
	int r = last ? region_grow(last, want) : -ENOMEM;

	if (r == -ENOSPC && want > need)
		r = region_grow(last, need);
	if (r != -ENOMEM)
		return r;
	if (atomic_load(&region_count) == REGIONS_MAX)
		return -ENOSPC;
	r = region_take(want);
	if (r == -ENOSPC && want > need)
		r = region_take(need); /* others took some */
	return r;
}

uint64_t growth_allowance(uint64_t need, uint64_t want)
{
	uint64_t total = growth_total(), left, there;

	left = !shim_options.external	       ? UINT64_MAX
	       : shim_options.external > total ? shim_options.external - total
				       : 0;
	left &= ~(GRANULE - 1);
	there = atomic_load(&remote_free);
	there = there == UNKNOWN ? REGION_SIZE_FIRST : there / 2 & ~(GRANULE - 1);
	if (want > there)
		want = there;
	if (want < need)
		want = need;
	return want < left ? want : left;
}

/* More external memory, with room for `size`; there were `seen` bytes when
 * there was none. */
static int grow(uint64_t size, uint64_t seen)
{
	uint64_t total, want,
		need = (size + GRANULE - 1) & ~(GRANULE - 1);
	int r = 0;

	pthread_mutex_lock(&grow_lock);
	total = growth_total();
	if (total != seen)
		goto out; /* another thread was here: look again */
	want = total & ~(GRANULE - 1);
	if (want < REGION_SIZE_FIRST)
		want = REGION_SIZE_FIRST;
	want = growth_allowance(need, want);
	r = want < need ? -ENOSPC : take_more(want, need);
	growth_note(growth_total() - total);
out:
	pthread_mutex_unlock(&grow_lock);
	return r;
}

int growth_slab(uint64_t size, uint64_t *ret_region, uint64_t *ret_offset)
{
	int r = -ENOSPC;

	if (!shim_client)
		return -ENOTCONN;
	for (;;) {
		uint64_t seen = growth_total();
		unsigned n = atomic_load(&region_count);

		for (unsigned i = 0; i < n; i++) {
			if (!regions[i].handle ||
			    extmem_slab_alloc(regions[i].handle, size,
					      ret_offset) < 0)
				continue;
			*ret_region = i;
			budget_follow(size);
			return 0;
		}
		r = grow(size, seen);
		if (r < 0)
			return r;
	}
}

void growth_lock(void)
{
	pthread_mutex_lock(&grow_lock);
}

void growth_unlock(void)
{
	pthread_mutex_unlock(&grow_lock);
}
