/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the bytes of a page are; see members.h. */
#include "sim/members.h"

#include "sim/appliance.h"
#include "sim/fabric.h"

static const struct xm_segment *segment_of(extmem *x, uint64_t page)
{
	uint32_t hint = 0;

	return xm_layout_find(&x->layout, page, &hint);
}

bool members_reachable(extmem *x, uint64_t page)
{
	const struct xm_segment *s = segment_of(x, page);

	return s != NULL && !s->lost;
}

const uint8_t *members_bytes(extmem *x, uint64_t page, uint32_t member,
			     uint32_t *ret_appliance, uint64_t *ret_at)
{
	const struct xm_segment *s = segment_of(x, page);
	uint64_t offset;

	if (member > 0 || s == NULL || s->lost ||
	    !fabric_key(appliance_interface(s->appliance), s->remote.key,
			&offset))
		return NULL;
	*ret_appliance = s->appliance;
	*ret_at = offset + s->remote_offset + (page - s->page) * XM_PAGE;
	return appliance_pool(s->appliance) + *ret_at;
}
