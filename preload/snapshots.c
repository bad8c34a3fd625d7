/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The snapshot machine (core/pure/snapshot.h) in a parent: its lock, its
 * memory, and who reports what to it.
 *
 * The library reports pages that are about to become writable
 * (extmem_watch()); fork.c reports snapshots, block.c allocations and, by way
 * of deferred.c, frees; broker.c reports children. One lock is held around
 * each call of the machine, for the copy of a page at most.
 *
 * Nothing may become writable between the start of a snapshot and the kernel's
 * copy of the page tables, or it would be in neither. So changes wait while a
 * fork is under way (the window, a few hundred microseconds).
 *
 * Frames (local copies of pages) may take a quarter of --local, but at least
 * 4 MiB; then the broker spills them (spill.c), and threads that cause more
 * than twice as many wait for it (fork_throttle()). Records and frames go back
 * to the system when no child is left.
 */
#include "preload/fork.h"
#include "preload/reserve.h"

#include <sched.h>
#include <time.h>

#define BATCH 4096 /* records allocated at once */
#define CHUNK_PAGES 256 /* allocated at once; the first links the chunks */
#define SAVED_MIN (UINT64_C(4) << 20)
#define READ_MAX 8192 /* the broker has 4,096 connections */
#define SWEEP_SLICE 4096 /* records, each time the lock is held */
#define SWEEP_NS (INT64_C(100) * 1000000)

_Static_assert(FORK_REGIONS_MAX <= XM_SNAPSHOT_REGIONS_MAX,
	       "each region has its tables");

_Atomic unsigned fork_readers;

static struct xm_snapshot machine;
static struct xm_snapshot_read read_list[READ_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Changes under way, and whether a fork is. */
static _Atomic bool window;
static pid_t window_owner;
static _Atomic unsigned changing;

/* As the machine has them, for those who ask without the lock. */
static _Atomic uint64_t frame_bytes, frame_bytes_max, runs;

static struct xm_snapshot_record *batches[XM_SNAPSHOT_BATCHES_MAX];
static unsigned batch_count;
static char *chunks; /* linked through their first bytes */

struct xm_snapshot *snapshots_lock(void)
{
	pthread_mutex_lock(&lock);
	return &machine;
}

void snapshots_unlock(void)
{
	uint64_t bytes = machine.frames_used * SHIM_PAGE;

	atomic_store(&frame_bytes, bytes);
	atomic_store(&runs, machine.runs);
	if (bytes > atomic_load(&shim_shared->fork_saved_bytes_peak))
		atomic_store(&shim_shared->fork_saved_bytes_peak, bytes);
	pthread_mutex_unlock(&lock);
}

uint64_t snapshots_runs(void)
{
	return atomic_load(&runs);
}

bool snapshots_crowded(void)
{
	return atomic_load(&frame_bytes) > atomic_load(&frame_bytes_max);
}

/* --- memory ---------------------------------------------------------------------------- */

static bool add_records(void)
{
	struct xm_snapshot_record *batch;

	if (batch_count == XM_SNAPSHOT_BATCHES_MAX)
		return false;
	batch = local_take(BATCH * sizeof(*batch));
	if (!batch)
		return false;
	batches[batch_count++] = batch;
	return xm_snapshot_add_records(&machine, batch);
}

static bool add_frames(void)
{
	char *chunk = local_take(CHUNK_PAGES * SHIM_PAGE);

	if (!chunk)
		return false;
	*(char **)(void *)chunk = chunks;
	chunks = chunk;
	xm_snapshot_add_frames(&machine, chunk + SHIM_PAGE, CHUNK_PAGES - 1);
	return true;
}

static void give_memory(void)
{
	while (chunks) {
		char *next = *(char **)(void *)chunks;

		local_give(chunks, CHUNK_PAGES * SHIM_PAGE);
		chunks = next;
	}
	while (batch_count > 0)
		local_give(batches[--batch_count], BATCH * sizeof(**batches));
}

bool snapshots_prepare(void)
{
	const struct xm_snapshot_options options = {
		.page_size = SHIM_PAGE, .batch_records = BATCH,
		.read = read_list, .read_max = READ_MAX,
	};
	bool well = true;
	uintptr_t base;
	uint64_t size;

	pthread_mutex_lock(&lock);
	if (machine.options.page_size == 0)
		xm_snapshot_init(&machine, &options);
	for (unsigned i = 0; i < FORK_REGIONS_MAX && well &&
			     block_region_at(i, &base, &size);
	     i++) {
		uint64_t pages = block_region_pages_max(i);
		void *memory;

		if (xm_snapshot_has_region(&machine, i))
			continue;
		memory = pages < UINT32_MAX
				 ? block_reserve(xm_snapshot_table_size(pages))
				 : NULL;
		well = memory != NULL;
		if (well)
			xm_snapshot_add_region(&machine, i, pages, memory);
	}
	pthread_mutex_unlock(&lock);
	atomic_store(&frame_bytes_max, budget_local() / 4 > SAVED_MIN
					       ? budget_local() / 4
					       : SAVED_MIN);
	return well;
}

/* --- a fork ---------------------------------------------------------------------------- */

bool snapshots_begin(uint32_t *ret_number)
{
	window_owner = gettid();
	atomic_store(&window, true);
	while (atomic_load(&changing) > 0)
		sched_yield();
	pthread_mutex_lock(&lock);
	if (xm_snapshot_begin(&machine, ret_number) < 0) {
		snapshots_forked();
		return false;
	}
	atomic_store(&fork_readers, machine.readers);
	return true;
}

void snapshots_forked(void)
{
	pthread_mutex_unlock(&lock);
	atomic_store(&window, false);
}

void snapshots_in_child(void)
{
	snapshots_forked();
	atomic_store(&fork_readers, 0);
	atomic_store(&runs, 0);
}

void snapshots_reader(uint32_t number, bool begins)
{
	pthread_mutex_lock(&lock);
	if (begins)
		xm_snapshot_reader_begins(&machine, number);
	else
		xm_snapshot_reader_ends(&machine, number);
	atomic_store(&fork_readers, machine.readers);
	pthread_mutex_unlock(&lock);
}

/* --- what the program changes ------------------------------------------------------------- */

bool snapshots_find_page(uintptr_t address, uint32_t *ret_region,
			 uint64_t *ret_page)
{
	uintptr_t base;
	uint64_t size;

	for (unsigned i = 0; block_region_at(i, &base, &size); i++)
		if (address - base < size) {
			*ret_region = i;
			*ret_page = (address - base) / SHIM_PAGE;
			return true;
		}
	return false;
}

/* With the lock held. */
static void save(uint32_t region, uint64_t page, const void *contents)
{
	for (;;) {
		bool more = false;

		switch (xm_snapshot_change(&machine, region, page, contents)) {
		case XM_SNAPSHOT_NEEDS_RECORDS: more = add_records(); break;
		case XM_SNAPSHOT_NEEDS_FRAMES: more = add_frames(); break;
		default: return;
		}
		if (!more) {
			xm_snapshot_lose(&machine, region, page);
			return;
		}
	}
}

/* Called by the library before pages become writable, with a lane locked and
 * signals blocked. */
static void on_change(void *unused, void *address, const void *contents,
		      size_t pages)
{
	uint32_t region;
	uint64_t page;

	(void)unused;
	for (;;) {
		while (atomic_load(&window) && window_owner != gettid())
			sched_yield();
		atomic_fetch_add(&changing, 1);
		if (!atomic_load(&window) || window_owner == gettid())
			break;
		atomic_fetch_sub(&changing, 1);
	}
	if (atomic_load(&fork_readers) == 0 ||
	    !snapshots_find_page((uintptr_t)address, &region, &page))
		return;
	snapshots_lock();
	for (size_t i = 0; i < pages; i++)
		save(region, page + i,
		     contents ? (const char *)contents + i * SHIM_PAGE : NULL);
	snapshots_unlock();
}

/* And when they are. */
static void on_changed(void *unused)
{
	(void)unused;
	atomic_fetch_sub(&changing, 1);
}

int snapshots_watch(void)
{
	static const struct extmem_watch watch = { .size = sizeof(watch),
						   .change = on_change,
						   .changed = on_changed };

	return extmem_watch(shim_client, &watch);
}

void fork_throttle(void)
{
	const struct timespec nap = { .tv_nsec = 200000 };

	while (atomic_load(&frame_bytes) > 2 * atomic_load(&frame_bytes_max) &&
	       !spill_failed() && atomic_load(&fork_readers) > 0 &&
	       !broker_is_here())
		nanosleep(&nap, NULL);
}

/* --- what a child asks for ------------------------------------------------------------------ */

enum answer { NONE, COPIED, LOST };

static enum answer copy_saved(uint32_t region, uint64_t page, uint32_t number,
			      void *ret)
{
	enum xm_snapshot_found found;
	const void *frame;
	uint64_t place;

	pthread_mutex_lock(&lock);
	found = xm_snapshot_find(&machine, region, page, number, &frame,
				 &place);
	if (found == XM_SNAPSHOT_FRAME)
		memcpy(ret, frame, SHIM_PAGE);
	pthread_mutex_unlock(&lock);
	switch (found) {
	case XM_SNAPSHOT_UNCHANGED: return NONE;
	case XM_SNAPSHOT_LOST: return LOST;
	case XM_SNAPSHOT_FRAME: return COPIED;
	case XM_SNAPSHOT_ZEROS: memset(ret, 0, SHIM_PAGE); return COPIED;
	case XM_SNAPSHOT_PLACE: return spill_read(place, ret) ? COPIED : LOST;
	}
	return LOST;
}

bool snapshots_page(uint32_t region, uint64_t page, uint32_t number, void *ret)
{
	enum answer answer;
	uintptr_t base;
	uint64_t size;

	if (!block_region_at(region, &base, &size) || page >= size / SHIM_PAGE)
		return false;
	answer = copy_saved(region, page, number, ret);
	if (answer != NONE)
		return answer == COPIED;
	/* The program may have no right to read what it reserved. */
	if (!block_is_reserve(region))
		memcpy(ret, (const void *)(base + page * SHIM_PAGE), SHIM_PAGE);
	else if (!reserve_read(page, ret))
		return false;
	/* If the page became writable before this copy was complete, it was
	 * saved before that. */
	return copy_saved(region, page, number, ret) != LOST;
}

/* --- what no child needs any more ------------------------------------------------------------ */

/* All records, once no child is left. False: one is. */
static bool forget_all(void)
{
	bool none;

	pthread_mutex_lock(&lock);
	none = machine.readers == 0;
	if (none && (batch_count > 0 || chunks)) {
		xm_snapshot_reset(&machine);
		give_memory();
		atomic_store(&frame_bytes, 0);
	}
	pthread_mutex_unlock(&lock);
	if (none)
		spill_end();
	return none;
}

static void sweep(void)
{
	bool more;

	do {
		snapshots_lock();
		more = xm_snapshot_sweep(&machine, SWEEP_SLICE);
		snapshots_unlock();
	} while (more);
}

/* At most ten times a second, unless the records have doubled. */
static bool sweep_is_due(void)
{
	static int64_t last_ns;
	struct timespec t;
	int64_t now_ns;
	bool due;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	now_ns = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
	pthread_mutex_lock(&lock);
	due = xm_snapshot_needs_sweep(&machine) &&
	      (now_ns - last_ns >= SWEEP_NS || xm_snapshot_has_doubled(&machine));
	pthread_mutex_unlock(&lock);
	if (due)
		last_ns = now_ns;
	return due;
}

void snapshots_sweep(void)
{
	if (!forget_all()) {
		if (!sweep_is_due())
			return;
		sweep();
		spill_retry();
	}
	if (snapshots_runs() > 0)
		deferred_give_back();
}
