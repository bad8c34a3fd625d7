/* SPDX-License-Identifier: BSD-3-Clause */
/* See access_rig.h. */
#include "tests/api/access_rig.h"

#include <stdio.h>

struct appliance home;
const char *paging = "paging=inline", *lanes = "lanes=1";
uint8_t buffer[REGION];
uint8_t shadow[REGION];

extmem *open_small(extmem_region **ret)
{
	extmem *x = client_open(home.address, "local=4M", paging, lanes,
				"prefetch=16", NULL);

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "small", REGION, ret) == 0);
	return x;
}

void close_well(extmem *x)
{
	struct extmem_stats s = client_stats(x);

	CU_ASSERT(s.local_peak <= s.local_limit);
	CU_ASSERT(s.pages_lost == 0);
	CU_ASSERT(extmem_close(x) == 0);
}

uint8_t *map_all(extmem_region *region)
{
	void *memory = NULL;

	CU_ASSERT_FATAL(extmem_map(region, 0, 0, &memory) == 0);
	CU_ASSERT_FATAL(memory == extmem_region_address(region));
	return memory;
}

bool explicit_is(extmem_region *region, uint64_t seed)
{
	return extmem_read(region, 0, buffer, REGION) == 0 &&
	       pattern_is(buffer, 0, REGION, seed);
}

/* A suite's start: which way, and whether it is permitted here. */
static int use(const char *which_paging, const char *which_lanes)
{
	paging = which_paging;
	lanes = which_lanes;
	return 0;
}

static int use_inline(void)
{
	return use("paging=inline", "lanes=1");
}

static int use_inline_lanes(void)
{
	return use("paging=inline", "lanes=3");
}

static int use_thread_lanes(void)
{
	return use("paging=thread", "lanes=2");
}

static bool permitted(const char *which)
{
	char appliance[160];
	const char *settings[] = { appliance, which, NULL };
	extmem *x;

	snprintf(appliance, sizeof(appliance), "appliance=%s", home.address);
	if (extmem_open(settings, &x) == 0) {
		extmem_close(x);
		return true;
	}
	printf("skipped: %s: %s\n", which, extmem_error());
	return false;
}

int access_run(int argc, char **argv, const CU_TestInfo *tests,
	       const struct act *acts)
{
	CU_SuiteInfo suites[4] = { { 0 } };
	unsigned count = 0, run, failed;

	act_begin(argc, argv, acts);
	if (!appliance_start(&home, argc > 1 ? argv[1] : LOOPBACK, "64M",
			     NULL)) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	if (permitted("paging=inline")) {
		suites[count].pName = "inline";
		suites[count++].pInitFunc = use_inline;
		suites[count].pName = "inline, three lanes";
		suites[count++].pInitFunc = use_inline_lanes;
	}
	if (permitted("paging=thread")) {
		suites[count].pName = "thread, two lanes";
		suites[count++].pInitFunc = use_thread_lanes;
	}
	for (unsigned i = 0; i < count; i++)
		suites[i].pTests = (CU_TestInfo *)(uintptr_t)tests;
	if (CU_initialize_registry() != CUE_SUCCESS ||
	    CU_register_suites(suites) != CUE_SUCCESS)
		return 2;
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	run = CU_get_number_of_tests_run();
	failed = CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	appliance_stop(&home);
	printf("%u passed, %u failed\n", run - failed, failed);
	return failed != 0;
}
