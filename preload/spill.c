/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Saved pages that have no room in local memory: regions of external memory
 * that are not mapped, written and read explicitly.
 *
 * The snapshot machine numbers places from 0. Regions are filled one after the
 * other, and only the last one grows, so a place is the page at
 * place - (places of all regions before) of its region. All of this runs on
 * the broker's thread, which alone lets records go; so a place stays what it
 * is while it is read.
 */
#include "preload/fork.h"
#include "preload/growth.h"

#define GRANULE (UINT64_C(2) << 20)
#define REGIONS_MAX 64
#define ROUND 64 /* pages, before children are served again */

static struct {
	extmem_region *handle;
	uint64_t places;
} regions[REGIONS_MAX];
static unsigned region_count;
static _Atomic bool failed; /* until some records have become unnecessary */
static bool said;

bool spill_failed(void)
{
	return atomic_load(&failed);
}

void spill_retry(void)
{
	atomic_store(&failed, false);
}

void spill_end(void)
{
	for (unsigned i = 0; i < region_count; i++)
		extmem_region_free(regions[i].handle);
	region_count = 0;
	said = false;
	spill_retry();
}

/* --- places ------------------------------------------------------------------------------ */

static extmem_region *region_at(uint64_t place, uint64_t *ret_offset)
{
	unsigned i = 0;

	while (i + 1 < region_count && place >= regions[i].places)
		place -= regions[i++].places;
	*ret_offset = place * SHIM_PAGE;
	return regions[i].handle;
}

bool spill_read(uint64_t place, void *ret)
{
	uint64_t offset;
	extmem_region *region = region_at(place, &offset);

	return extmem_read(region, offset, ret, SHIM_PAGE) >= 0;
}

static bool spill_write(uint64_t place, const void *page)
{
	uint64_t offset;
	extmem_region *region = region_at(place, &offset);

	return extmem_write(region, offset, page, SHIM_PAGE) >= 0;
}

/* A region can grow to sixteen times its first size, so each begins with a
 * sixteenth of all external memory that the program has. */
static uint64_t step_size(void)
{
	uint64_t size = GRANULE, other;
	uintptr_t base;

	for (unsigned i = 0; block_region_at(i, &base, &other); i++)
		size += other / 16 & ~(GRANULE - 1);
	return size;
}

static int region_open(uint64_t size)
{
	char name[64];
	int r;

	snprintf(name, sizeof(name), "run.%d.fork.%u", (int)getpid(),
		 region_count);
	r = growth_alloc(name, size, &regions[region_count].handle);
	if (r >= 0)
		regions[region_count++].places = 0;
	return r;
}

/* Returns how many places there are more; 0: no room. */
static uint64_t places_more(void)
{
	uint64_t size = step_size(), places;
	unsigned last = region_count - 1;
	int r = -ENOMEM;

	if (region_count > 0)
		r = extmem_region_resize(
			regions[last].handle,
			regions[last].places * SHIM_PAGE + size);
	if (r == -ENOMEM && region_count < REGIONS_MAX)
		r = region_open(size);
	if (r < 0)
		return 0;
	last = region_count - 1;
	places = extmem_region_size(regions[last].handle) / SHIM_PAGE -
		 regions[last].places;
	regions[last].places += places;
	return places;
}

static bool add_places(void)
{
	uint64_t places = places_more();

	if (places == 0) {
		if (!said)
			shim_say("no external memory for pages as they were "
				 "before fork(): %s; they stay in local memory",
				 extmem_error());
		said = true;
		return false;
	}
	xm_snapshot_add_places(snapshots_lock(), places);
	snapshots_unlock();
	return true;
}

/* --- from local memory to there -------------------------------------------------------------- */

/* One page. False: there is none, or it cannot be moved. */
static bool move_one(void)
{
	enum xm_snapshot_need need;
	const void *frame;
	uint64_t place;
	bool well;

	do {
		need = xm_snapshot_spill(snapshots_lock(), &frame, &place);
		snapshots_unlock();
	} while (need == XM_SNAPSHOT_NEEDS_PLACES && add_places());
	if (need == XM_SNAPSHOT_NOTHING)
		return false;
	well = need == XM_SNAPSHOT_DONE && spill_write(place, frame);
	if (!well)
		atomic_store(&failed, true);
	if (need != XM_SNAPSHOT_DONE)
		return false;
	xm_snapshot_spilled(snapshots_lock(), well);
	snapshots_unlock();
	if (well)
		atomic_fetch_add(&shim_shared->fork_spilled, 1);
	return well;
}

bool spill_some(void)
{
	/* Children that have ended meanwhile may make the rest unnecessary. */
	for (int i = 0; snapshots_crowded() && !spill_failed(); i++) {
		if (i == ROUND)
			return true;
		if (!move_one())
			return false;
	}
	return false;
}
