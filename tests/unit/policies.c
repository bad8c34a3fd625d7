/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's policies of reclaim on lists of touches, side by side, beside
 * two that cannot be had: one that sees every touch (lru), one that knows
 * the future (best). For each the pages read, and of a hundred touches those
 * that were not read for (hit: 1 - read / touches, so that reading ahead in
 * vain counts); of ours also the pages written, those read ahead and wasted,
 * and microseconds a touch by the model of the link. Touches again of the
 * sixteen pages touched last are not in the recorded lists.
 *
 *	tests/unit/policies [LOCAL_PAGES]
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/kernel.h"
#include "tests/unit/touches.h"

static const struct policy {
	const char *name;
	enum xm_reclaim reclaim;
} policies[] = {
	{ "clock", XM_RECLAIM_CLOCK },
	{ "2q", XM_RECLAIM_2Q },
};

static double share(uint64_t reads, size_t touches)
{
	double pct = 100 * (1 - (double)reads / (double)touches);

	return pct > -0.05 && pct < 0 ? 0 : pct; /* not "-0.0" */
}

static void compare(struct touches *t, uint32_t local)
{
	struct xm_pager_options o = replay_options(local, t->pages);

	uint64_t best = replay_best(t, local), lru = replay_lru(t, local);

	printf("%-10s %9zu %7u %6u %6.1f %8llu %6.1f %8llu", t->name, t->count,
	       t->pages, local, share(best, t->count), (unsigned long long)best,
	       share(lru, t->count), (unsigned long long)lru);
	for (unsigned i = 0; i < XM_COUNT(policies); i++) {
		struct replay_figures f;
		const char *broken;

		o.reclaim = policies[i].reclaim;
		broken = replay_list(t, &o, &replay_loopback, &f);
		if (broken != NULL) {
			printf("\n%s: %s\n", policies[i].name, broken);
			exit(1);
		}
		printf(" | %6.1f %8llu %8llu %8llu %6.2f",
		       share(f.pages_read, t->count),
		       (unsigned long long)f.pages_read,
		       (unsigned long long)f.pages_written,
		       (unsigned long long)f.wasted,
		       (double)f.took_ns / 1e3 / (double)t->count);
	}
	printf("\n");
	touches_close(t);
}

int main(int argc, char *argv[])
{
	static void (*const made[])(struct touches *, uint32_t) = {
		touches_scan, touches_loop,   touches_circle, touches_sequence,
		touches_zipf, touches_random, touches_phases,
	};
	static const struct {
		const struct xm_kernel *kernel;
		uint64_t size, rounds;
	} recorded[] = {
		{ &xm_kernel_sort, 16 << 20, 1 },
		{ &xm_kernel_pagerank, 4 << 20, 2 },
		{ &xm_kernel_zipf, 16 << 20, 1 },
	};
	uint32_t local = argc > 1 ? (uint32_t)atoi(argv[1]) : 4096;
	struct touches t;

	if (local < 256 || local > 1 << 20) {
		fprintf(stderr, "usage: policies [LOCAL_PAGES], 256 and more\n");
		return 2;
	}
	printf("%-10s %9s %7s %6s %6s %8s %6s %8s", "# touches", "count",
	       "pages", "local", "best", "read", "lru", "read");
	for (unsigned i = 0; i < XM_COUNT(policies); i++)
		printf(" | %6s %8s %8s %8s %6s", policies[i].name, "read",
		       "written", "wasted", "us");
	printf("\n");
	for (unsigned i = 0; i < XM_COUNT(made); i++) {
		made[i](&t, local);
		compare(&t, local);
	}
	for (unsigned i = 0; i < XM_COUNT(recorded); i++) {
		for (unsigned part = 2; part <= 4; part += 2) {
			touches_record(&t, recorded[i].kernel,
				       recorded[i].size, recorded[i].rounds);
			compare(&t, t.pages / part);
		}
	}
	return 0;
}
