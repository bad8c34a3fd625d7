/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem top`: who uses external memory on this machine, and how much of it.
 *
 * Every program under `extmem run` keeps its figures in a memory file
 * (run/shared.h), which only its owner and root can read. They are read twice,
 * an interval apart; what is shown a second, and the latency, is of that
 * interval alone. A file that nobody keeps any more is taken away, if we may.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <inttypes.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/slow.h"
#include "common/options_shared.h"
#include "common/clock.h"
#include "common/progress.h"
#include "preload/shared.h"

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

#define CLIENTS_MAX 512

struct settings {
	uint64_t interval_ns;
	bool once, json;
};

static const struct xm_option options[] = {
	{ .name = "interval",
	  .kind = XM_OPTION_DURATION,
	  .letter = 'i',
	  .value = "1s",
	  .min = 10 * XM_MS,
	  .max = 3600 * XM_SECOND,
	  .help = "Time between two tables, over which figures are "
		  "averaged.",
	  .destination = offsetof(struct settings, interval_ns) },
	{ .name = "once",
	  .kind = XM_OPTION_FLAG,
	  .letter = '1',
	  .help = "Print one table and exit.",
	  .destination = offsetof(struct settings, once) },
	XM_SHARED_JSON(struct settings, json,
		"Print one JSON object in each line."),
};

static const struct xm_option_table table = {
	.program = "extmem top",
	.prefix = "EXTMEM",
	.usage = "[OPTION]...",
	.about = "Shows the programs of this machine that run with external "
		 "memory: yours, or as root everybody's. Sizes are MiB, "
		 "latency is of faults.",
	.options = options,
	.count = XM_COUNT(options),
};

struct sample {
	uint64_t time_ns;
	unsigned count, hidden; /* hidden: not ours to read */
	struct run_client clients[CLIENTS_MAX];
};

/* What a client did between two samples. */
struct row {
	const struct run_client *client;
	double faults, in, out; /* a second; MB */
	double p50_us, p99_us;
	struct slow slow;
};

static void take(struct sample *sample)
{
	sample->count = run_clients_read(sample->clients, CLIENTS_MAX,
					 &sample->hidden);
	sample->time_ns = xm_clock_ns();
}

/* --- the interval ----------------------------------------------------------------- */

static const struct run_client *earlier(const struct sample *before,
				    const struct run_client *client)
{
	for (unsigned i = 0; i < before->count; i++)
		if (before->clients[i].file == client->file)
			return &before->clients[i];
	return NULL;
}

static struct row row_of(const struct sample *before,
			 const struct run_client *client, double seconds)
{
	const struct run_client *then = earlier(before, client);
	const struct extmem_stats *s = &client->at.stats;
	struct row row = { .client = client };
	struct extmem_stats part = *s;

	if (!then)
		return row; /* it has just begun */
	for (unsigned i = 0; i < EXTMEM_LATENCY_BUCKETS; i++)
		part.latency[i] -= then->at.stats.latency[i];
	row.faults = (double)(s->faults - then->at.stats.faults) / seconds;
	row.in = (double)(s->bytes_read - then->at.stats.bytes_read) /
		 seconds / 1e6;
	row.out = (double)(s->bytes_written - then->at.stats.bytes_written) /
		  seconds / 1e6;
	row.p50_us = (double)extmem_latency_ns(&part, 500) / 1000;
	row.p99_us = (double)extmem_latency_ns(&part, 990) / 1000;
	slow_find(&client->at, &then->at, seconds, &row.slow);
	return row;
}

static int busier_first(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->faults != y->faults)
		return x->faults < y->faults ? 1 : -1;
	return (x->client->at.pid > y->client->at.pid) -
	       (x->client->at.pid < y->client->at.pid);
}

static unsigned rows_of(const struct sample *before, const struct sample *after,
			struct row *ret)
{
	double seconds = (double)(after->time_ns - before->time_ns) / 1e9;

	for (unsigned i = 0; i < after->count; i++)
		ret[i] = row_of(before, &after->clients[i], seconds);
	qsort(ret, after->count, sizeof(*ret), busier_first);
	return after->count;
}

/* --- showing ---------------------------------------------------------------------- */

static const char *user_of(uid_t uid)
{
	static char number[16];
	const struct passwd *user = getpwuid(uid);

	snprintf(number, sizeof(number), "%u", (unsigned)uid);
	return user ? user->pw_name : number;
}

static double mib(uint64_t bytes)
{
	return (double)bytes / XM_MIB;
}

static bool is_leaving(const struct run_shared *s)
{
	for (uint32_t i = 0; i < s->appliance_count && i < RUN_APPLIANCES_MAX;
	     i++)
		if (strncmp(s->appliances[i].state, "leaving",
			    sizeof(s->appliances[i].state)) == 0)
			return true;
	return false;
}

static const char *place_of(const struct run_shared *s)
{
	static char text[192];

	if (s->lost[0])
		return "memory is lost";
	snprintf(text, sizeof(text), "%.127s%s%s",
		 s->appliance_count ? s->appliances[0].appliance : "",
		 s->appliance_count > 1 ? " and others" : "",
		 is_leaving(s) ? " leaving" : "");
	return text;
}

/* Of a program with mirrors: a second line. */
static void print_mirrors(const struct extmem_stats *s)
{
	char text[96];
	struct xm_words words;

	if (s->members + s->members_missing == 0)
		return;
	printf("%7s copies: %llu of %llu are whole, view %llu", "",
	       (unsigned long long)s->members,
	       (unsigned long long)(s->members + s->members_missing),
	       (unsigned long long)s->view);
	if (s->mending_bytes > 0) {
		xm_words_begin(&words, text, sizeof(text));
		xm_progress_words(&words, s->mending_bytes, s->mending_ms);
		printf(", mending: %s", text);
	}
	putchar('\n');
	if (s->unspared_bytes > 0)
		printf("%7s no spare: if an appliance ends, no other one that "
		       "the strategy allows has room for %.1f MiB\n", "",
		       mib(s->unspared_bytes));
}

/* Of a program that waits: two more. */
static void print_slow(const struct slow *slow)
{
	char words[80];

	if (!slow_is(slow))
		return;
	slow_words(slow, "waits", words, sizeof(words));
	printf("%7s %s:\n", "", words);
	slow_remedy(slow, words, sizeof(words));
	printf("%7s %s\n", "", words);
}

/* Of a program with memory that is to move, or was: from appliances that drain, or that take
 * back what is beyond their new size. */
static void print_leaving(const struct extmem_stats *s)
{
	if (s->leaving_bytes == 0)
		return;
	printf("%7s leaving: %.1f MiB lie at an appliance that drains or takes "
	       "memory back, %.1f MiB have moved", "",
	       mib(s->leaving_bytes), mib(s->moved_bytes));
	if (s->stranded_bytes > 0)
		printf("; %.1f MiB have nowhere to go", mib(s->stranded_bytes));
	putchar('\n');
}

/* Of a program that was given pages which are not what it sealed. */
static void print_tampered(const struct extmem_stats *s)
{
	if (s->bad_tags == 0)
		return;
	printf("%7s sealed: a page came back wrong %" PRIu64 " times", "",
	       s->bad_tags);
	if (s->tampered > 0)
		printf("; %" PRIu64 " are lost", s->tampered);
	putchar('\n');
}

static void print_sums(const struct row *rows, unsigned count, unsigned hidden)
{
	double faults = 0, in = 0, out = 0, local = 0, budget = 0, external = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct run_shared *s = &rows[i].client->at;

		faults += rows[i].faults;
		in += rows[i].in;
		out += rows[i].out;
		local += mib(s->stats.local_now);
		budget += mib(s->stats.local_limit);
		external += mib(atomic_load(&s->live_bytes));
	}
	printf("%u client%s: %.1f MiB external, %.1f of %.1f MiB local, "
	       "%.0f faults/s, %.1f MB/s in, %.1f MB/s out",
	       count, count == 1 ? "" : "s", external, local, budget, faults,
	       in, out);
	if (hidden > 0)
		printf("; %u of other users", hidden);
	printf("\n\n");
}

static void print_table(const struct row *rows, unsigned count, unsigned hidden)
{
	print_sums(rows, count, hidden);
	printf("%7s %-8s %-15s %9s %8s %8s %8s %9s %7s %7s %7s %7s %6s %7s  %s\n",
	       "PID", "USER", "PROGRAM", "EXTERNAL", "LOCAL", "BUDGET",
	       "REST", "FAULTS/S", "IN/S", "OUT/S", "P50 us", "P99 us", "COPIES",
	       "STRIPES", "APPLIANCE");
	for (unsigned i = 0; i < count; i++) {
		const struct run_shared *s = &rows[i].client->at;

		printf("%7u %-8.8s %-15.15s %9.1f %8.1f %8.1f %8.1f %9.0f %7.1f "
		       "%7.1f %7.1f %7.1f %6llu %7llu  %s\n",
		       s->pid, user_of(rows[i].client->uid), s->program,
		       mib(atomic_load(&s->live_bytes)),
		       mib(s->stats.local_now), mib(s->stats.local_limit),
		       mib(atomic_load(&s->rest_bytes)), rows[i].faults,
		       rows[i].in, rows[i].out, rows[i].p50_us, rows[i].p99_us,
		       (unsigned long long)s->stats.copies,
		       (unsigned long long)s->stats.stripes, place_of(s));
		print_slow(&rows[i].slow);
		print_mirrors(&s->stats);
		print_leaving(&s->stats);
		print_tampered(&s->stats);
	}
	fflush(stdout);
}

#ifdef HAVE_JANSSON

static json_t *row_json(const struct row *row)
{
	const struct run_shared *s = &row->client->at;

	return json_pack(
		"{si sI ss ss ss sI sI sI sI sI sI sI sI sI sI sI sI sI sI sI sI "
		"sI sI sI sI sI sI "
		"sf sf sf sf sf sf sf sI}",
		"pid", (int)s->pid, "pid_namespace", (json_int_t)s->pid_space,
		"user", user_of(row->client->uid), "program",
		s->program, "appliance", place_of(s), "external_bytes",
		(json_int_t)atomic_load(&s->live_bytes), "region_bytes",
		(json_int_t)s->stats.region_bytes, "local_bytes",
		(json_int_t)s->stats.local_now, "budget_bytes",
		(json_int_t)s->stats.local_limit, "rest_bytes",
		(json_int_t)atomic_load(&s->rest_bytes), "budget_percent",
		(json_int_t)s->percent, "faults", (json_int_t)s->stats.faults,
		"pages_lost", (json_int_t)s->stats.pages_lost, "copies",
		(json_int_t)s->stats.copies, "stripes",
		(json_int_t)s->stats.stripes, "members",
		(json_int_t)s->stats.members, "members_missing",
		(json_int_t)s->stats.members_missing, "view",
		(json_int_t)s->stats.view, "mended_bytes",
		(json_int_t)s->stats.mended_bytes, "mending_bytes",
		(json_int_t)s->stats.mending_bytes, "mending_ms",
		(json_int_t)s->stats.mending_ms, "moved_bytes",
		(json_int_t)s->stats.moved_bytes, "leaving_bytes",
		(json_int_t)s->stats.leaving_bytes, "stranded_bytes",
		(json_int_t)s->stats.stranded_bytes, "unspared_bytes",
		(json_int_t)s->stats.unspared_bytes, "bad_tags",
		(json_int_t)s->stats.bad_tags, "tampered",
		(json_int_t)s->stats.tampered, "faults_per_s",
		row->faults, "in_mb_per_s", row->in, "out_mb_per_s", row->out,
		"fault_p50_us", row->p50_us, "fault_p99_us", row->p99_us,
		"waits", row->slow.share, "misses_per_s",
		row->slow.misses_per_s, "local_for_a_tenth_bytes",
		(json_int_t)row->slow.local);
}

static int print_json(const struct row *rows, unsigned count, unsigned hidden)
{
	json_t *root, *list = json_array();
	int r;

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, row_json(&rows[i]));
	root = json_pack("{so si}", "clients", list, "hidden", (int)hidden);
	r = root ? json_dumpf(root, stdout, JSON_COMPACT |
						    JSON_REAL_PRECISION(6))
		 : -1;
	putchar('\n');
	fflush(stdout);
	json_decref(root);
	return r;
}

#else

static int print_json(const struct row *rows, unsigned count, unsigned hidden)
{
	(void)rows;
	(void)count;
	(void)hidden;
	command_say("top", "--json: this build has no JSON; build with jansson "
			   "(Debian: libjansson-dev)");
	return -1;
}

#endif

static int watch(const struct settings *s)
{
	static struct sample samples[2];
	static struct row rows[CLIENTS_MAX];
	const struct timespec nap = { .tv_sec = s->interval_ns / XM_SECOND,
				      .tv_nsec = s->interval_ns % XM_SECOND };
	const bool terminal = isatty(STDOUT_FILENO) && !s->once && !s->json;

	take(&samples[0]);
	for (unsigned i = 1;; i++) {
		const struct sample *after = &samples[i % 2];
		unsigned count;

		nanosleep(&nap, NULL);
		take(&samples[i % 2]);
		count = rows_of(&samples[(i + 1) % 2], after, rows);
		if (terminal)
			printf("\033[H\033[2J");
		if (!s->json)
			print_table(rows, count, after->hidden);
		else if (print_json(rows, count, after->hidden) < 0)
			return COMMAND_NO;
		if (s->once || ferror(stdout))
			return ferror(stdout) ? COMMAND_NO : COMMAND_OK;
	}
}

int command_top(int argc, char *argv[])
{
	static struct settings settings;
	struct xm_options *o;
	int status = command_options(&table, &settings, argc, argv, &o, NULL);

	if (status < 0)
		status = watch(&settings);
	xm_options_close(o);
	return status;
}
