/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions that are cloned while programs go on with them: extmem_region_copy() (clone.c)
 * begins it, and the background thread does the rest (clone_turn.c), as cloning.h says.
 *
 * The life of a clone:
 *	1. Each extent of the region, of all its copies, gets another one at the same appliance (ALLOC), and
 *	   these are the segments of a new region.
 *	2. With all lanes locked, every page of the region is frozen (FREEZE): that is the moment
 *	   of which the clone is. The clone's pages are locked (CLONE_LOCK); the call returns.
 *	3. Chunk after chunk, what is dirty is written back (FLUSH, FROZEN); its appliances
 *	   copy it (COPY); the clone's pages are unlocked and the region's released. A copy
 *	   whose appliance the client's view has left out is not waited for: then the clone's
 *	   pages are stale, and given to it when it is back, as any others.
 *	4. When all chunks are done, moves and shrinks of either may go on.
 *
 * A chunk that cannot be copied is lost to the clone, and to nothing else: its pages are
 * lost pages. So is one of which an explicit write was cut off just then. A COPY whose end is not known is asked again; its chunk stays frozen, but not
 * for ever: when for the setting `timeout` no chunk was done, what is left is lost to the
 * clone. An appliance whose control process hangs would else stop who stores to the region.
 */
#ifndef XM_CLONES_H
#define XM_CLONES_H

#include <stdatomic.h>

#include "common/list.h"
#include "core/client/ask.h"
#include "core/client/region.h"
#include "core/pure/cloning.h"

#define XM_CLONE_SLOTS 4 /* chunks at a time */
/* Requests of one at a time: one for each copy; a chunk may lie in more columns. */
#define XM_CLONE_POSTS 8

/* A chunk that is under way. */
struct xm_clone_slot {
	enum { XM_CLONE_IDLE, XM_CLONE_SETTLES, XM_CLONE_ASKS, XM_CLONE_RESTS } state;
	uint32_t chunk;
	uint64_t copied, asked; /* pages of it, from its first on */
	uint64_t again_ns;	/* it RESTS until then, and asks again */
	bool stale; /* a member of the clone lacks some of it */
	uint32_t count;
	uint64_t pages[XM_CLONE_POSTS]; /* the clone's first of each request */
	struct xm_request posts[XM_CLONE_POSTS];
};

struct xm_clone {
	struct xm_link link;
	extmem_region *source, *clone;
	struct xm_cloning machine;
	struct xm_clone_slot slots[XM_CLONE_SLOTS];
	/* No more is copied: what is left is lost to the clone. */
	atomic_bool cancelled;
	atomic_bool ended;
	uint8_t states[]; /* of the machine */
};

struct xm_clones {
	struct os_mutex lock;
	struct xm_link list; /* those that have not ended */
	_Atomic uint32_t count; /* of these: most clients have none, and take no lock */
};

/* One step of all that are under way; on the background thread, without a lock. True: there
 * is more to do. */
bool xm_clones_turn(extmem *);
/* Waits until the region is not being cloned any more, and is no clone that lacks bytes; at
 * most half of what is left of the call's time. Then what is left is lost to the clone.
 * `drop`: at once. With regions.lock held. */
void xm_clone_finish(extmem_region *, bool drop);

#endif
