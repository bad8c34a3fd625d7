/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `rma`: explicit reads and writes by size and depth, each beside the raw
 * libfabric call (raw.c) of the same size and depth, one right after the
 * other.
 *
 * The plain calls at depth 1 are extmem_read() and extmem_write(), at a
 * greater depth one extmem_readv() or extmem_writev() of so many parts; the
 * asynchronous ones are started and polled for. Buffers are a ring: the n-th
 * operation uses buffer n % depth, so that it is known afterwards what must
 * lie where. After each point the buffers are verified, or what was written
 * is read back and put right again.
 */
#include "bench/rma.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/alone.h"
#include "config.h"
#include "bench/link.h"
#include "bench/net.h"

#define LIST_MAX 32
#define CHUNK BENCH_MIB
#define CURVE_FROM 4096
#define CURVE_TO (256 << 10)

struct settings {
	struct bench_common common;
	const char *op, *api, *bytes, *depth, *calibrate;
	uint64_t time;
	bool raw;
};

static const struct xm_option options[] = {
	{ .name = "op", .kind = XM_OPTION_TEXT, .value = "all",
	  .unit = "read|write|all", .help = "Operations to measure.",
	  .destination = offsetof(struct settings, op) },
	{ .name = "api", .kind = XM_OPTION_TEXT, .value = "all",
	  .unit = "plain|async|all",
	  .help = "plain: calls that wait (at a depth, one call with "
		  "that many parts). async: calls that start an "
		  "operation, and polling.",
	  .destination = offsetof(struct settings, api) },
	{ .name = "bytes", .kind = XM_OPTION_TEXT,
	  .value = "8,64,512,4K,16K,64K,256K,1M,4M", .unit = "LIST",
	  .help = "Sizes of operations, 8 bytes to 4M.",
	  .destination = offsetof(struct settings, bytes) },
	{ .name = "depth", .kind = XM_OPTION_TEXT, .value = "1,8,64",
	  .unit = "LIST",
	  .help = "Operations under way at the same time, 1 to 256. "
		  "Sizes that would be more than 64M together are left "
		  "out.",
	  .destination = offsetof(struct settings, depth) },
	{ .name = "time", .kind = XM_OPTION_DURATION, .value = "40ms",
	  .min = XM_MS, .max = 60 * XM_SECOND,
	  .help = "Approximate time for each measurement.",
	  .destination = offsetof(struct settings, time) },
	{ .name = "raw", .kind = XM_OPTION_FLAG, .value = "yes",
	  .help = "Also measure libfabric's own calls.",
	  .destination = offsetof(struct settings, raw) },
	{ .name = "calibrate", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  .help = "Write to this file, as one JSON object, what "
		  "extmem-sim --link needs to know of the link.",
	  .destination = offsetof(struct settings, calibrate) },
	BENCH_OPTIONS(struct settings, common),
};

static const struct xm_option_table table = {
	.program = "extmem-bench rma",
	.usage = "[OPTION]...",
	.about = "Explicit reads and writes by size and depth, beside the raw "
		 "libfabric call.",
	.options = options,
	.count = XM_COUNT(options),
};

struct run {
	const struct settings *s;
	struct bench_client client;
	extmem_region *region;
	char *buffers, *check; /* RMA_SPAN, CHUNK */
	bool has_raw;
	struct link_curve curve;
	struct link_local local;
	uint64_t salt;
};

/* --- settings ----------------------------------------------------------------------------- */

static bool one_of(const char *text, const char *a, const char *b)
{
	return strcmp(text, a) == 0 || strcmp(text, b) == 0 ||
	       strcmp(text, "all") == 0;
}

static const char *prepare(void *settings, uint64_t *ret_need)
{
	struct settings *s = settings;
	uint64_t list[LIST_MAX];
	size_t count;

	if (!one_of(s->op, "read", "write"))
		return "--op: read, write or all";
	if (!one_of(s->api, "plain", "async"))
		return "--api: plain, async or all";
	count = bench_numbers(s->bytes, 8, 4 * BENCH_MIB, list, LIST_MAX);
	for (size_t i = 0; i < count; i++) {
		if (list[i] % 8 != 0)
			count = 0;
	}
	if (count == 0)
		return "--bytes: a list of sizes such as 8,4K,1M, each a "
		       "multiple of 8, to 4M";
	count = bench_numbers(s->depth, 1, RMA_DEPTH_MAX, list, LIST_MAX);
	if (count == 0)
		return "--depth: a list of numbers from 1 to 256";
	if (s->calibrate[0] != '\0') {
		uint64_t sizes[LIST_MAX], least = UINT64_MAX, most = 0;
		size_t many = bench_numbers(s->bytes, 8, 4 * BENCH_MIB, sizes, LIST_MAX);
		bool one = false;

		for (size_t i = 0; i < many; i++) {
			least = sizes[i] < least ? sizes[i] : least;
			most = sizes[i] > most ? sizes[i] : most;
		}
		if (least > CURVE_FROM || most < CURVE_TO)
			return "--calibrate wants --bytes that reach from 4K or "
			       "less to 256K or more: pages, and what goes "
			       "together";

		for (size_t i = 0; i < count; i++)
			one |= list[i] == 1;
		if (!one || strcmp(s->op, "all") != 0)
			return "--calibrate wants --op all, and depth 1 among "
			       "others";
#ifndef HAVE_JANSSON
		return "--calibrate: this build has no JSON; build with "
		       "jansson (Debian: libjansson-dev)";
#endif
	}
	s->common.no_raw = !s->raw;
	*ret_need = RMA_SPAN;
	return NULL;
}

/* --- operations ------------------------------------------------------------------------------ */

static char *buffer_of(const struct run *r, const struct rma_point *p,
		       uint64_t n)
{
	return r->buffers + n % p->depth * p->bytes;
}

static void plain_one(struct run *r, const struct rma_point *p, uint64_t n)
{
	int rc = p->write ? extmem_write(r->region, rma_offset(p, n),
					 buffer_of(r, p, n), p->bytes)
			  : extmem_read(r->region, rma_offset(p, n),
					buffer_of(r, p, n), p->bytes);

	if (rc < 0)
		bench_fail("%s", extmem_error());
}

static void plain_many(struct run *r, const struct rma_point *p, uint64_t n)
{
	struct extmem_iov parts[RMA_DEPTH_MAX];
	int rc;

	for (unsigned i = 0; i < p->depth; i++)
		parts[i] = (struct extmem_iov){ rma_offset(p, n + i),
						buffer_of(r, p, n + i),
						p->bytes };
	rc = p->write ? extmem_writev(r->region, parts, p->depth)
		      : extmem_readv(r->region, parts, p->depth);
	if (rc < 0)
		bench_fail("%s", extmem_error());
}

/* Returns how many operations were made: a multiple of the depth. */
static uint64_t measure_plain(struct run *r, const struct rma_point *p,
			      struct rma_result *ret)
{
	struct rma_pace pace;
	uint64_t n = 0;

	rma_pace_begin(&pace, p);
	while (!rma_pace_over(&pace, n)) {
		if (p->depth == 1)
			plain_one(r, p, n);
		else
			plain_many(r, p, n);
		n += p->depth;
		rma_pace_step(&pace, n);
	}
	*ret = rma_pace_end(&pace, n);
	return n;
}

/* 1: started; 0: not now. */
static int start(struct run *r, const struct rma_point *p, uint64_t n,
		 bool *busy)
{
	int rc = p->write ? extmem_write_start(r->region, rma_offset(p, n),
					       buffer_of(r, p, n), p->bytes,
					       busy)
			  : extmem_read_start(r->region, rma_offset(p, n),
					      buffer_of(r, p, n), p->bytes,
					      busy);

	if (rc < 0 && rc != -EAGAIN)
		bench_fail("%s", extmem_error());
	return rc == 0;
}

static uint64_t measure_async(struct run *r, const struct rma_point *p,
			      struct rma_result *ret)
{
	struct extmem_completion done[RMA_DEPTH_MAX];
	bool busy[RMA_DEPTH_MAX] = { false };
	struct rma_pace pace;
	uint64_t begun = 0, ended = 0;
	unsigned empty = 0;

	rma_pace_begin(&pace, p);
	while (!rma_pace_over(&pace, begun) || ended < begun) {
		int n;

		while (!rma_pace_over(&pace, begun) &&
		       !busy[begun % p->depth] &&
		       start(r, p, begun, &busy[begun % p->depth])) {
			busy[begun % p->depth] = true;
			begun++;
		}
		n = extmem_poll(r->client.x, done, RMA_DEPTH_MAX);
		if (n < 0)
			bench_fail("%s", extmem_error());
		for (int i = 0; i < n; i++) {
			if (done[i].status != 0)
				bench_fail("an operation ended with: %s",
					   strerror(-done[i].status));
			*(bool *)done[i].context = false;
		}
		ended += (uint64_t)n;
		rma_pace_step(&pace, ended);
		/* As the calls that wait do. */
		empty = n == 0 ? empty + 1 : 0;
		if (empty > RMA_POLLS)
			sched_yield();
	}
	*ret = rma_pace_end(&pace, ended);
	return begun;
}

/* --- what is there afterwards ------------------------------------------------------------------ */

static void fill(void *memory, uint64_t first_word, uint64_t bytes,
		 uint64_t salt)
{
	uint64_t *words = memory;

	for (uint64_t i = 0; i < bytes / 8; i++)
		words[i] = rma_word(first_word + i, salt);
}

static void expect(const void *memory, uint64_t first_word, uint64_t bytes,
		   uint64_t salt, const char *what)
{
	const uint64_t *words = memory;

	for (uint64_t i = 0; i < bytes / 8; i++) {
		if (words[i] != rma_word(first_word + i, salt))
			bench_fail("word %llu is wrong: %s",
				   (unsigned long long)(first_word + i), what);
	}
}

/* Remote memory as it is between two points: word i is rma_word(i, 0). */
static void put_right(struct run *r, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += CHUNK) {
		fill(r->check, at / 8, CHUNK, 0);
		if (extmem_write(r->region, at, r->check, CHUNK) < 0)
			bench_fail("%s", extmem_error());
	}
}

static void verify_read(struct run *r, const struct rma_point *p,
			uint64_t count)
{
	for (uint64_t n = count - p->depth; n < count; n++)
		expect(buffer_of(r, p, n), rma_offset(p, n) / 8, p->bytes, 0,
		       "what was read");
}

/* Before: every buffer has words of its own. */
static void prepare_write(struct run *r, const struct rma_point *p)
{
	r->salt = r->salt % 0xffff + 1;
	fill(r->buffers, 0, p->bytes * p->depth, r->salt);
}

/* The last operation that went to each place had buffer n % depth. */
static void verify_write(struct run *r, const struct rma_point *p,
			 uint64_t count)
{
	uint64_t places = RMA_SPAN / p->bytes;
	uint64_t touched = count < places ? count : places;
	uint64_t at_once = CHUNK > p->bytes ? CHUNK / p->bytes : 1;

	for (uint64_t place = 0; place < touched; place += at_once) {
		uint64_t many = touched - place < at_once ? touched - place
							  : at_once;

		if (extmem_read(r->region, place * p->bytes, r->check,
				many * p->bytes) < 0)
			bench_fail("%s", extmem_error());
		for (uint64_t i = 0; i < many; i++) {
			uint64_t last = (count - 1 - place - i) / places *
						places + place + i;

			expect(r->check + i * p->bytes,
			       last % p->depth * p->bytes / 8, p->bytes,
			       r->salt, "what was written");
		}
	}
	put_right(r, touched * p->bytes);
}

/* --- the raw call beside ------------------------------------------------------------------------- */

static void raw_begin(struct run *r)
{
	const char *why = r->s->raw ? net_start(&r->client) : NULL;

	r->has_raw = r->s->raw && why == NULL;
	if (why != NULL)
		bench_say("no raw calls beside: %s", why);
}

/* Nothing that is built on a call is faster than it by this much: then it was
 * kept from running, and is measured again before that is said. */
#define RATIO_MIN 0.7
#define RAW_TRIES 3

static struct rma_result raw_measure(struct run *r, const struct rma_point *p,
				     double own_us)
{
	struct rma_result result = { NAN, NAN }, again;

	for (int i = 0; i < RAW_TRIES && r->has_raw &&
			!(own_us / result.us >= RATIO_MIN); i++) {
		if (!net_ask(p, &again)) {
			bench_say("no raw calls beside from here on");
			r->has_raw = false;
		} else if (!(again.us >= result.us)) {
			result = again;
		}
	}
	if (own_us / result.us < RATIO_MIN)
		bench_say("%s of %llu bytes, depth %u: no ratio: the raw call "
			  "was disturbed, it took %.1f us beside %.1f us",
			  p->write ? "write" : "read",
			  (unsigned long long)p->bytes, p->depth, result.us,
			  own_us);
	return result;
}

/* --- a point --------------------------------------------------------------------------------------- */

static const char columns[] = "op api bytes depth us MBps raw_us raw_MBps "
			      "ratio share_of_B_net_pct";

static void describe(const struct run *r, const struct rma_point *p,
		     bool async, struct rma_result got, struct rma_result raw,
		     struct bench_row *row)
{
	const struct bench_client *c = &r->client;

	bench_row(c->bench, columns, row);
	bench_text(row, "op", p->write ? "write" : "read");
	bench_text(row, "api", async ? "async" : "plain");
	bench_count(row, "bytes", BENCH_SAME, p->bytes);
	bench_count(row, "depth", BENCH_SAME, p->depth);
	bench_real(row, "us", BENCH_MEDIAN, got.us);
	bench_real(row, "MBps", BENCH_SUM, got.MBps);
	bench_real(row, "raw_us", BENCH_MEDIAN, raw.us);
	bench_real(row, "raw_MBps", BENCH_SUM, raw.MBps);
	bench_real(row, "ratio", BENCH_MEDIAN,
		   got.us / raw.us >= RATIO_MIN ? got.us / raw.us : NAN);
	bench_real(row, "share_of_B_net_pct", BENCH_MEDIAN,
		   100 * got.MBps / c->B_net_MBps);
	bench_stamp(row, c);
}

static void measure(struct run *r, const struct rma_point *p, bool async)
{
	struct bench *b = r->client.bench;
	uint64_t repeat = b->common->repeat, count;
	struct bench_row *rows = bench_calloc(repeat, sizeof(*rows));
	struct rma_result got, raw;

	for (uint64_t i = 0; i < repeat; i++) {
		if (p->write)
			prepare_write(r, p);
		else
			memset(r->buffers, 0, p->depth * p->bytes);
		bench_meet(b);
		count = async ? measure_async(r, p, &got)
			      : measure_plain(r, p, &got);
		if (p->write)
			verify_write(r, p, count);
		else
			verify_read(r, p, count);
		bench_meet(b);
		raw = raw_measure(r, p, got.us);
		describe(r, p, async, got, raw, &rows[i]);
		link_add(&r->curve, p, got);
	}
	bench_print(b, rows, repeat);
	free(rows);
}

static void measure_all(struct run *r)
{
	const struct settings *s = r->s;
	uint64_t bytes[LIST_MAX], depths[LIST_MAX];
	size_t sizes = bench_numbers(s->bytes, 8, 4 * BENCH_MIB, bytes, LIST_MAX);
	size_t deep = bench_numbers(s->depth, 1, RMA_DEPTH_MAX, depths, LIST_MAX);

	for (unsigned kind = 0; kind < 4; kind++) {
		bool write = kind >= 2, async = kind % 2 == 1;

		if (strcmp(s->op, write ? "read" : "write") == 0 ||
		    strcmp(s->api, async ? "plain" : "async") == 0)
			continue;
		for (size_t i = 0; i < deep * sizes; i++) {
			struct rma_point p = {
				.write = write,
				.bytes = bytes[i % sizes],
				.depth = (unsigned)depths[i / sizes],
				.ms = (double)s->time / XM_MS,
			};

			if (p.bytes * p.depth <= RMA_SPAN)
				measure(r, &p, async);
		}
	}
}

/* --- beside the link ------------------------------------------------------------------------------ */

/* What the calls of one operation take of this processor: the one that begins it,
 * and those that find that some of it has come, beyond what a look takes that
 * finds nothing. */
static double polls_us(struct run *r, double empty_us)
{
	struct extmem_completion done;
	double busy_us = 0, took_us;
	unsigned empty = 0;
	int rc;

	do {
		double began_us = bench_now_us();

		rc = extmem_poll(r->client.x, &done, 1);
		took_us = bench_now_us() - began_us;
		if (rc > 0 || took_us > 2 * empty_us)
			busy_us += took_us;
		if (empty++ > RMA_POLLS)
			sched_yield();
	} while (rc == 0);
	if (rc < 0 || done.status != 0)
		bench_fail("an operation ended with: %s",
			   rc < 0 ? extmem_error() : strerror(-done.status));
	return busy_us;
}

static double empty_poll_us(struct run *r)
{
	enum { TIMES = 1000 };
	static double took_us[TIMES];
	struct extmem_completion done;

	for (unsigned i = 0; i < TIMES; i++) {
		double began_us = bench_now_us();

		extmem_poll(r->client.x, &done, 1);
		took_us[i] = bench_now_us() - began_us;
	}
	return bench_permille(took_us, TIMES, 500);
}

static void measure_calls(struct run *r, bool write, uint64_t bytes,
			  struct link_calls *ret)
{
	enum { TIMES = 2000 };
	static double post_us[TIMES], poll_us[TIMES];
	const struct rma_point p = { .write = write, .bytes = bytes,
				     .depth = 1 };
	double empty_us = empty_poll_us(r);

	for (unsigned i = 0; i < TIMES; i++) {
		double began_us = bench_now_us();
		bool busy;

		while (!start(r, &p, i, &busy))
			began_us = bench_now_us();
		post_us[i] = bench_now_us() - began_us;
		poll_us[i] = polls_us(r, empty_us);
	}
	ret->post_us = bench_permille(post_us, TIMES, 500);
	ret->poll_us = bench_permille(poll_us, TIMES, 500);
}

static void measure_local(struct run *r, struct link_local *ret)
{
	struct costs *c = &ret->costs;
	struct alone floor;
	char answer[128];

	for (unsigned i = 0; i < 4; i++)
		measure_calls(r, i / 2 == 1,
			      i % 2 == 1 ? LINK_CALL_PAGES * BENCH_PAGE
					 : BENCH_PAGE,
			      &ret->calls[i / 2][i % 2]);
	put_right(r, RMA_SPAN);
	ordinary_measure(ret->ordinary);
	ret->known = alone_start(&floor, "floor", "", NULL) &&
		     alone_ask(&floor, "costs", answer, sizeof(answer)) &&
		     sscanf(answer, "%lf %lf %lf %lf %lf %lf %lf %lf",
			    &c->install, &c->install_more, &c->zero,
			    &c->protect, &c->protect_more, &c->drop,
			    &c->drop_more, &c->copy) == 8;
	alone_stop(&floor);
}

static const struct bench_program program = {
	.table = &table,
	.common = offsetof(struct settings, common),
	.prepare = prepare,
};

static char *memory_of(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		bench_fail("out of memory");
	return memory;
}

int bench_rma(int argc, char *argv[])
{
	struct settings s;
	struct run *r;
	struct bench *b;
	int rc = bench_begin(&program, &s, argc, argv, &b);

	if (rc != BENCH_GO)
		return rc;
	r = bench_calloc(1, sizeof(*r));
	r->s = &s;
	bench_open(b, 0, 100, &r->client);
	bench_ground(&r->client);
	r->buffers = memory_of(RMA_SPAN);
	r->check = memory_of(4 * CHUNK);
	r->region = bench_take(&r->client, "rma", RMA_SPAN);
	if (extmem_register(r->client.x, r->buffers, RMA_SPAN) < 0)
		bench_fail("%s", extmem_error());
	put_right(r, RMA_SPAN);
	raw_begin(r);
	measure_all(r);
	if (s.calibrate[0] != '\0' && b->client == 0) {
		measure_local(r, &r->local);
		link_write(&r->curve, &r->local, &r->client, s.calibrate);
	}
	if (extmem_deregister(r->client.x, r->buffers, RMA_SPAN) < 0)
		bench_fail("%s", extmem_error());
	bench_close(&r->client);
	munmap(r->buffers, RMA_SPAN);
	munmap(r->check, 4 * CHUNK);
	free(r);
	return bench_end(b);
}
