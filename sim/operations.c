/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations that programs are made of; see program.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/counts.h"
#include "sim/fibers.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/outcomes.h"
#include "sim/program.h"
#include "sim/shape.h"
#include "sim/weather.h"

#define SPAN_MAX 4 /* pages of one explicit operation */

/* The addresses of a region's pages, mapped or not. */
static uint8_t *page_at(const struct program *p, uint64_t page)
{
	return (uint8_t *)extmem_region_address(p->region) + page * XM_PAGE;
}

/* --- loads and stores ------------------------------------------------------------------- */

/* Returns false when the page is lost. A page that another thread writes
 * explicitly is left alone: what a load sees then is either. */
static bool load_store(struct program *p, uint64_t page, bool load, bool store)
{
	unsigned i = (unsigned)below(WORDS);
	uint64_t *at = (uint64_t *)(void *)(page_at(p, page) + word_places[i]);
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

/* --- explicit ----------------------------------------------------------------------------- */

static bool is_watched(const struct part *part, uint64_t page, unsigned k,
		       uint64_t *ret_at)
{
	uint64_t at = page * XM_PAGE + word_places[k];

	if (at < part->iov.offset ||
	    at + 8 > part->iov.offset + part->iov.size)
		return false;
	*ret_at = at - part->iov.offset;
	return true;
}

/* A read that does not fill the buffer shall show. Only the watched words of it
 * are looked at. */
static void part_blank(const struct part *part)
{
	uint64_t at;

	for (uint64_t i = part->page; i < part->page + part->count; i++) {
		for (unsigned k = 0; k < WORDS; k++) {
			if (is_watched(part, i, k, &at))
				memset((uint8_t *)part->iov.buffer + at, 0xaa, 8);
		}
	}
}

/* Until it is known: the old, or this. Two unknowns in a row are settled by
 * reading first. */
static bool part_fill(struct program *p, const struct part *part)
{
	uint64_t at, by = (uint64_t)(p->index + 1) << 56 | (p->stamp + 1);

	for (uint64_t i = part->page; i < part->page + part->count; i++) {
		for (unsigned k = 0; k < WORDS; k++) {
			if (is_watched(part, i, k, &at) &&
			    p->shadow->page[i].words[k].unsure)
				return false;
		}
	}
	for (uint64_t i = part->page; i < part->page + part->count; i++) {
		for (unsigned k = 0; k < WORDS; k++) {
			uint64_t value = word_fresh(p);
			struct word *w = &p->shadow->page[i].words[k];

			if (!is_watched(part, i, k, &at))
				continue;
			memcpy((uint8_t *)part->iov.buffer + at, &value, 8);
			w->maybe = value;
			w->by = by;
			w->unsure = true;
		}
	}
	return true;
}

static void part_close(struct program *p, struct part *part)
{
	if (part->registered) {
		int rc = extmem_deregister(p->x, part->iov.buffer,
					   part->iov.size);

		if (rc != 0)
			world_broken("promise", "memory that was registered "
				     "and is not lent stays so: %d", rc);
	}
	free(part->iov.buffer);
	pages_unclaim(p, part->page, part->count);
}

/* False: not there, or not now. */
static bool part_open(struct program *p, bool write, bool register_memory,
		      struct part *ret)
{
	struct part part = { .page = below(p->shadow->pages), .write = write };

	part.count = 1 + below(xm_min(SPAN_MAX, p->shadow->pages - part.page));
	part.iov.offset = part.page * XM_PAGE;
	part.iov.size = part.count * XM_PAGE;
	if (below(2) == 0) { /* not whole pages */
		uint64_t cut = 8 * below(8);

		part.iov.offset += cut;
		part.iov.size -= cut + 8 * below(4);
	}
	if (!pages_claim(p, part.page, part.count))
		return false;
	part.iov.buffer = malloc(part.iov.size);
	XM_ASSERT(part.iov.buffer != NULL);
	part_blank(&part);
	if (register_memory) {
		int rc = extmem_register(p->x, part.iov.buffer, part.iov.size);

		part.registered = rc == 0;
		if (rc != 0 && rc != -ENOSPC && rc != -ENOMEM)
			world_broken("promise", "memory cannot be registered: "
				     "%d", rc);
	}
	if (write && !part_fill(p, &part)) {
		part_close(p, &part);
		return false;
	}
	world_note(write ? "program.write: client {client} writes at {offset}, "
			   "{size:bytes}"
			 : "program.read: client {client} reads at {offset}, "
			   "{size:bytes}", p->index, part.iov.offset,
		   part.iov.size);
	*ret = part;
	return true;
}

/* What became of it. */
static void part_settle(struct program *p, struct part *part, int rc)
{
	around_outcome(p, part->write ? OUTCOME_WRITE : OUTCOME_READ,
		outcome_result(rc));
	sim_counts.writes += part->write;
	sim_counts.reads += !part->write;
	for (uint64_t i = part->page;
	     call_went(p, rc) && i < part->page + part->count; i++) {
		for (unsigned k = 0; k < WORDS; k++) {
			uint64_t at, value;

			if (!is_watched(part, i, k, &at))
				continue;
			memcpy(&value, (uint8_t *)part->iov.buffer + at, 8);
			if (!part->write) {
				word_check(p, i, k, value, "read");
				continue;
			}
			word_set(p, i, k, value);
			word_remote(p, i, k, "written");
		}
	}
	part_close(p, part);
}

void op_explicit(struct program *p, bool write)
{
	struct part part;
	int rc;

	if (!part_open(p, write, below(4) == 0, &part))
		return;
	rc = write ? CALL(extmem_write, p->region, part.iov.offset,
			  part.iov.buffer, part.iov.size)
		   : CALL(extmem_read, p->region, part.iov.offset,
			  part.iov.buffer, part.iov.size);
	part_settle(p, &part, rc);
}

static unsigned parts_open(struct program *p, bool write, bool register_memory,
			   struct part parts[PARTS_MAX])
{
	unsigned count = 0, wanted = 1 + (unsigned)below(PARTS_MAX);

	for (unsigned i = 0; i < wanted; i++)
		count += part_open(p, write, register_memory, &parts[count]);
	return count;
}

void op_vector(struct program *p)
{
	struct part parts[PARTS_MAX];
	struct extmem_iov iov[PARTS_MAX];
	bool write = below(2) == 0;
	unsigned count = parts_open(p, write, below(4) == 0, parts);
	int rc;

	for (unsigned i = 0; i < count; i++)
		iov[i] = parts[i].iov;
	rc = write ? CALL(extmem_writev, p->region, iov, count)
		   : CALL(extmem_readv, p->region, iov, count);
	for (unsigned i = 0; i < count; i++)
		part_settle(p, &parts[i], rc);
}

/* Those that could be begun. */
unsigned async_begin(struct program *p, struct part parts[PARTS_MAX])
{
	unsigned count = parts_open(p, below(2) == 0,
				    sim_shape.provider.registers, parts);
	unsigned begun = 0;

	for (unsigned i = 0; i < count; i++) {
		struct part *part = &parts[begun];
		int rc;

		*part = parts[i];
		if (sim_shape.provider.registers && !part->registered) {
			part_settle(p, part, -ENOSPC);
			continue;
		}
		rc = part->write
			? CALL(extmem_write_start, p->region, part->iov.offset,
			       part->iov.buffer, part->iov.size, part)
			: CALL(extmem_read_start, p->region, part->iov.offset,
			       part->iov.buffer, part->iov.size, part);
		if (rc == 0)
			begun++;
		else
			part_settle(p, part, rc);
	}
	return begun;
}

/* Whoever polls collects for all threads. */
void async_end(struct program *p, struct part *parts, unsigned count)
{
	unsigned done = 0;

	while (done < count) {
		struct extmem_completion all[4];
		int got = CALL_WITHIN(5 * XM_MS, extmem_wait, p->x, all,
				      XM_COUNT(all), 5);

		XM_ASSERT(got >= 0);
		for (int i = 0; i < got; i++) {
			struct part *part = all[i].context;

			if (part->done)
				world_broken("promise", "an asynchronous call "
					     "completes twice");
			part->done = true;
			part->status = all[i].status;
		}
		done = 0;
		for (unsigned i = 0; i < count; i++)
			done += parts[i].done;
	}
	for (unsigned i = 0; i < count; i++)
		part_settle(p, &parts[i], parts[i].status);
}

void op_async(struct program *p)
{
	struct part parts[PARTS_MAX];
	unsigned count = async_begin(p, parts);

	/* A page whose bytes are under way can be touched. */
	if (count > 0 && below(3) == 0)
		around_touch(p, parts[0].page, false);
	async_end(p, parts, count);
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
	uint8_t *at = page_at(p, page);
	bool write = below(2) == 0;
	int64_t got;

	/* Who discards what another has pinned gets what he deserves. */
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

/* A slab that begins here reads as zero; what is written to it does not shine
 * through when it is another's. */
static void slab_look(struct program *p, uint64_t offset, uint64_t pages)
{
	uint64_t page = offset / XM_PAGE + below(pages);
	uint64_t *at = (uint64_t *)(void *)page_at(p, page) +
		       below(XM_PAGE / 8);

	if (!around_touch(p, page, true)) {
		sim_counts.lost++;
		oracle_page_lost();
		return;
	}
	if (*at != 0)
		world_broken("isolation", "a fresh slab of client %u holds "
			     "%016llx", p->index, (unsigned long long)*at);
	*at = word_fresh(p);
}

/* Objects and slabs, in what the slab that is watched leaves of the region. Any
 * thread gives back what any has taken. */
static void beyond_slab(const struct program *p, uint64_t offset)
{
	if (offset < p->shadow->pages * XM_PAGE)
		world_broken("selection", "what is selected at %llu lies in a "
			     "slab", (unsigned long long)offset);
}

static void object_take(struct program *p)
{
	struct object o;

	/* Most are small. */
	if (extmem_object_alloc(p->region, 1 + below(20000 >> below(10)), 0,
				&o.offset) != 0)
		return;
	if (extmem_object_size(p->region, o.offset, &o.size) != 0)
		world_broken("selection", "an object that was taken has no "
			     "size");
	beyond_slab(p, o.offset);
	for (uint32_t i = 0; i < p->objects_count; i++) {
		const struct object *other = &p->objects[i];

		if (o.offset < other->offset + other->size &&
		    other->offset < o.offset + o.size)
			world_broken("selection", "an object at %llu lies in "
				     "another", (unsigned long long)o.offset);
	}
	/* Others may have filled the table meanwhile. */
	p->objects_moved++;
	if (p->objects_count < OBJECTS_MAX)
		p->objects[p->objects_count++] = o;
	else
		call_went(p, extmem_object_free(p->region, o.offset));
}

static void object_give(struct program *p)
{
	uint32_t i = (uint32_t)below(p->objects_count);
	struct object o = p->objects[i];

	p->objects[i] = p->objects[--p->objects_count];
	p->objects_moved++;
	call_went(p, extmem_object_free(p->region, o.offset));
	/* Another thread may have taken it meanwhile. */
	if (sim_shape.threads == 1 && below(8) == 0 &&
	    extmem_object_free(p->region, o.offset) != -EINVAL)
		world_broken("selection", "an object at %llu is given twice",
			     (unsigned long long)o.offset);
}

static void slab_take_and_give(struct program *p)
{
	uint64_t offset, pages = 1 + below(3);

	if (CALL(extmem_slab_alloc, p->region, pages * XM_PAGE, &offset) != 0)
		return;
	beyond_slab(p, offset);
	slab_look(p, offset, pages);
	call_went(p, CALL(extmem_slab_free, p->region, offset));
}

void op_select(struct program *p)
{
	bool more = below(2) == 0;

	for (uint64_t i = 1 + below(12); i > 0; i--) {
		if (p->objects_count < OBJECTS_MAX && (below(4) != 0) == more)
			object_take(p);
		else if (p->objects_count > 0)
			object_give(p);
	}
	if (below(2) == 0)
		slab_take_and_give(p);
}

/* What the library counts is what there is. Others are in the middle of
 * something: it may be counted here and not yet there. */
static void check_stats(const struct program *p)
{
	struct extmem_stats s = { .size = sizeof(s) };
	uint64_t objects = p->objects_count, moved = p->objects_moved;

	extmem_stats(p->x, &s);
	if (s.local_now > s.local_limit || s.local_peak > s.local_limit)
		world_broken("page truth", "client %u uses %llu bytes of local "
			     "memory, of %llu", p->index,
			     (unsigned long long)s.local_peak,
			     (unsigned long long)s.local_limit);
	if (s.regions != 1 || s.region_bytes != extmem_region_size(p->region))
		world_broken("counters", "client %u counts %llu regions of "
			     "%llu bytes, and has one of %llu", p->index,
			     (unsigned long long)s.regions,
			     (unsigned long long)s.region_bytes,
			     (unsigned long long)
				     extmem_region_size(p->region));
	/* Of what others did while it counted nothing is known. */
	if (p->objects_moved == moved &&
	    (s.objects + sim_shape.threads < objects ||
	     s.objects > objects + sim_shape.threads))
		world_broken("counters", "client %u counts %llu objects, and "
			     "has %llu", p->index,
			     (unsigned long long)s.objects,
			     (unsigned long long)objects);
	if (s.latency[0] == UINT64_MAX || extmem_latency_ns(&s, 999) == 0)
		world_note("program.fresh: client {client} has served no "
			   "fault", p->index, 0, 0);
}

/* What appliances say of themselves adds up. */
static void check_status(struct program *p)
{
	struct extmem_status s = { .size = sizeof(s) };
	struct extmem_region_entry entries[4];
	const char *address =
		around_address((uint32_t)below(sim_shape.appliances));
	int got;

	if (CALL_WITHIN(500 * XM_MS, extmem_status, address, 500, &s) == 0 &&
	    (s.free + s.leased + s.quarantined != s.pool ||
	     s.free_run > s.free || s.pool != sim_shape.pool_size))
		world_broken("counters", "%s has %llu bytes free, %llu leased "
			     "and %llu in quarantine, of %llu", address,
			     (unsigned long long)s.free,
			     (unsigned long long)s.leased,
			     (unsigned long long)s.quarantined,
			     (unsigned long long)s.pool);
	got = CALL(extmem_region_list, p->x, below(3), entries,
		   XM_COUNT(entries));
	for (int i = 0; i < got; i++) {
		if (entries[i].size == 0 ||
		    entries[i].size % sim_shape.granule != 0)
			world_broken("counters", "a region in the list has "
				     "%llu bytes",
				     (unsigned long long)entries[i].size);
	}
}

void op_stats(struct program *p)
{
	struct extmem_info info = { .size = sizeof(info) };

	check_stats(p);
	if (below(4) == 0)
		check_status(p);
	if (extmem_info(p->x, sim_shape.appliances, &info) != -ERANGE ||
	    extmem_info(p->x, 0, &info) != 0 || info.lanes != sim_shape.lanes)
		world_broken("counters", "client %u is wrongly informed",
			     p->index);
	if (extmem_contains(p->x, page_at(p, 0)) != 1)
		world_broken("counters", "client %u does not know its region",
			     p->index);
}

static bool region_map(struct program *p, uint64_t offset, uint64_t size,
		       void **ret)
{
	int rc = CALL(extmem_map, p->region, offset, size, ret);

	around_outcome(p, OUTCOME_MAP, outcome_result(rc));
	return call_went(p, rc);
}

static bool region_unmap(struct program *p, uint64_t offset, uint64_t size)
{
	int rc = CALL(extmem_unmap, p->region, offset, size);

	around_outcome(p, OUTCOME_UNMAP, outcome_result(rc));
	return call_went(p, rc);
}

/* Unmapped, read where nothing is cached, mapped again; sometimes a part stays
 * mapped meanwhile. */
void op_remap(struct program *p)
{
	uint64_t offset = below(p->shadow->pages) * XM_PAGE;
	uint8_t *part = NULL, *all;

	if (below(2) == 0 && region_map(p, offset, XM_PAGE, (void **)&part) &&
	    part != (uint8_t *)extmem_region_address(p->region) + offset)
		world_broken("selection", "a part is mapped somewhere else");
	if (!region_unmap(p, 0, 0))
		return;
	op_explicit(p, false);
	op_explicit(p, true);
	if (!region_map(p, 0, 0, (void **)&all))
		p->lost = true;
	if (part != NULL)
		region_unmap(p, offset, XM_PAGE);
}

/* The slab that is watched: most of the region. */
bool slab_take(struct program *p)
{
	uint64_t pages = xm_min(extmem_region_size(p->region) / XM_PAGE,
				p->shadow->pages_max);
	uint64_t offset;

	p->shadow->pages = xm_max(pages - pages / 4, 1);
	if (extmem_slab_alloc(p->region, p->shadow->pages * XM_PAGE, &offset) != 0 ||
	    offset != 0) {
		/* Objects are in the way: another region, then. */
		p->lost = true;
		return false;
	}
	return true;
}

void op_resize(struct program *p)
{
	uint64_t granules = p->shadow->pages_max * XM_PAGE / sim_shape.granule;
	/* Now and then more than there are addresses for behind the region. */
	uint64_t most = below(8) == 0 ? 20 * granules : granules;
	uint64_t size = (1 + below(most)) * sim_shape.granule;
	bool shrink = size < extmem_region_size(p->region);
	int rc;

	/* A slab in use is never cut off. */
	if (shrink && p->shadow->pages * XM_PAGE > size) {
		rc = CALL(extmem_region_resize, p->region, size);
		if (rc != -EBUSY)
			world_broken("selection", "a region was cut to %llu "
				     "bytes with a slab beyond", (unsigned
				     long long)size);
	}
	if (shrink) {
		if (!call_went(p, CALL(extmem_slab_free, p->region, 0)))
			return;
		shadow_clear(p->shadow);
	}
	if (shrink)
		weather_strike(p->index);
	rc = CALL(extmem_region_resize, p->region, size);
	around_outcome(p, OUTCOME_RESIZE, outcome_result(rc));
	world_note("program.resize: client {client} to {size:bytes}: "
		   "{error:error}", p->index, size, (uint64_t)-rc);
	p->unsettled |= rc != 0;
	if (rc == -ENOSPC)
		sim_counts.faults[SIM_FAULT_FULL]++;
	else if (rc != -EBUSY && rc != -ENOMEM)
		call_went(p, rc);
	/* Of one whose end is not known some will have no more. */
	if ((rc == -ETIMEDOUT || rc == -ENOTCONN) && below(2) == 0)
		p->lost = true;
	if (shrink)
		slab_take(p);
}
