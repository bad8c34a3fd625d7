/* SPDX-License-Identifier: BSD-3-Clause */
/* See locator.h. */
#include <string.h>

#include "transports/ofi/locator.h"

struct cursor {
	const uint8_t *at, *end;
};

/* A word of printable characters, with the space behind it; the last one has none. */
static bool word(struct cursor *c, bool last, char *ret, size_t size)
{
	size_t length = 0;

	while (c->at + length < c->end && c->at[length] > ' ' && c->at[length] <= '~')
		length++;
	if (length == 0 || length >= size)
		return false;
	memcpy(ret, c->at, length);
	ret[length] = '\0';
	c->at += length;
	if (last)
		return c->at == c->end;
	return c->at < c->end && *c->at++ == ' ';
}

/* Up to four digits. */
static bool number(const char **at, uint32_t *ret)
{
	uint32_t value = 0, digits = 0;

	while (**at >= '0' && **at <= '9' && digits++ < 4)
		value = 10 * value + (uint32_t)(*(*at)++ - '0');
	*ret = value;
	return digits > 0 && digits <= 4;
}

static bool version(struct cursor *c, struct ofi_locator *ret)
{
	char text[16];
	const char *at = text;

	return word(c, false, text, sizeof(text)) && number(&at, &ret->major) &&
	       *at++ == '.' && number(&at, &ret->minor) && *at == '\0';
}

bool ofi_locator_parse(const struct xm_locator *l, struct ofi_locator *ret)
{
	struct cursor c = { .at = l->bytes };
	struct ofi_locator o;

	if (l->size > XM_LOCATOR_SIZE)
		return false;
	c.end = l->bytes + l->size;
	memset(&o, 0, sizeof(o));
	if (!word(&c, false, o.provider, sizeof(o.provider)) || !version(&c, &o) ||
	    !word(&c, false, o.type, sizeof(o.type)) ||
	    !word(&c, false, o.host, sizeof(o.host)) ||
	    !word(&c, true, o.service, sizeof(o.service)))
		return false;
	*ret = o;
	return true;
}
