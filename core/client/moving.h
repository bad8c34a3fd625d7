/* SPDX-License-Identifier: BSD-3-Clause */
/* What the keeper needs of regions whose memory moves (core/engine/keeper_move.c). */
#ifndef XM_MOVING_H
#define XM_MOVING_H

#include "core/client/region.h"
#include "core/pure/volume.h"

/* One step to where the region's pages are tracked; on the keeper's thread, with no
 * lock. True: they are. A region that is gone is none of ours any more: false. */
bool xm_moving_track(extmem *, const struct xm_region_id *);

/* Its name, or "" if it is gone; likewise. */
void xm_moving_name(extmem *, const struct xm_region_id *, char ret[XM_NAME_SIZE]);

/* With regions.links; NULL: it is gone. */
extmem_region *xm_moving_find(extmem *, const struct xm_region_id *);
/* keeping.c: the OFFER by which the extent of a guest gets the token of its region,
 * likewise; see keeper.h. */
int xm_keeping_tie(extmem *, const struct xm_vacancy *, uint64_t extent,
		   struct xm_message *ret);

#endif
