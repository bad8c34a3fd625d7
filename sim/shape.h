/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shape of a run: how many appliances, clients and threads there are, how
 * large everything is, how the provider behaves, and which faults are injected.
 * weather_draw() draws it from the seed (draw.c); stories set their own.
 */
#ifndef XM_SIM_SHAPE_H
#define XM_SIM_SHAPE_H

#include "common/base.h"

#define SIM_APPLIANCES_MAX 8
#define SIM_CLIENTS_MAX 8
#define SIM_NODES (SIM_APPLIANCES_MAX + SIM_CLIENTS_MAX)

/* How the simulated libfabric provider behaves: what real ones differ in. */
struct sim_provider {
	bool revokes;	    /* conceal() makes the key invalid at once */
	bool admits;	    /* connections need a ticket; else a key is enough */
	bool reports_death; /* a dead peer's connection is shut down */
	bool refuses;	    /* an invalid key gives -EACCES; else the connection ends */
	bool registers;	    /* local buffers must be registered */
	bool sticks;	    /* posts to a dead peer return -EAGAIN for ever */
	uint64_t late_ns;   /* a connection's end is reported up to so late */
	uint32_t depth;	    /* operations in flight, most */
	uint64_t size_max;  /* bytes of one operation */
	uint32_t scatter;   /* pieces of one write */
};

struct sim_link {
	uint64_t latency_ns, jitter_ns;
	uint64_t bytes_per_us;
	uint32_t loss_permille; /* a lost message is sent again, later */
};

enum sim_spread {
	SIM_SPREAD_NOT,
	SIM_SPREAD_ALWAYS,
	SIM_SPREAD_IF, /* or else not */
};

#define SIM_UNIT (64 * XM_KIB) /* of stripes: the least there is */

struct sim_shape {
	uint64_t seed;
	uint32_t appliances, clients, threads, lanes;
	uint32_t stripes; /* columns of each region; 0, 1: none */
	uint32_t copies;  /* of each region; 0, 1: no strategy */
	uint64_t pool_size, local, arena;
	uint32_t granule, prefetch, lease_ms;
	uint32_t reclaim; /* enum xm_reclaim */
	uint64_t timeout_ms, loss_ms;
	uint32_t extents_max, extents_each, clients_max;
	uint32_t kept_percent;
	uint32_t streams_max;
	bool streams_tight; /* streams_max is the number of clients */
	uint32_t zero_size, handshake_ms;
	uint32_t operations; /* of each thread */
	uint64_t kinds;	     /* of operations in this run: a bit for each */
	uint64_t think_ns;   /* between them, on average */
	uint32_t polling;    /* enum xm_polling, of clients */
	uint64_t safety_ns;
	struct sim_provider provider;
	struct sim_link link;
	/* One in so many fails; 0: none. */
	uint32_t again;	     /* posts (-EAGAIN) */
	uint32_t no_memory;  /* exposures and admissions */
	uint32_t no_memory_client; /* allocations, threads, registrations */
	uint32_t weather_ms; /* between weather events, mean; 0: none */
	uint32_t hang_halves; /* of appliances: 1 control, 2 interface, 3 both */
	bool hang, kill_appliance, kill_client, partition, clog, slow, skew;
	/* All trouble comes to these appliances, and to their links; 0: to all. If they
	 * are fewer than the copies, what is mirrored survives. */
	uint32_t victims;
	bool survives;
	/* A storm is at the copies: its faults come in pairs, while members are mended,
	 * and to all appliances of a zone at once. */
	bool storm;
	bool pairs; /* and nearly all are of two appliances at once, with time between */
	uint32_t zones;
	uint32_t spread; /* enum sim_spread: of copies over zones */
	uint32_t narrow; /* appliances with room for so few extents that a spare is refused */
	bool drains; /* appliances do, for a while */
	bool drawn;  /* by weather_draw(): all faults are weather.c's */
	bool watches; /* programs watch what becomes writable */
	bool rights; /* programs take rights from pages and give them back */
	bool hands;  /* regions change hands */
	bool durable; /* appliances have stores, and programs use them */
	bool shares; /* they are shared with readers */
	bool splits; /* and that is most of what is done with them */
	bool clones; /* regions are copied */
	bool races;  /* threads store while the mapper is at work */
	bool sealed; /* all regions are */
	uint32_t lies_ms; /* between lies of appliances, mean; 0: none */
	uint32_t tenants; /* that clients are of, in turns; 0: there is no policy */
	uint32_t rate; /* requests a second that each may make; 0: any number */
	uint32_t quotas_ms; /* between changes of what they may have, mean; 0: none */
	bool apart; /* each tenant has a part of each pool, and an interface there */
	bool thief; /* one tries to come back as a client of another tenant */
	bool pauses; /* the only faults are clients that hang */
	bool naps;   /* and that they do often, and soon again */
};


extern struct sim_shape sim_shape;

/* Regions are multiples of it: the granule, or a row of stripes. */
static inline uint64_t sim_row(const struct sim_shape *s)
{
	return s->stripes > 1 ? s->stripes * SIM_UNIT : s->granule;
}

/* What regions are sealed with stands behind them. */
static inline bool shape_is_fixed(const struct sim_shape *s)
{
	return s->sealed && (s->durable || s->hands);
}

#endif
