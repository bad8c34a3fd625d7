/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of common/options.c and what belongs to it. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/cunit.h"
#include "common/options.h"

struct settings {
	struct xm_option_list appliance;
	uint64_t local;
	struct xm_option_share cache;
	uint64_t loss_timeout;
	uint64_t lanes;
	uint32_t paging;
	bool stats, verbose;
	const char *config;
	const char *name;
};

#define AT(member) offsetof(struct settings, member)

static const struct xm_option options[] = {
	{ .name = "appliance", .kind = XM_OPTION_LIST, .letter = 'a',
	  .unit = "ADDR", .min = 4, .destination = AT(appliance),
	  .help = "An appliance to take memory from." },
	{ .name = "local", .kind = XM_OPTION_SIZE, .letter = 'l',
	  .value = "64M", .min = XM_MIB, .max = XM_GIB << 10,
	  .destination = AT(local),
	  .help = "Local memory, most: caches and buffers together, which the "
		  "program never exceeds." },
	{ .name = "cache", .kind = XM_OPTION_SHARE, .value = "25%",
	  .destination = AT(cache), .help = "A share." },
	{ .name = "loss_timeout", .kind = XM_OPTION_DURATION, .value = "1s",
	  .live = true,
	  .min = 10 * XM_MS, .destination = AT(loss_timeout),
	  .help = "How long a page may be out of reach." },
	{ .name = "lanes", .kind = XM_OPTION_COUNT, .value = "1", .min = 1,
	  .max = 16, .destination = AT(lanes), .help = "Connections." },
	{ .name = "paging", .kind = XM_OPTION_CHOICE,
	  .choices = "auto|inline|thread", .destination = AT(paging),
	  .help = "How faults are served." },
	{ .name = "stats", .kind = XM_OPTION_FLAG, .letter = 's',
	  .value = "yes", .destination = AT(stats), .help = "Count." },
	{ .name = "verbose", .kind = XM_OPTION_FLAG, .letter = 'v',
	  .destination = AT(verbose), .help = "Say more." },
	{ .name = "config", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  .destination = AT(config), .help = "Settings file." },
	{ .name = "name", .kind = XM_OPTION_TEXT, .value = "me", .min = 1,
	  .max = 8, .destination = AT(name), .help = "A name." },
};

static const char *const strangers[] = { "XMT_INFO", NULL };

static const struct xm_option_table table = {
	.program = "tester",
	.prefix = "XMT",
	.usage = "[OPTION]... FILE",
	.about = "Tries what options can do.",
	.options = options,
	.count = XM_COUNT(options),
	.strangers = strangers,
};

static struct settings set;
static struct xm_options *o;

static void begin(void)
{
	memset(&set, 0x5a, sizeof(set));
	CU_ASSERT_EQUAL_FATAL(xm_options_open(&table, &set, &o), 0);
}

static void end(void)
{
	xm_options_close(o);
	o = NULL;
}

/* argv and environ are char *const [], for no good reason. */
static char *const *words_of(const char *const words[])
{
	return (char *const *)(uintptr_t)words;
}

static int flag(const char *first, const char *second)
{
	const char *const argv[] = { "tester", first, second, NULL };

	return xm_options_read_flags(o, second ? 3 : 2, words_of(argv), NULL);
}

static int variable(const char *entry)
{
	const char *const environment[] = { entry, NULL };

	return xm_options_read_environment(o, words_of(environment));
}

static int setting(const char *text)
{
	const char *const settings[] = { text, NULL };

	return xm_options_read_settings(o, settings);
}

/* The words of a failure; what it was is asserted by the caller. */
#define FAILS(call, sentence)                                                 \
	do {                                                                  \
		CU_ASSERT_EQUAL(call, -EINVAL);                               \
		CU_ASSERT_STRING_EQUAL(xm_options_words(o), sentence);        \
		if (strcmp(xm_options_words(o), sentence) != 0)               \
			fprintf(stderr, "%s\n", xm_options_words(o));         \
	} while (0)

static void a_size_is_digits_and_a_unit_and_nothing_else(void)
{
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "4096B", 4096 },
		{ "64M", 64 * XM_MIB },
		{ "64m", 64 * XM_MIB },
		{ "64Mi", 64 * XM_MIB },
		{ "64MiB", 64 * XM_MIB },
		{ "1.5G", XM_GIB + XM_GIB / 2 },
		{ "0.5k", 512 },
		{ "3T", 3 * (XM_GIB << 10) },
		{ "18446744073709551615", UINT64_MAX },
		{ "16777215T", UINT64_C(16777215) << 40 },
	};
	static const char *const bad[] = { "",	    "M",    "-1",   "+1",
					   " 1",    "1 ",   "1x",   "1MM",
					   "1MiBs", "1.M",  ".5M",  "1.5",
					   "1.5B",  "1e3",  "0x10", "1,5M",
					   "1.123456M", "64 M", "64MB", "25%" };
	static const char *const large[] = { "18446744073709551616",
					     "16777216T",
					     "99999999999999999999G" };
	uint64_t size;

	for (size_t i = 0; i < XM_COUNT(good); i++) {
		size = 7;
		CU_ASSERT_EQUAL(xm_parse_size(good[i].text, &size), 0);
		CU_ASSERT_EQUAL(size, good[i].size);
	}
	size = 7;
	for (size_t i = 0; i < XM_COUNT(bad); i++)
		CU_ASSERT_EQUAL(xm_parse_size(bad[i], &size), -EINVAL);
	for (size_t i = 0; i < XM_COUNT(large); i++)
		CU_ASSERT_EQUAL(xm_parse_size(large[i], &size), -ERANGE);
	CU_ASSERT_EQUAL(size, 7);
}

static void a_duration_has_a_unit(void)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "0", 0 },
		{ "0s", 0 },
		{ "17ns", 17 },
		{ "1.5us", 1500 },
		{ "250ms", 250 * XM_MS },
		{ "10s", 10 * XM_SECOND },
		{ "2m", 120 * XM_SECOND },
		{ "2min", 120 * XM_SECOND },
		{ "1h", 3600 * XM_SECOND },
		{ "1.5d", 129600 * XM_SECOND },
	};
	static const char *const bad[] = { "",	 "10",	"s",   "-1s", "1 s",
					   "1S", "1ss", "1.s", "1M",  "1s ",
					   "0.5" };
	uint64_t ns;

	for (size_t i = 0; i < XM_COUNT(good); i++) {
		ns = 7;
		CU_ASSERT_EQUAL(xm_parse_duration(good[i].text, &ns), 0);
		CU_ASSERT_EQUAL(ns, good[i].ns);
	}
	for (size_t i = 0; i < XM_COUNT(bad); i++)
		CU_ASSERT_EQUAL(xm_parse_duration(bad[i], &ns), -EINVAL);
	CU_ASSERT_EQUAL(xm_parse_duration("213504d", &ns), -ERANGE);
	CU_ASSERT_EQUAL(xm_parse_duration("213503d", &ns), 0);
}

static void what_is_formatted_can_be_parsed(void)
{
	uint64_t numbers[] = { 0,	 1,	     512,	4097,
			       64 * XM_MIB, XM_GIB << 10, XM_SECOND, 90 * XM_MS,
			       UINT64_MAX };
	char text[32];
	uint64_t back;

	for (size_t i = 0; i < XM_COUNT(numbers); i++) {
		xm_format_size(numbers[i], text, sizeof(text));
		CU_ASSERT_EQUAL(xm_parse_size(text, &back), 0);
		CU_ASSERT_EQUAL(back, numbers[i]);
		xm_format_duration(numbers[i], text, sizeof(text));
		CU_ASSERT_EQUAL(xm_parse_duration(text, &back), 0);
		CU_ASSERT_EQUAL(back, numbers[i]);
	}
	xm_format_size(64 * XM_MIB, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "64M");
	xm_format_duration(90 * XM_SECOND, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "90s");
}

static void defaults_are_there_from_the_start(void)
{
	begin();
	CU_ASSERT_EQUAL(set.appliance.count, 0);
	CU_ASSERT_PTR_NULL(set.appliance.items[0]);
	CU_ASSERT_EQUAL(set.local, 64 * XM_MIB);
	CU_ASSERT(set.cache.percent == 25 && set.cache.size == 0);
	CU_ASSERT_EQUAL(set.loss_timeout, XM_SECOND);
	CU_ASSERT_EQUAL(set.lanes, 1);
	CU_ASSERT_EQUAL(set.paging, 0);
	CU_ASSERT(set.stats && !set.verbose);
	CU_ASSERT_STRING_EQUAL(set.config, "");
	CU_ASSERT_STRING_EQUAL(set.name, "me");
	CU_ASSERT_STRING_EQUAL(xm_options_origin(o, "local"), "default");
	CU_ASSERT_PTR_NULL(xm_options_origin(o, "nothing"));
	CU_ASSERT_FALSE(xm_options_given(o, "local"));
	CU_ASSERT_STRING_EQUAL(xm_options_words(o), "");
	end();
}

static void flags_come_in_every_usual_shape(void)
{
	const char *const argv[] = { "tester", "--local=2M",	 "--loss-timeout",
			       "250ms",	 "-a",		 "loop:a",
			       "-aloop:b", "--no-stats", "--cache", "1G",
			       "--paging=thread", "-v",	 "--loss_timeout=2s",
			       "sort",	 "--local",	 "x" };
	int rest = 0;

	begin();
	CU_ASSERT_EQUAL(xm_options_read_flags(o, XM_COUNT(argv), words_of(argv),
					      &rest),
			0);
	CU_ASSERT_EQUAL(rest, 13);
	CU_ASSERT_EQUAL(set.local, 2 * XM_MIB);
	CU_ASSERT_EQUAL(set.loss_timeout, 2 * XM_SECOND);
	CU_ASSERT_EQUAL(set.appliance.count, 2);
	CU_ASSERT_STRING_EQUAL(set.appliance.items[0], "loop:a");
	CU_ASSERT_STRING_EQUAL(set.appliance.items[1], "loop:b");
	CU_ASSERT_PTR_NULL(set.appliance.items[2]);
	CU_ASSERT(set.cache.percent == 0 && set.cache.size == XM_GIB);
	CU_ASSERT_EQUAL(set.paging, 2);
	CU_ASSERT(!set.stats && set.verbose);
	CU_ASSERT_STRING_EQUAL(xm_options_origin(o, "loss_timeout"),
			       "--loss-timeout");
	CU_ASSERT_EQUAL(flag("-sv", "--"), 0);
	CU_ASSERT(set.stats && set.verbose);
	CU_ASSERT_EQUAL(flag("--help", NULL), XM_OPTIONS_HELP);
	CU_ASSERT_EQUAL(flag("-h", NULL), XM_OPTIONS_HELP);
	CU_ASSERT_EQUAL(flag("--version", NULL), XM_OPTIONS_VERSION);
	end();
}

static void what_follows_two_dashes_is_left_alone(void)
{
	const char *const argv[] = { "tester", "-v", "--", "--local", "x", NULL };
	const char *const none[] = { "tester", NULL };
	int rest = 0;

	begin();
	CU_ASSERT_EQUAL(xm_options_read_flags(o, 5, words_of(argv), &rest), 0);
	CU_ASSERT_EQUAL(rest, 3);
	CU_ASSERT_EQUAL(xm_options_read_flags(o, 1, words_of(none), &rest), 0);
	CU_ASSERT_EQUAL(rest, 1);
	CU_ASSERT_EQUAL(xm_options_read_flags(o, 0, NULL, &rest), 0);
	CU_ASSERT_EQUAL(rest, 0);
	end();
}

static void a_wrong_flag_is_told_with_what_would_be_right(void)
{
	begin();
	FAILS(flag("--local=64X", NULL), "--local: \"64X\" is not a size such "
					 "as 4096, 64M or 1.5G");
	FAILS(flag("--local", "-5"), "--local: \"-5\" is not a size such as "
				     "4096, 64M or 1.5G");
	FAILS(flag("-l", "99999999T"),
	      "--local: \"99999999T\" does not fit in 64 bits");
	FAILS(flag("--local=", NULL), "--local: the value is empty; give a "
				      "size such as 4096, 64M or 1.5G");
	FAILS(flag("--local", NULL), "--local: its value is missing; give a "
				     "size such as 4096, 64M or 1.5G");
	FAILS(flag("--local", "--verbose"),
	      "--local: its value is missing; give a size such as 4096, 64M "
	      "or 1.5G");
	FAILS(flag("--local=4K", NULL), "--local: 4K is too little: at least "
					"1M");
	FAILS(flag("--local=2048G", NULL), "--local: 2048G is too much: at "
					   "most 1T");
	FAILS(flag("--lanes=17", NULL), "--lanes: 17 is too much: at most 16");
	FAILS(flag("--lanes=0", NULL), "--lanes: 0 is too little: at least 1");
	FAILS(flag("--loss-timeout=10", NULL),
	      "--loss-timeout: \"10\" is not a duration with its unit, such "
	      "as 250ms, 10s or 2m");
	FAILS(flag("--loss-timeout=1ms", NULL),
	      "--loss-timeout: 1ms is too little: at least 10ms");
	FAILS(flag("--cache=101%", NULL),
	      "--cache: \"101%\" is not a size such as 4096, 64M or 1.5G, or "
	      "a share such as 25%");
	FAILS(flag("--cache=0%", NULL),
	      "--cache: \"0%\" is not a size such as 4096, 64M or 1.5G, or a "
	      "share such as 25%");
	FAILS(flag("--paging=often", NULL),
	      "--paging: \"often\" is none of auto|inline|thread");
	FAILS(flag("--paging", NULL), "--paging: its value is missing; give "
				      "one of auto|inline|thread");
	FAILS(flag("--stats=maybe", NULL),
	      "--stats: \"maybe\" is not yes or no");
	FAILS(flag("--name=123456789", NULL),
	      "--name: \"123456789\" is too long: at most 8 bytes");
	FAILS(flag("-a", "x"), "--appliance: \"x\" is too short: at least 4 "
			       "bytes");
	FAILS(flag("--local=\x01\n", NULL),
	      "--local: \"\\x01\\x0a\" is not a size such as 4096, 64M or "
	      "1.5G");
	FAILS(flag("file", NULL), "\"file\": nothing was expected here; flags "
				  "begin with --");
	CU_ASSERT_EQUAL(set.local, 64 * XM_MIB);
	CU_ASSERT_EQUAL(set.lanes, 1);
	end();
}

static void an_unknown_name_suggests_the_nearest(void)
{
	begin();
	FAILS(flag("--loacl=64M", NULL), "--loacl: there is no such option; "
					 "did you mean --local?");
	FAILS(flag("--los_timeout=1s", NULL),
	      "--los_timeout: there is no such option; did you mean "
	      "--loss-timeout?");
	FAILS(flag("--loc=1s", NULL), "--loc: there is no such option; did "
				      "you mean --local?");
	FAILS(flag("--zebra", NULL), "--zebra: there is no such option; see "
				     "--help");
	FAILS(flag("--no-local", NULL),
	      "--no-local: there is no such option; see --help");
	FAILS(flag("--lossy=1s", NULL), "--lossy: there is no such option; see "
					"--help");
	FAILS(flag("-q", NULL), "-q: there is no such option; see --help");
	FAILS(variable("XMT_LOCALS=1M"), "XMT_LOCALS: there is no such "
					 "variable; did you mean XMT_LOCAL?");
	FAILS(variable("XMT_ZEBRA=1M"), "XMT_ZEBRA: there is no such "
					"variable");
	FAILS(setting("lane=2"), "settings: there is no such option \"lane\"; "
				 "did you mean lanes?");
	FAILS(setting("local"), "settings: \"local\" has no '='; give "
				"\"name=value\"");
	end();
}

static void an_absurdly_long_name_is_only_unknown(void)
{
	char *name = malloc(100000);

	CU_ASSERT_PTR_NOT_NULL_FATAL(name);
	memset(name, 'a', 99999);
	name[99999] = '\0';
	memcpy(name, "--", 2);
	begin();
	CU_ASSERT_EQUAL(flag(name, NULL), -EINVAL);
	CU_ASSERT(strlen(xm_options_words(o)) < 300);
	memcpy(name, "XMT_", 4);
	name[99000] = '=';
	CU_ASSERT_EQUAL(variable(name), -EINVAL);
	CU_ASSERT(strlen(xm_options_words(o)) < 300);
	memcpy(name, "local=", 6);
	CU_ASSERT_EQUAL(setting(name), -EINVAL);
	CU_ASSERT(strlen(xm_options_words(o)) < 300);
	end();
	free(name);
}

static void the_environment_is_read_by_its_prefix(void)
{
	begin();
	CU_ASSERT_EQUAL(variable("XMT_LOCAL=2M"), 0);
	CU_ASSERT_EQUAL(set.local, 2 * XM_MIB);
	CU_ASSERT_STRING_EQUAL(xm_options_origin(o, "local"), "XMT_LOCAL");
	CU_ASSERT_EQUAL(variable("XMT_APPLIANCE=loop:a, loop:b  loop:c"), 0);
	CU_ASSERT_EQUAL(set.appliance.count, 3);
	CU_ASSERT_STRING_EQUAL(set.appliance.items[2], "loop:c");
	CU_ASSERT_EQUAL(variable("XMT_INFO=1"), 0); /* someone else's */
	CU_ASSERT_EQUAL(variable("XMTRA=1"), 0);
	CU_ASSERT_EQUAL(variable("PATH=/bin"), 0);
	CU_ASSERT_EQUAL(variable("nonsense"), 0);
	CU_ASSERT_EQUAL(xm_options_read_environment(o, NULL), 0);
	FAILS(variable("XMT_LOCAL=much"), "XMT_LOCAL: \"much\" is not a size "
					  "such as 4096, 64M or 1.5G");
	FAILS(variable("XMT_APPLIANCE= ,"), "XMT_APPLIANCE: the value is "
					    "empty; give ADDR");
	end();
}

static void a_higher_source_wins_in_whatever_order_they_are_read(void)
{
	begin();
	CU_ASSERT_EQUAL(setting("local=5M"), 0);
	CU_ASSERT_EQUAL(flag("--local=4M", NULL), 0);
	CU_ASSERT_EQUAL(variable("XMT_LOCAL=3M"), 0);
	CU_ASSERT_EQUAL(set.local, 5 * XM_MIB);
	CU_ASSERT_STRING_EQUAL(xm_options_origin(o, "local"), "settings");
	end();
	begin();
	CU_ASSERT_EQUAL(variable("XMT_LOCAL=3M"), 0);
	CU_ASSERT_EQUAL(set.local, 3 * XM_MIB);
	CU_ASSERT_EQUAL(flag("--local=4M", "--local=6M"), 0);
	CU_ASSERT_EQUAL(set.local, 6 * XM_MIB); /* the last flag */
	CU_ASSERT_EQUAL(setting("local=5M"), 0);
	CU_ASSERT_EQUAL(set.local, 5 * XM_MIB);
	/* Overruled mistakes are told all the same. */
	CU_ASSERT_EQUAL(variable("XMT_LOCAL=x"), -EINVAL);
	end();
	begin();
	CU_ASSERT_EQUAL(flag("-a", "loop:f"), 0);
	CU_ASSERT_EQUAL(variable("XMT_APPLIANCE=loop:e"), 0);
	CU_ASSERT_EQUAL(set.appliance.count, 1);
	CU_ASSERT_STRING_EQUAL(set.appliance.items[0], "loop:f");
	CU_ASSERT_EQUAL(setting("appliance=loop:s"), 0);
	CU_ASSERT_EQUAL(setting("appliance=loop:t"), 0);
	CU_ASSERT_EQUAL(set.appliance.count, 2);
	CU_ASSERT_STRING_EQUAL(set.appliance.items[0], "loop:s");
	end();
}

/* --- files ----------------------------------------------------------------------- */

static char path[64];

static int file(const char *text, size_t size)
{
	int fd, r;

	snprintf(path, sizeof(path), "/tmp/xm-test-options-XXXXXX");
	fd = mkstemp(path);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, size), (ssize_t)size);
	close(fd);
	r = xm_options_read_file(o, path);
	unlink(path);
	return r;
}

#define FILE_TEXT(text) file(text, sizeof(text) - 1)

#define FILE_FAILS(text, sentence)                                            \
	do {                                                                  \
		char want[400];                                               \
		CU_ASSERT_EQUAL(FILE_TEXT(text), -EINVAL);                    \
		snprintf(want, sizeof(want), "%s" sentence, path);            \
		CU_ASSERT_STRING_EQUAL(xm_options_words(o), want);            \
		if (strcmp(xm_options_words(o), want) != 0)                   \
			fprintf(stderr, "%s\n", xm_options_words(o));         \
	} while (0)

#ifdef HAVE_INIH
static void a_file_gives_settings(void)
{
	char origin[80];

	begin();
	CU_ASSERT_EQUAL(FILE_TEXT("# a comment\n; another\n\n"
				  "local = 2M\n"
				  "  loss-timeout=3s\n"
				  "[tester]\n"
				  "appliance = loop:a loop:b\n"
				  "appliance = loop:c\n"
				  "verbose = on\n"
				  "paging: inline"),
			0);
	CU_ASSERT_EQUAL(set.local, 2 * XM_MIB);
	CU_ASSERT_EQUAL(set.loss_timeout, 3 * XM_SECOND);
	CU_ASSERT_EQUAL(set.appliance.count, 3);
	CU_ASSERT_EQUAL(set.paging, 1);
	CU_ASSERT(set.verbose);
	snprintf(origin, sizeof(origin), "%s:4", path);
	CU_ASSERT_STRING_EQUAL(xm_options_origin(o, "local"), origin);
	/* The environment overrules it, read later or sooner. */
	CU_ASSERT_EQUAL(variable("XMT_LOCAL=3M"), 0);
	CU_ASSERT_EQUAL(FILE_TEXT("local = 4M\n"), 0);
	CU_ASSERT_EQUAL(set.local, 3 * XM_MIB);
	CU_ASSERT_EQUAL(FILE_TEXT(""), 0);
	end();
}

static void a_file_that_contradicts_itself_is_refused(void)
{
	begin();
	FILE_FAILS("local = 2M\n\nlocal = 3M\n",
		   ":3: local: it was given already, in line 1; keep one of "
		   "the two");
	CU_ASSERT_EQUAL(FILE_TEXT("local = 2M\n"), 0);
	CU_ASSERT_EQUAL(FILE_TEXT("local = 3M\n"), 0); /* the last file */
	CU_ASSERT_EQUAL(set.local, 3 * XM_MIB);
	CU_ASSERT_EQUAL(flag("--lanes=2", NULL), 0);
	FILE_FAILS("lanes = 3\nlanes = 4\n",
		   ":2: lanes: it was given already, in line 1; keep one of "
		   "the two");
	end();
}

static void a_file_that_is_wrong_is_told_by_line(void)
{
	begin();
	FILE_FAILS("\nlocal = 64X\n", ":2: local: \"64X\" is not a size such "
				      "as 4096, 64M or 1.5G");
	FILE_FAILS("loacl = 64M\n", ":1: there is no such setting \"loacl\"; "
				    "did you mean local?");
	FILE_FAILS("local = 2M\nnonsense\nlanes = 99\n",
		   ":2: this is neither \"name = value\" nor \"[tester]\" nor "
		   "a comment");
	FILE_FAILS("[other]\nlocal = 2M\n",
		   ":2: section [other] is not for tester; its settings stand "
		   "in no section, or in [tester]");
	FILE_FAILS("[tester\n", ":1: this is neither \"name = value\" nor "
				"\"[tester]\" nor a comment");
	FILE_FAILS("local =\n", ":1: local: the value is empty; give a size "
				"such as 4096, 64M or 1.5G");
	FILE_FAILS("config = x\n", ":1: config: a file cannot name another");
	FILE_FAILS("local = 2M\nna\0me = 3\n",
		   ":2: there is a zero byte; this is not a text file");
	end();
}

static void a_long_line_is_refused_and_not_cut(void)
{
	char text[5000];

	begin();
	memset(text, '0', sizeof(text));
	memcpy(text, "local = ", 8);
	text[sizeof(text) - 1] = '\n';
	CU_ASSERT_EQUAL(file(text, sizeof(text)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(xm_options_words(o),
				      ":1: the line is too long"));
	end();
}

static void a_file_that_cannot_be_read_is_an_error(void)
{
	const char *const argv[] = { "tester", "--config=/nowhere/at/all", NULL };

	begin();
	CU_ASSERT_EQUAL(xm_options_read_file(o, "/nowhere/at/all"), -ENOENT);
	CU_ASSERT_STRING_EQUAL(xm_options_words(o),
			       "/nowhere/at/all: No such file or directory");
	CU_ASSERT_EQUAL(xm_options_read_file(o, "/tmp"), -EISDIR);
	CU_ASSERT_EQUAL(xm_options_load(o, 2, words_of(argv), NULL, NULL), -ENOENT);
	end();
}

static void load_reads_flags_environment_and_the_file_they_name(void)
{
	char variable[100];
	const char *const environment[] = { "XMT_LANES=3", variable, NULL };
	const char *const argv[] = { "tester", "--local=7M", "rest", NULL };
	int rest = 0, fd;
	FILE *config;

	snprintf(path, sizeof(path), "/tmp/xm-test-options-XXXXXX");
	fd = mkstemp(path);
	CU_ASSERT_FATAL(fd >= 0);
	config = fdopen(fd, "w");
	fputs("local = 2M\nlanes = 2\nname = file\n", config);
	fclose(config);
	snprintf(variable, sizeof(variable), "XMT_CONFIG=%s", path);
	begin();
	CU_ASSERT_EQUAL(xm_options_load(o, 3, words_of(argv),
					words_of(environment), &rest), 0);
	CU_ASSERT_EQUAL(rest, 2);
	CU_ASSERT_EQUAL(set.local, 7 * XM_MIB);
	CU_ASSERT_EQUAL(set.lanes, 3);
	CU_ASSERT_STRING_EQUAL(set.name, "file");
	end();
	unlink(path);
}
#else
static void without_inih_a_file_is_refused_in_words(void)
{
	begin();
	CU_ASSERT_EQUAL(FILE_TEXT("local = 2M\n"), -ENOSYS);
	CU_ASSERT_PTR_NOT_NULL(strstr(xm_options_words(o), "inih"));
	end();
}
#endif

/* --- what is printed --------------------------------------------------------------- */

static char *printed(void (*print)(FILE *))
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(stream);
	print(stream);
	fclose(stream);
	return text;
}

static void print_help(FILE *stream)
{
	xm_options_print_help(&table, stream);
}

static void print_roff(FILE *stream)
{
	xm_options_print_roff(&table, stream);
}

static void print_values(FILE *stream)
{
	xm_options_print_values(o, stream);
}

static void help_names_every_option_in_eighty_columns(void)
{
	char *text = printed(print_help);

	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Usage: tester [OPTION]... FILE"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "-a, --appliance=ADDR"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "--loss-timeout=TIME"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "--paging=auto|inline|thread"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "--[no-]stats"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Default: 64M."));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "[XMT_LOCAL]"));
	for (char *line = text; *line;) {
		size_t size = strcspn(line, "\n");

		CU_ASSERT(size < 80);
		CU_ASSERT(size == 0 || line[size - 1] != ' ');
		line += size + (line[size] == '\n');
	}
	free(text);
}

static void values_are_shown_with_their_origin(void)
{
	char *text;

	begin();
	CU_ASSERT_EQUAL(flag("--local=2M", "--appliance=loop:a"), 0);
	CU_ASSERT_EQUAL(flag("--appliance=loop:b", NULL), 0);
	CU_ASSERT_EQUAL(variable("XMT_LANES=3"), 0);
	text = printed(print_values);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "local         2M             --local\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "appliance     loop:a loop:b  --appliance\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "lanes         3              XMT_LANES\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "paging        auto           default\n"));
	free(text);
	end();
}

/* What differs, by name, once `setting` is given besides. */
static const char *changed_by(const char *setting)
{
	const char *const before[] = { "appliance=addr1", NULL };
	const char *const after[] = { "appliance=addr1", setting, NULL };
	struct settings a, b;
	struct xm_options *oa, *ob;
	const char *name;

	CU_ASSERT_EQUAL_FATAL(xm_options_open(&table, &a, &oa), 0);
	CU_ASSERT_EQUAL_FATAL(xm_options_open(&table, &b, &ob), 0);
	CU_ASSERT_EQUAL(xm_options_read_settings(oa, before), 0);
	CU_ASSERT_EQUAL(xm_options_read_settings(ob, after), 0);
	name = xm_options_changed(&table, &a, &b);
	xm_options_close(oa);
	xm_options_close(ob);
	return name;
}

static void what_changed_is_named_unless_it_is_live(void)
{
	CU_ASSERT_PTR_NULL(changed_by(NULL));
	CU_ASSERT_PTR_NULL(changed_by("lanes=1"));
	CU_ASSERT_STRING_EQUAL(changed_by("lanes=2"), "lanes");
	CU_ASSERT_STRING_EQUAL(changed_by("local=65M"), "local");
	CU_ASSERT_STRING_EQUAL(changed_by("cache=26%"), "cache");
	CU_ASSERT_STRING_EQUAL(changed_by("appliance=addr2"), "appliance");
	CU_ASSERT_STRING_EQUAL(changed_by("paging=thread"), "paging");
	CU_ASSERT_STRING_EQUAL(changed_by("stats=no"), "stats");
	CU_ASSERT_STRING_EQUAL(changed_by("name=you"), "name");
	CU_ASSERT_PTR_NULL(changed_by("loss_timeout=2s"));
}

static void the_manual_has_every_option_and_no_bare_dash(void)
{
	char *text = printed(print_roff);

	CU_ASSERT_PTR_NOT_NULL(strstr(text, ".SH OPTIONS\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "\\fB\\-\\-loss\\-timeout\\fR=\\fITIME\\fR\n"));
	for (char *at = text; *at; at++)
		CU_ASSERT(*at != '-' || (at > text && at[-1] == '\\'));
	free(text);
}

/* --- families ------------------------------------------------------------------- */

static const struct xm_option family_options[] = {
	{ .name = "way", .kind = XM_OPTION_TEXT, .help = "One.",
	  .destination = 0 },
	{ .name = "way", .kind = XM_OPTION_NAMED, .hidden = true, .help = "All.",
	  .destination = sizeof(const char *) },
};
static const struct xm_option_table family = {
	.program = "tester", .prefix = "XMT", .options = family_options,
	.count = XM_COUNT(family_options),
};
static struct {
	const char *way;
	struct xm_option_list ways;
} ways;

/* All of them, "a=1; b=2". */
static const char *all_ways(void)
{
	static char text[256];
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ways.ways.count; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
				       i > 0 ? "; " : "", ways.ways.items[i]);
	return text;
}

static void a_family_has_a_text_for_each_name(void)
{
	CU_ASSERT_EQUAL_FATAL(xm_options_open(&family, &ways, &o), 0);
	CU_ASSERT_STRING_EQUAL(all_ways(), "");
	CU_ASSERT_EQUAL(setting("way.a=first, of all"), 0);
	CU_ASSERT_EQUAL(setting("way=a"), 0);
	CU_ASSERT_EQUAL(flag("--way.b", "flag"), 0);
	CU_ASSERT_STRING_EQUAL(ways.way, "a");
	CU_ASSERT_STRING_EQUAL(all_ways(), "a=first, of all; b=flag");
	/* The higher level counts, whichever comes first. */
	CU_ASSERT_EQUAL(flag("--way.a=lower", NULL), 0);
	CU_ASSERT_EQUAL(setting("way.b=higher"), 0);
	CU_ASSERT_EQUAL(setting("way.b=last"), 0);
	CU_ASSERT_STRING_EQUAL(all_ways(), "a=first, of all; b=last");
	CU_ASSERT_EQUAL(setting("way.x-1_y="), 0);
	FAILS(setting("way.=x"), "settings: way.: a name behind the dot has 1 "
				 "to 31 small letters, digits, - or _");
	FAILS(setting("way.A=x"), "settings: way.: a name behind the dot has 1 "
				  "to 31 small letters, digits, - or _");
	FAILS(setting("other.a=x"), "settings: there is no such option "
				    "\"other.a\"");
	CU_ASSERT_EQUAL(variable("XMT_WAY=b"), 0);
	CU_ASSERT_STRING_EQUAL(ways.way, "a");
	end();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_size_is_digits_and_a_unit_and_nothing_else),
		XM_TEST(a_duration_has_a_unit),
		XM_TEST(what_is_formatted_can_be_parsed),
		XM_TEST(defaults_are_there_from_the_start),
		XM_TEST(flags_come_in_every_usual_shape),
		XM_TEST(what_follows_two_dashes_is_left_alone),
		XM_TEST(a_wrong_flag_is_told_with_what_would_be_right),
		XM_TEST(an_unknown_name_suggests_the_nearest),
		XM_TEST(an_absurdly_long_name_is_only_unknown),
		XM_TEST(the_environment_is_read_by_its_prefix),
		XM_TEST(a_higher_source_wins_in_whatever_order_they_are_read),
#ifdef HAVE_INIH
		XM_TEST(a_file_gives_settings),
		XM_TEST(a_file_that_contradicts_itself_is_refused),
		XM_TEST(a_file_that_is_wrong_is_told_by_line),
		XM_TEST(a_long_line_is_refused_and_not_cut),
		XM_TEST(a_file_that_cannot_be_read_is_an_error),
		XM_TEST(load_reads_flags_environment_and_the_file_they_name),
#else
		XM_TEST(without_inih_a_file_is_refused_in_words),
#endif
		XM_TEST(help_names_every_option_in_eighty_columns),
		XM_TEST(values_are_shown_with_their_origin),
		XM_TEST(what_changed_is_named_unless_it_is_live),
		XM_TEST(the_manual_has_every_option_and_no_bare_dash),
		XM_TEST(a_family_has_a_text_for_each_name),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("options", tests);
}
