/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the durable store (store.h) has on its disk, as bytes. All integers are
 * little-endian.
 *
 *	journal	two heads of a generation, a block each, written in turn: generation G is
 *		in block G % 2. Then batches, one behind the other.
 *	image	the pages of the pool, at the pool's own offsets
 *	sums	of each page of the image: the batch it came with, and its checksum.
 *		XM_SUMS_SECTOR of them and their checksum are a sector.
 *	table	an entry of a sector for each extent that is kept, at its slot
 *
 * A batch is a head (the numbers of its pages and their checksums, whole blocks) and the
 * pages. The head's checksum is over all of the head, so one valid head and its valid
 * pages are one valid batch.
 *
 * What must not be half new is no larger than a sector of 512 bytes, which a disk writes
 * whole or not at all; of what is larger the checksum tells.
 *
 * Each generation has a salt that nobody could know before it began, and its batches bear
 * it. So no page's bytes, of an earlier generation or chosen by a client, are ever taken for
 * a batch.
 *
 * Floor: ground.
 */
#ifndef XM_STORE_FORM_H
#define XM_STORE_FORM_H

#include "common/base.h"
#include "core/pure/wire.h"

#define XM_STORE_VERSION 2
#define XM_STORE_BLOCK 4096
#define XM_STORE_SECTOR 512
#define XM_SECTOR_SUM (XM_STORE_SECTOR - 8) /* where a sector's checksum stands */
#define XM_SUMS_SECTOR 31 /* of 16 bytes, and a checksum */
#define XM_STORE_HEAD 64 /* bytes of a batch's head before its pages' numbers */
#define XM_STORE_HEAD_PAGE 16 /* bytes for each page there */
/* Of a page's number in a batch: it is a block of the table. */
#define XM_STORE_OF_TABLE (UINT64_C(1) << 63)

/* What begins a generation. */
struct xm_store_begin {
	uint64_t generation, salt;
	uint64_t id; /* of the store: random, for good */
	uint64_t sequence; /* of its first batch */
	uint64_t pages, slots, journal_size; /* what the files have room for */
};

struct xm_store_batch {
	uint64_t generation, salt, sequence;
	uint32_t count; /* pages */
};

struct xm_store_sum {
	uint64_t sequence; /* of the batch the page came with; 0: none */
	uint64_t sum;
	uint32_t pending; /* not on the disk; store.c */
};

/* An extent that is kept. */
struct xm_store_entry {
	uint64_t offset, size; /* bytes of the pool; size 0: the slot is unused */
	uint64_t born; /* pages of earlier batches are a former owner's */
	uint64_t epoch;
	uint32_t keep_ms; /* so long it waits without an owner */
	uint16_t member;
	struct xm_region_id id;
	char region[XM_NAME_SIZE];
	char owner[XM_IDENTITY_SIZE]; /* whose tenant it is counted to */
	char identity[XM_IDENTITY_SIZE]; /* who alone may claim it; "": anybody */
	uint8_t token[XM_TOKEN_SIZE];
	struct xm_label label;
};

void xm_store_begin_encode(const struct xm_store_begin *,
			   uint8_t sector[XM_STORE_SECTOR]);
/* Likewise, as another version of extmem would; for tests. */
void xm_store_begin_encode_as(const struct xm_store_begin *, uint32_t version,
			      uint8_t sector[XM_STORE_SECTOR]);
/* 0; -ENODATA: it is all zero; -EUCLEAN: damaged; -EPROTONOSUPPORT: of another version. */
int xm_store_begin_decode(const uint8_t *sector,
			  struct xm_store_begin *ret);

/* Blocks of the head of a batch of so many pages. */
uint64_t xm_store_head_blocks(uint32_t count);
/* Of a page of this number in this store: what is written to another place, or is of another
 * store, does not have it. */
uint64_t xm_store_sum_of(const uint8_t *bytes, uint64_t id, uint64_t page);
/* The number and checksum of the page at `index`, in a head; before the head is sealed. */
void xm_store_head_set(uint8_t *head, uint32_t index, uint64_t page, uint64_t sum);
void xm_store_head_get(const uint8_t *head, uint32_t index, uint64_t *ret_page,
		       uint64_t *ret_sum);
void xm_store_head_seal(uint8_t *head,
			const struct xm_store_batch *);
/* The count that the first block of a head says, before its checksum is known to hold. */
uint32_t xm_store_head_count(const uint8_t *block);
bool xm_store_head_decode(const uint8_t *head,
			  struct xm_store_batch *ret);

/* Sectors hold in the store of this id alone. */
void xm_store_sums_encode(const struct xm_store_sum *, uint32_t count, uint64_t id,
			  uint8_t sector[XM_STORE_SECTOR]);
/* False: damaged. So is a sector of zeros. */
bool xm_store_sums_decode(const uint8_t *sector, uint64_t id,
			  struct xm_store_sum *ret, uint32_t count);

void xm_store_entry_encode(const struct xm_store_entry *, uint64_t id,
			   uint8_t sector[XM_STORE_SECTOR]);
/* Likewise. */
bool xm_store_entry_decode(const uint8_t *sector, uint64_t id,
			   struct xm_store_entry *ret);

#endif
