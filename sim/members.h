/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The members of a page: its copies in remote memory. Today each page has one; the
 * oracle asks for all of MEMBERS, so that a second one is a matter of members.c.
 */
#ifndef XM_SIM_MEMBERS_H
#define XM_SIM_MEMBERS_H

#include "core/client/client.h"

#define MEMBERS 1

/* False: the client knows that the page is lost, or it belongs to no region. */
bool members_reachable(extmem *, uint64_t page);
/* The bytes of a member as an access would reach them, by its key: at byte
 * *ret_at of the pool of *ret_appliance. NULL: there is no such member, or its
 * lease has ended. */
const uint8_t *members_bytes(extmem *, uint64_t page, uint32_t member,
			     uint32_t *ret_appliance, uint64_t *ret_at);

#endif
