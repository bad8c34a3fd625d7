/* SPDX-License-Identifier: BSD-3-Clause */
/* One lane's turns; see engine.h. */
#include "engine.h"

#include <errno.h>
#include <string.h>

#include "plant.h"

#define NO_OPERATION UINT32_MAX
#define TICK (5 * XM_MS)
/* Drops carried out by one call. */
#define DROPS_MAX 64
/* A store that was refused is tried again when something has completed, which
 * may have been in its way, or after so long. Not at every turn: waiting
 * threads take a turn a microsecond, and refused stores can be many. */
#define AGAIN (50 * XM_US)
/* Transport events taken from one peer in one turn. */
#define EVENTS_PER_POLL 16

static void note(const struct xm_engine *e, enum xm_trace_id id, uint64_t a,
		 uint64_t b, uint64_t c, uint64_t d)
{
	xm_trace_put(e->options.trace, e->clock_ns, id, a, b, c, d);
}

/* --- operations ---------------------------------------------------------------- */

static uint32_t operations_max(const struct xm_engine_options *o)
{
	/* Every slot and every cell can be under way, whatever the explicit
	 * operations do. */
	return o->pager.slots + o->pager.cells + o->depth;
}

static struct xm_operation *operation_take(struct xm_engine *e,
					   enum xm_operation_kind kind,
					   uint32_t appliance)
{
	struct xm_lane_peer *peer = &e->peers[appliance];
	uint32_t index = e->operations_free;
	struct xm_operation *op;

	XM_ASSERT(index != NO_OPERATION);
	op = &e->operations[index];
	e->operations_free = op->next;
	op->kind = kind;
	op->appliance = appliance;
	op->posted_ns = e->clock_ns;
	op->next = NO_OPERATION;
	op->previous = peer->newest;
	if (peer->newest != NO_OPERATION)
		e->operations[peer->newest].next = index;
	else
		peer->oldest = index;
	peer->newest = index;
	peer->flying++;
	return op;
}

static void operation_give(struct xm_engine *e, struct xm_operation *op)
{
	struct xm_lane_peer *peer = &e->peers[op->appliance];
	uint32_t index = (uint32_t)(op - e->operations);

	if (op->previous != NO_OPERATION)
		e->operations[op->previous].next = op->next;
	else
		peer->oldest = op->next;
	if (op->next != NO_OPERATION)
		e->operations[op->next].previous = op->previous;
	else
		peer->newest = op->previous;
	peer->flying--;
	op->kind = XM_OPERATION_FREE;
	op->generation++;
	op->next = e->operations_free;
	e->operations_free = index;
}

static uint64_t operation_token(const struct xm_engine *e,
				const struct xm_operation *op)
{
	return (uint64_t)op->generation << 32 |
	       (uint64_t)(op - e->operations);
}

static void complete_user(struct xm_engine *e, uint64_t token, int status)
{
	uint32_t at = (e->completions_first + e->completions_count) %
		      e->options.depth;

	XM_ASSERT(e->completions_count < e->options.depth);
	e->completions[at].token = token;
	e->completions[at].status = status;
	e->completions_count++;
}

/* The event by which an operation's end reaches who began it. FETCHED and
 * STORED return no effects, so this may be called while effects are carried
 * out. */
static void operation_end(struct xm_engine *e, struct xm_operation *op,
			  int status)
{
	static const struct xm_pager_event nothing;
	struct xm_pager_event ev = nothing;
	struct xm_pager_effects *fx = &e->effects;
	enum xm_verdict verdict = fx->verdict;
	uint64_t next = fx->next, seq = fx->seq;
	uint32_t count = fx->count;

	ev.now_ns = e->clock_ns;
	ev.cell = op->cell;
	ev.count = op->count;
	ev.status = status;
	switch (op->kind) {
	case XM_OPERATION_FETCH:
		ev.kind = XM_PAGER_FETCHED;
		break;
	case XM_OPERATION_STORE:
		ev.kind = XM_PAGER_STORED;
		break;
	case XM_OPERATION_USER:
		e->users--;
		complete_user(e, op->token, status);
		operation_give(e, op);
		return;
	case XM_OPERATION_FREE:
		XM_ASSERT(false);
	}
	operation_give(e, op);
	xm_pager_step(&e->pager, &ev, fx);
	XM_ASSERT(fx->count == 0);
	fx->verdict = verdict;
	fx->next = next;
	fx->seq = seq;
	fx->count = count;
}

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

/* Nobody has asked for so long: no more is known of who refused. */
#define REFUSED_LAPSES (500 * XM_MS)
/* Who is refused tries again soon. From one refusal to the next that much of the
 * time that is borne with has passed, most: nobody asked in between. */
#define REFUSED_SHARE 8

/* Some providers say -EAGAIN for ever to one that is gone. So a connection that
 * takes nothing, and has nothing under way, for as long as one that hangs is
 * borne with, hangs. */
static void heed(struct xm_engine *e, struct xm_lane_peer *peer, int rc)
{
	uint64_t since_ns = e->clock_ns - peer->refused_last_ns;

	if (rc != 0 && rc != -EAGAIN)
		return;
	if (rc == 0 || peer->refused_last_ns < peer->progress_ns ||
	    since_ns > REFUSED_LAPSES)
		peer->refused_for_ns = 0;
	else
		peer->refused_for_ns += xm_min(
			since_ns, peer->path.hang_ns / REFUSED_SHARE);
	if (rc == 0)
		return;
	e->eager = true;
	peer->refused_last_ns = e->clock_ns;
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
		if (peer->oldest != NO_OPERATION)
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

/* --- effects ------------------------------------------------------------------------ */

static uint8_t *stage_at(const struct xm_engine *e, uint32_t cell)
{
	return e->options.stage + cell * e->options.page_size;
}

static uint64_t far_offset(const struct xm_engine *e,
			   const struct xm_segment *segment, uint64_t page)
{
	return segment->far_offset +
	       (page - segment->page) * e->options.page_size;
}

static void posted(struct xm_engine *e, struct xm_operation *op, uint64_t page,
		   int rc)
{
	size_t size = op->count * e->options.page_size;

	heed(e, &e->peers[op->appliance], rc);
	if (rc != 0) {
		note(e, XM_TRACE_ENGINE_POST_FAILED, page,
		     (uint64_t)(int64_t)rc, 0, 0);
		operation_end(e, op, rc);
		return;
	}
	if (op->kind == XM_OPERATION_FETCH) {
		e->counters.reads++;
		e->counters.bytes_read += size;
	} else {
		e->counters.writes++;
		e->counters.bytes_written += size;
	}
}

/* Pages of one operation, most. */
static uint64_t pages_max(const struct xm_engine *e, uint32_t appliance)
{
	return e->peers[appliance].limits.size_max / e->options.page_size;
}

/* Posts one piece that lies in one segment. */
static void post_piece(struct xm_engine *e, enum xm_operation_kind kind,
		       const struct xm_segment *segment, uint64_t page,
		       uint32_t count, uint32_t cell)
{
	struct xm_lane_peer *peer = &e->peers[segment->appliance];
	struct xm_operation *op = operation_take(e, kind, segment->appliance);
	uint64_t offset = far_offset(e, segment, page);
	size_t size = count * e->options.page_size;
	int rc = -ENOTCONN;

	op->cell = cell;
	op->count = count;
	if (peer->path.state == XM_PATH_UP && kind == XM_OPERATION_FETCH)
		rc = peer->ops->read(peer->transport, peer->peer,
				     &segment->far, offset,
				     stage_at(e, cell), size,
				     operation_token(e, op));
	else if (peer->path.state == XM_PATH_UP)
		rc = peer->ops->write(peer->transport, peer->peer,
				      &segment->far, offset,
				      stage_at(e, cell), size,
				      operation_token(e, op));
	posted(e, op, page, rc);
}

/* One write of pages that lie apart, but in one segment: its count is how many
 * of the cells from `cell` on those are. */
static uint32_t post_scattered(struct xm_engine *e, uint32_t cell,
			       uint32_t count)
{
	uint64_t page = xm_pager_cell_page(&e->pager, cell);
	struct xm_segment *segment =
		xm_layout_find(e->options.layout, page, &e->hint);
	uint64_t offsets[XM_PAGER_SCATTER_MAX];
	struct xm_lane_peer *peer;
	struct xm_operation *op;
	uint32_t n = 0;
	int rc = -ENOTCONN;

	XM_ASSERT(segment != NULL);
	peer = &e->peers[segment->appliance];
	while (n < count && n < peer->limits.scatter_max &&
	       n < pages_max(e, segment->appliance)) {
		uint64_t other = xm_pager_cell_page(&e->pager, cell + n);

		if (other < segment->page ||
		    other >= segment->page + segment->count)
			break;
		offsets[n++] = far_offset(e, segment, other);
	}
	op = operation_take(e, XM_OPERATION_STORE, segment->appliance);
	op->cell = cell;
	op->count = n;
	if (peer->path.state == XM_PATH_UP)
		rc = peer->ops->scatter(peer->transport, peer->peer,
					&segment->far, offsets, n,
					stage_at(e, cell),
					e->options.page_size,
					operation_token(e, op));
	posted(e, op, page, rc);
	return n;
}

static void post(struct xm_engine *e, enum xm_operation_kind kind,
		 const struct xm_pager_effect *effect)
{
	uint64_t page = effect->page, end = page + effect->count;
	uint32_t cell = effect->cell;

	if (effect->scattered) {
		for (uint32_t n = 0; n < effect->count;)
			n += post_scattered(e, cell + n, effect->count - n);
		return;
	}
	while (page < end) {
		struct xm_segment *segment = xm_layout_find(
			e->options.layout, page, &e->hint);
		uint64_t stop;

		/* Ranges lose their pages before they lose their segment. */
		XM_ASSERT(segment != NULL);
		stop = xm_min(end, segment->page + segment->count);
		/* A fetch fills one slot and ends as one; the pager was told
		 * where its segment ends. */
		XM_ASSERT(kind != XM_OPERATION_FETCH || stop == end);
		stop = xm_min(stop, page + pages_max(e, segment->appliance));
		post_piece(e, kind, segment, page, (uint32_t)(stop - page),
			   cell);
		if (!XM_PLANTED(cell_not_advanced))
			cell += (uint32_t)(stop - page);
		page = stop;
	}
}

/* Drops that follow each other are one call. Returns how many effects those
 * were; 0: the mapper would not, and shall be asked one by one. */
static uint32_t carry_out_drops(struct xm_engine *e, uint32_t first)
{
	const struct xm_pager_effects *fx = &e->effects;
	struct xm_page_range ranges[DROPS_MAX];
	uint32_t count = 0;

	while (count < DROPS_MAX && first + count < fx->count &&
	       fx->list[first + count].kind == XM_DROP) {
		ranges[count].page = fx->list[first + count].page;
		ranges[count].count = fx->list[first + count].count;
		count++;
	}
	if (count < 2 || e->options.mapper_ops->drop(e->options.mapper,
						     ranges, count) != 0)
		return 0;
	return count;
}

/* False: the mapper would not. */
static bool carry_out(struct xm_engine *e,
		      const struct xm_pager_effect *effect)
{
	const struct xm_mapper_ops *ops = e->options.mapper_ops;
	struct xm_mapper *mapper = e->options.mapper;
	uint64_t page = effect->page, count = effect->count;
	const void *bytes = NULL;
	int rc = 0;

	switch ((enum xm_pager_effect_kind)effect->kind) {
	case XM_FETCH:
		post(e, XM_OPERATION_FETCH, effect);
		break;
	case XM_STORE:
		post(e, XM_OPERATION_STORE, effect);
		break;
	case XM_INSTALL:
		if (effect->cell != XM_CELL_ZERO)
			bytes = stage_at(e, effect->cell);
		rc = ops->install(mapper, page, count, bytes,
				  effect->protect);
		break;
	case XM_PROTECT:
		rc = ops->protect(mapper, page, count);
		break;
	case XM_UNPROTECT:
		rc = ops->unprotect(mapper, page, count);
		break;
	case XM_COPY:
		ops->copy(mapper, page, count, stage_at(e, effect->cell));
		break;
	case XM_DROP:
		rc = ops->drop(mapper, &(struct xm_page_range){ page, count },
			       1);
		break;
	case XM_POISON:
		ops->poison(mapper, page, count);
		break;
	}
	return rc == 0;
}

/* The address range is not what it was: nobody may be left looking at
 * nothing there. Only these pages; others of the same step are well. */
static void refused(struct xm_engine *e, const struct xm_pager_effect *effect)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_REFUSED, .now_ns = e->clock_ns,
		.page = effect->page, .limit = effect->page + effect->count,
	};

	e->counters.errors++;
	xm_pager_step(&e->pager, &ev, &e->sorry);
	for (uint32_t i = 0; i < e->sorry.count; i++)
		carry_out(e, &e->sorry.list[i]);
}

/* Has any of this range lost its far memory? */
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
 * so do the others. Those who try again what was refused (a tick, a guard) must
 * not keep each other awake. */
static bool may_help(enum xm_pager_event_kind kind, enum xm_verdict verdict)
{
	return verdict != XM_VERDICT_WAIT && kind != XM_PAGER_TICK &&
	       kind != XM_PAGER_GUARD && kind != XM_PAGER_FLUSHED;
}

enum xm_verdict xm_engine_event(struct xm_engine *e, struct xm_pager_event *ev)
{
	struct xm_pager_effects *fx = &e->effects;
	uint64_t limit = ev->limit;
	uint32_t sorry = 0;

	ev->now_ns = e->clock_ns;
	if (ev->kind == XM_PAGER_WILLNEED) {
		/* A fetch lies in one segment. */
		struct xm_segment *s = xm_layout_find(e->options.layout,
						      ev->page, &e->hint);

		if (s != NULL)
			ev->limit = xm_min(limit, s->page + s->count);
	}
	xm_pager_step(&e->pager, ev, fx);
	if (ev->limit < limit && fx->verdict == XM_VERDICT_DONE)
		fx->verdict = XM_VERDICT_MORE;
	ev->limit = limit;
	/* The pager forgets a store whose page is lost; it did not land. */
	if (ev->kind == XM_PAGER_FLUSHED && any_lost(e, ev->page, limit))
		fx->verdict = XM_VERDICT_LOST;
	for (uint32_t i = 0; i < fx->count; i++) {
		uint32_t drops = carry_out_drops(e, i);

		if (drops > 0)
			i += drops - 1;
		else if (!carry_out(e, &fx->list[i]))
			fx->list[sorry++] = fx->list[i];
	}
	for (uint32_t i = 0; i < sorry; i++)
		refused(e, &fx->list[i]);
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

	XM_ASSERT(index < operations_max(&e->options));
	op = &e->operations[index];
	/* Each accepted operation completes exactly once. */
	XM_ASSERT(op->kind != XM_OPERATION_FREE);
	XM_ASSERT(op->generation == (uint32_t)(te->token >> 32));
	if (te->status == 0)
		peer->progress_ns = e->clock_ns;
	else
		e->counters.errors++;
	operation_end(e, op, te->status);
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
	if (e->pager.cells_failed > 0 &&
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
		       void *near, uint64_t size, uint64_t token)
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
	op = operation_take(e, XM_OPERATION_USER, segment->appliance);
	op->token = token;
	offset += segment->far_offset;
	if (write)
		rc = peer->ops->write(peer->transport, peer->peer,
				      &segment->far, offset, near, size,
				      operation_token(e, op));
	else
		rc = peer->ops->read(peer->transport, peer->peer,
				     &segment->far, offset, near, size,
				     operation_token(e, op));
	heed(e, peer, rc);
	if (rc != 0) {
		operation_give(e, op);
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
	       xm_align_up(operations_max(o) * sizeof(struct xm_operation),
			   64) +
	       o->depth * sizeof(struct xm_completion);
}

void xm_engine_init(struct xm_engine *e, const struct xm_engine_options *o,
		    void *memory, uint64_t now_ns)
{
	uint32_t max = operations_max(o);
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
		e->operations[i].next = i + 1 < max ? i + 1 : NO_OPERATION;
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
	peer->oldest = peer->newest = NO_OPERATION;
	xm_path_init(&peer->path, e->options.loss_ns, e->clock_ns);
	peer->path.appliance = e->peers_count;
	peer->path.lane = e->options.lane;
	peer->path.trace = e->options.trace;
	e->peers_count++;
}
