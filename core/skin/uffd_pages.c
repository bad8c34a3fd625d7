/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages of the userfaultfd mapper: attached, installed, protected, copied, dropped; see
 * userfaultfd(2) and ioctl_userfaultfd(2).
 *
 * attach() makes a span readable and writable only after it is registered, so that no
 * touch ever meets a zero page of the kernel's. Children of fork() do not get the arena
 * (MADV_DONTFORK: a touch there is SIGSEGV, never zeros), core dumps leave it out, and
 * huge pages stay away from it (they would fill in around an absent page).
 *
 * The answers of the ioctls are sorted in one place, sorted(): try again (the address
 * space is changing), the page is there already, or the range is not ours any more.
 * (After CRIU's uffd_check_op_error().)
 *
 * Skin.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/skin/uffd_parts.h"

/* Ranges dropped by one call. */
#define DROPS_MAX 64

enum outcome { OUTCOME_AGAIN, OUTCOME_THERE, OUTCOME_GONE };

static enum outcome sorted(int error)
{
	switch (error) {
	case EAGAIN:
	case EINTR:
		return OUTCOME_AGAIN;
	case EEXIST:
		return OUTCOME_THERE;
	default:
		return OUTCOME_GONE;
	}
}

int xm_uffd_install(struct xm_mapper *m, uint64_t page, uint64_t count,
		   const void *bytes, bool protect)
{
	uint64_t done = 0, size = count * m->page_size, most = size;

	if (bytes == NULL) {
		XM_ASSERT(size <= m->zeros_size);
		bytes = m->zeros;
	}
	while (done < size) {
		struct uffdio_copy copy = {
			.dst = xm_uffd_address(m, page) + done,
			.src = (uint64_t)(uintptr_t)bytes + done,
			.len = xm_min(size - done, most),
			.mode = UFFDIO_COPY_MODE_DONTWAKE |
				(protect ? UFFDIO_COPY_MODE_WP : 0),
		};

		if (ioctl(m->fd, UFFDIO_COPY, &copy) == 0) {
			done += copy.len;
			continue;
		}
		/* A short copy says how far it came, and why it stopped only
		 * the next time. */
		if (copy.copy > 0) {
			done += (uint64_t)copy.copy;
			continue;
		}
		switch (sorted(errno)) {
		case OUTCOME_AGAIN: break;
		case OUTCOME_THERE: done += m->page_size; break;
		case OUTCOME_GONE:
			if (most == m->page_size)
				return -errno;
			/* The program has divided the mapping: by mlock(),
			 * say. */
			most = m->page_size;
			break;
		}
	}
	return 0;
}

static int write_protect(struct xm_mapper *m, uint64_t page, uint64_t count,
			 bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = xm_uffd_address(m, page),
			   .len = count * m->page_size },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP
			   : UFFDIO_WRITEPROTECT_MODE_DONTWAKE,
	};

	while (ioctl(m->fd, UFFDIO_WRITEPROTECT, &wp) != 0) {
		if (sorted(errno) == OUTCOME_AGAIN)
			continue;
		if (wp.range.len == m->page_size)
			return -errno;
		/* As install() does, page by page. */
		for (uint64_t i = 0; i < count; i++) {
			int rc = write_protect(m, page + i, 1, on);

			if (rc != 0)
				return rc;
		}
		return 0;
	}
	return 0;
}

int xm_uffd_protect(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	return write_protect(m, page, count, true);
}

int xm_uffd_unprotect(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	return write_protect(m, page, count, false);
}

#ifdef XM_SANITIZE_THREAD
/* Of ThreadSanitizer's run time, which has no header for them. */
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
#else
#define AnnotateIgnoreReadsBegin(file, line) ((void)0)
#define AnnotateIgnoreReadsEnd(file, line) ((void)0)
#endif

void xm_uffd_copy(struct xm_mapper *m, uint64_t page, uint64_t count, void *ret)
{
	/* The program's stores come before this or wait until the page is let
	 * go: protection orders them, which ThreadSanitizer cannot see. */
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
	memcpy(ret, xm_uffd_pointer(m, page), count * m->page_size);
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

/* One call for ranges that lie apart: Linux allows it of one's own memory from
 * 6.13 on. It costs a quarter of a call each, which is mostly the flush of
 * the translation caches. */
static bool drop_many(struct xm_mapper *m, const struct xm_page_range *ranges,
		      uint32_t count)
{
	struct iovec pieces[DROPS_MAX];
	size_t size = 0;

	if (m->self < 0 || count < 2 || count > DROPS_MAX)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		pieces[i].iov_base = xm_uffd_pointer(m, ranges[i].page);
		pieces[i].iov_len = ranges[i].count * m->page_size;
		size += pieces[i].iov_len;
	}
	return syscall(SYS_process_madvise, m->self, pieces, (size_t)count,
		       MADV_DONTNEED, 0) == (ssize_t)size;
}

static int drop_one(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	bool unlocked = false;

	while (madvise(xm_uffd_pointer(m, page), count * m->page_size,
		       MADV_DONTNEED) != 0) {
		int error = errno;

		/* The program has locked all its memory; this cannot be. The
		 * whole arena, as pieces would each be a mapping. */
		if (error == EINVAL && !unlocked) {
			munlock(m->base, m->pages * m->page_size);
			unlocked = true;
			continue;
		}
		if (sorted(error) != OUTCOME_AGAIN)
			return -error;
	}
	return 0;
}

int xm_uffd_drop(struct xm_mapper *m, const struct xm_page_range *ranges,
		uint32_t count)
{
	int rc = 0;

	if (drop_many(m, ranges, count))
		return 0;
	for (uint32_t i = 0; i < count && rc == 0; i++)
		rc = drop_one(m, ranges[i].page, ranges[i].count);
	return rc;
}

void xm_uffd_detach(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	void *fresh = mmap(xm_uffd_pointer(m, page), count * m->page_size, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
				   MAP_FIXED,
			   -1, 0);

	/* It can fail where the number of mappings is at its limit; then the
	 * pages must at least hold nothing, and trap. */
	if (fresh == MAP_FAILED)
		madvise(xm_uffd_pointer(m, page), count * m->page_size,
			MADV_DONTNEED);
}

int xm_uffd_attach(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	void *at = xm_uffd_pointer(m, page);
	size_t size = count * m->page_size;
	struct uffdio_register range = {
		.range = { .start = xm_uffd_address(m, page), .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING |
			UFFDIO_REGISTER_MODE_WP,
	};
	int error;

	if (ioctl(m->fd, UFFDIO_REGISTER, &range) == 0) {
		madvise(at, size, MADV_NOHUGEPAGE);
		madvise(at, size, MADV_DONTDUMP);
		if (madvise(at, size, MADV_DONTFORK) == 0 &&
		    mprotect(at, size, PROT_READ | PROT_WRITE) == 0)
			return 0;
	}
	error = errno;
	xm_uffd_detach(m, page, count);
	return -error;
}
