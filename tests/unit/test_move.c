/* SPDX-License-Identifier: BSD-3-Clause */
/* The volume's moves: which copies may leave, and what becomes of guests. */
#include <string.h>

#include "core/pure/volume.h"
#include "tests/support/cunit.h"

enum { PAGE = 4096, SEGMENTS = 8, COUNT = 8 };

static struct xm_volume volume;
static struct xm_segment memory[SEGMENTS];
static struct xm_vacancy vacancy;
static struct xm_parted gone;

static void begin(void)
{
	memset(memory, 0, sizeof(memory));
	memset(&vacancy, 0, sizeof(vacancy));
	memset(&gone, 0, sizeof(gone));
	xm_volume_init(&volume, SEGMENTS, PAGE, memory);
}

/* A segment at appliances 0 to members - 1. */
static void add(uint64_t page, uint8_t members)
{
	struct xm_segment s = { .page = page, .count = COUNT,
				.members_count = members };

	for (uint8_t k = 0; k < members; k++) {
		s.members[k].appliance = k;
		s.members[k].extent = 100 + page + k;
		s.members[k].remote.key = 200 + page + k;
	}
	CU_ASSERT_EQUAL_FATAL(xm_volume_add(&volume, &s), 0);
}

static bool leaver(uint32_t appliances, uint32_t reached)
{
	uint32_t cursor = 0;

	return xm_volume_leaver(&volume, appliances, 0, reached, &cursor, &vacancy);
}

/* The segment's copy at appliance 0 is to move to appliance 3. */
static void invite(void)
{
	struct xm_extent_at guest = { .appliance = 3, .extent = 9,
				   .remote = { .key = 90 } };

	CU_ASSERT_TRUE_FATAL(leaver(1, UINT32_MAX));
	CU_ASSERT_TRUE_FATAL(xm_volume_invite(&volume, &vacancy, &guest));
}

static void what_cannot_be_read_does_not_leave(void)
{
	begin();
	add(0, 1);
	add(8, 2);
	CU_ASSERT_TRUE(leaver(1, 1));
	CU_ASSERT_EQUAL(vacancy.page, 0);
	/* The other copy can be read. */
	CU_ASSERT_TRUE(leaver(1, 2));
	CU_ASSERT_EQUAL(vacancy.page, 8);
	CU_ASSERT_EQUAL(vacancy.member, 0);
	CU_ASSERT_FALSE(leaver(1, 4));
}

/* While appliance 3 was asked for the guest's extent another copy was replaced, by one there. */
static void a_guest_does_not_lie_beside_another_copy(void)
{
	struct xm_extent_at guest = { .appliance = 3, .extent = 9 };
	struct xm_extent_at spare = { .appliance = 3, .extent = 10 };
	struct xm_vacancy lost;
	uint32_t cursor = 0, lane = 0;
	uint64_t page, count;

	begin();
	add(0, 2);
	CU_ASSERT_TRUE_FATAL(leaver(1, UINT32_MAX));
	while (xm_volume_lose(&volume, 1, 1, &lane, &page, &count))
		;
	CU_ASSERT_TRUE_FATAL(xm_volume_vacancy(&volume, 0, &cursor, &lost));
	CU_ASSERT_TRUE_FATAL(xm_volume_replace(&volume, &lost, &spare));
	CU_ASSERT_FALSE(xm_volume_invite(&volume, &vacancy, &guest));
	/* Asked again it is chosen with that one in mind. */
	CU_ASSERT_TRUE_FATAL(leaver(1, UINT32_MAX));
	CU_ASSERT_EQUAL(vacancy.used, 1u << 0 | 1u << 3);
	guest.appliance = 2;
	CU_ASSERT_TRUE(xm_volume_invite(&volume, &vacancy, &guest));
}

static void a_guest_that_nothing_can_fill_is_bad(void)
{
	bool bad = true;

	begin();
	add(0, 1);
	invite();
	CU_ASSERT_EQUAL(xm_volume_guests(&volume, 1, &bad), 1);
	CU_ASSERT_FALSE(bad);
	/* The guest itself is nothing to read from. */
	CU_ASSERT_EQUAL(xm_volume_guests(&volume, 8, &bad), 1);
	CU_ASSERT_TRUE(bad);
	CU_ASSERT_TRUE(xm_volume_dismiss(&volume, &gone));
	CU_ASSERT_EQUAL(gone.appliance, 3);
	CU_ASSERT_EQUAL(gone.extent, 9);
	CU_ASSERT_FALSE(xm_volume_needs(&volume, 3));
	CU_ASSERT_EQUAL(xm_volume_guests(&volume, 8, &bad), 0);
}

static void a_guest_takes_the_place_of_the_copy_that_leaves(void)
{
	begin();
	add(0, 2);
	invite();
	CU_ASSERT_TRUE(xm_volume_settle(&volume, 0, &gone));
	CU_ASSERT_EQUAL(gone.appliance, 0);
	CU_ASSERT_EQUAL(gone.extent, 100);
	CU_ASSERT_FALSE(xm_volume_needs(&volume, 0));
	CU_ASSERT_EQUAL(xm_volume_redundant(&volume), 2 | 8);
	CU_ASSERT_FALSE(leaver(1, UINT32_MAX));
}

static bool is_asked_back(uint32_t wants)
{
	uint32_t cursor = 0;

	return xm_volume_leaver(&volume, 0, wants, 7, &cursor, &vacancy);
}

static void what_is_asked_back_is_to_move_as_long_as_it_is(void)
{
	begin();
	add(0, 1);
	add(8, 1);
	xm_volume_divide(&volume, 4, NULL);
	CU_ASSERT_FALSE(is_asked_back(1));
	xm_volume_ask_back(&volume, 0, 1, 100); /* of another lease */
	xm_volume_ask_back(&volume, 1, 0, 100); /* at another appliance */
	CU_ASSERT_FALSE(is_asked_back(1));
	xm_volume_ask_back(&volume, 0, 0, 100);
	CU_ASSERT_TRUE(is_asked_back(1));
	CU_ASSERT_EQUAL(vacancy.page, 0);
	/* Both parts of the segment lie in it, and no other. */
	CU_ASSERT_EQUAL(xm_volume_bytes_wanted(&volume, 1),
			8 * volume.page_size);
	CU_ASSERT_FALSE(is_asked_back(2));
	xm_volume_ask_no_more(&volume, 1);
	CU_ASSERT_FALSE(is_asked_back(1));
}

static void an_extent_is_left_to_the_other_segment_in_it_alone(void)
{
	begin();
	add(0, 1);
	xm_volume_divide(&volume, 4, NULL);
	invite();
	CU_ASSERT_TRUE(xm_volume_settle(&volume, 0, &gone));
	CU_ASSERT_EQUAL(gone.extent, 0);
	CU_ASSERT_EQUAL(gone.size, 4 * volume.page_size); /* not all of it */
	invite();
	CU_ASSERT_EQUAL(vacancy.extent, 100);
	/* The same bytes of an earlier lease are another extent. */
	begin();
	add(0, 1);
	xm_volume_divide(&volume, 4, NULL);
	memory[1].members[0].lease = 1;
	invite();
	CU_ASSERT_TRUE(xm_volume_settle(&volume, 0, &gone));
	CU_ASSERT_EQUAL(gone.extent, 100);
}

/* A TRIM that is never answered keeps no guest, and no guest is filled because of it. */
static void a_guest_leaves_when_its_segment_is_trimmed(void)
{
	struct xm_extent_at heads[XM_MEMBERS_MAX] = { { .extent = 50 } };
	bool bad = false;

	begin();
	add(0, 1);
	invite();
	xm_volume_hold(&volume, 0);
	CU_ASSERT_EQUAL(memory[0].members[1].state, XM_MEMBER_OUT);
	CU_ASSERT_EQUAL(xm_volume_guests(&volume, 1, &bad), 1);
	CU_ASSERT_TRUE(bad);
	CU_ASSERT_EQUAL(xm_volume_fill(&volume, 8), 0);
	CU_ASSERT_FALSE(xm_volume_settle(&volume, 0, &gone));
	CU_ASSERT_FALSE(xm_volume_dismiss(&volume, &gone));
	xm_volume_release(&volume, 0, true);
	xm_volume_divide(&volume, 4, heads);
	CU_ASSERT_FALSE(xm_volume_settle(&volume, 0, &gone));
	/* Head and tail have one extent there. */
	CU_ASSERT_TRUE(xm_volume_dismiss(&volume, &gone));
	CU_ASSERT_EQUAL(gone.extent, 0);
	CU_ASSERT_TRUE(xm_volume_dismiss(&volume, &gone));
	CU_ASSERT_EQUAL(gone.appliance, 3);
	CU_ASSERT_EQUAL(gone.extent, 9);
	CU_ASSERT_FALSE(xm_volume_dismiss(&volume, &gone));
	CU_ASSERT_EQUAL(memory[0].members[0].extent, 50);
	CU_ASSERT_EQUAL(memory[1].members[0].extent, 100);
	/* It may be asked to move again: what its extent is does not matter for that. */
	CU_ASSERT_TRUE(memory[0].unsure);
	CU_ASSERT_TRUE(leaver(1, UINT32_MAX));
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(what_cannot_be_read_does_not_leave),
		XM_TEST(a_guest_does_not_lie_beside_another_copy),
		XM_TEST(a_guest_that_nothing_can_fill_is_bad),
		XM_TEST(a_guest_takes_the_place_of_the_copy_that_leaves),
		XM_TEST(a_guest_leaves_when_its_segment_is_trimmed),
		XM_TEST(an_extent_is_left_to_the_other_segment_in_it_alone),
		XM_TEST(what_is_asked_back_is_to_move_as_long_as_it_is),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("move", tests);
}
