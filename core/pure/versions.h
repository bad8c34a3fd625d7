/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Versions: how those who read a region that another client writes hear which parts of it
 * have changed. A pure machine, in two halves.
 *
 * A region is counted in blocks of 2 MiB. For each there is a number, its version, in a
 * table that lies at an appliance, where the readers read it. Nobody asks the writer.
 *
 *	the writer	marks a block whenever bytes of it may have come to the appliance
 *			(xm_mark); and at a release, when all that it stored has, it raises
 *			the versions of marked blocks and writes them to the table.
 *	a reader	reads the table at an acquire, forgets what it has of the blocks
 *			whose versions are not those that it saw last, and remembers these.
 *
 * Law: what a reader fetches of a block after an acquire is at least what the writer had
 * released when that began. For the stores were at the appliance before the version was;
 * and if the version that the reader saw last is the same, what it has was fetched after.
 *
 * An entry of the table is 16 bytes: the version, and all of its bits the other way round.
 * A write that a read overtakes may leave the first bytes new and the others old. Such an
 * entry does not fit together, and counts as changed now and the next time, too.
 *
 * Example: the writer stores to pages 7 and 600, and releases: entries 0 and 1 have version
 * 1. A reader, which has seen 0 there, forgets pages 0 to 1023, and fetches them as they are
 * touched.
 *
 * Marks are bits, set by any thread (all lanes), taken by one. A mark is set when a write
 * has *ended*, not when it is posted: so one that is under way while a release takes the
 * marks is in the next one.
 *
 * Floor: ground.
 */
#ifndef XM_VERSIONS_H
#define XM_VERSIONS_H

#include "common/base.h"

#define XM_BLOCK_PAGES 512 /* of a block */
#define XM_BLOCK_SIZE (XM_BLOCK_PAGES * XM_PAGE)
#define XM_VERSION_SIZE 16 /* bytes of an entry of the table */

/* A bit for each block of a client's arena. */
typedef _Atomic uint64_t xm_marks;

/* The versions of one region: those that its writer raises, or that a reader saw last. */
struct xm_versions {
	uint64_t first; /* its first block in the arena */
	uint64_t count; /* blocks */
	uint64_t *list;
};

/* Bytes of marks for so many pages; zeros are no marks. */
size_t xm_marks_size(uint64_t pages);
/* These pages' bytes at the appliance may have changed. */
void xm_mark(xm_marks *, uint64_t page, uint64_t count);

static inline uint64_t xm_versions_blocks(uint64_t bytes)
{
	return (bytes + XM_BLOCK_SIZE - 1) / XM_BLOCK_SIZE;
}

/* --- the writer --- */

/* Takes the marks of the region's blocks, and raises their versions. All raised ones lie
 * in [*ret_first, *ret_limit), counted in the region. False: there were none. */
bool xm_versions_raise(struct xm_versions *, xm_marks *, uint64_t *ret_first,
		       uint64_t *ret_limit);
/* The entries of these blocks, for the table. */
void xm_versions_put(const struct xm_versions *, uint64_t first, uint64_t limit,
		     uint8_t *ret);
/* They could not be written: as if these blocks had changed after. */
void xm_versions_mark_again(const struct xm_versions *, xm_marks *, uint64_t first,
			    uint64_t limit);

/* --- a reader; `table` is the whole table as it was read --- */

/* The next blocks from *first on whose versions are not those seen last: [*first,
 * *ret_limit), counted in the region. False: there are no more. */
bool xm_versions_changed(const struct xm_versions *, const uint8_t *table,
			 uint64_t *first, uint64_t *ret_limit);
/* Nothing is left of what these blocks were before: they are seen. */
void xm_versions_see(struct xm_versions *, const uint8_t *table, uint64_t first,
		     uint64_t limit);

#endif
