/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which programs run with the shim, beyond the first.
 *
 * LD_PRELOAD and EXTMEM_RUN_* are taken out of the environment at start, so
 * children run plain, however they are made. When the process itself execs,
 * as env, nice, nohup, a `#!/usr/bin/env` line and `sh -c` do, it is still
 * the program that the user meant: then they are put back. With
 * --children=same they stay, and every child opens a client of its own; the
 * statistics are the first process's alone.
 *
 * execl and execlp, with their lists of arguments, go to the kernel inside
 * libc, unseen: what they start runs plain.
 */
#include <unistd.h>

#include "shim.h"

#define KEPT_MAX 16

static char *kept[KEPT_MAX]; /* "NAME=value", LD_PRELOAD first */
static unsigned kept_count;

static bool is_ours(const char *variable)
{
	return strncmp(variable, RUN_ENV_PREFIX, strlen(RUN_ENV_PREFIX)) == 0;
}

static void leave_preload(const char *preload)
{
	char rest[4096] = "", copy[4096], *name, *state = NULL;
	size_t used = 0;

	if (strlen(preload) >= sizeof(copy))
		return;
	strcpy(copy, preload);
	for (name = strtok_r(copy, ": ", &state); name;
	     name = strtok_r(NULL, ": ", &state)) {
		if (strstr(name, "libextmem-run"))
			continue;
		used += snprintf(rest + used, sizeof(rest) - used, "%s%s",
				 used ? ":" : "", name);
	}
	if (rest[0])
		setenv("LD_PRELOAD", rest, 1);
	else
		unsetenv("LD_PRELOAD");
}

void exec_start(bool plain_children)
{
	const char *preload = getenv("LD_PRELOAD");
	char name[64];

	if (!plain_children) {
		unsetenv(RUN_ENV_SHARED_FD);
		return;
	}
	for (char **e = environ; e && *e && kept_count < KEPT_MAX; e++)
		if (is_ours(*e) || strncmp(*e, "LD_PRELOAD=", 11) == 0)
			kept[kept_count++] = strdup(*e);
	for (unsigned i = 0; i < kept_count; i++) {
		size_t n = kept[i] ? strcspn(kept[i], "=") : sizeof(name);

		if (n >= sizeof(name) || !is_ours(kept[i]))
			continue;
		memcpy(name, kept[i], n);
		name[n] = '\0';
		unsetenv(name);
	}
	if (preload)
		leave_preload(preload);
}

/* `environment` and what was kept, in local memory; NULL: as it is. */
static char **whole_environment(char *const environment[])
{
	size_t n = 0, at = 0;
	char **all;

	if (getpid() != shim_owner || kept_count == 0 ||
	    !atomic_load(&shim_ready))
		return NULL;
	while (environment && environment[n])
		n++;
	all = shim_real()->malloc((n + kept_count + 1) * sizeof(*all));
	if (!all)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environment[i], "LD_PRELOAD=", 11) != 0)
			all[at++] = environment[i];
	for (unsigned i = 0; i < kept_count; i++)
		if (kept[i])
			all[at++] = kept[i];
	all[at] = NULL;
	atomic_store(&shim_shared->state, RUN_EMPTY);
	return all;
}

static void exec_failed(char **all)
{
	int error = errno;

	if (all)
		atomic_store(&shim_shared->state, RUN_ATTACHED);
	shim_real()->free(all);
	errno = error;
}

SHIM_EXPORT int execve(const char *path, char *const argv[],
		       char *const environment[])
{
	char **all = whole_environment(environment);

	shim_real()->execve(path, argv, all ? all : environment);
	exec_failed(all);
	return -1;
}

SHIM_EXPORT int execvpe(const char *name, char *const argv[],
			char *const environment[])
{
	char **all = whole_environment(environment);

	shim_real()->execvpe(name, argv, all ? all : environment);
	exec_failed(all);
	return -1;
}

SHIM_EXPORT int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

SHIM_EXPORT int execvp(const char *name, char *const argv[])
{
	return execvpe(name, argv, environ);
}
