/* SPDX-License-Identifier: BSD-3-Clause */
/* The pager on lists of touches, and what bounds it; see replay.h. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/replay.h"

const struct replay_link replay_loopback = {
	.hit_ns = 200,
	.fault_ns = 4000,
	.trip_ns = 8000,
	.page_ns = 2000,
};

struct xm_pager_options replay_options(uint32_t local, uint32_t pages)
{
	uint32_t window = 4;
	struct xm_pager_options o = { .pages_max = pages };

	while (window < 64 && window * 256 <= local)
		window *= 2;
	o.window_max = window;
	o.fetch_buffers = (uint32_t)xm_min(xm_max(local / 8 / window, 4), 16);
	o.writeback_buffers = (uint32_t)xm_min(xm_max(local / 16, 8), 256);
	o.frames_max = local - xm_pager_staging_pages(&o);
	o.pins_max = o.frames_max / 2;
	o.scatter = 4;
	return o;
}

/* --- the machine and its world -------------------------------------------------- */

struct op { /* on the link */
	bool store;
	uint32_t staging_index, count;
	uint64_t due_ns;
};

enum { OPS_MAX = XM_PAGER_WRITEBACK_BUFFERS_MAX + XM_PAGER_FETCH_BUFFERS_MAX };

struct world {
	struct xm_pager pager;
	struct xm_pager_effects fx, fx_inner;
	const struct replay_link *link;
	uint64_t now_ns, free_ns[2]; /* the link's two ways */
	struct op ops[OPS_MAX];
	uint32_t ops_count;
};

static void post(struct world *w, const struct xm_pager_effect *e)
{
	bool store = e->kind == XM_STORE;
	uint64_t begin = xm_max(w->now_ns, w->free_ns[store]);

	XM_ASSERT(w->ops_count < OPS_MAX);
	w->free_ns[store] = begin + e->count * w->link->page_ns;
	w->ops[w->ops_count++] = (struct op) {
		.store = store,
		.staging_index = e->staging_index,
		.count = e->count,
		.due_ns = w->free_ns[store] + w->link->trip_ns,
	};
}

/* Pages appear and vanish in the machine's own table; there are no others. */
static void carry_out(struct world *w, const struct xm_pager_effects *fx)
{
	for (uint32_t i = 0; i < fx->count; i++) {
		if (fx->list[i].kind == XM_FETCH || fx->list[i].kind == XM_STORE)
			post(w, &fx->list[i]);
	}
}

/* What is due, oldest first. */
static void deliver(struct world *w)
{
	for (;;) {
		uint32_t first = w->ops_count;
		struct xm_pager_event ev = { 0 };

		for (uint32_t i = 0; i < w->ops_count; i++) {
			if (w->ops[i].due_ns <= w->now_ns &&
			    (first == w->ops_count ||
			     w->ops[i].due_ns < w->ops[first].due_ns))
				first = i;
		}
		if (first == w->ops_count)
			return;
		ev.kind = w->ops[first].store ? XM_PAGER_STORED
					      : XM_PAGER_FETCHED;
		ev.staging_index = w->ops[first].staging_index;
		ev.count = w->ops[first].count;
		ev.now_ns = w->now_ns;
		w->ops[first] = w->ops[--w->ops_count];
		xm_pager_step(&w->pager, &ev, &w->fx_inner);
		carry_out(w, &w->fx_inner);
	}
}

static bool wait(struct world *w)
{
	uint64_t due_ns = XM_NEVER;

	for (uint32_t i = 0; i < w->ops_count; i++)
		due_ns = xm_min(due_ns, w->ops[i].due_ns);
	if (due_ns == XM_NEVER)
		return false;
	w->now_ns = xm_max(w->now_ns, due_ns);
	deliver(w);
	return true;
}

static bool is_here(const struct world *w, uint32_t touch)
{
	uint8_t state = w->pager.pages[touch_page(touch)].state;

	return state == XM_PAGE_DIRTY ||
	       (state == XM_PAGE_CLEAN && !touch_writes(touch));
}

static const char *fault(struct world *w, uint32_t touch, uint64_t *ret_waits)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_FAULT,
		.page = touch_page(touch),
		.write = touch_writes(touch),
		.limit = w->pager.options.pages_max,
		.reach = XM_REACH_UP,
	};

	w->now_ns += w->link->fault_ns;
	for (;;) {
		ev.now_ns = w->now_ns;
		xm_pager_step(&w->pager, &ev, &w->fx);
		carry_out(w, &w->fx);
		if (w->fx.verdict == XM_VERDICT_DONE)
			break;
		if (w->fx.verdict != XM_VERDICT_WAIT)
			return "a fault was neither served nor waits";
		*ret_waits += !ev.again;
		ev.again = true;
		if (!wait(w))
			return "a fault waits for nothing";
	}
	/* A store's first fault may bring the page, its second the right. */
	return NULL;
}

const char *replay(const struct touches *t, const struct xm_pager_options *o,
		   const struct replay_link *link, struct replay_figures *ret)
{
	struct world *w = calloc(1, sizeof(*w));
	void *memory = calloc(1, xm_pager_memory_size(o));
	struct xm_pager_event adopt = { .kind = XM_PAGER_MARK_BACKED,
					.limit = o->pages_max };
	struct replay_figures f = { 0 };
	const char *broken = NULL;

	XM_ASSERT(w != NULL && memory != NULL);
	w->link = link;
	xm_pager_init(&w->pager, o, memory);
	do {
		xm_pager_step(&w->pager, &adopt, &w->fx);
		adopt.page = w->fx.next;
	} while (w->fx.verdict == XM_VERDICT_MORE);
	for (size_t i = 0; i < t->count && broken == NULL; i++) {
		deliver(w);
		f.hits += is_here(w, t->list[i]);
		for (unsigned n = 0; !is_here(w, t->list[i]); n++) {
			f.faults++;
			broken = n < 3 ? fault(w, t->list[i], &f.waits)
				       : "a page does not stay for its touch";
			if (broken != NULL)
				break;
		}
		w->now_ns += link->hit_ns;
		if (i % 4096 == 0 && broken == NULL)
			broken = xm_pager_check(&w->pager);
	}
	if (w->pager.counters.frames_peak > o->frames_max)
		broken = "the budget was exceeded";
	f.pages_read = w->pager.counters.pages_read;
	f.pages_written = w->pager.counters.pages_written;
	f.wasted = w->pager.counters.prefetched_wasted;
	f.returned = w->pager.counters.returned;
	xm_returns_project(&w->pager.returns, o->frames_max, f.projected);
	f.took_ns = w->now_ns;
	free(memory);
	free(w);
	if (broken == NULL)
		*ret = f;
	return broken;
}

/* --- what bounds it ----------------------------------------------------------------- */

uint64_t replay_lru(const struct touches *t, uint32_t frames)
{
	/* A list through the pages, its head at `pages`; newest first. */
	uint32_t head = t->pages, used = 0;
	uint32_t *next = malloc((head + 1) * sizeof(*next));
	uint32_t *last = malloc((head + 1) * sizeof(*last));
	bool *here = calloc(head, sizeof(*here));
	uint64_t reads = 0;

	XM_ASSERT(next != NULL && last != NULL && here != NULL);
	next[head] = last[head] = head;
	for (size_t i = 0; i < t->count; i++) {
		uint32_t page = touch_page(t->list[i]), out = page;

		if (!here[page]) {
			reads++;
			out = used < frames ? head : last[head];
			used += used < frames;
		}
		if (out != head) {
			next[last[out]] = next[out];
			last[next[out]] = last[out];
			here[out] = false;
		}
		here[page] = true;
		next[page] = next[head];
		last[page] = head;
		last[next[head]] = page;
		next[head] = page;
	}
	free(next);
	free(last);
	free(here);
	return reads;
}

struct need { /* when a page is wanted next */
	size_t when;
	uint32_t page;
};

struct heap { /* the latest on top */
	struct need *needs;
	size_t count;
};

static void heap_push(struct heap *h, struct need need)
{
	size_t i = h->count++;

	for (; i > 0 && h->needs[(i - 1) / 2].when < need.when; i = (i - 1) / 2)
		h->needs[i] = h->needs[(i - 1) / 2];
	h->needs[i] = need;
}

static struct need heap_pop(struct heap *h)
{
	struct need top = h->needs[0], need = h->needs[--h->count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < h->count) {
		child += child + 1 < h->count &&
			 h->needs[child + 1].when > h->needs[child].when;
		if (h->needs[child].when <= need.when)
			break;
		h->needs[i] = h->needs[child];
		i = child;
	}
	h->needs[i] = need;
	return top;
}

uint64_t replay_best(const struct touches *t, uint32_t frames)
{
	size_t *next = malloc(t->count * sizeof(*next));
	size_t *wanted = malloc(t->pages * sizeof(*wanted)); /* if here */
	bool *here = calloc(t->pages, sizeof(*here));
	struct heap heap = { malloc(t->count * sizeof(*heap.needs)), 0 };
	uint64_t reads = 0;
	uint32_t used = 0;

	XM_ASSERT(next && wanted && here && heap.needs);
	for (uint32_t page = 0; page < t->pages; page++)
		wanted[page] = t->count;
	for (size_t i = t->count; i-- > 0;) {
		next[i] = wanted[touch_page(t->list[i])];
		wanted[touch_page(t->list[i])] = i;
	}
	for (size_t i = 0; i < t->count; i++) {
		uint32_t page = touch_page(t->list[i]);

		if (!here[page]) {
			reads++;
			/* Entries of the past are stale: they are passed by. */
			while (used == frames) {
				struct need out = heap_pop(&heap);

				if (!here[out.page] ||
				    wanted[out.page] != out.when)
					continue;
				here[out.page] = false;
				used--;
			}
			here[page] = true;
			used++;
		}
		wanted[page] = next[i];
		heap_push(&heap, (struct need) { next[i], page });
	}
	free(next);
	free(wanted);
	free(here);
	free(heap.needs);
	return reads;
}
