/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem-sim: lives through years of a cluster's life, one seed at a time.
 * See sim.h for what a run is, docs/TRACE.md for how to read one.
 */
#include <setjmp.h>
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

/* Once the weather is clear, everything ends within this. */
#define LIVENESS (400 * XM_SECOND)

struct settings {
	uint64_t seed, runs, seconds, until;
	bool trace, json, twice, quiet;
	uint64_t appliances, clients;
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

/* --- one run --------------------------------------------------------------------- */

static bool ask_and_go_on(void)
{
	oracle_ask();
	return false;
}

static bool ask_until_ended(void)
{
	oracle_ask();
	return programs_ended();
}

static void live(const struct settings *s, uint64_t seed)
{
	weather_draw(seed, &sim_shape);
	if (s->appliances > 0)
		sim_shape.appliances = (uint32_t)s->appliances;
	if (s->clients > 0)
		sim_shape.clients = (uint32_t)s->clients;
	sim_shape.clients_max = (uint32_t)xm_max(sim_shape.clients_max,
						 sim_shape.clients);
	fabric_open();
	for (uint32_t i = 0; i < sim_shape.appliances; i++)
		appliance_open(i);
	for (uint32_t i = 0; i < sim_shape.clients; i++)
		program_open(i);
	weather_begin();
	world_run(world_now() + sim_shape.safety_ns, ask_and_go_on);
	weather_clear();
	programs_finish();
	world_run(world_now() + LIVENESS, ask_until_ended);
	if (!programs_ended()) {
		char stuck[512];

		programs_stuck(stuck, sizeof(stuck));
		world_broken("liveness", "%llu s after the weather cleared:%s",
			     (unsigned long long)(LIVENESS / XM_SECOND),
			     stuck);
	}
}

/* True when all laws held. */
static bool run(const struct settings *s, uint64_t seed, struct report *report,
		uint64_t *ret_hash)
{
	static volatile bool held;

	held = true;
	world_open(seed);
	world_show(s->trace, s->until);
	if (setjmp(world_end) == 0)
		live(s, seed);
	else
		held = false;
	*ret_hash = world_hash();
	report->events += world_events();
	report->simulated_ns += world_now() - 10 * XM_SECOND;
	world_close();
	fabric_close();
	for (uint32_t i = 0; i < SIM_APPLIANCES_MAX; i++)
		appliance_close(i);
	for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++)
		program_close(i);
	return held;
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
	for (uint64_t i = 0; i < s.runs; i++) {
		uint64_t hash, again;
		bool held = run(&s, s.seed + i, &report, &hash);

		if (held && s.twice) {
			held = run(&s, s.seed + i, &report, &again);
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
