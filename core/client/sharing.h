/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a region has besides while it is shared: by its writer (sharing.c), or by who reads
 * it (reading.c). Its versions (versions.h) lie in *tables*, regions of their own of one
 * member each, which the program does not see; they are written and read explicitly. A
 * region with one copy has one table. One with more has as many as copies, each at an
 * appliance of its own and with a roll (roll.h) behind its entries: so the end of one
 * appliance ends no share.
 *
 * No member of either is replaced: memory that others read does not move, and what is read
 * is not this client's to move.
 */
#ifndef XM_SHARING_H
#define XM_SHARING_H

#include "core/client/handing.h"
#include "core/client/region.h"
#include "core/pure/roll.h"
#include "core/pure/versions.h"

/* With the lock of its region. */
struct xm_sharing {
	uint32_t tables_count;
	extmem_region *tables[XM_ROLL_TABLES]; /* NULL: a reader could not open it */
	struct xm_versions versions;
	uint8_t *bytes; /* of a table: to be written, or as one was read last */
	uint8_t token[XM_TOKEN_SIZE];
	/* The extents of the region, and behind them (a writer's) those of the tables, with
	 * their labels. */
	struct xm_handed_list extents;
	struct xm_caller caller; /* a writer's */
	/* A reader's: the roll by which it reads; that what it had read by another one is not
	 * dropped yet; and that there is no copy left to read. */
	struct xm_roll roll;
	bool unrefreshed, stranded;
};

/* For a region of this address and size. NULL: out of memory. */
struct xm_sharing *xm_sharing_new(const extmem_region *);
void xm_sharing_free(struct xm_sharing *);
/* The region is freed: nothing is left but its tables, for the caller to free. Returns how
 * many. */
uint32_t xm_sharing_leave(extmem_region *, extmem_region *ret[XM_ROLL_TABLES]);

/* --- tables.c --- */

/* Bytes of a table of so many. */
uint64_t xm_tables_size(const extmem_region *, uint32_t count);
/* A writer's: makes a table for each copy, and adds the tables' extents behind the others. On
 * failure there is no table: -errno, and words[512] say why. */
int xm_tables_alloc(extmem_region *, struct xm_sharing *, const char *call, char *words);
void xm_tables_free(struct xm_sharing *);
/* With the region's lock. The versions of what is marked rise, and all tables that count
 * have them, and say which copies are right. -ENOTCONN, -ETIMEDOUT: not all of that. */
int xm_tables_tell(extmem_region *, uint64_t deadline_ns);
/* With the region's lock: `bytes` are the entries now, and the members that are right are
 * read from now on. *ret_rolled: others were before. */
int xm_tables_read(extmem_region *, uint64_t deadline_ns, bool *ret_rolled);

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
