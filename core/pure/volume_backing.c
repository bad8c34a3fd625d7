/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments as others see them; see backing.h. Floor: ground. */
#include "core/pure/backing.h"

#include <errno.h>
#include <string.h>

#include "core/pure/volume.h"

/* --- geometry: the table's own rules, of a segment that is in no table -------- */

static void place(const struct xm_backing *b, struct xm_segment *ret)
{
	ret->page = b->page;
	ret->count = b->count;
	ret->unit = b->unit;
	ret->columns = b->columns;
	ret->column = b->column;
}

uint64_t xm_backing_row(const struct xm_backing *b, uint64_t page)
{
	struct xm_segment s;

	place(b, &s);
	return xm_segment_row(&s, page);
}

uint64_t xm_backing_end(const struct xm_backing *b, uint64_t page)
{
	struct xm_segment s;

	place(b, &s);
	return xm_segment_end(&s, page);
}

uint64_t xm_backing_after(const struct xm_backing *b)
{
	struct xm_segment s;

	place(b, &s);
	return xm_segment_after(&s);
}

/* --- out -------------------------------------------------------------------- */

static void read_member(const struct xm_member *m, struct xm_backing_copy *ret)
{
	ret->at.appliance = m->appliance;
	ret->at.lease = m->lease;
	ret->at.extent = m->extent;
	ret->at.remote = m->remote;
	ret->at.offset = m->offset;
	ret->at.wanted = m->wanted;
	ret->state = (enum xm_member_state)m->state;
	ret->unsure = m->unsure;
}

static void read_out(const struct xm_segment *s, struct xm_backing *ret)
{
	ret->page = s->page;
	ret->count = s->count;
	ret->unit = s->unit;
	ret->columns = s->columns;
	ret->column = s->column;
	ret->region_id = s->region_id;
	ret->region_page = s->region_page;
	ret->strategy = s->strategy;
	ret->choice = s->choice;
	ret->sealed = s->sealed;
	ret->direct = s->direct;
	ret->reads = s->reads;
	ret->fixed = s->fixed;
	ret->lost = s->lost;
	ret->unsure = s->unsure;
	ret->held = s->held;
	ret->guest = s->guest;
	ret->copies = (uint8_t)xm_segment_copies(s);
	for (uint32_t k = 0; k < s->members_count; k++)
		read_member(&s->members[k], &ret->list[k]);
}

bool xm_volume_backing(const struct xm_volume *v, uint64_t page, struct xm_backing *ret)
{
	uint32_t hint = 0;
	const struct xm_segment *s = xm_layout_search(&v->layout, page, &hint);

	if (s == NULL)
		return false;
	read_out(s, ret);
	return true;
}

bool xm_volume_last(const struct xm_volume *v, uint64_t page, uint64_t limit,
		    struct xm_backing *ret)
{
	uint32_t i = xm_layout_from(&v->layout, limit - 1);
	const struct xm_segment *s = &v->layout.segments[i];

	XM_ASSERT(page < limit);
	/* The first one that ends at the limit or behind it may begin there, too. */
	if (i == v->layout.count || s->page >= limit) {
		if (i-- == 0)
			return false;
		s = &v->layout.segments[i];
	}
	if (s->page + s->count <= page)
		return false;
	read_out(s, ret);
	return true;
}

/* --- in --------------------------------------------------------------------- */

void xm_member_set(struct xm_member *m, const struct xm_extent_at *at)
{
	memset(m, 0, sizeof(*m));
	m->appliance = at->appliance;
	m->lease = at->lease;
	m->extent = at->extent;
	m->remote = at->remote;
	m->offset = at->offset;
	m->wanted = at->wanted;
}

/* Lanes are told once of a lease that has ended, and say so of the members that there
 * are. So a member whose lease ended before it is added is lost from the beginning.
 * False: no other is left. */
static bool lose_late(const struct xm_backing *b, const uint32_t *lost, uint32_t *ret_late)
{
	*ret_late = 0;
	for (uint32_t k = 0; k < b->copies; k++) {
		const struct xm_extent_at *at = &b->list[k].at;

		*ret_late |= (uint32_t)(lost[at->appliance] > at->lease) << k;
	}
	return *ret_late != (1u << b->copies) - 1;
}

static void segment_make(const struct xm_backing *b, uint32_t late, struct xm_segment *ret)
{
	memset(ret, 0, sizeof(*ret));
	place(b, ret);
	ret->region_id = b->region_id;
	ret->region_page = b->region_page;
	ret->strategy = b->strategy;
	ret->choice = b->choice;
	ret->sealed = b->sealed;
	ret->direct = b->direct;
	ret->reads = b->reads;
	ret->fixed = b->fixed;
	ret->members_count = b->copies;
	for (uint32_t k = 0; k < b->copies; k++) {
		xm_member_set(&ret->members[k], &b->list[k].at);
		if ((late & 1u << k) != 0)
			ret->members[k].state = XM_MEMBER_LOST;
	}
}

int xm_volume_put(struct xm_volume *v, const struct xm_backing *columns, uint32_t count,
		  const uint32_t lost[XM_APPLIANCES_MAX])
{
	uint32_t late[XM_APPLIANCES_MAX];
	struct xm_segment s;
	int rc = 0;

	if (xm_volume_room(v) < count)
		return -ENOSPC;
	for (uint32_t c = 0; c < count; c++) {
		if (!lose_late(&columns[c], lost, &late[c]))
			return -ENOTCONN;
	}
	for (uint32_t c = 0; rc == 0 && c < count; c++) {
		segment_make(&columns[c], late[c], &s);
		rc = xm_volume_add(v, &s);
	}
	return rc;
}
