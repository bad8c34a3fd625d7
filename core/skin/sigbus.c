/* SPDX-License-Identifier: BSD-3-Clause */
/* The SIGBUS handler; see sigbus.h. Skin. */
#include "core/skin/sigbus.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define SPANS_MAX 16

/* The handler reads this table without a lock, so it is changed one pointer at a
 * time. */
static _Atomic(const struct xm_sigbus_span *) spans[SPANS_MAX];
static pthread_mutex_t spans_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned spans_count;

/* SIGBUS handlers chain: a handler installed after ours calls ours, and ours calls
 * the one before. If ours is still in the chain when the last span goes, it cannot
 * be removed, and installing the same function again would make a loop. So there
 * are four handler functions ("levels"), and the next one is installed then. */
#define LEVELS 4

static struct sigaction before[LEVELS];
static unsigned level; /* the installed one, or the next */

static void on_sigbus_0(int number, siginfo_t *info, void *context);
static void on_sigbus_1(int number, siginfo_t *info, void *context);
static void on_sigbus_2(int number, siginfo_t *info, void *context);
static void on_sigbus_3(int number, siginfo_t *info, void *context);

static void (*const handlers[LEVELS])(int, siginfo_t *, void *) = {
	on_sigbus_0, on_sigbus_1, on_sigbus_2, on_sigbus_3,
};

/* The level of a handler of ours; LEVELS: it is none of ours. */
static unsigned level_of(const struct sigaction *action)
{
	unsigned i = 0;

	while (i < LEVELS && ((action->sa_flags & SA_SIGINFO) == 0 ||
			      action->sa_sigaction != handlers[i]))
		i++;
	return i;
}

static const struct xm_sigbus_span *span_at(const void *address)
{
	for (unsigned i = 0; i < SPANS_MAX; i++) {
		const struct xm_sigbus_span *s =
			atomic_load_explicit(&spans[i], memory_order_acquire);

		if (s != NULL && (const uint8_t *)address >= s->base &&
		    (const uint8_t *)address < s->base + s->size)
			return s;
	}
	return NULL;
}

/* While this thread holds a lock, a handler of the program's must not run, whatever
 * the library has touched: the handler may touch external memory, or jump, and the
 * lock would stay taken. */
static bool holds_any_lock(void)
{
	for (unsigned i = 0; i < SPANS_MAX; i++) {
		const struct xm_sigbus_span *s =
			atomic_load_explicit(&spans[i], memory_order_acquire);

		if (s != NULL && s->handler->holds_lock(s->handler->context))
			return true;
	}
	return false;
}

/* Whether the touch was a store. Where the machine does not say: false; a fault on a
 * page that is installed can only be a store. */
static bool was_write(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (context->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#elif defined(__aarch64__)
	/* Records of the machine's state, each with its size; one of size 0 ends them.
	 * Bit 6 of the syndrome of a data abort is "write, not read". */
	const uint8_t *at = context->uc_mcontext.__reserved;
	struct esr_context record;

	for (;; at += record.head.size) {
		memcpy(&record, at, sizeof(record));
		if (record.head.size == 0)
			return false;
		if (record.head.magic == ESR_MAGIC)
			return (record.esr >> 6 & 1) != 0;
	}
#else
	(void)context;
	return false;
#endif
}

/* Calls the handler that would have been called without ours. The kernel would have
 * blocked SIGBUS for it, so SIGBUS is blocked: a handler that touches the lost page
 * itself ends the process, and does not call itself until the stack is full. */
static void pass_on(const struct sigaction *to, int number, siginfo_t *info,
		    void *context)
{
	bool with_info = (to->sa_flags & SA_SIGINFO) != 0;
	uint64_t fault = (to->sa_flags & SA_NODEFER) != 0
				 ? 0 : (uint64_t)1 << (SIGBUS - 1);
	uint64_t old;

	if (to->sa_handler == SIG_DFL || to->sa_handler == SIG_IGN) {
		/* Back to the default: the instruction runs again, and this time
		 * the signal ends the process, with its own address. */
		signal(SIGBUS, SIG_DFL);
		return;
	}
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &fault, &old, sizeof(old));
	if (with_info)
		to->sa_sigaction(number, info, context);
	else
		to->sa_handler(number);
	/* A handler set after ours may have called ours, and goes on now. */
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof(old));
}

/* Sends this thread the signal of a touch without the right. All signals are blocked here,
 * so it is delivered when this handler returns, before the instruction is repeated; the
 * kernel prefers it to others that wait, as it has the code of a fault. Where a fault
 * could not be delivered either, because the signal is blocked or ignored, the process
 * ends by it, as the kernel has it. */
static bool deny(const siginfo_t *touch, ucontext_t *context)
{
	siginfo_t info;
	struct sigaction now;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGSEGV;
	info.si_code = SEGV_ACCERR;
	info.si_addr = touch->si_addr;
	if (sigismember(&context->uc_sigmask, SIGSEGV) == 1 ||
	    (sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_handler == SIG_IGN)) {
		signal(SIGSEGV, SIG_DFL);
		sigdelset(&context->uc_sigmask, SIGSEGV);
	}
	return syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid),
		       SIGSEGV, &info) == 0;
}

/* Serves a fault, or prints why the program is about to end. */
static bool serve(const struct xm_sigbus_span *s, const struct sigaction *to,
		  const siginfo_t *info, ucontext_t *context)
{
	const struct xm_fault_handler *h = s->handler;
	uint64_t page = (uint64_t)((const uint8_t *)info->si_addr - s->base) /
			s->page_size;

	switch (h->serve(h->context, page, was_write(context))) {
	case XM_TOUCHED_SERVED: return true;
	case XM_TOUCHED_DENIED: return deny(info, context);
	case XM_TOUCHED_LOST: break;
	}
	if (to->sa_handler == SIG_DFL) {
		const char *line = h->loss(h->context);

		syscall(SYS_write, STDERR_FILENO, line, strlen(line));
	}
	return false;
}

static void on_sigbus(const struct sigaction *to, int number, siginfo_t *info,
		      void *context)
{
	int error = errno;
	const struct xm_sigbus_span *s = span_at(info->si_addr);

	if (s == NULL && holds_any_lock()) {
		signal(SIGBUS, SIG_DFL);
		return;
	}
	if (s == NULL || !serve(s, to, info, context))
		pass_on(to, number, info, context);
	errno = error;
}

#define HANDLER(n)                                                             \
	static void on_sigbus_##n(int number, siginfo_t *info, void *context)  \
	{                                                                      \
		on_sigbus(&before[n], number, info, context);                  \
	}
HANDLER(0)
HANDLER(1)
HANDLER(2)
HANDLER(3)

/* Installs our handler, unless it is installed. */
static int handler_begin(char *words, size_t words_size)
{
	struct sigaction action = {
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER,
	};
	struct sigaction now;

	if (sigaction(SIGBUS, NULL, &now) == 0 && level_of(&now) < LEVELS) {
		level = level_of(&now);
		return 0;
	}
	if (level == LEVELS) {
		snprintf(words, words_size, "handlers for SIGBUS that were set "
			 "while clients were open stand on %d of ours: take "
			 "them away before the client is closed", LEVELS);
		return -EBUSY;
	}
	action.sa_sigaction = handlers[level];
	/* While a lane is locked no other handler may run on this thread. SIGBUS
	 * is not blocked, so that a forbidden touch by the library's own part of
	 * this handler ends the process in words; the kernel would end it without
	 * any. pass_on() blocks it for the handler before ours. */
	sigfillset(&action.sa_mask);
	sigdelset(&action.sa_mask, SIGBUS);
	if (sigaction(SIGBUS, &action, &before[level]) == 0)
		return 0;
	snprintf(words, words_size, "SIGBUS: %s", strerror(errno));
	return -errno;
}

/* Removes it, if it is still the one that the kernel calls. */
static void handler_end(void)
{
	struct sigaction now;

	if (sigaction(SIGBUS, NULL, &now) == 0 && level_of(&now) == level)
		sigaction(SIGBUS, &before[level], NULL);
	else
		level++;
}

int xm_sigbus_add(const struct xm_sigbus_span *s, char *words, size_t words_size)
{
	int rc = 0;
	unsigned i = 0;

	pthread_mutex_lock(&spans_lock);
	while (i < SPANS_MAX && atomic_load(&spans[i]) != NULL)
		i++;
	if (i == SPANS_MAX) {
		snprintf(words, words_size, "%d clients are open in this "
			 "process already", SPANS_MAX);
		rc = -ENOSPC;
	} else if (spans_count == 0) {
		rc = handler_begin(words, words_size);
	}
	if (rc == 0) {
		atomic_store(&spans[i], s);
		spans_count++;
	}
	pthread_mutex_unlock(&spans_lock);
	return rc;
}

void xm_sigbus_remove(const struct xm_sigbus_span *s)
{
	pthread_mutex_lock(&spans_lock);
	for (unsigned i = 0; i < SPANS_MAX; i++) {
		if (atomic_load(&spans[i]) != s)
			continue;
		atomic_store(&spans[i], NULL);
		if (--spans_count == 0)
			handler_end();
	}
	pthread_mutex_unlock(&spans_lock);
}
