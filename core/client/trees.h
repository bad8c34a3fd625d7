/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The trees of seals (core/pure/tree.h) of a region that is sealed and can be durable, or
 * change hands: one behind the pages of each of its extents. Who adopts the region by its
 * token, with the same seal_key, opens its pages by them. When it is handed over they are
 * written once, and the token has their sequence.
 *
 * How pages and seals become durable together. A piece of the region (persist.c) is held and
 * drafted; what its pages are sealed with meanwhile is what the trees say from then on. The
 * pages of the trees that change are sealed, written to the extent, and added to the draft.
 * One PERSIST makes all of it durable, or nothing.
 *
 * If nobody knows whether it did, the pages of the piece are of this version or that on the
 * disk, and the tree with them. The next change would tell the tree of pages that are not
 * there. So that same piece is repeated first, whatever is asked for: [page, limit).
 *
 * How new the trees are is their sequence, which rises with each try. When all is durable
 * all trees of the region have the same one, and that is the region's root.
 *
 * The bytes of the trees are a region to us: the table, whose segments are the ends of the
 * region's own extents.
 */
#ifndef XM_TREES_H
#define XM_TREES_H

#include "core/client/damage.h"
#include "core/client/region.h"
#include "core/pure/label.h"
#include "core/pure/backing.h"
#include "core/pure/tree.h"

struct xm_tree_at {
	struct xm_extent_at at; /* of the extent */
	uint64_t offset; /* bytes, in the table */
	uint8_t *bytes;
	size_t size;
	struct xm_tree tree;
};

struct xm_trees {
	extmem_region *table;
	uint32_t count;
	struct xm_tree_at *list;
	uint64_t last;	      /* sequence that was used */
	uint64_t root;	      /* what is known to be durable */
	uint64_t page, limit; /* of the arena */
	_Alignas(8) uint8_t pages[XM_TREE_CHANGED * XM_PAGE];
};

/* Bytes behind so many of an extent's. */
uint64_t xm_trees_tail(uint64_t size);
/* The region's trees, which are empty, and its table. With all locks of a public call; 0, or
 * -errno in words. */
int xm_trees_open(extmem_region *, char *words, size_t words_size);
/* They are no more. The table is returned, to be freed, or NULL. */
extmem_region *xm_trees_leave(extmem_region *);

/* The next try to make something durable begins. -ENOKEY: nobody else could open it;
 * -ENOSPC: too many keys. */
int xm_trees_begin(extmem_region *);
struct xm_tree_at *xm_trees_find(struct xm_trees *, const struct xm_extent_at *);
/* Pages [page, end) of the arena, which are rows from `row` on, are sealed as they are now.
 * With all lanes' locks. */
void xm_trees_take(extmem *, struct xm_tree_at *, uint64_t page, uint64_t end,
		   uint64_t row);
/* Writes what the change of these rows has changed of the tree to its extent; see
 * xm_tree_seal(). Returns how many runs, in pages of the extent; or -errno. */
int xm_trees_write(extmem_region *, struct xm_tree_at *, uint64_t row, uint64_t rows,
		   struct xm_tree_run ret_runs[XM_TREE_LEVELS]);

/* All pages are sealed as they are now, at the appliances, for who adopts the region: it is
 * not durable, and its pages are written back and change no more. The region's root is this
 * state's. 0, or -errno in words; if it fails nobody but this client opens the region, as
 * before. */
int xm_trees_save(extmem_region *, char *words, size_t words_size);
/* Nothing of the region is durable yet. */
void xm_trees_blank(struct xm_trees *);

/* Of a region that was claimed, with this damage, and has trees: its pages are sealed as
 * these say, and its pager knows which have contents. -EBADMSG: they are not what was sealed, or older than a
 * root of `since`, or than what this client knows to have been durable. */
int xm_trees_read(extmem_region *, uint64_t since, const struct xm_handed_list *,
		  const struct xm_damage_list *, char *words, size_t words_size);
/* False: the text is no root. */
bool xm_root_read(const char *text, struct xm_region_id *ret_id, uint64_t *ret);
/* This is durable. */
void xm_trees_settled(extmem_region *, uint64_t root);

#endif
