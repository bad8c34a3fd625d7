/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of transfers; see piece.h, and transfer.h. */
#include "core/client/transfer_parts.h"

/* --- what a lane keeps ----------------------------------------------------------- */

int xm_pieces_open(struct xm_pieces *p, uint32_t count, uint8_t *bounce)
{
	p->memory_size = count * sizeof(struct xm_piece);
	p->memory = os_memory_take(p->memory_size);
	if (p->memory == NULL)
		return -ENOMEM;
	for (uint32_t i = count; i > 0; i--) {
		p->memory[i - 1].next = p->free;
		p->free = &p->memory[i - 1];
	}
	p->bounce = bounce;
	p->bounce_free = UINT32_MAX >> (32 - XM_BOUNCE_PAGES);
	return 0;
}

void xm_pieces_close(struct xm_pieces *p)
{
	os_memory_give(p->memory, p->memory_size);
}

static struct xm_piece *piece_take(struct xm_lane *lane)
{
	struct xm_piece *piece = lane->pieces.free;

	if (piece == NULL)
		return NULL;
	lane->pieces.free = piece->next;
	memset(piece, 0, sizeof(*piece));
	piece->lane = lane;
	piece->bounce = piece->image = -1;
	return piece;
}

void xm_piece_give(struct xm_piece *piece)
{
	struct xm_lane *lane = piece->lane;

	xm_bounce_give(&lane->pieces, piece->bounce);
	xm_bounce_give(&lane->pieces, piece->image);
	piece->next = lane->pieces.free;
	lane->pieces.free = piece;
}

/* --- locks ------------------------------------------------------------------------- */

void xm_transfer_let_go(struct xm_transfer *t)
{
	if (t->held != NULL)
		xm_lane_give(t->held);
	t->held = NULL;
}

/* Signals stay blocked, where they have to be, from lane to lane: two system
 * calls for a transfer, not for each look. */
void xm_transfer_hold(struct xm_transfer *t, struct xm_lane *lane)
{
	if (t->held == lane)
		return;
	xm_transfer_let_go(t);
	if (t->signals.blocked)
		os_lock_take(&lane->lock);
	else
		xm_lane_lock(lane, &t->signals);
	t->held = lane;
}

/* Before memory is touched that may fault, and before a rest. */
void xm_transfer_calm(struct xm_transfer *t)
{
	xm_transfer_let_go(t);
	os_signals_restore(&t->signals);
	t->signals.blocked = false;
}

/* --- the caller's memory, which may be external itself ------------------------------- */

void xm_user_load(extmem *x, const uint8_t *from, void *ret, size_t size)
{
	if (xm_arena_overlaps(&x->arena, from, size))
		xm_arena_read(&x->arena, (uint64_t)(from - x->arena.base), ret,
			      size);
	else
		memcpy(ret, from, size);
}

void xm_user_store(extmem *x, uint8_t *to, const void *bytes, size_t size)
{
	if (xm_arena_overlaps(&x->arena, to, size))
		xm_arena_write(&x->arena, (uint64_t)(to - x->arena.base), bytes,
			       size);
	else
		memcpy(to, bytes, size);
}

/* --- the beginning of a piece ------------------------------------------------ */

void xm_piece_unlock(struct xm_piece *piece, bool written, bool torn)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_IO_UNLOCK, .page = piece->io_lock_first,
		.limit = piece->io_lock_limit, .write = written, .torn = torn,
	};

	if (piece->io_lock_first < piece->io_lock_limit)
		xm_engine_event(&piece->lane->engine, &ev);
	piece->io_lock_limit = piece->io_lock_first;
}

static bool comes_back(int status)
{
	/* A refused key may be a connection that was replaced. */
	return status == -ECANCELED || status == -ENOTCONN ||
	       status == -EAGAIN || status == -EACCES ||
	       status == -EBADMSG; /* until its page is mended, or lost */
}

static void unlink_flying(struct xm_transfer *t, struct xm_piece *piece)
{
	struct xm_piece **at = &t->flying;

	while (*at != piece)
		at = &(*at)->other;
	*at = piece->other;
	t->flying_count--;
	t->flying_bytes -= piece->size;
}

/* `local` is where its bytes are or go: the caller's memory, or a bounce page. */
enum xm_begun xm_piece_post(struct xm_transfer *t, struct xm_piece *piece,
			    bool write, uint64_t address, uint8_t *local,
			    uint64_t size)
{
	struct xm_lane *lane = piece->lane;
	uint64_t taken = piece->size;
	uint32_t turns = lane->engine.turns;
	int64_t got;

	piece->transfer = t;
	piece->other = t->flying;
	t->flying = piece;
	t->flying_count++;
	t->flying_bytes += piece->size;
	got = xm_engine_post(&lane->engine, write, address, local, size,
			     (uint64_t)(uintptr_t)piece);
	piece->posted = got > 0 && write;
	if (got > 0) {
		XM_ASSERT((uint64_t)got == size);
		xm_transfer_advance(t, taken);
		return XM_BEGUN;
	}
	unlink_flying(t, piece);
	xm_piece_unlock(piece, false, false);
	/* Nobody has seen the I/O lock, so its end helps nobody. */
	lane->engine.turns = turns;
	xm_piece_give(piece);
	if (comes_back((int)got))
		return XM_STUCK;
	t->status = (int)got;
	return XM_FAILED;
}

/* A piece with a bounce page, or without; with the lane held. For a write the
 * page has the caller's bytes. NULL: there is none for now. */
struct xm_piece *xm_piece_ready(struct xm_transfer *t, uint64_t end)
{
	struct xm_lane *lane = t->held;
	struct xm_piece *piece = piece_take(lane);

	if (piece == NULL)
		return NULL;
	piece->address = t->address;
	piece->local = t->local;
	piece->size = end - t->address;
	if (!t->bounced || t->reseals)
		return piece;
	piece->bounce = xm_bounce_take(&lane->pieces);
	if (piece->bounce < 0) {
		xm_piece_give(piece);
		return NULL;
	}
	if (t->write) {
		xm_transfer_calm(t);
		xm_user_load(t->client, t->local, xm_piece_bytes(piece),
			     piece->size);
		xm_transfer_hold(t, lane);
	}
	return piece;
}

/* --- the end of a piece ---------------------------------------------------------------- */

static void push(_Atomic(struct xm_piece *) *list, struct xm_piece *piece)
{
	struct xm_piece *first = atomic_load_explicit(list, memory_order_relaxed);

	do
		piece->next = first;
	while (!atomic_compare_exchange_weak(list, &first, piece));
}

/* Whose transfer waits for nothing else is called to drive it. */
static void call(struct xm_transfer *t)
{
	unsigned state = atomic_load(&t->state), next;

	do {
		if (state == XM_TRANSFER_CALLED || state == XM_TRANSFER_RECALLED)
			return;
		next = state == XM_TRANSFER_IDLE ? XM_TRANSFER_CALLED
					      : XM_TRANSFER_RECALLED;
	} while (!atomic_compare_exchange_weak(&t->state, &state, next));
	if (next == XM_TRANSFER_CALLED)
		xm_async_call(&t->client->async, t);
}

/* The rest of a sealed page is here: the part is put into it, and all of it written.
 * False: it could not be posted, and *status says why. */
static bool write_part(struct xm_piece *piece, int *status)
{
	struct xm_pieces *pieces = &piece->lane->pieces;
	uint8_t *image = xm_bounce_at(pieces, piece->image);
	int64_t got;

	if (XM_PLANTED(seal_part_unread))
		memset(image, 0, XM_PAGE);
	if (!piece->transfer->reseals)
		memcpy(image + piece->skip, xm_bounce_at(pieces, piece->bounce),
		       piece->size);
	got = xm_engine_post(&piece->lane->engine, true,
			     piece->address & ~(uint64_t)(XM_PAGE - 1), image,
			     XM_PAGE, (uint64_t)(uintptr_t)piece);
	piece->posted = got > 0;
	if (!piece->posted)
		*status = (int)got;
	return piece->posted;
}

void xm_piece_end(struct xm_piece *piece, int status)
{
	struct xm_transfer *t = piece->transfer;

	if (status == 0 && piece->image >= 0 && !piece->posted &&
	    write_part(piece, &status))
		return;
	piece->status = status;
	if (piece->posted && piece->lane->engine.marks != NULL &&
	    !XM_PLANTED(write_unmarked))
		xm_mark(piece->lane->engine.marks, piece->address / XM_PAGE,
			(piece->address % XM_PAGE + piece->size + XM_PAGE - 1) /
				XM_PAGE);
	if (piece->posted && status != 0) {
		atomic_fetch_add(&t->cuts, 1);
		atomic_fetch_add(&t->region->cuts, 1);
	}
	/* If the write of a fresh page failed, the page stays fresh: the appliance
	 * may still have its bytes from before it was discarded. */
	xm_piece_unlock(piece,
			t->write &&
				(status == 0 || XM_PLANTED(failed_write_marks)),
			piece->posted && status != 0);
	/* After this the thread that drives the transfer may end it at any moment. */
	if (!t->async) {
		push(&t->ended, piece);
		return;
	}
	atomic_fetch_add(&t->callers, 1);
	push(&t->ended, piece);
	call(t);
	atomic_fetch_sub(&t->callers, 1);
}

/* Takes back the pieces that have ended. */
void xm_pieces_collect(struct xm_transfer *t)
{
	struct xm_piece *piece, *next;

	if (atomic_load_explicit(&t->ended, memory_order_relaxed) == NULL)
		return;
	for (piece = atomic_exchange(&t->ended, NULL); piece != NULL;
	     piece = next) {
		next = piece->next;
		unlink_flying(t, piece);
		if (piece->status == 0 && piece->bounce >= 0 && !t->write) {
			xm_transfer_calm(t);
			xm_user_store(t->client, piece->local,
				      xm_piece_bytes(piece) + piece->skip,
				      piece->size);
		}
		xm_transfer_hold(t, piece->lane);
		if (piece->status != 0 && comes_back(piece->status)) {
			xm_bounce_give(&piece->lane->pieces, piece->bounce);
			xm_bounce_give(&piece->lane->pieces, piece->image);
			piece->bounce = piece->image = -1;
			piece->next = t->again;
			t->again = piece;
			t->again_count++;
			continue;
		}
		if (t->status == 0)
			t->status = piece->status;
		xm_piece_give(piece);
	}
}
