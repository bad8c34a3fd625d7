/* SPDX-License-Identifier: BSD-3-Clause */
/* See drafts.h. Floor: ground. */
#include "appliance/drafts.h"

#include <string.h>

void xm_drafts_init(struct xm_drafts *d, uint8_t *memory)
{
	memset(d, 0, sizeof(*d));
	for (uint32_t i = 0; i < XM_DRAFTS; i++)
		d->list[i].bytes = memory + i * XM_DRAFT_MAX;
}

const struct xm_drafted_bytes *xm_drafts_find(const struct xm_drafts *d, uint32_t slot)
{
	for (uint32_t i = 0; i < XM_DRAFTS; i++) {
		if (d->list[i].size > 0 && d->list[i].slot == slot)
			return &d->list[i];
	}
	return NULL;
}

void xm_drafts_drop(struct xm_drafts *d, uint32_t slot)
{
	for (uint32_t i = 0; i < XM_DRAFTS; i++) {
		if (d->list[i].slot == slot)
			d->list[i].size = 0;
	}
}

struct xm_drafted_bytes *xm_drafts_take(struct xm_drafts *d, uint32_t slot,
					uint64_t offset, uint64_t size)
{
	struct xm_drafted_bytes *place = &d->list[0];

	XM_ASSERT(size > 0 && size <= XM_DRAFT_MAX);
	xm_drafts_drop(d, slot);
	for (uint32_t i = 0; i < XM_DRAFTS && place->size > 0; i++) {
		if (d->list[i].size == 0 || d->list[i].taken < place->taken)
			place = &d->list[i];
	}
	place->slot = slot;
	place->offset = offset;
	place->size = size;
	place->taken = ++d->taken;
	return place;
}
