/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions that are copied at their appliances, with real processes: while programs store to
 * them, and while appliances and clients end.
 *
 * The writer's log needs no memory: store number n goes to a word that follows from n, so
 * the greatest number in a copy says which stores it must have, and which not.
 */
#include "tests/support/appliance.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/cunit.h"

#define REGION (32 * MIB)
#define PAGES (REGION / PAGE)
#define SEED 5

struct scene {
	unsigned count;
	struct appliance all[2];
	extmem *x;
};

static uint8_t buffer[REGION];

static struct scene begin_with(unsigned count, const char *memory, const char *more)
{
	struct scene s = { .count = count };
	char texts[2][160];
	const char *settings[6] = { "local=4M", more };

	for (unsigned i = 0; i < count; i++) {
		CU_ASSERT_FATAL(appliance_start(&s.all[i], LOOPBACK, memory, NULL));
		snprintf(texts[i], sizeof(texts[i]), "appliance=%s",
			 s.all[i].address);
		settings[2 + i] = texts[i];
	}
	CU_ASSERT_EQUAL_FATAL(extmem_open(settings, &s.x), 0);
	return s;
}

static void end(struct scene *s)
{
	extmem_close(s->x);
	for (unsigned i = 0; i < s->count; i++)
		appliance_kill(&s->all[i]);
}

static extmem_region *mapped(extmem *x, uint8_t **ret)
{
	extmem_region *region = NULL;
	void *memory = NULL;

	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(x, "first", REGION, &region), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_map(region, 0, 0, &memory), 0);
	*ret = memory;
	return region;
}

static bool is_right(extmem_region *region, uint64_t offset, uint64_t size,
		     uint64_t seed)
{
	return extmem_read(region, offset, buffer, size) == 0 &&
	       pattern_is(buffer, offset, size, seed);
}

static double ms_since(const struct timespec *began)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - began->tv_sec) * 1e3 +
	       (double)(now.tv_nsec - began->tv_nsec) / 1e6;
}

/* --- both sides ----------------------------------------------------------------- */

static void copies(struct scene *s)
{
	extmem_region *first, *second = NULL, *third = NULL;
	uint8_t *memory;
	void *there;

	first = mapped(s->x, &memory);
	/* A quarter is fresh. */
	pattern_fill(memory, 0, REGION * 3 / 4, SEED);
	CU_ASSERT_EQUAL_FATAL(extmem_region_copy(first, "second", &second), 0);
	CU_ASSERT_STRING_EQUAL(extmem_region_name(second), "second");
	CU_ASSERT_EQUAL(extmem_region_size(second), REGION);
	/* At once, the first one from its beginning and the copy from its end. */
	pattern_fill(memory, 0, REGION / 2, SEED + 1);
	CU_ASSERT_EQUAL_FATAL(extmem_map(second, 0, 0, &there), 0);
	memset((uint8_t *)there + REGION / 2, 9, REGION / 4);
	for (uint64_t i = REGION * 3 / 4; i < REGION; i += PAGE)
		CU_ASSERT_EQUAL_FATAL(((uint8_t *)there)[i], 0);
	CU_ASSERT(pattern_is(there, 0, REGION / 2, SEED));
	CU_ASSERT(is_right(first, 0, REGION / 2, SEED + 1));
	CU_ASSERT(is_right(first, REGION / 2, REGION / 4, SEED));
	CU_ASSERT_EQUAL(((uint8_t *)there)[REGION / 2 + 77], 9);
	/* A copy of the copy, which outlives both. */
	CU_ASSERT_EQUAL_FATAL(extmem_region_copy(second, NULL, &third), 0);
	memset(there, 8, REGION);
	CU_ASSERT_EQUAL(extmem_region_free(first), 0);
	CU_ASSERT_EQUAL(extmem_region_free(second), 0);
	CU_ASSERT(is_right(third, 0, REGION / 2, SEED));
	CU_ASSERT_EQUAL(extmem_region_free(third), 0);
}

static void both_sides_can_be_used_at_once(void)
{
	struct scene s = begin_with(1, "128M", "lanes=2");

	copies(&s);
	CU_ASSERT(appliance_frees(&s.all[0], 128 * MIB));
	end(&s);
}

static void each_column_of_a_striped_region_is_copied_where_it_is(void)
{
	struct scene s = begin_with(2, "64M", "strategy=stripe 2 x 64K");

	copies(&s);
	end(&s);
}

static void no_byte_passes_the_client(void)
{
	struct scene s = begin_with(1, "128M", "lanes=1");
	extmem_region *first = NULL, *second = NULL;
	struct extmem_stats before, after;

	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(s.x, "", REGION, &first), 0);
	pattern_fill(buffer, 0, REGION, SEED);
	CU_ASSERT_EQUAL_FATAL(extmem_write(first, 0, buffer, REGION), 0);
	before = client_stats(s.x);
	CU_ASSERT_EQUAL_FATAL(extmem_region_copy(first, "second", &second), 0);
	/* It waits for the rest. */
	CU_ASSERT_EQUAL(extmem_region_free(first), 0);
	after = client_stats(s.x);
	CU_ASSERT_EQUAL(after.bytes_read, before.bytes_read);
	CU_ASSERT_EQUAL(after.bytes_written, before.bytes_written);
	CU_ASSERT(is_right(second, 0, REGION, SEED));
	end(&s);
}

/* --- under a writer ---------------------------------------------------------------- */

struct writer {
	uint64_t *words;
	atomic_bool stop;
	_Atomic uint64_t stored;
	double longest_ms;
};

/* Where store number n goes: a page far from the last one, and one of its words. */
static uint64_t place(uint64_t n)
{
	return n * 1237 % PAGES * (PAGE / 8) + n / PAGES % (PAGE / 8);
}

static void *write_on(void *argument)
{
	struct writer *w = argument;

	for (uint64_t n = 1; !atomic_load(&w->stop); n++) {
		struct timespec began;
		double ms;

		clock_gettime(CLOCK_MONOTONIC, &began);
		w->words[place(n)] = n;
		ms = ms_since(&began);
		w->longest_ms = ms > w->longest_ms ? ms : w->longest_ms;
		atomic_store(&w->stored, n);
	}
	return NULL;
}

/* All stores up to some number between these, and none after it. Returns it. */
static uint64_t moment(extmem_region *copy, uint64_t least, uint64_t most)
{
	const uint64_t *words = (const uint64_t *)(const void *)buffer;
	uint64_t last = 0;

	CU_ASSERT_EQUAL_FATAL(extmem_read(copy, 0, buffer, REGION), 0);
	for (uint64_t i = 0; i < REGION / 8; i++)
		last = words[i] > last ? words[i] : last;
	CU_ASSERT_FATAL(last >= least && last <= most);
	for (uint64_t n = 1; n <= last; n++) {
		/* A word is stored to again after so many. */
		if (n + PAGES * (PAGE / 8) > last)
			CU_ASSERT_EQUAL_FATAL(words[place(n)], n);
	}
	return last;
}

static void a_copy_has_the_stores_of_one_moment(void)
{
	struct scene s = begin_with(1, "128M", "lanes=2");
	struct writer w = { 0 };
	extmem_region *first, *copy = NULL;
	double call_ms = 0;
	pthread_t thread;
	uint8_t *memory;

	first = mapped(s.x, &memory);
	w.words = (uint64_t *)(void *)memory;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_on, &w), 0);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t least, most;
		struct timespec began;
		double ms;

		usleep(50000);
		least = atomic_load(&w.stored);
		clock_gettime(CLOCK_MONOTONIC, &began);
		CU_ASSERT_EQUAL_FATAL(extmem_region_copy(first, "", &copy), 0);
		ms = ms_since(&began);
		call_ms = ms > call_ms ? ms : call_ms;
		most = atomic_load(&w.stored) + 1;
		moment(copy, least, most);
		CU_ASSERT_EQUAL(extmem_region_free(copy), 0);
	}
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	printf("    %llu stores; the longest call %.2f ms, the longest store "
	       "%.2f ms\n", (unsigned long long)atomic_load(&w.stored), call_ms,
	       w.longest_ms);
	moment(first, atomic_load(&w.stored), atomic_load(&w.stored));
	end(&s);
}

/* --- refusals and ends ------------------------------------------------------------- */

static void what_cannot_be_copied_is_said(void)
{
	struct scene s = begin_with(1, "64M", "seal=asked");
	struct extmem_request request = {
		.size = sizeof(request), .region_size = MIB,
		.flags = EXTMEM_SEALED,
	};
	extmem_region *region = NULL, *copy = NULL;
	uint8_t *memory;

	CU_ASSERT_EQUAL_FATAL(extmem_region_request(s.x, &request, &region), 0);
	CU_ASSERT_EQUAL(extmem_region_copy(region, "", &copy), -ENOTSUP);
	CU_ASSERT(words_have("is sealed"));
	extmem_region_free(region);
	CU_ASSERT(appliance_frees(&s.all[0], 64 * MIB)); /* in one piece */
	region = mapped(s.x, &memory);
	memory[0] = 1;
	CU_ASSERT_EQUAL(extmem_pin(s.x, memory, 1, 1), 1);
	CU_ASSERT_EQUAL(extmem_region_copy(region, "", &copy), -EBUSY);
	CU_ASSERT(words_have("is pinned"));
	memory[1] = 2; /* and may be stored to, as may the others */
	memory[REGION / 2] = 2;
	extmem_unpin(s.x, memory, 1);
	CU_ASSERT_EQUAL_FATAL(extmem_region_copy(region, "", &copy), 0);
	CU_ASSERT_EQUAL(extmem_region_copy(region, "", &copy), -ENOSPC);
	CU_ASSERT(words_have("free"));
	memory[0] = 3; /* the region is as it was */
	CU_ASSERT_EQUAL(memory[0], 3);
	end(&s);
}

/* One of a region with copies at two appliances has as many, and is whole if one of these
 * ends, before it is and after; one that is not there any more is not copied. */
static void a_mirrored_region_is_copied(void)
{
	struct scene s = begin_with(2, "128M", "strategy=mirror 2");
	extmem_region *region, *copy = NULL, *late = NULL;
	uint8_t *memory;

	region = mapped(s.x, &memory);
	pattern_fill(memory, 0, REGION, SEED);
	CU_ASSERT_EQUAL_FATAL(extmem_region_copy(region, "", &copy), 0);
	pattern_fill(memory, 0, REGION, SEED + 1);
	CU_ASSERT_EQUAL(extmem_sync(copy, 0, 0), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_copy(region, "", &late), 0);
	appliance_kill(&s.all[0]);
	CU_ASSERT_EQUAL(extmem_read(copy, 0, buffer, REGION), 0);
	CU_ASSERT(pattern_is(buffer, 0, REGION, SEED));
	CU_ASSERT_EQUAL(extmem_read(late, 0, buffer, REGION), 0);
	CU_ASSERT(pattern_is(buffer, 0, REGION, SEED + 1));
	CU_ASSERT(pattern_is(memory, 0, REGION, SEED + 1));
	CU_ASSERT_EQUAL(extmem_write(late, 0, "x", 1), 0);
	CU_ASSERT_EQUAL(memory[0] == 'x', 0);
	extmem_region_free(copy);
	CU_ASSERT_EQUAL(extmem_region_copy(region, "", &copy), -EBUSY);
	CU_ASSERT(words_have("is missing"));
	extmem_region_free(region);
	CU_ASSERT_EQUAL(extmem_region_copy(region, "", &copy), -EINVAL);
	end(&s);
}

static void an_appliance_that_ends_takes_both_and_no_call_hangs(void)
{
	struct scene s = begin_with(1, "128M", "loss_timeout=1s");
	extmem_region *first, *copy = NULL;
	uint8_t *memory;

	first = mapped(s.x, &memory);
	pattern_fill(memory, 0, REGION, SEED);
	CU_ASSERT_EQUAL_FATAL(extmem_region_copy(first, "", &copy), 0);
	appliance_kill(&s.all[0]);
	CU_ASSERT(extmem_read(copy, 0, buffer, REGION) != 0);
	CU_ASSERT(extmem_write(first, 0, buffer, PAGE) != 0);
	extmem_region_free(copy);
	extmem_region_free(first);
	end(&s);
}

/* Its memory can be reached, but it copies nothing: stores do not wait for that for ever. */
static void an_appliance_that_hangs_stops_no_store(void)
{
	struct scene s = begin_with(1, "128M", "timeout=1s");
	extmem_region *first, *copy = NULL;
	uint8_t *memory;

	first = mapped(s.x, &memory);
	pattern_fill(memory, 0, REGION, SEED);
	CU_ASSERT_EQUAL_FATAL(extmem_region_copy(first, "", &copy), 0);
	appliance_signal(&s.all[0], PART_CONTROL, SIGSTOP);
	pattern_fill(memory, 0, REGION, SEED + 1);
	CU_ASSERT(pattern_is(memory, 0, REGION, SEED + 1));
	appliance_signal(&s.all[0], PART_CONTROL, SIGCONT);
	/* What could not be copied is lost to the copy, and nothing of it is newer. */
	for (uint64_t at = 0; at < REGION; at += MIB)
		CU_ASSERT(extmem_read(copy, at, buffer, MIB) != 0 ||
			  pattern_is(buffer, at, MIB, SEED));
	CU_ASSERT(is_right(first, 0, REGION, SEED + 1));
	end(&s);
}

static void a_kept_copy_outlives_its_client(void)
{
	struct scene s = begin_with(1, "128M", "lanes=1");
	const char *settings[] = { "local=4M", NULL, NULL };
	char token[EXTMEM_TOKEN_SIZE], text[160];
	extmem_region *first, *copy = NULL;
	uint8_t *memory;

	first = mapped(s.x, &memory);
	pattern_fill(memory, 0, REGION, SEED);
	CU_ASSERT_EQUAL_FATAL(extmem_region_copy(first, "checkpoint", &copy), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_keep(copy, EXTMEM_FOR_EVER, token), 0);
	pattern_fill(memory, 0, REGION, SEED + 1);
	extmem_close(s.x);
	snprintf(text, sizeof(text), "appliance=%s", s.all[0].address);
	settings[1] = text;
	CU_ASSERT_EQUAL_FATAL(extmem_open(settings, &s.x), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s.x, token, 0, &copy), 0);
	CU_ASSERT_STRING_EQUAL(extmem_region_name(copy), "checkpoint");
	CU_ASSERT(is_right(copy, 0, REGION, SEED));
	end(&s);
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { 0 } };
	CU_TestInfo tests[] = {
		XM_TEST(both_sides_can_be_used_at_once),
		XM_TEST(each_column_of_a_striped_region_is_copied_where_it_is),
		XM_TEST(no_byte_passes_the_client),
		XM_TEST(a_copy_has_the_stores_of_one_moment),
		XM_TEST(what_cannot_be_copied_is_said),
		XM_TEST(a_mirrored_region_is_copied),
		XM_TEST(an_appliance_that_ends_takes_both_and_no_call_hangs),
		XM_TEST(an_appliance_that_hangs_stops_no_store),
		XM_TEST(a_kept_copy_outlives_its_client),
		CU_TEST_INFO_NULL,
	};

	act_begin(argc, argv, acts);
	return xm_tests_run("copy", tests);
}
