/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the order in which a region is cloned. */
#include <stdlib.h>

#include "core/pure/cloning.h"
#include "tests/support/cunit.h"

static struct xm_cloning c;
static void *states;

static void begin(uint64_t count)
{
	free(states);
	states = calloc(1, xm_cloning_memory_size(count));
	xm_cloning_init(&c, 1000, 5000, count, states);
}

static uint32_t next(void)
{
	uint32_t chunk;

	return xm_cloning_next(&c, &chunk) ? chunk : UINT32_MAX;
}

static void chunks_grow_with_the_region_between_64_kib_and_2_mib(void)
{
	static const uint64_t sizes[][3] = { /* pages: region, chunk, last one */
		{ 1, 16, 1 },	      { 16, 16, 16 },	   { 17, 16, 1 },
		{ 1024, 16, 16 },     { 1025, 32, 1 },	   { 32768, 512, 512 },
		{ 262144, 512, 512 }, { 262145, 512, 1 },
	};

	for (size_t i = 0; i < XM_COUNT(sizes); i++) {
		uint64_t pages = 0, count = 0;

		begin(sizes[i][0]);
		CU_ASSERT_EQUAL(c.chunk, sizes[i][1]);
		for (uint32_t k = 0; k < c.chunks; k++) {
			CU_ASSERT_EQUAL(xm_cloning_chunk(&c, k, &count), pages);
			pages += count;
		}
		CU_ASSERT_EQUAL(count, sizes[i][2]);
		CU_ASSERT_EQUAL(pages, sizes[i][0]);
	}
}

static void each_chunk_is_copied_once_in_order(void)
{
	begin(100);
	for (uint32_t k = 0; k < 7; k++)
		CU_ASSERT_EQUAL(next(), k);
	CU_ASSERT_EQUAL(next(), UINT32_MAX);
	CU_ASSERT_EQUAL(c.left, 7);
	for (uint32_t k = 7; k-- > 0;)
		xm_cloning_done(&c, k);
	CU_ASSERT_EQUAL(c.left, 0);
	CU_ASSERT_EQUAL(next(), UINT32_MAX);
}

static void what_is_waited_for_goes_ahead(void)
{
	begin(100);
	CU_ASSERT_EQUAL(next(), 0);
	CU_ASSERT_TRUE(xm_cloning_wants(&c, 1000 + 70)); /* of the region */
	CU_ASSERT_EQUAL(next(), 4);
	CU_ASSERT_TRUE(xm_cloning_wants(&c, 5000 + 99)); /* of its clone */
	CU_ASSERT_EQUAL(next(), 6);
	/* It is on its way already. */
	CU_ASSERT_TRUE(xm_cloning_wants(&c, 1000 + 70));
	CU_ASSERT_EQUAL(next(), 1);
	CU_ASSERT_FALSE(xm_cloning_wants(&c, 999));
	CU_ASSERT_FALSE(xm_cloning_wants(&c, 1100));
	CU_ASSERT_FALSE(xm_cloning_wants(&c, 5100));
	CU_ASSERT_EQUAL(next(), 2);
	CU_ASSERT_EQUAL(next(), 3);
	CU_ASSERT_EQUAL(next(), 5);
	CU_ASSERT_EQUAL(next(), UINT32_MAX);
}

#define MOST XM_SECOND

/* The owner looks every 10 ms. When has it been told to give up? */
static uint64_t stuck_after(uint64_t from_ns, uint64_t until_ns)
{
	for (uint64_t now = from_ns; now <= until_ns; now += 10 * XM_MS) {
		if (xm_cloning_is_stuck(&c, now, MOST))
			return now - from_ns;
	}
	return XM_NEVER;
}

static void what_gets_nowhere_is_given_up(void)
{
	begin(100);
	CU_ASSERT_EQUAL(stuck_after(5 * XM_SECOND, 7 * XM_SECOND), MOST);
	/* Each chunk counts. */
	begin(100);
	for (uint64_t at = 5; at < 12; at++) {
		uint64_t from = at * XM_SECOND;

		CU_ASSERT_EQUAL(stuck_after(from, from + XM_SECOND - 20 * XM_MS),
				XM_NEVER);
		xm_cloning_done(&c, next());
	}
	/* Who was stopped for an hour has not waited for an hour. */
	begin(100);
	CU_ASSERT_EQUAL(stuck_after(5 * XM_SECOND, 5 * XM_SECOND), XM_NEVER);
	CU_ASSERT_EQUAL(stuck_after(3600 * XM_SECOND, 3601 * XM_SECOND - 200 * XM_MS),
			XM_NEVER);
}

int main(void)
{
	CU_TestInfo tests[] = {
		XM_TEST(chunks_grow_with_the_region_between_64_kib_and_2_mib),
		XM_TEST(each_chunk_is_copied_once_in_order),
		XM_TEST(what_is_waited_for_goes_ahead),
		XM_TEST(what_gets_nowhere_is_given_up),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("cloning", tests);
}
