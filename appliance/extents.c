/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The records of extents and grants, and the way of bytes from a freed extent
 * back into the pool. See service.h for the states and for the rule under
 * which an extent becomes FREE.
 *
 * An extent and its grant are numbered: the low XM_SLOT_BITS bits are the
 * record's index, the rest counts how often that record was used, so that a
 * number is never used twice (44 bits of counting). Unused records are taken
 * lowest index first.
 *
 * How the count of grants that cover an extent stays right: a new extent is
 * covered by its owner's grant alone. When an extent is cut in two, every
 * grant that covers it covers both halves, so the new one begins with the old
 * one's count, and its own grant adds one. When a grant is gone, one is taken
 * off each extent that lies in it. These are the neighbours of the extent that
 * it was made for, towards lower offsets, since only first bytes are cut off;
 * none of them can have been freed before, as this grant covered it.
 *
 * Zeroing is memset in pieces, one piece out at a time, never a hole punched
 * into the pool: a hole would detach the pages that the interface has
 * registered with its device.
 *
 * Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "core/pure/plant.h"
#include "appliance/service_parts.h"

#define EXTENT(link, member) XM_CONTAINER(link, struct xm_service_extent, member)

/* --- records -------------------------------------------------------------- */

uint32_t xm_service_extent_slot(const struct xm_service *s,
				const struct xm_service_extent *e)
{
	return (uint32_t)(e - s->extents);
}

static uint32_t grant_slot(const struct xm_service *s,
			   const struct xm_service_grant *g)
{
	return (uint32_t)(g - s->grants);
}

struct xm_service_extent *xm_service_extent_find(struct xm_service *s,
						 uint64_t number)
{
	uint64_t slot = number & (XM_SERVICE_SLOTS_MAX - 1);

	if (slot >= s->options.extents_max ||
	    s->extents[slot].state == XM_EXTENT_FREE ||
	    s->extents[slot].number != number)
		return NULL;
	return &s->extents[slot];
}

struct xm_service_grant *xm_service_grant_find(struct xm_service *s,
					       uint64_t number)
{
	uint64_t slot = number & (XM_SERVICE_SLOTS_MAX - 1);

	if (slot >= xm_service_grants_max(&s->options) ||
	    s->grants[slot].state == XM_GRANT_FREE ||
	    s->grants[slot].number != number)
		return NULL;
	return &s->grants[slot];
}

static uint64_t number_of(uint32_t serial, uint32_t slot)
{
	return (uint64_t)serial << XM_SLOT_BITS | slot;
}

/* A grant of this extent, EXPOSING. */
static struct xm_service_grant *grant_new(struct xm_service *s,
					  struct xm_service_extent *e,
					  uint32_t client)
{
	uint32_t slot = xm_slots_next(&s->grants_free, 0);
	struct xm_service_grant *g;
	uint32_t serial;

	/* There is one for each extent at most, and readings are counted, so there is one
	 * left. */
	XM_ASSERT(slot != XM_SLOTS_NONE);
	xm_slots_remove(&s->grants_free, slot);
	g = &s->grants[slot];
	serial = g->serial + 1;
	memset(g, 0, sizeof(*g));
	g->serial = serial;
	g->number = number_of(serial, slot);
	g->state = XM_GRANT_EXPOSING;
	g->client = client;
	g->extent = xm_service_extent_slot(s, e);
	g->offset = e->offset;
	g->size = e->size;
	xm_list_push_back(&s->clients[client].grants, &g->link);
	e->covers++;
	return g;
}

/* The grant of all rights that an owner has from the beginning. */
static void grant_own(struct xm_service *s, struct xm_service_extent *e)
{
	struct xm_service_grant *g = grant_new(s, e, e->owner);

	g->rights = XM_RIGHTS_ALL;
	e->grant = grant_slot(s, g);
}

struct xm_service_grant *xm_service_reading_new(struct xm_service *s,
						struct xm_service_extent *e,
						uint32_t client)
{
	struct xm_service_grant *g = grant_new(s, e, client);

	g->rights = XM_RIGHT_READ;
	g->reads = true;
	g->reader = s->clients[client].number;
	g->of = e->number;
	xm_list_push_back(&e->readings, &g->reading);
	s->clients[client].readings++;
	xm_service_use(s, s->clients[client].tenant)->readings++;
	s->readings++;
	return g;
}

static void grant_free(struct xm_service *s, struct xm_service_grant *g)
{
	xm_list_remove(&g->link);
	g->state = XM_GRANT_FREE;
	xm_slots_add(&s->grants_free, grant_slot(s, g));
}

/* Its client has one reading fewer. */
static void reading_end(struct xm_service *s, struct xm_service_grant *g)
{
	struct xm_service_client *c = xm_client_find(s, g->reader);

	if (c != NULL) {
		c->readings--;
		xm_service_use(s, c->tenant)->readings--;
	}
	s->readings--;
	grant_free(s, g);
}

void xm_service_reading_undo(struct xm_service *s, struct xm_service_grant *g)
{
	s->extents[g->extent].covers--;
	xm_list_remove(&g->reading);
	reading_end(s, g);
}

void xm_service_reading_forget(struct xm_service *s, struct xm_service_grant *g)
{
	XM_ASSERT(g->state == XM_GRANT_REVOKED);
	reading_end(s, g);
}

struct xm_service_extent *xm_service_extent_new(struct xm_service *s,
						uint32_t client,
						uint64_t offset, uint64_t size)
{
	uint32_t slot = xm_slots_next(&s->extents_free, 0);
	struct xm_service_extent *e;
	uint32_t serial;

	XM_ASSERT(slot != XM_SLOTS_NONE);
	xm_slots_remove(&s->extents_free, slot);
	e = &s->extents[slot];
	serial = e->serial + 1;
	memset(e, 0, sizeof(*e));
	e->serial = serial;
	e->number = number_of(serial, slot);
	e->state = XM_EXTENT_OWNED;
	e->owner = client;
	e->trimming = XM_SERVICE_NONE;
	e->offset = offset;
	e->size = size;
	e->epoch = ++s->epoch;
	xm_link_alone(&e->piece);
	xm_list_open(&e->readings);
	xm_list_push_back(&s->clients[client].owned, &e->owned);
	xm_slots_add(&s->lent, slot);
	s->bytes_owned += size;
	s->extents_count++;
	s->clients[client].extents++;
	e->tenant = s->clients[client].tenant;
	e->place = s->clients[client].place;
	xm_service_use(s, e->tenant)->bytes += size;
	xm_service_use(s, e->tenant)->extents++;
	s->looks++;
	grant_own(s, e);
	return e;
}

struct xm_service_extent *xm_service_extent_cut(struct xm_service *s,
						struct xm_service_extent *tail,
						uint64_t size)
{
	uint64_t offset = tail->offset;
	struct xm_service_extent *head;

	/* The pool has room for as many ranges as there are extents, so this
	 * cannot fail. */
	XM_ASSERT(xm_extent_split(&s->pools[tail->place], offset, offset + size) == 0);
	tail->offset += size;
	tail->size -= size;
	s->bytes_owned -= size;
	xm_service_use(s, tail->tenant)->bytes -= size;
	head = xm_service_extent_new(s, tail->owner, offset, size);
	head->covers += tail->covers;
	head->id = tail->id;
	head->member = tail->member;
	memcpy(head->region, tail->region, sizeof(head->region));
	xm_list_insert(tail->piece.previous, &head->piece);
	if (xm_slots_has(&s->offered, xm_service_extent_slot(s, tail))) {
		head->offer = tail->offer;
		xm_slots_add(&s->offered, xm_service_extent_slot(s, head));
		xm_list_insert(&tail->offer.link, &head->offer.link);
	}
	tail->trimming = xm_service_extent_slot(s, head);
	s->grants[head->grant].head = true;
	return head;
}

struct xm_service_extent *xm_service_extent_behind(const struct xm_service_extent *e)
{
	return EXTENT(e->piece.next, piece);
}

/* No grant covers it any more. */
static void zero_begin(struct xm_service *s, struct xm_service_extent *e)
{
	e->state = XM_EXTENT_ZEROING;
	xm_slots_add(&s->zeroing, xm_service_extent_slot(s, e));
}

/* No key opens it, and the store has forgotten it. */
static bool may_zero(const struct xm_service_extent *e)
{
	return e->covers == 0 && xm_durable_is_settled(e);
}

void xm_service_extent_part(struct xm_service *s, struct xm_service_extent *e)
{
	XM_ASSERT(e->state == XM_EXTENT_OWNED);
	e->state = XM_EXTENT_PARTING;
	xm_durable_forget(s, e);
	xm_service_unoffer(s, e);
	xm_share_drop(s, e);
	xm_slots_remove(&s->lent, xm_service_extent_slot(s, e));
	s->bytes_owned -= e->size;
	s->bytes_parting += e->size;
	xm_service_use(s, e->tenant)->parting += e->size;
}

/* What it is counted to. */
static void tenant_set(struct xm_service *s, struct xm_service_extent *e,
		       uint32_t tenant)
{
	xm_service_use(s, e->tenant)->bytes -= e->size;
	xm_service_use(s, e->tenant)->extents--;
	e->tenant = tenant;
	xm_service_use(s, tenant)->bytes += e->size;
	xm_service_use(s, tenant)->extents++;
}

void xm_service_extent_orphan(struct xm_service *s, struct xm_service_extent *e)
{
	XM_ASSERT(e->state == XM_EXTENT_OWNED);
	e->state = XM_EXTENT_ORPHAN;
	e->trimming = XM_SERVICE_NONE;
	xm_share_drop(s, e);
	s->bytes_owned -= e->size;
	s->bytes_orphaned += e->size;
	s->bytes_resting += e->durable.stored ? e->size : 0;
	xm_service_extent_disown(s, e);
	if (e->offer.claimed)
		tenant_set(s, e, e->offer.tenant);
	e->offer.claimed = e->durable.untouched = false;
}

void xm_service_extent_adopt(struct xm_service *s, struct xm_service_extent *e,
			     uint32_t client)
{
	XM_ASSERT(e->state == XM_EXTENT_ORPHAN && e->owner == XM_SERVICE_NONE);
	e->state = XM_EXTENT_OWNED;
	e->owner = client;
	e->epoch = ++s->epoch;
	e->request = 0;
	s->bytes_orphaned -= e->size;
	s->bytes_resting -= e->durable.stored ? e->size : 0;
	s->bytes_owned += e->size;
	s->clients[client].extents++;
	e->offer.claimed = true;
	e->offer.tenant = e->tenant;
	tenant_set(s, e, s->clients[client].tenant);
	xm_list_push_back(&s->clients[client].owned, &e->owned);
	grant_own(s, e);
	s->grants[e->grant].claim = true;
}

void xm_service_extent_abandon(struct xm_service *s, struct xm_service_extent *e)
{
	XM_ASSERT(e->state == XM_EXTENT_ORPHAN);
	e->state = XM_EXTENT_PARTING;
	s->bytes_resting -= e->durable.stored ? e->size : 0;
	xm_durable_forget(s, e);
	xm_service_unoffer(s, e);
	xm_slots_remove(&s->lent, xm_service_extent_slot(s, e));
	s->bytes_orphaned -= e->size;
	s->bytes_parting += e->size;
	xm_service_use(s, e->tenant)->parting += e->size;
	if (may_zero(e))
		zero_begin(s, e);
}

void xm_service_extent_settled(struct xm_service *s, struct xm_service_extent *e)
{
	if (e->state == XM_EXTENT_PARTING && may_zero(e))
		zero_begin(s, e);
}

void xm_service_extent_restore(struct xm_service *s, struct xm_service_extent *e,
			       const struct xm_store_entry *entry)
{
	uint32_t slot = xm_service_extent_slot(s, e);

	memset(e, 0, sizeof(*e));
	e->serial = 1;
	e->number = number_of(e->serial, slot);
	e->state = XM_EXTENT_ORPHAN;
	e->owner = e->grant = e->trimming = XM_SERVICE_NONE;
	e->offset = entry->offset;
	e->size = entry->size;
	e->epoch = entry->epoch;
	e->id = entry->id;
	e->member = entry->member;
	memcpy(e->region, entry->region, sizeof(e->region));
	xm_link_alone(&e->piece);
	xm_list_open(&e->readings);
	xm_slots_remove(&s->extents_free, slot);
	xm_slots_add(&s->lent, slot);
	s->bytes_orphaned += e->size;
	s->bytes_resting += e->size;
	s->extents_count++;
	s->epoch = xm_max(s->epoch, e->epoch);
}

void xm_service_unoffer(struct xm_service *s, struct xm_service_extent *e)
{
	uint32_t slot = xm_service_extent_slot(s, e);

	if (xm_slots_has(&s->offered, slot)) {
		xm_slots_remove(&s->offered, slot);
		xm_list_remove(&e->offer.link);
		s->bytes_kept -= e->offer.kept ? e->size : 0;
	}
	memset(&e->offer, 0, sizeof(e->offer));
}

void xm_service_extent_disown(struct xm_service *s, struct xm_service_extent *e)
{
	if (e->owner == XM_SERVICE_NONE)
		return;
	XM_ASSERT(s->clients[e->owner].extents > 0);
	s->clients[e->owner].extents--;
	e->owner = XM_SERVICE_NONE;
	xm_list_remove(&e->owned);
}

/* The record is not used any more; the bytes are the caller's business. */
static void extent_free(struct xm_service *s, struct xm_service_extent *e)
{
	struct xm_tenant_use *use = xm_service_use(s, e->tenant);

	xm_service_extent_disown(s, e);
	use->bytes -= e->size;
	use->parting -= e->size;
	use->extents--;
	xm_list_remove(&e->piece);
	e->state = XM_EXTENT_FREE;
	xm_slots_add(&s->extents_free, xm_service_extent_slot(s, e));
	s->extents_count--;
}

void xm_service_extent_undo(struct xm_service *s, struct xm_service_grant *g)
{
	struct xm_service_extent *e = &s->extents[g->extent];
	struct xm_service_extent *tail = NULL;

	if (g->head)
		tail = xm_service_extent_behind(e);
	grant_free(s, g);
	e->covers--;
	if (g->claim) {
		e->grant = XM_SERVICE_NONE;
		xm_service_extent_orphan(s, e);
		return;
	}
	xm_service_extent_part(s, e);
	s->bytes_parting -= e->size;
	if (tail == NULL) {
		/* Nobody ever had a key to it, so its bytes are still zero. */
		XM_ASSERT(e->covers == 0);
		XM_ASSERT(xm_extent_give(&s->pools[e->place], e->offset, NULL) == 0);
		xm_shrink_freed(s, e->offset, e->size);
		extent_free(s, e);
		return;
	}
	/* Between the two calls the bytes seem free, but to nobody: both are
	 * in one step. */
	XM_ASSERT(e->covers == tail->covers);
	XM_ASSERT(xm_extent_give(&s->pools[tail->place], tail->offset, NULL) == 0);
	XM_ASSERT(xm_extent_resize(&s->pools[e->place], e->offset,
				   e->size + tail->size) == 0);
	tail->offset = e->offset;
	tail->size += e->size;
	tail->trimming = XM_SERVICE_NONE;
	s->bytes_owned += e->size;
	s->bytes_kept += tail->offer.kept ? e->size : 0;
	xm_service_use(s, tail->tenant)->bytes += e->size;
	extent_free(s, e);
}

/* --- back into the pool --------------------------------------------------- */

/* One grant fewer covers it. */
static void uncover(struct xm_service *s, struct xm_service_extent *e)
{
	s->looks++;
	XM_ASSERT(e->covers > 0);
	e->covers--;
	if (e->state != XM_EXTENT_PARTING)
		return;
	if (may_zero(e) ||
	    (XM_PLANTED(guard_ignored) && e->grant == XM_SERVICE_NONE))
		zero_begin(s, e);
}

/* Its record stays until its reader knows. */
static void reading_gone(struct xm_service *s, struct xm_service_grant *g)
{
	struct xm_service_client *c = xm_client_find(s, g->reader);

	xm_list_remove(&g->reading);
	if (g->settled || c == NULL || c->state == XM_CLIENT_EXPIRED) {
		reading_end(s, g);
		return;
	}
	g->state = XM_GRANT_REVOKED;
	xm_list_remove(&g->link);
	xm_list_push_back(&c->revoked, &g->link);
}

/* No access under its key can happen any more. */
static void grant_gone(struct xm_service *s, struct xm_service_grant *g)
{
	struct xm_service_extent *e = &s->extents[g->extent];
	struct xm_link *link;

	s->quarantined--;
	if (g->reads)
		reading_gone(s, g);
	else
		grant_free(s, g);
	for (link = e->piece.previous; link != &e->piece;) {
		struct xm_service_extent *lower = EXTENT(link, piece);

		if (lower->offset < g->offset || lower->offset > e->offset)
			break;
		link = link->previous;
		uncover(s, lower);
	}
	uncover(s, e);
}

/* Among those that time ends, behind all that end no later. It is the last
 * one but where the lease time was shortened meanwhile. */
static void wait_for_time(struct xm_service *s, struct xm_service_grant *g)
{
	struct xm_link *after = s->waiting.previous;

	while (after != &s->waiting &&
	       XM_CONTAINER(after, struct xm_service_grant, link)->until_ns >
		       g->until_ns)
		after = after->previous;
	g->client = XM_SERVICE_NONE;
	xm_list_insert(after, &g->link);
}

void xm_service_grant_died(struct xm_service *s, struct xm_service_grant *g,
			   uint64_t now_ns)
{
	struct xm_service_client *c = &s->clients[g->client];
	struct xm_service_extent *e = &s->extents[g->extent];

	XM_ASSERT(g->state == XM_GRANT_CONCEALING);
	s->concealing--;
	g->state = XM_GRANT_QUARANTINE;
	g->until_ns = xm_time_after(now_ns, c->lease_ns);
	if (e->grant == grant_slot(s, g))
		e->grant = XM_SERVICE_NONE;
	s->quarantined++;
	xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_QUARANTINED, e->number,
		     g->until_ns - now_ns, 0, 0);
	if (e->covers > 1)
		xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_GUARDED,
			     e->number, 0, 0, 0);
	if (s->options.revokes || XM_PLANTED(quarantine_skipped) ||
	    (s->options.admits && c->connections == 0)) {
		grant_gone(s, g);
		return;
	}
	xm_list_remove(&g->link);
	if (s->options.admits)
		xm_list_push_back(&c->quarantined, &g->link);
	else
		wait_for_time(s, g);
}

void xm_service_grants_unquarantine(struct xm_service *s, uint32_t client)
{
	XM_LIST_EACH_SAFE (link, &s->clients[client].quarantined)
		grant_gone(s, XM_CONTAINER(link, struct xm_service_grant, link));
}

static void zero_next(struct xm_service *s, struct xm_service_extent *e,
		      struct xm_service_effects *ret)
{
	struct xm_service_effect *effect =
		xm_service_effect(ret, XM_SERVICE_ZERO);

	effect->extent = e->number;
	effect->offset = e->offset + e->zeroed;
	effect->size = xm_min(e->size - e->zeroed, s->options.zero_size_max);
	if (XM_PLANTED(unzeroed))
		effect->size = 0;
	s->zeroing_now = xm_service_extent_slot(s, e);
}

void xm_service_zeroed(struct xm_service *s,
		       const struct xm_service_event *event,
		       struct xm_service_effects *ret)
{
	struct xm_service_extent *e = xm_service_extent_find(s, event->extent);

	if (e == NULL || e->state != XM_EXTENT_ZEROING ||
	    s->zeroing_now != xm_service_extent_slot(s, e))
		return;
	e->zeroed += xm_min(e->size - e->zeroed, s->options.zero_size_max);
	s->zeroing_now = XM_SERVICE_NONE;
	s->zeroed_last = xm_service_extent_slot(s, e);
	if (e->zeroed < e->size) {
		zero_next(s, e, ret);
		return;
	}
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_ZEROED,
		     e->number, e->zeroed, e->size, 0);
	XM_ASSERT(xm_extent_give(&s->pools[e->place], e->offset, NULL) == 0);
	xm_shrink_freed(s, e->offset, e->size);
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_FREED,
		     e->number, e->size, 0, 0);
	xm_slots_remove(&s->zeroing, xm_service_extent_slot(s, e));
	s->bytes_parting -= e->size;
	extent_free(s, e);
}

void xm_service_work(struct xm_service *s, uint64_t now_ns,
		     struct xm_service_effects *ret)
{
	struct xm_link *link;
	uint32_t slot;

	while ((link = xm_list_front(&s->waiting)) != NULL) {
		struct xm_service_grant *g =
			XM_CONTAINER(link, struct xm_service_grant, link);

		if (now_ns < g->until_ns)
			break;
		grant_gone(s, g);
	}
	if (s->zeroing_now != XM_SERVICE_NONE || s->cleaning != XM_SERVICE_NONE)
		return;
	/* Round and round, so that none waits for ever while others come and go
	 * in lower slots. */
	slot = xm_slots_next(&s->zeroing, (uint64_t)s->zeroed_last + 1);
	if (slot == XM_SLOTS_NONE)
		slot = xm_slots_next(&s->zeroing, 0);
	if (!xm_place_clean(s, slot != XM_SLOTS_NONE, ret) && slot != XM_SLOTS_NONE)
		zero_next(s, &s->extents[slot], ret);
}
