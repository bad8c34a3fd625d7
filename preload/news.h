/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MACHINE: what an operator would tell of a program: from the figures of two moments to
 * sentences (`extmem trace`). Changes of state and slow faults, not each fault.
 *
 * Floor: none of core's; no system call.
 */
#ifndef EXTMEM_RUN_NEWS_H
#define EXTMEM_RUN_NEWS_H

#include "common/log_rules.h"
#include "preload/shared.h"

enum news_subsystem { NEWS_APPLIANCE, NEWS_COPIES, NEWS_MEMORY, NEWS_FAULTS, NEWS_SUBSYSTEMS };
extern const char *const news_names[NEWS_SUBSYSTEMS];

/* What was told, so that it is told once. Zeros at first. */
struct news {
	uint64_t view, failovers, members_missing, reconnects, pages_lost, bad_tags, tampered;
	uint64_t refused, slow;
	bool mends, leaves, stranded, lost, slows;
	char states[RUN_APPLIANCES_MAX][16];
};

typedef void news_say(void *context, enum news_subsystem, enum xm_level, const char *words);

/* The figures are whole, and as they are now. `reasons`, of each appliance, why it is away. */
void news_step(struct news *, const struct run_shared *, const char (*reasons)[192],
	       news_say *say, void *context);

#endif
