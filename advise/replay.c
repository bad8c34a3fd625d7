/* SPDX-License-Identifier: BSD-3-Clause */
/* The pager on touches; see replay.h. */
#include "advise/replay.h"

#include <stdlib.h>
#include <string.h>

struct op { /* on the link */
	bool store;
	uint32_t staging_index, count;
	uint64_t due_ns;
};

enum { OPS_MAX = XM_PAGER_WRITEBACK_BUFFERS_MAX + XM_PAGER_FETCH_BUFFERS_MAX };

struct replay {
	struct xm_pager pager;
	struct xm_pager_effects fx, fx_inner;
	struct replay_link link;
	void *memory;
	uint64_t now_ns, free_ns[2]; /* the link's two ways */
	uint64_t hits, faults;
	struct op ops[OPS_MAX];
	uint32_t ops_count;
};

/* A store takes the thread's time too, and the link's for each copy. */
static void post(struct replay *r, const struct xm_pager_effect *e)
{
	bool store = e->kind == XM_STORE;
	uint64_t pages = store ? e->count * r->link.copies : e->count;
	uint64_t begin;

	if (store)
		r->now_ns += pages * r->link.store_ns;
	begin = xm_max(r->now_ns, r->free_ns[store]);
	XM_ASSERT(r->ops_count < OPS_MAX);
	r->free_ns[store] = begin + pages * r->link.page_ns;
	r->ops[r->ops_count++] = (struct op) {
		.store = store,
		.staging_index = e->staging_index,
		.count = e->count,
		.due_ns = r->free_ns[store] + r->link.trip_ns,
	};
}

/* Pages appear and vanish in the machine's own table; there are no others. */
static void carry_out(struct replay *r, const struct xm_pager_effects *fx)
{
	for (uint32_t i = 0; i < fx->count; i++) {
		if (fx->list[i].kind == XM_FETCH || fx->list[i].kind == XM_STORE)
			post(r, &fx->list[i]);
	}
}

/* What is due, oldest first. */
static void deliver(struct replay *r)
{
	for (;;) {
		uint32_t first = r->ops_count;
		struct xm_pager_event ev = { 0 };

		for (uint32_t i = 0; i < r->ops_count; i++) {
			if (r->ops[i].due_ns <= r->now_ns &&
			    (first == r->ops_count ||
			     r->ops[i].due_ns < r->ops[first].due_ns))
				first = i;
		}
		if (first == r->ops_count)
			return;
		ev.kind = r->ops[first].store ? XM_PAGER_STORED
					      : XM_PAGER_FETCHED;
		ev.staging_index = r->ops[first].staging_index;
		ev.count = r->ops[first].count;
		ev.now_ns = r->now_ns;
		r->ops[first] = r->ops[--r->ops_count];
		xm_pager_step(&r->pager, &ev, &r->fx_inner);
		carry_out(r, &r->fx_inner);
	}
}

static bool wait(struct replay *r)
{
	uint64_t due_ns = XM_NEVER;

	for (uint32_t i = 0; i < r->ops_count; i++)
		due_ns = xm_min(due_ns, r->ops[i].due_ns);
	if (due_ns == XM_NEVER)
		return false;
	r->now_ns = xm_max(r->now_ns, due_ns);
	deliver(r);
	return true;
}

static bool is_here(const struct replay *r, uint64_t page, bool write)
{
	uint8_t state = r->pager.pages[page].state;

	return state == XM_PAGE_DIRTY || (state == XM_PAGE_CLEAN && !write);
}

static const char *fault(struct replay *r, uint64_t page, bool write)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_FAULT,
		.page = page,
		.write = write,
		.limit = r->pager.options.pages_max,
		.reach = XM_REACH_UP,
	};

	r->now_ns += r->link.fault_ns;
	r->faults++;
	for (;;) {
		ev.now_ns = r->now_ns;
		xm_pager_step(&r->pager, &ev, &r->fx);
		carry_out(r, &r->fx);
		if (r->fx.verdict == XM_VERDICT_DONE)
			return NULL;
		if (r->fx.verdict != XM_VERDICT_WAIT)
			return "a fault was neither served nor waits";
		ev.again = true;
		if (!wait(r))
			return "a fault waits for nothing";
	}
}

/* A store's first fault may bring the page, its second the right. */
const char *replay_touch(struct replay *r, uint64_t page, bool write,
			 uint64_t *ret_waits)
{
	uint64_t before = r->pager.counters.misses;
	const char *broken = NULL;

	deliver(r);
	r->hits += is_here(r, page, write);
	for (unsigned n = 0; broken == NULL && !is_here(r, page, write); n++)
		broken = n < 3 ? fault(r, page, write)
			       : "a page does not stay for its touch";
	r->now_ns += r->link.hit_ns;
	*ret_waits = r->pager.counters.misses - before;
	return broken;
}

/* Sends an event for a range until all of it is done. */
static const char *range(struct replay *r, enum xm_pager_event_kind kind,
			 uint64_t page, uint64_t limit)
{
	struct xm_pager_event ev = { .kind = kind, .page = page, .limit = limit };

	for (;;) {
		ev.now_ns = r->now_ns;
		xm_pager_step(&r->pager, &ev, &r->fx);
		carry_out(r, &r->fx);
		if (r->fx.verdict == XM_VERDICT_DONE)
			return NULL;
		if (r->fx.verdict == XM_VERDICT_WAIT && !wait(r))
			return "a range waits for nothing";
		ev.page = r->fx.next;
	}
}

const char *replay_fresh(struct replay *r, uint64_t page, uint64_t limit)
{
	return range(r, XM_PAGER_DISCARD, page, limit);
}

void replay_back_all(struct replay *r)
{
	range(r, XM_PAGER_MARK_BACKED, 0, r->pager.options.pages_max);
}

struct replay *replay_open(const struct xm_pager_options *o,
			   const struct replay_link *link)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->memory = calloc(1, xm_pager_memory_size(o));
	if (r == NULL || r->memory == NULL) {
		free(r);
		return NULL;
	}
	r->link = *link;
	r->link.copies = (uint32_t)xm_max(link->copies, 1);
	xm_pager_init(&r->pager, o, r->memory);
	return r;
}

void replay_close(struct replay *r)
{
	free(r->memory);
	free(r);
}

void replay_figures(const struct replay *r, struct replay_figures *ret)
{
	const struct xm_pager_counters *c = &r->pager.counters;

	*ret = (struct replay_figures){
		.hits = r->hits,
		.faults = r->faults,
		.waits = c->misses,
		.pages_read = c->pages_read,
		.pages_written = c->pages_written,
		.wasted = c->prefetched_wasted,
		.returned = c->returned,
		.took_ns = r->now_ns,
	};
	xm_returns_project(&r->pager.returns, r->pager.options.frames_max,
			   ret->projected);
}

const char *replay_check(const struct replay *r)
{
	if (r->pager.counters.frames_peak > r->pager.options.frames_max)
		return "the budget was exceeded";
	return xm_pager_check(&r->pager);
}
