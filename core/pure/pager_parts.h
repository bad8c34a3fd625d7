/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the pager share; included from nowhere else.
 *
 *	pager.c			step, init, check
 *	pager_fault.c		the answer to a fault
 *	pager_buffer.c		fetch buffers: reads, and installing what arrived
 *	pager_stream.c		streams: what is read ahead
 *	pager_ledger.c		what read-ahead was used or wasted, and the credit left
 *	pager_predict.c		is a page that is read going to be written?
 *	pager_print.c		has a page that was writable changed?
 *	pager_frame.c		frames and their queues
 *	pager_reclaim.c		the search for victims
 *	pager_writeback.c	write-back buffers: stores
 *	pager_flush.c		FLUSH, EVICT, FLUSHED
 *	pager_meaning.c		DISCARD, MARK_BACKED, FORGET, LOST, REFUSED
 *	pager_rights.c		RIGHTS, and whether a touch is denied
 *	pager_advice.c		ADVISE, WILLNEED
 *	pager_explicit.c	IO_LOCK, IO_UNLOCK, PIN, UNPIN
 *	pager_mend.c		MEND, MENDED, STALE, TEAR
 *	pager_hold.c		HOLD, RELEASE
 *	pager_clone.c		FREEZE, FROZEN, THAW, CLONE_LOCK, CLONE_UNLOCK
 *
 * Every function takes the pager first. `fx` are the effects of the step under way;
 * a function that takes them may add to them.
 *
 * Floor: ground.
 */
#ifndef XM_PAGER_PARTS_H
#define XM_PAGER_PARTS_H

#include "core/pure/pager.h"
#include "core/pure/plant.h"

/* Flags of a page. Thirteen bits are there, and all are in use. */
enum {
	FLAG_WRITTEN = 1,     /* the remote memory holds the contents */
	FLAG_STORING = 2,     /* a write-back buffer holds bytes not yet acknowledged */
	FLAG_RECENT = 4,      /* second chance: reclaim passes it over once */
	FLAG_RANDOM = 8,      /* advice: do not read ahead */
	FLAG_SEQUENTIAL = 16, /* advice: read ahead by whole windows at once */
	FLAG_LOST = 32,	      /* its remote memory is gone for good */
	FLAG_HOT = 64,	      /* it stood in queue HOT when it was evicted */
	FLAG_STALE = 128,     /* a member of its segment lacks these bytes */
	FLAG_UNDURABLE = 256, /* what it is may differ from what is durable of it */
	FLAG_HELD = 512,      /* its appliance drafts it: nothing is stored there */
	FLAG_FROZEN = 1024, /* no store to it: if it is dirty, it is protected all the same */
	FLAG_READ_ONLY = 2048, /* RIGHTS_LOAD: if it is dirty, it is protected all the same */
	FLAG_NO_ACCESS = 4096, /* RIGHTS_NONE: it is never present */
};
#define FLAG_RIGHTS (FLAG_READ_ONLY | FLAG_NO_ACCESS)
#define FLAG_CLOSED (FLAG_READ_ONLY | FLAG_FROZEN) /* not installed for stores */

enum { FETCH_FREE, FETCH_IN_FLIGHT, FETCH_ARRIVED };
enum { WRITEBACK_FREE, WRITEBACK_IN_FLIGHT, WRITEBACK_FAILED };
enum { QUEUE_COLD, QUEUE_HOT, QUEUE_PINNED };

/* Whose an I/O lock is: in `buffer` of a page that is IO_LOCKED. */
enum {
	LOCK_CALLER,	 /* an explicit write is under way */
	LOCK_CALLER_TORN, /* and its page is torn until it has written all of it */
	LOCK_TORN_WAITS, /* the mender shall make its members equal */
	LOCK_TORN,	 /* and does */
	LOCK_STALE,	 /* the mender copies it to members that lack it */
	LOCK_CLONE,	 /* its bytes are another page's, and are not here yet */
	LOCK_READER,	 /* an explicit read is under way */
	LOCK_CUT,	 /* FROZEN, and half of what a write that was cut off has left */
};

/* What a store is for, and so what becomes of its pages. */
enum store_purpose {
	STORE_FLUSH,  /* they stay, protected and clean */
	STORE_EVICT,  /* protected and clean; the caller drops them */
	STORE_PINNED, /* pinned for writing: they stay writable and dirty */
};

/* A fetch runs over at most so many present pages between two absent ones: to read a
 * page for nothing costs less than 0.5 us, a second read some 5 us. */
#define GAP_MAX 4

#define NOBODY XM_NO_PAGE /* of a frame or write-back buffer */
#define NO_FRAME UINT32_MAX

/* Page table entries that one range step looks at, at most. */
#define RANGE_MAX 512

static inline void trace(const struct xm_pager *p, enum xm_trace_id id,
			 uint64_t a, uint64_t b, uint64_t c)
{
	xm_trace_put(p->trace, p->now_ns, id, a, b, c, 0);
}

/* The page's event must wait: recorded once, however often the event is sent. */
static inline void trace_wait(const struct xm_pager *p, enum xm_trace_id id,
			      uint64_t page)
{
	if (!p->again)
		trace(p, id, page, 0, 0);
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

/* Absent, and neither fetched nor stored. */
static inline bool idle(const struct xm_page *page)
{
	return page->state == XM_PAGE_ABSENT && !flagged(page, FLAG_STORING);
}

/* This fetch buffer brings the page: its fetch is in flight or has arrived. */
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

/* How many frames are free. */
static inline uint32_t frames_unused(const struct xm_pager *p)
{
	return p->options.frames_max - p->frames_used;
}

static inline bool pinned(const struct xm_pager *p, uint64_t page)
{
	return p->frames[p->pages[page].frame].pins > 0;
}

/* The staging area: fetch buffers of window_max pages, then write-back buffers of one.
 * These are the staging_index of a fetch buffer and of the first write-back buffer. */
static inline uint32_t buffer_staging(const struct xm_pager *p, uint32_t buffer)
{
	return buffer * p->options.window_max;
}

static inline uint32_t writeback_base(const struct xm_pager *p)
{
	return p->options.fetch_buffers * p->options.window_max;
}

/* --- pager.c -------------------------------------------------------------- */

/* Adds an effect; there must be room for it. */
void xm_pager_emit(struct xm_pager_effects *, enum xm_pager_effect_kind,
		   uint64_t page, uint32_t count, uint32_t staging_index,
		   bool protect);

/* --- pager_frame.c -------------------------------------------------------- */

/* Gives each of these pages a frame, which must be free; they are present from now on. */
void xm_pager_frames_alloc(struct xm_pager *, uint64_t page, uint32_t count,
			   bool dirty);
/* Takes the page's frame from it, with its pins. */
void xm_pager_frame_free(struct xm_pager *, uint64_t page);
/* The first pin of a frame, and the last unpin. */
void xm_pager_frame_pin(struct xm_pager *, uint32_t index);
void xm_pager_frame_unpin(struct xm_pager *, uint32_t index);
/* Moves the frame to the end of its queue. */
void xm_pager_frame_requeue(struct xm_pager *, uint32_t index);
/* The frame whose turn it is to be looked at, or NO_FRAME. */
uint32_t xm_pager_frame_oldest(const struct xm_pager *);
/* The pages become absent and their frames free; no effect is emitted. Their bytes
 * must be elsewhere, or not wanted. */
void xm_pager_frames_release(struct xm_pager *, uint64_t page, uint32_t count);
/* The same, and emits DROP. */
void xm_pager_drop_run(struct xm_pager *, uint64_t page, uint32_t count,
		       struct xm_pager_effects *);

/* --- pager_reclaim.c ------------------------------------------------------ */

/* Is the page in this state (CLEAN, DIRTY), and may it be evicted? */
bool xm_pager_evictable(const struct xm_pager *, uint64_t page,
			enum xm_page_state);
/* Frees frames until `want` are free, and a few more. Stops short when all that is left
 * is pinned, or is dirty while no write-back buffer is free. */
void xm_pager_make_room(struct xm_pager *, uint32_t want,
			struct xm_pager_effects *);

/* --- pager_writeback.c ---------------------------------------------------- */

/* Begins to store up to `count` dirty neighbours by one write. Returns how many; 0
 * when no write-back buffer is free. */
uint32_t xm_pager_store_run(struct xm_pager *, uint64_t page, uint32_t count,
			    enum store_purpose, struct xm_pager_effects *);
/* Begins to store up to `count` dirty pages, no two of them neighbours, by one write,
 * to evict them. Returns how many, from the first on. */
uint32_t xm_pager_store_scattered(struct xm_pager *, const uint64_t *pages,
				  uint32_t count, struct xm_pager_effects *);
void xm_pager_writeback_free(struct xm_pager *, uint32_t index);
void xm_pager_on_stored(struct xm_pager *, const struct xm_pager_event *);
void xm_pager_on_tick(struct xm_pager *, struct xm_pager_effects *);

/* --- pager_buffer.c ------------------------------------------------------- */

/* The remote memory holds the page, and nothing of it is present or under way. */
bool xm_pager_fetchable(const struct xm_pager *, uint64_t page);
/* Posts one read of [page, +count), on behalf of a stream or of none (NULL); for
 * `demand` pages of it a thread waits. Returns false when no buffer is to be had.
 * Present pages of the run stay as they are. */
bool xm_pager_fetch_run(struct xm_pager *, uint64_t page, uint32_t count,
			uint16_t demand, const struct xm_stream *,
			struct xm_pager_effects *);
/* Frees the buffer; its pages become absent. `wasted`: they were not used. */
void xm_pager_buffer_clear(struct xm_pager *, uint32_t index, bool wasted);
/* How many pages of [page, +count) this buffer brings. */
uint32_t xm_pager_buffer_own(const struct xm_pager *, uint32_t index,
			     uint64_t page, uint32_t count);
void xm_pager_on_fetched(struct xm_pager *, const struct xm_pager_event *);
/* Gives the pages frames, which must be free, and emits INSTALL from the staging area
 * or from XM_STAGING_ZERO. */
void xm_pager_become_present(struct xm_pager *, uint64_t page, uint32_t count,
			     uint32_t staging_index, bool dirty,
			     struct xm_pager_effects *);
/* Installs the pages of [first, +count) that the buffer brings: all writable (`dirty`),
 * or only the page `written` (NOBODY: none). */
void xm_pager_buffer_install(struct xm_pager *, uint32_t index, uint64_t first,
			     uint32_t count, uint64_t written, bool dirty,
			     struct xm_pager_effects *);
/* Installs all that an arrived buffer brings, for which frames must be free, and frees
 * the buffer. */
void xm_pager_buffer_install_all(struct xm_pager *, uint32_t index,
				 struct xm_pager_effects *);

/* --- pager_stream.c ------------------------------------------------------- */

/* The stream that a touch of page `touched`, within the window [page, +count),
 * continues; it is advanced and its window adapted. If there is none, the oldest
 * stream is begun anew at `page`. */
struct xm_stream *xm_pager_stream_at(struct xm_pager *, uint64_t page,
				     uint32_t count, uint64_t touched);
/* The stream is now at the window [page, +count). `others` pages were read with the
 * page touched; whether they are used is not known yet, so they go to the ledger. */
void xm_pager_stream_moved(struct xm_pager *, struct xm_stream *,
			   uint64_t page, uint32_t count, uint32_t others,
			   const struct xm_pager_event *);
/* The run of pages from `page` on in the stream's direction for which `want` holds, with
 * gaps of at most `gap` pages that are present and may be read again; it ends at pages
 * with the advice RANDOM. Returns its length; *ret_page is its lowest page. */
uint32_t xm_pager_stream_run(const struct xm_pager *,
			     const struct xm_stream *, uint64_t page,
			     const struct xm_pager_event *,
			     bool (*want)(const struct xm_pager *, uint64_t),
			     uint32_t gap, uint64_t *ret_page);
/* Fetches what lies ahead of a stream whose window is large enough. */
void xm_pager_stream_ahead(struct xm_pager *, struct xm_stream *,
			   const struct xm_pager_event *,
			   struct xm_pager_effects *);

/* --- pager_ledger.c ------------------------------------------------------- */

/* So many pages were missed, or read ahead and used. */
void xm_pager_ledger_earn(struct xm_pager *, uint32_t pages);
/* So many pages from about `page` on were read ahead for a stream and not used. */
void xm_pager_ledger_waste(struct xm_pager *, uint64_t page, uint32_t pages);
/* So many pages of this buffer were not used: the window of its stream halves. Pages
 * that WILLNEED asked for are counted and cost no credit. */
void xm_pager_ledger_waste_buffer(struct xm_pager *,
				  const struct xm_fetch_buffer *,
				  uint32_t pages);
/* The most pages that the credit left allows for a window, at least 1. */
uint32_t xm_pager_ledger_window_max(const struct xm_pager *);
/* Is `page` the page `at`, or the first one from there by steps that can cause a fault,
 * because all between are present? */
bool xm_pager_follows(const struct xm_pager *, uint64_t at, int64_t step,
		      uint64_t page);
/* Records a window that is installed, and may be used or not: a touch of `next` will
 * prove it. The oldest record is replaced; if still unproven it counts as wasted. */
void xm_pager_ledger_record(struct xm_pager *, uint64_t page, uint64_t next,
			    bool up, uint32_t others);
/* A touch of `page`: if it proves a window, this counts as used. Returns whether. */
bool xm_pager_ledger_prove(struct xm_pager *, uint64_t page);
/* The window before `next`, if there is one, counts as wasted. */
void xm_pager_ledger_disprove(struct xm_pager *, uint64_t next);
/* The window that begins at `page` did not arrive: neither used nor wasted. */
void xm_pager_ledger_forget(struct xm_pager *, uint64_t page);

/* --- pager_predict.c ------------------------------------------------------ */

/* A page that was installed for reading was then written, or left unwritten. */
void xm_pager_learn_write(struct xm_pager *, uint64_t page, bool written);
/* Install the page writable, since it will probably be written? */
bool xm_pager_write_predicted(struct xm_pager *, uint64_t page);

/* --- pager_print.c -------------------------------------------------------- */

void xm_pager_prints_init(struct xm_pager *);
/* Of how many of these pages, which become writable, fingerprints shall be taken, from the
 * first on. */
uint8_t xm_pager_prints_wanted(struct xm_pager *, uint64_t page, uint32_t count);
/* Has the present page a fingerprint that may save its store? */
bool xm_pager_is_printed(const struct xm_pager *, uint64_t page);
/* The page is being stored from this buffer: its fingerprint goes there, if it has one that
 * may save the store; the frame has none from now on. */
void xm_pager_print_leaves(struct xm_pager *, uint64_t page,
			   struct xm_writeback_buffer *, enum store_purpose);

/* --- pager_meaning.c ------------------------------------------------------ */

/* The page reads as zero: it has no remote bytes, and nothing is under way. */
bool xm_pager_fresh(const struct xm_pager *, uint64_t page);
/* The page can not be had any more: a thread that touches it gets SIGBUS. */
void xm_pager_poison(struct xm_pager *, uint64_t page,
		     struct xm_pager_effects *);

/* --- pager_mend.c --------------------------------------------------------- */

/* Is the page torn, and nobody is mending it? */
bool xm_pager_torn(const struct xm_page *);
void xm_pager_tear(struct xm_pager *, uint64_t page);
/* It is absent from now on; what its bytes are is of no interest. */
void xm_pager_untear(struct xm_pager *, uint64_t page);

/* --- pager_rights.c ------------------------------------------------------- */

/* The page has a right less than all, and not that to be touched so. */
bool xm_pager_denies(const struct xm_pager *, uint64_t page, bool write);
/* A present page that may not be stored to, and is to be written explicitly, leaves:
 * this cannot go by the mapping. Returns false while a store of it is under way. */
bool xm_pager_make_way(struct xm_pager *, uint64_t page,
		       struct xm_pager_effects *);

/* --- pager_clone.c --------------------------------------------------------- */

/* The page's store, or touch, waits for a clone. */
void xm_pager_wants(struct xm_pager *, uint64_t page);

/* --- events: one function for each kind, or for several ------------------- */

void xm_pager_on_fault(struct xm_pager *, const struct xm_pager_event *,
		       struct xm_pager_effects *);
void xm_pager_on_printed(struct xm_pager *, const struct xm_pager_event *);
void xm_pager_on_compared(struct xm_pager *, const struct xm_pager_event *);
void xm_pager_on_flush(struct xm_pager *, const struct xm_pager_event *,
		       struct xm_pager_effects *);
void xm_pager_on_flushed(const struct xm_pager *, const struct xm_pager_event *,
			 struct xm_pager_effects *);
void xm_pager_on_change(struct xm_pager *, const struct xm_pager_event *,
			struct xm_pager_effects *);
void xm_pager_on_refused(struct xm_pager *, const struct xm_pager_event *,
			 struct xm_pager_effects *);
void xm_pager_on_rights(struct xm_pager *, const struct xm_pager_event *,
			struct xm_pager_effects *);
void xm_pager_on_advise(struct xm_pager *, const struct xm_pager_event *,
			struct xm_pager_effects *);
void xm_pager_on_willneed(struct xm_pager *, const struct xm_pager_event *,
			  struct xm_pager_effects *);
void xm_pager_on_io_lock(struct xm_pager *, const struct xm_pager_event *,
			 struct xm_pager_effects *);
void xm_pager_on_io_unlock(struct xm_pager *, const struct xm_pager_event *,
			   struct xm_pager_effects *);
void xm_pager_on_mend(struct xm_pager *, const struct xm_pager_event *,
		      struct xm_pager_effects *);
void xm_pager_on_mended(struct xm_pager *, const struct xm_pager_event *,
			struct xm_pager_effects *);
void xm_pager_on_stale(struct xm_pager *, const struct xm_pager_event *,
		       struct xm_pager_effects *);
void xm_pager_on_tear(struct xm_pager *, const struct xm_pager_event *,
		      struct xm_pager_effects *);
void xm_pager_on_hold(struct xm_pager *, const struct xm_pager_event *,
		      struct xm_pager_effects *);
void xm_pager_on_release(struct xm_pager *, const struct xm_pager_event *,
			 struct xm_pager_effects *);
void xm_pager_on_undurable(struct xm_pager *, const struct xm_pager_event *,
			   struct xm_pager_effects *);
void xm_pager_on_freeze(struct xm_pager *, const struct xm_pager_event *,
		      struct xm_pager_effects *);
void xm_pager_on_frozen(const struct xm_pager *, const struct xm_pager_event *,
		      struct xm_pager_effects *);
void xm_pager_on_thaw(struct xm_pager *, const struct xm_pager_event *,
			 struct xm_pager_effects *);
void xm_pager_on_clone_lock(struct xm_pager *, const struct xm_pager_event *,
			    struct xm_pager_effects *);
void xm_pager_on_clone_unlock(struct xm_pager *, const struct xm_pager_event *,
			      struct xm_pager_effects *);
void xm_pager_on_pin(struct xm_pager *, const struct xm_pager_event *,
		     struct xm_pager_effects *);
void xm_pager_on_unpin(struct xm_pager *, const struct xm_pager_event *,
		       struct xm_pager_effects *);

#endif
