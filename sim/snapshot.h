/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small world for the snapshot machine (core/pure/snapshot.h): one process
 * with a few pages, and the children that it forks.
 *
 * The process allocates, writes, frees and forks; its pages are written back
 * and leave local memory; children ask for pages, fork, and end in any order;
 * saved pages are spilled; memory is refused. What takes time outside of the
 * machine takes two steps here, so that anything can happen in between: the
 * copy of an unchanged page, and the write of a frame to its place.
 *
 * Each child has a full copy of what it must see. The laws, asked after each
 * step: a child sees exactly that, or is told that the page is lost, which
 * is allowed only where memory was refused; what a child can see is not given
 * back; what no child can see is not saved, and is given back by the next
 * sweep; frames, records and places are neither lost nor used twice.
 *
 * In the simulator's terms it is another thing that a world can live
 * (sim_live()), so that seeds, traces, stories and planted bugs are as
 * elsewhere: extmem-sim --kind=snapshot.
 */
#ifndef XM_SIM_SNAPSHOT_H
#define XM_SIM_SNAPSHOT_H

#include "common/base.h"

#define PAST_REGIONS 2
#define PAST_PAGES 12	 /* of each region */
#define PAST_CHILDREN 8	 /* that live at once */
#define PAST_SNAPSHOTS 6 /* with readers at once */

/* snapshot_seed.c: one seed's run; for sim_live(). */
void past_live(uint64_t seed);

/* --- what stories and seeds are made of: a step each ------------------------------ */

void past_open(void);
/* The next time memory is asked for it is not there. */
void past_refuse(bool refused);
void past_allocate(uint32_t region, uint32_t page, uint32_t count);
void past_free(uint32_t region, uint32_t page, uint32_t count);
void past_write(uint32_t region, uint32_t page);
/* The page is written back, and stays; or leaves local memory. */
void past_write_back(uint32_t region, uint32_t page);
void past_evict(uint32_t region, uint32_t page);
/* Returns the child, or UINT32_MAX: fork() is refused. */
uint32_t past_fork(void);
uint32_t past_child_fork(uint32_t child);
void past_child_end(uint32_t child);
/* The child asks; the answer comes at once, or when the copy is complete. */
void past_ask(uint32_t child, uint32_t region, uint32_t page);
void past_copied(void);
void past_spill(void);
void past_spilled(bool well);
/* Looks at so many records; then gives back what was freed. */
void past_sweep(uint32_t records);
void past_give_back(void);
/* All children end; then nothing may be left. */
void past_close(void);

bool past_is_owned(uint32_t region, uint32_t page); /* by the program */
bool past_is_kept(uint32_t region, uint32_t page);  /* freed, for children */
/* A child that lives, the first from this number on; UINT32_MAX: none. */
uint32_t past_child_from(uint32_t first);

/* --- snapshot_stories.c ------------------------------------------------------------ */

void past_story_values(uint64_t seed);
void past_story_freed(uint64_t seed);
void past_story_spilled(uint64_t seed);
void past_story_refused(uint64_t seed);

#endif
