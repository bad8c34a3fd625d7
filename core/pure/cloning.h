/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MACHINE: which part of a region that is being cloned is copied next.
 *
 *	chunk:	WAITS -> BUSY -> DONE
 *
 * A region is cloned while programs go on with it and with its clone: the clone has its
 * extents at once, and the bytes follow, chunk after chunk (COPY of wire.h). The clone is of
 * one moment: from then on a store to a chunk that has not been copied waits (FREEZE of
 * pager.h), and so does every touch of the clone's. What a thread waits for is copied
 * first; for the rest the order is that of the pages.
 *
 * A chunk is a 64th of the region or so, 64 KiB at least and 2 MiB at most: what a store
 * may have to wait for. 2 MiB are copied in 0.3 ms; docs/BENCHMARKS.md has it.
 *
 * Nobody waits for ever: if no chunk is done for as long as the owner says, it gives up what
 * is left. Time in which the owner did not ask is no such time: it may have been stopped.
 *
 * Floor: ground.
 */
#ifndef XM_CLONING_H
#define XM_CLONING_H

#include "common/base.h"

#define XM_CLONING_CHUNK_MAX UINT64_C(512) /* pages */
#define XM_CLONING_CHUNK_MIN UINT64_C(16)

struct xm_cloning {
	uint64_t from, to, count; /* pages: of the region, of its clone, how many */
	uint64_t chunk;		  /* pages, a power of two */
	uint32_t chunks, left;	  /* left: not DONE */
	uint32_t next;		  /* all before it are BUSY or DONE */
	uint32_t wanted;	  /* a chunk that a thread waits for; or `chunks` */
	uint8_t *states;	  /* of chunks */
	/* What was left as it was asked last, when that was, and for how long it is so. */
	uint32_t left_seen;
	uint64_t seen_ns, still_ns;
};

/* Bytes that xm_cloning_init() wants, zeroed, for so many pages. */
size_t xm_cloning_memory_size(uint64_t count);
void xm_cloning_init(struct xm_cloning *, uint64_t from, uint64_t to,
		     uint64_t count, void *memory);
/* A thread waits for this page. False: it is neither the region's nor its clone's. */
bool xm_cloning_wants(struct xm_cloning *, uint64_t page);
/* The chunk to be copied next, BUSY from now on. False: all are BUSY or DONE. */
bool xm_cloning_next(struct xm_cloning *, uint32_t *ret_chunk);
/* It has been copied, or will not be. */
void xm_cloning_done(struct xm_cloning *, uint32_t chunk);
/* True: no chunk was done in most_ns, though the owner looked all the time. */
bool xm_cloning_is_stuck(struct xm_cloning *, uint64_t now_ns, uint64_t most_ns);
/* Its first page, seen from the region's, and how many it has. */
uint64_t xm_cloning_chunk(const struct xm_cloning *, uint32_t chunk,
			  uint64_t *ret_count);

#endif
