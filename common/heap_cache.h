/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one thread keeps of a heap's slots, so that most objects are taken and
 * given without the heap's lock.
 *
 * For each size class a stack of slots that are taken from the heap and not
 * handed out. An empty one is refilled, a full one loses its older half. How
 * much is fetched at once begins small, doubles with each refill up to half of
 * what the stack holds, and halves when a full stack was emptied: so a thread
 * that takes a few objects keeps a few slots.
 *
 * Bounds: at most XM_HEAP_CACHE_SLOTS slots of a class, fewer of large ones, 64
 * KiB of them but 8 in any case; 2.3 MiB of a region in all 36 classes at most.
 *
 * One thread at a time, its own. Floor: ground.
 */
#ifndef XM_HEAP_CACHE_H
#define XM_HEAP_CACHE_H

#include <stdatomic.h>

#include "common/heap.h"

#define XM_HEAP_CACHE_SLOTS 64

struct xm_heap_cache_bin {
	_Atomic uint16_t count; /* others may read it */
	uint16_t max;		/* slots it holds */
	uint16_t batch;		/* fetched by the next refill */
	uint64_t handles[XM_HEAP_CACHE_SLOTS]; /* the last is the newest */
};

struct xm_heap_cache {
	struct xm_heap_cache_bin bins[XM_HEAP_CLASSES];
};

void xm_heap_cache_init(struct xm_heap_cache *, const struct xm_heap *);
/* False: there is none, refill. */
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

/* False: there is no room, flush. */
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

/* With the heap's lock held. False: the heap has no slot either. */
bool xm_heap_cache_refill(struct xm_heap_cache *, struct xm_heap *,
			  uint32_t class);
/* With the heap's lock held: gives all but the newest `keep` slots of a class
 * back. Returns how many slabs became free by that, for the caller to discard
 * before anything is taken from the extent again. */
uint32_t xm_heap_cache_flush(struct xm_heap_cache *, struct xm_heap *,
			     uint32_t class, uint32_t keep,
			     struct xm_heap_freed ret[XM_HEAP_CACHE_SLOTS]);
/* Slots it has. Any thread; then it may have changed already. */
uint64_t xm_heap_cache_count(const struct xm_heap_cache *);

#endif
