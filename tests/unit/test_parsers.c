/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What parses options, in its corners: every allocation that fails, tables of
 * unusual shape, values that hardly anybody gives. What options are for is in
 * test_options.c. The linker puts our malloc(), calloc() and ini_parse_stream() in
 * the place of theirs (--wrap), so that each can fail at will.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_INIH
#include <ini.h>
#endif

#include "common/options_parts.h"
#include "tests/support/cunit.h"

/* --- what fails at will -------------------------------------------------------------- */

static unsigned left = UINT_MAX; /* allocations before one fails */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool refused(void)
{
	if (left == UINT_MAX)
		return false;
	if (left > 0) {
		left--;
		return false;
	}
	return true;
}

void *__wrap_malloc(size_t size)
{
	return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return refused() ? NULL : __real_calloc(count, size);
}

#ifdef HAVE_INIH
/* Instead of reading: no memory; no memory behind a mistake; lines go on behind a
 * mistake, as in an inih of another build. */
static enum { READS, REFUSES, REFUSES_LATER, GOES_ON } ini;

int __real_ini_parse_stream(ini_reader reader, void *stream,
			    ini_handler handler, void *user);
int __wrap_ini_parse_stream(ini_reader reader, void *stream,
			    ini_handler handler, void *user);

int __wrap_ini_parse_stream(ini_reader reader, void *stream,
			    ini_handler handler, void *user)
{
	if (ini == READS)
		return __real_ini_parse_stream(reader, stream, handler, user);
	if (ini != REFUSES)
		CU_ASSERT_EQUAL(handler(user, "", "nonsense", "1"), 0);
	if (ini == GOES_ON)
		CU_ASSERT_EQUAL(handler(user, "", "size", "8K"), 0);
	return ini == GOES_ON ? 0 : -2;
}
#endif

/* --- tables -------------------------------------------------------------------------- */

struct values {
	struct xm_option_share share;
	struct xm_option_list config, list;
	const char *text;
	uint64_t size, duration, count;
	bool flag, hidden;
	uint32_t choice;
};

#define AT(member) .destination = offsetof(struct values, member)

static const struct xm_option options[] = {
	{ .name = "share", .kind = XM_OPTION_SHARE, .min = XM_MIB,
	  .max = XM_GIB, .value = "50%", AT(share), .help = "A share." },
	{ .name = "config", .kind = XM_OPTION_LIST,
	  .value = "/nowhere/at/all", AT(config), .help = "Files." },
	{ .name = "list", .kind = XM_OPTION_LIST, .value = "a, b",
	  AT(list), .help = "Items." },
	{ .name = "text", .kind = XM_OPTION_TEXT, AT(text),
	  .help = ".A text\\with a dot,\n'and a quote." },
	{ .name = "size", .kind = XM_OPTION_SIZE, AT(size), .help = "A size." },
	{ .name = "duration", .kind = XM_OPTION_DURATION, AT(duration),
	  .max = XM_SECOND, .help = "A duration." },
	{ .name = "count", .kind = XM_OPTION_COUNT, .letter = 'c', AT(count),
	  .help = "A count." },
	{ .name = "flag", .kind = XM_OPTION_FLAG, .letter = 'f', AT(flag),
	  .help = "A flag." },
	{ .name = "hidden", .kind = XM_OPTION_FLAG, AT(hidden),
	  .hidden = true, .help = "Nobody sees it." },
	{ .name = "choice", .kind = XM_OPTION_CHOICE, .letter = 'x',
	  .choices = "one|two|three", AT(choice), .help = "One of three." },
};

/* No prefix, nothing about it. */
static const struct xm_option_table plain = {
	.program = "corners", .usage = "", .options = options,
	.count = XM_COUNT(options),
};

static const char *const strangers[] = { "XMC_OTHER", NULL };

static const struct xm_option_table prefixed = {
	.program = "corners", .usage = "", .options = options,
	.count = XM_COUNT(options), .prefix = "XMC", .strangers = strangers,
};

static const struct xm_option_table without_strangers = {
	.program = "corners", .usage = "", .options = options,
	.count = XM_COUNT(options), .prefix = "XMC",
};

/* A prefix that hardly anybody would take. */
static const struct xm_option_table odd = {
	.program = "corners", .usage = "", .options = options,
	.count = XM_COUNT(options), .prefix = "X~", .strangers = strangers,
};

static const struct xm_option text_config[] = {
	{ .name = "config", .kind = XM_OPTION_TEXT,
	  .value = "/nowhere/at/all", AT(text), .help = "A file." },
};

static const struct xm_option_table with_text = {
	.program = "corners", .usage = "", .options = text_config,
	.count = 1, .prefix = "XMC", .strangers = strangers,
};

static const struct xm_option directory_config[] = {
	{ .name = "config", .kind = XM_OPTION_TEXT, .value = "/tmp",
	  AT(text), .help = "A file, which is none." },
};

static const struct xm_option_table with_directory = {
	.program = "corners", .usage = "", .options = directory_config,
	.count = 1,
};

/* What no table may have: a kind that is none. */
static const struct xm_option kindless[] = {
	{ .name = "share", .kind = (enum xm_option_kind)99, AT(share),
	  .help = "None." },
};

static const struct xm_option_table without_kind = {
	.program = "corners", .usage = "", .options = kindless, .count = 1,
};

/* One option, which is not called config. */
static const struct xm_option_table without_config = {
	.program = "corners", .usage = "", .options = options, .count = 1,
};

static struct values set;
static struct xm_options *o;

static void begin(const struct xm_option_table *table)
{
	memset(&set, 0x5a, sizeof(set));
	CU_ASSERT_EQUAL_FATAL(xm_options_open(table, &set, &o), 0);
}

static void end(void)
{
	xm_options_close(o);
	o = NULL;
}

static char *const *words_of(const char *const words[])
{
	return (char *const *)(uintptr_t)words;
}

static int flags(const char *first, const char *second)
{
	const char *const argv[] = { "corners", first, second, NULL };

	return xm_options_read_flags(o, second != NULL ? 3 : 2,
				     words_of(argv), NULL);
}

static int variable(const char *entry)
{
	const char *const environment[] = { entry, NULL };

	return xm_options_read_environment(o, words_of(environment));
}

#define FAILS(call, sentence)                                                 \
	do {                                                                  \
		CU_ASSERT_EQUAL(call, -EINVAL);                               \
		CU_ASSERT_STRING_EQUAL(xm_options_words(o), sentence);        \
		if (strcmp(xm_options_words(o), sentence) != 0)               \
			fprintf(stderr, "%s\n", xm_options_words(o));         \
	} while (0)

/* --- memory -------------------------------------------------------------------------- */

static int everything(void)
{
	const char *const argv[] = { "corners", "--list=c", "--list=d",
				     "-cf", "-c7", "--share=20%", NULL };
	const char *const environment[] = { "XMC_LIST=e f", "XMC_TEXT=g",
					    NULL };
	int rc = xm_options_open(&prefixed, &set, &o);

	if (rc != 0)
		return rc;
	rc = xm_options_read_environment(o, words_of(environment));
	if (rc == 0)
		rc = xm_options_read_flags(o, 3, words_of(argv), NULL);
	if (rc == 0)
		rc = flags("-f", "-c7");
	if (rc == 0)
		rc = flags("--share=20%", "--choice=two");
	CU_ASSERT(rc == 0 || strstr(xm_options_words(o), ": no memory") != NULL);
	end();
	return rc;
}

static void every_allocation_may_fail(void)
{
	unsigned number = 0;
	int rc;

	do {
		left = number++;
		rc = everything();
		CU_ASSERT(rc == 0 || rc == -ENOMEM);
	} while (rc == -ENOMEM);
	left = UINT_MAX;
	CU_ASSERT(number > 40);
	CU_ASSERT_EQUAL(everything(), 0);
	xm_options_close(NULL);
}

/* --- values -------------------------------------------------------------------------- */

static void a_share_is_a_size_within_limits_or_a_part_of_a_hundred(void)
{
	begin(&plain);
	CU_ASSERT_EQUAL(flags("--share=1%", NULL), 0);
	CU_ASSERT_EQUAL(flags("--share=100%", NULL), 0);
	CU_ASSERT(set.share.percent == 100 && set.share.size == 0);
	CU_ASSERT_EQUAL(flags("--share=1M", "--share=1G"), 0);
	CU_ASSERT(set.share.percent == 0 && set.share.size == XM_GIB);
	CU_ASSERT_EQUAL(flags("--share=1000%", NULL), -EINVAL);
	CU_ASSERT_EQUAL(flags("--share=x%", NULL), -EINVAL);
	CU_ASSERT_EQUAL(flags("--share=%", NULL), -EINVAL);
	FAILS(flags("--share=", NULL), "--share: the value is empty; give a "
	      "size such as 4096, 64M or 1.5G, or a share such as 25%");
	FAILS(flags("--share=1K", NULL), "--share: 1K is too little: at least "
					 "1M");
	FAILS(flags("--share=2G", NULL), "--share: 2G is too much: at most 1G");
	FAILS(flags("--share", NULL), "--share: its value is missing; give a "
	      "size such as 4096, 64M or 1.5G, or a share such as 25%");
	CU_ASSERT_EQUAL(set.share.size, XM_GIB);
	end();
}

static void a_flag_is_said_in_eight_words(void)
{
	static const char *const yes[] = { "--flag=yes", "--flag=on",
					   "--flag=true", "--flag=1" };
	static const char *const no[] = { "--flag=no", "--flag=off",
					  "--flag=false", "--flag=0" };

	begin(&plain);
	for (size_t i = 0; i < XM_COUNT(yes); i++) {
		CU_ASSERT_EQUAL(flags(yes[i], NULL), 0);
		CU_ASSERT(set.flag);
		CU_ASSERT_EQUAL(flags(no[i], NULL), 0);
		CU_ASSERT_FALSE(set.flag);
	}
	CU_ASSERT_EQUAL(flags("--flag=", NULL), -EINVAL);
	end();
}

static void each_kind_says_what_it_expects(void)
{
	static const char *const expected[] = {
		[XM_OPTION_SIZE] = "a size such", [XM_OPTION_SHARE] = "a size",
		[XM_OPTION_DURATION] = "a duration", [XM_OPTION_COUNT] =
		"a number", [XM_OPTION_FLAG] = "yes or no",
		[XM_OPTION_TEXT] = "a text", [XM_OPTION_LIST] = "a text",
		[XM_OPTION_CHOICE] = "a text",
	};
	static const char *const units[] = {
		[XM_OPTION_SIZE] = "SIZE", [XM_OPTION_SHARE] = "SIZE|PERCENT",
		[XM_OPTION_DURATION] = "TIME", [XM_OPTION_COUNT] = "N",
		[XM_OPTION_FLAG] = "TEXT", [XM_OPTION_TEXT] = "TEXT",
		[XM_OPTION_LIST] = "TEXT", [XM_OPTION_CHOICE] = "one|two|three",
	};

	for (size_t i = 0; i < XM_COUNT(options); i++) {
		const char *words = expected[options[i].kind];

		CU_ASSERT_EQUAL(strncmp(xm_option_expected(&options[i]), words,
					strlen(words)), 0);
		CU_ASSERT_STRING_EQUAL(xm_option_unit(&options[i]),
				       units[options[i].kind]);
	}
}

static void what_is_wrong_is_told_for_each_kind(void)
{
	begin(&plain);
	FAILS(flags("--choice=", NULL), "--choice: the value is empty; give "
					"one of one|two|three");
	FAILS(flags("--choice=on", NULL),
	      "--choice: \"on\" is none of one|two|three");
	FAILS(flags("--choice=ten", NULL),
	      "--choice: \"ten\" is none of one|two|three");
	FAILS(flags("--duration=2s", NULL), "--duration: 2s is too much: at "
					    "most 1s");
	FAILS(flags("--duration=99999999999d", NULL),
	      "--duration: \"99999999999d\" does not fit in 64 bits");
	FAILS(flags("--count=5x", NULL), "--count: \"5x\" is not a number such "
					 "as 0 or 12");
	FAILS(flags("--count=\x7f", NULL), "--count: \"\\x7f\" is not a number "
					   "such as 0 or 12");
	FAILS(flags("--text", NULL), "--text: its value is missing; give TEXT");
	FAILS(flags("--list", NULL), "--list: its value is missing; give TEXT");
	FAILS(flags("-c", NULL), "--count: its value is missing; give a number "
				 "such as 0 or 12");
	FAILS(flags("-c", "--flag"), "--count: its value is missing; give a "
				     "number such as 0 or 12");
	FAILS(flags("-x", NULL), "--choice: its value is missing; give one of "
				 "one|two|three");
	FAILS(flags("-fc", "x"), "--count: \"x\" is not a number such as 0 or "
				 "12");
	FAILS(flags("-", NULL), "\"-\": nothing was expected here; flags begin "
				"with --");
	FAILS(flags("--no-", NULL), "--no-: there is no such option; see "
				    "--help");
	FAILS(flags("--no-flag=1", NULL), "--no-flag: there is no such option; "
					  "see --help");
	FAILS(flags("--no-zebra", NULL), "--no-zebra: there is no such option; "
					 "see --help");
	FAILS(flags("--help=me", NULL), "--help: there is no such option; see "
					"--help");
	FAILS(flags("--hiddem", NULL), "--hiddem: there is no such option; see "
				       "--help");
	FAILS(flags("--SIZE=1", NULL), "--SIZE: there is no such option; did "
				       "you mean --size?");
	CU_ASSERT_EQUAL(flags("--help", NULL), XM_OPTIONS_HELP);
	CU_ASSERT_EQUAL(xm_options_read_settings(o, NULL), 0);
	CU_ASSERT_FALSE(xm_options_given(o, "zebra"));
	end();
}

static void a_kind_that_is_none_keeps_nothing(void)
{
	const struct xm_option_source source = {
		.level = XM_LEVEL_FLAG, .origin = "--share", .names = true,
	};

	begin(&without_config);
	o->table = &without_kind;
	CU_ASSERT_EQUAL(xm_options_set(o, 0, &source, "7%"), 0);
	CU_ASSERT_EQUAL(set.share.percent, 50);
	end();
}

/* --- the environment ----------------------------------------------------------------- */

static void variables_of_others_are_left_alone(void)
{
	char name[400];

	begin(&plain);
	CU_ASSERT_EQUAL(variable("XMC_SIZE=nonsense"), 0); /* reads none */
	CU_ASSERT_EQUAL(set.size, 0);
	end();
	begin(&without_strangers);
	CU_ASSERT_EQUAL(variable("XMC_OTHER=1"), 0);
	CU_ASSERT_EQUAL(variable("XMC_SIZE=4K"), 0);
	CU_ASSERT_EQUAL(set.size, 4096);
	end();
	begin(&odd);
	FAILS(variable("X~_SIZF=1"), "X~_SIZF: there is no such variable; did "
				     "you mean X~_SIZE?");
	end();
	begin(&prefixed);
	CU_ASSERT_EQUAL(variable("XMC_OTHER=1"), 0);
	FAILS(variable("XMC_OTHES=1"), "XMC_OTHES: there is no such variable");
	FAILS(variable("XMC_size=1"), "XMC_size: there is no such variable; "
				      "did you mean XMC_SIZE?");
	CU_ASSERT_EQUAL(variable("XMC_SIZE"), 0); /* says nothing */
	CU_ASSERT_EQUAL(variable("XMC_9=1"), -EINVAL);
	memset(name, 'A', sizeof(name));
	memcpy(name, "XMC_", 4);
	memcpy(name + sizeof(name) - 3, "=1", 3);
	CU_ASSERT_EQUAL(variable(name), -EINVAL);
	end();
}

/* --- files --------------------------------------------------------------------------- */

static int load(const char *first, const char *second)
{
	const char *const argv[] = { "corners", first, second, NULL };
	int rest;

	return xm_options_load(o, second != NULL ? 3 : 2, words_of(argv), NULL,
			       &rest);
}

static void files_that_a_default_names_may_be_absent(void)
{
	begin(&plain);
	CU_ASSERT_EQUAL(load("--flag", NULL), 0);
	CU_ASSERT_EQUAL(load("--size=x", NULL), -EINVAL);
#ifdef HAVE_INIH
	CU_ASSERT_EQUAL(load("--config=/nowhere", NULL), -ENOENT);
#endif
	end();
	begin(&without_config);
	CU_ASSERT_EQUAL(load("--share=7%", NULL), 0);
	CU_ASSERT_EQUAL(load("--help", NULL), XM_OPTIONS_HELP);
	end();
	begin(&with_text);
	CU_ASSERT_EQUAL(load("--", NULL), 0);
	CU_ASSERT_FALSE(xm_options_given(o, "config"));
	CU_ASSERT_EQUAL(load("--config=", NULL), 0);
	CU_ASSERT(xm_options_given(o, "config"));
	CU_ASSERT_EQUAL(xm_options_load(o, 0, NULL,
					words_of((const char *const[]){
						"XMC_NONE=1", NULL }), NULL),
			-EINVAL);
	end();
#ifdef HAVE_INIH
	begin(&with_directory);
	CU_ASSERT_EQUAL(load("--", NULL), -EISDIR);
	end();
#endif
}

#ifdef HAVE_INIH

static void a_file_of_a_list_is_read_with_the_others(void)
{
	char first[] = "/tmp/xm-test-parsers-XXXXXX";
	char second[] = "/tmp/xm-test-parsers-XXXXXX";
	char one[64], two[64], words[128];
	int fd;

	fd = mkstemp(first);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, "size = 4K\n", 10), 10);
	close(fd);
	fd = mkstemp(second);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, "count = 7\nnonsense = 1\ncount = 8\n", 34),
			34);
	close(fd);
	snprintf(one, sizeof(one), "--config=%s", first);
	snprintf(two, sizeof(two), "--config=%s", second);
	begin(&plain);
	CU_ASSERT_EQUAL(load(one, NULL), 0);
	CU_ASSERT_EQUAL(set.size, 4096);
	/* Of several mistakes the first is told. */
	CU_ASSERT_EQUAL(load(two, NULL), -EINVAL);
	snprintf(words, sizeof(words), "%s:2: there is no such setting "
		 "\"nonsense\"", second);
	CU_ASSERT_STRING_EQUAL(xm_options_words(o), words);
	ini = REFUSES;
	CU_ASSERT_EQUAL(xm_options_read_file(o, first), -ENOMEM);
	ini = REFUSES_LATER;
	CU_ASSERT_EQUAL(xm_options_read_file(o, first), -EINVAL);
	ini = GOES_ON;
	CU_ASSERT_EQUAL(xm_options_read_file(o, first), -EINVAL);
	ini = READS;
	CU_ASSERT_EQUAL(set.size, 4096);
	end();
	unlink(first);
	unlink(second);
}

#endif

/* --- what is printed ----------------------------------------------------------------- */

static char *printed(void (*print)(const struct xm_option_table *, FILE *),
		     const struct xm_option_table *table)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(stream);
	print(table, stream);
	fclose(stream);
	return text;
}

static void what_is_hidden_is_not_printed(void)
{
	char *help = printed(xm_options_print_help, &plain);
	char *roff = printed(xm_options_print_roff, &plain);

	CU_ASSERT_PTR_NULL(strstr(help, "hidden"));
	CU_ASSERT_PTR_NULL(strstr(roff, "hidden"));
	/* Without a prefix no variable is named. */
	CU_ASSERT_PTR_NULL(strstr(help, "_SIZE"));
	/* Nothing in a help text is a command to roff. */
	CU_ASSERT_PTR_NOT_NULL(strstr(roff, "\n\\&.A text\\ewith a dot,\n\\&'and"));
	free(help);
	free(roff);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(every_allocation_may_fail),
		XM_TEST(a_share_is_a_size_within_limits_or_a_part_of_a_hundred),
		XM_TEST(a_flag_is_said_in_eight_words),
		XM_TEST(each_kind_says_what_it_expects),
		XM_TEST(what_is_wrong_is_told_for_each_kind),
		XM_TEST(a_kind_that_is_none_keeps_nothing),
		XM_TEST(variables_of_others_are_left_alone),
		XM_TEST(files_that_a_default_names_may_be_absent),
#ifdef HAVE_INIH
		XM_TEST(a_file_of_a_list_is_read_with_the_others),
#endif
		XM_TEST(what_is_hidden_is_not_printed),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("parsers", tests);
}
