/* SPDX-License-Identifier: BSD-3-Clause */
/* A plugin of run_owners.c, which binds to libc before all others where it is loaded
 * with RTLD_DEEPBIND: what it does with memory that is not its own, and what it
 * asks of libc. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void *plugin_make(size_t size);
void *plugin_grow(void *p, size_t size);
void plugin_drop(void *p);
char *plugin_copy(const char *text);
int plugin_child_sees(const char *p, size_t size, char value);

void *plugin_make(size_t size)
{
	return malloc(size);
}

void *plugin_grow(void *p, size_t size)
{
	return realloc(p, size);
}

void plugin_drop(void *p)
{
	free(p);
}

char *plugin_copy(const char *text)
{
	return strdup(text);
}

/* With a fork() of its own. */
int plugin_child_sees(const char *p, size_t size, char value)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		for (size_t i = 0; i < size; i += 4096)
			if (p[i] != value)
				_exit(1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status == 0;
}

static void *at_load;

/* Before dlopen() has returned: takes, and gives back what it was given. */
__attribute__((constructor)) static void begin(void)
{
	at_load = malloc(100000);
	memset(at_load, 5, 100000);
	at_load = realloc(at_load, 300000);
	free(at_load);
}
