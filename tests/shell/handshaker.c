/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts handshakes: connects to a living extmemd, waits until the stream is up there and
 * here, and hangs up, again and again; one at a time.
 *
 *	handshaker ADDRESS COUNT
 *
 * EXTMEM_AUTH names a credential file, or there is none. Prints how many a second, and the
 * microseconds of this process's processor time that one took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "transports/stream.h"

#define ANSWER_NS (10 * XM_SECOND)

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "handshaker: %s\n", what);
	exit(1);
}

/* The next event of this kind. */
static void await(struct xm_channel *c, const char *address, enum xm_channel_event_kind kind)
{
	uint64_t end_ns = xm_clock_ns() + ANSWER_NS;
	struct xm_channel_event event;
	char words[512];

	while (xm_clock_ns() < end_ns) {
		if (xm_stream_tcp.poll(c, &event) == 0) {
			xm_stream_tcp.wait(c, -1, XM_SECOND);
			continue;
		}
		if (event.kind == kind)
			return;
		if (event.kind != XM_CHANNEL_DOWN)
			continue;
		if (event.words != NULL)
			die(event.words);
		xm_channel_explain(address, event.status, false, words, sizeof(words));
		die(words);
	}
	die("no answer");
}

/* It is up here once the appliance, for which it was up, has greeted. */
static void one(struct xm_channel *c, const char *address)
{
	uint32_t peer;

	if (xm_stream_tcp.connect(c, address, &peer) != 0)
		die("cannot connect");
	await(c, address, XM_CHANNEL_UP);
	xm_stream_tcp.disconnect(c, peer);
}

int main(int argc, char **argv)
{
	struct xm_channel_options options = { .peers_max = 1,
					      .auth = getenv("EXTMEM_AUTH") };
	struct xm_channel *c = NULL;
	struct timespec used;
	uint64_t began_ns;
	char words[512];
	int count;

	if (argc != 3 || (count = atoi(argv[2])) < 1)
		die("usage: handshaker ADDRESS COUNT");
	if (xm_stream_tcp.open(&options, words, sizeof(words), &c) != 0)
		die(words);
	xm_stream_tcp.resolve(c, argv[1]);
	began_ns = xm_clock_ns();
	for (int i = 0; i < count; i++)
		one(c, argv[1]);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	printf("%.0f a second, %.0f us of the client's processor time each\n",
	       (double)count * 1e9 / (double)(xm_clock_ns() - began_ns),
	       ((double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3) / count);
	xm_stream_tcp.close(c);
	return 0;
}
