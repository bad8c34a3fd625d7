/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fingerprints, event by event: when the pager asks for one, what is compared, and how it
 * learns where that pays. That none is ever stale is asked by test_pager_model.c.
 */
#include "tests/unit/pager_rig.h"

static struct xm_pager_options with_prints(void)
{
	struct xm_pager_options options = usual;

	options.prints = true;
	return options;
}

/* Fingerprints are taken of all pages. */
static void open_printing(void)
{
	open_written(with_prints());
	pager.print_lately = 64;
}

static void print(uint64_t page, uint64_t value)
{
	struct xm_print print = { { value, 0 } };

	send_event((struct xm_pager_event){ .kind = XM_PAGER_PRINTED,
					    .page = page, .print = &print });
}

/* Fetches the page for a store; returns whether a fingerprint is asked for. */
static bool open_page(uint64_t page)
{
	struct xm_pager_effect e;
	bool asked;

	CU_ASSERT_EQUAL_FATAL(fault(page, true), XM_VERDICT_WAIT);
	e = *effect(XM_FETCH, 0);
	fetched(&e, 0);
	CU_ASSERT_EQUAL(fault(page, true), XM_VERDICT_DONE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(effect(XM_INSTALL, 0));
	asked = effect(XM_INSTALL, 0)->print > 0;
	if (asked)
		print(page, page);
	return asked;
}

/* Stores the page, whose copy has this fingerprint. Returns whether it was compared. */
static bool leave(enum xm_pager_event_kind kind, uint64_t page, uint64_t value)
{
	struct xm_pager_effect store;
	const struct xm_print *before;

	CU_ASSERT_EQUAL(range(kind, page, page + 1), XM_VERDICT_DONE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(effect(XM_STORE, 0));
	store = *effect(XM_STORE, 0);
	CU_ASSERT_EQUAL(effect(XM_COPY, 0)->compare, store.compare);
	before = xm_pager_staged_print(&pager, store.staging_index);
	CU_ASSERT_EQUAL(before != NULL, store.compare);
	if (before != NULL)
		send_event((struct xm_pager_event){
			.kind = XM_PAGER_COMPARED,
			.staging_index = store.staging_index,
			.changed = before->words[0] != value });
	if (xm_pager_staged_page(&pager, store.staging_index) != XM_NO_PAGE)
		stored(&store, 0);
	return store.compare;
}

static void a_page_that_has_not_changed_is_not_stored(void)
{
	open_printing();
	CU_ASSERT_TRUE(open_page(7));
	CU_ASSERT_TRUE(leave(XM_PAGER_EVICT, 7, 7));
	CU_ASSERT_EQUAL(pager.counters.unchanged, 1);
	CU_ASSERT_EQUAL(pager.counters.pages_written, 0);
	CU_ASSERT_EQUAL(pager.writeback_used, 0);
	CU_ASSERT_EQUAL(flushed(0, PAGES, pager.seq), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(7, false), XM_VERDICT_WAIT);
	CU_ASSERT_EQUAL(effects(XM_FETCH), 1);
}

static void a_page_that_has_changed_is_stored(void)
{
	open_printing();
	CU_ASSERT_TRUE(open_page(7));
	CU_ASSERT_TRUE(leave(XM_PAGER_EVICT, 7, 8));
	CU_ASSERT_EQUAL(pager.counters.compared, 1);
	CU_ASSERT_EQUAL(pager.counters.unchanged, 0);
	CU_ASSERT_EQUAL(pager.counters.pages_written, 1);
}

static void a_store_to_a_protected_page_asks_before_it_is_open(void)
{
	open_printing();
	bring(7);
	CU_ASSERT_EQUAL(fault(7, true), XM_VERDICT_DONE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(effect(XM_UNPROTECT, 0));
	CU_ASSERT_EQUAL(effect(XM_UNPROTECT, 0)->print, 1);
}

static void a_fingerprint_goes_with_a_flush(void)
{
	open_printing();
	CU_ASSERT_TRUE(open_page(7));
	CU_ASSERT_TRUE(leave(XM_PAGER_FLUSH, 7, 8));
	CU_ASSERT_EQUAL(state(7), XM_PAGE_CLEAN);
	/* The owner asks for another one, and is not heard before the next store. */
	CU_ASSERT_EQUAL(fault(7, true), XM_VERDICT_DONE);
	CU_ASSERT_FALSE(leave(XM_PAGER_EVICT, 7, 7));
	CU_ASSERT_EQUAL(pager.counters.pages_written, 2);
}

static void a_fingerprint_goes_with_its_page(void)
{
	open_printing();
	CU_ASSERT_TRUE(open_page(7));
	CU_ASSERT_EQUAL(range(XM_PAGER_DISCARD, 7, 8), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(fault(9, true), XM_VERDICT_WAIT);
	settle();
	CU_ASSERT_EQUAL(fault(9, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(pager.pages[9].frame, 0); /* it was page 7's */
	CU_ASSERT_FALSE(leave(XM_PAGER_EVICT, 9, 7));
}

static void what_is_fresh_has_none(void)
{
	open_pager(with_prints());
	CU_ASSERT_EQUAL(fault(7, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL(effect(XM_INSTALL, 0)->print, 0);
	CU_ASSERT_FALSE(leave(XM_PAGER_EVICT, 7, 0));
}

static void a_page_that_a_member_lacks_is_stored_whatever_it_holds(void)
{
	open_printing();
	CU_ASSERT_TRUE(open_page(7));
	CU_ASSERT_EQUAL(range(XM_PAGER_STALE, 7, 8), XM_VERDICT_DONE);
	CU_ASSERT_FALSE(leave(XM_PAGER_EVICT, 7, 7));
	CU_ASSERT_EQUAL(pager.counters.pages_written, 1);
}

static void what_stays_writable_is_stored_whatever_it_holds(void)
{
	open_printing();
	CU_ASSERT_TRUE(open_page(7));
	CU_ASSERT_EQUAL(pin(7, true), XM_VERDICT_DONE);
	CU_ASSERT_FALSE(leave(XM_PAGER_FLUSH, 7, 7));
	CU_ASSERT_EQUAL(state(7), XM_PAGE_DIRTY);
	send_event((struct xm_pager_event){ .kind = XM_PAGER_UNPIN, .page = 7,
					    .write = true });
	CU_ASSERT_FALSE(leave(XM_PAGER_EVICT, 7, 7));
}

static void of_several_pages_those_that_have_changed_are_stored(void)
{
	struct xm_pager_effect e;

	open_printing();
	advise(0, PAGES, XM_ADVICE_RANDOM);
	for (uint64_t page = 7; page < 10; page++)
		CU_ASSERT_TRUE(open_page(page));
	CU_ASSERT_EQUAL(range(XM_PAGER_EVICT, 7, 10), XM_VERDICT_DONE);
	e = *effect(XM_STORE, 0);
	CU_ASSERT_EQUAL_FATAL(e.count, 3);
	CU_ASSERT_TRUE(e.compare);
	for (uint32_t i = 0; i < 3; i++)
		send_event((struct xm_pager_event){
			.kind = XM_PAGER_COMPARED,
			.staging_index = e.staging_index + i,
			.changed = i != 1 });
	CU_ASSERT_EQUAL(xm_pager_staged_page(&pager, e.staging_index), 7);
	CU_ASSERT_EQUAL(xm_pager_staged_page(&pager, e.staging_index + 1),
			XM_NO_PAGE);
	CU_ASSERT_EQUAL(xm_pager_staged_page(&pager, e.staging_index + 2), 9);
	CU_ASSERT_EQUAL(pager.writeback_used, 2);
}

static void where_pages_change_few_fingerprints_are_taken(void)
{
	unsigned asked = 0;

	open_written(with_prints());
	advise(0, PAGES, XM_ADVICE_RANDOM);
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t page = i * 37 % PAGES;

		asked += open_page(page);
		leave(XM_PAGER_EVICT, page, page + 1);
	}
	CU_ASSERT_EQUAL(asked, 22);
	/* And when they change no more: */
	asked = 0;
	for (unsigned i = 0; i < 1024; i++) {
		uint64_t page = i * 37 % PAGES;

		asked += open_page(page);
		leave(XM_PAGER_EVICT, page, page);
	}
	CU_ASSERT_TRUE(asked >= 1024 / 3);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_page_that_has_not_changed_is_not_stored),
		XM_TEST(a_page_that_has_changed_is_stored),
		XM_TEST(a_store_to_a_protected_page_asks_before_it_is_open),
		XM_TEST(a_fingerprint_goes_with_a_flush),
		XM_TEST(a_fingerprint_goes_with_its_page),
		XM_TEST(what_is_fresh_has_none),
		XM_TEST(a_page_that_a_member_lacks_is_stored_whatever_it_holds),
		XM_TEST(what_stays_writable_is_stored_whatever_it_holds),
		XM_TEST(of_several_pages_those_that_have_changed_are_stored),
		XM_TEST(where_pages_change_few_fingerprints_are_taken),
		CU_TEST_INFO_NULL,
	};

	return rig_run("pager: fingerprints", tests);
}
