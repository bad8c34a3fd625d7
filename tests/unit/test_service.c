/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the service machine: clients, streams, tickets, options, the end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "tests/unit/service_rig.h"

/* --- clients -------------------------------------------------------------- */

static void a_client_is_told_the_terms(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = rig_join(r, 0);

	CU_ASSERT_NOT_EQUAL(w.client, 0);
	CU_ASSERT_EQUAL(w.version, XM_PROTOCOL_VERSION);
	CU_ASSERT_EQUAL(w.lease_ms, LEASE_MS);
	CU_ASSERT_EQUAL(w.granule, GRANULE);
	CU_ASSERT_EQUAL(w.incarnation, 5);
	CU_ASSERT_STRING_EQUAL(w.name, "test");
	CU_ASSERT_STRING_EQUAL(w.zone, "rack 3");
	CU_ASSERT_EQUAL(rig_say_kind(r, 0, XM_PING)->kind, XM_PONG);
	rig_free(r);
}

static void a_version_that_does_not_meet_is_refused_with_both(void)
{
	struct rig *r = rig_new();
	struct xm_message m = rig_hello();

	rig_up(r, 0);
	m.u.hello.version_min = XM_PROTOCOL_VERSION + 1;
	m.u.hello.version_max = XM_PROTOCOL_VERSION + 3;
	CU_ASSERT(rig_refused(rig_say(r, 0, m), EPROTONOSUPPORT, "3 to 5"));
	m.u.hello.version_min = 3;
	m.u.hello.version_max = 2;
	CU_ASSERT(rig_refused(rig_say(r, 0, m), EPROTONOSUPPORT,
			      "speaks protocol version 2"));
	/* Version 1 is not served any more. */
	m.u.hello.version_min = m.u.hello.version_max = 1;
	CU_ASSERT(rig_refused(rig_say(r, 0, m), EPROTONOSUPPORT,
			      "protocol version 2, the client 1:"));
	/* A refused stream may try again. */
	m = rig_hello();
	m.u.hello.version_max = XM_PROTOCOL_VERSION + 7;
	CU_ASSERT_EQUAL(rig_say(r, 0, m)->kind, XM_WELCOME);
	CU_ASSERT_EQUAL(r->sent[0].u.welcome.version, XM_PROTOCOL_VERSION);
	rig_free(r);
}

static void another_transport_is_refused_by_name(void)
{
	struct rig *r = rig_new();
	struct xm_message m = rig_hello();

	rig_up(r, 0);
	memcpy(m.u.hello.transport, "ofi+shm", 8);
	CU_ASSERT(rig_refused(rig_say(r, 0, m), EPROTONOSUPPORT, "over loop, not over"
							 " ofi+shm"));
	rig_free(r);
}

static void what_an_appliance_alone_says_ends_the_stream(void)
{
	struct rig *r = rig_new();
	struct xm_message m = rig_hello();

	CU_ASSERT_EQUAL(rig_join(r, 0).features, XM_FEATURE_KEEP |
			XM_FEATURE_SHARE | XM_FEATURE_CLAIM |
			XM_FEATURE_COPY | XM_FEATURE_WANTED);
	rig_say_kind(r, 0, XM_PARTED);
	CU_ASSERT_TRUE(r->dropped[0]);
	rig_join(r, 1);
	rig_say_kind(r, 1, XM_WANTED);
	CU_ASSERT_TRUE(r->dropped[1]);
	rig_up(r, 2);
	m.u.hello.flags = XM_HELLO_OBSERVER;
	CU_ASSERT_EQUAL(rig_say(r, 2, m)->kind, XM_WELCOME);
	CU_ASSERT(rig_refused(rig_say_kind(r, 2, XM_OFFER), EPERM,
			      "observer"));
	rig_free(r);
}

static void a_pong_says_what_could_be_had(void)
{
	struct rig *r = rig_new();
	const struct xm_figures *f = &r->sent[0].u.pong.figures;

	rig_join(r, 0);
	rig_alloc(r, 0, 5 * GRANULE);
	CU_ASSERT_EQUAL(rig_say_kind(r, 0, XM_PING)->kind, XM_PONG);
	CU_ASSERT_EQUAL(xm_figures_get(f, XM_FIGURE_FREE), POOL - 5 * GRANULE);
	CU_ASSERT_EQUAL(xm_figures_get(f, XM_FIGURE_FREE_RUN),
			POOL - 5 * GRANULE);
	CU_ASSERT_EQUAL(xm_figures_get(f, XM_FIGURE_LOAD), 1000 / CLIENTS);
	CU_ASSERT_EQUAL(xm_figures_get(f, XM_FIGURE_LEAVING), 0);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_DRAIN,
					       .drain_ms = 1 });
	CU_ASSERT_EQUAL(rig_say_kind(r, 0, XM_PING)->kind, XM_PONG);
	CU_ASSERT_EQUAL(xm_figures_get(f, XM_FIGURE_LEAVING), 1);
	rig_free(r);
}

static void nothing_goes_before_hello_and_no_hello_twice(void)
{
	static const enum xm_message_kind kinds[] = {
		XM_TICKET, XM_ALLOC, XM_TRIM, XM_FREE, XM_LIST,
		XM_STATUS, XM_PING, XM_BYE, XM_WELCOME, XM_ALLOCATED,
	};
	struct rig *r = rig_new();
	size_t i;

	for (i = 0; i < XM_COUNT(kinds); i++) {
		rig_up(r, 0);
		CU_ASSERT_EQUAL(rig_say_kind(r, 0, kinds[i])->kind, 0);
		CU_ASSERT_TRUE(r->dropped[0]);
	}
	CU_ASSERT_EQUAL(r->service->malformed, XM_COUNT(kinds));
	rig_join(r, 0);
	CU_ASSERT_EQUAL(rig_say(r, 0, rig_hello())->kind, 0);
	CU_ASSERT_TRUE(r->dropped[0]);
	rig_free(r);
}

static void an_answer_from_a_client_ends_its_stream(void)
{
	static const enum xm_message_kind kinds[] = {
		XM_WELCOME, XM_REFUSED, XM_TICKETED, XM_ALLOCATED, XM_FREED,
		XM_LISTED,  XM_STATE,	XM_PONG,     XM_LEAVING,
	};
	struct rig *r = rig_new();
	struct xm_message m;
	struct xm_welcome w = rig_join(r, 0);
	size_t i;

	for (i = 0; i < XM_COUNT(kinds); i++) {
		rig_say_kind(r, 0, kinds[i]);
		CU_ASSERT_TRUE(r->dropped[0]);
		/* It can come back: its lease lives. */
		rig_up(r, 0);
		m = rig_hello();
		m.u.hello.client = w.client;
		memcpy(m.u.hello.secret, w.secret, XM_SECRET_SIZE);
		CU_ASSERT_EQUAL_FATAL(rig_say(r, 0, m)->kind, XM_WELCOME);
	}
	CU_ASSERT_EQUAL(r->service->malformed, XM_COUNT(kinds));
	rig_free(r);
}

static void one_client_more_than_the_limit_is_refused(void)
{
	struct rig *r = rig_new();
	uint32_t i;

	for (i = 0; i < CLIENTS; i++)
		rig_join(r, i);
	rig_up(r, CLIENTS);
	CU_ASSERT(rig_refused(rig_say(r, CLIENTS, rig_hello()), EUSERS, "all the 4"));
	/* One leaves, and there is room. */
	rig_say_kind(r, 2, XM_BYE);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_say(r, CLIENTS, rig_hello())->kind, XM_WELCOME);
	rig_free(r);
}

static void a_client_resumes_with_its_secret_only(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = rig_join(r, 0);
	struct xm_allocated t = rig_alloc(r, 0, GRANULE);
	struct xm_message m = rig_hello();
	size_t i;

	rig_down(r, 0);
	for (i = 0; i < XM_SECRET_SIZE; i++) {
		rig_up(r, 1);
		m.u.hello.client = w.client;
		memcpy(m.u.hello.secret, w.secret, XM_SECRET_SIZE);
		m.u.hello.secret[i] ^= 1;
		CU_ASSERT(rig_refused(rig_say(r, 1, m), ESTALE, "does not know you"));
		rig_down(r, 1);
	}
	rig_up(r, 1);
	m.u.hello.client = w.client + 1;
	memcpy(m.u.hello.secret, w.secret, XM_SECRET_SIZE);
	CU_ASSERT(rig_refused(rig_say(r, 1, m), ESTALE, "restarted"));
	m.u.hello.client = w.client;
	CU_ASSERT_EQUAL(rig_say(r, 1, m)->kind, XM_WELCOME);
	CU_ASSERT_EQUAL(r->sent[1].u.welcome.client, w.client);
	CU_ASSERT_TRUE(rig_write(r, &t.remote, 1));
	rig_ask_free(r, 1, t.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[1].kind, XM_FREED);
	rig_free(r);
}

static void resuming_drops_the_half_open_stream(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = rig_join(r, 0);
	struct xm_message m = rig_hello();

	rig_up(r, 1);
	m.u.hello.client = w.client;
	memcpy(m.u.hello.secret, w.secret, XM_SECRET_SIZE);
	CU_ASSERT_EQUAL(rig_say(r, 1, m)->kind, XM_WELCOME);
	CU_ASSERT_TRUE(r->dropped[0]);
	CU_ASSERT_FALSE(r->dropped[1]);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	rig_free(r);
}

static void a_silent_client_loses_its_lease_and_its_memory_is_zeroed(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = rig_join(r, 0);
	struct xm_allocated t = rig_alloc(r, 0, 5 * GRANULE);
	struct xm_message m = rig_hello();

	rig_write(r, &t.remote, 9);
	rig_pass(r, LEASE_MS / 2);
	rig_say_kind(r, 0, XM_PING);
	rig_pass(r, LEASE_MS - 150);
	CU_ASSERT_EQUAL(r->commands_count, 0);
	CU_ASSERT_FALSE(r->dropped[0]);
	rig_pass(r, 300);
	CU_ASSERT_TRUE(r->dropped[0]);
	CU_ASSERT_EQUAL(r->commands_count, 1);
	/* Until the interface says so, it is nobody's. */
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - 5 * GRANULE);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	CU_ASSERT_TRUE(rig_is_zero(r, &t));
	CU_ASSERT_FALSE(rig_write(r, &t.remote, 9));
	CU_ASSERT_EQUAL(r->service->expired, 1);
	CU_ASSERT_EQUAL(r->service->clients_count, 0);
	rig_up(r, 1);
	m.u.hello.client = w.client;
	memcpy(m.u.hello.secret, w.secret, XM_SECRET_SIZE);
	CU_ASSERT(rig_refused(rig_say(r, 1, m), ESTALE, "lease ended"));
	rig_free(r);
}

static void a_client_whose_stream_broke_has_the_rest_of_its_lease(void)
{
	struct rig *r = rig_new();

	rig_join(r, 0);
	rig_alloc(r, 0, GRANULE);
	rig_down(r, 0);
	CU_ASSERT_EQUAL(r->service->clients[0].state, XM_CLIENT_SILENT);
	rig_pass(r, LEASE_MS - 100);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	rig_pass(r, 200);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->clients_count, 0);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

static void when_i_was_stopped_i_declare_nobody_dead(void)
{
	struct rig *r = rig_new();

	rig_join(r, 0);
	rig_alloc(r, 0, GRANULE);
	rig_pass(r, 100);
	r->now_ns += 3600 * XM_SECOND; /* SIGSTOP, a suspended machine */
	rig_tick(r);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	CU_ASSERT_FALSE(r->dropped[0]);
	rig_pass(r, LEASE_MS - 200);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	CU_ASSERT_EQUAL(r->commands_count, 0);
	/* But silence that it did listen to counts. */
	rig_pass(r, 300);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->clients_count, 0);
	rig_free(r);
}

static void a_stream_that_never_says_hello_is_dropped(void)
{
	struct rig *r = rig_new();
	struct xm_message m = rig_hello();
	int i;

	rig_up(r, 0);
	rig_up(r, 1);
	m.u.hello.version_min = m.u.hello.version_max = 99;
	for (i = 0; i < 7; i++) { /* refused HELLOs do not keep it alive */
		rig_pass(r, 50);
		rig_say(r, 1, m);
	}
	CU_ASSERT_FALSE(r->dropped[0]);
	rig_pass(r, 100);
	CU_ASSERT_TRUE(r->dropped[0]);
	CU_ASSERT_TRUE(r->dropped[1]);
	CU_ASSERT_EQUAL(r->effects.deadline_ns, XM_NEVER);
	rig_free(r);
}

static void bye_gives_everything_back(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t;

	rig_join(r, 0);
	t = rig_alloc(r, 0, 7 * GRANULE);
	rig_alloc(r, 0, GRANULE);
	rig_write(r, &t.remote, 3);
	rig_say_kind(r, 0, XM_BYE);
	CU_ASSERT_EQUAL(r->sent[0].kind, 0);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_FREED);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	CU_ASSERT_TRUE(rig_is_zero(r, &t));
	rig_say_kind(r, 0, XM_PING);
	CU_ASSERT_TRUE(r->dropped[0]);
	rig_free(r);
}

static void an_observer_asks_and_takes_nothing(void)
{
	struct rig *r = rig_new();
	struct xm_message m = rig_hello();
	const struct xm_figures *f = &r->sent[1].u.state.figures;

	rig_join(r, 0);
	rig_alloc(r, 0, 2 * GRANULE);
	rig_up(r, 1);
	m.u.hello.flags = XM_HELLO_OBSERVER;
	m.u.hello.transport[0] = '\0';
	CU_ASSERT_EQUAL(rig_say(r, 1, m)->kind, XM_WELCOME);
	CU_ASSERT_EQUAL(r->sent[1].u.welcome.client, 0);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 1, 1), EPERM, "observer"));
	CU_ASSERT(rig_refused(rig_say_kind(r, 1, XM_TICKET), EPERM, "observer"));
	CU_ASSERT_EQUAL(rig_say_kind(r, 1, XM_STATUS)->kind, XM_STATE);
	CU_ASSERT_EQUAL(xm_figures_get(f, XM_FIGURE_CLIENTS), 1);
	CU_ASSERT_EQUAL(xm_figures_get(f, XM_FIGURE_LEASED), 2 * GRANULE);
	CU_ASSERT_EQUAL(xm_figures_get(f, XM_FIGURE_FREE), POOL - 2 * GRANULE);
	CU_ASSERT_EQUAL(xm_figures_get(f, XM_FIGURE_POOL), POOL);
	CU_ASSERT_EQUAL(rig_say_kind(r, 1, XM_LIST)->kind, XM_LISTED);
	CU_ASSERT_EQUAL(r->sent[1].u.listed.count, 1);
	CU_ASSERT_STRING_EQUAL(r->sent[1].u.listed.entries[0].owner,
			       "here:1 test");
	rig_say_kind(r, 1, XM_BYE);
	CU_ASSERT_TRUE(r->dropped[1]);
	rig_free(r);
}

/* --- tickets -------------------------------------------------------------- */

static void a_ticket_is_told_after_the_interface_knows_it(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = rig_join(r, 0);

	CU_ASSERT_EQUAL(rig_say_kind(r, 0, XM_TICKET)->kind, 0);
	CU_ASSERT_EQUAL(r->commands_count, 1);
	CU_ASSERT_EQUAL(r->commands[0].kind, XM_SERVICE_ADMIT);
	CU_ASSERT_EQUAL(r->commands[0].client, w.client);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_TICKETED);
	CU_ASSERT_EQUAL(r->sent[0].request, r->requests);
	r->admit_status = -ENOSPC;
	rig_say_kind(r, 0, XM_TICKET);
	rig_settle(r);
	CU_ASSERT(rig_refused(&r->sent[0], ENOSPC, "no more connections"));
	rig_free(r);
}

static void tickets_are_limited_and_the_oldest_gives_way(void)
{
	struct rig *r = rig_new();
	uint32_t i;

	rig_join(r, 0);
	for (i = 0; i < XM_SERVICE_TICKETS_MAX; i++)
		CU_ASSERT_EQUAL(rig_say_kind(r, 0, XM_TICKET)->kind, 0);
	/* None of them is given out yet. */
	CU_ASSERT(rig_refused(rig_say_kind(r, 0, XM_TICKET), EAGAIN,
			      "as many tickets"));
	CU_ASSERT_EQUAL(r->commands_count, XM_SERVICE_TICKETS_MAX);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_TICKETED);
	CU_ASSERT(rig_refused(rig_say_kind(r, 0, XM_TICKET), EAGAIN,
			      "being retracted"));
	CU_ASSERT_EQUAL_FATAL(r->commands_count, 1);
	CU_ASSERT_EQUAL(r->commands[0].kind, XM_SERVICE_RETRACT);
	CU_ASSERT_EQUAL(r->commands[0].cookie, 0);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_say_kind(r, 0, XM_TICKET)->kind, 0);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_TICKETED);
	rig_free(r);
}

static void a_ticket_lapses(void)
{
	struct rig *r = rig_new();
	struct xm_service_effect admitted[3];

	rig_join(r, 0);
	for (uint32_t i = 0; i < 3; i++) {
		rig_say_kind(r, 0, XM_TICKET);
		admitted[i] = r->commands[0];
		rig_settle(r);
	}
	rig_pass(r, HANDSHAKE_MS - 50);
	CU_ASSERT_EQUAL(r->commands_count, 0);
	rig_say_kind(r, 0, XM_PING);
	rig_pass(r, 100);
	CU_ASSERT_EQUAL_FATAL(r->commands_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(r->commands[i].kind, XM_SERVICE_RETRACT);
		CU_ASSERT_EQUAL(memcmp(r->commands[i].ticket,
				       admitted[i].ticket, XM_TICKET_SIZE), 0);
	}
	/* The first one was used, the others were not. */
	r->retract_status = -ENOENT;
	rig_acknowledge(r);
	r->retract_status = 0;
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->lapsed, 2);
	rig_pass(r, HANDSHAKE_MS);
	CU_ASSERT_EQUAL(r->commands_count, 0);
	rig_free(r);
}

static void a_ticket_that_nobody_hears_of_is_retracted_at_once(void)
{
	struct rig *r = rig_new();

	rig_join(r, 0);
	rig_say_kind(r, 0, XM_TICKET);
	rig_down(r, 0);
	rig_acknowledge(r);
	CU_ASSERT_EQUAL_FATAL(r->commands_count, 1);
	CU_ASSERT_EQUAL(r->commands[0].kind, XM_SERVICE_RETRACT);
	rig_free(r);
}

static void the_tickets_of_a_client_end_with_it(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = rig_join(r, 0);

	rig_say_kind(r, 0, XM_TICKET);
	rig_settle(r);
	rig_say_kind(r, 0, XM_TICKET); /* not admitted yet */
	rig_say_kind(r, 0, XM_BYE);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_FREED);
	/* Another client in the same place has none of them. */
	CU_ASSERT_NOT_EQUAL(rig_join(r, 1).client, w.client);
	rig_pass(r, LEASE_MS / 2);
	rig_say_kind(r, 1, XM_PING);
	rig_pass(r, LEASE_MS / 2);
	CU_ASSERT_EQUAL(r->commands_count, 0);
	CU_ASSERT_EQUAL(r->service->lapsed, 0);
	rig_free(r);
}

static void where_tickets_are_not_looked_at_none_is_retracted(void)
{
	struct rig *r = malloc(sizeof(*r));

	rig_open(r);
	r->options.admits = false;
	rig_start(r);
	rig_join(r, 0);
	rig_say_kind(r, 0, XM_TICKET);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_TICKETED);
	rig_pass(r, LEASE_MS - 100);
	CU_ASSERT_EQUAL(r->commands_count, 0);
	rig_free(r);
}

/* --- the end -------------------------------------------------------------- */

static void draining_tells_all_and_takes_nobody(void)
{
	struct rig *r = rig_new();
	uint32_t i;

	for (i = 0; i < 3; i++)
		rig_join(r, i);
	rig_alloc(r, 1, 1);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_DRAIN,
					   .drain_ms = 4321 });
	while (r->effects.deadline_ns <= r->now_ns)
		rig_tick(r);
	for (i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(r->sent[i].kind, XM_LEAVING);
		CU_ASSERT_EQUAL(r->sent[i].u.leaving.ms, 4321);
	}
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, 1), ESHUTDOWN, "draining"));
	rig_up(r, 5);
	CU_ASSERT(rig_refused(rig_say(r, 5, rig_hello()), ESHUTDOWN, "draining"));
	CU_ASSERT_FALSE(r->effects.drained);
	for (i = 0; i < 3; i++)
		rig_say_kind(r, i, XM_BYE);
	rig_settle(r);
	CU_ASSERT_TRUE(r->effects.drained);
	rig_free(r);
}

static void who_gives_back_the_last_bytes_gets_an_answer_before_the_end(void)
{
	struct rig *r = rig_new();
	struct xm_allocated taken;

	rig_join(r, 0);
	rig_join(r, 1);
	taken = rig_alloc(r, 0, 1);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_DRAIN,
					   .drain_ms = 4321 });
	while (r->effects.deadline_ns <= r->now_ns)
		rig_tick(r);
	rig_ask_free(r, 0, taken.extent);
	CU_ASSERT_FALSE(r->effects.drained);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_FREED);
	CU_ASSERT_TRUE(r->effects.drained);
	rig_free(r);
}

static void anybody_may_have_it_drain_if_he_means_this_run(void)
{
	struct rig *r = rig_new();
	struct xm_message m = { .kind = XM_DRAIN, .u.drain.on = 1 };
	struct xm_message hello = rig_hello();
	uint64_t incarnation;

	incarnation = rig_join(r, 0).incarnation;
	rig_up(r, 1);
	hello.u.hello.flags = XM_HELLO_OBSERVER;
	rig_say(r, 1, hello);
	m.u.drain.incarnation = incarnation + 1;
	CU_ASSERT(rig_refused(rig_say(r, 1, m), ESTALE, "begun again"));
	CU_ASSERT_FALSE(r->effects.drained);
	m.u.drain.incarnation = incarnation;
	CU_ASSERT_EQUAL(rig_say(r, 1, m)->kind, XM_STATE);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, 1), ESHUTDOWN, "draining"));
	m.u.drain.on = 0;
	CU_ASSERT_EQUAL(rig_say(r, 1, m)->kind, XM_STATE);
	rig_alloc(r, 0, 1);
	rig_free(r);
}

static void a_new_lease_time_is_for_new_clients(void)
{
	struct rig *r = rig_new();

	rig_join(r, 0);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_RELOAD,
					   .lease_ms = 10 * LEASE_MS });
	CU_ASSERT_EQUAL(rig_join(r, 1).lease_ms, 10 * LEASE_MS);
	rig_pass(r, LEASE_MS + 200);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	CU_ASSERT_TRUE(r->dropped[0]);
	CU_ASSERT_FALSE(r->dropped[1]);
	rig_free(r);
}

static void options_that_make_no_sense_are_named(void)
{
	struct rig *r = rig_new();
	struct xm_service_options o;
	char words[XM_WORDS_SIZE];

#define REFUSED(change, word)                                                 \
	do {                                                                  \
		o = r->options;                                               \
		o.change;                                                     \
		CU_ASSERT_EQUAL(xm_service_options_check(&o, words), -EINVAL);\
		CU_ASSERT_PTR_NOT_NULL(strstr(words, word));                  \
	} while (0)
	REFUSED(granule = 3000, "power of two");
	REFUSED(granule = 0, "power of two");
	REFUSED(pool_size = GRANULE + 1, "multiple");
	REFUSED(pool_size = 0, "above 0");
	REFUSED(clients_max = 0, "clients-max");
	REFUSED(clients_max = XM_SERVICE_SLOTS_MAX + 1, "clients-max");
	REFUSED(extents_max = 0, "extents-max");
	REFUSED(extents_per_client_max = 0, "extents-per-client");
	REFUSED(peers_max = CLIENTS - 1, "stream");
	REFUSED(lease_ms = 7, "lease");
	REFUSED(handshake_ns = 1, "handshake");
	REFUSED(zero_size_max = 0, "progress");
#undef REFUSED
	rig_free(r);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_client_is_told_the_terms),
		XM_TEST(a_version_that_does_not_meet_is_refused_with_both),
		XM_TEST(another_transport_is_refused_by_name),
		XM_TEST(what_an_appliance_alone_says_ends_the_stream),
		XM_TEST(a_pong_says_what_could_be_had),
		XM_TEST(nothing_goes_before_hello_and_no_hello_twice),
		XM_TEST(an_answer_from_a_client_ends_its_stream),
		XM_TEST(one_client_more_than_the_limit_is_refused),
		XM_TEST(a_client_resumes_with_its_secret_only),
		XM_TEST(resuming_drops_the_half_open_stream),
		XM_TEST(a_silent_client_loses_its_lease_and_its_memory_is_zeroed),
		XM_TEST(a_client_whose_stream_broke_has_the_rest_of_its_lease),
		XM_TEST(when_i_was_stopped_i_declare_nobody_dead),
		XM_TEST(a_stream_that_never_says_hello_is_dropped),
		XM_TEST(bye_gives_everything_back),
		XM_TEST(an_observer_asks_and_takes_nothing),
		XM_TEST(a_ticket_is_told_after_the_interface_knows_it),
		XM_TEST(tickets_are_limited_and_the_oldest_gives_way),
		XM_TEST(a_ticket_lapses),
		XM_TEST(a_ticket_that_nobody_hears_of_is_retracted_at_once),
		XM_TEST(the_tickets_of_a_client_end_with_it),
		XM_TEST(where_tickets_are_not_looked_at_none_is_retracted),
		XM_TEST(anybody_may_have_it_drain_if_he_means_this_run),
		XM_TEST(draining_tells_all_and_takes_nobody),
		XM_TEST(who_gives_back_the_last_bytes_gets_an_answer_before_the_end),
		XM_TEST(a_new_lease_time_is_for_new_clients),
		XM_TEST(options_that_make_no_sense_are_named),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("service", tests);
}
