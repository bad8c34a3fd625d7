/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of leases: memory that is given, taken back, lost, and never seen by its
 * next owner. Each begins with what it shows; see story.c. */
#include <errno.h>
#include <string.h>

#include "sim/appliance.h"
#include "sim/fabric.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/stories_parts.h"

#define ALL (256 * XM_KIB) /* the pool of the quiet shape */
#define ONE (64 * XM_KIB)  /* its granule */

static void wait_for_scene(unsigned scene)
{
	while (cast.scene < scene)
		rest(10 * XM_MS);
}

/* A store leaves its client just before nothing of it gets through. The lease
 * ends, the memory goes to another client, and only then the store arrives. */
void story_late_write(uint32_t client, extmem *x)
{
	extmem_region *r;
	uint64_t value;

	if (client == 0) {
		expect(take(x, ALL, &r) == 0);
		expect(store(r, 3, 111));
		cast.scene = 1;
		requests_blocked(0, true);
		expect(sync_pages(r) != 0);
		wait_for_scene(2);
		expect(load(r, 4) == LOST);
		give(r);
		return;
	}
	wait_for_scene(1);
	while (take(x, ALL, &r) != 0)
		rest(500 * XM_MS);
	expect(load(r, 3) == 0);
	expect(write_page(r, 5, 222) == 0);
	requests_blocked(0, false);
	rest(200 * XM_MS);
	expect(read_page(r, 3, &value) == 0 && value == 0);
	expect(read_page(r, 5, &value) == 0 && value == 222);
	cast.scene = 2;
	give(r);
}

/* An appliance is killed and comes back with empty memory: what was there is
 * lost, in words and by SIGBUS, and never read as zeros. */
void story_comes_back_empty(uint32_t client, extmem *x)
{
	extmem_region *r;
	uint64_t value;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	appliance_kill(0, 300 * XM_MS);
	expect(load(r, 0) == LOST);
	expect(read_page(r, 0, &value) == -ESTALE);
	give(r);
	expect(take(x, ALL, &r) == 0);
	expect(load(r, 0) == 0);
	give(r);
}

/* A client is killed; its memory is taken back when its lease ends, zeroed,
 * and only then another's. */
void story_killed_client(uint32_t client, extmem *x)
{
	extmem_region *r;
	uint64_t value;

	if (client == 0) {
		expect(take(x, ALL, &r) == 0);
		expect(store(r, 0, 7));
		expect(sync_pages(r) == 0);
		cast.scene = 1;
		rest(XM_NEVER);
	}
	wait_for_scene(1);
	expect(take(x, ALL, &r) == -ENOSPC);
	program_kill(0, XM_MS);
	while (take(x, ALL, &r) != 0)
		rest(500 * XM_MS);
	expect(load(r, 0) == 0);
	expect(read_page(r, 0, &value) == 0 && value == 0);
	give(r);
}

/* Cut off for longer than its lease, on a provider that knows connections by
 * nothing but keys: when the partition heals the old key opens nothing. */
void story_lease_ends(uint32_t client, extmem *x)
{
	extmem_region *r;
	uint64_t value;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	link_blocked(0, true);
	rest(3 * XM_SECOND);
	link_blocked(0, false);
	/* Before the stream has told of it. */
	expect(read_page(r, 0, &value) != 0);
	rest(500 * XM_MS);
	expect(load(r, 0) == LOST);
	give(r);
}

/* Of a lost region each page says so, each time it is touched; only what is
 * still here can be read. */
void story_lost_is_not_zero(uint32_t client, extmem *x)
{
	extmem_region *r;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	for (uint64_t page = 0; page < 4; page++)
		expect(store(r, page, 10 + page));
	expect(advise(r, 0, 2, EXTMEM_COLD) == 0);
	appliance_kill(0, 300 * XM_MS);
	rest(XM_SECOND);
	for (uint64_t page = 0; page < 2; page++) {
		expect(load(r, page) == LOST);
		expect(load(r, page) == LOST);
		expect(!store(r, page, 1));
	}
	expect(load(r, 3) == 13);
	expect(sync_pages(r) == -ESTALE);
	expect(load(r, 9) == LOST); /* never touched: it was zero, and is gone */
	give(r);
}

/* More than there is is refused, with words that say how much there is. */
void story_full_pool(uint32_t client, extmem *x)
{
	extmem_region *r, *more;

	(void)client;
	expect(take(x, 3 * ONE, &r) == 0);
	expect(take(x, 2 * ONE, &more) == -ENOSPC);
	expect(strstr(extmem_error(), "free 64.0 KiB") != NULL);
	expect(take(x, ONE, &more) == 0);
	expect(take(x, ONE, &more) == -ENOSPC);
	give(r);
}

/* A region shrinks: its tail goes back and is zeroed, its head stays as it
 * was, and another client gets the tail. */
void story_trim(uint32_t client, extmem *x)
{
	extmem_region *r;

	if (client == 0) {
		expect(take(x, ALL, &r) == 0);
		expect(store(r, 0, 7));
		expect(store(r, 40, 8));
		expect(sync_pages(r) == 0);
		expect(extmem_region_resize(r, ONE) == 0);
		expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
		cast.scene = 1;
		wait_for_scene(2);
		expect(load(r, 0) == 7);
		give(r);
		return;
	}
	wait_for_scene(1);
	expect(take(x, 3 * ONE, &r) == 0);
	for (uint64_t page = 0; page < 48; page++)
		expect(load(r, page) == 0);
	expect(store(r, 24, 9));
	expect(sync_pages(r) == 0);
	cast.scene = 2;
	give(r);
}

/* The control stream breaks; the client comes back with its secret and is
 * the same client, with the same memory. */
void story_same_secret(uint32_t client, extmem *x)
{
	extmem_region *r;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	fabric_hang_up(SIM_APPLIANCES_MAX, appliance_node(0), false);
	rest(500 * XM_MS);
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	expect(load(r, 0) == 7);
	expect(extmem_region_resize(r, ONE) == 0);
	give(r);
}

/* A client that knows the number but not the secret is refused. */
void story_wrong_secret(uint32_t client, extmem *x)
{
	extmem_region *r;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	x->ask.keeper.control.peers[0].session.hello.secret[0] ^= 1;
	fabric_hang_up(SIM_APPLIANCES_MAX, appliance_node(0), true);
	rest(500 * XM_MS);
	expect(load(r, 0) == LOST);
	give(r);
}

/* An extent that was given back is taken again at once: it is zeroed first,
 * piece by piece, and whoever asks waits or is refused. */
void story_zeroed_first(uint32_t client, extmem *x)
{
	extmem_region *r;

	if (client == 0) {
		expect(take(x, ALL, &r) == 0);
		for (uint64_t page = 0; page < 64; page += 16)
			expect(store(r, page, 7));
		expect(sync_pages(r) == 0);
		cast.scene = 1;
		give(r);
		return;
	}
	/* It asks while the zeroing is under way. */
	while (cast.scene < 1)
		rest(3 * XM_US);
	expect(take(x, ALL, &r) == 0);
	for (uint64_t page = 0; page < 64; page += 16)
		expect(load(r, page) == 0);
	give(r);
}

/* An appliance that is told to end drains: its client is told so and gets no more
 * memory, and what it holds goes on. */
void story_drains(uint32_t client, extmem *x)
{
	struct extmem_info info = { .size = sizeof(info) };
	extmem_region *r, *more;

	(void)client;
	expect(take(x, ONE, &r) == 0);
	expect(store(r, 0, 7));
	appliance_drain(0, 30000);
	rest(100 * XM_MS);
	expect(extmem_info(x, 0, &info) == 0);
	expect(strcmp(info.state, "leaving") == 0);
	expect(take(x, ONE, &more) == -ESHUTDOWN);
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	expect(load(r, 0) == 7);
	give(r);
}

/* Another thread, which works on while the region moves. */
static void works_on(extmem_region *r)
{
	for (uint64_t value = 100; cast.scene == 0; value++) {
		uint64_t page = value % 16;

		if (!store(r, page, value) || load(r, page) != value)
			return;
		if (value % 7 == 0)
			expect(write_page(r, 32 + page, value) == 0);
		rest(200 * XM_US);
	}
}

/* Likewise, in a region of one granule. */
static void works_in(extmem_region *r)
{
	for (uint64_t value = 100; cast.scene == 0; value++) {
		uint64_t page = 4 + value % 12;

		if (!store(r, page, value) || load(r, page) != value)
			return;
		rest(XM_MS);
	}
}

/* An appliance drains onto the other one while a program works. It holds nothing then,
 * and can go. */
void story_moves(uint32_t client, extmem *x)
{
	struct extmem_stats stats = { .size = sizeof(stats) };
	struct thread other;
	extmem_region *r;
	uint64_t value = 0;

	(void)client;
	cast.scene = 0;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 60, 7));
	expect(write_page(r, 61, 8) == 0);
	expect(sync_pages(r) == 0);
	begin(&other, works_on, r);
	appliance_drain(0, 30000);
	for (unsigned n = 0; n < 100 && appliance_held(0) > 0; n++)
		rest(10 * XM_MS);
	expect(appliance_held(0) == 0);
	cast.scene = 1;
	join(&other);
	expect(extmem_stats(x, &stats) == 0);
	expect(stats.moved_bytes == ALL);
	expect(stats.leaving_bytes == 0);
	appliance_kill(0, 10 * XM_SECOND);
	expect(advise(r, 0, 64, EXTMEM_COLD) == 0);
	expect(load(r, 60) == 7);
	expect(read_page(r, 61, &value) == 0 && value == 8);
	give(r);
}

#define SHRINKS 4

/* The pool of one of two appliances shrinks while a program works. What the program has
 * beyond moves to the other appliance, and what is below stays. Later it grows again. */
void story_shrinks(uint32_t client, extmem *x)
{
	struct extmem_stats stats = { .size = sizeof(stats) };
	extmem_region *all[SHRINKS];
	uint32_t at_first = 0;
	struct thread other;
	bool lost;

	(void)client;
	cast.scene = 0;
	for (unsigned i = 0; i < SHRINKS; i++) {
		expect(take(x, ONE, &all[i]) == 0);
		expect(store(all[i], 3, i + 1));
		expect(sync_pages(all[i]) == 0);
	}
	expect(appliance_held(0) > ONE);
	begin(&other, works_in, all[0]);
	appliance_resize(0, ONE);
	for (unsigned n = 0; n < 100 && appliance_held(0) > ONE; n++)
		rest(10 * XM_MS);
	cast.scene = 1;
	join(&other);
	for (unsigned i = 0; i < SHRINKS; i++) {
		uint64_t page = all[i]->address / XM_PAGE;

		at_first += xm_volume_appliances(&x->volume, page, &lost) == 1;
		expect(advise(all[i], 3, 1, EXTMEM_COLD) == 0);
		expect(load(all[i], 3) == i + 1);
	}
	expect(at_first == 1);
	expect(extmem_stats(x, &stats) == 0);
	expect(stats.leaving_bytes == 0 && stats.stranded_bytes == 0);
	appliance_resize(0, ALL);
	rest(100 * XM_MS);
	for (unsigned i = 0; i < SHRINKS; i++)
		expect(give(all[i]) == 0);
}
