/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the versions of shared regions. */
#include "core/pure/versions.h"

#include <string.h>

#include "common/rand.h"
#include "tests/support/cunit.h"

#define BLOCKS 200
#define FIRST 70 /* of the region, in the arena */
#define PAGES ((FIRST + BLOCKS + 10) * XM_BLOCK_PAGES)

struct sides {
	xm_marks marks[8];
	uint64_t raised[BLOCKS], seen[BLOCKS];
	uint8_t table[BLOCKS * XM_VERSION_SIZE];
	struct xm_versions writer, reader;
};

static struct sides *begin(struct sides *s)
{
	memset(s, 0, sizeof(*s));
	CU_ASSERT_FATAL(xm_marks_size(PAGES) <= sizeof(s->marks));
	s->writer = (struct xm_versions){ FIRST, BLOCKS, s->raised };
	s->reader = (struct xm_versions){ 5, BLOCKS, s->seen };
	return s;
}

static void store(struct sides *s, uint64_t page, uint64_t count)
{
	xm_mark(s->marks, FIRST * XM_BLOCK_PAGES + page, count);
}

/* How many entries were written. */
static uint64_t release(struct sides *s)
{
	uint64_t first, limit;

	if (!xm_versions_raise(&s->writer, s->marks, &first, &limit))
		return 0;
	xm_versions_put(&s->writer, first, limit, s->table + first * XM_VERSION_SIZE);
	return limit - first;
}

/* How many blocks were forgotten, and the first. */
static uint64_t acquire(struct sides *s, uint64_t *ret_first)
{
	uint64_t first = 0, limit, count = 0;

	*ret_first = BLOCKS;
	for (; xm_versions_changed(&s->reader, s->table, &first, &limit); first = limit) {
		*ret_first = xm_min(*ret_first, first);
		count += limit - first;
		xm_versions_see(&s->reader, s->table, first, limit);
	}
	return count;
}

static void a_reader_forgets_what_was_released(void)
{
	struct sides s;
	uint64_t first;

	begin(&s);
	CU_ASSERT_EQUAL(acquire(&s, &first), 0);
	store(&s, 7, 1);
	CU_ASSERT_EQUAL(acquire(&s, &first), 0); /* it was not released */
	store(&s, 600, 1);
	CU_ASSERT_EQUAL(release(&s), 2);
	CU_ASSERT_EQUAL(acquire(&s, &first), 2);
	CU_ASSERT_EQUAL(first, 0);
	CU_ASSERT_EQUAL(acquire(&s, &first), 0);
	CU_ASSERT_EQUAL(release(&s), 0);
	/* Several releases before the next acquire are as one. */
	store(&s, (BLOCKS - 1) * XM_BLOCK_PAGES, 1);
	release(&s);
	store(&s, (BLOCKS - 1) * XM_BLOCK_PAGES, 1);
	CU_ASSERT_EQUAL(release(&s), 1);
	CU_ASSERT_EQUAL(acquire(&s, &first), 1);
	CU_ASSERT_EQUAL(first, BLOCKS - 1);
}

static void others_regions_do_not_count(void)
{
	struct sides s;

	begin(&s);
	xm_mark(s.marks, FIRST * XM_BLOCK_PAGES - 1, 1);
	xm_mark(s.marks, (FIRST + BLOCKS) * XM_BLOCK_PAGES, 1);
	CU_ASSERT_EQUAL(release(&s), 0);
	/* And stay marked. */
	s.writer = (struct xm_versions){ FIRST - 1, BLOCKS, s.raised };
	CU_ASSERT_EQUAL(release(&s), 1);
}

static void what_could_not_be_written_is_released_the_next_time(void)
{
	struct sides s;
	uint64_t first, limit;

	begin(&s);
	store(&s, 3 * XM_BLOCK_PAGES - 1, 2); /* the end of one, and the next */
	CU_ASSERT_TRUE(xm_versions_raise(&s.writer, s.marks, &first, &limit));
	CU_ASSERT_EQUAL(first, 2);
	CU_ASSERT_EQUAL(limit, 4);
	xm_versions_mark_again(&s.writer, s.marks, first, limit);
	CU_ASSERT_EQUAL(release(&s), 2);
	CU_ASSERT_EQUAL(acquire(&s, &first), 2);
}

/* Wherever the new bytes end and the old ones begin. */
static void an_entry_that_is_torn_counts_as_changed(void)
{
	struct xm_rand r;
	struct sides s;

	xm_rand_seed(&r, 3);
	for (int i = 0; i < 20000; i++) {
		uint64_t from = xm_rand_next(&r) >> xm_rand_below(&r, 64);
		uint64_t to = from + 1 + (xm_rand_next(&r) >> (64 - xm_rand_below(&r, 20) - 1));
		unsigned at = (unsigned)xm_rand_below(&r, XM_VERSION_SIZE + 1);
		uint8_t new[XM_VERSION_SIZE];
		uint64_t first = 0, limit;
		bool torn;

		if (from == UINT64_MAX || to == UINT64_MAX || to <= from)
			continue;
		begin(&s);
		s.writer.count = s.reader.count = 1;
		s.raised[0] = from;
		xm_versions_put(&s.writer, 0, 1, s.table);
		xm_versions_see(&s.reader, s.table, 0, 1);
		s.raised[0] = to;
		xm_versions_put(&s.writer, 0, 1, new);
		memcpy(s.table, new, at);
		torn = memcmp(s.table, new, sizeof(new)) != 0;
		if (xm_versions_changed(&s.reader, s.table, &first, &limit))
			xm_versions_see(&s.reader, s.table, 0, 1);
		else
			CU_ASSERT_TRUE(torn); /* it may seem old, but not new */
		/* Once it is written whole it is seen as changed, if it was not before. */
		memcpy(s.table, new, sizeof(new));
		first = 0;
		CU_ASSERT_EQUAL(xm_versions_changed(&s.reader, s.table, &first, &limit),
				torn);
	}
}

/* Law: after an acquire what a reader has of a page is no older than what was released
 * before. The reader keeps copies of pages, one a block. */
static void an_acquire_sees_what_was_released(void)
{
	uint64_t here[BLOCKS] = { 0 }, there[BLOCKS] = { 0 }, released[BLOCKS] = { 0 };
	struct xm_rand r;
	struct sides s;

	begin(&s);
	xm_rand_seed(&r, 4);
	for (uint64_t step = 1; step < 200000; step++) {
		uint64_t b = xm_rand_below(&r, BLOCKS), first = 0, limit;

		switch (xm_rand_below(&r, 8)) {
		case 0:
			release(&s);
			memcpy(released, there, sizeof(there));
			break;
		case 1:
			for (; xm_versions_changed(&s.reader, s.table, &first, &limit);
			     first = limit) {
				memset(here + first, 0, (limit - first) * sizeof(*here));
				xm_versions_see(&s.reader, s.table, first, limit);
			}
			for (b = 0; b < BLOCKS; b++)
				CU_ASSERT_FATAL(here[b] == 0 || here[b] >= released[b]);
			break;
		case 2:
		case 3: /* a read: of what is here, or else there */
			here[b] = here[b] == 0 ? there[b] : here[b];
			break;
		default:
			there[b] = step;
			store(&s, b * XM_BLOCK_PAGES + xm_rand_below(&r, XM_BLOCK_PAGES),
			      1);
		}
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_reader_forgets_what_was_released),
		XM_TEST(others_regions_do_not_count),
		XM_TEST(what_could_not_be_written_is_released_the_next_time),
		XM_TEST(an_entry_that_is_torn_counts_as_changed),
		XM_TEST(an_acquire_sees_what_was_released),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("versions", tests);
}
