/* SPDX-License-Identifier: BSD-3-Clause */
/* Which calls the misses come from. */
#ifndef XM_SITES_H
#define XM_SITES_H

#include <stdio.h>

#include "advise/recording.h"

struct site {
	uint64_t misses;
	uint32_t depth;
	char *names[XM_RECORD_DEPTH]; /* from who began to what touched the memory */
};

struct sites {
	struct site *list; /* by their names, from the first on; no two are equal */
	uint32_t count;
	uint64_t misses;
};

/* `misses_by`: of each stack. -ENOMEM. */
int sites_open(const struct recording *, const uint64_t *misses_by, struct sites *ret);
void sites_close(struct sites *);
/* The `count` sites with the most misses, most first; returns how many there are. */
uint32_t sites_most(const struct sites *, const struct site **ret, uint32_t count);
/* A flame graph, as SVG: each call a bar above its caller's, as wide as its share of the
 * misses (Gregg: "The Flame Graph", Communications of the ACM 59:6, 2016). */
void sites_flame(const struct sites *, const char *title, FILE *);

#endif
