/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the fabric's files share: links between hosts, with latency, bandwidth,
 * jitter and queues, that carry transports' operations (fabric.c) and control
 * streams (streams.c).
 */
#ifndef XM_LINKS_H
#define XM_LINKS_H

#include "common/base.h"
#include "sim/world.h"

#define LINKS_RETRY (40 * XM_MS)

void links_open(void);
/* The time at which so many bytes arrive that are sent now, behind those sent
 * before. */
uint64_t links_arrive(uint32_t from, uint32_t to, uint64_t size);
/* True: nothing arrives at present. The caller tries again after LINKS_RETRY. */
bool links_blocked(uint32_t from, uint32_t to);

void streams_open(void);
void streams_close(void);
void streams_process_died(const struct process *);

#endif
