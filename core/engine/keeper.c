/* SPDX-License-Identifier: BSD-3-Clause */
/* The keeper's turn; see keeper.h. */
#include "core/engine/keeper.h"

#include <errno.h>
#include <string.h>

#include "core/pure/plant.h"

/* Nothing is under way / something is. */
#define PATIENCE_IDLE (100 * XM_MS)
#define PATIENCE_BUSY (5 * XM_MS)
/* A view is to be committed, or a member filled, which is the keeper's turns alone if no
 * thread waits. */
#define PATIENCE_VIEW (200 * XM_US)

/* Tokens of ticket requests are odd. */
static uint64_t ticket_token(uint32_t lane, uint32_t appliance)
{
	return (uint64_t)lane << 16 | (uint64_t)appliance << 1 | 1;
}

static void on_ticket(struct xm_keeper *k, const struct xm_control_report *report)
{
	uint32_t lane = (uint32_t)(report->token >> 16);
	uint32_t appliance = (uint32_t)(report->token >> 1) & 0x7fff;
	struct xm_keeper_peer *peer = &k->peers[appliance];

	XM_ASSERT(lane < k->lanes_count);
	xm_trace_put(k->control.trace,
		     k->control.peers[appliance].session.now_ns,
		     XM_TRACE_KEEPER_TICKET, appliance, lane,
		     (uint64_t)(int64_t)report->status, 0);
	if (report->status == 0) {
		peer->tickets[lane] = XM_TICKET_HERE;
		k->ticketed[appliance][lane] = report->message->u.ticketed;
	} else {
		peer->tickets[lane] = XM_TICKET_REFUSED_;
	}
}

/* An appliance's words, or else the channel's. */
static void note_why(struct xm_keeper_peer *peer,
		     const struct xm_control_report *report)
{
	struct xm_words w;

	xm_words_begin(&w, peer->words, sizeof(peer->words));
	if (report->message != NULL)
		memcpy(peer->words, report->message->u.refused.words,
		       sizeof(report->message->u.refused.words));
	else if (report->words != NULL)
		xm_words_add(&w, report->words);
}

static void revoked_add(struct xm_keeper *k, uint32_t appliance, uint64_t extent)
{
	struct xm_keeper_revoked *r = &k->revoked;

	r->ever++;
	if (r->count == XM_REVOKED_MAX)
		return;
	r->list[r->count].appliance = appliance;
	r->list[r->count].lease = k->peers[appliance].lease;
	r->list[r->count++].extent = extent;
}

static void on_report(void *owner, const struct xm_control_report *report)
{
	struct xm_keeper *k = owner;
	struct xm_keeper_peer *peer = &k->peers[report->appliance];

	switch (report->kind) {
	case XM_CONTROL_ANSWER:
		if ((report->token & 1) != 0) {
			if ((report->token & XM_KEEPER_LEDGER_TOKEN) != 0)
				xm_keeper_views_answer(k, report);
			else if ((report->token & XM_KEEPER_MEND_TOKEN) != 0)
				xm_keeper_mend_answer(k, report);
			else if ((report->token & XM_KEEPER_TIE_TOKEN) != 0)
				xm_keeper_move_answer(k, report);
			else if ((report->token & XM_KEEPER_FREE_TOKEN) == 0)
				on_ticket(k, report);
			return;
		}
		break;
	case XM_CONTROL_READY:
		peer->ready = true;
		peer->gone = false;
		peer->status = 0;
		break;
	case XM_CONTROL_AWAY:
		peer->ready = false;
		peer->gone = report->status == -ECONNREFUSED;
		peer->status = report->status;
		note_why(peer, report);
		break;
	case XM_CONTROL_LOST:
		peer->lease++;
		break;
	case XM_CONTROL_REVOKED:
		revoked_add(k, report->appliance, report->token);
		return;
	case XM_CONTROL_WANTED:
		xm_keeper_wanted(k, report->appliance, report->token);
		return;
	case XM_CONTROL_LEAVING: /* the session knows; extmem_info() asks it */
		break;
	}
	k->report(k->owner, report);
}

void xm_keeper_init(struct xm_keeper *k)
{
	memset(k->peers, 0, sizeof(k->peers));
	memset(k->lost, 0, sizeof(k->lost));
	memset(&k->views, 0, sizeof(k->views));
	memset(&k->mend, 0, sizeof(k->mend));
	memset(&k->move, 0, sizeof(k->move));
	memset(&k->wanted, 0, sizeof(k->wanted));
	memset(&k->revoked, 0, sizeof(k->revoked));
	k->track = NULL;
	k->tie = NULL;
	k->name = NULL;
	xm_view_init(&k->views.view);
	xm_mender_init(&k->mend.mender);
	k->lanes_count = 0;
	xm_control_init(&k->control, on_report, k);
}

static void ask_ticket(struct xm_keeper *k, uint32_t lane, uint32_t appliance,
		       uint64_t now_ns)
{
	const struct xm_message ticket = { .kind = XM_TICKET,
					   .u.ticket.lane = lane };

	k->peers[appliance].tickets[lane] = XM_TICKET_ASKED;
	xm_control_request(&k->control, appliance, &ticket,
			   ticket_token(lane, appliance),
			   xm_time_after(now_ns, k->ticket_timeout_ns), now_ns);
}

/* Under the control lock: sessions, and the tickets the lanes asked for. */
static void turn_control(struct xm_keeper *k, uint64_t now_ns)
{
	xm_control_turn(&k->control, now_ns);
	for (uint32_t a = 0; a < k->control.count; a++) {
		for (uint32_t l = 0; l < k->lanes_count; l++) {
			if (k->peers[a].tickets[l] == XM_TICKET_WANTED)
				ask_ticket(k, l, a, now_ns);
		}
	}
}

/* What a lane has to hear of one appliance, copied while the control lock was
 * held. */
struct news {
	bool ready, gone;
	uint32_t lease;
	int ticket; /* XM_TICKET_HERE, REFUSED_, or NONE */
	struct xm_ticketed ticketed;
};

static void collect(struct xm_keeper *k, uint32_t lane, uint32_t appliance,
		    struct news *ret)
{
	struct xm_keeper_peer *peer = &k->peers[appliance];

	ret->ready = peer->ready;
	ret->gone = peer->gone;
	ret->lease = peer->lease;
	ret->ticket = XM_TICKET_NONE;
	if (peer->tickets[lane] == XM_TICKET_HERE ||
	    peer->tickets[lane] == XM_TICKET_REFUSED_) {
		ret->ticket = peer->tickets[lane];
		ret->ticketed = k->ticketed[appliance][lane];
		peer->tickets[lane] = XM_TICKET_NONE;
	}
}

/* Returns true when the lane wants a ticket. */
static bool tell(struct xm_keeper *k, uint32_t lane, uint32_t appliance,
		 const struct news *news)
{
	struct xm_engine *engine = k->lanes[lane];
	struct xm_lane_peer *peer = &engine->peers[appliance];
	bool ask = peer->ask;

	peer->ready = news->ready;
	peer->gone = news->gone;
	peer->ask = false;
	if (k->lost[lane][appliance] != news->lease &&
	    !(XM_PLANTED(lane_untold) && lane == k->lanes_count - 1)) {
		k->lost[lane][appliance] = news->lease;
		xm_engine_lose(engine, appliance, news->lease, lane,
			       k->lanes_count);
	}
	if (news->ticket == XM_TICKET_HERE)
		xm_engine_ticket(engine, appliance, &news->ticketed.locator,
				 news->ticketed.ticket);
	else if (news->ticket == XM_TICKET_REFUSED_)
		xm_engine_ticket(engine, appliance, NULL, NULL);
	return ask;
}

static void turn_lane(struct xm_keeper *k, uint32_t lane, uint64_t now_ns)
{
	struct news news[XM_APPLIANCES_MAX];
	bool ask[XM_APPLIANCES_MAX];
	uint32_t count;

	k->lock(k->owner, XM_KEEPER_CONTROL);
	count = k->control.count; /* every lane has these already */
	for (uint32_t a = 0; a < count; a++)
		collect(k, lane, a, &news[a]);
	k->unlock(k->owner, XM_KEEPER_CONTROL);

	k->lock(k->owner, lane);
	xm_engine_turn(k->lanes[lane], now_ns);
	for (uint32_t a = 0; a < count; a++)
		ask[a] = tell(k, lane, a, &news[a]);
	k->unlock(k->owner, lane);

	k->lock(k->owner, XM_KEEPER_CONTROL);
	for (uint32_t a = 0; a < count; a++) {
		if (ask[a] && k->peers[a].tickets[lane] == XM_TICKET_NONE)
			k->peers[a].tickets[lane] = XM_TICKET_WANTED;
	}
	k->unlock(k->owner, XM_KEEPER_CONTROL);
}

/* Each lane hears of readings that are over; then they are freed, so that their appliance
 * does not tell us again. */
static void tell_revoked(struct xm_keeper *k, const struct xm_keeper_revoked *r,
			 uint64_t now_ns)
{
	for (uint32_t l = 0; l < k->lanes_count; l++) {
		k->lock(k->owner, l);
		for (uint32_t i = 0; i < r->count; i++)
			xm_engine_revoke(k->lanes[l], r->list[i].appliance,
					 r->list[i].extent, l, k->lanes_count);
		k->unlock(k->owner, l);
	}
	k->lock(k->owner, XM_KEEPER_CONTROL);
	for (uint32_t i = 0; i < r->count; i++)
		xm_keeper_give_back(k, r->list[i].appliance, r->list[i].lease,
				    r->list[i].extent, now_ns);
	k->unlock(k->owner, XM_KEEPER_CONTROL);
}

void xm_keeper_turn(struct xm_keeper *k, uint64_t now_ns)
{
	struct xm_keeper_revoked revoked;

	k->lock(k->owner, XM_KEEPER_CONTROL);
	turn_control(k, now_ns);
	revoked.count = k->revoked.count;
	if (revoked.count > 0) { /* seldom, and it is large */
		revoked = k->revoked;
		k->revoked.count = 0;
	}
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	if (revoked.count > 0)
		tell_revoked(k, &revoked, now_ns);
	for (uint32_t l = 0; l < k->lanes_count; l++)
		turn_lane(k, l, now_ns);
	if (k->lanes_count > 0 && k->lanes[0]->options.members_max > 1)
		xm_keeper_views_turn(k, now_ns);
}

uint64_t xm_keeper_patience_ns(struct xm_keeper *k)
{
	uint64_t patience = PATIENCE_IDLE;

	for (uint32_t l = 0; l < k->lanes_count; l++) {
		struct xm_engine *engine = k->lanes[l];

		k->lock(k->owner, l);
		for (uint32_t a = 0; a < engine->peers_count; a++) {
			const struct xm_lane_peer *peer = &engine->peers[a];

			if (peer->flying > 0 ||
			    (xm_volume_needs(engine->options.volume, a) &&
			     peer->path.state != XM_PATH_UP))
				patience = PATIENCE_BUSY;
		}
		k->unlock(k->owner, l);
	}
	/* A ticket that was asked for is to be fetched at once. */
	k->lock(k->owner, XM_KEEPER_CONTROL);
	if (k->views.busy)
		patience = PATIENCE_VIEW;
	for (uint32_t a = 0; a < k->control.count; a++) {
		for (uint32_t l = 0; l < k->lanes_count; l++) {
			if (k->peers[a].tickets[l] == XM_TICKET_WANTED)
				patience = 0;
		}
	}
	k->unlock(k->owner, XM_KEEPER_CONTROL);
	return patience;
}
