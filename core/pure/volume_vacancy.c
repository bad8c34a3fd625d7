/* SPDX-License-Identifier: BSD-3-Clause */
/* Members that are to be replaced; see volume.h. */
#include "core/pure/volume.h"

#include <stdatomic.h>
#include <string.h>

static bool is_at(const struct xm_member *member, uint32_t appliances)
{
	return (appliances & 1u << member->appliance) != 0;
}

static bool is_vacant(const struct xm_member *member, uint32_t appliances)
{
	return member->state == XM_MEMBER_LOST ||
	       (member->state == XM_MEMBER_OUT && is_at(member, appliances));
}

/* The appliances of its members, but for those that lost them. */
static uint32_t appliances_of(const struct xm_segment *s)
{
	uint32_t ret = 0;

	for (uint32_t i = 0; i < s->members_count; i++) {
		if (s->members[i].state != XM_MEMBER_LOST)
			ret |= 1u << s->members[i].appliance;
	}
	return ret;
}

void xm_vacancy_set(const struct xm_volume *v, const struct xm_segment *s,
		    uint32_t k, struct xm_vacancy *ret)
{
	uint32_t columns = xm_segment_columns(s);

	memset(ret, 0, sizeof(*ret));
	ret->page = xm_segment_next(s, s->page);
	ret->count = s->page + s->count - ret->page;
	ret->size = xm_segment_size(s) * v->page_size;
	ret->region_id = s->region_id;
	ret->member = k;
	ret->taken = s->members[k].taken;
	ret->lost = s->members[k].state == XM_MEMBER_LOST;
	ret->appliance = s->members[k].appliance;
	ret->lease = s->members[k].lease;
	ret->extent = s->members[k].extent;
	ret->strategy = s->strategy;
	ret->choice = s->choice;
	/* Where it was lost there is room for it now, if that answers. */
	ret->used = appliances_of(s);
	for (uint32_t c = 0; c < columns; c++) {
		if (c != s->column)
			ret->row |= appliances_of(s - s->column + c);
	}
}

bool xm_volume_vacancy(const struct xm_volume *v, uint32_t appliances,
		       uint32_t *cursor, struct xm_vacancy *ret)
{
	while (*cursor < v->layout.count) {
		const struct xm_segment *s = &v->layout.segments[(*cursor)++];

		/* What its extents are changes during a TRIM. After half a one the
		 * appliance is given back all that it may have made of them. */
		if (xm_segment_copies(s) < 2 || s->guest || s->lost ||
		    s->held || s->fixed ||
		    (s->unsure && XM_PLANTED(unsure_left)))
			continue;
		for (uint32_t k = 0; k < s->members_count; k++) {
			if (is_vacant(&s->members[k], appliances)) {
				xm_vacancy_set(v, s, k, ret);
				return true;
			}
		}
	}
	return false;
}

bool xm_volume_next_copy(const struct xm_volume *v, uint32_t appliance,
			 uint32_t *cursor, struct xm_vacancy *ret)
{
	while (*cursor < v->layout.count) {
		const struct xm_segment *s = &v->layout.segments[(*cursor)++];

		if (xm_segment_copies(s) < 2 || s->lost || s->reads)
			continue;
		for (uint32_t k = 0; k < xm_segment_copies(s); k++) {
			if (s->members[k].appliance != appliance ||
			    s->members[k].state == XM_MEMBER_LOST)
				continue;
			xm_vacancy_set(v, s, k, ret);
			return true;
		}
	}
	return false;
}

void xm_volume_region_at(const struct xm_volume *v,
			 const struct xm_region_id *id,
			 uint64_t ret[XM_APPLIANCES_MAX])
{
	memset(ret, 0, XM_APPLIANCES_MAX * sizeof(ret[0]));
	for (uint32_t i = 0; i < v->layout.count; i++) {
		const struct xm_segment *s = &v->layout.segments[i];

		if (memcmp(&s->region_id, id, sizeof(*id)) != 0)
			continue;
		for (uint32_t k = 0; k < s->members_count; k++) {
			if (s->members[k].state != XM_MEMBER_LOST)
				ret[s->members[k].appliance] +=
					xm_segment_size(s) * v->page_size;
		}
	}
}

bool xm_vacancy_is(const struct xm_segment *s, const struct xm_vacancy *at)
{
	return s != NULL && xm_segment_next(s, s->page) == at->page &&
	       s->page + s->count == at->page + at->count && !s->lost &&
	       !s->held && !s->fixed && !s->guest && at->member < s->members_count &&
	       s->members[at->member].taken == at->taken &&
	       /* Nor has another one joined, beside which this one may not lie. */
	       (appliances_of(s) & ~at->used) == 0 &&
	       memcmp(&s->region_id, &at->region_id, sizeof(s->region_id)) == 0;
}

bool xm_volume_replace(struct xm_volume *v, struct xm_vacancy *at,
		       const struct xm_extent_at *extent)
{
	uint32_t hint = 0;
	struct xm_segment *s = xm_layout_search(&v->layout, at->page, &hint);
	struct xm_member *m;
	uint8_t taken;

	if (!xm_vacancy_is(s, at))
		return false;
	m = &s->members[at->member];
	taken = m->taken;
	if (m->state != XM_MEMBER_LOST && m->state != XM_MEMBER_OUT)
		return false;
	if (m->state == XM_MEMBER_LOST || xm_volume_leave_to_another(v, s, m))
		at->extent = 0;
	v->members_at[m->appliance]--;
	v->redundant_at[m->appliance]--;
	xm_member_set(m, extent);
	m->taken = (uint8_t)(taken + 1);
	m->state = XM_MEMBER_FILLING;
	xm_segment_judge(s);
	v->members_at[m->appliance]++;
	v->redundant_at[m->appliance]++;
	atomic_fetch_add(&v->changes, 1);
	return true;
}
