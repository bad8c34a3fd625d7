/* SPDX-License-Identifier: BSD-3-Clause */
/* Sentences about plans; see plan.h. */
#include "core/pure/plan.h"

#include <errno.h>

void xm_plan_why(const struct xm_plan *plan, const struct xm_plan_offer *offers,
		 uint32_t appliance, struct xm_words *w)
{
	const struct xm_plan_offer *o = &offers[appliance];

	switch ((enum xm_plan_reason)plan->reasons[appliance]) {
	case XM_PLAN_USABLE: break;
	case XM_PLAN_AWAY: xm_words_add(w, "is away"); break;
	case XM_PLAN_LEAVING:
		xm_words_add(w, "drains and lends nothing more");
		break;
	case XM_PLAN_SAME:
		xm_words_add(w, "is the same appliance as ");
		xm_words_add(w, offers[plan->same_as[appliance]].address);
		break;
	case XM_PLAN_NAME:
		xm_words_add(w, "has the name ");
		xm_words_add(w, o->name);
		break;
	case XM_PLAN_ZONE:
		xm_words_add(w, o->zone[0] != '\0' ? "is in zone "
						   : "is in no zone");
		xm_words_add(w, o->zone);
		break;
	case XM_PLAN_FULL:
		xm_words_add(w, "has ");
		xm_words_bytes(w, o->free_run);
		xm_words_add(w, " free in a run");
		break;
	case XM_PLAN_LIMIT:
		xm_words_add(w, "has ");
		xm_words_bytes(w, o->free);
		xm_words_add(w, " free, of which keep and limit leave too "
				"little");
		break;
	}
}

static void add_choice(struct xm_words *w, const struct xm_strategy_choice *c)
{
	xm_words_add(w, "\"");
	xm_strategy_write_choice(c, w);
	xm_words_add(w, "\"");
}

/* "; ADDRESS is away; ..." */
static void add_reasons(struct xm_words *w, const struct xm_plan *plan,
			const struct xm_plan_offer *offers, uint32_t count)
{
	for (uint32_t a = 0; a < count; a++) {
		if (plan->reasons[a] == XM_PLAN_USABLE)
			continue;
		xm_words_add(w, "; ");
		xm_words_add(w, offers[a].address);
		xm_words_add(w, " ");
		xm_plan_why(plan, offers, a, w);
	}
}

void xm_plan_explain(const struct xm_strategy *s,
		     const struct xm_plan_offer *offers, uint32_t count,
		     uint64_t size, uint64_t granule,
		     const struct xm_plan *plan, int status, struct xm_words *w)
{
	struct xm_strategy_choice nearest;
	uint32_t usable = 0;

	for (uint32_t a = 0; a < count; a++)
		usable += plan->reasons[a] == XM_PLAN_USABLE;
	if (status == -ENODEV) {
		xm_words_add(w, "no set of appliances meets ");
		add_choice(w, &s->choices[0]);
		xm_words_add(w, ": ");
		xm_words_number(w, usable);
		xm_words_add(w, " of ");
		xm_words_number(w, count);
		xm_words_add(w, " can be chosen");
	} else {
		xm_words_add(w, "under ");
		add_choice(w, &s->choices[0]);
		xm_words_add(w, " there is room for ");
		xm_words_bytes(w, plan->room);
		xm_words_add(w, " of ");
		xm_words_bytes(w, size);
	}
	if (xm_plan_nearest(s, offers, count, size, granule, &nearest)) {
		xm_words_add(w, "; ");
		add_choice(w, &nearest);
		xm_words_add(w, " could be met");
	}
	add_reasons(w, plan, offers, count);
}
