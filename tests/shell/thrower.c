/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Throws nonsense at a living extmemd while a good client of the same daemon
 * goes on: it holds memory, and every PING must be answered in time.
 *
 *	thrower ADDRESS COUNT SEED
 *
 * ADDRESS is ofi+tcp://IPV4:PORT. If EXTMEM_AUTH names a credential file, the good
 * client has it, and the others do not get past the handshake. Ends with 0 when all COUNT were thrown, the
 * good client was served to the end, and the daemon counted nonsense and freed
 * nothing of the good client's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "transports/stream.h"
#include "core/pure/wire.h"

#define HELD_MAX 24 /* streams left open behind */
#define PING_EVERY 50
#define ANSWER_NS (10 * XM_SECOND)
#define TAKE_SIZE (1 * XM_MIB)

static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) +
		       UINT64_C(1442695040888963407);
	return (random_state >> 33) % below;
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * XM_SECOND + (uint64_t)now.tv_nsec;
}

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "thrower: %s\n", what);
	exit(1);
}

/* --- the good client ------------------------------------------------------ */

static struct xm_channel *channel;
static uint32_t peer;
static const char *auth; /* or NULL */
static uint32_t requests;

static struct xm_message ask(struct xm_message question,
			     enum xm_message_kind wanted)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	uint64_t end_ns = clock_ns() + ANSWER_NS;
	struct xm_channel_event event;
	struct xm_message answer;
	size_t size;

	question.request = ++requests;
	size = xm_wire_encode(&question, bytes);
	if (xm_stream_tcp.send(channel, peer, bytes, size) != 0)
		die("the good client cannot send");
	while (clock_ns() < end_ns) {
		if (xm_stream_tcp.poll(channel, &event) == 0) {
			xm_stream_tcp.wait(channel, -1, XM_SECOND);
			continue;
		}
		if (event.kind == XM_CHANNEL_DOWN)
			die("the good client was dropped");
		if (event.kind != XM_CHANNEL_MESSAGE)
			continue;
		if (xm_wire_decode(event.bytes, event.size, &answer) != 0)
			die("the daemon talks nonsense");
		if (answer.request != question.request)
			continue;
		if (answer.kind != wanted) {
			fprintf(stderr, "thrower: %s, not %s: %s\n",
				xm_message_name(answer.kind),
				xm_message_name(wanted),
				answer.kind == XM_REFUSED
					? answer.u.refused.words : "");
			exit(1);
		}
		return answer;
	}
	die("the good client was not answered in time");
}

static void good_begin(const char *address)
{
	struct xm_channel_options options = { .peers_max = 1, .auth = auth };
	struct xm_message m = { .kind = XM_HELLO };
	struct xm_channel_event event;
	char words[512];
	int r;

	if (xm_stream_tcp.open(&options, words, sizeof(words), &channel) != 0)
		die(words);
	xm_stream_tcp.resolve(channel, address);
	r = xm_stream_tcp.connect(channel, address, &peer);
	while (r == 0 && xm_stream_tcp.poll(channel, &event) == 0)
		xm_stream_tcp.wait(channel, -1, XM_SECOND);
	if (r != 0 || event.kind != XM_CHANNEL_UP) {
		xm_channel_explain(address, r != 0 ? r : event.status, false,
				   words, sizeof(words));
		die(words);
	}
	m.u.hello.version_min = XM_PROTOCOL_VERSION_MIN;
	m.u.hello.version_max = XM_PROTOCOL_VERSION;
	snprintf(m.u.hello.name, sizeof(m.u.hello.name), "good client");
	ask(m, XM_WELCOME);
	memset(&m, 0, sizeof(m));
	m.kind = XM_ALLOC;
	m.u.alloc.size = TAKE_SIZE;
	ask(m, XM_ALLOCATED);
}

/* --- the bad ones --------------------------------------------------------- */

static struct sockaddr_in target;

static int dial(void)
{
	struct timeval timeout = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&target,
			      sizeof(target)) != 0) {
		perror("thrower: connect");
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	return fd;
}

static size_t put_size(uint8_t *at, uint32_t size)
{
	at[0] = (uint8_t)size;
	at[1] = (uint8_t)(size >> 8);
	at[2] = (uint8_t)(size >> 16);
	at[3] = (uint8_t)(size >> 24);
	return 4;
}

static size_t put_message(uint8_t *at, const struct xm_message *m)
{
	size_t size = xm_wire_encode(m, at + 4);

	return put_size(at, (uint32_t)size) + size;
}

static size_t put_hello(uint8_t *at, uint16_t version)
{
	struct xm_message m = { .kind = XM_HELLO, .request = 1 };

	m.u.hello.version_min = m.u.hello.version_max = version;
	m.u.hello.client = draw(4) == 0 ? draw(UINT64_C(1) << 21) : 0;
	m.u.hello.flags = draw(3) == 0 ? XM_HELLO_OBSERVER : 0;
	snprintf(m.u.hello.name, sizeof(m.u.hello.name), "bad");
	return put_message(at, &m);
}

static size_t put_noise(uint8_t *at, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		at[i] = (uint8_t)draw(256);
	return size;
}

static size_t nonsense(uint8_t *at)
{
	static const char http[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct xm_message m = { .kind = XM_PING };
	size_t size = 4, n;

	memcpy(at, "XMC1", 4);
	switch (draw(12)) {
	case 0: /* another protocol */
		memcpy(at, http, sizeof(http) - 1);
		return sizeof(http) - 1;
	case 1: /* or what may be the first record of a handshake */
		size = put_noise(at, 6 + draw(3000));
		if (auth != NULL)
			memcpy(at, "\x16\x03\x01\x01\x00\x01", 6);
		return size;
	case 2: /* half of the magic */
		return 2;
	case 3: /* sizes that cannot be */
		size += put_size(at + size, 0);
		return size + put_noise(at + size, draw(64));
	case 4:
		size += put_size(at + size, XM_MESSAGE_SIZE_MAX + 1);
		return size + put_noise(at + size, draw(2000));
	case 5:
		size += put_size(at + size, UINT32_MAX - (uint32_t)draw(9));
		return size + put_noise(at + size, draw(2000));
	case 6: /* a frame that never ends */
		size += put_size(at + size, 100);
		return size + put_noise(at + size, draw(99));
	case 7: /* a whole frame of noise */
		n = 1 + draw(XM_MESSAGE_SIZE_MAX);
		size += put_size(at + size, (uint32_t)n);
		return size + put_noise(at + size, n);
	case 8: /* another version */
		size += put_hello(at + size,
				  (uint16_t)(XM_PROTOCOL_VERSION + 1 +
					     draw(65000)));
		break;
	case 9: /* a message with one byte changed */
		n = put_hello(at + size, XM_PROTOCOL_VERSION);
		at[size + 4 + draw(n - 4)] ^= (uint8_t)(1 + draw(255));
		return size + n;
	case 10: /* no HELLO before it */
		m.kind = (enum xm_message_kind)(2 + draw(XM_MESSAGE_KINDS - 2));
		break;
	default: /* in order, and then not */
		size += put_hello(at + size, XM_PROTOCOL_VERSION);
		m.kind = (enum xm_message_kind)(1 + draw(XM_MESSAGE_KINDS - 1));
		if (m.kind == XM_ALLOC && draw(3) == 0)
			m.u.alloc.size = UINT64_MAX;
	}
	return size + put_message(at + size, &m);
}

static void throw_one(int *held)
{
	static uint8_t bytes[4 * XM_MESSAGE_SIZE_MAX];
	size_t size = nonsense(bytes);
	int fd = dial();
	char waste[512];

	(void)!send(fd, bytes, size, MSG_NOSIGNAL);
	switch (draw(4)) {
	case 0: /* stay, silent */
		if (*held >= 0)
			close(*held);
		*held = fd;
		return;
	case 1: /* wait for what comes, but say no more */
		shutdown(fd, SHUT_WR);
		while (recv(fd, waste, sizeof(waste), 0) > 0)
			;
		break;
	default:
		break;
	}
	close(fd);
}

int main(int argc, char **argv)
{
	const struct xm_figures *figures;
	struct xm_message question = { .kind = XM_PING };
	struct xm_message answer;
	int held[HELD_MAX];
	char host[64];
	unsigned int port;
	uint64_t count, i;

	if (argc != 4 ||
	    sscanf(argv[1], "ofi+tcp://%63[0-9.]:%u", host, &port) != 2)
		die("usage: thrower ofi+tcp://IPV4:PORT COUNT SEED");
	auth = getenv("EXTMEM_AUTH");
	count = strtoull(argv[2], NULL, 10);
	random_state = strtoull(argv[3], NULL, 10);
	target.sin_family = AF_INET;
	target.sin_port = htons((uint16_t)port);
	inet_pton(AF_INET, host, &target.sin_addr);
	for (i = 0; i < HELD_MAX; i++)
		held[i] = -1;
	good_begin(argv[1]);
	for (i = 0; i < count; i++) {
		throw_one(&held[draw(HELD_MAX)]);
		if (i % PING_EVERY == 0)
			ask(question, XM_PONG);
	}
	question.kind = XM_STATUS;
	answer = ask(question, XM_STATE);
	figures = &answer.u.state.figures;
	printf("thrown %" PRIu64 ": %" PRIu64 " counted as nonsense, %" PRIu64
	       " refused, %" PRIu64 " clients, %" PRIu64 " bytes leased\n",
	       count, xm_figures_get(figures, XM_FIGURE_MALFORMED),
	       xm_figures_get(figures, XM_FIGURE_REFUSED),
	       xm_figures_get(figures, XM_FIGURE_CLIENTS),
	       xm_figures_get(figures, XM_FIGURE_LEASED));
	if ((auth == NULL &&
	     xm_figures_get(figures, XM_FIGURE_MALFORMED) < count / 10) ||
	    (auth != NULL &&
	     xm_figures_get(figures, XM_FIGURE_MALFORMED) > 0) ||
	    xm_figures_get(figures, XM_FIGURE_LEASED) < TAKE_SIZE)
		die("the daemon's counts are wrong");
	question.kind = XM_BYE;
	ask(question, XM_FREED);
	for (i = 0; i < HELD_MAX; i++)
		if (held[i] >= 0)
			close(held[i]);
	xm_stream_tcp.close(channel);
	return 0;
}
