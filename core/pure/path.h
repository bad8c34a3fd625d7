/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path: one lane's one-sided connection to one appliance. A pure machine
 * that decides when to ask for a ticket, when to connect, when a connection
 * that says nothing is hung, and when waiting for it has an end.
 *
 *	DOWN -> ASKED -> CONNECTING -> UP -> DOWN
 *
 * No provider reports a hung or partitioned peer, so the oldest operation
 * outstanding is the heartbeat: one that has not completed for hang_ns means
 * that the path is down since that operation was posted. While it is down it
 * is tried again every retry_ns, for ever; but from loss_ns on it counts as
 * out of reach, and those who wait hear so. Silence may end; a death is a
 * death: where the appliance's host says that nobody listens there any more
 * (`gone`), gone_ns is patience enough, for one that is being restarted.
 *
 * Times are engine time, which a pause of our own process does not advance
 * (engine.h): who was stopped does not declare others dead.
 *
 * Floor: ground.
 */
#ifndef XM_PATH_H
#define XM_PATH_H

#include "common/base.h"
#include "core/pure/pager.h"
#include "core/pure/trace.h"

#define XM_PATH_HANG (750 * XM_MS) /* at most; half of loss_ns if less */
#define XM_PATH_GONE XM_SECOND
#define XM_PATH_ATTEMPT (2 * XM_SECOND) /* for a ticket; to connect */

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
	XM_PATH_FENCED, /* an access was refused: the key is not ours now */
};

struct xm_path_event {
	enum xm_path_event_kind kind;
	uint64_t now_ns;
	bool wanted;	    /* a segment lies there */
	bool ready;	    /* the session can ask for a ticket */
	bool gone;	    /* nobody listens at its address */
	uint64_t oldest_ns; /* when the oldest operation was posted; NEVER */
};

/* What to do; any of them at once. */
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

void xm_path_init(struct xm_path *, uint64_t loss_ns, uint64_t now_ns);
void xm_path_step(struct xm_path *, const struct xm_path_event *,
		  struct xm_path_effects *ret);
enum xm_reach xm_path_reach(const struct xm_path *, uint64_t now_ns);

#endif
