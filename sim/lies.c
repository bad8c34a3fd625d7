/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The appliance that lies: it flips bits of sealed pages, swaps pages of one or of two
 * regions, gives back older ones, and forgets them; see seals.h. That it withholds them
 * is a hang, which is weather of another kind (weather.c).
 */
#include <string.h>

#include "core/pure/pager_parts.h" /* the flags of a page */
#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/members.h"
#include "sim/notes.h"
#include "sim/outcomes.h"
#include "sim/plan.h"
#include "sim/programs.h"
#include "sim/seals.h"
#include "sim/world.h"

enum { FLIP, SWAP, REPLAY, FORGET, KINDS };

/* A copy of a page, where it lies. */
struct spot {
	extmem *x;
	uint32_t client, index;
	uint64_t page;
	struct member member;
	uint64_t at; /* in the pool */
	uint8_t *bytes;
};

static struct kept {
	struct spot spot;
	uint8_t bytes[XM_PAGE];
} kept[16];

static bool lying;
static uint64_t generation; /* what was begun before an end is void */

static uint64_t some(uint64_t most)
{
	return xm_rand_below(world_rand(WORLD_SEALS), most);
}

static bool spot_look(struct spot *s)
{
	if (program_client(s->client) != s->x || s->x == NULL ||
	    !members_find(s->x, s->page, s->index, &s->member))
		return false;
	s->bytes = (uint8_t *)(uintptr_t)members_bytes(&s->member, &s->at);
	return s->bytes != NULL &&
	       (sim_shape.victims == 0 ||
		(sim_shape.victims & 1u << s->member.appliance) != 0);
}

/* One of a page that the remote memory has contents of. */
static bool spot_find(struct spot *s)
{
	for (unsigned try = 0; try < 16; try++) {
		const extmem_region *region;

		s->client = (uint32_t)some(sim_shape.clients);
		s->index = (uint32_t)some(sim_shape.copies > 1 ? sim_shape.copies
							       : 1);
		s->page = some(UINT32_MAX);
		s->x = program_client(s->client);
		if (s->x == NULL ||
		    s->x->regions.list.next == &s->x->regions.list)
			continue;
		region = XM_CONTAINER(s->x->regions.list.next, extmem_region,
				      link);
		if (region->size == 0 || !region->sealed)
			continue;
		s->page = region->address / XM_PAGE +
			  s->page % (region->size / XM_PAGE);
		if ((xm_lane_at(&s->x->lanes, s->page)
			     ->engine.pager.pages[s->page]
			     .flags &
		     FLAG_WRITTEN) != 0 &&
		    spot_look(s))
			return true;
	}
	return false;
}

static void put(const struct spot *s, const uint8_t *bytes)
{
	appliance_written(s->member.appliance, s->at, XM_PAGE);
	memcpy(s->bytes, bytes, XM_PAGE);
}

static void swap(const struct spot *a, const struct spot *b)
{
	uint8_t bytes[XM_PAGE];

	memcpy(bytes, a->bytes, XM_PAGE);
	put(a, b->bytes);
	put(b, bytes);
}

/* False: nothing was done. */
static bool tell(unsigned kind, struct spot *s)
{
	struct kept *k = &kept[some(XM_COUNT(kept))];
	uint8_t bytes[XM_PAGE];
	struct spot other;

	switch (kind) {
	case FLIP:
		memcpy(bytes, s->bytes, XM_PAGE);
		bytes[some(XM_PAGE)] ^= (uint8_t)(1u << some(8));
		put(s, bytes);
		return true;
	case SWAP:
		if (!spot_find(&other) || other.bytes == s->bytes)
			return false;
		swap(s, &other);
		return true;
	case REPLAY:
		if (!spot_look(&k->spot) ||
		    memcmp(k->spot.bytes, k->bytes, XM_PAGE) == 0)
			return false;
		*s = k->spot;
		put(s, k->bytes);
		return true;
	default:
		memset(bytes, 0, XM_PAGE);
		put(s, bytes);
		return true;
	}
}

static void lie(void *argument, uint64_t when)
{
	struct kept *k = &kept[some(XM_COUNT(kept))];
	unsigned kind = (unsigned)some(KINDS);
	struct spot s;

	(void)argument;
	if (!lying || when != generation)
		return;
	if (spot_find(&s)) {
		k->spot = s;
		memcpy(k->bytes, s.bytes, XM_PAGE);
		if (!sim_without(SIM_FAULT_LIE) && tell(kind, &s)) {
			sim_counts.faults[SIM_FAULT_LIE]++;
			world_note("lies.lie: appliance {appliance} lies about "
				   "page {page}, kind {kind}",
				   s.member.appliance, s.page, kind);
		}
	}
	world_at(world_now() + (1 + some(2 * sim_shape.lies_ms)) * XM_MS, lie,
		 NULL, generation);
}

void lies_begin(void)
{
	generation++;
	memset(kept, 0, sizeof(kept));
	lying = sim_shape.lies_ms > 0;
	if (lying)
		world_at(world_now() + sim_shape.lies_ms * XM_MS, lie, NULL,
			 generation);
}

void lies_end(void)
{
	lying = false;
}
