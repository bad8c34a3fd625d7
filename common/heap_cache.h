/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread's cache of slots, so that most objects are allocated and freed without the
 * heap's lock.
 *
 * The cache has a stack for each size class: slots that were taken from the heap and
 * are not handed out. When a stack is empty, it is refilled; when it is full, it loses
 * its older half. A refill takes 4 slots at first, twice as many the next time, up to
 * half a stack, and half as many after a full stack was flushed. So a thread that
 * allocates few objects keeps few slots.
 *
 * Bounds: a stack holds at most XM_HEAP_CACHE_SLOTS slots; of large classes 64 KiB, but
 * at least 8 slots. All 36 classes together hold at most 2.3 MiB of a region.
 *
 * A cache belongs to one thread. Floor: ground.
 */
#ifndef XM_HEAP_CACHE_H
#define XM_HEAP_CACHE_H

#include <stdatomic.h>

#include "common/heap.h"

#define XM_HEAP_CACHE_SLOTS 64

struct xm_heap_cache_bin {
	_Atomic uint16_t count; /* any thread may read it */
	uint16_t max;		/* slots it holds */
	uint16_t batch;		/* fetched by the next refill */
	uint64_t handles[XM_HEAP_CACHE_SLOTS]; /* the last is the newest */
};

struct xm_heap_cache {
	struct xm_heap_cache_bin bins[XM_HEAP_CLASSES];
};

void xm_heap_cache_init(struct xm_heap_cache *, const struct xm_heap *);
/* Pops a slot. False: there is none; refill. */
static inline bool xm_heap_cache_take(struct xm_heap_cache *c, uint32_t class,
				      uint64_t *ret_handle)
{
	struct xm_heap_cache_bin *bin = &c->bins[class];
	uint16_t count = atomic_load_explicit(&bin->count,
					      memory_order_relaxed);

	if (count == 0)
		return false;
	*ret_handle = bin->handles[--count];
	atomic_store_explicit(&bin->count, count, memory_order_relaxed);
	return true;
}

/* Pushes a slot. False: the stack is full; flush. */
static inline bool xm_heap_cache_give(struct xm_heap_cache *c, uint32_t class,
				      uint64_t handle)
{
	struct xm_heap_cache_bin *bin = &c->bins[class];
	uint16_t count = atomic_load_explicit(&bin->count,
					      memory_order_relaxed);

	if (count == bin->max)
		return false;
	bin->handles[count++] = handle;
	atomic_store_explicit(&bin->count, count, memory_order_relaxed);
	return true;
}

/* Needs the heap's lock. False: the heap has no slot either. */
bool xm_heap_cache_refill(struct xm_heap_cache *, struct xm_heap *,
			  uint32_t class);
/* Gives back all but the newest `keep` slots of a class; needs the heap's lock. Returns
 * how many slabs became free, which the caller discards before anything is taken from
 * the extent allocator again. */
uint32_t xm_heap_cache_flush(struct xm_heap_cache *, struct xm_heap *,
			     uint32_t class, uint32_t keep,
			     struct xm_heap_freed ret[XM_HEAP_CACHE_SLOTS]);
/* Slots in the cache. Any thread may ask; the answer may be out of date. */
uint64_t xm_heap_cache_count(const struct xm_heap_cache *);

#endif
