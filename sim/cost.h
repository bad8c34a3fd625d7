/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What things cost in the world, in predictions (predict.c). Elsewhere everything
 * but links takes no time.
 *
 * A link is described by two curves, as `extmem-bench rma --calibrate` measures
 * them: how long one operation of so many bytes takes alone, and how many bytes a
 * second come through when many are under way. An operation ends when its time
 * alone has passed and the operation before it has ended and it has been served,
 * whichever is later. For a part of that time the initiator's processor posts and
 * polls, and does nothing else.
 */
#ifndef XM_COST_H
#define XM_COST_H

#include "common/base.h"

#define COST_SIZES_MAX 32

struct cost_curve {
	size_t count;
	struct {
		uint64_t bytes;
		double alone_ns, served_ns;
	} sizes[COST_SIZES_MAX]; /* by bytes */
};

struct cost_model {
	bool on;
	struct cost_curve read, write;
	/* In ns; `_page`: for each of a call's pages beyond the first. */
	double deliver;		       /* a fault: to its handler and back */
	double step;		       /* what the library does about it */
	double install, install_page;  /* UFFDIO_COPY, UFFDIO_ZEROPAGE */
	double protect, protect_page;  /* UFFDIO_WRITEPROTECT, either way */
	double drop, drop_page;	       /* MADV_DONTNEED */
	double copy_page;	       /* into a write-back buffer */
	/* What the calls to a provider take of the processor: the one that
	 * begins an operation, and those that see it end. */
	struct cost_calls {
		double post, post_page, poll, poll_page;
	} calls[2]; /* of reads, of writes */
};

extern struct cost_model cost;

/* The fiber is busy for so long; nothing if nothing costs anything. */
void cost_spend(double ns);
/* With so many pages in one call. */
void cost_spend_pages(double first, double other, uint64_t pages);
void cost_post(bool write, uint64_t size);
void cost_poll(bool write, uint64_t size);
/* When an operation that is posted now ends. `*busy_ns` is until when its
 * connection is, and is moved. */
uint64_t cost_ends(bool write, uint64_t size, uint64_t *busy_ns);

#endif
