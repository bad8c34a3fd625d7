/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper, the control turn below it, and two lanes: one appliance behind
 * a channel and a transport that do as they are told. What goes over the
 * channel is wire.h's bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "core/engine/keeper.h"

enum { PAGE = 64, PAGES = 64, BLOCK = 8, LANES = 2, EVENTS = 64 };

/* --- a channel on strings ------------------------------------------------------------ */

struct xm_channel {
	int connect_status, send_status;
	uint32_t peer, connects, disconnects;
	bool connected;
	struct xm_message sent[EVENTS]; /* by the client */
	uint32_t sent_count;
	struct xm_channel_event events[EVENTS];
	uint8_t bytes[EVENTS][XM_MESSAGE_SIZE_MAX];
	uint32_t first, last;
};

static struct xm_channel channel;

static int channel_connect(struct xm_channel *c, const char *address,
			   uint32_t *ret)
{
	CU_ASSERT_STRING_EQUAL(address, "fake:1");
	c->connects++;
	if (c->connect_status != 0)
		return c->connect_status;
	CU_ASSERT_FALSE(c->connected);
	c->connected = true;
	*ret = ++c->peer;
	return 0;
}

static int channel_resolve(struct xm_channel *c, const char *address)
{
	(void)c;
	(void)address;
	return 0;
}

static void channel_disconnect(struct xm_channel *c, uint32_t peer)
{
	CU_ASSERT_TRUE(c->connected && peer == c->peer);
	c->connected = false;
	c->disconnects++;
}

static int channel_send(struct xm_channel *c, uint32_t peer, const void *bytes,
			size_t size)
{
	CU_ASSERT_TRUE(c->connected && peer == c->peer);
	if (c->send_status != 0)
		return c->send_status;
	CU_ASSERT_FATAL(c->sent_count < EVENTS);
	CU_ASSERT_EQUAL(xm_wire_decode(bytes, size,
				       &c->sent[c->sent_count]), 0);
	c->sent_count++;
	return 0;
}

static int channel_poll(struct xm_channel *c, struct xm_channel_event *ret)
{
	if (c->first == c->last)
		return 0;
	*ret = c->events[c->first++ % EVENTS];
	return 1;
}

static const struct xm_channel_ops channel_ops = {
	.scheme = "fake",
	.resolve = channel_resolve,
	.connect = channel_connect,
	.disconnect = channel_disconnect,
	.send = channel_send,
	.poll = channel_poll,
};

static struct xm_channel_event *channel_event(enum xm_channel_event_kind kind)
{
	struct xm_channel_event *e = &channel.events[channel.last++ % EVENTS];

	memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->peer = channel.peer;
	return e;
}

static void say(const struct xm_message *message)
{
	uint8_t *bytes = channel.bytes[channel.last % EVENTS];
	struct xm_channel_event *e = channel_event(XM_CHANNEL_MESSAGE);

	e->bytes = bytes;
	e->size = xm_wire_encode(message, bytes);
}

/* --- transports that only connect ------------------------------------------------------ */

struct xm_transport {
	uint32_t connects, peer;
	uint8_t ticket;
	bool connected, say_up, say_down;
};

static struct xm_transport transports[LANES];

static void transport_limits(struct xm_transport *t,
			     struct xm_transport_limits *ret)
{
	(void)t;
	memset(ret, 0, sizeof(*ret));
	ret->size_max = 64 * PAGE;
}

static int transport_connect(struct xm_transport *t,
			     const struct xm_locator *locator,
			     const uint8_t *ticket, uint32_t *ret)
{
	CU_ASSERT_EQUAL(locator->size, 3);
	CU_ASSERT_FALSE(t->connected);
	t->connects++;
	t->ticket = ticket[0];
	t->connected = t->say_up = true;
	*ret = ++t->peer;
	return 0;
}

static void transport_disconnect(struct xm_transport *t, uint32_t peer)
{
	CU_ASSERT_TRUE(t->connected && peer == t->peer);
	t->connected = false;
}

static int transport_read(struct xm_transport *t, uint32_t peer,
			  const struct xm_remote_mr *remote, uint64_t offset,
			  void *local, size_t size, uint64_t token)
{
	(void)t;
	(void)peer;
	(void)remote;
	(void)offset;
	(void)local;
	(void)size;
	(void)token;
	return -EAGAIN;
}

static int transport_poll(struct xm_transport *t,
			  struct xm_transport_event *ret, int count)
{
	(void)count;
	if (!t->say_up && !t->say_down)
		return 0;
	*ret = (struct xm_transport_event){
		.kind = t->say_up ? XM_TRANSPORT_UP : XM_TRANSPORT_DOWN,
		.peer = t->peer };
	t->say_up = t->say_down = false;
	return 1;
}

static const struct xm_transport_ops transport_ops = {
	.scheme = "fake",
	.limits = transport_limits,
	.connect = transport_connect,
	.disconnect = transport_disconnect,
	.read = transport_read,
	.poll = transport_poll,
};

static void no_poison(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	(void)m;
	(void)page;
	(void)count;
}

static const struct xm_mapper_ops mapper_ops = { .name = "fake",
						 .poison = no_poison };

/* --- a client ------------------------------------------------------------------------------ */

static struct xm_keeper keeper;
static struct xm_engine engines[LANES];
static struct xm_volume volume;
static struct xm_segment segments[4];
static void *memory[LANES];
static uint8_t stage[LANES][32 * PAGE];
static uint64_t now;
static unsigned held;
static struct {
	unsigned ready, away, lost, answers;
	uint64_t token;
	int status;
} told;

static void take(void *owner, uint32_t lane)
{
	(void)owner;
	(void)lane;
	CU_ASSERT_EQUAL(held, 0); /* a turn never holds two */
	held++;
}

static void give(void *owner, uint32_t lane)
{
	(void)owner;
	(void)lane;
	held--;
}

static void on_report(void *owner, const struct xm_control_report *report)
{
	(void)owner;
	CU_ASSERT_EQUAL(held, 1);
	told.ready += report->kind == XM_CONTROL_READY;
	told.away += report->kind == XM_CONTROL_AWAY;
	told.lost += report->kind == XM_CONTROL_LOST;
	if (report->kind == XM_CONTROL_ANSWER) {
		told.answers++;
		told.token = report->token;
		told.status = report->status;
	}
}

static void open_lane(uint32_t lane)
{
	struct xm_engine_options o = {
		.pager = { .pages_max = PAGES, .frames_max = 8,
			   .window_max = 4, .fetch_buffers = 3, .writeback_buffers = 4,
			   .scatter = 1 },
		.page_size = PAGE,
		.block_pages = BLOCK,
		.depth = 4,
		.loss_ns = XM_SECOND,
		.mapper_ops = &mapper_ops,
		.seal_ops = &xm_seal_plain,
		.code_ops = &xm_code_plain,
		.volume = &volume,
		.staging = stage[lane],
	};

	free(memory[lane]);
	memory[lane] = calloc(1, xm_engine_memory_size(&o));
	xm_engine_init(&engines[lane], &o, memory[lane], now);
	xm_engine_add(&engines[lane], &transport_ops, &transports[lane]);
	keeper.lanes[lane] = &engines[lane];
}

static void open_keeper(void)
{
	static const struct xm_hello hello = { .name = "a" };
	struct xm_segment s = { .count = PAGES, .attached = true,
				.members_count = 1 };

	memset(&channel, 0, sizeof(channel));
	memset(transports, 0, sizeof(transports));
	memset(&told, 0, sizeof(told));
	now = 50 * XM_SECOND;
	xm_keeper_init(&keeper);
	keeper.lanes_count = LANES;
	keeper.ticket_timeout_ns = XM_SECOND;
	keeper.lock = take;
	keeper.unlock = give;
	keeper.report = on_report;
	xm_control_add(&keeper.control, "fake:1", &channel_ops, &channel,
		       &hello, XM_SECOND);
	memset(segments, 0, sizeof(segments));
	xm_volume_init(&volume, XM_COUNT(segments), PAGE, segments);
	for (uint32_t lane = 0; lane < LANES; lane++)
		open_lane(lane);
	xm_volume_add(&volume, &s);
}

static void turns(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		now += 20 * XM_MS;
		xm_keeper_turn(&keeper, now);
	}
}

/* The last message of a kind that the client sent, or NULL. */
static const struct xm_message *sent(enum xm_message_kind kind)
{
	for (uint32_t i = channel.sent_count; i > 0; i--) {
		if (channel.sent[i - 1].kind == kind)
			return &channel.sent[i - 1];
	}
	return NULL;
}

static void welcome(uint64_t client, uint64_t incarnation)
{
	struct xm_message m = { .kind = XM_WELCOME };

	for (unsigned i = 0; i < 100 && !channel.connected; i++)
		turns(1);
	CU_ASSERT_TRUE_FATAL(channel.connected);
	channel_event(XM_CHANNEL_UP);
	turns(1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sent(XM_HELLO));
	m.request = sent(XM_HELLO)->request;
	m.u.welcome.version = XM_PROTOCOL_VERSION;
	m.u.welcome.client = client;
	m.u.welcome.incarnation = incarnation;
	m.u.welcome.lease_ms = 60000;
	m.u.welcome.granule = 4096;
	say(&m);
	turns(1);
	CU_ASSERT_TRUE(keeper.peers[0].ready);
}

/* Answers every TICKET sent since, each with a ticket of its own. */
static unsigned answer_tickets(bool refuse)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < channel.sent_count; i++) {
		struct xm_message m = { .kind = XM_TICKETED };

		if (channel.sent[i].kind != XM_TICKET)
			continue;
		m.request = channel.sent[i].request;
		m.u.ticketed.locator.size = 3;
		m.u.ticketed.ticket[0] = (uint8_t)(10 + count++);
		if (refuse) {
			m.kind = XM_REFUSED;
			memset(&m.u, 0, sizeof(m.u));
			m.u.refused.code = EBUSY;
		}
		say(&m);
	}
	channel.sent_count = 0;
	return count;
}

static void open_and_up(void)
{
	open_keeper();
	welcome(11, 5);
	turns(10);
	CU_ASSERT_EQUAL(answer_tickets(false), LANES);
	turns(3);
	for (uint32_t lane = 0; lane < LANES; lane++)
		CU_ASSERT_EQUAL_FATAL(engines[lane].peers[0].path.state,
				      XM_PATH_UP);
}

/* --- tests ------------------------------------------------------------------------------------- */

static void every_lane_connects_with_a_ticket_of_its_own(void)
{
	open_and_up();
	CU_ASSERT_EQUAL(transports[0].connects, 1);
	CU_ASSERT_EQUAL(transports[1].connects, 1);
	CU_ASSERT_NOT_EQUAL(transports[0].ticket, transports[1].ticket);
	CU_ASSERT_EQUAL(told.ready, 1);
	CU_ASSERT_EQUAL(told.answers, 0); /* tickets are the keeper's own */
	turns(100);
	CU_ASSERT_PTR_NULL(sent(XM_TICKET));
}

static void no_ticket_is_asked_for_while_the_appliance_is_away(void)
{
	open_keeper();
	turns(100);
	CU_ASSERT_PTR_NULL(sent(XM_TICKET));
	CU_ASSERT_FALSE(engines[0].peers[0].ready);
}

static void a_refused_ticket_is_asked_for_again(void)
{
	open_keeper();
	welcome(11, 5);
	turns(10);
	CU_ASSERT_EQUAL(answer_tickets(true), LANES);
	turns(20);
	CU_ASSERT_EQUAL(answer_tickets(false), LANES);
	turns(3);
	CU_ASSERT_EQUAL(engines[0].peers[0].path.state, XM_PATH_UP);
}

static void a_ticket_nobody_answers_is_asked_for_again(void)
{
	unsigned tickets = 0;

	open_keeper();
	welcome(11, 5);
	turns(10);
	channel.sent_count = 0;
	for (unsigned i = 0; i < 200; i++) {
		turns(1);
		tickets += sent(XM_TICKET) != NULL;
		if (sent(XM_TICKET) != NULL)
			break;
	}
	CU_ASSERT_EQUAL(tickets, 1);
	turns(1);
	answer_tickets(false);
	turns(5);
	CU_ASSERT_EQUAL(engines[0].peers[0].path.state, XM_PATH_UP);
}

static void a_lane_whose_connection_ends_gets_another(void)
{
	open_and_up();
	transports[1].say_down = true;
	turns(20);
	CU_ASSERT_EQUAL(answer_tickets(false), 1);
	turns(3);
	CU_ASSERT_EQUAL(transports[0].connects, 1);
	CU_ASSERT_EQUAL(transports[1].connects, 2);
	CU_ASSERT_EQUAL(engines[1].peers[0].path.state, XM_PATH_UP);
}

static void a_lost_lease_is_told_to_every_lane_once(void)
{
	open_and_up();
	for (uint32_t lane = 0; lane < LANES; lane++) {
		struct xm_pager_event ev = { .kind = XM_PAGER_MARK_BACKED,
					     .page = lane * BLOCK,
					     .limit = (lane + 1) * BLOCK };

		xm_engine_event(&engines[lane], &ev);
	}
	channel_event(XM_CHANNEL_DOWN)->status = -ECONNRESET;
	turns(1);
	CU_ASSERT_EQUAL(told.away, 1);
	CU_ASSERT_FALSE(segments[0].lost);
	welcome(12, 6);
	turns(1);
	CU_ASSERT_EQUAL(told.lost, 1);
	CU_ASSERT_TRUE(segments[0].lost);
	CU_ASSERT_EQUAL(xm_engine_fault(&engines[0], 1, false, false, 0),
			XM_VERDICT_LOST);
	CU_ASSERT_EQUAL(xm_engine_fault(&engines[1], BLOCK + 1, false, false,
					0),
			XM_VERDICT_LOST);
	CU_ASSERT_EQUAL(engines[0].pager.pages[1].state, XM_PAGE_POISONED);
	CU_ASSERT_EQUAL(engines[1].pager.pages[BLOCK + 1].state,
			XM_PAGE_POISONED);
	/* What is taken under the new lease is not lost by the old loss. */
	segments[0].lost = false;
	segments[0].members[0].state = XM_MEMBER_IN;
	segments[0].members[0].lease = keeper.peers[0].lease;
	turns(50);
	CU_ASSERT_FALSE(segments[0].lost);
}

static void a_reading_that_is_over_is_told_to_every_lane_and_freed(void)
{
	struct xm_message m = { .kind = XM_REVOKED };

	open_and_up();
	segments[0].members[0].extent = XM_READING | 5;
	m.u.parted.extent = XM_READING | 6; /* of another region */
	say(&m);
	turns(1);
	CU_ASSERT_FALSE(segments[0].lost);
	CU_ASSERT_EQUAL(keeper.revoked.ever, 1);
	m.u.parted.extent = XM_READING | 5;
	say(&m);
	turns(1);
	CU_ASSERT_TRUE(segments[0].lost);
	for (uint32_t lane = 0; lane < LANES; lane++) {
		struct xm_pager *pager = &engines[lane].pager;

		CU_ASSERT_TRUE(pager->losses > 0);
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(sent(XM_FREE));
	CU_ASSERT_EQUAL(sent(XM_FREE)->u.free.extent, XM_READING | 5);
}

static void an_extent_of_a_lease_that_ended_is_not_given_back(void)
{
	uint32_t lease;

	open_and_up();
	lease = keeper.peers[0].lease;
	channel_event(XM_CHANNEL_DOWN)->status = -ECONNRESET;
	turns(1);
	welcome(12, 6);
	turns(1);
	/* Its number may be that of another extent now. */
	xm_keeper_give_back(&keeper, 0, lease, 5, now);
	CU_ASSERT_PTR_NULL(sent(XM_FREE));
	xm_keeper_give_back(&keeper, 0, lease + 1, 5, now);
	CU_ASSERT_PTR_NOT_NULL(sent(XM_FREE));
}

static void a_resumed_lease_loses_nothing(void)
{
	open_and_up();
	channel_event(XM_CHANNEL_DOWN)->status = -ECONNRESET;
	turns(1);
	welcome(11, 5);
	turns(10);
	CU_ASSERT_EQUAL(told.lost, 0);
	CU_ASSERT_FALSE(segments[0].lost);
	CU_ASSERT_EQUAL(engines[0].peers[0].path.state, XM_PATH_UP);
}

static void requests_from_outside_are_answered_to_the_outside(void)
{
	struct xm_message m = { .kind = XM_STATUS };

	open_and_up();
	held = 1;
	xm_control_request(&keeper.control, 0, &m, 44, now + XM_SECOND, now);
	held = 0;
	CU_ASSERT_PTR_NOT_NULL_FATAL(sent(XM_STATUS));
	m.kind = XM_STATE;
	m.request = sent(XM_STATUS)->request;
	say(&m);
	turns(1);
	CU_ASSERT_EQUAL(told.answers, 1);
	CU_ASSERT_EQUAL(told.token, 44);
	CU_ASSERT_EQUAL(told.status, 0);
}

static void a_stream_of_nonsense_is_hung_up(void)
{
	struct xm_channel_event *e;

	open_and_up();
	e = channel_event(XM_CHANNEL_MESSAGE);
	e->bytes = (const uint8_t *)"nonsense";
	e->size = 8;
	turns(1);
	CU_ASSERT_FALSE(channel.connected);
	CU_ASSERT_EQUAL(keeper.peers[0].status, -EPROTO);
	/* Data does not go through it. */
	CU_ASSERT_EQUAL(engines[0].peers[0].path.state, XM_PATH_UP);
	welcome(11, 5);
}

static void a_stream_that_takes_no_more_is_hung_up(void)
{
	struct xm_message m = { .kind = XM_STATUS };

	open_and_up();
	channel.send_status = -EAGAIN;
	held = 1;
	xm_control_request(&keeper.control, 0, &m, 44, now + XM_SECOND, now);
	held = 0;
	CU_ASSERT_FALSE(channel.connected);
	CU_ASSERT_EQUAL(told.answers, 1);
	CU_ASSERT_EQUAL(told.status, -ENOTCONN);
	channel.send_status = 0;
	welcome(11, 5);
}

static void a_connect_that_fails_at_once_is_tried_again(void)
{
	open_keeper();
	channel.connect_status = -ECONNREFUSED;
	turns(100);
	CU_ASSERT_TRUE(channel.connects > 1);
	CU_ASSERT_EQUAL(keeper.peers[0].status, -ECONNREFUSED);
	channel.connect_status = 0;
	welcome(11, 5);
	CU_ASSERT_EQUAL(keeper.peers[0].status, 0);
}

static void the_words_of_a_refusal_are_kept_until_something_else_is_wrong(void)
{
	struct xm_message m = { .kind = XM_REFUSED };

	open_keeper();
	turns(1);
	channel_event(XM_CHANNEL_UP);
	turns(1);
	m.request = sent(XM_HELLO)->request;
	m.u.refused.code = EACCES;
	strcpy(m.u.refused.words, "not you");
	say(&m);
	turns(1);
	CU_ASSERT_EQUAL(keeper.peers[0].status, -EACCES);
	CU_ASSERT_STRING_EQUAL(keeper.peers[0].words, "not you");
	channel.connect_status = -ECONNREFUSED;
	turns(100);
	CU_ASSERT_EQUAL(keeper.peers[0].status, -ECONNREFUSED);
	CU_ASSERT_STRING_EQUAL(keeper.peers[0].words, "");
}

static void events_of_a_stream_that_was_hung_up_are_passed_over(void)
{
	open_and_up();
	channel_event(XM_CHANNEL_DOWN)->status = -ECONNRESET;
	channel_event(XM_CHANNEL_DOWN)->status = -ECONNRESET;
	turns(1);
	CU_ASSERT_EQUAL(told.away, 1);
	CU_ASSERT_EQUAL(channel.disconnects, 1);
}

static void patience_is_short_while_a_path_is_to_come_up(void)
{
	uint64_t idle, busy;

	open_keeper();
	busy = xm_keeper_patience_ns(&keeper);
	open_and_up();
	idle = xm_keeper_patience_ns(&keeper);
	CU_ASSERT_TRUE(busy < idle);
	/* A ticket that was just asked for is fetched in the next turn. */
	keeper.peers[0].tickets[1] = XM_TICKET_WANTED;
	CU_ASSERT_EQUAL(xm_keeper_patience_ns(&keeper), 0);
}

static void the_end_is_said_and_nothing_is_begun_again(void)
{
	open_and_up();
	held = 1;
	xm_control_end(&keeper.control, now);
	held = 0;
	CU_ASSERT_PTR_NOT_NULL(sent(XM_BYE));
	CU_ASSERT_FALSE(channel.connected);
	turns(200);
	CU_ASSERT_EQUAL(channel.connects, 1);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(every_lane_connects_with_a_ticket_of_its_own),
		XM_TEST(no_ticket_is_asked_for_while_the_appliance_is_away),
		XM_TEST(a_refused_ticket_is_asked_for_again),
		XM_TEST(a_ticket_nobody_answers_is_asked_for_again),
		XM_TEST(a_lane_whose_connection_ends_gets_another),
		XM_TEST(a_lost_lease_is_told_to_every_lane_once),
		XM_TEST(a_reading_that_is_over_is_told_to_every_lane_and_freed),
		XM_TEST(an_extent_of_a_lease_that_ended_is_not_given_back),
		XM_TEST(a_resumed_lease_loses_nothing),
		XM_TEST(requests_from_outside_are_answered_to_the_outside),
		XM_TEST(a_stream_of_nonsense_is_hung_up),
		XM_TEST(a_stream_that_takes_no_more_is_hung_up),
		XM_TEST(a_connect_that_fails_at_once_is_tried_again),
		XM_TEST(the_words_of_a_refusal_are_kept_until_something_else_is_wrong),
		XM_TEST(events_of_a_stream_that_was_hung_up_are_passed_over),
		XM_TEST(patience_is_short_while_a_path_is_to_come_up),
		XM_TEST(the_end_is_said_and_nothing_is_begun_again),
		CU_TEST_INFO_NULL,
	};
	int rc = xm_tests_run("keeper", tests);

	for (uint32_t lane = 0; lane < LANES; lane++)
		free(memory[lane]);
	return rc;
}
