/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The protocol by which threads wait for a lane (core/client/wait.c), on every
 * interleaving of two and of three threads.
 *
 * wait.c is the real one. Below it stand an os.h and a lane of our own: threads
 * are coroutines, and each call of os.h is a point where any other may go on (for
 * three threads that wait: each call at which the order can matter). The
 * search is depth first and by replay: a run repeats the choices so far, takes one
 * more, and ends where the state has been seen before. The state is what threads
 * share, and of each its stack, its registers and what it waits for.
 *
 * Time stands still and sleeps have no end, so a wake-up that is lost is found:
 * no thread can go on, though the page of one has come. (One sleep of a run may
 * end early, as if its time were over.) What is asked in each state:
 *
 *   - at most one thread looks, and at most one watches;
 *   - where nobody can go on, no page of a waiting thread has come;
 *   - and one of those that wait watches: it will wake the others.
 *
 * Not modelled: threads that poll before they sleep (the clock stands still, so
 * no thread polls for any time), and the wait for all lanes.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "core/client/lane.h"
#include "core/pure/plant.h"
#include "tests/support/cunit.h"

#define THREADS 4
#define STACK 65536
#define DEPTH 4096
#define SEEN (1u << 22) /* states, most; a power of two */
#define KICK 7		/* descriptors */
#define FD 8

enum xm_plant xm_plant;

enum wants { GO, LOCK, WORD, POLL };

struct thread {
	ucontext_t context;
	_Alignas(64) char stack[STACK];
	uintptr_t sp;
	enum wants wants; /* to go on; LOCK: the lock is free */
	bool woken;	  /* WORD: another thread has woken it */
	bool done;
	struct xm_wait wait;
	const struct pollfd *fds;
	unsigned fds_count;
};

static struct {
	struct xm_lanes lanes;
	struct thread threads[THREADS];
	unsigned waiters, count; /* the threads; those behind waiters turn once */
	bool arrived[THREADS], taken[THREADS];
	bool kicked, armed;
	unsigned early; /* sleeps that may still end before their time */
	bool every; /* calls with the lock held are points, too */
	unsigned running;
	ucontext_t search;
} m;

static struct xm_lane *const lane = &m.lanes.lane[0];

/* --- os.h --------------------------------------------------------------------- */

/* Any other thread may go on here; and this one not before it may. */
static __attribute__((noinline)) void point(enum wants wants)
{
	struct thread *t = &m.threads[m.running];

	t->wants = wants;
	t->sp = (uintptr_t)__builtin_frame_address(0);
	swapcontext(&t->context, &m.search);
	t->wants = GO;
}

/* With the lock held, where the order makes no difference: a thread that could go
 * on here would do nothing but wait for the lock. */
static void point_held(void)
{
	if (m.every)
		point(GO);
}

uint64_t os_now_ns(void)
{
	return XM_SECOND;
}

void os_lock_take(struct os_lock *l)
{
	point(LOCK);
	atomic_store(&l->word, 1);
}

void os_lock_give(struct os_lock *l)
{
	point_held();
	atomic_store(&l->word, 0);
}

void os_lock_yield(const struct os_lock *l)
{
	(void)l;
	point(GO);
}

void os_signals_block(struct os_signals *ret)
{
	ret->blocked = false;
}

void os_signals_restore(const struct os_signals *old)
{
	(void)old;
}

int os_kick_open(void)
{
	return KICK;
}

void os_kick_close(int kick)
{
	(void)kick;
}

void os_kick(int kick)
{
	(void)kick;
	point_held();
	m.kicked = true;
}

void os_kick_drain(int kick)
{
	(void)kick;
	point_held();
	m.kicked = false;
}

void os_look_again(unsigned turn, bool crowded, uint64_t most_ns)
{
	(void)turn;
	(void)crowded;
	(void)most_ns;
	point(GO);
}

void os_sleep(uint64_t ns)
{
	(void)ns;
	point(GO);
}

/* The kernel compares and goes to sleep in one step. */
void os_word_sleep(const _Atomic uint32_t *word, uint32_t seen,
		   uint64_t timeout_ns)
{
	(void)timeout_ns;
	point(GO);
	if (atomic_load(word) != seen)
		return;
	m.threads[m.running].woken = false;
	point(WORD);
}

void os_word_wake(const _Atomic uint32_t *word)
{
	(void)word;
	point_held();
	for (unsigned i = 0; i < m.count; i++)
		m.threads[i].woken = true;
}

static bool any_untaken(void)
{
	for (unsigned i = 0; i < m.waiters; i++) {
		if (m.arrived[i] && !m.taken[i])
			return true;
	}
	return false;
}

static bool readable(int fd)
{
	return fd == KICK ? m.kicked : m.armed && any_untaken();
}

/* The word, then poll(2), which sleeps on where it finds nothing. */
void os_sleep_on(struct pollfd *fds, unsigned count,
		 const _Atomic uint32_t *word, uint32_t seen,
		 uint64_t timeout_ns)
{
	struct thread *t = &m.threads[m.running];

	(void)timeout_ns;
	point(GO);
	if (word != NULL && atomic_load(word) != seen)
		return;
	t->fds = fds;
	t->fds_count = count;
	t->woken = false;
	point(POLL);
}

/* --- the lane --------------------------------------------------------------------- */

void xm_lane_turn(struct xm_lane *l)
{
	l->engine.seen_ns = os_now_ns();
	for (unsigned i = 0; i < m.waiters; i++) {
		if (m.arrived[i] && !m.taken[i]) {
			m.taken[i] = true;
			l->engine.turns++;
		}
	}
}

void xm_lane_collect(struct xm_lane *l)
{
	(void)l;
}

static int arm(struct xm_transport *transport)
{
	(void)transport;
	point(GO); /* something may arrive */
	if (any_untaken())
		return -EAGAIN;
	m.armed = true;
	return FD;
}

static const struct xm_transport_ops ops = { .arm = arm };

/* A fault: its page is not there before it has been taken from the transport. */
static void wait_for_page(unsigned i)
{
	struct thread *t = &m.threads[i];

	os_lock_take(&lane->lock);
	while (!m.taken[i])
		xm_lane_wait(lane, &t->wait);
	xm_lane_give(lane);
}

/* The background thread: a turn now and then, for nobody. */
static void turn_once(void)
{
	os_lock_take(&lane->lock);
	xm_lane_turn(lane);
	xm_lane_give(lane);
}

static void thread_run(void)
{
	if (m.running < m.waiters)
		wait_for_page(m.running);
	else
		turn_once();
	m.threads[m.running].done = true;
	swapcontext(&m.threads[m.running].context, &m.search);
}

/* --- the search ------------------------------------------------------------------- */

struct shape {
	unsigned waiters, others, early;
	bool every;
};

static void begin(const struct shape *shape)
{
	m.waiters = shape->waiters;
	m.count = shape->waiters + shape->others;
	m.early = shape->early;
	m.every = shape->every;
	m.kicked = m.armed = false;
	memset(m.arrived, 0, sizeof(m.arrived));
	memset(m.taken, 0, sizeof(m.taken));
	m.lanes.count = 1;
	atomic_store(&m.lanes.waiting.count, 0);
	lane->lanes = &m.lanes;
	atomic_store(&lane->lock.word, 0);
	memset(&lane->waiting, 0, sizeof(lane->waiting));
	XM_ASSERT(xm_waiting_open(lane, XM_POLLING_BLOCK) == 0);
	lane->engine.turns = 0;
	lane->engine.eager = false;
	lane->engine.peers_count = 1;
	lane->engine.peers[0].ops = &ops;
	for (unsigned i = 0; i < m.count; i++) {
		struct thread *t = &m.threads[i];

		memset(t, 0, sizeof(*t));
		t->wait.deadline_ns = XM_NEVER;
		getcontext(&t->context);
		t->context.uc_stack.ss_sp = t->stack;
		t->context.uc_stack.ss_size = sizeof(t->stack);
		t->sp = (uintptr_t)(t->stack + sizeof(t->stack));
		makecontext(&t->context, thread_run, 0);
	}
}

static bool can_go_on(const struct thread *t)
{
	if (t->done)
		return false;
	switch (t->wants) {
	case LOCK: return atomic_load(&lane->lock.word) == 0;
	case WORD: return t->woken;
	case POLL:
		for (unsigned i = 0; i < t->fds_count; i++) {
			if (readable(t->fds[i].fd))
				return true;
		}
		return false;
	default: return true;
	}
}

static bool sleeps(const struct thread *t)
{
	return !t->done && (t->wants == WORD || t->wants == POLL);
}

/* What may come next: thread i goes on; page i arrives; the sleep of i ends. */
enum kind { STEP, ARRIVAL, EARLY };
struct choice {
	enum kind kind;
	unsigned i;
};

static unsigned choices(struct choice ret[3 * THREADS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < m.count; i++) {
		if (can_go_on(&m.threads[i]))
			ret[n++] = (struct choice){ STEP, i };
	}
	/* In this order: threads are alike, and may be numbered by it. */
	for (unsigned i = 0; i < m.waiters; i++) {
		if (!m.arrived[i]) {
			ret[n++] = (struct choice){ ARRIVAL, i };
			break;
		}
	}
	for (unsigned i = 0; m.early > 0 && i < m.count; i++) {
		if (sleeps(&m.threads[i]) && !can_go_on(&m.threads[i]))
			ret[n++] = (struct choice){ EARLY, i };
	}
	return n;
}

static void step(struct choice c)
{
	struct thread *t = &m.threads[c.i];

	if (c.kind == ARRIVAL) {
		m.arrived[c.i] = true;
		return;
	}
	if (c.kind == EARLY)
		m.early--;
	m.running = c.i;
	swapcontext(&m.search, &t->context);
}

/* The laws; NULL: they hold. */
static const char *ask(void)
{
	unsigned looking = 0, watching = 0, waiting = 0, polling = 0;
	bool stuck = true, due = false;

	for (unsigned i = 0; i < m.count; i++) {
		const struct thread *t = &m.threads[i];

		looking += t->wait.state == XM_WAIT_LOOKING;
		watching += t->wait.state == XM_WAIT_WATCHING;
		stuck &= !can_go_on(t);
		waiting += !t->done;
		polling += !t->done && t->wants == POLL;
		due |= i < m.waiters && !t->done && m.arrived[i];
	}
	if (looking > 1)
		return "two threads look";
	if (watching > 1)
		return "two threads watch";
	if (!stuck || waiting == 0)
		return NULL;
	if (due)
		return "a page has come, and the thread that waits for it "
		       "sleeps";
	return polling == 1 ? NULL : "threads sleep, and none of them watches";
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Of all that decides what can still happen. */
static uint64_t state_hash(void)
{
	uint32_t shared[] = {
		atomic_load(&lane->lock.word),
		atomic_load(&lane->waiting.turns),
		atomic_load(&lane->waiting.calls),
		atomic_load(&lane->waiting.looking),
		(uint32_t)lane->waiting.watcher, lane->waiting.sleepers,
		lane->engine.turns, lane->engine.eager,
		atomic_load(&m.lanes.waiting.count), m.kicked, m.armed, m.early,
	};
	uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), shared,
			    sizeof(shared));

	hash = mix(hash, m.arrived, sizeof(m.arrived));
	hash = mix(hash, m.taken, sizeof(m.taken));
	for (unsigned i = 0; i < m.count; i++) {
		const struct thread *t = &m.threads[i];
		uintptr_t end = (uintptr_t)(t->stack + sizeof(t->stack));
		struct xm_wait wait = t->wait;
		uint8_t more[] = { (uint8_t)t->wants, t->woken, t->done };

		hash = mix(hash, more, sizeof(more));
		wait.naps = wait.looks = 0; /* decide nothing here */
		hash = mix(hash, &wait, sizeof(wait));
		if (!t->done) {
			hash = mix(hash, &t->context.uc_mcontext,
				   sizeof(t->context.uc_mcontext));
			hash = mix(hash, (const void *)t->sp, end - t->sp);
		}
	}
	return hash != 0 ? hash : 1;
}

static uint64_t *seen;

/* False: it was there. */
static bool seen_add(uint64_t hash)
{
	uint32_t at = (uint32_t)(hash % SEEN);

	while (seen[at] != 0 && seen[at] != hash)
		at = (at + 1) % SEEN;
	if (seen[at] == hash)
		return false;
	seen[at] = hash;
	return true;
}

struct found {
	uint64_t runs, states;
	const char *broken;
	unsigned depth;
};

/* All runs of this shape, or until a law is broken. */
static struct found explore(const struct shape *shape)
{
	static unsigned path[DEPTH], width[DEPTH];
	struct found found = { .states = 0 };
	unsigned known = 0; /* choices of the path that are fixed */

	memset(seen, 0, SEEN * sizeof(*seen));
	for (;;) {
		unsigned depth = 0;

		begin(shape);
		found.runs++;
		for (;; depth++) {
			struct choice list[3 * THREADS];

			found.broken = ask();
			if (found.broken != NULL) {
				found.depth = depth;
				return found;
			}
			XM_ASSERT(depth < DEPTH && found.states < SEEN / 2);
			if (depth >= known) {
				if (!seen_add(state_hash()))
					break;
				found.states++;
				path[depth] = 0;
				width[depth] = choices(list);
				if (width[depth] == 0)
					break;
			} else {
				choices(list);
			}
			step(list[path[depth]]);
		}
		/* The last choice that has another. */
		known = depth;
		while (known > 0 && path[known - 1] + 1 == width[known - 1])
			known--;
		if (known == 0)
			return found;
		path[known - 1]++;
	}
}

static void holds(unsigned waiters, unsigned others, unsigned early, bool every)
{
	struct shape shape = { waiters, others, early, every };
	struct found f = explore(&shape);

	printf("(%u + %u threads, %u early: %llu states, %llu runs) ", waiters,
	       others, early, (unsigned long long)f.states,
	       (unsigned long long)f.runs);
	if (f.broken != NULL)
		fprintf(stderr, "after %u steps: %s\n", f.depth, f.broken);
	CU_ASSERT(f.broken == NULL);
	CU_ASSERT(f.states > 20);
}

/* --- tests ------------------------------------------------------------------------ */

static void one_thread_that_waits_gets_its_page(void)
{
	holds(1, 0, 1, true);
	holds(1, 1, 1, true);
}

static void of_two_threads_that_wait_neither_oversleeps(void)
{
	holds(2, 0, 0, true);
	holds(2, 0, 1, true);
}

static void nor_where_a_third_takes_what_has_come(void)
{
	holds(2, 1, 0, true);
	holds(2, 1, 1, false);
}

static void nor_do_three_that_wait(void)
{
	holds(3, 0, 0, false);
}

static void a_sleeper_that_nobody_wakes_is_found(void)
{
	struct shape shape = { 2, 1, 0, true };

	xm_plant = XM_PLANT_sleepers_untold;
	CU_ASSERT(explore(&shape).broken != NULL);
	xm_plant = XM_PLANT_NONE;
}

static void a_watcher_that_nobody_wakes_is_found(void)
{
	struct shape shape = { 2, 0, 0, true };

	xm_plant = XM_PLANT_wakeup_unsent;
	CU_ASSERT(explore(&shape).broken != NULL);
	xm_plant = XM_PLANT_NONE;
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(one_thread_that_waits_gets_its_page),
		XM_TEST(of_two_threads_that_wait_neither_oversleeps),
		XM_TEST(nor_where_a_third_takes_what_has_come),
		XM_TEST(nor_do_three_that_wait),
		XM_TEST(a_sleeper_that_nobody_wakes_is_found),
		XM_TEST(a_watcher_that_nobody_wakes_is_found),
		CU_TEST_INFO_NULL,
	};

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	printf("skipped: coroutines that are left in the middle look like bugs "
	       "to a sanitizer\n");
	return 77;
#endif
	seen = calloc(SEEN, sizeof(*seen));
	if (seen == NULL)
		return 77;
	return xm_tests_run("wait", tests);
}
