/* SPDX-License-Identifier: BSD-3-Clause */
/* Appliances that drain while programs run on them: what they hold moves to others, no
 * call fails, no byte is lost, and the appliance ends empty. */
#include "tests/support/appliance.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/support/cunit.h"

#define COUNT 3
#define REGION (8 * MIB)
#define PAGES (REGION / PAGE)

struct scene {
	struct appliance all[COUNT];
	extmem *x;
	extmem_region *region;
	uint8_t *memory; /* NULL: it is not mapped */
	uint64_t seeds[PAGES]; /* of the pattern that each page has */
	uint64_t seed;
	atomic_bool stops;
	bool right;
	pthread_t thread;
};

static struct scene s;
static uint8_t buffer[REGION];

static const char *const patient[] = { "--drain-timeout=600s", NULL };

/* The first `count` appliances, and a client of all. */
/* False: nothing here can seal, and the library says so. */
static bool begin_more(unsigned count, const char *lanes, const char *strategy,
		       const char *more)
{
	char texts[COUNT][160];
	const char *settings[COUNT + 5] = { "local=4M", lanes };
	unsigned n = 2;
	int rc;

	memset(&s, 0, sizeof(s));
	for (unsigned i = 0; i < count; i++) {
		CU_ASSERT_FATAL(appliance_start(&s.all[i], LOOPBACK, "32M",
						patient));
		snprintf(texts[i], sizeof(texts[i]), "appliance=%s",
			 s.all[i].address);
		settings[n++] = texts[i];
	}
	if (strategy != NULL)
		settings[n++] = strategy;
	if (more != NULL)
		settings[n] = more;
	rc = extmem_open(settings, &s.x);
	if (rc == -ENOSYS && more != NULL) {
		printf("left out: %s\n", extmem_error());
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(s.x, "drained", REGION,
						  &s.region), 0);
	return true;
}

static void begin(unsigned count, const char *lanes, const char *strategy)
{
	begin_more(count, lanes, strategy, NULL);
}

static void map(void)
{
	void *memory;

	CU_ASSERT_EQUAL_FATAL(extmem_map(s.region, 0, 0, &memory), 0);
	s.memory = memory;
}

static void end(void)
{
	extmem_close(s.x);
	for (unsigned i = 0; i < COUNT; i++)
		appliance_kill(&s.all[i]);
}

/* Writes and checks pages that lie apart, by the mapping or explicitly. */
static bool work(uint64_t count)
{
	static uint64_t at;
	uint8_t page[PAGE], *bytes;

	for (uint64_t i = 0; i < count; i++) {
		at = (at * 5 + 4093) % PAGES; /* comes to all of them */
		bytes = s.memory != NULL ? s.memory + at * PAGE : page;
		if (s.memory == NULL &&
		    extmem_read(s.region, at * PAGE, page, PAGE) != 0)
			return false;
		if (s.seeds[at] != 0 &&
		    !pattern_is(bytes, at * PAGE, PAGE, s.seeds[at]))
			return false;
		pattern_fill(bytes, at * PAGE, PAGE, ++s.seed);
		s.seeds[at] = s.seed;
		if (s.memory == NULL &&
		    extmem_write(s.region, at * PAGE, page, PAGE) != 0)
			return false;
	}
	return true;
}

static bool all_right(void)
{
	if (extmem_read(s.region, 0, buffer, REGION) != 0)
		return false;
	for (uint64_t page = 0; page < PAGES; page++) {
		const uint8_t *bytes = buffer + page * PAGE;

		if (s.seeds[page] == 0
			    ? !all_zero(bytes, PAGE)
			    : !pattern_is(bytes, page * PAGE, PAGE,
					  s.seeds[page]))
			return false;
	}
	return true;
}

static void *work_on(void *context)
{
	(void)context;
	s.right = true;
	while (s.right && !atomic_load(&s.stops))
		s.right = work(64);
	return NULL;
}

static void load_begins(void)
{
	CU_ASSERT_FATAL(pthread_create(&s.thread, NULL, work_on, NULL) == 0);
}

static void load_ends(void)
{
	atomic_store(&s.stops, true);
	pthread_join(s.thread, NULL);
	CU_ASSERT(s.right);
}

static bool has_ended(void *context)
{
	struct appliance *a = context;
	int status;

	if (waitpid(a->control, &status, WNOHANG) != a->control)
		return false;
	CU_ASSERT(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	memset(a, 0, sizeof(*a));
	return true;
}

/* The appliance at which the region lies. */
static struct appliance *home(void)
{
	for (unsigned i = 0; i < COUNT; i++) {
		if (s.all[i].control > 0 &&
		    appliance_free(&s.all[i]) < (int64_t)(32 * MIB))
			return &s.all[i];
	}
	return NULL;
}

static bool drains(struct appliance *a)
{
	appliance_signal(a, PART_CONTROL, SIGTERM);
	return until(has_ended, a);
}

/* --- tests ---------------------------------------------------------------------- */

static void what_has_one_copy_moves(void)
{
	struct appliance *a;

	begin(2, "lanes=2", NULL);
	map();
	CU_ASSERT(work(2 * PAGES));
	load_begins();
	a = home();
	CU_ASSERT_FATAL(a != NULL);
	CU_ASSERT_FATAL(drains(a));
	load_ends();
	CU_ASSERT(work(PAGES));
	CU_ASSERT(all_right());
	CU_ASSERT_EQUAL(client_stats(s.x).pages_lost, 0);
	CU_ASSERT_EQUAL(client_stats(s.x).moved_bytes, REGION);
	end();
}

static void so_does_what_was_never_mapped(void)
{
	begin(2, "lanes=1", NULL);
	CU_ASSERT(work(2 * PAGES));
	load_begins();
	CU_ASSERT_FATAL(drains(home()));
	load_ends();
	CU_ASSERT(work(PAGES));
	CU_ASSERT(all_right());
	end();
}

static void a_member_of_a_mirror_is_replaced(void)
{
	begin(3, "lanes=1", "strategy=mirror 2");
	map();
	CU_ASSERT(work(2 * PAGES));
	load_begins();
	CU_ASSERT_FATAL(drains(home()));
	CU_ASSERT_EQUAL(client_stats(s.x).members, 2);
	CU_ASSERT_EQUAL(client_stats(s.x).failovers, 0);
	load_ends();
	/* It is whole: another one may die. */
	appliance_kill(home());
	CU_ASSERT(work(PAGES));
	CU_ASSERT(all_right());
	CU_ASSERT_EQUAL(client_stats(s.x).pages_lost, 0);
	end();
}

static uint64_t leased(const struct appliance *a)
{
	struct extmem_status status = { .size = sizeof(status) };

	CU_ASSERT_EQUAL_FATAL(extmem_status(a->address, 5000, &status), 0);
	return status.leased;
}

static bool is_empty(void *context)
{
	return leased(context) == 0;
}

static bool takes(void *context)
{
	extmem_region *region;

	(void)context;
	if (extmem_region_alloc(s.x, "more", 30 * MIB, &region) != 0)
		return false;
	extmem_region_free(region);
	return true;
}

static void it_can_be_told_to_drain_and_to_lend_again(void)
{
	struct appliance *first, *other;

	begin(2, "lanes=1", NULL);
	map();
	CU_ASSERT(work(PAGES));
	first = home();
	other = first == &s.all[0] ? &s.all[1] : &s.all[0];
	CU_ASSERT_EQUAL(extmem_drain(first->address, 1, 5000), 0);
	CU_ASSERT_FATAL(until(is_empty, first));
	CU_ASSERT(leased(other) >= REGION);
	CU_ASSERT_FALSE(takes(NULL));
	CU_ASSERT_EQUAL(extmem_drain(first->address, 0, 5000), 0);
	CU_ASSERT(until(takes, NULL));
	CU_ASSERT(all_right());
	end();
}

static bool is_stranded(void *context)
{
	(void)context;
	return client_stats(s.x).stranded_bytes > 0;
}

static void without_a_place_to_go_the_appliance_stays(void)
{
	struct appliance *a;
	int status = -1;

	begin(1, "lanes=1", NULL);
	map();
	CU_ASSERT(work(PAGES));
	a = home();
	appliance_signal(a, PART_CONTROL, SIGTERM);
	CU_ASSERT(until(is_stranded, NULL));
	CU_ASSERT(work(PAGES));
	CU_ASSERT(all_right());
	/* Asked twice it ends at once, and says that memory was in use. */
	appliance_signal(a, PART_CONTROL, SIGTERM);
	CU_ASSERT_EQUAL(waitpid(a->control, &status, 0), a->control);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	memset(a, 0, sizeof(*a));
	end();
}

static void who_comes_while_it_drains_is_refused_in_words(void)
{
	const char *settings[] = { NULL, NULL };
	char setting[160];
	extmem *late = NULL;
	struct appliance *a;
	int status = -1;

	begin(1, "lanes=1", NULL);
	map();
	CU_ASSERT(work(PAGES));
	a = home();
	snprintf(setting, sizeof(setting), "appliance=%s", a->address);
	settings[0] = setting;
	appliance_signal(a, PART_CONTROL, SIGTERM);
	while (extmem_open(settings, &late) == 0)
		extmem_close(late); /* the signal is on its way */
	CU_ASSERT(words_have("drain"));
	CU_ASSERT(all_right());
	CU_ASSERT_EQUAL(extmem_close(s.x), 0);
	CU_ASSERT_EQUAL(waitpid(a->control, &status, 0), a->control);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	memset(a, 0, sizeof(*a));
}

/* Sealed bytes move as they are. */
static void a_member_of_a_sealed_mirror_moves_too(void)
{
	if (!begin_more(3, "lanes=1", "strategy=mirror 2", "seal=all")) {
		for (unsigned i = 0; i < COUNT; i++)
			appliance_kill(&s.all[i]);
		return;
	}
	map();
	CU_ASSERT(work(2 * PAGES));
	load_begins();
	CU_ASSERT_FATAL(drains(home()));
	CU_ASSERT_EQUAL(client_stats(s.x).members, 2);
	load_ends();
	appliance_kill(home());
	CU_ASSERT(work(PAGES));
	CU_ASSERT(all_right());
	CU_ASSERT_EQUAL(client_stats(s.x).bad_tags, 0);
	CU_ASSERT_EQUAL(client_stats(s.x).tampered, 0);
	CU_ASSERT_EQUAL(client_stats(s.x).pages_lost, 0);
	CU_ASSERT(client_stats(s.x).moved_bytes >= REGION);
	end();
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { 0 } };
	static const CU_TestInfo tests[] = {
		XM_TEST(what_has_one_copy_moves),
		XM_TEST(so_does_what_was_never_mapped),
		XM_TEST(a_member_of_a_mirror_is_replaced),
		XM_TEST(it_can_be_told_to_drain_and_to_lend_again),
		XM_TEST(without_a_place_to_go_the_appliance_stays),
		XM_TEST(who_comes_while_it_drains_is_refused_in_words),
		XM_TEST(a_member_of_a_sealed_mirror_moves_too),
		CU_TEST_INFO_NULL,
	};

	act_begin(argc, argv, acts);
	return xm_tests_run("drain", tests);
}
