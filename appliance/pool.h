/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory an appliance lends: one memfd, mapped shared before the fork, so
 * that the control process can zero what the interface process exposes.
 *
 * All of it is touched at the start, piece by piece, so that it is there when
 * a client's page comes, and too large a pool is refused in words at once
 * rather than by the OOM killer later. Bytes are never given back to the
 * system while the daemon runs: a hole punched into the pool would leave the
 * device's registrations pointing at pages that are not ours any more.
 *
 * Floor: skin.
 */
#ifndef XM_POOL_H
#define XM_POOL_H

#include "common/base.h"

struct xm_pool {
	void *base;
	uint64_t size;
	uint64_t page; /* bytes */
	int fd;
};

/* Called as the pool is prepared; `done` of `size` bytes are there. */
typedef void xm_pool_progress(void *context, uint64_t done, uint64_t size);

/* -ENOMEM: more than this machine has; words says how much, and the way out.
 * The size is a multiple of the page size, 2 MiB with huge pages. */
int xm_pool_open(uint64_t size, bool huge_pages, char *words,
		 size_t words_size, struct xm_pool *ret);
int xm_pool_prepare(struct xm_pool *, xm_pool_progress *, void *context,
		    char *words, size_t words_size);
void xm_pool_close(struct xm_pool *);

/* Bytes this process may still take without swapping others out, as far as
 * the kernel and the control group tell. UINT64_MAX: nobody tells. */
uint64_t xm_pool_available(void);

#endif
