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

/* Touches a page. A law: it is denied if it has not the right, and only then, wherever it
 * is. Others may change its rights meanwhile. */
static enum xm_touched touch(struct program *p, uint64_t page, bool write)
{
	const struct shadow_page *s = &p->shadow->page[page];
	uint32_t turns = s->turns;
	bool turning = s->turning;
	enum xm_touched touched = around_touch(p, page, write);

	if (touched == XM_TOUCHED_SERVED)
		rights_ask(p, page, write);
	if (touched == XM_TOUCHED_DENIED)
		sim_counts.denied++;
	if (touched == XM_TOUCHED_DENIED && !turning && !s->turning &&
	    s->turns == turns && rights_allow(p, page, write))
		world_broken("rights", "client %u is denied a %s page %llu of its "
			     "region (arena page %llu), and has the right",
			     p->index, write ? "store to" : "load from",
			     (unsigned long long)page,
			     (unsigned long long)around_page(p, page));
	return touched;
}

/* What is seen of it is anybody's guess. */
static bool is_unclear(const struct program *p, uint64_t page)
{
	return p->shadow->page[page].busy && !p->shadow->page[page].turning;
}

static bool lost_page(void)
{
	sim_counts.lost++;
	oracle_page_lost();
	return false;
}

/* Every so often the program soon puts back what was there before its store; now and then,
 * when that was sent away. */
#define PUT_BACK 6
#define PUT_BACK_SENT 18

static void put_back(struct program *p, uint64_t page, unsigned i, uint64_t *at,
		     uint64_t before)
{
	uint64_t stored = *at;

	/* (What is shared has values that only rise; see operations_share.c.) */
	if (p->stamp % PUT_BACK != 0 || sim_shape.shares)
		return;
	if (p->stamp % PUT_BACK_SENT == 0)
		op_sync(p);
	else
		world_wait(at, XM_US);
	if (is_unclear(p, page) || touch(p, page, true) != XM_TOUCHED_SERVED ||
	    is_unclear(p, page) || *at != stored)
		return;
	*at = before;
	word_set(p, page, i, before);
	sim_counts.stores++;
}

/* Returns false when the page is lost. A page that another thread writes
 * explicitly is left alone: what a load sees then is either. */
static bool load_store(struct program *p, uint64_t page, bool load, bool store)
{
	unsigned i = (unsigned)below(WORDS);
	uint64_t *at = (uint64_t *)(void *)(page_address(p, page) + word_places[i]);
	enum xm_touched touched;
	uint64_t before;

	if (is_unclear(p, page))
		return below(4) != 0 ||
		       touch(p, page, false) != XM_TOUCHED_LOST;
	touched = touch(p, page, store && !load);
	if (touched == XM_TOUCHED_DENIED)
		return true;
	around_outcome(p, load ? OUTCOME_LOAD : OUTCOME_STORE,
		       touched == XM_TOUCHED_SERVED ? OUTCOME_OK
						    : OUTCOME_SIGBUS);
	if (touched == XM_TOUCHED_LOST)
		return lost_page();
	if (is_unclear(p, page))
		return true;
	if (load) {
		word_check(p, page, i, *at, "loaded");
		sim_counts.loads++;
	}
	if (!store)
		return true;
	/* Between the load and the store of a read-modify-write the page may
	 * go, and others may be there first. */
	if (load) {
		touched = touch(p, page, true);
		if (touched != XM_TOUCHED_SERVED)
			return touched == XM_TOUCHED_DENIED || lost_page();
	}
	if (is_unclear(p, page))
		return true;
	before = *at;
	*at = word_fresh(p);
	word_set(p, page, i, *at);
	sim_counts.stores++;
	put_back(p, page, i, at, before);
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

#define WAITS_MS 1000 /* a durable region waits so long for another client */

/* A law: when the call has returned, all of it is on the disks, or what came later. */
void op_durable(struct program *p)
{
	uint64_t page = below(p->shadow->pages);
	bool all = below(2) == 0;
	uint64_t size = all ? 0 : (1 + below(p->shadow->pages - page)) * XM_PAGE;
	uint64_t changes;
	int rc = 0;

	if (!p->durable)
		rc = CALL(extmem_region_keep_durable, p->region, WAITS_MS, NULL);
	p->durable |= rc == 0;
	if (!call_went(p, rc))
		return;
	changes = p->shadow->changes;
	rc = CALL(extmem_sync_level, p->region, all ? 0 : page * XM_PAGE, size,
		  EXTMEM_DURABLE);
	world_note("program.durable: client {client} makes its region durable: "
		   "{error:error}", p->index, (uint64_t)-rc, 0);
	if (call_went(p, rc))
		pages_durable(p, all ? 0 : page,
			      all ? p->shadow->pages : size / XM_PAGE, changes);
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

static void rights_set(struct program *p, uint64_t page, uint64_t count,
		       enum extmem_rights rights, bool turning)
{
	for (uint64_t i = page; i < page + count; i++) {
		p->shadow->page[i].rights = rights;
		p->shadow->page[i].turning = turning;
		p->shadow->page[i].turns++;
	}
}

/* Takes rights from pages, or gives them back. Only to take all of them can fail; then
 * they are given back, and this never does. */
void op_protect(struct program *p)
{
	uint64_t page = below(p->shadow->pages);
	uint64_t most = below(8) == 0 ? p->shadow->pages : 8;
	uint64_t count = 1 + below(xm_min(most, p->shadow->pages - page));
	enum extmem_rights rights = (enum extmem_rights)below(3);
	int rc;

	if (!pages_claim(p, page, count))
		return;
	rights_set(p, page, count, p->shadow->page[page].rights, true);
	rc = CALL(extmem_protect, p->region, page * XM_PAGE, count * XM_PAGE,
		  rights);
	world_note("program.protect: from page {page} on, rights {rights}: "
		   "{error:error}", page, rights, (uint64_t)-rc);
	if (rc != 0 && (rights != EXTMEM_NO_ACCESS ||
			(rc != -ENOTCONN && rc != -ETIMEDOUT)))
		world_broken("promise", "client %u cannot set rights: %d",
			     p->index, rc);
	if (!call_went(p, rc)) {
		rights = EXTMEM_READ_WRITE;
		rc = CALL(extmem_protect, p->region, page * XM_PAGE,
			  count * XM_PAGE, rights);
		if (rc != 0)
			world_broken("promise", "client %u cannot have its rights "
				     "back: %d", p->index, rc);
	}
	rights_set(p, page, count, rights, false);
	pages_unclaim(p, page, count);
}

/* How many pages from this one on may be pinned so. */
static uint64_t pinnable(const struct program *p, uint64_t page, uint64_t count,
			 bool write)
{
	uint64_t can = 0;

	while (can < count && rights_allow(p, page + can, write))
		can++;
	return can;
}

void op_pin(struct program *p)
{
	uint64_t page = below(p->shadow->pages);
	/* Now and then more than can be pinned. */
	uint64_t most = below(8) == 0 ? 200 : 3;
	uint64_t count = 1 + below(xm_min(most, p->shadow->pages - page));
	uint8_t *at = page_address(p, page);
	bool write = below(2) == 0;
	uint64_t can;
	int64_t got;

	/* Discarding memory that another thread has pinned is a mistake of the
	 * caller's; the call that uses it fails. */
	if (!pages_claim(p, page, count))
		return;
	call_begins("extmem_pin", sim_shape.timeout_ms * XM_MS);
	got = call_ends(extmem_pin(p->x, at, count * XM_PAGE, write));
	can = pinnable(p, page, count, write);
	if ((got == -EFAULT) != (can == 0) || got > (int64_t)(can * XM_PAGE))
		world_broken("rights", "client %u pins %lld bytes of %llu pages, "
			     "and has the right to %llu pages", p->index,
			     (long long)got, (unsigned long long)count,
			     (unsigned long long)can);
	if (got == -EFAULT) {
		pages_unclaim(p, page, count);
		return;
	}
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
