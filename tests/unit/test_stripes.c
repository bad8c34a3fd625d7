/* SPDX-License-Identifier: BSD-3-Clause */
/* The volume's stripes: pages dealt out to columns, unit by unit. */
#include <errno.h>
#include <string.h>

#include "core/pure/volume.h"
#include "tests/support/cunit.h"

enum { PAGE = 4096, SEGMENTS = 32, APPLIANCES = 6, UNIT = 16 };

static struct xm_volume volume;
static struct xm_segment memory[SEGMENTS];
static struct xm_volume_io io;
static struct xm_path paths[APPLIANCES];
static uint32_t flying[APPLIANCES];
static struct xm_effort efforts[2];
static struct xm_volume_posts posts;

static void begin(void)
{
	memset(memory, 0, sizeof(memory));
	memset(paths, 0, sizeof(paths));
	memset(&posts, 0, sizeof(posts));
	xm_volume_init(&volume, SEGMENTS, PAGE, memory);
	xm_volume_io_init(&io, &volume, 2, efforts);
	for (unsigned i = 0; i < APPLIANCES; i++) {
		xm_path_init(&paths[i], XM_SECOND, 0);
		paths[i].state = XM_PATH_UP;
		xm_volume_io_add(&io, &paths[i], &flying[i], 64 * PAGE, 4);
	}
}

/* Column c at appliance c, its copies at those behind it; extent 10 * c + copy. */
static void add(uint64_t page, uint64_t rows, uint8_t columns, uint8_t copies)
{
	for (uint8_t c = 0; c < columns; c++) {
		struct xm_segment s = {
			.page = page, .count = rows * columns * UNIT,
			.unit = UNIT, .columns = columns, .column = c,
			.members_count = copies, .attached = true,
			.region_page = 7,
		};

		for (uint8_t k = 0; k < copies; k++) {
			s.members[k].appliance = (c + k) % APPLIANCES;
			s.members[k].extent = 10u * c + k + 1;
		}
		CU_ASSERT_EQUAL_FATAL(xm_volume_add(&volume, &s), 0);
	}
}

static void plain(uint64_t page, uint64_t count)
{
	struct xm_segment s = { .page = page, .count = count,
				.members_count = 1, .attached = true };

	s.members[0].appliance = 5;
	CU_ASSERT_EQUAL_FATAL(xm_volume_add(&volume, &s), 0);
}

static void every_page_has_one_place_and_no_two_the_same(void)
{
	static uint8_t taken[APPLIANCES][512];

	for (uint8_t columns = 2; columns <= 5; columns++) {
		uint64_t count = 3u * columns * UNIT;

		begin();
		memset(taken, 0, sizeof(taken));
		plain(0, 2 * UNIT);
		add(2 * UNIT, 3, columns, 1);
		plain(2 * UNIT + count, 5);
		for (uint64_t p = 0; p < count; p++) {
			struct xm_place place;

			CU_ASSERT_TRUE_FATAL(xm_volume_place(
				&volume, 2 * UNIT + p, 0, &place));
			CU_ASSERT_EQUAL(place.appliance, p / UNIT % columns);
			CU_ASSERT_EQUAL(place.offset % PAGE, 0);
			CU_ASSERT_FATAL(place.offset / PAGE < 3 * UNIT);
			CU_ASSERT_EQUAL(taken[place.appliance]
					     [place.offset / PAGE]++, 0);
			CU_ASSERT_EQUAL(place.offset / PAGE,
					p / UNIT / columns * UNIT + p % UNIT);
		}
		xm_volume_remove(&volume, 2 * UNIT);
		CU_ASSERT_EQUAL(volume.layout.count, 2);
		CU_ASSERT_FALSE(xm_volume_needs(&volume, 0));
	}
}

static void a_read_goes_to_the_column_and_ends_with_its_unit(void)
{
	struct xm_volume_page at;

	begin();
	add(0, 2, 3, 1);
	CU_ASSERT_EQUAL(xm_volume_read(&io, UNIT + 4, 100, 64 * PAGE, &posts),
			0);
	CU_ASSERT_EQUAL(posts.count, 1);
	CU_ASSERT_EQUAL(posts.size, (UNIT - 4) * PAGE - 100);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 1);
	CU_ASSERT_EQUAL(posts.list[0].offsets[0], 4 * PAGE + 100);
	/* The next row. */
	CU_ASSERT_EQUAL(xm_volume_read(&io, 4 * UNIT, 0, PAGE, &posts), 0);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 1);
	CU_ASSERT_EQUAL(posts.list[0].offsets[0], UNIT * PAGE);
	/* A stream of reads goes on over all of them. */
	CU_ASSERT_TRUE(xm_volume_look(&io, 5, 0, &at));
	CU_ASSERT_EQUAL(at.first, 0);
	CU_ASSERT_EQUAL(at.limit, 6 * UNIT);
	CU_ASSERT_EQUAL(at.unit, UNIT);
}

static void a_write_goes_to_each_copy_of_the_column(void)
{
	begin();
	add(0, 2, 3, 2);
	CU_ASSERT_EQUAL(xm_volume_write(&io, 3 * UNIT + 1, 0, PAGE, &posts), 0);
	CU_ASSERT_EQUAL(posts.count, 2);
	CU_ASSERT_EQUAL(posts.list[0].appliance, 0);
	CU_ASSERT_EQUAL(posts.list[1].appliance, 1);
	CU_ASSERT_EQUAL(posts.list[1].offsets[0], (UNIT + 1) * PAGE);
}

static void a_scattered_write_has_pages_of_one_column(void)
{
	const uint64_t pages[] = { 3, 3 * UNIT + 5, UNIT, 4 };

	begin();
	add(0, 2, 3, 1);
	CU_ASSERT_EQUAL(xm_volume_scatter(&io, pages, 4, &posts), 0);
	CU_ASSERT_EQUAL(posts.size, 2 * PAGE);
	CU_ASSERT_EQUAL(posts.list[0].offsets[0], 3 * PAGE);
	CU_ASSERT_EQUAL(posts.list[0].offsets[1], (UNIT + 5) * PAGE);
}

static void a_run_is_divided_in_all_columns(void)
{
	struct xm_extent_at heads[3][XM_MEMBERS_MAX] = { 0 };
	struct xm_backing s;
	struct xm_place place;

	begin();
	add(0, 4, 3, 1);
	heads[0][0].extent = 100;
	heads[2][0].extent = 102; /* column 1's appliance would not cut */
	xm_volume_divide(&volume, 3 * UNIT, heads[0]);
	CU_ASSERT_EQUAL(volume.layout.count, 6);
	CU_ASSERT_TRUE_FATAL(xm_volume_backing(&volume, 2 * UNIT, &s));
	CU_ASSERT_EQUAL(s.count, 3 * UNIT);
	CU_ASSERT_EQUAL(s.list[0].at.extent, 102);
	CU_ASSERT_TRUE_FATAL(xm_volume_backing(&volume, UNIT, &s));
	CU_ASSERT_EQUAL(s.list[0].at.extent, 11);
	CU_ASSERT_TRUE_FATAL(xm_volume_backing(&volume, 4 * UNIT, &s));
	CU_ASSERT_EQUAL(s.page, 3 * UNIT);
	CU_ASSERT_EQUAL(s.list[0].at.extent, 0);
	CU_ASSERT_EQUAL(s.region_page, 7 + 3 * UNIT);
	CU_ASSERT_TRUE_FATAL(xm_volume_backing(&volume, 5 * UNIT, &s));
	CU_ASSERT_EQUAL(s.list[0].at.extent, 21);
	for (uint64_t p = 0; p < 12 * UNIT; p++) {
		CU_ASSERT_TRUE_FATAL(xm_volume_place(&volume, p, 0, &place));
		CU_ASSERT_EQUAL(place.appliance, p / UNIT % 3);
		CU_ASSERT_EQUAL(place.offset / PAGE,
				p / UNIT / 3 * UNIT + p % UNIT);
	}
}

static void a_lost_column_loses_every_third_unit(void)
{
	uint64_t page, count, end;
	uint32_t cursor = 0;

	begin();
	add(0, 2, 3, 1);
	CU_ASSERT_FALSE(xm_volume_any_lost(&volume, 0, 6 * UNIT));
	CU_ASSERT_TRUE_FATAL(xm_volume_lose(&volume, 1, 1, &cursor, &page,
					    &count));
	CU_ASSERT_EQUAL(page, 0);
	CU_ASSERT_EQUAL(count, 6 * UNIT);
	CU_ASSERT_FALSE(xm_volume_lose(&volume, 1, 1, &cursor, &page, &count));
	page = 0;
	CU_ASSERT_TRUE(xm_volume_lost_run(&volume, &page, 6 * UNIT, &end));
	CU_ASSERT_EQUAL(page, UNIT);
	CU_ASSERT_EQUAL(end, 2 * UNIT);
	page = end;
	CU_ASSERT_TRUE(xm_volume_lost_run(&volume, &page, 4 * UNIT + 3, &end));
	CU_ASSERT_EQUAL(page, 4 * UNIT);
	CU_ASSERT_EQUAL(end, 4 * UNIT + 3);
	page = 5 * UNIT;
	CU_ASSERT_FALSE(xm_volume_lost_run(&volume, &page, 6 * UNIT, &end));
	CU_ASSERT_FALSE(xm_volume_any_lost(&volume, 0, UNIT));
	CU_ASSERT_TRUE(xm_volume_any_lost(&volume, 0, UNIT + 1));
	CU_ASSERT_TRUE(xm_volume_any_lost(&volume, 2 * UNIT - 1, 2 * UNIT));
	CU_ASSERT_FALSE(xm_volume_any_lost(&volume, 2 * UNIT, 4 * UNIT));
	CU_ASSERT_FALSE(xm_volume_any_lost(&volume, 5 * UNIT, 6 * UNIT));
	CU_ASSERT_EQUAL(xm_volume_reach(&io, 0, 0), XM_REACH_UP);
	CU_ASSERT_EQUAL(xm_volume_reach(&io, UNIT, 0), XM_REACH_LOST);
}

/* What the mender asks, page by page. */
static void a_member_is_filled_by_the_units_of_its_column(void)
{
	uint64_t at = 3, page, limit;

	begin();
	plain(0, UNIT);
	add(UNIT, 2, 3, 2);
	CU_ASSERT_FALSE(xm_volume_filling(&volume, 0, &page, &limit));
	/* Appliance 1: a copy of column 0, and the first of column 1. */
	xm_volume_drop(&volume, 1u << 1);
	xm_volume_fill(&volume, 1u << 1);
	for (uint64_t row = 0; row < 2; row++) {
		for (uint64_t c = 0; c < 2; c++) {
			CU_ASSERT_TRUE(xm_volume_filling(&volume, at, &page,
							 &limit));
			CU_ASSERT_EQUAL(page, (1 + 3 * row + c) * UNIT);
			CU_ASSERT_EQUAL(limit, page + UNIT);
			CU_ASSERT_EQUAL(xm_volume_mend(&io, page, UNIT,
						       &posts), 0);
			CU_ASSERT_EQUAL(posts.count, 1);
			CU_ASSERT_EQUAL(posts.list[0].appliance, 1);
			CU_ASSERT_EQUAL(posts.list[0].offsets[0],
					row * UNIT * PAGE);
			at = limit;
		}
	}
	CU_ASSERT_FALSE(xm_volume_filling(&volume, at, &page, &limit));
}

static void mapping_says_so_of_all_columns(void)
{
	begin();
	add(0, 2, 3, 1);
	xm_volume_set_attached(&volume, 0, 6 * UNIT, false);
	CU_ASSERT_EQUAL(xm_volume_attached_from(&volume, 0, 6 * UNIT),
			6 * UNIT);
	xm_volume_set_attached(&volume, 0, 6 * UNIT, true);
	CU_ASSERT_EQUAL(xm_volume_attached_from(&volume, 5, 6 * UNIT), 5);
}

static void whoever_goes_on_behind_each_meets_every_segment_once(void)
{
	struct xm_backing s;
	uint32_t seen = 0;

	begin();
	plain(0, UNIT);
	add(UNIT, 2, 3, 1);
	plain(7 * UNIT, 1);
	for (uint64_t p = 0; xm_volume_backing(&volume, p, &s);
	     p = xm_backing_after(&s))
		seen = seen * 10 + s.column + 1;
	CU_ASSERT_EQUAL(seen, 11231);
	CU_ASSERT_EQUAL(xm_layout_from(&volume.layout, 4 * UNIT), 1);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(every_page_has_one_place_and_no_two_the_same),
		XM_TEST(a_read_goes_to_the_column_and_ends_with_its_unit),
		XM_TEST(a_write_goes_to_each_copy_of_the_column),
		XM_TEST(a_scattered_write_has_pages_of_one_column),
		XM_TEST(a_run_is_divided_in_all_columns),
		XM_TEST(a_lost_column_loses_every_third_unit),
		XM_TEST(a_member_is_filled_by_the_units_of_its_column),
		XM_TEST(mapping_says_so_of_all_columns),
		XM_TEST(whoever_goes_on_behind_each_meets_every_segment_once),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("stripes", tests);
}
