/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the roll of a shared region's copies. */
#include "core/pure/roll.h"

#include <string.h>

#include "common/rand.h"
#include "tests/support/cunit.h"

#define ALL(tables) ((1u << (tables)) - 1)

/* A writer, and the tables at their appliances. */
struct world {
	uint32_t tables;
	struct xm_caller caller;
	uint8_t bytes[XM_ROLL_TABLES][XM_ROLL_SIZE];
};

static struct world begin(uint32_t tables)
{
	struct world w = { .tables = tables };

	xm_caller_begin(&w.caller, tables);
	return w;
}

/* A roll that names these; `reached` are written to. 0: it is called, and all have it. */
static int call(struct world *w, uint32_t named, uint32_t reached)
{
	struct xm_roll r;

	xm_roll_begin(&r, w->tables);
	r.tables = named;
	if (xm_caller_knows(&w->caller, &r))
		return 0;
	if (!xm_caller_call(&w->caller, &r))
		return -1;
	for (uint32_t t = 0; t < w->tables; t++) {
		if ((named & reached & 1u << t) != 0)
			xm_roll_encode(&r, w->bytes[t]);
	}
	if ((named & ~reached) != 0)
		return -1;
	xm_caller_told(&w->caller, &r);
	return 0;
}

/* The number that a reader of these tables goes by; -1: it must wait. */
static int64_t look(const struct world *w, uint32_t read)
{
	struct xm_roll rolls[XM_ROLL_TABLES];
	uint32_t table, missing;

	for (uint32_t t = 0; t < w->tables; t++)
		CU_ASSERT_FATAL(xm_roll_decode(w->bytes[t], w->tables, &rolls[t]));
	xm_roll_pick(rolls, read, &table, &missing);
	if (missing != 0)
		return -1;
	CU_ASSERT((rolls[table].tables & 1u << table) != 0);
	return (int64_t)rolls[table].number;
}

static void at_first_all_are_right(void)
{
	struct world w = begin(2);
	struct xm_roll r;

	CU_ASSERT_EQUAL(call(&w, ALL(2), 0), 0); /* nothing is to be written */
	CU_ASSERT_EQUAL(look(&w, 3), 0);
	CU_ASSERT_EQUAL(look(&w, 1), -1);
	CU_ASSERT_EQUAL(look(&w, 2), -1);
	CU_ASSERT_EQUAL(look(&w, 0), -1);
	xm_roll_begin(&r, 2);
	CU_ASSERT(xm_roll_has(&r, 0));
	CU_ASSERT(xm_roll_has(&r, XM_ROLL_EXTENTS - 1));
}

static void what_it_has_no_bit_for_is_not_right(void)
{
	struct xm_roll r[2];

	memset(r, 0xff, sizeof(r));
	CU_ASSERT_TRUE(xm_roll_has(&r[0], XM_ROLL_EXTENTS - 1));
	CU_ASSERT_FALSE(xm_roll_has(&r[0], XM_ROLL_EXTENTS));
	CU_ASSERT_FALSE(xm_roll_has(&r[0], UINT32_MAX));
}

static void who_reads_a_table_that_was_left_out_waits(void)
{
	struct world w = begin(2);

	CU_ASSERT_EQUAL(call(&w, 2, 2), 0);
	CU_ASSERT_EQUAL(look(&w, 2), 1);
	CU_ASSERT_EQUAL(look(&w, 3), 1);
	CU_ASSERT_EQUAL(look(&w, 1), -1);
}

static void one_that_is_back_must_be_named_before_the_other_is_left_out(void)
{
	struct world w = begin(2);

	CU_ASSERT_EQUAL(call(&w, 2, 2), 0);
	CU_ASSERT_NOT_EQUAL(call(&w, 1, 1), 0);
	CU_ASSERT_EQUAL(look(&w, 1), -1);
	CU_ASSERT_EQUAL(call(&w, 3, 3), 0);
	CU_ASSERT_EQUAL(call(&w, 1, 1), 0);
	CU_ASSERT_EQUAL(look(&w, 1), (int64_t)w.caller.number);
}

static void a_roll_that_some_may_have_is_called_again(void)
{
	struct world w = begin(2);

	/* Whether 1 has it is not known. */
	CU_ASSERT_NOT_EQUAL(call(&w, 2, 0), 0);
	CU_ASSERT_NOT_EQUAL(call(&w, 1, 1), 0);
	/* As before, but those who read it have another number. */
	CU_ASSERT_EQUAL(call(&w, 3, 3), 0);
	CU_ASSERT_EQUAL(look(&w, 3), (int64_t)w.caller.number);
	CU_ASSERT_EQUAL(call(&w, 1, 1), 0);
}

static void bytes_that_are_half_written_are_no_roll(void)
{
	struct xm_roll r, s;
	uint8_t old[XM_ROLL_SIZE] = { 0 }, new[XM_ROLL_SIZE], mixed[XM_ROLL_SIZE];

	xm_roll_begin(&r, 3);
	r.number = 7;
	r.tables = 5;
	xm_roll_set(&r, 9, false);
	xm_roll_encode(&r, new);
	CU_ASSERT(xm_roll_decode(new, 3, &s));
	CU_ASSERT_EQUAL(s.number, 7);
	CU_ASSERT_EQUAL(s.tables, 5);
	CU_ASSERT(!xm_roll_has(&s, 9));
	CU_ASSERT(xm_roll_has(&s, 8) && xm_roll_has(&s, 10));
	CU_ASSERT(xm_roll_decode(old, 3, &s));
	CU_ASSERT_EQUAL(s.number, 0);
	for (unsigned n = 1; n < XM_ROLL_SIZE; n++) {
		memcpy(mixed, old, sizeof(mixed));
		memcpy(mixed, new, n);
		/* (The end of both is the same where all extents are right.) */
		if (memcmp(mixed, new, sizeof(mixed)) != 0)
			CU_ASSERT(!xm_roll_decode(mixed, 3, &s));
	}
}

/* Whatever is reached, and whatever fails: who is not told to wait goes by the last roll that
 * was called with success, or by a later one. */
static void no_reader_misses_what_was_called(void)
{
	struct xm_rand r;
	uint64_t waits = 0, refused = 0;

	xm_rand_seed(&r, 15);
	for (unsigned n = 0; n < 2000; n++) {
		struct world w = begin(2 + (uint32_t)xm_rand_below(&r, 3));
		uint64_t told = 0;

		for (unsigned k = 0; k < 40; k++) {
			uint32_t reached = (uint32_t)xm_rand_below(&r, 1u << w.tables);
			uint32_t wished = (uint32_t)xm_rand_below(&r, 1u << w.tables);
			int64_t seen;

			if (xm_rand_below(&r, 3) != 0)
				wished = reached;
			if (wished != 0 && call(&w, wished, reached) == 0)
				told = w.caller.told.number;
			else
				refused++;
			seen = look(&w, (uint32_t)xm_rand_below(&r, 1u << w.tables));
			waits += seen < 0;
			CU_ASSERT(seen < 0 || (uint64_t)seen >= told);
		}
	}
	CU_ASSERT(waits > 1000 && waits < 70000);
	CU_ASSERT(refused > 1000 && refused < 70000);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(at_first_all_are_right),
		XM_TEST(what_it_has_no_bit_for_is_not_right),
		XM_TEST(who_reads_a_table_that_was_left_out_waits),
		XM_TEST(one_that_is_back_must_be_named_before_the_other_is_left_out),
		XM_TEST(a_roll_that_some_may_have_is_called_again),
		XM_TEST(bytes_that_are_half_written_are_no_roll),
		XM_TEST(no_reader_misses_what_was_called),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("roll", tests);
}
