/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How threads and the appliance wait: every way of polling gives the same
 * bytes; who waits for long sleeps; nobody works when there is nothing to do.
 * What is asserted is processor time, never how long something took.
 */
#include "config.h"

#include "tests/support/appliance.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/support/cunit.h"

#define REGION (8 * MIB)
#define THREADS 4

static const char *const pollings[] = { "polling=adaptive", "polling=busy",
					"polling=block" };
static const char *const transports[] = { LOOPBACK, SHARED };

struct client {
	extmem *x;
	extmem_region *region;
	uint8_t *memory;
};

static struct client open_client(const struct appliance *home,
				 const char *polling, const char *lanes)
{
	struct client c;
	void *memory;

	c.x = client_open(home->address, "local=4M", polling, lanes, NULL);
	CU_ASSERT_FATAL(c.x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(c.x, "polling", REGION,
					   &c.region) == 0);
	CU_ASSERT_FATAL(extmem_map(c.region, 0, 0, &memory) == 0);
	c.memory = memory;
	return c;
}

static uint64_t own_cpu_ms(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000 +
	       (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1000;
}

static uint64_t cpu_ms_of(pid_t pid)
{
	unsigned long user = 0, system = 0;
	char path[64], line[1024];
	const char *at;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fgets(line, sizeof(line), file) != NULL &&
	    (at = strrchr(line, ')')) != NULL)
		sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
			   "%lu %lu", &user, &system);
	fclose(file);
	return (user + system) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK);
}

/* --- every way --------------------------------------------------------------------- */

static void the_way_of_polling_is_visible(void)
{
	struct extmem_info info = { .size = sizeof(info) };
	struct appliance home;

	CU_ASSERT_FATAL(appliance_start(&home, LOOPBACK, "16M", NULL));
	for (int i = 0; i < 3; i++) {
		extmem *x = client_open(home.address, pollings[i], NULL);

		CU_ASSERT_FATAL(x != NULL);
		CU_ASSERT(extmem_info(x, 0, &info) == 0);
		CU_ASSERT_STRING_EQUAL(info.polling,
				       strchr(pollings[i], '=') + 1);
		CU_ASSERT(extmem_close(x) == 0);
	}
	appliance_stop(&home);
}

struct adder {
	_Atomic uint64_t *words;
	pthread_barrier_t barrier;
};

/* All add to the same words, of pages that keep leaving. */
static void *add(void *argument)
{
	struct adder *a = argument;

	for (int round = 0; round < 2; round++) {
		pthread_barrier_wait(&a->barrier);
		for (uint64_t at = 0; at < REGION / 8; at += PAGE / 8)
			atomic_fetch_add(&a->words[at], 1);
	}
	return NULL;
}

static void add_by_threads(const struct client *c)
{
	struct adder adder = { .words = (_Atomic uint64_t *)(void *)c->memory };
	pthread_t threads[THREADS];
	uint64_t wrong = 0;

	pthread_barrier_init(&adder.barrier, NULL, THREADS);
	for (int t = 0; t < THREADS; t++)
		CU_ASSERT_FATAL(pthread_create(&threads[t], NULL, add,
					       &adder) == 0);
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	pthread_barrier_destroy(&adder.barrier);
	for (uint64_t at = 0; at < REGION / 8; at += PAGE / 8)
		wrong += adder.words[at] != 2 * THREADS;
	CU_ASSERT(wrong == 0);
}

/* Explicit, flushed, pinned, asynchronous. */
static void call_all(const struct client *c)
{
	static uint8_t bytes[64 * 1024], back[64 * 1024];
	struct extmem_completion done[16];
	extmem_region *plain;
	int left = 16;

	pattern_fill(bytes, 3, sizeof(bytes), 7);
	CU_ASSERT(extmem_write(c->region, PAGE + 3, bytes, sizeof(bytes)) == 0);
	CU_ASSERT(extmem_read(c->region, PAGE + 3, back, sizeof(back)) == 0);
	CU_ASSERT(memcmp(bytes, back, sizeof(back)) == 0);
	CU_ASSERT(pattern_is(c->memory + PAGE + 3, 3, sizeof(bytes), 7));
	CU_ASSERT(extmem_advise(c->region, 0, REGION, EXTMEM_COLD) == 0);
	CU_ASSERT(extmem_pin(c->x, c->memory, 16 * PAGE, 1) == 16 * PAGE);
	memset(c->memory, 5, 16 * PAGE);
	extmem_unpin(c->x, c->memory, 16 * PAGE);
	CU_ASSERT(extmem_sync(c->region, 0, 0) == 0);

	CU_ASSERT_FATAL(extmem_region_alloc(c->x, "plain", MIB, &plain) == 0);
	for (int i = 0; i < 16 || left > 0;) {
		int rc = i == 16 ? -EAGAIN
				 : extmem_write_start(plain, (uint64_t)i * PAGE,
						      bytes + i * PAGE, PAGE,
						      NULL);
		int got;

		if (rc == 0) {
			i++;
			continue;
		}
		/* Over shm one at a time. */
		CU_ASSERT_FATAL(rc == -EAGAIN);
		got = extmem_wait(c->x, done, 16, PATIENCE_MS);
		CU_ASSERT_FATAL(got > 0);
		for (int j = 0; j < got; j++)
			CU_ASSERT(done[j].status == 0);
		left -= got;
	}
	CU_ASSERT(extmem_wait(c->x, done, 16, 30) == 0);
	CU_ASSERT(extmem_read(plain, 0, back, sizeof(back)) == 0);
	CU_ASSERT(memcmp(bytes, back, sizeof(back)) == 0);
	CU_ASSERT(extmem_region_free(plain) == 0);
}

static void every_way_of_polling_gives_the_same_bytes(void)
{
	static const char *const ends[] = { "--polling=adaptive",
					    "--polling=block" };

	for (int t = 0; t < 2; t++) {
		for (int i = 0; i < 6; i++) {
			const char *more[] = { ends[i % 2], NULL };
			struct appliance home;
			struct client c;

			CU_ASSERT_FATAL(appliance_start(&home, transports[t],
							"32M", more));
			c = open_client(&home, pollings[i % 3],
					i < 3 ? "lanes=1" : "lanes=3");
			add_by_threads(&c);
			call_all(&c);
			CU_ASSERT(extmem_close(c.x) == 0);
			appliance_stop(&home);
		}
	}
}

/* --- who waits sleeps ----------------------------------------------------------------- */

#define STOPPED_MS 1500

struct toucher {
	const struct client *client;
	uint64_t page;
	int way;
	atomic_bool over;
	bool right;
};

static void *touch(void *argument)
{
	struct toucher *t = argument;
	const struct client *c = t->client;
	uint64_t offset = t->page * PAGE;
	uint8_t bytes[PAGE];

	if (t->way == 0) {
		t->right = pattern_is(c->memory + offset, offset, PAGE, 1);
	} else {
		t->right = extmem_read(c->region, offset, bytes, PAGE) == 0 &&
			   pattern_is(bytes, offset, PAGE, 1);
	}
	atomic_store(&t->over, true);
	return NULL;
}

/* Threads wait for pages of an interface that is stopped: at faults, or in
 * calls, on one lane or several. */
static void wait_for_stopped(const char *polling, const char *lanes, int way)
{
	struct toucher touchers[THREADS];
	pthread_t threads[THREADS];
	struct appliance home;
	struct client c;
	uint64_t cpu;
	int over = 0;

	CU_ASSERT_FATAL(appliance_start(&home, LOOPBACK, "32M", NULL));
	c = open_client(&home, polling, lanes);
	pattern_fill(c.memory, 0, REGION, 1);
	CU_ASSERT(extmem_advise(c.region, 0, REGION, EXTMEM_COLD) == 0);
	appliance_signal(&home, PART_INTERFACE, SIGSTOP);
	cpu = own_cpu_ms();
	for (int t = 0; t < THREADS; t++) {
		touchers[t] = (struct toucher){
			.client = &c, .page = (uint64_t)t * 515, .way = way,
		};
		CU_ASSERT_FATAL(pthread_create(&threads[t], NULL, touch,
					       &touchers[t]) == 0);
	}
	sleep_ms(STOPPED_MS);
	for (int t = 0; t < THREADS; t++)
		over += atomic_load(&touchers[t].over);
	cpu = own_cpu_ms() - cpu;
	appliance_signal(&home, PART_INTERFACE, SIGCONT);
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	for (int t = 0; t < THREADS; t++)
		CU_ASSERT(touchers[t].right);
	CU_ASSERT(over == 0);
	/* Four that look would take the whole of each processor. */
	CU_ASSERT(cpu < STOPPED_MS / 5);
	CU_ASSERT(extmem_close(c.x) == 0);
	appliance_stop(&home);
}

static void threads_that_wait_for_a_stopped_appliance_sleep(void)
{
	wait_for_stopped("polling=adaptive", "lanes=1", 0);
	wait_for_stopped("polling=block", "lanes=1", 0);
	wait_for_stopped("polling=adaptive", "lanes=4", 0);
	wait_for_stopped("polling=adaptive", "lanes=1", 1);
}

#define SILENT_MS 500 /* and the connection is not given up yet */

static void one_who_waits_for_any_completion_sleeps(void)
{
	static const char *const lanes[] = { "lanes=1", "lanes=4" };
	static uint8_t bytes[PAGE];

	for (int i = 0; i < 2; i++) {
		struct extmem_completion done;
		struct appliance home;
		extmem_region *region;
		uint64_t cpu;
		extmem *x;

		CU_ASSERT_FATAL(appliance_start(&home, LOOPBACK, "16M", NULL));
		x = client_open(home.address, "local=8M", lanes[i], NULL);
		CU_ASSERT_FATAL(x != NULL);
		CU_ASSERT_FATAL(extmem_region_alloc(x, "any", MIB, &region) ==
				0);
		appliance_signal(&home, PART_INTERFACE, SIGSTOP);
		CU_ASSERT(extmem_write_start(region, 0, bytes, PAGE, bytes) ==
			  0);
		cpu = own_cpu_ms();
		CU_ASSERT(extmem_wait(x, &done, 1, SILENT_MS) == 0);
		CU_ASSERT(own_cpu_ms() - cpu < SILENT_MS / 5);
		appliance_signal(&home, PART_INTERFACE, SIGCONT);
		CU_ASSERT(extmem_wait(x, &done, 1, PATIENCE_MS) == 1);
		CU_ASSERT(done.context == bytes && done.status == 0);
		CU_ASSERT(extmem_close(x) == 0);
		appliance_stop(&home);
	}
}

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
	(void)number;
	alarms++;
}

/* With pages mapped, calls hold signals back; not for as long as they wait. */
static void a_handler_runs_while_a_call_waits(void)
{
	struct itimerval every = { { 0, 20000 }, { 0, 20000 } }, never = { 0 };
	struct appliance home;
	uint8_t bytes[PAGE];
	struct client c;
	int rc;

	CU_ASSERT_FATAL(appliance_start(&home, LOOPBACK, "32M", NULL));
	c = open_client(&home, "timeout=1s", "lanes=1");
	pattern_fill(c.memory, 0, REGION, 1);
	CU_ASSERT(extmem_advise(c.region, 0, REGION, EXTMEM_COLD) == 0);
	appliance_signal(&home, PART_INTERFACE, SIGSTOP);
	signal(SIGALRM, on_alarm);
	alarms = 0;
	setitimer(ITIMER_REAL, &every, NULL);
	rc = extmem_read(c.region, 0, bytes, PAGE);
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
	appliance_signal(&home, PART_INTERFACE, SIGCONT);
	CU_ASSERT(rc == -ETIMEDOUT);
	CU_ASSERT(alarms >= 2);
	CU_ASSERT(pattern_is(c.memory, 0, REGION, 1));
	CU_ASSERT(extmem_close(c.x) == 0);
	appliance_stop(&home);
}

/* --- nothing to do ------------------------------------------------------------------------ */

#define IDLE_MS 3000

static void idle_appliances_and_clients_take_next_to_no_time(void)
{
	static const char *const pagings[] = { "paging=inline",
					       "paging=thread" };

	for (int i = 0; i < 4; i++) {
		struct appliance home;
		uint64_t control, interface, own;
		extmem_region *region;
		void *memory;
		extmem *x;

		CU_ASSERT_FATAL(appliance_start(&home, transports[i / 2],
						"32M", NULL));
		x = client_open(home.address, "local=4M", pagings[i % 2], NULL);
		if (x == NULL) { /* paging=thread may not be permitted */
			appliance_stop(&home);
			continue;
		}
		CU_ASSERT_FATAL(extmem_region_alloc(x, "idle", REGION,
						   &region) == 0);
		CU_ASSERT_FATAL(extmem_map(region, 0, 0, &memory) == 0);
		pattern_fill(memory, 0, REGION, 1);
		control = cpu_ms_of(home.control);
		interface = cpu_ms_of(home.interface);
		own = own_cpu_ms();
		sleep_ms(IDLE_MS);
		/* A twentieth of a processor, each; measured is far less. */
		CU_ASSERT(cpu_ms_of(home.control) - control < IDLE_MS / 20);
		CU_ASSERT(cpu_ms_of(home.interface) - interface <
			  IDLE_MS / 20);
		CU_ASSERT(own_cpu_ms() - own < IDLE_MS / 20);
		CU_ASSERT(pattern_is(memory, 0, REGION, 1));
		CU_ASSERT(extmem_close(x) == 0);
		appliance_stop(&home);
	}
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { NULL, NULL } };
	static const CU_TestInfo tests[] = {
		XM_TEST(the_way_of_polling_is_visible),
		XM_TEST(every_way_of_polling_gives_the_same_bytes),
		XM_TEST(threads_that_wait_for_a_stopped_appliance_sleep),
		XM_TEST(one_who_waits_for_any_completion_sleeps),
		XM_TEST(a_handler_runs_while_a_call_waits),
		XM_TEST(idle_appliances_and_clients_take_next_to_no_time),
		CU_TEST_INFO_NULL,
	};

	act_begin(argc, argv, acts);
	return xm_tests_run("polling", tests);
}
