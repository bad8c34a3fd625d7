/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How extents change hands with their bytes: OFFER ties a token to one, CLAIM gives
 * the extents of a token to another client, one at each message. The states are in
 * service.h.
 *
 * The life of a hand-over. A has extents 5 and 9:
 *	1. A: OFFER 5, OFFER 9 with one token. Each is an ORPHAN at once, and A's key is
 *	   concealed; OFFERED says that it is.
 *	2. B: CLAIM after 0. Once A's grant is gone 5 is B's, under a new key and epoch:
 *	   CLAIMED 5, and A is told PARTED 5. CLAIM after 5 is answered CLAIMED 9, CLAIM
 *	   after 9 is refused with ENOENT.
 *	3. B: OFFER 5 and 9 with KEEP and 0 ms: no token is tied to them any more.
 *
 * What is cut off. Both requests may be repeated: OFFER by the client that has parted
 * with the extent under this token is OFFERED again, whoever owns it by then, and CLAIM of
 * what the client has claimed is CLAIMED again. If B ends before step 3, or its stream
 * before CLAIMED, what it had is an ORPHAN again, as if it had never been claimed: with the
 * token, the time, the identity, the label and the tenant of the offer. A may always claim
 * what it has parted with. If step 3 is not heard of in XM_SERVICE_CLAIM_TERM it is done
 * without: B lives and has the bytes, and whoever has the token must not get B's.
 *
 * A claimer that does not go on says OFFER with RETURN, until that is refused with ENOENT:
 * one extent after the other that it has claimed by this token is an ORPHAN again.
 *
 * OFFERED means that nothing more can be reached by a connection that is made later. Where
 * keys cannot be revoked, those that are up are waited for: see the rule in service.h.
 *
 * A token is one client's: nobody else ties it to more (EEXIST), so what is claimed by it
 * was all parted with, or kept, by the same one.
 *
 * Orphans are limited. Short offers go away by themselves; of what is tied to tokens for
 * longer than XM_SERVICE_KEPT_MS there are at most kept_percent of the pool, whoever has it.
 * The admin may FREE an orphan, which LIST names.
 *
 * Tokens are compared in a time that does not depend on them. A wrong one and one whose
 * time is over get the same answer. They are found by buckets, as many as there may be
 * extents: a claim looks at all extents of its token, and at few others.
 *
 * Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "appliance/service_parts.h"
#include "core/pure/plant.h"

bool xm_tokens_equal(const uint8_t *a, const uint8_t *b)
{
	volatile uint8_t difference = 0;

	for (size_t i = 0; i < XM_TOKEN_SIZE; i++)
		difference |= (uint8_t)(a[i] ^ b[i]);
	return difference == 0 || XM_PLANTED(claim_any_token);
}

uint32_t xm_token_bucket(const struct xm_service *s, const uint8_t *token)
{
	uint64_t hash = s->options.incarnation;

	for (size_t i = 0; i < XM_TOKEN_SIZE; i++)
		hash = (hash ^ token[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)((hash >> 32) % s->options.extents_max);
}

static struct xm_link *bucket_of(const struct xm_service *s, const uint8_t *token)
{
	return &s->buckets[xm_token_bucket(s, token)];
}

static struct xm_service_extent *offered_at(struct xm_link *link)
{
	return XM_CONTAINER(link, struct xm_service_extent, offer.link);
}

static bool is_offered(const struct xm_service *s, const struct xm_service_extent *e)
{
	return xm_slots_has(&s->offered, xm_service_extent_slot(s, e));
}

static uint64_t until(uint64_t now_ns, uint32_t ms)
{
	return ms == XM_OFFER_FOR_EVER ? XM_NEVER
				       : xm_time_after(now_ns, ms * XM_MS);
}

/* --- offer ---------------------------------------------------------------- */

/* The extent, if this client has parted with it under this token: it asks again. */
static struct xm_service_extent *parted_before(struct xm_service *s,
					       const struct xm_offer *offer,
					       uint32_t client)
{
	struct xm_service_extent *e = xm_service_extent_find(s, offer->extent);

	if (e == NULL || !is_offered(s, e) ||
	    (e->state != XM_EXTENT_ORPHAN && !e->offer.claimed) ||
	    e->owner == client ||
	    e->offer.by != s->clients[client].number ||
	    (offer->flags & XM_OFFER_KEEP) != 0 ||
	    !xm_tokens_equal(e->offer.token, offer->token))
		return NULL;
	return e;
}

void xm_offer_tie(struct xm_service *s, struct xm_service_extent *e,
		  const struct xm_offer *offer, uint64_t by)
{
	xm_service_unoffer(s, e);
	e->offer.tied_by = by;
	e->offer.kept = offer->ms > XM_SERVICE_KEPT_MS;
	s->bytes_kept += e->offer.kept ? e->size : 0;
	xm_list_push_back(bucket_of(s, offer->token), &e->offer.link);
	memcpy(e->offer.token, offer->token, XM_TOKEN_SIZE);
	memcpy(e->offer.identity, offer->identity, sizeof(e->offer.identity));
	e->offer.label = offer->label;
	xm_slots_add(&s->offered, xm_service_extent_slot(s, e));
}

static void offer_set(struct xm_service *s, struct xm_service_extent *e,
		      const struct xm_offer *offer)
{
	xm_offer_tie(s, e, offer, s->clients[e->owner].number);
}

/* What its owner keeps, or does not keep any longer. */
static void keep(struct xm_service *s, struct xm_service_extent *e,
		 const struct xm_offer *offer,
		 const struct xm_service_requester *requester,
		 struct xm_service_effects *ret)
{
	bool durable = offer->ms > 0 &&
		       (e->durable.stored || (offer->flags & XM_OFFER_DURABLE) != 0);

	if (durable && !xm_durable_tie(s, e, offer->ms, requester, ret))
		return;
	if (offer->ms > 0) {
		offer_set(s, e, offer);
		e->offer.keep_ms = offer->ms;
	} else if (!e->offer.claimed || !xm_durable_confirm(e)) {
		xm_durable_forget(s, e);
		xm_service_unoffer(s, e);
	}
	if (!durable)
		xm_service_answer(s, ret, requester, XM_OFFERED);
}

/* It was parted with before: OFFERED comes when its key is concealed, or did. */
static void offer_again(struct xm_service *s, struct xm_service_extent *e,
			uint32_t client,
			const struct xm_service_requester *requester,
			struct xm_service_effects *ret)
{
	struct xm_service_grant *g =
		e->grant == XM_SERVICE_NONE ? NULL : &s->grants[e->grant];

	if (g != NULL && g->client == client && g->parts &&
	    g->state == XM_GRANT_CONCEALING)
		g->requester = *requester;
	else
		xm_service_answer(s, ret, requester, XM_OFFERED);
}

/* Another client has tied this token. */
static bool is_anothers(struct xm_service *s, const struct xm_offer *offer,
			uint32_t client)
{
	XM_LIST_EACH (link, bucket_of(s, offer->token)) {
		struct xm_service_extent *e = offered_at(link);

		s->looks++;
		if (e->owner != client &&
		    e->offer.tied_by != s->clients[client].number &&
		    xm_tokens_equal(e->offer.token, offer->token))
			return true;
	}
	return false;
}

/* True: so much may not be kept here, and that was said. */
static bool refused_for_kept(struct xm_service *s, const struct xm_service_extent *e,
			     const struct xm_offer *offer,
			     const struct xm_service_requester *requester,
			     struct xm_service_effects *ret)
{
	uint64_t most = s->options.pool_size / 100 * s->options.kept_percent;
	uint64_t others = s->bytes_kept - (e->offer.kept ? e->size : 0);
	struct xm_words words;

	/* (What is kept already may be more than that: it was restored.) */
	if (offer->ms <= XM_SERVICE_KEPT_MS || e->offer.kept || e->size <= most - xm_min(others, most) ||
	    XM_PLANTED(kept_unlimited))
		return false;
	if (xm_service_refuse(s, ret, requester, ENOSPC, &words) == NULL)
		return true;
	xm_words_add(&words, "of this appliance ");
	xm_words_bytes(&words, most);
	xm_words_add(&words, " may be kept for longer than an hour (kept-percent), and ");
	xm_words_bytes(&words, others);
	xm_words_add(&words, " are: keep it for a shorter time, or free some");
	return true;
}

/* True: it is no offer that this appliance could keep, and that was said. */
static bool offer_refused(struct xm_service *s, const struct xm_service_extent *e,
			  const struct xm_offer *offer, uint32_t client,
			  const struct xm_service_requester *requester,
			  struct xm_service_effects *ret)
{
	if ((offer->flags & ~(XM_OFFER_KEEP | XM_OFFER_DURABLE)) != 0 ||
	    (offer->flags == XM_OFFER_DURABLE)) {
		xm_service_refuse_plainly(s, ret, requester, EOPNOTSUPP,
					  "OFFER with a flag that this appliance"
					  " does not know");
		return true;
	}
	if (offer->flags == 0 && offer->ms == 0) {
		xm_service_refuse_plainly(s, ret, requester, EINVAL,
					  "an extent that waits for 0 ms is lost"
					  " at once: offer it for longer, or free"
					  " it");
		return true;
	}
	/* (What unties, ties nothing.) */
	if (offer->ms != 0 && is_anothers(s, offer, client)) {
		xm_service_refuse_plainly(s, ret, requester, EEXIST,
					  "this token is another client's: draw a"
					  " new one");
		return true;
	}
	return refused_for_kept(s, e, offer, requester, ret);
}

/* As if it had never been claimed. */
static void unclaim(struct xm_service *s, struct xm_service_extent *e,
		    struct xm_service_effects *ret)
{
	struct xm_service_grant *g = &s->grants[e->grant];

	g->asked = false;
	xm_service_extent_orphan(s, e);
	xm_lease_conceal(s, g, ret);
}

/* One extent of those that the client has claimed, or reads, by this token. */
static void give_back(struct xm_service *s, const struct xm_offer *offer,
		      uint32_t client,
		      const struct xm_service_requester *requester,
		      struct xm_service_effects *ret)
{
	XM_LIST_EACH (link, bucket_of(s, offer->token)) {
		struct xm_service_extent *e = offered_at(link);
		struct xm_service_grant *g;

		s->looks++;
		if (e->state != XM_EXTENT_OWNED || e->owner != client ||
		    !e->offer.claimed ||
		    !xm_tokens_equal(e->offer.token, offer->token))
			continue;
		g = &s->grants[e->grant];
		if (g->state == XM_GRANT_EXPOSING && g->requester.serial == 0)
			continue;
		/* That goes back when it is LIVE, as nobody waits for it. */
		if (g->state == XM_GRANT_EXPOSING)
			g->requester.serial = 0;
		else
			unclaim(s, e, ret);
		xm_service_answer(s, ret, requester, XM_OFFERED);
		return;
	}
	if (xm_share_return(s, offer->token, client, ret))
		xm_service_answer(s, ret, requester, XM_OFFERED);
	else
		xm_service_refuse_plainly(
			s, ret, requester, ENOENT,
			"you have claimed nothing here by this token");
}

void xm_offer_make(struct xm_service *s, const struct xm_service_event *event,
		   uint32_t client, const struct xm_service_requester *requester,
		   struct xm_service_effects *ret)
{
	const struct xm_offer *offer = &event->message->u.offer;
	struct xm_service_extent *e;
	struct xm_service_grant *g;

	if (offer->flags == XM_OFFER_RETURN) {
		give_back(s, offer, client, requester, ret);
		return;
	}
	e = parted_before(s, offer, client);
	if (e != NULL) {
		e->offer.label = offer->label;
		offer_again(s, e, client, requester, ret);
		return;
	}
	e = xm_lease_named(s, offer->extent, client, requester, ret);
	if (e == NULL || offer_refused(s, e, offer, client, requester, ret))
		return;
	if ((offer->flags & XM_OFFER_KEEP) != 0) {
		keep(s, e, offer, requester, ret);
		return;
	}
	xm_durable_forget(s, e);
	offer_set(s, e, offer);
	e->offer.by = s->clients[client].number;
	e->offer.until_ns = until(event->now_ns, offer->ms);
	g = &s->grants[e->grant];
	g->requester = *requester;
	g->asked = g->parts = true;
	xm_service_extent_orphan(s, e);
	xm_lease_conceal(s, g, ret);
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_OFFERED,
		     e->offer.by, e->number, e->offer.until_ns - event->now_ns,
		     0);
}

/* --- claim ---------------------------------------------------------------- */

/* The first one of this token in a slot behind that of `after`. */
static struct xm_service_extent *find(struct xm_service *s,
				      const struct xm_claim *claim)
{
	uint64_t at = claim->after == 0
		? 0 : (claim->after & (XM_SERVICE_SLOTS_MAX - 1)) + 1;
	struct xm_service_extent *first = NULL;

	XM_LIST_EACH (link, bucket_of(s, claim->token)) {
		struct xm_service_extent *e = offered_at(link);

		s->looks++;
		if (xm_service_extent_slot(s, e) >= at &&
		    (first == NULL || e < first) &&
		    xm_tokens_equal(e->offer.token, claim->token))
			first = e;
	}
	return first;
}

/* False: the stream that asked is gone. */
static bool say_claimed(struct xm_service *s, const struct xm_service_extent *e,
			const struct xm_service_requester *requester,
			struct xm_service_effects *ret)
{
	const struct xm_service_grant *g = &s->grants[e->grant];
	struct xm_message *answer =
		xm_service_answer(s, ret, requester, XM_CLAIMED);
	struct xm_claimed *claimed;

	if (answer == NULL)
		return false;
	claimed = &answer->u.claimed;
	claimed->extent = e->number;
	claimed->size = e->size;
	claimed->epoch = e->epoch;
	claimed->remote = g->remote;
	claimed->id = e->id;
	memcpy(claimed->region, e->region, sizeof(claimed->region));
	claimed->label = e->offer.label;
	return true;
}

/* To who has parted with it, unless it takes it back. */
static void say_parted(struct xm_service *s, const struct xm_service_extent *e,
		       struct xm_service_effects *ret)
{
	const struct xm_service_client *by = xm_client_find(s, e->offer.by);

	if (by != NULL && by->peer != XM_SERVICE_NONE &&
	    xm_client_slot(s, by) != e->owner)
		xm_service_send(ret, by->peer, 0, XM_PARTED)->u.parted.extent =
			e->number;
}

/* True: it may not be claimed by this client, and that was said. */
static bool claim_refused(struct xm_service *s, const struct xm_service_extent *e,
			  uint32_t client,
			  const struct xm_service_requester *requester,
			  struct xm_service_effects *ret)
{
	const char *words = NULL;
	int code = EBUSY;

	if (e->state == XM_EXTENT_OWNED && !XM_PLANTED(token_twice)) {
		words = "this memory has an owner, which lives: it was claimed"
			" before, or not handed over";
	} else if (e->offer.identity[0] != '\0' &&
		   e->offer.by != s->clients[client].number &&
		   memcmp(e->offer.identity, s->clients[client].identity,
			  XM_IDENTITY_SIZE) != 0) {
		code = EACCES;
		words = "this memory waits for a client of another name";
	} else if (e->covers > 0 && !XM_PLANTED(claim_unfenced)) {
		code = EAGAIN;
		words = "the former owner's key is not dead yet: ask again";
	}
	if (words == NULL)
		return xm_refused_for_claim(s, client, e, requester, ret);
	xm_service_refuse_plainly(s, ret, requester, code, words);
	return true;
}

/* What it owns already, under this token. */
static void claim_again(struct xm_service *s, struct xm_service_extent *e,
			const struct xm_service_requester *requester,
			struct xm_service_effects *ret)
{
	struct xm_service_grant *g = &s->grants[e->grant];

	if (g->state == XM_GRANT_LIVE)
		say_claimed(s, e, requester, ret);
	else /* EXPOSING: whoever asked before is not there any more */
		g->requester = *requester;
}

void xm_offer_claim(struct xm_service *s, const struct xm_service_event *event,
		    uint32_t client, const struct xm_service_requester *requester,
		    struct xm_service_effects *ret)
{
	struct xm_service_extent *e = find(s, &event->message->u.claim);
	struct xm_service_grant *g;

	if (e == NULL) {
		xm_service_refuse_plainly(
			s, ret, requester, ENOENT,
			"no memory waits here under this token: it was used,"
			" its time is over, or this appliance began again");
		return;
	}
	if (e->state == XM_EXTENT_OWNED && e->owner == client &&
	    e->offer.claimed) {
		claim_again(s, e, requester, ret);
		return;
	}
	if (claim_refused(s, e, client, requester, ret))
		return;
	if (XM_PLANTED(token_twice) && e->state == XM_EXTENT_OWNED)
		xm_service_extent_orphan(s, e);
	xm_service_extent_adopt(s, e, client);
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_CLAIMED,
		     s->clients[client].number, e->number, e->epoch, 0);
	g = &s->grants[e->grant];
	g->requester = *requester;
	g->asked = true;
	xm_lease_expose(s, g, event, ret);
}

void xm_offer_claimed(struct xm_service *s, struct xm_service_grant *g,
		      struct xm_service_effects *ret)
{
	struct xm_service_extent *e = &s->extents[g->extent];

	g->claim = false;
	e->offer.confirm_ns = xm_time_after(s->last_ns, XM_SERVICE_CLAIM_TERM);
	if (say_claimed(s, e, &g->requester, ret)) {
		say_parted(s, e, ret);
		return;
	}
	/* The stream that asked is gone: back to the token. */
	xm_trace_put(s->trace, s->last_ns, XM_TRACE_SERVICE_UNWANTED, e->number,
		     0, 0, 0);
	if (XM_PLANTED(claim_cut_zeroed))
		xm_service_extent_part(s, e);
	else
		xm_service_extent_orphan(s, e);
	xm_lease_conceal(s, g, ret);
}

bool xm_offer_free(struct xm_service *s, const struct xm_service_event *event,
		   const struct xm_service_requester *requester,
		   struct xm_service_effects *ret)
{
	struct xm_service_extent *e =
		xm_service_extent_find(s, event->message->u.free.extent);

	if (e == NULL || e->state != XM_EXTENT_ORPHAN ||
	    !xm_service_is_admin(s, event->peer))
		return false;
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_ABANDONED,
		     e->number, 0, 0, 0);
	xm_service_extent_abandon(s, e);
	xm_service_answer(s, ret, requester, XM_FREED);
	return true;
}

/* --- the time of an offer ------------------------------------------------- */

bool xm_offer_keeps(struct xm_service *s, struct xm_service_extent *e)
{
	if (!is_offered(s, e) || XM_PLANTED(keep_forgotten))
		return false;
	/* From its first owner's end on: who claims it later does not prolong it. */
	if (e->offer.keep_ms > 0)
		e->offer.until_ns = until(s->last_ns, e->offer.keep_ms);
	e->offer.keep_ms = 0;
	if (e->offer.until_ns <= s->last_ns)
		return false;
	xm_service_extent_orphan(s, e);
	xm_trace_put(s->trace, s->last_ns, XM_TRACE_SERVICE_KEPT, e->number,
		     e->offer.until_ns - s->last_ns, 0, 0);
	return true;
}

/* Its claimer has not untied it in time. */
static bool is_unconfirmed(const struct xm_service *s,
			   const struct xm_service_extent *e)
{
	return e->state == XM_EXTENT_OWNED && e->offer.claimed &&
	       e->trimming == XM_SERVICE_NONE &&
	       s->grants[e->grant].state == XM_GRANT_LIVE &&
	       s->last_ns >= e->offer.confirm_ns;
}

void xm_offers_lapse(struct xm_service *s, uint64_t now_ns)
{
	uint64_t at = 0;
	uint32_t slot;

	for (; (slot = xm_slots_next(&s->offered, at)) != XM_SLOTS_NONE;
	     at = (uint64_t)slot + 1) {
		struct xm_service_extent *e = &s->extents[slot];

		s->looks++;
		if (is_unconfirmed(s, e) && !xm_durable_confirm(e))
			xm_service_unoffer(s, e);
		if (e->state != XM_EXTENT_ORPHAN ||
		    (now_ns < e->offer.until_ns &&
		     !XM_PLANTED(orphan_zeroed_early)))
			continue;
		xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_ABANDONED,
			     e->number, 0, 0, 0);
		xm_service_extent_abandon(s, e);
	}
}
