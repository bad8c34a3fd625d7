/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A region is shared with clients that read it (extmem_share.h); this is its writer's side.
 *
 * The life of a share:
 *	1. The region's pages are written back, and zeros where bytes were discarded. From
 *	   now on the blocks that something is stored to are marked (versions.h).
 *	2. A table of versions, all 0, is allocated as a region of its own.
 *	3. Each extent of both is shared under one token (GRANT), with a label that says where
 *	   it belongs. Readers open them (reading.c), and ask this client nothing.
 *	4. A release writes back what is dirty, then raises the versions of marked blocks and
 *	   writes these entries of the table, from the first to the last, at once.
 *	5. It ends by GRANT with 0 ms, or with the region.
 */
#include "core/client/sharing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/range.h"
#include "core/client/segments.h"
#include "core/pure/plant.h"

#define MS_DEFAULT 60000
#define WORDS 512
#define CALL "extmem_region_share"

/* --- what there is besides -------------------------------------------------- */

uint64_t xm_sharing_table_size(const extmem_region *region)
{
	return xm_versions_blocks(region->size) * XM_VERSION_SIZE;
}

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

extmem_region *xm_sharing_leave(extmem_region *region)
{
	struct xm_sharing *s = region->sharing;
	extmem_region *table;

	if (s == NULL)
		return NULL;
	table = s->table;
	region->sharing = NULL;
	xm_sharing_free(s);
	return table;
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

/* Behind what the list has: the extents of the table. */
static int collect_table(struct xm_sharing *s)
{
	struct xm_handed_list l = { 0 };
	int rc = xm_handed_collect(s->table, true, &l);

	for (uint32_t i = 0; i < l.count && rc == 0; i++) {
		struct xm_handed *h = xm_handed_add(&s->extents);

		if (h == NULL) {
			rc = -ENOMEM;
			break;
		}
		memcpy(h, &l.list[i], sizeof(*h));
		h->label.table = true;
	}
	xm_handed_end(&l);
	return rc;
}

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
	int rc = xm_handed_collect(region, true, &s->extents);

	for (uint32_t i = 0; i < s->extents.count && rc == 0; i++) {
		if (s->extents.list[i].label.copies > 1)
			rc = -ENOTSUP;
	}
	if (rc == -ENOTSUP)
		snprintf(words, WORDS, "it has several copies, and a reader does not "
			 "know which of them are right: share one without mirrors");
	else if (rc != 0)
		snprintf(words, WORDS, "%s", xm_why(rc));
	if (rc == 0)
		rc = collect_table(s);
	return rc;
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
	if (rc == 0) {
		rc = xm_region_plain(x, CALL, region->name,
				     xm_sharing_table_size(region), &s->table);
		if (rc != 0)
			snprintf(words, WORDS, "%s", extmem_error());
	}
	if (rc == 0)
		rc = pin_extents(region, s, words);
	if (rc == 0) {
		forget_marks(s, x->marks);
		os_random(s->token, sizeof(s->token));
		region->sharing = s;
		return 0;
	}
	if (s != NULL && s->table != NULL) {
		xm_handed_release(region);
		xm_region_plain_free(s->table);
	}
	if (s != NULL)
		xm_sharing_free(s);
	return rc;
}

/* GRANT of each extent; 0 ms: of none. */
static int grant(extmem_region *region, uint32_t ms, const char *identity, char *words)
{
	struct xm_sharing *s = region->sharing;
	int rc = 0;

	for (uint32_t i = 0; i < s->extents.count; i++) {
		struct xm_handed *h = &s->extents.list[i];
		int one;

		h->label.ms = ms;
		one = xm_offer_extent(region->client, XM_GRANT, h, s->token, 0, ms,
				      identity, words, WORDS);
		if (ms == 0 && one == -ESTALE)
			one = 0; /* nobody reads what is lost */
		if (one != 0 && ms != 0)
			return one;
		rc = rc == 0 ? one : rc;
	}
	return rc;
}

static void undo(extmem_region *region)
{
	struct xm_sharing *s = region->sharing;

	xm_handed_release(region);
	xm_region_plain_free(s->table);
	region->sharing = NULL;
	xm_sharing_free(s);
}

/* With the region's lock. */
static int tell(extmem_region *region)
{
	struct xm_sharing *s = region->sharing;
	xm_marks *marks = region->client->marks;
	uint64_t first, limit;
	int rc;

	if (s == NULL || !xm_versions_raise(&s->versions, marks, &first, &limit))
		return 0;
	xm_versions_put(&s->versions, first, limit, s->bytes);
	rc = extmem_write(s->table, first * XM_VERSION_SIZE, s->bytes,
			  (limit - first) * XM_VERSION_SIZE);
	if (rc != 0)
		xm_versions_mark_again(&s->versions, marks, first, limit);
	return rc;
}

static int share(extmem_region *region, const struct extmem_share *o, char *words)
{
	bool fresh = region->sharing == NULL;
	char nothing[WORDS];
	int rc = 0;

	if (fresh) {
		rc = prepare(region, words);
	} else {
		rc = write_back(region);
		if (rc == 0)
			rc = tell(region);
		snprintf(words, WORDS, "%s", xm_why(rc));
	}
	if (rc != 0)
		return rc;
	rc = grant(region, (uint32_t)xm_min(o->ms, XM_OFFER_FOR_EVER), o->identity,
		   words);
	/* (What was shared before goes on to be.) */
	if (rc != 0 && fresh) {
		grant(region, 0, NULL, nothing);
		undo(region);
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
		rc = tell(region);
		os_mutex_give(&region->lock);
	}
	if (XM_PLANTED(release_before_flush) && rc == 0)
		rc = store(region);
	return rc == 0 ? 0
		       : xm_fail(rc, "extmem_region_release: readers of region %s may not "
				 "see all of it: call this again: %s", region->name,
				 xm_why(rc));
}
