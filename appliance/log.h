/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmemd's log: one line a message on standard error, each written by one
 * write(2), so that lines of two processes do not mix. One thread at a time.
 *
 * Floor: skin.
 */
#ifndef XM_LOG_H
#define XM_LOG_H

#include "appliance/service.h"

/* Messages above this level are dropped; XM_LEVEL_INFO at first. */
void xm_log_set_level(enum xm_level);
/* A sentence without a newline, of at most 1,000 bytes; more is cut off. */
void xm_log(enum xm_level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
