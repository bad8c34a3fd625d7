/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arena: the addresses that a client reserves when it is opened, of which
 * each region gets a span, and the mapper that makes pages appear there.
 *
 * All but `spans` is constant while the client is open. `spans` is
 * changed with the lock of the regions (region.h).
 */
#ifndef XM_ARENA_H
#define XM_ARENA_H

#include "common/base.h"
#include "common/extent.h"
#include "core/client/settings.h"
#include "core/pure/mapper.h"
#include "core/pure/volume.h"

#define XM_SPAN_GRANULE (2 * XM_MIB) /* spans are multiples of it */
#define XM_REGIONS_MAX 256
#define XM_SEGMENTS_MAX 4096

struct xm_arena {
	const struct xm_mapper_ops *ops;
	struct xm_mapper *mapper;
	struct xm_mapper_limits limits;
	uint8_t *base;
	uint64_t size; /* bytes, a power of two */
	struct xm_extent spans;
	void *spans_memory;
	size_t spans_memory_size;
	void *volume_memory;
};

/* From zeros, with an empty volume. The arena may be smaller than the setting,
 * where the system has no room. 0, or -errno with a message; close it in either
 * case. */
int xm_arena_open(struct xm_arena *, const struct xm_client_settings *,
		  struct xm_volume *);
void xm_arena_close(struct xm_arena *);

/* Copy bytes from or to mapped memory; `address` is in bytes from the arena's start. No
 * lock may be held, since a page may not be there; but that of a page's lane where the
 * page is known to be present, and for a write dirty. */
static inline void xm_arena_read(const struct xm_arena *a, uint64_t address,
				 void *ret, size_t size)
{
	a->ops->load(a->mapper, address, ret, size);
}

static inline void xm_arena_write(const struct xm_arena *a, uint64_t address,
				  const void *bytes, size_t size)
{
	a->ops->store(a->mapper, address, bytes, size);
}

/* Whether memory overlaps the arena. */
static inline bool xm_arena_overlaps(const struct xm_arena *a,
				     const void *memory, size_t size)
{
	uintptr_t base = (uintptr_t)a->base, at = (uintptr_t)memory;

	return at < base + a->size && at + size > base;
}

#endif
