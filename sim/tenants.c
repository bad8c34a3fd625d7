/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tenants in the world, and the laws about them: a hostile tenant has no promise but
 * its own quota, and the others' bytes and service do not feel it. What a client says of
 * itself decides nothing; who it is, the law knows from the host that it runs on.
 */
#include <stdio.h>
#include <string.h>

#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fabric.h"
#include "sim/notes.h"
#include "sim/plan.h"
#include "sim/tenants.h"
#include "sim/world.h"

#define TENANTS 3 /* most */

struct had {
	uint64_t bytes, extents;
};

static struct {
	struct xm_tenants policy;
	uint64_t bytes[TENANTS], extents[TENANTS]; /* quotas, as last seen */
	struct had had[TENANTS];		   /* likewise */
	/* Who each client is, by its slot: as its streams came from. */
	struct {
		uint64_t number;
		uint32_t node;
	} clients[64];
} at[SIM_APPLIANCES_MAX];

static uint64_t some(uint64_t most)
{
	return xm_rand_below(world_rand(WORLD_TENANTS), most);
}

/* From numbers of their own, so that all else is drawn as without them. */
void tenants_draw(struct sim_shape *s)
{
	static const uint32_t every_ms[] = { 0, 300, 2000 };
	bool drawn = some(4) == 0;
	uint32_t tenants = 1 + (uint32_t)some(xm_min(TENANTS, s->clients));
	uint32_t quotas_ms = every_ms[some(XM_COUNT(every_ms))];

	if (sim_plan.plain || sim_plan.one_tenant || s->pauses || !drawn)
		return;
	s->tenants = tenants;
	if (xm_rand_below(world_rand(WORLD_RATES), 2) == 0)
		s->rate = 8 + (uint32_t)xm_rand_below(world_rand(WORLD_RATES), 40);
	/* Who asks too often gets no ticket for a while: for longer than a path may be down, and
	 * that is no trouble of the appliance's. */
	if (s->rate != 0 && s->survives)
		s->loss_ms = 60000;
	s->quotas_ms = quotas_ms;
	/* A thief takes a stream. */
	s->thief = tenants > 1 && !s->streams_tight && s->weather_ms > 0;
}

static uint32_t tenant_at(uint32_t node)
{
	return (node - SIM_APPLIANCES_MAX) % sim_shape.tenants;
}

void tenants_identity(uint32_t node, char ret[XM_IDENTITY_SIZE])
{
	ret[0] = '\0';
	if (sim_shape.tenants > 0 && node >= SIM_APPLIANCES_MAX)
		snprintf(ret, XM_IDENTITY_SIZE, "t%u-c%u", tenant_at(node),
			 node - SIM_APPLIANCES_MAX);
}

/* --- policies -------------------------------------------------------------------- */

static uint64_t draw_bytes(void)
{
	uint64_t quarters = 1 + some(6);
	uint64_t bytes = sim_shape.pool_size / 4 * quarters;

	if (quarters > 3)
		return XM_TENANT_ALL;
	return bytes / sim_shape.granule * sim_shape.granule;
}

const struct xm_tenants *tenants_change(uint32_t appliance)
{
	struct xm_tenants *t = &at[appliance].policy;
	char text[XM_TENANT_NAME_SIZE];
	uint32_t other;

	xm_tenants_begin(t);
	for (uint32_t i = 0; i < sim_shape.tenants; i++) {
		snprintf(text, sizeof(text), "t%u", i);
		XM_ASSERT(xm_tenants_add(t, text) == (int)i);
		snprintf(text, sizeof(text), "t%u-*", i);
		XM_ASSERT(xm_tenants_match(t, i, text, &other) == 0);
		t->list[i].bytes = draw_bytes();
		t->list[i].extents = some(4) != 0 ? XM_TENANT_ALL
			: sim_shape.extents_max / 2 + 1;
		t->list[i].requests = sim_shape.rate == 0 ? XM_TENANT_ALL
							  : sim_shape.rate;
		t->list[i].admin = i == 0 && some(2) == 0;
		world_note("tenants.quota: tenant {tenant} may have {size} bytes of "
			   "appliance {index}", i,
			   xm_min(t->list[i].bytes, sim_shape.pool_size),
			   appliance);
	}
	return t;
}

const struct xm_tenants *tenants_policy(uint32_t appliance)
{
	return sim_shape.tenants == 0 ? NULL : &at[appliance].policy;
}

void tenants_begin(uint32_t appliance)
{
	memset(&at[appliance], 0, sizeof(at[appliance]));
	if (sim_shape.tenants > 0)
		tenants_change(appliance);
}

uint64_t tenants_pause(void)
{
	return (1 + some(2 * sim_shape.quotas_ms)) * XM_MS;
}

/* --- laws -------------------------------------------------------------------------- */

/* A client is who it was when it began, wherever its stream comes from. */
static void ask_client(uint32_t appliance, const struct xm_service *s, uint32_t slot)
{
	const struct xm_service_client *c = &s->clients[slot];
	uint32_t node = c->peer == XM_SERVICE_NONE
		? UINT32_MAX : fabric_peer_node(appliance, c->peer);

	if (node != UINT32_MAX) {
		if (at[appliance].clients[slot].number != c->number)
			at[appliance].clients[slot].node = node;
		at[appliance].clients[slot].number = c->number;
		sim_counts.laws_asked++;
		if (at[appliance].clients[slot].node != node)
			world_broken("tenant", "client %llu of appliance %u began at "
				     "node %u, and node %u has resumed it",
				     (unsigned long long)c->number, appliance,
				     at[appliance].clients[slot].node, node);
	}
	if (at[appliance].clients[slot].number != c->number)
		return;
	sim_counts.laws_asked++;
	if (c->tenant != tenant_at(at[appliance].clients[slot].node))
		world_broken("tenant", "appliance %u takes client %llu of tenant %u "
			     "for one of tenant %u", appliance,
			     (unsigned long long)c->number,
			     tenant_at(at[appliance].clients[slot].node), c->tenant);
}

static void ask_growth(uint32_t appliance, uint32_t tenant, const struct had *now)
{
	const struct xm_tenant *t = &at[appliance].policy.list[tenant];
	const struct had *was = &at[appliance].had[tenant];
	uint64_t bytes = xm_max(t->bytes, at[appliance].bytes[tenant]);
	uint64_t extents = xm_max(t->extents, at[appliance].extents[tenant]);

	sim_counts.laws_asked += 2;
	if (now->bytes > xm_max(bytes, was->bytes))
		world_broken("tenant", "tenant %u has %llu bytes of appliance %u, and "
			     "may have %llu", tenant,
			     (unsigned long long)now->bytes, appliance,
			     (unsigned long long)bytes);
	if (now->extents > xm_max(extents, was->extents))
		world_broken("tenant", "tenant %u has %llu extents of appliance %u, "
			     "and may have %llu", tenant,
			     (unsigned long long)now->extents, appliance,
			     (unsigned long long)extents);
	at[appliance].bytes[tenant] = t->bytes;
	at[appliance].extents[tenant] = t->extents;
	at[appliance].had[tenant] = *now;
}

/* Counted by the nodes that the owners run on; what has no owner any more is left to
 * xm_service_check(). */
void law_tenants(uint32_t appliance)
{
	const struct xm_service *s = appliance_service(appliance);
	struct had had[TENANTS];

	if (s == NULL || sim_shape.tenants == 0)
		return;
	XM_ASSERT(s->options.clients_max <= XM_COUNT(at[0].clients));
	memset(had, 0, sizeof(had));
	for (uint32_t i = 0; i < s->options.clients_max; i++)
		if (s->clients[i].state != XM_CLIENT_FREE)
			ask_client(appliance, s, i);
	for (uint32_t i = 0; i < s->options.extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];
		uint32_t tenant;

		if (e->state == XM_EXTENT_FREE || e->owner == XM_SERVICE_NONE ||
		    at[appliance].clients[e->owner].number !=
			    s->clients[e->owner].number)
			continue;
		tenant = tenant_at(at[appliance].clients[e->owner].node);
		had[tenant].bytes += e->size;
		had[tenant].extents++;
	}
	for (uint32_t i = 0; i < sim_shape.tenants; i++)
		ask_growth(appliance, i, &had[i]);
}

void law_listed(uint32_t appliance, uint32_t peer, const void *bytes, size_t size)
{
	uint32_t node = fabric_peer_node(appliance, peer);
	static struct xm_message m;

	if (sim_shape.tenants == 0 || ((const uint8_t *)bytes)[0] != XM_LISTED ||
	    node == UINT32_MAX || xm_wire_decode(bytes, size, &m) != 0 ||
	    at[appliance].policy.list[tenant_at(node)].admin)
		return;
	for (uint32_t i = 0; i < m.u.listed.count; i++) {
		uint64_t number = m.u.listed.entries[i].client;
		uint32_t slot = number & (XM_SERVICE_SLOTS_MAX - 1);

		sim_counts.laws_asked++;
		if (at[appliance].clients[slot].number == number &&
		    tenant_at(at[appliance].clients[slot].node) != tenant_at(node))
			world_broken("tenant", "a list for tenant %u shows what is "
				     "tenant %u's", tenant_at(node),
				     tenant_at(at[appliance].clients[slot].node));
	}
}
