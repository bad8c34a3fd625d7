/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * External memory in blocks: a block is one slab of a mapped region (growth.c),
 * given to one malloc().
 *
 * Each region has a table `owner`: for every page the number of the block that
 * it is part of, or of the span of small objects (arena.c), or 0. The table
 * takes four bytes a page of local memory, so that finding and freeing a block
 * never touches external memory. The slab is freed with its last page, since a child
 * of fork() may keep some of them longer.
 *
 * Pages that belong to nobody read as zero: the library discards the contents
 * of a slab when it is freed, which costs no transfer.
 *
 * Bounds: 2^20 blocks.
 */
#include "preload/growth.h"
#include "preload/record.h"

#include <sys/mman.h>

#define BLOCKS_MAX (UINT32_C(1) << 20)
#define BLOCK_BATCH 1024 /* records allocated at once */
#define MOVE_SIZE (UINT64_C(1) << 20)

static pthread_mutex_t block_lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *block_batches[BLOCKS_MAX / BLOCK_BATCH];
static uint32_t block_count = 1; /* 0 is none */
static uint32_t block_free;	 /* chained through .page */

/* --- whole slabs, for arena.c ----------------------------------------------- */

uintptr_t block_slab_take(uint64_t size)
{
	uint64_t region, offset;
	int r;

	shim_enter();
	r = growth_slab(size, &region, &offset);
	shim_leave();
	return r < 0 ? 0 : growth_region((unsigned)region)->base + offset;
}

void block_slab_give(uintptr_t base, uint64_t size)
{
	struct region *r = growth_region_of(base);

	record_fresh(base, size);
	shim_enter();
	extmem_slab_free(r->handle, base - r->base);
	shim_leave();
}

void block_own(uintptr_t base, uint64_t size, uint32_t owner)
{
	struct region *r = growth_region_of(base);
	uint64_t page = (base - r->base) / SHIM_PAGE;

	for (uint64_t i = 0; i < size / SHIM_PAGE; i++)
		atomic_store_explicit(&r->owner[page + i], owner,
				      memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

uint32_t block_owner(const void *address)
{
	struct region *r = growth_region_of((uintptr_t)address);

	return !r ? 0
		  : atomic_load_explicit(
			    &r->owner[((uintptr_t)address - r->base) /
				      SHIM_PAGE],
			    memory_order_acquire);
}

void block_empty(uintptr_t base, uint64_t size)
{
	struct region *r = growth_region_of(base);

	if (block_keeps_contents())
		return;
	record_fresh(base, size);
	shim_enter();
	extmem_advise(r->handle, base - r->base, size, EXTMEM_DONTNEED);
	shim_leave();
}

/* --- blocks ----------------------------------------------------------------- */

static struct block *block_at(uint32_t index)
{
	return &block_batches[index / BLOCK_BATCH][index % BLOCK_BATCH];
}

static uint32_t block_enter(const struct block *block)
{
	uint32_t i = 0;

	pthread_mutex_lock(&block_lock);
	if (block_free) {
		i = block_free;
		block_free = (uint32_t)block_at(i)->page;
	} else if (block_count < BLOCKS_MAX) {
		struct block **batch =
			&block_batches[block_count / BLOCK_BATCH];

		if (!*batch)
			*batch = block_reserve(BLOCK_BATCH * sizeof(**batch));
		if (*batch)
			i = block_count++;
	}
	if (i)
		*block_at(i) = *block;
	pthread_mutex_unlock(&block_lock);
	return i;
}

void *block_take(size_t size, size_t alignment)
{
	uint64_t total = size, region, offset;
	struct block b = { 0 };
	uint32_t index;
	int r;

	if (size > SIZE_MAX_ASKED || alignment > SIZE_MAX_ASKED)
		goto none;
	if (alignment > SHIM_PAGE)
		total += alignment - SHIM_PAGE;
	total = (total + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	if (budget_limited(total))
		goto none;
	shim_enter();
	r = growth_slab(total, &region, &offset);
	if (r >= 0)
		fork_allocated((unsigned)region, offset / SHIM_PAGE,
			       total / SHIM_PAGE);
	shim_leave();
	if (r < 0)
		goto none;
	b.region = region;
	b.page = offset / SHIM_PAGE;
	b.page_count = b.live_count = total / SHIM_PAGE;
	b.base = b.start = growth_region((unsigned)region)->base + offset;
	if (alignment > SHIM_PAGE)
		b.start = (b.start + alignment - 1) & ~(alignment - 1);
	index = block_enter(&b);
	if (!index) {
		block_slab_give(b.base, total);
		goto none;
	}
	block_own(b.base, total, index);
	budget_live((int64_t)total);
	budget_count(1, total);
	return (void *)b.start;
none:
	errno = ENOMEM;
	return NULL;
}

bool block_find(const void *address, struct block *ret)
{
	uint32_t i = block_owner(address);

	if (!i || (i & BLOCK_SPAN) != 0)
		return false;
	*ret = *block_at(i);
	return true;
}

/* `count` pages from `page` on are one block's, and its owner is done with
 * them. A part is emptied before the count says so, all of it as its slab goes
 * back: after that it may be another's. */
static void give_pages(struct region *r, uint64_t page, uint64_t count,
		       uint32_t index)
{
	uint64_t slab = 0;
	bool last;

	if (count < block_at(index)->live_count)
		extmem_advise(r->handle, page * SHIM_PAGE, count * SHIM_PAGE,
			      EXTMEM_DONTNEED);
	for (uint64_t i = 0; i < count; i++)
		atomic_store_explicit(&r->owner[page + i], 0,
				      memory_order_relaxed);
	pthread_mutex_lock(&block_lock);
	block_at(index)->live_count -= count;
	last = block_at(index)->live_count == 0;
	if (last) {
		slab = block_at(index)->page * SHIM_PAGE;
		block_at(index)->page = block_free;
		block_free = index;
	}
	pthread_mutex_unlock(&block_lock);
	budget_live(-(int64_t)(count * SHIM_PAGE));
	/* Nobody touches it before the slab is given, which makes it fresh. */
	record_fresh(r->base + page * SHIM_PAGE, count * SHIM_PAGE);
	if (last)
		extmem_slab_free(r->handle, slab);
}

/* The same, but for what a child can see: that is freed later. */
static void free_pages(struct region *r, uint64_t page, uint64_t count,
		       uint32_t index)
{
	while (count > 0) {
		bool kept;
		uint64_t n = fork_free(r->index, page, count, &kept);

		if (!kept)
			give_pages(r, page, n, index);
		page += n;
		count -= n;
	}
}

void block_give(void *address, size_t size)
{
	uintptr_t at = (uintptr_t)address & ~(SHIM_PAGE - 1);
	uintptr_t end = ((uintptr_t)address + size + SHIM_PAGE - 1) &
			~(SHIM_PAGE - 1);
	int error = errno;

	/* In a child it is the parent's. */
	if (!atomic_load(&shim_ready))
		return;
	shim_enter();
	while (at < end) {
		struct region *r = growth_region_of(at);
		uint64_t page, limit, count = 1;
		uint32_t index;

		if (!r)
			break;
		page = (at - r->base) / SHIM_PAGE;
		limit = (end - at) / SHIM_PAGE;
		if (limit > atomic_load(&r->size) / SHIM_PAGE - page)
			limit = atomic_load(&r->size) / SHIM_PAGE - page;
		index = atomic_load(&r->owner[page]);
		while (count < limit &&
		       atomic_load(&r->owner[page + count]) == index)
			count++;
		if (index && (index & BLOCK_SPAN) == 0)
			free_pages(r, page, count, index);
		at += count * SHIM_PAGE;
	}
	shim_leave();
	errno = error;
}

int block_advise(void *address, size_t size, enum extmem_advice advice)
{
	uintptr_t at = (uintptr_t)address, end = at + size;
	struct region *r = growth_region_of(at);
	int error;

	at = (at + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	end &= ~(SHIM_PAGE - 1);
	if (!r || at >= end)
		return 0;
	if (end > r->base + atomic_load(&r->size))
		end = r->base + atomic_load(&r->size);
	if (advice == EXTMEM_DONTNEED && atomic_load(&child_serves)) {
		child_empty((void *)at, end - at);
		return 0;
	}
	if (!atomic_load(&shim_ready))
		return 0;
	if (advice == EXTMEM_DONTNEED && block_keeps_contents()) {
		/* Zero, as was asked for; a child has what was there. */
		memset((void *)at, 0, end - at);
		return 0;
	}
	if (advice == EXTMEM_DONTNEED)
		record_fresh(at, end - at);
	shim_enter();
	error = extmem_advise(r->handle, at - r->base, end - at, advice);
	shim_leave();
	return error;
}

int block_protect(void *address, size_t size, int rights)
{
	struct region *r = growth_region_of((uintptr_t)address);
	uint64_t offset = (uintptr_t)address - (r ? r->base : 0);
	int error;

	if (!r || size > atomic_load(&r->size) - offset)
		return -ENOMEM;
	rights_of_blocks();
	shim_enter();
	error = extmem_protect(r->handle, offset, size,
			       (rights & PROT_WRITE) != 0  ? EXTMEM_READ_WRITE
			       : (rights & PROT_READ) != 0 ? EXTMEM_READ_ONLY
							   : EXTMEM_NO_ACCESS);
	shim_leave();
	return error;
}

void block_move(void *to, void *from, size_t size)
{
	for (size_t at = 0; at < size; at += MOVE_SIZE) {
		size_t n = size - at < MOVE_SIZE ? size - at : MOVE_SIZE;

		memcpy((char *)to + at, (char *)from + at, n);
		if (!block_keeps_contents() && atomic_load(&shim_ready))
			block_advise((char *)from + at, n, EXTMEM_DONTNEED);
	}
}

void block_lock_all(void)
{
	growth_lock();
	pthread_mutex_lock(&block_lock);
}

void block_unlock_all(void)
{
	pthread_mutex_unlock(&block_lock);
	growth_unlock();
}
