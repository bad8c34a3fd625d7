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
int xm_store_begin_anew(struct xm_store *);

#endif
