/* SPDX-License-Identifier: BSD-3-Clause */
/* Many operations, many clients. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/rig.h"

void at_the_depth_limit_nothing_is_lost(void)
{
	static uint8_t bytes[5000][64];
	uint32_t posted = 0;
	int error = 0;

	if (!world_ready(XM_MIB))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(move(true, 0, bytes, 1), 0);
	w.local.finished = 0;
	far_do(PAUSE);
	while (posted < XM_COUNT(bytes)) {
		memset(bytes[posted], (int)posted, 64);
		error = w.ops->write(w.local.t, w.peer, &w.remote, 64 * posted,
				     bytes[posted], 64, 100 + posted);
		if (error)
			break;
		posted++;
	}
	CU_ASSERT_EQUAL(error, -EAGAIN);
	CU_ASSERT(posted > 0 && posted <= w.limits.depth_max);
	far_do(RESUME);
	PUMP_UNTIL(w.local.finished == posted);
	for (uint32_t i = 0; i < posted; i++) {
		CU_ASSERT_EQUAL(w.local.done[100 + i], 1);
		CU_ASSERT_EQUAL(w.local.status[100 + i], 0);
		CU_ASSERT(filled(far_pool + 4096 + 64 * i, (uint8_t)i, 64));
	}
	CU_ASSERT_EQUAL(w.local.done[100 + posted], 0);
	CU_ASSERT_EQUAL(move(true, 0, bytes, 64), 0);
	world_close();
}

/* Slots of 64 KiB, one operation at a time in each, beside a shadow. */
#define SLOTS 24
#define SLOT_SIZE 65536

static struct {
	uint8_t remote[SLOT_SIZE]; /* what must be there */
	uint8_t local[SLOT_SIZE];
	uint64_t offset;
	size_t size;
	bool busy, write;
} *slots;

static void slot_check(uint32_t i)
{
	if (slots[i].write)
		memcpy(slots[i].remote + slots[i].offset, slots[i].local,
		       slots[i].size);
	else
		CU_ASSERT_EQUAL(memcmp(slots[i].remote + slots[i].offset,
				       slots[i].local, slots[i].size), 0);
}

static int slot_start(uint32_t i, uint64_t *seed)
{
	uint64_t r = xm_rand_mix(seed);
	int error;

	slots[i].size = 1 + xm_rand_mix(seed) %
			(r % 8 ? 4096 : SLOT_SIZE - 1);
	slots[i].offset = xm_rand_mix(seed) % (SLOT_SIZE - slots[i].size + 1);
	slots[i].write = r >> 40 & 1;
	if (slots[i].write)
		memset(slots[i].local, (int)(r >> 20), slots[i].size);
	error = slots[i].write
			? w.ops->write(w.local.t, w.peer, &w.remote,
				       i * SLOT_SIZE + slots[i].offset,
				       slots[i].local, slots[i].size, i)
			: w.ops->read(w.local.t, w.peer, &w.remote,
				      i * SLOT_SIZE + slots[i].offset,
				      slots[i].local, slots[i].size, i);
	slots[i].busy = error == 0;
	return error;
}

/* Keeps the slots busy until `count` operations were taken. The deadline is for each next
 * completion: how many there are in a second is the machine's affair. */
static uint32_t mix_run(uint64_t seed, uint32_t count)
{
	uint32_t taken = 0, busy;
	uint64_t end = xm_clock_ns() + DEADLINE_NS;

	do {
		busy = 0;
		for (uint32_t i = 0; i < SLOTS; i++) {
			if (slots[i].busy && w.local.done[i]) {
				CU_ASSERT_EQUAL(w.local.done[i], 1);
				CU_ASSERT_EQUAL(w.local.status[i], 0);
				w.local.done[i] = 0;
				slots[i].busy = false;
				slot_check(i);
				end = xm_clock_ns() + DEADLINE_NS;
			}
			if (!slots[i].busy && taken < count)
				taken += slot_start(i, &seed) == 0;
			busy += slots[i].busy;
		}
		pump();
	} while ((taken < count || busy) && xm_clock_ns() < end);
	CU_ASSERT_EQUAL(taken, count);
	CU_ASSERT_EQUAL(busy, 0);
	return taken;
}

static bool mix_ready(void)
{
	if (!world_ready(SLOTS * SLOT_SIZE))
		return false;
	slots = calloc(SLOTS, sizeof(*slots));
	memset(far_pool + 4096, 0, SLOTS * SLOT_SIZE);
	w.ops->register_memory(w.local.t, slots, SLOTS * sizeof(*slots));
	return true;
}

void every_token_comes_back_once_under_a_random_mix(void)
{
	if (!mix_ready())
		return;
	w.local.finished = 0;
	CU_ASSERT_EQUAL(mix_run(20260101, 3000), 3000);
	CU_ASSERT_EQUAL(w.local.finished, 3000);
	for (uint32_t i = 0; i < SLOTS; i++)
		CU_ASSERT_EQUAL(memcmp(far_pool + 4096 + i * SLOT_SIZE,
				       slots[i].remote, SLOT_SIZE), 0);
	world_close();
	free(slots);
}

void the_interface_may_close_under_load(void)
{
	uint64_t seed = 7, end;
	uint32_t taken = 0;

	if (!mix_ready())
		return;
	mix_run(99, 50);
	w.local.finished = 0;
	memset(w.local.done, 0, sizeof(w.local.done));
	for (uint32_t i = 0; i < SLOTS; i++)
		taken += slot_start(i, &seed) == 0;
	far_do(CLOSE);
	end = xm_clock_ns() + (w.limits.reports_death ? DEADLINE_NS : XM_SECOND / 5);
	while (w.local.finished < taken && xm_clock_ns() < end)
		pump();
	if (w.limits.reports_death)
		CU_ASSERT(w.local.finished == taken);
	w.ops->disconnect(w.local.t, w.peer);
	PUMP_UNTIL(w.local.finished == taken);
	for (uint32_t i = 0; i < SLOTS; i++)
		CU_ASSERT_EQUAL(w.local.done[i], slots[i].busy ? 1 : 0);
	world_close();
	free(slots);
}

/* Each of them is served, whoever else is talking. */
void many_clients_have_their_bytes_moved(void)
{
	enum { CLIENTS = 100 }; /* below what a target takes by default */
	static uint8_t bytes[CLIENTS][512];
	static uint32_t peers[CLIENTS];
	static struct xm_remote_mr remote[CLIENTS];

	if (!world_open() ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	if (w.loop) {
		skip("both ends are one process");
		world_close();
		return;
	}
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	for (uint32_t i = 0; i < CLIENTS; i++) {
		uint8_t own[XM_TICKET_SIZE] = "client ";

		own[8] = (uint8_t)i;
		CU_ASSERT_EQUAL_FATAL(admit(i + 1, own), 0);
		CU_ASSERT_EQUAL_FATAL(expose(i + 1, i * 4096, 4096, KEY + i,
					     &remote[i]), 0);
		CU_ASSERT_FATAL(near_connect(&w.local, own, &peers[i]));
	}
	for (int round = 0; round < 3; round++) {
		w.local.finished = 0;
		for (uint32_t i = 0; i < CLIENTS; i++) {
			memset(bytes[i], (int)i + round, sizeof(bytes[i]));
			CU_ASSERT_EQUAL(post(&w.local, peers[i], &remote[i], true,
					     0, bytes[i], sizeof(bytes[i]),
					     300 + i), 0);
		}
		PUMP_UNTIL(w.local.finished == CLIENTS);
		for (uint32_t i = 0; i < CLIENTS; i++) {
			CU_ASSERT_EQUAL(w.local.status[300 + i], 0);
			CU_ASSERT(filled(far_pool + i * 4096,
					 (uint8_t)((int)i + round),
					 sizeof(bytes[i])));
		}
	}
	world_close();
}
