/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a client seals pages with: a cipher with its keys, and the table of seals
 * (core/pure/seals.h), which all lanes share. A client that seals nothing has neither.
 */
#ifndef XM_CLIENT_SEALING_H
#define XM_CLIENT_SEALING_H

#include <stdatomic.h>

#include "core/client/settings.h"
#include "core/pure/seals.h"

/* Which regions are sealed: the setting `seal`. */
enum xm_sealed_regions {
	XM_SEAL_NO,
	XM_SEAL_ASKED, /* those that ask for it */
	XM_SEAL_ALL,
};

struct xm_sealing {
	const struct xm_seal_ops *ops; /* xm_seal_plain: nothing is sealed */
	struct xm_seal *seal;
	struct xm_seal_entry *table; /* 24 bytes a page of the arena, lazily backed */
	size_t table_size;
	/* renewal.c: the rest is constant from before the lanes are opened until after they
	 * are closed. */
	atomic_bool renewing;
	uint16_t number; /* of the newest key */
	uint16_t former; /* if half: of the one before it, */
	atomic_bool half; /* which pages may be under */
};

/* 0, or -errno with a message. Close it in either case. */
int xm_sealing_open(struct xm_sealing *, const struct xm_client_settings *,
		    uint64_t arena_size);
void xm_sealing_close(struct xm_sealing *);

#endif
