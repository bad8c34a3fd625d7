/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drafts: bytes of extents that the store process has taken aside, and that are not durable
 * yet (durable.c says why there are any). An extent has one at most, of one run of its bytes
 * or several. There are XM_DRAFTS
 * places; one more takes the place of the oldest of the tenant that has most, whose client
 * drafts again: who drafts without end displaces his own.
 *
 * Floor: ground.
 */
#ifndef XM_DRAFTS_H
#define XM_DRAFTS_H

#include "common/base.h"
#include "core/pure/wire.h"

#define XM_DRAFTS 8
#define XM_DRAFTS_MEMORY (XM_DRAFTS * XM_DRAFT_MAX)

struct xm_drafted_bytes {
	uint32_t slot, tenant; /* the extent's */
	struct {
		uint64_t offset, size; /* of the pool */
	} runs[XM_DRAFT_RUNS];
	uint32_t runs_count; /* 0: the place is free */
	uint64_t size;	     /* of all runs, whose bytes are one behind the other */
	uint64_t taken; /* the how manieth */
	uint8_t *bytes;
};

struct xm_drafts {
	struct xm_drafted_bytes list[XM_DRAFTS];
	uint64_t taken;
};

/* The memory, of XM_DRAFTS_MEMORY bytes, stays the caller's. */
void xm_drafts_init(struct xm_drafts *, uint8_t *memory);
/* A place for the next draft of this extent of this tenant's, in place of its former one. The
 * caller fills the bytes; size <= XM_DRAFT_MAX. */
uint8_t *xm_drafts_take(struct xm_drafts *, uint32_t slot, uint32_t tenant,
			uint64_t offset, uint64_t size);
/* Adds a run to the draft that the extent has; likewise. NULL: it has none, or no room. */
uint8_t *xm_drafts_add(struct xm_drafts *, uint32_t slot, uint64_t offset, uint64_t size);
/* NULL: it has none. Valid until the next call. */
const struct xm_drafted_bytes *xm_drafts_find(const struct xm_drafts *, uint32_t slot);
void xm_drafts_drop(struct xm_drafts *, uint32_t slot);

#endif
