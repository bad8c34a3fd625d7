/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the disks of appliances have lost of extents that they brought back (DAMAGE): those
 * pages are lost to whoever claims them, as if their appliance had ended, and all others
 * are there. The region is one that lacks bytes from then on.
 *
 * Calls are made as handing.h says.
 */
#ifndef XM_CLIENT_DAMAGE_H
#define XM_CLIENT_DAMAGE_H

#include "core/client/handing.h"

#define XM_DAMAGE_RUNS 1024

struct xm_damage_list {
	uint32_t count;
	struct {
		uint32_t extent; /* of the list */
		uint64_t row, rows;
	} runs[XM_DAMAGE_RUNS];
};

/* Asks for it. 0, or -errno in words: -EUCLEAN seals are damaged, or too much is. */
int xm_damage_ask(extmem *, const struct xm_handed_list *, struct xm_damage_list *ret,
		  char *words, size_t words_size);
/* Those pages of the region are lost; it is tracked. */
void xm_damage_lose(extmem_region *, const struct xm_handed_list *,
		    const struct xm_damage_list *);

#endif
