/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of the path: asking, connecting, hanging, giving up. */
#include "tests/support/cunit.h"
#include "core/pure/path.h"

#define LOSS (800 * XM_MS)

static struct xm_path path;
static struct xm_path_effects fx;
static uint64_t now;

static void send_event(enum xm_path_event_kind kind)
{
	struct xm_path_event ev = { .kind = kind, .now_ns = now };

	xm_path_step(&path, &ev, &fx);
}

static void tick(bool wanted, bool ready, uint64_t oldest_ns)
{
	struct xm_path_event ev = {
		.kind = XM_PATH_TICK, .now_ns = now, .wanted = wanted,
		.ready = ready, .oldest_ns = oldest_ns,
	};

	xm_path_step(&path, &ev, &fx);
}

static void open_path(void)
{
	now = 5 * XM_SECOND;
	xm_path_init(&path, LOSS, now);
}

static void open_and_up(void)
{
	open_path();
	tick(true, true, XM_NEVER);
	send_event(XM_PATH_TICKETED);
	send_event(XM_PATH_CAME_UP);
	CU_ASSERT_EQUAL_FATAL(path.state, XM_PATH_UP);
}

static void it_asks_when_it_is_wanted_and_the_session_ready(void)
{
	open_path();
	tick(false, true, XM_NEVER);
	CU_ASSERT_FALSE(fx.ask);
	tick(true, false, XM_NEVER);
	CU_ASSERT_FALSE(fx.ask);
	tick(true, true, XM_NEVER);
	CU_ASSERT_TRUE(fx.ask);
	CU_ASSERT_EQUAL(path.state, XM_PATH_ASKED);
	tick(true, true, XM_NEVER);
	CU_ASSERT_FALSE(fx.ask);
	send_event(XM_PATH_TICKETED);
	CU_ASSERT_TRUE(fx.connect);
	CU_ASSERT_EQUAL(path.state, XM_PATH_CONNECTING);
	send_event(XM_PATH_CAME_UP);
	CU_ASSERT_EQUAL(xm_path_reach(&path, now), XM_REACH_UP);
	CU_ASSERT_EQUAL(path.times_up, 1);
}

static void a_ticket_that_comes_too_late_is_not_used(void)
{
	open_path();
	tick(true, true, XM_NEVER);
	now += LOSS;
	tick(true, true, XM_NEVER);
	CU_ASSERT_EQUAL(path.state, XM_PATH_DOWN);
	send_event(XM_PATH_TICKETED);
	CU_ASSERT_FALSE(fx.connect);
	CU_ASSERT_EQUAL(path.state, XM_PATH_DOWN);
}

static void a_connection_that_does_not_come_up_is_hung_up(void)
{
	open_path();
	tick(true, true, XM_NEVER);
	send_event(XM_PATH_TICKETED);
	now += LOSS - 1;
	tick(true, true, XM_NEVER);
	CU_ASSERT_FALSE(fx.disconnect);
	now += 1;
	tick(true, true, XM_NEVER);
	CU_ASSERT_TRUE(fx.disconnect);
	CU_ASSERT_EQUAL(path.state, XM_PATH_DOWN);
	/* And one that comes up after all is not believed. */
	send_event(XM_PATH_CAME_UP);
	CU_ASSERT_EQUAL(path.state, XM_PATH_DOWN);
}

static void a_refusal_while_connecting_hangs_up(void)
{
	open_path();
	tick(true, true, XM_NEVER);
	send_event(XM_PATH_TICKETED);
	send_event(XM_PATH_REFUSED);
	CU_ASSERT_TRUE(fx.disconnect);
	CU_ASSERT_EQUAL(path.state, XM_PATH_DOWN);
}

static void it_is_tried_again_after_a_while_for_ever(void)
{
	open_path();
	for (unsigned i = 0; i < 100; i++) {
		tick(true, true, XM_NEVER);
		CU_ASSERT_TRUE(fx.ask);
		send_event(XM_PATH_REFUSED);
		now += path.retry_ns - 1;
		tick(true, true, XM_NEVER);
		CU_ASSERT_FALSE(fx.ask);
		now += 1;
	}
	/* In vain so long that nobody shall wait. */
	CU_ASSERT_EQUAL(xm_path_reach(&path, now), XM_REACH_LOST);
	tick(true, true, XM_NEVER);
	send_event(XM_PATH_TICKETED);
	send_event(XM_PATH_CAME_UP);
	CU_ASSERT_EQUAL(xm_path_reach(&path, now), XM_REACH_UP);
}

static void an_operation_that_does_not_complete_means_down_since_it_was_posted(void)
{
	uint64_t posted;

	open_and_up();
	posted = now;
	now += LOSS / 2 - 1;
	tick(true, true, posted);
	CU_ASSERT_EQUAL(path.state, XM_PATH_UP);
	now += 1;
	tick(true, true, posted);
	CU_ASSERT_TRUE(fx.disconnect);
	CU_ASSERT_EQUAL(xm_path_reach(&path, posted + LOSS - 1),
			XM_REACH_DOWN);
	CU_ASSERT_EQUAL(xm_path_reach(&path, posted + LOSS), XM_REACH_LOST);
}

static void an_idle_path_does_not_hang(void)
{
	open_and_up();
	now += 1000 * LOSS;
	tick(true, true, XM_NEVER);
	CU_ASSERT_EQUAL(path.state, XM_PATH_UP);
	CU_ASSERT_FALSE(fx.disconnect);
}

static void failed_attempts_do_not_make_the_wait_begin_anew(void)
{
	uint64_t down;

	open_and_up();
	down = now;
	send_event(XM_PATH_WENT_DOWN);
	CU_ASSERT_TRUE(fx.disconnect);
	while (now < down + LOSS) {
		tick(true, true, XM_NEVER);
		send_event(XM_PATH_TICKETED);
		send_event(XM_PATH_WENT_DOWN);
		CU_ASSERT_EQUAL(xm_path_reach(&path, now), XM_REACH_DOWN);
		now += LOSS / 8;
	}
	CU_ASSERT_EQUAL(xm_path_reach(&path, now), XM_REACH_LOST);
}

static void a_path_nobody_wants_is_not_lost_when_somebody_does(void)
{
	open_path();
	now += 100 * LOSS;
	tick(false, true, XM_NEVER);
	CU_ASSERT_EQUAL(xm_path_reach(&path, now), XM_REACH_DOWN);
	now += LOSS - 1;
	tick(true, false, XM_NEVER);
	CU_ASSERT_EQUAL(xm_path_reach(&path, now), XM_REACH_DOWN);
	now += 1;
	CU_ASSERT_EQUAL(xm_path_reach(&path, now), XM_REACH_LOST);
}

static void a_fenced_path_hangs_up_at_once_and_only_once(void)
{
	open_and_up();
	send_event(XM_PATH_FENCED);
	CU_ASSERT_TRUE(fx.disconnect);
	send_event(XM_PATH_FENCED);
	CU_ASSERT_FALSE(fx.disconnect);
	send_event(XM_PATH_WENT_DOWN);
	CU_ASSERT_FALSE(fx.disconnect);
}

static void a_loss_that_never_comes_does_not_overflow(void)
{
	now = 5 * XM_SECOND;
	xm_path_init(&path, XM_NEVER, now);
	tick(true, true, XM_NEVER);
	now += 1000 * XM_SECOND;
	tick(true, true, XM_NEVER);
	/* The attempt has its own, shorter end. */
	CU_ASSERT_EQUAL(path.state, XM_PATH_DOWN);
	CU_ASSERT_EQUAL(xm_path_reach(&path, now), XM_REACH_DOWN);
}

static void a_death_that_is_known_is_not_waited_for_as_long_as_silence(void)
{
	struct xm_path_event ev = {
		.kind = XM_PATH_TICK, .wanted = true, .gone = true,
		.oldest_ns = XM_NEVER,
	};

	now = 5 * XM_SECOND;
	xm_path_init(&path, 100 * XM_SECOND, now);
	now += XM_PATH_GONE;
	CU_ASSERT_EQUAL(xm_path_reach(&path, now), XM_REACH_DOWN);
	ev.now_ns = now;
	xm_path_step(&path, &ev, &fx);
	CU_ASSERT_EQUAL(xm_path_reach(&path, now - 1), XM_REACH_DOWN);
	CU_ASSERT_EQUAL(xm_path_reach(&path, now), XM_REACH_LOST);
	/* It listens again: it may have been restarted after all. */
	ev.gone = false;
	xm_path_step(&path, &ev, &fx);
	CU_ASSERT_EQUAL(xm_path_reach(&path, now), XM_REACH_DOWN);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(it_asks_when_it_is_wanted_and_the_session_ready),
		XM_TEST(a_ticket_that_comes_too_late_is_not_used),
		XM_TEST(a_connection_that_does_not_come_up_is_hung_up),
		XM_TEST(a_refusal_while_connecting_hangs_up),
		XM_TEST(it_is_tried_again_after_a_while_for_ever),
		XM_TEST(an_operation_that_does_not_complete_means_down_since_it_was_posted),
		XM_TEST(an_idle_path_does_not_hang),
		XM_TEST(failed_attempts_do_not_make_the_wait_begin_anew),
		XM_TEST(a_path_nobody_wants_is_not_lost_when_somebody_does),
		XM_TEST(a_fenced_path_hangs_up_at_once_and_only_once),
		XM_TEST(a_loss_that_never_comes_does_not_overflow),
		XM_TEST(a_death_that_is_known_is_not_waited_for_as_long_as_silence),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("path", tests);
}
