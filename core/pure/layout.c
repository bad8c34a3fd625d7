/* SPDX-License-Identifier: BSD-3-Clause */
/* The layout: a sorted table of segments; see layout.h. */
#include "core/pure/layout.h"

#include <errno.h>
#include <string.h>

void xm_layout_init(struct xm_layout *layout, struct xm_segment *memory,
		    uint32_t max)
{
	layout->segments = memory;
	layout->count = 0;
	layout->max = max;
}

/* How many segments begin at or before the page. */
static uint32_t segments_until(const struct xm_layout *layout, uint64_t page)
{
	uint32_t low = 0, high = layout->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (layout->segments[middle].page <= page)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool holds(const struct xm_segment *segment, uint64_t page)
{
	return page >= segment->page && page - segment->page < segment->count;
}

/* Is it the next column of the same run? */
static bool follows(const struct xm_segment *before,
		    const struct xm_segment *segment)
{
	return before->page == segment->page &&
	       before->count == segment->count &&
	       before->unit == segment->unit &&
	       before->columns == segment->columns &&
	       before->column + 1 == segment->column;
}

/* Whole rows of units that begin where units do. */
static bool is_whole(const struct xm_segment *s)
{
	return xm_is_power_of_two(s->unit) && s->unit >= 16 &&
	       xm_is_aligned(s->page, s->unit) &&
	       s->count % (s->columns * s->unit) == 0 &&
	       s->column < s->columns;
}

int xm_layout_add(struct xm_layout *layout, const struct xm_segment *segment)
{
	uint32_t at = segments_until(layout, segment->page);

	XM_ASSERT(segment->count > 0);
	if (layout->count == layout->max)
		return -ENOSPC;
	if (xm_segment_is_striped(segment) && segment->column > 0)
		XM_ASSERT(at > 0 && follows(&layout->segments[at - 1], segment));
	else
		XM_ASSERT(at == 0 ||
			  !holds(&layout->segments[at - 1], segment->page));
	if (xm_segment_is_striped(segment))
		XM_ASSERT(is_whole(segment));
	XM_ASSERT(at == layout->count || segment->page + segment->count <=
						 layout->segments[at].page);
	memmove(&layout->segments[at + 1], &layout->segments[at],
		(layout->count - at) * sizeof(*segment));
	layout->segments[at] = *segment;
	layout->count++;
	return 0;
}

void xm_layout_remove(struct xm_layout *layout, uint64_t page)
{
	uint32_t at = segments_until(layout, page), columns;

	XM_ASSERT(at > 0 && layout->segments[at - 1].page == page);
	columns = xm_segment_columns(&layout->segments[at - 1]);
	memmove(&layout->segments[at - columns], &layout->segments[at],
		(layout->count - at) * sizeof(struct xm_segment));
	layout->count -= columns;
}

uint32_t xm_layout_from(const struct xm_layout *layout, uint64_t page)
{
	uint32_t at = segments_until(layout, page);

	return at > 0 && holds(&layout->segments[at - 1], page)
		       ? at - xm_segment_columns(&layout->segments[at - 1])
		       : at;
}

struct xm_segment *xm_layout_search(const struct xm_layout *layout,
				    uint64_t page, uint32_t *hint)
{
	uint32_t at = segments_until(layout, page);

	if (at == 0 || !holds(&layout->segments[at - 1], page))
		return NULL;
	*hint = at - 1;
	return xm_segment_is_striped(&layout->segments[at - 1])
		       ? xm_segment_column(&layout->segments[at - 1], page)
		       : &layout->segments[at - 1];
}
