/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How threads wait for what a lane does.
 *
 * A thread whose fault (or call) the engine answers with WAIT holds the lane's
 * lock, and calls xm_lane_wait() until the answer is another. Meanwhile it is in
 * one of four states (wait.h has the enum):
 *
 *	LOOKING		It takes completions from the transports, with the lock,
 *			which it gives between two looks. One thread of a lane at
 *			most.
 *	FOLLOWING	Another thread looks; this one polls the lane's count of
 *			turns, without the lock.
 *	WATCHING	Looking has taken longer than it is worth (spin.h): the
 *			thread sleeps on the descriptors of the transports, and on
 *			the lane's wakeup descriptor. One thread of a lane at most.
 *	SLEEPING	Likewise, and another thread watches: it sleeps on a word
 *			that counts the calls to come back, by futex(2).
 *
 * The rule. Whatever may change an answer moves the engine's own count
 * (engine.turns), under the lock. Whoever gives the lock publishes the count first
 * if it has moved (xm_lane_give() calls xm_lane_tell()), wakes the sleepers, and
 * makes the wakeup descriptor readable. So no thread misses a change:
 *
 *   - A is told WAIT, B completes A's page, A goes to sleep. This cannot be:
 *     between the answer and A's entry in `sleepers` A holds the lock, so B's
 *     change comes later, and B finds a sleeper to wake.
 *   - A is counted as a sleeper, has given the lock and is on its way into the
 *     kernel when B publishes. B moves the word that A is about to sleep on, and
 *     the futex compares it, inside the kernel, with what A saw under the lock:
 *     A does not sleep.
 *   - A watches, and B takes A's completion from the transport before A sleeps
 *     (or just as the descriptor wakes A: poll(2) checks again, finds nothing, and
 *     goes on sleeping). B makes the wakeup descriptor readable before it gives
 *     the lock, and it stays readable until A drains it, with the lock.
 *   - Bytes arrive between A's last look and its sleep. A armed the transports
 *     after that look, with the lock: their descriptors are readable from the
 *     arrival on. If another thread has polled since, it did so with the lock, so
 *     it has published what it found.
 *   - The watcher's own page has come and it leaves, while others sleep or are on
 *     their way. It moves the word, too, and one of them watches next.
 *   - The looker leaves while others follow. They see that no thread looks, and
 *     the first of them to have the lock does.
 *
 * tests/unit/test_wait.c runs this file on every interleaving of two and three
 * threads that sleep (polling=block), with sleeps that have no end. Polling
 * between sleeps, and a wait for all lanes, are exercised by the simulator alone.
 *
 * Here each sleep ends after SLEEP_MAX all the same: time itself decides that a
 * page is lost, the caller has a deadline, and a transport without a descriptor
 * has to be polled.
 *
 * All of this runs in the handler of SIGBUS: system calls, no allocation. A
 * sleeping thread has all signals blocked. It unblocks them only between two
 * sleeps, with the lane unlocked and all state of its wait released, because a
 * handler of the program's may touch a page itself.
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
/* With polling=busy a thread looks for this long at a time; then its caller
 * checks the deadline and lets signals in. */
#define LOOK_MAX XM_MS
/* The longest that a thread looks in one wait, even if completions for others
 * keep coming. */
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

/* With the lane's lock. A sleeper that is on its way into the kernel finds that
 * the word has moved. */
static void call_sleepers(struct xm_waiting *w)
{
	if (w->sleepers == 0)
		return;
	atomic_fetch_add_explicit(&w->calls, 1, memory_order_release);
	if (!XM_PLANTED(sleepers_untold))
		os_word_wake(&w->calls);
}

void xm_lane_tell(struct xm_lane *lane)
{
	/* First: a thread that waits for an explicit operation is woken for it. */
	xm_lane_collect(lane);
	atomic_store_explicit(&lane->waiting.turns, lane->engine.turns,
			      memory_order_release);
	call_sleepers(&lane->waiting);
	if (lane->waiting.watcher == XM_WATCHER_ASLEEP &&
	    !XM_PLANTED(wakeup_unsent)) {
		lane->waiting.watcher = XM_WATCHER_WOKEN;
		os_kick(lane->waiting.wakeup);
	}
	if (lane->waiting.all_wakeup >= 0)
		os_kick(lane->waiting.all_wakeup);
}

/* --- looking ---------------------------------------------------------------------- */

/* Where several threads wait there may be no processor left for the one they wait
 * for, so they give theirs up at once. */
static void look_again(const struct xm_lane *lane, unsigned turn,
		       uint64_t most_ns)
{
	os_look_again(turn,
		      atomic_load_explicit(&lane->lanes->waiting.count,
					   memory_order_relaxed) > 1,
		      most_ns);
}

/* Between two looks a thread that waits for the lock can have it. */
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
static uint64_t look(struct xm_lane *lane, struct xm_wait *w, uint64_t until_ns)
{
	uint32_t seen = lane->engine.turns;
	uint64_t now_ns;

	w->state = XM_WAIT_LOOKING;
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
	w->state = XM_WAIT_BETWEEN;
	return now_ns;
}

/* The transport took no more, and may in a moment. The lock is given meanwhile:
 * with an appliance that moves nothing such moments follow each other, and the
 * background thread, which finds out that it is gone, needs the lock. */
static void look_eagerly(struct xm_lane *lane, struct xm_wait *w, uint64_t most_ns)
{
	let_others(lane);
	os_look_again(w->looks++, true, most_ns);
	let_us(lane);
}

static uint64_t follow(struct xm_lane *lane, struct xm_wait *w,
		       uint64_t until_ns)
{
	uint32_t seen = lane->engine.turns;
	uint64_t now_ns;

	w->state = XM_WAIT_FOLLOWING;
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
	w->state = XM_WAIT_BETWEEN;
	return now_ns;
}

/* --- sleeping --------------------------------------------------------------------- */

static uint64_t nap_ns(const struct xm_wait *w)
{
	return xm_min(NAP_MIN << w->naps, NAP_MAX);
}

/* Arms the transports: their descriptors, added to `fds`, are readable from the
 * next arrival on. False: something has arrived already. Where a transport has no
 * descriptor, *most_ns becomes the time after which to look again. */
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

/* The watcher is back. It wakes the sleepers, so that one of them watches next. */
static void watch_ended(struct xm_lane *lane)
{
	if (lane->waiting.watcher == XM_WATCHER_WOKEN)
		os_kick_drain(lane->waiting.wakeup);
	lane->waiting.watcher = XM_WATCHER_NONE;
	call_sleepers(&lane->waiting);
}

static void sleep_locked(struct xm_lane *lane, struct xm_wait *w,
			 uint64_t now_ns)
{
	struct pollfd fds[XM_APPLIANCES_MAX + 1];
	unsigned count = 0;
	uint64_t most_ns = lane->engine.eager ? nap_ns(w) : SLEEP_MAX;
	uint32_t seen = lane->engine.turns;
	uint32_t calls = atomic_load_explicit(&lane->waiting.calls,
					      memory_order_relaxed);
	bool watch = lane->waiting.watcher == XM_WATCHER_NONE;

	if (watch && !arm(lane, w, fds, &count, &most_ns))
		return;
	most_ns = xm_min(most_ns, w->deadline_ns - now_ns);
	if (watch) {
		fds[count++] = (struct pollfd){ lane->waiting.wakeup, POLLIN, 0 };
		lane->waiting.watcher = XM_WATCHER_ASLEEP;
		w->state = XM_WAIT_WATCHING;
	} else {
		lane->waiting.sleepers++;
		w->state = XM_WAIT_SLEEPING;
	}
	xm_lane_give(lane);
	if (watch)
		os_sleep_on(fds, count, &lane->waiting.turns, seen, most_ns);
	else
		os_word_sleep(&lane->waiting.calls, calls, most_ns);
	os_lock_take(&lane->lock);
	if (watch)
		watch_ended(lane);
	else
		lane->waiting.sleepers--;
	w->state = XM_WAIT_BETWEEN;
	if (w->naps < 8)
		w->naps++;
}

/* --- either -------------------------------------------------------------------------- */

/* The program's handlers may run here: the lock is given, nothing is held. */
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
				 ? follow(lane, w, ends_ns)
				 : look(lane, w, ends_ns);
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

/* Has each lane wake this thread too, and arms the transports. False: there is
 * something to look at. The thread has signals blocked. */
static bool all_arm(struct xm_lanes *lanes, const uint32_t seen[XM_LANES_MAX],
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

static void all_disarm(struct xm_lanes *lanes)
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

	/* There is one such descriptor: a second thread takes naps. */
	if (atomic_exchange(&lanes->waiting.watched, true)) {
		os_sleep(xm_min(most_ns, nap_ns(w)));
		return;
	}
	os_signals_block(&old);
	fds[count++] = (struct pollfd){ lanes->waiting.wakeup, POLLIN, 0 };
	fds[count++] = (struct pollfd){ fd, POLLIN, 0 };
	if (all_arm(lanes, seen, w, fds, &count, &most_ns))
		os_sleep_on(fds, count, NULL, 0, most_ns);
	all_disarm(lanes);
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
