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
#include "core/skin/os.h"

struct xm_faults {
	bool begun;
	bool threaded; /* the thread reads faults */
	struct os_thread thread;
	atomic_bool stopping; /* the thread shall end */
};

/* Faults are served from now on. 0, or -errno with a clause in `words`. */
int xm_faults_begin(extmem *, char *words, size_t words_size);
/* Until now. A client whose faults never began is left alone. */
void xm_faults_end(extmem *);

#endif
