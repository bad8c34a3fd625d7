/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIGBUS stays ours and unblocked: faults arrive by it.
 *
 * Handlers form a chain: the library's first; what is not its own, and a page
 * that is lost, it passes on to ours, which was there before; ours passes on
 * to the program's, kept in `program_action`, which is what the program sees
 * when it asks. Masks that would block SIGBUS have it taken out.
 *
 * Some providers' libraries (PSM's) install handlers for crashes as they are
 * loaded, which print and exit(1): a program that is ended by a signal has to
 * be seen as that, so those are removed before the program begins.
 *
 * Deliberately not done: sigset(3), sighold(3), sigblock(3), masks inside
 * ppoll, pselect and epoll_pwait (they hold while the kernel waits, where
 * nobody touches memory, but also in handlers run from there).
 */
#include "shim.h"

#include <time.h>

static struct sigaction program_action; /* of SIGBUS */
static pthread_mutex_t action_lock = PTHREAD_MUTEX_INITIALIZER;

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

static void on_bus(int number, siginfo_t *info, void *context)
{
	const struct sigaction plain = { .sa_handler = SIG_DFL };
	const struct sigaction *action = &program_action;
	uint64_t none = 0;

	if (block_contains(info->si_addr, 1) && info->si_code > 0) {
		atomic_compare_exchange_strong(&shim_shared->lost_address,
					       &none,
					       (uintptr_t)info->si_addr);
		await_figures();
	}
	if ((action->sa_flags & SA_SIGINFO) != 0) {
		action->sa_sigaction(number, info, context);
	} else if (action->sa_handler != SIG_DFL &&
		   action->sa_handler != SIG_IGN) {
		action->sa_handler(number);
	} else if (info->si_code > 0 || action->sa_handler == SIG_DFL) {
		shim_reals.sigaction(SIGBUS, &plain, NULL);
		if (info->si_code <= 0)
			raise(SIGBUS); /* sent, not met: it would not recur */
	}
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
	sigset_t bus;

	remove_handlers_of_libraries();
	shim_real()->sigaction(SIGBUS, &action, &program_action);
	sigemptyset(&bus);
	sigaddset(&bus, SIGBUS);
	shim_real()->pthread_sigmask(SIG_UNBLOCK, &bus, NULL);
}

static bool ours(void)
{
	return atomic_load(&shim_ready) && !shim_inside;
}

SHIM_EXPORT int sigaction(int number, const struct sigaction *action,
			  struct sigaction *ret)
{
	struct sigaction open, before;

	if (!ours())
		return shim_real()->sigaction(number, action, ret);
	if (number != SIGBUS) {
		if (action) {
			open = *action;
			sigdelset(&open.sa_mask, SIGBUS);
			action = &open;
		}
		return shim_real()->sigaction(number, action, ret);
	}
	pthread_mutex_lock(&action_lock);
	before = program_action;
	if (action)
		program_action = *action;
	pthread_mutex_unlock(&action_lock);
	if (ret)
		*ret = before;
	return 0;
}

SHIM_EXPORT sighandler_t signal(int number, sighandler_t handler)
{
	struct sigaction action = { .sa_handler = handler,
				    .sa_flags = SA_RESTART };
	struct sigaction before;

	if (number != SIGBUS || !ours())
		return shim_real()->signal(number, handler);
	sigaction(SIGBUS, &action, &before);
	return before.sa_handler;
}

static int mask(int (*set_mask)(int, const sigset_t *, sigset_t *), int how,
		const sigset_t *set, sigset_t *ret)
{
	sigset_t open;

	if (set && how != SIG_UNBLOCK && ours() &&
	    sigismember(set, SIGBUS) == 1) {
		open = *set;
		sigdelset(&open, SIGBUS);
		set = &open;
	}
	return set_mask(how, set, ret);
}

SHIM_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *ret)
{
	return mask(shim_real()->sigprocmask, how, set, ret);
}

SHIM_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *ret)
{
	return mask(shim_real()->pthread_sigmask, how, set, ret);
}

SHIM_EXPORT int sigsuspend(const sigset_t *set)
{
	sigset_t open;

	if (ours()) {
		open = *set;
		sigdelset(&open, SIGBUS);
		set = &open;
	}
	return shim_real()->sigsuspend(set);
}
