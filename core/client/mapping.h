/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapping regions into the arena; see mapping.c. */
#ifndef XM_MAPPING_H
#define XM_MAPPING_H

#include "core/client/region.h"

/* Gives [offset, + size) of a region to the mapper, or takes it away. With the
 * region's lock held, or with nobody else left. 0, or -errno. */
int xm_attach(extmem_region *, uint64_t offset, uint64_t size);
void xm_detach(extmem_region *, uint64_t offset, uint64_t size);
/* The mapper has these pages already, or has them no longer: says so to the volume. */
void xm_set_attached(extmem_region *, uint64_t offset, uint64_t size,
		     bool attached);

/* Offset and size as pages of the arena; size 0 is to the end, and is set so. 0; or
 * -ERANGE, -EINVAL (not aligned), with a message of this call's. */
int xm_pages_of(const extmem_region *, const char *call, uint64_t offset,
		uint64_t *size, bool aligned, uint64_t *ret_first,
		uint64_t *ret_limit);

/* These rights to [offset, + size), as extmem_protect() gives them. 0 or -errno. */
int xm_rights_take(extmem_region *, uint64_t offset, uint64_t size,
		   enum extmem_rights rights, uint64_t deadline_ns);
/* All rights to [offset, + size) again, whatever extmem_protect() has taken. */
void xm_rights_return(extmem_region *, uint64_t offset, uint64_t size);

#endif
