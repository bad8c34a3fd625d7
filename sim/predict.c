/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs over a link that was measured; see predict.h. */
#include "sim/predict.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "sim/appliance.h"
#include "sim/cost.h"
#include "sim/fabric.h"
#include "sim/fibers.h"
#include "sim/notes.h"
#include "sim/programs.h"
#include "sim/run.h"
#include "sim/shape.h"
#include "sim/touch.h"
#include "sim/world.h"

/* What extmem-bench's `fault` and `sort` do, touch by touch, one thread of them;
 * what lies between two touches costs what it was measured to on ordinary
 * memory. */
struct job {
	extmem *x;	       /* NULL: they are only counted */
	uint64_t base;	       /* page of the arena where the memory begins */
	uint64_t all;	       /* its pages */
	uint64_t first, pages; /* of these, this thread's where it is a part */
	struct xm_rand rand;
	double touch_ns, owed_ns; /* each touch by itself; not yet spent */
	uint64_t touches;
};

static void touch(struct job *job, uint64_t page, bool write)
{
	job->touches++;
	if (job->x == NULL)
		return;
	job->owed_ns += job->touch_ns;
	if (job->owed_ns > 500) {
		cost_spend(job->owed_ns);
		job->owed_ns = 0;
	}
	if (touch_page(job->x, job->base + page, write) != XM_TOUCHED_SERVED)
		world_broken("prediction", "page %llu is lost",
			     (unsigned long long)page);
}

static void random_pages(struct job *job, bool read, bool write)
{
	for (uint64_t i = 0; i < job->pages; i++) {
		uint64_t page = xm_rand_below(&job->rand, job->all);

		if (read)
			touch(job, page, false);
		if (write)
			touch(job, page, true);
	}
}

static void random_read(struct job *job)
{
	random_pages(job, true, false);
}

static void random_rmw(struct job *job)
{
	random_pages(job, true, true);
}

static void sequence(struct job *job, bool write)
{
	for (uint64_t i = 0; i < job->pages; i++)
		touch(job, job->first + i, write);
}

static void seq_read(struct job *job)
{
	sequence(job, false);
}

static void seq_write(struct job *job)
{
	sequence(job, true);
}

/* --- sort ----------------------------------------------------------------------- */

#define RUNS 8

/* Partitions are scans from both ends; of the two sides one after the other is
 * sorted until what is left is a page. */
static void sort_run(struct job *job, uint64_t first, uint64_t count)
{
	uint64_t low = first, high = first + count;

	while (low < high) {
		touch(job, low, false);
		touch(job, low++, true);
		if (low < high) {
			touch(job, --high, false);
			touch(job, high, true);
		}
	}
	if (count > 1) {
		sort_run(job, first, count / 2);
		sort_run(job, first + count / 2, count - count / 2);
	}
}

/* Of random keys every run gives an eighth of each page of the result. */
static void merge(struct job *job, uint64_t half)
{
	for (uint64_t i = 0; i < half; i++) {
		for (uint64_t run = 0; run < RUNS; run++) {
			uint64_t begin = half * run / RUNS;
			uint64_t end = half * (run + 1) / RUNS;

			touch(job, begin + (end - begin) * i / half, false);
		}
		touch(job, half + i, true);
	}
}

static void sort(struct job *job)
{
	uint64_t half = job->pages / 2;

	for (uint64_t run = 0; run < RUNS; run++) {
		uint64_t begin = half * run / RUNS;

		sort_run(job, begin, half * (run + 1) / RUNS - begin);
	}
	merge(job, half);
}

static const struct workload {
	const char *name;
	void (*run)(struct job *);
	bool again;	 /* it is measured when it has run once */
	bool one;	 /* thread, and no more */
	double per_page; /* what is called accesses: keys, of the sort */
} workloads[] = {
	{ "random-read", random_read, true, false, 1 },
	{ "random-rmw", random_rmw, true, false, 1 },
	{ "seq-read", seq_read, true, false, 1 },
	{ "seq-write", seq_write, true, false, 1 },
	{ "sort", sort, false, true, 128 },
};

/* Of an access on ordinary memory; 0: not known. */
static double all_local_ns[XM_COUNT(workloads)];

const char *predict_workload(uint32_t index)
{
	return index < XM_COUNT(workloads) ? workloads[index].name : NULL;
}

bool predict_by_threads(uint32_t index)
{
	return !workloads[index].one;
}

/* --- a run ----------------------------------------------------------------------- */

static struct {
	const struct workload *workload;
	struct prediction *ret;
	struct job jobs[PREDICT_THREADS_MAX];
	uint32_t running;
} asked;

static void job_run(void *argument)
{
	struct job *job = argument;

	asked.workload->run(job);
	cost_spend(job->owed_ns);
	job->owed_ns = 0;
	asked.running--;
	world_wake(&asked.running);
}

/* All threads at once, each on a processor of its own. */
static void run_jobs(void)
{
	asked.running = asked.ret->threads;
	for (uint32_t i = 1; i < asked.ret->threads; i++)
		world_fiber(world_current(), job_run, &asked.jobs[i]);
	job_run(&asked.jobs[0]);
	while (asked.running > 0)
		world_wait(&asked.running, XM_NEVER);
}

static void measure(extmem *x)
{
	struct extmem_stats before = { .size = sizeof(before) };
	struct extmem_stats after = { .size = sizeof(after) };
	uint64_t began_ns;

	if (asked.workload->again)
		run_jobs();
	extmem_stats(x, &before);
	began_ns = world_now();
	run_jobs();
	extmem_stats(x, &after);
	asked.ret->us = (double)(world_now() - began_ns) / 1000;
	asked.ret->misses = after.misses - before.misses;
	asked.ret->pages_read = after.pages_read - before.pages_read;
	asked.ret->pages_written = after.pages_written - before.pages_written;
}

static void script(uint32_t client, extmem *x)
{
	uint64_t pages = asked.ret->pages, threads = asked.ret->threads;
	uint64_t size = pages * 4096;
	extmem_region *region;
	void *at;

	(void)client;
	if (extmem_region_alloc(x, "predict", size, &region) != 0 ||
	    extmem_map(region, 0, size, &at) != 0)
		world_broken("prediction", "no memory: %s", extmem_error());
	for (uint64_t i = 0; i < threads; i++) {
		struct job *job = &asked.jobs[i];

		job->x = x;
		job->base = region->address / 4096;
		job->all = pages;
		job->first = pages * i / threads;
		job->pages = pages * (i + 1) / threads - job->first;
		xm_rand_seed(&job->rand, 1 + i);
	}
	for (uint64_t page = 0; page < pages; page++)
		touch(&asked.jobs[0], page, true);
	measure(x);
	extmem_region_free(region);
}

static void live(uint64_t seed)
{
	uint64_t size = xm_align_up(asked.ret->pages * 4096, 2 * XM_MIB);

	sim_shape = (struct sim_shape){
		.seed = seed, .appliances = 1, .clients = 1, .threads = 1,
		.lanes = asked.ret->lanes, .reclaim = XM_RECLAIM_2Q,
		.granule = 64 * XM_KIB, .pool_size = size,
		.local = asked.ret->local, .arena = xm_max(4 * size, 64 * XM_MIB), .prefetch = 64,
		.lease_ms = 10000, .timeout_ms = 30000, .loss_ms = 10000,
		.extents_max = 16, .extents_each = 16, .clients_max = 4,
		.kept_percent = 100,
		.streams_max = 16, .zero_size = 64 * XM_KIB,
		.handshake_ms = 5000,
		.provider = {
			.revokes = true, .admits = true, .reports_death = true,
			.depth = 256, .size_max = XM_GIB, .scatter = 4,
		},
		.link = { .bytes_per_us = 1000000 },
	};
	fabric_open();
	appliance_open(0);
	programs_script(script);
	program_open(0);
	while (!programs_ended())
		world_run(world_now() + 3600 * XM_SECOND, programs_ended);
}

/* As extmem-bench has it. */
static uint64_t local_of(uint64_t size, double percent, uint32_t lanes)
{
	if (percent < 100)
		return xm_max((uint64_t)((double)size * percent / 100),
			      lanes * PREDICT_LOCAL_MIN);
	return size + size / 4 + 16 * XM_MIB;
}

bool predict(uint32_t index, const struct prediction *what,
	     struct prediction *ret)
{
	const struct workload *workload = &workloads[index];
	struct job whole = { .all = what->pages, .pages = what->pages };
	struct sim_result result;

	*ret = *what;
	ret->workload = workload->name;
	ret->local = local_of(what->pages * 4096, what->local_pct,
			      what->lanes);
	ret->accesses = (uint64_t)((double)what->pages * workload->per_page);
	ret->us_local = (double)ret->accesses * all_local_ns[index] / 1000;
	xm_rand_seed(&whole.rand, 1);
	workload->run(&whole);
	memset(&asked, 0, sizeof(asked));
	asked.workload = workload;
	asked.ret = ret;
	for (uint32_t i = 0; i < what->threads; i++)
		asked.jobs[i].touch_ns = ret->us_local * 1000 /
					 (double)whole.touches;
	cost.on = true;
	sim_live(1, live, &result);
	cost.on = false;
	programs_script(NULL);
	return result.held;
}

/* --- a link's file ---------------------------------------------------------------- */

static const struct {
	const char *name;
	double *ns;
} costs[] = {
	{ "deliver_us", &cost.deliver },
	{ "step_us", &cost.step },
	{ "install_us", &cost.install },
	{ "install_page_us", &cost.install_page },
	{ "protect_us", &cost.protect },
	{ "protect_page_us", &cost.protect_page },
	{ "drop_us", &cost.drop },
	{ "drop_page_us", &cost.drop_page },
	{ "copy_page_us", &cost.copy_page },
	{ "post_read_us", &cost.calls[0].post },
	{ "post_read_page_us", &cost.calls[0].post_page },
	{ "post_write_us", &cost.calls[1].post },
	{ "post_write_page_us", &cost.calls[1].post_page },
	{ "poll_read_us", &cost.calls[0].poll },
	{ "poll_read_page_us", &cost.calls[0].poll_page },
	{ "poll_write_us", &cost.calls[1].poll },
	{ "poll_write_page_us", &cost.calls[1].poll_page },
};

/* A number that is one: not negative, not beyond a day. */
static bool take_us(const json_t *from, const char *name, double *ret_ns)
{
	const json_t *value = json_object_get(from, name);

	if (!json_is_number(value) || !(json_number_value(value) >= 0) ||
	    json_number_value(value) > 86400e6)
		return false;
	*ret_ns = json_number_value(value) * 1000;
	return true;
}

static bool take_curve(const json_t *list, struct cost_curve *ret)
{
	size_t i;
	json_t *size;

	ret->count = json_array_size(list);
	if (ret->count == 0 || ret->count > COST_SIZES_MAX)
		return false;
	json_array_foreach (list, i, size) {
		double bytes = json_number_value(json_object_get(size,
								 "bytes"));
		double rate = json_number_value(json_object_get(size, "MBps"));

		if (!(bytes >= 1) || bytes > 1e12 || !(rate > 0) ||
		    !take_us(size, "mean_us", &ret->sizes[i].alone_ns))
			return false;
		ret->sizes[i].bytes = (uint64_t)bytes;
		ret->sizes[i].served_ns = bytes * 1000 / rate;
		if (i > 0 && ret->sizes[i].bytes <= ret->sizes[i - 1].bytes)
			return false;
	}
	return true;
}

/* Beyond its ends a curve says nothing: pages go by one and by 64. */
static bool reaches(const struct cost_curve *curve)
{
	return curve->sizes[0].bytes <= 4096 &&
	       curve->sizes[curve->count - 1].bytes >= 64 * 4096;
}

static const char *take_all(const json_t *root)
{
	static char words[80];
	const json_t *local = json_object_get(root, "local");
	const json_t *ordinary =
		json_object_get(root, "all_local_us_per_access");
	const char *format =
		json_string_value(json_object_get(root, "format"));

	if (format == NULL || strcmp(format, "extmem-link-1") != 0)
		return "it is no link: its format is not extmem-link-1";
	if (!take_curve(json_object_get(root, "read"), &cost.read) ||
	    !take_curve(json_object_get(root, "write"), &cost.write))
		return "read and write are lists of {bytes, mean_us, MBps}, smallest "
		       "first, 32 at most";
	if (!reaches(&cost.read) || !reaches(&cost.write))
		return "read and write have to reach from 4096 bytes or less to "
		       "262144 or more: calibrate with --bytes so";
	for (size_t i = 0; i < XM_COUNT(costs); i++) {
		if (take_us(local, costs[i].name, costs[i].ns))
			continue;
		snprintf(words, sizeof(words), "local.%s is missing, or no "
			 "time in us", costs[i].name);
		return words;
	}
	for (size_t i = 0; i < XM_COUNT(workloads); i++)
		take_us(ordinary, workloads[i].name, &all_local_ns[i]);
	return NULL;
}

const char *predict_link(const char *path)
{
	static char words[JSON_ERROR_TEXT_LENGTH + 32];
	json_error_t error;
	json_t *root = json_load_file(path, 0, &error);
	const char *wrong;

	if (root == NULL) {
		snprintf(words, sizeof(words), "line %d: %s", error.line,
			 error.text);
		return words;
	}
	wrong = take_all(root);
	json_decref(root);
	return wrong;
}
