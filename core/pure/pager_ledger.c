/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's ledger: which pages that were read ahead were used, which were
 * wasted, and how much reading ahead may still be risked.
 *
 * A window is a run of pages that one FETCH brings (a fetch buffer holds it). When a
 * page of an arrived window is touched, the whole window is installed. From then on
 * there is no fault for its other pages, so the pager cannot see which of them are
 * used. It guesses from one sample, the page right after the window:
 *
 *   - the next fault of the stream is on this page, or pages between are present:
 *     the window is proven, all its other pages count as used;
 *   - the stream goes on at another page, or XM_PAGER_WINDOWS newer windows have
 *     been recorded since: all its other pages count as wasted.
 *
 * If a program touches a share q of the pages at random, it touches the page
 * after a window with probability q, so about a share q of the windows is proven. A
 * stride could hit this page every time; so one window in eight is cut short by a
 * random number of pages (cut_of() in pager_stream.c).
 *
 * Pages that need no guess: a page that was missed, or the first touched of a
 * window, is used. A page before the first touched one is wasted, and so is every
 * page of a window that is overwritten in the staging area untouched.
 *
 * The bound. Let, in pages, since the pager was initialised,
 *
 *	W	count as wasted (counters.prefetched_wasted), without those that
 *		XM_PAGER_WILLNEED asked for
 *	U	count as used, each page missed and each page proven
 *	C	XM_PAGER_CREDIT, 512
 *	S	fetch buffers of the staging area, fetch_buffers * window_max
 *	N	XM_PAGER_WINDOWS, 16: windows that are installed and unproven
 *
 *	W  <=  U + C + S + N * window_max
 *
 * Why: the credit starts with C. A used page earns one and a wasted page costs one;
 * more than C are never kept. Only while credit is left is anything read ahead, and a
 * miss without credit brings one page. So before the last window is read ahead,
 * W < U + C; after that only pages can be wasted that were on their way already:
 * those in the staging area (S) and in unproven windows (N * window_max).
 *
 * Example: window_max 64 and 16 fetch buffers give S = 1,024 and N * window_max =
 * 1,024: however a program touches its memory, it reads at most 2,560 pages (10 MiB)
 * more for nothing than it uses. Suppose it reads four pages in order, 10 to 13, jumps
 * elsewhere, and does so again and again. Three faults miss (10, 11 and 13) and earn
 * 3; the fault on 13 also proves the window [11, 13), which earns 1. This fault
 * fetches [13, 17) and, ahead of the stream, [17, 21) and [21, 25). The other 11 of
 * these pages are not used and cost 11. Each jump so costs 7, and after some 73 jumps
 * the credit is gone. Windows shrink with it, as one has at most 1 + credit / 8
 * pages; from then on the pager reads ahead what it earns, and no more.
 *
 * How true the count is: the number of pages really wasted lies within U / 8, and a
 * constant like that of the bound, of W (test_pager_ahead.c asks many patterns). W is
 * too high where sequences end within a window, more than N streams take turns, or
 * threads of one stream overtake each other; it is too low where touches are dense
 * but not complete.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

/* Present pages that one look for the next absent one may pass. */
#define LEAP_MAX 64
/* A window has at most 1 + credit / CREDIT_SHARE pages. */
#define CREDIT_SHARE (XM_PAGER_CREDIT / XM_PAGER_WINDOW_MAX)

/* --- credit ----------------------------------------------------------------------- */

void xm_pager_ledger_earn(struct xm_pager *p, uint32_t pages)
{
	p->credit += (int32_t)pages;
	if (p->credit > XM_PAGER_CREDIT)
		p->credit = XM_PAGER_CREDIT;
}

static void count_wasted(struct xm_pager *p, uint64_t page, uint32_t pages)
{
	if (pages == 0)
		return;
	p->counters.prefetched_wasted += pages;
	trace(p, XM_TRACE_PAGER_WASTE, page, pages, 0);
}

void xm_pager_ledger_waste(struct xm_pager *p, uint64_t page, uint32_t pages)
{
	count_wasted(p, page, pages);
	p->credit -= (int32_t)pages;
}

void xm_pager_ledger_waste_buffer(struct xm_pager *p,
				  const struct xm_fetch_buffer *buffer,
				  uint32_t pages)
{
	struct xm_stream *s;

	count_wasted(p, buffer->page, pages);
	if (buffer->stream == XM_PAGER_STREAMS)
		return; /* the program asked for it: it costs no credit */
	p->credit -= (int32_t)pages;
	s = &p->streams[buffer->stream];
	if (s->window > 1)
		s->window /= 2;
}

uint32_t xm_pager_ledger_window_max(const struct xm_pager *p)
{
	uint32_t credit = p->credit > 0 ? (uint32_t)p->credit : 0;

	return 1 + credit / CREDIT_SHARE;
}

/* --- unproven windows ------------------------------------------------------------- */

bool xm_pager_follows(const struct xm_pager *p, uint64_t at, int64_t step,
		      uint64_t page)
{
	uint64_t gap = step > 0 ? page - at : at - page;
	uint64_t stride = (uint64_t)(step > 0 ? step : -step);

	if (gap > LEAP_MAX || (stride > 1 && gap % stride != 0))
		return false;
	for (; at != page; at += (uint64_t)step) {
		if (!present(&p->pages[at]))
			return false;
	}
	return true;
}

/* The window leaves the ring: its pages count as used, or as wasted. */
static void settle(struct xm_pager *p, struct xm_window *w, bool used)
{
	if (used)
		xm_pager_ledger_earn(p, w->others);
	else
		xm_pager_ledger_waste(p, w->page, w->others);
	w->others = 0;
}

bool xm_pager_ledger_prove(struct xm_pager *p, uint64_t page)
{
	for (unsigned i = 0; i < XM_PAGER_WINDOWS; i++) {
		struct xm_window *w = &p->windows[i];

		if (w->others > 0 && xm_pager_follows(p, w->next, w->step, page)) {
			settle(p, w, true);
			return true;
		}
	}
	return false;
}

void xm_pager_ledger_disprove(struct xm_pager *p, uint64_t next)
{
	for (unsigned i = 0; i < XM_PAGER_WINDOWS; i++) {
		struct xm_window *w = &p->windows[i];

		if (w->others > 0 && w->next == next) {
			settle(p, w, false);
			return;
		}
	}
}

void xm_pager_ledger_record(struct xm_pager *p, uint64_t page, uint64_t next,
			    bool up, uint32_t others)
{
	struct xm_window *w = &p->windows[p->windows_recorded++ % XM_PAGER_WINDOWS];

	settle(p, w, false);
	*w = (struct xm_window){
		.page = page, .next = next, .step = up ? 1 : -1,
		.others = (uint16_t)others,
	};
}

void xm_pager_ledger_forget(struct xm_pager *p, uint64_t page)
{
	for (unsigned i = 0; i < XM_PAGER_WINDOWS; i++) {
		if (p->windows[i].page == page)
			p->windows[i].others = 0;
	}
}
