/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of common/slots.h, against an array of truths. */
#include <stdlib.h>
#include <string.h>

#include "common/rand.h"
#include "common/slots.h"
#include "tests/support/cunit.h"

#define MAX 300000 /* four levels */

static void *memory;

static void set_open(struct xm_slots *s, uint32_t max)
{
	memory = malloc(xm_slots_memory_size(max));
	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	memset(memory, 0xa5, xm_slots_memory_size(max));
	xm_slots_init(s, max, memory);
}

static void an_empty_set_has_no_next(void)
{
	struct xm_slots s;

	set_open(&s, 1);
	CU_ASSERT_EQUAL(s.count, 0);
	CU_ASSERT_EQUAL(xm_slots_next(&s, 0), XM_SLOTS_NONE);
	CU_ASSERT_EQUAL(xm_slots_next(&s, UINT64_MAX), XM_SLOTS_NONE);
	free(memory);
}

static void a_full_set_has_each_and_no_more(void)
{
	static const uint32_t sizes[] = { 1, 2, 63, 64, 65, 4095, 4096, 4097,
					  262143, 262144, 262145, MAX };
	struct xm_slots s;

	for (size_t i = 0; i < XM_COUNT(sizes); i++) {
		uint32_t at = 0, count = 0;

		set_open(&s, sizes[i]);
		xm_slots_fill(&s);
		for (; (at = xm_slots_next(&s, at)) != XM_SLOTS_NONE; at++)
			CU_ASSERT_EQUAL_FATAL(at, count++);
		CU_ASSERT_EQUAL(count, sizes[i]);
		CU_ASSERT_EQUAL(s.count, sizes[i]);
		/* The last word of each level is not overfull. */
		for (at = 0; at < sizes[i]; at++)
			xm_slots_remove(&s, at);
		CU_ASSERT_EQUAL(xm_slots_next(&s, 0), XM_SLOTS_NONE);
		CU_ASSERT_EQUAL(s.count, 0);
		free(memory);
	}
}

static void twice_is_once(void)
{
	struct xm_slots s;

	set_open(&s, 100);
	xm_slots_add(&s, 99);
	xm_slots_add(&s, 99);
	CU_ASSERT_EQUAL(s.count, 1);
	CU_ASSERT_EQUAL(xm_slots_next(&s, 0), 99);
	CU_ASSERT_EQUAL(xm_slots_next(&s, 99), 99);
	CU_ASSERT_EQUAL(xm_slots_next(&s, 100), XM_SLOTS_NONE);
	xm_slots_remove(&s, 98);
	xm_slots_remove(&s, 99);
	xm_slots_remove(&s, 99);
	CU_ASSERT_EQUAL(s.count, 0);
	free(memory);
}

static void it_is_as_an_array_of_truths(void)
{
	struct xm_slots s;
	struct xm_rand r;
	bool *model = calloc(MAX, sizeof(*model));
	uint32_t count = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(model);
	xm_rand_seed(&r, 7);
	set_open(&s, MAX);
	for (int i = 0; i < 20000; i++) {
		/* Dense here and there, and mostly empty. */
		uint32_t slot = (uint32_t)xm_rand_below(&r, MAX);
		uint32_t from = (uint32_t)xm_rand_below(&r, MAX);
		uint32_t next;

		if (i % 3 == 0)
			slot = slot / 4096 * 4096 + slot % 70;
		if (i / 5000 % 2 == 0) {
			count += !model[slot];
			model[slot] = true;
			xm_slots_add(&s, slot);
		} else {
			slot = xm_slots_next(&s, from);
			if (slot == XM_SLOTS_NONE)
				continue;
			count--;
			model[slot] = false;
			xm_slots_remove(&s, slot);
		}
		CU_ASSERT_EQUAL_FATAL(s.count, count);
		CU_ASSERT_EQUAL_FATAL(xm_slots_has(&s, slot), model[slot]);
		for (next = from; next < MAX && !model[next]; next++)
			;
		CU_ASSERT_EQUAL_FATAL(xm_slots_next(&s, from),
				      next < MAX ? next : XM_SLOTS_NONE);
	}
	free(model);
	free(memory);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(an_empty_set_has_no_next),
		XM_TEST(a_full_set_has_each_and_no_more),
		XM_TEST(twice_is_once),
		XM_TEST(it_is_as_an_array_of_truths),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("slots", tests);
}
