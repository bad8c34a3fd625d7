/* SPDX-License-Identifier: BSD-3-Clause */
/* The mender machine: which appliances are given up, and who takes their place. */
#include <errno.h>
#include <string.h>

#include "core/pure/mender.h"
#include "tests/support/cunit.h"

static struct xm_mender mender;
static struct xm_mender_event ev;
static struct xm_plan_offer offers[4];

static void begin(void)
{
	xm_mender_init(&mender);
	memset(&ev, 0, sizeof(ev));
	ev.kind = XM_MENDER_TICK;
	ev.now_ns = 5 * XM_SECOND;
	ev.vacancy.size = XM_MIB;
	ev.offers = offers;
	ev.count = XM_COUNT(offers);
	memset(offers, 0, sizeof(offers));
	for (unsigned a = 0; a < XM_COUNT(offers); a++) {
		ev.lease_ns[a] = 10 * XM_SECOND;
		offers[a].incarnation = 1 + a;
		offers[a].free = offers[a].free_run = (1 + a) * XM_MIB;
	}
}

static void ready(uint32_t appliances)
{
	for (unsigned a = 0; a < XM_COUNT(offers); a++)
		offers[a].ready = (appliances & 1u << a) != 0;
}

static bool step(int kind)
{
	ev.kind = kind;
	return xm_mender_step(&mender, &ev);
}

static void who_is_in_is_not_given_up(void)
{
	begin();
	ev.gone = 2;
	step(XM_MENDER_TICK);
	ev.now_ns += 60 * XM_SECOND;
	step(XM_MENDER_TICK);
	CU_ASSERT_EQUAL(mender.given_up, 0);
}

static void who_is_gone_is_given_up_after_a_second(void)
{
	begin();
	ev.out = ev.gone = 2;
	step(XM_MENDER_TICK);
	ev.now_ns += XM_MENDER_GONE - 1;
	step(XM_MENDER_TICK);
	CU_ASSERT_EQUAL(mender.given_up, 0);
	ev.now_ns++;
	step(XM_MENDER_TICK);
	CU_ASSERT_EQUAL(mender.given_up, 2);
	ev.gone = 0; /* it is back */
	step(XM_MENDER_TICK);
	CU_ASSERT_EQUAL(mender.given_up, 0);
}

static void who_is_silent_is_given_up_when_its_lease_has_ended(void)
{
	begin();
	ev.out = 4;
	step(XM_MENDER_TICK);
	ev.now_ns += 10 * XM_SECOND - 1;
	step(XM_MENDER_TICK);
	CU_ASSERT_EQUAL(mender.given_up, 0);
	ev.now_ns++;
	step(XM_MENDER_TICK);
	CU_ASSERT_EQUAL(mender.given_up, 4);
}

static void the_spare_is_the_one_with_most_room(void)
{
	begin();
	step(XM_MENDER_TICK);
	CU_ASSERT_TRUE(mender.looks);
	ready(0xf);
	ev.vacancy.copies = 0x8;
	CU_ASSERT_TRUE(step(XM_MENDER_VACANCY));
	CU_ASSERT_EQUAL(mender.spare, 2);
	/* One at a time. */
	step(XM_MENDER_TICK);
	CU_ASSERT_FALSE(mender.looks);
	ev.status = 0;
	step(XM_MENDER_ANSWERED);
	step(XM_MENDER_TICK);
	CU_ASSERT_TRUE(mender.looks);
}

static void without_room_it_looks_again_later(void)
{
	begin();
	ready(1);
	ev.vacancy.size = 2 * XM_MIB;
	CU_ASSERT_FALSE(step(XM_MENDER_VACANCY));
	step(XM_MENDER_TICK);
	CU_ASSERT_FALSE(mender.looks);
	ev.now_ns += XM_MENDER_RETRY;
	step(XM_MENDER_TICK);
	CU_ASSERT_TRUE(mender.looks);
	offers[0].free = offers[0].free_run = 2 * XM_MIB; /* just enough */
	CU_ASSERT_TRUE(step(XM_MENDER_VACANCY));
	CU_ASSERT_EQUAL(mender.spare, 0);
	ev.status = -ENOSPC;
	step(XM_MENDER_ANSWERED);
	step(XM_MENDER_TICK);
	CU_ASSERT_FALSE(mender.looks);
}

static void one_that_failed_is_asked_last(void)
{
	begin();
	ready(0xc);
	CU_ASSERT_TRUE(step(XM_MENDER_VACANCY));
	CU_ASSERT_EQUAL(mender.spare, 3);
	ev.status = -ENOSPC;
	step(XM_MENDER_ANSWERED);
	ev.now_ns += XM_MENDER_RETRY;
	CU_ASSERT_TRUE(step(XM_MENDER_VACANCY));
	CU_ASSERT_EQUAL(mender.spare, 2);
	ev.status = 0;
	step(XM_MENDER_ANSWERED);
	ready(8); /* no other is there */
	CU_ASSERT_TRUE(step(XM_MENDER_VACANCY));
	CU_ASSERT_EQUAL(mender.spare, 3);
	step(XM_MENDER_ANSWERED);
	ready(0xc);
	ev.now_ns += XM_MENDER_AVOIDS;
	CU_ASSERT_TRUE(step(XM_MENDER_VACANCY));
	CU_ASSERT_EQUAL(mender.spare, 3);
}

static void one_that_must_wait_stops_no_other(void)
{
	begin();
	ready(1);
	ev.vacancy.size = 2 * XM_MIB;
	CU_ASSERT_FALSE(step(XM_MENDER_VACANCY));
	ev.vacancy.size = XM_MIB;
	CU_ASSERT_TRUE(step(XM_MENDER_VACANCY));
	ev.status = 0;
	step(XM_MENDER_ANSWERED);
	step(XM_MENDER_TICK);
	CU_ASSERT_TRUE(mender.looks);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(who_is_in_is_not_given_up),
		XM_TEST(who_is_gone_is_given_up_after_a_second),
		XM_TEST(who_is_silent_is_given_up_when_its_lease_has_ended),
		XM_TEST(the_spare_is_the_one_with_most_room),
		XM_TEST(without_room_it_looks_again_later),
		XM_TEST(one_that_failed_is_asked_last),
		XM_TEST(one_that_must_wait_stops_no_other),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("mender", tests);
}
