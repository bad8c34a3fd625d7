/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A recording of one run of a program: which pages it touched that were not local, in
 * order, and by which call stacks. The shim writes it, `extmem advise` reads it; it lies
 * in a file that both have mapped.
 *
 * It has room for a fixed number of touches. When they are used up, it goes on with half of
 * the memory: what was and will be touched in the other half is left out. So a recording
 * is a sample by places, not by times, and what a cache of 1/2^n of the size does with it is
 * what the cache does with all touches. Sources: Waldspurger, Park, Garthwaite, Ahmad:
 * "Efficient MRC Construction with SHARDS", FAST 2015 (the sample, and the fixed size);
 * Waldspurger, Saemundsson, Ahmad, Park: "Cache Modeling and Optimization using Miniature
 * Simulations", USENIX ATC 2017 (any policy, by a small cache). Places are chunks of 2 MiB
 * here and not pages, so that runs of pages, which are read ahead, stay whole.
 *
 * Bounds: XM_RECORD_STACKS different stacks, of XM_RECORD_DEPTH calls each; further ones
 * are stack 0, which has none. Pages lie within 8 TiB of the first one.
 *
 * Pure; one thread at a time. Floor: ground.
 */
#ifndef XM_RECORD_H
#define XM_RECORD_H

#include "common/base.h"

#define XM_RECORD_MAGIC UINT64_C(0x58524543304d4543)
#define XM_RECORD_DEPTH 24
#define XM_RECORD_STACKS 4096
#define XM_RECORD_NAMES 16384
#define XM_RECORD_NAME 88
#define XM_RECORD_CHUNK 512 /* pages */
#define XM_RECORD_HALVINGS_MAX 16
#define XM_RECORD_RUN_MAX (UINT32_C(1) << 24) /* pages of a FRESH */

enum xm_record_kind {
	XM_RECORD_READ,
	XM_RECORD_WRITE,
	XM_RECORD_FRESH, /* the pages read as zeros from now on */
};

struct xm_record_touch {
	uint32_t page; /* from the recording's `base` */
	uint32_t kind : 2;
	uint32_t value : 30; /* of FRESH: pages; else the stack */
};

/* From what touched the memory to who began it: addresses within the calls. */
struct xm_record_stack {
	uint32_t depth;
	uint64_t at[XM_RECORD_DEPTH];
};

struct xm_record_name {
	uint64_t at;
	char text[XM_RECORD_NAME];
};

struct xm_record {
	uint64_t magic;
	uint64_t room, count; /* touches */
	uint64_t seen;	      /* those that were left out among them; no FRESH */
	uint64_t base;	      /* address of page 0; 0: nothing was touched yet */
	uint32_t halvings;    /* one chunk in 2^halvings is recorded */
	bool full;	      /* it went on no longer */
	bool ended;	      /* what follows is of the program's end */
	/* Processor time of threads between their faults; and of the process, at its end.
	 * What else the machine does is in neither. */
	uint64_t between_ns, process_ns;
	uint64_t faults_ns, faults_thread_ns; /* in faults: of the clock, of threads */
	uint64_t began_ns;   /* of the clock */
	uint64_t peak;	     /* the most external memory, bytes */
	uint64_t waited_ns;  /* of faults, and how many had to wait */
	uint64_t misses;
	uint32_t stacks_count, names_count;
	struct xm_record_stack stacks[XM_RECORD_STACKS];
	struct xm_record_name names[XM_RECORD_NAMES]; /* of addresses of stacks */
	struct xm_record_touch touches[];
};

/* Of one with room for so many touches, in bytes. */
uint64_t xm_record_size(uint64_t room);
/* Begins it anew; the memory is `size` bytes, and zeros at first. */
void xm_record_begin(struct xm_record *, uint64_t size);
/* The number of these calls, the same for the same ones. 0: there is no room. */
uint32_t xm_record_stack(struct xm_record *, const uint64_t *at, uint32_t depth);
void xm_record_touch(struct xm_record *, uint64_t address, bool write,
		     uint32_t stack);
void xm_record_fresh(struct xm_record *, uint64_t address, uint64_t size);
/* Whether touches of the page are recorded. */
bool xm_record_keeps(const struct xm_record *, uint64_t page);
/* A name for an address that has none. False: there is no room. */
bool xm_record_name(struct xm_record *, uint64_t at, const char *text);

#endif
