/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is lost and what is not: appliances, their halves, clients and
 * connections stopped, killed, continued and restarted, through the public
 * API. One promise above all: never zeros, never older bytes, never a silent
 * hang; the bytes, or an error, or SIGBUS.
 */
#include "tests/support/appliance.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cunit.h"
#include "tests/support/proxy.h"

#define POOL "32M"
#define POOL_BYTES (32 * MIB)
#define REGION (8 * MIB)

static const char *paging = "paging=inline", *scheme = LOOPBACK;
static uint8_t buffer[REGION];

struct scene {
	struct appliance appliance;
	extmem *x;
	extmem_region *region;
	uint8_t *memory;
};

/* An appliance, a client with a full region of which most is far away. */
static void scene_open(struct scene *s, const char *lease,
		       const char *loss_timeout)
{
	const char *more[] = { lease, NULL };
	void *memory;

	CU_ASSERT_FATAL(appliance_start(&s->appliance, scheme, POOL, more));
	s->x = client_open(s->appliance.address, "local=2M", "timeout=20s",
			   loss_timeout, paging, NULL);
	CU_ASSERT_FATAL(s->x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(s->x, "scene", REGION,
					   &s->region) == 0);
	CU_ASSERT_FATAL(extmem_map(s->region, 0, 0, &memory) == 0);
	s->memory = memory;
	pattern_fill(memory, 0, REGION, 1);
	CU_ASSERT(extmem_sync(s->region, 0, 0) == 0);
}

static void scene_close(struct scene *s)
{
	uint64_t began = now_ms();

	extmem_close(s->x);
	CU_ASSERT(now_ms() - began < PATIENCE_MS);
	appliance_kill(&s->appliance);
}

static bool nothing_is_lost(struct scene *s)
{
	return pattern_is(s->memory, 0, REGION, 1) &&
	       extmem_read(s->region, 0, buffer, REGION) == 0 &&
	       pattern_is(buffer, 0, REGION, 1) &&
	       client_stats(s->x).pages_lost == 0;
}

/* A new region can be had and used. */
static bool region_works(extmem *x)
{
	extmem_region *region;
	bool well;

	if (extmem_region_alloc(x, "fresh", 2 * MIB, &region) != 0) {
		fprintf(stderr, "%s\n", extmem_error());
		return false;
	}
	memset(buffer, 1, 2 * MIB);
	well = extmem_read(region, 0, buffer, 2 * MIB) == 0 &&
	       all_zero(buffer, 2 * MIB);
	pattern_fill(buffer, 0, 2 * MIB, 3);
	well = well && extmem_write(region, 0, buffer, 2 * MIB) == 0;
	memset(buffer, 0, 2 * MIB);
	well = well && extmem_read(region, 0, buffer, 2 * MIB) == 0 &&
	       pattern_is(buffer, 0, 2 * MIB, 3);
	if (!well)
		fprintf(stderr, "%s\n", extmem_error());
	return extmem_region_free(region) == 0 && well;
}

static bool is_ready(void *context)
{
	return client_is(context, "ready");
}

/* Every page of the region: the right byte, or SIGBUS; returns how many were
 * SIGBUS, or -1 for a wrong byte. Pages that are here may be read. */
static int64_t lost_pages(struct scene *s, uint64_t step)
{
	int64_t lost = 0;

	for (uint64_t at = 0; at < REGION; at += step) {
		uint8_t wanted;
		int got = touch_read(s->memory + at);

		pattern_fill(&wanted, at, 1, 1);
		if (got == -1)
			lost++;
		else if (got != wanted)
			return -1;
	}
	return lost;
}

/* --- the control process is stopped ------------------------------------------------ */

static void stop_control(const char *lease, unsigned at_least_ms)
{
	struct scene s;
	extmem_region *region = NULL;
	uint64_t until_ms;
	unsigned rounds = 0;

	scene_open(&s, lease, "loss_timeout=5s");
	appliance_signal(&s.appliance, PART_CONTROL, SIGSTOP);
	until_ms = now_ms() + at_least_ms;
	/* Data goes on: by loads, stores and calls. */
	do {
		CU_ASSERT_FATAL(pattern_is(s.memory, 0, REGION, 1));
		CU_ASSERT_FATAL(extmem_read(s.region, 0, buffer, REGION) == 0);
		CU_ASSERT_FATAL(pattern_is(buffer, 0, REGION, 1));
		pattern_fill(s.memory, 0, REGION, 2);
		CU_ASSERT_FATAL(extmem_sync(s.region, 0, 0) == 0);
		pattern_fill(buffer, 0, REGION, 1);
		CU_ASSERT_FATAL(extmem_write(s.region, 0, buffer, REGION) ==
				0);
		rounds++;
	} while (now_ms() < until_ms || rounds < 3);
	CU_ASSERT(client_stats(s.x).pages_lost == 0);
	CU_ASSERT(region == NULL);
	appliance_signal(&s.appliance, PART_CONTROL, SIGCONT);
	CU_ASSERT(region_works(s.x));
	CU_ASSERT(nothing_is_lost(&s));
	CU_ASSERT(appliance_frees(&s.appliance, POOL_BYTES - REGION));
	scene_close(&s);
}

static void data_moves_while_the_control_process_is_stopped(void)
{
	stop_control("--lease=10s", 0);
}

static void a_service_stopped_longer_than_the_lease_declares_nobody_dead(void)
{
	stop_control("--lease=2s", 3000);
}

static void a_request_to_a_stopped_control_process_ends_by_its_deadline(void)
{
	struct scene s;
	extmem_region *region = NULL, *held;
	struct extmem_region_entry entries[8];
	void *memory;
	extmem *x;

	/* Shared memory stays in quarantine for a lease. */
	scene_open(&s, "--lease=10s", "loss_timeout=5s");
	x = client_open(s.appliance.address, "timeout=1s", paging, NULL);
	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "held", 2 * MIB, &held) == 0);
	CU_ASSERT_FATAL(extmem_map(held, 0, 0, &memory) == 0);
	pattern_fill(memory, 0, 2 * MIB, 5);
	appliance_signal(&s.appliance, PART_CONTROL, SIGSTOP);
	CU_ASSERT(extmem_region_alloc(x, "late", 4 * MIB, &region) ==
		  -ETIMEDOUT);
	CU_ASSERT(region == NULL);
	CU_ASSERT(strstr(extmem_error(), "extmem_region_alloc") != NULL);
	CU_ASSERT(strstr(extmem_error(), s.appliance.address) != NULL);
	CU_ASSERT(strstr(extmem_error(), "did not answer") != NULL);
	CU_ASSERT(extmem_region_list(x, 0, entries, 8) == -ETIMEDOUT);
	CU_ASSERT(extmem_region_resize(held, 4 * MIB) == -ETIMEDOUT);
	CU_ASSERT(extmem_region_size(held) == 2 * MIB);
	CU_ASSERT(extmem_region_resize(held, MIB) == -ETIMEDOUT);
	CU_ASSERT(extmem_region_size(held) == 2 * MIB);
	CU_ASSERT(pattern_is(memory, 0, 2 * MIB, 5));
	CU_ASSERT(extmem_write(held, 0, buffer, 2 * MIB) == 0);
	appliance_signal(&s.appliance, PART_CONTROL, SIGCONT);
	/* What was asked too late for us is not held for us for ever. */
	CU_ASSERT(region_works(x));
	CU_ASSERT(appliance_frees(&s.appliance,
				  POOL_BYTES - REGION - 2 * MIB));
	pattern_fill(buffer, 0, 2 * MIB, 4);
	CU_ASSERT(extmem_write(held, 0, buffer, 2 * MIB) == 0);
	memset(buffer, 0, 2 * MIB);
	CU_ASSERT(extmem_read(held, 0, buffer, 2 * MIB) == 0);
	CU_ASSERT(pattern_is(buffer, 0, 2 * MIB, 4));
	CU_ASSERT(extmem_region_resize(held, 4 * MIB) == 0);
	/* The appliance is asked what became of the first shrink, and this one is made. */
	CU_ASSERT(extmem_region_resize(held, MIB) == 0);
	memset(buffer, 0, MIB);
	CU_ASSERT(extmem_read(held, 0, buffer, MIB) == 0);
	CU_ASSERT(pattern_is(buffer, 0, MIB, 4));
	CU_ASSERT(extmem_region_free(held) == 0);
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(nothing_is_lost(&s));
	CU_ASSERT(appliance_frees(&s.appliance, POOL_BYTES - REGION));
	scene_close(&s);
}

/* --- the appliance is gone -------------------------------------------------------------- */

/* Both paths: SIGBUS here, an error in words there; and then close returns. */
static void gone(struct scene *s)
{
	uint64_t began = now_ms();
	int got = touch_read(s->memory + 100);
	extmem_region *region = NULL;
	int rc;

	/* The last pages written may still be here: the first are not. */
	CU_ASSERT(got == -1);
	printf("(SIGBUS after %llu ms) ",
	       (unsigned long long)(now_ms() - began));
	CU_ASSERT(now_ms() - began < PATIENCE_MS);
	CU_ASSERT(lost_pages(s, 64 * PAGE) > 0);
	CU_ASSERT(strstr(extmem_lost(s->x), s->appliance.address) != NULL);
	CU_ASSERT(client_stats(s->x).pages_lost > 0);
	rc = extmem_read(s->region, PAGE, buffer, 100);
	CU_ASSERT(rc == -ENOTCONN || rc == -ESTALE);
	CU_ASSERT(strstr(extmem_error(), "extmem_read") != NULL);
	CU_ASSERT(strstr(extmem_error(), "scene") != NULL);
	rc = extmem_write(s->region, 2 * PAGE, buffer, 100);
	CU_ASSERT(rc == -ENOTCONN || rc == -ESTALE);
	rc = extmem_advise(s->region, 0, 0, EXTMEM_WILLNEED);
	CU_ASSERT(rc <= 0);
	CU_ASSERT(extmem_pin(s->x, s->memory + 3 * PAGE, PAGE, 1) < 0);
	/* A dirty page, if one can still be made, cannot be synced. */
	if (touch_write(s->memory + REGION - PAGE, 1) == 1)
		CU_ASSERT(extmem_sync(s->region, 0, 0) < 0);
	(void)region;
}

static void a_killed_appliance_is_sigbus_and_errors_in_words(void)
{
	struct scene s;

	scene_open(&s, "--lease=10s", "loss_timeout=1500ms");
	appliance_kill(&s.appliance);
	gone(&s);
	scene_close(&s);
}

static void a_killed_interface_process_is_sigbus_and_errors_in_words(void)
{
	struct scene s;

	scene_open(&s, "--lease=10s", "loss_timeout=1500ms");
	appliance_signal(&s.appliance, PART_INTERFACE, SIGKILL);
	gone(&s);
	scene_close(&s);
}

static void a_hanging_appliance_is_sigbus_and_errors_in_words(void)
{
	struct scene s;
	uint64_t began;

	scene_open(&s, "--lease=10s", "loss_timeout=1500ms");
	appliance_signal(&s.appliance, PART_BOTH, SIGSTOP);
	gone(&s);
	/* It is known to be out of reach: not the whole timeout, 20 s. */
	began = now_ms();
	CU_ASSERT(extmem_close(s.x) == -ETIMEDOUT);
	CU_ASSERT(now_ms() - began < 10000 * slowness());
	appliance_kill(&s.appliance);
}

/* It hangs for longer than a path needs to go down, 750 ms, and for less than
 * loss_timeout, so it may still answer. Close gives 1 s to an appliance that is lost. */
static void an_appliance_that_is_not_lost_yet_has_the_timeout_at_close(void)
{
	struct appliance a;
	extmem_region *region;
	uint64_t began;
	extmem *x;

	CU_ASSERT_FATAL(appliance_start(&a, scheme, POOL, NULL));
	x = client_open(a.address, "local=2M", "timeout=3s",
			"loss_timeout=600s", paging, NULL);
	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "late", REGION, &region) == 0);
	CU_ASSERT(extmem_write(region, 0, buffer, REGION) == 0);
	appliance_signal(&a, PART_BOTH, SIGSTOP);
	CU_ASSERT(extmem_read(region, 0, buffer, PAGE) == -ETIMEDOUT);
	began = now_ms();
	CU_ASSERT(extmem_close(x) == -ETIMEDOUT);
	CU_ASSERT(now_ms() - began > 2500);
	appliance_kill(&a);
}

static void a_killed_appliance_does_not_keep_a_clean_client_from_closing(void)
{
	struct scene s;

	scene_open(&s, "--lease=10s", "loss_timeout=1500ms");
	appliance_kill(&s.appliance);
	scene_close(&s);
}

static void a_killed_appliance_does_not_keep_a_dirty_client_from_closing(void)
{
	struct scene s;

	scene_open(&s, "--lease=10s", "loss_timeout=1500ms");
	/* Dirty pages, some of them being written back. */
	for (uint64_t at = 0; at < 2 * MIB; at += PAGE)
		touch_write(s.memory + at, 1);
	appliance_kill(&s.appliance);
	for (uint64_t at = 0; at < 16 * PAGE; at += PAGE)
		touch_write(s.memory + 4 * MIB + at, 1);
	CU_ASSERT(extmem_region_free(s.region) <= 0);
	scene_close(&s);
}

static void other_appliances_go_on_when_one_is_killed(void)
{
	struct appliance other;
	extmem_region *region;
	struct scene s;
	char second[160];
	void *memory;

	CU_ASSERT_FATAL(appliance_start(&other, scheme, POOL, NULL));
	CU_ASSERT_FATAL(appliance_start(&s.appliance, scheme, "8M", NULL));
	snprintf(second, sizeof(second), "appliance=%s", other.address);
	s.x = client_open(s.appliance.address, second, "local=2M", paging,
			  "loss_timeout=1s", "timeout=10s", NULL);
	CU_ASSERT_FATAL(s.x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(s.x, "scene", REGION, &s.region) ==
			0);
	CU_ASSERT_FATAL(extmem_map(s.region, 0, 0, &memory) == 0);
	s.memory = memory;
	CU_ASSERT_FATAL(extmem_region_alloc(s.x, "other", REGION, &region) ==
			0);
	CU_ASSERT_FATAL(extmem_map(region, 0, 0, &memory) == 0);
	pattern_fill(s.memory, 0, REGION, 1);
	pattern_fill(memory, 0, REGION, 2);
	CU_ASSERT(extmem_sync(s.region, 0, 0) == 0);
	appliance_kill(&s.appliance);
	CU_ASSERT(pattern_is(memory, 0, REGION, 2));
	gone(&s);
	CU_ASSERT(pattern_is(memory, 0, REGION, 2));
	pattern_fill(memory, 0, REGION, 3);
	CU_ASSERT(extmem_sync(region, 0, 0) == 0);
	CU_ASSERT(extmem_read(region, 0, buffer, REGION) == 0);
	CU_ASSERT(pattern_is(buffer, 0, REGION, 3));
	CU_ASSERT(region_works(s.x));
	scene_close(&s);
	CU_ASSERT(appliance_stop(&other) == 0);
}

struct toucher {
	struct scene *scene;
	atomic_bool began;
	bool well;
};

static void *touch_all(void *argument)
{
	struct toucher *t = argument;

	atomic_store(&t->began, true);
	t->well = pattern_is(t->scene->memory, 0, REGION, 1);
	return NULL;
}

static void an_appliance_that_goes_on_in_time_has_lost_nothing(void)
{
	struct scene s;
	struct toucher t = { .scene = &s };
	pthread_t thread;

	scene_open(&s, "--lease=60s", "loss_timeout=60s");
	appliance_signal(&s.appliance, PART_BOTH, SIGSTOP);
	CU_ASSERT_FATAL(pthread_create(&thread, NULL, touch_all, &t) == 0);
	while (!atomic_load(&t.began))
		sleep_ms(1);
	sleep_ms(300); /* it most likely waits by now; either way is right */
	appliance_signal(&s.appliance, PART_BOTH, SIGCONT);
	pthread_join(thread, NULL);
	CU_ASSERT(t.well);
	CU_ASSERT(nothing_is_lost(&s));
	CU_ASSERT(region_works(s.x));
	scene_close(&s);
}

static void a_hang_that_ends_too_late_loses_only_what_was_touched(void)
{
	struct scene s;
	int got;

	scene_open(&s, "--lease=60s", "loss_timeout=500ms");
	CU_ASSERT(extmem_advise(s.region, 0, 0, EXTMEM_COLD) == 0);
	appliance_signal(&s.appliance, PART_BOTH, SIGSTOP);
	got = touch_read(s.memory);
	CU_ASSERT(got == -1);
	appliance_signal(&s.appliance, PART_BOTH, SIGCONT);
	CU_ASSERT(until(is_ready, s.x));
	CU_ASSERT(region_works(s.x)); /* its path is up again */
	/* Bytes or SIGBUS, and of the other half, all the bytes. */
	for (uint64_t at = REGION / 2; at < REGION; at += PAGE)
		CU_ASSERT(touch_read(s.memory + at) >= 0);
	CU_ASSERT(extmem_read(s.region, REGION / 2, buffer, REGION / 2) == 0);
	CU_ASSERT(pattern_is(buffer, REGION / 2, REGION / 2, 1));
	CU_ASSERT(lost_pages(&s, PAGE) >= 0);
	scene_close(&s);
}

/* --- the appliance is another ---------------------------------------------------------------- */

static bool is_stale(void *context)
{
	struct scene *s = context;
	int rc = extmem_read(s->region, 0, buffer, PAGE);

	if (rc == 0) {
		CU_FAIL("an empty appliance was read as if it were full");
		return true;
	}
	return rc == -ESTALE;
}

static void what_a_restarted_appliance_had_is_lost_and_never_zeros(void)
{
	struct scene s;
	char listen[128];

	scene_open(&s, "--lease=10s", "loss_timeout=500ms");
	snprintf(listen, sizeof(listen), "%s", s.appliance.address);
	appliance_kill(&s.appliance);
	CU_ASSERT_FATAL(appliance_start(&s.appliance, listen, POOL, NULL));
	CU_ASSERT(strcmp(listen, s.appliance.address) == 0);
	CU_ASSERT(until(is_stale, &s));
	CU_ASSERT(touch_read(s.memory + 5 * PAGE) == -1);
	CU_ASSERT(lost_pages(&s, PAGE) > 0);
	CU_ASSERT(strstr(extmem_lost(s.x), listen) != NULL);
	CU_ASSERT(extmem_write(s.region, 0, buffer, 1) == -ESTALE);
	CU_ASSERT(strstr(extmem_error(), "lost") != NULL);
	CU_ASSERT(until(is_ready, s.x));
	CU_ASSERT(region_works(s.x));
	/* What is lost can be made smaller and given, like anything. */
	CU_ASSERT(extmem_region_resize(s.region, REGION / 4) == 0);
	extmem_region_free(s.region);
	CU_ASSERT(region_works(s.x));
	CU_ASSERT(appliance_frees(&s.appliance, POOL_BYTES));
	scene_close(&s);
}

/* --- the client is gone ------------------------------------------------------------------------ */

/* Takes everything, fills it, says so, waits. */
/* What it takes to end its lease. */
static bool leave(extmem *x, const char *path)
{
	struct extmem_lease lease;
	FILE *file = fopen(path, "wb");
	bool left = file != NULL && extmem_leases(x, &lease, 1) == 1 &&
		    fwrite(&lease, sizeof(lease), 1, file) == 1;

	return file != NULL && fclose(file) == 0 && left;
}

static int act_hold(int argc, char **argv)
{
	extmem_region *region;
	extmem *x;
	void *memory;

	if (argc < 1)
		return 1;
	x = client_open(argv[0], "local=2M", NULL);
	if (x == NULL || extmem_region_alloc(x, "held", POOL_BYTES, &region) ||
	    extmem_map(region, 0, 0, &memory))
		return 1;
	pattern_fill(memory, 0, POOL_BYTES, 9);
	if (extmem_sync(region, 0, 0) || (argc > 1 && !leave(x, argv[1])))
		return 1;
	puts("held");
	for (uint64_t i = 0;; i++) /* it dies in the middle of something */
		((volatile uint8_t *)memory)[i * 40961 % POOL_BYTES]++;
	return 0;
}

static void a_killed_clients_lease_is_ended_by_another(void)
{
	char path[] = "/tmp/xm-lease-XXXXXX";
	struct appliance a;
	const char *arguments[] = { a.address, path, NULL };
	struct extmem_status status = { .size = sizeof(status) };
	struct extmem_lease lease;
	FILE *file;
	pid_t pid;
	int out;

	close(mkstemp(path));
	CU_ASSERT_FATAL(appliance_start(&a, scheme, POOL, NULL));
	pid = act_start("hold", arguments, &out);
	CU_ASSERT_FATAL(pid > 0);
	CU_ASSERT(act_says(out, "held"));
	CU_ASSERT(appliance_free(&a) == 0);
	kill(pid, SIGKILL);
	act_wait(pid);
	close(out);
	file = fopen(path, "rb");
	CU_ASSERT_FATAL(file != NULL);
	CU_ASSERT(fread(&lease, sizeof(lease), 1, file) == 1);
	fclose(file);
	unlink(path);
	CU_ASSERT(extmem_lease_end(&lease, PATIENCE_MS) == 0);
	CU_ASSERT(extmem_lease_end(&lease, PATIENCE_MS) == -ESTALE);
	CU_ASSERT(appliance_frees(&a, POOL_BYTES));
	CU_ASSERT(extmem_status(a.address, PATIENCE_MS, &status) == 0);
	CU_ASSERT(status.clients == 0 && status.expired == 0);
	appliance_stop(&a);
}

static void a_killed_clients_memory_comes_back_zeroed(void)
{
	static const char *const more[] = { "--lease=1s", NULL };
	struct appliance a;
	const char *arguments[] = { a.address, NULL };
	struct extmem_status status = { .size = sizeof(status) };
	extmem_region *region;
	extmem *x;
	int out, end;
	pid_t pid;

	CU_ASSERT_FATAL(appliance_start(&a, scheme, POOL, more));
	pid = act_start("hold", arguments, &out);
	CU_ASSERT_FATAL(pid > 0);
	CU_ASSERT(act_says(out, "held"));
	CU_ASSERT(appliance_free(&a) == 0);
	kill(pid, SIGKILL);
	end = act_wait(pid);
	close(out);
	CU_ASSERT(WIFSIGNALED(end) && WTERMSIG(end) == SIGKILL);
	CU_ASSERT(appliance_frees(&a, POOL_BYTES));
	CU_ASSERT(extmem_status(a.address, PATIENCE_MS, &status) == 0);
	CU_ASSERT(status.expired == 1);
	CU_ASSERT(status.clients == 0);
	x = client_open(a.address, paging, NULL);
	CU_ASSERT_FATAL(x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(x, "next", POOL_BYTES, &region) ==
			0);
	for (uint64_t at = 0; at < POOL_BYTES; at += REGION) {
		CU_ASSERT(extmem_read(region, at, buffer, REGION) == 0);
		CU_ASSERT(all_zero(buffer, REGION));
	}
	CU_ASSERT(extmem_close(x) == 0);
	CU_ASSERT(appliance_stop(&a) == 0);
}

static void a_stopped_clients_lease_ends_and_it_learns_so(void)
{
	static const char *const more[] = { "--lease=1s", NULL };
	struct appliance a;
	const char *arguments[] = { a.address, NULL };
	int out, end;
	pid_t pid;

	CU_ASSERT_FATAL(appliance_start(&a, scheme, POOL, more));
	pid = act_start("hold", arguments, &out);
	CU_ASSERT_FATAL(pid > 0);
	CU_ASSERT(act_says(out, "held"));
	kill(pid, SIGSTOP);
	CU_ASSERT(appliance_frees(&a, POOL_BYTES));
	kill(pid, SIGCONT);
	/* It meets pages it does not have any more. */
	end = act_wait(pid);
	close(out);
	CU_ASSERT(WIFSIGNALED(end) && WTERMSIG(end) == SIGBUS);
	CU_ASSERT(appliance_stop(&a) == 0);
}

/* --- the connection is gone ------------------------------------------------------------------------ */

static bool has_reconnected(void *context)
{
	return atomic_load((atomic_uint *)context) >= 2;
}

/* Through a proxy: control alone goes that way, data has its own address. */
static void cut_control(bool longer_than_the_lease)
{
	const char *more[] = { longer_than_the_lease ? "--lease=500ms"
						     : "--lease=60s", NULL };
	struct extmem_status status = { .size = sizeof(status) };
	struct proxy proxy;
	char address[64];
	struct scene s;
	void *memory;

	CU_ASSERT_FATAL(appliance_start(&s.appliance, LOOPBACK, POOL, more));
	CU_ASSERT_FATAL(proxy_open(&proxy, s.appliance.address));
	snprintf(address, sizeof(address), "ofi+tcp://127.0.0.1:%d",
		 proxy.port);
	s.x = client_open(address, "local=2M", paging, "timeout=20s",
			  "loss_timeout=1s", NULL);
	CU_ASSERT_FATAL(s.x != NULL);
	CU_ASSERT_FATAL(extmem_region_alloc(s.x, "scene", REGION, &s.region) ==
			0);
	CU_ASSERT_FATAL(extmem_map(s.region, 0, 0, &memory) == 0);
	s.memory = memory;
	pattern_fill(memory, 0, REGION, 1);
	if (longer_than_the_lease) {
		CU_ASSERT(extmem_sync(s.region, 0, 0) == 0);
		atomic_store(&proxy.closed, true);
		atomic_store(&proxy.cut, true);
		CU_ASSERT(appliance_frees(&s.appliance, POOL_BYTES));
		atomic_store(&proxy.closed, false);
		CU_ASSERT(until(is_stale, &s));
		CU_ASSERT(lost_pages(&s, PAGE) > 0);
	} else {
		atomic_store(&proxy.cut, true);
		CU_ASSERT(nothing_is_lost(&s));
		CU_ASSERT(until(has_reconnected, &proxy.accepted));
		CU_ASSERT(until(is_ready, s.x));
		CU_ASSERT(nothing_is_lost(&s));
		CU_ASSERT(extmem_status(s.appliance.address, PATIENCE_MS,
					&status) == 0);
		CU_ASSERT(status.clients == 1);
		CU_ASSERT(status.expired == 0);
	}
	CU_ASSERT(until(is_ready, s.x));
	CU_ASSERT(region_works(s.x));
	extmem_close(s.x);
	proxy_close(&proxy);
	CU_ASSERT(appliance_frees(&s.appliance, POOL_BYTES));
	CU_ASSERT(appliance_stop(&s.appliance) == 0);
}

static void a_control_connection_that_breaks_is_resumed(void)
{
	cut_control(false);
}

static void a_lease_that_ended_behind_our_back_is_loss_and_never_zeros(void)
{
	cut_control(true);
}

static void a_request_while_the_connection_is_away_waits_for_it(void)
{
	struct proxy proxy;
	struct appliance a;
	char address[64];
	extmem *x;

	CU_ASSERT_FATAL(appliance_start(&a, LOOPBACK, POOL, NULL));
	CU_ASSERT_FATAL(proxy_open(&proxy, a.address));
	snprintf(address, sizeof(address), "ofi+tcp://127.0.0.1:%d",
		 proxy.port);
	x = client_open(address, paging, "timeout=20s", NULL);
	CU_ASSERT_FATAL(x != NULL);
	for (int i = 0; i < 10; i++) {
		extmem_region *region;
		int rc;

		atomic_store(&proxy.cut, true);
		/* An answer that was under way is lost with the stream. */
		rc = extmem_region_alloc(x, "between", MIB, &region);
		CU_ASSERT(rc == 0 || rc == -ENOTCONN);
		if (rc == 0)
			CU_ASSERT(extmem_region_free(region) <= 0);
	}
	CU_ASSERT(until(is_ready, x));
	CU_ASSERT(region_works(x));
	CU_ASSERT(extmem_close(x) == 0);
	proxy_close(&proxy);
	CU_ASSERT(appliance_frees(&a, POOL_BYTES));
	CU_ASSERT(appliance_stop(&a) == 0);
}

static const CU_TestInfo tests[] = {
	XM_TEST(data_moves_while_the_control_process_is_stopped),
	XM_TEST(a_service_stopped_longer_than_the_lease_declares_nobody_dead),
	XM_TEST(a_request_to_a_stopped_control_process_ends_by_its_deadline),
	XM_TEST(a_killed_appliance_is_sigbus_and_errors_in_words),
	XM_TEST(a_killed_interface_process_is_sigbus_and_errors_in_words),
	XM_TEST(a_hanging_appliance_is_sigbus_and_errors_in_words),
	XM_TEST(an_appliance_that_is_not_lost_yet_has_the_timeout_at_close),
	XM_TEST(a_killed_appliance_does_not_keep_a_clean_client_from_closing),
	XM_TEST(a_killed_appliance_does_not_keep_a_dirty_client_from_closing),
	XM_TEST(other_appliances_go_on_when_one_is_killed),
	XM_TEST(an_appliance_that_goes_on_in_time_has_lost_nothing),
	XM_TEST(a_hang_that_ends_too_late_loses_only_what_was_touched),
	XM_TEST(what_a_restarted_appliance_had_is_lost_and_never_zeros),
	XM_TEST(a_killed_clients_lease_is_ended_by_another),
	XM_TEST(a_killed_clients_memory_comes_back_zeroed),
	XM_TEST(a_stopped_clients_lease_ends_and_it_learns_so),
	XM_TEST(a_control_connection_that_breaks_is_resumed),
	XM_TEST(a_lease_that_ended_behind_our_back_is_loss_and_never_zeros),
	XM_TEST(a_request_while_the_connection_is_away_waits_for_it),
	CU_TEST_INFO_NULL,
};

/* usage: test_loss [inline|thread [ofi+shm://]] */
int main(int argc, char **argv)
{
	static const struct act acts[] = { { "hold", act_hold },
					   { NULL, NULL } };

	act_begin(argc, argv, acts);
	touch_begin();
	if (argc > 1 && strcmp(argv[1], "thread") == 0)
		paging = "paging=thread";
	if (argc > 2)
		scheme = argv[2];
	return xm_tests_run("loss", tests);
}
