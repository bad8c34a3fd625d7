/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of the pager share: one pager, the effects of its last step, and a
 * function for each event. Every event is followed by xm_pager_check().
 *
 * Included by the one file of a program, so that its functions are short to name:
 *
 *	open_written(usual);
 *	CU_ASSERT_EQUAL(fault(7, false), XM_VERDICT_WAIT);
 *	fetched(effect(XM_FETCH, 0), 0);
 *	CU_ASSERT_EQUAL(fault(7, false), XM_VERDICT_DONE);
 */
#ifndef XM_TESTS_PAGER_RIG_H
#define XM_TESTS_PAGER_RIG_H

#include <stdlib.h>

#include "core/pure/pager.h"
#include "tests/support/cunit.h"

#define PAGES 256

static struct xm_pager pager;
static struct xm_pager_effects fx;
static void *memory;

static const struct xm_pager_options usual = {
	.pages_max = PAGES, .frames_max = 16, .window_max = 8, .fetch_buffers = 3,
	.writeback_buffers = 4, .pins_max = 4, .scatter = 1,
};

static inline void open_pager(struct xm_pager_options options)
{
	free(memory);
	memory = calloc(1, xm_pager_memory_size(&options));
	xm_pager_init(&pager, &options, memory);
}

static inline enum xm_verdict send_event(struct xm_pager_event ev)
{
	xm_pager_step(&pager, &ev, &fx);
	CU_ASSERT_PTR_NULL(xm_pager_check(&pager));
	return fx.verdict;
}

static inline enum xm_verdict fault(uint64_t page, bool write)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_FAULT, .page = page, .write = write,
		.floor = 0, .limit = PAGES });
}

static inline enum xm_verdict fault_out_of_reach(uint64_t page, enum xm_reach reach)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_FAULT, .page = page, .limit = PAGES,
		.reach = reach });
}

static inline enum xm_verdict range(enum xm_pager_event_kind kind, uint64_t page,
			     uint64_t limit)
{
	return send_event((struct xm_pager_event){
		.kind = kind, .page = page, .limit = limit });
}

static inline enum xm_verdict flushed(uint64_t page, uint64_t limit, uint64_t seq)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_FLUSHED, .page = page, .limit = limit,
		.seq = seq });
}

static inline enum xm_verdict pin(uint64_t page, bool write)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_PIN, .page = page, .write = write });
}

static inline enum xm_verdict io_lock(uint64_t page, uint64_t limit, bool whole)
{
	return send_event((struct xm_pager_event){
		.kind = XM_PAGER_IO_LOCK, .page = page, .limit = limit,
		.whole = whole });
}

static inline void io_unlock(uint64_t page, uint64_t limit, bool write)
{
	send_event((struct xm_pager_event){
		.kind = XM_PAGER_IO_UNLOCK, .page = page, .limit = limit,
		.write = write });
}

/* The n-th effect of a kind, or NULL. */
static inline const struct xm_pager_effect *effect(enum xm_pager_effect_kind kind,
					    unsigned n)
{
	for (uint32_t i = 0; i < fx.count; i++) {
		if (fx.list[i].kind == kind && n-- == 0)
			return &fx.list[i];
	}
	return NULL;
}

static inline unsigned effects(enum xm_pager_effect_kind kind)
{
	unsigned n = 0;

	while (effect(kind, n) != NULL)
		n++;
	return n;
}

static inline void fetched(const struct xm_pager_effect *e, int status)
{
	send_event((struct xm_pager_event){ .kind = XM_PAGER_FETCHED,
					    .staging_index = e->staging_index,
					    .status = status });
}

static inline void stored(const struct xm_pager_effect *e, int status)
{
	send_event((struct xm_pager_event){ .kind = XM_PAGER_STORED,
					    .staging_index = e->staging_index,
					    .count = e->count,
					    .status = status });
}

static inline enum xm_page_state state(uint64_t page)
{
	return (enum xm_page_state)pager.pages[page].state;
}

/* The remote memory holds these pages. */
static inline void open_written(struct xm_pager_options options)
{
	open_pager(options);
	CU_ASSERT_EQUAL(range(XM_PAGER_MARK_BACKED, 0, options.pages_max),
			XM_VERDICT_DONE);
}

/* Reads a page in by one fetch of its own. */
static inline void bring(uint64_t page)
{
	struct xm_pager_effect e;

	CU_ASSERT_EQUAL_FATAL(fault(page, false), XM_VERDICT_WAIT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(effect(XM_FETCH, 0));
	e = *effect(XM_FETCH, 0);
	fetched(&e, 0);
	CU_ASSERT_EQUAL(fault(page, false), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(state(page), XM_PAGE_CLEAN);
}

/* All that the last step has posted ends well; returns how many pages were
 * stored. */
static inline unsigned settle(void)
{
	static struct xm_pager_effects posted;
	unsigned stores = 0;

	posted = fx;
	for (uint32_t i = 0; i < posted.count; i++) {
		const struct xm_pager_effect *e = &posted.list[i];

		if (e->kind == XM_FETCH)
			fetched(e, 0);
		if (e->kind == XM_STORE) {
			stored(e, 0);
			stores += e->count;
		}
	}
	return stores;
}

/* Touches a page until it is there; returns how many pages were stored. */
static inline unsigned touch(uint64_t page, bool write)
{
	unsigned stores = 0;

	for (unsigned turn = 0;; turn++) {
		enum xm_verdict verdict = send_event((struct xm_pager_event){
			.kind = XM_PAGER_FAULT, .page = page, .write = write,
			.limit = pager.options.pages_max });

		CU_ASSERT_TRUE_FATAL(turn < 8);
		stores += settle();
		if (verdict == XM_VERDICT_DONE)
			return stores;
	}
}

static inline void advise(uint64_t page, uint64_t limit, enum xm_advice advice)
{
	send_event((struct xm_pager_event){ .kind = XM_PAGER_ADVISE,
					    .page = page, .limit = limit,
					    .advice = advice });
}

/* Runs the tests; what main() returns. */
static inline int rig_run(const char *name, const CU_TestInfo *tests)
{
	int rc = xm_tests_run(name, tests);

	free(memory);
	return rc;
}

#endif
