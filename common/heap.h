/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects of any size inside slabs, with all metadata in local memory.
 *
 * The heap deals in offsets into a region that may be far away, and never
 * touches it: alloc and free read and write only the memory handed to init.
 * Slabs come from, and go back to, an extent allocator, which others may use
 * beside the heap.
 *
 * Objects are aligned to 16 bytes, those whose size is a power of two to
 * their size up to a page. See heap.c for classes, slabs and bounds.
 *
 * One thread at a time, except where it says otherwise. Floor: ground.
 */
#ifndef XM_HEAP_H
#define XM_HEAP_H

#include "common/base.h"
#include "common/extent.h"

#define XM_HEAP_PAGE 4096 /* bytes */
#define XM_HEAP_SMALL_MAX UINT64_C(16384)    /* bytes; above: own slab */
#define XM_HEAP_ALIGNMENT_MAX (2 * XM_MIB)
#define XM_HEAP_CLASSES 36		     /* see heap.c */
#define XM_HEAP_SIZE_MAX (UINT64_C(1) << 44) /* bytes of region */

struct xm_heap_slab; /* heap.c */

struct xm_heap_bin {
	uint32_t size;	    /* bytes of a slot */
	uint32_t slots;	    /* in a slab */
	uint32_t slab_size; /* bytes */
	uint32_t inverse;   /* 2^32 / size, rounded up */
	uint32_t first, last; /* slabs with a free slot, 0: none */
	uint32_t empty;	      /* of these, the one kept without an object */
};

struct xm_heap {
	struct xm_extent *extent;
	uint64_t size_max; /* bytes of region the memory was sized for */
	uint64_t objects;  /* alive, or in a cache */
	uint64_t bytes;	   /* in them, as rounded up */
	uint64_t slabs;	   /* held by the heap, objects of their own too */
	uint32_t spare;	   /* chain of slab records no longer used */
	uint32_t unused;   /* slab records from here on were never used */
	struct xm_heap_bin bins[XM_HEAP_CLASSES];
	_Atomic uint32_t *pages; /* page number -> slab record, or a mark */
	struct xm_heap_slab *records;
};

/* What a free gave up, for the caller to discard cached pages by. */
struct xm_heap_freed {
	uint64_t size;	      /* usable bytes the object had */
	uint64_t slab_offset; /* slab given back to the extent ... */
	uint64_t slab_size;   /* ... or size 0: none */
};

/* The smallest class that holds size, 1 .. XM_HEAP_SMALL_MAX; see heap.c. */
static inline uint32_t xm_heap_class_of(uint64_t size)
{
	uint32_t last = (uint32_t)size - 1, doubling;

	if (size <= 64)
		return last / 16;
	doubling = 31 - 6 - (uint32_t)__builtin_clz(last);
	return 4 + 4 * doubling + ((last - (64u << doubling)) >> (4 + doubling));
}

/* Bytes of memory needed to serve regions of up to size_max bytes (at most
 * XM_HEAP_SIZE_MAX): 80 for each page, touched only as slabs are made. */
size_t xm_heap_memory_size(uint64_t size_max);

/* The memory reads as zero (fresh from mmap), is aligned to 64 bytes, and
 * outlives the heap. The extent's granule is XM_HEAP_PAGE to 64 KiB, its size
 * never exceeds size_max, and what the heap took from it is left alone.
 * There is no close. */
void xm_heap_init(struct xm_heap *, struct xm_extent *, uint64_t size_max,
		  void *memory);

/* `alignment`: a power of two up to XM_HEAP_ALIGNMENT_MAX, or 0.
 * -EINVAL: size 0 or too large to round, or a bad alignment. -ENOSPC: no
 * room; xm_heap_trim() may make some. */
int xm_heap_alloc(struct xm_heap *, uint64_t size, uint64_t alignment,
		  uint64_t *ret_offset);

/* -EINVAL: no object begins at `offset` (never did, or was freed already);
 * nothing is changed then. The caller discards what it has cached of the slab
 * in *ret before it takes anything from the extent again. */
int xm_heap_free(struct xm_heap *, uint64_t offset, struct xm_heap_freed *ret);

/* Usable bytes of the object; -EINVAL as above. */
int xm_heap_size(const struct xm_heap *, uint64_t offset, uint64_t *ret_size);

/* --- for caches: slots are taken and given in numbers, by one thread at a time,
 * and handed out and back one by one, by any thread at any time (heap_slots.h). */

/* Takes up to `count` slots, each by a handle; returns how many there were. */
uint32_t xm_heap_take(struct xm_heap *, uint32_t class, uint64_t *ret,
		      uint32_t count);
/* Of a slot that was taken and is not handed out. `ret`: as of xm_heap_free(). */
void xm_heap_give(struct xm_heap *, uint64_t handle, struct xm_heap_freed *ret);
/* The object that contains `offset`: -ENOENT when none does. */
int xm_heap_find(const struct xm_heap *, uint64_t offset, uint64_t *ret_offset,
		 uint64_t *ret_size);

/* True when the range of the extent that begins at `offset` is the heap's, so
 * that nobody else may give it back. */
bool xm_heap_owns(const struct xm_heap *, uint64_t offset);

/* Gives one empty slab, kept for the next object of its class, back to the
 * extent. False: there are no more, and *ret is untouched. */
bool xm_heap_trim(struct xm_heap *, struct xm_heap_freed *ret);

/* The region, and with it the extent, grows or shrinks to `size` bytes.
 * -EINVAL: beyond size_max, or unaligned; -EBUSY: a slab would be cut. Trim
 * before shrinking. */
int xm_heap_resize(struct xm_heap *, uint64_t size);

/* Asserts every invariant. For tests: visits all slabs. */
void xm_heap_check(const struct xm_heap *);

#endif
