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

/* What came of the beginning of a piece. */
enum xm_begun {
	XM_BEGUN,  /* it is under way */
	XM_AGAIN,  /* some of it was moved at once: begin with the rest */
	XM_STUCK,  /* not now: xm_transfer.stuck_page says where */
	XM_FAILED, /* for good: xm_transfer.status says why */
};

/* Where its bytes are or go: the caller's memory, or its bounce page. */
static inline uint8_t *xm_piece_bytes(const struct xm_piece *piece)
{
	return piece->bounce < 0 ? piece->local
				 : xm_bounce_at(&piece->lane->pieces,
						piece->bounce);
}

/* Is what comes next a part of a sealed page? */
static inline bool xm_transfer_moves_part(const struct xm_transfer *t)
{
	return t->sealed &&
	       (t->address % XM_PAGE != 0 || t->size < XM_PAGE);
}

/* --- transfer.c ------------------------------------------------------------- */

static inline void xm_transfer_advance(struct xm_transfer *t, uint64_t size)
{
	t->address += size;
	t->local += size;
	t->size -= size;
}

/* --- transfer_piece.c ------------------------------------------------------- */

/* Holds this lane's lock, and no other. Signals stay blocked, where they have to
 * be, from lane to lane: two system calls for a transfer, not for each look. */
void xm_transfer_hold(struct xm_transfer *, struct xm_lane *);
void xm_transfer_let_go(struct xm_transfer *);

/* The caller's memory, which may be external itself. */
void xm_user_load(extmem *, const uint8_t *from, void *ret, size_t size);
void xm_user_store(extmem *, uint8_t *to, const void *bytes, size_t size);

/* A piece of [t->address, end), with a bounce page or without; with the lane
 * held. For a write the page has the caller's bytes. NULL: there is none for
 * now. */
struct xm_piece *xm_piece_ready(struct xm_transfer *, uint64_t end);
void xm_piece_give(struct xm_piece *);
/* Its pages are free for others, if it has locked some. */
void xm_piece_unlock(struct xm_piece *, bool written, bool torn);
/* Posts it. `local` is where its bytes are or go: the caller's memory, or a bounce
 * page. */
enum xm_begun xm_piece_post(struct xm_transfer *, struct xm_piece *,
			    bool write, uint64_t address, uint8_t *local,
			    uint64_t size);
/* Likewise, a piece of the whole transfer's kind. */
static inline enum xm_begun xm_piece_post_plain(struct xm_transfer *t,
						struct xm_piece *piece)
{
	return xm_piece_post(t, piece, t->write, t->address,
			     xm_piece_bytes(piece), piece->size);
}
/* Takes back the pieces that have ended. */
void xm_pieces_collect(struct xm_transfer *);

/* --- transfer_pager.c ------------------------------------------------------- */

/* Asks the pager about the pages that a piece would touch, and does what is
 * right for those that it begins with. */
enum xm_begun xm_piece_tracked(struct xm_transfer *, struct xm_piece *);
/* Begins to store what was written to pages that are here; and: has it landed? */
enum xm_begun xm_transfer_flush(struct xm_transfer *);
enum xm_begun xm_transfer_flushed(struct xm_transfer *);

#endif
