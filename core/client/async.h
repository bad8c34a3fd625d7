/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asynchronous transfers: extmem_read_start() and its like, until extmem_poll()
 * returns them. async.c says who drives them.
 *
 * `called` is a lock-free stack. The rest is protected by `lock`, under which no
 * other lock but a lane's is taken.
 */
#ifndef XM_ASYNC_H
#define XM_ASYNC_H

#include "core/client/transfer.h"
#include "core/skin/os.h"

struct xm_transfer_queue {
	struct xm_transfer *first, **last;
};

struct xm_async {
	_Atomic(struct xm_transfer *) called; /* to be driven */
	struct os_lock lock;
	struct xm_transfer *free, *memory;
	uint32_t used; /* of memory, ever */
	struct xm_transfer_queue stuck, done;
};

int xm_async_open(struct xm_async *);
void xm_async_close(struct xm_async *);
/* This transfer shall be driven by the next thread that polls. Any thread, with
 * or without a lane's lock. */
void xm_async_call(struct xm_async *, struct xm_transfer *);
/* Looks at all lanes, and drives what was called, and some of what is stuck. */
void xm_async_turn(extmem *);
/* Whether a transfer that has not ended has some of this memory. */
bool xm_async_has(struct xm_async *, const void *memory, size_t size);

#endif
