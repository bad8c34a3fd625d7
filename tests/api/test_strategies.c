/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions under strategies, at real appliances. */
#include "tests/support/appliance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/cunit.h"

#define POOL "16M"
#define POOL_BYTES (16 * MIB)
#define COUNT 3

static struct appliance all[COUNT];
static char settings_all[COUNT][160];

/* A client of all of them, under this strategy (or NULL). NULL: refused. */
static extmem *open_under(const char *strategy)
{
	char text[256];
	const char *settings[COUNT + 4] = { "local=4M" };
	extmem *x = NULL;
	int rc;

	for (unsigned i = 0; i < COUNT; i++)
		settings[i + 1] = settings_all[i];
	snprintf(text, sizeof(text), "strategy=%s",
		 strategy != NULL ? strategy : "");
	settings[COUNT + 1] = text;
	settings[COUNT + 2] = NULL;
	rc = extmem_open(settings, &x);
	return rc == 0 ? x : NULL;
}

/* MiB that are in use at each of them, as "8 8 0"; what is being zeroed counts. */
static const char *used(void)
{
	static char text[64];
	size_t at = 0;

	for (unsigned i = 0; i < COUNT; i++)
		at += (size_t)snprintf(
			text + at, sizeof(text) - at, "%s%lld", i ? " " : "",
			(long long)(POOL_BYTES - appliance_free(&all[i])) /
				(long long)MIB);
	return text;
}

static bool all_free(void)
{
	for (unsigned i = 0; i < COUNT; i++) {
		if (!appliance_frees(&all[i], POOL_BYTES))
			return false;
	}
	return true;
}

static void two_copies_lie_at_two_appliances(void)
{
	extmem *x = open_under("mirror 2");
	static uint8_t bytes[4 * MIB], seen[4 * MIB];
	extmem_region *region;
	uint8_t *memory;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "twice", 4 * MIB, &region) == 0);
	CU_ASSERT_STRING_EQUAL(used(), "4 4 0");
	pattern_fill(bytes, 0, sizeof(bytes), 3);
	CU_ASSERT(extmem_write(region, 0, bytes, sizeof(bytes)) == 0);
	CU_ASSERT(client_stats(x).bytes_written >= 2 * sizeof(bytes));
	CU_ASSERT(extmem_read(region, 0, seen, sizeof(seen)) == 0);
	CU_ASSERT(pattern_is(seen, 0, sizeof(seen), 3));
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	CU_ASSERT(pattern_is(memory, 0, sizeof(bytes), 3));
	pattern_fill(memory, 0, sizeof(bytes), 4);
	CU_ASSERT(extmem_sync(region, 0, 0) == 0);
	CU_ASSERT(pattern_is(memory, 0, sizeof(bytes), 4));
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(all_free());
}

static void a_mirror_grows_and_shrinks(void)
{
	extmem *x = open_under("mirror 2, rank free");
	extmem_region *region;
	uint8_t *memory;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "grows", 2 * MIB, &region) == 0);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	pattern_fill(memory, 0, 2 * MIB, 9);
	CU_ASSERT(extmem_region_resize(region, 6 * MIB) == 0);
	/* The third had most free by then. */
	CU_ASSERT_STRING_EQUAL(used(), "6 2 4");
	CU_ASSERT(all_zero(memory + 2 * MIB, 4 * MIB));
	pattern_fill(memory + 2 * MIB, 2 * MIB, 4 * MIB, 9);
	CU_ASSERT(extmem_region_resize(region, 3 * MIB) == 0);
	CU_ASSERT(pattern_is(memory, 0, 3 * MIB, 9));
	CU_ASSERT(extmem_region_free(region) == 0);
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(all_free());
}

/* Whether bytes are where they belong after they left local memory and came back. */
static bool travels(extmem_region *region, uint64_t size, uint64_t seed)
{
	static uint8_t seen[3 * MIB];
	uint8_t *memory;
	bool same;

	if (extmem_map(region, 0, 0, (void **)&memory) != 0)
		return false;
	pattern_fill(memory, 0, size, seed);
	if (extmem_sync(region, 0, 0) != 0 ||
	    extmem_advise(region, 0, 0, EXTMEM_COLD) != 0)
		return false;
	same = pattern_is(memory, 0, size, seed);
	/* Past the pager's back, over many units at a time. */
	for (uint64_t at = 0; at < size; at += sizeof(seen)) {
		size_t part = size - at < sizeof(seen) ? size - at
						       : sizeof(seen);

		same = same && extmem_read(region, at, seen, part) == 0 &&
		       pattern_is(seen, at, part, seed);
	}
	return extmem_unmap(region, 0, 0) == 0 && same;
}

static void stripes_are_dealt_out_to_all_appliances(void)
{
	extmem *x = open_under("stripe 3 x 64K");
	extmem_region *region;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "wide", 9 * MIB, &region) == 0);
	CU_ASSERT_STRING_EQUAL(used(), "3 3 3");
	CU_ASSERT(travels(region, 9 * MIB, 11));
	CU_ASSERT(extmem_region_resize(region, 18 * MIB) == 0);
	CU_ASSERT_STRING_EQUAL(used(), "6 6 6");
	CU_ASSERT(travels(region, 18 * MIB, 12));
	/* In the middle of the first run; whole rows of 192 KiB. */
	CU_ASSERT(extmem_region_resize(region, 3 * MIB - 1) == 0);
	CU_ASSERT_EQUAL(extmem_region_size(region), 16 * 192 * 1024);
	CU_ASSERT(travels(region, 3 * MIB, 13));
	CU_ASSERT(extmem_region_resize(region, 12 * MIB) == 0);
	CU_ASSERT(travels(region, 12 * MIB, 14));
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(all_free());
}

/* A bit for each part of the region that some appliance has lent. */
static uint32_t parts_of(extmem *x, const char *name)
{
	struct extmem_region_entry list[32];
	uint32_t parts = 0;
	int count = extmem_region_list(x, 0, list, 32);

	for (int i = 0; i < count; i++)
		parts |= strcmp(list[i].name, name) == 0 ? 1u << list[i].part
							 : 0;
	return parts;
}

static void stripes_have_copies_in_a_chain(void)
{
	extmem *x = open_under("mirror 2, stripe 3");
	extmem_region *region;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "both", 6 * MIB, &region) == 0);
	CU_ASSERT_STRING_EQUAL(used(), "4 4 4");
	CU_ASSERT_EQUAL(client_stats(x).copies, 2);
	CU_ASSERT_EQUAL(client_stats(x).stripes, 3);
	CU_ASSERT_EQUAL(client_stats(x).segments, 3);
	CU_ASSERT(parts_of(x, "both") == 0x3f);
	CU_ASSERT(travels(region, 6 * MIB, 21));
	CU_ASSERT(extmem_region_resize(region, 3 * MIB) == 0);
	CU_ASSERT(travels(region, 3 * MIB, 22));
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(all_free());
}

static void stripes_are_shared_out_to_lanes_too(void)
{
	const char *settings[] = { "local=4M", "lanes=3",
				   "strategy=stripe 2 x 2M", settings_all[0],
				   settings_all[1], NULL };
	extmem_region *region;
	extmem *x;

	CU_ASSERT_FATAL(extmem_open(settings, &x) == 0);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "lanes", 12 * MIB, &region) == 0);
	CU_ASSERT(travels(region, 12 * MIB, 31));
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(all_free());
}

static void a_region_below_a_row_of_stripes_is_refused(void)
{
	extmem *x = open_under("stripe 3");
	extmem_region *region;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(extmem_region_alloc(x, "small", 3 * 256 * 1024 - 1,
				      &region) == -EINVAL);
	CU_ASSERT(words_have("less than one row of the strategy's stripes, "
			     "which has 786432"));
	CU_ASSERT(extmem_region_alloc(x, "row", 3 * 256 * 1024, &region) == 0);
	CU_ASSERT(extmem_region_resize(region, 4096) == -EINVAL);
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(open_under("stripe 4") == NULL);
	CU_ASSERT(words_have("\"mirror 1, stripe 3 x 256K\" could be met"));
}

/* Its stripes are lost, every third unit; what lies between is not. */
static void a_column_that_is_lost_loses_its_units_alone(void)
{
	static uint8_t bytes[64 * 1024];
	struct appliance more;
	char address[160];
	const char *settings[] = { "local=4M", "loss_timeout=100ms",
				   "strategy=stripe 3 x 64K", settings_all[0],
				   address, settings_all[1], NULL };
	extmem_region *region;
	extmem *x;

	CU_ASSERT_FATAL(appliance_start(&more, LOOPBACK, POOL, NULL));
	snprintf(address, sizeof(address), "appliance=%s", more.address);
	CU_ASSERT_FATAL(extmem_open(settings, &x) == 0);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "wide", 3 * MIB, &region) == 0);
	for (unsigned u = 0; u < 48; u++) {
		pattern_fill(bytes, u * sizeof(bytes), sizeof(bytes), 41);
		CU_ASSERT(extmem_write(region, u * sizeof(bytes), bytes,
				       sizeof(bytes)) == 0);
	}
	appliance_kill(&more);
	for (unsigned u = 0; u < 48; u++) {
		int rc = extmem_read(region, u * sizeof(bytes), bytes,
				     sizeof(bytes));

		CU_ASSERT(u % 3 == 1 ? rc < 0
				     : rc == 0 && pattern_is(bytes,
							     u * sizeof(bytes),
							     sizeof(bytes),
							     41));
	}
	extmem_close(x);
	CU_ASSERT(all_free());
}

static void a_region_has_a_strategy_of_its_own(void)
{
	struct extmem_request request = { .size = sizeof(request),
					  .region_size = MIB };
	extmem *x = open_under("mirror 2");
	extmem_region *one, *three;

	CU_ASSERT_FATAL(x != NULL);
	request.strategy = "rank free, not name mem0 mem1";
	CU_ASSERT(extmem_region_request(x, &request, &one) == 0);
	CU_ASSERT_STRING_EQUAL(used(), "0 0 1");
	request.strategy = "mirror 3";
	CU_ASSERT(extmem_region_request(x, &request, &three) == 0);
	CU_ASSERT_STRING_EQUAL(used(), "1 1 2");
	request.strategy = "mirror 3, rank best";
	CU_ASSERT(extmem_region_request(x, &request, &three) == -EINVAL);
	CU_ASSERT(words_have("not \"best\" at character 16"));
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(all_free());
	x = open_under(NULL);
	CU_ASSERT_FATAL(x != NULL);
	request.strategy = "mirror 2";
	CU_ASSERT(extmem_region_request(x, &request, &three) == -EINVAL);
	CU_ASSERT(words_have("opened without mirrors"));
	CU_ASSERT(extmem_close(x) == 0);
}

static void a_strategy_can_be_stored_under_a_name(void)
{
	struct extmem_strategy list[4], one = { .size = sizeof(one) };
	struct extmem_request request = { .size = sizeof(request),
					  .region_size = MIB };
	const char *settings[] = { "local=4M", "strategy=wide",
				   "strategy.wide=stripe 3",
				   "strategy.safe=mirror 2, rank free",
				   settings_all[0], settings_all[1],
				   settings_all[2], NULL };
	extmem_region *region;
	extmem *x;

	CU_ASSERT(extmem_strategy_list(settings, 0, list, 4) == 2);
	CU_ASSERT_STRING_EQUAL(list[0].name, "wide");
	CU_ASSERT_STRING_EQUAL(list[1].text, "mirror 2, rank free");
	CU_ASSERT(extmem_strategy_read(settings, NULL, &one) == 0);
	CU_ASSERT_STRING_EQUAL(one.text, "mirror 1, stripe 3 x 256K");
	CU_ASSERT(extmem_strategy_read(settings + 2, NULL, &one) == 0);
	CU_ASSERT_STRING_EQUAL(one.text, "");
	CU_ASSERT_FATAL(extmem_open(settings, &x) == 0);
	CU_ASSERT(extmem_region_alloc(x, "wide", 3 * MIB, &region) == 0);
	CU_ASSERT_STRING_EQUAL(used(), "1 1 1");
	request.strategy = "safe";
	CU_ASSERT(extmem_region_request(x, &request, &region) == 0);
	CU_ASSERT_STRING_EQUAL(used(), "2 2 1");
	request.strategy = "fast";
	CU_ASSERT(extmem_region_request(x, &request, &region) == -EINVAL);
	CU_ASSERT(words_have("no strategy has this name (there are: wide, "
			     "safe)"));
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(all_free());
	settings[2] = "strategy.wide=stripes 3";
	CU_ASSERT(extmem_open(settings, &x) == -EINVAL);
	CU_ASSERT(words_have("\"stripes 3\": a clause begins with"));
}

static void a_check_says_where_a_region_would_go(void)
{
	struct extmem_plan plan = { .size = sizeof(plan) };
	const char *settings[] = { settings_all[0], settings_all[1],
				   settings_all[2],
				   "appliance=ofi+tcp://127.0.0.1:1", NULL };

	CU_ASSERT_FATAL(extmem_strategy_check(settings, "mirror 2, stripe 2",
					      3 * MIB, &plan) == 0);
	CU_ASSERT(plan.status == 0 && plan.columns == 2 && plan.copies == 2);
	CU_ASSERT_EQUAL(plan.region_size, 3 * MIB);
	CU_ASSERT_EQUAL(plan.runs_count, 1);
	CU_ASSERT_EQUAL(plan.appliances_count, 4);
	CU_ASSERT_EQUAL(plan.appliances[0].bytes + plan.appliances[1].bytes +
				plan.appliances[2].bytes, 6 * MIB);
	CU_ASSERT_STRING_EQUAL(plan.appliances[2].zone, "east");
	CU_ASSERT_STRING_EQUAL(plan.appliances[3].reason, "is away");
	CU_ASSERT(extmem_strategy_check(settings, "mirror 4", MIB, &plan) == 0);
	CU_ASSERT_EQUAL(plan.status, -ENODEV);
	CU_ASSERT(strstr(plan.words, "\"mirror 3\" could be met") != NULL);
	CU_ASSERT(extmem_strategy_check(settings, "mirror 9", MIB, &plan) ==
		  -EINVAL);
	CU_ASSERT(extmem_strategy_check(settings + 4, "mirror 1", MIB, &plan) ==
		  -EINVAL);
	CU_ASSERT(all_free());
}

static void what_no_set_of_appliances_meets_is_refused_as_the_client_opens(void)
{
	CU_ASSERT(open_under("mirror 4") == NULL);
	CU_ASSERT(words_have("\"mirror 3\" could be met"));
	CU_ASSERT(open_under("mirror 3, spread zone") == NULL);
	CU_ASSERT(words_have("\"mirror 3\" could be met"));
	CU_ASSERT(open_under("mirror 2, zone east") == NULL);
	CU_ASSERT(words_have("is in zone west"));
	CU_ASSERT(open_under("mirror 2, not name mem1 mem2") == NULL);
	CU_ASSERT(words_have("no set of appliances meets \"mirror 2, not name "
			     "mem1 mem2\": 1 of 3 can be chosen; \"mirror 1, not "
			     "name mem1 mem2\" could be met"));
	CU_ASSERT(open_under("mirrors 2") == NULL);
	CU_ASSERT(words_have("strategy \"mirrors 2\": a clause begins with"));
}

static void one_appliance_is_not_enough_for_a_mirror(void)
{
	const char *settings[] = { "local=4M", "strategy=mirror 2",
				   settings_all[1], NULL };
	extmem *x;

	CU_ASSERT(extmem_open(settings, &x) == -ENODEV);
	CU_ASSERT(words_have("extmem_open: strategy: no set of appliances meets "
			     "\"mirror 2\": 1 of 1 can be chosen; \"mirror 1\" "
			     "could be met"));
	settings[1] = "strategy=mirror 2 else mirror 1";
	CU_ASSERT(extmem_open(settings, &x) == 0);
	CU_ASSERT(extmem_close(x) == 0);
}

static void stripes_below_what_is_lent_are_refused(void)
{
	CU_ASSERT(open_under("stripe 3 x 4K") == NULL);
	CU_ASSERT(words_have("\"stripe 3 x 4K\": a stripe's unit is a power of two "
			     "from 64K to 2M"));
}

static void copies_lie_in_different_zones(void)
{
	extmem *x = open_under("mirror 4 else mirror 2, spread zone");
	extmem_region *region;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(extmem_region_alloc(x, "zones", MIB, &region) == 0);
	CU_ASSERT_STRING_EQUAL(used(), "1 0 1");
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(all_free());
}

static void what_has_no_room_is_refused_with_the_nearest_that_has(void)
{
	extmem *x = open_under("mirror 2");
	extmem_region *region;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(extmem_region_alloc(x, "large", 40 * MIB, &region) == -ENOSPC);
	/* Each has a ledger, too. */
	CU_ASSERT(words_have(" MiB of 40.0 MiB") &&
		  words_have("\"mirror 1\" could be met"));
	CU_ASSERT(extmem_region_alloc(x, "fits", 22 * MIB, &region) == 0);
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(all_free());
}

static void two_addresses_of_one_appliance_are_one(void)
{
	const char *settings[] = { "local=4M", "strategy=mirror 2",
				   settings_all[0], NULL, NULL };
	char other[160];
	extmem *x;

	snprintf(other, sizeof(other), "appliance=ofi+tcp://127.0.0.2%s",
		 strrchr(all[0].address, ':'));
	settings[3] = other;
	CU_ASSERT(extmem_open(settings, &x) == -ENODEV);
	CU_ASSERT(words_have("is the same appliance as") &&
		  words_have("1 of 2 can be chosen"));
	settings[1] = "strategy=mirror 2 else mirror 1";
	CU_ASSERT(extmem_open(settings, &x) == 0);
	CU_ASSERT(extmem_close(x) == 0);
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { NULL, NULL } };
	static const CU_TestInfo tests[] = {
		XM_TEST(two_copies_lie_at_two_appliances),
		XM_TEST(a_mirror_grows_and_shrinks),
		XM_TEST(stripes_are_dealt_out_to_all_appliances),
		XM_TEST(stripes_have_copies_in_a_chain),
		XM_TEST(stripes_are_shared_out_to_lanes_too),
		XM_TEST(a_region_below_a_row_of_stripes_is_refused),
		XM_TEST(a_column_that_is_lost_loses_its_units_alone),
		XM_TEST(a_region_has_a_strategy_of_its_own),
		XM_TEST(a_strategy_can_be_stored_under_a_name),
		XM_TEST(a_check_says_where_a_region_would_go),
		XM_TEST(what_no_set_of_appliances_meets_is_refused_as_the_client_opens),
		XM_TEST(one_appliance_is_not_enough_for_a_mirror),
		XM_TEST(stripes_below_what_is_lent_are_refused),
		XM_TEST(copies_lie_in_different_zones),
		XM_TEST(what_has_no_room_is_refused_with_the_nearest_that_has),
		XM_TEST(two_addresses_of_one_appliance_are_one),
		CU_TEST_INFO_NULL,
	};
	static const char *const zones[COUNT] = { "west", "west", "east" };
	static const char *const listen[COUNT] = { "ofi+tcp://0.0.0.0:0",
						   LOOPBACK, LOOPBACK };
	int rc = 0;

	act_begin(argc, argv, acts);
	for (unsigned i = 0; i < COUNT; i++) {
		char name[16];
		const char *const more[] = { "--zone", zones[i], "--name", name,
					     "--insecure-plaintext", NULL };

		snprintf(name, sizeof(name), "mem%u", i);
		if (!appliance_start(&all[i], listen[i], POOL, more)) {
			printf("0 passed, 1 failed\n");
			return 1;
		}
		snprintf(settings_all[i], sizeof(settings_all[i]),
			 "appliance=%s", all[i].address);
	}
	rc = xm_tests_run("strategies", tests);
	for (unsigned i = 0; i < COUNT; i++)
		appliance_stop(&all[i]);
	return rc;
}
