/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's advice: ADVISE says how pages will be touched, WILLNEED fetches a range
 * ahead of its first touch.
 *
 * WILLNEED fetches the range by windows: into frames that are free, then into fetch
 * buffers that are free. It evicts nothing; pages that do not fit are left to their
 * faults. One fetch buffer is always left for a fault.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

void xm_pager_on_advise(struct xm_pager *p, const struct xm_pager_event *ev,
			struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;
	uint64_t end = xm_min(ev->limit, page + RANGE_MAX);
	unsigned set = ev->advice == XM_ADVICE_RANDOM ? FLAG_RANDOM
		       : ev->advice == XM_ADVICE_SEQUENTIAL ? FLAG_SEQUENTIAL
							    : 0;

	for (; page < end; page++) {
		flag_clear(&p->pages[page], FLAG_RANDOM | FLAG_SEQUENTIAL);
		flag_set(&p->pages[page], set);
	}
	fx->verdict = page < ev->limit ? XM_VERDICT_MORE : XM_VERDICT_DONE;
	fx->next = page;
}

/* --- WILLNEED ------------------------------------------------------------------------ */

/* The buffer was posted by an earlier step of this range. */
static bool is_willneed(const struct xm_fetch_buffer *buffer,
			const struct xm_pager_event *ev)
{
	return buffer->count > 0 && buffer->stream == XM_PAGER_STREAMS &&
	       buffer->demand == 0 && buffer->page >= ev->floor &&
	       buffer->page < ev->limit;
}

/* Installs what has arrived where frames are free, so that its buffers can fetch
 * more. Returns how many buffers are free then. */
static uint32_t willneed_install(struct xm_pager *p,
				 const struct xm_pager_event *ev,
				 struct xm_pager_effects *fx)
{
	uint32_t unused = 0;

	for (uint32_t i = 0; i < p->options.fetch_buffers; i++) {
		const struct xm_fetch_buffer *buffer = &p->fetch_buffers[i];

		if (buffer->state == FETCH_ARRIVED && is_willneed(buffer, ev) &&
		    buffer->own <= frames_unused(p) &&
		    fx->count < XM_PAGER_EFFECTS / 2)
			xm_pager_buffer_install_all(p, i, fx);
		unused += buffer->state == FETCH_FREE;
	}
	return unused;
}

/* Posts fetches from `page` on while more than one buffer is free. Returns the first
 * page that is not dealt with. */
static uint64_t willneed_fetch(struct xm_pager *p,
			       const struct xm_pager_event *ev, uint64_t end,
			       uint32_t unused, struct xm_pager_effects *fx)
{
	uint64_t page = ev->page;

	while (page < end) {
		uint32_t run = 0, most;

		most = (uint32_t)xm_min(p->options.window_max,
					fetch_limit(ev, page, true));
		while (run < most && page + run < end &&
		       xm_pager_fetchable(p, page + run))
			run++;
		if (run > 0 && (unused <= 1 ||
				!xm_pager_fetch_run(p, page, run, 0, NULL, fx)))
			break;
		unused -= run > 0;
		page += run > 0 ? run : 1;
	}
	return page;
}

/* There is something to wait for: a fetch of this range is in flight, and frames are
 * free for its pages. */
static bool willneed_can_go_on(const struct xm_pager *p,
			       const struct xm_pager_event *ev)
{
	for (uint32_t i = 0; i < p->options.fetch_buffers; i++) {
		const struct xm_fetch_buffer *buffer = &p->fetch_buffers[i];

		if (buffer->state == FETCH_IN_FLIGHT && is_willneed(buffer, ev) &&
		    buffer->own <= frames_unused(p))
			return true;
	}
	return false;
}

void xm_pager_on_willneed(struct xm_pager *p, const struct xm_pager_event *ev,
			  struct xm_pager_effects *fx)
{
	uint64_t end = xm_min(ev->limit, ev->page + RANGE_MAX);
	uint64_t page;

	fx->verdict = XM_VERDICT_DONE;
	fx->next = ev->limit;
	if (ev->reach != XM_REACH_UP)
		return;
	page = willneed_fetch(p, ev, end, willneed_install(p, ev, fx), fx);
	if (page == end) {
		fx->next = end;
		if (end < ev->limit)
			fx->verdict = XM_VERDICT_MORE;
	} else if (willneed_can_go_on(p, ev)) {
		fx->next = page;
		fx->verdict = XM_VERDICT_WAIT;
	}
}
