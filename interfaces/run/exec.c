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

static char *kept[KEPT_MAX]; /* "NAME=value" */
static unsigned kept_count;

static bool is_ours(const char *variable)
{
	return strncmp(variable, RUN_ENV_PREFIX, strlen(RUN_ENV_PREFIX)) == 0;
}

/* bash has a getenv and an unsetenv of its own, which do not work before its
 * main(): so the environment is read and changed by hand. */
const char *exec_variable(const char *name)
{
	size_t n = strlen(name);

	for (char **e = environ; e && *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

/* The original may be written over by programs that set their title. */
static char *copy_of(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = shim_real()->malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}

/* "LD_PRELOAD=" without ours; NULL when nothing is left of it. */
static char *other_preloads(const char *preload)
{
	char copy[4096], *name, *state = NULL, *rest;
	size_t used = 0, size = strlen(preload) + 16;

	if (strlen(preload) >= sizeof(copy))
		return NULL;
	rest = shim_real()->malloc(size);
	strcpy(copy, preload);
	for (name = strtok_r(copy, ": ", &state); rest && name;
	     name = strtok_r(NULL, ": ", &state))
		if (!strstr(name, "libextmem-run"))
			used += snprintf(rest + used, size - used, "%s%s",
					 used ? ":" : "LD_PRELOAD=", name);
	if (used > 0)
		return rest;
	shim_real()->free(rest);
	return NULL;
}

void exec_start(bool plain_children)
{
	const char *preload = exec_variable("LD_PRELOAD");
	char **to = environ, *others = preload ? other_preloads(preload) : NULL;

	for (char **e = environ; e && *e; e++) {
		bool ours = is_ours(*e),
		     loads = strncmp(*e, "LD_PRELOAD=", 11) == 0;

		if (!plain_children) {
			if (strncmp(*e, RUN_ENV_SHARED_FD "=",
				    strlen(RUN_ENV_SHARED_FD "=")) != 0)
				*to++ = *e;
			continue;
		}
		if ((ours || loads) && kept_count < KEPT_MAX)
			kept[kept_count++] = copy_of(*e);
		if (loads && others)
			*to++ = others;
		else if (!ours && !loads)
			*to++ = *e;
	}
	if (to)
		*to = NULL;
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
