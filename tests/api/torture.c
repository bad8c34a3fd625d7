/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Torture: threads read, write and read-modify-write a mapping four times
 * (and more) the local memory at random, and now and then sync it, advise on
 * it, read and write it explicitly; every byte is compared with a shadow in
 * ordinary memory. Each thread has every T-th stripe of 1000 bytes to itself,
 * so all threads share nearly all pages, and none needs a lock.
 *
 *	torture [--seconds N] [--threads T] [--appliance ADDR | --start
 *		LISTEN] [--seed S] [--lanes L] [--paging P] [--local SIZE]
 *
 * The seed is printed. Threads make it no exact replay, but each thread's
 * choices are the seed's alone.
 */
#include "tests/support/appliance.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rand.h"

#define LOCAL_MIB 4
#define STRIPE 1000
#define THREADS_MAX 64

struct run {
	extmem *x;
	extmem_region *region;
	uint8_t *memory, *shadow;
	uint64_t size;
	unsigned threads;
	uint64_t seed, until_ms;
	atomic_uint failed;
	atomic_ullong steps;
};

struct worker {
	struct run *run;
	unsigned index;
};

/* One of the thread's own stripes, or a part of one. */
static void choose(struct xm_rand *r, const struct worker *w,
		   uint64_t *ret_offset, uint64_t *ret_size)
{
	const struct run *run = w->run;
	uint64_t stripes = run->size / STRIPE / run->threads;
	uint64_t stripe = xm_rand_below(r, stripes);
	uint64_t from = xm_rand_below(r, STRIPE);

	*ret_offset = (stripe * run->threads + w->index) * STRIPE + from;
	*ret_size = 1 + xm_rand_below(r, STRIPE - from);
}

static void fail(struct run *run, const char *what, uint64_t offset,
		 uint64_t size)
{
	fprintf(stderr, "%s [%llu, +%llu): wrong; %s\n", what,
		(unsigned long long)offset, (unsigned long long)size,
		extmem_error());
	atomic_fetch_add(&run->failed, 1);
}

static void load(struct run *run, uint64_t offset, uint64_t size)
{
	if (memcmp(run->memory + offset, run->shadow + offset, size) != 0)
		fail(run, "load", offset, size);
}

static void store(struct run *run, struct xm_rand *r, uint64_t offset,
		  uint64_t size)
{
	pattern_fill(run->shadow + offset, offset, size, xm_rand_next(r));
	memcpy(run->memory + offset, run->shadow + offset, size);
}

static void modify(struct run *run, uint64_t offset, uint64_t size)
{
	for (uint64_t i = 0; i < size; i++) {
		uint8_t byte = run->memory[offset + i];

		if (byte != run->shadow[offset + i]) {
			fail(run, "modify", offset + i, 1);
			return;
		}
		run->memory[offset + i] = (uint8_t)(byte * 5 + 1);
		run->shadow[offset + i] = (uint8_t)(byte * 5 + 1);
	}
}

static void explicit_access(struct run *run, struct xm_rand *r,
			    uint64_t offset, uint64_t size)
{
	uint8_t bytes[STRIPE];

	if (xm_rand_below(r, 2) == 0) {
		if (extmem_read(run->region, offset, bytes, size) != 0 ||
		    memcmp(bytes, run->shadow + offset, size) != 0)
			fail(run, "read", offset, size);
		return;
	}
	pattern_fill(run->shadow + offset, offset, size, xm_rand_next(r));
	if (extmem_write(run->region, offset, run->shadow + offset, size) != 0)
		fail(run, "write", offset, size);
	load(run, offset, size);
}

/* Anybody may advise on anybody's pages: no byte may change by it. */
static void disturb(struct run *run, struct xm_rand *r)
{
	static const enum extmem_advice kinds[] = {
		EXTMEM_NORMAL, EXTMEM_SEQUENTIAL, EXTMEM_RANDOM,
		EXTMEM_WILLNEED, EXTMEM_COLD,
	};
	uint64_t pages = run->size / PAGE;
	uint64_t page = xm_rand_below(r, pages - 64);
	uint64_t count = 1 + xm_rand_below(r, 64);
	int64_t pinned;

	switch (xm_rand_below(r, 3)) {
	case 0:
		if (extmem_sync(run->region, page * PAGE, count * PAGE) != 0)
			fail(run, "sync", page * PAGE, count * PAGE);
		break;
	case 1:
		if (extmem_advise(run->region, page * PAGE, count * PAGE,
				  kinds[xm_rand_below(r, 5)]) != 0)
			fail(run, "advise", page * PAGE, count * PAGE);
		break;
	default:
		pinned = extmem_pin(run->x, run->memory + page * PAGE,
				    count % 8 * PAGE + 1, (int)(count & 1));
		if (pinned > 0)
			extmem_unpin(run->x, run->memory + page * PAGE,
				     (size_t)pinned);
		else if (pinned != -ENOMEM)
			fail(run, "pin", page * PAGE, PAGE);
	}
}

static void *work(void *argument)
{
	struct worker *w = argument;
	struct run *run = w->run;
	struct xm_rand r;
	uint64_t offset, size, steps = 0;

	xm_rand_seed(&r, run->seed + w->index);
	while (atomic_load(&run->failed) == 0 &&
	       (steps % 64 != 0 || now_ms() < run->until_ms)) {
		uint64_t what = xm_rand_below(&r, 100);

		choose(&r, w, &offset, &size);
		if (what < 35)
			load(run, offset, size);
		else if (what < 60)
			store(run, &r, offset, size);
		else if (what < 90)
			modify(run, offset, size);
		else if (what < 97)
			explicit_access(run, &r, offset, size);
		else
			disturb(run, &r);
		steps++;
	}
	atomic_fetch_add(&run->steps, steps);
	return NULL;
}

/* Every byte once more, both ways. */
static void verify(struct run *run)
{
	static uint8_t bytes[1 << 20];

	for (uint64_t at = 0; at < run->size; at += sizeof(bytes)) {
		load(run, at, sizeof(bytes));
		if (extmem_read(run->region, at, bytes, sizeof(bytes)) != 0 ||
		    memcmp(bytes, run->shadow + at, sizeof(bytes)) != 0)
			fail(run, "read", at, sizeof(bytes));
	}
}

static bool torture(struct run *run)
{
	struct worker workers[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	struct extmem_stats s;
	unsigned made = 0;

	for (; made < run->threads; made++) {
		workers[made] = (struct worker){ run, made };
		if (pthread_create(&threads[made], NULL, work,
				   &workers[made]) != 0)
			break;
	}
	for (unsigned i = 0; i < made; i++)
		pthread_join(threads[i], NULL);
	verify(run);
	s = client_stats(run->x);
	printf("%llu steps, %llu faults, %llu pages in, %llu out, "
	       "peak %llu of %llu bytes\n",
	       (unsigned long long)run->steps, (unsigned long long)s.faults,
	       (unsigned long long)s.pages_read,
	       (unsigned long long)s.pages_written,
	       (unsigned long long)s.local_peak,
	       (unsigned long long)s.local_limit);
	if (s.local_peak > s.local_limit || s.pages_lost > 0 ||
	    s.pages_read == 0 || made < run->threads)
		fail(run, "figures", 0, 0);
	return atomic_load(&run->failed) == 0;
}

static bool prepare(struct run *run, const char *address, const char *lanes,
		    const char *paging, const char *local)
{
	struct extmem_info info = { .size = sizeof(info) };
	struct extmem_stats s;
	void *memory;

	run->x = client_open(address, lanes, paging, local, "prefetch=16",
			     NULL);
	if (run->x == NULL)
		return false;
	s = client_stats(run->x);
	run->size = s.local_limit * 4;
	run->shadow = calloc(1, run->size);
	if (run->shadow == NULL ||
	    extmem_region_alloc(run->x, "torture", run->size, &run->region) ||
	    extmem_map(run->region, 0, 0, &memory) ||
	    extmem_info(run->x, 0, &info)) {
		fprintf(stderr, "%s\n", extmem_error());
		return false;
	}
	run->memory = memory;
	printf("%s, %s, paging %s, %u lanes, %u threads, %llu MiB over %llu "
	       "MiB local, seed %llu\n", address, info.provider, info.paging,
	       info.lanes, run->threads,
	       (unsigned long long)(run->size / MIB),
	       (unsigned long long)(s.local_limit / MIB),
	       (unsigned long long)run->seed);
	return true;
}

static const char *value_of(int argc, char **argv, const char *name,
			    const char *otherwise)
{
	for (int i = 1; i + 1 < argc; i += 2)
		if (strncmp(argv[i], "--", 2) == 0 &&
		    strcmp(argv[i] + 2, name) == 0)
			return argv[i + 1];
	return otherwise;
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { NULL, NULL } };
	const char *address = value_of(argc, argv, "appliance", NULL);
	char lanes[64], paging[64], local[64];
	struct appliance appliance = { 0 };
	struct run run = { 0 };
	bool well = true;

	act_begin(argc, argv, acts);
	snprintf(lanes, sizeof(lanes), "lanes=%s",
		 value_of(argc, argv, "lanes", "1"));
	snprintf(paging, sizeof(paging), "paging=%s",
		 value_of(argc, argv, "paging", "auto"));
	snprintf(local, sizeof(local), "local=%s",
		 value_of(argc, argv, "local", "4M"));
	run.threads = (unsigned)atoi(value_of(argc, argv, "threads", "4"));
	run.seed = strtoull(value_of(argc, argv, "seed", "1"), NULL, 10);
	if (run.threads == 0 || run.threads > THREADS_MAX)
		run.threads = 4;
	if (address == NULL) {
		well = appliance_start(&appliance,
				       value_of(argc, argv, "start", LOOPBACK),
				       "512M", NULL);
		address = appliance.address;
		if (!well) { /* no such provider here, most likely */
			printf("the appliance did not start\n");
			return 77;
		}
	}
	well = well && prepare(&run, address, lanes, paging, local);
	run.until_ms = now_ms() + 1000 * strtoull(value_of(argc, argv,
							   "seconds", "3"),
						  NULL, 10);
	well = well && torture(&run);
	extmem_close(run.x);
	appliance_kill(&appliance);
	free(run.shadow);
	printf("%d passed, %d failed\n", well, !well);
	return !well;
}
