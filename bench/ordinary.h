/* SPDX-License-Identifier: BSD-3-Clause */
/* What workloads take on ordinary memory, for a prediction of how much slower
 * they are elsewhere. */
#ifndef EXTMEM_BENCH_ORDINARY_H
#define EXTMEM_BENCH_ORDINARY_H

struct ordinary {
	const char *name;
	double us; /* an access; of `sort`, a key */
};

#define ORDINARY_COUNT 5

void ordinary_measure(struct ordinary ret[ORDINARY_COUNT]);

#endif
