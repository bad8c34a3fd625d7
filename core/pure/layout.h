/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The layout: a table of segments, sorted by page. It stands below the volume
 * (volume.h), which alone looks into segments; everybody else asks the volume, and is told
 * in backings (backing.h).
 *
 * A region is an ordered run of segments. Each segment is backed by one or more
 * members: extents (or heads of extents) of the same size, one at each of so
 * many appliances, which hold the same bytes.
 *
 * Stripes: a run of pages can be dealt out to several columns, unit by unit. Each
 * column is a segment. They stand one behind the other in the table, and all have the
 * run's first page and count. Example, with 2 columns and units of 16 pages: pages 0 to
 * 15 and 32 to 47 are the first 32 pages of column 0, pages 16 to 31 the first 16 of
 * column 1. A run is whole rows (columns x unit), and units begin at multiples of the
 * unit in the arena.
 *
 * Lookup is a binary search, after a look at where the last one ended.
 * Floor: ground.
 */
#ifndef XM_LAYOUT_H
#define XM_LAYOUT_H

#include "common/base.h"
#include "core/pure/backing.h"
#include "core/pure/plant.h"
#include "core/pure/region_id.h"
#include "core/pure/transport.h"

/* The bytes of a segment at one appliance. */
struct xm_member {
	uint32_t appliance;
	uint32_t lease;	 /* which of our leases there it was taken under */
	uint64_t extent; /* the appliance's number for it */
	struct xm_remote_mr remote;
	uint64_t offset; /* of the segment's first byte in remote's span */
	_Atomic uint8_t state; /* enum xm_member_state */
	uint8_t taken; /* counts those that were the segment's member of this index */
	bool wanted; /* its appliance has asked for its extent */
	/* A TRIM was sent and not answered: it reaches all of its bytes, but its extent may be
	 * one of two by now. */
	bool unsure;
};

struct xm_segment {
	uint64_t page;	/* its first page in the arena, or that of all columns */
	uint64_t count; /* pages, of all columns together */
	uint64_t unit;	/* no run of pages crosses a multiple of it; 0: none */
	uint8_t columns, column; /* more than one: it has each `columns`th unit */
	bool sealed;	 /* its bytes at members are sealed (seal.h) */
	struct xm_region_id region_id;
	uint64_t region_page; /* its first page, in its region */
	/* Its region's, or NULL; and the choice of it that was taken. */
	const struct xm_strategy *strategy;
	uint8_t choice;
	uint8_t members_count;
	_Atomic bool attached; /* the mapper has its pages */
	_Atomic bool lost;     /* no member is IN any more */
	bool unsure; /* a member is, or it is held: no TRIM may follow */
	bool held;   /* a TRIM, or FREE of all members, is under way */
	bool fixed;  /* others read it: its members are mended, and not replaced */
	bool reads;  /* it is another client's, whose roll (roll.h) says who is IN */
	/* Its last member is a guest: FILLING, and no copy yet; see volume_move.c. */
	bool guest;
	bool direct; /* its region is not tracked: writes may go past the pager */
	struct xm_member members[XM_MEMBERS_MAX];
};

struct xm_layout {
	uint32_t count, max;
	struct xm_segment *segments;
};

static inline bool xm_segment_is_striped(const struct xm_segment *s)
{
	return s->columns > 1;
}

/* How many segments its run has. */
static inline uint32_t xm_segment_columns(const struct xm_segment *s)
{
	return xm_segment_is_striped(s) ? s->columns : 1;
}

/* Which unit of its run the page is in. Units are at least 16 pages. */
static inline uint32_t xm_segment_units(const struct xm_segment *s,
					uint64_t page)
{
	return (uint32_t)((page - s->page) >> __builtin_ctzll(s->unit));
}

/* Where a page of this segment lies at its members, in pages. */
static inline uint64_t xm_segment_row(const struct xm_segment *s, uint64_t page)
{
	if (!xm_segment_is_striped(s))
		return page - s->page;
	if (XM_PLANTED(stripe_rows_collide))
		return page & (s->unit - 1);
	return xm_segment_units(s, page) / s->columns * s->unit +
	       (page & (s->unit - 1));
}

/* Does this segment have the page? */
static inline bool xm_segment_has(const struct xm_segment *s, uint64_t page)
{
	return page - s->page < s->count &&
	       (!xm_segment_is_striped(s) ||
		xm_segment_units(s, page) % s->columns == s->column);
}

/* Where the pages of this segment that begin with this one end: at the end of its unit,
 * or of the segment. */
static inline uint64_t xm_segment_end(const struct xm_segment *s, uint64_t page)
{
	return xm_segment_is_striped(s) ? (page | (s->unit - 1)) + 1
					: s->page + s->count;
}

/* The first page from this one on that this segment has; none: its end, or more. */
static inline uint64_t xm_segment_next(const struct xm_segment *s,
				       uint64_t page)
{
	page = xm_max(page, s->page);
	while (page < s->page + s->count && !xm_segment_has(s, page))
		page = xm_segment_end(s, page);
	return page;
}

/* How many members are copies: a guest is not. */
static inline uint32_t xm_segment_copies(const struct xm_segment *s)
{
	return s->members_count - (uint32_t)s->guest;
}

/* The bytes of each member, in pages. */
static inline uint64_t xm_segment_size(const struct xm_segment *s)
{
	return s->count / xm_segment_columns(s);
}

/* The first page of the next column, or the end of the run: a loop that begins with
 * the run's first page and goes on so visits every segment once. */
static inline uint64_t xm_segment_after(const struct xm_segment *s)
{
	return xm_segment_is_striped(s) && s->column + 1 < s->columns
		       ? s->page + (s->column + 1) * s->unit
		       : s->page + s->count;
}

void xm_layout_init(struct xm_layout *, struct xm_segment *memory,
		    uint32_t max);
/* 0; -ENOSPC when the table is full. Must not overlap another segment, except the
 * columns before it, which are added in order. */
int xm_layout_add(struct xm_layout *, const struct xm_segment *);
/* Removes the segment that begins at this page, with all of its columns; it must
 * exist. */
void xm_layout_remove(struct xm_layout *, uint64_t page);
/* The index of the first segment that ends behind the page, or `count`; the first
 * column of it. */
uint32_t xm_layout_from(const struct xm_layout *, uint64_t page);
/* The segment that holds the page, by binary search, or NULL. Valid until the
 * layout changes. *hint is the caller's to keep between calls. */
struct xm_segment *xm_layout_search(const struct xm_layout *, uint64_t page,
				    uint32_t *hint);

/* The column of the same run that has the page. */
static inline struct xm_segment *xm_segment_column(struct xm_segment *s,
						   uint64_t page)
{
	return s - s->column + xm_segment_units(s, page) % s->columns;
}

/* Likewise, but looks where the hint points first; begin with 0. */
static inline struct xm_segment *xm_layout_find(const struct xm_layout *layout,
						uint64_t page, uint32_t *hint)
{
	struct xm_segment *segment = &layout->segments[*hint];

	if (*hint < layout->count && page - segment->page < segment->count)
		return xm_segment_is_striped(segment)
			       ? xm_segment_column(segment, page)
			       : segment;
	return xm_layout_search(layout, page, hint);
}

#endif
