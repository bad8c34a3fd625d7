/* SPDX-License-Identifier: BSD-3-Clause */
/* What the file face says; see log.h. */
#include "faces/file/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#include "core/extmem.h"

static bool to_system;

void face_log_begin(bool background)
{
	to_system = background;
	if (background)
		openlog("extmem-mount", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void face_say(const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (to_system)
		syslog(LOG_ERR, "%s", text);
	else
		fprintf(stderr, "extmem mount: %s\n", text);
}

int face_complain(int rc)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static time_t said;
	static unsigned long unsaid;
	unsigned long more;
	struct timespec now;
	bool speak;

	if (rc >= 0 || rc == -EIO)
		return rc;
	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&lock);
	speak = said != now.tv_sec;
	more = unsaid;
	unsaid = speak ? 0 : unsaid + 1;
	said = now.tv_sec;
	pthread_mutex_unlock(&lock);
	if (speak && more > 0)
		face_say("%s (and %lu failures before, which were not said)",
			 extmem_error(), more);
	else if (speak)
		face_say("%s", extmem_error());
	return rc == -ENOMEM || rc == -ENOSPC ? rc : -EIO;
}
