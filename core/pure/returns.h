/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How often pages would have come back with more local memory: an estimate.
 *
 * A page that leaves local memory takes the number of the eviction along. If it comes back
 * `distance` evictions later it would have stayed if every page had stayed so much longer.
 * For that no frame is needed for pages that came back in between: with S(t) the share of
 * pages that have not come back t evictions after they left,
 *
 *	more frames(d) = sum of S(t) for t < d		and then
 *	faults that remain = those whose distance is larger than d.
 *
 * (Denning's working set grows like that with the window that it is seen through.) Example,
 * 400 pages in turn through 100 frames: all come back after 300 evictions, S is 1 until
 * there, and 300 frames more make an end of it. At random: S falls evenly, and so many
 * frames more than half the missing ones halve the faults. It is exact for queues; second
 * chances make the cache a little better than it says.
 *
 * Two histograms: of pages, for S, and of faults, for what remains, since read-ahead brings
 * many pages for one fault. An octave of distances has eight buckets. A distance is noted by
 * a dozen instructions for a fault, and looked at when somebody asks.
 *
 * Pure; it belongs to a pager.
 *
 * Floor: ground.
 */
#ifndef XM_RETURNS_H
#define XM_RETURNS_H

#include "common/base.h"

#define XM_RETURNS_BUCKETS 240
#define XM_RETURNS_STEPS 49 /* six octaves of local memory, in eighths */

struct xm_returns {
	uint64_t left;	  /* pages that left, by now */
	uint64_t evicted; /* of these, to make room: only they can come back */
	uint64_t pages[XM_RETURNS_BUCKETS];
	uint64_t faults[XM_RETURNS_BUCKETS];
};

static inline unsigned xm_returns_bucket(uint32_t distance)
{
	unsigned octave;

	if (distance < 8)
		return distance;
	octave = 31 - (unsigned)__builtin_clz(distance);
	return (octave - 2) * 8 + (distance >> (octave - 3) & 7);
}

/* Adds to ret[i] the faults that there would have been with frames * 2^(i/8) frames. */
void xm_returns_project(const struct xm_returns *, uint32_t frames,
			uint64_t ret[XM_RETURNS_STEPS]);
/* `size` in that many steps. */
uint64_t xm_returns_step(uint64_t size, unsigned step);

#endif
