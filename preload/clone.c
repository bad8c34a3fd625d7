/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Forks that libc makes no fork() of, and for which it calls no handlers:
 * _Fork(), clone(3) without CLONE_VM, and the system calls fork and clone by
 * their numbers.
 */
#include "preload/fork.h"

#include <sched.h>
#include <stdarg.h>
#include <sys/syscall.h>

static pid_t refuse(void)
{
	errno = EAGAIN;
	return -1;
}

/* libc calls no handlers here, so that it may be called by a signal's. */
SHIM_EXPORT pid_t _Fork(void)
{
	pid_t pid;

	if (fork_refused())
		return refuse();
	fork_prepare();
	pid = shim_real()->_Fork();
	if (pid == 0)
		fork_in_child();
	else
		fork_in_parent();
	return pid;
}

/* syscall(2), by its number: a child with memory of its own that goes on where
 * its parent is. One on another stack would return to nowhere. */
bool fork_call(long number, const long a[6], long *ret)
{
	bool forks = number == SYS_clone && (a[0] & CLONE_VM) == 0 && a[1] == 0;
	long r;

#ifdef SYS_fork
	forks |= number == SYS_fork;
#endif
	if (!forks || shim_inside ||
	    (!atomic_load(&shim_ready) && !atomic_load(&child_serves)))
		return false;
	if (fork_refused()) {
		*ret = refuse();
		return true;
	}
	fork_prepare();
	r = shim_real()->syscall(number, a[0], a[1], a[2], a[3], a[4]);
	if (r == 0)
		fork_in_child();
	else
		fork_in_parent();
	*ret = r;
	return true;
}

struct cloned {
	int (*routine)(void *);
	void *argument;
};

static int begin_cloned(void *p)
{
	struct cloned c = *(struct cloned *)p;

	fork_in_child();
	return c.routine(c.argument);
}

/* A stack in external memory, of which the kernel would be the first to touch
 * a page, is a local one in truth. */
static char *local_stack(const char *stack, size_t *ret_size)
{
	struct block b;
	size_t size = (size_t)64 << 10;

	if (block_find(stack - 1, &b) && (uintptr_t)stack - b.start > size)
		size = (uintptr_t)stack - b.start;
	*ret_size = (size + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	return local_take(*ret_size);
}

SHIM_EXPORT int clone(int (*routine)(void *), void *stack, int flags,
		      void *argument, ...)
{
	bool forks = (flags & CLONE_VM) == 0 && !shim_inside &&
		     (atomic_load(&shim_ready) || atomic_load(&child_serves));
	struct cloned cloned = { routine, argument };
	char *local = NULL;
	size_t size = 0;
	void *more[3];
	va_list list;
	int pid, error;

	va_start(list, argument);
	for (int i = 0; i < 3; i++)
		more[i] = va_arg(list, void *);
	va_end(list);
	if (forks && fork_refused())
		return refuse();
	if (stack && block_contains((char *)stack - 1, 1)) {
		local = local_stack(stack, &size);
		if (!local)
			return -1;
		stack = local + size;
	}
	if (forks)
		fork_prepare();
	pid = shim_real()->clone(forks ? begin_cloned : routine, stack, flags,
				 forks ? (void *)&cloned : argument, more[0],
				 more[1], more[2]);
	error = errno;
	if (forks)
		fork_in_parent();
	/* A thread's stays: nobody here knows when it has ended. */
	if (local && (forks || pid < 0 || (flags & CLONE_VFORK) != 0))
		local_give(local, size);
	errno = error;
	return pid;
}
