/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the service machine: COPY. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "tests/unit/service_rig.h"

#define A 0
#define B 1

static const struct xm_message *say_copy(struct rig *r, uint32_t peer,
					 struct xm_copy_bytes copy)
{
	struct xm_message m = { .kind = XM_COPY_BYTES };

	m.u.copy = copy;
	return rig_say(r, peer, m);
}

/* Where the extent lies in the pool: its key says so. */
static uint64_t place(const struct rig *r, const struct xm_allocated *e)
{
	return r->keys[e->remote.key].offset;
}

static void bytes_are_those_of_the_other_extent_when_it_is_said(void)
{
	struct rig *r = rig_new();
	struct xm_allocated from, to;

	rig_join(r, A);
	from = rig_alloc(r, A, 4 * GRANULE);
	to = rig_alloc(r, A, 4 * GRANULE);
	memset(r->bytes + place(r, &from), 7, 4 * GRANULE);
	CU_ASSERT_EQUAL(say_copy(r, A, (struct xm_copy_bytes){
					       from.extent, GRANULE, to.extent,
					       2 * GRANULE, GRANULE })->kind,
			XM_COPIED);
	for (uint64_t i = 0; i < 4 * GRANULE; i++)
		CU_ASSERT_EQUAL_FATAL(r->bytes[place(r, &to) + i],
				      i / GRANULE == 2 ? 7 : 0);
	/* An answer that was not heard is asked for again. */
	CU_ASSERT_EQUAL(say_copy(r, A, (struct xm_copy_bytes){
					       from.extent, GRANULE, to.extent,
					       2 * GRANULE, GRANULE })->kind,
			XM_COPIED);
	rig_free(r);
}

static void what_is_not_whole_or_not_within_is_refused(void)
{
	struct rig *r = rig_new();
	struct xm_allocated a, b;

	rig_join(r, A);
	a = rig_alloc(r, A, 2 * GRANULE);
	b = rig_alloc(r, A, GRANULE);
	struct xm_copy_bytes bad[] = {
		{ a.extent, 0, b.extent, 0, 0 },
		{ a.extent, 0, b.extent, 0, 100 },
		{ a.extent, 8, b.extent, 0, GRANULE },
		{ a.extent, 0, b.extent, 0, 2 * GRANULE },
		{ a.extent, 2 * GRANULE, b.extent, 0, GRANULE },
		{ a.extent, UINT64_MAX - 4095, b.extent, 0, GRANULE },
		{ a.extent, 0, b.extent, UINT64_MAX - 4095, GRANULE },
		{ a.extent, 0, a.extent, GRANULE, GRANULE },
		{ a.extent, 0, b.extent, 0, XM_COPY_MAX + GRANULE },
	};

	for (size_t i = 0; i < XM_COUNT(bad); i++)
		CU_ASSERT(rig_refused(say_copy(r, A, bad[i]), EINVAL, "pages"));
	rig_free(r);
}

static void of_two_clients_neither_copies_from_or_to_the_other(void)
{
	struct rig *r = rig_new();
	struct xm_allocated mine, others;

	rig_join(r, A);
	rig_join(r, B);
	mine = rig_alloc(r, A, GRANULE);
	others = rig_alloc(r, B, GRANULE);
	r->bytes[place(r, &others)] = 9;
	CU_ASSERT(rig_refused(say_copy(r, A, (struct xm_copy_bytes){
						     others.extent, 0,
						     mine.extent, 0, GRANULE }),
			      ESTALE, "no such extent"));
	CU_ASSERT(rig_refused(say_copy(r, A, (struct xm_copy_bytes){
						     mine.extent, 0,
						     others.extent, 0, GRANULE }),
			      ESTALE, "no such extent"));
	CU_ASSERT_EQUAL(r->bytes[place(r, &mine)], 0);
	CU_ASSERT_EQUAL(r->bytes[place(r, &others)], 9);
	rig_free(r);
}

int main(void)
{
	CU_TestInfo tests[] = {
		XM_TEST(bytes_are_those_of_the_other_extent_when_it_is_said),
		XM_TEST(what_is_not_whole_or_not_within_is_refused),
		XM_TEST(of_two_clients_neither_copies_from_or_to_the_other),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("service_copies", tests);
}
