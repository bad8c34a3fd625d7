/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events of the pager over ranges of pages, which lie in all lanes. Two ways: the
 * first waits on the calling thread until all is done; the second is for a caller
 * that waits by itself.
 */
#ifndef XM_RANGE_H
#define XM_RANGE_H

#include "common/base.h"
#include "core/client/lane.h"
#include "core/extmem.h"
#include "core/pure/pager.h"

/*
 * An event like this one over pages [first, limit) of the arena, until it is done
 * everywhere. Without a lane's lock. 0, -ETIMEDOUT, -ENOTCONN (out of reach),
 * -ESTALE (lost).
 */
int xm_range(extmem *, const struct xm_pager_event *like, uint64_t first,
	     uint64_t limit, uint64_t deadline_ns);
/* FLUSH, or EVICT, and then until the stores have landed. */
int xm_flush(extmem *, uint64_t first, uint64_t limit, bool evict,
	     uint64_t deadline_ns);

/* A walk over pages [page, limit). `like`, `page` and `limit` are set, the rest is
 * zero. */
struct xm_range_walk {
	struct xm_pager_event like; /* its kind, and what else it needs */
	uint64_t page, limit;	    /* what is left */
	bool again;		    /* WAIT was said about `page` */
	uint64_t seq[XM_LANES_MAX]; /* the last store begun, by lane; 0: none */
};
/* With the lane of `page` locked, and page < limit: sends the event for the rest
 * of that block, and never waits. LOST; else `page` is where to go on: after WAIT
 * once something has happened, after MORE or DONE at once. */
enum xm_verdict xm_range_step(struct xm_lane *, struct xm_range_walk *);
/* With the lane locked: have its stores to these pages landed, up to number `seq`?
 * DONE, LOST, or WAIT, which is for page engine.effects.next. */
enum xm_verdict xm_range_landed(struct xm_lane *, uint64_t first,
				uint64_t limit, uint64_t seq);

/* What such a failure means, as a clause. */
const char *xm_why(int rc);

#endif
