/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each thread of the program has of its own: a stack on which faults and
 * trapped calls are served, and a bounce buffer for small data.
 *
 * A fault is served on the thread that met it. That thread's stack may be small, or
 * almost full, or belong to a coroutine and be in external memory that is absent;
 * then the kernel could not even deliver the signal. So every thread has an
 * alternate signal stack in local memory. A program that sets one of its own is
 * told that it is set. If that one is local and large enough it is really used,
 * else ours stays.
 *
 * Threads that are started while the library is at work are the library's: all
 * their memory is local.
 */
#include "preload/shim.h"

#include <limits.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define STACK_SIZE ((size_t)128 << 10)
/* Deep enough for a fault that is met while a call is served. */
#define STACK_MIN ((size_t)64 << 10)

struct thread {
	char *stack, *bounce;
	stack_t program; /* what the program has asked for */
	bool parked;
	unsigned bounce_level; /* of handlers, in which it was taken */
	bool bounce_taken, ended, counted;
	bool leaving; /* its other keys' destructors run first */
};

static _Thread_local struct thread thread
	__attribute__((tls_model("initial-exec")));
static pthread_key_t key;
static bool key_made;

static int set_stack(const stack_t *stack)
{
	return (int)shim_raw(SYS_sigaltstack, (long)stack, 0, 0, 0, 0, 0);
}

/* --- the bounce buffer ---------------------------------------------------------------- */

char *thread_bounce_take(struct bounce *ret)
{
	ret->mine = false;
	if (thread.bounce_taken || thread.ended)
		return NULL;
	if (!thread.bounce)
		thread.bounce = local_take(BOUNCE_MAX);
	if (!thread.bounce)
		return NULL;
	thread.bounce_taken = true;
	thread.bounce_level = handler_level();
	ret->mine = true;
	return thread.bounce;
}

void thread_bounce_give(void *p)
{
	struct bounce *bounce = p;

	if (bounce->mine)
		thread.bounce_taken = false;
}

void thread_bounce_left(unsigned level)
{
	if (thread.bounce_taken && thread.bounce_level >= level)
		thread.bounce_taken = false;
}

/* --- the stack ------------------------------------------------------------------- */

static bool suffices(const stack_t *stack)
{
	return (stack->ss_flags & SS_DISABLE) == 0 &&
	       stack->ss_size >= STACK_MIN &&
	       !block_contains(stack->ss_sp, stack->ss_size);
}

SHIM_EXPORT int sigaltstack(const stack_t *stack, stack_t *ret)
{
	stack_t now, before;
	long r;

	if (!thread.stack || shim_inside)
		return shim_real()->sigaltstack(stack, ret);
	r = shim_raw(SYS_sigaltstack, 0, (long)&now, 0, 0, 0, 0);
	if (r < 0)
		goto fail;
	before = thread.program;
	before.ss_flags |= now.ss_flags & SS_ONSTACK;
	if (stack && (now.ss_flags & SS_ONSTACK) != 0) {
		r = -EPERM;
		goto fail;
	}
	/* The highest is SS_AUTODISARM of <linux/signal.h>. */
	if (stack && (stack->ss_flags & ~(SS_DISABLE | INT_MIN)) != 0) {
		r = -EINVAL;
		goto fail;
	}
	if (stack && (stack->ss_flags & SS_DISABLE) == 0 &&
	    stack->ss_size < 2048) {
		r = -ENOMEM;
		goto fail;
	}
	if (stack) {
		thread.program = *stack;
		if (suffices(stack))
			now = *stack;
		else
			now = (stack_t){ .ss_sp = thread.stack,
					 .ss_size = STACK_SIZE };
		set_stack(&now);
	}
	if (ret)
		*ret = before;
	return 0;
fail:
	errno = (int)-r;
	return -1;
}

/* --- the library's, and the others ------------------------------------------------- */

#define OURS_MAX 256

static _Atomic int own[OURS_MAX]; /* threads of the library's; 0: none */
static _Atomic int ours_coming; /* begun, and not yet among them */
static _Atomic bool stopping;
static _Atomic unsigned parked_count;

void thread_ours_coming(int more)
{
	atomic_fetch_add(&ours_coming, more);
}

void thread_ours(bool is)
{
	int me = gettid(), from = is ? 0 : me, expected;

	for (int i = 0; i < OURS_MAX; i++) {
		expected = from;
		if (atomic_compare_exchange_strong(&own[i], &expected,
						   is ? me : 0))
			break;
	}
	if (is)
		thread_ours_coming(-1);
}

bool thread_ours_at(unsigned index, int *ret)
{
	if (index >= OURS_MAX)
		return false;
	*ret = atomic_load(&own[index]);
	return true;
}

static bool is_ours(int tid)
{
	for (int i = 0; i < OURS_MAX; i++)
		if (atomic_load(&own[i]) == tid)
			return true;
	return false;
}

bool thread_stopping(void)
{
	return atomic_load(&stopping);
}

_Noreturn void thread_park(void)
{
	const uint64_t all = UINT64_MAX;

	shim_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, sizeof(all),
		 0, 0);
	if (!thread.parked)
		atomic_fetch_add(&parked_count, 1);
	thread.parked = true;
	for (;;)
		shim_raw(SYS_rt_sigsuspend, (long)&all, sizeof(all), 0, 0, 0,
			 0);
}

/* The first thread has ended: it is among the others until the process ends. */
static _Atomic bool first_ended;
static const char mark; /* what a signal of ours has with it */

bool thread_signaled(const siginfo_t *info)
{
	return info->si_code == SI_QUEUE && info->si_value.sival_ptr == &mark;
}

/* The program's threads but this one: how many; each is sent a signal, or not. */
static unsigned others(bool signals)
{
	siginfo_t info = { .si_signo = SIGSYS, .si_code = SI_QUEUE };

	_Alignas(struct dirent64) char buffer[4096];
	int fd = (int)shim_raw(SYS_openat, AT_FDCWD, (long)"/proc/self/task",
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
	unsigned count = 0;
	long n;

	if (fd < 0)
		return 0;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_ptr = (void *)(uintptr_t)&mark;
	while ((n = shim_raw(SYS_getdents64, fd, (long)buffer, sizeof(buffer),
			     0, 0, 0)) > 0)
		for (long at = 0; at < n;) {
			const struct dirent64 *e =
				(const void *)(buffer + at);
			int tid = atoi(e->d_name);

			at += e->d_reclen;
			if (tid <= 0 || tid == gettid() || is_ours(tid) ||
			    (tid == getpid() && atomic_load(&first_ended)))
				continue;
			count++;
			if (signals)
				shim_raw(SYS_rt_tgsigqueueinfo, getpid(), tid,
					 SIGSYS, (long)&info, 0, 0);
		}
	shim_raw(SYS_close, fd, 0, 0, 0, 0, 0);
	return count;
}

unsigned thread_signal_others(void)
{
	return others(true);
}

#define STOP_TRIES 500

/* Those that are in the library stop as they leave it; one that does not within
 * half a second is left to stop when it will. */
void thread_stop_others(void)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	atomic_store(&stopping, true);
	for (int i = 0; i < STOP_TRIES; i++) {
		if (atomic_load(&ours_coming) == 0 &&
		    thread_signal_others() <= atomic_load(&parked_count))
			return;
		nanosleep(&nap, NULL);
	}
}

/* --- begin and end ------------------------------------------------------------------ */

static _Atomic int counted; /* threads of the program that are known here */
#define NAP_MAX 50000000

static void count(void)
{
	if (thread.counted)
		return;
	thread.counted = true;
	atomic_fetch_add(&counted, 1);
}

/* Those that are counted have all left, and some are still to be seen: on their way out,
 * or begun by an instruction of the program's own. The process goes on as long as
 * these do. A filter of the program's own may forbid to look. */
static bool are_gone(void)
{
	struct timespec nap = { .tv_nsec = 100000 };

	while (atomic_load(&counted) == 0 && !confine_is() && others(false) > 0) {
		nanosleep(&nap, NULL);
		if (nap.tv_nsec < NAP_MAX)
			nap.tv_nsec *= 2;
	}
	return atomic_load(&counted) == 0;
}

bool thread_leave(void)
{
	if (gettid() == getpid())
		atomic_store(&first_ended, true);
	if (!thread.counted)
		return false;
	thread.counted = false;
	return atomic_fetch_sub(&counted, 1) == 1 && are_gone();
}

void thread_forked(void)
{
	atomic_store(&counted, 1);
	atomic_store(&first_ended, false);
}

/* libc ends the process with its last thread, and ours are threads to it. */
static void end(void *unused)
{
	const stack_t none = { .ss_flags = SS_DISABLE };

	(void)unused;
	if (!thread.leaving) {
		thread.leaving = true;
		pthread_setspecific(key, &thread); /* in the next round */
		return;
	}
	if (thread_leave())
		exit(0);
	thread.ended = true;
	arena_thread_end();
	if (thread.stack && set_stack(&none) >= 0)
		local_give(thread.stack, STACK_SIZE);
	if (thread.bounce && !thread.bounce_taken)
		local_give(thread.bounce, BOUNCE_MAX);
	thread.stack = NULL;
	thread.bounce = NULL;
}

void thread_begin(void)
{
	stack_t now = { .ss_flags = SS_DISABLE }, ours;

	if (thread.stack || !key_made)
		return;
	thread.stack = local_take(STACK_SIZE);
	if (!thread.stack)
		return;
	shim_raw(SYS_sigaltstack, 0, (long)&now, 0, 0, 0, 0);
	if (shim_inside == 0)
		count();
	thread.program = now;
	ours = (stack_t){ .ss_sp = thread.stack, .ss_size = STACK_SIZE };
	if (!suffices(&now))
		set_stack(&ours);
	pthread_setspecific(key, &thread);
}

void thread_start(void)
{
	key_made = pthread_key_create(&key, end) == 0;
	thread_begin();
	count(); /* although the library is at work */
}

struct begin {
	void *(*routine)(void *);
	void *argument;
	bool inside;
};

void thread_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	sigaddset(&set, SIGSYS);
	shim_real()->pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	thread_begin();
}

/* The program's signals are for the program's threads. */
static void close_signals(void)
{
	sigset_t most;

	sigfillset(&most);
	signal_open_mask(&most);
	shim_real()->pthread_sigmask(SIG_SETMASK, &most, NULL);
}

static void *begin(void *p)
{
	struct begin b = *(struct begin *)p;
	void *r;

	shim_real()->free(p);
	if (!b.inside) {
		thread.counted = true; /* by its parent */
		thread_open();
		return b.routine(b.argument);
	}
	shim_inside = 1;
	thread_ours(true);
	close_signals();
	r = b.routine(b.argument);
	thread_ours(false);
	return r;
}

SHIM_EXPORT int pthread_create(pthread_t *ret, const pthread_attr_t *attributes,
			       void *(*routine)(void *), void *argument)
{
	bool inside = shim_inside ||
		      whose_library(__builtin_return_address(0));
	struct begin *b;
	int r;

	if (!inside && !shim_begun)
		return shim_real()->pthread_create(ret, attributes, routine,
						   argument);
	b = shim_real()->malloc(sizeof(*b));
	if (!b)
		return EAGAIN;
	*b = (struct begin){ routine, argument, inside };
	if (inside)
		thread_ours_coming(1);
	else
		atomic_fetch_add(&counted, 1);
	r = shim_real()->pthread_create(ret, attributes, begin, b);
	if (r == 0)
		return 0;
	if (inside)
		thread_ours_coming(-1);
	else
		atomic_fetch_sub(&counted, 1);
	shim_real()->free(b);
	return r;
}

/* A thread's descriptor is on its stack, and the kernel writes there as the
 * thread ends, when nobody is left to make it present. */
SHIM_EXPORT int pthread_attr_setstack(pthread_attr_t *attributes, void *stack,
				      size_t size)
{
	if (!block_contains(stack, size))
		return shim_real()->pthread_attr_setstack(attributes, stack,
							  size);
	return pthread_attr_setstacksize(attributes, size);
}
