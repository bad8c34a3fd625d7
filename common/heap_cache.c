/* SPDX-License-Identifier: BSD-3-Clause */
/* A thread's slots; see heap_cache.h. */
#include "common/heap_cache.h"

#include <string.h>

#define BYTES_MAX (64 * XM_KIB) /* of one class */
#define SLOTS_MIN 8
#define BATCH_MIN 4

void xm_heap_cache_init(struct xm_heap_cache *c, const struct xm_heap *h)
{
	memset(c, 0, sizeof(*c));
	for (uint32_t i = 0; i < XM_HEAP_CLASSES; i++) {
		uint64_t max = BYTES_MAX / h->bins[i].size;

		max = xm_min(xm_max(max, SLOTS_MIN), XM_HEAP_CACHE_SLOTS);
		c->bins[i].max = (uint16_t)max;
		c->bins[i].batch = BATCH_MIN;
	}
}

bool xm_heap_cache_refill(struct xm_heap_cache *c, struct xm_heap *h,
			  uint32_t class)
{
	struct xm_heap_cache_bin *bin = &c->bins[class];
	uint32_t count = bin->count, got;

	/* What was asked for again soon is likely to be asked for again. */
	got = xm_heap_take(h, class, bin->handles + count,
			   (uint32_t)xm_min(bin->batch, bin->max - count));
	bin->batch = (uint16_t)xm_min(2 * bin->batch, bin->max / 2);
	/* The lowest is the first to go out, as without a cache. */
	for (uint32_t i = 0; i < got / 2; i++) {
		uint64_t *a = &bin->handles[count + i];
		uint64_t *b = &bin->handles[count + got - 1 - i], swap = *a;

		*a = *b;
		*b = swap;
	}
	bin->count = (uint16_t)(count + got);
	return got > 0;
}

uint32_t xm_heap_cache_flush(struct xm_heap_cache *c, struct xm_heap *h,
			     uint32_t class, uint32_t keep,
			     struct xm_heap_freed ret[XM_HEAP_CACHE_SLOTS])
{
	struct xm_heap_cache_bin *bin = &c->bins[class];
	uint32_t count = bin->count, slabs = 0;
	uint32_t gone = count > keep ? count - keep : 0;

	for (uint32_t i = 0; i < gone; i++) {
		xm_heap_give(h, bin->handles[i], &ret[slabs]);
		slabs += ret[slabs].slab_size > 0;
	}
	memmove(bin->handles, bin->handles + gone,
		(count - gone) * sizeof(bin->handles[0]));
	bin->count = (uint16_t)(count - gone);
	if (gone > 0)
		bin->batch = (uint16_t)xm_max(bin->batch / 2, BATCH_MIN);
	return slabs;
}

uint64_t xm_heap_cache_count(const struct xm_heap_cache *c)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < XM_HEAP_CLASSES; i++)
		count += atomic_load_explicit(&c->bins[i].count,
					      memory_order_relaxed);
	return count;
}
