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
#include "sim/appliance_parts.h"
#include "sim/counts.h"
#include "sim/durable.h"
#include "sim/fabric.h"
#include "sim/fibers.h"
#include "sim/memory.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/os.h"
#include "sim/places.h"
#include "sim/shape.h"
#include "sim/sparse.h"
#include "sim/tenants.h"
#include "sim/weather.h"
#include "sim/world.h"

static struct appliance appliances[SIM_APPLIANCES_MAX];

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

struct process *appliance_interface(uint32_t index, uint32_t place)
{
	return appliances[index].places[place].interface;
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
		for (uint32_t k = 0; k < places_count(); k++)
			if (appliances[i].places[k].interface == process)
				return i;
	}
	return UINT32_MAX;
}

#define ZEROED_PER_US 8000 /* bytes */
#define COPIED_PER_US 5000 /* likewise */

/* --- the control process ------------------------------------------------------------ */

static int link_command(void *link, uint32_t place, const struct xm_command *command)
{
	struct appliance *a = link;
	struct place *p = &a->places[place];
	struct command *c;

	if (sim_shape.apart && (p->interface == NULL || !p->listening))
		return -11; /* EAGAIN */
	if (world_chance(WORLD_MISFORTUNE, sim_shape.again))
		return -11; /* EAGAIN */
	c = malloc(sizeof(*c));
	XM_ASSERT(c != NULL);
	c->next = NULL;
	c->command = *command;
	*p->commands_last = c;
	p->commands_last = &c->next;
	if (p->interface != NULL)
		world_wake(p->interface);
	return 0;
}

static int link_poll(void *link, uint32_t *ret_place, struct xm_report *ret)
{
	struct appliance *a = link;
	struct answer *q = a->answers;

	if (places_lie(xm_host_service(a->host), ret_place, ret))
		return 1;
	if (q == NULL)
		return 0;
	a->answers = q->next;
	if (a->answers == NULL)
		a->answers_last = &a->answers;
	*ret_place = q->place;
	*ret = q->report;
	free(q);
	return 1;
}

static int link_zero(void *link, uint64_t offset, uint64_t size)
{
	struct appliance *a = link;

	oracle_zeroes(a->index, offset, size);
	/* It takes a while, in which the world goes on. */
	sparse_clear(a->pool, offset, size);
	world_wait(a->pool, size * XM_US / ZEROED_PER_US);
	return 0;
}

/* Likewise. */
static void link_copy(void *link, uint64_t from, uint64_t to, uint64_t size)
{
	struct appliance *a = link;
	uint8_t *bytes = a->pool->bytes;

	for (uint64_t at = 0; at < size; at += XM_PAGE) {
		if (memcmp(bytes + to + at, bytes + from + at, XM_PAGE) != 0) {
			sparse_mark(a->pool, to + at, XM_PAGE);
			memcpy(bytes + to + at, bytes + from + at, XM_PAGE);
		}
		world_wait(a->pool, XM_PAGE * XM_US / COPIED_PER_US);
	}
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
	.copy = link_copy,
	.release = link_release,
	.take = link_take,
	.draw = link_draw,
	.log = link_log,
};

#define NARROW 2 /* extents: one of them is a ledger */

static void options_of(const struct appliance *a,
		       struct xm_service_options *ret)
{
	struct xm_locator locators[SIM_CLIENTS_MAX];

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, "sim", 4);
	memcpy(ret->transport, "sim", 4);
	memcpy(ret->provider, "sim", 4);
	memcpy(ret->library, "sim", 4);
	ret->incarnation = xm_rand_next(world_rand(WORLD_SECRETS)) | 1;
	if (sim_shape.zones > 1) {
		ret->zone[0] = 'z';
		ret->zone[1] = (char)('0' + a->index % sim_shape.zones);
	}
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
	ret->revokes = a->places[0].limits.revokes;
	ret->admits = a->places[0].limits.admits;
	ret->locator = a->places[0].locator;
	for (uint32_t i = 0; i < places_count(); i++)
		locators[i] = a->places[i].locator;
	places_options(locators, ret);
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


/* As SIGCHLD does, and the first message of the process that comes next. */
static void look_at_interfaces(struct appliance *a, uint64_t now_ns)
{
	for (uint32_t i = 0; i < places_count(); i++) {
		struct place *p = &a->places[i];

		if (p->lost) {
			p->lost = false;
			commands_drop(p);
			answers_drop(a, i);
			places_before(xm_host_service(a->host), i);
			xm_host_interface_lost(a->host, now_ns, i);
			places_after(xm_host_service(a->host), i, a->index);
			interface_begin_again(p);
		}
		if (p->back && p->interface != NULL)
			xm_host_interface_back(a->host, now_ns, i, &p->locator);
		p->back = false;
	}
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

	while (!interfaces_listen(a))
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

		look_at_interfaces(a, now_ns);
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
	for (uint32_t i = 0; i < places_count(); i++)
		commands_drop(&a->places[i]);
	while (a->answers != NULL) {
		struct answer *q = a->answers;

		a->answers = q->next;
		free(q);
	}
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
	for (uint32_t i = 0; i < places_count(); i++) {
		a->places[i].appliance = a;
		a->places[i].index = i;
		interface_begin(&a->places[i]);
	}
	world_note("world.appliance: appliance {index} begins", index, 0, 0);
	for (uint32_t i = 0; i < places_count(); i++)
		interface_go(&a->places[i]);
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
	for (uint32_t i = 0; i < places_count(); i++)
		if (a->places[i].interface != NULL)
			world_kill(a->places[i].interface);
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
	if (a->pool != NULL && a->places[0].interface == NULL &&
	    a->control->incarnation == incarnation)
		appliance_kill(a->index, pauses[a->index]);
}

static void place_sees(void *argument, uint64_t incarnation)
{
	struct place *p = argument;

	if (p->appliance == NULL || p->appliance->pool == NULL ||
	    p->appliance->control->incarnation != incarnation)
		return;
	p->lost = true;
	world_wake(sim_door(p->appliance->control));
}

void appliance_kill_interface(uint32_t index, uint64_t pause_ns)
{
	struct appliance *a = &appliances[index];
	struct place *p = &a->places[places_some()];

	/* One that begins cannot be told from the other. */
	if (a->pool == NULL || p->interface == NULL ||
	    (sim_shape.apart && (a->host == NULL || !p->listening || p->back)))
		return;
	world_note("world.kill: the interface of appliance {index} is killed",
		   index, 0, 0);
	world_kill(p->interface);
	if (sim_shape.apart)
		places_scribble(xm_host_service(a->host), p->index, a->pool);
	p->interface = NULL;
	p->listening = false;
	p->pause_ns = pause_ns;
	pauses[index] = pause_ns;
	world_at(world_now() + SEEN, sim_shape.apart ? place_sees : control_sees,
		 sim_shape.apart ? (void *)p : (void *)a, a->control->incarnation);
}
