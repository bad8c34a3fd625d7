/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files about the memory behind regions share (segments.c, planned.c, trims.c). Nobody
 * else includes this. See segments.h for the lock.
 */
#ifndef XM_SEGMENTS_PARTS_H
#define XM_SEGMENTS_PARTS_H

#include "core/client/region.h"
#include "core/pure/backing.h"
#include "core/pure/wire.h"

/* Enough for any sentence about an appliance. */
#define XM_OFFER_WORDS (XM_WORDS_SIZE + XM_ADDRESS_SIZE)

/* Memory that another client has freed is revoked and zeroed before it is free,
 * which takes a moment: an appliance that says so is asked again. */
#define XM_SOON (5 * XM_SECOND)
#define XM_SOON_STEP (5 * XM_MS)

/* --- segments.c --- */

/* One segment, or the columns of a run, whose members may be lost from the beginning.
 * -ENOSPC: no more segments. -ENOTCONN: all members of one are. */
int xm_segments_add(extmem *, const struct xm_backing *columns, uint32_t count);
/* A segment of a region, without members. */
void xm_backing_begin(const extmem_region *, uint64_t address, uint64_t size,
		      struct xm_backing *ret);
/* An extent of `size` bytes there, as a member; `number` tells the appliance which of
 * the region's columns and copies it is. If it is refused, *ret_refused has the
 * figures, and words[XM_OFFER_WORDS] why. */
int xm_extent_alloc(extmem *, const extmem_region *, uint32_t appliance,
		    uint64_t size, uint32_t number, struct xm_extent_at *ret,
		    struct xm_refused *ret_refused, char *words);
/* Likewise, and asks again where what others have freed may be free in a moment. */
int xm_extent_alloc_soon(extmem *, const extmem_region *, uint32_t appliance,
			 uint64_t size, uint32_t number, struct xm_extent_at *ret,
			 char *words);
/* Gives a member's extent back. 0 as well if the lease under which it was taken has ended:
 * so has the extent, and its number may be another's. */
int xm_extent_free(extmem *, const struct xm_extent_at *, bool unreachable);

/* A copy of the segment that holds the page, or of another column of its run. */
void xm_backing_of(extmem *, uint64_t page, struct xm_backing *ret);
/* And of the last one that has a byte of [address, end). False: none has. */
bool xm_backing_last(extmem *, uint64_t address, uint64_t end,
		     struct xm_backing *ret);

/* --- planned.c --- */

/* One try to cover [address, + size) as the region's strategy says. 0, or -errno with
 * nothing covered and a message; *ret_soon: another try in a moment may do. */
int xm_planned_try(extmem *, const extmem_region *, uint64_t address,
		   uint64_t size, bool *ret_soon, char *words,
		   size_t words_size);

#endif
