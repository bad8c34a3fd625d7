/* SPDX-License-Identifier: BSD-3-Clause */
/* One seed's steps in the durable store's world; see store.h. */
#include "sim/store.h"

#include <errno.h>

#include "sim/disk.h"
#include "sim/world.h"

static uint32_t below(uint32_t n)
{
	return (uint32_t)xm_rand_below(world_rand(WORLD_WORK), n);
}

static void extents_step(void)
{
	uint32_t slot = below(KEPT_SLOTS), count;

	if (!kept_is_kept(slot, &count))
		kept_keep(slot, below(KEPT_PAGES), 1 + below(KEPT_SIZE_MAX));
	else if (below(2) == 0)
		kept_tie(slot);
	else
		kept_forget(slot);
}

static void pages_step(void)
{
	uint32_t slot = below(KEPT_SLOTS), count;

	if (!kept_is_kept(slot, &count))
		return;
	switch (below(6)) {
	case 0: kept_put_pair(slot, below(count), below(count)); break;
	case 1:
	case 2: kept_put(slot, below(count), 1 + below(KEPT_SIZE_MAX)); break;
	default:
		kept_write(slot, below(count), below(4) == 0, below(6) == 0);
		break;
	}
}

/* What will go wrong, and when. */
static void draw_trouble(void)
{
	static const int errors[] = { -EIO, -EIO, -ENOSPC };

	if (below(4) == 0)
		disk_fail(1 + below(60), errors[below(XM_COUNT(errors))]);
	else
		disk_cut(1 + below(200));
}

static void restart(bool rots)
{
	kept_restart(below(3) > 0, rots && below(3) == 0);
	draw_trouble();
}

/* What has failed is asked again, now and then, before the daemon ends. */
static void step(bool rots)
{
	if (kept_is_down() && below(3) > 0) {
		restart(rots);
		return;
	}
	switch (below(16)) {
	case 0:
	case 1: extents_step(); break;
	case 2: kept_commit(); break;
	case 3:
		if (below(20) == 0)
			restart(rots);
		break;
	default: pages_step(); break;
	}
}

void kept_live(uint64_t seed)
{
	uint32_t steps = 100 + below(1500);
	bool rots = below(3) == 0;

	(void)seed;
	kept_open(1 + below(9), below(40));
	draw_trouble();
	for (uint32_t i = 0; i < steps && !kept_is_over(); i++)
		step(rots);
	if (kept_is_over())
		return;
	if (!kept_is_down())
		kept_commit();
	kept_restart(true, false);
}
