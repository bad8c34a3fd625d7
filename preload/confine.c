/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that confines itself with seccomp(2) keeps its external memory.
 *
 * A fault is served on the thread that meets it, by calls of the library, of libfabric
 * and of libc. To a filter that the program sets these are calls of the program: it
 * would be killed by the first. So the filter is given a few instructions in front,
 * which let through what serving needs, and no more:
 *
 * - calls on descriptors of the library's, which have numbers of their own;
 * - from the shim's own instruction and from libc's text: to wait, to look at the
 *   clock, to have memory that is not executable, and some that ask.
 *
 * Nothing of that opens, names, sends to or starts anything, so a program that is
 * taken over gets no more than the library's connections, which it has by loads and
 * stores already. What else was weighed: a thread of the library's without a filter
 * that serves all faults would be a thread without a filter for whoever can write to
 * its stack; and a refusal would stop the programs that are most careful.
 *
 * SECCOMP_FILTER_FLAG_TSYNC is for the program's threads: each is asked to set the
 * filter by itself, and the library's own, which connect again after a failure, have
 * none. Strict mode, which the kernel refuses beside a filter, is a filter that
 * permits what strict mode does.
 *
 * What a filter says about a call that is trapped (trap.c) holds for the call that is
 * made in its place. A filter that is set by an instruction of the program's own is
 * not seen.
 */
#include "preload/fork.h"

#ifdef __x86_64__

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define FILTER_MAX BPF_MAXINSNS
#define PROLOGUE_MAX 1024

/* --- what is let through -------------------------------------------------------------- */

enum permit {
	ANYTHING,
	DESCRIPTOR, /* argument 0 is one of the library's */
	MEMORY,	    /* mmap(2): private, anonymous, not executable */
	RIGHTS,	    /* mprotect(2): not executable */
	SELF,	    /* argument 0 is this process */
	FLAGS,	    /* fcntl(2): asks for flags */
};

static const struct rule {
	uint16_t number;
	uint8_t permit;
	bool anywhere; /* else from the shim's instruction, or libc's text */
} rules[] = {
	{ SYS_rt_sigreturn, ANYTHING, true },
	{ SYS_ioctl, DESCRIPTOR, true },
	{ SYS_read, DESCRIPTOR, true },
	{ SYS_write, DESCRIPTOR, true },
	{ SYS_readv, DESCRIPTOR, true },
	{ SYS_writev, DESCRIPTOR, true },
	{ SYS_recvfrom, DESCRIPTOR, true },
	{ SYS_sendto, DESCRIPTOR, true },
	{ SYS_recvmsg, DESCRIPTOR, true },
	{ SYS_sendmsg, DESCRIPTOR, true },
	{ SYS_getsockopt, DESCRIPTOR, true },
	{ SYS_epoll_ctl, DESCRIPTOR, true },
	{ SYS_epoll_wait, DESCRIPTOR, true },
	{ SYS_epoll_pwait, DESCRIPTOR, true },
	{ SYS_process_madvise, DESCRIPTOR, true },
	{ SYS_futex, ANYTHING, false },
	{ SYS_sched_yield, ANYTHING, false },
	{ SYS_poll, ANYTHING, false },
	{ SYS_ppoll, ANYTHING, false },
	{ SYS_clock_gettime, ANYTHING, false },
	{ SYS_clock_nanosleep, ANYTHING, false },
	{ SYS_membarrier, ANYTHING, false },
	{ SYS_mmap, MEMORY, false },
	{ SYS_munmap, ANYTHING, false },
	{ SYS_exit_group, ANYTHING, false },
	{ SYS_madvise, ANYTHING, false },
	{ SYS_mprotect, RIGHTS, false },
	{ SYS_brk, ANYTHING, false },
	{ SYS_gettid, ANYTHING, false },
	{ SYS_getpid, ANYTHING, false },
	{ SYS_rt_sigprocmask, ANYTHING, false },
	{ SYS_rt_sigaction, ANYTHING, false },
	{ SYS_sigaltstack, ANYTHING, false },
	{ SYS_rt_tgsigqueueinfo, SELF, false },
	{ SYS_tgkill, SELF, false },
	/* About the descriptors of a call that is served. */
	{ SYS_fstat, ANYTHING, false },
	{ SYS_fcntl, FLAGS, false },
	{ SYS_getsockopt, ANYTHING, false },
};

/* --- the instructions ------------------------------------------------------------------- */

struct prologue {
	struct sock_filter list[PROLOGUE_MAX];
	unsigned count;
};

static void add(struct prologue *p, unsigned short code, uint32_t k,
		unsigned char if_true, unsigned char if_false)
{
	if (p->count < PROLOGUE_MAX)
		p->list[p->count++] =
			(struct sock_filter){ code, if_true, if_false, k };
}

static void load(struct prologue *p, size_t offset)
{
	add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static size_t argument(unsigned i, bool upper)
{
	return offsetof(struct seccomp_data, args[0]) + 8 * i + (upper ? 4 : 0);
}

/* Instructions that a rule adds leave for the next rule through a jump whose length
 * is known once the rule is whole. */
#define EXITS_MAX 16

struct exits {
	unsigned at[EXITS_MAX], count;
};

/* Leaves unless the comparison holds. */
static void need(struct prologue *p, struct exits *e, unsigned short compare,
		 uint32_t k, bool holds)
{
	add(p, BPF_JMP | compare | BPF_K, k, holds ? 1 : 0, holds ? 0 : 1);
	e->at[e->count++] = p->count;
	add(p, BPF_JMP | BPF_JA, 0, 0, 0);
}

static void close_exits(struct prologue *p, const struct exits *e)
{
	for (unsigned i = 0; i < e->count; i++)
		if (p->count < PROLOGUE_MAX)
			p->list[e->at[i]].k = p->count - e->at[i] - 1;
}

/* Memory word 0 says whether the call comes from where the library's do. */
static void add_place(struct prologue *p)
{
	const size_t ip = offsetof(struct seccomp_data, instruction_pointer);
	const struct whose_span spans[] = {
		{ (uintptr_t)shim_raw_next, (uintptr_t)shim_raw_next + 1 },
		whose_libc,
	};

	add(p, BPF_LD | BPF_IMM, 0, 0, 0);
	add(p, BPF_ST, 0, 0, 0);
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		uint64_t first = spans[i].first, last = spans[i].last - 1;

		/* In each part that has one upper half: there are two at most. */
		for (uint64_t upper = first >> 32; spans[i].last != 0 &&
						   upper <= last >> 32;
		     upper++) {
			struct exits e = { .count = 0 };

			load(p, ip + 4);
			need(p, &e, BPF_JEQ, (uint32_t)upper, true);
			load(p, ip);
			if (upper == first >> 32)
				need(p, &e, BPF_JGE, (uint32_t)first, true);
			if (upper == last >> 32)
				need(p, &e, BPF_JGT, (uint32_t)last, false);
			add(p, BPF_LD | BPF_IMM, 1, 0, 0);
			add(p, BPF_ST, 0, 0, 0);
			close_exits(p, &e);
		}
	}
}

static void add_permit(struct prologue *p, struct exits *e, enum permit permit)
{
	const uint32_t flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
			       MAP_NORESERVE | MAP_STACK;
	unsigned first = 0, last = 0;

	switch (permit) {
	case ANYTHING:
		return;
	case DESCRIPTOR:
		descriptor_numbers(&first, &last);
		load(p, argument(0, false));
		need(p, e, BPF_JGE, first, true);
		need(p, e, BPF_JGT, last, false);
		return;
	case MEMORY:
		load(p, argument(3, false));
		need(p, e, BPF_JSET, MAP_ANONYMOUS, true);
		need(p, e, BPF_JSET, MAP_PRIVATE, true);
		need(p, e, BPF_JSET, ~flags, false);
		__attribute__((fallthrough));
	case RIGHTS:
		load(p, argument(2, false));
		need(p, e, BPF_JSET, ~(uint32_t)(PROT_READ | PROT_WRITE), false);
		return;
	case SELF:
		load(p, argument(0, false));
		need(p, e, BPF_JEQ, (uint32_t)getpid(), true);
		return;
	case FLAGS:
		load(p, argument(1, false));
		add(p, BPF_JMP | BPF_JEQ | BPF_K, F_GETFD, 2, 0);
		need(p, e, BPF_JEQ, F_GETFL, true);
		return;
	}
}

/* Behind it the program's own instructions begin. */
static void build(struct prologue *p)
{
	struct exits strangers = { .count = 0 };

	p->count = 0;
	load(p, offsetof(struct seccomp_data, arch));
	need(p, &strangers, BPF_JEQ, AUDIT_ARCH_X86_64, true);
	add_place(p);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct exits e = { .count = 0 };

		load(p, offsetof(struct seccomp_data, nr));
		need(p, &e, BPF_JEQ, rules[i].number, true);
		if (!rules[i].anywhere) {
			add(p, BPF_LD | BPF_MEM, 0, 0, 0);
			need(p, &e, BPF_JEQ, 1, true);
		}
		add_permit(p, &e, (enum permit)rules[i].permit);
		add(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
		close_exits(p, &e);
	}
	close_exits(p, &strangers);
}

/* --- setting one --------------------------------------------------------------------------- */

/* How the program asked for it. */
struct way {
	bool by_prctl;
	unsigned flags;
};

static _Atomic bool confined;

bool confine_is(void)
{
	return atomic_load_explicit(&confined, memory_order_relaxed);
}

static long set_here(const struct way *way, const struct sock_fprog *program)
{
	if (way->by_prctl)
		return shim_raw(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
				(long)program, 0, 0, 0);
	return shim_raw(SYS_seccomp, SECCOMP_SET_MODE_FILTER, way->flags,
			(long)program, 0, 0, 0);
}

/* What each thread of the program is asked to set by itself. */
static struct {
	struct way way;
	const struct sock_fprog *program;
	bool no_new_privileges;
	_Atomic bool asked;
	_Atomic unsigned generation, done_count, failed_count;
} others;

bool confine_is_asked(void)
{
	return atomic_load(&others.asked);
}

void confine_thread(void)
{
	static _Thread_local unsigned done
		__attribute__((tls_model("initial-exec")));

	if (!confine_is_asked() || done == atomic_load(&others.generation))
		return;
	done = atomic_load(&others.generation);
	if (others.no_new_privileges)
		shim_raw(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	if (set_here(&others.way, others.program) < 0)
		atomic_fetch_add(&others.failed_count, 1);
	atomic_fetch_add(&others.done_count, 1);
}

#define ASK_TRIES 100 /* of 50 ms */
#define LOOKS 50

static long set_in_others(const struct way *way,
			  const struct sock_fprog *program)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	unsigned count = UINT32_MAX;

	others.way = *way;
	others.program = program;
	others.no_new_privileges =
		shim_raw(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0, 0) == 1;
	atomic_store(&others.done_count, 0);
	atomic_store(&others.failed_count, 0);
	atomic_fetch_add(&others.generation, 1);
	atomic_store(&others.asked, true);
	for (int i = 0; i < ASK_TRIES; i++) {
		count = thread_signal_others();
		for (int j = 0; j < LOOKS &&
				count > atomic_load(&others.done_count);
		     j++)
			nanosleep(&nap, NULL);
		/* Once more: one of them may have begun another. */
		if (count <= atomic_load(&others.done_count) &&
		    thread_signal_others() <= count)
			break;
	}
	atomic_store(&others.asked, false);
	if (count <= atomic_load(&others.done_count) &&
	    atomic_load(&others.failed_count) == 0)
		return 0;
	shim_say("seccomp: a thread did not take the filter");
	return -ESRCH;
}

/* What would have to be begun by a call that the filter may forbid is begun now. */
static void get_ready(void)
{
	fork_get_ready();
	if (atomic_load(&child_serves))
		child_get_ready();
	thread_begin();
}

static long set(struct way way, const struct sock_fprog *program)
{
	const bool all = (way.flags & SECCOMP_FILTER_FLAG_TSYNC) != 0;
	long r = 0;

	get_ready();
	way.flags &= ~(unsigned)SECCOMP_FILTER_FLAG_TSYNC;
	if (all)
		r = set_in_others(&way, program);
	if (r == 0)
		r = set_here(&way, program);
	if (r >= 0)
		atomic_store(&confined, true);
	return r;
}

static long refuse(const char *words)
{
	shim_say("seccomp: refused: %s", words);
	return -EINVAL;
}

static long set_with_prologue(struct way way, const struct sock_fprog *program)
{
	struct {
		struct prologue prologue;
		struct sock_filter list[FILTER_MAX];
	} *merged;
	struct sock_fprog whole;
	unsigned first, last;
	long r;

	if (program->len == 0 || program->len > BPF_MAXINSNS)
		return set_here(&way, program); /* the kernel's to refuse */
	if (!descriptor_numbers(&first, &last))
		return refuse("with fewer than 4096 descriptors (ulimit -n) the "
			      "library's cannot be told from the program's");
	merged = local_take(sizeof(*merged));
	if (!merged)
		return -ENOMEM;
	build(&merged->prologue);
	whole.len = (unsigned short)(merged->prologue.count + program->len);
	whole.filter = merged->list;
	if (whole.len > BPF_MAXINSNS ||
	    merged->prologue.count == PROLOGUE_MAX) {
		r = refuse("what serves external memory needs to be permitted in "
			   "front of a filter, and this one is too long for "
			   "that");
	} else {
		memcpy(merged->list, merged->prologue.list,
		       merged->prologue.count * sizeof(merged->list[0]));
		memcpy(merged->list + merged->prologue.count, program->filter,
		       program->len * sizeof(merged->list[0]));
		r = set(way, &whole);
	}
	local_give(merged, sizeof(*merged));
	return r;
}

static long set_strict(bool by_prctl)
{
	struct sock_filter list[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {
		sizeof(list) / sizeof(list[0]), list
	};
	const struct way way = { .by_prctl = by_prctl };

	long r = set_with_prologue(way, &program);

	/* Strict mode needs no privilege, and a filter needs this. */
	if (r == -EACCES &&
	    shim_raw(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0) == 0)
		r = set_with_prologue(way, &program);
	return r;
}

/* --- what the program calls ------------------------------------------------------------------ */

static bool is_active(void)
{
	return !shim_inside &&
	       (atomic_load(&shim_ready) || atomic_load(&child_serves) ||
		(shim_begun && getpid() == shim_owner));
}

static bool made(long number, const long a[6], long *ret)
{
	const struct sock_fprog *program = (const struct sock_fprog *)a[2];
	struct way way = { .flags = (unsigned)a[1] };
	bool filters = number == SYS_seccomp && a[0] == SECCOMP_SET_MODE_FILTER,
	     strict = number == SYS_seccomp && a[0] == SECCOMP_SET_MODE_STRICT &&
		      a[1] == 0 && a[2] == 0;

	if (number == SYS_seccomp ||
	    (number == SYS_prctl && a[0] == PR_SET_SECCOMP))
		opening_confined();
	if (!is_active())
		return false;
	if (number == SYS_prctl) {
		program = (const struct sock_fprog *)a[2];
		way = (struct way){ .by_prctl = true };
		filters = a[0] == PR_SET_SECCOMP && a[1] == SECCOMP_MODE_FILTER;
		strict = a[0] == PR_SET_SECCOMP && a[1] == SECCOMP_MODE_STRICT;
	}
	if (number == SYS_prctl && a[0] == PR_GET_SECCOMP && !confine_is())
		*ret = 0; /* ours is not the program's to know of */
	else if (strict)
		*ret = set_strict(way.by_prctl);
	else if (filters && program)
		*ret = set_with_prologue(way, program);
	else
		return false;
	return true;
}

bool confine_call(long number, const long a[6], long *ret)
{
	if ((number != SYS_seccomp && number != SYS_prctl) ||
	    !made(number, a, ret))
		return false;
	if (*ret < 0) {
		errno = (int)-*ret;
		*ret = -1;
	}
	return true;
}

SHIM_EXPORT int prctl(int option, ...)
{
	long a[6] = { option }, r;
	va_list list;

	va_start(list, option);
	for (int i = 1; i < 5; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (confine_call(SYS_prctl, a, &r))
		return (int)r;
	return shim_real()->prctl(option, a[1], a[2], a[3], a[4]);
}

#else /* other machines */

bool confine_is(void)
{
	return false;
}

bool confine_is_asked(void)
{
	return false;
}

void confine_thread(void)
{
}

bool confine_call(long number, const long a[6], long *ret)
{
	(void)number;
	(void)a;
	(void)ret;
	return false;
}

#endif
