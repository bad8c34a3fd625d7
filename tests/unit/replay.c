/* SPDX-License-Identifier: BSD-3-Clause */
/* The pager on lists of touches, and what bounds it; see touches.h. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/touches.h"

const struct replay_link replay_loopback = {
	.hit_ns = 200,
	.fault_ns = 4000,
	.trip_ns = 8000,
	.page_ns = 2000,
};

struct xm_pager_options replay_options(uint32_t local, uint32_t pages)
{
	struct xm_pager_options o = { .pages_max = pages };

	xm_pager_share_out(&o, local, 0, XM_PAGER_WINDOW_MAX);
	return o;
}

const char *replay_list(const struct touches *t, const struct xm_pager_options *o,
			const struct replay_link *link, struct replay_figures *ret)
{
	struct replay *r = replay_open(o, link);
	const char *broken = NULL;
	uint64_t waits;

	XM_ASSERT(r != NULL);
	replay_back_all(r);
	for (size_t i = 0; i < t->count && broken == NULL; i++) {
		broken = replay_touch(r, touch_page(t->list[i]),
				      touch_writes(t->list[i]), &waits);
		if (i % 4096 == 0 && broken == NULL)
			broken = replay_check(r);
	}
	if (broken == NULL)
		broken = replay_check(r);
	if (broken == NULL)
		replay_figures(r, ret);
	replay_close(r);
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
