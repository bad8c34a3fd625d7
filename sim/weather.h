/* SPDX-License-Identifier: BSD-3-Clause */
/* Weather: the faults that are injected into a run. draw.c draws the shape of a run
 * and weather_clock(); the rest is weather.c. */
#ifndef XM_SIM_WEATHER_H
#define XM_SIM_WEATHER_H

#include "common/base.h"
#include "sim/shape.h"

struct process;

void weather_draw(uint64_t seed, struct sim_shape *ret);
void weather_begin(void);
void weather_clear(void);
/* Right before: now and then an appliance ends for good, drains for good, or its pool stays
 * small. */
void weather_last(void);
/* No: it has not begun, or has cleared. */
bool weather_blows(void);
/* To be called before a call that takes several messages: now and then the
 * client's streams break in the middle of it. */
void weather_strike(uint32_t client);
uint64_t weather_events(void); /* numbered so far */
/* The end of the last disturbance of links, streams or clients that has begun. */
uint64_t weather_disturbs(void);
/* True: the only faults so far were clients that hung or lost their streams, and
 * clocks that jumped. */
bool weather_only_pauses(void);
/* What becomes of a write of a ledger at this node, and of its connection. */
enum weather_end { WEATHER_NO_END, WEATHER_END_BEFORE, WEATHER_END_BEHIND };
enum weather_end weather_ledger(uint32_t node);
/* Draws the clock of a process that begins. */
void weather_clock(struct process *);
/* True: this allocation of a client fails. */
bool weather_no_memory(void);

#endif
