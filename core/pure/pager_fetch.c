/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's fetch buffers and streams: reads, and reading ahead. See pager.h.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* --- fetch buffers: fetching ---------------------------------------------------------------- */

void xm_pager_buffer_clear(struct xm_pager *p, uint32_t index, bool wasted)
{
	struct xm_fetch_buffer *buffer = &p->fetch_buffers[index];

	for (uint32_t i = 0; i < buffer->count; i++) {
		struct xm_page *entry = &p->pages[buffer->page + i];

		if (in_buffer(entry, index))
			entry->state = XM_PAGE_ABSENT;
	}
	/* Of a window that was waited for, its stream keeps the account. */
	if (wasted && buffer->demand == 0)
		xm_pager_wasted(p, buffer, buffer->own);
	buffer->state = FETCH_FREE;
	buffer->count = buffer->own = 0;
}

uint32_t xm_pager_buffer_own(const struct xm_pager *p, uint32_t index,
			   uint64_t page, uint32_t count)
{
	uint32_t own = 0;

	for (uint32_t i = 0; i < count; i++)
		own += in_buffer(&p->pages[page + i], index);
	return own;
}

/* A fetch buffer for a fetch: a free one, else the oldest that arrived and was not
 * asked for; for a demand, even one that was (its thread may be gone). What
 * is read ahead does not take the place of what the same stream has ahead. */
static int buffer_choose(struct xm_pager *p, bool demand, uint8_t stream)
{
	int best = -1;
	uint64_t best_rank = UINT64_MAX;

	for (uint32_t i = 0; i < p->options.fetch_buffers; i++) {
		const struct xm_fetch_buffer *buffer = &p->fetch_buffers[i];
		uint64_t rank;

		if (buffer->state == FETCH_IN_FLIGHT)
			continue;
		if (buffer->state == FETCH_FREE)
			return (int)i;
		if (!demand && (buffer->demand > 0 || buffer->stream == stream))
			continue;
		rank = buffer->used + (buffer->demand > 0 ? UINT64_MAX / 2 : 0);
		if (rank < best_rank) {
			best_rank = rank;
			best = (int)i;
		}
	}
	if (best >= 0)
		xm_pager_buffer_clear(p, (uint32_t)best, true);
	return best;
}

bool xm_pager_fetchable(const struct xm_pager *p, uint64_t page)
{
	const struct xm_page *entry = &p->pages[page];

	if (XM_PLANTED(prefetch_races_store) &&
	    entry->state == XM_PAGE_ABSENT && flagged(entry, FLAG_STORING))
		return !flagged(entry, FLAG_LOST);
	return idle(entry) && flagged(entry, FLAG_WRITTEN) &&
	       !flagged(entry, FLAG_LOST);
}

bool xm_pager_fetch_run(struct xm_pager *p, uint64_t page, uint32_t count,
		      uint16_t demand, const struct xm_stream *s,
		      struct xm_pager_effects *fx)
{
	uint8_t stream = s != NULL ? (uint8_t)(s - p->streams)
				   : XM_PAGER_STREAMS;
	int index = buffer_choose(p, demand > 0, stream);
	struct xm_fetch_buffer *buffer;

	if (index < 0) {
		if (demand > 0)
			note(p, XM_TRACE_PAGER_FETCH_FULL, page, 0, 0);
		return false;
	}
	note(p, demand > 0 ? XM_TRACE_PAGER_FETCH : XM_TRACE_PAGER_PREFETCH,
	     page, (uint64_t)index, count);
	buffer = &p->fetch_buffers[index];
	buffer->page = page;
	buffer->count = (uint16_t)count;
	buffer->own = 0;
	buffer->state = FETCH_IN_FLIGHT;
	buffer->demand = demand;
	buffer->backward = s != NULL && s->step < 0;
	buffer->stream = stream;
	buffer->used = ++p->order;
	for (uint32_t i = 0; i < count; i++) {
		if (present(&p->pages[page + i]))
			continue;
		p->pages[page + i].state = XM_PAGE_FETCHING;
		p->pages[page + i].buffer = (uint16_t)index;
		buffer->own++;
	}
	xm_pager_emit(fx, XM_FETCH, page, count, buffer_staging(p, (uint32_t)index),
	       false);
	return true;
}

/* Was its remote memory lost while the read flew? Then what came may be anything:
 * zeros, or another client's. */
static bool any_lost(const struct xm_pager *p, uint32_t index)
{
	const struct xm_fetch_buffer *buffer = &p->fetch_buffers[index];

	for (uint32_t i = 0; i < buffer->count; i++) {
		const struct xm_page *entry = &p->pages[buffer->page + i];

		if (in_buffer(entry, index) && flagged(entry, FLAG_LOST))
			return true;
	}
	return false;
}

/* Nothing of it came: it is neither used nor wasted. */
static void window_failed(struct xm_pager *p, const struct xm_fetch_buffer *buffer)
{
	for (unsigned i = 0; buffer->demand > 0 && i < XM_PAGER_WINDOWS; i++) {
		if (p->windows[i].page == buffer->page)
			p->windows[i].others = 0;
	}
}

void xm_pager_on_fetched(struct xm_pager *p, const struct xm_pager_event *ev)
{
	uint32_t index = ev->staging_index / p->options.window_max;
	struct xm_fetch_buffer *buffer;

	XM_ASSERT(index < p->options.fetch_buffers);
	buffer = &p->fetch_buffers[index];
	XM_ASSERT(buffer->state == FETCH_IN_FLIGHT);
	note(p, ev->status == 0 && any_lost(p, index)
			? XM_TRACE_PAGER_FETCHED_LOST
			: XM_TRACE_PAGER_FETCHED,
	     buffer->page, buffer->count, (uint64_t)(int64_t)ev->status);
	if (ev->status != 0 || any_lost(p, index)) {
		window_failed(p, buffer);
		xm_pager_buffer_clear(p, index, false);
		return;
	}
	buffer->state = FETCH_ARRIVED;
	p->counters.pages_read += buffer->count;
	p->counters.prefetched += buffer->own - buffer->demand;
}

/* --- streams: reading ahead ------------------------------------------------------------ */

/* Pages of a stream that may be here already, and so not be missed. */
#define SLACK 8
/* And how many, where all of them are. */
#define LEAP 64
/* Pages looked at for the next one that is not here. */
#define SKIP 64
/* Misses that vote, and how far back they look for the one before. */
#define VOTES 8
#define LAGS 4
/* A stride longer than this is no stride. */
#define STRIDE_MAX 65536
/* A window is at most such a part of the credit. */
#define CREDIT_SHARE (XM_PAGER_CREDIT / XM_PAGER_WINDOW_MAX)
/* One window in so many is cut short, by up to such a part of it. */
#define CUT_EVERY 8
#define CUT_SHARE 4

static bool strided(const struct xm_stream *s)
{
	return s->step != 1 && s->step != -1;
}

void xm_pager_credit(struct xm_pager *p, uint32_t pages)
{
	p->credit += (int32_t)pages;
	if (p->credit > XM_PAGER_CREDIT)
		p->credit = XM_PAGER_CREDIT;
}

static void wasted(struct xm_pager *p, uint64_t page, uint32_t pages)
{
	if (pages == 0)
		return;
	p->counters.prefetched_wasted += pages;
	note(p, XM_TRACE_PAGER_WASTE, page, pages, 0);
}

void xm_pager_wasted(struct xm_pager *p, const struct xm_fetch_buffer *buffer,
		     uint32_t pages)
{
	struct xm_stream *s;

	wasted(p, buffer->page, pages);
	if (buffer->stream == XM_PAGER_STREAMS)
		return; /* the program asked for it */
	p->credit -= (int32_t)pages;
	s = &p->streams[buffer->stream];
	if (s->window > 1)
		s->window /= 2;
}

/* --- windows of which nobody knows yet --------------------------------------- */

/* Is `page` the very next after `at`? What lies between, and is here, nobody
 * hears of. */
static bool is_next(const struct xm_pager *p, uint64_t at, int64_t step,
		    uint64_t page)
{
	uint64_t gap = step > 0 ? page - at : at - page;

	if (gap > LEAP)
		return false;
	for (; at != page; at += (uint64_t)step) {
		if (!present(&p->pages[at]))
			return false;
	}
	return true;
}

static void judge(struct xm_pager *p, struct xm_window *w, bool used)
{
	if (used) {
		xm_pager_credit(p, w->others);
	} else {
		wasted(p, w->page, w->others);
		p->credit -= w->others;
	}
	w->others = 0;
}

/* The window that a touch of this page proves, or NULL. */
static struct xm_window *proven_by(struct xm_pager *p, uint64_t page)
{
	for (unsigned i = 0; i < XM_PAGER_WINDOWS; i++) {
		struct xm_window *w = &p->windows[i];

		if (w->others > 0 && is_next(p, w->next, w->step, page))
			return w;
	}
	return NULL;
}

static struct xm_window *window_before(struct xm_pager *p, uint64_t next)
{
	for (unsigned i = 0; i < XM_PAGER_WINDOWS; i++) {
		if (p->windows[i].others > 0 && p->windows[i].next == next)
			return &p->windows[i];
	}
	return NULL;
}

/* What is not proven when as many others have come is held to be wasted. */
static void window_put(struct xm_pager *p, const struct xm_stream *s,
		       uint32_t others)
{
	struct xm_window *w = &p->windows[p->window++ % XM_PAGER_WINDOWS];

	judge(p, w, false);
	*w = (struct xm_window){
		.page = s->first, .next = s->next,
		.step = s->step < 0 ? -1 : 1, .others = (uint16_t)others,
	};
}

/* The step that most of the last misses took, from the miss `lag` before each;
 * 0: there is no majority. Boyer and Moore's vote, as in Leap (Al Maruf and
 * Chowdhury, ATC 2020); the lag is for streams that take turns. */
static int64_t vote(const struct xm_pager *p, unsigned lag)
{
	int64_t candidate = 0;
	unsigned weight = 0, votes = 0;

	if (p->misses < VOTES + lag)
		return 0;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint32_t i = p->misses - VOTES; i < p->misses; i++) {
			int64_t step = (int64_t)(
				p->missed[i % XM_PAGER_MISSED] -
				p->missed[(i - lag) % XM_PAGER_MISSED]);

			if (pass == 1) {
				votes += step == candidate;
			} else if (weight == 0) {
				candidate = step;
				weight = 1;
			} else {
				weight += step == candidate ? 1 : -1U;
			}
		}
	}
	return 2 * votes > VOTES && candidate >= -STRIDE_MAX &&
			       candidate <= STRIDE_MAX
		       ? candidate : 0;
}

/* Of a miss that continues no stream. */
static int64_t step_of(struct xm_pager *p, uint64_t page)
{
	p->missed[p->misses++ % XM_PAGER_MISSED] = page;
	for (unsigned lag = 1; lag <= LAGS; lag++) {
		int64_t step = vote(p, lag);

		if (step != 0 && page + (uint64_t)step < p->options.pages_max)
			return step;
	}
	return 1;
}

/* Is all that lies between where a proven stream is and `page` here? Nobody
 * hears of its being used: to the stream it is as if it were not there. */
static bool over_what_is_here(const struct xm_pager *p,
			      const struct xm_stream *s, uint64_t page)
{
	uint64_t gap = s->step > 0 ? page - s->next : s->next - page;

	if (s->window < 4 || gap > LEAP)
		return false;
	for (uint64_t i = 0; i < gap; i++) {
		if (!present(&p->pages[s->step > 0 ? s->next + i
						   : s->next - i]))
			return false;
	}
	return true;
}

static bool continues(const struct xm_pager *p, struct xm_stream *s,
		      uint64_t page, uint32_t count)
{
	uint64_t slack = s->window >= 4 ? SLACK : 0;

	if (s->used == 0)
		return false;
	if (strided(s))
		return page == s->next;
	/* One page down from where a stream began: it goes down. */
	if (s->window == 1 && page + count == s->first) {
		s->step = -1;
		s->next = s->edge = page + count - 1;
	}
	if (s->step > 0)
		return s->next < page + count &&
		       (s->next + slack >= page ||
			over_what_is_here(p, s, page));
	return s->next >= page &&
	       (s->next <= page + count - 1 + slack ||
		over_what_is_here(p, s, page + count - 1));
}

/* Now and then a window is cut short, by a number nobody foresees: touches that
 * keep a distance must not fall on first pages again and again. */
static uint32_t cut_of(struct xm_pager *p, const struct xm_stream *s)
{
	if (s->window < 2 * CUT_SHARE || xm_rand_below(&p->rand, CUT_EVERY) > 0)
		return 0;
	return 1 + (uint32_t)xm_rand_below(&p->rand, s->window / CUT_SHARE);
}

struct xm_stream *xm_pager_stream_at(struct xm_pager *p, uint64_t page,
				     uint32_t count, uint64_t touched)
{
	struct xm_stream *oldest = &p->streams[0];
	struct xm_window *w = proven_by(p, touched);
	bool proven = w != NULL;
	int64_t step;

	if (proven)
		judge(p, w, true);
	for (unsigned i = 0; i < XM_PAGER_STREAMS; i++) {
		struct xm_stream *s = &p->streams[i];

		if (s->used < oldest->used)
			oldest = s;
		if (!continues(p, s, page, count))
			continue;
		s->proven = proven || is_next(p, s->next, s->step, touched);
		w = s->proven ? NULL : window_before(p, s->next);
		if (w != NULL)
			judge(p, w, false);
		/* Each page of a strided stream takes a fetch buffer of its own. */
		if (s->proven)
			s->window = (uint32_t)xm_min(
				2 * s->window, strided(s)
						       ? p->options.fetch_buffers / 2
						       : p->options.window_max);
		else if (s->window > 1)
			s->window /= 2;
		s->cut = cut_of(p, s);
		s->used = ++p->order;
		return s;
	}
	step = step_of(p, page);
	*oldest = (struct xm_stream){
		.first = page, .next = page + (uint64_t)step, .step = step,
		.edge = page + (uint64_t)step,
		.window = step == 1 || step == -1 ? 1 : 2,
		.used = ++p->order, .proven = proven,
	};
	return oldest;
}

void xm_pager_stream_moved(struct xm_pager *p, struct xm_stream *s,
			   uint64_t page, uint32_t count, uint32_t others,
			   const struct xm_pager_event *ev)
{
	s->first = page;
	if (strided(s))
		s->next = page + (uint64_t)s->step;
	else
		s->next = s->step > 0 ? page + count : page - 1;
	/* What has been read ahead already stays so. */
	if (s->step > 0 ? s->edge < s->next : s->edge > s->next)
		s->edge = s->next;
	if (others == 0)
		return;
	/* Where nothing lies behind it that would tell, how it was come into
	 * has to do. */
	if (s->proven && (s->step > 0 ? page + count >= ev->limit
				      : page <= ev->floor))
		xm_pager_credit(p, others);
	else
		window_put(p, s, others);
}

/* Pages of its next window: the less credit is left, the fewer. So who runs a
 * while and stops has windows that fit the while, not great ones and none. */
static uint32_t window_now(const struct xm_pager *p, const struct xm_stream *s)
{
	uint32_t credit = p->credit > 0 ? (uint32_t)p->credit : 0;

	return (uint32_t)xm_min(s->window - s->cut, 1 + credit / CREDIT_SHARE);
}

void xm_pager_stream_passed(struct xm_pager *p, const struct xm_stream *s,
			    uint32_t pages)
{
	wasted(p, s->next, pages);
	p->credit -= (int32_t)pages;
}

/* Here, and its remote bytes may be asked for all the same. */
static bool readable_again(const struct xm_pager *p, uint64_t page)
{
	const struct xm_page *entry = &p->pages[page];

	return present(entry) && flagged(entry, FLAG_WRITTEN) &&
	       !flagged(entry, FLAG_LOST);
}

uint32_t xm_pager_stream_run(const struct xm_pager *p,
			     const struct xm_stream *s, uint64_t page,
			     const struct xm_pager_event *ev,
			     bool (*want)(const struct xm_pager *, uint64_t),
			     uint32_t gap, uint64_t *ret_page)
{
	uint64_t most = s->step > 0 ? ev->limit + XM_PLANTED(last_page_ahead) -
					      page
				    : page - ev->floor + 1;
	uint32_t run = 1;

	*ret_page = page;
	if (strided(s))
		return run;
	if (want == xm_pager_fetchable)
		most = xm_min(xm_min(most, window_now(p, s)),
			      fetch_limit(ev, page, s->step > 0));
	else
		most = xm_min(most, s->window);
	for (uint32_t i = 1; i < most; i++) {
		uint64_t at = s->step > 0 ? page + i : page - i;

		if (want(p, at) && !flagged(&p->pages[at], FLAG_RANDOM))
			run = i + 1;
		else if (i - run >= gap || !readable_again(p, at))
			break;
	}
	if (s->step < 0)
		*ret_page = page - (run - 1);
	return run;
}

/* Is the edge where something can be read ahead, after skipping what is here?
 * No further from where the stream is than `far`. */
static bool at_edge(const struct xm_pager *p, struct xm_stream *s,
		    const struct xm_pager_event *ev, uint64_t remote)
{
	for (unsigned i = 0; i < SKIP; i++) {
		uint64_t ahead = s->step > 0 ? s->edge - s->next
					     : s->next - s->edge;

		if (s->edge < ev->floor || s->edge >= ev->limit ||
		    ahead >= remote)
			return false;
		if (xm_pager_fetchable(p, s->edge) &&
		    !flagged(&p->pages[s->edge], FLAG_RANDOM))
			return true;
		/* Where it is on its way, others follow by themselves. */
		s->edge += (uint64_t)s->step;
	}
	return false;
}

/* Two windows ahead of a proven stream: while one is used up, the remote side has
 * the next to send. */
void xm_pager_stream_ahead(struct xm_pager *p, struct xm_stream *s,
			   const struct xm_pager_event *ev,
			   struct xm_pager_effects *fx)
{
	uint64_t remote = strided(s) ? s->window * (uint64_t)(s->step > 0
								? s->step
								: -s->step)
				  : 2 * (uint64_t)window_now(p, s);

	if (s->window < (strided(s) ? 2 : 4) || ev->reach != XM_REACH_UP)
		return;
	while (p->credit > 0 && at_edge(p, s, ev, remote)) {
		uint64_t page;
		uint32_t run = xm_pager_stream_run(p, s, s->edge, ev,
						   xm_pager_fetchable, GAP_MAX,
						   &page);

		if (!xm_pager_fetch_run(p, page, run, 0, s, fx))
			return;
		s->edge += strided(s) ? (uint64_t)s->step
				      : (uint64_t)(s->step * (int64_t)run);
	}
}
