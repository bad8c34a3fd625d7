/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening a client, through the public API: real appliances, none at all, and
 * strangers at the address.
 */
#include "tests/support/appliance.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/cunit.h"

#define POOL "64M"
#define POOL_BYTES (64 * MIB)

/* Its lease is so long that no heartbeat falls into a test that counts
 * messages. */
static struct appliance home;

/* --- strangers ------------------------------------------------------------------- */

/* A TCP server that is no appliance: answers every connection so, or, where
 * `answer` is NULL, says nothing; "" closes at once. */
struct stranger {
	int fd;
	const char *answer;
	char address[64];
	pthread_t thread;
};

static void *stranger_run(void *argument)
{
	struct stranger *s = argument;
	char heard[512];

	for (;;) {
		int fd = accept(s->fd, NULL, NULL);
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (fd < 0)
			return NULL;
		if (s->answer == NULL) {
			while (read(fd, heard, sizeof(heard)) > 0)
				;
		} else if (s->answer[0] != '\0') {
			poll(&p, 1, 1000);
			if (read(fd, heard, sizeof(heard)) < 0 ||
			    write(fd, s->answer, strlen(s->answer)) < 0)
				perror("stranger");
		}
		close(fd);
	}
}

static bool stranger_bind(struct stranger *s)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t size = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&at, size) != 0 ||
	    getsockname(s->fd, (struct sockaddr *)&at, &size) != 0)
		return false;
	snprintf(s->address, sizeof(s->address), "ofi+tcp://127.0.0.1:%u",
		 ntohs(at.sin_port));
	return true;
}

static void stranger_open(struct stranger *s, const char *answer)
{
	s->answer = answer;
	CU_ASSERT_FATAL(stranger_bind(s));
	CU_ASSERT_FATAL(listen(s->fd, 8) == 0);
	CU_ASSERT_FATAL(pthread_create(&s->thread, NULL, stranger_run, s) ==
			0);
}

static void stranger_close(struct stranger *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

/* --- opening ------------------------------------------------------------------------ */

/* What open says to these settings; nothing may come of it. */
static int refused(const char *first, const char *second)
{
	const char *const settings[] = { first, second, "timeout=2s", NULL };
	extmem *x = (extmem *)(uintptr_t)1;
	int rc = extmem_open(settings, &x);

	CU_ASSERT(rc < 0);
	CU_ASSERT(x == (extmem *)(uintptr_t)1);
	if (rc == 0)
		extmem_close(x);
	return rc;
}

static void nobody_at_the_address_is_refused_with_the_address(void)
{
	struct stranger s;
	char setting[128];

	/* Bound and not listening: the port is nobody else's meanwhile. */
	CU_ASSERT_FATAL(stranger_bind(&s));
	snprintf(setting, sizeof(setting), "appliance=%s", s.address);
	CU_ASSERT(refused(setting, NULL) == -ECONNREFUSED);
	CU_ASSERT(words_have(s.address));
	CU_ASSERT(words_have("extmem_open"));
	close(s.fd);
	CU_ASSERT(refused("appliance=ofi+shm://no-such-appliance", NULL) < 0);
	CU_ASSERT(words_have("no-such-appliance"));
}

static void another_protocol_on_the_port_is_said_to_be_one(void)
{
	struct stranger s;
	char setting[128];

	stranger_open(&s, "HTTP/1.1 400 Bad Request\r\n"
			  "Content-Length: 0\r\n\r\n");
	snprintf(setting, sizeof(setting), "appliance=%s", s.address);
	CU_ASSERT(refused(setting, NULL) == -EPROTO);
	CU_ASSERT(words_have(s.address));
	stranger_close(&s);
}

static void a_server_that_says_nothing_is_given_up_by_the_timeout(void)
{
	struct stranger s;
	char setting[128];

	stranger_open(&s, NULL);
	snprintf(setting, sizeof(setting), "appliance=%s", s.address);
	CU_ASSERT(refused(setting, "timeout=300ms") == -ETIMEDOUT);
	CU_ASSERT(words_have(s.address));
	stranger_close(&s);
}

static void a_server_that_hangs_up_is_no_appliance(void)
{
	struct stranger s;
	char setting[128];

	stranger_open(&s, "");
	snprintf(setting, sizeof(setting), "appliance=%s", s.address);
	refused(setting, NULL);
	CU_ASSERT(words_have(s.address));
	stranger_close(&s);
}

static void where_no_appliance_of_two_answers_the_first_is_named(void)
{
	struct stranger s[2];
	char first[160], second[160];

	CU_ASSERT_FATAL(stranger_bind(&s[0]) && stranger_bind(&s[1]));
	snprintf(first, sizeof(first), "appliance=%s", s[0].address);
	snprintf(second, sizeof(second), "appliance=%s", s[1].address);
	CU_ASSERT(refused(first, second) == -ECONNREFUSED);
	CU_ASSERT(words_have(s[0].address));
	close(s[0].fd);
	close(s[1].fd);
}

static bool second_is_ready(void *context)
{
	struct extmem_info info = { .size = sizeof(info) };

	return extmem_info(context, 1, &info) == 0 &&
	       strcmp(info.state, "ready") == 0;
}

/* `first` says which address comes first in the settings: the one that answers
 * or the one that does not. */
static extmem *open_both(const char *first, const char *second)
{
	char settings[2][160];
	const char *const list[] = { settings[0], settings[1], "local=4M",
				     NULL };
	extmem *x = NULL;

	snprintf(settings[0], sizeof(settings[0]), "appliance=%s", first);
	snprintf(settings[1], sizeof(settings[1]), "appliance=%s", second);
	if (extmem_open(list, &x) != 0)
		fprintf(stderr, "%s\n", extmem_error());
	return x;
}

static void one_appliance_of_two_that_is_away_is_used_when_it_comes(void)
{
	struct extmem_info info = { .size = sizeof(info) };
	struct appliance late;
	extmem_region *region;
	uint8_t byte = 0;
	struct stranger s;
	extmem *x;

	CU_ASSERT_FATAL(stranger_bind(&s));
	x = open_both(home.address, s.address);
	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(extmem_info(x, 0, &info) == 0);
	CU_ASSERT(strcmp(info.state, "ready") == 0 && info.reason[0] == '\0');
	CU_ASSERT(extmem_info(x, 1, &info) == 0);
	CU_ASSERT(strcmp(info.state, "away") == 0);
	CU_ASSERT(strstr(info.reason, s.address) != NULL);
	/* What the other has room for can be had. */
	CU_ASSERT(extmem_region_alloc(x, "some", MIB, &region) == 0);
	CU_ASSERT(extmem_region_free(region) == 0);
	CU_ASSERT(extmem_region_alloc(x, "more", POOL_BYTES + MIB, &region) ==
		  -ENOSPC);

	close(s.fd);
	CU_ASSERT_FATAL(appliance_start(&late, s.address, POOL, NULL));
	CU_ASSERT(until(second_is_ready, x));
	CU_ASSERT(extmem_info(x, 1, &info) == 0 && info.reason[0] == '\0');
	CU_ASSERT_FATAL(extmem_region_alloc(x, "more", POOL_BYTES + MIB,
					    &region) == 0);
	CU_ASSERT(extmem_write(region, POOL_BYTES, "x", 1) == 0);
	CU_ASSERT(extmem_read(region, POOL_BYTES, &byte, 1) == 0);
	CU_ASSERT(byte == 'x');
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_stop(&late) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

static void it_does_not_matter_which_of_two_appliances_answers(void)
{
	struct stranger s;
	extmem_region *region;
	extmem *x;

	CU_ASSERT_FATAL(stranger_bind(&s));
	x = open_both(s.address, home.address);
	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(second_is_ready(x));
	CU_ASSERT(extmem_region_alloc(x, "some", MIB, &region) == 0);
	CU_ASSERT(extmem_close(x) == 0);
	close(s.fd);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

static void a_host_that_is_not_known_is_away_if_another_answers(void)
{
	static const char unknown[] = "ofi+tcp://a..invalid:7470";

	for (unsigned at = 0; at < 2; at++) {
		struct extmem_info info = { .size = sizeof(info) };
		extmem_region *region;
		extmem *x = at == 0 ? open_both(unknown, home.address)
				    : open_both(home.address, unknown);

		CU_ASSERT_FATAL(x != NULL);
		CU_ASSERT(extmem_info(x, 1 - at, &info) == 0);
		CU_ASSERT(strcmp(info.state, "ready") == 0);
		CU_ASSERT(extmem_info(x, at, &info) == 0);
		CU_ASSERT(strcmp(info.state, "away") == 0);
		CU_ASSERT(strstr(info.reason, unknown) != NULL);
		CU_ASSERT(strstr(info.reason, "is not known") != NULL);
		CU_ASSERT(extmem_region_alloc(x, "some", MIB, &region) == 0);
		CU_ASSERT(extmem_region_free(region) == 0);
		CU_ASSERT(extmem_appliance_add(x, unknown) == -EEXIST);
		CU_ASSERT(extmem_close(x) == 0);
	}
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

static void a_host_that_is_not_known_is_named_if_no_appliance_answers(void)
{
	struct stranger s;
	char second[160];
	int rc;

	CU_ASSERT_FATAL(stranger_bind(&s));
	snprintf(second, sizeof(second), "appliance=%s", s.address);
	CU_ASSERT(refused("appliance=ofi+tcp://a..invalid:7470", second) ==
		  -EADDRNOTAVAIL);
	CU_ASSERT(words_have("extmem_open") &&
		  words_have("ofi+tcp://a..invalid:7470"));
	close(s.fd);
	rc = refused("appliance=ofi+tcp://nobody.invalid:7470", NULL);
	/* Without a network a resolver may say that it cannot know. */
	CU_ASSERT(rc == -EADDRNOTAVAIL || rc == -EHOSTUNREACH);
	CU_ASSERT(words_have("ofi+tcp://nobody.invalid:7470"));
}

static void an_unknown_setting_is_named(void)
{
	char here[160];

	snprintf(here, sizeof(here), "appliance=%s", home.address);
	CU_ASSERT(refused(here, "locla=1M") == -EINVAL);
	CU_ASSERT(words_have("locla"));
	CU_ASSERT(refused(here, "local") == -EINVAL);
	CU_ASSERT(refused(here, "=1M") == -EINVAL);
	CU_ASSERT(refused(here, "") == -EINVAL);
}

static void a_bad_value_is_refused_and_its_setting_named(void)
{
	static const char *const bad[] = {
		"local=0", "local=-1", "local=", "local=much", "local=1Q",
		"local=99999999999999999999", "local=16777216T",
		"local=4096", "lanes=0", "lanes=17", "lanes=1000000000000000",
		"lanes=two", "timeout=0", "timeout=-5s", "timeout=5",
		"timeout=99999999999999999999s", "loss_timeout=1ns",
		"paging=sometimes", "arena=1", "prefetch=0", "prefetch=65",
		"mapper=user", "mapper=userfaultfd2", "mapper=:",
		"mapper=userfaultfd:7",
	};
	char here[160], name[32];

	snprintf(here, sizeof(here), "appliance=%s", home.address);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(name, sizeof(name), "%.*s",
			 (int)strcspn(bad[i], "="), bad[i]);
		if (refused(here, bad[i]) != -EINVAL) {
			fprintf(stderr, "%s: %s\n", bad[i], extmem_error());
			CU_FAIL("accepted, or another error");
		}
		CU_ASSERT(words_have(name));
	}
}

static void more_lanes_than_local_memory_are_refused(void)
{
	char here[160];
	const char *settings[] = { here, "local=4M", "lanes=8", NULL };
	extmem *x = NULL;

	snprintf(here, sizeof(here), "appliance=%s", home.address);
	CU_ASSERT(extmem_open(settings, &x) == -EINVAL);
	CU_ASSERT(words_have("lanes"));
	CU_ASSERT(x == NULL);
}

static void an_unknown_scheme_lists_the_known_ones(void)
{
	CU_ASSERT(refused("appliance=carrier+pigeon://x:1", NULL) == -ENOSYS);
	CU_ASSERT(words_have("carrier+pigeon"));
	CU_ASSERT(words_have("ofi+tcp"));
	refused("appliance=localhost:7470", NULL);
	CU_ASSERT(words_have("ofi+tcp"));
}

static void a_malformed_address_is_refused(void)
{
	static const char *const bad[] = {
		"appliance=", "appliance=ofi+tcp:", "appliance=ofi+tcp://",
		"appliance=ofi+tcp://127.0.0.1",
		"appliance=ofi+tcp://127.0.0.1:",
		"appliance=ofi+tcp://127.0.0.1:99999",
		"appliance=ofi+tcp://127.0.0.1:-1",
		"appliance=ofi+tcp://127.0.0.1:http",
		"appliance=ofi+tcp://[::1:7470",
		"appliance=ofi+shm://",
	};
	static char long_one[4096] = "appliance=ofi+tcp://";

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		refused(bad[i], NULL);
		CU_ASSERT(extmem_error()[0] != '\0');
	}
	memset(long_one + strlen(long_one), 'a',
	       sizeof(long_one) - strlen(long_one) - 1);
	refused(long_one, NULL);
	CU_ASSERT(words_have("extmem_open"));
}

static int checked(const char *first, const char *second)
{
	const char *const settings[] = { first, second, NULL };

	return extmem_check(settings);
}

static void settings_are_checked_and_nobody_is_asked(void)
{
	/* Nobody listens there, and nothing has that name. */
	CU_ASSERT(checked("appliance=ofi+tcp://127.0.0.1:1", "local=8M") == 0);
	CU_ASSERT(checked("appliance=ofi+tcp://no.such.name.invalid:7470",
			  NULL) == 0);
	CU_ASSERT(checked("appliance=ofi+tcp://127.0.0.1:1", "locla=8M") ==
		  -EINVAL);
	CU_ASSERT(words_have("locla"));
	CU_ASSERT(checked("appliance=ofi+tcp://127.0.0.1:1",
			  "strategy=nonsense") == -EINVAL);
	CU_ASSERT(words_have("nonsense"));
	CU_ASSERT(checked("appliance=carrier+pigeon://x:1", NULL) == -ENOSYS);
	CU_ASSERT(words_have("carrier+pigeon"));
	CU_ASSERT(checked(NULL, NULL) == -EINVAL);
}

static void no_appliance_at_all_is_refused_with_the_way_out(void)
{
	CU_ASSERT(refused(NULL, NULL) == -EINVAL);
	CU_ASSERT(words_have("appliance="));
}

static void a_provider_that_is_not_there_is_an_error(void)
{
	char here[160];

	snprintf(here, sizeof(here), "appliance=%s", home.address);
	refused(here, "provider=psm9");
	CU_ASSERT(words_have("psm9"));
}

static void opening_and_closing_leaves_nothing_behind(void)
{
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	for (int i = 0; i < 20; i++) {
		extmem *x = client_open(home.address, NULL);

		CU_ASSERT_FATAL(x != NULL);
		CU_ASSERT(client_is(x, "ready"));
		CU_ASSERT(extmem_close(x) == 0);
	}
	CU_ASSERT(extmem_close(NULL) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

static void sixteen_clients_live_in_one_process(void)
{
	extmem *x[16];
	extmem_region *region[16];
	uint8_t *memory[16];

	for (int i = 0; i < 16; i++) {
		x[i] = client_open(home.address, "local=1M", NULL);
		CU_ASSERT_FATAL(x[i] != NULL);
		CU_ASSERT_FATAL(extmem_region_alloc(x[i], NULL, 1,
						   &region[i]) == 0);
		CU_ASSERT_FATAL(extmem_map(region[i], 0, 0,
					   (void **)&memory[i]) == 0);
		pattern_fill(memory[i], 0, 64 * 1024, (uint64_t)i);
	}
	for (int i = 0; i < 16; i++)
		CU_ASSERT(pattern_is(memory[i], 0, 64 * 1024, (uint64_t)i));
	for (int i = 0; i < 16; i++)
		CU_ASSERT(extmem_close(x[i]) == 0);
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { NULL, NULL } };
	static const char *const more[] = { "--lease=600s", NULL };
	static const CU_TestInfo tests[] = {
		XM_TEST(nobody_at_the_address_is_refused_with_the_address),
		XM_TEST(another_protocol_on_the_port_is_said_to_be_one),
		XM_TEST(a_server_that_says_nothing_is_given_up_by_the_timeout),
		XM_TEST(a_server_that_hangs_up_is_no_appliance),
		XM_TEST(where_no_appliance_of_two_answers_the_first_is_named),
		XM_TEST(one_appliance_of_two_that_is_away_is_used_when_it_comes),
		XM_TEST(it_does_not_matter_which_of_two_appliances_answers),
		XM_TEST(a_host_that_is_not_known_is_away_if_another_answers),
		XM_TEST(a_host_that_is_not_known_is_named_if_no_appliance_answers),
		XM_TEST(an_unknown_setting_is_named),
		XM_TEST(a_bad_value_is_refused_and_its_setting_named),
		XM_TEST(more_lanes_than_local_memory_are_refused),
		XM_TEST(an_unknown_scheme_lists_the_known_ones),
		XM_TEST(a_malformed_address_is_refused),
		XM_TEST(settings_are_checked_and_nobody_is_asked),
		XM_TEST(no_appliance_at_all_is_refused_with_the_way_out),
		XM_TEST(a_provider_that_is_not_there_is_an_error),
		XM_TEST(opening_and_closing_leaves_nothing_behind),
		XM_TEST(sixteen_clients_live_in_one_process),
		CU_TEST_INFO_NULL,
	};
	int rc;

	act_begin(argc, argv, acts);
	if (!appliance_start(&home, LOOPBACK, POOL, more)) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	rc = xm_tests_run("open", tests);
	appliance_stop(&home);
	return rc;
}
