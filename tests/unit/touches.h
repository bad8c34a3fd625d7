/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists of touches of pages, made or recorded, and the replayer (advise/replay.h) run on
 * them: which policy of reclaim reads how often what it had let go.
 */
#ifndef XM_TESTS_TOUCHES_H
#define XM_TESTS_TOUCHES_H

#include "advise/replay.h"

/* --- touches ------------------------------------------------------------------ */

struct touches {
	const char *name;
	uint32_t *list; /* page << 1 | write */
	size_t count, room;
	uint32_t pages; /* all are below */
};

void touches_open(struct touches *, const char *name, uint32_t pages);
void touches_close(struct touches *);
void touches_add(struct touches *, uint32_t page, bool write);

static inline uint32_t touch_page(uint32_t touch)
{
	return touch >> 1;
}

static inline bool touch_writes(uint32_t touch)
{
	return (touch & 1) != 0;
}

/* Each opens its list. `cache` is the number of pages that shall be local when
 * it is replayed; the sizes follow from it.
 *
 *	scan	 a set of 60 % of the cache touched at random, two touches for
 *		 each page of a scan over four times the cache
 *	loop	 1.1 times the cache, around and around, in a shuffled order
 *	circle	 the same in the order of the pages
 *	sequence four times the cache, thrice, in the order of the pages
 *	zipf	 four times the cache by a Zipf law (0.99), one in five writes
 *	random	 four times the cache, each page as likely, all written
 *	phases	 a set of half the cache at random, which is another one after
 *		 a while: what was good must be forgotten */
void touches_scan(struct touches *, uint32_t cache);
void touches_loop(struct touches *, uint32_t cache);
void touches_circle(struct touches *, uint32_t cache);
void touches_sequence(struct touches *, uint32_t cache);
void touches_zipf(struct touches *, uint32_t cache);
void touches_random(struct touches *, uint32_t cache);
void touches_phases(struct touches *, uint32_t cache);

/* Runs a kernel of extmem-bench on memory of which only the sixteen pages
 * touched last are open, and so learns what it touches, in order; what it
 * touches again while it is open is not seen. Its preparation is no part.
 * SIGSEGV belongs to it for this time: one at a time, on one thread. */
struct xm_kernel;
void touches_record(struct touches *, const struct xm_kernel *, uint64_t size,
		    uint64_t rounds);

/* --- replay --------------------------------------------------------------------- */

/* As measured on loopback; docs/BENCHMARKS.md. */
extern const struct replay_link replay_loopback;

/* How a client with so many local pages divides them (core/client/client.c). */
struct xm_pager_options replay_options(uint32_t local, uint32_t pages);

/* NULL, or in words what the machine did that it must not. All pages hold
 * something at first, far away; none is here. */
const char *replay_list(const struct touches *, const struct xm_pager_options *,
		   const struct replay_link *, struct replay_figures *ret);

/* Pages read with so many frames, by a policy that sees every touch and
 * forgets the page not touched for longest; and by one that knows the future
 * and forgets the page not needed for longest (Belady 1966), which nothing
 * can beat. */
uint64_t replay_lru(const struct touches *, uint32_t frames);
uint64_t replay_best(const struct touches *, uint32_t frames);

#endif
