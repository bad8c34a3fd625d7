/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of the appliance's turn (appliance/host.c, target.c): a whole appliance
 * in this process, over the loop channel and the loop transport, with a clock
 * of its own. The link to the interface is a queue that a test may stop, as a
 * busy or a stopped interface process would be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/host.h"
#include "tests/support/cunit.h"

#define GRANULE 4096
#define POOL (256 * GRANULE)
#define CLIENTS 4
#define EXTENTS 32
#define QUEUE 4 /* commands on their way; more are told to wait */
#define LEASE_MS 800

extern const struct xm_transport_ops xm_loop;
extern const struct xm_channel_ops xm_loop_channel;

struct world {
	uint64_t now_ns, draws;
	struct xm_channel *local, *remote; /* the client's, the appliance's */
	struct xm_transport *initiator, *transport;
	struct xm_target target;
	struct xm_target_client target_clients[CLIENTS];
	struct xm_host *host;
	struct xm_command queue[QUEUE];
	size_t queue_count;
	bool stopped; /* the interface */
	size_t zero_most;
	uint32_t peer, requests;
	uint8_t *pool;
};

/* --- the link ------------------------------------------------------------- */

static int link_command(void *link, uint32_t place, const struct xm_command *command)
{
	struct world *w = link;

	CU_ASSERT_EQUAL(place, 0);

	if (w->queue_count == QUEUE)
		return -EAGAIN;
	w->queue[w->queue_count++] = *command;
	return 0;
}

static int link_poll(void *link, uint32_t *ret_place, struct xm_report *ret)
{
	struct world *w = link;

	*ret_place = 0;

	if (w->stopped)
		return 0;
	xm_target_poll(&w->target);
	if (xm_target_report(&w->target, ret))
		return 1;
	if (w->queue_count == 0)
		return 0;
	xm_target_do(&w->target, &w->queue[0], ret);
	w->queue_count--;
	memmove(w->queue, w->queue + 1, w->queue_count * sizeof(w->queue[0]));
	return 1;
}

static int link_zero(void *link, uint64_t offset, uint64_t size)
{
	struct world *w = link;

	CU_ASSERT_TRUE_FATAL(xm_span_fits(offset, size, POOL));
	w->zero_most = size > w->zero_most ? size : w->zero_most;
	memset(w->pool + offset, 0, size);
	return 0;
}

static void link_copy(void *link, uint64_t from, uint64_t to, uint64_t size)
{
	struct world *w = link;

	CU_ASSERT_TRUE_FATAL(xm_span_fits(from, size, POOL) &&
		  xm_span_fits(to, size, POOL));
	memcpy(w->pool + to, w->pool + from, size);
}

static void link_draw(void *link, uint8_t *bytes, size_t size)
{
	struct world *w = link;

	memset(bytes, 0, size);
	w->draws++;
	memcpy(bytes, &w->draws, sizeof(w->draws));
}

static void link_log(void *link, enum xm_level level, const char *words)
{
	(void)link;
	(void)level;
	CU_ASSERT(strlen(words) > 0);
}

static const struct xm_link_ops link_ops = {
	.command = link_command,
	.poll = link_poll,
	.zero = link_zero,
	.copy = link_copy,
	.draw = link_draw,
	.log = link_log,
};

/* The loop channel, at which strangers may knock without end. */
static bool knocking;
static unsigned knocks;

static int poll_channel(struct xm_channel *c, struct xm_channel_event *ret)
{
	if (!knocking)
		return xm_loop_channel.poll(c, ret);
	memset(ret, 0, sizeof(*ret));
	ret->kind = XM_CHANNEL_STRANGER;
	ret->words = "somebody";
	knocks++;
	return 1;
}

static struct xm_channel_ops channel_ops;

/* --- the world ------------------------------------------------------------ */

static struct world *world_new(void)
{
	struct xm_transport_options transport = { .address = "loop:host",
						  .target = true };
	struct xm_transport_options initiator = { .address = "loop:host" };
	struct xm_channel_options remote = { .address = "loop:host",
					  .target = true,
					  .peers_max = 2 * CLIENTS };
	struct xm_channel_options local = { .address = "loop:host",
					   .peers_max = 2 * CLIENTS };
	struct xm_service_options o = {
		.name = "test",
		.transport = "loop",
		.pool_size = POOL,
		.granule = GRANULE,
		.peers_max = 2 * CLIENTS,
		.clients_max = CLIENTS,
		.extents_max = EXTENTS,
		.extents_per_client_max = EXTENTS,
		.kept_percent = 100,
		.lease_ms = LEASE_MS,
		.handshake_ns = XM_SECOND,
		.zero_size_max = 2 * GRANULE,
		.revokes = true,
		.admits = true,
	};
	struct world *w = calloc(1, sizeof(*w));
	char words[256] = "";

	w->now_ns = 5 * XM_SECOND;
	w->pool = calloc(1, POOL);
	CU_ASSERT_EQUAL_FATAL(xm_loop.open(&transport, words, sizeof(words),
					   &w->transport), 0);
	CU_ASSERT_EQUAL_FATAL(xm_loop.listen(w->transport, w->pool, POOL,
					     &o.locator), 0);
	CU_ASSERT_EQUAL_FATAL(xm_loop.open(&initiator, words, sizeof(words),
					   &w->initiator), 0);
	CU_ASSERT_EQUAL_FATAL(xm_loop_channel.open(&remote, words, sizeof(words),
						   &w->remote), 0);
	CU_ASSERT_EQUAL_FATAL(xm_loop_channel.open(&local, words, sizeof(words),
						   &w->local), 0);
	xm_target_init(&w->target, &xm_loop, w->transport, w->target_clients,
		       CLIENTS);
	channel_ops = xm_loop_channel;
	channel_ops.poll = poll_channel;
	w->host = xm_host_init(&o, &channel_ops, w->remote, &link_ops, w,
			       malloc(xm_host_size(&o)), w->now_ns);
	return w;
}

static void world_free(struct world *w)
{
	xm_loop_channel.close(w->local);
	xm_loop_channel.close(w->remote);
	xm_loop.close(w->initiator);
	xm_loop.close(w->transport);
	free(w->host);
	free(w->pool);
	free(w);
}

/* Turns until there is nothing more to do at this time. */
static void turn(struct world *w)
{
	int i;

	for (i = 0; i < 2000; i++)
		if (xm_host_turn(w->host, w->now_ns) > w->now_ns &&
		    (w->stopped || w->queue_count == 0))
			return;
	CU_FAIL_FATAL("the turn never ends");
}

static void say(struct world *w, struct xm_message m)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];

	m.request = ++w->requests;
	CU_ASSERT_EQUAL(xm_loop_channel.send(w->local, w->peer, bytes,
					     xm_wire_encode(&m, bytes)), 0);
}

/* The next message for us; kind 0: none. */
static struct xm_message hear(struct world *w)
{
	struct xm_channel_event event;
	struct xm_message m;

	memset(&m, 0, sizeof(m));
	turn(w);
	while (xm_loop_channel.poll(w->local, &event) > 0) {
		if (event.kind != XM_CHANNEL_MESSAGE)
			continue;
		CU_ASSERT_EQUAL_FATAL(xm_wire_decode(event.bytes, event.size,
						     &m), 0);
		return m;
	}
	return m;
}

static struct xm_message ask(struct world *w, struct xm_message m)
{
	say(w, m);
	return hear(w);
}

static struct xm_message ask_kind(struct world *w, enum xm_message_kind kind)
{
	return ask(w, (struct xm_message){ .kind = kind });
}

static void join(struct world *w)
{
	struct xm_message m = { .kind = XM_HELLO };

	CU_ASSERT_EQUAL(xm_loop_channel.connect(w->local, "loop:host",
						&w->peer), 0);
	m.u.hello.version_min = XM_PROTOCOL_VERSION_MIN;
	m.u.hello.version_max = XM_PROTOCOL_VERSION;
	memcpy(m.u.hello.name, "host test", 10);
	CU_ASSERT_EQUAL_FATAL(ask(w, m).kind, XM_WELCOME);
}

static struct xm_allocated take(struct world *w, uint64_t size)
{
	struct xm_message m = { .kind = XM_ALLOC };

	m.u.alloc.size = size;
	m = ask(w, m);
	CU_ASSERT_EQUAL_FATAL(m.kind, XM_ALLOCATED);
	return m.u.allocated;
}

static uint32_t connect_data(struct world *w)
{
	struct xm_message m = ask_kind(w, XM_TICKET);
	struct xm_transport_event event;
	uint32_t peer;

	CU_ASSERT_EQUAL_FATAL(m.kind, XM_TICKETED);
	CU_ASSERT_EQUAL_FATAL(xm_loop.connect(w->initiator,
					      &m.u.ticketed.locator,
					      m.u.ticketed.ticket, &peer), 0);
	turn(w);
	CU_ASSERT_EQUAL_FATAL(xm_loop.poll(w->initiator, &event, 1), 1);
	CU_ASSERT_EQUAL_FATAL(event.kind, XM_TRANSPORT_UP);
	return peer;
}

/* 0, or why the write or read failed. */
static int access_far(struct world *w, uint32_t peer, const struct xm_remote_mr *remote,
		      uint64_t offset, void *bytes, size_t size, bool write)
{
	struct xm_transport_event event;
	int r = write ? xm_loop.write(w->initiator, peer, remote, offset, bytes,
				      size, 1)
		      : xm_loop.read(w->initiator, peer, remote, offset, bytes,
				     size, 1);

	if (r != 0)
		return r;
	do {
		if (xm_loop.poll(w->initiator, &event, 1) == 0)
			return -ETIMEDOUT;
	} while (event.kind != XM_TRANSPORT_DONE);
	return event.status;
}

/* --- the tests ------------------------------------------------------------ */

static void a_clients_life_from_hello_to_bye(void)
{
	struct world *w = world_new();
	char bytes[100] = "kept", back[100] = "";
	struct xm_allocated t;
	uint32_t peer;

	join(w);
	t = take(w, 10 * GRANULE);
	peer = connect_data(w);
	CU_ASSERT_EQUAL(access_far(w, peer, &t.remote, 5000, bytes, 100, true), 0);
	CU_ASSERT_EQUAL(access_far(w, peer, &t.remote, 5000, back, 100, false),
			0);
	CU_ASSERT_STRING_EQUAL(back, "kept");
	turn(w);
	CU_ASSERT_EQUAL(xm_host_service(w->host)->clients[0].connections, 1);
	CU_ASSERT_EQUAL(ask_kind(w, XM_BYE).kind, XM_FREED);
	CU_ASSERT_NOT_EQUAL(access_far(w, peer, &t.remote, 0, bytes, 100, true),
			    0);
	turn(w);
	CU_ASSERT_EQUAL(xm_host_service(w->host)->pools[0].free, POOL);
	CU_ASSERT_EQUAL(w->pool[5000], 0);
	CU_ASSERT_EQUAL(w->zero_most, 2 * GRANULE);
	world_free(w);
}

static void a_given_extent_cannot_be_written_any_more(void)
{
	struct world *w = world_new();
	struct xm_message m = { .kind = XM_FREE };
	char bytes[100] = "late";
	struct xm_allocated t;
	uint32_t peer;

	join(w);
	t = take(w, POOL);
	peer = connect_data(w);
	m.u.free.extent = t.extent;
	CU_ASSERT_EQUAL(ask(w, m).kind, XM_FREED);
	CU_ASSERT_NOT_EQUAL(access_far(w, peer, &t.remote, 0, bytes, 100, true),
			    0);
	CU_ASSERT_EQUAL(w->pool[0], 0);
	t = take(w, POOL);
	world_free(w);
}

static void commands_wait_for_a_busy_interface(void)
{
	struct world *w = world_new();
	struct xm_message m = { .kind = XM_ALLOC };
	int i, taken = 0;

	join(w);
	w->stopped = true;
	m.u.alloc.size = GRANULE;
	for (i = 0; i < EXTENTS; i++)
		say(w, m);
	/* Its place in the queue is short; nothing is lost or refused. */
	CU_ASSERT_EQUAL(hear(w).kind, 0);
	CU_ASSERT_EQUAL(w->queue_count, QUEUE);
	/* Nobody has to say that there is room again. */
	CU_ASSERT(xm_host_turn(w->host, w->now_ns) <=
		  w->now_ns + 10 * XM_MS);
	/* And others are answered. */
	CU_ASSERT_EQUAL(ask_kind(w, XM_PING).kind, XM_PONG);
	w->stopped = false;
	while (hear(w).kind == XM_ALLOCATED)
		taken++;
	CU_ASSERT_EQUAL(taken, EXTENTS);
	world_free(w);
}

static void bytes_that_are_no_message_end_the_stream(void)
{
	struct world *w = world_new();
	struct xm_channel_event event;
	int downs = 0;

	join(w);
	CU_ASSERT_EQUAL(xm_loop_channel.send(w->local, w->peer, "nonsense", 8),
			0);
	turn(w);
	while (xm_loop_channel.poll(w->local, &event) > 0)
		downs += event.kind == XM_CHANNEL_DOWN;
	CU_ASSERT_EQUAL(downs, 1);
	CU_ASSERT_EQUAL(xm_host_service(w->host)->malformed, 1);
	/* The client has its lease still. */
	CU_ASSERT_EQUAL(xm_host_service(w->host)->clients_count, 1);
	world_free(w);
}

static void a_peer_that_does_not_read_is_dropped(void)
{
	struct world *w = world_new();
	struct xm_message m = { .kind = XM_STATUS };
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	int i;

	join(w);
	for (i = 0; i < 10000; i++) {
		if (xm_loop_channel.send(w->local, w->peer, bytes,
					 xm_wire_encode(&m, bytes)) != 0)
			break;
		turn(w);
	}
	CU_ASSERT(i < 10000);
	turn(w);
	CU_ASSERT_EQUAL(xm_host_service(w->host)->peers_count, 0);
	CU_ASSERT_EQUAL(xm_host_service(w->host)->clients_count, 1);
	world_free(w);
}

static void a_silent_client_is_expelled_from_the_transport(void)
{
	struct world *w = world_new();
	char bytes[8] = "late";
	struct xm_allocated t;
	uint32_t peer;
	int i;

	join(w);
	t = take(w, GRANULE);
	peer = connect_data(w);
	for (i = 0; i < 20; i++) {
		w->now_ns += LEASE_MS / 10 * XM_MS;
		turn(w);
	}
	CU_ASSERT_EQUAL(xm_host_service(w->host)->clients_count, 0);
	CU_ASSERT_EQUAL(xm_host_service(w->host)->pools[0].free, POOL);
	CU_ASSERT_NOT_EQUAL(access_far(w, peer, &t.remote, 0, bytes, 8, true), 0);
	CU_ASSERT_EQUAL(w->target.clients_count, 0);
	world_free(w);
}

static void a_drain_ends_when_clients_hold_nothing(void)
{
	struct world *w = world_new();
	struct xm_message m;

	join(w);
	take(w, GRANULE);
	CU_ASSERT_FALSE(xm_host_is_drained(w->host));
	xm_host_drain(w->host, w->now_ns, 1234);
	m = hear(w);
	CU_ASSERT_EQUAL(m.kind, XM_LEAVING);
	CU_ASSERT_EQUAL(m.u.leaving.ms, 1234);
	CU_ASSERT_FALSE(xm_host_is_drained(w->host));
	ask_kind(w, XM_BYE);
	turn(w);
	CU_ASSERT_TRUE(xm_host_is_drained(w->host));
	world_free(w);
}

static void a_false_report_changes_nothing(void)
{
	struct world *w = world_new();
	struct xm_service_effects effects;
	struct xm_message m;
	struct xm_allocated t;
	uint64_t grant;
	int kind;

	join(w);
	t = take(w, GRANULE);
	grant = xm_host_service(w->host)->grants[0].number;
	/* As an interface that went wrong might send them. */
	for (kind = XM_SERVICE_EXPOSED; kind <= XM_SERVICE_ZEROED; kind++) {
		struct xm_service_event event = {
			.kind = (enum xm_service_event_kind)kind,
			.now_ns = w->now_ns,
			.extent = t.extent,
			.grant = grant,
			.client = UINT64_MAX,
			.cookie = UINT32_MAX,
			.connections = UINT32_MAX,
		};

		xm_service_step(xm_host_service(w->host), &event, &effects);
		event.extent = event.grant = UINT64_MAX;
		event.client = xm_host_service(w->host)->clients[0].number;
		xm_service_step(xm_host_service(w->host), &event, &effects);
		CU_ASSERT_PTR_NULL(xm_service_check(xm_host_service(w->host)));
	}
	m = ask_kind(w, XM_STATUS);
	CU_ASSERT_EQUAL(xm_figures_get(&m.u.state.figures, XM_FIGURE_LEASED),
			GRANULE);
	world_free(w);
}

static void a_turn_has_four_strangers_and_the_next_follows_at_once(void)
{
	struct world *w = world_new();

	knocking = true;
	CU_ASSERT_EQUAL(xm_host_turn(w->host, w->now_ns), w->now_ns);
	CU_ASSERT_EQUAL(knocks, 4);
	knocking = false;
	world_free(w);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_clients_life_from_hello_to_bye),
		XM_TEST(a_given_extent_cannot_be_written_any_more),
		XM_TEST(commands_wait_for_a_busy_interface),
		XM_TEST(bytes_that_are_no_message_end_the_stream),
		XM_TEST(a_peer_that_does_not_read_is_dropped),
		XM_TEST(a_silent_client_is_expelled_from_the_transport),
		XM_TEST(a_drain_ends_when_clients_hold_nothing),
		XM_TEST(a_false_report_changes_nothing),
		XM_TEST(a_turn_has_four_strangers_and_the_next_follows_at_once),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("host", tests);
}
