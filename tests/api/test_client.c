/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions, slabs and objects, through the public API and against real
 * appliances.
 */
#include "tests/support/appliance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"

#define POOL "64M"
#define POOL_BYTES (64 * MIB)
#define GRANULE 65536 /* of the daemon */

/* Its lease is so long that no heartbeat falls into a test that counts
 * messages. */
static struct appliance home;

/* --- regions ---------------------------------------------------------------------------- */

static uint8_t buffer[1 << 20];

static bool region_write(extmem_region *region, uint64_t seed)
{
	uint64_t size = extmem_region_size(region);

	for (uint64_t at = 0; at < size; at += sizeof(buffer)) {
		pattern_fill(buffer, at, sizeof(buffer), seed);
		if (extmem_write(region, at, buffer, sizeof(buffer)) != 0)
			return false;
	}
	return true;
}

static bool region_is(extmem_region *region, uint64_t from, uint64_t to,
		      uint64_t seed)
{
	for (uint64_t at = from; at < to; at += sizeof(buffer)) {
		if (extmem_read(region, at, buffer, sizeof(buffer)) != 0) {
			fprintf(stderr, "%s\n", extmem_error());
			return false;
		}
		if (!pattern_is(buffer, at, sizeof(buffer), seed))
			return false;
	}
	return true;
}

static bool region_is_zero(extmem_region *region, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at += sizeof(buffer)) {
		memset(buffer, 1, sizeof(buffer));
		if (extmem_read(region, at, buffer, sizeof(buffer)) != 0 ||
		    !all_zero(buffer, sizeof(buffer)))
			return false;
	}
	return true;
}

/* Under a sanitizer the read of freed memory itself is the finding. */
static void a_region_that_was_freed_is_refused(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	extmem *x = client_open(home.address, NULL);
	extmem_region *region;
	uint64_t offset;
	void *address;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "gone", MIB, &region) == 0);
	CU_ASSERT(extmem_region_free(region) == 0);
	CU_ASSERT(extmem_map(region, 0, 0, &address) == -EINVAL);
	CU_ASSERT(words_have("extmem_map") && words_have("freed"));
	CU_ASSERT(extmem_read(region, 0, &offset, sizeof(offset)) == -EINVAL);
	CU_ASSERT(extmem_advise(region, 0, 0, EXTMEM_RANDOM) == -EINVAL);
	CU_ASSERT(extmem_object_alloc(region, 64, 0, &offset) == -EINVAL);
	CU_ASSERT(extmem_region_free(region) == -EINVAL);
	CU_ASSERT(extmem_close(x) == 0);
#endif
}

static void a_region_is_taken_listed_and_given_back(void)
{
	struct extmem_region_entry entries[8];
	extmem *x = client_open(home.address, "name=lister", NULL);
	extmem_region *region = NULL;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(extmem_region_list(x, 0, entries, 8) == 0);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "numbers", 3 * MIB, &region) ==
			0);
	CU_ASSERT(extmem_region_size(region) == 3 * MIB);
	CU_ASSERT(strcmp(extmem_region_name(region), "numbers") == 0);
	CU_ASSERT_FATAL(extmem_region_list(x, 0, entries, 8) == 1);
	CU_ASSERT(strcmp(entries[0].name, "numbers") == 0);
	CU_ASSERT(strcmp(entries[0].owner, "lister") == 0);
	CU_ASSERT(strcmp(entries[0].appliance, home.address) == 0);
	CU_ASSERT(entries[0].size == 3 * MIB);
	CU_ASSERT(extmem_region_list(x, 1, entries, 8) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES - 3 * MIB));
	CU_ASSERT(extmem_status_regions(home.address, PATIENCE_MS, 0, entries,
					8) == 1);
	CU_ASSERT(extmem_region_free(region) == 0);
	CU_ASSERT(extmem_region_free(NULL) == 0);
	CU_ASSERT(extmem_region_list(x, 0, entries, 8) == 0);
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

static void what_is_no_lease_of_anybody_ends_nothing(void)
{
	struct extmem_lease leases[2], wrong;
	extmem *x = client_open(home.address, NULL);
	extmem_region *region = NULL;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "kept", MIB, &region) == 0);
	CU_ASSERT(extmem_leases(x, leases, 0) == 0);
	CU_ASSERT_FATAL(extmem_leases(x, leases, 2) == 1);
	CU_ASSERT(strcmp(leases[0].appliance, home.address) == 0);
	wrong = leases[0];
	wrong.secret[3] ^= 1;
	CU_ASSERT(extmem_lease_end(&wrong, PATIENCE_MS) == -ESTALE);
	wrong = leases[0];
	wrong.client = 0;
	CU_ASSERT(extmem_lease_end(&wrong, PATIENCE_MS) == -EINVAL);
	wrong = leases[0];
	strcpy(wrong.appliance, "nosuch://x");
	CU_ASSERT(extmem_lease_end(&wrong, PATIENCE_MS) == -EINVAL);
	memset(wrong.appliance, 'x', sizeof(wrong.appliance));
	CU_ASSERT(extmem_lease_end(&wrong, PATIENCE_MS) == -EINVAL);
	strcpy(wrong.appliance, "ofi+tcp://127.0.0.1:1");
	CU_ASSERT(extmem_lease_end(&wrong, PATIENCE_MS) == -ECONNREFUSED);
	CU_ASSERT(extmem_write(region, 0, "a", 1) == 0);
	CU_ASSERT(extmem_close(x) == 0);
}

static void sizes_that_make_no_sense_are_refused(void)
{
	static const uint64_t bad[] = {
		0, UINT64_MAX, UINT64_MAX - PAGE, UINT64_MAX - 65536 + 2,
		UINT64_MAX / 2 + 1, (uint64_t)1 << 63,
	};
	extmem *x = client_open(home.address, NULL);
	extmem_region *region = (extmem_region *)(uintptr_t)1;
	extmem_region *held;
	uint64_t offset = 77;

	CU_ASSERT_FATAL(x != NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT(extmem_region_alloc(x, "n", bad[i], &region) ==
			  -EINVAL);
		CU_ASSERT(words_have("extmem_region_alloc"));
	}
	CU_ASSERT(extmem_region_alloc(x, "n", (uint64_t)1 << 60, &region) < 0);
	CU_ASSERT(extmem_region_alloc(x, "n", INT64_MAX, &region) < 0);
	CU_ASSERT(region == (extmem_region *)(uintptr_t)1);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "n", 1, &held) == 0);
	CU_ASSERT(extmem_region_resize(held, 0) == -EINVAL);
	CU_ASSERT(extmem_region_resize(held, UINT64_MAX) == -EINVAL);
	CU_ASSERT(extmem_region_resize(held, (uint64_t)1 << 60) < 0);
	/* Rounded up to what the appliance deals in. */
	CU_ASSERT(extmem_region_size(held) == GRANULE);
	CU_ASSERT(extmem_slab_alloc(held, 0, &offset) == -EINVAL);
	CU_ASSERT(extmem_slab_alloc(held, UINT64_MAX, &offset) < 0);
	CU_ASSERT(extmem_slab_alloc(held, UINT64_MAX - 10, &offset) < 0);
	CU_ASSERT(extmem_slab_alloc(held, GRANULE + 1, &offset) ==
		  -ENOSPC);
	CU_ASSERT(extmem_object_alloc(held, 0, 0, &offset) == -EINVAL);
	CU_ASSERT(extmem_object_alloc(held, UINT64_MAX, 0, &offset) < 0);
	CU_ASSERT(extmem_object_alloc(held, 16, 3, &offset) == -EINVAL);
	CU_ASSERT(extmem_object_alloc(held, 16, 4 * MIB, &offset) == -EINVAL);
	CU_ASSERT(offset == 77);
	CU_ASSERT(extmem_slab_free(held, 0) == -EINVAL);
	CU_ASSERT(extmem_slab_free(held, UINT64_MAX) == -EINVAL);
	CU_ASSERT(extmem_object_free(held, 0) == -EINVAL);
	CU_ASSERT(extmem_object_free(held, UINT64_MAX) == -EINVAL);
	CU_ASSERT(extmem_object_size(held, 16, &offset) == -EINVAL);
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

static void a_name_of_63_bytes_is_the_longest(void)
{
	static const char longest[] = "0123456789012345678901234567890123456"
				      "78901234567890123456789012";
	extmem *x = client_open(home.address, NULL);
	extmem_region *region = NULL;
	char longer[65];

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(strlen(longest) == 63);
	snprintf(longer, sizeof(longer), "%sx", longest);
	CU_ASSERT(extmem_region_alloc(x, longer, 1, &region) == -EINVAL);
	CU_ASSERT(words_have("63"));
	CU_ASSERT_FATAL(extmem_region_alloc(x, longest, 1, &region) == 0);
	CU_ASSERT(strcmp(extmem_region_name(region), longest) == 0);
	CU_ASSERT(extmem_region_free(region) == 0);
	CU_ASSERT_FATAL(extmem_region_alloc(x, NULL, 1, &region) == 0);
	CU_ASSERT(strcmp(extmem_region_name(region), "") == 0);
	CU_ASSERT(extmem_close(x) == 0);
}

static void a_full_pool_says_what_was_asked_and_what_is_free(void)
{
	extmem *x = client_open(home.address, NULL);
	extmem_region *most, *region = NULL;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	CU_ASSERT_FATAL(extmem_region_alloc(x, "most", POOL_BYTES - 2 * MIB,
					   &most) == 0);
	CU_ASSERT(extmem_region_alloc(x, "more", 4 * MIB, &region) == -ENOSPC);
	CU_ASSERT(words_have(home.address));
	CU_ASSERT(words_have("4.0 MiB"));
	CU_ASSERT(words_have("2.0 MiB"));
	CU_ASSERT(region == NULL);
	/* Nothing was taken that does not suffice, to be zeroed for no use. */
	CU_ASSERT(appliance_free(&home) == (int64_t)(2 * MIB));
	CU_ASSERT(extmem_region_resize(most, POOL_BYTES + 2 * MIB) ==
		  -ENOSPC);
	CU_ASSERT(extmem_region_size(most) == POOL_BYTES - 2 * MIB);
	CU_ASSERT(appliance_free(&home) == (int64_t)(2 * MIB));
	/* The last of it can be had. */
	CU_ASSERT(extmem_region_alloc(x, "rest", 2 * MIB, &region) == 0);
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

static void regions_keep_apart_when_some_are_given_back(void)
{
	extmem *x = client_open(home.address, NULL);
	extmem_region *region[4];

	CU_ASSERT_FATAL(x != NULL);
	for (uint64_t i = 0; i < 4; i++) {
		CU_ASSERT_FATAL(extmem_region_alloc(x, "one of four",
						   (i + 1) * 2 * MIB,
						   &region[i]) == 0);
		CU_ASSERT(region_write(region[i], i));
	}
	CU_ASSERT(extmem_region_free(region[1]) == 0);
	CU_ASSERT(extmem_region_free(region[2]) == 0);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "new", 10 * MIB, &region[1]) ==
			0);
	CU_ASSERT(region_is_zero(region[1], 0, 10 * MIB));
	CU_ASSERT(region_write(region[1], 9));
	CU_ASSERT(region_is(region[0], 0, 2 * MIB, 0));
	CU_ASSERT(region_is(region[3], 0, 8 * MIB, 3));
	CU_ASSERT(region_is(region[1], 0, 10 * MIB, 9));
	CU_ASSERT(extmem_close(x) == 0);
}

/* Both ways, as a mapped region's pages are the pager's to know. */
static void resize_keeps_contents(bool mapped)
{
	extmem *x = client_open(home.address, "local=2M", NULL);
	extmem_region *region, *other;
	uint64_t low, high;
	void *memory = NULL, *again = NULL;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "elastic", 4 * MIB, &region) ==
			0);
	if (mapped)
		CU_ASSERT_FATAL(extmem_map(region, 0, 0, &memory) == 0);
	CU_ASSERT(region_write(region, 1));
	CU_ASSERT_FATAL(extmem_region_resize(region, 16 * MIB) == 0);
	CU_ASSERT(extmem_region_size(region) == 16 * MIB);
	CU_ASSERT(region_is(region, 0, 4 * MIB, 1));
	CU_ASSERT(region_is_zero(region, 4 * MIB, 16 * MIB));
	CU_ASSERT(region_write(region, 2));
	if (mapped) {
		CU_ASSERT(extmem_region_address(region) == memory);
		CU_ASSERT(pattern_is((uint8_t *)memory + 15 * MIB, 15 * MIB,
				     MIB, 2));
	}
	/* Slabs in use hold the tail. */
	CU_ASSERT_FATAL(extmem_slab_alloc(region, 2 * MIB, &low) == 0);
	CU_ASSERT_FATAL(extmem_slab_alloc(region, 10 * MIB, &high) == 0);
	CU_ASSERT(extmem_region_resize(region, 6 * MIB) == -EBUSY);
	CU_ASSERT(words_have("in use"));
	CU_ASSERT(extmem_region_size(region) == 16 * MIB);
	CU_ASSERT(extmem_slab_free(region, high) == 0);
	CU_ASSERT_FATAL(extmem_region_resize(region, 6 * MIB) == 0);
	CU_ASSERT(extmem_region_size(region) == 6 * MIB);
	CU_ASSERT(region_is(region, 0, 2 * MIB, 2));
	CU_ASSERT(extmem_read(region, 6 * MIB, buffer, 1) == -ERANGE);
	/* The tail is everybody's again, and zero. */
	CU_ASSERT(appliance_frees(&home, POOL_BYTES - 6 * MIB));
	CU_ASSERT_FATAL(extmem_region_alloc(x, "other", POOL_BYTES - 6 * MIB,
					   &other) == 0);
	CU_ASSERT(region_is_zero(other, 0, POOL_BYTES - 6 * MIB));
	CU_ASSERT(region_write(other, 5));
	CU_ASSERT(extmem_region_free(other) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES - 6 * MIB));
	CU_ASSERT_FATAL(extmem_region_resize(region, 10 * MIB) == 0);
	CU_ASSERT(region_is(region, 0, 2 * MIB, 2));
	CU_ASSERT(region_is_zero(region, 6 * MIB, 10 * MIB));
	if (mapped) {
		CU_ASSERT(pattern_is(memory, 0, 2 * MIB, 2));
		CU_ASSERT(all_zero((uint8_t *)memory + 6 * MIB, 4 * MIB));
		CU_ASSERT(extmem_unmap(region, 0, 0) == 0);
		CU_ASSERT(extmem_map(region, 0, 0, &again) == 0);
		CU_ASSERT(again == memory);
		CU_ASSERT(pattern_is(memory, 0, 2 * MIB, 2));
	}
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

static void a_region_that_grows_and_shrinks_keeps_its_contents(void)
{
	resize_keeps_contents(false);
}

static void a_mapped_region_that_grows_and_shrinks_keeps_its_contents(void)
{
	resize_keeps_contents(true);
}

static void a_region_is_split_over_two_appliances(void)
{
	struct appliance a, b;
	struct extmem_region_entry entries[8];
	char second[160];
	extmem *x;
	extmem_region *region, *more = NULL;
	uint8_t *memory;
	int count;

	CU_ASSERT_FATAL(appliance_start(&a, LOOPBACK, "8M", NULL));
	CU_ASSERT_FATAL(appliance_start(&b, LOOPBACK, "8M", NULL));
	snprintf(second, sizeof(second), "appliance=%s", b.address);
	x = client_open(a.address, second, "local=2M", NULL);
	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "both", 12 * MIB, &region) ==
			0);
	CU_ASSERT(appliance_free(&a) + appliance_free(&b) ==
		  (int64_t)(4 * MIB));
	count = extmem_region_list(x, 0, entries, 8);
	CU_ASSERT(count >= 2);
	CU_ASSERT(count > 0 && strcmp(entries[0].appliance, a.address) == 0);
	CU_ASSERT(count > 0 &&
		  strcmp(entries[count - 1].appliance, b.address) == 0);
	CU_ASSERT(region_write(region, 3));
	CU_ASSERT(region_is(region, 0, 12 * MIB, 3));
	/* One call over the seam. */
	CU_ASSERT(extmem_read(region, 8 * MIB - 5000, buffer, 10001) == 0);
	CU_ASSERT(pattern_is(buffer, 8 * MIB - 5000, 10001, 3));
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	CU_ASSERT(pattern_is(memory, 0, 12 * MIB, 3));
	pattern_fill(memory, 0, 12 * MIB, 4);
	CU_ASSERT(extmem_sync(region, 0, 0) == 0);
	CU_ASSERT(region_is(region, 0, 12 * MIB, 4));
	CU_ASSERT(extmem_region_alloc(x, "much", 6 * MIB, &more) == -ENOSPC);
	CU_ASSERT(words_have("extmem_region_alloc"));
	CU_ASSERT(appliance_free(&a) + appliance_free(&b) ==
		  (int64_t)(4 * MIB));
	CU_ASSERT(extmem_region_free(region) == 0);
	CU_ASSERT(appliance_frees(&a, 8 * MIB));
	CU_ASSERT(appliance_frees(&b, 8 * MIB));
	CU_ASSERT_FATAL(extmem_region_alloc(x, "all", 16 * MIB, &more) ==
			0);
	CU_ASSERT(region_is_zero(more, 0, 16 * MIB));
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&a, 8 * MIB));
	CU_ASSERT(appliance_frees(&b, 8 * MIB));
	CU_ASSERT(appliance_stop(&a) == 0);
	CU_ASSERT(appliance_stop(&b) == 0);
}

static void fresh_memory_is_zero_though_another_client_wrote_it_all(void)
{
	extmem *x = client_open(home.address, NULL), *y;
	extmem_region *region;
	uint8_t *memory;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	CU_ASSERT_FATAL(extmem_region_alloc(x, "full", POOL_BYTES, &region) ==
			0);
	CU_ASSERT(region_write(region, 6));
	CU_ASSERT(extmem_close(x) == 0);
	y = client_open(home.address, NULL);
	CU_ASSERT_FATAL(y != NULL);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	CU_ASSERT_FATAL(extmem_region_alloc(y, "fresh", POOL_BYTES, &region) ==
			0);
	CU_ASSERT(region_is_zero(region, 0, POOL_BYTES));
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	CU_ASSERT(all_zero(memory, POOL_BYTES / 4));
	CU_ASSERT(extmem_close(y) == 0);
}

/* --- slabs and objects ------------------------------------------------------------------------- */

/* What must stand still while the client selects by itself. */
static bool nothing_moved(const struct extmem_stats *a,
			  const struct extmem_stats *b)
{
	return a->messages == b->messages && a->reads == b->reads &&
	       a->writes == b->writes && a->pages_read == b->pages_read &&
	       a->pages_written == b->pages_written &&
	       a->bytes_read == b->bytes_read &&
	       a->bytes_written == b->bytes_written &&
	       a->faults == b->faults && a->misses == b->misses;
}

#define ALIVE 1000

static void churn_slabs(extmem_region *region, unsigned count)
{
	static uint64_t offsets[ALIVE];
	uint64_t word = 1;

	for (unsigned i = 0; i < count; i++) {
		unsigned at = i % ALIVE;

		if (i >= ALIVE)
			CU_ASSERT_FATAL(extmem_slab_free(region,
							 offsets[at]) == 0);
		word = word * UINT64_C(6364136223846793005) + 1;
		CU_ASSERT_FATAL(extmem_slab_alloc(region,
						  (word >> 33) % 16384 + 1,
						  &offsets[at]) == 0);
		CU_ASSERT_FATAL(offsets[at] % PAGE == 0);
	}
	for (unsigned at = 0; at < ALIVE; at++)
		CU_ASSERT_FATAL(extmem_slab_free(region, offsets[at]) == 0);
}

static void churn_objects(extmem_region *region, unsigned count)
{
	static uint64_t offsets[ALIVE];
	uint64_t word = 1, size;

	for (unsigned i = 0; i < count; i++) {
		unsigned at = i % ALIVE;

		if (i >= ALIVE)
			CU_ASSERT_FATAL(extmem_object_free(region,
							   offsets[at]) == 0);
		word = word * UINT64_C(6364136223846793005) + 1;
		CU_ASSERT_FATAL(extmem_object_alloc(region,
						    (word >> 33) % 2000 + 1,
						    0, &offsets[at]) == 0);
		CU_ASSERT_FATAL(extmem_object_size(region, offsets[at],
						   &size) == 0);
		CU_ASSERT_FATAL(size >= (word >> 33) % 2000 + 1);
	}
	for (unsigned at = 0; at < ALIVE; at++)
		CU_ASSERT_FATAL(extmem_object_free(region, offsets[at]) == 0);
}

static void selection_is_local(bool mapped)
{
	extmem *x = client_open(home.address, "local=4M", NULL);
	extmem_region *region;
	struct extmem_stats before, after;
	void *memory;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	CU_ASSERT_FATAL(extmem_region_alloc(x, "slabs", 32 * MIB, &region) ==
			0);
	if (mapped) {
		/* Some of it is here and dirty, some far away. */
		CU_ASSERT_FATAL(extmem_map(region, 0, 0, &memory) == 0);
		pattern_fill(memory, 0, 8 * MIB, 1);
		CU_ASSERT(extmem_sync(region, 0, 0) == 0);
	}
	before = client_stats(x);
	churn_slabs(region, 100000);
	after = client_stats(x);
	CU_ASSERT(nothing_moved(&before, &after));
	CU_ASSERT(after.slabs == 0);
	churn_objects(region, 1000000);
	after = client_stats(x);
	CU_ASSERT(nothing_moved(&before, &after));
	CU_ASSERT(after.objects == 0);
	CU_ASSERT(extmem_close(x) == 0);
}

static void a_million_selections_send_nothing_and_touch_nothing(void)
{
	selection_is_local(false);
}

static void a_million_selections_in_a_mapping_send_and_touch_nothing(void)
{
	selection_is_local(true);
}

static void slabs_and_objects_do_not_overlap(void)
{
	extmem *x = client_open(home.address, NULL);
	extmem_region *region;
	uint64_t offsets[300], sizes[300];
	uint8_t *memory;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	CU_ASSERT_FATAL(extmem_region_alloc(x, "mixed", 16 * MIB, &region) ==
			0);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	for (uint64_t i = 0; i < 300; i++) {
		sizes[i] = i * 37 + 1;
		if (i % 3 == 0)
			CU_ASSERT_FATAL(extmem_slab_alloc(region, sizes[i],
							  &offsets[i]) == 0);
		if (i % 3 == 1)
			CU_ASSERT_FATAL(extmem_object_alloc(
						region, sizes[i], 0,
						&offsets[i]) == 0);
		if (i % 3 == 2) {
			CU_ASSERT_FATAL(extmem_object_alloc(
						region, sizes[i], 4096,
						&offsets[i]) == 0);
			CU_ASSERT(offsets[i] % 4096 == 0);
		}
		CU_ASSERT(offsets[i] % 16 == 0);
		pattern_fill(memory + offsets[i], 0, sizes[i], i);
	}
	for (uint64_t i = 0; i < 300; i++)
		CU_ASSERT(pattern_is(memory + offsets[i], 0, sizes[i], i));
	CU_ASSERT(client_stats(x).slabs == 100);
	CU_ASSERT(client_stats(x).objects == 200);
	/* One kind is not freed as the other. */
	CU_ASSERT(extmem_object_free(region, offsets[0]) == -EINVAL);
	CU_ASSERT(extmem_slab_free(region, offsets[1]) == -EINVAL);
	CU_ASSERT(extmem_slab_free(region, offsets[0] + PAGE) == -EINVAL);
	CU_ASSERT(extmem_slab_free(region, offsets[0]) == 0);
	CU_ASSERT(extmem_slab_free(region, offsets[0]) == -EINVAL);
	CU_ASSERT(extmem_close(x) == 0);
}

static void a_slab_that_was_used_reads_as_zero_in_a_mapping(void)
{
	extmem *x = client_open(home.address, "local=1M", NULL);
	extmem_region *region;
	uint64_t offset, again;
	uint8_t *memory;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	CU_ASSERT_FATAL(extmem_region_alloc(x, "reused", 8 * MIB, &region) ==
			0);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	CU_ASSERT_FATAL(extmem_slab_alloc(region, 8 * MIB, &offset) == 0);
	pattern_fill(memory, 0, 8 * MIB, 1);
	CU_ASSERT(extmem_slab_free(region, offset) == 0);
	CU_ASSERT_FATAL(extmem_slab_alloc(region, 8 * MIB, &again) == 0);
	CU_ASSERT(region_is_zero(region, 0, 8 * MIB));
	CU_ASSERT(all_zero(memory, 8 * MIB));
	CU_ASSERT(extmem_close(x) == 0);
}

static void a_slab_that_was_used_before_the_mapping_reads_as_zero_in_it(void)
{
	extmem *x = client_open(home.address, "local=1M", NULL);
	extmem_region *region;
	uint64_t offset, again;
	uint8_t *memory;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	CU_ASSERT_FATAL(extmem_region_alloc(x, "reused", 2 * MIB, &region) ==
			0);
	CU_ASSERT_FATAL(extmem_slab_alloc(region, MIB, &offset) == 0);
	pattern_fill(buffer, 0, MIB, 1);
	CU_ASSERT(extmem_write(region, offset, buffer, MIB) == 0);
	CU_ASSERT(extmem_slab_free(region, offset) == 0);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	CU_ASSERT_FATAL(extmem_slab_alloc(region, MIB, &again) == 0);
	CU_ASSERT(again == offset);
	CU_ASSERT(all_zero(memory + again, MIB));
	CU_ASSERT(extmem_close(x) == 0);
}

static void what_is_not_mapped_is_no_matter_of_pins(void)
{
	extmem *x = client_open(home.address, "local=1M", NULL);
	extmem_region *region;
	void *memory;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "pins", MIB, &region) == 0);
	memory = extmem_region_address(region);
	CU_ASSERT(extmem_pin(x, memory, 64 * 1024, 1) == 64 * 1024);
	CU_ASSERT(extmem_pin(x, NULL, SIZE_MAX / 2, 1) == SIZE_MAX / 2);
	extmem_unpin(x, NULL, SIZE_MAX / 2);
	CU_ASSERT(strcmp(extmem_lost(x), "") == 0);
	CU_ASSERT(extmem_map(region, MIB, 0, &memory) == -ERANGE);
	CU_ASSERT(extmem_close(x) == 0);
}

/* A fixed program, and all that it sends. Whoever does not use what there is for several
 * appliances does not pay for it: a number that rises here has to be explained. */
static void a_client_of_one_appliance_says_exactly_so_much(void)
{
	extmem *x = client_open(home.address, "lanes=1", "local=4M",
				"prefetch=1", NULL);
	struct extmem_stats stats;
	extmem_region *region;
	void *memory;
	int sum = 0;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(x, "counted", MIB, &region),
			      0);
	memset(buffer, 7, MIB);
	CU_ASSERT_EQUAL(extmem_write(region, 0, buffer, MIB), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_map(region, 0, 0, &memory), 0);
	for (uint64_t at = 0; at < MIB; at += PAGE)
		sum += ((volatile uint8_t *)memory)[at];
	CU_ASSERT_EQUAL(sum, 7 * 256);
	CU_ASSERT_EQUAL(extmem_sync(region, 0, 0), 0);
	CU_ASSERT_EQUAL(extmem_unmap(region, 0, 0), 0);
	CU_ASSERT_EQUAL(extmem_region_free(region), 0);
	stats = client_stats(x);
	/* HELLO, PING, TICKET, ALLOC, FREE. */
	CU_ASSERT_EQUAL(stats.messages, 5);
	/* Of half a MiB each. */
	CU_ASSERT_EQUAL(stats.writes, 2);
	CU_ASSERT_EQUAL(stats.bytes_written, MIB);
	CU_ASSERT_EQUAL(stats.reads, 256);
	CU_ASSERT_EQUAL(stats.bytes_read, MIB);
	CU_ASSERT_EQUAL(stats.copies, 0);
	CU_ASSERT_EQUAL(stats.view, 0);
	CU_ASSERT_EQUAL(extmem_close(x), 0);
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { NULL, NULL } };
	static const char *const more[] = { "--lease=600s", NULL };
	static const CU_TestInfo tests[] = {
		XM_TEST(a_region_that_was_freed_is_refused),
		XM_TEST(a_client_of_one_appliance_says_exactly_so_much),
		XM_TEST(a_region_is_taken_listed_and_given_back),
		XM_TEST(what_is_no_lease_of_anybody_ends_nothing),
		XM_TEST(sizes_that_make_no_sense_are_refused),
		XM_TEST(a_name_of_63_bytes_is_the_longest),
		XM_TEST(a_full_pool_says_what_was_asked_and_what_is_free),
		XM_TEST(regions_keep_apart_when_some_are_given_back),
		XM_TEST(a_region_that_grows_and_shrinks_keeps_its_contents),
		XM_TEST(a_mapped_region_that_grows_and_shrinks_keeps_its_contents),
		XM_TEST(a_region_is_split_over_two_appliances),
		XM_TEST(fresh_memory_is_zero_though_another_client_wrote_it_all),
		XM_TEST(a_million_selections_send_nothing_and_touch_nothing),
		XM_TEST(a_million_selections_in_a_mapping_send_and_touch_nothing),
		XM_TEST(slabs_and_objects_do_not_overlap),
		XM_TEST(a_slab_that_was_used_reads_as_zero_in_a_mapping),
		XM_TEST(a_slab_that_was_used_before_the_mapping_reads_as_zero_in_it),
		XM_TEST(what_is_not_mapped_is_no_matter_of_pins),
		CU_TEST_INFO_NULL,
	};
	int rc;

	act_begin(argc, argv, acts);
	if (!appliance_start(&home, LOOPBACK, POOL, more)) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	rc = xm_tests_run("client", tests);
	appliance_stop(&home);
	return rc;
}
