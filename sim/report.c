/* SPDX-License-Identifier: BSD-3-Clause */
/* What extmem-sim prints of its runs; see report.h. */
#include "sim/report.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "core/pure/trace.h"
#include "sim/counts.h"
#include "sim/notes.h"
#include "sim/outcomes.h"

/* --- reporting --------------------------------------------------------------------- */

void report_print_json(const struct report *r, double wall_s)
{
	json_t *faults = json_object(), *failed = json_array(), *all;
	json_t *reached = json_object(), *never = json_array();
	char hash[20], *text;

	for (int i = 0; i < SIM_FAULTS; i++)
		json_object_set_new(
			faults, sim_fault_name((enum sim_fault)i),
			json_integer((json_int_t)r->counts.faults[i]));
	for (uint64_t i = 0; i < xm_min(r->failures, RANKS_FAILED_MAX); i++)
		json_array_append_new(failed,
				      json_integer((json_int_t)r->failed[i]));
	for (uint64_t i = 1; i < XM_TRACE_IDS; i++) {
		if (r->counts.points[i] > 0)
			json_object_set_new(
				reached, xm_trace_name(i),
				json_integer((json_int_t)r->counts.points[i]));
		else
			json_array_append_new(never,
					      json_string(xm_trace_name(i)));
	}
	snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)r->hash);
	all = json_pack("{s:s, s:I, s:I, s:o, s:f, s:f, s:I, s:o, s:I, s:I, s:I, "
			"s:o, s:o, s:s}",
			"commit", world_commit,
			"seeds", (json_int_t)r->runs,
			"failures", (json_int_t)r->failures,
			"failed_seeds", failed,
			"simulated_s", (double)r->simulated_ns / 1e9,
			"wall_s", wall_s,
			"events", (json_int_t)r->events,
			"faults_by_kind", faults,
			"laws_asked", (json_int_t)r->counts.laws_asked,
			"operations", (json_int_t)r->counts.operations,
			"lost_regions", (json_int_t)r->counts.lost_regions,
			"branches_reached", reached,
			"branches_never_reached", never,
			"trace_hash", hash);
	text = json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER);
	puts(text);
	free(text);
	json_decref(all);
}

/* Decisions that came up, and how often; then those that never did. */
static void print_points(const struct sim_counts *c)
{
	unsigned reached = 0;

	for (int i = 1; i < XM_TRACE_IDS; i++)
		reached += c->points[i] > 0;
	printf("branches        %u of %d reached\n", reached,
	       XM_TRACE_IDS - 1);
	for (int i = 1; i < XM_TRACE_IDS; i++) {
		if (c->points[i] > 0)
			printf("  %-20s %llu\n", xm_trace_name((uint64_t)i),
			       (unsigned long long)c->points[i]);
	}
	for (int i = 1; i < XM_TRACE_IDS; i++) {
		if (c->points[i] == 0)
			printf("  %-20s never\n", xm_trace_name((uint64_t)i));
	}
}

void report_print_text(const struct report *r, double wall_s)
{
	printf("commit          %s\n", world_commit);
	printf("seeds           %llu, %llu failed\n",
	       (unsigned long long)r->runs, (unsigned long long)r->failures);
	printf("simulated       %.1f s in %.1f s: %.0f times real time\n",
	       (double)r->simulated_ns / 1e9, wall_s,
	       (double)r->simulated_ns / 1e9 / wall_s);
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
		printf("  %-20s %llu%s\n", sim_fault_name((enum sim_fault)i),
		       (unsigned long long)r->counts.faults[i],
		       r->counts.faults[i] == 0 ? " never" : "");
	print_points(&r->counts);
	for (uint64_t i = 0; i < xm_min(r->failures, RANKS_FAILED_MAX); i++)
		printf("%s%llu%s", i == 0 ? "failed seeds    " : " ",
		       (unsigned long long)r->failed[i],
		       i + 1 == xm_min(r->failures, RANKS_FAILED_MAX) ? "\n"
								      : "");
	printf("trace hash      %016llx\n", (unsigned long long)r->hash);
}

/* --- outcomes ---------------------------------------------------------------------- */

/* Returns how many were seen that are not in the list. That all of the list is
 * seen takes many seeds. A line: the call, the trouble, what it came to, how often,
 * in which seed first; tests/sim/outcomes.sh reads them. */
unsigned report_print_outcomes(outcome_counts seen, outcome_counts shown)
{
	unsigned differ = 0;

	for (unsigned i = 0; i < OUTCOME_CALLS * OUTCOME_TROUBLES *
					 OUTCOME_RESULTS; i++) {
		enum outcome_call c = i / OUTCOME_RESULTS / OUTCOME_TROUBLES;
		enum outcome_trouble t = i / OUTCOME_RESULTS % OUTCOME_TROUBLES;
		enum outcome_result r = i % OUTCOME_RESULTS;
		bool listed = outcome_listed(c, t, r);
		bool compared = t != OUTCOME_OTHER;

		if (seen[c][t][r] == 0 && !(listed && compared))
			continue;
		differ += compared && !listed;
		printf("%-8s %-18s %-15s %10llu %9llu%s\n",
		       outcome_call_name(c), outcome_trouble_name(t),
		       outcome_result_name(r),
		       (unsigned long long)seen[c][t][r],
		       (unsigned long long)shown[c][t][r],
		       !compared	    ? " (not compared)"
		       : !listed	    ? " not in the list"
		       : seen[c][t][r] == 0 ? " in the list, never seen"
					    : "");
	}
	return differ;
}
