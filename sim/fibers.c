/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fibers: threads of simulated processes as coroutines; see fibers.h.
 *
 * Sets of fibers are bit masks over the table `fibers`: one for those that can
 * run, and for each bucket of a hash of keys one for those that wait.
 */
#include "sim/fibers.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "sim/stacks.h"
#include "sim/world_parts.h"

#define STACK (256 * XM_KIB)
#define GUARD (4 * XM_KIB)
/* Stacks begin at different places in their pages. Else the upper ends of all, which are
 * in use, would have the same few lines of the processor's cache. */
#define COLOURS 24
#define COLOUR 640

enum fiber_state { FIBER_FREE, FIBER_READY, FIBER_WAITING, FIBER_ENDED };

struct fiber {
	enum fiber_state state;
	struct process *process;
	struct context context;
	void *stack;
	void (*run)(void *);
	void *argument;
	struct world_own own;
	bool ending; /* end(own.value) is being called */
	const void *key; /* for which it waits, or did last */
	bool woken;
	struct timer alarm; /* the end of its wait */
};

static struct fiber fibers[WORLD_FIBERS];
static uint32_t fibers_used;		    /* entries ever used */
static uint64_t ready[WORLD_FIBERS / 64];   /* those that can run */
static uint32_t ready_count;
static uint64_t waiting[WORLD_BUCKETS][WORLD_FIBERS / 64]; /* by key */
uint32_t world_waiting[WORLD_BUCKETS];
static struct fiber *running;
static struct context home; /* the stack of world_run() */

/* --- states ------------------------------------------------------------------- */

static uint64_t bit_of(const struct fiber *fiber)
{
	return UINT64_C(1) << (fiber - fibers) % 64;
}

static unsigned word_of(const struct fiber *fiber)
{
	return (unsigned)((fiber - fibers) / 64);
}

/* To be called when the fiber's state, or its process's, has changed. */
static void fiber_can_run(const struct fiber *fiber)
{
	uint64_t *word = &ready[word_of(fiber)], bit = bit_of(fiber);
	bool can = fiber->state == FIBER_READY && !fiber->process->hung;

	if (can == ((*word & bit) != 0))
		return;
	*word ^= bit;
	ready_count += can ? 1 : -1U;
}

static void fiber_set(struct fiber *fiber, enum fiber_state state)
{
	unsigned bucket = world_bucket(fiber->key);

	if (fiber->state == FIBER_WAITING) {
		waiting[bucket][word_of(fiber)] &= ~bit_of(fiber);
		world_waiting[bucket]--;
		world_timer_drop(&fiber->alarm);
	}
	fiber->state = state;
	if (state == FIBER_WAITING) {
		waiting[bucket][word_of(fiber)] |= bit_of(fiber);
		world_waiting[bucket]++;
	}
	fiber_can_run(fiber);
}

/* The wait is over, and nobody has woken it. */
static void on_alarm(struct timer *alarm)
{
	struct fiber *fiber = (struct fiber *)(void *)((char *)alarm -
					offsetof(struct fiber, alarm));

	fiber->woken = false;
	fiber_set(fiber, FIBER_READY);
}

static void fiber_main(void)
{
	struct fiber *fiber = running;

	fiber->run(fiber->argument);
	while (fiber->own.value != NULL) {
		struct world_own own = fiber->own;

		fiber->own.value = NULL;
		fiber->ending = true;
		own.end(own.value);
		fiber->ending = false;
	}
	fiber_set(fiber, FIBER_ENDED);
	world_wake(fiber);
	world_switch(&fiber->context, &home);
}

/* Stacks are kept from run to run. Below each is a page that nobody may touch, so
 * that one that overflows is a crash, which names its seed (crash.c). */
static void *stack_new(void)
{
	uint8_t *pages = mmap(NULL, GUARD + STACK, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	XM_ASSERT(pages != MAP_FAILED &&
		  mprotect(pages, GUARD, PROT_NONE) == 0);
	return pages + GUARD;
}

struct fiber *world_fiber(struct process *process, void (*run)(void *),
			  void *argument)
{
	uint32_t i = 0;
	struct fiber *fiber;

	while (i < fibers_used && fibers[i].state != FIBER_FREE)
		i++;
	XM_ASSERT(i < WORLD_FIBERS);
	if (i == fibers_used)
		fibers_used++;
	fiber = &fibers[i];
	if (fiber->stack == NULL)
		fiber->stack = stack_new();
	fiber->process = process;
	fiber->run = run;
	fiber->argument = argument;
	fiber->own.value = NULL;
	fiber->ending = false;
	fiber->alarm = (struct timer){ HEAP_NOWHERE, on_alarm };
	fiber_set(fiber, FIBER_READY);
	context_make(&fiber->context, fiber->stack,
		     STACK - i % COLOURS * COLOUR, fiber_main);
	return fiber;
}

struct world_own *world_own(void)
{
	return &running->own;
}

void *world_argument(void)
{
	return running->argument;
}

int world_number(void)
{
	return (int)(running - fibers) + 1;
}

bool world_runs(void (*run)(void *))
{
	return running->run == run;
}

/* One of the fibers that can run, at random; NULL: none can. */
static struct fiber *choose(void)
{
	uint64_t skip = 0, word;
	unsigned i = 0;

	if (ready_count == 0)
		return NULL;
	if (ready_count > 1)
		skip = xm_rand_below(world_rand(WORLD_SCHEDULE), ready_count);
	for (word = ready[0];; word &= word - 1) {
		while (word == 0)
			word = ready[++i];
		if (skip-- == 0)
			break;
	}
	return &fibers[64 * i + (unsigned)__builtin_ctzll(word)];
}

/* Called by the running fiber, whose state has been set: goes on with another
 * fiber, or the same one again, without a switch to world_run(). Only where none
 * can run does it switch there, and time goes on. */
static void pass_on(void)
{
	struct fiber *fiber = running, *next = NULL;

	running = NULL;
	if (!world_event_over(fiber->process))
		next = choose();
	if (next != NULL) {
		world_event_begins();
		running = next;
	}
	if (next != fiber)
		world_switch(&fiber->context,
			     next != NULL ? &next->context : &home);
}

bool world_wait(const void *key, uint64_t timeout_ns)
{
	struct fiber *fiber = running;

	XM_ASSERT(fiber != NULL);
	fiber->key = key;
	fiber_set(fiber, FIBER_WAITING);
	if (timeout_ns != XM_NEVER)
		world_timer_set(&fiber->alarm, world_now() + timeout_ns);
	pass_on();
	return fiber->woken;
}

void world_wake_waiting(const void *key)
{
	const uint64_t *bucket = waiting[world_bucket(key)];

	for (unsigned i = 0; 64 * i < fibers_used; i++) {
		uint64_t word = bucket[i];

		for (; word != 0; word &= word - 1) {
			struct fiber *fiber =
				&fibers[64 * i +
					(unsigned)__builtin_ctzll(word)];

			if (fiber->key != key)
				continue;
			fiber->woken = true;
			fiber_set(fiber, FIBER_READY);
		}
	}
}

/* What runs is ready, and stays so. */
void world_yield(void)
{
	pass_on();
}

struct process *world_current(void)
{
	return running == NULL ? NULL : running->process;
}

uint32_t world_owners(const struct process *p)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < fibers_used; i++)
		count += fibers[i].process == p &&
			 fibers[i].state != FIBER_FREE &&
			 (fibers[i].own.value != NULL || fibers[i].ending);
	return count;
}

/* --- for world.c -------------------------------------------------------------- */

bool fibers_run(void)
{
	struct fiber *fiber = choose();

	if (fiber == NULL)
		return false;
	world_event_begins();
	running = fiber;
	world_switch(&home, &fiber->context);
	fiber = running;
	/* Either none can run any more, or this one has ended. */
	if (fiber != NULL) {
		running = NULL;
		world_event_over(fiber->process);
		fiber_set(fiber, FIBER_FREE);
	}
	return true;
}

void fibers_leave(void)
{
	running = NULL;
}

void fibers_process_died(const struct process *p)
{
	for (uint32_t i = 0; i < fibers_used; i++) {
		if (fibers[i].process == p)
			fiber_set(&fibers[i], FIBER_FREE);
	}
}

void fibers_process_hung(const struct process *p)
{
	for (uint32_t i = 0; i < fibers_used; i++) {
		if (fibers[i].process == p)
			fiber_can_run(&fibers[i]);
	}
}

void fibers_open(void)
{
	for (uint32_t i = 0; i < WORLD_FIBERS; i++)
		fibers[i] = (struct fiber){ .stack = fibers[i].stack };
	memset(ready, 0, sizeof(ready));
	memset(waiting, 0, sizeof(waiting));
	memset(world_waiting, 0, sizeof(world_waiting));
	fibers_used = ready_count = 0;
	running = NULL;
}
