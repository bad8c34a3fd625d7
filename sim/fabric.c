/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulated fabric: the transport contract over virtual links (links.c; the
 * channel contract is in streams.c), behaving as libfabric and TCP were measured
 * to, not as documented:
 *
 *  - a target moves no bytes unless its process polls, whatever has arrived;
 *  - a cancelled operation may still be executed later, if its bytes were sent:
 *    half of all writes carry a copy made when they were posted, the others read
 *    their buffer at the last moment (so that a buffer freed too early shows);
 *  - completions of one connection come in any order;
 *  - the death of a peer is reported late, or by some providers never; a hang is
 *    never reported;
 *  - a blocked link delays what it carries until it opens (TCP sends again), and
 *    now and then costs the time of a retransmission;
 *  - keys may stay valid after conceal(), where the provider does not revoke;
 *  - control messages and one-sided operations are not ordered with each other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/appliance.h"
#include "sim/cost.h"
#include "sim/counts.h"
#include "sim/fabric.h"
#include "sim/fabric_parts.h"
#include "sim/fibers.h"
#include "sim/interface.h"
#include "sim/links.h"
#include "sim/notes.h"
#include "sim/places.h"
#include "sim/oracle.h"
#include "sim/os.h"
#include "sim/shape.h"
#include "sim/weather.h"
#include "sim/world.h"
#include "core/pure/plant.h"

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
	t->uid = ++fabric.uid;
	t->last = &t->first;
	t->inbox_last = &t->inbox;
	t->next_all = fabric.transports;
	fabric.transports = t;
	if (t->uid >= fabric.doors_max) {
		fabric.doors_max = 2 * t->uid;
		fabric.doors = realloc(fabric.doors, fabric.doors_max * sizeof(*fabric.doors));
		XM_ASSERT(fabric.doors != NULL);
	}
	fabric.doors[t->uid] = t;
	if (t->target) {
		XM_ASSERT(fabric.targets[t->process->index] == NULL);
		fabric.targets[t->process->index] = t;
	}
	*ret = t;
	return 0;
}

/* Takes it out of the list of open ones; connections may still refer to it. */
static void put_away(struct xm_transport *t)
{
	struct xm_transport **at = &fabric.transports;

	while (*at != t)
		at = &(*at)->next_all;
	*at = t->next_all;
	t->next_all = fabric.ended;
	fabric.ended = t;
	fabric.doors[t->uid] = NULL;
	if (t->target)
		fabric.targets[t->process->index] = NULL;
	t->open = false;
}

/* By close(), or because its process has died. */
static void transport_end(struct xm_transport *t)
{
	if (!t->open)
		return;
	for (struct connection *c = fabric.connections; c != NULL;
	     c = c->next_all) {
		if (c->initiator == t) {
			fabric_cancel(c);
			c->initiator = NULL;
			if (fabric_death_is_told())
				world_at(links_arrive(c->from, c->to, 64),
					 fabric_arrive_close, c, 0);
		}
		if (c->target == t) {
			c->target = NULL;
			if (fabric_death_is_told())
				fabric_reset(c);
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
	ret->restricts = true;
	ret->admits = p->admits;
	ret->reports_death = p->reports_death;
	ret->registers = p->registers;
	ret->waits = true;
}

static const char *transport_last_error(struct xm_transport *t)
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
	c->next_all = fabric.connections;
	fabric.connections = c;
	c->initiator = t;
	c->home = t;
	c->from = t->node;
	c->to = where->bytes[8];
	c->peer = peer;
	t->peers[peer] = c;
	k->connection = c;
	memcpy(&k->uid, where->bytes, sizeof(k->uid));
	memcpy(k->ticket, ticket, XM_TICKET_SIZE);
	world_at(links_arrive(c->from, c->to, 64), fabric_arrive_knock, k, 0);
	*ret = peer;
	return 0;
}

static void transport_disconnect(struct xm_transport *t, uint32_t peer)
{
	struct connection *c = t->peers[peer];

	XM_ASSERT(c != NULL && c->initiator == t);
	fabric_cancel(c);
	c->initiator = NULL;
	c->up = false;
	t->peers[peer] = NULL;
	if (fabric_death_is_told())
		world_at(links_arrive(c->from, c->to, 64), fabric_arrive_close, c, 0);
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
			  const struct xm_remote_mr *remote, uint64_t offset,
			  void *local, size_t size, uint64_t token)
{
	return fabric_post(t, peer, false, remote, &offset, 1, local, size, token);
}

static int transport_write(struct xm_transport *t, uint32_t peer,
			   const struct xm_remote_mr *remote, uint64_t offset,
			   const void *local, size_t size, uint64_t token)
{
	return fabric_post(t, peer, true, remote, &offset, 1, (void *)(uintptr_t)local,
		    size, token);
}

static int transport_scatter(struct xm_transport *t, uint32_t peer,
			     const struct xm_remote_mr *remote, const uint64_t *offsets,
			     uint32_t count, const void *local, size_t piece,
			     uint64_t token)
{
	return fabric_post(t, peer, true, remote, offsets, count,
		    (void *)(uintptr_t)local, piece, token);
}

static void execute_all(struct xm_transport *t)
{
	while (t->inbox != NULL) {
		struct arrival *a = t->inbox;

		t->inbox = a->next;
		if (t->inbox == NULL)
			t->inbox_last = &t->inbox;
		fabric_execute(t, a->operation);
		free(a);
	}
}

static int transport_poll(struct xm_transport *t,
			  struct xm_transport_event *ret, int count)
{
	int got = 0;

	if (t->inbox == NULL && t->first == NULL)
		return 0;
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

	XM_ASSERT(uid > 0 && uid <= fabric.uid);
	return fabric.doors[uid] != NULL && readable(fabric.doors[uid]);
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
	.last_error = transport_last_error,
	.connect = transport_connect,
	.disconnect = transport_disconnect,
	.register_memory = transport_enlist,
	.deregister_memory = transport_delist,
	.read = transport_read,
	.write = transport_write,
	.scatter = transport_scatter,
	.listen = fabric_listen,
	.admit = fabric_admit,
	.retract = fabric_retract,
	.expel = fabric_expel,
	.expose = fabric_expose,
	.conceal = fabric_conceal,
	.poll = transport_poll,
	.arm = transport_arm,
	.wait = transport_wait,
};

/* The connections that are open at this target now. Those that have ended stay in the
 * list of all, which is long, so the questions of a law look it through once. */
static struct connection *open_connections(const struct xm_transport *t)
{
	struct connection *first = NULL;

	for (struct connection *c = fabric.connections; c != NULL;
	     c = c->next_all) {
		if (c->target != t)
			continue;
		c->next_open = first;
		first = c;
	}
	return first;
}

/* Can this key be used through one of these? Where connections need no ticket, the
 * service waits until a concealed key cannot be used. */
static bool key_opens(const struct connection *open, const struct exposed *e)
{
	if (!sim_shape.provider.admits)
		return !e->concealed;
	for (const struct connection *c = open; c != NULL; c = c->next_open) {
		if (c->client == e->client &&
		    (!e->concealed || c->serial <= e->serial))
			return true;
	}
	return false;
}

static void ask_lanes(const struct connection *open)
{
	for (const struct connection *c = open; c != NULL; c = c->next_open) {
		for (const struct connection *d = c->next_open; d != NULL;
		     d = d->next_open) {
			if (d->client == c->client && d->lane == c->lane)
				world_broken("faithfulness", "client %llu has "
					     "two connections of lane %u, and "
					     "writes of both can land",
					     (unsigned long long)c->client,
					     c->lane);
		}
	}
}

/* NULL: the process is dead, or has not opened it. */
static const struct xm_transport *target_of(const struct process *interface)
{
	return interface != NULL ? fabric.targets[interface->index] : NULL;
}

static void ask_place(uint32_t appliance, uint32_t place)
{
	const struct process *interface = appliance_interface(appliance, place);
	const struct xm_transport *t = target_of(interface);
	const struct connection *open;

	if (t == NULL || t->incarnation != interface->incarnation)
		return;
	open = open_connections(t);
	if (sim_shape.provider.admits)
		ask_lanes(open);
	for (size_t i = 0; i < t->exposed_count; i++) {
		const struct exposed *e = &t->exposed[i];

		if (key_opens(open, e))
			oracle_key(appliance, e->client, e->offset, e->size,
				   e->rights);
	}
}

void fabric_ask(uint32_t appliance)
{
	for (uint32_t i = 0; i < places_count(); i++)
		ask_place(appliance, i);
}

static bool key_of(const struct xm_transport *t, uint64_t key, uint64_t *ret_offset)
{
	for (size_t i = 0; t != NULL && i < t->exposed_count; i++) {
		if (t->exposed[i].key != key || t->exposed[i].concealed)
			continue;
		*ret_offset = t->exposed[i].offset;
		return true;
	}
	return false;
}

bool fabric_key(uint32_t appliance, uint64_t key, uint64_t *ret_offset)
{
	for (uint32_t i = 0; i < places_count(); i++)
		if (key_of(target_of(appliance_interface(appliance, i)), key, ret_offset))
			return true;
	return false;
}

/* --- life and death ------------------------------------------------------------- */

void fabric_process_died(struct process *p)
{
	for (struct xm_transport *t = fabric.transports, *next; t; t = next) {
		next = t->next_all;
		if (t->process == p && t->incarnation == p->incarnation)
			transport_end(t);
	}
	streams_process_died(p);
}

void fabric_open(void)
{
	memset(&fabric, 0, sizeof(fabric));
	links_open();
	streams_open();
}

static void transports_free(struct xm_transport *t)
{
	for (struct xm_transport *next; t != NULL; t = next) {
		next = t->next_all;
		interface_close(t->interface);
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
	fabric_operations_close();
	for (struct connection *c = fabric.connections, *next; c; c = next) {
		next = c->next_all;
		free(c);
	}
	transports_free(fabric.transports);
	transports_free(fabric.ended);
	free(fabric.doors);
	memset(&fabric, 0, sizeof(fabric));
}
