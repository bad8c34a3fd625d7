/* SPDX-License-Identifier: BSD-3-Clause */
/* See trees.h. */
#include "sim/trees.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/pure/label.h"
#include "core/skin/cipher.h"
#include "sim/counts.h"
#include "sim/seals.h"
#include "sim/notes.h"
#include "sim/world.h"

static struct {
	struct xm_place_label label;
	struct xm_tree tree;
	struct xm_seals seals;
	uint8_t *bytes; /* kept from call to call */
	size_t size;
	_Alignas(8) uint8_t page[XM_PAGE];
} t;

void trees_keep(struct trees_extent *e, const struct xm_store_entry *entry)
{
	e->offset = entry->offset;
	e->size = entry->size;
	e->id = entry->id;
	e->label = entry->label;
}

bool trees_is_sealed(const struct trees_extent *e)
{
	return e->size > 0 && xm_label_decode(&e->label, &t.label) && t.label.sealed;
}

/* The tree, opened. 0; -ENODATA: it is empty. */
static int tree_load(const struct trees_extent *e, const uint8_t *disk)
{
	uint64_t rows = t.label.count / t.label.columns;
	uint64_t size = xm_tree_pages(rows) * XM_PAGE;
	int rc;

	if (size > t.size) {
		free(t.bytes);
		t.bytes = aligned_alloc(64, size);
		t.size = size;
		XM_ASSERT(t.bytes != NULL);
	}
	memcpy(t.bytes, disk + e->offset + rows * XM_PAGE, size);
	xm_tree_init(&t.tree, &e->id, t.label.page + t.label.column * t.label.unit,
		     rows, t.bytes);
	rc = xm_tree_read_root(&t.tree);
	if (rc == 0)
		rc = xm_tree_open(&t.tree, seals_any(&t.seals, t.tree.salts,
						     XM_TREE_SALTS, t.tree.keys),
				  NULL, 0);
	return rc;
}

/* Page `row` of the extent, as it is when opened: in t.page. */
static int row_open(const struct trees_extent *e, const uint8_t *disk, uint64_t row)
{
	const struct xm_place_label *l = &t.label;
	struct xm_seal_page at = { .region = e->id, .page = l->page + row };
	struct xm_seal_entry seal;

	xm_tree_get(&t.tree, row, &seal);
	if (l->columns > 1)
		at.page = l->page + row % l->unit +
			  (row / l->unit * l->columns + l->column) * l->unit;
	memset(t.page, 0, XM_PAGE);
	if (seal.version == 0)
		return 0;
	memcpy(t.page, disk + e->offset + row * XM_PAGE, XM_PAGE);
	return xm_seals_open_apart(&t.seals, &seal, &at, t.page, XM_PAGE);
}

void trees_check(const struct trees_extent *e, uint32_t appliance, const uint8_t *disk)
{
	int rc;

	if (!trees_is_sealed(e))
		return;
	rc = tree_load(e, disk);
	sim_counts.laws_asked++;
	if (rc == -ENODATA)
		return;
	if (rc != 0)
		world_broken("durable", "appliance %u has a tree of seals on its disk "
			     "that does not open", appliance);
	for (uint64_t row = 0; row < t.tree.rows; row++) {
		sim_counts.laws_asked++;
		if (row_open(e, disk, row) != 0)
			world_broken("durable", "page %llu of an extent is on the disk "
				     "of appliance %u as its seal there does not say",
				     (unsigned long long)row, appliance);
	}
}

const uint8_t *trees_page(const struct trees_extent *e, const uint8_t *disk,
			  uint64_t offset)
{
	int rc = trees_is_sealed(e) ? tree_load(e, disk) : -ENODATA;

	memset(t.page, 0, XM_PAGE);
	if (rc == 0)
		rc = row_open(e, disk, (offset - e->offset) / XM_PAGE);
	return t.page;
}
