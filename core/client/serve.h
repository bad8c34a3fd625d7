/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Serving faults: brings a page in, or says that it is lost.
 */
#ifndef XM_SERVE_H
#define XM_SERVE_H

#include "common/base.h"
#include "core/client/lane.h"
#include "core/extmem.h"
#include "core/pure/pager.h"

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

#endif
