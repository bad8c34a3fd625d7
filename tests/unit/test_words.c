/* SPDX-License-Identifier: BSD-3-Clause */
/* Sentences: how they are put together, and those for what is wrong with an
 * appliance's control connection. */
#include <errno.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "core/pure/channel.h"
#include "common/progress.h"
#include "common/words.h"

static char text[256];

static const char *explained(int status, bool up)
{
	memset(text, 'x', sizeof(text));
	xm_channel_explain("ofi+tcp://there:7470", status, up, text,
			   sizeof(text));
	return text;
}

static void every_failure_names_the_address_and_what_to_look_at(void)
{
	static const struct {
		int status;
		const char *part;
	} before[] = {
		{ -ECONNREFUSED, "no" },
		{ -ENOENT, "no" },
		{ -ECONNRESET, "hung up" },
		{ -ETIMEDOUT, "no answer" },
		{ -EHOSTUNREACH, "check the network" },
		{ -ENETUNREACH, "check the network" },
		{ -EADDRNOTAVAIL, "check the name" },
		{ -EINVAL, "is not an address" },
		{ -EACCES, "not permitted" },
		{ -ENOBUFS, "(errno 105)" },
	};

	for (unsigned i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		const char *words = explained(before[i].status, false);

		CU_ASSERT(strstr(words, "there:7470") != NULL);
		CU_ASSERT(strstr(words, before[i].part) != NULL);
	}
}

static void a_connection_that_was_up_is_told_from_one_that_never_was(void)
{
	CU_ASSERT(strstr(explained(-EPROTO, true), "no message") != NULL);
	CU_ASSERT(strstr(explained(-ETIMEDOUT, true), "silent") != NULL);
	CU_ASSERT(strstr(explained(-ECONNRESET, true), "was lost") != NULL);
	CU_ASSERT(strstr(explained(-ECONNRESET, true), "there:7470") != NULL);
}

static void a_sentence_that_does_not_fit_is_cut_and_ended(void)
{
	char small[8];
	struct xm_words w;

	for (size_t size = 1; size <= sizeof(small); size++) {
		memset(small, 'x', sizeof(small));
		xm_words_begin(&w, small, size);
		xm_words_add(&w, "abcdefghijk");
		xm_words_number(&w, 12345);
		CU_ASSERT_EQUAL(strlen(small), size - 1);
		CU_ASSERT_EQUAL(memcmp(small, "abcdefghijk", size - 1), 0);
	}
	xm_words_copy(small, "long enough to be cut", sizeof(small));
	CU_ASSERT_STRING_EQUAL(small, "long en");
	xm_words_copy(small, "short", sizeof(small));
	CU_ASSERT_STRING_EQUAL(small, "short");
}

static void numbers_and_sizes_are_in_words(void)
{
	struct xm_words w;

	xm_words_begin(&w, text, sizeof(text));
	xm_words_number(&w, 0);
	xm_words_add(&w, " ");
	xm_words_number(&w, UINT64_MAX);
	CU_ASSERT_STRING_EQUAL(text, "0 18446744073709551615");
}

static const char *progress(uint64_t left, uint64_t ms)
{
	struct xm_words w;

	xm_words_begin(&w, text, sizeof(text));
	xm_progress_words(&w, left, ms);
	return text;
}

static void what_is_left_and_how_long_it_takes(void)
{
	struct xm_progress p = { 0 };

	CU_ASSERT_STRING_EQUAL(progress(75 * XM_MIB, 0), "75.0 MiB left");
	CU_ASSERT_STRING_EQUAL(progress(XM_MIB, 2001),
			       "1.0 MiB left, about 3 s");
	CU_ASSERT_STRING_EQUAL(progress(XM_MIB, 600 * 1000),
			       "1.0 MiB left, about 10 min");
	CU_ASSERT_STRING_EQUAL(progress(XM_MIB, 7200 * 1000),
			       "1.0 MiB left, about 2 h");
	xm_progress_look(&p, 100 * XM_MIB, XM_SECOND);
	CU_ASSERT_EQUAL(xm_progress_ms(&p), 0);
	xm_progress_look(&p, 75 * XM_MIB, 2 * XM_SECOND);
	CU_ASSERT_EQUAL(xm_progress_ms(&p), 3001);
	/* More than before is another task. */
	xm_progress_look(&p, 80 * XM_MIB, 3 * XM_SECOND);
	CU_ASSERT_EQUAL(xm_progress_ms(&p), 0);
	xm_progress_look(&p, 0, 4 * XM_SECOND);
	CU_ASSERT_EQUAL(xm_progress_ms(&p), 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(every_failure_names_the_address_and_what_to_look_at),
		XM_TEST(a_connection_that_was_up_is_told_from_one_that_never_was),
		XM_TEST(a_sentence_that_does_not_fit_is_cut_and_ended),
		XM_TEST(numbers_and_sizes_are_in_words),
		XM_TEST(what_is_left_and_how_long_it_takes),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("words", tests);
}
