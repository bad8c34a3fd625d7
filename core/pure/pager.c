/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager machine: its step, which hands each event to the file that answers it,
 * its initialisation, and its check of itself. See pager.h for what the pager
 * promises, and pager_parts.h for what is in which file.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

#include <string.h>

#define SCATTER 4 /* dirty pages that lie apart, in one write: as many as libfabric's tcp takes */

/* --- effects --------------------------------------------------------------- */

void xm_pager_emit(struct xm_pager_effects *fx, enum xm_pager_effect_kind kind,
		   uint64_t page, uint32_t count, uint32_t staging_index,
		   bool protect)
{
	struct xm_pager_effect *e;

	XM_ASSERT(fx->count < XM_PAGER_EFFECTS);
	XM_ASSERT(count >= 1 && count <= XM_PAGER_WINDOW_MAX);
	e = &fx->list[fx->count++];
	e->kind = (uint8_t)kind;
	e->protect = protect;
	e->scattered = e->compare = false;
	e->print = 0;
	e->count = (uint8_t)count;
	e->staging_index = staging_index;
	e->page = page;
}

/* --- step ------------------------------------------------------------------ */

void xm_pager_step(struct xm_pager *p, const struct xm_pager_event *ev,
		   struct xm_pager_effects *fx)
{
	fx->verdict = XM_VERDICT_DONE;
	fx->next = 0;
	fx->seq = 0;
	fx->count = 0;
	p->now_ns = ev->now_ns;
	p->again = ev->again;
	XM_ASSERT(ev->page < p->options.pages_max);
	XM_ASSERT(ev->limit <= p->options.pages_max);
	XM_ASSERT(ev->unit == 0 || xm_is_power_of_two(ev->unit));
	switch (ev->kind) {
	case XM_PAGER_FAULT: xm_pager_on_fault(p, ev, fx); break;
	case XM_PAGER_FETCHED: xm_pager_on_fetched(p, ev); break;
	case XM_PAGER_STORED: xm_pager_on_stored(p, ev); break;
	case XM_PAGER_PRINTED: xm_pager_on_printed(p, ev); break;
	case XM_PAGER_COMPARED: xm_pager_on_compared(p, ev); break;
	case XM_PAGER_FLUSH:
	case XM_PAGER_EVICT: xm_pager_on_flush(p, ev, fx); break;
	case XM_PAGER_FLUSHED: xm_pager_on_flushed(p, ev, fx); break;
	case XM_PAGER_DISCARD:
	case XM_PAGER_MARK_BACKED:
	case XM_PAGER_REFRESH:
	case XM_PAGER_FORGET:
	case XM_PAGER_LOST: xm_pager_on_change(p, ev, fx); break;
	case XM_PAGER_RIGHTS: xm_pager_on_rights(p, ev, fx); break;
	case XM_PAGER_ADVISE: xm_pager_on_advise(p, ev, fx); break;
	case XM_PAGER_WILLNEED: xm_pager_on_willneed(p, ev, fx); break;
	case XM_PAGER_IO_LOCK: xm_pager_on_io_lock(p, ev, fx); break;
	case XM_PAGER_IO_UNLOCK: xm_pager_on_io_unlock(p, ev, fx); break;
	case XM_PAGER_PIN: xm_pager_on_pin(p, ev, fx); break;
	case XM_PAGER_UNPIN: xm_pager_on_unpin(p, ev, fx); break;
	case XM_PAGER_REFUSED: xm_pager_on_refused(p, ev, fx); break;
	case XM_PAGER_TICK: xm_pager_on_tick(p, fx); break;
	case XM_PAGER_MEND: xm_pager_on_mend(p, ev, fx); break;
	case XM_PAGER_MENDED: xm_pager_on_mended(p, ev, fx); break;
	case XM_PAGER_STALE: xm_pager_on_stale(p, ev, fx); break;
	case XM_PAGER_FREEZE: xm_pager_on_freeze(p, ev, fx); break;
	case XM_PAGER_FROZEN: xm_pager_on_frozen(p, ev, fx); break;
	case XM_PAGER_THAW: xm_pager_on_thaw(p, ev, fx); break;
	case XM_PAGER_CLONE_LOCK: xm_pager_on_clone_lock(p, ev, fx); break;
	case XM_PAGER_CLONE_UNLOCK: xm_pager_on_clone_unlock(p, ev, fx); break;
	case XM_PAGER_TEAR: xm_pager_on_tear(p, ev, fx); break;
	case XM_PAGER_HOLD: xm_pager_on_hold(p, ev, fx); break;
	case XM_PAGER_RELEASE: xm_pager_on_release(p, ev, fx); break;
	case XM_PAGER_UNDURABLE: xm_pager_on_undurable(p, ev, fx); break;
	}
}

uint32_t xm_pager_staging_pages(const struct xm_pager_options *o)
{
	return o->fetch_buffers * o->window_max + o->writeback_buffers;
}

void xm_pager_share_out(struct xm_pager_options *o, uint64_t pages, uint64_t aside,
			uint64_t prefetch_max)
{
	uint64_t window = 4;

	while (window < XM_PAGER_WINDOW_MAX && window * 256 <= pages)
		window *= 2;
	while (window > 1 && window > prefetch_max)
		window /= 2;
	o->window_max = (uint32_t)window;
	o->fetch_buffers = (uint32_t)xm_min(xm_max(pages / 8 / window, 4), 16);
	o->writeback_buffers = (uint32_t)xm_min(xm_max(pages / 16, 8), 256);
	o->frames_max = (uint32_t)(pages - xm_pager_staging_pages(o) - aside);
	o->pins_max = o->frames_max / 2;
	o->scatter = SCATTER;
}

static size_t table_size(const struct xm_pager_options *o)
{
	return xm_align_up(o->pages_max * sizeof(struct xm_page), 64);
}

static size_t frames_size(const struct xm_pager_options *o)
{
	return xm_align_up(xm_max(o->frames_max, o->frames_room) *
				   sizeof(struct xm_frame),
			   64);
}

static size_t prints_size(const struct xm_pager_options *o)
{
	return !o->prints ? 0
			  : xm_align_up(xm_max(o->frames_max, o->frames_room) *
						sizeof(struct xm_print),
					64);
}

size_t xm_pager_memory_size(const struct xm_pager_options *o)
{
	return table_size(o) + frames_size(o) + prints_size(o) +
	       o->writeback_buffers * sizeof(struct xm_writeback_buffer);
}

void xm_pager_init(struct xm_pager *p, const struct xm_pager_options *o,
		   void *memory)
{
	char *bytes = memory;

	XM_ASSERT(o->pages_max > 0 && o->pages_max < UINT64_C(1) << 40);
	XM_ASSERT(xm_is_power_of_two(o->window_max));
	XM_ASSERT(o->window_max <= XM_PAGER_WINDOW_MAX);
	XM_ASSERT(o->fetch_buffers >= 2 && o->fetch_buffers <= XM_PAGER_FETCH_BUFFERS_MAX);
	XM_ASSERT(o->writeback_buffers >= 2 && o->writeback_buffers <= XM_PAGER_WRITEBACK_BUFFERS_MAX);
	XM_ASSERT(o->frames_max >= 2 && o->frames_max < NO_FRAME);
	XM_ASSERT(o->pins_max < o->frames_max);
	XM_ASSERT(o->scatter >= 1 && o->scatter <= XM_PAGER_SCATTER_MAX);
	memset(p, 0, sizeof(*p));
	p->options = *o;
	p->pages = (struct xm_page *)bytes;
	p->frames = (struct xm_frame *)(bytes + table_size(o));
	bytes += table_size(o) + frames_size(o);
	if (o->prints)
		p->prints = (struct xm_print *)bytes;
	p->writeback_buffers = (struct xm_writeback_buffer *)(bytes + prints_size(o));
	for (uint32_t i = 0; i < o->writeback_buffers; i++)
		p->writeback_buffers[i].page = NOBODY;
	p->frame_free = NO_FRAME;
	p->wanted = XM_NO_PAGE;
	p->evicted = 1;
	p->credit = XM_PAGER_CREDIT;
	xm_pager_prints_init(p);
	xm_rand_seed(&p->rand, 1); /* the same each time, like all it does */
	for (unsigned i = 0; i < XM_COUNT(p->queues); i++)
		p->queues[i].first = p->queues[i].last = NO_FRAME;
}

void xm_pager_raise(struct xm_pager *p, uint32_t frames_max)
{
	XM_ASSERT(frames_max >= p->options.frames_max);
	XM_ASSERT(frames_max <= p->options.frames_room);
	p->options.pins_max += (frames_max - p->options.frames_max) / 2;
	p->options.frames_max = frames_max;
}

/* --- check ----------------------------------------------------------------- */

static const char *check_frames(const struct xm_pager *p)
{
	uint32_t used = 0, pins = 0;

	if (p->queues[0].count + p->queues[1].count + p->pinned !=
		    p->frames_used ||
	    p->queues[2].count != p->pinned)
		return "frames in use do not stand in a queue each";
	for (uint32_t i = 0; i < p->frames_fresh; i++) {
		const struct xm_frame *frame = &p->frames[i];

		if (frame->page == NOBODY)
			continue;
		used++;
		pins += frame->pins > 0;
		if (!present(&p->pages[frame->page]))
			return "a frame belongs to a page that is not here";
		if (p->pages[frame->page].frame != i)
			return "a page and its frame disagree";
		if (frame->printed && p->pages[frame->page].state != XM_PAGE_DIRTY)
			return "a page that is not dirty has a fingerprint";
		if (flagged(&p->pages[frame->page], FLAG_NO_ACCESS))
			return "a page that may not be touched is here";
	}
	if (used != p->frames_used)
		return "frames in use are miscounted";
	if (used > p->options.frames_max)
		return "more frames in use than the budget";
	if (pins != p->pinned)
		return "pinned frames are miscounted";
	return NULL;
}

static const char *check_writeback(const struct xm_pager *p)
{
	uint32_t used = 0, failed = 0;

	for (uint32_t i = 0; i < p->options.writeback_buffers; i++) {
		const struct xm_writeback_buffer *buffer = &p->writeback_buffers[i];

		used += buffer->state != WRITEBACK_FREE;
		failed += buffer->state == WRITEBACK_FAILED;
		if (buffer->state == WRITEBACK_FREE || buffer->page == NOBODY)
			continue;
		if (!flagged(&p->pages[buffer->page], FLAG_STORING) ||
		    p->pages[buffer->page].buffer != i)
			return "a write-back buffer and its page disagree";
		if (flagged(&p->pages[buffer->page], FLAG_HELD))
			return "a page that is held is being stored";
	}
	if (used != p->writeback_used || failed != p->writeback_failed)
		return "write-back buffers are miscounted";
	return NULL;
}

static const char *check_fetches(const struct xm_pager *p)
{
	for (uint32_t i = 0; i < p->options.fetch_buffers; i++) {
		const struct xm_fetch_buffer *buffer = &p->fetch_buffers[i];

		if (buffer->count > 0 &&
		    xm_pager_buffer_own(p, i, buffer->page, buffer->count) !=
			    buffer->own)
			return "a fetch buffer and its pages disagree";
	}
	return NULL;
}

const char *xm_pager_check(const struct xm_pager *p)
{
	const char *broken = check_frames(p);

	if (broken == NULL)
		broken = check_writeback(p);
	if (broken == NULL)
		broken = check_fetches(p);
	return broken;
}
