/* SPDX-License-Identifier: BSD-3-Clause */
/* The volume: its table, how reads and writes are cut into posts, and writes to
 * several members. */
#include <errno.h>
#include <string.h>

#include "core/pure/volume.h"
#include "tests/support/cunit.h"

enum { PAGE = 4096, SEGMENTS = 8, APPLIANCES = 3, EFFORTS = 2 };

static struct xm_volume volume;
static struct xm_segment memory[SEGMENTS];
static struct xm_volume_io io;
static struct xm_path paths[APPLIANCES];
static uint32_t flying[APPLIANCES];
static struct xm_effort efforts[EFFORTS];
static struct xm_volume_posts posts;

/* A segment with a member at each of these appliances, in this order; the bytes
 * of member k begin at offset (k + 1) * PAGE of its span. */
static void add(uint64_t page, uint64_t count, const uint32_t *appliances,
		uint8_t members, uint64_t unit)
{
	struct xm_segment s = { .page = page, .count = count, .unit = unit,
				.members_count = members, .attached = true };

	for (uint8_t k = 0; k < members; k++) {
		s.members[k].appliance = appliances[k];
		s.members[k].extent = 100 * page + k;
		s.members[k].remote.key = 10 * page + k;
		s.members[k].offset = (k + 1u) * PAGE;
	}
	CU_ASSERT_EQUAL_FATAL(xm_volume_add(&volume, &s), 0);
}

static const uint32_t all[] = { 0, 1, 2 };

static void begin(void)
{
	memset(memory, 0, sizeof(memory));
	memset(paths, 0, sizeof(paths));
	memset(&posts, 0, sizeof(posts));
	xm_volume_init(&volume, SEGMENTS, PAGE, memory);
	xm_volume_io_init(&io, &volume, EFFORTS, efforts);
	for (unsigned i = 0; i < APPLIANCES; i++) {
		xm_path_init(&paths[i], XM_SECOND, 0);
		paths[i].state = XM_PATH_UP;
		/* Appliance 1 moves 4 pages at once, the others 8. */
		flying[i] = 0;
		xm_volume_io_add(&io, &paths[i], &flying[i],
				 i == 1 ? 4 * PAGE : 8 * PAGE, i == 2 ? 2 : 4);
	}
}

/* --- the table -------------------------------------------------------------- */

static void a_page_is_where_its_members_are(void)
{
	struct xm_place place;

	begin();
	add(10, 5, all, 2, 0);
	CU_ASSERT_TRUE_FATAL(xm_volume_place(&volume, 13, 1, &place));
	CU_ASSERT_EQUAL(place.appliance, 1);
	CU_ASSERT_EQUAL(place.remote.key, 101);
	CU_ASSERT_EQUAL(place.offset, 5 * PAGE);
	CU_ASSERT_FALSE(xm_volume_place(&volume, 13, 2, &place));
	CU_ASSERT_FALSE(xm_volume_place(&volume, 15, 0, &place));
	CU_ASSERT_FALSE(xm_volume_place(&volume, 9, 0, &place));
}

static void appliances_are_needed_while_a_segment_has_members_there(void)
{
	begin();
	CU_ASSERT_FALSE(xm_volume_needs(&volume, 1));
	add(0, 4, all, 2, 0);
	add(4, 4, all, 1, 0);
	CU_ASSERT_TRUE(xm_volume_needs(&volume, 1));
	CU_ASSERT_FALSE(xm_volume_needs(&volume, 2));
	xm_volume_remove(&volume, 0);
	CU_ASSERT_FALSE(xm_volume_needs(&volume, 1));
	CU_ASSERT_TRUE(xm_volume_needs(&volume, 0));
}

static void a_divided_segment_keeps_its_tail_under_the_old_extent(void)
{
	struct xm_extent_at heads[2] = {
		{ .extent = 7, .remote = { .key = 70 } },
		{ .extent = 8, .remote = { .key = 80 } },
	};
	struct xm_backing s;
	struct xm_place place;

	begin();
	add(10, 6, all, 2, 0);
	xm_volume_divide(&volume, 12, heads);
	CU_ASSERT_TRUE_FATAL(xm_volume_backing(&volume, 11, &s));
	CU_ASSERT_EQUAL(s.count, 2);
	CU_ASSERT_EQUAL(s.list[1].at.extent, 8);
	CU_ASSERT_TRUE_FATAL(xm_volume_place(&volume, 11, 1, &place));
	CU_ASSERT_EQUAL(place.remote.key, 80);
	CU_ASSERT_EQUAL(place.offset, PAGE);
	CU_ASSERT_TRUE_FATAL(xm_volume_backing(&volume, 12, &s));
	CU_ASSERT_EQUAL(s.count, 4);
	CU_ASSERT_EQUAL(s.list[1].at.extent, 1001);
	CU_ASSERT_TRUE_FATAL(xm_volume_place(&volume, 12, 1, &place));
	CU_ASSERT_EQUAL(place.remote.key, 101);
	CU_ASSERT_EQUAL(place.offset, (2 + 2) * PAGE);
}

static void a_lost_segment_is_divided_here_alone(void)
{
	uint64_t page, count;
	uint32_t cursor = 0;

	begin();
	add(10, 6, all, 1, 0);
	CU_ASSERT_TRUE(xm_volume_lose(&volume, 0, 1, &cursor, &page, &count));
	xm_volume_divide(&volume, 12, NULL);
	xm_volume_remove(&volume, 10);
	CU_ASSERT_FALSE(xm_volume_any_lost(&volume, 10, 12));
	CU_ASSERT_TRUE(xm_volume_any_lost(&volume, 10, 13));
	xm_volume_remove(&volume, 12);
	CU_ASSERT_FALSE(xm_volume_any_lost(&volume, 0, 100));
}

static void what_the_mapper_has_is_found_in_order(void)
{
	begin();
	add(10, 4, all, 1, 0);
	add(14, 4, all, 1, 0);
	add(30, 4, all, 1, 0);
	xm_volume_set_attached(&volume, 10, 18, false);
	CU_ASSERT_EQUAL(xm_volume_attached_from(&volume, 0, 100), 30);
	CU_ASSERT_EQUAL(xm_volume_attached_from(&volume, 32, 100), 32);
	CU_ASSERT_EQUAL(xm_volume_attached_from(&volume, 34, 100), 100);
	CU_ASSERT_EQUAL(xm_volume_attached_from(&volume, 0, 20), 20);
}

/* --- loss ------------------------------------------------------------------- */

static void a_segment_is_lost_with_its_last_member(void)
{
	uint64_t page, count;
	uint32_t cursor = 0;
	bool lost;

	begin();
	add(0, 4, all, 2, 0);
	add(4, 4, all, 1, 0);
	CU_ASSERT_TRUE_FATAL(xm_volume_lose(&volume, 0, 1, &cursor, &page,
					    &count));
	CU_ASSERT_EQUAL(page, 4);
	CU_ASSERT_EQUAL(count, 4);
	CU_ASSERT_FALSE(xm_volume_lose(&volume, 0, 1, &cursor, &page, &count));
	CU_ASSERT_FALSE(xm_volume_any_lost(&volume, 0, 4));
	CU_ASSERT_TRUE(xm_volume_any_lost(&volume, 3, 5));
	CU_ASSERT_EQUAL(xm_volume_appliances(&volume, 0, &lost), 3);
	CU_ASSERT_FALSE(lost);
	cursor = 0;
	CU_ASSERT_TRUE_FATAL(xm_volume_lose(&volume, 1, 1, &cursor, &page,
					    &count));
	CU_ASSERT_EQUAL(page, 0);
	CU_ASSERT_EQUAL(xm_volume_appliances(&volume, 0, &lost), 3);
	CU_ASSERT_TRUE(lost);
	/* Another lane hears of it, too. */
	cursor = 0;
	CU_ASSERT_TRUE(xm_volume_lose(&volume, 1, 1, &cursor, &page, &count));
}

static void what_was_taken_under_a_later_lease_is_not_lost(void)
{
	uint64_t page, count;
	uint32_t cursor = 0;

	begin();
	add(0, 4, all, 1, 0);
	memory[0].members[0].lease = 2;
	CU_ASSERT_FALSE(xm_volume_lose(&volume, 0, 2, &cursor, &page, &count));
	cursor = 0;
	CU_ASSERT_TRUE(xm_volume_lose(&volume, 0, 3, &cursor, &page, &count));
}

/* --- reads ------------------------------------------------------------------ */

static void a_read_goes_to_one_member(void)
{
	begin();
	add(10, 8, all, 2, 0);
	CU_ASSERT_EQUAL(xm_volume_read(&io, 12, 5, 100, &posts), 0);
	CU_ASSERT_EQUAL(posts.size, 100);
	CU_ASSERT_EQUAL_FATAL(posts.count, 1);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 0);
	CU_ASSERT_EQUAL(posts.list[0].remote->key, 100);
	CU_ASSERT_EQUAL(posts.list[0].offsets[0], 3 * PAGE + 5);
}

static void a_read_goes_to_a_member_that_is_up_and_not_lost(void)
{
	uint64_t page, count;
	uint32_t cursor = 0;
	struct xm_volume_page at;

	begin();
	add(10, 8, all, 3, 0);
	paths[0].state = XM_PATH_DOWN;
	CU_ASSERT_EQUAL(xm_volume_read(&io, 10, 0, PAGE, &posts), 0);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 1);
	xm_volume_lose(&volume, 1, 1, &cursor, &page, &count);
	CU_ASSERT_EQUAL(xm_volume_read(&io, 10, 0, PAGE, &posts), 0);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 2);
	CU_ASSERT_EQUAL(xm_volume_reach(&io, 10, 0), XM_REACH_UP);
	paths[2].state = XM_PATH_DOWN;
	CU_ASSERT_EQUAL(xm_volume_read(&io, 10, 0, PAGE, &posts),
			-ENOTCONN);
	CU_ASSERT_EQUAL(posts.size, PAGE);
	CU_ASSERT_EQUAL(xm_volume_reach(&io, 10, 0), XM_REACH_DOWN);
	CU_ASSERT_EQUAL(xm_volume_reach(&io, 10, 60 * XM_SECOND), XM_REACH_LOST);
	CU_ASSERT_TRUE_FATAL(xm_volume_look(&io, 10, 0, &at));
	CU_ASSERT_EQUAL(at.appliance, 0);
	CU_ASSERT_EQUAL(at.first, 10);
	CU_ASSERT_EQUAL(at.limit, 18);
}

static void a_read_is_cut_at_a_segment_a_unit_and_an_operations_size(void)
{
	begin();
	add(8, 8, all, 1, 0);
	add(16, 16, all, 1, 4);
	CU_ASSERT_EQUAL(xm_volume_read(&io, 14, 0, 9 * PAGE, &posts), 0);
	CU_ASSERT_EQUAL(posts.size, 2 * PAGE);
	CU_ASSERT_EQUAL(xm_volume_read(&io, 17, 0, 9 * PAGE, &posts), 0);
	CU_ASSERT_EQUAL(posts.size, 3 * PAGE);
	CU_ASSERT_EQUAL(xm_volume_most(&io, 8 * PAGE + 1), 8 * PAGE - 1);
	add(40, 16, all + 1, 1, 0);
	CU_ASSERT_EQUAL(xm_volume_most(&io, 40 * PAGE), 4 * PAGE);
	CU_ASSERT_EQUAL(xm_volume_most(&io, 100 * PAGE), 0);
}

static void what_is_not_there_or_lost_is_told_apart(void)
{
	uint64_t page, count;
	uint32_t cursor = 0;

	begin();
	CU_ASSERT_EQUAL(xm_volume_read(&io, 0, 0, 1, &posts), -ERANGE);
	CU_ASSERT_EQUAL(xm_volume_write(&io, 0, 0, 1, &posts), -ERANGE);
	CU_ASSERT_EQUAL(xm_volume_reach(&io, 0, 0), XM_REACH_LOST);
	add(0, 4, all, 1, 0);
	xm_volume_lose(&volume, 0, 1, &cursor, &page, &count);
	CU_ASSERT_EQUAL(xm_volume_read(&io, 0, 0, 1, &posts), -ESTALE);
	CU_ASSERT_EQUAL(xm_volume_write(&io, 0, 0, 1, &posts), -ESTALE);
	CU_ASSERT_EQUAL(xm_volume_scatter(&io, &page, 1, &posts), -ESTALE);
	CU_ASSERT_EQUAL(xm_volume_reach(&io, 0, 0), XM_REACH_LOST);
}

/* --- writes ----------------------------------------------------------------- */

static void a_write_goes_to_every_member_that_is_not_lost(void)
{
	uint64_t page, count;
	uint32_t cursor = 0;

	begin();
	add(0, 16, all, 3, 0);
	CU_ASSERT_EQUAL(xm_volume_write(&io, 2, 0, 9 * PAGE, &posts), 0);
	CU_ASSERT_EQUAL(posts.size, 4 * PAGE); /* the least of the three */
	CU_ASSERT_EQUAL_FATAL(posts.count, 3);
	for (unsigned k = 0; k < 3; k++) {
		CU_ASSERT_EQUAL(posts.list[k].appliance, k);
		CU_ASSERT_EQUAL(posts.list[k].offsets[0], (k + 3) * PAGE);
	}
	xm_volume_lose(&volume, 1, 1, &cursor, &page, &count);
	CU_ASSERT_EQUAL(xm_volume_write(&io, 2, 0, PAGE, &posts), 0);
	CU_ASSERT_EQUAL_FATAL(posts.count, 2);
	CU_ASSERT_EQUAL(posts.list[1].member, 2);
	paths[2].state = XM_PATH_DOWN;
	CU_ASSERT_EQUAL(xm_volume_write(&io, 2, 0, PAGE, &posts),
			-ENOTCONN);
}

static void a_scattered_write_ends_with_its_segment_and_its_limits(void)
{
	uint64_t pages[] = { 3, 0, 2, 9, 1 };

	begin();
	add(0, 8, all, 1, 0);
	add(8, 8, all, 1, 0);
	CU_ASSERT_EQUAL(xm_volume_scatter(&io, pages, 5, &posts), 0);
	CU_ASSERT_EQUAL(posts.size, 3 * PAGE);
	CU_ASSERT_EQUAL(posts.page, 3);
	CU_ASSERT_EQUAL(posts.list[0].offsets[0], 4 * PAGE);
	CU_ASSERT_EQUAL(posts.list[0].offsets[2], 3 * PAGE);
	CU_ASSERT_EQUAL(xm_volume_scatter(&io, pages + 3, 2, &posts), 0);
	CU_ASSERT_EQUAL(posts.size, PAGE);
	add(16, 8, all + 1, 2, 0); /* appliance 2 takes two pieces */
	pages[0] = 16, pages[1] = 18, pages[2] = 20;
	CU_ASSERT_EQUAL(xm_volume_scatter(&io, pages, 3, &posts), 0);
	CU_ASSERT_EQUAL(posts.size, 2 * PAGE);
	CU_ASSERT_EQUAL(posts.count, 2);
	CU_ASSERT_EQUAL(posts.list[1].offsets[1], 4 * PAGE);
}

static struct xm_effort_end ended;

static uint32_t effort_begin(void)
{
	CU_ASSERT_EQUAL_FATAL(xm_volume_write(&io, 0, 0, PAGE, &posts), 0);
	CU_ASSERT_TRUE(posts.several);
	ended.status = 1;
	return xm_effort_begin(&io, &posts);
}

static bool effort_end(uint32_t effort, uint8_t member, int status)
{
	return xm_effort_part_ended(&io, effort, member, 0, status, &ended);
}

static void a_write_to_several_ends_once_when_all_have_ended(void)
{
	uint32_t effort;

	begin();
	add(0, 8, all, 2, 0);
	effort = effort_begin();
	CU_ASSERT_FALSE(effort_end(effort, 0, 0));
	CU_ASSERT_FALSE(xm_effort_posted(&io, effort, &ended));
	CU_ASSERT_TRUE(effort_end(effort, 1, 0));
	CU_ASSERT_EQUAL(ended.status, 0);
	CU_ASSERT_FALSE(ended.lacking);
}

static void a_write_fails_with_a_member_that_is_not_lost(void)
{
	uint32_t effort;

	begin();
	add(0, 8, all, 2, 0);
	effort = effort_begin();
	CU_ASSERT_FALSE(effort_end(effort, 1, -EAGAIN));
	CU_ASSERT_FALSE(effort_end(effort, 0, 0));
	CU_ASSERT_TRUE(xm_effort_posted(&io, effort, &ended));
	CU_ASSERT_EQUAL(ended.status, -EAGAIN);
}

static void a_member_that_is_lost_meanwhile_is_not_needed(void)
{
	uint64_t page, count;
	uint32_t effort, cursor = 0;

	begin();
	add(0, 8, all, 2, 0);
	effort = effort_begin();
	xm_effort_posted(&io, effort, &ended);
	effort_end(effort, 0, 0);
	xm_volume_lose(&volume, 1, 1, &cursor, &page, &count);
	CU_ASSERT_TRUE(effort_end(effort, 1, -ECANCELED));
	CU_ASSERT_EQUAL(ended.status, 0);
	CU_ASSERT_FALSE(ended.lacking);
}

static void a_member_that_has_left_meanwhile_is_not_needed_and_lacks_it(void)
{
	uint32_t effort;

	begin();
	add(0, 8, all, 2, 0);
	effort = effort_begin();
	xm_effort_posted(&io, effort, &ended);
	effort_end(effort, 0, 0);
	CU_ASSERT_EQUAL(xm_volume_drop(&volume, 1 << 1), 1);
	CU_ASSERT_TRUE(effort_end(effort, 1, -ECANCELED));
	CU_ASSERT_EQUAL(ended.status, 0);
	CU_ASSERT_TRUE(ended.lacking);
}

static void a_member_that_comes_back_meanwhile_is_needed(void)
{
	uint32_t effort;

	begin();
	add(0, 8, all, 2, 0);
	xm_volume_drop(&volume, 1 << 1);
	effort = effort_begin();
	CU_ASSERT_EQUAL(posts.count, 1);
	xm_effort_posted(&io, effort, &ended);
	CU_ASSERT_EQUAL(xm_volume_fill(&volume, 1 << 1), 1);
	CU_ASSERT_TRUE(effort_end(effort, 0, 0));
	CU_ASSERT_EQUAL(ended.status, -ECANCELED);
}

static void what_another_in_the_same_place_has_does_not_count(void)
{
	uint32_t effort;

	begin();
	add(0, 8, all, 2, 0);
	effort = effort_begin();
	xm_effort_posted(&io, effort, &ended);
	effort_end(effort, 0, 0);
	memory[0].members[1].taken++;
	CU_ASSERT_TRUE(effort_end(effort, 1, 0));
	CU_ASSERT_NOT_EQUAL(ended.status, 0);
	CU_ASSERT_FALSE(xm_volume_trusts(&io, 0, 1, 0));
	CU_ASSERT_TRUE(xm_volume_trusts(&io, 0, 1, 1));
}

static void efforts_are_used_again(void)
{
	begin();
	add(0, 8, all, 2, 0);
	for (unsigned i = 0; i < 5; i++) {
		uint32_t a = effort_begin(), b = effort_begin();

		CU_ASSERT_NOT_EQUAL(a, b);
		for (uint8_t member = 0; member < 2; member++) {
			effort_end(a, member, 0);
			effort_end(b, member, 0);
		}
		CU_ASSERT_TRUE(xm_effort_posted(&io, a, &ended));
		CU_ASSERT_TRUE(xm_effort_posted(&io, b, &ended));
	}
}

/* --- views ------------------------------------------------------------------ */

static void a_member_that_has_left_is_neither_read_nor_written(void)
{
	struct xm_place place;

	begin();
	add(0, 8, all, 2, 0);
	CU_ASSERT_TRUE(xm_volume_is_whole(&io, 0));
	CU_ASSERT_EQUAL(xm_volume_drop(&volume, 1 << 0), 1);
	CU_ASSERT_EQUAL(xm_volume_read(&io, 0, 0, PAGE, &posts), 0);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 1);
	CU_ASSERT_EQUAL(xm_volume_write(&io, 0, 0, PAGE, &posts), 0);
	CU_ASSERT_EQUAL(posts.count, 1);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 1);
	CU_ASSERT_FALSE(xm_volume_place(&volume, 0, 0, &place));
	CU_ASSERT_TRUE(xm_volume_lacks(&io, 0));
	paths[0].state = XM_PATH_DOWN; /* of no concern any more */
	CU_ASSERT_EQUAL(xm_volume_write(&io, 0, 0, PAGE, &posts), 0);
}

static void a_member_that_is_filled_is_written_and_not_read(void)
{
	uint64_t page = 0, limit = 0;

	begin();
	add(10, 8, all, 2, 0);
	CU_ASSERT_FALSE(xm_volume_filling(&volume, 0, &page, &limit));
	xm_volume_drop(&volume, 1 << 0);
	xm_volume_fill(&volume, 1 << 0);
	CU_ASSERT_TRUE_FATAL(xm_volume_filling(&volume, 12, &page, &limit));
	CU_ASSERT_EQUAL(page, 12);
	CU_ASSERT_EQUAL(limit, 18);
	CU_ASSERT_FALSE(xm_volume_filling(&volume, 18, &page, &limit));
	xm_volume_read(&io, 10, 0, PAGE, &posts);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 1);
	xm_volume_write(&io, 10, 0, PAGE, &posts);
	CU_ASSERT_EQUAL(posts.count, 2);
	CU_ASSERT_EQUAL(xm_volume_mend(&io, 11, 2, &posts), 0);
	CU_ASSERT_EQUAL_FATAL(posts.count, 1);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 0);
	CU_ASSERT_EQUAL(posts.list[0].offsets[0], 2 * PAGE);
	CU_ASSERT_EQUAL(posts.size, 2 * PAGE);
	CU_ASSERT_FALSE(xm_volume_lacks(&io, 10));
	CU_ASSERT_FALSE(xm_volume_is_whole(&io, 10));
	xm_volume_admit(&volume, 1 << 0);
	CU_ASSERT_TRUE(xm_volume_is_whole(&io, 10));
	CU_ASSERT_EQUAL(xm_volume_mend(&io, 11, 2, &posts), -ENOENT);
}

static void the_last_member_that_is_in_stays(void)
{
	struct xm_volume_census census;

	begin();
	add(0, 8, all, 2, 0);
	add(8, 8, all, 3, 0);
	add(16, 8, all, 1, 0); /* is of no view */
	CU_ASSERT_EQUAL(xm_volume_drop(&volume, 1 << 0 | 1 << 1), 2);
	xm_volume_members(&volume, &census);
	CU_ASSERT_EQUAL(census.members[XM_MEMBER_IN], 3);
	CU_ASSERT_EQUAL(census.members[XM_MEMBER_OUT], 2);
	CU_ASSERT_EQUAL(memory[0].members[0].state, XM_MEMBER_IN);
	CU_ASSERT_EQUAL(memory[1].members[0].state, XM_MEMBER_OUT);
	CU_ASSERT_EQUAL(memory[2].members[0].state, XM_MEMBER_IN);
	/* Appliance 0 is back, so 1 can go where it is. */
	xm_volume_fill(&volume, 1 << 0);
	xm_volume_admit(&volume, 1 << 0);
	CU_ASSERT_EQUAL(xm_volume_drop(&volume, 1 << 1), 1);
	CU_ASSERT_EQUAL(memory[0].members[1].state, XM_MEMBER_OUT);
}

static void a_segment_whose_only_member_that_is_in_is_lost_is_lost(void)
{
	uint64_t page, count;
	uint32_t cursor = 0;

	begin();
	add(0, 8, all, 2, 0);
	xm_volume_drop(&volume, 1 << 1);
	CU_ASSERT_TRUE(xm_volume_lose(&volume, 0, 1, &cursor, &page, &count));
	CU_ASSERT_EQUAL(xm_volume_read(&io, 0, 0, PAGE, &posts), -ESTALE);
}

static bool find_vacancy(uint32_t appliances, struct xm_vacancy *ret)
{
	uint32_t cursor = 0;

	return xm_volume_vacancy(&volume, appliances, &cursor, ret);
}

static void a_member_that_will_not_come_back_is_replaced(void)
{
	struct xm_extent_at member = { .appliance = 2, .extent = 9,
				    .remote = { .key = 90 } };
	struct xm_vacancy vacancy;
	uint32_t effort;

	begin();
	add(0, 8, all, 1, 0); /* is no mirror */
	add(8, 8, all, 2, 0);
	CU_ASSERT_FALSE(find_vacancy(3, &vacancy));
	CU_ASSERT_EQUAL_FATAL(xm_volume_write(&io, 8, 0, PAGE, &posts), 0);
	effort = xm_effort_begin(&io, &posts);
	effort_end(effort, 0, 0);
	effort_end(effort, 1, 0); /* the one that leaves has it */
	xm_volume_drop(&volume, 1 << 1);
	CU_ASSERT_FALSE(find_vacancy(1, &vacancy));
	CU_ASSERT_TRUE_FATAL(find_vacancy(2, &vacancy));
	CU_ASSERT_EQUAL(vacancy.page, 8);
	CU_ASSERT_EQUAL(vacancy.size, 8 * PAGE);
	CU_ASSERT_EQUAL(vacancy.member, 1);
	CU_ASSERT_EQUAL(vacancy.used, 3);
	CU_ASSERT_FALSE(vacancy.lost);
	CU_ASSERT_TRUE(xm_volume_replace(&volume, &vacancy, &member));
	xm_effort_forget(&io, vacancy.page, vacancy.count, vacancy.member);
	CU_ASSERT_FALSE(xm_volume_needs(&volume, 1));
	CU_ASSERT_TRUE(xm_volume_needs(&volume, 2));
	CU_ASSERT_EQUAL(memory[1].members[1].state, XM_MEMBER_FILLING);
	/* It is another one now, and what that had does not count. */
	CU_ASSERT_TRUE(xm_effort_posted(&io, effort, &ended));
	CU_ASSERT_NOT_EQUAL(ended.status, 0);
	CU_ASSERT_FALSE(xm_volume_replace(&volume, &vacancy, &member));
}

/* A segment was divided, and both parts lie in one extent: the last of them gives it back. */
static void an_extent_of_two_segments_goes_with_the_second(void)
{
	struct xm_extent_at member = { .appliance = 2, .extent = 9,
				    .remote = { .key = 90 } };
	struct xm_vacancy vacancy;

	begin();
	add(8, 8, all, 2, 0);
	xm_volume_divide(&volume, 12, NULL);
	xm_volume_drop(&volume, 1 << 1);
	CU_ASSERT_TRUE_FATAL(find_vacancy(2, &vacancy));
	CU_ASSERT_NOT_EQUAL(vacancy.extent, 0);
	CU_ASSERT_TRUE(xm_volume_replace(&volume, &vacancy, &member));
	CU_ASSERT_EQUAL(vacancy.extent, 0);
	member.extent = 10;
	member.remote.key = 91;
	CU_ASSERT_TRUE_FATAL(find_vacancy(2, &vacancy));
	CU_ASSERT_TRUE(xm_volume_replace(&volume, &vacancy, &member));
	CU_ASSERT_NOT_EQUAL(vacancy.extent, 0);
}

static void no_member_is_replaced_while_its_segment_is_trimmed(void)
{
	struct xm_extent_at member = { .appliance = 2, .extent = 9,
				    .remote = { .key = 90 } };
	struct xm_vacancy vacancy;

	begin();
	add(8, 8, all, 2, 0);
	xm_volume_drop(&volume, 1 << 1);
	CU_ASSERT_TRUE_FATAL(find_vacancy(2, &vacancy));
	xm_volume_hold(&volume, 8);
	CU_ASSERT_FALSE(xm_volume_replace(&volume, &vacancy, &member));
	CU_ASSERT_FALSE(find_vacancy(2, &vacancy));
	/* Not answered at the second: it can be replaced, and then all is sure. */
	xm_volume_release(&volume, 8, 1u << 1);
	CU_ASSERT_TRUE(memory[0].unsure);
	CU_ASSERT_TRUE_FATAL(find_vacancy(2, &vacancy));
	CU_ASSERT_TRUE(xm_volume_replace(&volume, &vacancy, &member));
	CU_ASSERT_FALSE(memory[0].unsure);
}

/* Pages 8 to 15 at two members, the second of which is unsure. */
static void half_trimmed(void)
{
	begin();
	add(8, 8, all, 2, 0);
	xm_volume_hold(&volume, 8);
	xm_volume_release(&volume, 8, 1u << 1);
	CU_ASSERT_TRUE(memory[0].unsure);
}

static void a_trim_that_came_to_nothing_changes_nothing(void)
{
	struct xm_extent_at heads[XM_MEMBERS_MAX] = { 0 };
	uint64_t extent;
	uint32_t known = 0;
	bool tails = true;

	half_trimmed();
	extent = memory[0].members[1].extent;
	CU_ASSERT_EQUAL(xm_volume_settle_trim(&volume, 8, 0, &known, heads,
					      &tails), -EBUSY);
	CU_ASSERT_TRUE(memory[0].unsure);
	known = 1u << 1;
	CU_ASSERT_EQUAL(xm_volume_settle_trim(&volume, 8, 0, &known, heads,
					      &tails), 0);
	CU_ASSERT_FALSE(memory[0].unsure);
	CU_ASSERT_FALSE(tails);
	CU_ASSERT_EQUAL(memory[0].count, 8);
	CU_ASSERT_EQUAL(memory[0].members[1].extent, extent);
}

static void what_a_trim_cut_off_divides_its_segment(void)
{
	struct xm_extent_at heads[XM_MEMBERS_MAX] = {
		[1] = { .extent = 50, .remote = { .key = 51 } },
	};
	uint64_t first, second;
	uint32_t known = 1u << 1;
	bool tails = true;

	half_trimmed();
	first = memory[0].members[0].extent;
	second = memory[0].members[1].extent;
	CU_ASSERT_EQUAL(xm_volume_settle_trim(&volume, 8, 2, &known, heads,
					      &tails), 0);
	CU_ASSERT_FALSE(tails);
	CU_ASSERT_EQUAL(memory[0].count, 2);
	CU_ASSERT_EQUAL(memory[1].count, 6);
	CU_ASSERT_FALSE(memory[0].unsure || memory[1].unsure);
	CU_ASSERT_EQUAL(memory[0].members[0].extent, first);
	CU_ASSERT_EQUAL(memory[1].members[0].extent, 0);
	CU_ASSERT_EQUAL(memory[0].members[1].extent, 50);
	CU_ASSERT_EQUAL(memory[0].members[1].remote.key, 51);
	CU_ASSERT_EQUAL(memory[1].members[1].extent, second);
}

/* The tail was given back meanwhile, without its number. */
static void a_head_that_is_all_there_is_leaves_a_tail_to_free(void)
{
	struct xm_extent_at heads[XM_MEMBERS_MAX] = {
		[1] = { .extent = 50, .remote = { .key = 51 } },
	};
	uint32_t known = 1u << 1;
	bool tails = false;

	half_trimmed();
	CU_ASSERT_EQUAL(xm_volume_settle_trim(&volume, 8, 8, &known, heads,
					      &tails), 0);
	CU_ASSERT_TRUE(tails);
	CU_ASSERT_EQUAL(memory[0].count, 8);
	CU_ASSERT_FALSE(memory[0].unsure);
	CU_ASSERT_EQUAL(memory[0].members[1].extent, 50);
	CU_ASSERT_EQUAL(memory[0].members[1].offset, 0);
}

static void reads_take_turns_and_avoid_the_busy(void)
{
	begin();
	add(0, 256, all, 2, 0);
	xm_volume_read(&io, 0, 0, PAGE, &posts);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 0);
	xm_volume_read(&io, 64, 0, PAGE, &posts);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 1);
	flying[1] = 3;
	xm_volume_read(&io, 64, 0, PAGE, &posts);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 0);
}

static void appliances_of_which_all_is_elsewhere_too_are_known(void)
{
	begin();
	CU_ASSERT_FALSE(xm_volume_spares(&volume, 0));
	add(0, 8, all, 2, 0);
	CU_ASSERT_TRUE(xm_volume_spares(&volume, 0));
	CU_ASSERT_EQUAL(xm_volume_redundant(&volume), 3);
	add(8, 8, all, 1, 0);
	CU_ASSERT_FALSE(xm_volume_spares(&volume, 0));
	CU_ASSERT_TRUE(xm_volume_spares(&volume, 1));
	xm_volume_remove(&volume, 8);
	CU_ASSERT_TRUE(xm_volume_spares(&volume, 0));
	xm_volume_remove(&volume, 0);
	CU_ASSERT_EQUAL(xm_volume_redundant(&volume), 0);
}

static void what_is_put_in_is_read_out(void)
{
	struct xm_backing b = {
		.page = 8, .count = 4, .region_page = 2, .choice = 1, .fixed = true,
		.copies = 2,
		.list = { { .at = { .appliance = 0, .lease = 3, .extent = 7 } },
			  { .at = { .appliance = 2, .lease = 5, .extent = 9,
				    .offset = PAGE } } },
	};
	uint32_t lost[XM_APPLIANCES_MAX] = { 3, 0, 5 };
	struct xm_backing ret;

	begin();
	CU_ASSERT_EQUAL(xm_volume_put(&volume, &b, 1, lost), 0);
	CU_ASSERT_TRUE_FATAL(xm_volume_backing(&volume, 11, &ret));
	CU_ASSERT_FALSE(xm_volume_backing(&volume, 12, &ret));
	CU_ASSERT_TRUE(ret.page == 8 && ret.count == 4 && ret.region_page == 2);
	CU_ASSERT_TRUE(ret.choice == 1 && ret.fixed && !ret.lost && !ret.guest);
	CU_ASSERT_EQUAL(xm_backing_extents(&ret), 2);
	CU_ASSERT_EQUAL(ret.list[0].at.extent, 7);
	CU_ASSERT_EQUAL(ret.list[1].at.lease, 5);
	CU_ASSERT_EQUAL(ret.list[1].at.offset, PAGE);
	CU_ASSERT_EQUAL(ret.list[1].state, XM_MEMBER_IN);
	CU_ASSERT_EQUAL(xm_backing_row(&ret, 10), 2);
	CU_ASSERT_EQUAL(xm_backing_end(&ret, 9), 12);
	CU_ASSERT_EQUAL(xm_backing_after(&ret), 12);
}

static void what_was_lost_before_it_is_put_in_is_lost(void)
{
	struct xm_backing b = { .count = 4, .copies = 2,
				.list = { { .at = { .lease = 3 } },
					  { .at = { .appliance = 2, .lease = 5 } } } };
	uint32_t lost[XM_APPLIANCES_MAX] = { 4, 0, 6 };
	struct xm_backing ret;

	begin();
	CU_ASSERT_EQUAL(xm_volume_put(&volume, &b, 1, lost), -ENOTCONN);
	CU_ASSERT_FALSE(xm_volume_backing(&volume, 0, &ret));
	lost[2] = 5;
	CU_ASSERT_EQUAL(xm_volume_put(&volume, &b, 1, lost), 0);
	CU_ASSERT_TRUE_FATAL(xm_volume_backing(&volume, 0, &ret));
	CU_ASSERT_EQUAL(ret.list[0].state, XM_MEMBER_LOST);
	CU_ASSERT_EQUAL(ret.list[1].state, XM_MEMBER_IN);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(what_is_put_in_is_read_out),
		XM_TEST(what_was_lost_before_it_is_put_in_is_lost),
		XM_TEST(a_page_is_where_its_members_are),
		XM_TEST(appliances_are_needed_while_a_segment_has_members_there),
		XM_TEST(a_divided_segment_keeps_its_tail_under_the_old_extent),
		XM_TEST(a_lost_segment_is_divided_here_alone),
		XM_TEST(what_the_mapper_has_is_found_in_order),
		XM_TEST(a_segment_is_lost_with_its_last_member),
		XM_TEST(what_was_taken_under_a_later_lease_is_not_lost),
		XM_TEST(a_read_goes_to_one_member),
		XM_TEST(a_read_goes_to_a_member_that_is_up_and_not_lost),
		XM_TEST(a_read_is_cut_at_a_segment_a_unit_and_an_operations_size),
		XM_TEST(what_is_not_there_or_lost_is_told_apart),
		XM_TEST(a_write_goes_to_every_member_that_is_not_lost),
		XM_TEST(a_scattered_write_ends_with_its_segment_and_its_limits),
		XM_TEST(a_write_to_several_ends_once_when_all_have_ended),
		XM_TEST(a_write_fails_with_a_member_that_is_not_lost),
		XM_TEST(a_member_that_is_lost_meanwhile_is_not_needed),
		XM_TEST(a_member_that_has_left_meanwhile_is_not_needed_and_lacks_it),
		XM_TEST(a_member_that_comes_back_meanwhile_is_needed),
		XM_TEST(what_another_in_the_same_place_has_does_not_count),
		XM_TEST(efforts_are_used_again),
		XM_TEST(a_member_that_has_left_is_neither_read_nor_written),
		XM_TEST(a_member_that_is_filled_is_written_and_not_read),
		XM_TEST(the_last_member_that_is_in_stays),
		XM_TEST(a_segment_whose_only_member_that_is_in_is_lost_is_lost),
		XM_TEST(a_member_that_will_not_come_back_is_replaced),
		XM_TEST(an_extent_of_two_segments_goes_with_the_second),
		XM_TEST(no_member_is_replaced_while_its_segment_is_trimmed),
		XM_TEST(a_trim_that_came_to_nothing_changes_nothing),
		XM_TEST(what_a_trim_cut_off_divides_its_segment),
		XM_TEST(a_head_that_is_all_there_is_leaves_a_tail_to_free),
		XM_TEST(reads_take_turns_and_avoid_the_busy),
		XM_TEST(appliances_of_which_all_is_elsewhere_too_are_known),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("volume", tests);
}
