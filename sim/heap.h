/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers of the world in a heap of four children each: the earliest on top, those
 * of equal time in the order in which they were put in. A timer is embedded in what
 * it belongs to, and can be taken out before its time. Each that moves is written to,
 * wherever it is, so a heap of few levels is best.
 */
#ifndef XM_SIM_HEAP_H
#define XM_SIM_HEAP_H

#include <stdlib.h>

#include "common/base.h"

#define HEAP_NOWHERE SIZE_MAX
#define HEAP_CHILDREN 4

struct timer {
	size_t at; /* its index in the heap; HEAP_NOWHERE: not in it */
	void (*ring)(struct timer *);
};

struct heap_entry {
	uint64_t at_ns, order;
	struct timer *timer;
};

struct heap {
	struct heap_entry *entries;
	size_t count, max;
};

static inline bool heap_before(const struct heap_entry *a,
			       const struct heap_entry *b)
{
	return a->at_ns < b->at_ns ||
	       (a->at_ns == b->at_ns && a->order < b->order);
}

static inline void heap_place(struct heap *h, size_t at,
			      const struct heap_entry *e)
{
	h->entries[at] = *e;
	e->timer->at = at;
}

/* Puts `e` at `at`, or above it, where it belongs. */
static inline void heap_rise(struct heap *h, size_t at, struct heap_entry e)
{
	while (at > 0) {
		size_t parent = (at - 1) / HEAP_CHILDREN;

		if (!heap_before(&e, &h->entries[parent]))
			break;
		heap_place(h, at, &h->entries[parent]);
		at = parent;
	}
	heap_place(h, at, &e);
}

/* Puts the last entry where one was taken out. It belongs near the end again: so first
 * the least children move up, as far as there are any, then it rises from there
 * (Wegener 1993, "Bottom-up heapsort"). */
static inline void heap_fill(struct heap *h, size_t at)
{
	struct heap_entry e = h->entries[h->count];

	for (size_t child; (child = HEAP_CHILDREN * at + 1) < h->count;) {
		size_t least = child;
		size_t end = xm_min(child + HEAP_CHILDREN, h->count);

		while (++child < end) {
			if (heap_before(&h->entries[child], &h->entries[least]))
				least = child;
		}
		heap_place(h, at, &h->entries[least]);
		at = least;
	}
	heap_rise(h, at, e);
}

static inline void heap_put(struct heap *h, uint64_t at_ns, uint64_t order,
			    struct timer *timer)
{
	if (h->count == h->max) {
		h->max = h->max * 2 + 64;
		h->entries = realloc(h->entries, h->max * sizeof(*h->entries));
		XM_ASSERT(h->entries != NULL);
	}
	h->count++;
	heap_rise(h, h->count - 1,
		  (struct heap_entry){ at_ns, order, timer });
}

static inline void heap_drop(struct heap *h, struct timer *timer)
{
	size_t at = timer->at;

	if (at == HEAP_NOWHERE)
		return;
	timer->at = HEAP_NOWHERE;
	h->count--;
	if (at < h->count)
		heap_fill(h, at);
}

#endif
