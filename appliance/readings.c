/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may read an extent besides its owner: GRANT ties a token to it, by which any number
 * of clients OPEN it. Each gets a grant of its own, a *reading*: to read, and no more, as
 * the interface sees to. The states are in service.h.
 *
 * The life of a reading. A owns extents 5 and 9:
 *	1. A: GRANT 5, GRANT 9 with one token, and a label of the client's own.
 *	2. B: OPEN after 0: CLAIMED 5, with a key that opens 5 to B for reading. OPEN after 5
 *	   is CLAIMED 9, OPEN after 9 is refused with ENOENT. B calls them readings: their
 *	   numbers have XM_READING in them. C may do the same by the same token.
 *	3. It ends when B says FREE of it, with B's lease, or because 5 is shared no more: A
 *	   said GRANT with 0 ms, has parted with 5 or freed it, or has ended. Then its key is
 *	   concealed, and B is told REVOKED, again at each PING until it says FREE.
 *
 * The token is good for `ms` from GRANT on; a reading outlives that. A later GRANT of the
 * same extent takes the place of the earlier one, and no reading ends by it. GRANT with 0
 * ms is EAGAIN until no reader's key opens the extent any more.
 *
 * Both requests may be repeated: a client has one reading of an extent, and is told CLAIMED
 * again. OFFER with RETURN ends what the client has opened by a token, one at a time, as it
 * does with what was claimed.
 *
 * Bounds: as many readings as there may be extents; by one client as many as it may have
 * extents; of one extent one for each client. A step ends one reading; a request looks at the
 * readings of one extent. The records of readings that a reader does not free go with its
 * lease.
 *
 * Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "appliance/service_parts.h"
#include "core/pure/plant.h"

static struct xm_service_grant *reading_at(struct xm_link *link)
{
	return XM_CONTAINER(link, struct xm_service_grant, reading);
}

static struct xm_service_extent *shared_at(struct xm_link *link)
{
	return XM_CONTAINER(link, struct xm_service_extent, share.link);
}

static bool is_shared(const struct xm_service *s, const struct xm_service_extent *e)
{
	return xm_slots_has(&s->shared, xm_service_extent_slot(s, e));
}

static struct xm_link *bucket_of(const struct xm_service *s, const uint8_t *token)
{
	return &s->share_buckets[xm_token_bucket(s, token)];
}

/* The client's reading of the extent, in any state before it is gone; or NULL. */
static struct xm_service_grant *reading_of(struct xm_service *s,
					   struct xm_service_extent *e,
					   uint64_t reader)
{
	XM_LIST_EACH (link, &e->readings) {
		s->looks++;
		if (reading_at(link)->reader == reader)
			return reading_at(link);
	}
	return NULL;
}

/* --- grant ---------------------------------------------------------------- */

void xm_share_drop(struct xm_service *s, struct xm_service_extent *e)
{
	uint32_t slot = xm_service_extent_slot(s, e);

	if (is_shared(s, e)) {
		xm_slots_remove(&s->shared, slot);
		xm_list_remove(&e->share.link);
	}
	memset(&e->share, 0, sizeof(e->share));
	if (!xm_list_is_empty(&e->readings) && !XM_PLANTED(share_outlives_owner))
		xm_slots_add(&s->ending, slot);
}

/* Another client's extents are shared by this token. */
static bool is_anothers(struct xm_service *s, const uint8_t *token, uint32_t client)
{
	XM_LIST_EACH (link, bucket_of(s, token)) {
		const struct xm_service_extent *e = shared_at(link);

		s->looks++;
		if (e->owner != client && xm_tokens_equal(e->share.token, token))
			return true;
	}
	return false;
}

static void share_set(struct xm_service *s, struct xm_service_extent *e,
		      const struct xm_offer *m, uint64_t now_ns)
{
	uint32_t slot = xm_service_extent_slot(s, e);

	if (is_shared(s, e))
		xm_list_remove(&e->share.link);
	else
		xm_slots_add(&s->shared, slot);
	memcpy(e->share.token, m->token, sizeof(e->share.token));
	memcpy(e->share.identity, m->identity, sizeof(e->share.identity));
	e->share.label = m->label;
	e->share.until_ns = m->ms == XM_OFFER_FOR_EVER
				    ? XM_NEVER
				    : xm_time_after(now_ns, m->ms * XM_MS);
	xm_list_push_back(bucket_of(s, m->token), &e->share.link);
	xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_SHARED,
		     s->clients[e->owner].number, e->number,
		     e->share.until_ns - now_ns, 0);
}

void xm_share_make(struct xm_service *s, const struct xm_service_event *event,
		   uint32_t client, const struct xm_service_requester *requester,
		   struct xm_service_effects *ret)
{
	const struct xm_offer *m = &event->message->u.offer;
	struct xm_service_extent *e =
		xm_lease_named(s, m->extent, client, requester, ret);

	if (e == NULL)
		return;
	if (m->flags != 0) {
		xm_service_refuse_plainly(s, ret, requester, EOPNOTSUPP,
					  "GRANT with a flag that this appliance"
					  " does not know");
	} else if (m->ms == 0) {
		xm_share_drop(s, e);
		if (xm_list_is_empty(&e->readings))
			xm_service_answer(s, ret, requester, XM_OFFERED);
		else
			xm_service_refuse_plainly(
				s, ret, requester, EAGAIN,
				"readers' keys are not dead yet: ask again");
	} else if (is_anothers(s, m->token, client)) {
		xm_service_refuse_plainly(s, ret, requester, EEXIST,
					  "this token is another client's: draw a"
					  " new one");
	} else {
		share_set(s, e, m, event->now_ns);
		xm_service_answer(s, ret, requester, XM_OFFERED);
	}
}

bool xm_share_refuses_trim(struct xm_service *s, const struct xm_service_extent *e,
			   const struct xm_service_requester *requester,
			   struct xm_service_effects *ret)
{
	if (!is_shared(s, e) && xm_list_is_empty(&e->readings))
		return false;
	xm_service_refuse_plainly(s, ret, requester, EBUSY,
				  "this extent is shared with readers: end that"
				  " first (GRANT with 0 ms)");
	return true;
}

/* --- open ----------------------------------------------------------------- */

/* The first one of this token in a slot behind that of `after`. */
static struct xm_service_extent *find(struct xm_service *s,
				      const struct xm_claim *open)
{
	uint64_t at = open->after == 0
		? 0 : (open->after & (XM_SERVICE_SLOTS_MAX - 1)) + 1;
	struct xm_service_extent *first = NULL;

	XM_LIST_EACH (link, bucket_of(s, open->token)) {
		struct xm_service_extent *e = shared_at(link);

		s->looks++;
		if (xm_service_extent_slot(s, e) >= at &&
		    (first == NULL || e < first) &&
		    xm_tokens_equal(e->share.token, open->token))
			first = e;
	}
	return first;
}

static bool say_opened(struct xm_service *s, const struct xm_service_grant *g,
		       const struct xm_service_requester *requester,
		       struct xm_service_effects *ret)
{
	const struct xm_service_extent *e = &s->extents[g->extent];
	struct xm_message *answer =
		xm_service_answer(s, ret, requester, XM_CLAIMED);
	struct xm_claimed *claimed;

	if (answer == NULL)
		return false;
	claimed = &answer->u.claimed;
	claimed->extent = XM_READING | e->number;
	claimed->size = e->size;
	claimed->epoch = e->epoch;
	claimed->remote = g->remote;
	claimed->id = e->id;
	memcpy(claimed->region, e->region, sizeof(claimed->region));
	claimed->label = e->share.label;
	return true;
}

/* Why this client may not open it (now); NULL: it may. */
static const char *denied(const struct xm_service *s, const struct xm_service_extent *e,
			  const struct xm_service_client *c, int *ret_code)
{
	*ret_code = EACCES;
	if (e->share.identity[0] != '\0' &&
	    memcmp(e->share.identity, c->identity, XM_IDENTITY_SIZE) != 0)
		return "this memory is shared with a client of another name";
	if (e->place != c->place)
		return "this memory is another tenant's, and this appliance keeps"
		       " tenants apart (isolate)";
	*ret_code = ENOSPC;
	if (c->extents + c->readings >= s->options.extents_per_client_max)
		return "you hold as many extents and readings as a client may"
		       " have: give some back";
	if (s->readings >= xm_service_readings_max(&s->options))
		return "this appliance has as many readers as it can:"
		       " try again later";
	return NULL;
}

static void open_again(struct xm_service *s, struct xm_service_grant *g,
		       const struct xm_service_requester *requester,
		       struct xm_service_effects *ret)
{
	if (g->state == XM_GRANT_LIVE) {
		say_opened(s, g, requester, ret);
	} else if (g->state == XM_GRANT_EXPOSING) {
		/* Who asked before is gone, and may have returned it. */
		g->requester = *requester;
		g->settled = false;
	} else {
		xm_service_refuse_plainly(s, ret, requester, EAGAIN,
					  "your former key is not dead yet: ask"
					  " again");
	}
}

void xm_share_open(struct xm_service *s, const struct xm_service_event *event,
		   uint32_t client, const struct xm_service_requester *requester,
		   struct xm_service_effects *ret)
{
	struct xm_service_extent *e = find(s, &event->message->u.claim);
	struct xm_service_grant *g;
	const char *words;
	int code;

	if (e == NULL || (event->now_ns >= e->share.until_ns &&
			  !XM_PLANTED(share_endless))) {
		xm_service_refuse_plainly(
			s, ret, requester, ENOENT,
			"no memory is shared here by this token: its time is"
			" over, its owner has ended that, or has ended");
		return;
	}
	g = reading_of(s, e, s->clients[client].number);
	if (g != NULL) {
		open_again(s, g, requester, ret);
		return;
	}
	words = denied(s, e, &s->clients[client], &code);
	if (words != NULL) {
		xm_service_refuse_plainly(s, ret, requester, code, words);
		return;
	}
	if (xm_refused_for_reading(s, client, requester, ret))
		return;
	g = xm_service_reading_new(s, e, client);
	if (XM_PLANTED(reader_writes))
		g->rights = XM_RIGHTS_ALL;
	g->requester = *requester;
	g->asked = true;
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_OPENED,
		     g->reader, e->number, 0, 0);
	xm_lease_expose(s, g, event, ret);
}

/* --- the end of a reading ------------------------------------------------- */

static void end(struct xm_service *s, struct xm_service_grant *g,
		struct xm_service_effects *ret)
{
	g->asked = false;
	xm_lease_conceal(s, g, ret);
}

void xm_share_exposed(struct xm_service *s, struct xm_service_grant *g,
		      const struct xm_service_event *event,
		      struct xm_service_effects *ret)
{
	struct xm_words words;

	g->asked = false;
	if (event->status != 0) {
		if (xm_service_refuse(s, ret, &g->requester,
				      event->status < 0 ? -event->status : EIO,
				      &words) != NULL)
			xm_words_add(&words, event->status == -EOPNOTSUPP
				? "this appliance's transport cannot let a"
				  " client read alone: use another, as ofi+tcp"
				: "the interface could not expose it: see the"
				  " appliance's log");
		xm_service_reading_undo(s, g);
		return;
	}
	g->remote = event->remote;
	g->state = XM_GRANT_LIVE;
	if (say_opened(s, g, &g->requester, ret))
		return;
	g->settled = true; /* nobody knows of it */
	end(s, g, ret);
}

/* FREE of a reading. */
void xm_share_free(struct xm_service *s, uint64_t number, uint32_t client,
		   const struct xm_service_requester *requester,
		   struct xm_service_effects *ret)
{
	struct xm_service_client *c = &s->clients[client];
	struct xm_service_extent *e =
		xm_service_extent_find(s, number & ~XM_READING);
	struct xm_service_grant *g =
		e == NULL ? NULL : reading_of(s, e, c->number);

	if (g == NULL) {
		XM_LIST_EACH (link, &c->revoked) {
			g = XM_CONTAINER(link, struct xm_service_grant, link);
			if ((g->of | XM_READING) == number) {
				xm_service_reading_forget(s, g);
				xm_service_answer(s, ret, requester, XM_FREED);
				return;
			}
		}
		xm_service_refuse_plainly(s, ret, requester, ESTALE,
					  "you read no such extent here: it was"
					  " given back, or your lease ended");
		return;
	}
	g->settled = true;
	if (g->state == XM_GRANT_LIVE) {
		g->requester = *requester;
		g->asked = true;
		xm_lease_conceal(s, g, ret);
	} else if (g->state == XM_GRANT_EXPOSING) {
		g->requester.serial = 0; /* it ends when it is LIVE */
		xm_service_answer(s, ret, requester, XM_FREED);
	} else {
		xm_service_answer(s, ret, requester, XM_FREED);
	}
}

bool xm_share_return(struct xm_service *s, const uint8_t *token, uint32_t client,
		     struct xm_service_effects *ret)
{
	XM_LIST_EACH (link, bucket_of(s, token)) {
		struct xm_service_extent *e = shared_at(link);
		struct xm_service_grant *g;

		s->looks++;
		if (!xm_tokens_equal(e->share.token, token))
			continue;
		g = reading_of(s, e, s->clients[client].number);
		if (g == NULL || g->settled)
			continue;
		g->settled = true;
		if (g->state == XM_GRANT_LIVE)
			end(s, g, ret);
		else if (g->state == XM_GRANT_EXPOSING)
			g->requester.serial = 0;
		return true;
	}
	return false;
}

static void say_revoked(struct xm_service *s, const struct xm_service_grant *g,
			struct xm_service_effects *ret)
{
	const struct xm_service_client *c = xm_client_find(s, g->reader);

	if (c != NULL && c->peer != XM_SERVICE_NONE && !g->settled)
		xm_service_send(ret, c->peer, 0, XM_REVOKED)->u.parted.extent =
			XM_READING | g->of;
}

/* One that is over, and whose reader may not know. In quarantine, too: where that ends with
 * the reader's connections, who does not know would keep the memory for as long as it
 * likes. */
static struct xm_service_grant *untold(struct xm_service_client *c)
{
	struct xm_link *first = xm_list_front(&c->revoked);

	if (first != NULL)
		return XM_CONTAINER(first, struct xm_service_grant, link);
	XM_LIST_EACH (link, &c->quarantined) {
		struct xm_service_grant *g =
			XM_CONTAINER(link, struct xm_service_grant, link);

		if (g->reads && !g->settled)
			return g;
	}
	return NULL;
}

void xm_share_tell_again(struct xm_service *s, uint32_t client,
			 struct xm_service_effects *ret)
{
	const struct xm_service_grant *g = untold(&s->clients[client]);

	if (g != NULL && ret->sends < XM_SERVICE_SENDS_MAX)
		say_revoked(s, g, ret);
}

void xm_share_reader_ended(struct xm_service *s, struct xm_service_client *c)
{
	XM_LIST_EACH_SAFE (link, &c->revoked)
		xm_service_reading_forget(
			s, XM_CONTAINER(link, struct xm_service_grant, link));
}

bool xm_share_work(struct xm_service *s, struct xm_service_effects *ret)
{
	uint32_t slot = xm_slots_next(&s->ending, 0);
	bool waits = false;

	for (; slot != XM_SLOTS_NONE;
	     slot = xm_slots_next(&s->ending, (uint64_t)slot + 1)) {
		waits = false;
		XM_LIST_EACH (link, &s->extents[slot].readings) {
			struct xm_service_grant *g = reading_at(link);

			s->looks++;
			waits |= g->state == XM_GRANT_EXPOSING;
			if (g->state != XM_GRANT_LIVE)
				continue;
			if (ret->sends == XM_SERVICE_SENDS_MAX)
				return true;
			say_revoked(s, g, ret);
			end(s, g, ret);
			return true;
		}
		if (!waits)
			xm_slots_remove(&s->ending, slot);
	}
	return false;
}
