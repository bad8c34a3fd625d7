/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A heap of objects of any size in remote memory, whose metadata is local.
 *
 * Algorithm. Segregated size classes in slabs (Bonwick 1994), the classes
 * those of jemalloc (Evans 2006; its "size classes" manual section): 16, 32,
 * 48, 64 bytes, then four to each doubling up to 16 KiB, 36 in all. A slab
 * holds slots of one class; which are free is a bitmap of at most 512 bits
 * in a record outside the region, and the lowest free slot is chosen. A table
 * with one word a page leads from an offset to its slab's record. Larger
 * objects, and those aligned to more than a page, are a slab of their own;
 * the table marks their first page and the extent knows their size. A small
 * object for which no slab can be had gets pages of its own too.
 *
 * A class allocates from the slab that last changed from full to not full,
 * whose pages are the most likely to be in local memory. A slab without objects
 * goes back to the extent allocator, except that each class keeps one, so that a
 * program that frees and allocates one object in turn does not move slabs about.
 *
 * Bounds that hold:
 *  - alloc and free of small objects are O(1), except that making and giving
 *    up a slab is one call of the extent, O(log n), and at most 32 words of
 *    the table. Large objects are one call of the extent.
 *  - An object of s bytes takes less than 1.25 s for s > 64, at most s + 15
 *    below, and whole pages above 16 KiB. The tail of a slab that holds no
 *    slot is at most 1/16 of it.
 *  - At worst each slab holds one object: 512 times the bytes for classes up
 *    to 128, slab size (64 or 128 KiB) over the size above. No heap that
 *    cannot move objects is free of this (Robson 1974). Slabs kept empty are
 *    at most 2.6 MiB.
 *  - Memory: 152 bytes a slab and 4 a page in use; for 64-byte objects in
 *    full slabs 0.36 bytes each, for objects of 1 KiB 3.4.
 *
 * No byte of the region is read or written.
 *
 * Threads' caches (heap_cache.h) stand between the caller and this file: slots
 * are taken and given several at a time, under the lock that guards the heap,
 * and handed out and back without it. What is handed out is a second bitmap,
 * changed by atomic operations of one bit. A slab that has a slot in a cache,
 * or out, is not empty, so its record and its words in the table stay as they
 * are; what is read of others without the lock may be stale, but is only
 * believed if the bit says that an object is out there.
 *
 * Floor: ground.
 */
#include "common/heap_slots.h"

#include <string.h>

#define SPARE_CLASS UINT8_MAX

/* --- size classes ---------------------------------------------------------- */

static void bin_init(struct xm_heap_bin *bin, uint32_t class, uint64_t granule)
{
	uint32_t size = xm_heap_class_size(class);
	uint64_t slab = xm_min((uint64_t)size * XM_HEAP_SLOTS_MAX,
			       size <= 4096 ? 64 * XM_KIB : 128 * XM_KIB);

	memset(bin, 0, sizeof(*bin));
	bin->size = size;
	bin->slab_size = (uint32_t)xm_align_up(slab, granule);
	bin->slots = (uint32_t)xm_min(bin->slab_size / size, XM_HEAP_SLOTS_MAX);
	bin->inverse = (uint32_t)(((UINT64_C(1) << 32) + size - 1) / size);
}

/* --- slabs ------------------------------------------------------------------ */

static void bin_put_first(struct xm_heap *h, struct xm_heap_bin *bin,
			  uint32_t s)
{
	struct xm_heap_slab *slab = &h->records[s];

	slab->previous = XM_HEAP_NO_SLAB;
	slab->next = bin->first;
	if (bin->first != XM_HEAP_NO_SLAB)
		h->records[bin->first].previous = s;
	else
		bin->last = s;
	bin->first = s;
}

static void bin_put_last(struct xm_heap *h, struct xm_heap_bin *bin, uint32_t s)
{
	struct xm_heap_slab *slab = &h->records[s];

	slab->next = XM_HEAP_NO_SLAB;
	slab->previous = bin->last;
	if (bin->last != XM_HEAP_NO_SLAB)
		h->records[bin->last].next = s;
	else
		bin->first = s;
	bin->last = s;
}

static void bin_remove(struct xm_heap *h, struct xm_heap_bin *bin, uint32_t s)
{
	struct xm_heap_slab *slab = &h->records[s];

	if (slab->previous != XM_HEAP_NO_SLAB)
		h->records[slab->previous].next = slab->next;
	else
		bin->first = slab->next;
	if (slab->next != XM_HEAP_NO_SLAB)
		h->records[slab->next].previous = slab->previous;
	else
		bin->last = slab->previous;
}

/* Writes the word of every page of a slab. */
static void mark_pages(struct xm_heap *h, uint64_t offset, uint64_t size,
		       uint32_t mark)
{
	_Atomic uint32_t *page = &h->pages[offset / XM_HEAP_PAGE];

	for (uint64_t i = 0; i < size / XM_HEAP_PAGE; i++)
		atomic_store_explicit(&page[i], mark, memory_order_relaxed);
}

static uint64_t records_max(uint64_t size_max)
{
	return size_max / (16 * XM_HEAP_SLOTS_MAX) + 1; /* slabs of the least class */
}

static int slab_make(struct xm_heap *h, uint32_t class, uint32_t *ret)
{
	struct xm_heap_bin *bin = &h->bins[class];
	struct xm_heap_slab *slab;
	uint64_t offset;
	uint32_t s;
	int r = xm_extent_take(h->extent, bin->slab_size, 0, &offset);

	if (r < 0)
		return r;
	XM_ASSERT(xm_span_fits(offset, bin->slab_size, h->size_max));
	s = h->spare;
	if (s != XM_HEAP_NO_SLAB) {
		h->spare = h->records[s].next;
	} else {
		s = h->unused++;
		XM_ASSERT(s <= records_max(h->size_max));
	}
	slab = &h->records[s];
	memset(slab, 0, sizeof(*slab));
	slab->offset = offset;
	slab->class = (uint8_t)class;
	slab->free_count = (uint16_t)bin->slots;
	for (uint32_t i = 0; i < bin->slots; i += 64) {
		uint32_t left = bin->slots - i;

		slab->free[i / 64] = left >= 64 ? UINT64_MAX
						: (UINT64_C(1) << left) - 1;
		slab->words |= (uint8_t)(1u << i / 64);
	}
	mark_pages(h, offset, bin->slab_size, s);
	bin_put_first(h, bin, s);
	h->slabs++;
	*ret = s;
	return 0;
}

/* Gives a slab without objects back to the extent. */
static void slab_give(struct xm_heap *h, uint32_t s, struct xm_heap_freed *ret)
{
	struct xm_heap_slab *slab = &h->records[s];
	struct xm_heap_bin *bin = &h->bins[slab->class];

	XM_ASSERT(slab->free_count == bin->slots);
	bin_remove(h, bin, s);
	if (bin->empty == s)
		bin->empty = XM_HEAP_NO_SLAB;
	mark_pages(h, slab->offset, bin->slab_size, XM_HEAP_NO_SLAB);
	XM_ASSERT(xm_extent_give(h->extent, slab->offset, NULL) == 0);
	h->slabs--;
	ret->slab_offset = slab->offset;
	ret->slab_size = bin->slab_size;
	slab->class = SPARE_CLASS;
	slab->next = h->spare;
	h->spare = s;
}

/* --- where an offset leads --------------------------------------------------- */

/* The living object that contains offset. */
static int locate(const struct xm_heap *h, uint64_t offset, struct xm_heap_slot *ret)
{
	uint32_t s;

	if (offset >= h->size_max)
		return -ENOENT;
	s = xm_heap_mark(h, offset);
	if (s == XM_HEAP_NO_SLAB || s == XM_HEAP_OWN_SLAB) {
		struct xm_extent_range range;

		/* Only the first page of an object of its own is marked. */
		if (xm_extent_find(h->extent, offset, &range) < 0 ||
		    xm_heap_mark(h, range.offset) != XM_HEAP_OWN_SLAB)
			return -ENOENT;
		ret->slab = XM_HEAP_OWN_SLAB;
		ret->offset = range.offset;
		ret->size = range.size;
		return 0;
	}
	return xm_heap_slot_at(h, offset, s, ret) == 0 && xm_heap_is_live(h, ret) ? 0 : -ENOENT;
}

/* The same, if the object begins there. */
static int locate_start(const struct xm_heap *h, uint64_t offset,
			struct xm_heap_slot *ret)
{
	struct xm_heap_slot place;

	/* Refuses what is inside an object of its own without a search. */
	if (offset >= h->size_max ||
	    xm_heap_mark(h, offset) == XM_HEAP_NO_SLAB ||
	    locate(h, offset, &place) < 0 || place.offset != offset)
		return -EINVAL;
	*ret = place;
	return 0;
}

/* --- the functions of heap.h -------------------------------------------------- */

static uint64_t table_size(uint64_t size_max)
{
	return xm_align_up(size_max / XM_HEAP_PAGE * sizeof(uint32_t), 64);
}

size_t xm_heap_memory_size(uint64_t size_max)
{
	XM_ASSERT(size_max <= XM_HEAP_SIZE_MAX);
	size_max = xm_align_up(size_max, XM_HEAP_PAGE);
	return table_size(size_max) +
	       (records_max(size_max) + 1) * sizeof(struct xm_heap_slab);
}

void xm_heap_init(struct xm_heap *h, struct xm_extent *extent,
		  uint64_t size_max, void *memory)
{
	XM_ASSERT(size_max <= XM_HEAP_SIZE_MAX && extent->size <= size_max);
	XM_ASSERT(extent->granule >= XM_HEAP_PAGE &&
		  extent->granule <= 64 * XM_KIB);
	memset(h, 0, sizeof(*h));
	h->extent = extent;
	h->size_max = xm_align_up(size_max, XM_HEAP_PAGE);
	h->pages = memory;
	h->records = (void *)((char *)memory + table_size(h->size_max));
	h->unused = 1;
	for (uint32_t class = 0; class < XM_HEAP_CLASSES; class++)
		bin_init(&h->bins[class], class, extent->granule);
}

static int alloc_own(struct xm_heap *h, uint64_t size, uint64_t alignment,
		     uint64_t *ret_offset)
{
	uint64_t offset;
	int r = xm_extent_take(h->extent, size, alignment, &offset);

	if (r < 0)
		return r;
	size = xm_align_up(size, h->extent->granule);
	XM_ASSERT(xm_span_fits(offset, size, h->size_max));
	mark_pages(h, offset, XM_HEAP_PAGE, XM_HEAP_OWN_SLAB);
	h->objects++;
	h->slabs++;
	h->bytes += size;
	*ret_offset = offset;
	return 0;
}

/* The first free slot of a slab with room. */
static void slot_take(struct xm_heap *h, struct xm_heap_bin *bin, uint32_t s,
		      struct xm_heap_slot *ret)
{
	struct xm_heap_slab *slab = &h->records[s];
	uint32_t word = (uint32_t)__builtin_ctz(slab->words);

	ret->slab = s;
	ret->slot = word * 64 + (uint32_t)__builtin_ctzll(slab->free[word]);
	ret->size = bin->size;
	ret->offset = slab->offset + (uint64_t)ret->slot * bin->size;
	slab->free[word] &= slab->free[word] - 1;
	if (slab->free[word] == 0)
		slab->words &= (uint8_t)~(1u << word);
	if (bin->empty == s)
		bin->empty = XM_HEAP_NO_SLAB;
	if (--slab->free_count == 0)
		bin_remove(h, bin, s);
	h->objects++;
	h->bytes += bin->size;
}

static void slot_give(struct xm_heap *h, const struct xm_heap_slot *place,
		      struct xm_heap_freed *ret)
{
	struct xm_heap_slab *slab = &h->records[place->slab];
	struct xm_heap_bin *bin = &h->bins[slab->class];

	h->objects--;
	h->bytes -= bin->size;
	slab->free[place->slot / 64] |= UINT64_C(1) << place->slot % 64;
	slab->words |= (uint8_t)(1u << place->slot / 64);
	if (slab->free_count++ == 0)
		bin_put_first(h, bin, place->slab);
	if (slab->free_count < bin->slots)
		return;
	if (bin->empty != XM_HEAP_NO_SLAB) {
		slab_give(h, place->slab, ret);
		return;
	}
	/* Last to be used, so that it may yet be trimmed. */
	bin->empty = place->slab;
	bin_remove(h, bin, place->slab);
	bin_put_last(h, bin, place->slab);
}

int xm_heap_alloc(struct xm_heap *h, uint64_t size, uint64_t alignment,
		  uint64_t *ret_offset)
{
	struct xm_heap_slot place;
	uint32_t class, s;

	if (size == 0 || alignment > XM_HEAP_ALIGNMENT_MAX ||
	    (alignment != 0 && !xm_is_power_of_two(alignment)))
		return -EINVAL;
	class = xm_heap_class(h, size, alignment);
	if (class == XM_HEAP_CLASSES)
		return alloc_own(h, size, alignment, ret_offset);
	s = h->bins[class].first;
	if (s == XM_HEAP_NO_SLAB && slab_make(h, class, &s) < 0)
		return alloc_own(h, size, alignment, ret_offset);
	slot_take(h, &h->bins[class], s, &place);
	xm_heap_set_live(h, &place, true);
	*ret_offset = place.offset;
	return 0;
}

int xm_heap_free(struct xm_heap *h, uint64_t offset, struct xm_heap_freed *ret)
{
	struct xm_heap_freed freed = { 0 };
	struct xm_heap_slot place;

	if (locate_start(h, offset, &place) < 0)
		return -EINVAL;
	freed.size = place.size;
	if (place.slab == XM_HEAP_OWN_SLAB) {
		h->objects--;
		h->bytes -= place.size;
		mark_pages(h, offset, XM_HEAP_PAGE, XM_HEAP_NO_SLAB);
		XM_ASSERT(xm_extent_give(h->extent, offset, NULL) == 0);
		h->slabs--;
		freed.slab_offset = offset;
		freed.slab_size = place.size;
	} else {
		/* Another thread may have been first. */
		if (!xm_heap_set_live(h, &place, false))
			return -EINVAL;
		slot_give(h, &place, &freed);
	}
	*ret = freed;
	return 0;
}

uint32_t xm_heap_take(struct xm_heap *h, uint32_t class, uint64_t *ret,
		      uint32_t count)
{
	struct xm_heap_bin *bin = &h->bins[class];
	struct xm_heap_slot place;
	uint32_t n = 0, s;

	while (n < count) {
		s = bin->first;
		if (s == XM_HEAP_NO_SLAB && slab_make(h, class, &s) < 0)
			break;
		slot_take(h, bin, s, &place);
		ret[n++] = xm_heap_handle(&place);
	}
	return n;
}

void xm_heap_give(struct xm_heap *h, uint64_t handle,
		  struct xm_heap_freed *ret)
{
	struct xm_heap_freed freed = { 0 };
	struct xm_heap_slot place;

	xm_heap_slot_of(h, handle, &place);
	XM_ASSERT(!xm_heap_is_live(h, &place));
	freed.size = place.size;
	slot_give(h, &place, &freed);
	*ret = freed;
}

int xm_heap_size(const struct xm_heap *h, uint64_t offset, uint64_t *ret_size)
{
	struct xm_heap_slot place;
	int r = locate_start(h, offset, &place);

	if (r == 0)
		*ret_size = place.size;
	return r;
}

int xm_heap_find(const struct xm_heap *h, uint64_t offset, uint64_t *ret_offset,
		 uint64_t *ret_size)
{
	struct xm_heap_slot place;
	int r = locate(h, offset, &place);

	if (r < 0)
		return r;
	*ret_offset = place.offset;
	*ret_size = place.size;
	return 0;
}

bool xm_heap_trim(struct xm_heap *h, struct xm_heap_freed *ret)
{
	for (uint32_t class = 0; class < XM_HEAP_CLASSES; class++) {
		struct xm_heap_freed freed = { 0 };

		if (h->bins[class].empty == XM_HEAP_NO_SLAB)
			continue;
		slab_give(h, h->bins[class].empty, &freed);
		*ret = freed;
		return true;
	}
	return false;
}

int xm_heap_resize(struct xm_heap *h, uint64_t size)
{
	if (size > h->size_max)
		return -EINVAL;
	return xm_extent_set_size(h->extent, size);
}

void xm_heap_check(const struct xm_heap *h)
{
	uint64_t objects = 0, bytes = 0, slabs = 0, partial = 0, listed = 0;
	struct xm_extent_range range;

	for (uint32_t s = 1; s < h->unused; s++) {
		const struct xm_heap_slab *slab = &h->records[s];
		const struct xm_heap_bin *bin;
		uint32_t free = 0;

		if (slab->class == SPARE_CLASS)
			continue;
		bin = &h->bins[slab->class];
		for (uint32_t i = 0; i < XM_HEAP_WORDS; i++) {
			for (uint64_t w = slab->free[i]; w != 0; w &= w - 1)
				free++;
			XM_ASSERT((slab->free[i] & slab->live[i]) == 0);
			XM_ASSERT((slab->words >> i & 1) ==
				  (slab->free[i] != 0));
		}
		XM_ASSERT(free == slab->free_count && free <= bin->slots);
		XM_ASSERT(free < bin->slots || bin->empty == s);
		XM_ASSERT(xm_extent_find(h->extent, slab->offset, &range) == 0);
		XM_ASSERT(range.offset == slab->offset &&
			  range.size == bin->slab_size);
		for (uint64_t at = 0; at < bin->slab_size; at += XM_HEAP_PAGE)
			XM_ASSERT(xm_heap_mark(h, slab->offset + at) == s);
		objects += bin->slots - free;
		bytes += (uint64_t)(bin->slots - free) * bin->size;
		partial += free > 0;
		slabs++;
	}
	for (uint32_t class = 0; class < XM_HEAP_CLASSES; class++) {
		const struct xm_heap_bin *bin = &h->bins[class];
		uint32_t before = XM_HEAP_NO_SLAB;

		for (uint32_t s = bin->first; s != XM_HEAP_NO_SLAB; s = h->records[s].next) {
			XM_ASSERT(h->records[s].class == class);
			XM_ASSERT(h->records[s].previous == before);
			before = s;
			listed++;
		}
		XM_ASSERT(bin->last == before);
	}
	XM_ASSERT(listed == partial);
	for (uint64_t at = 0; xm_extent_next(h->extent, at, &range) == 0;
	     at = range.offset + range.size) {
		if (!range.taken || xm_heap_mark(h, range.offset) != XM_HEAP_OWN_SLAB)
			continue;
		objects++;
		slabs++;
		bytes += range.size;
	}
	XM_ASSERT(objects == h->objects && bytes == h->bytes);
	XM_ASSERT(slabs == h->slabs);
}
