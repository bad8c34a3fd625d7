/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many runs at once. Seeds are dealt to processes of this machine (jobs) and, under
 * mpirun, of others (ranks), and their reports are added up. A report has nothing
 * but sums, so it does not depend on which process ran which seed.
 */
#ifndef XM_RANKS_H
#define XM_RANKS_H

#include "sim/counts.h"
#include "sim/outcomes.h"

#define RANKS_FAILED_MAX 256 /* failed seeds named; all are counted */
#define RANKS_JOBS_MAX 256

/* 64-bit numbers that are added up, but for the two lists at its end. */
struct report {
	uint64_t runs, failures, simulated_ns, events;
	uint64_t hash; /* of the runs' hashes, in whatever order */
	struct sim_counts counts;
	uint64_t failed[RANKS_FAILED_MAX];
	outcome_counts shown; /* the first seed that showed each, or 0 */
};

/* Adds one run's hash. */
void report_hash(struct report *, uint64_t seed, uint64_t hash);
void report_failure(struct report *, uint64_t seed);
/* What this run's calls came to: sim_counts.outcomes. */
void report_outcomes(struct report *, uint64_t seed);
void report_add(struct report *, const struct report *);

/* One process's part: run number first, first + step, ... below the caller's
 * limit. Before each run it says so in *ret_now. */
typedef void (*ranks_work)(uint64_t first, uint64_t step, uint64_t *ret_now,
			   struct report *ret);

/* This process's place among those that mpirun started: 0 of 1 without. */
void ranks_begin(uint32_t *ret_rank, uint32_t *ret_count);
/* Runs work() in `jobs` processes of this rank (one: in this one itself). A
 * job that crashes has failed in the run it was at, of seed `seed` + its
 * number, and another goes on behind it. */
void ranks_run(uint32_t jobs, uint64_t seed, ranks_work work,
	       struct report *ret);
/* On rank 0 the sum of all ranks' reports. */
void ranks_merge(struct report *);
void ranks_end(void);

#endif
