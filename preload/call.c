/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls that are given external memory: one table of them, by number.
 *
 * Most calls take names and small structs. The table says of each argument how
 * many bytes the kernel reads or writes there; what is external among them is
 * copied to local memory, the call is made, and what it wrote is copied back
 * (call_copy.c). Calls that move data, take lists of buffers, or take pages or
 * descriptors away have a function of their own (call_serve.c), which in most
 * cases is the one that serves libc's callers; so have some that wait for long
 * (call_wait.c). Where the number does not tell
 * the shape (ioctl, above all) the memory is pinned: as much as an ioctl's
 * number says, else to the end of the next page, which is enough for anything
 * flat. A struct that leads to another one, in such a call, is out of reach: the
 * kernel answers EFAULT, as it would for any bad address.
 *
 * The same table tells the filter (trap.c) which arguments are addresses.
 *
 * Runs in the handler of trap.c: no heap, no locks but the library's.
 */
#include "preload/call.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#define V { VALUE, 0, 0 }
#define S { NAME, 0, 0 }
#define I(size) { IN, 0, size }
#define O(size) { OUT, 0, size }
#define X(size) { BOTH, 0, size }
#define IB(by, size) { IN_BY, by, size }
#define OB(by, size) { OUT_BY, by, size }
#define OL(by) { OUT_LENGTH, by, 0 }
#define B(by) { BITS, by, 0 }
#define L(by) { POLLED, by, 0 }
#define M { MASK, 0, 0 }
#define MP { MASK_PAIR, 0, 0 }
#define P { PINNED, 0, 0 }
#define D { SERVED, 0, 0 }
#define A { NAMED, 0, 0 }
#define SHAPE(name, ...) [SYS_##name] = { { __VA_ARGS__ } }
#define SERVE(name, ...) [SYS_##name] = { { __VA_ARGS__ }, .serve = call_##name }
#define LIST(name, ...)                                                       \
	[SYS_##name] = { { __VA_ARGS__ }, .serve = call_##name, .always = true }
/* With a mask: syscall(2)'s wrapper takes our signals out of it. */
#define MASKED(name, ...) [SYS_##name] = { { __VA_ARGS__ }, .always = true }
#define TAKE(name, what) [SYS_##name] = { .serve = call_##name, .check = what }
#define REFUSE(name) [SYS_##name] = { .check = CALL_NOSYS }

/* Sizes are the kernel's, of 64-bit machines. */
enum {
	STAT = 144, STATX = 256, STATFS = 120, TIMESPEC = 16, TIMEVAL = 16,
	SIGSET = 8, SIGINFO = 128, RUSAGE = 144, EPOLL = 12,
	TIMER = 32, LIMIT = 16, SIGACTION = 32, UTSNAME = 390,
};

static const struct call_shape shapes[] = {
#ifdef SYS_open /* those that newer machines do without */
	SHAPE(open, S), SHAPE(creat, S), SHAPE(stat, S, O(STAT)),
	SHAPE(lstat, S, O(STAT)), SHAPE(access, S), SHAPE(mkdir, S),
	SHAPE(readlink, S, OB(2, 1)), SHAPE(rmdir, S), SHAPE(unlink, S),
	SHAPE(rename, S, S), SHAPE(link, S, S), SHAPE(symlink, S, S),
	SHAPE(chmod, S), SHAPE(chown, S), SHAPE(lchown, S), SHAPE(mknod, S),
	SHAPE(utime, S, I(16)), SHAPE(utimes, S, I(2 * TIMEVAL)),
	SHAPE(futimesat, V, S, I(2 * TIMEVAL)),
	SHAPE(getdents, V, OB(2, 1)), SHAPE(poll, L(1)),
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
	MASKED(ppoll, L(1), V, X(TIMESPEC), M),
	MASKED(pselect6, V, B(0), B(0), B(0), X(TIMESPEC), MP),
	SHAPE(epoll_ctl, V, V, V, I(EPOLL)),
	MASKED(epoll_pwait, V, OB(2, EPOLL), V, V, M),
#ifdef SYS_epoll_pwait2
	MASKED(epoll_pwait2, V, OB(2, EPOLL), V, I(TIMESPEC), M),
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
	MASKED(rt_sigsuspend, M), SHAPE(signalfd4, V, I(SIGSET)),
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

	SERVE(ioctl, V, V, P), SERVE(fcntl, V, V, D),
	SHAPE(prctl, V, P, P, P, P), SHAPE(mount, P, P, P, V, P),
	SHAPE(bpf, V, P), SHAPE(perf_event_open, P),
	SHAPE(keyctl, V, P, P, P, P), SHAPE(name_to_handle_at, V, P, P, P),
	SHAPE(open_by_handle_at, V, P), LIST(process_vm_readv, V, D, V, D),
	LIST(process_vm_writev, V, D, V, D), SERVE(mincore, A, V, P),
	SHAPE(get_mempolicy, P, P), SHAPE(set_mempolicy, V, P),
	SHAPE(mbind, V, V, V, P), SHAPE(move_pages, V, V, P, P, P),
	SHAPE(migrate_pages, V, V, P, P), SHAPE(shmctl, V, V, P),
	SHAPE(semctl, V, V, V, P), SHAPE(msgctl, V, V, P),
	SERVE(msgsnd, V, D), SERVE(msgrcv, V, D),
	SHAPE(sched_setattr, V, P), SHAPE(sched_getattr, V, P),
	SHAPE(adjtimex, P), SHAPE(clock_adjtime, V, P),
	SHAPE(seccomp, V, V, P), SHAPE(quotactl, V, P, V, P),
	SHAPE(fanotify_mark, V, V, V, V, P), SHAPE(mq_getsetattr, V, P, P),
	SHAPE(mq_notify, V, P), SHAPE(swapon, P), SHAPE(swapoff, P),
#ifdef SYS_arch_prctl
	SHAPE(arch_prctl, V, P), SHAPE(modify_ldt, V, P),
#endif

	SERVE(read, V, D), SERVE(write, V, D), SERVE(pread64, V, D),
	SERVE(pwrite64, V, D), LIST(readv, V, D), LIST(writev, V, D),
	LIST(preadv, V, D), LIST(pwritev, V, D), LIST(preadv2, V, D),
	LIST(pwritev2, V, D), LIST(vmsplice, V, D),
	SERVE(recvfrom, V, D, V, V, D, D), SERVE(sendto, V, D, V, V, D),
	LIST(recvmsg, V, D), LIST(sendmsg, V, D),
	LIST(recvmmsg, V, D, V, V, D), LIST(sendmmsg, V, D),
	SERVE(getrandom, D), SERVE(execve, D, D, D), TAKE(futex, CALL_FUTEX),
	/* Of its caller's mask syscall(2)'s wrapper knows nothing: the filter's
	 * handler does. */
	[SYS_rt_sigprocmask] = { { V, D, D }, .trapped = true }, SERVE(sigaltstack, D, D),
	SERVE(execveat, V, D, D, D), SERVE(futex_wait, D, V, V, V, D),
	SERVE(futex_wake, D), LIST(futex_waitv, D, V, V, D),
	LIST(futex_requeue, D), SERVE(clone3, D),

	SHAPE(landlock_create_ruleset, IB(1, 1)),
	SHAPE(landlock_add_rule, V, V, I(16)), SHAPE(cachestat, V, I(16), O(40)),
	SHAPE(fchmodat2, V, S), SHAPE(pidfd_send_signal, V, V, I(SIGINFO)),
	SHAPE(open_tree, V, S), SHAPE(move_mount, V, S, V, S),
	SHAPE(fsopen, S), SHAPE(fspick, V, S), SHAPE(fsconfig, V, V, S, P),
	SHAPE(mount_setattr, V, S, V, IB(4, 1)),

	SERVE(mmap, A), SERVE(mremap, A, V, V, V, A), SERVE(shmat, V, A),
	LIST(process_madvise, V, D),

	/* These take pages away: memory from argument 0 on, argument 1 bytes. */
	TAKE(munmap, CALL_PLACE), TAKE(madvise, CALL_PLACE),
	TAKE(mprotect, CALL_PLACE), TAKE(pkey_mprotect, CALL_PLACE),
	TAKE(mlock, CALL_PLACE), TAKE(mlock2, CALL_PLACE),
	[SYS_mlockall] = { .serve = call_mlockall, .always = true },
	/* And these descriptors. */
	TAKE(close, CALL_CLOSE), TAKE(dup3, CALL_DUP),
	TAKE(close_range, CALL_CLOSE_RANGE),
#ifdef SYS_dup2
	TAKE(dup2, CALL_DUP),
#endif
	/* The kernel would touch memory when nobody watches. */
	REFUSE(io_uring_setup), REFUSE(io_uring_enter),
	REFUSE(io_uring_register), REFUSE(io_setup),
};

#define SHAPES_COUNT (sizeof(shapes) / sizeof(shapes[0]))

/* --- what is asked of it ---------------------------------------------------------- */

unsigned call_count(void)
{
	return SHAPES_COUNT;
}

unsigned call_shape_check(unsigned number, bool kernel)
{
	const struct call_shape *shape = &shapes[number];
	unsigned set = 0;

	if (number >= SHAPES_COUNT)
		return 0;
	if ((shape->check == CALL_NOSYS || shape->check == CALL_FUTEX) && kernel)
		return 0;
	if (shape->check != 0)
		return shape->check;
	for (unsigned i = 0; i < 6; i++) {
		enum call_kind kind = (enum call_kind)shape->part[i].kind;

		if (kind == NAMED || (kind != VALUE && !kernel))
			set |= 1u << i;
	}
	return set;
}

unsigned call_futex_set(unsigned operation)
{
	switch (operation & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_LOCK_PI:
	case FUTEX_WAIT_BITSET:
	case CALL_FUTEX_LOCK_PI2:
		return 1u << 0 | 1u << 3; /* the word, how long */
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_WAKE_OP:
	case FUTEX_CMP_REQUEUE_PI:
		return 1u << 0 | 1u << 4; /* two words */
	case FUTEX_WAIT_REQUEUE_PI:
		return 1u << 0 | 1u << 3 | 1u << 4;
	default:
		return 1u << 0;
	}
}

static long serve(long number, const long arguments[6])
{
	const struct call_shape *shape = &shapes[number];
	bool pinned = false;

	if ((size_t)number >= SHAPES_COUNT)
		return call_by_pins(number, arguments);
	if (shape->serve)
		return shape->serve(arguments);
	for (int i = 0; i < 6; i++)
		pinned |= shape->part[i].kind == PINNED;
	return pinned ? call_by_pins(number, arguments)
		      : call_by_copies(number, shape, arguments);
}

long call_serve(long number, const long arguments[6])
{
	atomic_fetch_add_explicit(&shim_shared->trap_count, 1,
				  memory_order_relaxed);
	return serve(number, arguments);
}

bool call_made(long number, const long arguments[6], long *ret)
{
	unsigned check;
	bool ours = false;

	if ((unsigned long)number >= SHAPES_COUNT)
		return false;
	check = call_shape_check((unsigned)number, shim_kernel_faults);
	if (check == CALL_NOSYS) {
		*ret = -ENOSYS;
		return true;
	}
	if (check == CALL_FUTEX)
		check = call_futex_set((unsigned)arguments[1]);
	for (int i = 0; check < CALL_SETS && i < 6; i++)
		ours |= (check >> i & 1) != 0 &&
			map_touches((const void *)arguments[i], 1);
	if (check == CALL_PLACE)
		ours = map_touches((const void *)arguments[0],
				   (size_t)arguments[1]);
	if (check > CALL_PLACE || shapes[number].always)
		ours = true;
	if (!ours || shapes[number].trapped)
		return false;
	*ret = serve(number, arguments);
	return true;
}
