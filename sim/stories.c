/* SPDX-License-Identifier: BSD-3-Clause */
/* The stories themselves; see story.c. Each begins with what it shows. */
#include "sim/appliance.h"
#include "sim/fabric.h"
#include "sim/notes.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/snapshot.h"
#include "sim/story.h"
#include "sim/world.h"

#include <errno.h>
#include <string.h>

#define ALL (256 * XM_KIB) /* the pool of the quiet shape */
#define ONE (64 * XM_KIB)  /* its granule */

static void two_clients(struct sim_shape *s)
{
	s->clients = 2;
}

static void wait_for_scene(unsigned scene)
{
	while (cast.scene < scene)
		rest(10 * XM_MS);
}

static void sync_thread(extmem_region *r)
{
	sync_pages(r);
}

static void cold_thread(extmem_region *r)
{
	advise(r, 0, 1, EXTMEM_COLD);
}

/* A store leaves its client just before nothing of it gets through. The lease
 * ends, the memory goes to another client, and only then the store arrives. */
static void late_write(uint32_t client, extmem *x)
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
static void comes_back_empty(uint32_t client, extmem *x)
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

/* While a page is on its way out, a load gets it from the write-back buffer it leaves
 * from, and waits for nobody. */
static void fault_during_write_back(uint32_t client, extmem *x)
{
	struct thread t;
	extmem_region *r;
	uint64_t before;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	answers_blocked(0, true);
	begin(&t, cold_thread, r);
	rest(XM_MS);
	before = world_now();
	expect(load(r, 0) == 7);
	expect(world_now() == before);
	answers_blocked(0, false);
	join(&t);
	give(r);
}

/* A client is killed; its memory is taken back when its lease ends, zeroed,
 * and only then another's. */
static void killed_client(uint32_t client, extmem *x)
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

/* The control process stops for less than a lease: data goes on as if
 * nothing were, and what is asked of it is answered afterwards. */
static void control_stops(uint32_t client, extmem *x)
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

static void both_ways(bool blocked)
{
	requests_blocked(0, blocked);
	answers_blocked(0, blocked);
}

static void heals_after(extmem_region *r)
{
	(void)r;
	rest(900 * XM_MS);
	both_ways(false);
}

/* A partition that heals within the lease costs time and nothing else. */
static void partition_heals(uint32_t client, extmem *x)
{
	struct thread t;
	extmem_region *r;
	uint64_t value;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	both_ways(true);
	begin(&t, heals_after, r);
	expect(sync_pages(r) == 0);
	join(&t);
	expect(read_page(r, 0, &value) == 0 && value == 7);
	expect(store(r, 0, 8));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	expect(load(r, 0) == 8);
	give(r);
}

static void keys_alone(struct sim_shape *s)
{
	s->provider.admits = false;
	s->provider.refuses = true;
	s->provider.reports_death = false;
}

/* Cut off for longer than its lease, on a provider that knows connections by
 * nothing but keys: when the partition heals the old key opens nothing. */
static void lease_ends(uint32_t client, extmem *x)
{
	extmem_region *r;
	uint64_t value;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	both_ways(true);
	rest(3 * XM_SECOND);
	both_ways(false);
	/* Before the stream has told of it. */
	expect(read_page(r, 0, &value) != 0);
	rest(500 * XM_MS);
	expect(load(r, 0) == LOST);
	give(r);
}

/* Of a lost region each page says so, each time it is touched; only what is
 * still here can be read. */
static void lost_is_not_zero(uint32_t client, extmem *x)
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

static void two_lanes(struct sim_shape *s)
{
	s->lanes = 2;
	s->pool_size = 4 * XM_MIB;
}

/* Two lanes: tickets, connections, fetch buffers and write-back buffers of their own. */
static void lanes_apart(uint32_t client, extmem *x)
{
	extmem_region *r;
	uint64_t other;

	(void)client;
	expect(take(x, 4 * XM_MIB, &r) == 0);
	other = x->lanes.block_pages -
		r->address / XM_PAGE % x->lanes.block_pages;
	expect(store(r, 0, 7));
	expect(store(r, other, 8));
	expect(xm_lane_index(&x->lanes, r->address / XM_PAGE) !=
	       xm_lane_index(&x->lanes, r->address / XM_PAGE + other));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	expect(advise(r, other, 1, EXTMEM_COLD) == 0);
	/* One lane's pager is held; the other serves. */
	os_lock_take(&xm_lane_at(&x->lanes, r->address / XM_PAGE)->lock);
	expect(load(r, other) == 8);
	os_lock_give(&xm_lane_at(&x->lanes, r->address / XM_PAGE)->lock);
	expect(load(r, 0) == 7);
	give(r);
}

/* More than there is is refused, with words that say how much there is. */
static void full_pool(uint32_t client, extmem *x)
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
static void trim(uint32_t client, extmem *x)
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

/* Reading ahead and writing back at once: the window that arrives brings no
 * page that is dirty or on its way out. */
static void prefetch_meets_write_back(uint32_t client, extmem *x)
{
	struct thread t;
	extmem_region *r;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(write_pages(r, 0, 32, 100) == 0);
	for (uint64_t page = 0; page < 6; page++)
		expect(load(r, page) == 100 + page);
	expect(store(r, 20, 7));
	answers_blocked(0, true);
	begin(&t, sync_thread, r);
	rest(XM_MS);
	answers_blocked(0, false);
	for (uint64_t page = 6; page < 32; page++)
		expect(load(r, page) == (page == 20 ? 7 : 100 + page));
	join(&t);
	give(r);
}

/* A page is stored, and stored to again before the first store has landed: a
 * flush waits for the second. */
static void second_store(uint32_t client, extmem *x)
{
	struct thread first, second;
	extmem_region *r;
	uint64_t value;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	answers_blocked(0, true);
	begin(&first, sync_thread, r);
	rest(XM_MS);
	expect(store(r, 0, 8));
	begin(&second, sync_thread, r);
	rest(50 * XM_MS);
	expect(!first.ended && !second.ended);
	answers_blocked(0, false);
	join(&first);
	join(&second);
	extmem_unmap(r, 0, 0);
	expect(read_page(r, 0, &value) == 0 && value == 8);
	give(r);
}

/* A page is discarded while its store flies: it is zero from now on, and the
 * store that lands later changes nothing of that. */
static void discard_under_store(uint32_t client, extmem *x)
{
	struct thread t;
	extmem_region *r;
	uint64_t value;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	requests_blocked(0, true);
	begin(&t, cold_thread, r);
	rest(XM_MS);
	expect(advise(r, 0, 1, EXTMEM_DONTNEED) == 0);
	requests_blocked(0, false);
	expect(load(r, 0) == 0);
	join(&t);
	expect(read_page(r, 0, &value) == 0 && value == 0);
	expect(store(r, 0, 9));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	expect(load(r, 0) == 9);
	give(r);
}

/* The control stream breaks; the client comes back with its secret and is
 * the same client, with the same memory. */
static void same_secret(uint32_t client, extmem *x)
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

/* Who has the number but not the secret is a stranger. */
static void wrong_secret(uint32_t client, extmem *x)
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

static void deaths_unseen(struct sim_shape *s)
{
	s->provider.reports_death = false;
}

static void wake_interface(extmem_region *r)
{
	(void)r;
	rest(900 * XM_MS);
	world_note("story.wakes: the interface goes on", 0, 0, 0);
	world_hang(appliance_interface(0), false);
}

/* The interface process hangs with a read outstanding. Nobody says so; the
 * silence is noticed, the path given up and made anew. */
static void interface_hangs(uint32_t client, extmem *x)
{
	struct thread t;
	extmem_region *r;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	world_note("story.hangs: the interface stops", 0, 0, 0);
	world_hang(appliance_interface(0), true);
	begin(&t, wake_interface, r);
	expect(load(r, 0) == 7);
	join(&t);
	give(r);
}

/* A store's connection hangs and is replaced. What was posted on the old one
 * cannot happen after what is posted on the new one. */
static void supersedes(uint32_t client, extmem *x)
{
	struct thread t;
	extmem_region *r;
	uint64_t value;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	world_note("story.hangs: the interface stops", 0, 0, 0);
	world_hang(appliance_interface(0), true);
	begin(&t, wake_interface, r);
	expect(sync_pages(r) == 0);
	join(&t);
	expect(write_page(r, 1, 8) == 0);
	expect(read_page(r, 1, &value) == 0 && value == 8);
	expect(read_page(r, 0, &value) == 0 && value == 7);
	give(r);
}

/* An extent that was given back is taken again at once: it is zeroed first,
 * piece by piece, and whoever asks waits or is refused. */
static void zeroed_first(uint32_t client, extmem *x)
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

static void write_thread(extmem_region *r)
{
	expect(write_page(r, 0, 8) == 0);
}

/* A load touches a page that an explicit write is about to change: it waits,
 * and sees the new value whole. */
static void write_meets_fault(uint32_t client, extmem *x)
{
	struct thread t;
	extmem_region *r;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	requests_blocked(0, true);
	begin(&t, write_thread, r);
	rest(XM_MS);
	requests_blocked(0, false);
	expect(load(r, 0) == 8);
	join(&t);
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
static void stopped_client(uint32_t client, extmem *x)
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
static void interface_dies(uint32_t client, extmem *x)
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

static void two_appliances(struct sim_shape *s)
{
	s->appliances = 2;
}

/* A region lies on two appliances, since no one of them has room for it; a
 * window that is read ahead ends where one of them does. */
static void on_two_appliances(uint32_t client, extmem *x)
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

const struct story stories[] = {
	{ .name = "a_late_write_cannot_reach_the_next_owner",
	  .shape = two_clients, .script = late_write },
	{ .name = "an_appliance_comes_back_empty",
	  .script = comes_back_empty },
	{ .name = "a_fault_on_a_page_being_written_back",
	  .script = fault_during_write_back },
	{ .name = "a_killed_clients_memory_comes_back_zeroed",
	  .shape = two_clients, .script = killed_client },
	{ .name = "control_stops_and_data_goes_on",
	  .script = control_stops },
	{ .name = "a_hang_is_noticed_and_the_path_replaced",
	  .script = interface_hangs },
	{ .name = "a_partition_heals_and_nothing_is_lost",
	  .script = partition_heals },
	{ .name = "a_lease_ends_and_the_old_key_is_dead",
	  .shape = keys_alone, .script = lease_ends },
	{ .name = "a_lost_page_is_never_zeros",
	  .script = lost_is_not_zero },
	{ .name = "two_lanes_do_not_share",
	  .shape = two_lanes, .script = lanes_apart },
	{ .name = "a_full_pool_refuses_in_words",
	  .script = full_pool },
	{ .name = "a_tail_is_trimmed_and_given",
	  .shape = two_clients, .script = trim },
	{ .name = "a_window_arrives_during_write_back",
	  .script = prefetch_meets_write_back },
	{ .name = "a_flush_waits_for_the_second_store",
	  .script = second_store },
	{ .name = "a_discard_while_a_store_flies",
	  .script = discard_under_store },
	{ .name = "a_client_comes_back_with_its_secret",
	  .script = same_secret },
	{ .name = "a_wrong_secret_is_refused",
	  .script = wrong_secret },
	{ .name = "a_new_connection_supersedes_the_former",
	  .shape = deaths_unseen, .script = supersedes },
	{ .name = "an_extent_is_zeroed_before_it_is_reused",
	  .shape = two_clients, .script = zeroed_first },
	{ .name = "an_explicit_write_meets_a_fault",
	  .script = write_meets_fault },
	{ .name = "a_stopped_client_declares_nobody_dead",
	  .script = stopped_client },
	{ .name = "an_interface_process_dies_alone",
	  .script = interface_dies },
	{ .name = "a_region_on_two_appliances",
	  .shape = two_appliances, .script = on_two_appliances },
	{ .name = "a_child_sees_its_parents_past",
	  .live = past_story_values },
	{ .name = "freed_memory_waits_for_the_last_child",
	  .live = past_story_freed },
	{ .name = "a_frame_is_spilled_and_read",
	  .live = past_story_spilled },
	{ .name = "a_past_that_cannot_be_saved_is_lost",
	  .live = past_story_refused },
};
const uint32_t stories_count = XM_COUNT(stories);
