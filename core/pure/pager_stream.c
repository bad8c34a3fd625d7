/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's streams: in which direction a program goes through its memory, and
 * what is read ahead of it. See pager.h; pager_ledger.c limits what this may waste.
 *
 * A stream goes up or down page by page, or by a stride of at most STRIDE_MAX pages.
 * It remembers `next`, the page whose fault continues it, and `edge`, the page to be
 * read ahead next. A fault that continues no stream replaces the oldest one of the
 * XM_PAGER_STREAMS.
 *
 * The window, that is the number of pages fetched at once, starts with 1, doubles
 * when the stream is entered where it was expected, and halves when it is not, or
 * when a window was for nothing. From 4 pages on (strided: from 2) two more windows
 * are fetched ahead, so that the remote side always has one to send.
 *
 * Example: a program reads up from page 10. The fault on 10 fetches [10, 11), the one
 * on 11 fetches [11, 13), the one on 13 fetches [13, 17) and, ahead, [17, 21) and
 * [21, 25). Page 12 causes no fault, since it is installed together with 11.
 *
 * The stride is found by Boyer and Moore's majority vote over the last VOTES misses
 * that continued no stream, as in Leap (Al Maruf and Chowdhury, ATC 2020). The vote
 * is repeated for the distance to the miss before, to the one before that, and so
 * on up to XM_PAGER_LAGS, for programs whose streams take turns.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* Absent pages that a stream of 4 pages or more may skip. */
#define SLACK 8
/* Pages looked at for the next one that can be fetched ahead. */
#define SKIP_MAX 64
/* Misses that vote, and of xm_pager.repeats the bits about these. They look back for the
 * one before up to XM_PAGER_LAGS misses. */
#define VOTES 8
#define REPEATS ((1U << (VOTES - 1)) - 1)
/* The longest stride, in pages. */
#define STRIDE_MAX 65536
/* One window in CUT_EVERY is cut short, by up to 1 / CUT_SHARE of it. */
#define CUT_EVERY 8
#define CUT_SHARE 4

static bool strided(const struct xm_stream *s)
{
	return s->step != 1 && s->step != -1;
}

/* --- strides -------------------------------------------------------------------- */

static uint64_t missed(const struct xm_pager *p, uint32_t miss)
{
	return p->missed[miss % XM_PAGER_MISSED];
}

/* The step that most of the last misses took, each from the miss `lag` before it;
 * 0 when there is no majority. */
static int64_t vote(const struct xm_pager *p, unsigned lag)
{
	int64_t candidate = 0;
	unsigned weight = 0, votes = 0;

	if (p->misses < VOTES + lag)
		return 0;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint32_t i = p->misses - VOTES; i < p->misses; i++) {
			int64_t step =
				(int64_t)(missed(p, i) - missed(p, i - lag));

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

/* Notes, for each lag, whether this miss took the step of the one before it. Among
 * VOTES steps of which more than half are equal, two neighbours are: without any
 * such there need be no vote, as with pages touched at random. */
static void note_repeats(struct xm_pager *p, uint64_t page)
{
	uint32_t miss = p->misses++;
	uint64_t distance = page - missed(p, miss - 1);

	p->missed[miss % XM_PAGER_MISSED] = page;
	/* From the miss `lag` before, two misses took the same step if and only if
	 * the misses `lag` before them lie as far apart as they do. */
	for (unsigned lag = 1; lag <= XM_PAGER_LAGS; lag++) {
		uint64_t then = missed(p, miss - lag) - missed(p, miss - lag - 1);

		p->repeats[lag - 1] = (uint8_t)(2 * p->repeats[lag - 1] +
						(then == distance));
	}
}

/* The step of a stream that begins with a miss of `page`. */
static int64_t first_step(struct xm_pager *p, uint64_t page)
{
	note_repeats(p, page);
	for (unsigned lag = 1; lag <= XM_PAGER_LAGS; lag++) {
		int64_t step = (p->repeats[lag - 1] & REPEATS) != 0
				       ? vote(p, lag) : 0;

		if (step != 0 && page + (uint64_t)step < p->options.pages_max)
			return step;
	}
	return 1;
}

/* --- the stream of a fault ------------------------------------------------------- */

/* Present pages between the stream and `page` cause no fault when they are used, so
 * the stream may continue behind them. */
static bool over_present(const struct xm_pager *p, const struct xm_stream *s,
			 uint64_t page)
{
	return s->window >= 4 && xm_pager_follows(p, s->next, s->step, page);
}

/* Does a touch of a page of [page, +count) continue the stream? */
static bool continues(const struct xm_pager *p, struct xm_stream *s,
		      uint64_t page, uint32_t count)
{
	uint64_t slack = s->window >= 4 ? SLACK : 0;

	if (s->used == 0)
		return false;
	if (strided(s))
		return page == s->next;
	/* One page below the page that a stream began with: it goes down. */
	if (s->window == 1 && page + count == s->first) {
		s->step = -1;
		s->next = s->edge = page + count - 1;
	}
	if (s->step > 0)
		return s->next < page + count &&
		       (s->next + slack >= page || over_present(p, s, page));
	return s->next >= page && (s->next <= page + count - 1 + slack ||
				   over_present(p, s, page + count - 1));
}

/* By how many pages the next windows are shorter than `window`: now and then by a
 * random number, so that a stride does not touch the first page of every window. */
static uint32_t cut_of(struct xm_pager *p, const struct xm_stream *s)
{
	if (s->window < 2 * CUT_SHARE || xm_rand_below(&p->rand, CUT_EVERY) > 0)
		return 0;
	return 1 + (uint32_t)xm_rand_below(&p->rand, s->window / CUT_SHARE);
}

/* The stream goes on. `proven`: the touch proved some window in the ledger. */
static void advance(struct xm_pager *p, struct xm_stream *s, bool proven,
		    uint64_t touched)
{
	s->proven = proven || xm_pager_follows(p, s->next, s->step, touched);
	if (!s->proven)
		xm_pager_ledger_disprove(p, s->next);
	/* Each page of a strided stream takes a fetch buffer of its own. */
	if (s->proven)
		s->window = (uint32_t)xm_min(2 * s->window,
					     strided(s)
						     ? p->options.fetch_buffers / 2
						     : p->options.window_max);
	else if (s->window > 1)
		s->window /= 2;
	s->cut = cut_of(p, s);
	s->used = ++p->order;
}

struct xm_stream *xm_pager_stream_at(struct xm_pager *p, uint64_t page,
				     uint32_t count, uint64_t touched)
{
	struct xm_stream *oldest = &p->streams[0];
	bool proven = xm_pager_ledger_prove(p, touched);
	int64_t step;

	for (unsigned i = 0; i < XM_PAGER_STREAMS; i++) {
		struct xm_stream *s = &p->streams[i];

		if (s->used < oldest->used)
			oldest = s;
		if (continues(p, s, page, count)) {
			advance(p, s, proven, touched);
			return s;
		}
	}
	step = first_step(p, page);
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
	bool up = s->step > 0;

	s->first = page;
	if (strided(s))
		s->next = page + (uint64_t)s->step;
	else
		s->next = up ? page + count : page - 1;
	/* Keep the edge where it is if that lies further ahead. */
	if (up ? s->edge < s->next : s->edge > s->next)
		s->edge = s->next;
	if (others == 0)
		return;
	/* At the end of the range no page behind the window can prove it. Then it
	 * counts as used if the stream was entered where it was expected. */
	if (s->proven && (up ? page + count >= ev->limit : page <= ev->floor))
		xm_pager_ledger_earn(p, others);
	else
		xm_pager_ledger_record(p, s->first, s->next, up, others);
}

/* --- runs ----------------------------------------------------------------------- */

/* Pages of the next window: the less credit, the fewer. */
static uint32_t window_now(const struct xm_pager *p, const struct xm_stream *s)
{
	return (uint32_t)xm_min(s->window - s->cut,
				xm_pager_ledger_window_max(p));
}

/* The page is present and need not be fetched, but the remote memory has bytes of it
 * too: a fetch may run over it. */
static bool refetchable(const struct xm_pager *p, uint64_t page)
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
		else if (i - run >= gap || !refetchable(p, at))
			break;
	}
	if (s->step < 0)
		*ret_page = page - (run - 1);
	return run;
}

/* --- reading ahead -------------------------------------------------------------- */

/* Moves the edge over what is present or on its way, to a page that can be fetched.
 * False: there is none within `distance` pages of the stream, or SKIP_MAX looks. */
static bool find_edge(const struct xm_pager *p, struct xm_stream *s,
		      const struct xm_pager_event *ev, uint64_t distance)
{
	for (unsigned i = 0; i < SKIP_MAX; i++) {
		uint64_t ahead = s->step > 0 ? s->edge - s->next
					     : s->next - s->edge;

		if (s->edge < ev->floor || s->edge >= ev->limit ||
		    ahead >= distance)
			return false;
		if (xm_pager_fetchable(p, s->edge) &&
		    !flagged(&p->pages[s->edge], FLAG_RANDOM))
			return true;
		s->edge += (uint64_t)s->step;
	}
	return false;
}

void xm_pager_stream_ahead(struct xm_pager *p, struct xm_stream *s,
			   const struct xm_pager_event *ev,
			   struct xm_pager_effects *fx)
{
	uint64_t stride = (uint64_t)(s->step > 0 ? s->step : -s->step);
	uint64_t distance = strided(s) ? s->window * stride
				       : 2 * (uint64_t)window_now(p, s);

	if (s->window < (strided(s) ? 2 : 4) || ev->reach != XM_REACH_UP)
		return;
	while (p->credit > 0 && find_edge(p, s, ev, distance)) {
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
