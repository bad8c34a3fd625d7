/* SPDX-License-Identifier: BSD-3-Clause */
/* run.c: one seed's run. */
#ifndef XM_SIM_RUN_H
#define XM_SIM_RUN_H

#include "common/base.h"

struct sim_result {
	bool held; /* no law was broken */
	uint64_t hash, events, simulated_ns;
	uint64_t weather; /* number of weather events, with the one under way */
};

/* Runs the seed as sim_plan has it. world_law() and world_why() say what broke. */
void sim_run(uint64_t seed, struct sim_result *ret);
/* Runs live(seed) in a new world instead. */
void sim_live(uint64_t seed, void (*live)(uint64_t seed),
	      struct sim_result *ret);

/* minimize.c: makes sim_plan as small as possible while the seed breaks the same
 * law, reports its progress on stderr, and prints the command line for it. Returns
 * an exit status. */
int sim_minimize(uint64_t seed, bool quiet);

#endif
