/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem-sim: lives through years of a cluster's life, one seed at a time.
 * See sim.h for what a run is, docs/TRACE.md for how to read one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"

#include <jansson.h>

#include "channel.h"
#include "options.h"
#include "sim.h"

/* The world has one transport and one channel. */
const struct xm_transport_ops *const xm_transports[] = { &fabric_transport,
							 NULL };
const struct xm_channel_ops *const xm_channels[] = { &fabric_channel, NULL };

struct settings {
	uint64_t seed, runs, seconds, until;
	bool trace, json, twice, quiet, minimize;
	uint64_t appliances, clients, threads, lanes, operations, safety_ns;
	struct xm_option_list without;
	const char *only_weather, *only_operations, *fail_on;
};

struct report {
	uint64_t runs, failures, simulated_ns, events, hash;
	struct sim_counts counts;
	double wall_s;
};

static const struct xm_option options[] = {
	{ .name = "seed", .kind = XM_OPTION_COUNT, .value = "1",
	  .help = "The first seed.",
	  .destination = offsetof(struct settings, seed) },
	{ .name = "runs", .kind = XM_OPTION_COUNT, .value = "1",
	  .help = "So many seeds, from the first on.",
	  .destination = offsetof(struct settings, runs) },
	{ .name = "seconds", .kind = XM_OPTION_COUNT, .value = "0",
	  .help = "Stop after so many seconds; 0: when the runs are done.",
	  .destination = offsetof(struct settings, seconds) },
	{ .name = "twice", .kind = XM_OPTION_FLAG,
	  .help = "Run each seed twice: its hashes must be equal.",
	  .destination = offsetof(struct settings, twice) },
	{ .name = "trace", .kind = XM_OPTION_FLAG,
	  .help = "Print what happens, a line each.",
	  .destination = offsetof(struct settings, trace) },
	{ .name = "until", .kind = XM_OPTION_COUNT, .value = "0",
	  .help = "With --trace: up to this line; 0: to the end.",
	  .destination = offsetof(struct settings, until) },
	{ .name = "appliances", .kind = XM_OPTION_COUNT, .value = "0",
	  .max = SIM_APPLIANCES_MAX,
	  .help = "So many appliances in each run; 0: as the seed has it.",
	  .destination = offsetof(struct settings, appliances) },
	{ .name = "clients", .kind = XM_OPTION_COUNT, .value = "0",
	  .max = SIM_CLIENTS_MAX,
	  .help = "So many clients in each run; 0: as the seed has it.",
	  .destination = offsetof(struct settings, clients) },
	{ .name = "threads", .kind = XM_OPTION_COUNT, .value = "0", .max = 8,
	  .help = "So many threads in each client; 0: as the seed has it.",
	  .destination = offsetof(struct settings, threads) },
	{ .name = "lanes", .kind = XM_OPTION_COUNT, .value = "0", .max = 3,
	  .help = "So many lanes in each client; 0: as the seed has it.",
	  .destination = offsetof(struct settings, lanes) },
	{ .name = "operations", .kind = XM_OPTION_COUNT, .value = "0",
	  .max = 1000000,
	  .help = "So many operations in each thread; 0: as the seed has it.",
	  .destination = offsetof(struct settings, operations) },
	{ .name = "safety", .kind = XM_OPTION_DURATION, .value = "0",
	  .help = "The weather clears after so long; 0: as the seed has it.",
	  .destination = offsetof(struct settings, safety_ns) },
	{ .name = "without", .kind = XM_OPTION_LIST, .unit = "KIND,...",
	  .help = "Leave out these kinds of faults and operations. A report "
		  "names the faults; operations are touch, read, write, sync, "
		  "advise, pin, select, stats, remap, resize and renew.",
	  .destination = offsetof(struct settings, without) },
	{ .name = "only_weather", .kind = XM_OPTION_TEXT, .unit = "LIST",
	  .help = "Of the weather only these events, by number: 3,7-9 or "
		  "none.",
	  .destination = offsetof(struct settings, only_weather) },
	{ .name = "only_operations", .kind = XM_OPTION_TEXT, .unit = "LIST",
	  .help = "Of each thread only these operations, by number.",
	  .destination = offsetof(struct settings, only_operations) },
	{ .name = "fail_on", .kind = XM_OPTION_TEXT, .hidden = true,
	  .help = "A line of the trace that breaks a law.",
	  .destination = offsetof(struct settings, fail_on) },
	{ .name = "minimize", .kind = XM_OPTION_FLAG,
	  .help = "Of the first seed, which fails: print the smallest command "
		  "line that still breaks the same law.",
	  .destination = offsetof(struct settings, minimize) },
	{ .name = "json", .kind = XM_OPTION_FLAG,
	  .help = "Report as one JSON object.",
	  .destination = offsetof(struct settings, json) },
	{ .name = "quiet", .kind = XM_OPTION_FLAG,
	  .help = "No progress.",
	  .destination = offsetof(struct settings, quiet) },
};

static const struct xm_option_table table = {
	.program = "extmem-sim",
	.prefix = "EXTMEM_SIM",
	.usage = "[OPTION]...",
	.about = "Runs clients and appliances in a simulated world, whose "
		 "every schedule follows from a seed, and asks the laws of "
		 "extmem after every event. Exit status 1: a law was broken.",
	.options = options,
	.count = XM_COUNT(options),
};

/* --- what is run ----------------------------------------------------------------- */

/* Items may hold several names, parted by commas. */
static int without(const struct settings *s, uint64_t *ret)
{
	for (size_t i = 0; i < s->without.count; i++) {
		const char *item = s->without.items[i];

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

static int plan(const struct settings *s)
{
	struct sim_plan *p = &sim_plan;

	p->appliances = s->appliances;
	p->clients = s->clients;
	p->threads = s->threads;
	p->lanes = s->lanes;
	p->operations = s->operations;
	p->safety_ns = s->safety_ns;
	p->fail_on = s->fail_on[0] != '\0' ? s->fail_on : NULL;
	p->show = s->trace;
	p->show_until = s->until;
	if (sim_mask_parse(s->only_weather, &p->weather) != 0 ||
	    sim_mask_parse(s->only_operations, &p->operations_of) != 0) {
		fprintf(stderr, "extmem-sim: a list of numbers up to %d is "
			"3,7-9 or none\n", SIM_MASK_MAX - 1);
		return -1;
	}
	return without(s, &p->without);
}

/* True when all laws held. */
static bool run(uint64_t seed, struct report *report, uint64_t *ret_hash)
{
	struct sim_result result;

	sim_run(seed, &result);
	report->events += result.events;
	report->simulated_ns += result.simulated_ns;
	*ret_hash = result.hash;
	return result.held;
}

/* --- reporting --------------------------------------------------------------------- */

static double wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_json(const struct report *r)
{
	json_t *faults = json_object(), *all;
	char hash[20], *text;

	for (int i = 0; i < SIM_FAULTS; i++)
		json_object_set_new(
			faults, sim_fault_name((enum sim_fault)i),
			json_integer((json_int_t)r->counts.faults[i]));
	snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)r->hash);
	all = json_pack("{s:I, s:I, s:f, s:f, s:I, s:o, s:I, s:I, s:I, s:s}",
			"seeds", (json_int_t)r->runs,
			"failures", (json_int_t)r->failures,
			"simulated_s", (double)r->simulated_ns / 1e9,
			"wall_s", r->wall_s,
			"events", (json_int_t)r->events,
			"faults_by_kind", faults,
			"laws_asked", (json_int_t)r->counts.laws_asked,
			"operations", (json_int_t)r->counts.operations,
			"lost_regions", (json_int_t)r->counts.lost_regions,
			"trace_hash", hash);
	text = json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER);
	puts(text);
	free(text);
	json_decref(all);
}

static void print_text(const struct report *r)
{
	printf("seeds           %llu, %llu failed\n",
	       (unsigned long long)r->runs, (unsigned long long)r->failures);
	printf("simulated       %.1f s in %.1f s: %.0f times real time\n",
	       (double)r->simulated_ns / 1e9, r->wall_s,
	       (double)r->simulated_ns / 1e9 / r->wall_s);
	printf("events          %llu\n", (unsigned long long)r->events);
	printf("operations      %llu: %llu loads, %llu stores, %llu reads, "
	       "%llu writes\n", (unsigned long long)r->counts.operations,
	       (unsigned long long)r->counts.loads,
	       (unsigned long long)r->counts.stores,
	       (unsigned long long)r->counts.reads,
	       (unsigned long long)r->counts.writes);
	printf("regions         %llu taken, %llu lost; %llu calls failed, "
	       "%llu touches\n", (unsigned long long)r->counts.regions,
	       (unsigned long long)r->counts.lost_regions,
	       (unsigned long long)r->counts.failed,
	       (unsigned long long)r->counts.lost);
	printf("laws asked      %llu\n",
	       (unsigned long long)r->counts.laws_asked);
	for (int i = 0; i < SIM_FAULTS; i++)
		printf("  %-20s %llu\n", sim_fault_name((enum sim_fault)i),
		       (unsigned long long)r->counts.faults[i]);
	printf("trace hash      %016llx\n", (unsigned long long)r->hash);
}

int main(int argc, char *argv[])
{
	extern char **environ;
	struct settings s;
	struct xm_options *o;
	struct report report = { .hash = 0 };
	double began = wall();
	int rc;

	if (xm_options_open(&table, &s, &o) != 0)
		return 1;
	rc = xm_options_load(o, argc, argv, environ, NULL);
	if (rc == XM_OPTIONS_HELP) {
		xm_options_print_help(&table, stdout);
		return 0;
	}
	if (rc == XM_OPTIONS_VERSION) {
		printf("extmem-sim (extmem) %s\n", PACKAGE_VERSION);
		return 0;
	}
	if (rc < 0) {
		fprintf(stderr, "extmem-sim: %s\n", xm_options_words(o));
		return 2;
	}
	if (plan(&s) != 0)
		return 2;
	if (s.minimize)
		return sim_minimize(s.seed, s.quiet);
	for (uint64_t i = 0; i < s.runs; i++) {
		uint64_t hash, again;
		bool held = run(s.seed + i, &report, &hash);

		if (held && s.twice) {
			held = run(s.seed + i, &report, &again);
			if (held && again != hash) {
				fprintf(stderr, "seed %llu: two runs, two "
					"stories: %016llx and %016llx\n",
					(unsigned long long)(s.seed + i),
					(unsigned long long)hash,
					(unsigned long long)again);
				held = false;
			}
		}
		report.runs++;
		report.failures += !held;
		report.hash = (report.hash ^ hash) *
			      UINT64_C(0x100000001b3);
		if (!s.quiet && !s.json && s.runs > 100 && i % 100 == 99)
			fprintf(stderr, "\r%llu of %llu, %llu failed",
				(unsigned long long)(i + 1),
				(unsigned long long)s.runs,
				(unsigned long long)report.failures);
		if (s.seconds > 0 && wall() - began > (double)s.seconds)
			break;
	}
	if (!s.quiet && !s.json && s.runs > 100)
		fputc('\n', stderr);
	report.counts = sim_counts;
	report.wall_s = wall() - began;
	if (s.json)
		print_json(&report);
	else
		print_text(&report);
	xm_options_close(o);
	return report.failures > 0;
}
