/* SPDX-License-Identifier: BSD-3-Clause */
/* A member of a mirror that lies about its incarnation: that costs a copy, and no byte. */
#include "tests/support/appliance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "tests/support/proxy.h"

#define COUNT 2
#define REGION (4 * MIB)

static struct appliance all[COUNT];
static struct proxy proxies[COUNT];
static char texts[COUNT][160];
static uint8_t buffer[REGION];

static bool begin(void)
{
	static const char *const more[] = { "--lease=60s", NULL };

	for (unsigned i = 0; i < COUNT; i++) {
		if (!appliance_start(&all[i], LOOPBACK, "16M", more) ||
		    !proxy_open(&proxies[i], all[i].address))
			return false;
		snprintf(texts[i], sizeof(texts[i]),
			 "appliance=ofi+tcp://127.0.0.1:%d", proxies[i].port);
	}
	return true;
}

static void end(void)
{
	for (unsigned i = 0; i < COUNT; i++) {
		proxy_close(&proxies[i]);
		appliance_kill(&all[i]);
	}
}

static int open_both(extmem **ret)
{
	const char *settings[] = { "local=4M", "strategy=mirror 2", "lanes=1",
				   "timeout=20s", texts[0], texts[1], NULL };

	return extmem_open(settings, ret);
}

static void one_that_says_it_is_the_other_is_not_used_beside_it(void)
{
	char words[256];
	extmem *x;

	CU_ASSERT_FATAL(begin());
	CU_ASSERT_EQUAL_FATAL(open_both(&x), 0);
	CU_ASSERT_EQUAL(extmem_close(x), 0);
	atomic_store(&proxies[1].lie, atomic_load(&proxies[0].incarnation));
	CU_ASSERT_EQUAL(open_both(&x), -ENODEV);
	snprintf(words, sizeof(words), "no set of appliances meets \"mirror 2\": "
		 "1 of 2 can be chosen; \"mirror 1\" could be met; %s is the same "
		 "appliance as %s", strchr(texts[1], '=') + 1,
		 strchr(texts[0], '=') + 1);
	CU_ASSERT(words_have(words));
	end();
}

static extmem *client;

static bool has_failed_over(void *context)
{
	(void)context;
	return client_stats(client).failovers > 0;
}

static bool is_whole(void *context)
{
	(void)context;
	return client_stats(client).members == 2;
}

/* It has all its memory, and says that it began anew: what it has is not read again before it
 * was given everything. */
static void one_that_says_it_was_restarted_is_filled_anew(void)
{
	extmem_region *region;

	CU_ASSERT_FATAL(begin());
	CU_ASSERT_EQUAL_FATAL(open_both(&client), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(client, "lied to", REGION,
						  &region), 0);
	pattern_fill(buffer, 0, REGION, 5);
	CU_ASSERT_EQUAL(extmem_write(region, 0, buffer, REGION), 0);
	atomic_store(&proxies[1].lie, 12345);
	atomic_store(&proxies[1].cut, true);
	CU_ASSERT_FATAL(until(has_failed_over, NULL));
	pattern_fill(buffer, 0, REGION, 6);
	CU_ASSERT_EQUAL(extmem_write(region, 0, buffer, REGION), 0);
	CU_ASSERT_FATAL(until(is_whole, NULL));
	CU_ASSERT(client_stats(client).mended_bytes >= REGION);
	/* It alone has the bytes now. */
	appliance_kill(&all[0]);
	memset(buffer, 0, REGION);
	CU_ASSERT_EQUAL(extmem_read(region, 0, buffer, REGION), 0);
	CU_ASSERT(pattern_is(buffer, 0, REGION, 6));
	CU_ASSERT_EQUAL(client_stats(client).pages_lost, 0);
	extmem_close(client);
	end();
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { 0 } };
	static const CU_TestInfo tests[] = {
		XM_TEST(one_that_says_it_is_the_other_is_not_used_beside_it),
		XM_TEST(one_that_says_it_was_restarted_is_filled_anew),
		CU_TEST_INFO_NULL,
	};

	act_begin(argc, argv, acts);
	return xm_tests_run("liar", tests);
}
