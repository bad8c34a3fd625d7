/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is around a program of sim/workload.c, of this machine: its clock, its
 * memory, real clients of real appliances. See sim/program.h, which declares all
 * of this, for what it stands for; in the simulator it is the world's.
 *
 * There is one program of one thread, so that nobody waits for another.
 */
#include "tests/api/reality.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim/counts.h"
#include "sim/fibers.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/plan.h"
#include "sim/program.h"
#include "sim/programs.h"
#include "sim/seals.h"
#include "sim/shape.h"
#include "sim/weather.h"
#include "sim/world.h"
#include "tests/support/touching.h"

#define GRANULE (64 * XM_KIB) /* extmemd's */

static struct {
	struct program program;
	char address[128];
	bool finishing;
	uint64_t seeds, unlisted;
	/* shared with the threads that make trouble and look for it */
	pthread_mutex_t lock;
	struct outcome_watch watch;
	atomic_uint_least64_t starved_ns; /* in all: time we were not run */
} around = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct sim_shape sim_shape;
struct sim_counts sim_counts;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * XM_SECOND + (uint64_t)now.tv_nsec;
}

/* --- world.h ------------------------------------------------------------------------ */

uint64_t world_now(void)
{
	return now_ns();
}

bool world_wait(const void *key, uint64_t timeout_ns)
{
	struct timespec left = { (time_t)(timeout_ns / XM_SECOND),
				 (long)(timeout_ns % XM_SECOND) };

	(void)key;
	XM_ASSERT(timeout_ns != XM_NEVER); /* there is nobody to wake us */
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
	return false;
}

/* Nobody waits for a key. */
uint32_t world_waiting[WORLD_BUCKETS];

void world_wake_waiting(const void *key)
{
	(void)key;
}

void *world_argument(void)
{
	return &around.program.workers[0];
}

/* WORLD_WORK alone is used: as the simulator's for this seed. */
struct xm_rand world_rands[WORLD_PURPOSES];

void world_note(const char *what, uint64_t a, uint64_t b, uint64_t c)
{
	(void)what;
	(void)a;
	(void)b;
	(void)c;
}

_Noreturn void world_broken(const char *law, const char *format, ...)
{
	va_list arguments;

	printf("law broken: %s: ", law);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n0 passed, 1 failed\n");
	exit(1);
}

/* --- plan.h, counts.h --------------------------------------------------------------- */

bool sim_without(uint32_t kind)
{
	(void)kind;
	return false;
}

uint32_t sim_kind_of_operation(uint32_t operation)
{
	return operation;
}

void oracle_page_lost(void)
{
}

void weather_strike(uint32_t client)
{
	(void)client;
}

/* --- program.h ----------------------------------------------------------------------- */

/* A call that was not run in time does not return in time. What was starved is
 * known afterwards: meanwhile the clock stands. */
uint64_t around_clock(const struct program *p)
{
	static uint64_t last_ns;

	(void)p;
	last_ns = xm_max(last_ns, now_ns() - atomic_load(&around.starved_ns));
	return last_ns;
}

uint32_t around_members(void)
{
	return 0; /* they are another process's */
}

bool around_remote(const struct program *p, uint64_t page, uint32_t member,
		   struct remote_page *ret)
{
	(void)p;
	(void)page;
	(void)member;
	(void)ret;
	return false;
}

/* Nobody copies regions here. */
bool around_lacks(const struct program *p)
{
	(void)p;
	return false;
}

/* No appliance here has a store. */
uint64_t around_progress(const struct program *p)
{
	(void)p;
	return 0;
}

const uint8_t *around_durable(const struct program *p, uint64_t page)
{
	(void)p;
	(void)page;
	return NULL;
}

void around_given(const struct program *p)
{
	(void)p;
}

uint64_t around_page(const struct program *p, uint64_t page)
{
	(void)p;
	return page;
}

static uint8_t *page_at(const struct program *p, uint64_t page)
{
	return (uint8_t *)extmem_region_address(p->region) + page * XM_PAGE;
}

/* The touched page stays, as no other thread needs room. */
enum xm_touched around_touch(const struct program *p, uint64_t page, bool write)
{
	int byte = touch_read(page_at(p, page));

	if (byte >= 0 && write)
		byte = touch_write(page_at(p, page), (uint8_t)byte);
	return byte >= 0	      ? XM_TOUCHED_SERVED
	       : byte == TOUCH_DENIED ? XM_TOUCHED_DENIED
				      : XM_TOUCHED_LOST;
}

#define PAGEMAP_HERE 63
#define PAGEMAP_PROTECTED 57 /* by userfaultfd; Linux 5.13 */

void around_look(const struct program *p, uint64_t page, bool *ret_here,
		 bool *ret_open)
{
	uint64_t entry = 0;
	off_t at = (off_t)((uintptr_t)page_at(p, page) / XM_PAGE *
			   sizeof(entry));
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	XM_ASSERT(fd >= 0 &&
		  pread(fd, &entry, sizeof(entry), at) == sizeof(entry));
	close(fd);
	*ret_here = (entry >> PAGEMAP_HERE & 1) != 0;
	*ret_open = *ret_here && (entry >> PAGEMAP_PROTECTED & 1) == 0;
}

/* Regions are not sealed. */
bool seals_renews(void)
{
	return false;
}

const char *around_address(uint32_t appliance)
{
	(void)appliance;
	return around.address;
}

/* Who could not open tries again in a moment. */
bool around_open(struct program *p)
{
	char appliance[160], timeout[64], loss[64];
	const char *settings[] = {
		appliance, "local=1M", timeout, loss, NULL,
	};
	extmem *x;

	snprintf(appliance, sizeof(appliance), "appliance=%s", around.address);
	snprintf(timeout, sizeof(timeout), "timeout=%llums",
		 (unsigned long long)sim_shape.timeout_ms);
	snprintf(loss, sizeof(loss), "loss_timeout=%llums",
		 (unsigned long long)sim_shape.loss_ms);
	if (CALL(extmem_open, settings, &x) != 0) {
		world_wait(p, 10 * XM_MS);
		return false;
	}
	p->x = x;
	return true;
}

void around_close(struct program *p)
{
	extmem *x = p->x;

	p->x = NULL;
	if (CALL(extmem_close, x) != 0)
		sim_counts.failed++;
}

bool around_finishing(void)
{
	return around.finishing;
}

void around_outcome(struct program *p, enum outcome_call call,
		    enum outcome_result result)
{
	enum outcome_trouble worst;

	(void)p;
	pthread_mutex_lock(&around.lock);
	worst = outcome_worst(&around.watch);
	if (call == OUTCOME_TAKE && result == OUTCOME_OK)
		outcome_taken(&around.watch, now_ns());
	pthread_mutex_unlock(&around.lock);
	sim_counts.outcomes[call][worst][result]++;
	if (outcome_listed(call, worst, result))
		return;
	if (++around.unlisted > 20)
		return;
	printf("not in the list: %s while %s: %s: %s\n",
	       outcome_call_name(call), outcome_trouble_name(worst),
	       outcome_result_name(result),
	       result == OUTCOME_OK || result == OUTCOME_SIGBUS
		       ? ""
		       : extmem_error());
}

/* --- reality.h ------------------------------------------------------------------------ */

/* As world_open() and, for its shape, weather_draw() have it. */
static void draw(uint64_t seed)
{
	struct xm_rand root, shape;

	xm_rand_seed(&root, seed);
	xm_rand_split(&root, "world", WORLD_WORK,
		      &world_rands[WORLD_WORK]);
	xm_rand_split(&root, "reality", 0, &shape);
	sim_shape.kinds = program_kinds_draw(&shape);
	sim_shape.operations = 20 + (uint32_t)xm_rand_below(&shape, 150);
	sim_shape.think_ns = xm_rand_below(&shape, 3) == 0 ? 5 * XM_MS : 0;
	sim_shape.rights = xm_rand_below(&shape, 3) == 0;
}

/* One seed's operations; their region goes at the end, looked through. */
void reality_live(uint64_t seed, uint64_t end_ms)
{
	struct program *p = &around.program;
	struct worker *w = &p->workers[0];

	draw(seed);
	for (uint64_t i = 0; i < sim_shape.operations; i++) {
		if (now_ns() / XM_MS >= end_ms)
			return;
		dice_cast(w, i);
		program_operate(p, w, false);
		if (sim_shape.think_ns > 0)
			world_wait(w, below(2 * sim_shape.think_ns + 1));
	}
	if (p->region != NULL)
		region_give(p, true);
	around.seeds++;
}

bool reality_open(const char *address, unsigned timeout_ms, unsigned loss_ms)
{
	static struct shadow *shadow;
	struct program *p = &around.program;

	sim_shape = (struct sim_shape){
		.appliances = 1, .clients = 1, .threads = 1, .lanes = 1,
		.pool_size = REALITY_POOL, .granule = GRANULE,
		.timeout_ms = timeout_ms, .loss_ms = loss_ms,
	};
	if (shadow == NULL)
		shadow = shadow_open(REALITY_POOL / XM_PAGE);
	snprintf(around.address, sizeof(around.address), "%s", address);
	memset(&around.watch, 0, sizeof(around.watch));
	*p = (struct program){
		.shadow = shadow,
		.stamp = p->stamp, .lives = 1,
	};
	p->workers[0].program = p;
	return around_open(p);
}

void reality_finish(void)
{
	struct program *p = &around.program;

	around.finishing = true;
	if (p->region != NULL)
		region_give(p, true);
	if (p->x != NULL)
		around_close(p);
	around.finishing = false;
}

uint64_t reality_unlisted(void)
{
	return around.unlisted;
}

void reality_begins(enum outcome_trouble trouble)
{
	pthread_mutex_lock(&around.lock);
	outcome_begin(&around.watch, trouble);
	pthread_mutex_unlock(&around.lock);
}

void reality_ends(enum outcome_trouble trouble)
{
	pthread_mutex_lock(&around.lock);
	outcome_end(&around.watch, trouble, now_ns());
	pthread_mutex_unlock(&around.lock);
}

void reality_starved(uint64_t ns)
{
	atomic_fetch_add(&around.starved_ns, ns);
}

void reality_print(void)
{
	for (unsigned i = 0; i < OUTCOME_CALLS * OUTCOME_TROUBLES *
					 OUTCOME_RESULTS; i++) {
		enum outcome_call c = i / OUTCOME_RESULTS / OUTCOME_TROUBLES;
		enum outcome_trouble t = i / OUTCOME_RESULTS % OUTCOME_TROUBLES;
		enum outcome_result result = i % OUTCOME_RESULTS;
		uint64_t seen = sim_counts.outcomes[c][t][result];

		if (seen > 0)
			printf("%-8s %-18s %-15s %llu\n", outcome_call_name(c),
			       outcome_trouble_name(t),
			       outcome_result_name(result),
			       (unsigned long long)seen);
	}
	printf("%llu seeds, %llu operations: %llu loads, %llu stores, %llu reads, "
	       "%llu writes\n", (unsigned long long)around.seeds,
	       (unsigned long long)sim_counts.operations,
	       (unsigned long long)sim_counts.loads,
	       (unsigned long long)sim_counts.stores,
	       (unsigned long long)sim_counts.reads,
	       (unsigned long long)sim_counts.writes);
}
