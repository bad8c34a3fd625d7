/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Areas: what a program has asked for at the addresses of one reserved span, and what
 * follows from each further request of it.
 *
 * The span's pages are numbered from 0. An area is a run of pages of one state:
 *
 *	FREE		nobody asked for it: a touch is an error. A gap in the table.
 *	EXTERNAL	external memory, or the promise of it: with rights (none, read,
 *			read and write), and `used` once it had any, for then it has
 *			contents. Unused ones cost nothing.
 *	LOCAL		the program has a mapping of its own there, which external memory
 *			cannot be: executable, shared, of a file
 *
 * A request (xm_areas_step()) is answered piece by piece: what is to be done about the
 * first piece of a range that has one state, in the order of the list, and the state
 * that the piece has after that. The caller does it, says so by xm_areas_set(), and asks
 * about the rest. What is done about a piece depends on its state alone:
 *
 *		FREE		EXTERNAL		LOCAL
 *	MAP	open		discard, open, return	restore, open
 *	PLANT	-		discard, close, return	-
 *	UNMAP	-		discard, close, return	restore
 *	RIGHTS	hole		open, or close		kernel
 *	EXECUTE	hole		localize		kernel
 *	DISCARD	hole		discard			kernel
 *	FORK	hole		-			kernel
 *
 * Example: pages 0 to 1023 were reserved (EXTERNAL, no rights), 0 to 511 then given
 * rights and used. UNMAP of 256 to 767 is: discard, close and return 256 to 511, FREE;
 * then nothing about 512 to 767, FREE.
 *
 * Memory: a sorted table of the areas, given once. A request needs at most two entries
 * more than there are: xm_areas_full() tells before anything is done. Neighbours of the
 * same state are one area. Finding takes a binary search, changing a move of the table's
 * end, placing a walk over the areas from the first gap that might do.
 *
 * Floor: ground.
 */
#ifndef XM_AREAS_H
#define XM_AREAS_H

#include "common/base.h"

enum xm_area_kind { XM_AREA_FREE, XM_AREA_EXTERNAL, XM_AREA_LOCAL };

/* Of EXTERNAL pages. */
enum xm_area_rights { XM_AREA_NONE, XM_AREA_READ, XM_AREA_READ_WRITE };

/* What a child of fork() has of EXTERNAL pages: their contents, nothing, zeros. */
enum xm_area_fork { XM_AREA_KEEP, XM_AREA_ABSENT, XM_AREA_WIPED };

struct xm_area_state {
	uint8_t kind, rights, fork;
	bool used;
};

struct xm_area {
	uint64_t page, count;
	struct xm_area_state is;
};

struct xm_areas {
	uint64_t pages;	    /* of the span */
	uint64_t used;	    /* pages */
	uint64_t local;	    /* pages */
	/* No gap of gap_count pages or more begins before gap_page. */
	uint64_t gap_page, gap_count;
	uint32_t count, max;
	struct xm_area *list;
};

size_t xm_areas_memory_size(uint32_t max);
/* All is FREE. `memory` is aligned to 8, and is not touched before it is needed. */
void xm_areas_init(struct xm_areas *, uint64_t pages, uint32_t max, void *memory);

/* The piece of one state that begins at `page`, up to `limit`. */
struct xm_area xm_areas_at(const struct xm_areas *, uint64_t page, uint64_t limit);
/* Whether all of [page, limit) is FREE, and whether none of it is. */
bool xm_areas_free(const struct xm_areas *, uint64_t page, uint64_t limit);
bool xm_areas_taken(const struct xm_areas *, uint64_t page, uint64_t limit);
/* The lowest gap of `count` pages, at a multiple of `alignment`; false: none. */
bool xm_areas_place(struct xm_areas *, uint64_t count, uint64_t alignment,
		    uint64_t *ret_page);
/* The pages around [page, limit) that are not used, and are EXTERNAL or FREE, with it
 * as far as from `low` to `high`. */
void xm_areas_unused(const struct xm_areas *, uint64_t page, uint64_t limit,
		     uint64_t low, uint64_t high, uint64_t *ret_page,
		     uint64_t *ret_limit);

/* No further request can be answered. */
bool xm_areas_full(const struct xm_areas *);
/* The pages have this state from now on. There is room. */
void xm_areas_set(struct xm_areas *, uint64_t page, uint64_t limit,
		  struct xm_area_state);

/* --- requests -------------------------------------------------------------------------- */

enum xm_areas_request {
	XM_AREAS_MAP,	  /* new external memory, with these rights, over what is there */
	XM_AREAS_PLANT,	  /* a mapping of the program's own is about to be put there */
	XM_AREAS_UNMAP,
	XM_AREAS_RIGHTS,  /* these, from now on */
	XM_AREAS_EXECUTE, /* some with the right to execute */
	XM_AREAS_DISCARD, /* the contents */
	XM_AREAS_FORK,	  /* what a child has */
};

enum xm_area_action {
	XM_AREA_DISCARD = 1, /* the contents: it reads as zero */
	XM_AREA_OPEN,	  /* give it the rights of the new state; it has memory by then */
	XM_AREA_CLOSE,	  /* take all rights away */
	XM_AREA_RETURN,	  /* its memory is not needed */
	XM_AREA_RESTORE,  /* in place of the program's mapping, external memory that is
			   * fresh and has no rights */
	XM_AREA_LOCALIZE, /* a local mapping with the same contents, in its place */
	XM_AREA_KERNEL,	  /* the kernel answers the request for this piece */
	XM_AREA_HOLE,	  /* ENOMEM: the request does not reach FREE pages */
};

#define XM_AREA_ACTIONS 3

struct xm_area_step {
	uint64_t page, limit; /* of the piece */
	struct xm_area_state was, next;
	uint8_t action[XM_AREA_ACTIONS]; /* enum xm_area_action; 0: no more */
};

/* `like`: the rights and `fork` of requests that have them. page < limit. */
void xm_areas_step(const struct xm_areas *, enum xm_areas_request, uint64_t page,
		   uint64_t limit, struct xm_area_state like,
		   struct xm_area_step *ret);

/* For tests: asserts every invariant. */
void xm_areas_check(const struct xm_areas *);

#endif
