/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the subcommands of extmem-bench share, as a contract.
 *
 * A subcommand is a function `int bench_NAME(int argc, char *argv[])` (argv[0]
 * is its name; returns the exit status) and a line in the table of
 * extmem-bench.c. All of them have this form:
 *
 *	struct settings { struct bench_common common; uint64_t pages; };
 *
 *	static const struct xm_option options[] = {
 *		BENCH_OPTIONS(struct settings, common),
 *		{ .name = "pages", .kind = XM_OPTION_COUNT, ... },
 *	};
 *	static const struct xm_option_table table = { ... };
 *
 *	static const char *prepare(void *settings, uint64_t *ret_need)
 *	{
 *		... check what the option table cannot; NULL: all is well ...
 *	}
 *
 *	static const struct bench_program program = {
 *		.table = &table, .prepare = prepare,
 *		.common = offsetof(struct settings, common) };
 *
 *	int bench_NAME(int argc, char *argv[])
 *	{
 *		struct settings s;
 *		struct bench *b;
 *		int rc = bench_begin(&program, &s, argc, argv, &b);
 *
 *		if (rc != BENCH_GO)
 *			return rc;
 *		... clients, measurements, rows ...
 *		return bench_end(b);
 *	}
 *
 * Ranks. Under mpirun the last ranks are appliances, the others clients; only
 * clients return from bench_begin() with BENCH_GO, and all of them must then
 * make the same calls marked *collective*, in the same order. Without mpirun
 * there is one client, and everything is the same. Rank 0 is a client.
 *
 * Threads. All calls but bench_now_us(), bench_draw(), bench_below() and
 * bench_fail() are made by the main thread.
 *
 * Exit status: 0; 1 when what was read is wrong or the world said no; 2 for a
 * mistake in the command line. A skipped part (no libjemalloc, say) is said
 * in words, on stderr, and does not change it.
 */
#ifndef EXTMEM_BENCH_H
#define EXTMEM_BENCH_H

#include <time.h>

#include "core/extmem.h"
#include "common/options.h"

#define BENCH_PAGE 4096
#define BENCH_APPLIANCES_MAX 16 /* as many as a client can have */
#define BENCH_ADDRESS_SIZE 160
#define BENCH_MIB ((uint64_t)1 << 20)

/* --- options that every subcommand has --------------------------------- */

struct bench_common {
	struct xm_option_list appliance, setting;
	const char *transport, *paging, *polling, *label;
	uint64_t appliances, memory, lanes, prefetch, repeat;
	bool json;
	/* No option: prepare() sets it where ordinary memory is all that the
	 * run needs; no appliance is started then, and none needed. */
	bool without;
	bool no_raw;	      /* likewise: t_net is the library's own call */
	uint64_t clients_max; /* likewise, of what is started; 0: its default */
};

#define BENCH_OPTIONS(TYPE, MEMBER)                                            \
	{ .name = "appliance", .kind = XM_OPTION_LIST, .letter = 'a',          \
	  .unit = "ADDR",                                                      \
	  .help = "Use this appliance. May be repeated. Default: one is "      \
		  "started for the run.",                                      \
	  .destination = offsetof(TYPE, MEMBER.appliance) },                   \
	{ .name = "transport", .kind = XM_OPTION_TEXT, .value = "ofi+tcp",     \
	  .unit = "SCHEME",                                                    \
	  .help = "How appliances that are started are reached: ofi+tcp, "    \
		  "ofi+shm, ofi+verbs; loop: within this process.",            \
	  .destination = offsetof(TYPE, MEMBER.transport) },                   \
	{ .name = "appliances", .kind = XM_OPTION_COUNT, .max = 4096,          \
	  .help = "Appliances to start, 16 at most. Default: 1; under mpirun " \
		  "half of the ranks.",                                        \
	  .destination = offsetof(TYPE, MEMBER.appliances) },                  \
	{ .name = "memory", .kind = XM_OPTION_SIZE, .min = 64 << 10,           \
	  .help = "Memory of each started appliance. Default: what the run "  \
		  "needs.",                                                    \
	  .destination = offsetof(TYPE, MEMBER.memory) },                      \
	{ .name = "lanes", .kind = XM_OPTION_COUNT, .value = "1", .min = 1,    \
	  .max = 16, .help = "Connections to each appliance.",                 \
	  .destination = offsetof(TYPE, MEMBER.lanes) },                       \
	{ .name = "prefetch", .kind = XM_OPTION_COUNT, .value = "64",          \
	  .min = 1, .max = 64, .help = "Limit of pages read ahead at once.",   \
	  .destination = offsetof(TYPE, MEMBER.prefetch) },                    \
	{ .name = "paging", .kind = XM_OPTION_TEXT, .value = "auto",           \
	  .unit = "auto|inline|thread", .help = "Who serves a fault.",         \
	  .destination = offsetof(TYPE, MEMBER.paging) },                      \
	{ .name = "polling", .kind = XM_OPTION_TEXT, .value = "adaptive",      \
	  .unit = "adaptive|busy|block",                                       \
	  .help = "How client and appliance wait for the network.",            \
	  .destination = offsetof(TYPE, MEMBER.polling) },                     \
	{ .name = "setting", .kind = XM_OPTION_LIST, .unit = "NAME=VALUE",     \
	  .help = "A setting of the client, see extmem(5).",                   \
	  .destination = offsetof(TYPE, MEMBER.setting) },                     \
	{ .name = "label", .kind = XM_OPTION_TEXT, .unit = "TEXT",             \
	  .help = "A text to put into every line of JSON.",                    \
	  .destination = offsetof(TYPE, MEMBER.label) },                       \
	{ .name = "repeat", .kind = XM_OPTION_COUNT, .value = "1", .min = 1,   \
	  .max = 99,                                                           \
	  .help = "Repetitions of each measurement; medians are printed.",     \
	  .destination = offsetof(TYPE, MEMBER.repeat) },                      \
	{ .name = "json", .kind = XM_OPTION_FLAG,                              \
	  .help = "Print one JSON object in each line.",                       \
	  .destination = offsetof(TYPE, MEMBER.json) }

/* --- the run ------------------------------------------------------------- */

#define BENCH_GO (-1)

struct bench_program {
	const struct xm_option_table *table; /* .program "extmem-bench NAME" */
	size_t common; /* offset of struct bench_common in the settings */
	/* Called once the options are read. Says what is wrong with them
	 * (status 2 follows), or returns NULL and stores in *ret_need how many
	 * bytes of external memory one client holds at once, most. */
	const char *(*prepare)(void *settings, uint64_t *ret_need);
};

struct bench {
	const char *name; /* of the subcommand */
	const struct bench_common *common;
	int rank, ranks;     /* of MPI; 0 and 1 without */
	int client, clients; /* this one, of so many */
	int appliances;	     /* known to each client */
	/* In this client's order: each client begins with another, so that
	 * the load is spread. */
	char addresses[BENCH_APPLIANCES_MAX][BENCH_ADDRESS_SIZE];
};

/* Options, ranks, appliances. Collective. BENCH_GO with *ret set, or the exit
 * status: of --help, of a mistake, or of a rank that was an appliance, whose
 * work is then done. `settings` stays as it is until bench_end(). */
int bench_begin(const struct bench_program *, void *settings, int argc,
		char *argv[], struct bench **ret);
/* Ends the appliances that were started. Collective. Returns the status. */
int bench_end(struct bench *);

/* "extmem-bench NAME: ..." on stderr; ends all ranks and started appliances;
 * exit status 1. For wrong data and for the world's refusals alike. Any
 * thread. */
void bench_fail(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
/* The same line, of rank 0 alone, and going on: what is left out, and why. */
void bench_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* As calloc(), but fails by bench_fail(). For free(). */
void *bench_calloc(size_t count, size_t size);

/* All clients are here. Collective. Waits without using the processor. */
void bench_meet(struct bench *);

/* --- memory to measure -------------------------------------------------- */

/* A working set: external memory of which local_pct per cent fit in local
 * memory, or ordinary memory, behind one pointer, so that a kernel is one
 * function of (memory, size). */
struct bench_client {
	struct bench *bench;
	void *memory;	      /* page aligned, zero, not touched yet */
	uint64_t size;	      /* bytes, whole pages */
	double local_pct;     /* above 0, to 100; BENCH_ORDINARY */
	extmem *x;	      /* NULL for ordinary memory, and so: */
	extmem_region *region;
	uint64_t local_bytes; /* the client's budget, buffers included */
	struct extmem_info info;

	/* By bench_ground(): the ground under the figures, of this run. */
	const char *t_net_by; /* raw: by libfabric's own call, as B_net; library:
			       * by ours, as the raw one cannot be had */
	double t_net_us;   /* median round trip, one 4 KiB one-sided read */
	double f_us;	   /* a fault by SIGBUS and UFFDIO_COPY, without network
			    * and without the library; NAN: not allowed here */
	double fresh_us;   /* a fault of the library's on a fresh page */
	double B_net_MBps; /* one-sided reads at the best size */

	/* By bench_stop(): what passed since bench_start(). */
	double took_us;
	/* Differences. Of ordinary memory: the kernel's faults, its major ones
	 * as misses, and pages swapped in and out (of the whole system). */
	struct extmem_stats used;

	struct extmem_stats before;
	double began_us;
};

#define BENCH_ORDINARY 0.0

/* Opens a client with the common options' settings, takes a region of `size`
 * bytes (rounded up to pages) and maps it. `local_pct` per cent of the size is
 * the whole budget, buffers included; at 100 there is room beside it, so that
 * nothing has to leave. BENCH_ORDINARY: anonymous memory of this process.
 * size 0: a client alone, without region and memory, with 64 MiB local; of
 * ordinary memory, neither.
 * Fails by bench_fail(). Several may be open at once. */
void bench_open(struct bench *, uint64_t size, double local_pct,
		struct bench_client *ret);
void bench_close(struct bench_client *);

/* A region more, of this client. What was given back a moment ago is zeroed
 * before it is lent again, and that is waited for. Fails by bench_fail(). */
extmem_region *bench_take(struct bench_client *, const char *name,
			  uint64_t size);

/* Measures t_net, f and B_net; a second or so, and 80 MiB of external memory
 * for its time. Nothing for ordinary memory. Collective: the raw call is
 * measured by the first client alone, for all; f, and what the library has to
 * stand in for, by each. */
void bench_ground(struct bench_client *);

/* Around what is measured. Start is collective: the clients begin together. */
void bench_start(struct bench_client *);
void bench_stop(struct bench_client *);

/* Calls work(argument, 0) .. work(argument, count - 1), each on a thread of
 * its own (count 1: on this one), which begin together; returns when all are
 * done. The threads exist before bench_start() is called inside it, and end
 * after bench_stop(): c->took_us is the work's time alone. */
void bench_threads(struct bench_client *, unsigned count,
		   void (*work)(void *argument, unsigned thread),
		   void *argument);

/* --- small things ------------------------------------------------------- */

/* NULL, or why one of these shares of so many bytes cannot be a local memory. */
const char *bench_check_local(const struct bench_common *, uint64_t size,
			      const double *locals, size_t count);

/* "75,50,12.5": up to `max` shares in per cent, each above 0 and to 100.
 * Returns how many, or 0 for a text that is none. */
size_t bench_percents(const char *text, double *ret, size_t max);
/* "8,4K,1M": likewise, numbers from `least` to `most`, with or without K or M. */
size_t bench_numbers(const char *text, uint64_t least, uint64_t most, uint64_t *ret,
		     size_t max);

static inline double bench_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* xorshift64 (Marsaglia, 2003): cheap beside what is measured. The state is
 * any number but 0. */
static inline uint64_t bench_draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* One of 0 .. below - 1 (below <= 2^32), without a division (Lemire, 2016). */
static inline uint64_t bench_below(uint64_t *state, uint64_t below)
{
	return (bench_draw(state) >> 32) * below >> 32;
}

/* The value that `permille` of the values do not exceed; sorts them. Of 500
 * and an even count, the mean of the two in the middle. NAN when count is 0. */
double bench_permille(double *values, size_t count, unsigned permille);

/* --- what is printed ------------------------------------------------------ */

/* A row is a set of named values, one JSON object. Names carry the unit:
 * us_per_access, MBps (10^6 bytes), bytes, pct. How the values of several
 * clients and repetitions become one: */
enum bench_fold {
	BENCH_SAME,   /* a parameter: the first */
	BENCH_MEDIAN, /* a time, a ratio: the median of all; NAME_min and
		       * NAME_max are printed too where they differ */
	BENCH_SUM,    /* counts and rates: the clients' sum; the median of the
		       * repetitions */
	BENCH_WORST,  /* the largest */
};

#define BENCH_FIELDS_MAX 64

struct bench_field {
	char name[32];
	char text[72]; /* texts; else "" */
	double value;  /* NAN: there is none; null in JSON, "-" in columns */
	uint8_t fold;
	bool is_text, is_whole; /* whole: no decimals */
};

struct bench_row {
	const char *columns; /* names, parted by blanks */
	size_t count;
	struct bench_field fields[BENCH_FIELDS_MAX];
};

/* Begins a row of this bench. `columns` are the names shown where --json is
 * not asked for, in that order; JSON has all fields. Lives until the print. */
void bench_row(struct bench *, const char *columns, struct bench_row *ret);
void bench_text(struct bench_row *, const char *name, const char *text);
void bench_count(struct bench_row *, const char *name, enum bench_fold,
		 uint64_t value);
void bench_real(struct bench_row *, const char *name, enum bench_fold,
		double value);
/* What a figure is worth is told by where it was taken: appends transport,
 * provider, version, paging, polling, lanes, local_pct, t_net_by, t_net_us, f_us,
 * fresh_us, B_net_MBps of the client, the ranks, the CPU and our version. Call it last. */
void bench_stamp(struct bench_row *, const struct bench_client *);

/* Prints one line from `repeats` rows of the same fields, of every client.
 * Collective. Rank 0 prints; a new set of columns gets its head line first. */
void bench_print(struct bench *, const struct bench_row *rows, size_t repeats);

/* --- the subcommands, sorted, as in the table of extmem-bench.c ------------ */

int bench_alloc(int argc, char *argv[]);
int bench_copy(int argc, char *argv[]);
int bench_failover(int argc, char *argv[]);
int bench_fault(int argc, char *argv[]);
int bench_gups(int argc, char *argv[]);
int bench_idle(int argc, char *argv[]);
int bench_kmeans(int argc, char *argv[]);
int bench_pagerank(int argc, char *argv[]);
int bench_rma(int argc, char *argv[]);
int bench_share(int argc, char *argv[]);
int bench_sort(int argc, char *argv[]);
int bench_stream(int argc, char *argv[]);
int bench_zipf(int argc, char *argv[]);

#endif
