/* SPDX-License-Identifier: BSD-3-Clause */
/* os.c: what the fabric needs of the simulated core/skin/os.h. */
#ifndef XM_SIM_OS_H
#define XM_SIM_OS_H

#include "common/base.h"

struct process;

/* The key (world_wait()) on which a thread of this process waits for its channel.
 * Anything that arrives for the process wakes it, so that more orders of events are
 * possible; but in predictions (cost.h) only the channel does, as in reality. */
const void *sim_door(const struct process *);

#define SIM_KICKS 1024 /* kick descriptors are below, the fabric's from here on */
void sim_os_open(void);
bool sim_kicked(int kick); /* and not yet drained */

#endif
