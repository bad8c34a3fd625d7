/* SPDX-License-Identifier: BSD-3-Clause */
/* A proxy for control streams; see proxy.h. */
#include "tests/support/proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS 8

static int dial(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void pair_close(int pair[2])
{
	struct linger now = { .l_onoff = 1 };

	/* A reset: the cable is cut, nobody says good-bye. */
	for (int side = 0; side < 2; side++) {
		setsockopt(pair[side], SOL_SOCKET, SO_LINGER, &now,
			   sizeof(now));
		close(pair[side]);
		pair[side] = -1;
	}
}

/* A WELCOME (docs/PROTOCOL.md) is the first that an appliance says, after its magic, and
 * no other message comes with it. */
#define MAGIC "XMC1"
#define WELCOME 2
#define INCARNATION (4 + 8 + 2 + 8 + 2 + 16)

static void look(struct proxy *p, uint8_t *bytes, size_t size)
{
	uint64_t value = 0, lie = atomic_load(&p->lie);

	if (size > 4 && memcmp(bytes, MAGIC, 4) == 0) {
		bytes += 4;
		size -= 4;
	}
	if (size < INCARNATION + 8 || bytes[4] != WELCOME)
		return;
	for (unsigned i = 0; i < 8; i++)
		value |= (uint64_t)bytes[INCARNATION + i] << 8 * i;
	atomic_store(&p->incarnation, value);
	for (unsigned i = 0; lie != 0 && i < 8; i++)
		bytes[INCARNATION + i] = (uint8_t)(lie >> 8 * i);
}

static bool forward(struct proxy *p, int from, int to, bool answers)
{
	uint8_t bytes[4096];
	ssize_t got = read(from, bytes, sizeof(bytes));

	if (got > 0 && answers && atomic_load(&p->mute))
		return true;
	if (got > 0 && answers)
		look(p, bytes, (size_t)got);
	return got > 0 && write(to, bytes, (size_t)got) == got;
}

static void *proxy_run(void *argument)
{
	struct proxy *p = argument;
	int pairs[PAIRS][2];

	memset(pairs, -1, sizeof(pairs));
	while (!atomic_load(&p->end)) {
		struct pollfd fds[2 * PAIRS + 1] = {
			{ .fd = p->fd, .events = POLLIN },
		};

		for (int i = 0; i < 2 * PAIRS; i++)
			fds[i + 1] = (struct pollfd){
				.fd = pairs[i / 2][i % 2], .events = POLLIN,
			};
		poll(fds, 2 * PAIRS + 1, 5);
		if (fds[0].revents != 0) {
			int local = accept(p->fd, NULL, NULL), i = 0;
			int remote = atomic_load(&p->closed)
					? -1 : dial(p->port_there);

			while (i < PAIRS && pairs[i][0] >= 0)
				i++;
			if (remote < 0 || i == PAIRS) {
				close(local);
			} else {
				pairs[i][0] = local;
				pairs[i][1] = remote;
				atomic_fetch_add(&p->accepted, 1);
			}
			continue; /* fds are of before */
		}
		for (int i = 0; i < 2 * PAIRS; i++) {
			int *pair = pairs[i / 2];

			if (fds[i + 1].revents != 0 && pair[0] >= 0 &&
			    !forward(p, pair[i % 2], pair[1 - i % 2],
				     i % 2 == 1))
				pair_close(pair);
		}
		if (!atomic_exchange(&p->cut, false))
			continue;
		for (int i = 0; i < PAIRS; i++)
			if (pairs[i][0] >= 0)
				pair_close(pairs[i]);
	}
	for (int i = 0; i < PAIRS; i++)
		if (pairs[i][0] >= 0)
			pair_close(pairs[i]);
	close(p->fd);
	return NULL;
}

bool proxy_open(struct proxy *p, const char *address)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t size = sizeof(at);

	memset(p, 0, sizeof(*p));
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->port_there = atoi(strrchr(address, ':') + 1);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&at, size) != 0 ||
	    listen(p->fd, 8) != 0 ||
	    getsockname(p->fd, (struct sockaddr *)&at, &size) != 0)
		return false;
	p->port = ntohs(at.sin_port);
	return pthread_create(&p->thread, NULL, proxy_run, p) == 0;
}

void proxy_close(struct proxy *p)
{
	atomic_store(&p->end, true);
	pthread_join(p->thread, NULL);
}
