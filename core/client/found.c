/* SPDX-License-Identifier: BSD-3-Clause */
/* What a token leads to, and the region that is made of it; see found.h. */
#include "core/client/found.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/ledgers.h"
#include "core/client/range.h"
#include "core/client/segments.h"
#include "core/client/segments_parts.h"
#include "core/pure/plant.h"

/* --- claiming ------------------------------------------------------------- */

/* What is not found may be there. */
static int is_away(struct xm_found *t, int rc)
{
	if (t->away == 0)
		return rc;
	snprintf(t->words, sizeof(t->words), "what is missing may be at appliance %s, which "
		 "does not answer", xm_ask_address(&t->x->ask, t->away - 1));
	return -ENOTCONN;
}

/* At all appliances that answer. */
int xm_found_claim(struct xm_found *t)
{
	extmem *x = t->x;
	uint32_t count = atomic_load(&x->ask.count);
	char nothing[sizeof(t->words)];
	int rc = 0;

	for (uint32_t a = 0; a < count && (rc == 0 || rc == -ENOENT); a++) {
		if (!xm_ask_is_ready(&x->ask, a)) {
			t->away = a + 1;
			continue;
		}
		rc = xm_claim_all(x, a, t->kind, t->token, &t->l, nothing,
				  sizeof(nothing));
		if (rc != 0)
			snprintf(t->words, sizeof(t->words), "%s", nothing);
	}
	if (rc == 0 || rc == -ENOENT)
		rc = t->l.count > 0 ? 0 : is_away(t, -ENOENT);
	return rc;
}

/* What was claimed waits under the token again. */
void xm_found_give_back(struct xm_found *t)
{
	uint32_t done = 0; /* appliances, a bit each */

	for (uint32_t i = 0; i < t->l.count + t->stale; i++) {
		const struct xm_extent_at *member = &t->l.list[i].at;

		if ((done & 1u << member->appliance) == 0)
			xm_return_claimed(t->x, member, t->token);
		done |= 1u << member->appliance;
	}
}

/* --- the layout ----------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct xm_place_label *l = &((const struct xm_handed *)a)->label;
	const struct xm_place_label *m = &((const struct xm_handed *)b)->label;

	if (l->page != m->page)
		return l->page < m->page ? -1 : 1;
	if (l->column != m->column)
		return l->column < m->column ? -1 : 1;
	if (l->copy != m->copy)
		return (int)l->copy - (int)m->copy;
	return l->turn == m->turn ? 0 : l->turn > m->turn ? -1 : 1;
}

/* Sorts; of two for the same place, what has the earlier turn comes behind the others. */
static int sort(struct xm_found *t)
{
	struct xm_handed *list = t->l.list, *stale;
	uint32_t kept = 0;

	qsort(list, t->l.count, sizeof(*list), compare);
	stale = os_alloc(t->l.count * sizeof(*list));
	if (stale == NULL) {
		snprintf(t->words, sizeof(t->words), "out of memory");
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < t->l.count; i++) {
		const struct xm_place_label *last =
			kept == 0 ? NULL : &list[kept - 1].label;
		const struct xm_place_label *l = &list[i].label;

		if (last != NULL && l->page == last->page &&
		    l->column == last->column && l->copy == last->copy &&
		    l->turn < last->turn)
			memcpy(&stale[t->stale++], &list[i], sizeof(*list));
		else
			memmove(&list[kept++], &list[i], sizeof(*list));
	}
	memcpy(&list[kept], stale, t->stale * sizeof(*list));
	os_free(stale);
	t->l.count = kept;
	return 0;
}

static int missing(struct xm_found *t, uint64_t page)
{
	snprintf(t->words, sizeof(t->words), "a part of the region is missing, at offset "
		 "%llu: connect to all appliances that it was at",
		 (unsigned long long)(page * XM_PAGE));
	return is_away(t, -ENODATA);
}

/* Is this the entry of that copy, in the run that `run` is of? */
static bool is_of(const struct xm_found *t, uint32_t i,
		  const struct xm_place_label *run, uint8_t column, uint8_t copies,
		  uint8_t k)
{
	const struct xm_place_label *l = &t->l.list[i].label;

	return i < t->l.count && l->page == run->page && l->column == column &&
	       l->copy == k && l->count == run->count &&
	       l->columns == run->columns && l->unit == run->unit &&
	       l->copies == copies &&
	       l->region_size == t->l.list[0].label.region_size &&
	       memcmp(&t->l.list[i].id, &t->l.list[0].id,
		      sizeof(t->l.list[i].id)) == 0;
}

/* The copies of one column, of which *i is the first; *i goes on behind them. */
static bool column_check(const struct xm_found *t, const struct xm_place_label *run,
			 uint8_t column, uint32_t *i)
{
	uint8_t copies = *i < t->l.count ? t->l.list[*i].label.copies : 1;
	uint32_t first = *i;

	for (uint8_t k = 0; k < copies; k++) {
		if (is_of(t, *i, run, column, copies, k))
			(*i)++;
		else if (!t->partly)
			return false;
	}
	return *i > first;
}

/* Sorted, each entry is what follows from the one before. */
static int layout_check(struct xm_found *t)
{
	const struct xm_handed *list = t->l.list;
	uint64_t page = 0;

	for (uint32_t i = 0; i < t->l.count;) {
		const struct xm_place_label *run = &list[i].label;

		if (run->page != page)
			return missing(t, page);
		for (uint8_t column = 0; column < run->columns; column++) {
			if (!column_check(t, run, column, &i))
				return missing(t, page);
		}
		page += run->count;
	}
	if (page != list[0].label.region_size / XM_PAGE)
		return missing(t, page);
	return 0;
}

/* --- the region ----------------------------------------------------------- */

int xm_found_region(struct xm_found *t, const char *call, extmem_region **ret)
{
	const struct xm_handed *first = &t->l.list[0];
	struct extmem_request request = {
		.size = sizeof(request), .name = first->name,
		.region_size = first->label.region_size,
	};
	extmem_region *region;
	int rc = xm_region_new(t->x, call, &request, &region);

	if (rc != 0) {
		snprintf(t->words, sizeof(t->words), "%s", xm_why_not(call));
		return rc;
	}
	region->id = first->id;
	/* A new layout, but as it was. */
	region->size = first->label.region_size;
	region->written = !XM_PLANTED(claim_zeroed);
	region->fouled = true; /* its fresh pages are not those of before */
	for (uint32_t i = 0; i < t->l.count; i++) {
		const struct xm_place_label *l = &t->l.list[i].label;

		region->tracked |= l->copies > 1;
		region->turn = xm_max(region->turn, l->turn);
	}
	*ret = region;
	return 0;
}

/* The members of one column, which begin with entry *i. */
static void members_add(struct xm_found *t, const struct xm_place_label *run,
			uint8_t column, struct xm_backing *s, uint32_t *i)
{
	for (; *i < t->l.count; (*i)++) {
		struct xm_handed *h = &t->l.list[*i];

		if (h->label.page != run->page || h->label.column != column)
			return;
		h->page = s->page + column * s->unit;
		h->k = s->copies;
		s->list[s->copies++].at = h->at;
	}
}

/* One run, whose members begin with entry *i. */
static int run_add(struct xm_found *t, const extmem_region *region, uint32_t *i)
{
	struct xm_backing columns[XM_APPLIANCES_MAX];
	const struct xm_place_label *run = &t->l.list[*i].label;
	uint64_t address = region->address + run->page * XM_PAGE;

	for (uint8_t c = 0; c < run->columns; c++) {
		struct xm_backing *s = &columns[c];

		xm_backing_begin(region, address, run->count * XM_PAGE, s);
		/* If the call fails it gives back what it has claimed, so nothing else may
		 * come in its place until then. */
		s->fixed = t->kind == XM_CLAIM;
		if (run->columns > 1) {
			s->unit = run->unit;
			s->columns = run->columns;
			s->column = c;
		}
		members_add(t, run, c, s, i);
	}
	return xm_segments_add(t->x, columns, run->columns);
}

static int segments_add(struct xm_found *t, extmem_region *region)
{
	uint32_t i = 0;
	int rc = 0;

	/* (What is read has its writer's views.) */
	if (atomic_load(&region->tracked) && !region->reads)
		xm_ledgers_take(t->x);
	while (rc == 0 && i < t->l.count) {
		rc = run_add(t, region, &i);
		if (rc != 0)
			snprintf(t->words, sizeof(t->words), "%s", rc == -ENOTCONN
				 ? "it was lost as soon as it was claimed"
				 : "too many segments are in use");
	}
	if (rc == 0)
		rc = xm_segments_wait(t->x, region->address, region->size,
				      t->words, sizeof(t->words));
	return rc;
}

/* The pager knows all pages, and that they have contents. */
static int mark_backed(extmem_region *region)
{
	struct xm_pager_event backed = { .kind = XM_PAGER_MARK_BACKED };
	uint64_t first = region->address / XM_PAGE;

	if (!atomic_load(&region->tracked) || !atomic_load(&region->written))
		return 0;
	return xm_range(region->client, &backed, first,
			first + region->size / XM_PAGE, XM_NEVER);
}


int xm_found_check(struct xm_found *t)
{
	int rc = sort(t);

	return rc == 0 ? layout_check(t) : rc;
}

int xm_found_back(struct xm_found *t, extmem_region *region)
{
	int rc = segments_add(t, region);

	if (rc == 0)
		rc = mark_backed(region);
	if (rc != 0) {
		xm_segments_drop(region);
		xm_region_drop(region);
	}
	return rc;
}

void xm_found_hold(extmem_region *region)
{
	extmem *x = region->client;
	uint64_t page = region->address / XM_PAGE;
	uint64_t limit = page + region->size / XM_PAGE;
	struct os_signals old;
	struct xm_backing s;

	xm_lanes_lock(&x->lanes, &old);
	for (; page < limit && xm_volume_backing(&x->volume, page, &s);
	     page = xm_backing_after(&s))
		xm_volume_hold(&x->volume, page);
	xm_lanes_unlock(&x->lanes, &old);
}

void xm_found_end(struct xm_found *t)
{
	xm_handed_end(&t->l);
}
