/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The layout: which remote bytes stand behind which pages of the arena.
 *
 * A region is an ordered run of segments, each an extent (or the head of one)
 * at one appliance. The layout holds the segments of every region, sorted by
 * page, and is the only way from a page to a remote address: the data path, the
 * explicit calls and write-back all ask here.
 *
 * Lookup is a binary search, after a look at where the last one ended.
 * Floor: ground.
 */
#ifndef XM_LAYOUT_H
#define XM_LAYOUT_H

#include "common/base.h"
#include "core/pure/transport.h"

struct xm_segment {
	uint64_t page; /* its first page in the arena */
	uint64_t count; /* pages */
	uint32_t appliance;
	uint32_t region; /* the client's number for it */
	_Atomic bool attached; /* the mapper has its pages */
	_Atomic bool lost; /* its lease ended: nothing is there any more */
	bool unsure; /* a TRIM was sent and not answered: no other may follow */
	uint32_t lease; /* which of our leases at that appliance */
	uint64_t extent; /* the appliance's number */
	uint64_t epoch;
	struct xm_remote_mr remote;
	uint64_t remote_offset; /* bytes from the start of far's span */
};

struct xm_layout {
	uint32_t count, max;
	struct xm_segment *segments;
};

void xm_layout_init(struct xm_layout *, struct xm_segment *memory,
		    uint32_t max);
/* 0; -ENOSPC when the table is full. Must not overlap another segment. */
int xm_layout_add(struct xm_layout *, const struct xm_segment *);
/* Removes the segment that begins at this page; it must exist. */
void xm_layout_remove(struct xm_layout *, uint64_t page);
/* The segment that holds the page, or NULL. Valid until the layout changes.
 * *hint is the caller's to keep between calls; begin with 0. */
struct xm_segment *xm_layout_find(const struct xm_layout *, uint64_t page,
				  uint32_t *hint);

#endif
