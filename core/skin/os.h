/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Doors to libc and the kernel for the files of core/client: time, memory, random
 * bytes, threads, locks and sleeps, and the mask of signals.
 *
 * A file of core/client waits, and learns the time, only by these functions. So the
 * simulator can run it unchanged under virtual time: sim/os.c defines the same
 * functions, a thread is a coroutine there, and each wait switches to the next one.
 *
 * Any thread may call any function. Those that may also be called in a signal handler
 * say so.
 *
 * Floor: skin.
 */
#ifndef XM_OS_H
#define XM_OS_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/base.h"
#include "core/pure/trace.h"

uint64_t os_now_ns(void);
/* Fills the memory with unpredictable bytes. Never fails. */
void os_random(void *ret, size_t size);

/* True if the kernel's pages have the size that this build is made for (XM_PAGE; kernels
 * for arm64 have 4, 16 or 64 KiB). If not, `words` gets a sentence. */
bool os_page_fits(char *words, size_t words_size);

/* Prints this text to stderr and ends the process by SIGABRT, without calling a handler
 * for it. May be called in a signal handler, and with a lock held. */
_Noreturn void os_end_in_words(const char *text);

/* Zeroed memory; untouched pages cost nothing. NULL: there is none. */
void *os_memory_take(size_t size);
void os_memory_give(void *memory, size_t size);

/*
 * A lock of one word (Drepper, "Futexes Are Tricky", 2011, mutex 3); a thread spins
 * shortly before it sleeps. Unlike a pthread mutex, it may be taken in the handler of
 * a synchronous signal, on two conditions: no thread faults while it holds the lock,
 * and handlers of other signals are blocked meanwhile.
 */
struct os_lock {
	_Atomic uint32_t word; /* 0 free; 1 taken; 2 taken, and threads sleep */
	_Atomic uint32_t wanting; /* threads that wait for it */
	_Atomic int owner; /* os_thread_id() of the thread that holds it; or 0 */
};

void os_lock_take(struct os_lock *);
void os_lock_give(struct os_lock *);

/* From now on, while this thread waits for a lock, it calls `look` every second. */
void os_lock_meanwhile(void (*look)(void *context), void *context);
/* The thread that holds the lock; 0: none. The answer stays true only if it is about the
 * caller, or about a thread that is stopped. */
int os_lock_owner(const struct os_lock *);
/* Whether a thread waits for this lock, which the caller holds. */
bool os_lock_wanted(const struct os_lock *);
/* Called after os_lock_give(): lets a waiting thread take the lock first. */
void os_lock_yield(const struct os_lock *);

/* Sleeps until os_word_wake() is called for this word, at most timeout_ns. Does not sleep
 * if the word is not `seen` any more. The waker changes the word first and calls
 * os_word_wake() afterwards. Both may be called in a signal handler. */
void os_word_sleep(const _Atomic uint32_t *word, uint32_t seen,
		   uint64_t timeout_ns);
void os_word_wake(const _Atomic uint32_t *word);

/* Blocks all signals of this thread that can be blocked, except SIGBUS (see os_thread),
 * and stores the former mask. Uses the system call, so that an interposed sigprocmask()
 * does not notice. Restoring a struct that holds no mask does nothing. */
struct os_signals {
	uint64_t mask;
	bool blocked;
};
void os_signals_block(struct os_signals *ret_old);
void os_signals_restore(const struct os_signals *old);

/* A thread of the library. It starts with every signal blocked except SIGBUS. It must
 * never touch external memory; if it does, the SIGBUS handler ends the program with a
 * sentence (sigbus.c). The struct must stay until os_thread_join(). */
struct os_thread {
	pthread_t thread;
	void *(*run)(void *);
	void *argument;
	_Atomic int id; /* its os_thread_id(); 0: it has not begun */
	void *other;	/* for the simulator */
};

int os_thread_start(struct os_thread *, void *(*run)(void *), void *argument);
void os_thread_join(struct os_thread *);
/* The kernel's number of this thread. */
int os_thread_id(void);
/* Whether this thread was started by os_thread_start(). */
bool os_thread_is_ours(void);

/* A pointer that each thread has for itself, NULL at first. When a thread ends and the
 * pointer is not NULL, end(pointer) is called. All calls must pass the same `end`. 0, or
 * -errno. */
void *os_thread_own(void);
int os_thread_own_set(void *own, void (*end)(void *own));
/* A memory barrier in all threads of the process (membarrier(2), PRIVATE_EXPEDITED).
 * os_barrier_works() is false if the kernel does not have it: os_barrier() does nothing
 * then, and callers need fences of their own. */
bool os_barrier_works(void);
void os_barrier(void);

/* A pthread mutex and condition: for locks that are held for long. Never in a signal
 * handler. */
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

/* A wakeup descriptor, which ends the sleep of a thread that polls descriptors:
 * readable from os_kick() until os_kick_drain(). */
int os_kick_open(void); /* the descriptor, or -errno */
void os_kick_close(int kick);
void os_kick(int kick);
void os_kick_drain(int kick);

/* Where the machines of this process record their decisions; NULL: they do not. */
struct xm_trace *os_trace(void);

/* Small zeroed memory from the heap. NULL: there is none. */
void *os_alloc(size_t size);
void os_free(void *memory);

/* Sleeps until one of the descriptors is readable, at most timeout_ns. Does not sleep if
 * `word` is not NULL and *word is not `seen` any more. A thread that changes the word
 * later must make one of the descriptors readable. May be called in a signal handler. */
void os_sleep_on(struct pollfd *fds, unsigned count,
		 const _Atomic uint32_t *word, uint32_t seen,
		 uint64_t timeout_ns);

/* Sleeps for this time: for a condition that no event reports. */
void os_sleep(uint64_t ns);

/* A pause between two looks at something that another thread or machine will change soon;
 * the caller decides how often (spin.h). `turn` counts the looks from 0: the first pauses
 * are a few instructions, later ones yield the processor. If it is `crowded`, the first
 * one yields too. In the simulator time passes, at most most_ns. */
void os_look_again(unsigned turn, bool crowded, uint64_t most_ns);

#endif
