/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the tree of seals, with a toy cipher. */
#include "core/pure/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"

#define ROWS (2 * XM_TREE_FAN * XM_TREE_FAN + 7) /* of three levels and a root */

struct xm_seal {
	uint64_t sealed;
};

static struct xm_seal toy;
static const struct xm_region_id id = { { 3, 1, 4 } };
static const uint8_t salts[2][XM_TREE_SALT] = { { 1 }, { 2 } };

static void change(const struct xm_seal_page *at, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] ^= (uint8_t)(at->version + 7 * at->key + 0x55);
}

static void tag_of(const struct xm_seal_page *at, const uint8_t *bytes, size_t size,
		   uint8_t *ret)
{
	uint64_t sum = at->page * 31 + at->version * 7 + at->key;

	for (size_t i = 0; i < size; i++)
		sum = sum * 31 + bytes[i];
	memset(ret, 0, XM_SEAL_TAG_SIZE);
	memcpy(ret, &sum, sizeof(sum));
}

static void toy_seal(struct xm_seal *s, const struct xm_seal_page *at, uint8_t *bytes,
		     size_t size, uint8_t ret_tag[XM_SEAL_TAG_SIZE])
{
	s->sealed++;
	change(at, bytes, size);
	tag_of(at, bytes, size, ret_tag);
}

static int toy_open(struct xm_seal *s, const struct xm_seal_page *at, uint8_t *bytes,
		    size_t size, const uint8_t tag[XM_SEAL_TAG_SIZE])
{
	uint8_t right[XM_SEAL_TAG_SIZE];

	(void)s;
	tag_of(at, bytes, size, right);
	if (memcmp(tag, right, sizeof(right)) != 0)
		return -EBADMSG;
	change(at, bytes, size);
	return 0;
}

static const struct xm_seal_ops ops = { .name = "toy", .seal = toy_seal,
					.open = toy_open };

/* What an appliance has of a tree, and its owner. */
struct pair {
	struct xm_tree tree;
	struct xm_seals seals;
	uint8_t *bytes, *there;
};

static struct pair begin(uint64_t rows)
{
	size_t size = xm_tree_pages(rows) * XM_PAGE;
	struct pair p = { .bytes = aligned_alloc(64, size),
			  .there = aligned_alloc(64, size) };

	memset(p.bytes, 0, size);
	memset(p.there, 0, size);
	xm_tree_init(&p.tree, &id, 5, rows, p.bytes);
	xm_seals_init(&p.seals, &ops, &toy, NULL, 0);
	CU_ASSERT_EQUAL(xm_tree_key(&p.tree, salts[0], 0), 0);
	return p;
}

static void end(struct pair *p)
{
	free(p->bytes);
	free(p->there);
}

static struct xm_seal_entry seal_of(uint64_t version, uint16_t key)
{
	return (struct xm_seal_entry){ .version = version, .key = key,
				       .tag = { (uint8_t)version } };
}

/* Rows [row, + count) are sealed as this version, and the appliance gets what changed. */
static uint32_t set(struct pair *p, uint64_t row, uint64_t count, uint64_t version,
		    uint64_t sequence)
{
	static _Alignas(8) uint8_t pages[XM_TREE_CHANGED * XM_PAGE];
	struct xm_tree_run runs[XM_TREE_LEVELS];
	struct xm_seal_entry e = seal_of(version, 0);
	const uint8_t *from = pages;
	uint32_t n;

	for (uint64_t i = 0; i < count; i++)
		xm_tree_set(&p->tree, row + i, &e);
	n = xm_tree_seal(&p->tree, row, count, sequence, &p->seals, pages, runs);
	for (uint32_t i = 0; i < n; i++) {
		memcpy(p->there + runs[i].begin * XM_PAGE, from,
		       runs[i].count * XM_PAGE);
		from += runs[i].count * XM_PAGE;
	}
	CU_ASSERT_TRUE((size_t)(from - pages) <= sizeof(pages));
	return n;
}

/* Another client reads what the appliance has. */
static int read_it(struct pair *p, struct pair *ret)
{
	int rc;

	*ret = begin(p->tree.rows);
	memset(&ret->tree.salts, 0, sizeof(ret->tree.salts));
	memcpy(ret->bytes, p->there, p->tree.pages * XM_PAGE);
	rc = xm_tree_read_root(&ret->tree);
	return rc == 0 ? xm_tree_open(&ret->tree, &ret->seals, NULL, 0) : rc;
}

static void pages_are_few(void)
{
	CU_ASSERT_EQUAL(xm_tree_pages(1), 2);
	CU_ASSERT_EQUAL(xm_tree_pages(XM_TREE_FAN), 2);
	CU_ASSERT_EQUAL(xm_tree_pages(XM_TREE_FAN + 1), 4);
	CU_ASSERT_TRUE(xm_tree_pages(XM_TREE_ROWS_MAX) <
		       XM_TREE_ROWS_MAX / (XM_TREE_FAN - 2));
}

static void what_was_sealed_is_read(void)
{
	struct pair p = begin(ROWS), other;
	struct xm_seal_entry e;

	CU_ASSERT_EQUAL(set(&p, 168, 4, 11, 1), 3);
	CU_ASSERT_EQUAL(set(&p, ROWS - XM_TREE_CHANGE, XM_TREE_CHANGE, 12, 2), 3);
	CU_ASSERT_EQUAL(set(&p, 0, 0, 0, 3), 1);
	CU_ASSERT_EQUAL(read_it(&p, &other), 0);
	CU_ASSERT_EQUAL(other.tree.sequence, 3);
	for (uint64_t row = 0; row < ROWS; row++) {
		bool first = row >= 168 && row < 172;

		xm_tree_get(&other.tree, row, &e);
		CU_ASSERT_EQUAL_FATAL(e.version, first ? 11 :
				      row >= ROWS - XM_TREE_CHANGE ? 12 : 0);
		CU_ASSERT_EQUAL_FATAL(e.tag[0], e.version);
	}
	end(&other);
	end(&p);
}

static void nothing_at_all_is_an_empty_tree(void)
{
	struct pair p = begin(9), other;

	CU_ASSERT_EQUAL(read_it(&p, &other), -ENODATA);
	end(&other);
	end(&p);
}

/* A bit anywhere in what counts, and an older page of it in its place. */
static void what_is_not_the_tree_is_not_opened(void)
{
	struct pair p = begin(ROWS), other;
	uint8_t older[XM_PAGE];
	int rc;

	set(&p, 0, XM_TREE_CHANGE, 5, 1);
	memcpy(older, p.there, XM_PAGE);
	set(&p, 0, XM_TREE_CHANGE, 6, 2);
	for (uint64_t page = 0; page < p.tree.pages; page++) {
		bool counts = page <= XM_TREE_CHANGE / XM_TREE_FAN ||
			      page >= p.tree.begin[2];

		p.there[page * XM_PAGE + 45] ^= 16;
		rc = read_it(&p, &other);
		if (page == p.tree.begin[1])
			counts = true;
		CU_ASSERT_EQUAL_FATAL(rc, counts ? -EBADMSG : 0);
		end(&other);
		p.there[page * XM_PAGE + 45] ^= 16;
	}
	memcpy(p.there, older, XM_PAGE);
	CU_ASSERT_EQUAL(read_it(&p, &other), -EBADMSG);
	end(&other);
	p.tree.first++;
	CU_ASSERT_EQUAL(xm_tree_read_root(&p.tree), -ENODATA);
	memcpy(p.bytes, p.there, p.tree.pages * XM_PAGE);
	CU_ASSERT_EQUAL(xm_tree_read_root(&p.tree), -EUCLEAN);
	end(&p);
}

static int read_without(struct pair *p, uint64_t page, struct pair *ret)
{
	struct xm_tree_run lost = { page, 1 };

	*ret = begin(p->tree.rows);
	memset(&ret->tree.salts, 0, sizeof(ret->tree.salts));
	memcpy(ret->bytes, p->there, p->tree.pages * XM_PAGE);
	memset(ret->bytes + page * XM_PAGE, 0, XM_PAGE);
	CU_ASSERT_EQUAL_FATAL(xm_tree_read_root(&ret->tree), 0);
	return xm_tree_open(&ret->tree, &ret->seals, &lost, 1);
}

/* What a disk has lost of it: rows of which nothing is known are never zero, not even when
 * others of their page are sealed again. */
static void a_lost_leaf_costs_its_rows_alone(void)
{
	struct pair p = begin(ROWS), other, third;
	struct xm_seal_entry e;
	uint64_t first, count;

	set(&p, 0, XM_TREE_CHANGE, 5, 1);
	CU_ASSERT_TRUE_FATAL(xm_tree_is_leaf(ROWS, 1, &first, &count));
	CU_ASSERT_EQUAL(first, XM_TREE_FAN);
	CU_ASSERT_EQUAL(count, XM_TREE_FAN);
	CU_ASSERT_EQUAL(read_without(&p, 1, &other), 0);
	for (uint64_t row = 0; row < XM_TREE_CHANGE; row++) {
		xm_tree_get(&other.tree, row, &e);
		CU_ASSERT_EQUAL_FATAL(e.version, row - first < count ? 1 : 5);
		CU_ASSERT_EQUAL_FATAL(e.tag[0], row - first < count ? 0 : 5);
	}
	memcpy(other.there, p.there, p.tree.pages * XM_PAGE);
	set(&other, first + 3, 1, 7, 2);
	CU_ASSERT_EQUAL(read_it(&other, &third), 0);
	xm_tree_get(&third.tree, first + 3, &e);
	CU_ASSERT_EQUAL(e.version, 7);
	xm_tree_get(&third.tree, first + 4, &e);
	CU_ASSERT_EQUAL(e.version, 1);
	end(&third);
	end(&other);
	/* Of rows that were never sealed nothing was there. */
	CU_ASSERT_EQUAL(read_without(&p, p.tree.count[0] - 1, &other), 0);
	xm_tree_get(&other.tree, ROWS - 1, &e);
	CU_ASSERT_EQUAL(e.version, 0);
	end(&other);
	for (uint64_t page = p.tree.begin[1]; page < p.tree.pages - 1; page++) {
		CU_ASSERT_FALSE(xm_tree_is_leaf(ROWS, page, &first, &count));
		CU_ASSERT_EQUAL(read_without(&p, page, &other), -EUCLEAN);
		end(&other);
	}
	CU_ASSERT_FALSE(xm_tree_is_leaf(XM_TREE_FAN, 0, &first, &count));
	end(&p);
}

/* Keys have the place of their salt there, and salts that are not in use make room. */
static void keys_go_by_their_salts(void)
{
	struct pair p = begin(200), other;
	struct xm_seal_entry e = seal_of(1, 9);
	uint8_t salt[XM_TREE_SALT] = { 0 };

	CU_ASSERT_EQUAL(xm_tree_key(&p.tree, salts[1], 9), 0);
	xm_tree_set(&p.tree, 199, &e);
	for (uint8_t i = 0; i < XM_TREE_SALTS - 2; i++) {
		salt[0] = (uint8_t)(100 + i);
		CU_ASSERT_EQUAL(xm_tree_key(&p.tree, salt, (uint16_t)(20 + i)), 0);
	}
	salt[0]++;
	CU_ASSERT_EQUAL(xm_tree_key(&p.tree, salt, 99), -ENOSPC);
	CU_ASSERT_EQUAL(xm_tree_key(&p.tree, salts[1], 9), 0);
	set(&p, 0, 1, 2, 1);
	set(&p, 180, 1, 2, 2); /* the node that has row 199 */
	CU_ASSERT_EQUAL(read_it(&p, &other), 0);
	CU_ASSERT_EQUAL(xm_tree_key(&other.tree, salts[1], 4), 0);
	xm_tree_get(&other.tree, 199, &e);
	CU_ASSERT_EQUAL(e.key, 4);
	for (uint8_t i = 0; i < XM_TREE_SALTS - 2; i++) {
		salt[0] = (uint8_t)(10 + i);
		CU_ASSERT_EQUAL(xm_tree_key(&other.tree, salt, (uint16_t)(20 + i)), 0);
	}
	end(&other);
	end(&p);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(pages_are_few),
		XM_TEST(what_was_sealed_is_read),
		XM_TEST(nothing_at_all_is_an_empty_tree),
		XM_TEST(what_is_not_the_tree_is_not_opened),
		XM_TEST(a_lost_leaf_costs_its_rows_alone),
		XM_TEST(keys_go_by_their_salts),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("tree", tests);
}
