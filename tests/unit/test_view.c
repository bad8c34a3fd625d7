/* SPDX-License-Identifier: BSD-3-Clause */
/* The view machine: who is in, and what must be written before anything relies on it. */
#include <string.h>

#include "core/pure/ledger.h"
#include "core/pure/view.h"
#include "tests/support/cunit.h"

static struct xm_view view;
static struct xm_view_effects fx;
static uint64_t now;
static uint32_t down, away, ledgers, members;

static void tick(void)
{
	struct xm_view_event ev = {
		.kind = XM_VIEW_TICK, .now_ns = now, .members = members,
		.ledgers = ledgers, .down = down, .away = away,
	};

	xm_view_step(&view, &ev, &fx);
}

static void told(enum xm_view_event_kind kind, uint32_t appliance, int status)
{
	struct xm_view_event ev = {
		.kind = kind, .appliance = appliance, .status = status,
		.version = view.record.version, .now_ns = now,
	};

	xm_view_step(&view, &ev, &fx);
}

/* So many appliances with members and ledgers, which have been told of it. */
static void begin(uint32_t count)
{
	xm_view_init(&view);
	now = XM_SECOND;
	down = away = 0;
	members = ledgers = (1u << count) - 1;
	tick();
	CU_ASSERT_EQUAL(view.record.in, members);
	CU_ASSERT_EQUAL(fx.write, members);
	for (uint32_t a = 0; a < count; a++)
		told(XM_VIEW_WRITTEN, a, 0);
	tick();
	CU_ASSERT_EQUAL(fx.write, 0);
}

static void of_a_pair_the_survivor_goes_on_once_its_ledger_says_so(void)
{
	begin(2);
	down = away = 1 << 1;
	tick();
	CU_ASSERT_EQUAL(view.record.proposed, 2);
	CU_ASSERT_EQUAL(fx.write, 1 << 0);
	CU_ASSERT_EQUAL(fx.drop, 0);
	tick();
	CU_ASSERT_EQUAL(fx.drop, 0);
	CU_ASSERT_EQUAL(fx.write, 0); /* it is under way */
	told(XM_VIEW_WRITTEN, 0, 0);
	tick();
	CU_ASSERT_EQUAL(fx.drop, 1 << 1);
	CU_ASSERT_EQUAL(view.record.number, 2);
	CU_ASSERT_EQUAL(view.record.in, 1 << 0);
	CU_ASSERT_EQUAL(view.record.left_at[1], 2);
	/* That it is committed is written, too. */
	CU_ASSERT_EQUAL(fx.write, 1 << 0);
}

static void a_ledger_that_was_not_written_is_written_again(void)
{
	begin(2);
	down = away = 1 << 1;
	tick();
	told(XM_VIEW_WRITTEN, 0, -1);
	tick();
	CU_ASSERT_EQUAL(fx.drop, 0);
	CU_ASSERT_EQUAL(fx.write, 1 << 0);
}

static void who_answers_on_its_session_has_a_moment_to_come_back(void)
{
	begin(2);
	down = 1 << 1;
	tick();
	CU_ASSERT_EQUAL(view.record.proposed, 0);
	now += XM_VIEW_GRACE - 1;
	tick();
	CU_ASSERT_EQUAL(view.record.proposed, 0);
	now++;
	tick();
	CU_ASSERT_EQUAL(view.record.proposed, 2);
}

static void a_moment_begins_anew_when_it_was_up_between(void)
{
	begin(2);
	down = 1 << 1;
	tick();
	now += XM_VIEW_GRACE - 1;
	down = 0;
	tick();
	down = 1 << 1;
	now++;
	tick();
	CU_ASSERT_EQUAL(view.record.proposed, 0);
}

static void the_last_one_is_never_dropped(void)
{
	begin(2);
	down = away = 3;
	tick();
	CU_ASSERT_EQUAL(view.record.proposed, 0);
	away = 2;
	tick();
	CU_ASSERT_EQUAL(view.record.next, 1 << 0);
	told(XM_VIEW_WRITTEN, 0, 0);
	tick();
	CU_ASSERT_EQUAL(view.record.in, 1 << 0);
	away = 3;
	tick();
	CU_ASSERT_EQUAL(view.record.proposed, 0);
	CU_ASSERT_EQUAL(view.record.in, 1 << 0);
}

static void a_proposal_that_is_not_needed_is_forgotten_and_its_number_used_up(void)
{
	begin(2);
	down = away = 1 << 1;
	tick();
	down = away = 0;
	tick();
	CU_ASSERT_EQUAL(view.record.proposed, 0);
	CU_ASSERT_EQUAL(view.record.number, 1);
	/* What was under way to its ledger ends late, and commits nothing. */
	told(XM_VIEW_WRITTEN, 0, 0);
	tick();
	CU_ASSERT_EQUAL(fx.drop, 0);
	down = away = 1 << 0;
	tick();
	CU_ASSERT_EQUAL(view.record.proposed, 3);
	CU_ASSERT_EQUAL(view.record.next, 1 << 1);
}

static void of_three_all_that_stay_must_know(void)
{
	begin(3);
	down = away = 1 << 2;
	tick();
	CU_ASSERT_EQUAL(fx.write, 3);
	told(XM_VIEW_WRITTEN, 0, 0);
	tick();
	CU_ASSERT_EQUAL(fx.drop, 0);
	told(XM_VIEW_WRITTEN, 1, 0);
	tick();
	CU_ASSERT_EQUAL(fx.drop, 1 << 2);
}

static void of_three_one_alone_does_not_go_on(void)
{
	begin(3);
	down = away = 6;
	tick();
	CU_ASSERT_EQUAL(view.record.next, 1);
	told(XM_VIEW_WRITTEN, 0, 0);
	tick();
	CU_ASSERT_EQUAL(fx.drop, 0);
	CU_ASSERT_EQUAL(view.record.number, 1);
	/* One is back, and was there before: two of three. */
	down = away = 4;
	tick();
	CU_ASSERT_EQUAL(view.record.next, 3);
	told(XM_VIEW_WRITTEN, 0, 0);
	told(XM_VIEW_WRITTEN, 1, 0);
	tick();
	CU_ASSERT_EQUAL(fx.drop, 4);
	/* Of these two each may go on alone. */
	told(XM_VIEW_WRITTEN, 0, 0);
	told(XM_VIEW_WRITTEN, 1, 0);
	down = away = 6;
	tick();
	told(XM_VIEW_WRITTEN, 0, 0);
	tick();
	CU_ASSERT_EQUAL(fx.drop, 6);
	CU_ASSERT_EQUAL(view.record.in, 1);
}

static void drop_one(void)
{
	begin(2);
	down = away = 2;
	tick();
	told(XM_VIEW_WRITTEN, 0, 0);
	tick();
	told(XM_VIEW_WRITTEN, 0, 0);
	CU_ASSERT_EQUAL_FATAL(view.record.in, 1);
}

static void who_comes_back_is_filled_and_in_again_when_all_know(void)
{
	drop_one();
	down = 2;
	away = 0;
	tick();
	CU_ASSERT_EQUAL(fx.fill, 0); /* not every lane reaches it */
	down = 0;
	tick();
	CU_ASSERT_EQUAL(fx.fill, 2);
	CU_ASSERT_TRUE(fx.sweep);
	tick();
	CU_ASSERT_FALSE(fx.sweep);
	CU_ASSERT_EQUAL(view.record.proposed, 0);
	told(XM_VIEW_SWEPT, 0, 0);
	tick();
	CU_ASSERT_EQUAL(view.record.next, 3);
	CU_ASSERT_EQUAL(fx.admit, 0);
	told(XM_VIEW_WRITTEN, 0, 0);
	tick();
	CU_ASSERT_EQUAL(fx.admit, 0);
	told(XM_VIEW_WRITTEN, 1, 0);
	tick();
	CU_ASSERT_EQUAL(fx.admit, 2);
	CU_ASSERT_EQUAL(view.record.in, 3);
	CU_ASSERT_EQUAL(view.record.left_at[1], 0);
	CU_ASSERT_EQUAL(view.record.number, 3);
}

static void who_goes_down_while_it_is_filled_is_out_at_once(void)
{
	drop_one();
	down = away = 0;
	tick();
	CU_ASSERT_EQUAL(fx.fill, 2);
	down = away = 2;
	tick();
	CU_ASSERT_EQUAL(fx.drop, 2);
	CU_ASSERT_EQUAL(view.filling, 0);
	told(XM_VIEW_SWEPT, 0, 0);
	tick();
	CU_ASSERT_EQUAL(view.record.proposed, 0);
}

static void one_that_comes_back_during_a_sweep_begins_it_anew(void)
{
	begin(3);
	down = away = 4;
	tick();
	told(XM_VIEW_WRITTEN, 0, 0);
	told(XM_VIEW_WRITTEN, 1, 0);
	tick();
	down = away = 0;
	tick();
	CU_ASSERT_EQUAL(fx.fill, 4);
	told(XM_VIEW_SWEPT, 0, 0);
	view.known |= 8;
	members = ledgers = 15;
	tick(); /* another one, that was out, is back */
	CU_ASSERT_EQUAL(fx.fill, 8);
	CU_ASSERT_TRUE(fx.sweep);
	CU_ASSERT_EQUAL(view.swept, 0);
}

static void who_has_lost_its_memory_leaves_and_comes_back(void)
{
	begin(2);
	ledgers = 1;
	told(XM_VIEW_LOST, 1, 0);
	tick();
	CU_ASSERT_EQUAL(view.record.next, 1);
	told(XM_VIEW_WRITTEN, 0, 0);
	tick();
	CU_ASSERT_EQUAL(fx.drop, 2);
	told(XM_VIEW_WRITTEN, 0, 0);
	tick();
	CU_ASSERT_EQUAL(fx.fill, 0); /* it has no ledger */
	ledgers = 3;
	told(XM_VIEW_LEDGER, 1, 0);
	tick();
	CU_ASSERT_EQUAL(fx.fill, 2);
	CU_ASSERT_EQUAL(fx.write, 2);
	told(XM_VIEW_WRITTEN, 1, 0);
	told(XM_VIEW_SWEPT, 0, 0);
	tick();
	told(XM_VIEW_WRITTEN, 0, 0);
	told(XM_VIEW_WRITTEN, 1, 0);
	tick();
	CU_ASSERT_EQUAL(view.record.in, 3);
}

/* Appliances 0 and 2 are back; 2 refuses a ledger, and the view with both would never be
 * committed. */
static void who_gets_no_ledger_keeps_no_other_out(void)
{
	begin(3);
	down = away = 5;
	tick();
	told(XM_VIEW_WRITTEN, 1, 0);
	view.record.in = view.record.next = 2;
	view.record.proposed = 0;
	down = away = 0;
	tick();
	CU_ASSERT_EQUAL(fx.fill, 5);
	told(XM_VIEW_SWEPT, 0, 0);
	tick();
	CU_ASSERT_EQUAL(view.record.next, 7);
	ledgers = 3;
	told(XM_VIEW_LOST, 2, 0);
	tick();
	CU_ASSERT_EQUAL(fx.drop, 4);
	CU_ASSERT_EQUAL(view.record.next, 3);
	told(XM_VIEW_WRITTEN, 0, 0);
	told(XM_VIEW_WRITTEN, 1, 0);
	tick();
	CU_ASSERT_EQUAL(view.record.in, 3);
	tick();
	CU_ASSERT_EQUAL(fx.fill, 0);
	ledgers = 7;
	tick();
	CU_ASSERT_EQUAL(fx.fill, 4);
}

static void a_new_ledger_is_told_the_view(void)
{
	begin(2);
	told(XM_VIEW_LEDGER, 0, 0);
	tick();
	CU_ASSERT_EQUAL(fx.write, 1);
}

static void appliances_without_members_are_no_concern(void)
{
	begin(2);
	down = away = 4;
	tick();
	CU_ASSERT_EQUAL(view.record.proposed, 0);
	members = 7;
	tick();
	CU_ASSERT_EQUAL(view.record.in, 7);
}

/* --- ledgers ---------------------------------------------------------------- */

static void a_record_is_read_as_it_was_written(void)
{
	uint8_t bytes[XM_LEDGER_SIZE] = { 0 };
	struct xm_ledger a = {
		.record = { .version = 7, .number = 5, .in = 5, .proposed = 6,
			    .next = 4, .left_at = { 0, 5 } },
		.client = 0x100000, .appliances = 3,
		.incarnations = { 11, 12, UINT64_MAX },
	}, b;

	CU_ASSERT_FALSE(xm_ledger_decode(bytes, &b));
	xm_ledger_encode(&a, bytes + xm_ledger_offset(7));
	memset(&b, 0, sizeof(b));
	CU_ASSERT_TRUE_FATAL(xm_ledger_decode(bytes, &b));
	CU_ASSERT_EQUAL(b.record.version, 7);
	CU_ASSERT_EQUAL(b.record.number, 5);
	CU_ASSERT_EQUAL(b.record.in, 5);
	CU_ASSERT_EQUAL(b.record.proposed, 6);
	CU_ASSERT_EQUAL(b.record.next, 4);
	CU_ASSERT_EQUAL(b.record.left_at[1], 5);
	CU_ASSERT_EQUAL(b.client, 0x100000);
	CU_ASSERT_EQUAL(b.appliances, 3);
	CU_ASSERT_EQUAL(b.incarnations[2], UINT64_MAX);
}

static void a_record_that_was_cut_off_leaves_the_one_before(void)
{
	uint8_t bytes[XM_LEDGER_SIZE] = { 0 };
	struct xm_ledger a = { .record = { .version = 7, .number = 3 } }, b;

	xm_ledger_encode(&a, bytes + xm_ledger_offset(7));
	a.record.version = 8;
	xm_ledger_encode(&a, bytes + xm_ledger_offset(8));
	CU_ASSERT_TRUE(xm_ledger_decode(bytes, &b));
	CU_ASSERT_EQUAL(b.record.version, 8);
	bytes[xm_ledger_offset(8) + 300] ^= 1;
	CU_ASSERT_TRUE(xm_ledger_decode(bytes, &b));
	CU_ASSERT_EQUAL(b.record.version, 7);
	bytes[xm_ledger_offset(7)] ^= 1;
	CU_ASSERT_FALSE(xm_ledger_decode(bytes, &b));
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(of_a_pair_the_survivor_goes_on_once_its_ledger_says_so),
		XM_TEST(a_ledger_that_was_not_written_is_written_again),
		XM_TEST(who_answers_on_its_session_has_a_moment_to_come_back),
		XM_TEST(a_moment_begins_anew_when_it_was_up_between),
		XM_TEST(the_last_one_is_never_dropped),
		XM_TEST(a_proposal_that_is_not_needed_is_forgotten_and_its_number_used_up),
		XM_TEST(of_three_all_that_stay_must_know),
		XM_TEST(of_three_one_alone_does_not_go_on),
		XM_TEST(who_comes_back_is_filled_and_in_again_when_all_know),
		XM_TEST(who_goes_down_while_it_is_filled_is_out_at_once),
		XM_TEST(one_that_comes_back_during_a_sweep_begins_it_anew),
		XM_TEST(who_has_lost_its_memory_leaves_and_comes_back),
		XM_TEST(who_gets_no_ledger_keeps_no_other_out),
		XM_TEST(a_new_ledger_is_told_the_view),
		XM_TEST(appliances_without_members_are_no_concern),
		XM_TEST(a_record_is_read_as_it_was_written),
		XM_TEST(a_record_that_was_cut_off_leaves_the_one_before),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("view", tests);
}
