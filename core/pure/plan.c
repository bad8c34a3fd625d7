/* SPDX-License-Identifier: BSD-3-Clause */
/* Where memory goes under a strategy; see plan.h. */
#include "core/pure/plan.h"

#include <errno.h>
#include <string.h>

#include "common/rand.h"
#include "core/pure/plant.h"

/* One attempt to place a region under one choice. */
struct board {
	const struct xm_strategy_choice *choice;
	const struct xm_plan_offer *offers;
	uint32_t count;
	enum xm_strategy_rank rank;
	uint64_t row;
	bool usable[XM_APPLIANCES_MAX];
	uint64_t room[XM_APPLIANCES_MAX]; /* in all */
	uint64_t run[XM_APPLIANCES_MAX];  /* of one extent */
	struct xm_rand rand;
};

/* --- who may be chosen ------------------------------------------------------ */

/* The appliance before this one that has its incarnation, or itself. */
static uint32_t first_of(const struct xm_plan_offer *offers, uint32_t a)
{
	for (uint32_t i = 0; i < a; i++) {
		if (offers[i].ready &&
		    offers[i].incarnation == offers[a].incarnation)
			return i;
	}
	return a;
}

static enum xm_plan_reason reason_of(const struct xm_strategy_choice *c,
				     const struct xm_plan_offer *offers,
				     uint32_t a)
{
	const struct xm_plan_offer *o = &offers[a];
	bool name;

	if (!o->ready)
		return XM_PLAN_AWAY;
	if (first_of(offers, a) != a)
		return XM_PLAN_SAME;
	if (o->leaving)
		return XM_PLAN_LEAVING;
	if (!xm_strategy_admits(c, o->zone, o->name, &name))
		return name ? XM_PLAN_NAME : XM_PLAN_ZONE;
	return XM_PLAN_USABLE;
}

/* What the clauses keep and limit leave of what is free. */
static uint64_t room_of(const struct xm_strategy_choice *c,
			const struct xm_plan_offer *o)
{
	uint64_t room = o->free > c->keep ? o->free - c->keep : 0;

	if (c->limit != 0)
		room = xm_min(room, c->limit > o->used ? c->limit - o->used
						       : 0);
	return room;
}

static void board_set(struct board *b, const struct xm_strategy_choice *c,
		      const struct xm_plan_offer *offers, uint32_t count,
		      uint64_t granule, uint64_t seed, struct xm_plan *plan)
{
	uint64_t part;

	memset(b, 0, sizeof(*b));
	b->choice = c;
	b->offers = offers;
	b->count = count;
	b->rank = c->rank;
	b->row = xm_choice_row(c, granule);
	part = b->row / c->columns;
	xm_rand_seed(&b->rand, seed);
	for (uint32_t a = 0; a < count; a++) {
		enum xm_plan_reason reason = reason_of(c, offers, a);

		b->usable[a] = reason == XM_PLAN_USABLE;
		b->room[a] = room_of(c, &offers[a]);
		b->run[a] = xm_min(b->room[a], offers[a].free_run);
		if (b->usable[a] && b->run[a] < part)
			reason = offers[a].free_run < part ? XM_PLAN_FULL
							   : XM_PLAN_LIMIT;
		plan->reasons[a] = (uint8_t)reason;
		plan->same_as[a] = (uint8_t)first_of(offers, a);
	}
}

/* --- one run ---------------------------------------------------------------- */

/* What a run has been given so far. */
struct draft {
	uint64_t part; /* bytes of one column */
	uint32_t held[XM_APPLIANCES_MAX];
	uint8_t *members; /* of the column under way */
	uint32_t copies;
};

static bool together(const struct board *b, uint32_t a, uint32_t other)
{
	const struct xm_plan_offer *one = &b->offers[a];
	const struct xm_plan_offer *two = &b->offers[other];

	if (a == other)
		return true;
	if (b->choice->spread == XM_SPREAD_ZONE)
		return one->zone[0] != '\0' &&
		       memcmp(one->zone, two->zone, sizeof(one->zone)) == 0;
	if (b->choice->spread == XM_SPREAD_HOST)
		return memcmp(one->host, two->host, sizeof(one->host)) == 0;
	return false;
}

static bool may_have(const struct board *b, const struct draft *d, uint32_t a)
{
	if (!b->usable[a] || b->run[a] < d->part ||
	    b->room[a] / d->part <= d->held[a])
		return false;
	if (d->copies == 0 && d->held[a] > 0)
		return false;
	for (uint32_t k = 0; k < d->copies; k++) {
		if (together(b, a, d->members[k]))
			return false;
	}
	return true;
}

static bool ranks_before(const struct board *b, const struct draft *d,
			 uint32_t a, uint32_t other)
{
	const struct xm_plan_offer *one = &b->offers[a];
	const struct xm_plan_offer *two = &b->offers[other];

	if (d->held[a] != d->held[other])
		return d->held[a] < d->held[other];
	switch (b->rank) {
	case XM_RANK_LISTED: break;
	case XM_RANK_LOAD: return one->load < two->load;
	case XM_RANK_FREE:
	case XM_RANK_RANDOM: return b->room[a] > b->room[other];
	}
	return false;
}

/* The next member: XM_APPLIANCES_MAX if there is none. */
static uint32_t member_choose(struct board *b, const struct draft *d)
{
	uint32_t list[XM_APPLIANCES_MAX], n = 0, best = XM_APPLIANCES_MAX;

	for (uint32_t a = 0; a < b->count; a++) {
		if (may_have(b, d, a))
			list[n++] = a;
	}
	if (b->rank == XM_RANK_RANDOM) {
		uint32_t drawn = (uint32_t)xm_min(n, b->choice->random_of);

		for (uint32_t i = 0; i < drawn; i++) {
			uint32_t k = i + (uint32_t)xm_rand_below(&b->rand,
								 n - i);
			uint32_t a = list[k];

			list[k] = list[i];
			list[i] = a;
		}
		n = drawn;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (best == XM_APPLIANCES_MAX ||
		    ranks_before(b, d, list[i], best))
			best = list[i];
	}
	return best;
}

/* Where no appliance is left that has nothing of the run, copies go round in a chain:
 * each appliance then gets as many. */
static uint32_t copy_choose(struct board *b, const struct draft *d,
			    const struct xm_plan_run *run, uint32_t column)
{
	const struct xm_strategy_choice *c = b->choice;
	uint32_t other = (column + d->copies) % c->columns;
	uint32_t a = member_choose(b, d);
	uint32_t chained = run->appliances[other * c->mirrors];

	if (a < b->count && d->held[a] > 0 && may_have(b, d, chained))
		return chained;
	return a;
}

/* Copies are chosen in rounds, first of all columns, then second ones. */
static bool run_place(struct board *b, uint64_t size, struct xm_plan_run *ret)
{
	const struct xm_strategy_choice *c = b->choice;
	struct draft d = { .part = size / c->columns };

	ret->size = size;
	for (uint32_t copy = 0; copy < c->mirrors; copy++) {
		for (uint32_t column = 0; column < c->columns; column++) {
			uint32_t a;

			d.members = &ret->appliances[column * c->mirrors];
			d.copies = copy;
			a = copy == 0 ? member_choose(b, &d)
				      : copy_choose(b, &d, ret, column);
			if (a == XM_APPLIANCES_MAX)
				return false;
			d.members[copy] = (uint8_t)a;
			d.held[a]++;
		}
	}
	return true;
}

/* The largest run up to `most`, in whole rows; its size, or 0. */
static uint64_t run_largest(struct board *b, uint64_t most,
			    struct xm_plan_run *ret)
{
	uint64_t low = 0, high = most / b->row;
	struct xm_plan_run run;

	if (run_place(b, most, &run)) {
		*ret = run;
		return most;
	}
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (run_place(b, middle * b->row, &run)) {
			*ret = run;
			low = middle;
		} else {
			high = middle;
		}
	}
	return low * b->row;
}

static void run_take(struct board *b, const struct xm_plan_run *run)
{
	const struct xm_strategy_choice *c = b->choice;
	uint64_t part = run->size / c->columns;

	for (uint32_t i = 0; i < c->columns * c->mirrors; i++) {
		uint32_t a = run->appliances[i];

		b->room[a] -= part;
		b->run[a] = xm_min(b->room[a], b->run[a] - part);
	}
}

/* --- a whole plan ----------------------------------------------------------- */

/* In runs of at most so many bytes. Returns the bytes placed. */
static uint64_t runs_place(struct board *b, uint64_t size, uint64_t most,
			   struct xm_plan *plan)
{
	uint64_t placed = 0;

	plan->runs_count = 0;
	while (placed < size && plan->runs_count < XM_PLAN_RUNS_MAX) {
		struct xm_plan_run *run = &plan->runs[plan->runs_count];
		uint64_t got = run_largest(b, xm_min(most, size - placed), run);

		if (got == 0)
			break;
		run_take(b, run);
		placed += got;
		plan->runs_count++;
	}
	return placed;
}

/* Could one row be placed if every appliance were empty? */
static bool enough_appliances(const struct board *b)
{
	struct board empty = *b;
	struct xm_plan_run run;

	for (uint32_t a = 0; a < b->count; a++)
		empty.room[a] = empty.run[a] = UINT64_MAX / 2;
	return run_place(&empty, empty.row, &run);
}

/* In one run, or in ever smaller ones. */
static bool runs_fit(const struct board *fresh, uint64_t size,
		     struct xm_plan *plan)
{
	for (uint32_t n = 1; n <= XM_PLAN_RUNS_MAX; n++) {
		uint64_t rows = (size / n + fresh->row - 1) / fresh->row;
		struct board board = *fresh;
		uint64_t placed = runs_place(&board, size, rows * fresh->row,
					     plan);

		if (placed == size)
			return true;
		plan->room = xm_max(plan->room, placed);
	}
	return false;
}

static int choice_place(const struct xm_strategy_choice *c,
			const struct xm_plan_offer *offers, uint32_t count,
			uint64_t size, uint64_t granule, uint64_t seed,
			struct xm_plan *plan)
{
	struct board board;

	board_set(&board, c, offers, count, granule, seed, plan);
	plan->room = 0;
	if (runs_fit(&board, size, plan))
		return 0;
	board.rank = XM_RANK_FREE;
	if (runs_fit(&board, size, plan))
		return 0;
	return enough_appliances(&board) ? -ENOSPC : -ENODEV;
}

int xm_plan_make(const struct xm_strategy *s,
		 const struct xm_plan_offer *offers, uint32_t count,
		 uint64_t size, uint64_t granule, uint64_t seed,
		 struct xm_plan *ret)
{
	struct xm_plan first = { 0 };
	int rc = 0, first_rc = 0;

	XM_ASSERT(size > 0 && size % xm_strategy_row(s, granule) == 0);
	XM_ASSERT(count <= XM_APPLIANCES_MAX && s->count > 0);
	memset(ret, 0, sizeof(*ret));
	for (uint32_t i = 0; i < s->count; i++) {
		ret->choice = i;
		rc = choice_place(&s->choices[i], offers, count, size, granule,
				  seed, ret);
		if (rc == 0)
			return 0;
		if (i == 0) {
			first = *ret;
			first_rc = rc;
		}
	}
	*ret = first;
	ret->runs_count = 0;
	return first_rc;
}

bool xm_plan_nearest(const struct xm_strategy *s,
		     const struct xm_plan_offer *offers, uint32_t count,
		     uint64_t size, uint64_t granule,
		     struct xm_strategy_choice *ret)
{
	const struct xm_strategy_choice *wanted = &s->choices[0];
	struct xm_strategy_choice c = *wanted;
	struct xm_plan plan;

	for (c.mirrors = wanted->mirrors; c.mirrors >= 1; c.mirrors--) {
		for (c.columns = wanted->columns; c.columns >= 1; c.columns--) {
			uint32_t spread = c.mirrors > 1 ? wanted->spread : 0;
			uint64_t row;

			c.unit = c.columns > 1 ? wanted->unit : 0;
			row = xm_choice_row(&c, granule);
			do {
				c.spread = (enum xm_strategy_spread)spread;
				if (choice_place(&c, offers, count,
						 (size + row - 1) / row * row,
						 granule, 0, &plan) != 0)
					continue;
				*ret = c;
				return true;
			} while (spread-- > 0);
		}
	}
	return false;
}

bool xm_plan_soon(const struct xm_strategy *s,
		  const struct xm_plan_offer *offers, uint32_t count,
		  uint64_t size, uint64_t granule)
{
	struct xm_plan_offer later[XM_APPLIANCES_MAX];
	struct xm_plan plan;
	uint64_t soon = 0;

	for (uint32_t a = 0; a < count; a++) {
		later[a] = offers[a];
		later[a].free += offers[a].soon;
		later[a].free_run += offers[a].soon;
		soon += offers[a].soon;
	}
	return soon > 0 &&
	       xm_plan_make(s, later, count, size, granule, 0, &plan) == 0;
}

/* --- one more member -------------------------------------------------------- */

/* Two addresses of one appliance are as good as one. */
static bool is_a_copys(const struct xm_plan_offer *offers,
		       const struct draft *d, uint32_t a)
{
	for (uint32_t k = 0; k < d->copies; k++) {
		if (offers[a].incarnation == offers[d->members[k]].incarnation)
			return true;
	}
	return false;
}

/* Under one choice, and by none of those that are barred. */
static int spare_choose(const struct xm_strategy_choice *c,
			const struct xm_plan_offer *offers, uint32_t count,
			const struct xm_plan_vacancy *v, uint32_t barred)
{
	struct board board;
	struct xm_plan plan;
	uint8_t members[XM_APPLIANCES_MAX];
	struct draft d = { .part = v->size, .members = members };
	uint32_t a;

	board_set(&board, c, offers, count, v->size, v->seed, &plan);
	for (a = 0; a < count; a++) {
		if ((v->copies & 1u << a) != 0)
			members[d.copies++] = (uint8_t)a;
	}
	for (a = 0; a < count; a++)
		board.usable[a] &= (barred & 1u << a) == 0 &&
				   !is_a_copys(offers, &d, a);
	a = member_choose(&board, &d);
	if (a < count)
		return (int)a;
	for (a = 0; a < count; a++)
		board.room[a] = board.run[a] = UINT64_MAX / 2;
	return member_choose(&board, &d) < count ? -ENOSPC : -ENODEV;
}

static int spare_of_choice(const struct xm_strategy_choice *c,
			   const struct xm_plan_offer *offers, uint32_t count,
			   const struct xm_plan_vacancy *v)
{
	int spare = spare_choose(c, offers, count, v, v->barred | v->row);

	return spare >= 0 || v->row == 0
		       ? spare
		       : spare_choose(c, offers, count, v, v->barred);
}

int xm_plan_spare(const struct xm_strategy *s, uint32_t choice,
		  const struct xm_plan_offer *offers, uint32_t count,
		  const struct xm_plan_vacancy *v)
{
	static const struct xm_strategy_choice any = {
		.mirrors = 1, .columns = 1, .rank = XM_RANK_FREE,
	};
	int spare = -ENODEV;

	if (s == NULL || XM_PLANTED(spare_anywhere))
		return spare_of_choice(&any, offers, count, v);
	for (uint32_t i = choice; spare < 0 && i < s->count; i++) {
		int rc;

		if (s->choices[i].mirrors < s->choices[choice].mirrors)
			continue;
		rc = spare_of_choice(&s->choices[i], offers, count, v);
		if (rc != -ENODEV)
			spare = rc;
	}
	return spare;
}

/* --- hosts ------------------------------------------------------------------ */

void xm_host_of(const char *address, char ret[XM_HOST_SIZE])
{
	size_t at = 0, n = 0;
	char end = ':';

	memset(ret, 0, XM_HOST_SIZE);
	while (address[at] != '\0' && address[at] != '/')
		at++;
	if (address[at] == '\0' || address[at + 1] != '/')
		return;
	at += 2;
	if (address[at] == '[') {
		end = ']';
		at++;
	}
	while (n + 1 < XM_HOST_SIZE && address[at + n] != '\0' &&
	       address[at + n] != end)
		n++;
	if (address[at + n] == end)
		memcpy(ret, address + at, n);
}
