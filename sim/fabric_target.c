/* SPDX-License-Identifier: BSD-3-Clause */
/* The target's half of the simulated fabric's contract: tickets, exposures, and accesses to
 * what is exposed. fabric.c says how it behaves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fabric_parts.h"
#include "sim/interface.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "core/pure/plant.h"

int fabric_listen(struct xm_transport *t, void *pool,
			    size_t pool_size, struct xm_locator *ret)
{
	t->pool = pool;
	t->base = (uint64_t)((uint8_t *)pool -
			     appliance_pool(appliance_at_interface(t->process)));
	t->pool_size = pool_size;
	t->interface = interface_open(pool, pool_size);
	memset(ret, 0, sizeof(*ret));
	ret->size = 16;
	memcpy(ret->bytes, &t->uid, sizeof(t->uid));
	ret->bytes[8] = (uint8_t)t->node;
	return 0;
}

/* A law: no key or ticket is ever used twice, so whoever learns one learns nothing
 * about another. */
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

int fabric_admit(struct xm_transport *t, uint64_t client,
			   uint32_t lane,
			   const uint8_t ticket[XM_TICKET_SIZE])
{
	if (world_chance(WORLD_MISFORTUNE, sim_shape.no_memory)) {
		sim_counts.faults[SIM_FAULT_MEMORY]++;
		return -ENOMEM;
	}
	token_note(t, "a ticket", ticket, XM_TICKET_SIZE);
	fabric_ticket(t, ticket, false);
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
			if (t->interface != NULL)
				interface_conceal(t->interface, e->key);
			*e = t->exposed[--t->exposed_count];
			continue;
		}
		if (!e->concealed)
			e->serial = fabric.serial;
		e->concealed = true;
		i++;
	}
}

int fabric_retract(struct xm_transport *t, uint64_t client,
			     const uint8_t ticket[XM_TICKET_SIZE])
{
	for (size_t i = 0; i < t->tickets_count; i++) {
		if (t->tickets[i].client != client ||
		    memcmp(t->tickets[i].bytes, ticket, XM_TICKET_SIZE) != 0)
			continue;
		t->tickets[i] = t->tickets[--t->tickets_count];
		return 0;
	}
	return -ENOENT;
}

void fabric_expel(struct xm_transport *t, uint64_t client)
{
	for (struct connection *c = fabric.connections; c != NULL;
	     c = c->next_all) {
		if (c->target != t || !c->joined || c->client != client)
			continue;
		fabric_target_close(c);
		fabric_reset(c);
	}
	for (size_t i = 0; i < t->tickets_count;) {
		if (t->tickets[i].client == client)
			t->tickets[i] = t->tickets[--t->tickets_count];
		else
			i++;
	}
	conceal(t, client, 0, true);
}

int fabric_expose(struct xm_transport *t, uint64_t client,
			    uint64_t offset, uint64_t size, uint32_t rights,
			    uint64_t key, struct xm_remote_mr *ret)
{
	XM_ASSERT(rights != 0 && (rights & ~XM_RIGHTS_ALL) == 0);
	XM_ASSERT(xm_span_fits(offset, size, t->pool_size));
	if (world_chance(WORLD_MISFORTUNE, sim_shape.no_memory)) {
		sim_counts.faults[SIM_FAULT_MEMORY]++;
		return -ENOMEM;
	}
	if (t->interface != NULL)
		key = interface_expose(t->interface, client, key, offset, size, rights);
	token_note(t, "a key", &key, sizeof(key));
	t->exposed = realloc(t->exposed,
			     (t->exposed_count + 1) * sizeof(*t->exposed));
	XM_ASSERT(t->exposed != NULL);
	t->exposed[t->exposed_count++] = (struct exposed){
		.client = client, .key = key, .offset = t->base + offset, .size = size,
		.rights = rights,
	};
	ret->key = key;
	ret->base = 0;
	return 0;
}

void fabric_conceal(struct xm_transport *t, uint64_t client,
			      const struct xm_remote_mr *remote)
{
	conceal(t, client, remote->key, false);
}

/* --- accesses -------------------------------------------------------------- */

struct exposed *fabric_key_find(struct xm_transport *t, uint64_t client,
				const struct xm_remote_mr *remote)
{
	for (size_t i = 0; i < t->exposed_count; i++) {
		struct exposed *e = &t->exposed[i];

		if (e->key == remote->key &&
		    (e->client == client || !sim_shape.provider.admits))
			return e;
	}
	return NULL;
}

static bool fits(const struct operation *op, const struct exposed *e, uint32_t piece)
{
	return e != NULL &&
	       (e->rights & (op->write ? XM_RIGHT_WRITE : XM_RIGHT_READ)) != 0 &&
	       xm_span_fits(op->offsets[piece], op->piece, e->size);
}

bool fabric_fits(const struct operation *op, const struct exposed *e)
{
	for (uint32_t i = 0; i < op->count; i++) {
		if (!fits(op, e, i))
			return false;
	}
	return true;
}

/* The model of an interface, if there is one, says of this piece what we say. */
static uint64_t by_interface(struct xm_transport *t, const struct operation *op,
			     uint32_t piece, bool allowed, uint8_t *bytes)
{
	return interface_access(t->interface, &(struct interface_access){
		.write = op->write, .allowed = allowed, .client = op->connection->client,
		.key = op->remote.key, .offset = op->offsets[piece], .size = op->piece,
		.bytes = bytes,
	});
}

void fabric_refuses(struct xm_transport *t, const struct operation *op,
		    const struct exposed *e)
{
	static uint8_t nowhere[4 * XM_MIB]; /* what is refused does not touch it */

	for (uint32_t i = 0; t->interface != NULL && i < op->count; i++) {
		if (!fits(op, e, i))
			(void)by_interface(t, op, i, false, nowhere);
	}
}

uint64_t fabric_carry(struct xm_transport *t, const struct operation *op,
		      const struct exposed *e, uint8_t *bytes)
{
	uint32_t at = appliance_at_interface(t->process);
	uint64_t took_ns = 0;

	for (uint32_t i = 0; i < op->count; i++) {
		uint8_t *local = bytes + i * op->piece;
		uint64_t byte = e->offset + op->offsets[i];

		oracle_access(at, e->client, byte, op->piece, op->write);
		if (op->write)
			appliance_written(at, byte, op->piece);
		if (t->interface != NULL)
			took_ns += by_interface(t, op, i, true, local);
		else if (op->write)
			memcpy(t->pool + (byte - t->base), local, op->piece);
		else
			memcpy(local, t->pool + (byte - t->base), op->piece);
	}
	world_note(op->write ? "fabric.write: node {from} writes byte {offset:hex} and on, "
			       "{size:bytes}"
			     : "fabric.read: node {from} reads byte {offset:hex} and on, "
			       "{size:bytes}",
		   op->connection->from, e->offset + op->offsets[0], op->size);
	return took_ns;
}
