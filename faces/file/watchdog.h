/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For a folder that has a swap file: what keeps the machine from waiting for ever.
 *
 * A process that serves swapped pages must not wait for memory, because the kernel may be
 * waiting for it to free some. So all its memory is locked, and is there before the
 * first request. If it hangs all the same, nothing that touches a swapped page can be
 * killed any more; only the kernel's side of the connection can be ended. The watchdog is
 * a process that does so when requests wait and none is answered for a while. The
 * programs whose pages are there then get SIGBUS, and the machine goes on.
 */
#ifndef XM_FACE_WATCHDOG_H
#define XM_FACE_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

/* Starts it for the connection with this number (the minor number of the mount's device).
 * It ends with this process. `background`: it says so to the system's log. *ret_answered: to be raised with each answer. -errno: the
 * kernel's files for connections are not there (fusectl), or no process can be had. */
int face_watchdog_begin(unsigned connection, uint64_t deadline_s, bool background,
			_Atomic uint64_t **ret_answered);
/* Locks this process's memory, and keeps the kernel from ending it. -errno. */
int face_lock_memory(void);

#endif
