/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces: parts of transfers (transfer.h) that are under way on a lane, each one
 * operation of the transport; and the bounce pages that some of them go by.
 *
 * A lane has a fixed number of both, taken and given with its lock.
 */
#ifndef XM_PIECE_H
#define XM_PIECE_H

#include "common/base.h"

#define XM_BOUNCE_PAGES 16 /* of each lane; registered with its transports */

struct xm_lane;
struct xm_transfer;

struct xm_piece {
	struct xm_transfer *transfer;
	struct xm_piece *next;	/* ended, to be moved again, or free */
	struct xm_piece *other; /* of the same transfer's, under way */
	struct xm_lane *lane;
	uint64_t address, size;		   /* in the arena, bytes */
	uint8_t *local;			   /* the caller's */
	uint64_t io_lock_first, io_lock_limit; /* pages; equal: none */
	int8_t bounce;			   /* its page, or -1 */
	/* Of a sealed region, where whole pages move: a page of it that is read to change
	 * a part (`bounce` has the part), or -1; where in its page the part begins; and
	 * whether its bytes have left, so that they may be there. */
	int8_t image;
	uint16_t skip;
	bool posted;
	int status;
};

/* What a lane keeps for them. */
struct xm_pieces {
	struct xm_piece *memory, *free;
	size_t memory_size;
	uint8_t *bounce;      /* XM_BOUNCE_PAGES pages */
	uint32_t bounce_free; /* a bit for each */
};

/* `bounce` stays the caller's. 0 or -ENOMEM. */
int xm_pieces_open(struct xm_pieces *, uint32_t count, uint8_t *bounce);
void xm_pieces_close(struct xm_pieces *);

static inline int8_t xm_bounce_take(struct xm_pieces *p)
{
	int8_t page;

	if (p->bounce_free == 0)
		return -1;
	page = (int8_t)__builtin_ctz(p->bounce_free);
	p->bounce_free &= p->bounce_free - 1;
	return page;
}

static inline uint8_t *xm_bounce_at(const struct xm_pieces *p, int8_t page)
{
	return p->bounce + (uint64_t)page * XM_PAGE;
}

/* -1 is none. */
static inline void xm_bounce_give(struct xm_pieces *p, int8_t page)
{
	if (page >= 0)
		p->bounce_free |= UINT32_C(1) << page;
}

/* With the lane locked: a piece's operation is over. */
void xm_piece_end(struct xm_piece *, int status);

#endif
