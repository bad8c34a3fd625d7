/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of core/pure/transport.h as tests, run against every transport and
 * every libfabric provider that is here. `conformance [SCHEME]...` runs some.
 *
 * The target lives in a process of its own (far_side.c) and shares the pool
 * with this one; for loop and the models both ends are here. Every wait has a deadline.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/rig.h"

/* 1.17's net leaks an fi_info per endpoint. Ours are found nevertheless: the
 * rest of what a transport holds is allocated by extmem. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libfabric.so\n";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}

/* --- skipping, and the table ---------------------------------------------- */

#define SCHEMES_MAX 16
#define TESTS_MAX 40

static char cells[SCHEMES_MAX][TESTS_MAX];
static char reasons[SCHEMES_MAX][256];
static const char *excuses[26];
static unsigned skips;

static void cell_find(CU_pTest test, CU_pSuite suite, unsigned *ret_scheme,
		      unsigned *ret_test)
{
	*ret_scheme = 0;
	while (strcmp(ops_at(*ret_scheme)->scheme, suite->pName))
		++*ret_scheme;
	*ret_test = 0;
	for (CU_pTest t = suite->pTest; t != test; t = t->pNext)
		++*ret_test;
}

/* The test asks for what this transport does not promise. */
void skip(const char *why)
{
	unsigned scheme, test, i = 0;

	cell_find(CU_get_current_test(), CU_get_current_suite(), &scheme,
		  &test);
	while (i < XM_COUNT(excuses) - 1 && excuses[i] && strcmp(excuses[i], why))
		i++;
	excuses[i] = why;
	cells[scheme][test] = (char)('a' + i);
	skips++;
}

/* Skips the test and closes the world where a limit is false, says `why`. */
bool world_has(bool limit, const char *why)
{
	if (limit)
		return true;
	skip(why);
	world_close();
	return false;
}

static void test_over(const CU_pTest test, const CU_pSuite suite,
		      const CU_pFailureRecord failure)
{
	unsigned scheme, number;

	cell_find(test, suite, &scheme, &number);
	if (failure)
		cells[scheme][number] = 'F';
	else if (!cells[scheme][number])
		cells[scheme][number] = 'P';
}

static const CU_TestInfo tests[] = {
#define T(name) { #name, name }
	T(bytes_go_round_unharmed_at_every_size),
	T(a_write_completes_only_when_its_bytes_are_far),
	T(a_scattered_write_reaches_each_of_its_places),
	T(a_wrong_key_touches_nothing),
	T(nothing_outside_the_span_is_touched),
	T(concealed_memory_cannot_be_reached),
	T(without_the_right_to_write_a_write_is_refused),
	T(a_key_in_use_is_refused),
	T(as_many_spans_are_exposed_as_were_asked_for),
	T(a_late_write_cannot_reach_the_next_owner),
	T(a_ticket_lets_one_connection_in_once),
	T(a_retracted_ticket_lets_nobody_in),
	T(a_new_connection_of_a_lane_ends_the_earlier_one),
	T(nobody_comes_in_on_an_expelled_clients_ticket),
	T(disconnect_completes_what_is_outstanding),
	T(a_peer_number_is_used_again_after_disconnect),
	T(down_is_said_once_when_the_target_closes),
	T(down_is_said_once_when_the_target_is_killed),
	T(the_target_is_told_when_a_client_leaves),
	T(at_the_depth_limit_nothing_is_lost),
	T(every_token_comes_back_once_under_a_random_mix),
	T(the_interface_may_close_under_load),
	T(one_client_cannot_use_anothers_key),
	T(nobody_at_the_address_is_an_error),
	T(strangers_on_the_port_do_not_stop_the_interface),
	T(an_interface_that_listens_everywhere_is_found),
	T(files_of_the_dead_are_no_obstacle),
	T(a_malformed_locator_is_refused),
	T(a_provider_that_is_not_there_is_an_error_that_lists),
	T(signal_handlers_stay_the_programs),
	T(wait_ends_for_a_descriptor_and_for_time),
	T(waiting_instead_of_polling_loses_nothing),
	T(an_armed_descriptor_tells_of_what_completes),
	T(a_target_that_tells_says_when_bytes_move),
	T(many_clients_have_their_bytes_moved),
#undef T
};

/* Whether this transport can be had here; why not, where it cannot. A process
 * of its own asks, so that this one stays clear of libfabric until then. */
static bool present(unsigned scheme)
{
	struct command open = { .verb = OPEN };
	bool here;

	w.loop = ops_one_process(ops_at(scheme));
	if (w.loop)
		return true;
	w.fd = nursery_ask();
	snprintf(open.scheme, sizeof(open.scheme), "%s",
		 ops_at(scheme)->scheme);
	here = far_call(&open) == 0;
	if (!here)
		snprintf(reasons[scheme], sizeof(reasons[scheme]), "%.255s",
			 w.answer.words);
	else
		far_do(CLOSE);
	close(w.fd);
	return here;
}

static void table_print(const bool *chosen)
{
	printf("\n%-55s", "");
	for (unsigned i = 0; ops_at(i); i++)
		if (chosen[i])
			printf(" %-11s", ops_at(i)->scheme);
	for (unsigned j = 0; j < XM_COUNT(tests); j++) {
		printf("\n%-55s", tests[j].pName);
		for (unsigned i = 0; ops_at(i); i++) {
			char c = cells[i][j];

			if (!chosen[i])
				continue;
			if (c >= 'a' && c <= 'z')
				printf(" skipped (%c)", c);
			else
				printf(" %-11s", reasons[i][0] ? "absent"
						 : c == 'P'    ? "pass"
							       : "FAIL");
		}
	}
	printf("\n\n");
	for (unsigned i = 0; i < XM_COUNT(excuses) && excuses[i]; i++)
		printf("skipped (%c): %s\n", (char)('a' + i), excuses[i]);
	for (unsigned i = 0; ops_at(i); i++)
		if (chosen[i] && reasons[i][0])
			printf("absent: %s\n", reasons[i]);
}

int main(int argc, char **argv)
{
	bool chosen[SCHEMES_MAX] = { false };
	unsigned failed, run;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* Libraries below libfabric (psm) set handlers when they are loaded. */
	signal(SIGBUS, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	if (!nursery_start())
		return 1;

	CU_initialize_registry();
	for (unsigned i = 0; ops_at(i); i++) {
		const char *scheme = ops_at(i)->scheme;

		chosen[i] = argc < 2;
		for (int j = 1; j < argc; j++)
			chosen[i] |= strcmp(argv[j], scheme) == 0;
		if (!chosen[i] || !present(i))
			continue;

		CU_pSuite suite = CU_add_suite(scheme, NULL, NULL);

		for (unsigned j = 0; j < XM_COUNT(tests); j++)
			CU_add_test(suite, tests[j].pName, tests[j].pTestFunc);
	}
	CU_set_test_complete_handler(test_over);
	CU_run_all_tests();
	table_print(chosen);
	CU_basic_show_failures(CU_get_failure_list());
	run = CU_get_number_of_tests_run();
	failed = CU_get_number_of_tests_failed();
	printf("\n%u passed, %u failed\n", run - failed - skips, failed);
	failed += CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed || run == 0 ? 1 : 0;
}
