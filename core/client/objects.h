/* SPDX-License-Identifier: BSD-3-Clause */
/* What threads keep of a region's slots for objects; objects.c explains it. */
#ifndef XM_OBJECTS_H
#define XM_OBJECTS_H

#include "core/client/region.h"

/* With the region's lock held: all of it goes back to the heap. Returns how many
 * slots. */
uint64_t xm_caches_empty(extmem_region *);
/* With the region's lock held: how many slots threads keep. */
uint64_t xm_caches_count(const extmem_region *);
/* The region ends. Without its lock. */
void xm_caches_end(extmem_region *);

#endif
