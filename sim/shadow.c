/* SPDX-License-Identifier: BSD-3-Clause */
/* What a program knows of its region's bytes; see program.h. */
#include <errno.h>

#include "program.h"

/* Every operation of a thread has numbers of its own, so that one more or less
 * of them changes no other. */
void dice_cast(struct worker *w, uint64_t number)
{
	const struct program *p = w->program;

	xm_rand_split(world_rand(WORLD_WORK), "operation",
		      ((p->lives * SIM_CLIENTS_MAX + p->index) * 8 +
		       w->index) << 32 | number, &w->rand);
}

/* Of the worker whose fiber runs: nobody else rolls. */
static struct xm_rand *dice(void)
{
	return &((struct worker *)world_argument())->rand;
}

uint64_t below(uint64_t n)
{
	return xm_rand_below(dice(), n);
}

const uint64_t word_places[WORDS] = { 0, 2040, XM_PAGE - 8 };

/* --- the shadow -------------------------------------------------------------------- */

/* No page is torn: what one of its words shows of a write, the others do too. */
static void settle(struct shadow *page, const struct word *by, bool came)
{
	uint64_t write = by->by;

	for (unsigned k = 0; k < WORDS; k++) {
		struct word *w = &page->words[k];

		if (!w->unsure || (w != by && (write == 0 || w->by != write)))
			continue;
		if (came)
			w->value = w->maybe;
		w->unsure = false;
	}
}

void word_check(const struct program *p, uint64_t page, unsigned i,
		       uint64_t got, const char *how)
{
	struct word *w = &p->shadow[page].words[i];

	if (got == w->value) {
		settle(&p->shadow[page], w, false);
	} else if (w->unsure && got == w->maybe) {
		settle(&p->shadow[page], w, true);
	} else {
		world_broken("faithfulness", "client %u %s page %llu of its "
			     "region (arena page %llu), word %u: %016llx, not "
			     "%016llx%s", p->index, how,
			     (unsigned long long)page,
			     (unsigned long long)(page +
					p->region->address / XM_PAGE), i,
			     (unsigned long long)got,
			     (unsigned long long)w->value,
			     w->unsure ? " nor what it may be" : "");
	}
}

void word_set(struct program *p, uint64_t page, unsigned i,
		     uint64_t value)
{
	p->shadow[page].words[i] = (struct word){ .value = value };
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
		if (p->shadow[i].busy)
			return false;
	}
	for (uint64_t i = page; i < page + count; i++)
		p->shadow[i].busy = true;
	return true;
}

void pages_unclaim(struct program *p, uint64_t page, uint64_t count)
{
	for (uint64_t i = page; i < page + count; i++)
		p->shadow[i].busy = false;
}

/* --- outcomes ------------------------------------------------------------------------ */

void outcome_note(struct program *p, enum outcome_call call,
		    enum outcome_result result)
{
	enum outcome_trouble worst = outcome_worst(&p->watch);

	sim_counts.outcomes[call][worst][result]++;
	if (call == OUTCOME_TAKE && result == OUTCOME_OK)
		outcome_taken(&p->watch, world_now());
	if (!outcome_listed(call, worst, result))
		world_note("outcome not in the list", call, worst, result);
}

/* What a call returned. */
bool call_went(struct program *p, int rc)
{
	if (rc >= 0)
		return true;
	sim_counts.failed++;
	if (rc == -ESTALE)
		p->lost = true;
	world_note("program.failed: client {client}: a call failed: "
		   "{error:error}", p->index, (uint64_t)-rc, 0);
	return false;
}
