/* SPDX-License-Identifier: BSD-3-Clause */
/* The layout against a plain array of who holds which page. */
#include <errno.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "core/pure/layout.h"
#include "common/rand.h"

enum { PAGES = 300, SEGMENTS = 12 };

static struct xm_segment memory[SEGMENTS];
static struct xm_layout layout;

static int add(uint64_t page, uint64_t count, uint32_t region)
{
	struct xm_segment s = { .page = page, .count = count,
				.region_page = region };

	return xm_layout_add(&layout, &s);
}

static uint32_t region_at(uint64_t page, uint32_t *hint)
{
	const struct xm_segment *s = xm_layout_find(&layout, page, hint);

	return s == NULL ? 0 : s->region_page;
}

static void an_empty_layout_holds_no_page(void)
{
	uint32_t hint = 0;

	xm_layout_init(&layout, memory, SEGMENTS);
	CU_ASSERT_PTR_NULL(xm_layout_find(&layout, 0, &hint));
	CU_ASSERT_PTR_NULL(xm_layout_find(&layout, UINT64_MAX, &hint));
}

static void a_segment_holds_its_first_and_last_page_and_no_other(void)
{
	uint32_t hint = 0;

	xm_layout_init(&layout, memory, SEGMENTS);
	CU_ASSERT_EQUAL(add(10, 5, 1), 0);
	CU_ASSERT_EQUAL(add(15, 5, 2), 0);
	CU_ASSERT_EQUAL(add(5, 2, 3), 0);
	CU_ASSERT_EQUAL(region_at(4, &hint), 0);
	CU_ASSERT_EQUAL(region_at(5, &hint), 3);
	CU_ASSERT_EQUAL(region_at(6, &hint), 3);
	CU_ASSERT_EQUAL(region_at(7, &hint), 0);
	CU_ASSERT_EQUAL(region_at(10, &hint), 1);
	CU_ASSERT_EQUAL(region_at(14, &hint), 1);
	CU_ASSERT_EQUAL(region_at(15, &hint), 2);
	CU_ASSERT_EQUAL(region_at(19, &hint), 2);
	CU_ASSERT_EQUAL(region_at(20, &hint), 0);
}

static void a_hint_from_another_time_does_no_harm(void)
{
	uint32_t hint = 0;

	xm_layout_init(&layout, memory, SEGMENTS);
	add(0, 5, 1);
	add(5, 5, 2);
	CU_ASSERT_EQUAL(region_at(7, &hint), 2);
	xm_layout_remove(&layout, 5);
	CU_ASSERT_EQUAL(region_at(7, &hint), 0);
	xm_layout_remove(&layout, 0);
	CU_ASSERT_EQUAL(region_at(3, &hint), 0);
	add(2, 3, 9);
	hint = UINT32_MAX;
	CU_ASSERT_EQUAL(region_at(3, &hint), 9);
}

static void segments_end_at_their_limit(void)
{
	uint32_t hint = 0;

	xm_layout_init(&layout, memory, SEGMENTS);
	for (uint32_t i = 0; i < SEGMENTS; i++)
		CU_ASSERT_EQUAL(add(i, 1, i + 1), 0);
	CU_ASSERT_EQUAL(add(100, 1, 99), -ENOSPC);
	CU_ASSERT_EQUAL(layout.count, SEGMENTS);
	CU_ASSERT_EQUAL(region_at(100, &hint), 0);
	xm_layout_remove(&layout, 3);
	CU_ASSERT_EQUAL(add(100, 1, 99), 0);
	CU_ASSERT_EQUAL(region_at(100, &hint), 99);
}

static void any_mix_agrees_with_a_plain_array(void)
{
	struct xm_rand rand;

	for (uint64_t seed = 0; seed < 200; seed++) {
		uint32_t plain[PAGES] = { 0 }, number = 0, hint = 0;

		xm_rand_seed(&rand, seed);
		xm_layout_init(&layout, memory, SEGMENTS);
		for (unsigned n = 0; n < 100; n++) {
			uint64_t page = xm_rand_below(&rand, PAGES), end = page;
			uint64_t most = 1 + xm_rand_below(&rand, 60);

			if (plain[page] != 0 && xm_rand_chance(&rand, 500)) {
				uint32_t gone = plain[page];

				while (page > 0 && plain[page - 1] == gone)
					page--;
				xm_layout_remove(&layout, page);
				for (; page < PAGES && plain[page] == gone;
				     page++)
					plain[page] = 0;
			}
			while (end < PAGES && plain[end] == 0 &&
			       end - page < most)
				end++;
			if (end > page && add(page, end - page, ++number) == 0) {
				for (; page < end; page++)
					plain[page] = number;
			}
			for (unsigned k = 0; k < 20; k++) {
				uint64_t at = xm_rand_below(&rand, PAGES);

				CU_ASSERT_EQUAL(region_at(at, &hint),
						plain[at]);
			}
		}
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(an_empty_layout_holds_no_page),
		XM_TEST(a_segment_holds_its_first_and_last_page_and_no_other),
		XM_TEST(a_hint_from_another_time_does_no_harm),
		XM_TEST(segments_end_at_their_limit),
		XM_TEST(any_mix_agrees_with_a_plain_array),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("layout", tests);
}
