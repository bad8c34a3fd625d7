/* SPDX-License-Identifier: BSD-3-Clause */
/* Mirrors at real appliances, which are killed, stopped and continued while a program
 * works on the region: it sees no error, and no byte that it has written is lost. */
#include "tests/support/appliance.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/cunit.h"

#define COUNT 4
#define REGION (8 * MIB)
#define PAGES (REGION / PAGE)

struct scene {
	unsigned count;
	struct appliance all[COUNT];
	extmem *x;
	extmem_region *region;
	uint8_t *memory;
	uint64_t seeds[PAGES]; /* of the pattern that each page has */
	uint64_t seed;
};

static struct scene s;
static uint8_t buffer[REGION];

/* Appliances are in zones "1" to "3" as the text says. */
static void begin_in(unsigned count, const char *lanes, const char *strategy,
		     const char *zones)
{
	char texts[COUNT][160];
	const char *settings[COUNT + 5] = { "local=4M", strategy, lanes };
	void *memory;

	memset(&s, 0, sizeof(s));
	s.count = count;
	for (unsigned i = 0; i < count; i++) {
		char zone[] = { '-', '-', 'z', 'o', 'n', 'e', '=', 'z', zones[i],
				'\0' };
		const char *more[] = { zone, NULL };

		CU_ASSERT_FATAL(appliance_start(&s.all[i], LOOPBACK, "16M",
						more));
		snprintf(texts[i], sizeof(texts[i]), "appliance=%s",
			 s.all[i].address);
		settings[3 + i] = texts[i];
	}
	CU_ASSERT_EQUAL_FATAL(extmem_open(settings, &s.x), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(s.x, "mirrored", REGION,
						  &s.region), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_map(s.region, 0, 0, &memory), 0);
	s.memory = memory;
}

static void begin(unsigned count, const char *lanes)
{
	begin_in(count, lanes, "strategy=mirror 2", "123");
}

static void end(void)
{
	extmem_close(s.x);
	for (unsigned i = 0; i < s.count; i++)
		appliance_kill(&s.all[i]);
}

static void write_page(uint64_t page)
{
	s.seeds[page] = ++s.seed;
	pattern_fill(s.memory + page * PAGE, page * PAGE, PAGE, s.seed);
}

static bool page_is_right(const uint8_t *bytes, uint64_t page)
{
	return s.seeds[page] == 0
		       ? all_zero(bytes, PAGE)
		       : pattern_is(bytes, page * PAGE, PAGE, s.seeds[page]);
}

static bool all_right(void)
{
	for (uint64_t page = 0; page < PAGES; page++) {
		if (!page_is_right(s.memory + page * PAGE, page))
			return false;
	}
	return true;
}

/* Writes `count` pages that lie apart, and looks at as many others. */
static bool work(uint64_t count)
{
	static uint64_t at;

	for (uint64_t i = 0; i < count; i++) {
		at = (at * 5 + 4093) % PAGES; /* comes to all of them */
		write_page(at);
		if (!page_is_right(s.memory + (PAGES - 1 - at) * PAGE,
				   PAGES - 1 - at))
			return false;
	}
	return true;
}

static bool is_whole(void *context)
{
	(void)context;
	return client_stats(s.x).members_missing == 0;
}

static bool has_left(void *context)
{
	(void)context;
	return client_stats(s.x).failovers > 0;
}

static bool explicit_right(void)
{
	if (extmem_read(s.region, 0, buffer, REGION) != 0)
		return false;
	for (uint64_t page = 0; page < PAGES; page++) {
		if (!page_is_right(buffer + page * PAGE, page))
			return false;
	}
	return true;
}

/* --- tests ---------------------------------------------------------------------- */

static void the_death_of_an_appliance_is_not_noticed(void)
{
	struct extmem_stats stats;

	begin(2, "lanes=1");
	CU_ASSERT_EQUAL(client_stats(s.x).members, 2);
	CU_ASSERT(work(4 * PAGES));
	appliance_kill(&s.all[0]);
	CU_ASSERT(work(4 * PAGES));
	CU_ASSERT(all_right());
	CU_ASSERT_EQUAL(extmem_sync(s.region, 0, REGION), 0);
	CU_ASSERT(explicit_right());
	CU_ASSERT(until(has_left, NULL));
	stats = client_stats(s.x);
	CU_ASSERT_EQUAL(stats.failovers, 1);
	CU_ASSERT_EQUAL(stats.members, 1);
	CU_ASSERT_EQUAL(stats.members_missing, 1);
	CU_ASSERT_EQUAL(stats.pages_lost, 0);
	CU_ASSERT(stats.failover_ns_max > 0);
	end();
}

static void an_appliance_that_hangs_is_left_out_and_filled_when_it_is_back(void)
{
	struct extmem_stats stats;

	begin(2, "lanes=2");
	CU_ASSERT(work(2 * PAGES));
	appliance_signal(&s.all[1], PART_BOTH, SIGSTOP);
	CU_ASSERT(work(2 * PAGES));
	CU_ASSERT(until(has_left, NULL));
	CU_ASSERT(work(PAGES / 4));
	CU_ASSERT_EQUAL(extmem_sync(s.region, 0, REGION), 0);
	appliance_signal(&s.all[1], PART_BOTH, SIGCONT);
	CU_ASSERT(work(PAGES / 4));
	CU_ASSERT_FATAL(until(is_whole, NULL));
	stats = client_stats(s.x);
	CU_ASSERT(stats.mended_bytes > 0);
	CU_ASSERT(stats.degraded_ms > 0);
	/* Now it alone has what was written while it was away. */
	appliance_kill(&s.all[0]);
	CU_ASSERT(work(PAGES));
	CU_ASSERT(all_right());
	CU_ASSERT(explicit_right());
	CU_ASSERT_EQUAL(client_stats(s.x).pages_lost, 0);
	end();
}

static void data_goes_on_while_only_the_control_process_hangs(void)
{
	begin(2, "lanes=1");
	CU_ASSERT(work(PAGES));
	appliance_signal(&s.all[0], PART_CONTROL, SIGSTOP);
	CU_ASSERT(work(PAGES));
	CU_ASSERT(all_right());
	CU_ASSERT_EQUAL(client_stats(s.x).failovers, 0);
	appliance_signal(&s.all[0], PART_CONTROL, SIGCONT);
	end();
}

static void a_copy_that_is_gone_is_made_anew_elsewhere(void)
{
	begin(3, "lanes=2");
	CU_ASSERT(work(2 * PAGES));
	appliance_kill(&s.all[0]);
	CU_ASSERT(work(PAGES));
	CU_ASSERT(until(has_left, NULL));
	CU_ASSERT_FATAL(until(is_whole, NULL));
	CU_ASSERT_EQUAL(client_stats(s.x).members, 2);
	CU_ASSERT(client_stats(s.x).mended_bytes > 0);
	CU_ASSERT(client_stats(s.x).view > 1);
	CU_ASSERT_EQUAL(client_stats(s.x).mending_bytes, 0);
	CU_ASSERT(work(PAGES / 4));
	/* So another one may die. */
	appliance_kill(&s.all[1]);
	CU_ASSERT(work(PAGES));
	CU_ASSERT(all_right());
	CU_ASSERT(explicit_right());
	CU_ASSERT_EQUAL(client_stats(s.x).pages_lost, 0);
	end();
}

static uint64_t leased(const struct appliance *a)
{
	struct extmem_status status = { .size = sizeof(status) };

	CU_ASSERT_EQUAL_FATAL(extmem_status(a->address, 5000, &status), 0);
	return status.leased;
}

/* Of two that have room the second alone lies in a zone without the other copy. */
static void a_copy_that_is_made_anew_lies_where_the_strategy_wants_it(void)
{
	begin_in(4, "lanes=1", "strategy=mirror 2, spread zone", "1213");
	CU_ASSERT_EQUAL(client_stats(s.x).members, 2);
	CU_ASSERT(leased(&s.all[0]) >= REGION && leased(&s.all[1]) >= REGION);
	CU_ASSERT(work(PAGES));
	appliance_kill(&s.all[1]);
	CU_ASSERT(work(PAGES));
	CU_ASSERT(until(has_left, NULL));
	CU_ASSERT_FATAL(until(is_whole, NULL));
	CU_ASSERT(leased(&s.all[2]) < REGION);
	CU_ASSERT(leased(&s.all[3]) >= REGION);
	CU_ASSERT(all_right());
	end();
}

static bool has_no_spare(void *context)
{
	(void)context;
	return client_stats(s.x).unspared_bytes > 0;
}

static bool has_a_spare(void *context)
{
	return !has_no_spare(context);
}

/* In the only other zone there is the other copy. */
static void without_a_spare_it_is_said_before_it_matters(void)
{
	begin_in(3, "lanes=1", "strategy=mirror 2, spread zone", "122");
	CU_ASSERT_EQUAL(client_stats(s.x).unspared_bytes, 0);
	CU_ASSERT_FATAL(until(has_no_spare, NULL));
	CU_ASSERT_EQUAL(client_stats(s.x).unspared_bytes, REGION);
	CU_ASSERT_FATAL(appliance_start(&s.all[s.count], LOOPBACK, "16M",
					NULL));
	s.count++;
	CU_ASSERT_FATAL(extmem_appliance_add(s.x, s.all[3].address) >= 0);
	CU_ASSERT(until(has_a_spare, NULL));
	end();
}

static void explicit_writes_go_on_too(void)
{
	begin(2, "lanes=1");
	for (uint64_t n = 0; n < 6; n++) {
		for (uint64_t page = 0; page < PAGES; page++) {
			s.seeds[page] = ++s.seed;
			pattern_fill(buffer + page * PAGE, page * PAGE, PAGE,
				     s.seed);
		}
		CU_ASSERT_EQUAL_FATAL(extmem_write(s.region, 0, buffer, REGION),
				      0);
		CU_ASSERT_FATAL(explicit_right());
		if (n == 1)
			appliance_signal(&s.all[1], PART_BOTH, SIGSTOP);
		if (n == 3) {
			appliance_signal(&s.all[1], PART_BOTH, SIGCONT);
			CU_ASSERT_FATAL(until(is_whole, NULL));
			appliance_kill(&s.all[0]);
		}
	}
	CU_ASSERT_EQUAL(client_stats(s.x).pages_lost, 0);
	end();
}

static atomic_bool stops;

static void *work_on(void *context)
{
	bool *ret_right = context;

	*ret_right = true;
	while (*ret_right && !atomic_load(&stops))
		*ret_right = work(64);
	return NULL;
}

static bool all_whole_and_none_missing(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t before = client_stats(s.x).failovers;
		struct appliance *a = &s.all[i % 2];

		appliance_signal(a, PART_BOTH, SIGSTOP);
		for (unsigned n = 0; n < 100 * slowness() &&
				     client_stats(s.x).failovers == before; n++)
			sleep_ms(20);
		appliance_signal(a, PART_BOTH, SIGCONT);
		if (!until(is_whole, NULL))
			return false;
	}
	return true;
}

static void both_may_hang_one_after_the_other_under_load(void)
{
	pthread_t thread;
	bool right;

	begin(2, "lanes=1");
	CU_ASSERT(work(PAGES));
	atomic_store(&stops, false);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, work_on, &right),
			      0);
	CU_ASSERT(all_whole_and_none_missing(6));
	atomic_store(&stops, true);
	pthread_join(thread, NULL);
	CU_ASSERT(right);
	CU_ASSERT(all_right());
	CU_ASSERT(client_stats(s.x).failovers >= 6);
	CU_ASSERT_EQUAL(client_stats(s.x).pages_lost, 0);
	end();
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { 0 } };
	static const CU_TestInfo tests[] = {
		XM_TEST(the_death_of_an_appliance_is_not_noticed),
		XM_TEST(an_appliance_that_hangs_is_left_out_and_filled_when_it_is_back),
		XM_TEST(data_goes_on_while_only_the_control_process_hangs),
		XM_TEST(a_copy_that_is_gone_is_made_anew_elsewhere),
		XM_TEST(a_copy_that_is_made_anew_lies_where_the_strategy_wants_it),
		XM_TEST(without_a_spare_it_is_said_before_it_matters),
		XM_TEST(explicit_writes_go_on_too),
		XM_TEST(both_may_hang_one_after_the_other_under_load),
		CU_TEST_INFO_NULL,
	};

	act_begin(argc, argv, acts);
	return xm_tests_run("mirrors", tests);
}
