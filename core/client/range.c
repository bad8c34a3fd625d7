/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events of the pager over ranges of pages; see range.h.
 *
 * A range lies in blocks, block after block on another lane, and the pager answers
 * for a part of one block: up to `next`, MORE (send the rest at once) or WAIT
 * (send it again when something has happened). A walk goes from part to part.
 */
#include "core/client/range.h"

#include <errno.h>
#include <string.h>

#include "core/client/client.h"
#include "core/pure/plant.h"

/* --- one step, which does not wait -------------------------------------------- */

enum xm_verdict xm_range_step(struct xm_lane *lane, struct xm_range_walk *r)
{
	const struct xm_pager_effects *effects = &lane->engine.effects;
	uint64_t *seq = &r->seq[lane - lane->lanes->lane];
	struct xm_pager_event ev = r->like;
	enum xm_verdict verdict;

	ev.page = ev.floor = r->page;
	ev.limit = xm_min(r->limit, xm_block_end(lane->lanes, r->page));
	ev.again = r->again;
	ev.reach = xm_engine_reach(&lane->engine, r->page);
	verdict = xm_engine_event(&lane->engine, &ev);
	*seq = xm_max(*seq, effects->seq);
	if (verdict == XM_VERDICT_LOST)
		return verdict;
	r->page = verdict == XM_VERDICT_DONE ? ev.limit
					     : xm_max(r->page, effects->next);
	r->again = verdict == XM_VERDICT_WAIT && r->page < ev.limit;
	return verdict;
}

enum xm_verdict xm_range_landed(struct xm_lane *lane, uint64_t first,
				uint64_t limit, uint64_t seq)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_FLUSHED, .page = first, .limit = limit,
		.seq = seq,
	};

	return xm_engine_event(&lane->engine, &ev);
}

/* --- until it is done ----------------------------------------------------------- */

/* In a sparse region there are pages that nothing is known of: those that no segment
 * holds are passed over. With the lane of r->page locked; false: the next page that
 * there is may be another lane's. */
static bool skip_to_backed(const struct xm_lane *lane, struct xm_range_walk *r)
{
	uint64_t page = xm_volume_backed_from(lane->engine.options.volume,
					      r->page, r->limit);

	if (page == r->page)
		return true;
	r->page = page;
	r->again = false;
	return false;
}

/* Whether such an event needs its appliance. Where it does not, what is under way
 * ends by itself. */
static bool needs_appliance(enum xm_pager_event_kind kind)
{
	return kind != XM_PAGER_FORGET && kind != XM_PAGER_DISCARD &&
	       kind != XM_PAGER_REFRESH;
}

static int walk(struct xm_lanes *lanes, struct xm_range_walk *r,
		uint64_t deadline_ns)
{
	struct os_signals old;
	const struct xm_wait fresh = { .deadline_ns = deadline_ns,
				       .signals = &old };
	struct xm_wait wait = fresh;

	while (r->page < r->limit) {
		struct xm_lane *lane = xm_lane_at(lanes, r->page);
		enum xm_reach reach = XM_REACH_UP;
		enum xm_verdict verdict;

		xm_lane_lock(lane, &old);
		if (!skip_to_backed(lane, r)) {
			xm_lane_unlock(lane, &old);
			wait = fresh;
			continue;
		}
		verdict = xm_range_step(lane, r);
		if (verdict == XM_VERDICT_WAIT)
			xm_lane_wait(lane, &wait);
		if (r->again)
			reach = xm_engine_reach(&lane->engine, r->page);
		xm_lane_unlock(lane, &old);
		if (verdict == XM_VERDICT_LOST)
			return -ESTALE;
		if (verdict == XM_VERDICT_DONE)
			wait = fresh; /* the next block is another lane's */
		if (verdict == XM_VERDICT_MORE)
			wait.since_ns = 0; /* the next wait is another */
		if (verdict != XM_VERDICT_WAIT)
			continue;
		if (reach == XM_REACH_LOST && needs_appliance(r->like.kind))
			return -ENOTCONN;
		if (os_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
	return 0;
}

/* Until the stores of this lane have landed, up to `seq`. */
static int land(struct xm_lane *lane, uint64_t first, uint64_t limit,
		uint64_t seq, uint64_t deadline_ns)
{
	struct os_signals old;
	struct xm_wait wait = { .deadline_ns = deadline_ns, .signals = &old };

	for (;;) {
		enum xm_reach reach = XM_REACH_UP;
		enum xm_verdict verdict;

		xm_lane_lock(lane, &old);
		xm_lane_turn(lane);
		verdict = xm_range_landed(lane, first, limit, seq);
		/* Of the page that is waited for, not of the first: a range
		 * may lie at several appliances. */
		if (verdict == XM_VERDICT_WAIT)
			reach = xm_engine_reach(&lane->engine,
						lane->engine.effects.next);
		if (verdict == XM_VERDICT_WAIT && reach != XM_REACH_LOST)
			xm_lane_wait(lane, &wait);
		xm_lane_unlock(lane, &old);
		if (verdict == XM_VERDICT_LOST)
			return -ESTALE;
		if (verdict != XM_VERDICT_WAIT)
			return 0;
		if (reach == XM_REACH_LOST)
			return -ENOTCONN;
		if (os_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
}

int xm_range(extmem *x, const struct xm_pager_event *like, uint64_t first,
	     uint64_t limit, uint64_t deadline_ns)
{
	struct xm_range_walk r = { .like = *like, .page = first,
				   .limit = limit };

	return walk(&x->lanes, &r, deadline_ns);
}

int xm_flush(extmem *x, uint64_t first, uint64_t limit, bool evict,
	     uint64_t deadline_ns)
{
	struct xm_range_walk r = {
		.like.kind = evict ? XM_PAGER_EVICT : XM_PAGER_FLUSH,
		.page = first, .limit = limit,
	};
	int rc = walk(&x->lanes, &r, deadline_ns);

	/* What was begun has to land. The write-back buffers tell, whichever
	 * block. */
	if (XM_PLANTED(sync_endless))
		deadline_ns = XM_NEVER;
	for (uint32_t i = 0; rc == 0 && i < x->lanes.count; i++) {
		if (i == 0 || !XM_PLANTED(sync_first_lane))
			rc = land(&x->lanes.lane[i], first, limit, r.seq[i],
				  deadline_ns);
	}
	return rc;
}

const char *xm_why(int rc)
{
	switch (rc) {
	case -ENOTCONN: return "no appliance that has it is in reach";
	case -ESTALE:
		return "it is lost: each appliance that had it was restarted, "
		       "or our lease there ended";
	case -ETIMEDOUT: return "it was not done within the timeout";
	case -EBADMSG:
		return "tampered: what came back for a sealed page is not what "
		       "was sent, and no copy is right";
	default: return strerror(-rc);
	}
}
