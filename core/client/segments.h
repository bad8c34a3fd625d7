/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory behind regions: extents of appliances, allocated, trimmed and freed
 * by messages, and entered into the volume as segments. Nobody else puts a
 * segment there.
 *
 * All calls are made with regions.lock held, of the call whose deadline
 * regions.deadline_ns is. Addresses and sizes are bytes, multiples of the
 * granule. They wait, at most until that deadline.
 */
#ifndef XM_SEGMENTS_H
#define XM_SEGMENTS_H

#include "core/client/region.h"

/* Covers [address, + size) as placement.h decides. 0, or -errno, with nothing
 * covered and a message about it. */
int xm_segments_alloc(extmem *, const extmem_region *, uint64_t address,
		      uint64_t size, char *words, size_t words_size);
/* Frees the segments of [address, end); both ends are those of segments, or lie
 * between segments. Nothing may be under way there. -errno: an appliance could not be
 * told yet; its session tells it later, unless our lease there ends before. */
int xm_segments_free(extmem *, uint64_t address, uint64_t end);
/* Waits until every lane can reach all of [address, + size), which segments hold;
 * -ENOTCONN, with a message. */
int xm_segments_wait(extmem *, uint64_t address, uint64_t size, char *words,
		     size_t words_size);
/* Finds the part of the last segment that lies in [address, *end): it has *ret_size
 * bytes, and *end becomes its first address, so repeated calls go down. *ret_whole: the
 * part reaches the segment's end. False: there is none. */
bool xm_segments_last(extmem *, uint64_t address, uint64_t *end, uint64_t *ret_size,
		      bool *ret_whole);
/* Asks what became of the TRIMs that were not answered, of the run that holds this page,
 * which is unsure. 0, and all of it is sure; -EBUSY: not now; -ENOSPC: no more segments. */
int xm_segments_settle(extmem *, uint64_t page);
/* If `end` lies inside of a segment, divides it there.
 * -ENOSPC: no more segments; -EBUSY: how an earlier division ended is not known yet;
 * or what the appliance or the connection says. */
int xm_segments_split(extmem *, uint64_t end);
/* Waits, at most 2 s, for all operations posted before this call: those on a
 * segment that was trimmed since use its old key. */
void xm_segments_quiesce(extmem *);

#endif
