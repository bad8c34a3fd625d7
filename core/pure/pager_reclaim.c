/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's reclaim: a search for victims when frames are needed. The order in
 * which frames are looked at is that of the queues in pager_frame.c.
 *
 * Victims leave in batches, since one system call drops many pages and one write
 * stores several: neighbours together, single dirty pages up to `scatter` of them
 * at once. A search frees what is needed and a little more: with 4,096 frames
 * and a window of 8 to install, it must free 8 and tries to free 8 + 16.
 *
 * Bounds of one search: SWEEP_MAX frames looked at, GONE_MAX runs dropped, half of
 * XM_PAGER_EFFECTS effects.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* Frames looked at in one search, at most. */
#define SWEEP_MAX 1024
/* Runs dropped by one search, at most. */
#define GONE_MAX 96
/* Frames freed beyond need: one for every AHEAD_SHARE frames, at most AHEAD_MAX. */
#define AHEAD_MAX 16
#define AHEAD_SHARE 32

/* One search for victims. */
struct sweep {
	uint32_t want; /* frames that must be free at the end */
	uint32_t goal; /* frames that should be free: `want` and some more */
	/* Dirty pages without a dirty neighbour; they are stored by one write. */
	uint64_t lone[XM_PAGER_SCATTER_MAX];
	uint32_t lone_count;
	/* Runs that have left; one DROP each is emitted at the end. */
	struct {
		uint64_t page;
		uint32_t count;
	} gone[GONE_MAX];
	uint32_t gone_count;
	bool full; /* no write-back buffer is free: only clean pages can leave */
};

bool xm_pager_evictable(const struct xm_pager *p, uint64_t page,
			enum xm_page_state state)
{
	const struct xm_page *entry;

	if (page >= p->options.pages_max)
		return false;
	entry = &p->pages[page];
	return entry->state == state && !flagged(entry, FLAG_RECENT) &&
	       !flagged(entry, FLAG_LOST) &&
	       (p->pinned == 0 || !pinned(p, page) ||
		XM_PLANTED(pinned_evicted)) &&
	       (state == XM_PAGE_CLEAN ||
		!flagged(entry, FLAG_STORING | FLAG_HELD));
}

static bool is_lone(const struct sweep *s, uint64_t page)
{
	for (uint32_t i = 0; i < s->lone_count; i++) {
		if (s->lone[i] == page)
			return true;
	}
	return false;
}

static void drop_at_end(struct xm_pager *p, struct sweep *s, uint64_t page,
			uint32_t count)
{
	xm_pager_frames_release(p, page, count);
	p->counters.evictions += count;
	p->returns.evicted += count;
	s->gone[s->gone_count].page = page;
	s->gone[s->gone_count++].count = count;
}

static void store_lone(struct xm_pager *p, struct sweep *s,
		       struct xm_pager_effects *fx)
{
	uint32_t stored;

	if (s->lone_count == 0)
		return;
	stored = xm_pager_store_scattered(p, s->lone, s->lone_count, fx);
	for (uint32_t i = 0; i < stored; i++)
		drop_at_end(p, s, s->lone[i], 1);
	s->full = stored < s->lone_count;
	s->lone_count = 0;
}

/* Under 2Q a victim in COLD must not take its neighbours in HOT along. */
static bool same_queue(const struct xm_pager *p, uint64_t a, uint64_t b)
{
	return p->frames[p->pages[a].frame].queue ==
	       p->frames[p->pages[b].frame].queue;
}

/* The run of at most `most` pages around `page`, itself included, that may leave
 * together. */
static uint32_t run_around(const struct xm_pager *p, const struct sweep *s,
			   uint64_t page, enum xm_page_state state,
			   uint32_t most, uint64_t *ret_first)
{
	uint64_t first = page;
	uint32_t run = 1;

	while (run < most && xm_pager_evictable(p, page + run, state) &&
	       !is_lone(s, page + run) && same_queue(p, page, page + run))
		run++;
	while (run < most && first > 0 &&
	       xm_pager_evictable(p, first - 1, state) &&
	       !is_lone(s, first - 1) && same_queue(p, page, first - 1)) {
		first--;
		run++;
	}
	*ret_first = first;
	return run;
}

/* Returns false when the search is over. */
static bool evict_clean(struct xm_pager *p, struct sweep *s, uint64_t page)
{
	uint32_t have = frames_unused(p) + s->lone_count, run;

	if (have >= s->goal)
		return false;
	run = run_around(p, s, page, XM_PAGE_CLEAN,
			 (uint32_t)xm_min(s->goal - have,
					  XM_PAGER_WINDOW_MAX), &page);
	for (uint32_t i = 0; i < run; i++)
		xm_pager_learn_write(p, page + i, false);
	drop_at_end(p, s, page, run);
	return true;
}

/* Returns false when the search is over. */
static bool evict_dirty(struct xm_pager *p, struct sweep *s, uint64_t page,
			struct xm_pager_effects *fx)
{
	uint32_t have = frames_unused(p) + s->lone_count, run;
	uint64_t first;

	/* Beyond need, a dirty page leaves only by a write that is made anyway. */
	if (have >= s->want && (s->lone_count == 0 || have >= s->goal))
		return false;
	run = run_around(p, s, page, XM_PAGE_DIRTY,
			 (uint32_t)xm_min(s->goal - have, XM_PAGER_BATCH),
			 &first);
	if (run > 1 && have >= s->want)
		return false;
	/* Whether it leaves or not, the search goes on behind it. */
	xm_pager_frame_requeue(p, p->pages[page].frame);
	if (run > 1) {
		run = xm_pager_store_run(p, first, run, STORE_EVICT, fx);
		if (run > 0)
			drop_at_end(p, s, first, run);
		s->full = run == 0;
		return true;
	}
	s->lone[s->lone_count++] = page;
	if (s->lone_count == p->options.scatter)
		store_lone(p, s, fx);
	return true;
}

/* Looks at one frame. Returns false when the search is over. */
static bool sweep_frame(struct xm_pager *p, struct sweep *s, uint32_t index,
			struct xm_pager_effects *fx)
{
	uint64_t page = p->frames[index].page;
	struct xm_page *entry = &p->pages[page];

	if (xm_pager_evictable(p, page, XM_PAGE_CLEAN))
		return evict_clean(p, s, page);
	if (!s->full && !is_lone(s, page) &&
	    xm_pager_evictable(p, page, XM_PAGE_DIRTY))
		return evict_dirty(p, s, page, fx);
	if (frames_unused(p) + s->lone_count >= s->want)
		return false;
	if (flagged(entry, FLAG_LOST) && !flagged(entry, FLAG_RECENT)) {
		xm_pager_drop_run(p, page, 1, fx);
		xm_pager_poison(p, page, fx);
		return true;
	}
	xm_pager_frame_requeue(p, index);
	flag_clear(entry, FLAG_RECENT);
	return true;
}

void xm_pager_make_room(struct xm_pager *p, uint32_t want,
			struct xm_pager_effects *fx)
{
	struct sweep s;
	uint32_t frames = p->options.frames_max;

	if (frames_unused(p) >= want)
		return;
	s.want = want;
	s.goal = want + (uint32_t)xm_min(frames / AHEAD_SHARE, AHEAD_MAX);
	s.lone_count = s.gone_count = 0;
	s.full = false;
	for (uint32_t seen = 0; seen < SWEEP_MAX; seen++) {
		uint32_t index = xm_pager_frame_oldest(p);

		if (index == NO_FRAME || s.gone_count > GONE_MAX / 2 ||
		    fx->count + s.gone_count > XM_PAGER_EFFECTS / 2 ||
		    !sweep_frame(p, &s, index, fx))
			break;
	}
	store_lone(p, &s, fx);
	for (uint32_t i = 0; i < s.gone_count; i++)
		xm_pager_emit(fx, XM_DROP, s.gone[i].page, s.gone[i].count, 0,
			      false);
}
