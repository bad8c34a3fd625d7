/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records what the program touches; see record.h.
 *
 * A touch is noted on the thread that makes it, in the handler of its fault, before it is
 * served. Its calls are found by backtrace(3), which since glibc 2.35 takes no lock and
 * allocates nothing once it was called; what it reads of the program's stack may be
 * external, and is served as any other fault, unrecorded. Calls get their names at the
 * end by dladdr(3), which takes the loader's lock and so is nothing for a handler. A
 * program that is killed leaves addresses without names.
 *
 * Signals wait while the lock is held, as in all work of the library.
 */
#include "preload/record.h"

#include "preload/shim.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

#include "common/record.h"

#define ABOVE 8 /* calls between the fault and backtrace(3): ours, the kernel's */
#define STACK_LEAST ((size_t)32 << 10) /* of a handler's, to look at calls from there */

static struct xm_record *record;
static size_t record_size;
static atomic_flag taken = ATOMIC_FLAG_INIT;
static _Thread_local bool busy __attribute__((tls_model("initial-exec")));

static uint64_t time_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void lock(void)
{
	while (atomic_flag_test_and_set_explicit(&taken, memory_order_acquire))
		shim_raw(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static void unlock(void)
{
	atomic_flag_clear_explicit(&taken, memory_order_release);
}

void record_start(void)
{
	const char *path = exec_variable(RUN_ENV_RECORD);
	struct stat status;
	void *first[2], *p;
	int fd;

	if (!path || !*path)
		return;
	fd = shim_real()->open64(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || shim_real()->fstat(fd, &status) < 0 ||
	    (size_t)status.st_size <= sizeof(struct xm_record))
		shim_refuse("the file of `extmem advise` cannot be opened");
	record_size = (size_t)status.st_size;
	p = shim_real()->mmap(NULL, record_size, PROT_READ | PROT_WRITE,
			      MAP_SHARED, fd, 0);
	shim_raw(SYS_close, fd, 0, 0, 0, 0, 0);
	if (p == MAP_FAILED)
		shim_refuse("the file of `extmem advise` cannot be mapped");
	xm_record_begin(p, record_size); /* of what it was before exec() */
	((struct xm_record *)p)->began_ns = time_ns(CLOCK_MONOTONIC);
	backtrace(first, 2); /* loads the unwinder */
	record = p;
}

/* --- calls -------------------------------------------------------------------- */

static uint64_t pc_of(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (uint64_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return context->uc_mcontext.pc;
#else
	(void)context;
	return 0;
#endif
}

static bool was_write(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (context->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
	(void)context;
	return false;
#endif
}

static bool has(const uint64_t *list, uint32_t count, uint64_t at)
{
	uint32_t i = 0;

	while (i < count && list[i] != at)
		i++;
	return i < count;
}

/* From `pc` outwards; of a call the last byte, as what follows it may be another function's.
 * A call that comes again is left out: else each depth of a recursion had stacks of its own.
 * pc 0: from who called the shim. */
static uint32_t calls(uint64_t pc, uint64_t ret[XM_RECORD_DEPTH])
{
	void *at[XM_RECORD_DEPTH + ABOVE];
	int count = backtrace(at, XM_RECORD_DEPTH + ABOVE), first = 0;
	uint32_t depth = 0;

	while (pc != 0 && first < count && (uint64_t)(uintptr_t)at[first] != pc)
		first++;
	if (first == count) { /* it does not see through the handler */
		ret[0] = pc;
		return 1;
	}
	for (int i = first; i < count && depth < XM_RECORD_DEPTH; i++) {
		uint64_t a = (uint64_t)(uintptr_t)at[i];

		a -= i > first || pc == 0;
		if (at[i] != NULL && !has(ret, depth, a))
			ret[depth++] = a;
	}
	return depth;
}

static bool has_room(const ucontext_t *context)
{
	return (context->uc_stack.ss_flags & SS_DISABLE) != 0 ||
	       context->uc_stack.ss_size >= STACK_LEAST;
}

static uint32_t intern(const uint64_t *at, uint32_t depth)
{
	uint32_t stack;

	lock();
	stack = xm_record_stack(record, at, depth);
	unlock();
	return stack;
}

/* The number of the calls that led to this touch. To follow them takes as long as a fault: one
 * from the same instruction, with the same stack pointer, has the same calls but by chance. */
static uint32_t stack_of(const ucontext_t *context)
{
	static _Thread_local struct {
		uint64_t pc, sp;
		uint32_t stack;
	} last __attribute__((tls_model("initial-exec")));
	uint64_t pc = pc_of(context), sp = handler_stack(context);
	uint64_t at[XM_RECORD_DEPTH] = { pc };

	if (last.stack == 0 || last.pc != pc || last.sp != sp) {
		last.stack = intern(at, has_room(context) ? calls(pc, at) : 1);
		last.pc = pc;
		last.sp = sp;
	}
	return last.stack;
}

/* --- touches --------------------------------------------------------------------- */

/* A fault's time: of the clock, and of its thread's processor. */
struct moment {
	uint64_t clock_ns, thread_ns;
};

static struct moment moment(void)
{
	return (struct moment){ time_ns(CLOCK_MONOTONIC),
				time_ns(CLOCK_THREAD_CPUTIME_ID) };
}

static _Thread_local uint64_t left_ns /* the last fault, by the thread's time */
	__attribute__((tls_model("initial-exec")));

static void note(const siginfo_t *info, const ucontext_t *context, struct moment began)
{
	uint32_t stack = stack_of(context);

	lock();
	record->between_ns += began.thread_ns - left_ns;
	xm_record_touch(record, (uintptr_t)info->si_addr, was_write(context),
			stack);
	unlock();
}

static void note_served(struct moment began)
{
	struct moment now = moment();
	uint64_t peak = atomic_load(&shim_shared->live_bytes_peak);

	lock();
	record->faults_ns += now.clock_ns - began.clock_ns;
	record->faults_thread_ns += now.thread_ns - began.thread_ns;
	record->peak = peak;
	unlock();
	left_ns = now.thread_ns;
}

static record_handler next;

static void on_fault(int number, siginfo_t *info, void *context)
{
	int error = errno;
	struct moment began;
	bool is_touch = !busy && getpid() == shim_owner && info->si_code > 0 &&
			block_contains(info->si_addr, 1);

	if (!is_touch) {
		next(number, info, context);
		return;
	}
	began = moment();
	busy = true;
	shim_inside++;
	note(info, context, began);
	shim_inside--;
	busy = false;
	errno = error;
	next(number, info, context);
	error = errno;
	note_served(began);
	errno = error;
}

record_handler record_before(record_handler handler)
{
	next = handler;
	return record ? on_fault : handler;
}

void record_present(const void *address, size_t size, bool write)
{
	uintptr_t page = (uintptr_t)address & ~(SHIM_PAGE - 1);
	uint64_t at[XM_RECORD_DEPTH];
	uint32_t stack;

	if (!record || getpid() != shim_owner)
		return;
	shim_enter();
	busy = true;
	stack = intern(at, calls(0, at));
	lock();
	for (; page < (uintptr_t)address + size; page += SHIM_PAGE)
		xm_record_touch(record, page, write, stack);
	unlock();
	busy = false;
	shim_leave();
}

void record_fresh(uintptr_t address, uint64_t size)
{
	if (!record || getpid() != shim_owner)
		return;
	shim_enter();
	lock();
	xm_record_fresh(record, address, size);
	unlock();
	shim_leave();
}

/* --- names ---------------------------------------------------------------------- */

static void name(uint64_t at)
{
	char text[XM_RECORD_NAME];
	const char *file;
	Dl_info info;

	if (dladdr((void *)(uintptr_t)at, &info) == 0 || !info.dli_fname)
		return;
	file = strrchr(info.dli_fname, '/');
	file = file ? file + 1 : info.dli_fname;
	if (info.dli_sname)
		snprintf(text, sizeof(text), "%s (%s)", info.dli_sname, file);
	else
		snprintf(text, sizeof(text), "%s+%#llx", file,
			 (unsigned long long)(at - (uintptr_t)info.dli_fbase));
	xm_record_name(record, at, text);
}

/* With the lock: other threads may still touch. */
static bool is_named(uint64_t at)
{
	uint32_t i = 0;

	while (i < record->names_count && record->names[i].at != at)
		i++;
	return i < record->names_count;
}

void record_end(void)
{
	struct extmem_stats stats = { .size = sizeof(stats) };

	if (!record || getpid() != shim_owner)
		return;
	shim_enter();
	busy = true;
	if (shim_client && extmem_stats(shim_client, &stats) < 0)
		stats.misses = stats.waited_ns = 0;
	lock();
	record->process_ns = time_ns(CLOCK_PROCESS_CPUTIME_ID);
	record->peak = atomic_load(&shim_shared->live_bytes_peak);
	record->waited_ns = stats.waited_ns;
	record->misses = stats.misses;
	unlock();
	for (uint32_t s = 1; s < XM_RECORD_STACKS; s++)
		for (uint32_t i = 0; i < record->stacks[s].depth; i++)
			if (!is_named(record->stacks[s].at[i]))
				name(record->stacks[s].at[i]);
	record->ended = true;
	busy = false;
	shim_leave();
}
