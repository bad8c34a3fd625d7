/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The caller's memory that extmem_register() has made known to the transports. If a
 * transport needs that, explicit calls move all other memory through bounce pages.
 *
 * Lock order: `lock`, then async.lock, then a lane's.
 */
#ifndef XM_REGISTERED_H
#define XM_REGISTERED_H

#include <stdatomic.h>

#include "common/base.h"
#include "core/skin/os.h"

#define XM_REGISTERED_MAX 32 /* spans */

/* Its size is at least 1. */
struct xm_registered_span {
	uint8_t *memory;
	size_t size;
};

struct xm_registered {
	atomic_bool needed; /* by some transport; set before anything uses it */
	struct os_mutex lock; /* of what follows */
	struct xm_registered_span spans[XM_REGISTERED_MAX];
	uint32_t count;
};

static inline bool xm_memory_overlaps(const void *a, size_t a_size,
				      const void *b, size_t b_size)
{
	return (uintptr_t)a < (uintptr_t)b + b_size &&
	       (uintptr_t)b < (uintptr_t)a + a_size;
}

/* Whether all of it lies in one registered span. */
bool xm_is_registered(struct xm_registered *, const void *memory, size_t size);

#endif
