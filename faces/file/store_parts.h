/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the store share: chunks.c, table.c and store.c; see store.h. */
#ifndef XM_FACE_STORE_PARTS_H
#define XM_FACE_STORE_PARTS_H

#include <stdbool.h>

#include "faces/file/store.h"

#define FACE_CHUNKS_MAX ((uint64_t)UINT32_MAX - 2) /* of a file, too: 16 TiB */
#define FACE_LOST UINT32_MAX /* in a table: what was written there reached no appliance */

static inline uint64_t face_least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t face_most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* --- chunks.c ------------------------------------------------------------------------------ */

/* They are used, and nobody's: face_run_give() tries again when there is no other. */
void face_run_stick(struct face_store *, uint64_t first, uint64_t count);
/* They are free; but only what reads as zero is given to another file, not what an
 * appliance that is gone had, or one that does not answer now. */
int face_run_give(struct face_store *, uint64_t first, uint64_t count);
/* So many will be found free by face_run_take(). -ENOSPC. */
int face_reserve(struct face_store *, uint64_t count);
void face_unreserve(struct face_store *, uint64_t count);
/* A run of at most `max` chunks, which were reserved, from where the last one ended: what
 * is written in one go lies together. Returns how many. */
uint64_t face_run_take(struct face_store *, uint64_t max, uint64_t *ret_first);
/* The next run will be elsewhere than those before. */
void face_skip(struct face_store *, uint64_t from, uint64_t times);

/* --- table.c: with the lock of the contents held --------------------------------------------- */

/* NULL: a hole, as its whole leaf is. */
uint32_t *face_slot(const struct face_contents *, uint64_t index);
/* The chunk + 1 that has this byte; 0 or FACE_LOST. */
uint32_t face_chunk(const struct face_contents *, uint64_t offset);
/* Takes the chunks of [index, limit) away from the file. */
void face_table_clear(struct face_contents *, uint64_t index, uint64_t limit);
/* Of the file's bytes in this chunk all are in the range. */
bool face_covers(const struct face_contents *, uint64_t index, uint64_t offset,
		 uint64_t end);
/* Every chunk of the range, or none more than before. `allocates`: nobody writes there, so
 * what is lost stays so. -EIO: of a chunk that is lost some bytes would stay. -ENOSPC,
 * -ENOMEM, -EFBIG. */
int face_fill(struct face_contents *, uint64_t offset, uint64_t end, bool allocates);
bool face_is_filled(const struct face_contents *, uint64_t offset, uint64_t end);
/* The part of [offset, end) that lies in one run of the region, in one hole, or is lost.
 * *ret_first: its first chunk + 1, 0 or FACE_LOST. */
uint64_t face_run_of(const struct face_contents *, uint64_t offset, uint64_t end,
		     uint32_t *ret_first);
/* Where this byte of the file is in the region, whose chunk + 1 that is. */
uint64_t face_place(uint32_t chunk, uint64_t offset);

#endif
