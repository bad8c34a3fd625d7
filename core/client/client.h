/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of extmem.h: a client, its lanes and regions, for the files that
 * make the public functions real: client.c (open, close, the keeper's thread),
 * region.c (take, give, select), mapping.c (map, faults, sync, advise, pin),
 * objects.c (objects, through threads' caches), access.c (explicit reads and
 * writes), transfer.c (what these move), wait.c (how threads wait), about.c
 * (statistics, information).
 *
 * Locks, in the order in which they may be taken:
 *	extmem.regions_lock	the list of regions, the arena, the volume
 *	cache.lock		a thread's cache of objects, as it ends
 *	extmem_region.lock	slabs, objects, mappings of one region
 *	extmem.registered_lock	memory that was registered
 *	extmem.control_lock	sessions, waiters
 *	extmem.async_lock	transfers that are free, stuck, or done
 *	lane.lock		a lane's engine; the volume is read under any,
 *				and changed under all of them
 * A fault takes a lane's lock only. While one is held no mapped page is touched,
 * nor ever by a thread of the library's own (faults.c ends the process else);
 * and from the first mapping on signals are blocked, lest a handler touch one on
 * a thread that holds what its fault needs.
 */
#ifndef XM_CLIENT_H
#define XM_CLIENT_H

#include <stdatomic.h>

#include "common/base.h"
#include "core/engine/engine.h"
#include "common/extent.h"
#include "core/extmem.h"
#include "common/heap.h"
#include "core/engine/keeper.h"
#include "core/pure/volume.h"
#include "common/list.h"
#include "common/options.h"
#include "core/skin/os.h"
#include "common/spin.h"
#include "core/client/transfer.h"
#include "core/skin/uffd.h"

#define XM_SPAN_GRANULE (2 * XM_MIB) /* of addresses */
#define XM_REGIONS_MAX 256
#define XM_SEGMENTS_MAX 4096
#define XM_REGISTERED_MAX 32 /* spans of registered memory */

struct xm_settings {
	struct xm_option_list appliance;
	uint64_t local, local_max;
	uint64_t timeout_ns, loss_timeout_ns;
	uint32_t paging, polling;
	uint32_t reclaim;
	uint64_t lanes;
	uint64_t arena;
	uint64_t prefetch; /* pages read ahead, most */
	const char *provider;
	const char *name;
	const char *config;
};

extern const struct xm_option_table xm_client_options;

struct lane {
	struct os_lock lock;
	atomic_bool mapped; /* pages can fault, from now on; see xm_lane_lock() */
	/* How threads wait: wait.c. */
	_Atomic uint32_t turns; /* of the engine, as last told */
	atomic_bool looking;	/* somebody takes completions */
	bool watched, rung;	/* somebody sleeps on descriptors; his bell rings */
	uint32_t sleepers;	/* and these on `turns` */
	int bell, all_bell;	/* kicks; or -1 */
	struct xm_spin spin;
	extmem *client;
	struct xm_engine engine;
	void *memory;
	size_t memory_size;
	uint32_t frames_first; /* as opened */
	uint8_t *staging;
	size_t staging_size;
	struct piece *pieces, *pieces_free;
	size_t pieces_size;
	uint8_t *bounce;      /* XM_BOUNCE_PAGES, registered */
	uint32_t bounce_free; /* a bit of each */
	uint64_t latency[EXTMEM_LATENCY_BUCKETS];
};

/* A thread that waits for an answer; lives on its stack. Only the keeper's
 * thread touches a channel, so a request is queued for it. */
struct waiter {
	struct waiter *next;
	uint32_t appliance;
	uint64_t deadline_ns;
	bool done;
	int status;
	uint32_t lease; /* of the appliance, when the answer came */
	struct xm_message message; /* the request; then the answer */
};

struct mapping {
	uint64_t offset, size; /* as asked: size 0 is to the end */
	uint32_t count;
};

struct extmem_region {
	struct xm_link link;
	extmem *client;
	char name[XM_NAME_SIZE];
	uint32_t number;
	uint64_t address; /* of offset 0, in bytes from the arena's start */
	uint64_t size;	  /* bytes, a multiple of the granule */
	uint64_t span;	  /* bytes of addresses reserved */
	struct os_mutex lock;
	struct xm_extent slabs;
	void *slabs_memory;
	size_t slabs_memory_size;
	struct xm_heap heap;
	void *heap_memory;
	size_t heap_memory_size;
	struct xm_link caches; /* threads' of its objects */
	uint64_t slabs_count;
	struct mapping *mappings;
	size_t mappings_count, mappings_max;
	bool attached; /* the mapper has it */
	/* The pager knows this region's pages: it has been mapped once. */
	atomic_bool tracked;
	atomic_bool written; /* explicitly, before it was tracked */
	/* It is about to be; and transfers under way that go past the pager. */
	atomic_bool changing;
	atomic_uint straight;
};

/* Memory of the caller's that transports know; sizes are at least 1. */
struct registered_span {
	uint8_t *memory;
	size_t size;
};

struct extmem {
	struct xm_settings settings;
	struct xm_options *options;
	struct xm_mapper *mapper;
	uint8_t *base;
	uint64_t arena_size; /* bytes */
	uint64_t local_limit; /* changed with all lanes locked */
	uint64_t granule; /* regions are multiples of it: the appliances' */

	struct os_mutex regions_lock;
	/* Of the public call that holds regions_lock: one for all it does,
	 * counted from before it had the lock. */
	uint64_t deadline_ns;
	struct xm_link regions;
	bool closing;
	bool deaf[XM_APPLIANCES_MAX]; /* the last FREE there timed out */
	uint32_t regions_count;
	struct xm_extent arena;
	void *arena_memory;
	size_t arena_memory_size;
	struct xm_volume volume;
	void *volume_memory;

	struct os_mutex control_lock;
	struct os_cond control_changed;
	struct waiter *asking; /* queue, oldest first */
	struct xm_keeper keeper;
	bool tried[XM_APPLIANCES_MAX]; /* ready or away has been heard */

	struct lane lanes[XM_LANES_MAX];
	uint32_t lanes_count;
	uint64_t block_pages;

	_Atomic uint32_t waiting; /* threads that look or follow */
	int all_bell; /* for one who waits for any lane */
	atomic_bool all_watched;

	struct os_thread keeper_thread;
	bool keeper_runs;
	struct faults *faults; /* how faults reach us; of faults.c */
	struct xm_uffd_watch watch; /* likewise */
	atomic_bool stopping;
	int kick; /* the keeper shall look */

	bool registers; /* a transport does: memory has to be registered */
	struct os_mutex registered_lock;
	struct registered_span local[XM_REGISTERED_MAX];
	uint32_t registered_count;

	_Atomic(struct transfer *) async_called;
	struct os_lock async_lock;
	struct transfer *async_free, *async_memory;
	uint32_t async_used; /* of async_memory, ever */
	struct queue {
		struct transfer *first, **last;
	} async_stuck, async_done;

	char lost_words[256]; /* written once, by the first lost page */
	atomic_int lost_said; /* 0 no, 1 being written, 2 written */
	atomic_uint_least64_t lost_pages;
};

/* --- client.c --------------------------------------------------------------- */

/* Sets this thread's last error and returns `rc`. */
int xm_fail(int rc, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void xm_kick(extmem *);
/* Sends a request and waits for its answer; `ret->status` is returned. */
int xm_ask(extmem *, uint32_t appliance, const struct xm_message *,
	   uint64_t deadline_ns, struct waiter *ret);
/* Asks for words about an answer that was no: what the appliance said, or
 * what the status means there. */
void xm_ask_words(extmem *, const struct waiter *, char *words,
		  size_t words_size);
const char *xm_address_of(const extmem *, uint32_t appliance);
/* A struct whose first member is its size may be an older, shorter one: what it
 * has room for is filled in. */
int xm_give_sized(const char *call, void *ret, const void *from, uint64_t size);
/* Takes what one answer to a LIST holds: skips, fills; `got` as it is then. */
size_t xm_list_entries(const struct xm_listed *, const char *appliance,
		       uint64_t *skip, struct extmem_region_entry *ret,
		       size_t got, size_t count);

/* --- lanes -------------------------------------------------------------------- */

static inline uint32_t xm_lane_of(const extmem *x, uint64_t page)
{
	return x->lanes_count == 1
		       ? 0
		       : (uint32_t)(page / x->block_pages % x->lanes_count);
}

/* With the lane's lock: who sleeps hears that something has happened. wait.c */
void xm_lane_tell(struct lane *);

/* A lane's lock is given by this, and by nothing else. */
static inline void xm_lane_give(struct lane *lane)
{
	if (lane->engine.turns != atomic_load_explicit(&lane->turns,
						       memory_order_relaxed))
		xm_lane_tell(lane);
	os_lock_give(&lane->lock);
}

/* Before the first mapping there are no faults, and two system calls are
 * saved. */
static inline void xm_lane_lock(struct lane *lane, struct os_signals *ret)
{
	ret->blocked = false;
	for (;;) {
		if (atomic_load_explicit(&lane->mapped, memory_order_relaxed))
			os_signals_block(ret);
		os_lock_take(&lane->lock);
		/* It is set by one who holds all these locks. */
		if (ret->blocked || !atomic_load_explicit(&lane->mapped,
							  memory_order_relaxed))
			return;
		os_lock_give(&lane->lock);
	}
}

static inline void xm_lane_unlock(struct lane *lane,
				  const struct os_signals *old)
{
	xm_lane_give(lane);
	os_signals_restore(old);
}

void xm_lanes_lock(extmem *, struct os_signals *ret);
void xm_lanes_unlock(extmem *, const struct os_signals *old);
/* With the lane locked: takes in completions, and hands explicit ones on; or
 * hands on alone, what the keeper took in. */
void xm_lane_turn(struct lane *);
void xm_lane_collect(struct lane *);
/* A transfer of an asynchronous call shall be driven. */
void xm_async_call(extmem *, struct transfer *);
/* Looks at all lanes, and drives those. */
void xm_async_turn(extmem *);
int xm_async_open(extmem *);
void xm_async_close(extmem *);
/* Whether this process is a child of fork(): there nothing of a client can be
 * used. */
extern atomic_bool xm_forked;
int xm_unusable(const char *call);
/* -ECHILD, in words. */
static inline int xm_usable(const char *call)
{
	return atomic_load_explicit(&xm_forked, memory_order_relaxed)
		       ? xm_unusable(call) : 0;
}

/* --- objects.c and region.c, with the region's lock held --------------------------- */

/* Freed memory that is cached is of no use to anyone; and read again, it is
 * zero, not what it was. Size 0 is nothing. */
void xm_discard(extmem_region *, uint64_t offset, uint64_t size);
/* What threads keep of the region's slots goes back to the heap; how many. */
uint64_t xm_caches_empty(extmem_region *);
uint64_t xm_caches_count(const extmem_region *);
/* The region ends. Without its lock. */
void xm_caches_end(extmem_region *);

/* --- wait.c --------------------------------------------------------------------- */

/* One wait, from the first WAIT to the last. */
struct xm_wait {
	uint64_t deadline_ns; /* sleep no longer; XM_NEVER */
	uint64_t began_ns;
	uint64_t since_ns; /* of what happened last, or of the beginning; or 0 */
	const struct os_signals *signals; /* as before the lock, or NULL */
	bool slept; /* since then */
	unsigned looks, naps;
};

/* With the lane locked, and on return: something may have happened since, or
 * some time has passed. The lock may have been given meanwhile. */
void xm_lane_wait(struct lane *, struct xm_wait *);
/* Without, for one who had seen this many turns before he looked: returns at
 * once if there have been more. */
void xm_lane_await(struct lane *, uint32_t seen, struct xm_wait *);

static inline uint32_t xm_lane_seen(const struct lane *lane)
{
	return atomic_load_explicit(&lane->turns, memory_order_acquire);
}

/* Likewise for one who looks at all lanes, and at a descriptor (or -1). */
void xm_lanes_seen(extmem *, uint32_t seen[XM_LANES_MAX]);
void xm_lanes_wait(extmem *, const uint32_t seen[XM_LANES_MAX], int fd,
		   struct xm_wait *);
/* Between two looks at what nobody tells of; `turn` counts from 0. */
void xm_rest(unsigned turn);

/* --- faults.c, or the simulator ------------------------------------------------- */

/* From now on touches of the arena reach xm_serve(). */
int xm_faults_begin(extmem *, char *words, size_t words_size);
void xm_faults_end(extmem *);
/* Loads and stores of the library's own in mapped memory: they may fault. */
void xm_arena_read(extmem *, uint64_t address, void *ret, size_t size);
void xm_arena_write(extmem *, uint64_t address, const void *bytes,
		    size_t size);

/* --- mapping.c ------------------------------------------------------------------ */

/* DONE or LOST, after however long it takes; at most the loss timeout, twice.
 * On the thread that faulted, with signals blocked. */
enum xm_verdict xm_serve(extmem *, uint64_t page, bool write);
/* One try: DONE, LOST, or WAIT. The first has again == false and sets what
 * the others are given back. */
struct fault {
	uint64_t page;
	bool write, again;
	uint64_t since_ns; /* engine time */
	uint64_t began_ns;
};
enum xm_verdict xm_serve_once(extmem *, struct fault *);
/* A range event of the pager over [first, limit) of the arena's pages, in all
 * lanes, until it is done. -ETIMEDOUT, -ENOTCONN (out of reach), -ESTALE. */
int xm_range(extmem *, const struct xm_pager_event *like, uint64_t first,
	     uint64_t limit, uint64_t deadline_ns);
/* FLUSH, and then until the stores have landed. */
int xm_flush(extmem *, uint64_t first, uint64_t limit, bool evict,
	     uint64_t deadline_ns);
/* Gives [offset, + size) of a region to the mapper, or takes it away. */
int xm_attach(extmem_region *, uint64_t offset, uint64_t size);
void xm_detach(extmem_region *, uint64_t offset, uint64_t size);
/* What a range's failure means. */
const char *xm_why(int rc);

#endif
