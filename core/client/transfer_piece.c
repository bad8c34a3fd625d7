/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of transfers; see transfer.h, and client.h for the locks. */
#include "core/client/transfer_parts.h"

/* --- what a lane keeps ----------------------------------------------------------- */

int xm_pieces_open(struct lane *lane, uint32_t depth)
{
	lane->pieces_size = depth * sizeof(struct piece);
	lane->pieces = os_memory_take(lane->pieces_size);
	if (lane->pieces == NULL)
		return -ENOMEM;
	for (uint32_t i = depth; i > 0; i--) {
		lane->pieces[i - 1].next = lane->pieces_free;
		lane->pieces_free = &lane->pieces[i - 1];
	}
	lane->bounce_free = UINT32_MAX >> (32 - XM_BOUNCE_PAGES);
	return 0;
}

void xm_pieces_close(struct lane *lane)
{
	os_memory_give(lane->pieces, lane->pieces_size);
}

static struct piece *piece_take(struct lane *lane)
{
	struct piece *piece = lane->pieces_free;

	if (piece == NULL)
		return NULL;
	lane->pieces_free = piece->next;
	memset(piece, 0, sizeof(*piece));
	piece->lane = lane;
	piece->bounce = -1;
	return piece;
}

void xm_piece_give(struct piece *piece)
{
	struct lane *lane = piece->lane;

	bounce_give(lane, piece->bounce);
	piece->next = lane->pieces_free;
	lane->pieces_free = piece;
}

/* --- locks ------------------------------------------------------------------------- */

void xm_transfer_let_go(struct transfer *t)
{
	if (t->held != NULL)
		xm_lane_give(t->held);
	t->held = NULL;
}

/* Signals stay blocked, where they have to be, from lane to lane: two system
 * calls for a transfer, not for each look. */
void xm_transfer_hold(struct transfer *t, struct lane *lane)
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
void xm_transfer_calm(struct transfer *t)
{
	xm_transfer_let_go(t);
	os_signals_restore(&t->signals);
	t->signals.blocked = false;
}

/* --- the caller's memory, which may be external itself ------------------------------- */

bool xm_in_arena(const extmem *x, const void *memory, size_t size)
{
	uintptr_t base = (uintptr_t)x->base, at = (uintptr_t)memory;

	return at < base + x->arena_size && at + size > base;
}

void xm_user_load(extmem *x, const uint8_t *from, void *ret, size_t size)
{
	if (xm_in_arena(x, from, size))
		xm_arena_read(x, (uint64_t)(from - x->base), ret, size);
	else
		memcpy(ret, from, size);
}

void xm_user_store(extmem *x, uint8_t *to, const void *bytes, size_t size)
{
	if (xm_in_arena(x, to, size))
		xm_arena_write(x, (uint64_t)(to - x->base), bytes, size);
	else
		memcpy(to, bytes, size);
}

/* --- the beginning of a piece ------------------------------------------------ */

static void io_unlock(struct lane *lane, const struct piece *piece, bool written)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_IO_UNLOCK, .page = piece->io_lock_first,
		.limit = piece->io_lock_limit, .write = written,
	};

	if (piece->io_lock_first < piece->io_lock_limit)
		xm_engine_event(&lane->engine, &ev);
}

static bool comes_back(int status)
{
	/* A refused key may be a connection that was replaced. */
	return status == -ECANCELED || status == -ENOTCONN ||
	       status == -EAGAIN || status == -EACCES;
}

static void unlink_flying(struct transfer *t, struct piece *piece)
{
	struct piece **at = &t->flying;

	while (*at != piece)
		at = &(*at)->other;
	*at = piece->other;
	t->flying_count--;
	t->flying_bytes -= piece->size;
}

/* `near` is where its bytes are or go: the caller's memory, or a bounce page. */
enum begun xm_piece_post(struct transfer *t, struct piece *piece,
		       uint64_t address, uint8_t *local, uint64_t size)
{
	struct lane *lane = piece->lane;
	uint64_t taken = piece->size;
	uint32_t turns = lane->engine.turns;
	int64_t got;

	piece->transfer = t;
	piece->other = t->flying;
	t->flying = piece;
	t->flying_count++;
	t->flying_bytes += piece->size;
	got = xm_engine_post(&lane->engine, t->write, address, local, size,
			     (uint64_t)(uintptr_t)piece);
	if (got > 0) {
		XM_ASSERT((uint64_t)got == size);
		span_advance(t, taken);
		return BEGUN;
	}
	unlink_flying(t, piece);
	io_unlock(lane, piece, false);
	/* Nobody has seen the I/O lock, so its end helps nobody. */
	lane->engine.turns = turns;
	xm_piece_give(piece);
	if (comes_back((int)got))
		return STUCK;
	t->status = (int)got;
	return FAILED;
}

/* A piece with a bounce page, or without; with the lane held. For a write the
 * page has the caller's bytes. NULL: there is none for now. */
struct piece *xm_piece_ready(struct transfer *t, uint64_t end)
{
	struct lane *lane = t->held;
	struct piece *piece = piece_take(lane);

	if (piece == NULL)
		return NULL;
	piece->address = t->address;
	piece->local = t->local;
	piece->size = end - t->address;
	if (!t->bounced)
		return piece;
	piece->bounce = bounce_take(lane);
	if (piece->bounce < 0) {
		xm_piece_give(piece);
		return NULL;
	}
	if (t->write) {
		xm_transfer_calm(t);
		xm_user_load(t->client, t->local, bounce_at(lane, piece->bounce),
			  piece->size);
		xm_transfer_hold(t, lane);
	}
	return piece;
}

/* --- the end of a piece ---------------------------------------------------------------- */

static void push(_Atomic(struct piece *) *list, struct piece *piece)
{
	struct piece *first = atomic_load_explicit(list, memory_order_relaxed);

	do
		piece->next = first;
	while (!atomic_compare_exchange_weak(list, &first, piece));
}

/* Whose transfer waits for nothing else is called to drive it. */
static void call(extmem *x, struct transfer *t)
{
	unsigned state = atomic_load(&t->state), next;

	do {
		if (state == TRANSFER_CALLED || state == TRANSFER_RECALLED)
			return;
		next = state == TRANSFER_IDLE ? TRANSFER_CALLED
					      : TRANSFER_RECALLED;
	} while (!atomic_compare_exchange_weak(&t->state, &state, next));
	if (next == TRANSFER_CALLED)
		xm_async_call(x, t);
}

void xm_piece_end(extmem *x, struct lane *lane, struct piece *piece, int status)
{
	struct transfer *t = piece->transfer;

	piece->status = status;
	/* A fresh page stays fresh where its write failed: behind it lies what
	 * it was before it was discarded. */
	io_unlock(lane, piece, t->write && (status == 0 ||
					  XM_PLANTED(failed_write_marks)));
	piece->io_lock_limit = piece->io_lock_first;
	/* Who drives it may end it as soon as he has all its pieces. */
	if (!t->async) {
		push(&t->ended, piece);
		return;
	}
	atomic_fetch_add(&t->callers, 1);
	push(&t->ended, piece);
	call(x, t);
	atomic_fetch_sub(&t->callers, 1);
}

/* Takes back the pieces that have ended. */
void xm_pieces_collect(struct transfer *t)
{
	struct piece *piece, *next;

	if (atomic_load_explicit(&t->ended, memory_order_relaxed) == NULL)
		return;
	for (piece = atomic_exchange(&t->ended, NULL); piece != NULL;
	     piece = next) {
		next = piece->next;
		unlink_flying(t, piece);
		if (piece->status == 0 && t->bounced && !t->write) {
			xm_transfer_calm(t);
			xm_user_store(t->client, piece->local,
				   bounce_at(piece->lane, piece->bounce),
				   piece->size);
		}
		xm_transfer_hold(t, piece->lane);
		if (piece->status != 0 && comes_back(piece->status)) {
			bounce_give(piece->lane, piece->bounce);
			piece->bounce = -1;
			piece->next = t->again;
			t->again = piece;
			continue;
		}
		if (t->status == 0)
			t->status = piece->status;
		xm_piece_give(piece);
	}
}
