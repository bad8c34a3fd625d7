/* SPDX-License-Identifier: BSD-3-Clause */
/* See ring.h. Floor: ground. */
#include <stddef.h>
#include <string.h>

#include "common/ring.h"

void xm_ring_write(struct xm_ring *ring, uint64_t time_ns, uint32_t subsystem, uint32_t level,
		   const char *words)
{
	uint64_t n = atomic_load_explicit(&ring->written, memory_order_relaxed);
	struct xm_ring_record *r = &ring->records[n % XM_RING_RECORDS];
	size_t i = 0;

	atomic_store_explicit(&r->number, 2 * n + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	r->event.time_ns = time_ns;
	r->event.subsystem = subsystem;
	r->event.level = level;
	for (; words[i] != '\0' && i < sizeof(r->event.words) - 1; i++)
		r->event.words[i] = words[i];
	memset(r->event.words + i, 0, sizeof(r->event.words) - i);
	atomic_store_explicit(&r->number, 2 * n + 2, memory_order_release);
	atomic_store_explicit(&ring->written, n + 1, memory_order_release);
}

/* 1: it is whole; 0: it is not, or no more. */
static int take(const struct xm_ring_reader *reader, struct xm_ring_event *ret)
{
	size_t offset = offsetof(struct xm_ring, records) +
			reader->next % XM_RING_RECORDS * sizeof(struct xm_ring_record);
	uint64_t before, after, wanted = 2 * reader->next + 2;

	if (reader->read(reader->context, offset, &before, sizeof(before)) != 0)
		return -1;
	atomic_thread_fence(memory_order_acquire);
	if (reader->read(reader->context, offset + offsetof(struct xm_ring_record, event), ret,
			 sizeof(*ret)) != 0)
		return -1;
	atomic_thread_fence(memory_order_acquire);
	if (reader->read(reader->context, offset, &after, sizeof(after)) != 0)
		return -1;
	return before == wanted && after == wanted;
}

int xm_ring_read(struct xm_ring_reader *reader, struct xm_ring_event *ret)
{
	uint64_t written;
	int rc;

	if (reader->read(reader->context, offsetof(struct xm_ring, written), &written,
			 sizeof(written)) != 0)
		return -1;
	if (written > reader->next && written - reader->next > XM_RING_RECORDS) {
		reader->lost += written - XM_RING_RECORDS - reader->next;
		reader->next = written - XM_RING_RECORDS;
	}
	while (reader->next < written) {
		rc = take(reader, ret);
		if (rc < 0)
			return rc;
		reader->next++;
		reader->lost += rc == 0;
		if (rc == 0)
			continue;
		ret->words[sizeof(ret->words) - 1] = '\0';
		for (char *c = ret->words; *c != '\0'; c++)
			if (*c < ' ' || *c > '~')
				*c = '?';
		return 1;
	}
	return 0;
}
