/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages whose bytes are lost, where a thread serves the faults: whoever touches
 * one gets SIGBUS, never zeros, and never sleeps for ever.
 *
 * From Linux 6.6 on UFFDIO_POISON marks a page. Before, a mapping of an empty
 * file is laid over it: it has no bytes, so that a touch is SIGBUS
 * (BUS_ADRERR). The file is one for all, and a page is mapped at the offset at
 * which it lies in the arena: then the kernel makes one mapping of lost pages
 * that are neighbours, in whatever order they are touched. A region read from
 * its beginning is one mapping in the end; of one touched at random, at most
 * every second page is one.
 *
 * A process may have so many mappings (vm.max_map_count, 65530). Where there
 * is no room for one more, the thread that touched the page cannot be told, and
 * would touch it again without end: the process ends as if by that touch, by
 * SIGBUS, after a sentence on stderr.
 *
 * (Faults served inline need none of this: an absent page raises SIGBUS by
 * itself.)
 *
 * Skin.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/skin/uffd_parts.h"

struct poison_args { /* struct uffdio_poison of Linux 6.6 */
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};
#define IOCTL_POISON _IOWR(UFFDIO, 0x08, struct poison_args)

void xm_uffd_poison_open(struct xm_mapper *m, bool kernel_poisons)
{
	m->poisons = kernel_poisons;
	m->lost = -1;
	if (m->threaded)
		m->lost = memfd_create("extmem-lost", MFD_CLOEXEC);
}

void xm_uffd_poison_close(struct xm_mapper *m)
{
	if (m->lost >= 0)
		close(m->lost);
}

void xm_uffd_wake(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	struct uffdio_range range = {
		.start = xm_uffd_address(m, page), .len = count * m->page_size,
	};

	/* inline: the thread is in our handler, and returns from it. */
	if (m->threaded)
		ioctl(m->fd, UFFDIO_WAKE, &range);
}

static bool by_kernel(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	struct poison_args args = {
		.range = { .start = xm_uffd_address(m, page),
			   .len = count * m->page_size },
	};

	while (ioctl(m->fd, IOCTL_POISON, &args) != 0) {
		/* Poisoned already; or it came after all, and can be read. */
		if (errno == EEXIST)
			return true;
		if (errno != EAGAIN)
			return false;
	}
	return true;
}

static bool by_file(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	return mmap(xm_uffd_pointer(m, page), count * m->page_size,
		    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m->lost,
		    (off_t)(page * m->page_size)) != MAP_FAILED;
}

/* This thread is not the one that touched the page, and may not wait for it. */
static _Noreturn void end_by_sigbus(const struct xm_mapper *m, uint64_t page,
				    int error)
{
	char text[256];
	int size = snprintf(text, sizeof(text),
			    "extmem: the page at %p is lost and cannot be "
			    "marked so (%s): this process ends by SIGBUS%s\n",
			    xm_uffd_pointer(m, page), strerror(error),
			    error == ENOMEM ? "; before Linux 6.6 it takes a "
					      "mapping: sysctl "
					      "vm.max_map_count" : "");

	/* Not stdio: the process may be in any state. */
	if (size > 0 && write(STDERR_FILENO, text, (size_t)size) < 0)
		_exit(128 + SIGBUS);
	signal(SIGBUS, SIG_DFL);
	kill(getpid(), SIGBUS);
	_exit(128 + SIGBUS);
}

void xm_uffd_poison(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	/* inline: an absent page raises SIGBUS by itself, and the handler hears from
	 * the pager that its bytes cannot be had. */
	if (!m->threaded)
		return;
	/* The kernel refuses a range that the program has unmapped. */
	if (!(m->poisons && by_kernel(m, page, count)) &&
	    !by_file(m, page, count))
		end_by_sigbus(m, page, errno);
	xm_uffd_wake(m, page, count);
}
