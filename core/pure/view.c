/* SPDX-License-Identifier: BSD-3-Clause */
/* The view machine; see view.h. */
#include "core/pure/view.h"

#include <string.h>

#include "core/pure/plant.h"

#define NEVER_BEFORE 1 /* ns: since_ns 0 is for those that are not down */

void xm_view_init(struct xm_view *v)
{
	memset(v, 0, sizeof(*v));
	v->grace_ns = XM_VIEW_GRACE;
	v->record.number = v->last = 1;
	v->record.version = 1;
}

static void note(const struct xm_view *v, uint64_t now_ns, enum xm_trace_id id,
		 uint64_t number, uint64_t in)
{
	xm_trace_put(v->trace, now_ns, id, number, in, 0, 0);
}

/* --- committing ------------------------------------------------------------- */

/* Is the view that is proposed written where it must be? */
static bool is_written(const struct xm_view *v, uint32_t members)
{
	uint32_t have = 0, before = v->record.in & members;

	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++)
		have |= (uint32_t)(v->written[a] >= v->needed) << a;
	if (XM_PLANTED(view_first_ledger_only))
		return have != 0;
	if (XM_PLANTED(drop_uncommitted))
		return true;
	if ((v->record.next & members & ~have) != 0)
		return false;
	return __builtin_popcount(before) <= 2 ||
	       2 * __builtin_popcount(have & before) >
		       __builtin_popcount(before);
}

static void commit(struct xm_view *v, uint64_t now_ns, uint32_t members,
		   struct xm_view_effects *fx)
{
	struct xm_view_record *r = &v->record;
	uint32_t left = r->in & ~r->next, joined = r->next & ~r->in;

	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++) {
		if ((left & 1u << a) != 0)
			r->left_at[a] = r->proposed;
		else if ((joined & 1u << a) != 0)
			r->left_at[a] = 0;
	}
	r->number = r->proposed;
	r->in = r->next;
	v->relied = r->in & members;
	r->proposed = r->next = 0;
	r->version++;
	v->filling &= ~joined;
	v->swept &= ~joined;
	v->lost &= r->in;
	fx->admit = joined;
	/* A member that stayed for want of another one may go now. */
	fx->drop = v->known & ~r->in & ~v->filling;
	note(v, now_ns, XM_TRACE_VIEW_COMMITTED, r->number, r->in);
}

/* --- what should be --------------------------------------------------------- */

static void watch_paths(struct xm_view *v, const struct xm_view_event *ev)
{
	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++) {
		if ((ev->down & 1u << a) == 0)
			v->since_ns[a] = 0;
		else if (v->since_ns[a] == 0)
			v->since_ns[a] = xm_max(ev->now_ns, NEVER_BEFORE);
	}
}

/* Those that are down, and not only for a moment. */
static uint32_t down_for_good(const struct xm_view *v,
			      const struct xm_view_event *ev)
{
	uint32_t ret = 0;

	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++) {
		uint32_t bit = 1u << a;

		if ((ev->down & bit) != 0 &&
		    ((ev->away & bit) != 0 ||
		     ev->now_ns - v->since_ns[a] >= v->grace_ns))
			ret |= bit;
	}
	return ret;
}

/* The view that there should be now, of those that have members. */
static uint32_t wanted(const struct xm_view *v, const struct xm_view_event *ev,
		       uint32_t gone)
{
	uint32_t drop = ev->members & (gone | v->lost);
	uint32_t next = (v->record.in & ~drop) |
			(v->filling & v->swept & ~gone);

	/* The last one is never dropped. */
	return (next & ev->members) != 0 ? next : v->record.in;
}

static void propose(struct xm_view *v, uint64_t now_ns, uint32_t next)
{
	struct xm_view_record *r = &v->record;

	if (next == r->in && r->proposed == 0)
		return;
	if (r->proposed != 0 && next == r->next)
		return;
	r->version++;
	if (next == r->in) {
		r->proposed = r->next = 0;
		return;
	}
	r->proposed = ++v->last;
	r->next = next;
	v->needed = r->version;
	note(v, now_ns, XM_TRACE_VIEW_PROPOSED, r->proposed, next);
}

/* Ledgers that do not have the record, and can be written. */
static uint32_t unwritten(const struct xm_view *v,
			  const struct xm_view_event *ev)
{
	uint32_t ret = 0;

	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++)
		ret |= (uint32_t)(v->written[a] < v->record.version) << a;
	return ret & (v->record.in | v->record.next | v->filling) &
	       ev->ledgers & ~ev->down & ~v->flying;
}

/* Whoever has members for the first time is IN: nothing was written there yet. */
static void welcome(struct xm_view *v, uint32_t fresh)
{
	if (fresh == 0)
		return;
	v->known |= fresh;
	v->record.in |= fresh;
	v->record.version++;
	if (v->record.proposed != 0) {
		v->record.next |= fresh;
		v->needed = v->record.version;
	}
}

static void on_tick(struct xm_view *v, const struct xm_view_event *ev,
		    struct xm_view_effects *fx)
{
	uint32_t gone, back, unfit;

	welcome(v, ev->members & ~v->known);
	watch_paths(v, ev);
	gone = down_for_good(v, ev);
	/* One that is being filled and goes down again lacks more, and is OUT. So is one that
	 * has no ledger: a view with it could not be committed, and would keep others out. */
	unfit = v->filling & (gone | ~ev->ledgers);
	if (unfit != 0) {
		fx->drop |= unfit;
		v->filling &= ~unfit;
		v->swept &= ~unfit;
	}
	back = v->known & ~v->record.in & ~v->filling & ~ev->down & ~ev->away &
	       ev->ledgers;
	if (back != 0) {
		fx->fill = back;
		fx->sweep = true;
		v->filling |= back;
		v->swept = 0; /* the sweep begins again, for all */
		note(v, ev->now_ns, XM_TRACE_VIEW_FILLING, v->record.number,
		     back);
	}
	propose(v, ev->now_ns, wanted(v, ev, gone));
	if (v->record.proposed != 0 && is_written(v, ev->members))
		commit(v, ev->now_ns, ev->members, fx);
	/* The last one that is in has lost its memory, and begins anew. */
	if ((v->record.in & ~v->lost) == 0)
		v->lost = 0;
	fx->write = unwritten(v, ev);
	v->flying |= fx->write;
}

void xm_view_step(struct xm_view *v, const struct xm_view_event *ev,
		  struct xm_view_effects *fx)
{
	uint32_t a = ev->appliance;

	memset(fx, 0, sizeof(*fx));
	switch (ev->kind) {
	case XM_VIEW_TICK:
		on_tick(v, ev, fx);
		break;
	case XM_VIEW_WRITTEN:
		v->flying &= ~(1u << a);
		if (ev->status == 0)
			v->written[a] = xm_max(v->written[a], ev->version);
		break;
	case XM_VIEW_LOST:
		v->written[a] = 0;
		v->relied &= ~(1u << a);
		if ((v->record.in & 1u << a) != 0)
			v->lost |= 1u << a;
		break;
	case XM_VIEW_LEDGER:
		v->written[a] = 0;
		v->relied &= ~(1u << a);
		break;
	case XM_VIEW_SWEPT:
		v->swept = v->filling;
		break;
	}
}
