/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory for regions that have a strategy; see planned.h. */
#include "core/client/planned.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/ledgers.h"
#include "core/client/offers.h"
#include "core/client/segments.h"
#include "core/client/segments_parts.h"

/* An appliance can refuse what it has just offered: others allocate too, and its free
 * memory may be in pieces. */
#define TRIES 8

static uint64_t seed_draw(void)
{
	uint64_t seed;

	os_random((uint8_t *)&seed, sizeof(seed));
	return seed;
}

/* What the region has at each appliance already. */
static void count_used(extmem *x, const extmem_region *region,
		       uint64_t address, struct xm_offers *offers)
{
	uint64_t page = region->address / XM_PAGE;
	struct os_signals old;
	struct xm_backing s;

	xm_lanes_lock(&x->lanes, &old);
	while (page < address / XM_PAGE &&
	       xm_volume_backing(&x->volume, page, &s)) {
		for (uint32_t k = 0; k < xm_backing_extents(&s); k++)
			offers->list[s.list[k].at.appliance].used +=
				xm_backing_size(&s) * XM_PAGE;
		page = xm_backing_after(&s);
	}
	xm_lanes_unlock(&x->lanes, &old);
}

/* A try, and what appliances have refused in it. */
struct attempt {
	extmem *x;
	const extmem_region *region;
	struct xm_offers offers;
	struct xm_plan plan;
	uint32_t ledgers; /* appliances that have one, a bit each */
	uint64_t run_max[XM_APPLIANCES_MAX]; /* more was refused */
	char words[XM_OFFER_WORDS];
};

static void members_free(extmem *x, const struct xm_backing_copy *copies,
			 uint32_t count)
{
	for (uint32_t k = 0; k < count; k++)
		xm_extent_free(x, &copies[k].at, false);
}

static void columns_free(extmem *x, const struct xm_backing *columns,
			 uint32_t count)
{
	for (uint32_t c = 0; c < count; c++)
		members_free(x, columns[c].list, columns[c].copies);
}

/* The members of one column. */
static int column_alloc(struct attempt *t, const struct xm_plan_run *run,
			uint64_t part, struct xm_backing *s, uint32_t first)
{
	for (uint32_t k = 0; k < s->copies; k++) {
		uint32_t a = run->appliances[first + k];
		struct xm_refused refused;
		int rc = xm_extent_alloc(t->x, t->region, a, part, first + k,
					 &s->list[k].at, &refused, t->words);

		if (rc == 0)
			continue;
		if (rc == -ENOSPC)
			t->run_max[a] = xm_min(refused.free_run, part - 1);
		members_free(t->x, s->list, k);
		return rc;
	}
	return 0;
}

/* All columns of a run, or none. */
static int columns_alloc(struct attempt *t, const struct xm_plan_run *run,
			 const struct xm_strategy_choice *c, uint64_t address,
			 struct xm_backing *columns)
{
	uint32_t done = 0;
	int rc = 0;

	while (rc == 0 && done < c->columns) {
		struct xm_backing *s = &columns[done];

		xm_backing_begin(t->region, address, run->size, s);
		s->copies = (uint8_t)c->mirrors;
		s->choice = (uint8_t)t->plan.choice;
		if (c->columns > 1) {
			s->unit = c->unit / XM_PAGE;
			s->columns = (uint8_t)c->columns;
			s->column = (uint8_t)done;
		}
		rc = column_alloc(t, run, run->size / c->columns, s,
				  done * c->mirrors);
		done += rc == 0;
	}
	if (rc != 0)
		columns_free(t->x, columns, done);
	return rc;
}

static int run_alloc(struct attempt *t, const struct xm_plan_run *run,
		     uint64_t address)
{
	const struct xm_strategy_choice *c =
		&t->region->strategy->choices[t->plan.choice];
	struct xm_backing columns[XM_APPLIANCES_MAX];
	int rc = columns_alloc(t, run, c, address, columns);

	if (rc != 0)
		return rc;
	rc = xm_segments_add(t->x, columns, c->columns);
	if (rc != 0) {
		columns_free(t->x, columns, c->columns);
		if (rc == -ENOTCONN)
			snprintf(t->words, sizeof(t->words), "appliances gave "
				 "memory, and have lost it already");
		else
			snprintf(t->words, sizeof(t->words), "%d segments are in "
				 "use, which is the limit", XM_SEGMENTS_MAX);
	}
	return rc;
}

/* Carries the plan out, or nothing of it. */
static int plan_alloc(struct attempt *t, uint64_t address)
{
	uint64_t at = address;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < t->plan.runs_count; i++) {
		rc = run_alloc(t, &t->plan.runs[i], at);
		if (rc == 0)
			at += t->plan.runs[i].size;
	}
	if (rc != 0)
		xm_segments_free(t->x, address, at);
	return rc;
}

static int attempt_plan(struct attempt *t, uint64_t address, uint64_t size,
			bool *ret_soon, char *words, size_t words_size)
{
	const struct xm_strategy *s = t->region->strategy;
	uint64_t granule = t->x->ask.granule;
	struct xm_plan_offer *list = t->offers.list;
	struct xm_words w;
	int rc = xm_offers_ask(t->x, t->x->regions.deadline_ns, &t->offers);

	if (rc != 0)
		return rc;
	count_used(t->x, t->region, address, &t->offers);
	for (uint32_t a = 0; a < t->offers.count; a++) {
		/* Without room for a ledger there is none for a mirror. */
		if ((t->ledgers & 1u << a) == 0)
			list[a].free = list[a].free_run = 0;
		list[a].free_run = xm_min(list[a].free_run, t->run_max[a]);
	}
	rc = xm_plan_make(s, list, t->offers.count, size, granule, seed_draw(),
			  &t->plan);
	if (rc == 0)
		return 0;
	*ret_soon = rc == -ENOSPC && xm_plan_soon(s, list, t->offers.count,
						  size, granule);
	xm_words_begin(&w, words, words_size);
	xm_plan_explain(s, list, t->offers.count, size, granule, &t->plan, rc,
			&w);
	return rc;
}

int xm_planned_try(extmem *x, const extmem_region *region, uint64_t address,
		   uint64_t size, bool *ret_soon, char *words,
		   size_t words_size)
{
	struct attempt *t = os_alloc(sizeof(*t));
	int rc = -ENOMEM;

	*ret_soon = false;
	snprintf(words, words_size, "out of memory");
	if (t == NULL)
		return rc;
	t->x = x;
	t->region = region;
	t->ledgers = UINT32_MAX;
	if (xm_strategy_mirrors(region->strategy) > 1)
		t->ledgers = xm_ledgers_take(x);
	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++)
		t->run_max[a] = UINT64_MAX;
	for (uint32_t try = 0; try < TRIES; try++) {
		rc = attempt_plan(t, address, size, ret_soon, words,
				  words_size);
		if (rc != 0)
			break;
		rc = plan_alloc(t, address);
		if (rc == 0)
			break;
		snprintf(words, words_size, "%s", t->words);
		if (os_now_ns() >= x->regions.deadline_ns)
			break;
	}
	os_free(t);
	return rc;
}

int xm_planned_check(extmem *x)
{
	const struct xm_strategy *s = x->strategy;
	uint64_t row = s == NULL ? 0 : xm_strategy_row(s, x->ask.granule);
	struct xm_offers offers;
	struct xm_plan plan;
	char words[512];
	struct xm_words w;
	int rc;

	if (s == NULL)
		return 0;
	xm_offers_known(x, &offers);
	rc = xm_plan_make(s, offers.list, offers.count, row, x->ask.granule, 0,
			  &plan);
	if (rc != -ENODEV)
		return 0;
	xm_words_begin(&w, words, sizeof(words));
	xm_plan_explain(s, offers.list, offers.count, row, x->ask.granule,
			&plan, rc, &w);
	return xm_fail(rc, "extmem_open: strategy: %s", words);
}
