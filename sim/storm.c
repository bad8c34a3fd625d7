/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Storms: weather that is at the copies of what is mirrored (draw.c says in which runs).
 * One fault alone costs a mirror nothing, so a storm's faults meet:
 *
 *	in pairs	the next one comes within milliseconds as often as not, or at once
 *	in zones	all appliances of a zone are killed at once
 *	while mending	soon after a member is filled or replaced there is an event
 *	one lane	is cut off from an appliance, and the client's others are not
 *	ledgers		the connection ends with the write of one, and nobody knows whether
 *			it was executed
 *
 * Besides these there are all events of weather.c. A storm has random numbers of its own.
 */
#include "sim/appliance.h"
#include "sim/fabric.h"
#include "sim/notes.h"
#include "sim/outcomes.h"
#include "sim/plan.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/weather_parts.h"
#include "sim/world.h"

#define LOOK (2 * XM_MS)

static uint64_t some(uint64_t most)
{
	return xm_rand_below(world_rand(WORLD_STORM), most);
}

static bool is_victim(uint32_t appliance)
{
	return sim_shape.victims == 0 ||
	       (sim_shape.victims & 1u << appliance) != 0;
}

/* Its appliances, as far as they are to have trouble. */
static void kill_zone(uint32_t zone, uint64_t ns)
{
	for (uint32_t a = 0; a < sim_shape.appliances; a++) {
		if (a % sim_shape.zones == zone && is_victim(a))
			appliance_kill(a, ns);
	}
}

static void kill_now(void *argument, uint64_t packed)
{
	uint32_t appliance = (uint32_t)(packed & 0xff);

	(void)argument;
	if (weather_blows())
		appliance_kill(appliance, packed >> 8);
}

/* What is on its way to one appliance is late, while another that has it already dies and
 * is back, empty. */
static void two_at_once(uint32_t appliance, uint32_t client)
{
	uint64_t clog_ns = (20 + some(400)) * XM_MS, late_ns = some(40) * XM_MS;
	uint64_t kill_ns = (1 + some(30)) * XM_MS;
	uint32_t other = (uint32_t)some(sim_shape.appliances);

	if (other == appliance || !is_victim(other) || !sim_shape.clog ||
	    !sim_shape.kill_appliance)
		return;
	if (weather_happens(SIM_FAULT_CLOG, client, other, clog_ns))
		fabric_clog(appliance_node(other), world_now() + clog_ns);
	if (weather_happens(SIM_FAULT_KILL_APPLIANCE, NOBODY, appliance, kill_ns))
		world_at(world_now() + late_ns, kill_now, NULL,
			 kill_ns << 8 | appliance);
}

bool storm_blows(uint32_t appliance, uint32_t client)
{
	uint32_t node = SIM_APPLIANCES_MAX + client;
	uint32_t zone = appliance % sim_shape.zones;
	uint64_t choice = sim_shape.pairs && some(4) != 0 ? 3 : some(9);
	uint64_t ns = (1 + some(some(3) == 0 ? 2000 : 60)) * XM_MS;

	switch (choice) {
	case 0:
		if (sim_shape.kill_appliance &&
		    weather_happens(SIM_FAULT_KILL_ZONE, NOBODY, zone, ns))
			kill_zone(zone, ns);
		return true;
	case 1:
		if (sim_shape.kill_appliance &&
		    weather_happens(SIM_FAULT_KILL_APPLIANCE, NOBODY, appliance,
				    ns))
			appliance_kill(appliance, ns);
		return true;
	case 2:
		if (sim_shape.slow && sim_shape.link.latency_ns >= 10 * XM_US &&
		    weather_happens(SIM_FAULT_SLOW, client, appliance, 10 * ns))
			fabric_slow(appliance_node(appliance),
				    world_now() + 10 * ns);
		return true;
	case 3:
		two_at_once(appliance, client);
		return true;
	case 4:
		choice = some(8);
		if (weather_happens(SIM_FAULT_LANE, client, appliance, ns))
			fabric_cut_lane(node, appliance_node(appliance), choice,
					world_now() + ns);
		return true;
	default:
		return false;
	}
}

bool storm_naps(uint32_t client)
{
	uint64_t ns = (1 + some(some(2) == 0 ? 1500 : 5000)) * XM_MS;

	if (some(3) == 0)
		return false;
	if (weather_happens(SIM_FAULT_HANG_CLIENT, client, NOBODY, ns))
		weather_hang(program_process(client), ns);
	return true;
}

uint64_t storm_pause(void)
{
	return some(some(2) == 0 && !sim_shape.pairs
			    ? 20 : 2 * sim_shape.weather_ms) * XM_MS;
}

/* --- while members are mended ------------------------------------------------------ */

static uint64_t mended;

static uint64_t mending(void)
{
	return sim_counts.points[XM_TRACE_VIEW_FILLING] +
	       sim_counts.points[XM_TRACE_KEEPER_SPARE] +
	       sim_counts.points[XM_TRACE_PAGER_TORN];
}

static void look(void *argument, uint64_t number)
{
	(void)argument;
	(void)number;
	if (!weather_blows())
		return;
	if (mending() != mended && some(3) == 0)
		weather_event();
	mended = mending();
	world_at(world_now() + LOOK, look, NULL, 0);
}

void storm_begin(void)
{
	mended = mending();
	world_at(world_now() + LOOK, look, NULL, 0);
}

/* --- ledgers ------------------------------------------------------------------------ */

enum weather_end weather_ledger(uint32_t node)
{
	uint64_t choice;

	if (!sim_shape.storm || !weather_blows() || !is_victim(node) ||
	    sim_without(SIM_FAULT_LEDGER))
		return WEATHER_NO_END;
	choice = some(16);
	if (choice > 1)
		return WEATHER_NO_END;
	sim_counts.faults[SIM_FAULT_LEDGER]++;
	weather_trouble();
	return choice == 0 ? WEATHER_END_BEFORE : WEATHER_END_BEHIND;
}
