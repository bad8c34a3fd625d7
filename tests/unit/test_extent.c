/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of common/extent.c, most of them against a plain array that says who
 * has each granule.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "common/extent.h"

#define GRANULE 4096

/* Knuth's MMIX generator: a test's own, so that its story never changes. */
static uint64_t draw(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) +
		 UINT64_C(1442695040888963407);
	return *state >> 33;
}

static void *memory_for(uint32_t ranges_max)
{
	void *memory = malloc(xm_extent_memory_size(ranges_max));

	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	/* It must not matter what the memory held before. */
	memset(memory, 0xa5, xm_extent_memory_size(ranges_max));
	return memory;
}

static void the_lowest_place_is_taken_first(void)
{
	void *memory = memory_for(8);
	struct xm_extent x;
	uint64_t at = 99;

	xm_extent_init(&x, 16 * GRANULE, GRANULE, 8, memory);
	CU_ASSERT_EQUAL(xm_extent_take(&x, 1, 0, &at), 0);
	CU_ASSERT_EQUAL(at, 0);
	CU_ASSERT_EQUAL(xm_extent_take(&x, 2 * GRANULE, 0, &at), 0);
	CU_ASSERT_EQUAL(at, GRANULE);
	CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE, 0, &at), 0);
	CU_ASSERT_EQUAL(at, 3 * GRANULE);
	CU_ASSERT_EQUAL(xm_extent_give(&x, GRANULE, &at), 0);
	CU_ASSERT_EQUAL(at, 2 * GRANULE);
	CU_ASSERT_EQUAL(xm_extent_take(&x, 3 * GRANULE, 0, &at), 0);
	CU_ASSERT_EQUAL(at, 4 * GRANULE);
	CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE + 1, 0, &at), 0);
	CU_ASSERT_EQUAL(at, GRANULE);
	CU_ASSERT_EQUAL(x.free, 9 * GRANULE);
	CU_ASSERT_EQUAL(xm_extent_free_run(&x), 9 * GRANULE);
	xm_extent_check(&x);
	free(memory);
}

static void neighbours_that_are_free_become_one(void)
{
	void *memory = memory_for(8);
	struct xm_extent x;
	uint64_t at[8], whole;
	int order[] = { 1, 3, 2, 7, 0, 5, 6, 4 };

	xm_extent_init(&x, 8 * GRANULE, GRANULE, 8, memory);
	for (int i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE, 0, &at[i]), 0);
	CU_ASSERT_EQUAL(xm_extent_free_run(&x), 0);
	for (int i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(xm_extent_give(&x, at[order[i]], NULL), 0);
		xm_extent_check(&x);
	}
	CU_ASSERT_EQUAL(xm_extent_free_run(&x), 8 * GRANULE);
	CU_ASSERT_EQUAL(xm_extent_take(&x, 8 * GRANULE, 0, &whole), 0);
	CU_ASSERT_EQUAL(whole, 0);
	free(memory);
}

static void a_range_beyond_the_last_node_is_refused(void)
{
	void *memory = memory_for(3);
	struct xm_extent x;
	uint64_t at = 7, none = 7;

	xm_extent_init(&x, 64 * GRANULE, GRANULE, 3, memory);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(
			xm_extent_take(&x, GRANULE, 8 * GRANULE, &at), 0);
	CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE, 0, &none), -ENOSPC);
	CU_ASSERT_EQUAL(none, 7);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, GRANULE, GRANULE), -ENOSPC);
	CU_ASSERT_EQUAL(xm_extent_resize(&x, at, 4 * GRANULE), 0);
	CU_ASSERT_EQUAL(xm_extent_split(&x, at, at + GRANULE), -ENOSPC);
	CU_ASSERT_EQUAL(xm_extent_give(&x, 0, NULL), 0);
	CU_ASSERT_EQUAL(xm_extent_split(&x, at, at + GRANULE), 0);
	CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE, 0, &at), -ENOSPC);
	xm_extent_check(&x);
	free(memory);
}

static void what_cannot_be_is_refused_and_changes_nothing(void)
{
	void *memory = memory_for(4);
	struct xm_extent x;
	struct xm_extent_range range;
	uint64_t at = 7;

	xm_extent_init(&x, 8 * GRANULE, GRANULE, 4, memory);
	CU_ASSERT_EQUAL(xm_extent_take(&x, 0, 0, &at), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_take(&x, UINT64_MAX, 0, &at), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_take(&x, UINT64_MAX - GRANULE, 0, &at),
			-ENOSPC);
	CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE, 3, &at), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE, UINT64_C(1) << 63, &at), 0);
	CU_ASSERT_EQUAL(at, 0); /* a multiple of anything */
	CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE, UINT64_C(1) << 63, &at),
			-ENOSPC);
	CU_ASSERT_EQUAL(xm_extent_take(&x, 8 * GRANULE, 0, &at), -ENOSPC);
	CU_ASSERT_EQUAL(xm_extent_take(&x, 7 * GRANULE, 0, &at), 0);
	CU_ASSERT_EQUAL(xm_extent_take(&x, 1, 0, &at), -ENOSPC);
	CU_ASSERT_EQUAL(xm_extent_give(&x, GRANULE - 1, NULL), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_give(&x, 2 * GRANULE, NULL), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_give(&x, 8 * GRANULE, NULL), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_give(&x, UINT64_MAX, NULL), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_split(&x, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_split(&x, 0, GRANULE), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_split(&x, GRANULE, GRANULE + 5), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_resize(&x, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_resize(&x, 0, UINT64_MAX), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_resize(&x, 0, 2 * GRANULE), -ENOSPC);
	CU_ASSERT_EQUAL(xm_extent_give(&x, 0, NULL), 0);
	CU_ASSERT_EQUAL(xm_extent_give(&x, 0, NULL), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_find(&x, 0, &range), -ENOENT);
	CU_ASSERT_EQUAL(xm_extent_find(&x, 8 * GRANULE, &range), -ENOENT);
	xm_extent_check(&x);
	free(memory);
}

static void an_aligned_place_is_found_even_when_only_luck_offers_it(void)
{
	void *memory = memory_for(16);
	struct xm_extent x;
	uint64_t at = 0;

	/* Free: granules 1, 3, 4, 9: only 4 is a multiple of four. */
	xm_extent_init(&x, 16 * GRANULE, GRANULE, 16, memory);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, 0, GRANULE), 0);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, 2 * GRANULE, GRANULE), 0);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, 5 * GRANULE, 4 * GRANULE), 0);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, 10 * GRANULE, 6 * GRANULE), 0);
	CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE, 4 * GRANULE, &at), 0);
	CU_ASSERT_EQUAL(at, 4 * GRANULE);
	CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE, 4 * GRANULE, &at), -ENOSPC);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, 2 * GRANULE, 2 * GRANULE),
			-EEXIST);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, 3 * GRANULE, 2 * GRANULE),
			-EEXIST);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, 3 * GRANULE, 0), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, 3, GRANULE), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, 16 * GRANULE, GRANULE), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, 3 * GRANULE, GRANULE), 0);
	xm_extent_check(&x);
	free(memory);
}

static void a_range_is_split_and_each_half_lives_alone(void)
{
	void *memory = memory_for(4);
	struct xm_extent x;
	struct xm_extent_range range;
	uint64_t at, size;

	xm_extent_init(&x, 8 * GRANULE, GRANULE, 4, memory);
	CU_ASSERT_EQUAL(xm_extent_take(&x, 6 * GRANULE, 0, &at), 0);
	CU_ASSERT_EQUAL(xm_extent_split(&x, at, 2 * GRANULE), 0);
	CU_ASSERT_EQUAL(x.taken, 2);
	CU_ASSERT_EQUAL(xm_extent_find(&x, 3 * GRANULE + 7, &range), 0);
	CU_ASSERT_EQUAL(range.offset, 2 * GRANULE);
	CU_ASSERT_EQUAL(range.size, 4 * GRANULE);
	CU_ASSERT_EQUAL(xm_extent_give(&x, 0, &size), 0);
	CU_ASSERT_EQUAL(size, 2 * GRANULE);
	CU_ASSERT_EQUAL(xm_extent_give(&x, 2 * GRANULE, &size), 0);
	CU_ASSERT_EQUAL(size, 4 * GRANULE);
	CU_ASSERT_EQUAL(xm_extent_free_run(&x), 8 * GRANULE);
	xm_extent_check(&x);
	free(memory);
}

static void a_range_grows_into_what_is_free_behind_it_and_no_further(void)
{
	void *memory = memory_for(4);
	struct xm_extent x;

	xm_extent_init(&x, 8 * GRANULE, GRANULE, 4, memory);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, 0, 2 * GRANULE), 0);
	CU_ASSERT_EQUAL(xm_extent_take_at(&x, 5 * GRANULE, GRANULE), 0);
	CU_ASSERT_EQUAL(xm_extent_resize(&x, 0, 4 * GRANULE), 0);
	xm_extent_check(&x);
	CU_ASSERT_EQUAL(xm_extent_resize(&x, 0, 6 * GRANULE), -ENOSPC);
	CU_ASSERT_EQUAL(xm_extent_resize(&x, 0, 4 * GRANULE + 1), 0);
	xm_extent_check(&x);
	CU_ASSERT_EQUAL(xm_extent_resize(&x, 0, GRANULE), 0);
	xm_extent_check(&x);
	CU_ASSERT_EQUAL(xm_extent_free_run(&x), 4 * GRANULE);
	CU_ASSERT_EQUAL(xm_extent_resize(&x, 5 * GRANULE, 3 * GRANULE), 0);
	CU_ASSERT_EQUAL(xm_extent_resize(&x, 5 * GRANULE, 4 * GRANULE),
			-ENOSPC);
	xm_extent_check(&x);
	free(memory);
}

static void the_span_grows_and_shrinks_but_cuts_nothing(void)
{
	void *memory = memory_for(4);
	struct xm_extent x;
	uint64_t at;

	xm_extent_init(&x, 0, GRANULE, 4, memory);
	CU_ASSERT_EQUAL(xm_extent_free_run(&x), 0);
	CU_ASSERT_EQUAL(xm_extent_take(&x, 1, 0, &at), -ENOSPC);
	CU_ASSERT_EQUAL(xm_extent_set_size(&x, 4 * GRANULE), 0);
	CU_ASSERT_EQUAL(xm_extent_take(&x, 4 * GRANULE, 0, &at), 0);
	CU_ASSERT_EQUAL(xm_extent_set_size(&x, 6 * GRANULE), 0);
	CU_ASSERT_EQUAL(xm_extent_set_size(&x, 8 * GRANULE), 0);
	xm_extent_check(&x);
	CU_ASSERT_EQUAL(xm_extent_free_run(&x), 4 * GRANULE);
	CU_ASSERT_EQUAL(xm_extent_set_size(&x, 3 * GRANULE), -EBUSY);
	CU_ASSERT_EQUAL(xm_extent_set_size(&x, 3), -EINVAL);
	CU_ASSERT_EQUAL(xm_extent_set_size(&x, 4 * GRANULE), 0);
	CU_ASSERT_EQUAL(xm_extent_set_size(&x, 0), -EBUSY);
	CU_ASSERT_EQUAL(xm_extent_give(&x, 0, NULL), 0);
	CU_ASSERT_EQUAL(xm_extent_set_size(&x, 0), 0);
	CU_ASSERT_EQUAL(xm_extent_set_size(&x, GRANULE), 0);
	xm_extent_check(&x);
	free(memory);
}

static void a_span_as_large_as_can_be_addressed_works(void)
{
	void *memory = memory_for(4);
	uint64_t size = UINT64_MAX & ~(uint64_t)(GRANULE - 1), at, huge;
	struct xm_extent x;

	xm_extent_init(&x, size, GRANULE, 4, memory);
	huge = UINT64_C(1) << 63;
	CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE, huge, &at), 0);
	CU_ASSERT_EQUAL(at, 0);
	CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE, huge, &at), 0);
	CU_ASSERT_EQUAL(at, huge);
	CU_ASSERT_EQUAL(xm_extent_take(&x, GRANULE, huge, &at), -ENOSPC);
	xm_extent_check(&x);
	free(memory);
}

/* --- the model ------------------------------------------------------------ */

#define MODEL_MAX 512 /* granules */

struct model {
	uint32_t owner[MODEL_MAX]; /* 0: free; else the range's number */
	uint32_t granules, ranges, ranges_max, next;
};

static bool model_is(const struct model *m, uint32_t at, uint32_t count,
		     uint32_t owner)
{
	if (at + count > m->granules)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (m->owner[at + i] != owner)
			return false;
	return true;
}

static bool model_fits(const struct model *m, uint32_t count,
		       uint32_t alignment)
{
	for (uint32_t at = 0; at < m->granules; at += alignment)
		if (model_is(m, at, count, 0))
			return true;
	return false;
}

static bool model_begins(const struct model *m, uint32_t at)
{
	return at < m->granules && m->owner[at] != 0 &&
	       (at == 0 || m->owner[at - 1] != m->owner[at]);
}

static uint32_t model_count(const struct model *m, uint32_t at)
{
	uint32_t end = at;

	while (end < m->granules && m->owner[end] == m->owner[at])
		end++;
	return end - at;
}

static void model_set(struct model *m, uint32_t at, uint32_t count,
		      uint32_t owner)
{
	for (uint32_t i = 0; i < count; i++)
		m->owner[at + i] = owner;
}

static void step_take(struct xm_extent *x, struct model *m, uint64_t *seed)
{
	uint32_t count = 1 + (uint32_t)(draw(seed) % 12);
	uint32_t alignment = UINT32_C(1) << draw(seed) % 5;
	uint64_t at = 0;
	int r = xm_extent_take(x, (uint64_t)count * GRANULE - draw(seed) % 9,
			       (uint64_t)alignment * GRANULE, &at);

	if (r < 0) {
		CU_ASSERT_EQUAL(r, -ENOSPC);
		CU_ASSERT(m->ranges == m->ranges_max ||
			  !model_fits(m, count, alignment));
		return;
	}
	at /= GRANULE;
	CU_ASSERT(at % alignment == 0 && model_is(m, (uint32_t)at, count, 0));
	CU_ASSERT(m->ranges < m->ranges_max);
	if (alignment == 1)
		for (uint32_t low = 0; low < at; low++)
			CU_ASSERT_FALSE(model_is(m, low, count, 0));
	model_set(m, (uint32_t)at, count, m->next++);
	m->ranges++;
}

static void step_give(struct xm_extent *x, struct model *m, uint64_t *seed)
{
	uint32_t at = (uint32_t)(draw(seed) % (m->granules + 1));
	bool begins = model_begins(m, at);
	uint64_t size = 0;
	int r = xm_extent_give(x, (uint64_t)at * GRANULE, &size);

	CU_ASSERT_EQUAL(r, begins ? 0 : -EINVAL);
	if (r == 0) {
		uint32_t count = model_count(m, at);

		CU_ASSERT_EQUAL(size, (uint64_t)count * GRANULE);
		model_set(m, at, count, 0);
		m->ranges--;
	}
}

static void step_split(struct xm_extent *x, struct model *m, uint64_t *seed)
{
	uint32_t at = (uint32_t)(draw(seed) % m->granules);
	uint32_t cut = at + (uint32_t)(draw(seed) % 6);
	bool right = model_begins(m, at) && cut > at &&
		     cut - at < model_count(m, at);
	int r = xm_extent_split(x, (uint64_t)at * GRANULE,
				(uint64_t)cut * GRANULE);

	CU_ASSERT_EQUAL(r, !right			    ? -EINVAL
			   : m->ranges == m->ranges_max ? -ENOSPC
							    : 0);
	if (r == 0) {
		model_set(m, cut, model_count(m, at) - (cut - at), m->next++);
		m->ranges++;
	}
}

static void step_resize(struct xm_extent *x, struct model *m, uint64_t *seed)
{
	uint32_t at = (uint32_t)(draw(seed) % m->granules);
	uint32_t count = 1 + (uint32_t)(draw(seed) % 12), have;
	int r = xm_extent_resize(x, (uint64_t)at * GRANULE,
				 (uint64_t)count * GRANULE);

	if (!model_begins(m, at)) {
		CU_ASSERT_EQUAL(r, -EINVAL);
		return;
	}
	have = model_count(m, at);
	if (count <= have) {
		CU_ASSERT_EQUAL(r, 0);
		model_set(m, at + count, have - count, 0);
	} else if (model_is(m, at + have, count - have, 0)) {
		CU_ASSERT_EQUAL(r, 0);
		model_set(m, at, count, m->owner[at]);
	} else {
		CU_ASSERT_EQUAL(r, -ENOSPC);
	}
}

static void step_set_size(struct xm_extent *x, struct model *m, uint64_t *seed)
{
	uint32_t granules = 1 + (uint32_t)(draw(seed) % MODEL_MAX);
	bool free = granules >= m->granules ||
		    model_is(m, granules, m->granules - granules, 0);
	int r = xm_extent_set_size(x, (uint64_t)granules * GRANULE);

	CU_ASSERT_EQUAL(r, free ? 0 : -EBUSY);
	if (r == 0)
		m->granules = granules;
}

static void compare(const struct xm_extent *x, const struct model *m)
{
	struct xm_extent_range range, found;
	uint64_t at = 0, free = 0, run = 0;

	while (xm_extent_next(x, at, &range) == 0) {
		uint32_t first = (uint32_t)(range.offset / GRANULE);

		CU_ASSERT_EQUAL(range.offset, at);
		CU_ASSERT_EQUAL(range.taken, m->owner[first] != 0);
		CU_ASSERT_EQUAL(range.size,
				(uint64_t)model_count(m, first) * GRANULE);
		at = range.offset + range.size;
		if (range.taken) {
			CU_ASSERT_EQUAL(xm_extent_find(x, at - 1, &found), 0);
			CU_ASSERT_EQUAL(found.offset, range.offset);
			CU_ASSERT_EQUAL(found.size, range.size);
		} else {
			CU_ASSERT_EQUAL(xm_extent_find(x, at - 1, &found),
					-ENOENT);
			free += range.size;
			run = xm_max(run, range.size);
		}
	}
	CU_ASSERT_EQUAL(at, (uint64_t)m->granules * GRANULE);
	CU_ASSERT_EQUAL(free, x->free);
	CU_ASSERT_EQUAL(run, xm_extent_free_run(x));
	CU_ASSERT_EQUAL(x->taken, m->ranges);
}

static void random_operations_agree_with_a_plain_array(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		uint64_t state = seed;
		struct xm_extent x;
		struct model m;
		void *memory;

		memset(&m, 0, sizeof(m));
		m.granules = MODEL_MAX / 2;
		m.ranges_max = seed % 2 ? 24 : MODEL_MAX;
		m.next = 1;
		memory = memory_for(m.ranges_max);
		xm_extent_init(&x, (uint64_t)m.granules * GRANULE, GRANULE,
			       m.ranges_max, memory);
		for (int i = 0; i < 12000; i++) {
			uint64_t what = draw(&state) % 32;

			if (what < 12)
				step_take(&x, &m, &state);
			else if (what < 26)
				step_give(&x, &m, &state);
			else if (what < 28)
				step_split(&x, &m, &state);
			else if (what < 31)
				step_resize(&x, &m, &state);
			else
				step_set_size(&x, &m, &state);
			xm_extent_check(&x);
			if (i % 64 == 0)
				compare(&x, &m);
		}
		free(memory);
	}
}

static void a_hundred_thousand_ranges_come_and_go(void)
{
	const uint32_t count = 100000;
	void *memory = memory_for(count);
	uint64_t *at = malloc(count * sizeof(*at)), state = 1;
	struct xm_extent x;

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	xm_extent_init(&x, (uint64_t)count * 4 * GRANULE, GRANULE, count,
		       memory);
	for (uint32_t i = 0; i < count; i++)
		if (xm_extent_take(&x, (1 + draw(&state) % 4) * GRANULE, 0,
				   &at[i]) < 0)
			CU_FAIL_FATAL("no room");
	CU_ASSERT_EQUAL(xm_extent_take(&x, 1, 0, &at[0]), -ENOSPC);
	xm_extent_check(&x);
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(draw(&state) % (i + 1));
		uint64_t t = at[i];

		at[i] = at[j];
		at[j] = t;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (xm_extent_give(&x, at[i], NULL) < 0)
			CU_FAIL_FATAL("not there");
		if (i == count / 2)
			xm_extent_check(&x);
	}
	CU_ASSERT_EQUAL(xm_extent_free_run(&x), x.size);
	xm_extent_check(&x);
	free(at);
	free(memory);
}

static void the_same_calls_give_the_same_offsets_in_any_memory(void)
{
	uint64_t sum[2] = { 0, 0 };

	for (int run = 0; run < 2; run++) {
		void *memory = memory_for(64);
		uint64_t state = 42, at;
		struct xm_extent x;

		xm_extent_init(&x, 256 * GRANULE, GRANULE, 64, memory);
		for (int i = 0; i < 5000; i++) {
			at = draw(&state) % 256 * GRANULE;
			if (draw(&state) % 2)
				xm_extent_give(&x, at, NULL);
			else if (!xm_extent_take(&x, 1 + draw(&state) % 20000,
						 8192, &at))
				sum[run] = sum[run] * 31 + at;
		}
		free(memory);
	}
	CU_ASSERT_EQUAL(sum[0], sum[1]);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(the_lowest_place_is_taken_first),
		XM_TEST(neighbours_that_are_free_become_one),
		XM_TEST(a_range_beyond_the_last_node_is_refused),
		XM_TEST(what_cannot_be_is_refused_and_changes_nothing),
		XM_TEST(an_aligned_place_is_found_even_when_only_luck_offers_it),
		XM_TEST(a_range_is_split_and_each_half_lives_alone),
		XM_TEST(a_range_grows_into_what_is_free_behind_it_and_no_further),
		XM_TEST(the_span_grows_and_shrinks_but_cuts_nothing),
		XM_TEST(a_span_as_large_as_can_be_addressed_works),
		XM_TEST(random_operations_agree_with_a_plain_array),
		XM_TEST(a_hundred_thousand_ranges_come_and_go),
		XM_TEST(the_same_calls_give_the_same_offsets_in_any_memory),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("extent", tests);
}
