/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Saved pages, the snapshots they are for, and freed memory that is kept; see
 * snapshot.h.
 *
 * Why "no record" can be told apart from "lost" without a list of losses: for a
 * snapshot n that is read, a page with saved >= n has been reported after the
 * snapshot began, and a record was made then (n was read, since snapshots gain
 * no first reader later) and is still there (it goes only when none of its
 * snapshots is read). So if saved >= n and there is no record, memory was
 * refused; if saved < n the page has not changed.
 *
 * Floor: ground.
 */
#include "core/pure/snapshot.h"

#include <errno.h>
#include <string.h>

#include "core/pure/plant.h"

void xm_snapshot_init(struct xm_snapshot *s,
		      const struct xm_snapshot_options *options)
{
	XM_ASSERT(options->page_size >= sizeof(void *));
	XM_ASSERT(options->batch_records > 1 && options->read_max > 0);
	memset(s, 0, sizeof(*s));
	s->options = *options;
	s->record_count = 1;
	s->spill_at = 1;
}

#define TABLE_ARRAYS 6

uint64_t xm_snapshot_table_size(uint64_t pages)
{
	return TABLE_ARRAYS * sizeof(uint32_t) * pages;
}

void xm_snapshot_add_region(struct xm_snapshot *s, uint32_t region,
			    uint64_t pages, void *memory)
{
	struct xm_snapshot_table *t = &s->tables[region];
	uint32_t *array = memory;

	XM_ASSERT(region < XM_SNAPSHOT_REGIONS_MAX && t->pages == 0);
	XM_ASSERT(pages > 0 && pages < UINT32_MAX);
	t->pages = pages;
	t->saved = array;
	t->head = array + pages;
	t->born = array + 2 * pages;
	t->freed = array + 3 * pages;
	t->run_count = array + 4 * pages;
	t->run_next = array + 5 * pages;
}

bool xm_snapshot_has_region(const struct xm_snapshot *s, uint32_t region)
{
	return region < XM_SNAPSHOT_REGIONS_MAX && s->tables[region].pages > 0;
}

static bool has_page(const struct xm_snapshot *s, uint32_t region,
		     uint64_t page)
{
	return xm_snapshot_has_region(s, region) &&
	       page < s->tables[region].pages;
}

/* --- snapshots and their readers ------------------------------------------------ */

/* Index of the first snapshot that is read and has this number or a later one. */
static uint32_t first_with_reader(const struct xm_snapshot *s, uint32_t number)
{
	uint32_t low = 0, high = s->read_count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (s->options.read[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Whether any of these snapshots is read. */
static bool any_read(const struct xm_snapshot *s, uint32_t from, uint32_t to)
{
	uint32_t i = first_with_reader(s, from);

	return i < s->read_count && s->options.read[i].number <= to;
}

int xm_snapshot_begin(struct xm_snapshot *s, uint32_t *ret_number)
{
	if (s->read_count == s->options.read_max ||
	    s->number == UINT32_MAX - 1)
		return -ENOSPC;
	s->number++;
	s->options.read[s->read_count++] =
		(struct xm_snapshot_read){ .number = s->number, .readers = 1 };
	s->readers++;
	*ret_number = s->number;
	return 0;
}

static struct xm_snapshot_read *read_at(struct xm_snapshot *s, uint32_t number)
{
	uint32_t i = first_with_reader(s, number);

	XM_ASSERT(i < s->read_count && s->options.read[i].number == number);
	return &s->options.read[i];
}

void xm_snapshot_reader_begins(struct xm_snapshot *s, uint32_t number)
{
	struct xm_snapshot_read *r = read_at(s, number);

	s->readers++;
	if (!XM_PLANTED(snapshot_reader_uncounted))
		r->readers++;
}

void xm_snapshot_reader_ends(struct xm_snapshot *s, uint32_t number)
{
	struct xm_snapshot_read *r;

	if (XM_PLANTED(snapshot_reader_uncounted) &&
	    !any_read(s, number, number)) {
		s->readers--;
		return;
	}
	r = read_at(s, number);
	s->readers--;
	if (--r->readers > 0)
		return;
	s->read_count--;
	memmove(r, r + 1,
		(size_t)(&s->options.read[s->read_count] - r) * sizeof(*r));
	s->sweep_needed = true;
}

/* --- records ---------------------------------------------------------------------- */

static struct xm_snapshot_record *record_at(const struct xm_snapshot *s,
					    uint32_t index)
{
	return &s->batches[index / s->options.batch_records]
			  [index % s->options.batch_records];
}

static void *frame_next(void *frame)
{
	void *next;

	memcpy(&next, frame, sizeof(next));
	return next;
}

static void frame_put(struct xm_snapshot *s, void *frame)
{
	memcpy(frame, &s->free_frames, sizeof(s->free_frames));
	s->free_frames = frame;
}

static void *frame_take(struct xm_snapshot *s)
{
	void *frame = s->free_frames;

	s->free_frames = frame_next(frame);
	s->frames_used++;
	return frame;
}

static uint32_t list_take(struct xm_snapshot *s, uint32_t *list)
{
	uint32_t index = *list;

	if (index != 0)
		*list = record_at(s, index)->next;
	return index;
}

static void list_put(struct xm_snapshot *s, uint32_t *list, uint32_t index)
{
	record_at(s, index)->next = *list;
	*list = index;
}

static uint32_t record_take(struct xm_snapshot *s)
{
	uint32_t index = list_take(s, &s->free_plain);

	if (index == 0 &&
	    s->record_count < s->batch_count * s->options.batch_records)
		index = s->record_count++;
	if (index == 0)
		index = list_take(s, &s->free_placed);
	if (index != 0)
		s->records_used++;
	return index;
}

static void record_put(struct xm_snapshot *s, uint32_t index)
{
	struct xm_snapshot_record *r = record_at(s, index);

	if (r->frame != NULL) {
		frame_put(s, r->frame);
		s->frames_used--;
	}
	r->frame = NULL;
	r->stored = false;
	list_put(s, r->place != 0 ? &s->free_placed : &s->free_plain, index);
	s->records_used--;
}

/* No snapshot of it is read. While its frame is being written it stays. */
static void record_end(struct xm_snapshot *s, uint32_t index)
{
	struct xm_snapshot_record *r = record_at(s, index);
	uint32_t *at = &s->tables[r->region].head[r->page];

	while (*at != index)
		at = &record_at(s, *at)->next;
	*at = r->next;
	r->to = 0;
	if (index != s->spilling || XM_PLANTED(snapshot_spill_races))
		record_put(s, index);
}

/* --- what the program does ------------------------------------------------------ */

static void record_make(struct xm_snapshot *s, uint32_t index, uint32_t region,
			uint64_t page, uint32_t from, const void *contents)
{
	struct xm_snapshot_table *t = &s->tables[region];
	struct xm_snapshot_record *r = record_at(s, index);

	r->from = XM_PLANTED(snapshot_newest_only) ? s->number : from;
	r->to = s->number;
	r->next = t->head[page];
	r->region = (uint8_t)region;
	r->page = page;
	if (contents != NULL) {
		r->frame = frame_take(s);
		memcpy(r->frame, contents, s->options.page_size);
	}
	t->head[page] = index;
	t->saved[page] = s->number;
}

enum xm_snapshot_need xm_snapshot_change(struct xm_snapshot *s, uint32_t region,
					 uint64_t page, const void *contents)
{
	struct xm_snapshot_table *t = &s->tables[region];
	uint32_t from, index;

	if (!has_page(s, region, page) || t->saved[page] >= s->number)
		return XM_SNAPSHOT_DONE;
	from = t->saved[page] + 1;
	if (t->born[page] >= from && !XM_PLANTED(snapshot_unseen_saved))
		from = t->born[page] + 1;
	if (!any_read(s, from, s->number) ||
	    (XM_PLANTED(snapshot_zeros_unsaved) && contents == NULL)) {
		t->saved[page] = s->number;
		return XM_SNAPSHOT_DONE;
	}
	if (contents != NULL && s->free_frames == NULL)
		return XM_SNAPSHOT_NEEDS_FRAMES;
	index = record_take(s);
	if (index == 0)
		return XM_SNAPSHOT_NEEDS_RECORDS;
	record_make(s, index, region, page, from, contents);
	return XM_SNAPSHOT_DONE;
}

void xm_snapshot_lose(struct xm_snapshot *s, uint32_t region, uint64_t page)
{
	if (!has_page(s, region, page) || XM_PLANTED(snapshot_loss_forgotten))
		return;
	s->tables[region].saved[page] = s->number;
}

void xm_snapshot_allocated(struct xm_snapshot *s, uint32_t region,
			   uint64_t page, uint64_t count)
{
	struct xm_snapshot_table *t = &s->tables[region];

	for (uint64_t i = page; has_page(s, region, i) && i < page + count; i++)
		t->born[i] = s->number;
}

uint64_t xm_snapshot_free(struct xm_snapshot *s, uint32_t region, uint64_t page,
			  uint64_t count, bool *ret_kept)
{
	struct xm_snapshot_table *t = &s->tables[region];
	uint64_t n = 1;

	*ret_kept = false;
	if (!has_page(s, region, page))
		return count;
	while (n < count && page + n < t->pages &&
	       ((t->born[page + n] == t->born[page] &&
		 (t->freed[page + n] != 0) == (t->freed[page] != 0)) ||
		XM_PLANTED(snapshot_first_page_decides)))
		n++;
	if (t->freed[page] == 0 && !any_read(s, t->born[page] + 1, s->number))
		return n;
	*ret_kept = true;
	if (t->freed[page] != 0)
		return n;
	for (uint64_t i = page; i < page + n; i++)
		t->freed[i] = s->number;
	t->run_count[page] = (uint32_t)n;
	t->run_next[page] = t->run_head;
	t->run_head = (uint32_t)page + 1;
	s->runs++;
	return n;
}

/* --- what a child asks ------------------------------------------------------------ */

enum xm_snapshot_found xm_snapshot_find(const struct xm_snapshot *s,
					uint32_t region, uint64_t page,
					uint32_t number, const void **ret_frame,
					uint64_t *ret_place)
{
	uint32_t index;

	if (!has_page(s, region, page))
		return XM_SNAPSHOT_LOST;
	for (index = s->tables[region].head[page]; index != 0;) {
		const struct xm_snapshot_record *r = record_at(s, index);

		if (r->from <= number && number <= r->to) {
			*ret_frame = r->frame;
			*ret_place = r->place - 1;
			return r->frame != NULL ? XM_SNAPSHOT_FRAME
			       : r->stored	? XM_SNAPSHOT_PLACE
						: XM_SNAPSHOT_ZEROS;
		}
		index = r->next;
	}
	return s->tables[region].saved[page] >= number ? XM_SNAPSHOT_LOST
						       : XM_SNAPSHOT_UNCHANGED;
}

/* --- memory ----------------------------------------------------------------------- */

bool xm_snapshot_add_records(struct xm_snapshot *s,
			     struct xm_snapshot_record *batch)
{
	if (s->batch_count == XM_SNAPSHOT_BATCHES_MAX)
		return false;
	s->batches[s->batch_count++] = batch;
	return true;
}

void xm_snapshot_add_frames(struct xm_snapshot *s, void *memory, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		frame_put(s, (char *)memory + i * s->options.page_size);
	s->frames += count;
}

void xm_snapshot_add_places(struct xm_snapshot *s, uint64_t count)
{
	s->places += count;
}

/* The next record with a frame, in the order of their numbers; 0: none. */
static uint32_t framed_next(struct xm_snapshot *s)
{
	if (s->frames_used == 0)
		return 0;
	for (uint32_t n = 1; n < s->record_count; n++) {
		uint32_t index = s->spill_at;

		s->spill_at = index + 1 < s->record_count ? index + 1 : 1;
		if (index < s->record_count &&
		    record_at(s, index)->frame != NULL)
			return index;
	}
	return 0;
}

/* A place of its own for a record: that which a free record has, or a new one.
 * False: there is none. */
static bool place_take(struct xm_snapshot *s, struct xm_snapshot_record *r)
{
	uint32_t index;

	if (r->place != 0)
		return true;
	index = list_take(s, &s->free_placed);
	if (index != 0) {
		r->place = record_at(s, index)->place;
		if (!XM_PLANTED(snapshot_place_twice))
			record_at(s, index)->place = 0;
		list_put(s, record_at(s, index)->place != 0 ? &s->free_placed
							    : &s->free_plain,
			 index);
		return true;
	}
	if (s->places_used == s->places)
		return false;
	r->place = ++s->places_used;
	return true;
}

enum xm_snapshot_need xm_snapshot_spill(struct xm_snapshot *s,
					const void **ret_frame,
					uint64_t *ret_place)
{
	struct xm_snapshot_record *r;
	uint32_t index;

	XM_ASSERT(s->spilling == 0);
	index = framed_next(s);
	if (index == 0)
		return XM_SNAPSHOT_NOTHING;
	r = record_at(s, index);
	if (!place_take(s, r)) {
		s->spill_at = index;
		return XM_SNAPSHOT_NEEDS_PLACES;
	}
	s->spilling = index;
	*ret_frame = r->frame;
	*ret_place = r->place - 1;
	return XM_SNAPSHOT_DONE;
}

void xm_snapshot_spilled(struct xm_snapshot *s, bool well)
{
	uint32_t index = s->spilling;
	struct xm_snapshot_record *r = record_at(s, index);

	XM_ASSERT(index != 0);
	s->spilling = 0;
	if (r->to == 0) {
		if (!XM_PLANTED(snapshot_spill_races))
			record_put(s, index);
		return;
	}
	if (!well || r->frame == NULL)
		return;
	frame_put(s, r->frame);
	s->frames_used--;
	r->frame = NULL;
	r->stored = true;
}

bool xm_snapshot_needs_sweep(const struct xm_snapshot *s)
{
	return s->sweep_needed || s->sweep_at != 0;
}

bool xm_snapshot_has_doubled(const struct xm_snapshot *s)
{
	return s->records_used >= 2 * (uint64_t)s->records_swept + 1024;
}

bool xm_snapshot_sweep(struct xm_snapshot *s, uint32_t most)
{
	if (s->sweep_at == 0) {
		s->sweep_at = 1;
		s->sweep_needed = false;
	}
	for (; most > 0 && s->sweep_at < s->record_count; most--) {
		const struct xm_snapshot_record *r = record_at(s, s->sweep_at);
		uint32_t from = XM_PLANTED(snapshot_newest_reader) ? r->to
								   : r->from;

		/* A record of snapshots that have ended does not become needed
		 * again: a new snapshot is later than all of them. */
		if (r->to != 0 && !any_read(s, from, r->to))
			record_end(s, s->sweep_at);
		s->sweep_at++;
	}
	if (s->sweep_at < s->record_count)
		return true;
	s->sweep_at = 0;
	s->records_swept = s->records_used;
	return false;
}

/* Takes the run that begins at `page` out of its list, behind `after`. */
static void run_end(struct xm_snapshot *s, struct xm_snapshot_table *t,
		    uint32_t page)
{
	if (s->run_after != 0)
		t->run_next[s->run_after - 1] = t->run_next[page];
	else if (XM_PLANTED(snapshot_runs_forgotten))
		t->run_head = 0;
	else
		t->run_head = t->run_next[page];
	for (uint32_t i = 0; i < t->run_count[page]; i++)
		t->freed[page + i] = 0;
	s->runs--;
}

bool xm_snapshot_next_free(struct xm_snapshot *s, uint32_t *ret_region,
			   uint64_t *ret_page, uint64_t *ret_count)
{
	for (; s->run_region < XM_SNAPSHOT_REGIONS_MAX; s->run_region++) {
		struct xm_snapshot_table *t = &s->tables[s->run_region];

		for (;;) {
			uint32_t at = s->run_after != 0
					      ? t->run_next[s->run_after - 1]
					      : t->run_head;
			uint32_t page = at - 1;

			if (at == 0)
				break;
			if (any_read(s, t->born[page] + 1, t->freed[page])) {
				s->run_after = at;
				continue;
			}
			*ret_region = s->run_region;
			*ret_page = page;
			*ret_count = t->run_count[page];
			run_end(s, t, page);
			return true;
		}
		s->run_after = 0;
	}
	s->run_region = 0;
	return false;
}

void xm_snapshot_reset(struct xm_snapshot *s)
{
	XM_ASSERT(s->readers == 0 && s->spilling == 0);
	for (uint32_t i = 1; i < s->record_count; i++) {
		const struct xm_snapshot_record *r = record_at(s, i);

		if (r->to != 0)
			s->tables[r->region].head[r->page] = 0;
	}
	memset(s->batches, 0, s->batch_count * sizeof(*s->batches));
	s->batch_count = 0;
	s->record_count = 1;
	s->records_used = s->records_swept = 0;
	s->free_plain = s->free_placed = 0;
	s->free_frames = NULL;
	s->frames = s->frames_used = 0;
	s->places = s->places_used = 0;
	s->sweep_at = 0;
	s->sweep_needed = false;
	s->spill_at = 1;
}
