/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem mount`: executes extmem-mount, which alone among the programs is linked with
 * libfuse. `extmem unmount`: takes such a folder away.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/program.h"

int command_mount(int argc, char *argv[])
{
	static char name[] = "extmem-mount";
	char path[PROGRAM_PATH_SIZE];

	(void)argc;
	if (!program_beside(name, path)) {
		command_say("mount", "extmem-mount is not beside this program: "
				     "configure and build again with libfuse 3 "
				     "(Debian: libfuse3-dev)");
		return COMMAND_NO;
	}
	argv[0] = name;
	execv(path, argv);
	command_say("mount", "%s: %s", path, strerror(errno));
	return COMMAND_NO;
}

static const struct xm_option_table table = {
	.program = "extmem unmount",
	.usage = "DIR",
	.about = "Ends what `extmem mount` has made of DIR. The files there are "
		 "gone then.",
};

/* As /proc writes it: a blank is \040. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		char *end = text;
		long byte = text[0] == '\\' && strlen(text) >= 4
				    ? strtol((char[]){ text[1], text[2], text[3],
						       '\0' }, &end, 8)
				    : 0;

		if (byte > 0)
			text += 3;
		*to++ = byte > 0 ? (char)byte : *text;
	}
	*to = '\0';
}

/* Also where the process that served it is gone. */
static bool is_ours(const char *path)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	static char line[3 * PATH_MAX], at[2 * PATH_MAX];
	bool found = false;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		const char *kind = strstr(line, " - ");

		if (kind == NULL || sscanf(line, "%*s %*s %*s %*s %8191s", at) != 1)
			continue;
		unescape(at);
		if (strcmp(at, path) == 0)
			found = strncmp(kind, " - fuse.extmem ", 15) == 0;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

/* A folder whose server is gone cannot be looked at. */
static bool absolute(const char *name, char path[PATH_MAX])
{
	char here[PATH_MAX];
	size_t length;

	if (realpath(name, path) != NULL)
		return true;
	if (errno != ENOTCONN)
		return false;
	if (name[0] == '/')
		snprintf(path, PATH_MAX, "%s", name);
	else if (getcwd(here, sizeof(here)) == NULL ||
		 snprintf(path, PATH_MAX, "%s/%s", here, name) >= PATH_MAX)
		return false;
	length = strlen(path);
	while (length > 1 && path[length - 1] == '/')
		path[--length] = '\0';
	return true;
}

static int unmount(const char *name)
{
	char path[PATH_MAX];

	if (!absolute(name, path)) {
		command_say("unmount", "%s: %s", name, strerror(errno));
		return COMMAND_NO;
	}
	if (!is_ours(path)) {
		command_say("unmount", "`extmem mount` has made nothing of %s",
			    path);
		return COMMAND_NO;
	}
	if (umount2(path, 0) == 0)
		return COMMAND_OK;
	if (errno == EBUSY) {
		command_say("unmount", "%s is in use: programs have files open "
				       "there, or work in it (`fuser -m` names "
				       "them)", path);
		return COMMAND_NO;
	}
	/* Who is not root may do so by a program that is. */
	execlp("fusermount3", "fusermount3", "-u", path, NULL);
	command_say("unmount", "fusermount3 is not here (Debian: fuse3)");
	return COMMAND_NO;
}

int command_unmount(int argc, char *argv[])
{
	struct xm_options *o;
	int rest, status, unused;

	status = command_options(&table, &unused, argc, argv, &o, &rest);
	if (status < 0 && rest + 1 != argc) {
		command_say("unmount", rest >= argc ? "which folder?"
						    : "one folder at a time");
		status = COMMAND_USAGE;
	}
	if (status < 0)
		status = unmount(argv[rest]);
	xm_options_close(o);
	return status;
}
