/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thief: a process of one tenant that has got hold of the secrets of another's
 * clients, and says HELLO with them. A law: it gets no WELCOME.
 */
#include <string.h>

#include "core/client/client.h"
#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fabric.h"
#include "sim/fibers.h"
#include "sim/notes.h"
#include "sim/program.h"
#include "sim/programs.h"
#include "sim/tenants.h"
#include "sim/weather.h"
#include "sim/world.h"

#define PATIENCE (300 * XM_MS)

static struct process *process;

static uint64_t some(uint64_t most)
{
	return xm_rand_below(world_rand(WORLD_TENANTS), most);
}

/* A HELLO with what a client of another tenant knows. False: there is none. */
static bool steal(uint32_t appliance, struct xm_message *ret)
{
	uint32_t victim = (uint32_t)some(sim_shape.clients);
	extmem *x = program_client(victim);
	const struct xm_session *s;

	if (victim % sim_shape.tenants ==
		    (process->node - SIM_APPLIANCES_MAX) % sim_shape.tenants ||
	    x == NULL || x->ask.keeper.control.count <= appliance)
		return false;
	s = &x->ask.keeper.control.peers[appliance].session;
	if (s->state != XM_SESSION_READY || s->hello.client == 0)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->kind = XM_HELLO;
	ret->request = 1;
	ret->u.hello = s->hello;
	return true;
}

/* What comes next on the stream: its kind of event, or 0 when patience is over. */
static int await(struct xm_channel *c, struct xm_channel_event *ret)
{
	uint64_t until_ns = world_now() + PATIENCE;

	while (world_now() < until_ns) {
		if (fabric_channel.poll(c, ret) > 0)
			return ret->kind;
		fabric_channel.wait(c, -1, until_ns - world_now());
	}
	return 0;
}

static void attempt(struct xm_channel *c, uint32_t appliance)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	static struct xm_message answer;
	struct xm_channel_event event;
	struct xm_message hello;
	uint32_t peer;

	if (!steal(appliance, &hello) ||
	    fabric_channel.connect(c, around_address(appliance), &peer) != 0)
		return;
	if (await(c, &event) == XM_CHANNEL_UP) {
		fabric_channel.send(c, peer, bytes, xm_wire_encode(&hello, bytes));
		sim_counts.faults[SIM_FAULT_THIEF]++;
		if (await(c, &event) == XM_CHANNEL_MESSAGE &&
		    xm_wire_decode(event.bytes, event.size, &answer) == 0 &&
		    answer.kind == XM_WELCOME)
			world_broken("tenant", "appliance %u welcomes a thief as "
				     "client %llu", appliance,
				     (unsigned long long)hello.u.hello.client);
		sim_counts.laws_asked++;
	}
	fabric_channel.disconnect(c, peer);
}

static void thief_run(void *argument)
{
	struct xm_channel_options o = { .address = "sim:", .peers_max = 2 };
	struct xm_channel *c = NULL;

	(void)argument;
	while (weather_blows()) {
		world_wait(process, (1 + some(400)) * XM_MS);
		if (c == NULL && fabric_channel.open(&o, NULL, 0, &c) != 0)
			c = NULL;
		if (c != NULL)
			attempt(c, (uint32_t)some(sim_shape.appliances));
	}
	if (c != NULL)
		fabric_channel.close(c);
}

void thief_begin(void)
{
	if (!sim_shape.thief)
		return;
	process = world_spawn("thief", SIM_APPLIANCES_MAX +
				       (uint32_t)some(sim_shape.clients));
	process->died = fabric_process_died;
	world_fiber(process, thief_run, NULL);
}
