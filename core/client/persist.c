/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem_sync_level(): what was written back is on the disks of its appliances, too.
 *
 * An appliance does not see one-sided writes, so it is told which bytes to keep (PERSIST), an
 * extent after the other. It compares them with what it has on its disk, and writes what
 * differs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/handing.h"
#include "core/client/mapping.h"
#include "core/client/range.h"

#define CALL "extmem_sync_level"
#define WORDS 512

/* What of one extent is to be durable. */
struct part {
	struct xm_member member;
	uint64_t offset, size;
};

/* The part of the segment at `page`, and the page behind the segment. 0, or -errno. Of a
 * column all is taken, as what differs is written alone. */
static int part_at(extmem *x, uint64_t page, uint64_t limit, struct part *ret,
		   uint64_t *ret_next)
{
	struct os_signals old;
	struct xm_segment s;
	bool there;

	xm_lanes_lock(&x->lanes, &old);
	there = xm_volume_segment(&x->volume, page, &s) && !s.lost;
	xm_lanes_unlock(&x->lanes, &old);
	if (!there)
		return -ESTALE;
	if (s.members_count != 1 || s.members[0].offset != 0 ||
	    s.members[0].extent == 0)
		return -EBUSY;
	memcpy(&ret->member, &s.members[0], sizeof(ret->member));
	*ret_next = xm_segment_after(&s);
	ret->offset = 0;
	ret->size = xm_segment_size(&s) * XM_PAGE;
	if (!xm_segment_is_striped(&s)) {
		ret->offset = (page - s.page) * XM_PAGE;
		ret->size = (xm_min(limit, s.page + s.count) - page) * XM_PAGE;
	}
	return 0;
}

/* The first page of the run of segments that has this page: all its columns, where it is
 * striped. */
static uint64_t run_begin(extmem *x, uint64_t page)
{
	struct os_signals old;
	struct xm_segment s;
	uint64_t first = page;

	xm_lanes_lock(&x->lanes, &old);
	if (xm_volume_segment(&x->volume, page, &s) && xm_segment_is_striped(&s))
		first = s.page;
	xm_lanes_unlock(&x->lanes, &old);
	return first;
}

static int persist(extmem *x, uint64_t first, uint64_t limit, char *words)
{
	uint64_t page = run_begin(x, first), next;
	struct part part;
	int rc = 0;

	for (; page < limit && rc == 0; page = next) {
		rc = part_at(x, page, limit, &part, &next);
		if (rc != 0)
			snprintf(words, WORDS, "%s",
				 rc == -EBUSY ? "a part of it is being moved" : xm_why(rc));
		else
			rc = xm_persist_extent(x, &part.member, part.offset,
					       part.size, words, WORDS);
	}
	return rc;
}

int extmem_sync_level(extmem_region *region, uint64_t offset, uint64_t size,
		      enum extmem_level level)
{
	char words[WORDS];
	uint64_t first, limit;
	extmem *x;
	int rc = xm_region_usable(region, CALL);

	if (rc != 0)
		return rc;
	if (level != EXTMEM_REMOTE && level != EXTMEM_DURABLE)
		return xm_fail(-EINVAL, CALL ": %d is no level: EXTMEM_REMOTE or "
			       "EXTMEM_DURABLE", (int)level);
	rc = extmem_sync(region, offset, size);
	if (rc != 0 || level == EXTMEM_REMOTE)
		return rc;
	x = region->client;
	rc = xm_pages_of(region, CALL, offset, &size, false, &first, &limit);
	if (rc != 0)
		return rc;
	xm_regions_lock(x);
	os_mutex_take(&region->lock);
	rc = persist(x, first, limit, words);
	os_mutex_give(&region->lock);
	xm_regions_unlock(x);
	return rc == 0 ? 0
		       : xm_fail(rc, CALL ": not all of it is durable: %s", words);
}
