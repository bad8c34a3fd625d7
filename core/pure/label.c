/* SPDX-License-Identifier: BSD-3-Clause */
/* Labels and tokens to bytes and text, and back; see label.h. */
#include "core/pure/label.h"

#include <string.h>

#include "common/little.h"
#include "core/pure/backing.h"

#define FORMAT 2
#define SIZE 48
#define DURABLE 0x80 /* of the byte of copies */
#define TABLE 0x80 /* of the byte of columns */
#define SEALED 0x80 /* of the byte of its column */
#define PREFIX "extmem1-"
#define PREFIX_SIZE (sizeof(PREFIX) - 1)
#define SINCE_BYTES 7
_Static_assert(sizeof(PREFIX) + 4 * 9 + 4 + 1 + 2 * SINCE_BYTES <= XM_TOKEN_TEXT_SIZE,
	       "a token has room for a number");

/* --- labels --------------------------------------------------------------- */

void xm_label_encode(const struct xm_place_label *l, struct xm_label *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->size = SIZE;
	xm_little_put(ret->bytes, FORMAT, 4);
	xm_little_put(ret->bytes + 4, l->ms, 4);
	xm_little_put(ret->bytes + 8, l->region_size, 8);
	xm_little_put(ret->bytes + 16, l->page, 8);
	xm_little_put(ret->bytes + 24, l->count, 8);
	xm_little_put(ret->bytes + 32, l->unit, 8);
	ret->bytes[40] = (uint8_t)(l->column | (l->sealed ? SEALED : 0));
	ret->bytes[41] = (uint8_t)(l->columns | (l->table ? TABLE : 0));
	ret->bytes[42] = l->copy;
	ret->bytes[43] = (uint8_t)(l->copies | (l->durable ? DURABLE : 0));
	xm_little_put(ret->bytes + 44, l->turn, 4);
}

bool xm_label_decode(const struct xm_label *label, struct xm_place_label *ret)
{
	const uint8_t *bytes = label->bytes;
	uint64_t pages;

	if (label->size != SIZE || xm_little_get(bytes, 4) != FORMAT)
		return false;
	ret->ms = (uint32_t)xm_little_get(bytes + 4, 4);
	ret->region_size = xm_little_get(bytes + 8, 8);
	ret->page = xm_little_get(bytes + 16, 8);
	ret->count = xm_little_get(bytes + 24, 8);
	ret->unit = xm_little_get(bytes + 32, 8);
	ret->column = bytes[40] & (SEALED - 1);
	ret->sealed = (bytes[40] & SEALED) != 0;
	ret->columns = bytes[41] & (TABLE - 1);
	ret->table = (bytes[41] & TABLE) != 0;
	ret->copy = bytes[42];
	ret->copies = bytes[43] & (DURABLE - 1);
	ret->durable = (bytes[43] & DURABLE) != 0;
	ret->turn = (uint32_t)xm_little_get(bytes + 44, 4);
	pages = ret->region_size / XM_PAGE;
	return ret->region_size % XM_PAGE == 0 && ret->count > 0 &&
	       ret->page < pages && ret->count <= pages - ret->page &&
	       ret->columns > 0 && ret->columns <= XM_APPLIANCES_MAX &&
	       ret->column < ret->columns &&
	       ret->copies > 0 && ret->copies <= XM_COPIES_MAX &&
	       ret->copy < ret->copies &&
	       (ret->columns == 1 ||
		/* (A unit of more pages than there are is no factor, either.) */
		(xm_is_power_of_two(ret->unit) && ret->unit >= 16 &&
		 ret->unit <= ret->count &&
		 ret->count % (ret->unit * ret->columns) == 0));
}

/* --- tokens --------------------------------------------------------------- */

/* Fletcher's sum of the bytes, and of those of the number unless it is 0: it sees one wrong
 * digit, and two that changed places. */
static uint16_t checksum(const uint8_t *token, uint64_t since)
{
	unsigned a = 1, b = 0;

	for (unsigned i = 0; i < XM_TOKEN_SIZE; i++) {
		a = (a + token[i]) % 251;
		b = (b + a) % 251;
	}
	for (unsigned i = 0; i < SINCE_BYTES && since != 0; i++) {
		a = (a + (since >> 8 * i & 0xff)) % 251;
		b = (b + a) % 251;
	}
	return (uint16_t)(b << 8 | a);
}

static char *print_bytes(char *at, const uint8_t *bytes, unsigned count)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < count; i++) {
		*at++ = digits[bytes[i] >> 4];
		*at++ = digits[bytes[i] & 15];
	}
	return at;
}

/* A point, and the number in whole bytes. */
static char *print_number(char *at, uint64_t number)
{
	uint8_t bytes[SINCE_BYTES];
	unsigned count = 0;

	while (count < SINCE_BYTES && number >> 8 * count != 0)
		count++;
	for (unsigned i = 0; i < count; i++)
		bytes[i] = (uint8_t)(number >> 8 * (count - 1 - i));
	*at++ = '.';
	return print_bytes(at, bytes, count);
}

void xm_token_print_since(const uint8_t token[XM_TOKEN_SIZE], uint64_t since,
			  char ret[XM_TOKEN_TEXT_SIZE])
{
	uint16_t sum = checksum(token, since);
	uint8_t sum_bytes[2] = { (uint8_t)(sum >> 8), (uint8_t)sum };
	char *at = ret + PREFIX_SIZE;

	XM_ASSERT(since >> 8 * SINCE_BYTES == 0);
	memcpy(ret, PREFIX, PREFIX_SIZE);
	for (unsigned i = 0; i < XM_TOKEN_SIZE; i += 4) {
		at = print_bytes(at, token + i, 4);
		*at++ = '-';
	}
	at = print_bytes(at, sum_bytes, 2);
	if (since != 0)
		at = print_number(at, since);
	*at = '\0';
}

void xm_token_print(const uint8_t token[XM_TOKEN_SIZE],
		    char ret[XM_TOKEN_TEXT_SIZE])
{
	xm_token_print_since(token, 0, ret);
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Two digits of base 16 for each byte; hyphens between bytes do not count. */
static bool parse_bytes(const char **text, uint8_t *ret, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		int high, low;

		while (**text == '-')
			(*text)++;
		high = digit_of((*text)[0]);
		low = high < 0 ? -1 : digit_of((*text)[1]);
		if (low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
		*text += 2;
	}
	return true;
}

/* ".", and a number that is not 0. */
static bool parse_since(const char **text, uint64_t *ret)
{
	unsigned digits = 0;
	int digit;

	*ret = 0;
	if (**text != '.')
		return true;
	while ((digit = digit_of(*++*text)) >= 0 && ++digits <= 2 * SINCE_BYTES)
		*ret = *ret << 4 | (unsigned)digit;
	return *ret != 0 && digits <= 2 * SINCE_BYTES;
}

bool xm_token_parse_since(const char *text, uint8_t ret[XM_TOKEN_SIZE],
			  uint64_t *ret_since)
{
	uint8_t token[XM_TOKEN_SIZE], sum[2];

	while (is_space(*text))
		text++;
	for (unsigned i = 0; i < PREFIX_SIZE; i++) {
		if (*text++ != PREFIX[i])
			return false;
	}
	if (!parse_bytes(&text, token, sizeof(token)) ||
	    !parse_bytes(&text, sum, sizeof(sum)) || !parse_since(&text, ret_since))
		return false;
	while (is_space(*text))
		text++;
	if (*text != '\0' || checksum(token, *ret_since) != (sum[0] << 8 | sum[1]))
		return false;
	memcpy(ret, token, XM_TOKEN_SIZE);
	return true;
}

bool xm_token_parse(const char *text, uint8_t ret[XM_TOKEN_SIZE])
{
	uint64_t since;

	return xm_token_parse_since(text, ret, &since) && since == 0;
}
