/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of simulated processes; see memory.h. */
#include "sim/memory.h"

#include <stdlib.h>
#include <string.h>

#include "sim/world.h"

/* Larger allocations come from calloc(), so that only what is touched of them
 * costs anything, and are not overwritten when they are freed. */
#define PAINTED_MAX (64 * XM_KIB)

struct memory {
	struct memory *next, **link;
	struct process *process;
	size_t size;
	uint64_t aligned[4]; /* what follows is 64-byte aligned */
};

void *world_alloc(size_t size)
{
	struct process *process = world_current();
	struct memory *m = size >= PAINTED_MAX
				   ? calloc(1, sizeof(*m) + size)
				   : aligned_alloc(64, xm_align_up(
						sizeof(*m) + size, 64));

	XM_ASSERT(m != NULL && process != NULL);
	if (size < PAINTED_MAX)
		memset(m, 0, sizeof(*m) + size);
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
	if (m->size < PAINTED_MAX)
		memset(memory, 0xdd, m->size);
	free(m);
}

uint64_t world_held(const struct process *p)
{
	return p->held;
}

void memory_process_died(struct process *p)
{
	while (p->memory != NULL) {
		struct memory *next = p->memory->next;

		free(p->memory);
		p->memory = next;
	}
}
