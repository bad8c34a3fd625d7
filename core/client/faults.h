/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How faults reach a client: the mapper calls the client on the thread that touched the
 * page, or a thread of the client's reads faults from the mapper (core/pure/mapper.h
 * says which). Either way serve.c serves them.
 */
#ifndef XM_FAULTS_H
#define XM_FAULTS_H

#include <stdatomic.h>

#include "common/base.h"
#include "core/extmem.h"
#include "core/pure/mapper.h"
#include "core/skin/os.h"

#define XM_FAULTS_READ_MAX 16 /* faults by one call */

struct xm_faults {
	bool begun;
	bool threaded; /* the thread reads faults */
	struct os_thread thread;
	atomic_bool stopping;	 /* the thread shall end */
	_Atomic uint64_t reads;	 /* of the thread: how often it has looked for faults */
	/* Faults that the background thread has read in place of the thread. */
	struct os_lock lock;
	struct xm_fault found[XM_FAULTS_READ_MAX];
	int found_count;
	/* The background thread's: since when `reads` has been this. */
	uint64_t reads_seen, seen_ns;
};

/* Faults are served from now on. 0, or -errno with a clause in `words`. */
int xm_faults_begin(extmem *, char *words, size_t words_size);
/* No fault is served any more. Does nothing for a client whose faults never began. */
void xm_faults_end(extmem *);

/* For the background thread, now and then, also while it waits for a lock. If the thread
 * that reads faults has itself touched external memory, nobody else can see it: this
 * ends the program in words. `client` is an extmem. */
void xm_faults_look(void *client);

#endif
