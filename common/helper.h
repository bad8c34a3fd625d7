/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs of ours that do what this one is not to have in it: a library, or a wait. One end
 * of a socket is their input and output, and they end with it.
 *
 * Any thread. Floor: skin.
 */
#ifndef XM_HELPER_H
#define XM_HELPER_H

#include <sys/types.h>

#include "common/base.h"

/* Beside this program, then by PATH. False: it is in neither. */
bool xm_helper_find(const char *program, char *path, size_t size);
/* Begins the program argv[0]; it gets nothing else of ours but stderr. *ret_fd has these
 * file status flags. 0; -ENOENT: it is not there; another -errno. */
int xm_helper_begin(const char *const argv[], int flags, pid_t *ret_pid, int *ret_fd);

#endif
