/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A durable store that is given back damaged: cut off, copied in part, of another version,
 * with files from another time or another store. It is refused in words, or it has every page
 * that was durable; never an older one, never zeros. What a crash leaves is the simulator's
 * (extmem-sim --kind store).
 *
 * XM_STORE_CUTS=1000: at so many places (100).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/store.h"
#include "common/rand.h"
#include "tests/support/cunit.h"

#define PAGES 64
#define BATCH 8
#define SIZE_MAX_OF_FILE (256 * 1024)

struct disk {
	uint8_t bytes[XM_STORE_FILES][SIZE_MAX_OF_FILE];
	uint64_t size[XM_STORE_FILES];
	bool full;
};

static struct disk disk, kept;
static struct xm_store store;
static struct xm_rand r;
static uint8_t pages[PAGES][XM_STORE_BLOCK];
static char words[XM_WORDS_SIZE];
static void *memory;

static const struct xm_store_options options = {
	.pages = PAGES, .slots = 8, .batch_max = BATCH, .journal_size = 160 * 1024,
};

static int disk_read(void *d, enum xm_store_file file, uint64_t offset, void *bytes,
		     size_t size)
{
	const struct disk *from = d;

	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = offset + i < from->size[file]
						? from->bytes[file][offset + i]
						: 0;
	return 0;
}

static int disk_write(void *d, enum xm_store_file file, uint64_t offset,
		      const void *bytes, size_t size)
{
	struct disk *to = d;

	if (to->full)
		return -ENOSPC;
	CU_ASSERT_FATAL(offset + size <= SIZE_MAX_OF_FILE);
	if (to->size[file] < offset + size) {
		memset(to->bytes[file] + to->size[file], 0,
		       offset + size - to->size[file]);
		to->size[file] = offset + size;
	}
	memcpy(to->bytes[file] + offset, bytes, size);
	return 0;
}

static int disk_sync(void *d, enum xm_store_file file)
{
	(void)d;
	(void)file;
	return 0;
}

static uint64_t disk_size(void *d, enum xm_store_file file)
{
	return ((struct disk *)d)->size[file];
}

static uint64_t disk_draw(void *d)
{
	(void)d;
	return xm_rand_next(&r);
}

static const struct xm_disk_ops ops = {
	.read = disk_read, .write = disk_write, .sync = disk_sync,
	.size = disk_size, .draw = disk_draw,
};

static int open_store(void)
{
	int rc;

	words[0] = '\0';
	memset(memory, 0, xm_store_memory_size(&options));
	rc = xm_store_look(&ops, &disk, words);
	/* As the daemon gives each file its room. */
	for (int i = 0; i < XM_STORE_FILES && rc == 0; i++) {
		static const uint64_t room[XM_STORE_FILES] = {
			160 * 1024, PAGES * XM_STORE_BLOCK, 3 * XM_STORE_SECTOR,
			8 * XM_STORE_SECTOR,
		};
		struct disk *d = &disk;

		if (d->size[i] < room[i])
			memset(d->bytes[i] + d->size[i], 0, room[i] - d->size[i]);
		d->size[i] = xm_max(d->size[i], room[i]);
	}
	return rc != 0 ? rc : xm_store_open(&store, &options, &ops, &disk, memory,
					    words);
}

static void write_pages(uint32_t slot, uint64_t first, uint64_t count)
{
	for (uint64_t page = first; page < first + count; page++)
		xm_rand_fill(&r, pages[page], XM_STORE_BLOCK);
	CU_ASSERT_EQUAL(xm_store_put(&store, slot, first, count, pages[first]), 0);
	CU_ASSERT_EQUAL(xm_store_commit(&store), 0);
}

static void keep(uint32_t slot, uint64_t first, uint64_t count)
{
	struct xm_store_entry e = { .offset = first * XM_STORE_BLOCK,
				    .size = count * XM_STORE_BLOCK };

	memset(pages[first], 0, count * XM_STORE_BLOCK);
	CU_ASSERT_EQUAL(xm_store_keep(&store, slot, &e, true), 0);
	CU_ASSERT_EQUAL(xm_store_commit(&store), 0);
}

/* Two extents of many batches, over several generations of the journal. */
static void fill(void)
{
	keep(0, 0, 20);
	keep(3, 32, 32);
	for (unsigned i = 0; i < 40; i++) {
		write_pages(0, xm_rand_below(&r, 17), 1 + xm_rand_below(&r, 3));
		write_pages(3, 32 + xm_rand_below(&r, 28), 1 + xm_rand_below(&r, 4));
	}
	CU_ASSERT(store.counters.generations > 3);
}

static void begin(void)
{
	free(memory);
	memory = calloc(1, xm_store_memory_size(&options));
	memset(&disk, 0, sizeof(disk));
	CU_ASSERT_EQUAL_FATAL(open_store(), 0);
	fill();
	kept = disk;
}

/* True: every page is what was durable last, or the extent says that it is not. */
static bool is_faithful(uint32_t slot, uint64_t first, uint64_t count)
{
	static uint8_t page[XM_STORE_BLOCK];
	struct xm_store_entry e;
	uint64_t bad;

	if (!xm_store_entry(&store, slot, &e))
		return false;
	for (uint64_t i = first; i < first + count; i++) {
		int rc = xm_store_get(&store, slot, i, 1, page, &bad);

		if (rc != -EUCLEAN &&
		    (rc != 0 || memcmp(page, pages[i], XM_STORE_BLOCK) != 0))
			return false;
	}
	return true;
}

static bool is_refused_or_faithful(void)
{
	int rc = open_store();

	if (rc != 0)
		return rc == -EUCLEAN && strlen(words) > 10;
	return is_faithful(0, 0, 20) && is_faithful(3, 32, 32);
}

static void what_is_whole_comes_back(void)
{
	begin();
	CU_ASSERT_EQUAL(open_store(), 0);
	CU_ASSERT(is_faithful(0, 0, 20) && is_faithful(3, 32, 32));
}

/* It is asked twice: the first time may not make it look whole. */
static void what_is_cut_off_is_refused_or_whole(void)
{
	const char *cuts = getenv("XM_STORE_CUTS");
	unsigned refused = 0, count = cuts == NULL ? 100 : (unsigned)atoi(cuts);

	begin();
	for (unsigned i = 0; i < count; i++) {
		int file = (int)xm_rand_below(&r, XM_STORE_FILES);

		disk = kept;
		disk.size[file] = xm_rand_below(&r, disk.size[file]);
		if (!is_refused_or_faithful() || !is_refused_or_faithful()) {
			printf("file %d cut to %llu bytes: %s\n", file,
			       (unsigned long long)kept.size[file], words);
			CU_FAIL("what was cut off is taken for whole");
		}
		refused += words[0] != '\0';
	}
	CU_ASSERT_EQUAL(refused, count);
}

static void sectors_of_zeros_and_flipped_bits_are_found(void)
{
	begin();
	for (unsigned i = 0; i < 300; i++) {
		int file = (int)xm_rand_below(&r, XM_STORE_FILES);
		uint64_t at = xm_rand_below(&r, kept.size[file]);

		disk = kept;
		if (i % 2 == 0)
			memset(disk.bytes[file] + at / XM_STORE_SECTOR *
							  XM_STORE_SECTOR,
			       0, XM_STORE_SECTOR);
		else
			disk.bytes[file][at] ^= (uint8_t)(1 << xm_rand_below(&r, 8));
		if (is_refused_or_faithful())
			continue;
		printf("file %d, byte %llu, %s: %s\n", file, (unsigned long long)at,
		       i % 2 == 0 ? "zeros" : "a bit", words);
		CU_FAIL("what is damaged is taken for whole");
	}
}

static void a_file_of_another_store_is_refused(void)
{
	static struct disk other;

	begin();
	other = kept;
	begin();
	for (int file = 0; file < XM_STORE_FILES; file++) {
		disk = kept;
		memcpy(disk.bytes[file], other.bytes[file], SIZE_MAX_OF_FILE);
		CU_ASSERT(is_refused_or_faithful());
	}
	for (int file = 0; file < XM_STORE_FILES; file++) {
		disk = kept;
		disk.size[file] = 0; /* it was not copied */
		CU_ASSERT_EQUAL(open_store(), -EUCLEAN);
	}
}

static void another_version_is_refused_in_words(void)
{
	begin();
	for (int block = 0; block < 2; block++) {
		struct xm_store_begin b;
		uint8_t *sector = disk.bytes[XM_STORE_JOURNAL] +
				  block * XM_STORE_BLOCK;

		CU_ASSERT_EQUAL(xm_store_begin_decode(sector, &b), 0);
		xm_store_begin_encode_as(&b, XM_STORE_VERSION + 1, sector);
	}
	CU_ASSERT_EQUAL(open_store(), -EPROTONOSUPPORT);
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "another version"));
}

static void a_disk_that_is_full_is_said_and_final(void)
{
	begin();
	disk.full = true;
	CU_ASSERT_EQUAL(xm_store_put(&store, 0, 0, 1, pages[5]), 0);
	CU_ASSERT_EQUAL(xm_store_commit(&store), -ENOSPC);
	disk.full = false;
	CU_ASSERT_EQUAL(xm_store_commit(&store), -ENOSPC);
	CU_ASSERT_EQUAL(open_store(), 0);
	CU_ASSERT(is_faithful(0, 0, 20) && is_faithful(3, 32, 32));
}

int main(void)
{
	CU_TestInfo tests[] = {
		XM_TEST(what_is_whole_comes_back),
		XM_TEST(what_is_cut_off_is_refused_or_whole),
		XM_TEST(sectors_of_zeros_and_flipped_bits_are_found),
		XM_TEST(a_file_of_another_store_is_refused),
		XM_TEST(another_version_is_refused_in_words),
		XM_TEST(a_disk_that_is_full_is_said_and_final),
		CU_TEST_INFO_NULL,
	};
	int status;

	xm_rand_seed(&r, 7);
	status = xm_tests_run("store", tests);
	free(memory);
	return status;
}
