/* SPDX-License-Identifier: BSD-3-Clause */
/* The volume, when memory is given to another client: see volume.h. Floor: ground. */
#include "core/pure/volume.h"

#include <stdatomic.h>

#include "core/pure/layout.h"

static struct xm_segment *segment(struct xm_volume *v, uint64_t page)
{
	uint32_t hint = 0;
	struct xm_segment *s = xm_layout_search(&v->layout, page, &hint);

	XM_ASSERT(s != NULL);
	return s;
}

void xm_volume_part(struct xm_volume *v, uint64_t page, uint32_t k)
{
	struct xm_segment *s = segment(v, page);

	XM_ASSERT(s->held && k < s->members_count);
	s->members[k].state = XM_MEMBER_LOST;
	s->lost = true;
	atomic_fetch_add(&v->changes, 1);
}

void xm_volume_renew(struct xm_volume *v, uint64_t page, uint32_t k,
		     const struct xm_remote_mr *remote)
{
	struct xm_segment *s = segment(v, page);

	XM_ASSERT(s->held && k < s->members_count);
	if (remote != NULL) {
		s->members[k].remote = *remote;
		return;
	}
	s->members[k].state = XM_MEMBER_LOST;
	s->lost = true;
	for (uint32_t i = 0; i < s->members_count; i++)
		s->lost &= s->members[i].state != XM_MEMBER_IN;
	atomic_fetch_add(&v->changes, 1);
}

/* --- loss ------------------------------------------------------------------- */

/* Returns true if this segment is lost, and one of these was its member: those whose lease
 * is older, or (`extent` not 0) that one. */
static bool lose_members(struct xm_volume *v, struct xm_segment *s,
			 uint32_t appliance, uint32_t lease, uint64_t extent)
{
	bool any = false, left = false;

	for (uint32_t k = 0; k < s->members_count; k++) {
		struct xm_member *member = &s->members[k];

		if (member->appliance == appliance &&
		    (extent != 0 ? member->extent == extent
				 : member->lease < lease)) {
			if (member->state != XM_MEMBER_LOST)
				atomic_fetch_add(&v->changes, 1);
			member->state = XM_MEMBER_LOST;
			member->unsure = false;
			any = true;
		}
		left |= member->state == XM_MEMBER_IN;
	}
	xm_segment_judge(s);
	if (!any || (left && !XM_PLANTED(lost_with_first_member)))
		return false;
	if (!s->lost) {
		/* In this order: another lane that sees a lost segment must
		 * not find none counted. */
		atomic_fetch_add(&v->lost_count, 1);
		s->lost = true;
	}
	return true;
}

bool xm_volume_lose(struct xm_volume *v, uint32_t appliance, uint32_t lease,
		    uint32_t *cursor, uint64_t *ret_page, uint64_t *ret_count)
{
	while (*cursor < v->layout.count) {
		struct xm_segment *s = &v->layout.segments[(*cursor)++];

		if (!lose_members(v, s, appliance, lease, 0))
			continue;
		*ret_page = s->page;
		*ret_count = s->count;
		return true;
	}
	return false;
}

bool xm_volume_revoke(struct xm_volume *v, uint32_t appliance, uint64_t extent,
		      uint32_t *cursor, uint64_t *ret_page, uint64_t *ret_count)
{
	while (*cursor < v->layout.count) {
		struct xm_segment *s = &v->layout.segments[(*cursor)++];

		if (!lose_members(v, s, appliance, 0, extent))
			continue;
		*ret_page = s->page;
		*ret_count = s->count;
		return true;
	}
	return false;
}
