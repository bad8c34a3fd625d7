/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree of seals: what a sealed extent's pages are opened with (seals.h), as pages behind
 * them in the same extent, so that both become durable together. Appliances cannot be trusted
 * with it, so these pages are sealed, too:
 *
 *	level 0		XM_TREE_FAN seals of rows of the extent, and 16 bytes, in each node
 *	level n		the seals of that many nodes of level n - 1
 *	the last	one node; its 16 bytes begin with the sequence
 *	the root page	as it is: what the tree is of, the sequence, the seal of the last
 *			level, and the salts of the keys
 *
 * The levels lie one behind the other, and the root page is last. A seal of version 0 is
 * none: the row, or all below the node, has never been durable, and reads as zero.
 *
 * A page of level 0 that a disk has lost costs its rows alone: they get a seal that opens
 * nothing, and keep it, so that none of them ever reads as zero. Without another page
 * nothing can be told.
 *
 * The sequence rises with each change. Whoever changes the root page alone is found out by
 * the last level, whose seal stands for all of the tree; who gives an older tree as a whole,
 * by those who know a newer sequence.
 *
 * Keys. A seal says which key it was made with as a number: here it is the place of the
 * key's salt in the root page, and in the client's table the client's own (cipher.h).
 *
 * Never allocates. Floor: ground.
 */
#ifndef XM_TREE_H
#define XM_TREE_H

#include "core/pure/seals.h"

#define XM_TREE_FAN 170
#define XM_TREE_LEVELS 4 /* XM_TREE_FAN^4 pages: 3 TiB */
#define XM_TREE_ROWS_MAX (UINT64_C(3) << 40 >> 12)
#define XM_TREE_SALTS 64
#define XM_TREE_SALT 12
/* Pages of a change of XM_TREE_CHANGE rows in a run, at most, and their runs. */
#define XM_TREE_CHANGE 1000
#define XM_TREE_CHANGED 16

struct xm_tree {
	struct xm_region_id region;
	uint64_t first; /* page of the region that is row 0: no other tree of it has that */
	uint64_t rows;
	uint32_t levels;
	uint64_t begin[XM_TREE_LEVELS], count[XM_TREE_LEVELS]; /* pages of each */
	uint64_t pages; /* with the root page */
	uint64_t sequence; /* 0: never durable */
	struct xm_seal_entry root; /* of the last level */
	uint8_t salts[XM_TREE_SALTS][XM_TREE_SALT]; /* of zeros: the place is free */
	uint16_t keys[XM_TREE_SALTS]; /* the client's numbers of them */
	uint8_t *bytes; /* of all pages, as they are when opened; the caller's */
};

/* Pages [begin, + count) of the tree. */
struct xm_tree_run {
	uint64_t begin, count;
};

/* So many pages stand behind so many rows; rows <= XM_TREE_ROWS_MAX. */
uint64_t xm_tree_pages(uint64_t rows);
/* The bytes are xm_tree_pages(rows) * 4,096, aligned to 8, and zero. */
void xm_tree_init(struct xm_tree *, const struct xm_region_id *, uint64_t first,
		  uint64_t rows, uint8_t *bytes);
/* What is sealed with this salt has the client's key of this number. -ENOSPC: the salts of
 * rows and nodes that are in use fill the root page. */
int xm_tree_key(struct xm_tree *, const uint8_t salt[XM_TREE_SALT], uint16_t number);
/* The row's seal, with the client's number of a key that the tree knows; NULL: none. */
void xm_tree_set(struct xm_tree *, uint64_t row, const struct xm_seal_entry *);
void xm_tree_get(const struct xm_tree *, uint64_t row, struct xm_seal_entry *ret);
/* None of rows [row, + count) has a seal, nor had one when it was sealed last. */
bool xm_tree_is_empty(const struct xm_tree *, uint64_t row, uint64_t count);
/* No row has a seal, as after xm_tree_init(); the sequence and the keys stay. */
void xm_tree_blank(struct xm_tree *);
/* Rows [row, + count) have changed, XM_TREE_CHANGE at most; of 0 the root alone does. Seals
 * all pages that are to be written for it, into `ret_pages` (XM_TREE_CHANGED), one run behind
 * the other. Returns how many runs there are, XM_TREE_LEVELS at most. */
uint32_t xm_tree_seal(struct xm_tree *, uint64_t row, uint64_t count, uint64_t sequence,
		      struct xm_seals *, uint8_t *ret_pages,
		      struct xm_tree_run ret_runs[XM_TREE_LEVELS]);

/* Reads the last of its pages, when all are in its bytes as they were written: what it is
 * of, and the salts. 0. -ENODATA: nothing was ever durable, and the tree is empty; -EUCLEAN:
 * it is no root page, or another tree's. */
int xm_tree_read_root(struct xm_tree *);
/* Then, when keys[] have the client's numbers of the salts: opens all of it in place, but for
 * these pages, in their order, which a disk has lost. -EBADMSG: a page is not what was sealed;
 * -EUCLEAN: one of those can not be done without. */
int xm_tree_open(struct xm_tree *, struct xm_seals *, const struct xm_tree_run *lost,
		 uint32_t count);
/* Is this page of a tree of so many rows one that costs a part of them alone? Rows
 * [*ret_row, + *ret_count). */
bool xm_tree_is_leaf(uint64_t rows, uint64_t page, uint64_t *ret_row,
		     uint64_t *ret_count);

#endif
