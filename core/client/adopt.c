/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A region is adopted by its token (extmem_share.h): this client claims what waits at its
 * appliances, finds the layout in the labels, and only then, when no part is missing, tells
 * the appliances that the token is used up. Until that the token leads back to the bytes,
 * whatever happens to this client; see appliance/tokens.c.
 *
 * Every copy that was handed over must be there. One that could not be claimed now could be
 * claimed later by somebody else, who would then have older bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/handing.h"
#include "core/client/ledgers.h"
#include "core/client/range.h"
#include "core/client/segments.h"
#include "core/client/segments_parts.h"
#include "core/client/strategies.h"
#include "core/pure/plant.h"

#define CALL "extmem_region_adopt"
#define WORDS 512
#define UNTIE_TERM (500 * XM_MS) /* for one answer, when the token is used up */

struct adoption {
	extmem *x;
	uint8_t token[XM_TOKEN_SIZE];
	bool keeps; /* EXTMEM_ADOPT_KEPT */
	struct xm_handed_list l;
	uint32_t stale; /* behind what the list counts: copies from before a move */
	uint32_t away; /* index and 1 of an appliance that does not answer; or 0 */
	char words[WORDS];
};

/* --- claiming ------------------------------------------------------------- */

/* What is not found may be there. */
static int is_away(struct adoption *t, int rc)
{
	if (t->away == 0)
		return rc;
	snprintf(t->words, WORDS, "what is missing may be at appliance %s, which "
		 "does not answer", xm_ask_address(&t->x->ask, t->away - 1));
	return -ENOTCONN;
}

/* At all appliances that answer. */
static int claim(struct adoption *t)
{
	extmem *x = t->x;
	uint32_t count = atomic_load(&x->ask.count);
	char nothing[WORDS];
	int rc = 0;

	for (uint32_t a = 0; a < count && (rc == 0 || rc == -ENOENT); a++) {
		if (!xm_ask_is_ready(&x->ask, a)) {
			t->away = a + 1;
			continue;
		}
		rc = xm_claim_all(x, a, t->token, &t->l, nothing, WORDS);
		if (rc != 0)
			snprintf(t->words, WORDS, "%s", nothing);
	}
	if (rc == 0 || rc == -ENOENT)
		rc = t->l.count > 0 ? 0 : is_away(t, -ENOENT);
	return rc;
}

/* What was claimed waits under the token again. */
static void give_back(struct adoption *t)
{
	uint32_t done = 0; /* appliances, a bit each */

	for (uint32_t i = 0; i < t->l.count; i++) {
		const struct xm_member *member = &t->l.list[i].member;

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
static int sort(struct adoption *t)
{
	struct xm_handed *list = t->l.list, *stale;
	uint32_t kept = 0;

	qsort(list, t->l.count, sizeof(*list), compare);
	stale = os_alloc(t->l.count * sizeof(*list));
	if (stale == NULL) {
		snprintf(t->words, WORDS, "out of memory");
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

static int missing(struct adoption *t, uint64_t page)
{
	snprintf(t->words, WORDS, "a part of the region is missing, at offset "
		 "%llu: connect to all appliances that it was at",
		 (unsigned long long)(page * XM_PAGE));
	return is_away(t, -ENODATA);
}

/* Sorted, each entry is what follows from the one before. */
static int layout_check(struct adoption *t)
{
	const struct xm_handed *list = t->l.list;
	uint64_t page = 0;

	for (uint32_t i = 0; i < t->l.count;) {
		const struct xm_place_label *run = &list[i].label;

		if (run->page != page)
			return missing(t, page);
		for (uint8_t column = 0; column < run->columns; column++) {
			uint8_t copies = i < t->l.count ? list[i].label.copies
							: 0;

			for (uint8_t k = 0; k < xm_max(copies, 1); k++, i++) {
				const struct xm_place_label *l =
					&list[i].label;

				if (i == t->l.count || l->page != page ||
				    l->column != column || l->copy != k)
					return missing(t, page);
				if (l->count != run->count ||
				    l->columns != run->columns ||
				    l->unit != run->unit ||
				    l->copies != copies ||
				    l->region_size !=
					    list[0].label.region_size ||
				    memcmp(&list[i].id, &list[0].id,
					   sizeof(list[0].id)) != 0)
					return missing(t, page);
			}
		}
		page += run->count;
	}
	if (page != list[0].label.region_size / XM_PAGE)
		return missing(t, page);
	return 0;
}

static int capacity_check(struct adoption *t)
{
	for (uint32_t i = 0; i < t->l.count; i++) {
		const struct xm_place_label *l = &t->l.list[i].label;

		if (l->copies > XM_COPIES_MAX || l->columns > XM_APPLIANCES_MAX ||
		    (l->copies > 1 &&
		     t->x->settings.members_max < XM_MEMBERS_MAX)) {
			snprintf(t->words, WORDS, "it has %u copies: open this "
				 "client with a strategy that has mirrors, for "
				 "example strategy=mirror %u",
				 l->copies, l->copies);
			return -ENOTSUP;
		}
		if (t->keeps && l->copies > 1) {
			snprintf(t->words, WORDS, "it has %u copies, which a "
				 "crash can leave unequal: it cannot be kept",
				 l->copies);
			return -ENOTSUP;
		}
	}
	return 0;
}

/* --- the region ----------------------------------------------------------- */

static int region_begin(struct adoption *t, extmem_region **ret)
{
	const struct xm_handed *first = &t->l.list[0];
	struct extmem_request request = {
		.size = sizeof(request), .name = first->name,
		.region_size = first->label.region_size,
	};
	extmem_region *region;
	int rc = xm_region_new(t->x, CALL, &request, &region);

	if (rc != 0) {
		snprintf(t->words, WORDS, "%s", extmem_error());
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
	if (t->keeps) {
		region->kept_ms = first->label.ms;
		memcpy(region->token, t->token, XM_TOKEN_SIZE);
	}
	*ret = region;
	return 0;
}

/* One run, whose members begin with entry *i. */
static int run_add(struct adoption *t, const extmem_region *region, uint32_t *i)
{
	struct xm_segment columns[XM_APPLIANCES_MAX];
	const struct xm_place_label *run = &t->l.list[*i].label;
	uint64_t address = region->address + run->page * XM_PAGE;

	for (uint8_t c = 0; c < run->columns; c++) {
		struct xm_segment *s = &columns[c];

		xm_segment_begin(region, address, run->count * XM_PAGE, s);
		s->members_count = t->l.list[*i].label.copies;
		if (run->columns > 1) {
			s->unit = run->unit;
			s->columns = run->columns;
			s->column = c;
		}
		for (uint8_t k = 0; k < s->members_count; k++)
			memcpy(&s->members[k], &t->l.list[(*i)++].member,
			       sizeof(s->members[k]));
	}
	return xm_segments_add(t->x, columns, run->columns);
}

static int segments_add(struct adoption *t, extmem_region *region)
{
	uint32_t i = 0;
	int rc = 0;

	if (atomic_load(&region->tracked))
		xm_ledgers_take(t->x);
	while (rc == 0 && i < t->l.count) {
		rc = run_add(t, region, &i);
		if (rc != 0)
			snprintf(t->words, WORDS, "%s", rc == -ENOTCONN
				 ? "it was lost as soon as it was claimed"
				 : "too many segments are in use");
	}
	if (rc == 0)
		rc = xm_segments_wait(t->x, region->address, region->size,
				      t->words, WORDS);
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

/* Its token is good for the next time, too. */
static void keep_durable(const struct adoption *t, extmem_region *region)
{
	bool durable = true;

	for (uint32_t i = 0; i < t->l.count; i++)
		durable &= t->l.list[i].label.durable;
	if (!durable)
		return;
	region->durable = true;
	region->kept_ms = t->l.list[0].label.ms;
	memcpy(region->token, t->token, sizeof(region->token));
}

/* One round over what is still tied: an appliance that does not answer soon keeps the
 * others waiting once. Returns how many extents are left; `tied` has a byte for each. */
static uint32_t untie(struct adoption *t, uint8_t *tied)
{
	extmem *x = t->x;
	uint64_t deadline_ns = x->regions.deadline_ns;
	uint32_t left = 0, away = 0; /* appliances, a bit each */
	char words[WORDS];

	for (uint32_t i = 0; i < t->l.count; i++) {
		uint32_t bit = 1u << t->l.list[i].member.appliance;
		int rc = -ETIMEDOUT;

		if (tied[i] == 0)
			continue;
		x->regions.deadline_ns = xm_min(deadline_ns,
						os_now_ns() + UNTIE_TERM);
		if ((away & bit) == 0)
			rc = xm_offer_extent(x, &t->l.list[i], t->token,
					     XM_OFFER_KEEP,
					     t->keeps ? t->l.list[i].label.ms : 0,
					     NULL, words, WORDS);
		/* (-ESTALE: it is lost already.) */
		tied[i] = rc != 0 && rc != -ESTALE;
		left += tied[i];
		if (rc == -ETIMEDOUT || rc == -ENOTCONN)
			away |= bit;
	}
	x->regions.deadline_ns = deadline_ns;
	return left;
}

/* The token is used up, or stands for what is kept now. It is said again until it is
 * answered, in the time of the call. An appliance that does not hear it lets the memory wait
 * for the token if we end, until it unties by itself: XM_SERVICE_CLAIM_TERM. */
static void settle(struct adoption *t)
{
	extmem *x = t->x;
	uint8_t *tied = os_alloc(t->l.count);

	if (tied == NULL)
		return;
	memset(tied, 1, t->l.count);
	while (untie(t, tied) > 0 && os_now_ns() < x->regions.deadline_ns)
		os_sleep(UNTIE_TERM / 10);
	os_free(tied);
}

/* Bytes from before a move, which came after them to nobody's ears. */
static void free_stale(struct adoption *t)
{
	for (uint32_t i = 0; i < t->stale; i++) {
		const struct xm_member *member =
			&t->l.list[t->l.count + i].member;
		struct xm_request request = { .lease = member->lease };
		struct xm_message m = { .kind = XM_FREE };

		/* Whatever comes of it: the session sees to it. */
		m.u.free.extent = member->extent;
		xm_ask(&t->x->ask, member->appliance, &m,
		       t->x->regions.deadline_ns, &request);
	}
}

/* With regions.lock held. */
static int adopt(struct adoption *t, extmem_region **ret)
{
	extmem_region *region;
	uint64_t offset;
	int rc = claim(t);

	if (rc == 0) {
		rc = sort(t);
		if (rc == 0)
			rc = layout_check(t);
	}
	if (rc == 0)
		rc = capacity_check(t);
	if (rc == 0)
		rc = region_begin(t, &region);
	if (rc != 0)
		return rc;
	rc = segments_add(t, region);
	if (rc == 0)
		rc = mark_backed(region);
	if (rc != 0) {
		xm_segments_drop(region);
		xm_region_drop(region);
		return rc;
	}
	if (xm_extent_take(&region->slabs, region->size, 0, &offset) == 0)
		region->slabs_count++;
	keep_durable(t, region);
	xm_region_enter(region);
	settle(t);
	free_stale(t);
	*ret = region;
	return 0;
}

int extmem_region_adopt(extmem *x, const char *token, uint64_t flags,
			extmem_region **ret)
{
	struct adoption *t;
	int rc = xm_usable(CALL);

	if (rc != 0)
		return rc;
	if ((flags & ~(uint64_t)EXTMEM_ADOPT_KEPT) != 0)
		return xm_fail(-EINVAL, CALL ": flags 0x%llx: this library knows "
			       "EXTMEM_ADOPT_KEPT alone",
			       (unsigned long long)flags);
	t = os_alloc(sizeof(*t));
	if (t == NULL)
		return xm_fail(-ENOMEM, CALL ": out of memory");
	t->x = x;
	t->keeps = (flags & EXTMEM_ADOPT_KEPT) != 0;
	if (!xm_token_parse(token, t->token)) {
		os_free(t);
		return xm_fail(-EINVAL, CALL ": that is no token, or there is a "
			       "typing error in it: it looks like "
			       "extmem1-00112233-...");
	}
	xm_regions_lock(x);
	rc = adopt(t, ret);
	if (rc != 0) {
		t->l.count += t->stale;
		give_back(t);
	}
	xm_regions_unlock(x);
	if (rc != 0)
		xm_fail(rc, CALL ": %s", t->words);
	xm_handed_end(&t->l);
	os_free(t);
	return rc;
}
