/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page truth: a present clean page equals the remote bytes, and is protected, as is one
 * that may not be stored to; a dirty one is stored before it is dropped (which the shadow
 * would notice); a stopped thread is woken exactly once (sim/os.c); the local budget is
 * never exceeded (xm_pager_check, and operations_select.c by the public figures).
 */
#include <stdlib.h>
#include <string.h>

#include "core/client/client.h"
#include "core/pure/pager_parts.h" /* the flags of a page */
#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/laws.h"
#include "sim/members.h"
#include "sim/notes.h"
#include "sim/programs.h"
#include "sim/seals.h"
#include "sim/shape.h"
#include "sim/sparse.h"
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

/* A page and a copy of it that were equal at `when` still are if neither has
 * changed since (sparse.h), so only the others are compared. Once in ALL_EVERY
 * looks at a client all are, in case that was wrong. */
struct look {
	uint64_t when;	   /* 0: never */
	struct member with; /* key 0: not with a copy, but with zeros */
	uint64_t at;	   /* the copy's place in the pool */
};

#define ALL_EVERY 16

static struct looks {
	struct look *looks; /* by page, then by member */
	uint64_t pages, turn;
} looks[SIM_CLIENTS_MAX];

static void looks_open(uint32_t client)
{
	struct looks *l = &looks[client];
	uint64_t pages = sim_shape.arena / XM_PAGE;

	l->turn++;
	if (pages <= l->pages)
		return;
	free(l->looks);
	l->looks = calloc(pages * MEMBERS, sizeof(*l->looks));
	XM_ASSERT(l->looks != NULL);
	l->pages = pages;
}

static struct look *look_at(uint32_t client, uint64_t page, uint32_t member)
{
	return &looks[client].looks[page * MEMBERS + member];
}

/* Were this page and that copy (or zeros) equal when both were as they are now? */
static bool still_equal(uint32_t client, const struct look *look,
			const extmem *x, uint64_t page, const struct member *m)
{
	return looks[client].turn % ALL_EVERY != 0 && look->when > 0 &&
	       look->with.key == m->key && look->with.offset == m->offset &&
	       look->with.appliance == m->appliance &&
	       touch_changed(x, page) <= look->when &&
	       (m->key == 0 ||
		appliance_changed(m->appliance, look->at) <= look->when);
}

static const uint8_t zeros[XM_PAGE];

static void ask_fresh(uint32_t client, const extmem *x, uint64_t page)
{
	static const struct member none;
	struct look *look = look_at(client, page, 0);

	if (still_equal(client, look, x, page, &none))
		return;
	if (memcmp(x->arena.base + page * XM_PAGE, zeros, XM_PAGE) != 0)
		world_broken("page truth", "fresh page %llu is not zero",
			     (unsigned long long)page);
	*look = (struct look){ .when = sparse_now() };
}

static void ask_member(uint32_t client, const extmem *x, uint64_t page,
		       const struct member *m)
{
	const uint8_t *here = x->arena.base + page * XM_PAGE, *there, *opened;
	struct look *look = look_at(client, page, m->index);
	uint64_t at;

	if (still_equal(client, look, x, page, m))
		return;
	there = members_bytes(m, &at);
	if (there == NULL)
		return; /* its lease has ended, and the client will hear of it */
	switch (seals_look((extmem *)(uintptr_t)x, page, there, here, &opened)) {
	case SEALS_PLAIN: break;
	case SEALS_RIGHT: there = opened; break;
	case SEALS_WRONG:
		if (sim_shape.lies_ms == 0)
			world_broken("seal", "page %llu of client %u is not at "
				     "appliance %u as it was sealed",
				     (unsigned long long)page, client,
				     m->appliance);
		return;
	case SEALS_BUSY: return;
	}
	if (memcmp(here, there, XM_PAGE) != 0)
		broken_page(page, m->appliance, here, there);
	*look = (struct look){ sparse_now(), *m, at };
}

/* A page that is present, against the mapper and, if it is clean, against each of
 * its copies in remote memory. */
static void ask_page(uint32_t client, extmem *x, const struct xm_pager *p,
		     uint64_t page)
{
	const struct xm_page *entry = &p->pages[page];
	struct member list[MEMBERS];
	bool is_here, is_open, lost;
	uint32_t count;

	touch_state(x, page, &is_here, &is_open);
	if (!is_here)
		world_broken("page truth", "page %llu is %s to the pager and "
			     "absent to the mapper",
			     (unsigned long long)page,
			     entry->state == XM_PAGE_CLEAN ? "clean" : "dirty");
	if (is_open && (entry->flags & FLAG_CLOSED) != 0)
		world_broken("page truth", "page %llu may not be stored to, and "
			     "is not protected", (unsigned long long)page);
	if (entry->state == XM_PAGE_DIRTY && xm_volume_is_read(&x->volume, page))
		world_broken("page truth", "page %llu is another client's, and dirty",
			     (unsigned long long)page);
	if (entry->state == XM_PAGE_DIRTY)
		return;
	if (is_open)
		world_broken("page truth", "clean page %llu is not protected",
			     (unsigned long long)page);
	if (xm_volume_is_read(&x->volume, page))
		return; /* its writer may be at it */
	/* While it is being stored, the write-back buffer has its bytes. */
	if (xm_volume_appliances(&x->volume, page, &lost) == 0 || lost ||
	    (entry->flags & FLAG_STORING) != 0)
		return;
	sim_counts.laws_asked++;
	if ((entry->flags & FLAG_WRITTEN) == 0) {
		ask_fresh(client, x, page);
		return;
	}
	count = members_list(x, page, list);
	for (uint32_t i = 0; i < count; i++)
		ask_member(client, x, page, &list[i]);
}

void law_pages(uint32_t index)
{
	extmem *x = program_client(index);
	uint64_t frames = 0;
	bool all = true;

	if (x == NULL)
		return;
	looks_open(index);
	for (uint32_t l = 0; l < x->lanes.count; l++) {
		struct xm_lane *lane = &x->lanes.lane[l];
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
				ask_page(index, x, p, p->frames[i].page);
		}
	}
	if (all)
		law_present(index, x, frames);
}
