/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Members: of a page that rests (it is absent, and no store, copy or explicit access of it
 * is under way) all members that are IN hold the same bytes. So it does not matter which of
 * them is read, or which lives longest.
 *
 * Present pages are compared by laws_page.c. What is read is its writer's to ask about.
 */
#include <string.h>

#include "core/client/client.h"
#include "core/pure/pager_parts.h" /* the flags of a page */
#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/laws.h"
#include "sim/members.h"
#include "sim/notes.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/sparse.h"

#define PAGES 32 /* looked at in one turn */

static struct {
	const extmem *x;
	uint64_t page; /* the next to be looked at */
} cursors[SIM_CLIENTS_MAX];

static void ask_equal(uint32_t client, extmem *x, uint64_t page)
{
	const uint8_t *first = NULL;
	uint32_t at_first = 0;
	struct member list[MEMBERS];
	uint32_t count = members_list(x, page, list);

	sim_counts.laws_asked++;
	for (uint32_t k = 0; k < count; k++) {
		const uint8_t *bytes;
		uint64_t at;

		bytes = members_bytes(&list[k], &at);
		if (bytes == NULL)
			continue; /* its lease has ended */
		if (first == NULL) {
			first = bytes;
			at_first = list[k].appliance;
		} else if (memcmp(first, bytes, XM_PAGE) != 0) {
			world_broken("members", "page %llu of client %u rests, and "
				     "has not the same bytes at appliances %u and %u",
				     (unsigned long long)page, client, at_first,
				     list[k].appliance);
		}
	}
}

static void ask_page(uint32_t client, extmem *x, uint64_t page)
{
	const struct xm_lane *lane = &x->lanes.lane[page / x->lanes.block_pages %
						    x->lanes.count];
	const struct xm_pager *p = &lane->engine.pager;
	const struct xm_page *entry;

	/* Locked: its machine is between two of a step's effects. */
	if (p->frames == NULL || atomic_load(&lane->lock.word) != 0)
		return;
	entry = &p->pages[page];
	if ((entry->flags & FLAG_WRITTEN) == 0 ||
	    (entry->flags & FLAG_LOST) != 0 ||
	    entry->state == XM_PAGE_POISONED ||
	    entry->state == XM_PAGE_IO_LOCKED)
		return;
	if (entry->state == XM_PAGE_ABSENT &&
	    (entry->flags & FLAG_STORING) == 0 && !xm_volume_is_read(&x->volume, page))
		ask_equal(client, x, page);
}

void law_members(uint32_t client)
{
	extmem *x = program_client(client);
	uint64_t page, end = sim_shape.arena / XM_PAGE;

	if (x == NULL || x->settings.members_max <= 1 || sim_shape.lies_ms > 0)
		return;
	page = cursors[client].x == x ? cursors[client].page : 0;
	for (unsigned n = 0; n < PAGES && page < end; n++) {
		page = xm_volume_backed_from(&x->volume, page, end);
		if (page == end)
			break;
		ask_page(client, x, page++);
	}
	cursors[client].x = x;
	cursors[client].page = page < end ? page : 0;
}

void law_members_forget(uint32_t client)
{
	cursors[client].x = NULL;
}
