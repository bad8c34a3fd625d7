/* SPDX-License-Identifier: BSD-3-Clause */
/* What a recorded program would cost with so much local memory, over such a link. */
#ifndef XM_FORESEE_H
#define XM_FORESEE_H

#include "advise/recording.h"
#include "advise/replay.h"

#define FORESEE_LOCAL_LEAST XM_MIB /* bytes; less is made so much */

struct foreseen {
	uint64_t local; /* bytes */
	uint64_t misses, pages_read, pages_written;
	double seconds;
};

/* By loopback of docs/BENCHMARKS.md, but for the round trip. */
struct replay_link foresee_link(uint64_t trip_ns, uint32_t copies);

/* `misses_by`: NULL, or the misses of each stack (XM_RECORD_STACKS). NULL; or in words what
 * is wrong. */
const char *foresee(const struct recording *, uint64_t local,
		    const struct replay_link *, struct foreseen *ret,
		    uint64_t *ret_misses_by);

#endif
