/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager machine run on touches of pages, one after the other: what the product would do
 * with another size of local memory, or over another link. No client, no network, no
 * thread: the pager is a pure function, and reads and writes take the time that a model of
 * the link says.
 *
 * A touch that finds its page present is not seen by the pager, as in reality.
 */
#ifndef XM_REPLAY_H
#define XM_REPLAY_H

#include "core/pure/pager.h"

struct replay_link {
	uint64_t hit_ns;   /* a touch that finds its page, and the program */
	uint64_t fault_ns; /* a fault without its network */
	uint64_t trip_ns;  /* a round trip, without its bytes */
	uint64_t page_ns;  /* a page on the link; both ways at once */
	uint64_t store_ns; /* of the thread, for each page it stores and each copy */
	uint32_t copies;   /* of each page; 0 is 1 */
};

struct replay_figures {
	uint64_t hits;		/* touches that found their page */
	uint64_t faults, waits; /* of the others: that waited for the link */
	uint64_t pages_read, pages_written, wasted;
	uint64_t returned; /* faults that brought pages that had been here */
	uint64_t projected[XM_RETURNS_STEPS]; /* and would have, with more frames */
	uint64_t took_ns; /* by the model */
};

struct replay;

/* All pages are fresh at first. NULL: there is no memory. */
struct replay *replay_open(const struct xm_pager_options *,
			   const struct replay_link *);
void replay_close(struct replay *);
/* All pages hold something from now on, far away; none is here. */
void replay_back_all(struct replay *);
/* *ret_waits: the times that it waited. Returns NULL, or in words what the machine did that
 * it must not. */
const char *replay_touch(struct replay *, uint64_t page, bool write,
			 uint64_t *ret_waits);
/* The pages read as zeros from now on. */
const char *replay_fresh(struct replay *, uint64_t page, uint64_t limit);
void replay_figures(const struct replay *, struct replay_figures *ret);
/* For tests: xm_pager_check(), and the budget. */
const char *replay_check(const struct replay *);

#endif
