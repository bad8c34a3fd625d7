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

static uint32_t count_of(const struct xm_drafts *d, uint32_t tenant)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < XM_DRAFTS; i++)
		count += d->list[i].size > 0 && d->list[i].tenant == tenant;
	return count;
}

/* The one that makes room for another one of this tenant's. */
static struct xm_drafted_bytes *victim(struct xm_drafts *d, uint32_t tenant)
{
	struct xm_drafted_bytes *ret = NULL;
	uint32_t most = 0;

	for (uint32_t i = 0; i < XM_DRAFTS; i++) {
		struct xm_drafted_bytes *b = &d->list[i];
		uint32_t count = count_of(d, b->tenant) + (b->tenant == tenant);

		if (b->size == 0)
			return b;
		if (ret == NULL || count > most ||
		    (count == most && b->taken < ret->taken)) {
			ret = b;
			most = count;
		}
	}
	return ret;
}

struct xm_drafted_bytes *xm_drafts_take(struct xm_drafts *d, uint32_t slot,
					uint32_t tenant, uint64_t offset, uint64_t size)
{
	struct xm_drafted_bytes *place;

	XM_ASSERT(size > 0 && size <= XM_DRAFT_MAX);
	xm_drafts_drop(d, slot);
	place = victim(d, tenant);
	place->slot = slot;
	place->tenant = tenant;
	place->offset = offset;
	place->size = size;
	place->taken = ++d->taken;
	return place;
}
