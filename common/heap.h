/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A heap of objects of any size in remote memory, whose metadata is local.
 *
 * The heap computes with offsets into a region and never touches the region: alloc and
 * free read and write only the memory that was handed to init. Objects lie in slabs,
 * which the heap takes from an extent allocator (extent.h); others may use this
 * allocator beside the heap.
 *
 * An object is aligned to 16 bytes; if its size is a power of two, to its size, up to a
 * page. For example, 100 bytes take 112, and 128 bytes are aligned to 128. heap.c has
 * the classes, the slabs and the bounds.
 *
 * Errors are -errno and change nothing. One thread at a time, except for functions that
 * say otherwise. Floor: ground.
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

/* What a free has freed, so that the caller can discard cached pages. */
struct xm_heap_freed {
	uint64_t size;	      /* usable bytes of the object */
	uint64_t slab_offset; /* the slab that went back to the extent allocator */
	uint64_t slab_size;   /* bytes; 0: no slab did */
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

/* Bytes of an object of this class. */
static inline uint32_t xm_heap_class_size(uint32_t class)
{
	uint32_t doubling;

	if (class < 4)
		return 16 * (class + 1);
	doubling = (class - 4) / 4;
	return (64u << doubling) + (16u << doubling) * ((class - 4) % 4 + 1);
}

/* Bytes of memory needed to serve regions of up to size_max bytes (at most
 * XM_HEAP_SIZE_MAX): 80 for each page, touched only as slabs are made. */
size_t xm_heap_memory_size(uint64_t size_max);

/* The memory reads as zero (as mmap() returns it), is aligned to 64 bytes, and outlives
 * the heap. The granule of the extent allocator is XM_HEAP_PAGE to 64 KiB and its size
 * at most size_max; nobody else frees or resizes ranges that the heap took. There is
 * no close. */
void xm_heap_init(struct xm_heap *, struct xm_extent *, uint64_t size_max,
		  void *memory);

/* `alignment`: a power of two up to XM_HEAP_ALIGNMENT_MAX, or 0.
 * -EINVAL: size 0 or too large to round, or a bad alignment. -ENOSPC: no
 * room; xm_heap_trim() may make some. */
int xm_heap_alloc(struct xm_heap *, uint64_t size, uint64_t alignment,
		  uint64_t *ret_offset);

/* -EINVAL: no object begins at `offset`; it never did, or was freed already. The caller
 * discards what it has cached of the slab in *ret before it takes anything from the
 * extent allocator again. */
int xm_heap_free(struct xm_heap *, uint64_t offset, struct xm_heap_freed *ret);

/* Usable bytes of the object; -EINVAL as above. */
int xm_heap_size(const struct xm_heap *, uint64_t offset, uint64_t *ret_size);

/* --- for caches (heap_cache.h): one thread at a time takes and gives back several slots
 * at once; any thread may hand single slots out and back at any time (heap_slots.h). */

/* Takes up to `count` slots of a class and returns how many; *ret gets a handle of
 * each. */
uint32_t xm_heap_take(struct xm_heap *, uint32_t class, uint64_t *ret,
		      uint32_t count);
/* Gives back a slot that was taken and is not handed out. `ret`: as xm_heap_free(). */
void xm_heap_give(struct xm_heap *, uint64_t handle, struct xm_heap_freed *ret);
/* The object that contains `offset`: -ENOENT when none does. */
int xm_heap_find(const struct xm_heap *, uint64_t offset, uint64_t *ret_offset,
		 uint64_t *ret_size);

/* Frees one empty slab that was kept for the next object of its class. False: there is
 * none, and *ret is untouched. */
bool xm_heap_trim(struct xm_heap *, struct xm_heap_freed *ret);

/* The region, and with it the extent allocator, grows or shrinks to `size` bytes.
 * -EINVAL: above size_max, or unaligned; -EBUSY: a slab would be cut, so call
 * xm_heap_trim() before. */
int xm_heap_resize(struct xm_heap *, uint64_t size);

/* Asserts every invariant. For tests: visits all slabs. */
void xm_heap_check(const struct xm_heap *);

#endif
