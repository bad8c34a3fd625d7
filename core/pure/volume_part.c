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
