/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs that share their regions, and read those of others; see program.h.
 *
 * Laws. What a reader reads is no older than what was released before its last acquire
 * began, and is the writer's: in each word, whose values only rise. No store of a reader's
 * reaches a page, nor does an explicit write. A token opens nothing when its time is over.
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

#define SHARES 3
#define LONG_MS 100000000

/* A region that is, or was, shared. */
static struct share {
	bool full;
	char token[EXTMEM_TOKEN_SIZE];
	const struct program *writer;
	uint64_t lives; /* in which life of its */
	bool over; /* the region was freed */
	uint64_t stamp; /* tells it from others in this place */
	uint64_t until_ns;
	uint64_t pages;
	uint64_t *released; /* WORDS of each page; 0: any */
} shares[SHARES];
static uint64_t stamp;

/* What a program reads. */
static struct reader {
	const struct share *share;
	uint64_t stamp;
	uint64_t pages;
	uint64_t *least; /* as `released`, when its last acquire began */
	uint32_t writer;
} readers[SIM_CLIENTS_MAX];

void shares_close(void)
{
	for (unsigned i = 0; i < SHARES; i++)
		free(shares[i].released);
	for (unsigned i = 0; i < SIM_CLIENTS_MAX; i++)
		free(readers[i].least);
	memset(shares, 0, sizeof(shares));
	memset(readers, 0, sizeof(readers));
	stamp = 0;
}

static bool is_live(const struct share *s)
{
	return s->full && !s->over && s->writer->lives == s->lives;
}

static struct share *own(const struct program *p)
{
	for (unsigned i = 0; i < SHARES; i++) {
		if (is_live(&shares[i]) && shares[i].writer == p)
			return &shares[i];
	}
	return NULL;
}

bool share_is_on(const struct program *p)
{
	return own(p) != NULL;
}

void share_given(const struct program *p)
{
	struct share *s = own(p);

	if (s != NULL)
		s->over = true;
}

static void share_end(struct share *s)
{
	free(s->released);
	memset(s, 0, sizeof(*s));
}

/* --- the writer ----------------------------------------------------------- */

/* What a release that begins now will have released; what may be anything is not known. */
static uint64_t *values(const struct program *p)
{
	uint64_t *ret = calloc(p->shadow->pages * WORDS, sizeof(*ret));

	XM_ASSERT(ret != NULL);
	for (uint64_t i = 0; i < p->shadow->pages; i++) {
		const struct shadow_page *page = &p->shadow->page[i];

		for (unsigned k = 0; k < WORDS && !page->busy; k++) {
			if (!page->words[k].unsure)
				ret[i * WORDS + k] = page->words[k].value;
		}
	}
	return ret;
}

static void share(struct program *p)
{
	struct extmem_share o = { .size = sizeof(o), .ms = LONG_MS };
	struct share *s = NULL;
	uint64_t *released;
	char token[EXTMEM_TOKEN_SIZE];
	int rc;

	for (unsigned i = 0; i < SHARES && s == NULL; i++) {
		if (!is_live(&shares[i]))
			s = &shares[i];
	}
	if (s == NULL)
		return;
	if (!sim_shape.skew && below(3) == 0)
		o.ms = 1000 + below(10000);
	released = values(p);
	rc = CALL(extmem_region_share, p->region, &o, token);
	world_note("program.share: client {client} shares its region: {error:error}",
		   p->index, (uint64_t)-rc, 0);
	if (!call_went(p, rc) || is_live(s)) {
		free(released);
		return;
	}
	share_end(s);
	stamp++;
	*s = (struct share){
		.full = true, .writer = p, .lives = p->lives,
		.stamp = stamp, .pages = p->shadow->pages, .released = released,
		.until_ns = world_now() + o.ms * XM_MS,
	};
	memcpy(s->token, token, sizeof(token));
}

static void release(struct program *p, struct share *s)
{
	uint64_t *released = values(p), which = s->stamp;
	int rc = CALL_WITHIN(4 * sim_shape.timeout_ms * XM_MS,
			     extmem_region_release, p->region);

	world_note("program.release: client {client} releases: {error:error}",
		   p->index, (uint64_t)-rc, 0);
	if (call_went(p, rc) && s->stamp == which) {
		free(s->released);
		s->released = released;
		return;
	}
	free(released);
}

static void revoke(struct program *p, struct share *s)
{
	int rc = CALL(extmem_region_revoke, p->region);

	world_note("program.revoke: client {client} shares no more: {error:error}",
		   p->index, (uint64_t)-rc, 0);
	if (call_went(p, rc))
		share_end(s);
}

/* --- a reader ------------------------------------------------------------- */

static void read_end(struct program *p)
{
	CALL(extmem_region_free, p->reading);
	p->reading = NULL;
}

static void least_set(struct reader *r, const struct share *s, uint64_t *least)
{
	free(r->least);
	r->share = s;
	r->stamp = s->stamp;
	r->pages = s->pages;
	r->writer = s->writer->index;
	r->least = least;
}

static uint64_t *copy(const struct share *s)
{
	uint64_t *ret = malloc(s->pages * WORDS * sizeof(*ret));

	XM_ASSERT(ret != NULL);
	memcpy(ret, s->released, s->pages * WORDS * sizeof(*ret));
	return ret;
}

static void open_one(struct program *p)
{
	struct share *s = &shares[below(SHARES)];
	uint64_t which = s->stamp, *least;
	char token[EXTMEM_TOKEN_SIZE];
	bool late = s->full && world_now() > s->until_ns + XM_SECOND;
	void *at;
	int rc;

	if (!s->full || s->writer == p)
		return;
	least = copy(s);
	memcpy(token, s->token, sizeof(token));
	weather_strike(p->index);
	rc = CALL_WITHIN(3 * sim_shape.timeout_ms * XM_MS, extmem_region_open, p->x,
			 token, 0, &p->reading);
	world_note("program.open: client {client} opens what is shared: {error:error}",
		   p->index, (uint64_t)-rc, 0);
	sim_counts.laws_asked++;
	if (rc == 0 && late && !sim_shape.skew)
		world_broken("sharing", "client %u opens a region by a token whose time "
			     "is over", p->index);
	if (rc != 0 || s->stamp != which) {
		free(least);
		if (rc == 0)
			read_end(p);
		else
			p->reading = NULL;
		if (rc == -ENOENT && s->stamp == which && !is_live(s))
			share_end(s);
		return;
	}
	least_set(&readers[p->index], s, least);
	rc = CALL(extmem_map, p->reading, 0, 0, &at);
	if (rc != 0)
		read_end(p);
}

static void acquire(struct program *p)
{
	struct reader *r = &readers[p->index];
	uint64_t *least = r->share->stamp == r->stamp ? copy(r->share) : NULL;
	int rc = CALL_WITHIN(3 * sim_shape.timeout_ms * XM_MS, extmem_region_acquire,
			     p->reading);

	world_note("program.acquire: client {client} acquires: {error:error}", p->index,
		   (uint64_t)-rc, 0);
	if (rc == 0 && least != NULL && r->share->stamp == r->stamp)
		least_set(r, r->share, least);
	else
		free(least);
	if (rc == -ESTALE)
		read_end(p);
}

static void word_read(const struct program *p, uint64_t page, unsigned k, uint64_t got,
		      const char *how)
{
	const struct reader *r = &readers[p->index];
	const struct share *s = r->share;
	uint64_t least = r->least[page * WORDS + k];
	bool zeroed = s->stamp != r->stamp || !is_live(s) ||
		      s->writer->shadow->page[page].zeroed ||
		      s->writer->shadow->page[page].words[k].unsure;

	sim_counts.laws_asked++;
	if (got == 0 && (least == 0 || zeroed))
		return;
	if (got < least || got >> 56 != r->writer + 1)
		world_broken("sharing", "client %u %s page %llu of what client %u shares, "
			     "word %u: %016llx, and %016llx was released before it "
			     "acquired it", p->index, how, (unsigned long long)page,
			     r->writer, k, (unsigned long long)got,
			     (unsigned long long)least);
}

static bool look_mapped(const struct program *as, uint64_t page)
{
	switch (around_touch(as, page, false)) {
	case XM_TOUCHED_SERVED: break;
	case XM_TOUCHED_LOST: return false;
	default:
		world_broken("sharing", "client %u may not load from what it reads",
			     as->index);
	}
	for (unsigned k = 0; k < WORDS; k++) {
		uint64_t got;

		memcpy(&got, page_address(as, page) + word_places[k], sizeof(got));
		word_read(as, page, k, got, "loads from");
	}
	return true;
}

static bool look_explicit(struct program *p, uint64_t page)
{
	uint8_t *bytes = malloc(XM_PAGE);
	int rc;

	XM_ASSERT(bytes != NULL);
	rc = CALL(extmem_read, p->reading, page * XM_PAGE, bytes, XM_PAGE);
	for (unsigned k = 0; k < WORDS && rc == 0; k++) {
		uint64_t got;

		memcpy(&got, bytes + word_places[k], sizeof(got));
		word_read(p, page, k, got, "reads");
	}
	free(bytes);
	return rc == 0;
}

/* Its stores are denied, one way and the other. */
static void store_denied(struct program *p, const struct program *as, uint64_t page)
{
	uint8_t byte = 1;
	int rc;

	sim_counts.laws_asked++;
	if (around_touch(as, page, true) == XM_TOUCHED_SERVED)
		world_broken("sharing", "client %u stores to what it only reads",
			     p->index);
	rc = CALL(extmem_write, p->reading, page * XM_PAGE, &byte, 1);
	if (rc != -EACCES)
		world_broken("sharing", "client %u writes to what it only reads: %d",
			     p->index, rc);
}

static void look(struct program *p)
{
	/* The same program, with another region. */
	struct program *as = malloc(sizeof(*as));
	uint64_t pages = readers[p->index].pages;

	XM_ASSERT(as != NULL);
	*as = *p;
	as->region = p->reading;
	for (unsigned i = 0; i < 8; i++) {
		uint64_t page = below(pages);

		if (!(below(4) == 0 ? look_explicit(p, page) : look_mapped(as, page)))
			break;
	}
	if (below(4) == 0)
		store_denied(p, as, below(pages));
	free(as);
}

void op_share(struct program *p)
{
	struct share *s = own(p);

	if (p->reading != NULL && below(2) == 0) {
		if (below(3) != 0)
			acquire(p);
		if (p->reading != NULL)
			look(p);
		if (p->reading != NULL && below(12) == 0)
			read_end(p);
	} else if (p->reading == NULL && below(2) == 0) {
		open_one(p);
	} else if (s == NULL) {
		share(p);
	} else if (below(8) != 0) {
		release(p, s);
	} else {
		revoke(p, s);
	}
}
