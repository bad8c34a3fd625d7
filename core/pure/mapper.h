/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mapper contract: how pages are made to appear in an address space and to vanish
 * from it.
 *
 * A mapper owns one reserved span of addresses, the arena, whose pages are numbered
 * from 0. A page is at any time in one of these states:
 *
 *	detached	a touch is SIGSEGV
 *	absent		a touch is a fault, which the engine is told of
 *	installed	it has bytes; loads and stores go through
 *	protected	it has bytes; a store is a fault
 *	poisoned	a touch is SIGBUS
 *
 *	detached -attach-> absent -install-> installed or protected -drop-> absent
 *	installed -protect-> protected -unprotect-> installed
 *	absent -poison-> poisoned; any -detach-> detached
 *
 * Production has two mappers, both over userfaultfd: one serves a fault inline, on the
 * thread that caused it (SIGBUS), the other on a handler thread, for memory that the
 * kernel itself must be able to touch. The simulator has a third.
 *
 * Ranges are in pages; they do not wrap, and all their pages are attached. Each call is
 * made with the lane of its pages locked, so no two calls for one page overlap.
 *
 * Errors are -errno. -ENOMEM from install means that the system has no memory. Any
 * other failure of install, protect, unprotect or drop means that the program has
 * unmapped or replaced the addresses; the engine then poisons the pages.
 */
#ifndef XM_MAPPER_H
#define XM_MAPPER_H

#include "common/base.h"

struct xm_fault {
	uint64_t page;
	bool write;
	int thread; /* the kernel's number of the thread that touched it; 0: unknown */
};

struct xm_page_range {
	uint64_t page, count;
};

struct xm_mapper;

struct xm_mapper_ops {
	const char *name; /* "inline", "thread", "sim" */

	/* detached -> absent, and any state -> detached. */
	int (*attach)(struct xm_mapper *, uint64_t page, uint64_t count);
	void (*detach)(struct xm_mapper *, uint64_t page, uint64_t count);

	/* absent -> installed, or protected, with these bytes (NULL: zeros). Other
	 * threads see a page whole or not at all. A page that is installed already is
	 * left as it is. */
	int (*install)(struct xm_mapper *, uint64_t page, uint64_t count,
		       const void *bytes, bool protect);
	/* After protect() has returned no store reaches the page. */
	int (*protect)(struct xm_mapper *, uint64_t page, uint64_t count);
	int (*unprotect)(struct xm_mapper *, uint64_t page, uint64_t count);
	/* Copies the bytes of installed or protected pages out. */
	void (*copy)(struct xm_mapper *, uint64_t page, uint64_t count,
		     void *ret);
	/* installed -> absent; the memory goes back to the system. If one range fails,
	 * others may have been dropped: the caller drops each by itself to learn
	 * which, and a range that is absent already is left as it is. */
	int (*drop)(struct xm_mapper *, const struct xm_page_range *ranges,
		    uint32_t count);
	/* absent -> poisoned: a touch is SIGBUS and never reads zeros. */
	void (*poison)(struct xm_mapper *, uint64_t page, uint64_t count);
	/* Threads that wait for these pages repeat their instruction. */
	void (*wake)(struct xm_mapper *, uint64_t page, uint64_t count);
};

#endif
