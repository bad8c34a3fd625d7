/* SPDX-License-Identifier: BSD-3-Clause */
/* Which chunks of the region are whose: free, a file's, or out of reach; see store.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "faces/file/log.h"
#include "faces/file/store_parts.h"

int face_store_open(struct face_store *s, extmem_region *region)
{
	memset(s, 0, sizeof(*s));
	s->region = region;
	s->count = region == NULL ? 0
				  : face_least(extmem_region_size(region) / FACE_CHUNK,
					       FACE_CHUNKS_MAX);
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

/* They are used, and nobody's: face_run_give() tries again when there is no other. */
void face_run_stick(struct face_store *s, uint64_t first, uint64_t count)
{
	pthread_mutex_lock(&s->lock);
	mark(s->stuck, first, count, true);
	s->stuck_count += count;
	pthread_mutex_unlock(&s->lock);
}

/* Only what reads as zero is given to another file: not what an appliance that is gone had,
 * or one that does not answer now. */
int face_run_give(struct face_store *s, uint64_t first, uint64_t count)
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
			face_run_stick(s, first, count);
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
		if (face_run_give(s, first, count) != 0)
			return;
		first += count;
	}
}

/* So many will be found free by face_run_take(). */
int face_reserve(struct face_store *s, uint64_t count)
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

void face_unreserve(struct face_store *s, uint64_t count)
{
	pthread_mutex_lock(&s->lock);
	s->free += count;
	pthread_mutex_unlock(&s->lock);
}

/* A run of at most `max` chunks, which were reserved, from where the last one ended: what
 * is written in one go lies together. Returns how many. */
uint64_t face_run_take(struct face_store *s, uint64_t max, uint64_t *ret_first)
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
void face_skip(struct face_store *s, uint64_t from, uint64_t times)
{
	pthread_mutex_lock(&s->lock);
	s->next = (from + times * (s->count * 618 / 1000 + 1)) % s->count;
	pthread_mutex_unlock(&s->lock);
}
