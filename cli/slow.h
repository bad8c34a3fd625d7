/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that waits for pages more than half of its time: how much, and what to do.
 *
 * Its time is that of the threads that wait: in each tenth of a second each thread that
 * waited for a page counts, and at least one.
 */
#ifndef EXTMEM_SLOW_H
#define EXTMEM_SLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/shared.h"

struct slow {
	double share;	     /* of its time that it waits */
	double misses_per_s;
	/* Local memory with which it would wait a tenth of its time, a bit more than
	 * that at most; 0: it would not with all of its memory, which is `all`. */
	uint64_t local, all;
};

/* What it was like since `before`, or (NULL) from the begin on. */
void slow_find(const struct run_shared *now, const struct run_shared *before,
	       double seconds, struct slow *ret);
/* It is worth a line. */
bool slow_is(const struct slow *);
/* "waited for pages 83 % of its time"; `tense`: "waits", or "waited". */
void slow_words(const struct slow *, const char *tense, char *ret, size_t size);
/* How often, and with how much local memory it would wait a tenth: "4123 misses a second; a
 * tenth with --local=24M, 75 % of its memory". */
void slow_remedy(const struct slow *, char *ret, size_t size);

#endif
