/* SPDX-License-Identifier: BSD-3-Clause */
/* What a row's slot reads, and the bytes that it writes; see rows.h. */
#include "core/pure/rows_parts.h"

#include <errno.h>

/* --- a slot's plan --------------------------------------------------------------- */

/* The lowest `count` of the mask's bits. */
static uint32_t lowest(uint32_t mask, uint32_t count)
{
	uint32_t some = 0;

	for (; count > 0 && mask != 0; count--) {
		some |= mask & -mask;
		mask &= mask - 1;
	}
	return some;
}

/* Fragments from which all others follow; 0: they are too few. */
static uint32_t enough(const struct xm_rows *r)
{
	uint32_t k = r->options.shape.columns, in = are_in(r);

	return (uint32_t)__builtin_popcount(in) < k ? 0 : lowest(in, k);
}

static int plan_store_unclean(const struct xm_rows *r, struct xm_row_slot *s)
{
	s->need = data(r) & ~s->columns;
	s->whole = true;
	if ((s->need & ~are_in(r)) == 0)
		return 0;
	/* Its parities stay what they are. */
	s->need = 0;
	s->whole = false;
	return (s->columns & ~are_in(r)) == 0 ? 0 : -ENODATA;
}

/* What is to be read to change the parities that are IN. */
static uint32_t need_of_update(const struct xm_rows *r, const struct xm_row_slot *s)
{
	uint32_t parities = are_in(r) & ~data(r), old = s->columns;

	if (XM_PLANTED(rows_old_of_other))
		old = 1u << (uint32_t)(__builtin_ctz(old) + 1) %
				    r->options.shape.columns;
	return parities != 0 ? old | parities : 0;
}

/* What is to be read to compute all parities; false: too few are left. */
static bool need_of_whole(const struct xm_rows *r, const struct xm_row_slot *s,
			  uint32_t *ret)
{
	uint32_t others = data(r) & ~s->columns;

	*ret = (others & ~are_in(r)) == 0 ? others : enough(r);
	return *ret != 0 || others == 0;
}

/* An update if all that it changes is there, and a whole row is not had by fewer reads. */
static int plan_store(const struct xm_rows *r, struct xm_row_slot *s)
{
	uint32_t whole, update = need_of_update(r, s), in = are_in(r);
	bool can_whole = need_of_whole(r, s, &whole);
	bool can_update = (s->columns & ~in) == 0;
	bool fills = (are_written(r) & ~in & ~data(r)) != 0;

	if (s->unclean)
		return plan_store_unclean(r, s);
	s->whole = can_whole &&
		   (!can_update || fills ||
		    __builtin_popcount(whole) < __builtin_popcount(update));
	s->need = s->whole ? whole : update;
	return can_whole || can_update ? 0 : -ENODATA;
}

static int plan_read(const struct xm_rows *r, struct xm_row_slot *s)
{
	s->need = are_in(r) & s->columns;
	if (s->need == 0 && (!s->unclean || XM_PLANTED(rows_read_unclean)))
		s->need = enough(r);
	return s->need != 0 ? 0 : -ENODATA;
}

static int plan_mend(const struct xm_rows *r, struct xm_row_slot *s)
{
	uint32_t missing = data(r) & ~are_in(r);

	if (!s->unclean) {
		s->need = enough(r);
		return s->need != 0 ? 0 : -ENODATA;
	}
	s->need = data(r) & ~missing;
	s->whole = true;
	/* What will come back may have the page. */
	return (missing & ~in_state(r, XM_MEMBER_FILLING)) == 0 ? 0 : -ENODATA;
}

int xm_row_plan(const struct xm_rows *r, struct xm_row_slot *s)
{
	switch (s->work) {
	case XM_ROW_STORES: return plan_store(r, s);
	case XM_ROW_READS: return plan_read(r, s);
	default: return plan_mend(r, s);
	}
}

/* --- a slot's bytes ----------------------------------------------------------------- */

static void list(const struct xm_rows *r, const struct xm_row_slot *s,
		 uint8_t *ret[XM_ROW_FRAGMENTS_MAX])
{
	for (uint32_t f = 0; f < fragments(r); f++)
		ret[f] = bytes_at(r, s, f);
}

/* All that was not read follows from what was; true, as enough was. */
static void decode(const struct xm_rows *r, struct xm_row_slot *s)
{
	const struct xm_rows_options *o = &r->options;
	uint8_t *pages[XM_ROW_FRAGMENTS_MAX];
	int rc;

	list(r, s, pages);
	rc = o->code_ops->decode(o->code, &o->shape, all(r) & ~s->have, pages,
				 o->page_size);
	XM_ASSERT(rc == 0);
}

static void encode(const struct xm_rows *r, struct xm_row_slot *s)
{
	const struct xm_rows_options *o = &r->options;
	uint8_t *pages[XM_ROW_FRAGMENTS_MAX];

	list(r, s, pages);
	o->code_ops->encode(o->code, &o->shape, pages, o->page_size);
}

void xm_row_make_read(const struct xm_rows *r, struct xm_row_slot *s)
{
	if (s->have != s->columns)
		decode(r, s);
}

/* The parities that were read change as the pages do. */
static void update(const struct xm_rows *r, struct xm_row_slot *s, uint32_t column)
{
	const struct xm_rows_options *o = &r->options;
	uint8_t *parities[XM_ROW_PARITIES_MAX], *old = bytes_at(r, s, column);

	for (uint32_t i = 0; i < o->shape.parities; i++) {
		uint32_t f = o->shape.columns + i;

		parities[i] = (s->have & 1u << f) != 0 ? bytes_at(r, s, f) : NULL;
	}
	if (XM_PLANTED(rows_old_of_other))
		old = bytes_at(r, s, (column + 1) % o->shape.columns);
	o->code_ops->update(o->code, &o->shape, column, old, now_at(r, s, column),
			    parities, o->page_size);
}

void xm_row_make_store(const struct xm_rows *r, struct xm_row_slot *s)
{
	uint32_t others = data(r) & ~s->columns;

	s->made = s->columns | (s->whole ? all(r) & ~data(r) : s->have & ~data(r));
	if (s->whole && (s->have & others) != others)
		decode(r, s);
	for (uint32_t m = s->columns; m != 0; m &= m - 1) {
		uint32_t c = (uint32_t)__builtin_ctz(m);

		if (!s->whole && s->have != 0 && !XM_PLANTED(rows_parity_kept))
			update(r, s, c);
		memcpy(bytes_at(r, s, c), now_at(r, s, c), r->options.page_size);
	}
	if (s->whole)
		encode(r, s);
}

void xm_row_make_mended(struct xm_rows *r, struct xm_row_slot *s)
{
	uint32_t missing = data(r) & ~s->have;

	s->made = in_state(r, XM_MEMBER_FILLING);
	if (!s->whole) {
		decode(r, s);
		return;
	}
	for (; missing != 0; missing &= missing - 1) {
		uint32_t f = (uint32_t)__builtin_ctz(missing);
		struct xm_rows_effect *fx = effect(r, XM_ROWS_LOSE);

		fx->row = s->row;
		fx->fragment = f;
		memset(bytes_at(r, s, f), 0, r->options.page_size);
	}
	encode(r, s);
	s->made |= all(r) & ~data(r);
}
