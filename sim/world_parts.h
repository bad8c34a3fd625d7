/* SPDX-License-Identifier: BSD-3-Clause */
/* What the world's own files share: world.c (time, processes, events),
 * fibers.c and notes.c. */
#ifndef XM_WORLD_PARTS_H
#define XM_WORLD_PARTS_H

#include "sim/heap.h"
#include "sim/world.h"

/* --- world.c ------------------------------------------------------------------ */

/* Rings at `at_ns`, or now if that is past. */
void world_timer_set(struct timer *, uint64_t at_ns);
void world_timer_drop(struct timer *);
/* Around each event: counts it; asks whether the world stops behind it. `p`
 * (or NULL) is the process whose fiber has run. */
void world_event_begins(void);
bool world_event_over(const struct process *p);

/* --- fibers.c ----------------------------------------------------------------- */

/* No fiber is left, and their stacks are kept. */
void fibers_open(void);
/* Some fiber runs, and those that it passes on to. False: none can run. */
bool fibers_run(void);
/* The running fiber is left where it is, for longjmp(). */
void fibers_leave(void);
/* Ends all of the process. */
void fibers_process_died(const struct process *);
/* Its fibers can run from now on, or not. */
void fibers_process_hung(const struct process *);

/* --- notes.c ------------------------------------------------------------------ */

void notes_open(uint64_t seed);
void notes_process_begins(const struct process *);
/* Takes over what the machines of a process have recorded since the last call.
 * Time has stood still since, and no other process has run. */
void notes_take(const struct process *);

#endif
