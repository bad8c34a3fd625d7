/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mapper over userfaultfd (userfaultfd(2)): opening it, and the choice between its two
 * ways of paging.
 *
 * inline: the kernel sends SIGBUS to the thread that touched the page, whose handler
 *	serves the fault. Fastest (no other thread is woken), needs no privilege; but a
 *	system call on an absent page fails with EFAULT.
 * thread: the thread that touched the page sleeps; another thread reads the fault and
 *	serves it. With privilege the kernel's own touches are served too.
 *
 * Skin.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/skin/os.h"
#include "core/skin/uffd_parts.h"

#define ARENA_MIN (64 * XM_MIB) /* bytes of addresses, with which a client can live */

static bool choose(const struct xm_mapper_options *o,
		   const struct xm_mapper_capabilities *capabilities, struct xm_mapper *m,
		   char *words, size_t words_size, enum xm_uffd_way *ret_way)
{
	bool any = capabilities->device || capabilities->full || capabilities->user;

	if (!any || !capabilities->protects) {
		snprintf(words, words_size,
			 any ? "this kernel's userfaultfd cannot protect "
			       "pages: extmem needs Linux 5.11 or later"
			     : "userfaultfd is not allowed here (%s): a "
			       "container's seccomp profile must permit the "
			       "system call userfaultfd; `extmem doctor` "
			       "says more",
			 strerror(capabilities->error));
		return false;
	}
	*ret_way = capabilities->full	    ? XM_UFFD_FULL
		    : capabilities->device ? XM_UFFD_DEVICE
				    : XM_UFFD_USER;
	if (o->paging != XM_PAGING_THREAD && capabilities->sigbus) {
		m->threaded = false;
		snprintf(m->reason, sizeof(m->reason), "%s%s",
			 o->paging == XM_PAGING_INLINE
				 ? "asked for" : "fastest, no privilege needed",
			 "; system calls need pinned buffers");
		return true;
	}
	if (o->paging == XM_PAGING_INLINE) {
		snprintf(words, words_size, "paging=inline: this kernel's "
			 "userfaultfd has no SIGBUS mode: use paging=thread");
		return false;
	}
	m->threaded = true;
	m->kernel_touches = *ret_way != XM_UFFD_USER;
	snprintf(m->reason, sizeof(m->reason), "%s; %s",
		 o->paging == XM_PAGING_THREAD ? "asked for"
					       : "no SIGBUS mode here",
		 m->kernel_touches ? "the kernel's touches are served too"
				  : "user-mode faults only: system calls "
				    "need pinned buffers");
	return true;
}

static int open_descriptor(struct xm_mapper *m, enum xm_uffd_way way,
			   const struct xm_mapper_capabilities *capabilities)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};

	/* SIGBUS in place of messages; or messages that name the thread. */
	api.features |= m->threaded ? UFFD_FEATURE_THREAD_ID
				    : UFFD_FEATURE_SIGBUS;
	if (capabilities->poisons && m->threaded)
		api.features |= XM_UFFD_FEATURE_POISON;
	m->fd = xm_uffd_way_open(way);
	if (m->fd < 0)
		return -errno;
	if (ioctl(m->fd, UFFDIO_API, &api) != 0) {
		int error = errno;

		close(m->fd);
		return -error;
	}
	return 0;
}

/* The arena: addresses that are not backed by memory, nor by swap. Under a limit of
 * addresses (ulimit -v) a smaller one will do. */
static bool reserve(struct xm_mapper *m, uint64_t pages)
{
	for (; pages * m->page_size >= ARENA_MIN; pages /= 2) {
		void *base = mmap(NULL, pages * m->page_size, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				  -1, 0);

		if (base == MAP_FAILED)
			continue;
		m->base = base;
		m->pages = pages;
		return true;
	}
	return false;
}

static void close_mapper(struct xm_mapper *m)
{
	if (m->base != NULL)
		munmap(m->base, m->pages * m->page_size);
	os_memory_give(m->zeros, m->zeros_size);
	if (m->self >= 0)
		close(m->self);
	xm_uffd_poison_close(m);
	close(m->fd);
	free(m);
}

static int open_mapper(const struct xm_mapper_options *o, char *words,
		       size_t words_size, struct xm_mapper **ret)
{
	struct xm_mapper *m = calloc(1, sizeof(*m));
	struct xm_mapper_capabilities capabilities;
	enum xm_uffd_way way;
	int rc;

	if (m == NULL)
		return -ENOMEM;
	if (o->address[0] != '\0') {
		snprintf(words, words_size, "mapper=userfaultfd takes no "
			 "address");
		free(m);
		return -EINVAL;
	}
	if (!os_page_fits(words, words_size)) {
		free(m);
		return -ENOTSUP;
	}
	xm_uffd_probe(&capabilities);
	if (!choose(o, &capabilities, m, words, words_size, &way)) {
		free(m);
		return -EPERM;
	}
	rc = open_descriptor(m, way, &capabilities);
	if (rc != 0) {
		snprintf(words, words_size, "userfaultfd: %s", strerror(-rc));
		free(m);
		return rc;
	}
	m->self = xm_uffd_self_open();
	xm_uffd_poison_open(m, capabilities.poisons);
	m->page_size = o->page_size;
	m->zeros_size = XM_UFFD_ZEROS_PAGES * o->page_size;
	m->zeros = os_memory_take(m->zeros_size);
	if (!reserve(m, o->pages) || m->zeros == NULL) {
		snprintf(words, words_size, "no 64 MiB of addresses for "
			 "mappings: raise ulimit -v");
		close_mapper(m);
		return -ENOMEM;
	}
	*ret = m;
	return 0;
}

static void limits(const struct xm_mapper *m, struct xm_mapper_limits *ret)
{
	*ret = (struct xm_mapper_limits){
		.base = m->base,
		.pages = m->pages,
		.page_size = m->page_size,
		.kernel_touches = m->kernel_touches,
		.denies = !m->threaded,
		.descriptor = m->threaded ? m->fd : -1,
	};
	snprintf(ret->paging, sizeof(ret->paging), "%s",
		 m->threaded ? "thread" : "inline");
	snprintf(ret->reason, sizeof(ret->reason), "%s", m->reason);
}

const struct xm_mapper_ops xm_uffd = {
	.name = "userfaultfd",
	.probe = xm_uffd_probe,
	.open = open_mapper,
	.close = close_mapper,
	.limits = limits,
	.begin = xm_uffd_begin,
	.end = xm_uffd_end,
	.faults = xm_uffd_faults,
	.load = xm_uffd_load,
	.store = xm_uffd_store,
	.attach = xm_uffd_attach,
	.detach = xm_uffd_detach,
	.install = xm_uffd_install,
	.protect = xm_uffd_protect,
	.unprotect = xm_uffd_unprotect,
	.copy = xm_uffd_copy,
	.drop = xm_uffd_drop,
	.poison = xm_uffd_poison,
	.wake = xm_uffd_wake,
};
