/* SPDX-License-Identifier: BSD-3-Clause */
/* See text.h. */
#include "gateway/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool grow(struct gateway_text *t, size_t wanted)
{
	size_t size = t->size > 0 ? t->size : 4096;
	char *at;

	while (size < wanted)
		size *= 2;
	if (size > t->limit)
		size = t->limit;
	at = size >= wanted ? realloc(t->at, size) : NULL;
	if (!at)
		return false;
	t->at = at;
	t->size = size;
	return true;
}

void gateway_text_add(struct gateway_text *t, const char *format, ...)
{
	va_list arguments;
	int length;

	if (t->failed)
		return;
	va_start(arguments, format);
	length = vsnprintf(t->at ? t->at + t->used : NULL, t->size - t->used,
			   format, arguments);
	va_end(arguments);
	if (length >= 0 && t->used + (size_t)length + 1 > t->size) {
		t->failed = !grow(t, t->used + (size_t)length + 1);
		if (t->failed)
			return;
		va_start(arguments, format);
		length = vsnprintf(t->at + t->used, t->size - t->used, format,
				   arguments);
		va_end(arguments);
	}
	if (length < 0)
		t->failed = true;
	else
		t->used += (size_t)length;
}
