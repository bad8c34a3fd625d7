/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop channel: control messages between two ends in one process.
 *
 * Each end of a connection has a queue of messages that came for it, at most
 * QUEUE_MAX; send() puts a copy into the other end's. One mutex guards the
 * registry and every instance, so the two ends may be driven by two threads.
 * There is no stream and so nothing to frame: "not ours" cannot happen here.
 *
 * Floor: skin of the transport.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "core/pure/channel.h"

#define PEERS_MAX 256
#define QUEUE_MAX 64
#define ADDRESS_SIZE 72

struct message {
	struct message *next;
	size_t size;
	uint8_t bytes[];
};

struct peer {
	bool used;
	bool accepted, say_up, say_down, heard;
	int status;
	struct xm_channel *remote; /* NULL once the other end is gone */
	uint32_t far_index;
	struct message *first, **last;
	uint32_t count;
	uint64_t deadline_ns; /* for its first message */
};

struct xm_channel {
	struct xm_channel *next; /* in the registry */
	char address[ADDRESS_SIZE];
	uint32_t peers_max;
	uint64_t handshake_ns;
	int event_fd;
	uint32_t turn;
	struct message *current; /* lent by the last poll() */
	struct peer peers[PEERS_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct xm_channel *registry;

static void wake(struct xm_channel *c)
{
	uint64_t one = 1;

	/* Full means that it is awake already. */
	if (write(c->event_fd, &one, sizeof(one)) < 0)
		return;
}

static struct xm_channel *registry_find(const char *address)
{
	for (struct xm_channel *c = registry; c; c = c->next)
		if (strcmp(c->address, address) == 0)
			return c;
	return NULL;
}

static uint32_t peer_claim(struct xm_channel *c)
{
	for (uint32_t i = 0; i < c->peers_max; i++) {
		if (c->peers[i].used)
			continue;
		memset(&c->peers[i], 0, sizeof(c->peers[i]));
		c->peers[i].used = true;
		c->peers[i].last = &c->peers[i].first;
		return i;
	}
	return PEERS_MAX;
}

/* The other end is gone, or never was. Its messages are still delivered. */
static void peer_down(struct xm_channel *c, uint32_t index, int status)
{
	c->peers[index].remote = NULL;
	c->peers[index].say_down = true;
	c->peers[index].status = status;
	wake(c);
}

static void peer_close(struct xm_channel *c, uint32_t index)
{
	struct peer *peer = &c->peers[index];

	if (peer->remote)
		peer_down(peer->remote, peer->far_index, -ECONNRESET);
	while (peer->first) {
		struct message *m = peer->first;

		peer->first = m->next;
		free(m);
	}
	memset(peer, 0, sizeof(*peer));
}

static void loop_close(struct xm_channel *c)
{
	struct xm_channel **at;

	pthread_mutex_lock(&lock);
	for (at = &registry; *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			break;
		}
	}
	for (uint32_t i = 0; i < PEERS_MAX; i++)
		peer_close(c, i);
	pthread_mutex_unlock(&lock);
	if (c->event_fd >= 0)
		close(c->event_fd);
	free(c->current);
	free(c);
}

static bool address_good(const char *address)
{
	return strncmp(address, "loop:", 5) == 0 && address[5] != '\0' &&
	       strlen(address) < ADDRESS_SIZE;
}

static int loop_open(const struct xm_channel_options *options, char *words,
		     size_t words_size, struct xm_channel **ret)
{
	struct xm_channel *c;
	int error = 0;

	if (!address_good(options->address)) {
		snprintf(words, words_size, "%s: not loop:NAME, or too long",
			 options->address);
		return -EINVAL;
	}
	c = calloc(1, sizeof(*c));
	if (!c || (c->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0) {
		snprintf(words, words_size, "no memory for a channel");
		free(c);
		return -ENOMEM;
	}
	strcpy(c->address, options->address);
	c->handshake_ns = options->handshake_ns;
	c->peers_max = options->peers_max && options->peers_max < PEERS_MAX
			       ? options->peers_max
			       : PEERS_MAX;
	pthread_mutex_lock(&lock);
	if (options->target && registry_find(c->address)) {
		error = -EADDRINUSE;
	} else if (options->target) {
		c->next = registry;
		registry = c;
	}
	pthread_mutex_unlock(&lock);
	if (error) {
		snprintf(words, words_size, "%s: the name is in use",
			 options->address);
		loop_close(c);
		return error;
	}
	*ret = c;
	return 0;
}

static int loop_connect(struct xm_channel *c, const char *address,
			uint32_t *ret)
{
	struct xm_channel *remote;
	uint32_t index, far_index = PEERS_MAX;

	if (!address_good(address))
		return -EINVAL;
	pthread_mutex_lock(&lock);
	index = peer_claim(c);
	remote = index < PEERS_MAX ? registry_find(address) : NULL;
	if (remote)
		far_index = peer_claim(remote);
	if (index < PEERS_MAX && far_index == PEERS_MAX) {
		peer_down(c, index, -ECONNREFUSED);
	} else if (index < PEERS_MAX) {
		struct peer *local = &c->peers[index];
		struct peer *there = &remote->peers[far_index];

		local->remote = remote;
		local->far_index = far_index;
		local->deadline_ns = XM_NEVER;
		local->say_up = true;
		there->remote = c;
		there->far_index = index;
		there->accepted = true;
		there->deadline_ns =
			remote->handshake_ns
				? xm_time_after(xm_clock_ns(), remote->handshake_ns)
				: XM_NEVER;
		there->say_up = true;
		wake(remote);
		wake(c);
	}
	pthread_mutex_unlock(&lock);
	if (index == PEERS_MAX)
		return -ENOSPC;
	*ret = index;
	return 0;
}

static void loop_disconnect(struct xm_channel *c, uint32_t peer)
{
	if (peer >= PEERS_MAX)
		return;
	pthread_mutex_lock(&lock);
	peer_close(c, peer);
	pthread_mutex_unlock(&lock);
}

static int loop_send(struct xm_channel *c, uint32_t index, const void *bytes,
		     size_t size)
{
	struct message *m;
	struct peer *there;
	int error = 0;

	if (size == 0 || size > XM_MESSAGE_SIZE_MAX)
		return -EINVAL;
	if (index >= PEERS_MAX)
		return -ENOTCONN;
	m = malloc(sizeof(*m) + size);
	if (!m)
		return -ENOMEM;
	m->next = NULL;
	m->size = size;
	memcpy(m->bytes, bytes, size);
	pthread_mutex_lock(&lock);
	if (!c->peers[index].used || !c->peers[index].remote) {
		error = -ENOTCONN;
	} else {
		there = &c->peers[index].remote->peers[c->peers[index].far_index];
		if (there->count == QUEUE_MAX) {
			error = -EAGAIN;
		} else {
			*there->last = m;
			there->last = &m->next;
			there->count++;
			there->heard = true;
			wake(c->peers[index].remote);
		}
	}
	pthread_mutex_unlock(&lock);
	if (error)
		free(m);
	return error;
}

/* UP, then messages, then DOWN. */
static bool peer_poll(struct xm_channel *c, uint32_t index,
		      struct xm_channel_event *ret)
{
	struct peer *peer = &c->peers[index];
	struct message *m = peer->first;

	if (!peer->used)
		return false;
	if (peer->remote && peer->accepted && !peer->heard &&
	    peer->deadline_ns != XM_NEVER && xm_clock_ns() >= peer->deadline_ns) {
		peer_down(peer->remote, peer->far_index, -ECONNRESET);
		peer_down(c, index, -ETIMEDOUT);
	}
	*ret = (struct xm_channel_event){ .peer = index,
					  .accepted = peer->accepted,
					  .identity = "" };
	if (peer->say_up) {
		peer->say_up = false;
		ret->kind = XM_CHANNEL_UP;
		return true;
	}
	if (m) {
		peer->first = m->next;
		if (!peer->first)
			peer->last = &peer->first;
		peer->count--;
		c->current = m;
		ret->kind = XM_CHANNEL_MESSAGE;
		ret->bytes = m->bytes;
		ret->size = m->size;
		return true;
	}
	if (peer->say_down) {
		peer->say_down = false;
		ret->kind = XM_CHANNEL_DOWN;
		ret->status = peer->status;
		return true;
	}
	return false;
}

static int loop_poll(struct xm_channel *c, struct xm_channel_event *ret)
{
	struct xm_channel_event event;
	uint64_t ignored;
	int n = 0;

	free(c->current);
	c->current = NULL;
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < PEERS_MAX && n == 0; i++) {
		uint32_t index = (c->turn + i) % PEERS_MAX;

		if (peer_poll(c, index, &event)) {
			*ret = event;
			c->turn = (index + 1) % PEERS_MAX;
			n = 1;
		}
	}
	/* Under the lock: a wake that comes later must survive. */
	if (n == 0 && read(c->event_fd, &ignored, sizeof(ignored)) < 0)
		n = 0;
	pthread_mutex_unlock(&lock);
	return n;
}

/* When the next silent stranger is due. */
static uint64_t handshake_left(struct xm_channel *c)
{
	uint64_t now = xm_clock_ns(), left = XM_NEVER;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < PEERS_MAX; i++) {
		struct peer *peer = &c->peers[i];

		if (peer->used && peer->accepted && !peer->heard && peer->remote &&
		    peer->deadline_ns != XM_NEVER)
			left = xm_min(left, peer->deadline_ns > now
						    ? peer->deadline_ns - now
						    : 0);
	}
	pthread_mutex_unlock(&lock);
	return left;
}

static void loop_wait(struct xm_channel *c, int fd, uint64_t timeout_ns)
{
	struct pollfd fds[2] = { { c->event_fd, POLLIN, 0 },
				 { fd, POLLIN, 0 } };
	struct timespec time;

	timeout_ns = xm_min(timeout_ns, handshake_left(c));
	timeout_ns = xm_min(timeout_ns, 3600 * XM_SECOND);
	time.tv_sec = (time_t)(timeout_ns / XM_SECOND);
	time.tv_nsec = (long)(timeout_ns % XM_SECOND);
	ppoll(fds, fd >= 0 ? 2 : 1, &time, NULL);
}

/* Addresses are names in this process. */
static int loop_resolve(struct xm_channel *c, const char *address)
{
	(void)c;
	(void)address;
	return 0;
}

static const char *loop_address(struct xm_channel *c)
{
	return c->address;
}

/* Both ends are this process. */
static int loop_renew(struct xm_channel *c, char *words, size_t words_size)
{
	(void)c;
	(void)words;
	(void)words_size;
	return 0;
}

const struct xm_channel_ops xm_loop_channel = {
	.scheme = "loop",
	.open = loop_open,
	.close = loop_close,
	.resolve = loop_resolve,
	.connect = loop_connect,
	.disconnect = loop_disconnect,
	.send = loop_send,
	.poll = loop_poll,
	.wait = loop_wait,
	.renew = loop_renew,
	.address = loop_address,
};
