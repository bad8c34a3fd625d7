/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests for memory (ALLOC, TRIM, FREE, LIST), what the interface reports of
 * them, and what the end of a client means for what it owned. The states of
 * extents and grants, and the rule of isolation, are in service.h; their
 * records are kept by extents.c.
 *
 * Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "appliance/service_parts.h"
#include "core/pure/plant.h"

/* Other tenants' extents that one LIST passes over. */
#define LOOKS_MAX 256

void xm_lease_expose(const struct xm_service *s,
		     const struct xm_service_grant *g,
		     const struct xm_service_event *event,
		     struct xm_service_effects *ret)
{
	struct xm_service_effect *effect =
		xm_service_effect(ret, XM_SERVICE_EXPOSE);

	effect->grant = g->number;
	effect->client = s->clients[g->client].number;
	effect->place = s->extents[g->extent].place;
	effect->offset = g->offset - s->places[effect->place].offset;
	effect->size = g->size;
	effect->rights = g->rights;
	memcpy(&effect->key, event->entropy, sizeof(effect->key));
}

void xm_lease_conceal(struct xm_service *s, struct xm_service_grant *g,
		      struct xm_service_effects *ret)
{
	struct xm_service_effect *effect =
		xm_service_effect(ret, XM_SERVICE_CONCEAL);

	g->state = XM_GRANT_CONCEALING;
	s->concealing++;
	effect->grant = g->number;
	effect->client = s->clients[g->client].number;
	effect->place = s->extents[g->extent].place;
	effect->remote = g->remote;
}

/* The owner lets go of an extent. */
static void conceal(struct xm_service *s, struct xm_service_extent *e,
		    struct xm_service_effects *ret)
{
	xm_service_extent_part(s, e);
	xm_lease_conceal(s, &s->grants[e->grant], ret);
}

/* Says what the owner got. False: the stream that asked is gone. */
static bool allocated(const struct xm_service *s,
		      const struct xm_service_extent *e,
		      const struct xm_service_requester *requester,
		      struct xm_service_effects *ret)
{
	const struct xm_service_grant *g = &s->grants[e->grant];
	struct xm_message *answer =
		xm_service_answer(s, ret, requester, XM_ALLOCATED);

	if (answer == NULL)
		return false;
	answer->u.allocated.extent = e->number;
	answer->u.allocated.size = e->size;
	answer->u.allocated.epoch = e->epoch;
	answer->u.allocated.remote = g->remote;
	xm_trace_put(s->trace, s->last_ns, XM_TRACE_SERVICE_ALLOCATED,
		     s->clients[g->client].number, e->number, e->size, e->epoch);
	return true;
}

/* --- requests ------------------------------------------------------------- */

/* An ALLOC of 0 bytes asks what extent the request of the same number got, after its
 * answer was lost with a stream. The extent itself remembers the number, so there
 * are no answers to be kept. */
static void answer_again(struct xm_service *s, uint32_t client,
			 const struct xm_service_requester *requester,
			 struct xm_service_effects *ret)
{
	struct xm_link *owned = &s->clients[client].owned;
	struct xm_link *link = owned->previous;

	for (uint32_t i = 0; i < XM_SERVICE_ASKED_MAX && link != owned;
	     i++, link = link->previous) {
		struct xm_service_extent *e =
			XM_CONTAINER(link, struct xm_service_extent, owned);
		struct xm_service_grant *g;

		s->looks++;
		if (e->state != XM_EXTENT_OWNED ||
		    e->request != requester->request)
			continue;
		g = &s->grants[e->grant];
		if (g->state == XM_GRANT_LIVE) {
			allocated(s, e, requester, ret);
			return;
		}
		/* EXPOSING: whoever asked before is not there any more. */
		g->requester = *requester;
		return;
	}
	xm_service_refuse_plainly(s, ret, requester, EINVAL,
				  "asked for an extent of 0 bytes, and no"
				  " extent of yours was asked for under this"
				  " number: ask for at least 1");
}

void xm_lease_alloc(struct xm_service *s, const struct xm_service_event *event,
		   uint32_t client, const struct xm_service_requester *requester,
		   struct xm_service_effects *ret)
{
	const struct xm_alloc *alloc = &event->message->u.alloc;
	struct xm_service_extent *e;
	struct xm_service_grant *g;
	uint32_t place = s->clients[client].place;
	uint64_t offset, size;

	if (alloc->size == 0) {
		answer_again(s, client, requester, ret);
		return;
	}
	if (s->leaving) {
		/* TRIM is not refused: nobody takes more memory by it. */
		xm_service_refuse_plainly(
			s, ret, requester, ESHUTDOWN,
			"this appliance is draining: take memory elsewhere");
		return;
	}
	if (xm_refused_for_count(s, client, requester, ret) ||
	    xm_refused_for_features(s, alloc, requester, ret))
		return;
	if (alloc->size > s->size.limit) {
		xm_refuse_for_space(s, place, alloc->size, requester, ret);
		return;
	}
	size = xm_align_up(alloc->size, s->options.granule);
	if (xm_refused_for_bytes(s, client, size, requester, ret))
		return;
	if (xm_place_take(s, place, size, &offset) != 0) {
		xm_refuse_for_space(s, place, size, requester, ret);
		return;
	}
	e = xm_service_extent_new(s, client, offset, size);
	e->request = requester->request;
	e->id = alloc->id;
	e->member = alloc->member;
	memcpy(e->region, alloc->region, sizeof(e->region));
	g = &s->grants[e->grant];
	g->requester = *requester;
	g->asked = true;
	xm_lease_expose(s, g, event, ret);
}

struct xm_service_extent *xm_lease_named(struct xm_service *s,
					 uint64_t number, uint32_t client,
					 const struct xm_service_requester *by,
					 struct xm_service_effects *ret)
{
	struct xm_service_extent *e = xm_service_extent_find(s, number);

	/* The answer is the same for another client's extent and for none at
	 * all, so that asking does not tell which numbers exist. */
	if (e == NULL || e->owner != client || e->state != XM_EXTENT_OWNED ||
	    s->grants[e->grant].state != XM_GRANT_LIVE) {
		xm_service_refuse_plainly(s, ret, by, ESTALE,
					  "you hold no such extent here: it was"
					  " given back, or its lease ended");
		return NULL;
	}
	if (e->trimming != XM_SERVICE_NONE) {
		xm_service_refuse_plainly(s, ret, by, EBUSY,
					  "this extent is being trimmed: wait"
					  " for that answer first");
		return NULL;
	}
	return e;
}

void xm_lease_trim(struct xm_service *s, const struct xm_service_event *event,
		   uint32_t client, const struct xm_service_requester *requester,
		   struct xm_service_effects *ret)
{
	const struct xm_trim *trim = &event->message->u.trim;
	struct xm_service_extent *tail, *head;
	struct xm_service_grant *g;

	tail = xm_lease_named(s, trim->extent, client, requester, ret);
	if (tail == NULL || xm_refused_for_count(s, client, requester, ret) ||
	    xm_durable_refuses_trim(s, tail, requester, ret) ||
	    xm_share_refuses_trim(s, tail, requester, ret))
		return;
	if (trim->size == 0 || trim->size >= tail->size ||
	    !xm_is_aligned(trim->size, s->options.granule)) {
		struct xm_words words;

		if (xm_service_refuse(s, ret, requester, EINVAL, &words) == NULL)
			return;
		xm_words_add(&words, "the head must be a multiple of ");
		xm_words_bytes(&words, s->options.granule);
		xm_words_add(&words, ", more than 0 and less than the "
				     "extent's ");
		xm_words_bytes(&words, tail->size);
		return;
	}
	if (tail->covers >= XM_SERVICE_COVERS_MAX) {
		xm_service_refuse_plainly(s, ret, requester, EAGAIN,
					  "this extent was trimmed so often that"
					  " too many earlier keys open it: wait"
					  " until they are dead");
		return;
	}
	head = xm_service_extent_cut(s, tail, trim->size);
	head->request = requester->request;
	g = &s->grants[head->grant];
	g->requester = *requester;
	g->asked = true;
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_TRIM,
		     tail->number, head->size, head->number, 0);
	xm_lease_expose(s, g, event, ret);
}

void xm_lease_free(struct xm_service *s, const struct xm_service_event *event,
		   uint32_t client, const struct xm_service_requester *requester,
		   struct xm_service_effects *ret)
{
	struct xm_service_extent *e;

	if (xm_offer_free(s, event, requester, ret))
		return;
	e = xm_lease_named(s, event->message->u.free.extent, client, requester, ret);
	if (e == NULL)
		return;
	if (XM_PLANTED(freed_kept)) {
		xm_service_answer(s, ret, requester, XM_FREED);
		return;
	}
	s->grants[e->grant].requester = *requester;
	s->grants[e->grant].asked = true;
	conceal(s, e, ret);
}

void xm_lease_list(struct xm_service *s, const struct xm_service_event *event,
		   const struct xm_service_requester *requester,
		   struct xm_service_effects *ret)
{
	struct xm_message *answer;
	struct xm_listed *listed;
	uint64_t at = event->message->u.list.cursor;
	uint32_t tenant = s->peers[event->peer].tenant;
	bool all = xm_service_is_admin(s, event->peer) ||
		   XM_PLANTED(list_all_tenants);
	uint32_t slot, looks = 0;

	answer = xm_service_answer(s, ret, requester, XM_LISTED);
	if (answer == NULL)
		return;
	listed = &answer->u.listed;
	for (; (slot = xm_slots_next(&s->lent, at)) != XM_SLOTS_NONE;
	     at = slot + 1) {
		const struct xm_service_extent *e = &s->extents[slot];
		struct xm_list_entry *entry;

		s->looks++;
		if (e->state == XM_EXTENT_OWNED &&
		    s->grants[e->grant].state != XM_GRANT_LIVE)
			continue; /* its owner does not know of it yet */
		if (!all && (e->tenant != tenant || tenant == XM_TENANT_NONE)) {
			if (++looks < LOOKS_MAX)
				continue;
			listed->cursor = slot + 1;
			return;
		}
		if (listed->count == XM_LIST_MAX) {
			listed->cursor = slot;
			return;
		}
		entry = &listed->entries[listed->count++];
		entry->id = e->id;
		entry->member = e->member;
		memcpy(entry->region, e->region, sizeof(entry->region));
		if (e->state == XM_EXTENT_OWNED) {
			memcpy(entry->owner, s->clients[e->owner].name,
			       sizeof(entry->owner));
			entry->client = s->clients[e->owner].number;
		}
		entry->extent = e->number;
		entry->size = e->size;
		entry->epoch = e->epoch;
	}
}

/* --- what the interface reports ------------------------------------------- */

static void expose_failed(struct xm_service *s, struct xm_service_grant *g,
			  int status, struct xm_service_effects *ret)
{
	struct xm_words words;

	if (xm_service_refuse(s, ret, &g->requester,
			      status < 0 ? -status : EIO, &words) != NULL) {
		xm_words_add(&words, "the interface could not expose ");
		xm_words_bytes(&words, g->size);
		xm_words_add(&words, status == -ENOMEM || status == -ENOSPC
				? " (out of registrations or locked memory:"
				  " ulimit -l on the appliance)"
				: ": see the appliance's log");
	}
	xm_service_extent_undo(s, g);
}

void xm_lease_exposed(struct xm_service *s,
		      const struct xm_service_event *event,
		      struct xm_service_effects *ret)
{
	struct xm_service_grant *g = xm_service_grant_find(s, event->grant);
	struct xm_service_extent *e;

	/* If its client has ended meanwhile, the grant is CONCEALING: the
	 * expulsion was sent after the exposure and takes care of the key. */
	if (g == NULL || g->state != XM_GRANT_EXPOSING)
		return;
	e = &s->extents[g->extent];
	if (g->reads) {
		xm_share_exposed(s, g, event, ret);
		return;
	}
	if (event->status != 0) {
		xm_trace_put(s->trace, event->now_ns,
			     XM_TRACE_SERVICE_UNEXPOSED, e->number,
			     (uint64_t)(int64_t)event->status, 0, 0);
		expose_failed(s, g, event->status, ret);
		return;
	}
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_EXPOSED,
		     e->number, s->clients[g->client].number, 0, 0);
	g->remote = event->remote;
	g->state = XM_GRANT_LIVE;
	g->asked = false;
	if (g->head)
		xm_service_extent_behind(e)->trimming = XM_SERVICE_NONE;
	if (g->claim) {
		xm_offer_claimed(s, g, ret);
		return;
	}
	if (!allocated(s, e, &g->requester, ret) && !g->head) {
		/* The stream that asked is gone, so the client will never
		 * learn of this extent. What TRIM cut off stays: those bytes
		 * are the client's, under the old key too. */
		xm_trace_put(s->trace, event->now_ns,
			     XM_TRACE_SERVICE_UNWANTED, e->number, 0, 0, 0);
		conceal(s, e, ret);
	}
}

void xm_lease_concealed(struct xm_service *s,
			const struct xm_service_event *event,
			struct xm_service_effects *ret)
{
	struct xm_service_grant *g = xm_service_grant_find(s, event->grant);
	struct xm_service_requester requester;
	bool asked, parts;

	if (g == NULL || g->state != XM_GRANT_CONCEALING)
		return;
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_CONCEALED,
		     s->extents[g->extent].number,
		     s->clients[g->client].number, 0, 0);
	requester = g->requester;
	asked = g->asked;
	parts = g->parts;
	xm_service_grant_died(s, g, event->now_ns);
	if (asked)
		xm_service_answer(s, ret, &requester,
				  parts ? XM_OFFERED : XM_FREED);
}

/* --- the end of a client -------------------------------------------------- */

void xm_lease_end(struct xm_service *s, uint32_t client)
{
	struct xm_service_client *c = &s->clients[client];

	XM_LIST_EACH_SAFE (link, &c->owned) {
		struct xm_service_extent *e =
			XM_CONTAINER(link, struct xm_service_extent, owned);

		s->looks++;
		e->trimming = XM_SERVICE_NONE;
		if (e->state == XM_EXTENT_OWNED && !xm_offer_keeps(s, e))
			xm_service_extent_part(s, e);
	}
	XM_LIST_EACH (link, &c->grants) {
		struct xm_service_grant *g =
			XM_CONTAINER(link, struct xm_service_grant, link);

		s->looks++;
		s->concealing += g->state != XM_GRANT_CONCEALING;
		g->state = XM_GRANT_CONCEALING;
	}
	xm_share_reader_ended(s, c);
}

void xm_lease_expelled(struct xm_service *s, uint32_t client, uint64_t now_ns)
{
	struct xm_service_client *c = &s->clients[client];

	XM_LIST_EACH_SAFE (link, &c->owned) {
		s->looks++;
		xm_service_extent_disown(
			s, XM_CONTAINER(link, struct xm_service_extent, owned));
	}
	c->connections = 0;
	xm_service_grants_unquarantine(s, client);
	XM_LIST_EACH_SAFE (link, &c->grants) {
		struct xm_service_grant *g =
			XM_CONTAINER(link, struct xm_service_grant, link);

		s->looks++;
		XM_ASSERT(g->state == XM_GRANT_CONCEALING);
		xm_service_grant_died(s, g, now_ns);
	}
}
