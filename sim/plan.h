/* SPDX-License-Identifier: BSD-3-Clause */
/* plan.c: which part of a seed's run takes place. */
#ifndef XM_SIM_PLAN_H
#define XM_SIM_PLAN_H

#include <stdio.h>

#include "common/base.h"

#define SIM_MASK_MAX 1024

/* A set of numbered things: all, or those whose bit is set. */
struct sim_mask {
	bool some; /* else all */
	uint64_t bits[SIM_MASK_MAX / 64];
};

/* All zero: the whole run, as the seed draws it. */
struct sim_plan {
	bool one_copy; /* no region is mirrored */
	/* In place of what the seed draws; 0: as drawn. */
	uint64_t appliances, clients, threads, lanes, operations, safety_ns;
	uint64_t weather_ms;
	bool plain;		    /* regions have neither stripes nor copies nor seals */
	bool unsealed;		    /* nor seals alone */
	bool one_tenant;	    /* all clients may have everything */
	bool hands;		    /* regions change hands */
	bool durable;		    /* regions are made durable */
	bool shares;		    /* they are shared with readers */
	bool clones;		    /* regions are copied */
	bool model;		    /* appliances' interfaces are transports/model */
	bool snapshot;		    /* the world is that of snapshot.h */
	bool store;		    /* the world is that of store.h */
	bool parity;		    /* the world is that of parity.h */
	uint64_t without;	    /* a bit of each kind: sim_kind_name() */
	struct sim_mask weather;    /* events of weather.c, by number */
	struct sim_mask operations_of; /* each thread's operations, likewise */
	const char *fail_on;	    /* a note that breaks a law; or NULL */
	FILE *show;		    /* the trace; or NULL */
	uint64_t until;		    /* the last line; 0: the run's own end */
};

extern struct sim_plan sim_plan;

/* Kinds that can be left out: faults that weather makes, then operations. */
#define SIM_KINDS_MAX 64
const char *sim_kind_name(uint32_t kind); /* NULL: there is none */
bool sim_without(uint32_t kind);
uint32_t sim_kind_of_operation(uint32_t operation);
bool sim_mask_has(const struct sim_mask *, uint64_t number);
void sim_mask_set(struct sim_mask *, uint64_t number, bool on);
/* "3,7-9"; "none"; "": all. -EINVAL. */
int sim_mask_parse(const char *text, struct sim_mask *ret);
void sim_mask_format(const struct sim_mask *, char *ret, size_t size);

#endif
