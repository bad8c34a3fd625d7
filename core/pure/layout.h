/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The layout: a table of segments, sorted by page. It stands below the volume
 * (volume.h), which alone looks into segments; everybody else asks the volume.
 *
 * A region is an ordered run of segments. Each segment is backed by one or more
 * members: extents (or heads of extents) of the same size, one at each of so
 * many appliances, which hold the same bytes.
 *
 * Lookup is a binary search, after a look at where the last one ended.
 * Floor: ground.
 */
#ifndef XM_LAYOUT_H
#define XM_LAYOUT_H

#include "common/base.h"
#include "core/pure/region_id.h"
#include "core/pure/transport.h"

#define XM_APPLIANCES_MAX 16
#define XM_MEMBERS_MAX 4 /* of one segment */

/* What one member is worth. Its appliance's view decides (view.h). */
enum xm_member_state {
	XM_MEMBER_IN = 0,  /* it has the segment's bytes: read and written */
	XM_MEMBER_FILLING, /* it is being given what it lacks: written, never read */
	XM_MEMBER_OUT,	   /* it lacks what was written since it left: neither */
	XM_MEMBER_LOST,	   /* its lease ended: the bytes are gone */
};

/* The bytes of a segment at one appliance. */
struct xm_member {
	uint32_t appliance;
	uint32_t lease;	 /* which of our leases there it was taken under */
	uint64_t extent; /* the appliance's number for it */
	struct xm_remote_mr remote;
	uint64_t offset; /* of the segment's first byte in remote's span */
	_Atomic uint8_t state; /* enum xm_member_state */
	uint8_t taken; /* counts those that were the segment's member of this index */
};

struct xm_segment {
	uint64_t page;	/* its first page in the arena */
	uint64_t count; /* pages */
	uint64_t unit;	/* no run of pages crosses a multiple of it; 0: none */
	bool sealed;	 /* its bytes at members are sealed (seal.h) */
	struct xm_region_id region_id;
	uint64_t region_page; /* its first page, in its region */
	uint8_t members_count;
	_Atomic bool attached; /* the mapper has its pages */
	_Atomic bool lost;     /* no member is IN any more */
	bool unsure; /* a TRIM was sent and not answered: no other may follow */
	struct xm_member members[XM_MEMBERS_MAX];
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
/* The index of the first segment that ends behind the page, or `count`. */
uint32_t xm_layout_from(const struct xm_layout *, uint64_t page);
/* The segment that holds the page, by binary search, or NULL. Valid until the
 * layout changes. *hint is the caller's to keep between calls. */
struct xm_segment *xm_layout_search(const struct xm_layout *, uint64_t page,
				    uint32_t *hint);

/* Likewise, but looks where the hint points first; begin with 0. */
static inline struct xm_segment *xm_layout_find(const struct xm_layout *layout,
						uint64_t page, uint32_t *hint)
{
	struct xm_segment *segment = &layout->segments[*hint];

	if (*hint < layout->count && page - segment->page < segment->count)
		return segment;
	return xm_layout_search(layout, page, hint);
}

#endif
