/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of rows with parity, and of the code that computes parities. */
#include "core/pure/rows.h"

#include <errno.h>
#include <string.h>

#include "common/rand.h"
#include "tests/support/cunit.h"

#define SIZE 64
#define ROWS 256

typedef uint8_t row_bytes[XM_ROW_FRAGMENTS_MAX][SIZE];

/* --- the code ---------------------------------------------------------------------- */

static void row_draw(struct xm_rand *rand, row_bytes bytes,
		     uint8_t *ret[XM_ROW_FRAGMENTS_MAX])
{
	for (uint32_t f = 0; f < XM_ROW_FRAGMENTS_MAX; f++) {
		ret[f] = bytes[f];
		for (uint32_t i = 0; i < SIZE; i++)
			bytes[f][i] = (uint8_t)xm_rand_next(rand);
	}
}

static void any_fragments_may_be_lost_as_many_as_there_are_parities(void)
{
	struct xm_code_shape s;
	struct xm_rand rand;

	xm_rand_seed(&rand, 1);
	for (uint32_t i = 0; i < 14; i++) {
		row_bytes bytes, whole;
		uint8_t *pages[XM_ROW_FRAGMENTS_MAX];
		uint32_t n;

		s = (struct xm_code_shape){ .columns = 2 + i / 2,
					    .parities = 1 + i % 2 };
		n = s.columns + s.parities;
		row_draw(&rand, bytes, pages);
		xm_code_rs.encode(NULL, &s, pages, SIZE);
		memcpy(whole, bytes, sizeof(whole));
		for (uint32_t lost = 0; lost < 1u << n; lost++) {
			bool few = (uint32_t)__builtin_popcount(lost) <= s.parities;

			for (uint32_t f = 0; few && f < n; f++) {
				if ((lost & 1u << f) != 0)
					memset(bytes[f], 0xa5, SIZE);
			}
			CU_ASSERT_EQUAL(xm_code_rs.decode(NULL, &s, lost, pages, SIZE),
					few ? 0 : -ENODATA);
			CU_ASSERT_EQUAL(memcmp(bytes, whole, n * SIZE), 0);
		}
	}
}

static void an_update_gives_what_encoding_the_row_gives(void)
{
	struct xm_code_shape s = { .columns = 8, .parities = 2 };
	struct xm_rand rand;
	row_bytes bytes, other;
	uint8_t *pages[XM_ROW_FRAGMENTS_MAX], *others[XM_ROW_FRAGMENTS_MAX];

	xm_rand_seed(&rand, 2);
	row_draw(&rand, bytes, pages);
	row_draw(&rand, other, others);
	xm_code_rs.encode(NULL, &s, pages, SIZE);
	for (uint32_t c = 0; c < s.columns; c++) {
		uint8_t parities[2][SIZE], *changed[2] = { parities[0], parities[1] };

		memcpy(parities, bytes[s.columns], sizeof(parities));
		/* One that is not there stays. */
		if (c == 3)
			changed[0] = NULL;
		xm_code_rs.update(NULL, &s, c, bytes[c], other[c], changed, SIZE);
		memcpy(bytes[c], other[c], SIZE);
		xm_code_rs.encode(NULL, &s, pages, SIZE);
		if (c != 3)
			CU_ASSERT_EQUAL(memcmp(parities[0], bytes[8], SIZE), 0);
		CU_ASSERT_EQUAL(memcmp(parities[1], bytes[9], SIZE), 0);
	}
}

/* 2 times 2^7 is x^8, and that is 0x1d; ISA-L's gf_gen_rs_matrix() says so, too. */
static void the_coefficients_are_powers_of_two(void)
{
	struct xm_code_shape s = { .columns = 8, .parities = 2 };
	row_bytes bytes;
	uint8_t *pages[XM_ROW_FRAGMENTS_MAX];

	memset(bytes, 0, sizeof(bytes));
	for (uint32_t f = 0; f < XM_ROW_FRAGMENTS_MAX; f++)
		pages[f] = bytes[f];
	for (uint32_t c = 0; c < s.columns; c++)
		bytes[c][c] = 2;
	xm_code_rs.encode(NULL, &s, pages, SIZE);
	for (uint32_t c = 0; c < s.columns; c++) {
		CU_ASSERT_EQUAL(bytes[8][c], 2);
		CU_ASSERT_EQUAL(bytes[9][c], c < 7 ? 2 << c : 0x1d);
	}
}

/* --- rows: three columns and a parity -------------------------------------------------- */

static struct rig {
	struct xm_rows rows;
	struct xm_rows_effects fx;
	_Alignas(16) uint64_t memory[ROWS / 64];
	uint8_t staging[3 * 7 * SIZE];
	uint8_t page[SIZE];
} rig;

static void begin_at(const enum xm_member_state *states,
		     const struct xm_rows_intents *found)
{
	struct xm_rows_options o = {
		.shape = { .columns = 3, .parities = 1 },
		.code_ops = &xm_code_rs, .rows = ROWS, .group_shift = 4, .slots = 3,
		.page_size = SIZE, .staging = rig.staging,
	};

	memset(&rig, 0, sizeof(rig));
	CU_ASSERT_EQUAL(xm_rows_memory_size(&o), sizeof(rig.memory));
	CU_ASSERT_EQUAL(xm_rows_staging_size(&o), sizeof(rig.staging));
	memset(rig.page, 7, SIZE);
	xm_rows_init(&rig.rows, &o, states, found, rig.memory);
}

static void begin(void)
{
	static const enum xm_member_state states[4] = { XM_MEMBER_IN };

	begin_at(states, NULL);
}

static void step(struct xm_rows_event ev)
{
	for (uint32_t c = 0; c < 3; c++)
		ev.bytes[c] = rig.page;
	xm_rows_step(&rig.rows, &ev, &rig.fx);
}

static void store(uint64_t row, uint32_t columns)
{
	step((struct xm_rows_event){ .kind = XM_ROWS_STORE, .row = row,
				     .columns = columns, .token = 100 + row });
}

static void read_page(uint64_t row, uint32_t column)
{
	step((struct xm_rows_event){ .kind = XM_ROWS_READ, .row = row,
				     .columns = 1u << column, .token = row });
}

static void end(uint32_t slot, uint32_t fragment, int status)
{
	step((struct xm_rows_event){ .kind = XM_ROWS_ENDED, .slot = slot,
				     .fragment = fragment, .status = status });
}

static void ledger_ends(int status)
{
	step((struct xm_rows_event){ .kind = XM_ROWS_LEDGER_ENDED, .status = status });
}

static void tick(void)
{
	step((struct xm_rows_event){ .kind = XM_ROWS_TICK });
}

static void member(uint32_t fragment, enum xm_member_state state)
{
	step((struct xm_rows_event){ .kind = XM_ROWS_MEMBER, .fragment = fragment,
				     .state = state });
}

/* The fragments of this step's effects of one kind, a bit each. */
static uint32_t of(enum xm_rows_effect_kind kind)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < rig.fx.count; i++) {
		if (rig.fx.list[i].kind == kind)
			mask |= 1u << rig.fx.list[i].fragment;
	}
	return mask;
}

static const struct xm_rows_effect *first(enum xm_rows_effect_kind kind)
{
	for (uint32_t i = 0; i < rig.fx.count; i++) {
		if (rig.fx.list[i].kind == kind)
			return &rig.fx.list[i];
	}
	return NULL;
}

static uint32_t slot_at(uint64_t row)
{
	for (uint32_t i = 0; i < 3; i++) {
		if (rig.rows.slots[i].work != XM_ROW_FREE &&
		    rig.rows.slots[i].row == row)
			return i;
	}
	CU_FAIL_FATAL("no slot has the row");
	return 0;
}

/* All operations of a mask end well. */
static void end_all(uint32_t slot, uint32_t mask)
{
	for (; mask != 0; mask &= mask - 1)
		end(slot, (uint32_t)__builtin_ctz(mask), 0);
}

static void a_store_reads_its_old_page_and_the_parity(void)
{
	begin();
	store(5, 1);
	CU_ASSERT_EQUAL(rig.fx.status, 0);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_READ), 9);
	CU_ASSERT_PTR_NOT_NULL(first(XM_ROWS_DO_LEDGER));
	end_all(slot_at(5), 9);
	/* Nothing is written before the intent is. */
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_WRITE), 0);
	ledger_ends(0);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_WRITE), 9);
	end(slot_at(5), 0, 0);
	CU_ASSERT_PTR_NULL(first(XM_ROWS_STORED));
	end(slot_at(5), 3, 0);
	CU_ASSERT_EQUAL(first(XM_ROWS_STORED)->token, 105);
	CU_ASSERT_EQUAL(first(XM_ROWS_STORED)->status, 0);
	/* The old bytes were zeros: data and parity are the same now. */
	CU_ASSERT_EQUAL(rig.staging[2 * 7 * SIZE], 7);
	CU_ASSERT_EQUAL(rig.staging[2 * 7 * SIZE + 3 * SIZE], 7);
}

static void a_whole_row_is_stored_without_reads(void)
{
	begin();
	store(0, 7);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_READ), 0);
	ledger_ends(0);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_WRITE), 15);
	end_all(slot_at(0), 15);
	CU_ASSERT_EQUAL(first(XM_ROWS_STORED)->status, 0);
	/* Two of three pages: the third is read, not two and the parity. */
	store(1, 3);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_READ), 4);
}

static void a_row_is_locked_and_one_slot_is_the_menders(void)
{
	begin();
	store(1, 1);
	store(1, 2);
	CU_ASSERT_EQUAL(rig.fx.status, -EAGAIN);
	store(2, 1);
	CU_ASSERT_EQUAL(rig.fx.status, 0);
	store(3, 1);
	CU_ASSERT_EQUAL(rig.fx.status, -EAGAIN);
	CU_ASSERT_TRUE(xm_rows_is_locked(&rig.rows, 1));
	CU_ASSERT_FALSE(xm_rows_is_clean(&rig.rows, 1));
	CU_ASSERT_TRUE(xm_rows_is_clean(&rig.rows, 3));
}

static void an_intent_goes_after_a_tick_without_stores(void)
{
	begin();
	store(0, 7);
	ledger_ends(0);
	end_all(slot_at(0), 15);
	tick();
	CU_ASSERT_PTR_NULL(first(XM_ROWS_DO_LEDGER));
	tick();
	CU_ASSERT_PTR_NOT_NULL(first(XM_ROWS_DO_LEDGER));
	CU_ASSERT_EQUAL(rig.rows.flying.words[0], 0);
	/* A store of that moment waits until the ledger has a mark again. */
	store(1, 7);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_WRITE), 0);
	ledger_ends(0);
	CU_ASSERT_PTR_NOT_NULL(first(XM_ROWS_DO_LEDGER));
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_WRITE), 0);
	/* And whether this write has happened is not known. */
	ledger_ends(-EIO);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_WRITE), 0);
	tick();
	ledger_ends(0);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_WRITE), 15);
}

static void a_write_that_failed_is_repeated_until_its_member_is_out(void)
{
	begin();
	store(0, 7);
	ledger_ends(0);
	end_all(slot_at(0), 14);
	end(slot_at(0), 0, -EIO);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_WRITE), 0);
	tick();
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_WRITE), 1);
	end(slot_at(0), 0, -EIO);
	/* Its page follows from the others. */
	member(0, XM_MEMBER_OUT);
	CU_ASSERT_EQUAL(first(XM_ROWS_STORED)->status, 0);
}

static void what_a_member_was_told_before_it_came_back_counts_no_more(void)
{
	begin();
	store(0, 7);
	ledger_ends(0);
	end(slot_at(0), 0, 0);
	member(0, XM_MEMBER_OUT);
	member(0, XM_MEMBER_FILLING);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_WRITE), 1);
	end_all(slot_at(0), 14);
	CU_ASSERT_PTR_NULL(first(XM_ROWS_STORED));
	end(slot_at(0), 0, 0);
	CU_ASSERT_EQUAL(first(XM_ROWS_STORED)->status, 0);
}

static void a_missing_page_is_decoded(void)
{
	begin();
	member(1, XM_MEMBER_OUT);
	read_page(9, 1);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_READ), 13);
	/* What was read before, the others have: 1, 2, and 4 is the parity. */
	for (uint32_t i = 0; i < rig.fx.count; i++)
		memset(rig.fx.list[i].bytes, 1 << i, SIZE);
	end_all(slot_at(9), 13);
	CU_ASSERT_EQUAL(first(XM_ROWS_HAS_READ)->status, 0);
	CU_ASSERT_EQUAL(first(XM_ROWS_HAS_READ)->bytes[SIZE - 1], 1 ^ 2 ^ 4);
	/* With another one gone nothing follows. */
	member(2, XM_MEMBER_LOST);
	read_page(9, 1);
	CU_ASSERT_EQUAL(first(XM_ROWS_HAS_READ)->status, -ENODATA);
	store(9, 2);
	CU_ASSERT_EQUAL(first(XM_ROWS_STORED)->status, -ENODATA);
}

static void a_missing_page_of_an_unclean_row_is_not_computed(void)
{
	static const enum xm_member_state states[4] = { [1] = XM_MEMBER_OUT };
	static const struct xm_rows_intents found = { .words = { 2 } };

	begin_at(states, &found);
	CU_ASSERT_EQUAL(rig.rows.unclean_count, 16);
	read_page(15, 1); /* of the group before */
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_READ), 13);
	read_page(16, 1);
	CU_ASSERT_EQUAL(first(XM_ROWS_HAS_READ)->status, -ENODATA);
	read_page(16, 0);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_READ), 1);
	/* A store of the page itself makes the row whole. */
	store(17, 2);
	CU_ASSERT_EQUAL(rig.fx.status, -EAGAIN);
	end(slot_at(16), 0, 0);
	store(17, 2);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_READ), 5);
	end_all(slot_at(17), 5);
	CU_ASSERT_EQUAL(of(XM_ROWS_DO_WRITE), 8);
	end(slot_at(17), 3, 0);
	CU_ASSERT_EQUAL(first(XM_ROWS_STORED)->status, 0);
	CU_ASSERT_TRUE(xm_rows_is_clean(&rig.rows, 17));
}

/* Unclean rows 16 to 31: member 1 comes back as zeros. */
static void what_cannot_be_known_is_lost_before_it_is_zero(void)
{
	static const enum xm_member_state states[4] = { [1] = XM_MEMBER_OUT };
	static const struct xm_rows_intents found = { .words = { 2 } };
	uint32_t lost = 0;

	begin_at(states, &found);
	member(1, XM_MEMBER_FILLING);
	for (uint64_t row = 0; row < ROWS; row++) {
		uint32_t slot = slot_at(row), reads = of(XM_ROWS_DO_READ), writes;

		CU_ASSERT_EQUAL(reads, row / 16 == 1 ? 5 : 13);
		end_all(slot, reads);
		lost += of(XM_ROWS_LOSE) != 0;
		writes = of(XM_ROWS_DO_WRITE);
		CU_ASSERT_EQUAL(writes, row / 16 == 1 ? 10 : 2);
		end_all(slot, writes);
	}
	CU_ASSERT_EQUAL(lost, 16);
	CU_ASSERT_EQUAL(rig.rows.unclean_count, 0);
	CU_ASSERT_EQUAL(of(XM_ROWS_FILLED), 2);
	member(1, XM_MEMBER_IN);
	tick();
	ledger_ends(0);
	CU_ASSERT_TRUE(xm_rows_is_idle(&rig.rows));
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(any_fragments_may_be_lost_as_many_as_there_are_parities),
		XM_TEST(an_update_gives_what_encoding_the_row_gives),
		XM_TEST(the_coefficients_are_powers_of_two),
		XM_TEST(a_store_reads_its_old_page_and_the_parity),
		XM_TEST(a_whole_row_is_stored_without_reads),
		XM_TEST(a_row_is_locked_and_one_slot_is_the_menders),
		XM_TEST(an_intent_goes_after_a_tick_without_stores),
		XM_TEST(a_write_that_failed_is_repeated_until_its_member_is_out),
		XM_TEST(what_a_member_was_told_before_it_came_back_counts_no_more),
		XM_TEST(a_missing_page_is_decoded),
		XM_TEST(a_missing_page_of_an_unclean_row_is_not_computed),
		XM_TEST(what_cannot_be_known_is_lost_before_it_is_zero),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("rows", tests);
}
