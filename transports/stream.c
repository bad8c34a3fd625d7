/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control messages over TCP and unix sockets.
 *
 * SCHEME://HOST:PORT is TCP: HOST a name, an IPv4 address or an IPv6 address
 * in brackets. resolve() looks it up once, by getaddrinfo(), which may wait
 * for as long as the system's resolver does; each connect() tries the addresses
 * that were found then, one after the other, at most ADDRESSES_MAX of them. An
 * appliance that moves to an address that its name did not have is found by
 * clients opened after that.
 *
 * ofi+shm://NAME is the abstract unix socket "@extmem/NAME". Abstract,
 * because it leaves no file behind after a kill -9 and needs no directory that
 * root's appliance and a user's client both can reach; it is seen by everyone
 * in the same network namespace. Its permissions are those of the bytes: what
 * a client may reach is decided by shared memory's own.
 *
 * Every stream has a buffer of two messages in, OUT_SIZE out, made when the
 * stream is and freed with it; there are at most peers_max streams, and what
 * comes beyond is closed at accept. A frame's size is checked before a byte
 * of it is waited for. A stream that was accepted is reported UP at once, so
 * that the service sees and counts it; one that we opened is UP when the other
 * side has shown the magic, so that whatever else listens there is never
 * taken for an appliance.
 *
 * Not here: encryption and authentication. One thread at a time. Floor: skin.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "transports/stream.h"

#define MAGIC "XMC1"
#define MAGIC_SIZE 4
#define HEAD_SIZE 4
#define IN_SIZE (2 * (HEAD_SIZE + XM_MESSAGE_SIZE_MAX))
#define OUT_SIZE (8 * (HEAD_SIZE + XM_MESSAGE_SIZE_MAX))
#define ADDRESSES_MAX 8
#define ADDRESS_SIZE 300 /* bytes of text */
#define EVENTS_MAX 64
#define BACKLOG 64
#define ACCEPT_PAUSE_NS (100 * XM_MS) /* when out of descriptors */
#define LISTENER UINT32_MAX	      /* in epoll data */
#define PEERS_MAX (UINT32_C(1) << 16)

enum peer_state {
	PEER_FREE,
	PEER_CONNECTING, /* the socket is not connected yet */
	PEER_OPEN,	 /* bytes flow */
	PEER_FAILED,	 /* DOWN is to be reported once `in` is used up */
	PEER_DOWN,	 /* reported; waits for disconnect() */
};

struct address {
	socklen_t size;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
};

/* What resolve() found. */
struct target {
	struct target *next;
	char text[ADDRESS_SIZE];
	int status; /* why there are no addresses; or 0 */
	uint32_t count;
	struct address addresses[ADDRESSES_MAX];
};

struct peer {
	enum peer_state state;
	int fd;
	int status; /* of FAILED */
	bool accepted;
	bool up;      /* reported */
	bool greeted; /* the other side's magic has come */
	bool spoke;   /* a whole message has come */
	bool writing; /* epoll looks out for room */
	uint64_t deadline_ns; /* of the handshake */
	uint8_t *buffer;      /* `in`, then `out` */
	size_t in_used, in_taken;
	size_t out_begin, out_end;
	const struct target *target; /* of connect() */
	uint32_t address; /* of the target's, to be tried next */
};

struct xm_channel {
	int epoll;
	int listener; /* or -1 */
	bool accepting;
	uint64_t accept_ns; /* when it may accept again */
	uint64_t handshake_ns;
	uint32_t peers_max, peers_high; /* above, none was ever used */
	uint32_t peers_count, cursor;
	struct target *targets;
	char address[ADDRESS_SIZE + 32];
	struct peer peers[];
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * XM_SECOND + (uint64_t)now.tv_nsec;
}

/* --- addresses ------------------------------------------------------------ */

/* What follows "://", or NULL. */
static const char *address_rest(const char *address)
{
	const char *rest = strstr(address, "://");

	return rest == NULL || strlen(address) >= ADDRESS_SIZE ? NULL
							       : rest + 3;
}

static int resolve_unix(const char *name, struct address *ret)
{
	static const char prefix[] = "extmem/";
	size_t size = strlen(name);

	if (size == 0 || strchr(name, '/') != NULL ||
	    size + sizeof(prefix) > sizeof(ret->u.un.sun_path))
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	ret->u.un.sun_family = AF_UNIX;
	memcpy(ret->u.un.sun_path + 1, prefix, sizeof(prefix) - 1);
	memcpy(ret->u.un.sun_path + sizeof(prefix), name, size);
	ret->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				sizeof(prefix) + size);
	return 0;
}

/* Cuts "host:port", "[host]:port" into two texts of ADDRESS_SIZE. */
static int split_host(const char *rest, char *host, char *port)
{
	const char *colon;
	const char *end;
	size_t size;

	if (*rest == '[') {
		rest++;
		end = strchr(rest, ']');
		if (end == NULL || end[1] != ':')
			return -EINVAL;
		colon = end + 1;
	} else {
		colon = strrchr(rest, ':');
		if (colon == NULL || memchr(rest, ':', (size_t)(colon - rest)))
			return -EINVAL;
		end = colon;
	}
	size = (size_t)(end - rest);
	if (size == 0)
		return -EINVAL;
	memcpy(host, rest, size);
	host[size] = '\0';
	size = strlen(colon + 1);
	if (size == 0 || size > 5 ||
	    strspn(colon + 1, "0123456789") != size || atoi(colon + 1) > 65535)
		return -EINVAL;
	memcpy(port, colon + 1, size + 1);
	return 0;
}

static int resolve_failure(int failure)
{
	switch (failure) {
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_AGAIN:
		return -EHOSTUNREACH; /* the resolver does not answer */
	case EAI_SYSTEM:
		return errno > 0 ? -errno : -EIO;
	default:
		return -EADDRNOTAVAIL;
	}
}

static int resolve(const char *address, bool passive, struct address *ret,
		   uint32_t *ret_count)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const char *rest = address_rest(address);
	char host[ADDRESS_SIZE], port[ADDRESS_SIZE];
	struct addrinfo *found, *at;
	uint32_t count = 0;
	int r;

	if (rest == NULL)
		return -EINVAL;
	if (strncmp(address, "ofi+shm://", 10) == 0) {
		*ret_count = 1;
		return resolve_unix(rest, ret);
	}
	r = split_host(rest, host, port);
	if (r != 0)
		return r;
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	r = getaddrinfo(host, port, &hints, &found);
	if (r != 0) {
		hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG |
				 (passive ? AI_PASSIVE : 0);
		r = getaddrinfo(host, port, &hints, &found);
	}
	if (r != 0)
		return resolve_failure(r);
	for (at = found; at != NULL && count < ADDRESSES_MAX; at = at->ai_next) {
		if (at->ai_addrlen > sizeof(ret->u))
			continue;
		memset(&ret[count], 0, sizeof(ret[count]));
		memcpy(&ret[count].u, at->ai_addr, at->ai_addrlen);
		ret[count++].size = at->ai_addrlen;
	}
	freeaddrinfo(found);
	*ret_count = count;
	return count > 0 ? 0 : -EADDRNOTAVAIL;
}

/* --- one stream ----------------------------------------------------------- */

static uint8_t *peer_out(const struct peer *p)
{
	return p->buffer + IN_SIZE;
}

static void peer_watch(struct xm_channel *c, struct peer *p, int operation,
		       bool writing)
{
	struct epoll_event event = {
		.events = EPOLLIN | (writing ? (uint32_t)EPOLLOUT : 0),
		.data.u32 = (uint32_t)(p - c->peers),
	};

	p->writing = writing;
	/* Fails for want of kernel memory only; then the stream hangs and its
	 * deadline ends it. */
	(void)epoll_ctl(c->epoll, operation, p->fd, &event);
}

static void peer_close_fd(struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd); /* leaves the epoll set with it */
	p->fd = -1;
}

/* Its messages that have come whole are still delivered, then DOWN. */
static void peer_fail(struct peer *p, int status)
{
	if (p->state == PEER_FAILED || p->state == PEER_DOWN)
		return;
	p->state = PEER_FAILED;
	p->status = status;
	peer_close_fd(p);
}

static int peer_new(struct xm_channel *c, struct peer **ret)
{
	struct peer *p = c->peers;

	if (c->peers_count == c->peers_max)
		return -ENOSPC;
	while (p->state != PEER_FREE)
		p++;
	memset(p, 0, sizeof(*p));
	p->buffer = malloc(IN_SIZE + OUT_SIZE);
	if (p->buffer == NULL)
		return -ENOMEM;
	p->fd = -1;
	p->deadline_ns = c->handshake_ns == 0
		? XM_NEVER
		: xm_time_after(clock_ns(), c->handshake_ns);
	/* Our magic goes first, whatever we are. */
	memcpy(peer_out(p), MAGIC, MAGIC_SIZE);
	p->out_end = MAGIC_SIZE;
	c->peers_count++;
	if (p - c->peers >= c->peers_high)
		c->peers_high = (uint32_t)(p - c->peers) + 1;
	*ret = p;
	return 0;
}

static void peer_free(struct xm_channel *c, struct peer *p)
{
	peer_close_fd(p);
	free(p->buffer);
	memset(p, 0, sizeof(*p));
	p->fd = -1;
	c->peers_count--;
}

static void socket_prepare(int fd, int family)
{
	int yes = 1, idle_s = 30, interval_s = 10, count = 3;

	if (family == AF_UNIX)
		return;
	/* Comfort, not correctness: leases have their own heartbeat. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s,
			 sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s,
			 sizeof(interval_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static void peer_flush(struct xm_channel *c, struct peer *p)
{
	while (p->out_begin < p->out_end) {
		ssize_t n = send(p->fd, peer_out(p) + p->out_begin,
				 p->out_end - p->out_begin, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (!p->writing)
				peer_watch(c, p, EPOLL_CTL_MOD, true);
			return;
		}
		if (n < 0) {
			/* What it said before is still worth reading: the read
			 * that follows reports the end. */
			p->out_begin = p->out_end = 0;
			return;
		}
		p->out_begin += (size_t)n;
	}
	p->out_begin = p->out_end = 0;
	if (p->writing)
		peer_watch(c, p, EPOLL_CTL_MOD, false);
}

/* Tries the addresses left until one does not fail at once. */
static void peer_try(struct xm_channel *c, struct peer *p, int status)
{
	while (p->address < p->target->count) {
		const struct address *a =
			&p->target->addresses[p->address++];

		peer_close_fd(p);
		p->fd = socket(a->u.any.sa_family,
			       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (p->fd < 0) {
			status = -errno;
			continue;
		}
		socket_prepare(p->fd, a->u.any.sa_family);
		if (connect(p->fd, &a->u.any, a->size) == 0 ||
		    errno == EINPROGRESS) {
			p->state = PEER_CONNECTING;
			peer_watch(c, p, EPOLL_CTL_ADD, true);
			return;
		}
		/* A unix socket says EAGAIN when its backlog is full. */
		status = errno == EAGAIN ? -ETIMEDOUT : -errno;
	}
	peer_fail(p, status);
}

static void peer_connected(struct xm_channel *c, struct peer *p)
{
	socklen_t size = sizeof(int);
	int error = 0;

	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error != 0) {
		peer_try(c, p, -error);
		return;
	}
	p->state = PEER_OPEN;
	peer_flush(c, p);
}

/* How much of a message lies at the head of `in`: 0 not yet all, 1 it is
 * there, -EPROTO nonsense. */
static int peer_frame(const struct peer *p, size_t *ret_size)
{
	const uint8_t *b = p->buffer + p->in_taken;
	size_t used = p->in_used - p->in_taken;
	size_t size;

	if (used < HEAD_SIZE)
		return 0;
	size = (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 |
	       (size_t)b[3] << 24;
	if (size == 0 || size > XM_MESSAGE_SIZE_MAX)
		return -EPROTO;
	if (used < HEAD_SIZE + size)
		return 0;
	*ret_size = size;
	return 1;
}

static void peer_greet(struct peer *p)
{
	size_t n = xm_min(p->in_used, MAGIC_SIZE);

	if (memcmp(p->buffer, MAGIC, n) != 0) {
		p->in_used = 0;
		peer_fail(p, -EPROTO);
	} else if (n == MAGIC_SIZE) {
		p->greeted = true;
		p->in_taken = MAGIC_SIZE;
	}
}

static void peer_ended(struct peer *p, int status)
{
	size_t size;

	/* An end in the middle of the magic or of a frame is nonsense too,
	 * unless whole messages are still to be handed out first. */
	if (p->in_used > p->in_taken && peer_frame(p, &size) == 0)
		status = -EPROTO;
	peer_fail(p, status);
}

static void peer_read(struct peer *p)
{
	size_t left;
	ssize_t n;

	if (p->in_taken > 0) {
		p->in_used -= p->in_taken;
		memmove(p->buffer, p->buffer + p->in_taken, p->in_used);
		p->in_taken = 0;
	}
	left = IN_SIZE - p->in_used;
	if (left == 0)
		return; /* poll() hands messages out first */
	do
		n = recv(p->fd, p->buffer + p->in_used, left, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n <= 0) {
		peer_ended(p, n == 0 ? -ECONNRESET : -errno);
		return;
	}
	p->in_used += (size_t)n;
	if (!p->greeted)
		peer_greet(p);
}

/* The next thing to report about a stream. */
static bool peer_event(struct peer *p, struct xm_channel_event *ret)
{
	bool may_speak = p->state == PEER_OPEN || p->state == PEER_FAILED;
	size_t size;
	int r;

	if (may_speak && !p->up && (p->accepted || p->greeted)) {
		p->up = true;
		if (!p->accepted && p->state == PEER_OPEN)
			p->deadline_ns = XM_NEVER;
		ret->kind = XM_CHANNEL_UP;
		ret->accepted = p->accepted;
		return true;
	}
	if (may_speak && p->greeted) {
		r = peer_frame(p, &size);
		if (r == 1) {
			ret->kind = XM_CHANNEL_MESSAGE;
			ret->bytes = p->buffer + p->in_taken + HEAD_SIZE;
			ret->size = size;
			p->in_taken += HEAD_SIZE + size;
			p->spoke = true;
			p->deadline_ns = XM_NEVER;
			return true;
		}
		if (r < 0) {
			peer_fail(p, r);
			p->status = r;
		}
	}
	if (p->state != PEER_FAILED)
		return false;
	p->state = PEER_DOWN;
	ret->kind = XM_CHANNEL_DOWN;
	ret->status = p->status;
	ret->accepted = p->accepted;
	return true;
}

/* --- listening ------------------------------------------------------------ */

static void listener_watch(struct xm_channel *c, bool accepting)
{
	struct epoll_event event = {
		.events = accepting ? EPOLLIN : 0,
		.data.u32 = LISTENER,
	};

	(void)epoll_ctl(c->epoll, EPOLL_CTL_MOD, c->listener, &event);
	c->accepting = accepting;
}

static void listener_accept(struct xm_channel *c)
{
	struct sockaddr_storage from;
	socklen_t size;
	struct peer *p;
	int i, fd;

	for (i = 0; i < BACKLOG; i++) {
		size = sizeof(from);
		fd = accept4(c->listener, (struct sockaddr *)&from, &size,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE ||
			       errno == ENOBUFS || errno == ENOMEM)) {
			/* It stays in the backlog; do not spin on it. */
			listener_watch(c, false);
			c->accept_ns = clock_ns() + ACCEPT_PAUSE_NS;
			return;
		}
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return;
		if (peer_new(c, &p) != 0) {
			close(fd);
			continue;
		}
		socket_prepare(fd, from.ss_family);
		p->fd = fd;
		p->accepted = true;
		p->state = PEER_OPEN;
		peer_watch(c, p, EPOLL_CTL_ADD, false);
		peer_flush(c, p);
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

static int listener_open(struct xm_channel *c, const char *address, char *words,
			 size_t words_size)
{
	struct epoll_event event = { .events = EPOLLIN,
				     .data.u32 = LISTENER };
	struct address addresses[ADDRESSES_MAX];
	uint32_t count = 0;
	int yes = 1;
	int r;

	r = resolve(address, true, addresses, &count);
	if (r == -EINVAL) {
		snprintf(words, words_size,
			 "%s is not an address to listen at: write"
			 " SCHEME://HOST:PORT, such as ofi+tcp://0.0.0.0:7470,"
			 " or ofi+shm://NAME", address);
		return r;
	}
	if (r != 0) {
		snprintf(words, words_size,
			 "the host of %s is not known%s%s: give a name or an"
			 " address of this machine", address,
			 r == -EADDRNOTAVAIL ? "" : ": ",
			 r == -EADDRNOTAVAIL ? "" : strerror(-r));
		return r;
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
	r = -errno;
	snprintf(words, words_size, "cannot listen at %s: %s%s", address,
		 strerror(-r),
		 r == -EADDRINUSE
			 ? ": is another extmemd running? choose another port,"
			   " or port 0"
		 : r == -EADDRNOTAVAIL
			 ? ": give an address of this machine, or 0.0.0.0"
		 : r == -EACCES ? ": ports below 1024 need privilege" : "");
	return r;
}

/* --- the operations ------------------------------------------------------- */

static void stream_close(struct xm_channel *c)
{
	uint32_t i;

	for (i = 0; i < c->peers_high; i++)
		if (c->peers[i].state != PEER_FREE)
			peer_free(c, &c->peers[i]);
	while (c->targets != NULL) {
		struct target *target = c->targets;

		c->targets = target->next;
		free(target);
	}
	if (c->listener >= 0)
		close(c->listener);
	if (c->epoll >= 0)
		close(c->epoll);
	free(c);
}

static int stream_open(const struct xm_channel_options *o, char *words,
		       size_t words_size, struct xm_channel **ret)
{
	struct xm_channel *c;
	int r;

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
	c->listener = -1;
	c->peers_max = o->peers_max;
	c->handshake_ns = o->handshake_ns;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0) {
		r = -errno;
		snprintf(words, words_size, "epoll_create1: %s", strerror(-r));
		stream_close(c);
		return r;
	}
	snprintf(c->address, sizeof(c->address), "%s",
		 o->address == NULL ? "" : o->address);
	if (o->target) {
		r = listener_open(c, o->address, words, words_size);
		if (r != 0) {
			stream_close(c);
			return r;
		}
	}
	*ret = c;
	return 0;
}

static struct target *target_find(const struct xm_channel *c,
				  const char *address)
{
	struct target *target = c->targets;

	while (target != NULL && strcmp(target->text, address) != 0)
		target = target->next;
	return target;
}

static void stream_resolve(struct xm_channel *c, const char *address)
{
	struct target *target;

	/* One that is too long is no address; connect() says so. */
	if (address_rest(address) == NULL || target_find(c, address) != NULL)
		return;
	target = calloc(1, sizeof(*target));
	if (target == NULL)
		return;
	snprintf(target->text, sizeof(target->text), "%s", address);
	target->status = resolve(address, false, target->addresses,
				 &target->count);
	target->next = c->targets;
	c->targets = target;
}

static int stream_connect(struct xm_channel *c, const char *address,
			  uint32_t *ret)
{
	const struct target *target = target_find(c, address);
	struct peer *p;
	int r;

	if (target == NULL)
		return address_rest(address) == NULL ? -EINVAL : -ENOMEM;
	if (target->status != 0)
		return target->status;
	r = peer_new(c, &p);
	if (r != 0)
		return r;
	p->target = target;
	peer_try(c, p, -EADDRNOTAVAIL); /* a failure comes as DOWN */
	*ret = (uint32_t)(p - c->peers);
	return 0;
}

static void stream_disconnect(struct xm_channel *c, uint32_t peer)
{
	struct peer *p;
	uint8_t waste[1024];
	int i;

	XM_ASSERT(peer < c->peers_max);
	p = &c->peers[peer];
	XM_ASSERT(p->state != PEER_FREE);
	if (p->state == PEER_OPEN) {
		/* So that a last word is not lost to a reset, which closing
		 * over unread bytes would send. */
		peer_flush(c, p);
		shutdown(p->fd, SHUT_WR);
		for (i = 0; i < 64 && recv(p->fd, waste, sizeof(waste), 0) > 0;
		     i++)
			;
	}
	peer_free(c, p);
}

static int stream_send(struct xm_channel *c, uint32_t peer, const void *bytes,
		       size_t size)
{
	struct peer *p;
	uint8_t *at;

	XM_ASSERT(peer < c->peers_max);
	p = &c->peers[peer];
	if (size == 0 || size > XM_MESSAGE_SIZE_MAX)
		return -EINVAL;
	if (p->state != PEER_OPEN)
		return -ENOTCONN;
	if (p->out_end + HEAD_SIZE + size > OUT_SIZE && p->out_begin > 0) {
		p->out_end -= p->out_begin;
		memmove(peer_out(p), peer_out(p) + p->out_begin, p->out_end);
		p->out_begin = 0;
	}
	if (p->out_end + HEAD_SIZE + size > OUT_SIZE)
		return -EAGAIN;
	at = peer_out(p) + p->out_end;
	at[0] = (uint8_t)size;
	at[1] = (uint8_t)(size >> 8);
	at[2] = 0;
	at[3] = 0;
	memcpy(at + HEAD_SIZE, bytes, size);
	p->out_end += HEAD_SIZE + size;
	peer_flush(c, p);
	return 0;
}

/* Streams whose time is over; returns when to look again. */
static uint64_t look_at_deadlines(struct xm_channel *c, uint64_t now_ns)
{
	uint64_t next_ns = XM_NEVER;
	uint32_t i;

	if (c->listener >= 0 && !c->accepting) {
		if (now_ns >= c->accept_ns)
			listener_watch(c, true);
		else
			next_ns = c->accept_ns;
	}
	for (i = 0; i < c->peers_high; i++) {
		struct peer *p = &c->peers[i];

		if (p->state != PEER_CONNECTING && p->state != PEER_OPEN)
			continue;
		if (now_ns >= p->deadline_ns)
			peer_fail(p, -ETIMEDOUT);
		else
			next_ns = xm_min(next_ns, p->deadline_ns);
	}
	return next_ns;
}

static void pump(struct xm_channel *c)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(c->epoll, events, EVENTS_MAX, 0);
	int i;

	for (i = 0; i < count; i++) {
		uint32_t peer = events[i].data.u32;
		struct peer *p;

		if (peer == LISTENER) {
			listener_accept(c);
			continue;
		}
		p = &c->peers[peer];
		if (p->state == PEER_CONNECTING)
			peer_connected(c, p);
		else if (p->state == PEER_OPEN &&
			 (events[i].events & EPOLLOUT) != 0)
			peer_flush(c, p);
		if (p->state == PEER_OPEN &&
		    (events[i].events & ~(uint32_t)EPOLLOUT) != 0)
			peer_read(p);
	}
	look_at_deadlines(c, clock_ns());
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
			if (c->peers[at].state == PEER_FREE ||
			    !peer_event(&c->peers[at], &event))
				continue;
			event.peer = at;
			c->cursor = at + 1;
			*ret = event;
			return 1;
		}
		if (pass == 0)
			pump(c);
	}
	return 0;
}

static void stream_wait(struct xm_channel *c, int fd, uint64_t timeout_ns)
{
	struct pollfd fds[2] = {
		{ .fd = c->epoll, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	uint64_t now_ns = clock_ns();
	uint64_t next_ns = look_at_deadlines(c, now_ns);
	struct timespec timeout;
	uint32_t i;

	for (i = 0; i < c->peers_high; i++)
		if (c->peers[i].state == PEER_FAILED)
			return; /* there is something to poll for */
	if (next_ns != XM_NEVER)
		timeout_ns = xm_min(timeout_ns, next_ns - now_ns);
	timeout.tv_sec = (time_t)(xm_min(timeout_ns, 3600 * XM_SECOND) /
				  XM_SECOND);
	timeout.tv_nsec = (long)(timeout_ns % XM_SECOND);
	(void)ppoll(fds, fd >= 0 ? 2 : 1, &timeout, NULL);
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
		.address = stream_address,                                    \
	}

STREAM(xm_stream_tcp, "ofi+tcp");
STREAM(xm_stream_verbs, "ofi+verbs");
STREAM(xm_stream_net, "ofi+net");
STREAM(xm_stream_rxm, "ofi+rxm");
STREAM(xm_stream_sockets, "ofi+sockets");
STREAM(xm_stream_shm, "ofi+shm");
