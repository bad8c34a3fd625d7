/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The world: virtual time, and the processes that run, hang and die in it.
 * Everything happens in one thread of this process, in an order that the seed
 * alone decides.
 *
 * A process here is one of extmem's: a client, an appliance's control process
 * or an appliance's interface process. Its threads are coroutines (fibers.h).
 * A fiber runs until it waits: for a point in time, for an arrival, for a lock.
 * The production code waits only through core/skin/os.h, which sim/os.c
 * implements with these functions.
 *
 * Time stands still while a fiber runs. When no fiber can run, time jumps to
 * the next event. The fibers of a hung process (SIGSTOP) cannot run. A killed
 * process has no fibers, and its memory (memory.h) is freed.
 *
 * All times are in nanoseconds of virtual time since the world began at
 * WORLD_BEGIN, except where a process's own clock is named.
 */
#ifndef XM_WORLD_H
#define XM_WORLD_H

#include "common/base.h"
#include "common/rand.h"

#define WORLD_PROCESSES 64
#define WORLD_BEGIN (10 * XM_SECOND) /* the clock's first value */

/* One stream of random numbers for each purpose, so that one more draw for one
 * purpose changes no other. */
enum world_purpose {
	WORLD_SCHEDULE = 1,
	WORLD_NETWORK,
	WORLD_WEATHER,
	WORLD_WORK,
	WORLD_SECRETS,
	WORLD_SHAPE,
	WORLD_MISFORTUNE,
	WORLD_STORM,
	WORLD_SEALS,
	WORLD_TENANTS,
	WORLD_PLACES,
	WORLD_RATES,
	WORLD_PURPOSES,
};

struct process {
	uint32_t index;
	char name[24];
	uint32_t node; /* the host on which it runs */
	bool alive, hung;
	uint64_t hung_since_ns;
	uint64_t hang_counts_ns; /* a shorter hang counts as time awake */
	uint64_t asleep_ns; /* sum of the longer hangs, less short jumps */
	uint64_t hangs_ns;  /* sum of all hangs */
	int64_t skew_ns;    /* its clock minus the world's */
	uint32_t jumps;	    /* of its clock, by the weather */
	int32_t drift_ppm;  /* its clock's rate error */
	uint64_t started_ns;
	uint32_t incarnation;
	struct memory *memory; /* its allocations: see memory.h */
	uint64_t held;	       /* their number */
	void (*died)(struct process *); /* called when the process is killed */
	void *owner;
};

void world_open(uint64_t seed);
void world_close(void);
uint64_t world_now(void);

/* By purpose. */
extern struct xm_rand world_rands[WORLD_PURPOSES];

static inline struct xm_rand *world_rand(enum world_purpose purpose)
{
	return &world_rands[purpose];
}

/* True once in `n` calls, at random; never for n == 0. Here, because each lock that is
 * given asks. */
static inline bool world_chance(enum world_purpose purpose, uint64_t n)
{
	return n != 0 && xm_rand_below(world_rand(purpose), n) == 0;
}

/* --- processes ---------------------------------------------------------------- */

struct process *world_spawn(const char *name, uint32_t node);
/* Ends its fibers where they are and frees its memory. Its index can then be
 * used by another process. Not for the process that runs now. */
void world_kill(struct process *);
void world_hang(struct process *, bool hung);
struct process *world_process(uint32_t index);
/* The process of the running fiber; NULL outside of fibers. */
struct process *world_current(void);
/* The time on the process's own clock. */
uint64_t world_process_ns(const struct process *);
/* Time without this process's hangs, up to now. */
uint64_t world_run_ns(const struct process *);
/* For how long it could have listened, where short hangs count as listening. */
uint64_t world_awake_ns(const struct process *);
/* A lower bound of that: without any hang, however short. */
uint64_t world_awake_least_ns(const struct process *);

/* --- events ------------------------------------------------------------------- */

/* Calls run(argument, number) at `at_ns`, outside of any fiber. Nothing that
 * happens to a process cancels it. */
void world_at(uint64_t at_ns, void (*run)(void *, uint64_t), void *argument,
	      uint64_t number);

/* Runs until `until_ns`, or until stop() returns true; it is called after each
 * event. Returns the number of events. */
uint64_t world_run(uint64_t until_ns, bool (*stop)(void));
/* The number of events so far. An event is a fiber that runs up to its next
 * wait, or a call by world_at(). */
uint64_t world_events(void);
/* For stop(): the process whose fiber has just run; NULL: none. */
const struct process *world_ran(void);

#endif
