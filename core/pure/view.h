/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The view: which appliances a client's mirrored segments rely on. A pure machine, one
 * for each client; the keeper owns it (core/engine/keeper_view.c).
 *
 *	IN -> OUT -> FILLING -> IN
 *
 * A write is acknowledged when all members IN the view have it (volume.h). So a
 * member that does not answer blocks writes until it is dropped from the view, and a
 * dropped member must not be read again until it has been given what it lacks. Each
 * such change is a new view with a higher number. It takes effect when it is
 * committed, that is, when it is in the ledgers (ledger.h) of
 *
 *	every appliance IN the new view, because each holds data, and
 *	a majority of those IN the view before, if these are three or more.
 *
 * With three or more appliances, therefore, of two clients that cannot see each other
 * (the owner, and one that takes over) at most one can commit. With two, the owner
 * goes on with the one that is left. A later client that reaches only the other one
 * finds the old view in its ledger, cannot know whether that one was dropped since,
 * and must not use it. A proposal that is no longer needed is forgotten. It does no
 * harm in a ledger, since each ledger also says which view is committed. Numbers only
 * rise; the last appliance is never dropped.
 * (Vertical Paxos: reads of one, writes to all, and a configuration that is committed
 * elsewhere than where the data goes. Lamport, Malkhi, Zhou, PODC 2009; FaRM, SOSP
 * 2015.)
 *
 * A ledger is written by a one-sided write: no control process is needed to go on.
 *
 * When is an appliance dropped? When paths to it are down, and either its session is
 * away too, or grace_ns have passed; or when it has lost what it held. It comes back
 * once every path to it is up again and it has a ledger: its members are FILLING, a sweep
 * copies what they lack (engine_mend.c), and the next view that is committed has it again.
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
	uint64_t proposed; /* number of the view that is proposed; 0: none is */
	uint32_t next;	   /* and who would be in it */
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
