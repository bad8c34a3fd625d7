/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How faults reach a client: as SIGBUS on the thread that touched the page, or
 * as messages to a handler thread. What is done about them is xm_serve()'s
 * (serve.c). The simulator has its own in place of this file.
 */
#include "core/client/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/client/client.h"
#include "core/client/error.h"

/* --- who may touch ------------------------------------------------------------------ */

/* In a handler, or with a lock: not by stdio. A handler that the program has for
 * SIGABRT would run on this thread, and may touch external memory itself. */
static _Noreturn void end_in_words(const char *text)
{
	syscall(SYS_write, STDERR_FILENO, text, strlen(text));
	signal(SIGABRT, SIG_DFL);
	abort();
}

/* Serving a fault takes the lock of its page's lane, and may need the keeper.
 * So a thread of the library's own, and one that has that lane's lock, must
 * not touch mapped memory: it would wait for itself, for ever, and so would
 * everybody else. Nothing the library does on such a thread may read memory
 * of the program's: neither its environment, nor anything else that a
 * library that we call might look at. Where that is not so, this says it. */
static void check_thread(const extmem *x, const void *address, int thread,
			 bool ours)
{
	char text[400], holds[48] = "";
	uint32_t lane = 0;

	if (thread == 0)
		return;
	while (lane < x->lanes.count &&
	       os_lock_owner(&x->lanes.lane[lane].lock) != thread)
		lane++;
	if (lane < x->lanes.count)
		snprintf(holds, sizeof(holds), " that holds lane %u",
			 (unsigned)lane);
	else if (!ours)
		return;
	snprintf(text, sizeof(text), "extmem: %s, %d,%s touched external "
		 "memory, at %p: it would wait for itself for ever. A library "
		 "that extmem calls, a function given to extmem_watch(), or "
		 "extmem itself reads memory of the program's there; please "
		 "report it\n",
		 ours ? "a thread of extmem's own" : "a thread", thread, holds,
		 address);
	end_in_words(text);
}

/* --- inline: SIGBUS --------------------------------------------------------------- */

#define CLIENTS_MAX 16

/* Whose arena an address is in; read by the handler, so it is only ever
 * changed one pointer at a time. */
static _Atomic(extmem *) clients[CLIENTS_MAX];
static pthread_mutex_t clients_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned clients_count;

/* A handler that somebody sets while ours is there most likely hands on to it
 * what is not his, and so do we, to whom was there before. When the last client
 * closes while his is on top, ours must stay below it; and the next client may
 * not put the very same function on top, which would hand on to itself around
 * and around. So it has another one, that knows whom to hand on to: a level. */
#define LEVELS 4

static struct sigaction before[LEVELS];
static unsigned level;	/* that is installed, or is next */

static void on_sigbus_0(int number, siginfo_t *info, void *context);
static void on_sigbus_1(int number, siginfo_t *info, void *context);
static void on_sigbus_2(int number, siginfo_t *info, void *context);
static void on_sigbus_3(int number, siginfo_t *info, void *context);

static void (*const handlers[LEVELS])(int, siginfo_t *, void *) = {
	on_sigbus_0, on_sigbus_1, on_sigbus_2, on_sigbus_3,
};

/* Which of ours this is; LEVELS: none. */
static unsigned level_of(const struct sigaction *action)
{
	unsigned i = 0;

	while (i < LEVELS && ((action->sa_flags & SA_SIGINFO) == 0 ||
			      action->sa_sigaction != handlers[i]))
		i++;
	return i;
}

static extmem *client_at(const void *address)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		extmem *x = atomic_load_explicit(&clients[i],
						 memory_order_acquire);

		if (x != NULL && (const uint8_t *)address >= x->arena.base &&
		    (const uint8_t *)address < x->arena.base + x->arena.size)
			return x;
	}
	return NULL;
}

/* Whether this thread has the lock of a lane. Then a handler of the program's
 * must not run, whatever it was that the library has touched: it may touch
 * external memory, or jump, and the lock would stay taken. */
static bool holds_any_lane(void)
{
	int me = os_thread_id();

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const extmem *x = atomic_load_explicit(&clients[i],
						       memory_order_acquire);

		for (uint32_t lane = 0; x != NULL && lane < x->lanes.count;
		     lane++) {
			if (os_lock_owner(&x->lanes.lane[lane].lock) == me)
				return true;
		}
	}
	return false;
}

/* Was it a store? Where the machine does not say, a fault on a page that is
 * here can only be one. */
static bool was_write(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (context->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
	(void)context;
	return false;
#endif
}

/* Hands the signal to whom it would have gone without us. */
static void pass_on(const struct sigaction *to, int number, siginfo_t *info,
		    void *context)
{
	if ((to->sa_flags & SA_SIGINFO) != 0 && to->sa_sigaction != NULL) {
		to->sa_sigaction(number, info, context);
		return;
	}
	if ((to->sa_flags & SA_SIGINFO) == 0 && to->sa_handler != SIG_DFL &&
	    to->sa_handler != SIG_IGN) {
		to->sa_handler(number);
		return;
	}
	/* Back to the default: the instruction runs again, and this time the
	 * signal ends the process, with its own address. */
	signal(SIGBUS, SIG_DFL);
}

static void on_sigbus(const struct sigaction *to, int number, siginfo_t *info,
		      void *context)
{
	int error = errno;
	extmem *x = client_at(info->si_addr);
	uint64_t page;

	if (x == NULL && holds_any_lane()) {
		signal(SIGBUS, SIG_DFL);
		return;
	}
	if (x == NULL) {
		pass_on(to, number, info, context);
		errno = error;
		return;
	}
	check_thread(x, info->si_addr, os_thread_id(), os_thread_is_ours());
	page = (uint64_t)((uint8_t *)info->si_addr - x->arena.base) / XM_PAGE;
	if (xm_serve(x, page, was_write(context)) != XM_VERDICT_DONE) {
		if (atomic_load(&x->lost.said) == 2 &&
		    to->sa_handler == SIG_DFL)
			syscall(SYS_write, STDERR_FILENO, x->lost.words,
				strlen(x->lost.words));
		pass_on(to, number, info, context);
	}
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

/* Loading libfabric loads its providers' libraries, and one of Debian's,
 * PSM's libinfinipath, takes the signals of crashes and of ending for itself
 * as it is loaded, to print and exit(1). A program that merely links extmem
 * has not asked for that: what such a library holds goes back to the default.
 * Handlers of the program's own, and of anyone else's, stay. */
static void undo_providers(void)
{
	static const int numbers[] = { SIGBUS, SIGSEGV, SIGILL, SIGABRT,
				       SIGINT, SIGTERM };
	const struct sigaction plain = { .sa_handler = SIG_DFL };

	for (unsigned i = 0; i < XM_COUNT(numbers); i++) {
		struct sigaction now;
		Dl_info where;

		if (sigaction(numbers[i], NULL, &now) != 0 ||
		    now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN ||
		    dladdr((void *)(uintptr_t)now.sa_handler, &where) == 0 ||
		    where.dli_fname == NULL)
			continue;
		if (strstr(where.dli_fname, "libinfinipath") != NULL ||
		    strstr(where.dli_fname, "libpsm") != NULL)
			sigaction(numbers[i], &plain, NULL);
	}
}

/* Our handler on top. */
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
	/* While a lane is locked no other handler may run on this thread. This
	 * one may, to say what should not be; the kernel would end the process
	 * without a word. */
	sigfillset(&action.sa_mask);
	sigdelset(&action.sa_mask, SIGBUS);
	if (sigaction(SIGBUS, &action, &before[level]) == 0)
		return 0;
	snprintf(words, words_size, "SIGBUS: %s", strerror(errno));
	return -errno;
}

/* Away with it, if it is still on top. */
static void handler_end(void)
{
	struct sigaction now;

	if (sigaction(SIGBUS, NULL, &now) == 0 && level_of(&now) == level)
		sigaction(SIGBUS, &before[level], NULL);
	else
		level++;
}

static int inline_begin(extmem *x, char *words, size_t words_size)
{
	int rc = 0;
	unsigned i = 0;

	pthread_mutex_lock(&clients_lock);
	while (i < CLIENTS_MAX && atomic_load(&clients[i]) != NULL)
		i++;
	if (i == CLIENTS_MAX) {
		snprintf(words, words_size, "%d clients are open in this "
			 "process already", CLIENTS_MAX);
		rc = -ENOSPC;
	} else if (clients_count == 0) {
		rc = handler_begin(words, words_size);
	}
	if (rc == 0) {
		atomic_store(&clients[i], x);
		clients_count++;
	}
	pthread_mutex_unlock(&clients_lock);
	return rc;
}

static void inline_end(extmem *x)
{
	pthread_mutex_lock(&clients_lock);
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (atomic_load(&clients[i]) != x)
			continue;
		atomic_store(&clients[i], NULL);
		if (--clients_count == 0)
			handler_end();
	}
	pthread_mutex_unlock(&clients_lock);
}

struct xm_faults {
	extmem *client;
	bool threaded;
	struct os_thread thread;
	atomic_bool stopping; /* the thread shall end */
};

/* --- thread: a handler of its own ---------------------------------------------------- */

#define PENDING_MAX 256

struct pending {
	extmem *client;
	struct xm_serving faults[PENDING_MAX];
	int count;
};

/* One try of each; true when any is served. */
static bool serve_pending(extmem *x, struct pending *p)
{
	const struct xm_mapper_ops *ops = xm_uffd_ops(x->arena.mapper);
	bool any = false;

	for (int i = 0; i < p->count;) {
		uint64_t page = p->faults[i].page;
		enum xm_verdict verdict = xm_serve_once(x, &p->faults[i]);

		if (verdict == XM_VERDICT_WAIT) {
			i++;
			continue;
		}
		/* Nobody is left asleep: it is there, or poisoned. */
		if (verdict == XM_VERDICT_DONE)
			ops->wake(x->arena.mapper, page, 1);
		else
			ops->poison(x->arena.mapper, page, 1);
		p->faults[i] = p->faults[--p->count];
		any = true;
	}
	return any;
}

/* Faults that have come since; the number of them. */
static int read_faults(extmem *x, struct pending *p)
{
	struct xm_fault faults[16];
	int room = PENDING_MAX - p->count;
	int got = xm_uffd_faults(x->arena.mapper, faults, room < 16 ? room : 16);

	for (int i = 0; i < got; i++) {
		int thread = faults[i].thread;

		check_thread(x, x->arena.base + faults[i].page * XM_PAGE, thread,
			     thread == atomic_load(&x->ask.thread.id));
		p->faults[p->count++] = (struct xm_serving){
			.page = faults[i].page,
			.write = faults[i].write,
		};
	}
	return got;
}

/* Whoever has the lane that this thread waits for may wait for this thread. */
static void look_meanwhile(void *context)
{
	struct pending *p = context;

	read_faults(p->client, p);
}

/* Without a fault nothing is awaited: even busy sleeps in the end. */
#define IDLE_MAX (10 * XM_MS)

/* Between two faults it looks for the next as the lanes do for completions,
 * and then sleeps on the descriptor; while faults are served, on both. */
static void *fault_run(void *argument)
{
	struct xm_faults *own = argument;
	extmem *x = own->client;
	struct pending pending = { .client = x };
	struct xm_wait wait = { .deadline_ns = XM_NEVER };
	struct xm_spin spin;
	uint64_t idle_ns = os_now_ns();
	bool slept = false;
	struct pollfd fd = { .fd = xm_uffd_descriptor(x->arena.mapper),
			     .events = POLLIN };

	os_lock_meanwhile(look_meanwhile, &pending);
	xm_spin_init(&spin, (enum xm_polling)x->settings.polling);
	while (!atomic_load(&own->stopping)) {
		uint32_t seen[XM_LANES_MAX];
		int got;

		xm_lanes_seen(&x->lanes, seen);
		got = read_faults(x, &pending);
		if (got > 0 && pending.count == got)
			xm_spin_learn(&spin, os_now_ns() - idle_ns, slept);
		if (serve_pending(x, &pending) || got > 0) {
			wait.since_ns = 0;
			idle_ns = os_now_ns();
			slept = false;
		} else if (pending.count > 0) {
			xm_lanes_wait(&x->lanes, seen, fd.fd, &wait);
		} else if (os_now_ns() - idle_ns >=
			   xm_min(xm_spin_ns(&spin), IDLE_MAX)) {
			poll(&fd, 1, 100);
			slept = true;
		} else {
			os_look_again(0, false, 0);
		}
	}
	return NULL;
}

/* --- either ----------------------------------------------------------------------------- */

int xm_faults_begin(extmem *x, char *words, size_t words_size)
{
	struct xm_faults *faults = os_alloc(sizeof(*faults));
	int rc;

	if (faults == NULL)
		return -ENOMEM;
	undo_providers();
	faults->client = x;
	faults->threaded = xm_uffd_descriptor(x->arena.mapper) >= 0;
	if (!faults->threaded) {
		rc = inline_begin(x, words, words_size);
	} else {
		rc = os_thread_start(&faults->thread, fault_run, faults);
		if (rc != 0)
			snprintf(words, words_size, "no thread: %s",
				 strerror(-rc));
	}
	if (rc != 0)
		os_free(faults);
	else
		x->faults = faults;
	return rc;
}

void xm_faults_end(extmem *x)
{
	if (x->faults == NULL)
		return;
	if (x->faults->threaded) {
		atomic_store(&x->faults->stopping, true);
		os_thread_join(&x->faults->thread);
	} else {
		inline_end(x);
	}
	os_free(x->faults);
	x->faults = NULL;
}

void xm_arena_read(extmem *x, uint64_t address, void *ret, size_t size)
{
	memcpy(ret, x->arena.base + address, size);
}

void xm_arena_write(extmem *x, uint64_t address, const void *bytes,
		    size_t size)
{
	memcpy(x->arena.base + address, bytes, size);
}
