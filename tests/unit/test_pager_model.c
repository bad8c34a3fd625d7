/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager against a model of the world around it (pager_world.h).
 *
 * Five threads touch, pin, flush, discard, forget and access pages explicitly; a seed
 * decides everything: sizes, what each thread does, the order in which reads and writes
 * complete, in how many pieces, and which of them fail. Half of the runs have units,
 * which no fetch may cross. Another thread may store to a writable page between any two
 * effects of a step. After every step:
 *
 *  - a page that is present has the version that was written last; the version of any
 *    other page is in the remote memory or in a write-back buffer;
 *  - a page is mapped as its state says and its rights allow; protected pages do not
 *    change; the frames stay within their budget; pinned pages stay present, and writable
 *    if promised, as long as they have the right;
 *  - a touch is denied if the page has not the right, and only then;
 *  - the effects can be carried out in their order: no page of the staging area is used
 *    while a read fills it, and at most one store of a page is in flight;
 *  - a flush that is done has stored what was there when it began.
 *
 * At the end nothing fails any more; every thread must end within a number of steps, and
 * every page must read as it was written.
 *
 *	XM_SEED=N tests/unit/test_pager_model	runs one seed, and prints it
 *	XM_SEEDS=N tests/unit/test_pager_model	runs so many
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/cunit.h"
#include "tests/unit/pager_world.h"

static uint64_t seed_now;

/* --- what the program does ---------------------------------------------------------- */

static bool can(const struct thread *t)
{
	return w.map[t->page].how == MAP_WRITE ||
	       (!t->write && w.map[t->page].how == MAP_READ);
}

/* A fault, once; true when the access may be tried again. */
static bool fault(struct thread *t)
{
	uint64_t segment = 1 + w.options.pages_max / 3;
	struct xm_pager_event ev = {
		.kind = XM_PAGER_FAULT, .page = t->page, .write = t->write,
		.again = t->again,
		.floor = t->page / segment * segment,
		.limit = xm_min((t->page / segment + 1) * segment,
				w.options.pages_max),
		.unit = w.unit,
	};

	world_step(&ev);
	t->again = true;
	switch (w.fx.verdict) {
	case XM_VERDICT_DONE:
		MUST(can(t) || w.poisoned[t->page], t->page);
		t->again = false;
		return true;
	case XM_VERDICT_DENIED:
		MUST(!allowed(t->page, t->write), t->page);
		t->doing = IDLE;
		return false;
	case XM_VERDICT_LOST:
		MUST(w.lost[t->page] || ev.reach == XM_REACH_LOST, t->page);
		t->doing = IDLE;
		return false;
	default:
		MUST(w.fx.verdict == XM_VERDICT_WAIT, t->page);
		MUST(allowed(t->page, t->write), t->page);
		/* A fault does not wait for what may never come. */
		MUST(ev.reach != XM_REACH_LOST ||
			     w.pager.pages[t->page].state == XM_PAGE_IO_LOCKED,
		     t->page);
		return false;
	}
}

static void touch(struct thread *t)
{
	if (!can(t)) {
		fault(t);
		return;
	}
	MUST(w.map[t->page].version == w.shadow[t->page], t->page);
	if (t->write)
		world_write_page(t->page);
	t->again = false;
	if (t->rmw && !t->write)
		t->write = true;
	else
		t->doing = IDLE;
}

static void pin(struct thread *t)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_PIN, .page = t->page, .write = t->write,
	};
	uint32_t pinned = w.pager.pinned;

	world_step(&ev);
	switch (w.fx.verdict) {
	case XM_VERDICT_DONE:
		MUST(can(t), t->page);
		w.pins[t->page]++;
		w.pins_write[t->page] += t->write;
		t->doing = HOLD;
		t->patience = (uint32_t)below(200);
		break;
	case XM_VERDICT_FULL:
		MUST(pinned == w.options.pins_max, t->page);
		t->doing = IDLE;
		break;
	default:
		MUST(w.fx.verdict == XM_VERDICT_WAIT, t->page);
		fault(t);
	}
}

static void unpin(struct thread *t)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_UNPIN,
				     .page = t->page };

	w.pins[t->page]--;
	w.pins_write[t->page] -= t->write;
	world_step(&ev);
	t->doing = IDLE;
}

static void io_lock(struct thread *t)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_IO_LOCK, .page = t->page, .limit = t->limit,
		.write = t->write, .whole = t->whole,
	};

	world_step(&ev);
	t->doing = IDLE;
	switch (w.fx.verdict) {
	case XM_VERDICT_DONE:
		MUST(w.fx.next > t->page && w.fx.next <= t->limit, t->page);
		t->limit = w.fx.next;
		t->doing = LOCKED;
		t->patience = (uint32_t)below(60);
		for (uint64_t page = t->page; page < t->limit; page++)
			MUST(w.storing[page] == 0, page);
		break;
	case XM_VERDICT_PRESENT:
		MUST(w.map[t->page].how == MAP_READ ||
			     w.map[t->page].how == MAP_WRITE,
		     t->page);
		MUST(allowed(t->page, t->write), t->page);
		break;
	case XM_VERDICT_FRESH:
		MUST(w.fx.next > t->page, t->page);
		for (uint64_t page = t->page; page < w.fx.next; page++)
			MUST(w.shadow[page] == NOTHING, page);
		break;
	case XM_VERDICT_LOST:
		MUST(w.lost[t->page], t->page);
		break;
	default:
		MUST(w.fx.verdict == XM_VERDICT_WAIT, t->page);
		if (w.clear || w.reach != XM_REACH_LOST)
			t->doing = EXPLICIT;
	}
}

static void io_unlock(struct thread *t)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_IO_UNLOCK, .page = t->page, .limit = t->limit,
		.write = t->write,
	};

	for (uint64_t page = t->page; page < t->limit; page++) {
		if (t->write && !w.lost[page])
			w.remote[page] = w.shadow[page] = world_version();
		else if (!w.lost[page])
			MUST(w.remote[page] == w.shadow[page] || t->whole, page);
	}
	world_step(&ev);
	t->doing = IDLE;
}

/* The range event has changed the meaning of these pages. */
static void changed(enum xm_pager_event_kind kind, uint64_t page,
		    uint64_t next, enum xm_page_rights rights)
{
	for (; page < next; page++) {
		if (kind == XM_PAGER_RIGHTS) {
			w.rights[page] = rights;
			if (rights == XM_PAGE_RIGHTS_NONE)
				world_unpinned(page);
		} else if (kind == XM_PAGER_LOST) {
			w.lost[page] = true;
			w.remote[page] = GARBAGE; /* another client's */
		} else if (kind == XM_PAGER_FORGET) {
			w.lost[page] = w.poisoned[page] = false;
			w.rights[page] = XM_PAGE_RIGHTS_ALL;
			w.shadow[page] = NOTHING;
			w.born[page] = world_version();
			w.remote[page] = GARBAGE;
			world_unpinned(page);
			MUST(w.map[page].how == MAP_ABSENT ||
				     w.map[page].how == MAP_POISON,
			     page);
			MUST(w.storing[page] == 0, page);
			w.map[page].how = MAP_ABSENT; /* detached */
		} else if (kind == XM_PAGER_DISCARD &&
			   w.map[page].how != MAP_POISON) {
			w.shadow[page] = NOTHING;
			w.born[page] = world_version();
			world_unpinned(page);
		}
	}
}

static void range(struct thread *t)
{
	struct xm_pager_event ev = t->range;
	bool flush = ev.kind == XM_PAGER_FLUSH || ev.kind == XM_PAGER_EVICT;
	uint64_t next;

	world_step(&ev);
	next = w.fx.next;
	if (w.fx.verdict == XM_VERDICT_LOST) {
		MUST(flush, ev.page);
		t->doing = IDLE;
		return;
	}
	if (ev.kind != XM_PAGER_WILLNEED)
		MUST(next >= ev.page && next <= ev.limit, ev.page);
	changed(ev.kind, ev.page, next, ev.rights);
	t->range.page = next;
	t->seq = xm_max(t->seq, w.fx.seq);
	if (w.fx.verdict == XM_VERDICT_WAIT) {
		if (!w.clear && w.reach == XM_REACH_LOST)
			t->doing = IDLE; /* gave up */
		return;
	}
	if (w.fx.verdict == XM_VERDICT_MORE) {
		MUST(next > ev.page && next < ev.limit, ev.page);
		return;
	}
	MUST(w.fx.verdict == XM_VERDICT_DONE, ev.page);
	if (ev.kind != XM_PAGER_WILLNEED)
		MUST(next == ev.limit, next);
	t->doing = flush ? FLUSHING : IDLE;
}

static void flushed(struct thread *t)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_FLUSHED, .page = t->first,
		.limit = t->range.limit, .seq = t->seq,
	};

	world_step(&ev);
	if (w.fx.verdict != XM_VERDICT_DONE) {
		MUST(w.fx.verdict == XM_VERDICT_WAIT, t->first);
		if (!w.clear && w.reach == XM_REACH_LOST)
			t->doing = IDLE;
		return;
	}
	t->doing = IDLE;
	for (uint64_t page = t->first; page < t->range.limit; page++) {
		if (w.lost[page] || w.shadow[page] == NOTHING ||
		    t->wanted[page] < w.born[page] ||
		    t->wanted[page] == NOTHING)
			continue;
		/* Versions grow, so a later one is right too. */
		MUST(w.remote[page] != GARBAGE && w.remote[page] >= t->wanted[page],
		     page);
	}
}

static void begin_range(struct thread *t)
{
	static const enum xm_pager_event_kind kinds[] = {
		XM_PAGER_FLUSH, XM_PAGER_FLUSH, XM_PAGER_FLUSH,
		XM_PAGER_EVICT, XM_PAGER_EVICT, XM_PAGER_DISCARD,
		XM_PAGER_WILLNEED, XM_PAGER_WILLNEED, XM_PAGER_ADVISE,
		XM_PAGER_FORGET, XM_PAGER_LOST,
		XM_PAGER_RIGHTS, XM_PAGER_RIGHTS,
	};
	uint64_t pages = w.options.pages_max, page = below(pages);
	uint64_t limit = page + 1 + below(xm_min(pages - page, 1 + pages / 3));

	t->range = (struct xm_pager_event){
		.kind = kinds[below(XM_COUNT(kinds))],
		.page = page, .limit = limit, .unit = w.unit,
		.advice = (enum xm_advice)below(3),
		.rights = (enum xm_page_rights)below(3),
	};
	/* Loss and forgetting are rarer. */
	if ((t->range.kind == XM_PAGER_LOST ||
	     t->range.kind == XM_PAGER_FORGET) && chance(700))
		t->range.kind = XM_PAGER_FLUSH;
	t->first = page;
	t->seq = 0;
	t->doing = RANGE;
	memcpy(t->wanted, w.shadow, sizeof(t->wanted));
}

/* The remote memory of fresh pages is written by another way. */
static void mark_backed(void)
{
	uint64_t page = below(w.options.pages_max), limit = page;
	struct xm_pager_event ev = { .kind = XM_PAGER_MARK_BACKED, .page = page };

	while (limit < w.options.pages_max && limit < page + 8 &&
	       w.pager.pages[limit].state == XM_PAGE_ABSENT &&
	       w.pager.pages[limit].flags == 0 && !w.lost[limit]) {
		w.remote[limit] = w.shadow[limit] = world_version();
		limit++;
	}
	ev.limit = limit;
	if (limit > page)
		world_step(&ev);
}

static void begin(struct thread *t)
{
	uint64_t pages = w.options.pages_max;
	uint64_t what = below(1000);

	t->again = false;
	t->write = chance(400);
	t->rmw = chance(200);
	/* Streams up and down, and jumps. */
	if (chance(650) && t->page + 1 < pages)
		t->page += 1;
	else if (chance(400) && t->page > 0)
		t->page -= 1;
	else
		t->page = below(pages);
	if (what < 850) {
		t->doing = TOUCH;
	} else if (what < 880) {
		t->doing = PIN;
	} else if (what < 920) {
		t->doing = EXPLICIT;
		t->limit = t->page + 1 + below(xm_min(pages - t->page, 6));
		t->whole = t->write && chance(600);
	} else if (what < 980) {
		begin_range(t);
	} else if (!w.clear) {
		mark_backed();
	}
}

static void act(struct thread *t)
{
	switch (t->doing) {
	case IDLE: begin(t); break;
	case TOUCH: touch(t); break;
	case PIN: pin(t); break;
	case EXPLICIT: io_lock(t); break;
	case RANGE: range(t); break;
	case FLUSHING: flushed(t); break;
	case HOLD:
		if (t->patience-- == 0 || w.clear)
			unpin(t);
		break;
	case LOCKED:
		if (t->patience-- == 0 || w.clear)
			io_unlock(t);
		break;
	}
	world_check();
}

static void tick(void)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_TICK };

	world_step(&ev);
	world_check();
}

/* --- one run ------------------------------------------------------------------- */

static uint64_t pick(const uint64_t *list, uint32_t count)
{
	return list[below(count)];
}

/* Half of the worlds have units, of 4 to 32 pages. */
static uint64_t unit_of(uint64_t seed)
{
	struct xm_rand r;

	xm_rand_split(&w.rand, "unit", seed, &r);
	return xm_rand_chance(&r, 500) ? 0 : UINT64_C(4) << xm_rand_below(&r, 4);
}

static void open_world(uint64_t seed, bool big)
{
	static const uint64_t windows[] = { 1, 2, 4 };
	static const uint64_t windows_big[] = { 4, 8, 16, 32 };
	static const uint64_t writebacks[] = { 2, 3, 5 };
	struct xm_pager_options *o = &w.options;
	void *memory = w.memory;

	memset(&w, 0, sizeof(w));
	free(memory);
	xm_rand_seed(&w.rand, seed);
	if (big) {
		o->window_max = (uint32_t)pick(windows_big, 4);
		o->fetch_buffers = (uint32_t)xm_rand_between(&w.rand, 2, 8);
		o->writeback_buffers = (uint32_t)xm_rand_between(&w.rand, 2, 40);
		o->frames_max = (uint32_t)xm_rand_between(&w.rand, 4, 100);
		o->pages_max = xm_rand_between(&w.rand, 64, PAGES_MOST);
	} else {
		o->window_max = (uint32_t)pick(windows, 3);
		o->fetch_buffers = (uint32_t)xm_rand_between(&w.rand, 2, 3);
		o->writeback_buffers = (uint32_t)pick(writebacks, 3);
		o->frames_max = (uint32_t)xm_rand_between(&w.rand, 2, 9);
		o->pages_max = xm_rand_between(&w.rand, 8, 64);
	}
	o->pins_max = (uint32_t)below(o->frames_max);
	o->scatter = (uint32_t)xm_rand_between(&w.rand, 1,
					       XM_PAGER_SCATTER_MAX);
	o->reclaim = (enum xm_reclaim)below(2);
	o->prints = chance(800);
	w.put_back = chance(800);
	w.printing = o->prints && chance(800);
	w.memory = calloc(1, xm_pager_memory_size(o));
	xm_pager_init(&w.pager, o, w.memory);
	MUST(xm_pager_staging_pages(o) <= STAGE_MOST, 0);
	for (uint32_t i = 0; i < STAGE_MOST; i++)
		w.staging[i] = GARBAGE;
	for (uint32_t i = 0; i < PAGES_MOST; i++)
		w.remote[i] = GARBAGE;
	w.fail = (unsigned)(chance(300) ? 0 : below(400));
	w.refuse = chance(900) ? 0 : 5;
	w.storm = (unsigned)below(300);
	for (unsigned i = 0; i < THREADS; i++)
		w.threads[i].page = below(o->pages_max);
	w.unit = unit_of(seed);
}

static void change_reach(void)
{
	if (!chance(10))
		return;
	w.reach = chance(800)	? XM_REACH_UP
		  : chance(700) ? XM_REACH_DOWN
				: XM_REACH_LOST;
}

static void live(uint64_t steps)
{
	/* In some runs completions are quick, in others slow. */
	unsigned quick = (unsigned)xm_rand_between(&w.rand, 100, 700);

	for (uint64_t i = 0; i < steps && w.broken == NULL; i++) {
		change_reach();
		if (chance(quick))
			world_complete_one();
		else if (chance(30))
			tick();
		else
			act(&w.threads[below(THREADS)]);
	}
}

/* No faults from now on: all threads must end what they do, and begin nothing. */
static void calm_down(void)
{
	uint32_t busy = 1;

	w.clear = true;
	for (unsigned turn = 0; busy > 0 && w.broken == NULL; turn++) {
		busy = w.ops_count + w.pager.writeback_failed;
		for (unsigned i = 0; i < THREADS && w.broken == NULL; i++) {
			busy += w.threads[i].doing != IDLE;
			/* In random order: with fewer frames than threads they
			 * could take each other's frames for ever. */
			if (w.threads[i].doing != IDLE && chance(500))
				act(&w.threads[i]);
		}
		world_complete_one();
		tick();
		if (turn > 4000)
			BROKEN("a thread never ends: thread doing %d %d %d %d "
			       "%d, %u in flight", w.threads[0].doing,
			       w.threads[1].doing, w.threads[2].doing,
			       w.threads[3].doing, w.threads[4].doing,
			       w.ops_count);
	}
}

/* Every page reads as it was written. */
static void read_all(void)
{
	struct thread *t = &w.threads[0];

	t->range = (struct xm_pager_event){ .kind = XM_PAGER_RIGHTS,
					    .limit = w.options.pages_max };
	for (t->doing = RANGE; t->doing == RANGE && w.broken == NULL;)
		range(t);
	for (uint64_t page = 0; page < w.options.pages_max; page++) {
		t->page = page;
		t->write = t->rmw = t->again = false;
		t->doing = TOUCH;
		for (unsigned turn = 0; t->doing == TOUCH && w.broken == NULL;
		     turn++) {
			touch(t);
			world_complete_one();
			world_check();
			MUST(turn < 1000, page);
		}
	}
}

static void dump(void)
{
	const struct xm_pager_options *o = &w.options;

	printf("window %u fetch buffers %u write-back buffers %u frames %u pins %u\n",
	       o->window_max, o->fetch_buffers, o->writeback_buffers, o->frames_max, o->pins_max);
	for (unsigned i = 0; i < THREADS; i++)
		printf("thread %u: doing %d page %llu write %d\n", i,
		       w.threads[i].doing,
		       (unsigned long long)w.threads[i].page,
		       w.threads[i].write);
	for (uint64_t page = 0; page < o->pages_max; page++) {
		const struct xm_page *e = &w.pager.pages[page];

		if (e->state != XM_PAGE_ABSENT || e->flags != 0)
			printf("page %llu: state %d flags %x frame %u buffer %u "
			       "pins %u/%u lost %d shadow %u remote %u\n",
			       (unsigned long long)page, e->state, e->flags,
			       e->frame, e->buffer, w.pins[page],
			       w.pins_write[page], w.lost[page],
			       w.shadow[page], w.remote[page]);
	}
	for (uint32_t i = 0; i < o->fetch_buffers; i++)
		printf("fetch buffer %u: state %d page %llu count %u\n", i,
		       w.pager.fetch_buffers[i].state,
		       (unsigned long long)w.pager.fetch_buffers[i].page,
		       w.pager.fetch_buffers[i].count);
	printf("write-back buffers used %u failed %u, frames used %u\n",
	       w.pager.writeback_used, w.pager.writeback_failed, w.pager.frames_used);
}

static void run_seed(uint64_t seed, bool big, uint64_t steps)
{
	seed_now = seed;
	world_tracing = getenv("XM_SEED") != NULL;
	open_world(seed, big);
	live(steps);
	calm_down();
	if (w.broken == NULL)
		read_all();
	calm_down();
	if (w.broken == NULL)
		return;
	printf("\nseed %llu (%s): %s\n", (unsigned long long)seed,
	       big ? "big" : "small", w.broken);
	if (world_tracing)
		dump();
}

static void say_seed(int signal_number)
{
	char line[64];
	int size = snprintf(line, sizeof(line), "\nseed %llu\n",
			    (unsigned long long)seed_now);

	(void)signal_number;
	if (write(STDOUT_FILENO, line, (size_t)size) < 0)
		_exit(99);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void run_seeds(uint64_t first, uint64_t count, bool big, uint64_t steps)
{
	uint64_t one = number_of("XM_SEED", UINT64_MAX), unchanged = 0;
	unsigned broken = 0;

	if (one != UINT64_MAX && (one < first || one >= first + UINT32_MAX))
		return;
	if (one != UINT64_MAX) {
		first = one;
		count = 1;
	} else {
		count = number_of("XM_SEEDS", count);
	}
	for (uint64_t seed = first; seed < first + count && broken < 5;
	     seed++) {
		run_seed(seed, big, steps);
		broken += w.broken != NULL;
		unchanged += w.pager.counters.unchanged;
	}
	CU_ASSERT_EQUAL(broken, 0);
	if (count > 100)
		CU_ASSERT_TRUE(unchanged > count);
	free(w.memory);
	w.memory = NULL;
}

/* --- tests ------------------------------------------------------------------------------ */

#define SMALL_FIRST UINT64_C(0)
#define BIG_FIRST (UINT64_C(1) << 32)

static void tiny_pagers_keep_the_page_truth(void)
{
	run_seeds(SMALL_FIRST, 4000, false, 600);
}

static void bigger_pagers_keep_the_page_truth(void)
{
	run_seeds(BIG_FIRST, 200, true, 1500);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(tiny_pagers_keep_the_page_truth),
		XM_TEST(bigger_pagers_keep_the_page_truth),
		CU_TEST_INFO_NULL,
	};

	signal(SIGABRT, say_seed);
	return xm_tests_run("pager_model", tests);
}
