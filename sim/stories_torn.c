/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of what was cut off in the middle: writes that reached one member, or none, and
 * half a TRIM. */
#include <errno.h>

#include "core/client/client.h"
#include "sim/appliance.h"
#include "sim/fabric.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/stories_parts.h"
#include "sim/story.h"

#define PAGES 4
#define GRANULE (64 * XM_KIB)

static void fill(extmem_region *r)
{
	for (uint64_t page = 0; page < PAGES; page++)
		expect(store(r, page, 10 + page));
	expect(advise(r, 0, PAGES, EXTMEM_COLD) == 0);
}

static void wait_until_whole(extmem *x)
{
	struct extmem_stats stats = { .size = sizeof(stats) };

	for (unsigned n = 0; n < 100; n++) {
		expect(extmem_stats(x, &stats) == 0);
		if (stats.members_missing == 0)
			break;
		rest(100 * XM_MS);
	}
	expect(stats.members_missing == 0);
}

static void next_scene(unsigned scene)
{
	cast.scene = scene;
}

static void wait_for_scene(unsigned scene)
{
	while (cast.scene < scene)
		rest(XM_MS);
}

static void writes_a_word(extmem_region *r)
{
	uint64_t value = 30;

	extmem_write(r, XM_PAGE + sizeof(value), &value, sizeof(value));
}

static void writes_a_page(extmem_region *r)
{
	write_page(r, 1, 30);
}

/* What a writer sends does not arrive at that appliance, and then its connection ends. */
static void cut_off(uint32_t client, uint32_t appliance, struct thread *writer,
		    void (*writes)(extmem_region *), extmem_region *r)
{
	uint32_t node = SIM_APPLIANCES_MAX + client;

	fabric_block(node, appliance_node(appliance), true);
	begin(writer, writes, r);
	rest(XM_MS);
	fabric_break(node, appliance_node(appliance));
	fabric_block(node, appliance_node(appliance), false);
}

/* A write of a part of a page reaches one member, and its connection to the other ends. So
 * the page is locked until one of them was read and its bytes are at both; then the write
 * is done again. */
void story_torn_write(uint32_t client, extmem *x)
{
	struct thread writer;
	extmem_region *r;

	expect(take(x, PAGES * XM_PAGE, &r) == 0);
	fill(r);
	cut_off(client, 0, &writer, writes_a_word, r);
	join(&writer);
	expect(load(r, 1) == 30);
	wait_until_whole(x);
	appliance_kill(1, 60 * XM_SECOND);
	expect(advise(r, 0, PAGES, EXTMEM_COLD) == 0);
	expect(load(r, 1) == 30);
	give(r); /* of which one has died just now */
}

/* So it is while a third member is out, and nobody does the write again: what was mended is
 * not at the third, which gets it when it comes back. */
void story_torn_and_stale(uint32_t client, extmem *x)
{
	struct thread writer;
	extmem_region *r;

	expect(take(x, PAGES * XM_PAGE, &r) == 0);
	fill(r);
	answers_blocked(client, true);
	expect(write_page(r, 0, 20) == -ETIMEDOUT);
	rest(XM_SECOND);
	cut_off(client, 2, &writer, writes_a_word, r);
	join(&writer);
	rest(XM_SECOND);
	answers_blocked(client, false);
	rest(XM_SECOND);
	wait_until_whole(x);
	expect(load(r, 1) == 30);
	expect(give(r) == 0);
}

/* A sealed page: the member that has the new version dies before the other got it. So the
 * former version is right still. */
void story_torn_and_sealed(uint32_t client, extmem *x)
{
	struct thread writer;
	extmem_region *r;

	expect(take(x, PAGES * XM_PAGE, &r) == 0);
	fill(r);
	cut_off(client, 0, &writer, writes_a_page, r);
	join(&writer);
	appliance_kill(1, 60 * XM_SECOND);
	expect(load(r, 1) == 11);
	give(r); /* of which one has died just now */
}

/* A reader has what one member has of a torn page, and it is mended with what the other has,
 * for nobody does the write again. The reader hears of that at its next acquire. */
void story_torn_and_shared(uint32_t client, extmem *x)
{
	static char token[EXTMEM_TOKEN_SIZE];
	struct thread writer;
	extmem_region *r;
	void *at;

	if (client == 0) {
		expect(take(x, PAGES * XM_PAGE, &r) == 0);
		fill(r);
		expect(extmem_region_share(r, NULL, token) == 0);
		next_scene(1);
		wait_for_scene(2);
		cut_off(client, 0, &writer, writes_a_word, r);
		join(&writer);
		expect(extmem_region_release(r) == 0);
		next_scene(3);
		wait_for_scene(4);
		wait_until_whole(x);
		expect(load(r, 1) == 11);
		expect(extmem_region_release(r) == 0);
		next_scene(5);
		wait_for_scene(6);
		expect(give(r) == 0);
		return;
	}
	wait_for_scene(1);
	expect(extmem_region_open(x, token, 0, &r) == 0);
	expect(extmem_map(r, 0, 0, &at) == 0);
	next_scene(2);
	wait_for_scene(3);
	expect(extmem_region_acquire(r) == 0);
	fabric_break(SIM_APPLIANCES_MAX + client, appliance_node(0));
	rest(XM_MS);
	expect(load(r, 1) == 30);
	next_scene(4);
	wait_for_scene(5);
	rest(XM_SECOND); /* until it is at both again */
	expect(extmem_region_acquire(r) == 0);
	expect(load(r, 1) == 11);
	expect(give(r) == 0);
	next_scene(6);
}

/* Of a region that shrinks one member is trimmed, and of the other nothing is heard. The
 * first one dies, and a spare takes its place all the same. */
void story_half_a_trim(uint32_t client, extmem *x)
{
	extmem_region *r;

	expect(take(x, 2 * GRANULE, &r) == 0);
	fill(r);
	answers_blocked(client, true);
	expect(extmem_region_resize(r, GRANULE) == -ETIMEDOUT);
	answers_blocked(client, false);
	rest(XM_SECOND);
	appliance_kill(1, 600 * XM_SECOND);
	rest(3 * XM_SECOND);
	wait_until_whole(x);
	for (uint64_t page = 0; page < PAGES; page++)
		expect(load(r, page) == 10 + page);
	give(r); /* one has died */
}
