/* SPDX-License-Identifier: BSD-3-Clause */
/* See psk.h. */
#include <errno.h>
#include <string.h>

#include "common/psk.h"

#define BEGINS "extmem-psk "

struct line {
	const char *text;
	size_t length;
};

/* The next line, without its newline; false: there is none. */
static bool next_line(const char **at, const char *end, struct line *ret)
{
	const char *from = *at;

	if (from == end)
		return false;
	while (*at != end && **at != '\n')
		++*at;
	ret->text = from;
	ret->length = (size_t)(*at - from);
	if (*at != end)
		++*at;
	return true;
}

static bool is(const struct line *l, const char *text, size_t length)
{
	return l->length == length && memcmp(l->text, text, length) == 0;
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool xm_psk_is_name(const char *text, size_t length)
{
	if (length == 0 || length >= XM_PSK_NAME_SIZE || text[0] == '.' ||
	    text[0] == '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!is_plain(text[i]))
			return false;
	return true;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static const char *take_key(const char *text, size_t length,
			    uint8_t ret[XM_PSK_KEY_SIZE])
{
	bool same = true;

	if (length != 2 * XM_PSK_KEY_SIZE)
		return "a key has 64 hexadecimal digits";
	for (size_t i = 0; i < XM_PSK_KEY_SIZE; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return "a key has 64 hexadecimal digits";
		ret[i] = (uint8_t)(high << 4 | low);
		same = same && ret[i] == ret[0];
	}
	return same ? "whoever tries would guess this key" : NULL;
}

static const char *take_line(const struct line *l, const struct xm_psk *keys,
			     uint32_t count, struct xm_psk *ret)
{
	const char *why;
	size_t length = 0;

	while (length < l->length && l->text[length] != ' ')
		length++;
	if (length == l->length)
		return "no line of NAME KEY";
	if (!xm_psk_is_name(l->text, length))
		return "a name has up to 63 letters, digits, and . _ -";
	why = take_key(l->text + length + 1, l->length - length - 1, ret->key);
	if (why != NULL)
		return why;
	memset(ret->name, 0, sizeof(ret->name));
	memcpy(ret->name, l->text, length);
	if (xm_psk_find(keys, count, ret->name, length) != NULL)
		return "this name has a key already";
	/* Who has it could come as either. */
	for (uint32_t i = 0; i < count; i++)
		if (memcmp(keys[i].key, ret->key, XM_PSK_KEY_SIZE) == 0)
			return "another name has this key";
	return NULL;
}

static const char *take_lines(const char *at, const char *end,
			      struct xm_psk keys[XM_PSK_MAX], uint32_t *count,
			      uint32_t *line)
{
	struct line l;
	const char *why = NULL;

	while (why == NULL && next_line(&at, end, &l)) {
		++*line;
		if (l.length == 0 || l.text[0] == '#')
			continue;
		if (*count == XM_PSK_MAX)
			return "more than 4096 keys";
		why = take_line(&l, keys, *count, &keys[*count]);
		*count += why == NULL;
	}
	return why;
}

bool xm_psk_is_file(const char *text, size_t size)
{
	return size >= sizeof(BEGINS) - 1 &&
	       memcmp(text, BEGINS, sizeof(BEGINS) - 1) == 0;
}

static const char *take_role(const struct line *l, bool *ret)
{
	static const char client[] = BEGINS "client", appliance[] = BEGINS "appliance";

	if (!is(l, client, sizeof(client) - 1) &&
	    !is(l, appliance, sizeof(appliance) - 1))
		return "the first line says extmem-psk client, or extmem-psk"
		       " appliance";
	*ret = is(l, appliance, sizeof(appliance) - 1);
	return NULL;
}

int xm_psk_parse(const char *text, size_t size, struct xm_psk keys[XM_PSK_MAX],
		 bool *ret_appliance, struct xm_psk_fault *ret_fault)
{
	const char *at = text, *end = text + size, *why;
	struct line first = { .text = text, .length = 0 };
	uint32_t count = 0, line = 1;
	bool appliance = false;

	(void)next_line(&at, end, &first);
	why = take_role(&first, &appliance);
	if (why == NULL)
		why = take_lines(at, end, keys, &count, &line);
	if (why == NULL && !appliance && count != 1)
		why = "a client's file has one key";
	if (why != NULL) {
		memset(keys, 0, sizeof(keys[0]) * xm_min(count + 1, XM_PSK_MAX));
		ret_fault->line = line;
		ret_fault->why = why;
		return -EINVAL;
	}
	*ret_appliance = appliance;
	return (int)count;
}

const struct xm_psk *xm_psk_find(const struct xm_psk *keys, uint32_t count,
				 const char *name, size_t length)
{
	if (length >= XM_PSK_NAME_SIZE)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		if (memcmp(keys[i].name, name, length) == 0 &&
		    keys[i].name[length] == '\0')
			return &keys[i];
	return NULL;
}
