/* SPDX-License-Identifier: BSD-3-Clause */
/* os.c: what the fabric needs of the simulated core/skin/os.h. */
#ifndef XM_SIM_OS_H
#define XM_SIM_OS_H

#include "common/base.h"

struct process;

/* What wakes a thread of this process that waits for its channel: anything that
 * comes to the process, so that more can happen in more orders; but where it
 * matters what things cost, only what would. */
const void *sim_door(const struct process *);

#define SIM_KICKS 1024 /* descriptors from here on are the fabric's */
void sim_os_open(void);
bool sim_kicked(int kick);

#endif
