/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service machine: streams, clients, their leases and tickets. The
 * extents are in lease.c, the whole story in service.h.
 *
 * Time: a client's lease ends when nothing was heard from it for its lease
 * time. It is looked at every tick (an eighth of the lease, at most a second),
 * so expiry comes up to a tick late, never early. When this machine itself was
 * not stepped for more than half a lease (the process was stopped, the machine
 * slept) it has not listened, so it declares nobody dead: every client's last
 * sign of life is moved by the gap.
 *
 * Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "plant.h"
#include "service_parts.h"

#define SLOT_BITS 20 /* XM_SERVICE_SLOTS_MAX */
#define TICK_MAX_NS XM_SECOND
#define TERM_MIN_NS (8 * XM_MS) /* of leases and handshakes */
#define DROPS_MAX 4 /* streams dropped, clients ended in one tick */

/* --- the effects ---------------------------------------------------------- */

struct xm_service_effect *xm_service_effect(struct xm_service_effects *ret,
					    enum xm_service_effect_kind kind)
{
	struct xm_service_effect *effect;

	XM_ASSERT(ret->count < XM_SERVICE_EFFECTS_MAX);
	effect = &ret->effects[ret->count++];
	memset(effect, 0, sizeof(*effect));
	effect->kind = kind;
	return effect;
}

static struct xm_message *send(struct xm_service_effects *ret, uint32_t peer,
			       uint32_t request, enum xm_message_kind kind)
{
	struct xm_service_effect *effect;
	struct xm_message *message;

	XM_ASSERT(ret->sends < XM_SERVICE_SENDS_MAX);
	message = &ret->messages[ret->sends++];
	memset(message, 0, sizeof(*message));
	message->kind = kind;
	message->request = request;
	effect = xm_service_effect(ret, XM_SERVICE_SEND);
	effect->peer = peer;
	effect->message = message;
	return message;
}

/* A line for the log, about a client. */
static void tell(struct xm_service_effects *ret, enum xm_level level,
		 const struct xm_service_client *client, const char *what)
{
	struct xm_service_effect *effect =
		xm_service_effect(ret, XM_SERVICE_LOG);
	struct xm_words words;

	effect->level = level;
	xm_words_begin(&words, effect->words, sizeof(effect->words));
	xm_words_add(&words, "client ");
	xm_words_number(&words, client->number >> SLOT_BITS);
	xm_words_add(&words, ".");
	xm_words_number(&words, client->number & (XM_SERVICE_SLOTS_MAX - 1));
	xm_words_add(&words, " (");
	xm_words_add(&words, client->name);
	xm_words_add(&words, ") ");
	xm_words_add(&words, what);
}

bool xm_service_asker_lives(const struct xm_service *s,
			    const struct xm_service_asker *asker)
{
	return s->peers[asker->peer].state != XM_PEER_FREE &&
	       s->peers[asker->peer].serial == asker->serial;
}

struct xm_message *xm_service_answer(const struct xm_service *s,
				     struct xm_service_effects *ret,
				     const struct xm_service_asker *asker,
				     enum xm_message_kind kind)
{
	if (!xm_service_asker_lives(s, asker))
		return NULL;
	return send(ret, asker->peer, asker->request, kind);
}

struct xm_message *xm_service_refuse(struct xm_service *s,
				     struct xm_service_effects *ret,
				     const struct xm_service_asker *asker,
				     int code, struct xm_words *ret_words)
{
	struct xm_message *message;

	s->refused++;
	message = xm_service_answer(s, ret, asker, XM_REFUSED);
	if (message == NULL)
		return NULL;
	xm_trace_put(s->trace, s->last_ns, XM_TRACE_SERVICE_REFUSED,
		     s->peers[asker->peer].state == XM_PEER_CLIENT
			     ? s->clients[s->peers[asker->peer].client].number
			     : 0,
		     (uint64_t)(int64_t)-code, 0, 0);
	message->u.refused.code = code;
	message->u.refused.free = s->pool->free;
	message->u.refused.free_run = xm_extent_free_run(s->pool);
	xm_words_begin(ret_words, message->u.refused.words, XM_WORDS_SIZE);
	return message;
}

void xm_service_refuse_plainly(struct xm_service *s,
			       struct xm_service_effects *ret,
			       const struct xm_service_asker *asker, int code,
			       const char *sentence)
{
	struct xm_words words;

	if (xm_service_refuse(s, ret, asker, code, &words) != NULL)
		xm_words_add(&words, sentence);
}

/* --- streams and clients -------------------------------------------------- */

static struct xm_service_client *client_find(struct xm_service *s,
					     uint64_t number)
{
	uint64_t slot = number & (XM_SERVICE_SLOTS_MAX - 1);

	if (slot >= s->options.clients_max ||
	    s->clients[slot].state == XM_CLIENT_FREE ||
	    s->clients[slot].number != number)
		return NULL;
	return &s->clients[slot];
}

static uint32_t client_slot(const struct xm_service *s,
			    const struct xm_service_client *c)
{
	return (uint32_t)(c - s->clients);
}

/* The stream is gone; its client, if any, has the rest of its lease. */
static void peer_forget(struct xm_service *s, uint32_t peer)
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
	s->peers_count--;
}

static void peer_drop(struct xm_service *s, uint32_t peer,
		      struct xm_service_effects *ret)
{
	peer_forget(s, peer);
	xm_service_effect(ret, XM_SERVICE_DROP)->peer = peer;
}

/* Every byte is looked at, so the time taken tells nothing. */
static bool secrets_equal(const uint8_t *a, const uint8_t *b)
{
	volatile uint8_t difference = 0;
	size_t i;

	for (i = 0; i < XM_SECRET_SIZE; i++)
		difference |= (uint8_t)(a[i] ^ b[i]);
	return difference == 0 || XM_PLANTED(any_secret);
}

/* All that was its is on the way back to the pool. */
static void client_end(struct xm_service *s, struct xm_service_client *c,
		       struct xm_service_effects *ret)
{
	XM_ASSERT(c->state != XM_CLIENT_FREE &&
		  c->state != XM_CLIENT_EXPIRED);
	c->state = XM_CLIENT_EXPIRED;
	memset(c->secret, 0, sizeof(c->secret));
	xm_lease_end(s, client_slot(s, c));
	xm_service_effect(ret, XM_SERVICE_EXPEL)->client = c->number;
}

static struct xm_service_client *client_new(struct xm_service *s,
					    const struct xm_hello *hello,
					    const struct xm_service_event *event)
{
	struct xm_service_client *c = s->clients;
	uint32_t serial;

	while (c->state != XM_CLIENT_FREE)
		c++;
	serial = c->serial + 1;
	memset(c, 0, sizeof(*c));
	c->serial = serial;
	c->number = (uint64_t)serial << SLOT_BITS | client_slot(s, c);
	c->lease_ns = s->options.lease_ms * XM_MS;
	c->told = !s->leaving;
	memcpy(c->secret, event->entropy, sizeof(c->secret));
	xm_words_copy(c->name, hello->name, sizeof(c->name));
	s->clients_count++;
	return c;
}

/* What of a HELLO cannot be agreed to; true: it was refused. */
static bool hello_refused(struct xm_service *s, const struct xm_hello *hello,
			  const struct xm_service_asker *asker,
			  struct xm_service_effects *ret)
{
	struct xm_words words;

	if (hello->version_min > XM_PROTOCOL_VERSION ||
	    hello->version_max < XM_PROTOCOL_VERSION_MIN ||
	    hello->version_min > hello->version_max) {
		if (xm_service_refuse(s, ret, asker, EPROTONOSUPPORT,
				      &words) == NULL)
			return true;
		xm_words_add(&words, "this appliance speaks protocol ");
		xm_words_number(&words, XM_PROTOCOL_VERSION_MIN);
		xm_words_add(&words, " to ");
		xm_words_number(&words, XM_PROTOCOL_VERSION);
		xm_words_add(&words, ", the client ");
		xm_words_number(&words, hello->version_min);
		xm_words_add(&words, " to ");
		xm_words_number(&words, hello->version_max);
		xm_words_add(&words, ": install matching versions");
		return true;
	}
	if ((hello->flags & XM_HELLO_OBSERVER) != 0)
		return false;
	if (hello->transport[0] != '\0' &&
	    memcmp(hello->transport, s->options.transport,
		   sizeof(hello->transport)) != 0) {
		if (xm_service_refuse(s, ret, asker, EPROTONOSUPPORT,
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
			s, ret, asker, ESHUTDOWN,
			"this appliance is draining: use another");
		return true;
	}
	if (s->clients_count == s->options.clients_max) {
		if (xm_service_refuse(s, ret, asker, EUSERS, &words) == NULL)
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
		    const struct xm_service_asker *asker,
		    struct xm_service_effects *ret)
{
	struct xm_message *message =
		xm_service_answer(s, ret, asker, XM_WELCOME);
	struct xm_welcome *w = &message->u.welcome;

	w->version = hello->version_max < XM_PROTOCOL_VERSION
		? hello->version_max : XM_PROTOCOL_VERSION;
	w->incarnation = s->options.incarnation;
	w->lease_ms = s->options.lease_ms;
	w->granule = s->options.granule;
	memcpy(w->name, s->options.name, sizeof(w->name));
	memcpy(w->provider, s->options.provider, sizeof(w->provider));
	memcpy(w->library, s->options.library, sizeof(w->library));
	if (c != NULL) {
		w->client = c->number;
		w->lease_ms = (uint32_t)(c->lease_ns / XM_MS);
		memcpy(w->secret, c->secret, sizeof(w->secret));
	}
}

static void on_hello(struct xm_service *s, const struct xm_service_event *event,
		     const struct xm_service_asker *asker,
		     struct xm_service_effects *ret)
{
	const struct xm_hello *hello = &event->message->u.hello;
	struct xm_service_peer *p = &s->peers[event->peer];
	struct xm_service_client *c;

	/* A refused stream stays, to read why; it may try again until its
	 * handshake time is over. */
	if (hello_refused(s, hello, asker, ret))
		return;
	p->heard_ns = event->now_ns;
	if ((hello->flags & XM_HELLO_OBSERVER) != 0) {
		p->state = XM_PEER_OBSERVER;
		welcome(s, NULL, hello, asker, ret);
		return;
	}
	if (hello->client == 0) {
		c = client_new(s, hello, event);
		tell(ret, XM_LEVEL_INFO, c, "is here");
	} else {
		c = client_find(s, hello->client);
		if (c == NULL || c->state == XM_CLIENT_EXPIRED ||
		    !secrets_equal(c->secret, hello->secret)) {
			xm_service_refuse_plainly(
				s, ret, asker, ESTALE,
				"this appliance does not know you: it was"
				" restarted, or your lease ended; what you had"
				" here is gone");
			return;
		}
		/* The newer stream counts; the older may be half open. */
		if (c->peer != XM_SERVICE_NONE) {
			xm_trace_put(s->trace, event->now_ns,
				     XM_TRACE_SERVICE_SUPERSEDED, c->number,
				     c->peer, 0, 0);
			peer_drop(s, c->peer, ret);
		}
		tell(ret, XM_LEVEL_INFO, c, "is back");
	}
	c->state = XM_CLIENT_KNOWN;
	c->peer = event->peer;
	c->heard_ns = event->now_ns;
	p->state = XM_PEER_CLIENT;
	p->client = client_slot(s, c);
	xm_trace_put(s->trace, event->now_ns,
		     hello->client == 0 ? XM_TRACE_SERVICE_KNOWN
					: XM_TRACE_SERVICE_RESUMED,
		     c->number, event->peer, 0, 0);
	welcome(s, c, hello, asker, ret);
	if (s->leaving) { /* resumed: tell it again, on this stream */
		c->told = false;
		s->telling = true;
	}
}

static void on_ticket(struct xm_service *s, const struct xm_service_event *event,
		      struct xm_service_client *c,
		      const struct xm_service_asker *asker,
		      struct xm_service_effects *ret)
{
	struct xm_service_effect *effect;
	struct xm_service_ticket *t;
	uint32_t i;

	for (i = 0; i < XM_SERVICE_TICKETS_MAX && c->tickets[i].used; i++)
		;
	if (i == XM_SERVICE_TICKETS_MAX) {
		xm_service_refuse_plainly(s, ret, asker, EAGAIN,
					  "too many tickets asked for at once:"
					  " wait for the answers");
		return;
	}
	if (s->options.admits &&
	    c->admitted >= c->joined + XM_SERVICE_UNUSED_MAX) {
		xm_service_refuse_plainly(s, ret, asker, ENOSPC,
					  "too many tickets were taken and not"
					  " used: say BYE and begin anew");
		return;
	}
	t = &c->tickets[i];
	t->used = true;
	t->asker = *asker;
	memcpy(t->ticket, event->entropy, sizeof(t->ticket));
	c->admitted++;
	effect = xm_service_effect(ret, XM_SERVICE_ADMIT);
	effect->client = c->number;
	effect->cookie = i;
	effect->lane = event->message->u.ticket.lane;
	memcpy(effect->ticket, t->ticket, sizeof(effect->ticket));
}

static void on_admitted(struct xm_service *s,
			const struct xm_service_event *event,
			struct xm_service_effects *ret)
{
	struct xm_service_client *c = client_find(s, event->client);
	struct xm_service_ticket *t;
	struct xm_message *answer;
	struct xm_words words;

	if (c == NULL || event->cookie >= XM_SERVICE_TICKETS_MAX ||
	    !c->tickets[event->cookie].used)
		return;
	t = &c->tickets[event->cookie];
	t->used = false;
	if (event->status != 0) {
		c->admitted--;
		if (xm_service_refuse(s, ret, &t->asker,
				      event->status < 0 ? -event->status : EIO,
				      &words) != NULL)
			xm_words_add(&words, "the interface lets no more"
					     " connections in: close some");
	} else if (c->state != XM_CLIENT_EXPIRED) {
		answer = xm_service_answer(s, ret, &t->asker, XM_TICKETED);
		if (answer != NULL) {
			memcpy(answer->u.ticketed.ticket, t->ticket,
			       sizeof(t->ticket));
			answer->u.ticketed.locator = s->options.locator;
		}
	}
	memset(t->ticket, 0, sizeof(t->ticket));
}

static void on_expelled(struct xm_service *s,
			const struct xm_service_event *event,
			struct xm_service_effects *ret)
{
	struct xm_service_client *c = client_find(s, event->client);

	if (c == NULL || c->state != XM_CLIENT_EXPIRED)
		return;
	xm_lease_expelled(s, client_slot(s, c), event->now_ns);
	XM_ASSERT(c->extents == 0);
	if (c->bye)
		xm_service_answer(s, ret, &c->asker, XM_GAVE);
	c->state = XM_CLIENT_FREE;
	s->clients_count--;
}

void xm_service_state(const struct xm_service *s, uint64_t now_ns,
		      struct xm_state *ret)
{
	uint32_t i;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, s->options.name, sizeof(ret->name));
	memcpy(ret->provider, s->options.provider, sizeof(ret->provider));
	memcpy(ret->library, s->options.library, sizeof(ret->library));
	ret->incarnation = s->options.incarnation;
	ret->uptime_ms = (now_ns - s->started_ns) / XM_MS;
	ret->pool = s->options.pool_size;
	ret->free = s->pool->free;
	ret->free_run = xm_extent_free_run(s->pool);
	for (i = 0; i < s->options.extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];

		if (e->state == XM_EXTENT_EXPOSING ||
		    e->state == XM_EXTENT_LEASED)
			ret->leased += e->size;
		else if (e->state != XM_EXTENT_FREE)
			ret->quarantined += e->size;
	}
	ret->clients = s->clients_count;
	ret->clients_max = s->options.clients_max;
	ret->extents = s->extents_count;
	ret->extents_max = s->options.extents_max;
	ret->messages = s->messages;
	ret->malformed = s->malformed;
	ret->refused = s->refused;
	ret->expired = s->expired;
	ret->leaving = s->leaving;
}

/* --- messages ------------------------------------------------------------- */

static void nonsense(struct xm_service *s, uint32_t peer,
		     struct xm_service_effects *ret)
{
	s->malformed++;
	peer_drop(s, peer, ret);
}

/* What anybody who said HELLO may ask. False: it is none of these. */
static bool on_question(struct xm_service *s,
			const struct xm_service_event *event,
			const struct xm_service_asker *asker,
			struct xm_service_effects *ret)
{
	switch (event->message->kind) {
	case XM_PING:
		xm_service_answer(s, ret, asker, XM_PONG);
		return true;
	case XM_STATUS:
		xm_service_state(s, event->now_ns,
				 &xm_service_answer(s, ret, asker, XM_STATE)
					  ->u.state);
		return true;
	case XM_LIST:
		xm_lease_list(s, event, asker, ret);
		return true;
	default:
		return false;
	}
}

static void on_observer(struct xm_service *s,
			const struct xm_service_event *event,
			const struct xm_service_asker *asker,
			struct xm_service_effects *ret)
{
	s->peers[event->peer].heard_ns = event->now_ns;
	switch (event->message->kind) {
	case XM_TAKE:
	case XM_TRIM:
	case XM_GIVE:
	case XM_TICKET:
		xm_service_refuse_plainly(s, ret, asker, EPERM,
					  "an observer may only ask STATUS and"
					  " LIST: say HELLO as a client");
		break;
	case XM_BYE:
		peer_drop(s, event->peer, ret);
		break;
	default:
		if (!on_question(s, event, asker, ret))
			nonsense(s, event->peer, ret);
	}
}

static void on_client(struct xm_service *s,
		      const struct xm_service_event *event,
		      const struct xm_service_asker *asker,
		      struct xm_service_effects *ret)
{
	uint32_t slot = s->peers[event->peer].client;
	struct xm_service_client *c = &s->clients[slot];

	c->heard_ns = event->now_ns;
	c->state = XM_CLIENT_KNOWN;
	switch (event->message->kind) {
	case XM_TAKE:
		xm_lease_take(s, event, slot, asker, ret);
		break;
	case XM_TRIM:
		xm_lease_trim(s, event, slot, asker, ret);
		break;
	case XM_GIVE:
		xm_lease_give(s, event, slot, asker, ret);
		break;
	case XM_TICKET:
		on_ticket(s, event, c, asker, ret);
		break;
	case XM_BYE:
		tell(ret, XM_LEVEL_INFO, c, "said BYE");
		xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_BYE,
			     c->number, 0, 0, 0);
		c->bye = true;
		c->asker = *asker;
		c->peer = XM_SERVICE_NONE;
		s->peers[event->peer].state = XM_PEER_ENDED;
		s->peers[event->peer].heard_ns = event->now_ns;
		client_end(s, c, ret);
		break;
	default:
		if (!on_question(s, event, asker, ret))
			nonsense(s, event->peer, ret);
	}
}

static void on_message(struct xm_service *s,
		       const struct xm_service_event *event,
		       struct xm_service_effects *ret)
{
	struct xm_service_asker asker = {
		.peer = event->peer,
		.request = event->message->request,
		.serial = s->peers[event->peer].serial,
	};

	s->messages++;
	switch (s->peers[event->peer].state) {
	case XM_PEER_NEW:
		if (event->message->kind == XM_HELLO)
			on_hello(s, event, &asker, ret);
		else
			nonsense(s, event->peer, ret);
		break;
	case XM_PEER_OBSERVER:
		on_observer(s, event, &asker, ret);
		break;
	case XM_PEER_CLIENT:
		on_client(s, event, &asker, ret);
		break;
	default: /* it said BYE, so it has nothing more to say */
		nonsense(s, event->peer, ret);
	}
}

/* --- time ----------------------------------------------------------------- */

static void shift_for_gap(struct xm_service *s, uint64_t now_ns)
{
	uint64_t gap_ns = now_ns - s->last_ns;
	uint64_t lease_ns;
	uint32_t i;

	if (gap_ns < TERM_MIN_NS / 2 || XM_PLANTED(own_pause_expires))
		return;
	for (i = 0; i < s->options.clients_max; i++) {
		lease_ns = s->clients[i].lease_ns;
		if (s->clients[i].state != XM_CLIENT_FREE &&
		    gap_ns > lease_ns / 2) {
			xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_GAP,
				     gap_ns, s->clients[i].number, 0, 0);
			s->clients[i].heard_ns += gap_ns;
		}
	}
	for (i = 0; i < s->options.peers_max; i++)
		if (s->peers[i].state != XM_PEER_FREE &&
		    gap_ns > s->options.handshake_ns / 2)
			s->peers[i].heard_ns += gap_ns;
}

static uint64_t tick_ns(const struct xm_service *s)
{
	/* Well below half of every term, or each tick would look like a gap. */
	return xm_min(xm_min(s->lease_ns_min / 8, s->options.handshake_ns / 4),
		      TICK_MAX_NS);
}

/* True: more than one step may do; come back at once. */
static bool end_the_silent(struct xm_service *s, uint64_t now_ns,
			   struct xm_service_effects *ret)
{
	uint32_t ended = 0;
	uint32_t i;

	for (i = 0; i < s->options.clients_max; i++) {
		struct xm_service_client *c = &s->clients[i];
		uint64_t silence_ns = now_ns - c->heard_ns;

		if (c->state == XM_CLIENT_FREE ||
		    c->state == XM_CLIENT_EXPIRED || now_ns < c->heard_ns)
			continue;
		if (c->state == XM_CLIENT_KNOWN &&
		    silence_ns >= c->lease_ns / 2) {
			c->state = XM_CLIENT_SILENT;
			xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_SILENT,
				     c->number,
				     c->lease_ns - xm_min(silence_ns,
							  c->lease_ns),
				     0, 0);
		}
		if (silence_ns < c->lease_ns ||
		    (XM_PLANTED(own_life) && c->peer != XM_SERVICE_NONE))
			continue;
		if (ended == 1) /* three effects each */
			return true;
		ended++;
		s->expired++;
		xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_EXPIRED,
			     c->number, c->extents, 0, 0);
		tell(ret, XM_LEVEL_WARNING, c,
		     "was silent for a whole lease: its memory is taken back");
		if (c->peer != XM_SERVICE_NONE)
			peer_drop(s, c->peer, ret);
		client_end(s, c, ret);
	}
	return false;
}

/* Streams that said no HELLO that was accepted, observers that ask nothing,
 * and those that stay after BYE. */
static bool end_the_idle(struct xm_service *s, uint64_t now_ns,
			 struct xm_service_effects *ret)
{
	uint32_t drops = 0;
	uint32_t i;

	for (i = 0; i < s->options.peers_max && s->peers_count > 0; i++) {
		struct xm_service_peer *p = &s->peers[i];
		uint64_t limit_ns = p->state == XM_PEER_OBSERVER
			? s->options.lease_ms * XM_MS
			: s->options.handshake_ns;

		if (p->state == XM_PEER_FREE || p->state == XM_PEER_CLIENT ||
		    now_ns < xm_time_after(p->heard_ns, limit_ns))
			continue;
		if (drops++ == DROPS_MAX)
			return true;
		peer_drop(s, i, ret);
	}
	return false;
}

static bool tell_leaving(struct xm_service *s, struct xm_service_effects *ret)
{
	uint32_t i;

	for (i = 0; s->telling && i < s->options.clients_max; i++) {
		struct xm_service_client *c = &s->clients[i];

		if (c->state == XM_CLIENT_FREE || c->told ||
		    c->peer == XM_SERVICE_NONE)
			continue;
		if (ret->sends == XM_SERVICE_SENDS_MAX)
			return true;
		send(ret, c->peer, 0, XM_LEAVING)->u.leaving.ms =
			s->leaving_ms;
		c->told = true;
	}
	s->telling = false;
	return false;
}

/* --- the step ------------------------------------------------------------- */

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
		s->peers_count++;
		return;
	}
	if (p->state == XM_PEER_FREE)
		return;
	switch (event->kind) {
	case XM_SERVICE_PEER_DOWN:
		if (event->status == -EPROTO)
			s->malformed++;
		peer_forget(s, event->peer);
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
	struct xm_service_client *c = client_find(s, event->client);

	if (c == NULL)
		return;
	c->connections = event->connections;
	if (event->joined > c->joined)
		c->joined = event->joined;
	/* An interface that counts more than was let in is not believed. */
	c->joined = xm_min(c->joined, c->admitted);
}

static void on_drain(struct xm_service *s, const struct xm_service_event *event)
{
	uint32_t i;

	s->leaving = true;
	s->telling = true;
	s->leaving_ms = event->drain_ms;
	for (i = 0; i < s->options.clients_max; i++)
		s->clients[i].told = false;
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
		on_admitted(s, event, ret);
		break;
	case XM_SERVICE_EXPELLED:
		on_expelled(s, event, ret);
		break;
	case XM_SERVICE_CONNECTIONS:
		on_connections(s, event);
		break;
	case XM_SERVICE_ZEROED:
		xm_lease_zeroed(s, event, ret);
		break;
	case XM_SERVICE_DRAIN:
		on_drain(s, event);
		break;
	case XM_SERVICE_RELOAD:
		s->options.lease_ms = event->lease_ms;
		s->lease_ns_min = xm_min(s->lease_ns_min,
					 event->lease_ms * XM_MS);
		break;
	case XM_SERVICE_TICK:
		break;
	}
}

void xm_service_step(struct xm_service *s, const struct xm_service_event *event,
		     struct xm_service_effects *ret)
{
	uint64_t now_ns = event->now_ns;
	bool more = false;

	XM_ASSERT(now_ns >= s->last_ns);
	ret->count = 0;
	ret->sends = 0;
	shift_for_gap(s, now_ns);
	s->last_ns = now_ns;

	dispatch(s, event, ret);
	if (event->kind == XM_SERVICE_TICK) {
		more = end_the_silent(s, now_ns, ret);
		more = end_the_idle(s, now_ns, ret) || more;
		s->tick_ns = xm_time_after(now_ns, tick_ns(s));
	}
	if (tell_leaving(s, ret))
		more = true;
	xm_lease_work(s, now_ns, ret);

	ret->drained = s->leaving && s->clients_count == 0 && !s->telling;
	if (more)
		ret->deadline_ns = now_ns;
	else if (s->clients_count + s->peers_count + s->quarantined == 0)
		ret->deadline_ns = XM_NEVER;
	else
		ret->deadline_ns =
			xm_min(s->tick_ns, xm_time_after(now_ns, tick_ns(s)));
}

/* --- beginning ------------------------------------------------------------ */

int xm_service_options_check(const struct xm_service_options *o, char *words)
{
	struct xm_words w;
	const char *wrong = NULL;

	if (!xm_is_power_of_two(o->granule) || o->granule < 64)
		wrong = "the granule must be a power of two of at least 64";
	else if (o->pool_size == 0 || !xm_is_aligned(o->pool_size, o->granule))
		wrong = "the pool must be a multiple of the granule, above 0";
	else if (o->clients_max == 0 || o->clients_max > XM_SERVICE_SLOTS_MAX)
		wrong = "clients-max must be 1 to 1048576";
	else if (o->extents_max == 0 || o->extents_max > XM_SERVICE_SLOTS_MAX)
		wrong = "extents-max must be 1 to 1048576";
	else if (o->extents_per_client_max == 0)
		wrong = "extents-per-client must be at least 1";
	else if (o->peers_max < o->clients_max)
		wrong = "there must be room for a stream of each client";
	else if (o->lease_ms * XM_MS < TERM_MIN_NS)
		wrong = "the lease must be at least 8 ms";
	else if (o->handshake_ns < TERM_MIN_NS)
		wrong = "the handshake timeout must be at least 8 ms";
	else if (o->zero_size_max == 0)
		wrong = "zeroing must make progress";
	if (wrong == NULL)
		return 0;
	xm_words_begin(&w, words, XM_WORDS_SIZE);
	xm_words_add(&w, wrong);
	return -EINVAL;
}

/* Where the arrays lie behind the struct; returns the size of all. */
static size_t lay_out(const struct xm_service_options *o, uint8_t *memory,
		      struct xm_service *ret, void **ret_ranges)
{
	size_t at = xm_align_up(sizeof(struct xm_service), 16);
	size_t peers = at;
	size_t clients, extents, pool, ranges;

	at = xm_align_up(at + o->peers_max * sizeof(*ret->peers), 16);
	clients = at;
	at = xm_align_up(at + o->clients_max * sizeof(*ret->clients), 16);
	extents = at;
	at = xm_align_up(at + o->extents_max * sizeof(*ret->extents), 16);
	pool = at;
	at = xm_align_up(at + sizeof(*ret->pool), 16);
	ranges = at;
	at += xm_extent_memory_size(o->extents_max);
	if (ret != NULL) {
		memset(memory, 0, ranges);
		ret->peers = (void *)(memory + peers);
		ret->clients = (void *)(memory + clients);
		ret->extents = (void *)(memory + extents);
		ret->pool = (void *)(memory + pool);
		*ret_ranges = memory + ranges;
	}
	return at;
}

size_t xm_service_size(const struct xm_service_options *o)
{
	return lay_out(o, NULL, NULL, NULL);
}

struct xm_service *xm_service_init(const struct xm_service_options *o,
				   void *memory, uint64_t now_ns)
{
	struct xm_service *s = memory;
	void *ranges = NULL;

	lay_out(o, memory, s, &ranges);
	s->options = *o;
	s->started_ns = now_ns;
	s->last_ns = now_ns;
	s->tick_ns = now_ns;
	s->lease_ns_min = o->lease_ms * XM_MS;
	s->zeroing_now = XM_SERVICE_NONE;
	xm_extent_init(s->pool, o->pool_size, o->granule, o->extents_max,
		       ranges);
	return s;
}

const char *xm_service_check(const struct xm_service *s)
{
	uint64_t held = 0;
	uint32_t i, j;

	for (i = 0; i < s->options.extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];

		if (e->state == XM_EXTENT_FREE)
			continue;
		held += e->size;
		if (!xm_span_fits(e->offset, e->size, s->options.pool_size))
			return "an extent lies outside the pool";
		if (e->state == XM_EXTENT_ZEROING &&
		    e->guard != XM_SERVICE_NONE)
			return "an extent is zeroed while a key opens it";
		for (j = 0; j < i; j++) {
			const struct xm_service_extent *f = &s->extents[j];

			if (f->state != XM_EXTENT_FREE &&
			    e->offset < f->offset + f->size &&
			    f->offset < e->offset + e->size)
				return "two extents overlap";
		}
	}
	if (held + s->pool->free != s->options.pool_size)
		return "bytes of the pool are neither free nor held";
	return NULL;
}
