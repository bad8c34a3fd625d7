/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How threads wait for what a lane does: one looks for completions, the others
 * follow it, and all of them sleep when it takes long. wait.c has the protocol.
 *
 * Runs in the handler of SIGBUS: system calls, no allocation.
 */
#ifndef XM_WAIT_H
#define XM_WAIT_H

#include <stdatomic.h>

#include "common/base.h"
#include "common/spin.h"
#include "core/engine/keeper.h"
#include "core/skin/os.h"

struct xm_lane;
struct xm_lanes;

/* What a waiting thread does; wait.c explains the states. */
enum xm_wait_state {
	XM_WAIT_BETWEEN, /* none of them: it has the lane's lock, or does not wait */
	XM_WAIT_LOOKING,
	XM_WAIT_FOLLOWING,
	XM_WAIT_WATCHING,
	XM_WAIT_SLEEPING,
};

/* A lane's watcher: NONE -> ASLEEP when a thread begins to watch, -> WOKEN when
 * the lane's wakeup descriptor is made readable for it, -> NONE when it is back. */
enum xm_watcher {
	XM_WATCHER_NONE,
	XM_WATCHER_ASLEEP,
	XM_WATCHER_WOKEN,
};

/* Of a lane; with its lock, but for what is atomic. */
struct xm_waiting {
	_Atomic uint32_t turns; /* the engine's, as last published */
	/* For how long looking is worth while: the spin's answer, for threads
	 * that wait for several lanes without their locks. */
	_Atomic uint64_t spin_ns;
	atomic_bool looking; /* a thread is LOOKING */
	enum xm_watcher watcher;
	uint32_t sleepers; /* threads that are SLEEPING, on `calls` */
	/* Rises when sleepers are to wake: `turns` has risen, or no thread is
	 * WATCHING any more. */
	_Atomic uint32_t calls;
	int wakeup;	   /* descriptor of the thread that is WATCHING */
	int all_wakeup;	   /* of one that watches all lanes; or -1 */
};

/* Of all lanes of a client. */
struct xm_all_waiting {
	_Atomic uint32_t count; /* threads that look or follow, in any lane */
	int wakeup; /* of the one thread that may watch all lanes */
	atomic_bool watched;
};

/* One wait of one thread, from the first WAIT to the last; on its stack. */
struct xm_wait {
	enum xm_wait_state state;
	uint64_t deadline_ns; /* sleep no longer; XM_NEVER */
	uint64_t began_ns;
	uint64_t since_ns; /* of what happened last, or of the beginning; or 0 */
	const struct os_signals *signals; /* as before the lock, or NULL */
	bool slept; /* since then */
	unsigned looks, naps;
};

/* Descriptors. 0, or -errno; close them in either case. */
int xm_waiting_open(struct xm_lane *, enum xm_polling);
void xm_waiting_close(struct xm_waiting *);
int xm_all_waiting_open(struct xm_all_waiting *);
void xm_all_waiting_close(struct xm_all_waiting *);

/* With the lane's lock: publishes the engine's turns, and wakes the sleepers. */
void xm_lane_tell(struct xm_lane *);
/* With the lane locked, and on return: something may have happened since, or
 * some time has passed. The lock may have been given meanwhile. */
void xm_lane_wait(struct xm_lane *, struct xm_wait *);
/* Without the lock, for a thread that had seen this many turns before it looked:
 * returns at once if there have been more. */
void xm_lane_await(struct xm_lane *, uint32_t seen, struct xm_wait *);

static inline uint32_t xm_waiting_seen(const struct xm_waiting *w)
{
	return atomic_load_explicit(&w->turns, memory_order_acquire);
}

/* Likewise for a thread that looks at all lanes, and at a descriptor (or -1). */
void xm_lanes_seen(struct xm_lanes *, uint32_t seen[XM_LANES_MAX]);
void xm_lanes_wait(struct xm_lanes *, const uint32_t seen[XM_LANES_MAX], int fd,
		   struct xm_wait *);
/* Pauses between two looks at something that sends no wakeup; longer as `turn`
 * grows, from 0. */
void xm_rest(unsigned turn);

#endif
