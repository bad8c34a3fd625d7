/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system calls that wait, and are given external memory of a shape that the
 * table (call.c) cannot tell. Nothing is kept pinned while a thread sleeps: a
 * hundred threads that wait would have a hundred pages of local memory for as long.
 */
#include "preload/call.h"

#include <fcntl.h>
#include <linux/futex.h>

/* --- words ----------------------------------------------------------------------- */

/* The kernel reads the word before it sleeps, or says EFAULT and has done
 * nothing: so it is touched, and asked again. A wake-up goes by the address,
 * whether the page is here or not. */
#define FUTEX_TRIES 10000 /* it may leave again in between */

static void touch(long address, bool write)
{
	if (!block_contains((const void *)address, 1))
		return;
	if (write)
		atomic_fetch_add((_Atomic uint32_t *)address, 0);
	else
		(void)*(volatile const uint32_t *)address;
}

/* A local copy of the time until which a thread sleeps. */
static const struct timespec *local_time(const struct timespec *time,
					 struct timespec *local)
{
	if (!block_contains(time, sizeof(*time)))
		return time;
	*local = *time;
	return local;
}

#define FUTEX2_PRIVATE_FLAG 128 /* of the newer calls, and the same */

/* Where the kernel wants a page that can be written: for some operations, and for a
 * word that processes may share, which it knows by its page. */
static bool futex_writes(long asked)
{
	int operation = asked & FUTEX_CMD_MASK;

	return (asked & FUTEX_PRIVATE_FLAG) == 0 ||
	       operation == FUTEX_WAKE_OP || operation == FUTEX_LOCK_PI ||
	       operation == CALL_FUTEX_LOCK_PI2 || operation == FUTEX_TRYLOCK_PI ||
	       operation == FUTEX_UNLOCK_PI ||
	       operation == FUTEX_WAIT_REQUEUE_PI ||
	       operation == FUTEX_CMP_REQUEUE_PI;
}

CALL_SERVE(futex)
{
	const unsigned set = call_futex_set((unsigned)a[1]);
	const bool writes = futex_writes(a[1]);
	struct timespec local;
	long time = a[3], r;

	if ((set & 1u << 3) != 0)
		time = (long)local_time((const struct timespec *)time, &local);
	for (int i = 0;; i++) {
		r = shim_raw(SYS_futex, a[0], a[1], a[2], time, a[4], a[5]);
		if (r != -EFAULT || i == FUTEX_TRIES)
			return r;
		touch(a[0], writes);
		if ((set & 1u << 4) != 0)
			touch(a[4], writes);
	}
}

/* The newer calls: the word first, the time a thread sleeps for fifth. */
static long newer_futex(long number, const long a[6])
{
	struct timespec local;
	long time = a[4], r;

	if (number == SYS_futex_wait)
		time = (long)local_time((const struct timespec *)time, &local);
	for (int i = 0;; i++) {
		r = shim_raw(number, a[0], a[1], a[2], a[3], time, a[5]);
		if (r != -EFAULT || i == FUTEX_TRIES ||
		    !block_contains((const void *)a[0], 1))
			return r;
		touch(a[0], (a[3] & FUTEX2_PRIVATE_FLAG) == 0);
	}
}

CALL_SERVE(futex_wait)
{
	return newer_futex(SYS_futex_wait, a);
}

CALL_SERVE(futex_wake)
{
	return newer_futex(SYS_futex_wake, a);
}

/* As the kernel has it (struct futex_waitv). */
struct waiter {
	uint64_t value, address;
	uint32_t flags, reserved;
};
#define WAITERS_MAX 128

/* A list of words: both may be external, and the list alone is seen. */
static long listed_futexes(long number, const long a[6], long count,
			   const struct timespec *time)
{
	struct waiter list[WAITERS_MAX];
	long r;

	if (count <= 0 || count > WAITERS_MAX || !a[0])
		return shim_raw(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	memcpy(list, (const void *)a[0], (size_t)count * sizeof(list[0]));
	for (int i = 0;; i++) {
		r = shim_raw(number, (long)list, a[1], a[2],
			     time ? (long)time : a[3], a[4], a[5]);
		if (r != -EFAULT || i == FUTEX_TRIES)
			return r;
		for (long j = 0; j < count; j++)
			touch((long)list[j].address,
			      (list[j].flags & FUTEX2_PRIVATE_FLAG) == 0);
	}
}

CALL_SERVE(futex_waitv)
{
	struct timespec local;

	return listed_futexes(SYS_futex_waitv, a, a[1],
			      local_time((const struct timespec *)a[3],
					 &local));
}

CALL_SERVE(futex_requeue)
{
	return listed_futexes(SYS_futex_requeue, a, 2, NULL);
}

/* --- locks of files, messages ------------------------------------------------------ */

static bool is_lock(long command)
{
	return command == F_GETLK || command == F_SETLK || command == F_SETLKW ||
	       command == F_OFD_GETLK || command == F_OFD_SETLK ||
	       command == F_OFD_SETLKW;
}

CALL_SERVE(fcntl)
{
	struct flock *to = (struct flock *)a[2], local;
	long r;

	if (!is_lock(a[1]))
		return call_by_pins(SYS_fcntl, a);
	local = *to;
	r = shim_raw(SYS_fcntl, a[0], a[1], (long)&local, 0, 0, 0);
	if (r >= 0 && (a[1] == F_GETLK || a[1] == F_OFD_GETLK))
		*to = local;
	return r;
}

#define MESSAGE_MAX (1L << 24) /* the kernel's own limit is 8 KiB by default */

/* A message has its type in front of its bytes, which alone are counted. */
CALL_SERVE(msgsnd)
{
	size_t size = sizeof(long) + (size_t)a[2];
	void *local;
	long r;

	if (a[2] < 0 || a[2] > MESSAGE_MAX)
		return -EINVAL;
	local = local_take(size);
	if (!local)
		return -ENOMEM;
	memcpy(local, (const void *)a[1], size);
	r = shim_raw(SYS_msgsnd, a[0], (long)local, a[2], a[3], 0, 0);
	local_give(local, size);
	return r;
}

CALL_SERVE(msgrcv)
{
	size_t size = sizeof(long) +
		      (size_t)(a[2] > MESSAGE_MAX ? MESSAGE_MAX : a[2]);
	void *local;
	long r;

	if (a[2] < 0)
		return -EINVAL;
	local = local_take(size);
	if (!local)
		return -ENOMEM;
	r = shim_raw(SYS_msgrcv, a[0], (long)local,
		     (long)(size - sizeof(long)), a[3], a[4], 0);
	if (r >= 0)
		memcpy((void *)a[1], local, sizeof(long) + (size_t)r);
	local_give(local, size);
	return r;
}
