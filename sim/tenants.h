/* SPDX-License-Identifier: BSD-3-Clause */
/* tenants.c, thief.c: who is at which stream's end, what each may have, and who tries to
 * come back as somebody else. */
#ifndef XM_SIM_TENANTS_H
#define XM_SIM_TENANTS_H

#include "appliance/tenants.h"
#include "core/pure/wire.h"
#include "sim/shape.h"

void tenants_draw(struct sim_shape *);
/* What a stream from this node proves: "t1-c3"; "": there are no tenants. */
void tenants_identity(uint32_t node, char ret[XM_IDENTITY_SIZE]);
/* An appliance's policy, and another one. NULL: none. */
const struct xm_tenants *tenants_policy(uint32_t appliance);
const struct xm_tenants *tenants_change(uint32_t appliance);
/* An appliance begins. */
void tenants_begin(uint32_t appliance);
/* How long until a policy changes. */
uint64_t tenants_pause(void);

/* The laws: who is of which tenant, and no tenant gets more than its quota. */
void law_tenants(uint32_t appliance);
/* An appliance sends a message to this peer of its channel. */
void law_listed(uint32_t appliance, uint32_t peer, const void *bytes, size_t size);

/* In runs that have one: tries to resume as others. */
void thief_begin(void);

#endif
