/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * External memory in blocks: slabs of mapped regions, and who has them.
 *
 * A region is taken at first need, of 4 MiB or more if more is needed, and
 * then grows where it is by as much as there is, and by no more than half of
 * what the appliances have left, unless one allocation needs it; when it
 * cannot grow there is another one, as large as all before it. So what is held
 * is at most twice what was needed, little for a program that needs little,
 * and the number of regions stays small. Each is mapped whole. A block is one
 * slab.
 *
 * For every page of a region, `owner` holds the number of the block it is
 * part of, or of the span of small objects (arena.c), or 0: four bytes a page,
 * all in local memory, so that finding and freeing never touch external
 * memory. munmap() of a part empties those entries; the slab goes back with
 * the last.
 *
 * Pages that belong to nobody read as zero: the library discards what a slab
 * held when it goes back, which costs no transfer.
 *
 * Bounds: 64 regions, 2^20 blocks.
 */
#include "preload/shim.h"

#include <sys/mman.h>

#define REGIONS_MAX 64
#define BLOCKS_MAX (UINT32_C(1) << 20)
#define BLOCK_BATCH 1024 /* records made at once */
#define REGION_SIZE_FIRST (UINT64_C(4) << 20)
#define REGION_GROWTH 16 /* times its first size, as the library has it */
#define GRANULE (UINT64_C(2) << 20)
#define STATUS_TIMEOUT_MS 5000
#define MOVE_SIZE (UINT64_C(1) << 20)
#define LIMIT_SLACK (UINT64_C(256) << 10) /* the most arena.c takes at once */
/* No address space has more: what is asked beyond it is refused before it is
 * rounded up or added to anything. */
#define SIZE_MAX_ASKED (UINT64_C(1) << 47)

struct region {
	uintptr_t base;
	_Atomic uint64_t size;
	_Atomic uint64_t reach; /* of its addresses: size, or more as it grows */
	uint64_t size_max; /* the table of owners is made for */
	extmem_region *handle;
	_Atomic uint32_t *owner;
};

static struct region regions[REGIONS_MAX];
static _Atomic unsigned region_count;
_Atomic uintptr_t block_low = UINTPTR_MAX, block_high;

static pthread_mutex_t grow_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t block_lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *block_batches[BLOCKS_MAX / BLOCK_BATCH];
static uint32_t block_count = 1; /* 0 is none */
static uint32_t block_free;	 /* chained through .page */

static struct region *region_of(uintptr_t address)
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
	return region_of(address) != NULL;
}

bool block_region(unsigned index, uintptr_t *ret_base, uint64_t *ret_size)
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

	return p == MAP_FAILED ? NULL : p;
}

/* --- figures ----------------------------------------------------------------- */

void block_live(int64_t size)
{
	struct run_shared *s = shim_shared;
	uint64_t now = atomic_fetch_add(&s->live_bytes, (uint64_t)size) +
		       (uint64_t)size;
	uint64_t peak = atomic_load(&s->live_bytes_peak);

	while (size > 0 && now > peak &&
	       !atomic_compare_exchange_weak(&s->live_bytes_peak, &peak, now))
		;
}

void block_counted(uint64_t count, uint64_t size)
{
	atomic_fetch_add(&shim_shared->blocks_count, count);
	atomic_fetch_add(&shim_shared->blocks_bytes, size);
}

bool block_limited(uint64_t size)
{
	return shim_limit != 0 &&
	       (size > SIZE_MAX_ASKED ||
		atomic_load(&shim_shared->live_bytes) + size + LIMIT_SLACK >
			shim_limit);
}

/* The budget follows the most that was ever in use, in steps: it is raised
 * with everybody stopped. */
static void budget_follow(uint64_t more)
{
	uint64_t now = atomic_load(&shim_local), step = now / 16,
		 use = atomic_load(&shim_shared->live_bytes) + more,
		 peak = atomic_load(&shim_shared->live_bytes_peak), want;

	want = (use > peak ? use : peak) / 100 * shim_percent;
	if (step < SHIM_PAGE * 64)
		step = SHIM_PAGE * 64;
	if (shim_percent == 0 || want < now + step)
		return;
	/* Beyond what it was opened for it stays as it is. */
	if (extmem_local(shim_client, want) == 0)
		atomic_store(&shim_local, want);
	else
		shim_percent = 0;
}

/* --- regions ---------------------------------------------------------------- */

static void note_bounds(const struct region *r, uint64_t size)
{
	if (r->base < atomic_load(&block_low))
		atomic_store(&block_low, r->base);
	if (r->base + size > atomic_load(&block_high))
		atomic_store(&block_high, r->base + size);
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
	error = extmem_region_alloc(shim_client, name, size, &handle);
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
	if (shim_advice >= 0)
		extmem_advise(handle, 0, size,
			      (enum extmem_advice)shim_advice);
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
	if (shim_advice >= 0)
		extmem_advise(r->handle, 0, size,
			      (enum extmem_advice)shim_advice);
	atomic_store(&r->size, size);
	atomic_store(&r->reach, size);
	return 0;
}

static uint64_t regions_total(void)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < atomic_load(&region_count); i++)
		total += atomic_load(&regions[i].size);
	return total;
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

/* Takes `want` more, or `need` if that is all there is. */
static int more(uint64_t want, uint64_t need)
{
	unsigned n = atomic_load(&region_count);
	int r = n > 0 ? region_grow(&regions[n - 1], want) : -ENOMEM;

	if (r == -ENOSPC && want > need)
		r = region_grow(&regions[n - 1], need);
	if (r != -ENOMEM)
		return r;
	if (n == REGIONS_MAX)
		return -ENOSPC;
	r = region_take(want);
	if (r == -ENOSPC && want > need)
		r = region_take(need); /* others took some */
	return r;
}

/* More external memory, with room for `size`; there were `seen` bytes when
 * there was none. */
static int grow(uint64_t size, uint64_t seen)
{
	uint64_t total, want, there, left,
		need = (size + GRANULE - 1) & ~(GRANULE - 1);
	int r = 0;

	pthread_mutex_lock(&grow_lock);
	total = regions_total();
	if (total != seen)
		goto out; /* another thread was here: look again */
	left = !shim_external	       ? UINT64_MAX
	       : shim_external > total ? shim_external - total
				       : 0;
	left &= ~(GRANULE - 1);
	if (need > left) {
		r = -ENOSPC;
		goto out;
	}
	want = total & ~(GRANULE - 1);
	if (want < REGION_SIZE_FIRST)
		want = REGION_SIZE_FIRST;
	there = far_free() / 2 & ~(GRANULE - 1);
	if (want > there)
		want = there;
	if (want > left)
		want = left;
	if (want < need)
		want = need;
	r = more(want, need);
out:
	pthread_mutex_unlock(&grow_lock);
	return r;
}

static int slab_take(uint64_t size, uint64_t *ret_region, uint64_t *ret_offset)
{
	int r = -ENOSPC;

	for (;;) {
		uint64_t seen = regions_total();
		unsigned n = atomic_load(&region_count);

		for (unsigned i = 0; i < n; i++) {
			if (extmem_slab_alloc(regions[i].handle, size,
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

/* --- whole slabs, for arena.c ----------------------------------------------- */

uintptr_t block_slab_take(uint64_t size)
{
	uint64_t region, offset;
	int r;

	shim_enter();
	r = slab_take(size, &region, &offset);
	shim_leave();
	return r < 0 ? 0 : regions[region].base + offset;
}

void block_slab_give(uintptr_t base, uint64_t size)
{
	struct region *r = region_of(base);

	(void)size;
	shim_enter();
	extmem_slab_free(r->handle, base - r->base);
	shim_leave();
}

void block_own(uintptr_t base, uint64_t size, uint32_t owner)
{
	struct region *r = region_of(base);
	uint64_t page = (base - r->base) / SHIM_PAGE;

	for (uint64_t i = 0; i < size / SHIM_PAGE; i++)
		atomic_store_explicit(&r->owner[page + i], owner,
				      memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

uint32_t block_owner(const void *address)
{
	struct region *r = region_of((uintptr_t)address);

	return !r ? 0
		  : atomic_load_explicit(
			    &r->owner[((uintptr_t)address - r->base) /
				      SHIM_PAGE],
			    memory_order_acquire);
}

void block_empty(uintptr_t base, uint64_t size)
{
	struct region *r = region_of(base);

	if (block_keeps_contents())
		return;
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

static void say_full(size_t size)
{
	char words[512];

	snprintf(words, sizeof(words), "%s", extmem_error());
	if (block_limited(size))
		snprintf(words, sizeof(words), "--limit is %llu MiB",
			 (unsigned long long)(shim_limit >> 20));
	else if (size > SIZE_MAX_ASKED)
		snprintf(words, sizeof(words), "no machine has that much");
	else if (shim_external && regions_total() + size > shim_external)
		snprintf(words, sizeof(words), "--external is %llu MiB",
			 (unsigned long long)(shim_external >> 20));
	shim_say("no external memory for %zu bytes: %s; %s", size, words,
		 shim_overflow_local && !block_limited(size)
			 ? "it is local now"
			 : "the program is told ENOMEM");
}

bool block_overflow(size_t size)
{
	struct run_shared *s = shim_shared;

	if (atomic_fetch_add(&s->refused_count, 1) < 8)
		say_full(size);
	atomic_fetch_add(&s->refused_bytes, size);
	/* A limit is one on the program, wherever its memory is. */
	if (!shim_overflow_local || block_limited(size))
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

	if (size > SIZE_MAX_ASKED || alignment > SIZE_MAX_ASKED)
		goto none;
	if (alignment > SHIM_PAGE)
		total += alignment - SHIM_PAGE;
	total = (total + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	if (block_limited(total))
		goto none;
	shim_enter();
	r = slab_take(total, &region, &offset);
	if (r >= 0)
		fork_allocated((unsigned)region, offset / SHIM_PAGE,
			       total / SHIM_PAGE);
	shim_leave();
	if (r < 0)
		goto none;
	b.region = region;
	b.page = offset / SHIM_PAGE;
	b.page_count = b.live_count = total / SHIM_PAGE;
	b.base = b.start = regions[region].base + offset;
	if (alignment > SHIM_PAGE)
		b.start = (b.start + alignment - 1) & ~(alignment - 1);
	index = block_enter(&b);
	if (!index) {
		block_slab_give(b.base, total);
		goto none;
	}
	block_own(b.base, total, index);
	block_live((int64_t)total);
	block_counted(1, total);
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
	block_live(-(int64_t)(count * SHIM_PAGE));
	if (last)
		extmem_slab_free(r->handle, slab);
}

/* The same, but for what a child can see: that is freed later. */
static void free_pages(struct region *r, uint64_t page, uint64_t count,
		       uint32_t index)
{
	while (count > 0) {
		bool kept;
		uint64_t n = fork_free((unsigned)(r - regions), page, count,
				       &kept);

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
		struct region *r = region_of(at);
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
	struct region *r = region_of(at);
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
	shim_enter();
	error = extmem_advise(r->handle, at - r->base, end - at, advice);
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
	pthread_mutex_lock(&grow_lock);
	pthread_mutex_lock(&block_lock);
}

void block_unlock_all(void)
{
	pthread_mutex_unlock(&block_lock);
	pthread_mutex_unlock(&grow_lock);
}
