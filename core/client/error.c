/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of errors, and the child of a fork; see error.h. */
#include "config.h"

#include "core/client/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/extmem.h"

static _Thread_local char last_error[1024];

int xm_fail(int rc, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(last_error, sizeof(last_error), format, arguments);
	va_end(arguments);
	return rc;
}

const char *extmem_error(void)
{
	return last_error;
}

const char *extmem_version(void)
{
	return PACKAGE_VERSION;
}

/* --- fork ------------------------------------------------------------------- */

atomic_bool xm_forked;

const char *xm_why_not(const char *call)
{
	const char *words = extmem_error();
	size_t length = strlen(call);

	return strncmp(words, call, length) == 0 &&
			       strncmp(words + length, ": ", 2) == 0
		       ? words + length + 2 : words;
}

static void note_fork(void)
{
	atomic_store(&xm_forked, true);
}

static void watch(void)
{
	pthread_atfork(NULL, NULL, note_fork);
}

void xm_forks_watch(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch);
}

int xm_unusable(const char *call)
{
	return xm_fail(-ECHILD, "%s: this process is a child of fork(): "
		       "external memory belongs to its parent; open a client "
		       "of its own after exec", call);
}

/* --- structs that begin with their size --------------------------------------- */

int xm_sized_copy(const char *call, void *ret, const void *from, uint64_t size)
{
	uint64_t room;

	memcpy(&room, ret, sizeof(room));
	if (room < sizeof(room) || room > 1u << 20)
		return xm_fail(-EINVAL, "%s: set the struct's size first",
			       call);
	memcpy((char *)ret + sizeof(room), (const char *)from + sizeof(room),
	       xm_min(room, size) - sizeof(room));
	return 0;
}
