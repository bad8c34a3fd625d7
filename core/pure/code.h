/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The code contract: how the bytes of several members of a segment are computed from
 * each other, so that the bytes of a lost member can be had from those that are left.
 *
 * A row is one block of equal size at each of `columns` data members and `parities`
 * parity members; together they are the row's fragments, data first. Example: with 4 columns
 * and 2 parities, fragments 0 to 3 are data, 4 and 5 parity, and any two may be lost.
 *
 * The plain code has one column, and each parity is a copy of it. The volume then sends
 * the same bytes to every member by itself, and the engine calls no function here.
 * Volumes have no other layout today, and xm_engine_init() refuses another code.
 *
 * Rows with parity (rows.h) call these, with the row locked against other stores:
 *
 *	encode()	when a store has all data of a row: no read is needed
 *	update()	when a store has one data block: it has read the old one and the
 *			parities, and writes the new one and the changed parities
 *	decode()	when a member that is to be read is lost: all others that are left
 *			have been read
 *
 * An implementation with Reed-Solomon (code_rs.c) must keep these rules:
 *
 *	- update() with the difference gives the same bytes as encode() of the whole row.
 *	- It computes with bytes as they lie at appliances: sealed ones, if the region is
 *	  sealed (seal.h). decode() returns sealed bytes, and open() tells if they are right.
 *	- A fragment that arrived but whose tag is bad counts as lost.
 *
 * Errors: decode() returns 0; -ENODATA, more fragments are lost than parities exist. The
 * others cannot fail: tables are built when the code is opened.
 *
 * Threads and locks: as in seal.h. No function allocates memory, takes a lock or makes a
 * system call. A struct xm_code is not changed after it was opened, so calls overlap.
 *
 * Ownership: fragments are the caller's, `size` bytes each, a multiple of 64. They do not
 * overlap.
 *
 * Floor: ground.
 */
#ifndef XM_CODE_H
#define XM_CODE_H

#include "common/base.h"

struct xm_code_shape {
	uint32_t columns, parities;
};

struct xm_code;

/* Every function is required. */
struct xm_code_ops {
	const char *name; /* "plain", ... */
	bool plain; /* parities are copies: the volume alone does what is needed */

	/* Computes fragments[columns ...] from fragments[0 ... columns - 1]. */
	void (*encode)(const struct xm_code *, const struct xm_code_shape *,
		       uint8_t *const *fragments, size_t size);
	/* Changes the parities as if column `column` changed from `old` to `now`; those that
	 * are NULL are not there. */
	void (*update)(const struct xm_code *, const struct xm_code_shape *,
		       uint32_t column, const uint8_t *old, const uint8_t *now,
		       uint8_t *const *parities, size_t size);
	/* Computes the fragments whose bit is set in `lost` from the others. */
	int (*decode)(const struct xm_code *, const struct xm_code_shape *,
		      uint32_t lost, uint8_t *const *fragments, size_t size);
};

/* Copies; its struct xm_code is NULL, and its shapes have one column. */
extern const struct xm_code_ops xm_code_plain;
/* One or two parities, of up to 31 fragments in all; its struct xm_code is NULL. */
extern const struct xm_code_ops xm_code_rs;

#endif
