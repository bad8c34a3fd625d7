/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of processes that hang or die, and of links that do. Each begins with what it shows; see story.c. */
#include "sim/appliance.h"
#include "sim/notes.h"
#include "sim/programs.h"
#include "sim/world.h"
#include "sim/stories_parts.h"

#define ALL (256 * XM_KIB) /* the pool of the quiet shape */
#define ONE (64 * XM_KIB)  /* its granule */

/* The control process stops for less than a lease: data goes on as if
 * nothing were, and what is asked of it is answered afterwards. */
void story_control_stops(uint32_t client, extmem *x)
{
	extmem_region *r, *more;

	(void)client;
	expect(take(x, ONE, &r) == 0);
	expect(store(r, 0, 7));
	world_hang(appliance_control(0), true);
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	expect(load(r, 0) == 7);
	expect(store(r, 0, 8));
	expect(sync_pages(r) == 0);
	rest(XM_SECOND);
	world_hang(appliance_control(0), false);
	expect(take(x, ONE, &more) == 0);
	expect(load(r, 0) == 8);
	give(more);
	give(r);
}

static void heals_after(extmem_region *r)
{
	(void)r;
	rest(900 * XM_MS);
	link_blocked(0, false);
}

/* A partition that heals within the lease costs time and nothing else. */
void story_partition_heals(uint32_t client, extmem *x)
{
	struct thread t;
	extmem_region *r;
	uint64_t value;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	link_blocked(0, true);
	begin(&t, heals_after, r);
	expect(sync_pages(r) == 0);
	join(&t);
	expect(read_page(r, 0, &value) == 0 && value == 7);
	expect(store(r, 0, 8));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	expect(load(r, 0) == 8);
	give(r);
}

static void wake_interface(extmem_region *r)
{
	(void)r;
	rest(900 * XM_MS);
	world_note("story.wakes: the interface goes on", 0, 0, 0);
	world_hang(appliance_interface(0, 0), false);
}

/* The interface process hangs with a read outstanding. Nobody says so; the
 * silence is noticed, the path given up and made anew. */
void story_interface_hangs(uint32_t client, extmem *x)
{
	struct thread t;
	extmem_region *r;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	world_note("story.hangs: the interface stops", 0, 0, 0);
	world_hang(appliance_interface(0, 0), true);
	begin(&t, wake_interface, r);
	expect(load(r, 0) == 7);
	join(&t);
	give(r);
}

/* A store's connection hangs and is replaced. What was posted on the old one
 * cannot happen after what is posted on the new one. */
void story_supersedes(uint32_t client, extmem *x)
{
	struct thread t;
	extmem_region *r;
	uint64_t value;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	world_note("story.hangs: the interface stops", 0, 0, 0);
	world_hang(appliance_interface(0, 0), true);
	begin(&t, wake_interface, r);
	expect(sync_pages(r) == 0);
	join(&t);
	expect(write_page(r, 1, 8) == 0);
	expect(read_page(r, 1, &value) == 0 && value == 8);
	expect(read_page(r, 0, &value) == 0 && value == 7);
	give(r);
}

static void wake_client(void *argument, uint64_t client)
{
	(void)argument;
	world_note("story.wakes: client {client} goes on", client, 0, 0);
	world_hang(program_process((uint32_t)client), false);
}

/* A client was stopped for longer than it waits for anyone: that was its own
 * pause, and it declares nobody dead. */
void story_stopped_client(uint32_t client, extmem *x)
{
	extmem_region *r;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	world_note("story.hangs: client {client} stops", 0, 0, 0);
	world_hang(program_process(0), true);
	world_at(world_now() + 1700 * XM_MS, wake_client, NULL, 0);
	rest(XM_MS);
	expect(load(r, 0) == 7);
	give(r);
}

/* The interface process dies alone. The appliance ends as a whole and comes
 * back empty; it does not go on with a pool that nobody serves. */
void story_interface_dies(uint32_t client, extmem *x)
{
	extmem_region *r;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	appliance_kill_interface(0, 300 * XM_MS);
	expect(load(r, 0) == LOST);
	give(r);
	expect(take(x, ALL, &r) == 0);
	give(r);
}

/* A region lies on two appliances, since no one of them has room for it; a
 * window that is read ahead ends where one of them does. */
void story_on_two_appliances(uint32_t client, extmem *x)
{
	extmem_region *r;

	(void)client;
	expect(take(x, ALL + 2 * ONE, &r) == 0);
	expect(write_pages(r, 60, 8, 60) == 0);
	for (uint64_t page = 60; page < 68; page++)
		expect(load(r, page) == page);
	appliance_kill(1, 10 * XM_SECOND);
	rest(XM_SECOND);
	expect(load(r, 61) == 61);
	give(r);
}
