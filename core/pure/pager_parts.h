/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the pager share; included from nowhere else.
 *
 * pager.c	 step, beginning, check
 * pager_frame.c frames, and reclaim: who leaves when room is needed
 * pager_store.c write-back buffers: write-back
 * pager_fetch.c fetch buffers and streams: reads, and reading ahead
 * pager_fault.c a fault, by what its page is
 * pager_range.c range events, explicit I/O, pins
 *
 * Floor: ground.
 */
#ifndef XM_PAGER_PARTS_H
#define XM_PAGER_PARTS_H

#include "core/pure/pager.h"
#include "core/pure/plant.h"

/*
 * Flags of a page. Twelve bits are there; five are free: 128, 256, 512, 1024 and
 * 2048. Redundancy and a durable store will want four of them, so take others
 * first:
 *
 *	 128  STALE	 an appliance that has a copy of the page lacks these bytes
 *	 256  UNDURABLE	 these bytes are in no durable store yet
 *	 512  HELD	 no store of the page may be posted: it is being copied
 *	1024  FOUL	 fresh here, while the remote memory holds older bytes
 */
enum {
	FLAG_WRITTEN = 1,     /* the remote memory holds the contents */
	FLAG_STORING = 2,     /* a write-back buffer holds bytes not yet acknowledged */
	FLAG_RECENT = 4,      /* second chance: reclaim passes it over once */
	FLAG_RANDOM = 8,      /* advice: do not read ahead */
	FLAG_SEQUENTIAL = 16, /* advice: read ahead by whole windows at once */
	FLAG_LOST = 32,	      /* its remote memory is gone for good */
	FLAG_HOT = 64,	      /* it stood in queue HOT when it was evicted */
};

enum { FETCH_FREE, FETCH_IN_FLIGHT, FETCH_ARRIVED };
enum { WRITEBACK_FREE, WRITEBACK_IN_FLIGHT, WRITEBACK_FAILED };

/* Pages that are here, between two that are not, read for nothing rather than by
 * two reads: a page costs less than half a microsecond, a read some five. */
#define GAP_MAX 4

#define NOBODY UINT64_MAX /* a frame or write-back buffer of no page */
#define NO_FRAME UINT32_MAX

/* Table entries looked at by one range step. */
#define RANGE_MAX 512

static inline void note(const struct xm_pager *p, enum xm_trace_id id,
			uint64_t a, uint64_t b, uint64_t c)
{
	xm_trace_put(p->trace, p->now_ns, id, a, b, c, 0);
}

/* Of those who wait once, however often they ask. */
static inline void note_wait(const struct xm_pager *p, enum xm_trace_id id,
			     uint64_t page)
{
	if (!p->again)
		note(p, id, page, 0, 0);
}

static inline bool flagged(const struct xm_page *page, unsigned flag)
{
	return (page->flags & flag) != 0;
}

static inline void flag_set(struct xm_page *page, unsigned flags)
{
	page->flags = (page->flags | flags) & XM_PAGE_FLAGS;
}

static inline void flag_clear(struct xm_page *page, unsigned flags)
{
	page->flags = page->flags & ~flags & XM_PAGE_FLAGS;
}

static inline bool present(const struct xm_page *page)
{
	return page->state == XM_PAGE_CLEAN || page->state == XM_PAGE_DIRTY;
}

/* Absent, and nothing of it under way. */
static inline bool idle(const struct xm_page *page)
{
	return page->state == XM_PAGE_ABSENT && !flagged(page, FLAG_STORING);
}

/* On its way, or arrived, in this fetch buffer. */
static inline bool in_buffer(const struct xm_page *page, uint32_t index)
{
	return page->state == XM_PAGE_FETCHING && page->buffer == index;
}

/* Pages from `page` on, itself included, that one fetch may bring, going up or down:
 * those before the next multiple of the event's unit. */
static inline uint64_t fetch_limit(const struct xm_pager_event *ev,
				   uint64_t page, bool up)
{
	uint64_t before = page & (ev->unit - 1);

	if (ev->unit == 0)
		return UINT64_MAX;
	return up ? ev->unit - before : before + 1;
}

static inline uint32_t frames_free(const struct xm_pager *p)
{
	return p->options.frames_max - p->frames_used;
}

static inline bool pinned(const struct xm_pager *p, uint64_t page)
{
	return p->frames[p->pages[page].frame].pins > 0;
}

static inline uint32_t buffer_staging(const struct xm_pager *p, uint32_t buffer)
{
	return buffer * p->options.window_max;
}

/* The staging area: fetch buffers, then write-back buffers. */
static inline uint32_t writeback_base(const struct xm_pager *p)
{
	return p->options.fetch_buffers * p->options.window_max;
}

/* --- pager.c -------------------------------------------------------------- */

void xm_pager_emit(struct xm_pager_effects *, enum xm_pager_effect_kind,
		   uint64_t page, uint32_t count, uint32_t staging_index, bool protect);

/* --- pager_frame.c -------------------------------------------------------- */

void xm_pager_frame_take(struct xm_pager *, uint64_t page);
void xm_pager_frame_give(struct xm_pager *, uint64_t page);
/* Pages that leave without a store: they equal the remote memory, a write-back buffer, or
 * nothing anybody wants. */
/* The first pin of a frame, and the last unpin. */
void xm_pager_frame_pin(struct xm_pager *, uint32_t index);
void xm_pager_frame_unpin(struct xm_pager *, uint32_t index);
void xm_pager_drop_run(struct xm_pager *, uint64_t page, uint32_t count,
		       struct xm_pager_effects *);
/* Here in this state, and may leave. */
bool xm_pager_evictable(const struct xm_pager *, uint64_t page,
			enum xm_page_state);
/* A page whose remote memory is gone can not come back: who touches it next must
 * hear so. */
void xm_pager_poison(struct xm_pager *, uint64_t page,
		     struct xm_pager_effects *);
/* Frees up to `want` frames; stops short when all that is left is pinned, or
 * dirty with no write-back buffer free. */
void xm_pager_make_room(struct xm_pager *, uint32_t want,
			struct xm_pager_effects *);

/* --- pager_store.c -------------------------------------------------------- */

/* Begins to store up to `count` dirty neighbours; returns how many, 0 when no
 * write-back buffer is free. Pages pinned for writing (`writable`) are stored as they are
 * and stay dirty; others become clean. The caller drops them if they `leave`. */
uint32_t xm_pager_store_run(struct xm_pager *, uint64_t page, uint32_t count,
			    bool leave, bool writable,
			    struct xm_pager_effects *);
/* Begins to store up to `count` dirty pages, no two of them neighbours, by one
 * write; they leave. Returns how many, of the first. */
uint32_t xm_pager_store_scattered(struct xm_pager *, const uint64_t *pages,
				  uint32_t count, struct xm_pager_effects *);
void xm_pager_writeback_free(struct xm_pager *, uint32_t index);
void xm_pager_on_stored(struct xm_pager *, const struct xm_pager_event *);
void xm_pager_on_tick(struct xm_pager *, struct xm_pager_effects *);

/* --- pager_fetch.c -------------------------------------------------------- */

/* Its remote bytes can be asked for: nothing of it is here or under way. */
bool xm_pager_fetchable(const struct xm_pager *, uint64_t page);
/* Posts one read of [page, +count), for this stream or none; false when no
 * fetch buffer is to be had. What is here of it stays as it is. */
bool xm_pager_fetch_run(struct xm_pager *, uint64_t page, uint32_t count,
			uint16_t demand, const struct xm_stream *,
			struct xm_pager_effects *);
void xm_pager_buffer_clear(struct xm_pager *, uint32_t index, bool wasted);
/* Pages of [page, +count) that this fetch buffer brings. */
uint32_t xm_pager_buffer_own(const struct xm_pager *, uint32_t index,
			   uint64_t page, uint32_t count);
void xm_pager_on_fetched(struct xm_pager *, const struct xm_pager_event *);
/* The stream that a touch of a page of [page, +count) continues, advanced, and
 * what it has read last judged by it; or the oldest one, begun anew at `page`. */
struct xm_stream *xm_pager_stream_at(struct xm_pager *, uint64_t page,
				     uint32_t count, uint64_t touched);
/* So many pages were read for it that it has passed by. */
void xm_pager_stream_passed(struct xm_pager *, const struct xm_stream *,
			    uint32_t pages);
/* It has come into this window: so many `others` beside the page touched were
 * read with it, and may be touched or not. */
void xm_pager_stream_moved(struct xm_pager *, struct xm_stream *,
			   uint64_t page, uint32_t count, uint32_t others,
			   const struct xm_pager_event *);
/* Neighbours of `page`, itself included, in the stream's direction, for which
 * `want` holds, or gaps of at most `gap` pages that are here already and may be
 * read again; none that was said to be touched at random; *ret_page is the
 * lowest. */
uint32_t xm_pager_stream_run(const struct xm_pager *,
			     const struct xm_stream *, uint64_t page,
			     const struct xm_pager_event *,
			     bool (*want)(const struct xm_pager *, uint64_t),
			     uint32_t gap, uint64_t *ret_page);
/* Reading ahead lives on credit: a page that was used, or missed, earns one,
 * one that was not costs one; without credit a miss brings one page. */
void xm_pager_credit(struct xm_pager *, uint32_t pages);
void xm_pager_wasted(struct xm_pager *, const struct xm_fetch_buffer *,
		     uint32_t pages);
/* Fetches what lies ahead of a stream that has proven itself. */
void xm_pager_stream_ahead(struct xm_pager *, struct xm_stream *,
			   const struct xm_pager_event *,
			   struct xm_pager_effects *);

/* --- pager_fault.c -------------------------------------------------------- */

/* Reads as zero: no remote bytes, nothing under way. */
bool xm_pager_fresh(const struct xm_pager *, uint64_t page);
/* Installs what a fetch buffer has brought, which is no more than frames are free, and
 * frees it. */
void xm_pager_buffer_install(struct xm_pager *, uint32_t index,
			   struct xm_pager_effects *);
/* Takes note: a page that was installed for reading was then written to, or
 * left unwritten. */
void xm_pager_learn_write(struct xm_pager *, uint64_t page, bool written);
void xm_pager_on_fault(struct xm_pager *, const struct xm_pager_event *,
		       struct xm_pager_effects *);

/* --- pager_range.c -------------------------------------------------------- */

void xm_pager_on_flush(struct xm_pager *, const struct xm_pager_event *,
		struct xm_pager_effects *);
void xm_pager_on_flushed(const struct xm_pager *, const struct xm_pager_event *,
		struct xm_pager_effects *);
void xm_pager_on_change(struct xm_pager *, const struct xm_pager_event *,
		struct xm_pager_effects *);
void xm_pager_on_advise(struct xm_pager *, const struct xm_pager_event *,
		struct xm_pager_effects *);
void xm_pager_on_willneed(struct xm_pager *, const struct xm_pager_event *,
		struct xm_pager_effects *);
void xm_pager_on_io_lock(struct xm_pager *, const struct xm_pager_event *,
		struct xm_pager_effects *);
void xm_pager_on_io_unlock(struct xm_pager *, const struct xm_pager_event *,
		struct xm_pager_effects *);
void xm_pager_on_pin(struct xm_pager *, const struct xm_pager_event *,
		struct xm_pager_effects *);
void xm_pager_on_unpin(struct xm_pager *, const struct xm_pager_event *,
		struct xm_pager_effects *);
void xm_pager_on_refused(struct xm_pager *, const struct xm_pager_event *,
		struct xm_pager_effects *);

#endif
