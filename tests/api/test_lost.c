/* SPDX-License-Identifier: BSD-3-Clause */
/* A mirror that has lost all of its members says so: which pages went, and to whom. */
#include "tests/support/appliance.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/cunit.h"

#define COUNT 2
#define REGION (8 * MIB)

static struct appliance all[COUNT];
static extmem *x;
static extmem_region *region;
static uint8_t *memory;
static uint8_t buffer[REGION];

static void begin(void)
{
	static const char *const more[] = { "--lease=60s", NULL };
	char texts[COUNT][160];
	const char *settings[] = { "local=4M", "strategy=mirror 2", "lanes=1",
				   "loss_timeout=500ms", texts[0], texts[1],
				   NULL };
	void *at;

	for (unsigned i = 0; i < COUNT; i++) {
		CU_ASSERT_FATAL(appliance_start(&all[i], LOOPBACK, "16M", more));
		snprintf(texts[i], sizeof(texts[i]), "appliance=%s",
			 all[i].address);
	}
	CU_ASSERT_EQUAL_FATAL(extmem_open(settings, &x), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(x, "both", REGION, &region),
			      0);
	CU_ASSERT_EQUAL_FATAL(extmem_map(region, 0, 0, &at), 0);
	memory = at;
	pattern_fill(memory, 0, REGION, 1);
	CU_ASSERT_EQUAL_FATAL(extmem_sync(region, 0, 0), 0);
	CU_ASSERT_EQUAL(client_stats(x).members, 2);
	CU_ASSERT_STRING_EQUAL(extmem_lost(x), "");
}

static void end(void)
{
	extmem_close(x);
	for (unsigned i = 0; i < COUNT; i++)
		appliance_kill(&all[i]);
}

/* Some page is not here, and cannot be had. */
static bool is_lost(void *context)
{
	(void)context;
	for (uint64_t at = 0; at < REGION; at += 64 * PAGE) {
		if (touch_read(memory + at) == -1)
			return true;
	}
	return false;
}

/* The sentence about this appliance. */
static bool said_of(const char *words, const struct appliance *a,
		    const char *what)
{
	char wanted[320];

	snprintf(wanted, sizeof(wanted), "appliance %s %s", a->address, what);
	if (strstr(words, wanted) != NULL)
		return true;
	printf("\nnot \"%s\": %s\n", wanted, words);
	return false;
}

static void who_is_out_of_reach_is_named_each(void)
{
	begin();
	for (unsigned i = 0; i < COUNT; i++)
		appliance_signal(&all[i], PART_BOTH, SIGSTOP);
	CU_ASSERT_FATAL(until(is_lost, NULL));
	for (unsigned i = 0; i < COUNT; i++)
		CU_ASSERT(said_of(extmem_lost(x), &all[i], "is out of reach"));
	CU_ASSERT_EQUAL(extmem_read(region, 0, buffer, REGION), -ENOTCONN);
	CU_ASSERT(words_have("extmem_read: [0, +8388608) of region both: "));
	for (unsigned i = 0; i < COUNT; i++)
		CU_ASSERT(said_of(extmem_error(), &all[i], "is out of reach"));
	for (unsigned i = 0; i < COUNT; i++)
		appliance_signal(&all[i], PART_BOTH, SIGCONT);
	end();
}

static bool is_stale(void *context)
{
	(void)context;
	return extmem_read(region, 0, buffer, REGION) == -ESTALE;
}

static void who_came_back_empty_is_named_each_and_what_went_with_it(void)
{
	static const char empty[] = "does not hold our memory any more (it was "
				    "restarted, or our lease ended)";
	char listen[COUNT][128], range[128];

	begin();
	for (unsigned i = 0; i < COUNT; i++) {
		memcpy(listen[i], all[i].address, sizeof(listen[i]));
		appliance_kill(&all[i]);
	}
	for (unsigned i = 0; i < COUNT; i++)
		CU_ASSERT_FATAL(appliance_start(&all[i], listen[i], "16M",
						NULL));
	CU_ASSERT_FATAL(until(is_stale, NULL));
	/* The first to be back may be a spare already, with nothing to be filled from. */
	for (unsigned i = 0; i < COUNT; i++)
		CU_ASSERT(said_of(extmem_error(), &all[i], ""));
	CU_ASSERT(strstr(extmem_error(), empty) != NULL);
	CU_ASSERT_FATAL(is_lost(NULL));
	snprintf(range, sizeof(range), "is lost, and all that lay with it of "
		 "%p to %p (8.0 MiB): ", (void *)memory,
		 (void *)(memory + REGION));
	CU_ASSERT(strstr(extmem_lost(x), range) != NULL);
	for (unsigned i = 0; i < COUNT; i++)
		CU_ASSERT(said_of(extmem_lost(x), &all[i], ""));
	CU_ASSERT(strstr(extmem_lost(x), empty) != NULL);
	CU_ASSERT(client_stats(x).pages_lost > 0);
	end();
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { 0 } };
	static const CU_TestInfo tests[] = {
		XM_TEST(who_is_out_of_reach_is_named_each),
		XM_TEST(who_came_back_empty_is_named_each_and_what_went_with_it),
		CU_TEST_INFO_NULL,
	};

	act_begin(argc, argv, acts);
	touch_begin();
	return xm_tests_run("lost", tests);
}
