/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stacks of coroutines, and the switch from one to another. Included by fibers.c
 * alone.
 */
#ifndef XM_STACKS_H
#define XM_STACKS_H

#include "config.h" /* XM_SANITIZE_... */

#include <stdint.h>

/* Switches from one stack to another. swapcontext() makes a system call for the
 * signal mask each time, which took a third of a run's time, and no fiber changes
 * that mask. On other processors, and where the compiler itself tracks stacks
 * (sanitizers, shadow stacks), swapcontext() is used. */
#if defined(__x86_64__) && !defined(__CET__) &&                                \
	!defined(XM_SANITIZE_ADDRESS) && !defined(XM_SANITIZE_THREAD)

struct context {
	void *stack;
};

/* By the System V ABI for x86-64 a called function preserves rbx, rbp, r12 to r15
 * and the rounding modes; its caller saves the rest. No fiber changes the modes. */
void world_switch(struct context *from, const struct context *to);
__asm__(".text\n"
	".type world_switch, @function\n"
	"world_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq (%rsi), %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size world_switch, .-world_switch\n");

static void context_make(struct context *c, void *stack, size_t size,
			 void (*run)(void))
{
	uint64_t *top = (uint64_t *)(void *)((char *)stack + size) - 1;

	*top = 0; /* the return address of run(), which never returns */
	*--top = (uint64_t)(uintptr_t)run;
	for (unsigned i = 0; i < 6; i++)
		*--top = 0;
	c->stack = top;
}

#else

#include <ucontext.h>

struct context {
	ucontext_t library;
};

static void world_switch(struct context *from, const struct context *to)
{
	swapcontext(&from->library, &to->library);
}

static void context_make(struct context *c, void *stack, size_t size,
			 void (*run)(void))
{
	getcontext(&c->library);
	c->library.uc_stack.ss_sp = stack;
	c->library.uc_stack.ss_size = size;
	c->library.uc_link = NULL;
	makecontext(&c->library, run, 0);
}

#endif

#endif
