/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams without encryption; see stream_io.h. Floor: skin. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "transports/stream_io.h"

/* Our user namespace shows all users there are: the first one does. */
static bool shows_all(void)
{
	FILE *file = fopen("/proc/self/uid_map", "re");
	unsigned inside, outside, count;
	bool all = false;

	if (file != NULL) {
		all = fscanf(file, "%u %u %u", &inside, &outside, &count) == 3 &&
		      inside == 0 && count == UINT32_MAX;
		fclose(file);
	}
	return all;
}

/* The kernel says this user for all whom a user namespace does not show, so it is nobody
 * there. */
static bool is_unknown(uid_t uid)
{
	FILE *file = fopen("/proc/sys/kernel/overflowuid", "re");
	unsigned unknown = 65534;

	if (file != NULL) {
		if (fscanf(file, "%u", &unknown) != 1)
			unknown = 65534;
		fclose(file);
	}
	return uid == unknown && !shows_all();
}

static int plain_begin(struct xm_stream_io *io)
{
	struct ucred user;
	socklen_t size = sizeof(user);
	int family = 0;
	socklen_t family_size = sizeof(family);

	io->blocked = false;
	if (io->accepted &&
	    getsockopt(io->fd, SOL_SOCKET, SO_DOMAIN, &family, &family_size) == 0 &&
	    family == AF_UNIX &&
	    getsockopt(io->fd, SOL_SOCKET, SO_PEERCRED, &user, &size) == 0 &&
	    !is_unknown(user.uid))
		snprintf(io->identity, sizeof(io->identity), "uid:%u", user.uid);
	return 0;
}

static int plain_shake(struct xm_stream_io *io)
{
	(void)io;
	return 0;
}

/* send() and recv() say -1 and errno; one result is easier to carry on. */
static ssize_t result(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static ssize_t plain_recv(struct xm_stream_io *io, void *bytes, size_t size)
{
	ssize_t n;

	do
		n = result(recv(io->fd, bytes, size, 0));
	while (n == -EINTR);
	return n;
}

static ssize_t plain_send(struct xm_stream_io *io, const void *bytes,
			  size_t size)
{
	ssize_t n;

	do
		n = result(send(io->fd, bytes, size, MSG_NOSIGNAL));
	while (n == -EINTR);
	io->blocked = n == -EAGAIN;
	return n;
}

static bool plain_holds(const struct xm_stream_io *io)
{
	(void)io;
	return false;
}

static unsigned plain_wants(const struct xm_stream_io *io)
{
	return XM_WANTS_READ | (io->blocked ? XM_WANTS_WRITE : 0);
}

static void plain_finish(struct xm_stream_io *io)
{
	(void)shutdown(io->fd, SHUT_WR);
}

static void plain_end(struct xm_stream_io *io)
{
	(void)io;
}

const struct xm_stream_io_ops xm_stream_io_plain = {
	.begin = plain_begin,
	.shake = plain_shake,
	.recv = plain_recv,
	.send = plain_send,
	.holds = plain_holds,
	.wants = plain_wants,
	.finish = plain_finish,
	.end = plain_end,
};
