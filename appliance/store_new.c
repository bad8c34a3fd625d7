/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a store is before anything is in it: every sector of its sums and its table says so
 * under a checksum. So one that reads as zeros, as what was lost or never copied does, is no
 * empty one; see store.h. The journal's beginning comes last, twice, so that from the first
 * batch on both of its blocks are there.
 *
 * Floor: first.
 */
#include "appliance/store.h"

#include <errno.h>
#include <string.h>

#include "appliance/store_parts.h"

#define RUN (XM_STORE_RUN * (XM_STORE_BLOCK / XM_STORE_SECTOR)) /* sectors written at once */

uint64_t xm_store_sums_sectors(uint64_t pages)
{
	return (pages + XM_SUMS_SECTOR - 1) / XM_SUMS_SECTOR;
}

static int write_empty(struct xm_store *s, enum xm_store_file file, uint64_t from,
		       uint64_t to, const uint8_t *sector)
{
	int rc = 0;

	for (uint32_t i = 0; i < RUN; i++)
		memcpy(s->run + i * XM_STORE_SECTOR, sector, XM_STORE_SECTOR);
	for (uint64_t count; from < to && rc == 0; from += count) {
		count = xm_min(RUN, to - from);
		rc = s->ops->write(s->disk, file, from * XM_STORE_SECTOR, s->run,
				   count * XM_STORE_SECTOR);
	}
	return rc;
}

int xm_store_make_empty(struct xm_store *s, uint64_t pages, uint64_t slots)
{
	const struct xm_store_sum none[XM_SUMS_SECTOR] = { { 0 } };
	const struct xm_store_entry nobody = { .size = 0 };
	uint8_t sector[XM_STORE_SECTOR];
	int rc;

	xm_store_sums_encode(none, XM_SUMS_SECTOR, s->begin.id, sector);
	rc = write_empty(s, XM_STORE_SUMS, xm_store_sums_sectors(pages),
			 xm_store_sums_sectors(s->options.pages), sector);
	xm_store_entry_encode(&nobody, s->begin.id, sector);
	if (rc == 0)
		rc = write_empty(s, XM_STORE_TABLE, slots, s->options.slots, sector);
	for (uint64_t slot = slots; slot < s->options.slots; slot++)
		memcpy(s->table + slot * XM_STORE_SECTOR, sector, XM_STORE_SECTOR);
	return rc;
}

/* Zeros, with a checksum or without, of whatever id: who wrote it did not come to its end. */
static bool is_empty(const uint8_t *sector)
{
	return sector[0] == 0 && memcmp(sector, sector + 1, XM_SECTOR_SUM - 1) == 0;
}

int xm_store_is_empty(struct xm_store *s)
{
	const uint64_t sectors[XM_STORE_FILES] = {
		[XM_STORE_SUMS] = xm_store_sums_sectors(s->options.pages),
		[XM_STORE_TABLE] = s->options.slots,
	};
	int rc = 0;

	for (int file = XM_STORE_SUMS; file < XM_STORE_FILES; file++) {
		for (uint64_t at = 0, count; at < sectors[file] && rc == 0;
		     at += count) {
			count = xm_min(RUN, sectors[file] - at);
			rc = s->ops->read(s->disk, (enum xm_store_file)file,
					  at * XM_STORE_SECTOR, s->run,
					  count * XM_STORE_SECTOR);
			for (uint64_t i = 0; i < count && rc == 0; i++) {
				if (!is_empty(s->run + i * XM_STORE_SECTOR))
					rc = -EUCLEAN;
			}
		}
	}
	return rc;
}
