/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of the file face; see store.h. */
#include "faces/file/store.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "faces/file/log.h"
#include "faces/file/store_parts.h"

#define PARTS 64 /* runs of chunks that are moved by one call */
#define TRIES 16 /* places where a write is tried when appliances have gone */

/* --- bytes --------------------------------------------------------------------------------- */

/* Holes are passed over by a write, which has none, and are zeros in a read. Returns what
 * the library says. */
static int move(struct face_contents *c, bool write, uint64_t offset, uint8_t *buffer,
		uint64_t end)
{
	struct extmem_iov parts[PARTS];
	size_t count = 0;
	int rc = 0;

	while (rc == 0 && offset < end) {
		uint32_t first;
		uint64_t size = face_run_of(c, offset, end, &first);

		if (first == FACE_LOST)
			return -EIO;
		if (first == 0 && !write)
			memset(buffer, 0, size);
		else if (first != 0)
			parts[count++] = (struct extmem_iov){ face_place(first, offset),
							      buffer, size };
		buffer += size;
		offset += size;
		if (count < PARTS && offset < end)
			continue;
		if (count > 0)
			rc = write ? extmem_writev(c->store->region, parts, count)
				   : extmem_readv(c->store->region, parts, count);
		count = 0;
	}
	return rc;
}

int64_t face_read(struct face_contents *c, uint64_t offset, void *buffer, size_t size)
{
	uint64_t end;
	int rc = 0;

	pthread_rwlock_rdlock(&c->lock);
	end = face_least(offset + size, c->size);
	if (offset < end)
		rc = move(c, false, offset, buffer, end);
	pthread_rwlock_unlock(&c->lock);
	if (rc != 0)
		return face_complain(rc);
	return offset < end ? (int64_t)(end - offset) : 0;
}

/* --- ranges that become zero -------------------------------------------------------------- */

/* Within one chunk. */
static int zero_part(struct face_contents *c, uint64_t offset, uint64_t end)
{
	static const uint8_t zeros[FACE_CHUNK];

	return offset < end && face_chunk(c, offset) != 0
		       ? face_complain(move(c, true, offset,
					    (uint8_t *)(uintptr_t)zeros, end))
		       : 0;
}

/* Whole chunks are taken away from the file, the ends are written. */
static int punch(struct face_contents *c, uint64_t offset, uint64_t end)
{
	uint64_t first = (offset + FACE_CHUNK - 1) / FACE_CHUNK;
	uint64_t limit = end / FACE_CHUNK;
	int rc = zero_part(c, offset, face_least(first * FACE_CHUNK, end));

	if (rc == 0 && limit >= first)
		rc = zero_part(c, limit * FACE_CHUNK, end);
	if (rc == 0)
		face_table_clear(c, first, limit);
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
		if (end <= c->size && face_is_filled(c, offset, end))
			return 0;
		pthread_rwlock_unlock(&c->lock);
		pthread_rwlock_wrlock(&c->lock);
		rc = face_fill(c, offset, end, false);
		if (rc == 0 && end > c->size)
			c->size = end;
		pthread_rwlock_unlock(&c->lock);
		if (rc != 0)
			return rc;
	}
}

static bool is_gone(int rc)
{
	return rc == -ESTALE || rc == -ENOTCONN;
}

/* It reads as an error until it is written again, and its chunk is nobody's. */
static void lose_chunk(struct face_contents *c, uint32_t *slot)
{
	face_run_stick(c->store, *slot - 1, 1);
	*slot = FACE_LOST;
	c->used--;
}

/* Nobody knows whether what was written there has arrived, or will: it must not read as
 * what was there before, which may be zeros. Bytes of the file that were not written to
 * stay: who wrote a part of their chunk has the error. */
static void lose(struct face_contents *c, uint64_t offset, uint64_t end)
{
	for (uint64_t at = offset; at < end; at = (at / FACE_CHUNK + 1) * FACE_CHUNK) {
		uint32_t *slot = face_slot(c, at / FACE_CHUNK);

		if (slot != NULL && *slot != 0 && *slot != FACE_LOST &&
		    face_covers(c, at / FACE_CHUNK, offset, end))
			lose_chunk(c, slot);
	}
}

/* Writes a part of one chunk. If its appliance has gone, and no other bytes are there, the
 * file is given another chunk, `tries` times. */
static int write_part(struct face_contents *c, uint64_t offset, const uint8_t *bytes,
		      uint64_t size, bool covered, int tries)
{
	uint32_t *slot = face_slot(c, offset / FACE_CHUNK), from;

	/* Somebody has cut the file meanwhile. */
	if (slot == NULL || *slot == 0)
		return 0;
	if (*slot == FACE_LOST)
		return -EIO;
	from = *slot;
	for (int i = 1;; i++) {
		int rc = extmem_write(c->store->region, face_place(*slot, offset), bytes,
				      size);
		uint64_t first;

		if (!is_gone(rc) || !covered)
			return rc;
		lose_chunk(c, slot);
		if (i > tries || face_reserve(c->store, 1) != 0)
			return rc;
		face_skip(c->store, from, (uint64_t)i);
		face_run_take(c->store, 1, &first);
		*slot = (uint32_t)first + 1;
		c->used++;
	}
}

/* When one chunk has found no place the others are not tried elsewhere, and after a call
 * that has waited for its whole time no other is made: so a write takes little longer than
 * one call. */
static int write_elsewhere(struct face_contents *c, uint64_t offset, const uint8_t *bytes,
			   uint64_t end)
{
	int rc = 0;

	for (uint64_t at = offset, stop; at < end; at = stop) {
		int part;

		stop = face_least((at / FACE_CHUNK + 1) * FACE_CHUNK, end);
		part = write_part(c, at, bytes + (at - offset), stop - at,
				  face_covers(c, at / FACE_CHUNK, offset, end),
				  rc == 0 ? TRIES : 0);
		rc = rc != 0 ? rc : part;
		if (part != 0 && !is_gone(part)) {
			lose(c, at, end);
			break;
		}
	}
	return rc;
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
	if (rc == 0)
		return 0;
	pthread_rwlock_wrlock(&c->lock);
	if (is_gone(rc))
		rc = write_elsewhere(c, offset, buffer, end);
	else
		lose(c, offset, end);
	pthread_rwlock_unlock(&c->lock);
	return face_complain(rc);
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

	if (size > FACE_CHUNKS_MAX * FACE_CHUNK)
		return -EFBIG;
	pthread_rwlock_wrlock(&c->lock);
	if (size <= c->size) /* what was allocated behind the end goes, too */
		rc = punch(c, size, face_most(c->room * FACE_LEAF * FACE_CHUNK, size));
	if (rc == 0)
		c->size = size;
	pthread_rwlock_unlock(&c->lock);
	return rc;
}

int face_allocate(struct face_contents *c, uint64_t offset, uint64_t size,
		  uint64_t size_min)
{
	int rc;

	if (offset + size > FACE_CHUNKS_MAX * FACE_CHUNK)
		return -EFBIG;
	pthread_rwlock_wrlock(&c->lock);
	rc = face_fill(c, offset, offset + size, true);
	if (rc == 0 && size_min > c->size)
		c->size = size_min;
	pthread_rwlock_unlock(&c->lock);
	return rc;
}
