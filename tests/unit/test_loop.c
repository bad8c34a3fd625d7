/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop channel: the channel contract with both ends in one process. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "core/pure/channel.h"
#include "tests/support/cunit.h"

static const struct xm_channel_ops *ops;
static struct xm_channel *appliance, *client;

static struct xm_channel *channel_open(bool target, uint32_t peers_max,
				       uint64_t handshake_ns)
{
	struct xm_channel_options options = {
		.address = "loop:test",
		.target = target,
		.peers_max = peers_max,
		.handshake_ns = handshake_ns,
	};
	struct xm_channel *ret = NULL;
	char words[256];

	CU_ASSERT_EQUAL(ops->open(&options, words, sizeof(words), &ret), 0);
	return ret;
}

static void both_open(uint32_t peers_max, uint64_t handshake_ns)
{
	for (size_t i = 0; xm_channels[i]; i++)
		if (strcmp(xm_channels[i]->scheme, "loop") == 0)
			ops = xm_channels[i];
	appliance = channel_open(true, peers_max, handshake_ns);
	client = channel_open(false, 0, 0);
}

static void both_close(void)
{
	if (client)
		ops->close(client);
	if (appliance)
		ops->close(appliance);
	client = appliance = NULL;
}

/* The next event, which there must be, of this kind. */
static struct xm_channel_event next(struct xm_channel *c,
				    enum xm_channel_event_kind kind)
{
	struct xm_channel_event event = { 0 };

	CU_ASSERT_EQUAL(ops->poll(c, &event), 1);
	CU_ASSERT_EQUAL(event.kind, kind);
	return event;
}

static void nothing(struct xm_channel *c)
{
	struct xm_channel_event event;

	CU_ASSERT_EQUAL(ops->poll(c, &event), 0);
}

static uint32_t connected(void)
{
	uint32_t peer = 99;

	CU_ASSERT_EQUAL(ops->connect(client, "loop:test", &peer), 0);
	CU_ASSERT_FALSE(next(client, XM_CHANNEL_UP).accepted);
	CU_ASSERT_TRUE(next(appliance, XM_CHANNEL_UP).accepted);
	return peer;
}

static void messages_arrive_whole_and_in_order(void)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	uint32_t peer;

	both_open(4, 0);
	peer = connected();
	memset(bytes, 7, sizeof(bytes));
	CU_ASSERT_EQUAL(ops->send(client, peer, "a", 1), 0);
	CU_ASSERT_EQUAL(ops->send(client, peer, bytes, sizeof(bytes)), 0);

	struct xm_channel_event event = next(appliance, XM_CHANNEL_MESSAGE);

	CU_ASSERT(event.size == 1 && event.bytes[0] == 'a');
	event = next(appliance, XM_CHANNEL_MESSAGE);
	CU_ASSERT_EQUAL(event.size, sizeof(bytes));
	CU_ASSERT_EQUAL(memcmp(event.bytes, bytes, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(ops->send(appliance, event.peer, "b", 1), 0);
	event = next(client, XM_CHANNEL_MESSAGE);
	CU_ASSERT(event.size == 1 && event.bytes[0] == 'b');
	nothing(client);
	both_close();
}

static void sizes_are_limited(void)
{
	static uint8_t bytes[XM_MESSAGE_SIZE_MAX + 1];
	uint32_t peer;

	both_open(4, 0);
	peer = connected();
	CU_ASSERT_EQUAL(ops->send(client, peer, bytes, 0), -EINVAL);
	CU_ASSERT_EQUAL(ops->send(client, peer, bytes, sizeof(bytes)), -EINVAL);
	CU_ASSERT_EQUAL(ops->send(client, 200, bytes, 1), -ENOTCONN);
	nothing(appliance);
	both_close();
}

static void a_full_queue_takes_nothing_and_loses_nothing(void)
{
	uint8_t count = 0, n = 0;
	uint32_t peer;
	int error;

	both_open(4, 0);
	peer = connected();
	while ((error = ops->send(client, peer, &count, 1)) == 0 && count < 255)
		count++;
	CU_ASSERT_EQUAL(error, -EAGAIN);
	for (; n < count; n++)
		CU_ASSERT_EQUAL(next(appliance, XM_CHANNEL_MESSAGE).bytes[0], n);
	nothing(appliance);
	CU_ASSERT_EQUAL(ops->send(client, peer, &count, 1), 0);
	both_close();
}

static void nobody_at_the_address_is_down(void)
{
	uint32_t peer;

	both_open(4, 0);
	CU_ASSERT_EQUAL(ops->connect(client, "loop:nobody", &peer), 0);
	CU_ASSERT_EQUAL(next(client, XM_CHANNEL_DOWN).status, -ECONNREFUSED);
	nothing(client);
	CU_ASSERT_EQUAL(ops->send(client, peer, "a", 1), -ENOTCONN);
	CU_ASSERT_EQUAL(ops->connect(client, "tcp://x", &peer), -EINVAL);
	both_close();
}

static void one_stream_too_many_is_refused(void)
{
	uint32_t first, second;

	both_open(1, 0);
	first = connected();
	CU_ASSERT_EQUAL(ops->connect(client, "loop:test", &second), 0);
	CU_ASSERT_EQUAL(next(client, XM_CHANNEL_DOWN).peer, second);
	CU_ASSERT_EQUAL(ops->send(client, first, "a", 1), 0);
	both_close();
}

static void what_was_sent_before_the_end_arrives_before_down(void)
{
	uint32_t peer;

	both_open(4, 0);
	peer = connected();
	CU_ASSERT_EQUAL(ops->send(client, peer, "a", 1), 0);
	ops->disconnect(client, peer);
	CU_ASSERT_EQUAL(next(appliance, XM_CHANNEL_MESSAGE).size, 1);
	CU_ASSERT_EQUAL(next(appliance, XM_CHANNEL_DOWN).status, -ECONNRESET);
	nothing(appliance);
	nothing(client);
	both_close();
}

static void a_silent_stranger_is_closed(void)
{
	uint32_t peer;

	both_open(4, 1);
	CU_ASSERT_EQUAL(ops->connect(client, "loop:test", &peer), 0);
	ops->wait(appliance, -1, XM_SECOND);
	next(appliance, XM_CHANNEL_UP);
	CU_ASSERT_EQUAL(next(appliance, XM_CHANNEL_DOWN).status, -ETIMEDOUT);
	next(client, XM_CHANNEL_UP);
	next(client, XM_CHANNEL_DOWN);
	both_close();
}

static void a_name_is_listened_on_once(void)
{
	struct xm_channel_options options = { .address = "loop:test",
					      .target = true };
	struct xm_channel *untouched = NULL;
	char words[256] = "";

	both_open(4, 0);
	CU_ASSERT_EQUAL(ops->open(&options, words, sizeof(words), &untouched),
			-EADDRINUSE);
	CU_ASSERT_PTR_NULL(untouched);
	CU_ASSERT(words[0] != '\0');
	CU_ASSERT_STRING_EQUAL(ops->address(appliance), "loop:test");
	both_close();
}

#define ECHOES 1000

static void *echo(void *unused)
{
	struct xm_channel_event event;
	uint32_t echoed = 0;

	while (echoed < ECHOES) {
		if (!ops->poll(appliance, &event)) {
			ops->wait(appliance, -1, XM_SECOND);
			continue;
		}
		if (event.kind != XM_CHANNEL_MESSAGE)
			continue;
		while (ops->send(appliance, event.peer, event.bytes,
				 event.size) == -EAGAIN)
			;
		echoed++;
	}
	return unused;
}

static void the_ends_may_be_two_threads(void)
{
	struct xm_channel_event event;
	uint32_t peer, sent = 0, back = 0, value;
	pthread_t thread;

	both_open(4, 0);
	CU_ASSERT_EQUAL(ops->connect(client, "loop:test", &peer), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, echo, NULL), 0);
	while (back < ECHOES) {
		if (sent < ECHOES &&
		    ops->send(client, peer, &sent, sizeof(sent)) == 0)
			sent++;
		if (!ops->poll(client, &event)) {
			ops->wait(client, -1, sent < ECHOES ? 0 : XM_SECOND);
			continue;
		}
		if (event.kind != XM_CHANNEL_MESSAGE)
			continue;
		memcpy(&value, event.bytes, sizeof(value));
		CU_ASSERT_EQUAL(value, back);
		back++;
	}
	pthread_join(thread, NULL);
	both_close();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(messages_arrive_whole_and_in_order),
		XM_TEST(sizes_are_limited),
		XM_TEST(a_full_queue_takes_nothing_and_loses_nothing),
		XM_TEST(nobody_at_the_address_is_down),
		XM_TEST(one_stream_too_many_is_refused),
		XM_TEST(what_was_sent_before_the_end_arrives_before_down),
		XM_TEST(a_silent_stranger_is_closed),
		XM_TEST(a_name_is_listened_on_once),
		XM_TEST(the_ends_may_be_two_threads),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("loop", tests);
}
