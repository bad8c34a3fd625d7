/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of transports/stream.c: the channel contract over TCP and over unix
 * sockets, and raw sockets against it. Everything waits for events, nothing
 * for time, except where a timeout itself is the matter.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cunit.h"
#include "transports/stream_parts.h"

#define ROUNDS_MAX 2000 /* of a tenth of a second: the world is broken */
#define PEERS 4

struct pair {
	const struct xm_channel_ops *ops;
	struct xm_channel *target, *initiator;
	uint32_t remote, local; /* the stream, as the target and we number it */
};

static struct xm_channel *open_target(const struct xm_channel_ops *ops,
				      const char *address,
				      uint64_t handshake_ns)
{
	struct xm_channel_options o = { .address = address,
					.target = true,
					.peers_max = PEERS,
					.handshake_ns = handshake_ns };
	struct xm_channel *c = NULL;
	char words[256] = "";

	if (ops->open(&o, words, sizeof(words), &c) != 0)
		printf("    %s\n", words);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

static struct xm_channel *open_initiator(const struct xm_channel_ops *ops)
{
	struct xm_channel_options o = { .peers_max = PEERS,
					.handshake_ns = 60 * XM_SECOND };
	struct xm_channel *c = NULL;
	char words[256];

	CU_ASSERT_EQUAL_FATAL(ops->open(&o, words, sizeof(words), &c), 0);
	return c;
}

static int connect_to(const struct xm_channel_ops *ops, struct xm_channel *c,
		      const char *address, uint32_t *ret)
{
	ops->resolve(c, address);
	return ops->connect(c, address, ret);
}

/* The next event of `c`. */
static struct xm_channel_event next(const struct xm_channel_ops *ops,
				    struct xm_channel *c)
{
	struct xm_channel_event event;
	int i;

	for (i = 0; i < ROUNDS_MAX; i++) {
		if (ops->poll(c, &event) > 0)
			return event;
		ops->wait(c, -1, XM_SECOND / 10);
	}
	CU_FAIL_FATAL("no event came");
	return event;
}

static void pair_open(struct pair *p, const struct xm_channel_ops *ops,
		      const char *address)
{
	struct xm_channel_event event;

	p->ops = ops;
	p->target = open_target(ops, address, 0);
	p->initiator = open_initiator(ops);
	CU_ASSERT_EQUAL_FATAL(connect_to(ops, p->initiator,
					 ops->address(p->target), &p->local),
			      0);
	event = next(ops, p->target);
	CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_UP);
	CU_ASSERT_TRUE(event.accepted);
	p->remote = event.peer;
	event = next(ops, p->initiator);
	CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_UP);
	CU_ASSERT_FALSE(event.accepted);
	CU_ASSERT_EQUAL(event.peer, p->local);
}

static void pair_close(struct pair *p)
{
	p->ops->close(p->initiator);
	p->ops->close(p->target);
}

static const char *unix_address(void)
{
	static char address[64];

	snprintf(address, sizeof(address), "ofi+shm://test-stream-%d",
		 (int)getpid());
	return address;
}

/* Every size from the least to the most, both ways, in order. */
static void talk(struct pair *p)
{
	static const size_t sizes[] = { 1, 2, 3, 100, 4095,
					XM_MESSAGE_SIZE_MAX };
	uint8_t bytes[XM_MESSAGE_SIZE_MAX + 1];
	struct xm_channel_event event;
	size_t i, round;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < XM_COUNT(sizes); i++) {
			memset(bytes, (int)(round + i), sizes[i]);
			CU_ASSERT_EQUAL(p->ops->send(p->initiator, p->local,
						     bytes, sizes[i]), 0);
		}
		for (i = 0; i < XM_COUNT(sizes); i++) {
			event = next(p->ops, p->target);
			CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_MESSAGE);
			CU_ASSERT_EQUAL_FATAL(event.size, sizes[i]);
			CU_ASSERT_EQUAL(event.bytes[event.size - 1], round + i);
			memcpy(bytes, event.bytes, event.size);
			CU_ASSERT_EQUAL(p->ops->send(p->target, p->remote, bytes,
						     event.size), 0);
		}
		for (i = 0; i < XM_COUNT(sizes); i++) {
			event = next(p->ops, p->initiator);
			CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_MESSAGE);
			CU_ASSERT_EQUAL(event.size, sizes[i]);
			CU_ASSERT_EQUAL(event.bytes[0], round + i);
		}
	}
	CU_ASSERT_EQUAL(p->ops->send(p->initiator, p->local, bytes, 0),
			-EINVAL);
	CU_ASSERT_EQUAL(p->ops->send(p->initiator, p->local, bytes,
				     XM_MESSAGE_SIZE_MAX + 1), -EINVAL);
}

static void messages_arrive_whole_and_in_order_over_tcp(void)
{
	struct pair p;

	pair_open(&p, &xm_stream_tcp, "ofi+tcp://127.0.0.1:0");
	talk(&p);
	pair_close(&p);
}

static void messages_arrive_whole_and_in_order_over_a_unix_socket(void)
{
	struct pair p;

	pair_open(&p, &xm_stream_shm, unix_address());
	talk(&p);
	pair_close(&p);
}

/* In a user namespace all users that it does not show are one to the kernel. */
static void a_user_who_cannot_be_told_apart_has_no_identity(void)
{
	struct xm_channel_event event;
	struct pair p;
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		char identity[XM_IDENTITY_SIZE] = "";
		const char *address = unix_address();
		struct xm_channel_options here = { .peers_max = 2 };
		struct xm_channel_options there = { .target = true, .peers_max = 2,
						    .address = address };
		char words[512];
		uint32_t peer;

		if (unshare(CLONE_NEWUSER) != 0)
			_exit(2);
		p.ops = &xm_stream_shm;
		if (p.ops->open(&there, words, sizeof(words), &p.target) != 0 ||
		    p.ops->open(&here, words, sizeof(words), &p.initiator) != 0)
			_exit(3);
		p.ops->resolve(p.initiator, address);
		if (p.ops->connect(p.initiator, address, &peer) != 0)
			_exit(4);
		event = next(p.ops, p.target);
		if (event.kind != XM_CHANNEL_UP)
			_exit(5);
		snprintf(identity, sizeof(identity), "%s", event.identity);
		if (identity[0] != '\0')
			fprintf(stderr, "it is %s\n", identity);
		_exit(identity[0] == '\0' ? 0 : 1);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		printf("skipped: no user namespace can be made here ");
	else
		CU_ASSERT_EQUAL(status, 0);
}

static void a_name_and_ipv6_in_brackets_are_addresses(void)
{
	struct addrinfo *found;
	struct pair p;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 any = { .sin6_family = AF_INET6,
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	bool six = fd >= 0 &&
		   bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;

	if (fd >= 0)
		close(fd);
	/* A root without /etc/hosts does not know even this name. */
	if (getaddrinfo("localhost", NULL, NULL, &found) == 0) {
		freeaddrinfo(found);
		pair_open(&p, &xm_stream_tcp, "ofi+tcp://localhost:0");
		talk(&p);
		pair_close(&p);
	} else {
		printf("(localhost has no address here) ");
	}
	if (!six) {
		printf("(no IPv6 here) ");
		return;
	}
	pair_open(&p, &xm_stream_tcp, "ofi+tcp://[::1]:0");
	CU_ASSERT_PTR_NOT_NULL(strstr(p.ops->address(p.target), "[::1]:"));
	talk(&p);
	pair_close(&p);
}

static void a_full_queue_takes_nothing_more(void)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	struct xm_channel_event event;
	size_t sent = 0, got = 0;
	struct pair p;
	int r;

	pair_open(&p, &xm_stream_tcp, "ofi+tcp://127.0.0.1:0");
	do {
		memcpy(bytes, &sent, sizeof(sent));
		r = p.ops->send(p.initiator, p.local, bytes, sizeof(bytes));
		sent += r == 0;
	} while (r == 0 && sent < 100000);
	CU_ASSERT_EQUAL(r, -EAGAIN);
	while (got < sent) {
		/* What is queued goes out by polling. */
		CU_ASSERT_EQUAL_FATAL(p.ops->poll(p.initiator, &event), 0);
		if (p.ops->poll(p.target, &event) == 0) {
			p.ops->wait(p.target, -1, XM_MS);
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_MESSAGE);
		CU_ASSERT_EQUAL_FATAL(memcmp(event.bytes, &got, sizeof(got)),
				      0);
		got++;
	}
	pair_close(&p);
}

static void a_last_word_is_heard_before_the_end(void)
{
	struct xm_channel_event event;
	struct pair p;

	pair_open(&p, &xm_stream_tcp, "ofi+tcp://127.0.0.1:0");
	CU_ASSERT_EQUAL(p.ops->send(p.target, p.remote, "no", 2), 0);
	CU_ASSERT_EQUAL(p.ops->send(p.initiator, p.local, "unread", 6), 0);
	p.ops->disconnect(p.target, p.remote);
	event = next(p.ops, p.initiator);
	CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_MESSAGE);
	CU_ASSERT_EQUAL(memcmp(event.bytes, "no", 2), 0);
	event = next(p.ops, p.initiator);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	CU_ASSERT_EQUAL(p.ops->send(p.initiator, p.local, "x", 1), -ENOTCONN);
	CU_ASSERT_EQUAL(p.ops->poll(p.initiator, &event), 0);
	p.ops->disconnect(p.initiator, p.local);
	pair_close(&p);
}

static int down_status(const struct xm_channel_ops *ops, const char *address)
{
	struct xm_channel *c = open_initiator(ops);
	struct xm_channel_event event;
	uint32_t peer;
	int r = connect_to(ops, c, address, &peer);

	if (r == 0) {
		event = next(ops, c);
		CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
		CU_ASSERT_EQUAL(event.peer, peer);
		r = event.status;
	}
	ops->close(c);
	return r;
}

static void nobody_there_is_refused_in_words(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t size = sizeof(own);
	char address[64], words[256];

	/* Bound and not listening: surely nobody. */
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&own, &size), 0);
	snprintf(address, sizeof(address), "ofi+tcp://127.0.0.1:%u",
		 ntohs(own.sin_port));
	CU_ASSERT_EQUAL(down_status(&xm_stream_tcp, address), -ECONNREFUSED);
	xm_channel_explain(address, -ECONNREFUSED, false, words,
			   sizeof(words));
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "nobody listens at ofi+tcp://127"));
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "is extmemd running there?"));
	close(fd);
	CU_ASSERT_EQUAL(down_status(&xm_stream_shm,
				    "ofi+shm://nobody-has-this-name"),
			-ECONNREFUSED);
}

/* In the place of libc's: "nobody.invalid" is not found at first. */
static bool name_is_known;

int getaddrinfo(const char *host, const char *port,
		const struct addrinfo *hints, struct addrinfo **ret)
{
	static int (*next)(const char *, const char *,
			   const struct addrinfo *, struct addrinfo **);

	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
	if (strcmp(host, "nobody.invalid") != 0)
		return next(host, port, hints, ret);
	return name_is_known ? next("127.0.0.1", port, hints, ret)
			     : EAI_NONAME;
}

static void a_name_that_was_not_found_is_looked_up_again(void)
{
	static const char address[] = "ofi+tcp://nobody.invalid:1";
	struct xm_channel *c = open_initiator(&xm_stream_tcp);
	const struct xm_stream_target *target;
	uint32_t peer = 7;

	name_is_known = false;
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(xm_stream_tcp.resolve(c, address),
				-EADDRNOTAVAIL);
		CU_ASSERT_EQUAL(xm_stream_tcp.connect(c, address, &peer),
				-EADDRNOTAVAIL);
	}
	CU_ASSERT_EQUAL(peer, 7);
	name_is_known = true;
	CU_ASSERT_EQUAL(xm_stream_tcp.connect(c, address, &peer),
			-EADDRNOTAVAIL);
	CU_ASSERT_EQUAL(xm_stream_tcp.resolve(c, address), 0);
	CU_ASSERT_EQUAL(xm_stream_tcp.connect(c, address, &peer), 0);
	/* What was found stays. */
	name_is_known = false;
	CU_ASSERT_EQUAL(xm_stream_tcp.resolve(c, address), 0);
	target = atomic_load(&c->targets);
	CU_ASSERT_PTR_NOT_NULL_FATAL(target);
	CU_ASSERT_PTR_NULL(target->next); /* one for all attempts */
	xm_stream_tcp.close(c);
}

static void malformed_addresses_are_refused(void)
{
	static const char *const addresses[] = {
		"", "ofi+tcp", "ofi+tcp:", "ofi+tcp://", "ofi+tcp://host",
		"ofi+tcp://:1", "ofi+tcp://host:", "ofi+tcp://host:x",
		"ofi+tcp://host:65536", "ofi+tcp://host:-1",
		"ofi+tcp://1:2:3", "ofi+tcp://[::1]", "ofi+tcp://[::1",
		"ofi+tcp://[]:1", "ofi+shm://", "ofi+shm://a/b",
		"ofi+tcp://host:123456789012345678901234567890",
	};
	struct xm_channel *c = open_initiator(&xm_stream_tcp);
	char address[2000];
	uint32_t peer = 7;
	size_t i;

	for (i = 0; i < XM_COUNT(addresses); i++) {
		if (connect_to(&xm_stream_tcp, c, addresses[i], &peer) !=
		    -EINVAL)
			CU_FAIL(addresses[i]);
	}
	memset(address, 'a', sizeof(address));
	memcpy(address, "ofi+tcp://", 10);
	memcpy(address + sizeof(address) - 3, ":1", 3);
	CU_ASSERT_EQUAL(connect_to(&xm_stream_tcp, c, address, &peer), -EINVAL);
	memcpy(address, "ofi+shm://", 10);
	address[150] = '\0';
	CU_ASSERT_EQUAL(connect_to(&xm_stream_tcp, c, address, &peer), -EINVAL);
	CU_ASSERT_EQUAL(peer, 7);
	xm_stream_tcp.close(c);
}

static void an_address_in_use_says_so(void)
{
	struct xm_channel *c = open_target(&xm_stream_tcp,
					   "ofi+tcp://127.0.0.1:0", 0);
	struct xm_channel_options o = {
		.address = xm_stream_tcp.address(c),
		.target = true,
		.peers_max = PEERS,
	};
	struct xm_channel *second = NULL;
	char words[256] = "";

	CU_ASSERT_EQUAL(xm_stream_tcp.open(&o, words, sizeof(words), &second),
			-EADDRINUSE);
	CU_ASSERT_PTR_NULL(second);
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "another extmemd"));
	xm_stream_tcp.close(c);
}

/* --- raw sockets against it ----------------------------------------------- */

static int dial(struct xm_channel *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const char *port = strrchr(xm_stream_tcp.address(c), ':') + 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_port = htons((uint16_t)atoi(port));
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&to, sizeof(to)),
			      0);
	return fd;
}

/* What a stream of these bytes, ended or not, comes to: DOWN's status. */
static int fate(const void *bytes, size_t size, bool end)
{
	struct xm_channel *c = open_target(&xm_stream_tcp,
					   "ofi+tcp://127.0.0.1:0", 0);
	struct xm_channel_event event;
	int fd = dial(c);

	CU_ASSERT_EQUAL(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
	if (end)
		shutdown(fd, SHUT_WR);
	event = next(&xm_stream_tcp, c);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_UP);
	event = next(&xm_stream_tcp, c);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	close(fd);
	xm_stream_tcp.close(c);
	return event.status;
}

static void nonsense_ends_a_stream(void)
{
	/* another protocol; sizes 0, 4097, the most; and truncations */
	CU_ASSERT_EQUAL(fate("GET / HTTP/1.1\r\n\r\n", 18, false), -EPROTO);
	CU_ASSERT_EQUAL(fate("\0", 1, false), -EPROTO);
	CU_ASSERT_EQUAL(fate("XMC2", 4, false), -EPROTO);
	CU_ASSERT_EQUAL(fate("XMC1\0\0\0\0", 8, false), -EPROTO);
	CU_ASSERT_EQUAL(fate("XMC1\x01\x10\0\0", 8, false), -EPROTO);
	CU_ASSERT_EQUAL(fate("XMC1\xff\xff\xff\xff", 8, false), -EPROTO);
	CU_ASSERT_EQUAL(fate("XM", 2, true), -EPROTO);
	CU_ASSERT_EQUAL(fate("XMC1\x05", 5, true), -EPROTO);
	CU_ASSERT_EQUAL(fate("XMC1\x05\0\0\0abcd", 12, true), -EPROTO);
	/* These only ended. */
	CU_ASSERT_EQUAL(fate("", 0, true), -ECONNRESET);
	CU_ASSERT_EQUAL(fate("XMC1", 4, true), -ECONNRESET);
}

static void bytes_may_come_one_by_one(void)
{
	static const char bytes[] = "XMC1\x03\0\0\0abc\x01\0\0\0d";
	struct xm_channel *c = open_target(&xm_stream_tcp,
					   "ofi+tcp://127.0.0.1:0", 0);
	struct xm_channel_event event;
	int fd = dial(c);
	size_t i, got = 0;

	CU_ASSERT_EQUAL(next(&xm_stream_tcp, c).kind, XM_CHANNEL_UP);
	for (i = 0; i < sizeof(bytes) - 1; i++) {
		CU_ASSERT_EQUAL(send(fd, bytes + i, 1, MSG_NOSIGNAL), 1);
		if (xm_stream_tcp.poll(c, &event) > 0) {
			CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_MESSAGE);
			got++;
		}
	}
	while (got < 2) {
		event = next(&xm_stream_tcp, c);
		CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_MESSAGE);
		got++;
	}
	CU_ASSERT_EQUAL(event.size, 1);
	CU_ASSERT_EQUAL(event.bytes[0], 'd');
	close(fd);
	xm_stream_tcp.close(c);
}

static void one_stream_more_than_the_limit_is_closed(void)
{
	struct xm_channel *c = open_target(&xm_stream_tcp,
					   "ofi+tcp://127.0.0.1:0", 0);
	struct xm_channel_event event;
	int fds[PEERS + 1];
	char byte[8];
	uint32_t i;

	for (i = 0; i <= PEERS; i++)
		fds[i] = dial(c);
	for (i = 0; i < PEERS; i++)
		CU_ASSERT_EQUAL(next(&xm_stream_tcp, c).kind, XM_CHANNEL_UP);
	CU_ASSERT_EQUAL(xm_stream_tcp.poll(c, &event), 0);
	/* The last reads the end and no magic. */
	CU_ASSERT(recv(fds[PEERS], byte, sizeof(byte), 0) <= 0);
	CU_ASSERT_EQUAL(recv(fds[0], byte, 4, MSG_WAITALL), 4);
	/* One goes, and there is room again, under the same number. */
	close(fds[1]);
	event = next(&xm_stream_tcp, c);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	i = event.peer;
	xm_stream_tcp.disconnect(c, i);
	fds[1] = dial(c);
	event = next(&xm_stream_tcp, c);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_UP);
	CU_ASSERT_EQUAL(event.peer, i);
	for (i = 0; i <= PEERS; i++)
		close(fds[i]);
	xm_stream_tcp.close(c);
}

static void a_stream_that_dribbles_is_closed_in_time(void)
{
	struct xm_channel *c = open_target(&xm_stream_tcp,
					   "ofi+tcp://127.0.0.1:0",
					   50 * XM_MS);
	struct xm_channel_event event;
	int silent = dial(c), slow = dial(c);

	CU_ASSERT_EQUAL(next(&xm_stream_tcp, c).kind, XM_CHANNEL_UP);
	CU_ASSERT_EQUAL(next(&xm_stream_tcp, c).kind, XM_CHANNEL_UP);
	/* A beginning is not a message. */
	CU_ASSERT_EQUAL(send(slow, "XMC1\x09\0\0\0half", 12, MSG_NOSIGNAL),
			12);
	event = next(&xm_stream_tcp, c);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	CU_ASSERT_EQUAL(event.status, -ETIMEDOUT);
	event = next(&xm_stream_tcp, c);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	CU_ASSERT_EQUAL(event.status, -ETIMEDOUT);
	close(silent);
	close(slow);
	xm_stream_tcp.close(c);
}

static void something_else_that_listens_is_no_appliance(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct xm_channel *c = open_initiator(&xm_stream_tcp);
	socklen_t size = sizeof(own);
	struct xm_channel_event event;
	char address[64], words[256];
	uint32_t peer;
	int fd;

	CU_ASSERT_EQUAL(bind(listener, (struct sockaddr *)&own, size), 0);
	CU_ASSERT_EQUAL(listen(listener, 4), 0);
	CU_ASSERT_EQUAL(getsockname(listener, (struct sockaddr *)&own, &size),
			0);
	snprintf(address, sizeof(address), "ofi+tcp://127.0.0.1:%u",
		 ntohs(own.sin_port));
	CU_ASSERT_EQUAL(connect_to(&xm_stream_tcp, c, address, &peer), 0);
	fd = accept(listener, NULL, NULL);
	CU_ASSERT_EQUAL(send(fd, "SSH-2.0-x\r\n", 11, MSG_NOSIGNAL), 11);
	event = next(&xm_stream_tcp, c);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	CU_ASSERT_EQUAL(event.status, -EPROTO);
	xm_channel_explain(address, event.status, false, words, sizeof(words));
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "does not speak extmem"));
	close(fd);
	close(listener);
	xm_stream_tcp.close(c);
}

static void wait_ends_when_its_descriptor_is_readable(void)
{
	struct xm_channel *c = open_initiator(&xm_stream_tcp);
	int fds[2];

	CU_ASSERT_EQUAL(pipe(fds), 0);
	CU_ASSERT_EQUAL(write(fds[1], "x", 1), 1);
	/* If it did not, the test would be killed for its time. */
	xm_stream_tcp.wait(c, fds[0], 3600 * XM_SECOND);
	xm_stream_tcp.wait(c, -1, 0);
	close(fds[0]);
	close(fds[1]);
	xm_stream_tcp.close(c);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(messages_arrive_whole_and_in_order_over_tcp),
		XM_TEST(messages_arrive_whole_and_in_order_over_a_unix_socket),
		XM_TEST(a_user_who_cannot_be_told_apart_has_no_identity),
		XM_TEST(a_name_and_ipv6_in_brackets_are_addresses),
		XM_TEST(a_full_queue_takes_nothing_more),
		XM_TEST(a_last_word_is_heard_before_the_end),
		XM_TEST(nobody_there_is_refused_in_words),
		XM_TEST(a_name_that_was_not_found_is_looked_up_again),
		XM_TEST(malformed_addresses_are_refused),
		XM_TEST(an_address_in_use_says_so),
		XM_TEST(nonsense_ends_a_stream),
		XM_TEST(bytes_may_come_one_by_one),
		XM_TEST(one_stream_more_than_the_limit_is_closed),
		XM_TEST(a_stream_that_dribbles_is_closed_in_time),
		XM_TEST(something_else_that_listens_is_no_appliance),
		XM_TEST(wait_ends_when_its_descriptor_is_readable),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("stream", tests);
}
