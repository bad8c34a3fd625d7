/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sentences without stdio; see words.h. Floor: ground.
 */
#include <string.h>

#include "common/words.h"

void xm_words_begin(struct xm_words *w, char *text, size_t size)
{
	XM_ASSERT(size > 0);
	w->text = text;
	w->size = size;
	w->used = 0;
	memset(text, 0, size);
}

void xm_words_add(struct xm_words *w, const char *text)
{
	while (*text != '\0' && w->used + 1 < w->size)
		w->text[w->used++] = *text++;
}

void xm_words_number(struct xm_words *w, uint64_t number)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	xm_words_add(w, &digits[at]);
}

void xm_words_bytes(struct xm_words *w, uint64_t bytes)
{
	static const char *const units[] = { " B",   " KiB", " MiB", " GiB",
					     " TiB", " PiB", " EiB" };
	uint64_t rest = 0;
	size_t unit = 0;

	while (bytes >= 1024) {
		rest = bytes % 1024;
		bytes /= 1024;
		unit++;
	}
	xm_words_number(w, bytes);
	if (unit > 0) {
		xm_words_add(w, ".");
		xm_words_number(w, rest * 10 / 1024);
	}
	xm_words_add(w, units[unit]);
}

void xm_words_copy(char *to, const char *from, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && from[n] != '\0')
		n++;
	memset(to, 0, size);
	memcpy(to, from, n);
}
