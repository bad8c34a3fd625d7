/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a run was like, as JSON.
 */
#ifndef EXTMEM_REPORT_H
#define EXTMEM_REPORT_H

#include "preload/shared.h"

struct run_outcome {
	int status;	 /* as wait(2) has it */
	int exit_status; /* as the command has it */
	double wall_s, user_s, system_s;
	uint64_t peak_resident; /* bytes, of the program as a whole */
};

/* -1, said on stderr: no report can be written there. Before the run. */
int report_check(const char *path);
/* "-": stderr. -1, said on stderr. */
int report_write(const char *path, const struct run_shared *,
		 const struct run_outcome *);

#endif
