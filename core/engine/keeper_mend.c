/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper's part in replacing members (core/pure/mender.h): it finds a vacancy, asks
 * the appliance that the machine has chosen for an extent, and makes that the segment's
 * member, with all lanes locked, in the order of their numbers.
 *
 * Floor: first.
 */
#include <errno.h>
#include <string.h>

#include "core/engine/keeper.h"

#define LOOK (20 * XM_MS)

void xm_keeper_lock_all(struct xm_keeper *k)
{
	for (uint32_t l = 0; l < k->lanes_count; l++)
		k->lock(k->owner, l);
}

void xm_keeper_unlock_all(struct xm_keeper *k)
{
	for (uint32_t l = k->lanes_count; l > 0; l--)
		k->unlock(k->owner, l - 1);
}

void xm_keeper_give_back(struct xm_keeper *k, uint32_t appliance,
			 uint32_t lease, uint64_t extent, uint64_t now_ns)
{
	struct xm_message give = { .kind = XM_FREE };

	if (k->peers[appliance].lease != lease)
		return;
	give.u.free.extent = extent;
	/* One that is away is told when it is back. */
	xm_control_request(&k->control, appliance, &give,
			   XM_KEEPER_FREE_TOKEN + 1,
			   xm_time_after(now_ns, k->ticket_timeout_ns), now_ns);
}

/* --- asking ------------------------------------------------------------------- */

static void ask(struct xm_keeper *k, uint64_t now_ns)
{
	struct xm_keeper_mend *mend = &k->mend;
	struct xm_message take = { .kind = XM_ALLOC };

	if (k->name != NULL)
		k->name(k->owner, &mend->vacancy.region_id, take.u.alloc.region);
	k->lock(k->owner, XM_KEEPER_CONTROL);
	take.u.alloc.size = mend->vacancy.size;
	take.u.alloc.id = mend->vacancy.region_id;
	take.u.alloc.member = (uint16_t)mend->vacancy.member;
	mend->lease = k->peers[mend->mender.spare].lease;
	mend->answered = false;
	xm_control_request(&k->control, mend->mender.spare, &take,
			   XM_KEEPER_MEND_TOKEN + 1,
			   xm_time_after(now_ns, k->ticket_timeout_ns), now_ns);
	k->unlock(k->owner, XM_KEEPER_CONTROL);
}

/* With the control lock held. */
void xm_keeper_mend_answer(struct xm_keeper *k,
			   const struct xm_control_report *report)
{
	struct xm_keeper_mend *mend = &k->mend;
	uint32_t a = report->appliance;

	mend->answered = true;
	mend->status = report->status;
	memset(&mend->member, 0, sizeof(mend->member));
	xm_trace_put(k->control.trace, k->control.peers[a].session.now_ns,
		     XM_TRACE_KEEPER_SPARE, a, mend->vacancy.page,
		     (uint64_t)(int64_t)report->status, 0);
	if (report->status != 0)
		return;
	mend->member.appliance = a;
	mend->member.lease = k->peers[a].lease;
	mend->member.extent = report->message->u.allocated.extent;
	mend->member.remote = report->message->u.allocated.remote;
	if (mend->lease != k->peers[a].lease ||
	    report->message->u.allocated.size < mend->vacancy.size)
		mend->status = -ESTALE;
}

/* --- the answer ---------------------------------------------------------------- */

/* A write that was posted before the member was OUT may still fly to its extent. */
static void part_later(struct xm_keeper *k, const struct xm_vacancy *vacancy)
{
	struct xm_keeper_parted *p = &k->mend.parted[k->mend.parted_count];

	if (vacancy->extent == 0)
		return;
	XM_ASSERT(k->mend.parted_count < XM_MOVE_PARTED);
	k->mend.parted_count++;
	p->appliance = vacancy->appliance;
	p->lease = vacancy->lease;
	p->extent = vacancy->extent;
	xm_keeper_posted_note(k, p->posted_ns);
}

static void give_parted(struct xm_keeper *k, uint64_t now_ns)
{
	struct xm_keeper_mend *mend = &k->mend;

	for (uint32_t i = mend->parted_count; i > 0; i--) {
		struct xm_keeper_parted *p = &mend->parted[i - 1];

		if (!xm_keeper_posted_ended(k, p->appliance, p->posted_ns))
			continue;
		k->lock(k->owner, XM_KEEPER_CONTROL);
		xm_keeper_give_back(k, p->appliance, p->lease, p->extent,
				    now_ns);
		*p = mend->parted[--mend->parted_count];
		k->unlock(k->owner, XM_KEEPER_CONTROL);
	}
}

bool xm_keeper_holds(const struct xm_keeper *k, uint32_t appliance,
		     uint64_t extent)
{
	const struct xm_keeper_mend *mend = &k->mend;
	const struct xm_keeper_move *move = &k->move;
	const struct xm_keeper_ledger *ledger = &k->views.ledgers[appliance];
	bool holds = (mend->answered && mend->member.appliance == appliance &&
		      mend->member.extent == extent) ||
		     (move->state == XM_MOVE_CONNECTS &&
		      move->guest.appliance == appliance &&
		      move->guest.extent == extent) ||
		     (ledger->state == XM_LEDGER_HELD &&
		      (ledger->extent == extent || ledger->next == extent ||
		       ledger->former == extent));

	for (uint32_t i = 0; i < mend->parted_count; i++)
		holds |= mend->parted[i].appliance == appliance &&
			 mend->parted[i].extent == extent;
	for (uint32_t i = 0;
	     move->state == XM_MOVE_PARTS && i < move->parted_count; i++)
		holds |= move->parts == appliance && move->parted[i] == extent;
	return holds;
}

static bool replace(struct xm_keeper *k, struct xm_vacancy *vacancy,
		    const struct xm_extent_at *member)
{
	struct xm_volume *v = k->lanes[0]->options.volume;
	bool done;

	xm_keeper_lock_all(k);
	done = xm_volume_replace(v, vacancy, member);
	for (uint32_t l = 0; done && l < k->lanes_count; l++)
		xm_effort_forget(&k->lanes[l]->io, vacancy->page,
				 vacancy->count, vacancy->member);
	if (done)
		part_later(k, vacancy);
	xm_keeper_unlock_all(k);
	return done;
}

static void take_in(struct xm_keeper *k, uint64_t now_ns)
{
	struct xm_keeper_mend *mend = &k->mend;
	struct xm_mender_event ev = { .kind = XM_MENDER_ANSWERED,
				      .now_ns = k->views.clock_ns,
				      .status = mend->status };
	uint32_t sweep = k->views.sweep + 1;
	bool done;

	xm_mender_step(&mend->mender, &ev);
	if (mend->moves) {
		xm_keeper_move_begin(k, now_ns);
		mend->answered = false;
		return;
	}
	done = mend->status == 0 && replace(k, &mend->vacancy, &mend->member);
	k->lock(k->owner, XM_KEEPER_CONTROL);
	if (!done && mend->member.extent != 0)
		xm_keeper_give_back(k, mend->member.appliance,
				    mend->member.lease, mend->member.extent,
				    now_ns);
	mend->answered = false;
	if (done) {
		k->views.sweep = sweep;
		k->views.spares |= 1u << mend->member.appliance;
		k->views.unswept |= 1u << mend->member.appliance;
		k->views.busy = true;
	}
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	for (uint32_t l = 0; done && l < k->lanes_count; l++) {
		k->lock(k->owner, l);
		xm_engine_stale(k->lanes[l], mend->vacancy.page,
				mend->vacancy.page + mend->vacancy.count);
		xm_engine_sweep(k->lanes[l], sweep);
		k->unlock(k->owner, l);
	}
}

/* --- turns ----------------------------------------------------------------------- */

/* The first vacancy for which an appliance has room: one that must wait stops no other. */
static bool vacancy_find(struct xm_keeper *k, uint32_t leaving,
			 struct xm_mender_event *ev)
{
	struct xm_keeper_mend *mend = &k->mend;
	uint32_t cursor = 0;
	bool there;

	ev->kind = XM_MENDER_VACANCY;
	do {
		k->lock(k->owner, 0);
		there = xm_volume_vacancy(k->lanes[0]->options.volume,
					  mend->mender.given_up | leaving,
					  &cursor, &mend->vacancy);
		if (there)
			xm_keeper_vacancy(k, &mend->vacancy, ev);
		k->unlock(k->owner, 0);
	} while (there && !xm_mender_step(&mend->mender, ev));
	return there && mend->mender.asks;
}

static void look(struct xm_keeper *k, uint32_t count, uint64_t now_ns)
{
	struct xm_keeper_mend *mend = &k->mend;
	const struct xm_view *view = &k->views.view;
	struct xm_mender_event ev = { .kind = XM_MENDER_TICK,
				      .now_ns = k->views.clock_ns };
	uint32_t leaving;

	k->lock(k->owner, XM_KEEPER_CONTROL);
	leaving = xm_keeper_leaving(k);
	ev.out = view->known & ~view->record.in;
	for (uint32_t a = 0; a < count; a++) {
		const struct xm_session *s = &k->control.peers[a].session;

		ev.lease_ns[a] = s->welcome.lease_ms * XM_MS;
		ev.gone |= (uint32_t)k->peers[a].gone << a;
	}
	xm_keeper_offers(k, mend->offers);
	mend->offers_count = count;
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	xm_mender_step(&mend->mender, &ev);
	if (!mend->mender.looks)
		return;
	mend->moves = !vacancy_find(k, leaving, &ev);
	if (mend->moves && (k->move.state != XM_MOVE_NONE ||
			    !xm_keeper_move_find(k, leaving, &ev)))
		return;
	ask(k, now_ns);
}

void xm_keeper_mend_turn(struct xm_keeper *k, uint32_t count, uint64_t now_ns)
{
	struct xm_keeper_mend *mend = &k->mend;

	if (mend->answered)
		take_in(k, now_ns);
	xm_keeper_move_turn(k, now_ns);
	give_parted(k, now_ns);
	if (!mend->mender.asks && mend->parted_count < XM_MOVE_PARTED &&
	    k->views.clock_ns >= mend->look_ns) {
		mend->look_ns = xm_time_after(k->views.clock_ns, LOOK);
		look(k, count, now_ns);
	}
	xm_keeper_spare_turn(k);
}
