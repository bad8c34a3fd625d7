/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mapper contract: how pages appear in and vanish from an address space.
 *
 * A mapper owns one reserved span of addresses, the arena, divided in pages
 * numbered from 0. Pages are attached before they are used; a touch of an
 * attached page that is not installed, or a store to one that is protected,
 * is a fault, which reaches the engine through the skin.
 *
 * Two stand behind these functions in production, both in core/skin/uffd.c: faults
 * served inline on the faulting thread (SIGBUS delivery), and by a handler
 * thread, for when the kernel itself must be able to touch the pages. The
 * simulator has its own. All calls are made with the page's lane locked.
 *
 * A page is at any time: detached, absent, installed, installed and
 * protected, or poisoned. Ranges never wrap and are attached throughout.
 * Errors: -errno. -ENOMEM from install is the world's; other failures of
 * install, protect, unprotect and drop mean that the program took the range
 * away behind our back, and the engine poisons it.
 */
#ifndef XM_MAPPER_H
#define XM_MAPPER_H

#include "common/base.h"

struct xm_fault {
	uint64_t page;
	bool write;
	int thread; /* that touched it, as the kernel numbers it; 0: not known */
};

struct xm_page_range {
	uint64_t page, count;
};

struct xm_mapper;

struct xm_mapper_ops {
	const char *name; /* "inline", "thread", "sim" */

	/* Makes pages absent and faulting, or gives them back to nobody: a
	 * touch of a detached page is a plain SIGSEGV. */
	int (*attach)(struct xm_mapper *, uint64_t page, uint64_t count);
	void (*detach)(struct xm_mapper *, uint64_t page, uint64_t count);

	/* absent -> installed with these bytes (NULL: zeros). Atomic per
	 * page for whoever looks. A page already there is left as it is. */
	int (*install)(struct xm_mapper *, uint64_t page, uint64_t count,
		       const void *bytes, bool protect);
	/* After protect() returns no store reaches the page. */
	int (*protect)(struct xm_mapper *, uint64_t page, uint64_t count);
	int (*unprotect)(struct xm_mapper *, uint64_t page, uint64_t count);
	/* Reads an installed, protected page. */
	void (*copy)(struct xm_mapper *, uint64_t page, uint64_t count,
		     void *ret);
	/* installed -> absent; the frames go back to the system. Ranges that
	 * are gone already are left as they are: where one is refused, the
	 * caller asks for each by itself to learn which. */
	int (*drop)(struct xm_mapper *, const struct xm_page_range *ranges,
		    uint32_t count);
	/* absent -> poisoned: whoever touches it gets SIGBUS, never zeros. */
	void (*poison)(struct xm_mapper *, uint64_t page, uint64_t count);
	/* Lets threads that wait for these pages try again. */
	void (*wake)(struct xm_mapper *, uint64_t page, uint64_t count);
};

#endif
