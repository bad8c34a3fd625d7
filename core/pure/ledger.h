/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ledger: a client's record of its view (view.h), kept at each of its appliances,
 * so that a successor can tell which appliances have the newest bytes. It is an extent
 * of one granule, of which two slots of 512 bytes are used in turn: a record that is
 * cut off as it is written leaves the one before.
 *
 *	 0  8	"xmledger"			all numbers little-endian
 *	 8  4	format, 1
 *	12  4	CRC32C of the slot, with zeros here
 *	16  8	version				the higher one of two slots counts
 *	24  8	number of the view that is committed
 *	32  4	who is in it, a bit each
 *	36  4	who is in the view that is proposed
 *	40  8	and its number, or 0
 *	48  8	client
 *	56  4	appliances
 *	64 16*8	by which view each was dropped, or 0
 *	192 16*8 the incarnation of each, or 0: its bits and indices mean nothing otherwise
 *
 * Who reads it. While the owner lives it needs no ledger. A successor, which takes the
 * owner's regions over (not built yet), does this:
 *	1. It fences the owner at every appliance that it reaches, so that the owner can
 *	   write nothing there any more.
 *	2. It takes the view with the highest number that may have been committed: one
 *	   that a ledger calls committed, or a proposed one that is in the ledger of
 *	   each of its appliances that the successor reaches.
 *	3. It goes on only if it reaches all appliances of that view, or a majority of
 *	   those of the view before if these are three or more; and, for each segment,
 *	   at least one appliance of that view that holds it. Otherwise somebody else
 *	   may have gone on already.
 *	4. Where all members of a segment were dropped, the newest bytes are at those
 *	   that were dropped by the view with the highest number.
 *
 * Floor: ground.
 */
#ifndef XM_LEDGER_H
#define XM_LEDGER_H

#include "common/base.h"
#include "core/pure/view.h"

#define XM_LEDGER_SLOT 512
#define XM_LEDGER_SIZE (2 * XM_LEDGER_SLOT)
#define XM_LEDGER_NAME "ledger" /* the region that such an extent is of */

struct xm_ledger {
	struct xm_view_record record;
	uint64_t client;
	uint32_t appliances;
	uint64_t incarnations[XM_APPLIANCES_MAX];
};

/* Where in the ledger this version goes. */
static inline uint64_t xm_ledger_offset(uint64_t version)
{
	return (version & 1) * XM_LEDGER_SLOT;
}

void xm_ledger_encode(const struct xm_ledger *, uint8_t ret[XM_LEDGER_SLOT]);
/* Of both slots, the one that counts. False: neither is a record. */
bool xm_ledger_decode(const uint8_t bytes[XM_LEDGER_SIZE],
		      struct xm_ledger *ret);

#endif
