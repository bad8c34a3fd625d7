/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The environment that the library sees.
 *
 * The program's environment is memory of the program's: it may be moved into
 * external memory at any time (Perl does). libfabric reads it with getenv(3)
 * when it makes a connection, on a thread that holds a lane's lock: a page
 * fault there would wait for this very thread. So the library is shown a copy
 * in local memory, as the environment was when the client had been opened. It
 * does not see what the program changes after that, and never needs to.
 *
 * Bounds: what libc reads by itself (setlocale, strerror, the resolver, time
 * zones) does not come by here. No thread that holds a lane's lock calls any of
 * these; the thread that keeps the figures calls the resolver, and a fault of
 * its own is served as any other.
 */
#include "preload/shim.h"

static char **copy; /* ended by NULL; NULL: none yet, and no other threads */

void environment_start(void)
{
	size_t count = 0, size = 0;
	char **to, *text;

	for (char **e = environ; e && *e; e++) {
		count++;
		size += strlen(*e) + 1;
	}
	to = shim_real()->malloc((count + 1) * sizeof(*to) + size);
	if (!to)
		return;
	text = (char *)(to + count + 1);
	for (size_t i = 0; i < count; i++) {
		to[i] = text;
		text = stpcpy(text, environ[i]) + 1;
	}
	to[count] = NULL;
	copy = to;
}

/* True: the library asks, and *ret is the answer. */
static bool answer(const char *name, char **ret)
{
	size_t size;

	if (!copy || !shim_inside)
		return false;
	size = strlen(name);
	*ret = NULL;
	for (char **e = copy; *e && !*ret; e++)
		if (strncmp(*e, name, size) == 0 && (*e)[size] == '=')
			*ret = *e + size + 1;
	return true;
}

SHIM_EXPORT char *getenv(const char *name)
{
	char *value;

	return answer(name, &value) ? value : shim_real()->getenv(name);
}

SHIM_EXPORT char *secure_getenv(const char *name)
{
	char *value;

	return answer(name, &value) ? value : shim_real()->secure_getenv(name);
}
