/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `share`: what it costs to tell readers what was stored, and to see it, by how much that is.
 *
 * One client stores to the first so many bytes of its region, a word in each page, and
 * releases them; another one, which reads the region, acquires, and reads these words. Of each
 * round are measured
 *
 *	release	 extmem_region_release(): what is dirty is written back, then the readers'
 *		 table is written
 *	acquire	 extmem_region_acquire(): the table is read, and what has changed is dropped
 *	again	 the first load of each page that has changed, on average
 *
 * A word that is not the round's fails the run.
 */
#include "bench/bench.h"

#include <inttypes.h>
#include <stdlib.h>

#define STEP 16 /* from one size to the next */

struct settings {
	struct bench_common common;
	uint64_t rounds, size, local;
};

static const struct xm_option options[] = {
	{ .name = "size", .kind = XM_OPTION_SIZE, .value = "64M",
	  .min = 4 << 20, .max = UINT64_C(1) << 40,
	  .help = "Bytes of the region.",
	  .destination = offsetof(struct settings, size) },
	{ .name = "rounds", .kind = XM_OPTION_COUNT, .value = "20", .min = 1,
	  .max = 10000, .help = "Releases of each size.",
	  .destination = offsetof(struct settings, rounds) },
	{ .name = "local", .kind = XM_OPTION_COUNT, .value = "100", .min = 1,
	  .max = 100, .unit = "PERCENT",
	  .help = "Local memory of the writer as a percentage of the region. The "
		  "reader has room for all of it.",
	  .destination = offsetof(struct settings, local) },
	BENCH_OPTIONS(struct settings, common),
};

static const struct xm_option_table table = {
	.program = "extmem-bench share",
	.usage = "[OPTION]...",
	.about = "Shares a region with a reader, and prints how long a release and an "
		 "acquire take by how much was stored, and how long a page takes to "
		 "be read again. Fails if the reader sees less than was released.",
	.options = options,
	.count = XM_COUNT(options),
};

static const char *prepare(void *settings, uint64_t *ret_need)
{
	struct settings *s = settings;
	double local = (double)s->local;

	if (s->common.repeat > 1)
		return "--repeat: --rounds says how often";
	/* (A client takes a region as it is opened.) */
	*ret_need = 2 * s->size + 16 * BENCH_MIB;
	return bench_check_local(&s->common, s->size, &local, 1);
}

static struct run {
	struct bench_client writer, reader;
	const struct settings *s;
	extmem_region *read;
	uint64_t round; /* of all sizes */
	double *release_us, *acquire_us, *again_us;
} r;

static uint64_t *word_of(void *memory, uint64_t page)
{
	return (uint64_t *)((uint8_t *)memory + page * BENCH_PAGE);
}

static void open_reader(struct bench *b)
{
	char token[EXTMEM_TOKEN_SIZE];
	void *memory;

	bench_open(b, r.s->size, 100, &r.reader);
	if (extmem_region_free(r.reader.region) < 0 ||
	    extmem_region_share(r.writer.region, NULL, token) < 0 ||
	    extmem_region_open(r.reader.x, token, 0, &r.read) < 0 ||
	    extmem_map(r.read, 0, 0, &memory) < 0)
		bench_fail("%s", extmem_error());
	r.reader.region = r.read;
	r.reader.memory = memory;
}

static void round_run(uint64_t n, uint64_t pages)
{
	double began_us, released_us, acquired_us;
	uint64_t wrong = 0;

	r.round++;
	for (uint64_t i = 0; i < pages; i++)
		*word_of(r.writer.memory, i) = r.round;
	began_us = bench_now_us();
	if (extmem_region_release(r.writer.region) < 0)
		bench_fail("%s", extmem_error());
	released_us = bench_now_us();
	if (extmem_region_acquire(r.read) < 0)
		bench_fail("%s", extmem_error());
	acquired_us = bench_now_us();
	for (uint64_t i = 0; i < pages; i++)
		wrong += *word_of(r.reader.memory, i) != r.round;
	r.release_us[n] = released_us - began_us;
	r.acquire_us[n] = acquired_us - released_us;
	r.again_us[n] = (bench_now_us() - acquired_us) / (double)pages;
	if (wrong != 0)
		bench_fail("the reader sees %" PRIu64 " of %" PRIu64 " pages as they "
			   "were before the release", wrong, pages);
}

static void print(struct bench *b, uint64_t bytes)
{
	struct bench_row row;
	uint64_t rounds = r.s->rounds;

	bench_row(b, "KiB rounds release_us_p50 release_us_max acquire_us_p50 "
		     "acquire_us_max again_us_p50", &row);
	bench_count(&row, "KiB", BENCH_SAME, bytes >> 10);
	bench_count(&row, "rounds", BENCH_SAME, rounds);
	bench_real(&row, "release_us_p50", BENCH_MEDIAN,
		   bench_permille(r.release_us, rounds, 500));
	bench_real(&row, "release_us_max", BENCH_WORST,
		   bench_permille(r.release_us, rounds, 1000));
	bench_real(&row, "acquire_us_p50", BENCH_MEDIAN,
		   bench_permille(r.acquire_us, rounds, 500));
	bench_real(&row, "acquire_us_max", BENCH_WORST,
		   bench_permille(r.acquire_us, rounds, 1000));
	bench_real(&row, "again_us_p50", BENCH_MEDIAN,
		   bench_permille(r.again_us, rounds, 500));
	bench_stamp(&row, &r.writer);
	bench_print(b, &row, 1);
}

static const struct bench_program program = {
	.table = &table,
	.common = offsetof(struct settings, common),
	.prepare = prepare,
};

int bench_share(int argc, char *argv[])
{
	static struct settings s;
	struct bench *b;
	int rc = bench_begin(&program, &s, argc, argv, &b);

	if (rc != BENCH_GO)
		return rc;
	r.s = &s;
	r.release_us = bench_calloc(s.rounds, sizeof(double));
	r.acquire_us = bench_calloc(s.rounds, sizeof(double));
	r.again_us = bench_calloc(s.rounds, sizeof(double));
	bench_open(b, s.size, (double)s.local, &r.writer);
	bench_ground(&r.writer);
	open_reader(b);
	/* No page is fresh, and the reader has all. */
	round_run(0, s.size / BENCH_PAGE);
	for (uint64_t bytes = BENCH_PAGE; bytes <= s.size; bytes *= STEP) {
		for (uint64_t n = 0; n < s.rounds; n++)
			round_run(n, bytes / BENCH_PAGE);
		print(b, bytes);
	}
	bench_close(&r.reader);
	bench_close(&r.writer);
	free(r.release_us);
	free(r.acquire_us);
	free(r.again_us);
	return bench_end(b);
}
