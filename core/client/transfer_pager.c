/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of regions that are mapped; see transfer.h. */
#include "core/client/transfer_parts.h"

enum xm_begun xm_transfer_flush(struct xm_transfer *t)
{
	while (t->dirty.page < t->dirty.limit) {
		enum xm_verdict verdict;

		t->stuck_page = t->dirty.page;
		xm_transfer_hold(t, xm_lane_at(&t->client->lanes,
					       t->dirty.page));
		verdict = xm_range_step(t->held, &t->dirty);
		if (verdict == XM_VERDICT_LOST) {
			t->status = -ESTALE;
			return XM_FAILED;
		}
		if (verdict == XM_VERDICT_WAIT)
			return XM_STUCK;
	}
	return XM_BEGUN;
}

enum xm_begun xm_transfer_flushed(struct xm_transfer *t)
{
	struct xm_lanes *lanes = &t->client->lanes;

	for (uint32_t i = 0; i < lanes->count; i++) {
		enum xm_verdict verdict;

		if (t->dirty.seq[i] == 0)
			continue;
		xm_transfer_hold(t, &lanes->lane[i]);
		verdict = xm_range_landed(t->held, t->dirty_from, t->dirty_to,
					  t->dirty.seq[i]);
		if (verdict == XM_VERDICT_WAIT) {
			t->stuck_page = t->held->engine.effects.next;
			return XM_STUCK;
		}
		if (verdict == XM_VERDICT_LOST) {
			t->status = -ESTALE;
			return XM_FAILED;
		}
		t->dirty.seq[i] = 0;
	}
	return XM_BEGUN;
}

/* By the mapping, with the lane's lock held: the page is present and stays so, whatever
 * becomes of the program's right to touch it. The caller's memory, which may fault, is
 * stored to without the lock. */
static enum xm_begun read_here(struct xm_transfer *t, uint64_t size)
{
	uint8_t image[XM_PAGE];

	xm_arena_read(&t->client->arena, t->address, image, size);
	xm_transfer_calm(t);
	if (t->bounced)
		xm_user_store(t->client, t->local, image, size);
	else
		memcpy(t->local, image, size);
	xm_transfer_advance(t, size);
	return XM_AGAIN;
}

/* Likewise; the page becomes dirty as by a store of the program's. */
static enum xm_begun write_here(struct xm_transfer *t, struct xm_piece *piece,
				uint64_t size)
{
	struct xm_engine *e = &piece->lane->engine;
	uint64_t page = t->address / XM_PAGE;
	enum xm_verdict verdict = XM_VERDICT_DONE;

	if (e->pager.pages[page].state != XM_PAGE_DIRTY)
		verdict = xm_engine_fault(e, page, true, false, e->clock_ns);
	if (verdict == XM_VERDICT_DONE && t->reseals)
		xm_pager_unprint(&e->pager, page);
	else if (verdict == XM_VERDICT_DONE)
		xm_arena_write(&t->client->arena, t->address,
			       xm_piece_bytes(piece), size);
	xm_piece_give(piece);
	if (verdict != XM_VERDICT_DONE)
		return XM_STUCK;
	xm_transfer_calm(t);
	if (t->dirty.page >= t->dirty.limit)
		t->dirty.page = page;
	t->dirty.limit = page + 1;
	t->dirty_from = xm_min(t->dirty_from, page);
	t->dirty_to = xm_max(t->dirty_to, page + 1);
	xm_transfer_advance(t, size);
	return XM_AGAIN;
}

static enum xm_begun here(struct xm_transfer *t, struct xm_piece *piece,
			  uint64_t end)
{
	uint64_t page = t->address / XM_PAGE;
	uint64_t size = xm_min(end, (page + 1) * XM_PAGE) - t->address;
	enum xm_begun begun;

	if (t->write && (t->dirty.page >= t->dirty.limit ||
			 t->dirty.limit == page || t->dirty.limit == page + 1))
		return write_here(t, piece, size);
	xm_piece_give(piece);
	if (!t->write)
		return read_here(t, size);
	begun = xm_transfer_flush(t);
	/* The lane was given up, maybe: the page is asked for again. */
	return begun == XM_BEGUN ? XM_AGAIN : begun;
}

/* It reads as zero, up to `end`. */
static enum xm_begun fresh_read(struct xm_transfer *t, uint64_t end)
{
	static const uint8_t zeros[XM_PAGE];

	xm_transfer_calm(t);
	if (t->bounced)
		xm_user_store(t->client, t->local, zeros, end - t->address);
	else
		memset(t->local, 0, end - t->address);
	xm_transfer_advance(t, end - t->address);
	return XM_AGAIN;
}

/* Writes a part of one fresh page: the rest of the page is zero and is written too. The
 * caller has seen that it is fresh and still holds its lane's lock, so it is fresh now. */
static enum xm_begun fresh_write(struct xm_transfer *t, struct xm_piece *piece)
{
	struct xm_lane *lane = piece->lane;
	uint64_t page = t->address / XM_PAGE;
	struct xm_pager_event ev = {
		.kind = XM_PAGER_IO_LOCK, .page = page, .limit = page + 1,
		.write = true, .whole = true,
	};
	int8_t bounce = xm_bounce_take(&lane->pieces);
	uint8_t *image;

	if (bounce < 0) {
		xm_piece_give(piece);
		return XM_STUCK;
	}
	image = xm_bounce_at(&lane->pieces, bounce);
	if (!XM_PLANTED(fresh_not_zeroed))
		memset(image, 0, XM_PAGE);
	memcpy(image + t->address % XM_PAGE, xm_piece_bytes(piece), piece->size);
	xm_bounce_give(&lane->pieces, piece->bounce);
	piece->bounce = bounce;
	if (xm_engine_event(&lane->engine, &ev) != XM_VERDICT_DONE) {
		xm_piece_give(piece);
		return XM_STUCK;
	}
	piece->io_lock_first = page;
	piece->io_lock_limit = page + 1;
	return xm_piece_post(t, piece, true, page * XM_PAGE, image, XM_PAGE);
}

/* A part of a sealed page that is locked: all of it is read, by a bounce page; for a write,
 * xm_piece_end() goes on from there. */
static enum xm_begun sealed_part(struct xm_transfer *t, struct xm_piece *piece)
{
	struct xm_pieces *pieces = &piece->lane->pieces;
	int8_t *bounce = t->write ? &piece->image : &piece->bounce;

	if (*bounce < 0)
		*bounce = xm_bounce_take(pieces);
	if (*bounce < 0) {
		uint32_t turns = piece->lane->engine.turns;

		xm_piece_unlock(piece, false, false);
		/* Nobody has seen the I/O lock, so its end helps nobody. */
		piece->lane->engine.turns = turns;
		xm_piece_give(piece);
		return XM_STUCK;
	}
	piece->skip = (uint16_t)(t->address % XM_PAGE);
	return xm_piece_post(t, piece, false, t->address & ~(XM_PAGE - 1),
			     xm_bounce_at(pieces, *bounce), XM_PAGE);
}

/* Are the pages that it begins with fresh? They are all that is left of it. While the lane is
 * held that does not change. */
static bool is_fresh(const struct xm_transfer *t, struct xm_piece *piece)
{
	uint64_t page = t->address / XM_PAGE;
	bool fresh;

	piece->size = (xm_pager_alike(&piece->lane->engine.pager, page,
				      page + piece->size / XM_PAGE, &fresh) -
		       page) * XM_PAGE;
	return fresh;
}

static enum xm_begun pass_over(struct xm_transfer *t, struct xm_piece *piece)
{
	xm_transfer_advance(t, piece->size);
	xm_piece_give(piece);
	return XM_AGAIN;
}

static enum xm_begun lost(struct xm_transfer *t, struct xm_piece *piece)
{
	if (t->reseals)
		return pass_over(t, piece);
	t->status = xm_engine_is_tampered(&piece->lane->engine,
					  t->address / XM_PAGE)
			    ? -EBADMSG
			    : -ESTALE;
	xm_piece_give(piece);
	return XM_FAILED;
}

/* Asks the pager about the pages that a piece would touch, and does what is
 * right for those that it begins with. */
enum xm_begun xm_piece_tracked(struct xm_transfer *t, struct xm_piece *piece)
{
	struct xm_lane *lane = piece->lane;
	uint64_t page = t->address / XM_PAGE, end;
	struct xm_pager_event ev = { .kind = XM_PAGER_IO_LOCK, .page = page };

	if ((t->zeroes && !is_fresh(t, piece)) ||
	    (t->reseals && !xm_engine_is_old(&lane->engine, page)))
		return pass_over(t, piece);
	end = t->address + piece->size;
	/* A write takes whole pages, or a part of one; what is sealed, too. */
	if ((t->write || t->sealed) &&
	    (t->address % XM_PAGE != 0 || piece->size < XM_PAGE))
		end = xm_min(end, (page + 1) * XM_PAGE);
	else if (t->write || t->sealed)
		end &= ~(XM_PAGE - 1);
	piece->size = end - t->address;
	ev.write = t->write;
	ev.whole = t->write && piece->size >= XM_PAGE && !t->reseals;
	ev.limit = (end + XM_PAGE - 1) / XM_PAGE;
	switch (xm_engine_event(&lane->engine, &ev)) {
	case XM_VERDICT_DONE:
		piece->io_lock_first = page;
		piece->io_lock_limit = lane->engine.effects.next;
		end = xm_min(end, piece->io_lock_limit * XM_PAGE);
		piece->size = end - t->address;
		if (t->sealed && (piece->size % XM_PAGE != 0 || t->reseals))
			return sealed_part(t, piece);
		return xm_piece_post_plain(t, piece);
	case XM_VERDICT_PRESENT:
		if (t->reseals && XM_PLANTED(seal_renewal_here))
			return pass_over(t, piece);
		return here(t, piece, end);
	case XM_VERDICT_FRESH:
		if (t->reseals)
			return pass_over(t, piece);
		if (t->write)
			return fresh_write(t, piece);
		xm_piece_give(piece);
		return fresh_read(t, xm_min(end, lane->engine.effects.next *
							 XM_PAGE));
	case XM_VERDICT_LOST:
		return lost(t, piece);
	default:
		xm_piece_give(piece);
		return XM_STUCK;
	}
}
