/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept beyond our end, when its memory moves; see moving.h. */
#include <errno.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/handing.h"
#include "core/client/moving.h"

/* The guest's segment, if the guest has an extent of its own for it. */
static bool segment_find(extmem *x, const struct xm_vacancy *at,
			 uint64_t extent, struct xm_segment *ret)
{
	struct os_signals old;
	bool there;

	xm_lanes_lock(&x->lanes, &old);
	there = xm_volume_segment(&x->volume, at->page, ret) && ret->guest &&
		ret->members[ret->members_count - 1].extent == extent;
	xm_lanes_unlock(&x->lanes, &old);
	return there && xm_segment_size(ret) * XM_PAGE == at->size;
}

static void tie(extmem_region *region, const struct xm_segment *s,
		uint64_t extent, struct xm_message *ret)
{
	struct xm_place_label label;

	xm_handed_label(region, s, &label);
	label.copies = 1; /* what has more is not kept */
	label.turn = ++region->turn;
	ret->kind = XM_OFFER;
	ret->u.offer.extent = extent;
	ret->u.offer.flags = XM_OFFER_KEEP;
	ret->u.offer.ms = (uint32_t)xm_min(region->kept_ms, XM_OFFER_FOR_EVER);
	memcpy(ret->u.offer.token, region->token, XM_TOKEN_SIZE);
	xm_label_encode(&label, &ret->u.offer.label);
}

int xm_keeping_tie(extmem *x, const struct xm_vacancy *at,
		   uint64_t extent, struct xm_message *ret)
{
	extmem_region *region;
	struct xm_segment s;
	int rc = -ENOENT;

	os_mutex_take(&x->regions.links);
	region = xm_moving_find(x, &at->region_id);
	if (region != NULL && region->kept_ms != 0) {
		/* What is on the disk there would have to be on the disk here first. */
		rc = !region->durable && segment_find(x, at, extent, &s)
			     ? 0 : -EBUSY;
		if (rc == 0)
			tie(region, &s, extent, ret);
	}
	os_mutex_give(&x->regions.links);
	return rc;
}
