/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starts an extmemd of one's own, for programs that need an appliance for one
 * run, and waits until it is ready. It ends with the thread that started it, at
 * the latest. Not part of the library.
 *
 * Any thread, but one at a time for each struct. Floor: skin.
 */
#ifndef XM_SPAWN_H
#define XM_SPAWN_H

#include <stdio.h>
#include <sys/types.h>

#include "common/base.h"

#define XM_SPAWN_FLAGS_MAX 8

struct xm_spawned {
	pid_t pid;
	int log_fd; /* a memory file with what it said */
	char path[4096]; /* of the program */
	char address[128]; /* where it listens */
};

/* `listen` is the address, `memory` bytes. `flags`: more of its flags, ended by
 * NULL, at most XM_SPAWN_FLAGS_MAX, or NULL. Looks for extmemd beside this
 * program, then where it was installed, then by PATH. The wait ends early when
 * `cancel_fd` (-1: none) becomes readable. 0; -EINTR: it did; another -errno:
 * extmemd cannot be started, did not come up, or took longer than timeout_ms.
 * After an error only xm_spawned_show(), xm_spawned_stop() and
 * xm_spawned_close() may follow. */
int xm_spawn(const char *listen, uint64_t memory, const char *const *flags,
	     int timeout_ms, int cancel_fd, struct xm_spawned *ret);
/* Prints what it said; false: it said nothing. */
bool xm_spawned_show(const struct xm_spawned *, FILE *);
/* Asks it to end, and makes it end after timeout_ms. */
void xm_spawned_stop(struct xm_spawned *, int timeout_ms);
/* Forgets what it said; the process is not touched. */
void xm_spawned_close(struct xm_spawned *);

#endif
