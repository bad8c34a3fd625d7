/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager: which pages are here, dirty, on their way; whom to evict, what
 * to prefetch. A pure machine: one event in, its effects out, in the order in
 * which they must be carried out.
 *
 *	page:	ABSENT -> FETCHING -> CLEAN <-> DIRTY -> ABSENT
 *		ABSENT <-> GUARDED	explicit I/O holds it
 *		any -> POISONED		its region is lost
 *
 * and beside the state two facts: STORING, a write-back buffer still has bytes of
 * this page that the remote side has not acknowledged; WRITTEN, the remote memory
 * holds the page's contents (else it is fresh, and reads as zero without a
 * transfer). A table of zero bytes is a table of absent, fresh pages.
 *
 * How bytes are kept safe. A dirty page leaves in this order: protect (no
 * store can reach it), copy into a write-back buffer, drop, and only the remote side's
 * acknowledgement frees the write-back buffer. Until then a fault on the page is served
 * from the write-back buffer. A failed store keeps its write-back buffer and is tried again. At most one
 * store per page is under way, so that no older one can land on a newer.
 *
 * How reads run ahead. A miss that continues a stream (sequential, up or
 * down, or with a stride that most misses of late have kept) fetches a window
 * that doubles with each success up to window_max, halves when it was for
 * nothing, and is followed by the next two while it is used. A fetched window
 * waits in its fetch buffer of the staging area and is installed whole by the first touch. So
 * reading ahead costs no frame, and never more than the staging area.
 *
 * What is read ahead and wasted. A window that nobody touches is overwritten
 * unseen, and all of it was wasted; so were the pages before the first that is
 * touched. Which of those behind it are nobody tells: all are held to be used when the touch after that is
 * of the very page behind it, and all wasted when it is not, or does not come
 * before XM_PAGER_WINDOWS others. The page behind is a sample of the window:
 * where a share of the pages is touched, about that share of the windows is
 * proven. So that a stride does not hit that page each time, one window in
 * eight ends early, at random. A page used or missed earns one page of credit,
 * one wasted costs one; at most XM_PAGER_CREDIT are kept, and the less is left
 * the shorter are the windows; without any a miss brings one page. So, counted
 * like this, whatever is touched:
 *
 *	wasted <= used + XM_PAGER_CREDIT + stage + XM_PAGER_WINDOWS windows
 *
 * The true number is within an eighth of the pages used, and such a constant,
 * of the one counted (tests/unit/test_pager_ahead.c asks many patterns): too many are
 * counted where runs end within a window, or more than XM_PAGER_WINDOWS streams
 * take turns, or threads of one stream overtake each other; too few where
 * touches are dense but not complete. What XM_PAGER_WILLNEED asked for is counted
 * only if it is overwritten in the staging area.
 *
 * Reclaim is CLOCK or 2Q, by faults alone: user space has no referenced bit.
 *
 * Reading and then writing a page costs two faults, unless the first installs
 * it writable; then it must be stored, written to or not. Which is better is
 * predicted by block of pages, from what came of those installed for reading.
 *
 * Bounds: frames_max + staging pages is all the local memory page contents ever
 * take. A step returns at most XM_PAGER_EFFECTS effects; a range event that
 * has more to do says so by its verdict, and is sent again from `next`.
 *
 * It deliberately does not: know regions, peers or addresses; wake threads (a
 * fault is sent again until its verdict is not WAIT, which loses no wake-up);
 * allocate.
 *
 * Floor: ground.
 */
#ifndef XM_PAGER_H
#define XM_PAGER_H

#include "common/base.h"
#include "common/rand.h"
#include "core/pure/trace.h"

#define XM_PAGER_EFFECTS 640
#define XM_PAGER_WINDOW_MAX 64
#define XM_PAGER_BATCH 32 /* neighbours stored by one write, most */
#define XM_PAGER_SCATTER_MAX 8 /* and pages that are not neighbours */
#define XM_PAGER_STREAMS 8
#define XM_PAGER_WINDOWS 16
#define XM_PAGER_MISSED 16
#define XM_PAGER_PREDICTIONS 1024
#define XM_PAGER_CREDIT 512 /* pages read ahead and wasted beyond those used */
#define XM_PAGER_WRITEBACK_BUFFERS_MAX 4096
#define XM_PAGER_FETCH_BUFFERS_MAX 64

enum xm_page_state {
	XM_PAGE_ABSENT = 0,
	XM_PAGE_FETCHING,
	XM_PAGE_CLEAN, /* here, protected, equal to the remote memory or a write-back buffer */
	XM_PAGE_DIRTY, /* here, stores go through */
	XM_PAGE_IO_LOCKED,
	XM_PAGE_POISONED,
};

/* One entry of the page table: eight bytes for each remote page. */
struct xm_page {
	uint32_t frame;	     /* CLEAN, DIRTY: its frame; otherwise the number of the
			      * eviction that it left by, or 0 */
	uint16_t buffer;     /* FETCHING: its fetch buffer; STORING: its write-back buffer */
	uint16_t state : 4;  /* enum xm_page_state */
	uint16_t flags : 12; /* FLAG_..., see pager_parts.h */
};
#define XM_PAGE_FLAGS 0xfffU
_Static_assert(sizeof(struct xm_page) == 8, "the page table is 8 bytes a page");

enum xm_pager_event_kind {
	/* A thread touched a page: page, write, reach, limit. DONE: let it
	 * try again; WAIT: send the event again after the next completion;
	 * LOST: it can not be had. `again` when it is not the first time. */
	XM_PAGER_FAULT = 1,
	XM_PAGER_FETCHED, /* staging_index, status: of a FETCH effect */
	XM_PAGER_STORED,  /* staging_index, count, status: of a STORE effect */
	/* Range events: page, limit (end), answered by verdict and next. */
	XM_PAGER_FLUSH,	  /* begin to store what is dirty; seq returned */
	XM_PAGER_FLUSHED, /* are the stores up to seq in this range done? */
	XM_PAGER_EVICT,	  /* store, and let go */
	XM_PAGER_DISCARD, /* contents not needed: fresh from now on */
	XM_PAGER_MARK_BACKED,	  /* the remote memory was written without us */
	XM_PAGER_FORGET,  /* the range gets another meaning: all to zero */
	XM_PAGER_ADVISE,  /* advice */
	XM_PAGER_WILLNEED, /* floor, reach: fetched while there is room */
	/* Explicit I/O on pages: takes a run of absent ones, so that no fault
	 * meets bytes half way. DONE: [page, next) is guarded. HERE: page is
	 * present (use the mapping). FRESH: [page, next) reads as zero; for
	 * write, only pages wholly overwritten may be guarded (`whole`). */
	XM_PAGER_IO_LOCK,
	XM_PAGER_IO_UNLOCK, /* page, limit; write: the remote memory has it now */
	XM_PAGER_PIN,	  /* page is present and stays; write: and writable */
	XM_PAGER_UNPIN,	  /* page */
	XM_PAGER_LOST,	  /* range: its remote memory is gone for good */
	XM_PAGER_REFUSED, /* the mapper would not install: page, limit */
	XM_PAGER_TICK,	  /* try failed stores again */
};

enum xm_reach {
	XM_REACH_UP,
	XM_REACH_DOWN, /* for the moment */
	XM_REACH_LOST, /* for longer than anyone shall wait */
};

enum xm_advice {
	XM_ADVICE_NORMAL,
	XM_ADVICE_SEQUENTIAL,
	XM_ADVICE_RANDOM,
};

struct xm_pager_event {
	enum xm_pager_event_kind kind;
	uint64_t now_ns;
	uint64_t page;
	/* FAULT: runs stay in [floor, limit). WILLNEED: what lies there and
	 * has arrived may be installed. */
	uint64_t floor;
	uint64_t limit;
	/* FAULT, WILLNEED: a power of two of pages, or 0 for none. No FETCH crosses a
	 * page number that is a multiple of it; a stream, which may fetch ahead several
	 * times, does. With unit 64 a fault on page 60 fetches at most [60, 64), and
	 * the same step may fetch [64, 72) ahead. */
	uint64_t unit;
	uint64_t seq;
	uint32_t staging_index, count;
	int status;
	enum xm_reach reach;
	enum xm_advice advice;
	bool write, whole;
	bool again; /* the same event was sent before, and had to wait */
};

enum xm_verdict {
	XM_VERDICT_DONE,
	XM_VERDICT_WAIT, /* for a completion; then the same event again */
	XM_VERDICT_MORE, /* go on from `next`, at once */
	XM_VERDICT_LOST,
	XM_VERDICT_PRESENT,
	XM_VERDICT_FRESH,
	XM_VERDICT_FULL, /* PIN: no more can be pinned */
};

enum xm_pager_effect_kind {
	XM_FETCH = 1, /* read far [page, +count) into the staging area at staging_index */
	XM_STORE,     /* write the staging area at staging_index to far [page, +count) */
	XM_INSTALL,   /* the staging area at staging_index, or zeros; protect or not */
	XM_PROTECT,
	XM_UNPROTECT,
	XM_COPY, /* the pages into the staging area at staging_index */
	XM_DROP,
	XM_POISON,
};

#define XM_STAGING_ZERO UINT32_MAX /* INSTALL: zeros, no write-back buffer */

struct xm_pager_effect {
	uint8_t kind;
	bool protect : 1;
	bool scattered : 1; /* STORE: each page as xm_pager_staged_page() says */
	uint16_t count;	    /* pages, 1 .. XM_PAGER_WINDOW_MAX */
	uint32_t staging_index;	/* in the staging area, in pages */
	uint64_t page;
};

struct xm_pager_effects {
	enum xm_verdict verdict;
	uint64_t next;
	uint64_t seq;
	uint32_t count;
	struct xm_pager_effect list[XM_PAGER_EFFECTS];
};

/* Who leaves first; pager_frame.c says how. */
enum xm_reclaim {
	XM_RECLAIM_CLOCK,
	XM_RECLAIM_2Q,
};

struct xm_pager_options {
	uint64_t pages_max;  /* size of the page table, < 2^40 */
	uint32_t frames_max; /* pages present at once, >= 2 * window_max */
	uint32_t frames_room; /* as many at least fit in the memory given */
	uint32_t window_max; /* pages, a power of two, <= WINDOW_MAX */
	uint32_t fetch_buffers;	/* fetch buffers of window_max pages, >= 2 */
	uint32_t writeback_buffers;     /* write-back buffers of one page, >= 2 */
	uint32_t pins_max;   /* frames pinned at once, < frames_max */
	uint32_t scatter;    /* pages apart in one write, 1 .. SCATTER_MAX */
	enum xm_reclaim reclaim;
};

struct xm_pager_counters {
	uint64_t faults, faults_write, misses, zero_fills;
	uint64_t pages_read, pages_written, evictions;
	uint64_t prefetched, prefetched_wasted, rescued, pages_lost;
	uint64_t frames_peak;
	uint64_t refaults; /* pages that came back soon after they had left */
};

struct xm_frame {
	uint64_t page;
	uint32_t next, previous; /* in its queue; next: of the free ones */
	uint16_t pins;
	uint8_t pins_write;
	uint8_t queue;
};

struct xm_queue {
	uint32_t first, last, count;
};

struct xm_fetch_buffer {
	uint64_t page;
	uint16_t count;
	uint16_t own;	/* pages of it that were not here when it was posted */
	uint8_t state;	 /* free, flying, arrived */
	uint8_t backward;
	uint8_t stream; /* that it was read for; XM_PAGER_STREAMS: none */
	uint16_t demand; /* pages of it that somebody waited for */
	uint64_t used;	 /* order of use, for taking back the oldest */
};

struct xm_writeback_buffer {
	uint64_t page;
	uint64_t seq;
	uint8_t state; /* free, flying, failed */
};

struct xm_stream {
	uint64_t first; /* of the last window */
	uint64_t next;	/* the page whose miss continues it */
	uint64_t edge;	/* the page that is read ahead next */
	uint64_t used;
	int64_t step; /* in pages; not 0 */
	uint32_t window;
	uint32_t cut;	   /* by so much the next ones are shorter */
	bool proven;	   /* the last was come into at its first page */
};

/* Of which one page was touched: a touch of `next` proves that the others were
 * too. */
struct xm_window {
	uint64_t page, next;
	uint16_t others; /* 0: there is none */
	int8_t step;
};

struct xm_pager {
	struct xm_pager_options options;
	struct xm_pager_counters counters;
	struct xm_page *pages;
	struct xm_frame *frames;
	struct xm_fetch_buffer fetch_buffers[XM_PAGER_FETCH_BUFFERS_MAX];
	struct xm_writeback_buffer *writeback_buffers;
	struct xm_stream streams[XM_PAGER_STREAMS];
	struct xm_window windows[XM_PAGER_WINDOWS];
	uint32_t windows_recorded; /* ever; modulo XM_PAGER_WINDOWS the next one */
	struct xm_queue queues[3]; /* of the last the pinned */
	uint32_t frames_used, frames_fresh, frame_free;
	uint32_t evicted; /* pages that have left, ever; never 0 */
	int32_t cold_more; /* frames that COLD may keep beyond its share */
	uint32_t left[2];  /* of late, from COLD and from HOT */
	uint32_t writeback_used, writeback_failed, writeback_cursor;
	uint32_t pinned;
	uint64_t missed[XM_PAGER_MISSED]; /* that continued no stream */
	uint32_t misses;		  /* of those, ever */
	int32_t credit;			  /* for reading ahead, in pages */
	struct xm_rand rand;		  /* where windows end */
	/* Of what is installed for reading in a block, is most written to? */
	uint8_t write_predictions[XM_PAGER_PREDICTIONS];
	uint32_t predictions;
	uint64_t seq, order;
	uint64_t now_ns;	/* of the event under way */
	bool again;		/* likewise */
	struct xm_trace *trace; /* NULL at first; the owner may set it */
};

/* Bytes of memory that init wants, aligned to 16; zeroed, and may be lazily
 * backed: init touches little of it. */
size_t xm_pager_memory_size(const struct xm_pager_options *);
void xm_pager_init(struct xm_pager *, const struct xm_pager_options *,
		   void *memory);
void xm_pager_step(struct xm_pager *, const struct xm_pager_event *,
		   struct xm_pager_effects *ret);

/* From now on so many frames, as many as before or more; up to frames_room. */
void xm_pager_raise(struct xm_pager *, uint32_t frames_max);

/* The page whose bytes a STORE takes from this page of the staging area. */
uint64_t xm_pager_staged_page(const struct xm_pager *, uint32_t staging_index);

/* Pages of local memory beside the frames: fetch buffers, then write-back buffers. */
uint32_t xm_pager_staging_pages(const struct xm_pager_options *);

/* For oracles and tests: asks every invariant that can be asked of the
 * machine alone; returns NULL or the broken one in words. Slow. */
const char *xm_pager_check(const struct xm_pager *);

#endif
