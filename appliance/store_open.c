/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory, and recovery: from whatever a crash left on the disk to the state that was
 * committed last; see store.h. It may be cut off too, and be begun again.
 *
 * Floor: first.
 */
#include "appliance/store.h"

#include <errno.h>
#include <string.h>

#include "appliance/store_parts.h"
#include "common/words.h"
#include "core/pure/plant.h"

/* --- memory --------------------------------------------------------------- */

static uint64_t batch_size(uint32_t pages)
{
	return (xm_store_head_blocks(pages) + pages) * XM_STORE_BLOCK;
}

/* The next `size` bytes, for an array: NULL where there is no memory yet. */
static void *lay_down(size_t *at, uint8_t *memory, size_t size)
{
	size_t from = *at;

	*at = xm_align_up(from + size, 16);
	return memory == NULL ? NULL : memory + from;
}

static size_t lay_out(const struct xm_store_options *o, uint8_t *memory,
		      struct xm_store *ret)
{
	size_t head = xm_store_head_blocks(o->batch_max) * XM_STORE_BLOCK;
	size_t at = 0;

	ret->sums = lay_down(&at, memory, o->pages * sizeof(*ret->sums));
	ret->table = lay_down(&at, memory, (size_t)o->slots * XM_STORE_SECTOR);
	ret->run = lay_down(&at, memory, XM_STORE_RUN * XM_STORE_BLOCK);
	ret->head = lay_down(&at, memory, batch_size(o->batch_max));
	ret->pages = memory == NULL ? NULL : ret->head + head;
	return at;
}

size_t xm_store_memory_size(const struct xm_store_options *o)
{
	struct xm_store none;

	return lay_out(o, NULL, &none);
}

uint64_t xm_store_journal_min(uint32_t batch_max)
{
	return XM_STORE_FIRST + 2 * batch_size(batch_max);
}

/* --- the beginning -------------------------------------------------------- */

static int refuse(char *words, int rc, const char *why)
{
	struct xm_words w;

	xm_words_begin(&w, words, XM_WORDS_SIZE);
	xm_words_add(&w, why);
	return rc;
}

/* The beginnings of two generations. They are written in turn; after the first, there is no
 * other yet. */
struct begins {
	struct xm_store_begin begin[2];
	int rc[2];
};

static int read_begins(struct xm_store *s, struct begins *ret, char *words)
{
	for (uint64_t i = 0; i < 2; i++) {
		uint8_t sector[XM_STORE_SECTOR];
		int rc = s->ops->read(s->disk, XM_STORE_JOURNAL, i * XM_STORE_BLOCK,
				      sector, sizeof(sector));

		if (rc != 0)
			return refuse(words, rc, "the journal cannot be read");
		ret->rc[i] = xm_store_begin_decode(sector, &ret->begin[i]);
	}
	return 0;
}

/* Sets s->begin to the newest. -ENODATA: there is none. *ret_alone: it is the first. A sector is
 * written whole or not at all: a crash leaves none that is damaged, and with the older one
 * alone, what came later would be forgotten. */
static int find_begin(struct xm_store *s, bool *ret_alone, char *words)
{
	static const char damaged[] = "the beginning of its journal is damaged, or "
				      "this is no store";
	struct begins b;
	uint32_t newest;
	int rc = read_begins(s, &b, words);

	*ret_alone = false;
	if (rc != 0)
		return rc;
	if (b.rc[0] == -EPROTONOSUPPORT || b.rc[1] == -EPROTONOSUPPORT)
		return refuse(words, -EPROTONOSUPPORT, "it is of another version of "
			      "extmem: use that one");
	if (b.rc[0] == -EUCLEAN || b.rc[1] == -EUCLEAN)
		return refuse(words, -EUCLEAN, damaged);
	if (b.rc[0] != 0 && b.rc[1] != 0)
		return -ENODATA;
	newest = b.rc[0] != 0 || (b.rc[1] == 0 && b.begin[1].generation >
							 b.begin[0].generation);
	s->begin = b.begin[newest];
	*ret_alone = b.rc[1 - newest] != 0;
	/* Then the newest one may be what is missing. */
	return *ret_alone && s->begin.generation > 1
		       ? refuse(words, -EUCLEAN, damaged) : 0;
}

/* What is there of its files? */
static int check_lengths(const struct xm_store *s, char *words)
{
	static const char *const names[XM_STORE_FILES] = {
		"journal", "image", "sums", "table",
	};
	const uint64_t sizes[XM_STORE_FILES] = {
		s->begin.journal_size, s->begin.pages * XM_STORE_BLOCK,
		xm_store_sums_sectors(s->begin.pages) * XM_STORE_SECTOR,
		s->begin.slots * XM_STORE_SECTOR,
	};

	for (int file = 0; file < XM_STORE_FILES; file++) {
		uint64_t size = s->ops->size(s->disk, (enum xm_store_file)file);
		struct xm_words w;

		if (size >= sizes[file])
			continue;
		xm_words_begin(&w, words, XM_WORDS_SIZE);
		xm_words_add(&w, "its file ");
		xm_words_add(&w, names[file]);
		xm_words_add(&w, " has ");
		xm_words_bytes(&w, size);
		xm_words_add(&w, " of ");
		xm_words_bytes(&w, sizes[file]);
		xm_words_add(&w, ": it was cut off, or copied in part");
		return -EUCLEAN;
	}
	return 0;
}

static int check_sizes(const struct xm_store *s, char *words)
{
	struct xm_words w;

	if (s->begin.pages <= s->options.pages && s->begin.slots <= s->options.slots)
		return 0;
	xm_words_begin(&w, words, XM_WORDS_SIZE);
	xm_words_add(&w, "it was made for ");
	xm_words_bytes(&w, s->begin.pages * XM_STORE_BLOCK);
	xm_words_add(&w, " and ");
	xm_words_number(&w, s->begin.slots);
	xm_words_add(&w, " extents: give --memory and --extents-max at least as"
			 " much");
	return -ENOSPC;
}

/* --- sums and table ------------------------------------------------------- */

static int read_sums(struct xm_store *s, char *words)
{
	uint8_t sector[XM_STORE_SECTOR];

	for (uint64_t first = 0; first < s->begin.pages; first += XM_SUMS_SECTOR) {
		uint32_t count = (uint32_t)xm_min(XM_SUMS_SECTOR,
						  s->options.pages - first);
		int rc = s->ops->read(s->disk, XM_STORE_SUMS,
				      first / XM_SUMS_SECTOR * XM_STORE_SECTOR,
				      sector, sizeof(sector));

		if (rc != 0)
			return refuse(words, rc, "its checksums cannot be read");
		if (!xm_store_sums_decode(sector, s->begin.id, s->sums + first,
					  count))
			return refuse(words, -EUCLEAN,
				      "its checksums are damaged themselves");
	}
	return 0;
}

static int read_table(struct xm_store *s, char *words)
{
	int rc = s->ops->read(s->disk, XM_STORE_TABLE, 0, s->table,
			      s->begin.slots * XM_STORE_SECTOR);

	return rc == 0 ? 0 : refuse(words, rc, "its table cannot be read");
}

static int check_table(const struct xm_store *s, char *words)
{
	struct xm_store_entry e;

	for (uint32_t i = 0; i < s->options.slots; i++) {
		if (!xm_store_entry_decode(s->table + (size_t)i * XM_STORE_SECTOR,
					   s->begin.id, &e) ||
		    (e.size > 0 &&
		     (!xm_is_aligned(e.offset | e.size, XM_STORE_BLOCK) ||
		      !xm_span_fits(e.offset, e.size,
				    s->options.pages * XM_STORE_BLOCK))))
			return refuse(words, -EUCLEAN, "its table is damaged");
	}
	return 0;
}

/* --- replay --------------------------------------------------------------- */

/* Reads the head that lies there into memory. False: there is none of this generation.
 * *ret_rc: the disk fails. */
static bool read_head(struct xm_store *s, uint64_t at, struct xm_store_batch *ret,
		      int *ret_rc)
{
	uint64_t room = s->begin.journal_size, blocks;
	uint32_t count;

	if (!xm_span_fits(at, 2 * XM_STORE_BLOCK, room))
		return false;
	*ret_rc = s->ops->read(s->disk, XM_STORE_JOURNAL, at, s->head,
			       XM_STORE_BLOCK);
	count = xm_store_head_count(s->head);
	if (*ret_rc != 0 || count == 0 || count > s->options.batch_max ||
	    !xm_span_fits(at, batch_size(count), room))
		return false;
	blocks = xm_store_head_blocks(count);
	if (blocks > 1)
		*ret_rc = s->ops->read(s->disk, XM_STORE_JOURNAL, at, s->head,
				       blocks * XM_STORE_BLOCK);
	return *ret_rc == 0 && xm_store_head_decode(s->head, ret) &&
	       ret->generation == s->begin.generation &&
	       ret->salt == s->begin.salt;
}

/* Its pages, into memory. */
static bool read_pages(struct xm_store *s, uint64_t at,
		       const struct xm_store_batch *batch, int *ret_rc)
{
	uint64_t blocks = xm_store_head_blocks(batch->count);

	*ret_rc = s->ops->read(s->disk, XM_STORE_JOURNAL,
			       at + blocks * XM_STORE_BLOCK, s->pages,
			       (size_t)batch->count * XM_STORE_BLOCK);
	for (uint32_t i = 0; i < batch->count && *ret_rc == 0; i++) {
		uint64_t page, max = s->options.pages;
		uint64_t sum;

		xm_store_head_get(s->head, i, &page, &sum);
		if ((page & XM_STORE_OF_TABLE) != 0)
			max = s->options.slots / (XM_STORE_BLOCK / XM_STORE_SECTOR);
		if ((page & ~XM_STORE_OF_TABLE) >= max)
			return false;
		if (sum != xm_store_sum_of(s->pages + (size_t)i * XM_STORE_BLOCK,
					   s->begin.id, page) &&
		    !XM_PLANTED(store_torn_taken) && !XM_PLANTED(store_head_alone))
			return false;
	}
	return *ret_rc == 0;
}

/* Whether a later batch of this generation lies behind `at`, anywhere. */
static bool goes_on(struct xm_store *s, uint64_t at, int *ret_rc)
{
	struct xm_store_batch batch;

	for (at += XM_STORE_BLOCK; at < s->begin.journal_size && *ret_rc == 0;
	     at += XM_STORE_BLOCK) {
		if (read_head(s, at, &batch, ret_rc) &&
		    batch.sequence > s->sequence)
			return true;
	}
	return false;
}

/* The newest batch of which the image has pages: it was durable. */
static uint64_t newest_imaged(const struct xm_store *s)
{
	uint64_t newest = 0;

	for (uint64_t page = 0; page < s->options.pages; page++)
		newest = xm_max(newest, s->sums[page].sequence);
	return newest;
}

static int replay(struct xm_store *s, char *words)
{
	uint64_t at = XM_STORE_FIRST, imaged = newest_imaged(s);
	struct xm_store_batch batch;
	int rc = 0;

	s->sequence = s->begin.sequence;
	while (read_head(s, at, &batch, &rc) &&
	       (batch.sequence == s->sequence || XM_PLANTED(store_hole_taken)) &&
	       read_pages(s, at, &batch, &rc)) {
		rc = xm_store_apply(s, s->head, &batch, s->pages);
		if (rc != 0)
			break;
		at += batch_size(batch.count);
		s->sequence++;
		s->counters.replayed++;
	}
	if (rc == 0 && (imaged >= s->sequence || goes_on(s, at, &rc)) &&
	    !XM_PLANTED(store_hole_taken))
		return refuse(words, -EUCLEAN, "its journal is damaged before its "
			      "end: what was durable would be lost");
	return rc == 0 ? 0 : refuse(words, rc, "its journal cannot be read, or its "
				    "image not written");
}

static int written(int rc, char *words)
{
	return rc == 0 ? 0 : refuse(words, rc, "it cannot be written");
}

static int recover(struct xm_store *s, char *words)
{
	int rc = check_sizes(s, words);

	if (rc == 0)
		rc = check_lengths(s, words);
	if (rc == 0)
		rc = read_sums(s, words);
	if (rc == 0)
		rc = read_table(s, words);
	/* It has become larger. */
	if (rc == 0)
		rc = written(xm_store_make_empty(s, s->begin.pages, s->begin.slots),
			     words);
	if (rc == 0)
		rc = replay(s, words);
	/* What was read may be in the kernel's memory alone, after a sync that failed; and the
	 * next one goes over the only other one. */
	if (rc == 0)
		rc = written(xm_store_begin_write(s, &s->begin), words);
	return rc == 0 ? check_table(s, words) : rc;
}

int xm_store_look(const struct xm_disk_ops *ops, void *disk, char *words)
{
	struct xm_store s = { .ops = ops, .disk = disk };
	bool alone;
	int rc = find_begin(&s, &alone, words);

	if (rc == 0 && !alone)
		rc = check_lengths(&s, words);
	return rc == -ENODATA ? 0 : rc;
}

/* With the first beginning alone there was no batch yet. */
static int begin_new(struct xm_store *s, char *words)
{
	int rc = xm_store_is_empty(s);

	if (rc == -EUCLEAN)
		return refuse(words, rc, "its journal is gone, and something was "
			      "durable: it was cut off, or copied in part");
	memset(&s->begin, 0, sizeof(s->begin));
	s->begin.id = s->ops->draw(s->disk);
	if (rc == 0)
		rc = xm_store_make_empty(s, 0, 0);
	if (rc == 0)
		rc = xm_store_begin_anew(s);
	return written(rc, words);
}

int xm_store_open(struct xm_store *s, const struct xm_store_options *o,
		  const struct xm_disk_ops *ops, void *disk, void *memory,
		  char *words)
{
	bool alone;
	int rc;

	XM_ASSERT(o->slots > 0 &&
		  xm_is_aligned(o->slots, XM_STORE_BLOCK / XM_STORE_SECTOR));
	XM_ASSERT(o->pages > 0 && o->batch_max > 0 &&
		  o->journal_size >= xm_store_journal_min(o->batch_max));
	memset(s, 0, sizeof(*s));
	s->options = *o;
	s->ops = ops;
	s->disk = disk;
	lay_out(o, memory, s);
	rc = find_begin(s, &alone, words);
	s->sequence = 1;
	if (rc == -ENODATA || (rc == 0 && alone))
		rc = begin_new(s, words);
	else if (rc == 0)
		rc = recover(s, words);
	memset(s->head, 0, (size_t)(s->pages - s->head));
	if (rc != 0)
		return xm_store_fail(s, rc);
	return written(xm_store_begin_anew(s), words);
}
