/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Doors to libc and the kernel for the client's skin: time, memory, random
 * bytes, threads and what they wait by, and the mask of signals.
 *
 * Everything by which the skin waits or learns the time is here, so that the
 * simulator can put its own behind these names (sim/os.c) and run the skin,
 * unchanged, on virtual time: there a thread is a coroutine, and each wait a
 * switch to the next one.
 */
#ifndef XM_OS_H
#define XM_OS_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/base.h"
#include "core/pure/trace.h"

uint64_t os_now_ns(void);
/* Fills with bytes nobody can guess; there is no failing. */
void os_random(void *ret, size_t size);

/* False, and a sentence in `words`, where the system's pages are not those that
 * this build is made for (XM_PAGE): kernels for arm64 have 4, 16 or 64 KiB. */
bool os_page_fits(char *words, size_t words_size);

/* Prints this text to stderr and ends the process by SIGABRT, without calling a handler
 * for it. In a signal handler, or with a lock held. */
_Noreturn void os_end_in_words(const char *text);

/* Zeroed memory that costs only what is touched; NULL when there is none. */
void *os_memory_take(size_t size);
void os_memory_give(void *memory, size_t size);

/*
 * A lock of one word (Drepper, "Futexes Are Tricky", 2011, mutex 3), with a
 * short spin before it sleeps. Unlike pthread's it may be taken in a handler
 * of a synchronous signal, provided that no thread faults while it holds it
 * and that handlers of other signals are blocked meanwhile.
 */
struct os_lock {
	_Atomic uint32_t word; /* 0 free, 1 taken, 2 taken and slept for */
	_Atomic uint32_t wanting; /* threads that found it taken */
	_Atomic int owner; /* the thread that has it, by os_thread_id(); or 0 */
};

void os_lock_take(struct os_lock *);
void os_lock_give(struct os_lock *);

/* From now on this thread calls `look` every second that it waits for a lock. */
void os_lock_meanwhile(void (*look)(void *context), void *context);
/* Which thread has it; 0: none. For a thread that asks about itself, or about
 * one that stands still, the answer holds until that thread goes on. */
int os_lock_owner(const struct os_lock *);
/* True while somebody waits for this lock, which the caller holds. */
bool os_lock_wanted(const struct os_lock *);
/* After giving it: a moment in which one who waits can have it. */
void os_lock_yield(const struct os_lock *);

/* A word that moves, and who sleeps until it does: wake() after it has moved.
 * Asleep for no longer than timeout_ns, and not at all when it is not `seen`
 * any more. In a handler, too. */
void os_word_sleep(const _Atomic uint32_t *word, uint32_t seen,
		   uint64_t timeout_ns);
void os_word_wake(const _Atomic uint32_t *word);

/* All signals that can be, blocked for this thread, but SIGBUS: see os_thread.
 * By the system call, so that no interposed sigprocmask() hears of it. Restoring what was not blocked
 * does nothing. */
struct os_signals {
	uint64_t mask;
	bool blocked;
};
void os_signals_block(struct os_signals *ret_old);
void os_signals_restore(const struct os_signals *old);

/* Threads of the library's own. They start with every signal blocked but SIGBUS,
 * by which a touch of external memory is told: they never touch any, and the
 * handler says so in words (faults.c). The struct stays until join(). */
struct os_thread {
	pthread_t thread;
	void *(*run)(void *);
	void *argument;
	_Atomic int id; /* os_thread_id() of it; 0: it has not begun */
	void *other; /* the simulator's */
};

int os_thread_start(struct os_thread *, void *(*run)(void *), void *argument);
void os_thread_join(struct os_thread *);
/* The number of this thread, as the kernel has it. */
int os_thread_id(void);
/* Whether os_thread_start() made this thread. */
bool os_thread_is_ours(void);

/* A pointer of this thread's own, NULL at first. A thread that ends with one that
 * is not NULL has `end` called with it, which is always the same function. */
void *os_thread_own(void);
int os_thread_own_set(void *own, void (*end)(void *own));
/* Between what each other thread of this process does before and after, as this
 * thread sees it. False: it does nothing here. */
bool os_barrier_works(void);
void os_barrier(void);

/* What may be held for long, and never in a handler. */
struct os_mutex {
	pthread_mutex_t mutex;
};
struct os_cond {
	pthread_cond_t cond;
};

void os_mutex_open(struct os_mutex *);
void os_mutex_close(struct os_mutex *);
void os_mutex_take(struct os_mutex *);
void os_mutex_give(struct os_mutex *);
void os_cond_open(struct os_cond *);
void os_cond_close(struct os_cond *);
void os_cond_wait(struct os_cond *, struct os_mutex *);
void os_cond_wake_all(struct os_cond *);

/* A descriptor by which a thread that sleeps on descriptors is woken: readable
 * from kick() to drain(). */
int os_kick_open(void); /* or -errno */
void os_kick_close(int kick);
void os_kick(int kick);
void os_kick_drain(int kick);

/* Where the machines of this process record their decisions; NULL: nowhere. */
struct xm_trace *os_trace(void);

/* Small memory, zeroed; NULL when there is none. */
void *os_alloc(size_t size);
void os_free(void *memory);

/* Sleeps until one of the descriptors is readable or timeout_ns has passed; not
 * at all when *word (or NULL) is not `seen` any more: who moves it after that
 * makes one of them readable. In a handler, too. */
void os_sleep_on(struct pollfd *fds, unsigned count,
		 const _Atomic uint32_t *word, uint32_t seen,
		 uint64_t timeout_ns);

/* For things that take a while, and nobody tells when they are done. */
void os_sleep(uint64_t ns);

/* Between two looks at something another thread or machine is about to do; its
 * caller decides for how long (spin.h). `turn` counts from 0; after some, and at
 * once where it is `crowded`, others may have the processor first. The simulator
 * lets time pass, up to most_ns. */
void os_look_again(unsigned turn, bool crowded, uint64_t most_ns);

#endif
