/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of the snapshot machine's world and its laws; see snapshot.h. */
#include "sim/snapshot.h"

#include <string.h>

#include "core/pure/snapshot.h"
#include "sim/counts.h"
#include "sim/notes.h"
#include "sim/world.h"

#define SIZE 16	 /* bytes of a page */
#define BATCH 4	 /* records, frames or places that come at once */
#define BATCHES 64

/* A page as the process has it. */
struct page {
	uint64_t words[SIZE / 8]; /* both are equal */
	bool owned;	/* the program has allocated it */
	bool kept;	/* it has freed it, and a child can see it */
	bool written;	/* it has contents; else it is all zero */
	bool present, writable;
};

/* A page as a child must see it. */
struct view {
	uint64_t word;
	bool seen;	/* it was allocated at the fork */
	bool asked;	/* it was not present then: the child asks for it */
	bool changed;	/* the process has changed it since */
	bool may_be_lost;
};

struct child {
	bool alive;
	uint32_t number;
	struct view views[PAST_REGIONS][PAST_PAGES];
};

static struct {
	struct xm_snapshot machine;
	struct xm_snapshot_read read[PAST_SNAPSHOTS];
	uint32_t tables[PAST_REGIONS][6 * PAST_PAGES];
	struct page pages[PAST_REGIONS][PAST_PAGES];
	struct child children[PAST_CHILDREN];
	uint64_t value; /* of the last write */
	bool refused;

	struct xm_snapshot_record records[BATCHES][BATCH];
	uint64_t frames[BATCHES][BATCH][SIZE / 8];
	uint64_t places[BATCHES * BATCH][SIZE / 8];
	uint32_t record_batches, frame_batches, place_batches;

	/* A copy under way, of a page that has not changed. */
	bool copying;
	uint32_t copy_child, copy_region, copy_page;
	uint64_t copy_half;
	/* A frame that is being written. */
	bool spilling;
	const void *spill_frame;
	uint64_t spill_place;
	bool swept; /* by a whole sweep, and no child has ended since */
} p;

static void law(bool held, const char *words, uint64_t a, uint64_t b)
{
	sim_counts.laws_asked++;
	if (!held)
		world_broken("snapshot", "%s: %llu, %llu", words,
			     (unsigned long long)a, (unsigned long long)b);
}

/* --- the laws about memory ---------------------------------------------------------- */

static struct xm_snapshot_record *record_at(uint32_t index)
{
	return &p.machine.batches[index / BATCH][index % BATCH];
}

static bool is_read(uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < PAST_CHILDREN; i++) {
		const struct child *c = &p.children[i];

		if (c->alive && from <= c->number && c->number <= to)
			return true;
	}
	return false;
}

static void ask_records(void)
{
	uint8_t places[BATCHES * BATCH] = { 0 };
	uint64_t used = 0, framed = 0, unused = 0;

	for (uint32_t i = 1; i < p.machine.record_count; i++) {
		const struct xm_snapshot_record *r = record_at(i);

		if (r->place != 0) {
			law(r->place <= p.machine.places_used &&
				    places[r->place - 1]++ == 0,
			    "a place is one record's", i, r->place - 1);
		}
		if (r->to == 0 && p.machine.spilling != i)
			continue;
		used++;
		framed += r->frame != NULL;
		law(r->to == 0 || !p.swept || is_read(r->from, r->to),
		    "after a sweep a record has a reader", r->from, r->to);
	}
	for (const void *f = p.machine.free_frames; f != NULL; unused++)
		f = *(const void *const *)f;
	law(used == p.machine.records_used, "records are counted", used,
	    p.machine.records_used);
	law(framed == p.machine.frames_used &&
		    framed + unused == p.machine.frames,
	    "frames are in use or free", framed, unused);
	law(p.machine.places_used <= p.machine.places &&
		    p.machine.places <= (uint64_t)p.place_batches * BATCH,
	    "places are there", p.machine.places_used, p.machine.places);
}

/* A page's records, newest first, are for snapshots that lie apart. */
static void ask_page(uint32_t region, uint32_t page)
{
	uint32_t before = p.machine.number + 1;
	uint32_t index = p.machine.tables[region].head[page];

	for (; index != 0; index = record_at(index)->next) {
		const struct xm_snapshot_record *r = record_at(index);

		law(r->region == region && r->page == page && r->to < before &&
			    r->from <= r->to && r->from > 0,
		    "records of a page follow each other", region, page);
		before = r->from;
	}
}

static void ask_laws(void)
{
	ask_records();
	for (uint32_t r = 0; r < PAST_REGIONS; r++)
		for (uint32_t i = 0; i < PAST_PAGES; i++)
			ask_page(r, i);
}

static void step_ends(const char *what, uint64_t a, uint64_t b, uint64_t c)
{
	world_note(what, a, b, c);
	sim_counts.operations++;
	ask_laws();
}

/* --- memory for the machine ---------------------------------------------------------- */

void past_refuse(bool refused)
{
	p.refused = refused;
}

static bool give(enum xm_snapshot_need need)
{
	if (p.refused)
		return false;
	switch (need) {
	case XM_SNAPSHOT_NEEDS_RECORDS:
		if (p.record_batches == BATCHES)
			return false;
		memset(p.records[p.record_batches], 0, sizeof(p.records[0]));
		return xm_snapshot_add_records(&p.machine,
					       p.records[p.record_batches++]);
	case XM_SNAPSHOT_NEEDS_FRAMES:
		if (p.frame_batches == BATCHES)
			return false;
		xm_snapshot_add_frames(&p.machine, p.frames[p.frame_batches++],
				       BATCH);
		return true;
	case XM_SNAPSHOT_NEEDS_PLACES:
		if (p.place_batches == BATCHES)
			return false;
		p.place_batches++;
		xm_snapshot_add_places(&p.machine, BATCH);
		return true;
	default: return false;
	}
}

/* --- the process ----------------------------------------------------------------------- */

void past_open(void)
{
	const struct xm_snapshot_options options = {
		.page_size = SIZE, .batch_records = BATCH, .read = p.read,
		.read_max = PAST_SNAPSHOTS,
	};

	memset(&p, 0, sizeof(p));
	xm_snapshot_init(&p.machine, &options);
	XM_ASSERT(xm_snapshot_table_size(PAST_PAGES) == sizeof(p.tables[0]));
	for (uint32_t r = 0; r < PAST_REGIONS; r++)
		xm_snapshot_add_region(&p.machine, r, PAST_PAGES, p.tables[r]);
}

static bool any_sees(uint32_t region, uint32_t page)
{
	for (uint32_t i = 0; i < PAST_CHILDREN; i++)
		if (p.children[i].alive &&
		    p.children[i].views[region][page].seen)
			return true;
	return false;
}

static void discard(struct page *page)
{
	*page = (struct page){ .owned = false };
}

void past_allocate(uint32_t region, uint32_t page, uint32_t count)
{
	for (uint32_t i = page; i < page + count; i++) {
		XM_ASSERT(!p.pages[region][i].owned && !p.pages[region][i].kept);
		p.pages[region][i].owned = true;
	}
	xm_snapshot_allocated(&p.machine, region, page, count);
	step_ends("past.allocate: region {region} from page {page} on: {count} pages",
		  region, page, count);
}

static void page_freed(uint32_t region, uint32_t page, bool kept)
{
	struct page *at = &p.pages[region][page];

	law(kept == (at->kept || any_sees(region, page)),
	    kept ? "what no child sees is free at once"
		 : "what a child sees is kept",
	    region, page);
	if (!kept)
		discard(at);
	at->owned = false;
	at->kept = kept;
}

void past_free(uint32_t region, uint32_t page, uint32_t count)
{
	uint32_t end = page + count;

	while (page < end) {
		bool kept;
		uint64_t n = xm_snapshot_free(&p.machine, region, page,
					      end - page, &kept);

		law(n > 0 && n <= end - page, "a part of it is freed", page, n);
		for (uint32_t i = page; i < page + n; i++)
			page_freed(region, i, kept);
		step_ends(kept ? "past.free_later: region {region} from page {page} on: {count} pages"
			       : "past.free: region {region} from page {page} on: {count} pages",
			  region, page, n);
		page += (uint32_t)n;
	}
}

/* Whether a child lives that sees the page and needs it as it is now. */
static bool any_needs(uint32_t region, uint32_t page)
{
	for (uint32_t i = 0; i < PAST_CHILDREN; i++) {
		const struct view *v = &p.children[i].views[region][page];

		if (p.children[i].alive && v->seen && !v->changed)
			return true;
	}
	return false;
}

static void views_change(uint32_t region, uint32_t page, bool lost)
{
	for (uint32_t i = 0; i < PAST_CHILDREN; i++) {
		struct view *v = &p.children[i].views[region][page];

		v->may_be_lost |= lost && !v->changed;
		v->changed = true;
	}
}

/* Before the page becomes writable. */
static void report_change(uint32_t region, uint32_t page)
{
	struct page *at = &p.pages[region][page];
	bool needed = any_needs(region, page), lost = false;
	uint32_t records = p.machine.records_used;
	enum xm_snapshot_need need;

	while ((need = xm_snapshot_change(&p.machine, region, page,
					  at->written ? at->words : NULL)) !=
	       XM_SNAPSHOT_DONE) {
		if (give(need))
			continue;
		lost = true;
		xm_snapshot_lose(&p.machine, region, page);
		world_note("past.refused: region {region} page {page}: its past is lost",
			   region, page, 0);
		break;
	}
	law(lost || p.machine.records_used - records <= needed,
	    "what no child needs is not saved", region, page);
	views_change(region, page, lost);
}

void past_write(uint32_t region, uint32_t page)
{
	struct page *at = &p.pages[region][page];

	XM_ASSERT(at->owned);
	if (!at->writable)
		report_change(region, page);
	at->writable = at->present = at->written = true;
	at->words[0] = at->words[1] = ++p.value;
	step_ends("past.write: region {region} page {page} has {value} now",
		  region, page, p.value);
}

void past_write_back(uint32_t region, uint32_t page)
{
	p.pages[region][page].writable = false;
	step_ends("past.write_back: region {region} page {page}", region, page,
		  0);
}

void past_evict(uint32_t region, uint32_t page)
{
	p.pages[region][page].writable = p.pages[region][page].present = false;
	step_ends("past.evict: region {region} page {page}", region, page, 0);
}

/* --- children ---------------------------------------------------------------------------- */

static uint32_t child_place(void)
{
	for (uint32_t i = 0; i < PAST_CHILDREN; i++)
		if (!p.children[i].alive)
			return i;
	return UINT32_MAX;
}

static void view_begin(struct view *v, const struct page *page)
{
	*v = (struct view){ .seen = page->owned,
			    .asked = page->owned && !page->present,
			    .word = page->written ? page->words[0] : 0 };
}

uint32_t past_fork(void)
{
	uint32_t i = child_place(), number;
	struct child *c = &p.children[i];
	int rc;

	if (i == UINT32_MAX)
		return i;
	rc = xm_snapshot_begin(&p.machine, &number);
	law(rc == 0 || p.machine.read_count == PAST_SNAPSHOTS,
	    "a fork is refused only if too many snapshots are read",
	    p.machine.read_count, 0);
	if (rc != 0) {
		step_ends("past.fork: refused", 0, 0, 0);
		return UINT32_MAX;
	}
	c->alive = true;
	c->number = number;
	for (uint32_t r = 0; r < PAST_REGIONS; r++)
		for (uint32_t k = 0; k < PAST_PAGES; k++)
			view_begin(&c->views[r][k], &p.pages[r][k]);
	step_ends("past.fork: child {child} has snapshot {number}", i, number,
		  0);
	return i;
}

uint32_t past_child_fork(uint32_t child)
{
	uint32_t i = child_place();

	if (i == UINT32_MAX)
		return i;
	p.children[i] = p.children[child];
	xm_snapshot_reader_begins(&p.machine, p.children[i].number);
	step_ends("past.child_fork: child {child} is one of child {parent}, with snapshot {number}",
		  i, child, p.children[i].number);
	return i;
}

void past_child_end(uint32_t child)
{
	struct child *c = &p.children[child];

	c->alive = false;
	p.swept = false;
	if (p.copying && p.copy_child == child)
		p.copying = false;
	xm_snapshot_reader_ends(&p.machine, c->number);
	step_ends("past.end: child {child}, of snapshot {number}", child,
		  c->number, 0);
}

static void answered(uint32_t child, uint32_t region, uint32_t page,
		     const uint64_t words[2])
{
	const struct view *v = &p.children[child].views[region][page];

	law(words[0] == v->word && words[1] == v->word,
	    "a child sees the past", words[0], v->word);
	step_ends("past.answer: child {child} page {page} had {value}", child,
		  page, words[0]);
}

/* False: the page has not changed. */
static bool answer_saved(uint32_t child, uint32_t region, uint32_t page)
{
	const struct child *c = &p.children[child];
	uint64_t words[SIZE / 8] = { 0 }, place;
	const void *frame;

	switch (xm_snapshot_find(&p.machine, region, page, c->number, &frame,
				 &place)) {
	case XM_SNAPSHOT_UNCHANGED: return false;
	case XM_SNAPSHOT_LOST:
		law(c->views[region][page].may_be_lost,
		    "a page is lost only where memory was refused", region,
		    page);
		step_ends("past.lost: child {child}: region {region} page {page}",
			  child, region, page);
		return true;
	case XM_SNAPSHOT_FRAME: memcpy(words, frame, SIZE); break;
	case XM_SNAPSHOT_PLACE: memcpy(words, p.places[place], SIZE); break;
	case XM_SNAPSHOT_ZEROS: break;
	}
	answered(child, region, page, words);
	return true;
}

void past_ask(uint32_t child, uint32_t region, uint32_t page)
{
	if (p.copying || !p.children[child].views[region][page].asked)
		return;
	if (answer_saved(child, region, page))
		return;
	p.copying = true;
	p.copy_child = child;
	p.copy_region = region;
	p.copy_page = page;
	p.copy_half = p.pages[region][page].words[0];
	step_ends("past.copy: child {child} is given region {region} page {page} as it is",
		  child, region, page);
}

void past_copied(void)
{
	uint64_t words[2];

	if (!p.copying)
		return;
	p.copying = false;
	if (answer_saved(p.copy_child, p.copy_region, p.copy_page))
		return;
	words[0] = p.copy_half;
	words[1] = p.pages[p.copy_region][p.copy_page].words[1];
	answered(p.copy_child, p.copy_region, p.copy_page, words);
}

/* --- spilling, sweeping and the end -------------------------------------------------------- */

void past_spill(void)
{
	enum xm_snapshot_need need;

	if (p.spilling)
		return;
	do
		need = xm_snapshot_spill(&p.machine, &p.spill_frame,
					 &p.spill_place);
	while (need == XM_SNAPSHOT_NEEDS_PLACES && give(need));
	p.spilling = need == XM_SNAPSHOT_DONE;
	if (p.spilling)
		step_ends("past.spill: a frame is written to place {place}",
			  p.spill_place, 0, 0);
}

void past_spilled(bool well)
{
	if (!p.spilling)
		return;
	p.spilling = false;
	/* The frame is read until the end. */
	if (well)
		memcpy(p.places[p.spill_place], p.spill_frame, SIZE);
	xm_snapshot_spilled(&p.machine, well);
	step_ends(well ? "past.spilled: place {place} is written"
		       : "past.spilled: place {place} cannot be written",
		  p.spill_place, 0, 0);
}

void past_sweep(uint32_t records)
{
	bool from_the_start = p.machine.sweep_at == 0;
	bool more = xm_snapshot_sweep(&p.machine, records);

	/* Children that end during a sweep need another one. */
	p.swept = !more && from_the_start;
	step_ends(more ? "past.sweep: {count} records are in use, so far"
		       : "past.sweep: {count} records are in use",
		  p.machine.records_used, 0, 0);
}

void past_give_back(void)
{
	uint32_t region;
	uint64_t page, count;

	while (xm_snapshot_next_free(&p.machine, &region, &page, &count)) {
		for (uint64_t i = page; i < page + count; i++) {
			law(p.pages[region][i].kept && !any_sees(region, (uint32_t)i),
			    "what a child sees is not given back", region, i);
			discard(&p.pages[region][i]);
		}
		step_ends("past.give_back: region {region} from page {page} on: {count} pages",
			  region, page, count);
	}
	for (uint32_t r = 0; r < PAST_REGIONS; r++)
		for (uint32_t i = 0; i < PAST_PAGES; i++)
			law(!p.pages[r][i].kept || any_sees(r, i),
			    "what no child sees is given back", r, i);
}

void past_close(void)
{
	past_copied();
	for (uint32_t i = 0; i < PAST_CHILDREN; i++)
		if (p.children[i].alive)
			past_child_end(i);
	past_spilled(true);
	past_give_back();
	do
		past_sweep(3);
	while (p.machine.sweep_at != 0);
	past_sweep(UINT32_MAX);
	law(p.machine.readers == 0 && p.machine.read_count == 0 &&
		    !xm_snapshot_needs_sweep(&p.machine),
	    "without children nothing is read", p.machine.readers,
	    p.machine.read_count);
	law(p.machine.records_used == 0 && p.machine.frames_used == 0 &&
		    p.machine.runs == 0,
	    "without children nothing is kept", p.machine.records_used,
	    p.machine.runs);
	xm_snapshot_reset(&p.machine);
	p.record_batches = p.frame_batches = p.place_batches = 0;
	step_ends("past.close: nothing is left", 0, 0, 0);
}

/* --- for who draws steps --------------------------------------------------------------------- */

bool past_is_owned(uint32_t region, uint32_t page)
{
	return p.pages[region][page].owned;
}

bool past_is_kept(uint32_t region, uint32_t page)
{
	return p.pages[region][page].kept;
}

uint32_t past_child_from(uint32_t first)
{
	for (uint32_t n = 0; n < PAST_CHILDREN; n++) {
		uint32_t i = (first + n) % PAST_CHILDREN;

		if (p.children[i].alive)
			return i;
	}
	return UINT32_MAX;
}
