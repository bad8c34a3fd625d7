/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem-bench: how fast external memory is here, against the network below
 * it. `fault` touches pages of a mapping of which a part is local.
 *
 * Definitions (docs/BENCHMARKS.md): t_net is the median round trip of one
 * 4 KiB explicit read; f is a fault that needs no network (a fresh page), its
 * median; a miss is a fault that waited for the appliance. All are of the same
 * run. What is read is verified, and a wrong word is exit status 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"

#include "extmem.h"
#include "options.h"

#define PAGE 4096
#define WORDS (PAGE / 8)

struct settings {
	struct xm_option_list appliance;
	const char *pattern;
	uint64_t local, pages, rounds, lanes, prefetch;
	bool json;
};

static const struct xm_option options[] = {
	{ .name = "appliance", .kind = XM_OPTION_LIST, .unit = "ADDR",
	  .help = "Where memory is. May be repeated.",
	  .destination = offsetof(struct settings, appliance) },
	{ .name = "pattern", .kind = XM_OPTION_TEXT, .value = "all",
	  .unit = "NAME",
	  .help = "random-read, random-rmw, seq-read, seq-write, or all.",
	  .destination = offsetof(struct settings, pattern) },
	{ .name = "local", .kind = XM_OPTION_COUNT, .value = "25",
	  .unit = "PERCENT", .min = 5, .max = 100,
	  .help = "Local memory, as a part of the pages.",
	  .destination = offsetof(struct settings, local) },
	{ .name = "pages", .kind = XM_OPTION_COUNT, .value = "100000",
	  .min = 5000,
	  .help = "Pages of 4 KiB touched.",
	  .destination = offsetof(struct settings, pages) },
	{ .name = "rounds", .kind = XM_OPTION_COUNT, .value = "2", .min = 1,
	  .help = "Times each pattern is measured; the last is reported.",
	  .destination = offsetof(struct settings, rounds) },
	{ .name = "lanes", .kind = XM_OPTION_COUNT, .value = "1", .min = 1,
	  .max = 16, .help = "Connections.",
	  .destination = offsetof(struct settings, lanes) },
	{ .name = "prefetch", .kind = XM_OPTION_COUNT, .value = "64",
	  .min = 1, .max = 64, .help = "Pages read ahead, most.",
	  .destination = offsetof(struct settings, prefetch) },
	{ .name = "json", .kind = XM_OPTION_FLAG,
	  .help = "One JSON object a line.",
	  .destination = offsetof(struct settings, json) },
};

static const struct xm_option_table table = {
	.program = "extmem-bench fault",
	.usage = "--appliance ADDR [OPTION]...",
	.about = "Touches the pages of a mapping of which only a part is "
		 "local, and prints what an access and a miss cost beside the "
		 "network (t_net) and a fault without it (f).",
	.options = options,
	.count = XM_COUNT(options),
};

struct run {
	struct settings s;
	extmem *x;
	extmem_region *region;
	uint64_t *words;
	uint64_t random;
	double t_net_us, f_us;
	char provider[64];
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "extmem-bench: %s: %s\n", what, extmem_error());
	exit(1);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* xorshift64 (Marsaglia, 2003): cheap beside what is measured. */
static uint64_t draw(struct run *r)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return r->random;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), by_size);
	return values[count / 2];
}

/* --- the ground under the figures --------------------------------------------------- */

static void measure_net(struct run *r)
{
	enum { TIMES = 5000 };
	static double took[TIMES];
	static char page[PAGE];
	extmem_region *region;

	if (extmem_region_take(r->x, "t_net", 1 << 24, &region) < 0)
		fail("t_net");
	for (int i = 0; i < TIMES; i++) {
		double began = now_us();

		if (extmem_read(region, draw(r) % 4096 * PAGE, page, PAGE) < 0)
			fail("t_net");
		took[i] = now_us() - began;
	}
	r->t_net_us = median(took, TIMES);
	if (extmem_region_give(region) < 0)
		fail("t_net");
}

/* Fresh pages in an order no stream is seen in: a fault, a zero page. */
static void measure_fault(struct run *r)
{
	enum { TIMES = 500 };
	static double took[TIMES];
	volatile char *memory;
	extmem_region *region;
	void *at;

	if (extmem_region_take(r->x, "f", TIMES * 4 * PAGE, &region) < 0 ||
	    extmem_map(region, 0, 0, &at) < 0 ||
	    extmem_advise(region, 0, 0, EXTMEM_RANDOM) < 0)
		fail("f");
	memory = at;
	for (int i = 0; i < TIMES; i++) {
		double began = now_us();

		(void)memory[(size_t)i * 4 * PAGE];
		took[i] = now_us() - began;
	}
	r->f_us = median(took, TIMES);
	if (extmem_region_give(region) < 0)
		fail("f");
}

/* --- patterns -------------------------------------------------------------------------- */

static uint64_t mark(uint64_t page, uint64_t round)
{
	return page * UINT64_C(0x9e3779b97f4a7c15) + round;
}

/* Every page has its number in its first word; rmw keeps it there. */
static void check(struct run *r, uint64_t page)
{
	if (r->words[page * WORDS] != mark(page, 0)) {
		fprintf(stderr, "extmem-bench: page %llu is wrong\n",
			(unsigned long long)page);
		exit(1);
	}
}

static void touch(struct run *r, const char *pattern)
{
	bool random = strncmp(pattern, "random", 6) == 0;
	bool read = strcmp(pattern, "seq-write") != 0;
	bool write = strstr(pattern, "-read") == NULL;

	for (uint64_t i = 0; i < r->s.pages; i++) {
		uint64_t page = random ? draw(r) % r->s.pages : i;

		if (read)
			check(r, page);
		if (write)
			r->words[page * WORDS + 1] = i;
		if (!read)
			r->words[page * WORDS] = mark(page, 0);
	}
}

static void report(const struct run *r, const char *pattern, double took_us,
		   const struct extmem_stats *a, const struct extmem_stats *b)
{
	struct extmem_stats d = *b;
	uint64_t misses = b->misses - a->misses;
	double access = took_us / (double)r->s.pages;
	double miss = misses > 0 ? took_us / (double)misses : 0;

	for (int i = 0; i < EXTMEM_LATENCY_BUCKETS; i++)
		d.latency[i] -= a->latency[i];
	if (r->s.json) {
		printf("{\"bench\":\"fault\",\"pattern\":\"%s\","
		       "\"local_pct\":%llu,\"threads\":1,\"pages\":%llu,"
		       "\"us_per_access\":%.3f,\"us_per_miss\":%.3f,"
		       "\"p50_us\":%.3f,\"p99_us\":%.3f,\"t_net_us\":%.3f,"
		       "\"f_us\":%.3f,\"faults\":%llu,\"misses\":%llu,"
		       "\"pages_read\":%llu,\"pages_written\":%llu,"
		       "\"provider\":\"%s\"}\n",
		       pattern, (unsigned long long)r->s.local,
		       (unsigned long long)r->s.pages, access, miss,
		       (double)extmem_latency_ns(&d, 500) / 1e3,
		       (double)extmem_latency_ns(&d, 990) / 1e3, r->t_net_us,
		       r->f_us, (unsigned long long)(b->faults - a->faults),
		       (unsigned long long)misses,
		       (unsigned long long)(b->pages_read - a->pages_read),
		       (unsigned long long)(b->pages_written -
					    a->pages_written), r->provider);
		return;
	}
	printf("%-12s %9.2f %9.2f %8.1f %8.1f %9llu %9llu %9llu\n", pattern,
	       access, miss, (double)extmem_latency_ns(&d, 500) / 1e3,
	       (double)extmem_latency_ns(&d, 990) / 1e3,
	       (unsigned long long)misses,
	       (unsigned long long)(b->pages_read - a->pages_read),
	       (unsigned long long)(b->pages_written - a->pages_written));
}

static void measure(struct run *r, const char *pattern)
{
	struct extmem_stats a = { .size = sizeof(a) }, b = a;
	double took_us = 0;

	for (uint64_t i = 0; i < r->s.rounds; i++) {
		if (extmem_stats(r->x, &a) < 0)
			fail("stats");
		took_us = now_us();
		touch(r, pattern);
		took_us = now_us() - took_us;
		if (extmem_stats(r->x, &b) < 0)
			fail("stats");
	}
	report(r, pattern, took_us, &a, &b);
}

static void open_client(struct run *r)
{
	const char *list[20];
	static char addresses[16][160], local[40], lanes[40], prefetch[40];
	struct extmem_info info = { .size = sizeof(info) };
	size_t n = 0;
	void *at;

	for (size_t i = 0; i < r->s.appliance.count && i < 16; i++) {
		snprintf(addresses[i], sizeof(addresses[i]), "appliance=%s",
			 r->s.appliance.items[i]);
		list[n++] = addresses[i];
	}
	snprintf(local, sizeof(local), "local=%llu",
		 (unsigned long long)(r->s.pages * PAGE * r->s.local / 100));
	snprintf(lanes, sizeof(lanes), "lanes=%llu",
		 (unsigned long long)r->s.lanes);
	snprintf(prefetch, sizeof(prefetch), "prefetch=%llu",
		 (unsigned long long)r->s.prefetch);
	list[n++] = local;
	list[n++] = lanes;
	list[n++] = prefetch;
	list[n] = NULL;
	if (extmem_open(list, &r->x) < 0)
		fail("open");
	measure_net(r);
	measure_fault(r);
	if (extmem_region_take(r->x, "bench", r->s.pages * PAGE,
			       &r->region) < 0 ||
	    extmem_map(r->region, 0, 0, &at) < 0 ||
	    extmem_info(r->x, 0, &info) < 0)
		fail("region");
	r->words = at;
	snprintf(r->provider, sizeof(r->provider), "%s", info.provider);
	if (!r->s.json)
		printf("# extmem %s, %s %s %s, paging %s; %llu pages, %llu %% "
		       "local; t_net %.2f us, f %.2f us\n", extmem_version(),
		       info.provider, info.version, info.endpoint, info.paging,
		       (unsigned long long)r->s.pages,
		       (unsigned long long)r->s.local, r->t_net_us, r->f_us);
}

static int fault(int argc, char *argv[])
{
	static const char *const patterns[] = { "random-read", "random-rmw",
						"seq-read", "seq-write" };
	struct run r = { .random = UINT64_C(88172645463325252) };
	struct xm_options *o;
	bool any = false;
	int rc;

	if (xm_options_open(&table, &r.s, &o) != 0)
		return 1;
	rc = xm_options_read_flags(o, argc, argv, NULL);
	if (rc == XM_OPTIONS_HELP) {
		xm_options_print_help(&table, stdout);
		return 0;
	}
	if (rc < 0 || r.s.appliance.count == 0) {
		fprintf(stderr, "extmem-bench: %s\n",
			rc < 0 ? xm_options_words(o)
			       : "no appliance is named: --appliance ADDR");
		return 2;
	}
	for (unsigned i = 0; i < XM_COUNT(patterns); i++)
		any |= strcmp(r.s.pattern, patterns[i]) == 0;
	if (!any && strcmp(r.s.pattern, "all") != 0) {
		fprintf(stderr, "extmem-bench: --pattern %s: no such pattern: "
			"random-read, random-rmw, seq-read, seq-write, all\n",
			r.s.pattern);
		return 2;
	}
	open_client(&r);
	for (uint64_t i = 0; i < r.s.pages * WORDS; i++)
		r.words[i] = i % WORDS == 0 ? mark(i / WORDS, 0) : i;
	if (!r.s.json)
		printf("%-12s %9s %9s %8s %8s %9s %9s %9s\n", "# pattern",
		       "us/access", "us/miss", "p50_us", "p99_us", "misses",
		       "read", "written");
	for (unsigned i = 0; i < XM_COUNT(patterns); i++) {
		if (strcmp(r.s.pattern, "all") == 0 ||
		    strcmp(r.s.pattern, patterns[i]) == 0)
			measure(&r, patterns[i]);
	}
	rc = extmem_close(r.x);
	xm_options_close(o);
	return rc != 0;
}

int main(int argc, char *argv[])
{
	if (argc > 1 && strcmp(argv[1], "fault") == 0)
		return fault(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("extmem-bench (extmem) %s\n", PACKAGE_VERSION);
		return 0;
	}
	fprintf(argc > 1 && strcmp(argv[1], "--help") == 0 ? stdout : stderr,
		"usage: extmem-bench fault --appliance ADDR [OPTION]...\n"
		"       extmem-bench fault --help\n");
	return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
}
