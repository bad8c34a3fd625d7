/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When the pager begins to know a region's pages; see region.h.
 *
 * Explicit reads and writes of a region that is not tracked go straight to the
 * transport (direct I/O). The pager knows nothing of them; so, before it can say
 * of a page that it is fresh, those under way must have ended, and if any of them
 * was a write, all pages count as backed by remote memory.
 */
#include <errno.h>

#include "core/client/async.h"
#include "core/client/client.h"
#include "core/client/range.h"
#include "core/client/region.h"
#include "core/client/wait.h"

/* What is being moved past the pager ends, and what begins after waits for us;
 * see transfer.c. */
static int await_direct(extmem_region *region, uint64_t deadline_ns)
{
	extmem *x = region->client;

	for (unsigned turn = 0; atomic_load(&region->direct) > 0; turn++) {
		if (os_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		xm_async_turn(x);
		xm_rest(turn);
	}
	return 0;
}

/* The keeper may be at it, too (moving.c). */
static int begin(extmem_region *region, uint64_t deadline_ns)
{
	extmem *x = region->client;
	bool changing = false;

	for (unsigned turn = 0; !atomic_compare_exchange_strong(
		     &region->changing, &changing, true); turn++) {
		if (os_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		changing = false;
		xm_async_turn(x);
		xm_rest(turn);
	}
	return 0;
}

int xm_region_track(extmem_region *region)
{
	return xm_region_track_by(region, os_now_ns() +
						  region->client->settings
							  .timeout_ns);
}

int xm_region_track_by(extmem_region *region, uint64_t deadline_ns)
{
	struct xm_pager_event backed = { .kind = XM_PAGER_MARK_BACKED };
	uint64_t first = region->address / XM_PAGE;
	int rc;

	if (atomic_load(&region->tracked))
		return 0;
	rc = begin(region, deadline_ns);
	if (rc != 0)
		return rc;
	if (!atomic_load(&region->tracked))
		rc = await_direct(region, deadline_ns);
	if (rc == 0 && !atomic_load(&region->tracked) &&
	    atomic_load(&region->written))
		rc = xm_range(region->client, &backed, first,
			      first + region->size / XM_PAGE, XM_NEVER);
	if (rc == 0)
		atomic_store(&region->tracked, true);
	atomic_store(&region->changing, false);
	return rc;
}
