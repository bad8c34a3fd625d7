/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the service machine: requests for memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "tests/unit/service_rig.h"

/* --- extents -------------------------------------------------------------- */

static void an_extent_is_told_after_it_is_exposed(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t;

	rig_join(r, 0);
	CU_ASSERT_EQUAL(rig_ask_alloc(r, 0, GRANULE + 1)->kind, 0);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_ALLOCATED);
	t = r->sent[0].u.allocated;
	CU_ASSERT_EQUAL(t.size, 2 * GRANULE);
	CU_ASSERT_NOT_EQUAL(t.epoch, 0);
	CU_ASSERT_TRUE(rig_write(r, &t.remote, 1));
	rig_free(r);
}

static void sizes_that_make_no_sense_are_refused(void)
{
	struct rig *r = rig_new();

	rig_join(r, 0);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, 0), EINVAL, "0 bytes"));
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, POOL + 1), ENOSPC,
			  "whole pool is 256.0 KiB"));
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, UINT64_MAX), ENOSPC, "whole pool"));
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, UINT64_MAX - GRANULE), ENOSPC, ""));
	rig_alloc(r, 0, POOL);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, 1), ENOSPC, "free 0 B"));
	CU_ASSERT_EQUAL(r->sent[0].u.refused.free, 0);
	CU_ASSERT_EQUAL(r->service->refused, 5);
	rig_free(r);
}

static void what_needs_a_feature_is_refused_in_words(void)
{
	struct rig *r = rig_new();
	struct xm_message m = { .kind = XM_ALLOC };

	rig_join(r, 0);
	m.u.alloc.size = GRANULE;
	m.u.alloc.flags = XM_FEATURE_KEEP | XM_FEATURE_DURABLE;
	CU_ASSERT(rig_refused(rig_say(r, 0, m), EOPNOTSUPP, "keep durable"));
	m.u.alloc.flags = UINT32_C(1) << 31;
	CU_ASSERT(rig_refused(rig_say(r, 0, m), EOPNOTSUPP, "unknown flag"));
	m.u.alloc.flags = 0;
	m.u.alloc.bank = XM_BANK_FILE;
	CU_ASSERT(rig_refused(rig_say(r, 0, m), EOPNOTSUPP, "bank 1"));
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

static void the_list_names_regions_and_their_parts(void)
{
	struct rig *r = rig_new();
	struct xm_message m = { .kind = XM_ALLOC };
	const struct xm_listed *listed = &r->sent[0].u.listed;

	rig_join(r, 0);
	m.u.alloc.size = 4 * GRANULE;
	memset(m.u.alloc.id.bytes, 0x77, XM_REGION_ID_SIZE);
	m.u.alloc.member = 3;
	rig_say(r, 0, m);
	rig_settle(r);
	/* What is cut off it is of the same region. */
	rig_ask_trim(r, 0, r->sent[0].u.allocated.extent, GRANULE);
	rig_settle(r);
	rig_say_kind(r, 0, XM_LIST);
	CU_ASSERT_EQUAL_FATAL(listed->count, 2);
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(listed->entries[i].member, 3);
		CU_ASSERT_EQUAL(memcmp(&listed->entries[i].id, &m.u.alloc.id,
				       XM_REGION_ID_SIZE), 0);
	}
	rig_free(r);
}

static void a_fragmented_pool_says_what_can_be_had(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t[4];
	uint32_t i;

	rig_join(r, 0);
	for (i = 0; i < 4; i++)
		t[i] = rig_alloc(r, 0, POOL / 4);
	rig_ask_free(r, 0, t[0].extent);
	rig_ask_free(r, 0, t[2].extent);
	rig_settle(r);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, POOL / 2), ENOSPC,
			  "free 128.0 KiB but in pieces of at most 64.0 KiB"));
	CU_ASSERT_EQUAL(r->sent[0].u.refused.free, POOL / 2);
	CU_ASSERT_EQUAL(r->sent[0].u.refused.free_run, POOL / 4);
	rig_alloc(r, 0, POOL / 4);
	rig_free(r);
}

static void memory_on_its_way_back_is_said_to_come(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t;

	rig_join(r, 0);
	t = rig_alloc(r, 0, POOL);
	rig_ask_free(r, 0, t.extent);
	rig_acknowledge(r); /* concealed; zeroing is under way */
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, 1), ENOSPC, "more soon"));
	rig_settle(r);
	rig_alloc(r, 0, POOL);
	rig_free(r);
}

static void extents_are_limited_in_all_and_for_each_client(void)
{
	struct rig *r = rig_new();
	uint32_t i;

	for (i = 0; i < 3; i++)
		rig_join(r, i);
	for (i = 0; i < PER_CLIENT; i++)
		rig_alloc(r, 0, 1);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, 1), ENOSPC, "all 8 extents a client"));
	for (i = 0; i < PER_CLIENT; i++)
		rig_alloc(r, 1, 1);
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 2, 1), ENOSPC, "all 16 extents of this"));
	rig_say_kind(r, 1, XM_BYE);
	rig_settle(r);
	rig_alloc(r, 2, 1);
	rig_free(r);
}

static void anothers_extent_is_as_good_as_none(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t;

	rig_join(r, 0);
	rig_join(r, 1);
	t = rig_alloc(r, 0, 4 * GRANULE);
	CU_ASSERT(rig_refused(rig_ask_free(r, 1, t.extent), ESTALE, "no such"));
	CU_ASSERT(rig_refused(rig_ask_trim(r, 1, t.extent, GRANULE), ESTALE,
			  "no such"));
	CU_ASSERT(rig_refused(rig_ask_free(r, 0, t.extent + 1), ESTALE, ""));
	CU_ASSERT(rig_refused(rig_ask_free(r, 0, UINT64_MAX), ESTALE, ""));
	CU_ASSERT(rig_refused(rig_ask_free(r, 0, 0), ESTALE, ""));
	rig_ask_free(r, 0, t.extent);
	/* Twice: it is on its way already. */
	CU_ASSERT(rig_refused(rig_ask_free(r, 0, t.extent), ESTALE, ""));
	rig_settle(r);
	CU_ASSERT(rig_refused(rig_ask_free(r, 0, t.extent), ESTALE, ""));
	rig_free(r);
}

static void an_extent_that_cannot_be_exposed_is_refused_and_free(void)
{
	struct rig *r = rig_new();

	rig_join(r, 0);
	r->expose_status = -ENOMEM;
	rig_ask_alloc(r, 0, 3 * GRANULE);
	rig_settle(r);
	CU_ASSERT(rig_refused(&r->sent[0], ENOMEM, "ulimit -l"));
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	CU_ASSERT_EQUAL(r->service->extents_count, 0);
	CU_ASSERT_EQUAL(r->service->clients[0].extents, 0);
	rig_free(r);
}

static void an_extent_whose_asker_is_gone_is_taken_back(void)
{
	struct rig *r = rig_new();

	rig_join(r, 0);
	rig_ask_alloc(r, 0, GRANULE);
	rig_down(r, 0);
	rig_up(r, 0); /* another stream under the same number */
	memset(&r->sent[0], 0, sizeof(r->sent[0]));
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, 0);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

/* An ALLOC of 0 bytes under the number of an earlier request. */
static const struct xm_message *ask_what_it_got(struct rig *r, uint32_t peer,
						uint32_t request)
{
	r->requests = request - 1;
	return rig_ask_alloc(r, peer, 0);
}

static void resume(struct rig *r, const struct xm_welcome *w)
{
	struct xm_message m = rig_hello();

	m.u.hello.client = w->client;
	memcpy(m.u.hello.secret, w->secret, sizeof(w->secret));
	rig_down(r, 0);
	rig_up(r, 0);
	CU_ASSERT_EQUAL_FATAL(rig_say(r, 0, m)->kind, XM_WELCOME);
}

static void what_a_request_got_is_told_again_after_a_stream_broke(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = rig_join(r, 0);
	struct xm_allocated t = rig_alloc(r, 0, 2 * GRANULE);
	uint32_t alloc = r->requests, trim;

	resume(r, &w);
	CU_ASSERT_EQUAL(ask_what_it_got(r, 0, alloc)->kind, XM_ALLOCATED);
	CU_ASSERT_EQUAL(memcmp(&r->sent[0].u.allocated, &t, sizeof(t)), 0);
	/* Nothing new is granted. */
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - 2 * GRANULE);
	r->requests = alloc + 100;
	rig_ask_trim(r, 0, t.extent, GRANULE);
	trim = r->requests;
	/* The head is being exposed: the answer goes to who asks now. */
	resume(r, &w);
	CU_ASSERT_EQUAL(ask_what_it_got(r, 0, trim)->kind, 0);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_ALLOCATED);
	CU_ASSERT_EQUAL(r->sent[0].request, trim);
	CU_ASSERT_EQUAL(r->sent[0].u.allocated.size, GRANULE);
	/* While it drains, too. */
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_DRAIN });
	CU_ASSERT_EQUAL(ask_what_it_got(r, 0, trim)->kind, XM_ALLOCATED);
	/* Not what was freed. */
	rig_ask_free(r, 0, t.extent);
	CU_ASSERT(rig_refused(ask_what_it_got(r, 0, alloc), EINVAL,
			      "under this number"));
	rig_settle(r);
	CU_ASSERT(rig_refused(ask_what_it_got(r, 0, alloc), EINVAL, ""));
	rig_free(r);
}

static void what_another_client_asked_for_is_not_told(void)
{
	struct rig *r = rig_new();
	uint32_t alloc;

	rig_join(r, 0);
	rig_join(r, 1);
	rig_alloc(r, 0, GRANULE);
	alloc = r->requests;
	CU_ASSERT(rig_refused(ask_what_it_got(r, 1, alloc), EINVAL, ""));
	rig_free(r);
}

static void only_the_newest_extents_are_looked_at(void)
{
	struct rig *r = malloc(sizeof(*r));
	uint32_t first;

	rig_open(r);
	r->options.granule = 1024;
	r->options.extents_max = XM_SERVICE_ASKED_MAX + 1;
	r->options.extents_per_client_max = XM_SERVICE_ASKED_MAX + 1;
	rig_start(r);
	rig_join(r, 0);
	rig_alloc(r, 0, 1);
	first = r->requests;
	for (uint32_t i = 1; i < XM_SERVICE_ASKED_MAX; i++)
		rig_alloc(r, 0, 1);
	CU_ASSERT_EQUAL(ask_what_it_got(r, 0, first)->kind, XM_ALLOCATED);
	r->requests = first + 100;
	rig_alloc(r, 0, 1);
	CU_ASSERT(rig_refused(ask_what_it_got(r, 0, first), EINVAL, ""));
	rig_free(r);
}

static void the_list_goes_on_at_its_cursor(void)
{
	struct rig *r = malloc(sizeof(*r));
	struct xm_message m = { .kind = XM_LIST };
	uint32_t i;

	rig_open(r);
	r->options.extents_max = 40;
	r->options.extents_per_client_max = 40;
	rig_start(r);
	rig_join(r, 0);
	for (i = 0; i < XM_LIST_MAX + 3; i++)
		rig_alloc(r, 0, 1);
	rig_say(r, 0, m);
	CU_ASSERT_EQUAL(r->sent[0].u.listed.count, XM_LIST_MAX);
	CU_ASSERT_NOT_EQUAL(r->sent[0].u.listed.cursor, 0);
	m.u.list.cursor = r->sent[0].u.listed.cursor;
	rig_say(r, 0, m);
	CU_ASSERT_EQUAL(r->sent[0].u.listed.count, 3);
	CU_ASSERT_EQUAL(r->sent[0].u.listed.cursor, 0);
	m.u.list.cursor = UINT64_MAX;
	CU_ASSERT_EQUAL(rig_say(r, 0, m)->u.listed.count, 0);
	rig_free(r);
}

/* --- trim ----------------------------------------------------------------- */

static void trim_cuts_the_head_off(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t, head;

	rig_join(r, 0);
	t = rig_alloc(r, 0, 8 * GRANULE);
	rig_write(r, &t.remote, 7);
	rig_ask_trim(r, 0, t.extent, 3 * GRANULE);
	rig_settle(r);
	CU_ASSERT_EQUAL_FATAL(r->sent[0].kind, XM_ALLOCATED);
	head = r->sent[0].u.allocated;
	CU_ASSERT_EQUAL(head.size, 3 * GRANULE);
	CU_ASSERT_NOT_EQUAL(head.extent, t.extent);
	CU_ASSERT_EQUAL(rig_offset(r, &head), rig_offset(r, &t));
	rig_ask_free(r, 0, t.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - 3 * GRANULE);
	/* The head keeps its bytes, the tail is zeroed. */
	CU_ASSERT_EQUAL(r->bytes[rig_offset(r, &head)], 7);
	CU_ASSERT_EQUAL(r->bytes[rig_offset(r, &head) + 3 * GRANULE - 1], 7);
	CU_ASSERT_EQUAL(r->bytes[rig_offset(r, &head) + 3 * GRANULE], 0);
	CU_ASSERT_TRUE(rig_write(r, &head.remote, 8));
	rig_free(r);
}

static void trim_is_not_refused_while_it_drains(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t;

	rig_join(r, 0);
	t = rig_alloc(r, 0, 8 * GRANULE);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_DRAIN,
					       .drain_ms = 1000 });
	CU_ASSERT(rig_refused(rig_ask_alloc(r, 0, 1), ESHUTDOWN, "draining"));
	rig_ask_trim(r, 0, t.extent, 3 * GRANULE);
	rig_settle(r);
	CU_ASSERT_EQUAL_FATAL(r->sent[0].kind, XM_ALLOCATED);
	rig_ask_free(r, 0, t.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - 3 * GRANULE);
	rig_free(r);
}

static void a_given_head_waits_for_the_key_that_covers_it(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t, head, inner;

	rig_join(r, 0);
	t = rig_alloc(r, 0, 8 * GRANULE);
	rig_ask_trim(r, 0, t.extent, 4 * GRANULE);
	rig_settle(r);
	head = r->sent[0].u.allocated;
	rig_ask_trim(r, 0, head.extent, 2 * GRANULE);
	rig_settle(r);
	inner = r->sent[0].u.allocated;
	rig_ask_free(r, 0, inner.extent);
	rig_settle(r);
	rig_ask_free(r, 0, head.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_FREED);
	/* Both of their keys are dead, but the first one still opens them. */
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - 8 * GRANULE);
	CU_ASSERT_TRUE(rig_write(r, &t.remote, 1));
	rig_ask_free(r, 0, t.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	CU_ASSERT_TRUE(rig_is_zero(r, &t));
	rig_free(r);
}

static void trim_refuses_what_is_no_head(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t;

	rig_join(r, 0);
	t = rig_alloc(r, 0, 4 * GRANULE);
	CU_ASSERT(rig_refused(rig_ask_trim(r, 0, t.extent, 0), EINVAL, "multiple"));
	CU_ASSERT(rig_refused(rig_ask_trim(r, 0, t.extent, 1), EINVAL, "multiple"));
	CU_ASSERT(rig_refused(rig_ask_trim(r, 0, t.extent, 4 * GRANULE), EINVAL,
			  "less than"));
	CU_ASSERT(rig_refused(rig_ask_trim(r, 0, t.extent, UINT64_MAX), EINVAL, ""));
	rig_ask_trim(r, 0, t.extent, GRANULE);
	CU_ASSERT(rig_refused(rig_ask_trim(r, 0, t.extent, GRANULE), EBUSY, "wait"));
	CU_ASSERT(rig_refused(rig_ask_free(r, 0, t.extent), EBUSY, "wait"));
	rig_settle(r);
	rig_ask_free(r, 0, t.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_FREED);
	rig_free(r);
}

static void a_trim_that_fails_leaves_the_extent_whole(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t;

	rig_join(r, 0);
	t = rig_alloc(r, 0, 4 * GRANULE);
	rig_write(r, &t.remote, 5);
	r->expose_status = -ENOSPC;
	rig_ask_trim(r, 0, t.extent, GRANULE);
	rig_settle(r);
	CU_ASSERT(rig_refused(&r->sent[0], ENOSPC, "expose"));
	CU_ASSERT_EQUAL(r->service->extents_count, 1);
	CU_ASSERT_EQUAL(r->bytes[rig_offset(r, &t)], 5);
	rig_ask_free(r, 0, t.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	CU_ASSERT_TRUE(rig_is_zero(r, &t));
	rig_free(r);
}

static void a_trim_whose_asker_is_gone_loses_no_bytes(void)
{
	struct rig *r = rig_new();
	struct xm_allocated t;

	rig_join(r, 0);
	t = rig_alloc(r, 0, 4 * GRANULE);
	rig_write(r, &t.remote, 5);
	rig_ask_trim(r, 0, t.extent, GRANULE);
	rig_down(r, 0);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - 4 * GRANULE);
	CU_ASSERT_EQUAL(r->bytes[rig_offset(r, &t)], 5);
	CU_ASSERT_TRUE(rig_write(r, &t.remote, 6));
	rig_free(r);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(an_extent_is_told_after_it_is_exposed),
		XM_TEST(sizes_that_make_no_sense_are_refused),
		XM_TEST(what_needs_a_feature_is_refused_in_words),
		XM_TEST(the_list_names_regions_and_their_parts),
		XM_TEST(a_fragmented_pool_says_what_can_be_had),
		XM_TEST(memory_on_its_way_back_is_said_to_come),
		XM_TEST(extents_are_limited_in_all_and_for_each_client),
		XM_TEST(anothers_extent_is_as_good_as_none),
		XM_TEST(an_extent_that_cannot_be_exposed_is_refused_and_free),
		XM_TEST(an_extent_whose_asker_is_gone_is_taken_back),
		XM_TEST(what_a_request_got_is_told_again_after_a_stream_broke),
		XM_TEST(what_another_client_asked_for_is_not_told),
		XM_TEST(only_the_newest_extents_are_looked_at),
		XM_TEST(the_list_goes_on_at_its_cursor),
		XM_TEST(trim_cuts_the_head_off),
		XM_TEST(trim_is_not_refused_while_it_drains),
		XM_TEST(a_given_head_waits_for_the_key_that_covers_it),
		XM_TEST(trim_refuses_what_is_no_head),
		XM_TEST(a_trim_that_fails_leaves_the_extent_whole),
		XM_TEST(a_trim_whose_asker_is_gone_loses_no_bytes),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("service_extents", tests);
}
