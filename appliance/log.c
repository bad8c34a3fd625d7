/* SPDX-License-Identifier: BSD-3-Clause */
/* See log.h. Floor: skin. */
#include "appliance/log.h"
#include "common/clock.h"

void xm_log(enum xm_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	xm_logger_say(XM_LOG_DAEMON, level, xm_clock_ns(), format, arguments);
	va_end(arguments);
}

void xm_log_of(enum xm_log_subsystem subsystem, enum xm_level level,
	       const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	xm_logger_say(subsystem, level, xm_clock_ns(), format, arguments);
	va_end(arguments);
}
