/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmemd's log; common/logger.h says how it is written. One thread at a time.
 *
 * Floor: skin.
 */
#ifndef XM_LOG_H
#define XM_LOG_H

#include "common/logger.h"

/* Its subsystems; xm_log_names[] has their names. */
enum xm_log_subsystem {
	XM_LOG_DAEMON,
	XM_LOG_CONTROL, /* clients and their requests */
	XM_LOG_INTERFACE,
	XM_LOG_MEMORY,
	XM_LOG_AUTH,
	XM_LOG_SUBSYSTEMS
};

extern const char *const xm_log_names[XM_LOG_SUBSYSTEMS];

/* XM_LOG_DAEMON says. A sentence without a newline, of at most 1,000 bytes; more is cut
 * off. */
void xm_log(enum xm_level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void xm_log_of(enum xm_log_subsystem, enum xm_level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
