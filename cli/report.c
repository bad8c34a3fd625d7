/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a run was like, as JSON. Sizes are bytes, times are named by unit.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "cli/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/slow.h"

#ifdef HAVE_JANSSON
#include <jansson.h>

int report_check(const char *path)
{
	FILE *file;

	if (strcmp(path, "-") == 0)
		return 0;
	file = fopen(path, "we");
	if (!file) {
		command_say("run", "--stats %s: %s", path, strerror(errno));
		return -1;
	}
	fclose(file);
	return 0;
}

static void set(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void set_text(json_t *object, const char *name, const char *text)
{
	json_object_set_new(object, name, json_string(text));
}

static json_t *appliances_json(const struct run_shared *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->appliance_count; i++) {
		const struct run_appliance *a = &s->appliances[i];
		json_t *item = json_object();

		set_text(item, "address", a->appliance);
		set_text(item, "name", a->name);
		set_text(item, "transport", a->transport);
		set_text(item, "provider", a->provider);
		set_text(item, "version", a->version);
		set_text(item, "endpoint", a->endpoint);
		set_text(item, "state", a->state);
		json_array_append_new(list, item);
	}
	return list;
}

static void set_paging(json_t *root, const struct run_shared *s)
{
	const struct extmem_stats *t = &s->stats;

	set(root, "faults", t->faults);
	set(root, "faults_write", t->faults_write);
	set(root, "misses", t->misses);
	set(root, "zero_fills", t->zero_fills);
	set(root, "pages_read", t->pages_read);
	set(root, "pages_written", t->pages_written);
	set(root, "bytes_read", t->bytes_read);
	set(root, "bytes_written", t->bytes_written);
	set(root, "evictions", t->evictions);
	set(root, "prefetched", t->prefetched);
	set(root, "prefetched_wasted", t->prefetched_wasted);
	set(root, "reads", t->reads);
	set(root, "writes", t->writes);
	set(root, "local_limit_bytes", t->local_limit);
	set(root, "local_peak_bytes", t->local_peak);
	set(root, "messages", t->messages);
	set(root, "reconnects", t->reconnects);
	set(root, "pages_lost", t->pages_lost);
	set(root, "page_size", t->page_size);
	set(root, "segments", t->segments);
	set(root, "stripes", t->stripes);
	set(root, "copies", t->copies);
	set(root, "members", t->members);
	set(root, "members_missing", t->members_missing);
	set(root, "failovers", t->failovers);
	json_object_set_new(root, "failover_ms_max",
			    json_real((double)t->failover_ns_max / 1e6));
	set(root, "mended_bytes", t->mended_bytes);
	json_object_set_new(root, "degraded_s",
			    json_real((double)t->degraded_ms / 1e3));
	set(root, "view", t->view);
	set(root, "mending_bytes", t->mending_bytes);
	set(root, "mending_ms", t->mending_ms);
	set(root, "moved_bytes", t->moved_bytes);
	set(root, "leaving_bytes", t->leaving_bytes);
	set(root, "stranded_bytes", t->stranded_bytes);
	set(root, "unspared_bytes", t->unspared_bytes);
	set(root, "bad_tags", t->bad_tags);
	set(root, "tampered", t->tampered);
	set(root, "pages_compared", t->pages_compared);
	set(root, "pages_unchanged", t->pages_unchanged);
	json_object_set_new(
		root, "fault_p50_us",
		json_real((double)extmem_latency_ns(t, 500) / 1000.0));
	json_object_set_new(
		root, "fault_p99_us",
		json_real((double)extmem_latency_ns(t, 990) / 1000.0));
}

static void set_slow(json_t *root, const struct run_shared *s,
		     const struct run_outcome *o)
{
	struct slow slow;

	slow_find(s, NULL, o->wall_s, &slow);
	json_object_set_new(root, "waited_s",
			    json_real((double)s->stats.waited_ns / 1e9));
	json_object_set_new(root, "waited", json_real(slow.share));
	json_object_set_new(root, "misses_per_s",
			    json_real(slow.misses_per_s));
	set(root, "local_for_a_tenth_bytes", slow.local);
}

static json_t *report_json(const struct run_shared *s,
			   const struct run_outcome *o)
{
	json_t *root = json_object();

	set(root, "exit_status", (uint64_t)o->exit_status);
	json_object_set_new(root, "wall_s", json_real(o->wall_s));
	json_object_set_new(root, "user_s", json_real(o->user_s));
	json_object_set_new(root, "system_s", json_real(o->system_s));
	set(root, "peak_resident_bytes", o->peak_resident);
	json_object_set_new(root, "attached",
			    json_boolean(s->state == RUN_ATTACHED ||
					 s->state == RUN_ENDED));
	set_paging(root, s);
	set_slow(root, s, o);
	set(root, "local_percent", s->percent);
	set(root, "region_bytes", s->region_bytes_peak);
	set(root, "threshold_bytes", s->threshold);
	set(root, "allocations", s->blocks_count);
	set(root, "allocated_bytes", s->blocks_bytes);
	set(root, "external_peak_bytes", s->live_bytes_peak);
	set(root, "refused", s->refused_count);
	set(root, "refused_bytes", s->refused_bytes);
	set(root, "local_rest_bytes", s->rest_bytes);
	set(root, "local_rest_bytes_peak", s->rest_bytes_peak);
	set(root, "overflow", s->overflow_count);
	set(root, "overflow_bytes", s->overflow_bytes);
	set(root, "buffers_made_present", s->call_count);
	set(root, "calls_trapped", s->trap_count);
	set_text(root, "calls", s->calls);
	set(root, "forks", s->fork_count);
	set(root, "fork_pages_spilled", s->fork_spilled);
	set(root, "fork_saved_bytes_peak", s->fork_saved_bytes_peak);
	set_text(root, "provider",
		 s->appliance_count ? s->appliances[0].provider : "");
	set_text(root, "paging",
		 s->appliance_count ? s->appliances[0].paging : "");
	json_object_set_new(root, "appliances", appliances_json(s));
	return root;
}

int report_write(const char *path, const struct run_shared *s,
		 const struct run_outcome *o)
{
	json_t *root = report_json(s, o);
	const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(6);
	FILE *file = strcmp(path, "-") == 0 ? stderr : fopen(path, "we");
	int r = file ? json_dumpf(root, file, flags) : -1;

	if (file)
		fputc('\n', file);
	if (file && (fflush(file) != 0 || (file != stderr && fclose(file) != 0)))
		r = -1;
	json_decref(root);
	if (r < 0)
		command_say("run", "--stats %s: %s", path, strerror(errno));
	return r;
}

#else /* without jansson */

int report_check(const char *path)
{
	command_say("run", "--stats %s: this build has no JSON; build with "
			   "jansson (Debian: libjansson-dev)",
		    path);
	return -1;
}

int report_write(const char *path, const struct run_shared *s,
		 const struct run_outcome *o)
{
	(void)s;
	(void)o;
	return report_check(path);
}

#endif
