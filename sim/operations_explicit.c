/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs' explicit reads and writes: single ones, vectors of them, asynchronous
 * ones; see program.h. Each works on a few parts of the region. A part's pages are
 * claimed meanwhile, and while a write is under way each watched word of it may
 * have its old or its new value.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/counts.h"
#include "sim/notes.h"
#include "sim/outcomes.h"
#include "sim/program.h"
#include "sim/shape.h"

#define SPAN_MAX 4 /* pages of one explicit operation */

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
