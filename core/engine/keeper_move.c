/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper's part in a drain: copies that lie at an appliance that drains, or that asks
 * for their extents back because its pool shrinks, move to other ones, one after the other,
 * while programs run (keeper.h has the states, volume.h says what a guest is). Segments with
 * one copy move like those with several.
 *
 * Two waits keep it safe. Before the sweep begins, what was posted before the guest
 * joined has ended: a write to a segment with one copy does not know of the guest. And
 * before the old extent is given back, what was posted to it has ended.
 *
 * Floor: first.
 */
#include <errno.h>
#include <string.h>

#include "core/engine/keeper.h"

#define SOURCE XM_SECOND /* a move waits so long for one to read from */
#define CONNECT (2 * XM_SECOND) /* by then each lane has a path, or it is tried again */

static struct xm_volume *volume(const struct xm_keeper *k)
{
	return k->lanes[0]->options.volume;
}

uint32_t xm_keeper_leaving(const struct xm_keeper *k)
{
	uint32_t ret = 0;

	for (uint32_t a = 0; a < k->control.count; a++)
		ret |= (uint32_t)k->control.peers[a].session.leaving << a;
	return ret;
}

uint32_t xm_keeper_wants(const struct xm_keeper *k)
{
	uint32_t ret = 0;

	for (uint32_t a = 0; a < k->control.count; a++)
		ret |= (uint32_t)k->control.peers[a].session.wants << a;
	return ret;
}

void xm_keeper_wanted(struct xm_keeper *k, uint32_t appliance, uint64_t extent)
{
	struct xm_keeper_wanted *w = &k->wanted;
	struct xm_keeper_ledger *ledger = &k->views.ledgers[appliance];

	xm_trace_put(k->control.trace,
		     k->control.peers[appliance].session.now_ns,
		     XM_TRACE_KEEPER_WANTED, appliance, extent, 0, 0);
	if (ledger->state == XM_LEDGER_HELD && ledger->extent == extent) {
		ledger->wanted = true;
		return;
	}
	if (w->count == XM_WANTED_MAX)
		return;
	w->list[w->count].appliance = appliance;
	w->list[w->count].lease = k->peers[appliance].lease;
	w->list[w->count++].extent = extent;
}

/* Lane 0 hears of what was asked for, and of appliances that ask for nothing more. */
static uint32_t tell_wanted(struct xm_keeper *k)
{
	struct xm_keeper_wanted new;
	uint32_t wants;

	k->lock(k->owner, XM_KEEPER_CONTROL);
	wants = xm_keeper_wants(k);
	new = k->wanted;
	k->wanted.count = 0;
	k->wanted.appliances = wants;
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	if (new.count == 0 && (new.appliances & ~wants) == 0)
		return wants;
	k->lock(k->owner, 0);
	xm_volume_ask_no_more(volume(k), ~wants);
	for (uint32_t i = 0; i < new.count; i++)
		xm_volume_ask_back(volume(k), new.list[i].appliance,
				   new.list[i].lease, new.list[i].extent);
	k->unlock(k->owner, 0);
	return wants;
}

/* The appliances to which every lane's path is up; or, with grace, of whose paths none
 * has been down for that long. */
static uint32_t reached(struct xm_keeper *k, uint64_t grace_ns)
{
	uint32_t ret = UINT32_MAX;

	for (uint32_t l = 0; l < k->lanes_count; l++) {
		struct xm_engine *e = k->lanes[l];
		uint32_t here = 0;

		k->lock(k->owner, l);
		for (uint32_t a = 0; a < e->io.peers_count; a++) {
			const struct xm_path *path = &e->peers[a].path;
			uint64_t down_ns = xm_engine_clock(e) -
					   path->down_since_ns;
			bool is = path->state == XM_PATH_UP ||
				  (grace_ns > 0 && down_ns < grace_ns);

			here |= (uint32_t)is << a;
		}
		k->unlock(k->owner, l);
		ret &= here;
	}
	return ret;
}

static bool is_reached(struct xm_keeper *k, uint32_t appliance,
		       uint64_t grace_ns)
{
	return (reached(k, grace_ns) & 1u << appliance) != 0;
}

/* --- what is to move ------------------------------------------------------------ */

static bool next_leaver(struct xm_keeper *k, uint32_t leaving, uint32_t wants,
			uint32_t up, uint32_t *cursor,
			struct xm_vacancy *ret, struct xm_mender_event *ev)
{
	bool found;

	k->lock(k->owner, 0);
	found = xm_volume_leaver(volume(k), leaving, wants, up, cursor, ret);
	if (found)
		xm_keeper_vacancy(k, ret, ev);
	k->unlock(k->owner, 0);
	return found;
}

/* Its region is tracked, or is now. That may wait for the end of a call: so it is tried with
 * one region in each look, with another one each time. */
static bool is_tracked(struct xm_keeper *k, const struct xm_vacancy *at,
		       bool *tried)
{
	if (!at->direct || k->track == NULL)
		return true;
	if (*tried || at->page < k->move.tried)
		return false;
	*tried = true;
	k->move.tried = at->page + 1;
	return k->track(k->owner, &at->region_id);
}

bool xm_keeper_move_find(struct xm_keeper *k, uint32_t leaving,
			 struct xm_mender_event *ev)
{
	struct xm_keeper_mend *mend = &k->mend;
	uint32_t wants = tell_wanted(k);
	uint32_t up = (leaving | wants) != 0 ? reached(k, 0) : 0, cursor = 0;
	bool found = false, tried = false, waits = false;
	struct xm_mender *mender = &mend->mender;
	struct xm_vacancy at;
	uint64_t stranded = 0;

	ev->kind = XM_MENDER_VACANCY;
	while (next_leaver(k, leaving, wants, up, &cursor, &at, ev)) {
		if (!xm_mender_fits(ev)) {
			stranded += at.size;
			if (!found)
				xm_mender_step(mender, ev);
		} else if (!found && is_tracked(k, &at, &tried)) {
			mend->vacancy = at;
			found = xm_mender_step(mender, ev);
		} else {
			waits = true;
		}
	}
	if (!tried)
		k->move.tried = 0;
	/* Without a place for any the machine waits; not for one that is to be tracked. */
	if (waits && !found)
		mender->retry_ns = 0;
	k->lock(k->owner, XM_KEEPER_CONTROL);
	k->views.tally.stranded = stranded;
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	return found;
}

/* --- lanes ---------------------------------------------------------------------- */

void xm_keeper_posted_note(const struct xm_keeper *k,
			   uint64_t ret_ns[XM_LANES_MAX])
{
	for (uint32_t l = 0; l < k->lanes_count; l++)
		ret_ns[l] = xm_engine_clock(k->lanes[l]);
}

bool xm_keeper_posted_ended(struct xm_keeper *k, uint32_t appliance,
			    const uint64_t posted_ns[XM_LANES_MAX])
{
	bool ended = true;

	for (uint32_t l = 0; ended && l < k->lanes_count; l++) {
		k->lock(k->owner, l);
		ended = !xm_engine_flies_since(k->lanes[l], appliance,
					       posted_ns[l]);
		k->unlock(k->owner, l);
	}
	return ended;
}

static bool held_there(struct xm_keeper *k, const struct xm_extent_at *member)
{
	bool ret;

	k->lock(k->owner, XM_KEEPER_CONTROL);
	ret = k->peers[member->appliance].lease == member->lease;
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	return ret;
}

/* --- states --------------------------------------------------------------------- */

static void over(struct xm_keeper *k, bool failed)
{
	k->move.state = XM_MOVE_NONE;
	k->mend.look_ns = k->views.clock_ns;
	k->mend.mender.retry_ns = 0;
	if (failed)
		xm_mender_avoid(&k->mend.mender, k->move.guest.appliance,
				k->views.clock_ns);
}

static void want(struct xm_keeper *k, bool wanted)
{
	xm_keeper_lock_all(k);
	xm_volume_want(volume(k), k->move.guest.appliance, wanted);
	xm_keeper_unlock_all(k);
}

void xm_keeper_move_begin(struct xm_keeper *k, uint64_t now_ns)
{
	struct xm_keeper_move *move = &k->move;

	if (k->mend.status != 0) {
		k->lock(k->owner, XM_KEEPER_CONTROL);
		if (k->mend.member.extent != 0)
			xm_keeper_give_back(k, k->mend.member.appliance,
					    k->mend.member.lease,
					    k->mend.member.extent, now_ns);
		k->unlock(k->owner, XM_KEEPER_CONTROL);
		return;
	}
	move->vacancy = k->mend.vacancy;
	move->guest = k->mend.member;
	move->since_ns = k->views.clock_ns;
	move->state = XM_MOVE_CONNECTS;
	want(k, true);
}

static void connects(struct xm_keeper *k, uint64_t now_ns)
{
	struct xm_keeper_move *move = &k->move;
	bool held = held_there(k, &move->guest), joined = false;

	if (held && !is_reached(k, move->guest.appliance, 0) &&
	    k->views.clock_ns - move->since_ns < CONNECT)
		return;
	if (held && is_reached(k, move->guest.appliance, 0)) {
		xm_keeper_lock_all(k);
		joined = xm_volume_invite(volume(k), &move->vacancy,
					  &move->guest);
		xm_keeper_posted_note(k, k->move.posted_ns);
		xm_keeper_unlock_all(k);
	}
	want(k, false);
	if (joined) {
		move->state = XM_MOVE_JOINS;
		return;
	}
	k->lock(k->owner, XM_KEEPER_CONTROL);
	xm_keeper_give_back(k, move->guest.appliance, move->guest.lease,
			    move->guest.extent, now_ns);
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	over(k, true);
}

/* Under all locks: who has parted, and the lanes forget what that member has. */
static void parts(struct xm_keeper *k, bool settles)
{
	struct xm_keeper_move *move = &k->move;
	struct xm_parted gone = { .appliance = settles
				  ? move->vacancy.appliance
				  : move->guest.appliance };

	move->parts = gone.appliance;
	move->parted_count = 0;
	while (move->parted_count < XM_MOVE_PARTED &&
	       (settles ? xm_volume_settle(volume(k), move->vacancy.appliance,
					   &gone)
			: xm_volume_dismiss(volume(k), &gone))) {
		for (uint32_t l = 0; l < k->lanes_count; l++)
			xm_effort_forget(&k->lanes[l]->io, gone.page,
					 gone.count, gone.member);
		if (gone.extent != 0) {
			move->parted_leases[move->parted_count] = gone.lease;
			move->parted[move->parted_count++] = gone.extent;
		}
		if (settles)
			move->bytes += gone.size;
	}
	xm_keeper_posted_note(k, k->move.posted_ns);
	move->state = XM_MOVE_PARTS;
}

static void abandon(struct xm_keeper *k)
{
	xm_keeper_lock_all(k);
	parts(k, false);
	xm_keeper_unlock_all(k);
}

static void joins(struct xm_keeper *k)
{
	struct xm_keeper_move *move = &k->move;
	const struct xm_vacancy *at = &move->vacancy;

	if (!xm_keeper_posted_ended(k, at->appliance, move->posted_ns))
		return;
	k->lock(k->owner, XM_KEEPER_CONTROL);
	move->sweep = ++k->views.sweep;
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	for (uint32_t l = 0; l < k->lanes_count; l++) {
		k->lock(k->owner, l);
		xm_engine_stale(k->lanes[l], at->page, at->page + at->count);
		xm_engine_sweep(k->lanes[l], move->sweep);
		k->unlock(k->owner, l);
	}
	move->state = XM_MOVE_FILLS;
}

/* With all lanes locked. Other members that are being filled are not waited for. */
static bool is_filled(const struct xm_keeper *k)
{
	const struct xm_vacancy *at = &k->move.vacancy;

	for (uint32_t l = 0; l < k->lanes_count; l++) {
		if (!xm_engine_filled(k->lanes[l], k->move.sweep, at->page,
				      at->page + at->count))
			return false;
	}
	return true;
}

static bool settle(struct xm_keeper *k)
{
	bool filled;

	xm_keeper_lock_all(k);
	filled = is_filled(k) || XM_PLANTED(drain_gives_early);
	if (filled)
		parts(k, true);
	xm_keeper_unlock_all(k);
	return filled;
}

static void ask_tie(struct xm_keeper *k, const struct xm_message *offer,
		    uint64_t now_ns)
{
	struct xm_keeper_move *move = &k->move;
	const struct xm_extent_at *guest = &move->guest;

	move->state = XM_MOVE_TIES;
	k->lock(k->owner, XM_KEEPER_CONTROL);
	move->tied_status = -ESTALE;
	move->tied = k->peers[guest->appliance].lease != guest->lease;
	if (!move->tied)
		xm_control_request(&k->control, guest->appliance, offer,
				   XM_KEEPER_TIE_TOKEN + 1,
				   xm_time_after(now_ns, k->ticket_timeout_ns),
				   now_ns);
	k->unlock(k->owner, XM_KEEPER_CONTROL);
}

/* With the control lock held. */
void xm_keeper_move_answer(struct xm_keeper *k,
			   const struct xm_control_report *report)
{
	k->move.tied = true;
	k->move.tied_status = report->status;
}

static void fills(struct xm_keeper *k, uint32_t guests, uint64_t now_ns)
{
	struct xm_message offer = { .kind = XM_OFFER };
	int rc = -ENOENT;
	bool filled;

	xm_keeper_lock_all(k);
	filled = is_filled(k) || XM_PLANTED(drain_gives_early);
	xm_keeper_unlock_all(k);
	if (!filled)
		return;
	if (k->tie != NULL)
		rc = k->tie(k->owner, &k->move.vacancy,
			    k->move.guest.extent, &offer);
	if (rc == -ENOENT)
		settle(k);
	else if (rc == 0 && guests == 1)
		ask_tie(k, &offer, now_ns);
	else /* parts of one extent cannot have labels of their own */
		abandon(k);
}

/* Until it is settled, both have the token, and this one the later turn. */
static void ties(struct xm_keeper *k)
{
	struct xm_keeper_move *move = &k->move;
	bool tied;

	k->lock(k->owner, XM_KEEPER_CONTROL);
	tied = move->tied;
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	if (!tied)
		return;
	if (move->tied_status != 0)
		abandon(k);
	else if (!settle(k))
		move->state = XM_MOVE_FILLS;
}

static void gives(struct xm_keeper *k, uint64_t now_ns)
{
	struct xm_keeper_move *move = &k->move;
	bool bad;

	if (!xm_keeper_posted_ended(k, move->parts, move->posted_ns))
		return;
	k->lock(k->owner, XM_KEEPER_CONTROL);
	for (uint32_t i = 0; i < move->parted_count; i++)
		xm_keeper_give_back(k, move->parts, move->parted_leases[i],
				    move->parted[i], now_ns);
	k->views.tally.moved = move->bytes;
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	k->lock(k->owner, 0);
	bad = xm_volume_guests(volume(k), UINT32_MAX, &bad) > 0;
	k->unlock(k->owner, 0);
	if (bad) /* more than could be noted */
		move->state = XM_MOVE_FILLS;
	else
		over(k, move->parts != move->vacancy.appliance);
}

void xm_keeper_move_turn(struct xm_keeper *k, uint64_t now_ns)
{
	struct xm_keeper_move *move = &k->move;
	uint32_t guests = 0, sources;
	bool bad = false;

	if (move->state == XM_MOVE_JOINS || move->state == XM_MOVE_FILLS ||
	    (move->state == XM_MOVE_TIES && move->tied)) {
		sources = reached(k, SOURCE);
		k->lock(k->owner, 0);
		guests = xm_volume_guests(volume(k), sources, &bad);
		k->unlock(k->owner, 0);
		if (guests == 0) /* the program has freed the segment */
			over(k, false);
		else if (bad || !is_reached(k, move->guest.appliance,
					    XM_VIEW_GRACE))
			abandon(k);
	}
	switch (move->state) {
	case XM_MOVE_CONNECTS:
		connects(k, now_ns);
		break;
	case XM_MOVE_JOINS:
		joins(k);
		break;
	case XM_MOVE_FILLS:
		fills(k, guests, now_ns);
		break;
	case XM_MOVE_TIES:
		ties(k);
		break;
	case XM_MOVE_PARTS:
		gives(k, now_ns);
		break;
	case XM_MOVE_NONE:
		break;
	}
	k->lock(k->owner, XM_KEEPER_CONTROL);
	k->views.busy |= move->state != XM_MOVE_NONE;
	k->unlock(k->owner, XM_KEEPER_CONTROL);
}
