/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults that the kernel reports by SIGBUS: one handler for the process, which finds the
 * arena that was touched and has its handler serve the fault on the thread that touched
 * it. A SIGBUS anywhere else goes to the handler that was there before. A touch that the
 * arena's handler denies becomes SIGSEGV, as it would be on any memory.
 *
 * The first span that is added installs the handler, the last one to be removed takes it
 * away. Any thread. Skin.
 */
#ifndef XM_SIGBUS_H
#define XM_SIGBUS_H

#include "common/base.h"
#include "core/pure/mapper.h"

/* Addresses where SIGBUS is a fault to be served. It belongs to the caller, and is
 * constant from add() to remove(). */
struct xm_sigbus_span {
	const uint8_t *base;
	uint64_t size, page_size; /* bytes */
	const struct xm_fault_handler *handler;
};

/* 0, or -errno with a clause in `words`; at most 16 spans at once. */
int xm_sigbus_add(const struct xm_sigbus_span *, char *words, size_t words_size);
void xm_sigbus_remove(const struct xm_sigbus_span *);

#endif
