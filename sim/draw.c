/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shape of a run, drawn from its seed: sizes, limits, the provider, links, and
 * the faults that there will be. Each run gets a part of all that can go wrong, so
 * that no kind of trouble hides another (swarm testing; Groce et al., ISSTA 2012).
 */
#include <string.h>

#include "common/spin.h"
#include "sim/counts.h"
#include "sim/plan.h"
#include "sim/programs.h"
#include "sim/plan.h"
#include "sim/seals.h"
#include "sim/shape.h"
#include "sim/places.h"
#include "sim/tenants.h"
#include "sim/weather.h"
#include "sim/world.h"

/* One seed of so many. */
#define STORMS 4

struct sim_shape sim_shape;

static uint64_t pick(struct xm_rand *r, const uint64_t *from, size_t count)
{
	return from[xm_rand_below(r, count)];
}

#define PICK(r, ...)                                                          \
	pick(r, (const uint64_t[]){ __VA_ARGS__ },                            \
	     sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

static bool coin(struct xm_rand *r)
{
	return xm_rand_below(r, 2) == 0;
}

static void draw_provider(struct xm_rand *r, struct sim_provider *ret)
{
	/* As measured: tcp and verbs; net and rxm; shm. */
	switch (xm_rand_below(r, 5)) {
	case 0:
	case 1:
		*ret = (struct sim_provider){
			.revokes = true, .admits = true,
			.reports_death = true,
		};
		break;
	case 2:
		*ret = (struct sim_provider){
			.revokes = coin(r), .admits = true,
			.reports_death = false,
		};
		break;
	case 3: /* connectionless: keys are all there is */
		*ret = (struct sim_provider){
			.revokes = true, .admits = false,
			.reports_death = false, .refuses = coin(r),
		};
		break;
	default:
		*ret = (struct sim_provider){
			.revokes = true, .admits = true,
			.reports_death = coin(r), .refuses = true,
		};
		break;
	}
	ret->registers = xm_rand_below(r, 8) == 0;
	ret->depth = (uint32_t)PICK(r, 2000, 2000, 64, 64, 7, 3, 2, 1);
	ret->size_max = PICK(r, XM_GIB, 256 * XM_KIB, 256 * XM_KIB,
			     28 * XM_KIB, 4 * XM_KIB);
	ret->sticks = !ret->reports_death && coin(r);
	if (ret->reports_death)
		ret->late_ns = PICK(r, 0, 0, XM_MS, 700 * XM_MS);
}

static uint32_t draw_polling(struct xm_rand *r)
{
	return (uint32_t)PICK(r, XM_POLLING_ADAPTIVE, XM_POLLING_ADAPTIVE,
			      XM_POLLING_BLOCK, XM_POLLING_BUSY);
}

/* How many of what there are, and how large they are. */
static void draw_sizes(struct xm_rand *r, struct sim_shape *s)
{
	s->appliances = 1 + (uint32_t)xm_rand_below(r, 3);
	s->clients = 1 + (uint32_t)xm_rand_below(r, 3);
	s->threads = 1 + (uint32_t)xm_rand_below(r, 3);
	s->lanes = (uint32_t)PICK(r, 1, 1, 2, 3);
	s->granule = (uint32_t)PICK(r, 4096, 16384, 65536);
	s->pool_size = s->granule * PICK(r, 8, 17, 40);
	/* The least the settings allow: a lane's frames are then some 190. */
	s->local = s->lanes * PICK(r, 1, 1, 1, 2, 5) * XM_MIB;
	if (coin(r))
		s->pool_size = xm_max(s->pool_size, 2 * XM_MIB);
	/* Lanes take turns every 2 MiB: what is watched lies in two of them. */
	if (s->lanes > 1 && s->pool_size > 2 * XM_MIB)
		s->pool_size = 4 * XM_MIB;
	s->arena = 64 * XM_MIB;
	s->prefetch = (uint32_t)PICK(r, 64, 64, 1, 2, 5);
}

/* Terms and limits, and what programs do. */
static void draw_limits(struct xm_rand *r, struct sim_shape *s)
{
	s->lease_ms = (uint32_t)PICK(r, 10000, 2000, 500);
	s->timeout_ms = PICK(r, 30000, 3000, 1500, 700);
	s->loss_ms = PICK(r, 1500, 300, 5000);
	s->extents_max = (uint32_t)PICK(r, 64, 64, 7, 3, 2, 1);
	s->kept_percent = 100;
	s->extents_each = coin(r) ? s->extents_max : (s->extents_max + 1) / 2;
	s->zero_size = (uint32_t)PICK(r, 64 * XM_KIB, 64 * XM_KIB, 4096);
	s->handshake_ms = (uint32_t)PICK(r, 5000, 5000, 300);
	s->clients_max = (uint32_t)xm_max(s->clients, PICK(r, 2, 4, 16));
	s->streams_tight = xm_rand_below(r, 3) == 0;
	s->operations = 20 + (uint32_t)xm_rand_below(r, 150);
	s->think_ns = PICK(r, 0, XM_MS, 20 * XM_MS, 200 * XM_MS);
	s->safety_ns = (2 + xm_rand_below(r, 20)) * XM_SECOND;
}

/* Which faults there are, and how often they come. */
static void draw_faults(struct xm_rand *r, struct sim_shape *s)
{
	s->again = (uint32_t)PICK(r, 0, 0, 50, 5);
	s->no_memory = (uint32_t)PICK(r, 0, 0, 20, 3);
	s->no_memory_client = (uint32_t)PICK(r, 0, 0, 0, 100, 30);
	s->weather_ms = (uint32_t)PICK(r, 0, 300, 1000, 4000);
	s->hang = coin(r);
	/* Control, interface, or both, at the same time and apart. */
	s->hang_halves = 1 + (uint32_t)xm_rand_below(r, 3);
	s->kill_appliance = coin(r);
	s->kill_client = coin(r);
	s->partition = coin(r);
	s->clog = coin(r);
	s->slow = coin(r);
	s->skew = coin(r);
	s->pauses = xm_rand_below(r, 12) == 0;
	if (s->pauses) {
		s->hang = s->kill_appliance = s->kill_client = false;
		s->partition = s->clog = s->slow = false;
		s->link.loss_permille = 0;
	}
}

/* Stripes, where there are appliances for them, and room for some rows. */
static void draw_stripes(struct xm_rand *r, struct sim_shape *s)
{
	s->stripes = (uint32_t)xm_min(PICK(r, 1, 1, 2, 3), s->appliances);
	if (s->pool_size < 4 * sim_row(s))
		s->stripes = 1;
}

/* Nothing goes wrong but at the victims. */
static void spare_the_rest(struct sim_shape *s)
{
	s->no_memory = s->no_memory_client = 0;
	s->link.loss_permille = 0;
}

/* Mirrors, where there are appliances for them. */
static void draw_copies(struct xm_rand *r, struct sim_shape *s)
{
	uint64_t copies = PICK(r, 1, 1, 2, 2, 2, 3);

	s->copies = (uint32_t)xm_min(copies, s->appliances);
	if (sim_plan.one_copy)
		s->copies = 1;
	/* A mirror has a ledger at each appliance besides. */
	if (s->copies > 1) {
		s->stripes = 1;
		s->extents_max = xm_max(s->extents_max, 3);
		s->extents_each = xm_max(s->extents_each, 2);
	}
	s->victims = 1u << xm_rand_below(r, s->appliances);
	s->survives = s->copies > 1 && coin(r);
	if (!s->survives)
		s->victims = 0;
	else
		spare_the_rest(s);
}

/* Which appliances have trouble: all; fewer than there are copies; or some. */
static void draw_victims(struct xm_rand *r, struct sim_shape *s)
{
	uint32_t most = s->copies - 1, kind = (uint32_t)xm_rand_below(r, 4);

	s->victims = 0;
	if (kind == 0)
		most = 0;
	else if (kind == 1)
		most = 1 + (uint32_t)xm_rand_below(r, s->appliances);
	while ((uint32_t)__builtin_popcount(s->victims) < most)
		s->victims |= 1u << xm_rand_below(r, s->appliances);
	s->survives = s->victims != 0 && most < s->copies;
	if (!s->survives)
		return;
	spare_the_rest(s);
	/* One that comes and goes can keep a fault waiting for longer than this, and
	 * what is given up is not lost. */
	s->loss_ms = 60000;
}

static bool mostly(struct xm_rand *r)
{
	return xm_rand_below(r, 4) != 0;
}

/* Many explicit writes to a few pages, all of which are in the remote memory: that is
 * where they meet those who mend. */
static void draw_crowd(struct xm_rand *r, struct sim_shape *s)
{
	s->kinds = program_kinds_explicit();
	s->clients = s->lanes = 1;
	s->threads = 3;
	s->granule = 4096;
	s->pool_size = PICK(r, 64 * XM_KIB, 128 * XM_KIB);
	s->local = XM_MIB;
	s->think_ns = PICK(r, 0, 0, XM_MS);
	s->operations = 200 + (uint32_t)xm_rand_below(r, 200);
}

/* An appliance is lost while another one is late, time and again; between that all are
 * well, and much is stored. */
static void draw_pairs(struct xm_rand *r, struct sim_shape *s)
{
	s->victims = 0;
	s->survives = false;
	s->kill_appliance = s->clog = true;
	s->weather_ms = (uint32_t)PICK(r, 300, 1000);
	s->think_ns = PICK(r, 0, XM_MS);
	s->lease_ms = 10000;
	s->timeout_ms = 30000;
	s->operations += 200;
	s->narrow = 0;
}

/* A small world, in which much happens to the copies. It has random numbers of its own,
 * and leaves the other seeds as they are. */
static void draw_storm(struct xm_rand *r, struct sim_shape *s)
{
	s->storm = true;
	s->stripes = 1;
	s->appliances = 2 + (uint32_t)xm_rand_below(r, 4);
	s->copies = (uint32_t)xm_min(PICK(r, 2, 2, 3, 3, 4), s->appliances);
	s->clients = (uint32_t)PICK(r, 1, 1, 2);
	s->threads = 1 + (uint32_t)xm_rand_below(r, 3);
	s->lanes = (uint32_t)PICK(r, 1, 1, 2);
	s->granule = (uint32_t)PICK(r, 4096, 16384, 65536);
	/* Of few pages much happens to each. */
	s->pool_size = xm_max(8 * s->granule,
			      s->lanes > 1 ? 4 * XM_MIB
					   : PICK(r, 64 * XM_KIB, 256 * XM_KIB,
						  XM_MIB, 2 * XM_MIB));
	/* A write to several members needs room for all of them. */
	if (xm_rand_below(r, 3) == 0)
		s->provider.depth = (uint32_t)PICK(r, 1, 2, 3, 7);
	s->local = s->lanes * XM_MIB;
	s->lease_ms = (uint32_t)PICK(r, 2000, 2000, 500);
	s->timeout_ms = PICK(r, 30000, 3000, 1500);
	s->extents_max = (uint32_t)PICK(r, 64, 64, 8);
	s->extents_each = s->extents_max;
	s->narrow = xm_rand_below(r, 3) == 0
			    ? (uint32_t)xm_rand_below(r, 1u << s->appliances)
			    : 0;
	s->streams_tight = false;
	s->operations = 60 + (uint32_t)xm_rand_below(r, 200);
	s->think_ns = PICK(r, 0, XM_MS, 5 * XM_MS, 20 * XM_MS);
	s->safety_ns = (2 + xm_rand_below(r, 6)) * XM_SECOND;
	s->weather_ms = (uint32_t)PICK(r, 30, 100, 300);
	s->hang = mostly(r);
	s->kill_appliance = mostly(r);
	s->kill_client = xm_rand_below(r, 6) == 0;
	s->partition = mostly(r);
	s->clog = mostly(r);
	s->slow = mostly(r);
	s->pauses = false;
	s->zones = 1 + (uint32_t)xm_rand_below(r, 3);
	if (xm_rand_below(r, 3) == 0)
		draw_crowd(r, s);
	draw_victims(r, s);
	s->pairs = xm_rand_below(r, 4) == 0;
	if (s->pairs)
		draw_pairs(r, s);
	s->spread = s->copies <= xm_min(s->zones, s->appliances)
			    ? (uint32_t)PICK(r, SIM_SPREAD_NOT,
					     SIM_SPREAD_ALWAYS, SIM_SPREAD_IF)
			    : SIM_SPREAD_NOT;
}

/* Clients hang often, and something is on its way to most of them when they do. */
static void draw_naps(struct xm_rand *r, struct sim_shape *s)
{
	s->link.latency_ns = 500 * XM_US;
	s->think_ns = 0;
	s->loss_ms = PICK(r, 300, 300, 1500);
	s->lease_ms = 10000;
	/* More pages than there are frames, so that they are faulted in again. */
	s->lanes = 1;
	s->local = XM_MIB;
	s->pool_size = 4 * XM_MIB;
	s->extents_max = s->extents_each = 64;
	s->kept_percent = 100;
	s->weather_ms = (uint32_t)PICK(r, 30, 100, 300);
	s->operations = 100 + (uint32_t)xm_rand_below(r, 200);
	s->naps = true;
}

/* Writer and readers are cut off from this appliance and from that, each for itself, while
 * all else is well: so what one has left out the other goes on to read. */
static void draw_split(struct xm_rand *r, struct sim_shape *s)
{
	s->appliances = s->copies = 2 + (xm_rand_below(r, 4) == 0);
	s->clients = 2 + (uint32_t)xm_rand_below(r, 2);
	s->threads = s->lanes = s->stripes = 1;
	s->granule = 4096;
	s->pool_size = PICK(r, 256 * XM_KIB, 512 * XM_KIB);
	s->local = XM_MIB;
	s->provider.depth = 2000;
	s->provider.size_max = 256 * XM_KIB;
	s->extents_max = s->extents_each = 64;
	s->lease_ms = 60000;
	s->timeout_ms = PICK(r, 1500, 3000);
	s->loss_ms = 1500;
	s->operations = 200 + (uint32_t)xm_rand_below(r, 200);
	s->think_ns = PICK(r, XM_MS, 5 * XM_MS);
	s->weather_ms = (uint32_t)PICK(r, 30, 100, 300);
	s->victims = 0;
	s->storm = s->survives = s->skew = s->pauses = s->naps = false;
	s->hang = s->kill_appliance = s->kill_client = s->clog = s->slow = false;
	s->partition = s->splits = true;
	s->narrow = s->spread = 0;
	spare_the_rest(s);
}

/* What the kind of world adds, or has not got. */
static void draw_kind(struct sim_shape *s)
{
	if (sim_plan.shares) {
		s->shares = true;
		s->drains = false; /* what is shared stays where it is */
		s->sealed = false;
		s->lies_ms = 0;
		s->clients = xm_max(s->clients, 2u);
		if (!sim_plan.plain && !sim_plan.one_copy &&
		    world_chance(WORLD_STORM, 3))
			draw_split(world_rand(WORLD_STORM), s);
	}
	if (sim_plan.hands) {
		s->hands = true;
		s->kept_percent = s->seed % 3 == 0 ? 25 : 100;
		/* What is sealed and changes hands has one copy. */
		s->sealed = s->sealed && s->copies < 2;
		s->lies_ms = 0;
	} else if (sim_plan.durable) {
		s->durable = true;
		s->kept_percent = 100;
		s->drains = false;
		s->lies_ms = 0;
	} else if (!sim_plan.shares && !sim_plan.clones) {
		tenants_draw(s);
		places_draw(s);
	}
	if (sim_plan.clones) {
		s->clones = true;
		s->sealed = false;
		s->lies_ms = 0;
	}
}

void weather_draw(uint64_t seed, struct sim_shape *s)
{
	struct xm_rand *r = world_rand(WORLD_SHAPE);
	bool calm = xm_rand_below(r, 10) == 0;

	memset(s, 0, sizeof(*s));
	s->seed = seed;
	s->drawn = true;
	draw_sizes(r, s);
	draw_limits(r, s);
	draw_provider(r, &s->provider);
	s->link = (struct sim_link){
		.latency_ns = PICK(r, 2 * XM_US, 10 * XM_US, 500 * XM_US),
		.jitter_ns = PICK(r, 0, 5 * XM_US, 2 * XM_MS),
		.bytes_per_us = PICK(r, 12000, 2000, 100),
		.loss_permille = (uint32_t)PICK(r, 0, 0, 1, 20),
	};
	s->races = true;
	s->reclaim = (uint32_t)xm_rand_below(r, 2);
	s->provider.scatter = (uint32_t)PICK(r, 4, 8, 1, 3);
	s->kinds = program_kinds_draw(r);
	/* A window is fetched by one read. */
	s->prefetch = (uint32_t)xm_min(s->prefetch,
				       s->provider.size_max / 4096);
	if (calm)
		s->link.loss_permille = 0;
	else
		draw_faults(r, s);
	s->polling = draw_polling(r);
	s->watches = xm_rand_below(r, 4) == 0;
	s->rights = xm_rand_below(r, 3) == 0;
	if (!sim_plan.plain) {
		draw_stripes(r, s);
		draw_copies(r, s);
		if (!calm && !sim_plan.one_copy &&
		    world_chance(WORLD_STORM, STORMS))
			draw_storm(world_rand(WORLD_STORM), s);
		else if (s->pauses && world_chance(WORLD_STORM, 2))
			draw_naps(world_rand(WORLD_STORM), s);
	}
	s->drains = !calm && s->appliances > 1 && xm_rand_below(r, 3) != 0;
	seals_draw(s);
	draw_kind(s);
}

/* Each host's clock has a beginning and a rate of its own. */
void weather_clock(struct process *p)
{
	struct xm_rand *r = world_rand(WORLD_MISFORTUNE);

	if (!sim_shape.skew)
		return;
	sim_counts.faults[SIM_FAULT_SKEW]++;
	p->skew_ns = (int64_t)xm_rand_below(r, 1000000 * XM_SECOND);
	p->drift_ppm = (int32_t)PICK(r, 0, 20, 1000, 50000);
	if (coin(r))
		p->drift_ppm = -p->drift_ppm;
}
