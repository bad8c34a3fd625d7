/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions of a client, as the calls that work on them see them.
 *
 * `struct xm_regions`: its lock is held by the public calls that ask appliances
 * for memory (alloc, free, resize), one at a time. `struct extmem_region`: its
 * lock protects slabs, objects, mappings. Order: regions.lock, cache lock
 * (objects.c), region->lock.
 */
#ifndef XM_REGION_H
#define XM_REGION_H

#include <errno.h>
#include <stdatomic.h>

#include "common/base.h"
#include "common/extent.h"
#include "common/heap.h"
#include "common/list.h"
#include "core/client/arena.h"
#include "core/client/error.h"
#include "core/client/line.h"
#include "core/engine/control.h"
#include "core/extmem.h"
#include "core/pure/wire.h"
#include "core/skin/os.h"

struct xm_mapping {
	uint64_t offset, size; /* as asked: size 0 is to the end */
	uint32_t count;	       /* how often */
};

/* "regn": a handle that was freed, and is used again, does not have it. (Varnish
 * marks its objects so.) */
#define XM_REGION_MAGIC UINT32_C(0x7265676e)

struct extmem_region {
	struct xm_link link;
	extmem *client;
	uint32_t magic;
	char name[XM_NAME_SIZE];
	struct xm_region_id id; /* what appliances know it by; random */
	const struct xm_strategy *strategy; /* the client's, or its own; or NULL */
	/* From 1; of no other region that this client has had. It picks the
	 * region's caches. */
	uint64_t number;
	uint64_t address; /* of offset 0, in bytes from the arena's start */
	/* Bytes, a multiple of the granule. Changed with the region's lock held,
	 * read by any thread: a call that checks its arguments without the lock
	 * reads it once, and one that runs while the region is resized sees the
	 * old size or the new one. */
	_Atomic uint64_t size;
	uint64_t span;	  /* bytes of addresses reserved */
	/* Its addresses and its memory are apart (commit.c): `size` is of the
	 * addresses, `backed` of the memory. */
	bool sparse;
	bool sealed;
	/* It is sealed, and can be durable: a tree of seals stands behind each of its
	 * extents. They stay where they are, and what they are. Or it is the table of such. */
	bool fixed;
	struct xm_trees *trees; /* once it was kept durable, or adopted (trees.h) */
	bool reads; /* another client's, which shares it */
	bool is_table; /* of versions: the program does not know of it */
	struct xm_sharing *sharing; /* while it is shared, or read (sharing.h) */
	_Atomic uint64_t backed;
	struct os_mutex lock;
	struct xm_extent slabs;
	void *slabs_memory;
	size_t slabs_memory_size;
	struct xm_heap heap;
	void *heap_memory;
	size_t heap_memory_size;
	struct xm_link caches; /* threads' of its objects */
	uint64_t slabs_count;
	struct xm_mapping *mappings;
	size_t mappings_count, mappings_max;
	atomic_bool attached; /* the mapper has it */
	/* Some page may have less than all rights. */
	atomic_bool deprived;
	/* The pager knows this region's pages: because that was asked for as it
	 * was allocated, or since it was mapped, or something of it discarded,
	 * for the first time. */
	atomic_bool tracked;
	atomic_bool written; /* explicitly, before it was tracked */
	/* Something was discarded: remote memory may have older bytes of fresh pages. */
	atomic_bool fouled;
	atomic_bool parted; /* handed over: none of its memory is ours */
	bool half; /* only some of it is known to be not: to be handed over again */
	uint64_t kept_ms;   /* beyond our end, by `token`; 0: not */
	bool durable;	    /* beyond its appliance's end, too */
	uint8_t token[XM_TOKEN_SIZE], hand_token[XM_TOKEN_SIZE];
	/* Of a call that makes it durable: one at a time, and no other lock meanwhile. */
	struct xm_line persisting;
	/* Of its labels: how often a part of it has moved since it is kept. With
	 * regions.links, like kept_ms and token. */
	uint32_t turn;
	struct xm_clone *cloning; /* it is being cloned, or is a clone; with regions.lock */
	/* It was to be a clone, and some of its bytes never came, or were lost on a disk: those
	 * pages are lost. */
	atomic_bool lacks;
	/* It is about to be tracked; and the transfers under way that go past
	 * the pager. */
	atomic_bool changing;
	atomic_uint direct;
	/* Pieces of explicit writes that were cut off, of transfers that have not ended:
	 * half of a page may be there. */
	atomic_uint cuts;
};

/* Bytes of appliances' memory that it holds. */
static inline uint64_t xm_region_memory(const extmem_region *region)
{
	return region->sparse ? region->backed : region->size;
}

/* The sequence up to which a region is known to be durable, for when it is adopted again. */
struct xm_root {
	struct xm_region_id id;
	uint64_t root;
};

struct xm_regions {
	struct xm_line lock;
	/* Of the public call that holds the lock: one for all it does, counted
	 * from before it had the lock. */
	uint64_t deadline_ns;
	struct os_mutex links; /* of the list, for the keeper: nobody waits with it */
	struct xm_link list;
	uint32_t count;
	uint64_t numbered; /* the number of the last one */
	bool closing;
	bool deaf[XM_APPLIANCES_MAX]; /* the last FREE there timed out */
	struct xm_root roots[64]; /* the newest regions'; with `links` */
	uint32_t roots_next;
};

/* 0; -EINVAL for a handle that was freed, unless its memory is another region's by
 * now; -ECHILD in a child of fork(). With a message. Nothing of the region may be
 * used before. */
static inline int xm_region_exists(const extmem_region *region,
				   const char *call)
{
	if (region->magic != XM_REGION_MAGIC)
		return xm_fail(-EINVAL, "%s: the handle is of no region: it "
			       "was freed, or never was one", call);
	return xm_usable(call);
}

/* And it was not handed over: -ESTALE. */
/* Its appliances' stores have nothing of it yet, or may not. */
void xm_region_undurable(extmem_region *);
/* After a change of its memory (handover.c): if it is kept, so is what it has now. 0, or
 * -errno in words. With its lock and regions.lock. */
int xm_region_keep_again(extmem_region *, const char *call);

static inline int xm_region_usable(const extmem_region *region, const char *call)
{
	int rc = xm_region_exists(region, call);

	if (rc == 0 && atomic_load(&region->parted))
		rc = xm_fail(-ESTALE, "%s: region %s was handed over%s", call,
			     region->name, region->half
			     ? " in part: hand it over again"
			     : ": its bytes are not this client's any more");
	return rc;
}

/* Public calls that ask appliances run one at a time. A call's deadline counts from
 * before it waits for this lock. The calls ahead of it began earlier, so they end
 * before its deadline, and no call takes longer than the timeout. */
void xm_regions_lock(extmem *);
void xm_regions_unlock(extmem *);
/* Likewise, with the region's lock, of a call that changes its memory: nobody else reads it
 * from then on, and it is not being cloned. 0; else nothing is locked: -EBUSY in words. */
int xm_region_change(extmem_region *, const char *call);
void xm_region_changed(extmem_region *);
/* A region of this request with addresses and tables and without memory, which no list
 * has yet: it is entered, or dropped. With regions.lock held; 0, or -errno with a
 * message. */
int xm_region_new(extmem *, const char *call, const struct extmem_request *,
		  extmem_region **ret);
/* One of a client's own, of no strategy, neither tracked nor sealed; and its end. Likewise. */
int xm_region_plain(extmem *, const char *call, const char *name, uint64_t size,
		    extmem_region **ret);
void xm_region_plain_free(extmem_region *);
/* A region that xm_region_new() has made is of the strategy of this one. 0, -ENOMEM. */
int xm_region_strategy_of(extmem_region *, const extmem_region *of);
void xm_region_enter(extmem_region *);
void xm_region_drop(extmem_region *);
/* Makes the pager forget all about the pages of [offset, + size), before their
 * addresses are used for other memory. Waits until no operation on them is under
 * way. */
int xm_region_forget(extmem_region *, uint64_t offset, uint64_t size);

/* With the region's lock held: the pager knows its pages from now on. -ETIMEDOUT:
 * explicit calls under way did not end. */
int xm_region_track(extmem_region *);
int xm_region_track_by(extmem_region *, uint64_t deadline_ns);

/* With the region's lock held, for freed slabs: cached pages are dropped without
 * being written back, and read as zero from now on. Size 0 is nothing. */
void xm_discard(extmem_region *, uint64_t offset, uint64_t size);

#endif
