/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service machine: messages, time, and the step. Clients and their streams are
 * in clients.c, extents in lease.c, the whole story in service.h.
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

#include "core/pure/plant.h"
#include "appliance/service_parts.h"

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

struct xm_message *xm_service_send(struct xm_service_effects *ret, uint32_t peer,
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

void xm_service_tell(struct xm_service_effects *ret, enum xm_level level,
		     const struct xm_service_client *client, const char *what)
{
	struct xm_service_effect *effect =
		xm_service_effect(ret, XM_SERVICE_LOG);
	struct xm_words words;

	effect->level = level;
	xm_words_begin(&words, effect->words, sizeof(effect->words));
	xm_words_add(&words, "client ");
	xm_words_number(&words, client->number >> XM_SLOT_BITS);
	xm_words_add(&words, ".");
	xm_words_number(&words, client->number & (XM_SERVICE_SLOTS_MAX - 1));
	xm_words_add(&words, " (");
	xm_words_add(&words, client->name);
	xm_words_add(&words, ") ");
	xm_words_add(&words, what);
}

bool xm_service_requester_lives(const struct xm_service *s,
			    const struct xm_service_requester *requester)
{
	return s->peers[requester->peer].state != XM_PEER_FREE &&
	       s->peers[requester->peer].serial == requester->serial;
}

struct xm_message *xm_service_answer(const struct xm_service *s,
				     struct xm_service_effects *ret,
				     const struct xm_service_requester *requester,
				     enum xm_message_kind kind)
{
	if (!xm_service_requester_lives(s, requester))
		return NULL;
	return xm_service_send(ret, requester->peer, requester->request, kind);
}

struct xm_message *xm_service_refuse(struct xm_service *s,
				     struct xm_service_effects *ret,
				     const struct xm_service_requester *requester,
				     int code, struct xm_words *ret_words)
{
	struct xm_message *message;

	s->refused++;
	message = xm_service_answer(s, ret, requester, XM_REFUSED);
	if (message == NULL)
		return NULL;
	xm_trace_put(s->trace, s->last_ns, XM_TRACE_SERVICE_REFUSED,
		     s->peers[requester->peer].state == XM_PEER_CLIENT
			     ? s->clients[s->peers[requester->peer].client].number
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
			       const struct xm_service_requester *requester, int code,
			       const char *sentence)
{
	struct xm_words words;

	if (xm_service_refuse(s, ret, requester, code, &words) != NULL)
		xm_words_add(&words, sentence);
}

/* Clients, in thousandths of what there may be. */
static uint64_t load_of(const struct xm_service *s)
{
	return (uint64_t)s->clients_count * 1000 / s->options.clients_max;
}

void xm_service_state(const struct xm_service *s, uint64_t now_ns,
		      struct xm_state *ret)
{
	const struct xm_service_options *o = &s->options;
	struct xm_figures *f = &ret->figures;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, o->name, sizeof(ret->name));
	memcpy(ret->provider, o->provider, sizeof(ret->provider));
	memcpy(ret->library, o->library, sizeof(ret->library));
	memcpy(ret->zone, o->zone, sizeof(ret->zone));
	xm_figures_add(f, XM_FIGURE_INCARNATION, o->incarnation);
	xm_figures_add(f, XM_FIGURE_UPTIME_MS,
		       (now_ns - s->started_ns) / XM_MS);
	xm_figures_add(f, XM_FIGURE_POOL, o->pool_size);
	xm_figures_add(f, XM_FIGURE_FREE, s->pool->free);
	xm_figures_add(f, XM_FIGURE_FREE_RUN, xm_extent_free_run(s->pool));
	xm_figures_add(f, XM_FIGURE_LEASED, s->bytes_owned);
	xm_figures_add(f, XM_FIGURE_QUARANTINED, s->bytes_parting);
	xm_figures_add(f, XM_FIGURE_CLIENTS, s->clients_count);
	xm_figures_add(f, XM_FIGURE_CLIENTS_MAX, o->clients_max);
	xm_figures_add(f, XM_FIGURE_EXTENTS, s->extents_count);
	xm_figures_add(f, XM_FIGURE_EXTENTS_MAX, o->extents_max);
	xm_figures_add(f, XM_FIGURE_MESSAGES, s->messages);
	xm_figures_add(f, XM_FIGURE_MALFORMED, s->malformed);
	xm_figures_add(f, XM_FIGURE_REFUSED, s->refused);
	xm_figures_add(f, XM_FIGURE_EXPIRED, s->expired);
	xm_figures_add(f, XM_FIGURE_LEAVING, s->leaving);
	xm_figures_add(f, XM_FIGURE_LOAD, load_of(s));
	xm_figures_add(f, XM_FIGURE_LAPSED, s->lapsed);
}

/* What clients choose an appliance by. */
static void pong(const struct xm_service *s, struct xm_figures *ret)
{
	xm_figures_add(ret, XM_FIGURE_FREE, s->pool->free);
	xm_figures_add(ret, XM_FIGURE_FREE_RUN, xm_extent_free_run(s->pool));
	xm_figures_add(ret, XM_FIGURE_LEAVING, s->leaving);
	xm_figures_add(ret, XM_FIGURE_LOAD, load_of(s));
}

/* --- messages ------------------------------------------------------------- */

static void nonsense(struct xm_service *s, uint32_t peer,
		     struct xm_service_effects *ret)
{
	s->malformed++;
	xm_client_drop_peer(s, peer, ret);
}

/* A request of a kind whose number is reserved: this appliance has none of
 * the features that serve it. False: it is none of these. */
static bool on_reserved(struct xm_service *s,
			const struct xm_service_event *event,
			const struct xm_service_requester *requester,
			struct xm_service_effects *ret)
{
	enum xm_message_kind kind = event->message->kind;
	struct xm_words words;

	/* PARTED is said by appliances alone. */
	if (!xm_message_is_reserved(kind) || kind == XM_PARTED)
		return false;
	if (xm_service_refuse(s, ret, requester, EOPNOTSUPP, &words) != NULL) {
		xm_words_add(&words, "this appliance does not serve ");
		xm_words_add(&words, xm_message_name(kind));
		xm_words_add(&words, ": ask one whose WELCOME says that it has"
				     " that feature");
	}
	return true;
}

/* What anybody who said HELLO may ask. False: it is none of these. */
static bool on_question(struct xm_service *s,
			const struct xm_service_event *event,
			const struct xm_service_requester *requester,
			struct xm_service_effects *ret)
{
	switch (event->message->kind) {
	case XM_PING:
		pong(s, &xm_service_answer(s, ret, requester, XM_PONG)
				 ->u.pong.figures);
		return true;
	case XM_STATUS:
		xm_service_state(s, event->now_ns,
				 &xm_service_answer(s, ret, requester, XM_STATE)
					  ->u.state);
		return true;
	case XM_LIST:
		xm_lease_list(s, event, requester, ret);
		return true;
	default:
		return false;
	}
}

static void on_observer(struct xm_service *s,
			const struct xm_service_event *event,
			const struct xm_service_requester *requester,
			struct xm_service_effects *ret)
{
	s->peers[event->peer].heard_ns = event->now_ns;
	switch (event->message->kind) {
	case XM_ALLOC:
	case XM_TRIM:
	case XM_FREE:
	case XM_TICKET:
	case XM_OFFER:
	case XM_CLAIM:
	case XM_GRANT:
	case XM_PERSIST:
	case XM_COPY_BYTES:
		xm_service_refuse_plainly(s, ret, requester, EPERM,
					  "an observer may only ask STATUS and"
					  " LIST: say HELLO as a client");
		break;
	case XM_BYE:
		xm_client_drop_peer(s, event->peer, ret);
		break;
	default:
		if (!on_question(s, event, requester, ret))
			nonsense(s, event->peer, ret);
	}
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
	switch (event->message->kind) {
	case XM_ALLOC:
		xm_lease_alloc(s, event, slot, requester, ret);
		break;
	case XM_TRIM:
		xm_lease_trim(s, event, slot, requester, ret);
		break;
	case XM_FREE:
		xm_lease_free(s, event, slot, requester, ret);
		break;
	case XM_TICKET:
		xm_client_ticket(s, event, c, requester, ret);
		break;
	case XM_BYE:
		xm_service_tell(ret, XM_LEVEL_INFO, c, "said BYE");
		xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_BYE,
			     c->number, 0, 0, 0);
		c->bye = true;
		c->requester = *requester;
		c->peer = XM_SERVICE_NONE;
		s->peers[event->peer].state = XM_PEER_ENDED;
		s->peers[event->peer].heard_ns = event->now_ns;
		xm_client_end(s, c, ret);
		break;
	default:
		if (!on_question(s, event, requester, ret) &&
		    !on_reserved(s, event, requester, ret))
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
		if (silence_ns < c->lease_ns +
			    (XM_PLANTED(lease_overdue) ? c->lease_ns / 2 : 0) ||
		    (XM_PLANTED(own_life) && c->peer != XM_SERVICE_NONE))
			continue;
		if (ended == 1) /* three effects each */
			return true;
		ended++;
		s->expired++;
		xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_EXPIRED,
			     c->number, c->extents, 0, 0);
		xm_service_tell(ret, XM_LEVEL_WARNING, c,
				"was silent for a whole lease: its memory is taken back");
		if (c->peer != XM_SERVICE_NONE)
			xm_client_drop_peer(s, c->peer, ret);
		xm_client_end(s, c, ret);
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
		xm_client_drop_peer(s, i, ret);
	}
	return false;
}

static bool tell_leaving(struct xm_service *s, struct xm_service_effects *ret)
{
	uint32_t i;

	for (i = s->telling_at; s->telling && i < s->options.clients_max; i++) {
		struct xm_service_client *c = &s->clients[i];

		s->telling_at = i;

		if (c->state == XM_CLIENT_FREE || c->told ||
		    c->peer == XM_SERVICE_NONE)
			continue;
		if (ret->sends == XM_SERVICE_SENDS_MAX)
			return true;
		xm_service_send(ret, c->peer, 0, XM_LEAVING)->u.leaving.ms =
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

static void on_drain(struct xm_service *s, const struct xm_service_event *event)
{
	uint32_t i;

	s->leaving = true;
	s->telling = true;
	s->telling_at = 0;
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
		xm_service_zeroed(s, event, ret);
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
	more = tell_leaving(s, ret) || more;
	more = xm_client_lapse(s, now_ns, ret) || more;
	xm_service_work(s, now_ns, ret);

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

/* The next `size` bytes, for an array: NULL where there is no memory yet. */
static void *lay_down(size_t *at, uint8_t *memory, size_t size)
{
	size_t from = *at;

	*at = xm_align_up(from + size, 16);
	return memory == NULL ? NULL : memory + from;
}

/* Where the arrays lie behind the struct; returns the size of all. */
static size_t lay_out(const struct xm_service_options *o, uint8_t *memory,
		      struct xm_service *ret)
{
	size_t clients_bits = xm_slots_memory_size(o->clients_max);
	size_t extents_bits = xm_slots_memory_size(o->extents_max);
	size_t at = xm_align_up(sizeof(*ret), 16);
	struct xm_service none = { 0 };
	void *bits[5], *ranges;

	if (ret == NULL)
		ret = &none;
	ret->peers = lay_down(&at, memory, o->peers_max * sizeof(*ret->peers));
	ret->clients = lay_down(&at, memory,
				o->clients_max * sizeof(*ret->clients));
	ret->extents = lay_down(&at, memory,
				o->extents_max * sizeof(*ret->extents));
	ret->grants = lay_down(&at, memory,
			       o->extents_max * sizeof(*ret->grants));
	ret->pool = lay_down(&at, memory, sizeof(*ret->pool));
	for (unsigned i = 0; i < XM_COUNT(bits); i++)
		bits[i] = lay_down(&at, memory,
				   i == 0 ? clients_bits : extents_bits);
	if (memory != NULL) {
		size_t head = sizeof(*ret);

		memset(memory + head, 0, at - head);
		xm_slots_init(&ret->clients_free, o->clients_max, bits[0]);
		xm_slots_init(&ret->extents_free, o->extents_max, bits[1]);
		xm_slots_init(&ret->grants_free, o->extents_max, bits[2]);
		xm_slots_init(&ret->owned, o->extents_max, bits[3]);
		xm_slots_init(&ret->zeroing, o->extents_max, bits[4]);
	}
	ranges = lay_down(&at, memory, xm_extent_memory_size(o->extents_max));
	if (memory != NULL)
		xm_extent_init(ret->pool, o->pool_size, o->granule,
			       o->extents_max, ranges);
	return at;
}

size_t xm_service_size(const struct xm_service_options *o)
{
	return lay_out(o, NULL, NULL);
}

struct xm_service *xm_service_init(const struct xm_service_options *o,
				   void *memory, uint64_t now_ns)
{
	struct xm_service *s = memory;

	memset(s, 0, sizeof(*s));
	lay_out(o, memory, s);
	s->options = *o;
	s->started_ns = now_ns;
	s->last_ns = now_ns;
	s->tick_ns = now_ns;
	s->lease_ns_min = o->lease_ms * XM_MS;
	s->zeroing_now = XM_SERVICE_NONE;
	xm_slots_fill(&s->clients_free);
	xm_slots_fill(&s->extents_free);
	xm_slots_fill(&s->grants_free);
	xm_list_open(&s->waiting);
	xm_list_open(&s->issued);
	for (uint32_t i = 0; i < o->clients_max; i++) {
		xm_list_open(&s->clients[i].owned);
		xm_list_open(&s->clients[i].grants);
		xm_list_open(&s->clients[i].quarantined);
	}
	return s;
}

const char *xm_service_check(const struct xm_service *s)
{
	return xm_service_extents_check(s);
}
