/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Serving faults: brings a page in, or says that it is lost, and remembers the
 * first loss for the person who will ask.
 */
#ifndef XM_SERVE_H
#define XM_SERVE_H

#include <stdatomic.h>

#include "common/base.h"
#include "core/client/lane.h"
#include "core/extmem.h"
#include "core/pure/pager.h"

/* Pages that could not be had. Any thread, no lock. */
struct xm_lost {
	char words[256]; /* of the first; valid once said == 2 */
	atomic_int said; /* 0 no, 1 being written, 2 written */
	atomic_uint_least64_t pages;
};

/*
 * Serves a fault on this page: DONE, LOST or DENIED, after however long it takes; at most
 * twice the loss timeout. On the thread that faulted, with signals blocked and no
 * lock held.
 */
enum xm_verdict xm_serve(extmem *, uint64_t page, bool write);

/* A fault that is served by repeated tries: `page` and `write` are set, the
 * rest is zero before the first try. */
struct xm_serving {
	uint64_t page;
	bool write, again;
	bool returned; /* the page has been local before */
	uint64_t since_ns; /* engine time */
	uint64_t began_ns;
};
/* One try, which does not wait: DONE, LOST, DENIED, or WAIT. */
enum xm_verdict xm_serve_once(extmem *, struct xm_serving *);

/* With the lane locked: a page is lost. Counts it; the first becomes the message
 * of extmem_lost(). */
void xm_lost_note(extmem *, uint64_t page);

#endif
