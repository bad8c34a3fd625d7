/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One stream: CONNECTING -> SHAKING -> OPEN -> FAILED -> DOWN, the first left
 * out where the other side connected. See stream.c. Floor: skin.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/clock.h"
#include "transports/stream_parts.h"

static void watch(struct xm_channel *c, struct xm_stream_peer *p,
		  int operation, unsigned wants)
{
	struct epoll_event event = {
		.events = EPOLLIN |
			  (wants & XM_WANTS_WRITE ? (uint32_t)EPOLLOUT : 0),
		.data.u32 = (uint32_t)(p - c->peers),
	};

	p->watched = wants;
	/* Fails for want of kernel memory only; then the stream hangs and its
	 * deadline ends it. */
	(void)epoll_ctl(c->epoll, operation, p->io.fd, &event);
}

static void watch_for_wants(struct xm_channel *c, struct xm_stream_peer *p)
{
	unsigned wants = p->io_ops->wants(&p->io);

	if ((wants ^ p->watched) & XM_WANTS_WRITE)
		watch(c, p, EPOLL_CTL_MOD, wants);
}

static void close_socket(struct xm_channel *c, struct xm_stream_peer *p)
{
	if (p->io_begun)
		p->io_ops->end(&p->io);
	p->io_begun = false;
	if (p->io.fd >= 0)
		close(p->io.fd); /* leaves the epoll set with it */
	p->io.fd = -1;
}

void xm_stream_peer_fail(struct xm_channel *c, struct xm_stream_peer *p,
			 int status)
{
	if (p->state == XM_STREAM_FAILED || p->state == XM_STREAM_DOWN)
		return;
	p->state = XM_STREAM_FAILED;
	p->status = status;
	close_socket(c, p);
}

int xm_stream_peer_new(struct xm_channel *c, struct xm_stream_peer **ret)
{
	struct xm_stream_peer *p = c->peers;
	uint8_t *buffer;

	if (c->peers_count == c->peers_max)
		return -ENOSPC;
	while (p->state != XM_STREAM_FREE)
		p++;
	buffer = malloc(XM_FRAME_IN + XM_FRAME_OUT);
	if (buffer == NULL)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	p->io.fd = -1;
	p->deadline_ns = c->handshake_ns == 0
		? XM_NEVER
		: xm_time_after(xm_clock_ns(), c->handshake_ns);
	xm_frames_init(&p->frames, buffer);
	c->peers_count++;
	if (p - c->peers >= c->peers_high)
		c->peers_high = (uint32_t)(p - c->peers) + 1;
	*ret = p;
	return 0;
}

void xm_stream_peer_free(struct xm_channel *c, struct xm_stream_peer *p)
{
	close_socket(c, p);
	free(p->frames.buffer);
	memset(p, 0, sizeof(*p));
	p->io.fd = -1;
	c->peers_count--;
}

/* --- beginning ------------------------------------------------------------ */

static void socket_prepare(int fd, int family)
{
	int yes = 1, idle_s = 30, interval_s = 10, count = 3;

	if (family == AF_UNIX)
		return;
	/* For sooner answers; correctness does not need them, as leases have a
	 * heartbeat of their own. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s,
			 sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s,
			 sizeof(interval_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

void xm_stream_peer_check(struct xm_channel *c, struct xm_stream_peer *p)
{
	if (p->state != XM_STREAM_OPEN || p->io.tls == NULL ||
	    !xm_tls_refuses(c->tls, &p->io))
		return;
	snprintf(p->io.words, sizeof(p->io.words),
		 "its credentials are no longer accepted");
	xm_stream_peer_fail(c, p, -EKEYREVOKED);
}

static void go_on_shaking(struct xm_channel *c, struct xm_stream_peer *p)
{
	int rc;

	/* They cost most of what a stranger can cost us. */
	if (p->accepted && c->shakes++ >= XM_STREAM_SHAKES)
		return;
	rc = p->io_ops->shake(&p->io);
	if (rc == -EAGAIN) {
		watch_for_wants(c, p);
		return;
	}
	if (rc != 0) {
		xm_stream_peer_fail(c, p, rc);
		return;
	}
	p->state = XM_STREAM_OPEN;
	/* It was looked at by what was accepted when it began. */
	if (p->renewals != c->renewals)
		xm_stream_peer_check(c, p);
	if (p->state != XM_STREAM_OPEN)
		return;
	p->opened = true;
	xm_stream_peer_flush(c, p);
}

static void begin(struct xm_channel *c, struct xm_stream_peer *p, int family)
{
	int rc;

	p->io.tls = family == AF_UNIX ? NULL : c->tls;
	p->io_ops = p->io.tls == NULL ? &xm_stream_io_plain : &xm_stream_io_tls;
	p->io.words[0] = '\0';
	rc = p->io_ops->begin(&p->io);
	if (rc != 0) {
		xm_stream_peer_fail(c, p, rc);
		return;
	}
	p->io_begun = true;
	p->renewals = c->renewals;
	p->state = XM_STREAM_SHAKING;
	/* A stranger begins, and waits for its turn. */
	if (!p->accepted || p->io.tls == NULL)
		go_on_shaking(c, p);
}

static struct xm_stream_source source_of(const struct sockaddr *from)
{
	struct xm_stream_source source = { .bytes = { 0 } };
	const uint8_t *at = (const uint8_t *)from;

	if (from->sa_family == AF_INET)
		memcpy(source.bytes, at + offsetof(struct sockaddr_in, sin_addr), 4);
	else if (from->sa_family == AF_INET6)
		memcpy(source.bytes, at + offsetof(struct sockaddr_in6, sin6_addr),
		       8);
	return source;
}

void xm_stream_peer_accepted(struct xm_channel *c, struct xm_stream_peer *p,
			     int fd, const struct sockaddr *from)
{
	socket_prepare(fd, from->sa_family);
	xm_address_print(from, p->from, sizeof(p->from));
	p->source = source_of(from);
	p->io.fd = fd;
	p->io.accepted = p->accepted = true;
	watch(c, p, EPOLL_CTL_ADD, XM_WANTS_READ);
	begin(c, p, from->sa_family);
}

void xm_stream_peer_try(struct xm_channel *c, struct xm_stream_peer *p,
			int status)
{
	while (p->address < p->target->count) {
		const struct xm_address *a =
			&p->target->addresses[p->address++];

		close_socket(c, p);
		p->io.words[0] = '\0';
		if (c->tls == NULL && !c->insecure_plaintext &&
		    !xm_address_is_local(a, false)) {
			status = -ENOKEY;
			snprintf(p->io.words, sizeof(p->io.words),
				 "is on another machine, and there are no"
				 " credentials: give auth=FILE (see"
				 " extmem-auth(1)), or insecure_plaintext=yes"
				 " where the network is yours alone");
			continue;
		}
		p->io.fd = socket(a->u.any.sa_family,
				  SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				  0);
		if (p->io.fd < 0) {
			status = -errno;
			continue;
		}
		socket_prepare(p->io.fd, a->u.any.sa_family);
		if (connect(p->io.fd, &a->u.any, a->size) == 0 ||
		    errno == EINPROGRESS) {
			p->state = XM_STREAM_CONNECTING;
			watch(c, p, EPOLL_CTL_ADD,
			      XM_WANTS_READ | XM_WANTS_WRITE);
			return;
		}
		/* A unix socket says EAGAIN when its backlog is full. */
		status = errno == EAGAIN ? -ETIMEDOUT : -errno;
	}
	xm_stream_peer_fail(c, p, status);
}

static void connected(struct xm_channel *c, struct xm_stream_peer *p)
{
	socklen_t size = sizeof(int);
	int error = 0;

	if (getsockopt(p->io.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error != 0)
		xm_stream_peer_try(c, p, -error);
	else
		begin(c, p, p->target->addresses[p->address - 1]
				    .u.any.sa_family);
}

/* --- bytes ---------------------------------------------------------------- */

void xm_stream_peer_flush(struct xm_channel *c, struct xm_stream_peer *p)
{
	const uint8_t *bytes;
	size_t size;

	while ((size = xm_frames_pending(&p->frames, &bytes)) > 0) {
		ssize_t n = p->io_ops->send(&p->io, bytes, size);

		if (n == -EAGAIN)
			break;
		if (n < 0) {
			/* What the peer said before is still worth reading;
			 * the read that follows reports the end. */
			xm_frames_drop(&p->frames);
			return;
		}
		xm_frames_went(&p->frames, (size_t)n);
	}
	watch_for_wants(c, p);
}

/* What an appliance that has TLS says to who has not. */
static bool is_alert(const struct xm_stream_peer *p, const uint8_t *first)
{
	return !p->accepted && p->io.tls == NULL && !p->frames.greeted &&
	       p->frames.in_used == 0 && first[0] == 21;
}

static void receive(struct xm_channel *c, struct xm_stream_peer *p)
{
	uint8_t *at;
	size_t room = xm_frames_room(&p->frames, &at);
	ssize_t n;

	if (room == 0)
		return; /* poll() hands messages out first */
	n = p->io_ops->recv(&p->io, at, room);
	if (n == -EAGAIN) {
		watch_for_wants(c, p);
		return;
	}
	if (n > 0 && is_alert(p, at)) {
		xm_stream_peer_fail(c, p, -ENOKEY);
		return;
	}
	if (n <= 0) {
		int status = n == 0 ? -ECONNRESET : (int)n;

		/* An end within the magic or a message is nonsense, too. */
		if (xm_frames_is_torn(&p->frames) && p->io.words[0] == '\0')
			status = -EPROTO;
		xm_stream_peer_fail(c, p, status);
		return;
	}
	if (xm_frames_came(&p->frames, (size_t)n) != 0)
		xm_stream_peer_fail(c, p, -EPROTO);
}

void xm_stream_peer_ready(struct xm_channel *c, struct xm_stream_peer *p,
			  bool readable)
{
	/* What recv() had to send first may be why the socket is watched. */
	readable = readable || (p->watched & XM_WANTS_WRITE) != 0;
	if (p->state == XM_STREAM_CONNECTING)
		connected(c, p);
	else if (p->state == XM_STREAM_SHAKING)
		go_on_shaking(c, p);
	else if (p->state == XM_STREAM_OPEN &&
		 (p->watched & XM_WANTS_WRITE) != 0)
		xm_stream_peer_flush(c, p);
	if (p->state == XM_STREAM_OPEN && readable)
		receive(c, p);
}

void xm_stream_peer_farewell(struct xm_channel *c, struct xm_stream_peer *p)
{
	uint8_t unread[1024];

	if (p->state != XM_STREAM_OPEN)
		return;
	xm_stream_peer_flush(c, p);
	p->io_ops->finish(&p->io);
	for (int i = 0; i < 64; i++)
		if (p->io_ops->recv(&p->io, unread, sizeof(unread)) <= 0)
			break;
}

/* Its place is free again: whoever is told knows no number of it. */
static void turned_away(struct xm_channel *c, struct xm_stream_peer *p,
			struct xm_channel_event *ret)
{
	ret->kind = XM_CHANNEL_STRANGER;
	ret->status = p->status;
	snprintf(c->words, sizeof(c->words), "%s: %s", p->from,
		 p->io.words[0] != '\0' ? p->io.words
		 : p->status == -ETIMEDOUT ? "no handshake in time"
					   : strerror(-p->status));
	ret->words = c->words;
	xm_stream_peer_free(c, p);
}

/* The next message, from what has been received or is held by the encryption. */
static int take(struct xm_channel *c, struct xm_stream_peer *p,
		struct xm_channel_event *ret)
{
	int rc = xm_frames_take(&p->frames, &ret->bytes, &ret->size);

	while (rc == 0 && p->state == XM_STREAM_OPEN &&
	       p->io_ops->holds(&p->io)) {
		receive(c, p);
		rc = xm_frames_take(&p->frames, &ret->bytes, &ret->size);
	}
	return rc;
}

bool xm_stream_peer_event(struct xm_channel *c, struct xm_stream_peer *p,
			  struct xm_channel_event *ret)
{
	bool may_speak = p->state == XM_STREAM_OPEN ||
			 p->state == XM_STREAM_FAILED;
	int rc;

	if (p->state == XM_STREAM_FAILED && p->accepted && !p->opened) {
		turned_away(c, p, ret);
		return true;
	}
	if (may_speak && !p->up && (p->accepted || p->frames.greeted)) {
		p->up = true;
		if (!p->accepted && p->state == XM_STREAM_OPEN)
			p->deadline_ns = XM_NEVER;
		ret->kind = XM_CHANNEL_UP;
		ret->accepted = p->accepted;
		ret->identity = p->io.identity;
		return true;
	}
	if (may_speak) {
		rc = take(c, p, ret);
		if (rc == 1) {
			ret->kind = XM_CHANNEL_MESSAGE;
			p->deadline_ns = XM_NEVER;
			return true;
		}
		if (rc < 0) {
			xm_stream_peer_fail(c, p, rc);
			p->status = rc;
		}
	}
	if (p->state != XM_STREAM_FAILED)
		return false;
	p->state = XM_STREAM_DOWN;
	ret->kind = XM_CHANNEL_DOWN;
	ret->status = p->status;
	ret->words = p->io.words[0] == '\0' ? NULL : p->io.words;
	ret->accepted = p->accepted;
	return true;
}
