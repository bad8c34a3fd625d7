/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects, through what each thread keeps of a region's slots (heap_cache.h).
 * See region.h for the locks.
 *
 * A thread finds its cache of a region by a pointer of its own. Taking and giving
 * an object there is a few loads and stores: no lock, no system call, no message.
 * The region's lock is taken to refill or to flush, many slots at a time, and for
 * objects that have a slab of their own.
 *
 * Somebody else empties a cache now and then: who shrinks the region, or finds it
 * full. So that the owner need not take a lock for that, it says that it is busy
 * by a plain store, and looks whether it may by a plain load; the other says that
 * the cache is taken, makes the kernel put a barrier between those two of every
 * thread (membarrier(2)), and then waits until the owner is not busy. (Dice, Hui
 * and Yang, "Quickly Reacquirable Locks", 2003, have the idea.) Where there is no
 * such call, the owner pays for a fence.
 *
 * A cache has two owners, its thread and its region, and ends with the last. A
 * thread that ends gives its slots back. In a child of fork() nothing of this is
 * touched.
 */
#include "core/client/objects.h"

#include <errno.h>
#include <string.h>

#include "common/heap_cache.h"
#include "common/heap_slots.h"
#include "core/client/error.h"
#include "core/client/sharing.h"
#include "core/client/wait.h"

#define CACHES 8 /* of one thread: so many regions */

struct cache {
	struct xm_link link; /* in the region, with its lock */
	bool linked;
	_Atomic(extmem_region *) region; /* NULL: it has been given back */
	struct os_lock lock;		 /* while that is believed or changed */
	atomic_uint owners;
	atomic_bool busy, taken;
	bool fences;
	struct xm_heap_cache slots;
};

/* What a thread has. */
struct own {
	struct cache *caches[CACHES];
};

/* --- the owner --------------------------------------------------------------------- */

/* False: it is being emptied. In between, nothing may wait. */
static inline bool cache_enter(struct cache *c)
{
	if (c->fences)
		atomic_store(&c->busy, true);
	else
		atomic_store_explicit(&c->busy, true, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (!atomic_load(&c->taken))
		return true;
	atomic_store_explicit(&c->busy, false, memory_order_release);
	return false;
}

static void cache_leave(struct cache *c)
{
	atomic_store_explicit(&c->busy, false, memory_order_release);
}

static void cache_drop(struct cache *c)
{
	if (atomic_fetch_sub(&c->owners, 1) == 1)
		os_memory_give(c, sizeof(*c));
}

/* --- emptying one, with the region's lock held --------------------------------------- */

static uint64_t flush_class(extmem_region *region, struct cache *c,
			    uint32_t class, uint32_t keep)
{
	struct xm_heap_freed freed[XM_HEAP_CACHE_SLOTS];
	uint64_t before = region->heap.objects;
	uint32_t slabs = xm_heap_cache_flush(&c->slots, &region->heap, class,
					     keep, freed);

	for (uint32_t i = 0; i < slabs; i++)
		xm_discard(region, freed[i].slab_offset, freed[i].slab_size);
	return before - region->heap.objects;
}

static uint64_t flush_all(extmem_region *region, struct cache *c)
{
	uint64_t count = 0;

	for (uint32_t class = 0; class < XM_HEAP_CLASSES; class++)
		count += flush_class(region, c, class, 0);
	return count;
}

uint64_t xm_caches_empty(extmem_region *region)
{
	uint64_t count = 0;

	XM_LIST_EACH (link, &region->caches)
		atomic_store(&XM_CONTAINER(link, struct cache, link)->taken,
			     true);
	os_barrier();
	XM_LIST_EACH (link, &region->caches) {
		struct cache *c = XM_CONTAINER(link, struct cache, link);

		for (unsigned turn = 0;
		     atomic_load_explicit(&c->busy, memory_order_acquire);
		     turn++)
			xm_rest(turn);
		count += flush_all(region, c);
		atomic_store_explicit(&c->taken, false, memory_order_release);
	}
	return count;
}

uint64_t xm_caches_count(const extmem_region *region)
{
	uint64_t count = 0;

	XM_LIST_EACH (link, &region->caches)
		count += xm_heap_cache_count(
			&XM_CONTAINER(link, struct cache, link)->slots);
	return count;
}

/* --- the beginning and the end of one ------------------------------------------------- */

/* The thread ends. What is not given back yet cannot be while we hold its
 * cache's lock. */
static void own_end(void *argument)
{
	struct own *own = argument;

	/* A child's handles are dead. */
	if (atomic_load(&xm_forked))
		return;
	for (unsigned i = 0; i < CACHES; i++) {
		struct cache *c = own->caches[i];
		extmem_region *region;

		if (c == NULL)
			continue;
		os_lock_take(&c->lock);
		region = atomic_load(&c->region);
		if (region != NULL) {
			os_mutex_take(&region->lock);
			flush_all(region, c);
			if (c->linked) {
				xm_list_remove(&c->link);
				c->linked = false;
				atomic_fetch_sub(&c->owners, 1);
			}
			os_mutex_give(&region->lock);
		}
		os_lock_give(&c->lock);
		cache_drop(c);
	}
	os_memory_give(own, sizeof(*own));
}

void xm_caches_end(extmem_region *region)
{
	for (;;) {
		struct cache *c = NULL;

		os_mutex_take(&region->lock);
		if (!xm_list_is_empty(&region->caches)) {
			c = XM_CONTAINER(xm_list_front(&region->caches),
					 struct cache, link);
			xm_list_remove(&c->link);
			c->linked = false;
		}
		os_mutex_give(&region->lock);
		if (c == NULL)
			return;
		os_lock_take(&c->lock);
		atomic_store(&c->region, NULL);
		os_lock_give(&c->lock);
		cache_drop(c);
	}
}

static struct cache *cache_open(extmem_region *region)
{
	struct cache *c = os_memory_take(sizeof(*c));

	if (c == NULL)
		return NULL;
	c->fences = !os_barrier_works();
	c->linked = true;
	atomic_store(&c->region, region);
	atomic_store(&c->owners, 2);
	xm_heap_cache_init(&c->slots, &region->heap);
	os_mutex_take(&region->lock);
	xm_list_push_back(&region->caches, &c->link);
	os_mutex_give(&region->lock);
	return c;
}

/* This thread's cache of the region, made if need be. NULL: it has none. */
static __attribute__((noinline)) struct cache *cache_make(extmem_region *region)
{
	struct own *own = os_thread_own();
	struct cache **place = NULL;

	if (own == NULL) {
		own = os_memory_take(sizeof(*own));
		if (own == NULL)
			return NULL;
		if (os_thread_own_set(own, own_end) != 0) {
			os_memory_give(own, sizeof(*own));
			return NULL;
		}
	}
	for (unsigned i = 0; i < CACHES; i++) {
		struct cache **at =
			&own->caches[(region->number + i) % CACHES];
		extmem_region *of = *at == NULL ? NULL
						: atomic_load(&(*at)->region);

		if (of == region)
			return *at;
		if (of == NULL && place == NULL)
			place = at;
	}
	if (place == NULL)
		return NULL;
	/* Of a region that has been given back. */
	if (*place != NULL)
		cache_drop(*place);
	*place = cache_open(region);
	return *place;
}

static inline struct cache *cache_of(extmem_region *region)
{
	struct own *own = os_thread_own();
	struct cache *c = own == NULL ? NULL
				      : own->caches[region->number % CACHES];

	if (c != NULL && atomic_load_explicit(&c->region,
					      memory_order_relaxed) == region)
		return c;
	return cache_make(region);
}

/* --- objects ------------------------------------------------------------------------------ */

/* Gives up what is kept for nobody in particular; whether there was any. */
static bool scrape(extmem_region *region)
{
	struct xm_heap_freed freed;
	bool any = xm_caches_count(region) > 0 && xm_caches_empty(region) > 0;

	while (xm_heap_trim(&region->heap, &freed)) {
		xm_discard(region, freed.slab_offset, freed.slab_size);
		any = true;
	}
	return any;
}

/* By way of the cache, if there is one. */
static int alloc_some(extmem_region *region, struct cache *c, uint32_t class,
		      uint64_t *ret_offset)
{
	uint64_t handle;
	bool got;

	if (c == NULL) {
		got = xm_heap_take(&region->heap, class, &handle, 1) == 1;
	} else {
		/* Nobody else empties it: that takes the region's lock. */
		got = xm_heap_cache_take(&c->slots, class, &handle) ||
		      (xm_heap_cache_refill(&c->slots, &region->heap, class) &&
		       xm_heap_cache_take(&c->slots, class, &handle));
	}
	if (!got)
		return -ENOSPC;
	*ret_offset = xm_heap_hand_out(&region->heap, handle);
	return 0;
}

static __attribute__((noinline)) int
alloc_slowly(extmem_region *region, struct cache *c, uint32_t class,
	     uint64_t size, uint64_t alignment, uint64_t *ret_offset)
{
	int rc = -ENOSPC;

	os_mutex_take(&region->lock);
	if (class < XM_HEAP_CLASSES) {
		rc = alloc_some(region, c, class, ret_offset);
		if (rc == -ENOSPC && scrape(region))
			rc = alloc_some(region, c, class, ret_offset);
	}
	/* Pages of its own, then. */
	if (rc == -ENOSPC)
		rc = xm_heap_alloc(&region->heap, size, alignment, ret_offset);
	if (rc == -ENOSPC && scrape(region))
		rc = xm_heap_alloc(&region->heap, size, alignment, ret_offset);
	os_mutex_give(&region->lock);
	/* Of what is only read nothing is to be had. */
	if (rc == -ENOSPC && region->reads)
		return xm_region_writable(region, "extmem_object_alloc");
	if (rc == -ENOSPC)
		return xm_fail(rc, "extmem_object_alloc: region %s has no room "
			       "for %llu bytes", region->name,
			       (unsigned long long)size);
	if (rc != 0)
		return xm_fail(rc, "extmem_object_alloc: %llu bytes aligned to "
			       "%llu", (unsigned long long)size,
			       (unsigned long long)alignment);
	return 0;
}

int extmem_object_alloc(extmem_region *region, uint64_t size,
			uint64_t alignment, uint64_t *ret_offset)
{
	uint32_t class = XM_HEAP_CLASSES;
	struct cache *c;
	int rc = xm_region_usable(region, "extmem_object_alloc");

	if (rc != 0)
		return rc;
	c = cache_of(region);
	if (alignment == 0 || xm_is_power_of_two(alignment))
		class = xm_heap_class(&region->heap, size, alignment);
	if (c != NULL && class < XM_HEAP_CLASSES && cache_enter(c)) {
		uint64_t handle;
		bool got = xm_heap_cache_take(&c->slots, class, &handle);

		cache_leave(c);
		if (got) {
			*ret_offset = xm_heap_hand_out(&region->heap, handle);
			return 0;
		}
	}
	return alloc_slowly(region, c, class, size, alignment, ret_offset);
}

/* A slot that is ours again, and does not fit in the cache. */
static __attribute__((noinline)) void give_slowly(extmem_region *region, struct cache *c, uint32_t class,
			uint64_t handle)
{
	struct xm_heap_freed freed;

	os_mutex_take(&region->lock);
	if (c != NULL) {
		flush_class(region, c, class, c->slots.bins[class].max / 2);
		XM_ASSERT(xm_heap_cache_give(&c->slots, class, handle));
	} else {
		xm_heap_give(&region->heap, handle, &freed);
		xm_discard(region, freed.slab_offset, freed.slab_size);
	}
	os_mutex_give(&region->lock);
}

static __attribute__((noinline)) int free_own_slab(extmem_region *region, uint64_t offset)
{
	struct xm_heap_freed freed;
	int rc;

	os_mutex_take(&region->lock);
	rc = xm_heap_free(&region->heap, offset, &freed);
	if (rc == 0)
		xm_discard(region, freed.slab_offset, freed.slab_size);
	os_mutex_give(&region->lock);
	return rc;
}

int extmem_object_free(extmem_region *region, uint64_t offset)
{
	uint64_t handle;
	uint32_t class;
	int rc = xm_region_usable(region, "extmem_object_free");

	if (rc != 0)
		return rc;
	rc = xm_heap_hand_back(&region->heap, offset, &class, &handle);
	if (rc == 0) {
		struct cache *c = cache_of(region);
		bool kept = false;

		if (c != NULL && cache_enter(c)) {
			kept = xm_heap_cache_give(&c->slots, class, handle);
			cache_leave(c);
		}
		if (!kept)
			give_slowly(region, c, class, handle);
		return 0;
	}
	if (rc == -EAGAIN)
		rc = free_own_slab(region, offset);
	if (rc != 0)
		return xm_fail(rc, "extmem_object_free: no object begins at "
			       "%llu", (unsigned long long)offset);
	return 0;
}

int extmem_object_size(extmem_region *region, uint64_t offset,
		       uint64_t *ret_size)
{
	int rc = xm_region_usable(region, "extmem_object_size");

	if (rc != 0)
		return rc;
	rc = xm_heap_peek(&region->heap, offset, ret_size);
	if (rc == -EAGAIN) {
		os_mutex_take(&region->lock);
		rc = xm_heap_size(&region->heap, offset, ret_size);
		os_mutex_give(&region->lock);
	}
	if (rc != 0)
		return xm_fail(rc, "extmem_object_size: no object begins at "
			       "%llu", (unsigned long long)offset);
	return 0;
}
