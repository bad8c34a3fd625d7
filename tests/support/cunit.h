/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every CUnit program of ours begins and ends with.
 *
 *	int main(void)
 *	{
 *		static const CU_TestInfo tests[] = {
 *			XM_TEST(a_late_write_cannot_reach_the_next_owner),
 *			CU_TEST_INFO_NULL,
 *		};
 *		return xm_tests_run("service", tests);
 *	}
 *
 * The last line printed is "N passed, M failed", which tests/support/summary.sh adds
 * up over all tests.
 */
#ifndef XM_TESTS_CUNIT_H
#define XM_TESTS_CUNIT_H

#include <stdio.h>

#include <CUnit/Basic.h>

#define XM_TEST(function) { #function, function }

/* Runs them all; what main() returns. */
static inline int xm_tests_run(const char *name, const CU_TestInfo *tests)
{
	CU_SuiteInfo suites[] = {
		{ name, NULL, NULL, NULL, NULL, (CU_TestInfo *)tests },
		CU_SUITE_INFO_NULL,
	};
	unsigned run, failed;

	if (CU_initialize_registry() != CUE_SUCCESS ||
	    CU_register_suites(suites) != CUE_SUCCESS) {
		fprintf(stderr, "%s: %s\n", name, CU_get_error_msg());
		return 2;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	run = CU_get_number_of_tests_run();
	failed = CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	printf("%u passed, %u failed\n", run - failed, failed);
	return failed != 0;
}

#endif
