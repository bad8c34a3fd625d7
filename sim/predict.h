/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prediction: what a program would take over a link that was measured
 * elsewhere. The production pager and engine run in the world, with one client
 * and one appliance, where all that they do costs what it was measured to.
 */
#ifndef XM_PREDICT_H
#define XM_PREDICT_H

#include "base.h"

#define PREDICT_LOCAL_MIN XM_MIB /* bytes; less local memory is made so much */

struct prediction {
	const char *workload;
	uint64_t pages, local; /* of memory; bytes that are local */
	uint64_t accesses;
	double us;	       /* in all */
	double us_local;       /* the same on ordinary memory; 0: not known */
	uint64_t misses, pages_read, pages_written;
};

/* Reads a link's file (docs/SIMULATOR.md) into cost.h's model. What is wrong
 * with it, in words, or NULL. */
const char *predict_link(const char *path);
/* NULL: there is none of this number. */
const char *predict_workload(uint32_t index);
/* Runs the index-th workload over the link; false: it did not end as it ought
 * to, and why is in world_why(). */
bool predict(uint32_t index, uint64_t pages, double local_percent,
	     struct prediction *ret);

#endif
