/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the gateway decides without I/O: what a request asks for, who may, and how figures
 * are summed and written; and that its manual page has its options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/admit.h"
#include "gateway/metrics.h"
#include "gateway/route.h"
#include "gateway/settings.h"
#include "tests/support/cunit.h"

/* --- routes ------------------------------------------------------------------------------ */

static struct gateway_route route;
static const char *allowed;

static void a_path_and_a_method_name_one_thing(void)
{
	CU_ASSERT_EQUAL(gateway_route("GET", "/v1/appliances", &route, &allowed), 200);
	CU_ASSERT_EQUAL(route.thing, GATEWAY_APPLIANCES);
	CU_ASSERT_EQUAL(route.right, GATEWAY_READS);
	CU_ASSERT_PTR_NULL(route.id);
	CU_ASSERT_EQUAL(gateway_route("PUT", "/v1/appliances/a.b-c/drain", &route,
				      &allowed), 200);
	CU_ASSERT_EQUAL(route.thing, GATEWAY_DRAIN);
	CU_ASSERT_EQUAL(route.right, GATEWAY_ACTS);
	CU_ASSERT_TRUE(route.waits);
	CU_ASSERT_EQUAL(route.id_length, 5);
	CU_ASSERT_EQUAL(memcmp(route.id, "a.b-c", 5), 0);
	CU_ASSERT_EQUAL(gateway_route("PUT", "/v1/appliances/a/pool", &route, &allowed), 200);
	CU_ASSERT_EQUAL(route.thing, GATEWAY_POOL);
	CU_ASSERT_EQUAL(route.right, GATEWAY_ACTS);
	CU_ASSERT_TRUE(route.body);
	CU_ASSERT_EQUAL(gateway_route("HEAD", "/metrics", &route, &allowed), 200);
	CU_ASSERT_EQUAL(route.method, GATEWAY_GET);
}

static void other_paths_and_methods_are_refused(void)
{
	static const char *const paths[] = {
		"", "/v", "/v1/", "/v1/appliances/", "/v1/appliances//drain",
		"/v1/appliances/a/drain/", "/v1/appliances/a/b", "//", "/metricsx",
	};

	for (size_t i = 0; i < XM_COUNT(paths); i++)
		CU_ASSERT_EQUAL(gateway_route("GET", paths[i], &route, &allowed),
				404);
	CU_ASSERT_EQUAL(gateway_route("GET", "/v1/appliances/a/drain", &route,
				      &allowed), 405);
	CU_ASSERT_STRING_EQUAL(allowed, "PUT, DELETE");
	CU_ASSERT_EQUAL(gateway_route("get", "/", &route, &allowed), 501);
	CU_ASSERT_EQUAL(gateway_route("DELETE", "/", &route, &allowed), 405);
}

/* --- who may ------------------------------------------------------------------------------ */

static struct gateway_rules rules;

static enum gateway_admission admit(enum gateway_right right, const char *host,
				    const char *origin, const char *site,
				    const char *authorization)
{
	const struct gateway_headers h = { host, origin, site, authorization };

	return gateway_admit(&rules, &h, right);
}

static void rules_begin(void)
{
	static const char *const names[] = { "gate.example", NULL };

	memset(&rules, 0, sizeof(rules));
	rules.loopback = rules.read_without_token = true;
	rules.names = names;
	CU_ASSERT_PTR_NULL(gateway_tokens_add(&rules, "# who may act\n"
					      "0123456789abcdef  # Ann\n", true));
	CU_ASSERT_PTR_NULL(gateway_tokens_add(&rules, "fedcba9876543210\n", false));
}

static void an_act_needs_a_token_that_may_act(void)
{
	rules_begin();
	CU_ASSERT_EQUAL(admit(GATEWAY_ACTS, "localhost:1", NULL, NULL, NULL),
			GATEWAY_NO_TOKEN);
	CU_ASSERT_EQUAL(admit(GATEWAY_ACTS, "localhost:1", NULL, NULL,
			      "Bearer 0123456789abcdef"), GATEWAY_ADMITTED);
	CU_ASSERT_EQUAL(admit(GATEWAY_ACTS, "localhost:1", NULL, NULL,
			      "Bearer fedcba9876543210"), GATEWAY_READ_TOKEN);
	CU_ASSERT_EQUAL(admit(GATEWAY_ACTS, "localhost:1", NULL, NULL,
			      "Bearer 0123456789abcdeF"), GATEWAY_WRONG_TOKEN);
	CU_ASSERT_EQUAL(admit(GATEWAY_ACTS, "localhost:1", NULL, NULL,
			      "Bearer 0123456789abcde"), GATEWAY_WRONG_TOKEN);
	CU_ASSERT_EQUAL(admit(GATEWAY_ACTS, "localhost:1", NULL, NULL,
			      "Basic 0123456789abcdef"), GATEWAY_WRONG_TOKEN);
	CU_ASSERT_EQUAL(admit(GATEWAY_ACTS, "localhost:1", NULL, NULL, "Bearer "),
			GATEWAY_WRONG_TOKEN);
	memset(&rules.tokens[0], 0, sizeof(rules.tokens[0]));
	CU_ASSERT_EQUAL(admit(GATEWAY_ACTS, "localhost:1", NULL, NULL,
			      "Bearer 0123456789abcdef"), GATEWAY_NO_ACTS);
}

static void reading_needs_a_token_unless_this_machine_may(void)
{
	rules_begin();
	CU_ASSERT_EQUAL(admit(GATEWAY_READS, "127.0.0.1:1", NULL, NULL, NULL),
			GATEWAY_ADMITTED);
	CU_ASSERT_EQUAL(admit(GATEWAY_READS, "127.0.0.1:1", NULL, NULL,
			      "Bearer wrong"), GATEWAY_WRONG_TOKEN);
	rules.read_without_token = false;
	CU_ASSERT_EQUAL(admit(GATEWAY_READS, "127.0.0.1:1", NULL, NULL, NULL),
			GATEWAY_NO_TOKEN);
	CU_ASSERT_EQUAL(admit(GATEWAY_READS, "127.0.0.1:1", NULL, NULL,
			      "bearer fedcba9876543210"), GATEWAY_ADMITTED);
	CU_ASSERT_EQUAL(admit(GATEWAY_FREE, "127.0.0.1:1", NULL, NULL, NULL),
			GATEWAY_ADMITTED);
	rules.loopback = false;
	rules.read_without_token = true;
	CU_ASSERT_EQUAL(admit(GATEWAY_READS, "a.example", NULL, NULL, NULL),
			GATEWAY_NO_TOKEN);
}

static void a_page_of_another_site_is_refused(void)
{
	const char *token = "Bearer 0123456789abcdef";

	rules_begin();
	CU_ASSERT_EQUAL(admit(GATEWAY_READS, "evil.example", NULL, NULL, NULL),
			GATEWAY_FOREIGN_HOST);
	CU_ASSERT_EQUAL(admit(GATEWAY_FREE, "127.evil.example", NULL, NULL, NULL),
			GATEWAY_FOREIGN_HOST);
	CU_ASSERT_EQUAL(admit(GATEWAY_FREE, "127.0.0.2:7480", NULL, NULL, NULL),
			GATEWAY_ADMITTED);
	CU_ASSERT_EQUAL(admit(GATEWAY_FREE, "localhost.evil.example", NULL, NULL,
			      NULL), GATEWAY_FOREIGN_HOST);
	CU_ASSERT_EQUAL(admit(GATEWAY_READS, "Gate.example:443", NULL, NULL, NULL),
			GATEWAY_ADMITTED);
	CU_ASSERT_EQUAL(admit(GATEWAY_READS, "[::1]:80", NULL, NULL, NULL),
			GATEWAY_ADMITTED);
	CU_ASSERT_EQUAL(admit(GATEWAY_ACTS, "localhost:1", "http://evil.example",
			      NULL, token), GATEWAY_FOREIGN_ORIGIN);
	CU_ASSERT_EQUAL(admit(GATEWAY_ACTS, "localhost:1", "null", NULL, token),
			GATEWAY_FOREIGN_ORIGIN);
	CU_ASSERT_EQUAL(admit(GATEWAY_ACTS, "localhost:1", "http://localhost:2",
			      NULL, token), GATEWAY_FOREIGN_ORIGIN);
	CU_ASSERT_EQUAL(admit(GATEWAY_READS, "localhost:1", NULL, "cross-site",
			      NULL), GATEWAY_FOREIGN_ORIGIN);
	CU_ASSERT_EQUAL(admit(GATEWAY_ACTS, "localhost:1", "http://localhost:1",
			      "same-origin", token), GATEWAY_ADMITTED);
}

static void a_file_of_tokens_is_read_or_named_wrong(void)
{
	char many[GATEWAY_TOKENS_MAX * 20 + 40] = "", longest[300];

	memset(&rules, 0, sizeof(rules));
	CU_ASSERT_PTR_NOT_NULL(gateway_tokens_add(&rules, "", true));
	CU_ASSERT_PTR_NOT_NULL(gateway_tokens_add(&rules, "# nothing\n", true));
	CU_ASSERT_PTR_NOT_NULL(gateway_tokens_add(&rules, "0123456789abcde", true));
	memset(longest, 'x', sizeof(longest));
	longest[257] = '\0';
	CU_ASSERT_PTR_NOT_NULL(gateway_tokens_add(&rules, longest, true));
	longest[256] = '\0';
	CU_ASSERT_PTR_NULL(gateway_tokens_add(&rules, longest, true));
	for (unsigned i = 0; i < GATEWAY_TOKENS_MAX; i++)
		strcat(many, "0123456789abcdef\n");
	CU_ASSERT_PTR_NOT_NULL(gateway_tokens_add(&rules, many, true));
}

/* --- figures ------------------------------------------------------------------------------- */

static void a_sum_only_rises_when_programs_come_and_go(void)
{
	static struct extmem_stats before, now;
	struct gateway_totals t = { .faults = 0 };

	now.faults = 5;
	now.latency[3] = 2;
	gateway_totals_add(&t, NULL, &now);
	CU_ASSERT_EQUAL(t.faults, 5);
	before = now;
	now.faults = 9;
	gateway_totals_add(&t, &before, &now);
	CU_ASSERT_EQUAL(t.faults, 9);
	before = now;
	now.faults = 2; /* it has begun again */
	gateway_totals_add(&t, &before, &now);
	CU_ASSERT_EQUAL(t.faults, 11);
	CU_ASSERT_EQUAL(t.latency[3], 2);
}

/* The library's buckets: 1,000 ns is in the power of two that begins at 512. */
static void buckets_meet_powers_of_two(void)
{
	static struct extmem_stats s;

	s.latency[(9 - 3) * 16 + 15] = 1; /* 992 to 1,023 ns */
	s.latency[(10 - 3) * 16] = 1;	  /* 1,024 and more */
	CU_ASSERT_EQUAL(gateway_below(s.latency, 9), 0);
	CU_ASSERT_EQUAL(gateway_below(s.latency, 10), 1);
	CU_ASSERT_EQUAL(gateway_below(s.latency, 11), 2);
	CU_ASSERT_EQUAL(gateway_below(s.latency, 34), 2);
}

static struct gateway_model model;

static char *metrics_of(size_t limit, bool *ret_failed)
{
	static const struct gateway_served served;
	static const struct gateway_self self;
	struct gateway_text text = { .limit = limit };

	gateway_metrics(&model, &served, &self, &text);
	*ret_failed = text.failed;
	return text.at;
}

static void metrics_have_no_series_of_who_is_away(void)
{
	bool failed;
	char *text;

	memset(&model, 0, sizeof(model));
	model.appliances_count = 2;
	strcpy(model.appliances[0].address, "here");
	model.appliances[0].up = true;
	model.appliances[0].status.pool = 77;
	strcpy(model.appliances[0].status.name, "a\"b\\c\nd");
	strcpy(model.appliances[1].address, "there");
	text = metrics_of(1 << 20, &failed);
	CU_ASSERT_FALSE(failed);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "extmem_appliance_up{appliance=\"there\"} 0\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "extmem_appliance_pool_bytes{appliance=\"here\"} 77\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "pool_bytes{appliance=\"there\"}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "name=\"a\\\"b\\\\c\\nd\""));
	CU_ASSERT_PTR_NULL(strstr(text, "extmem_client_faults_total{"));
	free(text);
	text = metrics_of(1000, &failed);
	CU_ASSERT_TRUE(failed);
	free(text);
}

static unsigned count_of(const char *text, const char *part)
{
	unsigned count = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		count++;
	return count;
}

static void so_many_programs_have_series_and_no_more(void)
{
	bool failed;
	char *text;

	memset(&model, 0, sizeof(model));
	model.clients_count = GATEWAY_SERIES_MAX + 3;
	for (unsigned i = 0; i < model.clients_count; i++)
		model.clients[i].pid = i + 1;
	text = metrics_of(4 << 20, &failed);
	CU_ASSERT_FALSE(failed);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(count_of(text, "extmem_client_faults_total{"),
			GATEWAY_SERIES_MAX);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "extmem_host_clients_unlisted 3\n"));
	free(text);
}

/* --- the manual ---------------------------------------------------------------------------- */

static char *file_text(FILE *file)
{
	char *text = calloc(1, 65536);

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	rewind(file);
	CU_ASSERT(fread(text, 1, 65535, file) > 0);
	fclose(file);
	return text;
}

static void the_manual_has_the_table_and_nothing_else(void)
{
	const char *source = getenv("XM_SRCDIR");
	char path[1024], *manual, *table;
	FILE *file = tmpfile();

	snprintf(path, sizeof(path), "%s/docs/man/extmem-gateway.8",
		 source == NULL ? "." : source);
	manual = file_text(fopen(path, "re"));
	xm_options_print_roff(&gateway_settings_table, file);
	if (getenv("XM_PRINT") != NULL)
		xm_options_print_roff(&gateway_settings_table, stdout);
	table = file_text(file);
	CU_ASSERT_PTR_NOT_NULL(strstr(manual, table));
	free(manual);
	free(table);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_path_and_a_method_name_one_thing),
		XM_TEST(other_paths_and_methods_are_refused),
		XM_TEST(an_act_needs_a_token_that_may_act),
		XM_TEST(reading_needs_a_token_unless_this_machine_may),
		XM_TEST(a_page_of_another_site_is_refused),
		XM_TEST(a_file_of_tokens_is_read_or_named_wrong),
		XM_TEST(a_sum_only_rises_when_programs_come_and_go),
		XM_TEST(buckets_meet_powers_of_two),
		XM_TEST(metrics_have_no_series_of_who_is_away),
		XM_TEST(so_many_programs_have_series_and_no_more),
		XM_TEST(the_manual_has_the_table_and_nothing_else),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("gateway", tests);
}
