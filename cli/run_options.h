/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The options of `extmem run`, and how the shim is told of them: by variables of
 * the program's environment (preload/shared.h has their names).
 */
#ifndef EXTMEM_RUN_OPTIONS_H
#define EXTMEM_RUN_OPTIONS_H

#include "common/options.h"

struct run_settings {
	struct xm_option_share local;
	uint64_t external, limit, open_after, threshold, kill_after_ns;
	struct xm_option_list appliance;
	const char *strategy;
	bool seal;
	const char *stats;
	uint32_t advise, paging, calls, overflow, children, fork, local_rest;
	bool progress;
};

extern const struct xm_option_table run_options;

/* Where the shim is. -1: nowhere, which was said. */
int run_preload_find(char *path, size_t path_size);
/* Sets the variables, LD_PRELOAD among them, in this process's environment.
 * `daemon`: the address of an appliance started for the run, or NULL. -1: it
 * cannot be, which was said. */
int run_environment_set(const struct run_settings *, const char *daemon,
			int shared_fd);

#endif
