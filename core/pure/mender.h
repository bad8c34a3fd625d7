/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mender: a member that will not come back is replaced at another appliance. A pure
 * machine, one for each client with mirrors; the keeper owns it (keeper_mend.c).
 *
 *	WATCHES -> ASKS (for an extent, for one vacancy) -> WATCHES
 *
 * A vacancy is a member that is LOST, or one that is OUT at an appliance that was given
 * up: this one is out of the view, and nobody has listened at its address for 1 s
 * (XM_MENDER_GONE), or it has been out for as long as its lease, which has ended by
 * then. The spare is the one that the region's strategy puts first (xm_plan_spare() of
 * plan.h); one that has refused, or could not be filled, within the last 30 s
 * (XM_MENDER_AVOIDS) is asked only if no other may have it. The new member is FILLING until
 * a sweep has copied everything to it (engine_mend.c).
 *
 * Example: of members at 0 and 1, appliance 1 is killed. 0.1 s later it is out, and
 * nobody listens at its address. A second later appliance 2, the first that the strategy
 * allows, is asked for an extent; it becomes the segment's second member, and is filled.
 *
 * One vacancy at a time, the first for which a spare has room; where none has, it is looked
 * for again every retry_ns.
 * One thread at a time. Floor: ground.
 */
#ifndef XM_MENDER_H
#define XM_MENDER_H

#include "common/base.h"
#include "core/pure/layout.h"
#include "core/pure/plan.h"

#define XM_MENDER_GONE XM_SECOND
#define XM_MENDER_RETRY XM_SECOND
#define XM_MENDER_AVOIDS (30 * XM_SECOND)

struct xm_mender_event {
	enum {
		XM_MENDER_TICK = 1, /* out, gone, lease_ns */
		XM_MENDER_VACANCY,  /* offers, count, strategy, choice, vacancy */
		XM_MENDER_ANSWERED, /* status */
	} kind;
	uint64_t now_ns;
	uint32_t out;	/* appliances that are out of the view */
	uint32_t gone;	/* nobody listens there */
	int status;
	uint64_t lease_ns[XM_APPLIANCES_MAX];
	const struct xm_plan_offer *offers;
	uint32_t count; /* of these */
	const struct xm_strategy *strategy; /* or NULL */
	uint32_t choice;
	struct xm_plan_vacancy vacancy;
};

struct xm_mender {
	uint32_t given_up; /* appliances; read after TICK */
	bool looks;	   /* likewise: send VACANCY, if there is one */
	bool asks;
	uint32_t spare; /* that is asked */
	uint64_t retry_ns;
	uint64_t out_since_ns[XM_APPLIANCES_MAX]; /* 0: it is not */
	uint64_t gone_since_ns[XM_APPLIANCES_MAX];
	uint64_t avoided_until_ns[XM_APPLIANCES_MAX];
};

void xm_mender_init(struct xm_mender *);
/* True: appliance `spare` is to be asked for an extent. */
bool xm_mender_step(struct xm_mender *, const struct xm_mender_event *);
/* May any appliance have this vacancy, and has room for it? */
bool xm_mender_fits(const struct xm_mender_event *);
/* What this appliance has lent could not be made use of. */
void xm_mender_avoid(struct xm_mender *, uint32_t appliance, uint64_t now_ns);

#endif
