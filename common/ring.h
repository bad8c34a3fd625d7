/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last events of a program, in memory that other processes read while it goes on.
 *
 * One writer. Readers cost it nothing and it waits for none: it overwrites what is oldest.
 * Each record has a number before and after it is written, so that a reader knows one that
 * is half of one event and half of another, and leaves it out. Nothing in a ring that was
 * read is to be trusted: it is another program's memory.
 *
 * Not for the fault path: an event is a change of state, as an operator would tell it.
 *
 * Floor: ground.
 */
#ifndef XM_RING_H
#define XM_RING_H

#include <stdatomic.h>

#include "common/base.h"

#define XM_RING_RECORDS 128
#define XM_RING_WORDS 160

struct xm_ring_event {
	uint64_t time_ns; /* since 1970 */
	uint32_t subsystem, level; /* the writer's; enum xm_level */
	char words[XM_RING_WORDS]; /* printable ASCII once it was read */
};

struct xm_ring {
	_Atomic uint64_t written; /* events, ever */
	struct xm_ring_record {
		_Atomic uint64_t number; /* 2 * n + 1: n is written; 2 * n + 2: it is there */
		struct xm_ring_event event;
	} records[XM_RING_RECORDS];
};

/* The ring is zeros at first. Words beyond the room are cut off. */
void xm_ring_write(struct xm_ring *, uint64_t time_ns, uint32_t subsystem, uint32_t level,
		   const char *words);

struct xm_ring_reader {
	/* Bytes of the ring: 0, or -1: they cannot be had. */
	int (*read)(void *context, size_t offset, void *ret, size_t size);
	void *context;
	uint64_t next;	/* number of the event */
	uint64_t lost; /* overwritten before they were read */
};

/* The next event that is whole, oldest first: 1; 0: no more yet; -1: read() failed. */
int xm_ring_read(struct xm_ring_reader *, struct xm_ring_event *ret);

#endif
