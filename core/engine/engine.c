/* SPDX-License-Identifier: BSD-3-Clause */
/* One lane's turns; see engine.h. */
#include "core/engine/engine_parts.h"

#include <errno.h>
#include <string.h>

#include "core/pure/plant.h"

#define TICK (5 * XM_MS)
/* A store that was refused is tried again when something has completed, which
 * may have been in its way, or after so long. Not at every turn: waiting
 * threads take a turn a microsecond, and refused stores can be many. */
#define AGAIN (50 * XM_US)
/* Transport events taken from one peer in one turn. */
#define EVENTS_PER_POLL 16

/* --- paths ------------------------------------------------------------------------ */

static void path_step(struct xm_engine *e, uint32_t appliance,
		      struct xm_path_event *ev)
{
	struct xm_lane_peer *peer = &e->peers[appliance];
	struct xm_path_effects fx;

	ev->now_ns = e->clock_ns;
	xm_path_step(&peer->path, ev, &fx);
	if (fx.ask)
		peer->ask = true;
	if (fx.disconnect && peer->connected) {
		peer->connected = false;
		peer->ops->disconnect(peer->transport, peer->peer);
		e->turns++; /* what it cancels is there to be polled for */
	}
	/* connect is carried out by xm_engine_ticket(), which has where. */
}

static void path_event(struct xm_engine *e, uint32_t appliance,
		       enum xm_path_event_kind kind)
{
	struct xm_path_event ev = { .kind = kind };

	path_step(e, appliance, &ev);
}

void xm_engine_ticket(struct xm_engine *e, uint32_t appliance,
		      const struct xm_locator *locator, const uint8_t *ticket)
{
	struct xm_lane_peer *peer = &e->peers[appliance];

	XM_ASSERT(appliance < e->peers_count);
	if (locator == NULL) {
		path_event(e, appliance, XM_PATH_REFUSED);
		return;
	}
	path_event(e, appliance, XM_PATH_TICKETED);
	if (peer->path.state != XM_PATH_CONNECTING || peer->connected)
		return;
	if (peer->ops->connect(peer->transport, locator, ticket,
			       &peer->peer) == 0)
		peer->connected = true;
	else
		path_event(e, appliance, XM_PATH_REFUSED);
}

static void tick(struct xm_engine *e)
{
	e->tick_ns = e->clock_ns;
	for (uint32_t i = 0; i < e->peers_count; i++) {
		struct xm_lane_peer *peer = &e->peers[i];
		struct xm_path_event ev = {
			.kind = XM_PATH_TICK,
			.wanted = peer->segments > 0,
			.ready = peer->ready,
			.gone = peer->gone,
			.oldest_ns = XM_NEVER,
		};

		/* One big operation may take longer than hang_ns on a slow
		 * link while others behind it wait their turn: progress of
		 * any of them is a sign of life. */
		if (peer->oldest != XM_NO_OPERATION)
			ev.oldest_ns = xm_max(
				e->operations[peer->oldest].posted_ns,
				peer->progress_ns);
		else if (peer->refused_for_ns > 0)
			ev.oldest_ns = e->clock_ns - peer->refused_for_ns;
		path_step(e, i, &ev);
	}
}

enum xm_reach xm_engine_reach(struct xm_engine *e, uint64_t page)
{
	struct xm_segment *segment =
		xm_layout_find(e->options.layout, page, &e->hint);

	if (segment == NULL || segment->lost)
		return XM_REACH_LOST;
	return xm_path_reach(&e->peers[segment->appliance].path,
			     e->clock_ns);
}

/* --- events ------------------------------------------------------------------------- */

/* Has any of this range lost its remote memory? */
static bool any_lost(struct xm_engine *e, uint64_t page, uint64_t limit)
{
	const struct xm_layout *layout = e->options.layout;

	for (uint32_t i = 0; i < layout->count; i++) {
		const struct xm_segment *s = &layout->segments[i];

		if (s->lost && s->page < limit && page < s->page + s->count)
			return true;
	}
	return false;
}

/* Can somebody who was told to WAIT have another answer after this? A step that
 * says WAIT may have done something, but what it waits for are completions, and
 * so do the others. Those who try again what was refused (a tick, an I/O lock) must
 * not keep each other awake. */
static bool may_help(enum xm_pager_event_kind kind, enum xm_verdict verdict)
{
	return verdict != XM_VERDICT_WAIT && kind != XM_PAGER_TICK &&
	       kind != XM_PAGER_IO_LOCK && kind != XM_PAGER_FLUSHED;
}

enum xm_verdict xm_engine_event(struct xm_engine *e, struct xm_pager_event *ev)
{
	struct xm_pager_effects *fx = &e->effects;
	uint64_t limit = ev->limit;

	ev->now_ns = e->clock_ns;
	if (ev->kind == XM_PAGER_WILLNEED) {
		/* A fetch lies in one segment, and what is not mapped cannot
		 * be installed. */
		struct xm_segment *s = xm_layout_find(e->options.layout,
						      ev->page, &e->hint);

		if (s != NULL) {
			ev->floor = s->page;
			ev->limit = xm_min(limit, s->page + s->count);
		}
		if (s == NULL || !s->attached)
			ev->reach = XM_REACH_LOST;
	}
	xm_pager_step(&e->pager, ev, fx);
	if (ev->limit < limit && fx->verdict == XM_VERDICT_DONE)
		fx->verdict = XM_VERDICT_MORE;
	ev->limit = limit;
	/* The pager forgets a store whose page is lost; it did not land. */
	if (ev->kind == XM_PAGER_FLUSHED && any_lost(e, ev->page, limit))
		fx->verdict = XM_VERDICT_LOST;
	xm_engine_carry_out(e);
	if (may_help(ev->kind, fx->verdict))
		e->turns++;
	return fx->verdict;
}

enum xm_verdict xm_engine_fault(struct xm_engine *e, uint64_t page, bool write,
				bool again, uint64_t since_ns)
{
	struct xm_segment *segment =
		xm_layout_find(e->options.layout, page, &e->hint);
	uint64_t block = e->options.block_pages;
	struct xm_pager_event ev = {
		.kind = XM_PAGER_FAULT, .page = page, .write = write,
		.again = again,
	};
	struct xm_lane_peer *peer;

	/* A page that is not mapped cannot be installed. */
	if (segment == NULL || !segment->attached)
		return XM_VERDICT_LOST;
	peer = &e->peers[segment->appliance];
	ev.reach = segment->lost ? XM_REACH_LOST
				 : xm_path_reach(&peer->path, e->clock_ns);
	/* A path that is up and brings nothing, however often it is asked, has
	 * lost the page as surely as one that is down. */
	since_ns = xm_max(since_ns, peer->progress_ns);
	if (e->clock_ns > since_ns &&
	    e->clock_ns - since_ns >= 2 * e->options.loss_ns) {
		note(e, XM_TRACE_ENGINE_STALLED, page, e->clock_ns - since_ns,
		     0, 0);
		ev.reach = XM_REACH_LOST;
	}
	ev.floor = xm_max(segment->page, page & ~(block - 1));
	ev.limit = xm_min(segment->page + segment->count,
			  (page | (block - 1)) + 1);
	return xm_engine_event(e, &ev);
}

/* --- turns ------------------------------------------------------------------------------ */

static void on_done(struct xm_engine *e, uint32_t appliance,
		    const struct xm_transport_event *te)
{
	struct xm_lane_peer *peer = &e->peers[appliance];
	uint32_t index = (uint32_t)te->token;
	struct xm_operation *op;

	XM_ASSERT(index < xm_operations_max(&e->options));
	op = &e->operations[index];
	/* Each accepted operation completes exactly once. */
	XM_ASSERT(op->kind != XM_OPERATION_FREE);
	XM_ASSERT(op->generation == (uint32_t)(te->token >> 32));
	if (te->status == 0)
		peer->progress_ns = e->clock_ns;
	else
		e->counters.errors++;
	xm_operation_end(e, op, te->status);
	if (te->status == -EACCES)
		path_event(e, appliance, XM_PATH_FENCED);
}

/* Or of a connection that was given up already. */
static bool is_current(const struct xm_lane_peer *peer,
		       const struct xm_transport_event *te)
{
	return peer->connected && te->peer == peer->peer;
}

static bool poll_peer(struct xm_engine *e, uint32_t appliance)
{
	struct xm_lane_peer *peer = &e->peers[appliance];
	struct xm_transport_event events[EVENTS_PER_POLL];
	int count = peer->ops->poll(peer->transport, events, EVENTS_PER_POLL);

	for (int i = 0; i < count; i++) {
		switch (events[i].kind) {
		case XM_TRANSPORT_DONE:
			if (XM_PLANTED(completion_lost) && !peer->connected)
				break;
			on_done(e, appliance, &events[i]);
			break;
		case XM_TRANSPORT_UP:
			if (!is_current(peer, &events[i]))
				break;
			peer->progress_ns = e->clock_ns;
			peer->refused_for_ns = 0;
			path_event(e, appliance, XM_PATH_CAME_UP);
			break;
		case XM_TRANSPORT_DOWN:
			if (!is_current(peer, &events[i]))
				break;
			path_event(e, appliance, XM_PATH_WENT_DOWN);
			break;
		case XM_TRANSPORT_JOINED:
		case XM_TRANSPORT_LEFT:
		case XM_TRANSPORT_MOVED:
			break; /* a target's events */
		}
	}
	e->turns += count > 0;
	return count > 0;
}

static bool any_path_up(const struct xm_engine *e)
{
	for (uint32_t i = 0; i < e->peers_count; i++) {
		if (e->peers[i].path.state == XM_PATH_UP)
			return true;
	}
	return false;
}

bool xm_engine_turn(struct xm_engine *e, uint64_t now_ns)
{
	bool any = false;

	if (now_ns > e->seen_ns) {
		if (now_ns - e->seen_ns > 2 * XM_ENGINE_GAP)
			note(e, XM_TRACE_ENGINE_GAP, e->options.lane,
			     now_ns - e->seen_ns, 0, 0);
		e->clock_ns += XM_PLANTED(own_pause_loses)
			? now_ns - e->seen_ns
			: xm_min(now_ns - e->seen_ns, XM_ENGINE_GAP);
		e->seen_ns = now_ns;
	}
	for (uint32_t i = 0; i < e->peers_count; i++)
		any |= poll_peer(e, i);
	if (e->clock_ns - e->tick_ns >= TICK)
		tick(e);
	if (e->pager.writeback_failed > 0 &&
	    (any || e->clock_ns - e->again_ns >= AGAIN) && any_path_up(e)) {
		struct xm_pager_event ev = { .kind = XM_PAGER_TICK };

		e->again_ns = e->clock_ns;
		xm_engine_event(e, &ev);
	}
	return any;
}

/* --- explicit operations ------------------------------------------------------------------ */

uint64_t xm_engine_most(struct xm_engine *e, uint64_t address)
{
	uint64_t page_size = e->options.page_size;
	struct xm_segment *s = xm_layout_find(
		e->options.layout, address / page_size, &e->hint);

	if (s == NULL)
		return 0;
	return xm_min((s->page + s->count) * page_size - address,
		      e->peers[s->appliance].limits.size_max);
}

int64_t xm_engine_post(struct xm_engine *e, bool write, uint64_t address,
		       void *local, uint64_t size, uint64_t token)
{
	uint64_t page = address / e->options.page_size;
	struct xm_segment *segment =
		xm_layout_find(e->options.layout, page, &e->hint);
	struct xm_lane_peer *peer;
	struct xm_operation *op;
	uint64_t offset;
	int rc;

	if (segment == NULL)
		return -ERANGE;
	if (segment->lost)
		return -ESTALE;
	peer = &e->peers[segment->appliance];
	if (peer->path.state != XM_PATH_UP)
		return -ENOTCONN;
	/* One completion place for each that is under way or not collected. */
	if (e->completions_count + e->users >= e->options.depth)
		return -EAGAIN;
	offset = address - segment->page * e->options.page_size;
	size = xm_min(size, segment->count * e->options.page_size - offset);
	size = xm_min(size, peer->limits.size_max);
	op = xm_operation_take(e, XM_OPERATION_USER, segment->appliance);
	op->token = token;
	offset += segment->remote_offset;
	if (write)
		rc = peer->ops->write(peer->transport, peer->peer,
				      &segment->remote, offset, local, size,
				      xm_operation_token(e, op));
	else
		rc = peer->ops->read(peer->transport, peer->peer,
				     &segment->remote, offset, local, size,
				     xm_operation_token(e, op));
	xm_engine_heed(e, peer, rc);
	if (rc != 0) {
		xm_operation_give(e, op);
		return rc;
	}
	e->users++;
	if (write) {
		e->counters.writes++;
		e->counters.bytes_written += size;
	} else {
		e->counters.reads++;
		e->counters.bytes_read += size;
	}
	return (int64_t)size;
}

bool xm_engine_completion(struct xm_engine *e, struct xm_completion *ret)
{
	if (e->completions_count == 0)
		return false;
	*ret = e->completions[e->completions_first];
	e->completions_first = (e->completions_first + 1) % e->options.depth;
	e->completions_count--;
	return true;
}

void xm_engine_cut(struct xm_engine *e, uint64_t page)
{
	struct xm_segment *segment =
		xm_layout_find(e->options.layout, page, &e->hint);

	if (segment == NULL)
		return;
	note(e, XM_TRACE_ENGINE_CUT, page, 0, 0, 0);
	path_event(e, segment->appliance, XM_PATH_FENCED);
}

/* One segment's pages, as far as they are this lane's. */
static void lose_segment(struct xm_engine *e, const struct xm_segment *segment,
			 uint32_t lane, uint32_t lanes)
{
	uint64_t block = e->options.block_pages;
	uint64_t page = segment->page, end = page + segment->count;

	while (page < end) {
		uint64_t stop = xm_min(end, (page | (block - 1)) + 1);

		if ((page / block) % lanes != lane) {
			page = stop;
			continue;
		}
		while (page < stop) {
			struct xm_pager_event ev = {
				.kind = XM_PAGER_LOST, .page = page,
				.limit = stop,
			};

			/* LOST never waits. */
			xm_engine_event(e, &ev);
			XM_ASSERT(e->effects.next > page);
			page = e->effects.next;
		}
	}
}

void xm_engine_lose(struct xm_engine *e, uint32_t appliance, uint32_t lease,
		    uint32_t lane, uint32_t lanes)
{
	for (uint32_t i = 0; i < e->options.layout->count; i++) {
		struct xm_segment *s = &e->options.layout->segments[i];

		if (s->appliance != appliance || s->lease >= lease)
			continue;
		s->lost = true;
		e->turns++;
		note(e, XM_TRACE_ENGINE_LOSE, lane, s->page, s->count,
		     appliance);
		lose_segment(e, s, lane, lanes);
	}
}

uint32_t xm_engine_flying(const struct xm_engine *e)
{
	uint32_t flying = 0;

	for (uint32_t i = 0; i < e->peers_count; i++)
		flying += e->peers[i].flying;
	return flying;
}

uint64_t xm_engine_clock(const struct xm_engine *e)
{
	return e->clock_ns;
}

/* --- beginning ---------------------------------------------------------------------------------- */

size_t xm_engine_memory_size(const struct xm_engine_options *o)
{
	return xm_align_up(xm_pager_memory_size(&o->pager), 64) +
	       xm_align_up(xm_operations_max(o) * sizeof(struct xm_operation),
			   64) +
	       o->depth * sizeof(struct xm_completion);
}

void xm_engine_init(struct xm_engine *e, const struct xm_engine_options *o,
		    void *memory, uint64_t now_ns)
{
	uint32_t max = xm_operations_max(o);
	char *bytes = memory;

	XM_ASSERT(xm_is_power_of_two(o->block_pages));
	XM_ASSERT(o->depth > 0);
	memset(e, 0, sizeof(*e));
	e->options = *o;
	xm_pager_init(&e->pager, &o->pager, bytes);
	bytes += xm_align_up(xm_pager_memory_size(&o->pager), 64);
	e->operations = (struct xm_operation *)bytes;
	bytes += xm_align_up(max * sizeof(struct xm_operation), 64);
	e->completions = (struct xm_completion *)bytes;
	for (uint32_t i = 0; i < max; i++)
		e->operations[i].next = i + 1 < max ? i + 1 : XM_NO_OPERATION;
	e->operations_free = 0;
	e->pager.trace = o->trace;
	e->clock_ns = XM_SECOND; /* not 0, which would be before any start */
	e->seen_ns = now_ns;
}

void xm_engine_add(struct xm_engine *e, const struct xm_transport_ops *ops,
		   struct xm_transport *transport)
{
	struct xm_lane_peer *peer = &e->peers[e->peers_count];

	XM_ASSERT(e->peers_count < XM_ENGINE_APPLIANCES);
	peer->ops = ops;
	peer->transport = transport;
	ops->limits(transport, &peer->limits);
	peer->oldest = peer->newest = XM_NO_OPERATION;
	xm_path_init(&peer->path, e->options.loss_ns, e->clock_ns);
	peer->path.appliance = e->peers_count;
	peer->path.lane = e->options.lane;
	peer->path.trace = e->options.trace;
	e->peers_count++;
}
