/* SPDX-License-Identifier: BSD-3-Clause */
/* Placement against appliances that are lists of free runs; each case is asserted
 * as the sequence of questions and answers that it is. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/pure/placement.h"
#include "tests/support/cunit.h"

enum { RUNS = 8 };

struct appliance {
	bool away;
	int broken; /* what it answers, whatever is asked */
	uint64_t runs[RUNS]; /* free */
	uint64_t soon;
};

static struct xm_placement placement;
static char story[512];

static uint64_t largest(const struct appliance *a)
{
	uint64_t best = 0;

	for (unsigned i = 0; i < RUNS; i++)
		best = xm_max(best, a->runs[i]);
	return best;
}

/* From the smallest run that is large enough. */
static void answer(struct appliance *a, uint64_t size,
		   struct xm_placement_offer *ret)
{
	uint64_t *best = NULL;

	memset(ret, 0, sizeof(*ret));
	ret->status = a->broken;
	if (a->broken != 0)
		return;
	for (unsigned i = 0; i < RUNS; i++) {
		if (a->runs[i] >= size && (best == NULL || a->runs[i] < *best))
			best = &a->runs[i];
	}
	if (best != NULL) {
		*best -= size;
		return;
	}
	ret->status = -ENOSPC;
	for (unsigned i = 0; i < RUNS; i++)
		ret->free += a->runs[i];
	ret->free_run = largest(a);
	ret->soon = a->soon;
}

/* "a10- b10- a4+ ...": which appliance was asked for how much, and whether it had
 * it. */
static const char *place(struct appliance *appliances, uint32_t count,
			 uint64_t size, uint64_t granule)
{
	struct xm_placement_ask ask;
	uint32_t ready = 0;
	size_t at = 0;

	for (uint32_t a = 0; a < count; a++)
		ready += !appliances[a].away;
	xm_placement_init(&placement, size, granule, count, ready);
	story[0] = '\0';
	while (xm_placement_next(&placement, &ask)) {
		struct appliance *a = &appliances[ask.appliance];
		struct xm_placement_offer offer;

		CU_ASSERT_FATAL(at + 32 < sizeof(story));
		if (ask.if_ready && a->away) {
			at += (size_t)snprintf(story + at, sizeof(story) - at,
					       "%caway ", 'a' + (int)ask.appliance);
			xm_placement_away(&placement, ask.appliance);
			continue;
		}
		answer(a, ask.size, &offer);
		if (a->away)
			offer.status = -ENOTCONN;
		at += (size_t)snprintf(story + at, sizeof(story) - at, "%c%u%c ",
				       'a' + (int)ask.appliance,
				       (unsigned)ask.size,
				       offer.status == 0 ? '+' : '-');
		xm_placement_answer(&placement, &ask, &offer);
	}
	return story;
}

static bool placed(void)
{
	return placement.placed == placement.size;
}

static void the_first_listed_with_room_has_it_all(void)
{
	struct appliance a[] = { { .runs = { 4 } }, { .runs = { 16 } },
				 { .runs = { 16 } } };

	CU_ASSERT_STRING_EQUAL(place(a, 3, 8, 1), "a8- b8+ ");
	CU_ASSERT_TRUE(placed());
}

static void what_fits_in_one_is_not_divided(void)
{
	struct appliance a[] = { { .runs = { 7 } }, { .runs = { 7 } },
				 { .runs = { 8 } } };

	CU_ASSERT_STRING_EQUAL(place(a, 3, 8, 1), "a8- b8- c8+ ");
}

static void pieces_are_of_the_first_listed_as_large_as_its_runs(void)
{
	struct appliance a[] = { { .runs = { 4, 2 } }, { .runs = { 5 } } };

	CU_ASSERT_STRING_EQUAL(place(a, 2, 10, 1),
			       "a10- b10- a4+ a4- a2+ a2- b4+ ");
	CU_ASSERT_TRUE(placed());
}

static void pieces_that_do_not_suffice_are_not_asked_for(void)
{
	struct appliance a[] = { { .runs = { 4 } }, { .runs = { 5 } } };

	CU_ASSERT_STRING_EQUAL(place(a, 2, 10, 1), "a10- b10- ");
	CU_ASSERT_FALSE(placed());
	CU_ASSERT_EQUAL(placement.placed, 0);
	CU_ASSERT_FALSE(xm_placement_soon(&placement));
	CU_ASSERT_EQUAL(xm_placement_told_by(&placement), 0);
}

static void pieces_are_multiples_of_the_granule(void)
{
	struct appliance a[] = { { .runs = { 7 } }, { .runs = { 9 } } };

	CU_ASSERT_STRING_EQUAL(place(a, 2, 12, 4), "a12- b12- a4+ a4- b8+ ");
	CU_ASSERT_TRUE(placed());
}

static void what_is_free_in_crumbs_is_not_placed(void)
{
	struct appliance a[] = { { .runs = { 3, 3, 3, 3 } } };

	CU_ASSERT_STRING_EQUAL(place(a, 1, 12, 4), "a12- ");
	CU_ASSERT_FALSE(placed());
	CU_ASSERT_EQUAL(placement.placed, 0);
}

static void a_placement_that_fails_half_way_says_how_far_it_came(void)
{
	struct appliance a[] = { { .runs = { 4, 3, 3, 3 } } };

	CU_ASSERT_STRING_EQUAL(place(a, 1, 12, 4), "a12- a4+ a4- ");
	CU_ASSERT_FALSE(placed());
	CU_ASSERT_EQUAL(placement.placed, 4);
}

static void one_that_is_away_is_asked_only_if_all_are(void)
{
	struct appliance a[] = { { .away = true, .runs = { 16 } },
				 { .runs = { 16 } } };

	CU_ASSERT_STRING_EQUAL(place(a, 2, 8, 1), "aaway b8+ ");
	a[1].away = true;
	CU_ASSERT_STRING_EQUAL(place(a, 2, 8, 1), "a8- b8- ");
	CU_ASSERT_FALSE(placed());
}

static void one_that_answers_otherwise_gets_no_piece(void)
{
	struct appliance a[] = { { .broken = -EDQUOT, .runs = { 8 } },
				 { .runs = { 4, 4 } } };

	CU_ASSERT_STRING_EQUAL(place(a, 2, 8, 1), "a8- b8- b4+ b4+ ");
	CU_ASSERT_TRUE(placed());
}

static void the_first_that_is_full_has_the_word(void)
{
	struct appliance a[] = { { .broken = -EDQUOT }, { .runs = { 1 } },
				 { .runs = { 1 } } };

	place(a, 3, 8, 1);
	CU_ASSERT_EQUAL(xm_placement_told_by(&placement), 1);
	a[1].broken = a[2].broken = -EPROTO;
	place(a, 3, 8, 1);
	CU_ASSERT_EQUAL(xm_placement_told_by(&placement), 0);
}

static void what_is_about_to_be_free_counts_for_soon(void)
{
	struct appliance a[] = { { .runs = { 2 }, .soon = 100 },
				 { .runs = { 3 }, .soon = 3 } };

	/* Of one appliance no more counts than is wanted. */
	place(a, 2, 8, 1);
	CU_ASSERT_TRUE(xm_placement_soon(&placement));
	a[0].soon = 0;
	place(a, 2, 8, 1);
	CU_ASSERT_TRUE(xm_placement_soon(&placement)); /* 2 + 3 + 3 */
	a[0].runs[0] = 1;
	place(a, 2, 8, 1);
	CU_ASSERT_FALSE(xm_placement_soon(&placement));
}

static void nobody_to_ask_is_a_failure(void)
{
	CU_ASSERT_STRING_EQUAL(place(NULL, 0, 8, 1), "");
	CU_ASSERT_FALSE(placed());
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(the_first_listed_with_room_has_it_all),
		XM_TEST(what_fits_in_one_is_not_divided),
		XM_TEST(pieces_are_of_the_first_listed_as_large_as_its_runs),
		XM_TEST(pieces_that_do_not_suffice_are_not_asked_for),
		XM_TEST(pieces_are_multiples_of_the_granule),
		XM_TEST(what_is_free_in_crumbs_is_not_placed),
		XM_TEST(a_placement_that_fails_half_way_says_how_far_it_came),
		XM_TEST(one_that_is_away_is_asked_only_if_all_are),
		XM_TEST(one_that_answers_otherwise_gets_no_piece),
		XM_TEST(the_first_that_is_full_has_the_word),
		XM_TEST(what_is_about_to_be_free_counts_for_soon),
		XM_TEST(nobody_to_ask_is_a_failure),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("placement", tests);
}
