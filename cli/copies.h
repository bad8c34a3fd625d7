/* SPDX-License-Identifier: BSD-3-Clause */
/* What `extmem run` says of the copies that a program's memory has. */
#ifndef XM_COPIES_H
#define XM_COPIES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/extmem.h"

/* What was said; zero at first. */
struct copies {
	uint64_t failovers;
	bool degraded, unspared;
};

/* Looks at a program's figures: says when redundancy is lost and when it is back, and, once,
 * that no appliance could take the place of one that ends. */
void copies_look(struct copies *, const struct extmem_stats *);

#endif
