/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem-sim: lives through years of a cluster's life, one seed at a time.
 * See run.c for what a run is, docs/TRACE.md for how to read one.
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"

#include <jansson.h>

#include "core/pure/channel.h"
#include "core/engine/keeper.h"
#include "common/options.h"
#include "core/pure/plant.h"
#include "common/standard.h"
#include "sim/commit.h"
#include "sim/counts.h"
#include "sim/crash.h"
#include "sim/fabric.h"
#include "sim/notes.h"
#include "sim/outcomes.h"
#include "sim/plan.h"
#include "sim/predict.h"
#include "sim/ranks.h"
#include "sim/report.h"
#include "sim/run.h"
#include "sim/shape.h"
#include "sim/stories.h"
#include "sim/weather.h"

/* The world has one transport and one channel. */
const struct xm_transport_ops *const xm_transports[] = { &fabric_transport,
							 NULL };
const struct xm_channel_ops *const xm_channels[] = { &fabric_channel, NULL };

#ifdef XM_PLANT
enum xm_plant xm_plant;
#endif

/* A seed draws so many, so that they meet. */
#define PLAN_THREADS_MAX 8
#define PLAN_LANES_MAX 3

struct settings {
	uint64_t seed, runs, jobs, seconds, until;
	bool trace, json, twice, quiet, minimize, first, outcomes;
#ifdef XM_PLANT
	uint32_t plant;
#endif
	uint32_t kind, interface;
	uint64_t appliances, clients, threads, lanes, operations, safety_ns;
	uint64_t weather_ns;
	bool plain, unsealed, one_tenant;
	struct xm_option_list without;
	const char *only_weather, *only_operations, *fail_on;
	const char *story, *stories, *stories_write;
	const char *link, *workload, *local;
	uint64_t pages;
};

static struct settings s;
static double began;

static const struct xm_option options[] = {
	{ .name = "seed", .kind = XM_OPTION_COUNT, .value = "1",
	  .help = "The first seed.",
	  .destination = offsetof(struct settings, seed) },
	{ .name = "runs", .kind = XM_OPTION_COUNT,
	  .help = "Number of seeds to run, from the first on. Default: "
		  "1, or with --seconds as many as there is time for.",
	  .destination = offsetof(struct settings, runs) },
	{ .name = "jobs", .kind = XM_OPTION_COUNT, .value = "1", .min = 1,
	  .max = RANKS_JOBS_MAX,
	  .help = "Number of processes that share the seeds. Under "
		  "mpirun: on each rank.",
	  .destination = offsetof(struct settings, jobs) },
	{ .name = "seconds", .kind = XM_OPTION_COUNT, .value = "0",
	  .help = "Stop after this many seconds; 0: when the runs are "
		  "done.",
	  .destination = offsetof(struct settings, seconds) },
	{ .name = "twice", .kind = XM_OPTION_FLAG,
	  .help = "Run each seed twice: its hashes must be equal.",
	  .destination = offsetof(struct settings, twice) },
	{ .name = "trace", .kind = XM_OPTION_FLAG,
	  .help = "Print each event as a line.",
	  .destination = offsetof(struct settings, trace) },
	{ .name = "kind", .kind = XM_OPTION_CHOICE, .value = "cluster",
	  .choices = "cluster|snapshot|hands|store|durable|share|copies|parity",
	  .help = "What a seed simulates: clients and appliances "
		  "(cluster); these, with regions that change hands "
		  "(hands), that are made durable (durable), that "
		  "others read (share), or that are copied (copies); a process "
		  "whose forked children see its memory as it was "
		  "(snapshot); an appliance's durable store (store); or the rows of "
		  "a run with parity, whose members and client die (parity).",
	  .destination = offsetof(struct settings, kind) },
	{ .name = "interface", .kind = XM_OPTION_CHOICE, .value = "plain",
	  .choices = "plain|model",
	  .help = "How appliances move bytes: as any provider does (plain), or by "
		  "the registers and queues of transports/model, a model of an "
		  "interface that is a circuit.",
	  .destination = offsetof(struct settings, interface) },
	{ .name = "story", .kind = XM_OPTION_TEXT, .unit = "NAME",
	  .help = "Run the story of this name and print it to stdout.",
	  .destination = offsetof(struct settings, story) },
	{ .name = "stories", .kind = XM_OPTION_TEXT, .unit = "FOLDER",
	  .help = "Run every story, and compare with the traces in this "
		  "folder.",
	  .destination = offsetof(struct settings, stories) },
	{ .name = "stories_write", .kind = XM_OPTION_TEXT,
	  .unit = "FOLDER",
	  .help = "Run every story, and write its trace to this folder.",
	  .destination = offsetof(struct settings, stories_write) },
	{ .name = "until", .kind = XM_OPTION_COUNT, .value = "0",
	  .help = "End the run at this line of its trace, and print the "
		  "hash up to there; 0: run to the end.",
	  .destination = offsetof(struct settings, until) },
	{ .name = "appliances", .kind = XM_OPTION_COUNT, .value = "0",
	  .max = SIM_APPLIANCES_MAX,
	  .help = "Appliances in each run; 0: the seed decides.",
	  .destination = offsetof(struct settings, appliances) },
	{ .name = "clients", .kind = XM_OPTION_COUNT, .value = "0",
	  .max = SIM_CLIENTS_MAX,
	  .help = "Clients in each run; 0: the seed decides.",
	  .destination = offsetof(struct settings, clients) },
	{ .name = "threads", .kind = XM_OPTION_COUNT, .value = "0",
	  .max = PREDICT_THREADS_MAX,
	  .help = "Threads of each client, 8 at most; 0: the seed "
		  "decides. With --link: threads that share the "
		  "workload, 16 at most, each on a processor of its "
		  "own; 0: one.",
	  .destination = offsetof(struct settings, threads) },
	{ .name = "lanes", .kind = XM_OPTION_COUNT, .value = "0",
	  .max = XM_LANES_MAX,
	  .help = "Lanes of each client, 3 at most; 0: the seed "
		  "decides. With --link: 16 at most; 0: one.",
	  .destination = offsetof(struct settings, lanes) },
	{ .name = "operations", .kind = XM_OPTION_COUNT, .value = "0",
	  .max = 1000000,
	  .help = "Operations of each thread; 0: the seed decides.",
	  .destination = offsetof(struct settings, operations) },
	{ .name = "safety", .kind = XM_OPTION_DURATION, .value = "0",
	  .help = "Time after which no more faults are injected; 0: the "
		  "seed decides.",
	  .destination = offsetof(struct settings, safety_ns) },
	{ .name = "weather", .kind = XM_OPTION_DURATION, .value = "0",
	  .help = "Mean time between two injected faults; 0: the seed "
		  "decides.",
	  .destination = offsetof(struct settings, weather_ns) },
	{ .name = "plain", .kind = XM_OPTION_FLAG,
	  .help = "Regions have neither stripes nor copies nor seals, whatever "
		  "the seed says.",
	  .destination = offsetof(struct settings, plain) },
	{ .name = "unsealed", .kind = XM_OPTION_FLAG,
	  .help = "No region is sealed, whatever the seed says.",
	  .destination = offsetof(struct settings, unsealed) },
	{ .name = "one_tenant", .kind = XM_OPTION_FLAG,
	  .help = "All clients may have everything, whatever the seed says.",
	  .destination = offsetof(struct settings, one_tenant) },
	{ .name = "without", .kind = XM_OPTION_LIST, .unit = "KIND,...",
	  .help = "Leave out these kinds of faults and operations. A report "
		  "names the faults; operations are touch, read, write, "
		  "vector, async, sync, advise, pin, select, stats, remap, "
		  "resize, renew and reopen.",
	  .destination = offsetof(struct settings, without) },
	{ .name = "only_weather", .kind = XM_OPTION_TEXT, .unit = "LIST",
	  .help = "Inject only these faults, by number: 3,7-9 or none.",
	  .destination = offsetof(struct settings, only_weather) },
	{ .name = "only_operations", .kind = XM_OPTION_TEXT, .unit = "LIST",
	  .help = "Run only these operations of each thread, by number.",
	  .destination = offsetof(struct settings, only_operations) },
	{ .name = "fail_on", .kind = XM_OPTION_TEXT, .hidden = true,
	  .help = "A line of the trace that breaks a law.",
	  .destination = offsetof(struct settings, fail_on) },
	{ .name = "outcomes", .kind = XM_OPTION_FLAG,
	  .help = "Instead, report what each kind of call returned "
		  "under each kind of trouble, and compare with the "
		  "list in sim/outcomes.c.",
	  .destination = offsetof(struct settings, outcomes) },
	{ .name = "link", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  .help = "Instead, predict how long --workload takes over this "
		  "link, which extmem-bench rma --calibrate=FILE "
		  "measured.",
	  .destination = offsetof(struct settings, link) },
	{ .name = "workload", .kind = XM_OPTION_TEXT, .value = "all",
	  .unit = "NAME",
	  .help = "With --link: random-read, random-rmw, seq-read, seq-write, "
		  "sort, or all.",
	  .destination = offsetof(struct settings, workload) },
	{ .name = "local", .kind = XM_OPTION_TEXT, .value = "25",
	  .unit = "PERCENT",
	  .help = "With --link: local memory as a percentage of the "
		  "pages; at least 1 MiB for each lane.",
	  .destination = offsetof(struct settings, local) },
	{ .name = "pages", .kind = XM_OPTION_COUNT, .value = "20000",
	  .min = 1024, .max = 1000000,
	  .help = "With --link: the workload's pages, of 4 KiB.",
	  .destination = offsetof(struct settings, pages) },
	{ .name = "minimize", .kind = XM_OPTION_FLAG,
	  .help = "Print the smallest command line that breaks the same "
		  "law as the first seed.",
	  .destination = offsetof(struct settings, minimize) },
	{ .name = "first", .kind = XM_OPTION_FLAG,
	  .help = "Stop at the first seed that breaks a law.",
	  .destination = offsetof(struct settings, first) },
#ifdef XM_PLANT
	{ .name = "plant", .kind = XM_OPTION_CHOICE, .value = "none",
#define XM_PLANT_ONE(name, words) "|" #name
	  .choices = "none" XM_PLANTS(XM_PLANT_ONE),
#undef XM_PLANT_ONE
	  .help = "Turn on a planted bug; see core/pure/plant.h.",
	  .destination = offsetof(struct settings, plant) },
#endif
	{ .name = "json", .kind = XM_OPTION_FLAG,
	  .help = "Report as one JSON object.",
	  .destination = offsetof(struct settings, json) },
	{ .name = "quiet", .kind = XM_OPTION_FLAG,
	  .help = "Print no progress.",
	  .destination = offsetof(struct settings, quiet) },
};

static const struct xm_option_table table = {
	.program = "extmem-sim",
	.prefix = "EXTMEM_SIM",
	.usage = "[OPTION]...",
	.about = "Runs clients and appliances in a simulated world whose "
		 "whole schedule follows from a seed, and checks the laws of "
		 "extmem: those about accesses, keys and silences at each "
		 "event, the others once in 26 events. Exit status 1: a law "
		 "was broken; 2: a mistake in the command line.",
	.options = options,
	.count = XM_COUNT(options),
};

/* --- what is run ----------------------------------------------------------------- */

/* Items may hold several names, parted by commas. */
static int without(uint64_t *ret)
{
	for (size_t i = 0; i < s.without.count; i++) {
		const char *item = s.without.items[i];

		while (*item != '\0') {
			size_t size = strcspn(item, ",");
			const char *name;
			uint32_t kind = 0;

			while ((name = sim_kind_name(kind)) != NULL &&
			       (strncmp(name, item, size) != 0 ||
				name[size] != '\0'))
				kind++;
			if (name == NULL) {
				fprintf(stderr, "extmem-sim: --without: %.*s "
					"is no kind of fault or operation\n",
					(int)size, item);
				return -1;
			}
			*ret |= UINT64_C(1) << kind;
			item += size + (item[size] == ',');
		}
	}
	return 0;
}

static int plan(void)
{
	struct sim_plan *p = &sim_plan;

	if (s.link[0] == '\0' && (s.threads > PLAN_THREADS_MAX ||
				   s.lanes > PLAN_LANES_MAX)) {
		fprintf(stderr, "extmem-sim: without --link at most %d "
			"--threads and %d --lanes\n", PLAN_THREADS_MAX,
			PLAN_LANES_MAX);
		return -1;
	}
	p->appliances = s.appliances;
	p->clients = s.clients;
	p->threads = s.threads;
	p->lanes = s.lanes;
	p->operations = s.operations;
	p->safety_ns = s.safety_ns;
	p->weather_ms = s.weather_ns / XM_MS;
	p->fail_on = s.fail_on[0] != '\0' ? s.fail_on : NULL;
	p->show = s.trace ? stderr : NULL;
	p->until = s.until;
	p->snapshot = s.kind == 1;
	p->hands = s.kind == 2;
	p->store = s.kind == 3;
	p->durable = s.kind == 4;
	p->shares = s.kind == 5;
	p->clones = s.kind == 6;
	p->parity = s.kind == 7;
	p->model = s.interface == 1;
	p->plain = s.plain;
	p->unsealed = s.unsealed;
	p->one_tenant = s.one_tenant;
	if (sim_mask_parse(s.only_weather, &p->weather) != 0 ||
	    sim_mask_parse(s.only_operations, &p->operations_of) != 0) {
		fprintf(stderr, "extmem-sim: a list of numbers up to %d is "
			"3,7-9 or none\n", SIM_MASK_MAX - 1);
		return -1;
	}
	return without(&p->without);
}

static double wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* True when all laws held, each time. */
static bool run(uint64_t seed, struct report *report)
{
	struct sim_result result, again;

	sim_run(seed, &result);
	report->events += result.events;
	report->simulated_ns += result.simulated_ns;
	report_hash(report, seed, result.hash);
	if (!s.twice || !result.held)
		return result.held;
	sim_run(seed, &again);
	report->events += again.events;
	report->simulated_ns += again.simulated_ns;
	if (again.hash == result.hash)
		return again.held;
	fprintf(stderr, "seed %llu: two runs, two stories: %016llx and "
		"%016llx\n", (unsigned long long)seed,
		(unsigned long long)result.hash,
		(unsigned long long)again.hash);
	return false;
}

static void work(uint64_t first, uint64_t step, uint64_t *ret_now,
		 struct report *ret)
{
	bool talks = first == 0 && !s.quiet && !s.json && s.runs > 100 &&
		     s.seconds == 0;
	double told = wall();

	for (uint64_t i = first; i < s.runs; i += step) {
		bool held = true;

		*ret_now = i;
		if (!run(s.seed + i, ret)) {
			report_failure(ret, s.seed + i);
			fflush(stderr);
			held = false;
		}
		ret->runs++;
		report_outcomes(ret, s.seed + i);
		/* What was counted, in a form that adds up. */
		report_add(ret, &(struct report){ .counts = sim_counts });
		memset(&sim_counts, 0, sizeof(sim_counts));
		if (talks && wall() - told > 1) {
			told = wall();
			fprintf(stderr, "\r%llu of %llu",
				(unsigned long long)i,
				(unsigned long long)s.runs);
			fflush(stderr);
		}
		if ((s.seconds > 0 && wall() - began > (double)s.seconds) ||
		    (s.first && !held))
			break;
	}
	if (talks)
		fputc('\n', stderr);
}

/* --- stories ----------------------------------------------------------------------- */

static int tell(const char *name)
{
	uint32_t i = 0;

	while (story_name(i) != NULL && strcmp(story_name(i), name) != 0)
		i++;
	if (story_name(i) == NULL) {
		fprintf(stderr, "extmem-sim: no story is called %s\n", name);
		return 2;
	}
	return story_run(i, stdout) ? 0 : 1;
}

/* --- prediction -------------------------------------------------------------------- */

static void print_prediction(const struct prediction *p)
{
	double per_access = p->us / (double)p->accesses;
	double per_miss = p->misses > 0 ? p->us / (double)p->misses : 0;
	/* Of several threads there is nothing to compare it with. */
	double slower = p->us_local > 0 && p->threads == 1
				? p->us / p->us_local : 0;
	json_t *all;
	char *text;

	if (!s.json) {
		printf("%-12s %9.1f %9llu %13.3f %11.3f %10llu %10llu %13llu ",
		       p->workload, p->local_pct, (unsigned long long)p->pages,
		       per_access, per_miss, (unsigned long long)p->misses,
		       (unsigned long long)p->pages_read,
		       (unsigned long long)p->pages_written);
		if (slower > 0)
			printf("%8.2f\n", slower);
		else
			printf("%8s\n", "-");
		return;
	}
	all = json_pack("{s:s, s:f, s:i, s:i, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I}",
			"workload", p->workload, "local_pct", p->local_pct,
			"threads", (int)p->threads, "lanes", (int)p->lanes,
			"local_bytes", (json_int_t)p->local, "pages",
			(json_int_t)p->pages, "accesses",
			(json_int_t)p->accesses, "us_per_access", per_access,
			"us_per_miss", per_miss, "misses",
			(json_int_t)p->misses, "pages_read",
			(json_int_t)p->pages_read, "pages_written",
			(json_int_t)p->pages_written);
	if (slower > 0)
		json_object_set_new(all, "slow_down", json_real(slower));
	text = json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER);
	puts(text);
	free(text);
	json_decref(all);
}

static int predict_all(void)
{
	const char *wrong = predict_link(s.link);
	char *end;
	struct prediction asked = {
		.pages = s.pages, .local_pct = strtod(s.local, &end),
		.threads = s.threads > 0 ? (uint32_t)s.threads : 1,
		.lanes = s.lanes > 0 ? (uint32_t)s.lanes : 1,
	};
	unsigned done = 0;

	if (wrong != NULL) {
		fprintf(stderr, "extmem-sim: --link %s: %s\n", s.link, wrong);
		return 2;
	}
	if (*end != '\0' ||
	    !(asked.local_pct >= 1 && asked.local_pct <= 200)) {
		fprintf(stderr, "extmem-sim: --local is a number of percent, "
			"1 to 200\n");
		return 2;
	}
	if (!s.json)
		printf("%-12s %9s %9s %13s %11s %10s %10s %13s %8s\n",
		       "workload", "local_pct", "pages", "us_per_access",
		       "us_per_miss", "misses", "pages_read", "pages_written",
		       "slower");
	for (uint32_t i = 0; predict_workload(i) != NULL; i++) {
		struct prediction p;

		if (strcmp(s.workload, "all") != 0 &&
		    strcmp(s.workload, predict_workload(i)) != 0)
			continue;
		if (asked.threads > 1 && !predict_by_threads(i))
			continue;
		if (!predict(i, &asked, &p))
			return 1;
		print_prediction(&p);
		done++;
	}
	if (done == 0)
		fprintf(stderr, "extmem-sim: --workload: there is no %s that %s\n",
			s.workload, asked.threads > 1 ? "threads share"
						      : "is known");
	return done == 0 ? 2 : 0;
}

/* What is done once, however many ranks there are; -1: none of these. */
static int perform_once(uint32_t rank)
{
	bool any = s.story[0] != '\0' || s.stories[0] != '\0' ||
		   s.stories_write[0] != '\0' || s.link[0] != '\0' ||
		   s.minimize;

	if (!any || rank != 0)
		return any ? 0 : -1;
	if (s.story[0] != '\0')
		return tell(s.story);
	if (s.stories[0] != '\0')
		return stories_run(s.stories, false);
	if (s.stories_write[0] != '\0')
		return stories_run(s.stories_write, true);
	if (s.link[0] != '\0')
		return predict_all();
	return sim_minimize(s.seed, s.quiet);
}

/* What the settings ask for; the status to exit with. */
static int perform(void)
{
	static struct report report;
	unsigned differ = 0;
	uint32_t rank, count;
	int once;

	if (s.runs == 0)
		s.runs = s.seconds > 0 ? UINT64_MAX / 2 : 1;
	if (plan() != 0)
		return 2;
	/* The list of outcomes is of regions without mirrors. */
	sim_plan.one_copy = s.outcomes || sim_plan.durable;
#ifdef XM_PLANT
	xm_plant = (enum xm_plant)s.plant;
#endif
	ranks_begin(&rank, &count);
	once = perform_once(rank);
	if (once >= 0) {
		ranks_end();
		return once;
	}
	ranks_run((uint32_t)s.jobs, s.seed, work, &report);
	ranks_merge(&report);
	if (rank == 0 && s.outcomes)
		differ = report_print_outcomes(report.counts.outcomes, report.shown);
	else if (rank == 0 && s.json)
		report_print_json(&report, wall() - began);
	else if (rank == 0)
		report_print_text(&report, wall() - began);
	ranks_end();
	return rank == 0 && (report.failures > 0 || differ > 0);
}

/* What one run gives back the next one takes: the kernel need not find and clear
 * it each time. */
static void keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 32 << 20); /* the most there is */
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_TOP_PAD, 64 << 20);
}

int main(int argc, char *argv[])
{
	extern char **environ;
	struct xm_options *o;
	int rc;

	xm_standard_hold();
	keep_memory();
	began = wall();
	world_commit = XM_COMMIT;
	crash_watch();
	if (xm_options_open(&table, &s, &o) != 0)
		return 1;
	rc = xm_options_load(o, argc, argv, environ, NULL);
	if (rc == XM_OPTIONS_HELP) {
		xm_options_print_help(&table, stdout);
		rc = 0;
	} else if (rc == XM_OPTIONS_VERSION) {
		printf("extmem-sim (extmem) %s\n", PACKAGE_VERSION);
		rc = 0;
	} else if (rc < 0) {
		fprintf(stderr, "extmem-sim: %s\n", xm_options_words(o));
		rc = 2;
	} else {
		rc = perform();
	}
	/* A report that is not there is not a good one. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "extmem-sim: the report could not be written: "
			"%s\n", strerror(errno));
		rc = 2;
	}
	xm_options_close(o);
	return rc;
}
