/* SPDX-License-Identifier: BSD-3-Clause */
/* Appliances that join a client while it is open, and appliances that are away. */
#include "tests/support/appliance.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/cunit.h"

#define POOL "16M"
#define POOL_BYTES (16 * MIB)

static struct appliance home;

/* A port that is bound and does not listen: nobody else's, and nobody answers. */
struct port {
	int fd;
	char address[64];
};

static void port_open(struct port *p)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t size = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(p->fd >= 0 &&
			bind(p->fd, (struct sockaddr *)&at, size) == 0 &&
			getsockname(p->fd, (struct sockaddr *)&at, &size) == 0);
	snprintf(p->address, sizeof(p->address), "ofi+tcp://127.0.0.1:%u",
		 ntohs(at.sin_port));
}

static bool state_is(extmem *x, unsigned index, const char *state)
{
	struct extmem_info info = { .size = sizeof(info) };

	return extmem_info(x, index, &info) == 0 &&
	       strcmp(info.state, state) == 0;
}

static bool second_is_ready(void *x)
{
	return state_is(x, 1, "ready");
}

static bool second_is_away(void *x)
{
	return state_is(x, 1, "away");
}

/* --- joining -------------------------------------------------------------------- */

static void an_appliance_that_is_added_lends_memory(void)
{
	extmem *x = client_open(home.address, "local=4M", NULL);
	static uint8_t known[4 * PAGE], seen[4 * PAGE];
	struct appliance more;
	extmem_region *region;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(appliance_start(&more, LOOPBACK, POOL, NULL));
	CU_ASSERT(extmem_register(x, known, sizeof(known)) == 0);
	CU_ASSERT(extmem_region_alloc(x, "large", POOL_BYTES + MIB, &region) ==
		  -ENOSPC);
	CU_ASSERT(extmem_appliance_add(x, more.address) == 1);
	CU_ASSERT(second_is_ready(x));
	CU_ASSERT_FATAL(extmem_region_alloc(x, "large", POOL_BYTES + MIB,
					    &region) == 0);
	pattern_fill(known, 0, sizeof(known), 5);
	/* Over the seam between the two, and in the second one. */
	CU_ASSERT(extmem_write(region, POOL_BYTES - 2 * PAGE, known,
			       sizeof(known)) == 0);
	CU_ASSERT(extmem_read(region, POOL_BYTES - 2 * PAGE, seen,
			      sizeof(seen)) == 0);
	CU_ASSERT(pattern_is(seen, 0, sizeof(seen), 5));
	CU_ASSERT(extmem_deregister(x, known, sizeof(known)) == 0);
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	CU_ASSERT(appliance_frees(&more, POOL_BYTES));
	CU_ASSERT(appliance_stop(&more) == 0);
}

static void an_appliance_of_another_scheme_can_be_added(void)
{
	extmem *x = client_open(home.address, "local=4M", "lanes=2", NULL);
	struct appliance more;
	extmem_region *region;
	uint8_t byte = 0;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(appliance_start(&more, SHARED, POOL, NULL));
	CU_ASSERT(extmem_appliance_add(x, more.address) == 1);
	CU_ASSERT(second_is_ready(x));
	CU_ASSERT_FATAL(extmem_region_alloc(x, "large", POOL_BYTES + MIB,
					    &region) == 0);
	CU_ASSERT(extmem_write(region, POOL_BYTES, "x", 1) == 0);
	CU_ASSERT(extmem_read(region, POOL_BYTES, &byte, 1) == 0);
	CU_ASSERT(byte == 'x');
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	CU_ASSERT(appliance_stop(&more) == 0);
}

static void a_mapped_region_grows_onto_an_added_appliance(void)
{
	extmem *x = client_open(home.address, "local=2M", NULL);
	struct appliance more;
	extmem_region *region;
	uint8_t *memory;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(appliance_start(&more, LOOPBACK, POOL, NULL));
	CU_ASSERT_FATAL(extmem_region_alloc(x, "grows", 12 * MIB, &region) ==
			0);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	pattern_fill(memory, 0, 12 * MIB, 7);
	CU_ASSERT(extmem_region_resize(region, 24 * MIB) == -ENOSPC);
	CU_ASSERT(extmem_appliance_add(x, more.address) == 1);
	CU_ASSERT_FATAL(extmem_region_resize(region, 24 * MIB) == 0);
	CU_ASSERT(appliance_free(&more) < (int64_t)POOL_BYTES);
	CU_ASSERT(all_zero(memory + 12 * MIB, 12 * MIB));
	pattern_fill(memory + 12 * MIB, 12 * MIB, 12 * MIB, 7);
	CU_ASSERT(extmem_sync(region, 0, 0) == 0);
	CU_ASSERT(pattern_is(memory, 0, 24 * MIB, 7));
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	CU_ASSERT(appliance_frees(&more, POOL_BYTES));
	CU_ASSERT(appliance_stop(&more) == 0);
}

#define TOUCHERS 3
#define SHARE (2 * MIB)

struct toucher {
	pthread_t thread;
	uint8_t *memory; /* SHARE bytes, with pattern 9 */
	uint64_t offset;
	atomic_bool *stop;
	atomic_uint rounds;
	bool wrong;
};

static void *toucher_run(void *argument)
{
	struct toucher *t = argument;

	while (!atomic_load(t->stop) && !t->wrong) {
		t->wrong = !pattern_is(t->memory, t->offset, SHARE, 9);
		pattern_fill(t->memory, t->offset, SHARE, 9);
		atomic_fetch_add(&t->rounds, 1);
	}
	return NULL;
}

static bool all_have_begun(void *context)
{
	struct toucher *touchers = context;
	bool begun = true;

	for (unsigned i = 0; i < TOUCHERS; i++)
		begun = begun && atomic_load(&touchers[i].rounds) > 0;
	return begun;
}

/* Threads sleep in the lanes while the lanes get another transport. */
static void add_while_faults_are_served(const char *polling)
{
	extmem *x = client_open(home.address, "local=2M", "lanes=2", polling,
				NULL);
	static struct toucher touchers[TOUCHERS];
	static atomic_bool stop;
	struct appliance more[3];
	extmem_region *region, *others;
	uint8_t *memory;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "busy", TOUCHERS * SHARE,
					    &region) == 0);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, (void **)&memory) == 0);
	pattern_fill(memory, 0, TOUCHERS * SHARE, 9);
	memset(touchers, 0, sizeof(touchers));
	atomic_store(&stop, false);
	for (unsigned i = 0; i < TOUCHERS; i++) {
		touchers[i].memory = memory + i * SHARE;
		touchers[i].offset = i * SHARE;
		touchers[i].stop = &stop;
		CU_ASSERT_FATAL(pthread_create(&touchers[i].thread, NULL,
					       toucher_run, &touchers[i]) == 0);
	}
	CU_ASSERT(until(all_have_begun, touchers));
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_FATAL(appliance_start(&more[i], LOOPBACK, POOL,
						NULL));
		CU_ASSERT(extmem_appliance_add(x, more[i].address) ==
			  (int)i + 1);
		CU_ASSERT(state_is(x, i + 1, "ready"));
	}
	CU_ASSERT(extmem_region_alloc(x, "others", 3 * POOL_BYTES, &others) ==
		  0);
	CU_ASSERT(extmem_write(others, 3 * POOL_BYTES - 1, "x", 1) == 0);
	for (unsigned i = 0; i < TOUCHERS; i++)
		atomic_store(&touchers[i].rounds, 0);
	CU_ASSERT(until(all_have_begun, touchers));
	atomic_store(&stop, true);
	for (unsigned i = 0; i < TOUCHERS; i++) {
		pthread_join(touchers[i].thread, NULL);
		CU_ASSERT(!touchers[i].wrong);
	}
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT(appliance_stop(&more[i]) == 0);
}

static void appliances_are_added_while_faults_are_served(void)
{
	add_while_faults_are_served("polling=adaptive");
}

static void appliances_are_added_while_threads_sleep_for_faults(void)
{
	add_while_faults_are_served("polling=block");
}

/* --- not there yet -------------------------------------------------------------- */

static void an_added_appliance_that_is_away_is_used_when_it_comes(void)
{
	extmem *x = client_open(home.address, "local=4M", NULL);
	struct extmem_info info = { .size = sizeof(info) };
	struct appliance late;
	extmem_region *region;
	struct port port;

	CU_ASSERT_FATAL(x != NULL);
	port_open(&port);
	CU_ASSERT(extmem_appliance_add(x, port.address) == 1);
	CU_ASSERT(extmem_info(x, 1, &info) == 0);
	CU_ASSERT(strcmp(info.state, "away") == 0);
	CU_ASSERT(strstr(info.reason, port.address) != NULL);
	CU_ASSERT(extmem_region_alloc(x, "large", POOL_BYTES + MIB, &region) ==
		  -ENOSPC);
	close(port.fd);
	CU_ASSERT_FATAL(appliance_start(&late, port.address, POOL, NULL));
	CU_ASSERT(until(second_is_ready, x));
	CU_ASSERT(extmem_region_alloc(x, "large", POOL_BYTES + MIB, &region) ==
		  0);
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_stop(&late) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

/* --- refusals ---------------------------------------------------------------------- */

static void an_address_twice_is_refused(void)
{
	extmem *x = client_open(home.address, "local=4M", NULL);
	struct extmem_info info = { .size = sizeof(info) };
	struct port port;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(extmem_appliance_add(x, home.address) == -EEXIST);
	CU_ASSERT(words_have("extmem_appliance_add") &&
		  words_have(home.address));
	port_open(&port);
	CU_ASSERT(extmem_appliance_add(x, port.address) == 1);
	CU_ASSERT(extmem_appliance_add(x, port.address) == -EEXIST);
	CU_ASSERT(extmem_info(x, 2, &info) == -ERANGE);
	CU_ASSERT(extmem_close(x) == 0);
	close(port.fd);
}

static void what_is_no_address_adds_nothing(void)
{
	static const char *const bad[] = {
		"", "ofi+tcp", "ofi+tcp:", "ofi+tcp://", "ofi+tcp://127.0.0.1",
		"ofi+tcp://127.0.0.1:99999", "ofi+shm://",
		"pigeon://127.0.0.1:7470",
	};
	extmem *x = client_open(home.address, "local=4M", NULL);
	struct extmem_info info = { .size = sizeof(info) };
	char long_one[1000] = "ofi+tcp://";
	extmem_region *region;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT(extmem_appliance_add(x, NULL) == -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT(extmem_appliance_add(x, bad[i]) < 0);
		CU_ASSERT(words_have("extmem_appliance_add"));
	}
	CU_ASSERT(extmem_appliance_add(x, "pigeon://a:1") == -ENOSYS);
	CU_ASSERT(extmem_appliance_add(x, "ofi+tcp://127.0.0.1") == -EINVAL);
	memset(long_one + strlen(long_one), 'a',
	       sizeof(long_one) - strlen(long_one) - 1);
	CU_ASSERT(extmem_appliance_add(x, long_one) == -EINVAL);
	CU_ASSERT(extmem_info(x, 1, &info) == -ERANGE);
	CU_ASSERT(extmem_region_alloc(x, "some", MIB, &region) == 0);
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

static void a_host_that_is_not_known_adds_nothing(void)
{
	static const char address[] = "ofi+tcp://nobody.invalid:7470";
	extmem *x = client_open(home.address, "local=4M", "lanes=2", NULL);
	struct extmem_info info = { .size = sizeof(info) };
	const char *said;

	CU_ASSERT_FATAL(x != NULL);
	/* Looked up twice: the first failure leaves nothing that is in the way. */
	for (int i = 0; i < 2; i++) {
		int rc = extmem_appliance_add(x, address);

		/* Without a network a resolver may say that it cannot know. */
		CU_ASSERT(rc == -EADDRNOTAVAIL || rc == -EHOSTUNREACH);
		CU_ASSERT(words_have("extmem_appliance_add"));
		said = strstr(extmem_error(), address);
		CU_ASSERT_FATAL(said != NULL);
		CU_ASSERT(strstr(said + 1, address) == NULL);
	}
	/* No resolver is asked for a name with an empty label. */
	CU_ASSERT(extmem_appliance_add(x, "ofi+tcp://a..invalid:7470") ==
		  -EADDRNOTAVAIL);
	CU_ASSERT(words_have("is not known"));
	CU_ASSERT(extmem_info(x, 1, &info) == -ERANGE);
	CU_ASSERT(extmem_close(x) == 0);
}

static void a_seventeenth_appliance_is_refused(void)
{
	extmem *x = client_open(home.address, "local=4M", NULL);
	struct port ports[EXTMEM_APPLIANCES_MAX];
	extmem_region *region;

	CU_ASSERT_FATAL(x != NULL);
	for (int i = 0; i < EXTMEM_APPLIANCES_MAX; i++)
		port_open(&ports[i]);
	for (int i = 1; i < EXTMEM_APPLIANCES_MAX; i++)
		CU_ASSERT(extmem_appliance_add(x, ports[i].address) == i);
	CU_ASSERT(extmem_appliance_add(x, ports[0].address) == -ENOSPC);
	CU_ASSERT(words_have("16"));
	CU_ASSERT(extmem_region_alloc(x, "some", MIB, &region) == 0);
	CU_ASSERT(extmem_close(x) == 0);
	for (int i = 0; i < EXTMEM_APPLIANCES_MAX; i++)
		close(ports[i].fd);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

/* --- lists -------------------------------------------------------------------------- */

static void regions_are_listed_while_an_appliance_is_away(void)
{
	extmem *x = client_open(home.address, "local=4M", NULL);
	struct extmem_region_entry entries[8];
	struct appliance more;
	extmem_region *region;

	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(appliance_start(&more, LOOPBACK, POOL, NULL));
	CU_ASSERT(extmem_appliance_add(x, more.address) == 1);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "both", POOL_BYTES + MIB,
					    &region) == 0);
	CU_ASSERT(extmem_region_list(x, 0, entries, 8) == 2);
	appliance_kill(&more);
	CU_ASSERT(until(second_is_away, x));
	CU_ASSERT(extmem_region_list(x, 0, entries, 8) == 1);
	CU_ASSERT(strcmp(entries[0].appliance, home.address) == 0);
	CU_ASSERT(strcmp(entries[0].name, "both") == 0);
	CU_ASSERT(extmem_region_list(x, 1, entries, 8) == 0);
	extmem_close(x);
	CU_ASSERT(appliance_frees(&home, POOL_BYTES));
}

static void a_list_of_which_no_appliance_answers_is_an_error(void)
{
	struct extmem_region_entry entries[8];
	struct appliance only;
	extmem *x;

	CU_ASSERT_FATAL(appliance_start(&only, LOOPBACK, POOL, NULL));
	x = client_open(only.address, "local=4M", "timeout=2s", NULL);
	CU_ASSERT_FATAL(x != NULL);
	appliance_kill(&only);
	CU_ASSERT(extmem_region_list(x, 0, entries, 8) < 0);
	CU_ASSERT(words_have("extmem_region_list") &&
		  words_have(only.address));
	extmem_close(x);
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { NULL, NULL } };
	static const CU_TestInfo tests[] = {
		XM_TEST(an_appliance_that_is_added_lends_memory),
		XM_TEST(an_appliance_of_another_scheme_can_be_added),
		XM_TEST(a_mapped_region_grows_onto_an_added_appliance),
		XM_TEST(appliances_are_added_while_faults_are_served),
		XM_TEST(appliances_are_added_while_threads_sleep_for_faults),
		XM_TEST(an_added_appliance_that_is_away_is_used_when_it_comes),
		XM_TEST(an_address_twice_is_refused),
		XM_TEST(what_is_no_address_adds_nothing),
		XM_TEST(a_host_that_is_not_known_adds_nothing),
		XM_TEST(a_seventeenth_appliance_is_refused),
		XM_TEST(regions_are_listed_while_an_appliance_is_away),
		XM_TEST(a_list_of_which_no_appliance_answers_is_an_error),
		CU_TEST_INFO_NULL,
	};
	int rc;

	act_begin(argc, argv, acts);
	if (!appliance_start(&home, LOOPBACK, POOL, NULL)) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	rc = xm_tests_run("appliances", tests);
	appliance_stop(&home);
	return rc;
}
