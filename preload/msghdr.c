/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sendmsg(2), recvmsg(2) and their relatives for several messages.
 *
 * Besides the data (vector.c) the name, the control data and struct msghdr
 * itself may be external: the kernel is given local copies of all of them.
 */
#include "preload/vector.h"

#include <sys/syscall.h>

static bool msghdr_needed(const struct msghdr *m)
{
	return present_needed(m, sizeof(*m)) ||
	       present_needed(m->msg_name, 1) ||
	       (m->msg_controllen > 0 && present_needed(m->msg_control, 1)) ||
	       list_needed(m->msg_iov, (long)m->msg_iovlen);
}

struct local_msghdr {
	struct whole whole;
	struct msghdr local;
	struct sockaddr_storage name;
	char *control;
	size_t control_size;
};

static void msghdr_end(void *p)
{
	struct local_msghdr *m = p;

	if (m->control)
		local_give(m->control, m->control_size);
	whole_end(&m->whole);
}

/* Message and vectors: as the program's, with whatever is external local. */
static int msghdr_begin(struct local_msghdr *m, const struct msghdr *h, bool fills)
{
	m->local = *h;
	m->control = NULL;
	if (rights_permit(h->msg_name, h->msg_name ? h->msg_namelen : 0, fills) <
		    (h->msg_name ? h->msg_namelen : 0) ||
	    rights_permit(h->msg_control, h->msg_controllen, fills) <
		    h->msg_controllen) {
		errno = EFAULT;
		return -1;
	}
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

static void msghdr_received(struct local_msghdr *m, struct msghdr *h, ssize_t size)
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
	struct local_msghdr m;
	ssize_t r;

	if (!msghdr_needed(h))
		return shim_real()->recvmsg(fd, h, flags);
	m.whole.lent = false;
	if (msghdr_begin(&m, h, true) < 0)
		return -1;
	pthread_cleanup_push(msghdr_end, &m);
	r = present_call(SYS_recvmsg, fd, (long)&m.local, flags, 0, 0, 0);
	msghdr_received(&m, h, r);
	pthread_cleanup_pop(1);
	return r;
}

SHIM_EXPORT ssize_t sendmsg(int fd, const struct msghdr *h, int flags)
{
	struct local_msghdr m;
	ssize_t r;

	if (!msghdr_needed(h))
		return shim_real()->sendmsg(fd, h, flags);
	m.whole.lent = (flags & MSG_ZEROCOPY) != 0;
	if (msghdr_begin(&m, h, false) < 0)
		return -1;
	pthread_cleanup_push(msghdr_end, &m);
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
		if (msghdr_needed(&list[i].msg_hdr))
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
