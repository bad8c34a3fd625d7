/* SPDX-License-Identifier: BSD-3-Clause */
/* A crash of the simulator, or a step that does not end, names its seed. */
#ifndef XM_CRASH_H
#define XM_CRASH_H

#include "common/base.h"

/* Installs the signal handlers. Without this call the others do nothing. */
void crash_watch(void);
/* A run of this seed begins; the run has ended. */
void crash_in(uint64_t seed);
void crash_nowhere(void);

#endif
