/* SPDX-License-Identifier: BSD-3-Clause */
/* See disk.h. */
#include "sim/disk.h"

#include <errno.h>
#include <string.h>

#include "sim/notes.h"
#include "sim/world.h"

#define SECTORS 512 /* of one file, at most */
#define VERSIONS 3  /* of a sector that are remembered while it is not synced */

struct sector {
	uint8_t disk[XM_STORE_SECTOR];	/* what is there after a power cut */
	uint8_t cache[XM_STORE_SECTOR]; /* what is read */
	uint8_t written[VERSIONS][XM_STORE_SECTOR];
	uint32_t versions; /* of `written`; 0: synced */
};

static struct {
	struct sector sectors[XM_STORE_FILES][SECTORS];
	uint32_t used[XM_STORE_FILES]; /* sectors that were ever written */
	uint32_t cut_in, fail_in;      /* operations; 0: not */
	int fail_status;
	bool off, failed;
} d;

static uint32_t below(uint32_t n)
{
	return (uint32_t)xm_rand_below(world_rand(WORLD_WEATHER), n);
}

void disk_open(void)
{
	for (int file = 0; file < XM_STORE_FILES; file++)
		memset(d.sectors[file], 0, d.used[file] * sizeof(struct sector));
	memset(d.used, 0, sizeof(d.used));
	d.cut_in = d.fail_in = 0;
	d.off = d.failed = false;
}

/* Counts an operation. 0, or why it fails. */
static int begin(void)
{
	if (d.off)
		return -EIO;
	if (d.cut_in > 0 && --d.cut_in == 0) {
		world_note("disk.cut: the power is off", 0, 0, 0);
		d.off = true;
		return -EIO;
	}
	if (d.fail_in > 0 && --d.fail_in == 0) {
		d.failed = true;
		world_note("disk.fail: an operation fails with {status}",
			   (uint64_t)(int64_t)d.fail_status, 0, 0);
		return d.fail_status;
	}
	return 0;
}

static int read_bytes(void *disk, enum xm_store_file file, uint64_t offset,
		      void *bytes, size_t size)
{
	int rc = begin();

	(void)disk;
	XM_ASSERT(xm_is_aligned(offset | size, XM_STORE_SECTOR));
	if (rc != 0)
		return rc;
	for (size_t at = 0; at < size; at += XM_STORE_SECTOR) {
		uint64_t i = (offset + at) / XM_STORE_SECTOR;

		if (i < d.used[file])
			memcpy((uint8_t *)bytes + at, d.sectors[file][i].cache,
			       XM_STORE_SECTOR);
		else
			memset((uint8_t *)bytes + at, 0, XM_STORE_SECTOR);
	}
	return 0;
}

static void write_sector(struct sector *s, const uint8_t *bytes)
{
	uint32_t version = s->versions < VERSIONS ? s->versions++
						  : below(VERSIONS);

	memcpy(s->cache, bytes, XM_STORE_SECTOR);
	memcpy(s->written[version], bytes, XM_STORE_SECTOR);
}

static int write_bytes(void *disk, enum xm_store_file file, uint64_t offset,
		       const void *bytes, size_t size)
{
	bool was_off = d.off;
	int rc = begin();
	uint64_t first = offset / XM_STORE_SECTOR;

	(void)disk;
	XM_ASSERT(xm_is_aligned(offset | size, XM_STORE_SECTOR));
	XM_ASSERT(first + size / XM_STORE_SECTOR <= SECTORS);
	if (was_off)
		return rc;
	for (size_t i = 0; i < size / XM_STORE_SECTOR; i++) {
		/* Of one that fails, or is cut off, some sectors are written. */
		if (rc != 0 && below(2) == 0)
			continue;
		write_sector(&d.sectors[file][first + i],
			     (const uint8_t *)bytes + i * XM_STORE_SECTOR);
	}
	d.used[file] = (uint32_t)xm_max(d.used[file],
					first + size / XM_STORE_SECTOR);
	return rc;
}

static int sync_file(void *disk, enum xm_store_file file)
{
	int rc = begin();

	(void)disk;
	for (uint32_t i = 0; i < d.used[file] && !d.off; i++) {
		struct sector *s = &d.sectors[file][i];

		if (s->versions == 0 || (rc != 0 && below(3) == 0))
			continue;
		/* After an error it counts as written, and may not be. */
		if (rc == 0 || below(2) == 0)
			memcpy(s->disk, s->cache, XM_STORE_SECTOR);
		s->versions = 0;
	}
	return rc;
}

static uint64_t size_of(void *disk, enum xm_store_file file)
{
	(void)disk;
	(void)file;
	return SECTORS * XM_STORE_SECTOR; /* it is never cut off */
}

static uint64_t draw(void *disk)
{
	(void)disk;
	return xm_rand_next(world_rand(WORLD_WEATHER)) | 1;
}

const struct xm_disk_ops disk_ops = {
	.read = read_bytes,
	.write = write_bytes,
	.sync = sync_file,
	.size = size_of,
	.draw = draw,
};

void disk_cut(uint32_t operations)
{
	d.cut_in = operations;
}

bool disk_is_off(void)
{
	return d.off;
}

void disk_fail(uint32_t operations, int status)
{
	d.fail_in = operations;
	d.fail_status = status;
	d.failed = false;
}

bool disk_has_failed(void)
{
	return d.failed;
}

static void settle(struct sector *s)
{
	uint32_t which = below(s->versions + 1);

	if (which < s->versions)
		memcpy(s->disk, s->written[which], XM_STORE_SECTOR);
	s->versions = 0;
}

void disk_on(bool power)
{
	for (int file = 0; file < XM_STORE_FILES && power; file++) {
		for (uint32_t i = 0; i < d.used[file]; i++) {
			struct sector *s = &d.sectors[file][i];

			if (s->versions > 0)
				settle(s);
			memcpy(s->cache, s->disk, XM_STORE_SECTOR);
		}
	}
	d.cut_in = d.fail_in = 0;
	d.off = d.failed = false;
}

void disk_rot_at(enum xm_store_file file, uint32_t sector)
{
	struct sector *s = &d.sectors[file][sector];

	bool zeros = below(3) == 0;

	if (zeros)
		memset(s->disk, 0, XM_STORE_SECTOR);
	else
		s->disk[below(XM_STORE_SECTOR)] ^= (uint8_t)(1 << below(8));
	memcpy(s->cache, s->disk, XM_STORE_SECTOR);
	world_note("disk.rot: a bit of sector {sector} of file {file} changes, or all "
		   "become zero: {zeros}", sector, file, zeros);
}

bool disk_rot(void)
{
	enum xm_store_file file = (enum xm_store_file)below(XM_STORE_FILES);

	if (d.used[file] == 0)
		return false;
	disk_rot_at(file, below(d.used[file]));
	return true;
}
