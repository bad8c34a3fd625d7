/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Placement: which appliances back a run of pages. Pure decisions, made from what
 * appliances have answered so far; the caller asks them, one at a time, and
 * reports each answer.
 *
 * The rule: all of the run at one appliance, the first listed that has room; else
 * in pieces, first listed first, as large as its largest free run, if what they
 * all said to have free is enough. Appliances that are away are asked only if
 * all are.
 *
 * Example: 10 MiB are wanted. a refuses (6 MiB free, in runs of 4 and 2), b refuses
 * (5 MiB free, in one run). Together they have 11, so 4 MiB are asked of a, and 4
 * more, which it refuses: its largest run is 2 by now. It grants these 2, refuses
 * 2 more, and the last 4 are asked of b.
 *
 * An appliance tells how much it has free only when it refuses. So the first
 * question to each is for the whole run, and after a piece was granted the next
 * question assumes another free run of that size.
 *
 * If the pieces cannot cover the whole run, none of them is asked for: giving
 * one back would keep it from other clients until the appliance has zeroed it.
 *
 * Floor: ground.
 */
#ifndef XM_PLACEMENT_H
#define XM_PLACEMENT_H

#include "common/base.h"
#include "core/pure/layout.h"

/* What is known of one appliance. */
struct xm_placement_offer {
	bool asked; /* for the whole run */
	int status; /* of the answer to that; 0: it has granted it */
	uint64_t free;
	uint64_t free_run; /* the largest */
	uint64_t soon;	   /* what will be free in a moment */
};

struct xm_placement {
	uint64_t size, granule; /* bytes wanted; pieces are multiples */
	uint64_t placed;	/* bytes granted, from the beginning of the run */
	uint32_t appliances_count;
	uint32_t ready_count; /* appliances that are not away */
	struct xm_placement_offer offers[XM_APPLIANCES_MAX];
};

/* What to ask for: `size` bytes for the run's bytes from `placed` on. */
struct xm_placement_ask {
	uint32_t appliance;
	uint64_t size;
	bool whole;
	bool if_ready; /* if the appliance is away now, do not ask it:
			* xm_placement_away() */
};

/* Size and granule are at least 1. */
void xm_placement_init(struct xm_placement *, uint64_t size, uint64_t granule,
		       uint32_t appliances_count, uint32_t ready_count);
/* False: it is over. Then placed == size, or placement has failed, and the caller
 * gives back what was granted. */
bool xm_placement_next(const struct xm_placement *,
		       struct xm_placement_ask *ret);
/* The answer to that; the figures are those of a refusal, else 0. */
void xm_placement_answer(struct xm_placement *, const struct xm_placement_ask *,
			 const struct xm_placement_offer *answer);
void xm_placement_away(struct xm_placement *, uint32_t appliance);

/* The appliance whose refusal explains the failure best: the first that is
 * full, else the first. */
uint32_t xm_placement_told_by(const struct xm_placement *);
/* It has failed, and will succeed soon, since enough is about to be free. */
bool xm_placement_soon(const struct xm_placement *);

#endif
