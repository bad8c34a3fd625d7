/* SPDX-License-Identifier: BSD-3-Clause */
/* Explicit reads and writes, plain, vectored and asynchronous, and that they agree
 * with mappings. */
#include "tests/api/access_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cunit.h"

/* --- explicit --------------------------------------------------------------------- */

static uint64_t draw(uint64_t *word, uint64_t limit)
{
	*word = *word * UINT64_C(6364136223846793005) +
		UINT64_C(1442695040888963407);
	return (*word >> 33) % limit;
}

/* Odd offsets and sizes, small and large, in one region, against a shadow;
 * in a mapped one half of it is done by loads and stores. */
static void odd_access(bool mapped)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = mapped ? map_all(region) : NULL;
	uint64_t word = 12345;

	memset(shadow, 0, REGION);
	for (unsigned i = 0; i < 1500; i++) {
		static const uint64_t limits[] = { 17, 5000, 70000, 400000 };
		uint64_t size = 1 + draw(&word, limits[draw(&word, 4)]);
		uint64_t offset = draw(&word, REGION - size + 1);
		unsigned what = (unsigned)draw(&word, mapped ? 6 : 2);

		switch (what) {
		case 0:
		case 2:
			memset(buffer, 0x5a, size);
			CU_ASSERT_FATAL(extmem_read(region, offset, buffer,
						    size) == 0);
			CU_ASSERT_FATAL(memcmp(buffer, shadow + offset,
					       size) == 0);
			break;
		case 1:
		case 3:
			pattern_fill(shadow + offset, offset, size, i);
			memcpy(buffer, shadow + offset, size);
			CU_ASSERT_FATAL(extmem_write(region, offset, buffer,
						     size) == 0);
			CU_ASSERT_FATAL(memcmp(buffer, shadow + offset,
					       size) == 0);
			break;
		case 4:
			CU_ASSERT_FATAL(memcmp(memory + offset,
					       shadow + offset, size) == 0);
			break;
		case 5:
			pattern_fill(shadow + offset, offset, size, i);
			memcpy(memory + offset, shadow + offset, size);
			break;
		}
	}
	CU_ASSERT(extmem_read(region, 0, buffer, REGION) == 0);
	CU_ASSERT(memcmp(buffer, shadow, REGION) == 0);
	if (mapped)
		CU_ASSERT(memcmp(memory, shadow, REGION) == 0);
	close_well(x);
}

static void explicit_calls_take_any_offset_and_size(void)
{
	odd_access(false);
}

static void explicit_calls_and_mappings_agree_at_any_offset_and_size(void)
{
	odd_access(true);
}

static void access_outside_the_region_is_refused(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);

	for (int mapped = 0; mapped < 2; mapped++) {
		if (mapped)
			map_all(region);
		CU_ASSERT(extmem_read(region, REGION, buffer, 1) == -ERANGE);
		CU_ASSERT(extmem_read(region, REGION - 1, buffer, 2) ==
			  -ERANGE);
		CU_ASSERT(extmem_write(region, UINT64_MAX, buffer, 1) ==
			  -ERANGE);
		CU_ASSERT(extmem_write(region, UINT64_MAX, buffer, 2) ==
			  -ERANGE);
		CU_ASSERT(extmem_write(region, 1, buffer, SIZE_MAX) ==
			  -ERANGE);
		CU_ASSERT(strstr(extmem_error(), "extmem_write") != NULL);
		CU_ASSERT(extmem_read(region, REGION, buffer, 0) == 0);
		CU_ASSERT(extmem_read(region, REGION - 1, buffer, 1) == 0);
	}
	close_well(x);
}

static void vectors_are_read_and_written_in_one_call(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	struct extmem_iov iov[64];
	uint64_t step = REGION / 64 - 333;

	for (int mapped = 0; mapped < 2; mapped++) {
		if (mapped)
			map_all(region);
		for (uint64_t i = 0; i < 64; i++) {
			iov[i].offset = i * step + 7;
			iov[i].size = i * 401 + 1;
			iov[i].buffer = shadow + i * step;
			pattern_fill(iov[i].buffer, iov[i].offset,
				     iov[i].size, 7);
		}
		CU_ASSERT(extmem_writev(region, iov, 64) == 0);
		for (uint64_t i = 0; i < 64; i++)
			memset(iov[i].buffer, 0, iov[i].size);
		CU_ASSERT(extmem_readv(region, iov, 64) == 0);
		for (uint64_t i = 0; i < 64; i++)
			CU_ASSERT(pattern_is(iov[i].buffer, iov[i].offset,
					     iov[i].size, 7));
	}
	CU_ASSERT(extmem_readv(region, iov, 0) == 0);
	iov[10].offset = REGION;
	CU_ASSERT(extmem_readv(region, iov, 64) == -ERANGE);
	CU_ASSERT(extmem_writev(region, iov, 64) == -ERANGE);
	close_well(x);
}

/* Collects `count` completions; each context may come once. */
static bool collect(extmem *x, bool *seen, unsigned count, unsigned limit)
{
	struct extmem_completion done[16];
	uint64_t deadline = now_ms() + PATIENCE_MS;

	while (count > 0) {
		int got = extmem_wait(x, done, 16, 100);

		if (got < 0 || now_ms() >= deadline)
			return false;
		for (int i = 0; i < got; i++) {
			uintptr_t at = (uintptr_t)done[i].context;

			if (done[i].status != 0 || at >= limit || seen[at])
				return false;
			seen[at] = true;
		}
		count -= (unsigned)got;
	}
	return extmem_poll(x, done, 16) == 0;
}

static void asynchronous_calls_complete_once_each(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	bool seen[64];

	pattern_fill(shadow, 0, REGION, 8);
	for (unsigned round = 0; round < 2; round++) {
		memset(seen, 0, sizeof(seen));
		for (unsigned i = 0; i < 64; i++) {
			uint64_t at = i * (REGION / 64);
			void *context = (void *)(uintptr_t)i;
			size_t size = REGION / 64;
			int rc = round == 0
				? extmem_write_start(region, at, shadow + at,
						     size, context)
				: extmem_read_start(region, at, buffer + at,
						    size, context);

			CU_ASSERT_FATAL(rc == 0);
		}
		CU_ASSERT(collect(x, seen, 64, 64));
	}
	CU_ASSERT(pattern_is(buffer, 0, REGION, 8));
	CU_ASSERT(extmem_read_start(region, 0, buffer, 0, NULL) == -EINVAL);
	CU_ASSERT(extmem_read_start(region, REGION, buffer, 1, NULL) ==
		  -ERANGE);
	CU_ASSERT(explicit_is(region, 8));
	close_well(x);
}

enum { SLOTS = 48 };

/* What the reads or writes of a round are: one in each slot. */
static void draw_slots(uint8_t *memory, bool reads, unsigned round, uint64_t *word,
		       uint64_t *offsets, uint64_t *sizes)
{
	uint64_t slot = REGION / SLOTS;

	for (unsigned i = 0; i < SLOTS; i++) {
		uint64_t at = i * slot + draw(word, 9000);
		uint64_t size = 1 + draw(word, draw(word, 2) != 0 ? 9000 : 100000);

		if (draw(word, 3) == 0) {
			pattern_fill(shadow + at, at, 300, round);
			memcpy(memory + at, shadow + at, 300);
		}
		offsets[i] = at;
		sizes[i] = size;
		if (!reads)
			pattern_fill(shadow + at, at, size, round);
		memcpy(buffer + at, shadow + at, size);
		if (reads)
			memset(buffer + at, 0x5a, size);
	}
}

static int slot_start(extmem_region *region, bool reads, uint64_t offset, uint64_t size,
		      unsigned i)
{
	void *context = (void *)(uintptr_t)i;

	return reads ? extmem_read_start(region, offset, buffer + offset, size, context)
		     : extmem_write_start(region, offset, buffer + offset, size, context);
}

/* In a mapped region, of which a part is here, dirty and clean, a part fresh and
 * a part away; and against loads and stores. */
static void asynchronous_calls_and_mappings_agree(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);
	uint64_t word = 777;
	bool seen[SLOTS];

	memset(shadow, 0, REGION);
	for (unsigned round = 0; round < 24; round++) {
		uint64_t offsets[SLOTS], sizes[SLOTS];
		bool reads = round % 2 == 1;

		draw_slots(memory, reads, round, &word, offsets, sizes);
		memset(seen, 0, sizeof(seen));
		for (unsigned i = 0; i < SLOTS; i++) {
			CU_ASSERT_FATAL(slot_start(region, reads, offsets[i],
						   sizes[i], i) == 0);
			/* A page whose bytes are under way can be touched. */
			if (draw(&word, 8) == 0)
				CU_ASSERT(memory[offsets[i]] ==
					  shadow[offsets[i]] || !reads);
		}
		CU_ASSERT_FATAL(collect(x, seen, SLOTS, SLOTS));
		for (unsigned i = 0; i < SLOTS; i++)
			CU_ASSERT_FATAL(memcmp(buffer + offsets[i],
					       shadow + offsets[i],
					       sizes[i]) == 0);
	}
	CU_ASSERT(memcmp(memory, shadow, REGION) == 0);
	CU_ASSERT(extmem_read(region, 0, buffer, REGION) == 0);
	CU_ASSERT(memcmp(buffer, shadow, REGION) == 0);
	close_well(x);
}

/* Nothing may have begun past the pager when it learns of the region. */
static void mapping_waits_for_asynchronous_calls(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	bool seen[64] = { false };
	uint8_t *memory;

	pattern_fill(shadow, 0, REGION, 9);
	for (unsigned i = 0; i < 64; i++)
		CU_ASSERT_FATAL(extmem_write_start(
			region, i * (REGION / 64), shadow + i * (REGION / 64),
			REGION / 64, (void *)(uintptr_t)i) == 0);
	memory = map_all(region);
	CU_ASSERT(pattern_is(memory, 0, REGION, 9));
	CU_ASSERT(collect(x, seen, 64, 64));
	close_well(x);
}

static void buffers_of_asynchronous_calls_are_plain_memory(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);

	CU_ASSERT(extmem_read_start(region, 0, memory, PAGE, NULL) == -EINVAL);
	CU_ASSERT(extmem_write_start(region, 0, memory, PAGE, NULL) ==
		  -EINVAL);
	CU_ASSERT(strstr(extmem_error(), "plain calls") != NULL);
	close_well(x);
}

static void memory_is_registered_and_deregistered(void)
{
	static uint8_t spans[33][PAGE];
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);
	struct extmem_completion done;

	CU_ASSERT(extmem_register(x, buffer, 0) == -EINVAL);
	CU_ASSERT(extmem_register(x, NULL, PAGE) == -EINVAL);
	CU_ASSERT(extmem_register(x, buffer, SIZE_MAX) == -EINVAL);
	CU_ASSERT(extmem_register(x, memory, PAGE) == -EINVAL);
	CU_ASSERT(extmem_register(x, memory - 1, 2) == -EINVAL);
	CU_ASSERT(extmem_register(x, buffer, 4 * PAGE) == 0);
	CU_ASSERT(extmem_register(x, buffer, 4 * PAGE) == -EEXIST);
	CU_ASSERT(extmem_register(x, buffer + 3 * PAGE, 2 * PAGE) == -EEXIST);
	CU_ASSERT(extmem_register(x, buffer + 4 * PAGE, PAGE) == 0);
	CU_ASSERT(extmem_write(region, 5, buffer + 7, 3 * PAGE) == 0);
	CU_ASSERT(extmem_read(region, 5, buffer + 7, 3 * PAGE) == 0);
	CU_ASSERT(extmem_deregister(x, buffer, PAGE) == -EINVAL);
	CU_ASSERT(extmem_deregister(x, buffer + PAGE, 4 * PAGE) == -EINVAL);
	CU_ASSERT(extmem_read_start(region, 0, buffer + PAGE, PAGE, x) == 0);
	CU_ASSERT(extmem_deregister(x, buffer, 4 * PAGE) == -EBUSY);
	CU_ASSERT(extmem_wait(x, &done, 1, PATIENCE_MS) == 1);
	CU_ASSERT(done.context == x && done.status == 0);
	CU_ASSERT(extmem_deregister(x, buffer, 4 * PAGE) == 0);
	CU_ASSERT(extmem_deregister(x, buffer, 4 * PAGE) == -EINVAL);
	CU_ASSERT(extmem_deregister(x, buffer + 4 * PAGE, PAGE) == 0);
	for (unsigned i = 0; i < 32; i++)
		CU_ASSERT(extmem_register(x, spans[i], PAGE) == 0);
	CU_ASSERT(extmem_register(x, spans[32], PAGE) == -ENOSPC);
	CU_ASSERT(extmem_deregister(x, spans[9], PAGE) == 0);
	CU_ASSERT(extmem_register(x, spans[32], PAGE) == 0);
	close_well(x);
}

static void too_many_asynchronous_calls_are_told_to_poll(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	static bool seen[1 << 16];
	unsigned count = 0, total = 0;
	int rc = 0;

	memset(seen, 0, sizeof(seen));
	while (count < sizeof(seen) && rc == 0) {
		rc = extmem_read_start(region, count % 1024 * PAGE,
				       buffer + count % 1024 * PAGE, PAGE,
				       (void *)(uintptr_t)count);
		count += rc == 0;
	}
	CU_ASSERT(rc == -EAGAIN);
	CU_ASSERT(count > 0);
	total = count;
	CU_ASSERT(collect(x, seen, count, total));
	CU_ASSERT(extmem_read_start(region, 0, buffer, PAGE,
				    (void *)(uintptr_t)total) == 0);
	CU_ASSERT(collect(x, seen, 1, total + 1));
	close_well(x);
}

static void closing_with_asynchronous_calls_under_way_ends_them(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);

	for (unsigned i = 0; i < 64; i++)
		CU_ASSERT(extmem_write_start(region, i * PAGE,
					     buffer + i * PAGE, PAGE,
					     NULL) == 0);
	CU_ASSERT(extmem_close(x) == 0);
}

/* --- coherence ------------------------------------------------------------------------ */

static void buffers_may_lie_in_mapped_external_memory(void)
{
	extmem_region *region, *other;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region), *second;
	void *there = NULL;

	/* Not mapped, mapped, and the same region. */
	CU_ASSERT_FATAL(extmem_region_alloc(x, "other", REGION, &other) == 0);
	pattern_fill(memory, 0, REGION, 9);
	CU_ASSERT(extmem_write(other, 3, memory, 5 * MIB) == 0);
	CU_ASSERT(extmem_read(other, 3, buffer, 5 * MIB) == 0);
	CU_ASSERT(pattern_is(buffer, 0, 5 * MIB, 9));
	memset(memory, 0, REGION);
	CU_ASSERT(extmem_read(other, 3, memory + 11, 5 * MIB) == 0);
	CU_ASSERT(pattern_is(memory + 11, 0, 5 * MIB, 9));
	CU_ASSERT_FATAL(extmem_map(other, 0, 0, &there) == 0);
	second = there;
	CU_ASSERT(extmem_read(region, 11, second + 100, 5 * MIB) == 0);
	CU_ASSERT(pattern_is(second + 100, 0, 5 * MIB, 9));
	CU_ASSERT(extmem_write(region, 6 * MIB + 1, memory + 11, MIB) == 0);
	CU_ASSERT(pattern_is(memory + 6 * MIB + 1, 0, MIB, 9));
	CU_ASSERT(extmem_read(region, 11, memory + 7 * MIB + 501, 500) == 0);
	CU_ASSERT(pattern_is(memory + 7 * MIB + 501, 0, 500, 9));
	close_well(x);
}

static void a_store_is_seen_by_a_read_and_a_write_by_a_load(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	volatile uint8_t *memory = map_all(region);
	uint8_t byte;

	for (unsigned i = 0; i < 200; i++) {
		uint64_t at = i * 40961 % REGION;

		memory[at] = (uint8_t)i;
		CU_ASSERT(extmem_read(region, at, &byte, 1) == 0);
		CU_ASSERT(byte == (uint8_t)i);
		byte = (uint8_t)(i + 100);
		CU_ASSERT(extmem_write(region, at, &byte, 1) == 0);
		CU_ASSERT(memory[at] == (uint8_t)(i + 100));
		memory[at] = (uint8_t)(i + 50);
		CU_ASSERT(extmem_sync(region, at, 1) == 0);
		CU_ASSERT(extmem_advise(region, at & ~(uint64_t)(PAGE - 1),
					PAGE, EXTMEM_COLD) == 0);
		CU_ASSERT(extmem_read(region, at, &byte, 1) == 0);
		CU_ASSERT(byte == (uint8_t)(i + 50));
		CU_ASSERT(memory[at] == (uint8_t)(i + 50));
	}
	close_well(x);
}

static void a_partial_write_leaves_the_rest_of_a_fresh_page_zero(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);

	pattern_fill(buffer, 100, 50, 1);
	CU_ASSERT(extmem_write(region, 100, buffer, 50) == 0);
	CU_ASSERT(extmem_write(region, 2 * PAGE - 3, buffer, 7) == 0);
	CU_ASSERT(extmem_write(region, 10 * PAGE + 5, buffer,
			       20 * PAGE) == 0);
	CU_ASSERT(all_zero(memory, 100));
	CU_ASSERT(pattern_is(memory + 100, 100, 50, 1));
	CU_ASSERT(all_zero(memory + 150, 2 * PAGE - 3 - 150));
	CU_ASSERT(memcmp(memory + 2 * PAGE - 3, buffer, 7) == 0);
	CU_ASSERT(all_zero(memory + 2 * PAGE + 4, PAGE));
	CU_ASSERT(all_zero(memory + 10 * PAGE, 5));
	CU_ASSERT(memcmp(memory + 10 * PAGE + 5, buffer, 20 * PAGE) == 0);
	CU_ASSERT(all_zero(memory + 30 * PAGE + 5, PAGE - 5));
	CU_ASSERT(all_zero(memory + 31 * PAGE, PAGE));
	close_well(x);
}

static void a_discarded_slab_reads_as_zero_both_ways(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);
	uint64_t offset;

	CU_ASSERT_FATAL(extmem_slab_alloc(region, REGION, &offset) == 0);
	/* Far, dirty and clean pages alike; explicitly first. */
	for (int round = 0; round < 2; round++) {
		pattern_fill(memory, 0, REGION, 1);
		CU_ASSERT(pattern_is(memory, 0, MIB, 1));
		CU_ASSERT(extmem_slab_free(region, offset) == 0);
		CU_ASSERT_FATAL(extmem_slab_alloc(region, REGION, &offset) ==
				0);
		if (round == 0) {
			CU_ASSERT(extmem_read(region, 0, buffer, REGION) ==
				  0);
			CU_ASSERT(all_zero(buffer, REGION));
		}
		CU_ASSERT(all_zero(memory, REGION));
		CU_ASSERT(extmem_read(region, 0, buffer, REGION) == 0);
		CU_ASSERT(all_zero(buffer, REGION));
	}
	close_well(x);
}

/* An explicit call, and both ways a page is left. */
static void what_was_not_written_to_is_fresh(void)
{
	struct extmem_request request = { .size = sizeof(request),
					  .region_size = REGION,
					  .flags = EXTMEM_TRACKED };
	extmem_region *plain, *region;
	extmem *x = open_small(&plain);
	int fresh = -1;

	CU_ASSERT(extmem_region_fresh(plain, 0, 0, &fresh) == REGION);
	CU_ASSERT(fresh == 0);
	CU_ASSERT_FATAL(extmem_region_request(x, &request, &region) == 0);
	CU_ASSERT(extmem_region_fresh(region, 0, 0, &fresh) == REGION);
	CU_ASSERT(fresh == 1);
	CU_ASSERT(extmem_write(region, PAGE + 5, "here", 4) == 0);
	CU_ASSERT(extmem_region_fresh(region, 0, 0, &fresh) == PAGE);
	CU_ASSERT(fresh == 1);
	CU_ASSERT(extmem_region_fresh(region, PAGE + 100, 0, &fresh) == PAGE - 100);
	CU_ASSERT(fresh == 0);
	CU_ASSERT(extmem_region_fresh(region, PAGE, 10, &fresh) == 10);
	CU_ASSERT(fresh == 0);
	CU_ASSERT(extmem_region_fresh(region, 2 * PAGE, 0, &fresh) ==
		  REGION - 2 * PAGE);
	CU_ASSERT(fresh == 1);
	CU_ASSERT(extmem_advise(region, 0, REGION, EXTMEM_DONTNEED) == 0);
	CU_ASSERT(extmem_region_fresh(region, 3, REGION - 3, &fresh) == REGION - 3);
	CU_ASSERT(fresh == 1);
	pattern_fill(map_all(region), 0, REGION, 1);
	CU_ASSERT(extmem_region_fresh(region, 0, 0, &fresh) == REGION);
	CU_ASSERT(fresh == 0);
	CU_ASSERT(extmem_region_fresh(region, REGION, 0, &fresh) == 0);
	CU_ASSERT(extmem_region_fresh(region, 1, REGION, &fresh) == -ERANGE);
	close_well(x);
}

int main(int argc, char **argv)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(explicit_calls_take_any_offset_and_size),
		XM_TEST(explicit_calls_and_mappings_agree_at_any_offset_and_size),
		XM_TEST(access_outside_the_region_is_refused),
		XM_TEST(vectors_are_read_and_written_in_one_call),
		XM_TEST(asynchronous_calls_complete_once_each),
		XM_TEST(asynchronous_calls_and_mappings_agree),
		XM_TEST(mapping_waits_for_asynchronous_calls),
		XM_TEST(buffers_of_asynchronous_calls_are_plain_memory),
		XM_TEST(memory_is_registered_and_deregistered),
		XM_TEST(too_many_asynchronous_calls_are_told_to_poll),
		XM_TEST(closing_with_asynchronous_calls_under_way_ends_them),
		XM_TEST(buffers_may_lie_in_mapped_external_memory),
		XM_TEST(a_store_is_seen_by_a_read_and_a_write_by_a_load),
		XM_TEST(a_partial_write_leaves_the_rest_of_a_fresh_page_zero),
		XM_TEST(a_discarded_slab_reads_as_zero_both_ways),
		XM_TEST(what_was_not_written_to_is_fresh),
		CU_TEST_INFO_NULL,
	};
	static const struct act acts[] = { { NULL, NULL } };

	return access_run(argc, argv, tests, acts);
}
