/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager against a model of the world around it.
 *
 * A page's contents are one number, its version. The program's threads are
 * fakes that read and write through a fake mapper and fault into the pager;
 * the remote memory, the staging area and the address space are arrays. A seed decides
 * everything: geometry, weather, what threads and ranges do, in which order
 * reads and writes far away complete, in how many pieces, and which fail. A
 * store by another thread may fall between any two effects of a step, where
 * the page is writable. After every step these are asked:
 *
 *  - what is here is what the program wrote last; what is not here is whole
 *    in the remote memory or in a write-back buffer;
 *  - a page is mapped as its state says; protected pages change never; frames
 *    stay within their budget; pinned pages stay, writable if promised;
 *  - effects come in an order in which they can be carried out: nothing is
 *    read from a stage write-back buffer that is being filled, one store a page flies;
 *  - a flush that says it is done has everything in the remote memory.
 *
 * At the end the weather clears, and every thread and range must end within
 * a number of steps, and everything reads as it was written.
 *
 *	XM_SEED=N tests/unit/test_pager_model	runs one seed, and tells it
 *	XM_SEEDS=N tests/unit/test_pager_model	runs so many
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/cunit.h"

#include "core/pure/pager.h"
#include "common/rand.h"

enum { PAGES_MOST = 512, THREADS = 5, STAGE_MOST = 1024, OPS_MOST = 256 };

#define GARBAGE UINT32_MAX
#define NOTHING 0 /* a page of zeros */

enum mapped { MAP_ABSENT, MAP_READ, MAP_WRITE, MAP_POISON };

struct op { /* a read or write on its way */
	bool store;
	uint64_t page;
	uint32_t count, staging_index;
	bool early; /* the bytes moved when it was posted */
	/* Pages that lie apart; else they follow `page`. */
	bool scattered;
	uint64_t pages[XM_PAGER_SCATTER_MAX];
};

enum doing { IDLE, TOUCH, PIN, HOLD, EXPLICIT, GUARDING, RANGE, FLUSHING };

struct thread {
	enum doing doing;
	uint64_t page, limit;
	bool write, again, whole, rmw;
	uint32_t patience;
	struct xm_pager_event range;
	uint64_t first, seq;
	uint32_t wanted[PAGES_MOST]; /* FLUSHING: what must be stored */
};

struct world {
	struct xm_pager pager;
	struct xm_pager_options options;
	struct xm_rand rand;
	struct xm_pager_effects fx, fx_inner;
	void *memory;

	uint32_t remote[PAGES_MOST];
	uint32_t staging[STAGE_MOST];
	struct {
		enum mapped how;
		uint32_t version;
	} map[PAGES_MOST];
	uint32_t shadow[PAGES_MOST]; /* what the program wrote last */
	bool lost[PAGES_MOST];	     /* nothing is promised any more */
	bool poisoned[PAGES_MOST];
	uint32_t born[PAGES_MOST]; /* as of which version it began anew */
	uint8_t storing[PAGES_MOST]; /* stores that fly */
	unsigned pins[PAGES_MOST], pins_write[PAGES_MOST];

	struct op ops[OPS_MOST];
	uint32_t ops_count;
	struct thread threads[THREADS];
	uint32_t version;

	enum xm_reach reach;
	unsigned fail, refuse, storm; /* permille */
	bool clear, contents_may_go;
	uint64_t steps;
	const char *broken;
	char words[160];
};

static struct world w;
static uint64_t seed_now;
static bool tracing;

#define BROKEN(...)                                                           \
	do {                                                                  \
		if (w.broken == NULL) {                                       \
			snprintf(w.words, sizeof(w.words), __VA_ARGS__);      \
			w.broken = w.words;                                   \
		}                                                             \
	} while (0)

#define MUST(condition, page)                                                 \
	do {                                                                  \
		if (!(condition))                                             \
			BROKEN("line %d, page %llu: %s", __LINE__,            \
			       (unsigned long long)(page), #condition);       \
	} while (0)

static bool chance(unsigned permille)
{
	return xm_rand_chance(&w.rand, permille);
}

static uint64_t below(uint64_t bound)
{
	return xm_rand_below(&w.rand, bound);
}

/* --- the laws ------------------------------------------------------------------ */

/* Is this version of the page anywhere that survives its frame? */
static bool kept(uint64_t page)
{
	uint32_t base = w.options.fetch_buffers * w.options.window_max;

	if (w.shadow[page] == NOTHING || w.remote[page] == w.shadow[page])
		return true; /* a wrong zero is found by the next read */
	for (uint32_t i = 0; i < w.options.writeback_buffers; i++) {
		if (w.pager.writeback_buffers[i].state != 0 &&
		    w.pager.writeback_buffers[i].page == page &&
		    w.staging[base + i] == w.shadow[page])
			return true;
	}
	return false;
}

static void check_page(uint64_t page)
{
	static const enum mapped how[] = {
		[XM_PAGE_ABSENT] = MAP_ABSENT,
		[XM_PAGE_FETCHING] = MAP_ABSENT,
		[XM_PAGE_CLEAN] = MAP_READ,
		[XM_PAGE_DIRTY] = MAP_WRITE,
		[XM_PAGE_IO_LOCKED] = MAP_ABSENT,
		[XM_PAGE_POISONED] = MAP_POISON,
	};
	enum xm_page_state state =
		(enum xm_page_state)w.pager.pages[page].state;

	MUST(w.map[page].how == how[state], page);
	if (state == XM_PAGE_CLEAN || state == XM_PAGE_DIRTY)
		MUST(w.map[page].version == w.shadow[page], page);
	if (state == XM_PAGE_POISONED)
		MUST(w.lost[page] || w.poisoned[page], page);
	else if (state != XM_PAGE_DIRTY && !w.lost[page])
		MUST(kept(page), page);
	if (w.pins[page] > 0)
		MUST(w.map[page].how == MAP_READ ||
			     w.map[page].how == MAP_WRITE || w.poisoned[page],
		     page);
	if (w.pins_write[page] > 0)
		MUST(w.map[page].how == MAP_WRITE || w.poisoned[page], page);
}

static void check_world(void)
{
	const char *broken = xm_pager_check(&w.pager);
	uint32_t here = 0;

	if (broken != NULL)
		BROKEN("%s", broken);
	for (uint64_t page = 0; page < w.options.pages_max; page++) {
		check_page(page);
		here += w.map[page].how == MAP_READ ||
			w.map[page].how == MAP_WRITE;
	}
	MUST(here <= w.options.frames_max, 0);
	MUST(here == w.pager.frames_used, 0);
}

/* --- far away -------------------------------------------------------------------- */

static uint64_t page_of(const struct op *op, uint32_t i)
{
	return op->scattered ? op->pages[i] : op->page + i;
}

static void move_bytes(const struct op *op)
{
	for (uint32_t i = 0; i < op->count; i++) {
		if (op->store)
			w.remote[page_of(op, i)] = w.staging[op->staging_index + i];
		else
			w.staging[op->staging_index + i] = w.remote[page_of(op, i)];
	}
}

static void tell_end(const struct op *op, int status)
{
	struct xm_pager_event ev = {
		.kind = op->store ? XM_PAGER_STORED : XM_PAGER_FETCHED,
		.staging_index = op->staging_index, .count = op->count, .status = status,
	};

	for (uint32_t i = 0; op->store && i < op->count; i++)
		w.storing[page_of(op, i)]--;
	if (tracing)
		printf("%s page %llu count %u cell %u status %d\n",
		       op->store ? "stored" : "fetched",
		       (unsigned long long)op->page, op->count, op->staging_index,
		       status);
	xm_pager_step(&w.pager, &ev, &w.fx_inner);
	MUST(w.fx_inner.count == 0, op->page);
}

/* One operation ends: any of them, well or not. */
static void complete_one(void)
{
	uint32_t index;
	struct op op;
	bool fails = !w.clear && chance(w.fail);

	if (w.ops_count == 0)
		return;
	index = (uint32_t)below(w.ops_count);
	op = w.ops[index];
	w.ops[index] = w.ops[--w.ops_count];
	/* A failed one may have happened all the same. */
	if (!op.early && (!fails || chance(500)))
		move_bytes(&op);
	tell_end(&op, fails ? -1 : 0);
	check_world();
}

static bool filling(uint32_t staging_index)
{
	for (uint32_t i = 0; i < w.ops_count; i++) {
		const struct op *op = &w.ops[i];

		if (!op->store && staging_index >= op->staging_index &&
		    staging_index < op->staging_index + op->count)
			return true;
	}
	return false;
}

static void post_piece(bool store, bool scattered, uint64_t page,
		       uint32_t count, uint32_t staging_index)
{
	struct op op = { .store = store, .page = page, .count = count,
			 .staging_index = staging_index, .early = chance(300),
			 .scattered = scattered };

	for (uint32_t i = 0; i < count; i++) {
		MUST(!filling(staging_index + i), page);
		if (!store) {
			w.staging[staging_index + i] = GARBAGE;
			continue;
		}
		if (scattered)
			op.pages[i] = xm_pager_staged_page(&w.pager, staging_index + i);
		MUST(w.storing[page_of(&op, i)] == 0, page_of(&op, i));
		w.storing[page_of(&op, i)]++;
	}
	if (op.early)
		move_bytes(&op);
	/* It may be refused on the spot. */
	if (!w.clear && chance(w.fail / 2)) {
		tell_end(&op, -11);
		return;
	}
	MUST(w.ops_count < OPS_MOST, page);
	w.ops[w.ops_count++] = op;
}

static void post(bool store, const struct xm_pager_effect *e)
{
	/* A run of stores may lie in two segments. */
	uint32_t head = store && e->count > 1 && chance(300)
				? 1 + (uint32_t)below(e->count - 1U) : e->count;

	if (e->scattered)
		MUST(store && e->count > 1, e->page);
	post_piece(store, e->scattered, e->page, head, e->staging_index);
	if (head < e->count)
		post_piece(store, e->scattered, e->page + head,
			   e->count - head, e->staging_index + head);
}

/* --- the mapper --------------------------------------------------------------------- */

static void write_page(uint64_t page)
{
	MUST(w.map[page].how == MAP_WRITE, page);
	w.map[page].version = w.shadow[page] = ++w.version;
}

/* Somebody stores to whatever can be stored to, at the worst moment. */
static void racing_store(void)
{
	uint64_t page = below(w.options.pages_max);

	if (w.map[page].how == MAP_WRITE)
		write_page(page);
}

static void install(const struct xm_pager_effect *e, bool refused)
{
	for (uint32_t i = 0; i < e->count; i++) {
		uint64_t page = e->page + i;

		MUST(w.map[page].how == MAP_ABSENT, page);
		if (refused)
			continue;
		w.map[page].how = e->protect ? MAP_READ : MAP_WRITE;
		w.map[page].version = NOTHING;
		if (e->staging_index != XM_STAGING_ZERO) {
			MUST(!filling(e->staging_index + i), page);
			w.map[page].version = w.staging[e->staging_index + i];
		}
		MUST(w.map[page].version == w.shadow[page], page);
	}
}

static void carry_out_page(const struct xm_pager_effect *e, uint32_t i)
{
	uint64_t page = e->page + i;
	enum mapped how = w.map[page].how;

	switch ((enum xm_pager_effect_kind)e->kind) {
	case XM_PROTECT:
		MUST(how == MAP_WRITE || how == MAP_READ, page);
		w.map[page].how = MAP_READ;
		break;
	case XM_UNPROTECT:
		MUST(how == MAP_READ, page);
		w.map[page].how = MAP_WRITE;
		break;
	case XM_COPY:
		/* Pinned for writing: by whom is not kept, see on_pin(). */
		MUST(how == MAP_READ || w.pins[page] > 0, page);
		MUST(!filling(e->staging_index + i), page);
		MUST(w.storing[page] == 0, page);
		w.staging[e->staging_index + i] = w.map[page].version;
		break;
	case XM_DROP:
		MUST(how == MAP_READ || how == MAP_WRITE, page);
		/* Only what nobody wants goes without protection. */
		MUST(how == MAP_READ || w.contents_may_go || w.lost[page],
		     page);
		MUST(w.pins[page] == 0 || w.contents_may_go, page);
		w.map[page].how = MAP_ABSENT;
		break;
	case XM_POISON:
		MUST(how == MAP_ABSENT, page);
		w.map[page].how = MAP_POISON;
		break;
	default:
		break;
	}
}

static void carry_out(const struct xm_pager_effect *e, bool refused)
{
	MUST(e->scattered || e->page + e->count <= w.options.pages_max,
	     e->page);
	if (w.broken != NULL)
		return;
	switch (e->kind) {
	case XM_FETCH: post(false, e); return;
	case XM_STORE: post(true, e); return;
	case XM_INSTALL: install(e, refused); return;
	default: break;
	}
	for (uint32_t i = 0; i < e->count; i++)
		carry_out_page(e, i);
}

/* The page is gone under those who pinned it; they know. */
static void unpinned(uint64_t page)
{
	w.pins[page] = w.pins_write[page] = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		if (w.threads[i].doing == HOLD && w.threads[i].page == page)
			w.threads[i].doing = IDLE;
	}
}

static void refuse(const struct xm_pager_effect *e)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_REFUSED, .page = e->page,
		.limit = e->page + e->count,
	};

	for (uint64_t page = ev.page; page < ev.limit; page++) {
		w.lost[page] = w.poisoned[page] = true;
		unpinned(page);
	}
	xm_pager_step(&w.pager, &ev, &w.fx_inner);
	for (uint32_t i = 0; i < w.fx_inner.count; i++)
		carry_out(&w.fx_inner.list[i], false);
}

static void trace(const struct xm_pager_event *ev)
{
	printf("event %d page %llu limit %llu write %d whole %d reach %d: "
	       "verdict %d next %llu\n", ev->kind,
	       (unsigned long long)ev->page, (unsigned long long)ev->limit,
	       ev->write, ev->whole, ev->reach, w.fx.verdict,
	       (unsigned long long)w.fx.next);
	for (uint32_t i = 0; i < w.fx.count; i++)
		printf("  effect %d page %llu count %u cell %u%s\n",
		       w.fx.list[i].kind,
		       (unsigned long long)w.fx.list[i].page,
		       w.fx.list[i].count, w.fx.list[i].staging_index,
		       w.fx.list[i].protect ? " protect" : "");
}

static void step(struct xm_pager_event *ev)
{
	struct xm_pager_effect sorry = { 0 };

	ev->reach = w.clear ? XM_REACH_UP : w.reach;
	w.contents_may_go = ev->kind == XM_PAGER_DISCARD ||
			    ev->kind == XM_PAGER_FORGET;
	xm_pager_step(&w.pager, ev, &w.fx);
	if (tracing)
		trace(ev);
	MUST(w.fx.count <= XM_PAGER_EFFECTS, ev->page);
	for (uint32_t i = 0; i < w.fx.count && w.broken == NULL; i++) {
		const struct xm_pager_effect *e = &w.fx.list[i];
		bool refused = e->kind == XM_INSTALL && sorry.count == 0 &&
			       !w.clear && chance(w.refuse);

		if (refused)
			sorry = *e;
		carry_out(e, refused);
		if (chance(w.storm))
			racing_store();
	}
	w.contents_may_go = false;
	if (sorry.count > 0)
		refuse(&sorry);
}

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
	};

	step(&ev);
	t->again = true;
	switch (w.fx.verdict) {
	case XM_VERDICT_DONE:
		MUST(can(t) || w.poisoned[t->page], t->page);
		t->again = false;
		return true;
	case XM_VERDICT_LOST:
		MUST(w.lost[t->page] || ev.reach == XM_REACH_LOST, t->page);
		t->doing = IDLE;
		return false;
	default:
		MUST(w.fx.verdict == XM_VERDICT_WAIT, t->page);
		/* Nobody waits for what may never come. */
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
		write_page(t->page);
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

	step(&ev);
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
	step(&ev);
	t->doing = IDLE;
}

static void guard(struct thread *t)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_IO_LOCK, .page = t->page, .limit = t->limit,
		.whole = t->whole,
	};

	step(&ev);
	t->doing = IDLE;
	switch (w.fx.verdict) {
	case XM_VERDICT_DONE:
		MUST(w.fx.next > t->page && w.fx.next <= t->limit, t->page);
		t->limit = w.fx.next;
		t->doing = GUARDING;
		t->patience = (uint32_t)below(60);
		for (uint64_t page = t->page; page < t->limit; page++)
			MUST(w.storing[page] == 0, page);
		break;
	case XM_VERDICT_PRESENT:
		MUST(w.map[t->page].how == MAP_READ ||
			     w.map[t->page].how == MAP_WRITE,
		     t->page);
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
			w.remote[page] = w.shadow[page] = ++w.version;
		else if (!w.lost[page])
			MUST(w.remote[page] == w.shadow[page] || t->whole, page);
	}
	step(&ev);
	t->doing = IDLE;
}

/* The pages a range event has dealt with mean something else now. */
static void changed(enum xm_pager_event_kind kind, uint64_t page,
		    uint64_t next)
{
	for (; page < next; page++) {
		if (kind == XM_PAGER_LOST) {
			w.lost[page] = true;
			w.remote[page] = GARBAGE; /* somebody else's */
		} else if (kind == XM_PAGER_FORGET) {
			w.lost[page] = w.poisoned[page] = false;
			w.shadow[page] = NOTHING;
			w.born[page] = ++w.version;
			w.remote[page] = GARBAGE;
			unpinned(page);
			MUST(w.map[page].how == MAP_ABSENT ||
				     w.map[page].how == MAP_POISON,
			     page);
			MUST(w.storing[page] == 0, page);
			w.map[page].how = MAP_ABSENT; /* detached */
		} else if (kind == XM_PAGER_DISCARD &&
			   w.map[page].how != MAP_POISON) {
			w.shadow[page] = NOTHING;
			w.born[page] = ++w.version;
			unpinned(page);
		}
	}
}

static void range(struct thread *t)
{
	struct xm_pager_event ev = t->range;
	bool flush = ev.kind == XM_PAGER_FLUSH || ev.kind == XM_PAGER_EVICT;
	uint64_t next;

	/* What the flush has to bring about: what is there as it passes. */
	step(&ev);
	next = w.fx.next;
	if (w.fx.verdict == XM_VERDICT_LOST) {
		MUST(flush, ev.page);
		t->doing = IDLE;
		return;
	}
	if (ev.kind != XM_PAGER_WILLNEED)
		MUST(next >= ev.page && next <= ev.limit, ev.page);
	changed(ev.kind, ev.page, next);
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

	step(&ev);
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
		/* Versions only grow. */
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
	};
	uint64_t pages = w.options.pages_max, page = below(pages);
	uint64_t limit = page + 1 + below(xm_min(pages - page, 1 + pages / 3));

	t->range = (struct xm_pager_event){
		.kind = kinds[below(XM_COUNT(kinds))],
		.page = page, .limit = limit,
		.advice = (enum xm_advice)below(3),
	};
	/* Loss and a new meaning are rarer, and of whole segments often. */
	if ((t->range.kind == XM_PAGER_LOST ||
	     t->range.kind == XM_PAGER_FORGET) && chance(700))
		t->range.kind = XM_PAGER_FLUSH;
	t->first = page;
	t->seq = 0;
	t->doing = RANGE;
	memcpy(t->wanted, w.shadow, sizeof(t->wanted));
}

/* The remote memory of fresh pages gets contents without us. */
static void adopt(void)
{
	uint64_t page = below(w.options.pages_max), limit = page;
	struct xm_pager_event ev = { .kind = XM_PAGER_MARK_BACKED, .page = page };

	while (limit < w.options.pages_max && limit < page + 8 &&
	       w.pager.pages[limit].state == XM_PAGE_ABSENT &&
	       w.pager.pages[limit].flags == 0 && !w.lost[limit]) {
		w.remote[limit] = w.shadow[limit] = ++w.version;
		limit++;
	}
	ev.limit = limit;
	if (limit > page)
		step(&ev);
}

static void begin(struct thread *t)
{
	uint64_t pages = w.options.pages_max;
	uint64_t what = below(1000);

	t->again = false;
	t->write = chance(400);
	t->rmw = chance(200);
	/* Streams up and down, and the odd jump. */
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
		adopt();
	}
}

static void act(struct thread *t)
{
	switch (t->doing) {
	case IDLE: begin(t); break;
	case TOUCH: touch(t); break;
	case PIN: pin(t); break;
	case EXPLICIT: guard(t); break;
	case RANGE: range(t); break;
	case FLUSHING: flushed(t); break;
	case HOLD:
		if (t->patience-- == 0 || w.clear)
			unpin(t);
		break;
	case GUARDING:
		if (t->patience-- == 0 || w.clear)
			io_unlock(t);
		break;
	}
	check_world();
}

static void tick(void)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_TICK };

	step(&ev);
	check_world();
}

/* --- a world's life ------------------------------------------------------------------- */

static uint64_t pick(const uint64_t *list, uint32_t count)
{
	return list[below(count)];
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
}

static void weather(void)
{
	if (!chance(10))
		return;
	w.reach = chance(800)	? XM_REACH_UP
		  : chance(700) ? XM_REACH_DOWN
				: XM_REACH_LOST;
}

static void live(uint64_t steps)
{
	/* Some days completions are quick, some days slow. */
	unsigned eager = (unsigned)xm_rand_between(&w.rand, 100, 700);

	for (uint64_t i = 0; i < steps && w.broken == NULL; i++) {
		weather();
		if (chance(eager))
			complete_one();
		else if (chance(30))
			tick();
		else
			act(&w.threads[below(THREADS)]);
	}
}

/* Everybody ends what they do, and begins nothing. */
static void calm_down(void)
{
	uint32_t busy = 1;

	w.clear = true;
	for (unsigned turn = 0; busy > 0 && w.broken == NULL; turn++) {
		busy = w.ops_count + w.pager.writeback_failed;
		for (unsigned i = 0; i < THREADS && w.broken == NULL; i++) {
			busy += w.threads[i].doing != IDLE;
			/* Not in lock step: with fewer frames than threads
			 * they could take each other's for ever. */
			if (w.threads[i].doing != IDLE && chance(500))
				act(&w.threads[i]);
		}
		complete_one();
		tick();
		if (turn > 4000)
			BROKEN("somebody never ends: thread doing %d %d %d %d "
			       "%d, %u flying", w.threads[0].doing,
			       w.threads[1].doing, w.threads[2].doing,
			       w.threads[3].doing, w.threads[4].doing,
			       w.ops_count);
	}
}

/* Everything reads as it was written. */
static void read_all(void)
{
	struct thread *t = &w.threads[0];

	for (uint64_t page = 0; page < w.options.pages_max; page++) {
		t->page = page;
		t->write = t->rmw = t->again = false;
		t->doing = TOUCH;
		for (unsigned turn = 0; t->doing == TOUCH && w.broken == NULL;
		     turn++) {
			touch(t);
			complete_one();
			check_world();
			MUST(turn < 1000, page);
		}
	}
}

static void dump(void)
{
	const struct xm_pager_options *o = &w.options;

	printf("window %u slots %u cells %u frames %u pins %u\n",
	       o->window_max, o->fetch_buffers, o->writeback_buffers, o->frames_max, o->pins_max);
	for (unsigned i = 0; i < THREADS; i++)
		printf("thread %u: doing %d page %llu write %d\n", i,
		       w.threads[i].doing,
		       (unsigned long long)w.threads[i].page,
		       w.threads[i].write);
	for (uint64_t page = 0; page < o->pages_max; page++) {
		const struct xm_page *e = &w.pager.pages[page];

		if (e->state != XM_PAGE_ABSENT || e->flags != 0)
			printf("page %llu: state %d flags %x frame %u slot %u "
			       "pins %u/%u lost %d shadow %u far %u\n",
			       (unsigned long long)page, e->state, e->flags,
			       e->frame, e->buffer, w.pins[page],
			       w.pins_write[page], w.lost[page],
			       w.shadow[page], w.remote[page]);
	}
	for (uint32_t i = 0; i < o->fetch_buffers; i++)
		printf("slot %u: state %d page %llu count %u\n", i,
		       w.pager.fetch_buffers[i].state,
		       (unsigned long long)w.pager.fetch_buffers[i].page,
		       w.pager.fetch_buffers[i].count);
	printf("cells used %u failed %u, frames used %u\n",
	       w.pager.writeback_used, w.pager.writeback_failed, w.pager.frames_used);
}

static void run_seed(uint64_t seed, bool big, uint64_t steps)
{
	seed_now = seed;
	tracing = getenv("XM_SEED") != NULL;
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
	if (tracing)
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
	uint64_t one = number_of("XM_SEED", UINT64_MAX);
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
	}
	CU_ASSERT_EQUAL(broken, 0);
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
