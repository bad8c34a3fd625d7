/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's frames: which page each one holds, and the order in which they
 * will be looked at when room is needed (pager_reclaim.c). See pager.h.
 *
 * A frame in use stands in one of three queues, the oldest first. The kernel does
 * not tell user space which pages a program uses, so faults are the only evidence
 * of use.
 *
 * CLOCK (Corbato 1968), here as FIFO with a second chance: there is one queue,
 * COLD. A fault that finds its page present, or in a write-back buffer, sets
 * FLAG_RECENT, and a frame so marked is moved to the end once instead of evicted.
 *
 * 2Q (Johnson and Shasha, VLDB 1994): new pages enter COLD. A page that comes back
 * before as many pages were evicted as there are frames enters HOT. Victims are
 * taken from COLD while it has more than its share of the frames, so that pages read
 * once do not displace pages that are read repeatedly. The paper keeps a queue of
 * ghosts; here the entry of an absent page holds the number of the eviction by which
 * it left, as in Linux' workingset.c. The share starts at a quarter and adapts as
 * in ARC (Megiddo and Modha, FAST 2003): a page that comes back soon to a queue
 * raises the share of this queue, by more the fewer pages have left it lately.
 * Example, 1,000 frames: the share of COLD is 250 at first. If 40 pages left COLD
 * lately and 400 left HOT, a page that comes back to COLD raises it by
 * 401 / 41 = 9, to 259. It stays between 125 and 875.
 *
 * Pinned frames stand in PINNED, where a search for victims does not look at them,
 * and go back to the queue that they came from.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* The share of COLD under 2Q at first, and the least share of either queue, as
 * divisors of frames_max. */
#define COLD_SHARE 4
#define LEAST_SHARE 8
/* The most frames by which one page that comes back changes the share. */
#define WEIGHT_MAX 64

/* --- queues ------------------------------------------------------------------- */

static struct xm_queue *queue_of(struct xm_pager *p,
				 const struct xm_frame *frame)
{
	return &p->queues[frame->pins > 0 ? QUEUE_PINNED : frame->queue];
}

static inline void queue_append(struct xm_pager *p, uint32_t index)
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

static inline void queue_remove(struct xm_pager *p, uint32_t index)
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

void xm_pager_frame_requeue(struct xm_pager *p, uint32_t index)
{
	queue_remove(p, index);
	queue_append(p, index);
}

/* --- 2Q: the share of COLD ------------------------------------------------------ */

/* The page was evicted so recently that it would still be here if there were twice
 * as many frames. */
static bool came_back_soon(const struct xm_pager *p, const struct xm_page *entry)
{
	return entry->frame != 0 &&
	       p->evicted - entry->frame < p->options.frames_max;
}

/* Frames that COLD may keep before victims are taken from it. */
static uint32_t cold_share(const struct xm_pager *p)
{
	return (uint32_t)((int32_t)(p->options.frames_max / COLD_SHARE) +
			  p->cold_more);
}

/* A page came back soon: the queue that it was evicted from gets a larger share. */
static void adapt_share(struct xm_pager *p, const struct xm_page *entry)
{
	uint32_t from = flagged(entry, FLAG_HOT) ? QUEUE_HOT : QUEUE_COLD;
	uint32_t weight = (p->left[1 - from] + 1) / (p->left[from] + 1);
	uint32_t least = p->options.frames_max / LEAST_SHARE;
	uint32_t most = p->options.frames_max - least;
	uint32_t have = cold_share(p);

	weight = (uint32_t)xm_min(xm_max(weight, 1), WEIGHT_MAX);
	if (from == QUEUE_HOT && have > least)
		p->cold_more -= (int32_t)xm_min(weight, have - least);
	if (from == QUEUE_COLD && have < most)
		p->cold_more += (int32_t)xm_min(weight, most - have);
}

/* Keeps in the entry of a page that leaves when it left, and from which queue. */
static void remember_eviction(struct xm_pager *p, struct xm_page *entry,
			      const struct xm_frame *frame)
{
	entry->frame = p->evicted;
	flag_clear(entry, FLAG_HOT);
	if (frame->queue == QUEUE_HOT)
		flag_set(entry, FLAG_HOT);
	p->left[frame->queue]++;
	if (p->left[QUEUE_COLD] + p->left[QUEUE_HOT] > p->options.frames_max) {
		p->left[QUEUE_COLD] /= 2;
		p->left[QUEUE_HOT] /= 2;
	}
}

uint32_t xm_pager_frame_oldest(const struct xm_pager *p)
{
	const struct xm_queue *cold = &p->queues[QUEUE_COLD];
	const struct xm_queue *hot = &p->queues[QUEUE_HOT];

	if (hot->count == 0 || cold->count > cold_share(p))
		return cold->first;
	return hot->first;
}

/* --- frames ------------------------------------------------------------------- */

static inline void frame_alloc(struct xm_pager *p, uint64_t page)
{
	struct xm_page *entry = &p->pages[page];
	uint32_t index = p->frame_free;
	struct xm_frame *frame;
	bool back = came_back_soon(p, entry);

	if (index != NO_FRAME) {
		p->frame_free = p->frames[index].next;
	} else {
		XM_ASSERT(p->frames_fresh < p->options.frames_max);
		index = p->frames_fresh++;
	}
	p->counters.refaults += back;
	if (back)
		adapt_share(p, entry);
	frame = &p->frames[index];
	frame->page = page;
	frame->pins = 0;
	frame->pins_write = 0;
	if (!XM_PLANTED(print_outlives_frame))
		frame->printed = false;
	frame->queue = p->options.reclaim == XM_RECLAIM_2Q && back ? QUEUE_HOT
								    : QUEUE_COLD;
	queue_append(p, index);
	entry->frame = index;
}

/* One fault brings these pages, which mostly left together, too. */
static inline void note_return(struct xm_pager *p, const struct xm_page *entry,
			       uint32_t count)
{
	unsigned bucket;

	if (entry->frame == 0)
		return;
	bucket = xm_returns_bucket(p->evicted - entry->frame);
	p->returns.pages[bucket] += count;
	p->returns.faults[bucket]++;
	p->counters.returned++;
}

void xm_pager_frames_alloc(struct xm_pager *p, uint64_t page, uint32_t count,
			   bool dirty)
{
	note_return(p, &p->pages[page], count);
	for (uint64_t end = page + count; page < end; page++) {
		frame_alloc(p, page);
		p->pages[page].state = dirty ? XM_PAGE_DIRTY : XM_PAGE_CLEAN;
	}
	p->frames_used += count;
	p->counters.frames_peak = xm_max(p->counters.frames_peak,
					 p->frames_used);
}

static inline void frame_free(struct xm_pager *p, uint64_t page)
{
	uint32_t index = p->pages[page].frame;
	struct xm_frame *frame = &p->frames[index];

	XM_ASSERT(frame->page == page);
	if (frame->pins > 0)
		xm_pager_frame_unpin(p, index);
	queue_remove(p, index);
	frame->page = NOBODY;
	frame->next = p->frame_free;
	p->frame_free = index;
	p->frames_used--;
	remember_eviction(p, &p->pages[page], frame);
}

void xm_pager_frame_free(struct xm_pager *p, uint64_t page)
{
	frame_free(p, page);
}

void xm_pager_frame_pin(struct xm_pager *p, uint32_t index)
{
	queue_remove(p, index);
	p->frames[index].pins = 1;
	p->pinned++;
	queue_append(p, index);
}

void xm_pager_frame_unpin(struct xm_pager *p, uint32_t index)
{
	queue_remove(p, index);
	p->frames[index].pins = 0;
	p->frames[index].pins_write = 0;
	p->pinned--;
	queue_append(p, index);
}

void xm_pager_frames_release(struct xm_pager *p, uint64_t page, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		frame_free(p, page + i);
		p->pages[page + i].state = XM_PAGE_ABSENT;
		flag_clear(&p->pages[page + i], FLAG_RECENT);
		if (XM_PLANTED(rights_evicted))
			flag_clear(&p->pages[page + i], FLAG_RIGHTS);
	}
	p->returns.left += count;
	p->evicted += count;
	if (p->evicted < count)
		p->evicted = 1; /* 0 stands for pages that were never evicted */
	trace(p, XM_TRACE_PAGER_DROP, page, count, 0);
}

void xm_pager_drop_run(struct xm_pager *p, uint64_t page, uint32_t count,
		       struct xm_pager_effects *fx)
{
	xm_pager_frames_release(p, page, count);
	xm_pager_emit(fx, XM_DROP, page, count, 0, false);
}
