/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of simulated processes: zeroed when allocated, overwritten when freed,
 * and freed when its process is killed. */
#ifndef XM_MEMORY_H
#define XM_MEMORY_H

#include "common/base.h"

struct process;

/* For the process that runs. Aligned to 64 bytes. Never NULL. */
void *world_alloc(size_t size);
void world_free(void *memory); /* NULL: nothing */
/* The number of allocations that the process holds. */
uint64_t world_held(const struct process *);
/* Frees all of them. */
void memory_process_died(struct process *);

#endif
