/* SPDX-License-Identifier: BSD-3-Clause */
/* See log.h. */
#include "gateway/log.h"

#include "common/clock.h"

const char *const gateway_parts[GATEWAY_PARTS] = { "gateway", "http", "appliances" };

void gateway_say(enum gateway_part part, enum xm_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	xm_logger_say(part, level, xm_clock_ns(), format, arguments);
	va_end(arguments);
}
