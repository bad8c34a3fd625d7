/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of the snapshot machine; see snapshot.h and story.c. Each begins with
 * what it shows. */
#include "sim/snapshot.h"

/* Two children ask for one page, of which the process has had three values. The
 * second is written while the first child is given the page as it is. */
void past_story_values(uint64_t seed)
{
	uint32_t first, second;

	(void)seed;
	past_open();
	past_allocate(0, 0, 4);
	past_write(0, 2);
	past_evict(0, 2);
	first = past_fork();
	past_ask(first, 0, 2);
	past_write(0, 2);
	past_copied();
	past_write(0, 2);
	past_evict(0, 2);
	second = past_fork();
	past_write(0, 2);
	past_ask(first, 0, 2);
	past_ask(second, 0, 2);
	past_child_end(first);
	past_sweep(UINT32_MAX);
	past_ask(second, 0, 2);
	past_child_end(second);
	past_sweep(UINT32_MAX);
	past_close();
}

/* Memory is freed while a child can see it. It goes back when that child's own
 * child has ended too; memory that is younger than both goes back at once. */
void past_story_freed(uint64_t seed)
{
	uint32_t child, childs;

	(void)seed;
	past_open();
	past_allocate(1, 0, 3);
	past_write(1, 1);
	past_evict(1, 1);
	child = past_fork();
	past_allocate(1, 3, 2);
	past_free(1, 0, 5);
	past_free(1, 0, 2); /* a second time: nothing more comes of it */
	childs = past_child_fork(child);
	past_child_end(child);
	past_give_back();
	past_ask(childs, 1, 1);
	past_copied();
	past_child_end(childs);
	past_give_back();
	past_close();
}

/* A frame that is being written to its place is not free before that is done,
 * though its child has ended; another child reads from the place. */
void past_story_spilled(uint64_t seed)
{
	uint32_t first, second;

	(void)seed;
	past_open();
	past_allocate(0, 0, 2);
	past_write(0, 0);
	past_write(0, 1);
	past_evict(0, 0);
	past_evict(0, 1);
	first = past_fork();
	past_write(0, 0);
	past_spill();
	past_child_end(first);
	past_sweep(UINT32_MAX);
	second = past_fork();
	past_write(0, 1);
	past_spilled(true);
	past_spill();
	past_spilled(false);
	past_ask(second, 0, 1);
	past_spill();
	past_spilled(true);
	past_ask(second, 0, 1);
	past_close();
}

/* There is no memory for a page's past: the child is told so, and the next one
 * has the page as it was for itself. */
void past_story_refused(uint64_t seed)
{
	uint32_t first, second;

	(void)seed;
	past_open();
	past_allocate(0, 0, 1);
	past_write(0, 0);
	past_evict(0, 0);
	first = past_fork();
	past_refuse(true);
	past_write(0, 0);
	past_refuse(false);
	past_evict(0, 0);
	second = past_fork();
	past_write(0, 0);
	past_ask(first, 0, 0);
	past_ask(second, 0, 0);
	past_close();
}
