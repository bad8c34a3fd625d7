/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The roll: which copies of a shared region are right. A pure machine, in two halves.
 *
 * A mirrored region that is shared has as many tables of versions (versions.h) as copies,
 * each at another appliance. Behind its entries each has the roll as it was called last: a
 * number that only rises, the tables that have all entries, and the extents that have all
 * bytes. A writer that cannot reach an appliance goes on without it, but its readers may
 * reach it. They must not take it at its word then.
 *
 *	the writer	writes the entries of a release to all tables that it can reach. If
 *			these, or the extents that are right, are not those of the roll that
 *			was called last, it writes a new one to these tables, behind them.
 *			The release has ended when all of them have it.
 *	a reader	reads the rolls of all tables that it can reach. Of those it read the
 *			one with the highest number counts, if it has read every table that
 *			this one names. It then reads the entries of the first table that has
 *			it, and of the region the extents that are right. If it is another
 *			one than the last, the reader forgets all that it has of the region:
 *			what it had read may be of a copy that was left out, and entries that
 *			a table had missed do not matter.
 *
 * Law: a reader sees the roll of each release that had ended before. Proof: each roll that
 * is called shares at least one table (`core`) with the last roll that was written to all
 * tables, and with every roll since. So a table that a reader has read, of the highest roll that it found, was also
 * given the next one. If that had ended, the reader would have found it, for it has read
 * all that its own names. What it cannot show is refused: to the writer, that a roll without
 * any such table is called (no release ends until one of them is back); to the reader, that
 * a table it is named cannot be read (no acquire does).
 *
 * Example: tables 0 and 1, roll 4 names both. 0 cannot be reached by the writer: roll 5
 * names 1. A reader that reaches 0 alone is told by roll 4 that it must read 1, and waits.
 * One that reaches 1 needs no other. 0 is back: roll 6 names both. Without 6 a roll that
 * names 0 alone could not be called.
 *
 * Bytes: a checksum is among them, as a read may overtake a write; one that does not fit is
 * read again. Zeros are roll 0, by which all are right.
 *
 * Floor: ground.
 */
#ifndef XM_ROLL_H
#define XM_ROLL_H

#include "common/base.h"

#define XM_ROLL_TABLES 4
#define XM_ROLL_EXTENTS 2048
#define XM_ROLL_SIZE (24 + XM_ROLL_EXTENTS / 8) /* bytes, behind a table's entries */

struct xm_roll {
	uint64_t number;
	uint32_t tables; /* a bit each */
	uint8_t extents[XM_ROLL_EXTENTS / 8]; /* likewise, in the order of their labels */
};

/* Of so many tables: roll 0. */
void xm_roll_begin(struct xm_roll *, uint32_t tables);
void xm_roll_set(struct xm_roll *, uint32_t extent, bool right);
/* False also of one that it has no bit for: labels are another client's, and may count as they
 * like. */
bool xm_roll_has(const struct xm_roll *, uint32_t extent);
void xm_roll_encode(const struct xm_roll *, uint8_t ret[XM_ROLL_SIZE]);
/* False: it was read while it was written. */
bool xm_roll_decode(const uint8_t bytes[XM_ROLL_SIZE], uint32_t tables,
		    struct xm_roll *ret);

/* --- the writer --- */

struct xm_caller {
	struct xm_roll told; /* to all that it names */
	uint64_t number;     /* the highest that a table may have */
	uint32_t core;	     /* tables that all rolls since then name */
};

void xm_caller_begin(struct xm_caller *, uint32_t tables);
/* Is this what all know? Its number does not count. */
bool xm_caller_knows(const struct xm_caller *, const struct xm_roll *);
/* It gets a number and is written to the tables that it names. False: it must not be. */
bool xm_caller_call(struct xm_caller *, struct xm_roll *);
/* It was, to all. */
void xm_caller_told(struct xm_caller *, const struct xm_roll *);

/* --- a reader --- */

/* Of the rolls of these tables (`read`, a bit each) the one that counts. *ret_missing: the
 * tables that must be read first; 0: *ret_table is one that is right. */
void xm_roll_pick(const struct xm_roll rolls[XM_ROLL_TABLES], uint32_t read,
		  uint32_t *ret_table, uint32_t *ret_missing);

#endif
