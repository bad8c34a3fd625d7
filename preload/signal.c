/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIGBUS and SIGSYS stay ours and unblocked: faults are delivered as SIGBUS, and
 * system calls that are given external memory as SIGSYS.
 *
 * Handlers of SIGBUS are a chain of three. on_fault() comes first: it marks the
 * thread as working for the library (its allocations are local, and it cannot be
 * cancelled) and calls the library's handler. That one passes on lost pages and
 * addresses that are not its own to on_bus(), which was installed before it.
 * on_bus() calls the program's handler, which is kept in `program`; sigaction()
 * tells the program that this one is installed. Wherever a signal mask is set
 * through libc, the two signals are taken out of it. For all other signals see
 * handler.c.
 *
 * Some libraries of providers (PSM's) install handlers for crashes when they are
 * loaded, which print something and call exit(1). A program that is ended by a
 * signal must be seen to be ended by it, so these handlers are removed before the
 * program begins.
 */
#include "preload/fork.h"
#include "preload/record.h"

#include <mqueue.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code; older headers have it for the kernel alone */
#endif

static struct sigaction program[2]; /* of SIGBUS, of SIGSYS */
static struct sigaction library;    /* of SIGBUS; none with faults by a thread */
static bool started;
static pid_t self; /* whose `program` it is: not a child's of vfork() */

static bool is_ours(int number)
{
	return number == SIGBUS || number == SIGSYS;
}

void signal_open_mask(sigset_t *set)
{
	sigdelset(set, SIGBUS);
	sigdelset(set, SIGSYS);
}

bool signal_blocks_ours(const sigset_t *set)
{
	return sigismember(set, SIGBUS) == 1 || sigismember(set, SIGSYS) == 1;
}

#define FIGURES_TRIES 300

/* The statistics thread says who was lost; give it two rounds. One is over in a
 * tenth of a second, unless the thread just asks an appliance what it has left
 * (figures.c), or has no processor. */
static void await_figures(void)
{
	const struct timespec nap = { .tv_nsec = 10000000 };
	uint32_t from = atomic_load(&shim_shared->generation);

	for (int i = 0; i < FIGURES_TRIES; i++) {
		if (atomic_load(&shim_shared->generation) - from >= 4)
			return;
		nanosleep(&nap, NULL);
	}
}

/* To the program's handler, as if it had been alone; it may never return. All
 * that can be is blocked here. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	const struct sigaction plain = { .sa_handler = SIG_DFL };
	const struct sigaction now = program[number == SIGSYS];

	shim_real()->pthread_sigmask(SIG_SETMASK,
				     &((ucontext_t *)context)->uc_sigmask,
				     NULL);
	if ((now.sa_flags & SA_RESETHAND) != 0)
		program[number == SIGSYS] = plain;
	if (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN) {
		/* What asks for one argument has no use for three. */
		handler_call(now.sa_sigaction, number, info, context);
	} else if (info->si_code > 0 || now.sa_handler == SIG_DFL) {
		shim_reals.sigaction(number, &plain, NULL);
		if (info->si_code <= 0 || number == SIGSYS)
			raise(number); /* it would not recur */
	}
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
	figures_waits();
	if (block_keeps_contents())
		fork_throttle();
	library.sa_sigaction(number, info, context);
	shim_inside--;
	pthread_setcancelstate(cancel, NULL);
}

static void on_call(int number, siginfo_t *info, void *context)
{
	const bool ours = thread_signaled(info);

	if (info->si_code == SYS_SECCOMP && trap_installed &&
	    info->si_errno == TRAP_MARK)
		trap_serve(info, context);
	else if (ours && shim_inside && (thread_stopping() || confine_is_asked()))
		handler_wait(number, info, context);
	else if (ours && thread_stopping())
		thread_park();
	else if (ours)
		confine_thread(); /* or it came too late */
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
		    whose_library((void *)action.sa_handler))
			shim_real()->sigaction(number, &plain, NULL);
}

void signal_start(void)
{
	struct sigaction action = {
		.sa_sigaction = on_bus,
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
	};
	sigset_t set;

	sigfillset(&action.sa_mask); /* no handler runs in between */
	signal_open_mask(&action.sa_mask);
	remove_handlers_of_libraries();
	shim_real()->sigaction(SIGBUS, &action, &program[0]);
	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	sigaddset(&set, SIGSYS);
	shim_real()->pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void signal_opened(void)
{
	shim_real()->sigaction(SIGBUS, NULL, &library);
	if (library.sa_sigaction != on_bus) {
		/* Its mask is all signals: no handler runs in between. */
		struct sigaction front = library;

		front.sa_sigaction = record_before(on_fault);
		shim_real()->sigaction(SIGBUS, &front, NULL);
	}
}

void signal_begin(void)
{
	struct sigaction action = {
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK | SA_RESTART,
	};

	action.sa_sigaction = on_call;
	shim_real()->sigaction(SIGSYS, &action, &program[1]);
	self = getpid();
	started = true;
}

void signal_forked(void)
{
	self = getpid();
}

/* --- what the program asks for ------------------------------------------------------ */

/* What libraries of providers ask for as they are loaded is not done: the program
 * has its own handlers by then. The library's handler is for SIGBUS. */
static bool strange(int number, const void *caller)
{
	return shim_inside && opening_under_way() &&
	       !(number == SIGBUS && whose_library(caller));
}

/* In children of fork() too, with the parent's memory or without: what they
 * ask for is never in the kernel's table alone. */
static bool ours(void)
{
	return started && !shim_inside;
}

SHIM_EXPORT int sigaction(int number, const struct sigaction *action,
			  struct sigaction *ret)
{
	struct sigaction open, before;

	if (action && strange(number, __builtin_return_address(0)))
		action = NULL;
	if (!ours() || number < 1 || number >= NSIG)
		return shim_real()->sigaction(number, action, ret);
	if (action) {
		open = *action;
		signal_open_mask(&open.sa_mask);
		action = &open;
	}
	if (!is_ours(number))
		return handler_action(number, action, ret);
	before = program[number == SIGSYS];
	if (action && getpid() == self)
		program[number == SIGSYS] = open;
	if (ret)
		*ret = before;
	return 0;
}

static sighandler_t set_handler(int number, sighandler_t handler, int flags,
				bool masked)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	struct sigaction before;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (masked)
		sigaddset(&action.sa_mask, number);
	return sigaction(number, &action, &before) < 0 ? SIG_ERR
						       : before.sa_handler;
}

static _Atomic bool interrupts[NSIG];

SHIM_EXPORT int siginterrupt(int number, int interrupt)
{
	int r = shim_real()->siginterrupt(number, interrupt);

	if (r == 0)
		atomic_store(&interrupts[number], interrupt != 0);
	return r;
}

SHIM_EXPORT sighandler_t signal(int number, sighandler_t handler)
{
	if (strange(number, NULL))
		return SIG_DFL;
	if (!ours() || number < 1 || number >= NSIG)
		return shim_real()->signal(number, handler);
	return set_handler(number, handler,
			   atomic_load(&interrupts[number]) ? 0 : SA_RESTART,
			   true);
}

/* What signal() is for programs that ask for System V, or plain C. */
SHIM_EXPORT sighandler_t __sysv_signal(int number, sighandler_t handler)
{
	if (!ours())
		return shim_real()->__sysv_signal(number, handler);
	return set_handler(number, handler, SA_RESETHAND | SA_NODEFER, false);
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

/* Says SIG_HOLD where the signal was blocked. */
SHIM_EXPORT sighandler_t sigset(int number, sighandler_t handler)
{
	struct sigaction before;
	sigset_t one, mask;

	if (!ours() || sigaction(number, NULL, &before) < 0)
		return shim_real()->sigset(number, handler);
	if (handler == SIG_HOLD && is_ours(number))
		return before.sa_handler;
	sigemptyset(&one);
	sigaddset(&one, number);
	if (handler != SIG_HOLD &&
	    set_handler(number, handler, 0, false) == SIG_ERR)
		return SIG_ERR;
	sigprocmask(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &one,
		    &mask);
	return sigismember(&mask, number) == 1 ? SIG_HOLD : before.sa_handler;
}

SHIM_EXPORT int sigignore(int number)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	return sigaction(number, &ignore, NULL);
}

/* The masks of old are one word. */
#define OLD_OURS ((int)(1u << (SIGBUS - 1) | 1u << (SIGSYS - 1)))

SHIM_EXPORT int sigblock(int mask)
{
	return shim_real()->sigblock(ours() ? mask & ~OLD_OURS : mask);
}

SHIM_EXPORT int sigsetmask(int mask)
{
	return shim_real()->sigsetmask(ours() ? mask & ~OLD_OURS : mask);
}

SHIM_EXPORT int sighold(int number)
{
	if (is_ours(number) && ours())
		return 0;
	return shim_real()->sighold(number);
}

static const sigset_t *opened(const sigset_t *set, sigset_t *local)
{
	if (!set || !ours() || !signal_blocks_ours(set))
		return set;
	*local = *set;
	signal_open_mask(local);
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

SHIM_EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int count,
			     const struct timespec *timeout,
			     const sigset_t *set)
{
	sigset_t local;

	return shim_real()->epoll_pwait2(fd, events, count, timeout,
					 opened(set, &local));
}

/* --- by number ------------------------------------------------------------------------ */

/* As the kernel has it on 64-bit machines. */
struct kernel_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

/* syscall(2) with what would take the two from us. */
bool signal_call(long number, const long a[6], long *ret)
{
	const uint64_t two = UINT64_C(1) << (SIGBUS - 1) |
			     UINT64_C(1) << (SIGSYS - 1);
	struct kernel_action action;
	uint64_t set;
	long r;

	if (!ours())
		return false;
	if (number == SYS_rt_sigprocmask && a[1] && a[0] != SIG_UNBLOCK) {
		set = *(const uint64_t *)a[1] & ~two;
		r = shim_real()->syscall(number, a[0], &set, a[2], a[3]);
	} else if (number == SYS_rt_sigaction && a[1] && is_ours((int)a[0])) {
		r = 0; /* they are virtual; who goes this way does not ask */
	} else if (number == SYS_rt_sigaction && a[1]) {
		action = *(const struct kernel_action *)a[1];
		action.mask &= ~two;
		r = shim_real()->syscall(number, a[0], &action, a[2], a[3]);
	} else {
		return false;
	}
	*ret = r;
	return true;
}

/* --- threads that libc begins --------------------------------------------------------- */

struct notified {
	void (*function)(union sigval);
	union sigval value;
};

/* A timer's function may be called any number of times. */
static void on_notified(union sigval value)
{
	const struct notified *n = value.sival_ptr;

	thread_open();
	n->function(n->value);
}

static void on_message(union sigval value)
{
	struct notified n = *(struct notified *)value.sival_ptr;

	shim_real()->free(value.sival_ptr);
	thread_open();
	n.function(n.value);
}

static const struct sigevent *notified(const struct sigevent *event,
				       struct sigevent *local,
				       void (*call)(union sigval))
{
	struct notified *n;

	if (!event || !ours() || event->sigev_notify != SIGEV_THREAD)
		return event;
	n = shim_real()->malloc(sizeof(*n));
	if (!n)
		return event;
	*n = (struct notified){ event->sigev_notify_function,
				event->sigev_value };
	*local = *event;
	local->sigev_notify_function = call;
	local->sigev_value.sival_ptr = n;
	return local;
}

SHIM_EXPORT int timer_create(clockid_t clock, struct sigevent *event,
			     timer_t *ret)
{
	struct sigevent local;
	const struct sigevent *mine = notified(event, &local, on_notified);

	return shim_real()->timer_create(clock, (struct sigevent *)mine, ret);
}

SHIM_EXPORT int mq_notify(mqd_t queue, const struct sigevent *event)
{
	struct sigevent local;

	return shim_real()->mq_notify(queue,
				      notified(event, &local, on_message));
}

/* libc's threads for these have all signals blocked while they are at it. */
static bool refused(const char *call, const void *control,
		    const volatile void *memory)
{
	if (!ours() || !present_possible() ||
	    (!block_contains(control, 1) &&
	     !block_contains((const void *)memory, 1)))
		return false;
	shim_say("%s: refused: libc has a thread for it that external memory "
		 "cannot come to; --threshold=SIZE keeps what is smaller local",
		 call);
	errno = ENOSYS;
	return true;
}

SHIM_EXPORT int aio_read64(struct aiocb64 *control)
{
	return refused("aio_read", control, control->aio_buf)
		       ? -1
		       : shim_real()->aio_read64(control);
}

SHIM_EXPORT int aio_write64(struct aiocb64 *control)
{
	return refused("aio_write", control, control->aio_buf)
		       ? -1
		       : shim_real()->aio_write64(control);
}

SHIM_EXPORT int aio_read(struct aiocb *control)
{
	return aio_read64((struct aiocb64 *)(void *)control);
}

SHIM_EXPORT int aio_write(struct aiocb *control)
{
	return aio_write64((struct aiocb64 *)(void *)control);
}

SHIM_EXPORT int aio_fsync(int operation, struct aiocb *control)
{
	return refused("aio_fsync", control, NULL)
		       ? -1
		       : shim_real()->aio_fsync(operation, control);
}

SHIM_EXPORT int lio_listio(int mode, struct aiocb *const list[], int count,
			   struct sigevent *event)
{
	for (int i = 0; i < count; i++)
		if (list[i] &&
		    refused("lio_listio", list[i], list[i]->aio_buf))
			return -1;
	return shim_real()->lio_listio(mode, list, count, event);
}

SHIM_EXPORT int getaddrinfo_a(int mode, struct gaicb *list[], int count,
			      struct sigevent *event)
{
	for (int i = 0; i < count; i++)
		if (list[i] &&
		    refused("getaddrinfo_a", list[i], list[i]->ar_name))
			return EAI_SYSTEM;
	return shim_real()->getaddrinfo_a(mode, list, count, event);
}
