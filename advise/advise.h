/* SPDX-License-Identifier: BSD-3-Clause */
/* `extmem advise`: what it was asked, and how it says what it has found. */
#ifndef XM_ADVISE_H
#define XM_ADVISE_H

#include <stdio.h>

#include "advise/foresee.h"
#include "advise/sites.h"

#define SHARES_MAX 16
#define SITES_SHOWN 8

/* What is said of one share of the memory. */
struct share {
	unsigned percent;
	struct foreseen one, mirrored;
};

struct advice {
	const char *program;
	const struct recording *recording;
	uint64_t trip_ns;
	bool trip_measured; /* in the recording's run, and not asked for */
	unsigned shares_count;
	struct share shares[SHARES_MAX];
	unsigned sites_percent; /* the share that the sites are of */
	struct sites sites;
};

void advice_print(const struct advice *, FILE *);
/* False: this build has no JSON. */
bool advice_print_json(const struct advice *, FILE *);

#endif
