/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of a file: which chunk each 4 KiB of it have; see store.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "faces/file/store_parts.h"

void face_contents_begin(struct face_contents *c, struct face_store *s)
{
	c->store = s;
	pthread_rwlock_init(&c->lock, NULL);
}

/* NULL: a hole, as its whole leaf is. */
uint32_t *face_slot(const struct face_contents *c, uint64_t index)
{
	uint32_t *leaf = index / FACE_LEAF < c->room ? c->leaves[index / FACE_LEAF]
						     : NULL;

	return leaf == NULL ? NULL : &leaf[index % FACE_LEAF];
}

uint32_t face_chunk(const struct face_contents *c, uint64_t offset)
{
	const uint32_t *slot = face_slot(c, offset / FACE_CHUNK);

	return slot == NULL ? 0 : *slot;
}

static uint64_t leaf_end(uint64_t index)
{
	return (index / FACE_LEAF + 1) * FACE_LEAF;
}

/* Takes the chunks of [index, limit), in one leaf, away from the file. */
static void leaf_clear(struct face_contents *c, uint64_t index, uint64_t limit)
{
	while (index < limit) {
		uint32_t *slot = face_slot(c, index), first = *slot;
		uint64_t count = 0;

		if (first == 0 || first == FACE_LOST) {
			*slot = 0;
			index++;
			continue;
		}
		while (index + count < limit && slot[count] == first + count) {
			slot[count] = 0;
			count++;
		}
		face_run_give(c->store, first - 1, count);
		c->used -= count;
		index += count;
	}
}

void face_table_clear(struct face_contents *c, uint64_t index, uint64_t limit)
{
	limit = face_least(limit, c->room * FACE_LEAF);
	while (index < limit) {
		uint64_t end = face_least(leaf_end(index), limit);

		if (face_slot(c, index) != NULL)
			leaf_clear(c, index, end);
		if (index % FACE_LEAF == 0 && end % FACE_LEAF == 0) {
			free(c->leaves[index / FACE_LEAF]);
			c->leaves[index / FACE_LEAF] = NULL;
		}
		index = end;
	}
}

void face_contents_end(struct face_contents *c)
{
	face_table_clear(c, 0, c->room * FACE_LEAF);
	free(c->leaves);
	pthread_rwlock_destroy(&c->lock);
}

/* Leaves for the range. What is not touched of a large calloc() is no memory. */
static int table_grow(struct face_contents *c, uint64_t index, uint64_t limit)
{
	uint64_t room = c->room > 0 ? c->room : 1;
	uint32_t **leaves;

	while (room < (limit + FACE_LEAF - 1) / FACE_LEAF)
		room *= 2;
	if (room > c->room) {
		leaves = calloc(room, sizeof(*leaves));
		if (leaves == NULL)
			return -ENOMEM;
		if (c->room > 0)
			memcpy(leaves, c->leaves, c->room * sizeof(*leaves));
		free(c->leaves);
		c->leaves = leaves;
		c->room = room;
	}
	for (; index < limit; index = leaf_end(index)) {
		uint32_t **leaf = &c->leaves[index / FACE_LEAF];

		if (*leaf == NULL)
			*leaf = calloc(FACE_LEAF, sizeof(**leaf));
		if (*leaf == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* Of the file's bytes in this chunk all are in the range. */
bool face_covers(const struct face_contents *c, uint64_t index, uint64_t offset,
		       uint64_t end)
{
	return offset <= index * FACE_CHUNK &&
	       (end >= (index + 1) * FACE_CHUNK || end >= c->size);
}

/* How many chunks lack for a write there. -EIO: of a chunk that is lost some bytes would
 * stay. Nobody writes when `allocates`. */
static int lacks(const struct face_contents *c, uint64_t offset, uint64_t end,
		 bool allocates, uint64_t *ret)
{
	uint64_t index = offset / FACE_CHUNK;
	uint64_t limit = (end + FACE_CHUNK - 1) / FACE_CHUNK;

	for (*ret = 0; index < limit;) {
		const uint32_t *slot = face_slot(c, index);

		if (slot == NULL) {
			*ret += face_least(leaf_end(index), limit) - index;
			index = leaf_end(index);
			continue;
		}
		if (*slot == FACE_LOST && !allocates && !face_covers(c, index, offset, end))
			return -EIO;
		*ret += *slot == 0 || (*slot == FACE_LOST && !allocates);
		index++;
	}
	return 0;
}

/* Every chunk of the range, or none more than before. */
int face_fill(struct face_contents *c, uint64_t offset, uint64_t end, bool allocates)
{
	uint64_t limit = (end + FACE_CHUNK - 1) / FACE_CHUNK;
	uint64_t index = offset / FACE_CHUNK, first = 0, count = 0, left;
	int rc = limit > FACE_CHUNKS_MAX ? -EFBIG : lacks(c, offset, end, allocates, &left);

	if (rc == 0)
		rc = face_reserve(c->store, left);
	if (rc != 0)
		return rc;
	rc = table_grow(c, index, limit);
	if (rc != 0) {
		face_unreserve(c->store, left);
		return rc;
	}
	c->used += left;
	for (; left > 0; index++) {
		uint32_t *slot = face_slot(c, index);

		if (*slot != 0 && (*slot != FACE_LOST || allocates))
			continue;
		if (count == 0)
			count = face_run_take(c->store, left, &first);
		*slot = (uint32_t)++first;
		count--;
		left--;
	}
	return 0;
}

bool face_is_filled(const struct face_contents *c, uint64_t offset, uint64_t end)
{
	for (; offset < end; offset = (offset / FACE_CHUNK + 1) * FACE_CHUNK)
		if (face_chunk(c, offset) == 0 || face_chunk(c, offset) == FACE_LOST)
			return false;
	return true;
}

/* The part of [offset, end) that lies in one run of the region, in one hole, or is lost.
 * *ret_first: its first chunk + 1, 0 or FACE_LOST. */
uint64_t face_run_of(const struct face_contents *c, uint64_t offset, uint64_t end,
		       uint32_t *ret_first)
{
	uint32_t first = face_chunk(c, offset);
	uint64_t stop = (offset / FACE_CHUNK + 1) * FACE_CHUNK;

	for (uint32_t next = first; stop < end; stop += FACE_CHUNK) {
		next += first != 0 && first != FACE_LOST;
		if (face_chunk(c, stop) != next)
			break;
	}
	*ret_first = first;
	return face_least(stop, end) - offset;
}

uint64_t face_place(uint32_t chunk, uint64_t offset)
{
	return (uint64_t)(chunk - 1) * FACE_CHUNK + offset % FACE_CHUNK;
}
