/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every system call that is given external memory, whoever makes it.
 *
 * Wrappers of libc's functions see only what the program calls: they do not see
 * stdio's own reads, futexes, or syscall(2). With faults served inline the kernel
 * answers EFAULT there. So a seccomp filter looks at the arguments of every call.
 * If one lies in the range of addresses that is reserved for external memory, the
 * kernel delivers SIGSYS instead of making the call; the handler makes it with
 * pinned memory or with local copies, and puts the result where the program expects
 * it. A call without such an argument costs the filter alone (about 50 ns), a
 * trapped one about 2 us.
 *
 * Calls made by shim_raw()'s own instruction pass, so that a call with pinned memory
 * is not trapped again. Calls that take pages away (munmap, mprotect, madvise) are
 * trapped, too, and served like libc's. Calls that start a process pass, because
 * the handler's stack frame would be gone in the child. Calls that would close a
 * descriptor by which faults are served are rejected by the filter with EBADF or
 * ENOSYS, because absent pages would read as zeros after it.
 *
 * The filter stays in force after exec(), where the handler is gone. There it does
 * no harm: no kernel and no allocator places memory at these addresses by itself,
 * and a program with external memory of its own has other addresses (arena_hint()).
 * Without privilege the filter needs no_new_privs, so setuid programs that the
 * program starts get no more rights than it has. io_uring and aio are answered
 * ENOSYS, because the kernel would touch memory outside of any call; programs that
 * use them have another way.
 *
 * On machines other than x86-64, or where seccomp is not allowed, there are only the
 * wrappers.
 */
#include "preload/shim.h"

#ifdef __x86_64__

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

bool trap_installed;
_Thread_local bool trap_inside __attribute__((tls_model("initial-exec")));

/* The instruction that is let through; the kernel says where the next one
 * is. */
__asm__(".text\n"
	".globl shim_raw\n"
	".hidden shim_raw\n"
	".type shim_raw, @function\n"
	"shim_raw:\n"
	".cfi_startproc\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rdx\n"
	"	mov %r8, %r10\n"
	"	mov %r9, %r8\n"
	"	mov 8(%rsp), %r9\n"
	"	syscall\n"
	".globl shim_raw_next\n"
	".hidden shim_raw_next\n"
	"shim_raw_next:\n"
	"	ret\n"
	".cfi_endproc\n"
	".size shim_raw, . - shim_raw\n");

/* --- the filter --------------------------------------------------------------- */

/* Registers that a call does not use hold whatever was there, external
 * addresses too: the filter must know which arguments are addresses. It finds
 * the call's number in a tree of intervals with the same answer, whose leaves
 * jump to the check for that set of arguments. */
#define FILTER_MAX 2048
#define INTERVALS_MAX 512

struct interval {
	uint32_t first; /* number; to the next one's */
	uint32_t check; /* as call_shape_check() says */
};

struct filter {
	struct sock_filter list[FILTER_MAX];
	unsigned count;
	struct interval interval[INTERVALS_MAX];
	unsigned interval_count;
	unsigned leaf[INTERVALS_MAX]; /* where each interval's leaf is */
	bool full;
};

static void add(struct filter *f, unsigned short code, uint32_t k,
		unsigned char if_true, unsigned char if_false)
{
	f->full |= f->count == FILTER_MAX;
	if (!f->full)
		f->list[f->count++] = (struct sock_filter){
			code, if_true, if_false, k
		};
}

static void load(struct filter *f, size_t offset)
{
	add(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void answer(struct filter *f, uint32_t verdict)
{
	add(f, BPF_RET | BPF_K, verdict, 0, 0);
}

static void add_intervals(struct filter *f, bool kernel)
{
	uint32_t last = CALL_CHECKS;

	for (unsigned number = 0; number <= call_count(); number++) {
		uint32_t check = call_shape_check(number, kernel);

		if (check == last)
			continue;
		f->full |= f->interval_count == INTERVALS_MAX;
		if (f->full)
			return;
		f->interval[f->interval_count++] =
			(struct interval){ number, check };
		last = check;
	}
}

/* The number is loaded. */
static void add_tree(struct filter *f, unsigned from, unsigned to)
{
	unsigned middle = (from + to) / 2, jump;

	if (to - from == 1) {
		f->leaf[from] = f->count;
		add(f, BPF_JMP | BPF_JA, 0, 0, 0);
		return;
	}
	add(f, BPF_JMP | BPF_JGE | BPF_K, f->interval[middle].first, 0, 1);
	jump = f->count;
	add(f, BPF_JMP | BPF_JA, 0, 0, 0);
	add_tree(f, from, middle);
	if (!f->full)
		f->list[jump].k = f->count - jump - 1;
	add_tree(f, middle, to);
}

static size_t argument(unsigned i, bool upper)
{
	return offsetof(struct seccomp_data, args[0]) + 8 * i + (upper ? 4 : 0);
}

/* BPF compares 32 bits at a time, and the filter looks at the upper halves alone.
 * The handler finds out that an address nearby is not external. */
static void add_address(struct filter *f, unsigned i, uint32_t first,
			uint32_t last)
{
	load(f, argument(i, true));
	add(f, BPF_JMP | BPF_JGE | BPF_K, first, 0, 2);
	add(f, BPF_JMP | BPF_JGT | BPF_K, last, 1, 0);
	answer(f, SECCOMP_RET_TRAP | TRAP_MARK);
}

#define FUTEX_OPERATIONS 32 /* of which some are there yet */

/* Where libc has all signals blocked it may still wait for a lock of its own, with
 * anything in the registers that such a wait does not use: a trap would end the
 * program. So the operation says which are looked at. */
static void add_futex(struct filter *f, uint32_t first, uint32_t last)
{
	add_address(f, 0, first, last);
	load(f, argument(1, false));
	add(f, BPF_ALU | BPF_AND | BPF_K, (uint32_t)FUTEX_CMD_MASK, 0, 0);
	add(f, BPF_JMP | BPF_JGE | BPF_K, FUTEX_OPERATIONS, 0, 1);
	answer(f, SECCOMP_RET_ALLOW);
	add(f, BPF_MISC | BPF_TAX, 0, 0, 0);
	add(f, BPF_LD | BPF_IMM, 1, 0, 0);
	add(f, BPF_ALU | BPF_LSH | BPF_X, 0, 0, 0);
	add(f, BPF_ST, 0, 0, 0);
	for (unsigned i = 1; i < 6; i++) {
		uint32_t operations = 0;

		for (unsigned op = 0; op < FUTEX_OPERATIONS; op++)
			operations |= (call_futex_set(op) >> i & 1) << op;
		if (operations == 0)
			continue;
		add(f, BPF_LD | BPF_MEM, 0, 0, 0);
		add(f, BPF_JMP | BPF_JSET | BPF_K, operations, 0, 4);
		add_address(f, i, first, last);
	}
	answer(f, SECCOMP_RET_ALLOW);
}

/* A check that is not a set of arguments. Calls that would close one of our
 * descriptors are rejected and not trapped: after exec() the filter is in force
 * but the handler is gone. */
static void add_other(struct filter *f, uint32_t check, uint32_t first,
		      uint32_t last)
{
	const unsigned which = check == CALL_DUP ? 1 : 0;
	unsigned from = 0, to = 0;

	if (check == CALL_NOSYS) {
		answer(f, SECCOMP_RET_ERRNO | ENOSYS);
		return;
	}
	if (check == CALL_FUTEX) {
		add_futex(f, first, last);
		return;
	}
	if (check == CALL_PLACE) { /* ends there or behind, begins before */
		load(f, argument(1, true));
		add(f, BPF_MISC | BPF_TAX, 0, 0, 0);
		load(f, argument(0, true));
		add(f, BPF_JMP | BPF_JGT | BPF_K, last, 3, 0);
		add(f, BPF_ALU | BPF_ADD | BPF_X, 0, 0, 0);
		add(f, BPF_JMP | BPF_JGE | BPF_K, first - 1, 0, 1);
		answer(f, SECCOMP_RET_TRAP | TRAP_MARK);
	} else if (descriptor_numbers(&from, &to)) {
		load(f, argument(which, false));
		if (check == CALL_CLOSE_RANGE) {
			add(f, BPF_JMP | BPF_JGT | BPF_K, to, 3, 0);
			load(f, argument(1, false));
			add(f, BPF_JMP | BPF_JGE | BPF_K, from, 0, 1);
			answer(f, SECCOMP_RET_ERRNO | ENOSYS);
		} else {
			add(f, BPF_JMP | BPF_JGE | BPF_K, from, 0, 2);
			add(f, BPF_JMP | BPF_JGT | BPF_K, to, 1, 0);
			answer(f, SECCOMP_RET_ERRNO | EBADF);
		}
	}
	answer(f, SECCOMP_RET_ALLOW);
}

static void add_check(struct filter *f, uint32_t check, uint32_t first,
		      uint32_t last)
{
	if (check >= CALL_SETS) {
		add_other(f, check, first, last);
		return;
	}
	for (unsigned i = 0; i < 6; i++)
		if ((check >> i & 1) != 0)
			add_address(f, i, first, last);
	answer(f, SECCOMP_RET_ALLOW);
}

static void build(struct filter *f, uintptr_t base, uint64_t size, bool kernel)
{
	uintptr_t next = (uintptr_t)shim_raw_next;
	uint32_t first = (uint32_t)(base >> 32),
		 last = (uint32_t)((base + size - 1) >> 32);

	load(f, offsetof(struct seccomp_data, arch));
	add(f, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	answer(f, SECCOMP_RET_ALLOW);
	load(f, offsetof(struct seccomp_data, instruction_pointer));
	add(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)next, 0, 3);
	load(f, offsetof(struct seccomp_data, instruction_pointer) + 4);
	add(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(next >> 32), 0, 1);
	answer(f, SECCOMP_RET_ALLOW);
	load(f, offsetof(struct seccomp_data, nr));
	add_intervals(f, kernel);
	add_tree(f, 0, f->interval_count);
	for (uint32_t check = 0; check < CALL_CHECKS && !f->full; check++) {
		bool used = false;

		for (unsigned i = 0; i < f->interval_count; i++) {
			if (f->interval[i].check != check)
				continue;
			f->list[f->leaf[i]].k = f->count - f->leaf[i] - 1;
			used = true;
		}
		if (used)
			add_check(f, check, first, last);
	}
}

/* By number: libc's names lead to the shim, which would take it for the program's. */
static long set_filter(const struct sock_fprog *program)
{
	const long flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW |
			   SECCOMP_FILTER_FLAG_TSYNC;
	long r = shim_raw(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags,
			  (long)program, 0, 0, 0);

	return r > 0 ? -EBUSY : r; /* a thread has another filter */
}

static int install(const struct filter *f, bool kernel)
{
	struct sock_fprog program = { (unsigned short)f->count,
				      (struct sock_filter *)f->list };
	long r = set_filter(&program);

	/* Where calls need not be watched, programs with rights of their own are
	 * worth more. */
	if (r != -EACCES || kernel)
		return (int)r;
	r = shim_raw(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	return (int)(r < 0 ? r : set_filter(&program));
}

/* --- the handler ---------------------------------------------------------------- */

/* What a handler does to its thread's mask and stack is undone as it returns;
 * so it is done to what it returns to. */
static long set_mask(ucontext_t *context, const long arguments[6])
{
	uint64_t set = 0, *mask = (uint64_t *)(void *)&context->uc_sigmask;

	if (arguments[3] != sizeof(set))
		return -EINVAL;
	if (arguments[1])
		set = *(const uint64_t *)arguments[1];
	if (arguments[2])
		*(uint64_t *)arguments[2] = *mask;
	if (!arguments[1])
		return 0;
	if (arguments[0] == SIG_BLOCK)
		*mask |= set;
	else if (arguments[0] == SIG_UNBLOCK)
		*mask &= ~set;
	else if (arguments[0] == SIG_SETMASK)
		*mask = set;
	else
		return -EINVAL;
	sigdelset(&context->uc_sigmask, SIGBUS);
	sigdelset(&context->uc_sigmask, SIGSYS);
	return 0;
}

void trap_serve(siginfo_t *info, void *machine)
{
	ucontext_t *context = machine;
	greg_t *r = context->uc_mcontext.gregs;
	const long arguments[6] = { r[REG_RDI], r[REG_RSI], r[REG_RDX],
				    r[REG_R10], r[REG_R8],  r[REG_R9] };
	int error = errno;
	bool nested = trap_inside;

	trap_inside = true;
	if (info->si_syscall == SYS_rt_sigprocmask)
		r[REG_RAX] = set_mask(context, arguments);
	else if (shim_inside) /* the library's own: not ours to serve */
		r[REG_RAX] = shim_raw(info->si_syscall, arguments[0],
				      arguments[1], arguments[2], arguments[3],
				      arguments[4], arguments[5]);
	else
		r[REG_RAX] = call_serve(info->si_syscall, arguments);
	trap_inside = nested;
	errno = error;
}

int trap_start(void)
{
	struct filter *filter;
	int r;

	if (map_arena_size == 0)
		return -ENOENT;
	filter = local_take(sizeof(*filter));
	if (!filter)
		return -ENOMEM;
	build(filter, map_arena, map_arena_size, shim_kernel_faults);
	r = filter->full ? -ENOSPC : install(filter, shim_kernel_faults);
	local_give(filter, sizeof(*filter));
	trap_installed |= r == 0;
	return r;
}

#else /* other machines */

#include <sys/syscall.h>

bool trap_installed;
_Thread_local bool trap_inside __attribute__((tls_model("initial-exec")));

long shim_raw(long number, long a, long b, long c, long d, long e, long f)
{
	long r = syscall(number, a, b, c, d, e, f);

	return r < 0 ? -errno : r;
}

void trap_serve(siginfo_t *info, void *machine)
{
	(void)info;
	(void)machine;
}

int trap_start(void)
{
	return -ENOSYS;
}

#endif
