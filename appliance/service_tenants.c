/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the service machine keeps of tenants (tenants.h): whose each stream, client and
 * extent is, and what each tenant has.
 *
 * A stream's tenant follows from the identity that it proved. A client is of the tenant
 * of the stream that began it, and an extent of its owner's; after its owner has ended,
 * of the tenant that had it then.
 *
 * Floor: ground.
 */
#include <string.h>

#include "appliance/service_parts.h"

struct xm_tenant_use *xm_service_use(struct xm_service *s, uint32_t tenant)
{
	XM_ASSERT(tenant <= XM_TENANT_NONE);
	return &s->uses[tenant];
}

bool xm_service_is_admin(const struct xm_service *s, uint32_t peer)
{
	return xm_tenant_is_admin(&s->tenants, s->peers[peer].tenant);
}

uint64_t xm_service_could_take(const struct xm_service *s, uint32_t tenant)
{
	return xm_min(xm_place_free(s, xm_place_of(s, tenant)),
		      xm_tenant_left(&s->tenants, tenant, &s->uses[tenant]));
}

/* --- another policy ---------------------------------------------------------- */

static void count_anew(struct xm_service *s)
{
	for (uint32_t i = 0; i < s->options.peers_max; i++)
		if (s->peers[i].state != XM_PEER_FREE)
			s->uses[s->peers[i].tenant].streams++;
	for (uint32_t i = 0; i < s->options.clients_max; i++)
		if (s->clients[i].state != XM_CLIENT_FREE) {
			struct xm_tenant_use *use = &s->uses[s->clients[i].tenant];

			use->clients++;
			use->readings += s->clients[i].readings;
		}
	for (uint32_t i = 0; i < s->options.extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];
		struct xm_tenant_use *use = &s->uses[e->tenant];

		if (e->state == XM_EXTENT_FREE)
			continue;
		use->extents++;
		use->bytes += e->size;
		use->parting += xm_slots_has(&s->lent, i) ? 0 : e->size;
	}
}

/* A tenant of the same name keeps its figures, and what it owes for requests. */
static void keep_figures(struct xm_service *s, const struct xm_tenants *fresh,
			 uint32_t *ret_now)
{
	struct xm_tenant_use uses[XM_TENANTS_MAX + 1];

	memset(uses, 0, sizeof(uses));
	ret_now[XM_TENANT_NONE] = XM_TENANT_NONE;
	for (uint32_t i = 0; i < s->tenants.count; i++) {
		const struct xm_tenant_use *old = &s->uses[i];
		uint32_t now = xm_tenants_named(fresh, s->tenants.list[i].name);

		ret_now[i] = now;
		if (now == XM_TENANT_NONE)
			continue;
		uses[now].requests_ns = old->requests_ns;
		uses[now].messages = old->messages;
		uses[now].refused = old->refused;
		uses[now].expired = old->expired;
		uses[now].lapsed = old->lapsed;
	}
	memcpy(s->uses, uses, sizeof(uses));
}

void xm_service_set_tenants(struct xm_service *s, const struct xm_tenants *fresh)
{
	uint32_t now[XM_TENANTS_MAX + 1];

	keep_figures(s, fresh, now);
	s->tenants = *fresh;
	for (uint32_t i = 0; i < s->options.peers_max; i++) {
		struct xm_service_peer *p = &s->peers[i];

		p->tenant = p->state == XM_PEER_FREE
			? XM_TENANT_NONE : xm_tenants_of(fresh, p->identity);
	}
	for (uint32_t i = 0; i < s->options.clients_max; i++) {
		struct xm_service_client *c = &s->clients[i];

		c->tenant = c->state == XM_CLIENT_FREE
			? XM_TENANT_NONE : xm_tenants_of(fresh, c->identity);
	}
	for (uint32_t i = 0; i < s->options.extents_max; i++) {
		struct xm_service_extent *e = &s->extents[i];

		if (e->state == XM_EXTENT_FREE)
			e->tenant = XM_TENANT_NONE;
		else if (e->owner == XM_SERVICE_NONE)
			e->tenant = now[e->tenant];
		else
			e->tenant = s->clients[e->owner].tenant;
		if (e->offer.claimed)
			e->offer.tenant = now[e->offer.tenant];
	}
	count_anew(s);
}

/* --- what a tenant is told ----------------------------------------------------- */

/* Clients, in thousandths of what there may be. */
static uint64_t load_of(uint64_t clients, uint64_t most)
{
	return most == 0 ? 1000 : clients * 1000 / most;
}

void xm_service_pong(const struct xm_service *s, uint32_t tenant,
		     struct xm_figures *ret)
{
	uint64_t could = xm_service_could_take(s, tenant);
	uint64_t load = load_of(s->clients_count, s->options.clients_max);

	if (!xm_tenant_is_admin(&s->tenants, tenant))
		load = load_of(s->uses[tenant].clients,
			       xm_service_clients_max(s, tenant));
	xm_figures_add(ret, XM_FIGURE_FREE, could);
	xm_figures_add(ret, XM_FIGURE_FREE_RUN,
		       xm_min(could, xm_place_free_run(s, xm_place_of(s, tenant))));
	xm_figures_add(ret, XM_FIGURE_LEAVING, s->leaving);
	xm_figures_add(ret, XM_FIGURE_LOAD, load);
	/* That it wants something back, and not how much of others'. */
	if (s->size.beyond > 0)
		xm_figures_add(ret, XM_FIGURE_WANTED, 1);
}

uint64_t xm_service_clients_max(const struct xm_service *s, uint32_t tenant)
{
	return tenant == XM_TENANT_NONE
		? 0 : xm_min(s->tenants.list[tenant].clients, s->options.clients_max);
}

/* The appliance as it is for one tenant: what it may have is all there is. */
void xm_service_state_of(const struct xm_service *s, uint32_t tenant,
			 uint64_t now_ns, struct xm_state *ret)
{
	static const struct xm_tenant none;
	const struct xm_tenant *t = tenant == XM_TENANT_NONE
		? &none : &s->tenants.list[tenant];
	const struct xm_service_options *o = &s->options;
	const struct xm_tenant_use *use = &s->uses[tenant];
	uint64_t could = xm_service_could_take(s, tenant);
	uint64_t clients = xm_service_clients_max(s, tenant);
	struct xm_figures *f = &ret->figures;

	xm_service_names(s, ret);
	xm_figures_add(f, XM_FIGURE_INCARNATION, o->incarnation);
	xm_figures_add(f, XM_FIGURE_UPTIME_MS, (now_ns - s->started_ns) / XM_MS);
	xm_figures_add(f, XM_FIGURE_POOL, xm_min(t->bytes, xm_place_size(s, xm_place_of(s, tenant))));
	xm_figures_add(f, XM_FIGURE_FREE, could);
	xm_figures_add(f, XM_FIGURE_FREE_RUN,
		       xm_min(could, xm_place_free_run(s, xm_place_of(s, tenant))));
	xm_figures_add(f, XM_FIGURE_LEASED, use->bytes - use->parting);
	xm_figures_add(f, XM_FIGURE_QUARANTINED, use->parting);
	xm_figures_add(f, XM_FIGURE_CLIENTS, use->clients);
	xm_figures_add(f, XM_FIGURE_CLIENTS_MAX, clients);
	xm_figures_add(f, XM_FIGURE_EXTENTS, use->extents);
	xm_figures_add(f, XM_FIGURE_EXTENTS_MAX,
		       xm_min(t->extents, o->extents_max));
	xm_figures_add(f, XM_FIGURE_MESSAGES, use->messages);
	xm_figures_add(f, XM_FIGURE_REFUSED, use->refused);
	xm_figures_add(f, XM_FIGURE_EXPIRED, use->expired);
	xm_figures_add(f, XM_FIGURE_LEAVING, s->leaving);
	xm_figures_add(f, XM_FIGURE_LOAD, load_of(use->clients, clients));
	xm_figures_add(f, XM_FIGURE_LAPSED, use->lapsed);
	if (o->confined != 0) /* else it reads as 0 */
		xm_figures_add(f, XM_FIGURE_CONFINED, o->confined);
	if (o->filed)
		xm_figures_add(f, XM_FIGURE_FILED, 1);
	xm_service_add_lenders(s, xm_min(t->bytes, xm_place_size(s, xm_place_of(s, tenant))), f);
}

/* --- the laws ------------------------------------------------------------------ */

/* Counted anew, not along the way. */
const char *xm_service_tenants_check(const struct xm_service *s)
{
	struct xm_tenant_use uses[XM_TENANTS_MAX + 1];

	memset(uses, 0, sizeof(uses));
	for (uint32_t i = 0; i < s->options.peers_max; i++)
		if (s->peers[i].state != XM_PEER_FREE)
			uses[s->peers[i].tenant].streams++;
	for (uint32_t i = 0; i < s->options.clients_max; i++) {
		const struct xm_service_client *c = &s->clients[i];

		if (c->state == XM_CLIENT_FREE)
			continue;
		uses[c->tenant].clients++;
		uses[c->tenant].readings += c->readings;
		if (c->tenant != xm_tenants_of(&s->tenants, c->identity))
			return "a client is of another tenant than its identity";
	}
	for (uint32_t i = 0; i < s->options.extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];

		if (e->state == XM_EXTENT_FREE)
			continue;
		uses[e->tenant].extents++;
		uses[e->tenant].bytes += e->size;
		if (!xm_slots_has(&s->lent, i))
			uses[e->tenant].parting += e->size;
		if (e->owner != XM_SERVICE_NONE &&
		    s->clients[e->owner].tenant != e->tenant)
			return "an extent is of another tenant than its owner";
	}
	for (uint32_t i = 0; i <= XM_TENANTS_MAX; i++) {
		const struct xm_tenant_use *a = &uses[i], *b = &s->uses[i];

		if (a->bytes != b->bytes || a->parting != b->parting ||
		    a->clients != b->clients || a->extents != b->extents ||
		    a->streams != b->streams || a->readings != b->readings)
			return "what a tenant has is miscounted";
	}
	return NULL;
}
