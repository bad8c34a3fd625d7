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

/* How the provider under the fabric behaves; see PITFALLS in ARCHITECTURE. */
struct sim_provider {
	bool revokes;	    /* a concealed key is dead at once */
	bool admits;	    /* connections with tickets; else keys alone */
	bool reports_death; /* a dead peer's connection is shut down */
	bool refuses;	    /* a bad key is -EACCES; else the connection ends */
	bool registers;
	bool sticks;	    /* posts to one that is gone say -EAGAIN for ever */
	uint64_t late_ns;   /* a connection's end is told up to this late */
	uint32_t depth;
	uint64_t size_max;
	uint32_t scatter; /* pieces in one write */
};

struct sim_link {
	uint64_t latency_ns, jitter_ns;
	uint64_t bytes_per_us;
	uint32_t loss_permille; /* each costs a retransmission's wait */
};

struct sim_shape {
	uint64_t seed;
	uint32_t appliances, clients, threads, lanes;
	uint64_t pool_size, local, arena;
	uint32_t granule, prefetch, lease_ms;
	uint32_t reclaim; /* enum xm_reclaim */
	uint64_t timeout_ms, loss_ms;
	uint32_t extents_max, extents_each, clients_max;
	uint32_t streams_max;
	bool streams_tight; /* as many as clients */
	uint32_t zero_size, handshake_ms;
	uint32_t operations; /* of each thread */
	uint64_t kinds;	     /* of operations: a bit of each that there is */
	uint64_t think_ns;   /* between them, on average */
	uint32_t polling;    /* enum xm_polling, of clients */
	uint64_t safety_ns;
	struct sim_provider provider;
	struct sim_link link;
	/* One in so many; 0: never. */
	uint32_t again;	     /* posts that say -EAGAIN */
	uint32_t no_memory;  /* exposures and admissions that fail */
	uint32_t no_memory_client; /* allocations, threads, registrations */
	uint32_t weather_ms; /* between weather events, mean; 0: none */
	uint32_t hang_halves; /* of appliances: 1 control, 2 interface, 3 both */
	bool hang, kill_appliance, kill_client, partition, clog, slow, skew;
	bool drawn;  /* by weather_draw(): nothing disturbs but the weather */
	bool races;  /* threads store while the mapper is at work */
	bool pauses; /* nothing but clients that hang */
};


extern struct sim_shape sim_shape;

#endif
