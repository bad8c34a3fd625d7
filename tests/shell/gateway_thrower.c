/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests/shell/test_gateway_hostile.sh throws at extmem-gateway.
 *
 *	gateway_thrower malformed PORT COUNT SEED   requests that are wrong in some way, each
 *	                                            on a connection of its own
 *	gateway_thrower slow PORT COUNT MS          connections that send a byte now and then:
 *	                                            all are to be cut within MS
 *	gateway_thrower crowd PORT COUNT            connections that say nothing; then a request
 *	                                            on one more, which is to be answered
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base.h"
#include "common/clock.h"
#include "common/rand.h"

#define PATIENCE_MS 60000
#define AT_ONCE 64
#define OLD_MS 5

static struct xm_rand chance;
static struct sockaddr_in address;

static unsigned any(unsigned below)
{
	return (unsigned)xm_rand_below(&chance, below);
}

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror("gateway_thrower: connect");
		exit(1);
	}
	return fd;
}

/* What the gateway does not want to hear any more is not sent. */
static void throw_bytes(int fd, const char *at, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		at += n;
		size -= (size_t)n;
	}
}

/* Until the end of the stream, or nothing came for so long. The status of the first answer;
 * 0: there is none. */
static int hear(int fd, int patience_ms)
{
	char text[4096], first[16] = "";
	struct pollfd at = { .fd = fd, .events = POLLIN };
	size_t known = 0;
	ssize_t n;

	while (poll(&at, 1, patience_ms) > 0) {
		n = recv(fd, text, sizeof(text), 0);
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n && known < sizeof(first) - 1; i++)
			first[known++] = text[i];
	}
	return strncmp(first, "HTTP/1.", 7) == 0 ? atoi(first + 9) : 0;
}

/* --- requests that are wrong -------------------------------------------------------------- */

static const char *pick(const char *const *list)
{
	unsigned count = 0;

	while (list[count])
		count++;
	return list[any(count)];
}

static const char *const methods[] = { "GET", "PUT", "POST", "DELETE", "HEAD", "BREW",
				       "get", "", "OPTIONS", "CONNECT", NULL };
static const char *const paths[] = {
	"/", "/metrics", "/v1/appliances", "/v1/appliances/../..", "/v1/appliances/%00/drain",
	"/v1/appliances/a/drain", "/v1/regions?limit=-1", "/v1/regions?limit=99999999999999",
	"/v1/regions?cursor=1.%zz", "/v1/clients?cursor=0.ffffffffffffffffff", "*", "",
	"http://other/v1", "/v1/strategies/check", "/%", "/v1/\x01", "//", NULL,
};
static const char *const headers[] = {
	"Host: localhost\r\n", "Host: evil.example\r\n", "Host:\r\n",
	"Content-Length: -1\r\n", "Content-Length: 99999999999999999999\r\n",
	"Content-Length: 5\r\nContent-Length: 7\r\n", "Content-Length: x\r\n",
	"Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked, gzip\r\n",
	"Authorization: Bearer wrong-0123456789\r\n", "Authorization: Bearer\r\n",
	"Authorization: Basic AAAA\r\n", "Origin: null\r\n", "Connection: close\r\n",
	" folded: line\r\n", "no colon\r\n", ": no name\r\n", "Expect: 100-continue\r\n",
	"Upgrade: websocket\r\nConnection: upgrade\r\n", "X\x80\xff: \xfe\r\n", "\n", NULL,
};
static const char *const bodies[] = {
	"", "{", "{\"strategy\":1,\"bytes\":1}", "[[[[[[[[[[[[[[[[[[[[", "ffffffff\r\n",
	"5\r\nabcde\r\n0\r\n\r\n", "-1\r\n", "{\"strategy\":\"mirror 2\",\"bytes\":-5}",
	"{\"strategy\":\"\\u0000\",\"bytes\":1}", "\xff\xfe\x00", NULL,
};

static size_t compose(char *ret, size_t size)
{
	size_t used = (size_t)snprintf(ret, size, "%s %s HTTP/1.%u\r\n", pick(methods),
				       pick(paths), any(3));

	for (unsigned i = any(6); i > 0; i--)
		used += (size_t)snprintf(ret + used, size - used, "%s", pick(headers));
	if (any(4) != 0)
		used += (size_t)snprintf(ret + used, size - used, "\r\n");
	used += (size_t)snprintf(ret + used, size - used, "%s", pick(bodies));
	if (any(3) == 0) /* some bytes are others */
		for (unsigned i = any(8); i > 0; i--)
			ret[any((unsigned)used)] = (char)any(256);
	if (any(8) == 0)
		used = any((unsigned)used);
	return used;
}

/* Longer than the gateway takes: a line, a header, or a body. */
static size_t compose_long(char *ret, size_t size)
{
	static const char *const starts[] = {
		"GET /", "GET / HTTP/1.1\r\nX: ",
		"POST /v1/strategies/check HTTP/1.1\r\nHost: localhost\r\n"
		"Content-Length: 60000\r\n\r\n",
		"GET /?", NULL,
	};
	size_t used = (size_t)snprintf(ret, size, "%s", pick(starts));

	memset(ret + used, any(2) ? 'x' : '&', size - used);
	return size;
}

/* Some are never answered, since the gateway waits for the rest until their time is up: so
 * many are under way at once, and the oldest is given up. */
static int malformed(unsigned long count)
{
	static char text[65536];
	unsigned long answers[10] = { 0 };
	int fds[AT_ONCE];

	for (unsigned long i = 0; i < count + AT_ONCE; i++) {
		int *fd = &fds[i % AT_ONCE];

		if (i >= AT_ONCE) {
			answers[hear(*fd, OLD_MS) / 100 % 10]++;
			close(*fd);
		}
		if (i >= count)
			continue;
		*fd = dial();
		throw_bytes(*fd, text,
			    any(200) == 0 ? compose_long(text, sizeof(text))
					  : compose(text, 8192));
		shutdown(*fd, SHUT_WR);
	}
	printf("none %lu, 2xx %lu, 4xx %lu, 5xx %lu\n", answers[0], answers[2],
	       answers[4], answers[5]);
	return answers[4] == 0;
}

/* --- connections that do not go on ----------------------------------------------------------- */

static int *dial_many(unsigned count)
{
	struct rlimit most;
	int *fds = calloc(count, sizeof(*fds));

	getrlimit(RLIMIT_NOFILE, &most);
	most.rlim_cur = most.rlim_max;
	setrlimit(RLIMIT_NOFILE, &most);
	for (unsigned i = 0; fds && i < count; i++)
		fds[i] = dial();
	return fds;
}

static int slow(unsigned count, uint64_t ms)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
				      "X: a very long header that goes on and on";
	uint64_t until_ns = xm_clock_ns() + ms * XM_MS;
	const struct timespec nap = { .tv_nsec = 50000000 };
	int *fds = dial_many(count);
	unsigned left = count;

	for (unsigned at = 0; left > 0 && xm_clock_ns() < until_ns; at++) {
		left = 0;
		for (unsigned i = 0; i < count; i++) {
			ssize_t n;
			char c;

			if (fds[i] < 0)
				continue;
			send(fds[i], &request[at % (sizeof(request) - 1)], 1, MSG_NOSIGNAL);
			n = recv(fds[i], &c, 1, MSG_DONTWAIT);
			if (n == 0 || (n < 0 && errno != EAGAIN)) {
				close(fds[i]);
				fds[i] = -1;
			}
			left += fds[i] >= 0;
		}
		nanosleep(&nap, NULL);
	}
	free(fds);
	printf("%u of %u go on\n", left, count);
	return left > 0;
}

static int crowd(unsigned count)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
				      "Connection: close\r\n\r\n";
	int *fds = dial_many(count), fd = dial(), status;

	throw_bytes(fd, request, strlen(request));
	status = hear(fd, PATIENCE_MS);
	close(fd);
	for (unsigned i = 0; fds && i < count; i++)
		close(fds[i]);
	free(fds);
	printf("answered with %d beside %u others\n", status, count);
	return status != 200;
}

int main(int argc, char *argv[])
{
	unsigned long count;

	if (argc < 4)
		return 2;
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)atoi(argv[2]));
	count = strtoul(argv[3], NULL, 10);
	xm_rand_seed(&chance, argc > 4 ? strtoul(argv[4], NULL, 10) : 1);
	if (strcmp(argv[1], "malformed") == 0)
		return malformed(count);
	if (strcmp(argv[1], "slow") == 0 && argc > 4)
		return slow((unsigned)count, strtoul(argv[4], NULL, 10));
	if (strcmp(argv[1], "crowd") == 0)
		return crowd((unsigned)count);
	return 2;
}
