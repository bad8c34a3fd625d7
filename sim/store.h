/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small world for the durable store (appliance/store.h): one store on a disk at its worst
 * (disk.h), a pool of a few pages, and extents that come, are written, made durable, and
 * go. The power is cut at any operation of the disk, those of recovery too; operations
 * fail; what is durable rots.
 *
 * Clients are hostile: some pages look like batches of the journal.
 *
 * The laws. After whatever crash the store opens; each extent has an entry that was
 * committed, or a newer one; each of its pages has the bytes that were committed last, or
 * whole newer ones of the same extent; two pages that were put together are both newer, or
 * neither; two extents never have a byte in common. Once it has
 * failed it acknowledges nothing more. What has rotted is reported, or does no harm.
 *
 * It is another thing that a world can live (sim_live()): extmem-sim --kind=store.
 */
#ifndef XM_SIM_STORE_H
#define XM_SIM_STORE_H

#include "common/base.h"

#define KEPT_PAGES 60
#define KEPT_SLOTS 16
#define KEPT_SIZE_MAX 8 /* pages of an extent */

/* store_seed.c: one seed's run; for sim_live(). */
void kept_live(uint64_t seed);
/* store_stories.c, for stories.c */
void kept_story_cut(uint64_t seed);
void kept_story_next_owner(uint64_t seed);

/* --- what stories and seeds are made of: a step each ------------------------------- */

void kept_open(uint32_t batch_max, uint32_t journal_blocks);
/* The next extent, in a free slot, of these pages. False: they are not free. */
bool kept_keep(uint32_t slot, uint32_t first, uint32_t count);
void kept_tie(uint32_t slot); /* another token */
void kept_forget(uint32_t slot);
/* A client writes to a page of it; `forged`: what a batch looks like; `back`: what is durable. */
void kept_write(uint32_t slot, uint32_t page, bool forged, bool back);
void kept_put(uint32_t slot, uint32_t first, uint32_t count);
/* Writes two pages of it, and puts them together. */
void kept_put_pair(uint32_t slot, uint32_t a, uint32_t b);
void kept_commit(void);
/* The daemon ends, or the power is cut; then it begins again. */
void kept_restart(bool power, bool rot);
bool kept_is_kept(uint32_t slot, uint32_t *ret_count);
/* The disk is off, has failed, or the store was refused for what has rotted. */
bool kept_is_down(void);
bool kept_is_over(void);

#endif
