/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening for streams; see stream.c. Floor: skin. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/clock.h"
#include "transports/stream_parts.h"

#define BACKLOG 64
#define ACCEPT_PAUSE_NS (100 * XM_MS) /* when out of descriptors */

static void watch(struct xm_channel *c, bool accepting)
{
	struct epoll_event event = {
		.events = accepting ? EPOLLIN : 0,
		.data.u32 = XM_STREAM_LISTENER,
	};

	(void)epoll_ctl(c->epoll, EPOLL_CTL_MOD, c->listener, &event);
	c->accepting = accepting;
}

uint64_t xm_stream_accept_again(struct xm_channel *c, uint64_t now_ns)
{
	if (c->listener < 0 || c->accepting)
		return XM_NEVER;
	if (now_ns < c->accept_ns)
		return c->accept_ns;
	watch(c, true);
	return XM_NEVER;
}

/* How many of these come from where the one does. */
static uint32_t of_source(struct xm_stream_peer *const *shaking, uint32_t count,
			  const struct xm_stream_peer *one)
{
	uint32_t of = 0;

	for (uint32_t i = 0; i < count; i++)
		of += memcmp(&shaking[i]->source, &one->source,
			     sizeof(one->source)) == 0;
	return of;
}

/* Of the machine that has most of them, the one that has lasted for the longest time: so
 * one machine does not keep others out. */
static struct xm_stream_peer *worst(struct xm_stream_peer *const *shaking,
				    uint32_t count)
{
	struct xm_stream_peer *found = NULL;
	uint32_t most = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct xm_stream_peer *p = shaking[i];
		uint32_t of = of_source(shaking, count, p);

		if (of > most || (of == most && p->deadline_ns < found->deadline_ns)) {
			found = p;
			most = of;
		}
	}
	return found;
}

/* A place for one more, for which another handshake may have to make room. */
static int place(struct xm_channel *c, struct xm_stream_peer **ret)
{
	struct xm_stream_peer *shaking[XM_CHANNEL_HANDSHAKES_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; c->tls != NULL && i < c->peers_high &&
			     count < XM_CHANNEL_HANDSHAKES_MAX; i++) {
		struct xm_stream_peer *p = &c->peers[i];

		if (p->state == XM_STREAM_SHAKING && p->accepted)
			shaking[count++] = p;
	}
	if (count > 0 && (count == XM_CHANNEL_HANDSHAKES_MAX ||
			  c->peers_count == c->peers_max)) {
		xm_stream_peer_free(c, worst(shaking, count));
		c->evicted++;
	}
	return xm_stream_peer_new(c, ret);
}

void xm_stream_accept(struct xm_channel *c)
{
	for (int i = 0; i < BACKLOG; i++) {
		struct sockaddr_storage from;
		socklen_t size = sizeof(from);
		struct xm_stream_peer *p;
		int fd = accept4(c->listener, (struct sockaddr *)&from, &size,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE ||
			       errno == ENOBUFS || errno == ENOMEM)) {
			/* It stays in the backlog; do not spin on it. */
			watch(c, false);
			c->accept_ns = xm_clock_ns() + ACCEPT_PAUSE_NS;
			return;
		}
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return;
		if (place(c, &p) != 0)
			close(fd);
		else
			xm_stream_peer_accepted(c, p, fd,
						(struct sockaddr *)&from);
	}
}

static void name_the_port(struct xm_channel *c, const char *address)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} own;
	socklen_t size = sizeof(own);
	const char *colon = strrchr(address, ':');
	unsigned int port = 0;

	memset(&own, 0, sizeof(own));
	snprintf(c->address, sizeof(c->address), "%s", address);
	if (getsockname(c->listener, &own.any, &size) != 0)
		return;
	if (own.any.sa_family == AF_INET)
		port = ntohs(own.in.sin_port);
	else if (own.any.sa_family == AF_INET6)
		port = ntohs(own.in6.sin6_port);
	else
		return;
	snprintf(c->address, sizeof(c->address), "%.*s:%u",
		 (int)(colon - address), address, port);
}

int xm_stream_listen(struct xm_channel *c, const char *address, char *words,
		     size_t words_size)
{
	struct epoll_event event = { .events = EPOLLIN,
				     .data.u32 = XM_STREAM_LISTENER };
	struct xm_address addresses[XM_ADDRESSES_MAX];
	uint32_t count = 0;
	int yes = 1;
	int rc;

	rc = xm_address_resolve(address, true, addresses, &count);
	if (rc == -EINVAL) {
		snprintf(words, words_size,
			 "%s is not an address to listen at: write"
			 " SCHEME://HOST:PORT, such as ofi+tcp://0.0.0.0:7470,"
			 " or ofi+shm://NAME", address);
		return rc;
	}
	if (rc != 0) {
		snprintf(words, words_size,
			 "the host of %s is not known%s%s: give a name or an"
			 " address of this machine", address,
			 rc == -EADDRNOTAVAIL ? "" : ": ",
			 rc == -EADDRNOTAVAIL ? "" : strerror(-rc));
		return rc;
	}
	if (c->tls == NULL && !c->insecure_plaintext &&
	    !xm_address_is_local(&addresses[0], true)) {
		snprintf(words, words_size, "%s is reached from other machines:"
			 " give --auth FILE (see extmem-auth(1)), so that only"
			 " those get in who are let in, or --insecure-plaintext"
			 " where the network is yours alone", address);
		return -EINVAL;
	}
	c->listener = socket(addresses[0].u.any.sa_family,
			     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->listener < 0)
		goto fail;
	(void)setsockopt(c->listener, SOL_SOCKET, SO_REUSEADDR, &yes,
			 sizeof(yes));
	if (bind(c->listener, &addresses[0].u.any, addresses[0].size) != 0 ||
	    listen(c->listener, BACKLOG) != 0 ||
	    epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->listener, &event) != 0)
		goto fail;
	c->accepting = true;
	name_the_port(c, address);
	return 0;
fail:
	rc = -errno;
	snprintf(words, words_size, "cannot listen at %s: %s%s", address,
		 strerror(-rc),
		 rc == -EADDRINUSE
			 ? ": is another extmemd running? choose another port,"
			   " or port 0"
		 : rc == -EADDRNOTAVAIL
			 ? ": give an address of this machine, or 0.0.0.0"
		 : rc == -EACCES ? ": ports below 1024 need privilege" : "");
	return rc;
}
