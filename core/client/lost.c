/* SPDX-License-Identifier: BSD-3-Clause */
/* Losses in words; see lost.h. */
#include "core/client/lost.h"

#include <errno.h>
#include <stdio.h>

#include "common/words.h"
#include "core/client/client.h"
#include "core/client/range.h"

/* What has become of a member, if its segment cannot be read; or, `here`, if it can, but
 * these pages of it cannot. */
static const char *fate(const struct xm_backing_copy *m, bool here, bool tampered)
{
	switch (m->state) {
	case XM_MEMBER_LOST:
		if ((m->at.extent & XM_READING) != 0)
			return " lets us read it no more (its owner has ended "
			       "that, or has ended, or the appliance was "
			       "restarted)";
		return " does not hold our memory any more (it was restarted, or "
		       "our lease ended)";
	case XM_MEMBER_FILLING:
		return " has not been given all of it yet";
	case XM_MEMBER_OUT:
		return " lacks what was written since it was left out";
	case XM_MEMBER_IN: break;
	}
	if (tampered)
		return " gave back what is not what was sealed: it was tampered "
		       "with";
	return here ? " is in reach, but has not these bytes: they were lost before "
		      "(as those of a copy that could not be finished)"
		    : " is out of reach";
}

static void add_members(const extmem *x, const struct xm_backing *s, bool here,
			bool tampered, struct xm_words *w)
{
	for (uint32_t k = 0; k < s->copies; k++) {
		xm_words_add(w, k == 0 ? "appliance " : "; appliance ");
		xm_words_add(w, xm_ask_address(&x->ask,
					       s->list[k].at.appliance));
		xm_words_add(w, fate(&s->list[k], here, tampered));
	}
}

void xm_lost_note(extmem *x, uint64_t page)
{
	int none = 0, used;
	struct xm_engine *e = &xm_lane_at(&x->lanes, page)->engine;
	bool tampered = xm_engine_is_tampered(e, page);
	bool here = xm_engine_reach(e, page) == XM_REACH_UP;
	const uint8_t *base = x->arena.base;
	struct xm_backing s;
	struct xm_words w;

	atomic_fetch_add(&x->lost.pages, 1);
	if (!xm_volume_backing(&x->volume, page, &s) ||
	    !atomic_compare_exchange_strong(&x->lost.said, &none, 1))
		return;
	/* snprintf of strings and integers takes no lock and no memory. */
	used = snprintf(x->lost.words, sizeof(x->lost.words),
			"extmem: the page at %p is lost",
			(const void *)(base + page * XM_PAGE));
	if (s.lost)
		used += snprintf(x->lost.words + used,
				 sizeof(x->lost.words) - (size_t)used,
				 ", and all that lay with it of %p to %p (",
				 (const void *)(base + s.page * XM_PAGE),
				 (const void *)(base + (s.page + s.count) *
							       XM_PAGE));
	xm_words_begin(&w, x->lost.words + used,
		       sizeof(x->lost.words) - (size_t)used - 1);
	if (s.lost) {
		xm_words_bytes(&w, xm_backing_size(&s) * XM_PAGE);
		xm_words_add(&w, ")");
	}
	xm_words_add(&w, ": ");
	add_members(x, &s, here, tampered, &w);
	/* There is room for it, whatever was cut off. */
	w.size++;
	xm_words_add(&w, "\n");
	atomic_store(&x->lost.said, 2);
}

const char *extmem_lost(const extmem *x)
{
	return atomic_load(&x->lost.said) == 2 ? x->lost.words : "";
}

/* The first of these whose bytes cannot be had. */
static bool find_lost(extmem *x, uint64_t page, uint64_t limit,
		      struct xm_backing *ret)
{
	struct xm_engine *e = &x->lanes.lane[0].engine;

	for (;;) {
		page = xm_volume_backed_from(&x->volume, page, limit);
		if (page >= limit || !xm_volume_backing(&x->volume, page, ret))
			return false;
		if (xm_engine_reach(e, page) != XM_REACH_UP)
			return true;
		page = xm_backing_end(ret, page);
	}
}

void xm_lost_why(extmem *x, int rc, uint64_t page, uint64_t limit, char *words,
		 size_t size)
{
	struct xm_backing s;
	struct os_signals old;
	struct xm_words w;
	bool found = false;

	xm_words_begin(&w, words, size);
	if (rc == -ESTALE || rc == -ENOTCONN) {
		xm_lane_lock(&x->lanes.lane[0], &old);
		found = find_lost(x, page, limit, &s);
		xm_lane_unlock(&x->lanes.lane[0], &old);
	}
	if (!found) {
		xm_words_add(&w, xm_why(rc));
		return;
	}
	xm_words_add(&w, s.lost ? "lost: " : "");
	add_members(x, &s, false, false, &w);
}
