/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process of the daemon gives up what it does not need.
 *
 * The interface process, once its transport listens: so a hole in a provider's parser is
 * worth the memory that is lent, and no more.
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
 * The store process, once its files are open, and before it reads from them: so what lies on
 * a disk is worth no more than what it is. It has no capabilities, is not dumpable, and may
 * open no file. A system call that is not on its list ends it, and it says which: what it does
 * at its start is all that it ever does, so that is found out then, and not by a disk that
 * fails for no reason.
 *
 * What the kernel or the build lacks is left out, and said.
 *
 * Floor: skin.
 */
#ifndef XM_CONFINE_H
#define XM_CONFINE_H

#include "common/base.h"

/* As in extmem_status(), which the appliance's rooms do not include. */
#define XM_CONFINED_SAYS 1
#define XM_CONFINED_CAPABILITIES 2
#define XM_CONFINED_TRACING 4
#define XM_CONFINED_FILES 8
#define XM_CONFINED_CALLS 16
#define XM_CONFINED_USER 32
#define XM_CONFINED_TENANTS 64

#define XM_CONFINED_SIZE 192 /* bytes of the sentence */

/* Writes what holds from now on, for the log. `pins`: the transport registers memory with
 * a device. */
uint32_t xm_confine(const char *scheme, bool pins, char words[XM_CONFINED_SIZE]);
void xm_confine_store(char words[XM_CONFINED_SIZE]);

#endif
