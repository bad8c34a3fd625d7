/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork(), in the parent: around the call, and the pages as they were.
 *
 * At a fork nothing is copied but the kernel's page tables. A new epoch begins,
 * and from then on, before a page can be changed for the first time (the
 * library tells, by extmem_watch()), its contents are saved with the epochs
 * they are good for: those since it was saved before, up to the present one.
 * So a page that nobody writes costs nothing, and one saved page serves every
 * child that was made since. A child that asks gets the saved page that is good
 * for its epoch, else the page as it is now, which has not changed then.
 *
 * Nothing may become writable between the new epoch and the kernel's copy of
 * the page tables, or it would be in neither; such changes wait for the few
 * hundred microseconds (the window).
 *
 * Saved pages are local memory, up to a quarter of --local, but 4 MiB at least;
 * beyond that the broker writes them to a region of their own, and threads that
 * make more wait for it. A record is let go when no child lives of an epoch
 * that it is good for, and none is made where that is so already: the broker
 * looks through them when a child has ended, in slices, at most ten times a
 * second or when they have doubled. So there is one record of a page for each
 * epoch with a living child, most. Memory that the program frees is kept while a
 * child lives that can see it: one made after it was taken, and before it was
 * freed.
 *
 * vfork(), posix_spawn() and system() come nowhere near this. The ranges are
 * MADV_DONTFORK but in the window, so that a child that is made by an
 * instruction of the program's own has no pages at all, rather than zeros.
 */
#include "preload/fork.h"

#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#define BATCH 4096 /* records made at once */
#define RECORDS_MAX (UINT32_C(1) << 24)
#define SAVED_MIN (UINT64_C(4) << 20)
#define CHUNK_PAGES 256 /* of saved pages, taken at once */
#define SPILL_GRANULE (UINT64_C(2) << 20)
#define SPILLS_MAX 64
#define SPILL_SHIFT 48 /* of a region's number, in record.spill */

enum fork_policy fork_policy;
_Atomic unsigned fork_readers;

struct record {
	char *bytes;	/* NULL: zeros, or spilled */
	uint64_t spill; /* where it was written to, + 1; 0: it was not */
	uint32_t from, to; /* epochs it is good for; to 0: it is free */
	uint32_t next;	/* of the same page, older; or the next free one */
	uint32_t region;
	uint64_t page;
};

struct past {
	uint64_t pages;
	uint32_t *saved; /* epoch at which the page was last saved */
	uint32_t *head;	 /* its newest record */
	uint32_t *born;	 /* epoch at which its block was taken, or older */
};

#define LIVING_MAX 8192

/* Epochs with children that live, oldest first. */
struct living {
	uint32_t epoch, count;
};

static struct past pasts[FORK_REGIONS_MAX];
static uint32_t epoch;
static _Atomic bool window;
static pid_t window_owner;
static _Atomic unsigned changing;

static pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t record_lock = PTHREAD_MUTEX_INITIALIZER;
static struct record *batches[RECORDS_MAX / BATCH];
static uint32_t record_count = 1, spill_next = 1;
static uint32_t records_used, records_swept; /* after the last sweep */
static uint32_t free_records, free_spilled; /* the latter with their place */
static struct living living[LIVING_MAX];
static unsigned living_count;
static _Atomic bool epoch_ended; /* records may have become useless */
static char *free_pages; /* chained through their first bytes */
static _Atomic uint64_t saved_bytes, saved_max;
static char *chunks; /* all that were taken, chained likewise */
static uint32_t incomplete; /* epochs up to this one lack a record */

/* Of the broker's thread alone, but for `failed`. */
static struct {
	extmem_region *region[SPILLS_MAX];
	unsigned count;
	uint64_t used, size; /* of the last */
	_Atomic bool failed;
	bool said;
} spill;

struct kept {
	void *address;
	size_t size;
	uint32_t from, to; /* epochs whose children can see it */
};
static _Thread_local bool giving __attribute__((tls_model("initial-exec")));
static struct kept *kept; /* frees that wait for the last child */
static size_t kept_count, kept_max;
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- saved pages ---------------------------------------------------------------------- */

static struct record *record_at(uint32_t index)
{
	return &batches[index / BATCH][index % BATCH];
}

/* With record_lock held. Chunks begin with a page for the chain. */
static char *page_take(void)
{
	char *p = free_pages;

	if (!p) {
		char *chunk = local_take(CHUNK_PAGES * SHIM_PAGE);

		if (!chunk)
			return NULL;
		*(char **)(void *)chunk = chunks;
		chunks = chunk;
		for (unsigned i = 1; i < CHUNK_PAGES; i++) {
			p = chunk + i * SHIM_PAGE;
			*(char **)(void *)p = free_pages;
			free_pages = p;
		}
		p = free_pages;
	}
	free_pages = *(char **)(void *)p;
	atomic_fetch_add(&saved_bytes, SHIM_PAGE);
	return p;
}

static void page_give(char *p)
{
	*(char **)(void *)p = free_pages;
	free_pages = p;
	atomic_fetch_sub(&saved_bytes, SHIM_PAGE);
}

static uint32_t record_take(void)
{
	uint32_t i = free_records;

	if (i) {
		free_records = record_at(i)->next;
		records_used++;
		return i;
	}
	i = record_count;
	if (i == RECORDS_MAX)
		return 0;
	if (!batches[i / BATCH])
		batches[i / BATCH] = local_take(BATCH * sizeof(struct record));
	if (!batches[i / BATCH])
		return 0;
	record_count++;
	records_used++;
	return i;
}

static void record_give(uint32_t index)
{
	struct record *r = record_at(index);
	uint32_t *at = &pasts[r->region].head[r->page];

	while (*at != index)
		at = &record_at(*at)->next;
	*at = r->next;
	if (r->bytes)
		page_give(r->bytes);
	r->bytes = NULL;
	r->to = 0;
	if (r->spill && r->spill != UINT64_MAX) {
		r->next = free_spilled;
		free_spilled = index;
	} else {
		r->next = free_records;
		free_records = index;
	}
	records_used--;
}

/* With record_lock held: whether a child lives of one of these epochs. */
static bool any_living(uint32_t from, uint32_t to)
{
	unsigned low = 0, high = living_count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (living[middle].epoch < from)
			low = middle + 1;
		else
			high = middle;
	}
	return low < living_count && living[low].epoch <= to;
}

static void count_saved(void)
{
	uint64_t bytes = atomic_load(&saved_bytes);

	if (bytes > atomic_load(&shim_shared->fork_saved_bytes_peak))
		atomic_store(&shim_shared->fork_saved_bytes_peak, bytes);
}

/* A page is about to be writable: contents, or NULL for zeros. */
static void save(uint32_t region, uint64_t page, const void *contents)
{
	struct past *past = &pasts[region];
	struct record *r;
	uint32_t index;

	if (!past->saved || page >= past->pages || past->saved[page] >= epoch)
		return;
	pthread_mutex_lock(&record_lock);
	if (!any_living(past->saved[page] + 1, epoch)) {
		past->saved[page] = epoch;
		pthread_mutex_unlock(&record_lock);
		return;
	}
	index = record_take();
	if (!index) {
		/* Nobody may read it as what it becomes: who asks for a page
		 * without a record is told that it cannot be had. */
		incomplete = epoch;
		pthread_mutex_unlock(&record_lock);
		return;
	}
	r = record_at(index);
	*r = (struct record){ .from = past->saved[page] + 1,
			      .to = epoch,
			      .next = past->head[page],
			      .region = region,
			      .page = page };
	if (contents) {
		r->bytes = page_take();
		if (r->bytes)
			memcpy(r->bytes, contents, SHIM_PAGE);
		else
			r->spill = UINT64_MAX; /* not to be had */
		count_saved();
	}
	past->head[page] = index;
	past->saved[page] = epoch;
	pthread_mutex_unlock(&record_lock);
}

static bool find_region(uintptr_t address, uint32_t *ret_region,
			uint64_t *ret_page)
{
	uintptr_t base;
	uint64_t size;

	for (unsigned i = 0; block_region(i, &base, &size); i++)
		if (address - base < size) {
			*ret_region = i;
			*ret_page = (address - base) / SHIM_PAGE;
			return true;
		}
	return false;
}

/* Called by the library, with a lane locked and signals blocked. */
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
	    !find_region((uintptr_t)address, &region, &page))
		return;
	for (size_t i = 0; i < pages; i++)
		save(region, page + i,
		     contents ? (const char *)contents + i * SHIM_PAGE : NULL);
}

static void on_changed(void *unused)
{
	(void)unused;
	atomic_fetch_sub(&changing, 1);
}

/* --- what a child asks for -------------------------------------------------------------- */

static const struct record *find(uint32_t region, uint64_t page, uint32_t of)
{
	uint32_t index = pasts[region].head[page];

	while (index != 0) {
		const struct record *r = record_at(index);

		if (r->from <= of && of <= r->to)
			return r;
		index = r->next;
	}
	return NULL;
}

/* 1: copied; 0: there is none; -1: it cannot be had. */
static int from_records(uint32_t region, uint64_t page, uint32_t of, void *ret)
{
	const uint64_t mask = (UINT64_C(1) << SPILL_SHIFT) - 1;
	const struct record *r;
	uint64_t away = 0;
	bool lacking;

	pthread_mutex_lock(&record_lock);
	r = find(region, page, of);
	lacking = !r && of <= incomplete;
	if (r && r->spill)
		away = r->spill;
	else if (r && r->bytes)
		memcpy(ret, r->bytes, SHIM_PAGE);
	else if (r)
		memset(ret, 0, SHIM_PAGE);
	pthread_mutex_unlock(&record_lock);
	if (away == UINT64_MAX || lacking)
		return -1;
	if (away == 0)
		return r ? 1 : 0;
	away--;
	return extmem_read(spill.region[away >> SPILL_SHIFT], away & mask, ret,
			   SHIM_PAGE) < 0
		       ? -1
		       : 1;
}

bool fork_page_at(uint32_t region, uint64_t page, uint32_t of, void *ret)
{
	uintptr_t base;
	uint64_t size;
	int r;

	if (region >= FORK_REGIONS_MAX || !pasts[region].saved ||
	    page >= pasts[region].pages ||
	    !block_region(region, &base, &size) || page >= size / SHIM_PAGE)
		return false;
	r = from_records(region, page, of, ret);
	if (r != 0)
		return r > 0;
	memcpy(ret, (const void *)(base + page * SHIM_PAGE), SHIM_PAGE);
	/* If it could be written to before this copy was complete, it has been
	 * saved before that. */
	return from_records(region, page, of, ret) >= 0;
}

/* --- too many ---------------------------------------------------------------------------- */

/* A region can grow to sixteen times its first size: so each begins with that
 * part of all there is. */
static int spill_more(void)
{
	uint64_t piece = SPILL_GRANULE;
	uintptr_t base;
	uint64_t size;
	int error = -ENOMEM;

	for (unsigned i = 0; block_region(i, &base, &size); i++)
		piece += size / 16 & ~(SPILL_GRANULE - 1);
	if (spill.count > 0)
		error = extmem_region_resize(spill.region[spill.count - 1],
					     spill.size + piece);
	if (error == -ENOMEM && spill.count < SPILLS_MAX) {
		char name[64];

		snprintf(name, sizeof(name), "run.%d.fork.%u", (int)getpid(),
			 spill.count);
		error = extmem_region_alloc(shim_client, name, piece,
					   &spill.region[spill.count]);
		if (error >= 0) {
			spill.count++;
			spill.used = 0;
		}
	}
	if (error >= 0)
		spill.size = extmem_region_size(spill.region[spill.count - 1]);
	return error;
}

/* A place for one page: one that has become free, or a new one. */
static bool spill_place(uint64_t *ret)
{
	bool found = false;

	pthread_mutex_lock(&record_lock);
	if (free_spilled) {
		uint32_t index = free_spilled;
		struct record *r = record_at(index);

		*ret = r->spill - 1;
		free_spilled = r->next;
		r->spill = 0;
		r->next = free_records;
		free_records = index;
		found = true;
	}
	pthread_mutex_unlock(&record_lock);
	if (found)
		return true;
	if ((spill.count == 0 || spill.used + SHIM_PAGE > spill.size) &&
	    spill_more() < 0) {
		if (!spill.said)
			shim_say("no external memory for pages as they were "
				 "before fork(): %s; they stay in local memory",
				 extmem_error());
		spill.said = spill.failed = true;
		return false;
	}
	*ret = (uint64_t)(spill.count - 1) << SPILL_SHIFT | spill.used;
	spill.used += SHIM_PAGE;
	return true;
}

static void spill_give(void)
{
	for (unsigned i = 0; i < spill.count; i++)
		extmem_region_free(spill.region[i]);
	spill.count = 0;
	spill.used = spill.size = 0;
}

/* The next record that is in local memory; NULL: there is none. */
static struct record *next_here(void)
{
	struct record *r = NULL;

	pthread_mutex_lock(&record_lock);
	for (uint32_t n = 1; n < record_count && !r; n++) {
		if (spill_next >= record_count)
			spill_next = 1;
		r = record_at(spill_next++);
		if (!r->bytes)
			r = NULL;
	}
	pthread_mutex_unlock(&record_lock);
	return r;
}

#define SPILL_ROUND 64

/* On the broker's thread, which alone lets records go. Few at a time: children
 * that have ended meanwhile may make the rest unnecessary. */
bool fork_spill(void)
{
	const uint64_t mask = (UINT64_C(1) << SPILL_SHIFT) - 1;

	for (int i = 0; atomic_load(&saved_bytes) > atomic_load(&saved_max) &&
			!spill.failed;
	     i++) {
		struct record *r = next_here();
		uint64_t place;
		char *bytes;

		if (i == SPILL_ROUND)
			return true;
		if (!r || !spill_place(&place))
			return false;
		bytes = r->bytes;
		if (extmem_write(spill.region[place >> SPILL_SHIFT],
				 place & mask, bytes, SHIM_PAGE) < 0) {
			spill.failed = true;
			return false;
		}
		pthread_mutex_lock(&record_lock);
		r->spill = place + 1;
		r->bytes = NULL;
		page_give(bytes);
		pthread_mutex_unlock(&record_lock);
		atomic_fetch_add(&shim_shared->fork_spilled, 1);
	}
	return false;
}

void fork_throttle(void)
{
	const struct timespec nap = { .tv_nsec = 200000 };

	while (atomic_load(&saved_bytes) > 2 * atomic_load(&saved_max) &&
	       !spill.failed && atomic_load(&fork_readers) > 0 &&
	       !broker_is_here())
		nanosleep(&nap, NULL);
}

/* --- readers ------------------------------------------------------------------------------ */

/* What was freed, and no child can see any more. */
static void give_kept(void)
{
	/* A thread that was stopped may have a lock of block.c's. */
	while (!thread_stopping()) {
		struct kept one = { 0 };
		bool found = false;

		pthread_mutex_lock(&kept_lock);
		pthread_mutex_lock(&record_lock);
		for (size_t i = 0; i < kept_count && !found; i++)
			if (!any_living(kept[i].from, kept[i].to)) {
				one = kept[i];
				kept[i] = kept[--kept_count];
				found = true;
			}
		pthread_mutex_unlock(&record_lock);
		pthread_mutex_unlock(&kept_lock);
		if (!found)
			return;
		giving = true;
		block_give(one.address, one.size);
		giving = false;
	}
}

/* Nobody is left to ask: all records go, and what was freed meanwhile. */
static void forget(void)
{
	pthread_mutex_lock(&record_lock);
	if (atomic_load(&fork_readers) != 0) {
		pthread_mutex_unlock(&record_lock);
		return;
	}
	for (uint32_t i = 1; i < record_count; i++) {
		const struct record *r = record_at(i);

		pasts[r->region].head[r->page] = 0;
	}
	record_count = 1;
	spill_next = 1;
	records_used = records_swept = 0;
	free_records = free_spilled = 0;
	while (chunks) {
		char *next = *(char **)(void *)chunks;

		local_give(chunks, CHUNK_PAGES * SHIM_PAGE);
		chunks = next;
	}
	for (uint32_t i = 1; i < RECORDS_MAX / BATCH && batches[i]; i++) {
		local_give(batches[i], BATCH * sizeof(struct record));
		batches[i] = NULL;
	}
	free_pages = NULL;
	atomic_store(&saved_bytes, 0);
	incomplete = 0;
	spill.failed = spill.said = false;
	pthread_mutex_unlock(&record_lock);
	if (broker_is_here())
		spill_give();
	give_kept();
}

#define SWEEP_SLICE 4096
#define SWEEP_NS (INT64_C(100) * 1000000)

/* With epochs that have ended no record becomes needed again: a new epoch is
 * later than what all of them are good for. */
static void sweep(void)
{
	for (uint32_t from = 1;; from += SWEEP_SLICE) {
		pthread_mutex_lock(&record_lock);
		for (uint32_t i = from;
		     i < from + SWEEP_SLICE && i < record_count; i++) {
			const struct record *r = record_at(i);

			if (r->to != 0 && !any_living(r->from, r->to))
				record_give(i);
		}
		records_swept = records_used;
		if (from + SWEEP_SLICE >= record_count)
			break;
		pthread_mutex_unlock(&record_lock);
	}
	spill.failed = false;
	pthread_mutex_unlock(&record_lock);
}

/* On the broker's thread. */
void fork_sweep(void)
{
	static int64_t last_ns;
	struct timespec t;
	int64_t now_ns;

	if (!atomic_load(&epoch_ended))
		return;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	now_ns = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
	if (now_ns - last_ns < SWEEP_NS &&
	    records_used < 2 * records_swept + 1024)
		return;
	last_ns = now_ns;
	atomic_store(&epoch_ended, false);
	sweep();
	give_kept();
}

/* With record_lock held. */
static void reader_count(uint32_t of, int more)
{
	unsigned i = living_count;

	while (i > 0 && living[i - 1].epoch > of)
		i--;
	if (i > 0 && living[i - 1].epoch == of) {
		living[i - 1].count += (unsigned)more;
		if (living[i - 1].count > 0)
			return;
		memmove(&living[i - 1], &living[i],
			(living_count - i) * sizeof(*living));
		living_count--;
		atomic_store(&epoch_ended, true);
	} else if (more > 0) {
		/* A new epoch is the latest; there are twice as many places
		 * as the broker has connections. */
		if (i != living_count || i == LIVING_MAX)
			abort();
		living[living_count++] = (struct living){ of, 1 };
	}
}

void fork_reader(uint32_t of, int more)
{
	pthread_mutex_lock(&record_lock);
	reader_count(of, more);
	pthread_mutex_unlock(&record_lock);
	if (more > 0)
		atomic_fetch_add(&fork_readers, 1);
	else if (atomic_fetch_sub(&fork_readers, 1) == 1)
		forget();
}

void fork_taken(uintptr_t base, uint64_t size)
{
	uint32_t region;
	uint64_t page;

	if (atomic_load(&fork_readers) == 0 ||
	    !find_region(base, &region, &page) || !pasts[region].born)
		return;
	for (uint64_t i = 0;
	     i < size / SHIM_PAGE && page + i < pasts[region].pages; i++)
		pasts[region].born[page + i] = epoch;
}

/* With kept_lock held. */
static bool keep(const struct kept *one)
{
	if (kept_count == kept_max) {
		size_t max = kept_max ? 2 * kept_max : 1024;
		struct kept *more = local_take(max * sizeof(*more));

		if (!more)
			return false;
		if (kept) {
			memcpy(more, kept, kept_count * sizeof(*more));
			local_give(kept, kept_max * sizeof(*kept));
		}
		kept = more;
		kept_max = max;
	}
	kept[kept_count++] = *one;
	return true;
}

bool fork_keeps(void *address, size_t size)
{
	struct kept one = { .address = address, .size = size };
	bool keeps = false;
	uint32_t region;
	uint64_t page;

	if (atomic_load(&fork_readers) == 0 || giving)
		return false;
	shim_enter();
	pthread_mutex_lock(&kept_lock);
	pthread_mutex_lock(&record_lock);
	one.from = 1;
	if (find_region((uintptr_t)address, &region, &page) &&
	    pasts[region].born && page < pasts[region].pages)
		one.from = pasts[region].born[page] + 1;
	one.to = epoch;
	if (any_living(one.from, one.to))
		keeps = keep(&one);
	pthread_mutex_unlock(&record_lock);
	pthread_mutex_unlock(&kept_lock);
	shim_leave();
	return keeps;
}

/* --- around the call ------------------------------------------------------------------------ */

/* Of the fork under way, by the thread that makes it. */
static struct {
	bool serves;	  /* the child is to have the memory */
	bool from_child;  /* this process is a child itself */
	int mine, childs; /* ends of the connection */
	sigset_t signals;
} now = { .childs = -1, .mine = -1 };

static bool tables(void)
{
	uintptr_t base;
	uint64_t size;

	for (unsigned i = 0;
	     i < FORK_REGIONS_MAX && block_region(i, &base, &size); i++) {
		struct past *past = &pasts[i];
		uint64_t pages = block_region_pages_max(i);

		if (past->saved)
			continue;
		past->saved = block_reserve(pages * sizeof(*past->saved));
		past->head = block_reserve(pages * sizeof(*past->head));
		past->born = block_reserve(pages * sizeof(*past->born));
		if (!past->saved || !past->head || !past->born) {
			past->saved = NULL;
			return false;
		}
		past->pages = pages;
	}
	return true;
}

static void advise_all(int advice)
{
	uintptr_t base;
	uint64_t size;

	for (unsigned i = 0; block_region(i, &base, &size); i++)
		shim_raw(SYS_madvise, (long)base, (long)size, advice, 0, 0, 0);
}

/* With fork_lock held. False: it cannot be made. */
static bool begin_snapshot(void)
{
	int pair[2];

	if (now.childs >= 0)
		return true;
	if (!tables() || broker_start() < 0 ||
	    shim_real()->socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				    pair) < 0)
		return false;
	now.mine = descriptor_keep(pair[0]);
	now.childs = descriptor_keep(pair[1]);
	atomic_store(&saved_max, shim_local / 4 > SAVED_MIN ? shim_local / 4
							    : SAVED_MIN);
	return true;
}

/* Before any lock is taken: a handler of the program's may fork, too. */
static void block_signals(sigset_t *ret)
{
	sigset_t all;

	sigfillset(&all);
	shim_real()->pthread_sigmask(SIG_SETMASK, &all, ret);
}

static void prepare(void)
{
	bool ready = atomic_load(&shim_ready);
	sigset_t signals;

	block_signals(&signals);
	pthread_mutex_lock(&fork_lock);
	now.signals = signals;
	now.serves = false;
	now.from_child = atomic_load(&child_serves);
	if (ready && fork_policy == FORK_SNAPSHOT &&
	    atomic_load(&block_high) != 0)
		now.serves = begin_snapshot();
	if (now.from_child) {
		child_lock();
		now.childs = child_prepare();
		return;
	}
	if (!ready)
		return;
	arena_lock();
	block_lock_all();
	pthread_mutex_lock(&kept_lock);
	if (!now.serves)
		return;
	window_owner = gettid();
	atomic_store(&window, true);
	while (atomic_load(&changing) > 0)
		sched_yield();
	pthread_mutex_lock(&record_lock);
	epoch++;
	reader_count(epoch, 1);
	atomic_fetch_add(&fork_readers, 1);
	atomic_fetch_add(&shim_shared->fork_count, 1);
	advise_all(MADV_DOFORK);
}

static void unlock(void)
{
	pthread_mutex_unlock(&kept_lock);
	block_unlock_all();
	arena_unlock();
}

static void finish_fork(void)
{
	sigset_t signals = now.signals;

	now.childs = now.mine = -1;
	pthread_mutex_unlock(&fork_lock);
	shim_real()->pthread_sigmask(SIG_SETMASK, &signals, NULL);
}

static void in_parent(void)
{
	if (now.from_child) {
		child_unlock();
	} else if (atomic_load(&shim_ready)) {
		if (now.serves) {
			advise_all(MADV_DONTFORK);
			pthread_mutex_unlock(&record_lock);
			atomic_store(&window, false);
			broker_add(now.mine, epoch);
		}
		unlock();
	}
	descriptor_close(now.childs);
	finish_fork();
}

static void in_child(void)
{
	bool was_ready = atomic_load(&shim_ready);

	broker_forked();
	descriptor_close_all(now.childs);
	atomic_store(&shim_ready, false);
	if (now.from_child) {
		child_again(now.childs);
		child_unlock();
	} else if (was_ready) {
		if (now.serves) {
			pthread_mutex_unlock(&record_lock);
			atomic_store(&window, false);
			atomic_store(&fork_readers, 0);
			child_begin(now.childs);
		}
		unlock();
	}
	shim_forked();
	finish_fork();
}

/* Children's handlers run in the order in which they were made known: ours
 * must be the first, before that of any library whose memory is external. So
 * it is made known when the first library asks for one of its own, which is
 * before this one's own start. */
static void register_first(void)
{
	static _Atomic bool registered;

	if (!atomic_exchange(&registered, true))
		shim_real()->__register_atfork(prepare, in_parent, in_child,
					       NULL);
}

int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *);

SHIM_EXPORT int __register_atfork(void (*before)(void), void (*parent)(void),
				  void (*child)(void), void *library)
{
	register_first();
	return shim_real()->__register_atfork(before, parent, child, library);
}

int fork_start(void)
{
	static const struct extmem_watch watch = { .size = sizeof(watch),
						   .change = on_change,
						   .changed = on_changed };

	register_first();
	return fork_policy == FORK_SNAPSHOT ? extmem_watch(shim_client, &watch)
					    : 0;
}

/* What libc forks by itself (daemon(3), forkpty(3)) comes by the handlers
 * alone, and has no memory rather than no child. */
static bool refused(void)
{
	sigset_t signals;
	bool possible;
	int error;

	if (!atomic_load(&shim_ready) || atomic_load(&block_high) == 0 ||
	    fork_policy == FORK_ABSENT)
		return false;
	if (fork_policy == FORK_REFUSE) {
		shim_say("fork: refused, by --fork=refuse: this process has "
			 "external memory");
		return true;
	}
	block_signals(&signals);
	pthread_mutex_lock(&fork_lock);
	possible = begin_snapshot();
	error = errno;
	pthread_mutex_unlock(&fork_lock);
	shim_real()->pthread_sigmask(SIG_SETMASK, &signals, NULL);
	if (!possible)
		shim_say("fork: refused: what the child needs to have the "
			 "external memory cannot be had: %s",
			 strerror(error));
	return !possible;
}

/* libc has locks of its own here, which a handler that forks would want: so no
 * handler runs, but faults are served. */
SHIM_EXPORT pid_t fork(void)
{
	sigset_t most, before;
	int error;
	pid_t pid;

	if (refused()) {
		errno = EAGAIN;
		return -1;
	}
	sigfillset(&most);
	signal_open_mask(&most);
	shim_real()->pthread_sigmask(SIG_SETMASK, &most, &before);
	pid = shim_real()->fork();
	error = errno;
	shim_real()->pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return pid;
}

/* --- those that libc makes no fork() of ------------------------------------------------ */

static pid_t refuse(void)
{
	errno = EAGAIN;
	return -1;
}

/* libc calls no handlers here, so that it may be called by a signal's. */
SHIM_EXPORT pid_t _Fork(void)
{
	pid_t pid;

	if (refused())
		return refuse();
	prepare();
	pid = shim_real()->_Fork();
	if (pid == 0)
		in_child();
	else
		in_parent();
	return pid;
}

/* syscall(2), by its number: a child with memory of its own that goes on where
 * its parent is. One on another stack would return to nowhere. */
bool fork_call(long number, const long a[6], long *ret)
{
	bool forks = number == SYS_clone && (a[0] & CLONE_VM) == 0 && a[1] == 0;
	long r;

#ifdef SYS_fork
	forks |= number == SYS_fork;
#endif
	if (!forks || shim_inside ||
	    (!atomic_load(&shim_ready) && !atomic_load(&child_serves)))
		return false;
	if (refused()) {
		*ret = refuse();
		return true;
	}
	prepare();
	r = shim_real()->syscall(number, a[0], a[1], a[2], a[3], a[4]);
	if (r == 0)
		in_child();
	else
		in_parent();
	*ret = r;
	return true;
}

struct cloned {
	int (*routine)(void *);
	void *argument;
};

static int begin_cloned(void *p)
{
	struct cloned c = *(struct cloned *)p;

	in_child();
	return c.routine(c.argument);
}

/* A stack in external memory, of which the kernel would be the first to touch
 * a page, is a local one in truth. */
static char *local_stack(const char *stack, size_t *ret_size)
{
	struct block b;
	size_t size = (size_t)64 << 10;

	if (block_find(stack - 1, &b) && (uintptr_t)stack - b.start > size)
		size = (uintptr_t)stack - b.start;
	*ret_size = (size + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	return local_take(*ret_size);
}

SHIM_EXPORT int clone(int (*routine)(void *), void *stack, int flags,
		      void *argument, ...)
{
	bool forks = (flags & CLONE_VM) == 0 && !shim_inside &&
		     (atomic_load(&shim_ready) || atomic_load(&child_serves));
	struct cloned cloned = { routine, argument };
	char *local = NULL;
	size_t size = 0;
	void *more[3];
	va_list list;
	int pid, error;

	va_start(list, argument);
	for (int i = 0; i < 3; i++)
		more[i] = va_arg(list, void *);
	va_end(list);
	if (forks && refused())
		return refuse();
	if (stack && block_contains((char *)stack - 1, 1)) {
		local = local_stack(stack, &size);
		if (!local)
			return -1;
		stack = local + size;
	}
	if (forks)
		prepare();
	pid = shim_real()->clone(forks ? begin_cloned : routine, stack, flags,
				 forks ? (void *)&cloned : argument, more[0],
				 more[1], more[2]);
	error = errno;
	if (forks)
		in_parent();
	/* A thread's stays: nobody here knows when it has ended. */
	if (local && (forks || pid < 0 || (flags & CLONE_VFORK) != 0))
		local_give(local, size);
	errno = error;
	return pid;
}
