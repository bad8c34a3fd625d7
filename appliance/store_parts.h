/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the store share. Only they include this. Floor: first. */
#ifndef XM_STORE_PARTS_H
#define XM_STORE_PARTS_H

#include "appliance/store.h"

/* The store does nothing more if this is an error; returns it. */
int xm_store_fail(struct xm_store *, int rc);
/* Writes a batch that is durable to its own places, without a sync. */
int xm_store_apply(struct xm_store *, const uint8_t *head,
		   const struct xm_store_batch *, const uint8_t *pages);
/* Writes a beginning into its block, and syncs it. */
int xm_store_begin_write(struct xm_store *, const struct xm_store_begin *);
int xm_store_begin_anew(struct xm_store *);

/* --- store_new.c ---------------------------------------------------------- */

uint64_t xm_store_sums_sectors(uint64_t pages);
/* Nothing is in it behind the sums of so many pages, and so many slots. Without a sync. */
int xm_store_make_empty(struct xm_store *, uint64_t pages, uint64_t slots);
/* 0: nothing is in it, as far as that was written. -EUCLEAN: something is. */
int xm_store_is_empty(struct xm_store *);

#endif
