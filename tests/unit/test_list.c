/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of common/list.h. */
#include "common/list.h"
#include "common/rand.h"
#include "tests/support/cunit.h"

struct item {
	int value;
	struct xm_link link;
};

static struct item *item_of(struct xm_link *link)
{
	return XM_CONTAINER(link, struct item, link);
}

static void an_open_list_is_empty_and_gives_nothing(void)
{
	struct xm_link head;

	xm_list_open(&head);
	CU_ASSERT_TRUE(xm_list_is_empty(&head));
	CU_ASSERT_EQUAL(xm_list_count(&head), 0);
	CU_ASSERT_PTR_NULL(xm_list_front(&head));
	CU_ASSERT_PTR_NULL(xm_list_back(&head));
	CU_ASSERT_PTR_NULL(xm_list_pop_front(&head));
	CU_ASSERT_PTR_NULL(xm_list_pop_back(&head));
	XM_LIST_EACH (link, &head)
		CU_FAIL("nothing is there to be visited");
}

static void both_ends_push_and_pop_in_order(void)
{
	struct item items[4] = { { 0 } };
	struct xm_link head;
	int expected = 0;

	for (int i = 0; i < 4; i++)
		items[i].value = i;
	xm_list_open(&head);
	xm_list_push_back(&head, &items[2].link);
	xm_list_push_front(&head, &items[1].link);
	xm_list_push_back(&head, &items[3].link);
	xm_list_push_front(&head, &items[0].link);
	CU_ASSERT_EQUAL(xm_list_count(&head), 4);
	XM_LIST_EACH (link, &head)
		CU_ASSERT_EQUAL(item_of(link)->value, expected++);
	CU_ASSERT_EQUAL(expected, 4);
	CU_ASSERT_PTR_EQUAL(xm_list_front(&head), &items[0].link);
	CU_ASSERT_PTR_EQUAL(xm_list_back(&head), &items[3].link);
	CU_ASSERT_PTR_EQUAL(xm_list_pop_back(&head), &items[3].link);
	CU_ASSERT_PTR_EQUAL(xm_list_pop_front(&head), &items[0].link);
	CU_ASSERT_EQUAL(xm_list_count(&head), 2);
}

static void what_was_removed_is_alone_and_may_be_removed_again(void)
{
	struct item a, b;
	struct xm_link head;

	xm_list_open(&head);
	xm_link_alone(&a.link);
	xm_list_remove(&a.link);
	CU_ASSERT_TRUE(xm_link_is_alone(&a.link));
	xm_list_push_back(&head, &a.link);
	xm_list_push_back(&head, &b.link);
	CU_ASSERT_FALSE(xm_link_is_alone(&a.link));
	xm_list_remove(&a.link);
	xm_list_remove(&a.link);
	CU_ASSERT_TRUE(xm_link_is_alone(&a.link));
	CU_ASSERT_EQUAL(xm_list_count(&head), 1);
	CU_ASSERT_PTR_EQUAL(xm_list_front(&head), &b.link);
}

static void a_walk_may_remove_what_it_stands_on(void)
{
	struct item items[10];
	struct xm_link head;
	int left = 0;

	xm_list_open(&head);
	for (int i = 0; i < 10; i++) {
		items[i].value = i;
		xm_list_push_back(&head, &items[i].link);
	}
	XM_LIST_EACH_SAFE (link, &head)
		if (item_of(link)->value % 3 != 0)
			xm_list_remove(link);
	XM_LIST_EACH (link, &head) {
		CU_ASSERT_EQUAL(item_of(link)->value, left);
		left += 3;
	}
	CU_ASSERT_EQUAL(left, 12);
}

/* Two lists, and an array each that says what they should hold. */
static void random_moves_between_two_lists_agree_with_arrays(void)
{
	enum { ITEMS = 32, MOVES = 20000 };
	struct item items[ITEMS];
	struct xm_link heads[2];
	int model[2][ITEMS], counts[2] = { 0, 0 };
	struct xm_rand r;

	xm_rand_seed(&r, 7);
	for (int h = 0; h < 2; h++)
		xm_list_open(&heads[h]);
	for (int i = 0; i < ITEMS; i++) {
		items[i].value = i;
		xm_list_push_back(&heads[0], &items[i].link);
		model[0][counts[0]++] = i;
	}
	for (int m = 0; m < MOVES; m++) {
		int from = (int)xm_rand_below(&r, 2), to;
		int at, value;

		if (counts[from] == 0)
			from = !from;
		to = xm_rand_chance(&r, 500) ? from : !from;
		at = (int)xm_rand_below(&r, (uint64_t)counts[from]);
		value = model[from][at];
		for (int i = at; i + 1 < counts[from]; i++)
			model[from][i] = model[from][i + 1];
		counts[from]--;
		xm_list_remove(&items[value].link);
		if (xm_rand_chance(&r, 500)) {
			model[to][counts[to]++] = value;
			xm_list_push_back(&heads[to], &items[value].link);
		} else {
			for (int i = counts[to]++; i > 0; i--)
				model[to][i] = model[to][i - 1];
			model[to][0] = value;
			xm_list_push_front(&heads[to], &items[value].link);
		}
	}
	for (int h = 0; h < 2; h++) {
		int i = 0;

		CU_ASSERT_EQUAL(xm_list_count(&heads[h]),
				(uint64_t)counts[h]);
		XM_LIST_EACH (link, &heads[h])
			CU_ASSERT_EQUAL(item_of(link)->value, model[h][i++]);
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(an_open_list_is_empty_and_gives_nothing),
		XM_TEST(both_ends_push_and_pop_in_order),
		XM_TEST(what_was_removed_is_alone_and_may_be_removed_again),
		XM_TEST(a_walk_may_remove_what_it_stands_on),
		XM_TEST(random_moves_between_two_lists_agree_with_arrays),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("list", tests);
}
