/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the service machine: a pool that shrinks, and grows again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "tests/unit/service_rig.h"

static const struct xm_message *resize(struct rig *r, uint32_t peer,
				       uint64_t size)
{
	struct xm_message m = { .kind = XM_RESIZE };

	m.u.resize.incarnation = r->options.incarnation;
	m.u.resize.size = size;
	return rig_say(r, peer, m);
}

static uint64_t figure(struct rig *r, enum xm_figure tag)
{
	struct xm_state state;

	xm_service_state(r->service, r->now_ns, &state);
	return xm_figures_get(&state.figures, tag);
}

static void free_bytes_go_at_once_piece_by_piece(void)
{
	struct rig *r = rig_new();

	rig_join(r, 0);
	CU_ASSERT_EQUAL(resize(r, 0, POOL / 2)->kind, XM_STATE);
	CU_ASSERT_EQUAL(r->sizing.kind, XM_SERVICE_RETURN);
	CU_ASSERT_EQUAL(r->sizing.offset, POOL / 2);
	CU_ASSERT_EQUAL(r->sizing.size, r->options.zero_size_max);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_returned(r), POOL / 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(r->log, "as was asked"));
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_POOL), POOL / 2);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_GOAL), POOL / 2);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_FREE), POOL / 2);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_FREE_RUN), POOL / 2);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_WANTED), 0);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, POOL / 2 + 1), ENOSPC,
			      "the whole pool is"));
	rig_alloc(r, 0, POOL / 2);
	rig_free(r);
}

static void what_is_lent_beyond_is_asked_back_and_then_given(void)
{
	struct rig *r = rig_new();
	struct xm_allocated low, high;

	rig_join(r, 0);
	low = rig_alloc(r, 0, POOL / 4);
	high = rig_alloc(r, 0, POOL / 2); /* from 16 to 48 of 64 granules */
	rig_join(r, 1);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_RESIZE,
					       .size = POOL / 2 });
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_WANTED);
	CU_ASSERT_EQUAL(r->sent[0].u.wanted.extent, high.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_returned(r), POOL / 4);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_WANTED), POOL / 4);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_POOL), POOL / 4 * 3);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_FREE), 0);
	/* It is said again with each PING, since it may have been lost. */
	rig_say_kind(r, 0, XM_PING);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_WANTED);
	/* After a while the log says what stays. */
	rig_pass(r, 100);
	for (unsigned i = 0; i < 80; i++) {
		rig_say_kind(r, 0, XM_PING);
		rig_pass(r, LEASE_MS / 2);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(r->log, "cannot shrink"));
	rig_ask_free(r, 0, high.extent);
	rig_settle(r);
	/* Its part below the goal is free, the other is the host's. */
	CU_ASSERT_EQUAL(rig_returned(r), POOL / 2);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_FREE), POOL / 4);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_WANTED), 0);
	CU_ASSERT_EQUAL(rig_offset(r, &low), 0);
	rig_free(r);
}

static void who_was_away_is_told_when_it_is_back(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = rig_join(r, 0);
	struct xm_message again = rig_hello();

	rig_alloc(r, 0, POOL);
	rig_down(r, 0);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_RESIZE,
					       .size = GRANULE });
	again.u.hello.client = w.client;
	memcpy(again.u.hello.secret, w.secret, sizeof(w.secret));
	rig_up(r, 1);
	CU_ASSERT_EQUAL(rig_say(r, 1, again)->kind, XM_WELCOME);
	rig_say_kind(r, 1, XM_PING);
	CU_ASSERT_EQUAL(r->sent[1].kind, XM_WANTED);
	rig_free(r);
}

static void who_asks_all_the_time_keeps_nobody_from_being_told(void)
{
	struct rig *r = rig_new();
	unsigned told = 0;

	rig_join(r, 0);
	rig_alloc(r, 0, POOL / 2);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_RESIZE,
					       .size = GRANULE });
	for (unsigned i = 0; i < 100; i++) {
		rig_say_kind(r, 0, XM_PING);
		told += r->sent[0].kind == XM_WANTED;
	}
	/* Once more, and not a hundred times. */
	CU_ASSERT_EQUAL(told, 1);
	rig_free(r);
}

static void it_grows_as_the_host_gives(void)
{
	struct rig *r = rig_new();

	rig_join(r, 0);
	resize(r, 0, 0);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_returned(r), POOL);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, 1), ENOSPC, "whole pool"));
	CU_ASSERT_EQUAL(resize(r, 0, POOL)->kind, XM_STATE);
	CU_ASSERT_EQUAL(r->sizing.kind, XM_SERVICE_TAKE);
	/* Not before it is there. */
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, 1), ENOSPC, "whole pool"));
	rig_size(r);
	rig_alloc(r, 0, GRANULE);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_returned(r), 0);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_POOL), POOL);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_FREE), POOL - GRANULE);
	/* More than at the start it has never had. */
	CU_ASSERT(rig_refused(resize(r, 0, POOL + GRANULE), EINVAL,
			      "larger --memory"));
	/* And when the host has no more, it stays as it is. */
	resize(r, 0, POOL / 2);
	rig_settle(r);
	r->take_status = -ENOMEM;
	resize(r, 0, POOL);
	rig_settle(r);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_GOAL), POOL / 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(r->log, "no more memory to spare"));
	rig_free(r);
}

static void minds_may_change_in_the_middle(void)
{
	struct rig *r = rig_new();
	struct xm_allocated e;

	rig_join(r, 0);
	e = rig_alloc(r, 0, POOL / 2);
	resize(r, 0, POOL / 4);
	rig_size(r);
	resize(r, 0, POOL); /* while a piece is on its way to the host */
	rig_size(r);
	resize(r, 0, POOL / 8); /* while one is on its way back */
	rig_settle(r);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_WANTED), POOL / 8 * 3);
	rig_ask_free(r, 0, e.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_POOL), POOL / 8);
	resize(r, 0, POOL);
	rig_settle(r);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_FREE), POOL);
	rig_alloc(r, 0, POOL);
	rig_free(r);
}

/* The host's pages are larger than what is lent. */
static void whole_pages_of_the_host_are_given(void)
{
	struct rig *r = malloc(sizeof(*r));
	struct xm_allocated a, b;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	rig_open(r);
	r->options.pool_unit = 8 * GRANULE;
	rig_start(r);
	rig_join(r, 0);
	a = rig_alloc(r, 0, POOL / 2 + 3 * GRANULE);
	b = rig_alloc(r, 0, 2 * GRANULE);
	/* Rounded up to a page. */
	resize(r, 0, POOL / 2 - GRANULE);
	CU_ASSERT_EQUAL(figure(r, XM_FIGURE_GOAL), POOL / 2);
	rig_settle(r);
	rig_ask_free(r, 0, a.extent);
	rig_settle(r);
	rig_ask_free(r, 0, b.extent);
	/* Both, and what was free behind them, lie in one of its pages. */
	while (r->sizing.kind == 0 && (r->commands_count > 0 || r->zero_wanted))
		if (r->commands_count > 0)
			rig_acknowledge(r);
		else
			rig_zero(r);
	CU_ASSERT_EQUAL(r->sizing.kind, XM_SERVICE_RETURN);
	CU_ASSERT_EQUAL(r->sizing.offset, POOL / 2);
	CU_ASSERT_EQUAL(r->sizing.size, 8 * GRANULE);
	rig_free(r);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(free_bytes_go_at_once_piece_by_piece),
		XM_TEST(what_is_lent_beyond_is_asked_back_and_then_given),
		XM_TEST(who_was_away_is_told_when_it_is_back),
		XM_TEST(who_asks_all_the_time_keeps_nobody_from_being_told),
		XM_TEST(it_grows_as_the_host_gives),
		XM_TEST(minds_may_change_in_the_middle),
		XM_TEST(whole_pages_of_the_host_are_given),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("service_shrink", tests);
}
