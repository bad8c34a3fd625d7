/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of transfers share; included from nowhere else.
 *
 * transfer.c	    a transfer as a whole: its spans, its steps, who waits
 * transfer_piece.c  a piece: what it is made of, and its end
 * transfer_pager.c  a piece of a region that is mapped: asks the pager first
 */
#ifndef XM_TRANSFER_PARTS_H
#define XM_TRANSFER_PARTS_H

#include <errno.h>
#include <string.h>

#include "core/client/client.h"
#include "core/pure/plant.h"
#include "core/client/transfer.h"

enum begun { BEGUN, AGAIN, STUCK, FAILED };

/* --- bounce pages ----------------------------------------------------------- */

static inline int8_t bounce_take(struct lane *lane)
{
	int8_t page;

	if (lane->bounce_free == 0)
		return -1;
	page = (int8_t)__builtin_ctz(lane->bounce_free);
	lane->bounce_free &= lane->bounce_free - 1;
	return page;
}

static inline uint8_t *bounce_at(struct lane *lane, int8_t page)
{
	return lane->bounce + (uint64_t)page * XM_PAGE;
}

static inline void bounce_give(struct lane *lane, int8_t page)
{
	if (page >= 0)
		lane->bounce_free |= UINT32_C(1) << page;
}

static inline uint8_t *near_of(const struct piece *piece)
{
	return piece->bounce < 0 ? piece->local
				 : bounce_at(piece->lane, piece->bounce);
}

/* --- transfer.c ------------------------------------------------------------- */

static inline struct lane *lane_at(extmem *x, uint64_t address)
{
	return &x->lanes[xm_lane_of(x, address / XM_PAGE)];
}

static inline void span_advance(struct transfer *t, uint64_t size)
{
	t->address += size;
	t->local += size;
	t->size -= size;
}

/* --- transfer_piece.c ------------------------------------------------------- */

/* Holds this lane's lock, and no other. Signals stay blocked, where they have to
 * be, from lane to lane: two system calls for a transfer, not for each look. */
void xm_transfer_hold(struct transfer *, struct lane *);
void xm_transfer_let_go(struct transfer *);

/* The caller's memory, which may be external itself. */
void xm_user_load(extmem *, const uint8_t *from, void *ret, size_t size);
void xm_user_store(extmem *, uint8_t *to, const void *bytes, size_t size);

/* A piece of [t->address, end), with a bounce page or without; with the lane
 * held. For a write the page has the caller's bytes. NULL: there is none for
 * now. */
struct piece *xm_piece_ready(struct transfer *, uint64_t end);
void xm_piece_give(struct piece *);
/* Posts it. `near` is where its bytes are or go: the caller's memory, or a bounce
 * page. */
enum begun xm_piece_post(struct transfer *, struct piece *, uint64_t address,
			 uint8_t *local, uint64_t size);
/* Takes back the pieces that have ended. */
void xm_pieces_collect(struct transfer *);

/* --- transfer_pager.c ------------------------------------------------------- */

/* Asks the pager about the pages that a piece would touch, and does what is
 * right for those that it begins with. */
enum begun xm_piece_tracked(struct transfer *, struct piece *);
/* Begins to store what was written to pages that are here; and: has it landed? */
enum begun xm_transfer_flush(struct transfer *);
enum begun xm_transfer_flushed(struct transfer *);

#endif
