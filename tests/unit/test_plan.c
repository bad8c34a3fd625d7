/* SPDX-License-Identifier: BSD-3-Clause */
/* Plans: from a strategy and what appliances offer to where memory goes. */
#include "core/pure/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"

#define GRANULE (64 * XM_KIB)

static struct xm_plan_offer offers[XM_APPLIANCES_MAX];
static uint32_t count;
static struct xm_strategy strategy;
static struct xm_plan plan;
static uint64_t wanted;
static int status;
static char text[4096];

/* "a 10 z1 h1 5": name, MiB free, zone ("-": none), host, load; "!" before the name: it
 * is away, "~": it drains, "=": it is the same appliance as the first. */
static void offers_are(const char *const *lines)
{
	static char addresses[XM_APPLIANCES_MAX][32];

	memset(offers, 0, sizeof(offers));
	for (count = 0; lines[count] != NULL; count++) {
		struct xm_plan_offer *o = &offers[count];
		const char *at = lines[count];
		unsigned mib = 0, load = 0;
		char name[16];

		sscanf(at, "%15s %u %31s %63s %u", name, &mib, o->zone, o->host,
		       &load);
		strcpy(o->name, name + strspn(name, "!~="));
		snprintf(addresses[count], sizeof(addresses[count]), "at-%s",
			 o->name);
		o->address = addresses[count];
		o->ready = name[0] != '!';
		o->leaving = name[0] == '~';
		o->incarnation = name[0] == '=' ? 100 : 100 + count;
		o->free = o->free_run = mib * XM_MIB;
		o->load = load;
		if (strcmp(o->zone, "-") == 0)
			o->zone[0] = '\0';
	}
}

#define OFFERS(...) offers_are((const char *const[]){ __VA_ARGS__, NULL })

static void add_run(struct xm_words *w, const struct xm_plan_run *run)
{
	const struct xm_strategy_choice *c = &strategy.choices[plan.choice];

	xm_words_number(w, run->size / XM_KIB);
	xm_words_add(w, "K:");
	for (uint32_t i = 0; i < c->columns * c->mirrors; i++) {
		xm_words_add(w, i % c->mirrors == 0 ? " " : "");
		xm_words_add(w, offers[run->appliances[i]].name);
	}
	xm_words_add(w, ";");
}

/* "1024K: ab cd;": runs, with the appliances of each column; or why there is none. */
static const char *plan_of(const char *how, uint64_t size)
{
	struct xm_strategy_error error;
	struct xm_words w;

	wanted = size;
	xm_words_begin(&w, text, sizeof(text));
	if (xm_strategy_parse(how, &strategy, &error) != 0)
		return strcpy(text, error.words);
	status = xm_plan_make(&strategy, offers, count, size, GRANULE, 7,
			      &plan);
	if (status != 0)
		xm_plan_explain(&strategy, offers, count, size, GRANULE, &plan,
				status, &w);
	for (uint32_t i = 0; status == 0 && i < plan.runs_count; i++) {
		xm_words_add(&w, i > 0 ? " " : "");
		add_run(&w, &plan.runs[i]);
	}
	return text;
}

static void is(const char *how, uint64_t size, const char *expected)
{
	const char *got = plan_of(how, size);

	CU_ASSERT_STRING_EQUAL(got, expected);
	if (strcmp(got, expected) != 0)
		printf("\n%s: \"%s\", not \"%s\"\n", how, got, expected);
}

static void copies_lie_at_different_appliances(void)
{
	OFFERS("a 10", "b 10", "c 10", "d 10");
	is("mirror 1", XM_MIB, "1024K: a;");
	is("mirror 2", XM_MIB, "1024K: ab;");
	is("mirror 4", XM_MIB, "1024K: abcd;");
	is("stripe 2", XM_MIB, "1024K: a b;");
	is("mirror 2, stripe 2", XM_MIB, "1024K: ac bd;");
}

/* Chained: each appliance has a first copy of one column and a second of another. */
static void stripes_with_copies_need_no_more_appliances_than_columns(void)
{
	OFFERS("a 10", "b 10", "c 10");
	is("mirror 2, stripe 3", 3 * XM_MIB, "3072K: ab bc ca;");
	is("mirror 2, stripe 2", XM_MIB, "1024K: ac ba;");
	is("mirror 3, stripe 3", 3 * XM_MIB, "3072K: abc bca cab;");
}

static void the_rank_says_who_comes_first(void)
{
	OFFERS("a 10 - h 30", "b 30 - h 20", "c 20 - h 10");
	is("mirror 2", XM_MIB, "1024K: ab;");
	is("mirror 2, rank free", XM_MIB, "1024K: bc;");
	is("mirror 2, rank load", XM_MIB, "1024K: cb;");
	is("rank random of 16", XM_MIB, "1024K: b;");
}

static void a_lot_of_two_avoids_the_fullest(void)
{
	uint32_t taken[3] = { 0 };

	OFFERS("a 10", "b 30", "c 20");
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct xm_strategy_error error;

		xm_strategy_parse("rank random of 2", &strategy, &error);
		CU_ASSERT_EQUAL(xm_plan_make(&strategy, offers, count, XM_MIB,
					     GRANULE, seed, &plan), 0);
		taken[plan.runs[0].appliances[0]]++;
	}
	CU_ASSERT_EQUAL(taken[0], 0);
	CU_ASSERT(taken[1] > 150 && taken[2] > 50);
}

static void copies_are_spread_over_zones_or_hosts(void)
{
	OFFERS("a 10 z1 h1", "b 10 z1 h2", "c 10 z2 h1", "d 10 - h3");
	is("mirror 2", XM_MIB, "1024K: ab;");
	is("mirror 2, spread zone", XM_MIB, "1024K: ac;");
	is("mirror 2, spread host", XM_MIB, "1024K: ab;");
	is("mirror 3, spread host", XM_MIB, "1024K: abd;");
	is("mirror 3, spread zone", XM_MIB, "1024K: acd;");
	is("mirror 4, spread zone", XM_MIB,
	   "no set of appliances meets \"mirror 4, spread zone\": 4 of 4 can "
	   "be chosen; \"mirror 4\" could be met");
	CU_ASSERT_EQUAL(status, -ENODEV);
}

static void the_first_choice_that_can_be_met_is_taken(void)
{
	OFFERS("a 10", "b 10");
	is("mirror 3 else mirror 2 else mirror 1", XM_MIB, "1024K: ab;");
	CU_ASSERT_EQUAL(plan.choice, 1);
	is("mirror 2 else mirror 1", 16 * XM_MIB,
	   "10240K: a; 6144K: b;");
	CU_ASSERT_EQUAL(plan.choice, 1);
}

static void who_cannot_be_chosen_is_told_with_the_reason(void)
{
	OFFERS("a 10 z1", "!b 10", "~c 10", "=d 10", "e 0", "f 10 z2");
	is("mirror 3, zone z1", XM_MIB,
	   "no set of appliances meets \"mirror 3, zone z1\": 1 of 6 can be "
	   "chosen; \"mirror 1, zone z1\" could be met; at-b is away; at-c "
	   "drains and lends nothing more; at-d is the same appliance as at-a; "
	   "at-e is in no zone; at-f is in zone z2");
	CU_ASSERT_EQUAL(status, -ENODEV);
	is("mirror 3", XM_MIB,
	   "under \"mirror 3\" there is room for 0 B of 1.0 MiB; \"mirror 2\" "
	   "could be met; at-b is away; at-c drains and lends nothing more; "
	   "at-d is the same appliance as at-a; at-e has 0 B free in a run");
	CU_ASSERT_EQUAL(status, -ENOSPC);
	is("mirror 1, not name a f, keep 1M", XM_MIB,
	   "under \"mirror 1, not name a f, keep 1M\" there is room for 0 B of "
	   "1.0 MiB; at-a has the name a; at-b is away; at-c drains and lends "
	   "nothing more; at-d is the same appliance as at-a; at-e has 0 B "
	   "free in a run; at-f has the name f");
}

static void keep_and_limit_leave_memory_where_it_is(void)
{
	OFFERS("a 10", "b 10");
	is("keep 4M", 8 * XM_MIB, "6144K: a; 2048K: b;");
	is("limit 5M", 8 * XM_MIB, "5120K: a; 3072K: b;");
	offers[0].used = 4 * XM_MIB;
	is("limit 5M", 2 * XM_MIB, "2048K: b;");
	is("mirror 2, keep 10M", XM_MIB,
	   "under \"mirror 2, keep 10M\" there is room for 0 B of 1.0 MiB; "
	   "at-a has 10.0 MiB free, of which keep and limit leave too little; "
	   "at-b has 10.0 MiB free, of which keep and limit leave too little");
}

/* The example at the head of plan.h. */
static void many_small_runs_leave_fewer_remainders(void)
{
	uint64_t held[5] = { 0 }, placed = 0;

	OFFERS("a 4", "b 4", "c 4", "d 4", "e 4");
	plan_of("mirror 2, rank free", 10 * XM_MIB);
	CU_ASSERT_EQUAL_FATAL(status, 0);
	for (uint32_t i = 0; i < plan.runs_count; i++) {
		const struct xm_plan_run *run = &plan.runs[i];

		CU_ASSERT_NOT_EQUAL(run->appliances[0], run->appliances[1]);
		held[run->appliances[0]] += run->size;
		held[run->appliances[1]] += run->size;
		placed += run->size;
	}
	CU_ASSERT_EQUAL(placed, 10 * XM_MIB);
	for (uint32_t a = 0; a < count; a++)
		CU_ASSERT_EQUAL(held[a], 4 * XM_MIB);
	plan_of("mirror 2, rank free", 10 * XM_MIB + GRANULE);
	CU_ASSERT_EQUAL(status, -ENOSPC);
}

static void what_is_free_soon_is_waited_for_only_if_it_suffices(void)
{
	OFFERS("a 1", "b 4");
	plan_of("mirror 2", 2 * XM_MIB);
	CU_ASSERT_EQUAL(status, -ENOSPC);
	CU_ASSERT_FALSE(xm_plan_soon(&strategy, offers, count, wanted,
				     GRANULE));
	offers[0].soon = XM_MIB;
	CU_ASSERT_TRUE(xm_plan_soon(&strategy, offers, count, wanted,
				    GRANULE));
	offers[0].soon = XM_MIB - GRANULE;
	CU_ASSERT_FALSE(xm_plan_soon(&strategy, offers, count, wanted,
				     GRANULE));
}

/* Letters are appliances: those of the other copies, of other columns, and barred. "a", or
 * why not. */
static const char *spare_of(const char *how, uint32_t choice, const char *copies,
			    const char *row, const char *barred)
{
	struct xm_plan_vacancy v = { .size = XM_MIB, .seed = 7 };
	struct xm_strategy_error error;
	int spare;

	for (; *copies != '\0'; copies++)
		v.copies |= 1u << (*copies - 'a');
	for (; *row != '\0'; row++)
		v.row |= 1u << (*row - 'a');
	for (; *barred != '\0'; barred++)
		v.barred |= 1u << (*barred - 'a');
	if (how[0] != '\0' && xm_strategy_parse(how, &strategy, &error) != 0)
		return strcpy(text, error.words);
	spare = xm_plan_spare(how[0] != '\0' ? &strategy : NULL, choice, offers,
			      count, &v);
	return spare == -ENOSPC ? "no room" : spare == -ENODEV ? "none"
						 : offers[spare].name;
}

#define SPARE(how, choice, copies, row, barred, expected)                      \
	CU_ASSERT_STRING_EQUAL(spare_of(how, choice, copies, row, barred),     \
			       expected)

static void a_spare_has_no_other_copy(void)
{
	OFFERS("a 10", "b 10", "c 10", "d 0");
	SPARE("mirror 2", 0, "a", "", "", "b");
	SPARE("mirror 2", 0, "a", "", "b", "c");
	SPARE("mirror 3", 0, "ab", "", "", "c");
	SPARE("mirror 3", 0, "abc", "", "", "no room");
	SPARE("mirror 4", 0, "abcd", "", "", "none");
	/* The other address of an appliance that has one, whether that answers or not. */
	OFFERS("a 10", "=b 10", "c 10");
	SPARE("mirror 2", 0, "a", "", "", "c");
	OFFERS("!a 10", "=b 10", "!c 10");
	SPARE("mirror 2", 0, "a", "", "", "none");
	SPARE("mirror 2", 0, "c", "", "a", "b");
}

static void a_spare_lies_in_another_zone_or_on_another_host(void)
{
	OFFERS("a 10 z1 h1", "b 10 z1 h2", "c 10 z2 h1", "d 0 z3 h3");
	SPARE("mirror 2, spread zone", 0, "a", "", "", "c");
	SPARE("mirror 2, spread host", 0, "a", "", "", "b");
	SPARE("mirror 2, spread zone", 0, "a", "", "c", "no room");
	SPARE("mirror 3, spread zone", 0, "ac", "", "", "no room");
	SPARE("mirror 4, spread zone", 0, "acd", "", "", "none");
	/* The one that is replaced is no copy any more: its zone is free. */
	SPARE("mirror 2, spread zone", 0, "c", "", "a", "b");
}

static void a_spare_passes_the_filters(void)
{
	OFFERS("a 10 z1", "~b 10 z1", "!c 10 z1", "d 10 z2", "e 10 z1");
	SPARE("mirror 2, zone z1", 0, "a", "", "", "e");
	SPARE("mirror 2, not name e", 0, "a", "", "", "d");
	SPARE("mirror 2, zone z2", 0, "d", "", "", "none");
	SPARE("mirror 2, zone z1, not name e", 0, "a", "", "", "none");
}

static void the_rank_says_which_spare_comes_first(void)
{
	OFFERS("a 9 - h 9", "b 10 - h 30", "c 30 - h 20", "d 20 - h 10");
	SPARE("mirror 2", 0, "a", "", "", "b");
	SPARE("mirror 2, rank free", 0, "a", "", "", "c");
	SPARE("mirror 2, rank load", 0, "a", "", "", "d");
	SPARE("mirror 2, rank random of 16", 0, "a", "", "", "c");
	SPARE("", 0, "", "", "c", "d"); /* without a strategy */
}

static void keep_and_limit_hold_for_a_spare(void)
{
	OFFERS("a 10", "b 4", "c 10");
	SPARE("mirror 2, keep 4M", 0, "a", "", "", "c");
	SPARE("mirror 2, keep 10M", 0, "a", "", "", "no room");
	offers[1].used = 2 * XM_MIB;
	SPARE("mirror 2, limit 3M", 0, "a", "", "", "b");
	SPARE("mirror 2, limit 2M", 0, "a", "", "", "c");
}

static void a_spare_falls_back_to_later_choices_with_as_many_copies(void)
{
	OFFERS("a 10 z1", "b 10 z1", "c 10 z2");
	SPARE("mirror 2, spread zone else mirror 2", 0, "a", "", "c", "b");
	SPARE("mirror 2, spread zone else mirror 1", 0, "a", "", "c", "none");
	SPARE("mirror 2, zone z2 else mirror 2, zone z1", 1, "a", "", "", "b");
	SPARE("mirror 3 else mirror 2, zone z2", 1, "a", "", "c", "none");
}

static void other_columns_of_a_run_are_avoided(void)
{
	OFFERS("a 10", "b 10", "c 10", "d 10");
	SPARE("mirror 2, stripe 2", 0, "a", "bc", "", "d");
	SPARE("mirror 2, stripe 2", 0, "a", "bc", "d", "b");
	SPARE("stripe 2", 0, "", "b", "a", "c");
}

static void draw_offers(void)
{
	memset(offers, 0, sizeof(offers));
	count = 1 + (uint32_t)random() % XM_APPLIANCES_MAX;
	for (uint32_t a = 0; a < count; a++) {
		struct xm_plan_offer *o = &offers[a];

		o->address = "x";
		o->ready = random() % 8 != 0;
		o->leaving = random() % 8 == 0;
		o->incarnation = (uint64_t)random() % 40;
		o->free = (uint64_t)random() % 100 * GRANULE;
		o->free_run = o->free / (1 + (uint64_t)random() % 3) / GRANULE * GRANULE;
		o->zone[0] = (char)('a' + random() % 4);
		o->host[0] = (char)('a' + random() % 4);
	}
}

/* The run's member m lies apart from the members of its column before it. */
static void check_apart(const struct xm_strategy_choice *c, const struct xm_plan_run *run,
			uint32_t m)
{
	const struct xm_plan_offer *own = &offers[run->appliances[m]];

	CU_ASSERT_TRUE(own->ready && !own->leaving);
	for (uint32_t k = m / c->mirrors * c->mirrors; k < m; k++) {
		const struct xm_plan_offer *o = &offers[run->appliances[k]];

		CU_ASSERT_NOT_EQUAL(o->incarnation, own->incarnation);
		CU_ASSERT_FALSE(c->spread == XM_SPREAD_ZONE && o->zone[0] == own->zone[0]);
		CU_ASSERT_FALSE(c->spread == XM_SPREAD_HOST && o->host[0] == own->host[0]);
	}
}

static void check_run(const struct xm_strategy_choice *c, const struct xm_plan_run *run,
		      uint64_t *used)
{
	uint32_t firsts = 0;

	CU_ASSERT_EQUAL(run->size % xm_choice_row(c, GRANULE), 0);
	for (uint32_t m = 0; m < c->columns * c->mirrors; m++) {
		uint32_t a = run->appliances[m];

		used[a] += run->size / c->columns;
		check_apart(c, run, m);
		if (m % c->mirrors == 0) {
			CU_ASSERT_EQUAL(firsts & 1u << a, 0);
			firsts |= 1u << a;
		}
	}
}

/* Whatever is offered: a plan keeps every rule, or there is none. */
static void random_plans_keep_the_rules(void)
{
	static const char *const hows[] = {
		"mirror 2", "mirror 3, spread zone, rank free",
		"stripe 3 x 64K, rank load", "mirror 2, stripe 4 x 128K",
		"mirror 2, stripe 2 x 64K, spread host, rank random of 2",
		"mirror 4, spread zone else stripe 2 x 64K else keep 1M",
	};
	struct xm_strategy_error error;

	srandom(5);
	for (uint32_t n = 0; n < 20000; n++) {
		uint64_t used[XM_APPLIANCES_MAX] = { 0 }, placed = 0, size;
		const struct xm_strategy_choice *c;

		draw_offers();
		xm_strategy_parse(hows[n % XM_COUNT(hows)], &strategy, &error);
		size = xm_strategy_row(&strategy, GRANULE);
		size *= 1 + (uint64_t)random() % 40;
		status = xm_plan_make(&strategy, offers, count, size, GRANULE,
				      n, &plan);
		if (status != 0)
			continue;
		c = &strategy.choices[plan.choice];
		for (uint32_t i = 0; i < plan.runs_count; i++) {
			placed += plan.runs[i].size;
			check_run(c, &plan.runs[i], used);
		}
		CU_ASSERT_EQUAL(placed, size);
		for (uint32_t a = 0; a < count; a++)
			CU_ASSERT_TRUE(used[a] + (used[a] > 0 ? c->keep : 0) <=
				       offers[a].free);
	}
}

static void an_address_has_a_host(void)
{
	static const char *const hosts[][2] = {
		{ "ofi+tcp://mem1:7470", "mem1" },
		{ "ofi+tcp://[fe80::1]:7470", "fe80::1" },
		{ "ofi+shm://name", "" },
		{ "loop:name", "" },
		{ "", "" },
		{ "ofi+tcp:/", "" },
	};

	for (unsigned i = 0; i < XM_COUNT(hosts); i++) {
		char host[XM_HOST_SIZE];

		xm_host_of(hosts[i][0], host);
		CU_ASSERT_STRING_EQUAL(host, hosts[i][1]);
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(copies_lie_at_different_appliances),
		XM_TEST(stripes_with_copies_need_no_more_appliances_than_columns),
		XM_TEST(the_rank_says_who_comes_first),
		XM_TEST(a_lot_of_two_avoids_the_fullest),
		XM_TEST(copies_are_spread_over_zones_or_hosts),
		XM_TEST(the_first_choice_that_can_be_met_is_taken),
		XM_TEST(who_cannot_be_chosen_is_told_with_the_reason),
		XM_TEST(keep_and_limit_leave_memory_where_it_is),
		XM_TEST(many_small_runs_leave_fewer_remainders),
		XM_TEST(what_is_free_soon_is_waited_for_only_if_it_suffices),
		XM_TEST(a_spare_has_no_other_copy),
		XM_TEST(a_spare_lies_in_another_zone_or_on_another_host),
		XM_TEST(a_spare_passes_the_filters),
		XM_TEST(the_rank_says_which_spare_comes_first),
		XM_TEST(keep_and_limit_hold_for_a_spare),
		XM_TEST(a_spare_falls_back_to_later_choices_with_as_many_copies),
		XM_TEST(other_columns_of_a_run_are_avoided),
		XM_TEST(random_plans_keep_the_rules),
		XM_TEST(an_address_has_a_host),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("plan", tests);
}
