/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of the durable store; see store.h and story.c. Each begins with what it shows. */
#include "sim/store.h"

#include "sim/disk.h"

static void write_and_put(uint32_t slot, uint32_t page)
{
	kept_write(slot, page, false, false);
	kept_put(slot, page, 1);
}

/* The power is cut while a batch is written to the journal: what of it is on the disk is no
 * batch, and the pages have what was durable before. It is cut while a batch's pages are written
 * to their places: the batch is in the journal, and is there. */
void kept_story_cut(uint64_t seed)
{
	(void)seed;
	kept_open(2, 10);
	kept_keep(0, 0, 2);
	write_and_put(0, 0);
	kept_commit();
	write_and_put(0, 0);
	write_and_put(0, 1);
	disk_cut(1); /* the journal is written */
	kept_commit();
	kept_restart(true, false);
	write_and_put(0, 1);
	disk_cut(3); /* it is written, and synced; the image is written */
	kept_commit();
	kept_restart(true, false);
}

/* An extent's memory becomes another's: what was durable of its former owner is not there for
 * the next one, after a power cut either. */
void kept_story_next_owner(uint64_t seed)
{
	(void)seed;
	kept_open(4, 10);
	kept_keep(0, 0, 3);
	write_and_put(0, 1);
	kept_commit();
	kept_forget(0);
	kept_keep(1, 1, 2);
	kept_commit();
	kept_restart(true, false);
	write_and_put(1, 1);
	kept_commit();
	kept_restart(true, false);
}
