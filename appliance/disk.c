/* SPDX-License-Identifier: BSD-3-Clause */
/* See disk.h. Floor: skin. */
#include "appliance/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char *const names[XM_STORE_FILES] = {
	[XM_STORE_JOURNAL] = "journal",
	[XM_STORE_IMAGE] = "image",
	[XM_STORE_SUMS] = "sums",
	[XM_STORE_TABLE] = "table",
};

/* --- the operations ------------------------------------------------------- */

static int file_read(void *disk, enum xm_store_file file, uint64_t offset,
		     void *bytes, size_t size)
{
	const struct xm_disk *d = disk;
	uint8_t *at = bytes;

	while (size > 0) {
		ssize_t n = pread(d->files[file], at, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			memset(at, 0, size);
			return 0;
		}
		at += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

static int file_write(void *disk, enum xm_store_file file, uint64_t offset,
		      const void *bytes, size_t size)
{
	const struct xm_disk *d = disk;
	const uint8_t *at = bytes;

	while (size > 0) {
		ssize_t n = pwrite(d->files[file], at, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

static int file_sync(void *disk, enum xm_store_file file)
{
	const struct xm_disk *d = disk;

	return fdatasync(d->files[file]) == 0 ? 0 : -errno;
}

static uint64_t file_had(void *disk, enum xm_store_file file)
{
	const struct xm_disk *d = disk;

	return d->had[file];
}

static uint64_t draw(void *disk)
{
	uint64_t number;

	(void)disk;
	XM_ASSERT(getrandom(&number, sizeof(number), 0) == sizeof(number));
	return number;
}

const struct xm_disk_ops xm_disk_files = {
	.read = file_read,
	.write = file_write,
	.sync = file_sync,
	.size = file_had,
	.draw = draw,
};

/* --- the folder ----------------------------------------------------------- */

static int say(char *words, size_t words_size, int rc, const char *what)
{
	snprintf(words, words_size, "%s: %s", what, strerror(-rc));
	return rc;
}

static int take_lock(struct xm_disk *d, bool create, char *words,
		     size_t words_size)
{
	d->lock = openat(d->folder, "lock", O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0),
			 0600);
	if (d->lock < 0)
		return say(words, words_size, -errno,
			   create ? "cannot make its lock" : "this is no store");
	if (flock(d->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return say(words, words_size, -errno, "cannot be locked");
	snprintf(words, words_size, "another process has it open (an extmemd?): one store "
		 "is for one appliance");
	return -EBUSY;
}

static uint64_t room(const struct xm_disk *d, enum xm_store_file file)
{
	struct stat at;

	return fstat(d->files[file], &at) == 0 ? (uint64_t)at.st_size : 0;
}

int xm_disk_open(const char *path, bool create, char *words, size_t words_size,
		 struct xm_disk *ret)
{
	int rc;

	memset(ret, 0xff, sizeof(*ret)); /* no descriptor is open */
	if (create && mkdir(path, 0700) != 0 && errno != EEXIST)
		return say(words, words_size, -errno, "cannot be made");
	ret->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->folder < 0)
		return say(words, words_size, -errno, "cannot be opened");
	rc = take_lock(ret, create, words, words_size);
	for (int file = 0; file < XM_STORE_FILES && rc == 0; file++) {
		ret->files[file] = openat(ret->folder, names[file],
					  O_RDWR | O_CLOEXEC |
						  (create ? O_CREAT : 0), 0600);
		if (ret->files[file] < 0)
			rc = say(words, words_size, -errno, names[file]);
		else
			ret->had[file] = room(ret, (enum xm_store_file)file);
	}
	/* The names themselves are to be there after a crash. */
	if (rc == 0 && create && fsync(ret->folder) != 0)
		rc = say(words, words_size, -errno, "cannot be synced");
	if (rc != 0)
		xm_disk_close(ret);
	return rc;
}

static uint64_t file_size(const struct xm_store_options *o, enum xm_store_file file)
{
	switch (file) {
	case XM_STORE_JOURNAL: return o->journal_size;
	case XM_STORE_IMAGE: return o->pages * XM_STORE_BLOCK;
	case XM_STORE_SUMS:
		return (o->pages + XM_SUMS_SECTOR - 1) / XM_SUMS_SECTOR *
		       XM_STORE_SECTOR;
	default: return (uint64_t)o->slots * XM_STORE_SECTOR;
	}
}

static int refuse_full(const struct xm_disk *d, const struct xm_store_options *o,
		       char *words, size_t words_size)
{
	uint64_t all = 0;
	struct statvfs at;

	for (int file = 0; file < XM_STORE_FILES; file++)
		all += file_size(o, (enum xm_store_file)file);
	if (fstatvfs(d->folder, &at) != 0)
		memset(&at, 0, sizeof(at));
	snprintf(words, words_size, "the store takes %" PRIu64 " MiB of disk, and %"
		 PRIu64 " MiB are free where it lies: make room, or lend less "
		 "memory", (all + XM_MIB - 1) / XM_MIB,
		 (uint64_t)at.f_bavail * at.f_frsize / XM_MIB);
	return -ENOSPC;
}

int xm_disk_reserve(struct xm_disk *d, const struct xm_store_options *o, char *words,
		    size_t words_size)
{
	for (int file = 0; file < XM_STORE_FILES; file++) {
		int rc = -posix_fallocate(
			d->files[file], 0,
			(off_t)file_size(o, (enum xm_store_file)file));

		if (rc == -ENOSPC || rc == -EDQUOT)
			return refuse_full(d, o, words, words_size);
		if (rc != 0) {
			snprintf(words, words_size, "%s: no room can be taken: %s",
				 names[file], strerror(-rc));
			return rc;
		}
		/* What was allocated, and sizes, too. */
		if (fsync(d->files[file]) != 0) {
			rc = -errno;
			snprintf(words, words_size, "%s: cannot be synced: %s",
				 names[file], strerror(-rc));
			return rc;
		}
	}
	return 0;
}

int xm_disk_sizes(struct xm_disk *d, struct xm_store_options *ret, char *words,
		  size_t words_size)
{
	ret->pages = room(d, XM_STORE_IMAGE) / XM_STORE_BLOCK;
	ret->slots = (uint32_t)(room(d, XM_STORE_TABLE) / XM_STORE_SECTOR);
	ret->journal_size = room(d, XM_STORE_JOURNAL);
	ret->batch_max = XM_DISK_BATCH;
	if (ret->pages > 0 && ret->slots > 0 &&
	    xm_is_aligned(ret->slots, XM_STORE_BLOCK / XM_STORE_SECTOR) &&
	    ret->journal_size >= xm_store_journal_min(ret->batch_max))
		return 0;
	snprintf(words, words_size, "its files are too short: this is no store, or "
		 "half of one");
	return -EUCLEAN;
}

void xm_disk_close(struct xm_disk *d)
{
	for (int file = 0; file < XM_STORE_FILES; file++) {
		if (d->files[file] >= 0)
			close(d->files[file]);
	}
	if (d->lock >= 0)
		close(d->lock);
	if (d->folder >= 0)
		close(d->folder);
	memset(d, 0xff, sizeof(*d));
}
