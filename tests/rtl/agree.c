/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two data paths, the one in C and the one in Verilog, get the same accesses, most of them
 * hostile (tests/support/accesses.h): the same answers, the same bytes in memory and on the
 * wire, the same cycles, with memories that wait for a fixed time; the same but for the
 * cycles with one that waits as it likes. `agree [SEED [ROUNDS]]`.
 */
#include <stdlib.h>
#include <string.h>

#include "core/pure/transport.h"
#include "tests/support/accesses.h"
#include "tests/support/cunit.h"

#define EACH 400 /* accesses of a round */
#define LONG (8 * XM_MIB)

extern const struct xm_path_ops xm_path_rtl;

/* One of each. */
struct side {
	const struct xm_path_ops *ops;
	void *path;
	uint8_t *pool, *wire;
	uint64_t cycles;
	enum xm_path_status status;
};

static uint64_t seed = 20261130, rounds = 60;
static uint64_t accesses, cycles, answers[XM_PATH_NO_RIGHT + 1];

static void side_run(struct side *s, struct xm_path_access a)
{
	bool ended = false;

	a.wire = s->wire;
	s->cycles = 0;
	s->ops->begin(s->path, &a);
	while (!ended)
		s->cycles += s->ops->clock(s->path, 1000, &ended, &s->status);
}

static void both_open(struct side *s, size_t pool, size_t wire, uint32_t wait, uint64_t jitter)
{
	s[0].ops = &xm_path_model;
	s[1].ops = &xm_path_rtl;
	for (int i = 0; i < 2; i++) {
		s[i].pool = aligned_alloc(8, pool);
		s[i].wire = malloc(wire);
		CU_ASSERT_FATAL(s[i].pool != NULL && s[i].wire != NULL);
		s[i].path = s[i].ops->open(s[i].pool, pool, wait, jitter);
	}
}

static void both_close(struct side *s)
{
	for (int i = 0; i < 2; i++) {
		s[i].ops->close(s[i].path);
		free(s[i].pool);
		free(s[i].wire);
	}
}

static void noise(struct xm_rand *r, struct side *s, size_t pool, size_t wire)
{
	for (size_t i = 0; i < pool; i++)
		s[0].pool[i] = (uint8_t)xm_rand_next(r);
	for (size_t i = 0; i < wire; i++)
		s[0].wire[i] = (uint8_t)xm_rand_next(r);
	memcpy(s[1].pool, s[0].pool, pool);
	memcpy(s[1].wire, s[0].wire, wire);
}

static void one(struct side *s, const struct xm_path_key *keys, const struct xm_path_access *a,
		bool timed)
{
	const struct xm_path_key *k = NULL;

	side_run(&s[0], *a);
	side_run(&s[1], *a);
	CU_ASSERT_EQUAL(s[0].status, s[1].status);
	CU_ASSERT_EQUAL(s[1].status, accesses_answer(keys, a, &k));
	if (timed)
		CU_ASSERT_EQUAL(s[0].cycles, s[1].cycles);
	accesses++;
	answers[s[1].status]++;
	cycles += s[1].cycles;
}

static void verilog_and_c_answer_alike(void)
{
	struct xm_path_key keys[ACCESSES_KEYS];
	struct xm_path_access a;
	struct side s[2];
	struct xm_rand r;

	xm_rand_seed(&r, seed);
	for (uint64_t round = 0; round < rounds; round++) {
		bool timed = round % 4 != 3;

		both_open(s, ACCESSES_POOL, ACCESSES_BYTES, (uint32_t)(round % 4),
			  timed ? 0 : 1 + xm_rand_next(&r) / 2);
		accesses_keys(&r, keys);
		for (uint32_t i = 0; i < ACCESSES_KEYS; i++)
			for (int j = 0; j < 2; j++)
				s[j].ops->key(s[j].path, (uint32_t)(keys[i].key % XM_PATH_KEYS),
					      &keys[i]);
		noise(&r, s, ACCESSES_POOL, ACCESSES_BYTES);
		for (uint32_t i = 0; i < EACH; i++) {
			accesses_draw(&r, keys, &a);
			one(s, keys, &a, timed);
		}
		CU_ASSERT_EQUAL(memcmp(s[0].pool, s[1].pool, ACCESSES_POOL), 0);
		CU_ASSERT_EQUAL(memcmp(s[0].wire, s[1].wire, ACCESSES_BYTES), 0);
		both_close(s);
	}
}

/* Every place of the first and the last byte within a word, to write and to read. */
static void all_alignments_are_alike(void)
{
	struct xm_path_key keys[ACCESSES_KEYS] = {
		{ .owner = 9, .key = 0xabc000, .base = 3, .size = 200, .rights = XM_RIGHTS_ALL },
	};
	struct xm_path_access a = { .owner = 9, .key = 0xabc000 };
	struct side s[2];
	struct xm_rand r;

	xm_rand_seed(&r, seed);
	both_open(s, 256, 256, 1, 0);
	for (int j = 0; j < 2; j++)
		s[j].ops->key(s[j].path, 0, &keys[0]);
	noise(&r, s, 256, 256);
	for (a.offset = 0; a.offset < 9; a.offset++) {
		for (a.length = 1; a.length < 40; a.length++) {
			for (int write = 0; write < 2; write++) {
				a.write = write;
				one(s, keys, &a, true);
				CU_ASSERT_EQUAL(memcmp(s[0].pool, s[1].pool, 256), 0);
				CU_ASSERT_EQUAL(memcmp(s[0].wire, s[1].wire, 256), 0);
			}
		}
	}
	both_close(s);
}

static void the_longest_access_is_alike(void)
{
	struct xm_path_key keys[ACCESSES_KEYS] = {
		{ .owner = 9, .key = 0xabc000, .base = 5, .size = LONG - 5,
		  .rights = XM_RIGHTS_ALL },
	};
	struct xm_path_access a = { .owner = 9, .key = 0xabc000, .offset = 2,
				    .length = XM_PATH_LENGTH_MAX };
	struct side s[2];
	struct xm_rand r;

	xm_rand_seed(&r, seed);
	both_open(s, LONG, XM_PATH_LENGTH_MAX, 0, 0);
	for (int j = 0; j < 2; j++)
		s[j].ops->key(s[j].path, 0, &keys[0]);
	noise(&r, s, LONG, XM_PATH_LENGTH_MAX);
	for (int write = 0; write < 2; write++) {
		a.write = write;
		one(s, keys, &a, true);
		a.offset += 13;
	}
	a.length++;
	one(s, keys, &a, true);
	CU_ASSERT_EQUAL(s[1].status, XM_PATH_NO_LENGTH);
	CU_ASSERT_EQUAL(memcmp(s[0].pool, s[1].pool, LONG), 0);
	CU_ASSERT_EQUAL(memcmp(s[0].wire, s[1].wire, XM_PATH_LENGTH_MAX), 0);
	both_close(s);
}

/* Keys come and go while an access moves its bytes. */
static void keys_are_written_meanwhile(void)
{
	struct xm_path_key keys[ACCESSES_KEYS] = {
		{ .owner = 9, .key = 0xabc000, .base = 8, .size = 4096, .rights = XM_RIGHTS_ALL },
	}, other = { .owner = 4, .key = 0x77001, .base = 0, .size = 8, .rights = XM_RIGHT_READ };
	struct xm_path_access a = { .write = true, .owner = 9, .key = 0xabc000, .length = 4096 };
	struct side s[2];
	struct xm_rand r;
	bool ended;

	xm_rand_seed(&r, seed);
	both_open(s, 8192, 4096, 0, 0);
	noise(&r, s, 8192, 4096);
	for (int j = 0; j < 2; j++) {
		a.wire = s[j].wire;
		s[j].ops->key(s[j].path, 0, &keys[0]);
		s[j].ops->begin(s[j].path, &a);
		s[j].cycles = s[j].ops->clock(s[j].path, 100, &ended, &s[j].status);
		CU_ASSERT_FALSE(ended);
		s[j].ops->key(s[j].path, 1, &other);
		keys[0].rights = 0;
		s[j].ops->key(s[j].path, 0, &keys[0]);
		keys[0].rights = XM_RIGHTS_ALL;
		while (!ended)
			s[j].cycles += s[j].ops->clock(s[j].path, 7, &ended, &s[j].status);
		CU_ASSERT_EQUAL(s[j].status, XM_PATH_DONE); /* as it was checked */
		CU_ASSERT_EQUAL(memcmp(s[j].pool + 8, s[j].wire, 4096), 0);
		side_run(&s[j], a);
		CU_ASSERT_EQUAL(s[j].status, XM_PATH_NO_KEY);
	}
	both_close(s);
}

int main(int argc, char **argv)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(verilog_and_c_answer_alike),
		XM_TEST(all_alignments_are_alike),
		XM_TEST(the_longest_access_is_alike),
		XM_TEST(keys_are_written_meanwhile),
		CU_TEST_INFO_NULL,
	};
	int status;

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		rounds = strtoull(argv[2], NULL, 0);
	status = xm_tests_run("rtl", tests);
	printf("%llu accesses, %llu cycles: %llu done, refused for length %llu, key %llu, "
	       "bounds %llu, rights %llu\n", (unsigned long long)accesses,
	       (unsigned long long)cycles, (unsigned long long)answers[XM_PATH_DONE],
	       (unsigned long long)answers[XM_PATH_NO_LENGTH],
	       (unsigned long long)answers[XM_PATH_NO_KEY],
	       (unsigned long long)answers[XM_PATH_NO_BOUNDS],
	       (unsigned long long)answers[XM_PATH_NO_RIGHT]);
	return status;
}
