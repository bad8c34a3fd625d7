/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions whose memory moves; see moving.h. */
#include "core/client/moving.h"

#include <stdio.h>
#include <string.h>

#include "core/client/async.h"
#include "core/client/client.h"
#include "core/client/range.h"
#include "core/client/wait.h"

extmem_region *xm_moving_find(extmem *x, const struct xm_region_id *id)
{
	XM_LIST_EACH (link, &x->regions.list) {
		extmem_region *region = XM_CONTAINER(link, extmem_region, link);

		if (memcmp(&region->id, id, sizeof(*id)) == 0)
			return region;
	}
	return NULL;
}

#define PATIENCE (5 * XM_MS) /* the keeper has more to do */

/* What goes past the pager ends, as none begins while the region is changing; or not in
 * time, and the keeper comes back. */
static bool await_direct(extmem *x, const extmem_region *region)
{
	uint64_t deadline_ns = os_now_ns() + PATIENCE;

	for (unsigned turn = 0; atomic_load(&region->direct) > 0; turn++) {
		if (os_now_ns() >= deadline_ns)
			return false;
		xm_async_turn(x);
		xm_rest(turn);
	}
	return true;
}

static bool track(extmem *x, extmem_region *region)
{
	struct xm_pager_event backed = { .kind = XM_PAGER_MARK_BACKED };
	uint64_t first = region->address / XM_PAGE;
	bool changing = false;

	if (!atomic_compare_exchange_strong(&region->changing, &changing, true))
		return false; /* the program is at it */
	if (!atomic_load(&region->tracked) && await_direct(x, region)) {
		if (atomic_load(&region->written))
			xm_range(x, &backed, first,
				 first + region->size / XM_PAGE, XM_NEVER);
		atomic_store(&region->tracked, true);
	}
	atomic_store(&region->changing, false);
	return atomic_load(&region->tracked);
}

bool xm_moving_track(extmem *x, const struct xm_region_id *id)
{
	extmem_region *region;
	struct os_signals old;
	bool tracked;

	os_mutex_take(&x->regions.links);
	region = xm_moving_find(x, id);
	tracked = region != NULL && track(x, region);
	os_mutex_give(&x->regions.links);
	if (!tracked)
		return false;
	xm_lanes_lock(&x->lanes, &old);
	xm_volume_tracked(&x->volume, id);
	xm_lanes_unlock(&x->lanes, &old);
	return true;
}

void xm_moving_name(extmem *x, const struct xm_region_id *id, char ret[XM_NAME_SIZE])
{
	const extmem_region *region;

	os_mutex_take(&x->regions.links);
	region = xm_moving_find(x, id);
	snprintf(ret, XM_NAME_SIZE, "%s", region == NULL ? "" : region->name);
	os_mutex_give(&x->regions.links);
}
