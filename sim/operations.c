/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations that programs are made of: loads and stores, sync, advice and pins;
 * see program.h. */
#include <errno.h>

#include "sim/counts.h"
#include "sim/fibers.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/outcomes.h"
#include "sim/program.h"
#include "sim/shape.h"

uint8_t *page_address(const struct program *p, uint64_t page)
{
	return (uint8_t *)extmem_region_address(p->region) + page * XM_PAGE;
}

/* --- loads and stores ------------------------------------------------------------------- */

/* Returns false when the page is lost. A page that another thread writes
 * explicitly is left alone: what a load sees then is either. */
static bool load_store(struct program *p, uint64_t page, bool load, bool store)
{
	unsigned i = (unsigned)below(WORDS);
	uint64_t *at = (uint64_t *)(void *)(page_address(p, page) + word_places[i]);
	bool here;

	/* What is seen of one that is busy is anybody's guess. */
	if (p->shadow->page[page].busy)
		return below(4) != 0 || around_touch(p, page, false);
	here = around_touch(p, page, store && !load);
	around_outcome(p, load ? OUTCOME_LOAD : OUTCOME_STORE,
		here ? OUTCOME_OK : OUTCOME_SIGBUS);
	if (!here) {
		sim_counts.lost++;
		oracle_page_lost();
		return false;
	}
	if (p->shadow->page[page].busy)
		return true;
	if (load) {
		word_check(p, page, i, *at, "loaded");
		sim_counts.loads++;
	}
	if (!store)
		return true;
	/* Between the load and the store of a read-modify-write the page may
	 * go, and others may be there first. */
	if (load && !around_touch(p, page, true)) {
		sim_counts.lost++;
		oracle_page_lost();
		return false;
	}
	if (p->shadow->page[page].busy)
		return true;
	*at = word_fresh(p);
	word_set(p, page, i, *at);
	sim_counts.stores++;
	return true;
}

void op_touch(struct program *p)
{
	uint64_t page = below(p->shadow->pages), count = 1 + below(12);
	int64_t step = 1;
	unsigned kind = (unsigned)below(3);

	switch (below(6)) {
	case 0: step = 1; break;
	case 1: step = -1; break;
	case 2: step = 1 + (int64_t)below(4); break;
	case 3: count = 1 + below(p->shadow->pages); break;
	default: step = 0; break;
	}
	for (uint64_t i = 0; i < count && !p->lost; i++) {
		if (step == 0) /* skewed: low pages are hot */
			page = below(1 + below(p->shadow->pages));
		if (!load_store(p, page, kind != 1, kind != 0))
			return;
		if ((step > 0 && page + (uint64_t)step >= p->shadow->pages) ||
		    (step < 0 && page < (uint64_t)-step))
			return;
		page += (uint64_t)step;
	}
}

/* --- the rest of the interface --------------------------------------------------------------- */

void op_sync(struct program *p)
{
	uint64_t page = below(p->shadow->pages);
	bool all = below(2) == 0;
	uint64_t size = all ? 0 : (1 + below(p->shadow->pages - page)) * XM_PAGE;
	/* What others change from now on may come too late. */
	uint64_t changes = p->shadow->changes;
	int rc = CALL(extmem_sync, p->region, all ? 0 : page * XM_PAGE, size);

	around_outcome(p, OUTCOME_SYNC, outcome_result(rc));
	if (call_went(p, rc))
		pages_remote(p, all ? 0 : page, all ? p->shadow->pages : size / XM_PAGE,
			  changes, "synced");
}

void op_advise(struct program *p)
{
	static const enum extmem_advice kinds[] = {
		EXTMEM_NORMAL, EXTMEM_SEQUENTIAL, EXTMEM_RANDOM,
		EXTMEM_WILLNEED, EXTMEM_COLD, EXTMEM_DONTNEED,
	};
	enum extmem_advice advice = kinds[below(XM_COUNT(kinds))];
	uint64_t page = below(p->shadow->pages);
	uint64_t count = 1 + below(xm_min(16, p->shadow->pages - page));
	int rc;

	if (advice != EXTMEM_DONTNEED) {
		rc = CALL(extmem_advise, p->region, page * XM_PAGE,
			  count * XM_PAGE, advice);
		around_outcome(p, OUTCOME_ADVISE, outcome_result(rc));
		call_went(p, rc);
		return;
	}
	if (!pages_claim(p, page, count))
		return;
	for (uint64_t i = page; i < page + count; i++) {
		for (unsigned k = 0; k < WORDS; k++) {
			struct word *w = &p->shadow->page[i].words[k];

			if (w->unsure) {
				pages_unclaim(p, page, count);
				return;
			}
		}
	}
	rc = CALL(extmem_advise, p->region, page * XM_PAGE, count * XM_PAGE,
		  advice);
	around_outcome(p, OUTCOME_ADVISE, outcome_result(rc));
	world_note("program.discard: from page {page} on, {count} in all: "
		   "{error:error}", page, count, (uint64_t)-rc);
	for (uint64_t i = page; i < page + count; i++) {
		for (unsigned k = 0; k < WORDS; k++) {
			struct word *w = &p->shadow->page[i].words[k];

			if (rc == 0) {
				word_set(p, i, k, 0);
			} else if (w->value != 0) {
				w->maybe = 0;
				w->by = 0;
				w->unsure = true;
			}
		}
	}
	call_went(p, rc);
	pages_unclaim(p, page, count);
}

void op_pin(struct program *p)
{
	uint64_t page = below(p->shadow->pages);
	/* Now and then more than can be pinned. */
	uint64_t most = below(8) == 0 ? 200 : 3;
	uint64_t count = 1 + below(xm_min(most, p->shadow->pages - page));
	uint8_t *at = page_address(p, page);
	bool write = below(2) == 0;
	int64_t got;

	/* Discarding memory that another thread has pinned is a mistake of the
	 * caller's; the call that uses it fails. */
	if (!pages_claim(p, page, count))
		return;
	call_begins("extmem_pin", sim_shape.timeout_ms * XM_MS);
	got = call_ends(extmem_pin(p->x, at, count * XM_PAGE, write));
	around_outcome(p, OUTCOME_PIN, outcome_result(got < 0 ? (int)got : 0));
	if (got == -ENOMEM || (got < 0 && !call_went(p, (int)got))) {
		pages_unclaim(p, page, count);
		return;
	}
	for (uint64_t i = 0; i < (uint64_t)got / XM_PAGE; i++) {
		bool here, open;

		around_look(p, page + i, &here, &open);
		if (!here || (write && !open))
			world_broken("page truth", "a pinned page is %s",
				     here ? "protected" : "not there");
	}
	world_wait(p->process, below(2 * XM_MS));
	for (uint64_t i = 0; i < (uint64_t)got / XM_PAGE; i++) {
		bool here, open;

		around_look(p, page + i, &here, &open);
		if (!here || (write && !open))
			world_broken("page truth", "a page was pinned, and is "
				     "%s now", here ? "protected" : "gone");
	}
	if (got > 0)
		extmem_unpin(p->x, at, (size_t)got);
	pages_unclaim(p, page, count);
}
