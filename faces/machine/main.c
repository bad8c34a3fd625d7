/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest that can move: `extmem vm run --name` and `extmem vm move`, which execute this
 * program. See extmem(1).
 *
 * `receive` and `stream` are what a move executes on the other side: the one takes the
 * guest and stays with it, the other passes QEMU's stream on.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/options.h"
#include "common/options_shared.h"
#include "common/standard.h"
#include "core/extmem.h"
#include "faces/machine/asker.h"
#include "faces/machine/minder.h"
#include "faces/machine/target.h"

struct vm_settings {
	const char *name, *rsh;
	struct xm_option_list appliance, setting;
	bool json;
};

static const struct xm_option run_options[] = {
	{ .name = "name",
	  .kind = XM_OPTION_TEXT,
	  .letter = 'n',
	  .help = "What the guest is called on this machine.",
	  .destination = offsetof(struct vm_settings, name) },
	XM_SHARED_APPLIANCE(struct vm_settings, appliance,
		"An appliance that lends memory. May be repeated."),
	{ .name = "setting",
	  .kind = XM_OPTION_LIST,
	  .letter = 'o',
	  .unit = "NAME=VALUE",
	  .help = "Any other setting of extmem(5). May be repeated.",
	  .destination = offsetof(struct vm_settings, setting) },
};

static const struct xm_option_table run_table = {
	.program = "extmem vm run",
	.prefix = "EXTMEM",
	.usage = "--name NAME [OPTION]... -- qemu-system-ARCH [ARGUMENT]...",
	.about = "Runs a virtual machine whose memory is a region of "
		 "appliances, with the kernel's page cache before it, so that "
		 "`extmem vm move` can move it to another machine. Without "
		 "--name, see `extmem run --help`.",
	.options = run_options,
	.count = XM_COUNT(run_options),
};

static const struct xm_option move_options[] = {
	{ .name = "rsh",
	  .kind = XM_OPTION_TEXT,
	  .letter = 'e',
	  .value = "ssh -o BatchMode=yes",
	  .unit = "COMMAND",
	  .help = "What executes a command on another machine, as `ssh HOST "
		  "COMMAND` does, and passes its input and output on.",
	  .destination = offsetof(struct vm_settings, rsh) },
};

static const struct xm_option_table move_table = {
	.program = "extmem vm move",
	.usage = "[OPTION]... NAME HOST",
	.about = "Moves a guest of `extmem vm run --name NAME` to another "
		 "machine, which has extmem, QEMU and the same disks, and "
		 "reaches the same appliances. Its memory stays where it is. "
		 "After any failure it goes on here.",
	.options = move_options,
	.count = XM_COUNT(move_options),
};

static const struct xm_option list_options[] = {
	XM_SHARED_JSON(struct vm_settings, json,
		"Print an array with an object for each guest."),
};

static const struct xm_option_table list_table = {
	.program = "extmem vm list",
	.usage = "[OPTION]...",
	.about = "Lists the guests of `extmem vm run --name NAME` that this user "
		 "has on this machine: their memory, and whether they run.",
	.options = list_options,
	.count = XM_COUNT(list_options),
};

static const struct xm_option_table resume_table = {
	.program = "extmem vm resume",
	.usage = "NAME",
	.about = "Lets a guest go on that is paused on this machine, as after a "
		 "move that failed half-way.",
};

static int usage(const char *words)
{
	fprintf(stderr, "extmem vm: %s\n", words);
	return 2;
}

/* -1: to go on; or the exit status. */
static int read_options(const struct xm_option_table *table, struct vm_settings *s,
			int argc, char *argv[], struct xm_options **ret, int *ret_rest)
{
	extern char **environ;
	int rc = xm_options_open(table, s, ret);

	if (rc < 0)
		return usage("out of memory");
	rc = xm_options_load(*ret, argc, argv, environ, ret_rest);
	if (rc == XM_OPTIONS_HELP)
		xm_options_print_help(table, stdout);
	else if (rc == XM_OPTIONS_VERSION)
		printf("extmem %s\n", extmem_version());
	else if (rc < 0)
		return usage(xm_options_words(*ret));
	return rc == 0 ? -1 : 0;
}

/* --- run -------------------------------------------------------------------------------------- */

static bool is_qemu(const char *program)
{
	const char *slash = strrchr(program, '/');

	return strncmp(slash != NULL ? slash + 1 : program, "qemu-system-", 12) == 0;
}

/* Who names a memory of the guest's, or a migration: both are ours. */
static bool is_ours(const json_t *line)
{
	size_t i;
	json_t *item;

	json_array_foreach(line, i, item) {
		const char *word = json_string_value(item);

		if (strstr(word, "memory-backend") != NULL ||
		    strcmp(word, "-mem-path") == 0 || strcmp(word, "-incoming") == 0)
			return true;
	}
	return false;
}

static int run(const struct vm_settings *s, int argc, char *argv[])
{
	json_t *line = json_array(), *settings = json_array();
	uint64_t size;

	for (int i = 0; i < argc; i++)
		json_array_append_new(line, json_string(argv[i]));
	for (size_t i = 0; i < s->appliance.count; i++)
		json_array_append_new(settings, json_sprintf("appliance=%s",
							     s->appliance.items[i]));
	for (size_t i = 0; i < s->setting.count; i++)
		json_array_append_new(settings, json_string(s->setting.items[i]));
	size = guest_memory(line);
	if (!guest_name_is_good(s->name))
		return usage("a name has up to 31 letters, digits, \".\", \"_\" and \"-\"");
	if (argc == 0)
		return usage("which machine? `extmem vm run --name NAME -- "
			     "qemu-system-x86_64 -m 4G ...`");
	if (!is_qemu(argv[0]))
		return usage("that is not QEMU (qemu-system-...)");
	if (json_array_size(line) != (size_t)argc)
		return usage("QEMU's arguments must be UTF-8");
	if (is_ours(line))
		return usage("the guest's memory is ours to give (no memory-backend-..., "
			     "no -mem-path), and so is -incoming");
	if (size == 0 || size % 65536 != 0)
		return usage("how much memory? -m 4G");
	return minder_run(s->name, size, line, settings);
}

/* --- the other side ------------------------------------------------------------------------------- */

/* The process that stays does so when who called this is gone; until the guest runs here
 * that one is waited for. */
static int receive(void)
{
	int ends[2], status = 1;
	char byte;
	ssize_t n;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0 || (child = fork()) < 0)
		return usage(strerror(errno));
	if (child == 0) {
		int in = fcntl(0, F_DUPFD_CLOEXEC, 3), out = fcntl(1, F_DUPFD_CLOEXEC, 3);
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		close(ends[0]);
		setsid();
		dup2(null, 0);
		dup2(null, 1);
		return minder_receive(in, out, ends[1]);
	}
	close(ends[1]);
	while ((n = read(ends[0], &byte, 1)) < 0 && errno == EINTR)
		continue;
	/* Its descriptors are closed a moment before it has ended. */
	return n == 1 ? 0 : waitpid(child, &status, 0) != child || status != 0;
}

/* What can be asked of guests, with what follows the options. */
static int move(const struct vm_settings *s, int argc, char *argv[])
{
	return argc == 2 ? asker_move(argv[0], argv[1], s->rsh)
			 : usage("which guest, and where to? `extmem vm move NAME HOST`");
}

static int resume(const struct vm_settings *s, int argc, char *argv[])
{
	(void)s;
	return argc == 1 ? asker_resume(argv[0])
			 : usage("which guest? `extmem vm resume NAME`");
}

static int list(const struct vm_settings *s, int argc, char *argv[])
{
	(void)argv;
	return argc == 0 ? asker_list(s->json) : usage("`extmem vm list` takes no name");
}

static const struct command {
	const char *name;
	const struct xm_option_table *table;
	int (*run)(const struct vm_settings *, int argc, char *argv[]);
	bool names; /* its first word is a guest's name */
} commands[] = {
	{ "run", &run_table, run, false },
	{ "move", &move_table, move, true },
	{ "resume", &resume_table, resume, true },
	{ "list", &list_table, list, false },
};

int main(int argc, char *argv[])
{
	static struct vm_settings settings;
	struct xm_options *o = NULL;
	const char *word = argc >= 2 ? argv[1] : "";
	const struct command *c = commands;
	int rest = 0, status;

	xm_standard_hold();
	if (strcmp(word, "receive") == 0)
		return receive();
	if (strcmp(word, "stream") == 0 && argc == 3)
		return guest_name_is_good(argv[2]) ? arriving_stream(argv[2]) : 2;
	while (c < commands + XM_COUNT(commands) && strcmp(word, c->name) != 0)
		c++;
	if (c == commands + XM_COUNT(commands))
		return usage("`extmem vm --help` says what there is");
	status = read_options(c->table, &settings, argc - 1, argv + 1, &o, &rest);
	argv += 1 + rest;
	argc -= 1 + rest;
	if (status < 0 && c->names && argc > 0 && !guest_name_is_good(argv[0]))
		status = usage("that is no guest's name");
	else if (status < 0)
		status = c->run(&settings, argc, argv);
	xm_options_close(o);
	return status;
}
