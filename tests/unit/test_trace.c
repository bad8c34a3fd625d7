/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of core/pure/trace.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "core/pure/trace.h"

#define NEGATIVE(code) ((uint64_t)(int64_t)-(code))

static const char *text(enum xm_trace_id id, uint64_t a, uint64_t b, uint64_t c,
			uint64_t d)
{
	static char buffer[XM_TRACE_TEXT_SIZE];
	struct xm_trace_record record = { 5, id, a, b, c, d };

	memset(buffer, '#', sizeof(buffer));
	CU_ASSERT_EQUAL(xm_trace_text(&record, buffer, sizeof(buffer)),
			strlen(buffer));
	return buffer;
}

static void a_record_makes_a_sentence(void)
{
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_PAGER_FETCH, 7, 2, 1, 0),
		"pager.fetch: page 7 is fetched into buffer 2, 1 in all");
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_PAGER_FETCH, UINT64_MAX, 0, 0, 0),
		"pager.fetch: page 18446744073709551615 is fetched into "
		"buffer 0, 0 in all");
}

static void every_form_is_written_as_people_read_it(void)
{
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_SESSION_READY, 1, 0xbeef, 2500 * XM_MS, 0),
		"session.ready: appliance 1 is ready: incarnation 0xbeef, "
		"lease 2.5 s");
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_SESSION_AWAY, 0, NEGATIVE(ETIMEDOUT), 0, 0),
		"session.away: appliance 0 is away: ETIMEDOUT (110)");
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_SESSION_REFUSED, 0, 9, ENOSPC, 0),
		"session.refused: appliance 0 refused request 9: ENOSPC (28)");
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_PAGER_STORED, 3, 0, 0, 0),
		"pager.stored: page 3 was stored: no error");
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_PAGER_STORED, 3, NEGATIVE(9999), 0, 0),
		"pager.stored: page 3 was stored: error 9999");
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_SERVICE_ZEROED, 3, 4097, 2 * XM_MIB, 0),
		"service.zeroed: extent 0x3 was zeroed up to 4097 B of 2 MiB");
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_PAGER_INSTALL, 3, 1, 1, 0),
		"pager.install: page 3 is installed, 1 in all, writable yes");
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_PAGER_FAULT, 3, 0, 4, 0),
		"pager.fault: page 3 faulted, write no, it is locked");
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_PAGER_FAULT, 3, 1, 6, 0),
		"pager.fault: page 3 faulted, write yes, it is ?");
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_SERVICE_QUARANTINED, 3, 999, 0, 0),
		"service.quarantined: extent 0x3 is in quarantine, for 999 ns at most");
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_SERVICE_QUARANTINED, 3, 1001001, 0, 0),
		"service.quarantined: extent 0x3 is in quarantine, for 1.001 ms at most");
	CU_ASSERT_STRING_EQUAL(
		text(XM_TRACE_SERVICE_QUARANTINED, 3, XM_NEVER, 0, 0),
		"service.quarantined: extent 0x3 is in quarantine, for ever at most");
}

static void every_point_has_a_name_and_a_sentence_that_fits(void)
{
	for (unsigned id = 1; id < XM_TRACE_IDS; id++) {
		const char *name = xm_trace_name(id);
		const char *sentence = text(id, UINT64_MAX - 1, UINT64_MAX - 1,
					    UINT64_MAX - 1, UINT64_MAX - 1);

		CU_ASSERT(strchr(name, '.') != NULL);
		CU_ASSERT_NSTRING_EQUAL(sentence, name, strlen(name));
		CU_ASSERT(strlen(sentence) > strlen(name) + 10);
		CU_ASSERT(strlen(sentence) < XM_TRACE_TEXT_SIZE - 1);
		CU_ASSERT(strpbrk(sentence, "{}") == NULL);
		for (unsigned other = 1; other < id; other++)
			CU_ASSERT_STRING_NOT_EQUAL(name, xm_trace_name(other));
	}
	CU_ASSERT_STRING_EQUAL(xm_trace_name(0), "?");
	CU_ASSERT_STRING_EQUAL(xm_trace_name(XM_TRACE_IDS), "?");
	CU_ASSERT_STRING_EQUAL(text((enum xm_trace_id)12345, 0, 0, 0, 0),
			       "?: no such point: 12345");
}

static void a_text_is_cut_to_its_buffer(void)
{
	struct xm_trace_record record = { 5, XM_TRACE_PAGER_FETCH, 7, 2, 0, 0 };
	char whole[XM_TRACE_TEXT_SIZE];
	size_t length = xm_trace_text(&record, whole, sizeof(whole));

	for (size_t size = 1; size <= length + 2; size++) {
		char buffer[XM_TRACE_TEXT_SIZE];

		memset(buffer, '#', sizeof(buffer));
		CU_ASSERT_EQUAL(xm_trace_text(&record, buffer, size),
				size - 1 < length ? size - 1 : length);
		CU_ASSERT_NSTRING_EQUAL(buffer, whole, strlen(buffer));
		CU_ASSERT_EQUAL(buffer[size], '#');
	}
}

static void the_ring_keeps_the_last_records(void)
{
	struct xm_trace_record memory[4];
	struct xm_trace t;

	xm_trace_init(&t, memory, 4);
	CU_ASSERT_PTR_NULL(xm_trace_get(&t, 0));
	for (uint64_t i = 0; i < 10; i++) {
		xm_trace_put(&t, i, XM_TRACE_PAGER_DROP, i, 0, 0, 0);
		CU_ASSERT_PTR_NULL(xm_trace_get(&t, i + 1));
		for (uint64_t k = 0; k <= i; k++) {
			const struct xm_trace_record *r = xm_trace_get(&t, k);

			if (k + 4 <= i)
				CU_ASSERT_PTR_NULL(r);
			if (k + 4 > i)
				CU_ASSERT(r && r->a == k && r->now_ns == k);
		}
	}
	CU_ASSERT_EQUAL(t.count, 10);
	xm_trace_put(NULL, 0, XM_TRACE_PAGER_DROP, 0, 0, 0, 0);
}

static void one_story_has_one_hash_and_another_has_another(void)
{
	struct xm_trace_record memory[2], big[64];
	struct xm_trace first, second;

	/* The size of the ring is no part of the story. */
	xm_trace_init(&first, memory, 2);
	xm_trace_init(&second, big, 64);
	for (uint64_t i = 0; i < 1000; i++) {
		xm_trace_put(&first, i, XM_TRACE_PAGER_DROP, i, 1, 2, 3);
		xm_trace_put(&second, i, XM_TRACE_PAGER_DROP, i, 1, 2, 3);
		CU_ASSERT_EQUAL(first.hash, second.hash);
	}
	for (unsigned field = 0; field < 6; field++) {
		uint64_t word[6] = { 9, XM_TRACE_PAGER_DROP, 9, 9, 9, 9 };
		struct xm_trace a = first, b = second;

		xm_trace_put(&a, word[0], (enum xm_trace_id)word[1], word[2],
			     word[3], word[4], word[5]);
		word[field] ^= 1;
		xm_trace_put(&b, word[0], (enum xm_trace_id)word[1], word[2],
			     word[3], word[4], word[5]);
		CU_ASSERT_NOT_EQUAL(a.hash, b.hash);
	}
	/* Order counts, and so does a record of nothing. */
	xm_trace_put(&first, 1, XM_TRACE_PAGER_DROP, 0, 0, 0, 0);
	xm_trace_put(&first, 1, XM_TRACE_PAGER_STORE, 0, 0, 0, 0);
	xm_trace_put(&second, 1, XM_TRACE_PAGER_STORE, 0, 0, 0, 0);
	xm_trace_put(&second, 1, XM_TRACE_PAGER_DROP, 0, 0, 0, 0);
	CU_ASSERT_NOT_EQUAL(first.hash, second.hash);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_record_makes_a_sentence),
		XM_TEST(every_form_is_written_as_people_read_it),
		XM_TEST(every_point_has_a_name_and_a_sentence_that_fits),
		XM_TEST(a_text_is_cut_to_its_buffer),
		XM_TEST(the_ring_keeps_the_last_records),
		XM_TEST(one_story_has_one_hash_and_another_has_another),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("trace", tests);
}
