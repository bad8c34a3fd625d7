/* SPDX-License-Identifier: BSD-3-Clause */
/* The model of an interface: its data path, which accesses it refuses, what they take; its
 * registers and queues. The contract on top of it is tests/conformance's. */
#include <stdlib.h>
#include <string.h>

#include "core/pure/transport.h"
#include "tests/support/accesses.h"
#include "tests/support/cunit.h"
#include "transports/model/device.h"

_Alignas(8) static uint8_t pool[ACCESSES_POOL];
static uint8_t shadow[ACCESSES_POOL], wire[ACCESSES_BYTES], sent[ACCESSES_BYTES];

static uint64_t run(void *path, const struct xm_path_access *a, uint64_t step,
		    enum xm_path_status *ret)
{
	uint64_t cycles = 0;
	bool ended = false;

	xm_path_model.begin(path, a);
	while (!ended)
		cycles += xm_path_model.clock(path, step, &ended, ret);
	return cycles;
}

static void bytes_fill(struct xm_rand *r, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)xm_rand_next(r);
}

/* Every answer is that of arithmetic which cannot wrap, the bytes go where they belong and
 * nowhere else, and the cycles are those of the table. */
static void hostile_accesses_touch_nothing(void)
{
	uint32_t answers[XM_PATH_NO_RIGHT + 1] = { 0 };
	struct xm_path_key keys[ACCESSES_KEYS];
	struct xm_rand r;

	xm_rand_seed(&r, 20261130);
	bytes_fill(&r, pool, sizeof(pool));
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t wait = (uint32_t)xm_rand_below(&r, 3);
		void *path = xm_path_model.open(pool, sizeof(pool), wait, 0);

		accesses_keys(&r, keys);
		for (uint32_t i = 0; i < ACCESSES_KEYS; i++)
			xm_path_model.key(path, (uint32_t)(keys[i].key % XM_PATH_KEYS), &keys[i]);
		memcpy(shadow, pool, sizeof(pool));
		for (uint32_t i = 0; i < 500; i++) {
			struct xm_path_access a;
			const struct xm_path_key *k = NULL;
			enum xm_path_status status, answer;
			uint64_t at = 0, took;

			accesses_draw(&r, keys, &a);
			answer = accesses_answer(keys, &a, &k);
			answers[answer]++;
			a.wire = wire;
			bytes_fill(&r, wire, 64);
			memcpy(sent, wire, sizeof(sent));
			took = run(path, &a, 1 + xm_rand_below(&r, 40), &status);
			CU_ASSERT_EQUAL(status, answer);
			if (answer == XM_PATH_DONE) {
				at = k->base + a.offset;
				memcpy(a.write ? shadow + at : sent, a.write ? sent : shadow + at,
				       a.length);
			}
			CU_ASSERT_EQUAL(took, accesses_cycles(answer, at, a.length, wait));
			CU_ASSERT_EQUAL(memcmp(wire, sent, sizeof(wire)), 0);
		}
		CU_ASSERT_EQUAL(memcmp(pool, shadow, sizeof(pool)), 0);
		xm_path_model.close(path);
	}
	for (uint32_t i = 0; i <= XM_PATH_NO_RIGHT; i++)
		CU_ASSERT(answers[i] > 1000);
}

/* --- registers and queues -------------------------------------------------------- */

static struct xm_device device;
static struct xm_device_descriptor submit[2][XM_DEVICE_RING];
static struct xm_device_completion complete[2][XM_DEVICE_RING];

static void device_begin(void)
{
	xm_device_init(&device, &xm_path_model,
		       xm_path_model.open(pool, sizeof(pool), 0, 0));
	memset(complete, 0, sizeof(complete));
	for (uint32_t q = 0; q < 2; q++) {
		xm_device_set(&device, XM_DEVICE_QUEUE(q, SUBMIT), (uintptr_t)submit[q]);
		xm_device_set(&device, XM_DEVICE_QUEUE(q, COMPLETE), (uintptr_t)complete[q]);
		xm_device_set(&device, XM_DEVICE_QUEUE(q, OWNER), 7);
	}
	xm_device_set(&device, XM_DEVICE_REG_KEY_OWNER, 7);
	xm_device_set(&device, XM_DEVICE_REG_KEY_VALUE, 0x1234005);
	xm_device_set(&device, XM_DEVICE_REG_KEY_BASE, 4096);
	xm_device_set(&device, XM_DEVICE_REG_KEY_SIZE, 8192);
	xm_device_set(&device, XM_DEVICE_REG_KEY_RIGHTS, XM_RIGHTS_ALL);
}

static void put(uint32_t q, uint32_t place, uint64_t length, uint64_t token)
{
	submit[q][place % XM_DEVICE_RING] = (struct xm_device_descriptor){
		.write = 1, .key = 0x1234005, .length = length, .wire = (uintptr_t)wire,
		.token = token,
	};
}

static uint64_t head(uint32_t q)
{
	return xm_device_get(&device, XM_DEVICE_QUEUE(q, HEAD));
}

static void nothing_happens_before_the_doorbell(void)
{
	device_begin();
	put(0, 0, 4096, 1);
	CU_ASSERT_EQUAL(xm_device_clock(&device, 100000), 0);
	CU_ASSERT_EQUAL(xm_device_get(&device, XM_DEVICE_REG_ID), XM_DEVICE_ID);
	xm_device_set(&device, XM_DEVICE_QUEUE(0, DOORBELL), 1);
	/* Fetch; check; 512 words in, 512 out; the end; the report. */
	CU_ASSERT_EQUAL(xm_device_clock(&device, 100000), 6 + 3 + 1024 + 1 + 2);
	CU_ASSERT_EQUAL(head(0), 1);
	CU_ASSERT_EQUAL(complete[0][0].token, 1);
	CU_ASSERT_EQUAL(complete[0][0].status, XM_PATH_DONE);
	CU_ASSERT_EQUAL(xm_device_get(&device, XM_DEVICE_REG_CYCLES), 1036);
	CU_ASSERT_EQUAL(complete[0][0].cycles, 1036);
	CU_ASSERT_EQUAL(xm_device_get(&device, XM_DEVICE_REG_BYTES), 4096);
	CU_ASSERT_EQUAL(memcmp(pool + 4096, wire, 4096), 0);
	xm_path_model.close(device.path);
}

static void a_doorbell_beyond_the_ring_is_not_heard(void)
{
	device_begin();
	for (uint32_t i = 0; i < XM_DEVICE_RING; i++)
		put(0, i, 8, i);
	xm_device_set(&device, XM_DEVICE_QUEUE(0, DOORBELL), XM_DEVICE_RING + 1);
	xm_device_set(&device, XM_DEVICE_QUEUE(0, DOORBELL), UINT64_MAX);
	CU_ASSERT_EQUAL(xm_device_clock(&device, 100000), 0);
	xm_device_set(&device, XM_DEVICE_QUEUE(0, DOORBELL), XM_DEVICE_RING);
	xm_device_set(&device, XM_DEVICE_QUEUE(0, DOORBELL), 3); /* nor one that goes back */
	xm_device_clock(&device, 100000);
	CU_ASSERT_EQUAL(head(0), XM_DEVICE_RING);
	for (uint32_t i = 0; i < XM_DEVICE_RING; i++)
		CU_ASSERT_EQUAL(complete[0][i].token, i);
	/* There is none of this number. */
	xm_device_set(&device, XM_DEVICE_QUEUE(XM_DEVICE_QUEUES, DOORBELL), 1);
	CU_ASSERT_EQUAL(xm_device_get(&device, XM_DEVICE_QUEUE(XM_DEVICE_QUEUES, HEAD)), 0);
	xm_path_model.close(device.path);
}

static void queues_take_turns(void)
{
	device_begin();
	for (uint32_t i = 0; i < 20; i++) {
		put(0, i, 4096, i);
		put(1, i, 8, 100 + i);
	}
	xm_device_set(&device, XM_DEVICE_QUEUE(0, DOORBELL), 20);
	xm_device_set(&device, XM_DEVICE_QUEUE(1, DOORBELL), 20);
	while (head(1) < 20) {
		CU_ASSERT_FATAL(xm_device_clock(&device, 10) > 0);
		CU_ASSERT(head(0) - head(1) <= 1 || head(1) - head(0) <= 1);
	}
	xm_path_model.close(device.path);
}

static void a_dead_key_is_safe_behind_the_fence(void)
{
	device_begin();
	put(0, 0, 4096, 1);
	put(0, 1, 4096, 2);
	xm_device_set(&device, XM_DEVICE_QUEUE(0, DOORBELL), 2);
	xm_device_clock(&device, 100); /* in the middle of the first */
	CU_ASSERT_EQUAL(xm_device_get(&device, XM_DEVICE_REG_BUSY), 1);
	xm_device_set(&device, XM_DEVICE_REG_KEY_RIGHTS, 0);
	CU_ASSERT_EQUAL(xm_device_get(&device, XM_DEVICE_REG_FENCE), 1);
	while (xm_device_get(&device, XM_DEVICE_REG_FENCE) != 0)
		CU_ASSERT_FATAL(xm_device_clock(&device, 10) > 0);
	memset(pool + 4096, 0xee, 8192);
	xm_device_clock(&device, 100000);
	CU_ASSERT_EQUAL(complete[0][0].status, XM_PATH_DONE);
	CU_ASSERT_EQUAL(complete[0][1].status, XM_PATH_NO_KEY);
	CU_ASSERT_EQUAL(xm_device_get(&device, XM_DEVICE_REG_REFUSED), 1);
	for (uint32_t i = 0; i < 8192; i++)
		CU_ASSERT_FATAL(pool[4096 + i] == 0xee);
	xm_path_model.close(device.path);
}

static void a_queue_that_was_turned_off_reports_nothing(void)
{
	device_begin();
	put(0, 0, 4096, 1);
	put(0, 1, 4096, 2);
	xm_device_set(&device, XM_DEVICE_QUEUE(0, DOORBELL), 2);
	xm_device_clock(&device, 100);
	xm_device_set(&device, XM_DEVICE_QUEUE(0, OWNER), 0);
	while (xm_device_get(&device, XM_DEVICE_REG_BUSY) != 0)
		xm_device_clock(&device, 10);
	CU_ASSERT_EQUAL(xm_device_clock(&device, 100000), 0);
	xm_device_set(&device, XM_DEVICE_QUEUE(0, OWNER), 7);
	CU_ASSERT_EQUAL(head(0), 0);
	CU_ASSERT_EQUAL(complete[0][0].token, 0);
	put(0, 0, 8, 3);
	xm_device_set(&device, XM_DEVICE_QUEUE(0, DOORBELL), 1);
	xm_device_clock(&device, 100000);
	CU_ASSERT_EQUAL(complete[0][0].token, 3);
	xm_path_model.close(device.path);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(hostile_accesses_touch_nothing),
		XM_TEST(nothing_happens_before_the_doorbell),
		XM_TEST(a_doorbell_beyond_the_ring_is_not_heard),
		XM_TEST(queues_take_turns),
		XM_TEST(a_dead_key_is_safe_behind_the_fence),
		XM_TEST(a_queue_that_was_turned_off_reports_nothing),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("model", tests);
}
