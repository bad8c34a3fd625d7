/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Outcomes: which results each call may have, by what was done to the appliance
 * meanwhile. `extmem-sim --outcomes` counts the simulator's outcomes,
 * tests/api/reality.c those of real processes. An outcome that is not in the list
 * fails either of them; one that the simulator never produces must not be in it.
 *
 * An outcome counts under the worst trouble since the client allocated its region,
 * or for an allocation since the one before. When a trouble ends it takes
 * OUTCOME_SETTLES until all is as before: connections are made again, and leases
 * end that nobody could renew.
 */
#ifndef XM_OUTCOMES_H
#define XM_OUTCOMES_H

#include "common/base.h"

enum outcome_call {
	OUTCOME_TAKE, OUTCOME_GIVE, OUTCOME_RESIZE, OUTCOME_LOAD,
	OUTCOME_STORE, OUTCOME_READ, OUTCOME_WRITE, OUTCOME_SYNC,
	OUTCOME_MAP, OUTCOME_UNMAP, OUTCOME_ADVISE, OUTCOME_PIN,
	OUTCOME_CALLS,
};

/* From harmless to worst. */
enum outcome_trouble {
	OUTCOME_CALM,
	OUTCOME_CONTROL_STOPPED,   /* SIGSTOP, for a while */
	OUTCOME_INTERFACE_STOPPED, /* or both */
	OUTCOME_KILLED,		   /* either, or both; begun anew later */
	OUTCOME_OTHER, /* of networks and clients: not compared */
	OUTCOME_TROUBLES,
};

enum outcome_result {
	OUTCOME_OK, OUTCOME_ENOSPC, OUTCOME_ENOTCONN, OUTCOME_ESTALE,
	OUTCOME_ETIMEDOUT, OUTCOME_EBUSY, OUTCOME_ENOMEM, OUTCOME_SIGBUS,
	OUTCOME_ELSE,
	OUTCOME_RESULTS,
};

typedef uint64_t
	outcome_counts[OUTCOME_CALLS][OUTCOME_TROUBLES][OUTCOME_RESULTS];

/* The outcome of a return value. */
enum outcome_result outcome_result(int rc);
/* Of a call that wants more memory. */
enum outcome_result outcome_of_more(int rc);
bool outcome_listed(enum outcome_call, enum outcome_trouble,
		    enum outcome_result);
const char *outcome_call_name(enum outcome_call);
const char *outcome_trouble_name(enum outcome_trouble);
const char *outcome_result_name(enum outcome_result);

#define OUTCOME_SETTLES (5 * XM_SECOND)

/* Of one client: which troubles there were since, and when each ends. */
struct outcome_watch {
	bool since[OUTCOME_TROUBLES];
	uint64_t until_ns[OUTCOME_TROUBLES];
};

void outcome_begin(struct outcome_watch *, enum outcome_trouble);
void outcome_end(struct outcome_watch *, enum outcome_trouble, uint64_t now_ns);
/* A region was allocated: troubles that are over are forgotten. */
void outcome_taken(struct outcome_watch *, uint64_t now_ns);
enum outcome_trouble outcome_worst(const struct outcome_watch *);

#endif
