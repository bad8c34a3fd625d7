/* SPDX-License-Identifier: BSD-3-Clause */
/* What is written is there, and what is read was. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/rig.h"

void bytes_go_round_unharmed_at_every_size(void)
{
	static const size_t sizes[] = { 1,    2,     7,	    64,	   4095, 4096,
					4097, 65537, 300001, 1 << 20 };
	uint64_t seed = 42;
	uint8_t *out, *in;

	if (!world_ready(40 * XM_MIB))
		return;
	out = malloc(w.limits.size_max);
	in = malloc(w.limits.size_max);
	w.ops->register_memory(w.local.t, out, w.limits.size_max);
	w.ops->register_memory(w.local.t, in, w.limits.size_max);
	for (size_t i = 0; i < w.limits.size_max; i++)
		out[i] = (uint8_t)(xm_rand_mix(&seed) >> 32);
	for (size_t i = 0; i <= XM_COUNT(sizes); i++) {
		size_t size = i < XM_COUNT(sizes) ? sizes[i]
						  : w.limits.size_max;
		uint64_t offset = 2 * i + 1;
		uint8_t *at = far_pool + 4096 + offset;

		at[-1] = at[size] = 0x77;
		memset(in, 0, size);
		CU_ASSERT_EQUAL(move(true, offset, out, size), 0);
		CU_ASSERT_EQUAL(memcmp(at, out, size), 0);
		CU_ASSERT(at[-1] == 0x77 && at[size] == 0x77);
		CU_ASSERT_EQUAL(move(false, offset, in, size), 0);
		CU_ASSERT_EQUAL(memcmp(in, out, size), 0);
	}
	CU_ASSERT_EQUAL(move(true, 0, out, w.limits.size_max + 1), -EINVAL);
	CU_ASSERT_EQUAL(move(false, 0, in, 0), -EINVAL);
	world_close();
	free(out);
	free(in);
}

void a_write_completes_only_when_its_bytes_are_far(void)
{
	static uint8_t bytes[300000];
	static const size_t sizes[] = { 1, 512, 4096, 300000 };

	if (!world_ready(XM_MIB))
		return;
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(move(true, 0, bytes, 1), 0);
	for (size_t i = 0; i < XM_COUNT(sizes); i++) {
		memset(far_pool + 4096, 0x11, sizes[i]);
		memset(bytes, 0x20 + (int)i, sizes[i]);
		w.local.done[2] = 0;
		far_do(PAUSE);
		CU_ASSERT_EQUAL(post(&w.local, w.peer, &w.remote, true, 0, bytes,
				     sizes[i], 2), 0);
		for (uint64_t end = xm_clock_ns() + 50 * XM_MS;
		     xm_clock_ns() < end && !w.local.done[2];)
			pump();
		if (w.local.done[2])
			CU_ASSERT(filled(far_pool + 4096, 0x20 + (uint8_t)i,
					 sizes[i]));
		far_do(RESUME);
		PUMP_UNTIL(w.local.done[2]);
		CU_ASSERT_EQUAL(w.local.status[2], 0);
		CU_ASSERT(filled(far_pool + 4096, 0x20 + (uint8_t)i, sizes[i]));
	}
	world_close();
}

/* Pieces of one write lie apart, and not in the order of the local memory. */
void a_scattered_write_reaches_each_of_its_places(void)
{
	static const uint64_t places[] = { 5, 1, 9, 3, 14, 11, 0, 7 };
	uint8_t bytes[8 * 4096];
	uint64_t offsets[8];
	uint32_t count;

	if (!world_ready(XM_MIB))
		return;
	count = (uint32_t)xm_min(w.limits.scatter_max, 8);
	CU_ASSERT_TRUE_FATAL(count >= 1);
	w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
	for (uint32_t i = 0; i < count; i++) {
		memset(bytes + i * 4096, 0x40 + (int)i, 4096);
		offsets[i] = places[i] * 4096;
	}
	w.local.done[2] = 0;
	for (uint64_t end = xm_clock_ns() + DEADLINE_NS; xm_clock_ns() < end; pump()) {
		if (w.ops->scatter(w.local.t, w.peer, &w.remote, offsets, count,
				   bytes, 4096, 2) != -EAGAIN)
			break;
	}
	PUMP_UNTIL(w.local.done[2]);
	CU_ASSERT_EQUAL(w.local.status[2], 0);
	for (uint64_t place = 0; place < 16; place++) {
		uint8_t with = 0x11;

		for (uint32_t i = 0; i < count; i++) {
			if (places[i] == place)
				with = (uint8_t)(0x40 + i);
		}
		CU_ASSERT(filled(far_pool + 4096 + place * 4096, with, 4096));
	}
	world_close();
}
