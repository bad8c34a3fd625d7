/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfers; see transfer.h, and client.h for the locks. */
#include "core/client/transfer_parts.h"

/* A piece, and what is under way of one transfer: enough to keep a connection
 * busy, few enough that a fault behind them does not wait long. */
#define PIECE (512 * XM_KIB)
#define WINDOW (2 * XM_MIB)
#define PIECES_MAX 32

/* --- spans ------------------------------------------------------------------------- */

/* The next span, where the last one has been begun. False: there is none. */
static bool span_next(struct xm_transfer *t)
{
	struct xm_piece *piece = t->again;

	/* Each of them has a piece of a lane's, and there are not many: they are moved before
	 * others begin, or none could. */
	if (t->size > 0 && t->again_count >= PIECES_MAX && t->rest.size == 0) {
		t->rest.address = t->address;
		t->rest.local = t->local;
		t->rest.size = t->size;
		t->size = 0;
	}
	if (t->size > 0)
		return true;
	if (piece != NULL) {
		t->again = piece->next;
		t->again_count--;
		t->address = piece->address;
		t->local = piece->local;
		t->size = piece->size;
		xm_transfer_hold(t, piece->lane);
		xm_piece_give(piece);
		return true;
	}
	if (t->rest.size > 0) {
		t->address = t->rest.address;
		t->local = t->rest.local;
		t->size = t->rest.size;
		t->rest.size = 0;
		return true;
	}
	while (t->size == 0 && t->spans_count > 0) {
		t->address = t->region->address + t->spans->offset;
		t->local = t->spans->buffer;
		t->size = t->spans->size;
		t->spans++;
		t->spans_count--;
	}
	return t->size > 0;
}

/* Where the piece that begins the span ends: at the end of what one operation
 * can move, else at a page's. With its lane held. 0: nothing lies there. */
static uint64_t piece_end(const struct xm_transfer *t)
{
	uint64_t block = t->client->lanes.block_pages * XM_PAGE;
	uint64_t end = t->address + t->size, stop;
	uint64_t most = xm_engine_most(&t->held->engine, t->address);

	if (most == 0)
		return 0;
	most = xm_min(most, t->bounced || xm_transfer_moves_part(t) ? XM_PAGE
								    : PIECE);
	if (XM_PLANTED(page_torn) && t->write && !t->bounced &&
	    t->size > XM_PAGE / 2)
		return t->address + XM_PAGE / 2;
	stop = xm_min(t->address + most, (t->address & ~(block - 1)) + block);
	if (t->bounced || xm_transfer_moves_part(t))
		stop = xm_min(stop, (t->address & ~(XM_PAGE - 1)) + XM_PAGE);
	if (stop >= end && (!t->sealed || t->size < XM_PAGE || t->bounced))
		return end;
	return xm_min(stop, end) & ~(XM_PAGE - 1);
}

/* --- the whole ------------------------------------------------------------------------------ */

static enum xm_begun begin_piece(struct xm_transfer *t)
{
	struct xm_piece *piece;
	uint64_t end;

	t->stuck_page = t->address / XM_PAGE;
	xm_transfer_hold(t, xm_lane_at(&t->client->lanes, t->address / XM_PAGE));
	end = piece_end(t);
	if (end > 0 && t->bounced) {
		piece = xm_piece_ready(t, end);
		/* The lane was given up meanwhile. */
		end = xm_min(end, piece_end(t));
	} else {
		piece = end > 0 ? xm_piece_ready(t, end) : NULL;
	}
	if (end == 0) {
		if (piece != NULL)
			xm_piece_give(piece);
		t->status = -ERANGE;
		return XM_FAILED;
	}
	if (piece == NULL)
		return XM_STUCK;
	piece->size = end - t->address;
	return t->by_pager ? xm_piece_tracked(t, piece)
			   : xm_piece_post_plain(t, piece);
}

static bool has_room(const struct xm_transfer *t)
{
	return t->flying_count == 0 ||
	       (t->flying_count < PIECES_MAX &&
		t->flying_bytes + PIECE <= WINDOW);
}

/* What has failed before another did is not moved again. */
static void drop_again(struct xm_transfer *t)
{
	while (t->again != NULL) {
		struct xm_piece *piece = t->again;

		t->again = piece->next;
		t->again_count--;
		xm_transfer_hold(t, piece->lane);
		xm_piece_give(piece);
	}
}

enum xm_transfer_progress xm_transfer_step(struct xm_transfer *t)
{
	enum xm_begun begun = XM_BEGUN;

	xm_pieces_collect(t);
	while (t->status == 0 && span_next(t) && has_room(t)) {
		begun = begin_piece(t);
		if (begun == XM_STUCK || begun == XM_FAILED)
			break;
	}
	if (t->status == 0 && begun == XM_STUCK)
		return XM_TRANSFER_STUCK;
	if (t->status != 0)
		drop_again(t);
	if (t->flying_count > 0)
		return XM_TRANSFER_WAITS;
	if (XM_PLANTED(write_unflushed))
		return XM_TRANSFER_ENDED;
	if (t->status == 0)
		begun = xm_transfer_flush(t);
	if (t->status == 0 && begun == XM_BEGUN)
		begun = xm_transfer_flushed(t);
	return begun == XM_STUCK ? XM_TRANSFER_STUCK : XM_TRANSFER_ENDED;
}

/* Whether a stuck transfer still has hope. */
static bool is_lost(struct xm_transfer *t)
{
	struct xm_lane *lane = xm_lane_at(&t->client->lanes, t->stuck_page);

	xm_transfer_hold(t, lane);
	return xm_engine_reach(&lane->engine, t->stuck_page) ==
	       XM_REACH_LOST;
}

void xm_transfer_give_up(struct xm_transfer *t, uint64_t now_ns)
{
	if (t->status != 0)
		return;
	if (is_lost(t))
		t->status = -ENOTCONN;
	else if (now_ns >= t->deadline_ns)
		t->status = -ETIMEDOUT;
}

/* The one lane that it waits for; NULL: there are several. */
static struct xm_lane *only_lane(const struct xm_transfer *t, bool stuck)
{
	struct xm_lane *lane = NULL;

	if (stuck || t->flying == NULL)
		lane = xm_lane_at(&t->client->lanes, t->stuck_page);
	for (struct xm_piece *p = t->flying; p != NULL; p = p->other) {
		if (lane != NULL && p->lane != lane)
			return NULL;
		lane = p->lane;
	}
	return lane;
}

/* `seen` is of before the step that made it wait. */
static void wait_for(struct xm_transfer *t, bool stuck, const uint32_t *seen,
		     struct xm_wait *w)
{
	extmem *x = t->client;
	struct xm_lane *lane = only_lane(t, stuck);

	if (lane == NULL) {
		for (struct xm_piece *p = t->flying; p != NULL; p = p->other) {
			xm_transfer_hold(t, p->lane);
			xm_lane_turn(p->lane);
		}
		xm_transfer_calm(t);
		xm_lanes_wait(&x->lanes, seen, -1, w);
		return;
	}
	xm_transfer_hold(t, lane);
	w->signals = &t->signals;
	if (lane->engine.turns == seen[lane - x->lanes.lane])
		xm_lane_wait(lane, w);
}

/* Ends whatever is under way: the memory is the caller's again in any case. */
static void cut(struct xm_transfer *t)
{
	t->cut = true;
	if (t->status == 0)
		t->status = -ETIMEDOUT;
	for (struct xm_piece *p = t->flying; p != NULL; p = p->other) {
		xm_transfer_hold(t, p->lane);
		xm_engine_cut(&p->lane->engine, p->address / XM_PAGE);
	}
}

int xm_transfer_run(struct xm_transfer *t)
{
	struct xm_wait wait = { .deadline_ns = t->deadline_ns };

	for (;;) {
		enum xm_transfer_progress progress;
		uint32_t seen[XM_LANES_MAX];
		uint64_t now_ns;

		xm_lanes_seen(&t->client->lanes, seen);
		if (t->held != NULL) /* what we did has not been told */
			seen[t->held - t->client->lanes.lane] =
				t->held->engine.turns;
		progress = xm_transfer_step(t);
		if (progress == XM_TRANSFER_ENDED)
			break;
		/* What is lost already is not worth a wait. */
		if (progress == XM_TRANSFER_STUCK && t->flying == NULL)
			xm_transfer_give_up(t, 0);
		if (t->status != 0 && t->flying == NULL)
			continue;
		wait_for(t, progress == XM_TRANSFER_STUCK, seen, &wait);
		if (atomic_load(&t->ended) != NULL) {
			/* Faults of others wait for the lane, too. */
			if (t->held != NULL && os_lock_wanted(&t->held->lock)) {
				struct os_lock *lock = &t->held->lock;

				xm_transfer_let_go(t);
				os_lock_yield(lock);
			}
			continue;
		}
		now_ns = t->held != NULL ? t->held->engine.seen_ns
					 : os_now_ns();
		if (progress == XM_TRANSFER_STUCK)
			xm_transfer_give_up(t, now_ns);
		if (!t->cut && now_ns >= t->deadline_ns) {
			cut(t);
			wait.deadline_ns = XM_NEVER;
		}
	}
	xm_transfer_end(t);
	return t->status;
}

/* A region that is being mapped for the first time has its pages' history told
 * to the pager; meanwhile nothing may go past it. */
static int enter(struct xm_transfer *t)
{
	extmem_region *region = t->region;

	for (unsigned turn = 0;; turn++) {
		t->by_pager = atomic_load(&region->tracked);
		if (t->by_pager)
			return 0;
		atomic_fetch_add(&region->direct, 1);
		if (!atomic_load(&region->changing))
			break;
		atomic_fetch_sub(&region->direct, 1);
		if (os_now_ns() >= t->deadline_ns)
			return -ETIMEDOUT;
		xm_rest(turn);
	}
	/* It may have been mapped between the two looks. */
	if (atomic_load(&region->tracked)) {
		atomic_fetch_sub(&region->direct, 1);
		t->by_pager = true;
	} else if (t->write) {
		atomic_store(&region->written, true);
	}
	return 0;
}

int xm_transfer_begin(struct xm_transfer *t, extmem_region *region, bool write,
		      const struct extmem_iov *spans, size_t count,
		      uint64_t deadline_ns)
{
	t->client = region->client;
	t->region = region;
	t->write = write;
	t->spans = spans;
	t->spans_count = count;
	t->deadline_ns = deadline_ns;
	t->dirty.like.kind = XM_PAGER_FLUSH;
	t->dirty_from = UINT64_MAX;
	t->sealed = region->sealed;
	/* What is sealed in place must not be the caller's. */
	t->bounced |= t->sealed && write;
	return enter(t);
}

void xm_transfer_end(struct xm_transfer *t)
{
	xm_transfer_calm(t);
	atomic_fetch_sub(&t->region->cuts, atomic_load(&t->cuts));
	if (!t->by_pager)
		atomic_fetch_sub(&t->region->direct, 1);
}
