/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * External memory in blocks: slabs of mapped regions, and who has them.
 *
 * A region is taken at first need: of the size told by --external, or else of
 * 256 MiB (but no more than half of what is left), and then another, half as large as all before it, whenever none
 * has room; so their number stays small and what is held is at most one and a
 * half times what was needed. Each is mapped whole. A block is one slab.
 *
 * For every page of a region, `owner` holds the number of the block it is
 * part of, or 0: four bytes a page, all in local memory, so that finding and
 * freeing never touch external memory. munmap() of a part empties those
 * entries; the slab goes back with the last.
 *
 * Pages that belong to no block read as zero: a block's pages are told
 * DONTNEED before its slab goes back, which costs no transfer. Objects (only
 * when the threshold is below 64 KiB) come from slabs of the library's own
 * that bypass this; once there are any, taking a block tells DONTNEED too.
 *
 * Bounds: 64 regions, 2^20 blocks.
 */
#include "shim.h"

#include <sys/mman.h>

#define REGIONS_MAX 64
#define BLOCKS_MAX (UINT32_C(1) << 20)
#define REGION_SIZE_FIRST (UINT64_C(256) << 20)
#define GRANULE (UINT64_C(2) << 20)
#define OBJECT_SIZE_MAX (UINT64_C(64) << 10)
#define STATUS_TIMEOUT_MS 5000
#define MOVE_SIZE (UINT64_C(1) << 20)

struct region {
	uintptr_t base;
	uint64_t size;
	extmem_region *handle;
	_Atomic uint32_t *owner;
};

static struct region regions[REGIONS_MAX];
static _Atomic unsigned region_count;
_Atomic uintptr_t block_low = UINTPTR_MAX, block_high;

static pthread_mutex_t grow_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t block_lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *blocks; /* [0] is unused */
static uint32_t block_count = 1;
static uint32_t block_free; /* chained through .page */
static _Atomic bool objects_used;

bool block_contains_slow(uintptr_t address)
{
	unsigned n = atomic_load_explicit(&region_count, memory_order_acquire);

	for (unsigned i = 0; i < n; i++)
		if (address - regions[i].base < regions[i].size)
			return true;
	return false;
}

static struct region *region_of(uintptr_t address)
{
	unsigned n = atomic_load_explicit(&region_count, memory_order_acquire);

	for (unsigned i = 0; i < n; i++)
		if (address - regions[i].base < regions[i].size)
			return &regions[i];
	return NULL;
}

static void *reserve(size_t size)
{
	void *p = shim_real()->mmap(NULL, size, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				    -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void live_more(uint64_t size)
{
	struct run_shared *s = shim_shared;
	uint64_t now = atomic_fetch_add(&s->live_bytes, size) + size;
	uint64_t peak = atomic_load(&s->live_bytes_peak);

	while (now > peak &&
	       !atomic_compare_exchange_weak(&s->live_bytes_peak, &peak, now))
		;
	atomic_fetch_add(&s->blocks_count, 1);
	atomic_fetch_add(&s->blocks_bytes, size);
}

static void live_less(uint64_t size)
{
	atomic_fetch_sub(&shim_shared->live_bytes, size);
}

/* --- regions ---------------------------------------------------------------- */

static int region_take(uint64_t size)
{
	unsigned n = atomic_load(&region_count);
	struct region *r = &regions[n];
	extmem_region *handle;
	void *base, *owner;
	char name[64];
	int error;

	snprintf(name, sizeof(name), "run.%d.%u", (int)getpid(), n);
	error = extmem_region_take(shim_client, name, size, &handle);
	if (error < 0)
		return error;
	size = extmem_region_size(handle);
	error = extmem_map(handle, 0, 0, &base);
	owner = error < 0 ? NULL : reserve(size / SHIM_PAGE * sizeof(uint32_t));
	if (!owner) {
		extmem_region_give(handle);
		return error < 0 ? error : -ENOMEM;
	}
	*r = (struct region){ (uintptr_t)base, size, handle, owner };
	if (r->base < atomic_load(&block_low))
		atomic_store(&block_low, r->base);
	if (r->base + size > atomic_load(&block_high))
		atomic_store(&block_high, r->base + size);
	atomic_store_explicit(&region_count, n + 1, memory_order_release);
	return 0;
}

/* What the appliances have left, as they say; nobody promises it. */
static uint64_t far_free(void)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < shim_shared->appliance_count; i++) {
		struct extmem_status status = { .size = sizeof(status) };

		if (extmem_status(shim_shared->appliances[i].appliance,
				  STATUS_TIMEOUT_MS, &status) >= 0)
			total += status.free_run;
	}
	return total & ~(GRANULE - 1);
}

/* One more region that has room for `size`; `seen` is how many there were
 * when none had. */
static int grow(uint64_t size, unsigned seen)
{
	uint64_t total = 0, want, there, need = (size + GRANULE - 1) & ~(GRANULE - 1);
	int r = 0;

	pthread_mutex_lock(&grow_lock);
	if (atomic_load(&region_count) != seen)
		goto out; /* another thread was here: look again */
	for (unsigned i = 0; i < seen; i++)
		total += regions[i].size;
	want = total / 2 > REGION_SIZE_FIRST ? total / 2 : REGION_SIZE_FIRST;
	if (shim_external)
		want = shim_external > total ? shim_external - total : 0;
	there = shim_external ? want : far_free() / 2 & ~(GRANULE - 1);
	if (want > there)
		want = there;
	if (want < need && !shim_external)
		want = need;
	if (want < need || seen == REGIONS_MAX) {
		r = -ENOSPC;
		goto out;
	}
	r = region_take(want);
	if (r == -ENOSPC && want > need && !shim_external)
		r = region_take(need); /* others took some */
out:
	pthread_mutex_unlock(&grow_lock);
	return r;
}

static int slab_take(uint64_t size, uint64_t *ret_region, uint64_t *ret_offset)
{
	int r = -ENOSPC;

	for (;;) {
		unsigned n = atomic_load(&region_count);

		for (unsigned i = 0; i < n; i++) {
			if (extmem_slab_alloc(regions[i].handle, size,
					      ret_offset) < 0)
				continue;
			*ret_region = i;
			return 0;
		}
		r = grow(size, n);
		if (r < 0)
			return r;
	}
}

/* --- blocks ----------------------------------------------------------------- */

static uint32_t block_enter(const struct block *block)
{
	uint32_t i = 0;

	pthread_mutex_lock(&block_lock);
	if (!blocks)
		blocks = reserve(BLOCKS_MAX * sizeof(*blocks));
	if (blocks && block_free) {
		i = block_free;
		block_free = (uint32_t)blocks[i].page;
	} else if (blocks && block_count < BLOCKS_MAX) {
		i = block_count++;
	}
	if (i)
		blocks[i] = *block;
	pthread_mutex_unlock(&block_lock);
	return i;
}

static void say_full(size_t size)
{
	char words[512];

	snprintf(words, sizeof(words), "%s", extmem_error());
	if (shim_external &&
	    shim_shared->stats.region_bytes + size > shim_external)
		snprintf(words, sizeof(words), "--external is %llu MiB",
			 (unsigned long long)(shim_external >> 20));
	shim_say("no external memory for %zu bytes: %s; %s", size, words,
		 shim_overflow_local ? "it is local now"
				     : "the program is told ENOMEM");
}

bool block_overflow(size_t size)
{
	struct run_shared *s = shim_shared;

	if (atomic_fetch_add(&s->refused_count, 1) < 8)
		say_full(size);
	atomic_fetch_add(&s->refused_bytes, size);
	if (!shim_overflow_local)
		return false;
	atomic_fetch_add(&s->overflow_count, 1);
	atomic_fetch_add(&s->overflow_bytes, size);
	return true;
}

void *block_take(size_t size, size_t alignment, enum block_kind kind)
{
	uint64_t total = size, region, offset;
	struct block b = { .kind = kind };
	uint32_t index;
	int r;

	if (alignment > SHIM_PAGE)
		total += alignment - SHIM_PAGE;
	total = (total + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	if (total < size)
		goto none;
	shim_inside++;
	r = slab_take(total, &region, &offset);
	if (r < 0) {
		shim_inside--;
		goto none;
	}
	b.region = region;
	b.page = offset / SHIM_PAGE;
	b.page_count = b.live_count = total / SHIM_PAGE;
	b.base = b.start = regions[region].base + offset;
	if (alignment > SHIM_PAGE)
		b.start = (b.start + alignment - 1) & ~(alignment - 1);
	index = block_enter(&b);
	if (!index) {
		extmem_slab_free(regions[region].handle, offset);
		shim_inside--;
		goto none;
	}
	if (atomic_load(&objects_used))
		extmem_advise(regions[region].handle, offset, total,
			      EXTMEM_DONTNEED);
	for (uint64_t i = 0; i < b.page_count; i++)
		atomic_store_explicit(&regions[region].owner[b.page + i],
				      index, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	shim_inside--;
	live_more(total);
	return (void *)b.start;
none:
	errno = ENOMEM;
	return NULL;
}

bool block_find(const void *address, struct block *ret)
{
	struct region *r = region_of((uintptr_t)address);
	uint32_t i;

	if (!r)
		return false;
	i = atomic_load_explicit(
		&r->owner[((uintptr_t)address - r->base) / SHIM_PAGE],
		memory_order_acquire);
	if (!i)
		return false;
	*ret = blocks[i];
	return true;
}

/* `count` pages from `page` on are one block's, and its owner is done with
 * them. They are emptied before the count says so: after that the slab may
 * be another's. */
static void give_pages(struct region *r, uint64_t page, uint64_t count,
		       uint32_t index)
{
	uint64_t slab = 0;
	bool last;

	extmem_advise(r->handle, page * SHIM_PAGE, count * SHIM_PAGE,
		      EXTMEM_DONTNEED);
	for (uint64_t i = 0; i < count; i++)
		atomic_store_explicit(&r->owner[page + i], 0,
				      memory_order_relaxed);
	pthread_mutex_lock(&block_lock);
	blocks[index].live_count -= count;
	last = blocks[index].live_count == 0;
	if (last) {
		slab = blocks[index].page * SHIM_PAGE;
		blocks[index].page = block_free;
		block_free = index;
	}
	pthread_mutex_unlock(&block_lock);
	live_less(count * SHIM_PAGE);
	if (last)
		extmem_slab_free(r->handle, slab);
}

void block_give(void *address, size_t size)
{
	uintptr_t at = (uintptr_t)address & ~(SHIM_PAGE - 1);
	uintptr_t end = ((uintptr_t)address + size + SHIM_PAGE - 1) &
			~(SHIM_PAGE - 1);
	int error = errno;

	shim_inside++;
	while (at < end) {
		struct region *r = region_of(at);
		uint64_t page, limit, count = 1;
		uint32_t index;

		if (!r)
			break;
		page = (at - r->base) / SHIM_PAGE;
		limit = (end - at) / SHIM_PAGE;
		if (limit > r->size / SHIM_PAGE - page)
			limit = r->size / SHIM_PAGE - page;
		index = atomic_load(&r->owner[page]);
		while (count < limit &&
		       atomic_load(&r->owner[page + count]) == index)
			count++;
		if (index)
			give_pages(r, page, count, index);
		at += count * SHIM_PAGE;
	}
	shim_inside--;
	errno = error;
}

int block_advise(void *address, size_t size, enum extmem_advice advice)
{
	uintptr_t at = (uintptr_t)address, end = at + size;
	struct region *r = region_of(at);
	int error;

	at = (at + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	end &= ~(SHIM_PAGE - 1);
	if (!r || at >= end)
		return 0;
	if (end > r->base + r->size)
		end = r->base + r->size;
	shim_inside++;
	error = extmem_advise(r->handle, at - r->base, end - at, advice);
	shim_inside--;
	return error;
}

void block_move(void *to, void *from, size_t size)
{
	for (size_t at = 0; at < size; at += MOVE_SIZE) {
		size_t n = size - at < MOVE_SIZE ? size - at : MOVE_SIZE;

		memcpy((char *)to + at, (char *)from + at, n);
		block_advise((char *)from + at, n, EXTMEM_DONTNEED);
	}
}

/* --- objects ----------------------------------------------------------------- */

void *object_take(size_t size, size_t alignment)
{
	void *p = NULL;
	uint64_t offset, usable = 0;

	if (size >= OBJECT_SIZE_MAX || alignment > SHIM_PAGE)
		return NULL;
	shim_inside++;
	atomic_store(&objects_used, true);
	for (;;) {
		unsigned n = atomic_load(&region_count);

		for (unsigned i = 0; i < n && !p; i++)
			if (extmem_object_alloc(regions[i].handle, size,
						alignment, &offset) >= 0 &&
			    extmem_object_size(regions[i].handle, offset,
					       &usable) >= 0)
				p = (void *)(regions[i].base + offset);
		if (p || grow(GRANULE, n) < 0)
			break;
	}
	shim_inside--;
	if (p)
		live_more(usable);
	return p;
}

bool object_size(const void *address, size_t *ret)
{
	struct region *r = region_of((uintptr_t)address);
	uint64_t size;
	int error = -EINVAL;

	shim_inside++;
	if (r)
		error = extmem_object_size(r->handle,
					   (uintptr_t)address - r->base, &size);
	shim_inside--;
	if (error < 0)
		return false;
	*ret = size;
	return true;
}

void object_give(void *address)
{
	struct region *r = region_of((uintptr_t)address);
	uint64_t size = 0;

	shim_inside++;
	if (extmem_object_size(r->handle, (uintptr_t)address - r->base,
			       &size) >= 0)
		live_less(size);
	extmem_object_free(r->handle, (uintptr_t)address - r->base);
	shim_inside--;
}
