/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the bytes of a page are; see members.h. */
#include "sim/members.h"

#include "sim/appliance.h"
#include "sim/fabric.h"

uint32_t members_list(extmem *x, uint64_t page, struct member ret[MEMBERS])
{
	struct xm_backing b;
	uint32_t count = 0;
	uint64_t row;

	/* Of what is lost nobody asks which members have it. */
	if (!xm_volume_backing(&x->volume, page, &b) || b.lost)
		return 0;
	row = xm_backing_row(&b, page) * XM_PAGE;
	for (uint32_t k = 0; k < xm_backing_extents(&b); k++) {
		const struct xm_extent_at *at = &b.list[k].at;

		if (b.list[k].state == XM_MEMBER_IN)
			ret[count++] = (struct member){ k, at->appliance,
							at->remote.key,
							at->offset + row };
	}
	return count;
}

bool members_find(extmem *x, uint64_t page, uint32_t member, struct member *ret)
{
	struct xm_place place;
	bool lost;

	if (!xm_volume_place(&x->volume, page, member, &place))
		return false;
	/* Of what is lost nobody asks which members have it. */
	xm_volume_appliances(&x->volume, page, &lost);
	if (lost)
		return false;
	ret->index = member;
	ret->appliance = place.appliance;
	ret->key = place.remote.key;
	ret->offset = place.offset;
	return true;
}

const uint8_t *members_bytes(const struct member *m, uint64_t *ret_at)
{
	uint64_t offset;

	if (!fabric_key(m->appliance, m->key, &offset))
		return NULL;
	*ret_at = offset + m->offset;
	return appliance_pool(m->appliance) + *ret_at;
}
