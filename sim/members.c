/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the bytes of a page are; see members.h. */
#include "sim/members.h"

#include "sim/appliance.h"
#include "sim/fabric.h"

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
