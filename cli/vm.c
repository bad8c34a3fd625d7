/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem vm run`: QEMU by `extmem run`, where that is of use to a guest: its memory is
 * external, QEMU's own small allocations stay local, and what could not work is refused
 * before anything begins.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/program.h"

/* A guest's memory is one allocation, and larger than any of QEMU's own. */
#define THRESHOLD "--threshold=4M"

static const struct xm_option_table table = {
	.program = "extmem vm",
	.usage = "run [OPTION OF extmem run]... -- qemu-system-ARCH [ARGUMENT]...\n"
		 "       extmem vm run --name NAME [OPTION]... -- qemu-system-ARCH [ARGUMENT]...\n"
		 "       extmem vm move [OPTION]... NAME HOST\n"
		 "       extmem vm list [--json]\n"
		 "       extmem vm resume NAME",
	.about = "Runs a virtual machine whose memory is that of appliances, with "
		 "a bounded cache in local memory (--local). The options are "
		 "those of `extmem run --help`. QEMU must emulate the processor "
		 "(-accel tcg). The guest needs no change, and ends with QEMU. With "
		 "a --name its memory is a file there, with the kernel's page "
		 "cache before it, and the guest can be moved to another machine "
		 "while its memory stays where it is.",
};

/* Whether one of the words that commas divide `text` into begins so. */
static bool has_word(const char *text, const char *begin)
{
	size_t length = strlen(begin);

	for (; text != NULL; text = strchr(text, ',')) {
		text += *text == ',';
		if (strncmp(text, begin, length) == 0)
			return true;
	}
	return false;
}

static bool is_flag(const char *word, const char *name)
{
	word += *word == '-';
	word += *word == '-';
	return strcmp(word, name) == 0;
}

/* Under KVM the kernel itself touches the guest's memory, and cannot fetch a page. */
static bool asks_for_kvm(char *const argv[])
{
	for (int i = 0; argv[i] != NULL; i++) {
		const char *value = argv[i + 1];

		if (argv[i][0] != '-')
			continue;
		if (is_flag(argv[i], "enable-kvm"))
			return true;
		if (is_flag(argv[i], "accel") && has_word(value, "kvm"))
			return true;
		if ((is_flag(argv[i], "machine") || is_flag(argv[i], "M")) &&
		    has_word(value, "accel=kvm"))
			return true;
	}
	return false;
}

/* Memory that a file has is no allocation of QEMU's. */
static bool shares_memory(char *const argv[])
{
	for (int i = 0; argv[i] != NULL; i++)
		if (is_flag(argv[i], "object") && argv[i + 1] != NULL &&
		    (has_word(argv[i + 1], "memory-backend-file") ||
		     has_word(argv[i + 1], "memory-backend-memfd")))
			return true;
	return false;
}

/* False: it cannot be, which was said. */
static bool check(char *const qemu[])
{
	const char *name = strrchr(qemu[0], '/');

	name = name == NULL ? qemu[0] : name + 1;
	if (strncmp(name, "qemu-system-", 12) != 0) {
		command_say("vm", "%s is not QEMU (qemu-system-...); `extmem run` "
			    "runs any program", qemu[0]);
		return false;
	}
	if (asks_for_kvm(qemu)) {
		command_say("vm", "under KVM the kernel touches a guest's memory, "
			    "and cannot fetch pages that are far away: use "
			    "-accel tcg");
		return false;
	}
	if (shares_memory(qemu)) {
		command_say("vm", "memory that lies in a file does not go to the "
			    "appliances this way: use memory-backend-ram; or "
			    "`extmem mount`, a memory-backend-file there, and "
			    "QEMU without `extmem vm`");
		return false;
	}
	return true;
}

/* A guest that can move is another program's. */
static int execute(char *argv[])
{
	static char name[] = "extmem-vm";
	char path[PROGRAM_PATH_SIZE];

	if (!program_beside(name, path)) {
		command_say("vm", "extmem-vm is not beside this program: configure and "
				  "build again with libfuse 3 and jansson (Debian: "
				  "libfuse3-dev libjansson-dev)");
		return COMMAND_NO;
	}
	argv[0] = name;
	execv(path, argv);
	command_say("vm", "%s: %s", path, strerror(errno));
	return COMMAND_NO;
}

static bool has_name(int argc, char *const argv[])
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "-n") == 0 || strcmp(argv[i], "--name") == 0 ||
		    strncmp(argv[i], "--name=", 7) == 0)
			return true;
	return false;
}

static int run(int argc, char *argv[])
{
	static char name[] = "run", threshold[] = THRESHOLD;
	char **line = calloc((size_t)argc + 3, sizeof(*line));
	int count = 0, status = COMMAND_NO, at = 0;

	if (line == NULL) {
		command_say("vm", "out of memory");
		return COMMAND_NO;
	}
	while (at < argc && strcmp(argv[at], "--") != 0)
		at++;
	line[count++] = name;
	line[count++] = threshold; /* another one behind it counts */
	for (int i = 0; i < argc; i++)
		line[count++] = argv[i];
	if (at + 1 >= argc) {
		command_say("vm", "which machine? `extmem vm run --local 1G -- "
			    "qemu-system-x86_64 -accel tcg -m 4G ...`");
		status = COMMAND_USAGE;
	} else if (!check(argv + at + 1)) {
		status = COMMAND_USAGE;
	} else {
		status = command_run(count, line);
	}
	free(line);
	return status;
}

int command_vm(int argc, char *argv[])
{
	static const char *const others[] = { "move", "list", "resume", "receive", "stream" };
	struct xm_options *o;
	int unused, rest, status;

	if (argc >= 2 && strcmp(argv[1], "run") == 0)
		return has_name(argc - 2, argv + 2) ? execute(argv)
						    : run(argc - 2, argv + 2);
	for (size_t i = 0; argc >= 2 && i < XM_COUNT(others); i++)
		if (strcmp(argv[1], others[i]) == 0)
			return execute(argv);
	status = command_options(&table, &unused, argc, argv, &o, &rest);
	if (status < 0) {
		command_say("vm", rest < argc ? "\"%s\" is no command of vm: run, "
						"move, list, resume"
					      : "what? run, move, list or resume", argv[rest]);
		status = COMMAND_USAGE;
	}
	xm_options_close(o);
	return status;
}
