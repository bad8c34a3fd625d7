/* SPDX-License-Identifier: BSD-3-Clause */
/* mapper.c: the simulated mapper. */
#ifndef XM_SIM_MAPPER_H
#define XM_SIM_MAPPER_H

#include "common/base.h"

struct process;

/* Frees its arena, if it had one. */
void mapper_process_died(const struct process *);

#endif
