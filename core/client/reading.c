/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A region that another client shares is opened to be read (extmem_share.h).
 *
 * This client gets keys of its own, for reading alone (OPEN), and finds the layout in the
 * labels, as adopt.c does. It maps and reads pages like any other; they are clean, as a
 * store is denied by the rights of the page, and by the key. What has changed it hears at an
 * acquire, from the table of versions (versions.h), which it reads like the rest.
 *
 * Of a region with several copies the roll (roll.h) says which are right. A copy that is not
 * found as it is opened is done without, if the others are right.
 *
 * When it is shared no more, its appliances tell this client's keeper, and its segments are
 * lost: so nobody waits for what will not come.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/found.h"
#include "core/client/mapping.h"
#include "core/client/range.h"
#include "core/client/segments.h"
#include "core/client/sharing.h"
#include "core/pure/plant.h"

#define CALL "extmem_region_open"

struct opening {
	struct xm_found region; /* with all that was found, at first */
	uint32_t tables_count;
	struct xm_found tables[XM_ROLL_TABLES];
};

/* --- to open ---------------------------------------------------------------- */

/* How often this client has heard that something is shared no more. */
static uint64_t revoked_ever(extmem *x)
{
	uint64_t ever;

	os_mutex_take(&x->ask.lock);
	ever = x->ask.keeper.revoked.ever;
	os_mutex_give(&x->ask.lock);
	return ever;
}

static bool is_open(extmem *x, const uint8_t *token)
{
	XM_LIST_EACH (link, &x->regions.list) {
		const extmem_region *r = XM_CONTAINER(link, extmem_region, link);

		if (r->reads && r->sharing != NULL &&
		    memcmp(r->sharing->token, token, XM_TOKEN_SIZE) == 0)
			return true;
	}
	return false;
}

/* What belongs to a table goes to its list. */
static int divide(struct opening *o)
{
	struct xm_handed_list *l = &o->region.l;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->count; i++) {
		struct xm_place_label *label = &l->list[i].label;
		struct xm_handed *h;

		if (!label->table) {
			memmove(&l->list[kept++], &l->list[i], sizeof(*h));
			continue;
		}
		h = xm_handed_add(&o->tables[label->copy].l);
		if (h == NULL)
			return -ENOMEM;
		memcpy(h, &l->list[i], sizeof(*h));
		o->tables_count = label->copies;
		/* By itself it has one copy. */
		h->label.copy = 0;
		h->label.copies = 1;
	}
	l->count = kept;
	return 0;
}

static int missing(struct opening *o)
{
	snprintf(o->region.words, sizeof(o->region.words), "a part of the region is "
		 "missing: connect to all appliances that it is at");
	return o->region.away != 0 ? -ENOTCONN : -ENODATA;
}

/* Which of several that are there count will be seen when they are read. */
static int tables_check(struct opening *o)
{
	uint32_t found = 0;

	for (uint32_t t = 0; t < o->tables_count; t++) {
		struct xm_found *table = &o->tables[t];
		int rc = 0;

		table->away = o->region.away;
		found += table->l.count > 0;
		if (table->l.count > 0)
			rc = xm_found_check(table);
		if (rc != 0) {
			memcpy(o->region.words, table->words, sizeof(table->words));
			return rc;
		}
	}
	return found == 0 || (found < o->tables_count && !o->region.partly) ? missing(o)
									    : 0;
}

/* What is shared does not move. So two extents for one place, of which one would count, are
 * not the work of who shares it. */
static bool is_single(const struct opening *o)
{
	bool ret = o->region.stale == 0;

	for (uint32_t t = 0; t < o->tables_count; t++)
		ret &= o->tables[t].stale == 0;
	/* Nor is a copy without a table. */
	for (uint32_t i = 0; i < o->region.l.count; i++)
		ret &= o->region.l.list[i].label.copies <= o->tables_count;
	return ret;
}

/* A part that was not found may be at an appliance that is away. */
static int check(struct opening *o)
{
	int rc = divide(o);

	if (rc == 0 && o->region.l.count == 0)
		return missing(o);
	/* (What has one copy is whole or not.) */
	o->region.partly = o->tables_count > 1;
	if (rc == 0)
		rc = tables_check(o);
	if (rc == 0)
		rc = xm_found_check(&o->region);
	if (rc == 0 && !is_single(o)) {
		snprintf(o->region.words, sizeof(o->region.words), "what is shared "
			 "by this token contradicts itself: another client may "
			 "have got hold of it: have the region shared anew");
		rc = -EPROTO;
	}
	return rc;
}

static int region_make(struct xm_found *f, bool is_table, extmem_region **ret)
{
	extmem_region *region;
	int rc = xm_found_region(f, CALL, &region);

	if (rc != 0)
		return rc;
	region->reads = true;
	region->is_table = is_table;
	region->fouled = false;
	/* Of the table nothing is cached. */
	region->tracked = !is_table;
	rc = xm_found_back(f, region);
	if (rc == 0) {
		xm_found_hold(region);
		*ret = region;
	}
	return rc;
}

static void region_unmake(extmem_region *region)
{
	if (region == NULL)
		return;
	xm_region_forget(region, 0, region->size);
	xm_segments_drop(region);
	xm_region_drop(region);
}

/* Of several tables one may do. */
static int tables_make(struct opening *o, extmem_region *tables[XM_ROLL_TABLES])
{
	int rc = -ENOTCONN;

	memset(tables, 0, XM_ROLL_TABLES * sizeof(*tables));
	for (uint32_t t = 0; t < o->tables_count; t++) {
		int one;

		if (o->tables[t].l.count == 0)
			continue;
		one = region_make(&o->tables[t], true, &tables[t]);
		if (rc != 0)
			rc = one;
		if (one != 0) {
			memcpy(o->region.words, o->tables[t].words,
			       sizeof(o->region.words));
			tables[t] = NULL;
		}
		if (one != 0 && one != -ENOTCONN)
			return one;
	}
	return rc;
}

/* No store reaches its pages. And nothing is carved of it. */
static int set_up(struct opening *o, extmem_region *region,
		  extmem_region *const tables[XM_ROLL_TABLES])
{
	struct xm_sharing *s = xm_sharing_new(region);
	uint64_t offset;
	int rc = s == NULL ? -ENOMEM : 0;

	for (uint32_t t = 0; rc == 0 && t < o->tables_count; t++) {
		if (tables[t] != NULL &&
		    tables[t]->size < xm_tables_size(region, o->tables_count))
			rc = -EPROTO;
	}
	if (rc == 0 && region->client->arena.limits.denies)
		rc = xm_rights_take(region, 0, region->size, EXTMEM_READ_ONLY,
				    region->client->regions.deadline_ns);
	if (rc != 0) {
		if (s != NULL)
			xm_sharing_free(s);
		return rc;
	}
	if (xm_extent_take(&region->slabs, region->size, 0, &offset) == 0)
		region->slabs_count++;
	memcpy(s->token, o->region.token, sizeof(s->token));
	memcpy(s->tables, tables, sizeof(s->tables));
	s->tables_count = o->tables_count;
	xm_roll_begin(&s->roll, s->tables_count);
	s->extents = o->region.l;
	memset(&o->region.l, 0, sizeof(o->region.l));
	region->sharing = s;
	return 0;
}

/* With regions.lock held. -EAGAIN: something was revoked meanwhile, maybe this. */
static int open_once(struct opening *o, extmem_region **ret)
{
	extmem *x = o->region.x;
	extmem_region *tables[XM_ROLL_TABLES] = { NULL };
	extmem_region *region = NULL;
	uint64_t ever = revoked_ever(x);
	int rc = xm_found_claim(&o->region);

	if (rc == 0)
		rc = check(o);
	if (rc == 0)
		rc = region_make(&o->region, false, &region);
	if (rc == 0)
		rc = tables_make(o, tables);
	if (rc == 0 && revoked_ever(x) != ever)
		rc = -EAGAIN;
	if (rc == 0) {
		rc = set_up(o, region, tables);
		if (rc != 0)
			snprintf(o->region.words, sizeof(o->region.words), "%s",
				 xm_why(rc));
	}
	if (rc != 0)
		region_unmake(region);
	else
		xm_region_enter(region);
	for (uint32_t t = 0; t < XM_ROLL_TABLES; t++) {
		if (rc != 0)
			region_unmake(tables[t]);
		else if (tables[t] != NULL)
			xm_region_enter(tables[t]);
	}
	if (rc == 0)
		*ret = region;
	return rc;
}

/* All that was found, or nothing of it. */
static void give_back(struct opening *o)
{
	xm_found_give_back(&o->region);
	for (uint32_t t = 0; t < XM_ROLL_TABLES; t++)
		xm_found_give_back(&o->tables[t]);
}

static void forget(struct opening *o)
{
	xm_handed_end(&o->region.l);
	o->region.stale = 0;
	for (uint32_t t = 0; t < XM_ROLL_TABLES; t++) {
		xm_handed_end(&o->tables[t].l);
		o->tables[t].stale = 0;
	}
	o->tables_count = 0;
}

static int open_region(struct opening *o, extmem_region **ret)
{
	extmem *x = o->region.x;
	int rc;

	if (is_open(x, o->region.token)) {
		snprintf(o->region.words, sizeof(o->region.words),
			 "this client has opened it by this token already");
		return -EBUSY;
	}
	for (;;) {
		rc = open_once(o, ret);
		if (rc == 0)
			return 0;
		give_back(o);
		if (rc != -EAGAIN || os_now_ns() >= x->regions.deadline_ns)
			return rc;
		forget(o);
	}
}

/* False: that is no token. */
static bool begin(struct opening *o, extmem *x, const char *token)
{
	o->region.x = x;
	o->region.kind = XM_OPEN;
	if (!xm_token_parse(token, o->region.token))
		return false;
	for (uint32_t t = 0; t < XM_ROLL_TABLES; t++) {
		o->tables[t].x = x;
		o->tables[t].kind = XM_OPEN;
		memcpy(o->tables[t].token, o->region.token, XM_TOKEN_SIZE);
	}
	return true;
}

int extmem_region_open(extmem *x, const char *token, uint64_t flags,
		       extmem_region **ret)
{
	extmem_region *region = NULL;
	struct opening *o;
	int rc = xm_usable(CALL);

	if (rc == 0 && flags != 0)
		rc = xm_fail(-EINVAL, CALL ": flags 0x%llx: this library knows none",
			     (unsigned long long)flags);
	if (rc != 0)
		return rc;
	o = os_alloc(sizeof(*o));
	if (o == NULL)
		return xm_fail(-ENOMEM, CALL ": out of memory");
	if (!begin(o, x, token)) {
		os_free(o);
		return xm_fail(-EINVAL, CALL ": that is no token, or there is a typing "
			       "error in it: it looks like extmem1-00112233-...");
	}
	xm_regions_lock(x);
	rc = open_region(o, &region);
	xm_regions_unlock(x);
	if (rc != 0)
		xm_fail(rc, CALL ": %s", o->region.words);
	forget(o);
	os_free(o);
	if (rc != 0)
		return rc;
	/* What is fetched from now on is what these versions mean, or newer. */
	rc = extmem_region_acquire(region);
	if (rc != 0)
		extmem_region_free(region);
	else
		*ret = region;
	return rc;
}

/* --- to acquire ------------------------------------------------------------- */

/* With the region's lock. */
static int acquire(extmem_region *region)
{
	struct xm_sharing *s = region->sharing;
	extmem *x = region->client;
	struct xm_pager_event refresh = { .kind = XM_PAGER_REFRESH };
	uint64_t base = region->address / XM_PAGE;
	uint64_t end = base + region->size / XM_PAGE;
	uint64_t deadline_ns = os_now_ns() + x->settings.timeout_ns;
	uint64_t first = 0, limit;
	bool rolled;
	int rc = xm_tables_read(region, deadline_ns, &rolled);

	/* What came from a copy that is not right any more was maybe older. */
	s->unrefreshed |= rolled && !XM_PLANTED(reader_keeps_of_copies);
	if (rc == 0 && s->unrefreshed)
		rc = xm_range(x, &refresh, base, end, deadline_ns);
	if (rc == 0 && s->unrefreshed) {
		xm_versions_see(&s->versions, s->bytes, 0, s->versions.count);
		s->unrefreshed = false;
	}
	for (; rc == 0 && xm_versions_changed(&s->versions, s->bytes, &first, &limit);
	     first = limit) {
		if (!XM_PLANTED(reader_keeps_cache))
			rc = xm_range(x, &refresh, base + first * XM_BLOCK_PAGES,
				      xm_min(end, base + limit * XM_BLOCK_PAGES),
				      deadline_ns);
		if (rc == 0)
			xm_versions_see(&s->versions, s->bytes, first, limit);
	}
	return rc;
}

static const char *why(const extmem_region *region, int rc)
{
	if (region->sharing->stranded)
		return "the copies that this client has found are not right any more: "
		       "free it, and open it anew";
	if (rc == -ENOTCONN && region->sharing->tables_count > 1)
		return "an appliance that cannot be reached may have newer bytes than the "
		       "others";
	return rc == -ESTALE ? "it cannot be read any more: its owner has ended, or "
			       "shares it no more, or an appliance of it has begun "
			       "again"
			     : xm_why(rc);
}

int extmem_region_acquire(extmem_region *region)
{
	int rc = xm_region_usable(region, "extmem_region_acquire");

	if (rc != 0)
		return rc;
	if (!region->reads)
		return xm_fail(-EINVAL, "extmem_region_acquire: region %s was not opened "
			       "with extmem_region_open(): its own client sees all that "
			       "it stores", region->name);
	os_mutex_take(&region->lock);
	rc = acquire(region);
	os_mutex_give(&region->lock);
	return rc == 0 ? 0
		       : xm_fail(rc, "extmem_region_acquire: region %s: %s",
				 region->name, why(region, rc));
}
