/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Doors to libc and the kernel for the client's skin: time, memory, random
 * bytes, a lock that a signal handler may take, and the mask of signals.
 */
#ifndef XM_OS_H
#define XM_OS_H

#include <stdatomic.h>

#include "base.h"

uint64_t os_now_ns(void);
/* Fills with bytes nobody can guess; there is no failing. */
void os_random(void *ret, size_t size);

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
	_Atomic uint32_t word; /* 0 free, 1 taken, 2 taken and waited for */
};

void os_lock_take(struct os_lock *);
void os_lock_give(struct os_lock *);

/* All signals that can be, blocked for this thread. By the system call, so
 * that no interposed sigprocmask() hears of it. */
struct os_signals {
	uint64_t mask;
};
void os_signals_block(struct os_signals *ret_old);
void os_signals_restore(const struct os_signals *old);

/* Between two looks at something another thread or machine is about to do:
 * spins at first, then yields, then naps; `turn` counts from 0. */
void os_relax(unsigned turn);

#endif
