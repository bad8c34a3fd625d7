/* SPDX-License-Identifier: BSD-3-Clause */
/* Sparse regions, whose addresses are reserved and whose memory comes and goes. */
#include "tests/support/appliance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/support/cunit.h"

#define POOL "64M"
#define POOL_BYTES (64 * MIB)
#define GRANULE 65536 /* of the daemon */
#define GIB (1024 * MIB)

static struct appliance home;

static extmem_region *sparse(extmem *x, uint64_t reserve)
{
	struct extmem_request request = { .size = sizeof(request),
					  .reserve = reserve, .name = "sparse" };
	extmem_region *region;

	return extmem_region_request(x, &request, &region) == 0 ? region : NULL;
}

static void half_a_terabyte_of_addresses_costs_no_memory(void)
{
	extmem *x = client_open(home.address, "local=1M", NULL);
	extmem_region *region;
	void *memory;

	CU_ASSERT_FATAL(x != NULL);
	region = sparse(x, 512 * GIB);
	CU_ASSERT_FATAL(region != NULL);
	CU_ASSERT(extmem_region_size(region) == 512 * GIB);
	CU_ASSERT(extmem_map(region, 0, 0, &memory) == 0);
	CU_ASSERT(client_stats(x).region_bytes == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	/* What passes over all of it takes no time. */
	CU_ASSERT(extmem_sync(region, 0, 0) == 0);
	CU_ASSERT(extmem_advise(region, 0, 0, EXTMEM_DONTNEED) == 0);
	CU_ASSERT(extmem_advise(region, 0, 0, EXTMEM_RANDOM) == 0);
	CU_ASSERT(extmem_unmap(region, 0, 0) == 0);
	CU_ASSERT(extmem_region_free(region) == 0);
	CU_ASSERT(extmem_close(x) == 0);
}

/* Pieces far apart, before the mapping and after. */
static void what_is_committed_holds_bytes_and_the_rest_does_not(void)
{
	extmem *x = client_open(home.address, "local=1M", NULL);
	const uint64_t at[] = { 0, 3 * GIB, 3 * GIB + 4 * MIB, 200 * GIB };
	extmem_region *region;
	uint8_t *memory;

	CU_ASSERT_FATAL(x != NULL);
	region = sparse(x, 256 * GIB);
	CU_ASSERT_FATAL(region != NULL);
	CU_ASSERT(extmem_region_commit(region, at[0], MIB, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(extmem_region_commit(region, at[1], MIB, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	CU_ASSERT(extmem_region_commit(region, at[2], 2 * MIB, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(extmem_region_commit(region, at[3], PAGE, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(client_stats(x).region_bytes == 4 * MIB + GRANULE);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT(all_zero(memory + at[i], MIB));
		pattern_fill(memory + at[i], at[i], MIB, 7);
	}
	CU_ASSERT(extmem_sync(region, 0, 0) == 0);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT(pattern_is(memory + at[i], at[i], MIB, 7));
	CU_ASSERT(touch_write(memory + at[3], 5) != -1);
	CU_ASSERT(touch_read(memory + at[3] + GRANULE) == TOUCH_DENIED);
	CU_ASSERT(touch_read(memory + at[2] - PAGE) == TOUCH_DENIED);
	CU_ASSERT(touch_write(memory + MIB, 1) == TOUCH_DENIED);
	CU_ASSERT(extmem_contains(x, memory + at[3]) == 1);
	CU_ASSERT(extmem_contains(x, memory + at[3] + GRANULE) == 0);
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

static void a_commit_of_what_has_memory_sends_nothing(void)
{
	extmem *x = client_open(home.address, "local=1M", NULL);
	extmem_region *region;
	uint64_t before;

	CU_ASSERT_FATAL(x != NULL);
	region = sparse(x, GIB);
	CU_ASSERT_FATAL(region != NULL);
	CU_ASSERT(extmem_region_commit(region, 0, 8 * MIB, EXTMEM_READ_WRITE) == 0);
	before = client_stats(x).messages;
	for (uint64_t at = 0; at < 8 * MIB; at += PAGE)
		CU_ASSERT_FATAL(extmem_region_commit(region, at, PAGE, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(client_stats(x).messages == before);
	/* Three gaps are three messages. */
	CU_ASSERT(extmem_region_commit(region, 10 * MIB, MIB, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(extmem_region_commit(region, 12 * MIB, MIB, EXTMEM_READ_WRITE) == 0);
	before = client_stats(x).messages;
	CU_ASSERT(extmem_region_commit(region, 0, 16 * MIB, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(client_stats(x).messages == before + 3);
	CU_ASSERT(client_stats(x).region_bytes == 16 * MIB);
	CU_ASSERT(extmem_close(x) == 0);
}

static void decommitted_memory_goes_back_and_its_neighbours_stay(void)
{
	extmem *x = client_open(home.address, "local=1M", NULL);
	extmem_region *region;
	uint8_t *memory;

	CU_ASSERT_FATAL(x != NULL);
	region = sparse(x, GIB);
	CU_ASSERT_FATAL(region != NULL);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	for (uint64_t at = 0; at < 4 * MIB; at += MIB)
		CU_ASSERT(extmem_region_commit(region, at, MIB, EXTMEM_READ_WRITE) == 0);
	pattern_fill(memory, 0, 4 * MIB, 3);
	/* The end of one, the whole of another, the beginning of a third. */
	CU_ASSERT(extmem_region_decommit(region, MIB - 3 * GRANULE - PAGE,
					 3 * GRANULE + MIB + 2 * GRANULE) == 0);
	CU_ASSERT(client_stats(x).region_bytes == 3 * MIB - 3 * GRANULE);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES - 3 * MIB + 3 * GRANULE));
	CU_ASSERT(pattern_is(memory, 0, MIB - 3 * GRANULE - PAGE, 3));
	CU_ASSERT(all_zero(memory + MIB - 3 * GRANULE - PAGE, PAGE));
	CU_ASSERT(touch_read(memory + MIB - 3 * GRANULE) == TOUCH_DENIED);
	CU_ASSERT(touch_read(memory + 2 * MIB - 1) == TOUCH_DENIED);
	CU_ASSERT(all_zero(memory + 2 * MIB, 2 * GRANULE - PAGE));
	CU_ASSERT(pattern_is(memory + 2 * MIB + 2 * GRANULE - PAGE,
			     2 * MIB + 2 * GRANULE - PAGE,
			     2 * MIB - 2 * GRANULE + PAGE, 3));
	/* Again, over what is there and what is not. */
	CU_ASSERT(extmem_region_commit(region, 0, 3 * MIB, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(all_zero(memory + MIB, MIB));
	CU_ASSERT(pattern_is(memory, 0, MIB - 3 * GRANULE - PAGE, 3));
	CU_ASSERT(extmem_region_decommit(region, 0, GIB) == 0);
	CU_ASSERT(client_stats(x).region_bytes == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	CU_ASSERT(extmem_region_decommit(region, 0, GIB) == 0);
	CU_ASSERT(extmem_close(x) == 0);
}

/* A memory that is written, given back and taken again for hours would show here what
 * it forgets. */
static void commits_that_come_and_go_leave_nothing_behind(void)
{
	extmem *x = client_open(home.address, "local=1M", NULL);
	extmem_region *region;
	uint8_t *memory;
	uint64_t at = 0;

	CU_ASSERT_FATAL(x != NULL);
	region = sparse(x, GIB);
	CU_ASSERT_FATAL(region != NULL);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t size = (1 + i % 5) * 4 * GRANULE;

		at = (at + i * 7 * (uint64_t)GRANULE) % (GIB - 2 * MIB);
		CU_ASSERT_FATAL(extmem_region_commit(region, at, size, EXTMEM_READ_WRITE) == 0);
		CU_ASSERT(all_zero(memory + at, size));
		pattern_fill(memory + at, at, size, i);
		CU_ASSERT(pattern_is(memory + at, at, size, i));
		CU_ASSERT(extmem_region_decommit(region, at, size) == 0);
	}
	CU_ASSERT(client_stats(x).region_bytes == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	CU_ASSERT(extmem_close(x) == 0);
}

static void what_is_committed_without_rights_has_none(void)
{
	extmem *x = client_open(home.address, "local=1M", "paging=inline", NULL);
	extmem_region *region;
	uint8_t *memory;

	CU_ASSERT_FATAL(x != NULL);
	region = sparse(x, GIB);
	CU_ASSERT_FATAL(region != NULL);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	CU_ASSERT(extmem_region_commit(region, MIB, MIB, EXTMEM_NO_ACCESS) == 0);
	CU_ASSERT(extmem_region_commit(region, 2 * MIB, MIB, EXTMEM_READ_ONLY) == 0);
	CU_ASSERT(touch_read(memory + MIB) == TOUCH_DENIED);
	CU_ASSERT(touch_write(memory + 2 * MIB, 1) == TOUCH_DENIED);
	CU_ASSERT(touch_read(memory + 2 * MIB) == 0);
	/* What had memory keeps its rights. */
	CU_ASSERT(extmem_region_commit(region, 0, 4 * MIB, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(touch_write(memory, 1) != TOUCH_DENIED);
	CU_ASSERT(touch_read(memory + MIB) == TOUCH_DENIED);
	CU_ASSERT(extmem_protect(region, MIB, MIB, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(all_zero(memory + MIB, MIB));
	/* And what comes again has those that it is given then. */
	CU_ASSERT(extmem_protect(region, 0, 4 * MIB, EXTMEM_NO_ACCESS) == 0);
	CU_ASSERT(extmem_region_decommit(region, 0, 4 * MIB) == 0);
	CU_ASSERT(extmem_region_commit(region, 0, MIB, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(all_zero(memory, MIB));
	CU_ASSERT(extmem_close(x) == 0);
	x = client_open(home.address, "local=1M", "paging=thread", NULL);
	CU_ASSERT_FATAL(x != NULL);
	region = sparse(x, GIB);
	CU_ASSERT_FATAL(region != NULL);
	CU_ASSERT(extmem_region_commit(region, 0, MIB, EXTMEM_NO_ACCESS) == -ENOTSUP);
	CU_ASSERT(extmem_region_commit(region, 0, MIB, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(extmem_close(x) == 0);
}

static void what_the_program_maps_there_is_gone_when_it_is_restored(void)
{
	extmem *x = client_open(home.address, "local=1M", NULL);
	extmem_region *region;
	uint8_t *memory, *mine;

	CU_ASSERT_FATAL(x != NULL);
	region = sparse(x, GIB);
	CU_ASSERT_FATAL(region != NULL);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	CU_ASSERT(extmem_region_commit(region, 0, 4 * MIB, EXTMEM_READ_WRITE) == 0);
	pattern_fill(memory, 0, MIB, 9);
	/* Pages behind those that were touched may be there already. */
	CU_ASSERT(extmem_protect(region, MIB, MIB, EXTMEM_NO_ACCESS) == 0);
	CU_ASSERT(extmem_advise(region, MIB, MIB, EXTMEM_DONTNEED) == 0);
	mine = mmap(memory + MIB, MIB, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CU_ASSERT_FATAL(mine == memory + MIB);
	memset(mine, 7, MIB);
	CU_ASSERT(extmem_region_restore(region, GIB, PAGE) == -ERANGE);
	CU_ASSERT(extmem_region_restore(region, 1, PAGE) == -EINVAL);
	CU_ASSERT(mine[MIB - 1] == 7);
	CU_ASSERT(extmem_region_restore(region, MIB, MIB) == 0);
	CU_ASSERT(extmem_protect(region, MIB, MIB, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(all_zero(memory + MIB, MIB));
	pattern_fill(memory + MIB, MIB, 3 * MIB, 9);
	CU_ASSERT(pattern_is(memory, 0, 4 * MIB, 9));
	CU_ASSERT(extmem_close(x) == 0);
}

static void what_had_contents_when_it_was_mapped_over_reads_as_zero(void)
{
	extmem *x = client_open(home.address, "local=8M", NULL);
	extmem_region *region;
	uint8_t *memory, *mine;

	CU_ASSERT_FATAL(x != NULL);
	region = sparse(x, GIB);
	CU_ASSERT_FATAL(region != NULL);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	CU_ASSERT(extmem_region_commit(region, 0, MIB, EXTMEM_READ_WRITE) == 0);
	pattern_fill(memory, 0, MIB, 9);
	mine = mmap(memory, 2 * MIB, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CU_ASSERT_FATAL(mine == memory);
	memset(mine, 7, 2 * MIB);
	CU_ASSERT(extmem_region_restore(region, 0, 2 * MIB) == 0);
	CU_ASSERT(all_zero(memory, MIB));
	pattern_fill(memory, 0, MIB, 8);
	CU_ASSERT(pattern_is(memory, 0, MIB, 8));
	CU_ASSERT(extmem_close(x) == 0);
}

static void what_makes_no_sense_is_refused_in_words(void)
{
	struct extmem_request both = { .size = sizeof(both), .region_size = MIB,
				       .reserve = GIB };
	extmem *x = client_open(home.address, "local=1M", NULL);
	extmem_region *region, *plain = NULL;
	uint64_t offset;
	char byte;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(extmem_region_request(x, &both, &region) == -EINVAL);
	CU_ASSERT(words_have("region_size must be 0"));
	CU_ASSERT(sparse(x, 2048 * GIB) == NULL && words_have("addresses"));
	region = sparse(x, GIB);
	CU_ASSERT_FATAL(region != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "plain", MIB, &plain) == 0);
	CU_ASSERT(extmem_region_commit(plain, 0, MIB, EXTMEM_READ_WRITE) == -EINVAL);
	CU_ASSERT(words_have("not sparse"));
	CU_ASSERT(extmem_region_decommit(plain, 0, MIB) == -EINVAL);
	CU_ASSERT(extmem_region_commit(region, GIB, PAGE, EXTMEM_READ_WRITE) == -ERANGE);
	CU_ASSERT(extmem_region_commit(region, 1, PAGE, EXTMEM_READ_WRITE) == -EINVAL);
	CU_ASSERT(extmem_region_commit(region, 0, GIB, EXTMEM_READ_WRITE) == -ENOSPC);
	CU_ASSERT(client_stats(x).region_bytes == MIB);
	CU_ASSERT(extmem_region_resize(region, MIB) == -EINVAL);
	CU_ASSERT(words_have("extmem_region_commit"));
	CU_ASSERT(extmem_slab_alloc(region, PAGE, &offset) == -ENOSPC);
	CU_ASSERT(extmem_object_alloc(region, 64, 0, &offset) == -ENOSPC);
	CU_ASSERT(extmem_read(region, MIB, &byte, 1) == -ERANGE);
	CU_ASSERT(extmem_write(region, MIB, "x", 1) == -ERANGE);
	CU_ASSERT(extmem_region_commit(region, MIB, PAGE, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(extmem_write(region, MIB, "x", 1) == 0);
	CU_ASSERT(extmem_read(region, MIB, &byte, 1) == 0 && byte == 'x');
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { NULL, NULL } };
	static const char *const more[] = { "--lease=600s", NULL };
	static const CU_TestInfo tests[] = {
		XM_TEST(half_a_terabyte_of_addresses_costs_no_memory),
		XM_TEST(what_is_committed_holds_bytes_and_the_rest_does_not),
		XM_TEST(a_commit_of_what_has_memory_sends_nothing),
		XM_TEST(decommitted_memory_goes_back_and_its_neighbours_stay),
		XM_TEST(commits_that_come_and_go_leave_nothing_behind),
		XM_TEST(what_is_committed_without_rights_has_none),
		XM_TEST(what_the_program_maps_there_is_gone_when_it_is_restored),
		XM_TEST(what_had_contents_when_it_was_mapped_over_reads_as_zero),
		XM_TEST(what_makes_no_sense_is_refused_in_words),
		CU_TEST_INFO_NULL,
	};
	int rc;

	act_begin(argc, argv, acts);
	touch_begin();
	if (!appliance_start(&home, LOOPBACK, POOL, more)) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	rc = xm_tests_run("sparse", tests);
	appliance_stop(&home);
	return rc;
}
