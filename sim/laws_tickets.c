/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tickets: each is good for one connection, and no longer than it lasts. What a thief
 * could still do with those that were used, or that nobody used in time.
 */
#include <string.h>

#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fabric_parts.h"
#include "sim/notes.h"
#include "sim/places.h"

/* How late the machines may be: a tick, a command that found no room, clocks that are
 * slow. */
#define SLACK (2 * XM_SECOND)

static uint64_t awake_ns(const struct process *p)
{
	return p == NULL ? 0 : world_run_ns(p);
}

void fabric_ticket(struct xm_transport *t, const uint8_t *bytes, bool used)
{
	uint32_t appliance = appliance_at_interface(t->process);
	struct past *past = &t->pasts[t->pasts_count % PASTS];

	if (!used) {
		t->pasts_count++;
		memcpy(past->bytes, bytes, XM_TICKET_SIZE);
		past->used = false;
		past->interface_ns = awake_ns(t->process);
		past->control_ns = appliance == UINT32_MAX
			? 0 : awake_ns(appliance_control(appliance));
		return;
	}
	for (uint64_t i = 0; i < PASTS && i < t->pasts_count; i++)
		if (memcmp(t->pasts[i].bytes, bytes, XM_TICKET_SIZE) == 0)
			t->pasts[i].used = true;
}

static const struct past *past_of(const struct xm_transport *t,
				  const struct ticket *ticket)
{
	for (uint64_t i = 0; i < PASTS && i < t->pasts_count; i++)
		if (memcmp(t->pasts[i].bytes, ticket->bytes, XM_TICKET_SIZE) == 0)
			return &t->pasts[i];
	return NULL;
}

static void ask_place(uint32_t appliance, uint32_t place)
{
	struct process *interface = appliance_interface(appliance, place);
	const struct process *control = appliance_control(appliance);
	uint64_t lasts_ns = sim_shape.handshake_ms * XM_MS;
	const struct xm_transport *t;

	if (interface == NULL || control == NULL || !sim_shape.provider.admits)
		return;
	t = fabric.targets[interface->index];
	for (size_t i = 0; t != NULL && i < t->tickets_count; i++) {
		const struct past *past = past_of(t, &t->tickets[i]);

		if (past == NULL)
			continue;
		sim_counts.laws_asked += 2;
		if (past->used)
			world_broken("ticket", "a ticket of client %llu at appliance "
				     "%u is good again after it was used",
				     (unsigned long long)t->tickets[i].client,
				     appliance);
		if (awake_ns(interface) - past->interface_ns >
			    lasts_ns + lasts_ns / 8 + SLACK &&
		    awake_ns(control) - past->control_ns >
			    lasts_ns + lasts_ns / 8 + SLACK)
			world_broken("ticket", "a ticket of client %llu at appliance "
				     "%u, which lasts %llu ms, is still good",
				     (unsigned long long)t->tickets[i].client,
				     appliance,
				     (unsigned long long)(lasts_ns / XM_MS));
	}
}

void law_tickets(uint32_t appliance)
{
	for (uint32_t i = 0; i < places_count(); i++)
		ask_place(appliance, i);
}
