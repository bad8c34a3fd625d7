/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper's part in a client's view (core/pure/view.h): it tells the machine what all
 * lanes and sessions see, writes ledgers by lane 0's paths, and tells the volume and the
 * lanes what the machine has decided. Nothing of this is done for a client whose
 * segments have one member each.
 *
 * Members change their state under lane 0's lock; lanes read it whenever they like, as
 * volume.h says.
 *
 * Floor: first.
 */
#include <errno.h>
#include <string.h>

#include "core/engine/keeper.h"
#include "core/pure/ledger.h"
#include "core/pure/plant.h"

#define RETRY XM_SECOND /* of an ALLOC that was refused */

/* --- what there is to see ------------------------------------------------------- */

struct sight {
	struct xm_view_event tick;
	uint64_t down_since_ns[XM_APPLIANCES_MAX];
	struct xm_far far[XM_APPLIANCES_MAX]; /* writes of ledgers that have ended */
	bool swept;   /* every lane has */
	uint32_t whole; /* appliances whose spare members have everything */
	bool mending; /* some lane is */
	uint64_t mended, unswept;
};

static void see_lane(const struct xm_keeper *k, const struct xm_engine *e,
		     uint32_t count, struct sight *ret)
{
	ret->swept &= !e->mend.sweeps && e->mend.number == k->views.sweep;
	ret->mending |= xm_engine_mends(e);
	ret->mended += e->mend.bytes;
	ret->unswept += xm_engine_unswept(e);
	for (uint32_t a = 0; a < count; a++) {
		const struct xm_path *path = &e->peers[a].path;

		if (path->state == XM_PATH_UP)
			continue;
		ret->tick.down |= 1u << a;
		ret->down_since_ns[a] = xm_min(ret->down_since_ns[a],
					       path->down_since_ns);
	}
}

static void see_lanes(struct xm_keeper *k, uint32_t count, struct sight *ret)
{
	for (uint32_t l = 0; l < k->lanes_count; l++) {
		struct xm_engine *e = k->lanes[l];

		k->lock(k->owner, l);
		if (l == 0) {
			ret->tick.now_ns = xm_engine_clock(e);
			ret->tick.members =
				xm_volume_redundant(e->options.volume);
			for (uint32_t a = 0; a < count; a++) {
				ret->far[a] = e->far[a];
				if (e->far[a].state == XM_FAR_ENDED)
					e->far[a].state = XM_FAR_IDLE;
			}
		}
		see_lane(k, e, count, ret);
		k->unlock(k->owner, l);
	}
	ret->tick.down &= ret->tick.members;
}

/* --- ledgers -------------------------------------------------------------------- */

/* It is not held any more, and nothing of it. */
static void forget_ledger(struct xm_keeper_ledger *ledger)
{
	if (ledger->state == XM_LEDGER_HELD)
		ledger->state = XM_LEDGER_NONE;
	ledger->wanted = ledger->asked = false;
	ledger->next = ledger->former = 0;
}

/* For one that its appliance asks back. */
static void another_came(struct xm_keeper *k, uint32_t a,
			 const struct xm_control_report *report)
{
	struct xm_keeper_ledger *ledger = &k->views.ledgers[a];

	ledger->asked = false;
	ledger->retry_ns = xm_time_after(k->views.clock_ns, RETRY);
	if (report->status != 0 ||
	    report->message->u.allocated.size < XM_LEDGER_SIZE)
		return;
	ledger->next = report->message->u.allocated.extent;
	ledger->next_remote = report->message->u.allocated.remote;
}

/* A request that waits, for a quota say, outlives the lease under which it was made: what is
 * granted is of the present one. */
void xm_keeper_views_answer(struct xm_keeper *k,
			    const struct xm_control_report *report)
{
	uint32_t a = (uint32_t)(report->token >> 1) & 0x7fff;
	struct xm_keeper_ledger *ledger = &k->views.ledgers[a];
	struct xm_view_event ev = { .kind = XM_VIEW_LEDGER, .appliance = a };
	struct xm_view_effects none;
	bool granted = report->status == 0 &&
		       report->message->u.allocated.size >= XM_LEDGER_SIZE;

	xm_trace_put(k->control.trace, k->control.peers[a].session.now_ns,
		     XM_TRACE_KEEPER_LEDGER, a,
		     (uint64_t)(int64_t)report->status, 0, 0);
	if (ledger->lease != k->peers[a].lease)
		forget_ledger(ledger);
	if (ledger->asked) {
		another_came(k, a, report);
		return;
	}
	if (ledger->state == XM_LEDGER_HELD) {
		/* It was asked for twice, as a lease ended in between. */
		if (granted && ledger->former == 0)
			ledger->former = report->message->u.allocated.extent;
		return;
	}
	ledger->state = granted ? XM_LEDGER_HELD : XM_LEDGER_NONE;
	ledger->refused = !granted;
	ledger->retry_ns = xm_time_after(k->views.clock_ns, RETRY);
	if (!granted)
		return;
	ledger->lease = k->peers[a].lease;
	ledger->extent = report->message->u.allocated.extent;
	ledger->remote = report->message->u.allocated.remote;
	xm_view_step(&k->views.view, &ev, &none);
}

static void ask_for_extent(struct xm_keeper *k, uint32_t a, uint64_t now_ns)
{
	struct xm_message take = { .kind = XM_ALLOC };

	take.u.alloc.size =
		xm_max(k->control.peers[a].session.welcome.granule,
		       XM_LEDGER_SIZE);
	memcpy(take.u.alloc.region, XM_LEDGER_NAME, sizeof(XM_LEDGER_NAME));
	xm_control_request(&k->control, a, &take,
			   XM_KEEPER_LEDGER_TOKEN + 2 * a + 1,
			   xm_time_after(now_ns, k->ticket_timeout_ns), now_ns);
}

static void ask_for_ledger(struct xm_keeper *k, uint32_t a, uint64_t now_ns)
{
	struct xm_keeper_ledger *ledger = &k->views.ledgers[a];

	ledger->state = XM_LEDGER_ASKED;
	ledger->lease = k->peers[a].lease;
	ask_for_extent(k, a, now_ns);
}

static void ledger_is_empty(struct xm_keeper *k, uint32_t a)
{
	struct xm_view_event ev = { .kind = XM_VIEW_LEDGER, .appliance = a };
	struct xm_view_effects none;

	xm_view_step(&k->views.view, &ev, &none);
}

/* One that its appliance asks back, and that no write is under way to: another one takes its
 * place, and it is given back when that one has the record. */
static void exchange_ledger(struct xm_keeper *k, uint32_t a, uint32_t members,
			    uint64_t now_ns)
{
	struct xm_keeper_ledger *ledger = &k->views.ledgers[a];
	const struct xm_view *v = &k->views.view;

	if (ledger->former != 0) {
		/* Where no member is, nothing relies on the record; and it may not come to be
		 * written, as nobody asks for a path there. */
		if (v->written[a] < v->record.version &&
		    (members & (v->record.in | v->record.next | v->filling) & 1u << a) != 0)
			return;
		xm_keeper_give_back(k, a, ledger->lease, ledger->former, now_ns);
		ledger->former = 0;
	} else if (ledger->next != 0) {
		ledger->former = ledger->extent;
		ledger->extent = ledger->next;
		ledger->remote = ledger->next_remote;
		ledger->next = 0;
		ledger->wanted = false;
		ledger_is_empty(k, a);
	} else if (ledger->wanted && k->control.peers[a].session.wants &&
		   k->peers[a].ready && !ledger->asked &&
		   k->views.clock_ns >= ledger->retry_ns) {
		ledger->asked = true;
		ask_for_extent(k, a, now_ns);
	}
}

/* An appliance that drains, and has no member any more, is given its ledger back. */
static void give_ledger_back(struct xm_keeper *k, uint32_t a, uint64_t now_ns)
{
	struct xm_keeper_ledger *ledger = &k->views.ledgers[a];
	const uint64_t extents[] = { ledger->extent, ledger->next,
				     ledger->former };

	forget_ledger(ledger);
	ledger->refused = true;
	ledger->retry_ns = xm_time_after(k->views.clock_ns, RETRY);
	ledger_is_empty(k, a);
	for (unsigned i = 0; i < XM_COUNT(extents); i++) {
		if (extents[i] != 0)
			xm_keeper_give_back(k, a, ledger->lease, extents[i],
					    now_ns);
	}
}

static void see_sessions(struct xm_keeper *k, uint32_t count, uint64_t now_ns,
			 struct sight *ret)
{
	struct xm_keeper_views *views = &k->views;

	for (uint32_t a = 0; a < count; a++) {
		struct xm_keeper_ledger *ledger = &views->ledgers[a];
		uint32_t bit = 1u << a;

		if (!k->peers[a].ready)
			ret->tick.away |= bit;
		if (views->leases[a] != k->peers[a].lease) {
			struct xm_view_event ev = { .kind = XM_VIEW_LOST,
						    .appliance = a };
			struct xm_view_effects none;

			views->leases[a] = k->peers[a].lease;
			if (ledger->lease != k->peers[a].lease)
				forget_ledger(ledger);
			xm_view_step(&views->view, &ev, &none);
		}
		if (ledger->state == XM_LEDGER_HELD && !ledger->asked &&
		    k->control.peers[a].session.leaving &&
		    ((ret->tick.members | views->view.flying) & bit) == 0)
			give_ledger_back(k, a, now_ns);
		if (ledger->state == XM_LEDGER_HELD &&
		    (views->view.flying & bit) == 0)
			exchange_ledger(k, a, ret->tick.members, now_ns);
		if (ledger->state == XM_LEDGER_HELD)
			ret->tick.ledgers |= bit;
		else if (ledger->state == XM_LEDGER_NONE &&
			 views->wanted && k->peers[a].ready &&
			 ret->tick.now_ns >= ledger->retry_ns)
			ask_for_ledger(k, a, now_ns);
	}
}

static void record_bytes(const struct xm_keeper *k,
			 uint8_t ret[XM_LEDGER_SLOT])
{
	struct xm_ledger l = { .record = k->views.view.record,
			       .appliances = k->control.count };

	for (uint32_t a = 0; a < l.appliances; a++) {
		const struct xm_session *s = &k->control.peers[a].session;

		l.incarnations[a] = s->welcome.incarnation;
		if (l.client == 0)
			l.client = s->hello.client;
	}
	xm_ledger_encode(&l, ret);
}

/* --- the machine ------------------------------------------------------------------ */

static void written(struct xm_keeper *k, uint32_t a, int status)
{
	struct xm_view_event ev = {
		.kind = XM_VIEW_WRITTEN, .appliance = a, .status = status,
		.version = k->views.ledgers[a].version,
	};
	struct xm_view_effects none;

	xm_view_step(&k->views.view, &ev, &none);
}

static void tally(struct xm_keeper *k, const struct sight *sight,
		  uint32_t in_before, uint64_t passed_ns)
{
	struct xm_keeper_tally *t = &k->views.tally;
	const struct xm_view *v = &k->views.view;
	uint32_t left = in_before & ~v->record.in;

	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++) {
		uint64_t since_ns = sight->down_since_ns[a];

		if ((left & 1u << a) == 0)
			continue;
		t->failovers++;
		if (sight->tick.now_ns > since_ns)
			t->failover_most_ns =
				xm_max(t->failover_most_ns,
				       sight->tick.now_ns - since_ns);
	}
	t->mended = sight->mended;
	xm_progress_look(&t->mends, sight->unswept, sight->tick.now_ns);
	if ((sight->tick.members & ~v->record.in) != 0 ||
	    k->views.spares != 0)
		t->degraded_ns += passed_ns;
}

/* With the control lock held. */
static void step(struct xm_keeper *k, uint32_t count, uint64_t now_ns,
		 struct sight *sight, struct xm_view_effects *fx)
{
	struct xm_keeper_views *views = &k->views;
	struct xm_view_event swept = { .kind = XM_VIEW_SWEPT };
	uint32_t in_before = views->view.record.in;
	uint64_t passed_ns = sight->tick.now_ns - views->clock_ns;

	passed_ns = views->clock_ns == 0 ? 0 : passed_ns;
	views->clock_ns = sight->tick.now_ns;
	views->view.trace = k->control.trace;
	see_sessions(k, count, now_ns, sight);
	for (uint32_t a = 0; a < count; a++) {
		if (sight->far[a].state == XM_FAR_ENDED)
			written(k, a, sight->far[a].status);
	}
	if (sight->swept) {
		xm_view_step(&views->view, &swept, fx);
		/* The others are IN with the view that says so. */
		sight->whole = views->spares & views->view.record.in;
		views->spares &= ~sight->whole;
		views->unswept = 0;
	}
	xm_view_step(&views->view, &sight->tick, fx);
	/* A view that was proposed before its appliance was asked for a spare admits it, but
	 * not that one: it is whole when its own sweep has ended. */
	if (!XM_PLANTED(spare_trusted))
		fx->admit &= ~views->unswept;
	tally(k, sight, in_before, passed_ns);
	if (fx->sweep)
		views->sweep++;
	for (uint32_t a = 0; a < count; a++) {
		if ((fx->write & 1u << a) != 0)
			views->ledgers[a].version = views->view.record.version;
	}
	views->busy = views->view.flying != 0 || sight->mending || fx->sweep ||
		      views->view.record.proposed != 0;
}

/* --- what it decides ---------------------------------------------------------------- */

static void write_ledgers(struct xm_keeper *k, uint32_t appliances,
			  const struct xm_keeper_ledger *ledgers,
			  const uint8_t *bytes)
{
	struct xm_engine *e = k->lanes[0];
	int status[XM_APPLIANCES_MAX] = { 0 };

	k->lock(k->owner, 0);
	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++) {
		if ((appliances & 1u << a) != 0)
			status[a] = xm_engine_post_far(
				e, a, &ledgers[a].remote,
				xm_ledger_offset(ledgers[a].version), bytes,
				XM_LEDGER_SLOT);
	}
	k->unlock(k->owner, 0);
	k->lock(k->owner, XM_KEEPER_CONTROL);
	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++) {
		if ((appliances & 1u << a) != 0 && status[a] != 0)
			written(k, a, status[a]);
	}
	k->unlock(k->owner, XM_KEEPER_CONTROL);
}

static void tell_volume(struct xm_keeper *k, const struct xm_view_effects *fx,
			uint32_t whole)
{
	struct xm_volume *v = k->lanes[0]->options.volume;

	k->lock(k->owner, 0);
	if ((fx->admit | whole) != 0)
		xm_volume_admit(v, fx->admit | whole);
	if (fx->drop != 0)
		xm_volume_drop(v, fx->drop);
	if (fx->fill != 0)
		xm_volume_fill(v, fx->fill);
	k->unlock(k->owner, 0);
}

void xm_keeper_views_turn(struct xm_keeper *k, uint64_t now_ns)
{
	struct sight sight = { .tick = { .kind = XM_VIEW_TICK }, .swept = true };
	struct xm_keeper_ledger ledgers[XM_APPLIANCES_MAX];
	uint8_t bytes[XM_LEDGER_SLOT];
	struct xm_view_effects fx;
	uint32_t count, sweep;
	bool wanted;
	uint32_t leaving, wants;

	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++)
		sight.down_since_ns[a] = XM_NEVER;
	k->lock(k->owner, XM_KEEPER_CONTROL);
	count = k->control.count;
	wanted = k->views.wanted;
	leaving = xm_keeper_leaving(k);
	wants = xm_keeper_wants(k) | k->wanted.appliances;
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	see_lanes(k, count, &sight);
	if (sight.tick.members == 0 && !wanted && (leaving | wants) == 0 &&
	    k->move.state == XM_MOVE_NONE && !k->mend.mender.asks &&
	    k->mend.parted_count == 0) {
		k->views.busy = false;
		return;
	}
	k->lock(k->owner, XM_KEEPER_CONTROL);
	step(k, count, now_ns, &sight, &fx);
	memcpy(ledgers, k->views.ledgers, sizeof(ledgers));
	sweep = k->views.sweep;
	if (fx.write != 0)
		record_bytes(k, bytes);
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	if (fx.write != 0)
		write_ledgers(k, fx.write, ledgers, bytes);
	if ((fx.admit | fx.drop | fx.fill | sight.whole) != 0)
		tell_volume(k, &fx, sight.whole);
	for (uint32_t l = 0; fx.sweep && l < k->lanes_count; l++) {
		k->lock(k->owner, l);
		xm_engine_sweep(k->lanes[l], sweep);
		k->unlock(k->owner, l);
	}
	xm_keeper_mend_turn(k, count, now_ns);
}
