/* SPDX-License-Identifier: BSD-3-Clause */
/* run.c: one seed's run. */
#ifndef XM_SIM_RUN_H
#define XM_SIM_RUN_H

#include "common/base.h"

struct sim_result {
	bool held; /* every law */
	uint64_t hash, events, simulated_ns;
	uint64_t weather; /* events numbered, the one under way too */
};

/* As sim_plan has it. What broke is in world_law() and world_why(). */
void sim_run(uint64_t seed, struct sim_result *ret);
/* A world in which `live` happens, instead. */
void sim_live(uint64_t seed, void (*live)(uint64_t seed),
	      struct sim_result *ret);

/* minimize.c: makes sim_plan as small as it gets while the seed breaks the same law, tells
 * of its progress on stderr, and prints the command line that does it.
 * Returns an exit status. */
int sim_minimize(uint64_t seed, bool quiet);

#endif
