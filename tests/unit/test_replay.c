/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of the replayer, and of the pager by it: on each list of touches the
 * machine keeps its budget and its invariants, serves every touch, and reads
 * no less than who knows the future and not much more than it should.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/kernel.h"
#include "tests/support/cunit.h"
#include "tests/unit/touches.h"

enum { CACHE = 512 };

static void (*const made[])(struct touches *, uint32_t) = {
	touches_scan, touches_loop,   touches_circle, touches_sequence,
	touches_zipf, touches_random, touches_phases,
};

static const enum xm_reclaim policies[] = { XM_RECLAIM_CLOCK, XM_RECLAIM_2Q };

static struct replay_figures replayed(const struct touches *t, uint32_t local,
				      enum xm_reclaim policy)
{
	struct xm_pager_options o = replay_options(local, t->pages);
	struct replay_figures f = { 0 };
	const char *broken;

	o.reclaim = policy;
	broken = replay_list(t, &o, &replay_loopback, &f);
	if (broken != NULL)
		printf("%s: %s\n", t->name, broken);
	CU_ASSERT_PTR_NULL_FATAL(broken);
	return f;
}

/* The example of Belady, Nelson and Shedler (1969), three frames. */
static void the_bounds_are_those_of_the_textbook(void)
{
	static const uint32_t pages[] = { 1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5 };
	struct touches t;

	touches_open(&t, "textbook", 6);
	for (unsigned i = 0; i < XM_COUNT(pages); i++)
		touches_add(&t, pages[i], false);
	CU_ASSERT_EQUAL(replay_lru(&t, 3), 10);
	CU_ASSERT_EQUAL(replay_best(&t, 3), 7);
	CU_ASSERT_EQUAL(replay_lru(&t, 5), 5);
	CU_ASSERT_EQUAL(replay_best(&t, 5), 5);
	CU_ASSERT_EQUAL(replay_lru(&t, 1), 12);
	CU_ASSERT_EQUAL(replay_best(&t, 1), 12);
	touches_close(&t);
}

static void every_list_is_served_within_the_budget(void)
{
	for (unsigned i = 0; i < XM_COUNT(made) * XM_COUNT(policies); i++) {
		struct replay_figures f;
		struct touches t;

		made[i / XM_COUNT(policies)](&t, CACHE);
		f = replayed(&t, CACHE, policies[i % XM_COUNT(policies)]);
		CU_ASSERT_TRUE(f.hits < t.count);
		CU_ASSERT_TRUE(f.faults >= t.count - f.hits);
		CU_ASSERT_TRUE(f.waits <= f.faults);
		CU_ASSERT_TRUE(f.pages_read >= replay_best(&t, CACHE));
		CU_ASSERT_TRUE(f.wasted <= f.pages_read);
		touches_close(&t);
	}
}

static void a_list_replayed_twice_gives_the_same_figures(void)
{
	struct replay_figures a, b;
	struct touches t;

	touches_zipf(&t, CACHE);
	a = replayed(&t, CACHE, XM_RECLAIM_2Q);
	b = replayed(&t, CACHE, XM_RECLAIM_2Q);
	CU_ASSERT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
	touches_close(&t);
}

static void where_all_is_local_each_page_is_read_once(void)
{
	for (unsigned i = 0; i < XM_COUNT(made); i++) {
		struct xm_pager_options o;
		struct replay_figures f;
		struct touches t;
		uint64_t needed;

		made[i](&t, CACHE);
		o = replay_options(CACHE, t.pages);
		o.frames_max = t.pages;
		CU_ASSERT_PTR_NULL(replay_list(&t, &o, &replay_loopback, &f));
		/* What is called wasted is nearly what is not needed; what was
		 * read ahead at the end is not touched, nor called so yet. */
		needed = replay_lru(&t, t.pages);
		CU_ASSERT_TRUE(f.pages_read >= needed);
		CU_ASSERT_TRUE(f.pages_read - needed <=
			       f.wasted + needed / 8 +
				       o.fetch_buffers * o.window_max);
		CU_ASSERT_TRUE(f.wasted <= f.pages_read - needed + needed / 8);
		CU_ASSERT_EQUAL(f.pages_written, 0);
		touches_close(&t);
	}
}

/* Where each page is as likely as another, no policy is better than another,
 * and nothing can be read ahead. */
static void uniform_touches_cost_what_the_frames_leave(void)
{
	struct xm_pager_options o;
	struct replay_figures f;
	struct touches t;
	uint64_t lru;

	touches_random(&t, CACHE);
	o = replay_options(CACHE, t.pages);
	lru = replay_lru(&t, o.frames_max);
	for (unsigned i = 0; i < XM_COUNT(policies); i++) {
		f = replayed(&t, CACHE, policies[i]);
		CU_ASSERT_TRUE(f.pages_read <= lru + lru / 20);
		CU_ASSERT_TRUE(f.pages_read >= lru - lru / 20);
		CU_ASSERT_TRUE(f.wasted <= f.pages_read / 20);
	}
	touches_close(&t);
}

static void a_sequence_is_read_ahead(void)
{
	struct replay_figures f;
	struct touches t;

	touches_sequence(&t, 8 * CACHE);
	for (unsigned i = 0; i < XM_COUNT(policies); i++) {
		f = replayed(&t, 8 * CACHE, policies[i]);
		CU_ASSERT_TRUE(f.waits <= f.pages_read / 8);
		CU_ASSERT_TRUE(f.wasted <= f.pages_read / 20);
	}
	touches_close(&t);
}

static void what_was_good_is_forgotten_when_it_is_not_any_more(void)
{
	struct replay_figures f;
	struct touches t;
	uint64_t best;

	touches_phases(&t, CACHE);
	best = replay_best(&t, CACHE);
	for (unsigned i = 0; i < XM_COUNT(policies); i++) {
		f = replayed(&t, CACHE, policies[i]);
		CU_ASSERT_TRUE(f.pages_read <= best + best / 4);
	}
	touches_close(&t);
}

/* Better than who forgets what was not touched for longest, and not far from
 * who knows the future; CLOCK reads what is hot again and again. */
static void a_scan_leaves_what_is_hot_alone_under_2q(void)
{
	struct replay_figures clock, twoq;
	struct touches t;
	uint64_t best;

	touches_scan(&t, 8 * CACHE);
	best = replay_best(&t, 8 * CACHE);
	clock = replayed(&t, 8 * CACHE, XM_RECLAIM_CLOCK);
	twoq = replayed(&t, 8 * CACHE, XM_RECLAIM_2Q);
	CU_ASSERT_TRUE(twoq.pages_read <= best + best / 4);
	CU_ASSERT_TRUE(twoq.pages_read < replay_lru(&t, 8 * CACHE));
	CU_ASSERT_TRUE(twoq.pages_read < clock.pages_read * 3 / 4);
	touches_close(&t);
}

static void a_recording_is_what_the_kernel_touches(void)
{
	struct touches a, b;
	struct replay_figures f;
	uint8_t *seen;
	uint32_t pages = 0;

	touches_record(&a, &xm_kernel_sort, UINT64_C(4) << 20, 1);
	touches_record(&b, &xm_kernel_sort, UINT64_C(4) << 20, 1);
	CU_ASSERT_EQUAL(a.pages, 1024);
	CU_ASSERT_EQUAL_FATAL(a.count, b.count);
	CU_ASSERT_EQUAL(memcmp(a.list, b.list, a.count * sizeof(*a.list)), 0);
	seen = calloc(1, a.pages);
	CU_ASSERT_PTR_NOT_NULL_FATAL(seen);
	for (size_t i = 0; i < a.count; i++) {
		/* Each page is read and written; one in the half that is
		 * merged into may be written alone. */
		seen[touch_page(a.list[i])] |= touch_writes(a.list[i]) ? 2 : 1;
	}
	for (uint32_t i = 0; i < a.pages; i++)
		pages += (seen[i] & 2) != 0;
	CU_ASSERT_EQUAL(pages, a.pages);
	for (unsigned i = 0; i < XM_COUNT(policies); i++) {
		f = replayed(&a, CACHE, policies[i]);
		CU_ASSERT_TRUE(f.pages_read >= replay_best(&a, CACHE));
		CU_ASSERT_TRUE(f.pages_written > 0);
	}
	free(seen);
	touches_close(&a);
	touches_close(&b);
}

static uint64_t returned(const struct touches *t, enum xm_reclaim policy,
			 unsigned step, struct replay_figures *ret)
{
	struct xm_pager_options o = replay_options(CACHE, t->pages);

	o.reclaim = policy;
	o.frames_max = (uint32_t)xm_returns_step(o.frames_max, step);
	CU_ASSERT_PTR_NULL_FATAL(replay_list(t, &o, &replay_loopback, ret));
	return ret->returned;
}

/* The frames with which a tenth of what came back would, as foreseen: it is little
 * then, and is not with two thirds of these frames. */
static void project(struct touches *t, enum xm_reclaim policy)
{
	struct replay_figures few, more;
	uint64_t all = returned(t, policy, 0, &few);
	unsigned step = 0;

	CU_ASSERT_EQUAL(few.projected[0], all);
	while (few.projected[step] * 10 > all)
		step++;
	CU_ASSERT(returned(t, policy, step, &more) * 6 <= all);
	if (step >= 5)
		CU_ASSERT(returned(t, policy, step - 5, &more) * 6 > all);
}

static void more_frames_do_what_was_foreseen(void)
{
	for (unsigned i = 0; i < XM_COUNT(made) * XM_COUNT(policies); i++) {
		struct touches t;

		made[i / XM_COUNT(policies)](&t, CACHE);
		project(&t, policies[i % XM_COUNT(policies)]);
		touches_close(&t);
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(the_bounds_are_those_of_the_textbook),
		XM_TEST(every_list_is_served_within_the_budget),
		XM_TEST(a_list_replayed_twice_gives_the_same_figures),
		XM_TEST(where_all_is_local_each_page_is_read_once),
		XM_TEST(uniform_touches_cost_what_the_frames_leave),
		XM_TEST(a_sequence_is_read_ahead),
		XM_TEST(what_was_good_is_forgotten_when_it_is_not_any_more),
		XM_TEST(a_scan_leaves_what_is_hot_alone_under_2q),
		XM_TEST(more_frames_do_what_was_foreseen),
		XM_TEST(a_recording_is_what_the_kernel_touches),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("replay", tests);
}
