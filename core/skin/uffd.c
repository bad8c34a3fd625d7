/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mapper over userfaultfd; see uffd.h, and userfaultfd(2),
 * ioctl_userfaultfd(2).
 *
 * The arena is one reservation (PROT_NONE, no swap reserved). attach() makes a
 * span readable and writable, but only after it is registered, so that no
 * touch ever meets a zero page of the kernel's. Children of fork() do not get
 * the arena (MADV_DONTFORK: a touch there is SIGSEGV, never zeros), core dumps
 * leave it out, huge pages stay away from it (they would fill in around an
 * absent page).
 *
 * What the ioctls answer is sorted in one place, sorted(): try again (the
 * address space is changing), it is there already, or the range is not ours
 * any more. (After CRIU's uffd_check_op_error().)
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/skin/os.h"
#include "core/skin/uffd_parts.h"

/* Ranges dropped by one call. */
#define DROPS_MAX 64

/* --- ioctls ------------------------------------------------------------------- */

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

static void wake_none(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	/* inline: the thread is in our handler, and returns from it. */
	(void)m;
	(void)page;
	(void)count;
}

static int install(struct xm_mapper *m, uint64_t page, uint64_t count,
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

static int protect(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	return write_protect(m, page, count, true);
}

static int unprotect(struct xm_mapper *m, uint64_t page, uint64_t count)
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

static void copy(struct xm_mapper *m, uint64_t page, uint64_t count, void *ret)
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

static int drop(struct xm_mapper *m, const struct xm_page_range *ranges,
		uint32_t count)
{
	int rc = 0;

	if (drop_many(m, ranges, count))
		return 0;
	for (uint32_t i = 0; i < count && rc == 0; i++)
		rc = drop_one(m, ranges[i].page, ranges[i].count);
	return rc;
}

static void poison_none(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	/* inline: an absent page raises SIGBUS by itself, and the handler
	 * hears from the pager that there is nothing to be had. */
	(void)m;
	(void)page;
	(void)count;
}

static void detach(struct xm_mapper *m, uint64_t page, uint64_t count)
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

static int attach(struct xm_mapper *m, uint64_t page, uint64_t count)
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
	detach(m, page, count);
	return -error;
}

static const struct xm_mapper_ops inline_ops = {
	.name = "inline",
	.attach = attach,
	.detach = detach,
	.install = install,
	.protect = protect,
	.unprotect = unprotect,
	.copy = copy,
	.drop = drop,
	.poison = poison_none,
	.wake = wake_none,
};

static const struct xm_mapper_ops thread_ops = {
	.name = "thread",
	.attach = attach,
	.detach = detach,
	.install = install,
	.protect = protect,
	.unprotect = unprotect,
	.copy = copy,
	.drop = drop,
	.poison = xm_uffd_poison,
	.wake = xm_uffd_wake,
};

/* --- opening -------------------------------------------------------------------- */

static bool choose(const struct xm_uffd_options *o,
		   const struct xm_uffd_capabilities *capabilities, struct xm_mapper *m,
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
	m->serves_kernel = false;
	if (o->paging != XM_PAGING_THREAD && capabilities->sigbus) {
		m->ops = &inline_ops;
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
	m->ops = &thread_ops;
	m->serves_kernel = *ret_way != XM_UFFD_USER;
	snprintf(m->reason, sizeof(m->reason), "%s; %s",
		 o->paging == XM_PAGING_THREAD ? "asked for"
					       : "no SIGBUS mode here",
		 m->serves_kernel ? "the kernel's touches are served too"
				  : "user-mode faults only: system calls "
				    "need pinned buffers");
	return true;
}

static int open_descriptor(struct xm_mapper *m, enum xm_uffd_way way,
			   const struct xm_uffd_capabilities *capabilities)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};

	/* In place of messages; or messages that say which thread it was. */
	api.features |= m->ops == &inline_ops ? UFFD_FEATURE_SIGBUS
					      : UFFD_FEATURE_THREAD_ID;
	if (capabilities->poisons && m->ops == &thread_ops)
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

int xm_uffd_open(const struct xm_uffd_options *o, char *words,
		 size_t words_size, struct xm_mapper **ret)
{
	struct xm_mapper *m = calloc(1, sizeof(*m));
	struct xm_uffd_capabilities capabilities;
	enum xm_uffd_way way;
	int rc;

	if (m == NULL)
		return -ENOMEM;
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
	m->zeros_size = 64 * o->page_size;
	m->zeros = os_memory_take(m->zeros_size);
	/* Under a limit of addresses (ulimit -v) a smaller arena will do. */
	for (m->pages = o->pages; m->pages * m->page_size >= 64 * XM_MIB;
	     m->pages /= 2) {
		m->base = mmap(NULL, m->pages * m->page_size, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			       -1, 0);
		if (m->base != MAP_FAILED)
			break;
		m->base = NULL;
	}
	if (m->base == NULL || m->zeros == NULL) {
		snprintf(words, words_size, "no %s of addresses for mappings: "
			 "raise ulimit -v", "64 MiB");
		xm_uffd_close(m);
		return -ENOMEM;
	}
	*ret = m;
	return 0;
}

void xm_uffd_close(struct xm_mapper *m)
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

const struct xm_mapper_ops *xm_uffd_ops(const struct xm_mapper *m)
{
	return m->ops;
}

uint8_t *xm_uffd_base(const struct xm_mapper *m)
{
	return m->base;
}

uint64_t xm_uffd_pages(const struct xm_mapper *m)
{
	return m->pages;
}

const char *xm_uffd_reason(const struct xm_mapper *m)
{
	return m->reason;
}

bool xm_uffd_serves_kernel(const struct xm_mapper *m)
{
	return m->serves_kernel;
}

/* --- the thread's side -------------------------------------------------------------- */

int xm_uffd_descriptor(const struct xm_mapper *m)
{
	return m->ops == &thread_ops ? m->fd : -1;
}

int xm_uffd_faults(struct xm_mapper *m, struct xm_fault *ret, int count)
{
	struct uffd_msg messages[16];
	size_t most = xm_min((uint64_t)count, XM_COUNT(messages));
	ssize_t size;
	int got = 0;

	if (m->ops != &thread_ops || count <= 0)
		return 0;
	size = read(m->fd, messages, most * sizeof(messages[0]));
	for (ssize_t i = 0; i < size / (ssize_t)sizeof(messages[0]); i++) {
		const struct uffd_msg *message = &messages[i];
		uint64_t at = message->arg.pagefault.address;
		uint64_t flags = message->arg.pagefault.flags;

		if (message->event != UFFD_EVENT_PAGEFAULT)
			continue;
		ret[got].page = (at - (uint64_t)(uintptr_t)m->base) /
				m->page_size;
		ret[got].thread = (int)message->arg.pagefault.feat.ptid;
		ret[got].write = (flags & UFFD_PAGEFAULT_FLAG_WRITE) != 0 ||
				 (flags & UFFD_PAGEFAULT_FLAG_WP) != 0;
		got++;
	}
	return got;
}
