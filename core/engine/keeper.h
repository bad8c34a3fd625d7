/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper: does what nobody waits for. Its turn joins a client's control
 * connections with its lanes: leases kept alive, tickets fetched for paths
 * that want to connect, losses told to every lane, and every lane looked at
 * now and then, so that write-back ends and deadlines pass without a fault.
 *
 * First floor: locks are the caller's, handed in as functions (no-ops in the
 * simulator). Lock order: a turn never holds two.
 */
#ifndef XM_KEEPER_H
#define XM_KEEPER_H

#include "common/base.h"
#include "core/engine/control.h"
#include "core/engine/engine.h"

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
	/* A refusal's words, or "". */
	char words[XM_WORDS_SIZE];
};

struct xm_keeper {
	struct xm_control control;
	struct xm_keeper_peer peers[XM_APPLIANCES_MAX];
	/* Of those that are HERE. Apart, as each turn looks at all peers. */
	struct xm_ticketed ticketed[XM_APPLIANCES_MAX][XM_LANES_MAX];
	uint32_t lanes_count;
	struct xm_engine *lanes[XM_LANES_MAX];
	uint32_t lost[XM_LANES_MAX][XM_APPLIANCES_MAX]; /* leases applied */
	uint64_t ticket_timeout_ns;
	void (*lock)(void *owner, uint32_t lane);
	void (*unlock)(void *owner, uint32_t lane);
	/* Answers to requests that are not the keeper's own, and every other
	 * report. Called with the control lock held; only stores. */
	void (*report)(void *owner, const struct xm_control_report *);
	void *owner;
};

/* lanes, lock, unlock, report, owner and ticket_timeout_ns are set by the
 * caller afterwards; requests from outside carry even tokens. To add an appliance
 * between two turns, or during one on another thread: first xm_engine_add() on each
 * lane, under its lock; then xm_control_add(), under the control lock. */
void xm_keeper_init(struct xm_keeper *);
void xm_keeper_turn(struct xm_keeper *, uint64_t now_ns);
/* When the next turn is due, at the latest, seen from now. */
uint64_t xm_keeper_patience_ns(struct xm_keeper *);

#endif
