/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log: levels for subsystems, how many messages in a time, how a message is written;
 * and that it goes to the journal if standard error does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/logger.h"
#include "tests/support/cunit.h"

static const char *const names[] = { "daemon", "control", "memory" };
static struct xm_log_rules rules;
static char text[512];

static int read_levels(const char *levels)
{
	struct xm_words words;

	xm_words_begin(&words, text, sizeof(text));
	return xm_log_rules_read(&rules, levels, &words);
}

static bool passes(unsigned subsystem, enum xm_level level)
{
	uint32_t unsaid;

	return xm_log_rules_pass(&rules, subsystem, level, 0, &unsaid);
}

static void each_subsystem_has_its_level(void)
{
	xm_log_rules_begin(&rules, names, 3);
	CU_ASSERT_TRUE(passes(1, XM_LEVEL_INFO));
	CU_ASSERT_FALSE(passes(1, XM_LEVEL_DEBUG));
	CU_ASSERT_EQUAL(read_levels("warning, control=debug"), 0);
	CU_ASSERT_TRUE(passes(1, XM_LEVEL_DEBUG));
	CU_ASSERT_FALSE(passes(0, XM_LEVEL_INFO));
	CU_ASSERT_TRUE(passes(2, XM_LEVEL_WARNING));
	CU_ASSERT_EQUAL(read_levels("memory=error"), 0);
	CU_ASSERT_FALSE(passes(2, XM_LEVEL_WARNING));
	CU_ASSERT_TRUE(passes(1, XM_LEVEL_INFO));
	CU_ASSERT_FALSE(passes(1, XM_LEVEL_DEBUG));
}

static void wrong_levels_are_named_and_change_nothing(void)
{
	static const char *const wrong[] = {
		"", "loud", "info,", "info,,info", "network=info", "control=",
		"control", "=info", "info debug", "control=debug=info", "inf",
		"infos", ",info",
	};

	xm_log_rules_begin(&rules, names, 3);
	CU_ASSERT_EQUAL(read_levels("control=debug"), 0);
	for (size_t i = 0; i < XM_COUNT(wrong); i++) {
		CU_ASSERT_EQUAL(read_levels(wrong[i]), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "daemon, control, memory"));
	}
	CU_ASSERT_TRUE(passes(1, XM_LEVEL_DEBUG));
}

static void a_flood_is_cut_and_counted(void)
{
	unsigned said = 0;
	uint32_t unsaid = 0;

	xm_log_rules_begin(&rules, names, 3);
	for (unsigned i = 0; i < 1000; i++)
		said += xm_log_rules_pass(&rules, 1, XM_LEVEL_ERROR, 1, &unsaid);
	CU_ASSERT_EQUAL(said, XM_LOG_BURST);
	CU_ASSERT_TRUE(passes(2, XM_LEVEL_ERROR)); /* others are not touched */
	CU_ASSERT_FALSE(xm_log_rules_pass(&rules, 1, XM_LEVEL_ERROR, 2, &unsaid));
	CU_ASSERT_TRUE(xm_log_rules_pass(&rules, 1, XM_LEVEL_ERROR,
					 XM_SECOND / XM_LOG_RATE + 1, &unsaid));
	CU_ASSERT_EQUAL(unsaid, 1000 - XM_LOG_BURST + 1);
	said = 0;
	for (unsigned i = 0; i < 1000; i++)
		said += xm_log_rules_pass(&rules, 1, XM_LEVEL_ERROR, 3600 * XM_SECOND,
					  &unsaid);
	CU_ASSERT_EQUAL(said, XM_LOG_BURST);
}

static void a_message_is_one_line_whatever_is_in_it(void)
{
	char small[12];

	xm_log_rules_begin(&rules, names, 3);
	xm_log_line(&rules, "extmemd", 0, XM_LEVEL_INFO, "ready", text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "extmemd: ready\n");
	xm_log_line(&rules, "extmemd", 1, XM_LEVEL_WARNING, "a\nb\x80", text,
		    sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "extmemd: warning: control: a?b?\n");
	xm_log_fields(&rules, "extmemd", 2, XM_LEVEL_ERROR, "a\nPRIORITY=7", text,
		      sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "PRIORITY=3\nSYSLOG_IDENTIFIER=extmemd\n"
				     "EXTMEM_SUBSYSTEM=memory\n"
				     "MESSAGE=a?PRIORITY=7\n");
	CU_ASSERT_EQUAL(xm_log_line(&rules, "extmemd", 0, XM_LEVEL_INFO, "much too long",
				    small, sizeof(small)), strlen(small));
	CU_ASSERT_EQUAL(small[strlen(small) - 1], '\n');
}

/* --- the journal ---------------------------------------------------------------------------- */

static void say(unsigned subsystem, enum xm_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	xm_logger_say(subsystem, level, 1, format, arguments);
	va_end(arguments);
}

/* A journal of ours, and standard error as systemd would make it; what came. */
static int journal_open(struct sockaddr_un *at, char folder[32])
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	strcpy(folder, "/tmp/xm-journal-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	at->sun_family = AF_UNIX;
	snprintf(at->sun_path, sizeof(at->sun_path), "%s/socket", folder);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
	return fd;
}

static void it_goes_where_standard_error_goes(void)
{
	struct sockaddr_un at = { .sun_family = 0 };
	int pair[2], kept = dup(STDERR_FILENO), journal;
	char folder[32], stream[64];
	struct stat status;
	ssize_t n;

	journal = journal_open(&at, folder);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	dup2(pair[0], STDERR_FILENO);
	fstat(STDERR_FILENO, &status);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
		 (unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	xm_logger_begin("extmemd", names, 3, at.sun_path);
	say(1, XM_LEVEL_WARNING, "%d clients", 7);
	n = recv(journal, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "PRIORITY=4\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "EXTMEM_SUBSYSTEM=control\nMESSAGE=7 clients\n"));
	CU_ASSERT(recv(pair[1], text, sizeof(text), 0) < 0);

	/* Standard error is something else: the variable is another program's. */
	setenv("JOURNAL_STREAM", "1:2", 1);
	xm_logger_begin("extmemd", names, 3, at.sun_path);
	say(0, XM_LEVEL_INFO, "ready");
	n = recv(pair[1], text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	CU_ASSERT_STRING_EQUAL(text, "extmemd: ready\n");
	CU_ASSERT(recv(journal, text, sizeof(text), 0) < 0);

	/* The journal has ended: lines, then. */
	setenv("JOURNAL_STREAM", stream, 1);
	xm_logger_begin("extmemd", names, 3, at.sun_path);
	close(journal);
	say(0, XM_LEVEL_ERROR, "lost");
	n = recv(pair[1], text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	CU_ASSERT_STRING_EQUAL(text, "extmemd: error: lost\n");

	dup2(kept, STDERR_FILENO);
	close(kept);
	close(pair[0]);
	close(pair[1]);
	unsetenv("JOURNAL_STREAM");
	unlink(at.sun_path);
	rmdir(folder);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(each_subsystem_has_its_level),
		XM_TEST(wrong_levels_are_named_and_change_nothing),
		XM_TEST(a_flood_is_cut_and_counted),
		XM_TEST(a_message_is_one_line_whatever_is_in_it),
		XM_TEST(it_goes_where_standard_error_goes),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("log", tests);
}
