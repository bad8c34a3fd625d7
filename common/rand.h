/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one pseudo-random generator: seeded, splittable, the same everywhere.
 *
 * xoshiro256** 1.0 (Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", ACM TOMS 47:4, 2021), its state filled from a seed by
 * SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). Numbers below a bound come
 * from Lemire's multiply-and-reject (ACM TOMACS 29:1, 2019), without bias.
 * The period is 2^256 - 1. Not for secrets: these come from the system, in the skin.
 *
 * A generator is split by purpose. The child's state depends on the parent's state and
 * on the text of the purpose; the parent does not change. So a further purpose, or a
 * further number drawn for one purpose, changes the numbers of no other, and two
 * splits for one purpose give the same numbers.
 *
 * Nothing fails, and nothing is shared: one thread at a time for each struct.
 *
 * Floor: ground.
 */
#ifndef XM_RAND_H
#define XM_RAND_H

#include "common/base.h"

struct xm_rand {
	uint64_t s[4]; /* never all zero */
};

/* One step of SplitMix64. It is a bijection, so it also spreads a counter well. */
static inline uint64_t xm_rand_mix(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Any seed will do, 0 too: four outputs of SplitMix64 in a row are never all
 * zero, as they come from four different states of a bijection. */
static inline void xm_rand_seed(struct xm_rand *r, uint64_t seed)
{
	for (unsigned i = 0; i < 4; i++)
		r->s[i] = xm_rand_mix(&seed);
}

static inline uint64_t xm_rand_rotate(uint64_t x, unsigned k)
{
	return (x << k) | (x >> (64 - k));
}

/* Each of the 2^64 numbers is equally likely. */
static inline uint64_t xm_rand_next(struct xm_rand *r)
{
	uint64_t result = xm_rand_rotate(r->s[1] * 5, 7) * 9;
	uint64_t t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = xm_rand_rotate(r->s[3], 45);
	return result;
}

/* 0 .. bound - 1, each equally likely; bound > 0. */
static inline uint64_t xm_rand_below(struct xm_rand *r, uint64_t bound)
{
	unsigned __int128 product;

	XM_ASSERT(bound > 0);
	product = (unsigned __int128)xm_rand_next(r) * bound;
	if ((uint64_t)product < bound) {
		uint64_t threshold = -bound % bound; /* 2^64 mod bound */

		while ((uint64_t)product < threshold)
			product = (unsigned __int128)xm_rand_next(r) * bound;
	}
	return (uint64_t)(product >> 64);
}

/* low .. high, both included, each equally likely. */
static inline uint64_t xm_rand_between(struct xm_rand *r, uint64_t low,
				       uint64_t high)
{
	XM_ASSERT(low <= high);
	if (high - low == UINT64_MAX)
		return xm_rand_next(r);
	return low + xm_rand_below(r, high - low + 1);
}

/* True `permille` times in a thousand: never at 0, always from 1000 on. */
static inline bool xm_rand_chance(struct xm_rand *r, unsigned permille)
{
	return xm_rand_below(r, 1000) < permille;
}

static inline void xm_rand_fill(struct xm_rand *r, void *ret, size_t size)
{
	uint8_t *bytes = ret;

	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = xm_rand_next(r);

		for (size_t k = i; k < i + 8 && k < size; k++) {
			bytes[k] = (uint8_t)word;
			word >>= 8;
		}
	}
}

/* A generator for one purpose, for example "weather", and for the index-th of several
 * with this purpose. Purposes are told apart by their 64-bit FNV-1a hash. */
static inline void xm_rand_split(const struct xm_rand *parent,
				 const char *purpose, uint64_t index,
				 struct xm_rand *ret)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	struct xm_rand child;

	for (; *purpose; purpose++)
		hash = (hash ^ (uint8_t)*purpose) * UINT64_C(0x100000001b3);
	for (unsigned i = 0; i < 4; i++) {
		hash += index;
		hash = xm_rand_mix(&hash) ^ parent->s[i];
		child.s[i] = xm_rand_mix(&hash);
	}
	if (!(child.s[0] | child.s[1] | child.s[2] | child.s[3]))
		child.s[0] = 1;
	*ret = child;
}

#endif
