/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interface processes of an appliance in the world: each runs the target, and ends of
 * queues stand for the socket pair to the control process.
 */
#include <stdio.h>
#include <stdlib.h>

#include "appliance/target.h"
#include "sim/appliance.h"
#include "sim/appliance_parts.h"
#include "sim/fibers.h"
#include "sim/memory.h"
#include "sim/os.h"
#include "sim/places.h"
#include "sim/weather.h"

static void answer(struct place *p, const struct xm_report *report)
{
	struct appliance *a = p->appliance;
	struct answer *q = malloc(sizeof(*q));

	XM_ASSERT(q != NULL);
	q->next = NULL;
	q->place = p->index;
	q->report = *report;
	*a->answers_last = q;
	a->answers_last = &q->next;
	world_wake(sim_door(a->control));
}

static void interface_run(void *argument)
{
	struct place *p = argument;
	struct appliance *a = p->appliance;
	struct xm_transport_options o = { .address = "sim:", .target = true };
	struct xm_target_client *clients = world_alloc(
		2 * sim_shape.clients_max * sizeof(*clients));
	struct xm_transport *t;
	struct xm_target target;
	uint64_t offset, size;

	places_get(p->index, &offset, &size);
	fabric_transport.open(&o, NULL, 0, &t);
	fabric_transport.limits(t, &p->limits);
	fabric_transport.listen(t, a->pool->bytes + offset, size, &p->locator);
	xm_target_init(&target, &fabric_transport, t, clients,
		       2 * sim_shape.clients_max);
	p->listening = true;
	p->back = a->host != NULL;
	world_wake(p->back ? sim_door(a->control) : (const void *)a->control);
	for (;;) {
		int seen = xm_target_poll(&target);
		struct xm_report report;

		while (xm_target_report(&target, &report))
			answer(p, &report);
		if (p->commands != NULL) {
			struct command *c = p->commands;

			p->commands = c->next;
			if (p->commands == NULL)
				p->commands_last = &p->commands;
			xm_target_do(&target, &c->command, &report);
			answer(p, &report);
			free(c);
		} else if (seen == 0) {
			fabric_transport.wait(t, -1, 500 * XM_MS);
		}
	}
}

void interface_begin(struct place *p)
{
	struct appliance *a = p->appliance;
	char name[24];

	if (sim_shape.apart)
		snprintf(name, sizeof(name), "interface %u.%u", a->index % 100,
			 p->index % 100);
	else
		snprintf(name, sizeof(name), "interface %u", a->index);
	p->interface = world_spawn(name, appliance_node(a->index));
	p->interface->died = fabric_process_died;
	weather_clock(p->interface);
}

void interface_go(struct place *p)
{
	world_fiber(p->interface, interface_run, p);
}

static void begin_again(void *argument, uint64_t incarnation)
{
	struct place *p = argument;
	const struct appliance *a = p->appliance;

	if (a != NULL && a->pool != NULL && a->control->incarnation == incarnation) {
		interface_begin(p);
		interface_go(p);
	}
}

void interface_begin_again(struct place *p)
{
	world_at(world_now() + p->pause_ns, begin_again, p,
		 p->appliance->control->incarnation);
}

void answers_drop(struct appliance *a, uint32_t place)
{
	struct answer **at = &a->answers;

	while (*at != NULL) {
		struct answer *q = *at;

		if (q->place != place) {
			at = &q->next;
			continue;
		}
		*at = q->next;
		free(q);
	}
	a->answers_last = at;
}

void commands_drop(struct place *p)
{
	while (p->commands != NULL) {
		struct command *c = p->commands;

		p->commands = c->next;
		free(c);
	}
	p->commands_last = &p->commands;
}

bool interfaces_listen(const struct appliance *a)
{
	for (uint32_t i = 0; i < places_count(); i++)
		if (!a->places[i].listening)
			return false;
	return true;
}
