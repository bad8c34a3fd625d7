/* SPDX-License-Identifier: BSD-3-Clause */
/* See tree.h. Floor: ground. */
#include "core/pure/tree.h"

#include <errno.h>
#include <string.h>

#include "common/little.h"
#include "core/pure/plant.h"

#define MAGIC UINT64_C(0x3145455254534d58) /* "XMSTREE1" */
#define ENTRY 24 /* bytes of a seal */
#define SEQUENCE (XM_TREE_FAN * ENTRY) /* where it stands in the last level */
#define OF_TREE (UINT64_C(1) << 63) /* of the number under which a node is sealed */
#define NODE_BITS 22

/* In the root page. */
enum {
	AT_MAGIC = 0,
	AT_REGION = 8,
	AT_FIRST = 24,
	AT_ROWS = 32,
	AT_SEQUENCE = 40,
	AT_ROOT = 48,
	AT_SALTS = 72,
};
_Static_assert(AT_SALTS + XM_TREE_SALTS * XM_TREE_SALT <= XM_PAGE, "one page");
_Static_assert(SEQUENCE + 16 == XM_PAGE, "a node is a page");

static void entry_put(uint8_t *to, const struct xm_seal_entry *e)
{
	xm_little_put(to, e->version, 6);
	xm_little_put(to + 6, e->key, 2);
	memcpy(to + 8, e->tag, XM_SEAL_TAG_SIZE);
}

static void entry_get(const uint8_t *from, struct xm_seal_entry *ret)
{
	ret->version = xm_little_get(from, 6) & ((UINT64_C(1) << 48) - 1);
	ret->key = (uint16_t)xm_little_get(from + 6, 2);
	memcpy(ret->tag, from + 8, XM_SEAL_TAG_SIZE);
}

/* --- its form ----------------------------------------------------------------- */

static void shape(struct xm_tree *t, uint64_t rows)
{
	uint64_t count = rows;

	t->levels = 0;
	t->pages = 0;
	do {
		count = (count + XM_TREE_FAN - 1) / XM_TREE_FAN;
		t->begin[t->levels] = t->pages;
		t->count[t->levels] = count;
		t->pages += count;
	} while (++t->levels < XM_TREE_LEVELS && count > 1);
	t->pages++;
}

uint64_t xm_tree_pages(uint64_t rows)
{
	struct xm_tree t;

	shape(&t, rows);
	return t.pages;
}

bool xm_tree_is_leaf(uint64_t rows, uint64_t page, uint64_t *ret_row,
		     uint64_t *ret_count)
{
	struct xm_tree t;

	shape(&t, rows);
	if (t.levels == 1 || page >= t.count[0])
		return false;
	*ret_row = page * XM_TREE_FAN;
	*ret_count = xm_min(XM_TREE_FAN, rows - *ret_row);
	return true;
}

void xm_tree_init(struct xm_tree *t, const struct xm_region_id *region,
		  uint64_t first, uint64_t rows, uint8_t *bytes)
{
	XM_ASSERT(rows > 0 && rows <= XM_TREE_ROWS_MAX);
	memset(t, 0, sizeof(*t));
	shape(t, rows);
	t->region = *region;
	t->first = first;
	t->rows = rows;
	t->bytes = bytes;
}

static uint8_t *node_at(const struct xm_tree *t, uint32_t level, uint64_t node)
{
	return t->bytes + (t->begin[level] + node) * XM_PAGE;
}

/* Where the seal of a node stands, but for the last level's. */
static uint8_t *seal_of(const struct xm_tree *t, uint32_t level, uint64_t node)
{
	return node_at(t, level + 1, node / XM_TREE_FAN) +
	       node % XM_TREE_FAN * ENTRY;
}

/* --- keys --------------------------------------------------------------------- */

static bool is_free(const struct xm_tree *t, uint32_t i)
{
	static const uint8_t none[XM_TREE_SALT];

	return memcmp(t->salts[i], none, XM_TREE_SALT) == 0;
}

int xm_tree_key(struct xm_tree *t, const uint8_t salt[XM_TREE_SALT], uint16_t number)
{
	uint32_t place = XM_TREE_SALTS;

	for (uint32_t i = XM_TREE_SALTS; i-- > 0;) {
		if (memcmp(t->salts[i], salt, XM_TREE_SALT) == 0) {
			t->keys[i] = number;
			return 0;
		}
		if (is_free(t, i))
			place = i;
	}
	if (place == XM_TREE_SALTS)
		return -ENOSPC;
	memcpy(t->salts[place], salt, XM_TREE_SALT);
	t->keys[place] = number;
	return 0;
}

/* The place of the client's key. */
static uint16_t place_of(const struct xm_tree *t, uint16_t number)
{
	for (uint16_t i = 0; i < XM_TREE_SALTS; i++) {
		if (t->keys[i] == number && !is_free(t, i))
			return i;
	}
	XM_ASSERT(false);
	return 0;
}

/* --- rows --------------------------------------------------------------------- */

void xm_tree_set(struct xm_tree *t, uint64_t row, const struct xm_seal_entry *e)
{
	uint8_t *at = node_at(t, 0, row / XM_TREE_FAN) + row % XM_TREE_FAN * ENTRY;
	struct xm_seal_entry own;

	memset(at, 0, ENTRY);
	if (e == NULL || e->version == 0)
		return;
	own = *e;
	own.key = place_of(t, e->key);
	entry_put(at, &own);
}

void xm_tree_get(const struct xm_tree *t, uint64_t row, struct xm_seal_entry *ret)
{
	entry_get(node_at(t, 0, row / XM_TREE_FAN) + row % XM_TREE_FAN * ENTRY, ret);
	ret->key = ret->version == 0 ? 0 : t->keys[ret->key];
}

static bool has_seal(const uint8_t *at)
{
	struct xm_seal_entry e;

	entry_get(at, &e);
	return e.version != 0;
}

bool xm_tree_is_empty(const struct xm_tree *t, uint64_t row, uint64_t count)
{
	for (uint64_t node = row / XM_TREE_FAN; node * XM_TREE_FAN < row + count; node++) {
		const uint8_t *page = node_at(t, 0, node);
		bool sealed = t->levels == 1 ? t->root.version != 0
					     : has_seal(seal_of(t, 0, node));

		if (sealed)
			return false;
		for (uint32_t i = 0; i < XM_TREE_FAN; i++)
			if (has_seal(page + i * ENTRY))
				return false;
	}
	return true;
}

void xm_tree_blank(struct xm_tree *t)
{
	memset(t->bytes, 0, t->pages * XM_PAGE);
	memset(&t->root, 0, sizeof(t->root));
}

/* --- sealing ------------------------------------------------------------------ */

static struct xm_seal_page name_of(const struct xm_tree *t, uint32_t level,
				   uint64_t node)
{
	return (struct xm_seal_page){
		.region = t->region,
		.page = OF_TREE | t->first << NODE_BITS | (t->begin[level] + node),
	};
}

static void node_seal(struct xm_tree *t, uint32_t level, uint64_t node,
		      struct xm_seals *seals, uint8_t *ret)
{
	struct xm_seal_page at = name_of(t, level, node);
	struct xm_seal_entry e;

	memcpy(ret, node_at(t, level, node), XM_PAGE);
	xm_seals_seal_apart(seals, &e, &at, ret, XM_PAGE);
	e.key = place_of(t, e.key);
	if (level + 1 == t->levels)
		t->root = e;
	else if (!XM_PLANTED(tree_parent_kept))
		entry_put(seal_of(t, level, node), &e);
}

static void root_write(const struct xm_tree *t, uint8_t *ret)
{
	memset(ret, 0, XM_PAGE);
	xm_little_put(ret + AT_MAGIC, MAGIC, 8);
	memcpy(ret + AT_REGION, t->region.bytes, XM_REGION_ID_SIZE);
	xm_little_put(ret + AT_FIRST, t->first, 8);
	xm_little_put(ret + AT_ROWS, t->rows, 8);
	xm_little_put(ret + AT_SEQUENCE, t->sequence, 8);
	entry_put(ret + AT_ROOT, &t->root);
	memcpy(ret + AT_SALTS, t->salts, sizeof(t->salts));
}

uint32_t xm_tree_seal(struct xm_tree *t, uint64_t row, uint64_t count, uint64_t sequence,
		      struct xm_seals *seals, uint8_t *ret_pages,
		      struct xm_tree_run ret_runs[XM_TREE_LEVELS])
{
	uint32_t level = count == 0 ? t->levels - 1 : 0, runs = 0;
	uint64_t from = count == 0 ? 0 : row, to = count == 0 ? 0 : row + count - 1;

	XM_ASSERT(count <= XM_TREE_CHANGE);
	t->sequence = sequence;
	xm_little_put(node_at(t, t->levels - 1, 0) + SEQUENCE, sequence, 8);
	for (; level < t->levels; level++) {
		from /= XM_TREE_FAN;
		to /= XM_TREE_FAN;
		for (uint64_t node = from; node <= to; node++) {
			node_seal(t, level, node, seals, ret_pages);
			ret_pages += XM_PAGE;
		}
		ret_runs[runs++] = (struct xm_tree_run){ t->begin[level] + from,
							 to - from + 1 };
	}
	root_write(t, ret_pages); /* behind the last level, which is one node */
	ret_runs[runs - 1].count++;
	return runs;
}

/* --- opening ------------------------------------------------------------------ */

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, XM_PAGE - 1) == 0;
}

int xm_tree_read_root(struct xm_tree *t)
{
	const uint8_t *page = t->bytes + (t->pages - 1) * XM_PAGE;

	if (is_zero(page)) {
		memset(t->bytes, 0, t->pages * XM_PAGE);
		return -ENODATA;
	}
	if (xm_little_get(page + AT_MAGIC, 8) != MAGIC || xm_little_get(page + AT_FIRST, 8) != t->first ||
	    xm_little_get(page + AT_ROWS, 8) != t->rows ||
	    memcmp(page + AT_REGION, t->region.bytes, XM_REGION_ID_SIZE) != 0)
		return -EUCLEAN;
	t->sequence = xm_little_get(page + AT_SEQUENCE, 8);
	entry_get(page + AT_ROOT, &t->root);
	memcpy(t->salts, page + AT_SALTS, sizeof(t->salts));
	return 0;
}

/* Notes that the key is in use. False: there is no such key. */
static bool key_uses(const struct xm_tree *t, const struct xm_seal_entry *e, bool *uses)
{
	if (e->key >= XM_TREE_SALTS || is_free(t, e->key))
		return false;
	uses[e->key] = true;
	return true;
}

static bool is_lost(uint64_t page, const struct xm_tree_run *lost, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (page - lost[i].begin < lost[i].count)
			return true;
	}
	return false;
}

/* Its rows have a seal that opens nothing. */
static void leaf_lose(struct xm_tree *t, uint64_t node, uint16_t key)
{
	struct xm_seal_entry e = { .version = 1, .key = key };
	uint8_t *bytes = node_at(t, 0, node);
	uint64_t rows = xm_min(XM_TREE_FAN, t->rows - node * XM_TREE_FAN);

	memset(bytes, 0, XM_PAGE);
	for (uint64_t i = 0; i < rows; i++)
		entry_put(bytes + i * ENTRY, &e);
}

static int node_open(struct xm_tree *t, uint32_t level, uint64_t node,
		     struct xm_seals *seals, bool *uses, bool lost)
{
	struct xm_seal_page at = name_of(t, level, node);
	uint8_t *bytes = node_at(t, level, node);
	struct xm_seal_entry e = t->root;

	if (level + 1 < t->levels)
		entry_get(seal_of(t, level, node), &e);
	if (e.version == 0) {
		memset(bytes, 0, XM_PAGE);
		return 0;
	}
	if (!key_uses(t, &e, uses))
		return -EBADMSG;
	if (lost) {
		leaf_lose(t, node, e.key);
		return 0;
	}
	e.key = t->keys[e.key];
	return xm_seals_open_apart(seals, &e, &at, bytes, XM_PAGE);
}

/* Salts that no seal needs any more make room. -EBADMSG: a row's has none. */
static int rows_check(struct xm_tree *t, bool *uses)
{
	for (uint64_t row = 0; row < t->rows; row++) {
		struct xm_seal_entry e;

		entry_get(node_at(t, 0, row / XM_TREE_FAN) +
				  row % XM_TREE_FAN * ENTRY, &e);
		if (e.version != 0 && !key_uses(t, &e, uses))
			return -EBADMSG;
	}
	for (uint32_t i = 0; i < XM_TREE_SALTS; i++) {
		if (!uses[i])
			memset(t->salts[i], 0, XM_TREE_SALT);
	}
	return 0;
}

/* All of them are leaves. */
static int lost_check(const struct xm_tree *t, const struct xm_tree_run *lost,
		      uint32_t count)
{
	uint64_t leaves = t->levels == 1 ? 0 : t->count[0];

	for (uint32_t i = 0; i < count; i++) {
		if (!xm_span_fits(lost[i].begin, lost[i].count, leaves))
			return -EUCLEAN;
	}
	return 0;
}

int xm_tree_open(struct xm_tree *t, struct xm_seals *seals, const struct xm_tree_run *lost,
		 uint32_t count)
{
	bool uses[XM_TREE_SALTS] = { false };
	int rc = t->root.version == 0 ? -EBADMSG : lost_check(t, lost, count);

	for (uint32_t level = t->levels; rc == 0 && level-- > 0;) {
		for (uint64_t node = 0; rc == 0 && node < t->count[level]; node++)
			rc = node_open(t, level, node, seals, uses,
				       level == 0 && is_lost(node, lost, count));
		if (rc == 0 && level + 1 == t->levels &&
		    xm_little_get(node_at(t, level, 0) + SEQUENCE, 8) != t->sequence)
			rc = -EBADMSG;
	}
	return rc == 0 ? rows_check(t, uses) : rc;
}
