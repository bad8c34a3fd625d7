/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the background thread does for clones; see clones.h. One thread; it takes one lock
 * at a time besides clones.lock, but at the end of a clone those of all lanes.
 */
#include <errno.h>
#include <string.h>

#include "core/client/client.h"
#include "core/pure/plant.h"

#define AGAIN XM_MS		  /* until a COPY is asked again */
#define AGAIN_QUOTA (100 * XM_MS) /* of which there were too many */
#define ANSWER (500 * XM_MS)

/* --- pages ------------------------------------------------------------------ */

/* The background thread has all signals blocked. */
static struct xm_lane *lane_lock(extmem *x, uint64_t page)
{
	struct xm_lane *lane = xm_lane_at(&x->lanes, page);

	os_lock_take(&lane->lock);
	return lane;
}

/* An event that never waits, of a chunk's pages, which are one lane's. */
static void send(struct xm_lane *lane, enum xm_pager_event_kind kind, uint64_t page,
		 uint64_t limit, bool write)
{
	while (page < limit) {
		struct xm_pager_event ev = { .kind = kind, .page = page,
					     .limit = limit, .write = write };

		xm_engine_event(&lane->engine, &ev);
		page = lane->engine.effects.next;
	}
}

/* With clones.lock. The clone's pages of the chunk can be had, or are lost; and the
 * source's may be stored to. `stale`: a member of the clone lacks them. */
static void chunk_end(extmem *x, struct xm_clone *c, uint32_t chunk, bool lost,
		      bool stale)
{
	bool written[XM_CLONING_CHUNK_MAX];
	uint64_t count, first = xm_cloning_chunk(&c->machine, chunk, &count);
	uint64_t from = c->machine.from + first, to = c->machine.to + first;
	struct xm_lane *lane = lane_lock(x, from);

	/* A page that was fresh in that moment is so in the clone. */
	for (uint64_t i = 0; i < count; i++)
		written[i] = lost || xm_pager_is_written(&lane->engine.pager,
							 from + i);
	xm_lane_give(lane);
	lane = lane_lock(x, to);
	if (lost) {
		send(lane, XM_PAGER_LOST, to, to + count, false);
		atomic_store(&c->clone->lacks, true);
	}
	for (uint64_t i = 0, run; i < count; i += run) {
		for (run = 1; i + run < count && written[i + run] == written[i];)
			run++;
		send(lane, XM_PAGER_CLONE_UNLOCK, to + i, to + i + run, written[i]);
	}
	if (stale)
		send(lane, XM_PAGER_STALE, to, to + count, false);
	xm_lane_give(lane);
	lane = lane_lock(x, from);
	send(lane, XM_PAGER_THAW, from, from + count, false);
	xm_lane_give(lane);
	xm_cloning_done(&c->machine, chunk);
}

/* --- requests --------------------------------------------------------------- */

/* What goes from one member to another at the same appliance. */
static struct xm_copy_bytes copy_of(const struct xm_backing *s,
				    const struct xm_backing *t,
				    const struct xm_extent_at *from,
				    const struct xm_extent_at *to, uint64_t page,
				    uint64_t page_to, uint64_t count)
{
	return (struct xm_copy_bytes){
		.from = from->extent, .to = to->extent,
		.from_offset = from->offset + xm_backing_row(s, page) * XM_PAGE,
		.to_offset = to->offset + xm_backing_row(t, page_to) * XM_PAGE,
		.size = count * XM_PAGE,
	};
}

/* Adds it to a request, or as one. The caller has asked for room. */
static void post_add(struct xm_clone_slot *slot, const struct xm_extent_at *from,
		     uint64_t page, const struct xm_copy_bytes *copy)
{
	for (uint32_t i = 0; i < slot->count; i++) {
		struct xm_copy_bytes *last = &slot->posts[i].message.u.copy;

		if (slot->posts[i].appliance == from->appliance &&
		    last->from == copy->from && last->to == copy->to &&
		    last->from_offset + last->size == copy->from_offset &&
		    last->to_offset + last->size == copy->to_offset) {
			last->size += copy->size;
			return;
		}
	}
	slot->pages[slot->count] = page;
	slot->posts[slot->count].appliance = from->appliance;
	slot->posts[slot->count].lease = from->lease;
	slot->posts[slot->count].message.kind = XM_COPY_BYTES;
	slot->posts[slot->count++].message.u.copy = *copy;
}

static const struct xm_extent_at *member_at(const struct xm_backing *s,
					 uint32_t appliance)
{
	for (uint32_t k = 0; k < xm_backing_extents(s); k++) {
		if (s->list[k].at.appliance == appliance &&
		    s->list[k].state == XM_MEMBER_IN)
			return &s->list[k].at;
	}
	return NULL;
}

/* A run of pages, at each member of the clone that counts; what one of the others lacks is
 * stale. 0; -ENOSPC: there is no room for so many requests; -EAGAIN: one that counts has no
 * other to copy from, for a moment. */
static int run_post(struct xm_clone_slot *slot, const struct xm_backing *s,
		    const struct xm_backing *t, uint64_t page, uint64_t to,
		    uint64_t count)
{
	bool any = false;

	if (slot->count + xm_backing_extents(t) > XM_CLONE_POSTS)
		return -ENOSPC;
	for (uint32_t k = 0; k < xm_backing_extents(t); k++) {
		const struct xm_extent_at *m = &t->list[k].at, *from;
		struct xm_copy_bytes copy;

		if (t->list[k].state != XM_MEMBER_IN) {
			slot->stale |= !XM_PLANTED(copy_left_out_trusted);
			continue;
		}
		from = member_at(s, m->appliance);
		if (from == NULL)
			return -EAGAIN;
		copy = copy_of(s, t, from, m, page, to, count);
		post_add(slot, from, to, &copy);
		any = true;
		if (XM_PLANTED(copy_first_member))
			break;
	}
	return any ? 0 : -EAGAIN;
}

/* From slot->copied on, as many as there is room for. -ESTALE: some of it is lost; -EAGAIN:
 * not now. */
static int posts_make(extmem *x, const struct xm_clone *c,
		      struct xm_clone_slot *slot)
{
	uint64_t count, first = xm_cloning_chunk(&c->machine, slot->chunk, &count);
	struct xm_lane *lane = lane_lock(x, c->machine.from + first);
	int rc = 0;

	slot->count = 0;
	slot->asked = slot->copied;
	while (rc == 0 && slot->asked < count) {
		uint64_t page = c->machine.from + first + slot->asked;
		uint64_t to = c->machine.to + first + slot->asked;
		struct xm_backing s, t;
		uint64_t run;

		if (!xm_volume_backing(&x->volume, page, &s) ||
		    !xm_volume_backing(&x->volume, to, &t) || s.lost || t.lost) {
			rc = -ESTALE;
			break;
		}
		run = xm_min(xm_backing_end(&s, page) - page, count - slot->asked);
		rc = run_post(slot, &s, &t, page, to, run);
		slot->asked += rc == 0 ? run : 0;
	}
	xm_lane_give(lane);
	return rc == -ENOSPC && slot->asked > slot->copied ? 0 : rc;
}

/* The clone's member that this request was for counts no more: others have the bytes. */
static bool is_left_out(extmem *x, const struct xm_clone_slot *slot, uint32_t i)
{
	struct xm_lane *lane = lane_lock(x, slot->pages[i]);
	struct xm_backing t;
	bool ret = xm_volume_backing(&x->volume, slot->pages[i], &t) && !t.lost &&
		   member_at(&t, slot->posts[i].appliance) == NULL;

	xm_lane_give(lane);
	return ret;
}

/* Of several copies one whose lease has ended is left out in a moment. */
static int post_status(extmem *x, struct xm_clone_slot *slot, uint32_t i)
{
	int rc = slot->posts[i].status;
	struct xm_lane *lane;
	bool several;

	if (rc == 0)
		return 0;
	if (is_left_out(x, slot, i)) {
		slot->stale = true;
		return 0;
	}
	lane = lane_lock(x, slot->pages[i]);
	several = xm_volume_is_several(&lane->engine.io, slot->pages[i]);
	xm_lane_give(lane);
	return several && rc == -ESTALE ? -EAGAIN : rc;
}

/* 0: all are answered, and copied. -EINPROGRESS: not yet all. */
static int posts_ended(extmem *x, struct xm_clone_slot *slot)
{
	int rc = 0;

	for (uint32_t i = 0; i < slot->count; i++) {
		if (!xm_ask_is_done(&x->ask, &slot->posts[i]))
			return -EINPROGRESS;
	}
	for (uint32_t i = 0; i < slot->count && rc == 0; i++)
		rc = post_status(x, slot, i);
	return rc;
}

/* --- one chunk -------------------------------------------------------------- */

/* Has the remote memory all of the chunk's moment? WAIT: more is written back. LOST: it will
 * not have it. */
static enum xm_verdict settle(extmem *x, const struct xm_clone *c, uint32_t chunk)
{
	uint64_t count, first = xm_cloning_chunk(&c->machine, chunk, &count);
	struct xm_pager_event ev = {
		.kind = XM_PAGER_FROZEN, .page = c->machine.from + first,
		.limit = c->machine.from + first + count,
	};
	struct xm_lane *lane = lane_lock(x, ev.page);
	enum xm_verdict verdict = xm_engine_event(&lane->engine, &ev);

	if (verdict == XM_VERDICT_WAIT) {
		ev.kind = XM_PAGER_FLUSH;
		xm_engine_event(&lane->engine, &ev);
	}
	xm_lane_give(lane);
	return verdict;
}

static void slot_end(extmem *x, struct xm_clone *c, struct xm_clone_slot *slot,
		     bool lost)
{
	chunk_end(x, c, slot->chunk, lost, slot->stale);
	slot->state = XM_CLONE_IDLE;
}

static void slot_rest(struct xm_clone_slot *slot, int rc)
{
	slot->again_ns = os_now_ns() + (rc == -EDQUOT ? AGAIN_QUOTA : AGAIN);
	slot->state = XM_CLONE_RESTS;
}

static void slot_ask(extmem *x, struct xm_clone *c, struct xm_clone_slot *slot)
{
	uint64_t deadline_ns = os_now_ns() + ANSWER;
	int rc = posts_make(x, c, slot);

	if (rc == -ESTALE) {
		slot_end(x, c, slot, true);
		return;
	}
	if (rc != 0) {
		slot_rest(slot, rc);
		return;
	}
	for (uint32_t i = 0; i < slot->count; i++) {
		slot->posts[i].deadline_ns = deadline_ns;
		xm_ask_post(&x->ask, &slot->posts[i]);
	}
	slot->state = XM_CLONE_ASKS;
}

static void slot_answered(extmem *x, struct xm_clone *c,
			  struct xm_clone_slot *slot, int rc)
{
	uint64_t count;

	switch (rc) {
	case 0:
		slot->copied = slot->asked;
		xm_cloning_chunk(&c->machine, slot->chunk, &count);
		if (slot->copied == count)
			slot_end(x, c, slot, false);
		else
			slot_ask(x, c, slot);
		return;
	case -ENOTCONN:
	case -ETIMEDOUT:
	case -EAGAIN:
	case -EDQUOT:
		slot_rest(slot, rc);
		return;
	default:
		slot_end(x, c, slot, true);
	}
}

static void slot_settle(extmem *x, struct xm_clone *c, struct xm_clone_slot *slot)
{
	switch (settle(x, c, slot->chunk)) {
	case XM_VERDICT_DONE:
		slot_ask(x, c, slot);
		break;
	case XM_VERDICT_LOST:
		slot_end(x, c, slot, true);
		break;
	default:
		break;
	}
}

static void slot_turn(extmem *x, struct xm_clone *c, struct xm_clone_slot *slot)
{
	bool cancelled = atomic_load(&c->cancelled);
	int rc;

	if (slot->state == XM_CLONE_IDLE &&
	    xm_cloning_next(&c->machine, &slot->chunk)) {
		slot->state = XM_CLONE_SETTLES;
		slot->copied = 0;
		slot->stale = false;
	}
	switch (slot->state) {
	case XM_CLONE_IDLE:
		break;
	case XM_CLONE_SETTLES:
		if (cancelled)
			slot_end(x, c, slot, true);
		else
			slot_settle(x, c, slot);
		break;
	case XM_CLONE_ASKS:
		rc = posts_ended(x, slot);
		if (rc == -EINPROGRESS)
			break;
		if (cancelled && rc != 0)
			slot_end(x, c, slot, true);
		else
			slot_answered(x, c, slot, rc);
		break;
	case XM_CLONE_RESTS:
		if (cancelled)
			slot_end(x, c, slot, true);
		else if (os_now_ns() >= slot->again_ns)
			slot_ask(x, c, slot);
		break;
	}
}

/* --- all -------------------------------------------------------------------- */

/* What threads wait for goes ahead. */
static void take_wanted(extmem *x)
{
	for (uint32_t l = 0; l < x->lanes.count; l++) {
		struct xm_lane *lane = &x->lanes.lane[l];
		uint64_t page;

		os_lock_take(&lane->lock);
		page = lane->engine.pager.wanted;
		lane->engine.pager.wanted = XM_NO_PAGE;
		xm_lane_give(lane);
		XM_LIST_EACH (link, &x->clones.list) {
			struct xm_clone *c = XM_CONTAINER(link, struct xm_clone,
							  link);

			if (page != XM_NO_PAGE &&
			    xm_cloning_wants(&c->machine, page))
				break;
		}
	}
}

static void release(extmem *x, uint64_t page, uint64_t limit)
{
	struct xm_backing s;

	for (; page < limit && xm_volume_backing(&x->volume, page, &s);
	     page = xm_backing_after(&s))
		xm_volume_fix(&x->volume, page, false);
}

static void clone_end(extmem *x, struct xm_clone *c)
{
	const struct xm_cloning *m = &c->machine;
	struct os_signals old;

	xm_lanes_lock(&x->lanes, &old);
	release(x, m->from, m->from + m->count);
	xm_lanes_unlock(&x->lanes, &old);
	xm_list_remove(&c->link);
	atomic_fetch_sub(&x->clones.count, 1);
	atomic_store(&c->ended, true); /* and whoever waits for it frees it */
}

/* As many steps as lead somewhere at once: a clone that is given up ends in one turn. */
static void clone_turn(extmem *x, struct xm_clone *c)
{
	uint32_t left;

	if (xm_cloning_is_stuck(&c->machine, os_now_ns(), x->settings.timeout_ns))
		atomic_store(&c->cancelled, true);
	do {
		left = c->machine.left;
		for (unsigned i = 0; i < XM_CLONE_SLOTS; i++)
			slot_turn(x, c, &c->slots[i]);
	} while (c->machine.left < left && c->machine.left > 0);
	if (c->machine.left == 0)
		clone_end(x, c);
}

bool xm_clones_turn(extmem *x)
{
	if (atomic_load(&x->clones.count) == 0)
		return false;
	os_mutex_take(&x->clones.lock);
	take_wanted(x);
	XM_LIST_EACH_SAFE (link, &x->clones.list)
		clone_turn(x, XM_CONTAINER(link, struct xm_clone, link));
	os_mutex_give(&x->clones.lock);
	return atomic_load(&x->clones.count) > 0;
}
