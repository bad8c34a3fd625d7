/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The estimate of what more local memory would have saved, against a queue of pages that
 * really has more: pages in turn, at random, by Zipf's law, and a scan beside it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/rand.h"
#include "core/extmem.h"
#include "core/pure/returns.h"
#include "tests/support/cunit.h"

#define PAGES 4096
#define TOUCHES 400000

/* --- a queue of pages ------------------------------------------------------------------ */

struct cache {
	struct xm_returns returns;
	uint32_t left_at[PAGES]; /* 0: never */
	bool here[PAGES];
	uint16_t queue[PAGES];
	uint32_t frames, count, first;
};

static void touch(struct cache *c, uint16_t page)
{
	uint16_t victim;

	if (c->here[page])
		return;
	if (c->left_at[page] != 0) {
		unsigned b = xm_returns_bucket((uint32_t)c->returns.left + 1 -
					       c->left_at[page]);

		c->returns.pages[b]++;
		c->returns.faults[b]++;
	}
	if (c->count == c->frames) {
		victim = c->queue[c->first];
		c->here[victim] = false;
		c->left_at[victim] = (uint32_t)c->returns.left + 1;
		c->returns.left++;
		c->returns.evicted++;
		c->first = (c->first + 1) % c->frames;
		c->count--;
	}
	c->queue[(c->first + c->count++) % c->frames] = page;
	c->here[page] = true;
}

typedef uint16_t (*pattern)(uint32_t i, struct xm_rand *);

static uint64_t run(pattern pages, uint32_t frames, struct xm_returns *ret)
{
	struct cache *c = calloc(1, sizeof(*c));
	struct xm_rand rand;
	uint64_t returns = 0;

	xm_rand_seed(&rand, 7);
	c->frames = frames;
	for (uint32_t i = 0; i < TOUCHES; i++)
		touch(c, pages(i, &rand));
	for (unsigned b = 0; b < XM_RETURNS_BUCKETS; b++)
		returns += c->returns.faults[b];
	if (ret)
		*ret = c->returns;
	free(c);
	return returns;
}

/* --- what programs do -------------------------------------------------------------------- */

static uint16_t in_turn(uint32_t i, struct xm_rand *rand)
{
	(void)rand;
	return i % PAGES;
}

static uint16_t at_random(uint32_t i, struct xm_rand *rand)
{
	(void)i;
	return (uint16_t)xm_rand_below(rand, PAGES);
}

/* As often as the number of the page is small: 1/n. */
static uint16_t zipf(uint32_t i, struct xm_rand *rand)
{
	uint32_t octave = 1u << xm_rand_below(rand, 12);

	(void)i;
	return (uint16_t)(octave + xm_rand_below(rand, octave));
}

static uint16_t random_and_scan(uint32_t i, struct xm_rand *rand)
{
	if (i % 2 != 0)
		return (uint16_t)(PAGES / 2 + i / 2 % (PAGES / 2));
	return (uint16_t)xm_rand_below(rand, PAGES / 2);
}

/* --- tests -------------------------------------------------------------------------------- */

/* For each step, what really remains; `percent` of all that came back may be wrong. */
static void compare(pattern pages, uint32_t frames, unsigned percent)
{
	uint64_t estimate[XM_RETURNS_STEPS] = { 0 };
	struct xm_returns returns;
	uint64_t all = run(pages, frames, &returns);

	xm_returns_project(&returns, frames, estimate);
	CU_ASSERT(estimate[0] == all);
	for (unsigned i = 0; i < XM_RETURNS_STEPS; i++) {
		uint64_t more = xm_returns_step(frames, i), really;

		CU_ASSERT(i == 0 || estimate[i] <= estimate[i - 1]);
		if (more > PAGES)
			break;
		really = run(pages, (uint32_t)more, NULL);
		if ((uint64_t)llabs((long long)(estimate[i] - really)) * 100 >
		    all * percent) {
			CU_FAIL("the estimate is wrong");
			printf("frames %llu: %llu, really %llu of %llu\n",
			       (unsigned long long)more,
			       (unsigned long long)estimate[i],
			       (unsigned long long)really,
			       (unsigned long long)all);
		}
	}
	/* With twice the room for all nothing comes back. */
	for (unsigned i = 0; i < XM_RETURNS_STEPS; i++)
		if (xm_returns_step(frames, i) > 2 * PAGES)
			CU_ASSERT(estimate[i] * 10 <= all);
}

static void pages_in_turn_need_all_of_them(void)
{
	struct xm_returns returns;
	uint64_t estimate[XM_RETURNS_STEPS] = { 0 };

	run(in_turn, PAGES / 4, &returns);
	xm_returns_project(&returns, PAGES / 4, estimate);
	CU_ASSERT(estimate[12] * 100 >= estimate[0] * 95); /* 70 % */
	CU_ASSERT(estimate[18] == 0);			   /* 119 % */
}

static void pages_at_random(void)
{
	compare(at_random, PAGES / 4, 3);
	compare(at_random, PAGES / 2, 3);
	compare(at_random, PAGES / 16, 3);
}

static void a_few_pages_often(void)
{
	compare(zipf, PAGES / 8, 10);
	compare(zipf, PAGES / 32, 10);
}

/* Where most pages come back at one distance, the cliff stands at the right place. */
static void a_scan_beside_random_pages(void)
{
	uint64_t estimate[XM_RETURNS_STEPS] = { 0 }, all;
	struct xm_returns returns;
	unsigned i = 0, really = 0;

	all = run(random_and_scan, PAGES / 4, &returns);
	xm_returns_project(&returns, PAGES / 4, estimate);
	while (estimate[i] * 10 > all)
		i++;
	while (run(random_and_scan,
		   (uint32_t)xm_returns_step(PAGES / 4, really), NULL) * 10 >
	       all)
		really++;
	CU_ASSERT(i <= really + 1 && really <= i + 1);
}

/* Pages that never come back take no room beside those that do. */
static void nothing_comes_back(void)
{
	struct xm_returns returns = { .left = 100000, .evicted = 100000 };
	uint64_t estimate[XM_RETURNS_STEPS] = { 0 };

	xm_returns_project(&returns, 100, estimate);
	for (unsigned i = 0; i < XM_RETURNS_STEPS; i++)
		CU_ASSERT(estimate[i] == 0);
}

static void buckets_follow_each_other(void)
{
	unsigned last = 0;

	for (uint32_t d = 0; d < 100000; d++) {
		unsigned b = xm_returns_bucket(d);

		CU_ASSERT_FATAL(b == last || b == last + 1);
		last = b;
	}
	CU_ASSERT(xm_returns_bucket(UINT32_MAX) == XM_RETURNS_BUCKETS - 1);
	CU_ASSERT(xm_returns_step(1000, 8) == 2000);
	CU_ASSERT(xm_returns_step(1000, 48) == 64000);
}

/* Half of the time is waited, of which a fifth is for new pages. */
static void local_memory_for_a_share_of_the_time(void)
{
	struct extmem_stats s = { .local_limit = 64 << 20,
				  .waited_ns = 50, .returned_ns = 40 };

	for (unsigned i = 0; i < EXTMEM_LOCAL_STEPS; i++)
		s.returned[i] = i < 16 ? 1600 - 100 * i : 0;
	CU_ASSERT(extmem_local_for(&s, 100, 500) == 64 << 20);
	/* 10 of 60 by new pages, and nothing else. */
	CU_ASSERT(extmem_local_for(&s, 100, 167) ==
		  xm_returns_step(64 << 20, 16));
	CU_ASSERT(extmem_local_for(&s, 100, 100) == 0);
	s.waited_ns = 40;
	CU_ASSERT(extmem_local_for(&s, 100, 100) ==
		  xm_returns_step(64 << 20, 14)); /* 5 of 65 */
	CU_ASSERT(extmem_local_for(&s, 0, 100) ==
		  xm_returns_step(64 << 20, 16));
	s.returned[0] = 0;
	CU_ASSERT(extmem_local_for(&s, 100, 100) == 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(buckets_follow_each_other),
		XM_TEST(pages_in_turn_need_all_of_them),
		XM_TEST(pages_at_random),
		XM_TEST(a_few_pages_often),
		XM_TEST(a_scan_beside_random_pages),
		XM_TEST(nothing_comes_back),
		XM_TEST(local_memory_for_a_share_of_the_time),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("returns", tests);
}
