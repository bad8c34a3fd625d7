/* SPDX-License-Identifier: BSD-3-Clause */
/* One lane's turns; see engine.h. */
#include "core/engine/engine_parts.h"

#include <errno.h>
#include <stdatomic.h>
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

	enum xm_path_state before = peer->path.state;

	ev->now_ns = e->clock_ns;
	xm_path_step(&peer->path, ev, &fx);
	e->changes += peer->path.state != before;
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

/* Of a peer with operations under way. One big operation may take longer than hang_ns on
 * a slow link while others behind it wait their turn: progress of any of them is a sign of
 * life. */
static uint64_t silent_since(const struct xm_engine *e,
			     const struct xm_lane_peer *peer)
{
	return xm_max(e->operations[peer->oldest].posted_ns,
		      xm_max(peer->progress_ns, peer->excused_ns));
}

static void tick(struct xm_engine *e)
{
	e->tick_ns = e->clock_ns;
	for (uint32_t i = 0; i < e->peers_count; i++) {
		struct xm_lane_peer *peer = &e->peers[i];
		struct xm_path_event ev = {
			.kind = XM_PATH_TICK,
			.wanted = xm_volume_needs(e->options.volume, i),
			.ready = peer->ready,
			.gone = peer->gone,
			.spared = xm_volume_spares(e->options.volume, i),
			.oldest_ns = XM_NEVER,
		};

		if (peer->oldest != XM_NO_OPERATION)
			ev.oldest_ns = silent_since(e, peer);
		else if (peer->refused_for_ns > 0)
			ev.oldest_ns = e->clock_ns - peer->refused_for_ns;
		path_step(e, i, &ev);
	}
}

enum xm_reach xm_engine_reach(struct xm_engine *e, uint64_t page)
{
	return xm_volume_reach(&e->io, page, e->clock_ns);
}

bool xm_engine_attached(struct xm_engine *e, uint64_t page)
{
	struct xm_volume_page at;

	return xm_volume_look(&e->io, page, e->clock_ns, &at) && at.attached;
}

/* --- events ------------------------------------------------------------------------- */

/* Can somebody who was told to WAIT have another answer after this? A step that
 * says WAIT may have done something, but what it waits for are completions, and
 * so do the others. Those who try again what was refused (a tick, an I/O lock) must
 * not keep each other awake. */
static bool may_help(enum xm_pager_event_kind kind, enum xm_verdict verdict)
{
	return verdict != XM_VERDICT_WAIT && kind != XM_PAGER_TICK &&
	       kind != XM_PAGER_IO_LOCK && kind != XM_PAGER_FLUSHED &&
	       kind != XM_PAGER_MEND;
}

/* A fetch lies in one segment, and what is not mapped cannot be installed. */
static void bound_willneed(struct xm_engine *e, struct xm_pager_event *ev)
{
	struct xm_volume_page at;

	if (!xm_volume_look(&e->io, ev->page, e->clock_ns, &at)) {
		ev->reach = XM_REACH_LOST;
		return;
	}
	ev->floor = at.first;
	ev->limit = xm_min(ev->limit, at.limit);
	ev->unit = at.unit;
	if (!at.attached)
		ev->reach = XM_REACH_LOST;
}

/* An explicit write has ended. What it has not reached is copied there later. What a
 * sealed page has become must be found out. */
static void note_members(struct xm_engine *e, struct xm_pager_event *ev)
{
	bool several = e->options.members_max > 1 &&
		       xm_volume_is_several(&e->io, ev->page);

	ev->stale = several && ev->write &&
		    !xm_volume_is_whole(&e->io, ev->page);
	ev->cut = ev->torn;
	ev->torn &= several || xm_engine_is_sealed(e, ev->page);
}

enum xm_verdict xm_engine_event(struct xm_engine *e, struct xm_pager_event *ev)
{
	struct xm_pager_effects *fx = &e->effects;
	uint64_t limit = ev->limit;

	ev->now_ns = e->clock_ns;
	if (ev->kind == XM_PAGER_WILLNEED)
		bound_willneed(e, ev);
	if (ev->kind == XM_PAGER_IO_UNLOCK)
		note_members(e, ev);
	else if (ev->kind == XM_PAGER_IO_LOCK && e->sealing)
		ev->settle = xm_engine_is_sealed(e, ev->page) &&
			     !XM_PLANTED(seal_third_version);
	xm_pager_step(&e->pager, ev, fx);
	if (ev->kind == XM_PAGER_IO_UNLOCK && e->sealing)
		xm_engine_unlocked(e, ev->page, limit);
	if (ev->limit < limit && fx->verdict == XM_VERDICT_DONE)
		fx->verdict = XM_VERDICT_MORE;
	ev->limit = limit;
	/* The pager forgets a store whose page is lost; it did not land. */
	if (ev->kind == XM_PAGER_FLUSHED &&
	    xm_volume_any_lost(e->options.volume, ev->page, limit))
		fx->verdict = XM_VERDICT_LOST;
	xm_engine_carry_out(e);
	if (may_help(ev->kind, fx->verdict))
		e->turns++;
	return fx->verdict;
}

enum xm_verdict xm_engine_fault(struct xm_engine *e, uint64_t page, bool write,
				bool again, uint64_t since_ns)
{
	uint64_t block = e->options.block_pages;
	struct xm_pager_event ev = {
		.kind = XM_PAGER_FAULT, .page = page, .write = write,
		.again = again,
	};
	struct xm_volume_page at;

	/* A page that is not mapped cannot be installed; in a sparse region, where it has
	 * no memory, its addresses are reserved all the same. */
	if (!xm_volume_look(&e->io, page, e->clock_ns, &at) || !at.attached)
		return XM_VERDICT_DENIED;
	ev.reach = at.reach;
	/* A path that is up and brings nothing, however often it is asked, has
	 * lost the page as surely as one that is down. */
	since_ns = xm_max(since_ns, e->peers[at.appliance].progress_ns);
	if (e->clock_ns > since_ns &&
	    e->clock_ns - since_ns >= 2 * e->options.loss_ns) {
		note(e, XM_TRACE_ENGINE_STALLED, page, e->clock_ns - since_ns,
		     0, 0);
		ev.reach = XM_REACH_LOST;
	}
	ev.floor = xm_max(at.first, page & ~(block - 1));
	ev.limit = xm_min(at.limit, (page | (block - 1)) + 1);
	ev.unit = at.unit;
	return xm_engine_event(e, &ev);
}

uint64_t xm_engine_permitted(struct xm_engine *e, uint64_t page, uint64_t limit,
			     bool write)
{
	struct xm_volume_page at;

	while (page < limit &&
	       xm_volume_look(&e->io, page, e->clock_ns, &at) && at.attached) {
		uint64_t stop = xm_min(limit, at.limit);

		page = xm_pager_permitted(&e->pager, page, stop, write);
		if (page < stop)
			break;
	}
	return page;
}

uint64_t xm_engine_alike(struct xm_engine *e, uint64_t page, uint64_t limit,
			 bool *ret_fresh)
{
	return xm_pager_alike(&e->pager, page, limit, ret_fresh);
}

/* --- turns ------------------------------------------------------------------------------ */

static void on_done(struct xm_engine *e, uint32_t appliance,
		    const struct xm_transport_event *te)
{
	struct xm_lane_peer *peer = &e->peers[appliance];
	uint32_t index = (uint32_t)te->token;
	struct xm_operation *op;
	int status = te->status;
	uint64_t bad = 0;

	XM_ASSERT(index < e->operations_max);
	op = &e->operations[index];
	/* Each accepted operation completes exactly once. */
	XM_ASSERT(op->kind != XM_OPERATION_FREE);
	XM_ASSERT(op->generation == (uint32_t)(te->token >> 32));
	/* Its member may have been lost, and its memory be anything, since. */
	if (status == 0 && op->several && op->effort == XM_NO_EFFORT &&
	    !xm_volume_trusts(&e->io, op->page, op->member, op->taken))
		status = -ECANCELED;
	if (status == 0 && op->sealed)
		status = xm_engine_open_read(e, op, &bad);
	if (status == 0)
		peer->progress_ns = e->clock_ns;
	else
		e->counters.errors++;
	xm_engine_operation_ended(e, op, status);
	if (status == -EBADMSG && te->status == 0)
		xm_engine_doubt(e, bad);
	if (te->status == -EACCES)
		path_event(e, appliance, XM_PATH_FENCED);
}

/* Or of a connection that was given up already. */
static bool is_current(const struct xm_lane_peer *peer,
		       const struct xm_transport_event *te)
{
	return peer->connected && te->peer == peer->peer;
}

/* Not inlined into poll_all(), most of whose looks find nothing. */
__attribute__((noinline)) static void
on_events(struct xm_engine *e, uint32_t appliance,
	  const struct xm_transport_event *events, int count)
{
	struct xm_lane_peer *peer = &e->peers[appliance];

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
}

static bool poll_all(struct xm_engine *e)
{
	struct xm_transport_event events[EVENTS_PER_POLL];
	bool any = false;

	for (uint32_t i = 0; i < e->peers_count; i++) {
		const struct xm_lane_peer *peer = &e->peers[i];
		int count = peer->ops->poll(peer->transport, events,
					    EVENTS_PER_POLL);

		if (count <= 0)
			continue;
		on_events(e, i, events, count);
		e->turns++;
		any = true;
	}
	return any;
}

static bool any_path_up(const struct xm_engine *e)
{
	for (uint32_t i = 0; i < e->peers_count; i++) {
		if (e->peers[i].path.state == XM_PATH_UP)
			return true;
	}
	return false;
}

/* Is there any sense in it? Not while the paths that they need are down: with one of two
 * members away all 256 would be tried every 50 us. */
static bool may_try_again(const struct xm_engine *e, bool any)
{
	if (e->clock_ns - e->again_ns >= TICK)
		return any_path_up(e);
	if (e->again_futile && e->again_changes == e->changes &&
	    e->again_volume == atomic_load(&e->options.volume->changes))
		return false;
	return (any || e->clock_ns - e->again_ns >= AGAIN) && any_path_up(e);
}

static void try_again(struct xm_engine *e)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_TICK };

	e->again_ns = e->clock_ns;
	e->again_reached = false;
	e->again_changes = e->changes;
	e->again_volume = atomic_load(&e->options.volume->changes);
	xm_engine_event(e, &ev);
	e->again_futile = !e->again_reached;
}

/* Nobody looked for so long: it is no silence of those with operations under way, some
 * of which may have been posted only just now, by the clock of the turn before. It is no
 * progress either: who has waited for a page for too long has (xm_engine_fault()). */
static void excuse(struct xm_engine *e, uint64_t gap_ns)
{
	for (uint32_t i = 0; i < e->peers_count; i++) {
		struct xm_lane_peer *peer = &e->peers[i];

		if (peer->oldest != XM_NO_OPERATION)
			peer->excused_ns = silent_since(e, peer) + gap_ns -
					   XM_ENGINE_LOOK;
	}
}

static void pass_time(struct xm_engine *e, uint64_t now_ns)
{
	uint64_t gap_ns = now_ns - e->seen_ns;

	if (gap_ns > 2 * XM_ENGINE_GAP)
		note(e, XM_TRACE_ENGINE_GAP, e->options.lane, gap_ns, 0, 0);
	if (!XM_PLANTED(own_pause_loses))
		gap_ns = xm_min(gap_ns, XM_ENGINE_GAP);
	if (gap_ns > XM_ENGINE_LOOK && !XM_PLANTED(own_pause_loses) &&
	    !XM_PLANTED(own_pause_drops))
		excuse(e, gap_ns);
	e->clock_ns += gap_ns;
	e->seen_ns = now_ns;
}

bool xm_engine_turn(struct xm_engine *e, uint64_t now_ns)
{
	bool any;

	if (now_ns > e->seen_ns)
		pass_time(e, now_ns);
	any = poll_all(e);
	if (e->clock_ns - e->tick_ns >= TICK)
		tick(e);
	if (e->held.count > 0)
		xm_engine_held_go_on(e);
	if (e->pager.writeback_failed > 0 && may_try_again(e, any))
		try_again(e);
	if (e->options.members_max > 1 || e->sealing)
		xm_engine_mend(e);
	return any;
}

/* --- explicit operations ------------------------------------------------------------------ */

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
	bool lost;
	uint32_t appliances = xm_volume_appliances(e->options.volume, page,
						   &lost);

	if (appliances != 0)
		note(e, XM_TRACE_ENGINE_CUT, page, 0, 0, 0);
	for (uint32_t a = 0; a < e->peers_count; a++) {
		if ((appliances & 1u << a) != 0)
			path_event(e, a, XM_PATH_FENCED);
	}
}

/* One segment's pages, as far as they are this lane's. */
static void lose_pages(struct xm_engine *e, uint64_t page, uint64_t end,
		       uint32_t lane, uint32_t lanes)
{
	uint64_t block = e->options.block_pages;

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

static void lose_segment(struct xm_engine *e, uint32_t appliance, uint64_t page,
			 uint64_t count, uint32_t lane, uint32_t lanes)
{
	uint64_t end = page + count, stop;

	e->turns++;
	note(e, XM_TRACE_ENGINE_LOSE, lane, page, count, appliance);
	for (; xm_volume_lost_run(e->options.volume, &page, end, &stop);
	     page = stop)
		lose_pages(e, page, stop, lane, lanes);
}

void xm_engine_lose(struct xm_engine *e, uint32_t appliance, uint32_t lease,
		    uint32_t lane, uint32_t lanes)
{
	uint64_t page, count;
	uint32_t cursor = 0;

	while (xm_volume_lose(e->options.volume, appliance, lease, &cursor,
			      &page, &count))
		lose_segment(e, appliance, page, count, lane, lanes);
}

void xm_engine_revoke(struct xm_engine *e, uint32_t appliance, uint64_t extent,
		      uint32_t lane, uint32_t lanes)
{
	uint64_t page, count;
	uint32_t cursor = 0;

	while (xm_volume_revoke(e->options.volume, appliance, extent, &cursor,
				&page, &count))
		lose_segment(e, appliance, page, count, lane, lanes);
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
	       xm_align_up(o->depth * sizeof(struct xm_completion), 64) +
	       xm_align_up(xm_volume_io_memory_size(xm_efforts_max(o)), 64) +
	       (o->seal_ops->plain && !o->pager.prints ? 0 : o->page_size);
}

void xm_engine_init(struct xm_engine *e, const struct xm_engine_options *o,
		    void *memory, uint64_t now_ns)
{
	uint32_t max = xm_operations_max(o);
	char *bytes = memory;

	XM_ASSERT(xm_is_power_of_two(o->block_pages));
	XM_ASSERT(o->depth > 0);
	/* No layout of the volume has parities that are not copies. */
	XM_ASSERT(o->code_ops->plain);
	/* Lists of effects are written before they are read. */
	memset(e, 0, offsetof(struct xm_engine, effects));
	memset(&e->ended, 0, sizeof(e->ended));
	e->options = *o;
	xm_pager_init(&e->pager, &o->pager, bytes);
	bytes += xm_align_up(xm_pager_memory_size(&o->pager), 64);
	e->operations = (struct xm_operation *)bytes;
	bytes += xm_align_up(max * sizeof(struct xm_operation), 64);
	e->completions = (struct xm_completion *)bytes;
	bytes += xm_align_up(o->depth * sizeof(struct xm_completion), 64);
	xm_volume_io_init(&e->io, o->volume, xm_efforts_max(o), bytes);
	bytes += xm_align_up(xm_volume_io_memory_size(xm_efforts_max(o)), 64);
	e->sealing = !o->seal_ops->plain;
	if (e->sealing || o->pager.prints)
		e->scratch = (uint8_t *)bytes;
	if (e->sealing)
		xm_seals_init(&e->seals, o->seal_ops, o->seal, o->seal_table,
			      o->lane);
	for (uint32_t i = 0; i < max; i++)
		e->operations[i].next = i + 1 < max ? i + 1 : XM_NO_OPERATION;
	e->operations_free = 0;
	e->operations_max = max;
	e->pager.trace = o->trace;
	e->clock_ns = XM_SECOND; /* not 0, which would be before any start */
	e->seen_ns = now_ns;
}

void xm_engine_watch(struct xm_engine *e, const struct xm_engine_watch *watch)
{
	e->watch = watch;
}

void xm_engine_mark(struct xm_engine *e, xm_marks *marks)
{
	e->marks = marks;
}

void xm_engine_add(struct xm_engine *e, const struct xm_transport_ops *ops,
		   struct xm_transport *transport)
{
	struct xm_lane_peer *peer = &e->peers[e->peers_count];

	XM_ASSERT(e->peers_count < XM_APPLIANCES_MAX);
	peer->ops = ops;
	peer->transport = transport;
	ops->limits(transport, &peer->limits);
	peer->oldest = peer->newest = XM_NO_OPERATION;
	xm_path_init(&peer->path, e->options.loss_ns, e->clock_ns);
	peer->path.appliance = e->peers_count;
	peer->path.lane = e->options.lane;
	peer->path.trace = e->options.trace;
	xm_volume_io_add(&e->io, &peer->path, &peer->flying,
			 peer->limits.size_max, peer->limits.scatter_max);
	e->peers_count++;
}
