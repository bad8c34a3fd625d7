/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A law about what is sealed and durable: on the disk of an appliance, at any moment, each
 * page of a sealed extent is what its seal in the tree there says (core/pure/tree.h), whatever
 * was lost on the way. So whoever adopts the region can open all of it.
 */
#ifndef XM_SIM_TREES_H
#define XM_SIM_TREES_H

#include "appliance/store_form.h"
#include "core/pure/tree.h"

/* An extent as a disk has it; begins as zeros. */
struct trees_extent {
	uint64_t offset, size; /* of the pool */
	struct xm_region_id id;
	struct xm_label label;
};

void trees_keep(struct trees_extent *, const struct xm_store_entry *);
bool trees_is_sealed(const struct trees_extent *);
/* The law. `disk` has the bytes of the whole pool. */
void trees_check(const struct trees_extent *, uint32_t appliance, const uint8_t *disk);
/* What the page at this byte of the pool reads as when it is opened; valid until the next
 * call. */
const uint8_t *trees_page(const struct trees_extent *, const uint8_t *disk,
			  uint64_t offset);

#endif
