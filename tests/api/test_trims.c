/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions that shrink while an appliance does not answer: what became of that is found out
 * later, nothing stays behind, and mirrors are mended meanwhile. */
#include "tests/support/appliance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "tests/support/proxy.h"

#define COUNT 3
#define POOL "16M"
#define REGION (4 * MIB)

static struct appliance all[COUNT];
static struct proxy proxies[COUNT];
static unsigned count;
static extmem *x;
static extmem_region *region;
static uint8_t buffer[REGION];

static void begin(unsigned wanted, const char *strategy, unsigned mortal)
{
	static const char *const more[] = { "--lease=60s", NULL };
	char texts[COUNT][160];
	const char *settings[COUNT + 5] = { "local=4M", "timeout=2s", "lanes=1",
					    strategy };

	count = wanted;
	for (unsigned i = 0; i < count; i++) {
		CU_ASSERT_FATAL(appliance_start(&all[i], LOOPBACK, POOL, more));
		CU_ASSERT_FATAL(proxy_open(&proxies[i], all[i].address));
		snprintf(texts[i], sizeof(texts[i]), "appliance=%s",
			 all[i].address);
		/* Behind one the death of an appliance is no refused connection. */
		if (i != mortal)
			snprintf(texts[i], sizeof(texts[i]),
				 "appliance=ofi+tcp://127.0.0.1:%d",
				 proxies[i].port);
		settings[4 + i] = texts[i];
	}
	CU_ASSERT_EQUAL_FATAL(extmem_open(settings, &x), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(x, "shrinks", REGION,
						  &region), 0);
	pattern_fill(buffer, 0, REGION, 3);
	CU_ASSERT_EQUAL(extmem_write(region, 0, buffer, REGION), 0);
}

static void end(void)
{
	CU_ASSERT_EQUAL(extmem_close(x), 0);
	for (unsigned i = 0; i < count; i++) {
		if (all[i].control > 0)
			CU_ASSERT(appliance_frees(&all[i], 16 * MIB));
		proxy_close(&proxies[i]);
		appliance_kill(&all[i]);
	}
}

static bool is_right(uint64_t size)
{
	memset(buffer, 0, REGION);
	return extmem_region_size(region) == size &&
	       extmem_read(region, 0, buffer, size) == 0 &&
	       pattern_is(buffer, 0, size, 3);
}

/* No answer of it is heard, and none comes later. */
static int resize_unheard(unsigned appliance, uint64_t size)
{
	int rc;

	atomic_store(&proxies[appliance].mute, true);
	rc = extmem_region_resize(region, size);
	atomic_store(&proxies[appliance].cut, true);
	atomic_store(&proxies[appliance].mute, false);
	return rc;
}

static bool shrinks(void *context)
{
	const uint64_t *size = context;

	return extmem_region_resize(region, *size) == 0;
}

static void what_was_cut_off_unheard_is_found_and_given_back(void)
{
	uint64_t less = 2 * MIB, least = MIB;

	begin(1, "strategy=", COUNT);
	CU_ASSERT_EQUAL(resize_unheard(0, less), -ETIMEDOUT);
	CU_ASSERT(is_right(REGION));
	CU_ASSERT_FATAL(until(shrinks, &less));
	CU_ASSERT(is_right(less));
	CU_ASSERT(appliance_frees(&all[0], 14 * MIB));
	CU_ASSERT_FATAL(until(shrinks, &least));
	CU_ASSERT(is_right(least));
	CU_ASSERT(appliance_frees(&all[0], 15 * MIB));
	end();
}

/* The first member was trimmed, and that is heard: so the region is smaller. */
static void a_mirror_goes_on_with_half_a_trim_and_ends_it_later(void)
{
	uint64_t least = MIB;

	begin(2, "strategy=mirror 2", COUNT);
	CU_ASSERT_EQUAL(resize_unheard(1, 2 * MIB), -ETIMEDOUT);
	CU_ASSERT(is_right(2 * MIB));
	CU_ASSERT_FATAL(until(shrinks, &least));
	CU_ASSERT(is_right(least));
	/* Each has a ledger, too. */
	for (unsigned i = 0; i < count; i++)
		CU_ASSERT(appliance_frees(&all[i], 15 * MIB - MIB / 16));
	end();
}

static bool is_whole(void *context)
{
	(void)context;
	return client_stats(x).failovers > 0 &&
	       client_stats(x).members_missing == 0;
}

static void a_mirror_is_mended_after_half_a_trim(void)
{
	uint64_t least = MIB;

	begin(3, "strategy=mirror 2, rank listed", 0);
	CU_ASSERT_EQUAL(resize_unheard(1, 2 * MIB), -ETIMEDOUT);
	appliance_kill(&all[0]);
	CU_ASSERT_FATAL(until(is_whole, NULL));
	CU_ASSERT(is_right(2 * MIB));
	CU_ASSERT_FATAL(until(shrinks, &least));
	appliance_kill(&all[1]);
	CU_ASSERT(is_right(least));
	CU_ASSERT_EQUAL(client_stats(x).pages_lost, 0);
	extmem_close(x);
	for (unsigned i = 0; i < count; i++) {
		proxy_close(&proxies[i]);
		appliance_kill(&all[i]);
	}
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { 0 } };
	static const CU_TestInfo tests[] = {
		XM_TEST(what_was_cut_off_unheard_is_found_and_given_back),
		XM_TEST(a_mirror_goes_on_with_half_a_trim_and_ends_it_later),
		XM_TEST(a_mirror_is_mended_after_half_a_trim),
		CU_TEST_INFO_NULL,
	};

	act_begin(argc, argv, acts);
	return xm_tests_run("trims", tests);
}
