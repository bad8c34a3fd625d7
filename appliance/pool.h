/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory an appliance lends: banks, each a memfd of its own, mapped one
 * behind the other into one span of addresses. Or one bank that is a file on a
 * disk, to which the kernel pages it (pool_file.c): then it may be larger than
 * this machine's memory.
 *
 * The control process makes the banks and zeroes what is given back; the
 * interface process is handed their descriptors, maps them in the same order
 * and exposes them. A process reaches only the banks whose descriptors it was
 * handed. An extent may lie in several banks, since their addresses are one
 * span.
 *
 *	example: a pool of 10 GiB is 80 banks of 128 MiB (at most 128 banks,
 *	each a multiple of 64 MiB)
 *
 * Every page of a memfd is touched at the start, so that it is there when a client's
 * bytes come, and so that a pool which is too large is refused in words at
 * once and not killed for want of memory later. The kernel gets a page back
 * only when no key opens it (xm_pool_release()): a device's registrations
 * would point at pages that are not ours any more.
 *
 * Errors are -errno with a sentence that says what to do. One thread at a
 * time. Floor: skin.
 */
#ifndef XM_POOL_H
#define XM_POOL_H

#include "common/base.h"

/* So many descriptors fit in one message of a unix socket (SCM_MAX_FD, 253). */
#define XM_BANKS_MAX 128
#define XM_BANK_SIZE_MIN (64 * XM_MIB)

struct xm_pool {
	uint8_t *base;	    /* of the span, or NULL */
	uint64_t size;	    /* bytes, a multiple of `page` */
	uint64_t bank_size; /* of every bank but the last, which may be smaller */
	uint64_t page;	    /* bytes: the system's, or 2 MiB */
	bool filed;	    /* its bank is a file, which others keep */
	bool borrowed;	    /* and what that has is other appliances' (borrow.c) */
	int lock;	    /* if so: what keeps a second daemon from it */
	uint32_t banks_count;
	int banks[XM_BANKS_MAX]; /* descriptors */
};

/* Called as the pool is prepared; `done` of `size` bytes are there. */
typedef void xm_pool_progress(void *context, uint64_t done, uint64_t size);

/* Makes the banks and maps them. `size` is a multiple of the page size, which
 * is 2 MiB with huge pages. -ENOMEM: more than this machine has. */
int xm_pool_open(uint64_t size, bool huge_pages, char *words,
		 size_t words_size, struct xm_pool *ret);
/* The same, of one bank that the kernel pages to a disk. `path` names an empty file, or none yet:
 * it is locked, and the bytes lie in a file without a name beside it, of mode 0600, whose
 * blocks are all allocated. 0; words, if there are any, are a warning. -EWOULDBLOCK: another
 * process has it; -EEXIST: it is not empty; -ENOSPC; -ENOTSUP, -EOPNOTSUPP: not on this file
 * system. */
int xm_pool_file_open(const char *path, uint64_t size, char *words,
		      size_t words_size, struct xm_pool *ret);
/* Does nothing for other pools. From now on this process ends with a sentence on standard
 * error where a page cannot be had; and it does now if the disk has failed to write one. */
void xm_pool_file_guard(const struct xm_pool *);
void xm_pool_file_look(const struct xm_pool *);
/* The pool is this file, which extmem-bank serves. It owns the descriptor, also after a failure. */
int xm_pool_borrowed_open(int file, uint64_t size, char *words, size_t words_size,
			  struct xm_pool *ret);
/* These bytes become zero. 0, or -errno of the disk: they may not be. In the process that
 * opened the pool. */
int xm_pool_zero(struct xm_pool *, uint64_t offset, uint64_t size);
/* Touches every page. -ENOMEM: others took the memory meanwhile. */
int xm_pool_prepare(struct xm_pool *, xm_pool_progress *, void *context,
		    char *words, size_t words_size);
/* Gives whole pages among these bytes to the host, and takes all of them again. 0;
 * -ENOMEM: it has none to spare. In the process that opened the pool. */
void xm_pool_release(struct xm_pool *, uint64_t offset, uint64_t size);
int xm_pool_take(struct xm_pool *, uint64_t offset, uint64_t size);
/* In a process that was handed the descriptors: fills in base. The struct says
 * the rest. */
int xm_pool_map(struct xm_pool *, char *words, size_t words_size);
/* Unmaps and closes; a struct of zeros is ignored. */
void xm_pool_close(struct xm_pool *);

/* Bytes that this process may still take without swapping others out, as far
 * as the kernel and the control group tell. UINT64_MAX: nobody tells. */
uint64_t xm_pool_available(void);

#endif
