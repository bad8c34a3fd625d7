/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes a program's log, by the rules of log_rules.h: to the journal, with fields, if
 * standard error is connected to it (JOURNAL_STREAM), else as lines on standard error,
 * each by one write(2), so that lines of two processes do not mix. Any thread.
 *
 * Floor: skin.
 */
#ifndef XM_LOGGER_H
#define XM_LOGGER_H

#include <stdarg.h>

#include "common/log_rules.h"

#define XM_JOURNAL "/run/systemd/journal/socket"

/* Before all others. `journal` is the address of its socket. */
void xm_logger_begin(const char *program, const char *const *subsystems,
		     unsigned count, const char *journal);
/* As xm_log_rules_read(). */
int xm_logger_levels(const char *text, struct xm_words *ret_words);
/* A sentence without a newline, of at most 1,000 bytes; more is cut off. */
void xm_logger_say(unsigned subsystem, enum xm_level, uint64_t now_ns,
		   const char *format, va_list);

#endif
