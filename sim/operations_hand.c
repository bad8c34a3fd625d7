/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs' regions that change hands: one program hands its region over and lays the
 * token, with what is known of the bytes, where another one finds it; see program.h.
 *
 * A region without copies is kept, too: its client is closed, and the region waits.
 *
 * Laws. Who adopts finds the bytes that were written last: the shadow goes along, and
 * every load is held to it. A token that has led one program to its region leads no
 * other there. And it does lead there, unless an appliance began again, its time was
 * over, or somebody who tried to adopt the region was killed over it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/counts.h"
#include "sim/fibers.h"
#include "sim/notes.h"
#include "sim/program.h"
#include "sim/shape.h"
#include "sim/weather.h"
#include "sim/world.h"

#define HANDS 4
#define LONG_MS 100000000
#define TRIES 20 /* to go on, after -EINPROGRESS */

static struct hand {
	bool full;
	char token[EXTMEM_TOKEN_SIZE];
	struct shadow *shadow;
	uint64_t until_ns; /* its token is good until then, at least */
	uint64_t restarts; /* of appliances, before it was handed over */
	uint64_t stamp;	   /* tells it from others in this place */
	uint32_t adopters; /* programs that are at it, or were killed over it */
} hands[HANDS];
static uint64_t stamp;

void hands_close(void)
{
	for (unsigned i = 0; i < HANDS; i++)
		free(hands[i].shadow);
	memset(hands, 0, sizeof(hands));
	stamp = 0;
}

static struct hand *hand_find(bool full)
{
	unsigned first = (unsigned)below(HANDS);

	for (unsigned i = 0; i < HANDS; i++) {
		struct hand *h = &hands[(first + i) % HANDS];

		if (h->full == full)
			return h;
	}
	return NULL;
}

/* --- over ----------------------------------------------------------------- */

static void parted(struct program *p)
{
	uint8_t byte;
	int rc = CALL(extmem_read, p->region, 0, &byte, 1);

	if (rc != -ESTALE)
		world_broken("hand-over", "client %u reads what it has handed "
			     "over: %d", p->index, rc);
	CALL(extmem_region_free, p->region);
	p->region = NULL;
	p->objects_count = 0;
	around_given(p);
}

/* Zeros where zeros are to be: what was discarded may come back else. */
static int write_zeros(struct program *p)
{
	static const uint8_t zeros[XM_PAGE];
	int rc = 0;

	for (uint64_t i = 0; i < p->shadow->pages && rc == 0; i++) {
		const struct word *w = p->shadow->page[i].words;
		bool all = true;

		for (unsigned k = 0; k < WORDS; k++)
			all &= w[k].value == 0 && !w[k].unsure;
		if (all)
			rc = CALL(extmem_write, p->region, i * XM_PAGE, zeros,
				  XM_PAGE);
	}
	return rc;
}

/* The other way: it is kept, and its client ends with it. */
static void keep(struct program *p, struct hand *h)
{
	struct hand made = { .full = true };
	int rc = write_zeros(p);

	if (rc == 0)
		rc = CALL(extmem_sync, p->region, 0, 0);
	made.until_ns = world_now() + LONG_MS * XM_MS;
	made.restarts = sim_counts.restarts;
	if (rc == 0)
		rc = CALL(extmem_region_keep, p->region, LONG_MS, made.token);
	world_note("program.keep: client {client} keeps its region beyond its "
		   "end: {error:error}", p->index, (uint64_t)-rc, 0);
	if (rc != 0) {
		/* Some of it may be, and nobody would have the token. */
		CALL(extmem_region_keep, p->region, 0, made.token);
		memset(h, 0, sizeof(*h));
		call_went(p, rc);
		return;
	}
	rights_forget(p);
	made.shadow = p->shadow;
	made.stamp = ++stamp;
	p->shadow = shadow_open(p->shadow->pages_max);
	*h = made;
	p->region = NULL;
	p->objects_count = 0;
	around_close(p);
}

void op_hand(struct program *p)
{
	struct extmem_hand_over o = { .size = sizeof(o), .ms = LONG_MS };
	struct hand *h = hand_find(false), made = { .full = true };
	int rc, tries = 0;

	if (h == NULL)
		return;
	h->full = true; /* the place is taken */
	h->adopters = UINT32_MAX;
	if (sim_shape.copies < 2 && !sim_shape.sealed && below(3) == 0) {
		keep(p, h);
		return;
	}
	if (!sim_shape.skew && below(4) == 0)
		o.ms = 1000 + below(20000);
	made.until_ns = world_now() + o.ms * XM_MS;
	made.restarts = sim_counts.restarts;
	do {
		if (tries > 0)
			world_wait(p, 200 * XM_MS);
		rc = CALL_WITHIN(2 * sim_shape.timeout_ms * XM_MS,
				 extmem_region_hand_over, p->region, &o,
				 made.token);
	} while (rc == -EINPROGRESS && ++tries < TRIES);
	world_note("program.hand: client {client} hands its region over: "
		   "{error:error}", p->index, (uint64_t)-rc, 0);
	if (rc != 0) {
		memset(h, 0, sizeof(*h));
		if (rc == -EINPROGRESS)
			p->lost = true; /* to be freed, and no page was lost */
		else
			call_went(p, rc);
		return;
	}
	rights_forget(p);
	made.shadow = p->shadow;
	made.stamp = ++stamp;
	p->shadow = shadow_open(p->shadow->pages_max);
	*h = made;
	parted(p);
}

/* --- and to the next one -------------------------------------------------- */

/* Nothing waits there, or not all of it: is there a reason? */
static void missed(const struct program *p, struct hand *h, int rc)
{
	sim_counts.laws_asked++;
	if (h->restarts == sim_counts.restarts && world_now() < h->until_ns &&
	    h->adopters == 0)
		world_broken("hand-over", "client %u finds nothing, or not all, "
			     "under a token that nobody has used: %d", p->index,
			     rc);
	if (h->adopters > 0 && h->restarts == sim_counts.restarts)
		return; /* another one may have it in a moment */
	free(h->shadow);
	memset(h, 0, sizeof(*h));
}

static void adopted(struct program *p, struct hand *h)
{
	void *at;
	int rc;

	free(p->shadow);
	p->shadow = h->shadow;
	memset(h, 0, sizeof(*h));
	p->lost = false;
	p->objects_count = 0;
	sim_counts.regions++;
	rc = CALL(extmem_map, p->region, 0, 0, &at);
	p->lost |= rc != 0;
}

bool hand_adopt(struct program *p)
{
	struct hand *h = hand_find(true);
	char token[EXTMEM_TOKEN_SIZE];
	uint64_t which;
	int rc;

	if (h == NULL || h->shadow == NULL || below(3) == 0)
		return false;
	which = h->stamp;
	memcpy(token, h->token, sizeof(token));
	h->adopters++;
	weather_strike(p->index);
	rc = CALL(extmem_region_adopt, p->x, token, 0, &p->region);
	if (h->stamp == which)
		h->adopters--;
	world_note("program.adopt: client {client} adopts a region: "
		   "{error:error}", p->index, (uint64_t)-rc, 0);
	if (rc == 0 && h->stamp != which)
		world_broken("hand-over", "client %u adopts what another one has "
			     "adopted", p->index);
	if (rc == 0) {
		adopted(p, h);
		return true;
	}
	p->region = NULL;
	if (rc == -EBADMSG)
		world_broken("seal", "client %u adopts a region whose seals do not open, and "
			     "nobody has lied", p->index);
	if (h->stamp == which && (rc == -ENOENT || rc == -ENODATA))
		missed(p, h, rc);
	return false;
}
