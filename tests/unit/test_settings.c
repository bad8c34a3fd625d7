/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of extmemd's option table (appliance/settings.c) and of its manual
 * page, which is to have the table's text and nothing else for its options.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/settings.h"
#include "tests/support/cunit.h"

static char *file_text(FILE *file)
{
	char *text = calloc(1, 65536);

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	rewind(file);
	CU_ASSERT(fread(text, 1, 65535, file) > 0);
	fclose(file);
	return text;
}

static void the_manual_has_the_table_and_nothing_else(void)
{
	const char *source = getenv("XM_SRCDIR");
	char path[1024], *manual, *table;
	FILE *file = tmpfile();

	snprintf(path, sizeof(path), "%s/docs/man/extmemd.8",
		 source == NULL ? "." : source);
	manual = file_text(fopen(path, "re"));
	xm_options_print_roff(&xm_settings_table, file);
	table = file_text(file);
	CU_ASSERT_PTR_NOT_NULL(strstr(manual, table));
	free(manual);
	free(table);
}

/* What is wrong with these settings; "" when nothing is. */
static const char *wrong(const char *const settings[])
{
	static char words[512];
	struct xm_settings values;
	struct xm_options *o;

	words[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(xm_options_open(&xm_settings_table, &values, &o),
			      0);
	if (xm_options_read_settings(o, settings) != 0)
		snprintf(words, sizeof(words), "%s", xm_options_words(o));
	else if (xm_settings_check(&values, o, words, sizeof(words)) == 0)
		words[0] = '\0';
	xm_options_close(o);
	return words;
}

#define WRONG(...) wrong((const char *const[]){ __VA_ARGS__, NULL })
#define GOOD "listen=ofi+tcp://127.0.0.1:0", "memory=1M"

static void each_mistake_is_named(void)
{
	char longest[200] = "name=";

	memset(longest + 5, 'n', 64);
	CU_ASSERT_STRING_EQUAL(WRONG(GOOD), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(WRONG("memory=1M"), "--listen is"));
	CU_ASSERT_PTR_NOT_NULL(strstr(WRONG("listen=ofi+tcp://h:1"),
				      "--memory is missing"));
	CU_ASSERT_PTR_NOT_NULL(strstr(WRONG(GOOD, longest), "too long"));
	longest[5 + 63] = '\0';
	CU_ASSERT_STRING_EQUAL(WRONG(GOOD, longest), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(WRONG(GOOD, "name=a\nb"), "printable"));
	CU_ASSERT_PTR_NOT_NULL(strstr(WRONG(GOOD, "zone=\x7f"), "zone"));
	CU_ASSERT_PTR_NOT_NULL(strstr(WRONG(GOOD, "zone=0123456789abcdef"
						  "0123456789abcdef"),
				      "31 characters"));
	CU_ASSERT_PTR_NOT_NULL(strstr(WRONG(GOOD, "lease=1ms"), "too little"));
	CU_ASSERT_PTR_NOT_NULL(strstr(WRONG(GOOD, "clients_max=0"), "0"));
	CU_ASSERT_PTR_NOT_NULL(strstr(WRONG(GOOD, "extents_max=1048577"),
				      "1048576"));
}

static void a_contradiction_is_refused_and_a_default_gives_way(void)
{
	CU_ASSERT_STRING_EQUAL(WRONG(GOOD, "extents_max=10"), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(WRONG(GOOD, "extents_max=10",
					    "extents_per_client=11"),
				      "above extents_max"));
	CU_ASSERT_STRING_EQUAL(WRONG(GOOD, "extents_max=10",
				     "extents_per_client=10"), "");
}

/* No machine of ours has such a device: so what its provider says is made up. */
static void what_is_pinned_is_in_no_pool_file(void)
{
	struct xm_settings s = { .pool_file = "" };
	char words[512] = "";

	CU_ASSERT_EQUAL(xm_settings_check_pinned(&s, "provider", "verbs", words,
						 sizeof(words)), 0);
	CU_ASSERT_STRING_EQUAL(words, "");
	s.pool_file = "/disk/pool";
	CU_ASSERT_EQUAL(xm_settings_check_pinned(&s, "provider", "verbs", words,
						 sizeof(words)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "--pool-file and provider verbs"));
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "leave one of them out"));
	s.pool_file = "";
	s.borrow.count = 1;
	CU_ASSERT_EQUAL(xm_settings_check_pinned(&s, "transport", "ofi+verbs", words,
						 sizeof(words)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "--borrow and transport ofi+verbs"));
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(the_manual_has_the_table_and_nothing_else),
		XM_TEST(each_mistake_is_named),
		XM_TEST(a_contradiction_is_refused_and_a_default_gives_way),
		XM_TEST(what_is_pinned_is_in_no_pool_file),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("settings", tests);
}
