/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine over a transport and a mapper that fail as they are told. */
#include "tests/unit/engine_rig.h"

/* --- bytes ------------------------------------------------------------------------------------ */

static void what_was_written_comes_back_from_where_its_segment_lies(void)
{
	open_and_up();
	write_byte(40, 0x5a);
	CU_ASSERT_EQUAL(event(XM_PAGER_EVICT, 40, 41), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.how[40], GONE);
	CU_ASSERT_EQUAL(remote[0].ops_count, 0);
	CU_ASSERT_EQUAL_FATAL(remote[1].ops_count, 1);
	CU_ASSERT_EQUAL(remote[1].ops[0].offset, (40 - 32 + 16) * PAGE);
	complete(1, 0);
	CU_ASSERT_EQUAL(flushed(40, 41), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	complete(1, 0);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.byte[40], 0x5a);
}

static void a_store_run_over_two_segments_goes_to_two_appliances(void)
{
	open_and_up();
	for (uint64_t page = 30; page < 34; page++)
		write_byte(page, (uint8_t)page);
	CU_ASSERT_EQUAL(event(XM_PAGER_FLUSH, 30, 34), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL_FATAL(remote[0].ops_count, 1);
	CU_ASSERT_EQUAL_FATAL(remote[1].ops_count, 1);
	CU_ASSERT_EQUAL(remote[0].ops[0].size, 2 * PAGE);
	CU_ASSERT_EQUAL(remote[1].ops[0].offset, 16 * PAGE);
	complete(0, 0);
	CU_ASSERT_EQUAL(flushed(30, 34), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(flushed(30, 32), XM_VERDICT_DONE);
	complete(1, 0);
	CU_ASSERT_EQUAL(flushed(30, 34), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(remote[1].remote[17 * PAGE], 33);
}

static void willneed_over_two_segments_fetches_from_each(void)
{
	uint64_t page = 30;
	enum xm_verdict verdict;

	open_and_up();
	CU_ASSERT_EQUAL(event(XM_PAGER_MARK_BACKED, 30, 34), XM_VERDICT_DONE);
	while ((verdict = event(XM_PAGER_WILLNEED, page, 34)) ==
	       XM_VERDICT_MORE)
		page = engine.effects.next;
	CU_ASSERT_EQUAL(verdict, XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(remote[0].ops_count, 1);
	CU_ASSERT_EQUAL(remote[1].ops_count, 1);
}

static void a_read_ahead_ends_with_its_segment_and_its_block(void)
{
	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 128);
	for (uint64_t page = 20; page < 40; page++) {
		while (fault(page, false) == XM_VERDICT_WAIT) {
			complete(0, 0);
			complete(1, 0);
		}
	}
	/* Two segments, and a fetch across would have been an assertion. */
	CU_ASSERT_TRUE(remote[1].posts > 0);
}

/* --- misfortune --------------------------------------------------------------------------------- */

static void a_read_refused_for_the_moment_is_posted_again(void)
{
	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 32);
	remote[0].post_status = -EAGAIN;
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 0);
	remote[0].post_status = 0;
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 1);
	complete(0, 0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
}

static void a_write_refused_for_the_moment_is_posted_again(void)
{
	open_and_up();
	write_byte(5, 9);
	remote[0].post_status = -EAGAIN;
	CU_ASSERT_EQUAL(event(XM_PAGER_EVICT, 5, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 0);
	turn(0);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 0);
	CU_ASSERT_EQUAL(flushed(5, 6), XM_VERDICT_WAIT);
	remote[0].post_status = 0;
	turn(100 * XM_US);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 1);
	complete(0, 0);
	CU_ASSERT_EQUAL(flushed(5, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(remote[0].remote[5 * PAGE], 9);
}

static void refused_writes_wait_for_a_completion_or_a_while(void)
{
	uint32_t posts;

	open_and_up();
	write_byte(5, 9);
	write_byte(9, 8);
	CU_ASSERT_EQUAL(event(XM_PAGER_EVICT, 9, 10), XM_VERDICT_DONE);
	remote[0].post_status = -EAGAIN;
	CU_ASSERT_EQUAL(event(XM_PAGER_EVICT, 5, 6), XM_VERDICT_DONE);
	turn(100 * XM_US);
	posts = remote[0].posts;
	for (unsigned i = 0; i < 100; i++)
		turn(10);
	CU_ASSERT_EQUAL(remote[0].posts, posts);
	remote[0].post_status = 0;
	turn(10);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 1);
	/* What completes has made room. */
	complete(0, 0);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 1);
	complete(0, 0);
	CU_ASSERT_EQUAL(remote[0].remote[5 * PAGE], 9);
	CU_ASSERT_EQUAL(remote[0].remote[9 * PAGE], 8);
}

static void canceled_operations_are_done_again_on_the_next_connection(void)
{
	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 8);
	write_byte(10, 7);
	event(XM_PAGER_EVICT, 10, 11);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 2);
	push(&remote[0], XM_TRANSPORT_DOWN, 0, -ECONNRESET);
	turn(0);
	turn(0);
	CU_ASSERT_EQUAL(remote[0].disconnects, 1);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 0);
	/* A leaving page is here all the same. */
	CU_ASSERT_EQUAL(fault(10, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.byte[10], 7);
	come_up(0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 2);
	complete(0, 0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(remote[0].remote[10 * PAGE], 7);
}

static void the_end_of_a_former_connection_does_not_end_this_one(void)
{
	open_and_up();
	push(&remote[0], XM_TRANSPORT_DOWN, 0, -ECONNRESET);
	turn(0);
	come_up(0);
	push(&remote[0], XM_TRANSPORT_DOWN, 0, -ECONNRESET);
	remote[0].events[0].peer--;
	turn(0);
	CU_ASSERT_EQUAL(engine.peers[0].path.state, XM_PATH_UP);
}

static void other_appliances_go_on_while_one_is_down(void)
{
	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 64);
	push(&remote[0], XM_TRANSPORT_DOWN, 0, -ECONNRESET);
	turn(0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	complete(1, 0);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
}

static void a_refused_key_cuts_the_connection(void)
{
	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 8);
	fault(5, false);
	complete(0, -EACCES);
	CU_ASSERT_EQUAL(remote[0].disconnects, 1);
	CU_ASSERT_EQUAL(engine.peers[0].path.state, XM_PATH_DOWN);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
}

static void a_connect_that_fails_at_once_is_tried_again(void)
{
	open_engine();
	engine.peers[0].ready = true;
	turn(XM_SECOND);
	turn(XM_SECOND);
	CU_ASSERT_TRUE(engine.peers[0].ask);
	engine.peers[0].ask = false;
	remote[0].connect_status = -ECONNREFUSED;
	xm_engine_ticket(&engine, 0, &locator, ticket);
	CU_ASSERT_EQUAL(engine.peers[0].path.state, XM_PATH_DOWN);
	remote[0].connect_status = 0;
	come_up(0);
}

/* --- time ----------------------------------------------------------------------------------------- */

static void silence_cuts_the_connection_and_then_the_wait(void)
{
	uint64_t since;

	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 8);
	since = xm_engine_clock(&engine);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	for (uint64_t t = 0; t < LOSS / 2 + 10 * XM_MS; t += 5 * XM_MS)
		turn(5 * XM_MS);
	CU_ASSERT_EQUAL(remote[0].disconnects, 1);
	CU_ASSERT_EQUAL(xm_engine_fault(&engine, 5, false, true, since),
			XM_VERDICT_WAIT);
	for (uint64_t t = 0; t < LOSS / 2; t += 5 * XM_MS)
		turn(5 * XM_MS);
	CU_ASSERT_EQUAL(xm_engine_fault(&engine, 5, false, true, since),
			XM_VERDICT_LOST);
	/* The other appliance was idle, not silent. */
	CU_ASSERT_EQUAL(remote[1].disconnects, 0);
}

static void a_connection_that_takes_nothing_is_made_anew(void)
{
	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 8);
	remote[0].post_status = -EAGAIN;
	for (uint64_t t = 0; t < LOSS / 2 + 10 * XM_MS; t += 5 * XM_MS) {
		CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
		turn(5 * XM_MS);
	}
	CU_ASSERT_EQUAL(remote[0].disconnects, 1);
	remote[0].post_status = 0;
	come_up(0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	complete(0, 0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(remote[1].disconnects, 0);
}

static void a_refusal_that_nobody_repeats_says_nothing(void)
{
	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 8);
	remote[0].post_status = -EAGAIN;
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	for (uint64_t t = 0; t < 4 * LOSS; t += 5 * XM_MS)
		turn(5 * XM_MS);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	turn(5 * XM_MS);
	CU_ASSERT_EQUAL(remote[0].disconnects, 0);
}

static void two_refusals_far_apart_are_not_a_long_one(void)
{
	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 8);
	for (int i = 0; i < 2; i++) {
		remote[0].post_status = -EAGAIN;
		CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
		/* What it was for is not wanted any more. */
		for (uint64_t t = 0; t < LOSS / 2; t += 5 * XM_MS)
			turn(5 * XM_MS);
	}
	CU_ASSERT_EQUAL(remote[0].disconnects, 0);
}

static void a_pause_of_ours_does_not_declare_others_dead(void)
{
	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 8);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	turn(3600 * XM_SECOND);
	CU_ASSERT_EQUAL(remote[0].disconnects, 0);
	CU_ASSERT_TRUE(xm_engine_clock(&engine) <
		       XM_SECOND + LOSS + XM_ENGINE_GAP);
	complete(0, 0);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DONE);
}

/* It answers, and never with the page: however slowly we look, that comes to an end. */
static void a_path_that_brings_nothing_loses_the_page_for_slow_lookers_too(void)
{
	bool lost = false;
	uint64_t since;

	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 8);
	since = xm_engine_clock(&engine);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	for (uint64_t t = 0; t <= 2 * LOSS && !lost; t += 40 * XM_MS) {
		turn(40 * XM_MS);
		complete(0, -EIO);
		lost = xm_engine_fault(&engine, 5, false, true, since) ==
		       XM_VERDICT_LOST;
	}
	CU_ASSERT_TRUE(lost);
	CU_ASSERT_EQUAL(remote[0].disconnects, 0);
}

static void time_that_goes_back_is_not_believed(void)
{
	uint64_t clock;

	open_engine();
	turn(XM_MS);
	clock = xm_engine_clock(&engine);
	xm_engine_turn(&engine, now - XM_SECOND);
	CU_ASSERT_EQUAL(xm_engine_clock(&engine), clock);
	turn(XM_MS);
	CU_ASSERT_EQUAL(xm_engine_clock(&engine), clock + XM_MS);
}

static void a_slow_link_that_moves_is_not_hung(void)
{
	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 32);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	for (unsigned i = 0; i < 4; i++) {
		/* Something younger completes. */
		struct posted op;

		fault(10 + 2 * i, false);
		CU_ASSERT_FATAL(remote[0].ops_count >= 2);
		op = remote[0].ops[--remote[0].ops_count];
		for (unsigned k = 0; k < 19; k++)
			turn(10 * XM_MS);
		push(&remote[0], XM_TRANSPORT_DONE, op.token, 0);
		turn(0);
	}
	CU_ASSERT_EQUAL(remote[0].disconnects, 0);
}

/* --- losses and refusals -------------------------------------------------------------------------- */

static void a_lost_lease_is_lost_once_and_only_what_was_under_it(void)
{
	open_and_up();
	event(XM_PAGER_MARK_BACKED, 0, 128);
	segments[2].members[0].lease = 1; /* taken since */
	xm_engine_lose(&engine, 0, 1, 0, 1);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_LOST);
	CU_ASSERT_EQUAL(mapper.how[5], POISONED);
	CU_ASSERT_EQUAL(xm_engine_reach(&engine, 5), XM_REACH_LOST);
	CU_ASSERT_EQUAL(fault(40, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(fault(100, false), XM_VERDICT_WAIT);
}

static void each_lane_loses_its_own_blocks(void)
{
	open_and_up();
	event(XM_PAGER_MARK_BACKED, 32, 96);
	/* Lane 1 of 2: pages 64..95 of the segment. */
	xm_engine_lose(&engine, 1, 1, 1, 2);
	CU_ASSERT_EQUAL(event(XM_PAGER_FLUSH, 70, 71), XM_VERDICT_LOST);
	CU_ASSERT_EQUAL(event(XM_PAGER_FLUSH, 40, 41), XM_VERDICT_DONE);
}

static void a_flush_whose_store_was_lost_does_not_say_done(void)
{
	open_and_up();
	write_byte(5, 1);
	CU_ASSERT_EQUAL(event(XM_PAGER_FLUSH, 5, 6), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(flushed(5, 6), XM_VERDICT_WAIT);
	xm_engine_lose(&engine, 0, 1, 0, 1);
	CU_ASSERT_EQUAL(flushed(5, 6), XM_VERDICT_LOST);
	CU_ASSERT_EQUAL(flushed(40, 41), XM_VERDICT_DONE);
}

static void only_the_pages_the_mapper_refused_are_poisoned(void)
{
	open_and_up();
	/* All eight frames: the second lowest and the highest are in the way
	 * of one step. */
	for (uint64_t page = 10; page < 18; page++)
		write_byte(page, (uint8_t)page);
	CU_ASSERT_EQUAL(event(XM_PAGER_FLUSH, 10, 18), XM_VERDICT_DONE);
	complete(0, 0);
	write_byte(13, 77);
	mapper.refuse = 30;
	mapper.refuse_drop = 10;
	CU_ASSERT_EQUAL(fault(30, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(mapper.how[30], POISONED);
	CU_ASSERT_EQUAL(mapper.how[13], DIRTY);
	CU_ASSERT_EQUAL(mapper.byte[13], 77);
	CU_ASSERT_EQUAL(engine.pager.pages[13].state, XM_PAGE_DIRTY);
	CU_ASSERT_PTR_NULL(xm_pager_check(&engine.pager));
}

/* Room is made for more than one page at a time; this transport takes two
 * pieces in a write. */
static void pages_that_lie_apart_are_stored_by_few_writes_and_dropped_at_once(void)
{
	unsigned drops;
	uint32_t posts;

	frames = 64;
	open_and_up();
	frames = FRAMES;
	for (uint64_t page = 0; page < 128; page += 2)
		write_byte(page, (uint8_t)(100 + page));
	posts = remote[0].posts;
	drops = mapper.drops;
	write_byte(127, 9);
	CU_ASSERT_EQUAL(remote[0].posts, posts + 2);
	CU_ASSERT_EQUAL_FATAL(remote[0].ops_count, 2);
	CU_ASSERT_EQUAL(remote[0].ops[0].count, 2);
	CU_ASSERT_EQUAL(remote[0].ops[1].count, 1);
	CU_ASSERT_EQUAL(mapper.drops, drops + 1);
	complete(0, 0);
	for (uint64_t page = 0; page < 6; page += 2) {
		CU_ASSERT_EQUAL(mapper.how[page], GONE);
		for (unsigned turn = 0; turn < 4; turn++) {
			if (fault(page, false) == XM_VERDICT_DONE)
				break;
			complete(0, 0);
		}
		CU_ASSERT_EQUAL(mapper.byte[page], 100 + page);
	}
}

static void a_page_outside_every_segment_is_denied_to_who_touches_it(void)
{
	open_and_up();
	CU_ASSERT_EQUAL(fault(200, false), XM_VERDICT_DENIED);
	segments[0].attached = false;
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_DENIED);
}

/* --- explicit operations ---------------------------------------------------------------------------- */

static void an_explicit_operation_is_cut_at_its_segment(void)
{
	uint8_t local[8 * PAGE];
	struct xm_completion done;

	open_and_up();
	CU_ASSERT_EQUAL(xm_engine_post(&engine, true, 30 * PAGE + 3, local,
				       8 * PAGE, 42),
			2 * PAGE - 3);
	CU_ASSERT_FALSE(xm_engine_completion(&engine, &done));
	complete(0, 0);
	CU_ASSERT_TRUE_FATAL(xm_engine_completion(&engine, &done));
	CU_ASSERT_EQUAL(done.token, 42);
	CU_ASSERT_EQUAL(done.status, 0);
	CU_ASSERT_FALSE(xm_engine_completion(&engine, &done));
}

static void explicit_operations_end_at_their_depth_until_collected(void)
{
	uint8_t local[PAGE];
	struct xm_completion done;

	open_and_up();
	for (uint64_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(xm_engine_post(&engine, true, 0, local, 1, i),
				1);
	CU_ASSERT_EQUAL(xm_engine_post(&engine, true, 0, local, 1, 9),
			-EAGAIN);
	complete(0, 0);
	CU_ASSERT_EQUAL(xm_engine_post(&engine, true, 0, local, 1, 9),
			-EAGAIN);
	CU_ASSERT_TRUE(xm_engine_completion(&engine, &done));
	CU_ASSERT_EQUAL(xm_engine_post(&engine, true, 0, local, 1, 9), 1);
	/* The pager's own are not held up by them. */
	event(XM_PAGER_MARK_BACKED, 0, 8);
	CU_ASSERT_EQUAL(fault(5, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(remote[0].ops_count, 2);
}

static void a_cut_ends_what_is_outstanding(void)
{
	uint8_t local[PAGE];
	struct xm_completion done;

	open_and_up();
	xm_engine_post(&engine, false, 0, local, PAGE, 1);
	xm_engine_cut(&engine, 0);
	turn(0);
	CU_ASSERT_TRUE_FATAL(xm_engine_completion(&engine, &done));
	CU_ASSERT_EQUAL(done.status, -ECANCELED);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 0);
	CU_ASSERT_EQUAL(xm_engine_post(&engine, false, 0, local, PAGE, 1),
			-ENOTCONN);
}

static void explicit_operations_hear_what_is_wrong(void)
{
	uint8_t local[PAGE];

	open_engine();
	CU_ASSERT_EQUAL(xm_engine_post(&engine, false, 0, local, PAGE, 1),
			-ENOTCONN);
	CU_ASSERT_EQUAL(xm_engine_post(&engine, false, 200 * PAGE, local, PAGE,
				       1),
			-ERANGE);
	come_up(0);
	remote[0].post_status = -EAGAIN;
	CU_ASSERT_EQUAL(xm_engine_post(&engine, false, 0, local, PAGE, 1),
			-EAGAIN);
	CU_ASSERT_EQUAL(xm_engine_flying(&engine), 0);
	xm_engine_lose(&engine, 0, 1, 0, 1);
	CU_ASSERT_EQUAL(xm_engine_post(&engine, false, 0, local, PAGE, 1),
			-ESTALE);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(what_was_written_comes_back_from_where_its_segment_lies),
		XM_TEST(a_store_run_over_two_segments_goes_to_two_appliances),
		XM_TEST(willneed_over_two_segments_fetches_from_each),
		XM_TEST(a_read_ahead_ends_with_its_segment_and_its_block),
		XM_TEST(a_read_refused_for_the_moment_is_posted_again),
		XM_TEST(a_write_refused_for_the_moment_is_posted_again),
		XM_TEST(refused_writes_wait_for_a_completion_or_a_while),
		XM_TEST(canceled_operations_are_done_again_on_the_next_connection),
		XM_TEST(the_end_of_a_former_connection_does_not_end_this_one),
		XM_TEST(other_appliances_go_on_while_one_is_down),
		XM_TEST(a_refused_key_cuts_the_connection),
		XM_TEST(a_connect_that_fails_at_once_is_tried_again),
		XM_TEST(silence_cuts_the_connection_and_then_the_wait),
		XM_TEST(a_connection_that_takes_nothing_is_made_anew),
		XM_TEST(a_refusal_that_nobody_repeats_says_nothing),
		XM_TEST(two_refusals_far_apart_are_not_a_long_one),
		XM_TEST(a_pause_of_ours_does_not_declare_others_dead),
		XM_TEST(a_path_that_brings_nothing_loses_the_page_for_slow_lookers_too),
		XM_TEST(time_that_goes_back_is_not_believed),
		XM_TEST(a_slow_link_that_moves_is_not_hung),
		XM_TEST(a_lost_lease_is_lost_once_and_only_what_was_under_it),
		XM_TEST(each_lane_loses_its_own_blocks),
		XM_TEST(a_flush_whose_store_was_lost_does_not_say_done),
		XM_TEST(only_the_pages_the_mapper_refused_are_poisoned),
		XM_TEST(pages_that_lie_apart_are_stored_by_few_writes_and_dropped_at_once),
		XM_TEST(a_page_outside_every_segment_is_denied_to_who_touches_it),
		XM_TEST(an_explicit_operation_is_cut_at_its_segment),
		XM_TEST(explicit_operations_end_at_their_depth_until_collected),
		XM_TEST(a_cut_ends_what_is_outstanding),
		XM_TEST(explicit_operations_hear_what_is_wrong),
		CU_TEST_INFO_NULL,
	};
	int rc = xm_tests_run("engine", tests);

	free(stage);
	free(memory);
	return rc;
}
