/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library's file descriptors, moved out of the program's way.
 *
 * Programs rely on descriptor numbers: a shell script opens 3 and 4 by name, and a
 * daemon closes all that it does not know. If a program closed the descriptor by
 * which faults are served, absent pages would read as zeros. So each descriptor
 * that the library opens is moved to the highest numbers that are allowed. (A call
 * is the library's if the library is at work on the thread, or the thread is the
 * library's own.) close() of such a descriptor fails with EBADF, as if it were not
 * open, and dup2() onto it with EBUSY. In a child of fork() they are closed at
 * once, so that an appliance notices the end of its client whatever the child does.
 *
 * close() made without libc is rejected by the seccomp filter (trap.c) for every
 * descriptor in our range of numbers, whoever owns it. If the program owns one
 * there, our close() closes it through shim_raw(), which the filter allows.
 */
#include "preload/shim.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00) /* of /dev/userfaultfd */

#define NUMBERS_MAX 65536
#define NUMBERS_GOOD 16384
#define NUMBERS_MIN 4096 /* with less, each is needed by somebody */
#define ROOM 128 /* as many are expected, most */

static _Atomic uint64_t mine[NUMBERS_MAX / 64];

static bool is_mine(int fd)
{
	return fd >= 0 && fd < NUMBERS_MAX &&
	       (atomic_load_explicit(&mine[fd / 64], memory_order_relaxed) >>
			(fd % 64) &
		1) != 0;
}

static void set_mine(int fd, bool it_is)
{
	uint64_t bit = UINT64_C(1) << fd % 64;

	if (it_is)
		atomic_fetch_or(&mine[fd / 64], bit);
	else
		atomic_fetch_and(&mine[fd / 64], ~bit);
}

/* Our range of numbers: the highest that this process may ever be allowed,
 * since the filter (trap.c) rejects close() there and programs rarely use them;
 * but with a limit, because the kernel's table, which fork() copies, is as long
 * as the highest number. A program's filter still applies after exec() and in
 * its children, so each program of such a chain has a range of its own, as with
 * addresses (map_kernel.c). */
static unsigned first_number, last_number;

static void choose_numbers(void)
{
	struct rlimit limit;
	unsigned most = 1024;

	if (first_number != 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		most = limit.rlim_max < NUMBERS_GOOD ? (unsigned)limit.rlim_max
						     : NUMBERS_GOOD;
	if (most < 4)
		most = 4;
	if (most >= NUMBERS_MIN)
		most -= shim_options.nesting * ROOM;
	last_number = most - 1;
	first_number = most > 2 * ROOM ? most - ROOM : most / 2;
}

bool descriptor_numbers(unsigned *ret_first, unsigned *ret_last)
{
	choose_numbers();
	*ret_first = first_number;
	*ret_last = last_number;
	return last_number + 1 >= NUMBERS_MIN - RUN_NESTING_MAX * ROOM;
}

static bool is_preferred(int fd)
{
	return fd >= 0 && (unsigned)fd >= first_number &&
	       (unsigned)fd <= last_number;
}

/* To the highest free number, if need be above the program's own soft limit. Closed
 * on exec, whatever libfabric asked for: in the next program the filter keeps such
 * a number open, so what closes all that is open there (closefrom(3)) would never
 * come to its end, and an appliance would not notice the end of its client. */
static int move_up(int fd)
{
	struct rlimit now, raised;
	int moved;

	choose_numbers();
	moved = (int)shim_raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, (long)first_number, 0, 0,
			      0);
	if (moved >= 0 || getrlimit(RLIMIT_NOFILE, &now) < 0)
		return moved;
	raised = now;
	raised.rlim_cur = now.rlim_max;
	if (now.rlim_cur < now.rlim_max &&
	    setrlimit(RLIMIT_NOFILE, &raised) == 0) {
		moved = (int)shim_raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC,
				      (long)first_number, 0, 0, 0);
		setrlimit(RLIMIT_NOFILE, &now);
	}
	if (moved < 0) /* it was lowered for good */
		moved = (int)shim_raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC,
				      (long)now.rlim_cur / 2, 0, 0, 0);
	return moved;
}

int descriptor_keep(int fd)
{
	int error = errno, moved;

	if (fd < 0)
		return fd;
	moved = move_up(fd);
	if (moved >= 0) {
		shim_raw(SYS_close, fd, 0, 0, 0, 0, 0);
		fd = moved;
	} else {
		shim_raw(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC, 0, 0, 0);
	}
	if (fd < NUMBERS_MAX)
		set_mine(fd, true);
	errno = error;
	return fd;
}

static int keep_if_inside(int fd)
{
	return shim_inside ? descriptor_keep(fd) : fd;
}

/* --- the program's first three ---------------------------------------------------- */

static bool standard_closed[3];

void descriptor_standard_hold(void)
{
	for (int fd = 0; fd < 3; fd++)
		standard_closed[fd] =
			shim_raw(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0) < 0 &&
			shim_raw(SYS_openat, AT_FDCWD, (long)"/",
				 O_PATH | O_CLOEXEC, 0, 0, 0) >= 0;
}

void descriptor_standard_give(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (standard_closed[fd])
			shim_raw(SYS_close, fd, 0, 0, 0, 0, 0);
}

bool descriptor_standard_closed(int fd)
{
	return standard_closed[fd];
}

/* --- one of ours, and all --------------------------------------------------------- */

void descriptor_close(int fd)
{
	if (fd < 0)
		return;
	if (fd < NUMBERS_MAX)
		set_mine(fd, false);
	shim_raw(SYS_close, fd, 0, 0, 0, 0, 0);
}

void descriptor_close_all(int except)
{
	for (int i = 0; i < NUMBERS_MAX / 64; i++) {
		uint64_t set = atomic_load(&mine[i]);

		while (set != 0) {
			int fd = i * 64 + __builtin_ctzll(set);

			set &= set - 1;
			if (fd != except)
				descriptor_close(fd);
		}
	}
}

void descriptor_close_others(void)
{
	struct rlimit limit;
	int most = NUMBERS_MAX;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur < NUMBERS_MAX)
		most = (int)limit.rlim_cur;
	for (int fd = 0; fd < most; fd++)
		if (!is_mine(fd) && fd != STDERR_FILENO)
			shim_raw(SYS_close, fd, 0, 0, 0, 0, 0);
}

static bool is_running(void)
{
	return atomic_load_explicit(&shim_ready, memory_order_relaxed) ||
	       atomic_load_explicit(&child_serves, memory_order_relaxed);
}

/* --- what the library opens by ------------------------------------------------------ */

SHIM_EXPORT int socket(int domain, int type, int protocol)
{
	return keep_if_inside(shim_real()->socket(domain, type, protocol));
}

SHIM_EXPORT int socketpair(int domain, int type, int protocol, int ret[2])
{
	int r = shim_real()->socketpair(domain, type, protocol, ret);

	if (r == 0 && shim_inside) {
		ret[0] = descriptor_keep(ret[0]);
		ret[1] = descriptor_keep(ret[1]);
	}
	return r;
}

SHIM_EXPORT int pipe2(int ret[2], int flags)
{
	int r = shim_real()->pipe2(ret, flags);

	if (r == 0 && shim_inside) {
		ret[0] = descriptor_keep(ret[0]);
		ret[1] = descriptor_keep(ret[1]);
	}
	return r;
}

SHIM_EXPORT int pipe(int ret[2])
{
	return pipe2(ret, 0);
}

SHIM_EXPORT int accept4(int fd, struct sockaddr *from, socklen_t *size,
			int flags)
{
	return keep_if_inside(shim_real()->accept4(fd, from, size, flags));
}

SHIM_EXPORT int accept(int fd, struct sockaddr *from, socklen_t *size)
{
	return keep_if_inside(shim_real()->accept(fd, from, size));
}

SHIM_EXPORT int eventfd(unsigned first, int flags)
{
	return keep_if_inside(shim_real()->eventfd(first, flags));
}

SHIM_EXPORT int epoll_create1(int flags)
{
	return keep_if_inside(shim_real()->epoll_create1(flags));
}

SHIM_EXPORT int epoll_create(int size)
{
	return keep_if_inside(shim_real()->epoll_create(size));
}

SHIM_EXPORT int timerfd_create(int clock, int flags)
{
	return keep_if_inside(shim_real()->timerfd_create(clock, flags));
}

SHIM_EXPORT int memfd_create(const char *name, unsigned flags)
{
	return keep_if_inside(shim_real()->memfd_create(name, flags));
}

/* The one common request whose struct leads to more memory. */
static int list_interfaces(int fd, struct ifconf *program)
{
	struct ifconf local = *program;
	size_t size = local.ifc_len > 0 ? (size_t)local.ifc_len : 0;
	char *list = NULL;
	int r;

	if (size > 0 && present_needed(local.ifc_buf, size)) {
		list = local_take(size);
		if (!list)
			return -1;
		local.ifc_buf = list;
	}
	r = shim_real()->ioctl(fd, SIOCGIFCONF, &local);
	if (r >= 0 && list && local.ifc_len > 0)
		memcpy(program->ifc_buf, list, (size_t)local.ifc_len);
	program->ifc_len = local.ifc_len;
	if (list)
		local_give(list, size);
	return r;
}

SHIM_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;
	int r;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request == SIOCGIFCONF && argument && present_possible())
		return list_interfaces(fd, argument);
	r = shim_real()->ioctl(fd, request, argument);
	return request == USERFAULTFD_IOC_NEW ? keep_if_inside(r) : r;
}

/* A program can give the kernel any address through this function. No wrapper
 * looks at that; the filter does. */
SHIM_EXPORT long syscall(long number, ...)
{
	va_list arguments;
	long a[6], r;

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	if (number == SYS_exit && is_running() && !shim_inside &&
	    thread_leave())
		_exit((int)a[0]); /* the library's threads would go on */
	opening_call(number);
	if (signal_call(number, a, &r) || fork_call(number, a, &r) ||
	    confine_call(number, a, &r))
		return r;
	if (shim_inside) {
		r = shim_raw(number, a[0], a[1], a[2], a[3], a[4], a[5]);
		if ((number == SYS_userfaultfd || number == SYS_pidfd_open) &&
		    r >= 0)
			r = descriptor_keep((int)r);
	} else if (!is_running() || !call_made(number, a, &r)) {
		return shim_real()->syscall(number, a[0], a[1], a[2], a[3],
					    a[4], a[5]);
	}
	if (r >= 0 || r < -4095)
		return r;
	errno = (int)-r;
	return -1;
}

/* --- what the program closes ---------------------------------------------------------- */

static int result(long r)
{
	if (r >= 0)
		return (int)r;
	errno = (int)-r;
	return -1;
}

SHIM_EXPORT int close(int fd)
{
	if (!is_mine(fd) && !is_preferred(fd))
		return shim_real()->close(fd);
	if (is_mine(fd) && !shim_inside) {
		errno = EBADF;
		return -1;
	}
	if (is_mine(fd))
		set_mine(fd, false);
	return result(shim_raw(SYS_close, fd, 0, 0, 0, 0, 0));
}

SHIM_EXPORT int dup3(int fd, int to, int flags)
{
	if (is_mine(to) && !shim_inside) {
		errno = EBUSY;
		return -1;
	}
	if (!is_preferred(to))
		return shim_real()->dup3(fd, to, flags);
	return result(shim_raw(SYS_dup3, fd, to, flags, 0, 0, 0));
}

SHIM_EXPORT int dup2(int fd, int to)
{
	if (!is_mine(to) && !is_preferred(to))
		return shim_real()->dup2(fd, to);
	if (fd == to) /* dup3() would not have that */
		return fcntl(fd, F_GETFD) < 0 ? -1 : fd;
	return dup3(fd, to, 0);
}

/* Closes the ranges between ours. */
SHIM_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	unsigned from = first;
	long r = 0;

	for (unsigned fd = first; fd < NUMBERS_MAX && fd <= last; fd++) {
		if (!is_mine((int)fd))
			continue;
		if (fd > from && r == 0)
			r = shim_raw(SYS_close_range, (long)from, (long)fd - 1,
				     flags, 0, 0, 0);
		from = fd + 1;
	}
	if ((from <= last || from == first) && r == 0)
		r = shim_raw(SYS_close_range, (long)from, (long)last, flags, 0,
			     0, 0);
	return result(r);
}

SHIM_EXPORT void closefrom(int first)
{
	unsigned from = first < 0 ? 0 : (unsigned)first;

	if (close_range(from, UINT32_MAX, 0) == 0)
		return;
	/* Older than Linux 5.9. */
	for (unsigned fd = from; fd < NUMBERS_MAX; fd++)
		close((int)fd);
}

/* In a child of posix_spawn() libc closes descriptors by itself, without these
 * functions. So "close from N on" is replaced by the numbers that are open now. */
SHIM_EXPORT int
posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions,
					 int first)
{
	if (first < 0)
		return EBADF;
	for (unsigned fd = (unsigned)first; fd < NUMBERS_MAX; fd++) {
		int r = 0;

		if (!is_mine((int)fd) && !is_preferred((int)fd) &&
		    shim_raw(SYS_fcntl, (long)fd, F_GETFD, 0, 0, 0, 0) >= 0)
			r = posix_spawn_file_actions_addclose(actions,
							      (int)fd);
		if (r != 0)
			return r;
	}
	return 0;
}
