/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small world for rows with parity (core/pure/rows.h): one client, and the members of
 * one run.
 *
 * The client stores and reads pages, one operation at a time for each page, as the pager
 * does. What the machine asks of members and of the ledger is under way until a step
 * delivers it, in any order, or lets it fail; what failed may have happened. Members go away,
 * as many at once as there are parities; they are dropped, and come back as they were or as
 * zeros. The client dies, and its successor has the ledger and the members, nothing else.
 *
 * Each page has a shadow. The laws:
 *
 *	parity	any `columns` members of a row that is clean give the same row, and its pages
 *		are what was acknowledged last; so whichever members die next
 *	read	what a read brings is that, too; it fails only of an unclean row
 *	intent	a row is written only while the ledger has its mark, however the ledger's write
 *		under way ends
 *	lost	only a missing page of an unclean row is given up
 *	liveness	when nothing fails any more, every row becomes clean, every member
 *		full, and the ledger empty
 *
 * extmem-sim --kind=parity; planted bugs are as elsewhere.
 */
#ifndef XM_SIM_PARITY_H
#define XM_SIM_PARITY_H

#include "common/base.h"

/* parity_seed.c: one seed's run; for sim_live(). */
void rows_live(uint64_t seed);

/* --- what seeds are made of: a step each ------------------------------------------ */

struct rows_shape {
	uint32_t columns, parities, rows, group_shift, slots;
};

#define ROWS_MAX 48

void rows_open(const struct rows_shape *);
/* Operations under way. */
uint32_t rows_flying(void);
/* Those of the columns (a bit each) of which nothing is under way. */
void rows_store(uint32_t row, uint32_t columns);
void rows_read(uint32_t row, uint32_t column);
/* This one ends; or fails, and has happened or not. */
void rows_deliver(uint32_t operation, bool well, bool happened);
void rows_tick(void);
/* The next step of what a member suffers: goes away, is dropped, comes back. Not if as
 * many suffer already as may. `zeros`: it comes back so. */
void rows_member(uint32_t fragment, bool zeros);
void rows_crash(void);
/* Nothing fails from here on, and members come back. False: more is under way. */
bool rows_calm(void);
/* The laws, of this row; of every choice of members. */
void rows_ask(uint32_t row);
void rows_close(void);

#endif
