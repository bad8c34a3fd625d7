/* SPDX-License-Identifier: BSD-3-Clause */
/* Placement; see placement.h. */
#include "core/pure/placement.h"

#include <errno.h>
#include <string.h>

void xm_placement_init(struct xm_placement *p, uint64_t size, uint64_t granule,
		       uint32_t appliances_count, uint32_t ready_count)
{
	XM_ASSERT(size > 0 && xm_is_power_of_two(granule));
	XM_ASSERT(appliances_count <= XM_APPLIANCES_MAX);
	memset(p, 0, sizeof(*p));
	p->size = size;
	p->granule = granule;
	p->appliances_count = appliances_count;
	p->ready_count = ready_count;
}

/* Free at all appliances; of one, no more counts than is wanted. */
static uint64_t free_together(const struct xm_placement *p)
{
	uint64_t together = 0;

	for (uint32_t a = 0; a < p->appliances_count; a++)
		together += xm_min(p->offers[a].free, p->size);
	return together;
}

/* The next piece that this appliance may have; 0: it has none. */
static uint64_t piece_of(const struct xm_placement *p, uint32_t appliance)
{
	const struct xm_placement_offer *offer = &p->offers[appliance];

	if (offer->status != -ENOSPC)
		return 0;
	return xm_min(offer->free_run & ~(p->granule - 1),
		      p->size - p->placed);
}

bool xm_placement_next(const struct xm_placement *p,
		       struct xm_placement_ask *ret)
{
	if (p->placed == p->size)
		return false;
	memset(ret, 0, sizeof(*ret));
	for (uint32_t a = 0; a < p->appliances_count; a++) {
		if (p->offers[a].asked)
			continue;
		ret->appliance = a;
		ret->size = p->size;
		ret->whole = true;
		ret->if_ready = p->ready_count > 0;
		return true;
	}
	if (free_together(p) < p->size)
		return false;
	for (uint32_t a = 0; a < p->appliances_count; a++) {
		ret->size = piece_of(p, a);
		ret->appliance = a;
		if (ret->size > 0)
			return true;
	}
	return false;
}

void xm_placement_answer(struct xm_placement *p,
			 const struct xm_placement_ask *ask,
			 const struct xm_placement_offer *answer)
{
	struct xm_placement_offer *offer = &p->offers[ask->appliance];

	if (ask->whole) {
		*offer = *answer;
		offer->asked = true;
		p->placed = answer->status == 0 ? p->size : 0;
	} else if (answer->status == 0) {
		p->placed += ask->size;
		offer->free_run = xm_min(p->size - p->placed, ask->size);
	} else {
		/* Each refusal of a piece makes the next one smaller. */
		offer->free_run = answer->free_run < ask->size
					  ? answer->free_run
					  : 0;
	}
}

void xm_placement_away(struct xm_placement *p, uint32_t appliance)
{
	p->offers[appliance].asked = true;
	p->offers[appliance].status = -ENOTCONN;
}

uint32_t xm_placement_told_by(const struct xm_placement *p)
{
	for (uint32_t a = 0; a < p->appliances_count; a++) {
		if (p->offers[a].status == -ENOSPC)
			return a;
	}
	return 0;
}

bool xm_placement_soon(const struct xm_placement *p)
{
	uint64_t soon = 0;

	for (uint32_t a = 0; a < p->appliances_count; a++) {
		if (p->offers[a].status == -ENOSPC)
			soon += xm_min(p->offers[a].soon, p->size);
	}
	return soon > 0 && free_together(p) + soon >= p->size;
}
