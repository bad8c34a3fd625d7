/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Labels and tokens: what goes along when a region changes hands.
 *
 * A label stands at the appliance beside each extent (OFFER in wire.h), in this
 * library's own form. It says where in the region the extent belongs, so a claimer
 * finds the region's layout in the extents that it gets, and sees when one is missing:
 *
 *	 0  4	format, 2			all numbers little-endian
 *	 4  4	ms: how long the token was good for
 *	 8  8	bytes of the region
 *	16  8	the segment's first page, in the region
 *	24  8	its pages, of all columns together
 *	32  8	unit, in pages; 0: no stripes
 *	40  4	column, columns, copy, copies: a byte each; copies + 128: it is durable;
 *		columns + 128: it is of the table of versions, not of the region;
 *		column + 128: it is sealed, and a tree of seals is behind it (tree.h)
 *	44  4	turn: of two for the same place the one with the higher turn counts.
 *		The bytes were about to move from the other's extent to this one's
 *
 * A token as text is "extmem1-", 32 digits in base 16 in four groups, and 4 more of a
 * checksum, so that a typing error is told from a token that is over:
 *
 *	extmem1-00112233-44556677-8899aabb-ccddeeff-5a0e
 *
 * Of a sealed region that was handed over a point and a number in base 16 follow: how new its
 * trees of seals are (tree.h), so that who adopts it knows an older state. The checksum is of
 * that number, too.
 *
 * Floor: ground.
 */
#ifndef XM_LABEL_H
#define XM_LABEL_H

#include "core/pure/wire.h"

#define XM_TOKEN_TEXT_SIZE 64 /* with its NUL; the text is shorter */

struct xm_place_label {
	uint32_t ms;
	uint64_t region_size; /* bytes */
	uint64_t page, count, unit;
	uint8_t column, columns, copy, copies;
	bool durable; /* the token is not used up by a claim */
	bool sealed;
	bool table; /* of versions: a region beside the one that is shared */
	uint32_t turn;
};

void xm_label_encode(const struct xm_place_label *, struct xm_label *ret);
/* False: it is of no form that this library knows, or makes no sense by itself, as of more
 * columns or copies than a region can have: another client has written it, whom nobody need
 * trust. */
bool xm_label_decode(const struct xm_label *, struct xm_place_label *ret);

void xm_token_print(const uint8_t token[XM_TOKEN_SIZE],
		    char ret[XM_TOKEN_TEXT_SIZE]);
/* The same if `since` is 0, which is less than 2^56. */
void xm_token_print_since(const uint8_t token[XM_TOKEN_SIZE], uint64_t since,
			  char ret[XM_TOKEN_TEXT_SIZE]);
/* False: that is no token, or has a number. Spaces and newlines around it do not count. */
bool xm_token_parse(const char *text, uint8_t ret[XM_TOKEN_SIZE]);
/* Likewise, with or without a number; 0: without. */
bool xm_token_parse_since(const char *text, uint8_t ret[XM_TOKEN_SIZE],
			  uint64_t *ret_since);

#endif
