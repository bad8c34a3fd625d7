/* SPDX-License-Identifier: BSD-3-Clause */
/* See log.h. Floor: skin. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "appliance/log.h"

#define LINE_SIZE 1024

static enum xm_level level_max = XM_LEVEL_INFO;

void xm_log_set_level(enum xm_level level)
{
	level_max = level;
}

void xm_log(enum xm_level level, const char *format, ...)
{
	static const char *const labels[] = { "error: ", "warning: ", "",
					      "debug: " };
	char line[LINE_SIZE];
	va_list arguments;
	int used;

	if (level > level_max)
		return;
	used = snprintf(line, sizeof(line), "extmemd: %s", labels[level]);
	va_start(arguments, format);
	vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format,
		  arguments);
	va_end(arguments);
	used = (int)strlen(line);
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)used) < 0)
		return; /* standard error is closed: nobody can be told */
}
