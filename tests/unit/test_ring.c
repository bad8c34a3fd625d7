/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring that is read while it is written: common/ring.h. */
#include <stdio.h>
#include <string.h>

#include "common/rand.h"
#include "common/ring.h"
#include "tests/support/cunit.h"

/* A reader of it; before each of its reads the writer may write. */
static struct xm_ring ring;
static struct xm_rand rand_here;
static unsigned writes_max; /* between two reads */
static uint64_t count;

static void write_one(void)
{
	char words[XM_RING_WORDS];

	/* All of an event says its number. */
	snprintf(words, sizeof(words), "%llu and %0100llu", (unsigned long long)count,
		 (unsigned long long)count);
	xm_ring_write(&ring, count, (uint32_t)count, (uint32_t)count, words);
	count++;
}

static int look(void *context, size_t offset, void *ret, size_t size)
{
	(void)context;
	if (writes_max > 0)
		for (uint64_t n = xm_rand_below(&rand_here, writes_max); n > 0; n--)
			write_one();
	CU_ASSERT_FATAL(offset + size <= sizeof(ring));
	memcpy(ret, (const char *)&ring + offset, size);
	return 0;
}

static struct xm_ring_reader begin(unsigned between)
{
	memset(&ring, 0, sizeof(ring));
	xm_rand_seed(&rand_here, 7);
	count = 0;
	writes_max = between;
	return (struct xm_ring_reader){ .read = look };
}

static bool is_whole(const struct xm_ring_event *e, uint64_t n)
{
	char words[XM_RING_WORDS];

	snprintf(words, sizeof(words), "%llu and %0100llu", (unsigned long long)n,
		 (unsigned long long)n);
	return e->time_ns == n && e->subsystem == n && e->level == n &&
	       strcmp(e->words, words) == 0;
}

static void what_is_written_is_read_in_its_order(void)
{
	struct xm_ring_reader reader = begin(0);
	struct xm_ring_event e;

	CU_ASSERT_EQUAL(xm_ring_read(&reader, &e), 0);
	for (uint64_t n = 0; n < 3 * XM_RING_RECORDS; n++) {
		write_one();
		CU_ASSERT_EQUAL(xm_ring_read(&reader, &e), 1);
		CU_ASSERT(is_whole(&e, n));
		CU_ASSERT_EQUAL(xm_ring_read(&reader, &e), 0);
	}
	CU_ASSERT_EQUAL(reader.lost, 0);
}

static void as_many_as_there_is_room_for_are_kept(void)
{
	struct xm_ring_reader reader = begin(0);
	struct xm_ring_event e;

	while (count < XM_RING_RECORDS + 5)
		write_one();
	for (uint64_t n = 5; n < XM_RING_RECORDS + 5; n++)
		CU_ASSERT(xm_ring_read(&reader, &e) == 1 && is_whole(&e, n));
	CU_ASSERT_EQUAL(xm_ring_read(&reader, &e), 0);
	CU_ASSERT_EQUAL(reader.lost, 5);
}

/* However much it writes meanwhile, each event comes whole, once, in order, or counts as
 * lost. */
static void a_writer_that_overtakes_is_seen_never(void)
{
	static const unsigned speeds[] = { 2, 3, 10, XM_RING_RECORDS };

	for (size_t s = 0; s < XM_COUNT(speeds); s++) {
		struct xm_ring_reader reader = begin(speeds[s]);
		struct xm_ring_event e;
		uint64_t got = 0;

		for (int i = 0; i < 100; i++) {
			if (xm_ring_read(&reader, &e) != 1)
				continue;
			got++;
			CU_ASSERT_FATAL(is_whole(&e, reader.next - 1));
			CU_ASSERT_EQUAL_FATAL(got + reader.lost, reader.next);
		}
		writes_max = 0; /* (one that is so fast may be ahead of each read) */
		while (xm_ring_read(&reader, &e) == 1)
			got++;
		CU_ASSERT(got >= XM_RING_RECORDS);
		CU_ASSERT_EQUAL(got + reader.lost, count);
	}
}

/* A writer that was killed in the middle of one, at any byte of it. */
static void a_torn_record_is_left_out(void)
{
	struct xm_ring_record *r = &ring.records[1];
	struct xm_ring_event e;

	for (size_t torn = 0; torn < sizeof(r->event); torn++) {
		struct xm_ring_reader reader = begin(0);

		while (count < XM_RING_RECORDS + 1)
			write_one();
		atomic_store(&r->number, 2 * (uint64_t)(XM_RING_RECORDS + 1) + 1);
		memset(&r->event, 'x', torn);
		for (uint64_t n = 2; n < XM_RING_RECORDS + 1; n++)
			CU_ASSERT_FATAL(xm_ring_read(&reader, &e) == 1 && is_whole(&e, n));
		CU_ASSERT_EQUAL(xm_ring_read(&reader, &e), 0);
		CU_ASSERT_EQUAL(reader.lost, 2);
	}
}

static void what_another_program_wrote_is_not_trusted(void)
{
	struct xm_ring_reader reader = begin(0);
	struct xm_ring_event e;
	char words[2 * XM_RING_WORDS];

	memset(words, '\033', sizeof(words));
	words[sizeof(words) - 1] = '\0';
	xm_ring_write(&ring, 1, 2, 3, words);
	CU_ASSERT_EQUAL(xm_ring_read(&reader, &e), 1);
	CU_ASSERT_EQUAL(strlen(e.words), XM_RING_WORDS - 1);
	CU_ASSERT_EQUAL(strspn(e.words, "?"), XM_RING_WORDS - 1);
	memset(&ring, 0xff, sizeof(ring));
	CU_ASSERT_EQUAL(xm_ring_read(&reader, &e), 0);
	memset(&ring, 0, sizeof(ring)); /* it goes backwards */
	CU_ASSERT_EQUAL(xm_ring_read(&reader, &e), 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(what_is_written_is_read_in_its_order),
		XM_TEST(as_many_as_there_is_room_for_are_kept),
		XM_TEST(a_writer_that_overtakes_is_seen_never),
		XM_TEST(a_torn_record_is_left_out),
		XM_TEST(what_another_program_wrote_is_not_trusted),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("ring", tests);
}
