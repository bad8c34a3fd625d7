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
 * Bounds: PEERS_MAX connections per instance, EXPOSED_MAX spans and
 * TICKETS_MAX tickets per target. It does not try to be fast with many
 * threads, and it does not pretend that bytes cross a machine.
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

#include "core/pure/transport.h"

#define PEERS_MAX 64
#define EXPOSED_MAX 4096
#define TICKETS_MAX 256
#define DEPTH_DEFAULT 128
#define DEPTH_MAX 4096
#define SIZE_MAX_LOOP (16 * XM_MIB)
#define SCATTER_MAX 8
#define NAME_SIZE 64

enum peer_state { PEER_FREE, PEER_UP, PEER_DEAD };

/* One end of a connection. An initiator's index is its peer number. */
struct peer {
	enum peer_state state;
	struct xm_transport *remote; /* NULL once the other end is gone */
	uint32_t far_index;
	uint64_t client;
	uint32_t lane;
	bool say_up, say_down;
	int status;
};

struct done {
	uint64_t token;
	uint32_t peer; /* or PEERS_MAX: its peer is gone */
	int status;
};

struct ticket {
	uint64_t client; /* 0: free */
	uint32_t lane;
	uint8_t bytes[XM_TICKET_SIZE];
};

struct exposure {
	uint64_t client; /* 0: free */
	uint64_t offset, size;
	uint32_t rights;
	uint64_t key;
};

struct xm_transport {
	struct xm_transport *next; /* in the registry */
	char name[NAME_SIZE];
	char words[256];
	bool target, listening;
	int event_fd;
	struct peer peers[PEERS_MAX];
	struct done *done; /* a ring of depth */
	uint32_t depth, done_first, done_count;
	uint8_t *pool;
	uint64_t pool_size;
	struct ticket tickets[TICKETS_MAX];
	struct exposure *exposures;
	bool armed; /* somebody sleeps on event_fd, perhaps */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct xm_transport *registry;

static int say(struct xm_transport *t, int error, const char *words)
{
	snprintf(t->words, sizeof(t->words), "loop:%s: %s", t->name, words);
	return error;
}

static void wake(struct xm_transport *t)
{
	uint64_t one = 1;

	/* Full means that it is awake already. */
	if (write(t->event_fd, &one, sizeof(one)) < 0)
		return;
}

static struct xm_transport *registry_find(const char *name)
{
	for (struct xm_transport *t = registry; t; t = t->next)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

/* --- connections, with the lock held ------------------------------------ */

static uint32_t peer_take(struct xm_transport *t)
{
	for (uint32_t i = 0; i < PEERS_MAX; i++)
		if (t->peers[i].state == PEER_FREE) {
			memset(&t->peers[i], 0, sizeof(t->peers[i]));
			return i;
		}
	return PEERS_MAX;
}

/* What was done for a peer that is gone has an unknown outcome, officially. */
static void done_cancel(struct xm_transport *t, uint32_t peer)
{
	for (uint32_t i = 0; i < t->done_count; i++) {
		struct done *d = &t->done[(t->done_first + i) % t->depth];

		if (d->peer == peer) {
			d->peer = PEERS_MAX;
			d->status = -ECANCELED;
		}
	}
}

static void peer_down(struct xm_transport *t, uint32_t index, int status)
{
	struct peer *peer = &t->peers[index];

	if (peer->state != PEER_UP)
		return;
	peer->state = PEER_DEAD;
	peer->remote = NULL;
	peer->say_down = true;
	peer->status = status;
	done_cancel(t, index);
	wake(t);
}

/* Ends the connection at both ends; the near one is told nothing. */
static void peer_close(struct xm_transport *t, uint32_t index)
{
	struct peer *peer = &t->peers[index];

	if (peer->remote)
		peer_down(peer->remote, peer->far_index, -ENOTCONN);
	done_cancel(t, index);
	memset(peer, 0, sizeof(*peer));
}

static void client_drop(struct xm_transport *t, uint64_t client)
{
	for (uint32_t i = 0; i < PEERS_MAX; i++) {
		struct peer *peer = &t->peers[i];

		if (peer->state != PEER_UP || peer->client != client)
			continue;
		peer_down(peer->remote, peer->far_index, -ENOTCONN);
		peer_down(t, i, -ECANCELED);
	}
}

/* What the client had on this lane makes room for what comes. */
static void lane_drop(struct xm_transport *t, uint64_t client, uint32_t lane)
{
	for (uint32_t i = 0; i < PEERS_MAX; i++) {
		struct peer *peer = &t->peers[i];

		if (peer->state != PEER_UP || peer->client != client ||
		    peer->lane != lane)
			continue;
		peer_down(peer->remote, peer->far_index, -ENOTCONN);
		peer_down(t, i, -ECANCELED);
	}
}

static uint64_t ticket_use(struct xm_transport *t, const uint8_t *bytes,
			   uint32_t *ret_lane)
{
	for (uint32_t i = 0; i < TICKETS_MAX; i++) {
		uint64_t client = t->tickets[i].client;

		if (client && memcmp(t->tickets[i].bytes, bytes,
				     XM_TICKET_SIZE) == 0) {
			*ret_lane = t->tickets[i].lane;
			memset(&t->tickets[i], 0, sizeof(t->tickets[i]));
			return client;
		}
	}
	return 0;
}

static void peer_connect(struct xm_transport *t, uint32_t index,
			 const char *name, const uint8_t *ticket)
{
	struct peer *peer = &t->peers[index];
	struct xm_transport *remote = registry_find(name);
	uint32_t lane = 0, far_index;
	uint64_t client = remote ? ticket_use(remote, ticket, &lane) : 0;

	if (client)
		lane_drop(remote, client, lane);
	far_index = client ? peer_take(remote) : PEERS_MAX;

	peer->state = PEER_UP;
	if (far_index == PEERS_MAX) {
		peer_down(t, index, -ECONNREFUSED);
		return;
	}
	peer->remote = remote;
	peer->far_index = far_index;
	peer->client = client;
	peer->say_up = true;
	remote->peers[far_index] = (struct peer){
		.state = PEER_UP,
		.remote = t,
		.far_index = index,
		.client = client,
		.lane = lane,
		.say_up = true,
	};
	wake(remote);
}

/* --- open and close ----------------------------------------------------- */

static int name_read(const char *address, char ret[NAME_SIZE])
{
	size_t size;

	if (strncmp(address, "loop:", 5))
		return -EINVAL;
	size = strlen(address + 5);
	if (size == 0 || size >= NAME_SIZE)
		return -EINVAL;
	memcpy(ret, address + 5, size + 1);
	return 0;
}

static void loop_close(struct xm_transport *t)
{
	struct xm_transport **at;

	pthread_mutex_lock(&lock);
	for (at = &registry; *at; at = &(*at)->next) {
		if (*at == t) {
			*at = t->next;
			break;
		}
	}
	for (uint32_t i = 0; i < PEERS_MAX; i++)
		peer_close(t, i);
	pthread_mutex_unlock(&lock);
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
			 "1 to %d characters", options->address, NAME_SIZE - 1);
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
	t->exposures = calloc(EXPOSED_MAX, sizeof(*t->exposures));
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
		.peers_max = PEERS_MAX,
		.scatter_max = SCATTER_MAX,
		.revokes = true,
		.admits = true,
		.reports_death = true,
		.registers = false,
		.waits = true,
		.restricts = true,
	};
}

static const char *loop_words(struct xm_transport *t)
{
	return t->words;
}

/* --- initiator ---------------------------------------------------------- */

static int loop_connect(struct xm_transport *t,
			const struct xm_locator *locator,
			const uint8_t *ticket, uint32_t *ret)
{
	char name[NAME_SIZE];
	uint32_t index;

	if (t->target)
		return say(t, -EINVAL, "a target does not connect");
	if (locator->size == 0 || locator->size >= NAME_SIZE)
		return say(t, -EINVAL, "a malformed locator");
	memcpy(name, locator->bytes, locator->size);
	name[locator->size] = '\0';
	pthread_mutex_lock(&lock);
	index = peer_take(t);
	if (index < PEERS_MAX)
		peer_connect(t, index, name, ticket);
	pthread_mutex_unlock(&lock);
	if (index == PEERS_MAX)
		return say(t, -ENOSPC, "too many peers");
	*ret = index;
	return 0;
}

static void loop_disconnect(struct xm_transport *t, uint32_t peer)
{
	if (t->target || peer >= PEERS_MAX)
		return;
	pthread_mutex_lock(&lock);
	peer_close(t, peer);
	pthread_mutex_unlock(&lock);
}

static int loop_enlist(struct xm_transport *t, void *memory, size_t size)
{
	return memory && size ? 0 : say(t, -EINVAL, "an empty span");
}

static void loop_delist(struct xm_transport *t, void *memory, size_t size)
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
	for (uint32_t i = 0; i < EXPOSED_MAX; i++) {
		struct exposure *e = &remote->exposures[i];

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
	struct peer *peer;
	uint8_t *remote[SCATTER_MAX];
	int error = 0;

	if (size == 0 || size > SIZE_MAX_LOOP || count == 0 ||
	    count > SCATTER_MAX)
		return -EINVAL;
	if (index >= PEERS_MAX || t->target)
		return -ENOTCONN;
	peer = &t->peers[index];
	pthread_mutex_lock(&lock);
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
			(struct done){ token, index, status };
		if (t->armed)
			wake(t);
	}
	pthread_mutex_unlock(&lock);
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

/* --- target ------------------------------------------------------------- */

static int loop_listen(struct xm_transport *t, void *pool, size_t pool_size,
		       struct xm_locator *ret)
{
	int error = 0;

	if (!t->target || t->listening || !pool || pool_size == 0)
		return say(t, -EINVAL, "listen: not a target, no pool, or the "
				       "second time");
	pthread_mutex_lock(&lock);
	if (registry_find(t->name)) {
		error = -EADDRINUSE;
	} else {
		t->pool = pool;
		t->pool_size = pool_size;
		t->listening = true;
		t->next = registry;
		registry = t;
	}
	pthread_mutex_unlock(&lock);
	if (error)
		return say(t, error, "the name is in use");
	memset(ret, 0, sizeof(*ret));
	ret->size = (uint32_t)strlen(t->name);
	memcpy(ret->bytes, t->name, ret->size);
	return 0;
}

static int loop_admit(struct xm_transport *t, uint64_t client, uint32_t lane,
		      const uint8_t *ticket)
{
	int error = -ENOSPC;

	if (!t->listening || client == 0)
		return say(t, -EINVAL, "admit: not listening, or no client");
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < TICKETS_MAX && error; i++) {
		if (t->tickets[i].client)
			continue;
		t->tickets[i].client = client;
		t->tickets[i].lane = lane;
		memcpy(t->tickets[i].bytes, ticket, XM_TICKET_SIZE);
		error = 0;
	}
	pthread_mutex_unlock(&lock);
	return error ? say(t, error, "too many tickets not used yet") : 0;
}

static void loop_expel(struct xm_transport *t, uint64_t client)
{
	if (client == 0)
		return;
	pthread_mutex_lock(&lock);
	client_drop(t, client);
	for (uint32_t i = 0; i < TICKETS_MAX; i++)
		if (t->tickets[i].client == client)
			memset(&t->tickets[i], 0, sizeof(t->tickets[i]));
	for (uint32_t i = 0; i < EXPOSED_MAX; i++)
		if (t->exposures[i].client == client)
			t->exposures[i].client = 0;
	pthread_mutex_unlock(&lock);
}

static int loop_expose(struct xm_transport *t, uint64_t client,
		       uint64_t offset, uint64_t size, uint32_t rights,
		       uint64_t key, struct xm_remote_mr *ret)
{
	int error = -ENOSPC;

	if (!t->listening || client == 0 || size == 0 ||
	    !xm_span_fits(offset, size, t->pool_size))
		return say(t, -EINVAL, "expose: outside the pool");
	if (rights == 0 || (rights & ~XM_RIGHTS_ALL) != 0)
		return say(t, -EINVAL, "expose: no such rights");
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < EXPOSED_MAX; i++) {
		if (t->exposures[i].client == client &&
		    t->exposures[i].key == key) {
			error = -EINVAL;
			break;
		}
		if (t->exposures[i].client == 0 && error == -ENOSPC)
			error = (int)i;
	}
	if (error >= 0) {
		t->exposures[error] =
			(struct exposure){ client, offset, size, rights, key };
		*ret = (struct xm_remote_mr){ key, 0 };
		error = 0;
	}
	pthread_mutex_unlock(&lock);
	if (error == -EINVAL)
		return say(t, error, "expose: the key is in use");
	return error ? say(t, error, "too many spans exposed") : 0;
}

static void loop_conceal(struct xm_transport *t, uint64_t client,
			 const struct xm_remote_mr *remote)
{
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < EXPOSED_MAX; i++)
		if (t->exposures[i].client == client &&
		    t->exposures[i].key == remote->key)
			t->exposures[i].client = 0;
	pthread_mutex_unlock(&lock);
}

/* --- both --------------------------------------------------------------- */

static int news(struct xm_transport *t, struct xm_transport_event *ret,
		int count)
{
	int n = 0;

	for (uint32_t i = 0; i < PEERS_MAX; i++) {
		struct peer *peer = &t->peers[i];

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

	pthread_mutex_lock(&lock);
	t->armed = false;
	n = news(t, ret, count);
	while (n < count && t->done_count) {
		struct done *d = &t->done[t->done_first];

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
	pthread_mutex_unlock(&lock);
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
	.open = loop_open,
	.close = loop_close,
	.limits = loop_limits,
	.words = loop_words,
	.connect = loop_connect,
	.disconnect = loop_disconnect,
	.register_memory = loop_enlist,
	.deregister_memory = loop_delist,
	.read = loop_read,
	.write = loop_write,
	.scatter = loop_scatter,
	.listen = loop_listen,
	.admit = loop_admit,
	.expel = loop_expel,
	.expose = loop_expose,
	.conceal = loop_conceal,
	.poll = loop_poll,
	.arm = loop_arm,
	.wait = loop_wait,
};
