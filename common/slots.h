/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A set of small numbers: which of `max` slots are in it.
 *
 *	struct xm_slots unused;
 *
 *	xm_slots_init(&unused, 4096, memory);
 *	xm_slots_fill(&unused);
 *	slot = xm_slots_next(&unused, 0);	the lowest one
 *	xm_slots_remove(&unused, slot);
 *
 * A tree of bitmaps, 64 to one: a bit of one level says whether the word below
 * it has any bit set (the idea of van Emde Boas, 1975, at a fixed fan-out of
 * 64). With at most 2^24 slots there are at most four levels, so adding,
 * removing, asking and finding the next member read at most seven words.
 * Memory: a little more than one bit a slot; 132 KiB for 2^20 slots.
 *
 * One thread at a time. Floor: ground.
 */
#ifndef XM_SLOTS_H
#define XM_SLOTS_H

#include "common/base.h"

#define XM_SLOTS_MAX (UINT32_C(1) << 24)
#define XM_SLOTS_NONE UINT32_MAX
#define XM_SLOTS_LEVELS 4

struct xm_slots {
	uint32_t max;	/* slots are 0 .. max - 1 */
	uint32_t count; /* of members */
	unsigned levels;
	uint64_t *words[XM_SLOTS_LEVELS]; /* [0]: a bit for each slot */
};

/* Bytes for `max` slots (1 .. XM_SLOTS_MAX), aligned as a uint64_t. */
size_t xm_slots_memory_size(uint32_t max);
/* The set is empty. The memory stays the caller's and outlives the set. */
void xm_slots_init(struct xm_slots *, uint32_t max, void *memory);
/* All slots are in it. */
void xm_slots_fill(struct xm_slots *);
/* A member is not added again, and what is no member is not removed. */
void xm_slots_add(struct xm_slots *, uint32_t slot);
void xm_slots_remove(struct xm_slots *, uint32_t slot);
bool xm_slots_has(const struct xm_slots *, uint32_t slot);
/* The lowest member that is `from` or more; XM_SLOTS_NONE: there is none. Any
 * `from` will do. */
uint32_t xm_slots_next(const struct xm_slots *, uint64_t from);

#endif
