/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * core/skin/os.h on virtual time. A thread is a fiber of the process that started
 * it; a wait is a switch to another fiber. This file takes the place of
 * core/skin/os.c; everything above it is linked unchanged.
 */
#include "core/skin/os.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim/cost.h"
#include "sim/fabric.h"
#include "sim/fibers.h"
#include "sim/memory.h"
#include "sim/notes.h"
#include "sim/os.h"
#include "sim/weather.h"
#include "sim/world.h"

_Noreturn void xm_assert_failed(const char *condition, const char *file,
				int line)
{
	const char *slash = strrchr(file, '/');

	world_broken("a promise of our own", "%s:%d: %s",
		     slash != NULL ? slash + 1 : file, line, condition);
}

_Noreturn void os_end_in_words(const char *text)
{
	world_broken("a promise of our own", "%s", text);
}

uint64_t os_now_ns(void)
{
	return world_process_ns(world_current());
}

void os_random(void *ret, size_t size)
{
	xm_rand_fill(world_rand(WORLD_SECRETS), ret, size);
}

void *os_memory_take(size_t size)
{
	return weather_no_memory() ? NULL : world_alloc(size);
}

void os_memory_give(void *memory, size_t size)
{
	(void)size;
	world_free(memory);
}

struct xm_trace *os_trace(void)
{
	return world_trace(world_current());
}

void *os_alloc(size_t size)
{
	return weather_no_memory() ? NULL : world_alloc(size);
}

void os_free(void *memory)
{
	world_free(memory);
}

/* A real scheduler may preempt a thread anywhere. Here one in PREEMPT releases of a
 * lock lets other fibers run. */
#define PREEMPT 4

void os_lock_take(struct os_lock *lock)
{
	while (atomic_load_explicit(&lock->word, memory_order_relaxed) != 0)
		world_wait(lock, XM_NEVER);
	atomic_store_explicit(&lock->word, 1, memory_order_relaxed);
	atomic_store_explicit(&lock->owner, os_thread_id(),
			      memory_order_relaxed);
}

void os_lock_give(struct os_lock *lock)
{
	atomic_store_explicit(&lock->owner, 0, memory_order_relaxed);
	atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
	world_wake(lock);
	if (!cost.on && world_chance(WORLD_SCHEDULE, PREEMPT))
		world_yield();
}

int os_lock_owner(const struct os_lock *lock)
{
	return atomic_load_explicit(&lock->owner, memory_order_relaxed);
}

/* Simulated threads look at nothing while they wait for a lock. */
void os_lock_meanwhile(void (*look)(void *context), void *context)
{
	(void)look;
	(void)context;
}

/* Whoever wants it cannot run, and so cannot say so, before it is released. */
bool os_lock_wanted(const struct os_lock *lock)
{
	(void)lock;
	return true;
}

void os_lock_yield(const struct os_lock *lock)
{
	(void)lock;
}

void os_signals_block(struct os_signals *ret_old)
{
	ret_old->mask = 0;
	ret_old->blocked = true;
}

void os_signals_restore(const struct os_signals *old)
{
	(void)old;
}

void os_sleep(uint64_t ns)
{
	static const char asleep;

	world_wait(&asleep, ns);
}

void os_look_again(unsigned turn, bool crowded, uint64_t most_ns)
{
	(void)crowded;
	/* Anything that arrives for this process ends the wait. The timeout is
	 * for deadlines only. */
	most_ns = xm_min(most_ns, 20 * XM_MS);
	world_wait(world_current(),
		   xm_min((8 * XM_US) << xm_min(2 * turn, 20), most_ns));
}

/* --- threads ------------------------------------------------------------------------ */

struct thread {
	void *(*run)(void *);
	void *argument;
	bool ended;
};

static void thread_main(void *argument)
{
	struct thread *thread = argument;

	thread->run(thread->argument);
	thread->ended = true;
	world_wake(thread);
}

int os_thread_start(struct os_thread *t, void *(*run)(void *), void *argument)
{
	struct thread *thread;

	if (weather_no_memory())
		return -EAGAIN;
	thread = world_alloc(sizeof(*thread));
	thread->run = run;
	thread->argument = argument;
	t->other = thread;
	world_fiber(world_current(), thread_main, thread);
	return 0;
}

void os_thread_join(struct os_thread *t)
{
	struct thread *thread = t->other;

	while (!thread->ended)
		world_wait(thread, XM_NEVER);
	world_free(thread);
}

int os_thread_id(void)
{
	return world_number();
}

bool os_thread_is_ours(void)
{
	return world_runs(thread_main);
}

void *os_thread_own(void)
{
	return world_own()->value;
}

int os_thread_own_set(void *own, void (*end)(void *))
{
	*world_own() = (struct world_own){ own, end };
	return 0;
}

/* Fibers take turns. */
bool os_barrier_works(void)
{
	return true;
}

void os_barrier(void)
{
}

/* Of a mutex only the first word is used. */
static uint32_t *word_of(struct os_mutex *m)
{
	return (uint32_t *)(void *)m;
}

void os_mutex_open(struct os_mutex *m)
{
	*word_of(m) = 0;
}

void os_mutex_close(struct os_mutex *m)
{
	XM_ASSERT(*word_of(m) == 0);
}

void os_mutex_take(struct os_mutex *m)
{
	while (*word_of(m) != 0)
		world_wait(m, XM_NEVER);
	*word_of(m) = 1;
}

void os_mutex_give(struct os_mutex *m)
{
	XM_ASSERT(*word_of(m) == 1);
	*word_of(m) = 0;
	world_wake(m);
	if (!cost.on && world_chance(WORLD_SCHEDULE, PREEMPT))
		world_yield();
}

void os_cond_open(struct os_cond *c)
{
	(void)c;
}

void os_cond_close(struct os_cond *c)
{
	(void)c;
}

void os_cond_wait(struct os_cond *c, struct os_mutex *m)
{
	*word_of(m) = 0;
	world_wake(m);
	world_wait(c, XM_NEVER);
	os_mutex_take(m);
}

void os_cond_wake_all(struct os_cond *c)
{
	world_wake(c);
}

/* --- words and descriptors ------------------------------------------------------------ */

/* Descriptors below this are kicks, the others the fabric's. */
#define KICKS SIM_KICKS

static struct kick {
	struct process *process; /* NULL: free */
	uint32_t incarnation;
	bool rung;
} kicks[KICKS];

/* The threads that sleep on a word. A law: none sleeps on until its timeout while
 * the word has changed, without being woken. */
static struct sleeper {
	bool asleep;
	struct process *process;
	uint32_t incarnation;
	uint64_t number;
	const _Atomic uint32_t *word;
	uint32_t seen;
	const struct pollfd *fds;
	unsigned count;
} sleepers[WORLD_FIBERS];
static uint32_t sleepers_used; /* of the table; none is asleep behind them */
static uint64_t sleeps;

void sim_os_open(void)
{
	memset(kicks, 0, sizeof(kicks));
	memset(sleepers, 0, sizeof(sleepers));
	sleepers_used = 0;
	sleeps = 0;
}

static bool lives(const struct process *p, uint32_t incarnation)
{
	return p != NULL && p->alive && p->incarnation == incarnation;
}

static void wakes_up(void *argument, uint64_t number)
{
	struct sleeper *s = argument;

	if (!s->asleep || s->number != number ||
	    !lives(s->process, s->incarnation))
		return;
	if (atomic_load(s->word) != s->seen)
		world_broken("liveness", "%s: something has happened, and one "
			     "who waited for it was left asleep",
			     s->process->name);
}

static struct sleeper *sleeper_take(const _Atomic uint32_t *word,
				    uint32_t seen, const struct pollfd *fds,
				    unsigned count, uint64_t timeout_ns)
{
	struct sleeper *s = sleepers;

	while (s->asleep && lives(s->process, s->incarnation))
		s++;
	XM_ASSERT(s < sleepers + WORLD_FIBERS);
	sleepers_used = (uint32_t)xm_max(sleepers_used, s - sleepers + 1);
	*s = (struct sleeper){
		.asleep = true, .process = world_current(),
		.incarnation = world_current()->incarnation,
		.number = ++sleeps, .word = word, .seen = seen, .fds = fds,
		.count = count,
	};
	/* Just before the time is over. */
	world_at(world_now() + timeout_ns, wakes_up, s, s->number);
	return s;
}

void os_word_sleep(const _Atomic uint32_t *word, uint32_t seen,
		   uint64_t timeout_ns)
{
	struct sleeper *s;

	if (atomic_load(word) != seen)
		return;
	s = sleeper_take(word, seen, NULL, 0, timeout_ns);
	world_wait(word, timeout_ns);
	s->asleep = false;
}

void os_word_wake(const _Atomic uint32_t *word)
{
	for (uint32_t i = 0; i < sleepers_used; i++) {
		if (sleepers[i].asleep && sleepers[i].word == word &&
		    sleepers[i].fds == NULL)
			sleepers[i].asleep = false;
	}
	world_wake(word);
}

static bool readable(int fd)
{
	return fd >= 0 && (fd < KICKS ? kicks[fd].rung : fabric_readable(fd));
}

void os_sleep_on(struct pollfd *fds, unsigned count,
		 const _Atomic uint32_t *word, uint32_t seen,
		 uint64_t timeout_ns)
{
	struct sleeper *s = NULL;

	for (unsigned i = 0; i < count; i++) {
		if (readable(fds[i].fd))
			return;
	}
	if (word != NULL && atomic_load(word) != seen)
		return;
	if (word != NULL)
		s = sleeper_take(word, seen, fds, count, timeout_ns);
	world_wait(world_current(), timeout_ns);
	if (s != NULL)
		s->asleep = false;
}

const void *sim_door(const struct process *p)
{
	static const char doors[WORLD_PROCESSES];

	return cost.on ? (const void *)&doors[p->index] : p;
}

int os_kick_open(void)
{
	int kick = 0;

	while (lives(kicks[kick].process, kicks[kick].incarnation))
		kick++;
	XM_ASSERT(kick < KICKS);
	kicks[kick] = (struct kick){
		.process = world_current(),
		.incarnation = world_current()->incarnation,
	};
	return kick;
}

void os_kick_close(int kick)
{
	if (kick >= 0)
		kicks[kick].process = NULL;
}

void os_kick(int kick)
{
	kicks[kick].rung = true;
	for (uint32_t i = 0; i < sleepers_used; i++) {
		struct sleeper *s = &sleepers[i];

		for (unsigned j = 0; s->asleep && j < s->count; j++) {
			if (s->fds[j].fd == kick &&
			    lives(s->process, s->incarnation))
				s->asleep = false;
		}
	}
	world_wake(kicks[kick].process);
	world_wake(sim_door(kicks[kick].process));
}

void os_kick_drain(int kick)
{
	kicks[kick].rung = false;
}

bool sim_kicked(int kick)
{
	return kick >= 0 && kicks[kick].rung;
}
