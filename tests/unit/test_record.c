/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of recordings: they stay within their room and remain a sample of places; what is
 * foreseen from one is what the pager does; call sites and their picture are whole.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "advise/foresee.h"
#include "advise/sites.h"
#include "common/rand.h"
#include "tests/support/cunit.h"
#include "tests/unit/touches.h"

#define BASE (UINT64_C(0x7e0000000000))

static struct xm_record *begin(uint64_t room)
{
	struct xm_record *r = calloc(1, xm_record_size(room));

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	xm_record_begin(r, xm_record_size(room));
	CU_ASSERT_EQUAL(r->room, room);
	return r;
}

static void touches_come_back_in_their_order(void)
{
	struct xm_record *r = begin(100);
	struct recording read;

	xm_record_touch(r, BASE + 5 * XM_PAGE + 17, false, 0);
	xm_record_touch(r, BASE + 600 * XM_PAGE, true, 0);
	/* Far away, and with a hole before it. */
	xm_record_touch(r, BASE + (UINT64_C(1) << 40), false, 0);
	xm_record_fresh(r, BASE + 1, 2000 * XM_PAGE);
	CU_ASSERT_EQUAL_FATAL(recording_open(r, xm_record_size(100), &read), 0);
	CU_ASSERT_EQUAL(read.chunks_count, 3);
	CU_ASSERT_EQUAL(read.touches, 3);
	CU_ASSERT_EQUAL_FATAL(read.count, 5);
	CU_ASSERT_EQUAL(read.list[0].page, 5);
	CU_ASSERT_EQUAL(read.list[0].kind, XM_RECORD_READ);
	CU_ASSERT_EQUAL(read.list[1].page, 600);
	CU_ASSERT_EQUAL(read.list[1].kind, XM_RECORD_WRITE);
	CU_ASSERT_EQUAL(read.list[2].page, 2 * XM_RECORD_CHUNK);
	/* Whole pages only, in the chunks that were touched. */
	CU_ASSERT_EQUAL(read.list[3].page, 1);
	CU_ASSERT_EQUAL(read.list[3].value, XM_RECORD_CHUNK - 1);
	CU_ASSERT_EQUAL(read.list[4].page, XM_RECORD_CHUNK);
	CU_ASSERT_EQUAL(read.list[4].value, XM_RECORD_CHUNK);
	recording_close(&read);
	free(r);
}

static void what_is_no_recording_is_refused(void)
{
	struct xm_record *r = begin(10);
	struct recording read;
	uint64_t size = xm_record_size(10);

	CU_ASSERT_EQUAL(recording_open(r, 100, &read), -EINVAL);
	xm_record_touch(r, BASE, false, 0);
	r->touches[0].value = XM_RECORD_STACKS;
	CU_ASSERT_EQUAL(recording_open(r, size, &read), -EINVAL);
	r->touches[0].value = 0;
	r->count = 11;
	CU_ASSERT_EQUAL(recording_open(r, size, &read), -EINVAL);
	r->count = 1;
	r->stacks[7].depth = XM_RECORD_DEPTH + 1;
	CU_ASSERT_EQUAL(recording_open(r, size, &read), -EINVAL);
	r->stacks[7].depth = 0;
	r->magic++;
	CU_ASSERT_EQUAL(recording_open(r, size, &read), -EINVAL);
	free(r);
}

/* Of a place that is kept each touch is there, and of others none. */
static void a_recording_without_room_is_a_sample_of_places(void)
{
	enum { CHUNKS = 256, TOUCHES = 40000 };
	static uint32_t made[CHUNKS], found[CHUNKS];
	struct xm_record *r = begin(4000);
	struct xm_rand rand;
	uint32_t kept = 0;

	xm_rand_seed(&rand, 1);
	xm_record_touch(r, BASE, false, 0);
	for (unsigned i = 0; i < TOUCHES; i++) {
		uint64_t page = xm_rand_below(&rand, CHUNKS * XM_RECORD_CHUNK);

		made[page / XM_RECORD_CHUNK]++;
		xm_record_touch(r, BASE + page * XM_PAGE, false, 0);
	}
	CU_ASSERT_EQUAL(r->seen, TOUCHES + 1);
	CU_ASSERT_FALSE(r->full);
	CU_ASSERT_TRUE(r->count <= r->room);
	CU_ASSERT_TRUE(r->halvings >= 3 && r->halvings <= 5);
	for (uint64_t i = 0; i < r->count; i++)
		found[(r->touches[i].page - (BASE - r->base) / XM_PAGE) /
		      XM_RECORD_CHUNK]++;
	found[0] -= found[0] > 0;
	for (unsigned i = 0; i < CHUNKS; i++) {
		CU_ASSERT_TRUE(found[i] == 0 || found[i] == made[i]);
		kept += found[i] > 0;
	}
	CU_ASSERT_TRUE(kept << r->halvings >= CHUNKS / 2);
	CU_ASSERT_TRUE(kept << r->halvings <= CHUNKS * 2);
	free(r);
}

/* It cannot be halved for ever: the rest is left out, and said. */
static void one_place_alone_fills_the_room(void)
{
	struct xm_record *r = begin(50);

	for (unsigned i = 0; i < 5000; i++)
		xm_record_touch(r, BASE + i % 8 * XM_PAGE, true, 0);
	CU_ASSERT_TRUE(r->count <= r->room);
	CU_ASSERT_TRUE(r->halvings <= XM_RECORD_HALVINGS_MAX);
	free(r);
}

static void stacks_are_numbered_once_and_have_a_bound(void)
{
	struct xm_record *r = begin(10);
	uint64_t at[XM_RECORD_DEPTH] = { 1, 2, 3 };
	uint32_t one = xm_record_stack(r, at, 3), different = 1, number;

	CU_ASSERT_NOT_EQUAL(one, 0);
	CU_ASSERT_EQUAL(xm_record_stack(r, at, 0), 0);
	CU_ASSERT_EQUAL(xm_record_stack(r, at, 3), one);
	CU_ASSERT_NOT_EQUAL(xm_record_stack(r, at, 2), one);
	for (at[0] = 10; (number = xm_record_stack(r, at, 1)) != 0; at[0]++)
		different++;
	CU_ASSERT_TRUE(different > XM_RECORD_STACKS / 2);
	CU_ASSERT_TRUE(different < XM_RECORD_STACKS);
	CU_ASSERT_EQUAL(xm_record_stack(r, (uint64_t[]){ 1, 2, 3 }, 3), one);
	free(r);
}

/* --- what is foreseen --------------------------------------------------------------------- */

enum { CACHE = 2048 };

static void record_list(struct xm_record *r, const struct touches *t)
{
	for (uint32_t page = 0; page < t->pages; page++)
		xm_record_touch(r, BASE + page * XM_PAGE, true, 0);
	for (size_t i = 0; i < t->count; i++)
		xm_record_touch(r, BASE + touch_page(t->list[i]) * XM_PAGE,
				touch_writes(t->list[i]), 0);
}

static uint64_t misses_of(struct xm_record *r, uint64_t room)
{
	const struct replay_link link = foresee_link(10 * XM_US, 1);
	struct recording read;
	struct foreseen f;

	CU_ASSERT_EQUAL_FATAL(recording_open(r, xm_record_size(room), &read), 0);
	CU_ASSERT_PTR_NULL(foresee(&read, CACHE * XM_PAGE, &link, &f, NULL));
	recording_close(&read);
	return f.misses;
}

/* By chunks of 2 MiB it is coarse: these lists have 16 and more. */
static void a_sample_foresees_what_all_touches_do(void)
{
	static void (*const made[])(struct touches *, uint32_t) = {
		touches_random, touches_loop, touches_zipf,
	};

	for (unsigned i = 0; i < XM_COUNT(made); i++) {
		struct xm_record *all, *part;
		uint64_t whole, sampled;
		struct touches t;

		made[i](&t, CACHE);
		all = begin(t.count + t.pages);
		part = begin((t.count + t.pages) * 3 / 4);
		record_list(all, &t);
		record_list(part, &t);
		CU_ASSERT_EQUAL(all->halvings, 0);
		CU_ASSERT_TRUE(part->halvings >= 1);
		whole = misses_of(all, t.count + t.pages);
		sampled = misses_of(part, (t.count + t.pages) * 3 / 4);
		CU_ASSERT_TRUE(whole > 0);
		CU_ASSERT_TRUE(sampled > whole / 2);
		CU_ASSERT_TRUE(sampled < whole * 2);
		touches_close(&t);
		free(all);
		free(part);
	}
}

/* More local memory, fewer misses; none when all fits; what is in order is read ahead. */
static void misses_fall_as_local_memory_rises(void)
{
	const struct replay_link link = foresee_link(10 * XM_US, 1);
	static uint64_t by[XM_RECORD_STACKS];
	struct foreseen few, more, all;
	struct recording read;
	struct xm_record *r;
	struct touches t;
	uint64_t size;

	touches_random(&t, CACHE);
	r = begin(t.count + t.pages);
	size = xm_record_size(t.count + t.pages);
	record_list(r, &t);
	CU_ASSERT_EQUAL_FATAL(recording_open(r, size, &read), 0);
	foresee(&read, CACHE * XM_PAGE, &link, &few, by);
	CU_ASSERT_EQUAL(by[0], few.misses);
	foresee(&read, 2 * CACHE * XM_PAGE, &link, &more, NULL);
	foresee(&read, 6 * CACHE * XM_PAGE, &link, &all, NULL);
	CU_ASSERT_TRUE(few.misses > more.misses);
	CU_ASSERT_TRUE(few.seconds > more.seconds);
	CU_ASSERT_EQUAL(all.misses, 0);
	recording_close(&read);
	touches_close(&t);
	free(r);
}

static void a_scan_is_foreseen_to_be_read_ahead(void)
{
	const struct replay_link link = foresee_link(10 * XM_US, 1);
	struct xm_record *r = begin(40 * CACHE);
	struct foreseen f, mirrored;
	struct recording read;
	struct touches t;

	touches_sequence(&t, CACHE);
	record_list(r, &t);
	r->between_ns = r->seen * 4 * XM_US;
	CU_ASSERT_EQUAL_FATAL(recording_open(r, xm_record_size(40 * CACHE), &read), 0);
	foresee(&read, CACHE * XM_PAGE, &link, &f, NULL);
	CU_ASSERT_TRUE(f.pages_read >= t.count / 2);
	CU_ASSERT_TRUE(f.misses * 8 < f.pages_read);
	foresee(&read, CACHE * XM_PAGE, &(struct replay_link){
		.fault_ns = link.fault_ns, .trip_ns = link.trip_ns,
		.page_ns = link.page_ns, .store_ns = link.store_ns, .copies = 2 },
		&mirrored, NULL);
	CU_ASSERT_TRUE(mirrored.seconds > f.seconds);
	recording_close(&read);
	touches_close(&t);
	free(r);
}

/* --- call sites ------------------------------------------------------------------------------ */

static void sites_are_merged_by_name_and_drawn_whole(void)
{
	struct xm_record *r = begin(10);
	static uint64_t by[XM_RECORD_STACKS];
	const struct site *most[2];
	struct recording read;
	struct sites sites;
	char *text = NULL;
	size_t size;
	FILE *to;

	xm_record_name(r, 1, "leaf<a&b>");
	xm_record_name(r, 2, "leaf<a&b>");
	xm_record_name(r, 3, "main");
	by[xm_record_stack(r, (uint64_t[]){ 1, 3 }, 2)] = 60;
	by[xm_record_stack(r, (uint64_t[]){ 2, 3 }, 2)] = 10;
	by[xm_record_stack(r, (uint64_t[]){ 0x1234, 3 }, 2)] = 30;
	CU_ASSERT_EQUAL_FATAL(recording_open(r, xm_record_size(10), &read), 0);
	CU_ASSERT_EQUAL_FATAL(sites_open(&read, by, &sites), 0);
	CU_ASSERT_EQUAL(sites.misses, 100);
	CU_ASSERT_EQUAL(sites_most(&sites, most, 2), 2);
	CU_ASSERT_EQUAL(most[0]->misses, 70);
	CU_ASSERT_STRING_EQUAL(most[0]->names[1], "leaf<a&b>");
	CU_ASSERT_STRING_EQUAL(most[1]->names[1], "0x1234");
	to = open_memstream(&text, &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(to);
	sites_flame(&sites, "a & b", to);
	fclose(to);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "main: 100 misses, 100.0 %"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "leaf&lt;a&amp;b&gt;: 70 misses, 70.0 %"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "width=\"1180.0\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "width=\"826.0\""));
	CU_ASSERT_PTR_NULL(strstr(text, "<a&"));
	free(text);
	sites_close(&sites);
	recording_close(&read);
	free(r);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(touches_come_back_in_their_order),
		XM_TEST(what_is_no_recording_is_refused),
		XM_TEST(a_recording_without_room_is_a_sample_of_places),
		XM_TEST(one_place_alone_fills_the_room),
		XM_TEST(stacks_are_numbered_once_and_have_a_bound),
		XM_TEST(a_sample_foresees_what_all_touches_do),
		XM_TEST(misses_fall_as_local_memory_rises),
		XM_TEST(a_scan_is_foreseen_to_be_read_ahead),
		XM_TEST(sites_are_merged_by_name_and_drawn_whole),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("record", tests);
}
