/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop transport: both ends in one process, for tests and for programs
 * that are their own appliance. "loop:NAME" is an entry of a registry.
 *
 * How bytes move is a data path's to say (loop_parts.h): for "loop:" by memcpy inside
 * read() and write() (loop_copy.c); the completion waits for the next poll(). One mutex guards the registry and every instance, since
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

pthread_mutex_t xm_loop_lock = PTHREAD_MUTEX_INITIALIZER;
struct xm_transport *xm_loop_registry;

int xm_loop_fail(struct xm_transport *t, int error, const char *words)
{
	snprintf(t->words, sizeof(t->words), "%s:%s: %s", t->path->scheme, t->name,
		 words);
	return error;
}

void xm_loop_wake(struct xm_transport *t)
{
	uint64_t one = 1;

	/* Full means that it is awake already. */
	if (write(t->event_fd, &one, sizeof(one)) < 0)
		return;
}

struct xm_transport *xm_loop_find(const struct xm_loop_path *path, const char *name)
{
	for (struct xm_transport *t = xm_loop_registry; t; t = t->next)
		if (t->path == path && strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

/* --- open and close ----------------------------------------------------- */

static int name_read(const char *scheme, const char *address, char ret[XM_LOOP_NAME_SIZE])
{
	size_t begins = strlen(scheme), size;

	if (strncmp(address, scheme, begins) != 0 || address[begins] != ':')
		return -EINVAL;
	address += begins + 1;
	size = strlen(address);
	if (size == 0 || size >= XM_LOOP_NAME_SIZE)
		return -EINVAL;
	memcpy(ret, address, size + 1);
	return 0;
}

void xm_loop_close(struct xm_transport *t)
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
	t->path->close(t);
	if (t->event_fd >= 0)
		close(t->event_fd);
	free(t->exposures);
	free(t->done);
	free(t);
}

int xm_loop_open(const struct xm_loop_path *path, const struct xm_transport_options *options,
		 char *words, size_t words_size, struct xm_transport **ret)
{
	struct xm_transport *t = calloc(1, sizeof(*t));

	if (!t) {
		snprintf(words, words_size, "no memory for a transport");
		return -ENOMEM;
	}
	t->path = path;
	if (name_read(path->scheme, options->address, t->name)) {
		snprintf(words, words_size, "%s: not %s:NAME with a name of "
			 "1 to %d characters", options->address, path->scheme,
			 XM_LOOP_NAME_SIZE - 1);
		free(t);
		return -EINVAL;
	}
	if (options->provider) {
		snprintf(words, words_size, "%s: there is no provider %s: %s "
			 "has none", options->address, options->provider,
			 path->scheme);
		free(t);
		return -ENOSYS;
	}
	t->target = options->target;
	t->depth = options->depth ? options->depth : DEPTH_DEFAULT;
	if (t->depth > path->depth_max)
		t->depth = path->depth_max;
	t->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	t->done = calloc(t->depth, sizeof(*t->done));
	t->exposures = calloc(XM_LOOP_EXPOSED_MAX, sizeof(*t->exposures));
	if (t->event_fd < 0 || !t->done || !t->exposures) {
		snprintf(words, words_size, "no memory for a transport");
		xm_loop_close(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void xm_loop_limits(struct xm_transport *t,
			struct xm_transport_limits *ret)
{
	*ret = (struct xm_transport_limits){
		.version = "1",
		.endpoint = "none",
		.size_max = t->path->size_max,
		.depth_max = t->depth,
		.peers_max = XM_LOOP_PEERS_MAX,
		.scatter_max = t->path->scatter_max,
		.revokes = true,
		.admits = true,
		.reports_death = true,
		.registers = false,
		.waits = true,
		.restricts = true,
	};
	snprintf(ret->transport, sizeof(ret->transport), "%s", t->path->scheme);
	snprintf(ret->provider, sizeof(ret->provider), "%s", t->path->scheme);
	snprintf(ret->mr_mode, sizeof(ret->mr_mode), "%s", t->path->keys);
	snprintf(ret->progress, sizeof(ret->progress), "%s", t->path->progress);
}

const char *xm_loop_last_error(struct xm_transport *t)
{
	return t->words;
}

/* --- initiator ---------------------------------------------------------- */

int xm_loop_connect(struct xm_transport *t,
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

void xm_loop_disconnect(struct xm_transport *t, uint32_t peer)
{
	if (t->target || peer >= XM_LOOP_PEERS_MAX)
		return;
	pthread_mutex_lock(&xm_loop_lock);
	xm_loop_peer_close(t, peer);
	pthread_mutex_unlock(&xm_loop_lock);
}

int xm_loop_register_memory(struct xm_transport *t, void *memory, size_t size)
{
	return memory && size ? 0 : xm_loop_fail(t, -EINVAL, "an empty span");
}

void xm_loop_deregister_memory(struct xm_transport *t, void *memory, size_t size)
{
	(void)t;
	(void)memory;
	(void)size;
}

void xm_loop_done(struct xm_transport *t, uint64_t token, uint32_t peer, int status)
{
	t->done[(t->done_first + t->done_count++) % t->depth] =
		(struct loop_done){ token, peer, status };
}

static int loop_move(struct xm_transport *t, uint32_t index, const struct loop_access *a)
{
	struct loop_peer *peer;
	int error;

	if (a->size == 0 || a->size > t->path->size_max || a->count == 0 ||
	    a->count > t->path->scatter_max)
		return -EINVAL;
	if (index >= XM_LOOP_PEERS_MAX || t->target)
		return -ENOTCONN;
	peer = &t->peers[index];
	pthread_mutex_lock(&xm_loop_lock);
	if (peer->state != PEER_UP || !peer->remote)
		error = -ENOTCONN;
	else if (t->flying + t->done_count == t->depth)
		error = -EAGAIN;
	else
		error = t->path->post(t, index, a);
	if (!error && t->armed)
		xm_loop_wake(t);
	pthread_mutex_unlock(&xm_loop_lock);
	return error;
}

int xm_loop_read(struct xm_transport *t, uint32_t peer,
		     const struct xm_remote_mr *remote, uint64_t offset, void *local,
		     size_t size, uint64_t token)
{
	return loop_move(t, peer, &(struct loop_access){
		.remote = remote, .offsets = &offset, .count = 1, .into = local,
		.size = size, .token = token });
}

int xm_loop_write(struct xm_transport *t, uint32_t peer,
		      const struct xm_remote_mr *remote, uint64_t offset,
		      const void *local, size_t size, uint64_t token)
{
	return loop_move(t, peer, &(struct loop_access){
		.remote = remote, .offsets = &offset, .count = 1, .from = local,
		.size = size, .token = token });
}

int xm_loop_scatter(struct xm_transport *t, uint32_t peer,
			const struct xm_remote_mr *remote, const uint64_t *offsets,
			uint32_t count, const void *local, size_t piece,
			uint64_t token)
{
	return loop_move(t, peer, &(struct loop_access){
		.remote = remote, .offsets = offsets, .count = count, .from = local,
		.size = piece, .token = token });
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

int xm_loop_poll(struct xm_transport *t, struct xm_transport_event *ret,
		     int count)
{
	uint64_t ignored;
	int n;

	pthread_mutex_lock(&xm_loop_lock);
	t->armed = false;
	t->path->turn(t);
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
int xm_loop_arm(struct xm_transport *t)
{
	t->armed = true;
	return t->flying + t->done_count ? -EAGAIN : t->event_fd;
}

void xm_loop_wait(struct xm_transport *t, int fd, uint64_t timeout_ns)
{
	struct pollfd fds[2] = { { t->event_fd, POLLIN, 0 },
				 { fd, POLLIN, 0 } };
	struct timespec time = { (time_t)(timeout_ns / XM_SECOND),
				 (long)(timeout_ns % XM_SECOND) };

	if (xm_loop_arm(t) < 0)
		return;
	if (timeout_ns > 3600 * XM_SECOND)
		time.tv_sec = 3600;
	ppoll(fds, fd >= 0 ? 2 : 1, &time, NULL);
}
