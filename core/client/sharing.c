/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A region is shared with clients that read it (extmem_share.h); this is its writer's side.
 *
 * The life of a share:
 *	1. The region's pages are written back, and zeros where bytes were discarded. From
 *	   now on the blocks that something is stored to are marked (versions.h).
 *	2. Tables of versions, all 0, are allocated as regions of their own.
 *	3. Each extent of all is shared under one token (GRANT), with a label that says where
 *	   it belongs. Readers open them (reading.c), and ask this client nothing.
 *	4. A release writes back what is dirty, then raises the versions of marked blocks and
 *	   writes these entries of each table, from the first to the last, at once; and where
 *	   a copy was left out since, or is back, which ones are right (roll.h).
 *	5. It ends by GRANT with 0 ms, or with the region.
 */
#include "core/client/sharing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/range.h"
#include "core/pure/plant.h"

#define MS_DEFAULT 60000
#define WORDS 512
#define CALL "extmem_region_share"
#define LEFT_OUT (200 * XM_MS) /* for one answer */

/* --- what there is besides -------------------------------------------------- */

struct xm_sharing *xm_sharing_new(const extmem_region *region)
{
	struct xm_sharing *s = os_alloc(sizeof(*s));
	uint64_t blocks = xm_versions_blocks(region->size);

	if (s == NULL)
		return NULL;
	s->versions.first = region->address / XM_BLOCK_SIZE;
	s->versions.count = blocks;
	s->versions.list = os_alloc(blocks * sizeof(*s->versions.list));
	s->bytes = os_alloc(blocks * XM_VERSION_SIZE);
	if (s->versions.list != NULL && s->bytes != NULL)
		return s;
	xm_sharing_free(s);
	return NULL;
}

void xm_sharing_free(struct xm_sharing *s)
{
	os_free(s->versions.list);
	os_free(s->bytes);
	xm_handed_end(&s->extents);
	os_free(s);
}

uint32_t xm_sharing_leave(extmem_region *region, extmem_region *ret[XM_ROLL_TABLES])
{
	struct xm_sharing *s = region->sharing;
	uint32_t count = 0;

	if (s == NULL)
		return 0;
	for (uint32_t t = 0; t < s->tables_count; t++) {
		if (s->tables[t] != NULL)
			ret[count++] = s->tables[t];
	}
	region->sharing = NULL;
	xm_sharing_free(s);
	return count;
}

/* Stores are marked from now on, of whatever region. */
static int mark_stores(extmem *x)
{
	struct os_signals old;

	if (x->marks != NULL)
		return 0;
	x->marks = os_memory_take(xm_marks_size(x->arena.size / XM_PAGE));
	if (x->marks == NULL)
		return -ENOMEM;
	xm_lanes_lock(&x->lanes, &old);
	for (uint32_t i = 0; i < x->lanes.count; i++)
		xm_engine_mark(&x->lanes.lane[i].engine, x->marks);
	xm_lanes_unlock(&x->lanes, &old);
	return 0;
}

/* --- to share --------------------------------------------------------------- */

/* What is dirty is there, and zeros where something was discarded. With regions.lock. */
static int write_back(extmem_region *region)
{
	extmem *x = region->client;
	uint64_t first = region->address / XM_PAGE;
	int rc = xm_flush(x, first, first + region->size / XM_PAGE, false,
			  x->regions.deadline_ns);

	return rc == 0 ? xm_handed_zero(region) : rc;
}

/* It does not move, and its extents are known. */
static int pin_extents(extmem_region *region, struct xm_sharing *s, char *words)
{
	int rc;

	xm_handed_fix(region, true);
	rc = xm_handed_collect(region, false, &s->extents);
	if (rc != 0)
		snprintf(words, WORDS, "%s", xm_why(rc));
	return rc == 0 ? xm_tables_alloc(region, s, CALL, words) : rc;
}

/* What was stored before is no change to who reads it from now on. */
static void forget_marks(struct xm_sharing *s, xm_marks *marks)
{
	uint64_t first, limit;

	(void)xm_versions_raise(&s->versions, marks, &first, &limit);
	memset(s->versions.list, 0, s->versions.count * sizeof(*s->versions.list));
}

/* Marks, table and extents. With all locks of a public call, as below. */
static int prepare(extmem_region *region, char *words)
{
	extmem *x = region->client;
	struct xm_sharing *s = xm_sharing_new(region);
	int rc = s == NULL ? -ENOMEM : mark_stores(x);

	if (rc == 0)
		rc = xm_region_track_by(region, x->regions.deadline_ns);
	if (rc == 0)
		rc = write_back(region);
	snprintf(words, WORDS, "%s", xm_why(rc));
	if (rc == 0)
		rc = pin_extents(region, s, words);
	if (rc == 0) {
		forget_marks(s, x->marks);
		os_random(s->token, sizeof(s->token));
		region->sharing = s;
		return 0;
	}
	xm_handed_fix(region, false);
	if (s != NULL)
		xm_sharing_free(s);
	return rc;
}

/* Is it one that readers of today read? */
static bool is_right(const extmem_region *region, const struct xm_handed *h)
{
	extmem *x = region->client;
	struct os_signals old;
	struct xm_place place;
	bool ret;

	if (h->label.table)
		return (region->sharing->caller.told.tables & 1u << h->label.copy) != 0;
	xm_lanes_lock(&x->lanes, &old);
	ret = xm_volume_place(&x->volume, h->page, h->k, &place);
	xm_lanes_unlock(&x->lanes, &old);
	return ret;
}

/* An appliance without which the region goes on is not waited for. */
static int grant_one(extmem_region *region, struct xm_handed *h, uint32_t ms,
		     const char *identity, char *words)
{
	extmem *x = region->client;
	uint64_t deadline_ns = x->regions.deadline_ns;
	bool several = region->sharing->tables_count > 1;
	bool right = !several || is_right(region, h);
	int rc;

	if (!right)
		x->regions.deadline_ns =
			xm_min(deadline_ns, os_now_ns() + LEFT_OUT);
	h->label.ms = ms;
	rc = xm_offer_extent(x, XM_GRANT, h, region->sharing->token, 0, ms, identity,
			     words, WORDS);
	x->regions.deadline_ns = deadline_ns;
	/* Nobody reads what is lost. What cannot be reached is not read by who acquires, and
	 * not at all when our lease there is over. */
	if (rc == -ESTALE && (ms == 0 || several))
		return 0;
	return right || (rc != -ENOTCONN && rc != -ETIMEDOUT) ? rc : 0;
}

/* GRANT of each extent; 0 ms: of none. */
static int grant(extmem_region *region, uint32_t ms, const char *identity, char *words)
{
	struct xm_handed_list *l = &region->sharing->extents;
	int rc = 0;

	for (uint32_t i = 0; i < l->count; i++) {
		int one = grant_one(region, &l->list[i], ms, identity, words);

		if (one != 0 && ms != 0)
			return one;
		rc = rc == 0 ? one : rc;
	}
	return rc;
}

static void undo(extmem_region *region)
{
	struct xm_sharing *s = region->sharing;

	xm_handed_fix(region, false);
	xm_tables_free(s);
	region->sharing = NULL;
	xm_sharing_free(s);
}

static int share(extmem_region *region, const struct extmem_share *o, char *words)
{
	extmem *x = region->client;
	bool fresh = region->sharing == NULL;
	char nothing[WORDS];
	int rc = 0;

	if (fresh) {
		rc = prepare(region, words);
	} else {
		rc = write_back(region);
		if (rc == 0)
			rc = xm_tables_tell(region, x->regions.deadline_ns);
		snprintf(words, WORDS, "%s", xm_why(rc));
	}
	if (rc != 0)
		return rc;
	rc = grant(region, (uint32_t)xm_min(o->ms, XM_OFFER_FOR_EVER), o->identity,
		   words);
	/* (What was shared before goes on to be.) */
	if (rc == 0 || !fresh)
		return rc;
	if (grant(region, 0, NULL, nothing) == 0) {
		undo(region);
	} else {
		size_t length = strlen(words);

		/* Its appliances may take it for shared; that nobody knows the token. */
		snprintf(words + length, WORDS - length, "; and not all of it could be "
			 "taken back: call this again, or extmem_region_revoke()");
	}
	return rc;
}

static int options_read(const struct extmem_share *from, struct extmem_share *ret)
{
	*ret = (struct extmem_share){ .size = sizeof(*ret) };
	if (from != NULL && from->size != sizeof(*ret))
		return xm_fail(-EINVAL, CALL ": a struct of %llu bytes: it has %zu",
			       (unsigned long long)from->size, sizeof(*ret));
	if (from != NULL)
		*ret = *from;
	if (ret->ms == 0)
		ret->ms = MS_DEFAULT;
	if (ret->identity != NULL && strlen(ret->identity) >= XM_IDENTITY_SIZE)
		return xm_fail(-EINVAL, CALL ": an identity has at most %d characters",
			       XM_IDENTITY_SIZE - 1);
	return 0;
}

int extmem_region_share(extmem_region *region, const struct extmem_share *options,
			char ret_token[EXTMEM_TOKEN_SIZE])
{
	struct extmem_share o;
	char words[WORDS] = "";
	extmem *x;
	int rc = xm_region_usable(region, CALL);

	if (rc == 0)
		rc = xm_region_writable(region, CALL);
	if (rc == 0)
		rc = options_read(options, &o);
	if (rc == 0)
		rc = xm_handed_check(region, CALL);
	if (rc != 0)
		return rc;
	x = region->client;
	xm_regions_lock(x);
	os_mutex_take(&region->lock);
	xm_clone_finish(region, false);
	rc = share(region, &o, words);
	if (rc == 0)
		xm_token_print(region->sharing->token, ret_token);
	os_mutex_give(&region->lock);
	xm_regions_unlock(x);
	return rc == 0 ? 0 : xm_fail(rc, CALL ": %s", words);
}

int extmem_region_revoke(extmem_region *region)
{
	char words[WORDS] = "";
	extmem *x;
	int rc = xm_region_usable(region, "extmem_region_revoke");

	if (rc == 0)
		rc = xm_region_writable(region, "extmem_region_revoke");
	if (rc != 0)
		return rc;
	x = region->client;
	xm_regions_lock(x);
	os_mutex_take(&region->lock);
	if (region->sharing != NULL)
		rc = grant(region, 0, NULL, words);
	if (rc == 0 && region->sharing != NULL)
		undo(region);
	os_mutex_give(&region->lock);
	xm_regions_unlock(x);
	return rc == 0 ? 0
		       : xm_fail(rc, "extmem_region_revoke: it may be read still: call "
				 "this again: %s", words);
}

/* --- to release ------------------------------------------------------------- */

static int store(extmem_region *region)
{
	extmem *x = region->client;
	uint64_t first = region->address / XM_PAGE;
	int rc;

	if (!atomic_load(&region->tracked))
		return 0;
	rc = xm_flush(x, first, first + region->size / XM_PAGE, false,
		      os_now_ns() + x->settings.timeout_ns);
	if (rc != 0 || !atomic_load(&region->fouled))
		return rc;
	xm_regions_lock(x);
	rc = xm_handed_zero(region);
	xm_regions_unlock(x);
	return rc;
}

int extmem_region_release(extmem_region *region)
{
	int rc = xm_region_usable(region, "extmem_region_release");

	if (rc == 0)
		rc = xm_region_writable(region, "extmem_region_release");
	if (rc != 0)
		return rc;
	if (!XM_PLANTED(release_before_flush))
		rc = store(region);
	if (rc == 0) {
		os_mutex_take(&region->lock);
		if (region->sharing != NULL)
			rc = xm_tables_tell(region,
					    os_now_ns() +
					    region->client->settings.timeout_ns);
		os_mutex_give(&region->lock);
	}
	if (XM_PLANTED(release_before_flush) && rc == 0)
		rc = store(region);
	return rc == 0 ? 0
		       : xm_fail(rc, "extmem_region_release: readers of region %s may not "
				 "see all of it: call this again: %s", region->name,
				 xm_why(rc));
}
