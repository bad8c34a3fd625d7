/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program's signal handlers: when they run, and jumps out of them.
 *
 * The kernel is given one handler for all signals except SIGBUS and SIGSYS
 * (signal.c): on_signal(), which calls the program's. There are two reasons.
 *
 * A signal that arrives while the library works on this thread must wait: the
 * program's handler could block on a lock that is held, and its own calls would be
 * taken for the library's. So on_signal() notes the signal and blocks all others in
 * the interrupted context; when the library returns, the signal is sent again.
 * Signals that the thread has raised itself (SIGSEGV and the like) cannot wait.
 *
 * A handler runs as part of the program whatever it interrupts, even a call that
 * the shim is serving. Buffers that such a call has pinned are noted here with the
 * nesting depth of handlers at that time. A jump out of a handler (siglongjmp(3),
 * setcontext(3)) abandons the calls it interrupted, so their pins are released. The
 * stack address says which: a jump stays inside a handler if its target frame lies
 * between the present frame and the handler's.
 *
 * Bounds: the first 64 pins of a thread are noted. Further pins, of a call with
 * more buffers that is left by a jump, are never released.
 */
#include "preload/area.h"

#include <setjmp.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define SIGNALS 65
#define PINS_MAX 64

typedef void (*handler_t)(int, siginfo_t *, void *);

/* Of the program; the kernel's table says whether it is still in force, since
 * a child of vfork() shares this one and not that. */
static handler_t _Atomic handlers[SIGNALS];
static _Atomic int handler_flags[SIGNALS];

struct frame { /* of a handler that runs */
	struct frame *outer;
	uintptr_t stack; /* of what it interrupted */
	int inside;
	bool trapped;
};

struct pin {
	const void *address;
	size_t size;
	unsigned level;
};

static _Thread_local struct {
	struct frame *frame;
	unsigned level; /* handlers that run, one in another */
	unsigned pin_count;
	struct pin pins[PINS_MAX];
	int number; /* of a signal that waits; 0: none */
	siginfo_t info;
	sigset_t mask; /* of the thread, before it did */
} here __attribute__((tls_model("initial-exec")));

/* --- what calls have pinned ------------------------------------------------------ */

void handler_pinned(const void *address, size_t size)
{
	if (here.pin_count < PINS_MAX)
		here.pins[here.pin_count++] =
			(struct pin){ address, size, here.level };
}

void handler_unpinned(const void *address)
{
	for (unsigned i = here.pin_count; i > 0; i--)
		if (here.pins[i - 1].address == address) {
			here.pins[i - 1] = here.pins[--here.pin_count];
			return;
		}
}

unsigned handler_level(void)
{
	return here.level;
}

static void release_from(unsigned level)
{
	for (unsigned i = here.pin_count; i > 0; i--) {
		struct pin pin = here.pins[i - 1];

		if (pin.level >= level)
			present_end(pin.address, pin.size); /* takes it out */
	}
}

/* --- running one ------------------------------------------------------------------ */

uintptr_t handler_stack(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
	return context->uc_mcontext.sp;
#else
	(void)context;
	return 0;
#endif
}

void handler_call(void (*call)(int, siginfo_t *, void *), int number,
		  siginfo_t *info, void *context)
{
	struct frame frame = { here.frame, handler_stack(context), shim_inside,
			       trap_inside };

	here.frame = &frame;
	here.level++;
	shim_inside = 0;
	trap_inside = false;
	call(number, info, context);
	trap_inside = frame.trapped;
	shim_inside = frame.inside;
	here.level--;
	here.frame = frame.outer;
}

/* What the thread has met by its own doing. */
static bool is_met(int number, const siginfo_t *info)
{
	return info->si_code > 0 && info->si_code != SI_KERNEL &&
	       (number == SIGSEGV || number == SIGFPE || number == SIGILL ||
		number == SIGTRAP);
}

/* A thread that is to stop needs no other signal any more. */
void handler_wait(int number, const siginfo_t *info, void *machine)
{
	static const int stay[] = { SIGBUS, SIGSYS, SIGSEGV,
				    SIGFPE, SIGILL, SIGTRAP };
	ucontext_t *context = machine;

	if (here.number == 0)
		here.mask = context->uc_sigmask;
	here.number = number;
	here.info = *info;
	/* The kernel's set is the first part of libc's. */
	sigfillset(&context->uc_sigmask);
	for (size_t i = 0; i < sizeof(stay) / sizeof(stay[0]); i++)
		sigdelset(&context->uc_sigmask, stay[i]);
}

void handler_deliver_waiting(void)
{
	int number = here.number, error = errno;

	if (number == 0)
		return;
	here.number = 0;
	if (shim_raw(SYS_rt_tgsigqueueinfo, getpid(), gettid(), number,
		     (long)&here.info, 0, 0) < 0)
		shim_raw(SYS_tgkill, getpid(), gettid(), number, 0, 0, 0);
	shim_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&here.mask, 0, 8, 0,
		 0);
	errno = error;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	const struct sigaction plain = { .sa_handler = SIG_DFL };
	handler_t handler = atomic_load(&handlers[number]);

	if (shim_inside > 0 && here.number == 0 && !is_met(number, info)) {
		handler_wait(number, info, context);
		return;
	}
	if ((atomic_load(&handler_flags[number]) & SA_RESETHAND) != 0)
		shim_reals.sigaction(number, &plain, NULL);
	/* The library denies both, and knows no difference. */
	if (number == SIGSEGV && info->si_code == SEGV_ACCERR && !shim_inside &&
	    atomic_load(&shim_ready) && area_misses(info->si_addr))
		info->si_code = SEGV_MAPERR;
	if (handler)
		handler_call(handler, number, info, context);
}

/* --- what the program asks for ------------------------------------------------------ */

int handler_action(int number, const struct sigaction *action,
		   struct sigaction *ret)
{
	struct sigaction mine, before;
	handler_t old;
	int flags, r;

	if (shim_reals.sigaction(number, NULL, &before) < 0)
		return -1;
	old = atomic_load(&handlers[number]);
	flags = atomic_load(&handler_flags[number]);
	if (before.sa_sigaction == on_signal) {
		before.sa_sigaction = old;
		before.sa_flags &= ~SA_SIGINFO;
		before.sa_flags |= flags & (SA_SIGINFO | (int)SA_RESETHAND);
	}
	if (action) {
		mine = *action;
		if (mine.sa_handler != SIG_DFL && mine.sa_handler != SIG_IGN) {
			atomic_store(&handlers[number], mine.sa_sigaction);
			atomic_store(&handler_flags[number], mine.sa_flags);
			mine.sa_sigaction = on_signal;
			mine.sa_flags |= SA_SIGINFO;
			mine.sa_flags &= ~(int)SA_RESETHAND;
		}
		r = shim_reals.sigaction(number, &mine, NULL);
		if (r < 0) {
			atomic_store(&handlers[number], old);
			atomic_store(&handler_flags[number], flags);
			return -1;
		}
	}
	if (ret)
		*ret = before;
	return 0;
}

/* --- jumps ---------------------------------------------------------------------------- */

static void left_for(uintptr_t target)
{
	uintptr_t low = (uintptr_t)__builtin_frame_address(0);
	struct frame *f = here.frame;

	while (f && !(low <= target && target < (uintptr_t)f)) {
		low = f->stack;
		f = f->outer;
		here.level--;
	}
	if (f == here.frame)
		return;
	here.frame = f;
	shim_inside = 0;
	trap_inside = false;
	thread_bounce_left(here.level);
	release_from(here.level);
	handler_deliver_waiting();
}

#define JUMP_BUFFER_STACK 6

/* Where the jump goes, as glibc keeps it; elsewhere: out of all handlers. */
static void left_by(struct __jmp_buf_tag *buffer)
{
	uintptr_t target = 0;

	if (!here.frame)
		return;
#ifdef __x86_64__
	target = (uintptr_t)buffer->__jmpbuf[JUMP_BUFFER_STACK];
	__asm__("ror $17, %0\n\txor %%fs:0x30, %0" : "+r"(target));
#else
	(void)buffer;
#endif
	left_for(target);
}

SHIM_EXPORT _Noreturn void siglongjmp(struct __jmp_buf_tag buffer[1],
				       int value)
{
	left_by(buffer);
	shim_real()->siglongjmp(buffer, value);
	__builtin_unreachable();
}

SHIM_EXPORT _Noreturn void longjmp(struct __jmp_buf_tag buffer[1], int value)
{
	left_by(buffer);
	shim_real()->siglongjmp(buffer, value); /* the same in libc */
	__builtin_unreachable();
}

SHIM_EXPORT _Noreturn void _longjmp(struct __jmp_buf_tag buffer[1], int value)
{
	left_by(buffer);
	shim_real()->siglongjmp(buffer, value);
	__builtin_unreachable();
}

_Noreturn void __longjmp_chk(struct __jmp_buf_tag *, int);

SHIM_EXPORT _Noreturn void __longjmp_chk(struct __jmp_buf_tag *buffer,
					 int value)
{
	left_by(buffer);
	shim_real()->__longjmp_chk(buffer, value);
	__builtin_unreachable();
}

SHIM_EXPORT int setcontext(const ucontext_t *context)
{
	if (here.frame)
		left_for(handler_stack(context));
	if (signal_blocks_ours(&context->uc_sigmask))
		signal_open_mask(&((ucontext_t *)context)->uc_sigmask);
	return shim_real()->setcontext(context);
}

SHIM_EXPORT int swapcontext(ucontext_t *from, const ucontext_t *to)
{
	if (signal_blocks_ours(&to->uc_sigmask))
		signal_open_mask(&((ucontext_t *)to)->uc_sigmask);
	return shim_real()->swapcontext(from, to);
}
