/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What backs some pages, as the volume tells it to others and is told of it: plain values,
 * without the volume's own marks. Only the volume (volume.h) and the table below it look
 * into its segments; who takes memory, parts with it or labels it reads a backing out
 * (xm_volume_backing()), and puts one in (xm_volume_put()). A backing is a copy: it is as
 * old as the moment in which it was read.
 *
 * Example: a region of 64 pages with 2 copies, in 2 columns with units of 16 pages, has two
 * backings with count 64 and 2 copies each, at four appliances: column 0 begins at the
 * region's first page, column 1 at its 17th, and each copy has 32 pages.
 * Floor: ground.
 */
#ifndef XM_BACKING_H
#define XM_BACKING_H

#include "common/base.h"
#include "core/pure/region_id.h"
#include "core/pure/transport.h"

#define XM_APPLIANCES_MAX 16
#define XM_COPIES_MAX 4 /* of one segment */
#define XM_MEMBERS_MAX (XM_COPIES_MAX + 1) /* with one that is to take another's place */

struct xm_strategy;

/* What one member is worth. Its appliance's view decides (view.h). */
enum xm_member_state {
	XM_MEMBER_IN = 0,  /* it has the segment's bytes: read and written */
	XM_MEMBER_FILLING, /* it is being given what it lacks: written, never read */
	XM_MEMBER_OUT,	   /* it lacks what was written since it left: neither */
	XM_MEMBER_LOST,	   /* its lease ended: the bytes are gone */
};

/* An extent, or the part of one that begins with this offset. */
struct xm_extent_at {
	uint32_t appliance;
	uint32_t lease;	 /* which of our leases there it was taken under */
	uint64_t extent; /* the appliance's number for it; 0: another part of it has that */
	struct xm_remote_mr remote;
	uint64_t offset; /* of the first byte in remote's span */
	bool wanted;	 /* its appliance has asked for it */
};

struct xm_backing_copy {
	struct xm_extent_at at;
	enum xm_member_state state;
	bool unsure; /* a TRIM of it was not answered */
};

struct xm_backing {
	/* Which pages of the arena; in stripes: of all columns together. */
	uint64_t page, count;
	uint64_t unit;		 /* pages; 0: no stripes */
	uint8_t columns, column; /* more than one: it has each `columns`th unit */
	struct xm_region_id region_id;
	uint64_t region_page; /* its first page, in its region */
	/* Its region's, or NULL; and the choice of it that was taken. */
	const struct xm_strategy *strategy;
	uint8_t choice;
	bool sealed; /* its bytes in extents are sealed (seal.h) */
	bool direct; /* its region is not tracked: writes may go past the pager */
	bool reads;  /* it is another client's, whose roll (roll.h) says who is IN */
	bool fixed;  /* others read it: its copies are mended, and not replaced */
	/* Of what is read out: no copy is IN; a copy is unsure, or it is held; a TRIM, or
	 * FREE, is under way; an extent that fills behind the copies will take the place
	 * of one of them. */
	bool lost, unsure, held, guest;
	uint8_t copies;
	struct xm_backing_copy list[XM_MEMBERS_MAX]; /* the copies, and behind them the guest */
};

/* How many extents there are, with the guest. */
static inline uint32_t xm_backing_extents(const struct xm_backing *b)
{
	return (uint32_t)b->copies + (uint32_t)b->guest;
}

static inline bool xm_backing_is_striped(const struct xm_backing *b)
{
	return b->columns > 1;
}

/* How many backings its run has. */
static inline uint32_t xm_backing_columns(const struct xm_backing *b)
{
	return xm_backing_is_striped(b) ? b->columns : 1;
}

/* Pages of each copy. */
static inline uint64_t xm_backing_size(const struct xm_backing *b)
{
	return b->count / xm_backing_columns(b);
}

/* Where a page of this backing lies in its extents, in pages from their offset. */
uint64_t xm_backing_row(const struct xm_backing *, uint64_t page);
/* Where the pages that begin with this one end in its extents: at the end of its unit, or
 * of the backing. */
uint64_t xm_backing_end(const struct xm_backing *, uint64_t page);
/* The first page of the next column, or the end of the run: a loop that begins with the
 * run's first page and goes on so visits each backing once. */
uint64_t xm_backing_after(const struct xm_backing *);

#endif
