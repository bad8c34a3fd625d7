/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of mirrors: one copy is lost, late, or different, and then both are gone. */
#include <errno.h>

#include "core/client/client.h"
#include "sim/appliance.h"
#include "sim/fabric.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/stories_parts.h"
#include "sim/story.h"

#define PAGES 4

static uint32_t missing(extmem *x)
{
	struct extmem_stats stats = { .size = sizeof(stats) };

	expect(extmem_stats(x, &stats) == 0);
	return (uint32_t)stats.members_missing;
}

static void wait_until_whole(extmem *x)
{
	for (unsigned n = 0; n < 100 && missing(x) > 0; n++)
		rest(100 * XM_MS);
	expect(missing(x) == 0);
}

static void fill(extmem_region *r, uint64_t value)
{
	for (uint64_t page = 0; page < PAGES; page++)
		expect(store(r, page, value + page));
	expect(advise(r, 0, PAGES, EXTMEM_COLD) == 0);
}

static void look(extmem_region *r, uint64_t value)
{
	expect(advise(r, 0, PAGES, EXTMEM_COLD) == 0);
	for (uint64_t page = 0; page < PAGES; page++)
		expect(load(r, page) == value + page);
}

/* An appliance is killed and stays away. A spare takes its member's place; so the other one
 * may die, too. */
void story_member_replaced(uint32_t client, extmem *x)
{
	extmem_region *r;

	(void)client;
	expect(take(x, PAGES * XM_PAGE, &r) == 0);
	fill(r, 10);
	appliance_kill(0, 60 * XM_SECOND);
	look(r, 10);
	fill(r, 20);
	rest(3 * XM_SECOND);
	wait_until_whole(x);
	appliance_kill(1, 60 * XM_SECOND);
	look(r, 20);
	expect(give(r) == 0);
}

/* What a member sends is not heard for a while, though it hears everything. It is left out
 * and, when it can be heard again, given what was written meanwhile. */
void story_member_taken_back(uint32_t client, extmem *x)
{
	extmem_region *r;

	expect(take(x, PAGES * XM_PAGE, &r) == 0);
	fill(r, 10);
	answers_blocked(client, true);
	fill(r, 20);
	look(r, 20);
	answers_blocked(client, false);
	rest(XM_SECOND);
	wait_until_whole(x);
	appliance_kill(1, 60 * XM_SECOND);
	look(r, 20);
	expect(give(r) == 0);
}

static bool has_guest(extmem *x)
{
	bool none;

	return xm_volume_guests(&x->volume, UINT32_MAX, &none) > 0;
}

/* An appliance drains, and then it and the one with the other copy end for good while the
 * move is under way. Nothing can fill the guest: the move is given up, and what is lost of
 * another region elsewhere is replaced. */
void story_no_source(uint32_t client, extmem *x)
{
	extmem_region *moves, *other, *third;
	bool lost;

	(void)client;
	expect(take(x, 48 * XM_PAGE, &moves) == 0);
	fill(moves, 10);
	expect(take(x, 48 * XM_PAGE, &other) == 0);
	fill(other, 20);
	/* So that a majority of those in the view lives. */
	expect(take(x, PAGES * XM_PAGE, &third) == 0);
	appliance_drain(0, 60000);
	for (unsigned n = 0; n < 50000 && !has_guest(x); n++)
		rest(100 * XM_US);
	expect(has_guest(x));
	appliance_kill(0, 600 * XM_SECOND);
	appliance_kill(1, 600 * XM_SECOND);
	rest(XM_SECOND);
	expect(has_guest(x));
	appliance_kill(2, 600 * XM_SECOND);
	rest(4 * XM_SECOND);
	expect(!has_guest(x));
	look(other, 20);
	expect((xm_volume_appliances(&x->volume, other->address / XM_PAGE, &lost) &
		7) == 0 && !lost);
	expect(give(third) == 0 && give(other) == 0);
	give(moves); /* of which nobody is left */
}

/* Both members die: each page is lost, and says so. */
void story_both_members_lost(uint32_t client, extmem *x)
{
	extmem_region *r;
	uint64_t value;

	(void)client;
	expect(take(x, PAGES * XM_PAGE, &r) == 0);
	fill(r, 10);
	appliance_kill(0, 300 * XM_MS);
	appliance_kill(1, 300 * XM_MS);
	rest(2 * XM_SECOND);
	expect(read_page(r, 0, &value) == -ESTALE);
	for (uint64_t page = 0; page < PAGES; page++)
		expect(load(r, page) == LOST);
	give(r);
	expect(take(x, PAGES * XM_PAGE, &r) == 0);
	expect(load(r, 0) == 0);
	expect(give(r) == 0);
}
