/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of the file face; see store.h. */
#include "faces/file/store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "faces/file/log.h"

#define PARTS 64 /* runs of chunks that are moved by one call */
#define CHUNKS_MAX ((uint64_t)UINT32_MAX - 1) /* of a file, too: 16 TiB */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- chunks ------------------------------------------------------------------------------ */

int face_store_open(struct face_store *s, extmem_region *region)
{
	memset(s, 0, sizeof(*s));
	s->region = region;
	s->count = least(extmem_region_size(region) / FACE_CHUNK, CHUNKS_MAX);
	s->free = s->count;
	pthread_mutex_init(&s->lock, NULL);
	s->used = calloc(s->count / 64 + 1, sizeof(*s->used));
	return s->used != NULL ? 0 : -ENOMEM;
}

void face_store_close(struct face_store *s)
{
	free(s->used);
	pthread_mutex_destroy(&s->lock);
}

static bool is_used(const struct face_store *s, uint64_t chunk)
{
	return (s->used[chunk / 64] >> chunk % 64 & 1) != 0;
}

static void mark(struct face_store *s, uint64_t chunk, uint64_t count, bool used)
{
	for (; count > 0; chunk++, count--)
		if (used)
			s->used[chunk / 64] |= UINT64_C(1) << chunk % 64;
		else
			s->used[chunk / 64] &= ~(UINT64_C(1) << chunk % 64);
}

/* A run of at most `most` chunks, from where the last one ended: what is written in one
 * go lies together. Returns how many; 0: none is free. */
static uint64_t run_take(struct face_store *s, uint64_t most, uint64_t *ret_first)
{
	uint64_t chunk, count = 0;

	pthread_mutex_lock(&s->lock);
	chunk = s->next;
	while (s->free > 0 && is_used(s, chunk)) {
		if (chunk % 64 == 0 && s->used[chunk / 64] == UINT64_MAX)
			chunk += 63;
		chunk = chunk + 1 < s->count ? chunk + 1 : 0;
	}
	while (s->free > count && count < most && chunk + count < s->count &&
	       !is_used(s, chunk + count))
		count++;
	mark(s, chunk, count, true);
	s->free -= count;
	s->next = chunk + count < s->count ? chunk + count : 0;
	pthread_mutex_unlock(&s->lock);
	*ret_first = chunk;
	return count;
}

/* What cannot be discarded is not given to another file: it might not read as zero. */
static void run_give(struct face_store *s, uint64_t first, uint64_t count)
{
	int rc = extmem_advise(s->region, first * FACE_CHUNK, count * FACE_CHUNK,
			       EXTMEM_DONTNEED);

	if (rc != 0) {
		face_complain(rc);
		return;
	}
	pthread_mutex_lock(&s->lock);
	mark(s, first, count, false);
	s->free += count;
	pthread_mutex_unlock(&s->lock);
}

/* --- a file's table -------------------------------------------------------------------------- */

void face_contents_begin(struct face_contents *c, struct face_store *s)
{
	c->store = s;
	pthread_rwlock_init(&c->lock, NULL);
}

/* Takes the chunks of [index, limit) of the table away from the file. */
static void table_clear(struct face_contents *c, uint64_t index, uint64_t limit)
{
	while (index < least(limit, c->room)) {
		uint64_t first = c->chunks[index], count = 0;

		while (index < least(limit, c->room) && first != 0 &&
		       c->chunks[index] == first + count) {
			c->chunks[index++] = 0;
			count++;
		}
		if (first == 0)
			index++;
		else
			run_give(c->store, first - 1, count);
		c->used -= count;
	}
}

void face_contents_end(struct face_contents *c)
{
	table_clear(c, 0, c->room);
	free(c->chunks);
	pthread_rwlock_destroy(&c->lock);
}

static int table_grow(struct face_contents *c, uint64_t count)
{
	uint64_t room = c->room > 0 ? c->room : 4;
	uint32_t *chunks;

	if (count <= c->room)
		return 0;
	if (count > CHUNKS_MAX)
		return -EFBIG;
	while (room < count)
		room *= 2;
	chunks = realloc(c->chunks, room * sizeof(*chunks));
	if (chunks == NULL)
		return -ENOMEM;
	memset(chunks + c->room, 0, (room - c->room) * sizeof(*chunks));
	c->chunks = chunks;
	c->room = room;
	return 0;
}

static uint32_t chunk_at(const struct face_contents *c, uint64_t offset)
{
	uint64_t index = offset / FACE_CHUNK;

	return index < c->room ? c->chunks[index] : 0;
}

/* Every chunk of the range. */
static int fill(struct face_contents *c, uint64_t offset, uint64_t end)
{
	uint64_t limit = (end + FACE_CHUNK - 1) / FACE_CHUNK;
	uint64_t index = offset / FACE_CHUNK;
	int rc = table_grow(c, limit);

	while (rc == 0 && index < limit) {
		uint64_t count = 0, first;

		while (index + count < limit && c->chunks[index + count] == 0)
			count++;
		if (count == 0) {
			index++;
			continue;
		}
		count = run_take(c->store, count, &first);
		if (count == 0)
			rc = -ENOSPC;
		c->used += count;
		for (; count > 0; count--)
			c->chunks[index++] = (uint32_t)++first;
	}
	return rc;
}

static bool is_filled(const struct face_contents *c, uint64_t offset, uint64_t end)
{
	for (; offset < end; offset = (offset / FACE_CHUNK + 1) * FACE_CHUNK)
		if (chunk_at(c, offset) == 0)
			return false;
	return true;
}

/* The part of [offset, end) that lies in one run of the region, or in one hole. *ret_at:
 * where in the region. */
static uint64_t run_of(const struct face_contents *c, uint64_t offset, uint64_t end,
		       bool *ret_hole, uint64_t *ret_at)
{
	uint32_t first = chunk_at(c, offset);
	uint64_t stop = (offset / FACE_CHUNK + 1) * FACE_CHUNK;

	for (uint32_t next = first; stop < end; stop += FACE_CHUNK) {
		next += first != 0;
		if (chunk_at(c, stop) != next)
			break;
	}
	*ret_hole = first == 0;
	*ret_at = first == 0 ? 0
			     : (first - 1) * FACE_CHUNK + offset % FACE_CHUNK;
	return least(stop, end) - offset;
}

/* --- bytes --------------------------------------------------------------------------------- */

/* Holes are passed over by a write, which has none, and are zeros in a read. */
static int move(struct face_contents *c, bool write, uint64_t offset, uint8_t *buffer,
		uint64_t end)
{
	struct extmem_iov parts[PARTS];
	size_t count = 0;
	int rc = 0;

	while (rc == 0 && offset < end) {
		bool hole;
		uint64_t at, size = run_of(c, offset, end, &hole, &at);

		if (hole && !write)
			memset(buffer, 0, size);
		else if (!hole)
			parts[count++] = (struct extmem_iov){ at, buffer, size };
		buffer += size;
		offset += size;
		if (count < PARTS && offset < end)
			continue;
		if (count > 0)
			rc = write ? extmem_writev(c->store->region, parts, count)
				   : extmem_readv(c->store->region, parts, count);
		count = 0;
	}
	return face_complain(rc);
}

int64_t face_read(struct face_contents *c, uint64_t offset, void *buffer, size_t size)
{
	uint64_t end;
	int rc = 0;

	pthread_rwlock_rdlock(&c->lock);
	end = least(offset + size, c->size);
	if (offset < end)
		rc = move(c, false, offset, buffer, end);
	pthread_rwlock_unlock(&c->lock);
	if (rc != 0)
		return rc;
	return offset < end ? (int64_t)(end - offset) : 0;
}

/* --- ranges that become zero -------------------------------------------------------------- */

/* Within one chunk. */
static int zero_part(struct face_contents *c, uint64_t offset, uint64_t end)
{
	static const uint8_t zeros[FACE_CHUNK];

	return offset < end && chunk_at(c, offset) != 0
		       ? move(c, true, offset, (uint8_t *)(uintptr_t)zeros, end)
		       : 0;
}

/* Whole chunks are taken away from the file, the ends are written. */
static int punch(struct face_contents *c, uint64_t offset, uint64_t end)
{
	uint64_t first = (offset + FACE_CHUNK - 1) / FACE_CHUNK;
	uint64_t limit = end / FACE_CHUNK;
	int rc = zero_part(c, offset, least(first * FACE_CHUNK, end));

	if (rc == 0 && limit >= first)
		rc = zero_part(c, limit * FACE_CHUNK, end);
	if (rc == 0)
		table_clear(c, first, limit);
	return rc;
}

/* With the lock held for reading, if it succeeds: the table has all chunks, and the file
 * reaches to `end`. It does so before the bytes move: a write that fails has nothing to
 * take back, and what lies behind the end is never written to. */
static int lock_filled(struct face_contents *c, uint64_t offset, uint64_t end)
{
	for (;;) {
		int rc;

		pthread_rwlock_rdlock(&c->lock);
		if (end <= c->size && is_filled(c, offset, end))
			return 0;
		pthread_rwlock_unlock(&c->lock);
		pthread_rwlock_wrlock(&c->lock);
		rc = fill(c, offset, end);
		if (rc == 0 && end > c->size)
			c->size = end;
		pthread_rwlock_unlock(&c->lock);
		if (rc != 0)
			return rc;
	}
}

int face_write(struct face_contents *c, uint64_t offset, const void *buffer,
	       size_t size)
{
	uint64_t end = offset + size;
	int rc = lock_filled(c, offset, end);

	if (rc != 0)
		return rc;
	rc = move(c, true, offset, (uint8_t *)(uintptr_t)buffer, end);
	pthread_rwlock_unlock(&c->lock);
	return rc;
}

int face_punch(struct face_contents *c, uint64_t offset, uint64_t size)
{
	int rc;

	pthread_rwlock_wrlock(&c->lock);
	rc = punch(c, offset, offset + size);
	pthread_rwlock_unlock(&c->lock);
	return rc;
}

int face_resize(struct face_contents *c, uint64_t size)
{
	int rc = 0;

	if (size > CHUNKS_MAX * FACE_CHUNK)
		return -EFBIG;
	pthread_rwlock_wrlock(&c->lock);
	if (size < c->size)
		rc = punch(c, size, (c->room + 1) * FACE_CHUNK);
	if (rc == 0)
		c->size = size;
	pthread_rwlock_unlock(&c->lock);
	return rc;
}

int face_allocate(struct face_contents *c, uint64_t offset, uint64_t size,
		  uint64_t size_min)
{
	int rc;

	if (offset + size > CHUNKS_MAX * FACE_CHUNK)
		return -EFBIG;
	pthread_rwlock_wrlock(&c->lock);
	rc = fill(c, offset, offset + size);
	if (rc == 0 && size_min > c->size)
		c->size = size_min;
	pthread_rwlock_unlock(&c->lock);
	return rc;
}
