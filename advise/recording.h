/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A recording (common/record.h), read: its chunks of memory moved together, so that pages
 * count from 0 without great holes, and the names of its calls sorted.
 */
#ifndef XM_RECORDING_H
#define XM_RECORDING_H

#include "common/record.h"

struct recording {
	const struct xm_record *record;
	struct xm_record_touch *list; /* pages as they are here; FRESH in one chunk */
	uint64_t count, touches;      /* of these, that are no FRESH */
	uint64_t pages;		      /* all are below */
	uint32_t *chunks;	      /* of the record, sorted; here they follow one another */
	uint32_t chunks_count;
	const struct xm_record_name **names; /* sorted by address */
};

/* `r` stays the caller's, and is not changed until close. -EINVAL: it is none. -ENOMEM. */
int recording_open(const struct xm_record *r, uint64_t size, struct recording *ret);
void recording_close(struct recording *);
/* Of all memory a 2^n-th was recorded: 2^n. */
uint64_t recording_scale(const struct recording *);
/* Processor time that the program would have taken with all of its memory local; and of
 * this, from one touch that was recorded to the next, in all. */
uint64_t recording_compute_ns(const struct recording *);
uint64_t recording_between_ns(const struct recording *);
/* The round trip that faults met, without what faults cost besides (fault_ns each). */
uint64_t recording_trip_ns(const struct recording *, uint64_t fault_ns);
/* The name of a call, for people; `room` has space for an address. */
const char *recording_name(const struct recording *, uint64_t at, char room[24]);

#endif
