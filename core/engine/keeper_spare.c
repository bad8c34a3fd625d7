/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who could take a member's place: what the keeper tells the mender and plan.h of
 * appliances and vacancies, and whether there is a spare at all.
 *
 * Of each appliance that has copies it is asked now and then what would be if it ended: is
 * there room, as each region's strategy wants it, for all that it has? Places are given out
 * in the order in which the mender would. What is left over at the worst of them is the
 * tally's `unspared`: a program is told of it before it matters. It is the least of two
 * looks, as what appliances have free is known only from time to time.
 *
 * Floor: first.
 */
#include <string.h>

#include "core/engine/keeper.h"

#define LOOK (5 * XM_SECOND)

void xm_keeper_offers(const struct xm_keeper *k,
		      struct xm_plan_offer ret[XM_APPLIANCES_MAX])
{
	const struct xm_view *view = &k->views.view;
	uint32_t out = view->known & ~view->record.in;

	memset(ret, 0, XM_APPLIANCES_MAX * sizeof(ret[0]));
	for (uint32_t a = 0; a < k->control.count; a++) {
		const struct xm_session *s = &k->control.peers[a].session;
		struct xm_plan_offer *o = &ret[a];

		o->address = k->control.peers[a].address;
		xm_host_of(o->address, o->host);
		/* One without a ledger could not do without another member. */
		o->ready = k->peers[a].ready && (out & 1u << a) == 0 &&
			   (k->views.ledgers[a].state == XM_LEDGER_HELD ||
			    !k->views.wanted);
		o->leaving = s->leaving;
		o->incarnation = s->welcome.incarnation;
		o->free = s->offer.free;
		o->free_run = s->offer.free_run;
		o->load = s->offer.load;
		memcpy(o->name, s->welcome.name, sizeof(o->name));
		memcpy(o->zone, s->welcome.zone, sizeof(o->zone));
	}
}

static bool has_limit(const struct xm_strategy *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (s->choices[i].limit != 0)
			return true;
	}
	return false;
}

struct xm_plan_vacancy xm_keeper_place(const struct xm_vacancy *at,
				       uint64_t seed)
{
	uint32_t own = at->lost ? 0 : 1u << at->appliance;
	struct xm_plan_vacancy ret = {
		.size = at->size, .copies = at->used & ~own,
		.row = at->row & ~at->used, .barred = own, .seed = seed,
	};

	return ret;
}

void xm_keeper_vacancy(struct xm_keeper *k, const struct xm_vacancy *at,
		       struct xm_mender_event *ret)
{
	struct xm_keeper_mend *mend = &k->mend;
	uint64_t used[XM_APPLIANCES_MAX], seed;

	memcpy(&seed, at->region_id.bytes, sizeof(seed));
	ret->offers = mend->offers;
	ret->count = mend->offers_count;
	ret->strategy = NULL;
	ret->choice = at->choice;
	ret->vacancy = xm_keeper_place(at, seed + at->page +
						   k->views.clock_ns);
	if (at->strategy == NULL)
		return;
	mend->strategy = *at->strategy;
	ret->strategy = &mend->strategy;
	if (!has_limit(&mend->strategy))
		return;
	xm_volume_region_at(k->lanes[0]->options.volume, &at->region_id, used);
	for (uint32_t a = 0; a < ret->count; a++)
		mend->offers[a].used = used[a];
}

/* --- is there a spare? ------------------------------------------------------------ */

/* What would have no place if this appliance ended. */
static uint64_t unspared_at(struct xm_keeper *k, uint32_t appliance)
{
	const struct xm_volume *v = k->lanes[0]->options.volume;
	struct xm_plan_offer *offers = k->mend.offers;
	struct xm_mender_event ev;
	struct xm_vacancy at;
	uint64_t bytes = 0;
	uint32_t cursor = 0;
	bool there = true;

	while (there) {
		int spare = -1;

		k->lock(k->owner, 0);
		there = xm_volume_next_copy(v, appliance, &cursor, &at);
		if (there)
			xm_keeper_vacancy(k, &at, &ev);
		k->unlock(k->owner, 0);
		if (!there)
			break;
		spare = xm_plan_spare(ev.strategy, ev.choice, ev.offers,
				      ev.count, &ev.vacancy);
		if (spare < 0) {
			bytes += at.size;
			continue;
		}
		offers[spare].free -= at.size;
		offers[spare].free_run -= at.size;
	}
	return bytes;
}

void xm_keeper_spare_turn(struct xm_keeper *k)
{
	struct xm_keeper_mend *mend = &k->mend;
	uint64_t most = 0;
	uint32_t with;

	if (k->views.clock_ns < mend->spares_ns)
		return;
	mend->spares_ns = xm_time_after(k->views.clock_ns, LOOK);
	mend->spares_looks++;
	k->lock(k->owner, 0);
	with = xm_volume_redundant(k->lanes[0]->options.volume);
	k->unlock(k->owner, 0);
	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++) {
		if ((with & 1u << a) == 0)
			continue;
		k->lock(k->owner, XM_KEEPER_CONTROL);
		mend->offers_count = k->control.count;
		xm_keeper_offers(k, mend->offers);
		k->unlock(k->owner, XM_KEEPER_CONTROL);
		most = xm_max(most, unspared_at(k, a));
	}
	k->lock(k->owner, XM_KEEPER_CONTROL);
	k->views.tally.unspared =
		mend->spares_looks > 1 ? xm_min(most, mend->unspared) : 0;
	mend->unspared = most;
	k->unlock(k->owner, XM_KEEPER_CONTROL);
}
