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

static struct xm_drafted_bytes *find(struct xm_drafts *d, uint32_t slot)
{
	for (uint32_t i = 0; i < XM_DRAFTS; i++) {
		if (d->list[i].runs_count > 0 && d->list[i].slot == slot)
			return &d->list[i];
	}
	return NULL;
}

const struct xm_drafted_bytes *xm_drafts_find(const struct xm_drafts *d, uint32_t slot)
{
	return find((struct xm_drafts *)(uintptr_t)d, slot);
}

void xm_drafts_drop(struct xm_drafts *d, uint32_t slot)
{
	for (uint32_t i = 0; i < XM_DRAFTS; i++) {
		if (d->list[i].slot == slot)
			d->list[i].runs_count = 0;
	}
}

static uint32_t count_of(const struct xm_drafts *d, uint32_t tenant)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < XM_DRAFTS; i++)
		count += d->list[i].runs_count > 0 && d->list[i].tenant == tenant;
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

		if (b->runs_count == 0)
			return b;
		if (ret == NULL || count > most ||
		    (count == most && b->taken < ret->taken)) {
			ret = b;
			most = count;
		}
	}
	return ret;
}

static uint8_t *add_run(struct xm_drafted_bytes *place, uint64_t offset, uint64_t size)
{
	uint8_t *bytes = place->bytes + place->size;

	place->runs[place->runs_count].offset = offset;
	place->runs[place->runs_count++].size = size;
	place->size += size;
	return bytes;
}

uint8_t *xm_drafts_take(struct xm_drafts *d, uint32_t slot, uint32_t tenant,
			uint64_t offset, uint64_t size)
{
	struct xm_drafted_bytes *place;

	XM_ASSERT(size > 0 && size <= XM_DRAFT_MAX);
	xm_drafts_drop(d, slot);
	place = victim(d, tenant);
	place->slot = slot;
	place->tenant = tenant;
	place->runs_count = 0;
	place->size = 0;
	place->taken = ++d->taken;
	return add_run(place, offset, size);
}

uint8_t *xm_drafts_add(struct xm_drafts *d, uint32_t slot, uint64_t offset, uint64_t size)
{
	struct xm_drafted_bytes *place = find(d, slot);

	if (place == NULL || place->runs_count == XM_DRAFT_RUNS ||
	    size > XM_DRAFT_MAX - place->size)
		return NULL;
	return add_run(place, offset, size);
}
