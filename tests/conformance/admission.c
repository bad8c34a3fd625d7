/* SPDX-License-Identifier: BSD-3-Clause */
/* Tickets: who comes in, and in whose place. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/conformance/rig.h"

void a_ticket_lets_one_connection_in_once(void)
{
	static const uint8_t second[XM_TICKET_SIZE] = "a good ticket 2";
	static const uint8_t bad[XM_TICKET_SIZE] = "a bad ticket";
	uint32_t peer;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	CU_ASSERT_FALSE(near_connect(&w.local, bad, &peer));
	CU_ASSERT_EQUAL(w.local.down_status[peer], -ECONNREFUSED);
	CU_ASSERT_FALSE(near_connect(&w.local, ticket, &peer));
	/* A client has several connections, each with a ticket of its own. */
	CU_ASSERT_EQUAL(admit(1, second), 0);
	CU_ASSERT_TRUE(near_connect(&w.local, second, &peer));
	CU_ASSERT_EQUAL(w.local.down[w.peer], 0);
	PUMP_UNTIL((far_do(ASK), w.answer.joined == 2));
	CU_ASSERT_EQUAL(w.answer.left, 0);
	world_close();
}

void a_retracted_ticket_lets_nobody_in(void)
{
	static const uint8_t second[XM_TICKET_SIZE] = "a good ticket 2";
	struct command retract = { .verb = RETRACT, .client = 1 };
	uint32_t peer;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	CU_ASSERT_EQUAL(admit(1, second), 0);
	memcpy(retract.ticket, second, XM_TICKET_SIZE);
	retract.client = 2; /* whose it is not */
	CU_ASSERT_EQUAL(far_call(&retract), -ENOENT);
	retract.client = 1;
	CU_ASSERT_EQUAL(far_call(&retract), 0);
	CU_ASSERT_EQUAL(far_call(&retract), -ENOENT);
	CU_ASSERT_FALSE(near_connect(&w.local, second, &peer));
	/* The one that was used is not known any more. */
	memcpy(retract.ticket, ticket, XM_TICKET_SIZE);
	CU_ASSERT_EQUAL(far_call(&retract), -ENOENT);
	CU_ASSERT_EQUAL(w.local.down[w.peer], 0);
	world_close();
}

void a_new_connection_of_a_lane_ends_the_earlier_one(void)
{
	static const uint8_t tickets[3][XM_TICKET_SIZE] = {
		"lane 1000000: 1", "lane 1000000: 2", "lane 1000001",
	};
	uint32_t first, second, other;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	CU_ASSERT_EQUAL(admit_on(1, 1000000, tickets[0]), 0);
	CU_ASSERT_EQUAL(admit_on(1, 1000001, tickets[2]), 0);
	CU_ASSERT_TRUE(near_connect(&w.local, tickets[0], &first));
	CU_ASSERT_TRUE(near_connect(&w.local, tickets[2], &other));
	CU_ASSERT_EQUAL(admit_on(1, 1000000, tickets[1]), 0);
	CU_ASSERT_TRUE(near_connect(&w.local, tickets[1], &second));
	PUMP_UNTIL(w.local.down[first] == 1);
	PUMP_UNTIL((far_do(ASK), w.answer.left == 1));
	CU_ASSERT_EQUAL(w.local.down[second], 0);
	CU_ASSERT_EQUAL(w.local.down[other], 0);
	CU_ASSERT_EQUAL(w.local.down[w.peer], 0);
	world_close();
}

void nobody_comes_in_on_an_expelled_clients_ticket(void)
{
	static const uint8_t second[XM_TICKET_SIZE] = "a good ticket 2";
	uint32_t peer;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	CU_ASSERT_EQUAL(admit(1, second), 0);
	far_call(&(struct command){ .verb = EXPEL, .client = 1 });
	PUMP_UNTIL(w.local.down[w.peer] == 1);
	PUMP_UNTIL((far_do(ASK), w.answer.left == 1));
	CU_ASSERT_FALSE(near_connect(&w.local, second, &peer));
	/* It may come back later, as anybody may. */
	CU_ASSERT_EQUAL(admit(1, second), 0);
	CU_ASSERT_TRUE(near_connect(&w.local, second, &peer));
	world_close();
}

void the_target_is_told_when_a_client_leaves(void)
{
	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	PUMP_UNTIL((far_do(ASK), w.answer.joined == 1));
	w.ops->disconnect(w.local.t, w.peer);
	PUMP_UNTIL((far_do(ASK), w.answer.left == 1));
	CU_ASSERT_EQUAL(w.answer.joined, 1);
	world_close();
}

/* The numbers at the end of a locator are those of a socket. */
static int stranger_connect(void)
{
	char line[XM_LOCATOR_SIZE + 1] = "";
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char *port;

	memcpy(line, w.locator.bytes, w.locator.size);
	port = strrchr(line, ' ');
	to.sin_port = htons((uint16_t)atoi(port ? port : "0"));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		close(fd);
		return -1;
	}
	return fd;
}

void strangers_on_the_port_do_not_stop_the_interface(void)
{
	/* A connection request of libfabric's tcp that promises 16 bytes more,
	 * one of a version that never was, half a one. */
	static const uint8_t openings[][40] = { { 3, 0, 0, 16 },
						{ 3, 1, 0, 16 },
						{ 99, 99, 0xff, 0xff } };
	static const uint8_t second[XM_TICKET_SIZE] = "a good ticket 2";
	uint8_t noise[512], bytes[4096];
	int fds[64];
	uint64_t seed = 11;
	uint32_t peer;

	if (!world_ready(XM_MIB))
		return;
	if (w.loop || strcmp(w.limits.provider, "shm") == 0 ||
	    strcmp(w.limits.provider, "sockets") == 0) {
		skip(strcmp(w.limits.provider, "sockets")
			     ? "there is no port"
			     : "strangers crash 1.17's sockets provider");
		world_close();
		return;
	}
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	for (uint32_t i = 0; i < XM_COUNT(fds); i++) {
		fds[i] = stranger_connect();
		CU_ASSERT(fds[i] >= 0);
		for (size_t j = 0; j < sizeof(noise); j++)
			noise[j] = (uint8_t)(xm_rand_mix(&seed) >> 32);
		if (i % 2 == 0)
			send(fds[i], noise, 1 + xm_rand_mix(&seed) % 512,
			     MSG_NOSIGNAL);
		else if (i % 8 < 7)
			send(fds[i], openings[i % 3], i % 4 == 1 ? 32 : 7,
			     MSG_NOSIGNAL);
		memset(bytes, (int)i, sizeof(bytes));
		CU_ASSERT_EQUAL(move(true, 0, bytes, sizeof(bytes)), 0);
		CU_ASSERT(filled(far_pool + 4096, (uint8_t)i, sizeof(bytes)));
	}
	CU_ASSERT_EQUAL(admit(1, second), 0);
	CU_ASSERT_TRUE(near_connect(&w.local, second, &peer));
	for (uint32_t i = 0; i < XM_COUNT(fds); i++)
		close(fds[i]);
	CU_ASSERT_EQUAL(move(true, 0, bytes, sizeof(bytes)), 0);
	world_close();
}
