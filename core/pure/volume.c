/* SPDX-License-Identifier: BSD-3-Clause */
/* The volume's table; see volume.h. */
#include "core/pure/volume.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "core/pure/plant.h"

size_t xm_volume_memory_size(uint32_t segments_max)
{
	return segments_max * sizeof(struct xm_segment);
}

void xm_volume_init(struct xm_volume *v, uint32_t segments_max,
		    uint64_t page_size, void *memory)
{
	memset(v, 0, sizeof(*v));
	XM_ASSERT(xm_is_power_of_two(page_size));
	v->page_size = page_size;
	v->page_shift = (uint32_t)__builtin_ctzll(page_size);
	xm_layout_init(&v->layout, memory, segments_max);
}

static struct xm_segment *find(const struct xm_volume *v, uint64_t page)
{
	uint32_t hint = 0;

	return xm_layout_search(&v->layout, page, &hint);
}

/* Is this member one of several copies, for which our view answers? */
static bool is_redundant(const struct xm_segment *s, uint32_t k)
{
	return !s->reads && xm_segment_copies(s) > 1 && k < xm_segment_copies(s);
}

/* --- changes ---------------------------------------------------------------- */

int xm_volume_add(struct xm_volume *v, const struct xm_segment *segment)
{
	int rc = xm_layout_add(&v->layout, segment);

	XM_ASSERT(segment->members_count >= 1);
	XM_ASSERT(segment->members_count <= XM_MEMBERS_MAX);
	for (uint32_t k = 0; rc == 0 && k < segment->members_count; k++) {
		v->members_at[segment->members[k].appliance]++;
		v->redundant_at[segment->members[k].appliance] +=
			is_redundant(segment, k);
	}
	if (rc == 0 && segment->lost)
		atomic_fetch_add(&v->lost_count, 1);
	return rc;
}

/* The first column of the run that holds the page. */
static struct xm_segment *run_find(const struct xm_volume *v, uint64_t page)
{
	struct xm_segment *s = find(v, page);

	XM_ASSERT(s != NULL);
	return xm_segment_is_striped(s) ? s - s->column : s;
}

void xm_volume_remove(struct xm_volume *v, uint64_t page)
{
	const struct xm_segment *run = run_find(v, page);

	for (uint32_t c = 0; c < xm_segment_columns(run); c++) {
		const struct xm_segment *s = &run[c];

		for (uint32_t k = 0; k < s->members_count; k++) {
			uint32_t a = s->members[k].appliance;

			v->members_at[a]--;
			v->redundant_at[a] -= is_redundant(s, k);
		}
		if (s->lost)
			atomic_fetch_sub(&v->lost_count, 1);
	}
	xm_layout_remove(&v->layout, page);
}

/* One member of a segment that is divided: its head, and what is its tail's. */
static void member_divide(struct xm_member *head, struct xm_member *tail,
			  const struct xm_extent_at *own, uint64_t size)
{
	tail->offset += size;
	if (own->extent == 0) {
		tail->extent = 0;
		return;
	}
	head->extent = own->extent;
	head->offset = 0;
	if (!XM_PLANTED(trim_key_kept))
		head->remote = own->remote;
}

void xm_volume_divide(struct xm_volume *v, uint64_t page,
		      const struct xm_extent_at *heads)
{
	static const struct xm_extent_at kept;
	struct xm_segment *run = run_find(v, page);
	uint32_t columns = xm_segment_columns(run);
	struct xm_segment tails[XM_APPLIANCES_MAX];
	uint64_t count = page - run->page, end = run->page + run->count;
	int rc;

	XM_ASSERT(page > run->page && count % columns == 0);
	for (uint32_t c = 0; c < columns; c++) {
		struct xm_segment *s = &run[c], *tail = &tails[c];

		*tail = *s;
		tail->page = page;
		tail->count = end - page;
		tail->region_page += count;
		s->count = count;
		for (uint32_t k = 0; k < s->members_count; k++)
			member_divide(&s->members[k], &tail->members[k],
				      heads == NULL ? &kept
				      : &heads[c * XM_MEMBERS_MAX + k],
				      xm_segment_size(s) * v->page_size);
	}
	for (uint32_t c = 0; c < columns; c++) {
		rc = xm_volume_add(v, &tails[c]);
		XM_ASSERT(rc == 0);
	}
}

uint32_t xm_volume_room(const struct xm_volume *v)
{
	return v->layout.max - v->layout.count;
}

void xm_segment_judge(struct xm_segment *s)
{
	s->unsure = s->held;
	for (uint32_t k = 0; k < s->members_count; k++)
		s->unsure |= s->members[k].unsure;
}

static void guest_out(struct xm_volume *v, struct xm_segment *s)
{
	if (!s->guest)
		return;
	s->members[s->members_count - 1].state = XM_MEMBER_OUT;
	atomic_fetch_add(&v->changes, 1);
}

void xm_volume_hold(struct xm_volume *v, uint64_t page)
{
	struct xm_segment *s = find(v, page);

	XM_ASSERT(s != NULL);
	s->unsure = s->held = true;
	guest_out(v, s);
}

void xm_volume_fix(struct xm_volume *v, uint64_t page, bool fixed)
{
	struct xm_segment *s = find(v, page);

	XM_ASSERT(s != NULL);
	s->fixed = fixed;
	if (fixed)
		guest_out(v, s);
}

void xm_volume_judge(struct xm_volume *v, uint64_t page, uint32_t k, bool right)
{
	struct xm_segment *s = find(v, page);

	XM_ASSERT(s != NULL && s->reads && k < s->members_count);
	if (s->members[k].state != XM_MEMBER_LOST)
		s->members[k].state = right ? XM_MEMBER_IN : XM_MEMBER_OUT;
	atomic_fetch_add(&v->changes, 1);
}

void xm_volume_release(struct xm_volume *v, uint64_t page, uint32_t unsure)
{
	struct xm_segment *s = find(v, page);

	XM_ASSERT(s != NULL);
	s->held = false;
	for (uint32_t k = 0; k < s->members_count; k++)
		s->members[k].unsure |= (unsure & 1u << k) != 0;
	xm_segment_judge(s);
}

void xm_volume_set_attached(struct xm_volume *v, uint64_t page, uint64_t limit,
			    bool attached)
{
	for (uint32_t i = xm_layout_from(&v->layout, page);
	     i < v->layout.count && v->layout.segments[i].page < limit; i++)
		v->layout.segments[i].attached = attached;
}

/* --- loss ------------------------------------------------------------------- */

bool xm_volume_lost_run(const struct xm_volume *v, uint64_t *page, uint64_t end,
			uint64_t *ret_end)
{
	while (*page < end) {
		const struct xm_segment *s = find(v, *page);
		uint64_t stop;

		XM_ASSERT(s != NULL);
		stop = xm_min(end, xm_segment_end(s, *page));
		if (s->lost) {
			*ret_end = stop;
			return true;
		}
		*page = stop;
	}
	return false;
}

/* --- views ------------------------------------------------------------------ */

static bool is_at(const struct xm_member *member, uint32_t appliances)
{
	return (appliances & 1u << member->appliance) != 0;
}

static bool any_in_elsewhere(const struct xm_segment *s, uint32_t appliances)
{
	for (uint32_t k = 0; k < s->members_count; k++) {
		if (s->members[k].state == XM_MEMBER_IN &&
		    !is_at(&s->members[k], appliances))
			return true;
	}
	return false;
}

/* Members there that are in one of the states `from` (a bit for each) are `to`. */
static uint32_t set_members(struct xm_segment *s, uint32_t appliances,
			    uint32_t from, enum xm_member_state to)
{
	uint32_t count = 0;

	for (uint32_t k = 0; k < s->members_count; k++) {
		struct xm_member *member = &s->members[k];

		if (!is_at(member, appliances) ||
		    (from & 1u << member->state) == 0)
			continue;
		member->state = (uint8_t)to;
		count++;
	}
	return count;
}

#define IN (1u << XM_MEMBER_IN)
#define FILLING (1u << XM_MEMBER_FILLING)
#define OUT (1u << XM_MEMBER_OUT)

uint32_t xm_volume_drop(struct xm_volume *v, uint32_t appliances)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < v->layout.count; i++) {
		struct xm_segment *s = &v->layout.segments[i];
		bool others = any_in_elsewhere(s, appliances);

		if (s->members_count > 1 && !s->reads)
			count += set_members(s, appliances,
					     others ? IN | FILLING : FILLING,
					     XM_MEMBER_OUT);
	}
	atomic_fetch_add(&v->changes, 1);
	return count;
}

/* A guest is not relied on before it takes its place, and one that is OUT leaves. */
static uint32_t but_guest(const struct xm_segment *s, uint32_t appliances)
{
	uint32_t last = s->members_count - 1u;

	return s->guest ? appliances & ~(1u << s->members[last].appliance)
			: appliances;
}

uint32_t xm_volume_fill(struct xm_volume *v, uint32_t appliances)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < v->layout.count; i++) {
		struct xm_segment *s = &v->layout.segments[i];

		if (s->reads)
			continue;
		count += set_members(s, but_guest(s, appliances), OUT,
				     XM_PLANTED(rejoin_trusted)
					     ? XM_MEMBER_IN
					     : XM_MEMBER_FILLING);
	}
	atomic_fetch_add(&v->changes, 1);
	return count;
}

void xm_volume_admit(struct xm_volume *v, uint32_t appliances)
{
	for (uint32_t i = 0; i < v->layout.count; i++) {
		struct xm_segment *s = &v->layout.segments[i];

		set_members(s, but_guest(s, appliances), FILLING, XM_MEMBER_IN);
	}
	atomic_fetch_add(&v->changes, 1);
}

uint32_t xm_volume_redundant(const struct xm_volume *v)
{
	uint32_t appliances = 0;

	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++)
		appliances |= (uint32_t)(v->redundant_at[a] > 0) << a;
	return appliances;
}

static bool has_filling(const struct xm_segment *s)
{
	for (uint32_t k = 0; k < s->members_count; k++) {
		if (s->members[k].state == XM_MEMBER_FILLING)
			return true;
	}
	return false;
}

/* Of several columns the one whose pages come first. */
bool xm_volume_filling(const struct xm_volume *v, uint64_t page,
		       uint64_t *ret_page, uint64_t *ret_limit)
{
	uint64_t best = UINT64_MAX;

	for (uint32_t i = xm_layout_from(&v->layout, page);
	     i < v->layout.count && v->layout.segments[i].page < best; i++) {
		const struct xm_segment *s = &v->layout.segments[i];
		uint64_t first = xm_segment_next(s, page);

		if (!has_filling(s) || first >= best ||
		    first >= s->page + s->count)
			continue;
		best = first;
		*ret_page = first;
		*ret_limit = xm_segment_end(s, first);
	}
	return best != UINT64_MAX;
}

uint64_t xm_volume_filling_pages(const struct xm_volume *v, uint64_t page)
{
	uint64_t pages = 0;

	for (uint32_t i = xm_layout_from(&v->layout, page);
	     i < v->layout.count; i++) {
		const struct xm_segment *s = &v->layout.segments[i];

		if (has_filling(s))
			pages += (s->page + s->count - xm_max(page, s->page)) /
				 xm_segment_columns(s);
	}
	return pages;
}

void xm_volume_members(const struct xm_volume *v,
		       struct xm_volume_census *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (uint32_t i = 0; i < v->layout.count; i++) {
		const struct xm_segment *s = &v->layout.segments[i];

		if (xm_segment_copies(s) < 2 || s->reads)
			continue;
		for (uint32_t k = 0; k < xm_segment_copies(s); k++)
			ret->members[s->members[k].state]++;
	}
}

/* --- questions -------------------------------------------------------------- */

void xm_volume_shape(const struct xm_volume *v, struct xm_volume_shape *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->segments = v->layout.count;
	for (uint32_t i = 0; i < v->layout.count; i++) {
		const struct xm_segment *s = &v->layout.segments[i];

		ret->columns = (uint32_t)xm_max(ret->columns,
						xm_segment_columns(s));
		ret->copies = (uint32_t)xm_max(ret->copies,
					       xm_segment_copies(s));
	}
}

uint64_t xm_volume_backed_from(const struct xm_volume *v, uint64_t page,
			       uint64_t limit)
{
	uint32_t i = xm_layout_from(&v->layout, page);

	if (i == v->layout.count)
		return limit;
	return xm_min(limit, xm_max(page, v->layout.segments[i].page));
}

uint64_t xm_volume_hole_from(const struct xm_volume *v, uint64_t page,
			     uint64_t limit)
{
	for (uint32_t i = xm_layout_from(&v->layout, page);
	     i < v->layout.count && v->layout.segments[i].page <= page; i++)
		page = v->layout.segments[i].page + v->layout.segments[i].count;
	return xm_min(page, limit);
}

bool xm_volume_place(const struct xm_volume *v, uint64_t page, uint32_t member,
		     struct xm_place *ret)
{
	const struct xm_segment *s = find(v, page);
	const struct xm_member *m;

	if (s == NULL || member >= s->members_count ||
	    s->members[member].state != XM_MEMBER_IN)
		return false;
	m = &s->members[member];
	ret->appliance = m->appliance;
	ret->remote = m->remote;
	ret->offset = m->offset + xm_segment_row(s, page) * v->page_size;
	return true;
}

uint32_t xm_volume_appliances(const struct xm_volume *v, uint64_t page,
			      bool *ret_lost)
{
	const struct xm_segment *s = find(v, page);
	uint32_t appliances = 0;

	for (uint32_t k = 0; s != NULL && k < s->members_count; k++)
		appliances |= 1u << s->members[k].appliance;
	*ret_lost = s == NULL || s->lost;
	return appliances;
}

bool xm_volume_is_read(const struct xm_volume *v, uint64_t page)
{
	const struct xm_segment *s = find(v, page);

	return s != NULL && s->reads;
}

bool xm_volume_any_lost(const struct xm_volume *v, uint64_t page,
			uint64_t limit)
{
	if (atomic_load_explicit(&v->lost_count, memory_order_relaxed) == 0)
		return false;
	for (uint32_t i = xm_layout_from(&v->layout, page);
	     i < v->layout.count && v->layout.segments[i].page < limit; i++) {
		const struct xm_segment *s = &v->layout.segments[i];

		if (s->lost && xm_segment_next(s, page) < limit)
			return true;
	}
	return false;
}

uint64_t xm_volume_attached_from(const struct xm_volume *v, uint64_t page,
				 uint64_t limit)
{
	for (uint32_t i = xm_layout_from(&v->layout, page);
	     i < v->layout.count; i++) {
		const struct xm_segment *s = &v->layout.segments[i];

		if (s->attached)
			return xm_min(limit, xm_max(page, s->page));
	}
	return limit;
}
