/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the appliances of a client offer, for plans (plan.h): each that is ready is asked
 * for its STATUS, all at the same time. Only clients and regions with a strategy ask.
 */
#ifndef XM_OFFERS_H
#define XM_OFFERS_H

#include "core/extmem.h"
#include "core/pure/plan.h"

struct xm_offers {
	uint32_t count;
	struct xm_plan_offer list[XM_APPLIANCES_MAX];
};

/* An appliance that does not answer by the deadline, or within 2 s, counts as away.
 * -ENOMEM. */
int xm_offers_ask(extmem *, uint64_t deadline_ns, struct xm_offers *ret);
/* What is known of each without asking: who it is and whether it is there. Its memory
 * counts as free without end. */
void xm_offers_known(extmem *, struct xm_offers *ret);
/* One offer, from an appliance's answer. */
void xm_offer_set(struct xm_plan_offer *, const struct xm_state *);

#endif
