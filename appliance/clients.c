/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clients of the service machine: HELLO, the stream that a client speaks on,
 * tickets for its data connections, and its end. Its memory is in lease.c.
 *
 * Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "core/pure/plant.h"
#include "appliance/service_parts.h"

#define LAPSES_MAX 2 /* tickets retracted in one step */

/* --- streams and clients -------------------------------------------------- */

struct xm_service_client *xm_client_find(struct xm_service *s,
					 uint64_t number)
{
	uint64_t slot = number & (XM_SERVICE_SLOTS_MAX - 1);

	if (slot >= s->options.clients_max ||
	    s->clients[slot].state == XM_CLIENT_FREE ||
	    s->clients[slot].number != number)
		return NULL;
	return &s->clients[slot];
}

uint32_t xm_client_slot(const struct xm_service *s,
			const struct xm_service_client *c)
{
	return (uint32_t)(c - s->clients);
}

void xm_client_forget_peer(struct xm_service *s, uint32_t peer)
{
	struct xm_service_peer *p = &s->peers[peer];

	if (p->state == XM_PEER_CLIENT) {
		struct xm_service_client *c = &s->clients[p->client];

		if (c->peer == peer)
			c->peer = XM_SERVICE_NONE;
		if (c->state == XM_CLIENT_KNOWN)
			c->state = XM_CLIENT_SILENT;
	}
	p->state = XM_PEER_FREE;
	xm_service_use(s, p->tenant)->streams--;
	p->tenant = XM_TENANT_NONE;
	s->peers_count--;
}

void xm_client_drop_peer(struct xm_service *s, uint32_t peer,
			 struct xm_service_effects *ret)
{
	xm_client_forget_peer(s, peer);
	xm_service_effect(ret, XM_SERVICE_DROP)->peer = peer;
}

/* Compares all bytes whatever it finds, so that its time does not tell how many
 * of them were right. */
static bool secrets_equal(const uint8_t *a, const uint8_t *b)
{
	volatile uint8_t difference = 0;
	size_t i;

	for (i = 0; i < XM_SECRET_SIZE; i++)
		difference |= (uint8_t)(a[i] ^ b[i]);
	return difference == 0 || XM_PLANTED(any_secret);
}

static void ticket_end(struct xm_service_ticket *t)
{
	if (t->state == XM_TICKET_ISSUED)
		xm_list_remove(&t->link);
	memset(t, 0, sizeof(*t));
}

/* Whoever emits EXPEL, or knows that nothing is left to expel, comes next. */
static void expire(struct xm_service *s, struct xm_service_client *c)
{
	XM_ASSERT(c->state != XM_CLIENT_FREE &&
		  c->state != XM_CLIENT_EXPIRED);
	c->state = XM_CLIENT_EXPIRED;
	s->expelling++;
	memset(c->secret, 0, sizeof(c->secret));
	/* The expulsion takes its tickets, too. */
	for (uint32_t i = 0; i < XM_SERVICE_TICKETS_MAX; i++)
		if (c->tickets[i].state == XM_TICKET_ISSUED)
			ticket_end(&c->tickets[i]);
	xm_lease_end(s, xm_client_slot(s, c));
}

void xm_client_end(struct xm_service *s, struct xm_service_client *c,
		   struct xm_service_effects *ret)
{
	struct xm_service_effect *effect;

	expire(s, c);
	effect = xm_service_effect(ret, XM_SERVICE_EXPEL);
	effect->client = c->number;
	effect->place = c->place;
}

void xm_client_revoked(struct xm_service *s, uint32_t peer,
		       struct xm_service_effects *ret)
{
	const struct xm_service_peer *p = &s->peers[peer];
	struct xm_service_client *c;

	if (p->state != XM_PEER_CLIENT || s->clients[p->client].peer != peer)
		return;
	c = &s->clients[p->client];
	if (c->state == XM_CLIENT_FREE || c->state == XM_CLIENT_EXPIRED)
		return;
	s->expired++;
	xm_service_use(s, c->tenant)->expired++;
	xm_trace_put(s->trace, s->last_ns, XM_TRACE_SERVICE_EXPIRED, c->number,
		     c->extents, 0, 0);
	xm_service_tell(ret, XM_LEVEL_WARNING, c, "has a certificate that is no"
			" longer accepted: its memory is taken back");
	xm_client_end(s, c, ret);
}

/* A user of this machine ("uid:N") need not be the same: a process may change its user
 * between two streams, and keeps its secret. It does not change its tenant by that. */
static bool comes_back(const struct xm_service_client *c,
		       const struct xm_service_peer *p, const uint8_t *secret)
{
	bool is_user = memcmp(c->identity, "uid:", 4) == 0;
	bool is_same = memcmp(c->identity, p->identity,
			      sizeof(c->identity)) == 0;

	return secrets_equal(c->secret, secret) &&
	       (is_same || (is_user && c->tenant == p->tenant) ||
		XM_PLANTED(resume_other_tenant));
}

static void say_arrival(const struct xm_service_client *c, const char *how,
			struct xm_service_effects *ret)
{
	char text[XM_IDENTITY_SIZE + 64];
	struct xm_words words;

	xm_words_begin(&words, text, sizeof(text));
	xm_words_add(&words, how);
	if (c->identity[0] != '\0') {
		xm_words_add(&words, ", known as ");
		xm_words_add(&words, c->identity);
	}
	xm_service_tell(ret, XM_LEVEL_INFO, c, text);
}

static struct xm_service_client *client_new(struct xm_service *s,
					    const struct xm_hello *hello,
					    const struct xm_service_event *event)
{
	uint32_t slot = xm_slots_next(&s->clients_free, 0);
	struct xm_service_client *c;
	uint32_t serial;

	XM_ASSERT(slot != XM_SLOTS_NONE); /* the caller has looked */
	xm_slots_remove(&s->clients_free, slot);
	c = &s->clients[slot];
	serial = c->serial + 1;
	memset(c, 0, sizeof(*c));
	xm_list_open(&c->owned);
	xm_list_open(&c->grants);
	xm_list_open(&c->revoked);
	xm_list_open(&c->quarantined);
	c->serial = serial;
	c->number = (uint64_t)serial << XM_SLOT_BITS | xm_client_slot(s, c);
	c->lease_ns = s->options.lease_ms * XM_MS;
	c->told = !s->leaving;
	memcpy(c->secret, event->entropy, sizeof(c->secret));
	xm_words_copy(c->name, hello->name, sizeof(c->name));
	memcpy(c->identity, s->peers[event->peer].identity,
	       sizeof(c->identity));
	if (XM_PLANTED(identity_from_hello))
		memcpy(c->identity, c->name, sizeof(c->identity));
	c->tenant = xm_tenants_of(&s->tenants, c->identity);
	c->place = xm_place_of(s, s->peers[event->peer].tenant);
	xm_service_use(s, c->tenant)->clients++;
	s->clients_count++;
	return c;
}

/* "2", or "2 to 4" */
static void add_versions(struct xm_words *words, uint16_t min, uint16_t max)
{
	xm_words_number(words, min);
	if (max == min)
		return;
	xm_words_add(words, " to ");
	xm_words_number(words, max);
}

/* Whether a stream of this tenant may be more than connected: as an observer, or with
 * one more client. True: it was refused. */
static bool refused_for_tenant(struct xm_service *s, bool observes,
			       const struct xm_service_requester *requester,
			       struct xm_service_effects *ret)
{
	uint32_t tenant = s->peers[requester->peer].tenant;
	struct xm_tenant_use *use = xm_service_use(s, tenant);
	struct xm_words words;

	if ((observes && tenant != XM_TENANT_NONE) ||
	    (!xm_tenant_denies_client(&s->tenants, tenant, use, NULL) &&
	     xm_place_of(s, tenant) != XM_SERVICE_NONE))
		return false;
	if (tenant != XM_TENANT_NONE && xm_place_of(s, tenant) == XM_SERVICE_NONE) {
		xm_service_refuse_plainly(
			s, ret, requester, EACCES, "your tenant has no memory of its own"
			" here: it had no bytes in the tenants file when this"
			" appliance began (isolate), which must begin again");
		return true;
	}
	if (xm_service_refuse(s, ret, requester,
			      tenant == XM_TENANT_NONE ? EACCES : EUSERS,
			      &words) != NULL)
		xm_tenant_denies_client(&s->tenants, tenant, use, &words);
	return true;
}

/* What of a HELLO cannot be agreed to; true: it was refused. */
static bool hello_refused(struct xm_service *s, const struct xm_hello *hello,
			  const struct xm_service_requester *requester,
			  struct xm_service_effects *ret)
{
	struct xm_words words;

	if (hello->version_min > XM_PROTOCOL_VERSION ||
	    hello->version_max < XM_PROTOCOL_VERSION_MIN ||
	    hello->version_min > hello->version_max) {
		if (xm_service_refuse(s, ret, requester, EPROTONOSUPPORT,
				      &words) == NULL)
			return true;
		xm_words_add(&words, "this appliance speaks protocol version ");
		add_versions(&words, XM_PROTOCOL_VERSION_MIN,
			     XM_PROTOCOL_VERSION);
		xm_words_add(&words, ", the client ");
		add_versions(&words, hello->version_min, hello->version_max);
		xm_words_add(&words, ": install matching versions");
		return true;
	}
	if ((hello->flags & XM_HELLO_OBSERVER) != 0)
		return refused_for_tenant(s, true, requester, ret);
	if (hello->transport[0] != '\0' &&
	    memcmp(hello->transport, s->options.transport,
		   sizeof(hello->transport)) != 0) {
		if (xm_service_refuse(s, ret, requester, EPROTONOSUPPORT,
				      &words) == NULL)
			return true;
		xm_words_add(&words, "this appliance's memory is reached over ");
		xm_words_add(&words, s->options.transport);
		xm_words_add(&words, ", not over ");
		xm_words_add(&words, hello->transport);
		xm_words_add(&words, ": use that scheme in its address");
		return true;
	}
	if (hello->client != 0)
		return false;
	if (s->leaving) {
		xm_service_refuse_plainly(
			s, ret, requester, ESHUTDOWN,
			"this appliance is draining: use another");
		return true;
	}
	if (refused_for_tenant(s, false, requester, ret))
		return true;
	if (s->clients_count == s->options.clients_max) {
		if (xm_service_refuse(s, ret, requester, EUSERS, &words) == NULL)
			return true;
		xm_words_add(&words, "this appliance has all the ");
		xm_words_number(&words, s->options.clients_max);
		xm_words_add(&words, " clients it may have (clients-max):"
				     " use another, or wait");
		return true;
	}
	return false;
}

static void welcome(struct xm_service *s, const struct xm_service_client *c,
		    const struct xm_hello *hello,
		    const struct xm_service_requester *requester,
		    struct xm_service_effects *ret)
{
	struct xm_message *message =
		xm_service_answer(s, ret, requester, XM_WELCOME);
	struct xm_welcome *w = &message->u.welcome;

	w->version = hello->version_max < XM_PROTOCOL_VERSION
		? hello->version_max : XM_PROTOCOL_VERSION;
	w->incarnation = s->options.incarnation;
	w->lease_ms = s->options.lease_ms;
	w->granule = s->options.granule;
	w->features = XM_FEATURE_KEEP | XM_FEATURE_SHARE | XM_FEATURE_CLAIM |
		      XM_FEATURE_COPY |
		      XM_FEATURE_WANTED;
	if (s->options.durable)
		w->features |= XM_FEATURE_DURABLE;
	memcpy(w->name, s->options.name, sizeof(w->name));
	memcpy(w->provider, s->options.provider, sizeof(w->provider));
	memcpy(w->library, s->options.library, sizeof(w->library));
	memcpy(w->zone, s->options.zone, sizeof(w->zone));
	if (c != NULL) {
		w->client = c->number;
		w->lease_ms = (uint32_t)(c->lease_ns / XM_MS);
		memcpy(w->secret, c->secret, sizeof(w->secret));
	}
}

/* Who was here before, by its number and secret; NULL: it was refused. */
static struct xm_service_client *client_again(struct xm_service *s,
					      const struct xm_service_event *event,
					      const struct xm_service_requester *requester,
					      struct xm_service_effects *ret)
{
	const struct xm_hello *hello = &event->message->u.hello;
	struct xm_service_client *c = xm_client_find(s, hello->client);

	if (c == NULL || c->state == XM_CLIENT_EXPIRED ||
	    !comes_back(c, &s->peers[event->peer], hello->secret)) {
		xm_service_refuse_plainly(
			s, ret, requester, ESTALE,
			s->places_count > 1
			? "this appliance does not know you: it, or the"
			  " process that served you, was restarted, or"
			  " your lease ended; what you had here is gone"
			: "this appliance does not know you: it was"
			  " restarted, or your lease ended; what you had"
			  " here is gone");
		return NULL;
	}
	/* The client has connected again, so its earlier stream is broken, even if
	 * nothing told us so yet. */
	if (c->peer != XM_SERVICE_NONE) {
		xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_SUPERSEDED,
			     c->number, c->peer, 0, 0);
		xm_client_drop_peer(s, c->peer, ret);
	}
	return c;
}

void xm_client_hello(struct xm_service *s, const struct xm_service_event *event,
		     const struct xm_service_requester *requester,
		     struct xm_service_effects *ret)
{
	const struct xm_hello *hello = &event->message->u.hello;
	struct xm_service_peer *p = &s->peers[event->peer];
	struct xm_service_client *c;

	/* A stream whose HELLO is refused stays connected, so that its client
	 * can read why, and may try again until its handshake time is over. */
	if (hello_refused(s, hello, requester, ret))
		return;
	p->heard_ns = event->now_ns;
	if ((hello->flags & XM_HELLO_OBSERVER) != 0) {
		p->state = XM_PEER_OBSERVER;
		welcome(s, NULL, hello, requester, ret);
		return;
	}
	if (hello->client == 0) {
		c = client_new(s, hello, event);
		say_arrival(c, "is here", ret);
	} else {
		c = client_again(s, event, requester, ret);
		if (c == NULL)
			return;
		say_arrival(c, "is back", ret);
	}
	c->state = XM_CLIENT_KNOWN;
	c->peer = event->peer;
	c->heard_ns = event->now_ns;
	p->state = XM_PEER_CLIENT;
	p->client = xm_client_slot(s, c);
	xm_trace_put(s->trace, event->now_ns,
		     hello->client == 0 ? XM_TRACE_SERVICE_KNOWN
					: XM_TRACE_SERVICE_RESUMED,
		     c->number, event->peer, 0, 0);
	welcome(s, c, hello, requester, ret);
	if (s->leaving) { /* LEAVING may have been lost with the old stream */
		c->told = false;
		s->telling = true;
		s->telling_at = 0;
	}
}

/* --- tickets -------------------------------------------------------------- */

static void ticket_retract(struct xm_service *s, struct xm_service_ticket *t,
			   struct xm_service_effects *ret)
{
	struct xm_service_client *c = &s->clients[t->client];
	struct xm_service_effect *effect =
		xm_service_effect(ret, XM_SERVICE_RETRACT);

	xm_list_remove(&t->link);
	t->state = XM_TICKET_RETRACTING;
	effect->client = c->number;
	effect->place = c->place;
	effect->cookie = (uint32_t)(t - c->tickets);
	memcpy(effect->ticket, t->ticket, sizeof(effect->ticket));
}

/* Returns an unused record. If there is none, returns NULL, and in *ret_first
 * the issued ticket that is to lapse first (NULL: none is issued). */
static struct xm_service_ticket *ticket_free(struct xm_service_client *c,
					     struct xm_service_ticket **ret_first)
{
	*ret_first = NULL;
	for (uint32_t i = 0; i < XM_SERVICE_TICKETS_MAX; i++) {
		struct xm_service_ticket *t = &c->tickets[i];

		if (t->state == XM_TICKET_UNUSED)
			return t;
		if (t->state == XM_TICKET_ISSUED &&
		    (*ret_first == NULL ||
		     t->until_ns < (*ret_first)->until_ns))
			*ret_first = t;
	}
	return NULL;
}

void xm_client_ticket(struct xm_service *s, const struct xm_service_event *event,
		      struct xm_service_client *c,
		      const struct xm_service_requester *requester,
		      struct xm_service_effects *ret)
{
	struct xm_service_effect *effect;
	struct xm_service_ticket *t, *first;

	t = ticket_free(c, &first);
	if (t == NULL) {
		/* It was used, most likely: a client connects at once. */
		if (first != NULL)
			ticket_retract(s, first, ret);
		xm_service_refuse_plainly(s, ret, requester, EAGAIN,
					  "you have as many tickets as a client"
					  " may have: try again, the oldest one"
					  " is being retracted");
		return;
	}
	t->state = XM_TICKET_ADMITTING;
	t->client = xm_client_slot(s, c);
	t->requester = *requester;
	memcpy(t->ticket, event->entropy, sizeof(t->ticket));
	effect = xm_service_effect(ret, XM_SERVICE_ADMIT);
	effect->client = c->number;
	effect->place = c->place;
	effect->cookie = (uint32_t)(t - c->tickets);
	effect->lane = event->message->u.ticket.lane;
	memcpy(effect->ticket, t->ticket, sizeof(effect->ticket));
}

/* The ticket that a report is about, if it is in this state. */
static struct xm_service_ticket *
ticket_find(struct xm_service *s, const struct xm_service_event *event,
	    enum xm_service_ticket_state state)
{
	struct xm_service_client *c = xm_client_find(s, event->client);

	if (c == NULL || event->cookie >= XM_SERVICE_TICKETS_MAX ||
	    c->tickets[event->cookie].state != state)
		return NULL;
	return &c->tickets[event->cookie];
}

void xm_client_admitted(struct xm_service *s,
			const struct xm_service_event *event,
			struct xm_service_effects *ret)
{
	struct xm_service_ticket *t = ticket_find(s, event, XM_TICKET_ADMITTING);
	struct xm_message *answer;
	struct xm_words words;

	if (t == NULL)
		return;
	if (event->status != 0) {
		if (xm_service_refuse(s, ret, &t->requester,
				      event->status < 0 ? -event->status : EIO,
				      &words) != NULL)
			xm_words_add(&words, "the interface lets no more"
					     " connections in: close some");
		ticket_end(t);
		return;
	}
	if (s->clients[t->client].state == XM_CLIENT_EXPIRED) {
		ticket_end(t); /* its expulsion is under way */
		return;
	}
	t->state = XM_TICKET_ISSUED;
	t->until_ns = xm_time_after(event->now_ns, s->options.handshake_ns);
	answer = xm_service_answer(s, ret, &t->requester, XM_TICKETED);
	if (answer != NULL) {
		memcpy(answer->u.ticketed.ticket, t->ticket, sizeof(t->ticket));
		answer->u.ticketed.locator =
			s->places[s->clients[t->client].place].locator;
		xm_list_push_back(&s->issued, &t->link);
	} else { /* the client will never learn of it: it lapses at once */
		t->until_ns = event->now_ns;
		xm_list_push_front(&s->issued, &t->link);
	}
	if (!s->options.admits)
		ticket_end(t); /* the transport does not look at tickets */
}

void xm_client_retracted(struct xm_service *s,
			 const struct xm_service_event *event)
{
	struct xm_service_ticket *t =
		ticket_find(s, event, XM_TICKET_RETRACTING);

	if (t == NULL)
		return;
	if (event->status == 0) {
		s->lapsed++;
		xm_service_use(s, s->clients[t->client].tenant)->lapsed++;
		xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_LAPSED,
			     s->clients[t->client].number, 0, 0, 0);
	}
	ticket_end(t);
}

bool xm_client_lapse(struct xm_service *s, uint64_t now_ns,
		     struct xm_service_effects *ret)
{
	if (XM_PLANTED(ticket_late))
		return false;
	for (uint32_t i = 0; i <= LAPSES_MAX; i++) {
		struct xm_link *link = xm_list_front(&s->issued);
		struct xm_service_ticket *t;

		if (link == NULL)
			return false;
		t = XM_CONTAINER(link, struct xm_service_ticket, link);
		if (now_ns < t->until_ns)
			return false;
		if (i < LAPSES_MAX)
			ticket_retract(s, t, ret);
	}
	return true;
}

/* --- the end -------------------------------------------------------------- */

/* Nothing opens its memory any more. */
static void forget(struct xm_service *s, struct xm_service_client *c)
{
	XM_ASSERT(c->extents == 0);
	c->state = XM_CLIENT_FREE;
	xm_service_use(s, c->tenant)->clients--;
	/* (Those in quarantine are nobody's from now on.) */
	xm_service_use(s, c->tenant)->readings -= c->readings;
	s->expelling--;
	xm_slots_add(&s->clients_free, xm_client_slot(s, c));
	s->clients_count--;
}

static void lose_peer(struct xm_service *s, uint32_t peer)
{
	s->peers[peer].state = XM_PEER_LOST;
	s->losing = true;
}

void xm_client_lost(struct xm_service *s, struct xm_service_client *c)
{
	if (c->peer != XM_SERVICE_NONE)
		lose_peer(s, c->peer);
	if (c->bye && xm_service_requester_lives(s, &c->requester))
		lose_peer(s, c->requester.peer);
	if (c->state != XM_CLIENT_EXPIRED) {
		s->expired++;
		xm_service_use(s, c->tenant)->expired++;
		xm_trace_put(s->trace, s->last_ns, XM_TRACE_SERVICE_EXPIRED,
			     c->number, c->extents, 0, 0);
		expire(s, c);
	}
	xm_lease_expelled(s, xm_client_slot(s, c), s->last_ns);
	forget(s, c);
}

void xm_client_expelled(struct xm_service *s,
			const struct xm_service_event *event,
			struct xm_service_effects *ret)
{
	struct xm_service_client *c = xm_client_find(s, event->client);

	if (c == NULL || c->state != XM_CLIENT_EXPIRED)
		return;
	xm_lease_expelled(s, xm_client_slot(s, c), event->now_ns);
	if (c->bye)
		xm_service_answer(s, ret, &c->requester, XM_FREED);
	forget(s, c);
}
