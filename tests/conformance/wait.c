/* SPDX-License-Identifier: BSD-3-Clause */
/* Sleeping on a descriptor in place of polling. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/rig.h"

void wait_ends_for_a_descriptor_and_for_time(void)
{
	uint64_t begin;
	int ends[2];

	if (!world_ready(XM_MIB))
		return;
	if (pipe(ends) || write(ends[1], "x", 1) != 1)
		CU_FAIL("pipe");
	begin = xm_clock_ns();
	w.ops->wait(w.local.t, ends[0], 60 * XM_SECOND);
	w.ops->wait(w.local.t, -1, 1000);
	w.ops->wait(w.local.t, -1, 0);
	CU_ASSERT(xm_clock_ns() - begin < DEADLINE_NS);
	close(ends[0]);
	close(ends[1]);
	world_close();
}

void waiting_instead_of_polling_loses_nothing(void)
{
	uint8_t bytes[4096];

	if (!world_ready(XM_MIB))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	for (int i = 0; i < 50; i++) {
		uint64_t end = xm_clock_ns() + DEADLINE_NS;

		memset(bytes, i, sizeof(bytes));
		w.local.done[5] = 0;
		CU_ASSERT_EQUAL(post(&w.local, w.peer, &w.remote, true, 0, bytes,
				     sizeof(bytes), 5), 0);
		while (!w.local.done[5] && xm_clock_ns() < end) {
			w.ops->wait(w.local.t, -1, XM_SECOND);
			pump();
		}
		CU_ASSERT_EQUAL(w.local.done[5], 1);
		CU_ASSERT(filled(far_pool + 4096, (uint8_t)i, sizeof(bytes)));
	}
	world_close();
}

void an_armed_descriptor_tells_of_what_completes(void)
{
	uint8_t bytes[4096] = "armed";
	int armed = -EAGAIN;

	if (!world_ready(XM_MIB))
		return;
	if (!w.limits.waits) {
		skip("limits.waits is false");
		CU_ASSERT_EQUAL(w.ops->arm(w.local.t), -ENOSYS);
		world_close();
		return;
	}
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(move(true, 0, bytes, 8), 0);
	for (int i = 0; i < 20; i++) {
		uint64_t end = xm_clock_ns() + DEADLINE_NS;
		struct pollfd fd = { .events = POLLIN };

		while ((fd.fd = w.ops->arm(w.local.t)) == -EAGAIN &&
		       xm_clock_ns() < end)
			near_poll(&w.local);
		CU_ASSERT(fd.fd >= 0 && (i == 0 || fd.fd == armed));
		armed = fd.fd;
		/* Posted by somebody else, while one sleeps. */
		w.local.done[5] = 0;
		CU_ASSERT_EQUAL(post(&w.local, w.peer, &w.remote, true, 0, bytes,
				     sizeof(bytes), 5), 0);
		while (!w.local.done[5] && xm_clock_ns() < end) {
			CU_ASSERT_EQUAL(poll(&fd, 1, (int)(DEADLINE_NS /
							   XM_MS)), 1);
			near_poll(&w.local);
			while (!w.local.done[5] &&
			       w.ops->arm(w.local.t) == -EAGAIN)
				near_poll(&w.local);
		}
		CU_ASSERT_EQUAL(w.local.done[5], 1);
	}
	world_close();
}

void a_target_that_tells_says_when_bytes_move(void)
{
	uint8_t bytes[100] = "moved";
	uint32_t before;

	if (!world_ready(XM_MIB))
		return;
	far_do(ASK);
	if (!world_has(w.answer.tells, "limits.tells is false"))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	/* A hint: not of each. */
	before = w.answer.moved;
	for (int i = 0; i < 50; i++)
		CU_ASSERT_EQUAL(move(i % 2, 3, bytes, sizeof(bytes)), 0);
	far_do(ASK);
	CU_ASSERT(w.answer.moved >= before + 10);
	world_close();
}
