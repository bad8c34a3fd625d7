/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows: the stores, degraded reads and mending of a run with parity, as one client does
 * them. A pure machine.
 *
 * A row is a page at the same place of each of `columns` data members and `parities` parity
 * members: its fragments, data first (code.h). A page is read from its own member, and no
 * row is asked. A store must change the parities, too, in place:
 *
 *	store	of one or several pages of a row, by who is IN:
 *		- an update: their old bytes and the parities are read; the new ones and the
 *		  changed parities are written
 *		- a whole row: what it has besides is read; the pages and all parities are
 *		  written. So if it needs fewer reads (none, if all pages are stored), or
 *		  if a page's own member is not IN, or a parity is FILLING
 *		- no parity is left: the pages are written
 *	read	of a page whose member is not IN: as many others as there are columns are
 *		read, and the page is decoded
 *	mend	a row is given to the members that are FILLING; a row that is unclean gets
 *		new parities
 *
 * One thing is done with a row at a time: it has one of the slots, which is its lock. A write
 * of a slot is repeated with the same bytes until it has succeeded or its member is not to
 * be written any more. So while the client lives, whoever dies, a row becomes whole.
 *
 * The write hole. A client that dies may leave a row with a new page and an old parity, or
 * the reverse. So before a row is written, its group of rows is marked in the ledger (intents),
 * which lies at appliances; a mark goes later, when the group has rested. Who takes the run
 * over finds the marks: rows of marked groups are unclean. Of an unclean row, parities
 * are not relied on: reads of its missing pages fail. The mender computes parities anew
 * where all data are IN. Where one is missing and being FILLED, its page of the row is
 * lost for good: XM_ROWS_LOSE says so, before zeros are put into its place.
 *
 * A ledger write that failed may have happened: a group counts as marked only while each
 * version that may be the ledger's has its mark.
 *
 * The caller carries out effects, may do so in any order, and reports the end of each READ,
 * WRITE and LEDGER. Which member is IN is decided elsewhere (view.h); at most one store or read
 * of a page is asked for at a time (pager.h). A store that has failed may have happened.
 *
 * Bounds: a step returns at most XM_ROWS_EFFECTS_MAX effects. Memory: xm_rows_memory_size();
 * staging: xm_rows_staging_size(), from which transports send.
 *
 * Floor: ground.
 */
#ifndef XM_ROWS_H
#define XM_ROWS_H

#include "common/base.h"
#include "core/pure/code.h"
#include "core/pure/layout.h"

#define XM_ROW_COLUMNS_MAX 8
#define XM_ROW_PARITIES_MAX 2
#define XM_ROW_FRAGMENTS_MAX (XM_ROW_COLUMNS_MAX + XM_ROW_PARITIES_MAX)
#define XM_ROWS_SLOTS_MAX 8
#define XM_ROWS_GROUPS_MAX 1024
#define XM_ROWS_EFFECTS_MAX \
	(XM_ROWS_SLOTS_MAX * (2 * XM_ROW_FRAGMENTS_MAX + 1) + XM_ROW_FRAGMENTS_MAX + 1)

/* A bit for each group of rows. */
struct xm_rows_intents {
	uint64_t words[XM_ROWS_GROUPS_MAX / 64];
};

struct xm_rows_options {
	struct xm_code_shape shape; /* columns 2 to 8, parities 1 or 2 */
	const struct xm_code_ops *code_ops;
	const struct xm_code *code;
	uint64_t rows;	      /* at most XM_ROWS_GROUPS_MAX groups */
	uint32_t group_shift; /* 1 << this rows have one mark */
	uint32_t slots;	      /* at least 2: one is for mending */
	uint32_t page_size;   /* a multiple of 64 */
	uint8_t *staging;
};

enum xm_rows_event_kind {
	XM_ROWS_STORE, /* row, columns, bytes, token; answered by STORED, or -EAGAIN */
	XM_ROWS_READ,  /* row, columns (one), token; answered by HAS_READ, or -EAGAIN */
	XM_ROWS_ENDED, /* slot, fragment, status: of a READ or WRITE */
	XM_ROWS_LEDGER_ENDED, /* status */
	XM_ROWS_MEMBER,	      /* fragment, state */
	XM_ROWS_TICK, /* what failed is tried again; intents are cleared */
};

struct xm_rows_event {
	enum xm_rows_event_kind kind;
	uint64_t row, token;
	uint32_t columns; /* a bit each */
	uint32_t slot, fragment;
	const uint8_t *bytes[XM_ROW_COLUMNS_MAX]; /* the machine copies them */
	int status;
	enum xm_member_state state;
};

enum xm_rows_effect_kind {
	XM_ROWS_DO_READ,   /* slot, row, fragment, bytes: to there */
	XM_ROWS_DO_WRITE,  /* likewise, from there */
	XM_ROWS_DO_LEDGER, /* the struct's `flying` becomes the ledger */
	XM_ROWS_STORED,	   /* token, status */
	XM_ROWS_HAS_READ,  /* token, status, bytes: valid until the next step */
	XM_ROWS_LOSE,	   /* row, fragment: this page is lost until it is stored */
	XM_ROWS_FILLED,	   /* fragment: it has everything, and may be IN */
};

struct xm_rows_effect {
	enum xm_rows_effect_kind kind;
	uint32_t slot, fragment;
	uint64_t row, token;
	uint8_t *bytes;
	int status;
};

struct xm_rows_effects {
	/* 0; of STORE and READ: -EAGAIN, the row is locked or no slot is free. */
	int status;
	uint32_t count;
	struct xm_rows_effect list[XM_ROWS_EFFECTS_MAX];
};

enum xm_row_work { XM_ROW_FREE, XM_ROW_STORES, XM_ROW_READS, XM_ROW_MENDS };
enum xm_row_phase { XM_ROW_GETS, XM_ROW_WAITS, XM_ROW_PUTS };

/* Masks have a bit for each fragment. */
struct xm_row_slot {
	enum xm_row_work work;
	enum xm_row_phase phase;
	uint64_t row, token;
	uint32_t columns;	/* that are stored, or read */
	uint32_t need, have;	/* to be read; has been */
	uint32_t made, written; /* what writing takes; has been */
	uint32_t flying, idle;	/* under way; of these, no matter how they end */
	bool whole;   /* all parities are computed from all data */
	bool unclean; /* as it was when this began */
};

struct xm_rows {
	struct xm_rows_options options;
	struct xm_row_slot slots[XM_ROWS_SLOTS_MAX];
	enum xm_member_state states[XM_ROW_FRAGMENTS_MAX];
	/* What is to be marked; what surely is; what is being written; and what was stored
	 * since the last tick. */
	struct xm_rows_intents wanted, marked, flying, used;
	bool ledger_flies, ledger_failed;
	uint64_t *unclean; /* a bit for each row */
	uint64_t unclean_count;
	bool sweeps, again;
	uint64_t cursor;
	uint32_t fills; /* what the sweep is for */
	struct xm_rows_effects *effects; /* while a step runs */
};

size_t xm_rows_memory_size(const struct xm_rows_options *);
size_t xm_rows_staging_size(const struct xm_rows_options *);
/* `memory` is zeroed and aligned to 16. `found`: the ledger of the client before, or NULL.
 * `states`: of all fragments. */
void xm_rows_init(struct xm_rows *, const struct xm_rows_options *,
		  const enum xm_member_state *states,
		  const struct xm_rows_intents *found, void *memory);
void xm_rows_step(struct xm_rows *, const struct xm_rows_event *,
		  struct xm_rows_effects *ret);

/* Are the parities of this row those of its data, at every member that is IN? Not while
 * it has a slot, or is unclean. */
bool xm_rows_is_clean(const struct xm_rows *, uint64_t row);
bool xm_rows_is_locked(const struct xm_rows *, uint64_t row);
/* Is nothing under way, nothing to be mended, and nothing marked? */
bool xm_rows_is_idle(const struct xm_rows *);

#endif
