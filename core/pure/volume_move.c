/* SPDX-License-Identifier: BSD-3-Clause */
/* Moves: a copy's bytes go to another appliance; see volume.h. */
#include "core/pure/volume.h"

#include <stdatomic.h>
#include <string.h>

#include "core/pure/plant.h"

static bool is_at(const struct xm_member *member, uint32_t appliances)
{
	return (appliances & 1u << member->appliance) != 0;
}

static bool any_in(const struct xm_segment *s, uint32_t appliances)
{
	for (uint32_t k = 0; k < s->members_count; k++) {
		if (s->members[k].state == XM_MEMBER_IN &&
		    is_at(&s->members[k], appliances))
			return true;
	}
	return false;
}

/* Do they lie in one extent? Of those that a segment was divided into, one alone may know
 * its number. */
static bool is_together(const struct xm_member *a, const struct xm_member *b)
{
	return a->appliance == b->appliance && a->lease == b->lease &&
	       a->remote.key == b->remote.key &&
	       a->remote.base == b->remote.base;
}

static const struct xm_member *extent_search(const struct xm_volume *v,
					     uint32_t appliance, uint32_t lease,
					     uint64_t extent)
{
	for (uint32_t i = 0; i < v->layout.count; i++) {
		const struct xm_segment *s = &v->layout.segments[i];

		for (uint32_t k = 0; k < s->members_count; k++) {
			const struct xm_member *m = &s->members[k];

			if (m->appliance == appliance && m->lease == lease &&
			    m->extent == extent && m->state != XM_MEMBER_LOST)
				return m;
		}
	}
	return NULL;
}

void xm_volume_ask_back(struct xm_volume *v, uint32_t appliance, uint32_t lease,
			uint64_t extent)
{
	const struct xm_member *found = extent_search(v, appliance, lease,
						      extent);

	for (uint32_t i = 0; found != NULL && i < v->layout.count; i++) {
		struct xm_segment *s = &v->layout.segments[i];

		for (uint32_t k = 0; k < s->members_count; k++)
			s->members[k].wanted |=
				is_together(&s->members[k], found);
	}
}

void xm_volume_ask_no_more(struct xm_volume *v, uint32_t appliances)
{
	for (uint32_t i = 0; i < v->layout.count; i++) {
		struct xm_segment *s = &v->layout.segments[i];

		for (uint32_t k = 0; k < s->members_count; k++)
			s->members[k].wanted &= !is_at(&s->members[k],
						       appliances);
	}
}

static bool is_to_move(const struct xm_member *m, uint32_t leaving,
		       uint32_t wants)
{
	return is_at(m, leaving) || (m->wanted && is_at(m, wants));
}

bool xm_volume_leaver(const struct xm_volume *v, uint32_t leaving,
		      uint32_t wants, uint32_t reached, uint32_t *cursor,
		      struct xm_vacancy *ret)
{
	while (*cursor < v->layout.count) {
		const struct xm_segment *s = &v->layout.segments[(*cursor)++];

		if (s->guest || s->lost || s->held || s->fixed || !any_in(s, reached) ||
		    (s->unsure && XM_PLANTED(unsure_left)))
			continue;
		for (uint32_t k = 0; k < s->members_count; k++) {
			if (!is_to_move(&s->members[k], leaving, wants) ||
			    s->members[k].state != XM_MEMBER_IN)
				continue;
			xm_vacancy_set(v, s, k, ret);
			ret->direct = s->direct;
			return true;
		}
	}
	return false;
}

void xm_volume_want(struct xm_volume *v, uint32_t appliance, bool wanted)
{
	if (wanted)
		v->members_at[appliance]++;
	else
		v->members_at[appliance]--;
}

bool xm_volume_invite(struct xm_volume *v, const struct xm_vacancy *at,
		      const struct xm_extent_at *extent)
{
	uint32_t hint = 0;
	struct xm_segment *s = xm_layout_search(&v->layout, at->page, &hint);
	struct xm_member *guest;
	uint8_t taken;

	if (!xm_vacancy_is(s, at) || s->members_count == XM_MEMBERS_MAX)
		return false;
	guest = &s->members[s->members_count];
	taken = guest->taken;
	xm_member_set(guest, extent);
	guest->taken = (uint8_t)(taken + 1);
	guest->state = XM_PLANTED(guest_read) ? XM_MEMBER_IN : XM_MEMBER_FILLING;
	s->members_count++;
	s->guest = true;
	v->members_at[guest->appliance]++;
	atomic_fetch_add(&v->changes, 1);
	return true;
}

uint32_t xm_volume_guests(const struct xm_volume *v, uint32_t reached,
			  bool *ret_bad)
{
	uint32_t count = 0;

	*ret_bad = false;
	for (uint32_t i = 0; i < v->layout.count; i++) {
		const struct xm_segment *s = &v->layout.segments[i];

		if (!s->guest)
			continue;
		count++;
		*ret_bad |= s->lost || !any_in(s, reached) ||
			    s->members[s->members_count - 1].state >
					       XM_MEMBER_FILLING;
	}
	return count;
}

bool xm_volume_leave_to_another(struct xm_volume *v, const struct xm_segment *own,
				const struct xm_member *member)
{
	for (uint32_t i = 0; i < v->layout.count; i++) {
		struct xm_segment *s = &v->layout.segments[i];

		for (uint32_t k = 0; s != own && k < s->members_count; k++) {
			struct xm_member *m = &s->members[k];

			if (m->state == XM_MEMBER_LOST ||
			    !is_together(m, member))
				continue;
			if (m->extent == 0)
				m->extent = member->extent;
			return true;
		}
	}
	return false;
}

static void part(struct xm_volume *v, const struct xm_segment *s, uint32_t k,
		 const struct xm_member *member, struct xm_parted *ret)
{
	ret->page = s->page;
	ret->count = s->count;
	ret->member = k;
	ret->appliance = member->appliance;
	ret->lease = member->lease;
	ret->extent = member->extent;
	ret->size = xm_segment_size(s) * v->page_size;
	if (member->state == XM_MEMBER_LOST ||
	    xm_volume_leave_to_another(v, s, member))
		ret->extent = 0;
	v->members_at[member->appliance]--;
	atomic_fetch_add(&v->changes, 1);
}

/* The guest's place in the table is nobody's any more. */
static void guest_take(struct xm_segment *s, struct xm_member *ret)
{
	struct xm_member *place = &s->members[--s->members_count];

	*ret = *place;
	s->guest = false;
	place->taken++;
	place->state = XM_MEMBER_LOST;
}

static struct xm_member *guest_of(struct xm_segment *s)
{
	return &s->members[s->members_count - 1];
}

/* The next guest that may settle: or, if not so, that may leave. */
static struct xm_segment *next_guest(const struct xm_volume *v, bool settles)
{
	for (uint32_t i = 0; i < v->layout.count; i++) {
		struct xm_segment *s = &v->layout.segments[i];

		if (!s->guest || s->held)
			continue;
		if (!settles || guest_of(s)->state == XM_MEMBER_FILLING)
			return s;
	}
	return NULL;
}

bool xm_volume_settle(struct xm_volume *v, uint32_t appliance,
		      struct xm_parted *ret)
{
	struct xm_segment *s = next_guest(v, true);
	struct xm_member guest, parts;
	uint32_t k = 0, several;

	if (s == NULL)
		return false;
	guest_take(s, &guest);
	while (s->members[k].appliance != appliance) {
		k++;
		XM_ASSERT(k < s->members_count);
	}
	parts = s->members[k];
	s->members[k] = guest;
	s->members[k].taken = (uint8_t)(parts.taken + 1);
	s->members[k].state = XM_MEMBER_IN;
	xm_segment_judge(s);
	several = s->members_count > 1;
	v->redundant_at[guest.appliance] += several;
	v->redundant_at[parts.appliance] -= several;
	part(v, s, k, &parts, ret);
	return true;
}

bool xm_volume_dismiss(struct xm_volume *v, struct xm_parted *ret)
{
	struct xm_segment *s = next_guest(v, false);
	struct xm_member guest;

	if (s == NULL)
		return false;
	guest_take(s, &guest);
	part(v, s, s->members_count, &guest, ret);
	return true;
}

uint64_t xm_volume_bytes_at(const struct xm_volume *v, uint32_t appliances)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < v->layout.count; i++) {
		const struct xm_segment *s = &v->layout.segments[i];

		for (uint32_t k = 0; k < xm_segment_copies(s); k++) {
			if (is_at(&s->members[k], appliances) &&
			    s->members[k].state != XM_MEMBER_LOST)
				bytes += xm_segment_size(s) * v->page_size;
		}
	}
	return bytes;
}

uint64_t xm_volume_bytes_wanted(const struct xm_volume *v, uint32_t wants)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < v->layout.count; i++) {
		const struct xm_segment *s = &v->layout.segments[i];

		for (uint32_t k = 0; k < xm_segment_copies(s); k++) {
			if (is_to_move(&s->members[k], 0, wants) &&
			    s->members[k].state != XM_MEMBER_LOST)
				bytes += xm_segment_size(s) * v->page_size;
		}
	}
	return bytes;
}

void xm_volume_tracked(struct xm_volume *v, const struct xm_region_id *id)
{
	for (uint32_t i = 0; i < v->layout.count; i++) {
		struct xm_segment *s = &v->layout.segments[i];

		if (memcmp(&s->region_id, id, sizeof(*id)) == 0)
			s->direct = false;
	}
}
