/* SPDX-License-Identifier: BSD-3-Clause */
/* Either end goes: each token completes, and DOWN is said once. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/rig.h"

void disconnect_completes_what_is_outstanding(void)
{
	static uint8_t bytes[32][70000];
	uint32_t posted = 0;

	if (!world_ready(XM_MIB))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(move(true, 0, bytes, 1), 0);
	w.local.finished = 0;
	far_do(PAUSE);
	while (posted < 32 &&
	       (posted % 2 ? w.ops->read(w.local.t, w.peer, &w.remote, 8, bytes[posted],
					 sizeof(bytes[0]), 20 + posted)
			   : w.ops->write(w.local.t, w.peer, &w.remote, 8,
					  bytes[posted], sizeof(bytes[0]),
					  20 + posted)) == 0)
		posted++;
	CU_ASSERT(posted > 0);
	w.ops->disconnect(w.local.t, w.peer);
	memset(bytes, 0x3c, sizeof(bytes));
	CU_ASSERT_EQUAL(w.ops->read(w.local.t, w.peer, &w.remote, 0, bytes[0], 8,
				    19), -ENOTCONN);
	far_do(RESUME);
	PUMP_UNTIL(w.local.finished == posted);
	pump_for(20 * XM_MS);
	CU_ASSERT_EQUAL(w.local.finished, posted);
	for (uint32_t i = 0; i < posted; i++) {
		CU_ASSERT_EQUAL(w.local.done[20 + i], 1);
		CU_ASSERT_EQUAL(w.local.status[20 + i], -ECANCELED);
	}
	CU_ASSERT_EQUAL(w.local.down[w.peer], 0);
	CU_ASSERT(filled(bytes[0], 0x3c, sizeof(bytes)));
	world_close();
}

void a_peer_number_is_used_again_after_disconnect(void)
{
	static const uint8_t second[XM_TICKET_SIZE] = "a good ticket 2";
	uint8_t bytes[100] = "again";
	uint32_t peer;

	if (!world_ready(XM_MIB))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	w.ops->disconnect(w.local.t, w.peer);
	w.local.up[w.peer] = 0;
	CU_ASSERT_EQUAL(admit(1, second), 0);
	CU_ASSERT_TRUE(near_connect(&w.local, second, &peer));
	CU_ASSERT_EQUAL(peer, w.peer);
	CU_ASSERT_EQUAL(move(true, 3, bytes, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(memcmp(far_pool + 4099, bytes, sizeof(bytes)), 0);
	world_close();
}

static void the_end_is_told_once(bool killed)
{
	static uint8_t bytes[8][4096];
	uint32_t posted = 0;

	if (!world_ready(XM_MIB))
		return;
	if (!w.limits.reports_death || (killed && w.loop)) {
		skip(w.loop ? "both ends are one process"
			    : "limits.reports_death is false");
		world_close();
		return;
	}
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(move(true, 0, bytes, 1), 0);
	w.local.finished = 0;
	far_do(PAUSE);
	while (posted < 8 && w.ops->read(w.local.t, w.peer, &w.remote, 0,
					 bytes[posted], 4096, 30 + posted) == 0)
		posted++;
	if (killed)
		kill(w.pid, SIGKILL);
	else
		far_do(CLOSE);
	PUMP_UNTIL(w.local.down[w.peer] == 1 && w.local.finished == posted);
	for (uint32_t i = 0; i < posted; i++) {
		CU_ASSERT_EQUAL(w.local.done[30 + i], 1);
		CU_ASSERT_EQUAL(w.local.status[30 + i], -ECANCELED);
	}
	pump_for(10 * XM_MS);
	CU_ASSERT_EQUAL(w.local.down[w.peer], 1);
	CU_ASSERT_EQUAL(w.ops->read(w.local.t, w.peer, &w.remote, 0, bytes[0], 8,
				    29), -ENOTCONN);
	w.ops->disconnect(w.local.t, w.peer);
	pump_for(5 * XM_MS);
	CU_ASSERT_EQUAL(w.local.down[w.peer], 1);
	world_close();
}

void down_is_said_once_when_the_target_closes(void)
{
	the_end_is_told_once(false);
}

void down_is_said_once_when_the_target_is_killed(void)
{
	the_end_is_told_once(true);
}
