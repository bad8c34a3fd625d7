/* SPDX-License-Identifier: BSD-3-Clause */
/* Doors to libc and the kernel; see os.h. Floor: skin. */
#include "core/skin/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DUMP_MAX ((size_t)64 << 20)

_Noreturn void xm_assert_failed(const char *condition, const char *file,
				int line)
{
	char text[512];
	int size = snprintf(text, sizeof(text),
			    "extmem: %s:%d: this must hold and does not: "
			    "%s\n", file, line, condition);

	/* Not stdio: the process may be in any state, and in a handler. */
	if (size > 0 && write(STDERR_FILENO, text, (size_t)size) < 0)
		_exit(134);
	abort();
}

uint64_t os_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * XM_SECOND + (uint64_t)now.tv_nsec;
}

void os_random(void *ret, size_t size)
{
	uint8_t *bytes = ret;

	while (size > 0) {
		ssize_t got = getrandom(bytes, size, 0);

		if (got < 0) {
			XM_ASSERT(errno == EINTR);
			continue;
		}
		bytes += got;
		size -= (size_t)got;
	}
}

bool os_page_fits(char *words, size_t words_size)
{
	long size = sysconf(_SC_PAGESIZE);

	if (size == (long)XM_PAGE)
		return true;
	snprintf(words, words_size, "this kernel's pages are %ld bytes, and "
		 "extmem is built for pages of %llu: a kernel with such pages "
		 "is needed", size, (unsigned long long)XM_PAGE);
	return false;
}

/* Not by stdio, whose lock may be taken. A handler of the program's for SIGABRT would
 * run on this thread, and may touch external memory itself. */
_Noreturn void os_end_in_words(const char *text)
{
	syscall(SYS_write, STDERR_FILENO, text, strlen(text));
	signal(SIGABRT, SIG_DFL);
	abort();
}

void *os_memory_take(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			    0);

	if (memory == MAP_FAILED)
		return NULL;
	/* Where transparent huge pages are `always`, as Debian has them, the
	 * first touch of each 2 MiB would cost 2 MiB. */
	if (size >= 2 * XM_MIB)
		madvise(memory, size, MADV_NOHUGEPAGE);
	/* Tables as large as this are mostly empty; a core file would have
	 * their whole size. */
	if (size >= DUMP_MAX)
		madvise(memory, size, MADV_DONTDUMP);
	return memory;
}

void os_memory_give(void *memory, size_t size)
{
	if (memory != NULL)
		munmap(memory, size);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

/* To be woken takes some 50 us, and who has a lane's lock has it for a few. */
#define LOCK_SPINS 200
#define LOCK_YIELDS 50
#define YIELD_SPINS 64
#define RELAXES 64 /* looks before the processor is offered to others */

/* Without a call of the dynamic linker, or of the kernel, at each use. */
static _Thread_local int id __attribute__((tls_model("initial-exec")));
static _Thread_local bool is_ours __attribute__((tls_model("initial-exec")));

int os_thread_id(void)
{
	if (id == 0)
		id = gettid();
	return id;
}

bool os_thread_is_ours(void)
{
	return is_ours;
}

static bool try_take(struct os_lock *lock)
{
	uint32_t none = 0;

	return atomic_compare_exchange_strong_explicit(
		&lock->word, &none, 1, memory_order_acquire,
		memory_order_relaxed);
}

static _Thread_local struct {
	void (*look)(void *context);
	void *context;
} meanwhile __attribute__((tls_model("initial-exec")));

void os_lock_meanwhile(void (*look)(void *context), void *context)
{
	meanwhile.context = context;
	meanwhile.look = look;
}

static void take_slowly(struct os_lock *lock)
{
	static const struct timespec second = { .tv_sec = 1 };

	atomic_fetch_add_explicit(&lock->wanting, 1, memory_order_relaxed);
	for (unsigned i = 0; i < LOCK_SPINS + LOCK_YIELDS; i++) {
		if (i < LOCK_SPINS)
			relax();
		else
			sched_yield();
		if (atomic_load_explicit(&lock->word, memory_order_relaxed) ==
			    0 &&
		    try_take(lock))
			goto taken;
	}
	while (atomic_exchange_explicit(&lock->word, 2,
					memory_order_acquire) != 0) {
		if (syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2,
			    meanwhile.look != NULL ? &second : NULL, NULL,
			    0) != 0 && errno == ETIMEDOUT)
			meanwhile.look(meanwhile.context);
	}
taken:
	atomic_fetch_sub_explicit(&lock->wanting, 1, memory_order_relaxed);
}

void os_lock_take(struct os_lock *lock)
{
	if (!try_take(lock))
		take_slowly(lock);
	atomic_store_explicit(&lock->owner, os_thread_id(),
			      memory_order_relaxed);
}

void os_lock_give(struct os_lock *lock)
{
	atomic_store_explicit(&lock->owner, 0, memory_order_relaxed);
	if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) ==
	    2)
		syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL,
			NULL, 0);
}

int os_lock_owner(const struct os_lock *lock)
{
	return atomic_load_explicit(&lock->owner, memory_order_relaxed);
}

bool os_lock_wanted(const struct os_lock *lock)
{
	return atomic_load_explicit(&lock->wanting, memory_order_relaxed) != 0;
}

void os_lock_yield(const struct os_lock *lock)
{
	for (unsigned i = 0; i < YIELD_SPINS && os_lock_wanted(lock) &&
			     atomic_load_explicit(&lock->word,
						  memory_order_relaxed) == 0;
	     i++)
		relax();
}

/* --- words and descriptors --------------------------------------------------------- */

static struct timespec time_of(uint64_t ns)
{
	ns = xm_min(ns, 3600 * XM_SECOND);
	return (struct timespec){ .tv_sec = (time_t)(ns / XM_SECOND),
				  .tv_nsec = (long)(ns % XM_SECOND) };
}

void os_word_sleep(const _Atomic uint32_t *word, uint32_t seen,
		   uint64_t timeout_ns)
{
	struct timespec time = time_of(timeout_ns);

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, &time, NULL, 0);
}

void os_word_wake(const _Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void os_sleep_on(struct pollfd *fds, unsigned count,
		 const _Atomic uint32_t *word, uint32_t seen,
		 uint64_t timeout_ns)
{
	struct timespec time = time_of(timeout_ns);

	if (word != NULL &&
	    atomic_load_explicit(word, memory_order_acquire) != seen)
		return;
	ppoll(fds, count, &time, NULL);
}

#define BUS (UINT64_C(1) << (SIGBUS - 1))

void os_signals_block(struct os_signals *ret_old)
{
	uint64_t most = ~BUS;

	ret_old->blocked = true;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &most, &ret_old->mask,
		sizeof(most));
}

void os_signals_restore(const struct os_signals *old)
{
	if (old->blocked)
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old->mask, NULL,
			sizeof(old->mask));
}

void os_sleep(uint64_t ns)
{
	struct timespec nap = { .tv_sec = (time_t)(ns / XM_SECOND),
				.tv_nsec = (long)(ns % XM_SECOND) };

	nanosleep(&nap, NULL);
}

void os_look_again(unsigned turn, bool crowded, uint64_t most_ns)
{
	(void)most_ns;
	/* The thread that the caller waits for may need this processor. */
	if (turn < RELAXES && !crowded)
		relax();
	else
		sched_yield();
}

/* --- threads ------------------------------------------------------------------ */

static void *thread_run(void *argument)
{
	struct os_thread *thread = argument;
	const uint64_t bus = BUS;

	is_ours = true;
	atomic_store(&thread->id, os_thread_id());
	/* The thread that started this one may have had SIGBUS blocked. */
	syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &bus, NULL, sizeof(bus));
	return thread->run(thread->argument);
}

int os_thread_start(struct os_thread *thread, void *(*run)(void *),
		    void *argument)
{
	struct os_signals old;
	int rc;

	thread->run = run;
	thread->argument = argument;
	atomic_store(&thread->id, 0);
	/* A thread inherits the mask: no signal of the program's lands there. */
	os_signals_block(&old);
	rc = pthread_create(&thread->thread, NULL, thread_run, thread);
	os_signals_restore(&old);
	return -rc;
}

void os_thread_join(struct os_thread *thread)
{
	pthread_join(thread->thread, NULL);
}

/* Without a call of the dynamic linker at each use. */
static _Thread_local void *own __attribute__((tls_model("initial-exec")));
static pthread_once_t own_once = PTHREAD_ONCE_INIT;
static pthread_key_t own_key;
static int own_error;
static void (*_Atomic own_end)(void *);

static void own_ended(void *value)
{
	own = NULL;
	atomic_load(&own_end)(value);
}

static void own_begin(void)
{
	own_error = pthread_key_create(&own_key, own_ended);
}

void *os_thread_own(void)
{
	return own;
}

int os_thread_own_set(void *value, void (*end)(void *))
{
	pthread_once(&own_once, own_begin);
	atomic_store(&own_end, end);
	/* Before the call: a malloc() of its own may come back to us. */
	own = value;
	if (own_error == 0 && pthread_setspecific(own_key, value) == 0)
		return 0;
	own = NULL;
	return -ENOMEM;
}

static pthread_once_t barrier_once = PTHREAD_ONCE_INIT;
static bool barrier_works;

static void barrier_begin(void)
{
	barrier_works =
		syscall(SYS_membarrier,
			MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool os_barrier_works(void)
{
	pthread_once(&barrier_once, barrier_begin);
	return barrier_works;
}

void os_barrier(void)
{
	if (os_barrier_works())
		syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	else
		atomic_thread_fence(memory_order_seq_cst);
}

void os_mutex_open(struct os_mutex *m)
{
	pthread_mutex_init(&m->mutex, NULL);
}

void os_mutex_close(struct os_mutex *m)
{
	pthread_mutex_destroy(&m->mutex);
}

void os_mutex_take(struct os_mutex *m)
{
	pthread_mutex_lock(&m->mutex);
}

void os_mutex_give(struct os_mutex *m)
{
	pthread_mutex_unlock(&m->mutex);
}

void os_cond_open(struct os_cond *c)
{
	pthread_cond_init(&c->cond, NULL);
}

void os_cond_close(struct os_cond *c)
{
	pthread_cond_destroy(&c->cond);
}

void os_cond_wait(struct os_cond *c, struct os_mutex *m)
{
	pthread_cond_wait(&c->cond, &m->mutex);
}

void os_cond_wake_all(struct os_cond *c)
{
	pthread_cond_broadcast(&c->cond);
}

/* --- kicks ---------------------------------------------------------------------- */

int os_kick_open(void)
{
	int kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return kick < 0 ? -errno : kick;
}

void os_kick_close(int kick)
{
	if (kick >= 0)
		close(kick);
}

void os_kick(int kick)
{
	uint64_t one = 1;

	if (write(kick, &one, sizeof(one)) < 0)
		return; /* it is full: it will be looked at anyway */
}

void os_kick_drain(int kick)
{
	uint64_t kicks;

	if (read(kick, &kicks, sizeof(kicks)) < 0)
		return; /* nobody had kicked */
}

/* --- small memory ------------------------------------------------------------------ */

struct xm_trace *os_trace(void)
{
	return NULL;
}

void *os_alloc(size_t size)
{
	return calloc(1, size);
}

void os_free(void *memory)
{
	free(memory);
}
