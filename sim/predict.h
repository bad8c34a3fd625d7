/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prediction: what a program would take over a link that was measured
 * elsewhere. The production pager and engine run in the world, with one client
 * and one appliance, where all that they do costs what it was measured to. Each
 * thread has a processor, and each lane a connection as good as the one that was
 * measured: what they wait for besides are the library's own locks.
 */
#ifndef XM_PREDICT_H
#define XM_PREDICT_H

#include "common/base.h"

#define PREDICT_LOCAL_MIN XM_MIB /* bytes a lane; less local memory is made so much */
#define PREDICT_THREADS_MAX 16

struct prediction {
	/* What is asked. */
	uint64_t pages;
	double local_pct;
	uint32_t threads, lanes;
	/* What comes of it. */
	const char *workload;
	uint64_t local; /* bytes */
	uint64_t accesses;
	double us;	 /* in all */
	double us_local; /* by one thread on ordinary memory; 0: not known */
	uint64_t misses, pages_read, pages_written;
};

/* Reads a link's file (docs/SIMULATOR.md) into cost.h's model. What is wrong
 * with it, in words, or NULL. */
const char *predict_link(const char *path);
/* NULL: there is none of this number. */
const char *predict_workload(uint32_t index);
/* Whether more threads than one can share it. */
bool predict_by_threads(uint32_t index);
/* Runs the index-th workload over the link; false: it did not end as it ought
 * to, and why is in world_why(). `ret` may be `what`. */
bool predict(uint32_t index, const struct prediction *what,
	     struct prediction *ret);

#endif
