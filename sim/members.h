/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The members of a page: its copies in remote memory, of which the oracle asks for all
 * that are IN.
 */
#ifndef XM_SIM_MEMBERS_H
#define XM_SIM_MEMBERS_H

#include "core/client/client.h"

#define MEMBERS XM_MEMBERS_MAX

/* Where a member lies: `offset` bytes into what a key opens. */
struct member {
	uint32_t index; /* among the members of its segment */
	uint32_t appliance;
	uint64_t key, offset;
};

/* False: there is no such member, it is not IN, or the page is lost. */
bool members_find(extmem *, uint64_t page, uint32_t member, struct member *ret);
/* All that members_find() would find, in order. */
uint32_t members_list(extmem *, uint64_t page, struct member ret[MEMBERS]);
/* Its bytes as an access would reach them, at byte *ret_at of the appliance's
 * pool. NULL: nobody can by this key, because its lease has ended. */
const uint8_t *members_bytes(const struct member *, uint64_t *ret_at);
#endif
