/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When the far side is opened: once the program has more private memory than stays
 * local anyway (--open-after).
 *
 * Loading libfabric and connecting take longer than most programs run, and most need
 * none of it. So a program begins with local memory, and nothing is open: no
 * connection, no descriptor, no thread. What it has is the memory of libc's malloc
 * and what it has mapped; that is looked at again when it has asked for so much more
 * that it could be too much. The thread whose request is one too many opens the
 * client, on a stack of its own, since it may have little left of its own; signals wait
 * meanwhile, as in any work of the library. It may hold locks of the program's, or the
 * loader's, and none of them is needed by others for it to end: the loader's lock is
 * recursive.
 *
 * Others that want external memory meanwhile wait for it, but one of them may hold the
 * loader's lock, which the opening needs. So they wait for a limited time, once, and
 * then go on with local memory until it is open.
 *
 * Where it cannot be opened later it is opened before the program begins: see
 * opening_is_first(). Before the program gives up what opening needs (a user, a root
 * directory, a namespace, a limit, system calls) it is opened, too.
 */
#include "preload/call.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <malloc.h>
#include <sys/resource.h>
#include <time.h>

#define COUNTED_AT_ONCE ((size_t)64 << 10) /* by a thread */
#define LOOK_STEP ((uint64_t)256 << 10)
#define STACK_SIZE ((size_t)1 << 20)
#define PATIENCE_S 2
#define APPLIANCE_PATIENCE_S 70 /* `extmem run` gives it 60 */

enum state {
	NEVER, /* before the start, and in children */
	WAITS,
	OPEN,
	FAILED,
};

static _Atomic unsigned state;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* held while it opens */
static _Atomic bool impatient;
static _Atomic bool opening;
static char failure[512];

/* --- how much there is ------------------------------------------------------------- */

static _Atomic uint64_t requested, look_at, mapped;
static uint64_t addresses_at_start;
static _Thread_local size_t counted __attribute__((tls_model("initial-exec")));

void opening_mapped(size_t size)
{
	if (atomic_load_explicit(&state, memory_order_relaxed) == WAITS)
		atomic_fetch_add(&mapped, size);
}

/* What this process has of addresses. 0: not known. */
static uint64_t addresses(void)
{
	char text[64];
	long n, fd;

	fd = shim_raw(SYS_openat, AT_FDCWD, (long)"/proc/self/statm",
		      O_RDONLY | O_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return 0;
	n = shim_raw(SYS_read, fd, (long)text, sizeof(text) - 1, 0, 0, 0);
	shim_raw(SYS_close, fd, 0, 0, 0, 0, 0);
	text[n < 0 ? 0 : n] = '\0';
	return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What was mapped may have been unmapped, and the kernel counts files and threads'
 * stacks, too: neither of the two sums is too small. */
static uint64_t in_use(void)
{
	uint64_t sum = atomic_load(&mapped), all = addresses();
#if __GLIBC_PREREQ(2, 33)
	struct mallinfo2 m = mallinfo2();

	sum += m.arena + m.hblkhd;
#else
	struct mallinfo m = mallinfo();

	sum += (unsigned)m.arena + (unsigned)m.hblkhd;
#endif
	if (all == 0 || addresses_at_start == 0)
		return sum;
	all = all > addresses_at_start ? all - addresses_at_start : 0;
	return all < sum ? all : sum;
}

/* True: with so much more it is more than stays local. */
static bool too_much(size_t size)
{
	uint64_t most = shim_options.open_after, total, used;

	counted += size;
	if (counted < COUNTED_AT_ONCE)
		return false;
	total = atomic_fetch_add(&requested, counted) + counted;
	counted = 0;
	if (total < atomic_load(&look_at) && size < most / 4)
		return false;
	used = size < most ? in_use() + size : most;
	if (used >= most)
		return true;
	atomic_store(&look_at, total + (most - used > LOOK_STEP ? most - used
								: LOOK_STEP));
	return false;
}

/* --- the appliance of `extmem run` ------------------------------------------------------ */

static long futex(_Atomic uint32_t *word, int operation, uint32_t value,
		  const struct timespec *timeout)
{
	return shim_raw(SYS_futex, (long)word, operation, value, (long)timeout,
			0, 0);
}

/* It is started when it is needed first. 0, or -errno with words. */
static int await_appliance(char *words, size_t size)
{
	_Atomic uint32_t *asks = &shim_shared->appliance_asks;
	const struct timespec second = { .tv_sec = 1 };
	uint32_t now = RUN_APPLIANCE_BY_NEED;

	if (atomic_compare_exchange_strong(asks, &now, RUN_APPLIANCE_ASKED))
		futex(asks, FUTEX_WAKE, INT32_MAX, NULL);
	for (int i = 0; i < APPLIANCE_PATIENCE_S; i++) {
		now = atomic_load(asks);
		if (now == RUN_APPLIANCE_NAMED)
			return 0;
		if (now == RUN_APPLIANCE_THERE) {
			options_add_appliance(shim_shared->appliance_address);
			return 0;
		}
		if (now == RUN_APPLIANCE_FAILED)
			break;
		futex(asks, FUTEX_WAIT, now, &second);
	}
	snprintf(words, size, "the appliance of this run did not come up");
	return -ENOTCONN;
}

/* --- opening --------------------------------------------------------------------------- */

static void fail(void)
{
	const char *then = shim_options.overflow_local
				   ? "it has local memory"
				   : "it is told ENOMEM";

	shim_say("no external memory: %s; from now on, when the program wants "
		 "more, %s",
		 failure, then);
	atomic_store(&state, FAILED);
}

static int open_client(void)
{
	int r = await_appliance(failure, sizeof(failure));

	if (r < 0)
		return r;
	allocator_load();
	r = options_open_client();
	if (r < 0)
		snprintf(failure, sizeof(failure), "%s", extmem_error());
	return r;
}

static void open_here(void)
{
	atomic_store(&opening, true);
	shim_enter();
	if (open_client() < 0) {
		fail();
	} else {
		shim_opened();
		atomic_store(&state, OPEN);
	}
	atomic_store(&opening, false);
	shim_leave();
}

static ucontext_t before, own;

/* A handler of the kernel's that came meanwhile would begin at the top of the stack
 * for signals again, since the kernel does not see that it is in use. */
static void block_signals_on_their_stack(void)
{
	stack_t stack;
	sigset_t set;

	if (shim_real()->sigaltstack(NULL, &stack) < 0 ||
	    (stack.ss_flags & SS_ONSTACK) == 0)
		return;
	sigfillset(&set);
	signal_open_mask(&set);
	shim_real()->pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void open_on_own_stack(void)
{
	int error = errno;
	char *stack = local_take(STACK_SIZE);
	sigset_t mask;

	shim_real()->pthread_sigmask(SIG_BLOCK, NULL, &mask);
	block_signals_on_their_stack();
	if (stack && getcontext(&own) == 0) {
		own.uc_stack.ss_sp = stack;
		own.uc_stack.ss_size = STACK_SIZE;
		own.uc_link = &before;
		makecontext(&own, open_here, 0);
		shim_real()->swapcontext(&before, &own);
	} else {
		open_here();
	}
	if (stack)
		local_give(stack, STACK_SIZE);
	shim_real()->pthread_sigmask(SIG_SETMASK, &mask, NULL);
	errno = error;
}

static bool lock_within(int seconds)
{
	struct timespec until;

	if (pthread_mutex_trylock(&lock) == 0)
		return true;
	if (atomic_load(&impatient) || clock_gettime(CLOCK_REALTIME, &until) < 0)
		return false;
	until.tv_sec += seconds;
	if (pthread_mutex_timedlock(&lock, &until) == 0)
		return true;
	atomic_store(&impatient, true);
	return false;
}

void opening_now(void)
{
	if (atomic_load(&state) != WAITS || shim_inside || handler_level() > 0 ||
	    getpid() != shim_owner || !lock_within(PATIENCE_S))
		return;
	if (atomic_load(&state) == WAITS)
		open_on_own_stack();
	pthread_mutex_unlock(&lock);
}

void opening_confined(void)
{
	if (shim_inside || getpid() != shim_owner)
		return;
	opening_now();
	if (atomic_load(&state) != WAITS || !lock_within(PATIENCE_S))
		return;
	snprintf(failure, sizeof(failure),
		 "the program confined itself in a signal handler");
	if (atomic_load(&state) == WAITS)
		fail();
	pthread_mutex_unlock(&lock);
}

bool opening_wants(size_t size)
{
	unsigned now = atomic_load_explicit(&state, memory_order_relaxed);

	/* What the handler interrupted may have a lock of malloc's. */
	if (now == NEVER || (now == WAITS && (handler_level() > 0 || !too_much(size))))
		return false;
	opening_now();
	now = atomic_load(&state);
	return now == FAILED || (now == OPEN && atomic_load(&shim_ready));
}

const char *opening_failure(void)
{
	return atomic_load(&state) == FAILED ? failure : NULL;
}

bool opening_under_way(void)
{
	return atomic_load_explicit(&opening, memory_order_relaxed);
}

/* --- what would take it away ------------------------------------------------------------- */

/* Calls after which it might not be allowed any more. */
void opening_call(long number)
{
	static const short before[] = {
		SYS_setuid,    SYS_setgid,     SYS_setreuid,  SYS_setregid,
		SYS_setresuid, SYS_setresgid,  SYS_setfsuid,  SYS_setfsgid,
		SYS_setgroups, SYS_capset,     SYS_chroot,    SYS_pivot_root,
		SYS_setns,     SYS_setrlimit,  SYS_landlock_restrict_self,
	};

	if (atomic_load_explicit(&state, memory_order_relaxed) != WAITS)
		return;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		if (number == before[i])
			opening_now();
}

SHIM_EXPORT int chroot(const char *path)
{
	opening_call(SYS_chroot);
	return shim_real()->chroot(path);
}

SHIM_EXPORT int capset(cap_user_header_t header, const cap_user_data_t data)
{
	opening_call(SYS_capset);
	return shim_real()->capset(header, data);
}

/* Of threads, descriptors and memory. */
static void before_limit(int what, const struct rlimit64 *limit)
{
	struct rlimit now;

	if (limit &&
	    (what == RLIMIT_NPROC || what == RLIMIT_NOFILE ||
	     what == RLIMIT_AS || what == RLIMIT_DATA ||
	     what == RLIMIT_MEMLOCK) &&
	    getrlimit(what, &now) == 0 && limit->rlim_cur < now.rlim_cur)
		opening_now();
}

SHIM_EXPORT int setrlimit64(__rlimit_resource_t what,
			    const struct rlimit64 *limit)
{
	before_limit((int)what, limit);
	return shim_real()->setrlimit64(what, limit);
}

SHIM_EXPORT int prlimit64(pid_t pid, enum __rlimit_resource what,
			  const struct rlimit64 *limit, struct rlimit64 *ret)
{
	if (pid == 0 || pid == getpid())
		before_limit((int)what, limit);
	return shim_real()->prlimit64(pid, what, limit, ret);
}

/* The same where the type of sizes has 64 bits. */
SHIM_EXPORT int setrlimit(__rlimit_resource_t what, const struct rlimit *limit)
	__attribute__((alias("setrlimit64")));
SHIM_EXPORT int prlimit(pid_t pid, enum __rlimit_resource what,
			const struct rlimit *limit, struct rlimit *ret)
	__attribute__((alias("prlimit64")));

/* --- start, and fork() -------------------------------------------------------------------- */

bool opening_is_first(void)
{
	return shim_options.open_after == 0 || shim_options.children_same ||
	       options_paging_by_thread() || allocator_passes ||
	       shim_options.local_rest != LOCAL_REST_COUNT ||
	       exec_variable("EXTMEM_ARENA") || !map_reserve();
}

void opening_first(void)
{
	if (open_client() < 0)
		shim_refuse(failure);
}

void opening_start(bool is_open)
{
	atomic_store(&look_at, shim_options.open_after / 2);
	addresses_at_start = addresses();
	atomic_store(&state, is_open ? OPEN : WAITS);
}

static _Thread_local bool fork_locked __attribute__((tls_model("initial-exec")));

void opening_fork(void)
{
	fork_locked = atomic_load(&state) == WAITS && lock_within(PATIENCE_S);
}

void opening_forked(bool in_child)
{
	if (fork_locked)
		pthread_mutex_unlock(&lock);
	if (in_child) {
		atomic_store(&state, NEVER);
		pthread_mutex_init(&lock, NULL);
	}
}
