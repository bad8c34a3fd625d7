/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the disks of appliances have lost of extents that they brought back (DAMAGE): those
 * pages are lost to whoever claims them, as if their appliance had ended, and all others
 * are there. With a page of seals those are lost that it has the seals of. The region is one that lacks bytes from then on.
 *
 * Calls are made as handing.h says.
 */
#ifndef XM_CLIENT_DAMAGE_H
#define XM_CLIENT_DAMAGE_H

#include "core/client/handing.h"
#include "core/pure/tree.h"

#define XM_DAMAGE_RUNS 1024

struct xm_damage_list {
	uint32_t count;
	struct {
		uint32_t extent; /* of the list */
		uint64_t row, rows;
	} runs[XM_DAMAGE_RUNS];
};

/* Asks for it. 0, or -errno in words: -EUCLEAN the seals cannot be read, or too much is
 * damaged. */
int xm_damage_ask(extmem *, const struct xm_handed_list *, struct xm_damage_list *ret,
		  char *words, size_t words_size);
/* Of the tree of seals behind so many rows of this extent: the pages that are lost. */
uint32_t xm_damage_of_tree(const struct xm_handed_list *, const struct xm_damage_list *,
			   uint32_t appliance, uint64_t extent, uint64_t rows,
			   struct xm_tree_run ret[XM_DAMAGE_RUNS]);
/* Those pages of the region are lost, and those whose seals are; it is tracked. */
void xm_damage_lose(extmem_region *, const struct xm_handed_list *,
		    const struct xm_damage_list *);

#endif
