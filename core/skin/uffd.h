/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mapper over userfaultfd: the arena, and its two ways of serving faults.
 *
 * inline: the kernel sends SIGBUS to the faulting thread, whose handler
 *	serves the fault itself. Fastest (no other thread is woken), needs no
 *	privilege; but a system call on an absent page fails with EFAULT.
 * thread: the faulting thread sleeps, a handler thread reads the fault and
 *	serves it. With privilege the kernel's own touches are served too.
 *
 * Skin. The header <linux/userfaultfd.h> is included by uffd_parts.h, for uffd*.c.
 */
#ifndef XM_UFFD_H
#define XM_UFFD_H

#include "common/base.h"
#include "core/pure/mapper.h"

enum xm_paging {
	XM_PAGING_AUTO,
	XM_PAGING_INLINE,
	XM_PAGING_THREAD,
};

/* What this process may do, best first; found on throw-away descriptors. */
struct xm_uffd_capabilities {
	bool device;  /* /dev/userfaultfd can be opened: kernel faults too */
	bool full;    /* the system call, kernel faults too */
	bool user;    /* the system call, user-mode faults only */
	bool sigbus, protects, poisons, moves;
	bool drops_many; /* process_madvise() drops pages of one's own */
	uint64_t features; /* as UFFDIO_API gave them */
	int error;	   /* errno, when there is none at all */
	/* Which calls the kernel lacks, and what is done instead; "": none. */
	char missing[256];
};

void xm_uffd_probe(struct xm_uffd_capabilities *ret);

struct xm_uffd_options {
	uint64_t pages; /* of the arena; fewer if the system has no room */
	uint64_t page_size;
	enum xm_paging paging;
};

/* On failure `words` has a sentence that says what would help. */
int xm_uffd_open(const struct xm_uffd_options *, char *words,
		 size_t words_size, struct xm_mapper **ret);
/* Nobody may wait for a page, or touch one, any more. */
void xm_uffd_close(struct xm_mapper *);

const struct xm_mapper_ops *xm_uffd_ops(const struct xm_mapper *);
uint8_t *xm_uffd_base(const struct xm_mapper *);
uint64_t xm_uffd_pages(const struct xm_mapper *);
/* Why this way of paging, on this way to a userfaultfd: a clause. */
const char *xm_uffd_reason(const struct xm_mapper *);
/* True when the kernel's touches of absent pages are served. */
bool xm_uffd_serves_kernel(const struct xm_mapper *);

/* thread: the descriptor to poll, and the faults that are there: count, or 0.
 * inline: -1, and none. */
int xm_uffd_descriptor(const struct xm_mapper *);
int xm_uffd_faults(struct xm_mapper *, struct xm_fault *ret, int count);

#endif
