/* SPDX-License-Identifier: BSD-3-Clause */
/* One lane's operations: posted as the volume says, and their ends; see
 * engine.h. */
#include "core/engine/engine_parts.h"

#include <errno.h>
#include <string.h>

#include "core/pure/plant.h"

/* --- the table of operations ------------------------------------------------ */

static uint32_t members_max(const struct xm_engine_options *o)
{
	return xm_max(o->members_max, 1u);
}

uint32_t xm_operations_max(const struct xm_engine_options *o)
{
	/* Every fetch buffer and every write-back buffer can be under way,
	 * whatever the explicit operations do. */
	return o->pager.fetch_buffers +
	       members_max(o) * (o->pager.writeback_buffers + o->depth) +
	       (members_max(o) == 1 && o->seal_ops->plain
			? 0
			: members_max(o) * XM_MEND_SLOTS + XM_APPLIANCES_MAX);
}

uint32_t xm_efforts_max(const struct xm_engine_options *o)
{
	return members_max(o) == 1 ? 0
				   : o->pager.writeback_buffers + o->depth +
					     XM_MEND_SLOTS;
}

static struct xm_operation *operation_begin(struct xm_engine *e,
					   uint32_t appliance)
{
	struct xm_lane_peer *peer = &e->peers[appliance];
	uint32_t index = e->operations_free;
	struct xm_operation *op;

	XM_ASSERT(index != XM_NO_OPERATION);
	op = &e->operations[index];
	e->operations_free = op->next;
	op->appliance = appliance;
	op->posted_ns = op->begun_ns = e->clock_ns;
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

static inline void operation_end(struct xm_engine *e, struct xm_operation *op)
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

static uint64_t token_of(const struct xm_engine *e,
			 const struct xm_operation *op)
{
	return (uint64_t)op->generation << 32 |
	       (uint64_t)(op - e->operations);
}

/* --- posting ---------------------------------------------------------------- */

/* Nobody has posted for so long: no more is known of a peer that refused. */
#define REFUSED_LAPSES (500 * XM_MS)
/* The time credited between two refusals is at most this share of the shortest time
 * after which a silent path is given up: in a longer gap nobody tried to post, so it
 * proves nothing. */
#define REFUSED_SHARE 8

/* What a transport answered to a post. Some providers return -EAGAIN forever for
 * a dead peer. So if a connection with no operation under way has refused every
 * post for hang_ns, it is treated as hung. */
static void note_post_result(struct xm_engine *e, struct xm_lane_peer *peer,
			     int rc)
{
	uint64_t since_ns = e->clock_ns - peer->refused_last_ns;

	if (rc != 0 && rc != -EAGAIN)
		return;
	if (rc == 0 || peer->refused_last_ns < peer->progress_ns ||
	    since_ns > REFUSED_LAPSES)
		peer->refused_for_ns = 0;
	else
		peer->refused_for_ns += xm_min(
			since_ns,
			xm_min(peer->path.hang_ns, XM_PATH_HANG_AWAY) /
				REFUSED_SHARE);
	if (rc == 0)
		return;
	e->eager = true;
	peer->refused_last_ns = e->clock_ns;
}

static inline int post(struct xm_engine *e, const struct xm_move *r,
		       const struct xm_post *p, uint64_t size, uint64_t token)
{
	struct xm_lane_peer *peer = &e->peers[p->appliance];

	if (!r->write)
		return peer->ops->read(peer->transport, peer->peer, p->remote,
				       p->offsets[0], r->local, size, token);
	if (r->scattered)
		return peer->ops->scatter(peer->transport, peer->peer,
					  p->remote, p->offsets, r->count,
					  r->local, e->options.page_size,
					  token);
	return peer->ops->write(peer->transport, peer->peer, p->remote,
				p->offsets[0], r->local, size, token);
}

/* One operation, of an effort or of none. */
static int issue_one(struct xm_engine *e, const struct xm_move *r,
		     const struct xm_volume_posts *posts,
		     const struct xm_post *p, uint32_t effort)
{
	struct xm_operation *op = operation_begin(e, p->appliance);
	int rc;

	op->kind = r->kind;
	op->staging_index = r->staging_index;
	op->count = r->count;
	op->token = r->token;
	op->effort = effort;
	op->member = p->member;
	op->taken = p->taken;
	op->several = posts->several;
	op->sealed = posts->sealed && e->sealing && !r->write;
	if (op->sealed || op->several) {
		op->local = r->local;
		op->page = posts->page;
	}
	rc = post(e, r, p, posts->size, token_of(e, op));
	note_post_result(e, &e->peers[p->appliance], rc);
	if (rc != 0) {
		operation_end(e, op);
	} else if (r->write) {
		e->counters.writes++;
		e->counters.bytes_written += posts->size;
	} else {
		e->counters.reads++;
		e->counters.bytes_read += posts->size;
	}
	return rc;
}

/* A write to several members. Either none of it is under way, or all is: what a
 * transport has no room for is held until it has. For if two writes each got one of the
 * two places they need, and gave up for want of the other, they could do so for ever. So
 * while some is held no other begins. */
static int issue_several(struct xm_engine *e, const struct xm_move *r,
			 const struct xm_volume_posts *posts)
{
	struct xm_effort_end end;
	uint32_t effort, posted = 0;
	bool over = false;

	if (e->held.count > 0)
		return -EAGAIN;
	effort = xm_effort_begin(&e->io, posts);
	for (uint32_t i = 0; i < posts->count; i++) {
		const struct xm_post *p = &posts->list[i];
		int rc = i > posted + e->held.count
				 ? -EAGAIN
				 : issue_one(e, r, posts, p, effort);

		posted += rc == 0;
		if (rc == -EAGAIN && posted > 0 &&
		    !XM_PLANTED(efforts_starve)) {
			/* Once: the list is then of those that are held. */
			if (e->held.count == 0) {
				e->held.posts = *posts;
				e->held.begun_ns = e->clock_ns;
			}
			e->held.move = *r;
			e->held.effort = effort;
			e->held.remotes[e->held.count] = *p->remote;
			e->held.posts.list[e->held.count++] = *p;
		} else if (rc != 0) {
			xm_effort_part_ended(&e->io, effort, p->member,
					     p->taken, rc, &end);
		}
	}
	/* One that has posted nothing is over; it cannot have succeeded. */
	over = xm_effort_posted(&e->io, effort, &end);
	return over ? end.status : 0;
}

int xm_engine_issue(struct xm_engine *e, const struct xm_move *r,
		    const struct xm_volume_posts *posts)
{
	if (posts->several && r->write)
		return issue_several(e, r, posts);
	return issue_one(e, r, posts, &posts->list[0], XM_NO_EFFORT);
}

/* --- ends ------------------------------------------------------------------- */

static void complete_user(struct xm_engine *e, uint64_t token, int status)
{
	uint32_t at = (e->completions_first + e->completions_count) %
		      e->options.depth;

	XM_ASSERT(e->completions_count < e->options.depth);
	e->completions[at].token = token;
	e->completions[at].status = status;
	e->completions_count++;
}

/* Whatever came of the store: some of it may be there. */
__attribute__((noinline)) static void mark_stored(struct xm_engine *e, uint32_t index,
						  uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t page = xm_pager_staged_page(&e->pager, index + i);

		if (page != XM_NO_PAGE && !(XM_PLANTED(store_unmarked) && count == 1))
			xm_mark(e->marks, page, 1);
	}
}

/* Here and inlined, because each fetch and store ends so. */
static inline void tell_pager(struct xm_engine *e, enum xm_operation_kind kind,
			      uint32_t index, uint32_t count, int status,
			      bool lacking)
{
	struct xm_pager_event *ev = &e->ended;

	ev->kind = kind == XM_OPERATION_FETCH ? XM_PAGER_FETCHED
					      : XM_PAGER_STORED;
	ev->now_ns = e->clock_ns;
	ev->staging_index = index;
	ev->count = count;
	ev->status = status;
	ev->stale = lacking;
	if (e->marks != NULL && kind == XM_OPERATION_STORE)
		mark_stored(e, index, count);
	xm_pager_step(&e->pager, ev, &e->nested);
	XM_ASSERT(e->nested.count == 0);
}

void xm_engine_not_posted(struct xm_engine *e, const struct xm_move *r,
			  int status)
{
	tell_pager(e, r->kind, r->staging_index, r->count, status, false);
}

static void move_ended(struct xm_engine *e, enum xm_operation_kind kind,
		       uint64_t token, uint32_t staging_index, uint32_t count,
		       const struct xm_effort_end *end)
{
	switch (kind) {
	case XM_OPERATION_USER:
		e->users--;
		complete_user(e, token, end->status);
		return;
	case XM_OPERATION_MEND:
		xm_engine_mend_ended(e, (uint32_t)token, end->status);
		return;
	case XM_OPERATION_FAR:
		e->far[token].state = XM_FAR_ENDED;
		e->far[token].status = end->status;
		return;
	default:
		tell_pager(e, kind, staging_index, count, end->status,
			   end->lacking);
	}
}

void xm_engine_operation_ended(struct xm_engine *e, struct xm_operation *op, int status)
{
	enum xm_operation_kind kind = op->kind;
	struct xm_effort_end end = { .status = status };

	/* What it was for stays in its entry until another one takes it. */
	operation_end(e, op);
	if (op->effort != XM_NO_EFFORT &&
	    !xm_effort_part_ended(&e->io, op->effort, op->member, op->taken,
				  status, &end))
		return;
	move_ended(e, kind, op->token, op->staging_index, op->count, &end);
}

void xm_engine_held_go_on(struct xm_engine *e)
{
	struct xm_held held = e->held;

	e->held.count = 0;
	for (uint32_t i = 0; i < held.count; i++) {
		struct xm_post *p = &held.posts.list[i];
		struct xm_effort_end end;
		int rc = -ENOTCONN;

		p->remote = &held.remotes[i];
		if (e->peers[p->appliance].path.state == XM_PATH_UP)
			rc = issue_one(e, &held.move, &held.posts, p,
				       held.effort);
		if (rc == 0)
			e->operations[e->peers[p->appliance].newest].begun_ns =
				held.begun_ns;
		if (rc == -EAGAIN) {
			e->held.move = held.move;
			e->held.effort = held.effort;
			e->held.posts.page = held.posts.page;
			e->held.posts.size = held.posts.size;
			e->held.remotes[e->held.count] = held.remotes[i];
			e->held.posts.list[e->held.count++] = *p;
		} else if (rc != 0 &&
			   xm_effort_part_ended(&e->io, held.effort, p->member,
						p->taken, rc, &end)) {
			move_ended(e, held.move.kind, held.move.token,
				   held.move.staging_index, held.move.count,
				   &end);
			e->turns++;
		}
	}
}

/* --- other memory ----------------------------------------------------------- */

int xm_engine_post_far(struct xm_engine *e, uint32_t appliance,
		       const struct xm_remote_mr *remote, uint64_t offset,
		       const void *bytes, uint32_t size)
{
	uint8_t *local = e->options.aside + appliance * XM_ENGINE_LEDGER_SIZE;
	struct xm_move r = { .kind = XM_OPERATION_FAR, .write = true,
			     .local = local, .token = appliance };
	struct xm_volume_posts posts = { .size = size, .count = 1 };
	int rc;

	XM_ASSERT(size <= XM_ENGINE_LEDGER_SIZE);
	XM_ASSERT(e->far[appliance].state == XM_FAR_IDLE);
	if (e->peers[appliance].path.state != XM_PATH_UP)
		return -ENOTCONN;
	memcpy(local, bytes, size);
	posts.list[0].appliance = appliance;
	posts.list[0].remote = remote;
	posts.list[0].offsets[0] = offset;
	rc = xm_engine_issue(e, &r, &posts);
	if (rc == 0)
		e->far[appliance].state = XM_FAR_FLIES;
	return rc;
}

/* --- explicit operations ---------------------------------------------------- */

uint64_t xm_engine_most(struct xm_engine *e, uint64_t address)
{
	return xm_volume_most(&e->io, address);
}

/* Whole pages of a sealed segment. */
static int issue_sealed(struct xm_engine *e, struct xm_move *r,
			const struct xm_volume_posts *posts, uint64_t skip)
{
	uint64_t size = e->options.page_size;
	int rc;

	if (skip != 0 || posts->size % size != 0)
		return -EINVAL;
	r->count = (uint32_t)(posts->size / size);
	rc = r->write ? xm_engine_seal_write(e, posts->page, r->count, r->local)
		      : 0;
	if (rc != 0)
		return rc;
	rc = xm_engine_issue(e, r, posts);
	/* Nothing of it is under way: the caller posts the same bytes again. */
	if (rc != 0 && r->write)
		xm_engine_unseal_write(e, posts->page, r->count, r->local);
	return rc;
}

int64_t xm_engine_post(struct xm_engine *e, bool write, uint64_t address,
		       void *local, uint64_t size, uint64_t token)
{
	struct xm_move r = {
		.kind = XM_OPERATION_USER, .write = write, .local = local,
		.token = token,
	};
	uint32_t shift = e->options.volume->page_shift;
	uint64_t page = address >> shift, skip = address - (page << shift);
	struct xm_volume_posts posts;
	int rc = write ? xm_volume_write(&e->io, page, skip, size, &posts)
		       : xm_volume_read(&e->io, page, skip, size, &posts);

	if (rc != 0)
		return rc;
	/* One completion place for each that is under way or not collected. */
	if (e->completions_count + e->users >= e->options.depth)
		return -EAGAIN;
	if (posts.sealed && e->sealing)
		rc = issue_sealed(e, &r, &posts, skip);
	else
		rc = xm_engine_issue(e, &r, &posts);
	if (rc != 0)
		return rc;
	e->users++;
	return (int64_t)posts.size;
}
