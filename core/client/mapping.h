/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapping regions into the arena; see mapping.c. */
#ifndef XM_MAPPING_H
#define XM_MAPPING_H

#include "core/client/region.h"

/* Gives [offset, + size) of a region to the mapper, or takes it away. With the
 * region's lock held, or with nobody else left. 0, or -errno. */
int xm_attach(extmem_region *, uint64_t offset, uint64_t size);
void xm_detach(extmem_region *, uint64_t offset, uint64_t size);

#endif
