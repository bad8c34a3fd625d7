/* SPDX-License-Identifier: BSD-3-Clause */
/* See store_form.h. Floor: ground. */
#include "appliance/store_form.h"

#include <errno.h>
#include <string.h>

/* Its functions are inlined; those with memory of their own are left out. */
#define XXH_INLINE_ALL
#define XXH_NO_STREAM
#include <xxhash.h>

#include "core/pure/plant.h"

#define BEGIN_MAGIC UINT64_C(0x45524f54534d5458) /* "XTMSTORE" */
#define BATCH_MAGIC UINT64_C(0x48435441424d5458) /* "XTMBATCH" */

/* A place in bytes that are being read or written. */
struct place {
	uint8_t *at;
	bool writes;
};

static uint64_t number_get(const void *value, unsigned size)
{
	return size == 2 ? *(const uint16_t *)value
	     : size == 4 ? *(const uint32_t *)value
			 : *(const uint64_t *)value;
}

static void number_set(void *value, unsigned size, uint64_t number)
{
	if (size == 2)
		*(uint16_t *)value = (uint16_t)number;
	else if (size == 4)
		*(uint32_t *)value = (uint32_t)number;
	else
		*(uint64_t *)value = number;
}

/* A member of 2, 4 or 8 bytes. */
static void pass(struct place *p, void *value, unsigned size)
{
	uint64_t number = 0;

	if (p->writes) {
		number = number_get(value, size);
		for (unsigned i = 0; i < size; i++)
			p->at[i] = (uint8_t)(number >> 8 * i);
	} else {
		for (unsigned i = 0; i < size; i++)
			number |= (uint64_t)p->at[i] << 8 * i;
		number_set(value, size, number);
	}
	p->at += size;
}

static void pass_bytes(struct place *p, void *bytes, size_t size)
{
	if (p->writes)
		memcpy(p->at, bytes, size);
	else
		memcpy(bytes, p->at, size);
	p->at += size;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

static void sector_seal(uint8_t *sector, uint64_t id)
{
	uint64_t sum = XXH64(sector, XM_SECTOR_SUM, id);

	pass(&(struct place){ sector + XM_SECTOR_SUM, true }, &sum, 8);
}

static bool sector_holds(const uint8_t *sector, uint64_t id)
{
	uint64_t sum;

	pass(&(struct place){ (uint8_t *)(uintptr_t)sector + XM_SECTOR_SUM, false },
	     &sum, 8);
	return sum == XXH64(sector, XM_SECTOR_SUM, id);
}

/* --- the beginning of a generation ---------------------------------------- */

static void pass_begin(struct place *p, uint64_t *magic, uint32_t *version,
		       struct xm_store_begin *b)
{
	pass(p, magic, 8);
	pass(p, version, 4);
	pass(p, &b->generation, 8);
	pass(p, &b->salt, 8);
	pass(p, &b->id, 8);
	pass(p, &b->sequence, 8);
	pass(p, &b->pages, 8);
	pass(p, &b->slots, 8);
	pass(p, &b->journal_size, 8);
}

void xm_store_begin_encode_as(const struct xm_store_begin *begin, uint32_t version,
			      uint8_t sector[XM_STORE_SECTOR])
{
	struct xm_store_begin copy = *begin;
	uint64_t magic = BEGIN_MAGIC;

	memset(sector, 0, XM_STORE_SECTOR);
	pass_begin(&(struct place){ sector, true }, &magic, &version, &copy);
	sector_seal(sector, 0);
}

void xm_store_begin_encode(const struct xm_store_begin *begin,
			   uint8_t sector[XM_STORE_SECTOR])
{
	xm_store_begin_encode_as(begin, XM_STORE_VERSION, sector);
}

int xm_store_begin_decode(const uint8_t *sector,
			  struct xm_store_begin *ret)
{
	struct xm_store_begin begin = { 0 };
	uint64_t magic;
	uint32_t version;

	if (is_zero(sector, XM_STORE_SECTOR))
		return -ENODATA;
	pass_begin(&(struct place){ (uint8_t *)(uintptr_t)sector, false }, &magic,
		   &version, &begin);
	if (magic != BEGIN_MAGIC || !sector_holds(sector, 0))
		return -EUCLEAN;
	if (version != XM_STORE_VERSION)
		return -EPROTONOSUPPORT;
	*ret = begin;
	return 0;
}

/* --- batches -------------------------------------------------------------- */

uint64_t xm_store_sum_of(const uint8_t *bytes, uint64_t id, uint64_t page)
{
	return XXH64(bytes, XM_STORE_BLOCK, id ^ page);
}

uint64_t xm_store_head_blocks(uint32_t count)
{
	return (XM_STORE_HEAD + (uint64_t)count * XM_STORE_HEAD_PAGE +
		XM_STORE_BLOCK - 1) / XM_STORE_BLOCK;
}

static void pass_page(struct place *p, uint64_t *page, uint64_t *sum)
{
	pass(p, page, 8);
	pass(p, sum, 8);
}

void xm_store_head_set(uint8_t *head, uint32_t index, uint64_t page, uint64_t sum)
{
	uint8_t *at = head + XM_STORE_HEAD + index * XM_STORE_HEAD_PAGE;

	pass_page(&(struct place){ at, true }, &page, &sum);
}

void xm_store_head_get(const uint8_t *head, uint32_t index, uint64_t *ret_page,
		       uint64_t *ret_sum)
{
	const uint8_t *at = head + XM_STORE_HEAD + index * XM_STORE_HEAD_PAGE;

	pass_page(&(struct place){ (uint8_t *)(uintptr_t)at, false }, ret_page,
		  ret_sum);
}

static void pass_batch(struct place *p, uint64_t *magic, struct xm_store_batch *b,
		       uint64_t *sum)
{
	pass(p, sum, 8);
	pass(p, magic, 8);
	pass(p, &b->count, 4);
	pass(p, &b->generation, 8);
	pass(p, &b->salt, 8);
	pass(p, &b->sequence, 8);
}

/* Of all of the head but the checksum itself. */
static uint64_t head_sum(const uint8_t *head, uint32_t count)
{
	return XXH64(head + 8,
			xm_store_head_blocks(count) * XM_STORE_BLOCK - 8, 0);
}

void xm_store_head_seal(uint8_t *head, const struct xm_store_batch *batch)
{
	struct xm_store_batch copy = *batch;
	uint64_t magic = BATCH_MAGIC, sum = 0;

	pass_batch(&(struct place){ head, true }, &magic, &copy, &sum);
	sum = head_sum(head, batch->count);
	pass(&(struct place){ head, true }, &sum, 8);
}

uint32_t xm_store_head_count(const uint8_t *block)
{
	uint32_t count;

	pass(&(struct place){ (uint8_t *)(uintptr_t)block + 16, false }, &count, 4);
	return count;
}

bool xm_store_head_decode(const uint8_t *head, struct xm_store_batch *ret)
{
	struct xm_store_batch batch;
	uint64_t magic, sum;

	pass_batch(&(struct place){ (uint8_t *)(uintptr_t)head, false }, &magic,
		   &batch, &sum);
	if (magic != BATCH_MAGIC || sum != head_sum(head, batch.count))
		return false;
	*ret = batch;
	return true;
}

/* --- sums ----------------------------------------------------------------- */

void xm_store_sums_encode(const struct xm_store_sum *sums, uint32_t count, uint64_t id,
			  uint8_t sector[XM_STORE_SECTOR])
{
	struct place p = { sector, true };

	memset(sector, 0, XM_STORE_SECTOR);
	for (uint32_t i = 0; i < count; i++) {
		struct xm_store_sum sum = sums[i];

		pass(&p, &sum.sequence, 8);
		pass(&p, &sum.sum, 8);
	}
	sector_seal(sector, id);
}

bool xm_store_sums_decode(const uint8_t *sector, uint64_t id,
			  struct xm_store_sum *ret, uint32_t count)
{
	struct place p = { (uint8_t *)(uintptr_t)sector, false };

	if (!(XM_PLANTED(store_zeros_taken) && is_zero(sector, XM_STORE_SECTOR)) &&
	    !sector_holds(sector, id))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		ret[i].pending = 0;
		pass(&p, &ret[i].sequence, 8);
		pass(&p, &ret[i].sum, 8);
	}
	return true;
}

/* --- entries -------------------------------------------------------------- */

static void pass_entry(struct place *p, struct xm_store_entry *e)
{
	pass(p, &e->offset, 8);
	pass(p, &e->size, 8);
	pass(p, &e->born, 8);
	pass(p, &e->epoch, 8);
	pass(p, &e->keep_ms, 4);
	pass(p, &e->member, 2);
	pass_bytes(p, &e->id, sizeof(e->id));
	pass_bytes(p, e->region, sizeof(e->region));
	pass_bytes(p, e->owner, sizeof(e->owner));
	pass_bytes(p, e->identity, sizeof(e->identity));
	pass_bytes(p, e->token, sizeof(e->token));
	pass(p, &e->label.size, 2);
	pass_bytes(p, e->label.bytes, sizeof(e->label.bytes));
}

_Static_assert(38 + sizeof(struct xm_region_id) + XM_NAME_SIZE +
			       2 * XM_IDENTITY_SIZE + XM_TOKEN_SIZE + 2 +
			       XM_LABEL_SIZE <= XM_SECTOR_SUM,
	       "an entry is a sector");

void xm_store_entry_encode(const struct xm_store_entry *entry, uint64_t id,
			   uint8_t sector[XM_STORE_SECTOR])
{
	struct xm_store_entry copy = *entry;

	memset(sector, 0, XM_STORE_SECTOR);
	pass_entry(&(struct place){ sector, true }, &copy);
	sector_seal(sector, id);
}

bool xm_store_entry_decode(const uint8_t *sector, uint64_t id,
			   struct xm_store_entry *ret)
{
	struct xm_store_entry entry = { 0 };

	if (!(XM_PLANTED(store_zeros_taken) && is_zero(sector, XM_STORE_SECTOR)) &&
	    !sector_holds(sector, id))
		return false;
	pass_entry(&(struct place){ (uint8_t *)(uintptr_t)sector, false }, &entry);
	if (entry.label.size > XM_LABEL_SIZE ||
	    entry.region[XM_NAME_SIZE - 1] != '\0' ||
	    entry.owner[XM_IDENTITY_SIZE - 1] != '\0' ||
	    entry.identity[XM_IDENTITY_SIZE - 1] != '\0')
		return false;
	*ret = entry;
	return true;
}
