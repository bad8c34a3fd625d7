/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulated fabric: the transport contract over virtual links (links.c; the
 * channel contract is in streams.c), behaving as libfabric and TCP were measured
 * to, not as documented:
 *
 *  - a target moves nothing unless its process polls, whatever has arrived;
 *  - an operation that was cancelled may still happen, later, if its bytes had
 *    left: half of all writes carry a copy made when they were posted, the
 *    others read their buffer at the last moment (so that a buffer given back
 *    too early shows);
 *  - completions of one connection come in any order;
 *  - death is reported late, or, by some providers, never; a hang never is;
 *  - a link that is blocked delays what it carries until it opens (TCP sends
 *    again), and costs a retransmission's wait now and then;
 *  - keys may live on after conceal, where the provider does not revoke;
 *  - control messages and one-sided traffic know nothing of each other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "links.h"
#include "plant.h"
#include "sim.h"

#define PEERS 64

struct operation;

#define SCATTER_MAX 8

struct connection {
	struct connection *next_all;
	struct xm_transport *initiator, *target; /* NULL: that side is gone */
	const struct xm_transport *home;	 /* who made it */
	uint32_t from, to;			 /* nodes */
	uint32_t peer;
	uint64_t client, serial;
	uint32_t lane;
	uint64_t busy_ns; /* see cost.h */
	bool up, down; /* as the initiator has been told */
	bool joined, left; /* as the target has */
};

struct operation {
	struct operation *next; /* outstanding of its transport */
	struct operation *next_all;
	struct connection *connection;
	struct xm_transport *initiator;
	bool write, cancelled, done;
	struct xm_far far;
	uint64_t offsets[SCATTER_MAX]; /* of its pieces */
	uint32_t count;		       /* of those */
	uint64_t piece;		       /* bytes of each */
	uint64_t size, token;
	uint8_t *near;
	uint8_t *bytes; /* a copy under way */
	uint64_t ends_ns; /* not before; see cost.h */
	int status;
};

struct queued {
	struct xm_transport_event event;
	bool write; /* DONE: what is, and how much */
	uint64_t size;
	struct queued *next;
};

struct exposed {
	uint64_t client, key, offset, size;
	bool concealed; /* and still alive, if the provider does not revoke */
	uint64_t serial; /* then: connections before this one still know it */
};

struct ticket {
	uint64_t client;
	uint32_t lane;
	uint8_t bytes[XM_TICKET_SIZE];
};

struct token {
	uint8_t bytes[XM_TICKET_SIZE];
};

struct arrival {
	struct arrival *next;
	struct operation *operation;
};

struct xm_transport {
	struct xm_transport *next_all; /* of those that are open, or that are not */
	struct process *process;
	uint32_t incarnation, node, flying;
	struct fabric_counts counts;
	bool open, target;
	uint64_t uid;
	struct connection *peers[PEERS];
	struct operation *operations;
	struct queued *first, **last;
	struct {
		const uint8_t *memory;
		size_t size;
	} spans[XM_SPANS_MAX];
	/* target */
	uint8_t *pool;
	size_t pool_size;
	struct exposed *exposed;
	size_t exposed_count;
	struct ticket *tickets;
	size_t tickets_count;
	/* Keys and tickets that it ever had, of which none may come again. */
	struct token *tokens;
	size_t tokens_count;
	struct arrival *inbox, **inbox_last;
};

static struct {
	struct xm_transport *transports, *ended;
	struct xm_transport **doors; /* by uid; NULL: it has ended */
	uint64_t doors_max;
	struct connection *connections;
	struct operation *operations;
	uint64_t uid, serial;
} f;

static void wake(const struct xm_transport *t)
{
	world_wake(t->process);
}

static struct queued *push(struct xm_transport *t,
			   struct xm_transport_event event)
{
	struct queued *q = malloc(sizeof(*q));

	XM_ASSERT(q != NULL);
	q->event = event;
	q->write = false;
	q->size = 0;
	q->next = NULL;
	*t->last = q;
	t->last = &q->next;
	t->counts.flying += event.kind == XM_TRANSPORT_DONE;
	wake(t);
	return q;
}

/* --- operations ------------------------------------------------------------------- */

static void forget_near(struct operation *op, int status)
{
	struct operation **link = &op->initiator->operations;
	struct queued *q;

	while (*link != op)
		link = &(*link)->next;
	*link = op->next;
	op->initiator->flying--;
	op->cancelled = true;
	op->near = NULL;
	q = push(op->initiator, (struct xm_transport_event){
		.kind = XM_TRANSPORT_DONE, .token = op->token,
		.status = status,
	});
	q->write = op->write;
	q->size = op->size;
	if (XM_PLANTED(double_completion) && status == -ECANCELED &&
	    world_chance(WORLD_NETWORK, 8))
		push(op->initiator, (struct xm_transport_event){
			.kind = XM_TRANSPORT_DONE, .token = op->token,
			.status = status,
		});
}

static void cancel_all(struct connection *c)
{
	struct operation *op = c->initiator->operations;

	while (op != NULL) {
		struct operation *next = op->next;

		if (op->connection == c)
			forget_near(op, -ECANCELED);
		op = next;
	}
}

/* The initiator hears that its connection is gone. */
static void arrive_reset(void *argument, uint64_t again)
{
	struct connection *c = argument;

	(void)again;
	if (c->initiator == NULL || c->down)
		return;
	if (links_blocked(c->to, c->from)) {
		world_at(world_now() + LINKS_RETRY, arrive_reset, c, 1);
		return;
	}
	world_note("fabric.reset: node {from} hears that its "
		   "connection {peer} to node {to} is gone", c->from, c->peer, c->to);
	c->down = true;
	c->up = false;
	cancel_all(c);
	push(c->initiator, (struct xm_transport_event){
		.kind = XM_TRANSPORT_DOWN, .peer = c->peer,
		.status = -ECONNRESET,
	});
}

/* What is known of a connection's end comes when it comes. */
static void reset(struct connection *c)
{
	uint64_t late_ns = 0;

	if (sim_shape.provider.late_ns > 0) {
		late_ns = xm_rand_below(world_rand(WORLD_NETWORK),
					2 * sim_shape.provider.late_ns);
		sim_counts.faults[SIM_FAULT_LATE_DEATH]++;
	}
	world_at(links_arrive(c->to, c->from, 64) + late_ns, arrive_reset, c,
		 0);
}

/* Of a process, or its host: whoever is at the other end may hear of it. */
static bool death_is_told(void)
{
	sim_counts.faults[SIM_FAULT_UNTOLD_DEATH] +=
		!sim_shape.provider.reports_death;
	return sim_shape.provider.reports_death;
}

/* The target's side ends: what has not been executed never will be. */
static void target_close(struct connection *c)
{
	if (c->target == NULL)
		return;
	if (c->joined && !c->left)
		push(c->target, (struct xm_transport_event){
			.kind = XM_TRANSPORT_LEFT, .client = c->client,
		});
	c->left = true;
	c->target = NULL;
}

static void arrive_close(void *argument, uint64_t number)
{
	struct connection *c = argument;

	(void)number;
	if (links_blocked(c->from, c->to)) {
		world_at(world_now() + LINKS_RETRY, arrive_close, c, 0);
		return;
	}
	target_close(c);
}

static void arrive_response(void *argument, uint64_t number)
{
	struct operation *op = argument;
	struct connection *c = op->connection;

	(void)number;
	if (op->cancelled)
		return;
	if (links_blocked(c->to, c->from)) {
		world_at(world_now() + LINKS_RETRY, arrive_response, op, 0);
		return;
	}
	if (!op->write && op->status == 0)
		memcpy(op->near, op->bytes, op->size);
	free(op->bytes);
	op->bytes = NULL;
	forget_near(op, op->status);
}

static struct exposed *key_find(struct xm_transport *t, uint64_t client,
				const struct xm_far *far)
{
	for (size_t i = 0; i < t->exposed_count; i++) {
		struct exposed *e = &t->exposed[i];

		if (e->key == far->key &&
		    (e->client == client || !sim_shape.provider.admits))
			return e;
	}
	return NULL;
}

/* It does nothing. */
static void shut(const struct operation *op)
{
	world_note("fabric.shut: what node {from} posted to node {to} finds its "
		   "connection gone, write {write:bool}",
		   op->connection->from, op->connection->to, op->write);
}

static bool fits(const struct operation *op, const struct exposed *e)
{
	for (uint32_t i = 0; i < op->count; i++) {
		if (!xm_span_fits(op->offsets[i], op->piece, e->size))
			return false;
	}
	return true;
}

/* One access, at the target, when it polls. */
static void execute(struct xm_transport *t, struct operation *op)
{
	struct connection *c = op->connection;
	struct exposed *e;
	uint32_t at;

	if (c->target != t) {
		shut(op); /* it was closed in between */
		return;
	}
	e = key_find(t, c->client, &op->far);
	if (e == NULL || !fits(op, e)) {
		sim_counts.faults[SIM_FAULT_REFUSED_KEY]++;
		world_note("fabric.refused: an access of node {from} to "
			   "node {to} is refused, write {write:bool}",
			   c->from, c->to, op->write);
		if (!sim_shape.provider.refuses) {
			target_close(c);
			reset(c);
			return;
		}
		op->status = -EACCES;
	} else if (op->write) {
		const uint8_t *from = op->bytes != NULL ? op->bytes : op->near;

		if (from == NULL)
			return; /* cancelled before its bytes had left */
		sim_counts.faults[SIM_FAULT_LATE_WRITE] += op->cancelled;
		at = appliance_at_interface(t->process);
		for (uint32_t i = 0; i < op->count; i++) {
			uint64_t byte = e->offset + op->offsets[i];

			oracle_access(at, e->client, byte, op->piece, true);
			appliance_written(at, byte, op->piece);
			memcpy(t->pool + byte, from + i * op->piece, op->piece);
		}
	} else {
		oracle_access(appliance_at_interface(t->process), e->client,
			      e->offset + op->offsets[0], op->size, false);
		op->bytes = malloc(op->size);
		XM_ASSERT(op->bytes != NULL);
		memcpy(op->bytes, t->pool + e->offset + op->offsets[0],
		       op->size);
	}
	if (e != NULL)
		world_note(op->write ? "fabric.write: node {from} writes byte "
				       "{offset:hex} and on, {size:bytes}"
				     : "fabric.read: node {from} reads byte "
				       "{offset:hex} and on, {size:bytes}",
			   c->from, e->offset + op->offsets[0], op->size);
	world_at(xm_max(links_arrive(c->to, c->from,
				     op->write ? 64 : op->size),
			op->ends_ns),
		 arrive_response, op, 0);
}

static void arrive_request(void *argument, uint64_t number)
{
	struct operation *op = argument;
	struct connection *c = op->connection;
	struct arrival *a;

	(void)number;
	if (links_blocked(c->from, c->to)) {
		world_at(world_now() + LINKS_RETRY, arrive_request, op, 0);
		return;
	}
	if (c->target == NULL) {
		shut(op);
		if (death_is_told())
			reset(c);
		return;
	}
	a = malloc(sizeof(*a));
	XM_ASSERT(a != NULL);
	a->next = NULL;
	a->operation = op;
	*c->target->inbox_last = a;
	c->target->inbox_last = &a->next;
	wake(c->target);
}

static bool is_enlisted(const struct xm_transport *t, const uint8_t *near,
			size_t size)
{
	bool found = !sim_shape.provider.enlists;

	for (unsigned i = 0; i < XM_SPANS_MAX && !found; i++)
		found = t->spans[i].memory != NULL &&
			near >= t->spans[i].memory &&
			near + size <= t->spans[i].memory + t->spans[i].size;
	return found;
}

static int post(struct xm_transport *t, uint32_t peer, bool write,
		const struct xm_far *far, const uint64_t *offsets,
		uint32_t count, void *near, size_t piece, uint64_t token)
{
	struct connection *c = t->peers[peer];
	struct operation *op;
	size_t size = count * piece;

	XM_ASSERT(count > 0 && count <= SCATTER_MAX);
	XM_ASSERT(size > 0 && size <= sim_shape.provider.size_max);
	if (c == NULL || !c->up)
		return -ENOTCONN;
	if (t->flying >= sim_shape.provider.depth)
		return -EAGAIN;
	if (c->target == NULL && sim_shape.provider.sticks) {
		sim_counts.faults[SIM_FAULT_STUCK]++;
		return -EAGAIN;
	}
	if (world_chance(WORLD_MISFORTUNE, sim_shape.again)) {
		sim_counts.faults[SIM_FAULT_AGAIN]++;
		return -EAGAIN;
	}
	cost_post(write, size);
	op = calloc(1, sizeof(*op));
	XM_ASSERT(op != NULL);
	if (cost.on)
		op->ends_ns = cost_ends(write, size, &c->busy_ns);
	op->next_all = f.operations;
	f.operations = op;
	op->connection = c;
	op->initiator = t;
	op->write = write;
	op->far = *far;
	memcpy(op->offsets, offsets, count * sizeof(offsets[0]));
	op->count = count;
	op->piece = piece;
	op->size = size;
	op->token = token;
	op->near = near;
	XM_ASSERT(is_enlisted(t, near, size));
	if (write && (world_chance(WORLD_NETWORK, 2) ||
		      XM_PLANTED(early_acknowledgement))) {
		op->bytes = malloc(size);
		XM_ASSERT(op->bytes != NULL);
		memcpy(op->bytes, near, size);
	}
	op->next = t->operations;
	t->operations = op;
	t->flying++;
	t->counts.writes += write;
	t->counts.bytes_written += write ? size : 0;
	t->counts.reads += !write;
	t->counts.bytes_read += write ? 0 : size;
	world_at(links_arrive(c->from, c->to, write ? size : 64), arrive_request,
		 op, 0);
	if (write && XM_PLANTED(early_acknowledgement))
		forget_near(op, 0);
	return 0;
}

/* --- connections ---------------------------------------------------------------------- */

static struct xm_transport *transport_uid(uint64_t uid)
{
	for (struct xm_transport *t = f.transports; t != NULL;
	     t = t->next_all) {
		if (t->uid == uid && t->process->alive &&
		    t->process->incarnation == t->incarnation)
			return t;
	}
	return NULL;
}

static void arrive_accept(void *argument, uint64_t number)
{
	struct connection *c = argument;

	(void)number;
	if (c->initiator == NULL || c->down || c->target == NULL)
		return;
	if (links_blocked(c->to, c->from)) {
		world_at(world_now() + LINKS_RETRY, arrive_accept, c, 0);
		return;
	}
	c->up = true;
	push(c->initiator, (struct xm_transport_event){
		.kind = XM_TRANSPORT_UP, .peer = c->peer,
	});
}

struct knock {
	struct connection *connection;
	uint64_t uid;
	uint8_t ticket[XM_TICKET_SIZE];
};

static bool ticket_use(struct xm_transport *t, const uint8_t *bytes,
		       struct connection *c)
{
	for (size_t i = 0; i < t->tickets_count; i++) {
		if (memcmp(t->tickets[i].bytes, bytes, XM_TICKET_SIZE) != 0)
			continue;
		c->client = t->tickets[i].client;
		c->lane = t->tickets[i].lane;
		t->tickets[i] = t->tickets[--t->tickets_count];
		return true;
	}
	return false;
}

/* What the client had on this lane ends before the new one is accepted. Where
 * connections are not known the provider's queue between two endpoints keeps
 * the order: what was posted before does not happen after. */
static void supersede(struct xm_transport *t, const struct connection *by)
{
	if (XM_PLANTED(not_superseded))
		return;
	for (struct connection *c = f.connections; c != NULL;
	     c = c->next_all) {
		bool former = by->joined ? c->client == by->client &&
						   c->lane == by->lane
					 : c->home == by->home;

		if (c != by && c->target == t && former) {
			world_note("fabric.supersede: an earlier connection "
				   "of node {from} to node {to} is closed",
				   c->from, c->to, 0);
			target_close(c);
			reset(c);
		}
	}
}

static void arrive_knock(void *argument, uint64_t number)
{
	struct knock *k = argument;
	struct connection *c = k->connection;
	struct xm_transport *t = transport_uid(k->uid);

	(void)number;
	if (links_blocked(c->from, c->to)) {
		world_at(world_now() + LINKS_RETRY, arrive_knock, k, 0);
		return;
	}
	/* A hung target's kernel holds the door; nobody opens it. */
	if (t != NULL && t->process->hung) {
		world_at(world_now() + LINKS_RETRY, arrive_knock, k, 0);
		return;
	}
	if (t == NULL || (sim_shape.provider.admits &&
			  !ticket_use(t, k->ticket, c))) {
		free(k);
		reset(c);
		return;
	}
	free(k);
	/* Where keys are all there is, nobody knows whose this one is. */
	c->joined = sim_shape.provider.admits;
	supersede(t, c);
	if (c->joined) {
		push(t, (struct xm_transport_event){
			.kind = XM_TRANSPORT_JOINED, .client = c->client,
		});
	}
	c->target = t;
	c->serial = ++f.serial;
	world_note("fabric.accept: a connection of node {from} to "
		   "node {to} is accepted for client {client:hex}", c->from, c->to, c->client);
	world_at(links_arrive(c->to, c->from, 64), arrive_accept, c, 0);
}

void fabric_break(uint32_t a, uint32_t b)
{
	for (struct connection *c = f.connections; c != NULL;
	     c = c->next_all) {
		if (c->from == a && c->to == b && c->target != NULL) {
			target_close(c);
			reset(c);
		}
	}
}

/* --- transport: operations of the contract ------------------------------------------------ */

static int transport_open(const struct xm_transport_options *o, char *words,
			  size_t words_size, struct xm_transport **ret)
{
	struct xm_transport *t;

	if (!o->target && weather_no_memory()) {
		snprintf(words, words_size, "no memory, says the weather");
		return -ENOMEM;
	}
	t = calloc(1, sizeof(*t));
	XM_ASSERT(t != NULL);
	t->process = world_current();
	t->incarnation = t->process->incarnation;
	t->node = t->process->node;
	t->open = true;
	t->target = o->target;
	t->uid = ++f.uid;
	t->last = &t->first;
	t->inbox_last = &t->inbox;
	t->next_all = f.transports;
	f.transports = t;
	if (t->uid >= f.doors_max) {
		f.doors_max = 2 * t->uid;
		f.doors = realloc(f.doors, f.doors_max * sizeof(*f.doors));
		XM_ASSERT(f.doors != NULL);
	}
	f.doors[t->uid] = t;
	*ret = t;
	return 0;
}

/* Out of the list that is gone through at every step; it may be named still. */
static void put_away(struct xm_transport *t)
{
	struct xm_transport **at = &f.transports;

	while (*at != t)
		at = &(*at)->next_all;
	*at = t->next_all;
	t->next_all = f.ended;
	f.ended = t;
	f.doors[t->uid] = NULL;
	t->open = false;
}

/* Whoever ends a transport, by close() or by dying. */
static void transport_end(struct xm_transport *t)
{
	if (!t->open)
		return;
	for (struct connection *c = f.connections; c != NULL;
	     c = c->next_all) {
		if (c->initiator == t) {
			cancel_all(c);
			c->initiator = NULL;
			if (death_is_told())
				world_at(links_arrive(c->from, c->to, 64),
					 arrive_close, c, 0);
		}
		if (c->target == t) {
			c->target = NULL;
			if (death_is_told())
				reset(c);
		}
	}
	put_away(t);
}

static void transport_close(struct xm_transport *t)
{
	transport_end(t);
}

static void transport_limits(struct xm_transport *t,
			     struct xm_transport_limits *ret)
{
	const struct sim_provider *p = &sim_shape.provider;

	(void)t;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->transport, "sim", 4);
	memcpy(ret->provider, "sim", 4);
	ret->size_max = p->size_max;
	ret->depth_max = p->depth;
	ret->peers_max = PEERS;
	ret->scatter_max = p->scatter;
	ret->revokes = p->revokes;
	ret->admits = p->admits;
	ret->reports_death = p->reports_death;
	ret->enlists = p->enlists;
	ret->waits = true;
}

static const char *transport_words(struct xm_transport *t)
{
	(void)t;
	return "";
}

static int transport_connect(struct xm_transport *t,
			     const struct xm_locator *where,
			     const uint8_t ticket[XM_TICKET_SIZE],
			     uint32_t *ret)
{
	struct connection *c = calloc(1, sizeof(*c));
	struct knock *k = calloc(1, sizeof(*k));
	uint32_t peer = 0;

	XM_ASSERT(c != NULL && k != NULL);
	while (peer < PEERS && t->peers[peer] != NULL)
		peer++;
	XM_ASSERT(peer < PEERS);
	c->next_all = f.connections;
	f.connections = c;
	c->initiator = t;
	c->home = t;
	c->from = t->node;
	c->to = where->bytes[8];
	c->peer = peer;
	t->peers[peer] = c;
	k->connection = c;
	memcpy(&k->uid, where->bytes, sizeof(k->uid));
	memcpy(k->ticket, ticket, XM_TICKET_SIZE);
	world_at(links_arrive(c->from, c->to, 64), arrive_knock, k, 0);
	*ret = peer;
	return 0;
}

static void transport_disconnect(struct xm_transport *t, uint32_t peer)
{
	struct connection *c = t->peers[peer];

	XM_ASSERT(c != NULL && c->initiator == t);
	cancel_all(c);
	c->initiator = NULL;
	c->up = false;
	t->peers[peer] = NULL;
	if (death_is_told())
		world_at(links_arrive(c->from, c->to, 64), arrive_close, c, 0);
}

static int transport_enlist(struct xm_transport *t, void *memory, size_t size)
{
	unsigned i = 0;

	if (weather_no_memory())
		return -ENOMEM;
	while (i < XM_SPANS_MAX && t->spans[i].memory != NULL)
		i++;
	if (i == XM_SPANS_MAX)
		return -ENOSPC;
	t->spans[i].memory = memory;
	t->spans[i].size = size;
	return 0;
}

static void transport_delist(struct xm_transport *t, void *memory, size_t size)
{
	for (unsigned i = 0; i < XM_SPANS_MAX; i++) {
		if (t->spans[i].memory == memory && t->spans[i].size == size)
			t->spans[i].memory = NULL;
	}
}

static int transport_read(struct xm_transport *t, uint32_t peer,
			  const struct xm_far *far, uint64_t offset,
			  void *near, size_t size, uint64_t token)
{
	return post(t, peer, false, far, &offset, 1, near, size, token);
}

static int transport_write(struct xm_transport *t, uint32_t peer,
			   const struct xm_far *far, uint64_t offset,
			   const void *near, size_t size, uint64_t token)
{
	return post(t, peer, true, far, &offset, 1, (void *)(uintptr_t)near,
		    size, token);
}

static int transport_scatter(struct xm_transport *t, uint32_t peer,
			     const struct xm_far *far, const uint64_t *offsets,
			     uint32_t count, const void *near, size_t piece,
			     uint64_t token)
{
	return post(t, peer, true, far, offsets, count,
		    (void *)(uintptr_t)near, piece, token);
}

static int transport_listen(struct xm_transport *t, void *pool,
			    size_t pool_size, struct xm_locator *ret)
{
	t->pool = pool;
	t->pool_size = pool_size;
	memset(ret, 0, sizeof(*ret));
	ret->size = 16;
	memcpy(ret->bytes, &t->uid, sizeof(t->uid));
	ret->bytes[8] = (uint8_t)t->node;
	return 0;
}

/* Who finds out one finds out nothing about another, least of all if it was
 * there before. */
static void token_note(struct xm_transport *t, const char *what,
		       const void *bytes, size_t size)
{
	struct token token = { { 0 } };

	memcpy(token.bytes, bytes, size);
	for (size_t i = 0; i < t->tokens_count; i++) {
		if (memcmp(&t->tokens[i], &token, sizeof(token)) == 0)
			world_broken("isolation", "%s is used twice", what);
	}
	t->tokens = realloc(t->tokens,
			    (t->tokens_count + 1) * sizeof(*t->tokens));
	XM_ASSERT(t->tokens != NULL);
	t->tokens[t->tokens_count++] = token;
	sim_counts.laws_asked++;
}

static int transport_admit(struct xm_transport *t, uint64_t client,
			   uint32_t lane,
			   const uint8_t ticket[XM_TICKET_SIZE])
{
	if (world_chance(WORLD_MISFORTUNE, sim_shape.no_memory)) {
		sim_counts.faults[SIM_FAULT_MEMORY]++;
		return -ENOMEM;
	}
	token_note(t, "a ticket", ticket, XM_TICKET_SIZE);
	t->tickets = realloc(t->tickets,
			     (t->tickets_count + 1) * sizeof(*t->tickets));
	XM_ASSERT(t->tickets != NULL);
	t->tickets[t->tickets_count].client = client;
	t->tickets[t->tickets_count].lane = lane;
	memcpy(t->tickets[t->tickets_count++].bytes, ticket, XM_TICKET_SIZE);
	return 0;
}

static void conceal(struct xm_transport *t, uint64_t client, uint64_t key,
		    bool all)
{
	for (size_t i = 0; i < t->exposed_count;) {
		struct exposed *e = &t->exposed[i];

		if (e->client != client || (!all && e->key != key)) {
			i++;
			continue;
		}
		if ((all && sim_shape.provider.admits) ||
		    (sim_shape.provider.revokes &&
		     !XM_PLANTED(deaf_conceal))) {
			*e = t->exposed[--t->exposed_count];
			continue;
		}
		if (!e->concealed)
			e->serial = f.serial;
		e->concealed = true;
		i++;
	}
}

static void transport_expel(struct xm_transport *t, uint64_t client)
{
	for (struct connection *c = f.connections; c != NULL;
	     c = c->next_all) {
		if (c->target != t || !c->joined || c->client != client)
			continue;
		target_close(c);
		reset(c);
	}
	for (size_t i = 0; i < t->tickets_count;) {
		if (t->tickets[i].client == client)
			t->tickets[i] = t->tickets[--t->tickets_count];
		else
			i++;
	}
	conceal(t, client, 0, true);
}

static int transport_expose(struct xm_transport *t, uint64_t client,
			    uint64_t offset, uint64_t size, uint64_t key,
			    struct xm_far *ret)
{
	XM_ASSERT(xm_span_fits(offset, size, t->pool_size));
	if (world_chance(WORLD_MISFORTUNE, sim_shape.no_memory)) {
		sim_counts.faults[SIM_FAULT_MEMORY]++;
		return -ENOMEM;
	}
	token_note(t, "a key", &key, sizeof(key));
	t->exposed = realloc(t->exposed,
			     (t->exposed_count + 1) * sizeof(*t->exposed));
	XM_ASSERT(t->exposed != NULL);
	t->exposed[t->exposed_count++] = (struct exposed){
		.client = client, .key = key, .offset = offset, .size = size,
	};
	ret->key = key;
	ret->base = 0;
	return 0;
}

static void transport_conceal(struct xm_transport *t, uint64_t client,
			      const struct xm_far *far)
{
	conceal(t, client, far->key, false);
}

static void execute_all(struct xm_transport *t)
{
	while (t->inbox != NULL) {
		struct arrival *a = t->inbox;

		t->inbox = a->next;
		if (t->inbox == NULL)
			t->inbox_last = &t->inbox;
		execute(t, a->operation);
		free(a);
	}
}

static int transport_poll(struct xm_transport *t,
			  struct xm_transport_event *ret, int count)
{
	int got = 0;

	if (t->inbox != NULL)
		execute_all(t);
	while (got < count && t->first != NULL) {
		struct queued *q = t->first;

		t->first = q->next;
		if (t->first == NULL)
			t->last = &t->first;
		t->counts.flying -= q->event.kind == XM_TRANSPORT_DONE;
		ret[got++] = q->event;
		if (q->event.kind == XM_TRANSPORT_DONE)
			cost_poll(q->write, q->size);
		free(q);
	}
	return got;
}

void fabric_count(const struct xm_transport *t, struct fabric_counts *sum)
{
	sum->reads += t->counts.reads;
	sum->writes += t->counts.writes;
	sum->bytes_read += t->counts.bytes_read;
	sum->bytes_written += t->counts.bytes_written;
	sum->flying += t->counts.flying + t->flying;
}

static bool readable(const struct xm_transport *t)
{
	return t->first != NULL || t->inbox != NULL;
}

static int transport_arm(struct xm_transport *t)
{
	return readable(t) ? -EAGAIN : SIM_KICKS + (int)t->uid;
}

bool fabric_readable(int door)
{
	uint64_t uid = (uint64_t)(door - SIM_KICKS);

	XM_ASSERT(uid > 0 && uid <= f.uid);
	return f.doors[uid] != NULL && readable(f.doors[uid]);
}

static void transport_wait(struct xm_transport *t, int fd, uint64_t timeout_ns)
{
	if (readable(t) || sim_kicked(fd))
		return;
	world_wait(t->process, timeout_ns);
}

const struct xm_transport_ops fabric_transport = {
	.scheme = "sim",
	.open = transport_open,
	.close = transport_close,
	.limits = transport_limits,
	.words = transport_words,
	.connect = transport_connect,
	.disconnect = transport_disconnect,
	.enlist = transport_enlist,
	.delist = transport_delist,
	.read = transport_read,
	.write = transport_write,
	.scatter = transport_scatter,
	.listen = transport_listen,
	.admit = transport_admit,
	.expel = transport_expel,
	.expose = transport_expose,
	.conceal = transport_conceal,
	.poll = transport_poll,
	.arm = transport_arm,
	.wait = transport_wait,
};

/* Does a connection that is open now know this key? Where keys are all there
 * is, a concealed one is waited out. */
static bool key_opens(const struct xm_transport *t, const struct exposed *e)
{
	if (!sim_shape.provider.admits)
		return !e->concealed;
	for (struct connection *c = f.connections; c != NULL;
	     c = c->next_all) {
		if (c->target == t && c->client == e->client &&
		    (!e->concealed || c->serial <= e->serial))
			return true;
	}
	return false;
}

static void ask_lanes(const struct xm_transport *t)
{
	for (struct connection *c = f.connections; c != NULL;
	     c = c->next_all) {
		if (c->target != t)
			continue;
		for (struct connection *d = c->next_all; d != NULL;
		     d = d->next_all) {
			if (d->target == t && d->client == c->client &&
			    d->lane == c->lane)
				world_broken("faithfulness", "client %llu has "
					     "two connections of lane %u, and "
					     "writes of both can land",
					     (unsigned long long)c->client,
					     c->lane);
		}
	}
}

void fabric_ask(uint32_t appliance)
{
	struct process *interface = appliance_interface(appliance);

	for (struct xm_transport *t = f.transports; t != NULL;
	     t = t->next_all) {
		if (t->process != interface ||
		    t->incarnation != interface->incarnation)
			continue;
		if (sim_shape.provider.admits)
			ask_lanes(t);
		for (size_t i = 0; i < t->exposed_count; i++) {
			const struct exposed *e = &t->exposed[i];

			if (key_opens(t, e))
				oracle_key(appliance, e->client, e->offset,
					   e->size);
		}
	}
}

bool fabric_key(const struct process *interface, uint64_t key,
		uint64_t *ret_offset)
{
	for (struct xm_transport *t = f.transports; t != NULL;
	     t = t->next_all) {
		if (t->process != interface)
			continue;
		for (size_t i = 0; i < t->exposed_count; i++) {
			if (t->exposed[i].key != key || t->exposed[i].concealed)
				continue;
			*ret_offset = t->exposed[i].offset;
			return true;
		}
	}
	return false;
}

/* --- life and death ------------------------------------------------------------- */

void fabric_process_died(struct process *p)
{
	for (struct xm_transport *t = f.transports, *next; t; t = next) {
		next = t->next_all;
		if (t->process == p && t->incarnation == p->incarnation)
			transport_end(t);
	}
	streams_process_died(p);
}

void fabric_open(void)
{
	memset(&f, 0, sizeof(f));
	links_open();
	streams_open();
}

static void transports_free(struct xm_transport *t)
{
	for (struct xm_transport *next; t != NULL; t = next) {
		next = t->next_all;
		while (t->first != NULL) {
			struct queued *q = t->first;

			t->first = q->next;
			free(q);
		}
		while (t->inbox != NULL) {
			struct arrival *a = t->inbox;

			t->inbox = a->next;
			free(a);
		}
		free(t->exposed);
		free(t->tickets);
		free(t->tokens);
		free(t);
	}
}

void fabric_close(void)
{
	streams_close();
	for (struct operation *op = f.operations, *next; op; op = next) {
		next = op->next_all;
		free(op->bytes);
		free(op);
	}
	for (struct connection *c = f.connections, *next; c; c = next) {
		next = c->next_all;
		free(c);
	}
	transports_free(f.transports);
	transports_free(f.ended);
	free(f.doors);
	memset(&f, 0, sizeof(f));
}
