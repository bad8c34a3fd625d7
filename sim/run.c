/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One seed's run, in two phases: programs run while the weather blows
 * (safety), then it clears and everything must end (liveness).
 */
#include <setjmp.h>
#include <string.h>

#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fabric.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/os.h"
#include "sim/plan.h"
#include "sim/programs.h"
#include "sim/run.h"
#include "sim/seals.h"
#include "sim/shape.h"
#include "sim/parity.h"
#include "sim/snapshot.h"
#include "sim/store.h"
#include "sim/tenants.h"
#include "sim/weather.h"
#include "sim/world.h"

/* Once the weather is clear, everything ends within this. */
#define LIVENESS (400 * XM_SECOND)

static bool ask_and_go_on(void)
{
	oracle_ask();
	return false;
}

static bool ask_until_ended(void)
{
	oracle_ask();
	return programs_ended();
}

/* What the model of an interface promises, and takes. */
static void interface_shape(void)
{
	struct sim_provider *p = &sim_shape.provider;

	p->revokes = p->admits = p->refuses = true;
	p->size_max = xm_min(p->size_max, 4 * XM_MIB);
	sim_shape.prefetch = (uint32_t)xm_min(sim_shape.prefetch, p->size_max / 4096);
}

static void instead(uint32_t *number, uint64_t other)
{
	if (other > 0)
		*number = (uint32_t)other;
}

static void shape(uint64_t seed)
{
	weather_draw(seed, &sim_shape);
	instead(&sim_shape.appliances, sim_plan.appliances);
	instead(&sim_shape.clients, sim_plan.clients);
	instead(&sim_shape.threads, sim_plan.threads);
	instead(&sim_shape.lanes, sim_plan.lanes);
	instead(&sim_shape.operations, sim_plan.operations);
	instead(&sim_shape.weather_ms, sim_plan.weather_ms);
	if (sim_plan.safety_ns > 0)
		sim_shape.safety_ns = sim_plan.safety_ns;
	/* Fewer than the seed drew: a mirror is of those that there are. */
	sim_shape.copies = (uint32_t)xm_min(sim_shape.copies,
					    sim_shape.appliances);
	if (sim_shape.victims >> sim_shape.appliances != 0)
		sim_shape.victims = 1;
	sim_shape.survives &= (uint32_t)__builtin_popcount(sim_shape.victims) <
			      sim_shape.copies;
	sim_shape.local = xm_max(sim_shape.local, sim_shape.lanes * XM_MIB);
	sim_shape.clients_max = (uint32_t)xm_max(sim_shape.clients_max,
						 sim_shape.clients);
	sim_shape.streams_max = 2 * sim_shape.clients_max + 16;
	if (sim_shape.streams_tight && !sim_shape.pauses)
		sim_shape.streams_max = sim_shape.clients_max =
			sim_shape.clients;
	if (sim_plan.model)
		interface_shape();
	if (sim_without(SIM_FAULT_DELAY))
		sim_shape.link.jitter_ns = 0;
	if (sim_without(SIM_FAULT_LOSS))
		sim_shape.link.loss_permille = 0;
	if (sim_without(SIM_FAULT_AGAIN))
		sim_shape.again = 0;
	if (sim_without(SIM_FAULT_MEMORY))
		sim_shape.no_memory = 0;
	if (sim_without(SIM_FAULT_CLIENT_MEMORY))
		sim_shape.no_memory_client = 0;
	if (sim_without(SIM_FAULT_STUCK))
		sim_shape.provider.sticks = false;
	if (sim_without(SIM_FAULT_LATE_DEATH))
		sim_shape.provider.late_ns = 0;
	if (sim_without(SIM_FAULT_SKEW))
		sim_shape.skew = false;
}

static void live(uint64_t seed)
{
	shape(seed);
	fabric_open();
	for (uint32_t i = 0; i < sim_shape.appliances; i++)
		appliance_open(i);
	for (uint32_t i = 0; i < sim_shape.clients; i++)
		program_open(i);
	weather_begin();
	lies_begin();
	thief_begin();
	world_run(world_now() + sim_shape.safety_ns, ask_and_go_on);
	weather_last();
	weather_clear();
	lies_end();
	programs_finish();
	world_run(world_now() + LIVENESS, ask_until_ended);
	if (!programs_ended()) {
		char stuck[512];

		programs_stuck(stuck, sizeof(stuck));
		world_broken("liveness", "%llu s after the weather cleared:%s",
			     (unsigned long long)(LIVENESS / XM_SECOND),
			     stuck);
	}
}

void sim_run(uint64_t seed, struct sim_result *ret)
{
	sim_live(seed, sim_plan.snapshot ? past_live
		 : sim_plan.store	 ? kept_live
		 : sim_plan.parity	 ? rows_live : live, ret);
}

void sim_live(uint64_t seed, void (*what)(uint64_t seed),
	      struct sim_result *ret)
{
	static volatile bool held; /* longjmp() passes it by */

	held = true;
	world_open(seed);
	seals_open();
	sim_os_open();
	world_show(sim_plan.show);
	world_until(sim_plan.until);
	world_fail_on(sim_plan.fail_on);
	switch (setjmp(world_end)) {
	case 0: what(seed); break;
	case WORLD_BROKEN: held = false; break;
	default: break;
	}
	ret->held = held;
	ret->hash = world_hash();
	ret->events = world_events();
	ret->simulated_ns = world_now() - WORLD_BEGIN;
	ret->weather = weather_events() + 1;
	world_close();
	fabric_close();
	for (uint32_t i = 0; i < SIM_APPLIANCES_MAX; i++)
		appliance_close(i);
	for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++)
		program_close(i);
}
