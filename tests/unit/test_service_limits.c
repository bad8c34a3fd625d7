/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of what a step of the service machine costs at its limits. Counted are
 * the records that a step looks at, not time: one client with as many extents
 * as it may have, in an appliance with very many records.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/service.h"
#include "tests/support/cunit.h"

#define GRANULE 64
#define EXTENTS (UINT32_C(1) << 18)
#define EACH 1024
#define A_FEW 8 /* looks that one request may take */

struct bench {
	struct xm_service *service;
	struct xm_service_effects effects;
	uint64_t now_ns, looks;
	uint32_t requests;
};

/* One step, and how many looks it took. */
static uint64_t step(struct bench *b, struct xm_service_event event)
{
	uint64_t before = b->service->looks;

	event.now_ns = b->now_ns;
	event.entropy[0] = 1;
	xm_service_step(b->service, &event, &b->effects);
	return b->service->looks - before;
}

static uint64_t say(struct bench *b, struct xm_message m)
{
	m.request = ++b->requests;
	return step(b, (struct xm_service_event){ .kind = XM_SERVICE_MESSAGE,
						  .message = &m });
}

/* The effect of the last step that a test wants. */
static struct xm_service_effect effect(const struct bench *b,
				       enum xm_service_effect_kind kind)
{
	for (uint32_t i = 0; i < b->effects.count; i++)
		if (b->effects.effects[i].kind == kind)
			return b->effects.effects[i];
	CU_FAIL_FATAL("the step has no such effect");
	return b->effects.effects[0];
}

static uint64_t expose(struct bench *b)
{
	struct xm_service_effect e = effect(b, XM_SERVICE_EXPOSE);
	uint64_t looks;

	looks = step(b, (struct xm_service_event){ .kind = XM_SERVICE_EXPOSED,
						   .grant = e.grant });
	CU_ASSERT_EQUAL_FATAL(effect(b, XM_SERVICE_SEND).message->kind,
			      XM_ALLOCATED);
	return looks;
}

static void bench_open(struct bench *b, bool revokes, bool admits)
{
	struct xm_service_options o = {
		.name = "test",
		.transport = "loop",
		.pool_size = (uint64_t)EXTENTS * GRANULE,
		.granule = GRANULE,
		.peers_max = 2,
		.clients_max = 2,
		.extents_max = EXTENTS,
		.extents_per_client_max = EACH,
		.kept_percent = 100,
		.lease_ms = 1000,
		.handshake_ns = XM_SECOND,
		.zero_size_max = XM_MIB,
		.revokes = revokes,
		.admits = admits,
	};
	struct xm_message hello = { .kind = XM_HELLO };
	char words[XM_WORDS_SIZE];
	void *memory;

	memset(b, 0, sizeof(*b));
	CU_ASSERT_EQUAL_FATAL(xm_service_options_check(&o, words), 0);
	memory = malloc(xm_service_size(&o));
	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	b->now_ns = XM_SECOND;
	b->service = xm_service_init(&o, memory, b->now_ns);
	step(b, (struct xm_service_event){ .kind = XM_SERVICE_PEER_UP });
	hello.u.hello.version_min = XM_PROTOCOL_VERSION_MIN;
	hello.u.hello.version_max = XM_PROTOCOL_VERSION;
	say(b, hello);
	CU_ASSERT_EQUAL_FATAL(effect(b, XM_SERVICE_SEND).message->kind,
			      XM_WELCOME);
}

/* As many extents as one client may have: one, and the rest cut off it, so
 * that the first key covers them all. Returns the most looks of a step. */
static uint64_t fill(struct bench *b)
{
	struct xm_message m = { .kind = XM_ALLOC };
	uint64_t most, extent;

	m.u.alloc.size = EACH * GRANULE;
	most = say(b, m);
	most = xm_max(most, expose(b));
	extent = effect(b, XM_SERVICE_SEND).message->u.allocated.extent;
	m = (struct xm_message){ .kind = XM_TRIM };
	m.u.trim.extent = extent;
	m.u.trim.size = GRANULE;
	for (uint32_t i = 1; i < EACH; i++) {
		most = xm_max(most, say(b, m));
		most = xm_max(most, expose(b));
	}
	CU_ASSERT_EQUAL(b->service->clients[0].extents, EACH);
	return most;
}

static void all_is_zeroed(struct bench *b)
{
	uint64_t most = 0;

	while (b->effects.count > 0)
		most = xm_max(most,
			      step(b, (struct xm_service_event){
				      .kind = XM_SERVICE_ZEROED,
				      .extent = effect(b, XM_SERVICE_ZERO)
							.extent }));
	CU_ASSERT(most <= A_FEW);
	CU_ASSERT_EQUAL(b->service->extents_count, 0);
	CU_ASSERT_EQUAL(b->service->bytes_parting, 0);
}

static void a_request_looks_at_a_few_records(void)
{
	struct xm_message m = { .kind = XM_LIST };
	struct bench b;

	bench_open(&b, true, true);
	CU_ASSERT(fill(&b) <= A_FEW);
	CU_ASSERT(say(&b, m) <= XM_LIST_MAX + 1);
	/* Behind all that there are. */
	m.u.list.cursor = EACH;
	CU_ASSERT(say(&b, m) <= 1);
	/* The last one but one, which its own and the first key cover. */
	m = (struct xm_message){ .kind = XM_FREE };
	m.u.free.extent = b.service->extents[EACH - 1].number;
	CU_ASSERT(say(&b, m) <= A_FEW);
	CU_ASSERT(step(&b, (struct xm_service_event){
			       .kind = XM_SERVICE_CONCEALED,
			       .grant = effect(&b, XM_SERVICE_CONCEAL).grant })
		  <= A_FEW);
	free(b.service);
}

/* Concealing and expelling look at what the client had: its extents, its
 * grants, and once more at each extent for each grant that covers it. Here
 * that is two a piece. */
static void the_end_of_a_client_looks_at_what_it_had(void)
{
	struct bench b;

	for (int i = 0; i < 3; i++) {
		uint64_t client;

		bench_open(&b, i == 0, i <= 1);
		fill(&b);
		client = b.service->clients[0].number;
		step(&b, (struct xm_service_event){
			     .kind = XM_SERVICE_CONNECTIONS,
			     .client = client, .connections = 3 });
		CU_ASSERT(say(&b, (struct xm_message){ .kind = XM_BYE }) <=
			  2 * EACH);
		CU_ASSERT(step(&b, (struct xm_service_event){
				       .kind = XM_SERVICE_EXPELLED,
				       .client = client }) <= 4 * EACH);
		CU_ASSERT_EQUAL(b.service->clients_count, 0);
		/* Where connections are not counted, time has to pass. */
		CU_ASSERT_EQUAL(b.service->quarantined, i == 2 ? EACH : 0);
		b.now_ns += XM_SECOND;
		if (i == 2)
			CU_ASSERT(step(&b, (struct xm_service_event){
					       .kind = XM_SERVICE_TICK }) <=
				  2 * EACH);
		all_is_zeroed(&b);
		free(b.service);
	}
}

/* Each extent is the first part of the one before, so that every earlier key
 * opens it, too. */
static void keys_over_one_byte_are_limited(void)
{
	struct xm_message m = { .kind = XM_ALLOC };
	struct bench b;

	bench_open(&b, true, true);
	m.u.alloc.size = EACH * GRANULE;
	say(&b, m);
	expose(&b);
	for (uint32_t i = 1; i < XM_SERVICE_COVERS_MAX; i++) {
		m = (struct xm_message){ .kind = XM_TRIM };
		m.u.trim.extent =
			effect(&b, XM_SERVICE_SEND).message->u.allocated.extent;
		m.u.trim.size = (EACH - i) * GRANULE;
		CU_ASSERT(say(&b, m) <= A_FEW);
		expose(&b);
	}
	m.u.trim.extent = effect(&b, XM_SERVICE_SEND).message->u.allocated.extent;
	m.u.trim.size = GRANULE;
	say(&b, m);
	CU_ASSERT_EQUAL(effect(&b, XM_SERVICE_SEND).message->u.refused.code,
			EAGAIN);
	free(b.service);
}

static void a_lost_connection_looks_at_what_waited_for_it(void)
{
	struct xm_message m = { .kind = XM_FREE };
	struct xm_service_event connections = {
		.kind = XM_SERVICE_CONNECTIONS,
	};
	struct bench b;

	bench_open(&b, false, true);
	fill(&b);
	connections.client = b.service->clients[0].number;
	connections.connections = 1;
	step(&b, connections);
	m.u.free.extent = b.service->extents[EACH - 1].number;
	say(&b, m);
	step(&b, (struct xm_service_event){
		     .kind = XM_SERVICE_CONCEALED,
		     .grant = effect(&b, XM_SERVICE_CONCEAL).grant });
	CU_ASSERT_EQUAL(b.service->quarantined, 1);
	connections.connections = 0;
	CU_ASSERT(step(&b, connections) <= A_FEW);
	CU_ASSERT_EQUAL(b.service->quarantined, 0);
	free(b.service);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_request_looks_at_a_few_records),
		XM_TEST(the_end_of_a_client_looks_at_what_it_had),
		XM_TEST(keys_over_one_byte_are_limited),
		XM_TEST(a_lost_connection_looks_at_what_waited_for_it),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("service_limits", tests);
}
