/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MACHINE: when an appliance gives memory back to its host by itself, and takes it again
 * (extmemd --give-back). It is told once a second what the host has, and says how large the
 * pool is to be.
 *
 *	pressed	less than `line` is available, or programs have waited for memory in
 *		XM_PRESSURE_STALLED thousandths of the last 10 s; for 2 s
 *	at ease	after a step more there would be three times `line`, and nobody waits;
 *		for a minute
 *
 * Pressed, it gives so much that twice the line is available, at least a sixteenth of the
 * pool; and no more for 5 s, since that is not seen at once. At ease, it takes a sixteenth
 * back. Between the two, nothing changes: what it gives brings it to twice the line, and it
 * takes only what leaves three times that.
 *
 *	example: a pool of 32 GiB, the line at 2 GiB. 1 GiB is available for 2 s: the pool
 *	shrinks by 3 GiB, and 4 GiB are available. Later the programs that wanted these end,
 *	and 12 GiB are: a minute after that, and each minute then, it grows by 2 GiB, three
 *	times; the last time leaves 6 GiB.
 *
 * Somebody else may change the size, too (SIGHUP, RESIZE): that is the most from then on.
 *
 * Floor: ground.
 */
#ifndef XM_PRESSURE_H
#define XM_PRESSURE_H

#include "common/base.h"

#define XM_PRESSURE_LOOK XM_SECOND
#define XM_PRESSURE_STALLED 100 /* thousandths */
#define XM_PRESSURE_CALM 10	/* likewise: fewer */
#define XM_PRESSURE_LASTS (2 * XM_SECOND)
#define XM_PRESSURE_RESTS (5 * XM_SECOND)
#define XM_PRESSURE_EASE (60 * XM_SECOND)

struct xm_pressure_event {
	uint64_t now_ns;
	uint64_t available;	   /* bytes that the host has for programs */
	uint32_t stalled_permille; /* of the last 10 s, somebody waited for memory */
	uint64_t goal;		   /* the pool's, now */
};

struct xm_pressure {
	uint64_t line, step;
	uint64_t most, goal; /* of the pool */
	bool grew;	     /* the last time that it changed */
	uint64_t pressed_ns, eased_ns; /* since when; 0: it is not so */
	uint64_t rests_ns;	       /* no step before */
};

void xm_pressure_init(struct xm_pressure *, uint64_t line, uint64_t pool);
/* True: the pool is to have *ret_goal bytes. */
bool xm_pressure_step(struct xm_pressure *, const struct xm_pressure_event *,
		      uint64_t *ret_goal);

#endif
