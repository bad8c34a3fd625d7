/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control messages over TCP and unix sockets; address.h has how they are
 * written, frame.h how messages lie in the stream, stream_io.h how the bytes
 * pass the socket.
 *
 * resolve() looks a name up until it is found; each connect() tries the
 * addresses that were found then, one after the other. An appliance that moves
 * to an address that its name did not have is found by clients opened after that.
 *
 * A stream over a unix socket is not encrypted, and neither is one that stays on this
 * machine, unless there are credentials: then every other stream is. Without them a
 * stream to or from another machine must be asked for by name (insecure_plaintext).
 *
 * Of the streams that were accepted at most XM_CHANNEL_HANDSHAKES_MAX are in their
 * handshake; one more, or one beyond peers_max, ends the one that has been at it for the
 * longest time, of the machine that has most of them. So idle strangers, however many, do
 * not keep out who is quick, nor one machine others.
 *
 * Every stream has one buffer (frame.h), made when the stream is and freed with it. There
 * are at most peers_max streams; what comes beyond and finds no handshake to end is closed
 * when it is accepted. A stream that was accepted is reported UP as soon as the handshake of
 * stream_io is done, so that the service counts it; one that we opened is UP when the other
 * side has shown the magic, so that whatever else listens there is never taken for an
 * appliance.
 *
 * One thread at a time. Floor: skin.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "transports/stream_parts.h"

#define EVENTS_MAX 64
#define PEERS_MAX (UINT32_C(1) << 16)

static void stream_close(struct xm_channel *c)
{
	struct xm_stream_target *target = atomic_load(&c->targets);
	uint32_t i;

	for (i = 0; i < c->peers_high; i++)
		if (c->peers[i].state != XM_STREAM_FREE)
			xm_stream_peer_free(c, &c->peers[i]);
	while (target != NULL) {
		struct xm_stream_target *next = target->next;

		free(target);
		target = next;
	}
	xm_tls_close(c->tls);
	if (c->listener >= 0)
		close(c->listener);
	if (c->epoll >= 0)
		close(c->epoll);
	free(c);
}

static int stream_authenticate(struct xm_channel *c,
			       const struct xm_channel_options *o, char *words,
			       size_t words_size)
{
	if (o->auth == NULL || o->auth[0] == '\0')
		return 0;
	if (o->insecure_plaintext) {
		snprintf(words, words_size, "auth and insecure_plaintext"
			 " contradict each other: leave one of them out");
		return -EINVAL;
	}
	return xm_tls_open(o->auth, o->target, words, words_size, &c->tls);
}

static int stream_open(const struct xm_channel_options *o, char *words,
		       size_t words_size, struct xm_channel **ret)
{
	struct xm_channel *c;
	int rc;

	if (o->peers_max == 0 || o->peers_max > PEERS_MAX) {
		snprintf(words, words_size, "a channel has 1 to %u streams",
			 (unsigned int)PEERS_MAX);
		return -EINVAL;
	}
	c = calloc(1, sizeof(*c) + o->peers_max * sizeof(c->peers[0]));
	if (c == NULL) {
		snprintf(words, words_size, "out of memory for a channel");
		return -ENOMEM;
	}
	c->insecure_plaintext = o->insecure_plaintext;
	c->listener = -1;
	c->peers_max = o->peers_max;
	c->handshake_ns = o->handshake_ns;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0) {
		rc = -errno;
		snprintf(words, words_size, "epoll_create1: %s", strerror(-rc));
		stream_close(c);
		return rc;
	}
	snprintf(c->address, sizeof(c->address), "%s",
		 o->address == NULL ? "" : o->address);
	rc = stream_authenticate(c, o, words, words_size);
	if (rc == 0 && o->target)
		rc = xm_stream_listen(c, o->address, words, words_size);
	if (rc != 0) {
		stream_close(c);
		return rc;
	}
	*ret = c;
	return 0;
}

static struct xm_stream_target *target_find(const struct xm_channel *c,
				  const char *address)
{
	struct xm_stream_target *target = atomic_load(&c->targets);

	while (target != NULL && strcmp(target->text, address) != 0)
		target = target->next;
	return target;
}

static struct xm_stream_target *target_add(struct xm_channel *c,
					   const char *address)
{
	struct xm_stream_target *target = calloc(1, sizeof(*target));

	if (target == NULL)
		return NULL;
	snprintf(target->text, sizeof(target->text), "%s", address);
	atomic_init(&target->status, -EADDRNOTAVAIL); /* not looked up yet */
	target->next = atomic_load(&c->targets);
	atomic_store(&c->targets, target);
	return target;
}

static int stream_resolve(struct xm_channel *c, const char *address)
{
	struct xm_stream_target *target = target_find(c, address);
	int rc;

	if (xm_address_rest(address) == NULL)
		return -EINVAL; /* or too long; connect() says so, too */
	if (target != NULL && atomic_load(&target->status) == 0)
		return 0;
	if (target == NULL)
		target = target_add(c, address);
	if (target == NULL)
		return -ENOMEM;
	rc = xm_address_resolve(address, false, target->addresses,
				&target->count);
	atomic_store(&target->status, rc);
	return rc;
}

static int stream_connect(struct xm_channel *c, const char *address,
			  uint32_t *ret)
{
	const struct xm_stream_target *target = target_find(c, address);
	struct xm_stream_peer *p;
	int rc;

	if (target == NULL)
		return xm_address_rest(address) == NULL ? -EINVAL : -ENOMEM;
	rc = atomic_load(&target->status);
	if (rc != 0)
		return rc;
	rc = xm_stream_peer_new(c, &p);
	if (rc != 0)
		return rc;
	p->target = target;
	xm_stream_peer_try(c, p, -EADDRNOTAVAIL); /* a failure comes as DOWN */
	*ret = (uint32_t)(p - c->peers);
	return 0;
}

static void stream_disconnect(struct xm_channel *c, uint32_t peer)
{
	struct xm_stream_peer *p;

	XM_ASSERT(peer < c->peers_max);
	p = &c->peers[peer];
	XM_ASSERT(p->state != XM_STREAM_FREE);
	xm_stream_peer_farewell(c, p);
	xm_stream_peer_free(c, p);
}

static int stream_send(struct xm_channel *c, uint32_t peer, const void *bytes,
		       size_t size)
{
	struct xm_stream_peer *p;
	int rc;

	XM_ASSERT(peer < c->peers_max);
	p = &c->peers[peer];
	if (p->state != XM_STREAM_OPEN)
		return size == 0 || size > XM_MESSAGE_SIZE_MAX ? -EINVAL
							       : -ENOTCONN;
	rc = xm_frames_put(&p->frames, bytes, size);
	if (rc == 0)
		xm_stream_peer_flush(c, p);
	return rc;
}

/* Fails streams whose time is over; returns when to look again. */
static uint64_t look_at_deadlines(struct xm_channel *c, uint64_t now_ns)
{
	uint64_t next_ns = xm_stream_accept_again(c, now_ns);

	for (uint32_t i = 0; i < c->peers_high; i++) {
		struct xm_stream_peer *p = &c->peers[i];

		if (p->state != XM_STREAM_CONNECTING &&
		    p->state != XM_STREAM_SHAKING &&
		    p->state != XM_STREAM_OPEN)
			continue;
		if (now_ns >= p->deadline_ns)
			xm_stream_peer_fail(c, p, -ETIMEDOUT);
		else
			next_ns = xm_min(next_ns, p->deadline_ns);
	}
	return next_ns;
}

static void pump(struct xm_channel *c)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(c->epoll, events, EVENTS_MAX, 0);

	c->shakes = 0;
	for (int i = 0; i < count; i++) {
		uint32_t peer = events[i].data.u32;

		if (peer == XM_STREAM_LISTENER)
			xm_stream_accept(c);
		else
			xm_stream_peer_ready(c, &c->peers[peer],
					     (events[i].events &
					      ~(uint32_t)EPOLLOUT) != 0);
	}
	look_at_deadlines(c, xm_clock_ns());
}

static bool report_evicted(struct xm_channel *c, struct xm_channel_event *ret)
{
	if (c->evicted == 0)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->kind = XM_CHANNEL_STRANGER;
	ret->status = -ETIMEDOUT;
	snprintf(c->words, sizeof(c->words), "%u that did not finish their"
		 " handshake, for others", c->evicted);
	ret->words = c->words;
	c->evicted = 0;
	return true;
}

static int stream_poll(struct xm_channel *c, struct xm_channel_event *ret)
{
	struct xm_channel_event event;
	uint32_t i, at;
	int pass;

	for (pass = 0; pass < 2; pass++) {
		/* In turn, so that a talkative stream keeps nobody waiting. */
		for (i = 0; i < c->peers_high; i++) {
			at = (c->cursor + i) % c->peers_high;
			memset(&event, 0, sizeof(event));
			if (c->peers[at].state == XM_STREAM_FREE ||
			    !xm_stream_peer_event(c, &c->peers[at], &event))
				continue;
			event.peer = at;
			c->cursor = at + 1;
			*ret = event;
			return 1;
		}
		if (pass == 0)
			pump(c);
	}
	return report_evicted(c, ret) ? 1 : 0;
}

static void stream_wait(struct xm_channel *c, int fd, uint64_t timeout_ns)
{
	struct pollfd fds[2] = {
		{ .fd = c->epoll, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	uint64_t now_ns = xm_clock_ns();
	uint64_t next_ns = look_at_deadlines(c, now_ns);
	struct timespec timeout;
	uint32_t i;

	for (i = 0; i < c->peers_high; i++)
		if (c->peers[i].state == XM_STREAM_FAILED)
			return; /* there is something to poll for */
	if (next_ns != XM_NEVER)
		timeout_ns = xm_min(timeout_ns, next_ns - now_ns);
	timeout.tv_sec = (time_t)(xm_min(timeout_ns, 3600 * XM_SECOND) /
				  XM_SECOND);
	timeout.tv_nsec = (long)(timeout_ns % XM_SECOND);
	(void)ppoll(fds, fd >= 0 ? 2 : 1, &timeout, NULL);
}

static int stream_renew(struct xm_channel *c, char *words, size_t words_size)
{
	int rc = c->tls == NULL ? 0 : xm_tls_reload(c->tls, words, words_size);

	if (rc != 0 || c->tls == NULL)
		return rc;
	c->renewals++; /* who is in a handshake is looked at when it is done */
	for (uint32_t i = 0; i < c->peers_high; i++)
		xm_stream_peer_check(c, &c->peers[i]);
	return 0;
}

static const char *stream_address(struct xm_channel *c)
{
	return c->address;
}

#define STREAM(NAME, SCHEME)                                                  \
	const struct xm_channel_ops NAME = {                                  \
		.scheme = SCHEME,                                             \
		.open = stream_open,                                          \
		.close = stream_close,                                        \
		.resolve = stream_resolve,                                    \
		.connect = stream_connect,                                    \
		.disconnect = stream_disconnect,                              \
		.send = stream_send,                                          \
		.poll = stream_poll,                                          \
		.wait = stream_wait,                                          \
		.renew = stream_renew,                                        \
		.address = stream_address,                                    \
	}

STREAM(xm_stream_tcp, "ofi+tcp");
STREAM(xm_stream_verbs, "ofi+verbs");
STREAM(xm_stream_net, "ofi+net");
STREAM(xm_stream_rxm, "ofi+rxm");
STREAM(xm_stream_sockets, "ofi+sockets");
STREAM(xm_stream_shm, "ofi+shm");
