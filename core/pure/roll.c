/* SPDX-License-Identifier: BSD-3-Clause */
/* The roll of a shared region's copies; see roll.h. */
#include "core/pure/roll.h"

#include <string.h>

#include "common/little.h"
#include "core/pure/plant.h"

#define AT_CHECK 8
#define AT_TABLES 16
#define AT_EXTENTS 24

void xm_roll_begin(struct xm_roll *r, uint32_t tables)
{
	XM_ASSERT(tables >= 1 && tables <= XM_ROLL_TABLES);
	r->number = 0;
	r->tables = (UINT32_C(1) << tables) - 1;
	memset(r->extents, 0xff, sizeof(r->extents));
}

void xm_roll_set(struct xm_roll *r, uint32_t extent, bool right)
{
	uint8_t bit = (uint8_t)(1u << extent % 8);

	XM_ASSERT(extent < XM_ROLL_EXTENTS);
	if (right)
		r->extents[extent / 8] |= bit;
	else
		r->extents[extent / 8] &= (uint8_t)~bit;
}

bool xm_roll_has(const struct xm_roll *r, uint32_t extent)
{
	return extent < XM_ROLL_EXTENTS &&
	       (r->extents[extent / 8] & 1u << extent % 8) != 0;
}

/* --- bytes ---------------------------------------------------------------- */

/* FNV-1a of all but the checksum itself. */
static uint64_t check_of(const uint8_t *bytes)
{
	uint64_t check = UINT64_C(0xcbf29ce484222325);

	for (unsigned i = 0; i < XM_ROLL_SIZE; i++) {
		if (i - AT_CHECK < 8)
			continue;
		check = (check ^ bytes[i]) * UINT64_C(0x100000001b3);
	}
	return check;
}

void xm_roll_encode(const struct xm_roll *r, uint8_t ret[XM_ROLL_SIZE])
{
	xm_little_put(ret, r->number, 8);
	xm_little_put(ret + AT_TABLES, r->tables, 8);
	memcpy(ret + AT_EXTENTS, r->extents, sizeof(r->extents));
	xm_little_put(ret + AT_CHECK, check_of(ret), 8);
}

bool xm_roll_decode(const uint8_t bytes[XM_ROLL_SIZE], uint32_t tables,
		    struct xm_roll *ret)
{
	uint64_t check = xm_little_get(bytes + AT_CHECK, 8);

	if (check == 0 && xm_little_get(bytes, 8) == 0) {
		xm_roll_begin(ret, tables);
		return true;
	}
	if (check != check_of(bytes))
		return false;
	ret->number = xm_little_get(bytes, 8);
	ret->tables = (uint32_t)xm_little_get(bytes + AT_TABLES, 8);
	memcpy(ret->extents, bytes + AT_EXTENTS, sizeof(ret->extents));
	return true;
}

/* --- the writer ----------------------------------------------------------- */

void xm_caller_begin(struct xm_caller *c, uint32_t tables)
{
	xm_roll_begin(&c->told, tables);
	c->number = 0;
	c->core = c->told.tables;
}

bool xm_caller_knows(const struct xm_caller *c, const struct xm_roll *r)
{
	return c->told.number == c->number && c->told.tables == r->tables &&
	       memcmp(c->told.extents, r->extents, sizeof(r->extents)) == 0;
}

bool xm_caller_call(struct xm_caller *c, struct xm_roll *r)
{
	if ((c->core & r->tables) == 0 &&
	    !(XM_PLANTED(roll_without_core) && r->tables != 0))
		return false;
	r->number = ++c->number;
	c->core &= r->tables;
	return true;
}

void xm_caller_told(struct xm_caller *c, const struct xm_roll *r)
{
	c->told = *r;
	c->core = r->tables;
}

/* --- a reader ------------------------------------------------------------- */

void xm_roll_pick(const struct xm_roll rolls[XM_ROLL_TABLES], uint32_t read,
		  uint32_t *ret_table, uint32_t *ret_missing)
{
	const struct xm_roll *best = NULL;

	*ret_missing = UINT32_MAX;
	for (uint32_t t = 0; t < XM_ROLL_TABLES; t++) {
		if ((read & 1u << t) == 0 ||
		    (best != NULL && rolls[t].number <= best->number))
			continue;
		best = &rolls[t];
		*ret_table = t;
		*ret_missing = best->tables & ~read;
	}
	if (best != NULL && XM_PLANTED(roll_half_read))
		*ret_missing = 0;
}
