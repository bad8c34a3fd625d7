/* SPDX-License-Identifier: BSD-3-Clause */
/* What became of TRIMs that were not answered; see volume.h. */
#include "core/pure/volume.h"

/* Each head is the whole member now. */
static void take_heads(struct xm_segment *run, uint32_t columns,
		       const struct xm_extent_at *heads)
{
	for (uint32_t c = 0; c < columns; c++) {
		for (uint32_t k = 0; k < run[c].members_count; k++) {
			const struct xm_extent_at *head =
				&heads[c * XM_MEMBERS_MAX + k];
			struct xm_member *m = &run[c].members[k];

			if (head->extent == 0)
				continue;
			m->extent = head->extent;
			m->remote = head->remote;
			m->offset = 0;
		}
	}
}

int xm_volume_settle_trim(struct xm_volume *v, uint64_t page, uint64_t count,
			  const uint32_t *known, const struct xm_extent_at *heads,
			  bool *ret_tails)
{
	uint32_t first = xm_layout_from(&v->layout, page);
	struct xm_segment *run = &v->layout.segments[first];
	uint32_t columns = xm_segment_columns(run);
	bool unsure = false;

	XM_ASSERT(first < v->layout.count && run->page == page);
	for (uint32_t c = 0; c < columns; c++) {
		for (uint32_t k = 0; k < run[c].members_count; k++)
			run[c].members[k].unsure &= (known[c] & 1u << k) == 0;
		xm_segment_judge(&run[c]);
		unsure |= run[c].unsure;
	}
	*ret_tails = count > 0 && count >= xm_segment_size(run);
	if (*ret_tails)
		take_heads(run, columns, heads);
	else if (count > 0)
		xm_volume_divide(v, page + count * columns, heads);
	return unsure ? -EBUSY : 0;
}
