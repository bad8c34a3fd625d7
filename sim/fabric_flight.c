/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is under way in the simulated fabric: operations, their arrival and their
 * ends, and the connections that they go by. fabric.c says how it behaves.
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
#include "sim/links.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/shape.h"
#include "sim/weather.h"
#include "sim/world.h"
#include "core/pure/ledger.h"
#include "core/pure/plant.h"

struct fabric fabric;

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

/* Those that have ended, with the room for a page that most of them need: both are
 * used again while they are in the processor's cache. Kept from run to run. */
static struct operation *spare;
static struct page {
	struct page *next;
	uint8_t rest[XM_PAGE - sizeof(struct page *)];
} *spare_pages;

static uint8_t *bytes_take(size_t size)
{
	struct page *page = spare_pages;

	if (size <= sizeof(*page) && page != NULL) {
		spare_pages = page->next;
		return (uint8_t *)page;
	}
	page = malloc(xm_max(size, sizeof(*page)));
	XM_ASSERT(page != NULL);
	return (uint8_t *)page;
}

static void bytes_give(struct operation *op)
{
	struct page *page = (struct page *)(void *)op->bytes;

	op->bytes = NULL;
	if (page != NULL && op->size <= sizeof(*page)) {
		page->next = spare_pages;
		spare_pages = page;
	} else {
		free(page);
	}
}

static struct operation *operation_take(struct xm_transport *t)
{
	struct operation *op = spare;

	if (op != NULL)
		spare = op->next_all;
	else
		op = malloc(sizeof(*op));
	XM_ASSERT(op != NULL);
	*op = (struct operation){
		.next = t->operations, .link = &t->operations,
		.next_all = fabric.operations, .link_all = &fabric.operations,
		.initiator = t, .holders = 2,
	};
	if (op->next != NULL)
		op->next->link = &op->next;
	if (op->next_all != NULL)
		op->next_all->link_all = &op->next_all;
	t->operations = fabric.operations = op;
	return op;
}

static void operation_free(struct operation *op)
{
	bytes_give(op);
	*op->link_all = op->next_all;
	if (op->next_all != NULL)
		op->next_all->link_all = op->link_all;
	op->next_all = spare;
	spare = op;
}

/* One of its holders has done with it. */
static void operation_leave(struct operation *op)
{
	XM_ASSERT(op->holders > 0);
	if (--op->holders == 0)
		operation_free(op);
}

void fabric_operations_close(void)
{
	while (fabric.operations != NULL)
		operation_free(fabric.operations);
}

static void forget_near(struct operation *op, int status)
{
	struct queued *q;

	*op->link = op->next;
	if (op->next != NULL)
		op->next->link = op->link;
	op->initiator->flying--;
	op->cancelled = true;
	op->local = NULL;
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
	operation_leave(op);
}

void fabric_cancel(struct connection *c)
{
	struct operation *op = c->initiator->operations;

	while (op != NULL) {
		struct operation *next = op->next;

		if (op->connection == c)
			forget_near(op, -ECANCELED);
		op = next;
	}
}

bool fabric_waits(const struct connection *c, bool back)
{
	return c->home->cut_ns[c->to] > world_now() ||
	       (back ? links_blocked(c->to, c->from)
		     : links_blocked(c->from, c->to));
}

/* The initiator hears that its connection is gone. */
static void arrive_reset(void *argument, uint64_t again)
{
	struct connection *c = argument;

	(void)again;
	if (c->initiator == NULL || c->down)
		return;
	if (fabric_waits(c, true)) {
		world_at(world_now() + LINKS_RETRY, arrive_reset, c, 1);
		return;
	}
	world_note("fabric.reset: node {from} hears that its "
		   "connection {peer} to node {to} is gone", c->from, c->peer, c->to);
	c->down = true;
	c->up = false;
	fabric_cancel(c);
	push(c->initiator, (struct xm_transport_event){
		.kind = XM_TRANSPORT_DOWN, .peer = c->peer,
		.status = -ECONNRESET,
	});
}

/* The initiator is told of its connection's end, after some time. */
void fabric_reset(struct connection *c)
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

/* Whether the other end is told that this process, or its host, has died. */
bool fabric_death_is_told(void)
{
	sim_counts.faults[SIM_FAULT_UNTOLD_DEATH] +=
		!sim_shape.provider.reports_death;
	return sim_shape.provider.reports_death;
}

/* The target's side ends: what has not been executed never will be. */
void fabric_target_close(struct connection *c)
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

void fabric_arrive_close(void *argument, uint64_t number)
{
	struct connection *c = argument;

	(void)number;
	if (fabric_waits(c, false)) {
		world_at(world_now() + LINKS_RETRY, fabric_arrive_close, c, 0);
		return;
	}
	fabric_target_close(c);
}

static void arrive_response(void *argument, uint64_t number)
{
	struct operation *op = argument;
	struct connection *c = op->connection;

	(void)number;
	if (!op->cancelled && fabric_waits(c, true)) {
		world_at(world_now() + LINKS_RETRY, arrive_response, op, 0);
		return;
	}
	if (!op->cancelled && !op->write && op->status == 0)
		memcpy(op->local, op->bytes, op->size);
	if (!op->cancelled)
		forget_near(op, op->status);
	operation_leave(op);
}

/* The operation is not executed. */
static void shut(struct operation *op)
{
	world_note("fabric.shut: what node {from} posted to node {to} finds its "
		   "connection gone, write {write:bool}",
		   op->connection->from, op->connection->to, op->write);
	operation_leave(op);
}

/* The connection ends as this is executed, and its initiator does not hear whether it
 * was. */
static void end_with(struct connection *c, struct operation *op)
{
	world_note("fabric.unknown: the connection of node {from} to node {to} ends "
		   "with a write of a ledger", c->from, c->to, 0);
	fabric_target_close(c);
	fabric_reset(c);
	operation_leave(op);
}

/* Without a key that fits: by some providers the connection ends with it. */
static bool refuse(struct xm_transport *t, struct operation *op, const struct exposed *e)
{
	struct connection *c = op->connection;

	sim_counts.faults[SIM_FAULT_REFUSED_KEY]++;
	world_note("fabric.refused: an access of node {from} to "
		   "node {to} is refused, write {write:bool}",
		   c->from, c->to, op->write);
	fabric_refuses(t, op, e);
	op->status = -EACCES;
	if (sim_shape.provider.refuses)
		return true;
	fabric_target_close(c);
	fabric_reset(c);
	operation_leave(op);
	return false;
}

/* One access, at the target, when it polls. */
void fabric_execute(struct xm_transport *t, struct operation *op)
{
	struct connection *c = op->connection;
	enum weather_end end = WEATHER_NO_END;
	uint64_t took_ns = 0;
	struct exposed *e;

	if (c->target != t) {
		shut(op); /* it was closed in between */
		return;
	}
	if (op->write && op->size == XM_LEDGER_SLOT)
		end = weather_ledger(c->to);
	if (end == WEATHER_END_BEFORE) {
		end_with(c, op);
		return;
	}
	e = fabric_key_find(t, c->client, &op->remote);
	/* It was dead before this connection was: quarantine relies on that. */
	if (e != NULL && e->concealed && sim_shape.provider.admits &&
	    c->serial > e->serial)
		e = NULL;
	if (!fabric_fits(op, e)) {
		if (!refuse(t, op, e))
			return;
	} else if (op->write) {
		uint8_t *from = op->bytes != NULL ? op->bytes : op->local;

		if (from == NULL) { /* cancelled before its bytes had left */
			operation_leave(op);
			return;
		}
		sim_counts.faults[SIM_FAULT_LATE_WRITE] += op->cancelled;
		took_ns = fabric_carry(t, op, e, from);
	} else {
		op->bytes = bytes_take(op->size);
		took_ns = fabric_carry(t, op, e, op->bytes);
	}
	if (end == WEATHER_END_BEHIND) {
		end_with(c, op);
		return;
	}
	world_at(xm_max(links_arrive(c->to, c->from, op->write ? 64 : op->size) + took_ns,
			op->ends_ns),
		 arrive_response, op, 0);
}

static void arrive_request(void *argument, uint64_t number)
{
	struct operation *op = argument;
	struct connection *c = op->connection;
	struct arrival *a;

	(void)number;
	if (fabric_waits(c, false)) {
		world_at(world_now() + LINKS_RETRY, arrive_request, op, 0);
		return;
	}
	if (c->target == NULL) {
		shut(op); /* which may be its end */
		if (fabric_death_is_told())
			fabric_reset(c);
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

static bool is_enlisted(const struct xm_transport *t, const uint8_t *local,
			size_t size)
{
	bool found = !sim_shape.provider.registers;

	for (unsigned i = 0; i < XM_SPANS_MAX && !found; i++)
		found = t->spans[i].memory != NULL &&
			local >= t->spans[i].memory &&
			local + size <= t->spans[i].memory + t->spans[i].size;
	return found;
}

int fabric_post(struct xm_transport *t, uint32_t peer, bool write,
		const struct xm_remote_mr *remote, const uint64_t *offsets,
		uint32_t count, void *local, size_t piece, uint64_t token)
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
	op = operation_take(t);
	if (cost.on)
		op->ends_ns = cost_ends(write, size, &c->busy_ns);
	op->connection = c;
	op->write = write;
	op->remote = *remote;
	memcpy(op->offsets, offsets, count * sizeof(offsets[0]));
	op->count = count;
	op->piece = piece;
	op->size = size;
	op->token = token;
	op->local = local;
	XM_ASSERT(is_enlisted(t, local, size));
	if (write && (world_chance(WORLD_NETWORK, 2) ||
		      XM_PLANTED(early_acknowledgement))) {
		op->bytes = bytes_take(size);
		memcpy(op->bytes, local, size);
	}
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
	for (struct xm_transport *t = fabric.transports; t != NULL;
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
	if (fabric_waits(c, true)) {
		world_at(world_now() + LINKS_RETRY, arrive_accept, c, 0);
		return;
	}
	c->up = true;
	push(c->initiator, (struct xm_transport_event){
		.kind = XM_TRANSPORT_UP, .peer = c->peer,
	});
}

static bool ticket_use(struct xm_transport *t, const uint8_t *bytes,
		       struct connection *c)
{
	for (size_t i = 0; i < t->tickets_count; i++) {
		if (memcmp(t->tickets[i].bytes, bytes, XM_TICKET_SIZE) != 0)
			continue;
		c->client = t->tickets[i].client;
		c->lane = t->tickets[i].lane;
		fabric_ticket(t, bytes, true);
		if (!XM_PLANTED(ticket_twice))
			t->tickets[i] = t->tickets[--t->tickets_count];
		return true;
	}
	return false;
}

/* A lane's former connections end before the new one is accepted. Where a target
 * does not know lanes, the provider's queue between two endpoints keeps the order
 * instead: what was posted earlier is not executed later. */
static void supersede(struct xm_transport *t, const struct connection *by)
{
	if (XM_PLANTED(not_superseded))
		return;
	for (struct connection *c = fabric.connections; c != NULL;
	     c = c->next_all) {
		bool former = by->joined ? c->client == by->client &&
						   c->lane == by->lane
					 : c->home == by->home;

		if (c != by && c->target == t && former) {
			world_note("fabric.supersede: an earlier connection "
				   "of node {from} to node {to} is closed",
				   c->from, c->to, 0);
			fabric_target_close(c);
			fabric_reset(c);
		}
	}
}

void fabric_arrive_knock(void *argument, uint64_t number)
{
	struct knock *k = argument;
	struct connection *c = k->connection;
	struct xm_transport *t = transport_uid(k->uid);

	(void)number;
	if (fabric_waits(c, false)) {
		world_at(world_now() + LINKS_RETRY, fabric_arrive_knock, k, 0);
		return;
	}
	/* A hung target's kernel keeps the request; nobody accepts it. */
	if (t != NULL && t->process->hung) {
		world_at(world_now() + LINKS_RETRY, fabric_arrive_knock, k, 0);
		return;
	}
	if (t == NULL || (sim_shape.provider.admits &&
			  !ticket_use(t, k->ticket, c))) {
		free(k);
		fabric_reset(c);
		return;
	}
	free(k);
	/* Without tickets the target does not know whose connection this is. */
	c->joined = sim_shape.provider.admits;
	supersede(t, c);
	if (c->joined) {
		push(t, (struct xm_transport_event){
			.kind = XM_TRANSPORT_JOINED, .client = c->client,
		});
	}
	c->target = t;
	c->serial = ++fabric.serial;
	world_note("fabric.accept: a connection of node {from} to "
		   "node {to} is accepted for client {client:hex}", c->from, c->to, c->client);
	world_at(links_arrive(c->to, c->from, 64), arrive_accept, c, 0);
}
