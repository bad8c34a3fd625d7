/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper: a client's background work. In each turn it keeps leases alive,
 * fetches tickets for paths that want to connect, tells every lane of losses,
 * and gives lanes a turn now and then, so that write-back ends and deadlines
 * pass even if no thread faults.
 *
 * First floor: locks are the caller's, handed in as functions (no-ops in the
 * simulator). Lock order: a turn holds one lock at a time, except to replace a
 * member: then it holds those of all lanes, taken in the order of their numbers.
 */
#ifndef XM_KEEPER_H
#define XM_KEEPER_H

#include "common/base.h"
#include "common/progress.h"
#include "core/engine/control.h"
#include "core/engine/engine.h"
#include "core/pure/mender.h"
#include "core/pure/view.h"

#define XM_LANES_MAX 16
#define XM_KEEPER_CONTROL UINT32_MAX /* as a lane number: the control lock */

enum xm_ticket_state {
	XM_TICKET_NONE,
	XM_TICKET_WANTED,
	XM_TICKET_ASKED,
	XM_TICKET_HERE,
	XM_TICKET_REFUSED_,
};

struct xm_keeper_peer {
	bool ready;
	bool gone;	/* away, and nobody listens there any more */
	int status;	/* why it is away */
	uint32_t lease; /* counts leases that were lost there */
	uint8_t tickets[XM_LANES_MAX]; /* by lane: an enum xm_ticket_state */
	/* A refusal's words, the channel's, or "". */
	char words[XM_WORDS_MORE];
};

/* What a client with mirrors leaves at an appliance about its view; see ledger.h. */
struct xm_keeper_ledger {
	enum { XM_LEDGER_NONE, XM_LEDGER_ASKED, XM_LEDGER_HELD } state;
	bool refused; /* the last time */
	uint64_t retry_ns;
	uint32_t lease; /* under which it was asked for */
	uint64_t extent;
	struct xm_remote_mr remote;
	uint64_t version; /* being written */
	bool wanted; /* the appliance asks for it back: another one is to come */
	bool asked;  /* for that one */
	uint64_t next; /* the other one's extent, which takes its place; 0: none */
	struct xm_remote_mr next_remote;
	uint64_t former; /* whose place it took, given back once it is written */
};

/* Since the client was opened. */
struct xm_keeper_tally {
	uint32_t failovers; /* appliances that left the view */
	uint64_t failover_most_ns; /* from the end of its path to that */
	uint64_t degraded_ns; /* in which some had left and were not back */
	uint64_t mended; /* bytes */
	struct xm_progress mends;
	uint64_t moved;	   /* bytes of copies that have left appliances which drain */
	uint64_t stranded; /* bytes there for which no other appliance has room */
	uint64_t unspared; /* bytes that one appliance's end would leave without a copy
			    * for which there is room: of the one of which they are most */
};

/* Of a client whose segments may have several members; keeper_view.c. Under the control
 * lock. */
struct xm_keeper_views {
	struct xm_view view;
	struct xm_keeper_ledger ledgers[XM_APPLIANCES_MAX];
	uint32_t leases[XM_APPLIANCES_MAX]; /* as the view knows them */
	bool wanted;	/* ledgers are, at every appliance */
	uint32_t spares; /* appliances with members that replace others, and are swept */
	uint32_t unswept; /* of these: the sweep for them has not ended */
	uint32_t sweep; /* the number of the last one */
	bool busy;	/* it wants another turn soon */
	uint64_t clock_ns; /* of the last turn */
	struct xm_keeper_tally tally;
};

/* Readings that are over, until all lanes have heard of them. Those that are too many are
 * told again by their appliances, as they are not freed. Under the control lock. */
#define XM_REVOKED_MAX 64
struct xm_keeper_revoked {
	uint64_t ever;
	uint32_t count;
	struct {
		uint32_t appliance, lease;
		uint64_t extent;
	} list[XM_REVOKED_MAX];
};

/* Extents that appliances have asked for, until lane 0 has heard of them. Those that are
 * too many are asked for again. Under the control lock. */
#define XM_WANTED_MAX 64
struct xm_keeper_wanted {
	uint32_t appliances; /* that want some; as lane 0 knows */
	uint32_t count;
	struct {
		uint32_t appliance, lease;
		uint64_t extent;
	} list[XM_WANTED_MAX];
};

/* A copy that moves from an appliance that drains, or asks for it, to another one;
 * keeper_move.c.
 *
 *	CONNECTS	every lane to the other appliance, which has lent an extent
 *	JOINS		it is the segment's guest; writes from before are to end
 *	FILLS		a sweep copies to it
 *	TIES		it has all bytes, and its region is kept beyond our end: the token is
 *			tied to it, before it takes the place of what has the token now
 *	PARTS		it has taken the place; what is under way at the old one is to
 *			end, before that is given back
 */
#define XM_MOVE_PARTED 8
struct xm_keeper_move {
	enum {
		XM_MOVE_NONE,
		XM_MOVE_CONNECTS,
		XM_MOVE_JOINS,
		XM_MOVE_FILLS,
		XM_MOVE_TIES,
		XM_MOVE_PARTS,
	} state;
	struct xm_vacancy vacancy;
	struct xm_extent_at guest;
	uint32_t sweep;
	uint64_t since_ns; /* it CONNECTS */
	uint64_t posted_ns[XM_LANES_MAX]; /* JOINS, PARTS: engine times */
	uint32_t parts; /* the appliance at which `parted` extents lie */
	uint32_t parted_count;
	uint64_t parted[XM_MOVE_PARTED];
	uint32_t parted_leases[XM_MOVE_PARTED];
	bool tied; /* TIES: the appliance has answered */
	int tied_status;
	uint64_t bytes; /* moved, ever */
	uint64_t tried; /* pages below are of regions that were not to be tracked */
};

struct xm_keeper_parted {
	uint32_t appliance, lease;
	uint64_t extent;
	uint64_t posted_ns[XM_LANES_MAX]; /* engine times */
};

/* Of the same: a member that is replaced; keeper_mend.c. */
struct xm_keeper_mend {
	struct xm_mender mender;
	struct xm_vacancy vacancy; /* for which the mender asks */
	struct xm_plan_offer offers[XM_APPLIANCES_MAX]; /* as of the last look */
	uint32_t offers_count;
	struct xm_strategy strategy; /* of the vacancy that is looked at */
	bool moves; /* it is a copy at an appliance that drains */
	uint32_t lease;
	bool answered; /* with this: */
	int status;
	struct xm_extent_at member;
	uint64_t look_ns; /* the next time */
	uint64_t spares_ns; /* likewise, at keeper_spare.c */
	uint64_t unspared;  /* as of the last look there */
	uint32_t spares_looks;
	/* Extents of members that were replaced, given back when no write flies there. */
	uint32_t parted_count;
	struct xm_keeper_parted parted[XM_MOVE_PARTED];
};

struct xm_keeper {
	struct xm_control control;
	struct xm_keeper_peer peers[XM_APPLIANCES_MAX];
	/* Of those that are HERE. Apart, as each turn looks at all peers. */
	struct xm_ticketed ticketed[XM_APPLIANCES_MAX][XM_LANES_MAX];
	uint32_t lanes_count;
	struct xm_engine *lanes[XM_LANES_MAX];
	uint32_t lost[XM_LANES_MAX][XM_APPLIANCES_MAX]; /* leases applied */
	struct xm_keeper_views views;
	struct xm_keeper_mend mend;
	struct xm_keeper_move move;
	struct xm_keeper_wanted wanted;
	struct xm_keeper_revoked revoked;
	uint64_t ticket_timeout_ns;
	void (*lock)(void *owner, uint32_t lane);
	void (*unlock)(void *owner, uint32_t lane);
	/* Answers to requests that are not the keeper's own, and every other
	 * report. Called with the control lock held; only stores. */
	void (*report)(void *owner, const struct xm_control_report *);
	/* A region's pages are to be tracked, before they move. False: not yet. Called
	 * without a lock. NULL: all are. */
	bool (*track)(void *owner, const struct xm_region_id *);
	/* The OFFER that ties this extent of a guest to its region's token. 0; -ENOENT: the region is
	 * not kept; else the guest must not take the place. Likewise; NULL: none is. */
	int (*tie)(void *owner, const struct xm_vacancy *, uint64_t extent,
		   struct xm_message *ret);
	/* Its name, for lists; likewise. NULL: none has one. */
	void (*name)(void *owner, const struct xm_region_id *,
		     char ret[XM_NAME_SIZE]);
	void *owner;
};

/* lanes, lock, unlock, report, owner and ticket_timeout_ns are set by the
 * caller afterwards; requests from outside carry even tokens. To add an appliance
 * between two turns, or during one on another thread: first xm_engine_add() on each
 * lane, under its lock; then xm_control_add(), under the control lock. */
void xm_keeper_init(struct xm_keeper *);
void xm_keeper_turn(struct xm_keeper *, uint64_t now_ns);
/* keeper_view.c: the view's part of a turn, and the answer to a request for a ledger. */
void xm_keeper_views_turn(struct xm_keeper *, uint64_t now_ns);
void xm_keeper_views_answer(struct xm_keeper *,
			    const struct xm_control_report *);
#define XM_KEEPER_LEDGER_TOKEN (UINT64_C(1) << 32) /* + 2 * appliance + 1 */
/* keeper_mend.c, likewise. */
void xm_keeper_mend_turn(struct xm_keeper *, uint32_t count, uint64_t now_ns);
void xm_keeper_mend_answer(struct xm_keeper *,
			   const struct xm_control_report *);
/* Gives an extent back that was taken under this lease, if that goes on; with the control
 * lock held. Under another one its number may be that of another extent. */
void xm_keeper_give_back(struct xm_keeper *, uint32_t appliance,
			 uint32_t lease, uint64_t extent, uint64_t now_ns);
/* With all lanes locked: their times; and later whether all has ended that was begun at the
 * appliance until then. */
void xm_keeper_posted_note(const struct xm_keeper *,
			   uint64_t ret_ns[XM_LANES_MAX]);
bool xm_keeper_posted_ended(struct xm_keeper *, uint32_t appliance,
			    const uint64_t posted_ns[XM_LANES_MAX]);
/* Has the keeper this extent, of which no segment knows: a ledger, one for a member that is
 * not in yet, or one that is to be given back? */
bool xm_keeper_holds(const struct xm_keeper *, uint32_t appliance,
		     uint64_t extent);
void xm_keeper_lock_all(struct xm_keeper *);
void xm_keeper_unlock_all(struct xm_keeper *);
/* keeper_move.c, likewise. */
uint32_t xm_keeper_leaving(const struct xm_keeper *); /* with the control lock held */
uint32_t xm_keeper_wants(const struct xm_keeper *);   /* likewise */
void xm_keeper_wanted(struct xm_keeper *, uint32_t appliance,
		      uint64_t extent); /* likewise */
bool xm_keeper_move_find(struct xm_keeper *, uint32_t leaving,
			 struct xm_mender_event *);
/* keeper_spare.c: what appliances offer, with the control lock held. */
void xm_keeper_offers(const struct xm_keeper *,
		      struct xm_plan_offer ret[XM_APPLIANCES_MAX]);
/* What a plan has to know of a vacancy. */
struct xm_plan_vacancy xm_keeper_place(const struct xm_vacancy *,
				       uint64_t seed);
/* With lane 0's lock held: what the mender has to know of a vacancy. The event's strategy is
 * a copy, good until the next one. */
void xm_keeper_vacancy(struct xm_keeper *, const struct xm_vacancy *,
		       struct xm_mender_event *ret);
/* Now and then: what could not be replaced (tally.unspared). */
void xm_keeper_spare_turn(struct xm_keeper *);
void xm_keeper_move_begin(struct xm_keeper *, uint64_t now_ns);
void xm_keeper_move_turn(struct xm_keeper *, uint64_t now_ns);
void xm_keeper_move_answer(struct xm_keeper *, const struct xm_control_report *);
#define XM_KEEPER_TIE_TOKEN (UINT64_C(1) << 35) /* + 1 */
#define XM_KEEPER_MEND_TOKEN (UINT64_C(1) << 33) /* + 1 */
#define XM_KEEPER_FREE_TOKEN (UINT64_C(1) << 34) /* + 1: nobody waits for it */
/* When the next turn is due, at the latest, seen from now. */
uint64_t xm_keeper_patience_ns(struct xm_keeper *);

#endif
