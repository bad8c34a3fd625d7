/* SPDX-License-Identifier: BSD-3-Clause */
/* Batches: gathered, committed, imaged; see store.h. store_open.c has recovery. Floor: first. */
#include "appliance/store.h"

#include <errno.h>
#include <string.h>

#include "appliance/store_parts.h"
#include "core/pure/plant.h"

static const uint8_t zeros[XM_STORE_BLOCK];

int xm_store_fail(struct xm_store *s, int rc)
{
	if (rc != 0 && s->failed == 0 && !XM_PLANTED(store_error_forgotten))
		s->failed = rc;
	return rc;
}

/* --- into the image ------------------------------------------------------- */

static int image_run(struct xm_store *s, uint64_t page, const uint8_t *bytes,
		     uint32_t count)
{
	bool table = (page & XM_STORE_OF_TABLE) != 0;

	return s->ops->write(s->disk, table ? XM_STORE_TABLE : XM_STORE_IMAGE,
			     (page & ~XM_STORE_OF_TABLE) * XM_STORE_BLOCK, bytes,
			     (size_t)count * XM_STORE_BLOCK);
}

static int sums_write(struct xm_store *s, uint64_t sector)
{
	uint64_t first = sector * XM_SUMS_SECTOR;
	uint8_t bytes[XM_STORE_SECTOR];

	xm_store_sums_encode(s->sums + first,
			     (uint32_t)xm_min(XM_SUMS_SECTOR,
					      s->options.pages - first),
			     s->begin.id, bytes);
	return s->ops->write(s->disk, XM_STORE_SUMS, sector * XM_STORE_SECTOR,
			     bytes, sizeof(bytes));
}

static void apply(struct xm_store *s, const uint8_t *head, uint64_t sequence,
		  uint32_t index, const uint8_t *bytes, uint64_t *ret_page)
{
	uint64_t sum;

	xm_store_head_get(head, index, ret_page, &sum);
	if ((*ret_page & XM_STORE_OF_TABLE) != 0) {
		memcpy(s->table + (*ret_page & ~XM_STORE_OF_TABLE) * XM_STORE_BLOCK,
		       bytes, XM_STORE_BLOCK);
		return;
	}
	s->sums[*ret_page].sequence = sequence;
	s->sums[*ret_page].sum = sum;
}

/* The sectors of sums that these pages have changed, each once where they follow each
 * other. */
static int apply_sums(struct xm_store *s, const uint8_t *head, uint32_t count)
{
	uint64_t last = UINT64_MAX;
	int rc = 0;

	for (uint32_t i = 0; i < count && rc == 0; i++) {
		uint64_t page;
		uint64_t sum;

		xm_store_head_get(head, i, &page, &sum);
		if ((page & XM_STORE_OF_TABLE) != 0 || page / XM_SUMS_SECTOR == last)
			continue;
		last = page / XM_SUMS_SECTOR;
		rc = sums_write(s, last);
	}
	return rc;
}

int xm_store_apply(struct xm_store *s, const uint8_t *head,
		   const struct xm_store_batch *batch, const uint8_t *pages)
{
	int rc = 0;

	for (uint32_t i = 0, run; i < batch->count && rc == 0; i += run) {
		uint64_t first, next;

		apply(s, head, batch->sequence, i, pages + (size_t)i * XM_STORE_BLOCK,
		      &first);
		for (run = 1; i + run < batch->count; run++) {
			uint64_t sum;

			xm_store_head_get(head, i + run, &next, &sum);
			if (next != first + run)
				break;
			apply(s, head, batch->sequence, i + run,
			      pages + (size_t)(i + run) * XM_STORE_BLOCK, &next);
		}
		rc = image_run(s, first, pages + (size_t)i * XM_STORE_BLOCK, run);
	}
	return rc == 0 ? apply_sums(s, head, batch->count) : rc;
}

/* --- generations ---------------------------------------------------------- */

int xm_store_begin_write(struct xm_store *s, const struct xm_store_begin *begin)
{
	uint8_t block[XM_STORE_BLOCK] = { 0 };
	int rc;

	xm_store_begin_encode(begin, block);
	rc = s->ops->write(s->disk, XM_STORE_JOURNAL,
			   begin->generation % 2 * XM_STORE_BLOCK, block, sizeof(block));
	return rc == 0 ? s->ops->sync(s->disk, XM_STORE_JOURNAL) : rc;
}

/* All that came with batches of this generation is synced in its own place first. */
int xm_store_begin_anew(struct xm_store *s)
{
	struct xm_store_begin next = {
		.generation = s->begin.generation + 1,
		.salt = s->ops->draw(s->disk),
		.id = s->begin.id,
		.sequence = s->sequence,
		.pages = s->options.pages,
		.slots = s->options.slots,
		.journal_size = s->options.journal_size,
	};
	int rc = 0;

	if (XM_PLANTED(store_salt_kept))
		next.salt = s->begin.salt;
	for (int file = XM_STORE_IMAGE; file < XM_STORE_FILES && rc == 0; file++) {
		if (!XM_PLANTED(store_wraps_early))
			rc = s->ops->sync(s->disk, (enum xm_store_file)file);
	}
	if (rc == 0)
		rc = xm_store_begin_write(s, &next);
	if (rc != 0)
		return xm_store_fail(s, rc);
	s->begin = next;
	s->position = XM_STORE_FIRST;
	s->counters.generations++;
	return 0;
}

/* --- batches -------------------------------------------------------------- */

static int write_batch(struct xm_store *s, const struct xm_store_batch *batch)
{
	uint64_t blocks = xm_store_head_blocks(batch->count);
	uint64_t size = (blocks + batch->count) * XM_STORE_BLOCK;
	uint8_t *head = s->pages - blocks * XM_STORE_BLOCK;
	int rc;

	/* In front of the pages, wherever that is for so many of them. */
	if (head != s->head)
		memmove(head, s->head, blocks * XM_STORE_BLOCK);
	xm_store_head_seal(head, batch);
	if (XM_PLANTED(store_image_first))
		(void)xm_store_apply(s, head, batch, s->pages);
	rc = s->ops->write(s->disk, XM_STORE_JOURNAL, s->position, head, size);
	if (rc == 0 && !XM_PLANTED(store_ack_unsynced))
		rc = s->ops->sync(s->disk, XM_STORE_JOURNAL);
	if (rc == 0)
		rc = xm_store_apply(s, head, batch, s->pages);
	if (rc == 0)
		s->position += size;
	return rc;
}

int xm_store_commit(struct xm_store *s)
{
	struct xm_store_batch batch = { .sequence = s->sequence, .count = s->count };
	uint64_t size = (xm_store_head_blocks(s->count) + s->count) *
			XM_STORE_BLOCK;
	int rc = s->failed;

	if (rc != 0 || s->count == 0)
		return rc;
	if (s->position + size > s->options.journal_size)
		rc = xm_store_begin_anew(s);
	batch.generation = s->begin.generation;
	batch.salt = s->begin.salt;
	if (rc == 0)
		rc = write_batch(s, &batch);
	if (rc != 0 && !XM_PLANTED(store_error_unsaid))
		return xm_store_fail(s, rc);
	s->counters.batches++;
	s->counters.pages += s->count;
	s->sequence++;
	s->count = 0;
	memset(s->head, 0, (size_t)(s->pages - s->head));
	return 0;
}

/* Room for one more page. */
static int batch_room(struct xm_store *s)
{
	return s->count < s->options.batch_max ? s->failed : xm_store_commit(s);
}

/* The page at the batch's end is in it from now on. */
static void batch_add(struct xm_store *s, uint64_t page)
{
	const uint8_t *bytes = s->pages + (size_t)s->count * XM_STORE_BLOCK;
	uint64_t sum = XM_PLANTED(store_head_alone)
			       ? 0 : xm_store_sum_of(bytes, s->begin.id, page);

	xm_store_head_set(s->head, s->count++, page, sum);
}

/* --- pages ---------------------------------------------------------------- */

/* What recovery would find, but for the batch that is being gathered, is these bytes. */
static bool is_same(const struct xm_store *s, uint64_t page, uint64_t born,
		    const uint8_t *bytes, const uint8_t *image)
{
	const struct xm_store_sum *sum = &s->sums[page];

	if (sum->pending == (uint32_t)s->sequence && !XM_PLANTED(store_batch_unseen))
		return false;
	return memcmp(bytes, sum->sequence >= born ? image : zeros,
		      XM_STORE_BLOCK) == 0;
}

/* There is room for all of them: a batch that was committed in between would change the
 * image that they are compared with. */
static int put_run(struct xm_store *s, uint64_t born, uint64_t first,
		   uint32_t count, const uint8_t *bytes)
{
	int rc = s->ops->read(s->disk, XM_STORE_IMAGE, first * XM_STORE_BLOCK,
			      s->run, (size_t)count * XM_STORE_BLOCK);

	for (uint32_t i = 0; i < count && rc == 0; i++) {
		uint8_t *copy = s->pages + (size_t)s->count * XM_STORE_BLOCK;

		/* Compared is what was copied. */
		memcpy(copy, bytes + (size_t)i * XM_STORE_BLOCK, XM_STORE_BLOCK);
		if (is_same(s, first + i, born, copy,
			    s->run + (size_t)i * XM_STORE_BLOCK)) {
			s->counters.same++;
			continue;
		}
		s->sums[first + i].pending = (uint32_t)s->sequence;
		batch_add(s, first + i);
	}
	return xm_store_fail(s, rc);
}

static bool lies_in(const struct xm_store_entry *e, uint64_t first, uint64_t count)
{
	uint64_t begin = e->offset / XM_STORE_BLOCK;

	return first >= begin &&
	       xm_span_fits(first - begin, count, e->size / XM_STORE_BLOCK);
}

int xm_store_put(struct xm_store *s, uint32_t slot, uint64_t first, uint64_t count,
		 const uint8_t *bytes)
{
	struct xm_store_entry e;
	int rc = s->failed;

	if (!xm_store_entry(s, slot, &e) || !lies_in(&e, first, count))
		return -EINVAL;
	for (uint64_t at = 0, run; at < count && rc == 0; at += run) {
		rc = batch_room(s);
		run = xm_min(xm_min(XM_STORE_RUN, count - at),
			     s->options.batch_max - s->count);
		if (rc == 0)
			rc = put_run(s, e.born, first + at, (uint32_t)run,
				     bytes + at * XM_STORE_BLOCK);
	}
	return rc;
}

int xm_store_together(struct xm_store *s, uint64_t pages)
{
	if (pages > s->options.batch_max)
		return -EINVAL;
	return pages <= s->options.batch_max - s->count || XM_PLANTED(store_apart)
		       ? s->failed : xm_store_commit(s);
}

int xm_store_get(struct xm_store *s, uint32_t slot, uint64_t first, uint64_t count,
		 uint8_t *ret, uint64_t *ret_bad)
{
	struct xm_store_entry e;
	int rc;

	if (!xm_store_entry(s, slot, &e) || !lies_in(&e, first, count))
		return -EINVAL;
	rc = s->ops->read(s->disk, XM_STORE_IMAGE, first * XM_STORE_BLOCK, ret,
			  count * XM_STORE_BLOCK);
	for (uint64_t i = 0; i < count && rc == 0; i++) {
		const struct xm_store_sum *sum = &s->sums[first + i];
		uint8_t *page = ret + i * XM_STORE_BLOCK;

		if (sum->sequence < e.born && !XM_PLANTED(store_birth_ignored)) {
			memset(page, 0, XM_STORE_BLOCK);
		} else if (xm_store_sum_of(page, s->begin.id, first + i) !=
				   sum->sum &&
			   !XM_PLANTED(store_head_alone)) {
			*ret_bad = first + i;
			rc = -EUCLEAN;
		}
	}
	return rc;
}

int xm_store_scrub(struct xm_store *s, uint64_t since, uint64_t first,
		   uint64_t count, uint8_t *bytes, uint64_t *ret_bad)
{
	int rc = s->ops->read(s->disk, XM_STORE_IMAGE, first * XM_STORE_BLOCK, bytes,
			      count * XM_STORE_BLOCK);

	for (uint64_t i = 0; i < count && rc == 0; i++) {
		const struct xm_store_sum *sum = &s->sums[first + i];

		if (sum->sequence < since ||
		    xm_store_sum_of(bytes + i * XM_STORE_BLOCK, s->begin.id,
				    first + i) == sum->sum)
			continue;
		*ret_bad = first + i;
		rc = -EUCLEAN;
	}
	return rc;
}

/* --- entries -------------------------------------------------------------- */

bool xm_store_entry(const struct xm_store *s, uint32_t slot,
		    struct xm_store_entry *ret)
{
	return slot < s->options.slots &&
	       xm_store_entry_decode(s->table + (size_t)slot * XM_STORE_SECTOR,
				     s->begin.id, ret) &&
	       ret->size > 0;
}

static int entry_set(struct xm_store *s, uint32_t slot,
		     const struct xm_store_entry *entry)
{
	const struct xm_store_entry nobody = { .size = 0 };
	uint64_t block = slot / (XM_STORE_BLOCK / XM_STORE_SECTOR);
	int rc;

	/* What was gathered before is not the new owner's. */
	rc = s->count > 0 && !XM_PLANTED(store_entry_joins) ? xm_store_commit(s)
							    : batch_room(s);
	if (rc != 0)
		return rc;
	if (entry != NULL)
		xm_store_entry_encode(entry, s->begin.id,
				      s->table + (size_t)slot * XM_STORE_SECTOR);
	else
		xm_store_entry_encode(&nobody, s->begin.id,
				      s->table + (size_t)slot * XM_STORE_SECTOR);
	memcpy(s->pages + (size_t)s->count * XM_STORE_BLOCK,
	       s->table + block * XM_STORE_BLOCK, XM_STORE_BLOCK);
	batch_add(s, block | XM_STORE_OF_TABLE);
	return 0;
}

int xm_store_keep(struct xm_store *s, uint32_t slot,
		  const struct xm_store_entry *entry, bool fresh)
{
	struct xm_store_entry e = *entry, before;

	if (s->failed != 0)
		return s->failed;
	if (slot >= s->options.slots || e.size == 0 ||
	    !xm_is_aligned(e.offset | e.size, XM_STORE_BLOCK) ||
	    !xm_span_fits(e.offset, e.size, s->options.pages * XM_STORE_BLOCK))
		return -EINVAL;
	if (!fresh && xm_store_entry(s, slot, &before)) {
		e.born = before.born;
		return entry_set(s, slot, &e);
	}
	/* The batch that it comes with: entry_set() begins one. */
	e.born = s->sequence + (s->count > 0);
	return entry_set(s, slot, &e);
}

int xm_store_forget(struct xm_store *s, uint32_t slot)
{
	struct xm_store_entry e;

	if (s->failed != 0)
		return s->failed;
	return xm_store_entry(s, slot, &e) ? entry_set(s, slot, NULL) : 0;
}
