/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of simulated processes; see memory.h.
 *
 * A client's large tables are mostly never touched: of what runs allocate in
 * pieces of LARGE and more, one page in twenty is written to. So these are mapped,
 * and kept when they are freed, for the next piece of their size. The kernel knows
 * which of their pages were ever touched (mincore(2)); only those are cleared.
 */
#include "sim/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim/world.h"

#define LARGE (64 * XM_KIB)
#define LARGEST XM_GIB
#define PAGE 4096
#define SPOILED_MAX 512 /* bytes overwritten at the head of what is freed */

/* Before each piece. */
struct memory {
	struct memory *next, **link;
	struct process *process;
	size_t size;
	uint64_t aligned[4]; /* what follows is 64-byte aligned */
};

static struct memory *kept; /* large ones, for the next of their size */

static struct memory *large_take(size_t size)
{
	struct memory **link = &kept, *m;

	while (*link != NULL && (*link)->size != size)
		link = &(*link)->next;
	m = *link;
	if (m != NULL) {
		*link = m->next;
		return m;
	}
	m = mmap(NULL, sizeof(*m) + size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	XM_ASSERT(m != MAP_FAILED);
	/* Or all of it is present as soon as a byte is. */
	madvise(m, sizeof(*m) + size, MADV_NOHUGEPAGE);
	return m;
}

static void large_give(struct memory *m)
{
	static unsigned char present[LARGEST / PAGE + 1];
	size_t size = m->size, all = sizeof(*m) + size;

	XM_ASSERT(all <= LARGEST && mincore(m, all, present) == 0);
	for (size_t at = 0; at < all; at += PAGE) {
		if ((present[at / PAGE] & 1) != 0)
			memset((uint8_t *)m + at, 0, xm_min(PAGE, all - at));
	}
	m->size = size;
	m->next = kept;
	kept = m;
}

static struct memory *small_take(size_t size)
{
	struct memory *m =
		aligned_alloc(64, xm_align_up(sizeof(*m) + size, 64));

	XM_ASSERT(m != NULL);
	memset(m, 0, sizeof(*m) + size);
	return m;
}

void *world_alloc(size_t size)
{
	struct process *process = world_current();
	struct memory *m = size >= LARGE ? large_take(size) : small_take(size);

	XM_ASSERT(process != NULL);
	m->size = size;
	m->next = process->memory;
	m->link = &process->memory;
	if (m->next != NULL)
		m->next->link = &m->next;
	process->memory = m;
	process->held++;
	m->process = process;
	return m + 1;
}

static void give(struct memory *m)
{
	if (m->size >= LARGE)
		large_give(m);
	else
		free(m);
}

void world_free(void *memory)
{
	struct memory *m;

	if (memory == NULL)
		return;
	m = (struct memory *)memory - 1;
	m->process->held--;
	*m->link = m->next;
	if (m->next != NULL)
		m->next->link = m->link;
	/* So that a use after this is noticed. */
	if (m->size < LARGE)
		memset(memory, 0xdd, xm_min(m->size, SPOILED_MAX));
	give(m);
}

uint64_t world_held(const struct process *p)
{
	return p->held;
}

void memory_process_died(struct process *p)
{
	while (p->memory != NULL) {
		struct memory *next = p->memory->next;

		give(p->memory);
		p->memory = next;
	}
}
