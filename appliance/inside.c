/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An appliance inside a process; see inside.h.
 *
 * What are two processes in extmemd is one thread here, and the socket pair
 * between them a queue: a command is done at once, and its answer waits for
 * the next poll. Over the loop transport a client moves bytes by itself, so
 * the thread has to do with control messages alone, and sleeps between them.
 */
#include "appliance/inside.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "config.h"

#include "core/pure/channel.h"
#include "appliance/host.h"
#include "appliance/target.h"
#include "common/clock.h"
#include "core/pure/transport.h"

#define CLIENTS_MAX 64
#define STREAMS_MAX (2 * CLIENTS_MAX)
#define EXTENTS_MAX 1024
#define ANSWERS_MAX 64
#define SPARE 4 /* answers: changed counts come unasked */
#define WAIT_MAX_NS (10 * XM_MS)

struct xm_inside {
	const struct xm_transport_ops *transport_ops;
	const struct xm_channel_ops *channel_ops;
	struct xm_transport *transport;
	struct xm_channel *channel;
	struct xm_target target;
	struct xm_target_client clients[CLIENTS_MAX];
	struct xm_host *host;
	uint8_t *pool;
	uint64_t size;
	struct xm_report answers[ANSWERS_MAX]; /* a ring */
	uint32_t first, count;
	pthread_t thread;
	bool running;
	atomic_bool ending;
};

/* --- the link ------------------------------------------------------------------ */

static struct xm_report *answer_next(struct xm_inside *x)
{
	return &x->answers[(x->first + x->count) % ANSWERS_MAX];
}

/* Changed counts go ahead of every answer, see target.h. */
static void counts(struct xm_inside *x)
{
	while (x->count < ANSWERS_MAX &&
	       xm_target_report(&x->target, answer_next(x)))
		x->count++;
}

static int link_command(void *link, uint32_t place, const struct xm_command *command)
{
	struct xm_inside *x = link;

	(void)place;
	counts(x);
	if (x->count > ANSWERS_MAX - SPARE)
		return -EAGAIN;
	xm_target_do(&x->target, command, answer_next(x));
	x->count++;
	return 0;
}

static int link_poll(void *link, uint32_t *ret_place, struct xm_report *ret)
{
	struct xm_inside *x = link;

	*ret_place = 0;
	counts(x);
	if (x->count == 0)
		return 0;
	*ret = x->answers[x->first];
	x->first = (x->first + 1) % ANSWERS_MAX;
	x->count--;
	return 1;
}

static int link_zero(void *link, uint64_t offset, uint64_t size)
{
	struct xm_inside *x = link;

	XM_ASSERT(xm_span_fits(offset, size, x->size));
	memset(x->pool + offset, 0, size);
	return 0;
}

static void link_copy(void *link, uint64_t from, uint64_t to, uint64_t size)
{
	struct xm_inside *x = link;

	XM_ASSERT(xm_span_fits(from, size, x->size) &&
		  xm_span_fits(to, size, x->size));
	memcpy(x->pool + to, x->pool + from, size);
}

/* Nobody asks it to shrink. */
static void link_release(void *link, uint64_t offset, uint64_t size)
{
	link_zero(link, offset, size);
}

static int link_take(void *link, uint64_t offset, uint64_t size)
{
	(void)link;
	(void)offset;
	(void)size;
	return 0;
}

static void link_draw(void *link, uint8_t *bytes, size_t size)
{
	(void)link;
	XM_ASSERT(size <= 256);
	XM_ASSERT(getrandom(bytes, size, 0) == (ssize_t)size);
}

static void link_log(void *link, enum xm_level level, const char *words)
{
	(void)link;
	(void)level;
	(void)words;
}

static const struct xm_link_ops link_ops = {
	.command = link_command,
	.poll = link_poll,
	.zero = link_zero,
	.copy = link_copy,
	.release = link_release,
	.take = link_take,
	.draw = link_draw,
	.log = link_log,
};

static void *run(void *argument)
{
	struct xm_inside *x = argument;

	while (!atomic_load(&x->ending)) {
		uint64_t now_ns, next_ns;
		int seen = xm_target_poll(&x->target);

		now_ns = xm_clock_ns();
		next_ns = xm_host_turn(x->host, now_ns);
		if (seen == 0 && next_ns > now_ns && x->count == 0)
			x->channel_ops->wait(x->channel, -1,
					     xm_min(next_ns - now_ns,
						    WAIT_MAX_NS));
	}
	return NULL;
}

/* --- start and end ---------------------------------------------------------------- */

static int find_ops(struct xm_inside *x)
{
	for (unsigned i = 0; xm_transports[i] != NULL; i++) {
		if (strcmp(xm_transports[i]->scheme, "loop") == 0)
			x->transport_ops = xm_transports[i];
	}
	for (unsigned i = 0; xm_channels[i] != NULL; i++) {
		if (strcmp(xm_channels[i]->scheme, "loop") == 0)
			x->channel_ops = xm_channels[i];
	}
	return x->transport_ops != NULL && x->channel_ops != NULL ? 0
								  : -ENOSYS;
}

static int open_ends(struct xm_inside *x, const char *address, char *words,
		     size_t words_size, struct xm_locator *ret)
{
	struct xm_channel_options co = { .address = address, .target = true,
					 .peers_max = STREAMS_MAX };
	struct xm_transport_options to = { .address = address,
					   .target = true };
	int rc = find_ops(x);

	if (rc == 0)
		rc = x->channel_ops->open(&co, words, words_size, &x->channel);
	if (rc == 0)
		rc = x->transport_ops->open(&to, words, words_size,
					    &x->transport);
	if (rc != 0)
		return rc;
	rc = x->transport_ops->listen(x->transport, x->pool, x->size, ret);
	if (rc != 0)
		snprintf(words, words_size, "%s",
			 x->transport_ops->last_error(x->transport));
	return rc;
}

static int open_host(struct xm_inside *x, const struct xm_locator *locator,
		     char *words, size_t words_size)
{
	struct xm_transport_limits limits;
	struct xm_service_options o = {
		.name = "inside",
		.transport = "loop",
		.provider = "loop",
		.library = PACKAGE_VERSION,
		.pool_size = x->size,
		.granule = XM_GRANULE,
		.peers_max = STREAMS_MAX,
		.clients_max = CLIENTS_MAX,
		.extents_max = EXTENTS_MAX,
		.extents_per_client_max = EXTENTS_MAX,
		.kept_percent = 100,
		.lease_ms = 10000,
		.handshake_ns = 5 * XM_SECOND,
		.zero_size_max = 4 * XM_MIB,
		.locator = *locator,
	};
	char said[XM_WORDS_SIZE] = "";
	void *memory;

	x->transport_ops->limits(x->transport, &limits);
	o.revokes = limits.revokes;
	o.admits = limits.admits;
	link_draw(x, (uint8_t *)&o.incarnation, sizeof(o.incarnation));
	if (xm_service_options_check(&o, said) != 0) {
		snprintf(words, words_size, "%s", said);
		return -EINVAL;
	}
	memory = malloc(xm_host_size(&o));
	if (memory == NULL) {
		snprintf(words, words_size, "out of memory");
		return -ENOMEM;
	}
	x->host = xm_host_init(&o, x->channel_ops, x->channel, &link_ops, x,
			       memory, xm_clock_ns());
	return 0;
}

int xm_inside_start(const char *address, uint64_t size, char *words,
		    size_t words_size, struct xm_inside **ret)
{
	struct xm_inside *x = calloc(1, sizeof(*x));
	struct xm_locator locator;
	int rc = -ENOMEM;

	snprintf(words, words_size, "out of memory");
	if (x == NULL)
		return rc;
	x->size = xm_align_up(size, XM_GRANULE);
	x->pool = mmap(NULL, x->size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (x->pool == MAP_FAILED)
		x->pool = NULL;
	if (x->pool != NULL)
		rc = open_ends(x, address, words, words_size, &locator);
	if (rc == 0) {
		xm_target_init(&x->target, x->transport_ops, x->transport,
			       x->clients, CLIENTS_MAX);
		rc = open_host(x, &locator, words, words_size);
	}
	if (rc == 0) {
		rc = -pthread_create(&x->thread, NULL, run, x);
		x->running = rc == 0;
	}
	if (rc != 0) {
		xm_inside_stop(x);
		return rc;
	}
	*ret = x;
	return 0;
}

void xm_inside_stop(struct xm_inside *x)
{
	if (x == NULL)
		return;
	if (x->running) {
		atomic_store(&x->ending, true);
		pthread_join(x->thread, NULL);
	}
	if (x->transport != NULL)
		x->transport_ops->close(x->transport);
	if (x->channel != NULL)
		x->channel_ops->close(x->channel);
	free(x->host);
	if (x->pool != NULL)
		munmap(x->pool, x->size);
	free(x);
}
