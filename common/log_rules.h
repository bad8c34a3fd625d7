/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program writes to its log: levels for each of its subsystems, and how many
 * messages in a time; and how a message is written, for people and for journald. It holds
 * no secrets because none are given to it: nothing that proves who somebody is goes into a
 * message.
 *
 * Floor: ground.
 */
#ifndef XM_LOG_RULES_H
#define XM_LOG_RULES_H

#include "common/base.h"
#include "common/words.h"

enum xm_level { XM_LEVEL_ERROR, XM_LEVEL_WARNING, XM_LEVEL_INFO, XM_LEVEL_DEBUG };

#define XM_LOG_SUBSYSTEMS_MAX 8
/* A subsystem may say so many at once, and so many a second from then on. */
#define XM_LOG_BURST 200
#define XM_LOG_RATE 20

struct xm_log_rules {
	const char *const *names; /* of the subsystems; the first is the program itself */
	unsigned count;
	uint8_t levels[XM_LOG_SUBSYSTEMS_MAX]; /* messages above are dropped */
	struct xm_log_gate {
		uint64_t since_ns; /* up to when the allowance is counted */
		uint32_t left;	   /* messages */
		uint32_t unsaid;
	} gates[XM_LOG_SUBSYSTEMS_MAX];
};

/* At first every subsystem says XM_LEVEL_INFO and below. */
void xm_log_rules_begin(struct xm_log_rules *, const char *const *names,
			unsigned count);
/* "warning", "info,control=debug": a level for all, then for some. -EINVAL, with a
 * sentence; what was set before stays. */
int xm_log_rules_read(struct xm_log_rules *, const char *text,
		      struct xm_words *ret_words);
/* May this message be said? *ret_unsaid: how many before it were not, since the last that
 * was. */
bool xm_log_rules_pass(struct xm_log_rules *, unsigned subsystem, enum xm_level,
		       uint64_t now_ns, uint32_t *ret_unsaid);

/* "extmemd: warning: MESSAGE\n", with the subsystem if it is not the first. What is not
 * printable ASCII is '?'. Returns the length; what does not fit is cut. */
size_t xm_log_line(const struct xm_log_rules *, const char *program,
		   unsigned subsystem, enum xm_level, const char *message,
		   char *ret, size_t size);
/* The same in fields of journald's protocol: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER and
 * EXTMEM_SUBSYSTEM. */
size_t xm_log_fields(const struct xm_log_rules *, const char *program,
		     unsigned subsystem, enum xm_level, const char *message,
		     char *ret, size_t size);

#endif
