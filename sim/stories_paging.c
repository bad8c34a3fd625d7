/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of paging: faults, stores and explicit writes that meet on one page. Each begins with what it shows; see story.c. */
#include "sim/world.h"
#include "sim/stories_parts.h"

#define ALL (256 * XM_KIB) /* the pool of the quiet shape */

static void sync_thread(extmem_region *r)
{
	sync_pages(r);
}

static void cold_thread(extmem_region *r)
{
	advise(r, 0, 1, EXTMEM_COLD);
}

/* While a page is on its way out, a load gets it from the write-back buffer it leaves
 * from, and waits for nobody. */
void story_fault_during_write_back(uint32_t client, extmem *x)
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

/* Two lanes: tickets, connections, fetch buffers and write-back buffers of their own. */
void story_lanes_apart(uint32_t client, extmem *x)
{
	struct os_lock *lock;
	extmem_region *r;
	uint64_t other;

	(void)client;
	expect(take(x, 4 * XM_MIB, &r) == 0);
	lock = &xm_lane_at(&x->lanes, r->address / XM_PAGE)->lock;
	other = x->lanes.block_pages -
		r->address / XM_PAGE % x->lanes.block_pages;
	expect(store(r, 0, 7));
	expect(store(r, other, 8));
	expect(xm_lane_index(&x->lanes, r->address / XM_PAGE) !=
	       xm_lane_index(&x->lanes, r->address / XM_PAGE + other));
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	expect(advise(r, other, 1, EXTMEM_COLD) == 0);
	/* One lane's pager is held, as if by another thread, since a thread that
	 * holds a lane must not touch memory; the other lane serves. */
	os_lock_take(lock);
	atomic_store(&lock->owner, 0);
	expect(load(r, other) == 8);
	os_lock_give(lock);
	expect(load(r, 0) == 7);
	give(r);
}

/* Reading ahead and writing back at once: the window that arrives brings no
 * page that is dirty or on its way out. */
void story_prefetch_meets_write_back(uint32_t client, extmem *x)
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
void story_second_store(uint32_t client, extmem *x)
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
void story_discard_under_store(uint32_t client, extmem *x)
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

static void write_thread(extmem_region *r)
{
	expect(write_page(r, 0, 8) == 0);
}

/* A load touches a page that an explicit write is about to change: it waits,
 * and sees the new value whole. */
void story_write_meets_fault(uint32_t client, extmem *x)
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

/* A touch without the right is denied wherever its page is, at once: here and dirty, away,
 * on its way out. An explicit write is bound by none. The bytes stay. */
void story_right_is_taken(uint32_t client, extmem *x)
{
	extmem_region *r;
	uint64_t before;

	(void)client;
	expect(take(x, ALL, &r) == 0);
	expect(store(r, 0, 7));
	expect(protect(r, 0, 1, EXTMEM_READ_ONLY) == 0);
	expect(!store(r, 0, 8));
	expect(load(r, 0) == 7);
	expect(advise(r, 0, 1, EXTMEM_COLD) == 0);
	before = world_now();
	expect(!store(r, 0, 8));
	expect(world_now() == before);
	expect(load(r, 0) == 7);
	expect(write_page(r, 0, 9) == 0);
	expect(!store(r, 0, 8));
	expect(load(r, 0) == 9);
	expect(protect(r, 0, 1, EXTMEM_READ_WRITE) == 0);
	expect(store(r, 0, 10));
	expect(protect(r, 0, 1, EXTMEM_NO_ACCESS) == 0);
	before = world_now();
	expect(load(r, 0) == DENIED);
	expect(!store(r, 0, 11));
	expect(world_now() == before);
	expect(protect(r, 0, 1, EXTMEM_READ_WRITE) == 0);
	expect(load(r, 0) == 10);
	give(r);
}
