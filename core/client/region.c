/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions: taken from appliances by a message, and slabs and objects selected
 * inside them without one. See region.h for the locks.
 *
 * The life of an allocation: extmem_region_alloc() reserves addresses, asks
 * appliances for extents (ALLOC), and adds them to the volume as segments;
 * extmem_slab_alloc() and extmem_object_alloc() then carve the region with
 * local tables only.
 */
#include "core/client/region.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/mapping.h"
#include "core/client/objects.h"
#include "core/client/range.h"
#include "core/pure/placement.h"
#include "core/pure/plant.h"

/* Public calls that ask appliances go one after the other. Each ends by its own
 * deadline, which counts from before it waited for its turn; so do those
 * before it, and so no one waits longer than the timeout. */
static void turn_take(extmem *x)
{
	uint64_t deadline_ns = os_now_ns() + x->settings.timeout_ns;

	os_mutex_take(&x->regions.lock);
	x->regions.deadline_ns = deadline_ns;
}

static void turn_give(extmem *x)
{
	os_mutex_give(&x->regions.lock);
}

/* --- segments --------------------------------------------------------------------- */

static int segment_add(extmem *x, const struct xm_segment *segment)
{
	struct os_signals old;
	int rc;

	xm_lanes_lock(&x->lanes, &old);
	rc = xm_volume_add(&x->volume, segment);
	xm_lanes_unlock(&x->lanes, &old);
	return rc;
}

static void segment_remove(extmem *x, uint64_t page)
{
	struct os_signals old;

	xm_lanes_lock(&x->lanes, &old);
	xm_volume_remove(&x->volume, page);
	xm_lanes_unlock(&x->lanes, &old);
}

/* Tells the appliance. Not waited for where it cannot hear: its lease ends. */
static int extent_give(extmem *x, uint32_t appliance, uint64_t extent)
{
	struct xm_message give = { .kind = XM_FREE };
	struct xm_request request;
	int rc;

	if (!xm_ask_is_ready(&x->ask, appliance))
		return -ENOTCONN;
	/* One that hangs is waited for once: BYE says it all again. */
	if (x->regions.closing && x->regions.deaf[appliance])
		return -ETIMEDOUT;
	give.u.free.extent = extent;
	rc = xm_ask(&x->ask, appliance, &give, x->regions.deadline_ns, &request);
	x->regions.deaf[appliance] = rc == -ETIMEDOUT;
	return rc;
}

/* Enough for any sentence about an appliance. */
#define OFFER_WORDS (XM_WORDS_SIZE + XM_ADDRESS_SIZE)

/* One extent of `size` bytes there, as the segment at this page. */
static void segment_take(extmem *x, const extmem_region *region,
			 uint32_t appliance, uint64_t address, uint64_t size,
			 struct xm_placement_offer *ret, char *words)
{
	struct xm_message take = { .kind = XM_ALLOC };
	struct xm_segment segment = { .page = address / XM_PAGE,
				      .members_count = 1 };
	struct xm_member *member = &segment.members[0];
	struct xm_request request;
	const struct xm_allocated *taken;

	take.u.alloc.size = size;
	memcpy(take.u.alloc.region, region->name, XM_NAME_SIZE);
	memset(ret, 0, sizeof(*ret));
	ret->status = xm_ask(&x->ask, appliance, &take,
			     x->regions.deadline_ns, &request);
	if (ret->status != 0) {
		if (request.message.kind == XM_REFUSED) {
			ret->free = request.message.u.refused.free;
			ret->free_run = request.message.u.refused.free_run;
			ret->soon = request.message.u.refused.soon;
		}
		xm_ask_explain(&x->ask, &request, words, OFFER_WORDS);
		return;
	}
	taken = &request.message.u.allocated;
	if (taken->size < size) {
		snprintf(words, OFFER_WORDS, "appliance %s gave less than was "
			 "asked", xm_ask_address(&x->ask, appliance));
		ret->status = -EPROTO;
		return;
	}
	segment.count = size / XM_PAGE;
	segment.region = region->number;
	member->appliance = appliance;
	member->lease = request.lease;
	member->extent = taken->extent;
	member->remote = taken->remote;
	ret->status = segment_add(x, &segment);
	if (ret->status != 0) {
		extent_give(x, appliance, taken->extent);
		snprintf(words, OFFER_WORDS, "%d segments are in use, which "
			 "is the limit", XM_SEGMENTS_MAX);
	}
}

/* Gives back the segments of [address, end), last first. */
static int segments_give(extmem *x, uint64_t address, uint64_t end)
{
	int rc = 0;

	while (end > address) {
		struct xm_segment s;
		struct os_signals old;
		bool there;

		xm_lanes_lock(&x->lanes, &old);
		there = xm_volume_segment(&x->volume, end / XM_PAGE - 1, &s);
		XM_ASSERT(there && s.page * XM_PAGE >= address);
		xm_lanes_unlock(&x->lanes, &old);
		segment_remove(x, s.page);
		for (uint32_t k = 0; k < s.members_count; k++) {
			const struct xm_member *member = &s.members[k];
			int last = member->lost
					   ? 0
					   : extent_give(x, member->appliance,
							 member->extent);

			if (rc == 0)
				rc = last;
		}
		end = s.page * XM_PAGE;
	}
	return rc;
}

/* Covers [address, + size) with extents, as placement.h decides; or none. */
static int segments_try(extmem *x, const extmem_region *region,
			uint64_t address, uint64_t size, bool *ret_soon,
			char *words, size_t words_size)
{
	uint32_t count = x->ask.keeper.control.count, ready = 0, told;
	char said[XM_APPLIANCES_MAX][OFFER_WORDS] = { "" };
	struct xm_placement placement;
	struct xm_placement_ask ask;

	for (uint32_t a = 0; a < count; a++)
		ready += xm_ask_is_ready(&x->ask, a);
	xm_placement_init(&placement, size, x->ask.granule, count,
			  ready);
	while (xm_placement_next(&placement, &ask)) {
		struct xm_placement_offer offer;
		char piece_words[OFFER_WORDS];

		if (ask.if_ready && !xm_ask_is_ready(&x->ask, ask.appliance)) {
			xm_placement_away(&placement, ask.appliance);
			snprintf(said[ask.appliance], OFFER_WORDS,
				 "appliance %s is away",
				 xm_ask_address(&x->ask, ask.appliance));
			continue;
		}
		/* The words stay those about the whole. */
		segment_take(x, region, ask.appliance,
			     address + placement.placed, ask.size, &offer,
			     ask.whole ? said[ask.appliance] : piece_words);
		xm_placement_answer(&placement, &ask, &offer);
	}
	if (placement.placed == size)
		return 0;
	segments_give(x, address, address + placement.placed);
	*ret_soon = xm_placement_soon(&placement);
	told = xm_placement_told_by(&placement);
	snprintf(words, words_size, "%s%s", said[told],
		 count > 1 ? "; nor do the others have room together" : "");
	return placement.offers[told].status;
}

/* What others gave back is parted from them and zeroed before it is free, which
 * takes a moment: an appliance that says so is asked again. */
#define SOON (5 * XM_SECOND)
#define SOON_STEP (5 * XM_MS)

static int segments_take(extmem *x, const extmem_region *region,
			 uint64_t address, uint64_t size, char *words,
			 size_t words_size)
{
	uint64_t deadline_ns = xm_min(x->regions.deadline_ns, os_now_ns() + SOON);
	bool soon = false;
	int rc;

	for (;;) {
		rc = segments_try(x, region, address, size, &soon, words,
				  words_size);
		if (rc != -ENOSPC || !soon || os_now_ns() >= deadline_ns)
			return rc;
		os_sleep(SOON_STEP);
	}
}

/* --- paths ---------------------------------------------------------------------------- */

/* Can the lane reach the page? Else `words` says why not. *ret_next is the first
 * page of the next segment. */
static enum xm_reach page_reach(extmem *x, struct xm_lane *lane, uint64_t page,
				uint64_t *ret_next, char *words,
				size_t words_size)
{
	struct xm_volume_page at;
	struct xm_lane_peer *peer;
	struct os_signals old;
	const char *said;
	bool there;

	xm_lane_lock(lane, &old);
	xm_lane_turn(lane);
	there = xm_volume_look(&lane->engine.io, page,
			       xm_engine_clock(&lane->engine), &at);
	XM_ASSERT(there);
	*ret_next = at.limit;
	if (at.reach != XM_REACH_UP) {
		peer = &lane->engine.peers[at.appliance];
		said = peer->ops->words(peer->transport);
		snprintf(words, words_size, "appliance %s answers, but its "
			 "memory cannot be reached%s%s",
			 xm_ask_address(&x->ask, at.appliance),
			 said[0] != '\0' ? ": " : "", said);
	}
	xm_lane_unlock(lane, &old);
	return at.reach;
}

/* Memory that cannot be reached is of no use: wait until every lane can. */
static int paths_wait(extmem *x, const extmem_region *region, char *words,
		      size_t words_size)
{
	uint64_t began_ns = os_now_ns();
	uint64_t deadline_ns = x->regions.deadline_ns;
	uint64_t page = region->address / XM_PAGE;
	uint64_t limit = page + region->size / XM_PAGE;

	xm_ask_wake(&x->ask);
	for (uint32_t l = 0; l < x->lanes.count; l++) {
		struct xm_lane *lane = &x->lanes.lane[l];
		struct xm_wait wait = { .deadline_ns = deadline_ns };

		for (uint64_t p = page; p < limit;) {
			uint32_t seen = xm_waiting_seen(&lane->waiting);
			uint64_t next, now_ns;
			enum xm_reach reach = page_reach(x, lane, p, &next,
							 words, words_size);

			if (reach == XM_REACH_UP) {
				p = next;
				continue;
			}
			/* It may have been lost long before, and be back in a
			 * moment. */
			now_ns = os_now_ns();
			if (now_ns >= deadline_ns ||
			    (reach == XM_REACH_LOST &&
			     now_ns - began_ns >=
				     2 * x->settings.loss_timeout_ns))
				return -ENOTCONN;
			xm_lane_await(lane, seen, &wait);
		}
	}
	return 0;
}

/* --- take -------------------------------------------------------------------------------- */

/* How far a region may grow where it is: addresses and tables cost nothing
 * until they are used. */
static uint64_t span_of(const extmem *x, uint64_t size)
{
	uint64_t most = x->arena.size / 16;
	uint64_t span = xm_min(size, most / 16) * 16;

	return xm_align_up(xm_max(span, size), XM_SPAN_GRANULE);
}

static int region_tables(extmem_region *region)
{
	uint64_t slabs_max = xm_min(region->span / XM_PAGE, 1u << 28);

	region->slabs_memory_size = xm_extent_memory_size((uint32_t)slabs_max);
	region->slabs_memory = os_memory_take(region->slabs_memory_size);
	region->heap_memory_size = xm_heap_memory_size(region->span);
	region->heap_memory = os_memory_take(region->heap_memory_size);
	if (region->slabs_memory == NULL || region->heap_memory == NULL)
		return -ENOMEM;
	xm_extent_init(&region->slabs, region->size, XM_PAGE,
		       (uint32_t)slabs_max, region->slabs_memory);
	xm_heap_init(&region->heap, &region->slabs, region->span,
		     region->heap_memory);
	return 0;
}

static void region_free(extmem_region *region)
{
	xm_caches_end(region);
	os_memory_give(region->slabs_memory, region->slabs_memory_size);
	os_memory_give(region->heap_memory, region->heap_memory_size);
	os_mutex_close(&region->lock);
	os_free(region->mappings);
	os_free(region);
}

static int check_size(const extmem *x, const char *call, uint64_t *size)
{
	if (*size == 0 || *size > UINT64_MAX / 2)
		return xm_fail(-EINVAL, "%s: a region of %llu bytes: the size "
			       "must be at least 1 and fit in memory", call,
			       (unsigned long long)*size);
	*size = xm_align_up(*size, x->ask.granule);
	return 0;
}

/* With regions_lock held. */
static int region_build(extmem *x, extmem_region *region)
{
	char words[512] = "out of memory";
	int rc;

	if (x->regions.count == XM_REGIONS_MAX)
		return xm_fail(-ENOSPC, "extmem_region_alloc: %d regions are "
			       "held, which is the limit: take larger ones",
			       XM_REGIONS_MAX);
	region->span = span_of(x, region->size);
	rc = xm_extent_take(&x->arena.spans, region->span, 0, &region->address);
	if (rc != 0) {
		region->span = region->size;
		rc = xm_extent_take(&x->arena.spans, region->span, 0,
				    &region->address);
	}
	if (rc != 0)
		return xm_fail(-ENOMEM, "extmem_region_alloc: no %llu MiB of "
			       "addresses left: raise the setting arena",
			       (unsigned long long)(region->size / XM_MIB));
	rc = region_tables(region);
	if (rc == 0)
		rc = segments_take(x, region, region->address, region->size,
				   words, sizeof(words));
	if (rc == 0) {
		rc = paths_wait(x, region, words, sizeof(words));
		if (rc != 0)
			segments_give(x, region->address,
				      region->address + region->size);
	}
	if (rc != 0) {
		xm_extent_give(&x->arena.spans, region->address, NULL);
		return xm_fail(rc, "extmem_region_alloc: %s", words);
	}
	xm_list_push_back(&x->regions.list, &region->link);
	x->regions.count++;
	return 0;
}

int extmem_region_alloc(extmem *x, const char *name, uint64_t size,
		       extmem_region **ret)
{
	extmem_region *region;
	int rc = xm_usable("extmem_region_alloc");

	if (rc == 0)
		rc = check_size(x, "extmem_region_alloc", &size);
	if (rc != 0)
		return rc;
	if (name != NULL && strlen(name) >= XM_NAME_SIZE)
		return xm_fail(-EINVAL, "extmem_region_alloc: a name of %zu "
			       "characters: at most %d", strlen(name),
			       XM_NAME_SIZE - 1);
	region = os_alloc(sizeof(*region));
	if (region == NULL)
		return xm_fail(-ENOMEM, "extmem_region_alloc: out of memory");
	region->client = x;
	region->size = size;
	if (name != NULL)
		memcpy(region->name, name, strlen(name));
	os_mutex_open(&region->lock);
	xm_list_open(&region->caches);
	turn_take(x);
	region->number = x->regions.count;
	rc = region_build(x, region);
	turn_give(x);
	if (rc != 0)
		region_free(region);
	else
		*ret = region;
	return rc;
}

/* --- give ------------------------------------------------------------------------------------ */

/* Pages of [offset, + size) get no other meaning before nothing of their old
 * one is under way. */
static int forget(extmem_region *region, uint64_t offset, uint64_t size)
{
	extmem *x = region->client;
	struct xm_pager_event ev = { .kind = XM_PAGER_FORGET };
	uint64_t first = (region->address + offset) / XM_PAGE;

	if (!atomic_load(&region->tracked))
		return 0;
	return xm_range(x, &ev, first,
			first + size / XM_PAGE - XM_PLANTED(last_page_kept),
			XM_NEVER);
}

int extmem_region_free(extmem_region *region)
{
	extmem *x;
	int rc, told;

	if (region == NULL)
		return 0;
	rc = xm_usable("extmem_region_free");
	if (rc != 0)
		return rc;
	x = region->client;
	turn_take(x);
	rc = forget(region, 0, region->size);
	if (region->attached)
		xm_detach(region, 0, region->size);
	told = segments_give(x, region->address,
			     region->address + region->size);
	xm_extent_give(&x->arena.spans, region->address, NULL);
	xm_list_remove(&region->link);
	x->regions.count--;
	turn_give(x);
	region_free(region);
	if (rc == 0 && told != 0)
		rc = xm_fail(told, "extmem_region_free: its appliance could "
			     "not be told; it takes the memory back when our "
			     "lease ends");
	return rc;
}

/* --- resize ------------------------------------------------------------------------------------ */

static int grow(extmem_region *region, uint64_t size)
{
	extmem *x = region->client;
	uint64_t more = size - region->size;
	char words[512] = "";
	int rc;

	if (size > region->span)
		return xm_fail(-ENOMEM, "extmem_region_resize: the region can "
			       "grow to %llu MiB where it is",
			       (unsigned long long)(region->span / XM_MIB));
	rc = segments_take(x, region, region->address + region->size, more,
			   words, sizeof(words));
	if (rc != 0)
		return xm_fail(rc, "extmem_region_resize: %s", words);
	if (region->attached)
		rc = xm_attach(region, region->size, more);
	if (rc != 0) {
		segments_give(x, region->address + region->size,
			      region->address + size);
		return xm_fail(rc, "extmem_region_resize: cannot map: %s",
			       strerror(-rc));
	}
	rc = xm_heap_resize(&region->heap, size);
	XM_ASSERT(rc == 0);
	region->size = size;
	/* Explicit writes before the first mapping marked the old part only;
	 * the new one is as fresh as can be. */
	return 0;
}

/* Asks the appliance of one member to make an extent of its own of the member's
 * head, of `size` bytes; *ret becomes that extent. */
static int member_trim(extmem *x, uint64_t page, const struct xm_member *member,
		       uint64_t size, struct xm_member *ret)
{
	struct xm_message trim = { .kind = XM_TRIM };
	struct os_signals old;
	struct xm_request request;
	int rc;

	trim.u.trim.extent = member->extent;
	trim.u.trim.size = size;
	rc = xm_ask(&x->ask, member->appliance, &trim,
		    x->regions.deadline_ns, &request);
	if (rc == -ETIMEDOUT || rc == -ENOTCONN) {
		/* The old key still reaches all of it, but what the number
		 * names there now is not known. */
		xm_lanes_lock(&x->lanes, &old);
		xm_volume_set_unsure(&x->volume, page);
		xm_lanes_unlock(&x->lanes, &old);
	}
	if (rc != 0)
		return rc;
	ret->extent = request.message.u.allocated.extent;
	ret->remote = request.message.u.allocated.remote;
	return 0;
}

/* The segment that the new end falls into: its head becomes an extent of its
 * own, so that its tail can be given back. */
static int trim_segment(extmem *x, uint64_t end)
{
	struct xm_member heads[XM_MEMBERS_MAX];
	struct xm_segment whole;
	struct os_signals old;
	bool there, full;
	int rc = 0;

	xm_lanes_lock(&x->lanes, &old);
	there = xm_volume_segment(&x->volume, end / XM_PAGE, &whole);
	full = xm_volume_full(&x->volume);
	xm_lanes_unlock(&x->lanes, &old);
	XM_ASSERT(there);
	if (whole.page * XM_PAGE == end)
		return 0;
	if (full)
		return -ENOSPC;
	if (whole.unsure)
		return -EBUSY;
	/* What is lost is divided here alone. */
	for (uint32_t k = 0; !whole.lost && k < whole.members_count; k++) {
		rc = member_trim(x, whole.page, &whole.members[k],
				 end - whole.page * XM_PAGE, &heads[k]);
		if (rc != 0)
			return rc;
	}
	xm_lanes_lock(&x->lanes, &old);
	xm_volume_divide(&x->volume, end / XM_PAGE,
			 whole.lost ? NULL : heads);
	xm_lanes_unlock(&x->lanes, &old);
	return 0;
}

/* Operations on the head that were posted under the key it had before. */
static void quiesce(extmem *x)
{
	uint64_t deadline_ns = xm_min(x->regions.deadline_ns,
				      os_now_ns() + 2 * XM_SECOND);

	for (uint32_t l = 0; l < x->lanes.count; l++) {
		struct xm_lane *lane = &x->lanes.lane[l];
		struct xm_wait wait = { .deadline_ns = deadline_ns };
		uint32_t flying = 1;

		while (flying > 0 && os_now_ns() < deadline_ns) {
			uint32_t seen = xm_waiting_seen(&lane->waiting);
			struct os_signals old;

			xm_lane_lock(lane, &old);
			xm_lane_turn(lane);
			flying = xm_engine_flying(&lane->engine);
			xm_lane_unlock(lane, &old);
			if (flying > 0)
				xm_lane_await(lane, seen, &wait);
		}
	}
}

static int shrink(extmem_region *region, uint64_t size)
{
	extmem *x = region->client;
	uint64_t less = region->size - size;
	struct xm_heap_freed freed;
	int rc;

	xm_caches_empty(region);
	while (xm_heap_trim(&region->heap, &freed))
		;
	rc = xm_heap_resize(&region->heap, size);
	if (rc != 0)
		return xm_fail(rc, "extmem_region_resize: slabs or objects are "
			       "in use beyond %llu bytes: free them first",
			       (unsigned long long)size);
	rc = trim_segment(x, region->address + size);
	if (rc != 0) {
		xm_heap_resize(&region->heap, region->size);
		return xm_fail(rc, "extmem_region_resize: %s",
			       rc == -EBUSY ? "how an earlier shrink ended is "
					      "not known: give the region back "
					      "to shrink it"
					    : xm_why(rc));
	}
	/* Only now: had it failed, the tail would be as it was. */
	forget(region, size, less);
	if (region->attached)
		xm_detach(region, size, less);
	quiesce(x);
	rc = segments_give(x, region->address + size,
			   region->address + region->size);
	region->size = size;
	if (rc != 0)
		return xm_fail(rc, "extmem_region_resize: the appliance could "
			       "not be told; it takes the tail back when our "
			       "lease ends");
	return 0;
}

int extmem_region_resize(extmem_region *region, uint64_t size)
{
	extmem *x = region->client;
	int rc = xm_usable("extmem_region_resize");

	if (rc == 0)
		rc = check_size(x, "extmem_region_resize", &size);
	if (rc != 0)
		return rc;
	turn_take(x);
	os_mutex_take(&region->lock);
	if (size > region->size)
		rc = grow(region, size);
	else if (size < region->size)
		rc = shrink(region, size);
	os_mutex_give(&region->lock);
	turn_give(x);
	return rc;
}

uint64_t extmem_region_size(const extmem_region *region)
{
	return region->size;
}

const char *extmem_region_name(const extmem_region *region)
{
	return region->name;
}

/* --- slabs ---------------------------------------------------------------------- */

/* Freed memory that is cached is of no use to anyone; and read again, it is
 * zero, not what it was. */
void xm_discard(extmem_region *region, uint64_t offset, uint64_t size)
{
	extmem *x = region->client;
	struct xm_pager_event ev = { .kind = XM_PAGER_DISCARD };
	uint64_t first = (region->address + offset) / XM_PAGE;

	if (size == 0 || !atomic_load(&region->tracked))
		return;
	xm_range(x, &ev, first, first + (size + XM_PAGE - 1) / XM_PAGE,
		 XM_NEVER);
}

int extmem_slab_alloc(extmem_region *region, uint64_t size,
		      uint64_t *ret_offset)
{
	int rc = xm_usable("extmem_slab_alloc");

	if (rc != 0)
		return rc;
	os_mutex_take(&region->lock);
	rc = xm_extent_take(&region->slabs, size, 0, ret_offset);
	if (rc == 0) {
		region->slabs_count++;
		/* Written before the first mapping, and freed: nobody has
		 * discarded that. */
		if (atomic_load(&region->written))
			xm_discard(region, *ret_offset, size);
	}
	os_mutex_give(&region->lock);
	if (rc == -ENOSPC)
		return xm_fail(rc, "extmem_slab_alloc: region %s has no run of "
			       "%llu bytes free", region->name,
			       (unsigned long long)size);
	if (rc != 0)
		return xm_fail(rc, "extmem_slab_alloc: a slab of %llu bytes",
			       (unsigned long long)size);
	return 0;
}

int extmem_slab_free(extmem_region *region, uint64_t offset)
{
	struct xm_extent_range range;
	uint64_t start, size;
	int rc = xm_usable("extmem_slab_free");

	if (rc != 0)
		return rc;
	os_mutex_take(&region->lock);
	/* A slab of the heap's is not the caller's to free. */
	rc = xm_extent_find(&region->slabs, offset, &range);
	if (rc != 0 || range.offset != offset ||
	    xm_heap_find(&region->heap, offset, &start, &size) == 0)
		rc = -EINVAL;
	if (rc == 0) {
		/* Discarded while it is still nobody else's. */
		xm_discard(region, offset, range.size);
		rc = xm_extent_give(&region->slabs, offset, &size);
		region->slabs_count--;
	}
	os_mutex_give(&region->lock);
	if (rc != 0)
		return xm_fail(-EINVAL, "extmem_slab_free: no slab begins at "
			       "%llu", (unsigned long long)offset);
	return 0;
}
