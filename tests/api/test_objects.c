/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects and threads, through the public API: what one takes and another gives,
 * what threads keep, and that nobody loses by it.
 */
#include "tests/support/appliance.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"

#define REGION (2 * MIB)

static struct appliance home;

static extmem *open_client(extmem_region **ret)
{
	extmem *x = client_open(home.address, "local=2M", NULL);

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "objects", REGION, ret) == 0);
	return x;
}

/* A thread that does one thing after the other, as it is told. */
struct hand {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void (*job)(struct hand *);
	bool ends;
	extmem_region *region;
	uint64_t offset, size, count;
	int rc;
};

static void *hand_run(void *argument)
{
	struct hand *hand = argument;

	pthread_mutex_lock(&hand->lock);
	while (!hand->ends) {
		if (hand->job != NULL) {
			hand->job(hand);
			hand->job = NULL;
			pthread_cond_broadcast(&hand->changed);
		} else {
			pthread_cond_wait(&hand->changed, &hand->lock);
		}
	}
	pthread_mutex_unlock(&hand->lock);
	return NULL;
}

static void hand_begin(struct hand *hand, extmem_region *region)
{
	memset(hand, 0, sizeof(*hand));
	pthread_mutex_init(&hand->lock, NULL);
	pthread_cond_init(&hand->changed, NULL);
	hand->region = region;
	CU_ASSERT_FATAL(pthread_create(&hand->thread, NULL, hand_run, hand) ==
			0);
}

static void hand_do(struct hand *hand, void (*job)(struct hand *))
{
	pthread_mutex_lock(&hand->lock);
	hand->job = job;
	pthread_cond_broadcast(&hand->changed);
	while (hand->job != NULL)
		pthread_cond_wait(&hand->changed, &hand->lock);
	pthread_mutex_unlock(&hand->lock);
}

static void hand_end(struct hand *hand)
{
	pthread_mutex_lock(&hand->lock);
	hand->ends = true;
	pthread_cond_broadcast(&hand->changed);
	pthread_mutex_unlock(&hand->lock);
	pthread_join(hand->thread, NULL);
}

static void take_one(struct hand *hand)
{
	hand->rc = extmem_object_alloc(hand->region, hand->size, 0,
				       &hand->offset);
}

static void give_one(struct hand *hand)
{
	hand->rc = extmem_object_free(hand->region, hand->offset);
}

/* Takes `count` of some sizes and gives them back, so that it keeps some. */
static void churn(struct hand *hand)
{
	uint64_t *offsets = calloc(hand->count, sizeof(*offsets));

	for (uint64_t i = 0; i < hand->count && hand->rc == 0; i++)
		hand->rc = extmem_object_alloc(hand->region, 16 + i % 1000, 0,
					       &offsets[i]);
	for (uint64_t i = 0; i < hand->count && hand->rc == 0; i++)
		hand->rc = extmem_object_free(hand->region, offsets[i]);
	free(offsets);
}

/* How many objects of 64 bytes there is room for; they are given back. */
static uint64_t room(extmem_region *region)
{
	static uint64_t offsets[REGION / 64];
	uint64_t count = 0;

	while (count < REGION / 64 &&
	       extmem_object_alloc(region, 64, 0, &offsets[count]) == 0)
		count++;
	for (uint64_t i = 0; i < count; i++)
		CU_ASSERT_FATAL(extmem_object_free(region, offsets[i]) == 0);
	return count;
}

/* --- all at once ----------------------------------------------------------------- */

#define SHELVES 2000
#define STEPS 200000

static struct {
	extmem_region *region;
	_Atomic uint64_t shelves[SHELVES]; /* an offset + 1, or 0 */
	_Atomic uint8_t used[REGION / 16];
	_Atomic uint64_t wrong, full;
} shop;

static void mark(uint64_t offset, uint64_t size, bool used)
{
	for (uint64_t b = offset / 16; b < (offset + size) / 16; b++) {
		if (atomic_exchange(&shop.used[b], used) == used)
			atomic_fetch_add(&shop.wrong, 1);
	}
}

/* Puts an object on a shelf, whosever, and takes what lay there away. */
static void *trade(void *argument)
{
	uint64_t word = (uintptr_t)argument;

	for (unsigned i = 0; i < STEPS / slowness(); i++) {
		uint64_t offset = 0, size = 0, old, handle = 0, shelf;

		word = word * UINT64_C(6364136223846793005) +
		       UINT64_C(1442695040888963407);
		shelf = (word >> 33) % SHELVES;
		if ((word >> 20) % 2 == 0) {
			int rc = extmem_object_alloc(
				shop.region, 1 + (word >> 40) % 900,
				(word >> 25) % 16 == 0 ? 64 : 0, &offset);

			if (rc == -ENOSPC) {
				atomic_fetch_add(&shop.full, 1);
			} else if (rc != 0 ||
				   extmem_object_size(shop.region, offset,
						      &size) != 0) {
				atomic_fetch_add(&shop.wrong, 1);
			} else {
				mark(offset, size, true);
				handle = offset + 1;
			}
		}
		old = atomic_exchange(&shop.shelves[shelf], handle);
		if (old == 0)
			continue;
		if (extmem_object_size(shop.region, old - 1, &size) != 0) {
			atomic_fetch_add(&shop.wrong, 1);
			continue;
		}
		mark(old - 1, size, false);
		if (extmem_object_free(shop.region, old - 1) != 0)
			atomic_fetch_add(&shop.wrong, 1);
	}
	return NULL;
}

static void threads_take_and_give_each_others_objects(void)
{
	extmem_region *region;
	extmem *x = open_client(&region);
	struct extmem_stats before, after;
	pthread_t threads[4];
	uint64_t left = 0;
	void *at;

	CU_ASSERT_FATAL(extmem_map(region, 0, 0, &at) == 0);
	memset(&shop, 0, sizeof(shop));
	shop.region = region;
	before = client_stats(x);
	for (uintptr_t i = 0; i < 4; i++)
		CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, trade,
					       (void *)(i + 1)) == 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	after = client_stats(x);
	CU_ASSERT_EQUAL(shop.wrong, 0);
	for (unsigned i = 0; i < SHELVES; i++)
		left += shop.shelves[i] != 0;
	CU_ASSERT_EQUAL(after.objects, left);
	for (unsigned i = 0; i < SHELVES; i++) {
		if (shop.shelves[i] != 0)
			CU_ASSERT(extmem_object_free(
					  region, shop.shelves[i] - 1) == 0);
	}
	CU_ASSERT_EQUAL(client_stats(x).objects, 0);
	/* No message, and nothing far was touched. */
	CU_ASSERT(after.reads == before.reads && after.writes == before.writes);
	CU_ASSERT(after.faults == before.faults);
	CU_ASSERT(extmem_close(x) == 0);
}

/* --- what threads keep --------------------------------------------------------------- */

static void an_ended_thread_has_kept_nothing(void)
{
	extmem_region *region;
	extmem *x = open_client(&region);
	struct hand hand;
	uint64_t fresh;

	fresh = room(region);
	CU_ASSERT(fresh > REGION / 64 / 2);
	hand_begin(&hand, region);
	hand.count = 500;
	hand_do(&hand, churn);
	CU_ASSERT_EQUAL(hand.rc, 0);
	hand_end(&hand);
	CU_ASSERT_EQUAL(client_stats(x).objects, 0);
	CU_ASSERT_EQUAL(room(region), fresh);
	CU_ASSERT(extmem_close(x) == 0);
}

static void what_an_idle_thread_keeps_is_there_for_others(void)
{
	extmem_region *region;
	extmem *x = open_client(&region);
	struct hand hands[3];
	uint64_t fresh = room(region);

	for (unsigned i = 0; i < 3; i++) {
		hand_begin(&hands[i], region);
		hands[i].count = 500;
		hand_do(&hands[i], churn);
	}
	CU_ASSERT_EQUAL(client_stats(x).objects, 0);
	CU_ASSERT_EQUAL(room(region), fresh);
	for (unsigned i = 0; i < 3; i++) {
		hand_do(&hands[i], churn);
		CU_ASSERT_EQUAL(hands[i].rc, 0);
		hand_end(&hands[i]);
	}
	CU_ASSERT_EQUAL(room(region), fresh);
	CU_ASSERT(extmem_close(x) == 0);
}

static void a_region_shrinks_whatever_threads_keep(void)
{
	extmem_region *region;
	extmem *x = open_client(&region);
	struct hand hand;
	uint64_t offset;

	hand_begin(&hand, region);
	hand.count = 2000;
	hand_do(&hand, churn);
	CU_ASSERT_EQUAL(hand.rc, 0);
	CU_ASSERT(extmem_object_alloc(region, 100, 0, &offset) == 0);
	CU_ASSERT(extmem_region_resize(region, REGION / 2) == 0);
	hand.count = 500;
	hand_do(&hand, churn);
	CU_ASSERT_EQUAL(hand.rc, 0);
	hand_end(&hand);
	CU_ASSERT(extmem_object_free(region, offset) == 0);
	CU_ASSERT(extmem_close(x) == 0);
}

static void a_double_free_is_refused_in_any_thread(void)
{
	extmem_region *region;
	extmem *x = open_client(&region);
	struct hand hand;
	uint64_t size;

	hand_begin(&hand, region);
	hand.size = 200;
	hand_do(&hand, take_one);
	CU_ASSERT_EQUAL(hand.rc, 0);
	CU_ASSERT(extmem_object_size(region, hand.offset, &size) == 0);
	CU_ASSERT(extmem_object_free(region, hand.offset) == 0);
	CU_ASSERT(extmem_object_free(region, hand.offset) == -EINVAL);
	hand_do(&hand, give_one);
	CU_ASSERT_EQUAL(hand.rc, -EINVAL);
	CU_ASSERT(extmem_object_size(region, hand.offset, &size) == -EINVAL);
	CU_ASSERT(extmem_object_free(region, hand.offset + 16) == -EINVAL);
	hand_end(&hand);
	CU_ASSERT_EQUAL(client_stats(x).objects, 0);
	CU_ASSERT(extmem_close(x) == 0);
}

static void regions_and_clients_may_go_while_threads_live(void)
{
	struct hand hands[2];
	extmem_region *region;
	extmem *x = open_client(&region);

	hand_begin(&hands[0], region);
	hand_begin(&hands[1], region);
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned i = 0; i < 2; i++) {
			hands[i].region = region;
			hands[i].count = 300;
			hand_do(&hands[i], churn);
			CU_ASSERT_EQUAL(hands[i].rc, 0);
		}
		CU_ASSERT(extmem_region_free(region) == 0);
		if (round % 3 == 2) {
			CU_ASSERT(extmem_close(x) == 0);
			x = open_client(&region);
		} else {
			CU_ASSERT_FATAL(extmem_region_alloc(x, NULL, REGION,
							   &region) == 0);
		}
	}
	hand_end(&hands[0]);
	CU_ASSERT(extmem_close(x) == 0);
	hand_end(&hands[1]);
}

static void a_thread_uses_more_regions_than_it_keeps_objects_of(void)
{
	extmem *x = client_open(home.address, "local=2M", NULL);
	extmem_region *regions[20];
	uint64_t offsets[20][30];

	CU_ASSERT_FATAL(x != NULL);
	for (unsigned i = 0; i < 20; i++)
		CU_ASSERT_FATAL(extmem_region_alloc(x, NULL, 65536,
						   &regions[i]) == 0);
	for (unsigned k = 0; k < 30; k++) {
		for (unsigned i = 0; i < 20; i++)
			CU_ASSERT(extmem_object_alloc(regions[i], 100, 0,
						      &offsets[i][k]) == 0);
	}
	CU_ASSERT_EQUAL(client_stats(x).objects, 600);
	for (unsigned k = 0; k < 30; k++) {
		for (unsigned i = 0; i < 20; i++) {
			CU_ASSERT(extmem_object_free(regions[i],
						     offsets[i][k]) == 0);
			CU_ASSERT(extmem_object_free(regions[i],
						     offsets[i][k]) ==
				  -EINVAL);
		}
	}
	CU_ASSERT_EQUAL(client_stats(x).objects, 0);
	CU_ASSERT(extmem_close(x) == 0);
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { NULL, NULL } };
	static const CU_TestInfo tests[] = {
		XM_TEST(threads_take_and_give_each_others_objects),
		XM_TEST(an_ended_thread_has_kept_nothing),
		XM_TEST(what_an_idle_thread_keeps_is_there_for_others),
		XM_TEST(a_region_shrinks_whatever_threads_keep),
		XM_TEST(a_double_free_is_refused_in_any_thread),
		XM_TEST(regions_and_clients_may_go_while_threads_live),
		XM_TEST(a_thread_uses_more_regions_than_it_keeps_objects_of),
		CU_TEST_INFO_NULL,
	};
	int rc;

	act_begin(argc, argv, acts);
	if (!appliance_start(&home, LOOPBACK, "64M", NULL))
		return 1;
	rc = xm_tests_run("objects", tests);
	appliance_stop(&home);
	return rc;
}
