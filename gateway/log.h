/* SPDX-License-Identifier: BSD-3-Clause */
/* The gateway's log; common/logger.h says how it is written. Any thread. */
#ifndef EXTMEM_GATEWAY_LOG_H
#define EXTMEM_GATEWAY_LOG_H

#include "common/logger.h"

enum gateway_part {
	GATEWAY_ITSELF,
	GATEWAY_HTTP,	 /* who asks */
	GATEWAY_WATCHES, /* appliances that come and go */
	GATEWAY_PARTS
};

extern const char *const gateway_parts[GATEWAY_PARTS];

/* Never a token, nor any part of one. */
void gateway_say(enum gateway_part, enum xm_level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
