/* SPDX-License-Identifier: BSD-3-Clause */
/* See damage.h. */
#include "core/client/damage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/range.h"
#include "core/pure/tree.h"

static bool has_store(extmem *x, uint32_t appliance)
{
	bool ret;

	os_mutex_take(&x->ask.lock);
	ret = (x->ask.keeper.control.peers[appliance].session.welcome.features &
	       XM_FEATURE_DURABLE) != 0;
	os_mutex_give(&x->ask.lock);
	return ret;
}

static uint64_t rows_of(const struct xm_place_label *l)
{
	return l->count / l->columns;
}

/* Of a sealed extent, behind its pages: what they are opened with (tree.h). Without some of
 * these pages it is not known what is lost. */
static bool is_of_seals(const struct xm_handed *h, const struct xm_damaged *d)
{
	uint64_t rows = rows_of(&h->label), row, count;
	uint64_t page = xm_max(d->offset / XM_PAGE, rows);

	for (; h->label.sealed && page < (d->offset + d->size) / XM_PAGE; page++) {
		if (!xm_tree_is_leaf(rows, page - rows, &row, &count))
			return true;
	}
	return false;
}

/* Of one extent. */
static int ask_of(extmem *x, const struct xm_handed_list *l, uint32_t extent,
		  struct xm_damage_list *ret, char *words, size_t words_size)
{
	const struct xm_handed *h = &l->list[extent];
	struct xm_message m = { .kind = XM_DAMAGE };

	m.u.damage.extent = h->at.extent;
	for (;;) {
		struct xm_request request = { .lease = h->at.lease };
		const struct xm_damaged *d = &request.message.u.damaged;
		int rc = xm_ask(&x->ask, h->at.appliance, &m,
				x->regions.deadline_ns, &request);

		if (rc != 0) {
			xm_ask_explain(&x->ask, &request, words, words_size);
			return rc;
		}
		if (d->size == 0)
			return 0;
		if (d->offset < m.u.damage.offset || ret->count == XM_DAMAGE_RUNS ||
		    !xm_is_aligned(d->offset | d->size, XM_PAGE) ||
		    !xm_span_fits(d->offset, d->size, h->size)) {
			snprintf(words, words_size, "too much of it is damaged on the "
				 "disk of appliance %s: its log says what",
				 xm_ask_address(&x->ask, h->at.appliance));
			return -EUCLEAN;
		}
		if (is_of_seals(h, d)) {
			snprintf(words, words_size, "a page of its seals is damaged on "
				 "the disk of appliance %s: put back a copy of its "
				 "store, made while no daemon ran",
				 xm_ask_address(&x->ask, h->at.appliance));
			return -EUCLEAN;
		}
		ret->runs[ret->count].extent = extent;
		ret->runs[ret->count].row = d->offset / XM_PAGE;
		ret->runs[ret->count++].rows = d->size / XM_PAGE;
		m.u.damage.offset = d->offset + d->size;
	}
}

int xm_damage_ask(extmem *x, const struct xm_handed_list *l, struct xm_damage_list *ret,
		  char *words, size_t words_size)
{
	int rc = 0;

	ret->count = 0;
	for (uint32_t i = 0; i < l->count && rc == 0; i++) {
		if (has_store(x, l->list[i].at.appliance))
			rc = ask_of(x, l, i, ret, words, words_size);
	}
	return rc;
}

uint32_t xm_damage_of_tree(const struct xm_handed_list *l,
			   const struct xm_damage_list *damage,
			   uint32_t appliance, uint64_t extent, uint64_t rows,
			   struct xm_tree_run ret[XM_DAMAGE_RUNS])
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < damage->count; i++) {
		const struct xm_handed *h = &l->list[damage->runs[i].extent];
		uint64_t begin = xm_max(damage->runs[i].row, rows);
		uint64_t end = damage->runs[i].row + damage->runs[i].rows;

		if (h->at.extent == extent && h->at.appliance == appliance &&
		    begin < end)
			ret[count++] = (struct xm_tree_run){ begin - rows, end - begin };
	}
	return count;
}

/* The region's page that is this row of the extent. */
static uint64_t page_of(const struct xm_place_label *l, uint64_t row)
{
	if (l->columns == 1)
		return l->page + row;
	return l->page + row % l->unit +
	       (row / l->unit * l->columns + l->column) * l->unit;
}

static void lose(extmem_region *region, const struct xm_place_label *l, uint64_t row,
		 uint64_t count)
{
	uint64_t first = region->address / XM_PAGE;

	for (; count > 0; count--, row++) {
		uint64_t page = first + page_of(l, row);
		struct xm_pager_event ev = { .kind = XM_PAGER_LOST };

		/* (Of what is sealed: it has never been written, so it is zero.) */
		if (l->sealed && region->client->sealing.table[page].version == 0)
			continue;
		xm_range(region->client, &ev, page, page + 1, XM_NEVER);
		atomic_store(&region->lacks, true);
	}
}

void xm_damage_lose(extmem_region *region, const struct xm_handed_list *l,
		    const struct xm_damage_list *damage)
{
	for (uint32_t i = 0; i < damage->count; i++) {
		const struct xm_place_label *label =
			&l->list[damage->runs[i].extent].label;
		uint64_t row = damage->runs[i].row, of, count;
		uint64_t end = row + damage->runs[i].rows, rows = rows_of(label);

		if (row < rows)
			lose(region, label, row, xm_min(end, rows) - row);
		for (row = xm_max(row, rows); row < end; row++) {
			if (xm_tree_is_leaf(rows, row - rows, &of, &count))
				lose(region, label, of, count);
		}
	}
}
