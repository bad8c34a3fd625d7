/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The view: which appliances a client's mirrored segments rely on. A pure machine, one
 * for each client; the keeper owns it (core/engine/keeper_view.c).
 *
 *	IN -> OUT -> FILLING -> IN
 *
 * A write is acknowledged when all members IN the view have it (volume.h). So a member
 * that does not answer holds up writes until it is dropped, and one that was dropped
 * must never be relied on again before it has what it lacks. Both are decided here, and
 * are decided before anything relies on it: a view is numbered, and takes effect when
 * it is committed, which means that it is written to the ledgers (ledger.h) of
 *
 *	every appliance IN the new view, for each holds data, and
 *	a majority of those IN the view before, where these are three or more.
 *
 * So of two that cannot see each other at most one goes on, but of a pair the survivor
 * goes on alone: one who knows only the other one's ledger cannot know whether it
 * did, and must not use it. A proposal that is not needed any more is forgotten; that
 * some ledger has it does no harm, since ledgers say which view is committed too. Numbers
 * only rise; the last appliance is never dropped.
 * (Vertical Paxos: reads of one, writes to all, and a configuration that is committed
 * elsewhere than where the data goes. Lamport, Malkhi, Zhou, PODC 2009; FaRM, SOSP
 * 2015.)
 *
 * A ledger is written by a one-sided write: no control process is needed to go on.
 *
 * When is an appliance dropped? When paths to it are down, and either its session is
 * away too, or grace_ns have passed; or when it has lost what it held. It comes back
 * once every path to it is up again: its members are FILLING, a sweep copies what they
 * lack (engine_mend.c), and the next view that is committed has it again.
 *
 * Example: three appliances, view 4 is {0, 1, 2}. Appliance 1 is killed. Its session
 * breaks and its paths go down, so view 5, {0, 2}, is written at 0 and 2. When both
 * have it, view 5 is committed: members at 1 are OUT, and the writes that failed there
 * succeed as they are repeated. 1 is back, with its memory: FILLING; it is swept; view
 * 6, {0, 1, 2}, is written at all three, and 1 is read again.
 *
 * Appliances are bits of a mask. Times are those of the caller's engine clock. One
 * thread at a time. Floor: ground.
 */
#ifndef XM_VIEW_H
#define XM_VIEW_H

#include "common/base.h"
#include "core/pure/layout.h"
#include "core/pure/trace.h"

/* While an appliance answers on its session, its paths may come back for so long. */
#define XM_VIEW_GRACE (100 * XM_MS)

enum xm_view_event_kind {
	XM_VIEW_TICK = 1, /* members, ledgers, down, away */
	XM_VIEW_WRITTEN,  /* appliance, version, status: what `write` asked for */
	XM_VIEW_LOST,	  /* appliance: its lease has ended */
	XM_VIEW_LEDGER,	  /* appliance: it has a ledger, a fresh one */
	XM_VIEW_SWEPT,	  /* the sweep that was begun last has ended */
};

struct xm_view_event {
	enum xm_view_event_kind kind;
	uint64_t now_ns;
	uint32_t members; /* they have members of mirrored segments */
	uint32_t ledgers; /* they have a ledger */
	uint32_t down;	  /* a path to them is not up */
	uint32_t away;	  /* their session is not ready */
	uint32_t appliance;
	uint64_t version; /* of the record that was written */
	int status;
};

/* What to do; in this order. */
struct xm_view_effects {
	uint32_t write; /* to these ledgers: `record`; and say WRITTEN */
	uint32_t admit; /* FILLING members are IN */
	uint32_t drop;	/* members are OUT (xm_volume_drop()) */
	uint32_t fill;	/* members that are OUT are FILLING */
	bool sweep;	/* then begin a sweep, by all lanes */
};

/* What goes into a ledger. */
struct xm_view_record {
	uint64_t version; /* of the record: it rises with each change */
	uint64_t number;  /* of the view that is committed, */
	uint32_t in;	  /* and who is in it */
	uint64_t proposed; /* likewise; 0: none is */
	uint32_t next;
	uint64_t left_at[XM_APPLIANCES_MAX]; /* the view that dropped it; 0: none */
};

struct xm_view {
	uint64_t grace_ns;
	struct xm_view_record record;
	uint64_t last;	    /* the highest number that was proposed */
	uint64_t needed;    /* the version that ledgers must have for it to be committed */
	uint32_t known;	    /* appliances that have had members */
	uint32_t relied;    /* whose ledgers must have the view that is committed */
	uint32_t filling;
	uint32_t swept; /* of those that are filling */
	uint32_t lost;	/* they are IN, and what they held is gone */
	uint32_t flying; /* ledgers being written */
	uint64_t written[XM_APPLIANCES_MAX];  /* the version that is there */
	uint64_t since_ns[XM_APPLIANCES_MAX]; /* it is down; 0: it is not */
	struct xm_trace *trace; /* NULL at first; the owner may set it */
};

void xm_view_init(struct xm_view *);
void xm_view_step(struct xm_view *, const struct xm_view_event *,
		  struct xm_view_effects *ret);

#endif
