/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem-bench: how fast external memory is here, against the network below
 * it and the memory beside it. The table of its subcommands; bench.h says how
 * they are made.
 */
#include <stdio.h>
#include <string.h>

#include "config.h"

#include "bench/alone.h"
#include "bench/bench.h"
#include "common/standard.h"

static const struct {
	const char *name;
	int (*run)(int argc, char *argv[]);
	const char *about;
} subcommands[] = {
	{ "alloc", bench_alloc, "slabs and objects, beside malloc, jemalloc" },
	{ "copy", bench_copy, "what a writer sees of a copy of its region" },
	{ "failover", bench_failover, "what a mirror's user sees of a death" },
	{ "fault", bench_fault, "touch pages of which a part is local" },
	{ "gups", bench_gups, "random updates of a table (HPCC RandomAccess)" },
	{ "idle", bench_idle, "connected clients of which nothing is asked" },
	{ "kmeans", bench_kmeans, "Lloyd's iterations over points" },
	{ "pagerank", bench_pagerank, "ranks of an R-MAT graph's vertices" },
	{ "rma", bench_rma, "explicit reads and writes, beside raw libfabric" },
	{ "share", bench_share, "what a release and an acquire cost" },
	{ "sort", bench_sort, "merge sort of keys with payload" },
	{ "stream", bench_stream, "copy, scale, add, triad (STREAM)" },
	{ "zipf", bench_zipf, "gets and puts in a hash table" },
};

static void usage(FILE *file)
{
	fprintf(file, "usage: extmem-bench SUBCOMMAND [OPTION]...\n"
		      "       extmem-bench SUBCOMMAND --help\n"
		      "       mpirun -n RANKS extmem-bench SUBCOMMAND "
		      "[OPTION]...\n\n");
	for (unsigned i = 0; i < XM_COUNT(subcommands); i++)
		fprintf(file, "  %-10s %s\n", subcommands[i].name,
			subcommands[i].about);
}

int main(int argc, char *argv[])
{
	const char *name = argc > 1 ? argv[1] : "";

	xm_standard_hold();
	alone_main(argc, argv);
	for (unsigned i = 0; i < XM_COUNT(subcommands); i++) {
		if (strcmp(subcommands[i].name, name) == 0)
			return subcommands[i].run(argc - 1, argv + 1);
	}
	if (strcmp(name, "--version") == 0) {
		printf("extmem-bench (extmem) %s\n", PACKAGE_VERSION);
		return 0;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		usage(stdout);
		return 0;
	}
	if (argc > 1)
		fprintf(stderr, "extmem-bench: %s: no such subcommand\n",
			name);
	usage(stderr);
	return 2;
}
