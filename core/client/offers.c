/* SPDX-License-Identifier: BSD-3-Clause */
/* What appliances offer; see offers.h. */
#include "core/client/offers.h"

#include <errno.h>
#include <string.h>

#include "core/client/client.h"

#define PATIENCE (2 * XM_SECOND)

void xm_offer_set(struct xm_plan_offer *offer, const struct xm_state *state)
{
	const struct xm_figures *f = &state->figures;

	offer->ready = true;
	offer->leaving = xm_figures_get(f, XM_FIGURE_LEAVING) != 0;
	offer->incarnation = xm_figures_get(f, XM_FIGURE_INCARNATION);
	offer->free = xm_figures_get(f, XM_FIGURE_FREE);
	offer->free_run = xm_figures_get(f, XM_FIGURE_FREE_RUN);
	offer->soon = xm_figures_get(f, XM_FIGURE_QUARANTINED);
	offer->load = (uint32_t)xm_figures_get(f, XM_FIGURE_LOAD);
	memcpy(offer->name, state->name, sizeof(offer->name));
	memcpy(offer->zone, state->zone, sizeof(offer->zone));
}

void xm_offers_known(extmem *x, struct xm_offers *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->count = atomic_load(&x->ask.count);
	for (uint32_t a = 0; a < ret->count; a++) {
		struct xm_plan_offer *offer = &ret->list[a];
		const struct xm_session *session =
			&x->ask.keeper.control.peers[a].session;

		offer->address = xm_ask_address(&x->ask, a);
		xm_host_of(offer->address, offer->host);
		offer->ready = xm_ask_is_ready(&x->ask, a);
		offer->free = offer->free_run = UINT64_MAX / 2;
		os_mutex_take(&x->ask.lock);
		offer->leaving = session->leaving;
		offer->incarnation = session->welcome.incarnation;
		memcpy(offer->name, session->welcome.name, sizeof(offer->name));
		memcpy(offer->zone, session->welcome.zone, sizeof(offer->zone));
		os_mutex_give(&x->ask.lock);
	}
}

int xm_offers_ask(extmem *x, uint64_t deadline_ns, struct xm_offers *ret)
{
	struct xm_request *requests = os_alloc(XM_APPLIANCES_MAX *
					       sizeof(*requests));
	uint32_t asked = 0;

	if (requests == NULL)
		return -ENOMEM;
	deadline_ns = xm_min(deadline_ns, os_now_ns() + PATIENCE);
	memset(ret, 0, sizeof(*ret));
	ret->count = atomic_load(&x->ask.count);
	for (uint32_t a = 0; a < ret->count; a++) {
		struct xm_plan_offer *offer = &ret->list[a];

		offer->address = xm_ask_address(&x->ask, a);
		xm_host_of(offer->address, offer->host);
		if (!xm_ask_is_ready(&x->ask, a))
			continue;
		requests[asked].appliance = a;
		requests[asked].deadline_ns = deadline_ns;
		requests[asked].message.kind = XM_STATUS;
		asked++;
	}
	xm_ask_several(&x->ask, requests, asked);
	for (uint32_t i = 0; i < asked; i++) {
		if (requests[i].status == 0)
			xm_offer_set(&ret->list[requests[i].appliance],
				     &requests[i].message.u.state);
	}
	os_free(requests);
	return 0;
}
