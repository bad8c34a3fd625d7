/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which of the kernel's calls the userfaultfd mapper can use: found by trying
 * each on descriptors and memory that are thrown away, since versions say
 * little (distributions port features back; containers forbid calls).
 *
 * Skin.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/skin/uffd_parts.h"

int xm_uffd_way_open(enum xm_uffd_way way)
{
	int device, fd;

	switch (way) {
	case XM_UFFD_DEVICE:
		device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
		if (device < 0)
			return -1;
		fd = ioctl(device, USERFAULTFD_IOC_NEW,
			   O_CLOEXEC | O_NONBLOCK);
		close(device);
		return fd;
	case XM_UFFD_FULL:
		return (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	case XM_UFFD_USER:
		return (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK |
							     UFFD_USER_MODE_ONLY);
	case XM_UFFD_NONE:
		break;
	}
	errno = EPERM;
	return -1;
}

int xm_uffd_self_open(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	struct iovec piece = { .iov_len = size };
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0)
		return -1;
	piece.iov_base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (piece.iov_base == MAP_FAILED ||
	    syscall(SYS_process_madvise, fd, &piece, (size_t)1, MADV_DONTNEED,
		    0) != (ssize_t)size) {
		close(fd);
		fd = -1;
	}
	if (piece.iov_base != MAP_FAILED)
		munmap(piece.iov_base, size);
	return fd;
}

/* What the kernel lacks, and what is done instead, in words. */
static void name_missing(struct xm_mapper_capabilities *c)
{
	snprintf(c->missing, sizeof(c->missing), "%s%s%s",
		 c->poisons ? "" : "without UFFDIO_POISON (Linux 6.6): "
				   "paged by a thread, each run of lost pages "
				   "is a mapping",
		 c->poisons || c->drops_many ? "" : "; ",
		 c->drops_many ? "" : "without process_madvise() of one's own "
				      "memory (Linux 6.13): pages are dropped "
				      "by a call for each range");
}

void xm_uffd_probe(struct xm_mapper_capabilities *ret)
{
	struct uffdio_api api = { .api = UFFD_API };
	enum xm_uffd_way way;
	int self = xm_uffd_self_open();
	uint64_t features = 0; /* as UFFDIO_API gives them */

	memset(ret, 0, sizeof(*ret));
	for (way = XM_UFFD_DEVICE; way < XM_UFFD_NONE; way++) {
		int fd = xm_uffd_way_open(way);

		if (fd < 0) {
			ret->error = errno;
			continue;
		}
		/* The handshake is once per descriptor: this one is thrown
		 * away. */
		if (features == 0 && ioctl(fd, UFFDIO_API, &api) == 0)
			features = api.features;
		ret->device |= way == XM_UFFD_DEVICE;
		ret->full |= way == XM_UFFD_FULL;
		ret->user |= way == XM_UFFD_USER;
		close(fd);
	}
	if (ret->device || ret->full || ret->user)
		ret->error = 0;
	ret->sigbus = (features & UFFD_FEATURE_SIGBUS) != 0;
	ret->protects =
		(features & UFFD_FEATURE_PAGEFAULT_FLAG_WP) != 0;
	ret->poisons = (features & XM_UFFD_FEATURE_POISON) != 0;
	ret->moves = (features & XM_UFFD_FEATURE_MOVE) != 0;
	ret->drops_many = self >= 0;
	if (self >= 0)
		close(self);
	name_missing(ret);
}
