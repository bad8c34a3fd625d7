/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager: decides which remote pages are present in local memory, which of them are
 * dirty, which are on their way, which is evicted next and which is read ahead.
 *
 * It is a pure machine. The owner (core/engine) sends one event to xm_pager_step() and
 * carries out the effects that it returns, in their order; the end of a read or write
 * is an event again. The pager itself moves no byte.
 *
 *	page:	ABSENT -> FETCHING -> CLEAN <-> DIRTY -> ABSENT
 *		ABSENT <-> IO_LOCKED	explicit I/O moves its bytes
 *		any -> POISONED		its bytes cannot be had any more
 *
 * Two more facts are kept of a page. STORING: a write-back buffer holds bytes of it
 * that the remote side has not acknowledged. WRITTEN: the remote memory holds its
 * contents; a page that is not WRITTEN is fresh, and reads as zero without a transfer.
 * A page table of zero bytes is a table of absent, fresh pages that may be loaded from
 * and stored to.
 *
 * Memory. Page contents are in two places: in the mapping, at most frames_max pages at
 * once, and in the staging area, which is
 *
 *	fetch_buffers * window_max pages	reads arrive here
 *	+ writeback_buffers pages		copies of dirty pages, until acknowledged
 *
 * Example: frames_max 4,096, 16 fetch buffers of 64 pages and 256 write-back buffers
 * are 4,096 + 1,024 + 256 pages, 21 MiB. A page of the staging area is named by its
 * index there (staging_index): fetch buffer 2 begins at 128, write-back buffer 0 at
 * 1,024. The pager's own tables take 8 bytes for each remote page and 24 for each
 * frame, and 16 more for its fingerprint.
 *
 * A fault. The owner sends FAULT and, as long as the verdict is WAIT, sends it again
 * after the next completion; so the pager need not know threads, and no wake-up can be
 * lost. Example, a read of page 7, which is WRITTEN and absent:
 *
 *	FAULT 7			-> FETCH 7 into staging_index 0; WAIT
 *	FETCHED 0, status 0	-> nothing to do
 *	FAULT 7, again		-> INSTALL 7 from 0, protected; DONE
 *	FAULT 7, write		-> UNPROTECT 7; DONE
 *
 * Writing back. A dirty page is evicted by PROTECT (no store can reach it any more), COPY
 * into a write-back buffer, STORE, DROP. The buffer is free when the remote side has
 * acknowledged the store; until then a fault on the page is served from it. A failed
 * store keeps its buffer and is posted again at the next TICK. Of one page at most one
 * store is under way, so that an older one cannot overwrite a newer one.
 *
 * Reading ahead. A fault that continues a stream (up, down, or by a stride) fetches a
 * window of pages. The window doubles with each success, up to window_max, and halves
 * with each failure; from 4 pages on, two more windows are fetched ahead. What has
 * arrived waits in its fetch buffer, and the first touch installs the whole window. So
 * reading ahead evicts nothing, and takes no more memory than the staging area.
 * pager_stream.c has the details. Pages read for nothing are bounded, whatever the
 * program does: by the pages used and a constant (pager_ledger.c).
 *
 * Rights. A page may be loaded from and stored to until RIGHTS says less. A touch without
 * the right is answered DENIED, wherever the page is; what is done by the pager itself,
 * and by explicit I/O, is bound by no right. pager_rights.c has the details.
 *
 * Reclaim is CLOCK or 2Q (pager_reclaim.c). Whether a page that is read will be written too
 * is predicted (pager_predict.c), since to install it writable saves the second fault.
 * Pages that were writable and have not changed are not stored (pager_print.c).
 *
 * Bounds. A step returns at most XM_PAGER_EFFECTS effects. An event for a long range that
 * has more to do is answered MORE and a page `next`, from which it is sent again.
 *
 * Errors. There are none: an event out of the table, or that contradicts the state of
 * a page, is a broken promise of the caller's and fails an XM_ASSERT.
 *
 * Threads: one at a time for each pager. It never allocates; the owner hands it its
 * memory once, and keeps it until the pager is not used any more.
 *
 * It knows nothing of regions, appliances or addresses; it wakes no thread.
 *
 * Floor: ground.
 */
#ifndef XM_PAGER_H
#define XM_PAGER_H

#include "common/base.h"
#include "common/rand.h"
#include "core/pure/print.h"
#include "core/pure/returns.h"
#include "core/pure/trace.h"

#define XM_PAGER_EFFECTS 640	   /* of one step, at most */
#define XM_PAGER_WINDOW_MAX 64	   /* pages fetched or installed by one effect */
#define XM_PAGER_BATCH 32	   /* neighbours stored by one write, at most */
#define XM_PAGER_SCATTER_MAX 8	   /* pages that lie apart, stored by one write */
#define XM_PAGER_STREAMS 8	   /* sequences of faults that are followed */
#define XM_PAGER_WINDOWS 16	   /* installed windows not yet known to be used */
#define XM_PAGER_MISSED 16	   /* last misses, from which strides are found */
#define XM_PAGER_LAGS 4		   /* strides of so many streams that take turns */
#define XM_PAGER_PREDICTIONS 1024  /* counters of blocks written to */
#define XM_PAGER_CREDIT 512	   /* pages that may be read ahead for nothing */
#define XM_PAGER_WRITEBACK_BUFFERS_MAX 4096
#define XM_PAGER_FETCH_BUFFERS_MAX 64

enum xm_page_state {
	XM_PAGE_ABSENT = 0,
	XM_PAGE_FETCHING,  /* a fetch buffer has it, or will when its read ends */
	XM_PAGE_CLEAN,	   /* present, protected; equals the remote memory, or a
			    * write-back buffer */
	XM_PAGE_DIRTY,	   /* present and writable */
	XM_PAGE_IO_LOCKED, /* absent; explicit I/O is moving its bytes */
	XM_PAGE_POISONED,  /* a touch is SIGBUS */
};

/* One entry of the page table: eight bytes for each remote page. */
struct xm_page {
	uint32_t frame;	     /* CLEAN, DIRTY: its frame; otherwise the number of the
			      * eviction that it left by, or 0 */
	uint16_t buffer;     /* FETCHING: its fetch buffer; STORING: its write-back buffer */
	uint16_t state : 3;  /* enum xm_page_state */
	uint16_t flags : 13; /* FLAG_..., see pager_parts.h */
};
#define XM_PAGE_FLAGS 0x1fffU
_Static_assert(sizeof(struct xm_page) == 8, "the page table is 8 bytes a page");

/* --- events ------------------------------------------------------------------------ */

/* Members that are not named are not looked at. A range is [page, limit). */
enum xm_pager_event_kind {
	/* A thread touched the page; it waits. {page, write, floor, limit, unit, reach,
	 * again}. DONE: let it repeat its instruction. WAIT. LOST: it cannot be had.
	 * DENIED: the page has not that right. */
	XM_PAGER_FAULT = 1,

	/* A FETCH has ended. {staging_index of the effect, status} */
	XM_PAGER_FETCHED,
	/* A STORE, or `count` pages of it from staging_index on, has ended.
	 * {staging_index, count, status, stale: a member lacks these bytes} */
	XM_PAGER_STORED,

	/* The fingerprint that an INSTALL or UNPROTECT with `print` has asked for. {page,
	 * print} */
	XM_PAGER_PRINTED,
	/* Whether a copy, by a COPY with `compare`, differs from its page's fingerprint,
	 * xm_pager_staged_print(); sent before its STORE. {staging_index, changed} */
	XM_PAGER_COMPARED,

	/* The range is to be stored. DONE: all stores are posted; `seq` is the number to
	 * ask FLUSHED with. MORE. WAIT. LOST: a page of the range is. {page, limit} */
	XM_PAGER_FLUSH,
	/* Have the stores of the range up to number seq ended? {page, limit, seq}
	 * DONE, WAIT. */
	XM_PAGER_FLUSHED,
	/* Like FLUSH; pages that are not pinned also become absent. */
	XM_PAGER_EVICT,

	/* {page, limit}; DONE, MORE, WAIT. */
	XM_PAGER_DISCARD,     /* the contents are not needed: fresh from now on */
	XM_PAGER_MARK_BACKED, /* the remote memory was written by another way */
	XM_PAGER_REFRESH,     /* it was changed there by somebody else: drop it here */
	XM_PAGER_FORGET,      /* the range is for other memory: all facts to zero */
	XM_PAGER_LOST,	      /* its remote memory is gone for good */

	/* What a thread may do with the pages from now on. {page, limit, rights}; DONE,
	 * MORE, WAIT: of none until a dirty page can leave. */
	XM_PAGER_RIGHTS,

	/* {page, limit, advice}; DONE, MORE. */
	XM_PAGER_ADVISE,
	/* Fetch the range as far as there is room. The owner sends it from `next` on until
	 * DONE. {page, limit, floor: where the range began, unit, reach} */
	XM_PAGER_WILLNEED,

	/* Explicit I/O begins: keeps faults away from a run of absent pages, so that none
	 * sees bytes half moved. {page, limit, write, whole: a write of whole pages}
	 * DONE: [page, next) is locked. PRESENT: the page is; use the mapping. FRESH:
	 * [page, next) reads as zero, and is not locked. WAIT. LOST. */
	XM_PAGER_IO_LOCK,
	/* It has ended. {page, limit, write: the remote memory has contents now, stale;
	 * torn: it may have reached some members and not others} */
	XM_PAGER_IO_UNLOCK,

	/* Keeps the page present, and with `write` also writable, until each PIN of it
	 * has had its UNPIN. RIGHTS overrides a pin. {page, write} DONE. WAIT: touch it
	 * first. FULL: no more pages can be pinned. */
	XM_PAGER_PIN,
	XM_PAGER_UNPIN,

	/* The mapper would not install these pages: they are poisoned. {page, limit} */
	XM_PAGER_REFUSED,
	/* Failed stores are posted again. */
	XM_PAGER_TICK,

	/* Looks for the first page of the range whose bytes differ among its members
	 * (pager_mend.c), and begins to mend a run of up to `count` pages there. {page,
	 * limit, count} MEND: [seq, next) is locked; the caller copies the bytes, then
	 * sends MENDED. STORED: page seq was present, and is being stored again to all
	 * members. DONE: no page before `next` needs mending. WAIT: the same, but page
	 * `next` is busy. */
	XM_PAGER_MEND,
	/* {page, limit, status, stale} */
	XM_PAGER_MENDED,
	/* A new member lacks all that the remote memory of the range holds. {page,
	 * limit} DONE, MORE. */
	XM_PAGER_STALE,
	/* A region is cloned (cloning.h; pager_clone.c). FREEZE: the bytes of the range stay what
	 * they are; whoever would store to them waits. {page, limit} DONE, MORE. FULL: page
	 * `next` is pinned for writing. FROZEN: are they all in the remote memory, and does no
	 * explicit write move any? {page, limit} DONE, WAIT; LOST: one was cut off. THAW: the end of it. {page,
	 * limit} DONE, MORE. */
	XM_PAGER_FREEZE,
	XM_PAGER_FROZEN,
	XM_PAGER_THAW,
	/* Pages that are fresh are about to get the bytes of others: whoever touches them
	 * waits. {page, limit} DONE, MORE. And they have come, or nothing was there: the page
	 * is fresh. {page, limit, write} DONE, MORE. */
	XM_PAGER_CLONE_LOCK,
	XM_PAGER_CLONE_UNLOCK,
	/* A read of the page brought what cannot be its bytes: it is torn. {page} */
	XM_PAGER_TEAR,

	/* Nothing is stored to the remote memory of these pages from now on, and nothing is
	 * under way (pager_hold.c), until RELEASE. {page, limit, reach} DONE, MORE; WAIT:
	 * [page, next) is held, and page `next` is being stored, or is out of reach. LOST. */
	XM_PAGER_HOLD,
	XM_PAGER_RELEASE, /* {page, limit}; DONE, MORE. */
	/* They were held, and did not become durable; or a new store has none of them. {page,
	 * limit}; DONE, MORE. */
	XM_PAGER_UNDURABLE,
};

/* Can the remote memory of a page be reached? */
enum xm_reach {
	XM_REACH_UP,
	XM_REACH_DOWN, /* not now: a fault waits */
	XM_REACH_LOST, /* not for longer than the user will wait: a fault ends */
};

enum xm_advice {
	XM_ADVICE_NORMAL,
	XM_ADVICE_SEQUENTIAL,
	XM_ADVICE_RANDOM,
};

enum xm_page_rights {
	XM_PAGE_RIGHTS_ALL,  /* to load and to store */
	XM_PAGE_RIGHTS_LOAD, /* not to store */
	XM_PAGE_RIGHTS_NONE,
};

struct xm_pager_event {
	enum xm_pager_event_kind kind;
	uint64_t now_ns;
	uint64_t page;
	/* FAULT: what the page's run and its stream may touch is [floor, limit), for
	 * example its region's part of the table. */
	uint64_t floor;
	uint64_t limit;
	/* FAULT, WILLNEED: a power of two of pages, or 0 for none. No FETCH crosses a
	 * page number that is a multiple of it; a stream, which may fetch ahead several
	 * times, does. With unit 64 a fault on page 60 fetches at most [60, 64), and
	 * the same step may fetch [64, 72) ahead. */
	uint64_t unit;
	uint64_t seq;
	uint32_t staging_index, count;
	int status; /* 0, or -errno: the bytes did not move, or it is not known */
	enum xm_reach reach;
	enum xm_advice advice;
	enum xm_page_rights rights;
	const struct xm_print *print; /* valid until the step has ended */
	bool write, whole, changed;
	bool stale, torn; /* of segments with several members, or sealed ones */
	bool cut; /* IO_UNLOCK: a write that may have reached a part of its pages */
	bool settle; /* IO_LOCK: a torn page is mended first, even if all of it is written */
	bool again; /* this event was sent before, and had to wait */
};

/* --- what a step returns ------------------------------------------------------------- */

enum xm_verdict {
	XM_VERDICT_DONE,
	XM_VERDICT_WAIT, /* send it again after a completion; a range from `next` */
	XM_VERDICT_MORE, /* send it again from `next`, at once */
	XM_VERDICT_LOST, /* the page cannot be had */
	XM_VERDICT_PRESENT,
	XM_VERDICT_FRESH,
	XM_VERDICT_FULL, /* PIN: pins_max frames are pinned, or this one too often */
	XM_VERDICT_MEND,
	XM_VERDICT_STORED,
	XM_VERDICT_DENIED, /* the page has not the right to be touched so */
};

/* `count` pages from `page` on; in the staging area from staging_index on. */
enum xm_pager_effect_kind {
	XM_FETCH = 1, /* read the remote pages into the staging area */
	XM_STORE,     /* write the staging area to the remote pages */
	XM_INSTALL,   /* map the staging area's bytes, or zeros; protected or not */
	XM_PROTECT,   /* a store to the pages faults from now on */
	XM_UNPROTECT,
	XM_COPY,   /* copy the mapped pages into the staging area */
	XM_DROP,   /* unmap them: a touch faults from now on */
	XM_POISON, /* a touch is SIGBUS from now on */
};

#define XM_STAGING_ZERO UINT32_MAX /* staging_index of an INSTALL of zeros */

struct xm_pager_effect {
	uint8_t kind;
	/* INSTALL: protected. PROTECT: some of the pages may be absent or protected, and
	 * neighbours may be protected by one call. */
	bool protect : 1;
	bool scattered : 1; /* STORE: the pages lie apart, see xm_pager_staged_page() */
	/* COPY: COMPARED shall be sent of those copies that have a fingerprint. STORE: those
	 * that have not changed are left out: xm_pager_staged_page() says XM_NO_PAGE. */
	bool compare : 1;
	uint8_t count; /* 1 .. XM_PAGER_WINDOW_MAX */
	/* INSTALL, UNPROTECT: of the first so many pages PRINTED shall be sent, by their
	 * bytes before a store can reach them. */
	uint8_t print;
	uint32_t staging_index;
	uint64_t page;
};

struct xm_pager_effects {
	enum xm_verdict verdict;
	uint64_t next; /* of a range: all before it is done */
	uint64_t seq;
	uint32_t count;
	struct xm_pager_effect list[XM_PAGER_EFFECTS];
};

/* --- the pager ------------------------------------------------------------------------- */

/* Which page is evicted first; see pager_reclaim.c. */
enum xm_reclaim {
	XM_RECLAIM_CLOCK,
	XM_RECLAIM_2Q,
};

struct xm_pager_options {
	uint64_t pages_max;	    /* size of the page table, < 2^40 */
	uint32_t frames_max;	    /* pages present at once, >= 2; better 2 * window_max */
	uint32_t frames_room;	    /* xm_pager_raise() may go so far; 0: no further */
	uint32_t window_max;	    /* pages, a power of two, <= XM_PAGER_WINDOW_MAX */
	uint32_t fetch_buffers;	    /* of window_max pages, 2 .. FETCH_BUFFERS_MAX */
	uint32_t writeback_buffers; /* of one page, 2 .. WRITEBACK_BUFFERS_MAX */
	uint32_t pins_max;	    /* frames pinned at once, < frames_max */
	uint32_t scatter; /* pages that lie apart in one write, 1 .. SCATTER_MAX */
	enum xm_reclaim reclaim;
	bool prints; /* the owner can take fingerprints */
};

/* Since the pager was initialised; pages unless another unit is named. */
struct xm_pager_counters {
	uint64_t faults;	/* events, not counted again when sent again */
	uint64_t faults_write;	/* of these: stores to present, protected pages */
	uint64_t misses;	/* of these: such that had to wait */
	uint64_t zero_fills;	/* installed fresh */
	uint64_t pages_read, pages_written;
	uint64_t evictions;
	uint64_t prefetched;	/* read while no thread waited for them */
	uint64_t prefetched_wasted; /* of these, and of windows: not used */
	uint64_t rescued;	/* installed from a write-back buffer */
	uint64_t pages_lost;	/* poisoned */
	uint64_t frames_peak;	/* the most present at once */
	uint64_t refaults;	/* came back soon after they were evicted */
	uint64_t returned;	/* faults that brought pages that had been evicted */
	uint64_t compared;	/* with their fingerprints, before a store */
	uint64_t unchanged;	/* of these: not stored */
};

struct xm_frame {
	uint64_t page;
	uint32_t next, previous; /* in its queue; next: of the free ones */
	uint16_t pins;
	uint8_t pins_write; /* one of the pins is for writing */
	uint8_t queue;
	bool printed; /* xm_pager.prints has its fingerprint */
};

struct xm_queue {
	uint32_t first, last, count;
};

struct xm_fetch_buffer {
	uint64_t page; /* its run is [page, page + count) */
	uint16_t count;
	uint16_t own;	 /* pages of it that were absent when it was posted */
	uint8_t state;	 /* FETCH_FREE, FETCH_IN_FLIGHT, FETCH_ARRIVED */
	uint8_t backward;
	uint8_t stream;	 /* that it was read for; XM_PAGER_STREAMS: for none */
	uint16_t demand; /* pages of it that a thread waited for */
	uint32_t losses; /* those that had happened when it was posted */
	uint64_t used;	 /* when it was posted, as a number of xm_pager.order */
};

struct xm_writeback_buffer {
	uint64_t page;
	uint64_t seq;  /* of its store */
	uint8_t state; /* WRITEBACK_FREE, WRITEBACK_IN_FLIGHT, WRITEBACK_FAILED */
	bool printed;  /* `print` is its page's, and not compared yet */
	struct xm_print print;
};

struct xm_stream {
	uint64_t first; /* page of the last window */
	uint64_t next;	/* the page whose fault continues the stream */
	uint64_t edge;	/* the page that is read ahead next */
	uint64_t used;	/* when it last went on, as a number of xm_pager.order */
	int64_t step;	/* in pages; not 0 */
	uint32_t window; /* pages fetched at once */
	uint32_t cut;	 /* by so many pages the next windows are shorter */
	bool proven;	 /* the last window was entered where it was expected */
};

/* A window of which one page was touched: a fault on `next` will prove that the others
 * were used too. See pager_ledger.c. */
struct xm_window {
	uint64_t page, next;
	uint16_t others; /* pages; 0: no window */
	int8_t step;	 /* 1 or -1 */
};

/* The owner may read `options`, `counters`, `returns` and `pages`, and set `trace`. */
struct xm_pager {
	struct xm_pager_options options;
	struct xm_pager_counters counters;
	struct xm_returns returns;
	struct xm_page *pages;
	struct xm_frame *frames;
	struct xm_print *prints; /* of frames; if options.prints */
	struct xm_fetch_buffer fetch_buffers[XM_PAGER_FETCH_BUFFERS_MAX];
	struct xm_writeback_buffer *writeback_buffers;
	struct xm_stream streams[XM_PAGER_STREAMS];
	struct xm_window windows[XM_PAGER_WINDOWS];
	uint32_t windows_recorded; /* ever; modulo XM_PAGER_WINDOWS the next one */
	struct xm_queue queues[3]; /* COLD, HOT, PINNED */
	uint32_t frames_used, frames_fresh, frame_free;
	uint32_t evicted;  /* pages that were evicted, ever; never 0 */
	int32_t cold_more; /* frames that COLD may keep beyond its first share */
	uint32_t left[2];  /* pages evicted lately, from COLD and from HOT */
	uint32_t writeback_used, writeback_failed, writeback_cursor;
	uint32_t pinned;		  /* frames */
	uint32_t losses;		  /* pages that were lost, ever */
	uint64_t wanted; /* the last page that a thread waits for and that is frozen or a clone's;
			  * XM_NO_PAGE: none. Taken by the owner. */
	uint32_t torn;			  /* pages, and where they are */
	uint64_t torn_first, torn_limit;
	uint64_t missed[XM_PAGER_MISSED]; /* pages whose miss continued no stream */
	uint32_t misses;		  /* of those, ever */
	uint8_t repeats[XM_PAGER_LAGS];	  /* see pager_stream.c; the last miss is bit 0 */
	int32_t credit;			  /* for reading ahead, in pages */
	struct xm_rand rand;		  /* where windows end */
	uint8_t write_predictions[XM_PAGER_PREDICTIONS];
	uint32_t predictions;
	int8_t print_blocks[XM_PAGER_PREDICTIONS]; /* see pager_print.c */
	int print_lately;
	uint32_t print_every, print_rest; /* pages between two probes, and to the next */
	uint64_t seq;	 /* of the last store posted */
	uint64_t order;	 /* of the last fetch or step of a stream */
	uint64_t now_ns; /* of the event under way */
	bool again;	 /* likewise */
	struct xm_trace *trace; /* NULL at first */
};

/* Bytes that xm_pager_init() wants, aligned to 16 and zeroed; they may be backed
 * lazily, since init touches little of them. */
size_t xm_pager_memory_size(const struct xm_pager_options *);
void xm_pager_init(struct xm_pager *, const struct xm_pager_options *,
		   void *memory);
void xm_pager_step(struct xm_pager *, const struct xm_pager_event *,
		   struct xm_pager_effects *ret);

/* Raises frames_max, to at most frames_room; half of the new frames may be pinned. */
void xm_pager_raise(struct xm_pager *, uint32_t frames_max);

#define XM_NO_PAGE UINT64_MAX
/* The page whose bytes a STORE takes from this page of the staging area. XM_NO_PAGE: none,
 * it has not changed. */
uint64_t xm_pager_staged_page(const struct xm_pager *, uint32_t staging_index);

/* The fingerprint that a copy in this page of the staging area is to be compared with, or
 * NULL. */
const struct xm_print *xm_pager_staged_print(const struct xm_pager *,
					     uint32_t staging_index);

/* The first page of [page, limit) that may not be loaded from (`write`: stored to), or
 * `limit`. */
uint64_t xm_pager_permitted(const struct xm_pager *, uint64_t page,
			    uint64_t limit, bool write);

/* The end of the run of pages that begins at `page`, within `limit`, and of which all are
 * fresh, or none is. *ret_fresh: all are. */
uint64_t xm_pager_alike(const struct xm_pager *, uint64_t page, uint64_t limit,
			bool *ret_fresh);

/* Whether this fetch buffer (the staging_index of its FETCH) was asked for this page, and
 * still is: its run may hold other pages too, for example present ones. */
bool xm_pager_fetches(const struct xm_pager *, uint32_t staging_index,
		      uint64_t page);

/* Does the page wait for the mender, because its members may differ? */
bool xm_pager_is_torn(const struct xm_pager *, uint64_t page);
/* Is the mender at work on a torn page? */
bool xm_pager_mends_torn(const struct xm_pager *, uint64_t page);
/* Is a store of it under way, or has one failed that will be repeated? */
bool xm_pager_is_storing(const struct xm_pager *, uint64_t page);
/* Does the remote memory hold its contents? */
bool xm_pager_is_written(const struct xm_pager *, uint64_t page);
/* Has it, or may it have when what locks it has ended; and is it not lost? */
bool xm_pager_is_kept(const struct xm_pager *, uint64_t page);
/* Of a page that is here: what it holds is stored next time, changed or not. */
void xm_pager_unprint(struct xm_pager *, uint64_t page);
/* Is it IO_LOCKED, by explicit I/O or because it is torn? */
bool xm_pager_is_locked(const struct xm_pager *, uint64_t page);

/* The first page of [page, limit) that has changed in remote memory, or was discarded, since it
 * was held last, or `limit`; and where a run of such pages ends that begins there. A few others
 * between two of them count as such. */
uint64_t xm_pager_undurable_from(const struct xm_pager *, uint64_t page,
				 uint64_t limit);
uint64_t xm_pager_undurable_until(const struct xm_pager *, uint64_t page,
				  uint64_t limit);

/* Divides `pages` of local memory, of which `aside` are for others, among frames and staging
 * buffers. Windows have prefetch_max pages at most. What it does not set is as it was. */
void xm_pager_share_out(struct xm_pager_options *, uint64_t pages, uint64_t aside,
			uint64_t prefetch_max);
/* Pages of the staging area: fetch buffers, then write-back buffers. */
uint32_t xm_pager_staging_pages(const struct xm_pager_options *);

/* For oracles and tests: checks every invariant that concerns the pager alone. Returns
 * NULL, or the broken one in words. Slow. */
const char *xm_pager_check(const struct xm_pager *);

#endif
