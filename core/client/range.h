/* SPDX-License-Identifier: BSD-3-Clause */
/* Events of the pager over ranges of pages, in all lanes; see range.c. */
#ifndef XM_RANGE_H
#define XM_RANGE_H

#include "common/base.h"
#include "core/extmem.h"
#include "core/pure/pager.h"

/*
 * An event like this one over pages [first, limit) of the arena, until it is done
 * everywhere. Without a lane's lock. 0, -ETIMEDOUT, -ENOTCONN (out of reach),
 * -ESTALE (lost).
 */
int xm_range(extmem *, const struct xm_pager_event *like, uint64_t first,
	     uint64_t limit, uint64_t deadline_ns);
/* FLUSH, or EVICT, and then until the stores have landed. */
int xm_flush(extmem *, uint64_t first, uint64_t limit, bool evict,
	     uint64_t deadline_ns);
/* What such a failure means, as a clause. */
const char *xm_why(int rc);

#endif
