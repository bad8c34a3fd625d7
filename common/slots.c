/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of small numbers as a tree of bitmaps; see slots.h. Floor: ground. */
#include "common/slots.h"

#include <string.h>

#define BITS 6 /* of a slot's number that one level uses */

static uint32_t words_of(uint32_t bits)
{
	return (bits + 63) >> BITS;
}

static uint64_t bit_of(uint32_t at)
{
	return UINT64_C(1) << (at & 63);
}

size_t xm_slots_memory_size(uint32_t max)
{
	size_t words = 0;

	XM_ASSERT(max > 0 && max <= XM_SLOTS_MAX);
	do {
		max = words_of(max);
		words += max;
	} while (max > 1);
	return words * sizeof(uint64_t);
}

void xm_slots_init(struct xm_slots *s, uint32_t max, void *memory)
{
	uint64_t *words = memory;
	uint32_t count = max;

	memset(words, 0, xm_slots_memory_size(max));
	s->max = max;
	s->count = 0;
	s->levels = 0;
	do {
		XM_ASSERT(s->levels < XM_SLOTS_LEVELS);
		count = words_of(count);
		s->words[s->levels++] = words;
		words += count;
	} while (count > 1);
}

void xm_slots_fill(struct xm_slots *s)
{
	uint32_t bits = s->max;

	for (unsigned level = 0; level < s->levels; level++) {
		memset(s->words[level], 0xff, (bits >> BITS) * sizeof(uint64_t));
		if ((bits & 63) != 0)
			s->words[level][bits >> BITS] = bit_of(bits) - 1;
		bits = words_of(bits);
	}
	s->count = s->max;
}

bool xm_slots_has(const struct xm_slots *s, uint32_t slot)
{
	XM_ASSERT(slot < s->max);
	return (s->words[0][slot >> BITS] & bit_of(slot)) != 0;
}

void xm_slots_add(struct xm_slots *s, uint32_t slot)
{
	if (xm_slots_has(s, slot))
		return;
	s->count++;
	for (unsigned level = 0; level < s->levels; level++) {
		s->words[level][slot >> BITS] |= bit_of(slot);
		slot >>= BITS;
	}
}

void xm_slots_remove(struct xm_slots *s, uint32_t slot)
{
	if (!xm_slots_has(s, slot))
		return;
	s->count--;
	for (unsigned level = 0; level < s->levels; level++) {
		uint64_t *word = &s->words[level][slot >> BITS];

		*word &= ~bit_of(slot);
		if (*word != 0)
			return;
		slot >>= BITS;
	}
}

uint32_t xm_slots_next(const struct xm_slots *s, uint64_t from)
{
	uint32_t at, bits = s->max;
	unsigned level = 0;
	uint64_t word = 0;

	if (from >= s->max)
		return XM_SLOTS_NONE;
	at = (uint32_t)from;
	/* Up, until some word has a bit at `at` or behind it, */
	for (;;) {
		if (at < bits)
			word = s->words[level][at >> BITS] & ~(bit_of(at) - 1);
		if (word != 0)
			break;
		if (++level == s->levels)
			return XM_SLOTS_NONE;
		bits = words_of(bits);
		at = (at >> BITS) + 1;
	}
	/* and down along the lowest bits. */
	for (;;) {
		at = (at & ~UINT32_C(63)) | (uint32_t)__builtin_ctzll(word);
		if (level == 0)
			return at;
		word = s->words[--level][at];
		at <<= BITS;
	}
}
