/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls that take lists of buffers: readv, recvmsg and their kin.
 *
 * A list of some size is carried whole in one local buffer. A larger one that
 * has to go as one (a datagram, a message) is pinned whole, or carried if it
 * cannot be; one that need not is moved buffer by buffer, until a call comes
 * back short. Of a message the name and the control data, and the struct
 * itself, may be external too: the kernel is given copies.
 */
#include "preload/shim.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/syscall.h>
#include <time.h>

#define VECTOR_MAX 1024 /* the kernel's own limit */
#define WHOLE_MAX ((size_t)1 << 20) /* what a file is given in one call */

/* --- lists --------------------------------------------------------------------- */

struct list {
	const struct iovec *iov;
	int count;
	size_t size; /* of all */
	bool fills;  /* the kernel writes there */
};

static bool list_needed(const struct iovec *iov, long count)
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

static int list_open(const struct iovec *iov, long count, bool fills,
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

/* What the kernel is given: one local buffer, or the program's, pinned. */
struct whole {
	struct list list;
	struct carrier carrier;
	char *local;	   /* the carrier's, or taken for this call */
	bool taken;
	bool lent; /* the kernel keeps it after the call: see present.c */
	struct iovec iov[2];
	struct iovec *pinned_iov; /* local copy, all of it pinned */
	int count;
};

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

static int whole_begin(struct whole *w)
{
	const struct list *list = &w->list;

	w->taken = false;
	w->pinned_iov = NULL;
	w->local = list->size <= CARRY_MAX && !w->lent
			   ? thread_carrier_take(&w->carrier)
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

static struct iovec *whole_iov(struct whole *w)
{
	return w->pinned_iov ? w->pinned_iov : w->iov;
}

static void whole_end(void *p)
{
	struct whole *w = p;

	if (w->pinned_iov)
		whole_unpin(w, w->count);
	else if (w->taken)
		local_give(w->local, w->list.size);
	else
		thread_carrier_give(&w->carrier);
}

static void whole_filled(struct whole *w, ssize_t size)
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
	if (!m->fills && (list.size > CARRY_MAX || present_alone_needed()) &&
	    present_alone_begin(m->fd, &alone)) {
		pthread_cleanup_push(present_alone_end, &alone);
		r = list.size <= WHOLE_MAX || m->flags != 0
			    ? move_whole(m, &list)
			    : move_each(m, &list);
		pthread_cleanup_pop(1);
		return r;
	}
	if (list.size <= CARRY_MAX || m->flags != 0 ||
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

/* --- messages ------------------------------------------------------------------------ */

static bool message_needed(const struct msghdr *m)
{
	return present_needed(m, sizeof(*m)) ||
	       present_needed(m->msg_name, 1) ||
	       (m->msg_controllen > 0 && present_needed(m->msg_control, 1)) ||
	       list_needed(m->msg_iov, (long)m->msg_iovlen);
}

struct message {
	struct whole whole;
	struct msghdr local;
	struct sockaddr_storage name;
	char *control;
	size_t control_size;
};

static void message_end(void *p)
{
	struct message *m = p;

	if (m->control)
		local_give(m->control, m->control_size);
	whole_end(&m->whole);
}

/* Message and vectors: as the program's, with whatever is external local. */
static int message_begin(struct message *m, const struct msghdr *h, bool fills)
{
	m->local = *h;
	m->control = NULL;
	if (list_open(h->msg_iov, (long)h->msg_iovlen, fills, &m->whole.list) <
		    0 ||
	    whole_begin(&m->whole) < 0)
		return -1;
	m->local.msg_iov = whole_iov(&m->whole);
	m->local.msg_iovlen = m->whole.count;
	if (h->msg_name && present_needed(h->msg_name, 1)) {
		if (h->msg_namelen > sizeof(m->name))
			m->local.msg_namelen = sizeof(m->name);
		memcpy(&m->name, h->msg_name, m->local.msg_namelen);
		m->local.msg_name = &m->name;
	}
	if (h->msg_controllen > 0 && present_needed(h->msg_control, 1)) {
		m->control_size = h->msg_controllen;
		m->control = local_take(m->control_size);
		if (!m->control) {
			whole_end(&m->whole);
			return -1;
		}
		memcpy(m->control, h->msg_control, m->control_size);
		m->local.msg_control = m->control;
	}
	return 0;
}

static void message_received(struct message *m, struct msghdr *h, ssize_t size)
{
	if (size < 0)
		return;
	whole_filled(&m->whole, size);
	if (m->local.msg_name == &m->name)
		memcpy(h->msg_name, &m->name,
		       m->local.msg_namelen < h->msg_namelen
			       ? m->local.msg_namelen
			       : h->msg_namelen);
	if (m->control)
		memcpy(h->msg_control, m->control, m->local.msg_controllen);
	h->msg_namelen = m->local.msg_namelen;
	h->msg_controllen = m->local.msg_controllen;
	h->msg_flags = m->local.msg_flags;
}

SHIM_EXPORT ssize_t recvmsg(int fd, struct msghdr *h, int flags)
{
	struct message m;
	ssize_t r;

	if (!message_needed(h))
		return shim_real()->recvmsg(fd, h, flags);
	m.whole.lent = false;
	if (message_begin(&m, h, true) < 0)
		return -1;
	pthread_cleanup_push(message_end, &m);
	r = present_call(SYS_recvmsg, fd, (long)&m.local, flags, 0, 0, 0);
	message_received(&m, h, r);
	pthread_cleanup_pop(1);
	return r;
}

SHIM_EXPORT ssize_t sendmsg(int fd, const struct msghdr *h, int flags)
{
	struct message m;
	ssize_t r;

	if (!message_needed(h))
		return shim_real()->sendmsg(fd, h, flags);
	m.whole.lent = (flags & MSG_ZEROCOPY) != 0;
	if (message_begin(&m, h, false) < 0)
		return -1;
	pthread_cleanup_push(message_end, &m);
	r = present_call(SYS_sendmsg, fd, (long)&m.local, flags, 0, 0, 0);
	pthread_cleanup_pop(1);
	return r;
}

static bool messages_needed(const struct mmsghdr *list, unsigned count)
{
	if (!present_possible())
		return false;
	if (present_needed(list, count * sizeof(*list)))
		return true;
	for (unsigned i = 0; i < count; i++)
		if (message_needed(&list[i].msg_hdr))
			return true;
	return false;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* One after the other, as the kernel does it; the time is looked at after each,
 * as there. */
SHIM_EXPORT int recvmmsg(int fd, struct mmsghdr *list, unsigned count,
			 int flags, struct timespec *timeout)
{
	uint64_t until_ns = 0;
	unsigned i;

	if (!messages_needed(list, count) && !present_needed(timeout, 1))
		return shim_real()->recvmmsg(fd, list, count, flags, timeout);
	if (timeout)
		until_ns = now_ns() + (uint64_t)timeout->tv_sec * 1000000000 +
			   (uint64_t)timeout->tv_nsec;
	for (i = 0; i < count; i++) {
		int now = flags & ~MSG_WAITFORONE;
		ssize_t r;

		if (i > 0 && (flags & MSG_WAITFORONE) != 0)
			now |= MSG_DONTWAIT;
		r = recvmsg(fd, &list[i].msg_hdr, now);
		if (r < 0)
			return i > 0 ? (int)i : -1;
		list[i].msg_len = (unsigned)r;
		if (timeout && now_ns() >= until_ns)
			return (int)i + 1;
	}
	return (int)i;
}

SHIM_EXPORT int sendmmsg(int fd, struct mmsghdr *list, unsigned count,
			 int flags)
{
	unsigned i;

	if (!messages_needed(list, count))
		return shim_real()->sendmmsg(fd, list, count, flags);
	for (i = 0; i < count; i++) {
		ssize_t r = sendmsg(fd, &list[i].msg_hdr, flags);

		if (r < 0)
			return i > 0 ? (int)i : -1;
		list[i].msg_len = (unsigned)r;
	}
	return (int)i;
}

/* --- other processes' memory ---------------------------------------------------------- */

/* This process's own, by the kernel's two lists: a piece at a time by way of a
 * local one. What is external we touch ourselves, the rest is the kernel's. */
struct place {
	const struct iovec *iov;
	unsigned long count;
	size_t at; /* in the first */
};

static struct iovec place_next(struct place *p)
{
	while (p->count > 0 && p->at == p->iov->iov_len) {
		p->iov++;
		p->count--;
		p->at = 0;
	}
	if (p->count == 0)
		return (struct iovec){ NULL, 0 };
	return (struct iovec){ (char *)p->iov->iov_base + p->at,
			       p->iov->iov_len - p->at };
}

static long copy_in_part(bool writes, void *local, struct iovec there)
{
	struct iovec here = { local, there.iov_len };

	if (!block_contains(there.iov_base, there.iov_len))
		return shim_raw(writes ? SYS_process_vm_writev
				       : SYS_process_vm_readv,
				getpid(), (long)&here, 1, (long)&there, 1, 0);
	if (writes)
		memcpy(there.iov_base, local, there.iov_len);
	else
		memcpy(local, there.iov_base, there.iov_len);
	return (long)there.iov_len;
}

static ssize_t copy_own(struct place from, struct place to)
{
	char part[4096];
	ssize_t done = 0;

	for (;;) {
		struct iovec f = place_next(&from), t = place_next(&to);
		long r;

		if (f.iov_len > sizeof(part))
			f.iov_len = sizeof(part);
		if (t.iov_len > f.iov_len)
			t.iov_len = f.iov_len;
		if (t.iov_len == 0)
			return done;
		f.iov_len = t.iov_len;
		r = copy_in_part(false, part, f);
		if (r > 0) {
			t.iov_len = (size_t)r;
			r = copy_in_part(true, part, t);
		}
		if (r <= 0) {
			errno = r < 0 ? (int)-r : EFAULT;
			return done > 0 ? done : -1;
		}
		done += r;
		from.at += (size_t)r;
		to.at += (size_t)r;
	}
}

static ssize_t other_move(bool writes, pid_t pid, const struct iovec *iov,
			  unsigned long count, const struct iovec *there,
			  unsigned long there_count, unsigned long flags)
{
	struct place here = { iov, count, 0 }, remote = { there, there_count, 0 };
	struct iovec *names = NULL;
	const size_t size = there_count * sizeof(*names);
	struct whole w = { .lent = false };
	ssize_t r;

	if (pid == getpid() && flags == 0)
		return writes ? copy_own(here, remote) : copy_own(remote, here);
	if (list_open(iov, (long)count, !writes, &w.list) < 0 ||
	    !(names = local_take(size)))
		return -1;
	memcpy(names, there, size);
	if (whole_begin(&w) < 0) {
		local_give(names, size);
		return -1;
	}
	r = present_call(writes ? SYS_process_vm_writev : SYS_process_vm_readv,
			 pid, (long)whole_iov(&w), w.count, (long)names,
			 (long)there_count, (long)flags);
	whole_filled(&w, r);
	whole_end(&w);
	local_give(names, size);
	return r;
}

/* Lists that are longer than the kernel takes are its to refuse. */
static bool other_needed(const struct iovec *iov, unsigned long count,
			 const struct iovec *there, unsigned long there_count)
{
	return count <= VECTOR_MAX && there_count <= VECTOR_MAX &&
	       (list_needed(iov, (long)count) ||
		list_needed(there, (long)there_count));
}

SHIM_EXPORT ssize_t process_vm_readv(pid_t pid, const struct iovec *iov,
				     unsigned long count,
				     const struct iovec *there,
				     unsigned long there_count,
				     unsigned long flags)
{
	if (!other_needed(iov, count, there, there_count))
		return shim_real()->process_vm_readv(pid, iov, count, there,
						     there_count, flags);
	return other_move(false, pid, iov, count, there, there_count, flags);
}

SHIM_EXPORT ssize_t process_vm_writev(pid_t pid, const struct iovec *iov,
				      unsigned long count,
				      const struct iovec *there,
				      unsigned long there_count,
				      unsigned long flags)
{
	if (!other_needed(iov, count, there, there_count))
		return shim_real()->process_vm_writev(pid, iov, count, there,
						      there_count, flags);
	return other_move(true, pid, iov, count, there, there_count, flags);
}
