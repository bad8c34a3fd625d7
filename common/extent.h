/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Divides a span of bytes into ranges, and merges ranges that are free again.
 *
 * One allocator has three uses: it divides an appliance's pool into extents, a client's
 * region into slabs, and a client's address space into regions. It computes with
 * offsets and never touches the span, which may be remote memory.
 *
 * The size of a span is a multiple of the granule (a power of two), and so is the size
 * of every range. A range is allocated at the lowest place where it fits, so that the
 * end of the span stays free and can be cut off. extent.c has the algorithm and its
 * bounds.
 *
 * Errors are -errno and change nothing. One thread at a time. Floor: ground.
 */
#ifndef XM_EXTENT_H
#define XM_EXTENT_H

#include "common/base.h"

struct xm_extent_node; /* extent.c */

struct xm_extent {
	uint64_t size;	  /* of the span, in bytes */
	uint64_t granule; /* bytes */
	uint64_t free;	  /* bytes not taken */
	uint64_t limit;	  /* nothing is taken at or beyond it; UINT64_MAX: none */
	uint32_t ranges_max;
	uint32_t taken;	 /* ranges */
	uint32_t root;	 /* of the tree of ranges, 0: none */
	uint32_t last;	 /* the range at the end of the span, 0: none */
	uint32_t spare;	 /* chain of nodes no longer used */
	uint32_t unused; /* nodes from here on were never used */
	struct xm_extent_node *nodes;
};

struct xm_extent_range {
	uint64_t offset;
	uint64_t size;
	bool taken;
};

/* Bytes of memory needed for at most `ranges_max` (1 .. 2^30) ranges taken at
 * once. The memory is aligned to 8 bytes and outlives the struct; it need not be
 * cleared, and is not touched before it is needed. */
size_t xm_extent_memory_size(uint32_t ranges_max);

/* All of [0, size) is free. `size` is a multiple of the granule and may be 0.
 * There is no close: the caller frees the memory. */
void xm_extent_init(struct xm_extent *, uint64_t size, uint64_t granule,
		    uint32_t ranges_max, void *memory);

/* Takes `size` bytes, rounded up to the granule, at a multiple of `alignment`
 * (a power of two; 0 or less than the granule: the granule).
 * -EINVAL: size 0, too large to round, or a bad alignment. -ENOSPC: no free
 * run holds it, or ranges_max ranges are taken. */
int xm_extent_take(struct xm_extent *, uint64_t size, uint64_t alignment,
		   uint64_t *ret_offset);

/* Takes exactly [offset, offset + size), a whole number of granules.
 * -EINVAL: unaligned or outside the span; -EEXIST: not free throughout;
 * -ENOSPC: ranges_max. */
int xm_extent_take_at(struct xm_extent *, uint64_t offset, uint64_t size);

/* Frees the range that begins at `offset`. ret_size may be NULL.
 * -EINVAL: no taken range begins there. */
int xm_extent_give(struct xm_extent *, uint64_t offset, uint64_t *ret_size);

/* Cuts the taken range that begins at `offset` in two; the second one begins at `at`,
 * inside it. From then on each is freed by itself.
 * -EINVAL: no such range, or `at` unaligned or not inside; -ENOSPC:
 * ranges_max. */
int xm_extent_split(struct xm_extent *, uint64_t offset, uint64_t at);

/* Grows or shrinks the taken range that begins at `offset` to `size` bytes, rounded up
 * to the granule; its offset stays.
 * -EINVAL: no such range, or size 0 or too large to round; -ENOSPC: the bytes behind it
 * are not free. */
int xm_extent_resize(struct xm_extent *, uint64_t offset, uint64_t size);

/* Makes the span longer or shorter. -EINVAL: not a multiple of the granule;
 * -EBUSY: a taken range would be cut. */
int xm_extent_set_size(struct xm_extent *, uint64_t size);

/* From now on xm_extent_take() takes nothing at or beyond this offset. What is taken there
 * already stays; it may be cut, and put together again. */
void xm_extent_set_limit(struct xm_extent *, uint64_t limit);

/* The taken range that contains `offset`; -ENOENT. */
int xm_extent_find(const struct xm_extent *, uint64_t offset,
		   struct xm_extent_range *ret);

/* The first range, taken or free, that ends behind `offset`: for a walk, begin with 0
 * and go on with ret->offset + ret->size, until -ENOENT. The ranges may change between
 * two calls. */
int xm_extent_next(const struct xm_extent *, uint64_t offset,
		   struct xm_extent_range *ret);

/* Bytes in the largest free run below the limit: so many could be taken now, without
 * alignment. */
uint64_t xm_extent_free_run(const struct xm_extent *);

/* Asserts every invariant. For tests: visits all ranges. */
void xm_extent_check(const struct xm_extent *);

#endif
