/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inline part of the heap, on the path of every small object: from an offset to its
 * slot and back, and whether the slot is handed out. Included by heap.c and by callers
 * that hand slots out (heap.h, "for caches").
 *
 * Any thread may call these functions at any time, unless one says otherwise; heap.c
 * says why this is sound.
 *
 * Floor: ground.
 */
#ifndef XM_HEAP_SLOTS_H
#define XM_HEAP_SLOTS_H

#include <errno.h>
#include <stdatomic.h>

#include "common/heap.h"

#define XM_HEAP_SLOTS_MAX 512 /* in a slab */
#define XM_HEAP_WORDS (XM_HEAP_SLOTS_MAX / 64)
#define XM_HEAP_NO_SLAB 0		 /* mark of a page, number of a record */
#define XM_HEAP_OWN_SLAB UINT32_MAX	 /* mark: an object of its own begins */

struct xm_heap_slab {
	_Atomic uint64_t live[XM_HEAP_WORDS]; /* bit: this slot is handed out */
	uint64_t offset;
	uint64_t free[XM_HEAP_WORDS]; /* bit: it is free */
	uint32_t previous, next; /* in its bin; next chains spares too */
	uint16_t free_count;
	uint8_t words; /* bit: free[] has a free slot in this word */
	uint8_t class;
};

/* A slot, taken from the heap or in it. */
struct xm_heap_slot {
	uint32_t slab; /* record, or XM_HEAP_OWN_SLAB */
	uint32_t slot;
	uint64_t offset; /* of the object */
	uint64_t size;
};

/* Slot numbers have 9 bits. */
#define XM_HEAP_HANDLE_BITS 16

static inline uint64_t xm_heap_handle(const struct xm_heap_slot *slot)
{
	return (uint64_t)slot->slab << XM_HEAP_HANDLE_BITS | slot->slot;
}

static inline void xm_heap_slot_of(const struct xm_heap *h, uint64_t handle,
				   struct xm_heap_slot *ret)
{
	const struct xm_heap_slab *slab;

	ret->slab = (uint32_t)(handle >> XM_HEAP_HANDLE_BITS);
	ret->slot = (uint32_t)(handle & ((1u << XM_HEAP_HANDLE_BITS) - 1));
	slab = &h->records[ret->slab];
	ret->size = h->bins[slab->class].size;
	ret->offset = slab->offset + ret->slot * ret->size;
}

static inline uint32_t xm_heap_mark(const struct xm_heap *h, uint64_t offset)
{
	return atomic_load_explicit(&h->pages[offset / XM_HEAP_PAGE],
				    memory_order_relaxed);
}

/* The slot that contains offset, in the slab that its page's mark names. */
static inline int xm_heap_slot_at(const struct xm_heap *h, uint64_t offset,
				  uint32_t s, struct xm_heap_slot *ret)
{
	const struct xm_heap_slab *slab = &h->records[s];
	const struct xm_heap_bin *bin;
	uint64_t inside = offset - slab->offset;
	uint32_t slot;

	if (slab->class >= XM_HEAP_CLASSES)
		return -ENOENT;
	bin = &h->bins[slab->class];
	/* inside / size: exact while inside * size < 2^32 (Granlund and
	 * Montgomery 1994); slabs have 2^17 bytes, slots at most 2^14. */
	slot = (uint32_t)(inside * bin->inverse >> 32);
	if (inside >= bin->slab_size || slot >= bin->slots)
		return -ENOENT;
	ret->slab = s;
	ret->slot = slot;
	ret->offset = slab->offset + (uint64_t)slot * bin->size;
	ret->size = bin->size;
	return 0;
}

static inline bool xm_heap_is_live(const struct xm_heap *h,
				   const struct xm_heap_slot *slot)
{
	const struct xm_heap_slab *slab = &h->records[slot->slab];

	return (atomic_load_explicit(&slab->live[slot->slot / 64],
				     memory_order_relaxed) >>
		slot->slot % 64 & 1) != 0;
}

/* Returns whether it was live before. */
static inline bool xm_heap_set_live(struct xm_heap *h,
				    const struct xm_heap_slot *slot, bool live)
{
	_Atomic uint64_t *word = &h->records[slot->slab].live[slot->slot / 64];
	uint64_t bit = UINT64_C(1) << slot->slot % 64;
	uint64_t before =
		live ? atomic_fetch_or_explicit(word, bit, memory_order_relaxed)
		     : atomic_fetch_and_explicit(word, ~bit,
						 memory_order_relaxed);

	return (before & bit) != 0;
}

/* Makes an object of a slot that the caller took. */
static inline uint64_t xm_heap_hand_out(struct xm_heap *h, uint64_t handle)
{
	struct xm_heap_slot slot;

	xm_heap_slot_of(h, handle, &slot);
	XM_ASSERT(!xm_heap_set_live(h, &slot, true));
	return slot.offset;
}

/* Ends an object; its slot is the caller's. -EINVAL: no object begins at `offset`, or
 * another thread was first. -EAGAIN: the object has a slab of its own; use
 * xm_heap_free(). */
static inline int xm_heap_hand_back(struct xm_heap *h, uint64_t offset,
				    uint32_t *ret_class, uint64_t *ret_handle)
{
	struct xm_heap_slot slot;
	uint32_t s;

	if (offset >= h->size_max)
		return -EINVAL;
	s = xm_heap_mark(h, offset);
	if (s == XM_HEAP_OWN_SLAB)
		return -EAGAIN;
	if (s == XM_HEAP_NO_SLAB || xm_heap_slot_at(h, offset, s, &slot) < 0 ||
	    slot.offset != offset || !xm_heap_set_live(h, &slot, false))
		return -EINVAL;
	*ret_class = h->records[s].class;
	*ret_handle = xm_heap_handle(&slot);
	return 0;
}

/* As xm_heap_size(), but -EAGAIN: the object has a slab of its own. */
static inline int xm_heap_peek(const struct xm_heap *h, uint64_t offset,
			       uint64_t *ret_size)
{
	struct xm_heap_slot slot;
	uint32_t s;

	if (offset >= h->size_max)
		return -EINVAL;
	s = xm_heap_mark(h, offset);
	if (s == XM_HEAP_OWN_SLAB)
		return -EAGAIN;
	if (s == XM_HEAP_NO_SLAB || xm_heap_slot_at(h, offset, s, &slot) < 0 ||
	    slot.offset != offset || !xm_heap_is_live(h, &slot))
		return -EINVAL;
	*ret_size = slot.size;
	return 0;
}

/* The class of objects of this size and alignment (0: none; a power of two); or
 * XM_HEAP_CLASSES, when such an object has a slab of its own. */
static inline uint32_t xm_heap_class(const struct xm_heap *h, uint64_t size,
				     uint64_t alignment)
{
	uint32_t class;

	if (size == 0 || size > XM_HEAP_SMALL_MAX || alignment > XM_HEAP_PAGE)
		return XM_HEAP_CLASSES;
	if (alignment <= 16)
		return xm_heap_class_of(size);
	/* Slabs begin at a page: a slot is aligned if its size is. */
	class = xm_heap_class_of(xm_align_up(size, alignment));
	while (!xm_is_aligned(h->bins[class].size, alignment))
		class++;
	return class;
}

#endif
