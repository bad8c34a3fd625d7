/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long something will take, from what is left of it and how fast that gets less.
 * Whoever copies, frees or empties something looks at it now and then; when there is
 * more to do than before, measuring begins again.
 *
 * Example: 100 MiB are left at 0 s, 75 MiB at 1 s: 3 s more. The sentence is "75.0 MiB
 * left, about 3 s".
 *
 * Floor: ground.
 */
#ifndef XM_PROGRESS_H
#define XM_PROGRESS_H

#include "common/base.h"
#include "common/words.h"

struct xm_progress {
	uint64_t left; /* bytes; 0: nothing is under way */
	uint64_t began_left, began_ns, seen_ns;
};

void xm_progress_look(struct xm_progress *, uint64_t left, uint64_t now_ns);
/* What it will take from now on; 0: it is not known yet, or nothing is left. */
uint64_t xm_progress_ms(const struct xm_progress *);
/* The sentence; ms 0: without a time. */
void xm_progress_words(struct xm_words *, uint64_t left, uint64_t ms);

#endif
