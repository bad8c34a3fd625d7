/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's frames, and reclaim: who leaves when room is needed. See pager.h.
 *
 * Frames stand in queues, oldest first. Nobody tells user space that a page
 * was used, so the only signs are faults:
 *
 * CLOCK (Corbato 1968), here as FIFO with a second chance: one queue; a fault
 * that found its page here, or in a write-back buffer, earns it another round.
 *
 * 2Q (Johnson and Shasha, VLDB 1994): newcomers stand in COLD, and a page
 * that comes back within as many evictions as there are frames goes to HOT.
 * COLD pays as long as it has more than its share of the frames, so that what
 * is read once does not drive out what is read again and again. The paper's
 * queue of ghosts is a number in the page's own entry, as in Linux'
 * workingset.c: which eviction it was. The share begins with a quarter and is
 * learnt, as in ARC (Megiddo and Modha, FAST 2003): a page that comes back soon
 * to a queue makes that one's part larger, by more the rarer pages leave it.
 *
 * Victims leave in batches, since one system call drops many pages and one
 * write stores several: neighbours together, others up to `scatter` at once.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* Frames looked at in one search for victims: bounds a step. */
#define SWEEP_MAX 1024
/* Runs dropped by one search. */
#define GONE_MAX 96
/* Clean pages dropped beyond need, most; and one for so many frames. */
#define AHEAD_MAX 16
#define AHEAD_SHARE 32
/* COLD's part of the frames under 2Q at first; and what either keeps at least. */
#define COLD_SHARE 4
#define LEAST_SHARE 8
/* Of one page that came back, most. */
#define WEIGHT_MAX 64

enum { COLD, HOT, PINNED };

/* --- queues ------------------------------------------------------------------- */

/* Pinned ones stand apart, and go back to where they came from: among the
 * others they would be looked at wasted, or be all that is looked at. */
static struct xm_queue *queue_of(struct xm_pager *p,
				 const struct xm_frame *frame)
{
	return &p->queues[frame->pins > 0 ? PINNED : frame->queue];
}

static void queue_push(struct xm_pager *p, uint32_t index)
{
	struct xm_frame *frame = &p->frames[index];
	struct xm_queue *q = queue_of(p, frame);

	frame->next = NO_FRAME;
	frame->previous = q->last;
	if (q->last != NO_FRAME)
		p->frames[q->last].next = index;
	else
		q->first = index;
	q->last = index;
	q->count++;
}

static void queue_take(struct xm_pager *p, uint32_t index)
{
	struct xm_frame *frame = &p->frames[index];
	struct xm_queue *q = queue_of(p, frame);

	if (frame->previous != NO_FRAME)
		p->frames[frame->previous].next = frame->next;
	else
		q->first = frame->next;
	if (frame->next != NO_FRAME)
		p->frames[frame->next].previous = frame->previous;
	else
		q->last = frame->previous;
	q->count--;
}

/* To the end: it is looked at again when all others have been. */
static void queue_again(struct xm_pager *p, uint32_t index)
{
	queue_take(p, index);
	queue_push(p, index);
}

/* --- frames ------------------------------------------------------------------- */

/* Is it back so soon that it would have stayed, had there been twice the
 * frames? */
static bool came_back(const struct xm_pager *p, const struct xm_page *entry)
{
	return entry->frame != 0 &&
	       p->evicted - entry->frame < p->options.frames_max;
}

/* What COLD may keep before it pays. */
static uint32_t cold_frames(const struct xm_pager *p)
{
	return (uint32_t)((int32_t)(p->options.frames_max / COLD_SHARE) +
			  p->cold_more);
}

/* It should have stayed: what it left has had too little room. */
static void learn(struct xm_pager *p, const struct xm_page *entry)
{
	uint32_t from = flagged(entry, FLAG_HOT) ? HOT : COLD;
	uint32_t weight = (p->left[1 - from] + 1) / (p->left[from] + 1);
	uint32_t least = p->options.frames_max / LEAST_SHARE;
	uint32_t most = p->options.frames_max - least;
	uint32_t have = cold_frames(p);

	weight = (uint32_t)xm_min(xm_max(weight, 1), WEIGHT_MAX);
	if (from == HOT && have > least)
		p->cold_more -= (int32_t)xm_min(weight, have - least);
	if (from == COLD && have < most)
		p->cold_more += (int32_t)xm_min(weight, most - have);
}

/* Which queue it leaves, for the day when it comes back. */
static void remember(struct xm_pager *p, struct xm_page *entry,
		     const struct xm_frame *frame)
{
	entry->frame = p->evicted;
	flag_clear(entry, FLAG_HOT);
	if (frame->queue == HOT)
		flag_set(entry, FLAG_HOT);
	p->left[frame->queue]++;
	if (p->left[COLD] + p->left[HOT] > p->options.frames_max) {
		p->left[COLD] /= 2;
		p->left[HOT] /= 2;
	}
}

void xm_pager_frame_take(struct xm_pager *p, uint64_t page)
{
	struct xm_page *entry = &p->pages[page];
	uint32_t index = p->frame_free;
	struct xm_frame *frame;
	bool back = came_back(p, entry);

	if (index != NO_FRAME) {
		p->frame_free = p->frames[index].next;
	} else {
		XM_ASSERT(p->frames_fresh < p->options.frames_max);
		index = p->frames_fresh++;
	}
	p->counters.refaults += back;
	if (back)
		learn(p, entry);
	frame = &p->frames[index];
	frame->page = page;
	frame->pins = 0;
	frame->pins_write = 0;
	frame->queue = p->options.reclaim == XM_RECLAIM_2Q && back ? HOT
								    : COLD;
	queue_push(p, index);
	entry->frame = index;
	p->frames_used++;
	p->counters.frames_peak = xm_max(p->counters.frames_peak,
					 p->frames_used);
}

void xm_pager_frame_give(struct xm_pager *p, uint64_t page)
{
	uint32_t index = p->pages[page].frame;
	struct xm_frame *frame = &p->frames[index];

	XM_ASSERT(frame->page == page);
	if (frame->pins > 0)
		xm_pager_frame_unpin(p, index);
	queue_take(p, index);
	frame->page = NOBODY;
	frame->next = p->frame_free;
	p->frame_free = index;
	p->frames_used--;
	remember(p, &p->pages[page], frame);
}

void xm_pager_frame_pin(struct xm_pager *p, uint32_t index)
{
	queue_take(p, index);
	p->frames[index].pins = 1;
	p->pinned++;
	queue_push(p, index);
}

void xm_pager_frame_unpin(struct xm_pager *p, uint32_t index)
{
	queue_take(p, index);
	p->frames[index].pins = 0;
	p->frames[index].pins_write = 0;
	p->pinned--;
	queue_push(p, index);
}

/* The page's contents are elsewhere, or not wanted. */
static void let_go(struct xm_pager *p, uint64_t page, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		xm_pager_frame_give(p, page + i);
		p->pages[page + i].state = XM_PAGE_ABSENT;
		flag_clear(&p->pages[page + i], FLAG_RECENT);
	}
	p->evicted += count;
	if (p->evicted < count)
		p->evicted = 1; /* 0 is for pages that never left */
	note(p, XM_TRACE_PAGER_DROP, page, count, 0);
}

void xm_pager_drop_run(struct xm_pager *p, uint64_t page, uint32_t count,
		       struct xm_pager_effects *fx)
{
	let_go(p, page, count);
	xm_pager_emit(fx, XM_DROP, page, count, 0, false);
}

/* --- reclaim ---------------------------------------------------------------------- */

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
	       (state == XM_PAGE_CLEAN || !flagged(entry, FLAG_STORING));
}

void xm_pager_poison(struct xm_pager *p, uint64_t page,
		     struct xm_pager_effects *fx)
{
	p->pages[page].state = XM_PAGE_POISONED;
	p->counters.pages_lost++;
	note(p, XM_TRACE_PAGER_POISON, page, 0, 0);
	xm_pager_emit(fx, XM_POISON, page, 1, 0, false);
}

/* One search for victims. */
struct sweep {
	uint32_t want, goal; /* frames to be free: must, and better */
	/* Dirty ones without a neighbour, to be stored together. */
	uint64_t lone[XM_PAGER_SCATTER_MAX];
	uint32_t lone_count;
	/* Dropped together when all have been chosen. */
	struct {
		uint64_t page;
		uint32_t count;
	} gone[GONE_MAX];
	uint32_t gone_count;
	bool full; /* no write-back buffer for one is no write-back buffer for any */
};

static bool is_lone(const struct sweep *s, uint64_t page)
{
	for (uint32_t i = 0; i < s->lone_count; i++) {
		if (s->lone[i] == page)
			return true;
	}
	return false;
}

static void drop_later(struct xm_pager *p, struct sweep *s, uint64_t page,
		       uint32_t count)
{
	let_go(p, page, count);
	p->counters.evictions += count;
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
		drop_later(p, s, s->lone[i], 1);
	s->full = stored < s->lone_count;
	s->lone_count = 0;
}

/* Under 2Q, what is read once must not take with it what stands in HOT. */
static bool same_queue(const struct xm_pager *p, uint64_t a, uint64_t b)
{
	return p->frames[p->pages[a].frame].queue ==
	       p->frames[p->pages[b].frame].queue;
}

/* The neighbours of `page`, itself included, that may leave with it. */
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

/* False: enough. */
static bool evict_clean(struct xm_pager *p, struct sweep *s, uint64_t page)
{
	uint32_t have = frames_free(p) + s->lone_count, run;

	if (have >= s->goal)
		return false;
	run = run_around(p, s, page, XM_PAGE_CLEAN,
			 (uint32_t)xm_min(s->goal - have,
					  XM_PAGER_WINDOW_MAX), &page);
	for (uint32_t i = 0; i < run; i++)
		xm_pager_learn_write(p, page + i, false);
	drop_later(p, s, page, run);
	return true;
}

static bool evict_dirty(struct xm_pager *p, struct sweep *s, uint64_t page,
			struct xm_pager_effects *fx)
{
	uint32_t have = frames_free(p) + s->lone_count, run;
	uint64_t first;

	/* Beyond need only what goes by the same write. */
	if (have >= s->want && (s->lone_count == 0 || have >= s->goal))
		return false;
	run = run_around(p, s, page, XM_PAGE_DIRTY,
			 (uint32_t)xm_min(s->goal - have, XM_PAGER_BATCH),
			 &first);
	if (run > 1 && have >= s->want)
		return false;
	/* It leaves the front whether it goes or not. */
	queue_again(p, p->pages[page].frame);
	if (run > 1) {
		run = xm_pager_store_run(p, first, run, true, false, fx);
		if (run > 0)
			drop_later(p, s, first, run);
		s->full = run == 0;
		return true;
	}
	s->lone[s->lone_count++] = page;
	if (s->lone_count == p->options.scatter)
		store_lone(p, s, fx);
	return true;
}

/* Whose turn it is; NO_FRAME when nobody is here. */
static uint32_t oldest(const struct xm_pager *p)
{
	const struct xm_queue *cold = &p->queues[COLD], *hot = &p->queues[HOT];

	if (hot->count == 0 ||
	    cold->count > cold_frames(p))
		return cold->first;
	return hot->first;
}

/* Looks at one frame. False: the search is over. */
static bool sweep_one(struct xm_pager *p, struct sweep *s, uint32_t index,
		      struct xm_pager_effects *fx)
{
	uint64_t page = p->frames[index].page;
	struct xm_page *entry = &p->pages[page];

	if (xm_pager_evictable(p, page, XM_PAGE_CLEAN))
		return evict_clean(p, s, page);
	if (!s->full && !is_lone(s, page) &&
	    xm_pager_evictable(p, page, XM_PAGE_DIRTY))
		return evict_dirty(p, s, page, fx);
	if (frames_free(p) + s->lone_count >= s->want)
		return false;
	if (flagged(entry, FLAG_LOST) && !flagged(entry, FLAG_RECENT)) {
		xm_pager_drop_run(p, page, 1, fx);
		xm_pager_poison(p, page, fx);
		return true;
	}
	queue_again(p, index);
	flag_clear(entry, FLAG_RECENT);
	return true;
}

void xm_pager_make_room(struct xm_pager *p, uint32_t want,
			struct xm_pager_effects *fx)
{
	struct sweep s;
	uint32_t frames = p->options.frames_max;

	if (frames_free(p) >= want)
		return;
	s.want = want;
	s.goal = want + (uint32_t)xm_min(frames / AHEAD_SHARE, AHEAD_MAX);
	s.lone_count = s.gone_count = 0;
	s.full = false;
	for (uint32_t seen = 0; seen < SWEEP_MAX; seen++) {
		uint32_t index = oldest(p);

		if (index == NO_FRAME || s.gone_count > GONE_MAX / 2 ||
		    fx->count + s.gone_count > XM_PAGER_EFFECTS / 2 ||
		    !sweep_one(p, &s, index, fx))
			break;
	}
	store_lone(p, &s, fx);
	for (uint32_t i = 0; i < s.gone_count; i++)
		xm_pager_emit(fx, XM_DROP, s.gone[i].page, s.gone[i].count, 0,
			      false);
}
