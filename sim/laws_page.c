/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page truth: a present clean page equals the remote bytes; a dirty one is stored
 * before it is dropped (which the shadow would notice); a stopped thread is woken
 * exactly once (sim/os.c); the local budget is never exceeded (xm_pager_check,
 * and operations_select.c by the public figures).
 */
#include <string.h>

#include "core/client/client.h"
#include "core/pure/pager_parts.h" /* the flags of a page */
#include "sim/counts.h"
#include "sim/laws.h"
#include "sim/members.h"
#include "sim/notes.h"
#include "sim/programs.h"
#include "sim/touch.h"

static void broken_page(uint64_t page, uint32_t appliance,
			const uint8_t *here, const uint8_t *there)
{
	size_t at = 0;

	while (here[at] == there[at])
		at++;
	at &= ~(size_t)7;
	world_broken("page truth", "clean page %llu of a client differs from "
		     "appliance %u at byte %zu: %016llx here, %016llx there",
		     (unsigned long long)page, appliance, at,
		     *(const unsigned long long *)(const void *)(here + at),
		     *(const unsigned long long *)(const void *)(there + at));
}

static const uint8_t zeros[XM_PAGE];

/* A page that is present, against the mapper and, if it is clean, against each of
 * its copies in remote memory. */
static void ask_page(extmem *x, struct lane *lane, uint64_t page)
{
	struct xm_engine *e = &lane->engine;
	const struct xm_page *entry = &e->pager.pages[page];
	const uint8_t *here = x->base + page * XM_PAGE, *there;
	uint64_t offset;
	uint32_t appliance;
	bool is_here, is_open;

	touch_state(x, page, &is_here, &is_open);
	if (!is_here)
		world_broken("page truth", "page %llu is %s to the pager and "
			     "absent to the mapper",
			     (unsigned long long)page,
			     entry->state == XM_PAGE_CLEAN ? "clean" : "dirty");
	if (entry->state == XM_PAGE_DIRTY)
		return;
	if (is_open)
		world_broken("page truth", "clean page %llu is not protected",
			     (unsigned long long)page);
	/* While it is being stored, the write-back buffer has its bytes. */
	if (!members_reachable(x, page) || (entry->flags & FLAG_STORING) != 0)
		return;
	sim_counts.laws_asked++;
	if ((entry->flags & FLAG_WRITTEN) == 0) {
		if (memcmp(here, zeros, XM_PAGE) != 0)
			world_broken("page truth", "fresh page %llu is not "
				     "zero", (unsigned long long)page);
		return;
	}
	for (uint32_t i = 0; i < MEMBERS; i++) {
		/* NULL: the lease has ended, and the client will hear of it. */
		there = members_bytes(x, page, i, &appliance, &offset);
		if (there != NULL && memcmp(here, there, XM_PAGE) != 0)
			broken_page(page, appliance, here, there);
	}
}

void law_pages(uint32_t index)
{
	extmem *x = program_client(index);
	uint64_t frames = 0;
	bool all = true;

	if (x == NULL)
		return;
	for (uint32_t l = 0; l < x->lanes_count; l++) {
		struct lane *lane = &x->lanes[l];
		const struct xm_pager *p = &lane->engine.pager;
		const char *broken;

		/* Locked: its machine is between two of a step's effects. */
		if (p->frames == NULL || atomic_load(&lane->lock.word) != 0) {
			all = false;
			continue;
		}
		law_counters(index, lane);
		frames += p->frames_used;
		broken = xm_pager_check(p);
		if (broken != NULL)
			world_broken("page truth", "client %u lane %u: %s",
				     index, l, broken);
		sim_counts.laws_asked++;
		for (uint32_t i = 0; i < p->frames_fresh; i++) {
			if (p->frames[i].page != UINT64_MAX)
				ask_page(x, lane, p->frames[i].page);
		}
	}
	if (all)
		law_present(index, x, frames);
}
