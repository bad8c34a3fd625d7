/* SPDX-License-Identifier: BSD-3-Clause */
/* Who stays with a guest: from the beginning of QEMU here to its end, or until the guest is
 * elsewhere. */
#ifndef XM_MACHINE_MINDER_H
#define XM_MACHINE_MINDER_H

#include "faces/machine/guest.h"

/* Runs a guest that begins here; its words are said. The exit status, which is QEMU's. */
int minder_run(const char *name, uint64_t size, json_t *line, json_t *settings);
/* Has a guest from the other side, which is at these descriptors; from when it runs here
 * `done_fd` has a byte. The exit status. */
int minder_receive(int in, int out, int done_fd);

#endif
