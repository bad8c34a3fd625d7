/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory behind regions; see segments.h. */
#include "core/client/segments.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/segments_parts.h"
#include "core/client/trees.h"
#include "core/pure/placement.h"

/* --- one segment ------------------------------------------------------------ */

/* Each appliance's first lease that has not ended, as far as a lane has been told. With all
 * lanes' locks. */
static void leases_lost(const extmem *x, uint32_t ret[XM_APPLIANCES_MAX])
{
	memset(ret, 0, XM_APPLIANCES_MAX * sizeof(ret[0]));
	for (uint32_t l = 0; l < x->lanes.count; l++) {
		for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++)
			ret[a] = xm_max(ret[a], x->ask.keeper.lost[l][a]);
	}
}

int xm_segments_add(extmem *x, const struct xm_backing *columns, uint32_t count)
{
	uint32_t lost[XM_APPLIANCES_MAX];
	struct os_signals old;
	int rc;

	xm_lanes_lock(&x->lanes, &old);
	leases_lost(x, lost);
	rc = xm_volume_put(&x->volume, columns, count, lost);
	xm_lanes_unlock(&x->lanes, &old);
	return rc;
}

static void segment_remove(extmem *x, uint64_t page)
{
	struct os_signals old;

	xm_lanes_lock(&x->lanes, &old);
	xm_volume_remove(&x->volume, page);
	xm_lanes_unlock(&x->lanes, &old);
}

/* A closing client waits so long for an appliance whose pages are lost. */
#define LAST_WORD XM_SECOND

/* True if a lane has not reached the appliance for loss_timeout. Asked while a segment
 * still lies there: a path without one does not count how long it is down. */
static bool out_of_reach(extmem *x, uint32_t appliance)
{
	enum xm_reach reach = XM_REACH_UP;

	for (uint32_t i = 0; i < x->lanes.count && reach != XM_REACH_LOST; i++) {
		struct xm_lane *lane = &x->lanes.lane[i];
		struct os_signals old;

		xm_lane_lock(lane, &old);
		reach = xm_path_reach(&lane->engine.peers[appliance].path,
				      xm_engine_clock(&lane->engine));
		xm_lane_unlock(lane, &old);
	}
	return reach == XM_REACH_LOST;
}

/* Sends FREE to the appliance. If its connection is down, this does not wait: the
 * session answers -ENOTCONN at once, and sends FREE when the connection is back. If its
 * machine was switched off, the connection looks healthy until the deadline. An
 * appliance that is `unreachable` as the client closes does not get the whole timeout. */
int xm_extent_free(extmem *x, const struct xm_extent_at *at, bool unreachable)
{
	uint32_t appliance = at->appliance;
	struct xm_message give = { .kind = XM_FREE };
	uint64_t deadline_ns = x->regions.deadline_ns;
	struct xm_request request;
	int rc;

	/* As the client closes, an appliance that hangs is waited for only
	 * once: BYE frees everything. */
	if (x->regions.closing && x->regions.deaf[appliance])
		return -ETIMEDOUT;
	if (unreachable)
		deadline_ns = xm_min(deadline_ns, os_now_ns() + LAST_WORD);
	give.u.free.extent = at->extent;
	request.lease = at->lease;
	rc = xm_ask(&x->ask, appliance, &give, deadline_ns, &request);
	x->regions.deaf[appliance] = rc == -ETIMEDOUT;
	return rc;
}

int xm_extent_alloc(extmem *x, const extmem_region *region, uint32_t appliance,
		    uint64_t size, uint32_t number, struct xm_extent_at *ret,
		    struct xm_refused *ret_refused, char *words)
{
	struct xm_message take = { .kind = XM_ALLOC };
	struct xm_request request;
	const struct xm_allocated *taken;
	uint64_t more = 0;
	int rc;

	if (region->fixed)
		more = xm_trees_tail(size);
	take.u.alloc.size = size + more;
	take.u.alloc.id = region->id;
	take.u.alloc.member = (uint16_t)number;
	memcpy(take.u.alloc.region, region->name, XM_NAME_SIZE);
	memset(ret_refused, 0, sizeof(*ret_refused));
	rc = xm_ask(&x->ask, appliance, &take, x->regions.deadline_ns,
		    &request);
	if (rc != 0) {
		if (request.message.kind == XM_REFUSED)
			*ret_refused = request.message.u.refused;
		/* Of what is free, so much would not be of use. */
		ret_refused->free_run -= xm_min(ret_refused->free_run, more);
		xm_ask_explain(&x->ask, &request, words, XM_OFFER_WORDS);
		return rc;
	}
	taken = &request.message.u.allocated;
	memset(ret, 0, sizeof(*ret));
	ret->appliance = appliance;
	ret->lease = request.lease;
	ret->extent = taken->extent;
	ret->remote = taken->remote;
	if (taken->size < size + more) {
		xm_extent_free(x, ret, false);
		snprintf(words, XM_OFFER_WORDS, "appliance %s gave less than "
			 "was asked", xm_ask_address(&x->ask, appliance));
		return -EPROTO;
	}
	return 0;
}

void xm_backing_begin(const extmem_region *region, uint64_t address,
		      uint64_t size, struct xm_backing *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->page = address / XM_PAGE;
	ret->count = size / XM_PAGE;
	ret->region_id = region->id;
	ret->strategy = region->strategy;
	ret->region_page = (address - region->address) / XM_PAGE;
	ret->direct = !atomic_load(&region->tracked);
	ret->sealed = region->sealed;
	ret->reads = region->reads;
}

int xm_extent_alloc_soon(extmem *x, const extmem_region *region, uint32_t appliance,
			 uint64_t size, uint32_t number, struct xm_extent_at *ret,
			 char *words)
{
	uint64_t deadline_ns = xm_min(x->regions.deadline_ns,
				      os_now_ns() + XM_SOON);
	struct xm_refused refused;
	int rc;

	for (;;) {
		rc = xm_extent_alloc(x, region, appliance, size, number, ret,
				     &refused, words);
		if (rc != -ENOSPC || refused.soon == 0 ||
		    os_now_ns() >= deadline_ns)
			return rc;
		os_sleep(XM_SOON_STEP);
	}
}

/* One extent of `size` bytes there, as the segment at this page. */
static void member_alloc(extmem *x, const extmem_region *region,
			 uint32_t appliance, uint64_t address, uint64_t size,
			 struct xm_placement_offer *ret, char *words)
{
	struct xm_refused refused;
	struct xm_backing segment;

	xm_backing_begin(region, address, size, &segment);
	segment.copies = 1;
	memset(ret, 0, sizeof(*ret));
	ret->status = xm_extent_alloc(x, region, appliance, size, 0,
				      &segment.list[0].at, &refused, words);
	ret->free = refused.free;
	ret->free_run = refused.free_run;
	ret->soon = refused.soon;
	if (ret->status != 0)
		return;
	ret->status = xm_segments_add(x, &segment, 1);
	if (ret->status != 0) {
		xm_extent_free(x, &segment.list[0].at, false);
		if (ret->status == -ENOTCONN)
			snprintf(words, XM_OFFER_WORDS, "appliance %s gave memory, "
				 "and has lost it already",
				 xm_ask_address(&x->ask, appliance));
		else
			snprintf(words, XM_OFFER_WORDS, "%d segments are in use, "
				 "which is the limit", XM_SEGMENTS_MAX);
	}
}

void xm_backing_of(extmem *x, uint64_t page, struct xm_backing *ret)
{
	struct os_signals old;
	bool there;

	xm_lanes_lock(&x->lanes, &old);
	there = xm_volume_backing(&x->volume, page, ret);
	XM_ASSERT(there);
	xm_lanes_unlock(&x->lanes, &old);
}

/* The same for column c of the run that begins at this page. */
static void column_copy(extmem *x, uint64_t page, uint32_t c,
			struct xm_backing *ret)
{
	xm_backing_of(x, page, ret);
	if (c > 0)
		xm_backing_of(x, page + c * ret->unit, ret);
}

/* The members of a segment that is not in the volume any more. */
static int members_give(extmem *x, const struct xm_backing *s,
			const bool *unreachable)
{
	int rc = 0;

	for (uint32_t k = 0; k < xm_backing_extents(s); k++) {
		const struct xm_backing_copy *member = &s->list[k];
		int last = 0;

		/* 0: a head has it, from which the tail was not cut off. */
		if (member->state != XM_MEMBER_LOST && member->at.extent != 0)
			last = xm_extent_free(x, &member->at, unreachable[k]);
		/* Lost while it was asked: it has nothing to give back. */
		if (last == -ESTALE && xm_backing_extents(s) > 1)
			last = 0;
		/* One that has left is told when it is back, or its lease ends
		 * before. */
		if (rc == 0 && member->state == XM_MEMBER_IN)
			rc = last;
	}
	return rc;
}

/* No member is replaced any more. */
static void run_hold(extmem *x, uint64_t page)
{
	struct xm_backing s;
	struct os_signals old;
	bool there;

	xm_lanes_lock(&x->lanes, &old);
	there = xm_volume_backing(&x->volume, page, &s);
	XM_ASSERT(there);
	for (uint32_t c = 0; c < xm_backing_columns(&s); c++)
		xm_volume_hold(&x->volume, page + c * s.unit);
	xm_lanes_unlock(&x->lanes, &old);
}

/* Last first. The columns of a run leave the volume together: all are copied before. */
static int run_free(extmem *x, uint64_t page, struct xm_backing *columns)
{
	bool unreachable[XM_APPLIANCES_MAX][XM_MEMBERS_MAX];
	uint32_t count = 1;
	int rc = 0;

	run_hold(x, page);
	for (uint32_t c = 0; c < count; c++) {
		struct xm_backing *s = &columns[c];

		column_copy(x, page, c, s);
		count = xm_backing_columns(s);
		for (uint32_t k = 0; k < xm_backing_extents(s); k++)
			unreachable[c][k] =
				x->regions.closing &&
				out_of_reach(x, s->list[k].at.appliance);
	}
	segment_remove(x, page);
	for (uint32_t c = 0; c < count; c++) {
		int last = members_give(x, &columns[c], unreachable[c]);

		if (rc == 0)
			rc = last;
	}
	return rc;
}

bool xm_backing_last(extmem *x, uint64_t address, uint64_t end,
		     struct xm_backing *ret)
{
	struct os_signals old;
	bool there;

	xm_lanes_lock(&x->lanes, &old);
	there = xm_volume_last(&x->volume, address / XM_PAGE, end / XM_PAGE, ret);
	xm_lanes_unlock(&x->lanes, &old);
	return there;
}

int xm_segments_free(extmem *x, uint64_t address, uint64_t end)
{
	struct xm_backing columns[XM_APPLIANCES_MAX];
	int rc = 0;

	while (end > address && xm_backing_last(x, address, end, &columns[0])) {
		int last;

		XM_ASSERT(columns[0].page * XM_PAGE >= address &&
			  (columns[0].page + columns[0].count) * XM_PAGE <= end);
		last = run_free(x, columns[0].page, columns);
		if (rc == 0)
			rc = last;
		end = columns[0].page * XM_PAGE;
	}
	return rc;
}

/* One try, of all appliances. */
static int segments_try(extmem *x, const extmem_region *region,
			uint64_t address, uint64_t size, bool *ret_soon,
			char *words, size_t words_size)
{
	uint32_t count = atomic_load(&x->ask.count), ready = 0, told;
	char said[XM_APPLIANCES_MAX][XM_OFFER_WORDS] = { "" };
	struct xm_placement placement;
	struct xm_placement_ask ask;

	for (uint32_t a = 0; a < count; a++)
		ready += xm_ask_is_ready(&x->ask, a);
	xm_placement_init(&placement, size, x->ask.granule, count,
			  ready);
	while (xm_placement_next(&placement, &ask)) {
		struct xm_placement_offer offer;
		char piece_words[XM_OFFER_WORDS];

		if (ask.if_ready && !xm_ask_is_ready(&x->ask, ask.appliance)) {
			xm_placement_away(&placement, ask.appliance);
			snprintf(said[ask.appliance], XM_OFFER_WORDS,
				 "appliance %s is away",
				 xm_ask_address(&x->ask, ask.appliance));
			continue;
		}
		/* The words stay those about the whole. */
		member_alloc(x, region, ask.appliance,
			     address + placement.placed, ask.size, &offer,
			     ask.whole ? said[ask.appliance] : piece_words);
		xm_placement_answer(&placement, &ask, &offer);
	}
	if (placement.placed == size)
		return 0;
	xm_segments_free(x, address, address + placement.placed);
	*ret_soon = xm_placement_soon(&placement);
	told = xm_placement_told_by(&placement);
	snprintf(words, words_size, "%s%s", said[told],
		 count > 1 ? "; nor do the others have room together" : "");
	return placement.offers[told].status;
}

int xm_segments_alloc(extmem *x, const extmem_region *region,
			 uint64_t address, uint64_t size, char *words,
			 size_t words_size)
{
	uint64_t deadline_ns = xm_min(x->regions.deadline_ns,
				      os_now_ns() + XM_SOON);
	bool soon = false;
	int rc;

	for (;;) {
		rc = region->strategy != NULL
			     ? xm_planned_try(x, region, address, size, &soon,
					      words, words_size)
			     : segments_try(x, region, address, size, &soon,
					    words, words_size);
		if (rc != -ENOSPC || !soon || os_now_ns() >= deadline_ns)
			return rc;
		os_sleep(XM_SOON_STEP);
	}
}

bool xm_segments_last(extmem *x, uint64_t address, uint64_t *end, uint64_t *ret_size,
		      bool *ret_whole)
{
	struct xm_backing s;
	uint64_t first, last;

	if (address >= *end || !xm_backing_last(x, address, *end, &s))
		return false;
	first = xm_max(s.page * XM_PAGE, address);
	last = (s.page + s.count) * XM_PAGE;
	*ret_whole = last <= *end;
	*ret_size = xm_min(last, *end) - first;
	*end = first;
	return true;
}

/* --- paths ------------------------------------------------------------------- */

/* Can the lane reach the page? Else `words` says why not. *ret_next is the first
 * page of the next segment or column. */
static enum xm_reach page_reach(extmem *x, struct xm_lane *lane, uint64_t page,
				uint64_t *ret_next, char *words,
				size_t words_size)
{
	struct xm_volume_page at;
	struct xm_lane_peer *peer;
	struct xm_backing s;
	struct os_signals old;
	const char *said;
	bool there;

	xm_lane_lock(lane, &old);
	xm_lane_turn(lane);
	there = xm_volume_look(&lane->engine.io, page,
			       xm_engine_clock(&lane->engine), &at);
	XM_ASSERT(there && xm_volume_backing(&x->volume, page, &s));
	*ret_next = xm_backing_after(&s);
	if (at.reach != XM_REACH_UP) {
		peer = &lane->engine.peers[at.appliance];
		said = peer->ops->last_error(peer->transport);
		snprintf(words, words_size, "appliance %s answers, but its "
			 "memory cannot be reached%s%s",
			 xm_ask_address(&x->ask, at.appliance),
			 said[0] != '\0' ? ": " : "", said);
	}
	xm_lane_unlock(lane, &old);
	return at.reach;
}

/* Memory that cannot be reached is of no use: wait until every lane can. */
int xm_segments_wait(extmem *x, uint64_t address, uint64_t size, char *words,
		     size_t words_size)
{
	uint64_t began_ns = os_now_ns();
	uint64_t deadline_ns = x->regions.deadline_ns;
	uint64_t page = address / XM_PAGE;
	uint64_t limit = page + size / XM_PAGE;

	xm_ask_wake(&x->ask);
	for (uint32_t l = 0; l < x->lanes.count; l++) {
		struct xm_lane *lane = &x->lanes.lane[l];
		struct xm_wait wait = { .deadline_ns = deadline_ns };

		for (uint64_t p = page; p < limit;) {
			uint32_t seen = xm_waiting_seen(&lane->waiting);
			uint64_t next, now_ns;
			enum xm_reach reach = page_reach(x, lane, p, &next,
							 words, words_size);

			if (reach == XM_REACH_UP) {
				p = next;
				continue;
			}
			/* It may have been lost long before, and be back in a
			 * moment. */
			now_ns = os_now_ns();
			if (now_ns >= deadline_ns ||
			    (reach == XM_REACH_LOST &&
			     now_ns - began_ns >=
				     2 * x->settings.loss_timeout_ns))
				return -ENOTCONN;
			xm_lane_await(lane, seen, &wait);
		}
	}
	return 0;
}
