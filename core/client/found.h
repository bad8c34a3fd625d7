/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a token leads to: extents that were claimed (adopt.c), or are read (reading.c), and
 * the region whose layout their labels say. Calls are made as handing.h says, one after the
 * other in this order.
 */
#ifndef XM_FOUND_H
#define XM_FOUND_H

#include "core/client/handing.h"

struct xm_found {
	extmem *x;
	enum xm_message_kind kind; /* XM_CLAIM, or XM_OPEN */
	uint8_t token[XM_TOKEN_SIZE];
	struct xm_handed_list l;
	uint32_t stale; /* behind what the list counts: copies from before a move */
	bool partly; /* a copy may be missing, if another one is there */
	uint32_t away; /* index and 1 of an appliance that does not answer; or 0 */
	char words[512]; /* why not */
};

/* At all appliances that answer. 0, -ENOENT, or another -errno in `words`, as for all that
 * follow. */
int xm_found_claim(struct xm_found *);
/* What was claimed waits under the token again; what is read is not read any more. */
void xm_found_give_back(struct xm_found *);
/* Sorts the list; -ENODATA: a part of the region is not there. */
int xm_found_check(struct xm_found *);
/* The region, with addresses and without memory. */
int xm_found_region(struct xm_found *, const char *call, extmem_region **ret);
/* The memory is its own, and its pager knows that it has contents. If that fails the
 * region is no more. */
int xm_found_back(struct xm_found *, extmem_region *);
/* Its memory does not move, and no part of it is replaced. */
void xm_found_hold(extmem_region *);
void xm_found_end(struct xm_found *);

#endif
