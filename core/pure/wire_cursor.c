/* SPDX-License-Identifier: BSD-3-Clause */
/* Fields to bytes and back; see wire_cursor.h. */
#include "core/pure/wire_cursor.h"

#include <string.h>

/* --- whole numbers, little-endian -------------------------------------- */

static bool cursor_has(struct xm_cursor *c, size_t size)
{
	if (c->bad || c->size - c->at < size) {
		/* We never run out of our own bytes: any message fits. */
		XM_ASSERT(!c->put);
		c->bad = true;
	}
	return !c->bad;
}

uint64_t xm_pass_integer(struct xm_cursor *c, unsigned size, uint64_t value)
{
	if (!cursor_has(c, size))
		return 0;
	if (c->put) {
		for (unsigned i = 0; i < size; i++)
			c->put[c->at + i] = (uint8_t)(value >> (8 * i));
	} else {
		value = 0;
		for (unsigned i = 0; i < size; i++)
			value |= (uint64_t)c->get[c->at + i] << (8 * i);
	}
	c->at += size;
	return value;
}

void xm_pass_u16(struct xm_cursor *c, uint16_t *value)
{
	*value = (uint16_t)xm_pass_integer(c, 2, *value);
}

void xm_pass_u32(struct xm_cursor *c, uint32_t *value)
{
	*value = (uint32_t)xm_pass_integer(c, 4, *value);
}

void xm_pass_u64(struct xm_cursor *c, uint64_t *value)
{
	*value = xm_pass_integer(c, 8, *value);
}

/* Two's complement, as in memory. */
void xm_pass_i32(struct xm_cursor *c, int32_t *value)
{
	uint32_t bits;

	memcpy(&bits, value, sizeof(bits));
	xm_pass_u32(c, &bits);
	memcpy(value, &bits, sizeof(bits));
}

/* --- bytes and texts ----------------------------------------------------- */

static void pass_run(struct xm_cursor *c, uint8_t *bytes, size_t size)
{
	if (!cursor_has(c, size))
		return;
	if (c->put)
		memcpy(c->put + c->at, bytes, size);
	else
		memcpy(bytes, c->get + c->at, size);
	c->at += size;
}

void xm_pass_bytes(struct xm_cursor *c, uint8_t *bytes, uint16_t size)
{
	uint16_t length = size;

	xm_pass_u16(c, &length);
	if (length != size)
		c->bad = true;
	pass_run(c, bytes, size);
}

void xm_pass_some(struct xm_cursor *c, uint8_t *bytes, uint16_t *size, uint16_t most)
{
	XM_ASSERT(!c->put || *size <= most);
	xm_pass_u16(c, size);
	if (*size > most)
		c->bad = true;
	if (!c->bad)
		pass_run(c, bytes, *size);
}

/* Printable, and one byte. Most are. */
static bool is_ascii(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x7f;
}

/* The size of the printable character that begins here, or 0: UTF-8 as in
 * RFC 3629 (shortest form, no surrogates, up to U+10FFFF), without U+0000 to
 * U+001F and U+007F to U+009F, which steer terminals. */
static size_t character_size(const uint8_t *bytes, size_t size)
{
	uint32_t code, least;
	size_t count;

	if (bytes[0] < 0x80)
		return is_ascii(bytes[0]);
	if ((bytes[0] & 0xe0) == 0xc0) {
		count = 2;
		code = bytes[0] & 0x1f;
		least = 0xa0;
	} else if ((bytes[0] & 0xf0) == 0xe0) {
		count = 3;
		code = bytes[0] & 0x0f;
		least = 0x800;
	} else if ((bytes[0] & 0xf8) == 0xf0) {
		count = 4;
		code = bytes[0] & 0x07;
		least = 0x10000;
	} else {
		return 0;
	}
	if (count > size)
		return 0;
	for (size_t i = 1; i < count; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < least || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return count;
}

static void put_text(struct xm_cursor *c, const char *text, size_t size)
{
	uint16_t length = 0;
	uint8_t *bytes;
	size_t count;

	while (length < size - 1 && text[length])
		length++;
	xm_pass_u16(c, &length);
	cursor_has(c, length); /* any message fits, or it does not return */
	bytes = c->put + c->at;
	memcpy(bytes, text, length);
	for (size_t i = 0; i < length; i += count) {
		count = is_ascii(bytes[i])
				? 1 : character_size(bytes + i, length - i);
		if (count == 0) {
			bytes[i] = '?';
			count = 1;
		}
	}
	c->at += length;
}

static void get_text(struct xm_cursor *c, char *text, size_t size)
{
	uint16_t length = 0;
	const uint8_t *bytes;
	size_t count;

	xm_pass_u16(c, &length);
	if (length > size - 1)
		c->bad = true;
	if (!cursor_has(c, length))
		return;
	bytes = c->get + c->at;
	for (size_t i = 0; i < length; i += count) {
		count = is_ascii(bytes[i])
				? 1 : character_size(bytes + i, length - i);
		if (count == 0) {
			c->bad = true;
			return;
		}
	}
	memcpy(text, bytes, length);
	c->at += length;
}

void xm_pass_text(struct xm_cursor *c, char *text, size_t size)
{
	if (c->put)
		put_text(c, text, size);
	else
		get_text(c, text, size);
}
