/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `idle`: what a connected client and its appliance cost while nothing is
 * asked of them. Each client is a process of its own, as it is in life: it
 * takes a region, maps it, writes every page, and then waits for a line.
 *
 * Processor time is what the kernel says of each process, all its threads, at
 * the beginning and at the end; memory is a process's share of what it uses
 * (Pss: what several share is divided), without memory that is lent, which is
 * shared between the appliance's two processes. In the end every client finds
 * its bytes as it left them.
 */
#include "bench/bench.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/alone.h"
#include "bench/appliance.h"
#include "bench/ranks.h"

#define CLIENTS_MAX 4000
#define SETTLE_S 3 /* what was written may still be on its way */
#define FILES_SPARE 64
#define TOGETHER 8
#define ARGUMENT_SIZE 4096

struct settings {
	struct bench_common common;
	uint64_t clients, seconds, pages;
	bool spoil;
};

static const struct xm_option options[] = {
	{ .name = "clients", .kind = XM_OPTION_COUNT, .value = "1", .min = 1,
	  .max = CLIENTS_MAX, .help = "Number of clients, each a process.",
	  .destination = offsetof(struct settings, clients) },
	{ .name = "seconds", .kind = XM_OPTION_COUNT, .value = "60", .min = 1,
	  .max = 86400, .help = "Time of the measurement, during which the clients do "
		  "nothing.",
	  .destination = offsetof(struct settings, seconds) },
	{ .name = "pages", .kind = XM_OPTION_COUNT, .value = "256", .min = 1,
	  .max = UINT64_C(1) << 30,
	  .help = "Pages of 4 KiB that each client maps and writes "
		  "first.",
	  .destination = offsetof(struct settings, pages) },
	/* For the tests: what must be noticed. */
	{ .name = "spoil", .kind = XM_OPTION_FLAG, .hidden = true,
	  .help = "A byte of a page changes meanwhile.",
	  .destination = offsetof(struct settings, spoil) },
	BENCH_OPTIONS(struct settings, common),
};

static const struct xm_option_table table = {
	.program = "extmem-bench idle",
	.usage = "[OPTION]...",
	.about = "Clients that are connected, and an appliance, while nothing "
		 "is asked of them: processor time and memory of each.",
	.options = options,
	.count = XM_COUNT(options),
};

/* --- a client, in its own process -------------------------------------------------- */

/* `argument`: the settings, a line each. */
static bool client_open(const char *argument, extmem **ret)
{
	static char text[ARGUMENT_SIZE];
	const char *list[128];
	size_t count = 0;

	snprintf(text, sizeof(text), "%s", argument);
	for (char *at = strtok(text, "\n"); at != NULL && count < 127;
	     at = strtok(NULL, "\n"))
		list[count++] = at;
	list[count] = NULL;
	return extmem_open(list, ret) == 0;
}

static uint64_t content(uint64_t word)
{
	return word * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static bool use(extmem *x, uint64_t pages, uint64_t **ret)
{
	extmem_region *region;
	void *at;

	if (extmem_region_alloc(x, "idle", pages * BENCH_PAGE, &region) < 0 ||
	    extmem_map(region, 0, 0, &at) < 0)
		return false;
	*ret = at;
	for (uint64_t i = 0; i < pages * BENCH_PAGE / 8; i++)
		(*ret)[i] = content(i);
	return true;
}

/* "use PAGES", perhaps "spoil", then "end". */
bool idle_answer(const char *argument, const char *question, char *ret,
		 size_t size)
{
	static uint64_t *memory, pages;
	static extmem *x;

	if (question == NULL) {
		if (client_open(argument, &x))
			return true;
		snprintf(ret, size, "%s", extmem_error());
		return false;
	}
	if (sscanf(question, "use %" SCNu64, &pages) == 1) {
		bool well = use(x, pages, &memory);

		snprintf(ret, size, "%s", well ? "idle" : extmem_error());
		return well;
	}
	if (strcmp(question, "spoil") == 0) {
		((char *)memory)[pages / 2 * BENCH_PAGE + 2000] ^= 1;
		snprintf(ret, size, "spoilt");
		return true;
	}
	for (uint64_t i = 0; i < pages * BENCH_PAGE / 8; i++) {
		if (memory[i] == content(i))
			continue;
		snprintf(ret, size, "page %llu is wrong",
			 (unsigned long long)i / (BENCH_PAGE / 8));
		return false;
	}
	if (extmem_close(x) < 0) {
		snprintf(ret, size, "%s", extmem_error());
		return false;
	}
	snprintf(ret, size, "closed");
	return true;
}

/* --- what processes use --------------------------------------------------------------- */

struct used {
	double cpu_s;
	double KiB; /* NAN: the kernel does not say */
	double files;
};

static double cpu_s_of(long pid)
{
	unsigned long long user, system;
	char path[64], line[1024] = "";
	const char *at;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	file = fopen(path, "re");
	if (file == NULL || fgets(line, sizeof(line), file) == NULL)
		bench_fail("a process has ended (%ld)", pid);
	fclose(file);
	/* The name may have anything in it but ends with the last bracket. */
	at = strrchr(line, ')');
	if (at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u "
				 "%*u %*u %llu %llu", &user, &system) != 2)
		bench_fail("%s cannot be read", path);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double KiB_of(long pid)
{
	double all = NAN, lent = 0, value;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", pid);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "Pss: %lf", &value) == 1)
			all = value;
		else if (sscanf(line, "Pss_Shmem: %lf", &value) == 1)
			lent = value;
	}
	if (file != NULL)
		fclose(file);
	return all - lent;
}

static double files_of(long pid)
{
	const struct dirent *entry;
	double count = 0;
	char path[64];
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%ld/fd", pid);
	folder = opendir(path);
	if (folder == NULL)
		return NAN;
	while ((entry = readdir(folder)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

static struct used used_by(long pid)
{
	return (struct used){ cpu_s_of(pid), KiB_of(pid), files_of(pid) };
}

/* --- the run --------------------------------------------------------------------------- */

struct run {
	struct bench *bench;
	const struct settings *s;
	struct alone *clients;
	double *cpu_s, *KiB;	  /* of each client */
	long control, interface; /* or 0: not of this run */
};

static const char *prepare(void *settings, uint64_t *ret_need)
{
	struct settings *s = settings;

	if (ranks_launched())
		return "idle starts its clients itself: run it without mpirun";
	if (strcmp(s->common.transport, "loop") == 0)
		return "--transport loop is within one process: there is none "
		       "to look at";
	if (s->common.repeat > 1)
		return "--repeat: idle is measured once";
	s->common.clients_max = s->clients + 8;
	*ret_need = s->clients * s->pages * BENCH_PAGE;
	return NULL;
}

/* A descriptor for each. */
static void raise_files(uint64_t clients)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    limit.rlim_cur >= clients + FILES_SPARE)
		return;
	limit.rlim_cur = clients + FILES_SPARE;
	if (limit.rlim_max < limit.rlim_cur ||
	    setrlimit(RLIMIT_NOFILE, &limit) != 0)
		bench_fail("%llu clients need %llu open files: run `ulimit -n "
			   "%llu` first", (unsigned long long)clients,
			   (unsigned long long)limit.rlim_cur,
			   (unsigned long long)limit.rlim_cur);
}

static void settings_of(const struct bench *b, char ret[ARGUMENT_SIZE])
{
	const struct bench_common *common = b->common;
	size_t used = 0;

#define ADD(...)                                                               \
	used += (size_t)snprintf(ret + used, ARGUMENT_SIZE - used, __VA_ARGS__)
	for (int i = 0; i < b->appliances && used < ARGUMENT_SIZE; i++)
		ADD("appliance=%s\n", b->addresses[i]);
	if (used < ARGUMENT_SIZE)
		ADD("local=%llu\nlanes=%llu\nprefetch=%llu\npaging=%s\n"
		    "polling=%s\n",
		    (unsigned long long)(common->lanes * 2 * BENCH_MIB),
		    (unsigned long long)common->lanes,
		    (unsigned long long)common->prefetch, common->paging,
		    common->polling);
	for (size_t i = 0; i < common->setting.count && used < ARGUMENT_SIZE;
	     i++)
		ADD("%s\n", common->setting.items[i]);
#undef ADD
	if (used >= ARGUMENT_SIZE)
		bench_fail("the settings are too long");
}

static void ask_all(const struct run *r, const char *question)
{
	char answer[128];

	for (uint64_t i = 0; i < r->s->clients; i++) {
		if (!alone_ask(&r->clients[i], question, answer,
			       sizeof(answer)))
			bench_fail("client %llu does not answer",
				   (unsigned long long)i);
	}
}

static void begin(struct run *r)
{
	uint64_t count = r->s->clients, started = 0;
	char text[ARGUMENT_SIZE], question[64], answer[128];

	settings_of(r->bench, text);
	snprintf(question, sizeof(question), "use %llu",
		 (unsigned long long)r->s->pages);
	r->clients = bench_calloc(count, sizeof(*r->clients));
	r->cpu_s = bench_calloc(count, sizeof(*r->cpu_s));
	r->KiB = bench_calloc(count, sizeof(*r->KiB));
	for (uint64_t i = 0; i < count; i++) {
		/* Some at a time connect, while the first is waited for. */
		for (; started < count && started < i + TOGETHER; started++) {
			if (!alone_start(&r->clients[started], "idle", text,
					 NULL))
				bench_fail("client %llu could not be started",
					   (unsigned long long)started);
		}
		if (!alone_ask(&r->clients[i], question, answer,
			       sizeof(answer)))
			bench_fail("client %llu could not begin",
				   (unsigned long long)i);
	}
	r->control = appliance_pid();
	r->interface = r->control != 0 ? appliance_child(r->control) : 0;
}

static double pct(double cpu_s, double took_us)
{
	return 100 * cpu_s / (took_us / 1e6);
}

static void add_part(struct bench_row *row, const char *name, long pid,
		     const struct used *before, double took_us)
{
	struct used now = { NAN, NAN, NAN };
	char field[32];

	if (pid != 0) {
		now = used_by(pid);
		now.cpu_s -= before->cpu_s;
	}
	snprintf(field, sizeof(field), "%s_cpu_pct", name);
	bench_real(row, field, BENCH_MEDIAN, pct(now.cpu_s, took_us));
	snprintf(field, sizeof(field), "%s_KiB", name);
	bench_real(row, field, BENCH_MEDIAN, now.KiB);
	snprintf(field, sizeof(field), "%s_files", name);
	bench_real(row, field, BENCH_MEDIAN, now.files);
}

static void measure(struct run *r, struct bench_row *row)
{
	struct used control = { 0 }, interface = { 0 };
	uint64_t count = r->s->clients;
	double began_us, took_us, sum = 0;

	sleep(SETTLE_S);
	for (uint64_t i = 0; i < count; i++)
		r->cpu_s[i] = cpu_s_of(r->clients[i].pid);
	if (r->control != 0)
		control = used_by(r->control);
	if (r->interface != 0)
		interface = used_by(r->interface);
	began_us = bench_now_us();
	sleep((unsigned)r->s->seconds);
	took_us = bench_now_us() - began_us;
	for (uint64_t i = 0; i < count; i++) {
		r->cpu_s[i] = cpu_s_of(r->clients[i].pid) - r->cpu_s[i];
		sum += r->cpu_s[i];
	}
	add_part(row, "control", r->control, &control, took_us);
	add_part(row, "interface", r->interface, &interface, took_us);
	for (uint64_t i = 0; i < count; i++)
		r->KiB[i] = KiB_of(r->clients[i].pid);
	bench_real(row, "client_cpu_pct", BENCH_MEDIAN,
		   pct(sum / (double)count, took_us));
	bench_real(row, "clients_cpu_pct", BENCH_MEDIAN, pct(sum, took_us));
	bench_real(row, "client_KiB", BENCH_MEDIAN,
		   bench_permille(r->KiB, count, 500));
	bench_real(row, "client_files", BENCH_MEDIAN,
		   files_of(r->clients[0].pid));
}

static const struct bench_program program = {
	.table = &table,
	.common = offsetof(struct settings, common),
	.prepare = prepare,
};

int bench_idle(int argc, char *argv[])
{
	struct settings s;
	struct bench_client about;
	struct bench_row row;
	struct run r = { .s = &s };
	int rc = bench_begin(&program, &s, argc, argv, &r.bench);

	if (rc != BENCH_GO)
		return rc;
	raise_files(s.clients);
	bench_row(r.bench,
		  "idle_clients seconds client_cpu_pct control_cpu_pct "
		  "interface_cpu_pct client_KiB control_KiB interface_KiB "
		  "control_files interface_files",
		  &row);
	bench_count(&row, "idle_clients", BENCH_SAME, s.clients);
	bench_count(&row, "seconds", BENCH_SAME, s.seconds);
	bench_count(&row, "pages", BENCH_SAME, s.pages);
	begin(&r);
	measure(&r, &row);
	if (s.spoil)
		ask_all(&r, "spoil");
	ask_all(&r, "end");
	/* What it was taken with; this client was not there before. */
	bench_open(r.bench, 0, 100, &about);
	bench_stamp(&row, &about);
	bench_close(&about);
	bench_print(r.bench, &row, 1);
	for (uint64_t i = 0; i < s.clients; i++)
		alone_stop(&r.clients[i]);
	free(r.clients);
	free(r.cpu_s);
	free(r.KiB);
	return bench_end(r.bench);
}
