/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of common/heap_cache.c and of handing slots out (common/heap_slots.h):
 * several caches of one heap against a shadow that knows every byte.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/support/cunit.h"
#include "common/heap_cache.h"
#include "common/heap_slots.h"

/* Knuth's MMIX generator: a test's own, so that its story never changes. */
static uint64_t draw(uint64_t *state, uint64_t limit)
{
	*state = *state * UINT64_C(6364136223846793005) +
		 UINT64_C(1442695040888963407);
	return (*state >> 33) % limit;
}

#define REGION (8 * XM_MIB)
#define CACHES 3

static struct xm_extent extent;
static struct xm_heap heap;
static struct xm_heap_cache caches[CACHES];
static void *ranges, *memory;

static void *fresh(size_t size)
{
	void *m = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CU_ASSERT_FATAL(m != MAP_FAILED);
	return m;
}

static void world_open(uint64_t size)
{
	ranges = fresh(xm_extent_memory_size(4096));
	memory = fresh(xm_heap_memory_size(size));
	xm_extent_init(&extent, size, 4096, 4096, ranges);
	xm_heap_init(&heap, &extent, size, memory);
	for (unsigned i = 0; i < CACHES; i++)
		xm_heap_cache_init(&caches[i], &heap);
}

static void flush(unsigned i, uint32_t class, uint32_t keep)
{
	struct xm_heap_freed freed[XM_HEAP_CACHE_SLOTS];

	xm_heap_cache_flush(&caches[i], &heap, class, keep, freed);
}

static void world_close(uint64_t size)
{
	struct xm_heap_freed freed;

	for (unsigned i = 0; i < CACHES; i++) {
		for (uint32_t class = 0; class < XM_HEAP_CLASSES; class++)
			flush(i, class, 0);
		CU_ASSERT_EQUAL(xm_heap_cache_count(&caches[i]), 0);
	}
	xm_heap_check(&heap);
	xm_extent_check(&extent);
	if (heap.objects == 0) {
		while (xm_heap_trim(&heap, &freed))
			;
		CU_ASSERT_EQUAL(extent.free, extent.size);
	}
	munmap(ranges, xm_extent_memory_size(4096));
	munmap(memory, xm_heap_memory_size(size));
}

static int alloc(unsigned i, uint64_t size, uint64_t alignment, uint64_t *ret)
{
	uint32_t class = xm_heap_class(&heap, size, alignment);
	uint64_t handle = 0;

	if (class == XM_HEAP_CLASSES)
		return xm_heap_alloc(&heap, size, alignment, ret);
	if (!xm_heap_cache_take(&caches[i], class, &handle)) {
		if (!xm_heap_cache_refill(&caches[i], &heap, class))
			return xm_heap_alloc(&heap, size, alignment, ret);
		CU_ASSERT_FATAL(xm_heap_cache_take(&caches[i], class, &handle));
	}
	*ret = xm_heap_hand_out(&heap, handle);
	return 0;
}

static int give(unsigned i, uint64_t offset)
{
	struct xm_heap_freed freed;
	uint64_t handle;
	uint32_t class;
	int rc = xm_heap_hand_back(&heap, offset, &class, &handle);

	if (rc == -EAGAIN)
		return xm_heap_free(&heap, offset, &freed);
	if (rc != 0)
		return rc;
	if (!xm_heap_cache_give(&caches[i], class, handle)) {
		flush(i, class, caches[i].bins[class].max / 2);
		CU_ASSERT_FATAL(xm_heap_cache_give(&caches[i], class, handle));
	}
	return 0;
}

static void what_is_freed_is_taken_again_without_the_heap(void)
{
	uint64_t first, again, before;

	world_open(REGION);
	CU_ASSERT_EQUAL(alloc(0, 100, 0, &first), 0);
	before = heap.objects;
	for (unsigned i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL(give(0, first), 0);
		CU_ASSERT_EQUAL(alloc(0, 100, 0, &again), 0);
		CU_ASSERT_EQUAL(again, first);
	}
	CU_ASSERT_EQUAL(heap.objects, before);
	world_close(REGION);
}

static void a_thread_that_takes_little_keeps_little(void)
{
	uint64_t at;

	world_open(REGION);
	CU_ASSERT_EQUAL(alloc(0, 64, 0, &at), 0);
	CU_ASSERT(xm_heap_cache_count(&caches[0]) <= 4);
	for (unsigned i = 0; i < 500; i++)
		CU_ASSERT_EQUAL(alloc(0, 64, 0, &at), 0);
	CU_ASSERT(xm_heap_cache_count(&caches[0]) <= XM_HEAP_CACHE_SLOTS / 2);
	/* Those of 16 KiB are few, whatever is done with them. */
	for (unsigned i = 0; i < 64; i++) {
		CU_ASSERT_EQUAL(alloc(1, 16384, 0, &at), 0);
		CU_ASSERT(xm_heap_cache_count(&caches[1]) <= 8);
	}
	world_close(REGION);
}

static void a_double_or_wild_free_is_refused_whoever_has_the_slot(void)
{
	uint64_t at, other, handle;
	uint32_t class;

	world_open(REGION);
	CU_ASSERT_EQUAL(alloc(0, 48, 0, &at), 0);
	CU_ASSERT_EQUAL(xm_heap_hand_back(&heap, at + 16, &class, &handle),
			-EINVAL);
	CU_ASSERT_EQUAL(give(0, at + 48), -EINVAL); /* cached, not out */
	CU_ASSERT_EQUAL(give(0, REGION), -EINVAL);
	CU_ASSERT_EQUAL(give(0, UINT64_MAX), -EINVAL);
	CU_ASSERT_EQUAL(give(0, REGION - 4096), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_peek(&heap, at, &other), 0);
	CU_ASSERT_EQUAL(other, 48);
	CU_ASSERT_EQUAL(give(1, at), 0);
	CU_ASSERT_EQUAL(give(1, at), -EINVAL);
	CU_ASSERT_EQUAL(give(0, at), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_peek(&heap, at, &other), -EINVAL);
	CU_ASSERT_EQUAL(xm_heap_size(&heap, at, &other), -EINVAL);
	CU_ASSERT_EQUAL(alloc(1, 48, 0, &other), 0);
	CU_ASSERT_EQUAL(other, at);
	CU_ASSERT_EQUAL(give(0, at), 0);
	CU_ASSERT_EQUAL(xm_heap_alloc(&heap, 100000, 0, &at), 0);
	CU_ASSERT_EQUAL(xm_heap_hand_back(&heap, at, &class, &handle), -EAGAIN);
	CU_ASSERT_EQUAL(xm_heap_peek(&heap, at, &other), -EAGAIN);
	CU_ASSERT_EQUAL(give(2, at + 4096), -EINVAL);
	CU_ASSERT_EQUAL(give(2, at), 0);
	CU_ASSERT_EQUAL(give(2, at), -EINVAL);
	world_close(REGION);
}

static void a_full_heap_refills_what_it_can(void)
{
	static uint64_t at[100000];
	uint32_t count = 0;

	world_open(64 * XM_KIB);
	while (count < XM_COUNT(at) && alloc(0, 16, 0, &at[count]) == 0)
		count++;
	CU_ASSERT_EQUAL(count, 64 * XM_KIB / 16);
	CU_ASSERT(!xm_heap_cache_refill(&caches[1], &heap, 0));
	/* What one has given back is the other's, when it is flushed. */
	CU_ASSERT_EQUAL(give(0, at[5]), 0);
	CU_ASSERT(!xm_heap_cache_refill(&caches[1], &heap, 0));
	flush(0, 0, 0);
	CU_ASSERT(xm_heap_cache_refill(&caches[1], &heap, 0));
	CU_ASSERT_EQUAL(alloc(1, 16, 0, &at[5]), 0);
	for (uint32_t i = 0; i < count; i++)
		CU_ASSERT_EQUAL(give(i % CACHES, at[i]), 0);
	world_close(64 * XM_KIB);
	CU_ASSERT_EQUAL(heap.objects, 0);
}

struct object {
	uint64_t at, size;
};

/* One more, at o->at: of nobody else's bytes. False: there is no room. */
static bool object_take(struct object *o, unsigned i, uint64_t *state, uint8_t *used)
{
	uint64_t limit = draw(state, 20) == 0 ? 20000 : 3000;
	uint64_t want = 1 + draw(state, limit);
	uint64_t alignment = draw(state, 9) == 0 ? UINT64_C(1) << draw(state, 13) : 0;

	if (alloc(i, want, alignment, &o->at) != 0)
		return false;
	CU_ASSERT_FATAL(xm_heap_size(&heap, o->at, &o->size) == 0);
	CU_ASSERT_FATAL(o->size >= want &&
			(alignment == 0 || o->at % alignment == 0));
	for (uint64_t b = 0; b < o->size / 16; b++) {
		CU_ASSERT_FATAL(used[o->at / 16 + b] == 0);
		used[o->at / 16 + b] = 1;
	}
	return true;
}

/* Taken by one, given by another, flushed now and then; no byte is ever two
 * objects', and no slab goes that has one. */
static void objects_never_overlap(void)
{
	static struct object objects[6000];
	uint8_t *used = calloc(REGION / 16, 1);
	uint64_t state = 11, count = 0, full = 0;

	CU_ASSERT_FATAL(used != NULL);
	world_open(REGION);
	for (unsigned step = 0; step < 400000; step++) {
		unsigned i = (unsigned)draw(&state, CACHES);
		bool grows = step / 20000 % 2 == 0;

		if (draw(&state, 100) < (grows ? 60u : 40u) &&
		    count < XM_COUNT(objects)) {
			if (!object_take(&objects[count], i, &state, used)) {
				full++;
				continue;
			}
			count++;
		} else if (count > 0) {
			uint64_t which = draw(&state, count);
			struct object o = objects[which];

			objects[which] = objects[--count];
			memset(used + o.at / 16, 0, o.size / 16);
			CU_ASSERT_FATAL(give(i, o.at) == 0);
		}
		if (draw(&state, 500) == 0)
			flush(i, (uint32_t)draw(&state, XM_HEAP_CLASSES),
			      (uint32_t)draw(&state, 70));
		if (step % 20000 == 0)
			xm_heap_check(&heap);
		if (step % 1000 == 0) {
			uint64_t cached = 0;

			for (unsigned k = 0; k < CACHES; k++)
				cached += xm_heap_cache_count(&caches[k]);
			CU_ASSERT_EQUAL(heap.objects, count + cached);
		}
	}
	CU_ASSERT(full > 0); /* the limit was met */
	while (count > 0)
		CU_ASSERT_FATAL(give(0, objects[--count].at) == 0);
	world_close(REGION);
	CU_ASSERT_EQUAL(heap.objects, 0);
	free(used);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(what_is_freed_is_taken_again_without_the_heap),
		XM_TEST(a_thread_that_takes_little_keeps_little),
		XM_TEST(a_double_or_wild_free_is_refused_whoever_has_the_slot),
		XM_TEST(a_full_heap_refills_what_it_can),
		XM_TEST(objects_never_overlap),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("heap_cache", tests);
}
