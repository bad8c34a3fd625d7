/* SPDX-License-Identifier: BSD-3-Clause */
/* Mappings through the public API; sync, advice, pins. */
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

int main(int argc, char **argv)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_region_is_mapped_whole),
		XM_TEST(the_local_budget_is_raised_while_it_is_used),
		XM_TEST(a_slab_is_selected_and_then_mapped),
		XM_TEST(a_region_is_mapped_and_then_a_slab_is_selected),
		XM_TEST(what_was_written_before_mapping_is_mapped),
		XM_TEST(unmapping_and_mapping_again_keeps_contents),
		XM_TEST(mappings_that_make_no_sense_are_refused),
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
	static const struct act acts[] = { { "sync", act_sync },
					   { NULL, NULL } };

	return access_run(argc, argv, tests, acts);
}
