/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop transport: both ends in one process, for tests and for programs
 * that are their own appliance. "loop:NAME" is an entry of a registry.
 *
 * Bytes move by memcpy inside read() and write(); the completion waits for
 * the next poll(). One mutex guards the registry and every instance, since
 * the two ends may be driven by two threads: an instance's events are left in
 * it by the other end. So conceal() takes effect at once (`revokes`), nobody
 * connects without a ticket (`admits`), and the end of either side is seen.
 *
 * Bounds: XM_LOOP_PEERS_MAX connections per instance, XM_LOOP_EXPOSED_MAX spans and
 * XM_LOOP_TICKETS_MAX tickets per target. It does not try to be fast with many
 * threads, and it does not pretend that bytes cross a machine.
 *
 * Floor: skin of the transport.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "transports/loop/loop_parts.h"

#define DEPTH_DEFAULT 128
#define DEPTH_MAX 4096
#define SIZE_MAX_LOOP (16 * XM_MIB)
#define SCATTER_MAX 8

pthread_mutex_t xm_loop_lock = PTHREAD_MUTEX_INITIALIZER;
struct xm_transport *xm_loop_registry;

int xm_loop_fail(struct xm_transport *t, int error, const char *words)
{
	snprintf(t->words, sizeof(t->words), "loop:%s: %s", t->name, words);
	return error;
}

void xm_loop_wake(struct xm_transport *t)
{
	uint64_t one = 1;

	/* Full means that it is awake already. */
	if (write(t->event_fd, &one, sizeof(one)) < 0)
		return;
}

struct xm_transport *xm_loop_find(const char *name)
{
	for (struct xm_transport *t = xm_loop_registry; t; t = t->next)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

/* --- open and close ----------------------------------------------------- */

static int name_read(const char *address, char ret[XM_LOOP_NAME_SIZE])
{
	size_t size;

	if (strncmp(address, "loop:", 5))
		return -EINVAL;
	size = strlen(address + 5);
	if (size == 0 || size >= XM_LOOP_NAME_SIZE)
		return -EINVAL;
	memcpy(ret, address + 5, size + 1);
	return 0;
}

static void loop_close(struct xm_transport *t)
{
	struct xm_transport **at;

	pthread_mutex_lock(&xm_loop_lock);
	for (at = &xm_loop_registry; *at; at = &(*at)->next) {
		if (*at == t) {
			*at = t->next;
			break;
		}
	}
	for (uint32_t i = 0; i < XM_LOOP_PEERS_MAX; i++)
		xm_loop_peer_close(t, i);
	pthread_mutex_unlock(&xm_loop_lock);
	if (t->event_fd >= 0)
		close(t->event_fd);
	free(t->exposures);
	free(t->done);
	free(t);
}

static int loop_open(const struct xm_transport_options *options, char *words,
		     size_t words_size, struct xm_transport **ret)
{
	struct xm_transport *t = calloc(1, sizeof(*t));

	if (!t) {
		snprintf(words, words_size, "no memory for a transport");
		return -ENOMEM;
	}
	if (name_read(options->address, t->name)) {
		snprintf(words, words_size, "%s: not loop:NAME with a name of "
			 "1 to %d characters", options->address, XM_LOOP_NAME_SIZE - 1);
		free(t);
		return -EINVAL;
	}
	if (options->provider) {
		snprintf(words, words_size, "%s: there is no provider %s: loop "
			 "has none", options->address, options->provider);
		free(t);
		return -ENOSYS;
	}
	t->target = options->target;
	t->depth = options->depth ? options->depth : DEPTH_DEFAULT;
	if (t->depth > DEPTH_MAX)
		t->depth = DEPTH_MAX;
	t->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	t->done = calloc(t->depth, sizeof(*t->done));
	t->exposures = calloc(XM_LOOP_EXPOSED_MAX, sizeof(*t->exposures));
	if (t->event_fd < 0 || !t->done || !t->exposures) {
		snprintf(words, words_size, "no memory for a transport");
		loop_close(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

static void loop_limits(struct xm_transport *t,
			struct xm_transport_limits *ret)
{
	*ret = (struct xm_transport_limits){
		.transport = "loop",
		.provider = "loop",
		.version = "1",
		.endpoint = "none",
		.mr_mode = "chosen keys",
		.progress = "auto",
		.size_max = SIZE_MAX_LOOP,
		.depth_max = t->depth,
		.peers_max = XM_LOOP_PEERS_MAX,
		.scatter_max = SCATTER_MAX,
		.revokes = true,
		.admits = true,
		.reports_death = true,
		.registers = false,
		.waits = true,
		.restricts = true,
	};
}

static const char *loop_last_error(struct xm_transport *t)
{
	return t->words;
}

/* --- initiator ---------------------------------------------------------- */

static int loop_connect(struct xm_transport *t,
			const struct xm_locator *locator,
			const uint8_t *ticket, uint32_t *ret)
{
	char name[XM_LOOP_NAME_SIZE];
	uint32_t index;

	if (t->target)
		return xm_loop_fail(t, -EINVAL, "a target does not connect");
	if (locator->size == 0 || locator->size >= XM_LOOP_NAME_SIZE)
		return xm_loop_fail(t, -EINVAL, "a malformed locator");
	memcpy(name, locator->bytes, locator->size);
	name[locator->size] = '\0';
	pthread_mutex_lock(&xm_loop_lock);
	index = xm_loop_peer_claim(t);
	if (index < XM_LOOP_PEERS_MAX)
		xm_loop_peer_connect(t, index, name, ticket);
	pthread_mutex_unlock(&xm_loop_lock);
	if (index == XM_LOOP_PEERS_MAX)
		return xm_loop_fail(t, -ENOSPC, "too many peers");
	*ret = index;
	return 0;
}

static void loop_disconnect(struct xm_transport *t, uint32_t peer)
{
	if (t->target || peer >= XM_LOOP_PEERS_MAX)
		return;
	pthread_mutex_lock(&xm_loop_lock);
	xm_loop_peer_close(t, peer);
	pthread_mutex_unlock(&xm_loop_lock);
}

static int loop_register_memory(struct xm_transport *t, void *memory, size_t size)
{
	return memory && size ? 0 : xm_loop_fail(t, -EINVAL, "an empty span");
}

static void loop_deregister_memory(struct xm_transport *t, void *memory, size_t size)
{
	(void)t;
	(void)memory;
	(void)size;
}

/* The bytes that this access may touch, or NULL. */
static uint8_t *span_find(struct xm_transport *remote, uint64_t client,
			  const struct xm_remote_mr *f, uint64_t offset,
			  uint64_t size, uint32_t right)
{
	for (uint32_t i = 0; i < XM_LOOP_EXPOSED_MAX; i++) {
		struct loop_exposure *e = &remote->exposures[i];

		if (e->client == client && e->key == f->key && f->base == 0 &&
		    (e->rights & right) != 0 && xm_span_fits(offset, size, e->size))
			return remote->pool + e->offset + offset;
	}
	return NULL;
}

/* `count` pieces of `size` bytes, into or from local memory one behind the
 * other. */
static int loop_move(struct xm_transport *t, uint32_t index,
		     const struct xm_remote_mr *f, const uint64_t *offsets,
		     uint32_t count, uint8_t *into, const uint8_t *from,
		     size_t size, uint64_t token)
{
	struct loop_peer *peer;
	uint8_t *remote[SCATTER_MAX];
	int error = 0;

	if (size == 0 || size > SIZE_MAX_LOOP || count == 0 ||
	    count > SCATTER_MAX)
		return -EINVAL;
	if (index >= XM_LOOP_PEERS_MAX || t->target)
		return -ENOTCONN;
	peer = &t->peers[index];
	pthread_mutex_lock(&xm_loop_lock);
	if (peer->state != PEER_UP || !peer->remote) {
		error = -ENOTCONN;
	} else if (t->done_count == t->depth) {
		error = -EAGAIN;
	} else {
		int status = 0;

		for (uint32_t i = 0; i < count; i++) {
			remote[i] = span_find(peer->remote, peer->client, f,
					      offsets[i], size,
					      into ? XM_RIGHT_READ
						   : XM_RIGHT_WRITE);
			if (!remote[i])
				status = -EACCES;
		}
		for (uint32_t i = 0; status == 0 && i < count; i++) {
			if (into)
				memcpy(into + i * size, remote[i], size);
			else
				memcpy(remote[i], from + i * size, size);
		}
		t->done[(t->done_first + t->done_count++) % t->depth] =
			(struct loop_done){ token, index, status };
		if (t->armed)
			xm_loop_wake(t);
	}
	pthread_mutex_unlock(&xm_loop_lock);
	return error;
}

static int loop_read(struct xm_transport *t, uint32_t peer,
		     const struct xm_remote_mr *remote, uint64_t offset, void *local,
		     size_t size, uint64_t token)
{
	return loop_move(t, peer, remote, &offset, 1, local, NULL, size, token);
}

static int loop_write(struct xm_transport *t, uint32_t peer,
		      const struct xm_remote_mr *remote, uint64_t offset,
		      const void *local, size_t size, uint64_t token)
{
	return loop_move(t, peer, remote, &offset, 1, NULL, local, size, token);
}

static int loop_scatter(struct xm_transport *t, uint32_t peer,
			const struct xm_remote_mr *remote, const uint64_t *offsets,
			uint32_t count, const void *local, size_t piece,
			uint64_t token)
{
	return loop_move(t, peer, remote, offsets, count, NULL, local, piece,
			 token);
}

/* --- both --------------------------------------------------------------- */

static int news(struct xm_transport *t, struct xm_transport_event *ret,
		int count)
{
	int n = 0;

	for (uint32_t i = 0; i < XM_LOOP_PEERS_MAX; i++) {
		struct loop_peer *peer = &t->peers[i];

		if (peer->say_up && n < count) {
			ret[n++] = (struct xm_transport_event){
				.kind = t->target ? XM_TRANSPORT_JOINED
						  : XM_TRANSPORT_UP,
				.peer = i,
				.client = peer->client,
			};
			peer->say_up = false;
		}
		if (peer->say_down && !peer->say_up && n < count) {
			ret[n++] = (struct xm_transport_event){
				.kind = t->target ? XM_TRANSPORT_LEFT
						  : XM_TRANSPORT_DOWN,
				.status = peer->status,
				.peer = i,
				.client = peer->client,
			};
			peer->say_down = false;
			if (t->target)
				memset(peer, 0, sizeof(*peer));
		}
	}
	return n;
}

static int loop_poll(struct xm_transport *t, struct xm_transport_event *ret,
		     int count)
{
	uint64_t ignored;
	int n;

	pthread_mutex_lock(&xm_loop_lock);
	t->armed = false;
	n = news(t, ret, count);
	while (n < count && t->done_count) {
		struct loop_done *d = &t->done[t->done_first];

		ret[n++] = (struct xm_transport_event){
			.kind = XM_TRANSPORT_DONE,
			.status = d->status,
			.token = d->token,
		};
		t->done_first = (t->done_first + 1) % t->depth;
		t->done_count--;
	}
	/* Under the lock: a wake that comes later must survive. */
	if (n == 0 && read(t->event_fd, &ignored, sizeof(ignored)) < 0)
		n = 0;
	pthread_mutex_unlock(&xm_loop_lock);
	return n;
}

/* An empty poll() has silenced the descriptor, under the lock. */
static int loop_arm(struct xm_transport *t)
{
	t->armed = true;
	return t->done_count ? -EAGAIN : t->event_fd;
}

static void loop_wait(struct xm_transport *t, int fd, uint64_t timeout_ns)
{
	struct pollfd fds[2] = { { t->event_fd, POLLIN, 0 },
				 { fd, POLLIN, 0 } };
	struct timespec time = { (time_t)(timeout_ns / XM_SECOND),
				 (long)(timeout_ns % XM_SECOND) };

	if (loop_arm(t) < 0)
		return;
	if (timeout_ns > 3600 * XM_SECOND)
		time.tv_sec = 3600;
	ppoll(fds, fd >= 0 ? 2 : 1, &time, NULL);
}

const struct xm_transport_ops xm_loop = {
	.scheme = "loop",
	.sample = "loop:sample",
	.open = loop_open,
	.close = loop_close,
	.limits = loop_limits,
	.last_error = loop_last_error,
	.connect = loop_connect,
	.disconnect = loop_disconnect,
	.register_memory = loop_register_memory,
	.deregister_memory = loop_deregister_memory,
	.read = loop_read,
	.write = loop_write,
	.scatter = loop_scatter,
	.listen = xm_loop_listen,
	.admit = xm_loop_admit,
	.retract = xm_loop_retract,
	.expel = xm_loop_expel,
	.expose = xm_loop_expose,
	.conceal = xm_loop_conceal,
	.poll = loop_poll,
	.arm = loop_arm,
	.wait = loop_wait,
};
