/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MACHINE: the past of a process's memory, for the children it has forked.
 *
 * Each fork() begins a snapshot; snapshots are numbered from 1. A child that
 * lives is a reader of one snapshot: it may ask for any page as that page was
 * at the fork. Nothing is copied at the fork. Before a page becomes writable
 * the caller reports it with its contents, and the machine saves them, once
 * for all snapshots that have begun since it last saved that page:
 *
 *	snapshot	1     2     3     4
 *	page 7		   a     b           c	(the caller reports a change)
 *
 *	The change a saves page 7 for snapshot 1, b for 2, c for 3 and 4.
 *
 * So a page that nobody writes costs nothing, and one saved page (a record)
 * serves all children that were made since the record before it. A reader's
 * page is that of the record whose range has its snapshot; if there is no such
 * record and the page has not been reported since, it is the page as it is now.
 *
 * A record is made only if one of its snapshots has a reader, and is freed when
 * none has one any more. So after a sweep there is at most one record of a page
 * for each snapshot that is read. Memory that the program frees is kept while a
 * reader can see it: one whose snapshot began after the memory was allocated
 * and before it was freed. Pages that were allocated after all snapshots that
 * are read are not saved at all.
 *
 * A record's contents are in a frame (local memory of one page), or, when
 * frames have become too many, at a place (one page of a file or region that
 * the caller has elsewhere). If the caller cannot get memory for a record, the
 * old contents of that one page are lost: a reader gets LOST, never other
 * contents.
 *
 * The caller hands in all memory: tables when a region is made known, records
 * and frames when a call says that it needs them. Bounds: regions of less than
 * 2^32 pages, XM_SNAPSHOT_REGIONS_MAX of them; records in
 * XM_SNAPSHOT_BATCHES_MAX batches; as many snapshots with readers as there was
 * room given for; 2^32 - 2 snapshots ever. A call takes time in proportion to
 * the pages or records that it is asked about, and to the logarithm of the
 * number of snapshots with readers.
 *
 * It does no locking: one thread at a time. Floor: ground.
 */
#ifndef XM_SNAPSHOT_H
#define XM_SNAPSHOT_H

#include "common/base.h"

#define XM_SNAPSHOT_REGIONS_MAX 64
#define XM_SNAPSHOT_BATCHES_MAX 4096

/* One saved page. */
struct xm_snapshot_record {
	char *frame;	   /* contents; NULL: stored, or all zero */
	uint64_t place;	   /* + 1; 0: it has none */
	uint64_t page;
	uint32_t from, to; /* snapshots it is for; to 0: it is free */
	uint32_t next;	   /* of the same page, older; or the next free one */
	uint8_t region;
	bool stored;	   /* its contents are at its place */
};

/* A snapshot that is read. */
struct xm_snapshot_read {
	uint32_t number, readers;
};

/* What is known of each page of a region; arrays by page. */
struct xm_snapshot_table {
	uint64_t pages;	 /* 0: there is no such region */
	uint32_t *saved; /* the newest snapshot it was saved for */
	uint32_t *head;	 /* its newest record */
	uint32_t *born;	 /* the newest snapshot when it was allocated */
	uint32_t *freed; /* the newest one when it was freed; 0: it is not kept */
	/* Of a run's first page: how many it has, and the next run + 1. */
	uint32_t *run_count, *run_next;
	uint32_t run_head; /* first page of the first run, + 1 */
};

struct xm_snapshot_options {
	uint32_t page_size;	/* bytes, at least a pointer's */
	uint32_t batch_records; /* in one batch */
	struct xm_snapshot_read *read; /* memory for so many snapshots */
	uint32_t read_max;
};

struct xm_snapshot {
	struct xm_snapshot_options options;
	uint32_t number; /* the newest snapshot; 0: there has been none */
	uint32_t read_count;
	uint32_t readers; /* of all snapshots */
	struct xm_snapshot_table tables[XM_SNAPSHOT_REGIONS_MAX];

	struct xm_snapshot_record *batches[XM_SNAPSHOT_BATCHES_MAX];
	uint32_t batch_count;
	uint32_t record_count; /* that were ever in use; 0 is none */
	uint32_t records_used, records_swept; /* the latter after a sweep */
	uint32_t free_plain, free_placed;     /* lists; the latter have places */
	void *free_frames;		      /* list, by their first bytes */
	uint64_t frames, frames_used;
	uint64_t places, places_used;
	uint64_t runs; /* that are kept */

	uint32_t sweep_at; /* the next record it looks at; 0: none is under way */
	bool sweep_needed;
	uint32_t run_region, run_after; /* where xm_snapshot_next_free() is */
	uint32_t spill_at;
	uint32_t spilling; /* the record whose frame is being written; 0: none */
};

void xm_snapshot_init(struct xm_snapshot *, const struct xm_snapshot_options *);

/* Bytes of zeroed memory that a region's tables need. */
uint64_t xm_snapshot_table_size(uint64_t pages);
/* Makes a region known, once; `memory` stays the machine's. */
void xm_snapshot_add_region(struct xm_snapshot *, uint32_t region,
			    uint64_t pages, void *memory);
bool xm_snapshot_has_region(const struct xm_snapshot *, uint32_t region);

/* --- snapshots and their readers ------------------------------------------------ */

/* A fork: a new snapshot, with one reader. -ENOSPC: too many are read, or all
 * numbers are used up. No page may become writable between this and the
 * moment when the child has what is present. */
int xm_snapshot_begin(struct xm_snapshot *, uint32_t *ret_number);
/* One more reader of a snapshot that is read, or one less. */
void xm_snapshot_reader_begins(struct xm_snapshot *, uint32_t number);
void xm_snapshot_reader_ends(struct xm_snapshot *, uint32_t number);

/* --- what the program does ------------------------------------------------------ */

enum xm_snapshot_need {
	XM_SNAPSHOT_DONE = 0,
	XM_SNAPSHOT_NEEDS_RECORDS, /* xm_snapshot_add_records(), and again */
	XM_SNAPSHOT_NEEDS_FRAMES,  /* xm_snapshot_add_frames(), and again */
	XM_SNAPSHOT_NEEDS_PLACES,  /* xm_snapshot_add_places(), and again */
	XM_SNAPSHOT_NOTHING,	   /* there is nothing to do */
};

/* The page is about to become writable. `contents`: page_size bytes; NULL: all
 * zero. If what it needs cannot be had: xm_snapshot_lose(). */
enum xm_snapshot_need xm_snapshot_change(struct xm_snapshot *, uint32_t region,
					 uint64_t page, const void *contents);
void xm_snapshot_lose(struct xm_snapshot *, uint32_t region, uint64_t page);

/* These pages have been allocated just now: no reader sees them. */
void xm_snapshot_allocated(struct xm_snapshot *, uint32_t region,
			   uint64_t page, uint64_t count);
/* The program frees these pages. Returns how many of them, from the first on,
 * have one answer: *ret_kept says that xm_snapshot_next_free() returns them
 * later (they may have been freed before); else they are free now. */
uint64_t xm_snapshot_free(struct xm_snapshot *, uint32_t region, uint64_t page,
			  uint64_t count, bool *ret_kept);

/* --- what a child asks ------------------------------------------------------------ */

enum xm_snapshot_found {
	XM_SNAPSHOT_UNCHANGED, /* the page as it is now; ask again when copied */
	XM_SNAPSHOT_FRAME,     /* *ret_frame, until the next call */
	XM_SNAPSHOT_ZEROS,
	XM_SNAPSHOT_PLACE,     /* *ret_place, until the reader has ended */
	XM_SNAPSHOT_LOST,      /* or such a page was never in the snapshot */
};

/* `number` is read; region and page may be anything. */
enum xm_snapshot_found xm_snapshot_find(const struct xm_snapshot *,
					uint32_t region, uint64_t page,
					uint32_t number, const void **ret_frame,
					uint64_t *ret_place);

/* --- memory ----------------------------------------------------------------------- */

/* A batch of options.batch_records, zeroed. False: no more fit. */
bool xm_snapshot_add_records(struct xm_snapshot *,
			     struct xm_snapshot_record *batch);
/* `count` frames, one behind the other. */
void xm_snapshot_add_frames(struct xm_snapshot *, void *memory, uint64_t count);
/* There is room for so many more pages elsewhere. */
void xm_snapshot_add_places(struct xm_snapshot *, uint64_t count);

/* Moves one page from its frame to a place. DONE: the caller writes *ret_frame
 * there and reports how that went; one at a time. NOTHING: no page has a frame. */
enum xm_snapshot_need xm_snapshot_spill(struct xm_snapshot *,
					const void **ret_frame,
					uint64_t *ret_place);
void xm_snapshot_spilled(struct xm_snapshot *, bool well);

/* True: a snapshot has lost its last reader since the last sweep began. */
bool xm_snapshot_needs_sweep(const struct xm_snapshot *);
/* True: there are twice as many records as after the last sweep, and 1,024
 * more. */
bool xm_snapshot_has_doubled(const struct xm_snapshot *);
/* Looks at `most` records and frees those without readers. True: the sweep is
 * not over. */
bool xm_snapshot_sweep(struct xm_snapshot *, uint32_t most);
/* A run of pages that were freed and that no reader sees any more; it is the
 * caller's from now on. False: none is left; the next call begins anew. */
bool xm_snapshot_next_free(struct xm_snapshot *, uint32_t *ret_region,
			   uint64_t *ret_page, uint64_t *ret_count);

/* Nothing is read, and no page is being spilled: all records, frames and
 * places go back to the caller. Runs do not: xm_snapshot_next_free(). */
void xm_snapshot_reset(struct xm_snapshot *);

#endif
