/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs' regions that are cloned: a program has the region copied, and goes on with one
 * of the two and now and then with the other; see program.h.
 *
 * Laws. Right after the call the copy has the bytes that the region has, which are what the
 * shadow says: there is another shadow from then on, equal to the first. What is done to one
 * of them changes nothing of the other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/counts.h"
#include "sim/fibers.h"
#include "sim/notes.h"
#include "sim/program.h"
#include "sim/shape.h"
#include "sim/world.h"

static void shadow_copy(struct shadow *to, const struct shadow *from)
{
	uint64_t pages_max = to->pages_max;

	XM_ASSERT(from->pages <= pages_max);
	memcpy(to, from, sizeof(*from) + from->pages * sizeof(from->page[0]));
	to->pages_max = pages_max;
	/* A copy has all rights to all pages. */
	for (uint64_t i = 0; i < to->pages; i++)
		to->page[i].rights = EXTMEM_READ_WRITE;
}

static void copied(struct program *p, extmem_region *region)
{
	struct twin *t = &p->twin;
	void *at;
	int rc;

	if (t->shadow == NULL)
		t->shadow = shadow_open(p->shadow->pages_max);
	shadow_copy(t->shadow, p->shadow);
	t->region = region;
	t->objects_count = 0;
	sim_counts.regions++;
	rc = CALL(extmem_map, region, 0, 0, &at);
	t->lost = rc != 0;
}

void twin_swap(struct program *p)
{
	struct twin t = p->twin;

	if (t.region == NULL)
		return;
	p->twin.region = p->region;
	p->twin.shadow = p->shadow;
	p->twin.lost = p->lost;
	p->twin.objects_count = p->objects_count;
	memcpy(p->twin.objects, p->objects, sizeof(p->objects));
	p->region = t.region;
	p->shadow = t.shadow;
	p->lost = t.lost;
	p->objects_count = t.objects_count;
	memcpy(p->objects, t.objects, sizeof(p->objects));
	p->objects_moved++;
}

/* Now and then a page is pinned, whose stores could not be made to wait. */
static bool pin(const struct program *p)
{
	if (below(8) != 0 || !rights_allow(p, 0, true))
		return false;
	call_begins("extmem_pin", sim_shape.timeout_ms * XM_MS);
	return call_ends(extmem_pin(p->x, page_address(p, 0), 1, 1)) == 1;
}

void op_copy(struct program *p)
{
	extmem_region *region;
	bool pinned;
	int rc;

	if (p->twin.region != NULL) {
		twin_swap(p);
		return;
	}
	pinned = pin(p);
	rc = CALL(extmem_region_copy, p->region, "copy", &region);
	if (pinned && rc == 0)
		world_broken("snapshot", "client %u has a page pinned for writing, and "
			     "its region is copied", p->index);
	if (pinned)
		extmem_unpin(p->x, page_address(p, 0), 1);
	world_note("program.copy: client {client} copies its region: "
		   "{error:error}", p->index, (uint64_t)-rc, 0);
	if (rc == 0) {
		copied(p, region);
		if (below(2) == 0)
			twin_swap(p);
	} else if (rc != -ENOSPC && rc != -EDQUOT && rc != -EBUSY) {
		call_went(p, rc);
	}
}
