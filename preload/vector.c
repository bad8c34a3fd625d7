/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists of buffers, and the calls that move bytes between them and a file:
 * readv(2) and its relatives.
 *
 * A list of at most BOUNCE_MAX bytes goes through the thread's bounce buffer in
 * one call. A larger one that has to go in one call (to a message socket) is
 * pinned, or copied if it cannot be. Any other is moved buffer by buffer until
 * a call comes back short, as the kernel would do.
 */
#include "preload/vector.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/syscall.h>

#define WHOLE_MAX ((size_t)1 << 20) /* what a file is given in one call */

/* --- lists --------------------------------------------------------------------- */

bool list_needed(const struct iovec *iov, long count)
{
	if (count <= 0 || count > VECTOR_MAX || !iov ||
	    !present_possible())
		return false;
	if (block_contains(iov, count * sizeof(*iov)))
		return true;
	for (long i = 0; i < count; i++)
		if (iov[i].iov_len > 0 &&
		    block_contains(iov[i].iov_base, iov[i].iov_len))
			return true;
	return false;
}

int list_open(const struct iovec *iov, long count, bool fills,
	      struct list *ret)
{
	*ret = (struct list){ .iov = iov, .count = (int)count, .fills = fills };
	for (long i = 0; i < count; i++)
		if (__builtin_add_overflow(ret->size, iov[i].iov_len,
					   &ret->size) ||
		    ret->size > SSIZE_MAX) {
			errno = EINVAL;
			return -1;
		}
	return 0;
}

static void list_gather(const struct list *list, char *local, size_t size)
{
	size_t at = 0;

	for (int i = 0; i < list->count && at < size; i++) {
		size_t n = list->iov[i].iov_len;

		n = n < size - at ? n : size - at;
		memcpy(local + at, list->iov[i].iov_base, n);
		at += n;
	}
}

static void list_scatter(const struct list *list, const char *local,
			 size_t size)
{
	size_t at = 0;

	for (int i = 0; i < list->count && at < size; i++) {
		size_t n = list->iov[i].iov_len;

		n = n < size - at ? n : size - at;
		memcpy(list->iov[i].iov_base, local + at, n);
		at += n;
	}
}

/* --- one call for all of a list ------------------------------------------------------ */

static void whole_unpin(struct whole *w, int count)
{
	for (int i = 0; i < count; i++)
		if (block_contains(w->pinned_iov[i].iov_base,
				   w->pinned_iov[i].iov_len))
			present_end(w->pinned_iov[i].iov_base,
				    w->pinned_iov[i].iov_len);
	local_give(w->pinned_iov, w->count * sizeof(*w->pinned_iov));
	w->pinned_iov = NULL;
}

static bool whole_pin(struct whole *w)
{
	const struct list *list = &w->list;

	w->count = list->count;
	w->pinned_iov = local_take(list->count * sizeof(*w->pinned_iov));
	if (!w->pinned_iov)
		return false;
	for (int i = 0; i < list->count; i++) {
		const struct iovec *v = &list->iov[i];
		size_t n = v->iov_len;

		w->pinned_iov[i] = *v;
		if (n == 0 || !block_contains(v->iov_base, n))
			continue;
		n = present_begin(v->iov_base, n, list->fills);
		if (n == v->iov_len)
			continue;
		if (n > 0)
			present_end(v->iov_base, n);
		whole_unpin(w, i);
		return false;
	}
	return true;
}

static bool list_permitted(const struct list *list)
{
	for (int i = 0; i < list->count; i++)
		if (rights_permit(list->iov[i].iov_base, list->iov[i].iov_len,
				  list->fills) < list->iov[i].iov_len)
			return false;
	return true;
}

int whole_begin(struct whole *w)
{
	const struct list *list = &w->list;

	if (!list_permitted(list)) {
		errno = EFAULT;
		return -1;
	}
	w->taken = false;
	w->pinned_iov = NULL;
	w->local = list->size <= BOUNCE_MAX && !w->lent
			   ? thread_bounce_take(&w->bounce)
			   : NULL;
	if (!w->local) {
		if (!w->lent && whole_pin(w))
			return 0;
		w->local = local_take(list->size);
		w->taken = true;
		if (!w->local)
			return -1;
	}
	if (!list->fills)
		list_gather(list, w->local, list->size);
	w->iov[0] = (struct iovec){ w->local, list->size };
	w->count = 1;
	return 0;
}

struct iovec *whole_iov(struct whole *w)
{
	return w->pinned_iov ? w->pinned_iov : w->iov;
}

void whole_end(void *p)
{
	struct whole *w = p;

	if (w->pinned_iov)
		whole_unpin(w, w->count);
	else if (w->taken)
		local_give(w->local, w->list.size);
	else
		thread_bounce_give(&w->bounce);
}

void whole_filled(struct whole *w, ssize_t size)
{
	if (size > 0 && w->list.fills && !w->pinned_iov)
		list_scatter(&w->list, w->local,
			     (size_t)size < w->list.size ? (size_t)size
							 : w->list.size);
}

/* --- readv and its kin -------------------------------------------------------------- */

struct move {
	long number; /* of the vectored call */
	int fd, flags;
	off64_t offset; /* -1: where the descriptor is */
	bool fills;
};

static ssize_t move_whole(const struct move *m, const struct list *list)
{
	struct whole w = { .list = *list };
	ssize_t r;

	if (whole_begin(&w) < 0)
		return -1;
	pthread_cleanup_push(whole_end, &w);
	/* The kernel's form of an offset: its lower and upper half. */
	r = present_call(m->number, m->fd, (long)whole_iov(&w), w.count,
			 m->offset, 0, m->flags);
	whole_filled(&w, r);
	pthread_cleanup_pop(1);
	return r;
}

static ssize_t move_one(const struct move *m, struct iovec v, ssize_t done)
{
	if (m->offset >= 0)
		return m->fills ? pread64(m->fd, v.iov_base, v.iov_len,
					  m->offset + done)
				: pwrite64(m->fd, v.iov_base, v.iov_len,
					   m->offset + done);
	return m->fills ? read(m->fd, v.iov_base, v.iov_len)
			: write(m->fd, v.iov_base, v.iov_len);
}

static ssize_t move_each(const struct move *m, const struct list *list)
{
	ssize_t done = 0;

	for (int i = 0; i < list->count; i++) {
		const struct iovec *v = &list->iov[i];
		ssize_t r;

		if (v->iov_len == 0)
			continue;
		/* Having got something, do not wait for more. */
		if (done > 0 && m->fills && !present_is_regular(m->fd))
			break;
		r = move_one(m, *v, done);
		if (r < 0)
			return done > 0 ? done : r;
		done += r;
		if ((size_t)r < v->iov_len)
			break;
	}
	return done;
}

static ssize_t move(const struct move *m, const struct iovec *iov, int count)
{
	struct alone alone;
	struct list list;
	ssize_t r;

	if (list_open(iov, count, m->fills, &list) < 0)
		return -1;
	if (!m->fills && (list.size > BOUNCE_MAX || alone_needed()) &&
	    alone_begin(m->fd, &alone)) {
		pthread_cleanup_push(alone_end, &alone);
		r = list.size <= WHOLE_MAX || m->flags != 0
			    ? move_whole(m, &list)
			    : move_each(m, &list);
		pthread_cleanup_pop(1);
		return r;
	}
	if (list.size <= BOUNCE_MAX || m->flags != 0 ||
	    present_is_message_socket(m->fd))
		return move_whole(m, &list);
	return move_each(m, &list);
}

SHIM_EXPORT ssize_t readv(int fd, const struct iovec *iov, int count)
{
	const struct move m = { SYS_readv, fd, 0, -1, true };

	if (!list_needed(iov, count))
		return shim_real()->readv(fd, iov, count);
	return move(&m, iov, count);
}

SHIM_EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
	const struct move m = { SYS_writev, fd, 0, -1, false };

	if (!list_needed(iov, count))
		return shim_real()->writev(fd, iov, count);
	return move(&m, iov, count);
}

SHIM_EXPORT ssize_t preadv64(int fd, const struct iovec *iov, int count,
			     off64_t offset)
{
	const struct move m = { SYS_preadv, fd, 0, offset, true };

	if (!list_needed(iov, count))
		return shim_real()->preadv64(fd, iov, count, offset);
	return move(&m, iov, count);
}

SHIM_EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int count,
			      off64_t offset)
{
	const struct move m = { SYS_pwritev, fd, 0, offset, false };

	if (!list_needed(iov, count))
		return shim_real()->pwritev64(fd, iov, count, offset);
	return move(&m, iov, count);
}

SHIM_EXPORT ssize_t preadv64v2(int fd, const struct iovec *iov, int count,
			       off64_t offset, int flags)
{
	const struct move m = { SYS_preadv2, fd, flags, offset, true };

	if (!list_needed(iov, count))
		return shim_real()->preadv64v2(fd, iov, count, offset, flags);
	return move(&m, iov, count);
}

SHIM_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iov, int count,
				off64_t offset, int flags)
{
	const struct move m = { SYS_pwritev2, fd, flags, offset, false };

	if (!list_needed(iov, count))
		return shim_real()->pwritev64v2(fd, iov, count, offset, flags);
	return move(&m, iov, count);
}

/* Its pages would be lent to the pipe for nobody knows how long: they are
 * written into it, or read from it, as writev() and readv() do. */
SHIM_EXPORT ssize_t vmsplice(int fd, const struct iovec *iov, size_t count,
			     unsigned flags)
{
	struct move m = { SYS_pwritev2, fd, 0, -1, false };
	ssize_t r;

	if (!list_needed(iov, (long)count))
		return shim_real()->vmsplice(fd, iov, count, flags);
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
		m.number = SYS_preadv2;
		m.fills = true;
	}
	if ((flags & SPLICE_F_NONBLOCK) != 0) {
		m.flags = RWF_NOWAIT;
		r = move(&m, iov, (int)count);
		if (r >= 0 || errno != EOPNOTSUPP)
			return r;
		m.flags = 0; /* kernels without that, of pipes */
	}
	return move(&m, iov, (int)count);
}

SHIM_EXPORT ssize_t preadv(int fd, const struct iovec *iov, int count,
			   off_t offset)
	__attribute__((alias("preadv64")));
SHIM_EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count,
			    off_t offset)
	__attribute__((alias("pwritev64")));
SHIM_EXPORT ssize_t preadv2(int fd, const struct iovec *iov, int count,
			    off_t offset, int flags)
	__attribute__((alias("preadv64v2")));
SHIM_EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int count,
			     off_t offset, int flags)
	__attribute__((alias("pwritev64v2")));
