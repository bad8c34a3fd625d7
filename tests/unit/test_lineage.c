/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose memory is lent on: appliance/lineage.h, alone and among many that hear late. */
#include <string.h>

#include "appliance/lineage.h"
#include "common/rand.h"
#include "tests/support/cunit.h"

#define NODES 6

static void whoever_borrows_from_nobody_fits(void)
{
	struct xm_lineage l;

	CU_ASSERT_EQUAL(xm_lineage_step(1, NULL, 0, &l), XM_LINEAGE_FITS);
	CU_ASSERT_EQUAL(l.count, 0);
}

static void a_lender_and_his_lenders_are_told_each_once(void)
{
	const struct xm_lender lenders[] = {
		{ 2, { 2, { 3, 4 } } }, { 0 }, { 3, { 1, { 4 } } },
	};
	struct xm_lineage l;

	CU_ASSERT_EQUAL(xm_lineage_step(1, lenders, 3, &l), XM_LINEAGE_FITS);
	CU_ASSERT_EQUAL(l.count, 3);
	CU_ASSERT(l.ids[0] == 2 && l.ids[1] == 3 && l.ids[2] == 4);
}

static void itself_and_loops_are_refused_in_words(void)
{
	const struct xm_lender itself = { 1, { 0 } }, loop = { 2, { 2, { 3, 1 } } };
	struct xm_lineage l;

	CU_ASSERT_EQUAL(xm_lineage_step(1, &itself, 1, &l), XM_LINEAGE_ITSELF);
	CU_ASSERT_EQUAL(xm_lineage_step(1, &loop, 1, &l), XM_LINEAGE_LOOP);
	CU_ASSERT(l.count == 2 && l.ids[0] == 2 && l.ids[1] == 3);
	CU_ASSERT(strstr(xm_lineage_words(XM_LINEAGE_LOOP), "loop") != NULL);
	CU_ASSERT(strstr(xm_lineage_words(XM_LINEAGE_ITSELF), "itself") != NULL);
}

static void sixteen_fit_and_seventeen_do_not(void)
{
	struct xm_lender lender = { .identity = 100, .lineage = { .count = XM_LENDERS_MAX - 1 } };
	struct xm_lender two[2] = { { .identity = 99 } };
	struct xm_lineage l;

	for (uint32_t i = 0; i < lender.lineage.count; i++)
		lender.lineage.ids[i] = 2 + i;
	CU_ASSERT_EQUAL(xm_lineage_step(1, &lender, 1, &l), XM_LINEAGE_FITS);
	CU_ASSERT_EQUAL(l.count, XM_LENDERS_MAX);
	two[1] = lender;
	CU_ASSERT_EQUAL(xm_lineage_step(1, two, 2, &l), XM_LINEAGE_LONG);
	CU_ASSERT_EQUAL(l.count, XM_LENDERS_MAX);
}

/* --- among others --------------------------------------------------------------- */

struct node {
	bool borrows; /* and lends that on */
	uint32_t from;
	struct xm_lineage said;
};

static void look(struct node *nodes, uint32_t self, bool forgets)
{
	struct node *n = &nodes[self];
	struct xm_lender lender = { n->from + 1, nodes[n->from].said };

	if (forgets) /* a planted bug: the next one alone is looked at */
		lender.lineage.count = 0;
	n->borrows = xm_lineage_step(self + 1, &lender, 1, &n->said) == XM_LINEAGE_FITS;
	if (!n->borrows)
		n->said.count = 0;
}

static bool has_loop(const struct node *nodes)
{
	for (uint32_t i = 0; i < NODES; i++) {
		uint32_t at = i, steps = 0;

		while (nodes[at].borrows && steps++ < NODES)
			at = nodes[at].from;
		if (steps > NODES)
			return true;
	}
	return false;
}

/* They begin, end and hear of one another in any order; then each hears of the others. The
 * runs in which a loop lasted. */
static uint32_t loops_that_last(bool forgets)
{
	uint32_t loops = 0;

	for (uint64_t seed = 1; seed <= 500; seed++) {
		struct node nodes[NODES];
		struct xm_rand r;

		memset(nodes, 0, sizeof(nodes));
		xm_rand_seed(&r, seed);
		for (int i = 0; i < 60; i++) {
			uint32_t who = (uint32_t)xm_rand_below(&r, NODES);

			if (nodes[who].borrows && xm_rand_below(&r, 4) > 0) {
				look(nodes, who, forgets);
				continue;
			}
			nodes[who].from = (uint32_t)xm_rand_below(&r, NODES);
			nodes[who].said.count = 0;
			look(nodes, who, forgets);
		}
		for (uint32_t round = 0; round < 2 * NODES; round++)
			for (uint32_t i = 0; i < NODES; i++)
				if (nodes[i].borrows)
					look(nodes, i, forgets);
		loops += has_loop(nodes);
	}
	return loops;
}

static void no_loop_lasts_however_late_they_hear(void)
{
	CU_ASSERT_EQUAL(loops_that_last(false), 0);
}

static void who_looks_no_further_than_his_lender_is_found(void)
{
	CU_ASSERT(loops_that_last(true) > 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(whoever_borrows_from_nobody_fits),
		XM_TEST(a_lender_and_his_lenders_are_told_each_once),
		XM_TEST(itself_and_loops_are_refused_in_words),
		XM_TEST(sixteen_fit_and_seventeen_do_not),
		XM_TEST(no_loop_lasts_however_late_they_hear),
		XM_TEST(who_looks_no_further_than_his_lender_is_found),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("lineage", tests);
}
