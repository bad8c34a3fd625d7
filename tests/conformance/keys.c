/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys, spans and rights: who may touch what, and until when. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/rig.h"

void a_wrong_key_touches_nothing(void)
{
	uint8_t bytes[4096], in[4096];
	struct xm_remote_mr wrong;

	for (int write = 0; write < 2; write++) {
		if (!world_ready(XM_MIB))
			return;
		w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
		w.ops->register_memory(w.local.t, in, sizeof(in));
		memset(bytes, 0x99, sizeof(bytes));
		memset(in, 0x55, sizeof(in));
		CU_ASSERT_EQUAL(move(true, XM_MIB / 2, bytes, 8), 0);
		wrong = w.remote;
		wrong.key++;
		CU_ASSERT_NOT_EQUAL(move_refused(&w.local, w.peer, &wrong, write,
						 0, write ? bytes : in, 4096),
				    0);
		CU_ASSERT(filled(far_pool + 4096, 0x11, 4096));
		if (!write)
			CU_ASSERT(filled(in, 0x55, sizeof(in)));
		CU_ASSERT(w.local.status[1] == -EACCES ||
			  w.local.down[w.peer] == 1);
		world_close();
	}
}

void nothing_outside_the_span_is_touched(void)
{
	uint8_t bytes[4096];

	for (int write = 0; write < 2; write++) {
		if (!world_ready(8192))
			return;
		w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
		memset(bytes, 0x99, sizeof(bytes));
		CU_ASSERT_EQUAL(move(true, 0, bytes, 8), 0);
		CU_ASSERT_NOT_EQUAL(move_refused(&w.local, w.peer, &w.remote,
						 write, 8192 - 64, bytes,
						 4096), 0);
		CU_ASSERT(filled(far_pool + 4096 + 8192, 0x11, 4096));
		world_close();
		if (!world_ready(8192))
			return;
		w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
		CU_ASSERT_NOT_EQUAL(move_refused(&w.local, w.peer, &w.remote,
						 write, UINT64_MAX - 100,
						 bytes, 4096), 0);
		CU_ASSERT(filled(far_pool, 0x11, 4096));
		world_close();
	}
}

void concealed_memory_cannot_be_reached(void)
{
	uint8_t bytes[4096];
	struct xm_remote_mr again;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.revokes, "limits.revokes is false"))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	memset(bytes, 0x99, sizeof(bytes));
	CU_ASSERT_EQUAL(expose(1, 2 * XM_MIB, XM_MIB, KEY + 7, &again), 0);
	CU_ASSERT_EQUAL(move(true, 0, bytes, sizeof(bytes)), 0);
	far_call(&(struct command){ .verb = CONCEAL_FILL, .client = 1,
				    .remote = w.remote, .offset = 4096,
				    .size = XM_MIB, .fill = 0xee });
	/* What was not concealed goes on. */
	w.local.done[3] = 0;
	CU_ASSERT_EQUAL(post(&w.local, w.peer, &again, true, 5, bytes, 100, 3),
			0);
	PUMP_UNTIL(w.local.done[3]);
	CU_ASSERT_EQUAL(w.local.status[3], 0);
	CU_ASSERT(filled(far_pool + 2 * XM_MIB + 5, 0x99, 100));
	CU_ASSERT_NOT_EQUAL(move_refused(&w.local, w.peer, &w.remote, true, 0,
					 bytes, sizeof(bytes)), 0);
	CU_ASSERT(filled(far_pool + 4096, 0xee, XM_MIB));
	world_close();
}

void without_the_right_to_write_a_write_is_refused(void)
{
	uint8_t bytes[4096], got[4096];
	struct xm_remote_mr limited;

	if (!world_ready(XM_MIB))
		return;
	CU_ASSERT_EQUAL(expose_for(0, 1, 2 * XM_MIB, 4096, KEY + 7, &limited),
			-EINVAL);
	CU_ASSERT_EQUAL(expose_for(4, 1, 2 * XM_MIB, 4096, KEY + 7, &limited),
			-EINVAL);
	if (!w.limits.restricts)
		CU_ASSERT_EQUAL(expose_for(XM_RIGHT_READ, 1, 2 * XM_MIB, 4096,
					   KEY + 7, &limited), -EOPNOTSUPP);
	if (!world_has(w.limits.restricts, "limits.restricts is false"))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	w.ops->register_memory(w.local.t, got, sizeof(got));
	memset(bytes, 0x99, sizeof(bytes));
	memset(far_pool + 2 * XM_MIB, 0x42, XM_MIB);
	CU_ASSERT_EQUAL(expose_for(XM_RIGHT_READ, 1, 2 * XM_MIB, XM_MIB,
				   KEY + 7, &limited), 0);
	w.local.done[3] = 0;
	CU_ASSERT_EQUAL(post(&w.local, w.peer, &limited, false, 5, got,
			     sizeof(got), 3), 0);
	PUMP_UNTIL(w.local.done[3]);
	CU_ASSERT_EQUAL(w.local.status[3], 0);
	CU_ASSERT(filled(got, 0x42, sizeof(got)));
	CU_ASSERT_NOT_EQUAL(move_refused(&w.local, w.peer, &limited, true, 5,
					 bytes, sizeof(bytes)), 0);
	CU_ASSERT(filled(far_pool + 2 * XM_MIB, 0x42, XM_MIB));
	world_close();
}

void a_key_in_use_is_refused(void)
{
	struct xm_remote_mr again;
	int error;

	if (!world_ready(XM_MIB))
		return;
	error = expose(1, 2 * XM_MIB, 4096, w.remote.key, &again);
	/* Where providers choose keys it is another one. */
	CU_ASSERT(error == -EINVAL || (!error && again.key != w.remote.key));
	CU_ASSERT_EQUAL(expose(1, FAR_POOL_SIZE - 4096, 4097, 5, &again),
			-EINVAL);
	CU_ASSERT_EQUAL(expose(1, UINT64_MAX, 2, 5, &again), -EINVAL);
	CU_ASSERT_EQUAL(expose(1, 0, 0, 5, &again), -EINVAL);
	CU_ASSERT_EQUAL(expose(0, 0, 4096, 5, &again), -EINVAL);
	world_close();
}

/* What clients have had exposed before takes nothing away from who comes next. */
void as_many_spans_are_exposed_as_were_asked_for(void)
{
	struct xm_remote_mr remote;
	int error = 0;

	/* (The ends of a loop have a limit of their own.) */
	if (!world_ready(XM_MIB))
		return;
	for (uint64_t i = 0; i < FAR_SPANS_MAX - 1 && error == 0 && !w.loop; i++)
		error = expose(1 + i % 2, XM_MIB, 4096, KEY + 100 + i, &remote);
	CU_ASSERT_EQUAL(error, 0);
	world_close();
}

void a_late_write_cannot_reach_the_next_owner(void)
{
	size_t size = 4 * XM_MIB;
	uint8_t *bytes = malloc(size);

	memset(bytes, 0x99, size);
	for (int round = 0; round < 4; round++) {
		if (!world_ready(16 * XM_MIB) ||
		    !world_has(w.limits.revokes, "limits.revokes is false"))
			break;
		w.ops->register_memory(w.local.t, bytes, size);
		for (uint64_t i = 0; i < 4; i++)
			CU_ASSERT_EQUAL(post(&w.local, w.peer, &w.remote, true,
					     i * size, bytes, size, 10 + i),
					0);
		/* Some of it is under way; how much is left to chance. */
		pump_for((uint64_t)round * 200 * XM_US);
		far_call(&(struct command){ .verb = CONCEAL_FILL, .client = 1,
					    .remote = w.remote, .offset = 4096,
					    .size = 16 * XM_MIB,
					    .fill = 0xee });
		pump_for(30 * XM_MS);
		CU_ASSERT(filled(far_pool + 4096, 0xee, 16 * XM_MIB));
		world_close();
	}
	free(bytes);
}

void one_client_cannot_use_anothers_key(void)
{
	static const uint8_t second[XM_TICKET_SIZE] = "a good ticket 2";
	struct xm_remote_mr theirs;
	uint8_t bytes[4096];
	char words[256];
	uint32_t peer;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	memset(bytes, 0x99, sizeof(bytes));
	CU_ASSERT_EQUAL_FATAL(near_open(&w.other, NULL, words), 0);
	w.ops->register_memory(w.other.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(admit(2, second), 0);
	CU_ASSERT_EQUAL(expose(2, 1500000, 4096, KEY + 100, &theirs), 0);
	CU_ASSERT_TRUE(near_connect(&w.other, second, &peer));
	CU_ASSERT_NOT_EQUAL(move_refused(&w.other, peer, &w.remote, true, 0,
					 bytes, 4096), 0);
	CU_ASSERT(filled(far_pool + 4096, 0x11, 4096));
	CU_ASSERT_EQUAL(w.local.down[w.peer], 0);
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(move(true, 0, bytes, 4096), 0);
	world_close();
}
