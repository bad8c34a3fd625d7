/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ownership: no two live leases overlap; every byte of a pool is free, leased or
 * quarantined.
 *
 * Isolation: nobody reads a byte that another client wrote. Checked here on the
 * way to the bytes: a key that some connection can use opens bytes of its own
 * client only, none opens bytes that are being zeroed, and no two clients go by
 * one number. That no key or ticket comes twice is checked in fabric.c; that
 * fresh bytes and slabs are zero in operations_select.c and by the shadow.
 */
#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fabric.h"
#include "sim/laws.h"
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

void oracle_key(uint32_t appliance, uint64_t client, uint64_t offset,
		uint64_t size)
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
		     service->clients[e->owner].number != client))
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

/* Not asked where an appliance is away, or where the session is still freeing what
 * it was granted without hearing of it. */
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

		if (service == NULL || number == 0 ||
		    session->state != XM_SESSION_READY ||
		    !xm_session_is_settled(session))
			continue;
		sim_counts.laws_asked++;
		for (uint32_t i = 0; i < service->options.extents_max; i++) {
			const struct xm_service_extent *e = &service->extents[i];

			if (e->state == XM_EXTENT_OWNED &&
			    service->clients[e->owner].number == number)
				world_broken("ownership", "client %u has given "
					     "back all its memory, and %llu "
					     "bytes of appliance %u are its own "
					     "still", client,
					     (unsigned long long)e->size, a);
		}
	}
}

void law_keys(uint32_t appliance)
{
	if (appliance_service(appliance) != NULL &&
	    appliance_interface(appliance) != NULL)
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
