/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads of simulated processes, as coroutines (fibers). One runs at a time.
 * It runs until it waits or yields; the seed then chooses the next among all
 * that can run.
 */
#ifndef XM_FIBERS_H
#define XM_FIBERS_H

#include "common/base.h"

#define WORLD_FIBERS 256

struct process;

/* Starts a thread of the process. */
struct fiber *world_fiber(struct process *, void (*run)(void *), void *argument);
/* The argument of the running fiber. */
void *world_argument(void);

/* Of the running fiber: a number from 1 on, of no other fiber that lives; and whether it
 * was started with this function. */
int world_number(void);
bool world_runs(void (*run)(void *));

/* A value that the running fiber keeps, like thread-specific data. When the
 * fiber returns from run(), end(value) is called if `value` is not NULL. */
struct world_own {
	void *value;
	void (*end)(void *value);
};
struct world_own *world_own(void);
/* The number of the process's fibers that keep such a value. */
uint32_t world_owners(const struct process *);

/* The following are called by the running fiber. */

/* Waits until world_wake(key), or for timeout_ns (XM_NEVER: without limit).
 * Returns true when woken. */
bool world_wait(const void *key, uint64_t timeout_ns);
/* Lets others run. */
void world_yield(void);

#define WORLD_BUCKETS 64

/* How many fibers wait, by the hash of the key that they wait for. */
extern uint32_t world_waiting[WORLD_BUCKETS];

static inline unsigned world_bucket(const void *key)
{
	_Static_assert(WORLD_BUCKETS == 64, "six bits of the hash");
	return (unsigned)((uint64_t)(uintptr_t)key *
			  UINT64_C(0x9e3779b97f4a7c15) >> 58);
}

/* Wakes all fibers that wait for `key`. Mostly there are none: each lock that is given
 * asks. */
void world_wake_waiting(const void *key);
static inline void world_wake(const void *key)
{
	if (world_waiting[world_bucket(key)] > 0)
		world_wake_waiting(key);
}

#endif
