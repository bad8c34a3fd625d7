/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects of any size inside slabs, with all metadata in local memory.
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
 * whose pages are likeliest to be near. A slab without objects goes back to
 * the extent, except that each class keeps one, so that an object freed and
 * taken in turn does not move slabs about.
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
 *  - Memory: 88 bytes a slab and 4 a page in use; for 64-byte objects in
 *    full slabs 0.24 bytes each, for objects of 1 KiB 2.4.
 *
 * No byte of the region is read or written. It has no caches for threads:
 * these would stand between the caller and this file, a short array of
 * offsets for each thread and class, filled and emptied several at a time
 * under the heap's lock; an offset in one is a live object here.
 *
 * Floor: ground.
 */
#include "heap.h"

#include <errno.h>
#include <string.h>

#define SLOTS_MAX 512 /* in a slab */
#define WORDS (SLOTS_MAX / 64)
#define NONE 0
#define OWN_SLAB UINT32_MAX /* mark: an object of its own begins here */
#define SPARE_CLASS UINT8_MAX

struct xm_heap_slab {
	uint64_t free[WORDS]; /* bit: this slot is free */
	uint64_t offset;
	uint32_t previous, next; /* in its bin; next chains spares too */
	uint16_t free_count;
	uint8_t words; /* bit: free[] has a free slot in this word */
	uint8_t class;
};

/* --- size classes ---------------------------------------------------------- */

static uint32_t class_size(uint32_t class)
{
	uint32_t doubling;

	if (class < 4)
		return 16 * (class + 1);
	doubling = (class - 4) / 4;
	return (64u << doubling) + (16u << doubling) * ((class - 4) % 4 + 1);
}

/* The smallest class that holds size, 1 .. XM_HEAP_SMALL_MAX. */
static uint32_t class_of(uint64_t size)
{
	uint32_t last = (uint32_t)size - 1, doubling;

	if (size <= 64)
		return last / 16;
	doubling = 31 - 6 - (uint32_t)__builtin_clz(last);
	return 4 + 4 * doubling + ((last - (64u << doubling)) >> (4 + doubling));
}

static void bin_init(struct xm_heap_bin *bin, uint32_t class, uint64_t granule)
{
	uint32_t size = class_size(class);
	uint64_t slab = xm_min((uint64_t)size * SLOTS_MAX,
			       size <= 4096 ? 64 * XM_KIB : 128 * XM_KIB);

	memset(bin, 0, sizeof(*bin));
	bin->size = size;
	bin->slab_size = (uint32_t)xm_align_up(slab, granule);
	bin->slots = (uint32_t)xm_min(bin->slab_size / size, SLOTS_MAX);
	bin->inverse = (uint32_t)(((UINT64_C(1) << 32) + size - 1) / size);
}

/* --- slabs ------------------------------------------------------------------ */

static void bin_put_first(struct xm_heap *h, struct xm_heap_bin *bin,
			  uint32_t s)
{
	struct xm_heap_slab *slab = &h->records[s];

	slab->previous = NONE;
	slab->next = bin->first;
	if (bin->first != NONE)
		h->records[bin->first].previous = s;
	else
		bin->last = s;
	bin->first = s;
}

static void bin_put_last(struct xm_heap *h, struct xm_heap_bin *bin, uint32_t s)
{
	struct xm_heap_slab *slab = &h->records[s];

	slab->next = NONE;
	slab->previous = bin->last;
	if (bin->last != NONE)
		h->records[bin->last].next = s;
	else
		bin->first = s;
	bin->last = s;
}

static void bin_remove(struct xm_heap *h, struct xm_heap_bin *bin, uint32_t s)
{
	struct xm_heap_slab *slab = &h->records[s];

	if (slab->previous != NONE)
		h->records[slab->previous].next = slab->next;
	else
		bin->first = slab->next;
	if (slab->next != NONE)
		h->records[slab->next].previous = slab->previous;
	else
		bin->last = slab->previous;
}

/* Writes the word of every page of a slab. */
static void mark_pages(struct xm_heap *h, uint64_t offset, uint64_t size,
		       uint32_t mark)
{
	uint32_t *page = &h->pages[offset / XM_HEAP_PAGE];

	for (uint64_t i = 0; i < size / XM_HEAP_PAGE; i++)
		page[i] = mark;
}

static uint64_t records_max(uint64_t size_max)
{
	return size_max / (16 * SLOTS_MAX) + 1; /* slabs of the least class */
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
	if (s != NONE) {
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
		bin->empty = NONE;
	mark_pages(h, slab->offset, bin->slab_size, NONE);
	XM_ASSERT(xm_extent_give(h->extent, slab->offset, NULL) == 0);
	h->slabs--;
	ret->slab_offset = slab->offset;
	ret->slab_size = bin->slab_size;
	slab->class = SPARE_CLASS;
	slab->next = h->spare;
	h->spare = s;
}

/* --- where an offset leads --------------------------------------------------- */

struct place {
	uint32_t slab; /* record, or OWN_SLAB */
	uint32_t slot;
	uint64_t offset; /* of the object */
	uint64_t size;
};

/* The living object that contains offset. */
static int locate(const struct xm_heap *h, uint64_t offset, struct place *ret)
{
	const struct xm_heap_slab *slab;
	const struct xm_heap_bin *bin;
	uint64_t inside;
	uint32_t s, slot;

	if (offset >= h->size_max)
		return -ENOENT;
	s = h->pages[offset / XM_HEAP_PAGE];
	if (s == NONE || s == OWN_SLAB) {
		struct xm_extent_range range;

		/* Only the first page of an object of its own is marked. */
		if (xm_extent_find(h->extent, offset, &range) < 0 ||
		    h->pages[range.offset / XM_HEAP_PAGE] != OWN_SLAB)
			return -ENOENT;
		ret->slab = OWN_SLAB;
		ret->offset = range.offset;
		ret->size = range.size;
		return 0;
	}
	slab = &h->records[s];
	bin = &h->bins[slab->class];
	inside = offset - slab->offset;
	/* inside / size: exact while inside * size < 2^32 (Granlund and
	 * Montgomery 1994); slabs have 2^17 bytes, slots at most 2^14. */
	slot = (uint32_t)(inside * bin->inverse >> 32);
	if (slot >= bin->slots || (slab->free[slot / 64] >> slot % 64 & 1))
		return -ENOENT;
	ret->slab = s;
	ret->slot = slot;
	ret->offset = slab->offset + (uint64_t)slot * bin->size;
	ret->size = bin->size;
	return 0;
}

/* The same, if the object begins there. */
static int locate_start(const struct xm_heap *h, uint64_t offset,
			struct place *ret)
{
	struct place place;

	/* Refuses what is inside an object of its own without a search. */
	if (offset >= h->size_max ||
	    h->pages[offset / XM_HEAP_PAGE] == NONE ||
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
	h->pages[offset / XM_HEAP_PAGE] = OWN_SLAB;
	h->objects++;
	h->slabs++;
	h->bytes += size;
	*ret_offset = offset;
	return 0;
}

int xm_heap_alloc(struct xm_heap *h, uint64_t size, uint64_t alignment,
		  uint64_t *ret_offset)
{
	struct xm_heap_slab *slab;
	struct xm_heap_bin *bin;
	uint32_t class, s, word, slot;

	if (size == 0 || alignment > XM_HEAP_ALIGNMENT_MAX ||
	    (alignment != 0 && !xm_is_power_of_two(alignment)))
		return -EINVAL;
	if (size > XM_HEAP_SMALL_MAX || alignment > XM_HEAP_PAGE)
		return alloc_own(h, size, alignment, ret_offset);
	if (alignment <= 16) {
		class = class_of(size);
	} else {
		/* Slabs begin at a page: a slot is aligned if its size is. */
		class = class_of(xm_align_up(size, alignment));
		while (!xm_is_aligned(h->bins[class].size, alignment))
			class++;
	}
	bin = &h->bins[class];
	s = bin->first;
	if (s == NONE && slab_make(h, class, &s) < 0)
		return alloc_own(h, size, alignment, ret_offset);
	slab = &h->records[s];
	word = (uint32_t)__builtin_ctz(slab->words);
	slot = word * 64 + (uint32_t)__builtin_ctzll(slab->free[word]);
	slab->free[word] &= slab->free[word] - 1;
	if (slab->free[word] == 0)
		slab->words &= (uint8_t)~(1u << word);
	if (bin->empty == s)
		bin->empty = NONE;
	if (--slab->free_count == 0)
		bin_remove(h, bin, s);
	h->objects++;
	h->bytes += bin->size;
	*ret_offset = slab->offset + (uint64_t)slot * bin->size;
	return 0;
}

int xm_heap_free(struct xm_heap *h, uint64_t offset, struct xm_heap_freed *ret)
{
	struct xm_heap_freed freed = { 0 };
	struct xm_heap_slab *slab;
	struct xm_heap_bin *bin;
	struct place place;

	if (locate_start(h, offset, &place) < 0)
		return -EINVAL;
	freed.size = place.size;
	h->objects--;
	h->bytes -= place.size;
	if (place.slab == OWN_SLAB) {
		h->pages[offset / XM_HEAP_PAGE] = NONE;
		XM_ASSERT(xm_extent_give(h->extent, offset, NULL) == 0);
		h->slabs--;
		freed.slab_offset = offset;
		freed.slab_size = place.size;
		*ret = freed;
		return 0;
	}
	slab = &h->records[place.slab];
	bin = &h->bins[slab->class];
	slab->free[place.slot / 64] |= UINT64_C(1) << place.slot % 64;
	slab->words |= (uint8_t)(1u << place.slot / 64);
	if (slab->free_count++ == 0)
		bin_put_first(h, bin, place.slab);
	if (slab->free_count == bin->slots) {
		if (bin->empty != NONE) {
			slab_give(h, place.slab, &freed);
		} else {
			/* Last to be used, so that it may yet be trimmed. */
			bin->empty = place.slab;
			bin_remove(h, bin, place.slab);
			bin_put_last(h, bin, place.slab);
		}
	}
	*ret = freed;
	return 0;
}

int xm_heap_size(const struct xm_heap *h, uint64_t offset, uint64_t *ret_size)
{
	struct place place;
	int r = locate_start(h, offset, &place);

	if (r == 0)
		*ret_size = place.size;
	return r;
}

int xm_heap_find(const struct xm_heap *h, uint64_t offset, uint64_t *ret_offset,
		 uint64_t *ret_size)
{
	struct place place;
	int r = locate(h, offset, &place);

	if (r < 0)
		return r;
	*ret_offset = place.offset;
	*ret_size = place.size;
	return 0;
}

bool xm_heap_owns(const struct xm_heap *h, uint64_t offset)
{
	return offset < h->size_max && h->pages[offset / XM_HEAP_PAGE] != NONE;
}

bool xm_heap_trim(struct xm_heap *h, struct xm_heap_freed *ret)
{
	for (uint32_t class = 0; class < XM_HEAP_CLASSES; class++) {
		struct xm_heap_freed freed = { 0 };

		if (h->bins[class].empty == NONE)
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
		for (uint32_t i = 0; i < WORDS; i++) {
			for (uint64_t w = slab->free[i]; w != 0; w &= w - 1)
				free++;
			XM_ASSERT((slab->words >> i & 1) ==
				  (slab->free[i] != 0));
		}
		XM_ASSERT(free == slab->free_count && free <= bin->slots);
		XM_ASSERT(free < bin->slots || bin->empty == s);
		XM_ASSERT(xm_extent_find(h->extent, slab->offset, &range) == 0);
		XM_ASSERT(range.offset == slab->offset &&
			  range.size == bin->slab_size);
		for (uint64_t at = 0; at < bin->slab_size; at += XM_HEAP_PAGE)
			XM_ASSERT(h->pages[(slab->offset + at) /
					   XM_HEAP_PAGE] == s);
		objects += bin->slots - free;
		bytes += (uint64_t)(bin->slots - free) * bin->size;
		partial += free > 0;
		slabs++;
	}
	for (uint32_t class = 0; class < XM_HEAP_CLASSES; class++) {
		const struct xm_heap_bin *bin = &h->bins[class];
		uint32_t before = NONE;

		for (uint32_t s = bin->first; s != NONE; s = h->records[s].next) {
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
		if (!range.taken ||
		    h->pages[range.offset / XM_HEAP_PAGE] != OWN_SLAB)
			continue;
		objects++;
		slabs++;
		bytes += range.size;
	}
	XM_ASSERT(objects == h->objects && bytes == h->bytes);
	XM_ASSERT(slabs == h->slabs);
}
