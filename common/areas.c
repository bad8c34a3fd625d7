/* SPDX-License-Identifier: BSD-3-Clause */
/* A sorted table of areas, and what requests mean for each of them; see areas.h. */
#include "common/areas.h"

#include <string.h>

size_t xm_areas_memory_size(uint32_t max)
{
	return max * sizeof(struct xm_area);
}

void xm_areas_init(struct xm_areas *a, uint64_t pages, uint32_t max, void *memory)
{
	XM_ASSERT(max >= 4);
	*a = (struct xm_areas){ .pages = pages, .max = max, .list = memory,
				.gap_count = 1 };
}

static bool same(struct xm_area_state one, struct xm_area_state other)
{
	return one.kind == other.kind && one.rights == other.rights &&
	       one.fork == other.fork && one.used == other.used;
}

/* The first area that ends behind the page, or `count`. */
static uint32_t area_from(const struct xm_areas *a, uint64_t page)
{
	uint32_t low = 0, high = a->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (a->list[middle].page + a->list[middle].count <= page)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct xm_area xm_areas_at(const struct xm_areas *a, uint64_t page, uint64_t limit)
{
	uint32_t i = area_from(a, page);
	struct xm_area ret = { .page = page };
	uint64_t end = limit;

	XM_ASSERT(page < limit && limit <= a->pages);
	if (i < a->count && a->list[i].page <= page) {
		ret.is = a->list[i].is;
		end = a->list[i].page + a->list[i].count;
	} else if (i < a->count) {
		end = a->list[i].page;
	}
	ret.count = xm_min(end, limit) - page;
	return ret;
}

bool xm_areas_free(const struct xm_areas *a, uint64_t page, uint64_t limit)
{
	uint32_t i = area_from(a, page);

	return i == a->count || a->list[i].page >= limit;
}

bool xm_areas_taken(const struct xm_areas *a, uint64_t page, uint64_t limit)
{
	for (uint32_t i = area_from(a, page); page < limit; i++) {
		if (i == a->count || a->list[i].page > page)
			return false;
		page = a->list[i].page + a->list[i].count;
	}
	return true;
}

bool xm_areas_place(struct xm_areas *a, uint64_t count, uint64_t alignment,
		    uint64_t *ret_page)
{
	uint64_t page = count >= a->gap_count ? a->gap_page : 0;

	for (uint32_t i = area_from(a, page);; i++) {
		uint64_t end = i < a->count ? a->list[i].page : a->pages;
		uint64_t at = xm_align_up(page, alignment);

		if (at < end && count <= end - at)
			break;
		if (i == a->count)
			return false;
		page = a->list[i].page + a->list[i].count;
	}
	*ret_page = xm_align_up(page, alignment);
	/* An aligned search passes over gaps that others fit into; and one for many pages
	 * over those for few, which are asked for more often. */
	if (alignment == 1 && count <= a->gap_count) {
		a->gap_page = page;
		a->gap_count = count;
	}
	return true;
}

static bool idle(const struct xm_area *area)
{
	return area->is.kind == XM_AREA_EXTERNAL && !area->is.used;
}

void xm_areas_unused(const struct xm_areas *a, uint64_t page, uint64_t limit,
		     uint64_t low, uint64_t high, uint64_t *ret_page,
		     uint64_t *ret_limit)
{
	uint32_t before = area_from(a, page), behind = area_from(a, limit);

	/* The one at `page` may begin before it. */
	if (before < a->count && a->list[before].page < page &&
	    !idle(&a->list[before])) {
		low = page;
	} else {
		while (before > 0 && idle(&a->list[before - 1]))
			before--;
		if (before > 0)
			low = xm_max(low, a->list[before - 1].page +
						  a->list[before - 1].count);
	}
	while (behind < a->count && idle(&a->list[behind]))
		behind++;
	if (behind < a->count)
		high = xm_min(high, xm_max(a->list[behind].page, limit));
	*ret_page = xm_min(low, page);
	*ret_limit = xm_max(high, limit);
}

/* --- changes ------------------------------------------------------------------------ */

bool xm_areas_full(const struct xm_areas *a)
{
	return a->count + 2 > a->max;
}

/* Makes `page` the beginning of an area, if one lies over it. */
static void split(struct xm_areas *a, uint64_t page)
{
	uint32_t i = area_from(a, page);
	struct xm_area *area = &a->list[i];

	if (i == a->count || area->page >= page)
		return;
	XM_ASSERT(a->count < a->max);
	memmove(area + 1, area, (a->count - i) * sizeof(*area));
	a->count++;
	area[1].page = page;
	area[1].count -= page - area->page;
	area->count = page - area->page;
}

static void join(struct xm_areas *a, uint32_t i)
{
	struct xm_area *area = &a->list[i];

	if (i + 1 >= a->count || area->page + area->count != area[1].page ||
	    !same(area->is, area[1].is))
		return;
	area->count += area[1].count;
	memmove(area + 1, area + 2, (a->count - i - 2) * sizeof(*area));
	a->count--;
}

static void count_pages(struct xm_areas *a, const struct xm_area *area, bool more)
{
	uint64_t *of = area->is.kind == XM_AREA_LOCAL ? &a->local
		       : area->is.used		      ? &a->used
						      : NULL;

	if (of != NULL)
		*of += more ? area->count : -area->count;
}

void xm_areas_set(struct xm_areas *a, uint64_t page, uint64_t limit,
		  struct xm_area_state state)
{
	const struct xm_area area = { page, limit - page, state };
	bool entry = state.kind != XM_AREA_FREE;
	uint32_t first, last, gone;

	XM_ASSERT(page < limit && limit <= a->pages);
	split(a, page);
	split(a, limit);
	first = area_from(a, page);
	for (last = first; last < a->count && a->list[last].page < limit; last++)
		count_pages(a, &a->list[last], false);
	gone = last - first;
	XM_ASSERT(a->count - gone + entry <= a->max);
	memmove(&a->list[first + entry], &a->list[last],
		(a->count - last) * sizeof(area));
	a->count = a->count - gone + entry;
	if (!entry) {
		const struct xm_area *before = &a->list[first - 1];

		page = first > 0 ? before->page + before->count : 0;
		a->gap_page = xm_min(a->gap_page, page);
		return;
	}
	a->list[first] = area;
	count_pages(a, &area, true);
	join(a, first);
	if (first > 0)
		join(a, first - 1);
}

/* --- requests ------------------------------------------------------------------------ */

/* External memory goes. */
static unsigned clear(struct xm_area_step *s, unsigned n, bool closes)
{
	if (!s->was.used)
		return n;
	s->action[n++] = XM_AREA_DISCARD;
	if (closes && s->was.rights != XM_AREA_NONE)
		s->action[n++] = XM_AREA_CLOSE;
	return n;
}

static void step_map(struct xm_area_step *s, struct xm_area_state like)
{
	unsigned n = 0;

	s->next = (struct xm_area_state){ .kind = XM_AREA_EXTERNAL,
					  .rights = like.rights,
					  .used = like.rights != XM_AREA_NONE };
	if (s->was.kind == XM_AREA_LOCAL)
		s->action[n++] = XM_AREA_RESTORE;
	if (s->was.kind == XM_AREA_EXTERNAL)
		n = clear(s, n, !s->next.used);
	if (s->next.used)
		s->action[n++] = XM_AREA_OPEN;
	else if (s->was.used)
		s->action[n++] = XM_AREA_RETURN;
}

/* Of what is not for external memory any more. */
static void step_out(struct xm_area_step *s, bool restores)
{
	unsigned n = 0;

	if (s->was.kind == XM_AREA_LOCAL && restores)
		s->action[n++] = XM_AREA_RESTORE;
	if (s->was.kind == XM_AREA_EXTERNAL && s->was.used) {
		n = clear(s, n, true);
		s->action[n++] = XM_AREA_RETURN;
	}
}

/* What does not take the pages away. */
static void step_change(struct xm_area_step *s, enum xm_areas_request request,
			struct xm_area_state like)
{
	s->next = s->was;
	if (s->was.kind != XM_AREA_EXTERNAL) {
		s->action[0] = s->was.kind == XM_AREA_FREE ? XM_AREA_HOLE
							   : XM_AREA_KERNEL;
		return;
	}
	switch (request) {
	case XM_AREAS_EXECUTE:
		s->action[0] = XM_AREA_LOCALIZE;
		s->next = (struct xm_area_state){ .kind = XM_AREA_LOCAL };
		return;
	case XM_AREAS_RIGHTS:
		s->next.rights = like.rights;
		s->next.used |= like.rights != XM_AREA_NONE;
		if (like.rights != s->was.rights)
			s->action[0] = like.rights == XM_AREA_NONE
					       ? XM_AREA_CLOSE : XM_AREA_OPEN;
		return;
	case XM_AREAS_DISCARD:
		if (s->was.used)
			s->action[0] = XM_AREA_DISCARD;
		return;
	default:
		s->next.fork = like.fork;
	}
}

void xm_areas_step(const struct xm_areas *a, enum xm_areas_request request,
		   uint64_t page, uint64_t limit, struct xm_area_state like,
		   struct xm_area_step *ret)
{
	const struct xm_area piece = xm_areas_at(a, page, limit);

	*ret = (struct xm_area_step){ .page = page,
				      .limit = page + piece.count,
				      .was = piece.is };
	switch (request) {
	case XM_AREAS_MAP:
		step_map(ret, like);
		return;
	case XM_AREAS_PLANT:
		ret->next.kind = XM_AREA_LOCAL;
		step_out(ret, false);
		return;
	case XM_AREAS_UNMAP:
		step_out(ret, true);
		return;
	default:
		step_change(ret, request, like);
	}
}

void xm_areas_check(const struct xm_areas *a)
{
	uint64_t used = 0, local = 0, end = 0;

	XM_ASSERT(a->count <= a->max);
	for (uint32_t i = 0; i < a->count; i++) {
		const struct xm_area *area = &a->list[i];

		XM_ASSERT(area->is.kind != XM_AREA_FREE && area->count > 0);
		XM_ASSERT(area->page >= end);
		XM_ASSERT(i == 0 || area->page > end ||
			  !same(area->is, area[-1].is));
		XM_ASSERT(area->is.kind == XM_AREA_EXTERNAL ||
			  (!area->is.used && area->is.rights == XM_AREA_NONE &&
			   area->is.fork == XM_AREA_KEEP));
		XM_ASSERT(area->is.used || area->is.rights == XM_AREA_NONE);
		XM_ASSERT(area->page - end < a->gap_count || end >= a->gap_page);
		end = area->page + area->count;
		used += area->is.used ? area->count : 0;
		local += area->is.kind == XM_AREA_LOCAL ? area->count : 0;
	}
	XM_ASSERT(end <= a->pages);
	XM_ASSERT(used == a->used && local == a->local);
}
