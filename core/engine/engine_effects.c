/* SPDX-License-Identifier: BSD-3-Clause */
/* One lane's operations, and how the pager's effects are carried out; see
 * engine.h. */
#include "core/engine/engine_parts.h"

#include <errno.h>

#include "core/pure/plant.h"

/* Drops carried out by one call. */
#define DROPS_MAX 64

/* --- operations ---------------------------------------------------------------- */

uint32_t xm_operations_max(const struct xm_engine_options *o)
{
	/* Every fetch buffer and write-back buffer can be under way, whatever the explicit
	 * operations do. */
	return o->pager.fetch_buffers + o->pager.writeback_buffers + o->depth;
}

struct xm_operation *xm_operation_take(struct xm_engine *e,
				       enum xm_operation_kind kind,
				       uint32_t appliance)
{
	struct xm_lane_peer *peer = &e->peers[appliance];
	uint32_t index = e->operations_free;
	struct xm_operation *op;

	XM_ASSERT(index != XM_NO_OPERATION);
	op = &e->operations[index];
	e->operations_free = op->next;
	op->kind = kind;
	op->appliance = appliance;
	op->posted_ns = e->clock_ns;
	op->next = XM_NO_OPERATION;
	op->previous = peer->newest;
	if (peer->newest != XM_NO_OPERATION)
		e->operations[peer->newest].next = index;
	else
		peer->oldest = index;
	peer->newest = index;
	peer->flying++;
	return op;
}

void xm_operation_give(struct xm_engine *e, struct xm_operation *op)
{
	struct xm_lane_peer *peer = &e->peers[op->appliance];
	uint32_t index = (uint32_t)(op - e->operations);

	if (op->previous != XM_NO_OPERATION)
		e->operations[op->previous].next = op->next;
	else
		peer->oldest = op->next;
	if (op->next != XM_NO_OPERATION)
		e->operations[op->next].previous = op->previous;
	else
		peer->newest = op->previous;
	peer->flying--;
	op->kind = XM_OPERATION_FREE;
	op->generation++;
	op->next = e->operations_free;
	e->operations_free = index;
}

uint64_t xm_operation_token(const struct xm_engine *e,
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

void xm_operation_end(struct xm_engine *e, struct xm_operation *op,
		      int status)
{
	static const struct xm_pager_event nothing;
	struct xm_pager_event ev = nothing;
	struct xm_pager_effects *fx = &e->effects;
	enum xm_verdict verdict = fx->verdict;
	uint64_t next = fx->next, seq = fx->seq;
	uint32_t count = fx->count;

	ev.now_ns = e->clock_ns;
	ev.staging_index = op->staging_index;
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
		xm_operation_give(e, op);
		return;
	case XM_OPERATION_FREE:
		XM_ASSERT(false);
	}
	xm_operation_give(e, op);
	xm_pager_step(&e->pager, &ev, fx);
	XM_ASSERT(fx->count == 0);
	fx->verdict = verdict;
	fx->next = next;
	fx->seq = seq;
	fx->count = count;
}

/* Nobody has asked for so long: no more is known of who refused. */
#define REFUSED_LAPSES (500 * XM_MS)
/* Who is refused tries again soon. From one refusal to the next that much of the
 * time that is borne with has passed, most: nobody asked in between. */
#define REFUSED_SHARE 8

void xm_engine_heed(struct xm_engine *e, struct xm_lane_peer *peer, int rc)
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

/* --- effects ------------------------------------------------------------------------ */

static uint8_t *staging_at(const struct xm_engine *e, uint32_t staging_index)
{
	return e->options.staging + staging_index * e->options.page_size;
}

static uint64_t remote_offset(const struct xm_engine *e,
			   const struct xm_segment *segment, uint64_t page)
{
	return segment->remote_offset +
	       (page - segment->page) * e->options.page_size;
}

static void posted(struct xm_engine *e, struct xm_operation *op, uint64_t page,
		   int rc)
{
	size_t size = op->count * e->options.page_size;

	xm_engine_heed(e, &e->peers[op->appliance], rc);
	if (rc != 0) {
		note(e, XM_TRACE_ENGINE_POST_FAILED, page,
		     (uint64_t)(int64_t)rc, 0, 0);
		xm_operation_end(e, op, rc);
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
		       uint32_t count, uint32_t staging_index)
{
	struct xm_lane_peer *peer = &e->peers[segment->appliance];
	struct xm_operation *op = xm_operation_take(e, kind, segment->appliance);
	uint64_t offset = remote_offset(e, segment, page);
	size_t size = count * e->options.page_size;
	int rc = -ENOTCONN;

	op->staging_index = staging_index;
	op->count = count;
	if (peer->path.state == XM_PATH_UP && kind == XM_OPERATION_FETCH)
		rc = peer->ops->read(peer->transport, peer->peer,
				     &segment->remote, offset,
				     staging_at(e, staging_index), size,
				     xm_operation_token(e, op));
	else if (peer->path.state == XM_PATH_UP)
		rc = peer->ops->write(peer->transport, peer->peer,
				      &segment->remote, offset,
				      staging_at(e, staging_index), size,
				      xm_operation_token(e, op));
	posted(e, op, page, rc);
}

/* One write of pages that lie apart, but in one segment: its count is how many
 * of the write-back buffers from `staging_index` on those are. */
static uint32_t post_scattered(struct xm_engine *e, uint32_t staging_index,
			       uint32_t count)
{
	uint64_t page = xm_pager_staged_page(&e->pager, staging_index);
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
		uint64_t other = xm_pager_staged_page(&e->pager, staging_index + n);

		if (other < segment->page ||
		    other >= segment->page + segment->count)
			break;
		offsets[n++] = remote_offset(e, segment, other);
	}
	op = xm_operation_take(e, XM_OPERATION_STORE, segment->appliance);
	op->staging_index = staging_index;
	op->count = n;
	if (peer->path.state == XM_PATH_UP)
		rc = peer->ops->scatter(peer->transport, peer->peer,
					&segment->remote, offsets, n,
					staging_at(e, staging_index),
					e->options.page_size,
					xm_operation_token(e, op));
	posted(e, op, page, rc);
	return n;
}

static void post(struct xm_engine *e, enum xm_operation_kind kind,
		 const struct xm_pager_effect *effect)
{
	uint64_t page = effect->page, end = page + effect->count;
	uint32_t staging_index = effect->staging_index;

	if (effect->scattered) {
		for (uint32_t n = 0; n < effect->count;)
			n += post_scattered(e, staging_index + n, effect->count - n);
		return;
	}
	while (page < end) {
		struct xm_segment *segment = xm_layout_find(
			e->options.layout, page, &e->hint);
		uint64_t stop;

		/* Ranges lose their pages before they lose their segment. */
		XM_ASSERT(segment != NULL);
		stop = xm_min(end, segment->page + segment->count);
		/* A fetch fills one fetch buffer and ends as one; the pager was told
		 * where its segment ends. */
		XM_ASSERT(kind != XM_OPERATION_FETCH || stop == end);
		stop = xm_min(stop, page + pages_max(e, segment->appliance));
		post_piece(e, kind, segment, page, (uint32_t)(stop - page),
			   staging_index);
		if (!XM_PLANTED(staging_not_advanced))
			staging_index += (uint32_t)(stop - page);
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
static bool carry_out_one(struct xm_engine *e,
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
		if (effect->staging_index != XM_STAGING_ZERO)
			bytes = staging_at(e, effect->staging_index);
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
		ops->copy(mapper, page, count, staging_at(e, effect->staging_index));
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
		carry_out_one(e, &e->sorry.list[i]);
}

void xm_engine_carry_out(struct xm_engine *e)
{
	struct xm_pager_effects *fx = &e->effects;
	uint32_t sorry = 0;

	for (uint32_t i = 0; i < fx->count; i++) {
		uint32_t drops = carry_out_drops(e, i);

		if (drops > 0)
			i += drops - 1;
		else if (!carry_out_one(e, &fx->list[i]))
			fx->list[sorry++] = fx->list[i];
	}
	for (uint32_t i = 0; i < sorry; i++)
		refused(e, &fx->list[i]);
}
