/* SPDX-License-Identifier: BSD-3-Clause */
/* Strategies: what a text means, how it is written, and what is said of a wrong one. */
#include "core/pure/strategy.h"

#include <errno.h>
#include <string.h>

#include "tests/support/cunit.h"

static struct xm_strategy strategy;
static struct xm_strategy_error error;
static char written[2048];

static bool parses(const char *text)
{
	memset(&error, 0, sizeof(error));
	return xm_strategy_parse(text, &strategy, &error) == 0;
}

static const char *written_as(const char *text)
{
	struct xm_words w;

	xm_words_begin(&w, written, sizeof(written));
	if (!parses(text))
		return error.words;
	xm_strategy_write(&strategy, &w);
	return written;
}

static void a_text_means_what_it_says(void)
{
	const struct xm_strategy_choice *c = &strategy.choices[0];

	CU_ASSERT_FATAL(parses("mirror 2, stripe 4 x 64K, spread zone, rank "
			       "random of 3, zone a b, not name spare*, "
			       "keep 1G, limit 10GiB"));
	CU_ASSERT_EQUAL(strategy.count, 1);
	CU_ASSERT_EQUAL(c->mirrors, 2);
	CU_ASSERT_EQUAL(c->columns, 4);
	CU_ASSERT_EQUAL(c->unit, 64 * XM_KIB);
	CU_ASSERT_EQUAL(c->spread, XM_SPREAD_ZONE);
	CU_ASSERT_EQUAL(c->rank, XM_RANK_RANDOM);
	CU_ASSERT_EQUAL(c->random_of, 3);
	CU_ASSERT_EQUAL(c->filters_count, 3);
	CU_ASSERT_FALSE(c->filters[1].name || c->filters[1].not);
	CU_ASSERT_STRING_EQUAL(c->filters[1].pattern, "b");
	CU_ASSERT_TRUE(c->filters[2].name && c->filters[2].not);
	CU_ASSERT_EQUAL(c->keep, XM_GIB);
	CU_ASSERT_EQUAL(c->limit, 10 * XM_GIB);
	CU_ASSERT_EQUAL(xm_strategy_mirrors(&strategy), 2);
	CU_ASSERT_EQUAL(xm_strategy_row(&strategy, 64 * XM_KIB), 256 * XM_KIB);
}

static void a_text_is_written_in_one_way(void)
{
	static const char *const as[][2] = {
		{ "mirror 1", "mirror 1" },
		{ "rank free", "mirror 1, rank free" },
		{ "rank free,mirror 3", "mirror 3, rank free" },
		{ "stripe 4", "mirror 1, stripe 4 x 256K" },
		{ "stripe 4x1M", "mirror 1, stripe 4 x 1M" },
		{ "stripe 4 x 1048576", "mirror 1, stripe 4 x 1M" },
		{ "stripe 1 x 64K", "mirror 1" },
		{ "not leaving", "mirror 1" },
		{ "rank listed", "mirror 1" },
		{ "  mirror\t2 ,\n spread  host ", "mirror 2, spread host" },
		{ "not zone a, keep 0, not zone b",
		  "mirror 1, not zone a b" },
		{ "limit 1536M, name x*", "mirror 1, name x*, limit 1536M" },
		{ "mirror 3, spread zone else mirror 2, else rank load",
		  "mirror 3, spread zone else mirror 2 else mirror 1, rank "
		  "load" },
		{ "rank random of 2", "mirror 1, rank random of 2" },
	};

	for (unsigned i = 0; i < XM_COUNT(as); i++) {
		char again[2048];

		CU_ASSERT_STRING_EQUAL(written_as(as[i][0]), as[i][1]);
		strcpy(again, written);
		CU_ASSERT_STRING_EQUAL(written_as(again), as[i][1]);
	}
}

static void a_wrong_text_is_told_by_its_first_wrong_word(void)
{
	static const struct {
		const char *text, *word, *part;
	} wrong[] = {
		{ "", "", "a clause begins with" },
		{ "mirrors 2", "mirrors", "a clause begins with" },
		{ "mirror", "", "from 1 to 4, but the text ends at character 7" },
		{ "mirror 0", "0", "from 1 to 4" },
		{ "mirror 5", "5", "from 1 to 4, not \"5\" at character 8" },
		{ "mirror 99999999999", "99999999999", "from 1 to 4" },
		{ "mirror two", "two", "from 1 to 4" },
		{ "mirror 2 spread zone", "spread", "a comma stands" },
		{ "mirror 2, mirror 3", "mirror", "each clause once" },
		{ "mirror 2,", "", "a clause begins" },
		{ "mirror 2, spread rack", "rack", "zone or host" },
		{ "stripe 17", "17", "from 1 to 16" },
		{ "stripe 4 x 100K", "100K", "a power of two from 64K" },
		{ "stripe 4 x 32K", "32K", "a power of two from 64K" },
		{ "stripe 4 x", "", "a power of two from 64K" },
		{ "stripe 4 x 4X", "4X", "a power of two from 64K" },
		{ "rank best", "best", "listed, free, load" },
		{ "rank random", "", "of N" },
		{ "rank random of 0", "0", "from 1 to 16" },
		{ "zone", "", "names of zones" },
		{ "not", "", "zone, name or leaving" },
		{ "not today", "today", "zone, name or leaving" },
		{ "name a b c d e f g h i", "i", "at most 8" },
		{ "keep 99999999999999999999G", "99999999999999999999G",
		  "keep wants a size" },
		{ "keep -1", "-1", "keep wants a size" },
		{ "limit 0", "0", "at least 1" },
		{ "stripe 4 x 1M, limit 64K", "stripe", "limit is less" },
		{ "rank free, spread zone", "rank", "mirror 2 or more" },
		{ "mirror 2 else", "", "a clause begins" },
		{ "else mirror 2", "else", "a clause begins" },
		{ "mirror 1 else mirror 1 else mirror 1 else mirror 1 else "
		  "mirror 1", "else", "at most 4 choices" },
	};
	struct xm_strategy before;

	for (unsigned i = 0; i < XM_COUNT(wrong); i++) {
		const char *text = wrong[i].text;

		memset(&strategy, 0x5a, sizeof(strategy));
		before = strategy;
		CU_ASSERT_FALSE(parses(text));
		CU_ASSERT_EQUAL(memcmp(&strategy, &before, sizeof(before)), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.words, wrong[i].part));
		if (strstr(error.words, wrong[i].part) == NULL)
			printf("%s: %s\n", text, error.words);
		CU_ASSERT_EQUAL(error.size, strlen(wrong[i].word));
		CU_ASSERT_EQUAL(memcmp(text + error.at, wrong[i].word,
				       error.size), 0);
	}
}

static void a_text_that_is_too_long_is_refused(void)
{
	char text[XM_STRATEGY_TEXT_SIZE + 1];

	memset(text, ' ', sizeof(text));
	memcpy(text, "mirror 2", 8);
	text[XM_STRATEGY_TEXT_SIZE - 1] = '\0';
	CU_ASSERT_TRUE(parses(text));
	text[XM_STRATEGY_TEXT_SIZE - 1] = ' ';
	text[XM_STRATEGY_TEXT_SIZE] = '\0';
	CU_ASSERT_FALSE(parses(text));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.words, "1023 characters"));
}

static void zones_and_names_are_admitted_by_pattern(void)
{
	static const struct {
		const char *text, *zone, *name;
		bool admits, by_name;
	} cases[] = {
		{ "mirror 1", "", "", true, false },
		{ "zone a b", "b", "", true, false },
		{ "zone a b", "c", "", false, false },
		{ "zone a b", "", "", false, false },
		{ "not zone a", "a", "", false, false },
		{ "not zone a", "", "", true, false },
		{ "zone a*, not zone ab", "ac", "", true, false },
		{ "zone a*, not zone ab", "ab", "", false, false },
		{ "name *1*2", "", "x1yy12", true, false },
		{ "name *1*2", "", "x1yy123", false, true },
		{ "name mem?", "", "mem1", false, true },
		{ "zone a, not name n", "b", "n", false, true },
	};
	bool by_name;

	for (unsigned i = 0; i < XM_COUNT(cases); i++) {
		CU_ASSERT_FATAL(parses(cases[i].text));
		CU_ASSERT_EQUAL(xm_strategy_admits(&strategy.choices[0],
						   cases[i].zone,
						   cases[i].name, &by_name),
				cases[i].admits);
		CU_ASSERT_EQUAL(by_name, cases[i].by_name);
	}
}

static void a_row_holds_whole_rows_of_every_choice(void)
{
	CU_ASSERT_FATAL(parses("stripe 3 x 256K else stripe 2 x 1M else "
			       "mirror 2"));
	CU_ASSERT_EQUAL(xm_strategy_row(&strategy, 64 * XM_KIB), 6 * XM_MIB);
	CU_ASSERT_FATAL(parses("mirror 2"));
	CU_ASSERT_EQUAL(xm_strategy_row(&strategy, 64 * XM_KIB), 64 * XM_KIB);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_text_means_what_it_says),
		XM_TEST(a_text_is_written_in_one_way),
		XM_TEST(a_wrong_text_is_told_by_its_first_wrong_word),
		XM_TEST(a_text_that_is_too_long_is_refused),
		XM_TEST(zones_and_names_are_admitted_by_pattern),
		XM_TEST(a_row_holds_whole_rows_of_every_choice),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("strategy", tests);
}
