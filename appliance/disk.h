/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The disk of a durable store (store.h): the files of one folder.
 *
 *	DIR/lock	held by who has it open; nobody else may
 *	DIR/journal DIR/image DIR/sums DIR/table
 *
 * They are of mode 600, and hold tokens and whatever clients have made durable. Their room
 * is taken when the store is opened, so that the disk cannot be full later (where the file
 * system overwrites in place: not btrfs).
 *
 * Floor: skin.
 */
#ifndef XM_DISK_H
#define XM_DISK_H

#include "appliance/store.h"

#define XM_DISK_BATCH 1024 /* pages in one batch: 4 MiB */
#define XM_DISK_JOURNAL (64 * XM_MIB)

struct xm_disk {
	int folder, lock;
	int files[XM_STORE_FILES];
	uint64_t had[XM_STORE_FILES]; /* bytes, when it was opened */
};

extern const struct xm_disk_ops xm_disk_files;

/* Opens the folder, and takes it for itself. It is made if it is not there and `create`.
 * 0, or -errno with words: -EBUSY somebody else has it. -ENOENT. */
int xm_disk_open(const char *path, bool create, char *words, size_t words_size,
		 struct xm_disk *ret);
/* Takes the room for these options. -ENOSPC: with words that say how much is lacking. */
int xm_disk_reserve(struct xm_disk *, const struct xm_store_options *, char *words,
		    size_t words_size);
/* What the files that are there were made for, for who reads them alone. */
int xm_disk_sizes(struct xm_disk *, struct xm_store_options *ret, char *words,
		  size_t words_size);
void xm_disk_close(struct xm_disk *);

#endif
