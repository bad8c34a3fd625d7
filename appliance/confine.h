/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interface process gives up what it does not need once its transport listens: so a
 * hole in a provider's parser is worth the memory that is lent, and no more.
 *
 *	capabilities	none, and no way to get others (no_new_privs); where a device pins
 *			memory, CAP_IPC_LOCK stays
 *	tracing		not dumpable: no core file, and no other process of this user may
 *			look into it. Not with ofi+shm, whose clients must.
 *	system calls	by seccomp: those that move bytes on what is open. None that opens
 *			files, makes sockets, executes, traces or sends signals to others.
 *			Others fail with EPERM.
 *	files		by Landlock: none; with ofi+shm, those below /dev/shm
 *
 * What the kernel or the build lacks is left out, and said.
 *
 * Floor: skin.
 */
#ifndef XM_CONFINE_H
#define XM_CONFINE_H

#include "common/base.h"

#define XM_CONFINED_SIZE 192 /* bytes of the sentence */

/* Writes what holds from now on, for the log. `pins`: the transport registers memory with
 * a device. */
void xm_confine(const char *scheme, bool pins, char words[XM_CONFINED_SIZE]);

#endif
