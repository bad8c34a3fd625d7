/* SPDX-License-Identifier: BSD-3-Clause */
/* What a program knows of its region's bytes and of its calls; see program.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/counts.h"
#include "sim/fibers.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/program.h"
#include "sim/shape.h"
#include "sim/world.h"

/* Each operation of a thread has random numbers of its own, so that leaving one
 * out changes no other. */
void dice_cast(struct worker *w, uint64_t number)
{
	const struct program *p = w->program;

	xm_rand_split(world_rand(WORLD_WORK), "operation",
		      ((p->lives * SIM_CLIENTS_MAX + p->index) * 8 +
		       w->index) << 32 | number, &w->rand);
}

/* The worker of the running fiber. */
static struct worker *worker(void)
{
	return world_argument();
}

uint64_t below(uint64_t n)
{
	return xm_rand_below(&worker()->rand, n);
}

const uint64_t word_places[WORDS] = { 0, 2040, XM_PAGE - 8 };

/* --- the shadow -------------------------------------------------------------------- */

struct shadow *shadow_open(uint64_t pages_max)
{
	struct shadow *s = calloc(1, sizeof(*s) +
					     pages_max * sizeof(s->page[0]));

	XM_ASSERT(s != NULL);
	s->pages_max = pages_max;
	return s;
}

void shadow_clear(struct shadow *s)
{
	memset(s->page, 0, s->pages_max * sizeof(s->page[0]));
}

/* A law: no page is torn. If one word shows that a write has come or not, so it is
 * for the page's other words of that write. */
static void settle(struct program *p, struct shadow_page *page,
		   const struct word *by, bool came)
{
	uint64_t write = by->by;

	for (unsigned k = 0; k < WORDS; k++) {
		struct word *w = &page->words[k];

		if (!w->unsure || (w != by && (write == 0 || w->by != write)))
			continue;
		if (came)
			w->value = w->maybe;
		page->zeroed |= w->value == 0;
		w->unsure = false;
		w->since = ++p->shadow->changes;
	}
}

void word_check(struct program *p, uint64_t page, unsigned i,
		       uint64_t got, const char *how)
{
	struct word *w = &p->shadow->page[page].words[i];

	if (got == w->value) {
		settle(p, &p->shadow->page[page], w, false);
	} else if (w->unsure && got == w->maybe) {
		settle(p, &p->shadow->page[page], w, true);
	} else {
		world_broken("faithfulness", "client %u %s page %llu of its "
			     "region (arena page %llu), word %u: %016llx, not "
			     "%016llx%s", p->index, how,
			     (unsigned long long)page,
			     (unsigned long long)around_page(p, page), i,
			     (unsigned long long)got,
			     (unsigned long long)w->value,
			     w->unsure ? " nor what it may be" : "");
	}
}

void word_set(struct program *p, uint64_t page, unsigned i,
		     uint64_t value)
{
	p->shadow->page[page].zeroed |= value == 0;
	p->shadow->page[page].words[i] = (struct word){ .value = value,
						  .since = ++p->shadow->changes };
}

/* --- its rights -------------------------------------------------------------------- */

bool rights_allow(const struct program *p, uint64_t page, bool write)
{
	enum extmem_rights rights = p->shadow->page[page].rights;

	return rights == EXTMEM_READ_WRITE ||
	       (rights == EXTMEM_READ_ONLY && !write);
}

void rights_forget(struct program *p)
{
	for (uint64_t i = 0; i < p->shadow->pages_max; i++)
		p->shadow->page[i].rights = EXTMEM_READ_WRITE;
}

void rights_ask(const struct program *p, uint64_t page, bool write)
{
	sim_counts.laws_asked++;
	if (!p->shadow->page[page].turning && !rights_allow(p, page, write))
		world_broken("rights", "client %u can %s page %llu of its region "
			     "(arena page %llu), and has not the right",
			     p->index, write ? "store to" : "load from",
			     (unsigned long long)page,
			     (unsigned long long)around_page(p, page));
}

/* --- its level ----------------------------------------------------------------------- */

/* One word of one copy. A page whose value is zero may be fresh: then the library
 * knows that it is zero, whatever lies in the remote memory. */
static void remote_check(const struct program *p, uint64_t page, unsigned i,
			 const struct remote_page *r, const char *how)
{
	uint64_t value = p->shadow->page[page].words[i].value, got;

	if (value == 0)
		return;
	memcpy(&got, r->bytes + word_places[i], sizeof(got));
	sim_counts.laws_asked++;
	if (got != value)
		world_broken("level", "client %u has %s page %llu of its region "
			     "(arena page %llu), and byte %llu of appliance %u "
			     "is not what it has in word %u: %016llx, not "
			     "%016llx", p->index, how, (unsigned long long)page,
			     (unsigned long long)around_page(p, page),
			     (unsigned long long)(r->at + word_places[i]),
			     r->appliance, i, (unsigned long long)got,
			     (unsigned long long)value);
}

void word_remote(const struct program *p, uint64_t page, unsigned i,
		 const char *how)
{
	struct remote_page r;

	for (uint32_t m = 0; m < around_members(); m++) {
		if (around_remote(p, page, m, &r))
			remote_check(p, page, i, &r, how);
	}
}

/* Is this word to be in remote memory by then? One that is zero may be fresh. */
static bool is_asked(const struct shadow_page *s, unsigned i, uint64_t changes)
{
	return s->words[i].value != 0 && !s->words[i].unsure &&
	       s->words[i].since <= changes;
}

static bool any_asked(const struct shadow_page *s, uint64_t changes)
{
	bool any = false;

	for (unsigned i = 0; !s->busy && !any && i < WORDS; i++)
		any = is_asked(s, i, changes);
	return any;
}

void pages_remote(const struct program *p, uint64_t page, uint64_t count,
		  uint64_t changes, const char *how)
{
	struct remote_page r;

	for (uint64_t n = page; n < page + count; n++) {
		const struct shadow_page *s = &p->shadow->page[n];

		if (!any_asked(s, changes))
			continue;
		for (uint32_t m = 0; m < around_members(); m++) {
			if (!around_remote(p, n, m, &r))
				continue;
			for (unsigned i = 0; i < WORDS; i++) {
				if (is_asked(s, i, changes))
					remote_check(p, n, i, &r, how);
			}
		}
	}
}

void pages_durable(const struct program *p, uint64_t page, uint64_t count,
		   uint64_t changes)
{
	for (uint64_t n = page; n < page + count; n++) {
		const struct shadow_page *s = &p->shadow->page[n];
		const uint8_t *bytes = s->busy ? NULL : around_durable(p, n);

		for (unsigned i = 0; bytes != NULL && i < WORDS; i++) {
			uint64_t got;

			memcpy(&got, bytes + word_places[i], sizeof(got));
			if (s->words[i].unsure || s->words[i].since > changes)
				continue;
			sim_counts.laws_asked++;
			if (got != s->words[i].value)
				world_broken("durable", "client %u was told that "
					     "page %llu of its region (arena "
					     "page %llu) is durable, and word %u "
					     "is %016llx, not %016llx", p->index,
					     (unsigned long long)n,
					     (unsigned long long)around_page(p, n),
					     i, (unsigned long long)got,
					     (unsigned long long)
						     s->words[i].value);
		}
	}
}

uint64_t word_fresh(struct program *p)
{
	return (uint64_t)(p->index + 1) << 56 | ++p->stamp << 8 | 0x5a;
}

/* --- one operation at a time on the region, or several ----------------------------------- */

void program_enter(struct program *p, bool alone)
{
	while (p->changing || (alone && p->readers > 0))
		world_wait(&p->readers, XM_NEVER);
	if (alone)
		p->changing = true;
	else
		p->readers++;
}

void program_leave(struct program *p, bool alone)
{
	if (alone)
		p->changing = false;
	else
		p->readers--;
	world_wake(&p->readers);
}

bool pages_claim(struct program *p, uint64_t page, uint64_t count)
{
	for (uint64_t i = page; i < page + count; i++) {
		if (p->shadow->page[i].busy)
			return false;
	}
	for (uint64_t i = page; i < page + count; i++)
		p->shadow->page[i].busy = true;
	return true;
}

void pages_unclaim(struct program *p, uint64_t page, uint64_t count)
{
	for (uint64_t i = page; i < page + count; i++)
		p->shadow->page[i].busy = false;
}

/* --- calls ---------------------------------------------------------------------------- */

/* A clock may be slow by one part in so many, and deadlines are measured by it. */
#define DRIFT 20

void call_begins(const char *name, uint64_t most_ns)
{
	struct worker *w = worker();

	w->call = name;
	w->call_began_ns = around_clock(w->program);
	w->call_progress = around_progress(w->program);
	w->call_most_ns = most_ns + most_ns / (DRIFT - 1) + CALL_SLACK;
}

void call_ask(struct worker *w)
{
	uint64_t ns;

	if (w->call == NULL)
		return;
	sim_counts.laws_asked++;
	/* The time of this one begins anew with each piece that is durable. */
	if (strcmp(w->call, "extmem_sync_level") == 0 &&
	    around_progress(w->program) != w->call_progress) {
		w->call_progress = around_progress(w->program);
		w->call_began_ns = around_clock(w->program);
	}
	ns = around_clock(w->program) - w->call_began_ns;
	if (ns > w->call_most_ns)
		world_broken("deadline", "client %u: %s has not returned for "
			     "%llu ms, and was to within %llu",
			     w->program->index, w->call,
			     (unsigned long long)(ns / XM_MS),
			     (unsigned long long)(w->call_most_ns / XM_MS));
}

int64_t call_ends(int64_t rc)
{
	struct worker *w = worker();

	call_ask(w);
	w->call = NULL;
	return rc;
}

/* What a call returned. */
bool call_went(struct program *p, int rc)
{
	if (rc >= 0)
		return true;
	sim_counts.failed++;
	if (rc == -ESTALE || rc == -EBADMSG) {
		p->lost = true;
		/* A clone may lack what nobody could copy in time. */
		if (sim_shape.survives &&
		    (p->region == NULL || !around_lacks(p)))
			oracle_page_lost();
	}
	world_note("program.failed: client {client}: a call failed: "
		   "{error:error}", p->index, (uint64_t)-rc, 0);
	return false;
}
