/* SPDX-License-Identifier: BSD-3-Clause */
/* See durable.h. */
#include "sim/durable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/drafts.h"
#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fibers.h"
#include "sim/notes.h"
#include "sim/os.h"
#include "sim/shape.h"
#include "sim/sparse.h"
#include "sim/trees.h"
#include "sim/world.h"

#define QUEUE (2 * XM_STORE_COMMANDS_MAX)
#define SLOTS 4096

static struct durable {
	struct process *control;
	uint32_t index;
	struct sparse *disk;
	struct xm_drafts drafts;
	struct trees_extent extents[SLOTS]; /* that it keeps */
	bool torn[XM_DRAFTS]; /* what is at this place */
	/* What is being drafted now, in the pool. */
	uint64_t page, size;
	uint32_t place;
	struct xm_store_command commands[QUEUE];
	struct xm_store_report reports[QUEUE];
	uint32_t commands_count, reports_count;
} stores[SIM_APPLIANCES_MAX];

static uint64_t persists[256]; /* by the first byte of the region's id; never fewer */
static uint8_t *memory[SIM_APPLIANCES_MAX]; /* of drafts; kept from run to run */

static uint64_t below(uint64_t n)
{
	return xm_rand_below(world_rand(WORLD_MISFORTUNE), n);
}

/* --- what it does --------------------------------------------------------- */

static void draft_page(struct durable *d, uint8_t *to, uint64_t offset)
{
	uint64_t half = 512 * below(9);

	d->page = offset;
	d->size = XM_PAGE;
	memcpy(to, appliance_pool(d->index) + offset, half);
	if (below(4) == 0)
		world_wait(d, 1 + below(below(8) == 0 ? XM_MS : 20 * XM_US));
	memcpy(to + half, appliance_pool(d->index) + offset + half,
	       XM_PAGE - half);
	d->size = 0;
}

static int put_back(struct durable *d, const struct xm_store_command *c)
{
	xm_drafts_drop(&d->drafts, c->slot);
	appliance_written(d->index, c->offset, c->size);
	memcpy(appliance_pool(d->index) + c->offset, d->disk->bytes + c->offset, c->size);
	world_note("durable.back: appliance {index}: byte {offset:hex} of its pool and "
		   "on, {size:bytes}", d->index, c->offset, c->size);
	return 0;
}

static int draft(struct durable *d, const struct xm_store_command *c)
{
	uint8_t *bytes = c->also ? xm_drafts_add(&d->drafts, c->slot, c->offset, c->size)
				 : xm_drafts_take(&d->drafts, c->slot, c->tenant,
						  c->offset, c->size);

	if (bytes == NULL)
		return -EAGAIN;
	d->place = (uint32_t)((size_t)(bytes - memory[d->index]) / XM_DRAFT_MAX);
	d->torn[d->place] &= c->also;
	for (uint64_t at = 0; at < c->size; at += XM_PAGE) {
		if (c->zeros)
			memset(bytes + at, 0, XM_PAGE);
		else
			draft_page(d, bytes + at, c->offset + at);
	}
	world_note("durable.draft: appliance {index}: byte {offset:hex} of its pool and "
		   "on, {size:bytes}", d->index, c->offset, c->size);
	return 0;
}

/* How long the disk takes: it is slow now and then, and very seldom. */
static uint64_t sync_ns(void)
{
	switch (below(24)) {
	case 0: return below(3 * XM_SECOND);
	case 1:
	case 2: return below(200 * XM_MS);
	default: return below(3 * XM_MS);
	}
}

static int persist(struct durable *d, uint32_t slot)
{
	const struct xm_drafted_bytes *b = xm_drafts_find(&d->drafts, slot);
	const uint8_t *bytes;

	if (b == NULL)
		return -EAGAIN;
	sim_counts.laws_asked++;
	if (d->torn[b - d->drafts.list])
		world_broken("durable", "appliance %u keeps bytes of its pool from "
			     "%#llx on that were written while it drafted them",
			     d->index, (unsigned long long)b->runs[0].offset);
	world_wait(d, sync_ns());
	bytes = b->bytes;
	for (uint32_t i = 0; i < b->runs_count; i++) {
		uint64_t offset = b->runs[i].offset, size = b->runs[i].size;

		sparse_mark(d->disk, offset, size);
		memcpy(d->disk->bytes + offset, bytes, size);
		bytes += size;
		world_note("durable.persist: appliance {index}: byte {offset:hex} of its "
			   "pool and on, {size:bytes}", d->index, offset, size);
	}
	xm_drafts_drop(&d->drafts, slot);
	persists[d->extents[slot].id.bytes[0]]++;
	trees_check(&d->extents[slot], d->index, d->disk->bytes);
	return 0;
}

static int obey(struct durable *d, const struct xm_store_command *c)
{
	switch (c->kind) {
	case XM_STORE_DRAFT: return c->back ? put_back(d, c) : draft(d, c);
	case XM_STORE_PERSIST: return persist(d, c->slot);
	case XM_STORE_KEEP:
		if (c->fresh)
			sparse_clear(d->disk, c->entry.offset, c->entry.size);
		trees_keep(&d->extents[c->slot], &c->entry);
		break;
	case XM_STORE_FORGET: d->extents[c->slot].size = 0; break;
	}
	if (c->kind == XM_STORE_FORGET || c->fresh)
		xm_drafts_drop(&d->drafts, c->slot);
	world_wait(d, sync_ns());
	return 0;
}

static void store_run(void *argument)
{
	struct durable *d = argument;

	for (;;) {
		struct xm_store_command c;

		while (d->commands_count == 0)
			world_wait(d, XM_NEVER);
		c = d->commands[0];
		memmove(d->commands, d->commands + 1,
			--d->commands_count * sizeof(c));
		XM_ASSERT(d->reports_count < QUEUE);
		d->reports[d->reports_count] = (struct xm_store_report){
			.kind = c.kind, .extent = c.extent,
			.status = obey(d, &c),
		};
		d->reports_count++;
		world_wake(sim_door(d->control));
	}
}

/* --- the control process's end -------------------------------------------- */

static int command(void *link, const struct xm_store_command *c)
{
	struct durable *d = link;

	if (d->commands_count == XM_STORE_COMMANDS_MAX)
		return -EAGAIN;
	d->commands[d->commands_count++] = *c;
	world_wake(d);
	return 0;
}

static int poll_report(void *link, struct xm_store_report *ret)
{
	struct durable *d = link;

	if (d->reports_count == 0)
		return 0;
	*ret = d->reports[0];
	memmove(d->reports, d->reports + 1, --d->reports_count * sizeof(*ret));
	return 1;
}

const struct xm_store_link_ops durable_link = {
	.command = command,
	.poll = poll_report,
};

void *durable_of(uint32_t appliance)
{
	return &stores[appliance];
}

uint64_t durable_persists(const struct xm_region_id *id)
{
	return persists[id->bytes[0]];
}

bool durable_has_reports(uint32_t appliance)
{
	return stores[appliance].reports_count > 0;
}

void durable_written(uint32_t appliance, uint64_t offset, uint64_t size)
{
	struct durable *d = &stores[appliance];

	if (d->size == 0 || d->page >= offset + size || offset >= d->page + d->size)
		return;
	d->torn[d->place] = true;
	world_note("durable.torn: appliance {index}: byte {offset:hex} of its pool is "
		   "written while it is drafted", appliance, d->page, 0);
}

const uint8_t *durable_bytes(uint32_t appliance, uint64_t offset)
{
	const struct durable *d = &stores[appliance];

	for (uint32_t i = 0; i < SLOTS && d->disk != NULL; i++) {
		const struct trees_extent *e = &d->extents[i];

		if (e->size > 0 && offset - e->offset < e->size && trees_is_sealed(e))
			return trees_page(e, d->disk->bytes, offset);
	}
	return d->disk == NULL ? NULL : d->disk->bytes + offset;
}

/* --- life and death ------------------------------------------------------- */

void durable_open(uint32_t appliance, struct process *control)
{
	struct durable *d = &stores[appliance];

	memset(d, 0, sizeof(*d));
	if (memory[appliance] == NULL)
		memory[appliance] = calloc(1, XM_DRAFTS_MEMORY);
	XM_ASSERT(memory[appliance] != NULL);
	xm_drafts_init(&d->drafts, memory[appliance]);
	d->index = appliance;
	d->control = control;
	d->disk = sparse_take(sim_shape.pool_size);
	world_fiber(control, store_run, d);
}

void durable_close(uint32_t appliance)
{
	/* Most runs have no store, and it is large. */
	if (stores[appliance].disk == NULL)
		return;
	sparse_give(stores[appliance].disk);
	memset(&stores[appliance], 0, sizeof(stores[appliance]));
}
