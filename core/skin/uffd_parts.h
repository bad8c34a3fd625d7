/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the userfaultfd mapper share: the mapper's struct, and what
 * the kernel's interface has beyond the oldest headers that extmem builds with.
 *
 * uffd.c		opening, limits, the table of operations
 * uffd_faults.c	how faults are delivered
 * uffd_pages.c		attaching, installing, protecting, dropping pages
 * uffd_poison.c	pages whose bytes are lost
 * uffd_probe.c		which calls this process may make, which the kernel lacks
 *
 * Skin. Included by these files alone.
 */
#ifndef XM_UFFD_PARTS_H
#define XM_UFFD_PARTS_H

#include <linux/userfaultfd.h>
#include <sys/syscall.h>

#include "core/pure/mapper.h"
#include "core/skin/sigbus.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define XM_UFFD_FEATURE_POISON (UINT64_C(1) << 14) /* Linux 6.6 */
#define XM_UFFD_FEATURE_MOVE (UINT64_C(1) << 16)   /* Linux 6.8 */

/* Pages that install() can fill with zeros by one call; the pager asks for
 * XM_PAGER_WINDOW_MAX at most. */
#define XM_UFFD_ZEROS_PAGES 64

struct xm_mapper {
	uint8_t *base;
	uint64_t pages, page_size;
	int fd;	  /* the userfaultfd */
	int self; /* for process_madvise(), or -1 */
	int lost; /* an empty file to map over lost pages, or -1 */
	bool threaded;	     /* paging=thread */
	bool kernel_touches; /* the kernel's touches are served */
	bool poisons;	     /* the kernel can mark lost pages */
	struct xm_fault_handler handler; /* from begin() to end() */
	struct xm_sigbus_span span;	 /* likewise */
	void *zeros; /* XM_UFFD_ZEROS_PAGES of them */
	size_t zeros_size;
	char reason[128];
};

static inline uint64_t xm_uffd_address(const struct xm_mapper *m, uint64_t page)
{
	return (uint64_t)(uintptr_t)m->base + page * m->page_size;
}

static inline void *xm_uffd_pointer(const struct xm_mapper *m, uint64_t page)
{
	return m->base + page * m->page_size;
}

/* The ways to get a userfaultfd, by what it takes. */
enum xm_uffd_way {
	XM_UFFD_DEVICE,	/* permission to open /dev/userfaultfd */
	XM_UFFD_FULL,	/* CAP_SYS_PTRACE, or vm.unprivileged_userfaultfd */
	XM_UFFD_USER,	/* nothing; faults of the kernel are not reported */
	XM_UFFD_NONE,	/* the number of ways: none is open to this process */
};

/* A new userfaultfd, before its handshake; or -1, with errno. */
int xm_uffd_way_open(enum xm_uffd_way);

/* A descriptor of this process, with which process_madvise() drops many ranges
 * of its memory in one call; or -1: the kernel (before 6.13) does not. */
int xm_uffd_self_open(void);

/* What poison() needs; of no use where faults are served inline. */
void xm_uffd_poison_open(struct xm_mapper *, bool kernel_poisons);
void xm_uffd_poison_close(struct xm_mapper *);

/* Operations of the mapper contract. */
void xm_uffd_probe(struct xm_mapper_capabilities *ret);
int xm_uffd_begin(struct xm_mapper *, const struct xm_fault_handler *,
		  char *words, size_t words_size);
void xm_uffd_end(struct xm_mapper *);
int xm_uffd_faults(struct xm_mapper *, struct xm_fault *ret, int count);
void xm_uffd_load(struct xm_mapper *, uint64_t offset, void *ret, size_t size);
void xm_uffd_store(struct xm_mapper *, uint64_t offset, const void *bytes,
		   size_t size);
int xm_uffd_attach(struct xm_mapper *, uint64_t page, uint64_t count);
void xm_uffd_detach(struct xm_mapper *, uint64_t page, uint64_t count);
int xm_uffd_install(struct xm_mapper *, uint64_t page, uint64_t count,
		    const void *bytes, bool protect);
int xm_uffd_protect(struct xm_mapper *, uint64_t page, uint64_t count);
int xm_uffd_unprotect(struct xm_mapper *, uint64_t page, uint64_t count);
void xm_uffd_copy(struct xm_mapper *, uint64_t page, uint64_t count, void *ret);
int xm_uffd_drop(struct xm_mapper *, const struct xm_page_range *ranges,
		 uint32_t count);
void xm_uffd_poison(struct xm_mapper *, uint64_t page, uint64_t count);
void xm_uffd_wake(struct xm_mapper *, uint64_t page, uint64_t count);

#endif
