/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Appliances in the world: a control process that runs the host's turns and
 * an interface process that runs the target, with the socket pair between
 * them. The same turns run in extmemd (appliance/extmemd.c, interface.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/host.h"
#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/durable.h"
#include "sim/fabric.h"
#include "sim/fibers.h"
#include "sim/memory.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/os.h"
#include "sim/shape.h"
#include "sim/sparse.h"
#include "sim/tenants.h"
#include "sim/weather.h"
#include "sim/world.h"
#include "appliance/target.h"

struct command {
	struct command *next;
	struct xm_command command;
};

struct answer {
	struct answer *next;
	struct xm_report report;
};

static struct appliance {
	struct process *control, *interface;
	uint32_t index;
	struct sparse *pool;
	struct xm_host *host;
	struct xm_transport_limits limits;
	struct xm_locator locator;
	bool listening;
	uint32_t drain_ms; /* not 0: it is to drain for so long */
	bool stays;	   /* it is not to drain any more */
	bool resized;	   /* the pool is to have this many bytes: */
	uint64_t size;
	uint64_t quotas_ns; /* when its tenants may have something else */
	struct command *commands, **commands_last;
	struct answer *answers, **answers_last;
} appliances[SIM_APPLIANCES_MAX];

uint32_t appliance_of(const char *address)
{
	return (uint32_t)strtoul(strchr(address, ':') + 1, NULL, 10);
}

uint32_t appliance_node(uint32_t index)
{
	return index;
}

struct process *appliance_control(uint32_t index)
{
	return appliances[index].control;
}

struct process *appliance_interface(uint32_t index)
{
	return appliances[index].interface;
}

struct xm_service *appliance_service(uint32_t index)
{
	struct appliance *a = &appliances[index];

	return a->host == NULL ? NULL : xm_host_service(a->host);
}

uint8_t *appliance_pool(uint32_t index)
{
	return appliances[index].pool->bytes;
}

void appliance_written(uint32_t index, uint64_t offset, uint64_t size)
{
	durable_written(index, offset, size);
	sparse_mark(appliances[index].pool, offset, size);
}

uint64_t appliance_changed(uint32_t index, uint64_t offset)
{
	const struct sparse *pool = appliances[index].pool;

	return pool == NULL ? UINT64_MAX : sparse_changed(pool, offset);
}

uint32_t appliance_at_interface(const struct process *process)
{
	for (uint32_t i = 0; i < sim_shape.appliances; i++) {
		if (appliances[i].interface == process)
			return i;
	}
	return UINT32_MAX;
}

/* --- the interface process -------------------------------------------------------- */

static void answer(struct appliance *a, const struct xm_report *report)
{
	struct answer *q = malloc(sizeof(*q));

	XM_ASSERT(q != NULL);
	q->next = NULL;
	q->report = *report;
	*a->answers_last = q;
	a->answers_last = &q->next;
	world_wake(sim_door(a->control));
}

static void interface_run(void *argument)
{
	struct appliance *a = argument;
	struct xm_transport_options o = { .address = "sim:", .target = true };
	struct xm_target_client *clients = world_alloc(
		2 * sim_shape.clients_max * sizeof(*clients));
	struct xm_transport *t;
	struct xm_target target;

	fabric_transport.open(&o, NULL, 0, &t);
	fabric_transport.limits(t, &a->limits);
	fabric_transport.listen(t, a->pool->bytes, sim_shape.pool_size,
				&a->locator);
	xm_target_init(&target, &fabric_transport, t, clients,
		       2 * sim_shape.clients_max);
	a->listening = true;
	world_wake(a->control);
	for (;;) {
		int seen = xm_target_poll(&target);
		struct xm_report report;

		while (xm_target_report(&target, &report))
			answer(a, &report);
		if (a->commands != NULL) {
			struct command *c = a->commands;

			a->commands = c->next;
			if (a->commands == NULL)
				a->commands_last = &a->commands;
			xm_target_do(&target, &c->command, &report);
			answer(a, &report);
			free(c);
		} else if (seen == 0) {
			fabric_transport.wait(t, -1, 500 * XM_MS);
		}
	}
}

#define ZEROED_PER_US 8000 /* bytes */

/* --- the control process ------------------------------------------------------------ */

static int link_command(void *link, const struct xm_command *command)
{
	struct appliance *a = link;
	struct command *c;

	if (world_chance(WORLD_MISFORTUNE, sim_shape.again))
		return -11; /* EAGAIN */
	c = malloc(sizeof(*c));
	XM_ASSERT(c != NULL);
	c->next = NULL;
	c->command = *command;
	*a->commands_last = c;
	a->commands_last = &c->next;
	if (a->interface != NULL)
		world_wake(a->interface);
	return 0;
}

static int link_poll(void *link, struct xm_report *ret)
{
	struct appliance *a = link;
	struct answer *q = a->answers;

	if (q == NULL)
		return 0;
	a->answers = q->next;
	if (a->answers == NULL)
		a->answers_last = &a->answers;
	*ret = q->report;
	free(q);
	return 1;
}

static void link_zero(void *link, uint64_t offset, uint64_t size)
{
	struct appliance *a = link;

	/* It takes a while, in which the world goes on. */
	sparse_clear(a->pool, offset, size);
	world_wait(a->pool, size * XM_US / ZEROED_PER_US);
}

static void link_release(void *link, uint64_t offset, uint64_t size)
{
	struct appliance *a = link;

	sparse_clear(a->pool, offset, size);
	oracle_returned(a->index, offset, size);
}

static int link_take(void *link, uint64_t offset, uint64_t size)
{
	struct appliance *a = link;

	(void)offset;
	(void)size;
	(void)a;
	return world_chance(WORLD_MISFORTUNE, sim_shape.no_memory) ? -12 : 0;
}

static void link_draw(void *link, uint8_t *bytes, size_t size)
{
	(void)link;
	xm_rand_fill(world_rand(WORLD_SECRETS), bytes, size);
}

static void link_log(void *link, enum xm_level level, const char *words)
{
	(void)link;
	(void)level;
	(void)words;
}

static const struct xm_link_ops link_ops = {
	.command = link_command,
	.poll = link_poll,
	.zero = link_zero,
	.release = link_release,
	.take = link_take,
	.draw = link_draw,
	.log = link_log,
};

#define NARROW 2 /* extents: one of them is a ledger */

static void options_of(const struct appliance *a,
		       struct xm_service_options *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, "sim", 4);
	memcpy(ret->transport, "sim", 4);
	memcpy(ret->provider, "sim", 4);
	memcpy(ret->library, "sim", 4);
	ret->incarnation = xm_rand_next(world_rand(WORLD_SECRETS)) | 1;
	ret->pool_size = sim_shape.pool_size;
	ret->granule = sim_shape.granule;
	ret->peers_max = sim_shape.streams_max;
	ret->clients_max = sim_shape.clients_max;
	ret->extents_max = sim_shape.extents_max;
	if ((sim_shape.narrow & 1u << a->index) != 0)
		ret->extents_max = NARROW;
	ret->extents_per_client_max = (uint32_t)xm_min(sim_shape.extents_each,
						       ret->extents_max);
	ret->kept_percent = sim_shape.kept_percent;
	ret->lease_ms = sim_shape.lease_ms;
	ret->handshake_ns = sim_shape.handshake_ms * XM_MS;
	ret->zero_size_max = sim_shape.zero_size;
	ret->durable = sim_shape.durable;
	ret->revokes = a->limits.revokes;
	ret->admits = a->limits.admits;
	ret->locator = a->locator;
}

/* As SIGHUP does. */
static void change_quotas(struct appliance *a, uint64_t now_ns)
{
	if (sim_shape.quotas_ms == 0 || world_now() < a->quotas_ns ||
	    !weather_blows())
		return;
	if (a->quotas_ns != 0)
		xm_host_set_tenants(a->host, now_ns, tenants_change(a->index));
	a->quotas_ns = world_now() + tenants_pause();
}

static void control_run(void *argument)
{
	struct appliance *a = argument;
	struct xm_channel_options co = {
		.address = "sim:", .target = true,
		.peers_max = sim_shape.streams_max,
	};
	struct xm_service_options so;
	struct xm_channel *channel;
	char words[XM_WORDS_SIZE];

	while (!a->listening)
		world_wait(a->control, XM_NEVER);
	options_of(a, &so);
	XM_ASSERT(xm_service_options_check(&so, words) == 0);
	fabric_channel.open(&co, NULL, 0, &channel);
	a->host = xm_host_init(&so, &fabric_channel, channel, &link_ops, a,
			       world_alloc(xm_host_size(&so)),
			       world_process_ns(a->control));
	xm_host_service(a->host)->trace = world_trace(a->control);
	if (sim_shape.durable)
		xm_host_set_store(a->host, &durable_link, durable_of(a->index));
	if (tenants_policy(a->index) != NULL)
		xm_host_set_tenants(a->host, world_process_ns(a->control),
				    tenants_policy(a->index));
	for (;;) {
		uint64_t now_ns = world_process_ns(a->control);
		uint64_t next_ns;

		if (a->drain_ms != 0)
			xm_host_drain(a->host, now_ns, a->drain_ms);
		if (a->stays)
			xm_host_stay(a->host, now_ns);
		if (a->resized)
			xm_host_resize(a->host, now_ns, a->size);
		a->resized = false;
		a->drain_ms = 0;
		a->stays = false;
		change_quotas(a, now_ns);
		next_ns = xm_host_turn(a->host, now_ns);

		if (next_ns > now_ns && a->answers == NULL &&
		    !durable_has_reports(a->index))
			fabric_channel.wait(channel, -1, next_ns - now_ns);
	}
}

/* --- life and death ------------------------------------------------------------------- */

static void queues_clear(struct appliance *a)
{
	while (a->commands != NULL) {
		struct command *c = a->commands;

		a->commands = c->next;
		free(c);
	}
	while (a->answers != NULL) {
		struct answer *q = a->answers;

		a->answers = q->next;
		free(q);
	}
	a->commands_last = &a->commands;
	a->answers_last = &a->answers;
}

void appliance_open(uint32_t index)
{
	struct appliance *a = &appliances[index];
	char name[24];

	memset(a, 0, sizeof(*a));
	a->index = index;
	a->pool = sparse_take(sim_shape.pool_size);
	oracle_begin(index);
	tenants_begin(index);
	queues_clear(a);
	snprintf(name, sizeof(name), "control %u", index);
	a->control = world_spawn(name, appliance_node(index));
	a->control->died = fabric_process_died;
	weather_clock(a->control);
	a->control->hang_counts_ns = sim_shape.lease_ms * XM_MS / 2;
	snprintf(name, sizeof(name), "interface %u", index);
	a->interface = world_spawn(name, appliance_node(index));
	a->interface->died = fabric_process_died;
	weather_clock(a->interface);
	world_note("world.appliance: appliance {index} begins", index, 0, 0);
	world_fiber(a->interface, interface_run, a);
	world_fiber(a->control, control_run, a);
	if (sim_shape.durable)
		durable_open(index, a->control);
}

void appliance_close(uint32_t index)
{
	struct appliance *a = &appliances[index];

	queues_clear(a);
	durable_close(index);
	sparse_give(a->pool);
	memset(a, 0, sizeof(*a));
}

void appliance_drain(uint32_t index, uint32_t ms)
{
	appliances[index].drain_ms = ms;
	world_wake(sim_door(appliances[index].control));
}

void appliance_resize(uint32_t index, uint64_t size)
{
	struct appliance *a = &appliances[index];

	a->resized = true;
	a->size = size;
	world_wake(sim_door(a->control));
}

static void grow_again(void *argument, uint64_t incarnation)
{
	struct appliance *a = argument;

	if (a->pool == NULL || a->control->incarnation != incarnation)
		return;
	world_note("weather.grows: appliance {index} is to have all of its pool "
		   "again", a->index, 0, 0);
	appliance_resize(a->index, sim_shape.pool_size);
}

void appliance_shrink_for(uint32_t index, uint64_t size, uint64_t ns)
{
	struct appliance *a = &appliances[index];

	if (a->pool == NULL)
		return;
	appliance_resize(index, size);
	if (ns > 0)
		world_at(world_now() + ns, grow_again, a,
			 a->control->incarnation);
}

static void stay(void *argument, uint64_t incarnation)
{
	struct appliance *a = argument;

	if (a->pool == NULL || a->control->incarnation != incarnation)
		return;
	world_note("weather.stays: appliance {index} is not to drain any more",
		   a->index, 0, 0);
	a->stays = true;
	world_wake(sim_door(a->control));
}

void appliance_drain_for(uint32_t index, uint64_t ns)
{
	struct appliance *a = &appliances[index];

	if (a->pool == NULL)
		return;
	appliance_drain(index, (uint32_t)(ns / XM_MS));
	world_at(world_now() + ns, stay, a, a->control->incarnation);
}

uint64_t appliance_held(uint32_t index)
{
	return xm_host_held(appliances[index].host);
}

static void begin_again(void *argument, uint64_t index)
{
	(void)argument;
	sim_counts.restarts++;
	appliance_open((uint32_t)index);
}

void appliance_kill(uint32_t index, uint64_t pause_ns)
{
	struct appliance *a = &appliances[index];

	if (a->pool == NULL)
		return;
	world_note("world.kill: appliance {index} is killed", index, 0, 0);
	world_kill(a->control);
	if (a->interface != NULL)
		world_kill(a->interface);
	appliance_close(index);
	world_at(world_now() + pause_ns, begin_again, NULL, index);
}

/* How long the control process takes to see that its other half is gone. */
#define SEEN (2 * XM_MS)

static uint64_t pauses[SIM_APPLIANCES_MAX];

static void control_sees(void *argument, uint64_t incarnation)
{
	struct appliance *a = argument;

	/* The whole may have been killed meanwhile, and have begun again. */
	if (a->pool != NULL && a->interface == NULL &&
	    a->control->incarnation == incarnation)
		appliance_kill(a->index, pauses[a->index]);
}

void appliance_kill_interface(uint32_t index, uint64_t pause_ns)
{
	struct appliance *a = &appliances[index];

	if (a->pool == NULL || a->interface == NULL)
		return;
	world_note("world.kill: the interface of appliance {index} is killed",
		   index, 0, 0);
	world_kill(a->interface);
	a->interface = NULL;
	pauses[index] = pause_ns;
	world_at(world_now() + SEEN, control_sees, a, a->control->incarnation);
}
