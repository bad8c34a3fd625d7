/* SPDX-License-Identifier: BSD-3-Clause */
/* What area.c, area_remap.c and area_child.c share; all with the areas' lock held. */
#ifndef EXTMEM_AREA_PARTS_H
#define EXTMEM_AREA_PARTS_H

#include "common/areas.h"
#include "preload/area.h"
#include "preload/reserve.h"

struct area_request {
	enum xm_areas_request kind;
	enum xm_area_fork fork;
	int protection; /* PROT_... */
	int advice;	/* MADV_..., for the kernel's part */
};

extern struct xm_areas area_table; /* max is 0: there is none */

uint64_t area_page(const void *address);
/* Where so many pages fit: at the hint, if that is free. */
bool area_place(const void *hint, uint64_t pages, uint64_t *ret);
/* Does all that the request means. 0 or -errno; what was done before stays done. */
int area_apply(const struct area_request *, uint64_t page, uint64_t limit);
/* New external memory over what is there. */
int area_new(uint64_t page, uint64_t limit, int protection);

#endif
