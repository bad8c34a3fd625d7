/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfers; see transfer.h, and client.h for the locks. */
#include "transfer.h"

#include <errno.h>
#include <string.h>

#include "client.h"
#include "plant.h"

/* A piece, and what is under way of one transfer: enough to keep a connection
 * busy, few enough that a fault behind them does not wait long. */
#define PIECE (256 * XM_KIB)
#define WINDOW (2 * XM_MIB)
#define PIECES_MAX 32

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

static int8_t bounce_take(struct lane *lane)
{
	int8_t page;

	if (lane->bounce_free == 0)
		return -1;
	page = (int8_t)__builtin_ctz(lane->bounce_free);
	lane->bounce_free &= lane->bounce_free - 1;
	return page;
}

static uint8_t *bounce_at(struct lane *lane, int8_t page)
{
	return lane->bounce + (uint64_t)page * XM_PAGE;
}

static void bounce_give(struct lane *lane, int8_t page)
{
	if (page >= 0)
		lane->bounce_free |= UINT32_C(1) << page;
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

static void piece_give(struct piece *piece)
{
	struct lane *lane = piece->lane;

	bounce_give(lane, piece->bounce);
	piece->next = lane->pieces_free;
	lane->pieces_free = piece;
}

/* --- locks ------------------------------------------------------------------------- */

static void let_go(struct transfer *t)
{
	if (t->held != NULL)
		xm_lane_give(t->held);
	t->held = NULL;
}

/* Signals stay blocked, where they have to be, from lane to lane: two system
 * calls for a transfer, not for each look. */
static void hold(struct transfer *t, struct lane *lane)
{
	if (t->held == lane)
		return;
	let_go(t);
	if (t->signals.blocked)
		os_lock_take(&lane->lock);
	else
		xm_lane_lock(lane, &t->signals);
	t->held = lane;
}

/* Before memory is touched that may fault, and before a rest. */
void xm_transfer_calm(struct transfer *t)
{
	let_go(t);
	os_signals_restore(&t->signals);
	t->signals.blocked = false;
}

/* --- the caller's memory, which may be external itself ------------------------------- */

bool xm_in_arena(const extmem *x, const void *memory, size_t size)
{
	uintptr_t base = (uintptr_t)x->base, at = (uintptr_t)memory;

	return at < base + x->arena_size && at + size > base;
}

static void user_load(extmem *x, const uint8_t *from, void *ret, size_t size)
{
	if (xm_in_arena(x, from, size))
		xm_arena_read(x, (uint64_t)(from - x->base), ret, size);
	else
		memcpy(ret, from, size);
}

static void user_store(extmem *x, uint8_t *to, const void *bytes, size_t size)
{
	if (xm_in_arena(x, to, size))
		xm_arena_write(x, (uint64_t)(to - x->base), bytes, size);
	else
		memcpy(to, bytes, size);
}

/* --- the end of a piece ---------------------------------------------------------------- */

static void unguard(struct lane *lane, const struct piece *piece, bool written)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_UNGUARD, .page = piece->guard_first,
		.limit = piece->guard_limit, .write = written,
	};

	if (piece->guard_first < piece->guard_limit)
		xm_engine_event(&lane->engine, &ev);
}

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
	unguard(lane, piece, t->write && (status == 0 ||
					  XM_PLANTED(failed_write_marks)));
	piece->guard_limit = piece->guard_first;
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

/* Takes back the pieces that have ended. */
static bool collect(struct transfer *t)
{
	struct piece *piece, *next;
	bool any = false;

	if (atomic_load_explicit(&t->ended, memory_order_relaxed) == NULL)
		return false;
	for (piece = atomic_exchange(&t->ended, NULL); piece != NULL;
	     piece = next) {
		next = piece->next;
		any = true;
		unlink_flying(t, piece);
		if (piece->status == 0 && t->bounced && !t->write) {
			xm_transfer_calm(t);
			user_store(t->client, piece->near,
				   bounce_at(piece->lane, piece->bounce),
				   piece->size);
		}
		hold(t, piece->lane);
		if (piece->status != 0 && comes_back(piece->status)) {
			bounce_give(piece->lane, piece->bounce);
			piece->bounce = -1;
			piece->next = t->again;
			t->again = piece;
			continue;
		}
		if (t->status == 0)
			t->status = piece->status;
		piece_give(piece);
	}
	return any;
}

/* --- the beginning of a piece ------------------------------------------------------------- */

/* The next span, where the last one has been begun. False: there is none. */
static bool span_next(struct transfer *t)
{
	struct piece *piece = t->again;

	if (t->size > 0)
		return true;
	if (piece != NULL) {
		t->again = piece->next;
		t->address = piece->address;
		t->near = piece->near;
		t->size = piece->size;
		hold(t, piece->lane);
		piece_give(piece);
		return true;
	}
	while (t->size == 0 && t->spans_count > 0) {
		t->address = t->region->address + t->spans->offset;
		t->near = t->spans->buffer;
		t->size = t->spans->size;
		t->spans++;
		t->spans_count--;
	}
	return t->size > 0;
}

static struct lane *lane_at(extmem *x, uint64_t address)
{
	return &x->lanes[xm_lane_of(x, address / XM_PAGE)];
}

/* Where the piece that begins the span ends: at the end of what one operation
 * can move, else at a page's. With its lane held. 0: nothing lies there. */
static uint64_t piece_end(const struct transfer *t)
{
	uint64_t block = t->client->block_pages * XM_PAGE;
	uint64_t end = t->address + t->size, stop;
	uint64_t most = xm_engine_most(&t->held->engine, t->address);

	if (most == 0)
		return 0;
	most = xm_min(most, t->bounced ? XM_PAGE : PIECE);
	stop = xm_min(t->address + most, (t->address & ~(block - 1)) + block);
	if (t->bounced)
		stop = xm_min(stop, (t->address & ~(XM_PAGE - 1)) + XM_PAGE);
	return stop >= end ? end : stop & ~(XM_PAGE - 1);
}

static void span_advance(struct transfer *t, uint64_t size)
{
	t->address += size;
	t->near += size;
	t->size -= size;
}

enum begun { BEGUN, AGAIN, STUCK, FAILED };

/* `near` is where its bytes are or go: the caller's memory, or a bounce page. */
static enum begun post(struct transfer *t, struct piece *piece,
		       uint64_t address, uint8_t *near, uint64_t size)
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
	got = xm_engine_post(&lane->engine, t->write, address, near, size,
			     (uint64_t)(uintptr_t)piece);
	if (got > 0) {
		XM_ASSERT((uint64_t)got == size);
		span_advance(t, taken);
		return BEGUN;
	}
	unlink_flying(t, piece);
	unguard(lane, piece, false);
	/* Nobody has seen the guard, so its end helps nobody. */
	lane->engine.turns = turns;
	piece_give(piece);
	if (comes_back((int)got))
		return STUCK;
	t->status = (int)got;
	return FAILED;
}

/* A piece with a bounce page, or without; with the lane held. For a write the
 * page has the caller's bytes. NULL: there is none for now. */
static struct piece *piece_ready(struct transfer *t, uint64_t end)
{
	struct lane *lane = t->held;
	struct piece *piece = piece_take(lane);

	if (piece == NULL)
		return NULL;
	piece->address = t->address;
	piece->near = t->near;
	piece->size = end - t->address;
	if (!t->bounced)
		return piece;
	piece->bounce = bounce_take(lane);
	if (piece->bounce < 0) {
		piece_give(piece);
		return NULL;
	}
	if (t->write) {
		xm_transfer_calm(t);
		user_load(t->client, t->near, bounce_at(lane, piece->bounce),
			  piece->size);
		hold(t, lane);
	}
	return piece;
}

static uint8_t *near_of(const struct piece *piece)
{
	return piece->bounce < 0 ? piece->near
				 : bounce_at(piece->lane, piece->bounce);
}

/* --- with the pager ---------------------------------------------------------------------- */

/* Begins to store what was written to pages that are here. */
static enum begun flush(struct transfer *t)
{
	extmem *x = t->client;

	while (t->dirty_first < t->dirty_limit) {
		struct lane *lane = &x->lanes[xm_lane_of(x, t->dirty_first)];
		struct xm_pager_event ev = {
			.kind = XM_PAGER_FLUSH, .page = t->dirty_first,
			.floor = t->dirty_first, .again = t->again_flush,
			.limit = xm_min(t->dirty_limit,
					(t->dirty_first |
					 (x->block_pages - 1)) + 1),
		};
		uint64_t *seq = &t->seq[lane - x->lanes];
		enum xm_verdict verdict;

		t->stuck_page = ev.page;
		hold(t, lane);
		ev.reach = xm_engine_reach(&lane->engine, ev.page);
		verdict = xm_engine_event(&lane->engine, &ev);
		*seq = xm_max(*seq, lane->engine.effects.seq);
		if (verdict == XM_VERDICT_LOST) {
			t->status = -ESTALE;
			return FAILED;
		}
		t->dirty_first = verdict == XM_VERDICT_DONE
					 ? ev.limit
					 : xm_max(t->dirty_first,
						  lane->engine.effects.next);
		t->again_flush = verdict == XM_VERDICT_WAIT;
		if (t->again_flush)
			return STUCK;
	}
	return BEGUN;
}

/* Have they landed? */
static enum begun flushed(struct transfer *t)
{
	extmem *x = t->client;

	for (uint32_t i = 0; i < x->lanes_count; i++) {
		struct lane *lane = &x->lanes[i];
		struct xm_pager_event ev = {
			.kind = XM_PAGER_FLUSHED, .page = t->dirty_from,
			.limit = t->dirty_to, .seq = t->seq[i],
		};
		enum xm_verdict verdict;

		if (t->seq[i] == 0)
			continue;
		hold(t, lane);
		verdict = xm_engine_event(&lane->engine, &ev);
		if (verdict == XM_VERDICT_WAIT) {
			/* Of the page that is waited for. */
			t->stuck_page = lane->engine.effects.next;
			return STUCK;
		}
		if (verdict == XM_VERDICT_LOST) {
			t->status = -ESTALE;
			return FAILED;
		}
		t->seq[i] = 0;
	}
	return BEGUN;
}

/* By the mapping; should the page leave meanwhile, a fault brings it back. */
static enum begun here(struct transfer *t, uint64_t end)
{
	extmem *x = t->client;
	uint64_t page = t->address / XM_PAGE;
	uint8_t image[XM_PAGE];
	uint64_t size;

	size = xm_min(end, (page + 1) * XM_PAGE) - t->address;
	if (t->write && t->dirty_first < t->dirty_limit &&
	    t->dirty_limit != page && t->dirty_limit != page + 1) {
		enum begun begun = flush(t);

		if (begun != BEGUN)
			return begun;
	}
	xm_transfer_calm(t);
	if (t->write && t->bounced) {
		user_load(x, t->near, image, size);
		xm_arena_write(x, t->address, image, size);
	} else if (t->write) {
		xm_arena_write(x, t->address, t->near, size);
	} else if (t->bounced) {
		xm_arena_read(x, t->address, image, size);
		user_store(x, t->near, image, size);
	} else {
		xm_arena_read(x, t->address, t->near, size);
	}
	if (t->write) {
		if (t->dirty_first >= t->dirty_limit)
			t->dirty_first = page;
		t->dirty_limit = page + 1;
		t->dirty_from = xm_min(t->dirty_from, page);
		t->dirty_to = xm_max(t->dirty_to, page + 1);
	}
	span_advance(t, size);
	return AGAIN;
}

/* It reads as zero, up to `end`. */
static enum begun fresh_read(struct transfer *t, uint64_t end)
{
	static const uint8_t zeros[XM_PAGE];

	xm_transfer_calm(t);
	if (t->bounced)
		user_store(t->client, t->near, zeros, end - t->address);
	else
		memset(t->near, 0, end - t->address);
	span_advance(t, end - t->address);
	return AGAIN;
}

/* Part of one fresh page is written: the rest of it is zero, and goes too.
 * Who says that it is fresh holds its lane: it still is. */
static enum begun fresh_write(struct transfer *t, struct piece *piece)
{
	struct lane *lane = piece->lane;
	uint64_t page = t->address / XM_PAGE;
	struct xm_pager_event ev = {
		.kind = XM_PAGER_GUARD, .page = page, .limit = page + 1,
		.whole = true,
	};
	int8_t bounce = bounce_take(lane);
	uint8_t *image;

	if (bounce < 0) {
		piece_give(piece);
		return STUCK;
	}
	image = bounce_at(lane, bounce);
	if (!XM_PLANTED(fresh_not_zeroed))
		memset(image, 0, XM_PAGE);
	memcpy(image + t->address % XM_PAGE, near_of(piece), piece->size);
	bounce_give(lane, piece->bounce);
	piece->bounce = bounce;
	if (xm_engine_event(&lane->engine, &ev) != XM_VERDICT_DONE) {
		piece_give(piece);
		return STUCK;
	}
	piece->guard_first = page;
	piece->guard_limit = page + 1;
	return post(t, piece, page * XM_PAGE, image, XM_PAGE);
}

/* Asks the pager about the pages that a piece would touch, and does what is
 * right for those that it begins with. */
static enum begun tracked(struct transfer *t, struct piece *piece)
{
	struct lane *lane = piece->lane;
	uint64_t page = t->address / XM_PAGE;
	uint64_t end = t->address + piece->size;
	struct xm_pager_event ev = { .kind = XM_PAGER_GUARD, .page = page };

	/* A write takes whole pages, or a part of one. */
	if (t->write && (t->address % XM_PAGE != 0 || piece->size < XM_PAGE))
		end = xm_min(end, (page + 1) * XM_PAGE);
	else if (t->write)
		end &= ~(XM_PAGE - 1);
	piece->size = end - t->address;
	ev.whole = t->write && piece->size >= XM_PAGE;
	ev.limit = (end + XM_PAGE - 1) / XM_PAGE;
	switch (xm_engine_event(&lane->engine, &ev)) {
	case XM_VERDICT_DONE:
		piece->guard_first = page;
		piece->guard_limit = lane->engine.effects.next;
		end = xm_min(end, piece->guard_limit * XM_PAGE);
		piece->size = end - t->address;
		return post(t, piece, t->address, near_of(piece),
			    piece->size);
	case XM_VERDICT_HERE:
		piece_give(piece);
		return here(t, end);
	case XM_VERDICT_FRESH:
		if (t->write)
			return fresh_write(t, piece);
		piece_give(piece);
		return fresh_read(t, xm_min(end, lane->engine.effects.next *
							 XM_PAGE));
	case XM_VERDICT_LOST:
		piece_give(piece);
		t->status = -ESTALE;
		return FAILED;
	default:
		piece_give(piece);
		return STUCK;
	}
}

/* --- the whole ------------------------------------------------------------------------------ */

static enum begun begin_piece(struct transfer *t)
{
	struct piece *piece;
	uint64_t end;

	t->stuck_page = t->address / XM_PAGE;
	hold(t, lane_at(t->client, t->address));
	end = piece_end(t);
	if (end > 0 && t->bounced) {
		piece = piece_ready(t, end);
		/* The lane was given up meanwhile. */
		end = xm_min(end, piece_end(t));
	} else {
		piece = end > 0 ? piece_ready(t, end) : NULL;
	}
	if (end == 0) {
		if (piece != NULL)
			piece_give(piece);
		t->status = -ERANGE;
		return FAILED;
	}
	if (piece == NULL)
		return STUCK;
	piece->size = end - t->address;
	return t->by_pager ? tracked(t, piece)
			   : post(t, piece, t->address, near_of(piece),
				  piece->size);
}

static bool has_room(const struct transfer *t)
{
	return t->flying_count == 0 ||
	       (t->flying_count < PIECES_MAX &&
		t->flying_bytes + PIECE <= WINDOW);
}

/* What has failed before another did is not moved again. */
static void drop_again(struct transfer *t)
{
	while (t->again != NULL) {
		struct piece *piece = t->again;

		t->again = piece->next;
		hold(t, piece->lane);
		piece_give(piece);
	}
}

enum transfer_progress xm_transfer_step(struct transfer *t)
{
	enum begun begun = BEGUN;

	collect(t);
	while (t->status == 0 && span_next(t) && has_room(t)) {
		begun = begin_piece(t);
		if (begun == STUCK || begun == FAILED)
			break;
	}
	if (t->status == 0 && begun == STUCK)
		return TRANSFER_STUCK;
	if (t->status != 0)
		drop_again(t);
	if (t->flying_count > 0)
		return TRANSFER_WAITS;
	if (t->status == 0)
		begun = flush(t);
	if (t->status == 0 && begun == BEGUN)
		begun = flushed(t);
	return begun == STUCK ? TRANSFER_STUCK : TRANSFER_ENDED;
}

/* Whether a stuck transfer still has hope. */
static bool is_lost(struct transfer *t)
{
	struct lane *lane = lane_at(t->client, t->stuck_page * XM_PAGE);

	hold(t, lane);
	return xm_engine_reach(&lane->engine, t->stuck_page) ==
	       XM_REACH_LOST;
}

void xm_transfer_give_up(struct transfer *t, uint64_t now_ns)
{
	if (t->status != 0)
		return;
	if (is_lost(t))
		t->status = -ENOTCONN;
	else if (now_ns >= t->deadline_ns)
		t->status = -ETIMEDOUT;
}

/* The one lane that it waits for; NULL: there are several. */
static struct lane *only_lane(const struct transfer *t, bool stuck)
{
	struct lane *lane = NULL;

	if (stuck || t->flying == NULL)
		lane = lane_at(t->client, t->stuck_page * XM_PAGE);
	for (struct piece *p = t->flying; p != NULL; p = p->other) {
		if (lane != NULL && p->lane != lane)
			return NULL;
		lane = p->lane;
	}
	return lane;
}

/* `seen` is of before the step that made it wait. */
static void wait_for(struct transfer *t, bool stuck, const uint32_t *seen,
		     struct xm_wait *w)
{
	extmem *x = t->client;
	struct lane *lane = only_lane(t, stuck);

	if (lane == NULL) {
		for (struct piece *p = t->flying; p != NULL; p = p->other) {
			hold(t, p->lane);
			xm_lane_turn(p->lane);
		}
		xm_transfer_calm(t);
		xm_lanes_wait(x, seen, -1, w);
		return;
	}
	hold(t, lane);
	w->signals = &t->signals;
	if (lane->engine.turns == seen[lane - x->lanes])
		xm_lane_wait(lane, w);
}

/* Ends whatever is under way: the memory is the caller's again in any case. */
static void cut(struct transfer *t)
{
	t->cut = true;
	if (t->status == 0)
		t->status = -ETIMEDOUT;
	for (struct piece *p = t->flying; p != NULL; p = p->other) {
		hold(t, p->lane);
		xm_engine_cut(&p->lane->engine, p->address / XM_PAGE);
	}
}

int xm_transfer_run(struct transfer *t)
{
	struct xm_wait wait = { .deadline_ns = t->deadline_ns };

	for (;;) {
		enum transfer_progress progress;
		uint32_t seen[XM_LANES_MAX];
		uint64_t now_ns;

		xm_lanes_seen(t->client, seen);
		if (t->held != NULL) /* what we did has not been told */
			seen[t->held - t->client->lanes] =
				t->held->engine.turns;
		progress = xm_transfer_step(t);
		if (progress == TRANSFER_ENDED)
			break;
		wait_for(t, progress == TRANSFER_STUCK, seen, &wait);
		if (atomic_load(&t->ended) != NULL) {
			/* Faults of others wait for the lane, too. */
			if (t->held != NULL && os_lock_wanted(&t->held->lock)) {
				struct os_lock *lock = &t->held->lock;

				let_go(t);
				os_lock_yield(lock);
			}
			continue;
		}
		now_ns = t->held != NULL ? t->held->engine.seen_ns
					 : os_now_ns();
		if (progress == TRANSFER_STUCK)
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
static int enter(struct transfer *t)
{
	extmem_region *region = t->region;

	for (unsigned turn = 0;; turn++) {
		t->by_pager = atomic_load(&region->tracked);
		if (t->by_pager)
			return 0;
		atomic_fetch_add(&region->straight, 1);
		if (!atomic_load(&region->changing))
			break;
		atomic_fetch_sub(&region->straight, 1);
		if (os_now_ns() >= t->deadline_ns)
			return -ETIMEDOUT;
		xm_rest(turn);
	}
	/* It may have been mapped between the two looks. */
	if (atomic_load(&region->tracked)) {
		atomic_fetch_sub(&region->straight, 1);
		t->by_pager = true;
	} else if (t->write) {
		atomic_store(&region->written, true);
	}
	return 0;
}

int xm_transfer_begin(struct transfer *t, extmem_region *region, bool write,
		      const struct extmem_iov *spans, size_t count,
		      uint64_t deadline_ns)
{
	t->client = region->client;
	t->region = region;
	t->write = write;
	t->spans = spans;
	t->spans_count = count;
	t->deadline_ns = deadline_ns;
	t->dirty_from = UINT64_MAX;
	return enter(t);
}

void xm_transfer_end(struct transfer *t)
{
	xm_transfer_calm(t);
	if (!t->by_pager)
		atomic_fetch_sub(&t->region->straight, 1);
}
