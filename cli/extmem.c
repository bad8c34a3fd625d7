/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The `extmem` command: run programs on external memory, look at appliances,
 * see what a machine allows. See extmem(1).
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "common/directory.h"
#include "common/standard.h"
#include "core/extmem.h"

#define DIRECTORY_MS 5000

static int command_help(int argc, char *argv[]);

static const struct command {
	const char *name;
	int (*function)(int argc, char *argv[]);
	const char *description;
} commands[] = {
	{ "run", command_run, "run a program with external memory" },
	{ "advise", command_advise, "what less local memory would cost a program" },
	{ "info", command_info, "this build, and how an appliance is reached" },
	{ "status", command_status, "what an appliance has, and who has it" },
	{ "strategy", command_strategy, "where memory would go under a strategy" },
	{ "region", command_region, "regions that wait for a program" },
	{ "disk", command_disk, "serve a disk in the memory of appliances" },
	{ "mount", command_mount, "make a folder of files in their memory" },
	{ "unmount", command_unmount, "end such a folder" },
	{ "vm", command_vm, "run a virtual machine in their memory" },
	{ "swap", command_swap, "let the kernel swap to their memory" },
	{ "store", command_store, "what an appliance has made durable" },
	{ "auth", command_auth, "credentials of appliances and clients" },
	{ "drain", command_drain, "empty an appliance while programs run" },
	{ "shrink", command_shrink, "give memory of an appliance to its host" },
	{ "top", command_top, "the programs that have external memory here" },
	{ "trace", command_trace, "what happened to these programs' memory" },
	{ "doctor", command_doctor, "what this machine allows, and how to "
				    "allow more" },
	{ "help", command_help, "this" },
};

static void print_help(FILE *to)
{
	fprintf(to, "usage: extmem COMMAND [OPTION]... [ARGUMENT]...\n\n"
		    "Use the memory of other machines as your own.\n\n");
	for (size_t i = 0; i < XM_COUNT(commands); i++)
		fprintf(to, "  %-8s %s\n", commands[i].name,
			commands[i].description);
	fprintf(to, "\n`extmem COMMAND --help` says more; so does extmem(1).\n");
}

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < XM_COUNT(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int command_help(int argc, char *argv[])
{
	static char help[] = "--help";
	const struct command *command;

	if (argc < 2 || strcmp(argv[1], "help") == 0 || argv[1][0] == '-') {
		print_help(stdout);
		return COMMAND_OK;
	}
	command = command_find(argv[1]);
	if (!command) {
		fprintf(stderr, "extmem help: no command \"%s\"\n", argv[1]);
		return COMMAND_USAGE;
	}
	return command->function(2, (char *[]){ argv[1], help, NULL });
}

void command_say(const char *name, const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fprintf(stderr, "extmem %s: ", name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

bool command_appliances(const char *name, struct xm_option_list *appliances)
{
	static struct xm_directory_list found;
	char words[XM_DIRECTORY_WORDS];
	int rc;

	if (!xm_directory_named(appliances))
		return true;
	rc = xm_directory_expand(appliances, DIRECTORY_MS, &found, words, sizeof(words));
	if (words[0] != '\0')
		command_say(name, "%s", words);
	if (rc == 0)
		*appliances = found.list;
	return rc == 0;
}

int command_options(const struct xm_option_table *table, void *values,
		    int argc, char *argv[], struct xm_options **ret,
		    int *ret_rest)
{
	extern char **environ;
	int r, rest = argc;

	*ret = NULL;
	if (xm_options_open(table, values, ret) < 0) {
		command_say(argv[0], "out of memory");
		return COMMAND_NO;
	}
	r = xm_options_load(*ret, argc, argv, environ, &rest);
	if (r == XM_OPTIONS_HELP) {
		xm_options_print_help(table, stdout);
		return COMMAND_OK;
	}
	if (r == XM_OPTIONS_VERSION) {
		printf("extmem %s\n", extmem_version());
		return COMMAND_OK;
	}
	if (r < 0) {
		command_say(argv[0], "%s", xm_options_words(*ret));
		return COMMAND_USAGE;
	}
	if (!ret_rest && rest < argc) {
		command_say(argv[0], "\"%s\" is one argument too many",
			    argv[rest]);
		return COMMAND_USAGE;
	}
	if (ret_rest)
		*ret_rest = rest;
	return -1;
}

int main(int argc, char *argv[])
{
	const struct command *command;

	xm_standard_hold();
	if (argc < 2) {
		print_help(stderr);
		return COMMAND_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_help(stdout);
		return COMMAND_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("extmem %s\n", extmem_version());
		return COMMAND_OK;
	}
	command = command_find(argv[1]);
	if (!command) {
		fprintf(stderr,
			"extmem: no command \"%s\"; `extmem help` has the "
			"list\n",
			argv[1]);
		return COMMAND_USAGE;
	}
	return command->function(argc - 1, argv + 1);
}
