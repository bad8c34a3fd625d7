/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ownership: no two live leases overlap; every byte of a pool is free, leased or
 * quarantined.
 *
 * What an appliance gives back to its host is nobody's: no extent has a byte of it.
 *
 * Isolation: nobody reads a byte that another client wrote. Checked here on the
 * way to the bytes: a key that some connection can use opens bytes of its own
 * client only, or bytes that another lets it read, and then to read; none opens bytes that
 * are being zeroed, and no two clients go by
 * one number. That no key or ticket comes twice is checked in fabric.c; that
 * fresh bytes and slabs are zero in operations_select.c and by the shadow.
 */
#include <string.h>

#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fabric.h"
#include "sim/laws.h"
#include "sim/members.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/programs.h"
#include "sim/shape.h"

void law_pool(uint32_t index)
{
	struct xm_service *service = appliance_service(index);
	const char *broken;

	if (service == NULL)
		return;
	broken = xm_service_check(service);
	sim_counts.laws_asked += 2;
	if (broken != NULL)
		world_broken("ownership", "appliance %u: %s", index, broken);
}

bool oracle_reads(uint32_t appliance, uint64_t client, uint64_t offset)
{
	const struct xm_service *service = appliance_service(appliance);

	for (uint32_t i = 0; i < xm_service_grants_max(&service->options); i++) {
		const struct xm_service_grant *g = &service->grants[i];

		if (g->state != XM_GRANT_FREE && g->state != XM_GRANT_REVOKED &&
		    g->reads && g->reader == client && offset - g->offset < g->size)
			return true;
	}
	return false;
}

void oracle_key(uint32_t appliance, uint64_t client, uint64_t offset,
		uint64_t size, uint32_t rights)
{
	const struct xm_service *service = appliance_service(appliance);
	uint64_t covered = 0;

	if (service == NULL)
		return;
	sim_counts.laws_asked++;
	for (uint32_t i = 0; i < service->options.extents_max; i++) {
		const struct xm_service_extent *e = &service->extents[i];
		uint64_t first = xm_max(offset, e->offset);
		uint64_t end = xm_min(offset + size, e->offset + e->size);

		if (e->state == XM_EXTENT_FREE || first >= end)
			continue;
		covered += end - first;
		if (e->state == XM_EXTENT_ZEROING ||
		    (e->owner != XM_SERVICE_NONE &&
		     service->clients[e->owner].number != client &&
		     !(rights == XM_RIGHT_READ &&
		       oracle_reads(appliance, client, first))))
			world_broken("isolation", "a key of client %llu opens "
				     "byte %llu of appliance %u, which is %s",
				     (unsigned long long)client,
				     (unsigned long long)first, appliance,
				     e->state == XM_EXTENT_ZEROING
					     ? "being zeroed" : "another's");
	}
	if (covered != size)
		world_broken("isolation", "a key of client %llu opens bytes of "
			     "appliance %u that are free",
			     (unsigned long long)client, appliance);
}

void oracle_returned(uint32_t appliance, uint64_t offset, uint64_t size)
{
	const struct xm_service *service = appliance_service(appliance);

	sim_counts.laws_asked++;
	for (uint32_t i = 0; i < service->options.extents_max; i++) {
		const struct xm_service_extent *e = &service->extents[i];

		if (e->state != XM_EXTENT_FREE &&
		    e->offset < offset + size && offset < e->offset + e->size)
			world_broken("ownership", "appliance %u gives its host "
				     "%llu bytes, of which some are a client's",
				     appliance, (unsigned long long)size);
	}
}

/* Its claimer has said that it does not go on; that is done once its key is there. */
static bool goes_back(const struct xm_service *service,
		      const struct xm_service_extent *e)
{
	const struct xm_service_grant *g = &service->grants[e->grant];

	return e->offer.claimed && g->state == XM_GRANT_EXPOSING &&
	       g->requester.serial == 0;
}

/* Not asked where an appliance is away, or where the session is still freeing what
 * it was granted without hearing of it. What the keeper has, it says. */
void oracle_all_given(uint32_t client)
{
	extmem *x = program_client(client);

	if (x == NULL)
		return;
	for (uint32_t a = 0; a < x->ask.keeper.control.count; a++) {
		const struct xm_service *service = appliance_service(a);
		const struct xm_session *session =
			&x->ask.keeper.control.peers[a].session;
		uint64_t number = session->hello.client;

		/* Numbers of clients begin again with each incarnation. */
		if (service == NULL || number == 0 ||
		    session->welcome.incarnation != service->options.incarnation ||
		    session->state != XM_SESSION_READY ||
		    !xm_session_is_settled(session))
			continue;
		sim_counts.laws_asked++;
		for (uint32_t i = 0; i < service->options.extents_max; i++) {
			const struct xm_service_extent *e = &service->extents[i];

			if (e->state == XM_EXTENT_OWNED &&
			    !xm_keeper_holds(&x->ask.keeper, a, e->number) &&
			    service->clients[e->owner].number == number &&
			    !goes_back(service, e))
				world_broken("ownership", "client %u has given "
					     "back all its memory, and %llu "
					     "bytes of appliance %u are its own "
					     "still", client,
					     (unsigned long long)e->size, a);
		}
	}
}

void oracle_zeroes(uint32_t appliance, uint64_t offset, uint64_t size)
{
	const struct xm_service *service = appliance_service(appliance);

	sim_counts.laws_asked++;
	for (uint32_t i = 0; i < xm_service_grants_max(&service->options); i++) {
		const struct xm_service_grant *g = &service->grants[i];

		if (g->state == XM_GRANT_FREE || g->state == XM_GRANT_REVOKED ||
		    g->offset >= offset + size || offset >= g->offset + g->size)
			continue;
		world_broken("isolation", "appliance %u zeroes bytes at %llu, and a key that "
			     "covers them may be in use", appliance,
			     (unsigned long long)offset);
	}
}

void law_keys(uint32_t appliance)
{
	if (appliance_service(appliance) != NULL)
		fabric_ask(appliance);
}

void law_names(uint32_t appliance)
{
	uint64_t numbers[SIM_CLIENTS_MAX], incarnations[SIM_CLIENTS_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; i < sim_shape.clients; i++) {
		extmem *x = program_client(i);
		const struct xm_session *s;

		if (x == NULL || x->ask.keeper.control.count <= appliance)
			continue;
		s = &x->ask.keeper.control.peers[appliance].session;
		if (s->state != XM_SESSION_READY)
			continue;
		sim_counts.laws_asked++;
		numbers[count] = s->hello.client;
		incarnations[count] = s->welcome.incarnation;
		for (uint32_t k = 0; k < count; k++) {
			if (numbers[k] == numbers[count] &&
			    incarnations[k] == incarnations[count])
				world_broken("isolation", "two clients go by "
					     "the number %llu at appliance %u",
					     (unsigned long long)numbers[k],
					     appliance);
		}
		count++;
	}
}

/* NULL: the client owns no byte there; that is the subject of other laws. */
static const struct xm_service_extent *
extent_at(const struct xm_service *service, uint64_t client, uint64_t offset)
{
	for (uint32_t i = 0; i < service->options.extents_max; i++) {
		const struct xm_service_extent *e = &service->extents[i];

		if (e->state == XM_EXTENT_OWNED &&
		    offset - e->offset < e->size &&
		    service->clients[e->owner].number == client)
			return e;
	}
	return NULL;
}

static void ask_region_id(extmem_region *region, uint64_t offset,
			  const struct xm_service *service, uint32_t appliance,
			  uint64_t number)
{
	uint64_t page = (region->address + offset) / XM_PAGE, at;
	const struct xm_service_extent *e;
	struct member member;

	if (!members_find(region->client, page, 0, &member) ||
	    member.appliance != appliance || members_bytes(&member, &at) == NULL)
		return;
	e = extent_at(service, number, at);
	if (e == NULL)
		return;
	sim_counts.laws_asked++;
	if (memcmp(&e->id, &region->id, sizeof(e->id)) != 0)
		world_broken("ownership", "appliance %u knows an extent of "
			     "client %llu by an id that is not its region's",
			     appliance, (unsigned long long)number);
}

/* Of each region the first page and the last. */
static void ask_region_ids(extmem *x, const struct xm_service *service,
			   uint32_t appliance, uint64_t number)
{
	XM_LIST_EACH (link, &x->regions.list) {
		extmem_region *region = XM_CONTAINER(link, extmem_region, link);

		ask_region_id(region, 0, service, appliance, number);
		ask_region_id(region, region->size - XM_PAGE, service,
			      appliance, number);
	}
}

void law_region_ids(uint32_t appliance)
{
	const struct xm_service *service = appliance_service(appliance);

	if (service == NULL)
		return;
	for (uint32_t i = 0; i < sim_shape.clients; i++) {
		extmem *x = program_client(i);
		const struct xm_session *s;

		if (x == NULL || x->ask.keeper.control.count <= appliance)
			continue;
		s = &x->ask.keeper.control.peers[appliance].session;
		if (s->state == XM_SESSION_READY &&
		    s->welcome.incarnation == service->options.incarnation)
			ask_region_ids(x, service, appliance, s->hello.client);
	}
}
