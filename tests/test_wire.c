/* SPDX-License-Identifier: BSD-3-Clause */
/* Control messages and their bytes. */
#include "wire.h"

#include <stdio.h>
#include <CUnit/CUnit.h>
#include <CUnit/Basic.h>

static void every_kind_has_a_name(void)
{
	CU_ASSERT_STRING_EQUAL(xm_message_name(XM_TAKE), "TAKE");
	CU_ASSERT_STRING_EQUAL(xm_message_name((enum xm_message_kind)0), "?");
}

int main(void)
{
	unsigned failed;

	CU_initialize_registry();
	CU_pSuite suite = CU_add_suite("wire", NULL, NULL);
	CU_ADD_TEST(suite, every_kind_has_a_name);
	CU_basic_run_tests();
	failed = CU_get_number_of_tests_failed();
	printf("%u passed, %u failed\n", CU_get_number_of_tests_run() - failed,
	       failed);
	CU_cleanup_registry();
	return failed != 0;
}
