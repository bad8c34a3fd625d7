/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The durable store of an appliance: the pages of extents that are kept, and the entries
 * that say whose they are, on a disk that may be cut off from power at any moment.
 *
 * A redo journal and an image in place (as the WAL of SQLite, and InnoDB's doublewrite):
 * pages are gathered into a batch; the batch is written to the journal, and the journal is
 * synced: from then on they are durable. Then they are written to the image, without a
 * sync. When the journal is full the image is synced, and the journal begins anew, as
 * another generation. So a crash at any moment leaves either the batch in the journal, or
 * the former bytes in the image and no trace of it; space is bounded (pool and journal), and
 * nothing is ever collected.
 *
 *	commit		journal: write, sync; image, sums, table: write
 *	begin anew	image, sums, table: sync; journal: begin of the next generation, sync
 *	open		the newest begin; each batch behind it, as long as they are valid and
 *			in sequence, into image, sums and table; then begin anew
 *
 * What reads as zeros is no empty store, but one that was cut off or copied in part
 * (store_new.c): every sector that something rests on has a checksum from the start.
 *
 * What ends recovery. A batch is written only after the one before was synced. So a batch
 * that is damaged, with a valid one of its generation behind it, was durable: the store is
 * refused (-EUCLEAN), rather than given back older. With none behind it, it is what a crash
 * cut off, and nobody was told that it is durable: unless the image has pages of it.
 *
 * Whose a page is. Extents come and go at one place of the pool. An entry remembers with
 * which batch it was born: what came with an earlier one is a former owner's, and reads as
 * zero. A batch with an entry never has pages that were gathered before it.
 *
 * Errors of the disk are final: after one, every call returns it until the store is opened
 * again. (After a sync has failed the kernel may have dropped what was to be written, and
 * a second sync says that all is well.)
 *
 * What it does not do: it does not find out that the disk gives back an older state of all
 * its files, or that a sync lied, unless that left a hole in the sequence of batches.
 *
 * One thread. It makes no system call: the disk is behind xm_disk_ops. Floor: first.
 */
#ifndef XM_STORE_H
#define XM_STORE_H

#include "appliance/store_form.h"

#define XM_STORE_FIRST (2 * XM_STORE_BLOCK) /* where the first batch lies */
#define XM_STORE_RUN 32 /* pages that are compared at once */

enum xm_store_file {
	XM_STORE_JOURNAL,
	XM_STORE_IMAGE,
	XM_STORE_SUMS,
	XM_STORE_TABLE,
	XM_STORE_FILES,
};

/* Each returns 0 or -errno, and moves all bytes or may have moved some. What lies behind a
 * file's end reads as zeros. */
struct xm_disk_ops {
	int (*read)(void *disk, enum xm_store_file, uint64_t offset, void *bytes,
		    size_t size);
	int (*write)(void *disk, enum xm_store_file, uint64_t offset,
		     const void *bytes, size_t size);
	int (*sync)(void *disk, enum xm_store_file);
	/* Bytes that the file had when the disk was opened, before any was written. */
	uint64_t (*size)(void *disk, enum xm_store_file);
	/* A number that nobody can guess. */
	uint64_t (*draw)(void *disk);
};

struct xm_store_options {
	uint64_t pages;	       /* of the pool */
	uint32_t slots;	       /* for extents; a multiple of 8 */
	uint32_t batch_max;    /* pages in one batch */
	uint64_t journal_size; /* at least two batches */
};

struct xm_store_counters {
	uint64_t batches, pages; /* that were made durable */
	uint64_t same;		 /* pages that were durable already */
	uint64_t generations;
	uint64_t replayed; /* batches, at the start */
};

struct xm_store {
	struct xm_store_options options;
	const struct xm_disk_ops *ops;
	void *disk;
	struct xm_store_begin begin; /* of this generation */
	uint64_t position;	     /* in the journal, of the next batch */
	uint64_t sequence;	     /* of the next batch */
	uint32_t count;		     /* pages gathered for it */
	int failed;		     /* 0, or why nothing is done any more */
	struct xm_store_sum *sums;
	uint8_t *table;
	uint8_t *head;	/* of the batch; its pages are behind the largest head */
	uint8_t *pages; /* those */
	uint8_t *run;	/* of the image, to compare with */
	struct xm_store_counters counters;
};

size_t xm_store_memory_size(const struct xm_store_options *);
/* Smallest journal for such batches. */
uint64_t xm_store_journal_min(uint32_t batch_max);
/* Before anything is written, or given room: 0, or -errno and a sentence, as below, for files
 * that were cut off or are not a store's. */
int xm_store_look(const struct xm_disk_ops *, void *disk, char *words);
/* Opens what is there, after whatever crash, or begins a new one. The memory is zeroed, and
 * stays the caller's. 0, or -errno and a sentence in `words` (XM_WORDS_SIZE): -EUCLEAN it is
 * damaged. -EPROTONOSUPPORT it is of another version. -ENOSPC it has more than these options
 * have room for. Of the disk: those of the disk. */
int xm_store_open(struct xm_store *, const struct xm_store_options *,
		  const struct xm_disk_ops *, void *disk, void *memory, char *words);

/* False: the slot is unused. */
bool xm_store_entry(const struct xm_store *, uint32_t slot,
		    struct xm_store_entry *ret);
/* From the next commit on: the slot has this entry; `fresh`: of an extent that had none
 * before, whose pages are all zero. `born` is the store's own business. */
int xm_store_keep(struct xm_store *, uint32_t slot, const struct xm_store_entry *,
		  bool fresh);
int xm_store_forget(struct xm_store *, uint32_t slot);
/* Likewise: pages [first, first + count) of the pool, of this slot's extent, are these
 * bytes, which may change while they are copied. -EINVAL: they are not its extent's. */
int xm_store_put(struct xm_store *, uint32_t slot, uint64_t first, uint64_t count,
		 const uint8_t *bytes);
/* So many pages, put next, are in one batch: all of them become durable, or none. There are
 * `batch_max` at most. */
int xm_store_together(struct xm_store *, uint64_t pages);
/* Returns when all of it is durable. It may have begun before. */
int xm_store_commit(struct xm_store *);

/* The bytes of pages of the slot's extent: 0; -EUCLEAN: page *ret_bad is damaged. */
int xm_store_get(struct xm_store *, uint32_t slot, uint64_t first, uint64_t count,
		 uint8_t *ret, uint64_t *ret_bad);

/* Reads pages of the image, whose ever they are, and compares those that came with batch
 * `since` (from 1) or later with their checksums. 0; -EUCLEAN: page *ret_bad, the first such
 * one, is damaged. */
int xm_store_scrub(struct xm_store *, uint64_t since, uint64_t first,
		   uint64_t count, uint8_t *bytes, uint64_t *ret_bad);

#endif
