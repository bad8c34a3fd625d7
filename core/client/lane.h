/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes: each has a share of the arena's pages, with an engine (pager and
 * connections) of its own, and a lock. A fault takes the lock of one lane only.
 *
 * A thread that holds a lane's lock touches no mapped page. The library's own
 * threads never touch one (faults.c ends the process if one does). From the first
 * mapping on, signals are blocked while the lock is held: a handler of the
 * program's could touch a page on this thread, and its fault would need the lock.
 *
 * Pages are dealt out in blocks: with 4 lanes and blocks of 512 pages, pages 0 to
 * 511 are lane 0's, 512 to 1023 lane 1's, and 2048 to 2559 lane 0's again.
 */
#ifndef XM_LANE_H
#define XM_LANE_H

#include <stdatomic.h>

#include "common/base.h"
#include "common/spin.h"
#include "core/client/arena.h"
#include "core/client/latency.h"
#include "core/client/piece.h"
#include "core/client/sealing.h"
#include "core/client/settings.h"
#include "core/client/wait.h"
#include "core/engine/engine.h"
#include "core/engine/keeper.h"
#include "core/skin/os.h"

#define XM_LANE_DEPTH 256 /* explicit operations under way, most */

struct xm_lane {
	struct os_lock lock; /* of all that follows */
	atomic_bool mapped;  /* pages can fault, from now on; see xm_lane_lock() */
	struct xm_waiting waiting;
	struct xm_spin spin;
	struct xm_lanes *lanes;
	struct xm_engine engine;
	void *memory; /* of the engine */
	size_t memory_size;
	uint32_t frames_first; /* as opened */
	uint8_t *staging; /* of the engine; then the bounce pages */
	size_t staging_size;
	struct xm_pieces pieces;
	struct xm_latency latency;
	uint64_t returned_ns; /* of latency.sum_ns: pages that had been local */
};

struct xm_lanes {
	uint32_t count;
	uint64_t block_pages; /* consecutive pages of one lane; a power of two */
	/* Bytes; changed with all lanes locked, read by any thread. */
	_Atomic uint64_t local_limit;
	struct xm_all_waiting waiting;
	struct xm_lane lane[XM_LANES_MAX];
};

/* From zeros. The arena and the volume must outlive them. 0, or -errno with a
 * message; close them in either case, which closes their transports. */
int xm_lanes_open(struct xm_lanes *, const struct xm_client_settings *,
		  const struct xm_arena *, struct xm_volume *,
		  const struct xm_sealing *, const struct xm_printing *);
void xm_lanes_close(struct xm_lanes *);

static inline uint32_t xm_lane_index(const struct xm_lanes *lanes,
				     uint64_t page)
{
	return lanes->count == 1
		       ? 0
		       : (uint32_t)(page / lanes->block_pages % lanes->count);
}

static inline struct xm_lane *xm_lane_at(struct xm_lanes *lanes, uint64_t page)
{
	return &lanes->lane[xm_lane_index(lanes, page)];
}

/* Where the block that holds this page ends. */
static inline uint64_t xm_block_end(const struct xm_lanes *lanes, uint64_t page)
{
	return (page | (lanes->block_pages - 1)) + 1;
}

/* A lane's lock is given by this, and by nothing else. */
static inline void xm_lane_give(struct xm_lane *lane)
{
	if (lane->engine.turns != atomic_load_explicit(&lane->waiting.turns,
						       memory_order_relaxed))
		xm_lane_tell(lane);
	os_lock_give(&lane->lock);
}

/* Before the first mapping there are no faults, and two system calls are
 * saved. */
static inline void xm_lane_lock(struct xm_lane *lane, struct os_signals *ret)
{
	ret->blocked = false;
	for (;;) {
		if (atomic_load_explicit(&lane->mapped, memory_order_relaxed))
			os_signals_block(ret);
		os_lock_take(&lane->lock);
		/* It is set by a thread that holds all these locks. */
		if (ret->blocked || !atomic_load_explicit(&lane->mapped,
							  memory_order_relaxed))
			return;
		os_lock_give(&lane->lock);
	}
}

static inline void xm_lane_unlock(struct xm_lane *lane,
				  const struct os_signals *old)
{
	xm_lane_give(lane);
	os_signals_restore(old);
}

/* All of them, in the order of their numbers; signals are blocked. */
void xm_lanes_lock(struct xm_lanes *, struct os_signals *ret);
void xm_lanes_unlock(struct xm_lanes *, const struct os_signals *old);

/* With the lane locked: takes in completions, and hands those of explicit
 * operations to their transfers. */
void xm_lane_turn(struct xm_lane *);
/* The second half alone: completions that the background thread took in. */
void xm_lane_collect(struct xm_lane *);

#endif
