/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the bytes of a page are; see members.h. */
#include "sim/members.h"

#include "sim/appliance.h"
#include "sim/fabric.h"

bool members_find(extmem *x, uint64_t page, uint32_t member, struct member *ret)
{
	uint32_t hint = 0;
	const struct xm_segment *s = xm_layout_find(&x->layout, page, &hint);

	if (member > 0 || s == NULL || s->lost)
		return false;
	ret->appliance = s->appliance;
	ret->key = s->remote.key;
	ret->offset = s->remote_offset + (page - s->page) * XM_PAGE;
	return true;
}

const uint8_t *members_bytes(const struct member *m, uint64_t *ret_at)
{
	uint64_t offset;

	if (!fabric_key(appliance_interface(m->appliance), m->key, &offset))
		return NULL;
	*ret_at = offset + m->offset;
	return appliance_pool(m->appliance) + *ret_at;
}
