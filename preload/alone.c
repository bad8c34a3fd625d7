/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes that others must not come between.
 *
 * The kernel writes to a file in one piece, for all who have it open to append, or share
 * the descriptor. What we write in several (present.c) is so among the threads of this
 * process. A thread may leave by longjmp() with a lock: after a while the others do without.
 */
#include "preload/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>

#define ALONE_LOCKS 16
#define ALONE_SECONDS 5

static pthread_mutex_t alone_locks[ALONE_LOCKS];
static _Atomic int alone_count; /* that have, or wait for, a lock */
static _Atomic bool alone_lost;

void alone_start(void)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
	for (int i = 0; i < ALONE_LOCKS; i++)
		pthread_mutex_init(&alone_locks[i], &attributes);
	atomic_store(&alone_count, 0);
}

bool alone_needed(void)
{
	return atomic_load_explicit(&alone_count, memory_order_relaxed) > 0;
}

bool alone_begin(int fd, struct alone *ret)
{
	struct timespec until;
	long flags;
	int error = errno, r;

	if (atomic_load(&alone_lost) || !present_is_regular(fd))
		return false;
	flags = shim_raw(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
	ret->lock = flags >= 0 && (flags & O_APPEND) != 0
			    ? 0
			    : 1 + fd % (ALONE_LOCKS - 1);
	atomic_fetch_add(&alone_count, 1);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ALONE_SECONDS;
	r = pthread_mutex_timedlock(&alone_locks[ret->lock], &until);
	if (r == ETIMEDOUT)
		atomic_store(&alone_lost, true);
	if (r != 0) /* or it is ours: a handler has come in between */
		atomic_fetch_sub(&alone_count, 1);
	errno = error;
	return r == 0;
}

void alone_end(void *p)
{
	const struct alone *alone = p;

	pthread_mutex_unlock(&alone_locks[alone->lock]);
	atomic_fetch_sub(&alone_count, 1);
}
