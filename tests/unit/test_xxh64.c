/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of common/xxh64.h. */
#include <string.h>

#include "common/xxh64.h"
#include "tests/support/cunit.h"

/* Those of the author's own tests, and of xxhsum(1). */
static void known_texts_have_their_sums(void)
{
	const char *pangram = "The quick brown fox jumps over the lazy dog";

	CU_ASSERT_EQUAL(xm_xxh64("", 0, 0), UINT64_C(0xef46db3751d8e999));
	CU_ASSERT_EQUAL(xm_xxh64("abc", 3, 0), UINT64_C(0x44bc2cf5ad770999));
	CU_ASSERT_EQUAL(xm_xxh64(pangram, strlen(pangram), 0),
			UINT64_C(0x0b242d361fda71bc));
}

static void each_bit_and_the_seed_change_the_sum(void)
{
	uint8_t bytes[100] = { 0 };
	uint64_t sum = xm_xxh64(bytes, sizeof(bytes), 0);

	CU_ASSERT_NOT_EQUAL(xm_xxh64(bytes, sizeof(bytes), 1), sum);
	for (unsigned i = 0; i < 8 * sizeof(bytes); i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		CU_ASSERT_NOT_EQUAL(xm_xxh64(bytes, sizeof(bytes), 0), sum);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		XM_TEST(known_texts_have_their_sums),
		XM_TEST(each_bit_and_the_seed_change_the_sum),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("xxh64", tests);
}
