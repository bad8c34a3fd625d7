/* SPDX-License-Identifier: BSD-3-Clause */
/* The trees of seals of a region; see trees.h. */
#include "core/client/trees.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/handing.h"
#include "core/client/range.h"
#include "core/client/segments.h"
#include "core/client/segments_parts.h"
#include "core/pure/plant.h"
#include "core/skin/cipher.h"

_Static_assert(XM_TREE_SALT == XM_SALT_SIZE, "a tree has the salts of keys");

uint64_t xm_trees_tail(uint64_t size)
{
	return xm_tree_pages(size / XM_PAGE) * XM_PAGE;
}

/* --- opening ------------------------------------------------------------------ */

/* The region's next segment from *page on. False: there is none. */
static bool segment_next(const extmem_region *region, uint64_t *page,
			 struct xm_backing *ret)
{
	extmem *x = region->client;
	uint64_t limit = (region->address + region->size) / XM_PAGE;
	struct os_signals old;
	bool there;

	xm_lanes_lock(&x->lanes, &old);
	there = *page < limit && xm_volume_backing(&x->volume, *page, ret);
	xm_lanes_unlock(&x->lanes, &old);
	if (there)
		*page = xm_backing_after(ret);
	return there;
}

static uint32_t segments_count(const extmem_region *region)
{
	uint64_t page = region->address / XM_PAGE;
	struct xm_backing s;
	uint32_t count = 0;

	while (segment_next(region, &page, &s))
		count++;
	return count;
}

static int tree_open(const extmem_region *region, const struct xm_backing *s,
		     uint64_t offset, struct xm_tree_at *ret)
{
	uint64_t rows = xm_backing_size(s);
	uint64_t first = s->region_page + (xm_backing_is_striped(s)
						   ? s->column * s->unit : 0);

	if (s->list[0].at.extent == 0 || s->list[0].at.offset != 0 || s->unsure)
		return -EBUSY;
	if (rows > XM_TREE_ROWS_MAX)
		return -EFBIG;
	ret->at = s->list[0].at;
	ret->offset = offset;
	ret->size = xm_tree_pages(rows) * XM_PAGE;
	ret->bytes = os_memory_take(ret->size);
	if (ret->bytes == NULL)
		return -ENOMEM;
	xm_tree_init(&ret->tree, &region->id, first, rows, ret->bytes);
	return 0;
}

static int trees_fill(const extmem_region *region, struct xm_trees *t,
		      uint64_t *ret_size)
{
	uint64_t page = region->address / XM_PAGE;
	uint32_t max = segments_count(region);
	struct xm_backing s;
	int rc = 0;

	t->list = os_alloc(max * sizeof(*t->list));
	if (t->list == NULL)
		return -ENOMEM;
	*ret_size = 0;
	while (rc == 0 && t->count < max && segment_next(region, &page, &s)) {
		rc = tree_open(region, &s, *ret_size, &t->list[t->count]);
		if (rc == 0)
			*ret_size += t->list[t->count++].size;
	}
	return rc;
}

/* The end of the extent as a segment of the table's. */
static int tail_add(extmem_region *table, const struct xm_tree_at *at)
{
	struct xm_backing s;

	xm_backing_begin(table, table->address + at->offset, at->size, &s);
	s.strategy = NULL;
	s.copies = 1;
	s.list[0].at = at->at;
	s.list[0].at.extent = 0; /* the region's own segment has it */
	s.list[0].at.offset = at->tree.rows * XM_PAGE;
	return xm_segments_add(table->client, &s, 1);
}

static int table_open(const extmem_region *region, struct xm_trees *t, uint64_t size,
		      char *words, size_t words_size)
{
	struct extmem_request request = { .size = sizeof(request),
					  .name = region->name,
					  .region_size = size };
	extmem_region *table;
	int rc = xm_region_new(region->client, "extmem_region_keep_durable", &request,
			       &table);

	if (rc != 0) {
		snprintf(words, words_size, "%s", extmem_error());
		return rc;
	}
	table->is_table = table->fixed = true;
	table->id = region->id; /* by which appliances know its extents */
	table->strategy = NULL;
	for (uint32_t i = 0; i < t->count && rc == 0; i++)
		rc = tail_add(table, &t->list[i]);
	if (rc == 0)
		rc = xm_segments_wait(region->client, table->address, size, words,
				      words_size);
	else
		snprintf(words, words_size, "%s", xm_why(rc));
	if (rc != 0) {
		xm_segments_drop(table);
		xm_region_drop(table);
		return rc;
	}
	xm_region_enter(table);
	t->table = table;
	return 0;
}

static void trees_free(struct xm_trees *t)
{
	for (uint32_t i = 0; i < t->count; i++)
		os_memory_give(t->list[i].bytes, t->list[i].size);
	os_free(t->list);
	os_free(t);
}

int xm_trees_open(extmem_region *region, char *words, size_t words_size)
{
	struct xm_trees *t = os_alloc(sizeof(*t));
	uint64_t size;
	int rc = t == NULL ? -ENOMEM : trees_fill(region, t, &size);

	if (rc != 0)
		snprintf(words, words_size, "%s", rc == -EFBIG
			 ? "3 TiB at one appliance are the limit of what is sealed "
			   "and durable" : xm_why(rc));
	else
		rc = table_open(region, t, size, words, words_size);
	if (rc == 0)
		region->trees = t;
	else if (t != NULL)
		trees_free(t);
	return rc;
}

extmem_region *xm_trees_leave(extmem_region *region)
{
	extmem_region *table = region->trees == NULL ? NULL : region->trees->table;

	if (region->trees != NULL)
		trees_free(region->trees);
	region->trees = NULL;
	return table;
}

/* --- changes ------------------------------------------------------------------ */

struct xm_tree_at *xm_trees_find(struct xm_trees *t, const struct xm_extent_at *member)
{
	for (uint32_t i = 0; i < t->count; i++) {
		if (t->list[i].at.appliance == member->appliance &&
		    t->list[i].at.extent == member->extent)
			return &t->list[i];
	}
	return NULL;
}

void xm_trees_take(extmem *x, struct xm_tree_at *at, uint64_t page, uint64_t end,
		   uint64_t row)
{
	for (; page < end; page++, row++) {
		const struct xm_lane *lane = xm_lane_at(&x->lanes, page);
		bool written = xm_pager_is_written(&lane->engine.pager, page);

		xm_tree_set(&at->tree, row,
			    written ? &x->sealing.table[page] : NULL);
	}
}

int xm_trees_begin(extmem_region *region)
{
	struct xm_trees *t = region->trees;
	uint8_t salt[XM_SALT_SIZE];
	int rc = xm_cipher_salt(region->client->sealing.seal, salt);

	/* Some pages have a key that is to be forgotten. */
	if (atomic_load(&region->client->sealing.half))
		return -EBUSY;
	t->last++;
	for (uint32_t i = 0; i < t->count && rc == 0; i++)
		rc = xm_tree_key(&t->list[i].tree, salt,
				 region->client->sealing.number);
	return rc;
}

int xm_trees_write(extmem_region *region, struct xm_tree_at *at, uint64_t row,
		   uint64_t rows, struct xm_tree_run ret_runs[XM_TREE_LEVELS])
{
	extmem *x = region->client;
	struct xm_trees *t = region->trees;
	const uint8_t *bytes = t->pages;
	struct os_signals old;
	uint32_t count;
	int rc = 0;

	xm_lane_lock(&x->lanes.lane[0], &old);
	count = xm_tree_seal(&at->tree, row, rows, t->last,
			     &x->lanes.lane[0].engine.seals, t->pages, ret_runs);
	xm_lane_unlock(&x->lanes.lane[0], &old);
	for (uint32_t i = 0; i < count && rc == 0; i++) {
		size_t size = ret_runs[i].count * XM_PAGE;

		rc = extmem_write(t->table, at->offset + ret_runs[i].begin * XM_PAGE,
				  bytes, size);
		bytes += size;
		ret_runs[i].begin += at->tree.rows;
	}
	return rc == 0 ? (int)count : rc;
}

/* --- all of it, once ------------------------------------------------------------ */

#define CHUNK (5 * XM_TREE_FAN)
_Static_assert(CHUNK <= XM_TREE_CHANGE, "whole leaves of one change");

/* The tree of the pages from `page` on that lie in one run at their extent, the row of the
 * first, and the run's end. With all lanes' locks. NULL: it is none of the region's. */
static struct xm_tree_at *run_of(const extmem_region *region, uint64_t page,
				 uint64_t *ret_row, uint64_t *ret_end)
{
	struct xm_backing s;
	bool there = xm_volume_backing(&region->client->volume, page, &s);

	XM_ASSERT(there);
	*ret_row = xm_backing_row(&s, page);
	*ret_end = xm_min(xm_backing_end(&s, page),
			  (region->address + region->size) / XM_PAGE);
	return xm_trees_find(region->trees, &s.list[0].at);
}

/* The seals of one run, as they are now; returns its end. 0: it is none of the trees'. */
static uint64_t seals_take(extmem_region *region, uint64_t page)
{
	extmem *x = region->client;
	struct xm_tree_at *at;
	struct os_signals old;
	uint64_t row, end;

	xm_lanes_lock(&x->lanes, &old);
	at = run_of(region, page, &row, &end);
	if (at != NULL)
		xm_trees_take(x, at, page, end, row);
	xm_lanes_unlock(&x->lanes, &old);
	return at != NULL ? end : 0;
}

static int tree_save(extmem_region *region, struct xm_tree_at *at)
{
	struct xm_tree_run runs[XM_TREE_LEVELS];
	uint64_t rows = at->tree.rows;
	bool done = false;
	int rc = 0;

	for (uint64_t row = 0; row < rows && rc >= 0; row += CHUNK) {
		uint64_t count = xm_min(CHUNK, rows - row);

		if (xm_tree_is_empty(&at->tree, row, count))
			continue;
		rc = xm_trees_write(region, at, row, count, runs);
		done = true;
	}
	if (!done)
		rc = xm_trees_write(region, at, 0, 0, runs); /* the root alone */
	return rc < 0 ? rc : 0;
}

static int say(char *words, size_t words_size, int rc, const char *why)
{
	snprintf(words, words_size, "%s", why);
	return rc;
}

int xm_trees_save(extmem_region *region, char *words, size_t words_size)
{
	uint64_t page = region->address / XM_PAGE;
	uint64_t limit = page + region->size / XM_PAGE;
	int rc = region->trees == NULL ? xm_trees_open(region, words, words_size) : 0;

	if (rc != 0)
		return rc;
	rc = xm_trees_begin(region);
	if (rc != 0)
		return say(words, words_size, rc, rc == -ENOSPC
			   ? "its pages were sealed by too many clients: copy it"
			   : rc == -EBUSY
			   ? "another key takes over just now (extmem_seal_renew)"
			   : xm_why(rc));
	while (page < limit && rc == 0 && !XM_PLANTED(hand_seals_left)) {
		page = seals_take(region, page);
		rc = page == 0 ? -EBUSY : 0;
	}
	if (rc != 0)
		return say(words, words_size, rc, "a part of it is being moved");
	for (uint32_t i = 0; i < region->trees->count && rc == 0; i++)
		rc = tree_save(region, &region->trees->list[i]);
	if (rc != 0)
		return say(words, words_size, rc, extmem_error());
	xm_trees_settled(region, region->trees->last);
	return 0;
}

void xm_trees_blank(struct xm_trees *t)
{
	for (uint32_t i = 0; i < t->count; i++)
		xm_tree_blank(&t->list[i].tree);
}

/* --- what is known to be durable ------------------------------------------------ */

/* With regions.links. */
static struct xm_root *root_of(extmem *x, const struct xm_region_id *id)
{
	for (uint32_t i = 0; i < XM_COUNT(x->regions.roots); i++) {
		if (memcmp(&x->regions.roots[i].id, id, sizeof(*id)) == 0)
			return &x->regions.roots[i];
	}
	return NULL;
}

void xm_trees_settled(extmem_region *region, uint64_t root)
{
	extmem *x = region->client;
	struct xm_root *known;

	os_mutex_take(&x->regions.links);
	known = root_of(x, &region->id);
	if (known == NULL) {
		known = &x->regions.roots[x->regions.roots_next++ %
					  XM_COUNT(x->regions.roots)];
		known->id = region->id;
	}
	known->root = root;
	region->trees->root = root;
	os_mutex_give(&x->regions.links);
}

/* --- reading ------------------------------------------------------------------ */

/* The numbers of the tree's keys here. */
static int keys_find(extmem *x, struct xm_tree *tree)
{
	static const uint8_t none[XM_TREE_SALT];
	struct os_signals old;
	int rc = 0;

	/* One of them could be the one that is to be forgotten. */
	if (atomic_load(&x->sealing.half))
		return -EBUSY;
	xm_lane_lock(&x->lanes.lane[0], &old);
	for (uint32_t i = 0; i < XM_TREE_SALTS && rc == 0; i++) {
		if (memcmp(tree->salts[i], none, sizeof(none)) != 0)
			rc = xm_cipher_key(x->sealing.seal, tree->salts[i],
					   &tree->keys[i]);
	}
	xm_lane_unlock(&x->lanes.lane[0], &old);
	return rc;
}

static int tree_read(extmem_region *region, struct xm_tree_at *at,
		     const struct xm_tree_run *lost, uint32_t lost_count, char *words,
		     size_t words_size)
{
	extmem *x = region->client;
	struct os_signals old;
	int rc = extmem_read(region->trees->table, at->offset, at->bytes, at->size);

	if (rc != 0)
		return say(words, words_size, rc, extmem_error());
	rc = xm_tree_read_root(&at->tree);
	if (rc == -ENODATA)
		return 0;
	if (rc == 0)
		rc = keys_find(x, &at->tree);
	if (rc == -ENOSPC)
		return say(words, words_size, rc, "this client has met 256 keys, "
			    "which is the limit: open another one");
	if (rc == -EBUSY)
		return say(words, words_size, rc, "another key takes over just "
			    "now (extmem_seal_renew)");
	if (rc == 0) {
		xm_lane_lock(&x->lanes.lane[0], &old);
		rc = xm_tree_open(&at->tree, &x->lanes.lane[0].engine.seals, lost,
				  lost_count);
		xm_lane_unlock(&x->lanes.lane[0], &old);
	}
	return rc == 0 ? 0
		       : say(words, words_size, -EBADMSG, "its seals do not open: "
			      "the seal_key is another one, or they were "
			      "tampered with");
}

static int trees_read(extmem_region *region, const struct xm_handed_list *l,
		      const struct xm_damage_list *damage, char *words, size_t words_size)
{
	struct xm_tree_run *lost = os_alloc(XM_DAMAGE_RUNS * sizeof(*lost));
	int rc = lost == NULL ? say(words, words_size, -ENOMEM, "out of memory") : 0;

	for (uint32_t i = 0; rc == 0 && i < region->trees->count; i++) {
		struct xm_tree_at *at = &region->trees->list[i];
		uint32_t count = xm_damage_of_tree(l, damage, at->at.appliance,
						   at->at.extent, at->tree.rows,
						   lost);

		rc = tree_read(region, at, lost, count, words, words_size);
	}
	os_free(lost);
	return rc;
}

/* All trees of what was acknowledged are of its sequence, or later. */
static int age_check(extmem_region *region, uint64_t since, char *words,
		     size_t words_size)
{
	extmem *x = region->client;
	const struct xm_root *known;

	os_mutex_take(&x->regions.links);
	known = root_of(x, &region->id);
	if (known != NULL)
		since = xm_max(since, known->root);
	os_mutex_give(&x->regions.links);
	for (uint32_t i = 0; i < region->trees->count; i++) {
		const struct xm_tree_at *at = &region->trees->list[i];

		if (at->tree.sequence >= since)
			continue;
		snprintf(words, words_size, "appliance %s has it as it was at root "
			 "%llu, and root %llu was durable, or handed over: an "
			 "older state was put back there",
			 xm_ask_address(&x->ask, at->at.appliance),
			 (unsigned long long)at->tree.sequence,
			 (unsigned long long)since);
		return -EBADMSG;
	}
	return 0;
}

/* The seals of one run are those of its tree; returns its end. */
static uint64_t seals_load(extmem_region *region, uint64_t page)
{
	extmem *x = region->client;
	const struct xm_tree_at *at;
	struct os_signals old;
	uint64_t row, end;

	xm_lanes_lock(&x->lanes, &old);
	at = run_of(region, page, &row, &end);
	XM_ASSERT(at != NULL);
	for (; page < end; page++, row++)
		xm_tree_get(&at->tree, row, &x->sealing.table[page]);
	xm_lanes_unlock(&x->lanes, &old);
	return end;
}

/* The others are fresh. */
static int mark_contents(extmem_region *region)
{
	extmem *x = region->client;
	struct xm_pager_event backed = { .kind = XM_PAGER_MARK_BACKED };
	uint64_t page = region->address / XM_PAGE;
	uint64_t limit = page + region->size / XM_PAGE;
	int rc = 0;

	while (page < limit && rc == 0) {
		uint64_t end = page;

		while (end < limit && x->sealing.table[end].version != 0)
			end++;
		if (end > page)
			rc = xm_range(x, &backed, page, end, XM_NEVER);
		page = xm_max(end, page + 1);
	}
	return rc;
}

int xm_trees_read(extmem_region *region, uint64_t since, const struct xm_handed_list *l,
		  const struct xm_damage_list *damage, char *words, size_t words_size)
{
	uint64_t page = region->address / XM_PAGE;
	uint64_t limit = page + region->size / XM_PAGE;
	int rc = xm_trees_open(region, words, words_size);

	if (rc == 0)
		rc = trees_read(region, l, damage, words, words_size);
	if (rc == 0)
		rc = age_check(region, since, words, words_size);
	if (rc != 0)
		return rc;
	region->trees->root = UINT64_MAX;
	for (uint32_t i = 0; i < region->trees->count; i++) {
		uint64_t sequence = region->trees->list[i].tree.sequence;

		region->trees->last = xm_max(region->trees->last, sequence);
		region->trees->root = xm_min(region->trees->root, sequence);
	}
	while (page < limit)
		page = seals_load(region, page);
	return mark_contents(region);
}
