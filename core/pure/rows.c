/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows with parity; see rows.h. */
#include "core/pure/rows_parts.h"

#include <errno.h>

/* Rows that a sweep looks at in one step. */
#define LOOKS_MAX 64

/* --- rows and intents --------------------------------------------------------- */

static struct xm_row_slot *slot_of(struct xm_rows *r, uint64_t row)
{
	for (uint32_t i = 0; i < r->options.slots; i++) {
		if (r->slots[i].work != XM_ROW_FREE && r->slots[i].row == row)
			return &r->slots[i];
	}
	return NULL;
}

bool xm_rows_is_locked(const struct xm_rows *r, uint64_t row)
{
	return slot_of((struct xm_rows *)r, row) != NULL;
}

bool xm_rows_is_clean(const struct xm_rows *r, uint64_t row)
{
	return !bit(r->unclean, row) && !xm_rows_is_locked(r, row);
}

static void unclean_clear(struct xm_rows *r, uint64_t row)
{
	r->unclean_count -= bit(r->unclean, row);
	bit_clear(r->unclean, row);
}

static bool is_marked(const struct xm_rows *r, uint64_t row)
{
	uint64_t group = row >> r->options.group_shift;

	return bit(r->marked.words, group) &&
	       (!r->ledger_flies || bit(r->flying.words, group));
}

/* Has the group a row that needs its mark? */
static bool is_used(struct xm_rows *r, uint64_t group)
{
	uint64_t row = group << r->options.group_shift;
	uint64_t end = xm_min(row + (UINT64_C(1) << r->options.group_shift),
			      r->options.rows);

	if (bit(r->used.words, group))
		return true;
	for (uint32_t i = 0; i < r->options.slots; i++) {
		const struct xm_row_slot *s = &r->slots[i];

		if (s->work == XM_ROW_STORES && s->row >= row && s->row < end &&
		    !XM_PLANTED(rows_intent_early))
			return true;
	}
	for (; r->unclean_count > 0 && row < end; row++) {
		if (is_unclean(r, row))
			return true;
	}
	return false;
}

static void intents_clear(struct xm_rows *r)
{
	uint64_t groups = ((r->options.rows - 1) >> r->options.group_shift) + 1;

	for (uint64_t g = 0; g < groups; g++) {
		if (bit(r->wanted.words, g) && !is_used(r, g))
			bit_clear(r->wanted.words, g);
	}
	memset(&r->used, 0, sizeof(r->used));
}

static void ledger_write(struct xm_rows *r)
{
	if (r->ledger_flies || r->ledger_failed ||
	    memcmp(&r->wanted, &r->marked, sizeof(r->wanted)) == 0)
		return;
	r->flying = r->wanted;
	r->ledger_flies = true;
	effect(r, XM_ROWS_DO_LEDGER);
}

static void ledger_ended(struct xm_rows *r, int status)
{
	XM_ASSERT(r->ledger_flies);
	r->ledger_flies = false;
	r->ledger_failed = status != 0;
	if (status == 0 || XM_PLANTED(rows_ledger_trusted)) {
		r->marked = r->flying;
		return;
	}
	for (uint32_t i = 0; i < XM_COUNT(r->marked.words); i++)
		r->marked.words[i] &= r->flying.words[i];
}

/* --- a slot's life ---------------------------------------------------------------- */

static void slot_end(struct xm_rows *r, struct xm_row_slot *s, int status)
{
	struct xm_rows_effect *fx;

	if (s->work == XM_ROW_MENDS) {
		r->again |= status != 0;
	} else {
		fx = effect(r, s->work == XM_ROW_STORES ? XM_ROWS_STORED
							: XM_ROWS_HAS_READ);
		fx->token = s->token;
		fx->status = status;
		fx->bytes = bytes_at(r, s, (uint32_t)__builtin_ctz(s->columns));
	}
	s->work = XM_ROW_FREE;
}

static void post(struct xm_rows *r, struct xm_row_slot *s, bool write, uint32_t mask)
{
	for (; mask != 0; mask &= mask - 1) {
		uint32_t f = (uint32_t)__builtin_ctz(mask);
		struct xm_rows_effect *fx = effect(r, write ? XM_ROWS_DO_WRITE
							    : XM_ROWS_DO_READ);

		fx->slot = slot_number(r, s);
		fx->fragment = f;
		fx->row = s->row;
		fx->bytes = bytes_at(r, s, f);
		s->flying |= 1u << f;
	}
}

/* Has a store succeeded, whose writes have ended? Its pages are at their members, or follow
 * from others; what is FILLING gets the row from the mender. */
static bool is_safe(const struct xm_rows *r, const struct xm_row_slot *s)
{
	uint32_t right = s->columns & s->written;

	if (right == s->columns)
		return true;
	right |= are_in(r) & ((data(r) & ~s->columns) | (s->made & ~data(r)));
	return (uint32_t)__builtin_popcount(right) >= r->options.shape.columns;
}

static void slot_put(struct xm_rows *r, struct xm_row_slot *s)
{
	uint32_t left = s->made & are_written(r) & ~s->written;

	if (left != 0) {
		post(r, s, true, left & ~s->flying);
		return;
	}
	if (s->flying != 0)
		return;
	if (s->work == XM_ROW_STORES && !is_safe(r, s)) {
		slot_end(r, s, -ENODATA);
		return;
	}
	/* All of its parities are those of its data. */
	if (s->unclean && s->whole)
		unclean_clear(r, s->row);
	slot_end(r, s, 0);
}

/* Is a page to be given up that may come back? Its member was dropped since the plan. */
static bool is_hasty(const struct xm_rows *r, const struct xm_row_slot *s)
{
	return s->work == XM_ROW_MENDS && s->whole &&
	       (data(r) & ~s->have & ~in_state(r, XM_MEMBER_FILLING)) != 0;
}

/* What is needed has been read. */
static void slot_make(struct xm_rows *r, struct xm_row_slot *s)
{
	if (s->work == XM_ROW_READS) {
		xm_row_make_read(r, s);
		slot_end(r, s, 0);
		return;
	}
	s->phase = XM_ROW_WAITS;
	if (s->work == XM_ROW_STORES)
		xm_row_make_store(r, s);
	else
		xm_row_make_mended(r, s);
}

static void slot_get(struct xm_rows *r, struct xm_row_slot *s)
{
	int rc = 0;

	if (s->flying != 0)
		return;
	/* Who was to be read may not be IN any more. */
	if ((s->need & ~s->have & ~are_in(r)) != 0) {
		s->have = 0;
		rc = xm_row_plan(r, s);
	}
	if (rc != 0)
		slot_end(r, s, rc);
	else if ((s->need & ~s->have) != 0)
		post(r, s, false, s->need & ~s->have);
	else if (is_hasty(r, s))
		slot_end(r, s, -ENODATA);
	else
		slot_make(r, s);
}

static void slot_go_on(struct xm_rows *r, struct xm_row_slot *s)
{
	if (s->work != XM_ROW_FREE && s->phase == XM_ROW_GETS)
		slot_get(r, s);
	if (s->work != XM_ROW_FREE && s->phase == XM_ROW_WAITS &&
	    (s->work == XM_ROW_MENDS || is_marked(r, s->row) ||
	     XM_PLANTED(rows_intent_missing)))
		s->phase = XM_ROW_PUTS;
	if (s->work != XM_ROW_FREE && s->phase == XM_ROW_PUTS)
		slot_put(r, s);
}

static struct xm_row_slot *slot_begin(struct xm_rows *r, enum xm_row_work work,
				      uint64_t row)
{
	struct xm_row_slot *free = NULL;
	uint32_t count = 0;

	XM_ASSERT(row < r->options.rows);
	for (uint32_t i = 0; i < r->options.slots; i++) {
		if (r->slots[i].work == XM_ROW_FREE) {
			free = &r->slots[i];
			count++;
		}
	}
	if (count < (work == XM_ROW_MENDS ? 1 : 2) ||
	    (slot_of(r, row) != NULL && !XM_PLANTED(rows_unlocked)))
		return NULL;
	memset(free, 0, sizeof(*free));
	free->work = work;
	free->row = row;
	free->unclean = is_unclean(r, row);
	return free;
}

static void ask(struct xm_rows *r, const struct xm_rows_event *ev)
{
	bool stores = ev->kind == XM_ROWS_STORE;
	struct xm_row_slot *s = slot_begin(r, stores ? XM_ROW_STORES : XM_ROW_READS,
					   ev->row);
	int rc;

	XM_ASSERT(ev->columns != 0 && (ev->columns & ~data(r)) == 0);
	XM_ASSERT(stores || (ev->columns & (ev->columns - 1)) == 0);
	if (s == NULL) {
		r->effects->status = -EAGAIN;
		return;
	}
	s->columns = ev->columns;
	s->token = ev->token;
	if (stores) {
		uint64_t group = ev->row >> r->options.group_shift;

		for (uint32_t m = s->columns; m != 0; m &= m - 1) {
			uint32_t c = (uint32_t)__builtin_ctz(m);

			memcpy(now_at(r, s, c), ev->bytes[c], r->options.page_size);
		}
		bit_set(r->wanted.words, group);
		bit_set(r->used.words, group);
	}
	rc = xm_row_plan(r, s);
	if (rc != 0)
		slot_end(r, s, rc);
	else
		slot_go_on(r, s);
}

static void ended(struct xm_rows *r, const struct xm_rows_event *ev)
{
	struct xm_row_slot *s = &r->slots[ev->slot];
	uint32_t own = 1u << ev->fragment;
	bool counts = (s->idle & own) == 0 &&
		      (ev->status == 0 || (s->phase == XM_ROW_PUTS &&
					   XM_PLANTED(rows_write_forgotten)));

	XM_ASSERT(s->work != XM_ROW_FREE && (s->flying & own) != 0);
	s->flying &= ~own;
	s->idle &= ~own;
	if (counts && s->phase == XM_ROW_PUTS)
		s->written |= own;
	else if (counts)
		s->have |= own;
	/* What has failed waits for the next tick. */
	if (counts || (are_written(r) & own) == 0)
		slot_go_on(r, s);
}

/* --- mending --------------------------------------------------------------------- */

static bool is_mending(const struct xm_rows *r)
{
	for (uint32_t i = 0; i < r->options.slots; i++) {
		if (r->slots[i].work == XM_ROW_MENDS)
			return true;
	}
	return false;
}

static void sweep_begin(struct xm_rows *r)
{
	r->fills = in_state(r, XM_MEMBER_FILLING);
	r->sweeps = r->fills != 0 || r->unclean_count > 0;
	r->again = false;
	r->cursor = 0;
}

static void sweep_end(struct xm_rows *r)
{
	uint32_t fills = r->fills & in_state(r, XM_MEMBER_FILLING);

	r->sweeps = false;
	for (; fills != 0 && !r->again; fills &= fills - 1)
		effect(r, XM_ROWS_FILLED)->fragment =
			(uint32_t)__builtin_ctz(fills);
}

static void sweep(struct xm_rows *r)
{
	for (uint32_t n = 0; n < LOOKS_MAX && r->sweeps && !is_mending(r); n++) {
		struct xm_row_slot *s;
		int rc;

		if (r->cursor == r->options.rows) {
			sweep_end(r);
			return;
		}
		if (r->fills == 0 && !is_unclean(r, r->cursor)) {
			r->cursor++;
			continue;
		}
		s = slot_begin(r, XM_ROW_MENDS, r->cursor);
		if (s == NULL && !XM_PLANTED(rows_mend_skips))
			return;
		r->cursor++;
		if (s == NULL)
			continue;
		rc = xm_row_plan(r, s);
		if (rc != 0)
			slot_end(r, s, rc);
		else
			slot_go_on(r, s);
	}
}

/* --- steps ------------------------------------------------------------------------ */

static void slots_go_on(struct xm_rows *r)
{
	for (uint32_t i = 0; i < r->options.slots; i++)
		slot_go_on(r, &r->slots[i]);
}

static void member(struct xm_rows *r, const struct xm_rows_event *ev)
{
	uint32_t own = 1u << ev->fragment;

	r->states[ev->fragment] = ev->state;
	if (ev->state != XM_MEMBER_IN) {
		/* What it was told before counts no more. */
		for (uint32_t i = 0; i < r->options.slots; i++) {
			r->slots[i].written &= ~own;
			r->slots[i].idle |= r->slots[i].flying & own;
		}
	}
	if (ev->state == XM_MEMBER_FILLING)
		sweep_begin(r);
	slots_go_on(r);
}

static void tick(struct xm_rows *r)
{
	r->ledger_failed = false;
	slots_go_on(r);
	if (!r->sweeps && !is_mending(r))
		sweep_begin(r);
	intents_clear(r);
}

void xm_rows_step(struct xm_rows *r, const struct xm_rows_event *ev,
		  struct xm_rows_effects *ret)
{
	r->effects = ret;
	ret->count = 0;
	ret->status = 0;
	switch (ev->kind) {
	case XM_ROWS_STORE:
	case XM_ROWS_READ: ask(r, ev); break;
	case XM_ROWS_ENDED: ended(r, ev); break;
	case XM_ROWS_LEDGER_ENDED:
		ledger_ended(r, ev->status);
		slots_go_on(r);
		break;
	case XM_ROWS_MEMBER: member(r, ev); break;
	case XM_ROWS_TICK: tick(r); break;
	}
	sweep(r);
	ledger_write(r);
	r->effects = NULL;
}

/* --- life ------------------------------------------------------------------------- */

static size_t unclean_words(const struct xm_rows_options *o)
{
	return (o->rows + 63) / 64;
}

size_t xm_rows_memory_size(const struct xm_rows_options *o)
{
	return unclean_words(o) * sizeof(uint64_t);
}

size_t xm_rows_staging_size(const struct xm_rows_options *o)
{
	return (size_t)o->slots * (2 * o->shape.columns + o->shape.parities) *
	       o->page_size;
}

void xm_rows_init(struct xm_rows *r, const struct xm_rows_options *o,
		  const enum xm_member_state *states,
		  const struct xm_rows_intents *found, void *memory)
{
	memset(r, 0, sizeof(*r));
	XM_ASSERT(o->shape.columns >= 2 && o->shape.columns <= XM_ROW_COLUMNS_MAX);
	XM_ASSERT(o->shape.parities >= 1 && o->shape.parities <= XM_ROW_PARITIES_MAX);
	XM_ASSERT(o->slots >= 2 && o->slots <= XM_ROWS_SLOTS_MAX);
	XM_ASSERT(o->rows > 0 && o->page_size % 64 == 0);
	XM_ASSERT((o->rows - 1) >> o->group_shift < XM_ROWS_GROUPS_MAX);
	r->options = *o;
	r->unclean = memory;
	for (uint32_t f = 0; f < fragments(r); f++)
		r->states[f] = states[f];
	if (found == NULL)
		return;
	r->wanted = r->marked = *found;
	for (uint64_t row = 0; row < o->rows; row++) {
		if (!bit(found->words, row >> o->group_shift) ||
		    XM_PLANTED(rows_found_trusted))
			continue;
		bit_set(r->unclean, row);
		r->unclean_count++;
	}
}

bool xm_rows_is_idle(const struct xm_rows *r)
{
	uint64_t marks = 0;

	for (uint32_t i = 0; i < r->options.slots; i++) {
		if (r->slots[i].work != XM_ROW_FREE)
			return false;
	}
	for (uint32_t i = 0; i < XM_COUNT(r->marked.words); i++)
		marks |= r->marked.words[i] | r->wanted.words[i];
	return !r->sweeps && !r->ledger_flies && r->unclean_count == 0 && marks == 0 &&
	       in_state(r, XM_MEMBER_FILLING) == 0;
}
