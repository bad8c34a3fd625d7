/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the service machine: what the durable store is told, and when. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/drafts.h"
#include "tests/support/cunit.h"
#include "tests/unit/service_rig.h"

#define A 0
#define C 2
#define KEPT (XM_OFFER_KEEP | XM_OFFER_DURABLE)

static struct rig *begin(struct xm_allocated *ret)
{
	struct rig *r = malloc(sizeof(*r));

	rig_open(r);
	r->options.durable = true;
	rig_start(r);
	rig_join(r, A);
	*ret = rig_alloc(r, A, GRANULE);
	return r;
}

static const struct xm_message *say_offer(struct rig *r, uint32_t peer,
					  uint64_t extent, uint32_t flags, uint32_t ms)
{
	struct xm_message m = { .kind = XM_OFFER };

	m.u.offer.extent = extent;
	m.u.offer.flags = flags;
	m.u.offer.ms = ms;
	m.u.offer.token[3] = 7;
	return rig_say(r, peer, m);
}

static const struct xm_message *say_draft(struct rig *r, uint64_t extent,
					  uint64_t offset, uint64_t size)
{
	struct xm_message m = { .kind = XM_DRAFT };

	m.u.draft.extent = extent;
	m.u.draft.offset = offset;
	m.u.draft.size = size;
	return rig_say(r, A, m);
}

static const struct xm_message *say_persist(struct rig *r, uint64_t extent,
					    uint64_t draft)
{
	struct xm_message m = { .kind = XM_PERSIST };

	m.u.persist.extent = extent;
	m.u.persist.draft = draft;
	return rig_say(r, A, m);
}

/* The store has done the oldest thing that it was told. */
static struct xm_store_command stored(struct rig *r, int status)
{
	struct xm_store_command c = r->told[0];

	CU_ASSERT_FATAL(r->told_count > 0);
	r->told_count--;
	memmove(r->told, r->told + 1, r->told_count * sizeof(c));
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_STORED,
					       .extent = c.extent,
					       .store_kind = c.kind,
					       .status = status });
	return c;
}

static void keep(struct rig *r, uint64_t extent)
{
	say_offer(r, A, extent, KEPT, XM_OFFER_FOR_EVER);
	CU_ASSERT_EQUAL(stored(r, 0).kind, XM_STORE_KEEP);
	CU_ASSERT_EQUAL_FATAL(r->sent[A].kind, XM_OFFERED);
}

static void an_offer_is_answered_when_it_is_durable(void)
{
	struct xm_allocated e;
	struct rig *r = begin(&e);
	struct xm_store_command c;
	uint32_t before = r->sent_count[A];

	say_offer(r, A, e.extent, KEPT, 500);
	CU_ASSERT_EQUAL(r->sent_count[A], before);
	c = stored(r, 0);
	CU_ASSERT_EQUAL(r->sent[A].kind, XM_OFFERED);
	CU_ASSERT_TRUE(c.fresh);
	CU_ASSERT_EQUAL(c.entry.size, GRANULE);
	CU_ASSERT_EQUAL(c.entry.keep_ms, 500);
	CU_ASSERT_EQUAL(c.entry.token[3], 7);
	/* Again: the same extent, so its bytes stay. */
	say_offer(r, A, e.extent, XM_OFFER_KEEP, 600);
	CU_ASSERT_FALSE(stored(r, 0).fresh);
	rig_free(r);
}

/* Its number. */
static uint64_t draft(struct rig *r, uint64_t extent)
{
	say_draft(r, extent, 0, 4096);
	CU_ASSERT_EQUAL(stored(r, 0).kind, XM_STORE_DRAFT);
	CU_ASSERT_EQUAL_FATAL(r->sent[A].kind, XM_DRAFTED);
	return r->sent[A].u.drafted.draft;
}

static void what_is_not_durable_cannot_be_drafted(void)
{
	struct xm_allocated e;
	struct rig *r = begin(&e);

	CU_ASSERT(rig_refused(say_draft(r, e.extent, 0, 4096), EINVAL,
			      "not durable"));
	CU_ASSERT(rig_refused(say_persist(r, e.extent, 1), EINVAL, "not durable"));
	keep(r, e.extent);
	CU_ASSERT(rig_refused(say_draft(r, e.extent, 0, GRANULE + 4096), EINVAL,
			      "within the extent"));
	CU_ASSERT(rig_refused(say_draft(r, e.extent, 0, 0), EINVAL, "pages"));
	CU_ASSERT(rig_refused(say_draft(r, e.extent, 512, 4096), EINVAL, "pages"));
	CU_ASSERT(rig_refused(say_draft(r, e.extent + 1, 0, 4096), ESTALE,
			      "no such extent"));
	say_draft(r, e.extent, 0, 4096);
	CU_ASSERT(rig_refused(say_draft(r, e.extent, 0, 4096), EAGAIN, "again"));
	CU_ASSERT_EQUAL(stored(r, 0).size, 4096);
	CU_ASSERT_EQUAL(r->sent[A].kind, XM_DRAFTED);
	CU_ASSERT(rig_refused(rig_ask_trim(r, A, e.extent, GRANULE / 2), EOPNOTSUPP,
			      "keeps its size"));
	rig_free(r);
}

static void a_draft_is_persisted_once_and_only_the_newest_is(void)
{
	struct xm_allocated e;
	struct rig *r = begin(&e);
	uint64_t first, second;

	keep(r, e.extent);
	CU_ASSERT(rig_refused(say_persist(r, e.extent, 0), EAGAIN, "no such draft"));
	first = draft(r, e.extent);
	say_draft(r, e.extent, 0, 4096);
	CU_ASSERT(rig_refused(say_persist(r, e.extent, first), EAGAIN, "again"));
	stored(r, 0);
	second = r->sent[A].u.drafted.draft;
	CU_ASSERT_NOT_EQUAL(first, second);
	CU_ASSERT(rig_refused(say_persist(r, e.extent, first), EAGAIN,
			      "no such draft"));
	say_persist(r, e.extent, second);
	CU_ASSERT_EQUAL(stored(r, 0).kind, XM_STORE_PERSIST);
	CU_ASSERT_EQUAL(r->sent[A].kind, XM_PERSISTED);
	CU_ASSERT(rig_refused(say_persist(r, e.extent, second), EAGAIN,
			      "no such draft"));
	/* The place of its bytes was taken. */
	say_persist(r, e.extent, draft(r, e.extent));
	stored(r, -EAGAIN);
	CU_ASSERT(rig_refused(&r->sent[A], EAGAIN, "make room"));
	rig_free(r);
}

/* What is added to a draft is one with it, under a new number; and to nothing it is not. */
static void runs_are_added_to_a_draft(void)
{
	struct xm_message m = { .kind = XM_DRAFT };
	struct xm_allocated e;
	struct rig *r = begin(&e);
	uint64_t first;

	keep(r, e.extent);
	m.u.draft = (struct xm_draft){ e.extent, 0, 4096, XM_DRAFT_ALSO };
	CU_ASSERT(rig_refused(rig_say(r, A, m), EAGAIN, "no such draft"));
	first = draft(r, e.extent);
	rig_say(r, A, m);
	CU_ASSERT_TRUE(stored(r, 0).also);
	CU_ASSERT_EQUAL_FATAL(r->sent[A].kind, XM_DRAFTED);
	CU_ASSERT_NOT_EQUAL(r->sent[A].u.drafted.draft, first);
	CU_ASSERT(rig_refused(say_persist(r, e.extent, first), EAGAIN, "no such"));
	rig_say(r, A, m);
	stored(r, -EAGAIN); /* its place was taken */
	CU_ASSERT(rig_refused(&r->sent[A], EAGAIN, "make room"));
	CU_ASSERT(rig_refused(rig_say(r, A, m), EAGAIN, "no such draft"));
	rig_free(r);
}

static void the_bytes_of_a_draft_are_one_behind_the_other(void)
{
	uint8_t *memory = calloc(1, XM_DRAFTS_MEMORY);
	struct xm_drafts d;

	xm_drafts_init(&d, memory);
	CU_ASSERT_PTR_NULL(xm_drafts_add(&d, 3, 0, 4096));
	memset(xm_drafts_take(&d, 3, 0, 8192, 8192), 1, 8192);
	memset(xm_drafts_add(&d, 3, 65536, 4096), 2, 4096);
	CU_ASSERT_EQUAL(xm_drafts_find(&d, 3)->runs_count, 2);
	CU_ASSERT_EQUAL(xm_drafts_find(&d, 3)->bytes[8191], 1);
	CU_ASSERT_EQUAL(xm_drafts_find(&d, 3)->bytes[8192], 2);
	CU_ASSERT_PTR_NULL(xm_drafts_add(&d, 3, 0, XM_DRAFT_MAX - 8192));
	CU_ASSERT_EQUAL(xm_drafts_find(&d, 3)->size, 12288);
	for (uint32_t i = 2; i < XM_DRAFT_RUNS; i++)
		CU_ASSERT_PTR_NOT_NULL(xm_drafts_add(&d, 3, 0, 4096));
	CU_ASSERT_PTR_NULL(xm_drafts_add(&d, 3, 0, 4096));
	xm_drafts_take(&d, 3, 0, 0, 4096);
	CU_ASSERT_EQUAL(xm_drafts_find(&d, 3)->runs_count, 1);
	free(memory);
}

static void drafts_have_so_many_places_and_the_oldest_makes_room(void)
{
	uint8_t *memory = calloc(1, XM_DRAFTS_MEMORY);
	struct xm_drafts d;

	xm_drafts_init(&d, memory);
	for (uint32_t slot = 0; slot < XM_DRAFTS; slot++)
		xm_drafts_take(&d, slot, 0, slot * 4096, 4096)[0] = (uint8_t)slot;
	xm_drafts_take(&d, 0, 0, 0, 4096)[0] = 100;
	CU_ASSERT_EQUAL(xm_drafts_find(&d, 0)->bytes[0], 100);
	xm_drafts_take(&d, XM_DRAFTS, 0, 0, XM_DRAFT_MAX);
	CU_ASSERT_PTR_NULL(xm_drafts_find(&d, 1));
	for (uint32_t slot = 2; slot < XM_DRAFTS; slot++)
		CU_ASSERT_EQUAL(xm_drafts_find(&d, slot)->bytes[0], slot);
	xm_drafts_drop(&d, 5);
	CU_ASSERT_PTR_NULL(xm_drafts_find(&d, 5));
	xm_drafts_take(&d, 1, 0, 0, 4096);
	CU_ASSERT_PTR_NOT_NULL(xm_drafts_find(&d, 2));
	free(memory);
}

static void who_drafts_without_end_displaces_his_own_drafts(void)
{
	uint8_t *memory = calloc(1, XM_DRAFTS_MEMORY);
	struct xm_drafts d;

	xm_drafts_init(&d, memory);
	xm_drafts_take(&d, 0, 1, 0, 4096);
	for (uint32_t slot = 1; slot < 3 * XM_DRAFTS; slot++)
		xm_drafts_take(&d, slot, 2, slot * 4096, 4096);
	CU_ASSERT_PTR_NOT_NULL(xm_drafts_find(&d, 0));
	CU_ASSERT_PTR_NULL(xm_drafts_find(&d, 2 * XM_DRAFTS));
	/* The other one has its share. */
	for (uint32_t slot = 100; slot < 100 + XM_DRAFTS / 2; slot++)
		xm_drafts_take(&d, slot, 1, slot * 4096, 4096);
	for (uint32_t slot = 101; slot < 100 + XM_DRAFTS / 2; slot++)
		CU_ASSERT_PTR_NOT_NULL(xm_drafts_find(&d, slot));
	CU_ASSERT_PTR_NOT_NULL(xm_drafts_find(&d, 3 * XM_DRAFTS - 1));
	free(memory);
}

static void what_is_freed_is_zeroed_when_the_store_has_forgotten_it(void)
{
	struct xm_allocated e;
	struct rig *r = begin(&e);

	keep(r, e.extent);
	rig_ask_free(r, A, e.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - GRANULE);
	CU_ASSERT_EQUAL(stored(r, 0).kind, XM_STORE_FORGET);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL);
	rig_free(r);
}

static void the_token_is_good_for_the_next_claimer_too(void)
{
	struct xm_allocated e;
	struct rig *r = begin(&e);
	struct xm_message claim = { .kind = XM_CLAIM };

	claim.u.claim.token[3] = 7;
	keep(r, e.extent);
	for (uint32_t peer = A; peer < C; peer++) {
		rig_say_kind(r, peer, XM_BYE);
		rig_settle(r);
		rig_join(r, peer + 1);
		rig_say(r, peer + 1, claim);
		rig_settle(r);
		CU_ASSERT_EQUAL_FATAL(r->sent[peer + 1].kind, XM_CLAIMED);
		CU_ASSERT_EQUAL(say_offer(r, peer + 1, e.extent, XM_OFFER_KEEP,
					  0)->kind, XM_OFFERED);
	}
	CU_ASSERT_EQUAL(r->told_count, 0);
	/* An owner that has tied it, or has it for good, ends that. */
	say_offer(r, C, e.extent, XM_OFFER_KEEP, 0);
	CU_ASSERT_EQUAL(stored(r, 0).kind, XM_STORE_FORGET);
	rig_free(r);
}

static void a_store_that_fails_or_ends_is_said_and_memory_goes_on(void)
{
	struct xm_allocated e, f;
	struct rig *r = begin(&e);

	f = rig_alloc(r, A, GRANULE);
	keep(r, e.extent);
	say_persist(r, e.extent, draft(r, e.extent));
	stored(r, -EIO);
	CU_ASSERT(rig_refused(&r->sent[A], EIO, "failed"));
	say_draft(r, e.extent, 0, 4096);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_STORE_ENDED,
					       .status = -EIO });
	CU_ASSERT(rig_refused(&r->sent[A], EIO, "failed"));
	CU_ASSERT(rig_refused(say_offer(r, A, f.extent, KEPT, 500), EIO, "failed"));
	CU_ASSERT_EQUAL(say_offer(r, A, f.extent, XM_OFFER_KEEP, 500)->kind,
			XM_OFFERED);
	rig_ask_free(r, A, e.extent);
	rig_settle(r);
	CU_ASSERT_EQUAL(rig_free_bytes(r), POOL - GRANULE);
	rig_free(r);
}

/* It began with a kept_percent that has become less: what is there stays, and is kept by who
 * claims it; more is not. */
static void what_was_kept_may_be_more_than_may_be_kept(void)
{
	struct xm_allocated e;
	struct rig *r = begin(&e);
	struct xm_store_entry entry;
	struct xm_message claim = { .kind = XM_CLAIM };

	say_offer(r, A, e.extent, KEPT, XM_OFFER_FOR_EVER);
	entry = stored(r, 0).entry;
	rig_free(r);

	r = malloc(sizeof(*r));
	rig_open(r);
	r->options.durable = true;
	r->options.kept_percent = 0;
	rig_start(r);
	CU_ASSERT_EQUAL(xm_service_restore(r->service, 3, &entry, r->now_ns), 0);
	rig_join(r, A);
	claim.u.claim.token[3] = 7;
	rig_say(r, A, claim);
	rig_settle(r);
	CU_ASSERT_EQUAL_FATAL(r->sent[A].kind, XM_CLAIMED);
	say_offer(r, A, r->sent[A].u.claimed.extent, KEPT, XM_OFFER_FOR_EVER);
	CU_ASSERT_EQUAL(stored(r, 0).kind, XM_STORE_KEEP);
	CU_ASSERT_EQUAL(r->sent[A].kind, XM_OFFERED);
	e = rig_alloc(r, A, GRANULE);
	CU_ASSERT(rig_refused(say_offer(r, A, e.extent, KEPT, XM_OFFER_FOR_EVER),
			      ENOSPC, "kept-percent"));
	rig_free(r);
}

static const struct xm_damaged *say_damage(struct rig *r, uint64_t extent,
					   uint64_t offset)
{
	struct xm_message m = { .kind = XM_DAMAGE };

	m.u.damage.extent = extent;
	m.u.damage.offset = offset;
	CU_ASSERT_EQUAL_FATAL(rig_say(r, A, m)->kind, XM_DAMAGED);
	return &r->sent[A].u.damaged;
}

/* Who claims it is told, run by run; and nobody else. */
static void what_the_disk_has_lost_is_told_to_its_owner(void)
{
	struct xm_allocated e;
	struct rig *r = begin(&e);
	struct xm_store_entry entry;
	struct xm_message claim = { .kind = XM_CLAIM }, ask = { .kind = XM_DAMAGE };
	uint64_t extent;

	say_offer(r, A, e.extent, KEPT, 500);
	entry = stored(r, 0).entry;
	rig_free(r);

	r = malloc(sizeof(*r));
	rig_open(r);
	r->options.durable = true;
	rig_start(r);
	CU_ASSERT_EQUAL(xm_service_restore(r->service, 3, &entry, r->now_ns), 0);
	CU_ASSERT_EQUAL(xm_service_damaged(r->service, 3, 0, 512), 0);
	CU_ASSERT_EQUAL(xm_service_damaged(r->service, 3, 512, 512), 0);
	CU_ASSERT_EQUAL(xm_service_damaged(r->service, 3, 2048, 512), 0);
	rig_join(r, A);
	rig_join(r, C);
	claim.u.claim.token[3] = 7;
	rig_say(r, A, claim);
	rig_settle(r);
	CU_ASSERT_EQUAL_FATAL(r->sent[A].kind, XM_CLAIMED);
	extent = r->sent[A].u.claimed.extent;
	CU_ASSERT_EQUAL(say_damage(r, extent, 0)->size, 1024);
	CU_ASSERT_EQUAL(say_damage(r, extent, 1024)->offset, 2048);
	CU_ASSERT_EQUAL(say_damage(r, extent, 2560)->size, 0);
	ask.u.damage.extent = extent;
	CU_ASSERT(rig_refused(rig_say(r, C, ask), ESTALE, "no such extent"));
	e = rig_alloc(r, A, GRANULE);
	CU_ASSERT_EQUAL(say_damage(r, e.extent, 0)->size, 0);
	for (uint64_t i = 2; i < XM_SERVICE_DAMAGE_MAX; i++)
		CU_ASSERT_EQUAL(xm_service_damaged(r->service, 3, 2 * i * 4096, 4096), 0);
	CU_ASSERT_EQUAL(xm_service_damaged(r->service, 3, 0, 4096), -ENOSPC);
	rig_free(r);
}

static const struct xm_message *say_back(struct rig *r, uint64_t extent)
{
	struct xm_message m = { .kind = XM_DRAFT };

	m.u.draft = (struct xm_draft){ extent, 0, 4096, XM_DRAFT_BACK };
	return rig_say(r, A, m);
}

/* What the store has brought back is as it has it, until somebody has had it. */
static void what_is_durable_can_be_put_back(void)
{
	struct xm_allocated e;
	struct rig *r = begin(&e);
	struct xm_store_entry entry;
	struct xm_message claim = { .kind = XM_CLAIM };

	keep(r, e.extent);
	draft(r, e.extent);
	say_back(r, e.extent);
	CU_ASSERT_TRUE(stored(r, 0).back);
	CU_ASSERT_EQUAL_FATAL(r->sent[A].kind, XM_DRAFTED);
	CU_ASSERT_EQUAL(r->sent[A].u.drafted.draft, 0);
	CU_ASSERT(rig_refused(say_persist(r, e.extent, 1), EAGAIN, "no such draft"));
	draft(r, e.extent);
	say_offer(r, A, e.extent, KEPT, 500);
	entry = stored(r, 0).entry;
	rig_free(r);

	r = malloc(sizeof(*r));
	rig_open(r);
	r->options.durable = true;
	rig_start(r);
	CU_ASSERT_EQUAL(xm_service_restore(r->service, 3, &entry, r->now_ns), 0);
	rig_join(r, A);
	claim.u.claim.token[3] = 7;
	for (unsigned time = 0; time < 2; time++) {
		rig_say(r, A, claim);
		rig_settle(r);
		CU_ASSERT_EQUAL_FATAL(r->sent[A].kind, XM_CLAIMED);
		say_back(r, r->sent[A].u.claimed.extent);
		CU_ASSERT_EQUAL(r->told_count, time);
		if (time == 1)
			CU_ASSERT_TRUE(stored(r, 0).back);
		CU_ASSERT_EQUAL(r->sent[A].kind, XM_DRAFTED);
		say_offer(r, A, 0, XM_OFFER_RETURN, 0);
		rig_settle(r);
	}
	rig_free(r);
}

static void what_the_store_brings_back_is_an_orphan_of_its_token(void)
{
	struct xm_allocated e;
	struct rig *r = begin(&e);
	struct xm_store_entry entry;
	struct xm_message claim = { .kind = XM_CLAIM };

	say_offer(r, A, e.extent, KEPT, 500);
	entry = stored(r, 0).entry;
	rig_free(r);

	r = malloc(sizeof(*r));
	rig_open(r);
	r->options.durable = true;
	rig_start(r);
	CU_ASSERT_EQUAL(xm_service_restore(r->service, 3, &entry, r->now_ns), 0);
	CU_ASSERT_EQUAL(xm_service_restore(r->service, 4, &entry, r->now_ns),
			-EINVAL);
	rig_join(r, A);
	claim.u.claim.token[3] = 7;
	rig_say(r, A, claim);
	rig_settle(r);
	CU_ASSERT_EQUAL_FATAL(r->sent[A].kind, XM_CLAIMED);
	CU_ASSERT(r->sent[A].u.claimed.epoch > entry.epoch);
	rig_free(r);
}

static bool drains(struct rig *r)
{
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_DRAIN,
					       .drain_ms = 1000 });
	rig_settle(r);
	return r->effects.drained;
}

/* It is on the store, and comes back from there: a drain does not wait for it. */
static void what_rests_on_the_store_does_not_hold_a_drain(void)
{
	struct xm_allocated e;
	struct rig *r = begin(&e);

	keep(r, e.extent);
	CU_ASSERT_EQUAL(xm_service_held(r->service), GRANULE);
	rig_say_kind(r, A, XM_BYE);
	CU_ASSERT_EQUAL(xm_service_held(r->service), 0);
	CU_ASSERT(drains(r));
	rig_free(r);
}

static void what_waits_in_memory_alone_holds_a_drain(void)
{
	struct xm_allocated e;
	struct rig *r = begin(&e);

	say_offer(r, A, e.extent, XM_OFFER_KEEP, XM_OFFER_FOR_EVER);
	rig_say_kind(r, A, XM_BYE);
	CU_ASSERT_EQUAL(xm_service_held(r->service), GRANULE);
	CU_ASSERT_FALSE(drains(r));
	rig_free(r);
}

static void what_a_store_that_failed_has_holds_a_drain(void)
{
	struct xm_allocated e;
	struct rig *r = begin(&e);

	keep(r, e.extent);
	rig_say_kind(r, A, XM_BYE);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_STORE_ENDED,
					       .status = -EIO });
	CU_ASSERT_FALSE(drains(r));
	rig_free(r);
}

static void without_a_store_nothing_is_durable(void)
{
	struct rig *r = rig_new();
	struct xm_allocated e;

	rig_join(r, A);
	e = rig_alloc(r, A, GRANULE);
	CU_ASSERT(rig_refused(say_offer(r, A, e.extent, KEPT, 500), EOPNOTSUPP,
			      "--store"));
	CU_ASSERT(rig_refused(say_draft(r, e.extent, 0, 4096), EOPNOTSUPP,
			      "--store"));
	rig_free(r);
}

int main(void)
{
	CU_TestInfo tests[] = {
		XM_TEST(an_offer_is_answered_when_it_is_durable),
		XM_TEST(what_is_not_durable_cannot_be_drafted),
		XM_TEST(a_draft_is_persisted_once_and_only_the_newest_is),
		XM_TEST(runs_are_added_to_a_draft),
		XM_TEST(the_bytes_of_a_draft_are_one_behind_the_other),
		XM_TEST(drafts_have_so_many_places_and_the_oldest_makes_room),
		XM_TEST(who_drafts_without_end_displaces_his_own_drafts),
		XM_TEST(what_is_freed_is_zeroed_when_the_store_has_forgotten_it),
		XM_TEST(the_token_is_good_for_the_next_claimer_too),
		XM_TEST(a_store_that_fails_or_ends_is_said_and_memory_goes_on),
		XM_TEST(what_was_kept_may_be_more_than_may_be_kept),
		XM_TEST(what_the_disk_has_lost_is_told_to_its_owner),
		XM_TEST(what_is_durable_can_be_put_back),
		XM_TEST(what_the_store_brings_back_is_an_orphan_of_its_token),
		XM_TEST(what_rests_on_the_store_does_not_hold_a_drain),
		XM_TEST(what_waits_in_memory_alone_holds_a_drain),
		XM_TEST(what_a_store_that_failed_has_holds_a_drain),
		XM_TEST(without_a_store_nothing_is_durable),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("service_durable", tests);
}
