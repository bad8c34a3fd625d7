/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shim's start and end: finds the real functions, opens the client, and starts
 * everything else in order.
 *
 * The real functions are looked up all at once by dlsym(RTLD_NEXT), which may
 * itself allocate: until they are known, allocations come from a small static
 * buffer (malloc.c). A constructor makes all ready for external memory: signals, the
 * filter of calls, addresses. The client is opened when the program needs it, or by
 * that constructor (opening.c). Then, if an appliance cannot be reached, the message
 * comes before the program begins, with exit status 125. All that was allocated before
 * is local.
 *
 * Local are: allocations below the threshold, those of libc and the loader
 * (whose.c), all on the library's own threads (threads that are started while a
 * thread is inside the library), and those that the library makes on a thread of
 * the program. So serving a fault cannot cause another fault.
 *
 * Children: by default LD_PRELOAD and our variables are removed from the
 * environment at once, so that children run plain. A program that this very process
 * executes (env, nice, a script's interpreter, sh -c) gets them back: exec.c. What a
 * child of fork() has of external memory: fork.h.
 */
#include "preload/fork.h"
#include "preload/record.h"

#include <dlfcn.h>
#include <stdarg.h>

struct shim_reals shim_reals;
_Atomic bool shim_resolved;
_Thread_local int shim_inside __attribute__((tls_model("initial-exec")));
bool shim_begun;
_Atomic bool shim_ready;
extmem *shim_client;
bool shim_kernel_faults;
pid_t shim_owner;

static const char fork_note[] =
	"extmem run: a child made by fork() touched external memory, which "
	"only its parent has: by --fork=absent, or because a snapshot could "
	"not be had; see extmem(1), FORK\n";

/* --- words ------------------------------------------------------------------ */

void shim_say(const char *format, ...)
{
	char line[640];
	va_list arguments;
	int n = snprintf(line, sizeof(line), "extmem run: "), m;
	int error = errno;

	va_start(arguments, format);
	m = vsnprintf(line + n, sizeof(line) - n - 1, format, arguments);
	va_end(arguments);
	n += m < 0 ? 0 : m;
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (descriptor_standard_closed(STDERR_FILENO))
		return; /* what is there now is a file of the program's */
	if (shim_real()->write(STDERR_FILENO, line, n) < 0)
		return; /* there is nobody to tell */
	errno = error;
}

/* Of the pure files that the shim has of its own. */
void xm_assert_failed(const char *condition, const char *file, int line)
{
	shim_say("%s:%d: this should never be: not %s", file, line, condition);
	abort();
}

_Noreturn void shim_refuse(const char *words)
{
	snprintf(shim_shared->words, sizeof(shim_shared->words), "%s", words);
	atomic_store(&shim_shared->state, RUN_REFUSED);
	shim_say("%s", words);
	shim_real()->_exit(125);
	__builtin_unreachable();
}

/* --- the real functions ----------------------------------------------------- */

static pthread_mutex_t resolve_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

void shim_resolve(void)
{
	static bool busy;

	/* Recursive: dlsym may allocate, and comes back here; malloc.c sees
	 * the empty slot and serves it from the static buffer. */
	pthread_mutex_lock(&resolve_lock);
	if (!busy && !atomic_load(&shim_resolved)) {
		busy = true;
#define SHIM_REAL_FIND(type, name, arguments)                                 \
	*(void **)&shim_reals.name = dlsym(RTLD_NEXT, #name);
		SHIM_REALS(SHIM_REAL_FIND)
#undef SHIM_REAL_FIND
		allocator_start();
		redirect_start();
		atomic_store_explicit(&shim_resolved, true,
				      memory_order_release);
		busy = false;
	}
	pthread_mutex_unlock(&resolve_lock);
}

void shim_section_begin(struct shim_section *section)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &section->cancel);
	shim_inside++;
}

void shim_section_end(const struct shim_section *section)
{
	int unused;

	if (--shim_inside == 0)
		handler_deliver_waiting();
	pthread_setcancelstate(section->cancel, &unused);
}

/* --- fork -------------------------------------------------------------------- */

static void on_child_segv(int number)
{
	(void)number;
	if (shim_reals.write(STDERR_FILENO, fork_note, sizeof(fork_note) - 1))
		signal(SIGSEGV, SIG_DFL); /* and the access again */
}

void shim_forked(void)
{
	struct sigaction action;

	signal_forked();
	figures_forked();
	thread_forked();
	alone_start();
	/* What served the kernel's touches has stayed with the parent. */
	if (shim_kernel_faults) {
		shim_kernel_faults = false;
		trap_start();
	}
	if (atomic_load(&block_high) == 0 || atomic_load(&child_serves) ||
	    shim_real()->sigaction(SIGSEGV, NULL, &action) < 0 ||
	    action.sa_handler != SIG_DFL)
		return;
	action = (struct sigaction){ .sa_handler = on_child_segv };
	shim_real()->sigaction(SIGSEGV, &action, NULL);
}

/* --- start -------------------------------------------------------------------- */

/* Where the library serves the kernel's touches of absent pages no call needs
 * help; else all are trapped, or those that libc's functions make are served. */
static void start_calls(void)
{
	struct extmem_info info = { .size = sizeof(info) };
	enum options_calls calls = shim_options.calls;
	int error = 0;

	shim_kernel_faults = shim_client &&
			     extmem_info(shim_client, 0, &info) >= 0 &&
			     info.kernel_touches;
	if (calls != CALLS_WRAP)
		error = trap_start();
	if (error < 0 && !shim_kernel_faults && calls == CALLS_TRAP) {
		char words[256];

		snprintf(words, sizeof(words), "--calls=trap: seccomp is not "
			 "to be had here: %s", strerror(-error));
		shim_refuse(words);
	}
	snprintf(shim_shared->calls, sizeof(shim_shared->calls), "%s",
		 shim_kernel_faults ? "by the kernel"
		 : trap_installed   ? "trapped"
				    : "wrapped");
	if (shim_options.threshold == 0)
		shim_options.threshold = shim_kernel_faults || trap_installed
						 ? 1
						 : RUN_THRESHOLD_WRAPPED;
}

static void start_client(void)
{
	signal_opened();
	whose_learn(); /* providers may have been loaded */
	figures_refresh();
	budget_start();
}

/* It is ready last. */
static void start_serving(void)
{
	fork_start();
	figures_start();
	atomic_store_explicit(&shim_ready, true, memory_order_release);
}

void shim_opened(void)
{
	start_client();
	start_serving();
}

__attribute__((constructor)) static void start(void)
{
	char words[512];
	bool first;

	shim_real();
	if (!options_nesting())
		return;
	descriptor_standard_hold();
	figures_open();
	options_read();
	whose_learn();
	shim_inside++;
	shim_owner = getpid();
	record_start();
	signal_start();
	environment_start();
	options_prepare_client();
	first = opening_is_first();
	if (first) {
		opening_first();
		start_client();
	} else if (options_check_client() < 0) {
		snprintf(words, sizeof(words), "%s", extmem_error());
		shim_refuse(words);
	}
	signal_begin();
	start_calls();
	exec_start();
	shim_shared->threshold = shim_options.threshold;
	arena_start();
	alone_start();
	thread_start();
	fork_begin();
	atomic_store(&shim_shared->state, RUN_ATTACHED);
	if (first)
		start_serving();
	descriptor_standard_give();
	shim_inside--;
	opening_start(first);
	shim_begun = true;
}

/* The client is left open: other threads, and destructors after ours, may
 * still use what is in it. `extmem run` ends its lease. */
static void finish(bool flushes, int status)
{
	bool ready = atomic_load(&shim_ready);

	if (!shim_begun || getpid() != shim_owner ||
	    (!ready && opening_under_way()))
		return;
	if (ready)
		broker_linger(flushes, status);
	figures_refresh();
	record_end();
	figures_end();
	if (ready && broker_lingered(&status))
		shim_real()->_exit(status);
}

__attribute__((destructor)) static void at_exit(void)
{
	finish(true, -1);
}

SHIM_EXPORT void _exit(int status)
{
	finish(false, status & 0xff);
	shim_real()->_exit(status);
	__builtin_unreachable();
}

SHIM_EXPORT void _Exit(int status)
{
	_exit(status);
}
