/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes sentences without stdio. Machines give the reason of a refusal in words, and
 * the ground floor may not call snprintf(). A text that does not fit is cut; it always
 * ends with a NUL. The memory is the caller's.
 *
 * Floor: ground.
 */
#ifndef XM_WORDS_H
#define XM_WORDS_H

#include "common/base.h"

struct xm_words {
	char *text;
	size_t size; /* with the NUL; at least 1 */
	size_t used;
};

/* Starts an empty sentence in `text`. */
void xm_words_begin(struct xm_words *, char *text, size_t size);
void xm_words_add(struct xm_words *, const char *text);
void xm_words_number(struct xm_words *, uint64_t number);
/* "4.0 KiB", "1.5 GiB": rounded down to a tenth. */
void xm_words_bytes(struct xm_words *, uint64_t bytes);

/* Copies a text that may lack its NUL; both arrays have `size` bytes. */
void xm_words_copy(char *to, const char *from, size_t size);

#endif
