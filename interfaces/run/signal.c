/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIGBUS and SIGSYS stay ours and unblocked: faults arrive by the one, system
 * calls that are given external memory by the other.
 *
 * In front of everything stands on_fault(): it hands a fault to the library as
 * the library's own work (what is allocated meanwhile is local, and the thread
 * cannot be cancelled in the middle of it). What is not the library's, and a
 * page that is lost, the library passes on to on_bus(), which was there
 * before; that passes it on to the program's handler, kept in `program`, which
 * is what the program sees when it asks. Masks that would block the two have
 * them taken out.
 *
 * Some providers' libraries (PSM's) install handlers for crashes as they are
 * loaded, which print and exit(1): a program that is ended by a signal has to
 * be seen as that, so those are removed before the program begins.
 */
#include "fork.h"

#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code; older headers have it for the kernel alone */
#endif

static struct sigaction program[2]; /* of SIGBUS, of SIGSYS */
static struct sigaction library;    /* of SIGBUS; none with faults by a thread */
static pthread_mutex_t action_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_ours(int number)
{
	return number == SIGBUS || number == SIGSYS;
}

/* The statistics thread says who was lost; give it two rounds. */
static void await_figures(void)
{
	const struct timespec nap = { .tv_nsec = 10000000 };
	uint32_t from = atomic_load(&shim_shared->generation);

	for (int i = 0; i < 50; i++) {
		if (atomic_load(&shim_shared->generation) - from >= 4)
			return;
		nanosleep(&nap, NULL);
	}
}

/* To the program's handler, as if it had been alone; it may never return. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	const struct sigaction plain = { .sa_handler = SIG_DFL };
	const struct sigaction *action = &program[number == SIGSYS];
	struct sigaction now = *action;
	int inside = shim_inside;

	shim_inside = 0;
	if (inside) /* the library's handler blocks all that can be */
		shim_real()->pthread_sigmask(
			SIG_SETMASK, &((ucontext_t *)context)->uc_sigmask,
			NULL);
	if ((now.sa_flags & SA_RESETHAND) != 0)
		program[number == SIGSYS] = plain;
	if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction) {
		now.sa_sigaction(number, info, context);
	} else if (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN) {
		now.sa_handler(number);
	} else if (info->si_code > 0 || now.sa_handler == SIG_DFL) {
		shim_reals.sigaction(number, &plain, NULL);
		if (info->si_code <= 0 || number == SIGSYS)
			raise(number); /* it would not recur */
	}
	shim_inside = inside;
}

static void on_bus(int number, siginfo_t *info, void *context)
{
	uint64_t none = 0;

	if (atomic_load(&child_serves) && info->si_code > 0 &&
	    child_fault(info->si_addr, context))
		return;
	if (atomic_load(&shim_ready) && block_contains(info->si_addr, 1) &&
	    info->si_code > 0) {
		broker_lost();
		atomic_compare_exchange_strong(&shim_shared->lost_address,
					       &none,
					       (uintptr_t)info->si_addr);
		await_figures();
	}
	pass_on(number, info, context);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	int cancel, error = errno;

	if (!atomic_load(&shim_ready)) {
		on_bus(number, info, context);
		errno = error;
		return;
	}
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	shim_inside++;
	if (block_keeps_contents())
		fork_throttle();
	library.sa_sigaction(number, info, context);
	shim_inside--;
	pthread_setcancelstate(cancel, NULL);
}

static void on_call(int number, siginfo_t *info, void *context)
{
	if (info->si_code == SYS_SECCOMP && trap_installed)
		trap_serve(info, context);
	else
		pass_on(number, info, context);
}

static void remove_handlers_of_libraries(void)
{
	const struct sigaction plain = { .sa_handler = SIG_DFL };
	struct sigaction action;

	for (int number = 1; number < 32; number++)
		if (shim_real()->sigaction(number, NULL, &action) == 0 &&
		    action.sa_handler != SIG_DFL &&
		    action.sa_handler != SIG_IGN &&
		    shim_called_by_library((void *)action.sa_handler))
			shim_real()->sigaction(number, &plain, NULL);
}

void signal_start(void)
{
	struct sigaction action = {
		.sa_sigaction = on_bus,
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
	};
	sigset_t set;

	remove_handlers_of_libraries();
	shim_real()->sigaction(SIGBUS, &action, &program[0]);
	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	sigaddset(&set, SIGSYS);
	shim_real()->pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void signal_opened(void)
{
	struct sigaction action = {
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
	};

	shim_real()->sigaction(SIGBUS, NULL, &library);
	if (library.sa_sigaction != on_bus) {
		/* Its mask is all signals: no handler runs in between. */
		struct sigaction front = library;

		front.sa_sigaction = on_fault;
		shim_real()->sigaction(SIGBUS, &front, NULL);
	}
	action.sa_sigaction = on_call;
	shim_real()->sigaction(SIGSYS, &action, &program[1]);
}

/* --- what the program asks for ------------------------------------------------------ */

static bool ours(void)
{
	return atomic_load(&shim_ready) && !shim_inside;
}

static void open_mask(sigset_t *set)
{
	sigdelset(set, SIGBUS);
	sigdelset(set, SIGSYS);
}

SHIM_EXPORT int sigaction(int number, const struct sigaction *action,
			  struct sigaction *ret)
{
	struct sigaction open, before;

	if (!ours())
		return shim_real()->sigaction(number, action, ret);
	if (!is_ours(number)) {
		if (action) {
			open = *action;
			open_mask(&open.sa_mask);
			action = &open;
		}
		if (shim_real()->sigaction(number, action,
					   ret ? &before : NULL) < 0)
			return -1;
		if (ret)
			*ret = before;
		return 0;
	}
	pthread_mutex_lock(&action_lock);
	before = program[number == SIGSYS];
	if (action)
		program[number == SIGSYS] = *action;
	pthread_mutex_unlock(&action_lock);
	if (ret)
		*ret = before;
	return 0;
}

static sighandler_t set_handler(int number, sighandler_t handler, int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	struct sigaction before;

	sigaction(number, &action, &before);
	return before.sa_handler;
}

SHIM_EXPORT sighandler_t signal(int number, sighandler_t handler)
{
	if (!is_ours(number) || !ours())
		return shim_real()->signal(number, handler);
	return set_handler(number, handler, SA_RESTART);
}

/* What signal() is for programs that ask for System V, or plain C. */
SHIM_EXPORT sighandler_t __sysv_signal(int number, sighandler_t handler)
{
	if (!is_ours(number) || !ours())
		return shim_real()->__sysv_signal(number, handler);
	return set_handler(number, handler, SA_RESETHAND | SA_NODEFER);
}

SHIM_EXPORT sighandler_t sysv_signal(int number, sighandler_t handler)
	__attribute__((alias("__sysv_signal")));

/* Gone from glibc's headers, still called by old programs. */
sighandler_t bsd_signal(int, sighandler_t);

SHIM_EXPORT sighandler_t bsd_signal(int number, sighandler_t handler)
{
	return signal(number, handler);
}

SHIM_EXPORT sighandler_t ssignal(int number, sighandler_t handler)
{
	return signal(number, handler);
}

SHIM_EXPORT sighandler_t sigset(int number, sighandler_t handler)
{
	if (!is_ours(number) || !ours())
		return shim_real()->sigset(number, handler);
	if (handler == SIG_HOLD)
		return program[number == SIGSYS].sa_handler;
	return set_handler(number, handler, 0);
}

SHIM_EXPORT int sighold(int number)
{
	if (is_ours(number) && ours())
		return 0;
	return shim_real()->sighold(number);
}

static const sigset_t *opened(const sigset_t *set, sigset_t *local)
{
	if (!set || !ours() ||
	    (sigismember(set, SIGBUS) != 1 && sigismember(set, SIGSYS) != 1))
		return set;
	*local = *set;
	open_mask(local);
	return local;
}

SHIM_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *ret)
{
	sigset_t local;

	if (how != SIG_UNBLOCK)
		set = opened(set, &local);
	return shim_real()->sigprocmask(how, set, ret);
}

SHIM_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *ret)
{
	sigset_t local;

	if (how != SIG_UNBLOCK)
		set = opened(set, &local);
	return shim_real()->pthread_sigmask(how, set, ret);
}

SHIM_EXPORT int sigsuspend(const sigset_t *set)
{
	sigset_t local;

	return shim_real()->sigsuspend(opened(set, &local));
}

/* Handlers that run while these wait have the mask they were given. */
SHIM_EXPORT int ppoll(struct pollfd *list, nfds_t count,
		      const struct timespec *timeout, const sigset_t *set)
{
	sigset_t local;

	return shim_real()->ppoll(list, count, timeout, opened(set, &local));
}

SHIM_EXPORT int pselect(int count, fd_set *readable, fd_set *writable,
			fd_set *special, const struct timespec *timeout,
			const sigset_t *set)
{
	sigset_t local;

	return shim_real()->pselect(count, readable, writable, special,
				    timeout, opened(set, &local));
}

SHIM_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int count,
			    int timeout_ms, const sigset_t *set)
{
	sigset_t local;

	return shim_real()->epoll_pwait(fd, events, count, timeout_ms,
					opened(set, &local));
}
