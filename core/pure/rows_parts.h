/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What rows.c and rows_plan.c share; included from nowhere else.
 *
 * rows.c	steps: slots, intents, mending
 * rows_plan.c	what a slot reads, and the bytes that it writes
 *
 * Floor: ground.
 */
#ifndef XM_ROWS_PARTS_H
#define XM_ROWS_PARTS_H

#include <string.h>

#include "core/pure/plant.h"
#include "core/pure/rows.h"

static inline uint32_t fragments(const struct xm_rows *r)
{
	return r->options.shape.columns + r->options.shape.parities;
}

/* Masks. */
static inline uint32_t all(const struct xm_rows *r)
{
	return (1u << fragments(r)) - 1;
}

static inline uint32_t data(const struct xm_rows *r)
{
	return (1u << r->options.shape.columns) - 1;
}

static inline uint32_t in_state(const struct xm_rows *r, enum xm_member_state state)
{
	uint32_t mask = 0;

	for (uint32_t f = 0; f < fragments(r); f++)
		mask |= (uint32_t)(r->states[f] == state) << f;
	return mask;
}

static inline uint32_t are_in(const struct xm_rows *r)
{
	return in_state(r, XM_MEMBER_IN) |
	       (XM_PLANTED(rows_filling_read) ? in_state(r, XM_MEMBER_FILLING) : 0);
}

static inline uint32_t are_written(const struct xm_rows *r)
{
	return in_state(r, XM_MEMBER_IN) | in_state(r, XM_MEMBER_FILLING);
}

static inline uint32_t slot_number(const struct xm_rows *r, const struct xm_row_slot *s)
{
	return (uint32_t)(s - r->slots);
}

/* A slot's bytes: a page for each fragment, then one for each column, as it is stored. */
static inline uint8_t *bytes_at(const struct xm_rows *r,
				const struct xm_row_slot *s, uint32_t index)
{
	uint32_t pages = fragments(r) + r->options.shape.columns;

	return r->options.staging + (slot_number(r, s) * pages + index) *
					    (size_t)r->options.page_size;
}

static inline uint8_t *now_at(const struct xm_rows *r,
			      const struct xm_row_slot *s, uint32_t column)
{
	return bytes_at(r, s, fragments(r) + column);
}

static inline struct xm_rows_effect *effect(struct xm_rows *r,
				     enum xm_rows_effect_kind kind)
{
	struct xm_rows_effect *fx;

	XM_ASSERT(r->effects->count < XM_ROWS_EFFECTS_MAX);
	fx = &r->effects->list[r->effects->count++];
	memset(fx, 0, sizeof(*fx));
	fx->kind = kind;
	return fx;
}

static inline bool bit(const uint64_t *words, uint64_t n)
{
	return (words[n / 64] >> n % 64 & 1) != 0;
}

static inline void bit_set(uint64_t *words, uint64_t n)
{
	words[n / 64] |= UINT64_C(1) << n % 64;
}

static inline void bit_clear(uint64_t *words, uint64_t n)
{
	words[n / 64] &= ~(UINT64_C(1) << n % 64);
}

static inline bool is_unclean(const struct xm_rows *r, uint64_t row)
{
	return bit(r->unclean, row);
}

/* What is to be read for it; -ENODATA: it cannot be done. */
int xm_row_plan(const struct xm_rows *, struct xm_row_slot *);
/* All of that has been read: what a read wants, a store writes, or members lack. */
void xm_row_make_read(const struct xm_rows *, struct xm_row_slot *);
void xm_row_make_store(const struct xm_rows *, struct xm_row_slot *);
void xm_row_make_mended(struct xm_rows *, struct xm_row_slot *);

#endif
