/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pool that is divided among tenants: where each one's memory lies, what the end of one's
 * interface ends, and what its reports are worth.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "tests/unit/service_rig.h"

#define HALF (POOL / 2)

static struct xm_service_place places[2];

/* Tenants one and two have half of the pool each; three has none. */
static struct rig *divided(void)
{
	static struct xm_tenants t;
	struct rig *r = malloc(sizeof(*r));
	static const char *const names[] = { "one", "two", "three" };
	uint32_t other;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	memset(places, 0, sizeof(places));
	xm_tenants_begin(&t);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL_FATAL(xm_tenants_add(&t, names[i]), i);
		CU_ASSERT_EQUAL(xm_tenants_match(&t, (uint32_t)i, names[i], &other), 0);
	}
	for (int i = 0; i < 2; i++) {
		strcpy(places[i].tenant, names[i]);
		places[i].offset = (uint64_t)i * HALF;
		places[i].size = HALF;
		places[i].locator.size = 1;
		places[i].locator.bytes[0] = (uint8_t)(i + 1);
	}
	rig_open(r);
	r->options.places = places;
	r->options.places_count = 2;
	rig_start(r);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_TENANTS, .tenants = &t });
	return r;
}

static const struct xm_message *hello_as(struct rig *r, uint32_t peer, const char *identity)
{
	rig_up_as(r, peer, identity);
	return rig_say(r, peer, rig_hello());
}

static struct xm_welcome join_as(struct rig *r, uint32_t peer, const char *identity)
{
	const struct xm_message *m = hello_as(r, peer, identity);

	CU_ASSERT_EQUAL_FATAL(m->kind, XM_WELCOME);
	return m->u.welcome;
}

static void lose(struct rig *r, uint32_t place)
{
	/* The host forgets what waits for that process. */
	size_t kept = 0;

	for (size_t i = 0; i < r->commands_count; i++)
		if (r->commands[i].place != place)
			r->commands[kept++] = r->commands[i];
	r->commands_count = kept;
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_INTERFACE_LOST,
					       .place = place });
	while (r->service->losing)
		rig_tick(r);
}

static void options_that_do_not_fit_are_refused(void)
{
	struct rig *r = divided();
	char words[XM_WORDS_SIZE];

	places[1].offset += GRANULE;
	CU_ASSERT_EQUAL(xm_service_options_check(&r->options, words), -EINVAL);
	places[1].offset -= GRANULE;
	CU_ASSERT_EQUAL(xm_service_options_check(&r->options, words), 0);
	places[1].size -= GRANULE;
	CU_ASSERT_EQUAL(xm_service_options_check(&r->options, words), -EINVAL);
	places[1].size += GRANULE;
	r->options.durable = true;
	CU_ASSERT_EQUAL(xm_service_options_check(&r->options, words), -EINVAL);
	r->options.durable = false;
	rig_free(r);
}

static void each_tenant_has_its_own_part_and_its_own_interface(void)
{
	struct rig *r = divided();
	struct xm_ticketed ticketed;

	join_as(r, 0, "one");
	join_as(r, 1, "two");
	rig_ask_alloc(r, 1, GRANULE);
	CU_ASSERT_EQUAL_FATAL(r->commands_count, 1);
	CU_ASSERT_EQUAL(r->commands[0].place, 1);
	CU_ASSERT_EQUAL(r->commands[0].offset, 0); /* of its own part */
	CU_ASSERT_EQUAL(r->service->extents[0].offset, HALF);
	rig_ask_alloc(r, 0, HALF);
	CU_ASSERT_EQUAL(r->commands[1].place, 0);
	CU_ASSERT_TRUE(rig_refused(rig_ask_alloc(r, 0, GRANULE), ENOSPC, "free"));
	CU_ASSERT_TRUE(rig_refused(rig_ask_alloc(r, 1, POOL), ENOSPC, "your tenant"));
	rig_say_kind(r, 1, XM_TICKET);
	CU_ASSERT_EQUAL(r->commands[2].place, 1);
	rig_step(r, (struct xm_service_event){
		.kind = XM_SERVICE_ADMITTED, .place = 1,
		.client = r->commands[2].client, .cookie = r->commands[2].cookie });
	CU_ASSERT_EQUAL_FATAL(r->sent[1].kind, XM_TICKETED);
	ticketed = r->sent[1].u.ticketed;
	CU_ASSERT_EQUAL(ticketed.locator.bytes[0], 2);
	rig_free(r);
}

static void who_has_no_part_is_told_so(void)
{
	struct rig *r = divided();

	CU_ASSERT_TRUE(rig_refused(hello_as(r, 0, "three"), EACCES, "isolate"));
	CU_ASSERT_TRUE(rig_refused(hello_as(r, 1, "four"), EACCES, "tenant"));
	rig_free(r);
}

static void a_divided_pool_keeps_its_size(void)
{
	struct rig *r = divided();

	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_RESIZE, .size = HALF });
	CU_ASSERT_EQUAL(r->service->size.goal, POOL);
	rig_free(r);
}

static void the_end_of_an_interface_ends_its_tenants_memory_alone(void)
{
	struct rig *r = divided();
	struct xm_welcome one = join_as(r, 0, "one");
	struct xm_message hello = rig_hello();
	uint64_t extent;

	join_as(r, 1, "two");
	rig_ask_alloc(r, 0, GRANULE);
	rig_ask_alloc(r, 1, GRANULE);
	/* Both are exposed, the second first. */
	for (int i = 1; i >= 0; i--)
		rig_step(r, (struct xm_service_event){
			.kind = XM_SERVICE_EXPOSED, .place = (uint32_t)i,
			.grant = r->commands[i].grant });
	r->commands_count = 0;
	CU_ASSERT_EQUAL_FATAL(r->sent[0].kind, XM_ALLOCATED);
	extent = r->sent[1].u.allocated.extent;
	rig_ask_alloc(r, 0, GRANULE); /* under way when it ends */
	lose(r, 0);
	CU_ASSERT_TRUE(r->dropped[0]);
	CU_ASSERT_FALSE(r->dropped[1]);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	while (r->zero_wanted)
		rig_zero(r);
	CU_ASSERT_EQUAL(r->service->pools[0].free, HALF);
	CU_ASSERT_EQUAL(r->service->pools[1].free, HALF - GRANULE);
	CU_ASSERT_EQUAL(r->service->unclean[0], 0);
	CU_ASSERT_EQUAL(r->commands_count, 0); /* nobody is left to be expelled */
	rig_ask_free(r, 1, extent);
	CU_ASSERT_EQUAL(r->commands_count, 1);
	/* Whoever comes back is told, and may begin anew, at another locator. */
	rig_up_as(r, 2, "one");
	hello.u.hello.client = one.client;
	memcpy(hello.u.hello.secret, one.secret, sizeof(one.secret));
	CU_ASSERT_TRUE(rig_refused(rig_say(r, 2, hello), ESTALE, "process"));
	places[0].locator.bytes[0] = 9;
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_INTERFACE_BACK,
					       .place = 0,
					       .locator = &places[0].locator });
	CU_ASSERT_EQUAL(r->service->places[0].locator.bytes[0], 9);
	CU_ASSERT_EQUAL(rig_say(r, 2, rig_hello())->kind, XM_WELCOME);
	rig_free(r);
}

static bool all_zero(const struct rig *r, uint64_t offset, uint64_t size)
{
	while (size > 0 && r->bytes[offset + size - 1] == 0)
		size--;
	return size == 0;
}

/* Free bytes, too: a stray write of a process that is about to die hits any of its memory. */
static void what_an_interface_may_have_written_to_is_zeroed_before_it_is_lent(void)
{
	struct rig *r = divided();
	unsigned zeros[2] = { 0, 0 };

	join_as(r, 0, "one");
	join_as(r, 1, "two");
	rig_alloc(r, 0, 2 * GRANULE);
	rig_alloc(r, 1, GRANULE);
	memset(r->bytes, 0x5a, POOL);
	lose(r, 0);
	CU_ASSERT_EQUAL_FATAL(hello_as(r, 2, "one")->kind, XM_WELCOME);
	CU_ASSERT_TRUE(rig_refused(rig_ask_alloc(r, 2, GRANULE), ENOSPC, "more soon"));
	CU_ASSERT_EQUAL(r->sent[2].u.refused.soon, HALF);
	/* Others' bytes come in between, and are not waited for. */
	rig_say_kind(r, 1, XM_BYE);
	rig_acknowledge(r);
	while (r->zero_wanted) {
		zeros[r->zero.offset / HALF]++;
		rig_zero(r);
	}
	CU_ASSERT_TRUE(zeros[0] > 2 && zeros[1] == 1);
	CU_ASSERT_TRUE(all_zero(r, 0, HALF));
	CU_ASSERT_FALSE(all_zero(r, HALF, HALF));
	rig_ask_alloc(r, 2, HALF);
	CU_ASSERT_EQUAL(r->commands_count, 1);
	rig_free(r);
}

static void an_interface_that_ends_again_begins_the_zeroing_again(void)
{
	struct rig *r = divided();

	lose(r, 0);
	CU_ASSERT_TRUE_FATAL(r->zero_wanted);
	rig_zero(r);
	CU_ASSERT_TRUE(r->service->unclean[0] < HALF);
	memset(r->bytes, 0x5a, HALF);
	lose(r, 0);
	while (r->zero_wanted)
		rig_zero(r);
	CU_ASSERT_TRUE(all_zero(r, 0, HALF));
	rig_free(r);
}

/* Who has no memory of his own to wait for does not wait for others'. */
static void what_others_get_back_is_nothing_to_wait_for(void)
{
	struct rig *r = divided();

	join_as(r, 0, "one");
	join_as(r, 1, "two");
	rig_alloc(r, 0, HALF);
	rig_alloc(r, 1, HALF);
	rig_say_kind(r, 1, XM_BYE);
	CU_ASSERT_TRUE(r->service->bytes_parting > 0);
	CU_ASSERT_TRUE(rig_refused(rig_ask_alloc(r, 0, GRANULE), ENOSPC, "free"));
	CU_ASSERT_EQUAL(r->sent[0].u.refused.soon, 0);
	rig_free(r);
}

static void a_client_that_says_bye_meanwhile_is_not_waited_for(void)
{
	struct rig *r = divided();

	join_as(r, 0, "one");
	rig_ask_alloc(r, 0, GRANULE);
	rig_say_kind(r, 0, XM_BYE);
	CU_ASSERT_EQUAL(r->service->expelling, 1);
	lose(r, 0);
	CU_ASSERT_EQUAL(r->service->expelling, 0);
	CU_ASSERT_EQUAL(r->service->clients_count, 0);
	CU_ASSERT_TRUE(r->dropped[0]);
	rig_free(r);
}

static void reports_about_others_count_for_nothing(void)
{
	struct rig *r = divided();
	struct xm_welcome two;

	join_as(r, 0, "one");
	two = join_as(r, 1, "two");
	rig_ask_alloc(r, 1, GRANULE);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_EXPOSED, .place = 0,
					       .grant = r->commands[0].grant });
	CU_ASSERT_EQUAL(r->service->grants[0].state, XM_GRANT_EXPOSING);
	rig_say_kind(r, 1, XM_BYE);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_EXPELLED, .place = 0,
					       .client = two.client });
	CU_ASSERT_EQUAL(r->service->clients_count, 2);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_EXPELLED, .place = 1,
					       .client = two.client });
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	rig_free(r);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(options_that_do_not_fit_are_refused),
		XM_TEST(each_tenant_has_its_own_part_and_its_own_interface),
		XM_TEST(who_has_no_part_is_told_so),
		XM_TEST(a_divided_pool_keeps_its_size),
		XM_TEST(the_end_of_an_interface_ends_its_tenants_memory_alone),
		XM_TEST(what_an_interface_may_have_written_to_is_zeroed_before_it_is_lent),
		XM_TEST(an_interface_that_ends_again_begins_the_zeroing_again),
		XM_TEST(what_others_get_back_is_nothing_to_wait_for),
		XM_TEST(a_client_that_says_bye_meanwhile_is_not_waited_for),
		XM_TEST(reports_about_others_count_for_nothing),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("service_places", tests);
}
