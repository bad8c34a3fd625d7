/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Weather: the events by which faults are injected into a run (draw.c has what is
 * drawn once for all of it). Each event is numbered and drawn also where the plan
 * leaves it out, so that the others stay as they are.
 */
#include <string.h>

#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fabric.h"
#include "sim/notes.h"
#include "sim/places.h"
#include "sim/outcomes.h"
#include "sim/plan.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/weather.h"
#include "sim/weather_parts.h"
#include "sim/world.h"

struct sim_counts sim_counts;

const char *sim_fault_name(enum sim_fault fault)
{
	static const char *const names[SIM_FAULTS] = {
		[SIM_FAULT_DELAY] = "delay",
		[SIM_FAULT_LOSS] = "loss",
		[SIM_FAULT_PARTITION] = "partition",
		[SIM_FAULT_ONE_WAY] = "one_way_partition",
		[SIM_FAULT_CLOG] = "clog",
		[SIM_FAULT_BREAK] = "connection_broken",
		[SIM_FAULT_HANG_CONTROL] = "hang_control",
		[SIM_FAULT_HANG_INTERFACE] = "hang_interface",
		[SIM_FAULT_HANG_APPLIANCE] = "hang_appliance",
		[SIM_FAULT_HANG_CLIENT] = "hang_client",
		[SIM_FAULT_KILL_APPLIANCE] = "kill_appliance",
		[SIM_FAULT_KILL_INTERFACE] = "kill_interface",
		[SIM_FAULT_KILL_CLIENT] = "kill_client",
		[SIM_FAULT_SKEW] = "clock_skew",
		[SIM_FAULT_JUMP_CLIENT] = "clock_jump_client",
		[SIM_FAULT_JUMP_APPLIANCE] = "clock_jump_appliance",
		[SIM_FAULT_SLOW] = "slow_node",
		[SIM_FAULT_AGAIN] = "eagain",
		[SIM_FAULT_STUCK] = "eagain_for_ever",
		[SIM_FAULT_LATE_WRITE] = "late_write",
		[SIM_FAULT_LATE_DEATH] = "death_told_late",
		[SIM_FAULT_UNTOLD_DEATH] = "death_untold",
		[SIM_FAULT_FULL] = "full_pool",
		[SIM_FAULT_REFUSED_KEY] = "refused_key",
		[SIM_FAULT_STREAM] = "stream_broken",
		[SIM_FAULT_STREAMS] = "streams_full",
		[SIM_FAULT_MEMORY] = "no_memory",
		[SIM_FAULT_CLIENT_MEMORY] = "no_memory_client",
		[SIM_FAULT_KILL_ZONE] = "kill_zone",
		[SIM_FAULT_LANE] = "lane_cut",
		[SIM_FAULT_LEDGER] = "ledger_unknown",
		[SIM_FAULT_DRAIN] = "drain",
		[SIM_FAULT_LIE] = "lie",
		[SIM_FAULT_SHRINK] = "shrink",
		[SIM_FAULT_THIEF] = "thief",
		[SIM_FAULT_LIAR] = "liar",
	};

	return names[fault];
}

bool weather_no_memory(void)
{
	if (!world_chance(WORLD_MISFORTUNE, sim_shape.no_memory_client))
		return false;
	sim_counts.faults[SIM_FAULT_CLIENT_MEMORY]++;
	return true;
}

#define FOR_GOOD (100000 * XM_SECOND)

/* --- events ---------------------------------------------------------------------- */

static bool blowing;
static uint64_t generation; /* what was begun before a clearing is void */
static uint64_t disturbs_ns;
static bool only_pauses;

static uint64_t some(uint64_t most)
{
	return xm_rand_below(world_rand(WORLD_WEATHER), most);
}

/* Most are short. The longest, 8 s, is longer than most deadlines. */
static uint64_t a_while(void)
{
	static const uint64_t scales[] = { 5, 100, 1000, 4000 };

	return (1 + some(2 * scales[some(4)])) * XM_MS;
}

static const char *const sentences[SIM_FAULTS] = {
	[SIM_FAULT_STREAM] =
		"weather.stream: client {client} loses its "
		"stream to the control of appliance "
		"{appliance} (event {number})",
	[SIM_FAULT_PARTITION] =
		"weather.partition: client {client} and appliance "
		"{appliance} are apart for {time:ns} (event "
		"{number})",
	[SIM_FAULT_ONE_WAY] =
		"weather.one_way: one way between client {client} "
		"and appliance {appliance} is shut for {time:ns} "
		"(event {number})",
	[SIM_FAULT_CLOG] =
		"weather.clog: the link of client {client} or "
		"appliance {appliance} is clogged for {time:ns} "
		"(event {number})",
	[SIM_FAULT_BREAK] =
		"weather.break: connections of client {client} to "
		"appliance {appliance} break (event {number})",
	[SIM_FAULT_HANG_CONTROL] =
		"weather.hang_control: the control of appliance "
		"{appliance} hangs for {time:ns} (event {number})",
	[SIM_FAULT_HANG_INTERFACE] =
		"weather.hang_interface: the interface of "
		"appliance {appliance} hangs for {time:ns} (event "
		"{number})",
	[SIM_FAULT_HANG_APPLIANCE] =
		"weather.hang_appliance: appliance {appliance} "
		"hangs for {time:ns} (event {number})",
	[SIM_FAULT_HANG_CLIENT] =
		"weather.hang_client: client {client} hangs for "
		"{time:ns} (event {number})",
	[SIM_FAULT_KILL_APPLIANCE] =
		"weather.kill_appliance: appliance {appliance} is "
		"killed; it begins again after {time:ns} (event "
		"{number})",
	[SIM_FAULT_KILL_INTERFACE] =
		"weather.kill_interface: the interface of "
		"appliance {appliance} is killed; it begins again "
		"after {time:ns} (event {number})",
	[SIM_FAULT_KILL_CLIENT] =
		"weather.kill_client: client {client} is killed; "
		"it begins again after {time:ns} (event {number})",
	[SIM_FAULT_JUMP_CLIENT] =
		"weather.jump: the clock of client {client} jumps "
		"{time:ns} (event {number})",
	[SIM_FAULT_JUMP_APPLIANCE] =
		"weather.jump: the clock of appliance {appliance} jumps "
		"{time:ns} (event {number})",
	[SIM_FAULT_DRAIN] =
		"weather.drain: appliance {appliance} drains for "
		"{time:ns} (event {number})",
	[SIM_FAULT_SHRINK] =
		"weather.shrink: the pool of appliance {appliance} shrinks for "
		"{time:ns} (event {number})",
	[SIM_FAULT_SLOW] =
		"weather.slow: the links of client {client} or "
		"appliance {appliance} are slow for {time:ns} "
		"(event {number})",
	[SIM_FAULT_KILL_ZONE] =
		"weather.kill_zone: all of zone {zone} are killed; they "
		"begin again after {time:ns} (event {number})",
	[SIM_FAULT_LANE] =
		"weather.lane: one lane of client {client} and appliance "
		"{appliance} are apart for {time:ns} (event {number})",
};

/* An event that the plan leaves out is drawn all the same, and does nothing. */
static bool muted;
static uint64_t numbered;

/* The trouble of an event, as outcomes.h counts it. */
static enum outcome_trouble trouble_of(enum sim_fault fault)
{
	switch (fault) {
	case SIM_FAULT_HANG_CONTROL: return OUTCOME_CONTROL_STOPPED;
	case SIM_FAULT_HANG_INTERFACE:
	case SIM_FAULT_HANG_APPLIANCE: return OUTCOME_INTERFACE_STOPPED;
	case SIM_FAULT_KILL_APPLIANCE:
	case SIM_FAULT_KILL_ZONE:
	case SIM_FAULT_KILL_INTERFACE: return OUTCOME_KILLED;
	default: return OUTCOME_OTHER;
	}
}

static bool moves_only(enum sim_fault fault)
{
	return fault == SIM_FAULT_DRAIN || fault == SIM_FAULT_SHRINK;
}

bool weather_happens(enum sim_fault fault, uint32_t client, uint32_t appliance,
		     uint64_t ns)
{
	uint64_t fields[4];
	unsigned n = 0;

	if (muted || sim_without(fault))
		return false;
	if (client != NOBODY)
		fields[n++] = client;
	if (appliance != NOBODY)
		fields[n++] = appliance;
	if (ns > 0)
		fields[n++] = ns;
	fields[n++] = numbered;
	while (n < 4)
		fields[n++] = 0;
	/* These are no trouble: no call fails. */
	if (!moves_only(fault))
		programs_trouble(trouble_of(fault), ns);
	only_pauses &= fault == SIM_FAULT_HANG_CLIENT ||
		       fault == SIM_FAULT_STREAM ||
		       fault == SIM_FAULT_JUMP_CLIENT ||
		       fault == SIM_FAULT_JUMP_APPLIANCE;
	if (trouble_of(fault) == OUTCOME_OTHER && !moves_only(fault) &&
	    fault != SIM_FAULT_BREAK)
		disturbs_ns = xm_max(disturbs_ns, world_now() + ns);
	sim_counts.faults[fault]++;
	world_note_all(sentences[fault], fields);
	return true;
}

static void unhang(void *argument, uint64_t index)
{
	struct process *p = world_process((uint32_t)(index & 0xff));

	(void)argument;
	/* Another process may have that index by now. */
	if (!p->alive || p->incarnation != (uint32_t)(index >> 8))
		return;
	world_note("weather.wakes: process {index} goes on", p->index, 0, 0);
	world_hang(p, false);
}

void weather_hang(struct process *p, uint64_t ns)
{
	if (p == NULL || !p->alive)
		return;
	world_hang(p, true);
	world_at(world_now() + ns, unhang, NULL,
		 (uint64_t)p->incarnation << 8 | p->index);
}

static void unblock(void *argument, uint64_t pair)
{
	(void)argument;
	world_note("weather.heals: node {from} reaches node {to} again",
		   pair >> 8, pair & 255, 0);
	fabric_block((uint32_t)(pair >> 8), (uint32_t)(pair & 255), false);
}

static void block(uint32_t from, uint32_t to, uint64_t ns)
{
	fabric_block(from, to, true);
	world_at(world_now() + ns, unblock, NULL, (uint64_t)from << 8 | to);
}

/* Monotonic clocks jump forward only: the host was stopped and does not know. A jump
 * that is too short for an appliance to be taken for a pause counts as time in
 * which it listened. */
static void jump(struct process *p, enum sim_fault fault, uint32_t client,
		 uint32_t appliance, uint64_t ns)
{
	if (sim_shape.skew && p != NULL && p->alive &&
	    weather_happens(fault, client, appliance, ns)) {
		p->skew_ns += (int64_t)ns;
		p->jumps++;
		if (ns <= p->hang_counts_ns)
			p->asleep_ns -= ns;
	}
}

static void blow_links(uint32_t appliance, uint32_t client)
{
	uint32_t a = appliance_node(appliance), c = SIM_APPLIANCES_MAX + client;
	uint64_t ns = a_while();
	bool first;

	switch (some(6)) {
	case 0:
		if (!sim_shape.partition ||
		    !weather_happens(SIM_FAULT_PARTITION, client, appliance, ns))
			return;
		block(a, c, ns);
		block(c, a, ns);
		break;
	case 1:
		first = some(2) == 0;
		if (!sim_shape.partition ||
		    !weather_happens(SIM_FAULT_ONE_WAY, client, appliance, ns))
			return;
		if (first)
			block(a, c, ns);
		else
			block(c, a, ns);
		break;
	case 2:
		first = some(2) == 0 || sim_shape.survives;
		if (!sim_shape.clog ||
		    !weather_happens(SIM_FAULT_CLOG, client, appliance, ns))
			return;
		fabric_clog(first ? a : c, world_now() + ns);
		break;
	case 3:
		first = some(2) == 0;
		if (weather_happens(SIM_FAULT_STREAM, client, appliance, 0))
			fabric_hang_up(c, a, first);
		break;
	case 4:
		first = some(2) == 0 || sim_shape.survives;
		if (!sim_shape.slow ||
		    !weather_happens(SIM_FAULT_SLOW, client, appliance, ns))
			return;
		fabric_slow(first ? a : c, world_now() + ns);
		break;
	default:
		if (!sim_shape.pauses &&
		    weather_happens(SIM_FAULT_BREAK, client, appliance, 0))
			fabric_break(c, a);
	}
}

/* To a part that follows from the time, so that nothing else is drawn for it; or, every other
 * time, to what is lent, so that whatever is asked for next has no place but beyond it. */
static uint64_t shrunk(uint32_t appliance, uint64_t number)
{
	const struct xm_service *s = appliance_service(appliance);

	if (s != NULL && number % 2 == 1)
		return s->bytes_owned;
	return sim_shape.pool_size / 8 * (number % 8);
}

/* An appliance drains; or, one time in three, its pool shrinks. */
static void blow_moves(uint32_t appliance, uint64_t ns)
{
	uint64_t ms = ns / XM_MS;

	if (!sim_shape.drains)
		return;
	if (ms % 3 != 0) {
		if (weather_happens(SIM_FAULT_DRAIN, NOBODY, appliance, ns))
			appliance_drain_for(appliance, ns);
	} else if (weather_happens(SIM_FAULT_SHRINK, NOBODY, appliance, ns)) {
		appliance_shrink_for(appliance, shrunk(appliance, ms / 3), ns);
	}
}

static void blow_client(uint32_t client, uint64_t ns)
{
	/* While it hangs, its leases may end everywhere, unless it is short. */
	if (sim_shape.survives)
		ns = xm_min(ns, sim_shape.lease_ms * XM_MS / 4);
	if ((sim_shape.hang || sim_shape.pauses) &&
	    weather_happens(SIM_FAULT_HANG_CLIENT, client, NOBODY, ns))
		weather_hang(program_process(client), ns);
}

/* All of an appliance dies, or a process of it. */
static void blow_death(uint32_t appliance, uint64_t ns)
{
	bool all = some(3) != 0;

	if (all && sim_shape.kill_appliance &&
	    weather_happens(SIM_FAULT_KILL_APPLIANCE, NOBODY, appliance, ns))
		appliance_kill(appliance, ns);
	if (!all && sim_shape.kill_appliance &&
	    weather_happens(SIM_FAULT_KILL_INTERFACE, NOBODY, appliance, ns))
		appliance_kill_interface(appliance, ns);
}

static void blow_processes(uint32_t appliance, uint32_t client)
{
	uint64_t ns = a_while();

	/* One of several processes dies more often than the only one. */
	if (sim_shape.kill_appliance && places_strike() &&
	    weather_happens(SIM_FAULT_KILL_INTERFACE, NOBODY, appliance, ns)) {
		appliance_kill_interface(appliance, ns);
		return;
	}
	switch (some(8)) {
	case 0:
		if (sim_shape.hang && (sim_shape.hang_halves & 1) != 0 &&
		    weather_happens(SIM_FAULT_HANG_CONTROL, NOBODY, appliance, ns))
			weather_hang(appliance_control(appliance), ns);
		break;
	case 1:
		if (sim_shape.hang && (sim_shape.hang_halves & 2) != 0 &&
		    weather_happens(SIM_FAULT_HANG_INTERFACE, NOBODY, appliance, ns))
			weather_hang(appliance_interface(appliance,
							 places_some()), ns);
		break;
	case 2:
		if (!sim_shape.hang || sim_shape.hang_halves != 3 ||
		    !weather_happens(SIM_FAULT_HANG_APPLIANCE, NOBODY, appliance, ns))
			return;
		weather_hang(appliance_control(appliance), ns);
		weather_hang(appliance_interface(appliance,
							 places_some()), ns);
		break;
	case 3:
		blow_client(client, ns);
		break;
	case 4:
		if (some(3) != 0)
			blow_moves(appliance, ns);
		else
			blow_death(appliance, ns);
		break;
	case 5:
		if (some(3) == 0 && sim_shape.kill_client &&
		    weather_happens(SIM_FAULT_KILL_CLIENT, client, NOBODY, ns))
			program_kill(client, ns);
		break;
	case 6:
		if (sim_shape.survives)
			break;
		jump(program_process(client), SIM_FAULT_JUMP_CLIENT, client,
		     NOBODY, ns);
		break;
	default:
		jump(appliance_control(appliance), SIM_FAULT_JUMP_APPLIANCE,
		     NOBODY, appliance, ns);
	}
}

/* In place of an appliance that has no trouble in this run, one that has. */
static uint32_t victim_of(uint32_t appliance)
{
	if (sim_shape.victims == 0)
		return appliance;
	while ((sim_shape.victims & 1u << appliance) == 0)
		appliance = (appliance + 1) % sim_shape.appliances;
	return appliance;
}

void weather_event(void)
{
	uint32_t appliance = (uint32_t)some(sim_shape.appliances);
	uint32_t client = (uint32_t)some(sim_shape.clients);

	appliance = victim_of(appliance);
	muted = !sim_mask_has(&sim_plan.weather, numbered);
	if (sim_shape.storm && storm_blows(appliance, client))
		; /* that was it */
	else if (sim_shape.naps && storm_naps(client))
		; /* likewise */
	else if (some(2) == 0)
		blow_links(appliance, client);
	else
		blow_processes(appliance, client);
	numbered++;
}

static void blow(void *argument, uint64_t number)
{
	uint64_t pause_ns;

	(void)argument;
	if (!blowing || number != generation)
		return;
	weather_event();
	pause_ns = sim_shape.storm || sim_shape.naps
			   ? storm_pause()
			   : some(2 * sim_shape.weather_ms) * XM_MS;
	world_at(world_now() + pause_ns, blow, NULL, generation);
}

void weather_trouble(void)
{
	programs_trouble(OUTCOME_OTHER, 0);
	only_pauses = false;
	disturbs_ns = xm_max(disturbs_ns, world_now());
}

bool weather_blows(void)
{
	return blowing;
}

static void strike(void *argument, uint64_t client)
{
	(void)argument;
	if (!blowing || sim_without(SIM_FAULT_STREAM))
		return;
	sim_counts.faults[SIM_FAULT_STREAM]++;
	programs_trouble(OUTCOME_OTHER, 0);
	disturbs_ns = xm_max(disturbs_ns, world_now());
	world_note("weather.strikes: the control streams of client {client} "
		   "break", client, 0, 0);
	for (uint32_t i = 0; i < sim_shape.appliances; i++)
		fabric_hang_up(SIM_APPLIANCES_MAX + (uint32_t)client,
			       appliance_node(i), false);
}

void weather_strike(uint32_t client)
{
	uint64_t most_ns = 8 * (sim_shape.link.latency_ns +
				sim_shape.link.jitter_ns);

	if (blowing && world_chance(WORLD_MISFORTUNE, 4))
		world_at(world_now() +
				 xm_rand_below(world_rand(WORLD_MISFORTUNE),
					       most_ns),
			 strike, NULL, client);
}

void weather_begin(void)
{
	blowing = sim_shape.weather_ms != 0;
	generation++;
	numbered = 0;
	disturbs_ns = 0;
	only_pauses = sim_shape.drawn && sim_shape.link.loss_permille == 0;
	if (blowing)
		world_at(world_now() + sim_shape.weather_ms * XM_MS, blow,
			 NULL, generation);
	if (blowing && sim_shape.storm)
		storm_begin();
}

#define LASTS 3

void weather_last(void)
{
	struct xm_rand *r = world_rand(WORLD_STORM);
	uint32_t appliance;

	if (!sim_shape.drains || !blowing || xm_rand_below(r, LASTS) != 0)
		return;
	appliance = victim_of((uint32_t)xm_rand_below(r, sim_shape.appliances));
	numbered++;
	muted = !sim_mask_has(&sim_plan.weather, numbered - 1);
	switch (xm_rand_below(r, 3)) {
	case 0:
		/* Of a page that it alone has, nobody can say that it is lost. */
		if (sim_shape.kill_appliance && sim_shape.survives &&
		    weather_happens(SIM_FAULT_KILL_APPLIANCE, NOBODY, appliance,
				    FOR_GOOD))
			appliance_kill(appliance, FOR_GOOD);
		break;
	case 1:
		if (weather_happens(SIM_FAULT_DRAIN, NOBODY, appliance, FOR_GOOD))
			appliance_drain_for(appliance, FOR_GOOD);
		break;
	default:
		if (weather_happens(SIM_FAULT_SHRINK, NOBODY, appliance,
				    FOR_GOOD))
			appliance_shrink_for(appliance,
					     sim_shape.pool_size / 8 *
						     xm_rand_below(r, 8),
					     0);
	}
}

void weather_clear(void)
{
	blowing = false;
	world_note("weather.clears: the weather clears", 0, 0, 0);
	fabric_clear();
	fabric_join_lanes();
	for (uint32_t i = 0; i < WORLD_PROCESSES; i++)
		world_hang(world_process(i), false);
	sim_shape.again = 0;
	sim_shape.no_memory = 0;
	sim_shape.no_memory_client = 0;
	sim_shape.link.loss_permille = 0;
}

uint64_t weather_disturbs(void)
{
	return disturbs_ns;
}

bool weather_only_pauses(void)
{
	return only_pauses;
}

uint64_t weather_events(void)
{
	return numbered;
}
