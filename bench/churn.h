/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Allocations and frees as a list, made from a seed or read from a file, and
 * replayed on any allocator: what `alloc` measures, here and in the processes
 * that do the same with malloc.
 */
#ifndef EXTMEM_BENCH_CHURN_H
#define EXTMEM_BENCH_CHURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a slot that is empty: allocate `size` bytes into it. Of size 0: free what
 * is in the slot. */
struct churn_step {
	uint32_t slot, size;
};

#define CHURN_FILE "file:" /* no kind has this */

struct churn {
	struct churn_step *steps;
	size_t count;
	uint32_t slots;
	uint64_t live_max, live_max_count; /* bytes and objects at once, most */
	char words[200];		   /* what is wrong with a file */
};

/* "slabs":   up to 1,000 at once, of 1 to 256 pages, small ones more often;
 * "objects": up to 100,000 at once, of 8 to 1024 bytes, likewise;
 * "program": sizes and lifetimes spread as those of programs are, over decades:
 *	      8 bytes to 256 KiB, most of them small, most of them soon freed;
 * else CHURN_FILE and the path of a file of lines "a SLOT SIZE" and "f SLOT", '#' begins a
 * comment. What is left at the end is freed. False: words. */
bool churn_make(const char *kind, size_t count, uint64_t seed,
		struct churn *ret);
void churn_free(struct churn *);

/* An allocator of handles; 0 is none. */
struct churn_allocator {
	uint64_t (*take)(void *context, uint32_t size);
	void (*give)(void *context, uint64_t handle);
	void *context;
};

/* Takes nothing and gives nothing: what the list itself costs. */
extern const struct churn_allocator churn_nothing;

/* Replays it `threads` times at once, each thread for itself, and returns the
 * nanoseconds a step took, of one thread. *ret_failed: allocations that failed. */
double churn_replay(const struct churn *, const struct churn_allocator *,
		    unsigned threads, uint64_t *ret_failed);

#endif
