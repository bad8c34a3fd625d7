/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How threads wait for what a lane does: one looks, the others follow, and all
 * of them sleep when it takes long.
 *
 * A thread whose fault (or call) the engine answers with WAIT holds the lane's
 * lock, and calls xm_lane_wait() until the answer is another. Meanwhile it is
 *
 *	looking		takes completions from the transports, with the lock, which
 *			it gives between two looks. One thread of a lane does.
 *	following	another looks: watches the lane's count of turns, without
 *			the lock.
 *	watching	what is likely to take longer than looking is worth
 *			(spin.h): asleep on the transports' descriptors and on the
 *			lane's bell. One thread of a lane does.
 *	sleeping	likewise, and another watches: asleep on the count (futex).
 *
 * Nobody misses what happens. Whatever can change an answer moves the engine's
 * own count (engine.turns), under the lock; and nobody lets go of the lock
 * without having told that (xm_lane_give()): the count is published, sleepers
 * are woken, the bell is rung for the watcher. The interleavings:
 *
 *   - A looks at its answer: WAIT. B completes A's page. A goes to sleep. Not
 *     possible: between the answer and lane.sleepers++ A holds the lock, so B's
 *     change comes after, and B finds a sleeper to wake.
 *   - A, counted as a sleeper, has let go of the lock and is on its way into the
 *     kernel when B tells. The futex compares the count with the one A saw
 *     under the lock, in the kernel, under its own lock: it has moved, and A
 *     comes back at once.
 *   - A watches, B takes A's completion from the transport before A sleeps (or
 *     just as the descriptor wakes it: poll(2) looks again, finds nothing, and
 *     goes on sleeping). B rings the bell before it lets go of the lock, and
 *     the bell stays readable until A itself has silenced it, with the lock.
 *   - The bytes arrive between A's last look and its sleep. A has armed the
 *     transports after that look, with the lock: their descriptors are readable
 *     from the arrival on. If another thread has polled since, it was with the
 *     lock, so it has told of what it found.
 *   - The watcher leaves, its own page has come; sleepers are left with nobody
 *     to watch. It wakes them as it comes back, and one of them watches next.
 *   - The looker leaves, followers are left: they see that nobody looks, and the
 *     first to have the lock does.
 *
 * Each sleep is short all the same (SLEEP_MAX): time itself decides that a page
 * is lost, the caller has a deadline, and a transport without a descriptor has
 * to be looked at.
 *
 * All of this runs in the handler of SIGBUS: system calls, no allocation. Who
 * sleeps has its signals blocked, and opens them in between with no part of
 * this in its hands, because a handler of the program's may touch a page.
 *
 * Floor: client.
 */
#include "core/client/lane.h"

#include <errno.h>

#include "core/pure/plant.h"

#define SLEEP_MAX (20 * XM_MS)
/* Without a descriptor to sleep on. */
#define NAP_MIN (50 * XM_US)
#define NAP_MAX (2 * XM_MS)
/* Looks before the first nap, where nobody tells. */
#define REST_LOOKS 256
/* Looks end for the caller to check its deadline, and its signals. */
#define LOOK_MAX XM_MS
/* Of looking in one wait, however often something else happens meanwhile. */
#define LOOKING_MAX (10 * XM_SPIN_MAX_NS)

static void publish_spin(struct xm_lane *lane)
{
	atomic_store_explicit(&lane->waiting.spin_ns, xm_spin_ns(&lane->spin),
			      memory_order_relaxed);
}

int xm_waiting_open(struct xm_lane *lane, enum xm_polling polling)
{
	struct xm_waiting *w = &lane->waiting;

	xm_spin_init(&lane->spin, polling);
	publish_spin(lane);
	w->all_wakeup = -1;
	w->wakeup = os_kick_open();
	return w->wakeup < 0 ? w->wakeup : 0;
}

void xm_waiting_close(struct xm_waiting *w)
{
	os_kick_close(w->wakeup);
}

int xm_all_waiting_open(struct xm_all_waiting *w)
{
	w->wakeup = os_kick_open();
	return w->wakeup < 0 ? w->wakeup : 0;
}

void xm_all_waiting_close(struct xm_all_waiting *w)
{
	os_kick_close(w->wakeup);
}

void xm_lane_tell(struct xm_lane *lane)
{
	/* First: one who waits for an explicit operation is woken for this. */
	xm_lane_collect(lane);
	atomic_store_explicit(&lane->waiting.turns, lane->engine.turns,
			      memory_order_release);
	if (lane->waiting.sleepers > 0 && !XM_PLANTED(sleepers_untold))
		os_word_wake(&lane->waiting.turns);
	if (lane->waiting.watched && !lane->waiting.woken &&
	    !XM_PLANTED(bell_unrung)) {
		lane->waiting.woken = true;
		os_kick(lane->waiting.wakeup);
	}
	if (lane->waiting.all_wakeup >= 0)
		os_kick(lane->waiting.all_wakeup);
}

/* --- looking ---------------------------------------------------------------------- */

/* Where several threads wait there may be no processor left for the one that is
 * waited for. */
static void look_again(const struct xm_lane *lane, unsigned turn,
		       uint64_t most_ns)
{
	os_look_again(turn,
		      atomic_load_explicit(&lane->lanes->waiting.count,
					   memory_order_relaxed) > 1,
		      most_ns);
}

/* Between two looks somebody else may have the lock, who waits for it. */
static void let_others(struct xm_lane *lane)
{
	if (XM_PLANTED(lock_kept))
		return;
	xm_lane_give(lane);
	os_lock_yield(&lane->lock);
}

static void let_us(struct xm_lane *lane)
{
	if (!XM_PLANTED(lock_kept))
		os_lock_take(&lane->lock);
}

/* Both return the time. */
static uint64_t look(struct xm_lane *lane, uint64_t until_ns)
{
	uint32_t seen = lane->engine.turns;
	uint64_t now_ns;

	atomic_store_explicit(&lane->waiting.looking, true, memory_order_relaxed);
	for (unsigned turn = 0;; turn++) {
		xm_lane_turn(lane);
		now_ns = lane->engine.seen_ns;
		if (lane->engine.turns != seen || lane->engine.eager ||
		    now_ns >= until_ns)
			break;
		/* Not with the lock: it may take a while until this thread
		 * has the processor again. */
		let_others(lane);
		look_again(lane, turn, until_ns - now_ns);
		let_us(lane);
		if (lane->engine.turns != seen)
			break;
	}
	atomic_store_explicit(&lane->waiting.looking, false, memory_order_relaxed);
	return now_ns;
}

/* The transport took nothing more, and may in a moment. Not with the lock, either:
 * with an appliance that moves nothing such moments follow each other, and the
 * keeper, who has to be heard of there, waits for the lock. */
static void look_eagerly(struct xm_lane *lane, struct xm_wait *w, uint64_t most_ns)
{
	let_others(lane);
	os_look_again(w->looks++, true, most_ns);
	let_us(lane);
}

static uint64_t follow(struct xm_lane *lane, uint64_t until_ns)
{
	uint32_t seen = lane->engine.turns;
	uint64_t now_ns;

	xm_lane_give(lane);
	for (unsigned turn = 0;; turn++) {
		now_ns = os_now_ns();
		if (xm_waiting_seen(&lane->waiting) != seen ||
		    !atomic_load_explicit(&lane->waiting.looking,
					  memory_order_relaxed) ||
		    now_ns >= until_ns)
			break;
		look_again(lane, turn, until_ns - now_ns);
	}
	os_lock_take(&lane->lock);
	return now_ns;
}

/* --- sleeping --------------------------------------------------------------------- */

static uint64_t nap_ns(const struct xm_wait *w)
{
	return xm_min(NAP_MIN << w->naps, NAP_MAX);
}

/* False: there is something to look at now. Adds to `fds`; *most_ns becomes
 * less where there is no descriptor. */
static bool arm(struct xm_lane *lane, const struct xm_wait *w,
		struct pollfd *fds, unsigned *count, uint64_t *most_ns)
{
	struct xm_engine *engine = &lane->engine;

	for (uint32_t i = 0; i < engine->peers_count; i++) {
		struct xm_lane_peer *peer = &engine->peers[i];
		int fd = peer->ops->arm(peer->transport);

		if (fd == -EAGAIN)
			return false;
		if (fd < 0)
			*most_ns = xm_min(*most_ns, nap_ns(w));
		else
			fds[(*count)++] = (struct pollfd){ fd, POLLIN, 0 };
	}
	return true;
}

/* Silences the bell, and has somebody else watch. */
static void watch_ended(struct xm_lane *lane)
{
	lane->waiting.watched = false;
	if (lane->waiting.woken)
		os_kick_drain(lane->waiting.wakeup);
	lane->waiting.woken = false;
	if (lane->waiting.sleepers > 0)
		os_word_wake(&lane->waiting.turns);
}

static void sleep_locked(struct xm_lane *lane, struct xm_wait *w,
			 uint64_t now_ns)
{
	struct pollfd fds[XM_APPLIANCES_MAX + 1];
	unsigned count = 0;
	uint64_t most_ns = lane->engine.eager ? nap_ns(w) : SLEEP_MAX;
	uint32_t seen = lane->engine.turns;
	bool watch = !lane->waiting.watched;

	if (watch && !arm(lane, w, fds, &count, &most_ns))
		return;
	most_ns = xm_min(most_ns, w->deadline_ns - now_ns);
	if (watch) {
		fds[count++] = (struct pollfd){ lane->waiting.wakeup, POLLIN, 0 };
		lane->waiting.watched = true;
	} else {
		lane->waiting.sleepers++;
	}
	xm_lane_give(lane);
	if (watch)
		os_sleep_on(fds, count, &lane->waiting.turns, seen, most_ns);
	else
		os_word_sleep(&lane->waiting.turns, seen, most_ns);
	os_lock_take(&lane->lock);
	if (watch)
		watch_ended(lane);
	else
		lane->waiting.sleepers--;
	if (w->naps < 8)
		w->naps++;
}

/* --- either -------------------------------------------------------------------------- */

/* For the program's handlers: with nothing of ours in hand. */
static void let_signals_in(struct xm_lane *lane, const struct xm_wait *w)
{
	struct os_signals blocked;

	if (w->signals == NULL || !w->signals->blocked)
		return;
	xm_lane_give(lane);
	os_signals_restore(w->signals);
	os_signals_block(&blocked);
	os_lock_take(&lane->lock);
}

static void lane_sleep(struct xm_lane *lane, struct xm_wait *w, uint64_t now_ns)
{
	struct os_signals open = { .blocked = false };

	if (now_ns >= w->deadline_ns)
		return;
	if (w->signals != NULL && !w->signals->blocked)
		os_signals_block(&open);
	sleep_locked(lane, w, now_ns);
	w->slept = true;
	os_signals_restore(&open);
}

/* Until when looking is worth while. */
static uint64_t looking_ends(const struct xm_lane *lane, const struct xm_wait *w)
{
	uint64_t ns = xm_spin_ns(&lane->spin);

	if (ns == XM_NEVER)
		ns = xm_time_after(os_now_ns(), LOOK_MAX);
	else
		ns = xm_min(w->since_ns + ns, w->began_ns + LOOKING_MAX);
	return xm_min(ns, w->deadline_ns);
}

void xm_lane_wait(struct xm_lane *lane, struct xm_wait *w)
{
	uint32_t seen = lane->engine.turns;
	uint64_t ends_ns, now_ns;

	if (w->since_ns == 0) {
		w->since_ns = os_now_ns();
		w->began_ns = 0;
		w->slept = false;
	}
	if (w->began_ns == 0)
		w->began_ns = w->since_ns;
	ends_ns = looking_ends(lane, w);
	atomic_fetch_add_explicit(&lane->lanes->waiting.count, 1,
				  memory_order_relaxed);
	do {
		now_ns = atomic_load_explicit(&lane->waiting.looking,
					      memory_order_relaxed)
				 ? follow(lane, ends_ns)
				 : look(lane, ends_ns);
	} while (lane->engine.turns == seen && !lane->engine.eager &&
		 now_ns < ends_ns);
	atomic_fetch_sub_explicit(&lane->lanes->waiting.count, 1,
				  memory_order_relaxed);
	if (lane->engine.turns == seen) {
		if (lane->engine.eager && now_ns < ends_ns)
			look_eagerly(lane, w, ends_ns - now_ns);
		else if (lane->spin.polling != XM_POLLING_BUSY)
			lane_sleep(lane, w, now_ns);
		lane->engine.eager = false;
		let_signals_in(lane, w);
		xm_lane_turn(lane);
		if (lane->engine.turns == seen)
			return;
		now_ns = lane->engine.seen_ns;
	}
	now_ns = xm_max(now_ns, w->since_ns);
	xm_spin_learn(&lane->spin, now_ns - w->since_ns, w->slept);
	publish_spin(lane);
	w->since_ns = now_ns;
	w->slept = false;
	w->naps = 0;
}

void xm_lane_await(struct xm_lane *lane, uint32_t seen, struct xm_wait *w)
{
	struct os_signals old;

	xm_lane_lock(lane, &old);
	w->signals = &old;
	if (lane->engine.turns == seen)
		xm_lane_wait(lane, w);
	w->signals = NULL;
	xm_lane_unlock(lane, &old);
}

void xm_rest(unsigned turn)
{
	uint64_t ns = xm_min(NAP_MIN << xm_min(turn / REST_LOOKS, 8), NAP_MAX);

	if (turn < REST_LOOKS)
		os_look_again(turn, true, NAP_MAX);
	else
		os_sleep(ns);
}

/* --- several lanes -------------------------------------------------------------------- */

void xm_lanes_seen(struct xm_lanes *lanes, uint32_t seen[XM_LANES_MAX])
{
	for (uint32_t i = 0; i < lanes->count; i++)
		seen[i] = xm_waiting_seen(&lanes->lane[i].waiting);
}

static bool any_moved(struct xm_lanes *lanes, const uint32_t seen[XM_LANES_MAX])
{
	for (uint32_t i = 0; i < lanes->count; i++) {
		if (xm_waiting_seen(&lanes->lane[i].waiting) != seen[i])
			return true;
	}
	return false;
}

/* Hangs the bell of all in each lane, and arms the transports. False: there is
 * something to look at. The thread has signals blocked. */
static bool hang_bells(struct xm_lanes *lanes, const uint32_t seen[XM_LANES_MAX],
		       const struct xm_wait *w, struct pollfd *fds,
		       unsigned *count, uint64_t *most_ns)
{
	bool nothing = true;

	for (uint32_t i = 0; nothing && i < lanes->count; i++) {
		struct xm_lane *lane = &lanes->lane[i];

		os_lock_take(&lane->lock);
		nothing = lane->engine.turns == seen[i] &&
			  arm(lane, w, fds, count, most_ns);
		if (lane->engine.eager)
			*most_ns = xm_min(*most_ns, nap_ns(w));
		lane->engine.eager = false;
		lane->waiting.all_wakeup = lanes->waiting.wakeup;
		xm_lane_give(lane);
	}
	return nothing;
}

static void take_bells_down(struct xm_lanes *lanes)
{
	for (uint32_t i = 0; i < lanes->count; i++) {
		struct xm_lane *lane = &lanes->lane[i];

		os_lock_take(&lane->lock);
		lane->waiting.all_wakeup = -1;
		xm_lane_give(lane);
	}
	os_kick_drain(lanes->waiting.wakeup);
}

static void sleep_on_all(struct xm_lanes *lanes,
			 const uint32_t seen[XM_LANES_MAX], int fd,
			 struct xm_wait *w, uint64_t now_ns)
{
	struct pollfd fds[XM_LANES_MAX * XM_APPLIANCES_MAX + 2];
	uint64_t most_ns = xm_min(SLEEP_MAX, w->deadline_ns - now_ns);
	struct os_signals old;
	unsigned count = 0;

	/* There is one such bell; a second sleeper has naps. */
	if (atomic_exchange(&lanes->waiting.watched, true)) {
		os_sleep(xm_min(most_ns, nap_ns(w)));
		return;
	}
	os_signals_block(&old);
	fds[count++] = (struct pollfd){ lanes->waiting.wakeup, POLLIN, 0 };
	fds[count++] = (struct pollfd){ fd, POLLIN, 0 };
	if (hang_bells(lanes, seen, w, fds, &count, &most_ns))
		os_sleep_on(fds, count, NULL, 0, most_ns);
	take_bells_down(lanes);
	atomic_store(&lanes->waiting.watched, false);
	os_signals_restore(&old);
}

void xm_lanes_wait(struct xm_lanes *lanes, const uint32_t seen[XM_LANES_MAX], int fd,
		   struct xm_wait *w)
{
	uint64_t now_ns = os_now_ns(), spin_ns = 0;

	if (w->since_ns == 0 || any_moved(lanes, seen)) {
		w->since_ns = now_ns;
		w->naps = w->looks = 0;
		return;
	}
	for (uint32_t i = 0; i < lanes->count; i++)
		spin_ns = xm_max(spin_ns,
				 atomic_load_explicit(
					 &lanes->lane[i].waiting.spin_ns,
					 memory_order_relaxed));
	if (now_ns >= w->deadline_ns)
		return;
	if (now_ns - w->since_ns < spin_ns) {
		os_look_again(w->looks++, false, w->deadline_ns - now_ns);
		return;
	}
	sleep_on_all(lanes, seen, fd, w, now_ns);
	if (w->naps < 8)
		w->naps++;
}
