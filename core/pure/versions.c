/* SPDX-License-Identifier: BSD-3-Clause */
/* Versions of shared regions; see versions.h. */
#include "core/pure/versions.h"

#include "common/little.h"
#include "core/pure/plant.h"

#define UNSEEN UINT64_MAX /* no entry has it: it would take 584 years of releases */

size_t xm_marks_size(uint64_t pages)
{
	uint64_t blocks = (pages + XM_BLOCK_PAGES - 1) / XM_BLOCK_PAGES;

	return (blocks + 63) / 64 * sizeof(xm_marks);
}

void xm_mark(xm_marks *marks, uint64_t page, uint64_t count)
{
	uint64_t block = page / XM_BLOCK_PAGES;
	uint64_t last = (page + count - 1) / XM_BLOCK_PAGES;

	for (; block <= last; block++)
		marks[block / 64] |= UINT64_C(1) << block % 64;
}

/* --- the writer ----------------------------------------------------------- */

static bool take(xm_marks *marks, uint64_t block)
{
	uint64_t bit = UINT64_C(1) << block % 64;

	/* Most are not set, and a word that is not written stays shared. */
	if ((marks[block / 64] & bit) == 0)
		return false;
	marks[block / 64] &= ~bit;
	return true;
}

bool xm_versions_raise(struct xm_versions *v, xm_marks *marks, uint64_t *ret_first,
		       uint64_t *ret_limit)
{
	uint64_t first = 0, limit = 0;

	for (uint64_t i = 0; i < v->count; i++) {
		if (!take(marks, v->first + i))
			continue;
		v->list[i]++;
		if (limit == 0)
			first = i;
		limit = i + 1;
	}
	if (limit == 0)
		return false;
	*ret_first = first;
	*ret_limit = limit;
	return true;
}

void xm_versions_put(const struct xm_versions *v, uint64_t first, uint64_t limit,
		     uint8_t *ret)
{
	for (uint64_t i = first; i < limit; i++, ret += XM_VERSION_SIZE) {
		xm_little_put(ret, v->list[i], 8);
		xm_little_put(ret + 8, ~v->list[i], 8);
	}
}

void xm_versions_mark_again(const struct xm_versions *v, xm_marks *marks,
			    uint64_t first, uint64_t limit)
{
	xm_mark(marks, (v->first + first) * XM_BLOCK_PAGES,
		(limit - first) * XM_BLOCK_PAGES);
}

/* --- a reader ------------------------------------------------------------- */

/* UNSEEN: it was read while it was written. (16 bytes of zeros are version 0: nothing was
 * released yet.) */
static uint64_t version_at(const uint8_t *table, uint64_t block)
{
	const uint8_t *at = table + block * XM_VERSION_SIZE;
	uint64_t version = xm_little_get(at, 8), check = xm_little_get(at + 8, 8);

	return check == ~version || (version == 0 && check == 0) ? version
								 : UNSEEN;
}

static bool is_seen(const struct xm_versions *v, const uint8_t *table, uint64_t block)
{
	uint64_t version = version_at(table, block);

	return version != UNSEEN && version == v->list[block];
}

bool xm_versions_changed(const struct xm_versions *v, const uint8_t *table,
			 uint64_t *first, uint64_t *ret_limit)
{
	uint64_t from = *first, limit;

	while (from < v->count && is_seen(v, table, from))
		from++;
	if (from == v->count)
		return false;
	limit = from + 1;
	while (limit < v->count && !is_seen(v, table, limit))
		limit++;
	*first = from;
	*ret_limit = limit;
	return true;
}

void xm_versions_see(struct xm_versions *v, const uint8_t *table, uint64_t first,
		     uint64_t limit)
{
	for (uint64_t i = first; i < limit; i++)
		v->list[i] = version_at(table, i);
}
