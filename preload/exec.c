/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which programs run with the shim, beyond the first.
 *
 * At the start LD_PRELOAD and EXTMEM_RUN_* are taken out of the environment, so
 * that children run plain, however they are started. If this very process calls
 * exec(), as env, nice, nohup, a `#!/usr/bin/env` line and `sh -c` do, the new
 * program is still the one that the user meant: then the variables are put back.
 * With --children=same they stay, and every child opens a client of its own; then
 * the statistics are those of the first process alone.
 *
 * The name, arguments and environment of a new program may lie in external memory:
 * the kernel is given local copies.
 */
#include "preload/shim.h"

#include <limits.h>
#include <stdarg.h>

#define KEPT_MAX 16

static char *kept[KEPT_MAX]; /* "NAME=value" */
static unsigned kept_count;
/* In the environment of every program that this process executes: the filter of
 * this program stays in force, so the next one needs other addresses. */
static char nesting[] = RUN_ENV_NESTING "=00";

static bool is_ours(const char *variable)
{
	return strncmp(variable, RUN_ENV_PREFIX, strlen(RUN_ENV_PREFIX)) == 0;
}

/* bash defines getenv() and unsetenv() itself, and they do not work before its
 * main(). So the environment is read and changed here. */
const char *exec_variable(const char *name)
{
	size_t n = strlen(name);

	for (char **e = environ; e && *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

/* Programs that set their title overwrite the original. */
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

void exec_start(void)
{
	const char *preload = exec_variable("LD_PRELOAD");
	char **to = environ, *others = preload ? other_preloads(preload) : NULL;
	char *digits = nesting + sizeof(nesting) - 3;

	digits[0] = (char)('0' + (shim_options.nesting + 1) / 10);
	digits[1] = (char)('0' + (shim_options.nesting + 1) % 10);

	for (char **e = environ; e && *e; e++) {
		bool ours = is_ours(*e),
		     loads = strncmp(*e, "LD_PRELOAD=", 11) == 0;

		if (shim_options.children_same) {
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

/* --- what the kernel is given ------------------------------------------------------- */

/* Names, arguments and environment, with all that is external among them
 * copied, in one piece of local memory. */
struct pack {
	char *memory;
	size_t size, used;
	const char *path;
	char *const *argv, *const *environment;
};

/* A child of vfork() shares our memory. When its exec() succeeds nobody frees its
 * pack; the next call on this thread does. */
static _Thread_local struct {
	char *memory;
	size_t size;
} left_behind __attribute__((tls_model("initial-exec")));

static bool is_kept(const char *variable)
{
	return strncmp(variable, "LD_PRELOAD=", 11) == 0 ||
	       strncmp(variable, RUN_ENV_NESTING "=",
		       strlen(RUN_ENV_NESTING "=")) == 0;
}

/* Whether the environment gets back what was taken out of it. */
static bool restores(void)
{
	return getpid() == shim_owner && kept_count > 0 && shim_begun;
}

static size_t vector_size(char *const vector[])
{
	size_t size = sizeof(char *);

	for (size_t i = 0; vector && vector[i]; i++) {
		size += sizeof(char *);
		if (block_contains(vector[i], 1))
			size += strlen(vector[i]) + 1;
	}
	return size;
}

static bool vector_external(char *const vector[])
{
	if (!vector)
		return false;
	if (block_contains(vector, sizeof(*vector)))
		return true;
	for (size_t i = 0; vector[i]; i++)
		if (block_contains(vector[i], 1))
			return true;
	return false;
}

static char *pack_if_external(struct pack *p, const char *text)
{
	size_t size;
	char *copy;

	if (!text || !block_contains(text, 1))
		return (char *)text;
	size = strlen(text) + 1;
	copy = p->memory + p->used;
	p->used += size;
	return memcpy(copy, text, size);
}

/* Pointers first, in their own part of the memory, at *at. */
static char **pack_vector(struct pack *p, char ***at, char *const vector[],
			  bool restore)
{
	char **begin = *at, **to = begin;

	for (size_t i = 0; vector && vector[i]; i++)
		if (!restore || !is_kept(vector[i]))
			*to++ = pack_if_external(p, vector[i]);
	for (unsigned i = 0; restore && i < kept_count; i++)
		if (kept[i])
			*to++ = kept[i];
	if (restore)
		*to++ = nesting;
	*to++ = NULL;
	*at = to;
	return begin;
}

static bool pack_begin(struct pack *p, const char *path, char *const argv[],
		       char *const environment[], bool turns)
{
	bool restore = turns && environment && restores();
	size_t pointers = 3 + KEPT_MAX;
	char **at;

	*p = (struct pack){ .path = path, .argv = argv,
			    .environment = environment };
	if (left_behind.memory) {
		local_give(left_behind.memory, left_behind.size);
		left_behind.memory = NULL;
	}
	if (!restore && !block_contains(path, 1) && !vector_external(argv) &&
	    !vector_external(environment))
		return true;
	for (size_t i = 0; argv && argv[i]; i++)
		pointers++;
	for (size_t i = 0; environment && environment[i]; i++)
		pointers++;
	p->size = vector_size(argv) + vector_size(environment) +
		  pointers * sizeof(char *) + PATH_MAX;
	if (path && block_contains(path, 1))
		p->size += strlen(path);
	p->memory = local_take(p->size);
	if (!p->memory)
		return false;
	left_behind.memory = p->memory;
	left_behind.size = p->size;
	at = (char **)(void *)p->memory;
	p->used = pointers * sizeof(char *);
	p->path = pack_if_external(p, path);
	if (argv)
		p->argv = pack_vector(p, &at, argv, false);
	if (environment)
		p->environment = pack_vector(p, &at, environment, restore);
	return true;
}

static void pack_end(struct pack *p)
{
	int error = errno;

	if (p->memory) {
		local_give(p->memory, p->size);
		left_behind.memory = NULL;
	}
	errno = error;
}

/* --- exec --------------------------------------------------------------------------- */

/* This process becomes another program, which says by itself whether it has
 * the shim. */
static void turning(bool into)
{
	if (restores())
		atomic_store(&shim_shared->state,
			     into ? RUN_EMPTY : RUN_ATTACHED);
}

SHIM_EXPORT int execve(const char *path, char *const argv[],
		       char *const environment[])
{
	struct pack p;

	if (!pack_begin(&p, path, argv, environment, true))
		return -1;
	turning(true);
	shim_real()->execve(p.path, p.argv, p.environment);
	turning(false);
	pack_end(&p);
	return -1;
}

SHIM_EXPORT int execvpe(const char *name, char *const argv[],
			char *const environment[])
{
	struct pack p;

	if (!pack_begin(&p, name, argv, environment, true))
		return -1;
	turning(true);
	shim_real()->execvpe(p.path, p.argv, p.environment);
	turning(false);
	pack_end(&p);
	return -1;
}

SHIM_EXPORT int fexecve(int fd, char *const argv[], char *const environment[])
{
	struct pack p;

	if (!pack_begin(&p, NULL, argv, environment, true))
		return -1;
	turning(true);
	shim_real()->fexecve(fd, p.argv, p.environment);
	turning(false);
	pack_end(&p);
	return -1;
}

SHIM_EXPORT int execveat(int fd, const char *path, char *const argv[],
			 char *const environment[], int flags)
{
	struct pack p;

	if (!pack_begin(&p, path, argv, environment, true))
		return -1;
	turning(true);
	shim_real()->execveat(fd, p.path, p.argv, p.environment, flags);
	turning(false);
	pack_end(&p);
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

/* The forms with a list of arguments, as a vector; what follows the list is
 * left in `arguments`. */
static char **list_take(const char *first, va_list *arguments,
			size_t *ret_size)
{
	va_list again;
	size_t n = 2;
	char **argv;

	va_copy(again, *arguments);
	while (va_arg(again, char *))
		n++;
	va_end(again);
	*ret_size = n * sizeof(*argv);
	argv = local_take(*ret_size);
	if (!argv)
		return NULL;
	argv[0] = (char *)first;
	for (size_t i = 1; i < n; i++)
		argv[i] = va_arg(*arguments, char *);
	return argv;
}

/* `call` with the list as a vector; the environment is what follows the list, or
 * the process's. Comes back only where it fails. */
static void exec_list(int (*call)(const char *, char *const[], char *const[]),
		      const char *path, const char *first, va_list *arguments,
		      bool environment_follows)
{
	char *const *environment = environ;
	size_t size;
	char **argv = list_take(first, arguments, &size);

	if (!argv)
		return;
	if (environment_follows)
		environment = va_arg(*arguments, char *const *);
	call(path, argv, environment);
	local_give(argv, size);
}

SHIM_EXPORT int execl(const char *path, const char *first, ...)
{
	va_list arguments;

	va_start(arguments, first);
	exec_list(execve, path, first, &arguments, false);
	va_end(arguments);
	return -1;
}

SHIM_EXPORT int execlp(const char *name, const char *first, ...)
{
	va_list arguments;

	va_start(arguments, first);
	exec_list(execvpe, name, first, &arguments, false);
	va_end(arguments);
	return -1;
}

SHIM_EXPORT int execle(const char *path, const char *first, ...)
{
	va_list arguments;

	va_start(arguments, first);
	exec_list(execve, path, first, &arguments, true);
	va_end(arguments);
	return -1;
}

/* --- spawn -------------------------------------------------------------------------- */

/* In the child that libc makes here all signals are blocked, so no fault could be
 * served: everything that it or the kernel reads must be local. The memory behind
 * the file actions is libc's own, and so it is local. */
static int spawn(int (*call)(pid_t *, const char *,
			     const posix_spawn_file_actions_t *,
			     const posix_spawnattr_t *, char *const[],
			     char *const[]),
		 pid_t *ret, const char *path,
		 const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attributes, char *const argv[],
		 char *const environment[])
{
	posix_spawn_file_actions_t local_actions;
	posix_spawnattr_t local_attributes;
	struct pack p;
	pid_t pid = 0;
	int r;

	if (!pack_begin(&p, path, argv, environment, false))
		return ENOMEM;
	if (actions) {
		local_actions = *actions;
		actions = &local_actions;
	}
	if (attributes) {
		local_attributes = *attributes;
		attributes = &local_attributes;
	}
	r = call(&pid, p.path, actions, attributes, p.argv, p.environment);
	pack_end(&p);
	if (r == 0 && ret)
		*ret = pid;
	return r;
}

SHIM_EXPORT int posix_spawn(pid_t *ret, const char *path,
			    const posix_spawn_file_actions_t *actions,
			    const posix_spawnattr_t *attributes,
			    char *const argv[], char *const environment[])
{
	return spawn(shim_real()->posix_spawn, ret, path, actions, attributes,
		     argv, environment);
}

SHIM_EXPORT int posix_spawnp(pid_t *ret, const char *name,
			     const posix_spawn_file_actions_t *actions,
			     const posix_spawnattr_t *attributes,
			     char *const argv[], char *const environment[])
{
	return spawn(shim_real()->posix_spawnp, ret, name, actions, attributes,
		     argv, environment);
}

SHIM_EXPORT int system(const char *command)
{
	struct pack p;
	int r;

	if (!pack_begin(&p, command, NULL, NULL, false))
		return -1;
	r = shim_real()->system(p.path);
	pack_end(&p);
	return r;
}

SHIM_EXPORT FILE *popen(const char *command, const char *mode)
{
	struct pack p;
	FILE *r;

	if (!pack_begin(&p, command, NULL, NULL, false))
		return NULL;
	r = shim_real()->popen(p.path, mode);
	pack_end(&p);
	return r;
}
