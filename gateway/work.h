/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that do what would make others wait. A queue of fixed length: what finds no
 * room in it is refused at once.
 */
#ifndef EXTMEM_GATEWAY_WORK_H
#define EXTMEM_GATEWAY_WORK_H

#include <stdbool.h>

#define GATEWAY_WORKERS 4
#define GATEWAY_JOBS_MAX 32

struct gateway_work;

int gateway_work_open(void (*run)(void *job), struct gateway_work **ret);
/* Takes nothing more on, and returns when all that was has run. */
void gateway_work_end(struct gateway_work *);
/* After the end, if need be. NULL is ignored. */
void gateway_work_close(struct gateway_work *);
/* False: too many wait already, or it is the end. */
bool gateway_work_add(struct gateway_work *, void *job);

#endif
