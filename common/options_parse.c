/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sizes, durations and counts between text and numbers.
 *
 * A number is digits, at most five decimals where a unit follows, and a unit;
 * nothing before, between or behind, no sign. Everything is computed in
 * integers; a part of a byte or nanosecond is cut off. What does not fit in
 * 64 bits is -ERANGE.
 *
 * Floor: skin.
 */
#include "common/options.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t scale;
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "K", XM_KIB },
	{ "M", XM_MIB },
	{ "G", XM_GIB },
	{ "T", XM_GIB << 10 },
};

static const struct unit duration_units[] = {
	{ "ns", 1 },
	{ "us", XM_US },
	{ "ms", XM_MS },
	{ "s", XM_SECOND },
	{ "m", 60 * XM_SECOND },
	{ "min", 60 * XM_SECOND },
	{ "h", 3600 * XM_SECOND },
	{ "d", 86400 * XM_SECOND },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits up to what is none; *at moves behind them. */
static int parse_digits(const char **at, uint64_t *ret)
{
	uint64_t n = 0;

	if (!is_digit(**at))
		return -EINVAL;
	for (; is_digit(**at); (*at)++) {
		uint64_t digit = (uint64_t)(**at - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		n = n * 10 + digit;
	}
	*ret = n;
	return 0;
}

/* The whole part, the decimals as a fraction of 100,000, and the rest. */
static int parse_number(const char **at, uint64_t *ret_whole,
			uint64_t *ret_part)
{
	uint64_t part = 0, weight = 10000;
	int r = parse_digits(at, ret_whole);

	if (r < 0)
		return r;
	if (**at == '.') {
		(*at)++;
		if (!is_digit(**at))
			return -EINVAL;
		for (; is_digit(**at); (*at)++, weight /= 10) {
			if (weight == 0)
				return -EINVAL;
			part += (uint64_t)(**at - '0') * weight;
		}
	}
	*ret_part = part;
	return 0;
}

/* part < 100,000 and scale < 2^47: the product fits. */
static int scale_number(uint64_t whole, uint64_t part, uint64_t scale,
			uint64_t *ret)
{
	uint64_t more = scale * part / 100000;

	if (whole > (UINT64_MAX - more) / scale)
		return -ERANGE;
	*ret = whole * scale + more;
	return 0;
}

int xm_parse_count(const char *text, uint64_t *ret)
{
	uint64_t n;
	int r = parse_digits(&text, &n);

	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	*ret = n;
	return 0;
}

int xm_parse_size(const char *text, uint64_t *ret_size)
{
	uint64_t whole, part;
	const char *dot = strchr(text, '.');
	int r = parse_number(&text, &whole, &part);
	char letter;

	if (r < 0)
		return r;
	letter = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A')
					      : *text;
	for (size_t i = 0; i < XM_COUNT(size_units); i++) {
		const struct unit *unit = &size_units[i];
		const char *behind = letter ? text + 1 : text;

		if (letter != unit->name[0] || (dot && unit->scale == 1))
			continue;
		if (unit->scale > 1 && *behind == 'i')
			behind += behind[1] == 'B' ? 2 : 1;
		if (*behind)
			return -EINVAL;
		return scale_number(whole, part, unit->scale, ret_size);
	}
	return -EINVAL;
}

int xm_parse_duration(const char *text, uint64_t *ret_ns)
{
	uint64_t whole, part;
	int r = parse_number(&text, &whole, &part);

	if (r < 0)
		return r;
	for (size_t i = 0; i < XM_COUNT(duration_units); i++)
		if (strcmp(text, duration_units[i].name) == 0)
			return scale_number(whole, part,
					    duration_units[i].scale, ret_ns);
	if (*text || whole != 0 || part != 0)
		return -EINVAL;
	*ret_ns = 0; /* the one number that needs no unit */
	return 0;
}

void xm_format_size(uint64_t size, char *buffer, size_t buffer_size)
{
	size_t i = XM_COUNT(size_units) - 1;

	while (size_units[i].scale > 1 &&
	       (size == 0 || size % size_units[i].scale != 0))
		i--;
	snprintf(buffer, buffer_size, "%" PRIu64 "%s",
		 size / size_units[i].scale,
		 size_units[i].scale > 1 ? size_units[i].name : "");
}

void xm_format_duration(uint64_t ns, char *buffer, size_t buffer_size)
{
	static const size_t order[] = { 7, 6, 4, 3, 2, 1, 0 }; /* no "min" */
	size_t i = 0;

	while (order[i] != 0 && ns % duration_units[order[i]].scale != 0)
		i++;
	if (ns == 0)
		i = 3; /* "0s" */
	snprintf(buffer, buffer_size, "%" PRIu64 "%s",
		 ns / duration_units[order[i]].scale,
		 duration_units[order[i]].name);
}
