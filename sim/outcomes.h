/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What calls may come to, by what is being done to the appliance: the list
 * that the simulated fabric and real ones are both held against.
 * `extmem-sim --outcomes` counts what the simulator produces, tests/api/reality.c
 * what happens to real processes; an outcome that is not in the list fails
 * either, and one that the simulator never produces has no place in the list.
 *
 * A trouble is told by the worst of all that has happened since the client
 * took its region; for a take: since it took the one before. When one is over
 * it takes a while until all is as before: connections are made anew, and
 * leases end that nobody could renew.
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

/* Of a call's return value. */
enum outcome_result outcome_result(int rc);
bool outcome_listed(enum outcome_call, enum outcome_trouble,
		    enum outcome_result);
const char *outcome_call_name(enum outcome_call);
const char *outcome_trouble_name(enum outcome_trouble);
const char *outcome_result_name(enum outcome_result);

#define OUTCOME_SETTLES (5 * XM_SECOND)

/* Of one client: what has happened since, and until when it goes on. */
struct outcome_watch {
	bool since[OUTCOME_TROUBLES];
	uint64_t until_ns[OUTCOME_TROUBLES];
};

void outcome_begin(struct outcome_watch *, enum outcome_trouble);
void outcome_end(struct outcome_watch *, enum outcome_trouble, uint64_t now_ns);
/* A region was taken: what is not going on now is forgotten. */
void outcome_taken(struct outcome_watch *, uint64_t now_ns);
enum outcome_trouble outcome_worst(const struct outcome_watch *);

#endif
