/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reaching external memory through the public API: mappings and explicit
 * calls, and that they agree; sync, advice, pins. Every test runs under each
 * way of paging that is permitted here and with one lane and several.
 */
#include "tests/support/appliance.h"

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

#define REGION (8 * MIB)

static struct appliance home;
static const char *paging = "paging=inline", *lanes = "lanes=1";
static uint8_t buffer[REGION];
static uint8_t shadow[REGION];

/* A client with far less local memory than the region has. */
static extmem *open_small(extmem_region **ret)
{
	extmem *x = client_open(home.address, "local=4M", paging, lanes,
				"prefetch=16", NULL);

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "small", REGION, ret) == 0);
	return x;
}

static void close_well(extmem *x)
{
	struct extmem_stats s = client_stats(x);

	CU_ASSERT(s.local_peak <= s.local_limit);
	CU_ASSERT(s.pages_lost == 0);
	CU_ASSERT(extmem_close(x) == 0);
}

static uint8_t *map_all(extmem_region *region)
{
	void *memory = NULL;

	CU_ASSERT_FATAL(extmem_map(region, 0, 0, &memory) == 0);
	CU_ASSERT_FATAL(memory == extmem_region_address(region));
	return memory;
}

static bool explicit_is(extmem_region *region, uint64_t seed)
{
	return extmem_read(region, 0, buffer, REGION) == 0 &&
	       pattern_is(buffer, 0, REGION, seed);
}

/* --- mapping ------------------------------------------------------------------- */

static void a_region_is_mapped_whole(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);

	CU_ASSERT(all_zero(memory, REGION));
	pattern_fill(memory, 0, REGION, 1);
	CU_ASSERT(pattern_is(memory, 0, REGION, 1));
	CU_ASSERT(explicit_is(region, 1));
	CU_ASSERT(client_stats(x).pages_written > 0);
	close_well(x);
}

static void the_local_budget_is_raised_while_it_is_used(void)
{
	extmem_region *region;
	extmem *x = client_open(home.address, "local=4M", "local_max=12M",
				paging, lanes, NULL);
	uint8_t *memory;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "raised", REGION, &region) == 0);
	memory = map_all(region);
	pattern_fill(memory, 0, REGION, 3);
	CU_ASSERT(pattern_is(memory, 0, REGION, 3));
	CU_ASSERT(client_stats(x).local_peak <= 4 * MIB);
	CU_ASSERT(extmem_local(x, 12 * MIB + 1) == -EINVAL);
	CU_ASSERT(extmem_local(x, 12 * MIB) == 0);
	CU_ASSERT(extmem_local(x, 2 * MIB) == 0);
	CU_ASSERT(client_stats(x).local_limit == 12 * MIB);
	CU_ASSERT(pattern_is(memory, 0, REGION, 3));
	CU_ASSERT(client_stats(x).local_peak > 6 * MIB);
	close_well(x);
}

static void a_slab_is_selected_and_then_mapped(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint64_t first, second;
	void *memory;

	CU_ASSERT_FATAL(extmem_slab_alloc(region, 3 * MIB, &first) == 0);
	CU_ASSERT_FATAL(extmem_slab_alloc(region, 2 * MIB, &second) == 0);
	CU_ASSERT_FATAL(extmem_map(region, second, 2 * MIB, &memory) == 0);
	pattern_fill(memory, 0, 2 * MIB, 2);
	CU_ASSERT(extmem_read(region, second, buffer, 2 * MIB) == 0);
	CU_ASSERT(pattern_is(buffer, 0, 2 * MIB, 2));
	CU_ASSERT(extmem_unmap(region, second, 2 * MIB) == 0);
	CU_ASSERT(extmem_read(region, second, buffer, 2 * MIB) == 0);
	CU_ASSERT(pattern_is(buffer, 0, 2 * MIB, 2));
	close_well(x);
}

static void a_region_is_mapped_and_then_a_slab_is_selected(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);
	struct extmem_stats before, after;
	uint64_t offset;

	before = client_stats(x);
	CU_ASSERT_FATAL(extmem_slab_alloc(region, 5 * MIB, &offset) == 0);
	after = client_stats(x);
	CU_ASSERT(before.reads == after.reads);
	CU_ASSERT(before.writes == after.writes);
	pattern_fill(memory + offset, 0, 5 * MIB, 3);
	CU_ASSERT(extmem_read(region, offset, buffer, 5 * MIB) == 0);
	CU_ASSERT(pattern_is(buffer, 0, 5 * MIB, 3));
	close_well(x);
}

static void what_was_written_before_mapping_is_mapped(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory;

	pattern_fill(buffer, 0, REGION, 4);
	CU_ASSERT(extmem_write(region, 0, buffer, REGION) == 0);
	memory = map_all(region);
	CU_ASSERT(pattern_is(memory, 0, REGION, 4));
	close_well(x);
}

static void unmapping_and_mapping_again_keeps_contents(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region), *part;

	pattern_fill(memory, 0, REGION, 5);
	CU_ASSERT(extmem_unmap(region, 0, 0) == 0);
	CU_ASSERT(extmem_unmap(region, 0, 0) == -EINVAL);
	CU_ASSERT(explicit_is(region, 5));
	CU_ASSERT(map_all(region) == memory);
	CU_ASSERT(pattern_is(memory, 0, REGION, 5));
	/* Counted: the second of two ends it. */
	CU_ASSERT_FATAL(extmem_map(region, MIB, MIB, (void **)&part) == 0);
	CU_ASSERT(part == memory + MIB);
	CU_ASSERT(extmem_unmap(region, 0, 0) == 0);
	CU_ASSERT(pattern_is(part, MIB, MIB, 5));
	CU_ASSERT(extmem_unmap(region, MIB, MIB) == 0);
	CU_ASSERT(map_all(region) == memory);
	CU_ASSERT(pattern_is(memory, 0, REGION, 5));
	close_well(x);
}

static void mappings_that_make_no_sense_are_refused(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	void *memory = &memory;

	CU_ASSERT(extmem_map(region, 1, PAGE, &memory) == -EINVAL);
	CU_ASSERT(extmem_map(region, 0, PAGE + 1, &memory) == -EINVAL);
	CU_ASSERT(extmem_map(region, 0, REGION + PAGE, &memory) == -ERANGE);
	CU_ASSERT(extmem_map(region, REGION + PAGE, 0, &memory) == -ERANGE);
	CU_ASSERT(extmem_map(region, UINT64_MAX - PAGE + 1, PAGE, &memory) ==
		  -ERANGE);
	CU_ASSERT(extmem_map(region, PAGE, UINT64_MAX - PAGE + 1, &memory) ==
		  -ERANGE);
	CU_ASSERT(strstr(extmem_error(), "extmem_map") != NULL);
	CU_ASSERT(memory == &memory);
	CU_ASSERT(extmem_unmap(region, 0, 0) == -EINVAL);
	CU_ASSERT(extmem_unmap(region, UINT64_MAX, UINT64_MAX) == -EINVAL);
	CU_ASSERT(extmem_sync(region, 0, REGION + 1) == -ERANGE);
	CU_ASSERT(extmem_sync(region, UINT64_MAX, 2) == -ERANGE);
	close_well(x);
}

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

/* In a mapped region, of which a part is here, dirty and clean, a part fresh and
 * a part away; and against loads and stores. */
static void asynchronous_calls_and_mappings_agree(void)
{
	enum { COUNT = 48 };
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);
	uint64_t word = 777;
	bool seen[COUNT];

	memset(shadow, 0, REGION);
	for (unsigned round = 0; round < 24; round++) {
		uint64_t slot = REGION / COUNT;
		uint64_t offsets[COUNT], sizes[COUNT];
		bool reads = round % 2 == 1;

		for (unsigned i = 0; i < COUNT; i++) {
			uint64_t at = i * slot + draw(&word, 9000);
			uint64_t size = 1 + draw(&word, draw(&word, 2) != 0
							 ? 9000 : 100000);

			if (draw(&word, 3) == 0) {
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
		memset(seen, 0, sizeof(seen));
		for (unsigned i = 0; i < COUNT; i++) {
			void *context = (void *)(uintptr_t)i;

			CU_ASSERT_FATAL(
				(reads ? extmem_read_start(
						 region, offsets[i],
						 buffer + offsets[i], sizes[i],
						 context)
				       : extmem_write_start(
						 region, offsets[i],
						 buffer + offsets[i], sizes[i],
						 context)) == 0);
			/* A page whose bytes are under way can be touched. */
			if (draw(&word, 8) == 0)
				CU_ASSERT(memory[offsets[i]] ==
					  shadow[offsets[i]] || !reads);
		}
		CU_ASSERT_FATAL(collect(x, seen, COUNT,
					COUNT));
		for (unsigned i = 0; i < COUNT; i++)
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

/* --- sync --------------------------------------------------------------------------------- */

static void sync_leaves_nothing_to_write(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);
	struct extmem_stats before, after;

	pattern_fill(memory, 0, REGION, 1);
	CU_ASSERT(extmem_sync(region, 0, 0) == 0);
	before = client_stats(x);
	CU_ASSERT(before.bytes_written >= REGION);
	CU_ASSERT(extmem_sync(region, 0, 0) == 0);
	CU_ASSERT(extmem_advise(region, 0, REGION, EXTMEM_COLD) == 0);
	after = client_stats(x);
	CU_ASSERT(before.bytes_written == after.bytes_written);
	CU_ASSERT(explicit_is(region, 1));
	memory[5] ^= 1;
	CU_ASSERT(extmem_sync(region, 0, PAGE) == 0);
	CU_ASSERT(client_stats(x).pages_written >= after.pages_written + 1);
	close_well(x);
}

/* Fills, syncs, says so, and waits to be killed. */
static int act_sync(int argc, char **argv)
{
	extmem_region *region;
	extmem *x;
	void *memory;

	if (argc < 3)
		return 1;
	x = client_open(argv[0], "local=4M", argv[1], argv[2], NULL);
	if (x == NULL || extmem_region_alloc(x, "synced", REGION, &region) ||
	    extmem_map(region, 0, 0, &memory))
		return 1;
	pattern_fill(memory, 0, REGION, 77);
	if (extmem_sync(region, 0, 0))
		return 1;
	puts("synced");
	pause();
	return 1;
}

/* Where a process has the pool mapped: the size of the mapping, or 0. */
static uint64_t find_pool(pid_t pid, uint64_t *ret_address)
{
	char path[64], line[512];
	unsigned long long from, to;
	uint64_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strstr(line, "extmem-pool") == NULL ||
		    sscanf(line, "%llx-%llx", &from, &to) != 2)
			continue;
		*ret_address = from;
		size = to - from;
	}
	if (file != NULL)
		fclose(file);
	return size;
}

/* The synced pages are looked for in the appliance's own memory: a new client
 * never sees what a former one wrote. */
static void what_was_synced_is_there_when_the_client_is_dead(void)
{
	static const char *const more[] = { "--lease=600s", NULL };
	struct appliance own;
	const char *arguments[] = { own.address, paging, lanes, NULL };
	char path[64];
	uint64_t address = 0, size, found = 0;
	int out, status, mem;
	pid_t pid;

	/* A dead client's memory stays as it is until its lease ends. */
	CU_ASSERT_FATAL(appliance_start(&own, LOOPBACK, "16M", more));
	pid = act_start("sync", arguments, &out);
	CU_ASSERT_FATAL(pid > 0);
	CU_ASSERT(act_says(out, "synced"));
	kill(pid, SIGKILL);
	status = act_wait(pid);
	close(out);
	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	size = find_pool(own.control, &address);
	snprintf(path, sizeof(path), "/proc/%d/mem", own.control);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	if (mem < 0 || size == 0) {
		printf("(not looked at: %s: %s) ", path, strerror(errno));
		appliance_stop(&own);
		return;
	}
	pattern_fill(shadow, 0, REGION, 77);
	for (uint64_t at = 0; at + REGION <= size && found == 0;
	     at += 65536) {
		if (pread(mem, buffer, PAGE, (off_t)(address + at)) != PAGE ||
		    memcmp(buffer, shadow, PAGE) != 0)
			continue;
		found = pread(mem, buffer, REGION, (off_t)(address + at)) ==
				(ssize_t)REGION &&
			memcmp(buffer, shadow, REGION) == 0;
	}
	close(mem);
	appliance_stop(&own);
	CU_ASSERT(found != 0);
}

/* --- advice --------------------------------------------------------------------------------- */

static void advice_changes_no_contents(void)
{
	static const enum extmem_advice kinds[] = {
		EXTMEM_NORMAL, EXTMEM_SEQUENTIAL, EXTMEM_RANDOM,
		EXTMEM_WILLNEED, EXTMEM_COLD,
	};
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);

	pattern_fill(memory, 0, REGION, 1);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		CU_ASSERT(extmem_advise(region, 0, REGION, kinds[i]) == 0);
		CU_ASSERT(pattern_is(memory, 0, REGION, 1));
		CU_ASSERT(explicit_is(region, 1));
	}
	CU_ASSERT(extmem_advise(region, 0, 0, EXTMEM_WILLNEED) == 0);
	CU_ASSERT(pattern_is(memory, 0, REGION, 1));
	close_well(x);
}

static void what_is_not_needed_reads_as_zero(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);

	pattern_fill(memory, 0, REGION, 1);
	CU_ASSERT(extmem_advise(region, MIB, 6 * MIB, EXTMEM_DONTNEED) == 0);
	CU_ASSERT(pattern_is(memory, 0, MIB, 1));
	CU_ASSERT(all_zero(memory + MIB, 6 * MIB));
	CU_ASSERT(pattern_is(memory + 7 * MIB, 7 * MIB, MIB, 1));
	CU_ASSERT(extmem_read(region, MIB, buffer, 6 * MIB) == 0);
	CU_ASSERT(all_zero(buffer, 6 * MIB));
	close_well(x);
}

static void cold_pages_leave_and_come_back(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);
	uint64_t before;

	pattern_fill(memory, 0, MIB, 1);
	before = client_stats(x).local_now;
	CU_ASSERT(extmem_advise(region, 0, MIB, EXTMEM_COLD) == 0);
	CU_ASSERT(client_stats(x).local_now + MIB <= before);
	CU_ASSERT(pattern_is(memory, 0, MIB, 1));
	close_well(x);
}

/* A region that was never mapped. */
static void what_is_not_needed_reads_as_zero_unmapped(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);

	/* Nothing was written: nothing is to be done. */
	CU_ASSERT(extmem_advise(region, 0, REGION, EXTMEM_DONTNEED) == 0);
	CU_ASSERT(extmem_advise(region, 0, REGION, EXTMEM_COLD) == -EINVAL);
	pattern_fill(buffer, 0, REGION, 1);
	CU_ASSERT(extmem_write(region, 0, buffer, REGION) == 0);
	CU_ASSERT(extmem_advise(region, MIB, 6 * MIB, EXTMEM_DONTNEED) == 0);
	CU_ASSERT(extmem_read(region, 0, buffer, REGION) == 0);
	CU_ASSERT(pattern_is(buffer, 0, MIB, 1));
	CU_ASSERT(all_zero(buffer + MIB, 6 * MIB));
	CU_ASSERT(pattern_is(buffer + 7 * MIB, 7 * MIB, MIB, 1));
	/* Part of a discarded page: the rest of it stays zero. */
	CU_ASSERT(extmem_write(region, 2 * MIB + 10, "abc", 3) == 0);
	CU_ASSERT(extmem_read(region, 2 * MIB, buffer, PAGE) == 0);
	CU_ASSERT(all_zero(buffer, 10));
	CU_ASSERT(memcmp(buffer + 10, "abc", 3) == 0);
	CU_ASSERT(all_zero(buffer + 13, PAGE - 13));
	/* And a mapping sees the same. */
	CU_ASSERT(memcmp(map_all(region) + 2 * MIB + 10, "abc", 3) == 0);
	close_well(x);
}

static void a_region_can_be_tracked_before_it_is_mapped(void)
{
	struct extmem_request request = {
		.size = sizeof(request), .region_size = REGION,
		.name = "tracked", .flags = EXTMEM_TRACKED,
	};
	struct {
		struct extmem_request known;
		uint64_t more;
	} newer = { .known = request };
	extmem_region *first, *region;
	extmem *x = open_small(&first);
	uint64_t reads;

	CU_ASSERT_FATAL(extmem_region_request(x, &request, &region) == 0);
	CU_ASSERT(extmem_region_size(region) == REGION);
	CU_ASSERT(strcmp(extmem_region_name(region), "tracked") == 0);
	/* What is fresh needs no transfer. */
	reads = client_stats(x).reads;
	memset(buffer, 1, REGION);
	CU_ASSERT(extmem_read(region, 0, buffer, REGION) == 0);
	CU_ASSERT(all_zero(buffer, REGION));
	CU_ASSERT(client_stats(x).reads == reads);
	pattern_fill(buffer, 0, REGION, 1);
	CU_ASSERT(extmem_write(region, 0, buffer, REGION) == 0);
	CU_ASSERT(extmem_advise(region, 0, 0, EXTMEM_COLD) == 0);
	CU_ASSERT(explicit_is(region, 1));
	CU_ASSERT(extmem_advise(region, 0, 0, EXTMEM_DONTNEED) == 0);
	CU_ASSERT(extmem_read(region, 0, buffer, REGION) == 0);
	CU_ASSERT(all_zero(buffer, REGION));
	CU_ASSERT(extmem_region_free(region) == 0);

	request.flags = 0x100;
	CU_ASSERT(extmem_region_request(x, &request, &region) == -EINVAL);
	request.flags = 0;
	request.size = 8;
	CU_ASSERT(extmem_region_request(x, &request, &region) == -EINVAL);
	newer.known.size = sizeof(newer);
	CU_ASSERT(extmem_region_request(x, &newer.known, &region) == 0);
	CU_ASSERT(extmem_region_free(region) == 0);
	newer.more = 1;
	CU_ASSERT(extmem_region_request(x, &newer.known, &region) == -EINVAL);
	close_well(x);
}

static void advice_that_makes_no_sense_is_refused(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);

	CU_ASSERT(extmem_advise(region, 0, 0, EXTMEM_COLD) == -EINVAL);
	map_all(region);
	CU_ASSERT(extmem_advise(region, 0, 0, (enum extmem_advice)77) ==
		  -EINVAL);
	CU_ASSERT(extmem_advise(region, 1, PAGE, EXTMEM_COLD) == -EINVAL);
	CU_ASSERT(extmem_advise(region, 0, REGION + PAGE, EXTMEM_COLD) ==
		  -ERANGE);
	close_well(x);
}

/* --- pins --------------------------------------------------------------------------------------- */

static void the_kernel_can_use_pinned_pages(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);
	int file = memfd_create("pinned", MFD_CLOEXEC);

	CU_ASSERT_FATAL(file >= 0);
	pattern_fill(memory, 0, REGION, 1);
	/* The first megabyte has left meanwhile. */
	CU_ASSERT(extmem_pin(x, memory + 100, 300000, 0) == 300000);
	CU_ASSERT(pwrite(file, memory + 100, 300000, 0) == 300000);
	extmem_unpin(x, memory + 100, 300000);
	CU_ASSERT(extmem_pin(x, memory + 5 * MIB + 7, 300000, 1) == 300000);
	CU_ASSERT(pread(file, memory + 5 * MIB + 7, 300000, 0) == 300000);
	extmem_unpin(x, memory + 5 * MIB + 7, 300000);
	CU_ASSERT(pattern_is(memory + 5 * MIB + 7, 100, 300000, 1));
	CU_ASSERT(extmem_advise(region, 0, 0, EXTMEM_COLD) == 0);
	CU_ASSERT(pattern_is(memory + 5 * MIB + 7, 100, 300000, 1));
	CU_ASSERT(pattern_is(memory, 0, 5 * MIB, 1));
	close(file);
	close_well(x);
}

static void at_most_half_of_the_local_memory_is_pinned(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);
	int64_t first, second;

	first = extmem_pin(x, memory, REGION, 1);
	CU_ASSERT(first >= PAGE && first <= (int64_t)(2 * MIB));
	second = extmem_pin(x, memory + first, PAGE, 1);
	CU_ASSERT(second == -ENOMEM);
	CU_ASSERT(strstr(extmem_error(), "extmem_pin") != NULL);
	/* The rest goes on beside them. */
	pattern_fill(memory, 0, REGION, 1);
	CU_ASSERT(pattern_is(memory, 0, REGION, 1));
	extmem_unpin(x, memory, (size_t)first);
	CU_ASSERT(extmem_pin(x, memory + first, PAGE, 1) == PAGE);
	extmem_unpin(x, memory + first, PAGE);
	/* Not ours: ignored. */
	CU_ASSERT(extmem_pin(x, buffer, 12345, 1) == 12345);
	extmem_unpin(x, buffer, 12345);
	CU_ASSERT(explicit_is(region, 1));
	close_well(x);
}

static void pins_are_counted(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);
	int pair[2];

	CU_ASSERT_FATAL(pipe(pair) == 0);
	CU_ASSERT(extmem_pin(x, memory, PAGE, 0) == PAGE);
	CU_ASSERT(extmem_pin(x, memory, PAGE, 1) == PAGE);
	extmem_unpin(x, memory, PAGE);
	/* Everything else passes through the rest of the memory. */
	pattern_fill(memory + PAGE, PAGE, REGION - PAGE, 2);
	CU_ASSERT(write(pair[1], "still", 5) == 5);
	CU_ASSERT(read(pair[0], memory, 5) == 5);
	CU_ASSERT(memcmp(memory, "still", 5) == 0);
	extmem_unpin(x, memory, PAGE);
	close(pair[0]);
	close(pair[1]);
	close_well(x);
}

static void an_address_is_known_for_external_memory(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);

	CU_ASSERT(extmem_contains(x, memory) == 1);
	CU_ASSERT(extmem_contains(x, memory + REGION - 1) == 1);
	CU_ASSERT(extmem_contains(x, buffer) == 0);
	CU_ASSERT(extmem_contains(x, NULL) == 0);
	CU_ASSERT(extmem_contains(x, (void *)UINTPTR_MAX) == 0);
	close_well(x);
}

static void a_region_in_every_use_is_given_back(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);
	uint8_t *memory = map_all(region);
	uint64_t offset;
	void *part;

	CU_ASSERT(extmem_slab_alloc(region, MIB, &offset) == 0);
	CU_ASSERT(extmem_object_alloc(region, 1000, 0, &offset) == 0);
	CU_ASSERT(extmem_map(region, MIB, MIB, &part) == 0);
	pattern_fill(memory, 0, REGION, 1);
	CU_ASSERT(extmem_pin(x, memory, 10 * PAGE, 1) == 10 * PAGE);
	CU_ASSERT(extmem_advise(region, 0, 0, EXTMEM_WILLNEED) == 0);
	CU_ASSERT(extmem_region_free(region) == 0);
	/* Its place is taken again, and is clean. */
	CU_ASSERT(appliance_frees(&home, 64 * MIB));
	CU_ASSERT_FATAL(extmem_region_alloc(x, "again", REGION, &region) == 0);
	memory = map_all(region);
	CU_ASSERT(all_zero(memory, REGION));
	pattern_fill(memory, 0, REGION, 2);
	CU_ASSERT(extmem_pin(x, memory, 10 * PAGE, 1) == 10 * PAGE);
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&home, 64 * MIB));
}

/* --- all of it, each way --------------------------------------------------------------------------- */

static const CU_TestInfo tests[] = {
	XM_TEST(a_region_is_mapped_whole),
	XM_TEST(the_local_budget_is_raised_while_it_is_used),
	XM_TEST(a_slab_is_selected_and_then_mapped),
	XM_TEST(a_region_is_mapped_and_then_a_slab_is_selected),
	XM_TEST(what_was_written_before_mapping_is_mapped),
	XM_TEST(unmapping_and_mapping_again_keeps_contents),
	XM_TEST(mappings_that_make_no_sense_are_refused),
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
	XM_TEST(sync_leaves_nothing_to_write),
	XM_TEST(what_was_synced_is_there_when_the_client_is_dead),
	XM_TEST(advice_changes_no_contents),
	XM_TEST(what_is_not_needed_reads_as_zero),
	XM_TEST(cold_pages_leave_and_come_back),
	XM_TEST(what_is_not_needed_reads_as_zero_unmapped),
	XM_TEST(a_region_can_be_tracked_before_it_is_mapped),
	XM_TEST(advice_that_makes_no_sense_is_refused),
	XM_TEST(the_kernel_can_use_pinned_pages),
	XM_TEST(at_most_half_of_the_local_memory_is_pinned),
	XM_TEST(pins_are_counted),
	XM_TEST(an_address_is_known_for_external_memory),
	XM_TEST(a_region_in_every_use_is_given_back),
	CU_TEST_INFO_NULL,
};

/* A suite's start: which way, and whether it is permitted here. */
static int use(const char *which_paging, const char *which_lanes)
{
	paging = which_paging;
	lanes = which_lanes;
	return 0;
}

static int use_inline(void)
{
	return use("paging=inline", "lanes=1");
}

static int use_inline_lanes(void)
{
	return use("paging=inline", "lanes=3");
}

static int use_thread_lanes(void)
{
	return use("paging=thread", "lanes=2");
}

static bool permitted(const char *which)
{
	char appliance[160];
	const char *settings[] = { appliance, which, NULL };
	extmem *x;

	snprintf(appliance, sizeof(appliance), "appliance=%s", home.address);
	if (extmem_open(settings, &x) == 0) {
		extmem_close(x);
		return true;
	}
	printf("skipped: %s: %s\n", which, extmem_error());
	return false;
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { "sync", act_sync },
					   { NULL, NULL } };
	CU_SuiteInfo suites[4] = { { 0 } };
	unsigned count = 0, run, failed;

	act_begin(argc, argv, acts);
	if (!appliance_start(&home, argc > 1 ? argv[1] : LOOPBACK, "64M",
			     NULL)) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	if (permitted("paging=inline")) {
		suites[count].pName = "inline";
		suites[count++].pInitFunc = use_inline;
		suites[count].pName = "inline, three lanes";
		suites[count++].pInitFunc = use_inline_lanes;
	}
	if (permitted("paging=thread")) {
		suites[count].pName = "thread, two lanes";
		suites[count++].pInitFunc = use_thread_lanes;
	}
	for (unsigned i = 0; i < count; i++)
		suites[i].pTests = (CU_TestInfo *)(uintptr_t)tests;
	if (CU_initialize_registry() != CUE_SUCCESS ||
	    CU_register_suites(suites) != CUE_SUCCESS)
		return 2;
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	run = CU_get_number_of_tests_run();
	failed = CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	appliance_stop(&home);
	printf("%u passed, %u failed\n", run - failed, failed);
	return failed != 0;
}
