/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service machine: messages, reports, and the step. The whole story is in
 * service.h. Clients, streams and tickets are in clients.c; requests for memory
 * in lease.c; OFFER and CLAIM in tokens.c; GRANT and OPEN in readings.c; extents and grants
 * in extents.c; time in terms.c; answers and figures in answers.c; options and memory in
 * service_open.c; the pool's size in shrink.c; what is durable in durable.c; the pool's parts,
 * one for each interface process, in places.c; COPY in copies.c.
 *
 * Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "appliance/service_parts.h"

/* --- messages ------------------------------------------------------------- */

static void nonsense(struct xm_service *s, uint32_t peer,
		     struct xm_service_effects *ret)
{
	s->malformed++;
	xm_client_drop_peer(s, peer, ret);
}

static void drain(struct xm_service *s, uint32_t ms)
{
	s->leaving = true;
	s->telling = true;
	s->telling_at = 0;
	s->leaving_ms = ms;
	for (uint32_t i = 0; i < s->options.clients_max; i++)
		s->clients[i].told = false;
}

/* Clients hear of it with the next PONG. */
static void stay(struct xm_service *s)
{
	s->leaving = s->telling = false;
	s->leaving_ms = 0;
}

static void on_drain(struct xm_service *s, const struct xm_service_event *event,
		     const struct xm_service_requester *requester,
		     struct xm_service_effects *ret)
{
	const struct xm_drain *m = &event->message->u.drain;

	if (m->incarnation != s->options.incarnation) {
		xm_service_refuse_plainly(s, ret, requester, ESTALE,
					  "this appliance has begun again: ask "
					  "for its STATUS first");
		return;
	}
	if (!xm_service_is_admin(s, event->peer)) {
		xm_service_refuse_plainly(s, ret, requester, EPERM,
					  "only a tenant with admin = yes may have"
					  " this appliance drain");
		return;
	}
	/* Who was told already is not told again. */
	if (m->on != 0 && !s->leaving)
		drain(s, UINT32_MAX);
	else if (m->on == 0 && s->leaving)
		stay(s);
	xm_service_state(s, event->now_ns,
			 &xm_service_answer(s, ret, requester, XM_STATE)
				  ->u.state);
}

static void on_status(struct xm_service *s, const struct xm_service_event *event,
		      const struct xm_service_requester *requester,
		      struct xm_service_effects *ret)
{
	struct xm_state *state =
		&xm_service_answer(s, ret, requester, XM_STATE)->u.state;

	if (xm_service_is_admin(s, event->peer))
		xm_service_state(s, event->now_ns, state);
	else
		xm_service_state_of(s, s->peers[event->peer].tenant,
				    event->now_ns, state);
}

static void on_resize(struct xm_service *s, const struct xm_service_event *event,
		      const struct xm_service_requester *requester,
		      struct xm_service_effects *ret)
{
	const struct xm_resize *m = &event->message->u.resize;
	struct xm_words words;
	int rc;

	if (m->incarnation != s->options.incarnation) {
		xm_service_refuse_plainly(s, ret, requester, ESTALE,
					  "this appliance has begun again: ask "
					  "for its STATUS first");
		return;
	}
	if (!xm_service_is_admin(s, event->peer)) {
		xm_service_refuse_plainly(s, ret, requester, EPERM,
					  "only a tenant with admin = yes may "
					  "resize this appliance's pool");
		return;
	}
	rc = xm_shrink_resize(s, m->size, event->now_ns, ret);
	if (rc == -EOPNOTSUPP) {
		xm_service_refuse_plainly(s, ret, requester, EOPNOTSUPP,
					  s->options.borrowed
			? "this appliance's memory is borrowed, and keeps its size: "
			  "begin it again with another one"
			: "this appliance's memory is divided among "
			  "its tenants (isolate), and keeps its size: "
			  "begin it again with other quotas");
		return;
	}
	if (rc != 0) {
		if (xm_service_refuse(s, ret, requester, EINVAL, &words) == NULL)
			return;
		xm_words_add(&words, "this appliance began with ");
		xm_words_bytes(&words, s->options.pool_size);
		xm_words_add(&words, ", and grows to no more while it runs: "
				     "begin it again with a larger --memory");
		return;
	}
	xm_service_state(s, event->now_ns,
			 &xm_service_answer(s, ret, requester, XM_STATE)
				  ->u.state);
}

/* What anybody who said HELLO may ask. False: it is none of these. */
static bool on_question(struct xm_service *s,
			const struct xm_service_event *event,
			const struct xm_service_requester *requester,
			struct xm_service_effects *ret)
{
	switch (event->message->kind) {
	case XM_PING:
		if (s->peers[event->peer].state == XM_PEER_CLIENT)
			xm_shrink_tell_again(s, s->peers[event->peer].client,
					     event->now_ns);
		xm_service_pong(s, s->peers[event->peer].tenant,
				&xm_service_answer(s, ret, requester, XM_PONG)
					 ->u.pong.figures);
		if (s->peers[event->peer].state == XM_PEER_CLIENT)
			xm_share_tell_again(s, s->peers[event->peer].client, ret);
		return true;
	case XM_STATUS:
		on_status(s, event, requester, ret);
		return true;
	case XM_LIST:
		xm_lease_list(s, event, requester, ret);
		return true;
	case XM_DRAIN:
		on_drain(s, event, requester, ret);
		return true;
	case XM_RESIZE:
		on_resize(s, event, requester, ret);
		return true;
	default:
		return false;
	}
}

/* Refuses what is one request too many for the tenant's quota a second. Not refused is
 * what gives back, and what a client needs to keep what it has: a lease (PING), and the
 * knowledge of what it got (ALLOC of 0 bytes). */
static bool refused_for_requests(struct xm_service *s,
				 const struct xm_service_event *event,
				 const struct xm_service_requester *requester,
				 struct xm_service_effects *ret)
{
	const struct xm_message *m = event->message;
	uint32_t tenant = s->peers[event->peer].tenant;
	struct xm_tenant_use *use = xm_service_use(s, tenant);
	struct xm_words words;

	if (m->kind == XM_HELLO || m->kind == XM_PING || m->kind == XM_FREE ||
	    m->kind == XM_BYE || xm_message_returns(m) ||
	    (m->kind == XM_ALLOC && m->u.alloc.size == 0) ||
	    !xm_tenant_denies_request(&s->tenants, tenant, use, event->now_ns,
				      NULL))
		return false;
	if (xm_service_refuse(s, ret, requester,
			      s->tenants.list[tenant].requests == 0 ? EPERM : EDQUOT,
			      &words) != NULL)
		xm_tenant_denies_request(&s->tenants, tenant, use,
					 event->now_ns, &words);
	return true;
}

static void on_observer(struct xm_service *s,
			const struct xm_service_event *event,
			const struct xm_service_requester *requester,
			struct xm_service_effects *ret)
{
	s->peers[event->peer].heard_ns = event->now_ns;
	if (refused_for_requests(s, event, requester, ret))
		return;
	switch (event->message->kind) {
	case XM_FREE:
		if (!xm_offer_free(s, event, requester, ret))
			xm_service_refuse_plainly(
				s, ret, requester, EPERM, "an observer may FREE "
				"only what waits for a token here, and only if "
				"it is the admin");
		break;
	case XM_ALLOC:
	case XM_TRIM:
	case XM_TICKET:
	case XM_OFFER:
	case XM_CLAIM:
	case XM_GRANT:
	case XM_DRAFT:
	case XM_DAMAGE:
	case XM_OPEN:
	case XM_PERSIST:
	case XM_COPY_BYTES:
		xm_service_refuse_plainly(s, ret, requester, EPERM,
					  "an observer may only ask STATUS and"
					  " LIST, DRAIN and RESIZE: say HELLO as a client");
		break;
	case XM_BYE:
		xm_client_drop_peer(s, event->peer, ret);
		break;
	default:
		if (!on_question(s, event, requester, ret))
			nonsense(s, event->peer, ret);
	}
}

static void on_bye(struct xm_service *s, const struct xm_service_event *event,
		   struct xm_service_client *c,
		   const struct xm_service_requester *requester,
		   struct xm_service_effects *ret)
{
	xm_service_tell(ret, XM_LEVEL_INFO, c, "said BYE");
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_BYE, c->number, 0, 0, 0);
	c->bye = true;
	c->requester = *requester;
	c->peer = XM_SERVICE_NONE;
	s->peers[event->peer].state = XM_PEER_ENDED;
	s->peers[event->peer].heard_ns = event->now_ns;
	xm_client_end(s, c, ret);
}

static void on_client(struct xm_service *s,
		      const struct xm_service_event *event,
		      const struct xm_service_requester *requester,
		      struct xm_service_effects *ret)
{
	uint32_t slot = s->peers[event->peer].client;
	struct xm_service_client *c = &s->clients[slot];

	c->heard_ns = event->now_ns;
	c->state = XM_CLIENT_KNOWN;
	if (refused_for_requests(s, event, requester, ret))
		return;
	switch (event->message->kind) {
	case XM_ALLOC:
		xm_lease_alloc(s, event, slot, requester, ret);
		break;
	case XM_TRIM:
		xm_lease_trim(s, event, slot, requester, ret);
		break;
	case XM_OFFER:
		xm_offer_make(s, event, slot, requester, ret);
		break;
	case XM_CLAIM:
		xm_offer_claim(s, event, slot, requester, ret);
		break;
	case XM_DRAFT:
	case XM_PERSIST:
	case XM_DAMAGE:
		xm_durable_asked(s, event, slot, requester, ret);
		break;
	case XM_GRANT:
		xm_share_make(s, event, slot, requester, ret);
		break;
	case XM_OPEN:
		xm_share_open(s, event, slot, requester, ret);
		break;
	case XM_COPY_BYTES:
		xm_copy_bytes(s, event, slot, requester, ret);
		break;
	case XM_FREE:
		if ((event->message->u.free.extent & XM_READING) != 0)
			xm_share_free(s, event->message->u.free.extent, slot,
				      requester, ret);
		else
			xm_lease_free(s, event, slot, requester, ret);
		break;
	case XM_TICKET:
		xm_client_ticket(s, event, c, requester, ret);
		break;
	case XM_BYE:
		on_bye(s, event, c, requester, ret);
		break;
	default:
		if (!on_question(s, event, requester, ret))
			nonsense(s, event->peer, ret);
	}
}

static void on_message(struct xm_service *s,
		       const struct xm_service_event *event,
		       struct xm_service_effects *ret)
{
	struct xm_service_requester requester = {
		.peer = event->peer,
		.request = event->message->request,
		.serial = s->peers[event->peer].serial,
	};

	s->messages++;
	xm_service_use(s, s->peers[event->peer].tenant)->messages++;
	switch (s->peers[event->peer].state) {
	case XM_PEER_NEW:
		if (event->message->kind == XM_HELLO)
			xm_client_hello(s, event, &requester, ret);
		else
			nonsense(s, event->peer, ret);
		break;
	case XM_PEER_OBSERVER:
		on_observer(s, event, &requester, ret);
		break;
	case XM_PEER_CLIENT:
		on_client(s, event, &requester, ret);
		break;
	case XM_PEER_LOST: /* it does not know yet */
		xm_client_drop_peer(s, event->peer, ret);
		break;
	default: /* it said BYE, so it has nothing more to say */
		nonsense(s, event->peer, ret);
	}
}

/* --- the step ------------------------------------------------------------- */

static void identity_set(struct xm_service_peer *p, const char *identity)
{
	struct xm_words words;

	memset(p->identity, 0, sizeof(p->identity)); /* it is compared whole */
	xm_words_begin(&words, p->identity, sizeof(p->identity));
	if (identity != NULL)
		xm_words_add(&words, identity);
}

/* One more stream of its tenant, or one too many. */
static void up(struct xm_service *s, uint32_t peer, struct xm_service_effects *ret)
{
	struct xm_service_peer *p = &s->peers[peer];
	struct xm_tenant_use *use;
	bool denied;

	p->tenant = xm_tenants_of(&s->tenants, p->identity);
	use = xm_service_use(s, p->tenant);
	denied = xm_tenant_denies_stream(&s->tenants, p->tenant, use);
	use->streams++;
	s->peers_count++;
	if (denied) {
		s->refused++;
		use->refused++;
		xm_client_drop_peer(s, peer, ret);
	}
}

static void on_peer(struct xm_service *s, const struct xm_service_event *event,
		    struct xm_service_effects *ret)
{
	struct xm_service_peer *p;

	XM_ASSERT(event->peer < s->options.peers_max);
	p = &s->peers[event->peer];
	if (event->kind == XM_SERVICE_PEER_UP) {
		XM_ASSERT(p->state == XM_PEER_FREE);
		p->state = XM_PEER_NEW;
		p->serial = ++s->serial;
		p->heard_ns = event->now_ns;
		identity_set(p, event->identity);
		up(s, event->peer, ret);
		return;
	}
	if (p->state == XM_PEER_FREE)
		return;
	switch (event->kind) {
	case XM_SERVICE_PEER_DOWN:
		if (event->status == -EPROTO)
			s->malformed++;
		if (event->status == -EKEYREVOKED)
			xm_client_revoked(s, event->peer, ret);
		xm_client_forget_peer(s, event->peer);
		break;
	case XM_SERVICE_MALFORMED:
		nonsense(s, event->peer, ret);
		break;
	default:
		on_message(s, event, ret);
	}
}

static void on_connections(struct xm_service *s,
			   const struct xm_service_event *event)
{
	struct xm_service_client *c = xm_client_find(s, event->client);

	if (c == NULL)
		return;
	c->connections = event->connections;
	if (c->connections == 0)
		xm_service_grants_unquarantine(s, xm_client_slot(s, c));
}

static void reload(struct xm_service *s, uint64_t lease_ms)
{
	s->options.lease_ms = lease_ms;
	s->lease_ns_min = xm_min(s->lease_ns_min, lease_ms * XM_MS);
}

/* An interface process has died, or another has taken its place. */
static void on_interface(struct xm_service *s, const struct xm_service_event *event,
			 struct xm_service_effects *ret)
{
	if (event->kind == XM_SERVICE_INTERFACE_LOST)
		xm_place_lost(s, event->place, ret);
	else
		s->places[event->place].locator = *event->locator;
}

/* What whoever runs the appliance asks of it. */
static void on_operator(struct xm_service *s, const struct xm_service_event *event,
			struct xm_service_effects *ret)
{
	if (event->kind == XM_SERVICE_DRAIN)
		drain(s, event->drain_ms);
	else if (event->kind == XM_SERVICE_STAY)
		stay(s);
	else if (event->kind == XM_SERVICE_RELOAD)
		reload(s, event->lease_ms);
	else if (event->kind == XM_SERVICE_LENDERS)
		s->lineage = *event->lineage;
	else if (event->kind == XM_SERVICE_TENANTS)
		xm_service_set_tenants(s, event->tenants);
	else
		(void)xm_shrink_resize(s, event->size, event->now_ns, ret);
}

static void dispatch(struct xm_service *s, const struct xm_service_event *event,
		     struct xm_service_effects *ret)
{
	switch (event->kind) {
	case XM_SERVICE_PEER_UP:
	case XM_SERVICE_PEER_DOWN:
	case XM_SERVICE_MESSAGE:
	case XM_SERVICE_MALFORMED:
		on_peer(s, event, ret);
		break;
	case XM_SERVICE_EXPOSED:
		xm_lease_exposed(s, event, ret);
		break;
	case XM_SERVICE_CONCEALED:
		xm_lease_concealed(s, event, ret);
		break;
	case XM_SERVICE_ADMITTED:
		xm_client_admitted(s, event, ret);
		break;
	case XM_SERVICE_RETRACTED:
		xm_client_retracted(s, event);
		break;
	case XM_SERVICE_EXPELLED:
		xm_client_expelled(s, event, ret);
		break;
	case XM_SERVICE_CONNECTIONS:
		on_connections(s, event);
		break;
	case XM_SERVICE_ZEROED:
		if (event->extent == 0)
			xm_place_cleaned(s);
		else
			xm_service_zeroed(s, event, ret);
		break;
	case XM_SERVICE_DRAIN:
	case XM_SERVICE_STAY:
	case XM_SERVICE_RELOAD:
	case XM_SERVICE_TENANTS:
	case XM_SERVICE_LENDERS:
	case XM_SERVICE_RESIZE:
		on_operator(s, event, ret);
		break;
	case XM_SERVICE_RETURNED:
	case XM_SERVICE_TAKEN:
		xm_shrink_done(s, event, ret);
		break;
	case XM_SERVICE_STORED:
		xm_durable_stored(s, event, ret);
		break;
	case XM_SERVICE_STORE_ENDED:
		s->store_failed = event->status;
		break;
	case XM_SERVICE_INTERFACE_LOST:
	case XM_SERVICE_INTERFACE_BACK:
		on_interface(s, event, ret);
		break;
	case XM_SERVICE_TICK:
		break;
	}
}

uint64_t xm_service_held(const struct xm_service *s)
{
	/* (What a store that failed still has, nobody knows.) */
	uint64_t resting = s->store_failed == 0 ? s->bytes_resting : 0;

	return s->bytes_owned + s->bytes_orphaned - resting;
}

void xm_service_step(struct xm_service *s, const struct xm_service_event *event,
		     struct xm_service_effects *ret)
{
	uint64_t now_ns = event->now_ns;
	bool more = false;

	XM_ASSERT(now_ns >= s->last_ns);
	ret->count = 0;
	ret->sends = 0;
	xm_terms_shift(s, now_ns);
	s->last_ns = now_ns;

	if (xm_place_reports(s, event))
		dispatch(s, event, ret);
	if (event->kind == XM_SERVICE_TICK)
		more = xm_terms_tick(s, now_ns, ret);
	more = xm_place_drop(s, ret) || more;
	more = xm_terms_tell_leaving(s, ret) || more;
	more = xm_shrink_tell(s, ret) || more;
	more = xm_share_work(s, ret) || more;
	more = xm_client_lapse(s, now_ns, ret) || more;
	xm_service_work(s, now_ns, ret);
	xm_shrink_work(s, now_ns, ret);
	more = (s->options.durable && xm_durable_work(s, ret)) || more;

	/* What is on the store is no reason to stay: it comes back from there.
	 * Clients that hold nothing may stay: they know. Who gave something back, or
	 * said BYE, gets an answer first. */
	ret->drained = s->leaving && !s->telling &&
		       xm_service_held(s) == 0 && s->store_out == 0 &&
		       s->concealing + s->expelling == 0;
	if (more)
		ret->deadline_ns = now_ns;
	else if (s->clients_count + s->peers_count + s->quarantined == 0 &&
		 s->bytes_orphaned == 0)
		ret->deadline_ns = XM_NEVER;
	else
		ret->deadline_ns =
			xm_min(s->tick_ns, xm_time_after(now_ns,
							 xm_terms_tick_ns(s)));
}
