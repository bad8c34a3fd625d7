/* SPDX-License-Identifier: BSD-3-Clause */
/* The world around the pager; see pager_world.h. */
#include "tests/unit/pager_world.h"

struct pager_world w;
bool world_tracing;

/* The version that first had the bytes of this one. */
#define VERSIONS_MOST (1U << 20)
static uint32_t bytes_of[VERSIONS_MOST];

uint32_t world_version(void)
{
	XM_ASSERT(w.version + 1 < VERSIONS_MOST);
	w.version++;
	bytes_of[w.version] = w.version;
	return w.version;
}

/* --- invariants ------------------------------------------------------------------ */

/* Is the page's version anywhere but in its frame? */
static bool kept(uint64_t page)
{
	uint32_t base = w.options.fetch_buffers * w.options.window_max;

	if (w.shadow[page] == NOTHING || w.remote[page] == w.shadow[page])
		return true; /* the next read finds a wrong zero */
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

	if (state == XM_PAGE_DIRTY && !allowed(page, true))
		MUST(w.map[page].how == MAP_READ, page);
	else
		MUST(w.map[page].how == how[state], page);
	if (w.map[page].how == MAP_READ || w.map[page].how == MAP_WRITE)
		MUST(allowed(page, w.map[page].how == MAP_WRITE), page);
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
		MUST(w.map[page].how == MAP_WRITE || w.poisoned[page] ||
			     !allowed(page, true),
		     page);
}

void world_check(void)
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

/* --- remote memory -------------------------------------------------------------------- */

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
	if (world_tracing)
		printf("%s page %llu count %u staging %u status %d\n",
		       op->store ? "stored" : "fetched",
		       (unsigned long long)op->page, op->count, op->staging_index,
		       status);
	xm_pager_step(&w.pager, &ev, &w.fx_inner);
	MUST(w.fx_inner.count == 0, op->page);
}

void world_complete_one(void)
{
	uint32_t index;
	struct op op;
	bool fails = !w.clear && chance(w.fail);

	if (w.ops_count == 0)
		return;
	index = (uint32_t)below(w.ops_count);
	op = w.ops[index];
	w.ops[index] = w.ops[--w.ops_count];
	/* An operation that fails may have happened all the same. */
	if (!op.early && (!fails || chance(500)))
		move_bytes(&op);
	tell_end(&op, fails ? -1 : 0);
	world_check();
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
	/* It may be refused at once. */
	if (!w.clear && chance(w.fail / 2)) {
		tell_end(&op, -11);
		return;
	}
	MUST(w.ops_count < OPS_MOST, page);
	w.ops[w.ops_count++] = op;
}

/* Those that have changed; a write is cut where one has not. */
static void post_changed(const struct xm_pager_effect *e)
{
	for (uint32_t i = 0, run; i < e->count; i += run + 1) {
		run = 0;
		while (i + run < e->count &&
		       xm_pager_staged_page(&w.pager, e->staging_index + i + run) !=
			       XM_NO_PAGE)
			run++;
		if (run > 0)
			post_piece(true, e->scattered, e->page + i, run,
				   e->staging_index + i);
	}
}

static void post(bool store, const struct xm_pager_effect *e)
{
	/* A run of stores may lie in two segments. */
	uint32_t head = store && e->count > 1 && chance(300)
				? 1 + (uint32_t)below(e->count - 1U) : e->count;

	if (!store && w.unit > 0)
		MUST(e->page / w.unit == (e->page + e->count - 1) / w.unit,
		     e->page);
	if (e->scattered)
		MUST(store && e->count > 1, e->page);
	if (e->compare) {
		post_changed(e);
		return;
	}
	post_piece(store, e->scattered, e->page, head, e->staging_index);
	if (head < e->count)
		post_piece(store, e->scattered, e->page + head,
			   e->count - head, e->staging_index + head);
}

/* --- the mapper --------------------------------------------------------------------- */

void world_write_page(uint64_t page)
{
	MUST(w.map[page].how == MAP_WRITE, page);
	world_version();
	if (w.put_back && chance(400))
		bytes_of[w.version] = bytes_of[w.before[page]];
	else if (chance(500))
		w.before[page] = w.shadow[page];
	w.map[page].version = w.shadow[page] = w.version;
}

/* --- fingerprints -------------------------------------------------------------------- */

/* Fingerprints are as good as bytes here. */
static void print(uint64_t page, uint32_t version)
{
	struct xm_print print = { { bytes_of[version], 0 } };
	struct xm_pager_event ev = { .kind = XM_PAGER_PRINTED, .page = page,
				     .print = &print };

	xm_pager_step(&w.pager, &ev, &w.fx_inner);
	MUST(w.fx_inner.count == 0, page);
}

/* The law: what is taken for unchanged is what the remote memory holds. */
static void compare(uint64_t page, uint32_t index)
{
	const struct xm_print *before = xm_pager_staged_print(&w.pager, index);
	struct xm_pager_event ev = { .kind = XM_PAGER_COMPARED,
				     .staging_index = index };

	if (before == NULL)
		return;
	ev.changed = before->words[0] != bytes_of[w.staging[index]];
	xm_pager_step(&w.pager, &ev, &w.fx_inner);
	MUST(w.fx_inner.count == 0, page);
	if (ev.changed)
		return;
	MUST(w.remote[page] != GARBAGE && !w.lost[page], page);
	MUST(bytes_of[w.remote[page]] == bytes_of[w.staging[index]], page);
	w.remote[page] = w.staging[index];
}

/* Another thread stores to a page, if it is writable. */
static void racing_store(void)
{
	uint64_t page = below(w.options.pages_max);

	if (w.map[page].how == MAP_WRITE)
		world_write_page(page);
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
		if (i < e->print)
			print(page, w.map[page].version);
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
		if (i < e->print)
			print(page, w.map[page].version);
		w.map[page].how = MAP_WRITE;
		break;
	case XM_COPY:
		/* A page pinned for writing is copied as it is. */
		MUST(how == MAP_READ || w.pins[page] > 0, page);
		MUST(!filling(e->staging_index + i), page);
		MUST(w.storing[page] == 0, page);
		w.staging[e->staging_index + i] = w.map[page].version;
		if (e->compare)
			compare(page, e->staging_index + i);
		break;
	case XM_DROP:
		MUST(how == MAP_READ || how == MAP_WRITE, page);
		/* A writable page is dropped only if its contents are not wanted. */
		MUST(how == MAP_READ || w.contents_may_go || w.lost[page],
		     page);
		MUST(w.pins[page] == 0 || w.contents_may_go || w.pins_may_go,
		     page);
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

void world_unpinned(uint64_t page)
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
		world_unpinned(page);
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
		printf("  effect %d page %llu count %u staging %u%s\n",
		       w.fx.list[i].kind,
		       (unsigned long long)w.fx.list[i].page,
		       w.fx.list[i].count, w.fx.list[i].staging_index,
		       w.fx.list[i].protect ? " protect" : "");
}

void world_step(struct xm_pager_event *ev)
{
	struct xm_pager_effect refusal = { 0 };

	ev->reach = w.clear ? XM_REACH_UP : w.reach;
	w.contents_may_go = ev->kind == XM_PAGER_DISCARD ||
			    ev->kind == XM_PAGER_FORGET;
	w.pins_may_go = ev->kind == XM_PAGER_RIGHTS &&
			ev->rights == XM_PAGE_RIGHTS_NONE;
	if (w.printing)
		w.pager.print_lately = INT16_MAX;
	xm_pager_step(&w.pager, ev, &w.fx);
	if (world_tracing)
		trace(ev);
	MUST(w.fx.count <= XM_PAGER_EFFECTS, ev->page);
	for (uint32_t i = 0; i < w.fx.count && w.broken == NULL; i++) {
		const struct xm_pager_effect *e = &w.fx.list[i];
		bool refused = e->kind == XM_INSTALL && refusal.count == 0 &&
			       !w.clear && chance(w.refuse);

		if (refused)
			refusal = *e;
		carry_out(e, refused);
		if (chance(w.storm))
			racing_store();
	}
	w.contents_may_go = false;
	if (refusal.count > 0)
		refuse(&refusal);
}
