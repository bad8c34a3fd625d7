/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One system call that is given external memory, by its number.
 *
 * Most calls take names and small structs: a table says of each argument how
 * many bytes the kernel reads or writes there. What is external among them is
 * copied to local memory, the call made, and what it wrote copied back. Calls
 * that move data go by present.c, which pins the program's own memory. Where
 * the shape is not told by the number (ioctl, above all) the memory is pinned,
 * a page or as much as an ioctl's number says: enough for anything flat. A
 * struct that leads to another one, in such a call, is out of reach: the
 * kernel answers EFAULT, as it would for any bad address. The same table tells
 * the filter which arguments are addresses.
 *
 * Runs in the handler of trap.c: no heap, no locks but the library's.
 */
#include "preload/shim.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/un.h>

enum kind {
	VALUE = 0,
	NAME,	    /* ends in 0 */
	IN,	    /* size bytes are read by the kernel */
	OUT,	    /* written */
	BOTH,
	IN_BY,	    /* argument `by` times size bytes */
	OUT_BY,
	OUT_LENGTH, /* *(socklen_t *)argument `by` bytes */
	BITS,	    /* a set of as many bits as argument `by` says */
	PINNED,	    /* of a shape that is not told here */
	SERVED,	    /* by a function of its own */
	NAMED,	    /* an address, and no more: what is there is not looked at */
};

struct part {
	uint8_t kind, by;
	uint16_t size;
};

struct shape {
	struct part part[6];
};

#define V { VALUE, 0, 0 }
#define S { NAME, 0, 0 }
#define I(size) { IN, 0, size }
#define O(size) { OUT, 0, size }
#define X(size) { BOTH, 0, size }
#define IB(by, size) { IN_BY, by, size }
#define OB(by, size) { OUT_BY, by, size }
#define OL(by) { OUT_LENGTH, by, 0 }
#define B(by) { BITS, by, 0 }
#define P { PINNED, 0, 0 }
#define D { SERVED, 0, 0 }
#define A { NAMED, 0, 0 }
#define SHAPE(name, ...) [SYS_##name] = { { __VA_ARGS__ } }

/* Sizes are the kernel's, of 64-bit machines. */
enum {
	STAT = 144, STATX = 256, STATFS = 120, TIMESPEC = 16, TIMEVAL = 16,
	SIGSET = 8, SIGINFO = 128, RUSAGE = 144, EPOLL = 12, POLLFD = 8,
	TIMER = 32, LIMIT = 16, SIGACTION = 32, UTSNAME = 390,
};

/* Newer than some headers; from here on the numbers are those of all machines. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_futex_wake
#define SYS_futex_wake 454
#define SYS_futex_wait 455
#define SYS_futex_requeue 456
#endif

static const struct shape shapes[] = {
#ifdef SYS_open /* those that newer machines do without */
	SHAPE(open, S), SHAPE(creat, S), SHAPE(stat, S, O(STAT)),
	SHAPE(lstat, S, O(STAT)), SHAPE(access, S), SHAPE(mkdir, S),
	SHAPE(readlink, S, OB(2, 1)), SHAPE(rmdir, S), SHAPE(unlink, S),
	SHAPE(rename, S, S), SHAPE(link, S, S), SHAPE(symlink, S, S),
	SHAPE(chmod, S), SHAPE(chown, S), SHAPE(lchown, S), SHAPE(mknod, S),
	SHAPE(utime, S, I(16)), SHAPE(utimes, S, I(2 * TIMEVAL)),
	SHAPE(futimesat, V, S, I(2 * TIMEVAL)),
	SHAPE(getdents, V, OB(2, 1)), SHAPE(poll, OB(1, POLLFD)),
	SHAPE(select, V, B(0), B(0), B(0), X(TIMEVAL)),
	SHAPE(epoll_wait, V, OB(2, EPOLL)), SHAPE(pipe, O(8)),
	SHAPE(time, O(8)), SHAPE(signalfd, V, I(SIGSET)),
#endif
	SHAPE(openat, V, S), SHAPE(fstat, V, O(STAT)),
	SHAPE(newfstatat, V, S, O(STAT)), SHAPE(statx, V, S, V, V, O(STATX)),
	SHAPE(faccessat, V, S), SHAPE(readlinkat, V, S, OB(3, 1)),
	SHAPE(getcwd, OB(1, 1)), SHAPE(chdir, S), SHAPE(chroot, S),
	SHAPE(mkdirat, V, S), SHAPE(unlinkat, V, S),
	SHAPE(renameat, V, S, V, S), SHAPE(renameat2, V, S, V, S),
	SHAPE(linkat, V, S, V, S), SHAPE(symlinkat, S, V, S),
	SHAPE(fchmodat, V, S), SHAPE(fchownat, V, S), SHAPE(mknodat, V, S),
	SHAPE(truncate, S), SHAPE(utimensat, V, S, I(2 * TIMESPEC)),
	SHAPE(statfs, S, O(STATFS)), SHAPE(fstatfs, V, O(STATFS)),
	SHAPE(umount2, S), SHAPE(pivot_root, S, S), SHAPE(acct, S),
	SHAPE(setxattr, S, S, IB(3, 1)), SHAPE(lsetxattr, S, S, IB(3, 1)),
	SHAPE(fsetxattr, V, S, IB(3, 1)), SHAPE(getxattr, S, S, OB(3, 1)),
	SHAPE(lgetxattr, S, S, OB(3, 1)), SHAPE(fgetxattr, V, S, OB(3, 1)),
	SHAPE(listxattr, S, OB(2, 1)), SHAPE(llistxattr, S, OB(2, 1)),
	SHAPE(flistxattr, V, OB(2, 1)), SHAPE(removexattr, S, S),
	SHAPE(lremovexattr, S, S), SHAPE(fremovexattr, V, S),
	SHAPE(inotify_add_watch, V, S), SHAPE(memfd_create, S),
	SHAPE(getdents64, V, OB(2, 1)),
	SHAPE(ppoll, OB(1, POLLFD), X(TIMESPEC), I(SIGSET)),
	SHAPE(pselect6, V, B(0), B(0), B(0), X(TIMESPEC), I(16)),
	SHAPE(epoll_ctl, V, V, V, I(EPOLL)),
	SHAPE(epoll_pwait, V, OB(2, EPOLL), V, V, I(SIGSET)),
#ifdef SYS_epoll_pwait2
	SHAPE(epoll_pwait2, V, OB(2, EPOLL), V, I(TIMESPEC), I(SIGSET)),
#endif
#ifdef SYS_faccessat2
	SHAPE(faccessat2, V, S), SHAPE(openat2, V, S, IB(3, 1)),
#endif
	SHAPE(pipe2, O(8)), SHAPE(socketpair, V, V, V, O(8)),
	SHAPE(connect, V, IB(2, 1)), SHAPE(bind, V, IB(2, 1)),
	SHAPE(accept, V, OL(2), X(4)), SHAPE(accept4, V, OL(2), X(4)),
	SHAPE(getsockname, V, OL(2), X(4)), SHAPE(getpeername, V, OL(2), X(4)),
	SHAPE(setsockopt, V, V, V, IB(4, 1)),
	SHAPE(getsockopt, V, V, V, OL(4), X(4)),
	SHAPE(wait4, V, O(4), V, O(RUSAGE)),
	SHAPE(waitid, V, V, O(SIGINFO), V, O(RUSAGE)),
	SHAPE(getrusage, V, O(RUSAGE)), SHAPE(times, O(32)),
	SHAPE(gettimeofday, O(TIMEVAL), O(8)),
	SHAPE(clock_gettime, V, O(TIMESPEC)),
	SHAPE(clock_getres, V, O(TIMESPEC)),
	SHAPE(clock_nanosleep, V, V, I(TIMESPEC), O(TIMESPEC)),
	SHAPE(nanosleep, I(TIMESPEC), O(TIMESPEC)), SHAPE(uname, O(UTSNAME)),
	SHAPE(sysinfo, O(112)), SHAPE(getrlimit, V, O(LIMIT)),
	SHAPE(setrlimit, V, I(LIMIT)),
	SHAPE(prlimit64, V, V, I(LIMIT), O(LIMIT)),
	SHAPE(getgroups, V, OB(0, 4)), SHAPE(setgroups, V, IB(0, 4)),
	SHAPE(getresuid, O(4), O(4), O(4)), SHAPE(getresgid, O(4), O(4), O(4)),
	SHAPE(capget, X(8), O(24)), SHAPE(capset, X(8), I(24)),
	SHAPE(rt_sigaction, V, I(SIGACTION), O(SIGACTION)),
	SHAPE(rt_sigpending, O(SIGSET)),
	SHAPE(rt_sigtimedwait, I(SIGSET), O(SIGINFO), I(TIMESPEC)),
	SHAPE(rt_sigqueueinfo, V, V, I(SIGINFO)),
	SHAPE(rt_tgsigqueueinfo, V, V, V, I(SIGINFO)),
	SHAPE(rt_sigsuspend, I(SIGSET)), SHAPE(signalfd4, V, I(SIGSET)),
	SHAPE(timerfd_settime, V, V, I(TIMER), O(TIMER)),
	SHAPE(timerfd_gettime, V, O(TIMER)),
	SHAPE(timer_create, V, I(64), O(4)),
	SHAPE(timer_settime, V, V, I(TIMER), O(TIMER)),
	SHAPE(timer_gettime, V, O(TIMER)), SHAPE(setitimer, V, I(32), O(32)),
	SHAPE(getitimer, V, O(32)), SHAPE(sched_setaffinity, V, V, IB(1, 1)),
	SHAPE(sched_getaffinity, V, V, OB(1, 1)),
	SHAPE(sched_setparam, V, I(4)), SHAPE(sched_getparam, V, O(4)),
	SHAPE(sched_setscheduler, V, V, I(4)),
	SHAPE(sched_rr_get_interval, V, O(TIMESPEC)),
	SHAPE(getcpu, O(4), O(4)), SHAPE(sendfile, V, V, X(8)),
	SHAPE(copy_file_range, V, X(8), V, X(8)),
	SHAPE(splice, V, X(8), V, X(8)), SHAPE(semop, V, IB(2, 6)),
	SHAPE(semtimedop, V, IB(2, 6), V, I(TIMESPEC)),
	SHAPE(mq_open, S, V, V, I(64)), SHAPE(mq_unlink, S),
	SHAPE(mq_timedsend, V, IB(2, 1), V, V, I(TIMESPEC)),
	SHAPE(mq_timedreceive, V, OB(2, 1), V, X(4), I(TIMESPEC)),
	SHAPE(get_robust_list, V, O(8), O(8)), SHAPE(syslog, V, OB(2, 1)),
	SHAPE(add_key, S, S, IB(3, 1)), SHAPE(request_key, S, S, S),
	SHAPE(settimeofday, I(TIMEVAL), I(8)),
	SHAPE(clock_settime, V, I(TIMESPEC)), SHAPE(sethostname, IB(1, 1)),
	SHAPE(setdomainname, IB(1, 1)),

	SHAPE(ioctl, V, V, P), SHAPE(fcntl, V, V, P),
	SHAPE(prctl, V, P, P, P, P), SHAPE(mount, P, P, P, V, P),
	SHAPE(bpf, V, P), SHAPE(perf_event_open, P),
	SHAPE(keyctl, V, P, P, P, P), SHAPE(name_to_handle_at, V, P, P, P),
	SHAPE(open_by_handle_at, V, P), SHAPE(process_vm_readv, V, D, V, D),
	SHAPE(process_vm_writev, V, D, V, D), SHAPE(mincore, V, V, P),
	SHAPE(get_mempolicy, P, P), SHAPE(set_mempolicy, V, P),
	SHAPE(mbind, V, V, V, P), SHAPE(move_pages, V, V, P, P, P),
	SHAPE(migrate_pages, V, V, P, P), SHAPE(shmctl, V, V, P),
	SHAPE(semctl, V, V, V, P), SHAPE(msgctl, V, V, P),
	SHAPE(msgsnd, V, P), SHAPE(msgrcv, V, P),
	SHAPE(sched_setattr, V, P), SHAPE(sched_getattr, V, P),
	SHAPE(adjtimex, P), SHAPE(clock_adjtime, V, P),
	SHAPE(seccomp, V, V, P), SHAPE(quotactl, V, P, V, P),
	SHAPE(fanotify_mark, V, V, V, V, P), SHAPE(mq_getsetattr, V, P, P),
	SHAPE(mq_notify, V, P), SHAPE(swapon, P), SHAPE(swapoff, P),
#ifdef SYS_arch_prctl
	SHAPE(arch_prctl, V, P), SHAPE(modify_ldt, V, P),
#endif
#ifdef SYS_futex_waitv
	SHAPE(futex_waitv, P, V, V, P),
#endif

	SHAPE(read, V, D), SHAPE(write, V, D), SHAPE(pread64, V, D),
	SHAPE(pwrite64, V, D), SHAPE(readv, V, D), SHAPE(writev, V, D),
	SHAPE(preadv, V, D), SHAPE(pwritev, V, D), SHAPE(preadv2, V, D),
	SHAPE(pwritev2, V, D), SHAPE(vmsplice, V, D),
	SHAPE(recvfrom, V, D, V, V, D, D), SHAPE(sendto, V, D, V, V, D),
	SHAPE(recvmsg, V, D), SHAPE(sendmsg, V, D),
	SHAPE(recvmmsg, V, D, V, V, D), SHAPE(sendmmsg, V, D),
	SHAPE(getrandom, D), SHAPE(execve, D, D, D), SHAPE(futex, D, V, V, D, D),
	SHAPE(rt_sigprocmask, V, D, D), SHAPE(sigaltstack, D, D),
	SHAPE(execveat, V, D, D, D), SHAPE(futex_wait, D, V, V, V, D),
	SHAPE(futex_wake, D), SHAPE(clone3, D),

	SHAPE(landlock_create_ruleset, IB(1, 1)),
	SHAPE(landlock_add_rule, V, V, I(16)), SHAPE(cachestat, V, I(16), O(40)),
	SHAPE(fchmodat2, V, S), SHAPE(pidfd_send_signal, V, V, I(SIGINFO)),
	SHAPE(open_tree, V, S), SHAPE(move_mount, V, S, V, S),
	SHAPE(fsopen, S), SHAPE(fspick, V, S), SHAPE(fsconfig, V, V, S, P),
	SHAPE(mount_setattr, V, S, V, IB(4, 1)),

	SHAPE(mmap, A), SHAPE(mremap, A, V, V, V, A), SHAPE(shmat, V, A),
	SHAPE(process_madvise, V, D),
};

#define SHAPES_COUNT (sizeof(shapes) / sizeof(shapes[0]))

/* --- local copies ------------------------------------------------------------------ */

#define STACK_SIZE 8192
#define COPIES_MAX ((size_t)1 << 26)

struct copies {
	char stack[STACK_SIZE];
	char *memory;
	size_t size, used;
	char *at[6];
	size_t length[6];
};

static bool is_external(long argument)
{
	return block_contains((const void *)argument, 1);
}

/* Bytes behind an argument; 0: none to care for. */
static size_t part_size(const struct part *part, long argument,
			const long arguments[6])
{
	size_t size = part->size;
	socklen_t length;

	switch ((enum kind)part->kind) {
	case VALUE:
	case PINNED:
	case SERVED:
	case NAMED:
		return 0;
	case NAME:
		return strnlen((const char *)argument, PATH_MAX) + 1;
	case IN:
	case OUT:
	case BOTH:
		return size;
	case IN_BY:
	case OUT_BY:
		if (arguments[part->by] < 0 ||
		    __builtin_mul_overflow(size, (size_t)arguments[part->by],
					   &size))
			return 0;
		return size;
	case OUT_LENGTH:
		if (!arguments[part->by])
			return 0;
		length = *(const socklen_t *)arguments[part->by];
		return length < 1 << 16 ? length : 1 << 16;
	case BITS:
		return arguments[part->by] <= 0
			       ? 0
			       : ((size_t)arguments[part->by] + 63) / 64 * 8;
	}
	return 0;
}

static bool is_written(const struct part *part)
{
	return part->kind != NAME && part->kind != IN && part->kind != IN_BY;
}

/* Room for all copies; false: too much, or no memory. */
static bool copies_begin(struct copies *c, size_t size)
{
	c->used = 0;
	c->size = sizeof(c->stack);
	c->memory = c->stack;
	if (size <= c->size)
		return true;
	if (size > COPIES_MAX)
		return false;
	c->size = size;
	c->memory = (char *)shim_raw(SYS_mmap, 0, (long)size,
				     PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return (uintptr_t)c->memory < (uintptr_t)-4096;
}

static void copies_end(struct copies *c)
{
	if (c->memory != c->stack)
		shim_raw(SYS_munmap, (long)c->memory, (long)c->size, 0, 0, 0,
			 0);
}

static long serve_by_copies(long number, const long arguments[6])
{
	const struct shape *shape = &shapes[number];
	struct copies c;
	long local[6], r;
	size_t total = 0;

	for (int i = 0; i < 6; i++) {
		local[i] = arguments[i];
		c.length[i] = is_external(arguments[i])
				      ? part_size(&shape->part[i],
						  arguments[i], arguments)
				      : 0;
		total += (c.length[i] + 15) & ~(size_t)15;
	}
	if (!copies_begin(&c, total))
		return -ENOMEM;
	for (int i = 0; i < 6; i++) {
		if (c.length[i] == 0)
			continue;
		c.at[i] = c.memory + c.used;
		c.used += (c.length[i] + 15) & ~(size_t)15;
		/* What the kernel only writes too: it may write less. */
		memcpy(c.at[i], (const void *)arguments[i], c.length[i]);
		if (shape->part[i].kind == NAME)
			c.at[i][c.length[i] - 1] =
				c.length[i] > PATH_MAX ? 'x' : '\0';
		local[i] = (long)c.at[i];
	}
	r = shim_raw(number, local[0], local[1], local[2], local[3], local[4],
		     local[5]);
	for (int i = 0; i < 6; i++)
		if (c.length[i] > 0 && is_written(&shape->part[i]) &&
		    (r >= 0 || r == -EINTR))
			memcpy((void *)arguments[i], c.at[i], c.length[i]);
	copies_end(&c);
	return r;
}

/* --- the others ----------------------------------------------------------------------- */

/* Memory of unknown shape: to the end of the second page behind it. */
static size_t span_of(long number, int i, const long arguments[6])
{
	size_t size = 0;

	if (number == SYS_ioctl && i == 2)
		size = _IOC_SIZE((unsigned)arguments[1]);
	if (size == 0)
		size = 2 * SHIM_PAGE -
		       ((uintptr_t)arguments[i] & (SHIM_PAGE - 1));
	return size;
}

static long serve_by_pins(long number, const long arguments[6])
{
	size_t pinned[6] = { 0 };
	long r;

	for (int i = 0; i < 6; i++)
		if (is_external(arguments[i]))
			pinned[i] = present_begin((const void *)arguments[i],
						  span_of(number, i, arguments),
						  true);
	r = shim_raw(number, arguments[0], arguments[1], arguments[2],
		     arguments[3], arguments[4], arguments[5]);
	for (int i = 0; i < 6; i++)
		if (pinned[i])
			present_end((const void *)arguments[i], pinned[i]);
	return r;
}

/* The kernel reads the word before it sleeps, or says EFAULT and has done
 * nothing: so it is touched, and asked again. Nothing is kept pinned while a
 * thread sleeps; a wake-up goes by the address. */
#define FUTEX_TRIES 10000 /* it may leave again in between */

static long serve_futex(const long arguments[6])
{
	struct timespec time, *timeout = (struct timespec *)arguments[3];
	int operation = arguments[1] & FUTEX_CMD_MASK;
	long r;

	if ((operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET ||
	     operation == FUTEX_LOCK_PI || operation == FUTEX_WAIT_REQUEUE_PI) &&
	    is_external((long)timeout)) {
		time = *timeout;
		timeout = &time;
	}
	for (int i = 0;; i++) {
		r = shim_raw(SYS_futex, arguments[0], arguments[1],
			     arguments[2], (long)timeout, arguments[4],
			     arguments[5]);
		if (r != -EFAULT || i == FUTEX_TRIES)
			return r;
		if (is_external(arguments[0]))
			atomic_fetch_add((_Atomic uint32_t *)arguments[0], 0);
		if (is_external(arguments[4]))
			atomic_fetch_add((_Atomic uint32_t *)arguments[4], 0);
	}
}

/* The newer calls: the word first, the time a thread sleeps for fifth. */
static long serve_newer_futex(long number, const long arguments[6])
{
	struct timespec time, *timeout = (struct timespec *)arguments[4];
	long r;

	if (number == SYS_futex_wait && is_external((long)timeout)) {
		time = *timeout;
		timeout = &time;
	}
	for (int i = 0;; i++) {
		r = shim_raw(number, arguments[0], arguments[1], arguments[2],
			     arguments[3], (long)timeout, arguments[5]);
		if (r != -EFAULT || i == FUTEX_TRIES ||
		    !is_external(arguments[0]))
			return r;
		atomic_fetch_add((_Atomic uint32_t *)arguments[0], 0);
	}
}

/* Only what is like fork(2) can be made from here: a thread's first instruction
 * would be in our frame, on another stack. libc has clone(2) for that case. */
static long serve_clone3(const long arguments[6])
{
	uint64_t local[16] = { 0 };
	size_t size = (size_t)arguments[1];

	if (size > sizeof(local))
		return -E2BIG;
	memcpy(local, (const void *)arguments[0], size);
	if ((local[0] & (CLONE_VM | CLONE_VFORK)) != 0 || local[5] != 0)
		return -ENOSYS;
	return shim_raw(SYS_clone3, (long)local, (long)size, 0, 0, 0, 0);
}

/* Of this process, as madvise(2) is. */
static long serve_process_madvise(const long arguments[6])
{
	const struct iovec *iov = (const struct iovec *)arguments[1];
	long done = 0;

	for (long i = 0; i < arguments[2]; i++) {
		struct iovec v = iov[i];
		long r;

		if (map_touches(v.iov_base, v.iov_len))
			r = madvise(v.iov_base, v.iov_len, (int)arguments[3]) < 0
				    ? -errno
				    : (long)v.iov_len;
		else
			r = shim_raw(SYS_process_madvise, arguments[0],
				     (long)&v, 1, arguments[3], arguments[4],
				     0);
		if (r < 0)
			return done > 0 ? done : r;
		done += r;
	}
	return done;
}

static long result_of(long r)
{
	return r < 0 ? -errno : r;
}

/* Calls that take pages or descriptors away, likewise; the library means what
 * it says. */
static bool serve_taking(long number, const long a[6], long *ret)
{
	void *p = (void *)a[0];

	switch (number) {
	case SYS_mmap:
		*ret = result_of((long)mmap(p, a[1], (int)a[2], (int)a[3],
					    (int)a[4], a[5]));
		break;
	case SYS_munmap: *ret = result_of(munmap(p, a[1])); break;
	case SYS_mremap:
		*ret = result_of((long)mremap(p, a[1], a[2], (int)a[3],
					      (void *)a[4]));
		break;
	case SYS_madvise: *ret = result_of(madvise(p, a[1], (int)a[2])); break;
	case SYS_mprotect: *ret = result_of(mprotect(p, a[1], (int)a[2])); break;
	case SYS_pkey_mprotect:
		*ret = result_of(pkey_mprotect(p, a[1], (int)a[2], (int)a[3]));
		break;
	case SYS_mlock: *ret = result_of(mlock(p, a[1])); break;
	case SYS_mlock2:
		*ret = result_of(mlock2(p, a[1], (unsigned)a[2]));
		break;
	case SYS_mlockall: *ret = result_of(mlockall((int)a[0])); break;
	case SYS_shmat: /* over what is there */
		*ret = map_touches((void *)a[1], 1)
			       ? -EINVAL
			       : shim_raw(number, a[0], a[1], a[2], 0, 0, 0);
		break;
	case SYS_close: *ret = result_of(close((int)a[0])); break;
#ifdef SYS_dup2
	case SYS_dup2: *ret = result_of(dup2((int)a[0], (int)a[1])); break;
#endif
	case SYS_dup3:
		*ret = result_of(dup3((int)a[0], (int)a[1], (int)a[2]));
		break;
	case SYS_close_range:
		*ret = result_of(close_range((unsigned)a[0], (unsigned)a[1],
					     (int)a[2]));
		break;
	default: return false;
	}
	return true;
}

/* The data calls, by the functions that serve them for libc's callers. */
static bool serve_data(long number, const long a[6], long *ret)
{
	void *p = (void *)a[1];

	switch (number) {
	case SYS_read: *ret = result_of(read((int)a[0], p, a[2])); break;
	case SYS_write: *ret = result_of(write((int)a[0], p, a[2])); break;
	case SYS_pread64:
		*ret = result_of(pread64((int)a[0], p, a[2], a[3]));
		break;
	case SYS_pwrite64:
		*ret = result_of(pwrite64((int)a[0], p, a[2], a[3]));
		break;
	case SYS_readv: *ret = result_of(readv((int)a[0], p, (int)a[2])); break;
	case SYS_vmsplice:
		*ret = result_of(vmsplice((int)a[0], p, a[2], (unsigned)a[3]));
		break;
	case SYS_writev:
		*ret = result_of(writev((int)a[0], p, (int)a[2]));
		break;
	case SYS_preadv:
		*ret = result_of(preadv64((int)a[0], p, (int)a[2], a[3]));
		break;
	case SYS_pwritev:
		*ret = result_of(pwritev64((int)a[0], p, (int)a[2], a[3]));
		break;
	case SYS_preadv2:
		*ret = result_of(preadv64v2((int)a[0], p, (int)a[2], a[3],
					    (int)a[5]));
		break;
	case SYS_pwritev2:
		*ret = result_of(pwritev64v2((int)a[0], p, (int)a[2], a[3],
					     (int)a[5]));
		break;
	case SYS_recvfrom:
		*ret = result_of(recvfrom((int)a[0], p, a[2], (int)a[3],
					  (struct sockaddr *)a[4],
					  (socklen_t *)a[5]));
		break;
	case SYS_sendto:
		*ret = result_of(sendto((int)a[0], p, a[2], (int)a[3],
					(struct sockaddr *)a[4],
					(socklen_t)a[5]));
		break;
	case SYS_recvmsg: *ret = result_of(recvmsg((int)a[0], p, (int)a[2])); break;
	case SYS_sendmsg: *ret = result_of(sendmsg((int)a[0], p, (int)a[2])); break;
	case SYS_recvmmsg:
		*ret = result_of(recvmmsg((int)a[0], p, (unsigned)a[2],
					  (int)a[3], (struct timespec *)a[4]));
		break;
	case SYS_sendmmsg:
		*ret = result_of(sendmmsg((int)a[0], p, (unsigned)a[2],
					  (int)a[3]));
		break;
	case SYS_getrandom:
		*ret = result_of(getrandom((void *)a[0], a[1], (unsigned)a[2]));
		break;
	case SYS_execve:
		*ret = result_of(execve((const char *)a[0], p,
					(char *const *)a[2]));
		break;
	case SYS_process_vm_readv:
		*ret = result_of(process_vm_readv(
			(pid_t)a[0], p, (unsigned long)a[2],
			(const struct iovec *)a[3], (unsigned long)a[4],
			(unsigned long)a[5]));
		break;
	case SYS_process_vm_writev:
		*ret = result_of(process_vm_writev(
			(pid_t)a[0], p, (unsigned long)a[2],
			(const struct iovec *)a[3], (unsigned long)a[4],
			(unsigned long)a[5]));
		break;
	case SYS_execveat:
		*ret = result_of(execveat((int)a[0], p, (char *const *)a[2],
					  (char *const *)a[3], (int)a[4]));
		break;
	default: return false;
	}
	return true;
}

/* The kernel would touch memory when nobody watches. */
static bool is_nosys(unsigned number)
{
	return number == SYS_io_uring_setup ||
	       number == SYS_io_uring_enter ||
	       number == SYS_io_uring_register || number == SYS_io_setup;
}

unsigned call_check(unsigned number, bool kernel)
{
	unsigned set = 0;

	switch (number) {
	case SYS_munmap:
	case SYS_madvise:
	case SYS_mprotect:
	case SYS_pkey_mprotect:
	case SYS_mlock:
	case SYS_mlock2: return CALL_PLACE;
	case SYS_close: return CALL_CLOSE;
#ifdef SYS_dup2
	case SYS_dup2:
#endif
	case SYS_dup3: return CALL_DUP;
	case SYS_close_range: return CALL_CLOSE_RANGE;
	default: break;
	}
	if (is_nosys(number))
		return kernel ? 0 : CALL_NOSYS;
	for (unsigned i = 0; number < SHAPES_COUNT && i < 6; i++) {
		enum kind kind = (enum kind)shapes[number].part[i].kind;

		if (kind == NAMED || (kind != VALUE && !kernel))
			set |= 1u << i;
	}
	return set;
}

unsigned call_count(void)
{
	return SHAPES_COUNT;
}

static long serve(long number, const long arguments[6])
{
	bool pinned = false;
	long r;

	if (serve_data(number, arguments, &r) ||
	    serve_taking(number, arguments, &r))
		return r;
	switch (number) {
	case SYS_futex: return serve_futex(arguments);
	case SYS_futex_wait:
	case SYS_futex_wake: return serve_newer_futex(number, arguments);
	case SYS_clone3: return serve_clone3(arguments);
	case SYS_process_madvise: return serve_process_madvise(arguments);
	case SYS_ioctl:
		if ((unsigned long)arguments[1] == SIOCGIFCONF)
			return result_of(ioctl((int)arguments[0], SIOCGIFCONF,
					       (void *)arguments[2]));
		break;
	case SYS_sigaltstack:
		return result_of(sigaltstack((const stack_t *)arguments[0],
					     (stack_t *)arguments[1]));
	default: break;
	}
	for (int i = 0; (size_t)number < SHAPES_COUNT && i < 6; i++)
		pinned |= shapes[number].part[i].kind == PINNED;
	return pinned || (size_t)number >= SHAPES_COUNT
		       ? serve_by_pins(number, arguments)
		       : serve_by_copies(number, arguments);
}

long call_serve(long number, const long arguments[6])
{
	atomic_fetch_add_explicit(&shim_shared->trap_count, 1,
				  memory_order_relaxed);
	return serve(number, arguments);
}

/* Its wrappers look at the lists themselves. */
static bool has_list(long number)
{
	switch (number) {
	case SYS_readv:
	case SYS_writev:
	case SYS_preadv:
	case SYS_pwritev:
	case SYS_preadv2:
	case SYS_pwritev2:
	case SYS_vmsplice:
	case SYS_recvmsg:
	case SYS_sendmsg:
	case SYS_recvmmsg:
	case SYS_sendmmsg:
	case SYS_process_vm_readv:
	case SYS_process_vm_writev:
	case SYS_process_madvise:
	case SYS_mlockall: return true;
	default: return false;
	}
}

bool call_made(long number, const long arguments[6], long *ret)
{
	unsigned check;
	bool ours = false;

	if ((unsigned long)number >= SHAPES_COUNT)
		return false;
	check = call_check((unsigned)number, shim_kernel_faults);
	if (check == CALL_NOSYS) {
		*ret = -ENOSYS;
		return true;
	}
	for (int i = 0; check < CALL_SETS && i < 6; i++)
		ours |= (check >> i & 1) != 0 &&
			map_touches((const void *)arguments[i], 1);
	if (check == CALL_PLACE)
		ours = map_touches((const void *)arguments[0],
				   (size_t)arguments[1]);
	if (check > CALL_PLACE || has_list(number))
		ours = true;
	/* Of its caller's mask the wrapper knows nothing: the handler does. */
	if (!ours || number == SYS_rt_sigprocmask)
		return false;
	*ret = serve(number, arguments);
	return true;
}
