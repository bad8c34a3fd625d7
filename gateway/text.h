/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A text that grows up to a limit. What does not fit, or for which there is no memory, is
 * remembered: the text is then not to be used.
 */
#ifndef EXTMEM_GATEWAY_TEXT_H
#define EXTMEM_GATEWAY_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct gateway_text {
	char *at; /* on the heap; the user of this frees it */
	size_t used, size, limit;
	bool failed;
};

void gateway_text_add(struct gateway_text *, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
