/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of the file face; see store.h. */
#include "faces/file/store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "faces/file/log.h"

#define PARTS 64 /* runs of chunks that are moved by one call */
#define CHUNKS_MAX ((uint64_t)UINT32_MAX - 2) /* of a file, too: 16 TiB */
#define LOST UINT32_MAX /* in a table: what was written there reached no appliance */
#define TRIES 16 /* places where a write is tried when appliances have gone */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
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
	s->stuck = calloc(s->count / 64 + 1, sizeof(*s->stuck));
	return s->used != NULL && s->stuck != NULL ? 0 : -ENOMEM;
}

void face_store_close(struct face_store *s)
{
	free(s->used);
	free(s->stuck);
	pthread_mutex_destroy(&s->lock);
}

static bool is_set(const uint64_t *bits, uint64_t chunk)
{
	return (bits[chunk / 64] >> chunk % 64 & 1) != 0;
}

static void mark(uint64_t *bits, uint64_t chunk, uint64_t count, bool set)
{
	for (; count > 0; chunk++, count--)
		if (set)
			bits[chunk / 64] |= UINT64_C(1) << chunk % 64;
		else
			bits[chunk / 64] &= ~(UINT64_C(1) << chunk % 64);
}

/* They are used, and nobody's: run_give() tries again when there is no other. */
static void run_stick(struct face_store *s, uint64_t first, uint64_t count)
{
	pthread_mutex_lock(&s->lock);
	mark(s->stuck, first, count, true);
	s->stuck_count += count;
	pthread_mutex_unlock(&s->lock);
}

/* Only what reads as zero is given to another file: not what an appliance that is gone had,
 * or one that does not answer now. */
static int run_give(struct face_store *s, uint64_t first, uint64_t count)
{
	int rc = extmem_advise(s->region, first * FACE_CHUNK, count * FACE_CHUNK,
			       EXTMEM_DONTNEED);

	face_complain(rc);
	for (uint64_t end = first + count; first < end; first += count) {
		int fresh = 0;
		int64_t size = rc == 0
			? extmem_region_fresh(s->region, first * FACE_CHUNK,
					      (end - first) * FACE_CHUNK, &fresh)
			: 0;

		count = size > 0 ? (uint64_t)size / FACE_CHUNK : end - first;
		if (size <= 0 || !fresh) {
			run_stick(s, first, count);
			continue;
		}
		pthread_mutex_lock(&s->lock);
		mark(s->used, first, count, false);
		s->free += count;
		pthread_mutex_unlock(&s->lock);
	}
	return rc;
}

/* A run of those that are stuck is no longer; 0: there is none from `from` on. */
static uint64_t run_unstick(struct face_store *s, uint64_t from, uint64_t *ret_first)
{
	uint64_t count = 0;

	pthread_mutex_lock(&s->lock);
	while (from < s->count && !is_set(s->stuck, from))
		from++;
	while (from + count < s->count && is_set(s->stuck, from + count))
		count++;
	mark(s->stuck, from, count, false);
	s->stuck_count -= count;
	pthread_mutex_unlock(&s->lock);
	*ret_first = from;
	return count;
}

static void give_again(struct face_store *s)
{
	uint64_t first = 0, count;

	while ((count = run_unstick(s, first, &first)) > 0) {
		if (run_give(s, first, count) != 0)
			return;
		first += count;
	}
}

/* So many will be found free by run_take(). */
static int reserve(struct face_store *s, uint64_t count)
{
	bool enough;

	for (int i = 0; i < 2; i++) {
		bool more;

		pthread_mutex_lock(&s->lock);
		enough = count <= s->free;
		more = s->stuck_count > 0;
		s->free -= enough ? count : 0;
		pthread_mutex_unlock(&s->lock);
		if (enough || !more || count > s->count)
			break;
		if (i == 0)
			give_again(s);
	}
	return enough ? 0 : -ENOSPC;
}

static void unreserve(struct face_store *s, uint64_t count)
{
	pthread_mutex_lock(&s->lock);
	s->free += count;
	pthread_mutex_unlock(&s->lock);
}

/* A run of at most `max` chunks, which were reserved, from where the last one ended: what
 * is written in one go lies together. Returns how many. */
static uint64_t run_take(struct face_store *s, uint64_t max, uint64_t *ret_first)
{
	uint64_t chunk, count = 0;

	pthread_mutex_lock(&s->lock);
	chunk = s->next;
	while (is_set(s->used, chunk)) {
		if (chunk % 64 == 0 && s->used[chunk / 64] == UINT64_MAX)
			chunk += 63;
		chunk = chunk + 1 < s->count ? chunk + 1 : 0;
	}
	while (count < max && chunk + count < s->count &&
	       !is_set(s->used, chunk + count))
		count++;
	mark(s->used, chunk, count, true);
	s->next = chunk + count < s->count ? chunk + count : 0;
	pthread_mutex_unlock(&s->lock);
	*ret_first = chunk;
	return count;
}

/* The next run will be elsewhere than those before: by the golden ratio, which has no
 * period in common with how a region is dealt out over appliances. */
static void skip(struct face_store *s, uint64_t from, uint64_t times)
{
	pthread_mutex_lock(&s->lock);
	s->next = (from + times * (s->count * 618 / 1000 + 1)) % s->count;
	pthread_mutex_unlock(&s->lock);
}

/* --- a file's table -------------------------------------------------------------------------- */

void face_contents_begin(struct face_contents *c, struct face_store *s)
{
	c->store = s;
	pthread_rwlock_init(&c->lock, NULL);
}

/* NULL: a hole, as its whole leaf is. */
static uint32_t *slot_of(const struct face_contents *c, uint64_t index)
{
	uint32_t *leaf = index / FACE_LEAF < c->room ? c->leaves[index / FACE_LEAF]
						     : NULL;

	return leaf == NULL ? NULL : &leaf[index % FACE_LEAF];
}

static uint32_t chunk_at(const struct face_contents *c, uint64_t offset)
{
	const uint32_t *slot = slot_of(c, offset / FACE_CHUNK);

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
		uint32_t *slot = slot_of(c, index), first = *slot;
		uint64_t count = 0;

		if (first == 0 || first == LOST) {
			*slot = 0;
			index++;
			continue;
		}
		while (index + count < limit && slot[count] == first + count) {
			slot[count] = 0;
			count++;
		}
		run_give(c->store, first - 1, count);
		c->used -= count;
		index += count;
	}
}

static void table_clear(struct face_contents *c, uint64_t index, uint64_t limit)
{
	limit = least(limit, c->room * FACE_LEAF);
	while (index < limit) {
		uint64_t end = least(leaf_end(index), limit);

		if (slot_of(c, index) != NULL)
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
	table_clear(c, 0, c->room * FACE_LEAF);
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
static bool is_covered(const struct face_contents *c, uint64_t index, uint64_t offset,
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
		const uint32_t *slot = slot_of(c, index);

		if (slot == NULL) {
			*ret += least(leaf_end(index), limit) - index;
			index = leaf_end(index);
			continue;
		}
		if (*slot == LOST && !allocates && !is_covered(c, index, offset, end))
			return -EIO;
		*ret += *slot == 0 || (*slot == LOST && !allocates);
		index++;
	}
	return 0;
}

/* Every chunk of the range, or none more than before. */
static int fill(struct face_contents *c, uint64_t offset, uint64_t end, bool allocates)
{
	uint64_t limit = (end + FACE_CHUNK - 1) / FACE_CHUNK;
	uint64_t index = offset / FACE_CHUNK, first = 0, count = 0, left;
	int rc = limit > CHUNKS_MAX ? -EFBIG : lacks(c, offset, end, allocates, &left);

	if (rc == 0)
		rc = reserve(c->store, left);
	if (rc != 0)
		return rc;
	rc = table_grow(c, index, limit);
	if (rc != 0) {
		unreserve(c->store, left);
		return rc;
	}
	c->used += left;
	for (; left > 0; index++) {
		uint32_t *slot = slot_of(c, index);

		if (*slot != 0 && (*slot != LOST || allocates))
			continue;
		if (count == 0)
			count = run_take(c->store, left, &first);
		*slot = (uint32_t)++first;
		count--;
		left--;
	}
	return 0;
}

static bool is_filled(const struct face_contents *c, uint64_t offset, uint64_t end)
{
	for (; offset < end; offset = (offset / FACE_CHUNK + 1) * FACE_CHUNK)
		if (chunk_at(c, offset) == 0 || chunk_at(c, offset) == LOST)
			return false;
	return true;
}

/* The part of [offset, end) that lies in one run of the region, in one hole, or is lost.
 * *ret_first: its first chunk + 1, 0 or LOST. */
static uint64_t run_of(const struct face_contents *c, uint64_t offset, uint64_t end,
		       uint32_t *ret_first)
{
	uint32_t first = chunk_at(c, offset);
	uint64_t stop = (offset / FACE_CHUNK + 1) * FACE_CHUNK;

	for (uint32_t next = first; stop < end; stop += FACE_CHUNK) {
		next += first != 0 && first != LOST;
		if (chunk_at(c, stop) != next)
			break;
	}
	*ret_first = first;
	return least(stop, end) - offset;
}

static uint64_t place_of(uint32_t chunk, uint64_t offset)
{
	return (uint64_t)(chunk - 1) * FACE_CHUNK + offset % FACE_CHUNK;
}

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
		uint64_t size = run_of(c, offset, end, &first);

		if (first == LOST)
			return -EIO;
		if (first == 0 && !write)
			memset(buffer, 0, size);
		else if (first != 0)
			parts[count++] = (struct extmem_iov){ place_of(first, offset),
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
	end = least(offset + size, c->size);
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

	return offset < end && chunk_at(c, offset) != 0
		       ? face_complain(move(c, true, offset,
					    (uint8_t *)(uintptr_t)zeros, end))
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
		rc = fill(c, offset, end, false);
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

/* Writes a part of one chunk. If its appliance has gone, and no other bytes are there, the
 * file is given another chunk, `tries` times. */
static int write_part(struct face_contents *c, uint64_t offset, const uint8_t *bytes,
		      uint64_t size, bool covered, int tries)
{
	uint32_t *slot = slot_of(c, offset / FACE_CHUNK), from;

	/* Somebody has cut the file meanwhile. */
	if (slot == NULL || *slot == 0)
		return 0;
	if (*slot == LOST)
		return -EIO;
	from = *slot;
	for (int i = 1;; i++) {
		int rc = extmem_write(c->store->region, place_of(*slot, offset), bytes,
				      size);
		uint64_t first;

		if (!is_gone(rc) || !covered)
			return rc;
		run_stick(c->store, *slot - 1, 1);
		*slot = LOST;
		c->used--;
		if (i > tries || reserve(c->store, 1) != 0)
			return rc;
		skip(c->store, from, (uint64_t)i);
		run_take(c->store, 1, &first);
		*slot = (uint32_t)first + 1;
		c->used++;
	}
}

static int write_elsewhere(struct face_contents *c, uint64_t offset, const uint8_t *bytes,
			   uint64_t end)
{
	int rc = 0;

	pthread_rwlock_wrlock(&c->lock);
	for (uint64_t at = offset, stop; at < end; at = stop) {
		int part;

		stop = least((at / FACE_CHUNK + 1) * FACE_CHUNK, end);
		part = write_part(c, at, bytes + (at - offset), stop - at,
				  is_covered(c, at / FACE_CHUNK, offset, end),
				  rc == 0 ? TRIES : 0);
		rc = rc != 0 ? rc : part;
		if (part != 0 && !is_gone(part))
			break;
	}
	pthread_rwlock_unlock(&c->lock);
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
	if (is_gone(rc))
		rc = write_elsewhere(c, offset, buffer, end);
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

	if (size > CHUNKS_MAX * FACE_CHUNK)
		return -EFBIG;
	pthread_rwlock_wrlock(&c->lock);
	if (size <= c->size) /* what was allocated behind the end goes, too */
		rc = punch(c, size, most(c->room * FACE_LEAF * FACE_CHUNK, size));
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
	rc = fill(c, offset, offset + size, true);
	if (rc == 0 && size_min > c->size)
		c->size = size_min;
	pthread_rwlock_unlock(&c->lock);
	return rc;
}
