/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories of the session: greeting, resuming, asking, losing, ending. */
#include <errno.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "core/pure/session.h"

#define TIMEOUT (2 * XM_SECOND)

static struct xm_session session;
static struct xm_session_effects fx;
static uint64_t now;

static void step(struct xm_session_event ev)
{
	ev.now_ns = now;
	xm_session_step(&session, &ev, &fx);
	CU_ASSERT_TRUE(fx.count <= XM_COUNT(fx.list));
}

static void tick(uint64_t pass_ns)
{
	now += pass_ns;
	step((struct xm_session_event){ .kind = XM_SESSION_TICK });
}

/* The effects point to the message, so it outlives the step. */
static void hear(struct xm_message m)
{
	static struct xm_message message;

	message = m;
	step((struct xm_session_event){ .kind = XM_SESSION_MESSAGE,
					.message = &message });
}

static void hear_refusal(uint32_t request, int32_t code)
{
	struct xm_message m = { .kind = XM_REFUSED, .request = request };

	m.u.refused.code = code;
	strcpy(m.u.refused.words, "no");
	hear(m);
}

static void hear_welcome(uint64_t client, uint64_t incarnation)
{
	struct xm_message m = { .kind = XM_WELCOME,
				.request = session.number };

	m.u.welcome.version = XM_PROTOCOL_VERSION;
	m.u.welcome.client = client;
	m.u.welcome.incarnation = incarnation;
	m.u.welcome.lease_ms = 4000;
	memset(m.u.welcome.secret, 7, sizeof(m.u.welcome.secret));
	hear(m);
}

static void down(int status)
{
	step((struct xm_session_event){ .kind = XM_SESSION_DOWN,
					.status = status });
}

static void ask(enum xm_message_kind kind, uint64_t token, uint64_t deadline)
{
	struct xm_message m = { .kind = kind };

	step((struct xm_session_event){ .kind = XM_SESSION_REQUEST,
					.message = &m, .token = token,
					.deadline_ns = deadline });
}

static const struct xm_session_effect *effect(enum xm_session_effect_kind kind)
{
	for (uint32_t i = 0; i < fx.count; i++) {
		if (fx.list[i].kind == kind)
			return &fx.list[i];
	}
	return NULL;
}

static bool sends(enum xm_message_kind kind)
{
	const struct xm_session_effect *e = effect(XM_SESSION_SEND);

	return e != NULL && e->message->kind == kind;
}

static void answered(uint64_t token, int status)
{
	const struct xm_session_effect *e = effect(XM_SESSION_ANSWER);

	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(e->token, token);
	CU_ASSERT_EQUAL(e->status, status);
	CU_ASSERT_TRUE(status != 0 || e->message != NULL);
}

static void open_session(void)
{
	static const struct xm_hello hello = { .name = "a", .transport = "b" };

	now = 9 * XM_SECOND;
	xm_session_init(&session, &hello, TIMEOUT);
}

static void greet(void)
{
	for (unsigned i = 0; i < 10 && session.state == XM_SESSION_AWAY; i++)
		tick(500 * XM_MS);
	CU_ASSERT_EQUAL_FATAL(session.state, XM_SESSION_CONNECTING);
	step((struct xm_session_event){ .kind = XM_SESSION_UP });
	CU_ASSERT_TRUE(sends(XM_HELLO));
}

static void open_and_ready(void)
{
	open_session();
	greet();
	hear_welcome(11, 5);
	CU_ASSERT_EQUAL_FATAL(session.state, XM_SESSION_READY);
}

/* --- greeting -------------------------------------------------------------------- */

static void it_connects_greets_and_is_ready(void)
{
	open_session();
	tick(0);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_CONNECT));
	tick(0);
	CU_ASSERT_EQUAL(fx.count, 0);
	step((struct xm_session_event){ .kind = XM_SESSION_UP });
	CU_ASSERT_TRUE_FATAL(sends(XM_HELLO));
	CU_ASSERT_EQUAL(fx.list[0].message->u.hello.client, 0);
	CU_ASSERT_EQUAL(fx.list[0].message->u.hello.version_max,
			XM_PROTOCOL_VERSION);
	hear_welcome(11, 5);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_IS_READY));
	CU_ASSERT_PTR_NULL(effect(XM_SESSION_IS_LOST));
}

static void an_attempt_ends_with_its_time_and_is_made_again(void)
{
	open_session();
	tick(0);
	tick(TIMEOUT);
	CU_ASSERT_EQUAL(session.state, XM_SESSION_AWAY);
	CU_ASSERT_EQUAL(effect(XM_SESSION_IS_AWAY)->status, -ETIMEDOUT);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_DISCONNECT));
	greet();
	tick(TIMEOUT);
	CU_ASSERT_EQUAL(session.state, XM_SESSION_AWAY);
}

static void attempts_get_rarer_up_to_one_a_second(void)
{
	uint64_t before = 0;

	open_session();
	for (unsigned i = 0; i < 10; i++) {
		uint64_t wait;

		while (session.state == XM_SESSION_AWAY)
			tick(10 * XM_MS);
		down(-ECONNREFUSED);
		wait = session.retry_at_ns - now;
		CU_ASSERT_TRUE(wait >= before && wait <= XM_SECOND);
		before = wait;
	}
	CU_ASSERT_EQUAL(before, XM_SECOND);
}

static void a_welcome_that_makes_no_sense_is_refused(void)
{
	open_session();
	greet();
	hear_welcome(0, 5);
	CU_ASSERT_EQUAL(session.state, XM_SESSION_AWAY);
	CU_ASSERT_EQUAL(effect(XM_SESSION_IS_AWAY)->status, -EPROTO);
	greet();
	hear((struct xm_message){ .kind = XM_PONG });
	CU_ASSERT_EQUAL(session.state, XM_SESSION_AWAY);
}

static void a_refusal_at_the_door_is_told_with_its_words_once(void)
{
	open_session();
	greet();
	hear_refusal(session.number, EACCES);
	CU_ASSERT_EQUAL(effect(XM_SESSION_IS_AWAY)->status, -EACCES);
	CU_ASSERT_EQUAL(session.say.kind, XM_REFUSED);
	CU_ASSERT_STRING_EQUAL(session.say.u.refused.words, "no");
	/* Later it is merely not there: those words are not why. */
	tick(XM_SECOND);
	down(-ECONNREFUSED);
	CU_ASSERT_EQUAL(effect(XM_SESSION_IS_AWAY)->status, -ECONNREFUSED);
	CU_ASSERT_NOT_EQUAL(session.say.kind, XM_REFUSED);
}

/* --- resuming ----------------------------------------------------------------------- */

static void it_resumes_as_the_client_it_was(void)
{
	open_and_ready();
	down(-ECONNRESET);
	CU_ASSERT_PTR_NULL(effect(XM_SESSION_IS_LOST));
	greet();
	CU_ASSERT_EQUAL(fx.list[0].message->u.hello.client, 11);
	CU_ASSERT_EQUAL(fx.list[0].message->u.hello.secret[0], 7);
	hear_welcome(11, 5);
	CU_ASSERT_PTR_NULL(effect(XM_SESSION_IS_LOST));
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_IS_READY));
}

static void another_incarnation_or_number_means_that_all_is_lost(void)
{
	open_and_ready();
	down(-ECONNRESET);
	greet();
	hear_welcome(11, 6);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_IS_LOST));
	/* Said before it is ready, so that nothing new is lost with it. */
	CU_ASSERT_EQUAL(fx.list[0].kind, XM_SESSION_IS_LOST);
	down(-ECONNRESET);
	greet();
	hear_welcome(12, 6);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_IS_LOST));
}

static void a_stale_client_loses_all_once_and_comes_back_new(void)
{
	open_and_ready();
	down(-ECONNRESET);
	greet();
	hear_refusal(session.number, ESTALE);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_IS_LOST));
	CU_ASSERT_EQUAL(session.state, XM_SESSION_AWAY);
	greet();
	CU_ASSERT_EQUAL(fx.list[0].message->u.hello.client, 0);
	CU_ASSERT_EQUAL(fx.list[0].message->u.hello.secret[0], 0);
	hear_welcome(20, 5);
	CU_ASSERT_PTR_NULL(effect(XM_SESSION_IS_LOST));
}

static void the_lease_is_kept_alive_four_times_over(void)
{
	unsigned pings = 0;

	open_and_ready();
	for (unsigned i = 0; i < 100; i++) {
		tick(100 * XM_MS);
		pings += sends(XM_PING);
	}
	CU_ASSERT_EQUAL(pings, 10); /* a second each, in ten seconds */
}

/* --- requests -------------------------------------------------------------------------- */

static void a_request_is_sent_and_its_answer_told_once(void)
{
	uint32_t number;

	open_and_ready();
	ask(XM_ALLOC, 77, now + XM_SECOND);
	CU_ASSERT_TRUE_FATAL(sends(XM_ALLOC));
	number = fx.list[0].message->request;
	hear((struct xm_message){ .kind = XM_ALLOCATED, .request = number });
	answered(77, 0);
	hear((struct xm_message){ .kind = XM_ALLOCATED, .request = number });
	CU_ASSERT_EQUAL(fx.count, 0);
}

static void a_refused_request_hears_the_reason(void)
{
	open_and_ready();
	ask(XM_ALLOC, 77, now + XM_SECOND);
	hear_refusal(session.number, ENOSPC);
	answered(77, -ENOSPC);
	CU_ASSERT_STRING_EQUAL(effect(XM_SESSION_ANSWER)
				       ->message->u.refused.words, "no");
}

static void a_refusal_that_is_no_error_is_no_yes(void)
{
	static const int32_t codes[] = { 0, -5, INT32_MIN };

	for (unsigned i = 0; i < XM_COUNT(codes); i++) {
		open_and_ready();
		ask(XM_TICKET, 77, now + XM_SECOND);
		hear_refusal(session.number, codes[i]);
		answered(77, -ENOTCONN);
		CU_ASSERT_EQUAL(session.state, XM_SESSION_AWAY);
	}
}

static void an_answer_of_the_wrong_kind_ends_the_stream(void)
{
	open_and_ready();
	ask(XM_TICKET, 77, now + XM_SECOND);
	hear((struct xm_message){ .kind = XM_ALLOCATED,
				  .request = session.number });
	answered(77, -ENOTCONN);
	CU_ASSERT_EQUAL(effect(XM_SESSION_IS_AWAY)->status, -EPROTO);
}

static void answers_to_nobody_are_passed_over(void)
{
	open_and_ready();
	hear((struct xm_message){ .kind = XM_ALLOCATED, .request = 999 });
	hear((struct xm_message){ .kind = XM_ALLOCATED, .request = 0 });
	hear((struct xm_message){ .kind = XM_WANTED });
	hear((struct xm_message){ .kind = XM_PARTED });
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_EQUAL(session.state, XM_SESSION_READY);
}

/* What a CLAIM that is cut off got is not known: it goes back to its token, extent by
 * extent, before another CLAIM is sent. */
static void is_returned(enum xm_message_kind kind)
{
	const struct xm_session_effect *e;

	open_and_ready();
	ask(kind, 77, XM_NEVER);
	CU_ASSERT_TRUE(sends(kind));
	down(-ECONNRESET);
	answered(77, -ENOTCONN);
	CU_ASSERT_FALSE(xm_session_is_settled(&session));
	ask(kind, 78, XM_NEVER);
	answered(78, -EAGAIN);
	tick(XM_SECOND);
	step((struct xm_session_event){ .kind = XM_SESSION_UP });
	hear_welcome(11, 5);
	e = effect(XM_SESSION_SEND);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(e->message->kind, XM_OFFER);
	CU_ASSERT_EQUAL(e->message->u.offer.flags, XM_OFFER_RETURN);
	hear((struct xm_message){ .kind = XM_OFFERED,
				  .request = e->message->request });
	CU_ASSERT_TRUE(sends(XM_OFFER));
	hear_refusal(effect(XM_SESSION_SEND)->message->request, ENOENT);
	CU_ASSERT_TRUE(xm_session_is_settled(&session));
	ask(kind, 79, XM_NEVER);
	CU_ASSERT_TRUE(sends(kind));
}

static void a_claim_that_is_cut_off_is_returned(void)
{
	is_returned(XM_CLAIM);
	is_returned(XM_OPEN);
}

static void a_reading_that_is_over_is_told_each_time(void)
{
	struct xm_message m = { .kind = XM_REVOKED };

	open_and_ready();
	m.u.parted.extent = XM_READING | 5;
	for (int i = 0; i < 2; i++) {
		hear(m);
		CU_ASSERT_PTR_NOT_NULL_FATAL(effect(XM_SESSION_IS_REVOKED));
		CU_ASSERT_EQUAL(effect(XM_SESSION_IS_REVOKED)->token, XM_READING | 5);
	}
	/* GRANT is answered as OFFER is, and OPEN as CLAIM. */
	ask(XM_GRANT, 77, XM_NEVER);
	hear((struct xm_message){ .kind = XM_OFFERED,
				  .request = effect(XM_SESSION_SEND)->message->request });
	answered(77, 0);
	ask(XM_OPEN, 78, XM_NEVER);
	hear((struct xm_message){ .kind = XM_CLAIMED,
				  .request = effect(XM_SESSION_SEND)->message->request });
	answered(78, 0);
}

static void an_appliance_that_leaves_is_told_of_once(void)
{
	open_and_ready();
	hear((struct xm_message){ .kind = XM_LEAVING, .u.leaving.ms = 30000 });
	CU_ASSERT_EQUAL(fx.count, 1);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_IS_LEAVING));
	CU_ASSERT_TRUE(session.leaving);
	CU_ASSERT_EQUAL(session.leaving_at_ns, now + 30 * XM_SECOND);
	CU_ASSERT_EQUAL(session.state, XM_SESSION_READY);
	hear((struct xm_message){ .kind = XM_LEAVING, .u.leaving.ms = 10000 });
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_EQUAL(session.leaving_at_ns, now + 10 * XM_SECOND);
	/* It is another one when it is greeted again, or says so again. */
	down(-ECONNRESET);
	greet();
	hear_welcome(11, 5);
	CU_ASSERT_FALSE(session.leaving);
}

static void a_pong_says_what_the_appliance_could_lend(void)
{
	struct xm_message m = { .kind = XM_PONG };
	struct xm_figures *f = &m.u.pong.figures;

	open_and_ready();
	xm_figures_add(f, XM_FIGURE_FREE, 4 * XM_GIB);
	xm_figures_add(f, XM_FIGURE_FREE_RUN, XM_GIB);
	xm_figures_add(f, XM_FIGURE_LOAD, 250);
	xm_figures_add(f, (enum xm_figure)5000, 1);
	hear(m);
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_EQUAL(session.offer.free, 4 * XM_GIB);
	CU_ASSERT_EQUAL(session.offer.free_run, XM_GIB);
	CU_ASSERT_EQUAL(session.offer.load, 250);
	/* And that it leaves, should LEAVING have been lost with a stream. */
	m = (struct xm_message){ .kind = XM_PONG };
	xm_figures_add(f, XM_FIGURE_LEAVING, 1);
	hear(m);
	CU_ASSERT_EQUAL(fx.count, 1);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_IS_LEAVING));
	CU_ASSERT_EQUAL(session.leaving_at_ns, XM_NEVER);
	hear(m);
	CU_ASSERT_EQUAL(fx.count, 0);
}

static void a_request_ends_by_its_deadline_and_a_late_grant_is_given_back(void)
{
	uint32_t number;

	open_and_ready();
	ask(XM_ALLOC, 77, now + XM_SECOND);
	number = session.number;
	tick(XM_SECOND - 1);
	CU_ASSERT_PTR_NULL(effect(XM_SESSION_ANSWER));
	tick(1);
	answered(77, -ETIMEDOUT);
	hear((struct xm_message){ .kind = XM_ALLOCATED, .request = number,
				  .u.allocated.extent = 5 });
	CU_ASSERT_EQUAL(fx.count, 1);
	CU_ASSERT_EQUAL(effect(XM_SESSION_SEND)->message->kind, XM_FREE);
	CU_ASSERT_EQUAL(
		effect(XM_SESSION_SEND)->message->u.free.extent, 5);
}

static void a_sent_request_ends_with_its_stream_an_unsent_one_waits(void)
{
	open_and_ready();
	ask(XM_ALLOC, 1, XM_NEVER);
	down(-ECONNRESET);
	answered(1, -ENOTCONN);
	ask(XM_STATUS, 2, XM_NEVER);
	CU_ASSERT_EQUAL(fx.count, 0);
	greet();
	hear_welcome(11, 5);
	CU_ASSERT_TRUE(sends(XM_STATUS));
	hear((struct xm_message){ .kind = XM_STATE,
				  .request = session.number });
	/* Its number was given before that of the greeting. */
	CU_ASSERT_EQUAL(fx.count, 0);
	for (unsigned i = 0; i < XM_SESSION_REQUESTS; i++) {
		if (session.requests[i].number != 0)
			hear((struct xm_message){
				.kind = XM_STATE,
				.request = session.requests[i].number });
	}
	answered(2, 0);
}

/* --- what nobody waits for any more ------------------------------------------------------------- */

static void ask_about(enum xm_message_kind kind, uint64_t extent, uint64_t deadline)
{
	struct xm_message m = { .kind = kind };

	if (kind == XM_FREE)
		m.u.free.extent = extent;
	else
		m.u.trim = (struct xm_trim){ .extent = extent, .size = 4096 };
	step((struct xm_session_event){ .kind = XM_SESSION_REQUEST,
					.message = &m, .token = 1,
					.deadline_ns = deadline });
}

static void hear_allocated(uint32_t request, uint64_t extent)
{
	hear((struct xm_message){ .kind = XM_ALLOCATED, .request = request,
				  .u.allocated.extent = extent });
}

/* Its last effect is to free this extent; the answer comes. */
static void frees(uint64_t extent)
{
	const struct xm_message *m;

	CU_ASSERT_FATAL(fx.count > 0 &&
			fx.list[fx.count - 1].kind == XM_SESSION_SEND);
	m = fx.list[fx.count - 1].message;
	CU_ASSERT_EQUAL(m->kind, XM_FREE);
	CU_ASSERT_EQUAL(m->u.free.extent, extent);
	CU_ASSERT_FALSE(xm_session_is_settled(&session));
	hear((struct xm_message){ .kind = XM_FREED, .request = m->request });
}

/* Its last effect is to ask what this request got. */
static void asks_what_it_got(uint32_t request)
{
	const struct xm_message *m;

	CU_ASSERT_FATAL(fx.count > 0 &&
			fx.list[fx.count - 1].kind == XM_SESSION_SEND);
	m = fx.list[fx.count - 1].message;
	CU_ASSERT_EQUAL(m->kind, XM_ALLOC);
	CU_ASSERT_EQUAL(m->u.alloc.size, 0);
	CU_ASSERT_EQUAL(m->request, request);
}

static void resume(void)
{
	greet();
	hear_welcome(11, 5);
}

static void what_an_alloc_got_that_was_cut_off_is_given_back(void)
{
	uint32_t number;

	open_and_ready();
	ask(XM_ALLOC, 1, XM_NEVER);
	number = session.number;
	down(-ECONNRESET);
	answered(1, -ENOTCONN);
	/* Asked again when the stream breaks again. */
	resume();
	asks_what_it_got(number);
	down(-ECONNRESET);
	resume();
	asks_what_it_got(number);
	hear_allocated(number, 5);
	frees(5);
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_TRUE(xm_session_is_settled(&session));
	/* It was late and then cut off; and it got nothing. */
	ask(XM_ALLOC, 2, now + XM_SECOND);
	number = session.number;
	tick(XM_SECOND);
	answered(2, -ETIMEDOUT);
	CU_ASSERT_FALSE(xm_session_is_settled(&session));
	down(-ECONNRESET);
	CU_ASSERT_PTR_NULL(effect(XM_SESSION_ANSWER));
	resume();
	asks_what_it_got(number);
	hear_refusal(number, EINVAL);
	CU_ASSERT_EQUAL(fx.count, 0);
	CU_ASSERT_TRUE(xm_session_is_settled(&session));
}

static void a_free_that_was_not_heard_is_said_again(void)
{
	open_and_ready();
	ask_about(XM_FREE, 5, XM_NEVER);
	down(-ECONNRESET);
	answered(1, -ENOTCONN);
	/* While the appliance is away nobody waits for it. */
	ask_about(XM_FREE, 6, XM_NEVER);
	answered(1, -ENOTCONN);
	resume();
	frees(5);
	frees(6);
	CU_ASSERT_TRUE(xm_session_is_settled(&session));
	ask_about(XM_FREE, 7, now + 1);
	tick(1);
	answered(1, -ETIMEDOUT);
	frees(7);
	/* One more than there may be under way. */
	for (uint64_t i = 0; i < XM_SESSION_REQUESTS; i++)
		ask(XM_STATUS, i, XM_NEVER);
	ask_about(XM_FREE, 8, XM_NEVER);
	answered(1, -EAGAIN);
	frees(8);
}

static void what_a_trim_got_that_was_cut_off_goes_with_the_rest(void)
{
	uint32_t number;

	open_and_ready();
	ask_about(XM_TRIM, 5, XM_NEVER);
	number = session.number;
	down(-ECONNRESET);
	resume();
	/* Both parts are in use. */
	CU_ASSERT_PTR_NULL(effect(XM_SESSION_SEND));
	ask_about(XM_FREE, 4, XM_NEVER);
	CU_ASSERT_EQUAL(fx.count, 1);
	ask_about(XM_FREE, 5, XM_NEVER);
	CU_ASSERT_EQUAL(fx.count, 2);
	CU_ASSERT_TRUE(sends(XM_FREE));
	asks_what_it_got(number);
	/* The TRIM is under way still: the rest goes when that has ended. */
	hear_refusal(session.number, EBUSY);
	answered(1, -EBUSY);
	hear_allocated(number, 6);
	frees(5);
	frees(6);
}

/* The next lease's extents may have the same numbers. */
static void what_names_an_extent_is_not_sent_when_all_is_lost(void)
{
	static const enum xm_message_kind kinds[] = {
		XM_TRIM, XM_OFFER, XM_GRANT, XM_DRAFT, XM_PERSIST, XM_COPY_BYTES, XM_DAMAGE,
	};

	for (unsigned i = 0; i < XM_COUNT(kinds); i++) {
		open_and_ready();
		down(-ECONNRESET);
		ask_about(kinds[i], 6, XM_NEVER);
		CU_ASSERT_PTR_NULL(effect(XM_SESSION_ANSWER));
		greet();
		hear_welcome(12, 6);
		answered(1, -ESTALE);
		CU_ASSERT_PTR_NULL(effect(XM_SESSION_SEND));
		CU_ASSERT_EQUAL(fx.list[0].kind, XM_SESSION_IS_LOST);
	}
}

static void nothing_is_owed_where_all_is_lost(void)
{
	open_and_ready();
	ask(XM_ALLOC, 1, XM_NEVER);
	ask_about(XM_FREE, 5, XM_NEVER);
	ask_about(XM_TRIM, 6, XM_NEVER);
	down(-ECONNRESET);
	greet();
	hear_welcome(12, 6);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_IS_LOST));
	CU_ASSERT_PTR_NULL(effect(XM_SESSION_SEND));
	CU_ASSERT_TRUE(xm_session_is_settled(&session));
	/* Nor before there was a lease. */
	open_session();
	ask_about(XM_FREE, 5, XM_NEVER);
	answered(1, -ENOTCONN);
	CU_ASSERT_TRUE(xm_session_is_settled(&session));
}

/* TRIM of 0 bytes. */
static void ask_what_became_of(uint64_t extent)
{
	struct xm_message m = { .kind = XM_TRIM };

	m.u.trim.extent = extent;
	step((struct xm_session_event){ .kind = XM_SESSION_REQUEST,
					.message = &m, .token = 9,
					.deadline_ns = now + XM_SECOND });
}

static void asks_as(uint32_t number)
{
	CU_ASSERT_TRUE_FATAL(sends(XM_ALLOC));
	CU_ASSERT_EQUAL(effect(XM_SESSION_SEND)->message->u.alloc.size, 0);
	CU_ASSERT_EQUAL(effect(XM_SESSION_SEND)->message->request, number);
}

static void the_owner_of_a_trim_can_ask_what_became_of_it(void)
{
	struct xm_message m = { .kind = XM_ALLOCATED };
	uint32_t number;

	open_and_ready();
	ask_what_became_of(5);
	answered(9, -ENOENT); /* no TRIM */
	ask_about(XM_TRIM, 5, XM_NEVER);
	number = session.number;
	down(-ECONNRESET);
	resume();
	ask_what_became_of(5);
	asks_as(number);
	m.request = number;
	m.u.allocated.extent = 6;
	hear(m);
	answered(9, 0);
	CU_ASSERT_EQUAL(effect(XM_SESSION_ANSWER)->message->u.allocated.extent,
			6);
	/* It is its owner's. */
	CU_ASSERT_TRUE(xm_session_is_settled(&session));
	ask_about(XM_FREE, 5, XM_NEVER);
	CU_ASSERT_EQUAL(session.owed.count, 0);
}

static void a_trim_that_came_to_nothing_is_settled_too(void)
{
	uint32_t number;

	open_and_ready();
	ask_about(XM_TRIM, 5, XM_NEVER);
	number = session.number;
	down(-ECONNRESET);
	resume();
	ask_what_became_of(5);
	/* Not answered either: it is as unknown as before. */
	tick(XM_SECOND);
	answered(9, -ETIMEDOUT);
	CU_ASSERT_EQUAL(session.owed.unsure_count, 1);
	CU_ASSERT_EQUAL(session.owed.count, 0);
	ask_what_became_of(5);
	asks_as(number);
	down(-ECONNRESET);
	CU_ASSERT_EQUAL(session.owed.unsure_count, 1);
	CU_ASSERT_EQUAL(session.owed.count, 0);
	resume();
	ask_what_became_of(5);
	hear_refusal(number, EINVAL);
	answered(9, -EINVAL);
	CU_ASSERT_TRUE(xm_session_is_settled(&session));
	ask_what_became_of(5);
	answered(9, -ENOENT);
}

static void an_unsent_request_ends_by_its_deadline_too(void)
{
	open_session();
	ask(XM_ALLOC, 1, now + XM_SECOND);
	for (unsigned i = 0; i < 99; i++)
		tick(10 * XM_MS);
	CU_ASSERT_PTR_NULL(effect(XM_SESSION_ANSWER));
	tick(10 * XM_MS);
	answered(1, -ETIMEDOUT);
}

static void requests_end_at_their_limit_and_all_at_once(void)
{
	unsigned answers = 0;

	open_and_ready();
	for (uint64_t i = 0; i < XM_SESSION_REQUESTS; i++)
		ask(XM_STATUS, i, now + XM_SECOND);
	ask(XM_STATUS, 99, now + XM_SECOND);
	answered(99, -EAGAIN);
	/* All deadlines and the ping in one step. */
	tick(XM_SECOND);
	for (uint32_t i = 0; i < fx.count; i++)
		answers += fx.list[i].kind == XM_SESSION_ANSWER;
	CU_ASSERT_EQUAL(answers, XM_SESSION_REQUESTS);
	ask(XM_STATUS, 99, now + XM_SECOND);
	CU_ASSERT_TRUE(sends(XM_STATUS));
	/* All waiting while away, and all sent at once. */
	open_session();
	for (uint64_t i = 0; i < XM_SESSION_REQUESTS; i++)
		ask(XM_STATUS, i, XM_NEVER);
	greet();
	hear_welcome(11, 5);
	CU_ASSERT_EQUAL(fx.count, XM_SESSION_REQUESTS + 1);
}

/* --- ending ----------------------------------------------------------------------------------- */

static void it_says_bye_hangs_up_and_stays_away(void)
{
	open_and_ready();
	ask(XM_ALLOC, 1, XM_NEVER);
	step((struct xm_session_event){ .kind = XM_SESSION_END });
	CU_ASSERT_TRUE_FATAL(sends(XM_BYE));
	CU_ASSERT_EQUAL(effect(XM_SESSION_SEND)->message->kind, XM_BYE);
	answered(1, -ENOTCONN);
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_DISCONNECT));
	for (unsigned i = 0; i < 100; i++) {
		tick(XM_SECOND);
		CU_ASSERT_PTR_NULL(effect(XM_SESSION_CONNECT));
	}
	step((struct xm_session_event){ .kind = XM_SESSION_UP });
	CU_ASSERT_EQUAL(fx.count, 0);
}

static void it_ends_in_every_state(void)
{
	open_session();
	step((struct xm_session_event){ .kind = XM_SESSION_END });
	CU_ASSERT_EQUAL(fx.count, 0);
	open_session();
	tick(0);
	step((struct xm_session_event){ .kind = XM_SESSION_END });
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_DISCONNECT));
	open_session();
	greet();
	step((struct xm_session_event){ .kind = XM_SESSION_END });
	CU_ASSERT_PTR_NULL(effect(XM_SESSION_SEND));
	CU_ASSERT_PTR_NOT_NULL(effect(XM_SESSION_DISCONNECT));
	tick(100 * XM_SECOND);
	CU_ASSERT_EQUAL(session.state, XM_SESSION_AWAY);
}

/* --- quotas ---------------------------------------------------------------------- */

static void who_has_asked_too_often_is_asked_to_wait_and_not_told(void)
{
	uint32_t number;

	open_and_ready();
	ask(XM_STATUS, 77, now + 2 * XM_SECOND);
	number = fx.list[0].message->request;
	hear_refusal(number, EDQUOT);
	CU_ASSERT_PTR_NULL(effect(XM_SESSION_ANSWER));
	tick(XM_SESSION_AGAIN - 1);
	CU_ASSERT_FALSE(sends(XM_STATUS));
	tick(1);
	CU_ASSERT_TRUE_FATAL(sends(XM_STATUS));
	CU_ASSERT_EQUAL(effect(XM_SESSION_SEND)->message->request, number);
	hear_refusal(number, EDQUOT);
	tick(XM_SESSION_AGAIN);
	CU_ASSERT_FALSE(sends(XM_STATUS));
	tick(XM_SESSION_AGAIN);
	CU_ASSERT_TRUE(sends(XM_STATUS));
	hear((struct xm_message){ .kind = XM_STATE, .request = number });
	answered(77, 0);
}

static void patience_ends_with_the_deadline(void)
{
	uint32_t number;

	open_and_ready();
	ask(XM_STATUS, 77, now + XM_SESSION_AGAIN + 1);
	number = fx.list[0].message->request;
	hear_refusal(number, EDQUOT);
	tick(XM_SESSION_AGAIN);
	CU_ASSERT_TRUE(sends(XM_STATUS));
	hear_refusal(number, EDQUOT);
	answered(77, -EDQUOT);
}

static void what_waits_for_a_quota_waits_for_a_stream_too(void)
{
	uint32_t number;

	open_and_ready();
	ask(XM_STATUS, 77, now + 60 * XM_SECOND);
	number = fx.list[0].message->request;
	hear_refusal(number, EDQUOT);
	down(-ECONNRESET);
	CU_ASSERT_PTR_NULL(effect(XM_SESSION_ANSWER));
	tick(XM_SESSION_AGAIN);
	CU_ASSERT_FALSE(sends(XM_STATUS));
	greet();
	hear_welcome(11, 5);
	CU_ASSERT_TRUE(sends(XM_STATUS) || fx.count > 1);
	hear((struct xm_message){ .kind = XM_STATE, .request = number });
	answered(77, 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(it_connects_greets_and_is_ready),
		XM_TEST(an_attempt_ends_with_its_time_and_is_made_again),
		XM_TEST(attempts_get_rarer_up_to_one_a_second),
		XM_TEST(a_welcome_that_makes_no_sense_is_refused),
		XM_TEST(a_refusal_at_the_door_is_told_with_its_words_once),
		XM_TEST(it_resumes_as_the_client_it_was),
		XM_TEST(another_incarnation_or_number_means_that_all_is_lost),
		XM_TEST(a_stale_client_loses_all_once_and_comes_back_new),
		XM_TEST(the_lease_is_kept_alive_four_times_over),
		XM_TEST(a_request_is_sent_and_its_answer_told_once),
		XM_TEST(a_refused_request_hears_the_reason),
		XM_TEST(a_refusal_that_is_no_error_is_no_yes),
		XM_TEST(an_answer_of_the_wrong_kind_ends_the_stream),
		XM_TEST(answers_to_nobody_are_passed_over),
		XM_TEST(a_request_ends_by_its_deadline_and_a_late_grant_is_given_back),
		XM_TEST(a_claim_that_is_cut_off_is_returned),
		XM_TEST(a_reading_that_is_over_is_told_each_time),
		XM_TEST(an_appliance_that_leaves_is_told_of_once),
		XM_TEST(a_pong_says_what_the_appliance_could_lend),
		XM_TEST(a_sent_request_ends_with_its_stream_an_unsent_one_waits),
		XM_TEST(what_an_alloc_got_that_was_cut_off_is_given_back),
		XM_TEST(a_free_that_was_not_heard_is_said_again),
		XM_TEST(what_a_trim_got_that_was_cut_off_goes_with_the_rest),
		XM_TEST(the_owner_of_a_trim_can_ask_what_became_of_it),
		XM_TEST(a_trim_that_came_to_nothing_is_settled_too),
		XM_TEST(nothing_is_owed_where_all_is_lost),
		XM_TEST(what_names_an_extent_is_not_sent_when_all_is_lost),
		XM_TEST(an_unsent_request_ends_by_its_deadline_too),
		XM_TEST(requests_end_at_their_limit_and_all_at_once),
		XM_TEST(it_says_bye_hangs_up_and_stays_away),
		XM_TEST(it_ends_in_every_state),
		XM_TEST(who_has_asked_too_often_is_asked_to_wait_and_not_told),
		XM_TEST(patience_ends_with_the_deadline),
		XM_TEST(what_waits_for_a_quota_waits_for_a_stream_too),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("session", tests);
}
