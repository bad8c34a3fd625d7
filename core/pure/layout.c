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

int xm_layout_add(struct xm_layout *layout, const struct xm_segment *segment)
{
	uint32_t at = segments_until(layout, segment->page);

	XM_ASSERT(segment->count > 0);
	if (layout->count == layout->max)
		return -ENOSPC;
	XM_ASSERT(at == 0 || !holds(&layout->segments[at - 1], segment->page));
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
	uint32_t at = segments_until(layout, page);

	XM_ASSERT(at > 0 && layout->segments[at - 1].page == page);
	memmove(&layout->segments[at - 1], &layout->segments[at],
		(layout->count - at) * sizeof(struct xm_segment));
	layout->count--;
}

uint32_t xm_layout_from(const struct xm_layout *layout, uint64_t page)
{
	uint32_t at = segments_until(layout, page);

	return at > 0 && holds(&layout->segments[at - 1], page) ? at - 1 : at;
}

struct xm_segment *xm_layout_search(const struct xm_layout *layout,
				    uint64_t page, uint32_t *hint)
{
	uint32_t at = segments_until(layout, page);

	if (at == 0 || !holds(&layout->segments[at - 1], page))
		return NULL;
	*hint = at - 1;
	return &layout->segments[at - 1];
}
