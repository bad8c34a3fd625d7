/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of versions of what is shared: where they lie, what is written to them, and what is
 * read; see sharing.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/access.h"
#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/segments.h"
#include "core/client/segments_parts.h"
#include "core/client/sharing.h"
#include "core/pure/plant.h"

#define WORDS 512
#define AGAIN (5 * XM_MS)
/* With one table of several. */
#define PATIENCE XM_SECOND

uint64_t xm_tables_size(const extmem_region *region, uint32_t count)
{
	return xm_versions_blocks(region->size) * XM_VERSION_SIZE +
	       (count > 1 ? XM_ROLL_SIZE : 0);
}

static uint64_t roll_offset(const struct xm_sharing *s)
{
	return s->versions.count * XM_VERSION_SIZE;
}

/* --- where they lie --------------------------------------------------------- */

/* The entry of the first place that has most copies; as many entries follow. */
static const struct xm_handed *most_copies(const struct xm_sharing *s)
{
	const struct xm_handed *best = &s->extents.list[0];

	for (uint32_t i = 1; i < s->extents.count; i++) {
		if (s->extents.list[i].label.copies > best->label.copies)
			best = &s->extents.list[i];
	}
	return best;
}

/* At this appliance. */
static int table_alloc(extmem_region *shared, const char *call, uint32_t appliance,
		       uint32_t copy, uint64_t size, extmem_region **ret, char *words)
{
	extmem *x = shared->client;
	struct extmem_request request = {
		.size = sizeof(request), .name = shared->name,
		.region_size = xm_align_up(size, x->ask.granule),
	};
	struct xm_backing s;
	extmem_region *table;
	int rc = xm_region_new(x, call, &request, &table);

	if (rc != 0) {
		snprintf(words, WORDS, "%s", xm_why_not(call));
		return rc;
	}
	table->is_table = true;
	xm_backing_begin(table, table->address, table->size, &s);
	s.copies = 1;
	rc = xm_extent_alloc_soon(x, table, appliance, table->size, copy,
				  &s.list[0].at, words);
	if (rc == 0) {
		rc = xm_segments_add(x, &s, 1);
		if (rc != 0) {
			snprintf(words, WORDS, "%s", xm_why(rc));
			xm_extent_free(x, &s.list[0].at, false);
		} else {
			rc = xm_segments_wait(x, table->address, table->size, words,
					      WORDS);
			if (rc != 0)
				xm_segments_free(x, table->address,
						 table->address + table->size);
		}
	}
	if (rc != 0) {
		xm_region_drop(table);
		return rc;
	}
	xm_region_enter(table);
	*ret = table;
	return 0;
}

/* Its extents, behind those of the region. */
static int collect(struct xm_sharing *s, uint32_t t)
{
	struct xm_handed_list l = { 0 };
	int rc;

	xm_handed_fix(s->tables[t], true);
	rc = xm_handed_collect(s->tables[t], false, &l);
	for (uint32_t i = 0; i < l.count && rc == 0; i++) {
		struct xm_handed *h = xm_handed_add(&s->extents);

		if (h == NULL) {
			rc = -ENOMEM;
			break;
		}
		memcpy(h, &l.list[i], sizeof(*h));
		h->label.table = true;
		h->label.copy = (uint8_t)t;
		h->label.copies = (uint8_t)s->tables_count;
	}
	xm_handed_end(&l);
	return rc;
}

int xm_tables_alloc(extmem_region *region, struct xm_sharing *s, const char *call,
		    char *words)
{
	const struct xm_handed *most = most_copies(s);
	uint32_t appliances[XM_ROLL_TABLES], count = most->label.copies;
	uint64_t size = xm_tables_size(region, count);
	int rc = 0;

	if (count > 1 && s->extents.count > XM_ROLL_EXTENTS) {
		snprintf(words, WORDS, "it has %u parts and copies of parts, and at most %d "
			 "can be shared", s->extents.count, XM_ROLL_EXTENTS);
		return -ENOTSUP;
	}
	for (uint32_t t = 0; t < count; t++)
		appliances[t] = most[t].at.appliance;
	while (rc == 0 && s->tables_count < count) {
		uint32_t t = s->tables_count;
		extmem_region **table = &s->tables[t];

		/* A single one may lie anywhere, in pieces. */
		rc = count == 1
			     ? xm_region_plain(region->client, call, region->name,
					       size, table)
			     : table_alloc(region, call, appliances[t], t, size,
					   table, words);
		if (rc != 0 && count == 1)
			snprintf(words, WORDS, "%s", xm_why_not(call));
		s->tables_count += rc == 0;
	}
	for (uint32_t t = 0; rc == 0 && t < count; t++) {
		rc = collect(s, t);
		if (rc != 0)
			snprintf(words, WORDS, "%s", xm_why(rc));
	}
	if (rc != 0)
		xm_tables_free(s);
	else
		xm_caller_begin(&s->caller, count);
	return rc;
}

void xm_tables_free(struct xm_sharing *s)
{
	for (uint32_t t = 0; t < s->tables_count; t++) {
		if (s->tables[t] != NULL)
			xm_region_plain_free(s->tables[t]);
		s->tables[t] = NULL;
	}
	s->tables_count = 0;
}

/* --- one access ------------------------------------------------------------- */

/* Of several an appliance that is away is not waited for: another table may do. */
static bool is_in_reach(const extmem_region *table)
{
	struct xm_lane *lane =
		xm_lane_at(&table->client->lanes, table->address / XM_PAGE);
	struct os_signals old;
	enum xm_reach reach;

	xm_lane_lock(lane, &old);
	reach = xm_engine_reach(&lane->engine, table->address / XM_PAGE);
	xm_lane_unlock(lane, &old);
	return reach == XM_REACH_UP;
}

static int access(struct xm_sharing *s, uint32_t t, bool write, uint64_t offset,
		  uint8_t *bytes, uint64_t size, uint64_t deadline_ns)
{
	extmem_region *table = s->tables[t];

	if (s->tables_count == 1)
		return xm_access_by(table, write, offset, bytes, size, deadline_ns);
	if (!is_in_reach(table))
		return -ENOTCONN;
	return xm_access_by(table, write, offset, bytes, size,
			    xm_min(deadline_ns, os_now_ns() + PATIENCE));
}

/* --- a release -------------------------------------------------------------- */

/* Which of the region's extents have all that was stored. -ENOTCONN: of some place none that
 * readers know has. */
static int call_extents(const extmem_region *region, struct xm_roll *ret)
{
	extmem *x = region->client;
	const struct xm_handed_list *l = &region->sharing->extents;
	bool some = true, all = true, lost = false;
	struct os_signals old;
	struct xm_place place;

	xm_lanes_lock(&x->lanes, &old);
	for (uint32_t i = 0; i < l->count && !l->list[i].label.table; i++) {
		const struct xm_handed *h = &l->list[i];
		bool right = xm_volume_place(&x->volume, h->page, h->k, &place);

		if (h->label.copy == 0) {
			all &= some;
			some = false;
		}
		some |= right;
		lost |= xm_volume_any_lost(&x->volume, h->page, h->page + 1);
		if (i < XM_ROLL_EXTENTS && !XM_PLANTED(release_roll_uncalled))
			xm_roll_set(ret, i, right);
	}
	xm_lanes_unlock(&x->lanes, &old);
	return lost ? -ESTALE : all && some ? 0 : -ENOTCONN;
}

/* The entries of blocks [first, limit), which are in `bytes`, to all. Those that have them. */
static uint32_t write_entries(struct xm_sharing *s, uint64_t first, uint64_t limit,
			      uint64_t deadline_ns, int *ret_status)
{
	uint32_t ret = 0;

	for (uint32_t t = 0; t < s->tables_count; t++) {
		int rc = 0;

		if (first == limit)
			rc = s->tables_count == 1 || is_in_reach(s->tables[t])
				     ? 0 : -ENOTCONN;
		else
			rc = access(s, t, true, first * XM_VERSION_SIZE, s->bytes,
				    (limit - first) * XM_VERSION_SIZE, deadline_ns);
		if (rc == 0)
			ret |= 1u << t;
		else
			*ret_status = rc;
	}
	return ret;
}

/* The roll to all that it names. *ret_failed: those that may not have it. */
static int write_roll(struct xm_sharing *s, struct xm_roll *roll, uint64_t deadline_ns,
		      uint32_t *ret_failed)
{
	uint8_t bytes[XM_ROLL_SIZE];
	int rc = 0;

	*ret_failed = 0;
	if (!xm_caller_call(&s->caller, roll))
		return -ENOTCONN;
	xm_roll_encode(roll, bytes);
	for (uint32_t t = 0; t < s->tables_count; t++) {
		int one;

		if ((roll->tables & 1u << t) == 0)
			continue;
		one = access(s, t, true, roll_offset(s), bytes, sizeof(bytes),
			     deadline_ns);
		*ret_failed |= (uint32_t)(one != 0) << t;
		rc = rc == 0 ? one : rc;
	}
	if (rc == 0)
		xm_caller_told(&s->caller, roll);
	return rc;
}

/* Once, with those that can be reached now. */
static int tell(extmem_region *region, uint64_t first, uint64_t limit,
		uint64_t deadline_ns)
{
	struct xm_sharing *s = region->sharing;
	struct xm_roll roll;
	uint32_t failed;
	int rc;

	xm_roll_begin(&roll, s->tables_count);
	rc = call_extents(region, &roll);
	if (rc != 0)
		return rc;
	roll.tables = write_entries(s, first, limit, deadline_ns, &rc);
	if (s->tables_count == 1 || XM_PLANTED(release_roll_uncalled))
		return roll.tables == 0 ? rc : 0;
	while (roll.tables != 0) {
		if (xm_caller_knows(&s->caller, &roll))
			return 0;
		rc = write_roll(s, &roll, deadline_ns, &failed);
		if (rc == 0 || failed == 0)
			return rc;
		roll.tables &= ~failed;
	}
	return rc;
}

int xm_tables_tell(extmem_region *region, uint64_t deadline_ns)
{
	struct xm_sharing *s = region->sharing;
	xm_marks *marks = region->client->marks;
	uint64_t first = 0, limit = 0;
	bool raised = xm_versions_raise(&s->versions, marks, &first, &limit);
	int rc;

	if (raised)
		xm_versions_put(&s->versions, first, limit, s->bytes);
	for (;;) {
		rc = tell(region, first, limit, deadline_ns);
		if (rc == 0 || rc == -ESTALE || os_now_ns() >= deadline_ns)
			break;
		os_sleep(AGAIN);
	}
	if (rc != 0 && raised)
		xm_versions_mark_again(&s->versions, marks, first, limit);
	return rc;
}

/* --- an acquire ------------------------------------------------------------- */

static void judge(extmem_region *region, const struct xm_roll *roll)
{
	extmem *x = region->client;
	struct xm_sharing *s = region->sharing;
	uint32_t place = 0;
	struct os_signals old;

	if (XM_PLANTED(reader_keeps_copies))
		return;
	xm_lanes_lock(&x->lanes, &old);
	for (uint32_t i = 0; i < s->extents.count; i++) {
		const struct xm_handed *h = &s->extents.list[i];

		/* Copies that were not found have numbers, too. */
		if (h->k == 0 && i > 0)
			place += s->extents.list[i - 1].label.copies;
		xm_volume_judge(&x->volume, h->page, h->k,
				xm_roll_has(roll, place + h->label.copy));
	}
	xm_lanes_unlock(&x->lanes, &old);
}

/* Is there no copy of some place that is right? */
static bool is_stranded(extmem_region *region)
{
	extmem *x = region->client;
	const struct xm_handed_list *l = &region->sharing->extents;
	bool some = true, all = true;
	struct os_signals old;
	struct xm_place place;

	xm_lanes_lock(&x->lanes, &old);
	for (uint32_t i = 0; i < l->count; i++) {
		const struct xm_handed *h = &l->list[i];

		if (h->k == 0) {
			all &= some;
			some = false;
		}
		some |= xm_volume_place(&x->volume, h->page, h->k, &place);
	}
	xm_lanes_unlock(&x->lanes, &old);
	return !(all && some);
}

static uint32_t read_rolls(struct xm_sharing *s, struct xm_roll *rolls,
			   uint64_t deadline_ns)
{
	uint8_t bytes[XM_ROLL_SIZE];
	uint32_t ret = 0;

	for (uint32_t t = 0; t < s->tables_count; t++) {
		if (s->tables[t] != NULL &&
		    access(s, t, false, roll_offset(s), bytes, sizeof(bytes),
			   deadline_ns) == 0 &&
		    xm_roll_decode(bytes, s->tables_count, &rolls[t]))
			ret |= 1u << t;
	}
	return ret;
}

/* Once. */
static int read_several(extmem_region *region, uint64_t deadline_ns, bool *ret_rolled)
{
	struct xm_sharing *s = region->sharing;
	struct xm_roll rolls[XM_ROLL_TABLES];
	uint32_t read = read_rolls(s, rolls, deadline_ns), table = 0, missing;
	int rc;

	xm_roll_pick(rolls, read, &table, &missing);
	if (missing != 0)
		return -ENOTCONN;
	rc = access(s, table, false, 0, s->bytes, s->versions.count * XM_VERSION_SIZE,
		    deadline_ns);
	if (rc != 0 || rolls[table].number == s->roll.number)
		return rc;
	s->roll = rolls[table];
	judge(region, &s->roll);
	s->stranded = is_stranded(region);
	*ret_rolled = true;
	return 0;
}

/* All are lost: nothing will come back. */
static bool are_lost(extmem *x, const struct xm_sharing *s)
{
	struct os_signals old;
	bool lost = true;

	xm_lane_lock(&x->lanes.lane[0], &old);
	for (uint32_t t = 0; t < s->tables_count; t++) {
		const extmem_region *table = s->tables[t];
		uint64_t page = table == NULL ? 0 : table->address / XM_PAGE;

		if (table != NULL)
			lost &= xm_volume_any_lost(&x->volume, page, page + 1);
	}
	xm_lane_unlock(&x->lanes.lane[0], &old);
	return lost;
}

int xm_tables_read(extmem_region *region, uint64_t deadline_ns, bool *ret_rolled)
{
	struct xm_sharing *s = region->sharing;
	int rc;

	*ret_rolled = false;
	if (s->tables_count == 1)
		return access(s, 0, false, 0, s->bytes,
			      s->versions.count * XM_VERSION_SIZE, deadline_ns);
	for (;;) {
		rc = are_lost(region->client, s) || s->stranded
			     ? -ESTALE : read_several(region, deadline_ns, ret_rolled);
		if (rc == 0 && s->stranded)
			rc = -ESTALE;
		if (rc == 0 || rc == -ESTALE || os_now_ns() >= deadline_ns)
			return rc;
		os_sleep(AGAIN);
	}
}
