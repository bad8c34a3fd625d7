/* SPDX-License-Identifier: BSD-3-Clause */
/* A region is cloned: the public call, and its end; see clones.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/handing.h"
#include "core/client/range.h"
#include "core/client/segments.h"
#include "core/client/segments_parts.h"
#include "core/client/sharing.h"

#define CALL "extmem_region_copy"
#define WORDS 512
#define LOOK (200 * XM_US)

/* --- its end ---------------------------------------------------------------- */

void xm_clone_finish(extmem_region *region, bool drop)
{
	extmem *x = region->client;
	struct xm_clone *c = region->cloning;
	uint64_t now_ns = os_now_ns(), until_ns = now_ns;

	if (c == NULL)
		return;
	if (!drop && now_ns < x->regions.deadline_ns)
		until_ns += (x->regions.deadline_ns - now_ns) / 2;
	while (!atomic_load(&c->ended)) {
		if (os_now_ns() >= until_ns)
			atomic_store(&c->cancelled, true);
		xm_ask_wake(&x->ask);
		os_sleep(LOOK);
	}
	c->source->cloning = c->clone->cloning = NULL;
	os_free(c);
}

/* --- 1: memory -------------------------------------------------------------- */

static bool serves(extmem *x, uint32_t appliance)
{
	bool ret;

	os_mutex_take(&x->ask.lock);
	ret = (x->ask.keeper.control.peers[appliance].session.welcome.features &
	       XM_FEATURE_COPY) != 0;
	os_mutex_give(&x->ask.lock);
	return ret;
}

/* 0, or why this member of a segment cannot be cloned. */
static int member_check(extmem *x, const struct xm_backing *s, uint32_t k, char *words)
{
	const struct xm_extent_at *m = &s->list[k].at;

	if (s->list[k].state != XM_MEMBER_IN) {
		snprintf(words, WORDS, "one of its %u copies is missing, or is given what "
			 "it lacks: call it again", s->copies);
		return -EBUSY;
	}
	if (m->extent == 0) {
		snprintf(words, WORDS, "an earlier shrink has not ended: call it again");
		return -EBUSY;
	}
	if (!serves(x, m->appliance)) {
		snprintf(words, WORDS, "appliance %s does not copy: its extmemd is "
			 "older", xm_ask_address(&x->ask, m->appliance));
		return -EOPNOTSUPP;
	}
	return 0;
}

/* 0, or why the segment cannot be cloned. */
static int segment_check(extmem *x, const struct xm_backing *s, char *words)
{
	int rc = 0;

	if (s->lost) {
		snprintf(words, WORDS, "%s", xm_why(-ESTALE));
		return -ESTALE;
	}
	/* A guest may take the place at any moment. */
	if (s->guest || s->unsure) {
		snprintf(words, WORDS, "a part of it moves, or an earlier shrink has "
			 "not ended: call it again");
		return -EBUSY;
	}
	for (uint32_t k = 0; k < s->copies && rc == 0; k++)
		rc = member_check(x, s, k, words);
	return rc;
}

/* The segment that holds the page; its members stay from now on. */
static int segment_fix(extmem *x, uint64_t page, struct xm_backing *ret, char *words)
{
	struct os_signals old;
	int rc = -ESTALE;
	bool there;

	xm_lanes_lock(&x->lanes, &old);
	there = xm_volume_backing(&x->volume, page, ret);
	if (there && !ret->guest)
		xm_volume_fix(&x->volume, page, true);
	xm_lanes_unlock(&x->lanes, &old);
	if (there)
		rc = segment_check(x, ret, words);
	return rc;
}

static void members_free(extmem *x, const struct xm_backing *s)
{
	for (uint32_t k = 0; k < s->copies; k++)
		xm_extent_free(x, &s->list[k].at, false);
}

/* Each where that of the source is. */
static int members_alloc(const extmem_region *clone, const struct xm_backing *source,
			 uint32_t column, struct xm_backing *ret, char *words)
{
	uint32_t copies = source->copies;
	int rc = 0;

	ret->choice = source->choice;
	while (rc == 0 && ret->copies < copies) {
		uint32_t k = ret->copies;

		rc = xm_extent_alloc_soon(clone->client, clone,
					  source->list[k].at.appliance,
					  xm_backing_size(source) * XM_PAGE,
					  column * copies + k, &ret->list[k].at, words);
		ret->copies += rc == 0;
	}
	return rc;
}

/* The run that begins with this page of the source, for the clone. *page: the next. */
static int run_clone(const extmem_region *source, const extmem_region *clone,
		     uint64_t *page, char *words)
{
	struct xm_backing columns[XM_APPLIANCES_MAX], s;
	uint64_t address = clone->address + *page * XM_PAGE - source->address;
	uint64_t first = *page;
	uint32_t count = 0, all = 1;
	extmem *x = source->client;
	int rc = 0;

	for (; rc == 0 && count < all; count++) {
		struct xm_backing *column = &columns[count];

		rc = segment_fix(x, *page, &s, words);
		xm_backing_begin(clone, address, s.count * XM_PAGE, column);
		if (rc == 0) {
			all = xm_backing_columns(&s);
			column->unit = s.unit;
			column->columns = s.columns;
			column->column = s.column;
			rc = members_alloc(clone, &s, count, column, words);
		}
		*page = xm_backing_after(&s);
	}
	if (rc == 0) {
		*page = first + s.count;
		rc = xm_segments_add(x, columns, count);
		if (rc != 0)
			snprintf(words, WORDS, "%s", rc == -ENOTCONN
				 ? "it was lost as soon as it was given"
				 : "too many segments are in use");
	}
	for (uint32_t c = 0; rc != 0 && c < count; c++)
		members_free(x, &columns[c]);
	return rc;
}

static int segments_clone(const extmem_region *source, const extmem_region *clone,
			  char *words)
{
	uint64_t page = source->address / XM_PAGE;
	uint64_t limit = page + source->size / XM_PAGE;
	int rc = 0;

	while (rc == 0 && page < limit)
		rc = run_clone(source, clone, &page, words);
	if (rc == 0)
		rc = xm_segments_wait(source->client, clone->address, clone->size,
				      words, WORDS);
	return rc;
}

/* --- 2: the moment ---------------------------------------------------------- */

/* With all lanes locked. FULL: page *ret_stop is pinned for writing. */
static enum xm_verdict each_page(extmem *x, const extmem_region *region,
				 uint64_t limit, enum xm_pager_event_kind kind,
				 uint64_t *ret_stop)
{
	uint64_t page = region->address / XM_PAGE;

	while (page < limit) {
		struct xm_lane *lane = xm_lane_at(&x->lanes, page);
		struct xm_pager_event ev = {
			.kind = kind, .page = page,
			.limit = xm_min(limit, xm_block_end(&x->lanes, page)),
		};
		enum xm_verdict verdict = xm_engine_event(&lane->engine, &ev);

		page = lane->engine.effects.next;
		if (verdict == XM_VERDICT_FULL) {
			*ret_stop = page;
			return verdict;
		}
	}
	return XM_VERDICT_DONE;
}

/* With all lanes locked: since the clone has its memory no copy was left out, or lost. */
static bool are_in(extmem *x, const extmem_region *source)
{
	uint64_t page = source->address / XM_PAGE, limit = page + source->size / XM_PAGE;
	struct xm_backing s;
	bool ret = true;

	for (; page < limit && xm_volume_backing(&x->volume, page, &s);
	     page = xm_backing_after(&s)) {
		for (uint32_t k = 0; k < s.copies; k++)
			ret &= s.list[k].state == XM_MEMBER_IN;
	}
	return ret;
}

static int freeze(extmem *x, const extmem_region *source, char *words)
{
	uint64_t limit = (source->address + source->size) / XM_PAGE, stop;
	struct os_signals old;
	int rc = 0;

	xm_lanes_lock(&x->lanes, &old);
	if (!are_in(x, source)) {
		xm_lanes_unlock(&x->lanes, &old);
		snprintf(words, WORDS, "a copy of it was left out meanwhile: call it again");
		return -EBUSY;
	}
	if (atomic_load(&source->cuts) > 0) {
		/* Half of a page may be there, and who wrote it would wait for us. */
		xm_lanes_unlock(&x->lanes, &old);
		snprintf(words, WORDS, "a connection broke under an explicit write of "
			 "it, which is not whole yet: call it again");
		return -EBUSY;
	}
	if (each_page(x, source, limit, XM_PAGER_FREEZE, &stop) ==
	    XM_VERDICT_FULL) {
		each_page(x, source, stop, XM_PAGER_THAW, &stop);
		rc = -EBUSY;
	}
	xm_lanes_unlock(&x->lanes, &old);
	if (rc != 0)
		snprintf(words, WORDS, "a page of it is pinned for writing: whoever "
			 "stores to it cannot be made to wait");
	return rc;
}

/* Nobody knows of it yet, so nothing is in the way. */
static void lock_pages(extmem *x, const extmem_region *clone)
{
	struct xm_pager_event lock = { .kind = XM_PAGER_CLONE_LOCK };
	uint64_t first = clone->address / XM_PAGE;

	xm_range(x, &lock, first, first + clone->size / XM_PAGE, XM_NEVER);
}

static void begin(struct xm_clone *c, extmem_region *source, extmem_region *clone)
{
	extmem *x = source->client;
	uint64_t pages = source->size / XM_PAGE;

	xm_cloning_init(&c->machine, source->address / XM_PAGE,
			clone->address / XM_PAGE, pages, c->states);
	c->source = source;
	c->clone = clone;
	source->cloning = clone->cloning = c;
	os_mutex_take(&x->clones.lock);
	xm_list_push_back(&x->clones.list, &c->link);
	atomic_fetch_add(&x->clones.count, 1);
	os_mutex_give(&x->clones.lock);
	xm_ask_wake(&x->ask);
}

/* --- the public call -------------------------------------------------------- */

static int region_begin(const extmem_region *source, const char *name,
			extmem_region **ret)
{
	struct extmem_request request = {
		.size = sizeof(request), .name = name,
		.region_size = source->size,
	};
	extmem_region *clone;
	int rc = xm_region_new(source->client, CALL, &request, &clone);

	if (rc != 0)
		return rc;
	rc = xm_region_strategy_of(clone, source);
	if (rc != 0) {
		xm_region_drop(clone);
		xm_fail(rc, CALL ": out of memory");
		return rc;
	}
	clone->tracked = true;
	clone->fouled = true; /* its fresh pages may have older bytes there */
	*ret = clone;
	return 0;
}

/* With all locks of a public call, and the source tracked. */
static int copy(extmem_region *source, const char *name, extmem_region **ret,
		char *words)
{
	size_t states = xm_cloning_memory_size(source->size / XM_PAGE);
	extmem *x = source->client;
	struct xm_clone *c = os_alloc(sizeof(*c) + states);
	extmem_region *clone;
	int rc;

	snprintf(words, WORDS, "out of memory");
	if (c == NULL)
		return -ENOMEM;
	rc = region_begin(source, name, &clone);
	if (rc != 0) {
		snprintf(words, WORDS, "%s", xm_why_not(CALL));
		os_free(c);
		return rc;
	}
	rc = segments_clone(source, clone, words);
	if (rc == 0)
		rc = freeze(x, source, words);
	if (rc != 0) {
		xm_handed_fix(source, false);
		xm_segments_free(x, clone->address, clone->address + clone->size);
		xm_region_drop(clone);
		os_free(c);
		return rc;
	}
	lock_pages(x, clone);
	if (xm_extent_take(&clone->slabs, clone->size, 0, &(uint64_t){ 0 }) == 0)
		clone->slabs_count++;
	xm_region_enter(clone);
	begin(c, source, clone);
	*ret = clone;
	return 0;
}

static int kind_check(const extmem_region *region)
{
	if (region->sparse)
		return xm_fail(-ENOTSUP, CALL ": region %s is sparse: only one that "
			       "has all of its memory is copied", region->name);
	if (region->sealed)
		return xm_fail(-ENOTSUP, CALL ": region %s is sealed: each of its "
			       "pages can be opened at its own place alone",
			       region->name);
	return 0;
}

int extmem_region_copy(extmem_region *region, const char *name, extmem_region **ret)
{
	char words[WORDS];
	extmem *x;
	int rc = xm_region_usable(region, CALL);

	if (rc == 0)
		rc = xm_region_writable(region, CALL);
	if (rc == 0)
		rc = kind_check(region);
	if (rc == 0)
		rc = xm_region_change(region, CALL);
	if (rc != 0)
		return rc;
	x = region->client;
	rc = atomic_load(&region->lacks)
		     ? -ESTALE
		     : xm_region_track_by(region, x->regions.deadline_ns);
	snprintf(words, WORDS, "%s", xm_why(rc));
	if (rc == 0)
		rc = copy(region, name, ret, words);
	xm_region_changed(region);
	return rc == 0 ? 0 : xm_fail(rc, CALL ": %s", words);
}
