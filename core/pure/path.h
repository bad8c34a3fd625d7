/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path: one lane's one-sided connection to one appliance. A pure machine that
 * decides when to ask for a ticket, when to connect, when a silent connection counts as
 * hung, and when faults stop waiting for it.
 *
 *	DOWN -> ASKED (for a ticket) -> CONNECTING -> UP -> DOWN
 *
 * Heartbeat. No libfabric provider reports a peer that hangs or is partitioned away, so
 * the path watches the oldest operation outstanding. If it has not completed for
 * hang_ns, the path is disconnected, and counts as down since this operation was
 * posted. Where another appliance has all the same bytes a mistake costs little, so less
 * silence is enough.
 *
 * Reach. While the path is down it is tried again every retry_ns, without end. Until
 * it has been down for loss_ns, faults wait (XM_REACH_DOWN); after that they end
 * (XM_REACH_LOST), and what they needed counts as out of reach until the path is up
 * again. If the appliance's host says that nobody listens at its address (`gone`), the
 * process has died, so faults wait only gone_ns, which is long enough for a restart.
 *
 * Example, loss_ns 5 s: hang_ns is 750 ms. An operation posted at 10.0 s does not
 * complete. At 10.75 s the path goes down, since 10.0 s. A fault at 12 s waits. At
 * 15.0 s the reach is LOST and the fault ends. At 60 s the appliance is back, the path
 * comes up, and the next fault is served.
 *
 * Times are engine time (engine.h), which stands still while our own process is
 * stopped: a client that was stopped for 10 s does not declare its appliances dead.
 *
 * One thread at a time, that of the lane. Floor: ground.
 */
#ifndef XM_PATH_H
#define XM_PATH_H

#include "common/base.h"
#include "core/pure/pager.h"
#include "core/pure/trace.h"

#define XM_PATH_HANG (750 * XM_MS)	/* hang_ns; half of loss_ns if that is less */
/* hang_ns, if every segment at the appliance has another member elsewhere, so that a
 * mistake costs little: while its session answers; and while its session is away as
 * well (which proves nothing by itself). */
#define XM_PATH_HANG_SPARED (400 * XM_MS)
#define XM_PATH_HANG_AWAY (50 * XM_MS)
#define XM_PATH_GONE XM_SECOND		/* gone_ns */
#define XM_PATH_ATTEMPT (2 * XM_SECOND) /* to get a ticket, and to connect */

enum xm_path_state {
	XM_PATH_DOWN,
	XM_PATH_ASKED,
	XM_PATH_CONNECTING,
	XM_PATH_UP,
};

enum xm_path_event_kind {
	XM_PATH_TICK = 1, /* wanted, ready, oldest_ns */
	XM_PATH_TICKETED,
	XM_PATH_REFUSED, /* no ticket, or connect() failed at once */
	XM_PATH_CAME_UP,
	XM_PATH_WENT_DOWN,
	XM_PATH_FENCED, /* an access was refused: the key is not valid any more */
};

struct xm_path_event {
	enum xm_path_event_kind kind;
	uint64_t now_ns;
	bool wanted;	    /* a segment lies at this appliance */
	bool ready;	    /* the session can ask for a ticket */
	bool gone;	    /* nobody listens at its address */
	bool spared;	    /* all segments there have a member elsewhere, too */
	uint64_t oldest_ns; /* when the oldest operation was posted; XM_NEVER: none */
};

/* What to do; several at once, or none. */
struct xm_path_effects {
	bool ask, connect, disconnect;
};

struct xm_path {
	uint64_t hang_ns, loss_ns, gone_ns, retry_ns, attempt_ns;
	bool gone;
	enum xm_path_state state;
	uint64_t down_since_ns;
	uint64_t deadline_ns; /* ASKED, CONNECTING */
	uint64_t retry_at_ns;
	uint64_t times_up;
	uint32_t appliance, lane; /* as traces name it */
	struct xm_trace *trace;	  /* NULL at first; the owner may set it */
};

/* It begins DOWN, as if it had gone down now. */
void xm_path_init(struct xm_path *, uint64_t loss_ns, uint64_t now_ns);
void xm_path_step(struct xm_path *, const struct xm_path_event *,
		  struct xm_path_effects *ret);
enum xm_reach xm_path_reach(const struct xm_path *, uint64_t now_ns);

#endif
