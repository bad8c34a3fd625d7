/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of common/areas.h: against ordinary memory, page by page. */
#include <stdlib.h>
#include <string.h>

#include "common/areas.h"
#include "common/rand.h"
#include "tests/support/cunit.h"

#define PAGES 300
#define MAX 64

static struct xm_areas areas;
static struct xm_area table[MAX];

/* What the program would have without us. */
struct plain {
	enum xm_area_kind kind;
	enum xm_area_rights rights;
	uint32_t contents; /* 0: zeros */
};
/* What the caller of the machine has made of its answers. */
struct made {
	bool memory, planted;
	enum xm_area_rights open;
	uint32_t contents;
};

static struct plain plain[PAGES];
static struct made made[PAGES];

static void begin(uint64_t pages, uint32_t max)
{
	memset(plain, 0, sizeof(plain));
	memset(made, 0, sizeof(made));
	xm_areas_init(&areas, pages, max, table);
}

static struct xm_area_state rights_of(enum xm_area_rights rights)
{
	return (struct xm_area_state){ .rights = (uint8_t)rights };
}

/* --- carrying out ---------------------------------------------------------------------- */

static void act(enum xm_area_action action, const struct xm_area_step *s,
		struct made *m)
{
	switch (action) {
	case XM_AREA_DISCARD:
		CU_ASSERT_FATAL(m->memory && !m->planted);
		m->contents = 0;
		break;
	case XM_AREA_OPEN:
		m->memory = true;
		CU_ASSERT_FATAL(!m->planted);
		m->open = (enum xm_area_rights)s->next.rights;
		CU_ASSERT(m->open != XM_AREA_NONE);
		break;
	case XM_AREA_CLOSE:
		CU_ASSERT_FATAL(m->memory && !m->planted);
		m->open = XM_AREA_NONE;
		break;
	case XM_AREA_RETURN:
		CU_ASSERT_FATAL(m->memory && m->open == XM_AREA_NONE);
		CU_ASSERT(m->contents == 0);
		m->memory = false;
		break;
	case XM_AREA_RESTORE:
		CU_ASSERT_FATAL(m->planted && !m->memory);
		m->planted = false;
		m->contents = 0;
		break;
	case XM_AREA_LOCALIZE:
		CU_ASSERT_FATAL(!m->planted);
		m->planted = true;
		m->memory = false;
		m->open = XM_AREA_NONE;
		break;
	case XM_AREA_KERNEL:
		CU_ASSERT_FATAL(m->planted);
		break;
	case XM_AREA_HOLE:
		CU_ASSERT(s->was.kind == XM_AREA_FREE);
		break;
	}
}

static bool request(enum xm_areas_request what, uint64_t page, uint64_t limit,
		    struct xm_area_state like)
{
	bool holes = false;

	if (xm_areas_full(&areas))
		return false;
	while (page < limit) {
		struct xm_area_step s;

		xm_areas_step(&areas, what, page, limit, like, &s);
		CU_ASSERT_FATAL(s.page == page && s.limit > page &&
				s.limit <= limit);
		for (uint64_t p = s.page; p < s.limit; p++) {
			for (unsigned i = 0; i < XM_AREA_ACTIONS && s.action[i]; i++)
				act((enum xm_area_action)s.action[i], &s, &made[p]);
			if (what == XM_AREAS_PLANT) {
				CU_ASSERT(!made[p].memory);
				made[p].planted = true;
				made[p].contents = 0;
			}
		}
		holes |= s.action[0] == XM_AREA_HOLE;
		if (s.next.kind != XM_AREA_FREE || s.was.kind != XM_AREA_FREE)
			xm_areas_set(&areas, s.page, s.limit, s.next);
		page = s.limit;
	}
	xm_areas_check(&areas);
	return !holes;
}

/* --- by hand ------------------------------------------------------------------------------ */

static void the_example_of_the_header_is_true(void)
{
	struct xm_area_step s;

	begin(2048, MAX);
	xm_areas_set(&areas, 0, 1024,
		     (struct xm_area_state){ .kind = XM_AREA_EXTERNAL });
	xm_areas_set(&areas, 0, 512,
		     (struct xm_area_state){ .kind = XM_AREA_EXTERNAL,
					     .rights = XM_AREA_READ_WRITE,
					     .used = true });
	xm_areas_step(&areas, XM_AREAS_UNMAP, 256, 768, rights_of(0), &s);
	CU_ASSERT(s.page == 256 && s.limit == 512);
	CU_ASSERT(s.action[0] == XM_AREA_DISCARD);
	CU_ASSERT(s.action[1] == XM_AREA_CLOSE);
	CU_ASSERT(s.action[2] == XM_AREA_RETURN);
	CU_ASSERT(s.next.kind == XM_AREA_FREE);
	xm_areas_set(&areas, 256, 512, s.next);
	xm_areas_step(&areas, XM_AREAS_UNMAP, 512, 768, rights_of(0), &s);
	CU_ASSERT(s.limit == 768 && s.action[0] == 0);
	CU_ASSERT(s.next.kind == XM_AREA_FREE);
	xm_areas_check(&areas);
}

static void the_lowest_gap_that_fits_is_taken(void)
{
	const struct xm_area_state taken = { .kind = XM_AREA_EXTERNAL };
	uint64_t page;

	begin(PAGES, MAX);
	CU_ASSERT(xm_areas_place(&areas, 10, 1, &page) && page == 0);
	xm_areas_set(&areas, 0, 10, taken);
	CU_ASSERT(xm_areas_place(&areas, 10, 16, &page) && page == 16);
	xm_areas_set(&areas, 16, 26, taken);
	CU_ASSERT(xm_areas_place(&areas, 6, 1, &page) && page == 10);
	CU_ASSERT(xm_areas_place(&areas, 7, 1, &page) && page == 26);
	xm_areas_set(&areas, 26, 33, taken);
	/* What is given back is found again, together with the gap before it. */
	xm_areas_set(&areas, 16, 20, (struct xm_area_state){ 0 });
	CU_ASSERT(xm_areas_place(&areas, 10, 1, &page) && page == 10);
	CU_ASSERT(xm_areas_place(&areas, PAGES - 33, 1, &page) && page == 33);
	CU_ASSERT(!xm_areas_place(&areas, PAGES - 32, 1, &page));
	CU_ASSERT(!xm_areas_place(&areas, UINT64_MAX / 2, 1, &page));
}

static void a_full_table_says_so_before_anything_is_done(void)
{
	begin(PAGES, 6);
	for (uint64_t i = 0; i < 5; i++)
		CU_ASSERT(request(XM_AREAS_MAP, 10 * i, 10 * i + 5,
				  rights_of(XM_AREA_READ)));
	CU_ASSERT(xm_areas_full(&areas));
	CU_ASSERT(!request(XM_AREAS_UNMAP, 1, 2, rights_of(0)));
	CU_ASSERT(areas.count == 5);
}

static void what_is_not_used_around_a_range_is_found(void)
{
	uint64_t page, limit;

	begin(PAGES, MAX);
	request(XM_AREAS_MAP, 50, 250, rights_of(XM_AREA_NONE));
	request(XM_AREAS_RIGHTS, 80, 90, rights_of(XM_AREA_READ));
	request(XM_AREAS_PLANT, 200, 210, rights_of(0));
	xm_areas_unused(&areas, 100, 110, 0, PAGES, &page, &limit);
	CU_ASSERT(page == 90 && limit == 200);
	xm_areas_unused(&areas, 100, 110, 96, 128, &page, &limit);
	CU_ASSERT(page == 96 && limit == 128);
	xm_areas_unused(&areas, 20, 30, 0, PAGES, &page, &limit);
	CU_ASSERT(page == 0 && limit == 80);
	xm_areas_unused(&areas, 80, 90, 0, PAGES, &page, &limit);
	CU_ASSERT(page == 0 && limit == 200);
	xm_areas_unused(&areas, 260, 300, 0, PAGES, &page, &limit);
	CU_ASSERT(page == 210 && limit == PAGES);
}

/* --- against ordinary memory ---------------------------------------------------------------- */

/* As the kernel has it: no step does anything to what is beyond a hole, but unmapping
 * and advice. */
static void plain_request(enum xm_areas_request what, uint64_t page,
			  uint64_t limit, enum xm_area_rights rights)
{
	for (; page < limit; page++) {
		struct plain *p = &plain[page];

		switch (what) {
		case XM_AREAS_MAP:
			*p = (struct plain){ XM_AREA_EXTERNAL, rights, 0 };
			break;
		case XM_AREAS_PLANT:
			*p = (struct plain){ XM_AREA_LOCAL, XM_AREA_NONE, 0 };
			break;
		case XM_AREAS_UNMAP:
			*p = (struct plain){ 0 };
			break;
		case XM_AREAS_RIGHTS:
			if (p->kind == XM_AREA_EXTERNAL)
				p->rights = rights;
			break;
		case XM_AREAS_EXECUTE:
			if (p->kind == XM_AREA_EXTERNAL)
				*p = (struct plain){ XM_AREA_LOCAL, XM_AREA_NONE,
						     p->contents };
			break;
		case XM_AREAS_DISCARD:
			if (p->kind == XM_AREA_EXTERNAL)
				p->contents = 0;
			break;
		case XM_AREAS_FORK:
			break;
		}
	}
}

static void compare(void)
{
	for (uint64_t i = 0; i < PAGES; i++) {
		const struct xm_area at = xm_areas_at(&areas, i, i + 1);
		const struct plain *p = &plain[i];

		CU_ASSERT_FATAL(at.is.kind == p->kind);
		CU_ASSERT_FATAL(made[i].planted == (p->kind == XM_AREA_LOCAL));
		CU_ASSERT_FATAL(made[i].contents == p->contents);
		CU_ASSERT_FATAL(made[i].open ==
				(p->kind == XM_AREA_EXTERNAL ? p->rights
							     : XM_AREA_NONE));
		CU_ASSERT_FATAL(!made[i].memory || at.is.used);
	}
}

static void it_is_as_ordinary_memory(void)
{
	struct xm_rand rand;

	xm_rand_seed(&rand, 12);
	for (unsigned round = 0; round < 200; round++) {
		begin(PAGES, MAX);
		for (uint32_t i = 1; i < 300; i++) {
			uint64_t page = xm_rand_below(&rand, PAGES);
			uint64_t limit = page + 1 +
				xm_rand_below(&rand, xm_min(40, PAGES - page));
			enum xm_areas_request what = (enum xm_areas_request)
				xm_rand_below(&rand, XM_AREAS_FORK + 1);
			struct xm_area_state like = {
				.rights = (uint8_t)xm_rand_below(&rand, 3),
				.fork = (uint8_t)xm_rand_below(&rand, 3),
			};

			if (!xm_areas_full(&areas)) {
				request(what, page, limit, like);
				plain_request(what, page, limit,
					      (enum xm_area_rights)like.rights);
			}
			/* The program writes where it may. */
			page = xm_rand_below(&rand, PAGES);
			if (plain[page].rights == XM_AREA_READ_WRITE ||
			    plain[page].kind == XM_AREA_LOCAL)
				made[page].contents = plain[page].contents = i;
			compare();
		}
	}
}

static bool gap_at(uint64_t page, uint64_t count)
{
	for (uint64_t i = page; i < page + count; i++)
		if (i >= PAGES || plain[i].kind != XM_AREA_FREE)
			return false;
	return true;
}

static void a_place_is_the_lowest_that_there_is(void)
{
	struct xm_rand rand;

	xm_rand_seed(&rand, 5);
	begin(PAGES, MAX);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t count = 1 + xm_rand_below(&rand, 30), page = 0, got;
		uint64_t alignment = UINT64_C(1) << xm_rand_below(&rand, 4);

		while (page + count <= PAGES && !gap_at(page, count))
			page += alignment;
		if (!xm_areas_place(&areas, count, alignment, &got)) {
			CU_ASSERT_FATAL(page + count > PAGES);
		} else {
			CU_ASSERT_FATAL(got == page && gap_at(page, count));
			CU_ASSERT(xm_areas_free(&areas, got, got + count));
			if (!xm_areas_full(&areas)) {
				request(XM_AREAS_MAP, got, got + count,
					rights_of(XM_AREA_READ));
				plain_request(XM_AREAS_MAP, got, got + count,
					      XM_AREA_READ);
				CU_ASSERT(xm_areas_taken(&areas, got, got + count));
			}
		}
		page = xm_rand_below(&rand, PAGES);
		got = page + 1 + xm_rand_below(&rand, xm_min(20, PAGES - page));
		if (i % 2 == 0 && !xm_areas_full(&areas)) {
			request(XM_AREAS_UNMAP, page, got, rights_of(0));
			plain_request(XM_AREAS_UNMAP, page, got, XM_AREA_NONE);
		}
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(the_example_of_the_header_is_true),
		XM_TEST(the_lowest_gap_that_fits_is_taken),
		XM_TEST(a_full_table_says_so_before_anything_is_done),
		XM_TEST(what_is_not_used_around_a_range_is_found),
		XM_TEST(it_is_as_ordinary_memory),
		XM_TEST(a_place_is_the_lowest_that_there_is),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("areas", tests);
}
