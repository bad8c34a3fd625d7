/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mapper contract: how pages are made to appear in an address space and to vanish
 * from it, and how a touch of a page that is not there is reported.
 *
 * A mapper owns one reserved span of addresses, the arena, whose pages are numbered
 * from 0. A page is at any time in one of these states:
 *
 *	detached	a touch is SIGSEGV
 *	absent		a touch is a fault, which the client is told of
 *	installed	it has bytes; loads and stores go through
 *	protected	it has bytes; a store is a fault
 *	poisoned	a touch is SIGBUS
 *
 *	detached -attach-> absent -install-> installed or protected -drop-> absent
 *	installed -protect-> protected -unprotect-> installed
 *	absent -poison-> poisoned; any -detach-> detached
 *
 * A client opens one mapper: that which its setting `mapper` names, else the first of
 * xm_mappers[], the list of those that were built in. Production has one, over
 * userfaultfd (core/skin/uffd.c); the simulator has its own (sim/mapper.c).
 *
 * Faults are delivered between begin() and end(), in one of two ways, which limits()
 * tells:
 *
 *	inline	the mapper calls the handler's serve() on the thread that touched the
 *		page. limits.descriptor is -1.
 *	thread	the thread that touched the page sleeps. limits.descriptor is readable,
 *		and faults() returns the fault; its reader serves it, then calls wake()
 *		or poison() for the page.
 *
 * Ranges are in pages; they do not wrap, and all their pages are attached. Calls for
 * pages are made with the lane of these pages locked, so no two calls for one page
 * overlap. load() and store() are made with no lock held, because they may fault; or with
 * the lane locked, of pages that are installed, and for store() not protected. The other
 * calls are made by one thread at a time.
 *
 * Errors are -errno. -ENOMEM from install means that the system has no memory. Any
 * other failure of install, protect, unprotect or drop means that the program has
 * unmapped or replaced the addresses; the engine then poisons the pages.
 *
 * Every function is required: no entry is NULL. Mappers differ in their limits.
 */
#ifndef XM_MAPPER_H
#define XM_MAPPER_H

#include "common/base.h"

/* How faults are delivered; in the order of the setting `paging`. */
enum xm_paging {
	XM_PAGING_AUTO,
	XM_PAGING_INLINE,
	XM_PAGING_THREAD,
};

struct xm_mapper_options {
	uint64_t pages; /* of the arena, wanted; a power of two */
	uint64_t page_size; /* bytes */
	enum xm_paging paging;
	const char *address; /* what follows "NAME:" in the setting; "": nothing */
};

/* Constant while the mapper is open. */
struct xm_mapper_limits {
	char paging[16];     /* "inline" or "thread" */
	char reason[128];    /* why this paging: a clause */
	uint8_t *base;	     /* the address of page 0 */
	uint64_t pages;	     /* of the arena; fewer than wanted if the system has no
			      * room; a power of two */
	uint64_t page_size;  /* bytes */
	bool kernel_touches; /* touches by the kernel, in system calls, are served */
	bool denies;	     /* a touch that the handler denies is SIGSEGV */
	int descriptor;	     /* faults are to be read when it is readable; -1: inline */
};

/* What this process may do with this mapper, and what the kernel has of the calls that
 * it uses. Found by trying. */
struct xm_mapper_capabilities {
	bool device;	 /* a device file gives the right to serve kernel touches */
	bool full;	 /* the system call gives this right */
	bool user;	 /* the system call works, without this right */
	bool sigbus;	 /* paging=inline works */
	bool protects;	 /* protect() works */
	bool poisons;	 /* the kernel can mark a page as lost */
	bool moves;	 /* the kernel can move pages */
	bool drops_many; /* the kernel can drop several ranges by one call */
	int error;	 /* errno, if none of the first three */
	/* Which calls the kernel lacks, and what is done instead, in words; "": none. */
	char missing[256];
};

/* What came of a touch. */
enum xm_touched {
	XM_TOUCHED_SERVED, /* the instruction is repeated */
	XM_TOUCHED_LOST,   /* SIGBUS: the page cannot be had */
	XM_TOUCHED_DENIED, /* SIGSEGV, with SEGV_ACCERR and the address: the page has not
			    * that right. The instruction is repeated if the program's
			    * handler returns. */
};

/* What a mapper calls about faults that it delivers inline. All functions are called in
 * a signal handler, on any thread. */
struct xm_fault_handler {
	void *context;
	/* Serves a fault on the thread that touched the page, however long it takes. */
	enum xm_touched (*serve)(void *context, uint64_t page, bool write);
	/* Whether the calling thread holds a lock that serve() would take. */
	bool (*holds_lock)(const void *context);
	/* A line about the first page that could not be had, or "". */
	const char *(*loss)(const void *context);
};

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
	const char *name; /* "userfaultfd", "sim" */

	/* Without a mapper; any thread. */
	void (*probe)(struct xm_mapper_capabilities *ret);
	/* Reserves the arena, all of whose pages are detached. On failure `words` has a
	 * sentence that says what would help. */
	int (*open)(const struct xm_mapper_options *, char *words,
		    size_t words_size, struct xm_mapper **ret);
	/* After end(). No thread touches a page any more. */
	void (*close)(struct xm_mapper *);
	/* Any thread. */
	void (*limits)(const struct xm_mapper *, struct xm_mapper_limits *ret);

	/* Faults are delivered from now on. The handler is copied; its context stays
	 * valid until end(). On failure `words` has a clause. */
	int (*begin)(struct xm_mapper *, const struct xm_fault_handler *,
		     char *words, size_t words_size);
	/* After a begin() that succeeded. No fault is under way, nor will be. */
	void (*end)(struct xm_mapper *);
	/* thread: takes the faults that have come, up to `count`; returns their number.
	 * inline: 0. Does not wait; any thread. */
	int (*faults)(struct xm_mapper *, struct xm_fault *ret, int count);

	/* Copy bytes of the arena as a program's loads and stores would: a page that is
	 * not there is a fault. `offset` is in bytes from page 0. */
	void (*load)(struct xm_mapper *, uint64_t offset, void *ret,
		     size_t size);
	void (*store)(struct xm_mapper *, uint64_t offset, const void *bytes,
		      size_t size);

	/* detached -> absent, and any state -> detached. */
	int (*attach)(struct xm_mapper *, uint64_t page, uint64_t count);
	void (*detach)(struct xm_mapper *, uint64_t page, uint64_t count);

	/* absent -> installed, or protected, with these bytes (NULL: zeros). Other
	 * threads see a page whole or not at all. A page that is installed already is
	 * left as it is. */
	int (*install)(struct xm_mapper *, uint64_t page, uint64_t count,
		       const void *bytes, bool protect);
	/* After protect() has returned no store reaches the page. An absent one stays
	 * absent. */
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

/* Those that were built in; NULL ends the list. core/skin/mappers.c defines it, in the
 * simulator sim/mapper.c. */
extern const struct xm_mapper_ops *const xm_mappers[];

#endif
