/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a region has besides while it is shared: by its writer (sharing.c), or by who reads
 * it (reading.c). Its versions (versions.h) lie in a region of their own, the *table*, which
 * the program does not see; it is written and read explicitly.
 *
 * Both regions' members are held (volume.h): memory that others read does not move, and
 * what is read is not this client's to move.
 */
#ifndef XM_SHARING_H
#define XM_SHARING_H

#include "core/client/handing.h"
#include "core/client/region.h"
#include "core/pure/versions.h"

/* With the lock of its region. */
struct xm_sharing {
	extmem_region *table;
	struct xm_versions versions;
	uint8_t *bytes; /* of the table: to be written, or as it was read last */
	uint8_t token[XM_TOKEN_SIZE];
	/* A writer's: the extents of both, with their labels. */
	struct xm_handed_list extents;
};

/* For a region of this address and size. NULL: out of memory. */
struct xm_sharing *xm_sharing_new(const extmem_region *);
void xm_sharing_free(struct xm_sharing *);
/* Bytes of its table. */
uint64_t xm_sharing_table_size(const extmem_region *);
/* The region is freed: nothing is left but its table, or NULL, for the caller to free. */
extmem_region *xm_sharing_leave(extmem_region *);

/* 0; -EACCES in words: this client only reads it. */
static inline int xm_region_writable(const extmem_region *region, const char *call)
{
	if (!region->reads)
		return 0;
	return xm_fail(-EACCES, "%s: region %s is another client's, and this one may "
		       "only read it", call, region->name);
}

/* 0; -EBUSY in words: others read it. */
static inline int xm_region_unshared(const extmem_region *region, const char *call)
{
	if (region->sharing == NULL || region->reads)
		return 0;
	return xm_fail(-EBUSY, "%s: region %s is shared: end that first, with "
		       "extmem_region_revoke()", call, region->name);
}

#endif
