/* SPDX-License-Identifier: BSD-3-Clause */
/* See xxh64.h; by the description of the algorithm, version 0.1.1. Floor: ground. */
#include "common/xxh64.h"

#include <string.h>

#define P1 UINT64_C(0x9e3779b185ebca87)
#define P2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define P3 UINT64_C(0x165667b19e3779f9)
#define P4 UINT64_C(0x85ebca77c2b2ae63)
#define P5 UINT64_C(0x27d4eb2f165667c5)
#define STRIPE 32 /* bytes that four accumulators take at once */

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static uint64_t word(const uint8_t *at)
{
	uint64_t x;

	memcpy(&x, at, sizeof(x));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x);
#endif
	return x;
}

static uint64_t half_word(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint64_t)at[3] << 24;
}

static uint64_t turn(uint64_t lane, uint64_t input)
{
	return rotate(lane + input * P2, 31) * P1;
}

static uint64_t join(uint64_t hash, uint64_t lane)
{
	return (hash ^ turn(0, lane)) * P1 + P4;
}

/* Whole stripes; moves *at behind them. */
static uint64_t stripes(const uint8_t **at, const uint8_t *end, uint64_t seed)
{
	uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
	uint64_t hash;

	for (; end - *at >= STRIPE; *at += STRIPE) {
		a = turn(a, word(*at));
		b = turn(b, word(*at + 8));
		c = turn(c, word(*at + 16));
		d = turn(d, word(*at + 24));
	}
	hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
	return join(join(join(join(hash, a), b), c), d);
}

uint64_t xm_xxh64(const void *bytes, size_t size, uint64_t seed)
{
	const uint8_t *at = bytes, *end = at + size;
	uint64_t hash = size >= STRIPE ? stripes(&at, end, seed) : seed + P5;

	hash += size;
	for (; end - at >= 8; at += 8)
		hash = rotate(hash ^ turn(0, word(at)), 27) * P1 + P4;
	for (; end - at >= 4; at += 4)
		hash = rotate(hash ^ half_word(at) * P1, 23) * P2 + P3;
	for (; at < end; at++)
		hash = rotate(hash ^ *at * P5, 11) * P1;
	hash = (hash ^ hash >> 33) * P2;
	hash = (hash ^ hash >> 29) * P3;
	return hash ^ hash >> 32;
}
