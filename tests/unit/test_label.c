/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of labels and of tokens as texts. */
#include "core/pure/label.h"

#include <string.h>

#include "common/rand.h"
#include "core/pure/layout.h"
#include "tests/support/cunit.h"

static struct xm_place_label sample(struct xm_rand *r)
{
	struct xm_place_label l = { 0 };

	l.columns = (uint8_t)(1 + xm_rand_below(r, 4));
	l.column = (uint8_t)xm_rand_below(r, l.columns);
	l.copies = (uint8_t)(1 + xm_rand_below(r, 4));
	l.copy = (uint8_t)xm_rand_below(r, l.copies);
	l.unit = l.columns == 1 ? 0 : UINT64_C(16) << xm_rand_below(r, 4);
	l.count = l.columns * xm_max(l.unit, 16) * (1 + xm_rand_below(r, 9));
	l.page = xm_rand_below(r, 1000);
	l.region_size = (l.page + l.count + xm_rand_below(r, 100)) * XM_PAGE;
	l.ms = (uint32_t)xm_rand_next(r);
	l.table = xm_rand_below(r, 2) == 0;
	l.turn = (uint32_t)xm_rand_next(r);
	return l;
}

/* By members: what lies between them has any value. */
static bool same(const struct xm_place_label *a, const struct xm_place_label *b)
{
	return a->ms == b->ms && a->region_size == b->region_size &&
	       a->page == b->page && a->count == b->count &&
	       a->unit == b->unit && a->column == b->column &&
	       a->columns == b->columns && a->copy == b->copy &&
	       a->copies == b->copies && a->turn == b->turn &&
	       a->table == b->table;
}

static void a_label_reads_as_it_was_written(void)
{
	struct xm_rand r;

	xm_rand_seed(&r, 1);
	for (int i = 0; i < 1000; i++) {
		struct xm_place_label l = sample(&r), got = { 0 };
		struct xm_label bytes;

		xm_label_encode(&l, &bytes);
		CU_ASSERT_TRUE_FATAL(xm_label_decode(&bytes, &got));
		CU_ASSERT_TRUE(same(&l, &got));
	}
}

static void set_columns(struct xm_place_label *l, uint8_t columns)
{
	l->columns = columns;
	l->column = 0;
	l->unit = 16;
	l->count = 16 * (uint64_t)columns;
	l->region_size = (l->page + l->count) * XM_PAGE;
}

static void a_label_that_makes_no_sense_is_none(void)
{
	struct xm_rand r;

	xm_rand_seed(&r, 2);
	for (int i = 0; i < 1000; i++) {
		struct xm_place_label l = sample(&r), got;
		struct xm_label bytes;

		switch (i % 11) {
		case 0: l.region_size++; break;
		case 1: l.region_size = l.page * XM_PAGE; break;
		case 2: l.count = UINT64_MAX; break;
		case 3: l.column = l.columns; break;
		case 4: l.copy = l.copies; break;
		case 5: l.columns = 3, l.unit = 48; break;
		/* More than a region can have: tables are as long as that. */
		case 6: set_columns(&l, XM_APPLIANCES_MAX + 1); break;
		case 7: set_columns(&l, 127); break;
		case 8: l.copies = XM_COPIES_MAX + 1; break;
		/* The bytes of a row do not fit into 64 bits. */
		case 9: l.columns = 2, l.column = 0, l.unit = UINT64_C(1) << 63; break;
		default: break;
		}
		xm_label_encode(&l, &bytes);
		if (i % 11 == 10)
			bytes.bytes[0]++;
		CU_ASSERT_FALSE(xm_label_decode(&bytes, &got));
		bytes.size--;
		CU_ASSERT_FALSE(xm_label_decode(&bytes, &got));
	}
}

static void a_token_survives_being_pasted(void)
{
	uint8_t token[XM_TOKEN_SIZE], got[XM_TOKEN_SIZE];
	char text[XM_TOKEN_TEXT_SIZE], pasted[2 * XM_TOKEN_TEXT_SIZE];
	struct xm_rand r;

	xm_rand_seed(&r, 3);
	for (int i = 0; i < 100; i++) {
		xm_rand_fill(&r, token, sizeof(token));
		xm_token_print(token, text);
		CU_ASSERT(strlen(text) < XM_TOKEN_TEXT_SIZE);
		strcpy(pasted, "  ");
		strcat(pasted, text);
		strcat(pasted, "\r\n");
		CU_ASSERT_TRUE_FATAL(xm_token_parse(pasted, got));
		CU_ASSERT_EQUAL(memcmp(token, got, sizeof(got)), 0);
	}
}

static void a_typing_error_is_seen(void)
{
	uint8_t token[XM_TOKEN_SIZE] = { 1, 2, 3 }, got[XM_TOKEN_SIZE];
	char text[XM_TOKEN_TEXT_SIZE];

	xm_token_print(token, text);
	for (size_t i = 0; i < strlen(text); i++) {
		char before = text[i];

		if (before == '-' && i > 7)
			continue;
		text[i] = before == '7' ? '8' : '7';
		CU_ASSERT_FALSE(xm_token_parse(text, got));
		text[i] = before;
		text[strlen(text) - 1] = '\0';
		CU_ASSERT_FALSE(xm_token_parse(text, got));
		xm_token_print(token, text);
	}
	CU_ASSERT_TRUE(xm_token_parse(text, got));
	CU_ASSERT_FALSE(xm_token_parse("", got));
}

static void a_token_says_how_new_its_region_is(void)
{
	static const uint64_t news[] = { 1, 0x2a, (UINT64_C(1) << 56) - 1 };
	uint8_t token[XM_TOKEN_SIZE] = { 1, 2, 3 }, got[XM_TOKEN_SIZE];
	char text[2 * XM_TOKEN_TEXT_SIZE];
	uint64_t since;

	for (size_t i = 0; i < XM_COUNT(news); i++) {
		xm_token_print_since(token, news[i], text);
		CU_ASSERT(strlen(text) < XM_TOKEN_TEXT_SIZE);
		CU_ASSERT_TRUE(xm_token_parse_since(text, got, &since));
		CU_ASSERT_EQUAL(since, news[i]);
		CU_ASSERT_EQUAL(memcmp(token, got, sizeof(got)), 0);
		CU_ASSERT_FALSE(xm_token_parse(text, got)); /* where none belongs */
		*strchr(text, '.') = '\0'; /* it was cut off */
		CU_ASSERT_FALSE(xm_token_parse_since(text, got, &since));
		strcat(text, ".0");
		CU_ASSERT_FALSE(xm_token_parse_since(text, got, &since));
		strcat(text, "000000000000000000001");
		CU_ASSERT_FALSE(xm_token_parse_since(text, got, &since));
	}
	xm_token_print(token, text);
	CU_ASSERT_TRUE(xm_token_parse_since(text, got, &since));
	CU_ASSERT_EQUAL(since, 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_label_reads_as_it_was_written),
		XM_TEST(a_label_that_makes_no_sense_is_none),
		XM_TEST(a_token_survives_being_pasted),
		XM_TEST(a_typing_error_is_seen),
		XM_TEST(a_token_says_how_new_its_region_is),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("label", tests);
}
