/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of common/heap.c. The region does not exist: an offset that were used
 * as an address would crash.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/support/cunit.h"
#include "common/heap.h"

/* Knuth's MMIX generator: a test's own, so that its story never changes. */
static uint64_t draw(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) +
		 UINT64_C(1442695040888963407);
	return *state >> 33;
}

struct world {
	struct xm_extent extent;
	struct xm_heap heap;
	void *ranges, *memory;
	size_t ranges_size, memory_size;
};

static void *fresh(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CU_ASSERT_FATAL(memory != MAP_FAILED);
	/* As os_memory_take() does: what is counted is what was touched. */
	madvise(memory, size, MADV_NOHUGEPAGE);
	return memory;
}

static void world_open(struct world *w, uint64_t size, uint64_t size_max,
		       uint32_t ranges_max)
{
	w->ranges_size = xm_extent_memory_size(ranges_max);
	w->memory_size = xm_heap_memory_size(size_max);
	w->ranges = fresh(w->ranges_size);
	w->memory = fresh(w->memory_size);
	xm_extent_init(&w->extent, size, 4096, ranges_max, w->ranges);
	xm_heap_init(&w->heap, &w->extent, size_max, w->memory);
}

static void world_close(struct world *w)
{
	xm_heap_check(&w->heap);
	xm_extent_check(&w->extent);
	munmap(w->ranges, w->ranges_size);
	munmap(w->memory, w->memory_size);
}

static void every_size_up_to_the_threshold_gets_a_close_class(void)
{
	struct world w;
	struct xm_heap_freed freed;

	world_open(&w, 64 * XM_MIB, 64 * XM_MIB, 4096);
	for (uint64_t size = 1; size <= XM_HEAP_SMALL_MAX; size++) {
		uint64_t at = 1, usable = 0;

		if (xm_heap_alloc(&w.heap, size, 0, &at) != 0 ||
		    xm_heap_size(&w.heap, at, &usable) != 0)
			CU_FAIL_FATAL("refused");
		if (usable < size || (size > 64 && usable * 4 >= size * 5) ||
		    (size <= 64 && usable > size + 15) || at % 16 != 0 ||
		    (xm_is_power_of_two(size) && at % xm_min(size, 4096) != 0))
			CU_FAIL_FATAL("a bad fit");
		CU_ASSERT_EQUAL(xm_heap_free(&w.heap, at, &freed), 0);
		CU_ASSERT_EQUAL(freed.size, usable);
	}
	CU_ASSERT_EQUAL(w.heap.objects, 0);
	CU_ASSERT_EQUAL(w.heap.bytes, 0);
	world_close(&w);
}

static void every_alignment_is_kept(void)
{
	struct world w;

	world_open(&w, XM_GIB, XM_GIB, 4096);
	for (uint64_t a = 1; a <= XM_HEAP_ALIGNMENT_MAX; a *= 2) {
		static const uint64_t sizes[] = { 1,	 15,	48,    100,
						  1000,	 4095,	5000,  16383,
						  16384, 16385, 70000, 3000000 };

		for (size_t i = 0; i < XM_COUNT(sizes); i++) {
			uint64_t at = 1, second = 1;

			CU_ASSERT_EQUAL(
				xm_heap_alloc(&w.heap, sizes[i], a, &at), 0);
			CU_ASSERT_EQUAL(
				xm_heap_alloc(&w.heap, sizes[i], a, &second),
				0);
			CU_ASSERT(at % a == 0 && second % a == 0);
			CU_ASSERT(at % 16 == 0 && at != second);
		}
	}
	world_close(&w);
}

static void what_cannot_be_is_refused(void)
{
	struct world w;
	uint64_t at = 77;

	world_open(&w, XM_MIB, 2 * XM_MIB, 64);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 0, 0, &at), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 16, 48, &at), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 16, 4 * XM_MIB, &at), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, UINT64_MAX, 0, &at), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, UINT64_MAX, 4096, &at), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, UINT64_MAX / 2, 0, &at),
			-ENOSPC);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, XM_MIB + 1, 0, &at), -ENOSPC);
	CU_ASSERT_EQUAL(at, 77);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, XM_MIB, 0, &at), 0);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 1, 0, &at), -ENOSPC);
	world_close(&w);
}

static void a_double_or_wild_free_is_refused_and_changes_nothing(void)
{
	struct world w;
	struct xm_heap_freed freed = { 1, 2, 3 };
	uint64_t a, b, own, slab;

	world_open(&w, 4 * XM_MIB, 8 * XM_MIB, 64);
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, 0, &freed), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 100, 0, &a), 0);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 100, 0, &b), 0);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 40000, 0, &own), 0);
	CU_ASSERT_EQUAL(xm_extent_take(&w.extent, 40000, 0, &slab), 0);
	for (uint64_t at = 0; at < 8 * XM_MIB; at++)
		if (at != a && at != b && at != own &&
		    xm_heap_free(&w.heap, at, &freed) != -EINVAL)
			CU_FAIL_FATAL("a wild free was taken");
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, UINT64_MAX, &freed), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, 8 * XM_MIB, &freed), -EINVAL);
	CU_ASSERT(freed.size == 1 && freed.slab_offset == 2);
	CU_ASSERT_EQUAL(w.heap.objects, 3);
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, a, &freed), 0);
	CU_ASSERT_EQUAL(freed.slab_size, 0);
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, a, &freed), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_size(&w.heap, a, &a), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, own, &freed), 0);
	CU_ASSERT(freed.slab_offset == own && freed.slab_size == 40960);
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, own, &freed), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, b, &freed), 0);
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, b, &freed), -EINVAL);
	CU_ASSERT_EQUAL(w.heap.objects, 0);
	world_close(&w);
}

static void an_address_inside_an_object_leads_to_it(void)
{
	struct world w;
	uint64_t a, own, at = 0, size = 0;

	world_open(&w, 4 * XM_MIB, 4 * XM_MIB, 64);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 5000, 0, &a), 0);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 5000, 0, &a), 0);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 100000, 0, &own), 0);
	CU_ASSERT_EQUAL(xm_heap_find(&w.heap, a + 5119, &at, &size), 0);
	CU_ASSERT(at == a && size == 5120);
	CU_ASSERT_EQUAL(xm_heap_find(&w.heap, a + 5120, &at, &size), -ENOENT);
	CU_ASSERT_EQUAL(xm_heap_find(&w.heap, own + 99999, &at, &size), 0);
	CU_ASSERT(at == own && size == 102400);
	CU_ASSERT_EQUAL(xm_heap_find(&w.heap, own + 102400, &at, &size),
			-ENOENT);
	CU_ASSERT_EQUAL(xm_heap_find(&w.heap, UINT64_MAX, &at, &size), -ENOENT);
	world_close(&w);
}

static void an_object_at_the_edge_of_a_slab_moves_no_slab_about(void)
{
	struct world w;
	struct xm_heap_freed freed;
	uint64_t at[9], free;

	world_open(&w, 4 * XM_MIB, 4 * XM_MIB, 64);
	for (int i = 0; i < 9; i++) /* slabs of 16 KiB objects hold 8 */
		CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 16384, 0, &at[i]), 0);
	CU_ASSERT_EQUAL(w.heap.slabs, 2);
	free = w.extent.free;
	for (int i = 0; i < 100; i++) {
		CU_ASSERT_EQUAL(xm_heap_free(&w.heap, at[8], &freed), 0);
		CU_ASSERT_EQUAL(freed.slab_size, 0);
		CU_ASSERT_EQUAL(w.extent.free, free);
		CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 16384, 0, &at[8]), 0);
	}
	/* The second slab without objects goes back, and says so. */
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, at[8], &freed), 0);
	for (int i = 0; i < 7; i++) {
		CU_ASSERT_EQUAL(xm_heap_free(&w.heap, at[i], &freed), 0);
		CU_ASSERT_EQUAL(freed.slab_size, 0);
	}
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, at[7], &freed), 0);
	CU_ASSERT_EQUAL(freed.slab_size, 128 * XM_KIB);
	CU_ASSERT_EQUAL(freed.slab_offset, 0);
	CU_ASSERT_EQUAL(w.heap.slabs, 1);
	CU_ASSERT(xm_heap_trim(&w.heap, &freed));
	CU_ASSERT_EQUAL(freed.slab_offset, 128 * XM_KIB);
	CU_ASSERT_FALSE(xm_heap_trim(&w.heap, &freed));
	CU_ASSERT_EQUAL(w.extent.free, w.extent.size);
	world_close(&w);
}

static void a_small_object_gets_pages_of_its_own_when_no_slab_can_be_had(void)
{
	struct world w;
	struct xm_heap_freed freed;
	uint64_t at, size;

	world_open(&w, 2 * 4096, 2 * 4096, 8);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 1000, 0, &at), 0);
	CU_ASSERT_EQUAL(xm_heap_size(&w.heap, at, &size), 0);
	CU_ASSERT_EQUAL(size, 4096);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 1000, 64, &at), 0);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 1, 0, &at), -ENOSPC);
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, at, &freed), 0);
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, 0, &freed), 0);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 16, 0, &at), 0);
	world_close(&w);
}

static void the_region_grows_to_its_limit_and_no_further(void)
{
	struct world w;
	struct xm_heap_freed freed;
	uint64_t at;

	world_open(&w, XM_MIB, 4 * XM_MIB, 64);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 2 * XM_MIB, 0, &at), -ENOSPC);
	CU_ASSERT_EQUAL(xm_heap_resize(&w.heap, 4 * XM_MIB + 4096), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_resize(&w.heap, 4 * XM_MIB), 0);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 4 * XM_MIB - 4096, 0, &at), 0);
	CU_ASSERT_EQUAL(xm_heap_resize(&w.heap, XM_MIB), -EBUSY);
	CU_ASSERT_EQUAL(xm_heap_free(&w.heap, at, &freed), 0);
	CU_ASSERT_EQUAL(xm_heap_resize(&w.heap, XM_MIB), 0);
	CU_ASSERT_EQUAL(xm_heap_alloc(&w.heap, 2 * XM_MIB, 0, &at), -ENOSPC);
	world_close(&w);
}

static void slabs_follow_a_larger_granule(void)
{
	struct xm_extent extent;
	struct xm_heap heap;
	struct xm_heap_freed freed;
	size_t ranges_size = xm_extent_memory_size(256);
	size_t memory_size = xm_heap_memory_size(16 * XM_MIB);
	void *ranges = fresh(ranges_size), *memory = fresh(memory_size);
	uint64_t at[2000];

	xm_extent_init(&extent, 16 * XM_MIB, 64 * XM_KIB, 256, ranges);
	xm_heap_init(&heap, &extent, 16 * XM_MIB, memory);
	for (int i = 0; i < 2000; i++)
		CU_ASSERT_EQUAL(xm_heap_alloc(&heap, 16 + i % 4000, 0, &at[i]),
				0);
	CU_ASSERT_EQUAL(xm_heap_free(&heap, at[0] + 8192, &freed), -EINVAL);
	xm_heap_check(&heap);
	for (int i = 0; i < 2000; i++)
		CU_ASSERT_EQUAL(xm_heap_free(&heap, at[i], &freed), 0);
	while (xm_heap_trim(&heap, &freed))
		;
	CU_ASSERT_EQUAL(extent.free, extent.size);
	munmap(ranges, ranges_size);
	munmap(memory, memory_size);
}

/* --- the shadow ---------------------------------------------------------------- */

#define SHADOW_MAX 3000

struct object {
	uint64_t at, size; /* usable */
};

static uint64_t draw_size(uint64_t *state)
{
	uint64_t kind = draw(state) % 16;

	if (kind < 10)
		return 1 + draw(state) % 300;
	if (kind < 14)
		return 1 + draw(state) % 16384;
	return 1 + draw(state) % 100000;
}

/* One byte for each 16 bytes of the region says whether it is in use. */
static void shadow_set(uint8_t *used, const struct object *o, uint8_t value)
{
	for (uint64_t i = o->at / 16; i < (o->at + o->size) / 16; i++) {
		if (used[i] == value)
			CU_FAIL_FATAL("two objects overlap");
		used[i] = value;
	}
}

static void objects_never_overlap(void)
{
	const uint64_t size = 8 * XM_MIB;
	static struct object objects[SHADOW_MAX];
	uint8_t *used = calloc(1, size / 16);
	uint64_t state = 7, full = 0;
	uint32_t count = 0;
	struct world w;

	CU_ASSERT_PTR_NOT_NULL_FATAL(used);
	world_open(&w, size, size, 2048);
	for (int i = 0; i < 60000; i++) {
		bool filling = i / 5000 % 2 == 0;

		if (count < SHADOW_MAX && draw(&state) % 8 < (filling ? 6 : 2)) {
			struct object *o = &objects[count];
			uint64_t want = draw_size(&state);
			uint64_t alignment = UINT64_C(1) << draw(&state) % 14;

			if (xm_heap_alloc(&w.heap, want, alignment, &o->at)) {
				full++;
				continue;
			}
			CU_ASSERT_EQUAL(xm_heap_size(&w.heap, o->at, &o->size),
					0);
			CU_ASSERT(o->size >= want && o->at % alignment == 0);
			CU_ASSERT(o->at + o->size <= size);
			shadow_set(used, o, 1);
			count++;
		} else if (count > 0) {
			uint32_t which = (uint32_t)(draw(&state) % count);
			struct xm_heap_freed freed;

			CU_ASSERT_EQUAL(xm_heap_free(&w.heap, objects[which].at,
						     &freed),
					0);
			CU_ASSERT_EQUAL(freed.size, objects[which].size);
			shadow_set(used, &objects[which], 0);
			for (uint64_t b = 0; b < freed.slab_size / 16; b++)
				if (used[freed.slab_offset / 16 + b])
					CU_FAIL_FATAL("a slab in use went");
			objects[which] = objects[--count];
		}
		if (i % 500 == 0) {
			xm_heap_check(&w.heap);
			xm_extent_check(&w.extent);
		}
		CU_ASSERT_EQUAL(w.heap.objects, count);
	}
	CU_ASSERT(full > 0); /* the limit was met */
	free(used);
	world_close(&w);
}

static size_t resident(const void *memory, size_t size)
{
	size_t pages = (size + 4095) / 4096, count = 0;
	unsigned char *map = malloc(pages);

	CU_ASSERT_PTR_NOT_NULL_FATAL(map);
	CU_ASSERT_EQUAL(mincore((void *)memory, size, map), 0);
	for (size_t i = 0; i < pages; i++)
		count += map[i] & 1;
	free(map);
	return count * 4096;
}

static void a_million_objects_come_and_go_with_little_metadata(void)
{
	const uint32_t count = 1000000;
	uint64_t *at = malloc(count * sizeof(*at)), state = 3, bytes;
	struct xm_heap_freed freed;
	struct world w;
	size_t metadata;

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	world_open(&w, XM_GIB, 64 * XM_GIB, 1 << 20);
	for (uint32_t i = 0; i < count; i++)
		if (xm_heap_alloc(&w.heap, 16 + draw(&state) % 240, 0, &at[i]))
			CU_FAIL_FATAL("no room");
	CU_ASSERT_EQUAL(w.heap.objects, count);
	bytes = w.heap.bytes;
	metadata = resident(w.ranges, w.ranges_size) +
		   resident(w.memory, w.memory_size);
	CU_ASSERT(metadata < 2 * (size_t)count); /* 2 bytes an object */
	CU_ASSERT(w.extent.size - w.extent.free < bytes + bytes / 20);
	xm_heap_check(&w.heap);
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(draw(&state) % (i + 1));
		uint64_t t = at[i];

		at[i] = at[j];
		at[j] = t;
	}
	for (uint32_t i = 0; i < count; i++)
		if (xm_heap_free(&w.heap, at[i], &freed))
			CU_FAIL_FATAL("not there");
	for (uint32_t i = 0; i < count; i += 997)
		CU_ASSERT_EQUAL(xm_heap_free(&w.heap, at[i], &freed), -EINVAL);
	CU_ASSERT(w.heap.slabs <= XM_HEAP_CLASSES);
	while (xm_heap_trim(&w.heap, &freed))
		;
	CU_ASSERT_EQUAL(w.extent.free, w.extent.size);
	free(at);
	world_close(&w);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(every_size_up_to_the_threshold_gets_a_close_class),
		XM_TEST(every_alignment_is_kept),
		XM_TEST(what_cannot_be_is_refused),
		XM_TEST(a_double_or_wild_free_is_refused_and_changes_nothing),
		XM_TEST(an_address_inside_an_object_leads_to_it),
		XM_TEST(an_object_at_the_edge_of_a_slab_moves_no_slab_about),
		XM_TEST(a_small_object_gets_pages_of_its_own_when_no_slab_can_be_had),
		XM_TEST(the_region_grows_to_its_limit_and_no_further),
		XM_TEST(slabs_follow_a_larger_granule),
		XM_TEST(objects_never_overlap),
		XM_TEST(a_million_objects_come_and_go_with_little_metadata),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("heap", tests);
}
