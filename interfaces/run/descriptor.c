/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library's descriptors, out of the program's way.
 *
 * Programs count on their numbers: a shell script opens 3 and 4 by name, and
 * a daemon closes all it does not know. If that met the descriptor that faults
 * come by, absent pages would read as zeros. So what the library opens (it is
 * known by its being at work on this thread, or by the thread's being its own)
 * is moved to the end of the numbers that are allowed; close() of one says
 * EBADF, as if it were not there, and dup2() onto one EBUSY. In a child of
 * fork() they are closed at once, so that an appliance hears of its client's
 * end whatever the child does.
 *
 * Not watched: close_range(2) and the like made without libc.
 */
#include "shim.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00) /* of /dev/userfaultfd */

#define NUMBERS_MAX 65536
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

/* From this number on, if there is room below the limit. */
static int first_number(void)
{
	struct rlimit limit;
	long most = 1024;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur < NUMBERS_MAX)
		most = (long)limit.rlim_cur;
	return most > 2 * ROOM ? (int)(most - ROOM) : (int)(most / 2);
}

int descriptor_keep(int fd)
{
	int error = errno, moved;
	long flags;

	if (fd < 0)
		return fd;
	flags = shim_raw(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0);
	moved = (int)shim_raw(SYS_fcntl, fd,
			      (flags & FD_CLOEXEC) != 0 ? F_DUPFD_CLOEXEC
							: F_DUPFD,
			      first_number(), 0, 0, 0);
	if (moved >= 0) {
		shim_raw(SYS_close, fd, 0, 0, 0, 0, 0);
		fd = moved;
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

SHIM_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;
	int r;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	r = shim_real()->ioctl(fd, request, argument);
	return request == USERFAULTFD_IOC_NEW ? keep_if_inside(r) : r;
}

/* The one function through which a program, too, can give the kernel external
 * memory in a register that no wrapper sees; the filter does. */
SHIM_EXPORT long syscall(long number, ...)
{
	va_list arguments;
	long a[6], r;

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	if (signal_call(number, a, &r) || fork_call(number, a, &r))
		return r;
	r = shim_real()->syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	return number == SYS_userfaultfd ? keep_if_inside((int)r) : r;
}

/* --- what the program closes ---------------------------------------------------------- */

SHIM_EXPORT int close(int fd)
{
	if (!is_mine(fd))
		return shim_real()->close(fd);
	if (!shim_inside) {
		errno = EBADF;
		return -1;
	}
	set_mine(fd, false);
	return shim_real()->close(fd);
}

SHIM_EXPORT int dup2(int fd, int to)
{
	if (is_mine(to) && !shim_inside) {
		errno = EBUSY;
		return -1;
	}
	return shim_real()->dup2(fd, to);
}

SHIM_EXPORT int dup3(int fd, int to, int flags)
{
	if (is_mine(to) && !shim_inside) {
		errno = EBUSY;
		return -1;
	}
	return shim_real()->dup3(fd, to, flags);
}

/* In runs between what is ours. */
SHIM_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	unsigned from = first;
	int r = 0;

	for (unsigned fd = first; fd < NUMBERS_MAX && fd <= last; fd++) {
		if (!is_mine((int)fd))
			continue;
		if (fd > from)
			r |= shim_real()->close_range(from, fd - 1, flags);
		from = fd + 1;
	}
	if (from <= last)
		r |= shim_real()->close_range(from, last, flags);
	return r < 0 ? -1 : 0;
}

SHIM_EXPORT void closefrom(int first)
{
	close_range(first < 0 ? 0 : (unsigned)first, UINT32_MAX, 0);
}
