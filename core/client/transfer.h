/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transfers: what one explicit call moves, as pieces under way on lanes.
 *
 * A transfer has spans of external memory and the caller's memory for each. It
 * cuts them into pieces, of which so many are under way at once, and it ends
 * when all have landed, or when one has failed for good and none is under way.
 * One whose connection broke is moved again: reading and writing the same
 * bytes twice is harmless.
 *
 * In a region that was never mapped, pieces go straight to the transport. In
 * one that was, the pager is asked for each: pages that are here are used by
 * the mapping (and stored at the end, after a write), fresh ones read as zero,
 * and absent ones are I/O-locked while their bytes are under way, so that no fault
 * sees half of them. The thread that takes in the piece's completion ends the
 * lock, so a thread that waits for a page never depends on the transfer's own
 * thread.
 *
 * One thread drives a transfer at a time: it calls xm_transfer_step(), which
 * never waits. Pieces end on any thread, which only hands them back.
 *
 * Bounce pages. Memory that is mapped itself may fault, and some transports
 * want registered memory: such a transfer is bounced through pages of the lane,
 * one for each piece. A part of a fresh page is written as the whole of it,
 * from such a page too.
 *
 * Sealed regions move whole pages, and are tracked from the beginning. Writes go by bounce
 * pages, where they are sealed; so do reads of parts. A part is written in two operations
 * under one I/O lock: its page is read and opened, changed, sealed and written.
 */
#ifndef XM_TRANSFER_H
#define XM_TRANSFER_H

#include <stdatomic.h>

#include "common/base.h"
#include "core/extmem.h"
#include "core/client/piece.h"
#include "core/client/range.h"
#include "core/engine/keeper.h"
#include "core/skin/os.h"

/* Where a transfer of the asynchronous calls is. */
enum xm_transfer_state {
	XM_TRANSFER_IDLE,     /* pieces are under way; their end will call */
	XM_TRANSFER_CALLED,   /* in the list of those that a thread shall drive */
	XM_TRANSFER_DRIVEN,   /* a thread drives it */
	XM_TRANSFER_RECALLED, /* and a piece has ended meanwhile */
};

struct xm_transfer {
	extmem *client;
	extmem_region *region;
	bool write, by_pager, bounced, async, sealed;
	bool zeroes; /* what is not fresh is passed over (xm_access_zero()) */
	/* A write of sealed pages that changes nothing: those that are not under the newest
	 * key are sealed again, the others passed over. The caller's memory is not looked at. */
	bool reseals;
	uint64_t deadline_ns;

	/* What is left to begin: the rest of a span, and the spans behind it. */
	uint64_t address, size;
	uint8_t *local;
	const struct extmem_iov *spans;
	size_t spans_count;
	struct xm_piece *again; /* have failed, and are to be moved again */
	uint32_t again_count;
	struct {
		uint64_t address, size;
		uint8_t *local;
	} rest; /* of the span, while they are */

	struct xm_piece *flying; /* chained by `other` */
	uint32_t flying_count;
	uint64_t flying_bytes;
	_Atomic(struct xm_piece *) ended;

	/* Pages that are here and were written to: those not yet asked to be
	 * stored, with the stores begun, and from the first to the last. */
	struct xm_range_walk dirty;
	uint64_t dirty_from, dirty_to;

	uint64_t stuck_page; /* where it is stuck */
	bool cut;
	atomic_uint cuts; /* pieces of a write that were cut off, ever */
	int status;
	struct xm_lane *held; /* by the thread that drives it */
	struct os_signals signals;

	/* asynchronous */
	atomic_uint state;
	atomic_uint callers; /* threads that hand a piece back just now */
	bool lent; /* its memory is not the caller's */
	void *context;
	struct xm_transfer *next;
	struct extmem_iov span;
};

/* Zeroed but for what is asynchronous. `spans` stay the caller's, and stay.
 * -ETIMEDOUT: the region is being mapped for the first time all the while. */
int xm_transfer_begin(struct xm_transfer *, extmem_region *, bool write,
		      const struct extmem_iov *spans, size_t count,
		      uint64_t deadline_ns);
enum xm_transfer_progress {
	XM_TRANSFER_ENDED, /* with `status` */
	XM_TRANSFER_WAITS, /* for pieces under way, for nothing else */
	XM_TRANSFER_STUCK, /* for a page, or a connection, or room: try again */
};
enum xm_transfer_progress xm_transfer_step(struct xm_transfer *);
/* Drives it until it has ended; past the deadline what is under way is cut
 * off. */
int xm_transfer_run(struct xm_transfer *);
/* Of one that is stuck: fails it where there is no hope, or no time. */
void xm_transfer_give_up(struct xm_transfer *, uint64_t now_ns);
/* Of one that has ended, or that waits and is left alone for a while: signals
 * and locks are as they were. */
void xm_transfer_calm(struct xm_transfer *);
/* Of one that has ended. */
void xm_transfer_end(struct xm_transfer *);

#endif
