/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MACHINE: whose memory an appliance lends on. It borrows from lenders, who may have borrowed
 * themselves; each says of whom, by identities, so that nobody lends on what is, at whatever
 * remove, his own: a page that is touched there would wait for itself. An identity stays when
 * a daemon begins again at its address: so one that others have borrowed from, with copies
 * elsewhere, cannot come back as their borrower before they have noticed.
 *
 *	example: C borrows from B, and B from A. A says nothing, B {A}, C {B, A}. If A began
 *	to borrow from C it would hear of itself, and does not.
 *
 * Appliances hear of one another late. So one tells of its lenders before it borrows, and
 * goes on to ask them while it does: two that begin at the same moment hear of themselves a
 * little later, and then give up what they have borrowed. No more is promised than that a
 * loop does not last.
 *
 * Bounds: XM_LENDERS_MAX identities, at all removes together.
 *
 * Floor: ground.
 */
#ifndef XM_LINEAGE_H
#define XM_LINEAGE_H

#include "core/pure/wire.h"

struct xm_lineage {
	uint32_t count;
	uint64_t ids[XM_LENDERS_MAX];
};

enum xm_lineage_verdict {
	XM_LINEAGE_FITS,
	XM_LINEAGE_ITSELF, /* the lender is this appliance */
	XM_LINEAGE_LOOP,   /* he borrows from it */
	XM_LINEAGE_LONG,   /* there are too many */
};

/* What a lender has said of himself. */
struct xm_lender {
	uint64_t identity; /* 0: he has not said anything yet */
	struct xm_lineage lineage;
};

/* All lenders have said this, to the appliance `self`: it goes on with what fits, and *ret is
 * what it says from then on in any case. */
enum xm_lineage_verdict xm_lineage_step(uint64_t self, const struct xm_lender *,
					uint32_t count, struct xm_lineage *ret);
/* Why not, for people. */
const char *xm_lineage_words(enum xm_lineage_verdict);

#endif
